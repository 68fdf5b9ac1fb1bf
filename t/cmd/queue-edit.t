#!/usr/bin/python3
"""mailtide queue edit, without a network: whatever goes wrong, nothing is changed and the text is kept; and an action
is checked against what will be in the queue before it, not against what was."""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../live/lib"))
from live import *

server = dovecot()
c = server_client(server)
for box in "Archive", "Lists", "Lists/dev":
	c.create(box)
for n in range(1, 6):
	c.append("INBOX", b"Subject: %d\r\n\r\ntext\r\n" % n)
accounts = [Account(server.port, bodies="none") for _ in range(2)]
for account in accounts:
	account.syncs("a first sync")
server.stop()


def add(account, *lines):
	run = account.run("queue", "add", "work", "-", input="\n".join(lines) + "\n")
	if run.returncode:
		raise RuntimeError(run.stderr)


def edit(account, script, **extra):
	"""With this for an editor; $1 is the text, $state the account's state."""
	with open(WORK + "/editor", "w") as f:
		f.write("#!/bin/sh\nset -e\nstate=%s\n%s" % (account.state, script))
	os.chmod(WORK + "/editor", 0o755)
	env = {name: value for name, value in os.environ.items() if name != "VISUAL"}
	return account.run("queue", "edit", "work", env={**env, "EDITOR": WORK + "/editor", **extra})


def texts(account):
	return glob.glob(account.state + "/edit.*")


def listed(account):
	"""number -> [state, verb, mailbox, what, reason]"""
	rows = [line.split("\t") for line in account.run("queue", "work").stdout.splitlines()]
	return {int(row[0]): [row[1]] + row[3:] for row in rows}


def fails(account, name, script, status, why, kept=None, undo=None):
	"""Nothing is changed. kept: what is in the text that stays; None: none does."""
	before, rows = read(account.state + "/actions"), listed(account)
	run = edit(account, script)
	if undo:
		undo()
	is_((run.returncode, run.stdout), (status, ""), "%s: status" % name)
	like(run.stderr, "^mailtide: work: %s\nmailtide: work: nothing is changed[^\n]*\n$" % why, "%s: why" % name)
	is_((read(account.state + "/actions"), listed(account)), (before, rows), "%s: nothing is changed" % name)
	found = re.search(r'nothing is changed; the text is in "([^"]*)": take it from there into another '
		'"mailtide queue edit work"\n', run.stderr)
	is_(texts(account), [found[1]] if found else [], "%s: the text is where it says" % name)
	if kept is None:
		ok(not found, "%s: no text is kept" % name, run.stderr)
	else:
		ok(found and kept in read(found[1]), "%s: the text is kept" % name, run.stderr)
	for path in texts(account):
		os.unlink(path)


def refused(account, name, script, why):
	fails(account, name, script, 64, why, b"")


def accepted(account, name, script):
	run = edit(account, script)
	is_((run.returncode, run.stderr), (0, ""), name)
	is_(texts(account), [], "%s: no text is left" % name)
	return run.stdout


def new(*fields):
	return "printf -- '%s\\n' >>$1\n" % "\\t".join(("-", "-") + fields)


# Whatever goes wrong: all or nothing, and the text is kept.

a = accounts[0]
ACTIONS = a.state + "/actions"
add(a, "create one", "create two", "create three")
CHANGE = "sed -i 's/\\tone\\t/\\tuno\\t/; s/\\tthree\\t/\\ttre\\t/' $1\n" + new("create", "four", "")
WRITTEN = b"\tcreate\ttre\t"


def put_back():
	with open(ACTIONS, "wb") as f:
		f.write(was)


was = read(ACTIONS)
fails(a, "a newer version's queue", CHANGE + "sed -i '1s/actions 1/actions 2/' $state/actions", 78,
	r".* was made by a newer version of mailtide", WRITTEN, put_back)
fails(a, "another store's queue", CHANGE + "sed -i '1s/actions 1 [^ ]*/actions 1 0123/' $state/actions", 64,
	r"the actions were made for another store; .*", WRITTEN, put_back)
fails(a, "no store any more", CHANGE + "mv $state/store $state/away", 64, r"never synced yet, .*", WRITTEN,
	lambda: os.rename(a.state + "/away", a.state + "/store"))
fails(a, "no file can be made", CHANGE + "mkdir $state/actions.new", 75, r'cannot write ".*/actions\.new": .*', WRITTEN,
	lambda: os.rmdir(a.state + "/actions.new"))
