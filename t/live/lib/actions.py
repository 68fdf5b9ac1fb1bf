"""Scenarios of the queue's replay, as data: what is on the server, what is queued, and what the server has then.

Messages have numbers (see mail() in live.py); "3:\\Seen,work" is message 3 with these flags. Those that are
there from the start stand in `start`; others are letters that an action appends. In a line of the queue:

	{3}	the UID of message 3 in the first mailbox of `start` that has it; {m3} its local number
	{L50}	the file with letter 50, whose time is date_of(50)
	{=Box}	the mailbox as this server has to be asked for it

`after` names only the mailboxes that change; None is one that is not there any more. `local` says where the
Maildir shows something else than `after` before the sync."""
import concurrent.futures
import shlex
import traceback

from matrix_servers import *

SYSTEM = {f.lower(): f for f in LETTERS}
BODY = re.compile(rb"BODY(\.PEEK)?\[\]|RFC822[ )]", re.I)


def date_of(n):
	return 1_300_000_000 + 86_400 * n


def internaldate(n):
	return time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(date_of(n)))


class Shape:
	"""What is told apart on a server or in the Maildir: {mailbox: Counter of (message, flags, date)}."""

	def __init__(self, text_of):
		self.boxes = {name: self.parse(text) for name, text in text_of.items()}

	@staticmethod
	def parse(text):
		if text is None:
			return None
		found = collections.Counter()
		for word in text.split():
			n, _, flags = word.partition(":")
			found[int(n), frozenset(flags.split(",")) - {""}, date_of(int(n))] += 1
		return found


def known_messages(numbers):
	"""{SHA-256 with LF: number}"""
	return {sha256(mail(n).replace(b"\r\n", b"\n")): n for n in numbers}


NUMBERS = known_messages(range(400))


class Scenario:
	def __init__(self, name, lines, after, start=None, local=None, gone=(), says="",
		subscribed=None, left=None, **keys):
		self.name, self.lines, self.after = name, lines, after
		self.start = {"INBOX": "1 2:\\Seen 3:work", "Box": ""} if start is None else start
		self.local = local	# {}: the Maildir shows nothing of it at once; False: not looked at
		self.gone, self.says = gone, says	# mailboxes that only we still have; on standard error
		self.subscribed, self.keys = subscribed, keys
		self.left = left or {}		# {action: state} of what stays in the queue


