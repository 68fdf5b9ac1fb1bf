#!/usr/bin/python3
"""Bodies that are asked for one by one (S10): by the queue, by `mailtide fetch`, also while a sync runs, which takes
the wish up between two of its steps."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from actions import *
from matrix_scenarios import Gate

BIG = range(1, 7)	# too large for the rule
SMALL = range(11, 16)


def stage_of(row, **keys):
	"""-> (site, raw client, account): all but the bodies of BIG is here"""
	site = row.site()
	c = site.client()
	for n in [*BIG, *SMALL]:
		c.append("INBOX", mail(n, 20000 if n in BIG else 0), date=internaldate(n))
	account = site.account(bodies="smaller 10K", **keys)
	return site, c, account


def here(account):
	"""The UIDs whose bodies are here: genuine ones, to the octet."""
	wanted = {sha256(mail(n, 20000 if n in BIG else 0).replace(b"\r\n", b"\n")) for n in [*BIG, *SMALL]}
	return {uid for uid, row in account.ls("INBOX").items() if row.path and sha256(read(row.path)) in wanted}


small_uids = set(range(len(BIG) + 1, len(BIG) + len(SMALL) + 1))
row = DovecotRow("Dovecot maildir")
row.start()

site, c, account = stage_of(row)
account.syncs("first sync")
is_(here(account), small_uids, "the large ones are not here")
is_(account.run("queue", "add", "work", "fetch", "INBOX", "2,4").returncode, 0, "two are wanted")
numbers = {uid: r.number for uid, r in account.ls("INBOX").items()}
is_(account.syncs("sync"), "", "it says nothing")
is_(here(account), small_uids | {2, 4}, "these two came, and no other")
is_({uid: r.number for uid, r in account.ls("INBOX").items()}, numbers, "with their local numbers")
is_(account.run("queue", "work").stdout, "", "the action is done")
run = account.run("fetch", "work", "INBOX:1", timeout=60)
is_((run.returncode, run.stderr), (0, ""), "mailtide fetch")
is_(here(account), small_uids | {1, 2, 4}, "brings it at once")
before = account.snapshot()
is_(account.syncs("and a sync"), "", "has nothing to say")
untouched(account, before, "or to do")
c.select("INBOX")
c.store("5", "+FLAGS.SILENT", "\\Flagged")
account.syncs("a flag comes")
run = account.run("fetch", "--flagged", "work", timeout=60)
is_(here(account), small_uids | {1, 2, 4, 5}, "fetch --flagged")
is_(account.ls("INBOX")[5].flags, frozenset(["\\Flagged"]), "with its flag")

# Of one message, in one go.
account.run("queue", "add", "work", "-", input="fetch INBOX 3\nflag INBOX 3 '+\\Seen'\nmove INBOX 3 Archive\n")
account.syncs("fetch, flag and move of one message")
rows = account.ls("Archive")
is_([(r.flags, sha256(read(r.path)) == sha256(mail(3, 20000).replace(b"\r\n", b"\n"))) for r in rows.values()],
	[(frozenset(["\\Seen"]), True)], "it is there, with all of it")
is_(account.run("check", "work").stdout, "", "check finds nothing")


def during(title, pattern, name, wanted_now, what=("fetch", "work", "INBOX:2,3")):
	"""While the wire waits at a line of the sync, another process asks for two bodies."""
	site, c, account = stage_of(row)
	if name == "changed":
		account.syncs(title + ": first sync")
		for n in (21, 22):
			c.append("INBOX", mail(n))
	said = []

	def ask():
		said.append(account.run(*what, timeout=30))

	gate = Gate(site.port, pattern, ask)
	account.set(port=gate.port)
	run = account.sync()
	gate.close()
	account.set(port=site.port)
	is_((run.returncode, gate.opened, gate.fault), (0, 1, None), title + ": the sync")
	is_([r.returncode for r in said], [0], title + ": the wish is accepted")
	if wanted_now:
		is_(here(account) & {2, 3}, {2, 3}, title + ": that sync brings it")
	account.syncs(title + ": next sync")
	is_(here(account) & set(range(1, 7)), {2, 3}, title + ": both are here, and no other")
	is_(account.run("queue", "work").stdout, "", title + ": the queue is empty")


during("while bodies come", rb"FETCH .*BODY\.PEEK\[\]", "first", True)
during("while flags come", rb"FETCH .*\(UID FLAGS", "changed", True)
during("while the mailboxes are listed", rb"LIST ", "changed", True)
during("while it leaves", rb"LOGOUT", "changed", False)
during("by the queue", rb"FETCH .*BODY\.PEEK\[\]", "first", True, ("queue", "add", "work", "fetch", "INBOX", "2,3"))
done_testing()
