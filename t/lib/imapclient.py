#!/usr/bin/env python3
"""A tiny raw IMAP client for tests: what goes over the wire stays visible.

	from imapclient import Imap
	c = Imap(port=24143).login("ana")
	c.append("INBOX", b"Subject: x\\r\\n\\r\\n", flags="\\\\Seen work", date="01-Feb-2020 10:00:00 +0000")
	c.ok("SELECT INBOX")			# -> Reply(status, text, untagged)
	c.store("1:*", "+FLAGS", "\\\\Flagged")
	c.fetch("1:*", "FLAGS")			# -> {uid: {b"FLAGS": [b"\\\\Flagged"], b"UID": b"1"}}
	c.bodies("INBOX")			# -> Counter of SHA-256 of every BODY[]

Run as a program it compares an account with a genmail manifest:

	imapclient.py PORT USER MANIFEST
"""
import base64
import collections
import hashlib
import json
import re
import socket
import ssl
import sys
import zlib

Reply = collections.namedtuple("Reply", "status text untagged")
LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")


class Refused(Exception):
	"""The server did not answer OK; args: the command, the Reply."""


def quote(name):
	"""A mailbox name, in Unicode, as it stands in a command."""
	out = re.sub("[^ -~]+|&", lambda m: "&-" if m[0] == "&" else "&%s-" % base64.b64encode(
		m[0].encode("utf-16be")).decode().rstrip("=").replace("/", ","), name)
	return '"%s"' % re.sub(r'(["\\])', r"\\\1", out)


def parse(data, at=0):
	"""The value that begins at data[at]: bytes, None for NIL, or a list. -> (value, where it ends)"""
	c = data[at:at + 1]
	if c == b"(":
		items, at = [], at + 1
		while data[at:at + 1] != b")":
			if data[at:at + 1] == b" ":
				at += 1
				continue
			item, at = parse(data, at)
			items.append(item)
		return items, at + 1
	if c == b'"':
		m = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(data, at)
		return re.sub(rb"\\(.)", rb"\1", m[1]), m.end()
	m = re.compile(rb"~?\{(\d+)\}\r\n").match(data, at)
	if m:
		return data[m.end():m.end() + int(m[1])], m.end() + int(m[1])
	m = re.compile(rb"[^ ()\[\r\n]*(\[[^\]]*\](<\d+>)?)?[^ ()\r\n]*").match(data, at)
	if m.end() == at:
		raise ValueError("cannot parse %r" % data[at:at + 60])
	return (None if m[0].upper() == b"NIL" else m[0]), m.end()


