#!/usr/bin/python3
"""mailtide queue and fetch, without a network: one sync, then the server is gone. What is refused, and
that nothing is in the file then; what is written; many lines at once; list, edit, retry and drop."""
import fcntl
import hashlib
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../live/lib"))
from live import *

ASAN = "asan" in BUILD	# fsync_preload does not go with it
BOXES = "Archive", "Archive/2025", "Lists", "Lists/dev"
server = dovecot()
c = server_client(server)
for box in BOXES:
	c.create(box)


def mail(n):
	return b"From: a@example.org\r\nSubject: %d\r\nMessage-ID: <%d@queue>\r\n\r\ntext %d\r\n" % (n, n, n)


for n in range(1, 10):
	c.append("INBOX", mail(n), flags="\\Flagged" if n == 9 else "")
c.append("Archive", mail(100))
c.select("INBOX")
c.store("3,4", "+FLAGS.SILENT", "\\Deleted")
c.cmd("EXPUNGE")

account = Account(server.port, bodies="none")
ACTIONS = account.state + "/actions"

# Before the first sync

for words in (("add", "work", "create", "X"), ("retry", "work"), ("drop", "work", "1"), ("edit", "work")):
	run = account.run("queue", *words)
	is_((run.returncode, run.stdout), (64, ""), "never synced: %s: status" % words[0])
	like(run.stderr, r'^mailtide: work: never synced yet.*"mailtide sync work" first\n$', "never synced: %s" % words[0])
run = account.run("queue")
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "never synced: the list is empty")
ok(not os.path.exists(account.state), "these have made nothing")

account.syncs("first sync")
other = Account(server.port, name="home", bodies="none")
other.syncs("another account")

# Fetch, while the server is there

third = Account(server.port, name="third", bodies="none")
third.syncs("a third account")
third.run("queue", "add", "third", "create", "not sent by fetch")


def fetches(*words):
	"""Succeeds. -> what it said, and what is in the Maildir: {subject}"""
	run = third.run("fetch", "third", *words)
	is_((run.returncode, run.stderr), (0, ""), "fetch %s" % " ".join(words))
	return run.stdout, sorted(re.search(rb"Subject: (\d+)", read(path))[1].decode() for path in third.files())


is_(fetches("INBOX:7"), ("", ["7"]), "fetch: one UID")
is_(fetches("INBOX:7"), ("third: nothing to fetch, all of it is here\n", ["7"]), "fetch: it is here")
number = third.ls("Archive")[1].number
is_(fetches("%s,%s" % (number, number), "INBOX:1:2,7"), ("", ["1", "100", "2", "7"]), "fetch: of two mailboxes")
is_(fetches("--flagged"), ("", ["1", "100", "2", "7", "9"]), "fetch: what is flagged")
for words, why in (((), "fetch needs messages: .*"), (("--flagged", "m1"), "--flagged names the messages already"),
	(("m999",), "there is no message m999; .*"), (("INBOX:3",), r'no message with the UID 3 is known in "INBOX"; .*'),
	(("INBX:1",), r'no mailbox "INBX" is known; did you mean "INBOX"\?'), (("INBOX:1:*",), r'"1:\*" would reach .*'),
	(("INBOX",), r'"INBOX" is neither local numbers .*'), (("m1,7",), r'"m1,7" is neither local numbers .*')):
	run = third.run("fetch", "third", *words)
	is_((run.returncode, run.stdout), (64, ""), "fetch %s: status" % " ".join(words))
	like(run.stderr, "^mailtide: third: %s\n$" % why, "fetch %s" % " ".join(words))
like(third.run("queue", "third").stdout, r"^1\t(waiting|new)\t.*\tnot sent by fetch\t\n$", "fetch sends nothing")
server.stop()
UID = account.ls("INBOX")
M = {uid: row.number for uid, row in UID.items()}
m100 = account.ls("Archive")[1].number
uidvalidity = None


def lines():
	"""-> the fields of each action in the file."""
	if not os.path.exists(ACTIONS):
		return []
	return [line.split("\t") for line in read(ACTIONS).decode().split("\n")[1:-1]]


def add(*words, **options):
	return account.run("queue", "add", "work", *words, errors="surrogateescape", **options)


