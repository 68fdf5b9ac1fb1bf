#!/usr/bin/env python3
"""wire.py [OPTIONS] SCRIPT: plays the server's part of an IMAP conversation.

The port is printed on stdout. Ends with 0 once each connection of the script was played to its end;
with 1, and on stderr what was expected, what came and what was said before, as soon as the client says
anything else, is silent for too long (--timeout), or wire.py is asked to end (SIGTERM) before that.

A script, one step a line ('#' begins a comment line):

	C: $A EXAMINE INBOX		the client's next line. $A is bound to what stands there (a word). Not as
				the line's first, a name that is bound already stands for its text.
				/REGEX/ as a word or between quotes or brackets; (?P<X>...) binds ${X}
	L: Subject: x\\r\\n		the literal that the line before announced: escapes \\r \\n \\t \\\\ \\xNN,
				or /REGEX/, or @FILE; L: * is any. The line then goes on with C:, which may be empty
	PART: 1000			so many octets of that literal; L: is then about the others. What follows happens
				in the middle of it (S: a refusal, X: rst)
	S: $A OK done			sent, with CR LF. <<text>> becomes a literal with its length before it
				(escapes as in L:), <<@FILE>> a file as a literal
	R: * 1 EX\\x00ISTS\\r\\n		sent as it is, with escapes; R: @FILE a file
	D: 0.2			waits
	QUIET: 0.1		in that time nothing may come from the client
	SPLIT: 7			from here on sent in pieces of 7 bytes, a segment each; 0: whole
	X: fin			the connection ends here (rst: with a reset; hang: silence until the client
				ends it)
	EOF:			the client ends the connection here
	TLS:			TLS begins (--tls); after the answer to STARTTLS, or first of all
	DEFLATE:		COMPRESS=DEFLATE begins
	MARK: x, AWAIT: x	one connection waits until another has come to its mark
	REPEAT: 5 ... END:	${N} counts from 1, ${N+100} from 101
	ANY-ORDER: ... END:	groups of C: and what follows it, played in the order in which the client comes
	NEXT:			the script of the next connection (they are served side by side, in the order in
				which they come); CONN 2: the same with its number
	INCLUDE: FILE		its lines
	ACCEPT-ANY: NOOP -> S: $TAG OK -> S: ...	how a command is answered that is not the next in the
				script, on each connection; without '->' ID, NOOP, CAPABILITY and LOGOUT
				have an answer. LOGOUT always has.

APPEND, as it may be asked and unasked, of one message and of several (MULTIAPPEND). The size may be
a pattern: {/\\d+/}, {/\\d+\\+/}, {/\\d+\\+?/}:

	C: $A APPEND Sent (\\Seen) "/.*/" {12}	C: $A APPEND Sent () "/.*/" {12+}
	S: + go on			L: Subject: x\\r\\n
	L: Subject: x\\r\\n		C:  () "/.*/" {/\\d+\\+/}
	C:				L: /Subject: y\\r\\n.*/
	S: $A OK [APPENDUID 7 3] done	C:
				S: $A OK [APPENDUID 7 3:4] done
	C: $A APPEND Sent () "/.*/" UTF8 (~{12+}
	L: Subject: x\\r\\n
	C: )

A "+" that is not sent, and a tagged NO in its place, refuse the literal: no L: then.

After its last step a connection waits for the client to end it."""
import argparse
import os
import re
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import zlib

ANSWERS = {
	"ID": ["* ID NIL", "$TAG OK ID"],
	"NOOP": ["$TAG OK NOOP"],
	"CAPABILITY": ["* CAPABILITY IMAP4rev1", "$TAG OK CAPABILITY"],
	"LOGOUT": ["* BYE logging out", "$TAG OK LOGOUT"],
}
STEPS = {"C", "L", "PART", "S", "R", "D", "QUIET", "SPLIT", "X", "EOF", "TLS", "DEFLATE", "MARK", "AWAIT"}
TOKEN = re.compile(r"\$\{(\w+)\}|\$([A-Z][A-Z0-9_]*)\b|"
	r"(?<![^ (\"<,:{[])/((?:[^/\\]|\\.)+)/(?![^ )\">,:}\]])")
VARIABLE = re.compile(r"\$\{(\w+)([+-]\d+)?\}|\$([A-Z][A-Z0-9_]*)\b")
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


class Mismatch(Exception):
	pass


class Step:
	def __init__(self, where, kind, text, body=None):
		self.where, self.kind, self.text, self.body = where, kind, text, body

	def __str__(self):
		return "%s: %s: %s" % (self.where, self.kind, self.text)


