"""The columns of matrix.t. A scenario takes a Row; it raises Skip(reason), or answers with a list of what is
wrong, which is empty where all is well."""
import socket

from actions import *

INBOX = "INBOX"


class Gate:
	"""A relay before a server that holds a client's line which matches `pattern` once, and lets `act` do
	something first. after: the line goes through and is answered before."""

	def __init__(self, port, pattern, act, after=False):
		self.target, self.pattern, self.act, self.after = port, re.compile(pattern, re.I), act, after
		self.opened = 0
		self.fault = None
		self.lock = threading.Lock()
		self.listener = socket.create_server(("127.0.0.1", 0))
		self.port = self.listener.getsockname()[1]
		threading.Thread(target=self.serve, daemon=True).start()

	def serve(self):
		while True:
			try:
				client, _ = self.listener.accept()
			except OSError:
				return
			server = socket.create_connection(("127.0.0.1", self.target))
			answered = threading.Event()
			tag = []
			threading.Thread(target=self.up, args=(client, server, tag, answered), daemon=True).start()
			threading.Thread(target=self.down, args=(server, client, tag, answered), daemon=True).start()

	def up(self, client, server, tag, answered):
		try:
			for line in client.makefile("rb"):
				hit = self.pattern.search(line)
				with self.lock:	# the other connection waits, too
					hit = hit and not self.opened
					self.opened += bool(hit)
					if hit and not self.after:
						self.run()
				if hit and self.after:
					tag.append(line.split()[0] + b" ")
					server.sendall(line)
					answered.wait(10)
					self.run()
				else:
					server.sendall(line)
			server.shutdown(socket.SHUT_WR)
		except OSError:
			pass

	def run(self):
		try:
			self.act()
		except Exception as e:
			self.fault = e

	def down(self, server, client, tag, answered):
		tail = b""
		try:
			while data := server.recv(1 << 16):
				client.sendall(data)
				tail = (tail + data)[-4096:]
				if tag and re.search(rb"(\A|\n)" + re.escape(tag[0]) + rb"[^\n]*\n", tail):
					answered.set()
			client.shutdown(socket.SHUT_RDWR)
		except OSError:
			pass
		answered.set()

	def close(self):
		self.listener.close()


def odd_mail(n):
	"""Of several kinds; no two are the same."""
	head = "From: a@example.org\r\nSubject: number %d\r\nMessage-ID: <%d@matrix>\r\n" \
		"Date: Sat, 01 Feb 2020 10:00:00 +0000\r\n" % (n, n)
	kinds = [
		lambda: head + "\r\nplain %d\r\n" % n,
		lambda: head + "\r\nno last line end %d" % n,
		lambda: "Subject: no message id %d\r\n\r\nbody\r\n" % n,
		lambda: head + "Content-Type: text/plain; charset=utf-8\r\n\r\nÄpfel 日本 %d\r\n" % n,
		lambda: head + "X-Long: " + "y" * 900 + "\r\n\r\n" + "z" * 5000 + "\r\n",
		lambda: head + "\r\n",
		lambda: head + "To: " + ",\r\n ".join("u%d@example.org" % i for i in range(200)) + "\r\n\r\nmany\r\n",
		lambda: head + 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type:'
			" message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner %d\r\n--b--\r\n" % n,
		lambda: head + "\r\n" + "%060d\r\n" % n * 2000,
		lambda: head + "\r\n.\r\n..\r\nFrom here\r\n* 1 FETCH (BODY[] {3}\r\n)\r\nt1 OK\r\n",
	]
	return kinds[n % len(kinds)]().encode()


def fill(c, box, numbers, **options):
	for n in numbers:
		flags = ("", "\\Seen", "\\Flagged", "\\Seen \\Answered", "\\Draft")[n % 5]
		c.append(box, odd_mail(n), flags=flags,
			date="%02d-Mar-2011 13:59:%02d +0100" % (n % 28 + 1, n % 60), **options)
	if c.settles:
		c.select(box)
		c.cmd("CLOSE")


def run_sync(account, problems, wanted=(0,), what="sync", silent=False):
	run = account.sync(timeout=30)
	if run.returncode not in wanted:
		problems.append("%s: status %d, %s%s" % (what, run.returncode, run.stdout[-300:], run.stderr[-600:]))
	elif silent and (run.stdout or run.stderr):
		problems.append("%s is not silent: %s%s" % (what, run.stdout[-300:], run.stderr[-300:]))
	return run