def queued(*words, **options):
	"""Is accepted. -> the fields of its line"""
	before = len(lines())
	run = add(*words, **options)
	after = lines()
	is_((run.returncode, run.stderr, len(after) - before), (0, "", 1), "accepted: %s" % " ".join(words))
	is_(run.stdout, "%s\n" % after[-1][0], "its number")
	return after[-1]


def refused(why, *words, **options):
	"""One line that says why, and nothing in the file."""
	before = read(ACTIONS) if os.path.exists(ACTIONS) else None
	run = add(*words, **options)
	name = ascii(" ".join(words))[:60]
	is_((run.returncode, run.stdout, run.stderr.count("\n")), (64, "", 1), "refused: %s" % name)
	like(run.stderr, "^mailtide: (work: )?%s\n$" % why, "why: %s" % name)
	is_(read(ACTIONS) if os.path.exists(ACTIONS) else None, before, "nothing was written: %s" % name)


# What is refused

letter, empty, nul = WORK + "/letter", WORK + "/empty", WORK + "/nul"
for path, data in (letter, b"Subject: x\n\ntext\n"), (empty, b""), (nul, b"a\0b"):
	with open(path, "wb") as f:
		f.write(data)
os.mkfifo(WORK + "/pipe")

TABLE = [
	# verbs and their words
	(r'unknown verb "flog"; did you mean "flag"\?', "flog", "INBOX", "1", "+\\Seen"),
	(r'unknown verb "send"; "mailtide help queue" lists them', "send", "INBOX"),
	(r'unknown verb "retry".*', "retry", "INBOX"),
	(r"flag needs more words: flag MAILBOX WHICH .*", "flag", "INBOX"),
	(r"move needs more words: move MAILBOX WHICH TO", "move", "INBOX", "1"),
	(r"move needs fewer words: .*", "move", "INBOX", "1", "Archive", "Lists"),
	(r"create needs more words: create MAILBOX", "create"),
	(r"--force is for delete only", "create", "X", "--force"),
	# mailboxes
	(r'no mailbox "INBX" is known; did you mean "INBOX"\?', "flag", "INBX", "1", "+\\Seen"),
	(r'no mailbox "lists" is known; did you mean "Lists"\?', "subscribe", "lists"),
	(r'no mailbox "Nowhere" is known; "mailtide ls work" lists them', "delete", "Nowhere"),
	(r'no mailbox "Archiv" is known; did you mean "Archive"\?', "move", "INBOX", "1", "Archiv"),
	(r'no mailbox "Nowhere" is known; .*', "append", "Nowhere", letter),
	(r"the name of the mailbox is empty", "flag", "", "1", "+\\Seen"),
	(r"the name of the mailbox is empty", "copy", "INBOX", "1", ""),
	# messages
	(r'no message with the UID 3 is known in "INBOX"; "mailtide ls work MAILBOX" shows those that are', "flag", "INBOX", "3", "+\\Seen"),
	(r'no message with the UID 3:4 is known in "INBOX"; .*', "flag", "INBOX", "1,3:4", "+\\Seen"),
	(r'no message with the UID 4294967295 is known .*', "flag", "INBOX", "4294967295", "+\\Seen"),
	(r'"4294967296" is neither UIDs .*', "flag", "INBOX", "4294967296", "+\\Seen"),
	(r'"0" is neither UIDs .*', "flag", "INBOX", "0", "+\\Seen"),
	(r'"1:\*" would reach mail that you have not seen: .*', "flag", "INBOX", "1:*", "+\\Seen"),
	(r'"\*" would reach mail .*', "expunge", "INBOX", "*"),
	(r'there is a comma too much .*', "expunge", "INBOX", "1,,2"),
	(r'there is a comma too much .*', "expunge", "INBOX", "1,"),
	(r'there is a comma too much .*', "expunge", "INBOX", ""),
	(r'"seven" is neither UIDs .*', "expunge", "INBOX", "seven"),
	(r'"m" is no local number; they look like m4711', "expunge", "INBOX", "m"),
	(r'"m1:m3" is no local number.*', "expunge", "INBOX", "m1:m3"),
	(r'there is no message m999; "mailtide ls work MAILBOX" shows their numbers', "expunge", "INBOX", "m999"),
	(r'%s is not in "INBOX", but in "Archive"' % m100, "expunge", "INBOX", m100),
	(r'%s is not in "Archive", but in "INBOX"' % M[1], "expunge", "Archive", M[1]),
	(r'"@" names no action; it would look like @17', "expunge", "INBOX", "@"),
	(r'"@17" is no append in the queue; .*', "expunge", "INBOX", "@17"),
	# flags
	(r'"\\Seen": a flag is added as \+FLAG, and taken away as -FLAG', "flag", "INBOX", "1", "\\Seen"),
	(r'"Seen" has lost its backslash; for a shell it is written \'\\Seen\'', "flag", "INBOX", "1", "+Seen"),
	(r'there is no system flag "\\Sene"; did you mean "\\Seen"\?', "flag", "INBOX", "1", "+\\Sene"),
	(r'there is no system flag "\\Forwarded": they are .*', "flag", "INBOX", "1", "+\\Forwarded"),
	(r'"\\recent" is the server\'s alone', "flag", "INBOX", "1", "+\\recent"),
	(r'"\\Flagged" is to be added and taken away', "flag", "INBOX", "1", "+\\Flagged", "-\\flagged"),
	(r'"work" is to be added and taken away', "flag", "INBOX", "1", "+work", "-WORK", "+\\Seen"),
	(r"flag needs more words.*|nothing to do: .*", "flag", "INBOX", "1"),
	(r'"" is no flag', "flag", "INBOX", "1", "+"),
	*[(r'".*" is no keyword: .*', "flag", "INBOX", "1", "+" + word) for word in
		("a(", "a)", "{", "%", "a*", 'a"', "a\\b", "a]", "gr\u00fcn", "a\tb", "a\x7f")],
	(r'"a b" is no flag', "flag", "INBOX", "1", "+a b"),
	# to the same place, and names
	(r'nothing to do: "INBOX" is where the messages are', "move", "INBOX", "1", "inbox"),
	(r"INBOX cannot be renamed; .*", "rename", "inbox", "Old"),
	(r'there is a mailbox "Lists" already', "rename", "Archive", "Lists"),
	(r'there is a mailbox "Inbox" already', "rename", "Archive", "Inbox"),
	(r'there is a mailbox "Archive" already', "rename", "Archive", "Archive"),
	(r'"Archive" would be a part of itself', "rename", "Archive", "Archive/old"),
	(r'no mailbox "Nowhere" is known; .*', "rename", "Nowhere", "There"),
	(r"INBOX cannot be deleted", "delete", "INBOX"),
	(r"INBOX is always there", "create", "iNBOX"),
	(r"the name of the mailbox is empty", "create", ""),
	*[(r'".*" is no name: "/" separates the levels, .*', "create", name) for name in ("/a", "a/", "a//b", "/")],
	*[(r'".*" is no name: control characters.*', "create", name) for name in ("a\nb", "a\x7f", "a\u0085b")],
	(r'".*" is no name: control characters, or no UTF-8', "create", "caf\udce9"),
	(r'"aaa.*\.\.\." is too long for a name: .*', "create", "a" * 256),
	(r'"a/aa.*\.\.\." is too long for a name: .*', "create", "a/" + "a" * 256),
	(r'"a/a/.*\.\.\." is too long for a name: .*', "create", "/".join("a" * 510)),
	(r'"" is no name.*|the name of the mailbox is empty', "rename", "Archive", ""),
	# uploads
	(r'cannot read ".*/nothing": No such file or directory', "append", "INBOX", WORK + "/nothing"),
	(r'".*" is not a file', "append", "INBOX", WORK),
	(r'".*/pipe" is not a file', "append", "INBOX", WORK + "/pipe"),
	(r'".*/empty": the message is empty', "append", "INBOX", empty),
	(r'".*/nul": the message .*NUL.*', "append", "INBOX", nul),
	(r'".*" is no keyword: .*', "append", "INBOX", letter, "gr\u00fcn"),
	(r'there is no system flag "\\Junk": .*', "append", "INBOX", letter, "\\Junk"),
]
for why, *words in TABLE:
	refused(why, *words)
