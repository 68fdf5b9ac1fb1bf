#!/usr/bin/python3
"""Bad input, full disks, locks, signals: one clear line, the right exit status, nothing lost."""
import fcntl
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
server.fill("ana", 60, "--folders", "3", "--small")
c = server_client(server)
state = server_state(c)
root = os.geteuid() == 0


def says(run, status, pattern, name):
	ok(run.returncode == status and re.search(pattern, run.stderr) and run.stderr.count("\n") == 1, name,
		"status %d, not %d; %r; want one line, /%s/" % (run.returncode, status, run.stderr, pattern))


# Configuration
account = Account(server.port)
good = read(account.conf).decode()
for line, pattern in (("    hots = \"x\"\n", "hots"), ("    port = \"70000\"\n", "port"), ("    tls = \"maybe\"\n", "tls"),
		("    user = \"again\"\n", "user"), ("    # a comment\n\n    # \"another\n    bodies = \"some\"\n", "bodies"),
		("    host = \"unended\n", "."), ("    connections = \"0\"\n", "connections"), ("    }\n", ".")):
	write(account.conf, good.replace("}\n", line + "}\n"))
	run = account.sync()
	at = good.count("\n") - 1 + line.count("\n")
	says(run, 78, pattern, "refused: %s" % line.strip().splitlines()[-1])
	if pattern != ".":
		like(run.stderr, r"mailtide\.conf:%d:" % at, "with file and line")
os.unlink(account.conf)
says(account.sync(), 78, r"mailtide\.conf", "no configuration")
write(account.conf, good)
ok(account.sync("nobody").returncode in (64, 78), "an account that is not there")
ok(account.run("sink").returncode == 64, "a command that is not there")
ok(account.run("sync", "--sideways").returncode == 64, "an option that is not there")
write(account.conf, good.replace('password-command = "echo pass"', 'password = "pass"'))
os.chmod(account.conf, 0o644)
says(account.sync(), 78, r"(?i)others|chmod|read", "a password in a file that others may read")
os.chmod(account.conf, 0o600)
account.syncs("a password in a file that they may not")
secret = WORK + "/secret"
says(Account(server.port, password_command=None, password_file=secret).sync(), 78, "secret", "a secret that is not there")
write(secret, "pass\n")
for mode in 0o644, 0o640, 0o604:
	os.chmod(secret, mode)
	says(Account(server.port, password_command=None, password_file=secret).sync(), 78, "secret.*(others|chmod|read)", "mode %o" % mode)

# Network
with socket.socket() as s:
	s.bind(("127.0.0.1", 0))
	says(Account(s.getsockname()[1]).sync(), 75, r"(?i)refused|connect", "nobody listens")
	s.listen()
	started = time.time()
	says(Account(s.getsockname()[1], timeout="1").sync(), 75, r"(?i)greeting|answer|silent|time", "a server that says nothing")
	ok(time.time() - started < 12, "is not waited for", time.time() - started)
says(Account(143, host="no-such-host.invalid", tls="implicit").sync(), 78, r"no-such-host\.invalid", "a name that is not there")
for greeting, status in ((b"* BYE too busy\r\n", 75), (b"HTTP/1.1 400 Bad Request\r\n\r\n", 75), (b"220 smtp ready\r\n", 75),
		(b"* OK " + b"x" * 2000000, 75)):
	write(WORK + "/talk.py", "import socket,sys\ns=socket.create_server(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\n" \
		"while 1:\n c,_=s.accept(); c.sendall(%r); c.close()\n" % greeting)
	p, port = serve(sys.executable, WORK + "/talk.py")
	run = Account(port, timeout="2").sync()
	ok(run.returncode in (75, 78) and run.stderr.count("\n") == 1, "a greeting %r" % greeting[:30], run)
	p.kill()

# Locks
account = Account(server.port)
account.syncs("an account")
holder = os.open(account.state + "/lock", os.O_RDWR)
fcntl.flock(holder, fcntl.LOCK_EX)
run = account.sync()
is_(run.returncode, 75, "the lock is held")
like(run.stderr, "another mailtide", "and that is told")
unlike(run.stderr, r"process \)", "and nobody is named where nobody has a name")
for command in ("ls", "work", "INBOX"), ("status",):
	is_(account.run(*command).returncode, 0, "%s needs no lock" % command[0])
