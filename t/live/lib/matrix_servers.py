"""The rows of matrix.t: servers, each with accounts that hold nothing yet.

A Site is one user on one server:

	site.client()		a raw client, logged in, straight to the server
	site.account(**keys)	an Account of ours on it (see live.py)
	site.box("a/b")		the mailbox as this server has to be asked for it
	site.uidvalidity(box), site.read_only(box), site.quota(octets)	or they raise Skip(reason)"""
import itertools
import socket
import threading

from live import *

SERVERS = TOP + "/build/servers"
starting = threading.Lock()	# serve() and Proxy look for a name that is free
counter = itertools.count()


class Skip(Exception):
	"""Why a cell cannot be."""


class Missing(Exception):
	"""Why a server is not here, and how to get it."""


class Client(Imap):
	def fill(self):
		"""Servers that write an answer in pieces wait for our acknowledgement of the first one."""
		self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
		super().fill()

	def list(self, pattern="*"):
		"""Cyrus sends a mailbox that is called "nil" as the bare word."""
		return [(a, d, b"nil" if name is None else name) for a, d, name in super().list(pattern)]


class Shown(Account):
	def mailboxes(self):
		"""ls shows control characters as %XX."""
		return [re.sub("%([01][0-9A-F]|7F)", lambda m: chr(int(m[1], 16)), name) for name in super().mailboxes()]


class Site:
	host, tls, password, prefix, separator = "127.0.0.1", "none", "pass", "", "/"
	read_through = None	# a port to go through instead of the server's
	can_gate = True		# the wire can be read on the way
	dates = True		# a message without a date has the same INTERNALDATE twice
	settles = False		# new messages have no lasting UIDs before a SELECT (not EXAMINE)
	subscribed = frozenset()	# mailboxes that are so as soon as another one is
	skips = True		# LIST-STATUS and CONDSTORE say that nothing happened

	def __init__(self, row, port, user):
		self.row, self.server_port, self.user = row, port, user

	@property
	def port(self):
		return self.read_through or self.server_port

	def client(self, timeout=30):
		c = Client(port=self.server_port, timeout=timeout).login(self.user, self.password)
		c.settles = self.settles
		return c

	def account(self, **keys):
		keys = {"port": self.port, "user": self.user, "tls": self.tls, "host": self.host,
			"password_command": "echo " + self.password, **keys}
		return Shown(dir="%s/account.%d" % (WORK, next(counter)), **keys)

	def box(self, name):
		return name if name == "INBOX" else self.prefix + name.replace("/", self.separator)

	def keeps(self, messages):
		"""Of a Counter of (message, flags, date), what this server keeps."""
		return messages

	def leaves(self, left):
		"""{action: state} of what stays in the queue, with what stays there because of this server."""
		return left

	def says(self, text):
		"""The pattern of what mailtide says, where it has to say something of this server, too."""
		return text

	def same_messages(self, want, have):
		return want == have

	def uidvalidity(self, box):
		"""By another mailbox of the same name, with the same messages and one more."""
		with self.client() as c:
			messages = fetched(c, box)
		with self.client() as c:
			c.delete(box)
			time.sleep(1.1)	# the new one is the time
			c.create(box)
			for message, flags in messages:
				c.append(box, message, flags)
			c.select(box)

	def read_only(self, box):
		raise Skip("the server has no read-only mailboxes")

	def quota(self, octets):
		raise Skip("the server has no quota")


def fetched(c, box):
	"""-> [(message, flags as they stand in a command, keywords left out)]"""
	if c.select(box) and c.status(box, "MESSAGES")["MESSAGES"] == 0:
		return []
	return [(v[b"BODY[]"], " ".join(f.decode() for f in v[b"FLAGS"] if f[:1] == b"\\" and f != b"\\Recent"))
		for uid, v in sorted(c.fetch("1:*", "FLAGS BODY.PEEK[]").items())]


class Row:
	"""One server; .site() makes an account on it."""
	def __init__(self, name):
		self.name, self.n = name, 0

	def start(self):
		"""Raises Missing where the server is not here."""

	def stop(self):
		pass

	def site(self, tiny=False):
		"""tiny: with a quota, where only some users have one."""
		raise NotImplementedError


class DovecotRow(Row):
	server = None	# one for all rows

	def __init__(self, name, store="", tls="none", drop="", keep=None):
		super().__init__(name)
		self.store, self.tls, self.drop, self.keep = store, tls, drop, keep
		self.down = None

	def start(self):
		with starting:
			if not DovecotRow.server:
				DovecotRow.server = dovecot()
			if self.drop or self.keep is not None:
				options = ["--drop", self.drop] if self.drop else ["--keep", self.keep]
				self.down, self.down_port = serve(LIB + "/imapdown.py", *options, self.server.port)

	def site(self, tiny=False):
		self.n += 1
		user = "%s%s%d" % ("tiny" if tiny else "u", re.sub("[^a-z0-9]", "", self.name.lower()), self.n)
		site = DovecotSite(self, self.server.port, user + (self.store and "@" + self.store))
		if self.tls != "none":
			site.tls, site.host, site.can_gate = self.tls, "localhost", False
		if self.down:
			site.read_through = self.down_port
			site.skips = self.keep is None and "CONDSTORE" not in self.drop
		return site

	def faults(self):
		"""What the client did that the server had not announced."""
		return read(self.down.errors).decode(errors="replace").splitlines() if self.down else []


