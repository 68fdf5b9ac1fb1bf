#!/usr/bin/python3
"""A replay of many actions that is killed at each crash point is finished by the next runs: nothing is lost,
nothing is there twice, nothing is done twice (R8 to R11). SOAK=1 kills at every pass of every point; LIMIT=N at no
more than N for each world. To see one again: SEED=4 WORLD='no UIDPLUS' CASE='push.sent:2 *:7'."""
import fcntl
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from replay import *

LIMIT = int(os.environ.get("LIMIT") or (1000000 if SOAK else 0))
server = replay_dovecot()
kills = runs = 0


def passes(world, *args):
	"""The points that a run passes, each time."""
	attempt = world.attempt("passes")
	path = attempt.dir + "/passes"
	run = attempt.account.sync(*args, MAILTIDE_PASSES=path)
	is_((run.returncode, run.stderr), (0, ""), "an undisturbed run")
	found = attempt.finish()
	ok(not found, "ends as the model says", "\n".join(found))
	return read(path).decode().split()


def kill(world):
	def die(worker, point):
		attempt = world.attempt(worker)
		for one in point.split(" "):	# the run after it, too
			run = attempt.account.sync(point=one)
			if run.returncode not in (0, -signal.SIGKILL):
				return ["the killed run: status %d, %r" % (run.returncode, run.stderr)]
			attempt.again()
		return attempt.finish()
	return die


def chosen(names, limit):
	"""Of each point its first pass, its second, one in the middle and the last; then, spread evenly, others."""
	count = collections.Counter(names)
	some = []
	for name, n in count.items():
		some += ["%s:%d" % (name, i) for i in sorted({1, 2, n // 2 + 1, n}) if i <= n]
	every = ["*:%d" % (i + 1) for i in range(len(names))]
	step = 7 if len(every) % 7 else 11
	every = [every[i * step % len(every)] for i in range(len(every))]
	if limit < len(some):
		random.shuffle(some)
	return (some + every)[:limit]


def kill_all(what, world, limit, again=2):
	global kills
	names = passes(world)
	diag("%s: %d actions, %d passes of %d points" % (what, len(world.lines), len(names), len(set(names))))
	cases = chosen(names, limit)
	# Killed, and the run after that, too
	cases += ["*:%d *:%d" % (random.randrange(1, len(names)), random.randrange(1, 60)) for _ in range(again)]
	if os.environ.get("CASE"):
		cases = [os.environ["CASE"]]
	for case, found in in_parallel(cases, kill(world)):
		kills += len(case.split(" "))
		ok(not found, "%s: killed at %s" % (what, case), "\n".join(found))
	return set(names)


# What is being queued, or taken up, when it dies


def killed_add(world):
	def do(worker, point):
		attempt = world.attempt(worker)
		run = attempt.add_held(MAILTIDE_POINT=point)
		if run.returncode not in (0, -signal.SIGKILL):
			return ["queue add: status %d, %r" % (run.returncode, run.stderr)]
		count = attempt.accepted()
		if count not in (0, len(world.held)):
			return ["%d of %d lines were accepted" % (count, len(world.held))]
		if run.returncode == 0 and count == 0:
			return ["it ended well, and nothing is in the queue"]
		if count == 0 and attempt.add_held().returncode != 0:
			return ["it cannot be queued again"]
		return attempt.finish()
	return do


def add_unfolded(attempt):
	"""While somebody has the account, the lines are written and not taken up."""
	with open(attempt.account.state + "/lock") as f:
		fcntl.flock(f, fcntl.LOCK_EX)
		return attempt.add_held()


def killed_fold(world):
	def do(worker, point):
		attempt = world.attempt(worker)
		add_unfolded(attempt)
		attempt.account.sync(point=point)
		attempt.again()
		return attempt.finish()
	return do


def recorded(world, add, *words):
	attempt = world.attempt("passes")
	path = attempt.dir + "/passes"
	if add:
		is_(attempt.add_held(MAILTIDE_PASSES=path).returncode, 0, "queue add")
	else:
		is_(add_unfolded(attempt).returncode, 0, "queue add while the account is taken")
		attempt.account.sync(MAILTIDE_PASSES=path)
	return read(path).decode().split()


def kill_queue(seed):
	global kills
	world = World(server, seed, 24, held=14)
	names = recorded(world, True)
	for name in "queue.durable", "fold.lines", "fold.committed", "store.before-commit":
		ok(name in names, "queue add passes %s" % name, names)
	cases = ["*:%d" % (i + 1) for i in range(len(names))]
	cases = random.sample(cases, min(len(cases), LIMIT or 12))
	for case, found in in_parallel(cases, killed_add(world)):
		kills += 1
		ok(not found, "queue add, killed at %s" % case, "\n".join(found))
	names = recorded(world, False)
	names = names[:names.index("push.before-intent")]
	ok("fold.committed" in names, "the run takes the lines up", names)
	cases = ["*:%d" % (i + 1) for i in range(len(names))]
	for case, found in in_parallel(random.sample(cases, min(len(cases), LIMIT or 6)), killed_fold(world)):
		kills += 1
		ok(not found, "the run that takes lines up, killed at %s" % case, "\n".join(found))


seed = int(os.environ.get("SEED") or 1)
worlds = [
	("full", dict(actions=40), []),
	("no UIDPLUS, no MOVE", dict(actions=40), ["--drop", "UIDPLUS,MOVE"]),
	("MOVE without UIDPLUS", dict(actions=40), ["--drop", "UIDPLUS"]),
	("no MULTIAPPEND, no LITERAL+", dict(actions=40), ["--drop", "MULTIAPPEND,LITERAL+"]),
	("no CONDSTORE, no QRESYNC", dict(actions=40), ["--drop", "CONDSTORE,QRESYNC"]),
	("bare", dict(actions=40), ["--keep", "IMAP4rev1"]),
	("few messages", dict(actions=40, model=Chains), []),
	("200 actions", dict(actions=200), []),
]
wanted = os.environ.get("WORLD")
for n, (what, options, down) in enumerate(worlds):
	if wanted and wanted not in what:
		continue
	world = World(server, seed + n, **options)
	random.seed(seed + n)
	if down:
		process, world.port = serve(LIB + "/imapdown.py", *down, server.port)
	kill_all(what, world, LIMIT or (6 if down else 12))
	if down:
		process.kill()
		is_(read(process.errors).decode(), "", "%s: nothing is used that is not offered" % what)
# The user stops it, again and again


def stopped(world):
	"""That is no lost connection, however often (R11)."""
	def do(worker, seed):
		attempt, when = world.attempt(worker), random.Random(seed)
		for _ in range(8):
			run = attempt.account.start()
			time.sleep(when.uniform(.02, .2))
			run.terminate()
			_, errors = run.communicate()
			if run.returncode not in (0, 75, -signal.SIGTERM):
				return ["stopped: status %d, %r" % (run.returncode, errors)]
			attempt.again()
		return attempt.finish()
	return do


if not wanted or wanted == "stop":
	world = World(server, seed + 200, 60)
	for n, found in in_parallel(range(LIMIT and min(LIMIT, 200) or 6), stopped(world)):
		kills += 8
		ok(not found, "stopped eight times (%d)" % n, "\n".join(found))
if not wanted or wanted == "queue":
	random.seed(seed)
	kill_queue(seed + 100)
diag("%d kills" % kills)
done_testing()
