"""A replay of many actions that depend on each other, and what must come of it.

	world = World(server, seed=1, actions=200)	# an account, its queue filled; the model of the end
	attempt = world.attempt(worker)			# server's folder and account as they were then, for a
							# user of their own
	attempt.account.sync(point="push.sent:2")
	found = attempt.finish()			# runs until all is done -> what is wrong

The model knows messages by their place in the order of things, never by a UID: what the end must be is for
each mailbox the multiset of (SHA-256, flags, date). Attempts of different workers may go on at the same time."""
import atexit
import collections
import concurrent.futures
import itertools
import random
import shutil
import tempfile
import threading

from live import *
from imapclient import parse

WORKERS = 4
SOAK = bool(os.environ.get("SOAK"))
KEYWORDS = ["work", "$Label1", "later", "$Forwarded"]
SYSTEM = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft"]
FIRST = 1580551200	# of the dates
BOXES = ["INBOX", "Archive", "Lists", "Lists/a", "Zürich & co", "Busy"]
TWICE = "Old", "Older"


class Mail:
	"""A message of the model. Also `queue add`'s name of it: m1 or @1; None until the account tells."""

	def __init__(self, data, date, flags=(), name=None):
		self.data, self.date, self.flags, self.name = data, date, set(flags), name
		self.number, self.waits = None, 0	# m1, even where it is called @1; the action that appends it

	def key(self):
		return sha256(self.data), tuple(sorted(self.flags)), self.date


