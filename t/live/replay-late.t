#!/usr/bin/python3
"""Uploads whose connection is lost: one that appears on the server only after the first look, mail of others that
looks alike, and one that costs every connection on which it is sent (R10, R11)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from replay import *
from relay import Relay

server = replay_dovecot()
LOOK = re.compile(rb"UID FETCH \d+:\* \(UID FLAGS INTERNALDATE RFC822.SIZE [^\r]*HEADER")
DATE = "01-Feb-2020 10:00:00 +0000"
WHEN = 1580551200
users = iter("late%d" % n for n in range(100))
told = threading.local()	# what the scenario of this thread has found
scenarios = []


def check(good, name, *why):
	told.checks.append((good, name, *why))


def check_is(got, want, name):
	check(got == want, name, " got: %r\nwant: %r" % (got, want))


def scenario(do, *args):
	"""Run with others at the same time: each waits most of the time."""
	scenarios.append((do, args))


def run_scenario(worker, one):
	told.checks = []
	one[0](*one[1])
	return told.checks


class Case:
	"""An account whose first connection is cut as soon as `needle` is on its way to the server; `appear(self, n)`
	is called when the n-th look after that is about to be passed on."""

	def __init__(self, needle, appear=None, losses=1):
		self.user = next(users)
		self.needle, self.appear, self.losses = needle, appear, losses
		self.lost = self.looks = 0
		self.relay = Relay(server.port, self.from_client)
		# A folder by name: to count what is there is not safe among threads
		self.account = Account(server.port, user=self.user, dir="%s/%s" % (WORK, self.user), look_again="0.3s")
		check_is(self.account.sync().returncode, 0, "%s: the account" % self.user)
		self.account.set(port=self.relay.port)

	def from_client(self, data):
		if self.needle in data and self.lost < self.losses:
			self.lost += 1
			return None
		if LOOK.search(data):
			self.looks += 1
			if self.appear:
				self.appear(self, self.looks)
		return data

	def append(self, data, *flags, date=WHEN):
		path = "%s/%s.eml" % (self.account.dir, sha256(data)[:20])
		write(path, data)
		os.utime(path, (date, date))
		self.queue("append", "INBOX", path, *flags)

	def queue(self, *words):
		run = self.account.run("queue", "add", self.account.name, *words)
		if run.returncode:
			check(False, "queue add %s" % " ".join(words), run.stderr)

	def put(self, data, flags="", date=DATE):
		"""Somebody does, or the server at last."""
		with server_client(server, self.user) as c:
			c.append("INBOX", data, flags=flags, date=date)

	def ends(self, name, want, left=""):
		"""want: what is in INBOX, [(data, flags)]; left: a pattern of what the queue has."""
		run = self.account.sync()
		for _ in range(4):
			if not re.search("\twaiting\t", self.account.run("queue", "work").stdout):
				break
			idle(server, self.user)
			run = self.account.sync()
		self.run = run
		with server_client(server, self.user) as c:
			state = server_state(c)
		got = collections.Counter((m.sha256, tuple(sorted(m.flags))) for m in state["INBOX"].values())
		check_is(got, collections.Counter((sha256(data), tuple(sorted(flags))) for data, *flags in want), name)
		queue = self.account.run("queue", "work").stdout
		check(re.search(r"\A%s\Z" % left, queue), "%s: the queue" % name, queue)
		if not left:
			found = differences(self.account, None, state)
			check(not found, "%s: both sides are equal" % name, "\n".join(found))
		self.relay.end()
		return run


ours = letter(1, text="needle")
theirs = ours.replace(b"needle", b"somebody else's, which is longer")
same_size = ours.replace(b"needle", b"heddle")
LATER = "03-Mar-2021 11:00:00 +0000"


def appears_late(what, message):
	case = Case(b"needle", lambda case, n: n == 2 and case.put(message, "\\Flagged"))
	case.append(message, "\\Flagged")
	run = case.ends("%s: it appears after the first look" % what, [(message, "\\Flagged")])
	check_is(run.returncode, 0, "and all is well")
	check(run.stderr.count("\n") <= 1, "one word about it", run.stderr)


def appears_never(what, message):
	case = Case(b"needle")
	case.append(message)
	case.ends("%s: it does not appear" % what, [(message,)])
	check(case.looks >= 2, "two looks", case.looks)


def others_come(what, message):
	case = Case(b"needle", lambda case, n: n < 4 and case.put(letter(10 + n)))
	case.append(message)
	case.ends("%s: other mail comes meanwhile" % what, [(message,)] + [(letter(10 + n),) for n in (1, 2, 3)])
	check(case.looks >= 4, "looks until nothing moves", case.looks)


def one_of_two(what, message):
	case = Case(b"needle", lambda case, n: n == 2 and case.put(message))
	case.append(message)
	case.append(message)
	case.ends("%s: one of two equal ones appears" % what, [(message,), (message,)])


def second_of_two(what, message):
	"""Their flags tell which is which."""
	case = Case(b"needle", lambda case, n: n == 2 and case.put(message, "\\Seen"))
	case.append(message, "\\Flagged")
	case.append(message, "\\Seen")
	case.queue("flag", "INBOX", "@1", "+later")
	case.ends("%s: the second of two equal ones appears" % what, [(message, "\\Flagged", "later"), (message, "\\Seen")])


def flags_are_lost(what, message):
	case = Case(b"needle", lambda case, n: n == 2 and case.put(message))
	case.append(message, "\\Flagged", "work")
	case.ends("%s: it appears without its flags" % what, [(message, "\\Flagged", "work")])


def longer_one():
	case = Case(b"needle", lambda case, n: n == 1 and case.put(theirs, date=LATER))
	case.append(ours)
	run = case.ends("another text with its Message-ID", [(theirs,)], left=r"1\tunknown\t.*look.*\n")
	check_is(run.returncode, 1, "status")
	case.account.set(port=server.port)
	run = case.account.sync()
	check_is((run.returncode, run.stdout, run.stderr), (0, "", ""), "said once, and left alone")
	check(os.listdir(case.account.state + "/outgoing"), "the body is kept")
	check_is(case.account.run("queue", "retry", "work", "1").returncode, 0, "the user decides: retry")
	case.ends("then it is sent", [(theirs,), (ours,)])


def equally_long_one():
	case = Case(b"needle", lambda case, n: n == 1 and case.put(same_size, date=LATER))
	case.append(ours)
	case.ends("another text of the same size with its Message-ID", [(same_size,)], left=r"1\tunknown\t.*look.*\n")


def there_before():
	case = Case(b"needle")
	case.put(ours)
	case.append(ours)
	case.ends("an equal one was there before", [(ours,), (ours,)])


def another_date():
	case = Case(b"needle", lambda case, n: n == 2 and case.put(ours, date=LATER))
	case.append(ours)
	case.ends("it appears with another date", [(ours,)], left="()")


def poison():
	"""One that costs every connection."""
	case = Case(b"needle", losses=1000)
	letters = [letter(20 + n) for n in range(10)]
	for data in [*letters[:5], letter(50, text="needle"), *letters[5:]]:
		case.append(data)
	case.queue("flag", "INBOX", "@2", "+\\Seen")
	case.queue("flag", "INBOX", "@6", "+\\Seen")
	case.queue("create", "after it")
	case.queue("append", "after it", case.account.dir + "/%s.eml" % sha256(letters[0])[:20])
	case.ends("a message that costs the connection", [(data, *["\\Seen"] * (data == letters[1])) for data in letters],
		left=r"6\tfailed\t[^\n]*lost 4 times[^\n]*\n13\tfailed\t[^\n]*action 6[^\n]*\n")
	check_is(case.lost, 4, "is sent four times")


def flags_lost_thrice():
	"""A loss counts once for each action, also where others' messages stand between its own."""
	case = Case(b"UID STORE", losses=3)
	letters = [letter(n) for n in (1, 2, 3)]
	for data in letters:
		case.put(data)
	case.account.sync()
	case.queue("flag", "INBOX", "1,3", "+\\Seen", "-\\Draft")
	case.queue("flag", "INBOX", "2", "+\\Flagged", "-\\Draft")
	case.ends("flag changes that cost three connections", [(data, flag) for data, flag in
		zip(letters, ("\\Seen", "\\Flagged", "\\Seen"))])
	check_is(case.lost, 3, "they did")