def unescape(text):
	return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else
		ESCAPES.get(m[1], m[0]), text)


class Script:
	"""The steps of each connection. Text is kept as latin-1: one character for each byte."""

	def __init__(self, path):
		self.connections = {1: []}
		self.answers = {"LOGOUT": ANSWERS["LOGOUT"]}
		self.blocks = [self.connections[1]]
		self.current = 1
		self.folder = os.path.dirname(path)
		self.read(path)
		if len(self.blocks) != 1:
			raise SystemExit("%s: END: is missing" % path)
		self.connections = {n: steps for n, steps in self.connections.items() if steps}

	def file(self, name):
		with open(os.path.join(self.folder, name), encoding="latin-1", newline="") as f:
			return f.read()

	def read(self, path):
		with open(path, encoding="latin-1", newline="\n") as f:
			lines = f.read().split("\n")
		for number, line in enumerate(lines, 1):
			line = line.rstrip("\r")
			if line.strip() == "" or line.startswith("#"):
				continue
			m = re.match(r"([A-Z][A-Z-]*)(?: (\d+))?:(?: (.*)|\s*)$", line)
			if not m:
				raise SystemExit("%s:%d: not a step: %s" % (path, number, line))
			self.step("%s:%d" % (path, number), m[1], m[2], m[3] or "")

	def step(self, where, kind, number, text):
		if kind in STEPS:
			self.blocks[-1].append(Step(where, kind, text))
		elif kind in ("REPEAT", "ANY-ORDER"):
			block = Step(where, kind, text, [])
			self.blocks[-1].append(block)
			self.blocks.append(block.body)
		elif kind == "END" and len(self.blocks) > 1:
			self.blocks.pop()
		elif kind in ("NEXT", "CONN") and len(self.blocks) == 1:
			self.current = int(number) if number else self.current + 1
			self.blocks = [self.connections.setdefault(self.current, [])]
		elif kind == "INCLUDE":
			self.read(os.path.join(self.folder, text))
		elif kind == "ACCEPT-ANY":
			self.accept_any(text)
		else:
			raise SystemExit("%s: what is %s: here?" % (where, kind))

	def accept_any(self, text):
		verbs, *lines = re.split(r" -> S: ?", text)
		for verb in verbs.replace(",", " ").split():
			self.answers[verb.upper()] = lines or ANSWERS[verb.upper()]


