#!/usr/bin/python3
"""After a UIDVALIDITY change no body is fetched, and at most one descriptor a message; counted on the wire. SOAK=1: 50,000
messages, and what it costs is told."""
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from live import *

MANY = 50000 if os.environ.get("SOAK") else 3000
server = dovecot()


class Recorder:
	"""Passes on what comes for a port, and keeps it."""

	def __init__(self, target):
		self.target, self.down, self.up = target, [], []
		self.listener = socket.create_server(("127.0.0.1", 0))
		self.port = self.listener.getsockname()[1]
		self.threads = []
		threading.Thread(target=self.accept, daemon=True).start()

	def accept(self):
		while True:
			try:
				client, _ = self.listener.accept()
			except OSError:
				return
			far = socket.create_connection(("127.0.0.1", self.target))
			for source, to, kept in (client, far, self.up), (far, client, self.down):
				kept.append(bytearray())	# each connection's apart
				pair = source, to, kept[-1]
				thread = threading.Thread(target=self.pump, args=pair, daemon=True)
				thread.start()
				self.threads.append(thread)

	def pump(self, source, to, kept):
		try:
			while data := source.recv(1 << 18):
				kept += data
				to.sendall(data)
			to.shutdown(socket.SHUT_WR)
		except OSError:
			pass

	def stop(self):
		self.listener.close()
		for thread in self.threads:
			thread.join(5)
		return self


def fill(user, mailbox, n):
	"""Many mails of 3 KB, faster than APPEND."""
	uid, gid = map(int, server.owner.split(":"))
	root = "%s/mail/%s/mail" % (server.dir, user)
	folder = "%s/.%s" % (root, mailbox)
	for path in os.path.dirname(root), root, folder, *("%s/%s" % (folder, s) for s in ("cur", "new", "tmp")):
		os.makedirs(path, exist_ok=True)
		os.chown(path, uid, gid)
	for i in range(n):
		path = "%s/cur/%d.%d.x:2,%s" % (folder, 1300000000 + i // 3, i, "S" if i % 3 else "")
		write(path, b"Subject: %d\nMessage-ID: <%d@x>\n\n" % (i, i) + b"%060d\n" % i * 48)
		os.chown(path, uid, gid)
		os.utime(path, (1300000000 + i // 3,) * 2)


def counted(account):
	"""A sync. -> (commands, octets down, descriptors, bodies, seconds)"""
	wire = Recorder(server.port)
	account.set(port=wire.port)
	began = time.monotonic()
	run = account.sync(timeout=600)
	seconds = time.monotonic() - began
	account.set(port=server.port)
	wire.stop()
	is_(run.returncode, 0, "a counted run: " + run.stderr)
	up, down = b"".join(wire.up), b"".join(wire.down)
	commands = len(re.findall(rb"(?m)^a\d+ ", up))
	descriptors = len(re.findall(rb"(?m)^\* \d+ FETCH \([^\r]*INTERNALDATE", down))
	bodies = up.count(b"BODY.PEEK[]") + down.count(b"BODY[] ")
	diag("%d commands, %d octets down, %d descriptors, %d bodies asked for or sent, %.1f s" % (commands, len(down),
		descriptors, bodies, seconds))
	return commands, len(down), descriptors, bodies, seconds


for profile, port_of in ("all that Dovecot has", None), ("IMAP4rev1 alone", ["--keep", "IMAP4rev1"]):
	diag(profile)
	user = "full" if not port_of else "bare"
	fill(user, "big", MANY)
	c = server_client(server, user)
	is_(c.status("big", "MESSAGES")["MESSAGES"], MANY, "the server has them")
	account = Account(server.port, user=user, auth="PLAIN", tls="none", compress="no", mailboxes='{ "big" }',
		**({"avoid": '{ "CONDSTORE", "QRESYNC", "LIST-STATUS", "ESEARCH", "UIDPLUS" }'} if port_of else {}))
	first = counted(account)
	before = {row.number: os.stat(row.path).st_ino for row in account.ls("big").values()}
	is_(len(before), MANY, "all are here")
	server.adm("mailbox", "update", "-u", user, "--uid-validity", "77", "big")
	commands, octets, descriptors, bodies, seconds = counted(account)
	is_(bodies, 0, "no body is asked for")
	# What flew behind the EXAMINE that told the change, "n+1:*", is answered with the last message (Q29).
	ok(MANY <= descriptors <= MANY + 1, "one descriptor a message: %d" % descriptors)
	ok(octets < MANY * 260 + 20000, "%d octets, %d a message" % (octets, octets // MANY))
	ok(commands < 100 + MANY // 500, "%d commands" % commands)
	is_({row.number: os.stat(row.path).st_ino for row in account.ls("big").values()}, before, "numbers and files are the same")
	is_(account.sync().stderr, "", "then there is silence")
	c.logout()
done_testing()
