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


class Case:
	"""An account whose first connection is cut as soon as `needle` is on its way to the server; `appear(self, n)`
	is called when the n-th look after that is about to be passed on."""

	def __init__(self, needle, appear=None, losses=1):
		self.user = next(users)
		self.needle, self.appear, self.losses = needle, appear, losses
		self.lost = self.looks = 0
		self.relay = Relay(server.port, self.from_client)
		self.account = Account(server.port, user=self.user, look_again="0.3s")
		self.account.syncs("%s: the account" % self.user)
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
			ok(False, "queue add %s" % " ".join(words), run.stderr)

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
		is_(got, collections.Counter((sha256(data), tuple(sorted(flags))) for data, *flags in want), name)
		like(self.account.run("queue", "work").stdout, r"\A%s\Z" % left, "%s: the queue" % name)
		if not left:
			found = differences(self.account, None, state)
			ok(not found, "%s: both sides are equal" % name, "\n".join(found))
		self.relay.end()
		return run


ours = letter(1, text="needle")
for message, what in (ours, "with a Message-ID"), (letter(1, message_id=None, text="needle"), "without Message-ID"):
	def late(case, n):
		if n == 2:
			case.put(message, "\\Flagged")
	case = Case(b"needle", late)
	case.append(message, "\\Flagged")
	run = case.ends("%s: it appears after the first look" % what, [(message, "\\Flagged")])
	is_(run.returncode, 0, "and all is well")
	ok(run.stderr.count("\n") <= 1, "one word about it", run.stderr)

	case = Case(b"needle")
	case.append(message)
	case.ends("%s: it does not appear" % what, [(message,)])
	ok(case.looks >= 2, "two looks", case.looks)

	other = letter(2)

	def busy(case, n):
		if n in (1, 2, 3):
			case.put(letter(10 + n))
	case = Case(b"needle", busy)
	case.append(message)
	case.ends("%s: other mail comes meanwhile" % what, [(message,)] + [(letter(10 + n),) for n in (1, 2, 3)])
	ok(case.looks >= 4, "looks until nothing moves", case.looks)

	# Two that are equal, of which one came
	case = Case(b"needle", lambda case, n: n == 2 and case.put(message))
	case.append(message)
	case.append(message)
	case.ends("%s: one of two equal ones appears" % what, [(message,), (message,)])

	# The same again, but with flags that tell which is which
	case = Case(b"needle", lambda case, n: n == 2 and case.put(message, "\\Seen"))
	case.append(message, "\\Flagged")
	case.append(message, "\\Seen")
	case.queue("flag", "INBOX", "@1", "+later")
	case.ends("%s: the second of two equal ones appears" % what, [(message, "\\Flagged", "later"), (message, "\\Seen")])

# Somebody else's mail with our Message-ID
theirs = ours.replace(b"needle", b"somebody else's, which is longer")
case = Case(b"needle", lambda case, n: n == 1 and case.put(theirs, date="03-Mar-2021 11:00:00 +0000"))
case.append(ours)
run = case.ends("another text with its Message-ID", [(theirs,)], left=r"1\tunknown\t.*look.*\n")
is_(run.returncode, 1, "status")
case.account.set(port=server.port)
run = case.account.sync()
is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "said once, and left alone")
ok(os.listdir(case.account.state + "/outgoing"), "the body is kept")
is_(case.account.run("queue", "retry", "work", "1").returncode, 0, "the user decides: retry")
case.ends("then it is sent", [(theirs,), (ours,)])

same_size = ours.replace(b"needle", b"heddle")
case = Case(b"needle", lambda case, n: n == 1 and case.put(same_size, date="03-Mar-2021 11:00:00 +0000"))
case.append(ours)
case.ends("another text of the same size with its Message-ID", [(same_size,)], left=r"1\tunknown\t.*look.*\n")

# What was there before is not taken for it
case = Case(b"needle")
case.put(ours)
case.append(ours)
case.ends("an equal one was there before", [(ours,), (ours,)])

# A server that ignores the date
case = Case(b"needle", lambda case, n: n == 2 and case.put(ours, date="03-Mar-2021 11:00:00 +0000"))
case.append(ours)
case.ends("it appears with another date", [(ours,)], left="()")

# One that costs every connection
poison = letter(50, text="needle")
case = Case(b"needle", losses=1000)
for n in range(5):
	case.append(letter(20 + n))
case.append(poison)
for n in range(5, 10):
	case.append(letter(20 + n))
case.queue("flag", "INBOX", "@2", "+\\Seen")
case.queue("flag", "INBOX", "@6", "+\\Seen")
case.queue("create", "after it")
case.queue("append", "after it", case.account.dir + "/%s.eml" % sha256(letter(20))[:20])
case.ends("a message that costs the connection", [(letter(20 + n), *["\\Seen"] * (n == 1)) for n in range(10)],
	left=r"6\tfailed\t[^\n]*lost 4 times[^\n]*\n13\tfailed\t[^\n]*action 6[^\n]*\n")
is_(case.lost, 4, "is sent four times")
done_testing()