subprocess.run([BIN + "/store_set", account.state, "fact", "server.append-limit", "19"], check=True)
refused(r'".*/letter": the message is larger than 19 octets', "append", "INBOX", letter)
subprocess.run([BIN + "/store_set", account.state, "fact", "server.append-limit", "20"], check=True)
refused(r'"-": the message is empty', "append", "INBOX", "-", input="")
refused(r"queue add was given no action, and none came from standard input", input="\n# nothing\n")
for words, why in ((("add",), r"queue add needs more: mailtide queue add ACCOUNT VERB \.\.\."),
	(("drop", "work"), r"queue drop needs more: .*"), (("edit", "work", "x"), r'queue edit: "x" is too much'),
	(("dorp", "work", "1"), r'there is no "queue dorp"; did you mean "drop"\?'),
	(("wrok",), r'the configuration has no account "wrok"; did you mean "work"\?'),
	(("drop", "work", "x"), r'work: "x" is no number of an action; .*'),
	(("drop", "work", "7"), r"work: there is no action 7 in the queue, or it is done"),
	(("retry", "work", "7"), r"work: there is no action 7 in the queue, or it is done"),
	(("add", "work", "-", "--force"), r"work: --force is for delete only; .*"),
	(("--force", "add", "work"), r"work: --force is for delete only; .*"),
	*[(words, r'--force is for "queue add ACCOUNT delete" and "queue drop" only') for words in
		(("retry", "work", "--force"), ("--force", "retry", "work", "7"), ("edit", "--force", "work"), ("--force",),
		("work", "--force"))]):
	run = account.run("queue", *words, input="delete Archive\n")
	is_((run.returncode, run.stdout), (64, ""), "refused: %s: status" % " ".join(words))
	like(run.stderr, "^mailtide: %s\n$" % why, "refused: %s" % " ".join(words))