fails(a, "no number is left", CHANGE + "sed -i '1s/[^ ]*$/9223372036854775807/' $state/actions", 78,
	r'".*/actions" has used up all numbers', WRITTEN, put_back)
fails(a, "no number is left for a new one", new("create", "four", "") +
	"sed -i '1s/[^ ]*$/9223372036854775807/' $state/actions", 78, r'".*/actions" has used up all numbers',
	b"\tfour\t", put_back)
fails(a, "one of the lines is gone", CHANGE + "sed -i '/^3\\t/d' $state/actions", 64,
	r"action 3 is not there any more", WRITTEN, put_back)
fails(a, "one of them is being sent", CHANGE + BIN + "/store_set $state action 3 sending", 64,
	r"action 3 is being sent now", WRITTEN,
	lambda: subprocess.run([BIN + "/store_set", a.state, "action", "3", "waiting"], check=True))
fails(a, "the editor fails at the end", CHANGE + "exit 3", 64, r'".*/editor" has failed', WRITTEN)
fails(a, "the editor fails at once", "exit 3", 64, r'".*/editor" has failed')
fails(a, "the text is removed", "rm $1", 78, r'cannot read .*')
fails(a, "the text is emptied", ": >$1", 64, r"the text is empty; .*")
fails(a, "a NUL", CHANGE + r"printf -- '-\t-\tcreate\tx\000y\t\n' >>$1", 64, r"line \d+: the line has a NUL in it", WRITTEN)
for name, script in ("the same", "true"), ("only a comment", "echo '# mine' >>$1"):
	run = edit(a, script)
	is_((run.returncode, run.stdout, run.stderr, read(ACTIONS), texts(a)), (0, "", "", was, []), "edit: %s" % name)
	run = a.run("-v", "queue", "edit", "work", env={**os.environ, "VISUAL": "true", "EDITOR": "true"})
	is_(run.stdout, "work: nothing is changed\n", "edit: %s: -v says so" % name)
for point, done in ("queue.rewritten", False), ("queue.replaced", True):
	run = edit(a, CHANGE, MAILTIDE_POINT=point)
	is_((run.returncode, len(texts(a))), (-9, 1), "killed at %s: the text stays" % point)
	is_([b"\t%s\t" % name in read(ACTIONS) for name in (b"uno", b"tre", b"four")], [done] * 3,
		"killed at %s: all of it, or nothing" % point)
	for path in texts(a):
		os.unlink(path)
	put_back()
number = accepted(a, "all is well again", CHANGE)
is_([row[2] for row in listed(a).values()], ["uno", "two", "tre", "four"], "all of it is changed")
is_(number, "%d\n" % max(listed(a)), "and the new number is told")

# What will be in the queue counts: as the store has it, and while it lags behind because somebody holds the lock.

a = accounts[1]
SAVED = WORK + "/saved"
shutil.copytree(a.dir, SAVED, symlinks=True)
M = {uid: row.number for uid, row in a.ls("INBOX").items()}
LETTER = WORK + "/letter"
with open(LETTER, "w") as f:
	f.write("Subject: x\n\ntext\n")


def change(number, old, rest):
	return "sed -i '/^%d\\t/s/%s/%s/' $1\n" % (number, old, rest)


def gone(*numbers):
	return "".join("sed -i '/^%d\\t/d' $1\n" % n for n in numbers)


