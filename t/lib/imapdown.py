#!/usr/bin/env python3
"""imapdown.py [OPTIONS] [HOST:]PORT: a proxy before an IMAP server that takes features away.

Dovecot goes on doing what it no longer announces. Here a dropped feature is truly gone: not in any
capability list, its commands and arguments are refused with BAD, its response codes are not sent. Each
use of what was not announced is told on stderr, since it is the client's fault. Plain text only, many
connections at a time. The port it listens on (-l, default: a free one) is printed on stdout.

	--drop CAP,CAP		features to take away (STARTTLS and COMPRESS=DEFLATE always are)
	--keep CAP,CAP		take all away but these; IMAP4rev1 and AUTH= stay
	--add CAP,CAP		announced in addition
	--fail VERB:K:TEXT	the K-th VERB of a connection (* for each) is answered with TEXT, e.g.
				--fail 'APPEND:3:NO [OVERQUOTA] full'. TEXT BYE closes with a BYE, DROP without.
				UID commands are 'UID FETCH'.
	--fail-total VERB:K:TEXT	the same, counted over all connections
	--sub 'REGEX=>TEXT'	on each server line, outside of literals
	--nil-body UID		the message's body is NIL and the FETCH ends with OK [EXPUNGEISSUED]
	--short-body UID	half of the body is sent, as if that were all
	--log FILE		what is said (literals shortened)

A refused command reaches the server as NOOP and its answer is replaced, so that answers keep their
order among pipelined commands."""
import argparse
import asyncio
import collections
import re
import sys

LITERAL = re.compile(rb"(~?)\{(\d+)(\+?)\}\r?\n\Z")
LIMIT = 1 << 26


class Feature:
	"""What belongs to a capability: commands, a pattern of arguments, response codes, whole lines."""

	def __init__(self, commands="", arguments=None, codes=None, lines=None, needs=""):
		self.commands = set(commands.split(",")) if commands else set()
		self.arguments = arguments and re.compile(arguments, re.I)
		self.codes = codes and re.compile(rb"\[(%s)\b[^\]]*\] ?" % codes)
		self.lines = lines and re.compile(lines)
		self.needs = needs.split()


FEATURES = {
	"ACL": Feature("MYRIGHTS,GETACL,SETACL,DELETEACL,LISTRIGHTS"),
	"BINARY": Feature(arguments=rb"BINARY|(?<!UTF8 \()~\{"),
	"COMPRESS=DEFLATE": Feature("COMPRESS"),
	"CONDSTORE": Feature(arguments=rb"\(CONDSTORE|CHANGEDSINCE|MODSEQ", codes=rb"HIGHESTMODSEQ|MODIFIED",
		lines=rb"\* OK \[(HIGHESTMODSEQ|NOMODSEQ)"),
	"ENABLE": Feature("ENABLE"),
	"ESEARCH": Feature(arguments=rb"SEARCH RETURN"),
	"ID": Feature("ID"),
	"IDLE": Feature("IDLE"),
	"LIST-EXTENDED": Feature(arguments=rb"^\S+ (LIST .*RETURN|LIST \()"),
	"LIST-STATUS": Feature(arguments=rb"^\S+ LIST .*RETURN \(.*STATUS", needs="LIST-EXTENDED"),
	"LITERAL+": Feature(arguments=rb"\{\d+\+\}"),
	"MULTIAPPEND": Feature(),	# see append()
	"METADATA": Feature("GETMETADATA,SETMETADATA", arguments=rb"METADATA"),
	"MOVE": Feature("MOVE,UID MOVE"),
	"NAMESPACE": Feature("NAMESPACE"),
	"NOTIFY": Feature("NOTIFY"),
	"QRESYNC": Feature(arguments=rb"\(QRESYNC|VANISHED", lines=rb"\* (VANISHED|OK \[CLOSED\])",
		needs="CONDSTORE"),
	"QUOTA": Feature("GETQUOTA,GETQUOTAROOT,SETQUOTA"),
	"SASL-IR": Feature(arguments=rb"AUTHENTICATE \S+ \S"),
	"SORT": Feature("SORT,UID SORT"),
	"SPECIAL-USE": Feature(arguments=rb"SPECIAL-USE"),
	"STARTTLS": Feature("STARTTLS"),
	"STATUS=SIZE": Feature(arguments=rb"STATUS .*\(.*\bSIZE"),
	"THREAD": Feature("THREAD,UID THREAD"),
	"UIDPLUS": Feature("UID EXPUNGE", codes=rb"APPENDUID|COPYUID|UIDNOTSTICKY",
		lines=rb"\* OK \[COPYUID"),
	"UNSELECT": Feature("UNSELECT"),
	"UTF8=ACCEPT": Feature(arguments=rb"APPEND .*UTF8 \(~\{"),
}
SPECIAL_USE = re.compile(rb" ?\\(All|Archive|Drafts|Flagged|Junk|Sent|Trash)\b", re.I)