def compare(account, site, problems, what, gone=()):
	with site.client() as c:
		state = server_state(c)
		for messages in state.values():	# keywords know no case; go-imap says $forwarded
			for uid, m in messages.items():
				messages[uid] = m._replace(flags=frozenset("$Forwarded" if f == "$forwarded" else f for f in m.flags))
		found = differences(account, c, state, gone=gone, limit=1000)
		if not site.dates:
			found = [d for d in found if ": date is " not in d and ": file's time is " not in d]
		problems += ["%s: %s" % (what, d) for d in found[:6]]


def uids(c, box):
	return sorted(c.fetch("1:*", "FLAGS")) if c.select(box) else []


def pick(some, a, b):
	return ",".join(map(str, some[a:b]))


def first(row):
	"""40 messages in five mailboxes; also begins the account of the next two columns."""
	problems = []
	site = row.main = row.site()
	with site.client() as c:
		boxes = [site.box(name) for name in ("Lists", "Lists/dev", "Archive2", "empty")]
		for box in boxes:
			c.create(box)
		fill(c, INBOX, range(25))
		fill(c, boxes[1], range(25, 35))
		fill(c, boxes[2], range(35, 40))
	row.account = site.account()
	run_sync(row.account, problems, what="first sync")
	compare(row.account, site, problems, "first sync")
	check = row.account.run("check", row.account.name)
	if check.returncode:
		problems.append("check: status %d: %s%s" % (check.returncode, check.stdout, check.stderr))
	return problems


def changes(row):
	problems = []
	site, account = row.main, row.account
	with site.client() as c:
		opened = c.select(INBOX)
		some = sorted(c.fetch("1:*", "FLAGS"))
		c.store(pick(some, 0, 4), "+FLAGS.SILENT", "\\Flagged")
		c.store(pick(some, 4, 8), "-FLAGS.SILENT", "\\Seen")
		c.store(pick(some, 8, 10), "+FLAGS.SILENT", "\\Deleted")
		if any(b"\\*" in line for line in opened.untagged if b"PERMANENTFLAGS" in line):
			c.store(pick(some, 10, 13), "+FLAGS.SILENT", "work $Forwarded")
		c.copy(pick(some, 13, 15), site.box("Archive2"))
		fill(c, INBOX, range(100, 106))
		c.select(site.box("Lists/dev"))
		c.expunge(pick(uids(c, site.box("Lists/dev")), 2, 5))
		c.cmd("CLOSE")
		fill(c, site.box("empty"), [110])
		c.create(site.box("New one"))
		fill(c, site.box("New one"), [111])
		c.delete(site.box("Archive2"))
		c.create(site.box("After"))
	run_sync(account, problems, (0, 1), "sync after changes")
	gone = row.gone = [site.box("Archive2")]
	compare(account, site, problems, "after changes", gone)
	return problems


def unchanged(row):
	"""The same again: nothing is said, touched, or fetched."""
	problems = []
	account, site = row.account, row.main
	run_sync(account, problems, (0, 1), "second sync")
	compare(account, site, problems, "second sync", row.gone)
	before = account.snapshot()
	time.sleep(1.1)	# what is made of the clock has to be another now
	with starting:
		proxy = Proxy(site.port)
	account.set(port=proxy.port)
	run_sync(account, problems, (0,), "third sync", silent=True)
	account.set(port=site.port)
	if account.snapshot() != before:
		problems.append("the third sync touches files")
	down = total(proxy.stats(), "s2c")
	if down > 20000:
		problems.append("the third sync fetches %d octets" % down)
	return problems


def cut(row):
	"""The connection breaks twice on the way; then it goes on."""
	problems = []
	site = row.site()
	with site.client() as c:
		for n in range(12):
			c.append(INBOX, mail(n, 12000))
	with starting:
		proxy = Proxy(site.port, "-S", 60000, "-K", "rst")
	account = site.account(port=proxy.port)
	for _ in range(2):
		run = account.sync(timeout=60)
		if run.returncode not in (0, 75):
			problems.append("cut: status %d: %s" % (run.returncode, run.stderr[-300:]))
	proxy.stats()
	account.set(port=site.port)
	run_sync(account, problems, what="after the cut")
	compare(account, site, problems, "after the cut")
	return problems


def uidvalidity(row):
	problems = []
	site = row.site()
	box = site.box("Work")
	with site.client() as c:
		c.create(box)
		fill(c, box, range(12))
		before = c.status(box, "UIDVALIDITY")
	account = site.account()
	run_sync(account, problems, what="first sync")
	site.uidvalidity(box)
	with site.client() as c:
		if c.status(box, "UIDVALIDITY") == before:
			raise Skip("UIDVALIDITY did not change")
	run_sync(account, problems, (0, 1), "sync after the change")
	compare(account, site, problems, "after the change")
	run_sync(account, problems, what="and again")
	compare(account, site, problems, "and again")
	return problems