ok(not os.path.exists(ACTIONS), "nothing was accepted so far")

# What is written

line = queued("flag", "inbox", "1,2,5:9", "+\\seen", "+$Forwarded", "-\\Deleted", "-v", "+Label")
is_(line[0], "1", "numbers begin with 1")
like(line[1], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$", "the time")
is_(line[2:4], ["flag", "INBOX"], "verb and mailbox")
uidvalidity = line[4].split(":")[2].split(",")[0]
is_(line[4], ",".join("%s:%d:%s" % (M[uid], uid, uidvalidity) for uid in (1, 2, 5, 6, 7, 8, 9)),
	"the messages that are there, with UID and UIDVALIDITY")
is_(sorted(line[5:]), ["add=\\Seen $Forwarded Label", "remove=\\Deleted v"], "the flags")
is_(queued("copy", "INBOX", "%s,%s,1" % (M[2], M[1]), "INBOX")[4:],
	["%s:1:%s,%s:2:%s" % (M[1], uidvalidity, M[2], uidvalidity), "to=INBOX"], "a copy to itself, each message once")
is_(queued("move", "INBOX", "5", "Archive")[5], "to=Archive", "a move")
like(queued("flag", "Archive", M[5], "+\\Seen")[4], r"^%s:0:0$" % M[5], "what a queued move brings there")
refused(r'%s is not in "Lists", but in "Archive"' % M[5], "flag", "Lists", M[5], "+\\Seen")

refused(r'%s is not in "INBOX", but in "Archive"' % M[5], "flag", "INBOX", "5", "+\\Seen")
is_(queued("flag", "INBOX", "2:6", "+\\Seen")[4], "%s:2:%s,%s:6:%s" % (M[2], uidvalidity, M[6], uidvalidity),
	"what is moved away is a hole in a range")
refused(r'what is queued leaves none of them in "INBOX"', "flag", "INBOX", "4:5", "+\\Seen")
queued("create", "Trips/2026 100%")
like(queued("copy", "INBOX", "6", "Trips/2026 100%")[5], r"^to=Trips/2026 100%25$", "into what a queued action creates")
queued("create", "Archive")	# R12: creating what exists is success
queued("rename", "Trips/2026 100%", "Trips/done")
refused(r'(no mailbox|a queued action renames or deletes) "Trips/2026 100%".*', "copy", "INBOX", "6", "Trips/2026 100%")
queued("copy", "INBOX", "6", "Trips/done")
queued("rename", "Lists", "News")
refused(r'a queued action renames or deletes "Lists"', "subscribe", "Lists")
queued("rename", "News", "Letters")
refused(r'there is a mailbox "Letters" already', "rename", "Archive", "Letters")
queued("unsubscribe", "Letters/dev")
is_(queued("delete", "Archive/2025", "--force")[5], "force=yes", "--force")
refused(r'a queued action renames or deletes "Archive/2025"', "delete", "Archive/2025")
queued("create", "Archive/2025")
is_(queued("expunge", "INBOX", "8")[2:4], ["expunge", "INBOX"], "an expunge")
refused(r'a queued action expunges %s' % M[8], "flag", "INBOX", "8", "+\\Seen")

os.utime(letter, (1600000000, 1600000000))
line = queued("append", "INBOX", letter, "\\Seen", "$Label1")
CRLF = b"Subject: x\r\n\r\ntext\r\n"
is_(sorted(line[4:]), ["", "date=2020-09-13T12:26:40Z", "flags=\\Seen $Label1", "sha256=" + sha256(CRLF)],
	"an upload: its flags, the time of the file, its hash")
is_(read(account.state + "/outgoing/" + sha256(CRLF)), CRLF, "and its octets")
upload = line[0]
like(queued("flag", "INBOX", "@" + upload, "-\\Seen")[4], r"^(@%s|m\d+:0:0)$" % upload, "an earlier append")
refused(r'(@%s|m\d+) is not in "Archive", but in "INBOX"' % upload, "expunge", "Archive", "@" + upload)
refused(r'"@1" is no append in the queue; .*', "expunge", "INBOX", "@1")
queued("move", "INBOX", "@" + upload, "Letters/dev")
queued("expunge", "Letters/dev", "@" + upload)
refused(r'a queued action expunges (@%s|m\d+)' % upload, "flag", "Letters/dev", "@" + upload, "+\\Seen")
line = queued("append", "INBOX", "-", input="Subject: y\n\nz")
like(" ".join(line), r"date=%s" % time.strftime("%Y-%m-%dT", time.gmtime()), "an upload from standard input: now")
like(" ".join(line), r"sha256=%s" % sha256(b"Subject: y\r\n\r\nz\r\n"), "the last line is ended")

run = account.run("--json", "queue", "add", "work", "create", "Json")
is_(json.loads(run.stdout), {"type": "queued", "account": "work", "number": int(lines()[-1][0])}, "--json")

# Many lines

before = lines()
run = add("-", input="# a comment\n\n  create  'a b'\ncreate \"a\\\"b\"\ncopy INBOX 6 a\\ b\n" +
	"flag INBOX 6 +'\\Seen' \"-\\Answered\" +\\\\Draft\n" +
	"delete 'a b' --force\ncreate -- --force")
after = lines()[len(before):]
is_((run.returncode, run.stderr), (0, ""), "lines from standard input")
is_(run.stdout.split(), [line[0] for line in after], "their numbers, one a line")
is_([line[2:] for line in after], [["create", "a b", ""], ["create", 'a"b', ""],
	["copy", "INBOX", "%s:6:%s" % (M[6], uidvalidity), "to=a b"],
	["flag", "INBOX", "%s:6:%s" % (M[6], uidvalidity), "add=\\Seen \\Draft", "remove=\\Answered"],
	["delete", "a b", "", "force=yes"], ["create", "--force", ""]], "their words as of a shell")
refused(r"line 3: unknown verb \"nonsense\".*", "-", input="create b1\ncreate b2\nnonsense\ncreate b3\n")
refused(r"line 2: no mailbox \"b9\" is known.*", input="create b8\nsubscribe b9\n")
refused(r"line 1: a ' is not closed", "-", input="create 'a\n")
refused(r'line 1: a " is not closed', "-", input='create "a\n')
refused(r"line 1: nothing follows the last \\", "-", input="create a\\")
refused(r"line 2: the line ends with CR and LF.*", "-", input="create b1\ncreate b2\r\n")
refused(r"line 1: the line has a NUL in it", "-", input="create a\0b\n")
refused(r'line 4: %s is not in "INBOX", but in "b2"' % M[7], "-",
	input="create b1\nmove INBOX %s b1\nrename b1 b2\nflag INBOX %s +work\n" % (M[7], M[7]))
refused(r"line 1: standard input holds the actions, .*", "-", input="append INBOX -\n")
run = add("-", input="")
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "no lines at all, where they were announced")

