#!/usr/bin/python3
"""Messages over max-size: a stand-in in the Maildir, and the whole message in its place once it is wanted."""
import email
import email.policy
import os
import sys
from email.message import EmailMessage

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
c = server_client(server)
BLOB = bytes(range(256)) * 160		# 40 KB, 55 KB in base 64


def message(subject, text="the text\n", html=None, attach=(("blob.bin", BLOB),)):
	m = EmailMessage()
	m["From"], m["Subject"], m["Message-ID"] = "a@example.org", subject, "<%s@live>" % subject.replace(" ", "-")
	if text is not None:
		m.set_content(text)
		if html:
			m.add_alternative(html, subtype="html")
	else:
		m.set_content(html, subtype="html")
	for name, data in attach:
		m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
	return m.as_bytes(policy=email.policy.SMTP)


eight_bit = message("eight").replace(b"Subject: eight", "Subject: Grüße an alle".encode())
one_part = b"From: a@example.org\r\nSubject: long\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + \
	"Zeile ü\r\n".encode() * 5000
too_long = one_part.replace(b"long", b"too long") * 1 + b"x" * 70 + b"\r\n" * 130000
MAIL = [message("plain"), message("alternative", "plain words\n", "<p>html words</p>"),
	message("html only", None, "<p>only html</p>"), eight_bit, one_part, too_long, mail(7),
	message("two", attach=(("a.bin", BLOB), ("b ü.bin", BLOB[:100])))]
FLAGS = ["", "\\Seen", "\\Answered work", "", "\\Seen $Forwarded", "", "", "\\Draft"]
PLAIN, ALTERNATIVE, HTML, EIGHT, ONE, LONG, SMALL, TWO = range(1, 9)
BIG = set(range(1, 9)) - {SMALL}


def fill(box):
	c.create(box)
	for body, flags in zip(MAIL, FLAGS):
		c.append(box, body, flags=flags)


def account_for(box, **keys):
	return Account(server.port, mailboxes='{ "%s" }' % box, **{"max_size": "20K", **keys})


def parsed(path):
	return email.message_from_bytes(read(path), policy=email.policy.default)


def texts(path):
	return [(p.get_content_type(), p.get_content()) for p in parsed(path).walk() if not p.is_multipart()]


def where(account, box):
	"""-> {uid: path}, whatever the letters are here."""
	here = {os.path.basename(p).split(":2,")[0]: p for p in account.files()}
	return {uid: here.get(os.path.basename(row.path).split(":2,")[0], "") for uid, row in account.ls(box).items()}


def is_stand_in(path):
	return bool(path) and b"X-Mailtide-Stand-In" in read(path)[:200]


def stand_ins(account, box):
	return {uid for uid, path in where(account, box).items() if is_stand_in(path)}


def faults(account, box, want):
	"""Differences but those that stand-ins are."""
	state = {box: server_messages(c, box)}
	paths, found = where(account, box), []
	rows = {uid: row._replace(path=paths[uid]) for uid, row in account.ls(box).items()}
	for uid, m in state[box].items():
		row = rows.pop(uid, None)
		if not row or not row.path:
			found.append("%d: no file" % uid)
		elif is_stand_in(row.path) != (uid in want):
			found.append("%d: stand-in or not" % uid)
		elif uid not in want:
			found += message_differences(str(uid), m, row)
		else:
			letters = "".join(sorted(LETTERS[f] for f in m.flags if f in LETTERS))
			if (row.flags, row.date, file_letters(row.path)) != (m.flags, m.date, letters):
				found.append("%d: %r, not %r" % (uid, row, m))
	found += ["%d: too much" % uid for uid in rows]
	if len(account.files()) != len(state[box]):
		found.append("%d files" % len(account.files()))
	return found + ["%s: left in tmp" % p for p in account.files("tmp")]


def good(account, box, want, name):
	found = faults(account, box, want)
	return ok(not found, name, "\n".join(found))


def silent(account, name):
	before = account.snapshot()
	run = account.sync()
	is_((run.returncode, run.stdout, run.stderr), (0, "", ""), name + ": a second run does nothing")
	untouched(account, before, name + ": and touches nothing")
	run = account.run("check", account.name)
	is_((run.returncode, run.stderr), (0, ""), name + ": check is content")