def letter(n, message_id=True, text="", size=0):
	lines = ["From: a@example.org", "Subject: letter %d" % n, "Date: Sat, 01 Feb 2020 10:00:00 +0000"]
	lines += ["Message-ID: <%s@replay>" % (message_id if message_id is not True else n)] * bool(message_id)
	lines += ["", "text %d %s" % (n, text)] + ["%070d" % i for i in range(size // 72)]
	return ("\r\n".join(lines) + "\r\n").encode()


def quoted(word):
	return "'%s'" % word if re.search(r"[^A-Za-z0-9@,/+$-]", word) else word


def number_of(path):
	return re.search(r"\.(m\d+)_", path)[1]


class Model:
	"""The mailboxes as the user sees them, and the lines that change them."""

	first_boxes = *BOXES, *TWICE
	first_count = 10, 16
	verbs = {"flag": 26, "copy": 14, "move": 22, "append": 18, "expunge": 8, "create": 2, "rename": 1,
		"subscribe": 2, "unsubscribe": 1, "delete": 1}
	may_go = TWICE	# to be deleted

	def __init__(self, seed):
		self.random = random.Random(seed)
		self.boxes = collections.OrderedDict((name, []) for name in self.first_boxes)
		self.deleted = set()
		self.dead = {}		# of those, the numbers of what was in them, as long as it is shown
		self.folders = {}	# of what is to be renamed
		self.subscribed = set()
		self.made = 0		# appends and mailboxes so far
		self.date = FIRST

	def next_date(self):
		self.date += 3600
		return self.date

	def first_mail(self):
		"""What is there before: equal ones, others with \\Deleted that nobody may touch."""
		for box in self.boxes:
			for n in range(self.random.randrange(*self.first_count)):
				flags = self.random.sample(SYSTEM + KEYWORDS[:3], self.random.randrange(3))
				if self.boxes[box] and n % 6 == 5:
					twin = self.boxes[box][-1]
					yield box, Mail(twin.data, twin.date, flags)
				else:
					yield box, Mail(letter(self.next_number(), message_id=n % 5 != 3, text=box,
						size=self.random.choice((0, 0, 500, 3000))), self.next_date(), flags)
			yield box, Mail(letter(self.next_number()), self.next_date(), ["\\Deleted"])

	def next_number(self):
		self.made += 1
		return self.made

	def take(self, box, count):
		"""Some messages that have a name and no \\Deleted."""
		some = [m for m in self.boxes[box] if m.name and "\\Deleted" not in m.flags]
		return self.random.sample(some, min(len(some), self.random.randrange(1, count + 1)))

	def some_box(self, *but):
		return self.random.choice([b for b in self.boxes if b not in but])

	def line(self, number):
		"""The next action, for `queue add -`. None: not this time."""
		verb = self.random.choices(list(self.verbs), self.verbs.values())[0]
		return getattr(self, "do_" + verb)(number)

	def which(self, some):
		return ",".join(m.name for m in some)

	def do_flag(self, number):
		box = self.some_box()
		some = self.take(box, 4)
		flags = self.random.sample(SYSTEM + KEYWORDS, self.random.randrange(1, 4))
		add = [f for f in flags if self.random.random() < .6]
		for m in some:
			m.flags = m.flags - set(flags) | set(add)
		return some and "flag %s %s %s" % (quoted(box), self.which(some),
			" ".join(quoted("+-"[f not in add] + f) for f in flags))

	def do_copy(self, number):
		box = self.some_box()
		to = self.some_box(box)
		some = list({m.key()[::2]: m for m in self.take(box, 3)}.values())	# twins are not told apart
		self.boxes[to] += [Mail(m.data, m.date, m.flags) for m in some]
		return some and "copy %s %s %s" % (quoted(box), self.which(some), quoted(to))

	def do_move(self, number):
		box = self.some_box()
		to = self.some_box(box)
		some = self.take(box, 3)
		self.boxes[box] = [m for m in self.boxes[box] if m not in some]
		self.boxes[to] += some
		return some and "move %s %s %s" % (quoted(box), self.which(some), quoted(to))

	def do_expunge(self, number):
		box = self.some_box()
		some = self.take(box, 2)
		self.boxes[box] = [m for m in self.boxes[box] if m not in some]
		return some and "expunge %s %s" % (quoted(box), self.which(some))

	def letters(self):
		"""One letter, or several that are hard to tell apart."""
		n = self.next_number()
		date = self.next_date()
		kind = self.random.randrange(6)
		size = self.random.choice((0, 0, 0, 2000))
		if kind == 0:
			return [(letter(n), date)] * self.random.randrange(2, 4)
		if kind == 1:
			return [(letter(n, message_id=None), date)] * self.random.randrange(1, 3)
		if kind == 2:	# the same Message-ID
			return [(letter(n, "same%d" % (n % 3), text), date + later) for text, later in
				self.random.sample([("a", 0), ("b", 0), ("longer", 0), ("a", 60), ("longer", 60)], 2)]
		if kind == 3:
			return [(letter(n, message_id=None, text=text), date) for text in "ab"]
		return [(letter(n, size=size), date)]

	def do_append(self, number):
		box = self.some_box()
		lines = []
		for data, date in self.letters():
			flags = self.random.sample(SYSTEM + KEYWORDS, self.random.choice((0, 0, 1, 2)))
			path = "%s/%s.eml" % (self.folder, sha256(data + b"%d" % date)[:20])
			write(path, data)
			os.utime(path, (date, date))
			self.boxes[box].append(Mail(data, date, flags))
			self.boxes[box][-1].waits = number + len(lines)
			lines.append("append %s %s %s" % (quoted(box), quoted(path), " ".join(map(quoted, flags))))
		return lines

	def do_create(self, number):
		name = "made %d" % self.next_number()
		self.boxes[name] = []
		return "create %s" % quoted(name)

	def do_rename(self, number):
		old = self.random.choice([b for b in self.boxes if b not in self.first_boxes] or [None])
		if old is None or len(self.boxes[old]) < 2:
			return None
		new = "renamed %d" % self.next_number()
		self.boxes[new] = self.boxes.pop(old)
		self.folders[new] = self.folders.pop(old, old)
		self.subscribed.discard(old)	# whose subscription stays, or not, as the server likes
		return "rename %s %s" % (quoted(old), quoted(new))

	def do_subscribe(self, number):
		box = self.some_box()
		self.subscribed.add(box)
		return "subscribe %s" % quoted(box)

	def do_unsubscribe(self, number):
		box = self.some_box()
		self.subscribed.discard(box)
		return "unsubscribe %s" % quoted(box)

	def do_delete(self, number):
		box = next((b for b in self.may_go if b in self.boxes), None)
		if box is None or self.random.random() < .5:
			return None
		return self.delete(box)

	def delete(self, box):
		del self.boxes[box]
		self.deleted.add(box)
		return "delete %s" % quoted(box)

	def end(self):
		return {name: collections.Counter(m.key() for m in mail) for name, mail in self.boxes.items()}


class Chains(Model):
	"""Few messages, each in many actions."""

	first_boxes = "INBOX", "Archive", "Old"
	first_count = 2, 4
	verbs = {"flag": 30, "copy": 10, "move": 30, "append": 10, "expunge": 4, "create": 2, "rename": 2, "subscribe": 1,
		"delete": 2}

	def do_copy(self, number):
		box = self.some_box()
		to = self.some_box()	# it may be the same
		some = list({m.key()[::2]: m for m in self.take(box, 3)}.values())
		self.boxes[to] += [Mail(m.data, m.date, m.flags) for m in some]
		return some and "copy %s %s %s" % (quoted(box), self.which(some), quoted(to))

	def do_create(self, number):
		again = sorted(set(self.dead) & self.deleted - set(self.folders.values()))
		if not again or self.random.random() < .3:
			return super().do_create(number)
		name = self.random.choice(again)
		self.deleted.discard(name)
		self.boxes[name] = []
		return "create %s" % quoted(name)

	def do_delete(self, number):
		some = [b for b in self.boxes if b not in ("INBOX", "Archive")]
		return some and self.delete(self.random.choice(some))


def fast_folder():
	"""Thousands of runs, and what a loss of power leaves is not asked here: on tmpfs where there is one."""
	fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else WORK
	folder = tempfile.mkdtemp(prefix="mailtide.", dir=fast)
	atexit.register(shutil.rmtree, folder, ignore_errors=True)
	return folder


class World:
	"""Snapshots of the server's folder and of the account, once the queue is filled."""

	numbers = itertools.count()

	def __init__(self, server, seed, actions=200, held=0, model=Model, **keys):
		"""held: so many more lines, which the model has and the queue has not."""
		self.server, self.port = server, server.port
		self.dir = fast_folder()
		self.user = "u%d" % next(World.numbers)
		self.model = model(seed)
		self.model.folder = self.dir
		self.keys = {"look_again": "0s", **keys}
		self.account = Account(server.port, user=self.user, dir=self.dir + "/account", **self.keys)
		self.fill()
		run = self.account.sync()
		if run.returncode:
			raise RuntimeError("the account before: %s" % run.stderr)
		self.number = 1
		self.lines = []
		self.learn()
		while self.number <= actions:
			self.add(self.chunk(min(12, actions + 1 - self.number)))
		self.held = self.chunk(held)
		self.snapshot()

	def fill(self):
		with server_client(self.server, self.user) as c:
			for box in self.model.boxes:
				if box not in ("INBOX", "Archive"):
					c.create(box)
			for box, m in self.model.first_mail():
				m.date_text = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(m.date))
				c.append(box, m.data, flags=" ".join(m.flags), date=m.date_text)
				self.model.boxes[box].append(m)
			c.logout()

	def chunk(self, count):
		lines = []
		for n in range(5 * count):
			line = self.model.line(self.number + len(lines)) if len(lines) < count else None
			lines += line if isinstance(line, list) else [line] if line else []
		return lines

	def add(self, lines):
		run = self.account.run("queue", "add", self.account.name, "-", input="\n".join(lines) + "\n")
		if (run.returncode, run.stderr) != (0, ""):
			raise RuntimeError("queue add: %s" % run.stderr)
		self.number += len(lines)
		self.lines += lines
		self.learn()

	def learn(self):
		"""What uploads and copies are called: with every other upload, by the action that made it. The names of
		files tell, in which the local number stands."""
		for box, mail in self.model.boxes.items():
			waiting = [m for m in mail if not m.name]
			names = {m.name for m in mail} | {m.number for m in mail} | self.model.dead.get(box, set())
			files = {number_of(path): path for path in self.files(self.model.folders.get(box, box))}
			for m in waiting:
				for number in sorted(set(files) - names, key=lambda n: int(n[1:])):
					if sha256(read(files[number]).replace(b"\r\n", b"\n")) == sha256(m.data.replace(
						b"\r\n", b"\n")) and int(os.stat(files[number]).st_mtime) == m.date:
						m.name = m.number = number
						names.add(number)
						break
				else:
					raise RuntimeError("%s: not shown: %r, %r" % (box, m.key(), files))
				if m.waits % 2:
					m.name = "@%d" % m.waits
		for box in self.model.deleted:
			self.model.dead[box] = set(map(number_of, self.files(self.model.folders.get(box, box))))

	def files(self, folder):
		at = "%s/%s" % (self.account.maildir, folder)
		return ["%s/%s/%s" % (at, sub, name) for sub in ("cur", "new") if os.path.isdir(at)
			for name in os.listdir("%s/%s" % (at, sub))]

	def mail_of(self, user):
		return "%s/mail/%s" % (self.server.dir, user)

	def snapshot(self):
		idle(self.server, self.user)
		shutil.copytree(self.mail_of(self.user), self.dir + "/server", symlinks=True)
		owned(self.mail_of(self.user), self.dir + "/server")

	def attempt(self, worker):
		return Attempt(self, worker)


def copy_fast(source, to):
	subprocess.run(["cp", "-a", "--sparse=always", source, to], check=True)


def owned(like, path):
	"""What shutil does not copy: whose it is."""
	st = os.stat(like)
	for at, folders, names in os.walk(path):
		for name in [at, *(os.path.join(at, n) for n in names)]:
			os.chown(name, st.st_uid, st.st_gid, follow_symlinks=False)


def imap_of(user):
	"""Dovecot's processes for that user (verbose_proctitle)."""
	found = []
	for pid in filter(str.isdigit, os.listdir("/proc")):
		try:
			words = read("/proc/%s/cmdline" % pid)
		except OSError:
			continue
		if words.startswith(b"dovecot/imap\0") and b"[%s " % user.encode() in words or \
			words.startswith(b"dovecot/imap [%s " % user.encode()):
			found.append(int(pid))
	return found


def idle(server, user):
	"""Waits until the server has done what it was told by connections that are gone."""
	until = time.time() + 20
	while imap_of(user) and time.time() < until:
		time.sleep(.005)


class Attempt:
	def __init__(self, world, worker):
		self.world, self.server = world, world.server
		self.user = "%s-%s" % (world.user, worker)
		self.dir = "%s/work-%s" % (world.dir, worker)
		idle(self.server, self.user)
		for path in self.dir, world.mail_of(self.user):
			shutil.rmtree(path, ignore_errors=True)
		copy_fast(world.dir + "/server", world.mail_of(self.user))
		copy_fast(world.account.dir, self.dir)
		self.account = Account(world.port, user=self.user, dir=self.dir, **world.keys)

	def again(self):
		"""The connection that was lost is over for the server, too."""
		idle(self.server, self.user)

	def add_held(self, **env):
		"""`queue add` of the lines that the world holds back."""
		return self.account.run("queue", "add", self.account.name, "-", env={**os.environ, **env},
			input="\n".join(self.world.held) + "\n")

	def accepted(self):
		"""How many of them are in the queue's file."""
		lines = read(self.account.state + "/actions").decode().split("\n")[1:-1]
		return sum(int(line.split("\t")[0]) >= self.world.number for line in lines)

	def finish(self, runs=3):
		"""Runs until the queue is empty. -> what is wrong then"""
		self.account.set(port=self.world.port)
		for n in range(runs):
			self.again()
			run = self.account.sync()
			if run.returncode != 0:
				return ["run %d: status %d: %s" % (n, run.returncode, run.stderr)]
			left = self.account.run("queue", self.account.name).stdout
			if not left:
				break
		else:
			return ["after %d runs the queue has:\n%s" % (runs, left)]
		# A run that died between the RENAME and the next LIST has told nobody that it was ours
		said = run.stdout + re.sub(r"(?m)^.*: is the mailbox that was .*: renamed here too.*\n", "", run.stderr)
		found = ["run %d: said %r" % (n, said)] * bool(said)
		return found + self.compare()

	def compare(self):
		with server_client(self.server, self.user) as c:
			state = server_state(c)
			subscribed = {decode_name(name) for _, _, name in lsub(c)}
			c.logout()
		found = model_differences(self.world.model, state)
		missing = self.world.model.subscribed & set(self.world.model.boxes) - subscribed
		found += ["not subscribed: %s" % name for name in missing]
		found += differences(self.account, None, state)
		before = self.account.snapshot()
		run = self.account.sync()
		if (run.returncode, run.stdout, run.stderr) != (0, "", ""):
			found.append("the last run: status %d, %r" % (run.returncode, run.stdout + run.stderr))
		if self.account.snapshot() != before:
			found.append("the last run touched files")
		run = self.account.run("check", self.account.name)
		if (run.returncode, run.stdout, run.stderr) != (0, "", ""):
			found.append("check: status %d, %r" % (run.returncode, run.stdout + run.stderr))
		outgoing = os.listdir(self.account.state + "/outgoing") if \
			os.path.exists(self.account.state + "/outgoing") else []
		found += ["left in outgoing: %s" % " ".join(outgoing)] * bool(outgoing)
		return found


def lsub(c):
	out = []
	for line in c.ok('LSUB "" "*"').untagged:
		if line.startswith(b"* LSUB "):
			out.append(parse(b"(" + line[7:].rstrip() + b")")[0][:3])
	return out


def model_differences(model, state):
	"""Between what must be and what the server has."""
	end = model.end()
	found = ["mailbox %r is missing" % name for name in end if name not in state]
	found += ["mailbox %r is still there" % name for name in model.deleted if name in state and name not in end]
	for name, messages in state.items():
		got = collections.Counter((m.sha256, tuple(sorted(m.flags)), m.date) for m in messages.values())
		want = end.get(name, collections.Counter())
		for what, some in ("lost", want - got), ("too much", got - want):
			found += ["%s: %s: %s %s %d" % (name, what, key[0][:8], " ".join(key[1]), key[2])
				for key in some.elements()]
	return found[:12] + ["... and %d more" % (len(found) - 12)] * (len(found) > 12)


def in_parallel(cases, do):
	"""do(worker, case) -> what is wrong, for each case, WORKERS at a time. -> [(case, found)] in their order"""
	free, guard = list(range(WORKERS)), threading.Lock()

	def one(case):
		with guard:
			worker = free.pop()
		try:
			return case, do(worker, case)
		except Exception as e:
			return case, ["%s: %s" % (type(e).__name__, e)]
		finally:
			with guard:
				free.append(worker)

	with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
		yield from pool.map(one, cases)


def replay_dovecot(**options):
	extra = WORK + "/proctitle.conf"
	write(extra, "verbose_proctitle = yes\n")
	return dovecot(extra=extra, **options)