# The list

run = account.run("queue", "work")
is_((run.returncode, run.stderr), (0, ""), "the list")
rows = [line.split("\t") for line in run.stdout.splitlines()]
is_(len(rows), len(lines()), "all of them are there")
is_(rows[0][0::2][:2] + rows[0][3:5], ["1", rows[0][2], "flag", "INBOX"], "number, verb, mailbox")
is_(rows[0][5], "%s,%s,%s and 4 more +\\Seen +$Forwarded +Label -\\Deleted -v" % (M[1], M[2], M[5]), "what it does")
ok(rows[0][1] in ("new", "waiting"), "its state", rows[0][1])
is_(rows[2][5], "%s to Archive" % M[5], "a move")
run = account.run("queue")
ok(run.stdout.startswith("work\t1\t"), "of all accounts: with the account's name", run.stdout[:50])
run = account.run("--json", "queue", "work")
objects = [json.loads(line) for line in run.stdout.splitlines()]
is_(len(objects), len(rows), "--json: as many objects")
first = objects[0]
is_([first[k] for k in ("type", "account", "number", "verb", "mailbox", "message_count", "add")],
	["queued", "work", 1, "flag", "INBOX", 7, "\\Seen $Forwarded Label"], "--json: the fields")
is_(first["messages"], [M[uid] for uid in (1, 2, 5, 6, 7, 8, 9)], "--json: the messages")

