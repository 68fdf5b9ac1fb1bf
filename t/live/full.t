#!/usr/bin/python3
"""The disk is full, or breaks once, while something is written: the run ends by itself and says so, nothing is lost,
and when there is room again the next runs finish it. SOAK=1 does so at each call that needs room, with
another SEED each time; LIMIT=N at no more than N of each kind of disk. To see one again: SEED=4 WHAT='replay' CASE='grow ENOSPC - 17'."""
import fcntl
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from replay import *

PRELOAD = BIN + "/full_preload.so"
# Which calls need room (t/lib/full_preload.c): the error, and how many fail ("-": all from then on)
DISKS = {"grow": [("ENOSPC", "-"), ("ENOSPC", "1")], "cow": [("ENOSPC", "-"), ("EDQUOT", "-")], "sync": [("EDQUOT", "-"),
	("EIO", "1")]}
REASON = {"ENOSPC": "the disk is full: make room",
	"EDQUOT": "the disk quota is used up: make room", "EIO": "Input/output error"}
# A run that can do without these is a good one: who holds a lock, the queue's file made shorter, and what the next
# run makes good: that all of the Maildir is on the disk, and behind `queue` that the store knows what was done
SPARED = r"/state(/(lock|actions\.lock|actions\.new|actions))?$"
SPARED_BY_QUEUE = SPARED + r"|/store(/data\.mdb)?$"
# What a good run may say
NEWS = r": renamed here too|is gone from the server, and so is its folder|: action \d+ \(\w+\) failed: "
LIMIT = int(os.environ.get("LIMIT") or (1000000 if SOAK else 0))
seed = int(os.environ.get("SEED") or (time.time() if SOAK else 1))
random.seed(seed)
diag("SEED=%d" % seed)
server = replay_dovecot()
faults = 0


def disk(attempt, how, error="ENOSPC", count="-", at=0):
	env = {"LD_PRELOAD": PRELOAD, "FULL_UNDER": os.path.realpath(attempt.dir), "FULL_HOW": how, "FULL_ERROR": error,
		"FULL_LOG": attempt.dir + ".log"}
	return {**env, **({"FULL_AT": str(at)} if at else {}), **({"FULL_COUNT": count} if count != "-" else {})}


def calls(attempt):
	"""What was counted since the last time: [(call, path, error)]"""
	path = attempt.dir + ".log"
	lines = read(path).decode().splitlines() if os.path.exists(path) else []
	write(path, b"")
	return [(line + "\t").split("\t")[1:4] for line in lines]


def kind(call):
	"""Calls of one kind have much the same before and behind them."""
	path = re.sub(r".*/(work-[^/]*|account)(?=/|$)", "", call[1])
	path = re.sub(r"^/mail/(?!\.).*?(/(cur|new|tmp)|$)(/mailtide-part\..*)?.*", lambda m: "/mail/*" + m[1] + "/part" * bool(m[3]), path)
	return call[0], re.sub(r"[0-9a-f]{64}|new\.\w{6}|#\d+.*", "*", path)


def chosen(log, limit):
	"""The places of some: one of each kind first."""
	kinds = collections.defaultdict(list)
	for n, call in enumerate(log):
		kinds[kind(call)].append(n + 1)
	some = random.sample([random.choice(places) for places in kinds.values()], len(kinds))
	rest = sorted(set(range(1, len(log) + 1)) - set(some))
	return (some + random.sample(rest, len(rest)))[:limit]


def wrong_end(run, error, failed):
	said = [line for line in run.stderr.splitlines() if not re.search(NEWS, line)]
	spared = SPARED_BY_QUEUE if "queue" in run.args and run.returncode == 0 else SPARED
	needed = [call for call in failed if not re.search(spared, call[1]) and call[0] != "syncfs"]
	if not needed and not said:
		return ["status %d" % run.returncode] * (run.returncode not in (0, 1))
	found = []
	# Of what was queued and does not show yet a warning tells
	if run.returncode not in ((0,) if "accepted, but it does not show yet" in run.stderr else (75, 78) if error == "EIO" else (75,)):
		found.append("status %d" % run.returncode)
	if len(said) != 1 or not re.match(r"mailtide: work(/\S+)?: ", said[0]) or not said[0].endswith(REASON[error]):
		found.append("it does not say what and why")
	elif not re.search("[\"'][^\"']*/[^\"']*[\"']", said[0]):
		found.append("it names no file")
	return ["%s; it says: %s" % (", ".join(found), run.stderr)] * bool(found)


