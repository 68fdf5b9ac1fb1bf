#!/usr/bin/python3
"""mode = "blind" (S11): the body of what is new since the last sync comes, whatever `bodies` says; max-size guards it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tap import *
from imapclient import Imap

server = dovecot()
c = Imap("127.0.0.1", server.port)
c.login("ana")
for i in range(3):
	c.append("INBOX", b"Subject: old %d\r\n\r\nold\r\n" % i)
with open(WORK + "/conf", "w") as f:
	f.write('account "work" {\n host = "127.0.0.1"\n port = %d\n tls = "none"\n user = "ana"\n'
		' password-command = "echo pass"\n maildir = "%s/mail"\n state = "%s/state"\n'
		' bodies = "none"\n max-size = "2K"\n large = "skip"\n mailbox "*" {\n mode = "blind"\n }\n}\n' % (server.port, WORK, WORK))


def sync():
	run = mailtide("-c", WORK + "/conf", "sync")
	is_((run.returncode, run.stderr), (0, ""), "sync")
	return sum(len(files) for folder, _, files in os.walk(WORK + "/mail")
		if os.path.basename(folder) in ("cur", "new"))


is_(sync(), 0, "a first sync brings no body: nothing is new yet")
c.append("INBOX", b"Subject: new\r\n\r\nnew\r\n")
c.append("INBOX", b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 50)
is_(sync(), 1, "then the new body comes, the large one does not")
is_(sync(), 1, "and no other")
done_testing()
