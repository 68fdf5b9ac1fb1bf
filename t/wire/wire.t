#!/usr/bin/env python3
"""wire.t [-j N] [--split | --whole] [NAME...]: plays transcripts (NAME.wire, all by default) to mailtide.

Each is a script for t/lib/wire.py whose comments begin by telling what it shows, and why, with the
clauses and quirks (Q29). Lines that begin with "#:" tell how it is run and what must come out:

	#: runs 2			so often `mailtide sync` runs, each on the Maildir and store of the one before
	#: exit 75 0			exit status of each run, 0 unless told
	#: conf timeout = "2"		a line of the account, over those of CONF below
	#: args work/INBOX		of `sync`, in every run; "args 2 --push": in the second and those after it
	#: mail 4 work\\r\\nX: y		a file "4" in that folder, as a mail: body "mail 4" below, or what follows
	#: queue 2 flag INBOX 1 +\\Seen	added to the queue before the second run, all such lines together, as
					`queue add work -` reads them; the commands of `before` come first
	#: before 2 COMMAND		run by the shell before the second run, in the folder that holds mail/, state/ and conf;
					$MAILTIDE is the program
	#: later 2 90			from the second run on the clock is so many seconds ahead
	#: line 2 - - copy INBOX m1 to=x	after those, a line of a script, unchecked: words with \\t between them; "." is an
					empty field, ${DIR} that folder, and escapes are as in bodies
	#: queued 3 flag INBOX .*failed	a line of what `queue work` tells at the end (a regular expression), its TABs
					spaces. Those told are all that are there; "queued none"
	#: err 2 TEXT			the second run's stderr holds TEXT (a regular expression); without number: any run's
	#: no-err TEXT			no run's does
	#: has INBOX 1 \\Seen,work mail 1	at the end the mailbox holds this UID with these flags ("-": none) and
					body: "mail 1" is "Subject: 1, empty line, mail 1"; "none"; a text in quotes
					with \\r \\n \\xNN; sha256 HEX of the file
	#: has "a b"			a mailbox is known. Those named hold what is told and nothing else, and no
					Maildir file is left that is not told
	#: file Lists/%2E%2E/cur	exists in the Maildir
	#: memory 60			most resident megabytes of any run (not looked at under a sanitizer)
	#: slow 0.001			only octet by octet, with so many seconds between
	#: breaks			mailtide ends the connection somewhere: what the server then cannot send is no failure
	#: whole			not also with every octet in a segment of its own
	#: tls				wire.py gets a certificate; ${CA} in conf is its authority

$MAILTIDE is the program instead of build/mailtide."""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
import tap
from tap import BIN, LIB, TOP, WORK

PROGRAM = os.path.abspath(os.environ.get("MAILTIDE") or tap.MAILTIDE)
SANITIZED = "asan" in PROGRAM
LIMIT_S = 90 if SANITIZED else 45	# of a run
CONF = {
	"host": '"127.0.0.1"', "tls": '"none"', "user": '"ana"', "password-command": '"echo pass"',
	"auth": '"PLAIN"', "connections": '"1"', "compress": '"no"', "timeout": '"20"',
}
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\", '"': '"'}


def unescape(text):
	return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else
		ESCAPES.get(m[1], m[0]), text)