def renamed(row):
	"""With its child. Told where the server lets its mailboxes be recognized."""
	problems = []
	site = row.site()
	boxes = [site.box("Old"), site.box("Old" + site.separator + "Child")]
	new = [box.replace("Old", "Other") for box in boxes]
	with site.client() as c:
		for n, box in enumerate(boxes):
			c.create(box)
			fill(c, box, range(10 * n, 10 * n + 8))
	account = site.account()
	run_sync(account, problems, what="first sync")
	with site.client() as c:
		validity = c.status(boxes[0], "UIDVALIDITY")
	numbers = [[row.number for row in account.ls(box).values()] for box in boxes]
	with site.client() as c:
		try:
			c.rename(boxes[0], new[0])
		except Refused as e:
			raise Skip("RENAME: %s" % e)
		if new[1] not in server_mailboxes(c):
			raise Skip("RENAME leaves the child where it is")
		if not c.examine(new[0]):
			raise Skip("RENAME loses the mailbox")
		if c.status(new[0], "UIDVALIDITY") != validity:
			raise Skip("RENAME changes the UIDVALIDITY, and there is no MAILBOXID")
	run = run_sync(account, problems, (0, 1), "sync after RENAME")
	compare(account, site, problems, "after RENAME", [box for box in boxes if box in account.mailboxes()])
	if "renamed here" not in run.stderr:
		problems.append("it was not recognized: %s" % run.stderr)
	elif numbers != [[row.number for row in account.ls(box).values()] for box in new]:
		problems.append("the local numbers are not the same")
	run_sync(account, problems, what="and again", silent=True)
	return problems


def deleted(row):
	"""While the mailbox is selected."""
	problems = []
	site = row.site()
	if not site.can_gate:
		raise Skip("TLS: the wire cannot be read; the plain row has it")
	box = site.box("Doomed")
	with site.client() as c:
		c.create(box)
		fill(c, box, range(8))
		fill(c, INBOX, range(20, 25))

	def delete():
		with site.client() as c:
			c.delete(box)

	gate = Gate(site.port, rb"^\S+ (SELECT|EXAMINE) \"?%s" % box.encode(), delete, after=True)
	account = site.account(port=gate.port)
	run_sync(account, problems, (0, 1, 75), "sync")
	gate.close()
	if gate.fault:
		raise Skip("the server does not delete a selected mailbox: %s" % gate.fault)
	if not gate.opened:
		problems.append("the mailbox was never selected")
	account.set(port=site.port)
	known = account.mailboxes()
	run_sync(account, problems, (0, 1), "next sync")
	compare(account, site, problems, "next sync", [box] if box in known else ())
	problems += strangers(account, [odd_mail(n) for n in range(25)])
	return problems


def strangers(account, mails):
	"""Files that hold no mail that ever was: a server's excuse, half a body, none."""
	wanted = {sha256(m.rstrip(b"\r\n").replace(b"\r\n", b"\n")) for m in mails}
	return ["%s holds what is no mail: %r" % (path, read(path)[:80]) for path in account.files()
		if sha256(read(path).rstrip(b"\n")) not in wanted]


def expunged(row):
	"""While its body is on the way."""
	problems = []
	site = row.site()
	if not site.can_gate:
		raise Skip("TLS: the wire cannot be read; the plain row has it")
	with site.client() as c:
		fill(c, INBOX, range(10))

	def expunge():
		with site.client() as c:
			some = uids(c, INBOX)
			c.expunge("%d,%d,%d" % (some[1], some[4], some[-1]))
			c.cmd("CLOSE")

	gate = Gate(site.port, rb"FETCH .*BODY(\.PEEK)?\[\]", expunge)
	account = site.account(port=gate.port)
	run_sync(account, problems, (0, 1, 75), "sync")
	gate.close()
	if gate.fault:
		raise gate.fault
	if not gate.opened:
		problems.append("no body was fetched")
	problems += strangers(account, [odd_mail(n) for n in range(10)])
	account.set(port=site.port)
	run_sync(account, problems, what="next sync")
	compare(account, site, problems, "next sync")
	return problems


def quota(row):
	"""An account that is full still comes home."""
	problems = []
	site = row.site(tiny=True)
	with site.client() as c:
		fill(c, INBOX, range(5))
		site.quota(100 << 10)
	with site.client() as c:
		for n in range(30):
			reply = c.cmd("APPEND INBOX {%d}" % len(mail(n, 20000)), mail(n, 20000))
			if reply.status != "OK":
				break
		else:
			problems.append("the quota holds nothing back")
	account = site.account()
	run_sync(account, problems)
	compare(account, site, problems, "full")
	return problems


