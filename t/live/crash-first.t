#!/usr/bin/python3
"""A first sync that is killed at each crash point, and at any time, is finished by the next run."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from crash import *

server = dovecot()
server.fill("ana", 60, "--folders", "5", "--small", "--hostile")
c = server_client(server)
c.append("Archive", mail(1, 1 << 20))
names = points(Account(server.port))
for name in "store.before-commit", "store.after-commit", "maildir.placed", "sync.after-batch":
	ok(name in names, "%s is passed" % name, names)


def dies_at(account, point):
	return account.sync(point=point).returncode == -signal.SIGKILL


for name in names:
	for n in OCCURRENCES:
		account, point = Account(server.port), "%s:%d" % (name, n)
		if not dies_at(account, point):
			ok(n > 1, "%s is passed less than %d times" % (name, n))
			break
		again = n == 2 and dies_at(account, point)	# also when that is finished
		no_faults(next_run(account, c), "killed at %s%s" % (point, ", twice" if again else ""))
		shutil.rmtree(account.dir)

seed = int(os.environ.get("SEED") or time.time())
random.seed(seed)
diag("SEED=%d" % seed)
for n in range(20):
	account = Account(server.port)
	run = account.start()
	time.sleep(random.uniform(0, .12))
	run.kill()
	run.communicate()
	no_faults(next_run(account, c), "killed at some time (%d)" % n)
	shutil.rmtree(account.dir)
done_testing()
