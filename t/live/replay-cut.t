#!/usr/bin/python3
"""A replay of many actions whose connection is cut after some octet, either way, by FIN or RST, goes on with the
same run or the next one: nothing is lost, nothing is there twice, nothing is marked as failed, and the user is
told once (R8 to R11). SOAK=1 cuts after every octet; LIMIT=N tries N cuts for each
world. To see one again: SEED=4 WORLD='no UIDPLUS' CASE='-S 16858 rst'."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from replay import *

LIMIT = int(os.environ.get("LIMIT") or (1000000 if SOAK else 0))
server = replay_dovecot()
cuts = 0


class Cutter:
	"""delayproxy; each item of `cuts` is (option, octets, how) of the connection with that number."""

	def __init__(self, port, cuts, *options):
		self.processes = []
		for n, cut in enumerate(cuts):
			words = ["-n", n + 1, cut[0], cut[1], "-K", cut[2]] if cut else []
			port = self.start(port, *words)
		self.port = self.start(port, *options) if options else port

	def start(self, port, *options):
		process = subprocess.Popen([BIN + "/delayproxy", "-t", str(port), "-o", "/dev/null", *map(str, options)],
			stdout=subprocess.PIPE)
		self.processes.append(process)
		return int(process.stdout.readline())

	def end(self):
		for process in self.processes:
			process.kill()
			process.wait()
			process.stdout.close()


def transcript(world):
	"""What each side says in an undisturbed run: {"-C": octets, "-S": octets}, and its session by lines."""
	attempt, path = world.attempt("transcript"), world.dir + "/transcript"
	cutter = Cutter(world.port, [], "-T", path)
	attempt.account.set(port=cutter.port)
	run = attempt.account.sync()
	cutter.end()
	is_((run.returncode, run.stderr), (0, ""), "an undisturbed run")
	found = attempt.finish()
	ok(not found, "ends as the model says", "\n".join(found))
	data, said, at = read(path), {"-C": b"", "-S": b""}, 0
	while m := re.compile(rb"\n#1 ([SC]) [\d.]+ (\d+)\n").match(data, at):
		said["-" + m[1].decode()] += data[m.end():m.end() + int(m[2])]
		at = m.end() + int(m[2])
	return said


def edges(said):
	"""Where it is close: around literals and the commands behind them, tagged answers, APPENDUID, COPYUID."""
	found = []
	for m in re.finditer(rb"\{\d+\+?\}\r\n", said["-C"]):
		found += [("-C", m.start()), ("-C", m.end()), ("-C", m.end() + 1)]
	for m in re.finditer(rb"\r\n\w+ (UID (COPY|MOVE|STORE|EXPUNGE)|EXPUNGE|CREATE|DELETE|APPEND)[^\r]*(?=\r\n)", said["-C"]):
		found += [("-C", m.end()), ("-C", m.end() + 2)]
	for m in re.finditer(rb"(APPENDUID|COPYUID) [^\]]*\]|\r\n\w+ (OK|NO)|\r\n\+ ", said["-S"]):
		found += [("-S", m.start() + 2), ("-S", m.end()), ("-S", said["-S"].find(b"\r\n", m.end()) + 2)]
	return sorted({one for one in found if one[1] > 0})


def sample(some, count):
	return some if count >= len(some) else random.sample(some, count)


def told_once(run, lost):
	"""At most one message for each connection that was lost."""
	lines = run.stderr.splitlines()
	return ["cut run: status %d: %s" % (run.returncode, run.stderr)] * (run.returncode not in (0, 75)) + \
		["%d connections were lost, and this was said:\n%s" % (lost, run.stderr)] * (len(lines) > lost) + \
		["status 75, and not a word"] * (run.returncode == 75 and not lines)


def cut(world):
	def do(worker, case):
		attempt = world.attempt(worker)
		cutter = Cutter(world.port, case)
		attempt.account.set(port=cutter.port)
		run = attempt.account.sync()
		cutter.end()
		marked = re.findall(r"^\d+\t(?:failed|unknown|held).*", attempt.account.run("queue", "work").stdout, re.M)
		return told_once(run, len(case)) + marked + attempt.finish()
	return do


def cut_all(what, world, limit, several):
	global cuts
	said = transcript(world)
	size = {way: len(data) for way, data in said.items()}
	# All of them, in an order that is spread evenly wherever it is broken off
	every = [(way, i + 1) for way in size for i in range(size[way])]
	random.shuffle(every)
	close = edges(said)
	cases = sample(close, limit // 2)
	cases = cases + every[:limit - len(cases)]
	hows = "rst", "fin"
	cases = [[(way, at, hows[n % 2])] for n, (way, at) in enumerate(cases)]
	# Two and three in a row: each later connection is cut in what comes first there, the looks
	for n in range(several):
		cases.insert(0, [(*random.choice(close), hows[n % 2])] + [(*random.choice([("-C", random.randrange(200, 1500)),
			("-S", random.randrange(600, 6000))]), hows[n % 2]) for _ in range(1 + n % 2)])
	if os.environ.get("CASE"):
		words = os.environ["CASE"].split()
		cases = [[(words[i], int(words[i + 1]), words[i + 2]) for i in range(0, len(words), 3)]]
	diag("%s: %d actions, %d octets by the client, %d by the server, %d close ones; %d cases" % (what,
		len(world.lines), size["-C"], size["-S"], len(close), len(cases)))
	for case, found in in_parallel(cases, cut(world)):
		cuts += len(case)
		ok(not found, "%s: cut %s" % (what, " ".join("%s %d %s" % one for one in case)), "\n".join(found))


seed = int(os.environ.get("SEED") or 1)
worlds = [
	("full", 40, []),
	("no UIDPLUS, no MOVE", 30, ["--drop", "UIDPLUS,MOVE"]),
	("MOVE without UIDPLUS", 30, ["--drop", "UIDPLUS"]),
	("no MULTIAPPEND, no LITERAL+", 30, ["--drop", "MULTIAPPEND,LITERAL+"]),
	("no CONDSTORE, no QRESYNC", 30, ["--drop", "CONDSTORE,QRESYNC"]),
	("bare", 30, ["--keep", "IMAP4rev1"]),
	("few messages", 40, []),
	("200 actions", 200, []),
]
wanted = os.environ.get("WORLD")
for n, (what, actions, down) in enumerate(worlds):
	if wanted and wanted not in what:
		continue
	world = World(server, seed + n, actions, model=Chains if what == "few messages" else Model)
	random.seed(seed + n)
	if down:
		process, world.port = serve(LIB + "/imapdown.py", *down, server.port)
	cut_all(what, world, LIMIT or (16 if n == 0 else 6), min(LIMIT // 4, 200) or 2)
	if down:
		process.kill()
diag("%d cuts" % cuts)
done_testing()