def read_only(row):
	problems = []
	site = row.site()
	box = site.box("Board")
	with site.client() as c:
		c.create(box)
		fill(c, box, range(6))
	site.read_only(box)
	with site.client() as c:
		if "READ-ONLY" not in c.select(box).text:
			raise Skip("the server lets everything be written")
		before = server_messages(c, box)
	account = site.account()
	run_sync(account, problems)
	compare(account, site, problems, "read-only")
	run_sync(account, problems, what="and again", silent=True)
	with site.client() as c:
		if server_messages(c, box) != before:
			problems.append("something changed on the server")
	return problems


ODD = ["100% sure", "cur", "new/tmp", "archive", "ARCHIVE", "Entwürfe", "日本語/子", "A&B Co", 'quo"te', "back\\slash",
	"Œuf \U0001f423", "x" * 100, "%2E%2E", "a;b|c<d>", "-rf", "'$(touch x)'", "dots..dots", ".hidden", "../up", "tab\there",
	"star*", " lead", "trail ", "inbox/sub", "{3}", "nil", "a(b)c", "[b]", "mit~tilde", "#news"]


def odd_names(row):
	"""What the server takes of them."""
	problems = []
	site = row.site()
	taken = 0
	c = site.client(timeout=2)
	fill(c, INBOX, [99])	# an empty one may have another UIDVALIDITY each time
	for n, name in enumerate(ODD):
		box = site.box(name) if site.separator == "/" else site.prefix + name
		try:
			c.create(box)
			c.append(box, odd_mail(n), flags="\\Seen")
			taken += 1
		except Refused:
			pass
		except (EOFError, TimeoutError):	# its way to refuse
			c = site.client(timeout=2)
	c.close()
	account = site.account()
	run_sync(account, problems)
	compare(account, site, problems, "odd names (%d)" % taken)
	run_sync(account, problems, what="and again", silent=True)
	outside = [name for name in os.listdir(account.dir) if name not in ("mail", "state", "mailtide.conf")]
	if outside:
		problems.append("outside of the Maildir: %r" % outside)
	return problems


# What the queue does, on one day away from the network. Doomed has mail in it.
REPLAY = Scenario("replay", [
	"flag INBOX {1},{2} '+\\Flagged'",
	"flag INBOX {2} '-\\Seen' +taxes",
	"copy INBOX {1},{3} {=Box}",
	"expunge INBOX {3}",
	"move INBOX {4},{5} {=Box}",
	"flag {=Box} {m4} '+\\Answered'",
	"create {=New one}",
	"append {=New one} {L50} '\\Seen' '\\Draft'",
	"append {=New one} {L51}",
	"append {=New one} {L52} '\\Flagged' kw",
	"move {=New one} @9 INBOX",
	"copy {=New one} @8 {=Box}",
	"expunge {=New one} @8",
	"append {=Box} {L53}",
	"expunge {=Box} @14",	# never sent
	"expunge {=Box} {11}",
	"move {=Box} {12} INBOX",
	"delete {=Doomed}",
	"subscribe {=Box}",
	], {
		"INBOX": "1:\\Flagged 2:\\Flagged,taxes 6:\\Deleted 51 12:\\Seen",
		"Box": "1:\\Flagged 3 4:\\Answered 5 50:\\Seen,\\Draft",
		"New one": "52:\\Flagged,kw",
		"Doomed": None,
	}, start={"INBOX": "1 2:\\Seen 3 4 5 6:\\Deleted", "Box": "11 12:\\Seen", "Doomed": "20 21"},
	local={
		"INBOX": "1:\\Flagged 2:\\Flagged 6:\\Deleted 51 12:\\Seen",
		"Box": "1:\\Flagged 3 4:\\Answered 5 50:\\Seen,\\Draft",
		"New one": "52:\\Flagged",
	}, gone=["Doomed"], subscribed={"Box"})


def replay(row):
	"""The queue's actions: see queue.t for each of them alone."""
	return play(row.site(), REPLAY)


COLUMNS = [
	("first sync", first), ("changes", changes), ("no change", unchanged), ("cut", cut),
	("UIDVALIDITY", uidvalidity), ("renamed", renamed), ("deleted", deleted), ("expunged", expunged), ("quota", quota),
	("read-only", read_only), ("odd names", odd_names),
	("replay", replay),
]