for layout in "nested", "maildir++":
	box = "big-" + layout
	fill(box)
	account = account_for(box, layout=layout)
	proxy = Proxy(server.port)
	account.set(port=proxy.port)
	run = account.sync()
	is_((run.returncode, run.stderr), (0, ""), "first sync")
	got = total(proxy.stats(), "s2c")
	ok(got < 150000, "%d octets came, not %d" % (got, sum(map(len, MAIL))))
	account.set(port=server.port)
	good(account, box, BIG, "large ones are stand-ins, with flags, keywords and date")
	rows = account.ls(box)
	is_(parsed(rows[PLAIN].path)["Subject"], "plain", "the real header")
	like(texts(rows[PLAIN].path)[0][1], r"blob\.bin", "the note names what is missing")
	like(texts(rows[PLAIN].path)[0][1], "fetch %s %s" % (account.name, rows[PLAIN].number), "and how to get it")
	is_([t for t in texts(rows[PLAIN].path)[1:]], [("text/plain", "the text\n")], "the text is there")
	is_(texts(rows[ALTERNATIVE].path)[1:], [("text/plain", "plain words\n")], "of alternatives the plain one")
	is_(texts(rows[HTML].path)[1:], [("text/html", "<p>only html</p>\n")], "html where there is no other")
	ok("Subject: Grüße an alle\n".encode() in read(rows[EIGHT].path), "a header with 8 bits stays as it is")
	is_(texts(rows[ONE].path)[1:], [("text/plain", "Zeile ü\n" * 5000)], "a message of one part")
	is_(len(texts(rows[LONG].path)), 1, "a text that is too long is left out")
	like(texts(rows[TWO].path)[0][1], "blob.bin|a.bin.*b ü.bin", "all attachments are named")
	silent(account, "stand-ins")

	# Flagged on the server, or here: the whole message, with whatever was set here meanwhile.
	c.select(box)
	c.store("1,2", "+FLAGS.SILENT", "\\Flagged")
	c.store("3", "+FLAGS.SILENT", "more \\Seen")
	def rename(uid, letters):
		path = account.ls(box)[uid].path
		to = path.split(":2,")[0].replace("/new/", "/cur/") + ":2," + letters
		os.rename(path, to)
		return to
	rename(ALTERNATIVE, "RSa")
	rename(EIGHT, "F")
	account.syncs("%s: flagged" % layout)
	found = where(account, box)
	is_({uid for uid in range(1, 9) if is_stand_in(found[uid])}, BIG - {PLAIN, ALTERNATIVE, EIGHT},
		"those are whole now")
	is_(file_letters(found[PLAIN]), "F", "with the server's flag")
	ok(any("FRSa" in p for p in account.files()), "with those that were set here", account.files())
	is_([file_letters(p) for p in account.files() if b"Gr\xc3\xbc\xc3\x9fe" in read(p)], ["F"], "also the F itself")
	is_(len(account.files()), 8, "and no file is there twice")
	is_(sorted(account.ls(box)[HTML].flags), ["\\Answered", "\\Seen", "more", "work"], "a stand-in's flags follow")
	bodies = server_messages(c, box)
	is_([sha256(read(p)) for u, p in sorted(found.items()) if u in (PLAIN, EIGHT)],
		[bodies[u].file_sha256 for u in (PLAIN, EIGHT)], "they are the server's octets")
	run = account.sync()
	is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "a second run is silent")

	# Read and unread again it lies in cur, and so does the whole message: `ls` names the file that is there.
	c.select(box)
	for sign in "+-":
		c.store("%d,%d" % (ONE, LONG), sign + "FLAGS.SILENT", "\\Seen \\Answered")
		account.syncs("read, or unread again")

	# Other rules: what is larger comes, what is here stays.
	account.set(max_size="50K")
	account.syncs("max-size rises")
	is_(stand_ins(account, box), {HTML, LONG, TWO}, "what is below it now is whole")
	account.set(max_size="10K")
	account.syncs("max-size falls")
	is_(stand_ins(account, box), {HTML, LONG, TWO}, "what is here stays")
	account.set(max_size="0")
	account.syncs("no limit")
	is_(stand_ins(account, box), set(), "all are whole")
	is_(len(account.files()), 8, "eight files")
	ok(os.path.exists(account.ls(box)[LONG].path), "one that was read once is where ls says")