def flags_lost_always():
	case = Case(b"UID STORE", losses=1000)
	case.put(ours)
	case.account.sync()
	case.queue("flag", "INBOX", "1", "+\\Seen")
	case.ends("a flag change that costs every connection", [(ours,)], left=r"1\tfailed\t[^\n]*lost 4 times[^\n]*\n")


def stopped_often():
	"""To stop a run is no lost connection: the message is sent whole in the end (R11)."""
	case = Case(b"never", lambda case, n: None)
	stop = threading.Event()
	running = []

	def from_client(data):
		if b"needle" in data and not stop.is_set():
			running[-1].terminate()	# and the server's answer does not come
			time.sleep(.3)
			return None
		return data
	case.relay.from_client = from_client
	case.append(ours)
	for _ in range(6):
		running.append(case.account.start())
		running[-1].communicate()
		check(running[-1].returncode in (75, -signal.SIGTERM), "stopped", running[-1].returncode)
	stop.set()
	case.ends("stopped six times while it was sent", [(ours,)])


def first_of_two(what, message):
	"""The first is answered OK, without its UID; the second is lost. What is there is the first."""
	_, port = serve(LIB + "/imapdown.py", "--keep", "IMAP4rev1", server.port)
	case = Case(b"needle")
	case.relay.target = port
	came = []

	def from_client(data):
		if b"needle" in data:
			came.append(data)
		return None if len(came) == 2 and b"needle" in data else data
	case.relay.from_client = from_client
	case.append(message, "\\Answered")
	case.append(message)
	case.ends("%s: the second of two equal ones is lost" % what, [(message, "\\Answered"), (message,)])
	check(len(came) >= 3, "it is sent again", len(came))


scenario(poison)
scenario(stopped_often)
scenario(flags_lost_thrice)
scenario(flags_lost_always)
for one in (("with a Message-ID", ours), ("without Message-ID", letter(1, message_id=None, text="needle"))):
	for do in appears_late, appears_never, others_come, one_of_two, first_of_two, second_of_two, flags_are_lost:
		scenario(do, *one)
for do in longer_one, equally_long_one, there_before, another_date:
	scenario(do)
for (do, _), checks in in_parallel(scenarios, run_scenario):
	for one in checks:
		ok(*one) if isinstance(one, tuple) else ok(False, do.__name__, one)
done_testing()