os.close(holder)
proxy = Proxy(server.port, "-d", "1500")
account.set(port=proxy.port)
first = account.start()
time.sleep(.5)
run = account.sync()
says(run, 75, r"\b%d\b" % first.pid, "the holder is named")
first.wait()
is_(first.returncode, 0, "and goes on")
account.set(port=server.port)
write(account.state + "/lock", "mailtide sync 999999\n")
account.syncs("a stale lock is no obstacle")

# Signals
for number in signal.SIGTERM, signal.SIGINT:
	account = Account(Proxy(server.port, "-d", "60").port)
	for n in range(3):
		run = account.start()
		time.sleep(.3 + .25 * n)
		started = time.time()
		run.send_signal(number)
		try:
			run.wait(10)
		except subprocess.TimeoutExpired:
			run.kill()
		ok(time.time() - started < 3, "%s: ends soon" % number.name, "%.1f s" % (time.time() - started))
		ok(run.wait() >= 0 or -run.returncode == number, "in order (%d)" % run.returncode)
		ok(not account.files("tmp"), "nothing in tmp") if os.path.exists(account.maildir) else None
	account.set(port=server.port)
	no_faults(next_run(account, c), "the next run completes it")

# Stores and Maildirs
account = Account(server.port)
account.syncs("an account")
other = Account(server.port)
other.syncs("another")
run = Account(server.port).set(maildir=other.maildir).sync()
says(run, 78, r"another store|belongs", "a Maildir of another store")
plain = Account(server.port)
os.makedirs(plain.maildir + "/cur")
write(plain.maildir + "/cur/1.x:2,S", "Subject: x\n\n")
says(plain.sync(), 78, r"(?i)not empty|adopt|mailtide", "a folder with somebody's mail in it")
is_(plain.files(), [plain.maildir + "/cur/1.x:2,S"], "is left alone")
says(Account(server.port, layout="maildir++").set(maildir=other.maildir, state=other.state).sync(), 78, r"(?i)layout", "another layout")
write(WORK + "/file", "")
says(Account(server.port).set(maildir=WORK + "/file").sync(), 78, r"file", "a Maildir that is a file")
says(Account(server.port).set(state=WORK + "/file").sync(), 78, r"file", "a state that is a file")
shutil.rmtree(other.state)
run = other.sync()
is_(run.returncode, 78, "the store is gone, the Maildir not: %s" % run.stderr.strip())
write(account.state + "/store/data.mdb", os.urandom(40000))
run = account.sync()
ok(run.returncode == 78 and run.stderr.count("\n") == 1, "a store that is none", run)

if not root:
	diag("not root: no read-only Maildir, no full disk")
else:
	def mount(path, *options):
		os.makedirs(path, exist_ok=True)
		done = subprocess.run(["mount", *options, path], capture_output=True)
		if done.returncode == 0:
			atexit.register(subprocess.run, ["umount", "-l", path])
		return done.returncode == 0

	import atexit
	account = Account(server.port)
	if not mount(account.maildir, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
		diag("no mount: no read-only Maildir, no full disk")
	else:
		subprocess.run(["mount", "-o", "remount,ro", account.maildir], check=True)
		says(account.sync(), 78, r"(?i)read-only|writ", "a read-only Maildir")
		subprocess.run(["mount", "-o", "remount,rw", account.maildir], check=True)
		account.syncs("writable again")
		same(account, c, "all is there", state=state)
		for part in "maildir", "state":
			account = Account(server.port)
			place = getattr(account, part)
			mount(place, "-t", "tmpfs", "-o", "size=260k", "tmpfs")
			for n in range(2):
				run = account.sync()
				says(run, 75, r"(?i)no space|full", "full disk under the %s" % part)
			subprocess.run(["mount", "-o", "remount,size=40m", place], check=True)
			no_faults(next_run(account, c), "with room again all is well")
			# Full at a resync
			subprocess.run("head -c 60000000 /dev/zero > '%s/ballast' 2>/dev/null" % place, shell=True)
			for n in range(4):
				c.append("INBOX", mail(n + 10 * (part == "state"), 1 << 20))	# a known body needs no room
			run = account.sync()
			says(run, 75, r"(?i)no space|full", "full disk under the %s, later" % part)
			os.unlink(place + "/ballast")
			no_faults(next_run(account, c), "with room again all is well")
c.logout()
done_testing()
