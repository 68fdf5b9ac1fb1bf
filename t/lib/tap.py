"""TAP for Python tests, with what they need around it.

	import os, sys
	sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
	from tap import *

	server = dovecot(max_connections=1)
	down, port = serve(LIB + "/imapdown.py", "--drop", "QRESYNC", server.port)
	run = mailtide("-c", WORK + "/conf", "sync")
	is_(run.returncode, 0, "sync succeeds")
	done_testing()

WORK is a fresh folder in the build tree, kept when something failed. What serve() and dovecot() have
started is ended at exit."""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIB = TOP + "/t/lib"
BUILD = os.path.join(TOP, os.environ.get("B") or "build")	# as "make B=..." says
BIN = BUILD + "/t/lib"
MAILTIDE = BUILD + "/mailtide"

os.makedirs(BUILD + "/t/tmp", exist_ok=True)
WORK = tempfile.mkdtemp(prefix=os.path.basename(sys.argv[0]) + ".", dir=BUILD + "/t/tmp")
os.chmod(WORK, 0o755)	# Dovecot runs as another user where the tests run as root

_run = _failed = 0
_done = False


def diag(*what):
	sys.stdout.flush()
	for line in " ".join(map(str, what)).splitlines():
		print("# " + line, file=sys.stderr)


def ok(good, name, *why):
	"""why is shown when it failed."""
	global _run, _failed
	_run += 1
	print("%sok %d - %s" % ("" if good else "not ", _run, name.replace("#", " ")), flush=True)
	if not good:
		_failed += 1
		diag("failed:", name, "(line %d)" % _caller_line())
		if why:
			diag(*why)
	return bool(good)


def _caller_line():
	frame = sys._getframe()
	while frame.f_back and frame.f_code.co_filename == __file__:
		frame = frame.f_back
	return frame.f_lineno


def is_(got, want, name):
	return ok(got == want, name, " got: %r\nwant: %r" % (got, want))


def like(text, pattern, name):
	return ok(re.search(pattern, text), name, " got: %r\nwant: /%s/" % (text, pattern))


def unlike(text, pattern, name):
	return ok(not re.search(pattern, text), name, "got: %r\nbut: /%s/" % (text, pattern))


def skip_all(why):
	global _done
	_done = True
	print("1..0 # SKIP " + why)
	sys.exit(0)


def done_testing():
	global _done
	_done = True
	print("1..%d" % _run, flush=True)
	sys.exit(_failed > 0)


def _tidy():
	if _done and not _failed:
		shutil.rmtree(WORK, ignore_errors=True)
	else:
		diag("what is left:", WORK)


atexit.register(_tidy)


def serve(*command):
	"""Starts a helper that prints its port. -> (process, port); stderr goes to process.errors (a
	path)."""
	command = [str(word) for word in command]
	errors = "%s/%s.%d.err" % (WORK, os.path.basename(command[0]), len(os.listdir(WORK)))
	with open(errors, "wb") as f:
		process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=f)
	process.errors = errors
	atexit.register(process.kill)
	port = process.stdout.readline()
	if not port:
		with open(errors) as f:
			diag(f.read())
		print("Bail out! %s did not start" % command[0])
		sys.exit(1)
	return process, int(port)


class Dovecot:
	"""A private Dovecot: .dir, .port, .imaps_port, .lmtp_port, .owner ("uid:gid"), .ca."""

	def __init__(self, **options):
		self.dir = tempfile.mkdtemp(prefix="dovecot.", dir=WORK)
		os.chmod(self.dir, 0o755)
		self.start(**options)
		atexit.register(self.do, "remove")

	def do(self, verb, *args):
		return subprocess.run([LIB + "/dovecot.sh", verb, self.dir, *args], check=True,
			capture_output=True, text=True).stdout

	def read(self, name):
		with open(self.dir + "/" + name) as f:
			return f.read().strip()

	def start(self, **options):
		"""Also starts it anew, with the same mail, on another port."""
		self.do("start", *["%s=%s" % pair for pair in options.items()])
		self.port, self.imaps_port = int(self.read("port")), int(self.read("imaps_port"))
		self.lmtp_port, self.owner = int(self.read("lmtp_port")), self.read("owner")
		self.ca = self.dir + "/ca/ca.pem"

	def stop(self):
		self.do("stop")

	def adm(self, *args):
		return self.do("adm", *args)

	def fill(self, user, n, *options):
		"""Sample mail for a user who has none yet. -> path of its manifest"""
		manifest = "%s/%s.manifest" % (WORK, user)
		subprocess.run([LIB + "/genmail.py", "-n", str(n), "--maildir", "%s/mail/%s/mail" %
			(self.dir, user), "--owner", self.owner, "--manifest", manifest, *options],
			check=True, stdout=subprocess.DEVNULL)
		return manifest


def dovecot(**options):
	return Dovecot(**options)


def mailtide(*args, **options):
	"""Runs the program. -> subprocess.CompletedProcess with text"""
	options = {"capture_output": True, "text": True, "timeout": 120, **options}
	return subprocess.run([MAILTIDE, *map(str, args)], **options)
