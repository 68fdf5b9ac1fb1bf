#!/usr/bin/python3
"""on-removed-mailbox = remove: what is gone from the server for certain goes here too, but for what is the user's; not
where many vanish at once; and a run that is killed is finished by the next one."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()


def make(c, *names):
	for name in names:
		c.create(name)
		for i in range(5):
			c.append(name, mail(i + 100 * len(name)), flags="\\Seen", date="0%d-Jun-2012 10:00:00 +0000" % (i + 1))


def twice(account):
	"""The second of two runs, from whose lists something was missing"""
	account.sync()
	return account.sync()


def folder(account, name):
	return account.maildir + ("/" + name if account.keys.get("layout") != "maildir++" else "/." + name.replace("/", "."))


for layout in "nested", "maildir++":
	diag(layout)
	user = layout.replace("+", "p")
	c = server_client(server, user)
	make(c, "plain", "up", "up/in", "edited", "mine")
	account = Account(server.port, user=user, layout=layout, on_removed_mailbox="remove")
	account.syncs("first sync")
	c.delete("plain")
	run = account.sync()
	is_((run.returncode, run.stderr), (0, ""), "missing once is nothing")
	is_(len(account.ls("plain")), 5, "its mail is here")
	run = account.sync()
	like(run.stderr, "plain: is gone from the server, and so is its folder", "missing twice: it is told")
	ok("plain" not in account.mailboxes() and not os.path.exists(folder(account, "plain")), "and it is gone")
	is_(next_run(account, c), [], "then there is silence")

	# The child goes, then the parent (Dovecot goes on listing a parent that went first)
	c.delete("up/in")
	twice(account)
	ok("up/in" not in account.mailboxes() and not os.path.exists(folder(account, "up/in")), "a child is gone")
	is_(len([r for r in account.ls("up").values() if os.path.exists(r.path)]), 5, "its parent is not")
	is_(next_run(account, c), [], "then there is silence")
	c.delete("up")
	twice(account)
	ok(not os.path.exists(folder(account, "up")), "nothing is left of either")

	# Edited
	path = account.ls("edited")[2].path
	write(path, "my words\n")
	c.delete("edited")
	run = twice(account)
	like(run.stderr, "edited: is gone .* what was edited here stays", "an edited file stays")
	is_([read(p) for p in account.files() if folder(account, "edited") in p], [b"my words\n"], "alone")
	ok("edited" not in account.mailboxes(), "the mailbox is gone")
	shutil.rmtree(folder(account, "edited"))

	# A file that the server never had
	write(folder(account, "mine") + "/new/1500000000.1.elsewhere", "not yet on any server\n")
	c.delete("mine")
	run = twice(account)
	like(run.stderr, "mine: is gone from the server, but stays", "a mailbox with a foreign file stays")
	is_(len([r for r in account.ls("mine").values() if os.path.exists(r.path)]), 5, "with all its mail")
	os.unlink(folder(account, "mine") + "/new/1500000000.1.elsewhere")
	account.sync()
	ok("mine" not in account.mailboxes() and not os.path.exists(folder(account, "mine")), "until that one is gone")
	is_(next_run(account, c), [], "then there is silence")

	# Made again meanwhile, and renamed: neither is removed
	make(c, "again", "name")
	account.syncs("two more")
	c.delete("again")
	account.sync()
	make(c, "again")
	c.rename("name", "other name")
	account.sync()
	is_(next_run(account, c), [], "made again, renamed: both are here")

	# Many at once, and a mailbox that cannot be opened
	names = ["many %d" % i for i in range(6)]
	make(c, *names)
	account.syncs("six more")
	for name in names:
		c.delete(name)
	account.sync()
	run = account.sync()
	is_(run.returncode, 1, "many at once")
	like(run.stderr, "6 of 1. mailboxes are gone .* nothing of them is removed", "it is told")
	is_(sum(len(account.ls(name)) for name in names), 30, "and nothing is removed")
	for name in names[:4]:
		shutil.rmtree(folder(account, name))
	run = account.sync()
	is_((run.returncode, [n for n in names if n in account.mailboxes()]), (0, []), "those without a folder may go, then two")
	is_(next_run(account, c), [], "then there is silence")

	# keep
	account.set(on_removed_mailbox="keep")
	make(c, "kept")
	account.syncs("one more")
	c.delete("kept")
	run = twice(account)
	like(run.stderr, "kept: is gone from the server; its folder .* stays", "kept")
	is_(len([r for r in account.ls("kept").values() if os.path.exists(r.path)]), 5, "with its mail")
	is_(twice(account).stderr, "", "that is told once")

# Killed at each point
c = server_client(server, "ana")
make(c, "stays")
account = Account(server.port, on_removed_mailbox="remove")
rounds = 0


def gone():
	global rounds
	rounds += 1
	make(c, "gone%d" % rounds)
	account.sync()
	c.delete("gone%d" % rounds)
	account.sync()


gone()
run = account.sync(points=WORK + "/points")
is_(run.returncode, 0, "an undisturbed run: " + run.stderr)
names = read(WORK + "/points").decode().split()
for name in "sync.mailbox-emptied", "sync.mailbox-removed", "maildir.folder-removed", "maildir.unlinked":
	ok(name in names, "%s is passed" % name, names)
for name in names:
	for n in OCCURRENCES[:4]:
		gone()
		if account.sync(point="%s:%d" % (name, n)).returncode != -signal.SIGKILL:
			ok(n > 1, "%s is passed less than %d times" % (name, n))
			break
		no_faults(faults_after(account, c, account.sync(), silent=False), "killed at %s:%d" % (name, n))
		ok(not os.path.exists(account.maildir + "/gone%d" % rounds), "nothing is left")
done_testing()