class DovecotSite(Site):
	@property
	def port(self):
		return self.row.server.imaps_port if self.tls == "implicit" else super().port

	def account(self, **keys):
		if self.tls != "none":
			keys = {"ca_file": self.row.server.ca, **keys}
		return super().account(**keys)

	def uidvalidity(self, box):
		with self.client() as c:
			now = c.status(box, "UIDVALIDITY")["UIDVALIDITY"]
		self.row.server.adm("mailbox", "update", "-u", self.user, "--uid-validity", str(now + 7), box)

	def read_only(self, box):
		self.row.server.adm("acl", "set", "-u", self.user, box, "owner", "lookup", "read")

	def quota(self, octets):
		"""Users whose name begins with tiny have one."""


class Script(Row):
	"""A server that has a script in t/lib/servers."""
	program = None

	def __init__(self, name, script, site, *options):
		super().__init__(name)
		self.script, self.make, self.options = LIB + "/servers/" + script, site, options

	def do(self, verb, *args):
		run = subprocess.run([self.script, verb, self.dir, *args], capture_output=True, text=True)
		if run.returncode:
			raise Missing(run.stderr.strip().replace("\n", "; "))
		return run.stdout

	def start(self):
		self.dir = "%s/%s" % (WORK, self.name)
		atexit.register(self.stop)
		self.port = int(self.do("start", *self.options))

	def stop(self):
		subprocess.run([self.script, "remove", self.dir])

	def site(self, tiny=False):
		self.n += 1
		return self.make(self, self.port, "u%d" % self.n)


class Cyrus(Site):
	def uidvalidity(self, box):
		self.row.do("uidvalidity", self.user, box)

	def read_only(self, box):
		with Imap(port=self.server_port).login("cyrusadm") as c:
			c.ok("SETACL %s %s lr" % (quote("user/%s/%s" % (self.user, box)), self.user))

	def quota(self, octets):
		with Imap(port=self.server_port).login("cyrusadm") as c:
			c.ok("SETQUOTA user/%s (STORAGE %d)" % (self.user, octets // 1024))


class Courier(Site):
	prefix, separator, skips, subscribed = "INBOX.", ".", False, frozenset(["INBOX"])

	def uidvalidity(self, box):
		time.sleep(1.1)	# the new one is the time
		self.row.do("uidvalidity", self.user, box)

	def read_only(self, box):
		with self.client() as c:
			c.ok("SETACL %s owner alr" % quote(box))	# it insists on a and l

	def quota(self, octets):
		self.row.do("quota", self.user, str(octets))


class Imap4d(Site):
	"""Two sessions that open a mailbox with new messages at once give these different UIDs, and a session
	whose files another one has moved sends empty bodies: one connection, then. A message without a Date
	arrived now, whenever that is."""
	settles, dates, skips = True, False, False

	def keeps(self, messages):
		"""No keywords; the date is that of the header."""
		found = collections.Counter()
		for (n, flags, _), count in messages.items():
			found[n, frozenset(f for f in flags if f[0] == "\\"), 1580551200] += count
		return found

	def leaves(self, left):
		return {2: "local", **left}

	def says(self, text):
		return text or r"[^\n]* action 2 \(flag\) stays here: the server does not keep such a flag[^\n]*\n"

	def account(self, **keys):
		return super().account(**{"connections": "1", **keys})


class Process(Row):
	"""A server that is one process, in memory, for one user: each site has one of its own."""

	def __init__(self, name, command, site):
		super().__init__(name)
		self.command, self.make = command, site

	def start(self):
		for word in self.command[-1:] + self.command[:1]:
			if "/" in word and not os.path.exists(word):
				raise Missing('not here; "t/deps servers" fetches it')

	def site(self, tiny=False):
		with starting:
			process, port = serve(*self.command)
		return self.make(self, port, self.make.user)


class Hoodiecrow(Site):
	user, skips = "ana", False


class Goimap(Site):
	user, password, skips = "username", "password", False

	def __init__(self, *args):
		super().__init__(*args)
		with self.client() as c:	# the one that is there from the start
			c.select("INBOX")
			c.expunge("1:*")

	def uidvalidity(self, box):
		raise Skip("UIDVALIDITY is always 1")


def rows():
	return [
		DovecotRow("Dovecot maildir"),
		DovecotRow("Dovecot sdbox", "sdbox"),
		DovecotRow("Dovecot mdbox", "mdbox"),
		DovecotRow("Dovecot TLS", tls="implicit"),
		DovecotRow("Dovecot STARTTLS", tls="starttls"),
		Script("Cyrus", "cyrus.sh", Cyrus),
		Script("Courier", "courier.sh", Courier, "acl=1"),
		Script("imap4d", "imap4d.sh", Imap4d),
		Process("hoodiecrow", ["node", LIB + "/servers/hoodiecrow.js", SERVERS + "/npm/node_modules"], Hoodiecrow),
		Process("go-imap", [SERVERS + "/goimap"], Goimap),
		DovecotRow("no UIDPLUS", drop="UIDPLUS"),
		DovecotRow("no MOVE", drop="MOVE"),
		DovecotRow("no MULTIAPPEND", drop="MULTIAPPEND"),
		DovecotRow("no UIDPLUS, MOVE", drop="UIDPLUS,MOVE"),
		DovecotRow("no CONDSTORE", drop="CONDSTORE,QRESYNC"),
		DovecotRow("no QRESYNC", drop="QRESYNC"),
		DovecotRow("no LIST-STATUS", drop="LIST-STATUS"),
		DovecotRow("no LITERAL+", drop="LITERAL+"),
		DovecotRow("no UNSELECT", drop="UNSELECT"),
		DovecotRow("no ESEARCH", drop="ESEARCH"),
		DovecotRow("none of them", keep="IMAP4rev1"),
	]
