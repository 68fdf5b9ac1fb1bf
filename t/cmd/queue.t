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
	(r'no mailbox "Nowhere" is known', "delete", "Nowhere"),
	(r'no mailbox "Archiv" is known; did you mean "Archive"\?', "move", "INBOX", "1", "Archiv"),
	(r'no mailbox "Nowhere" is known', "append", "Nowhere", letter),
	(r"the name of the mailbox is empty", "flag", "", "1", "+\\Seen"),
	(r"the name of the mailbox is empty", "copy", "INBOX", "1", ""),
	# messages
	(r'no message with the UID 3 is known in "INBOX"', "flag", "INBOX", "3", "+\\Seen"),
	(r'no message with the UID 3:4 is known in "INBOX"', "flag", "INBOX", "1,3:4", "+\\Seen"),
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
	(r'there is no system flag "\\Sene"; did you mean "Seen"\?', "flag", "INBOX", "1", "+\\Sene"),
	(r'there is no system flag "\\Forwarded": they are .*', "flag", "INBOX", "1", "+\\Forwarded"),
	(r'"\\recent" is the server\'s alone', "flag", "INBOX", "1", "+\\recent"),
	(r'"\\Flagged" is to be added and taken away', "flag", "INBOX", "1", "+\\Flagged", "-\\flagged"),
	(r'"work" is to be added and taken away', "flag", "INBOX", "1", "+work", "-WORK", "+\\Seen"),
	(r"flag needs more words.*|nothing to do: .*", "flag", "INBOX", "1"),
	(r'"" is no flag', "flag", "INBOX", "1", "+"),
	*[(r'".*" is no keyword: .*', "flag", "INBOX", "1", "+" + word) for word in
		("a(", "a)"[:1] + "{", "%", "a*", 'a"', "a\\b", "a]", "gr\u00fcn", "a\tb", "a\x7f")],
	(r'"a b" is no flag', "flag", "INBOX", "1", "+a b"),
	# to the same place, and names
	(r'nothing to do: "INBOX" is where the messages are', "move", "INBOX", "1", "inbox"),
	(r"INBOX cannot be renamed; .*", "rename", "inbox", "Old"),
	(r'there is a mailbox "Lists" already', "rename", "Archive", "Lists"),
	(r'there is a mailbox "Inbox" already', "rename", "Archive", "Inbox"),
	(r'there is a mailbox "Archive" already', "rename", "Archive", "Archive"),
	(r'"Archive" would be a part of itself', "rename", "Archive", "Archive/old"),
	(r'no mailbox "Nowhere" is known', "rename", "Nowhere", "There"),
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
refused(r'"-": the message is empty', "append", "INBOX", "-", input="")
refused(r"queue add was given no action, and none came from standard input", input="\n# nothing\n")
for words, why in ((("add",), r"queue add needs more: mailtide queue add ACCOUNT VERB \.\.\."),
	(("drop", "work"), r"queue drop needs more: .*"), (("edit", "work", "x"), r'queue edit: "x" is too much'),
	(("dorp", "work", "1"), r'there is no "queue dorp"; did you mean "drop"\?'),
	(("wrok",), r'the configuration has no account "wrok"; did you mean "work"\?'),
	(("drop", "work", "x"), r'work: "x" is no number of an action; .*'),
	(("drop", "work", "7"), r"work: there is no action 7 in the queue, or it is done"),
	(("retry", "work", "7"), r"work: there is no action 7 in the queue, or it is done")):
	run = account.run("queue", *words)
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
refused(r'%s is not in "Lists", but in "INBOX"' % M[5], "flag", "Lists", M[5], "+\\Seen")

queued("create", "Trips/2026 100%")
like(queued("copy", "INBOX", "6", "Trips/2026 100%")[5], r"^to=Trips/2026 100%25$", "into what a queued action creates")
queued("create", "Archive")	# R12: creating what exists is success
queued("rename", "Trips/2026 100%", "Trips/done")
refused(r'no mailbox "Trips/2026 100%" is known', "copy", "INBOX", "6", "Trips/2026 100%")
queued("copy", "INBOX", "6", "Trips/done")
queued("rename", "Lists", "News")
queued("subscribe", "News/dev")
refused(r'no mailbox "Lists/dev" is known.*', "subscribe", "Lists/dev")
queued("rename", "News", "Lists")
queued("unsubscribe", "Lists/dev")
is_(queued("delete", "Archive/2025", "--force")[5], "force=yes", "--force")
refused(r'no mailbox "Archive/2025" is known.*', "delete", "Archive/2025")
queued("create", "Archive/2025")
is_(queued("expunge", "INBOX", "8")[2:4], ["expunge", "INBOX"], "an expunge")
is_(queued("fetch", "INBOX", "7")[2], "fetch", "a fetch")