for name, lines, script, why in (
	("a mailbox to be created, and what goes there", ["create X", "move INBOX 1 X"],
		change(1, "X", "Y") + change(2, "=X", "=Y"), None),
	("only the latter", ["create X", "move INBOX 1 X"], change(2, "=X", "=Y"), r'line \d+: no mailbox "Y" is known.*'),
	("only the former, and more that goes there", ["create X"], change(1, "X", "Y") + new("copy", "INBOX", M[1], "to=X"),
		r'line \d+: (no mailbox "X" is known.*|no action creates the mailbox "X" any more)'),
	("its creation dropped", ["create X"], gone(1) + new("copy", "INBOX", M[1], "to=X"),
		r'line \d+: (no mailbox "X" is known.*|no action creates the mailbox "X" any more)'),
	("created before and again", ["create X", "create X"], gone(1) + new("copy", "INBOX", M[1], "to=X"), None),
	("created later only", ["subscribe INBOX", "create X"], change(1, "subscribe\\tINBOX", "subscribe\\tX"),
		r'line \d+: (no mailbox "X" is known.*|no action creates the mailbox "X" any more)'),
	("a deletion that is none any more", ["delete Archive"],
		change(1, "delete", "subscribe") + new("copy", "INBOX", M[1], "to=Archive"), None),
	("a deletion dropped", ["delete Archive"], gone(1) + new("copy", "INBOX", M[1], "to=Archive"), None),
	("a new deletion", ["subscribe Archive"],
		change(1, "subscribe", "delete") + new("copy", "INBOX", M[1], "to=Archive"),
		r'line \d+: a queued action renames or deletes "Archive"'),
	("a deletion before a line that is changed", ["subscribe Archive", "copy INBOX 1 Lists"],
		change(1, "subscribe", "delete") + change(2, "Lists", "Archive"), r'line \d+: a queued action renames or deletes "Archive"'),
	("renamed otherwise", ["rename Lists News"], change(1, "News", "Post") + new("copy", "INBOX", M[1], "to=Post/dev"), None),
	("renamed otherwise, and what goes there", ["rename Lists News", "copy INBOX 1 News/dev"],
		change(1, "News", "Post") + change(2, "News", "Post"), None),
	("renamed otherwise: the other name", ["rename Lists News"],
		change(1, "News", "Post") + new("copy", "INBOX", M[1], "to=News"), r'line \d+: no mailbox "News" is known.*'),
	("not renamed any more", ["rename Lists News"],
		change(1, "rename.*", "subscribe\\tLists\\t") + new("copy", "INBOX", M[1], "to=Lists"), None),
	("a renaming dropped", ["rename Lists News"], gone(1) + new("rename", "Lists", "", "to=Post"), None),
	("before a renaming", ["copy INBOX 1 Lists", "rename Lists News"], change(1, "Lists", "Lists\\/dev"), None),
	("behind a renaming", ["rename Lists News", "copy INBOX 1 News"], change(2, "News", "Lists"),
		r'line \d+: a queued action renames or deletes "Lists"'),
	("an expunge that is none any more", ["expunge INBOX 1"],
		change(1, "expunge.*", "flag\\tINBOX\\t%s\\tadd=work" % M[1]) + new("move", "INBOX", M[1], "to=Lists"), None),
	("a move dropped", ["move INBOX 1 Lists"], gone(1) + new("flag", "INBOX", M[1], "add=work"), None),
	("a move dropped: not there", ["move INBOX 1 Lists"], gone(1) + new("flag", "Lists", M[1], "add=work"),
		r'line \d+: %s is not in "Lists", but in "INBOX"' % M[1]),
	("a move elsewhere", ["move INBOX 1 Lists", "flag Lists %s +work" % M[1]],
		change(1, "Lists", "Archive") + change(2, "Lists", "Archive"), None),
	("between two moves", ["move INBOX 1 Lists", "flag Lists %s +work" % M[1], "move Lists %s Archive" % M[1]],
		change(2, "work", "home"), None),
	("behind two moves, of which the first is changed", ["move INBOX 1 Lists", "move Lists %s Archive" % M[1], "flag INBOX 2 +work"],
		change(1, "\\t[^\\t]*Z", "\\t-") + new("flag", "Archive", M[1], "add=work"), None),
	("an upload elsewhere", ["append INBOX " + LETTER], change(1, "INBOX", "Archive") + new("flag", "Archive", "@1", "add=work"), None),
	("an upload elsewhere: not there", ["append INBOX " + LETTER],
		change(1, "INBOX", "Archive") + new("flag", "INBOX", "@1", "add=work"), r'line \d+: @1 is not in "INBOX", but in "Archive"'),
	("an upload changed, and what is done to it, by its local number", ["append INBOX " + LETTER, "flag INBOX @1 +work"],
		change(1, "INBOX", "Archive") + change(2, "=work", "=home"),
		r'line \d+: (m\d+ is the message of action 1, which is changed or dropped|@1 is not in "INBOX", but in "Archive")'),
	("an upload dropped", ["append INBOX " + LETTER], gone(1) + new("flag", "INBOX", "@1", "add=work"),
		r'line \d+: "@1" is no append in the queue; .*')):
	for lagging in False, True:
		shutil.rmtree(a.dir)
		shutil.copytree(SAVED, a.dir, symlinks=True)
		title = "%s, %s" % (name, "not taken up" if lagging else "taken up")
		with open(a.state + "/lock", "a") as lock:
			if lagging:
				fcntl.flock(lock, fcntl.LOCK_EX)
			for line in lines:
				add(a, line)
			if why:
				refused(a, title, script, why)
				continue
			accepted(a, title, script)
		add(a, "unsubscribe INBOX")
		bad = {n: row for n, row in listed(a).items() if row[0] != "waiting"}
		is_(bad, {}, "%s: and all of it fits" % title)
done_testing()
