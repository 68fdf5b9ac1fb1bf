"""What the live tests share: an account of ours beside the server's own words.

	sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
	from live import *

	server = dovecot()
	account = Account(server.port)		# a configuration, a Maildir, a store
	run = account.sync()
	with server_client(server) as c:
		is_(differences(account, c), [], "both sides are equal")

Brings all of tap.py with it."""
import base64
import collections
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib"))
from tap import *
from imapclient import Imap, Refused, quote

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))	# so that what was started is ended

LETTERS = {"\\Draft": "D", "\\Flagged": "F", "$Forwarded": "P", "\\Answered": "R", "\\Seen": "S",
	"\\Deleted": "T"}
Row = collections.namedtuple("Row", "number uid flags size date path")
Message = collections.namedtuple("Message", "flags date size sha256 file_sha256")


def sha256(data):
	return hashlib.sha256(data).hexdigest()


def decode_name(wire):
	"""A mailbox name on the wire (modified UTF-7, bytes) to text."""
	def part(m):
		code = m[1].replace(b",", b"/")
		return base64.b64decode(code + b"=" * (-len(code) % 4)).decode("utf-16be").encode() if code else b"&"
	return re.sub(rb"&([^-]*)-", part, wire).decode()


def server_client(server, user="ana", **options):
	return Imap(port=server.port, timeout=120, **options).login(user)


class Account:
	"""One account: a configuration file, a Maildir and a store, all in a folder of their own. Any
	key of the configuration: underscores for hyphens; None leaves it out. `extra` is appended within
	the account as it stands."""

	def __init__(self, port, user="ana", name="work", dir=None, extra="", **keys):
		self.dir = dir or "%s/account%d" % (WORK, len(os.listdir(WORK)))
		os.makedirs(self.dir, exist_ok=True)
		self.name, self.extra = name, extra
		self.maildir, self.state = self.dir + "/mail", self.dir + "/state"
		self.conf = self.dir + "/mailtide.conf"
		self.keys = {"host": "127.0.0.1", "port": port, "tls": "none", "user": user,
			"password_command": "echo pass", "maildir": self.maildir, "state": self.state}
		self.set(**keys)

	def set(self, **keys):
		self.keys.update(keys)
		self.maildir, self.state = self.keys["maildir"], self.keys["state"]
		lines = ['    %s = %s\n' % (key.replace("_", "-"), value if str(value).startswith("{") else
			'"%s"' % value) for key, value in self.keys.items() if value is not None]
		with open(self.conf, "w") as f:
			f.write('account "%s" {\n%s%s}\n' % (self.name, "".join(lines), self.extra))
		return self

	def command(self, *args):
		return [MAILTIDE, "-c", self.conf, *map(str, args)]

	def run(self, *args, timeout=40, **options):
		"""A run that does not end has status 124."""
		try:
			return mailtide("-c", self.conf, *args, timeout=timeout, **options)
		except subprocess.TimeoutExpired as e:
			text = [(part or b"").decode() for part in (e.stdout, e.stderr)]
			return subprocess.CompletedProcess(e.cmd, 124, text[0], text[1] + "did not end in %d s" % timeout)

	def sync(self, *args, points=None, point=None, timeout=40, **env):
		"""points: a file for the names of crash points; point: die there."""
		if points:
			env["MAILTIDE_POINTS"] = points
		if point:
			env["MAILTIDE_POINT"] = point
		return self.run("sync", *args, timeout=timeout, env={**os.environ, **env})

	def start(self, *args, **options):
		return subprocess.Popen(self.command("sync", *args), stdout=subprocess.PIPE,
			stderr=subprocess.PIPE, text=True, **options)

	def syncs(self, name):
		"""A sync that must end well. -> what it said"""
		run = self.sync()
		ok(run.returncode == 0, name, "status %d\n%s%s" % (run.returncode, run.stdout, run.stderr))
		return run.stdout + run.stderr

	def mailboxes(self):
		run = self.run("ls", self.name)
		if run.returncode:
			raise RuntimeError("ls: status %d: %s" % (run.returncode, run.stderr))
		return [line.split("\t")[0] for line in run.stdout.splitlines()]

	def ls(self, mailbox):
		"""-> {uid: Row}; a Row's path is absolute, or "" where there is no file."""
		run = self.run("ls", "--", self.name, mailbox)
		if run.returncode:
			raise RuntimeError("ls %s: status %d: %s" % (mailbox, run.returncode, run.stderr))
		rows = {}
		for line in run.stdout.split("\n")[:-1]:
			number, uid, flags, size, date, path = line.split("\t")
			if not date.isdigit():
				date = datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp()
			rows[int(uid)] = Row(number, int(uid), frozenset(flags.split()), int(size), int(date),
				os.path.join(self.maildir, path) if path not in ("", "-") else "")
		return rows

	def files(self, *subs):
		"""The files of all cur and new (or of `subs`), sorted."""
		found = []
		for at, _, names in os.walk(self.maildir):
			if os.path.basename(at) in (subs or ("cur", "new")):
				found += [os.path.join(at, name) for name in names]
		return sorted(found)

	def hashes(self):
		"""What the mail files hold, whatever they are called."""
		return collections.Counter(sha256(read(path)) for path in self.files())

	def snapshot(self):
		"""Changes when anything in the tree is touched."""
		seen = {}
		for at, folders, names in os.walk(self.maildir):
			for name in names + [f for f in folders if f in ("cur", "new")]:
				st = os.lstat(os.path.join(at, name))
				seen[os.path.join(at, name)] = (st.st_ino, st.st_mtime_ns, st.st_ctime_ns, st.st_size)
		return seen