class Stage:
	"""An account and a raw client of one site, with `start` brought home."""

	def __init__(self, site, start, **keys):
		self.site, self.start = site, start
		self.c = site.client()
		self.letters = {}
		self.uid = {}
		for name, text in start.items():
			self.make(name, text)
		self.account = site.account(**keys)
		self.problems = []
		self.sync("first sync", silent=True)
		self.number = {n: row.number for n, row in self.rows()}
		self.origin = self.messages_of_server()
		self.subscribed = subscribed(self.c)

	def make(self, name, text):
		box = self.site.box(name)
		if name != "INBOX" and box not in server_mailboxes(self.c):
			self.c.create(box)
		for word in text.split():
			n, _, flags = word.partition(":")
			self.put(name, int(n), flags.replace(",", " "))
		self.c.select(box)
		for uid, v in (self.c.fetch("1:*", "BODY.PEEK[]") if text else {}).items():
			n = NUMBERS[sha256(v[b"BODY[]"].replace(b"\r\n", b"\n"))]
			self.uid.setdefault(n, uid)
			flags = re.search(r"\b%d:(\S+)" % n, text)
			if flags and self.c.settles:	# it loses them in an APPEND
				self.c.store(str(uid), "+FLAGS.SILENT", flags[1].replace(",", " "))
		# Out of it without CLOSE, which expunges.
		self.c.logout()
		self.c = self.site.client()

	def put(self, name, n, flags=""):
		self.c.append(self.site.box(name), mail(n), flags=flags, date=internaldate(n))

	def rows(self):
		"""Of every message that ls lists, its number in the tests."""
		for name in self.account.mailboxes():
			for row in self.account.ls(name).values():
				if row.path:
					yield NUMBERS.get(sha256(read(row.path))), row

	def letter(self, n):
		path = "%s/letter%d" % (self.account.dir, n)
		if not os.path.exists(path):
			write(path, mail(n).replace(b"\r\n", b"\n"))
			os.utime(path, (date_of(n), date_of(n)))
		return path

	def line(self, text):
		def part(m):
			word = m[1]
			if word[0] == "=":
				return shlex.quote(self.site.box(word[1:]))
			if word[0] == "m":
				return self.number[int(word[1:])]
			if word[0] == "L":
				return shlex.quote(self.letter(int(word[1:])))
			return str(self.uid[int(word)])
		return re.sub(r"\{([^}]*)\}", part, text)

	def add(self, *lines):
		"""-> the actions' numbers. One that names an append by its number needs that to be known."""
		for n, line in enumerate(lines):
			if "@" in line:
				return self.add_together(lines[:n]) + self.add_together([line]) + self.add(*lines[n + 1:])
		return self.add_together(lines)

	def add_together(self, lines):
		if not lines:
			return []
		text = "".join(self.line(line) + "\n" for line in lines)
		run = self.account.run("queue", "add", self.account.name, "-", input=text)
		if run.returncode or run.stderr:
			raise RuntimeError("queue add: status %d: %s%s" % (run.returncode, text, run.stderr))
		return [int(n) for n in run.stdout.split()]

	def queue(self):
		"""-> {number: (state, reason)}"""
		run = self.account.run("queue", self.account.name)
		found = {}
		for line in run.stdout.splitlines():
			fields = line.split("\t")
			found[int(fields[0])] = (fields[1], fields[6] if len(fields) > 6 else "")
		return found

	def sync(self, what="sync", wanted=(0,), silent=False, args=()):
		run = self.account.sync(*args, timeout=60)
		if run.returncode not in wanted:
			self.problems.append("%s: status %d: %s%s" % (what, run.returncode, run.stdout[-300:], run.stderr[-900:]))
		elif silent and (run.stdout or run.stderr):
			self.problems.append("%s is not silent: %s%s" % (what, run.stdout[-300:], run.stderr[-900:]))
		return run

	# What is there

	def messages_of_server(self):
		"""{mailbox: Counter of (message, flags, date)}"""
		found = {}
		for name, messages in server_state(self.c).items():
			found[name] = collections.Counter((NUMBERS.get(m.file_sha256, m.file_sha256), m.flags, m.date)
				for m in messages.values())
		return found

	def messages_of_maildir(self):
		"""{folder: Counter of (message, letters, local number)}"""
		found = collections.defaultdict(collections.Counter)
		for path in self.account.files():
			folder = os.path.relpath(os.path.dirname(os.path.dirname(path)), self.account.maildir)
			n = NUMBERS.get(sha256(read(path)))
			found[folder][n, file_letters(path), re.search(r"\.(m\d+)_", path)[1]] += 1
		return found

	def expected(self, after):
		"""The whole server, where only some mailboxes are told."""
		want = dict(self.origin)
		for name, messages in Shape(after).boxes.items():
			if messages is None:
				want.pop(self.site.box(name), None)
			else:
				want[self.site.box(name)] = self.site.keeps(messages)
		return want

	def compare_server(self, after, what="server"):
		want, have = self.expected(after), self.messages_of_server()
		for name in sorted(set(want) | set(have)):
			if name not in have:
				self.problems.append("%s: mailbox %r is missing" % (what, name))
			elif name not in want:
				self.problems.append("%s: mailbox %r is too much: %s" % (what, name, dict(have[name])))
			elif not self.site.same_messages(want[name], have[name]):
				self.problems.append("%s: %s has %s, not %s" % (what, name, told(have[name]), told(want[name])))

	def compare_maildir(self, after, what="Maildir"):
		"""Are the files where `after` has the messages, with their letters?"""
		have = self.messages_of_maildir()
		for name, messages in self.expected(after).items():
			want = collections.Counter()
			for (n, flags, _), count in messages.items():
				want[n, "".join(sorted(LETTERS[f] for f in flags if f in LETTERS))] += count
			got = collections.Counter()
			for (n, letters, _), count in have.pop(self.folder_of(name), {}).items():
				got[n, letters] += count
			if want != got:
				self.problems.append("%s: %s has %s, not %s" % (what, name, sorted(got.items(), key=str), sorted(want.items(), key=str)))
		for folder, messages in have.items():
			self.problems.append("%s: folder %s has %s" % (what, folder, dict(messages)))

	def folder_of(self, name):
		return name.replace(self.site.separator, "/")

	def compare_sides(self, what="both sides", gone=()):
		found = differences(self.account, self.c, gone=gone, limit=6)
		if not self.site.dates:
			found = [d for d in found if ": date is " not in d and ": file's time is " not in d]
		self.problems += ["%s: %s" % (what, d) for d in found]
		check = self.account.run("check", self.account.name)
		if check.returncode or check.stderr:
			self.problems.append("%s: check: %s%s" % (what, check.stdout, check.stderr))

	# On the wire

	def watched(self, what, **options):
		"""A sync whose wire is looked at. -> (run, what was sent as bytes, statistics)"""
		transcript = "%s/wire.%d" % (self.account.dir, next(counter))
		with starting:
			proxy = Proxy(self.site.port, "-T", transcript)
		self.account.set(port=proxy.port)
		run = self.sync(what, **options)
		self.account.set(port=self.site.port)
		stats = proxy.stats()
		return run, sent(read(transcript)), stats

	def sync_without_bodies(self, what="sync", **options):
		run, commands, _ = self.watched(what, **options)
		for line in commands.splitlines():
			if BODY.search(line):
				self.problems.append("%s fetches a body: %s" % (what, line.decode()))
		return run, commands

	def nothing_more(self, what="second sync"):
		"""A sync that has nothing to do does nothing, and says nothing."""
		before = self.account.snapshot()
		_, commands, stats = self.watched(what, silent=True)
		if self.site.skips and total(stats, "selects"):
			self.problems.append("%s opens a mailbox:\n%s" % (what, commands.decode(errors="replace")[-600:]))
		changing = re.findall(rb"(?im)^\S+ (?:UID )?(?:STORE|COPY|MOVE|APPEND|EXPUNGE|CREATE|RENAME|DELETE)\b.*", commands)
		if changing or BODY.search(commands):
			self.problems.append("%s sends %r" % (what, changing or commands))
		if self.account.snapshot() != before:
			self.problems.append(what + " touches files")

	def close(self):
		self.c.close()