# Retry and drop, in another account

HOME = other.state + "/actions"


def queue(*words, **options):
	return other.run("queue", *words, **options)


def home():
	"""The list: number -> [state, verb, mailbox, what, reason]"""
	run = queue("home")
	is_((run.returncode, run.stderr), (0, ""), "home: the list")
	rows = [line.split("\t") for line in run.stdout.splitlines()]
	return {row[0]: [row[1]] + row[3:] for row in rows}


def state(number, *words):
	subprocess.run([BIN + "/store_set", other.state, "action", str(number), *words], check=True)


def says(status, text, *words, **options):
	"""That status, and that on standard error; nothing on standard output."""
	run = queue(*words, **options)
	is_((run.returncode, run.stdout), (status, ""), "%s: status" % " ".join(words))
	like(run.stderr, "^(%s)$" % text, " ".join(words))


for n in range(5):
	is_(queue("add", "home", "create", "box%d" % n).stdout, "%d\n" % (n + 1), "home: action %d" % (n + 1))
says(64, "mailtide: home: action 1 has not failed, it waits\n", "retry", "home", "1")
says(0, "", "retry", "home")
state(1, "failed", "the server says: no\x1b[7m")
state(2, "unknown", "cut, and cannot be found out")
state(3, "sending")
state(4, "held", "who knows")
rows = home()
is_([rows[n][0] for n in "12345"], ["failed", "unknown", "sending", "held", "waiting"], "their states")
is_(rows["1"], ["failed", "create", "box0", "", "the server says: no%1B[7m"], "with the reason")
objects = [json.loads(line) for line in other.run("--json", "queue").stdout.splitlines()]
is_([(o["number"], o["state"], o["reason"]) for o in objects[1:3]],
	[(2, "unknown", "cut, and cannot be found out"), (3, "sending", None)], "the same as JSON")
run = other.run("status")
like(run.stdout, r"(?m)^home: actions: 2 waiting, 1 failed, 1 held, 1 unknown$", "status counts them")
like(run.stdout, r"(?m)^home: action 1 failed, create box0: the server says: no%1B\[7m$", "status tells why")
like(run.stdout, r'(?m)^home: "mailtide queue retry home" tries them again, .*$', "and what can be done")
run = json.loads(other.run("--json", "status").stdout)
KEYS = "number", "state", "blocked_by", "reason"
is_([[stuck[k] for k in KEYS] for stuck in run["stuck"]],
	[[o[k] for k in KEYS] for o in objects if o["state"] in ("failed", "unknown", "held")], "status as JSON: the same of each")
is_(run["actions"], {"waiting": 1, "sending": 1, "failed": 1, "held": 1, "unknown": 1, "local": 0, "new": 0},
	"status as JSON")
says(64, "mailtide: home: action 3 has not failed, it is being sent\n", "retry", "home", "1", "3")
says(64, "mailtide: home: there is no action 9 in the queue, or it is done\n", "drop", "home", "1", "9")
says(64, "mailtide: home: action 3 is being sent, and may be done already; .*--force\n", "drop", "home", "3")
is_(home(), rows, "nothing has happened yet")
says(0, "", "retry", "home", "1")
is_(home()["1"][0], "waiting", "retry")
says(0, "", "drop", "home", "2", "2", "4")
is_(sorted(home()), ["1", "3", "5"], "drop")
state(5, "failed", "why not")
says(0, "", "retry", "home")
is_([row[0] for row in home().values()], ["waiting", "sending", "waiting"], "retry of all that failed")
says(0, "", "drop", "home", "--force", "3")
is_(sorted(home()), ["1", "5"], "drop --force")