def read(path):
	with open(path, "rb") as f:
		return f.read()


def write(path, data):
	with open(path, "wb") as f:
		f.write(data if isinstance(data, bytes) else data.encode())


def epoch(internaldate):
	return int(datetime.strptime(internaldate.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())


def server_mailboxes(c):
	return [decode_name(name) for attributes, _, name in c.list()
		if not {a.lower() for a in attributes} & {b"\\noselect", b"\\nonexistent"}]


def server_messages(c, mailbox):
	"""-> {uid: Message}, from a raw client's EXAMINE and FETCH"""
	c.examine(mailbox)
	if c.status(mailbox, "MESSAGES")["MESSAGES"] == 0:
		return {}
	found = {}
	for uid, v in c.fetch("1:*", "FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]").items():
		body = v[b"BODY[]"]
		flags = frozenset(f.decode() for f in v[b"FLAGS"] if f.lower() != b"\\recent")
		found[uid] = Message(flags, epoch(v[b"INTERNALDATE"]), int(v[b"RFC822.SIZE"]), sha256(body),
			sha256(body.replace(b"\r\n", b"\n")))
	return found


def server_state(c):
	return {name: server_messages(c, name) for name in server_mailboxes(c)}


def file_letters(path):
	name = os.path.basename(path)
	return name.rpartition(":2,")[2] if ":2," in name else ""


def message_differences(where, want, row):
	"""Between what the server says of a message, and ls and the file."""
	found = []

	def differ(what, got, wanted):
		if got != wanted:
			found.append("%s: %s is %r, not %r" % (where, what, got, wanted))

	differ("flags", sorted(row.flags), sorted(want.flags))
	differ("size", row.size, want.size)
	differ("date", row.date, want.date)
	if not row.path:
		return found + [where + ": no file"]
	try:
		mtime, data = os.stat(row.path).st_mtime, read(row.path)
	except OSError as e:
		return found + ["%s: %s" % (where, e)]
	differ("file's time", int(mtime), want.date)
	differ("file's SHA-256", sha256(data), want.file_sha256)
	if b"\r\n" not in data:	# else there is no way back from LF
		differ("SHA-256 with CRLF", sha256(data.replace(b"\n", b"\r\n")), want.sha256)
	letters = "".join(sorted(LETTERS[f] for f in want.flags if f in LETTERS))
	differ("letters", file_letters(row.path), letters)
	return found


def differences(account, c, state=None, foreign=(), gone=(), limit=8):
	"""Between the server (asked through the raw client `c`, or `state`), `mailtide ls`, and the files. foreign:
	paths of files that are none of ours; gone: mailboxes that only we still have."""
	state = server_state(c) if state is None else state
	found, claimed = [], collections.Counter(foreign)
	names = account.mailboxes()
	found += ["mailbox %r is missing" % n for n in state if n not in names]
	found += ["mailbox %r is too much" % n for n in names if n not in state and n not in gone]
	for name in names:
		rows = account.ls(name)
		claimed.update(row.path for row in rows.values() if row.path)
		if name not in state:
			continue
		for uid in sorted(set(state[name]) | set(rows)):
			where = "%s/%d" % (name, uid)
			if uid not in rows:
				found.append(where + ": missing")
			elif uid not in state[name]:
				found.append(where + ": too much")
			else:
				found += message_differences(where, state[name][uid], rows[uid])
	files = set(account.files())
	found += ["%s: claimed %d times" % (p, n) for p, n in claimed.items() if n > 1]
	found += ["%s: nobody's" % p for p in sorted(files - set(claimed))]
	found += ["%s: left in tmp" % p for p in account.files("tmp")]
	if len(found) > limit:
		found[limit:] = ["... and %d more" % (len(found) - limit)]
	return found


def untouched(account, before, name):
	"""Is the tree as the snapshot `before` says?"""
	now = account.snapshot()
	changed = sorted(path for path in set(now) | set(before) if now.get(path) != before.get(path))
	return ok(not changed, name, "\n".join("%s: %s, was %s" % (path, now.get(path), before.get(path))
		for path in changed[:10]))


def same(account, c, name, **options):
	found = differences(account, c, **options)
	return ok(not found, name, "\n".join(found))


def mail(n, size=0, **headers):
	"""A small message, its own for each n."""
	lines = ["From: a@example.org", "Subject: message %d" % n, "Message-ID: <%d@live>" % n,
		"Date: Sat, 01 Feb 2020 10:00:00 +0000", *["%s: %s" % pair for pair in headers.items()], "",
		"body %d" % n]
	body = "\r\n".join(lines) + "\r\n"
	line = "%070d\r\n"
	return (body + "".join(line % i for i in range(size // 72))).encode()


class Proxy:
	"""delayproxy before a port: .port; .stats() ends it and answers with a dict for each connection."""

	def __init__(self, target, *options):
		self.report = "%s/proxy%d" % (WORK, len(os.listdir(WORK)))
		write(self.report, b"")
		self.process, self.port = serve(BIN + "/delayproxy", "-t", target, "-o", self.report, *options)

	def stats(self):
		self.process.terminate()
		self.process.wait()
		return [json.loads(line) for line in read(self.report).splitlines()]


def total(stats, key):
	return sum(one[key] for one in stats)