def folder_differences(account):
	"""Every mailbox has a folder, also an empty one, and it is whole."""
	folders = [at for at, names, _ in os.walk(account.maildir) if "cur" in names]
	found = ["%s is no Maildir" % at for at in folders if not all(os.path.isdir(at + sub) for sub in ("/new", "/tmp"))]
	if len(folders) != len(account.mailboxes()):
		found.append("mailboxes %r have the folders %r" % (account.mailboxes(), folders))
	return found


class Region:
	"""What is done on a full disk: do(). finish() has room, ends it and compares -> what is wrong."""

	twice = True	# do() may be done once more

	def __init__(self, world):
		self.world = world

	def attempt(self, worker):
		return self.world.attempt(worker)

	def run(self, attempt, *words, **env):
		return attempt.account.run(*words, env={**os.environ, **env})

	def do(self, attempt, **env):
		return self.run(attempt, "sync", **env)

	def finish(self, attempt, run):
		attempt.again()
		return attempt.finish() + folder_differences(attempt.account)


class Resync(Region):
	def finish(self, attempt, run):
		attempt.again()
		run = attempt.account.sync()	# it tells what is renamed and gone
		return ["then: status %d, %s" % (run.returncode, run.stderr)] if run.returncode else super().finish(attempt, run)


class First(Region):
	def attempt(self, worker):
		attempt = self.world.attempt(worker)
		shutil.rmtree(attempt.account.state)
		shutil.rmtree(attempt.account.maildir)
		return attempt


class Repair(First):
	"""The Maildir is written again."""

	twice = False

	def attempt(self, worker):
		attempt = self.world.attempt(worker)
		shutil.rmtree(attempt.account.maildir)
		return attempt

	def do(self, attempt, **env):
		return self.run(attempt, "check", "--repair", "work", **env)

	def finish(self, attempt, run):
		again = self.do(attempt)
		return ["again: status %d, %r" % (again.returncode, again.stderr)] if again.returncode > 1 else super().finish(attempt, run)


class Replay(Region):
	"""Some actions are taken up already, some are not."""

	def attempt(self, worker):
		attempt = self.world.attempt(worker)
		with open(attempt.account.state + "/lock") as f:
			fcntl.flock(f, fcntl.LOCK_EX)
			attempt.add_held()
		return attempt


class QueueAdd(Region):
	twice = False

	def do(self, attempt, **env):
		return attempt.add_held(**env)

	def finish(self, attempt, run):
		there = attempt.accepted()
		if there != (0 if run.returncode else len(self.world.held)):
			return ["status %d, and of %d lines %d are there" % (run.returncode, len(self.world.held), there)]
		if there == 0 and attempt.add_held().returncode:
			return ["it cannot be queued again"]
		return super().finish(attempt, run)


class QueueChange(Region):
	"""drop and retry, of the last action."""

	twice = False

	def __init__(self, world, verb):
		super().__init__(world)
		self.words = "queue", verb, "work", str(world.number - 1)
		self.others = self.listed(world.account)[:-1]

	@staticmethod
	def listed(account):
		return account.run("queue", "work").stdout.splitlines()

	def do(self, attempt, **env):
		return self.run(attempt, *self.words, **env)

	def finish(self, attempt, run):
		missing = set(self.others) - set(self.listed(attempt.account))
		if missing:
			return ["not queued any more: %s" % "\n".join(missing)]
		again = run.returncode and self.do(attempt)
		return ["again: %r" % again] if again and again.returncode else super().finish(attempt, run)


class Refused(Region):
	"""The server refuses to expunge what was hidden: it shows again."""

	def attempt(self, worker):
		attempt = self.world.attempt(worker)
		attempt.account.set(port=self.world.down)
		return attempt

	def finish(self, attempt, run):
		attempt.again()
		number = str(self.world.number - 1)
		run = attempt.account.sync()
		if run.returncode > 1 or "failed" not in attempt.account.run("queue", "work").stdout:
			return ["then: status %d, %s" % (run.returncode, run.stderr)]
		with server_client(server, attempt.user) as c:
			found = differences(attempt.account, c)
			c.logout()
		if found:
			return found
		if attempt.account.run("queue", "drop", "work", number).returncode:
			return ["it cannot be dropped"]
		return super().finish(attempt, run)


def fill_disk(region):
	def one(worker, case):
		how, error, count, *places = case.split()
		attempt = region.attempt(worker)
		found = []
		for at in places:
			calls(attempt)
			run = region.do(attempt, **disk(attempt, how, error, count, at))
			failed = [call for call in calls(attempt) if call[2]]
			found = found or wrong_end(run, error, failed)
			attempt.again()
		found = found or region.finish(attempt, run)
		return found + ["failed: %s" % " ".join(call) for call in failed[:3]] if found else []
	return one