class Connection(threading.Thread):
	def __init__(self, number, sock, play):
		super().__init__(daemon=True)
		self.number, self.socket, self.play = number, sock, play
		self.script, self.opt = play.script, play.opt
		self.split = self.opt.split
		self.variables = {}
		self.buffer = b""
		self.inflate = self.deflate = None
		self.said = []
		self.literal = 0
		self.ended = False

	def run(self):
		try:
			self.run_steps(self.script.connections[self.number])
			if not self.ended:
				self.wait_for_end()
			self.socket.close()
			self.play.finished(self.number)
		except Mismatch as e:
			self.play.failed("connection %d: %s" % (self.number, e), self.said)
		except Exception as e:		# a thread that dies in silence would hang the test
			self.play.failed("connection %d: %r" % (self.number, e), self.said)

	def run_steps(self, steps):
		for step in steps:
			if self.ended:
				return
			getattr(self, "step_" + step.kind.lower().replace("-", "_"))(step)

	# What goes over the wire

	def log(self, who, data):
		self.said.append("%s %s" % (who, repr(data[:600])[2:-1]))
		if self.opt.log:
			print(self.number, self.said[-1], file=self.opt.log, flush=True)

	def send(self, data):
		self.log("S:", data)
		if self.deflate:
			data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
		size = self.split or len(data)
		try:
			for at in range(0, len(data), size or 1):
				self.socket.sendall(data[at:at + size])
				if size < len(data):
					time.sleep(self.opt.pause)
		except OSError as e:
			raise Mismatch("the client is gone (%s); could not send %r" % (e, data[:200]))

	def fill(self, timeout):
		"""Reads more; False: the client has ended the connection."""
		pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
		if not pending and not select.select([self.socket], [], [], timeout)[0]:
			raise TimeoutError
		try:
			data = self.socket.recv(65536)
		except (ConnectionResetError, ssl.SSLError):
			data = b""
		self.buffer += self.inflate.decompress(data) if self.inflate else data
		return data != b""

	def take(self, n, step):
		"""n bytes; n < 0: a line, without its CR LF. None: the client has ended the connection."""
		while len(self.buffer) < n or n < 0 and b"\n" not in self.buffer:
			try:
				if not self.fill(self.opt.timeout):
					return None
			except TimeoutError:
				raise Mismatch("nothing came for %g s, expected\n  %s%s" % (self.opt.timeout, step,
					"\nunread: %r" % self.buffer[:500] if self.buffer else "")) from None
		if n < 0:
			n = self.buffer.index(b"\n") + 1
		data, self.buffer = self.buffer[:n], self.buffer[n:]
		self.log("C:", data)
		return data

	def take_line(self, step):
		data = self.take(-1, step)
		if data is None:
			raise Mismatch("the client ended the connection, expected\n  %s" % step)
		if not data.endswith(b"\r\n"):
			raise Mismatch("a line without CR: %r" % data)
		line = data[:-2].decode("latin-1")
		m = re.search(r"\{(\d+)\+?\}$", line)
		self.literal = int(m[1]) if m else 0
		return line

	# Text and patterns

	def substitute(self, text):
		def value(m):
			name, add = m[1] or m[3], m[2]
			if name not in self.variables:
				return m[0]
			found = self.variables[name]
			return str(int(found) + int(add)) if add else found

		return VARIABLE.sub(value, text)

	def matches(self, pattern, line):
		regex, at = "", 0
		for m in TOKEN.finditer(pattern):
			name = m[1] or m[2]
			regex += re.escape(pattern[at:m.start()])
			at = m.end()
			if m[3]:
				regex += "(?:%s)" % self.substitute(m[3])
			elif name in self.variables and m.start() > 0:	# no tag is used twice
				regex += re.escape(self.variables[name])
			elif "(?P<%s>" % name in regex:
				regex += "(?P=%s)" % name
			else:
				regex += "(?P<%s>[^ ]+)" % name
		found = re.fullmatch(regex + re.escape(pattern[at:]), line, re.S)
		if found:
			self.variables.update((k, v) for k, v in found.groupdict().items() if v is not None)
		return found is not None

	def literal_bytes(self, text):
		return self.script.file(text[1:]) if text.startswith("@") else unescape(text)

	# The steps

	def accept_any(self, line):
		"""Answers a command that is not the script's next one, if it may come at any time."""
		words = line.split(" ")
		lines = self.script.answers.get(words[1].upper()) if len(words) > 1 else None
		if lines is None:
			return False
		self.variables["TAG"] = words[0]
		answer = "".join(self.substitute(text) + "\r\n" for text in lines).encode("latin-1")
		try:
			self.send(answer)
		except Mismatch:
			if words[1].upper() != "LOGOUT":	# nobody must wait for that answer
				raise
		return True

	def step_c(self, step):
		while True:
			line = self.take_line(step)
			if self.matches(step.text, line):
				return
			if not self.accept_any(line):
				raise Mismatch("expected\n  %s\ncame\n  %r" % (step, line))

	def step_part(self, step):
		size = int(step.text)
		if size > self.literal:
			raise Mismatch("%s\nbut of the literal only %d octets are left" % (step, self.literal))
		if self.take(size, step) is None:
			raise Mismatch("the client ended the connection within a literal\n  %s" % step)
		self.literal -= size

	def step_l(self, step):
		data = self.take(self.literal, step)
		self.literal = 0
		if data is None:
			raise Mismatch("the client ended the connection within a literal\n  %s" % step)
		text, pattern = data.decode("latin-1"), step.text
		if pattern == "*":
			return
		if re.fullmatch(r"/.*/", pattern):
			good = re.fullmatch(pattern[1:-1], text, re.S)
		else:
			good = text == self.literal_bytes(pattern)
		if not good:
			raise Mismatch("expected\n  %s\ncame\n  %r" % (step, text))

	def step_s(self, step):
		def literal(m):
			data = self.literal_bytes(m[1])
			return "{%d}\r\n%s" % (len(data), data)

		text = re.sub(r"<<(.*?)>>", literal, self.substitute(step.text))
		self.send(text.encode("latin-1") + b"\r\n")

	def step_r(self, step):
		self.send(self.literal_bytes(self.substitute(step.text)).encode("latin-1"))

	def step_d(self, step):
		time.sleep(float(step.text))

	def step_quiet(self, step):
		try:
			came = bool(self.buffer) or self.fill(float(step.text))
		except TimeoutError:
			return
		raise Mismatch("%s\nbut %s" % (step, "there came %r" % self.buffer[:500] if came else
			"the client ended the connection"))

	def step_split(self, step):
		self.split = self.opt.split or int(step.text)

	def step_x(self, step):
		self.ended = True
		if step.text == "hang":
			while self.fill_until_end():
				pass
		elif step.text == "rst":
			self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		elif step.text == "fin":
			# What the client still sends is read, since closing over it would be a reset.
			self.socket.shutdown(socket.SHUT_WR)
			while self.fill_until_end():
				pass

	def fill_until_end(self):
		try:
			return self.fill(self.opt.timeout)
		except TimeoutError:
			raise Mismatch("the client kept a dead connection for %g s" % self.opt.timeout) from None

	def step_eof(self, step):
		line = self.take(-1, step)
		if line is not None or self.buffer:
			raise Mismatch("expected the end of the connection\n  %s\ncame\n  %r" %
				(step, line or self.buffer))
		self.ended = True

	def wait_for_end(self):
		end = Step("script", "EOF", "the script's end")
		while (data := self.take(-1, end)) is not None:
			line = data.rstrip(b"\r\n").decode("latin-1")
			if not self.accept_any(line):
				raise Mismatch("after the script's end came\n  %r" % line)
		if self.buffer:
			raise Mismatch("after the script's end came\n  %r" % self.buffer)

	def step_tls(self, step):
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		context.load_cert_chain(*self.opt.tls.split(","))
		try:
			self.socket = context.wrap_socket(self.socket, server_side=True)
		except OSError as e:
			raise Mismatch("%s: %s" % (step, e)) from None

	def step_deflate(self, step):
		self.inflate = zlib.decompressobj(-15)
		self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
		self.buffer = self.inflate.decompress(self.buffer)

	def step_mark(self, step):
		self.play.mark(step.text).set()

	def step_await(self, step):
		if not self.play.mark(step.text).wait(self.opt.timeout):
			raise Mismatch("%s: no other connection came to that mark" % step)

	def step_repeat(self, step):
		for n in range(1, int(step.text) + 1):
			self.variables["N"] = str(n)
			self.run_steps(step.body)

	def step_any_order(self, step):
		groups, before = [], None
		for inner in step.body:
			if inner.kind == "C" and before != "L":
				groups.append([])
			groups[-1].append(inner)
			before = inner.kind
		while groups and not self.ended:
			line = self.take_line(Step(step.where, "one of", "; ".join(g[0].text for g in groups)))
			found = next((g for g in groups if self.matches(g[0].text, line)), None)
			if found:
				groups.remove(found)
				self.run_steps(found[1:])
			elif not self.accept_any(line):
				raise Mismatch("expected one of\n%s\ncame\n  %r" %
					("\n".join("  %s" % g[0] for g in groups), line))


