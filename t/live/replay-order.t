#!/usr/bin/python3
"""What is done together overtakes nothing that it depends on (R9), and all has its turn in one run: orders of actions
that are hard to gather, and many at random over few messages. SEEDS=N tries N of those; to see one again: SEED=4."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from replay import *

ACTIONS = 60
server = replay_dovecot()
# The last ones tell no UIDs, so what depends on them may take a second run
DOWN = [], ["--drop", "MULTIAPPEND"], ["--drop", "UIDPLUS"], ["--keep", "IMAP4rev1"]
ports = [server.port] + [serve(LIB + "/imapdown.py", *down, server.port)[1] for down in DOWN[1:]]
users = iter("order%d" % n for n in range(1000))


class Case:
	"""An account with `count` letters in each of its mailboxes; numbers[box][i] is what the i-th is called."""

	def __init__(self, count, *boxes, **keys):
		self.user = next(users)
		with server_client(server, self.user) as c:
			for box in boxes:
				if box not in ("INBOX", "Archive"):
					c.create(box)
				for n in range(count):
					c.append(box, letter(n + 1, text=box), date="01-Feb-2020 10:00:00 +0000")
		self.account = Account(server.port, user=self.user, dir="%s/%s" % (WORK, self.user), **keys)
		self.account.syncs("%s: the account" % self.user)
		self.numbers = {box: [row.number for _, row in sorted(self.account.ls(box).items())] for box in boxes}

	def queue(self, *lines):
		run = self.account.run("queue", "add", "work", "-", input="\n".join(lines) + "\n")
		is_((run.returncode, run.stderr), (0, ""), "queued")

	def ends(self, name, want, said="", left=""):
		"""want: {mailbox: subjects with flags}, of one run; said: a pattern"""
		run = self.account.sync()
		ok(run.returncode == 0 and re.fullmatch(said, run.stderr), name, run.returncode, run.stderr)
		with server_client(server, self.user) as c:
			state = server_state(c)
			got = {}
			for box in set(state) & set(want):
				c.examine(box)
				fetched = c.fetch("1:*", "FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)]") if state[box] else {}
				got[box] = sorted(re.search(rb"letter (\d+)", str(v).encode())[1].decode() + "".join(
					sorted(f for f in (x.decode() for x in v[b"FLAGS"]) if f != "\\Recent"))
					for v in fetched.values())
		is_(got, {box: sorted(mail) for box, mail in want.items()}, "%s: the server" % name)
		is_(self.account.run("queue", "work").stdout, left, "%s: the queue" % name)
		found = differences(self.account, None, state)
		ok(not found, "%s: both sides are equal" % name, "\n".join(found))


def waiting_part():
	"""A part waits for what is passed, another for the batch itself; a deletion of the mailbox comes behind."""
	case = Case(3, "Old", "INBOX", "Archive")
	one, two, three = case.numbers["Old"]
	case.queue("copy Old %s Archive" % three, "flag Old %s '+\\Flagged'" % one,
		"copy Old %s,%s,%s Archive" % (one, two, three), "delete Old")
	case.ends("copies, of which one waits", {"Archive": ["1", "2", "3", "1\\Flagged", "2", "3", "3"]})


def copy_of_copy():
	case = Case(1, "INBOX")
	one = case.numbers["INBOX"][0]
	case.queue("copy INBOX %s INBOX" % one)
	copy = next(n for n in map(number_of, case.account.files()) if n != one)
	case.queue("copy INBOX %s INBOX" % copy, "flag INBOX %s '+\\Seen'" % copy)
	case.ends("a copy of a copy in one mailbox", {"INBOX": ["1", "1", "1\\Seen"]})


def moved_out_in_vain():
	"""What was to be moved away before a mailbox is deleted, and was not, is not deleted with it."""
	case = Case(2, "Old", "Archive", "Nowhere", on_missing_mailbox="skip")
	one, two = case.numbers["Old"]
	with server_client(server, case.user) as c:
		c.delete("Nowhere")
	case.queue("move Old %s Nowhere" % one, "move Old %s Archive" % two, "delete Old", "create Old", "flag Archive %s '+\\Seen'" % two)
	run = case.account.sync()
	with server_client(server, case.user) as c:
		state = server_state(c)
	is_({box: len(state.get(box, ())) for box in ("Old", "Archive")}, {"Old": 1, "Archive": 3}, "it is still there")
	queue = case.account.run("queue", "work").stdout
	ok(re.search(r"\A1\tfailed\t[^\n]*\n3\tfailed\t[^\n]*delete[^\n]*action 1, which it needs, failed\n\Z", queue),
		"the deletion has failed by name", queue)
	with server_client(server, case.user) as c:
		c.create("Nowhere")
	is_(case.account.run("queue", "retry", "work", "3").returncode, 0, "retry of the deletion")
	case.ends("tries the move, too", {"Nowhere": ["1"], "Archive": ["1", "2", "2\\Seen"]},
		said="[^\\n]*Nowhere: UIDVALIDITY changed[^\\n]*\\n")
	ok("Old" not in case.account.mailboxes(), "and deletes")


def killed_deletion():
	"""It was noted and not sent."""
	case = Case(1, "Old", "Archive")
	case.queue("delete Old")
	is_(case.account.sync(point="push.intent").returncode, -signal.SIGKILL, "killed before DELETE is sent")
	case.ends("a deletion that was not sent", {"Archive": ["1"]})
	ok("Old" not in case.account.mailboxes(), "is sent by the next run")


def too_many_for_one():
	"""More than one batch takes, and one of them waits."""
	case = Case(2, "Old", "Archive", "INBOX")
	with server_client(server, case.user) as c:
		c.select("Old")
		for _ in range(12):
			c.ok("COPY 1:* Old")
	case.account.syncs("8192 messages")
	case.queue("move Old 2 Archive", "flag Old 1 '+\\Flagged'", "move Old 1,3:8192 Archive", "delete Old")
	run = case.account.sync()
	is_((run.returncode, run.stderr, case.account.run("queue", "work").stdout), (0, "", ""), "they are moved")
	with server_client(server, case.user) as c:
		is_(c.status("Archive", "MESSAGES")["MESSAGES"], 8194, "all of them, before the mailbox is deleted")
		c.examine("Archive")
		is_(len(re.findall(rb"\d+", c.ok("UID SEARCH FLAGGED").untagged[0])), 1, "one with its flag")


def not_expunged():
	"""The flags of what is to be expunged are not sent; it cannot be expunged."""
	case = Case(2, "INBOX", expunge_emulation="no")
	one = case.numbers["INBOX"][0]
	case.account.set(port=ports[2])
	case.queue("flag INBOX %s '+\\Flagged'" % one, "expunge INBOX %s" % one)
	run = case.account.sync()
	is_(run.returncode, 1, "no expunge")
	like(case.account.run("queue", "work").stdout, r"\A2\tfailed\t.*\n\Z", "it has failed")
	with server_client(server, case.user) as c:
		same(case.account, c, "both sides are equal")


def made_again():
	"""A mailbox is deleted, and another one made under its name."""
	case = Case(2, "Old", "Archive")
	one, two = case.numbers["Archive"]
	case.queue("delete Old", "create Old", "move Archive %s Old" % one)
	case.ends("deleted and made again", {"Old": ["1"], "Archive": ["2"]})
	case.queue("delete Old", "create Old")
	case.ends("and nothing else", {"Old": [], "Archive": ["2"]})
	write(case.account.dir + "/letter", letter(7))
	case.queue("delete Old", "create Old", "append Old %s" % quoted(case.account.dir + "/letter"))
	case.queue("flag Old @8 '+\\Seen'")
	case.ends("deleted, made, filled", {"Old": ["7\\Seen"], "Archive": ["2"]})
	case.queue("delete Old", "create Old", "delete Old", "create Old")
	case.ends("twice", {"Old": [], "Archive": ["2"]})
	case.queue("delete Old", "create Old", "rename Old New", "create Old", "move Archive %s New" % two)
	case.ends("made again, renamed, made again", {"Old": [], "New": ["2"], "Archive": []})
	for lines in (["move New %s Archive" % two], ["create One"], ["rename One Two"], ["move Archive %s Two" % two],
		["move Two %s Archive" % two, "delete Two", "create Two"], ["create One"], ["move Archive %s Two" % two],
		["copy Two %s One" % two], ["flag Two %s '+\\Seen'" % two]):
		case.queue(*lines)
	case.ends("made, renamed, deleted, made again, line by line", {"One": ["2"], "Two": ["2\\Seen"], "New": [], "Archive": []})


def renewed_source():
	"""The copy is made, its source is not removed yet, and the UID is another message's now."""
	case = Case(2, "Old", "Archive", expunge_emulation="yes")
	case.account.set(port=ports[3])
	case.queue("move Old %s Archive" % case.numbers["Old"][0])
	is_(case.account.sync(point="push.marked").returncode, -signal.SIGKILL, "killed when the source is marked")
	with server_client(server, case.user) as c:
		c.delete("Old")
		c.create("Old")
		for n in (7, 8):
			c.append("Old", letter(n), date="01-Feb-2020 10:00:00 +0000")
	for _ in range(3):
		case.account.sync()
	with server_client(server, case.user) as c:
		is_(c.status("Old", "MESSAGES")["MESSAGES"], 2, "nothing else is removed")


waiting_part()
copy_of_copy()
renewed_source()
made_again()
killed_deletion()
too_many_for_one()
not_expunged()
moved_out_in_vain()


def chain(worker, seed):
	world = World(server, seed, ACTIONS, model=Chains)
	world.port = ports[seed % len(ports)]
	return world.attempt(worker).finish(runs=1 if seed % len(ports) < 2 else 3)


seed = int(os.environ.get("SEED") or 1)
for n, found in in_parallel(range(seed, seed + int(os.environ.get("SEEDS") or (500 if SOAK else 8))), chain):
	ok(not found, "%d actions on few messages (seed %d)" % (ACTIONS, n), "\n".join(found))
done_testing()
