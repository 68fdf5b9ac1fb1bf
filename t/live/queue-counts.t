#!/usr/bin/python3
"""What can be counted exactly of the replay: round trips from connect() to the end of LOGOUT, fsyncs, memory."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from live import *

server = dovecot()
PLAIN = dict(auth="PLAIN", tls="none", compress="no", timeout="600")


def fill(user, mailbox, n):
	"""Many tiny messages, faster than APPEND."""
	uid, gid = map(int, server.owner.split(":"))
	root = "%s/mail/%s/mail" % (server.dir, user)
	folder = root if mailbox == "INBOX" else "%s/.%s" % (root, mailbox)
	for path in os.path.dirname(root), root, folder, *("%s/%s" % (folder, s) for s in ("cur", "new", "tmp")):
		os.makedirs(path, exist_ok=True)
		os.chown(path, uid, gid)
	for i in range(n):
		path = "%s/cur/%d.%d.x:2,%s" % (folder, 1300000000 + i, i, "S" if i % 3 else "")
		with open(path, "wb") as f:
			f.write(b"Subject: %d\nMessage-ID: <%d.%s@x>\n\nx\n" % (i, i, mailbox.encode()))
			os.fchown(f.fileno(), uid, gid)


def letters(name, n, size):
	"""-> n files of mail"""
	os.makedirs(WORK + "/" + name)
	for i in range(n):
		write("%s/%s/%d" % (WORK, name, i), mail(i, size, **{"X-Of": name}))
	return ["%s/%s/%d" % (WORK, name, i) for i in range(n)]


def adds(account, lines, name):
	"""One `queue add` with many lines."""
	run = account.run("queue", "add", account.name, "-", input="".join(line + "\n" for line in lines), timeout=120)
	is_((run.returncode, run.stderr, run.stdout.count("\n")), (0, "", len(lines)), name)


def counted(account, at_most, name):
	"""A run with 50 ms round trip. The LOGOUT counts."""
	proxy = Proxy(server.port, "-d", 25)
	account.set(port=proxy.port)
	run = account.sync(timeout=120)
	is_((run.returncode, run.stderr), (0, ""), name)
	stats = proxy.stats()
	account.set(port=server.port)
	waits = total(stats, "waits")
	diag("%s: %d waits, %d selects, %d commands, %d connections, %d ms" % (name, waits, total(stats, "selects"),
		total(stats, "commands"), len(stats), max(one["ms"] for one in stats)))
	ok(waits <= at_most, "%s: %d blocking round trips, at most %d" % (name, waits, at_most))
	is_(account.run("queue", account.name).stdout, "", "%s: all done" % name)


def synced(user, **options):
	account = Account(server.port, user, **{**PLAIN, **options})
	run = account.sync(timeout=200)
	is_((run.returncode, run.stderr), (0, ""), "%s: first sync" % user)
	return account


def syncs_of(path, program="mailtide"):
	found = []
	for line in read(path).decode().splitlines():
		if "program=" + program in line:
			diag(line)
			found.append({k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)})
	return found


# 1,000 uploads
account = synced("up")
adds(account, ["append INBOX " + path for path in letters("up", 1000, 4200)], "1,000 uploads")
counted(account, 8, "1,000 uploads of 4.3 KB")
with server_client(server, "up") as c:
	is_(c.status("INBOX", "MESSAGES")["MESSAGES"], 1000, "all are there")
	same(account, c, "and here")
is_(os.listdir(account.state + "/outgoing"), [], "no body is left in outgoing")
is_(read(account.state + "/actions").count(b"\n"), 1, "and no line in the queue but the first")

# 10,000 flag changes over 20 mailboxes
BOXES = ["INBOX"] + ["B%02d" % i for i in range(1, 20)]
for box in BOXES:
	fill("flags", box, 500)
account = synced("flags")
count = WORK + "/fsyncs"
lines = ["flag %s %d +\\\\Flagged" % (BOXES[i % 20], i // 20 + 1) for i in range(10000)]
run = account.run("queue", "add", account.name, "-", input="\n".join(lines) + "\n", timeout=120,
	env={**os.environ, "LD_PRELOAD": BIN + "/fsync_preload.so", "FSYNC_COUNT_FILE": count})
is_((run.returncode, run.stderr, run.stdout.count("\n")), (0, "", 10000), "10,000 flag changes are queued")
found = syncs_of(count)
# A commit of the store is an fdatasync and a write that waits like one. Apart from those: the folder of a new
# file, the append, and once more what is taken up, as a script may have written it.
of_file = [f["fsync"] + f["fdatasync"] + f["msync"] + f["syncfs"] - f["dsync_writes"] for f in found]
is_(of_file, [3], "one fsync for the append")
ok(found[0]["dsync_writes"] <= 4, "the store takes them up in few transactions")
counted(account, 26, "10,000 flag changes over 20 mailboxes")
with server_client(server, "flags") as c:
	flagged = []
	for box in BOXES:
		flagged.append(sum("\\Flagged" in m.flags for m in server_messages(c, box).values()))
	is_(flagged, [500] * 20, "all are set")
	same(account, c, "and here")
counted(account, 3, "nothing is left to do")

# Login, LIST, SELECT with the look at who is there, the command, the pull, LOGOUT. An expunge is two commands.
BOUNDS = {"move": 6, "copy": 6, "expunge": 7}
for verb, bound in BOUNDS.items():
	fill(verb, "INBOX", 1500)
	fill(verb, "To", 3)
	account = synced(verb)
	adds(account, ["%s INBOX %d%s" % (verb, i + 1, "" if verb == "expunge" else " To") for i in range(1000)],
		"1,000 times %s" % verb)
	counted(account, bound, "1,000 times %s" % verb)
	with server_client(server, verb) as c:
		is_([c.status(box, "MESSAGES")["MESSAGES"] for box in ("INBOX", "To")],
			{"move": [500, 1003], "copy": [1500, 1003], "expunge": [500, 3]}[verb], "the server's mailboxes")
		same(account, c, "and ours")

# Memory


def peak(account, lines, name):
	"""-> the largest RssAnon of the sync that does them, in KB"""
	adds(account, lines, name)
	run, most = account.start(), 0
	while run.poll() is None:
		try:
			m = re.search(r"RssAnon:\s+(\d+)", read("/proc/%d/status" % run.pid).decode())
			most = max(most, int(m[1]) if m else 0)
		except OSError:
			pass
		time.sleep(.005)
	is_((run.returncode, run.stderr.read()), (0, ""), name + ": done")
	is_(account.run("queue", account.name).stdout, "", name + ": all of them")
	diag("%s: at most %d KB" % (name, most))
	return most


LONG = 20000 if os.environ.get("SOAK") else 6000
fill("many", "INBOX", 1000 + LONG)
fill("many", "To", 3)
account = synced("many", bodies="none")
few = letters("few", 1000, 300)
many = few * (20 if os.environ.get("SOAK") else 4)	# each body is written durably, which takes its time
for what, line in {"flag": "flag INBOX %d +\\\\Flagged", "copy": "copy INBOX %d To", "move": "move INBOX %d To"}.items():
	a = peak(account, [line % i for i in range(1, 1001)], "1,000 times %s" % what)
	b = peak(account, [line % i for i in range(1001, 1001 + LONG)], "%d times %s" % (LONG, what))
	ok(b <= a + (8 << 10), "%s: %d KB for 1,000, %d KB for %d" % (what, a, b, LONG))
a = peak(account, ["append INBOX " + path for path in few], "1,000 uploads")
b = peak(account, ["append INBOX " + path for path in many], "%d uploads" % len(many))
ok(b <= a + (8 << 10), "uploads: %d KB for 1,000, %d KB for %d" % (a, b, len(many)))
with open(WORK + "/big", "wb") as f:
	f.write(b"Subject: big\n\n")
	for i in range(200):
		f.write(b"0123456789abcde\n" * 65536)
c = peak(account, ["append INBOX %s/big" % WORK], "one upload of 200 MB")
ok(c <= a + (8 << 10), "one of 200 MB: %d KB" % c)
done_testing()
