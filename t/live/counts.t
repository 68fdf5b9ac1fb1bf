#!/usr/bin/python3
"""What can be counted exactly: round trips, bytes, fsyncs, memory. SOAK=1: 100,000 messages."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from live import *

server = dovecot()
PLAIN = dict(auth="PLAIN", tls="none", compress="no")


def fill(user, mailbox, n, size=0):
	"""Many tiny messages, faster than APPEND."""
	uid, gid = map(int, server.owner.split(":"))
	root = "%s/mail/%s/mail" % (server.dir, user)
	folder = root if mailbox == "INBOX" else "%s/.%s" % (root, mailbox)
	for path in os.path.dirname(root), root, folder, *("%s/%s" % (folder, s) for s in ("cur", "new", "tmp")):
		os.makedirs(path, exist_ok=True)
		os.chown(path, uid, gid)
	for i in range(n):
		path = "%s/cur/%d.%d_%d.x:2,%s" % (folder, 1300000000 + i, i, size, "S" if i % 3 else "")
		fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
		os.write(fd, b"Subject: %d\nMessage-ID: <%d.%d@x>\n\nx\n" % (i, i, size))
		while size > 0:
			size -= os.write(fd, b"0123456789abcde\n" * 65536)
		os.fchown(fd, uid, gid)
		os.close(fd)


def counted(account, **options):
	"""A run through a proxy with a delay. -> (waits, selects, bytes from the server, connections)"""
	proxy = Proxy(server.port, "-d", 10)
	account.set(port=proxy.port)
	run = account.sync()
	is_((run.returncode, run.stderr), (0, ""), "a run of the proxy")
	stats = proxy.stats()
	account.set(port=server.port)
	diag("waits %d, selects %d, %d bytes from the server, %d connections" % (total(stats, "waits_before_logout"),
		total(stats, "selects"), total(stats, "s2c"), len(stats)))
	return total(stats, "waits_before_logout"), total(stats, "selects"), total(stats, "s2c"), len(stats)


# 205 mailboxes
server.fill("ana", 2050, "--folders", "197", "--small")
c = server_client(server)
names = [name for _, _, name in c.list()]
is_(len(names), 205, "205 mailboxes")
account = Account(server.port, **PLAIN)
account.syncs("first sync")
waits, selects, received, connections = counted(account)
ok(waits <= 2, "nothing changed: %d blocking round trips, login included" % waits)
is_(selects, 0, "no SELECT, no EXAMINE")
is_(connections, 1, "one connection")
limit = sum(100 + 2 * len(name) for name in names) + 1500
ok(received <= limit, "%d bytes from the server, at most %d" % (received, limit))

changed = [name for name in server_mailboxes(c)][:100]
for n, name in enumerate(changed):
	if n % 3 == 0 or c.status(name, "MESSAGES")["MESSAGES"] < 3:
		c.append(name, mail(n))
	elif n % 3 == 1:
		c.select(name)
		c.store("1:*", "+FLAGS.SILENT", "\\Flagged")
	else:
		c.select(name)
		c.expunge("*")
	c.cmd("UNSELECT")
waits, selects, received, connections = counted(account)
ok(waits <= 6, "100 of 205 changed: %d blocking round trips" % waits)
ok(100 <= selects <= 200, "%d mailboxes opened, on %d connections" % (selects, connections))
same(account, c, "and all changes are here")
c.logout()

# fsyncs
fill("sync", "INBOX", 10000)
count = WORK + "/fsyncs"
account = Account(server.port, "sync")
run = account.sync(LD_PRELOAD=BIN + "/fsync_preload.so", FSYNC_COUNT_FILE=count, timeout=100)
is_(run.returncode, 0, "10,000 messages in one mailbox")
is_(len(account.files()), 10000, "are here")
for line in read(count).decode().splitlines():
	if "program=mailtide" in line:
		diag(line)
		found = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}
		ok(sum(found[k] for k in ("fsync", "fdatasync", "msync", "syncfs")) <= 30, "at most 30 syncs", line)


# Memory
def peak(account):
	"""-> the largest RssAnon of a sync in KB"""
	run, most = account.start(), 0
	while run.poll() is None:
		try:
			m = re.search(r"RssAnon:\s+(\d+)", read("/proc/%d/status" % run.pid).decode())
			most = max(most, int(m[1]) if m else 0)
		except OSError:
			pass
		time.sleep(.01)
	is_((run.returncode, run.stderr.read()), (0, ""), "a run that is watched")
	return most


many = 100000 if os.environ.get("SOAK") else 20000
fill("many", "INBOX", many)
with server_client(server, "many") as c:
	c.ok("ENABLE QRESYNC")
	c.examine("INBOX")	# Dovecot's first look takes its time
account = Account(server.port, "many", timeout="600")
first = peak(account)
diag("%d KB for %d messages" % (first, many))
ok(first <= 32 << 10, "at most 32 MB of private memory for %d messages" % many)
is_(len(account.files()), many, "all here")
kb = peak(account)
ok(kb <= 16 << 10, "a second run takes less (%d KB)" % kb)

fill("many", "INBOX", 1, 200 << 20)
account = Account(server.port, "many", max_size="0", timeout="600")
with_big = peak(account)
diag("%d KB with one message of 200 MB" % with_big)
ok(with_big <= first + (8 << 10), "at most 8 MB more with one message of 200 MB")
is_(max(os.path.getsize(p) for p in account.files()) >= 200 << 20, True, "it is here")
done_testing()