def told(messages):
	return " ".join("%s:%s@%s" % (n, ",".join(sorted(flags)), date) * count
		for (n, flags, date), count in sorted(messages.items(), key=str))


def sent(transcript):
	"""What the client said, of a transcript of delayproxy."""
	out, at = [], 0
	for m in iter(lambda: re.compile(rb"\n?#(\d+) ([CS]) \S+ (\d+)\n").search(transcript, at), None):
		size = int(m[3])
		if m[2] == b"C":
			out.append(transcript[m.end():m.end() + size])
		at = m.end() + size
	return b"".join(out)


def play(site, scenario):
	"""-> what is wrong"""
	stage = Stage(site, scenario.start, **scenario.keys)
	stage.add(*scenario.lines)
	if scenario.local is not False:
		stage.compare_maildir(scenario.after if scenario.local is None else scenario.local, "Maildir at once")
	local = stage.messages_of_maildir()
	run, _ = stage.sync_without_bodies()
	if run.stdout or not re.fullmatch(site.says(scenario.says), run.stderr, re.S):
		stage.problems.append("the sync says %r" % (run.stdout + run.stderr))
	stage.compare_server(scenario.after)
	stage.compare_sides(gone=list(map(site.box, scenario.gone)))
	if scenario.local is None and stage.messages_of_maildir() != local:
		stage.problems.append("the sync has changed the Maildir: %s, was %s" % (dict(stage.messages_of_maildir()), dict(local)))
	left = {number: state for number, (state, _) in stage.queue().items()}
	if left != site.leaves(scenario.left):
		stage.problems.append("still queued: %s" % stage.queue())
	if scenario.subscribed is not None:
		have = subscribed(stage.c) - stage.subscribed - site.subscribed
		if have != set(map(site.box, scenario.subscribed)):
			stage.problems.append("subscribed: %s, not %s" % (sorted(have), sorted(scenario.subscribed)))
	stage.nothing_more()
	stage.close()
	return stage.problems


def subscribed(c):
	return {decode_name(m) for line in c.ok('LSUB "" "*"').untagged if line.startswith(b"* LSUB ")
		for m in re.findall(rb'"?([^" ]+)"?\r\n', line)}


def all_of(functions, workers=4):
	"""[(title, function without arguments that answers with problems)]: each is one test."""
	def one(function):
		try:
			return function()
		except Exception:
			return [traceback.format_exc(limit=-5)]

	with concurrent.futures.ThreadPoolExecutor(workers) as pool:
		for (title, _), problems in zip(functions, pool.map(one, [f for _, f in functions])):
			ok(not problems, title, "\n".join(problems))