# Lines that somebody else has written

with open(HOME, "a") as f:
	f.write("-\t-\tcreate\tby script\t\n77\t-\tflag\n-\t-\tsend\tINBOX\t\n")
run = queue("add", "home", "subscribe", "INBOX")
is_((run.returncode, run.stdout), (0, "80\n"), "an action behind them")
rows = home()
like(rows["77"][0] + rows["77"][-1], r"^heldfield 4 \(mailbox\) is missing$", "one that cannot be read is held")
whole = read(HOME)
with open(HOME, "wb") as f:
	f.write(whole.replace(b"\t-\tflag\n", b"\t-\n").replace(b"create\tbox4\t", b"create"))
objects = [json.loads(line) for line in other.run("--json", "queue").stdout.splitlines()]
run = json.loads(other.run("--json", "status").stdout)
is_([[stuck[k] for k in KEYS] for stuck in run["stuck"]],
	[[o[k] for k in KEYS] for o in objects if o["state"] in ("failed", "unknown", "held")], "with another mistake: the same of each")
is_([o["state"] for o in objects if o["number"] == 5], ["waiting"], "a line that is taken up is not read again")
with open(HOME, "wb") as f:
	f.write(whole)
is_((rows["79"][0], rows["79"][1]), ("held", "send"), "one of a later version, too")
is_(rows["78"][:3], ["waiting", "create", "by script"], "the script's has its number")
says(0, "", "drop", "home", "77", "79")
is_(sorted(home()), ["1", "5", "78", "80"], "they can be dropped")

# Edit


def edit(script, **options):
	with open(WORK + "/editor", "w") as f:
		f.write("#!/bin/sh\n" + script)
	os.chmod(WORK + "/editor", 0o755)
	env = {**os.environ, "EDITOR": WORK + "/editor", **options}
	env.pop("VISUAL", None) if "VISUAL" not in options else None
	return queue("edit", "home", env=env)


def kept(run):
	"""The text that a mistake leaves. -> its path"""
	found = re.search(r'nothing is changed; the text is in "([^"]*)": ', run.stderr)
	return found[1] if found else "/dev/null"


def mistake(script, why):
	before, rows = read(HOME), home()
	run = edit(script)
	is_((run.returncode, run.stdout), (64, ""), "edit: %s: status" % why)
	like(run.stderr, "^mailtide: home: %s\n" % why, "edit: %s" % why)
	ok(read(kept(run)) or "empty" in why, "the text is kept")
	is_((read(HOME), home()), (before, rows), "and nothing is changed")


state(5, "failed", "full")
state(1, "sending")
before = read(HOME)
run = edit('cp "$1" %s/text' % WORK)
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "edit: nothing is changed")
is_(read(HOME), before, "and nothing written")
text = read(WORK + "/text").decode().split("\n")
ok(any(line.startswith("# being sent, not to be changed: 1\t") for line in text), "what is being sent is a comment")
at = text.index(next(line for line in text if line.startswith("5\t")))
is_(text[at - 1], "# failed: full", "the reason stands above")
is_([line.split("\t")[0] for line in text if line and line[0] != "#"], ["5", "78", "80"], "what can be edited")
is_(edit("exit 3").returncode, 64, "the editor fails")
is_(edit("exit 3", VISUAL="true; :").returncode, 0, "VISUAL comes first, and is a command")
mistake("sed -i 's/subscribe/subscrieb/' $1", r'line \d+: "subscrieb" is no verb of an action')
mistake("sed -i '/^78/s/by script/INBOX/' $1", r"line \d+: INBOX is always there")
mistake("sed -i 's/^78/79/' $1", r'line \d+: there was no action 79 in this text; a new one begins with "-"')
mistake("sed -i 's/^80\\t/78\\t/' $1", r"line \d+: action 78 is there twice")
mistake("sed -i 's/^78\\t/78 /' $1", r"line \d+: field 1 \(number\): .*")
mistake(r"printf -- '-\t-\tmove\tINBOX\t%s:2:1\tto=Archive\n' >>$1" % M[1], r"line \d+: m1 has the UID 1 .*, not 2")
mistake(": >$1", r"the text is empty; .*")
run = edit("sed -i '/^5\\t/s/box4/box five/; /^78/d' $1; printf -- '-\\t-\\tmove\\tINBOX\\t%s,m2\\tto=Archive\\n' >>$1" % M[1])
is_((run.returncode, run.stderr), (0, ""), "edit: one changed, one deleted, one new")
number = run.stdout.strip()
rows = home()
is_(sorted(rows), sorted(["1", "5", "80", number]), "what is left")
is_(rows["5"][:3], ["waiting", "create", "box five"], "what was changed waits again")
is_(rows[number], ["waiting", "move", "INBOX", "m1,m2 to Archive"], "what is new")
run = edit("sed -i '/to=Archive/s//to=Lists/; /^%s/s/m1.*\\t/m1\\t/' $1" % number)
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "edit: what it does does not stand in its own way")
is_(home()[number], ["waiting", "move", "INBOX", "m1 to Lists"], "it is changed")