def try_all(what, region, limit):
	global faults
	if os.environ.get("WHAT", what) != what:
		return
	cases = []
	for how, kinds in DISKS.items():
		attempt = region.attempt("log")
		calls(attempt)
		run = region.do(attempt, **disk(attempt, how))
		log = calls(attempt)
		ok(run.returncode in (0, 1) and log, "%s: with room (%s)" % (what, how), "status %d, %s" % (run.returncode, run.stderr))
		diag("%s, %s: %d calls of %d kinds" % (what, how, len(log), len(set(map(kind, log)))))
		for n in chosen(log, LIMIT or limit):
			for error, count in kinds if LIMIT else random.sample(kinds, 1):
				cases.append("%s %s %s %d" % (how, error, count, n))
		if region.twice:
			cases.append("%s %d" % (cases[-1], random.randrange(1, len(log) + 1)))
	if os.environ.get("CASE"):
		cases = [os.environ["CASE"]]
	for case, found in in_parallel(cases, fill_disk(region)):
		faults += len(case.split()) - 3
		ok(not found, "%s: %s" % (what, case), "\n".join(found))


def changed(world):
	"""The server goes on, and the account does not know yet."""
	model = world.model
	with server_client(server, world.user) as c:
		c.ok("DELETE Old")
		model.delete("Old")
		world.account.sync()	# it counts as gone when the next run does not find it either
		c.create("New")
		model.boxes["New"] = []
		for n in range(24):
			box = ("INBOX", "Archive", "New")[n % 3]
			m = Mail(letter(900 + n, size=(0, 3000, 200000)[n % 8 // 3]), model.next_date(), SYSTEM[:n % 3])
			c.append(box, m.data, flags=" ".join(m.flags), date=time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(m.date)))
			model.boxes[box].append(m)
		for box in "INBOX", "Busy", "Lists":
			c.select(box)
			c.ok("STORE 1:3 +FLAGS (\\Answered)")
			c.ok("STORE 4:6 +FLAGS (\\Deleted)")
			c.ok("CLOSE")
			for m in model.boxes[box][:3]:
				m.flags.add("\\Answered")
			model.boxes[box] = [m for m in model.boxes[box][:3] + model.boxes[box][6:] if "\\Deleted" not in m.flags]
		c.ok("RENAME Lists/a Lists/b")
		model.boxes["Lists/b"] = model.boxes.pop("Lists/a")
		c.logout()
	shutil.rmtree(world.dir + "/server")
	world.snapshot()


def with_expunge(world):
	"""One more action, whose message the model keeps."""
	m = world.model.take("INBOX", 1)[0]
	world.add(["expunge INBOX %s" % m.name])
	return world


def with_failed(world):
	"""One more action, that has failed."""
	world.model.boxes["Tried"] = []
	world.add(["create Tried"])
	_, port = serve(LIB + "/imapdown.py", "--fail", "CREATE:*:NO [CANNOT] not now", server.port)
	world.account.set(port=port)
	world.account.sync()
	world.account.set(port=server.port)
	shutil.rmtree(world.dir + "/server")
	world.snapshot()
	return world


def read_only(region):
	"""What only looks needs no room."""
	attempt = region.attempt("log")
	for words in ("status",), ("ls", "work"), ("queue", "work"), ("check", "work"), ("sync", "--dry-run", "work"):
		run = region.run(attempt, *words, **disk(attempt, "sync", at=1))
		ok((run.returncode, run.stderr) == (0, ""), "%s on a full disk" % words[0], "status %d, %s" % (run.returncode, run.stderr))


resync = World(server, seed, 0, on_removed_mailbox="remove")
changed(resync)
replay = World(server, seed + 1, 200 if SOAK else 40, held=16)
read_only(Region(replay))
try_all("first", First(resync), 9)
try_all("resync", Resync(resync), 7)
try_all("repair", Repair(World(server, seed + 2, 12)), 4)
try_all("replay", Replay(replay), 9)
try_all("queue add", QueueAdd(replay), 8)
try_all("queue drop", QueueChange(with_expunge(World(server, seed + 3, 12)), "drop"), 4)
try_all("queue retry", QueueChange(with_failed(World(server, seed + 4, 0)), "retry"), 2)
refused = with_expunge(World(server, seed + 5, 0))
_, refused.down = serve(LIB + "/imapdown.py", "--fail", "UID STORE:*:NO not now", server.port)
try_all("refused", Refused(refused), 4)
diag("%d faults" % faults)
done_testing()