os.utime(letter, (1600000000, 1600000000))
line = queued("append", "INBOX", letter, "\\Seen", "$Label1")
CRLF = b"Subject: x\r\n\r\ntext\r\n"
is_(sorted(line[4:]), ["", "date=2020-09-13T12:26:40Z", "flags=\\Seen $Label1", "sha256=" + sha256(CRLF)],
	"an upload: its flags, the time of the file, its hash")
is_(read(account.state + "/outgoing/" + sha256(CRLF)), CRLF, "and its octets")
upload = line[0]
is_(queued("flag", "INBOX", "@" + upload, "-\\Seen")[4], "@" + upload, "an earlier append")
refused(r'"@%s" is not in "Lists"' % upload, "expunge", "Lists", "@" + upload)
refused(r'"@1" is no append in the queue; .*', "expunge", "INBOX", "@1")
queued("move", "INBOX", "@" + upload, "Lists")
queued("expunge", "Lists", "@" + upload)
line = queued("append", "INBOX", "-", input="Subject: y\n\nz")
like(" ".join(line), r"date=%s" % time.strftime("%Y-%m-%dT", time.gmtime()), "an upload from standard input: now")
like(" ".join(line), r"sha256=%s" % sha256(b"Subject: y\r\n\r\nz\r\n"), "the last line is ended")

run = account.run("--json", "queue", "add", "work", "create", "Json")
is_(json.loads(run.stdout), {"type": "queued", "account": "work", "number": int(lines()[-1][0])}, "--json")

# Many lines

before = lines()
run = add("-", input="# a comment\n\n  create  'a b'\ncreate \"a\\\"b\"\nmove INBOX 6 a\\ b\n" +
	"flag INBOX 6 +'\\Seen' \"-\\Answered\" +\\\\Draft\n" +
	"delete 'a b' --force\ncreate -- --force")
after = lines()[len(before):]
is_((run.returncode, run.stderr), (0, ""), "lines from standard input")
is_(run.stdout.split(), [line[0] for line in after], "their numbers, one a line")
is_([line[2:] for line in after], [["create", "a b", ""], ["create", 'a"b', ""],
	["move", "INBOX", "%s:6:%s" % (M[6], uidvalidity), "to=a b"],
	["flag", "INBOX", "%s:6:%s" % (M[6], uidvalidity), "add=\\Seen \\Draft", "remove=\\Answered"],
	["delete", "a b", "", "force=yes"], ["create", "--force", ""]], "their words as of a shell")
refused(r"line 3: unknown verb \"nonsense\".*", "-", input="create b1\ncreate b2\nnonsense\ncreate b3\n")
refused(r"line 2: no mailbox \"b9\" is known.*", input="create b8\nsubscribe b9\n")
refused(r"line 1: a ' is not closed", "-", input="create 'a\n")
refused(r'line 1: a " is not closed', "-", input='create "a\n')
refused(r"line 1: nothing follows the last \\", "-", input="create a\\")
refused(r"line 2: the line ends with CR and LF.*", "-", input="create b1\ncreate b2\r\n")
refused(r"line 1: the line has a NUL in it", "-", input="create a\0b\n")
refused(r"line 1: standard input holds the actions, .*", "-", input="append INBOX -\n")
run = add("-", input="")
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "no lines at all, where they were announced")

before, count = len(lines()), WORK + "/fsyncs"
run = add("-", input="flag INBOX %s,7,1:2 +\\\\Seen -work\n" % M[6] * 10000,
	env={**os.environ, "LD_PRELOAD": BIN + "/fsync_preload.so", "FSYNC_COUNT_FILE": count})
is_((run.returncode, run.stderr, run.stdout.count("\n"), len(lines()) - before), (0, "", 10000, 10000), "10,000 lines")
if "asan" not in BUILD:
	counted = dict(pair.split("=") for pair in read(count).decode().split()[:5])
	is_((counted["fdatasync"], counted["fsync"]), ("1", "0"), "one fdatasync for all of them")

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

done_testing()
