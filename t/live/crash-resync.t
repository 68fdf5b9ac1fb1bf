#!/usr/bin/python3
"""A run that brings changes and is killed at each crash point, and at any time, is finished by the
next one; so is a repair."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
server.fill("ana", 80, "--folders", "4", "--small", "--hostile")
c = server_client(server)
rounds = 0


def changes():
	"""Flags, keywords, expunges, new messages, a new mailbox, a new UIDVALIDITY."""
	global rounds
	rounds += 1
	c.select("INBOX")
	uids = sorted(c.fetch("1:*", "FLAGS"))
	some = ",".join(map(str, random.sample(uids, 6)))
	c.store(some, "+-"[rounds % 2] + "FLAGS.SILENT", "\\Flagged work%d" % (rounds % 3))
	c.store(str(uids[rounds % len(uids)]), "+FLAGS.SILENT", "\\Seen")
	c.expunge("%d,%d,%d" % (uids[0], uids[7], uids[-1]))
	c.ok("UNSELECT")
	for n in range(3):
		c.append("INBOX", mail(1000 * rounds + n), flags=("\\Seen", "", "\\Flagged")[n],
			date="0%d-May-2015 06:00:00 +0200" % (n + 1))
	c.append("Sent", mail(rounds, 150000))
	c.append("Junk", mail(rounds), flags="\\Seen")
	server.adm("mailbox", "update", "-u", "ana", "--uid-validity", str(2000000000 + rounds), "Junk")
	if rounds % 4 == 0:
		c.create("box %d" % rounds)
		c.append("box %d" % rounds, mail(rounds))


def dies_at(account, point):
	return account.sync(point=point).returncode == -signal.SIGKILL


def killed(account, name, die):
	"""-> an account to go on with, or None where it did not die"""
	changes()
	if not die(account):
		return None
	if no_faults(faults_after(account, c, account.sync(), silent=False), name):
		return account
	account = Account(server.port)
	account.syncs("a new account")
	return account


seed = int(os.environ.get("SEED") or time.time())
random.seed(seed)
diag("SEED=%d" % seed)
changes()
account = Account(server.port)
account.syncs("first sync")
while rounds % 4 != 3:	# the next one makes a mailbox too
	changes()
changes()
record = WORK + "/points"
run = account.sync(points=record)
is_(run.returncode, 0, "an undisturbed run")
no_faults(faults_after(account, c, account.sync()), "ends as the server is")
names = read(record).decode().split()
for name in "maildir.renamed", "maildir.unlinked", "maildir.folder-made", "sync.body-in-tmp":
	ok(name in names, "%s is passed" % name, names)

for name in names:
	for n in OCCURRENCES[:5]:
		while name == "maildir.folder-made" and rounds % 4 != 3:
			changes()
		went = killed(account, "killed at %s:%d" % (name, n),
			lambda a: dies_at(a, "%s:%d" % (name, n)))
		if not went:
			ok(n > 1, "%s is passed less than %d times" % (name, n))
			break
		account = went

for n in range(20):
	def die(a):
		run = a.start()
		time.sleep(random.uniform(0, .1))
		run.kill()
		run.communicate()
		return True
	account = killed(account, "killed at some time (%d)" % n, die)

# A repair
run = account.sync()
is_(run.returncode, 0, "all is well")


def damage():
	for i, path in enumerate(account.files()):
		if i % 5 == 0:
			os.unlink(path)
		elif i % 9 == 1:
			os.rename(path, path.split(":2,")[0].replace("/new/", "/cur/") + ":2,FT")


damage()
run = account.run("check", account.name, "--repair",
	env={**os.environ, "MAILTIDE_POINTS": WORK + "/repair"})
is_(run.returncode, 0, "a repair mends all")
no_faults(faults_after(account, c, account.sync()), "all is as it was")
for name in read(WORK + "/repair").decode().split():
	damage()
	account.run("check", account.name, "--repair",
		env={**os.environ, "MAILTIDE_POINT": name + ":2"})
	is_(account.run("check", account.name, "--repair").returncode, 0, "repair after %s:2" % name)
	no_faults(faults_after(account, c, account.sync()), "all is as it was")
done_testing()