class Imap:
	def __init__(self, host="127.0.0.1", port=143, ca=None, tls=False, cert=None, timeout=20):
		"""tls: from the start on; ca: the file to trust (none: trust all); cert: (pem, key)."""
		self.ca, self.cert = ca, cert
		self.tag = 0
		self.buffer = bytearray()
		self.inflate = self.deflate = None
		self.log = None		# a list here collects what is said
		self.socket = socket.create_connection((host, port), timeout=timeout)
		if tls:
			self.wrap()
		self.greeting = self.line()

	def __enter__(self):
		return self

	def __exit__(self, *exc):
		self.close()

	def close(self):
		self.socket.close()

	def wrap(self):
		context = ssl.create_default_context(cafile=self.ca)
		if not self.ca:
			context.check_hostname = False
			context.verify_mode = ssl.CERT_NONE
		if self.cert:
			context.load_cert_chain(*self.cert)
		self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

	def send(self, data):
		"""Raw bytes, for pipelining and for what is wrong."""
		if self.log is not None:
			self.log.append(b"C: " + data)
		if self.deflate:
			data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
		self.socket.sendall(data)

	def fill(self):
		data = self.socket.recv(1 << 18)
		if not data:
			raise EOFError("connection closed; unread: %r" % bytes(self.buffer[:200]))
		self.buffer += self.inflate.decompress(data) if self.inflate else data

	def take(self, n):
		while len(self.buffer) < n:
			self.fill()
		data = bytes(self.buffer[:n])
		del self.buffer[:n]
		return data

	def line(self):
		"""One whole response, its literals included."""
		out = b""
		while True:
			seen = 0
			while (end := self.buffer.find(b"\n", seen)) < 0:
				seen = len(self.buffer)
				self.fill()
			line = self.take(end + 1)
			out += line
			literal = LITERAL.search(line)
			if not literal:
				break
			out += self.take(int(literal[1]))
		if self.log is not None:
			self.log.append(b"S: " + out)
		return out

	def cmd(self, command, *literals):
		"""Sends a command, and one of the literals (bytes, the rest of the line included) for each
		continuation request. Answers once the tagged response is there."""
		self.tag += 1
		tag = b"t%d" % self.tag
		pending, untagged = list(literals), []
		self.send(tag + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
		while True:
			line = self.line()
			if line.startswith(b"+"):
				self.send((pending.pop(0) if pending else b"*") + b"\r\n")
			elif line.startswith(tag + b" "):
				status, _, text = line[len(tag) + 1:].rstrip(b"\r\n").partition(b" ")
				return Reply(status.decode(), text.decode("utf-8", "replace"), untagged)
			else:
				untagged.append(line)

	def ok(self, command, *literals):
		reply = self.cmd(command, *literals)
		if reply.status != "OK":
			raise Refused(command, reply)
		return reply

	def login(self, user, password="pass"):
		self.ok('LOGIN "%s" "%s"' % (user, password))
		return self

	def logout(self):
		self.cmd("LOGOUT")
		self.close()

	def starttls(self):
		self.ok("STARTTLS")
		self.wrap()

	def compress(self):
		self.ok("COMPRESS DEFLATE")
		self.inflate = zlib.decompressobj(-15)
		self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)

	def capabilities(self):
		return set(self.ok("CAPABILITY").untagged[0].decode().split()[2:])

	def append(self, mailbox, message, flags="", date=None):
		"""-> the new UID, or 0 where the server does not tell."""
		date = ' "%s"' % date if date else ""
		reply = self.ok("APPEND %s (%s)%s {%d}" % (quote(mailbox), flags, date, len(message)), message)
		uid = re.search(r"APPENDUID \d+ (\d+)", reply.text)
		return int(uid[1]) if uid else 0

	def create(self, mailbox):
		return self.ok("CREATE " + quote(mailbox))

	def delete(self, mailbox):
		return self.ok("DELETE " + quote(mailbox))

	def rename(self, old, new):
		return self.ok("RENAME %s %s" % (quote(old), quote(new)))

	def subscribe(self, mailbox):
		return self.ok("SUBSCRIBE " + quote(mailbox))

	def select(self, mailbox):
		return self.ok("SELECT " + quote(mailbox))

	def examine(self, mailbox):
		return self.ok("EXAMINE " + quote(mailbox))

	def store(self, uids, how, flags):
		return self.ok("UID STORE %s %s (%s)" % (uids, how, flags))

	def expunge(self, uids):
		"""Marks as deleted, and expunges what is so marked."""
		self.store(uids, "+FLAGS.SILENT", "\\Deleted")
		return self.ok("EXPUNGE")

	def copy(self, uids, mailbox):
		return self.ok("UID COPY %s %s" % (uids, quote(mailbox)))

	def move(self, uids, mailbox):
		return self.ok("UID MOVE %s %s" % (uids, quote(mailbox)))

	def status(self, mailbox, *items):
		"""-> {"UIDNEXT": 5, ...}"""
		line = self.ok("STATUS %s (%s)" % (quote(mailbox), " ".join(items))).untagged[-1]
		pairs = parse(line, line.rindex(b"("))[0]
		return {k.decode(): int(v) for k, v in zip(pairs[::2], pairs[1::2])}

	def list(self, pattern="*"):
		"""-> [(attributes, delimiter, name as on the wire)]"""
		out = []
		for line in self.ok('LIST "" "%s"' % pattern).untagged:
			if line.startswith(b"* LIST "):
				attributes, delimiter, name = parse(b"(" + line[7:].rstrip() + b")")[0][:3]
				out.append((attributes, delimiter, name))
		return out

	def fetch(self, uids, items):
		"""-> {uid: {name: value}}"""
		found = collections.defaultdict(dict)
		for line in self.ok("UID FETCH %s (UID %s)" % (uids, items)).untagged:
			m = re.match(rb"\* \d+ FETCH ", line)
			if m:
				pairs = parse(line, m.end())[0]
				values = dict(zip(pairs[::2], pairs[1::2]))
				found[int(values[b"UID"])].update(values)
		return dict(found)

	def flags(self, mailbox):
		"""-> {uid: sorted flags without \\Recent}"""
		if self.examine(mailbox) and self.status(mailbox, "MESSAGES")["MESSAGES"] == 0:
			return {}
		return {uid: sorted(f.decode() for f in values[b"FLAGS"] if f.lower() != b"\\recent")
			for uid, values in self.fetch("1:*", "FLAGS").items()}

	def bodies(self, mailbox):
		"""-> Counter of the SHA-256 of every message"""
		self.examine(mailbox)
		self.tag += 1
		tag, found = b"t%d " % self.tag, collections.Counter()
		self.send(tag + b"UID FETCH 1:* (BODY.PEEK[])\r\n")
		while not (line := self.line()).startswith(tag):	# one at a time: mailboxes are large
			m = re.search(rb"BODY\[\] (?=[{\"]|NIL)", line[:200])
			if m:
				body = parse(line, m.end())[0] or b""
				found[hashlib.sha256(body).hexdigest()] += 1
		return found


def compare(port, user, manifest):
	"""-> the number of differences between the account and the manifest; tells each on stderr."""
	wanted, differences = collections.defaultdict(collections.Counter), 0
	with open(manifest) as f:
		for line in f:
			message = json.loads(line)
			wanted[message["folder"]][message["sha256"]] += 1
	with Imap(port=port, timeout=120).login(user) as c:
		for folder, want in wanted.items():
			got = c.bodies(folder)
			for what, some in ("missing", want - got), ("unexpected", got - want):
				for sha in some:
					print("%s: %s %s" % (folder, what, sha), file=sys.stderr)
				differences += some.total()
	return differences


if __name__ == "__main__":
	count = compare(int(sys.argv[1]), sys.argv[2], sys.argv[3])
	print("%d differences" % count)
	sys.exit(count != 0)