# The file of another store

line = read(HOME)
with open(HOME, "wb") as f:
	f.write(re.sub(rb"^mailtide-actions 1 \S+", b"mailtide-actions 1 0123456789abcdef", line))
run = queue("home")
is_(set(row.split("\t")[1] for row in run.stdout.splitlines()), {"held"}, "another store: all are held")
like(run.stderr, '"mailtide queue retry home" takes them over', "and how to go on is said")
os.rename(other.state + "/store", WORK + "/lost")
like(other.run("status").stdout, r"^home: never synced\nhome: actions: \d+ held, made for another store; .*\n$",
	"the store is lost: status tells what is queued")
os.rename(WORK + "/lost", other.state + "/store")
says(64, "mailtide: home: the queue holds actions of another store; .*\n", "add", "home", "create", "y")
says(64, "mailtide: home: all actions are held, .*\n", "retry", "home", "5")
says(64, "mailtide: home: the actions were made for another store; .*\n", "edit", "home")
says(0, "", "drop", "home", "80")
ok(b"\n80\t" not in read(HOME), "one can be dropped")
run = queue("retry", "home")
is_(run.returncode, 0, "another store: retry")
like(run.stderr, "^mailtide: home: the actions were made for another store and are taken over; ", "and says what it does")
is_(read(HOME).split()[2], line.split()[2], "the file is ours")

# Somebody else works on the account

before = len(lines())
with open(account.state + "/lock", "a") as lock:
	fcntl.flock(lock, fcntl.LOCK_EX)
	run = add("create", "meanwhile")
	is_((run.returncode, run.stderr, len(lines()) - before), (0, "", 1), "accepted while the lock is held")
	run = account.run("-v", "queue", "add", "work", "subscribe", "meanwhile")
	is_(run.returncode, 0, "and what follows from it")
	run = account.run("fetch", "work", "INBOX:7", timeout=60)
	is_((run.returncode, run.stdout), (0, ""), "fetch, too")
	like(run.stderr, "^mailtide: work: another mailtide works on this account; it will bring them\n$", "and says so")
	run = account.run("-v", "fetch", "work", "INBOX:8", timeout=60)
	like(run.stderr, "^mailtide: work: another mailtide works on this account; it will bring them\n$", "with -v: once")
	run = account.run("--json", "fetch", "work", "INBOX:9", timeout=60)
	is_([json.loads(line)["text"] for line in run.stdout.splitlines()],
		["another mailtide works on this account; it will bring them"], "as JSON: once")

	# Nothing but the append: one fdatasync for all of them.
	before, count = len(lines()), WORK + "/fsyncs"
	began = time.monotonic()
	run = add("-", input="flag INBOX %s,7,1:2 +\\\\Seen -work\n" % M[6] * 10000,
		env={**os.environ, **({} if ASAN else {"LD_PRELOAD": BIN + "/fsync_preload.so", "FSYNC_COUNT_FILE": count})})
	is_((run.returncode, run.stderr, run.stdout.count("\n"), len(lines()) - before), (0, "", 10000, 10000), "10,000 lines")
	diag("10,000 lines: %.2f s" % (time.monotonic() - began))
	if not ASAN:
		counted = dict(pair.split("=") for pair in read(count).decode().split()[:5])
		is_((counted["fdatasync"], counted["fsync"]), ("1", "0"), "one fdatasync for all of them")

done_testing()
