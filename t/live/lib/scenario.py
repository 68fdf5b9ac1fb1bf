"""A whole account brought home and kept up to date, for a server of a given profile. The profiles run
beside each other, one file each (account-*.t)."""
from live import *

# Beside genmail's 16: what a name may hold without being refused by Dovecot.
ODD = ["100% sure", "cur", "new/tmp", "archive", "INBOX/sub", "ARCHIVE/2019", 'quo"te', "back\\slash",
	"Œuf \U0001f423", "x" * 120, "%2E%2E", "a:b;c|d<e>", "-rf", "'$(touch x)'"]


def changes(c):
	"""What another client does meanwhile."""
	c.select("INBOX")
	uids = sorted(c.fetch("1:*", "FLAGS"))
	pick = lambda a, b: ",".join(map(str, uids[a:b]))
	c.store(pick(0, 20), "+FLAGS.SILENT", "\\Flagged")
	c.store(pick(30, 45), "-FLAGS.SILENT", "\\Seen \\Answered")
	c.store(pick(45, 60), "+FLAGS.SILENT", "\\Deleted \\Seen")
	c.store(pick(60, 75), "+FLAGS.SILENT", "work $Label1 odd.key-word_1 $Forwarded")
	c.store(pick(75, 90), "FLAGS.SILENT", "")
	c.copy(pick(90, 110), "Sent")
	c.copy(pick(95, 100), "INBOX")
	c.move(pick(110, 125), "Lists/dev")
	c.store(pick(130, 150), "+FLAGS.SILENT", "\\Deleted")
	c.ok("UID EXPUNGE " + pick(130, 150))
	c.store(str(uids[-1]), "+FLAGS.SILENT", "\\Deleted")
	c.ok("UID EXPUNGE %d" % uids[-1])	# the highest UID (Q61)
	c.select("Junk")
	c.expunge("1:*")
	c.ok("UNSELECT")
	for n in range(12):
		c.append(("INBOX", "日本語", "cur", "archive")[n % 4], mail(n), flags=("", "\\Seen", "\\Draft new-word")[n % 3],
			date="%02d-Mar-2011 23:59:5%d -0330" % (n + 1, n % 10))
	c.append("Archive", mail(100, 3 << 20), date="29-Feb-2004 00:00:00 +0000")
	c.create("Neu/Grüße")
	c.append("Neu/Grüße", mail(101))
	c.create("empty new one")
	c.delete("Lists/announce")
	c.rename("Archive/2020", "Archive/zwanzig")
	c.delete("x-y")
	c.create("x-y")
	c.append("x-y", mail(102), flags="\\Flagged")



def run(profile, count, drop=None, keep=None, skips=True, **keys):
	"""skips: a second run need not open any mailbox (L2)."""
	server = dovecot(profile=profile)
	server.fill("ana", count, "--folders", "16", "--small", "--hostile")
	c = server_client(server)
	for n, name in enumerate(ODD):
		try:
			c.create(name)
		except Refused as e:
			diag("refused:", e)
			continue
		if n % 4:
			c.append(name, mail(1000 + n), flags="\\Seen")
	port = server.port
	if drop or keep is not None:
		options = ["--drop", drop] if drop else ["--keep", keep]
		down, port = serve(LIB + "/imapdown.py", *options, server.port)
	before = server_state(c)
	is_(len(before) >= 28, True, "%d mailboxes" % len(before))
	is_(sum(map(len, before.values())) >= count, True, "%d messages" % sum(map(len, before.values())))

	account = Account(port, **keys)
	run = account.sync()
	is_(run.returncode, 0, "first sync")
	is_(run.stderr, "", "it has nothing to say")
	same(account, c, "all is there, to the byte", state=before)
	ok(server_state(c) == before, "nothing changed on the server")
	check = account.run("check", account.name)
	is_((check.returncode, check.stderr), (0, ""), "check finds nothing")

	proxy = Proxy(port)
	account.set(port=proxy.port)
	snapshot = account.snapshot()
	run = account.sync()
	stats = proxy.stats()
	is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "second sync, in silence")
	untouched(account, snapshot, "it touches no file")
	if skips:
		is_(total(stats, "selects"), 0, "it opens no mailbox")
		is_(len(stats), 1, "over one connection")
	else:
		ok(total(stats, "selects") <= len(before), "it opens each mailbox once", stats)
	ok(total(stats, "s2c") < 60 * count, "it fetches no body", stats)
	account.set(port=port)

	changes(c)
	after = server_state(c)
	run = account.sync()
	is_(run.returncode, 0, "sync after changes")
	gone = ["Lists/announce"]
	same(account, c, "all changes arrived", state=after, gone=gone)
	said = run.stderr
	like(said, 'is the mailbox that was "Archive/2020": renamed here too', "a mailbox was renamed")
	ok("Archive/2020" not in account.mailboxes(), "it is not here twice")
	for name in gone:
		is_(sorted(account.ls(name)), sorted(before[name]), "%s stays here" % name)
		is_(sum(os.path.exists(r.path) for r in account.ls(name).values()), len(before[name]),
			"with its files")
	run = account.sync()
	is_(run.returncode, 0, "and once more")
	for name in gone:
		like(said + run.stderr, re.escape(name), "that %s is gone is told" % name)
	same(account, c, "nothing moved", state=after, gone=gone)
	ok(server_state(c) == after, "nothing changed on the server")
	snapshot = account.snapshot()
	run = account.sync()
	is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "the last sync is silent again")
	untouched(account, snapshot, "and touches nothing")
	check = account.run("check", account.name)
	is_((check.returncode, check.stderr), (0, ""), "check finds nothing")
	if drop or keep is not None:
		is_(read(down.errors).decode(errors="replace"), "", "nothing was used that was not announced")
	c.logout()
	done_testing()
