#!/usr/bin/python3
"""A connection that breaks after any byte, either way, by FIN, RST or silence: the next run ends
right. SOAK=1 cuts after every 7th byte."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

SAMPLES = 2000 if os.environ.get("SOAK") else 7
server = dovecot()
server.fill("ana", 25, "--folders", "3", "--small", "--hostile")
c = server_client(server)
for n in range(3):
	c.append("INBOX", mail(n), flags="\\Seen")

# How much there is to cut, of each connection.
proxy = Proxy(server.port)
is_(Account(proxy.port).sync().returncode, 0, "an undisturbed run")
sizes = {one["conn"]: one for one in proxy.stats()}


def cut(account, conn, *options):
	proxy = Proxy(server.port, "-n", conn, *options)
	account.set(port=proxy.port)
	started = time.time()
	run = account.sync()
	proxy.process.kill()
	account.set(port=server.port)
	return run, time.time() - started


def end(account, name, run, found=()):
	found = list(found)
	if run.returncode not in (0, 75):
		found.append("cut run: status %d: %s" % (run.returncode, run.stderr))
	if run.returncode == 75 and not run.stderr:
		found.append("cut run: not a word")
	if run.stderr.count("\n") > 3:
		found.append("cut run: more than one message for one event: %s" % run.stderr)
	found += faults_after(account, c, account.sync())
	return no_faults(found, name)


cases = []
for conn in 1, 2:
	for direction, key in ("-S", "s2c"), ("-C", "c2s"):
		if conn in sizes:
			size = sizes[conn][key]
			step = max(7, size // SAMPLES)
			cases += [(conn, direction, at) for at in range(random.randrange(step), size, step)]
random.seed(1)
for i, (conn, direction, at) in enumerate(cases):
	account, how = Account(server.port), ("fin", "rst")[i % 2]
	run, _ = cut(account, conn, direction, at, "-K", how)
	if end(account, "first sync, connection %d cut by %s after %s %d" % (conn, how, direction, at), run):
		shutil.rmtree(account.dir)

account = Account(server.port)
account.syncs("an account with mail")


def changes(n):
	c.select("INBOX")
	c.store("1:*", "+-"[n % 2] + "FLAGS.SILENT", "\\Flagged")
	c.expunge(str(min(c.fetch("1:*", "FLAGS"))))
	c.ok("UNSELECT")
	c.append("INBOX", mail(100 + n, 3000))
	c.append("Sent", mail(100 + n))


changes(0)
proxy = Proxy(server.port)
account.set(port=proxy.port)
account.syncs("changes arrive")
sizes = {one["conn"]: one for one in proxy.stats()}
for direction, key in ("-S", "s2c"), ("-C", "c2s"):
	size = sizes[1][key]
	step = max(7, size // SAMPLES)
	for i, at in enumerate(range(step // 2, size, step)):
		changes(i + 1)
		how = ("rst", "fin")[i % 2]
		run, _ = cut(account, 1, direction, at, "-K", how)
		if not end(account, "resync, cut by %s after %s %d" % (how, direction, at), run):
			account = Account(server.port)
			account.syncs("a new account")

# Silence: only a time limit helps.
for at in 1, 700, 4000:
	account = Account(server.port, timeout="1")
	run, seconds = cut(account, 1, "-S", at, "-K", "hang")
	ok(seconds < 15, "silence after %d bytes ends soon" % at, "%.1f s" % seconds)
	end(account, "and all ends right", run)
account = Account(server.port, timeout="1")
proxy = Proxy(server.port, "-S", 700, "-K", "hang")
account.set(port=proxy.port)
run = account.sync()
is_(run.returncode, 75, "a server that is always silent: 75")
like(run.stderr, r"\Amailtide: work.*\n", "and it is told")
account.set(port=server.port)
end(account, "and the next run ends right", run)
c.logout()
done_testing()