class Head:
	"""What the comments of a transcript ask for."""

	def __init__(self, path):
		self.path, self.name = path, os.path.basename(path)[:-len(".wire")]
		self.runs, self.exits, self.conf, self.args = 1, [], dict(CONF), {1: []}
		self.mails, self.queue, self.lines, self.queued = {}, {}, {}, None
		self.errors, self.no_errors, self.boxes, self.files = [], [], {}, []
		self.before, self.memory, self.whole, self.tls = {}, None, False, False
		self.slow, self.breaks, self.later = None, False, {}
		with open(path, encoding="utf-8", errors="surrogateescape") as f:
			for number, line in enumerate(f, 1):
				m = re.match(r"#:\s+([a-z-]+)\s*(.*?)\s*$", line)
				if not m:
					continue
				try:
					getattr(self, "on_" + m[1].replace("-", "_"))(m[2])
				except (AttributeError, ValueError, TypeError) as e:
					raise SystemExit("%s:%d: %s: %s" % (path, number, e, line))

	def on_runs(self, text):
		self.runs = int(text)

	def on_exit(self, text):
		self.exits = [int(word) for word in text.split()]

	def on_conf(self, text):
		key, value = re.match(r"([a-z-]+)\s*=\s*(.*)", text).groups()
		self.conf[key] = value

	def on_args(self, text):
		words = text.split()
		number = int(words.pop(0)) if words and words[0].isdigit() else 1
		self.args[number] = words

	def on_mail(self, text):
		name, _, body = text.partition(" ")
		self.mails[name] = unescape(body or "Subject: %s\\n\\nmail %s\\n" % (name, name))

	def on_queue(self, text):
		number, line = text.split(None, 1)
		self.queue.setdefault(int(number), []).append(line)

	def on_line(self, text):
		number, line = text.split(None, 1)
		fields = ["" if word == "." else unescape(word) for word in line.split(" ")]
		self.lines.setdefault(int(number), []).append("\t".join(fields) + "\n")

	def on_queued(self, text):
		self.queued = (self.queued or []) + ([] if text == "none" else [text])

	def on_before(self, text):
		number, command = text.split(None, 1)
		self.before[int(number)] = command

	def on_later(self, text):
		number, seconds = text.split()
		self.later[int(number)] = seconds

	def on_err(self, text):
		m = re.match(r"(?:(\d+)\s+)?(.*)", text)
		self.errors.append((int(m[1]) if m[1] else 0, m[2]))

	def on_no_err(self, text):
		self.no_errors.append(text)

	def on_file(self, text):
		self.files.append(text)

	def on_memory(self, text):
		self.memory = int(text)

	def on_whole(self, _):
		self.whole = True

	def on_slow(self, text):
		self.slow, self.whole = text, True

	def on_breaks(self, _):
		self.breaks = True

	def on_tls(self, _):
		self.tls = True

	def on_has(self, text):
		m = re.fullmatch(r'("(?:[^"\\]|\\.)*"|\S+)(?:\s+(\d+)\s+(\S+)\s+(.*))?', text)
		box = unescape(m[1][1:-1]) if m[1].startswith('"') else m[1]
		messages = self.boxes.setdefault(box, {})
		if m[2]:
			flags = frozenset() if m[3] == "-" else frozenset(m[3].split(","))
			messages[int(m[2])] = (flags, self.body(m[4]))

	@staticmethod
	def body(text):
		"""-> SHA-256 of the file, None: no file"""
		if text == "none":
			return None
		m = re.fullmatch(r"sha256 ([0-9a-f]{64})", text)
		if m:
			return m[1]
		m = re.fullmatch(r"mail (\S+)", text)
		if m:
			text = "Subject: %s\n\nmail %s\n" % (m[1], m[1])
		elif text.startswith('"') and text.endswith('"'):
			text = unescape(text[1:-1]).replace("\r\n", "\n")
		else:
			raise ValueError("no such body")
		return hashlib.sha256(text.encode("latin-1")).hexdigest()