# Expunged; edited; check --repair.
box = "repair"
fill(box)
account = account_for(box)
account.syncs("a new account")
rows = account.ls(box)
os.unlink(rows[PLAIN].path)
write(rows[TWO].path, "Subject: edited\n\nmine\n")
run = account.run("check", account.name)
is_(run.returncode, 1, "check finds a stand-in that is gone")
like(run.stdout, "stand-in missing", "and says so")
like(run.stdout, "changed.*" + re.escape(os.path.basename(rows[TWO].path)), "and one that was edited")
run = account.run("check", "--repair", account.name)
like(run.stdout, "stand-in missing.*next sync", "check --repair leaves it to the next sync")
account.syncs("which")
ok(is_stand_in(account.ls(box)[PLAIN].path), "brings it")
c.select(box)
c.store("8", "+FLAGS.SILENT", "\\Flagged")
c.expunge("2")
run = account.sync()
is_(run.returncode, 0, "an edited one is wanted whole, another one expunged")
like(run.stderr, "was edited here", "that is told")
ok(any(read(p) == b"Subject: edited\n\nmine\n" for p in account.files()), "the edited file stays")
ok(not os.path.exists(rows[ALTERNATIVE].path), "the stand-in of an expunged message goes")

# Never sent back; moved like any other; fetched by name.
c.create("queue")
c.create("queue-to")
for body in MAIL[:3]:
	c.append("queue", body)
account = Account(server.port, mailboxes='{ "queue", "queue-to" }', max_size="20K")
account.syncs("for the queue")
rows = account.ls("queue")
run = account.run("queue", "add", "work", "append", "queue", rows[PLAIN].path)
like(run.stderr, "is refused: it is a stand-in", "a stand-in is not uploaded")
run = account.run("queue", "add", "work", "move", "queue", rows[PLAIN].number, "queue-to")
is_(run.returncode, 0, "a stand-in is moved")
moved = account.ls("queue-to")
is_([is_stand_in(row.path) for row in moved.values()], [True], "at once here")
account.syncs("and then there")
is_(sorted(server_messages(c, "queue-to")), [1], "on the server it is the message")
is_(sorted(server_messages(c, "queue")), [2, 3], "and nothing was uploaded")
ok(is_stand_in(account.ls("queue-to")[1].path), "here it is a stand-in still")
run = account.run("fetch", "work", rows[PLAIN].number, "queue:2")
is_((run.returncode, run.stderr), (0, ""), "fetch by local number and by UID")
is_([sha256(read(account.ls(b)[u].path)) for b, u in (("queue-to", 1), ("queue", 2))],
	[server_messages(c, b)[u].file_sha256 for b, u in (("queue-to", 1), ("queue", 2))], "both are whole now")
ok(is_stand_in(account.ls("queue")[3].path), "the third is not")
run = account.sync()
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "then all is quiet")

# Left out; not wanted.
account = account_for("repair", large="skip")
account.syncs("large = skip")
is_(len(account.files()), 1, "makes no stand-ins")
account.set(large="stand-in")
account.syncs("large = stand-in")
is_(len(account.files()), 7, "makes them later")
account = account_for("repair", bodies="none")
account.syncs("bodies = none")
is_(account.files(), [], "makes none either")

# Killed at every point, while stand-ins come, and while they are replaced.
box = "crash"
fill(box)
account = account_for(box)
names = points(account)
ok("sync.stand-in-in-tmp" in names, "a point of its own", names)
found = []
for name in names:
	for n in 1, 3:
		account = account_for(box)
		run = account.sync(point="%s:%d" % (name, n))
		run = account.sync()
		here = faults(account, box, BIG)
		if run.returncode or here:
			found += ["%s:%d: status %d %s" % (name, n, run.returncode, run.stderr)] + here
no_faults(found, "killed while stand-ins come: %d points" % len(names))

account = account_for(box)
account.syncs("all stand-ins")
kept = account.dir
account.set(max_size="0")
shutil.copytree(kept, kept + ".kept")
path = "%s/points%d" % (WORK, len(os.listdir(WORK)))
run = account.sync(points=path)
is_((run.returncode, faults(account, box, set())), (0, []), "all are replaced")
names = read(path).decode().split()
ok("sync.between-stand-in-and-whole" in names, "a point between the two files", names)
found = []
for name in names:
	for n in 1, 4:
		shutil.rmtree(kept)
		shutil.copytree(kept + ".kept", kept)
		local = [p for p in account.files() if is_stand_in(p) and "subject: html" in read(p).decode().lower()][0]
		os.rename(local, local + "F")	# :2,R
		account.sync(point="%s:%d" % (name, n))
		run = account.sync()
		here = [f for f in faults(account, box, set()) if not re.match(r"%d: letters" % HTML, f)]
		html = [p for p in account.files() if b"Subject: html" in read(p)]
		if run.returncode or here or [set(file_letters(p)) for p in html] != [set("FR")]:
			found += ["%s:%d: status %d %s %s" % (name, n, run.returncode, run.stderr, html)] + here
no_faults(found, "killed while they are replaced: %d points" % len(names))
c.logout()
done_testing()