class Rules:
	"""What the options ask for."""

	def __init__(self, opt):
		self.dropped = set(opt.drop.upper().split(",")) | {"STARTTLS", "COMPRESS=DEFLATE"}
		self.kept = set(opt.keep.upper().split(",")) if opt.keep else None
		self.added = opt.add.split(",") if opt.add else []
		self.gone = {name: f for name, f in FEATURES.items()
			if self.off(name) or any(map(self.off, f.needs))}
		self.dropped |= set(self.gone)
		self.fails = [(f, False) for f in map(self.parse_fail, opt.fail)]
		self.fails += [(f, True) for f in map(self.parse_fail, opt.fail_total)]
		self.totals = collections.Counter()
		self.subs = [re.compile(s.split("=>", 1)[0].encode()) for s in opt.sub]
		self.subs = list(zip(self.subs, [s.split("=>", 1)[1].encode() for s in opt.sub]))
		self.nil_body, self.short_body = set(opt.nil_body), set(opt.short_body)

	@staticmethod
	def parse_fail(text):
		verb, k, answer = text.split(":", 2)
		return verb.upper(), k, answer

	def off(self, name):
		return name in self.dropped or self.kept is not None and name not in self.kept

	def announced(self, caps):
		kept = []
		for cap in caps.decode().split():
			name = cap.upper()
			if name == "IMAP4REV1" or name.startswith("AUTH=") or name == "LOGINDISABLED":
				off = name in self.dropped
			else:
				off = self.off(name) or name.split("=")[0] in self.dropped
			if not off:
				kept.append(cap)
		return " ".join(kept + self.added).encode()

	def refusal(self, verb, text):
		"""The feature that a command needs and does not have, or None."""
		for name, feature in self.gone.items():
			if verb in feature.commands or feature.arguments and feature.arguments.search(text):
				return name
		return None

	def failure(self, verb, counts):
		counts[verb] += 1
		self.totals[verb] += 1
		for (want, k, answer), total in self.fails:
			if want == verb and k in ("*", str((self.totals if total else counts)[verb])):
				return answer
		return None

	def rewrite(self, line):
		"""A server line without what is gone; None: not to be sent at all."""
		line = re.sub(rb"(\* |\[)CAPABILITY ([^\]\r\n]*)",
			lambda m: m[1] + b"CAPABILITY " + self.announced(m[2]), line)
		for feature in self.gone.values():
			if feature.lines and feature.lines.match(line):
				return None
			if feature.codes:
				line = feature.codes.sub(b"", line)
		if line.startswith((b"* LIST ", b"* LSUB ")):
			if self.off("SPECIAL-USE"):
				line = SPECIAL_USE.sub(b"", line)
			if self.off("CHILDREN"):
				line = re.sub(rb" ?\\Has(No)?Children", b"", line)
			line = line.replace(b"( ", b"(")
		for pattern, text in self.subs:
			line = pattern.sub(text, line)
		return line


async def read_literal(reader, line):
	"""The bytes that a line's end announces, and the line after them; (None, None) where none is."""
	m = LITERAL.search(line)
	if not m:
		return None, None
	data = await reader.readexactly(int(m[2]))
	return data, await read_line(reader)


async def read_line(reader):
	line = await reader.readuntil(b"\n")
	return line


