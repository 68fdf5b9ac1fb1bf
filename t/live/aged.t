#!/usr/bin/python3
"""on-aged: what falls out of "newer 30d" with the days keeps its descriptor and loses its file and body, but for what
is flagged, or was changed here. A flag brings it back. Runs are killed."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

DAY = 86400
server = dovecot()
c = server_client(server)
now = time.time()


def fill(mailbox, days, flags=""):
	for i, age in enumerate(days):
		c.append(mailbox, mail(1000 * len(mailbox) + i, 2000), flags=flags if isinstance(flags, str) else flags[i],
			date=time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(now - age * DAY)))


def later(account, days, *args, **options):
	"""A sync when so many days have gone by"""
	return account.sync(*args, LD_PRELOAD=BIN + "/time_preload.so", MAILTIDE_TEST_LATER=str(int(days * DAY)), **options)


def here(account, mailbox):
	return sorted(uid for uid, row in account.ls(mailbox).items() if row.path and os.path.exists(row.path))


c.create("box")
c.create("other")
c.create("always")
fill("box", [40, 29.5, 29.4, 28.5, 28.4, 28.3, 28.2, 28.1, 20, 1], ["", "", "\\Seen", "\\Flagged", "", "", "\\Seen", "", "", ""])
fill("other", [13.5, 12.5, 3])
fill("always", [100, 29.5])
EXTRA = """mailbox "other" {
        bodies = "newer 2w"
    }
    mailbox "always" {
        bodies = "all"
    }
"""
account = Account(server.port, bodies="newer 30d", on_aged="drop", extra=EXTRA)
account.syncs("first sync")
is_((here(account, "box"), here(account, "other"), here(account, "always")), ([2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3], [1, 2]),
	"what is new enough is here")
before = account.snapshot()
is_(later(account, .9).returncode, 0, "the same day")
untouched(account, before, "nothing is dropped")

# 4 is flagged; these are changed here
rows = account.ls("box")
write(rows[6].path, "my words\n")
answered = rows[7].path.split(":2,")[0] + ":2,RS"
os.rename(rows[7].path, answered)
seen = rows[8].path.replace("/new/", "/cur/") + ":2,"
os.rename(rows[8].path, seen)

run = later(account, 1)
is_(run.returncode, 0, "a day later: " + run.stderr)
is_(here(account, "box"), [4, 5, 6, 9, 10], "two fell out")
ok(os.path.exists(answered) and os.path.exists(seen), "and no more")
is_(here(account, "other"), [2, 3], "one with another age")
is_(here(account, "always"), [1, 2], "none of all")
is_(sorted(account.ls("box")), list(range(1, 11)), "all are still known")
ok(not os.path.exists(rows[2].path), "the file is gone")
run = later(account, 2)
is_(here(account, "box"), [4, 6, 9, 10], "flagged and edited ones stay")
is_(read(rows[6].path), b"my words\n", "as they were edited")
ok(os.path.exists(answered), "so does one that was answered")
ok(not os.path.exists(seen), "one that was only looked at goes")
is_((run.returncode, later(account, 2.5).stderr), (0, ""), "then there is silence")
is_(here(account, "box"), [4, 6, 9, 10], "and nothing comes back")

# Back
c.select("box")
c.store("3", "+FLAGS.SILENT", "\\Flagged")
c.ok("UNSELECT")
is_((later(account, 3).returncode, 3 in here(account, "box")), (0, True), "the flag brings one back")
later(account, 9)
ok(3 in here(account, "box"), "and it stays")

# keep, and the change of the rule
account.set(on_aged="keep")
later(account, 60)
is_([uid for uid in here(account, "box") if uid in (9, 10)], [9, 10], "on-aged = keep")
account.set(on_aged="drop")
later(account, 61)
is_([uid for uid in here(account, "box") if uid in (2, 3, 9, 10)], [3], "drop says so of what is old already")

# Killed
days = 0


def prepare(account):
	name = "crash%d" % days
	c.create(name)
	fill(name, [29.5, 29.4, 29.3, 10])
	return name


points_file = WORK + "/points"
account = Account(server.port, bodies="newer 30d", on_aged="drop", mailboxes='{ "crash*" }')
name = prepare(account)
account.syncs("first sync")
later(account, 1, points=points_file)
is_(here(account, name), [4], "an undisturbed run")
for point in read(points_file).decode().split():
	for n in OCCURRENCES[:3]:
		days += 1
		name = prepare(account)
		account = Account(server.port, bodies="newer 30d", on_aged="drop", mailboxes='{ "%s" }' % name)
		account.sync()
		if later(account, 1, point="%s:%d" % (point, n)).returncode != -signal.SIGKILL:
			break
		run = later(account, 1)
		is_((run.returncode, run.stderr, here(account, name)), (0, "", [4]), "killed at %s:%d" % (point, n))
		run = account.run("check", account.name)
		is_((run.returncode, run.stdout), (0, ""), "check finds nothing")
done_testing()