class Play:
	def __init__(self, script, opt):
		self.script, self.opt = script, opt
		self.lock = threading.Lock()
		self.left = set(script.connections)
		self.marks = {}

	def mark(self, name):
		with self.lock:
			return self.marks.setdefault(name, threading.Event())

	def finished(self, number):
		with self.lock:
			self.left.discard(number)
			if not self.left:
				os._exit(0)

	def failed(self, why, said=()):
		with self.lock:
			for line in list(said)[-self.opt.history:]:
				print("wire.py: | " + line, file=sys.stderr)
			print("wire.py: %s: %s" % (self.opt.script, why), file=sys.stderr, flush=True)
			os._exit(1)

	def serve(self, listener):
		for number in range(1, 1 << 30):
			sock = listener.accept()[0]
			sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
			if number not in self.script.connections:
				self.failed("connection %d is not in the script" % number)
			Connection(number, sock, self).start()


def main():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	add = parser.add_argument
	add("script")
	add("-l", type=int, default=0, metavar="PORT")
	add("--split", type=int, default=0, metavar="N", help="send all in pieces of N bytes")
	add("--pause", type=float, default=0.0001, metavar="S", help="between pieces")
	add("--timeout", type=float, default=20, metavar="S")
	add("--tls", metavar="PEM,KEY", help="certificate for TLS: steps")
	add("--log", type=argparse.FileType("a"), help="all that is said")
	add("--history", type=int, default=12, metavar="LINES", help="shown with a mismatch")
	opt = parser.parse_args()
	play = Play(Script(opt.script), opt)
	signal.signal(signal.SIGTERM, lambda *_: play.failed("ended while connections %s were not "
		"played to their end" % sorted(play.left)))
	listener = socket.create_server(("127.0.0.1", opt.l), backlog=100)
	print(listener.getsockname()[1], flush=True)
	play.serve(listener)


main()