class Connection:
	def __init__(self, rules, log, client_reader, client):
		self.rules, self.log = rules, log
		self.client_reader, self.client = client_reader, client
		self.counts = collections.Counter()
		self.answers = {}		# tag -> what is answered instead
		self.events = asyncio.Queue()	# "+", and the tags of answered commands, for who waits
		self.waiting = False
		self.expunge_issued = False

	async def run(self, host, port):
		self.server_reader, self.server = await asyncio.open_connection(host, port, limit=LIMIT)
		tasks = [asyncio.create_task(self.from_client()), asyncio.create_task(self.from_server())]
		done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
		if tasks[0] in done and not tasks[0].exception():
			await asyncio.wait(tasks, timeout=2)	# LOGOUT: let the answer through
		for task in tasks:
			task.cancel()
		for result in await asyncio.gather(*tasks, return_exceptions=True):
			expected = (OSError, EOFError, asyncio.CancelledError, type(None))
			if not isinstance(result, expected):
				print("imapdown: %r" % result, file=sys.stderr)
		for writer in (self.server, self.client):
			writer.close()

	def note(self, who, data):
		if self.log:
			self.log.write("%s %s\n" % (who, repr(data[:300])[2:-1]))
			self.log.flush()

	# From the server to the client

	async def from_server(self):
		while True:
			parts = [await read_line(self.server_reader)]
			while True:
				data, line = await read_literal(self.server_reader, parts[-1])
				if data is None:
					break
				parts += [data, line]
			self.on_response(parts)
			await self.client.drain()

	def on_response(self, parts):
		first = parts[0]
		tag = first.split(b" ", 1)[0]
		if self.waiting and (first.startswith(b"+") or tag == self.waiting):
			self.events.put_nowait("+" if first.startswith(b"+") else "end")
		if tag in self.answers:
			parts = [tag + b" " + self.answers.pop(tag).encode() + b"\r\n"]
		elif self.expunge_issued and re.match(rb"[^*+ ]+ OK ", first):
			parts = [tag + b" OK [EXPUNGEISSUED] Some messages are gone\r\n"]
			self.expunge_issued = False
		elif len(parts) > 1 and b"FETCH (" in first:
			parts = self.change_body(parts)
		parts[::2] = [self.rules.rewrite(text) for text in parts[::2]]
		if parts[0] is not None:
			self.note("S:", parts[0])
			self.client.writelines(parts)

	def change_body(self, parts):
		uid = re.search(rb"\bUID (\d+)", b" ".join(parts[::2]))
		uid = uid and int(uid[1])
		if uid not in self.rules.nil_body | self.rules.short_body:
			return parts
		out = [parts[0]]
		for literal, text in zip(parts[1::2], parts[2::2]):
			if not re.search(rb"BODY\[\] \{\d+\}\r\n\Z", out[-1]):
				out += [literal, text]
			elif uid in self.rules.nil_body:
				out[-1] = LITERAL.sub(b"NIL", out[-1]) + text
				self.expunge_issued = True
			else:
				half = literal[:len(literal) // 2]
				out[-1] = LITERAL.sub(b"{%d}\r\n" % len(half), out[-1])
				out += [half, text]
		return out

	# From the client to the server

	async def from_client(self):
		while True:
			line = await read_line(self.client_reader)
			self.note("C:", line)
			words = line.split(None, 3)
			if len(words) < 2:
				self.server.write(line)
				continue
			tag, verb = words[0], words[1].upper().decode("latin1")
			if verb == "UID" and len(words) > 2:
				verb += " " + words[2].upper().decode("latin1")
			if not await self.command(tag, verb, line):
				return
			await self.server.drain()
			if verb == "LOGOUT":
				return

	async def command(self, tag, verb, line):
		"""Passes a command on, or its refusal; False: the connection is to end."""
		failure = self.rules.failure(verb, self.counts)
		if failure in ("BYE", "DROP"):
			if failure == "BYE":
				self.client.write(b"* BYE closing\r\n")
				await self.client.drain()
			self.server.close()
			return False
		if verb == "APPEND":
			await self.append(tag, line, failure)
			return True
		parts = await self.gather(line)
		text = b" ".join(re.sub(rb'"(\\.|[^"\\])*"', b'""', p).rstrip() for p in parts[::2])
		if failure is None:
			failure = self.refuse(verb, text)
		if failure is not None:
			self.replace(tag, failure)
			return True
		if verb == "ENABLE":
			parts = [self.enable(line)]
		# Dovecot takes LITERAL+ whatever we announce.
		self.server.writelines(LITERAL.sub(rb"\1{\2+}\r\n", p) if n % 2 == 0 else p
			for n, p in enumerate(parts))
		if verb in ("AUTHENTICATE", "IDLE"):
			await self.dialogue(tag)
		return True

	def refuse(self, verb, text):
		feature = self.rules.refusal(verb, text)
		return self.refused(feature, text) if feature else None

	@staticmethod
	def refused(feature, text):
		print("imapdown: the client used %s: %r" % (feature, text[:200]), file=sys.stderr, flush=True)
		return "BAD Unknown command or argument (%s)" % feature

	def replace(self, tag, answer):
		self.answers[tag] = answer
		self.server.write(tag + b" NOOP\r\n")

	def enable(self, line):
		"""A server ignores names that it does not know (RFC 5161)."""
		words = line.split()
		known = [w for w in words[2:] if not self.rules.off(w.upper().decode("latin1"))]
		return b" ".join(words[:2] + (known or [b"X-NONE"])) + b"\r\n"

	async def gather(self, line):
		"""A whole command; we ask for its literals ourselves."""
		parts = [line]
		while m := LITERAL.search(parts[-1]):
			if not m[3]:
				self.client.write(b"+ go on\r\n")
			parts += await read_literal(self.client_reader, parts[-1])
		return parts

	async def append(self, tag, line, failure):
		"""Passed on as it comes, so that the server itself takes or refuses the literal."""
		literal = LITERAL.search(line)
		if failure is None:
			failure = self.refuse_append(line)
		if failure is not None:
			await self.skip_literals(line)
			self.replace(tag, failure)
			return
		self.server.write(line)
		while literal:
			if not literal[3] and await self.wait(tag) == "end":
				return
			left = int(literal[2])
			while left > 0:
				data = await self.client_reader.read(min(left, 1 << 18))
				if not data:
					raise EOFError
				self.server.write(data)
				await self.server.drain()
				left -= len(data)
			line = await read_line(self.client_reader)
			literal = LITERAL.search(line)
			failure = self.refuse_append(line, "MULTIAPPEND") if literal else None
			if failure is not None:
				self.answers[tag] = failure
				self.server.write(b" refused\r\n")	# the server forgets what it has so far
				await self.skip_literals(line)
				return
			self.server.write(line)

	def refuse_append(self, line, feature=None):
		if feature in self.rules.gone:
			return self.refused(feature, line)
		return self.refuse("APPEND", re.sub(rb'"(\\.|[^"\\])*"', b'""', line))

	async def skip_literals(self, line):
		"""They come anyway, if they do not wait to be asked for."""
		while (literal := LITERAL.search(line)) and literal[3]:
			_, line = await read_literal(self.client_reader, line)

	async def dialogue(self, tag):
		"""AUTHENTICATE and IDLE: one line from the client for each continuation request."""
		while await self.wait(tag) == "+":
			self.server.write(await read_line(self.client_reader))

	async def wait(self, tag):
		self.waiting = tag
		await self.server.drain()
		event = await self.events.get()
		self.waiting = False
		return event


async def main():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	add = parser.add_argument
	add("-l", type=int, default=0, metavar="PORT")
	add("server", metavar="[HOST:]PORT")
	for name in ("--drop", "--keep", "--add"):
		add(name, default="", metavar="CAPS")
	for name in ("--fail", "--fail-total", "--sub"):
		add(name, action="append", default=[])
	for name in ("--nil-body", "--short-body"):
		add(name, action="append", type=int, default=[], metavar="UID")
	add("--log", type=argparse.FileType("a"))
	opt = parser.parse_args()
	rules = Rules(opt)
	host, _, port = ("127.0.0.1:" + opt.server).rpartition(":")
	host = host.split(":")[-1]

	async def on_client(reader, writer):
		try:
			await Connection(rules, opt.log, reader, writer).run(host, int(port))
		except OSError as e:
			print("imapdown: %s" % e, file=sys.stderr)
			writer.close()

	server = await asyncio.start_server(on_client, "127.0.0.1", opt.l, limit=LIMIT)
	print(server.sockets[0].getsockname()[1], flush=True)
	await server.serve_forever()


try:
	asyncio.run(main())
except KeyboardInterrupt:
	pass
