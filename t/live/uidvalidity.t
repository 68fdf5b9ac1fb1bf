#!/usr/bin/python3
"""UIDVALIDITY changes, restored servers, mailboxes that are deleted and made again: the cache is
emptied and filled anew, it is told, and the user's files stay."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
c = server_client(server)


def fill(mailbox, n, first=0):
	for i in range(first, first + n):
		c.append(mailbox, mail(i), flags=("", "\\Seen", "\\Seen \\Flagged kw")[i % 3],
			date="%02d-Jun-2012 10:00:00 +0000" % (i % 28 + 1))


def new_validity(mailbox, value):
	server.adm("mailbox", "update", "-u", "ana", "--uid-validity", str(value), mailbox)


def sync_tells(account, pattern, name):
	run = account.sync()
	is_(run.returncode, 0, name)
	like(run.stderr, pattern, "and says so")
	return run


def silent(account, name="then there is silence"):
	run = account.sync()
	is_((run.returncode, run.stdout, run.stderr), (0, "", ""), name)


for profile, drop in ("full", None), ("bare", ["--keep", "IMAP4rev1"]):
	for layout in "nested", "maildir++":
		port = server.port if not drop else serve(LIB + "/imapdown.py", *drop, server.port)[1]
		box = "box-%s-%s" % (profile, layout)
		diag(box)
		c.create(box)
		fill(box, 20)
		account = Account(port, layout=layout, mailboxes='{ "%s" }' % box)
		account.syncs("%s: first sync" % box)
		new_validity(box, 1234567)
		files = account.files()
		sync_tells(account, r"work/%s: .*(?i:uidvalidity)" % re.escape(box), "a new UIDVALIDITY")
		state = {name: server_messages(c, name) for name in ("INBOX", box)}
		same(account, c, "the mailbox is as the server's", state=state)
		silent(account)

		# Lower than before, with other flags, while the user changed things here.
		row = account.ls(box)
		flagged, foreign, deleted, edited = (row[uid].path for uid in (2, 4, 5, 8))
		base = flagged.split(":2,")[0]
		os.rename(flagged, base + ":2,FRS")
		folder = os.path.dirname(os.path.dirname(foreign))
		mine = folder + "/cur/1500000000.1.elsewhere:2,S"
		write(mine, "Subject: mine\n\nnot yet on any server\n")
		os.unlink(deleted)
		os.unlink(edited)
		write(edited, "Subject: an edited draft\n\nmy words\n")
		c.select(box)
		c.store("1,3", "+FLAGS.SILENT", "\\Answered")
		c.ok("UNSELECT")
		new_validity(box, 1000)
		run = sync_tells(account, r"(?i)uidvalidity", "a lower UIDVALIDITY")
		is_(os.path.exists(mine) and read(mine), b"Subject: mine\n\nnot yet on any server\n", "a foreign file stays")
		ok(any(read(p) == b"Subject: an edited draft\n\nmy words\n" for p in account.files()),
			"a file that the user changed stays", run.stderr)
		ok(any(p.endswith(":2,FRS") and sha256(read(p)) == state[box][2].file_sha256
			for p in account.files()), "flags that the user set stay with the message",
			"\n".join(account.files()[:5]))
		state[box] = server_messages(c, box)
		rows = account.ls(box)
		is_(sorted(rows), sorted(state[box]), "all UIDs are known anew")
		want = {uid: m.file_sha256 for uid, m in state[box].items()}
		got = {uid: sha256(read(r.path)) for uid, r in rows.items() if r.path and os.path.exists(r.path)}
		# The message is recognized by its Message-ID, and its file is not touched, whatever is in it now.
		ours = {uid: h for uid, h in want.items() if uid in got}
		different = [uid for uid in ours if got[uid] != ours[uid]]
		is_([read(rows[uid].path) for uid in different], [b"Subject: an edited draft\n\nmy words\n"],
			"with their bodies, but for the one that was edited")
		ok(len(got) >= 18, "%d files" % len(got))
		ok(not account.files("tmp"), "nothing in tmp")
		again = account.sync()
		is_(again.returncode, 0, "another run")
		unlike(again.stderr, r"(?i)uidvalidity", "does not tell it again")
		is_(os.path.exists(mine), True, "the foreign file is still there")

# A server restored from a backup: the same UIDVALIDITY, UIDNEXT lower, other mail under the same UIDs.
c.create("restored")
fill("restored", 10)
account = Account(server.port, mailboxes='{ "restored" }')
place = os.path.realpath(server.dir + "/mail/ana/mail/.restored")
subprocess.run(["cp", "-a", place, WORK + "/backup"], check=True)
fill("restored", 6, 100)
c.select("restored")
c.expunge("1")
c.logout()
account.syncs("a first sync")
before = server_messages(server_client(server), "restored")
server.stop()
shutil.rmtree(place)
subprocess.run(["cp", "-a", WORK + "/backup", place], check=True)
for name in os.listdir(server.dir + "/mail/ana/mail"):
	if name.startswith("dovecot.list.index"):
		os.unlink(server.dir + "/mail/ana/mail/" + name)
server.start()
account.set(port=server.port)
c = server_client(server)
lower = c.status("restored", "UIDNEXT", "UIDVALIDITY")
ok(lower["UIDNEXT"] < 17, "the server went back", lower)
fill("restored", 3, 200)
run = account.sync()
is_(run.returncode, 0, "sync with a server that went back")
ok(run.stderr, "it is told")
state = {name: server_messages(c, name) for name in ("INBOX", "restored")}
same(account, c, "what is here is what is there", state=state)
silent(account)

# UIDs used again up to beyond the old UIDNEXT: only the mod-sequence can tell, or the content.
# Deleted and made again, with fewer and with more messages.
account = Account(server.port, mailboxes='{ "again*" }')
for name, n in ("again-few", 2), ("again-same", 8), ("again-more", 15), ("again-none", 0):
	c.create(name)
	fill(name, 8)
account.syncs("four mailboxes")
kept = account.ls("again-same")[3].path
c.logout()
time.sleep(1.1)	# Dovecot's UIDVALIDITY is made of the time
c = server_client(server)
for name, n in ("again-few", 2), ("again-same", 8), ("again-more", 15), ("again-none", 0):
	c.delete(name)
	c.create(name)
	fill(name, n, 300)
run = sync_tells(account, r"again-few", "mailboxes deleted and made again")
for name in "again-same", "again-more", "again-none":
	like(run.stderr, name, "%s too" % name)
state = {name: server_messages(c, name) for name in server_mailboxes(c)
	if name.startswith("again") or name == "INBOX"}
same(account, c, "all is as the server's", state=state)
silent(account)

# The change of UIDVALIDITY of an empty mailbox is nobody's business, but must not loop.
new_validity("again-none", 77)
is_(account.sync().returncode, 0, "an empty mailbox with a new UIDVALIDITY")
silent(account)
# All mailboxes at once.
for n, name in enumerate(state):
	new_validity(name, 500 + n)
is_(account.sync().returncode, 0, "all at once")
state = {name: server_messages(c, name) for name in state}
same(account, c, "all is as the server's", state=state)
silent(account)
c.logout()
done_testing()
