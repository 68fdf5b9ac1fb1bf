#!/usr/bin/python3
"""Others are at work while a sync runs: a second client on the server, a mail reader in the Maildir, a
second mailtide. What a run misses the next one finds; nothing is lost, doubled or stuck."""
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

SECONDS = 60 if os.environ.get("SOAK") else 5
seed = int(os.environ.get("SEED") or time.time())
diag("SEED=%d" % seed)
server = dovecot()
server.fill("ana", 150, "--folders", "4", "--small")


class Busy(threading.Thread):
	"""Calls work(random) until the end."""

	def __init__(self, work, number):
		super().__init__(daemon=True)
		self.work, self.random, self.going, self.count, self.fault = work, random.Random(seed + number), True, 0, None
		self.start()

	def run(self):
		while self.going:
			try:
				self.work(self.random)
				self.count += 1
			except Refused:
				pass	# what it wanted to change is gone
			except Exception as e:
				self.fault = e
				return

	def end(self):
		self.going = False
		self.join(20)
		return self.fault


def another_client():
	c = server_client(server)
	boxes = ["INBOX", "Sent", "Archive", "Junk"]

	def work(r):
		box = r.choice(boxes)
		c.select(box)
		found = [line for line in c.ok("UID SEARCH ALL").untagged if line.startswith(b"* SEARCH")]
		uids = sorted(map(int, found[0].split()[2:])) if found else []
		some = ",".join(map(str, r.sample(uids, min(len(uids), 4))))
		what = r.randrange(7) if uids else 0
		if what < 2:
			c.append(box, mail(r.randrange(1 << 40), r.choice((0, 500, 200000))))
		elif what == 2:
			c.store(some, "+FLAGS.SILENT", r.choice(("\\Flagged", "\\Seen", "\\Answered", "kw1 kw2")))
		elif what == 3:
			c.store(some, "-FLAGS.SILENT", r.choice(("\\Flagged", "\\Seen", "kw1")))
		elif what == 4:
			c.expunge(some)
		elif what == 5:
			c.copy(some, r.choice(boxes))
		elif what == 6:
			c.move(some, r.choice([b for b in boxes if b != box]))
		if r.randrange(40) == 0:
			name = "new %d" % r.randrange(1 << 30)
			c.create(name)
			boxes.append(name)
	return work


def syncs(accounts, busy):
	"""Syncs again and again while others work. -> the runs that were not well"""
	started, bad, n = time.time(), [], 0
	while time.time() - started < SECONDS:
		for account in accounts:
			run = account.sync()
			n += 1
			if run.returncode != 0:
				bad.append("status %d: %s" % (run.returncode, run.stderr))
	faults = [str(b.end()) for b in busy if b.end()]
	diag("%d syncs beside %s" % (n, [b.count for b in busy]))
	return bad + faults


accounts = [Account(server.port), Account(serve(LIB + "/imapdown.py", "--keep", "IMAP4rev1", server.port)[1]),
	Account(serve(LIB + "/imapdown.py", "--drop", "QRESYNC", server.port)[1])]
for account in accounts:
	account.syncs("first sync")
found = syncs(accounts, [Busy(another_client(), n) for n in range(2)])
no_faults(found, "every sync beside two other clients ends well")
with server_client(server) as c:
	for account, name in zip(accounts, ("full", "bare", "no QRESYNC")):
		run = account.sync()
		is_(run.returncode, 0, "%s: when it is quiet again" % name)
		same(account, c, "all is as the server's")
		run = account.sync()
		is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "and then silence")

# A mail reader renames while files come, change and go.
account = accounts[0]


def reader(r):
	files = account.files()
	path = r.choice(files)
	to = path.split(":2,")[0].replace("/new/", "/cur/") + ":2," + "".join(
		sorted(r.sample("FRS", r.randrange(3))))
	try:
		os.rename(path, to)
	except FileNotFoundError:
		pass
	time.sleep(.001)


found = syncs([account], [Busy(another_client(), 10), Busy(reader, 11)])
no_faults(found, "every sync beside a mail reader ends well")
is_(account.sync().returncode, 0, "when it is quiet again")
with server_client(server) as c:
	state = server_state(c)
want = collections.Counter(m.file_sha256 for messages in state.values() for m in messages.values())
is_(account.hashes() - want, collections.Counter(), "no file too much")
is_(want - account.hashes(), collections.Counter(), "no file is missing")
is_([uid for name in state for uid in set(state[name]) ^ set(account.ls(name))], [], "all UIDs are known")
ok(not account.files("tmp"), "nothing in tmp")
before = account.snapshot()
is_(account.sync().stderr, "", "and then silence")
untouched(account, before, "and rest")

# Two of ours at once: one waits, or says that it cannot.
runs = [account.start() for _ in range(4)]
ends = [(run.communicate(timeout=60), run.returncode) for run in runs]
ok(all(status in (0, 75) for _, status in ends) and any(status == 0 for _, status in ends),
	"four runs at once", ends)

# A dry run, and a single mailbox.
with server_client(server) as c:
	c.append("INBOX", mail(1))
	c.append("Sent", mail(2))
	c.select("INBOX")
	c.expunge("*")
	c.append("INBOX", mail(3))
	state, before = server_state(c), account.snapshot()
	rows = account.ls("INBOX")
	run = account.sync("--dry-run")
	is_(run.returncode, 0, "a dry run")
	like(run.stdout, "INBOX", "says what it would do")
	like(run.stdout, "Sent", "everywhere")
	untouched(account, before, "and changes nothing here")
	ok(account.ls("INBOX") == rows, "nor in the store")
	ok(server_state(c) == state, "nor there")
	is_(account.sync("work/Sent").returncode, 0, "one mailbox")
	is_(account.ls("INBOX"), rows, "another is left as it was")
	is_(sorted(account.ls("Sent")), sorted(state["Sent"]), "the one has all")
	fresh = Account(server.port)
	run = fresh.sync("--dry-run")
	is_(run.returncode, 0, "a dry run before the first sync")
	ok(not os.path.exists(fresh.maildir) or not os.listdir(fresh.maildir), "makes no Maildir")
	ok(not os.path.exists(fresh.state + "/store"), "and no store")
done_testing()