class Test:
	def __init__(self, head, split):
		self.head, self.split = head, split
		self.name = head.name + (", octet by octet" if split else "")
		self.wrong, self.errors, self.said = [], [], []
		self.seconds = 0

	def run(self):
		begun = time.monotonic()
		self.dir = tempfile.mkdtemp(prefix=self.head.name + ".", dir=WORK)
		for name, text in self.head.mails.items():
			with open(os.path.join(self.dir, name), "w", encoding="latin-1", newline="") as f:
				f.write(text)
		self.serve()
		try:
			for number in range(1, self.head.runs + 1):
				self.sync(number)
			self.end_server()
		finally:
			if self.server.poll() is None:
				self.server.kill()
				self.server.wait()
		if not self.wrong:
			self.look()
		self.seconds = time.monotonic() - begun
		return self

	def fail(self, *what):
		self.wrong.append(" ".join(map(str, what)))

	def serve(self):
		command = [LIB + "/wire.py", "--timeout", "30" if SANITIZED else "15"]
		if self.split:
			command += ["--split", "1"]
		if self.head.slow:
			command += ["--split", "1", "--pause", self.head.slow]
		if self.head.tls:
			command += ["--tls", "%s/ca/server.pem,%s/ca/server.key" % (WORK, WORK)]
		self.server_errors = open(self.dir + "/wire.err", "w+b")
		self.server = subprocess.Popen(command + [self.head.path], stdout=subprocess.PIPE,
			stderr=self.server_errors)
		port = self.server.stdout.readline().strip().decode()
		with open(self.dir + "/conf", "w") as f:
			f.write('account "work" {\n\tport = "%s"\n' % port)
			f.write('\tmaildir = "%s/mail"\n\tstate = "%s/state"\n' % (self.dir, self.dir))
			for key, value in self.head.conf.items():
				f.write("\t%s = %s\n" % (key, value.replace("${CA}", WORK + "/ca/ca.pem")))
			f.write("}\n")
		os.chmod(self.dir + "/conf", 0o600)

	def mailtide(self, *args, errors=subprocess.PIPE, later=None, stdin=subprocess.DEVNULL):
		env = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1",
			"XDG_STATE_HOME": self.dir, "TZ": "UTC"}
		if later:
			env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
			env.update(LD_PRELOAD=BIN + "/time_preload.so", MAILTIDE_TEST_LATER=later)
		return subprocess.Popen([PROGRAM, "-c", self.dir + "/conf", *args], env=env,
			stdout=subprocess.PIPE, stderr=errors, stdin=stdin, cwd=self.dir)

	def sync(self, number):
		if number in self.head.before:
			subprocess.run(self.head.before[number], shell=True, cwd=self.dir, check=True,
				env={**os.environ, "MAILTIDE": PROGRAM})
		if number in self.head.queue:
			self.add_to_queue(number, "".join(line + "\n" for line in self.head.queue[number]))
		for line in self.head.lines.get(number, ()):
			with open(self.dir + "/state/actions", "a", encoding="latin-1", newline="\n") as f:
				f.write(line.replace("${DIR}", self.dir))
		with open("%s/run%d.err" % (self.dir, number), "w+b") as f:
			later = [self.head.later[n] for n in sorted(self.head.later) if n <= number]
			args = [self.head.args[n] for n in sorted(self.head.args) if n <= number][-1]
			process = self.mailtide("sync", *args, errors=f, later=later and later[-1])
			status = self.wait(process, number)
			process.stdout.close()
			f.seek(0)
			self.errors.append(f.read().decode("utf-8", "replace"))
		exits = self.head.exits
		want = exits[number - 1] if number <= len(exits) else 0
		if status is not None and status != want:
			self.fail("run %d: exit status %d, not %d" % (number, status, want))

	def add_to_queue(self, number, lines):
		process = self.mailtide("queue", "add", "work", "-", errors=subprocess.STDOUT, stdin=subprocess.PIPE)
		out = process.communicate(os.fsencode(lines))[0].decode("utf-8", "replace")
		if process.returncode != 0:
			self.fail("run %d: queue add says %d: %s" % (number, process.returncode, out))

	def wait(self, process, number):
		"""The exit status; the server's complaint ends the run at once. The largest memory is noted."""
		until = time.monotonic() + LIMIT_S
		while True:
			pid, status, usage = os.wait4(process.pid, os.WNOHANG)
			if pid:
				process.returncode = os.waitstatus_to_exitcode(status)
				break
			if self.server_failed() or time.monotonic() > until:
				if not self.server_failed():
					self.fail("run %d: does not end" % number)
				process.kill()
				process.wait()
				return None
			time.sleep(0.004)
		memory = usage.ru_maxrss // 1024
		if self.head.memory and memory > self.head.memory and not SANITIZED:
			self.fail("run %d: %d MB, not %d" % (number, memory, self.head.memory))
		return process.returncode

	def server_failed(self):
		return self.server.poll() and not self.head.breaks

	def end_server(self):
		"""It must have played all."""
		try:
			status = self.server.wait(3)
		except subprocess.TimeoutExpired:
			self.server.terminate()
			status = self.server.wait()
		if status and not self.head.breaks:
			self.server_errors.seek(0)
			self.fail(self.server_errors.read().decode("utf-8", "replace"))

	# What must have come out

	def look(self):
		for number, pattern in self.head.errors:
			text = self.errors[number - 1] if number else "".join(self.errors)
			if not re.search(pattern, text):
				self.fail("stderr lacks /%s/" % pattern)
		for pattern in self.head.no_errors:
			if re.search(pattern, "".join(self.errors)):
				self.fail("stderr holds /%s/" % pattern)
		if self.head.queued is not None:
			self.look_at_queue(list(self.head.queued))
		bodies = 0
		for box, messages in self.head.boxes.items():
			self.look_at_box(box, messages)
			bodies += sum(body is not None for _, body in messages.values())
		for path in self.head.files:
			if not os.path.exists(os.path.join(self.dir, "mail", path)):
				self.fail("there is no %s in" % path, self.tree())
		files = len([path for path in self.tree() if re.search(r"(^|/)(cur|new|tmp)/.", path)])
		if self.head.boxes and files != bodies:
			self.fail("%d Maildir files, not %d: %s" % (files, bodies, self.tree()))
		if self.head.boxes:
			check = self.mailtide("check", "work", errors=subprocess.STDOUT)
			text = check.communicate()[0].decode("utf-8", "replace")
			if check.returncode != 0:
				self.fail("check says %d: %s" % (check.returncode, text))

	def look_at_queue(self, patterns):
		out = self.mailtide("queue", "work", errors=subprocess.STDOUT).communicate()[0]
		lines = out.decode("utf-8", "replace").splitlines()
		for line in lines:
			found = next((p for p in patterns if re.search(p, line.replace("\t", " "))), None)
			if found is None:
				self.fail("the queue holds %r" % line)
			else:
				patterns.remove(found)
		for pattern in patterns:
			self.fail("the queue lacks /%s/: %s" % (pattern, lines))

	def tree(self):
		paths = []
		for folder, folders, files in os.walk(self.dir + "/mail"):
			paths += [os.path.relpath(os.path.join(folder, name), self.dir + "/mail")
				for name in files + folders]
		return sorted(paths)

	def look_at_box(self, box, want):
		ls = self.mailtide("ls", "work", box)
		out, errors = ls.communicate()
		if ls.returncode != 0:
			self.fail("ls of %r: %d: %s" % (box, ls.returncode, errors.decode()))
			return
		got = {}
		for line in out.decode("utf-8", "surrogateescape").splitlines():
			_, uid, flags, _, _, path = line.split("\t")
			got[int(uid)] = (frozenset(re.split(r"[ ,]+", flags.strip())) - {"", "-"}, self.hash(path))
		for uid in sorted(want.keys() | got.keys()):
			if want.get(uid) != got.get(uid):
				self.fail("%s UID %d: is %s, not %s" % (box, uid, got.get(uid), want.get(uid)))

	def hash(self, path):
		if path in ("", "-"):
			return None
		try:
			with open(os.path.join(self.dir, "mail", path), "rb") as f:
				return hashlib.sha256(f.read()).hexdigest()
		except OSError as e:
			return str(e)


