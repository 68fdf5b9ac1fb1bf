#!/usr/bin/python3
"""What the user, or a mail reader, does in the Maildir is not lost, in both layouts; and check."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
c = server_client(server)


def present(account):
	return set(account.files())


def letters_of(account, base):
	"""The letters of the file with that base name, None where there is none, or a list of two."""
	found = [p for p in account.files() if os.path.basename(p).split(":2,")[0] == base]
	return file_letters(found[0]) if len(found) == 1 else found or None


def base_of(path):
	return os.path.basename(path).split(":2,")[0]


def rename(path, letters):
	to = path.split(":2,")[0].replace("/new/", "/cur/") + ":2," + letters
	os.rename(path, to)
	return to


for layout in "nested", "maildir++":
	box = "user-" + layout
	diag(box)
	c.create(box)
	for i in range(24):
		c.append(box, mail(i), flags="\\Seen" if i % 2 else "")
	c.select(box)
	account = Account(server.port, layout=layout, mailboxes='{ "%s" }' % box)
	account.syncs("%s: first sync" % box)
	row = account.ls(box)
	paths = {uid: r.path for uid, r in row.items()}
	folder = os.path.dirname(os.path.dirname(paths[1]))
	base = {uid: base_of(p) for uid, p in paths.items()}
	is_(os.path.dirname(paths[1]), folder + "/new", "unseen mail lies in new")

	# Deleted here; new to cur without and with flags; flags set; all that, and then the server changes too.
	os.unlink(paths[2])
	os.unlink(paths[1])
	rename(paths[3], "")
	rename(paths[5], "S")
	os.rename(paths[7], folder + "/cur/" + base[7])		# no info part, as some leave it
	rename(paths[4], "FRS")
	rename(paths[6], "")				# unread again
	rename(paths[8], "PSa")				# with a letter that we do not know
	rename(paths[9], "F")
	rename(paths[10], "FS")
	rename(paths[12], "ST")
	foreign = folder + "/cur/1400000000.1.other:2,FS"
	write(foreign, "Subject: foreign\n\nx\n")
	foreign_new = folder + "/new/1400000001.2.other"
	write(foreign_new, "Subject: foreign\n\nx\n")
	touched = account.snapshot()
	run = account.sync()
	is_(run.returncode, 0, "sync after the user's changes")
	untouched(account, touched, "nothing happened on the server, nothing changes here")
	is_(server_messages(c, box).keys(), row.keys(), "nothing is deleted on the server")
	c.select(box)

	c.store("4,9,14", "+FLAGS.SILENT", "\\Answered")	# beside the user's own
	c.store("10", "-FLAGS.SILENT", "\\Seen")
	c.store("5", "+FLAGS.SILENT", "\\Flagged")
	c.store("3,7", "+FLAGS.SILENT", "\\Seen")
	c.store("6", "+FLAGS.SILENT", "\\Flagged")
	c.store("1,2", "+FLAGS.SILENT", "\\Flagged \\Seen")	# their files are gone
	c.expunge("16,18")
	c.append(box, mail(50))
	before = present(account)
	run = account.sync()
	is_(run.returncode, 0, "sync after changes on both sides")
	is_([letters_of(account, base[n]) for n in (1, 2)], [None, None], "a file deleted here stays gone")
	is_(letters_of(account, base[4]), "FRS", "flags of both sides: FRS and +R")
	is_(letters_of(account, base[9]), "FR", "F and +R")
	is_(letters_of(account, base[10]), "F", "FS and -S")
	is_(letters_of(account, base[5]), "FS", "S, from new, and +F")
	is_(letters_of(account, base[3]), "S", "moved to cur, and +S")
	is_(letters_of(account, base[7]), "S", "moved to cur without info, and +S")
	is_(letters_of(account, base[6]), "F", "made unread, and +F")
	is_(letters_of(account, base[8]), "PSa", "an unknown letter stays")
	is_(letters_of(account, base[12]), "ST", "a T stays")
	is_(letters_of(account, base[14]), "RS", "no change of the user's: the server's")
	is_([letters_of(account, base[n]) for n in (16, 18)], [None, None], "what the server expunged goes")
	ok({foreign, foreign_new} <= present(account), "foreign files stay where they are")
	is_(len(present(account)), len(before) - 2 + 1, "two less, one more")
	after = server_messages(c, box)
	is_(sorted(after[12].flags), ["\\Seen"], "the user's T did not go to the server")
	c.select(box)

	# A file that was changed by the user, with flags set too, is expunged on the server.
	rename(paths[20], "FS")
	write([p for p in account.files() if base_of(p) == base[22]][0], "Subject: edited\n\nmine\n")
	c.expunge("20,22")
	run = account.sync()
	is_(run.returncode, 0, "what the user touched is expunged on the server")
	ok(any(read(p) == b"Subject: edited\n\nmine\n" for p in account.files()), "an edited file is kept",
		run.stderr)

	# check
	run = account.run("check", account.name)
	ok(run.returncode in (0, 1), "check ends", run.returncode, run.stderr)
	for path in foreign, foreign_new:
		like(run.stdout + run.stderr, re.escape(os.path.basename(path)), "it names the foreign file")
	account = Account(server.port, layout=layout, mailboxes='{ "%s" }' % box)
	account.syncs("a new account")
	state = {name: server_messages(c, name) for name in ("INBOX", box)}
	same(account, c, "is as the server", state=state)
	good = account.snapshot().keys()
	rows = account.ls(box)
	cur = [r.path for r in rows.values() if "/cur/" in r.path]
	os.unlink(cur[0])
	rename(cur[1], "T")
	os.truncate(cur[2], 10)
	os.unlink(cur[3])
	os.mkdir(cur[3])			# a folder where a file should be
	moved = account.maildir + "/moved-away"
	os.rename(cur[4], moved)
	run = account.run("check", account.name)
	is_(run.returncode, 1, "check finds damage")
	for path in cur[0:5]:
		like(run.stdout + run.stderr, re.escape(base_of(path)), "it names each")
	os.rmdir(cur[3])
	os.unlink(moved)
	run = account.run("check", account.name, "--repair")
	is_(run.returncode, 1, "repair leaves alone what was changed")
	is_(os.path.getsize(cur[2]), 10, "as it was")
	os.unlink(cur[2])
	run = account.run("check", account.name, "--repair")
	is_(run.returncode, 0, "repair mends all else")
	is_(account.run("check", account.name).returncode, 0, "then check is content")
	same(account, c, "and all is as the server's", state=state)
	shutil.rmtree(account.maildir + ("/" + box if layout == "nested" else "/." + box))
	run = account.run("check", account.name, "--repair")
	is_(run.returncode, 0, "repair of a whole folder")
	same(account, c, "and all is as the server's", state=state)
	shutil.rmtree(account.maildir)
	run = account.sync()
	ok(run.returncode != 0 and not os.path.exists(account.maildir), "a Maildir that is gone stops a sync",
		run.returncode, run.stderr)
	run = account.run("check", account.name, "--repair")
	is_(run.returncode, 0, "repair of all")
	same(account, c, "and all is as the server's", state=state)
	is_(account.sync().stderr, "", "nothing more to say")
c.logout()

# Names
names = ["Case", "case", "CASE", "Case/Sub", "case/sub", "cur", "new", "tmp", "new/cur/tmp", "Cur",
	"a%b", "%2E", "a%2Fb", "a%252Fb", "x" * 210, "x" * 210 + "y", "y" * 100 + "/" + "z" * 100, "ü" * 75,
	"Ü" * 75, "inboxes", "INBOX/cur", "iNboX2", "mailtide", ".mailtide", "CON", "a b ", " a", "a~", "~",
	"~root", "a:2,S", "-", "--help", "a&b", "\U0001f423", "e\u0301", "\u00e9", "dovecot-keywords",
	"maildirfolder", "a\tb", "new\nline", "x\x7f", "‮rtl", "..", "../../etc", "a/../b", ".", "a/./b", ".a", "a.b",
	"..a", "a..b", "*", "a%", "|sh", "`id`", "/abs", "a//b"]


def wire(name):
	out, text = b"", quote(name)[1:-1]
	return re.sub("[\x00-\x1f\x7f]+", lambda m: "&%s-" % base64.b64encode(
		m[0].encode("utf-16be")).decode().rstrip("=").replace("/", ","), text)


c = server_client(server, "names@sdbox")
made = []
for name in names:
	reply = c.cmd('CREATE "%s"' % wire(name))
	if reply.status == "OK":
		made.append(name)
		c.cmd('APPEND "%s" {3}' % wire(name), b"x\r\n")
diag("%d of %d names; not: %r" % (len(made), len(names), [n for n in names if n not in made]))


def listed(c):
	return [decode_name(name) for attributes, _, name in c.list()
		if not {a.lower() for a in attributes} & {b"\\noselect", b"\\nonexistent"}]


for layout in "nested", "maildir++":
	account = Account(server.port, "names@sdbox", layout=layout)
	account.syncs("%s: %d odd names" % (layout, len(made)))
	want = listed(c)
	shown = {re.sub("[\x00-\x1f\x7f]", lambda m: "%%%02X" % ord(m[0]), name) for name in want}
	is_(sorted(shown - set(account.mailboxes()))[:5], [], "all are known")
	found = [f for f in account.files()]
	is_(len(found), len(made), "each message has its file")
	folders = [os.path.dirname(os.path.dirname(p)) for p in found]
	is_(len(set(folders)), len(made), "and its folder")
	alike = collections.Counter(f.casefold() for f in folders)
	is_([f for f in folders if alike[f.casefold()] > 1], [], "no two differ only in case")
	ok(all(f.startswith(account.maildir + "/") or f == account.maildir for f in folders), "none outside")
	is_(account.run("check", account.name).returncode, 0, "check is content")
	run = account.sync()
	is_((run.returncode, run.stdout, run.stderr), (0, "", ""), "a second run has nothing to do")
c.logout()

done_testing()
