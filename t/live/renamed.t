#!/usr/bin/python3
"""Mailboxes renamed on the server are renamed here: records, folders and files stay what they were, and nothing is
fetched again; whatever is not proved is one mailbox gone and one new. Names are swapped; runs are killed."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
c = server_client(server)


def fill(mailbox, n, first):
	for i in range(first, first + n):
		c.append(mailbox, mail(i), flags=("", "\\Seen")[i % 2], date="%02d-Jun-2012 10:00:00 +0000" % (i % 28 + 1))


def numbers(account, *names):
	"""What must not change: local numbers and the inodes of the files"""
	return sorted((row.number, os.stat(row.path).st_ino) for name in names for row in account.ls(name).values())


def fetched(account, **options):
	"""A sync through a proxy. -> the run, what was fetched: octets down"""
	proxy = Proxy(server.port)
	account.set(port=proxy.port)
	run = account.sync(**options)
	account.set(port=server.port)
	return run, total(proxy.stats(), "s2c")


for layout in "nested", "maildir++":
	diag(layout)
	user = layout.replace("+", "p")
	c = server_client(server, user)
	for name in "parent", "parent/one", "parent/two/deep", "other":
		c.create(name)
	fill("parent", 3, 10)
	fill("parent/one", 4, 20)
	fill("parent/two/deep", 5, 30)
	fill("other", 2, 40)
	account = Account(server.port, user=user, layout=layout)
	account.syncs("first sync")
	before = numbers(account, "parent", "parent/one", "parent/two/deep")
	c.rename("parent", "New ä")
	run, octets = fetched(account)
	is_(run.returncode, 0, "a parent is renamed: " + run.stderr)
	like(run.stderr, r'work/New ä/one: is the mailbox that was "parent/one": renamed here too', "it is told")
	is_(numbers(account, "New ä", "New ä/one", "New ä/two/deep"), before, "numbers and files are the same")
	same(account, c, "all is as the server's")
	ok(octets < 12000, "little came: %d octets" % octets)
	old = account.maildir + ("/parent" if layout == "nested" else "/.parent")
	ok(not os.path.exists(old), "the old folder is gone", os.listdir(account.maildir))
	is_(next_run(account, c), [], "then there is silence")

	# A new child in a folder that keeps what the user put there; the parent's folder moves alone.
	inner = os.path.join(account.maildir, "New ä/notes" if layout == "nested" else ".New &AOQ-/notes")
	write(inner, "the user's")
	c.rename("New ä", "back")
	run = account.sync()
	is_(run.returncode, 0, "renamed again: " + run.stderr)
	is_(read(inner), b"the user's", "a file of the user stays where it was")
	is_(numbers(account, "back", "back/one", "back/two/deep"), before, "numbers and files are the same")
	is_(next_run(account, c), [], "then there is silence")

	# Only the parent goes elsewhere, a new one gets its name
	def swap(a, b):
		c.rename(a, "swap")
		c.rename(b, a)
		c.rename("swap", b)

	time.sleep(1.1)
	c.create("left")
	fill("left", 6, 50)
	time.sleep(1.1)
	c.create("right")
	fill("right", 3, 60)
	account.syncs("two more")
	left, right = numbers(account, "left"), numbers(account, "right")
	swap("left", "right")
	run = account.sync()
	is_(run.returncode, 0, "names swapped: " + run.stderr)
	like(run.stderr, "renamed here", "it is told")
	is_((numbers(account, "left"), numbers(account, "right")), (right, left), "numbers and files went along")
	is_(next_run(account, c), [], "then there is silence")

	# The target's folder is there already, and is the user's
	taken = account.maildir + ("/taken/cur" if layout == "nested" else "/.taken/cur")
	os.makedirs(taken)
	write(taken + "/1500000000.1.elsewhere:2,S", "mine\n")
	c.rename("left", "taken")
	run = account.sync()
	is_(run.returncode, 0, "the folder is taken: " + run.stderr)
	is_(numbers(account, "taken"), right, "numbers and files are the same")
	is_(os.listdir(taken), ["1500000000.1.elsewhere:2,S"], "what was there is alone")
	ok(all("%~2" in row.path for row in account.ls("taken").values()), "the mailbox lies beside it")
	shutil.rmtree(os.path.dirname(taken))
	is_(next_run(account, c), [], "then there is silence")

	# Kept by the policies, and --dry-run
	account.set(on_new_mailbox="skip")
	c.rename("taken", "left")
	run = account.sync("--dry-run")
	like(run.stderr, "is the mailbox that was", "a dry run tells")
	is_(numbers(account, "taken"), right, "and changes nothing")
	account.syncs("on-new-mailbox = skip is about new ones")
	is_(numbers(account, "left"), right, "numbers and files are the same")
	is_(next_run(account, c), [], "then there is silence")
	account.set(on_new_mailbox="create")

	# Of one UIDVALIDITY, as if they were made in one second (Q64): deleted is not renamed
	for name in "same a", "same b":
		c.create(name)
		server.adm("mailbox", "update", "-u", user, "--uid-validity", "4711", name)
	fill("same a", 3, 70)
	account.set(mailboxes='{ "*", "!same b" }')
	account.syncs("a mailbox")
	fill("same b", 4, 80)
	c.delete("same a")
	account.set(mailboxes='{ "*" }')
	run = account.sync()
	unlike(run.stderr, "renamed", "another one with its UIDVALIDITY is not it")
	ok("same b" in account.mailboxes() and len(account.ls("same a")) == 3, "both are here", account.mailboxes())
	is_(sorted(m.size for m in account.ls("same b").values()), sorted(m.size for m in server_messages(c, "same b").values()), "with their own mail")

# Killed at each point
c = server_client(server, "ana")
for name in "a", "b", "p", "p/one", "p/two":
	c.create(name)
	fill(name, 4, 100 * ord(name[-1]))
	time.sleep(1.1)
account = Account(server.port)
account.syncs("first sync")
rounds = 0
place = "p"


def changes():
	"""Swaps a and b and renames p with its children"""
	global rounds, place
	rounds += 1
	c.rename("a", "swap")
	c.rename("b", "a")
	c.rename("swap", "b")
	new = "p%d" % rounds
	c.rename(place, new)
	place, old = new, place
	return old


def all_numbers():
	return numbers(account, "a", "b", place, place + "/one", place + "/two")


def die(name, n):
	return account.sync(point="%s:%d" % (name, n)).returncode == -signal.SIGKILL


was = all_numbers()
changes()
run = account.sync(points=WORK + "/points")
is_(run.returncode, 0, "an undisturbed run: " + run.stderr)
names = read(WORK + "/points").decode().split()
for name in "sync.rename-noted", "sync.folder-moved", "maildir.folder-moved", "sync.move-agreed":
	ok(name in names, "%s is passed" % name, names)
is_(all_numbers(), was, "numbers and files are the same")
for name in names:
	for n in OCCURRENCES[:5]:
		changes()
		if not die(name, n):
			ok(n > 1, "%s is passed less than %d times" % (name, n))
			break
		no_faults(faults_after(account, c, account.sync(), silent=False), "killed at %s:%d" % (name, n))
		is_(all_numbers(), was, "numbers and files are the same")
done_testing()