def make_ca(heads):
	if any(head.tls for head in heads):
		os.mkdir(WORK + "/ca")
		subprocess.run([LIB + "/ca.sh", WORK + "/ca"], check=True, stdout=subprocess.DEVNULL)


def main():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument("-j", type=int, default=2 * (os.cpu_count() or 1))
	parser.add_argument("--split", action="store_true", help="only octet by octet, where that is done")
	parser.add_argument("--whole", action="store_true", help="never octet by octet")
	parser.add_argument("-t", action="store_true", help="tell the time of each")
	parser.add_argument("names", nargs="*")
	opt = parser.parse_args()
	names = [os.path.basename(name).removesuffix(".wire") for name in opt.names]
	paths = [os.path.join(HERE, name + ".wire") for name in names] or sorted(glob.glob(HERE + "/*.wire"))
	heads = [Head(path) for path in paths]
	if not os.access(PROGRAM, os.X_OK):
		raise SystemExit("there is no " + PROGRAM)
	make_ca(heads)
	tests = [Test(head, split) for head in heads for split in (False, True)
		if not (split and (head.whole or opt.whole)) and (split or head.whole or not opt.split)]
	with concurrent.futures.ThreadPoolExecutor(opt.j) as pool:
		for test in pool.map(Test.run, tests):
			if opt.t:
				test.name += " (%.2f s)" % test.seconds
			tap.ok(not test.wrong, test.name, "\n".join(test.wrong + test.errors + [test.dir]))
	tap.done_testing()


main()
