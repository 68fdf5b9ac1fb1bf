"""Kills runs, lets the next one finish, and compares with what the server says: an undisturbed run
ends there too (account-*.t)."""
import random
import shutil

from live import *

OCCURRENCES = (1, 2, 3, 5, 11, 30)


def points(account):
	"""The names of the crash points that a run passes."""
	path = "%s/points%d" % (WORK, len(os.listdir(WORK)))
	run = account.sync(points=path)
	is_((run.returncode, run.stderr), (0, ""), "an undisturbed run")
	return read(path).decode().split()


def faults_after(account, c, run, silent=True):
	"""What is wrong after the run that had to finish what a killed one left."""
	if run.returncode != 0 or silent and run.stderr:
		return ["next run: status %d, %r" % (run.returncode, run.stderr)]
	found = differences(account, c)
	check = account.run("check", account.name)
	if check.returncode != 0 or check.stderr:
		found.append("check: status %d: %s%s" % (check.returncode, check.stdout, check.stderr))
	return found


def no_faults(found, name):
	return ok(not found, name, "\n".join(found))


def next_run(account, c, silent=True):
	"""Also is the run after that one silent, and leaves all alone?"""
	found = faults_after(account, c, account.sync(), silent)
	before = account.snapshot()
	run = account.sync()
	if (run.returncode, run.stdout, run.stderr) != (0, "", ""):
		found.append("last run: %r" % (run,))
	if account.snapshot() != before:
		found.append("the last run touched files")
	return found
