#!/usr/bin/python3
"""The queue from the side of this machine: odd orders, lines of scripts, crashes while the Maildir follows, and what a
pull does to messages that actions wait for."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
users = 0


class Case:
	"""A user of its own, with n messages in INBOX and the mailboxes A and B, synced once."""

	def __init__(self, n=1, port=None, **keys):
		global users
		users += 1
		self.user = "local%d" % users
		self.c = server_client(server, self.user)
		for name in "A", "B":
			self.c.create(name)
		for i in range(n):
			self.c.append("INBOX", mail(1000 * users + i), date="01-Feb-2020 10:00:00 +0000")
		self.account = Account(port or server.port, user=self.user, **keys)
		run = self.account.sync()
		if run.returncode:
			raise RuntimeError(run.stderr)
		self.m = {uid: row.number for uid, row in self.account.ls("INBOX").items()}

	def add(self, *words, status=0):
		run = self.account.run("queue", "add", "work", *words)
		if run.returncode != status:
			raise RuntimeError("queue add %s: %d %s" % (words, run.returncode, run.stderr))
		return run.stdout.strip()

	def queue(self, *words):
		return self.account.run("queue", *words)

	def lines(self):
		return self.account.run("queue", "work").stdout

	def script(self, *lines):
		"""Lines as a script adds them; fields with a blank between."""
		with open(self.account.state + "/actions", "a") as f:
			for line in lines:
				f.write(line.replace(" ", "\t") + "\n")

	def at_server(self, mailbox, *uids):
		"""Somebody else expunges."""
		self.c.select(mailbox)
		self.c.store(",".join(map(str, uids)), "+FLAGS.SILENT", "\\Deleted")
		self.c.cmd("EXPUNGE")
		self.c.ok("UNSELECT")

	def bodies(self, mailbox):
		return sorted(m.sha256 for m in server_messages(self.c, mailbox).values())



# Hidden and shown again, several times in one transaction, and killed after each projection: no file is lost, none
# is left behind.

HIDE = "- - expunge %s m1"


def drop(*numbers):
	return "- - drop   action=%s" % ",".join(map(str, numbers))


for name, files, lines in (
	("hidden and shown twice", 1, [HIDE % "INBOX", drop(2), HIDE % "INBOX", drop(4)]),
	("three times", 1, [HIDE % "INBOX", drop(2), HIDE % "INBOX", drop(4), HIDE % "INBOX", drop(6)]),
	("moved, hidden, shown", 1, ["- - move INBOX m1 to=A", HIDE % "A", drop(3)]),
	("moved, hidden, both dropped", 1, ["- - move INBOX m1 to=A", HIDE % "A", drop(3), drop(2)]),
	("moved, hidden, the move dropped", 1, ["- - move INBOX m1 to=A", HIDE % "A", drop(2)]),
	("moved, hidden, shown, moved", 1, ["- - move INBOX m1 to=A", HIDE % "A", drop(3), "- - move A m1 to=B"]),
	("hidden, shown, moved, hidden", 0, [HIDE % "INBOX", drop(2), "- - move INBOX m1 to=A", HIDE % "A"])):
	found, n, killed = [], 0, True
	while killed and n < 20:
		n += 1
		k = Case()
		k.add("flag", "INBOX", "1", "+\\Seen")
		k.script(*lines)
		run = k.account.run("queue", "add", "work", "create", "X",
			env={**os.environ, "MAILTIDE_POINT": "sync.after-projection:%d" % n})
		killed = run.returncode < 0
		k.add("create", "Y")
		check = k.account.run("check", "work")
		if check.returncode or len(k.account.files()) != files:
			found.append("%d: %s %s" % (n, k.account.files(), check.stdout))
	ok(not found and n > 1, "%s: %d projections" % (name, n - 1), "\n".join(found))

# on-message-gone = "upload": what will be uploaded is shown until then, with the flags that waited before the move.

k = Case(2, on_message_gone="upload")
k.add("flag", "INBOX", "1", "+\\Flagged")
k.add("move", "INBOX", "1", "A")
is_((list(k.account.ls("A")), list(k.account.ls("INBOX"))), ([0], [2]), "ls: moved, it has no UID there yet")
k.at_server("INBOX", 1)
is_(k.account.sync("--pull").returncode, 0, "upload: only pulled, the message is gone")
is_([p.rpartition("/mail/")[2].split("/")[0] + file_letters(p) for p in k.account.files()], ["AF", "INBOX"],
	"upload: the file stays")
k.account.syncs("upload: sync")
is_([m.flags for m in server_messages(k.c, "A").values()], [{"\\Flagged"}], "upload: it is there, flagged")
same(k.account, k.c, "upload: both sides are equal")
k = Case(2, on_message_gone="upload")
k.add("move", "INBOX", "1", "A")
k.at_server("INBOX", 1)
k.account.sync("--pull")
is_(k.queue("drop", "work", "1").returncode, 0, "upload: dropped")
k.account.syncs("upload: then a sync")
same(k.account, k.c, "upload: what was dropped is gone here, too")
is_(k.account.run("ls", "work", "A").stdout, "", "upload: nothing is left of it")

# A dry run tells what the server says, and is no news of actions.

for policy in "abort", "skip", "upload":
	for verb in ["move", "INBOX", "1", "A"], ["copy", "INBOX", "1", "A"], ["expunge", "INBOX", "1"]:
		k = Case(2, on_message_gone=policy)
		k.add(*verb)
		k.at_server("INBOX", 1)
		before, store = k.account.snapshot(), sha256(read(k.account.state + "/store/data.mdb"))
		run = k.account.sync("--dry-run")
		is_((run.returncode, run.stderr), (0, ""), "dry run: %s, %s" % (verb[0], policy))
		is_((k.account.snapshot() == before, sha256(read(k.account.state + "/store/data.mdb"))), (True, store),
			"dry run: nothing is written")

# A line that cannot be read, or not by this version, is held, and stays so when it is tried again.

k = Case()
k.add("flag", "INBOX", "1", "+\\Seen")
k.script("- - fl%zzag INBOX m1", "- - dance INBOX m1", "7 - flag INBOX m1", "- - flag Nowhere m1 add=\\Seen")
k.add("flag", "INBOX", "1", "+\\Flagged")
held = re.findall(r"(?m)^(\d+)\theld\t", k.lines())
is_(len(held), 2, "held: two lines")
is_(k.queue("retry", "work").returncode, 0, "held: retried")
k.account.syncs("held: a sync")
is_(re.findall(r"(?m)^(\d+)\theld\t", k.lines()), held, "held: they still are")
is_(len(re.findall(r"(?m)^\d+\tfailed\t", k.lines())), 2, "held: what did not fit still does not")
like(read(k.account.state + "/actions").decode(), r"fl%zzag\t(.*\n)+.*dance\t", "held: their lines are in the file")
with open(k.account.state + "/actions") as f:
	text = f.read().replace("fl%zzag", "flag").replace("INBOX\tm1\n", "INBOX\tm1\tadd=\\Answered\n")
write(k.account.state + "/actions", text)
k.queue("retry", "work", *held)
k.account.syncs("held: mended by hand")
is_(k.account.ls("INBOX")[1].flags, {"\\Answered", "\\Flagged", "\\Seen"}, "held: then it is done")

# Many actions on one message, each of which needs the one before.

k = Case()
k.add("move", "INBOX", "1", "A")
k.script(*[("- - move A m1 to=INBOX", "- - move INBOX m1 to=A")[i % 2] for i in range(20000)])
k.add("create", "X")
run = k.account.run("queue", "drop", "work", "1")
is_(run.returncode, 0, "20,000 moves of one message: the first one is dropped")
like(k.lines(), r"^2\tfailed\t.*action 1, which it needs, was dropped\n3\tfailed\t.*action 2, which it needs, failed\n",
	"the others fail by name")
is_([os.path.dirname(p) for p in k.account.files()], [k.account.maildir + "/INBOX/new"], "the file is where it was")
run = k.account.run("queue", "retry", "work", "20001")
is_(run.returncode, 0, "the last one is tried again")
like(run.stderr, r"action 20001 is not tried again: what it needs was dropped", "which is told to be in vain")

# What failed for another one is tried again with that one.

k = Case(on_missing_mailbox="abort")
k.add("move", "INBOX", "1", "A")
k.add("flag", "A", "m1", "+\\Flagged")
k.add("move", "A", "m1", "B")
k.c.delete("A")
is_(k.account.sync().returncode, 1, "a move fails, and two with it")
k.c.create("A")
is_(k.queue("retry", "work", "3").returncode, 0, "the last one is tried again")
k.account.syncs("sync: all are done")
is_((k.lines(), [m.flags for m in server_messages(k.c, "B").values()]), ("", [{"\\Flagged"}]), "all of them")
same(k.account, k.c, "both sides are equal")

# What had failed, and is tried again when its message is gone from the server.

for verb in "copy", "move":
	for policy in "skip", "abort", "upload":
		what = "%s that failed, %s" % (verb, policy)
		k = Case(on_missing_mailbox="abort", on_message_gone=policy)
		k.add(verb, "INBOX", "1", "A")
		body = k.bodies("INBOX")
		k.c.delete("A")
		is_(k.account.sync().returncode, 1, what + ": it fails")
		k.at_server("INBOX", 1)
		k.account.sync()
		k.c.create("A")
		k.queue("retry", "work")
		run = k.account.sync()
		if policy == "abort":
			is_((run.returncode, "the message is gone from the server" in run.stderr), (1, True), what + ": fails again")
			like(k.lines(), r"^1\tfailed\t", what + ": and stays")
			k.queue("drop", "work", "1")
		elif policy == "upload" and verb == "copy":
			is_((k.lines(), k.bodies("A")), ("", body), what + ": uploaded")
		else:
			like(run.stderr, r"message m1 is gone from the server, and left out", what + ": told")
			is_(k.lines(), "", what + ": it is out of the queue")
		k.account.syncs(what + ": sync")
		same(k.account, k.c, what + ": both sides are equal")

# An append that is edited makes another message; what was to be done to the first one is not taken for done.

k = Case()
write(k.account.dir + "/letter", "Subject: a letter\n\ntext\n")
k.add("append", "A", k.account.dir + "/letter")
k.add("flag", "A", "@1", "+\\Flagged")
env = {name: value for name, value in os.environ.items() if name != "VISUAL"}
run = k.account.run("queue", "edit", "work", env={**env, "EDITOR": "sed -i '/append/s/$/\\tflags=\\\\Draft/'"})
is_(run.returncode, 0, "an append is edited")
run = k.queue("retry", "work")
like(run.stderr, r"action 2 is not tried again", "edited append: what needed it is told to be in vain")
k.account.syncs("edited append: sync")
is_([m.flags for m in server_messages(k.c, "A").values()], [{"\\Draft"}], "edited append: it is there")
like(k.lines(), r"^2\tfailed\t", "edited append: the other one stays with its reason")

# A mailbox that is gone from the server, and is made anew by the queue, is one mailbox here.

k = Case()
k.c.append("A", mail(5))
k.account.syncs("gone: a sync")
k.c.delete("A")
k.account.sync()
k.account.sync()
k.add("create", "A")
k.add("move", "INBOX", "1", "A")
is_(k.account.mailboxes().count("A"), 1, "gone: it is listed once")
time.sleep(1.1)	# Dovecot's UIDVALIDITY is made of the time
is_(k.account.sync().returncode, 0, "gone: it is made")
k.account.syncs("gone: another sync")
same(k.account, k.c, "gone: both sides are equal")

# The store is lost, and the actions are taken over: a local number in them names another message now.

k = Case(3)
write(k.account.dir + "/letter", "Subject: a letter\n\ntext\n")
k.add("append", "INBOX", k.account.dir + "/letter")
k.add("expunge", "INBOX", "@1")
k.add("flag", "INBOX", "2", "+\\Flagged")
k.script("- - expunge INBOX m5")
for n in 123, 124, 125:
	k.c.append("INBOX", mail(n))
shutil.rmtree(k.account.state + "/store")
shutil.rmtree(k.account.maildir)
k.account.syncs("store lost: a new one")
is_(k.queue("retry", "work").returncode, 0, "store lost: the actions are taken over")
run = k.account.sync()
is_(sorted(server_messages(k.c, "INBOX")), [1, 2, 3, 4, 5, 6, 7], "store lost: nobody else's message is expunged")
is_(re.findall(r"(?m)^(\d)\tfailed\t.*another store", k.lines()), ["2", "4"], "store lost: what cannot be told fails")
is_(server_messages(k.c, "INBOX")[2].flags, {"\\Flagged"}, "store lost: what has a UID is done")
k.add("expunge", "INBOX", "m4")
k.account.syncs("store lost: a new action")
is_(sorted(server_messages(k.c, "INBOX")), [1, 2, 3, 5, 6, 7], "store lost: that is done")

# An action that is edited keeps its place in the order, also in what is shown.

def edit(k, script):
	env = {name: value for name, value in os.environ.items() if name != "VISUAL"}
	return k.account.run("queue", "edit", "work", env={**env, "EDITOR": "sed -i " + script})


SEEN_TOO = "'s/add=.*Flagged/& \\\\Seen/'"
k = Case()
k.add("flag", "INBOX", "1", "+\\Flagged")
k.add("flag", "INBOX", "1", "-\\Flagged")
is_(edit(k, SEEN_TOO).returncode, 0, "edited before a flag")
is_([file_letters(p) for p in k.account.files()], ["S"], "edited before a flag: the file shows both")
for then, shown in (["move", "INBOX", "1", "A"], ["FS"]), (["expunge", "INBOX", "1"], []):
	k = Case()
	k.add("flag", "INBOX", "1", "+\\Flagged")
	k.add(*then)
	run = edit(k, SEEN_TOO)
	is_((run.returncode, run.stderr), (0, ""), "edited before a %s" % then[0])
	is_([file_letters(p) for p in k.account.files()], shown, "edited before a %s: what is shown" % then[0])
	k.account.syncs("edited before a %s: sync" % then[0])
	is_([m.flags for m in server_messages(k.c, "A").values()], [{"\\Flagged", "\\Seen"}][:len(shown)],
		"edited before a %s: it is done in that order" % then[0])

# What needs an edited action and is left as it was is done where it still fits; what was dropped is not in the way.

for name, lines, script, wanted in (
	("renamed otherwise", ["rename A C", "move INBOX 1 C"], "-e '/rename/s/to=C/to=D/' -e '/move/s/to=C/to=D/'",
		{"B": 0, "D": 1, "INBOX": 1}),
	("renamed otherwise, one line left", ["rename A C", "copy INBOX 2 B", "move INBOX 1 C"],
		"-e '/rename/s/\\t[^\\t]*Z/\\t-/'", {"B": 1, "C": 1, "INBOX": 1}),
	("before a renaming", ["copy INBOX 1 A", "rename A C"], "'/copy/s/to=A/to=B/'", {"B": 1, "C": 0, "INBOX": 2}),
	("before a renaming, to the same", ["copy INBOX 1 A", "rename A C"], "'/copy/s/\\t[^\\t]*Z/\\t-/'",
		{"B": 0, "C": 1, "INBOX": 2}),
	("a renaming dropped", ["rename A C", "copy INBOX 1 B"], "-e '/rename/d' -e '/copy/s/to=B/to=A/'",
		{"A": 1, "B": 0, "INBOX": 2}),
	("no deletion any more", ["delete A", "copy INBOX 1 B"], "-e '/delete/d' -e '/copy/s/to=B/to=A/'",
		{"A": 1, "B": 0, "INBOX": 2}),
	("created, one line left", ["create X", "move INBOX 1 X"], "'/create/s/\\t[^\\t]*Z/\\t-/'",
		{"A": 0, "B": 0, "X": 1, "INBOX": 1}),
	("created twice", ["create X", "create X", "move INBOX 1 X"], "1,/create/{/create/d}",
		{"A": 0, "B": 0, "X": 1, "INBOX": 1}),
	("moved, one line left", ["move INBOX 1 A", "move A m1 B"], "'/INBOX/s/\\t[^\\t]*Z/\\t-/'",
		{"A": 0, "B": 1, "INBOX": 1})):
	k = Case(2)
	for line in lines:
		k.add(*line.split())
	run = edit(k, script)
	is_((run.returncode, run.stderr), (0, ""), "edited: %s" % name)
	k.account.syncs("edited: %s: sync" % name)
	is_({box: len(mails) for box, mails in server_state(k.c).items() if len(box) == 1 or mails}, wanted, "edited: %s: what it did" % name)
	is_(k.lines(), "", "edited: %s: all of it" % name)
	same(k.account, k.c, "edited: %s: both sides are equal" % name)
k = Case()
k.add("move", "INBOX", "1", "A")
k.add("flag", "A", "m1", "+\\Seen")
run = edit(k, "'/move/s/to=A/to=B/'")
like(run.stderr, r"action 2 is refused: a message of it is not in that mailbox", "edited: what does not fit any more is told")
k.account.syncs("edited: a move elsewhere")
is_([m.flags for m in server_messages(k.c, "B").values()], [frozenset()], "edited: and is not done elsewhere")
k = Case()
k.add("create", "X")
k.add("move", "INBOX", "1", "X")
run = edit(k, "'/create/s/X/Y/'")
like(run.stderr, r"action 2 \(move\) failed: action 1, which it needs, was dropped", "edited: a mailbox that is not made is told")
k.account.syncs("edited: another mailbox")
is_(sorted(box for box in server_mailboxes(k.c) if len(box) == 1), ["A", "B", "Y"], "edited: and is not made")

# check knows where a pending move shows a file.

k = Case(2)
k.add("move", "INBOX", "1", "A")
for path in k.account.files():
	os.unlink(path)
run = k.account.run("check", "work")
like(run.stdout, r"missing: %s/A/new/.*(.*\n)*.*missing: %s/INBOX/new/" % (k.account.maildir, k.account.maildir),
	"check: both paths")
k.account.run("check", "work", "--repair")
is_(k.account.run("check", "work").returncode, 0, "check: written again")

# No room for a file that is to be shown: nothing is taken up, and it is when there is room again.

def no_room(k, act):
	"""What act() answers while no file can be made in any tmp."""
	tmps = [at for at, _, _ in os.walk(k.account.maildir) if at.endswith("/tmp")]
	for tmp in tmps:
		os.rmdir(tmp)
		write(tmp, "")
	try:
		return act()
	finally:
		for tmp in tmps:
			os.unlink(tmp)
			os.mkdir(tmp)


k = Case(2)
k.add("expunge", "INBOX", "1")
run = no_room(k, lambda: k.queue("drop", "work", "1"))
like(run.stderr, "accepted, but it does not show yet", "no room: an expunge is dropped")
k.account.syncs("no room: a sync with room")
same(k.account, k.c, "no room: the message is shown again")
is_(len(k.bodies("INBOX")), 2, "no room: and is there")

# A mailbox is removed here, because the server has: what waits to be moved out of it is uploaded all the same.

for verb in "move", "copy":
	k = Case(1, on_message_gone="upload", on_removed_mailbox="remove")
	k.c.append("A", mail(77))
	k.account.syncs("removed: a sync")
	k.add(verb, "A", "1", "INBOX")
	body = k.bodies("A")
	k.c.examine("INBOX")
	k.c.delete("A")
	k.account.sync("--pull")
	k.account.sync("--pull")
	ok("A" not in k.account.mailboxes(), "removed: it is gone here")
	k.account.syncs("removed: sync")
	ok(set(body) <= set(k.bodies("INBOX")), "removed: a %s out of it is done" % verb)
	same(k.account, k.c, "removed: both sides are equal")

# Killed while lines are taken up.

k = Case(3)
write(k.account.dir + "/letter", "Subject: a letter\n\ntext\n")
text = "append A %s/letter\nmove INBOX 1 B\ncopy INBOX 2 A\nflag INBOX 3 '+\\Seen'\nexpunge B m1\n"
path = WORK + "/points"
k.account.run("queue", "add", "work", "-", input=text % k.account.dir, env={**os.environ, "MAILTIDE_POINTS": path})
for point in read(path).decode().split():
	k = Case(3)
	write(k.account.dir + "/letter", "Subject: a letter\n\ntext\n")
	run = k.account.run("queue", "add", "work", "-", input=text % k.account.dir, env={**os.environ, "MAILTIDE_POINT": point})
	accepted = "append" in k.lines()
	k.account.syncs("killed at %s: sync" % point)
	found = differences(k.account, k.c)
	check = k.account.run("check", "work")
	got = [len(k.bodies(name)) for name in ("INBOX", "A", "B")]
	ok(not found and not check.stdout and not k.lines() and got == ([2, 2, 0] if accepted else [3, 0, 0]),
		"killed at %s: all or nothing" % point, run.returncode, found, check.stdout, k.lines(), got)

# What may have been done or not is the user's to decide, also when the message is gone.

k = Case(2)
k.add("move", "INBOX", "1", "A")
subprocess.run([BIN + "/store_set", k.account.state, "action", "1", "unknown", "cut"], check=True)
k.at_server("INBOX", 1)
is_(k.account.sync().returncode, 0, "unknown: the message is gone")
like(k.lines(), r"^1\tunknown\t.*\tcut\n$", "unknown: the action is not")
k.queue("retry", "work")
like(k.account.sync().stderr, "message m1 is gone from the server, and left out", "unknown: tried again")
is_(k.lines(), "", "unknown: and over")

# A mailbox that no action will make any more is forgotten.

k = Case()
k.add("create", "X")
k.add("move", "INBOX", "1", "X")
is_(len(k.account.files()), 1, "unmade: one file")
run = k.queue("drop", "work", "1")
like(run.stderr, "action 2 .move. failed: action 1, which it needs, was dropped", "unmade: the create is dropped")
k.queue("drop", "work", "2")
ok("X" not in k.account.mailboxes(), "unmade: there is no such mailbox")
k.account.syncs("unmade: sync")
same(k.account, k.c, "unmade: both sides are equal")
write(k.account.dir + "/letter", "Subject: a letter\n\ntext\n")
k.add("append", "A", k.account.dir + "/letter")
k.c.delete("B")
k.account.syncs("unmade: an append, and a mailbox is absent")
k.account.syncs("unmade: and gone")
k.add("create", "B")
k.add("create", "Y")
k.add("append", "Y", k.account.dir + "/letter")
k.queue("drop", "work", *re.findall(r"(?m)^(\d+)\t", k.lines()))
ok("Y" not in k.account.mailboxes(), "unmade: with what was in it")
is_(len(k.account.files()), 2, "unmade: and its file")
k.account.syncs("unmade: sync")
same(k.account, k.c, "unmade: both sides are equal", gone=["B"])
is_(k.account.run("check", "work").returncode, 0, "unmade: check")

# Local numbers are dealt anew; the UID finds the message all the same.

k = Case(3)
k.add("flag", "INBOX", "2", "+\\Flagged")
k.at_server("INBOX", 1)
shutil.rmtree(k.account.state + "/store")
shutil.rmtree(k.account.maildir)
k.account.syncs("numbers anew: a new store")
is_(k.account.ls("INBOX")[2].number, "m1", "numbers anew: m2 is another one now")
is_(k.queue("retry", "work").returncode, 0, "numbers anew: taken over")
k.account.syncs("numbers anew: replayed")
is_([m.flags for u, m in sorted(server_messages(k.c, "INBOX").items())], [{"\\Flagged"}, set()], "numbers anew: by its UID")

# What lies in outgoing/ is sent only if it is what was queued.

k = Case()
write(k.account.dir + "/letter", "Subject: a letter\n\ntext\n")
k.add("append", "A", k.account.dir + "/letter")
k.queue("drop", "work", "1")
line = "- 2026-11-22T15:05:00Z append A  sha256=%s" % sha256(b"Subject: a letter\r\n\r\ntext\r\n")
os.makedirs(k.account.state + "/outgoing", exist_ok=True)
write(k.account.state + "/outgoing/" + line.split("=")[1], b"Subject: another\r\n\r\ntext\r\n")
k.script(line)
run = k.account.sync()
like(run.stderr, "action 3 is refused: its body in outgoing/ is not what was queued", "tampered: not taken")
is_(k.bodies("A"), [], "tampered: nothing was sent")

done_testing()
