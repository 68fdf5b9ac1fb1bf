#!/usr/bin/python3
"""What becomes of actions that cannot be done (R4, R6, R7, R12, R13): each fails for itself and by the server's
words, the others go on, and nothing is lost or there twice."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from actions import *

THREE = {"INBOX": "1 2:\\Seen 3:work", "Box": ""}
cases = []


def case(title):
	"""The function gets a Dovecot row, and answers with what is wrong."""
	def add(function):
		cases.append((title, lambda: function(row)))
		return function
	return add


def expect(stage, said, states):
	"""states: {number: (state, pattern of the reason)}: the whole queue."""
	have = stage.queue()
	for number in sorted(set(have) | set(states)):
		state, reason = have.get(number, ("done", ""))
		want, pattern = states.get(number, ("done", ""))
		if state != want or not re.search(pattern, reason):
			stage.problems.append("action %d is %s (%s), not %s (%s)" % (number, state, reason, want, pattern))
		if want == "failed" and said is not None and not re.search(r"action %d \(\w+\) failed: .*%s" % (number, pattern), said):
			stage.problems.append("that action %d failed is not told: %s" % (number, said))


def agreed(stage, after, what, gone=()):
	"""All three sides."""
	stage.compare_server(after, what + ": server")
	stage.compare_sides(what, gone)


# The target is missing

def missing_target(row, policy, after, states, verb_lines, status=1):
	stage = Stage(row.site(), {"INBOX": "1 2:\\Seen 3:work", "Box": "", "Other": ""}, on_missing_mailbox=policy)
	stage.c.delete("Box")
	stage.origin.pop("Box")
	stage.add(*verb_lines)
	run, _ = stage.sync_without_bodies(wanted=(status,))
	expect(stage, run.stderr, states)
	agreed(stage, after, "after", gone=["Box"])
	return stage


LINES = ["append Box {L50} '\\Seen'", "copy INBOX {1} Box", "move INBOX {2} Box", "flag INBOX {3} '+\\Flagged'"]


@case("target missing: create")
def _(row):
	stage = missing_target(row, "create", {"INBOX": "1 3:work,\\Flagged", "Box": "50:\\Seen 1 2:\\Seen"}, {}, LINES, 0)
	stage.nothing_more()
	return stage.problems


@case("target missing: use another")
def _(row):
	stage = missing_target(row, "use Other", {"INBOX": "1 3:work,\\Flagged", "Other": "50:\\Seen 1 2:\\Seen"}, {}, LINES, 0)
	return stage.problems


@case("target missing: use another, and go on with what came there")
def _(row):
	stage = missing_target(row, "use Other", {"INBOX": "2:\\Seen 3:work", "Sent": "50:\\Seen", "Other": "1:kw"}, {},
		["append Box {L50}", "flag Box @1 '+\\Seen'", "move Box @1 Sent", "move INBOX {1} Box", "flag Box {m1} +kw",
		"append Box {L51}", "expunge Box @6"], 0)
	return stage.problems


@case("target missing: use another, and a message with the same UID there")
def _(row):
	site = row.site()
	stage = Stage(site, {"INBOX": "1 2", "Box": "5 6", "Other": "7"}, on_missing_mailbox="use Other")
	stage.c.delete("Box")
	stage.origin.pop("Box")
	stage.c.create("Third")
	stage.add("move INBOX {1} Box", "copy Box {m1} Sent", "expunge Box {m1}")
	run = stage.sync(wanted=(0, 1))
	agreed(stage, {"INBOX": "2", "Other": "7", "Sent": "1", "Third": ""}, "after", gone=["Box"])
	return stage.problems


@case("target missing: skip")
def _(row):
	stage = missing_target(row, "skip", {"INBOX": "1 2:\\Seen 3:work,\\Flagged"},
		{1: ("failed", "missing"), 2: ("failed", "missing"), 3: ("failed", "missing")}, LINES)
	stage.compare_maildir({"INBOX": "1 2:\\Seen 3:work,\\Flagged"}, "Maildir after")
	stage.account.set(on_missing_mailbox=None)
	retry(stage)
	agreed(stage, {"INBOX": "1 3:work,\\Flagged", "Box": "50:\\Seen 1 2:\\Seen"}, "after retry")
	return stage.problems


@case("target missing: abort")
def _(row):
	stage = Stage(row.site(), {"INBOX": "1 2:\\Seen 3:work", "Box": ""}, on_missing_mailbox="abort")
	stage.c.delete("Box")
	stage.origin.pop("Box")
	stage.add(*LINES)
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "missing"), 2: ("waiting", ""), 3: ("waiting", ""), 4: ("waiting", "")})
	stage.compare_server({}, "nothing was done")
	stage.account.set(on_missing_mailbox=None)
	retry(stage)
	agreed(stage, {"INBOX": "1 3:work,\\Flagged", "Box": "50:\\Seen 1 2:\\Seen"}, "after retry")
	return stage.problems


def retry(stage, *numbers, wanted=(0,)):
	run = stage.account.run("queue", "retry", stage.account.name, *numbers)
	if run.returncode:
		stage.problems.append("retry: status %d: %s" % (run.returncode, run.stderr))
	return stage.sync("sync after retry", wanted)


# The source is missing, or the message

@case("source missing: skip")
def _(row):
	stage = Stage(row.site(), {"INBOX": "1", "Box": "2 3:\\Seen 4"})
	stage.c.delete("Box")
	stage.origin.pop("Box")
	stage.add("flag Box {2} '+\\Seen'", "copy Box {3} INBOX", "move Box {4} INBOX", "flag INBOX {1} +kw")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "cannot be opened"), 2: ("failed", "cannot be opened"), 3: ("failed", "cannot be opened")})
	agreed(stage, {"INBOX": "1:kw"}, "after", gone=["Box"])
	return stage.problems


@case("source missing: abort")
def _(row):
	stage = Stage(row.site(), {"INBOX": "1", "Box": "2 3:\\Seen 4"}, on_missing_source="abort")
	stage.c.delete("Box")
	stage.origin.pop("Box")
	stage.add("copy Box {3} INBOX", "flag INBOX {1} +kw")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "cannot be opened"), 2: ("waiting", "")})
	stage.compare_server({}, "nothing was done")
	stage.sync("next")
	expect(stage, None, {1: ("failed", "cannot be opened")})
	agreed(stage, {"INBOX": "1:kw"}, "next", gone=["Box"])
	return stage.problems


def gone(row, policy):
	stage = Stage(row.site(), dict(THREE, INBOX="1 2:\\Seen 3:work 4 5"), on_message_gone=policy)
	stage.c.select("INBOX")
	stage.c.expunge("%d:%d" % (stage.uid[1], stage.uid[4]))
	stage.c.ok("UNSELECT")
	stage.add("flag INBOX {1} '+\\Flagged'", "copy INBOX {2},{5} Box", "move INBOX {3},{5} Box", "expunge INBOX {4}")
	return stage


@case("message gone: skip")
def _(row):
	stage = gone(row, "skip")
	run = stage.sync(wanted=(0, 1))
	expect(stage, run.stderr, {})
	agreed(stage, {"INBOX": "", "Box": "5 5"}, "after")
	stage.compare_maildir({"INBOX": "", "Box": "5 5"}, "Maildir")
	return stage.problems


@case("message gone: abort")
def _(row):
	stage = gone(row, "abort")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {2: ("failed", "gone"), 3: ("waiting", "")})
	stage.compare_server({"INBOX": "5", "Box": "5"}, "the replay has ended")
	stage.sync("next", wanted=(0, 1))
	expect(stage, None, {2: ("failed", "gone"), 3: ("failed", "gone")})
	stage.compare_server({"INBOX": "", "Box": "5 5"}, "server")
	stage.compare_sides()
	return stage.problems


@case("message gone: upload")
def _(row):
	stage = gone(row, "upload")
	run, _ = stage.sync_without_bodies()
	expect(stage, run.stderr, {})
	agreed(stage, {"INBOX": "", "Box": "2:\\Seen 3:work 5 5"}, "after")
	stage.compare_maildir({"INBOX": "", "Box": "2:\\Seen 3:work 5 5"}, "Maildir")
	stage.nothing_more()
	return stage.problems


@case("message gone, known by a pull before the replay")
def _(row):
	problems = []
	for policy, after in ("skip", "5 5"), ("upload", "2:\\Seen 3:work 5 5"):
		stage = gone(row, policy)
		stage.sync("pull", wanted=(0, 1), args=["--pull"])
		stage.sync_without_bodies(wanted=(0, 1))
		expect(stage, None, {})
		agreed(stage, {"INBOX": "", "Box": after}, policy)
		stage.nothing_more()
		problems += stage.problems
	return problems


# Full

def big(stage, n, size):
	path = "%s/big%d" % (stage.account.dir, n)
	write(path, mail(n, size).replace(b"\r\n", b"\n"))
	return path


@case("over quota: what does not fit fails, the rest arrives once")
def _(row):
	stage = Stage(row.site(tiny=True), THREE)
	stage.add("append Box {L50}", "append Box %s" % big(stage, 300, 90000), "append Box {L51} '\\Seen'",
		"append Box %s" % big(stage, 301, 200000), "append Box {L52}", "copy Box @4 INBOX", "flag INBOX {1} '+\\Seen'")
	run, commands, _ = stage.watched("sync", wanted=(1,))
	if len(re.findall(rb"APPEND Box ", commands)) > 7 or not re.search(rb"body 50\r\n [^\r]*\{", commands):
		stage.problems.append("they do not go together: %d commands" % len(re.findall(rb"APPEND Box ", commands)))
	expect(stage, run.stderr, {4: ("failed", "[Qq]uota"), 6: ("failed", "action 4, which it needs, failed")})
	numbers = sorted(stage.messages_of_server()["Box"].elements(), key=str)
	have = sorted(str(n)[:8] for n, _, _ in numbers)
	want = sorted(str(x)[:8] for x in [50, 51, 52, sha256(mail(300, 90000).replace(b"\r\n", b"\n"))])
	if have != want:
		stage.problems.append("Box has %s, not %s" % (have, want))
	stage.compare_sides()
	stage.c.select("Box")
	stage.c.expunge("1:*")
	stage.c.ok("UNSELECT")
	retry(stage, wanted=(1,))	# larger than the whole of it
	expect(stage, None, {4: ("failed", "[Qq]uota"), 6: ("failed", "")})
	run = stage.account.run("queue", "drop", stage.account.name, "4", "6")
	if run.returncode:
		stage.problems.append("drop: %s" % run.stderr)
	stage.nothing_more("after the drop")
	stage.compare_sides("after the drop")
	return stage.problems


@case("over quota: copies")
def _(row):
	site = row.site(tiny=True)
	stage = Stage(site, THREE)
	stage.add("append INBOX %s" % big(stage, 300, 60000))
	stage.sync()
	number = next(r.number for n, r in stage.rows() if n is None)
	stage.add("copy INBOX %s,{1} Box" % number, "move INBOX {2} Box", "copy INBOX {3} Box")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {2: ("failed", "[Qq]uota")})
	stage.compare_sides("after")
	box = stage.messages_of_server()["Box"]
	if box != Shape.parse("1 2:\\Seen 3:work"):
		stage.problems.append("Box has %s" % told(box))
	return stage.problems


# Read-only, and keywords that are not kept

@case("read-only: flags stay here, are told once, and nothing else is done")
def _(row):
	site = row.site()
	stage = Stage(site, {"INBOX": "1", "Box": "2 3:\\Seen 4"})
	row.server.adm("acl", "set", "-u", site.user, "Box", "owner", "lookup", "read")
	stage.add("flag Box {2} '+\\Flagged'", "move Box {3} INBOX", "expunge Box {4}", "copy Box {2} INBOX", "append Box {L50}")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("local", "read-only"), 2: ("failed", "read-only"), 3: ("failed", "read-only"), 5: ("failed", "")})
	stage.compare_server({"INBOX": "1 2", "Box": "2 3:\\Seen 4"})
	if run.stderr.count("stays here") != 1:
		stage.problems.append("told: %s" % run.stderr)
	stage.compare_maildir({"INBOX": "1 2", "Box": "2:\\Flagged 3:\\Seen 4"}, "Maildir")
	run = stage.sync("second", (0, 1))
	if run.stderr:
		stage.problems.append("told again: %s" % run.stderr)
	stage.compare_maildir({"INBOX": "1 2", "Box": "2:\\Flagged 3:\\Seen 4"}, "Maildir later")
	return stage.problems


def serve_down(*options):
	with starting:
		return serve(LIB + "/imapdown.py", *options, row.server.port)


@case("PERMANENTFLAGS without \\*: the keyword stays here, the rest is sent")
def _(row):
	site = row.site()
	_, site.read_through = serve_down("--sub", r"(PERMANENTFLAGS \([^)]*)\\\*\)=>\1)")
	stage = Stage(site, {"INBOX": "1:old 2", "Box": ""})
	stage.add("flag INBOX {1} '+\\Flagged' +new '-old'", "flag INBOX {2} +other", "append Box {L50} '\\Seen' fresh")
	run = stage.sync(wanted=(0, 1))
	expect(stage, run.stderr, {1: ("local", "does not keep"), 2: ("local", "does not keep")})
	server = stage.messages_of_server()
	if server["INBOX"] != Shape.parse("1:\\Flagged 2"):
		stage.problems.append("INBOX has %s" % told(server["INBOX"]))
	run = stage.sync("second", (0, 1))
	if run.stderr:
		stage.problems.append("told again: %s" % run.stderr)
	return stage.problems


# UIDVALIDITY

@case("UIDVALIDITY changed: what names UIDs fails, uploads go on, retry works")
def _(row):
	site = row.site()
	stage = Stage(site, {"INBOX": "1", "Box": "2 3:\\Seen 4 5"})
	stage.add("flag Box {2} '+\\Flagged'", "move Box {3} INBOX", "expunge Box {4}", "append Box {L50} '\\Seen'", "copy INBOX {1} Box",
		"copy Box {5} INBOX", "flag INBOX {1} +kw")
	site.uidvalidity("Box")
	run = stage.sync(wanted=(1,))
	stage.compare_server({"INBOX": "1:kw", "Box": "2 3:\\Seen 4 5 50:\\Seen 1"})
	expect(stage, run.stderr, {n: ("failed", "UIDVALIDITY") for n in (1, 2, 3, 6)})
	stage.compare_maildir({"INBOX": "1:kw", "Box": "2 3:\\Seen 4 5 50:\\Seen 1"}, "Maildir")
	stage.sync("second", (0, 1))
	stage.compare_sides("second")
	stage.sync_without_bodies("third", wanted=(0, 1))
	retry(stage)
	expect(stage, None, {})
	agreed(stage, {"INBOX": "1:kw 3:\\Seen 5", "Box": "2:\\Flagged 5 50:\\Seen 1"}, "after retry")
	stage.nothing_more()
	return stage.problems


# Poison

def poison(answer, fails):
	@case("a message that is refused for ever: %s" % answer)
	def _(row):
		site = row.site()
		stage = Stage(site, THREE)
		# The first upload of each connection, alone or with others.
		down, site.read_through = serve_down("--fail", "APPEND:1:" + answer)
		stage.account.set(port=site.port)
		stage.add("append Box {L50}", "flag INBOX {1} '+\\Seen'", "move INBOX {2} Box", "append Sent {L51}", "copy INBOX {3} Box",
			"flag Box @1 +kw", "move Box @1 INBOX")
		for n in range(6):
			run = stage.sync("run %d" % n, wanted=(0, 1, 75))
		expect(stage, None, fails)
		stage.compare_server({"INBOX": "1:\\Seen 3:work", "Box": "2:\\Seen 3:work", "Sent": "51"})
		stage.compare_sides()
		site.read_through = None
		stage.account.set(port=site.port)
		retry(stage, "1")
		expect(stage, None, {})
		agreed(stage, {"INBOX": "1:\\Seen 3:work 50:kw", "Box": "2:\\Seen 3:work", "Sent": "51"}, "after retry")
		return stage.problems


NEEDS = ("failed", "action 1, which it needs, failed")
poison("BAD nonsense", {1: ("failed", "nonsense"), 6: NEEDS, 7: NEEDS})
poison("NO it is not wanted", {1: ("failed", "not wanted"), 6: NEEDS, 7: NEEDS})
poison("NO [TOOBIG] it is too large", {1: ("failed", "too large"), 6: NEEDS, 7: NEEDS})


@case("APPENDLIMIT: what is larger is not sent")
def _(row):
	site = row.site()
	down, site.read_through = serve_down("--add", "APPENDLIMIT=1000")
	stage = Stage(site, THREE)
	# It was queued before the server told: else it is refused at once
	subprocess.run([BIN + "/store_set", stage.account.state, "fact", "server.append-limit", "0"], check=True)
	stage.add("append Box {L50}", "append Box %s" % big(stage, 300, 2000), "append Box {L51}")
	run, commands = stage.sync_without_bodies(wanted=(1,))
	expect(stage, run.stderr, {2: ("failed", "at most 1000")})
	agreed(stage, {"Box": "50 51"}, "after")
	if b"message 300" in commands:
		stage.problems.append("it was sent")
	return stage.problems


# Retry, drop, edit

@case("retry, drop and edit of what failed")
def _(row):
	site = row.site()
	stage = Stage(site, THREE)
	down, site.read_through = serve_down("--fail", "UID COPY:*:NO no copies today", "--fail", "UID MOVE:*:NO no moves today")
	stage.account.set(port=site.port)
	stage.add("copy INBOX {1} Box", "move INBOX {2} Box", "flag Box {m2} '+\\Flagged'", "copy INBOX {3} Box", "move INBOX {3} Box")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "no copies today"), 2: ("failed", "no (moves|copies) today"), 3: ("failed", "action 2, which it needs"),
		4: ("failed", "no copies"), 5: ("failed", "no (moves|copies)")})
	agreed(stage, {}, "after")
	stage.compare_maildir(THREE, "Maildir after")
	site.read_through = None
	stage.account.set(port=site.port)
	run = stage.account.run("queue", "drop", stage.account.name, "4")
	if run.returncode:
		stage.problems.append("drop: %s" % run.stderr)
	editor = stage.account.dir + "/editor"
	write(editor, '#!/bin/sh\nsed -i "/^5\t/s/to=Box/to=Sent/" "$1"\n')
	os.chmod(editor, 0o755)
	run = stage.account.run("queue", "edit", stage.account.name, env={**os.environ, "VISUAL": editor, "EDITOR": editor})
	if run.returncode:
		stage.problems.append("edit: %s" % run.stderr)
	retry(stage)
	expect(stage, None, {})
	agreed(stage, {"INBOX": "1", "Box": "1 2:\\Seen,\\Flagged", "Sent": "3:work"}, "after retry")
	stage.nothing_more()
	return stage.problems


@case("drop of what waits: the Maildir is as it was")
def _(row):
	stage = Stage(row.site(), THREE)
	before = stage.messages_of_maildir()
	stage.add("append Box {L50}", "copy INBOX {1} Box", "move INBOX {2} Box", "expunge INBOX {3}", "flag INBOX {1} '+\\Flagged'")
	run = stage.account.run("queue", "drop", stage.account.name, "1", "2", "3", "4", "5")
	if run.returncode:
		stage.problems.append("drop: %s" % run.stderr)
	if stage.messages_of_maildir() != before:
		stage.problems.append("Maildir: %s, was %s" % (dict(stage.messages_of_maildir()), dict(before)))
	expect(stage, None, {})
	stage.nothing_more()
	agreed(stage, {}, "after")
	return stage.problems


# Deleting

@case("delete of a mailbox with mail that was not seen")
def _(row):
	stage = Stage(row.site(), {"INBOX": "1", "Box": "2"})
	stage.add("delete Box")
	stage.put("Box", 9)
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "new mail")})
	agreed(stage, {"Box": "2 9"}, "after")
	run = stage.account.run("queue", "drop", stage.account.name, "1")
	stage.add("delete Box --force")
	stage.put("Box", 10)
	stage.sync("forced")
	agreed(stage, {"Box": None}, "forced", gone=["Box"])
	return stage.problems


@case("delete of a mailbox that another client has deleted")
def _(row):
	stage = Stage(row.site(), {"INBOX": "1", "Box": "2"})
	stage.add("delete Box")
	stage.c.delete("Box")
	stage.sync()
	expect(stage, None, {})
	agreed(stage, {"Box": None}, "after", gone=["Box"])
	return stage.problems


@case("delete of another mailbox of that name")
def _(row):
	stage = Stage(row.site(), {"INBOX": "1", "Box": "2"})
	stage.add("delete Box")
	stage.site.uidvalidity("Box")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "another mailbox")})
	agreed(stage, {}, "after")
	return stage.problems


# Expunging

def expunging(title, options, emulation=None, refused=False):
	@case("expunge removes what was named, and nothing else: " + title)
	def _(row):
		site = row.site()
		if options:
			down, site.read_through = serve_down(*options)
		site.skips = "--keep" not in options
		stage = Stage(site, {"INBOX": "1 2:\\Deleted 3 4:\\Deleted,\\Seen 5 6:\\Deleted", "Box": ""}, expunge_emulation=emulation)
		stage.add("expunge INBOX {1},{6}", "move INBOX {3} Box")
		run = stage.sync(wanted=(1,) if refused else (0,))
		if refused:
			expect(stage, run.stderr, {1: ("failed", "UIDPLUS")})
			# The copy counts.
			stage.compare_server({"Box": "3"}) if "MOVE" in " ".join(options) else stage.compare_server(
				{"INBOX": "1 2:\\Deleted 4:\\Deleted,\\Seen 5 6:\\Deleted", "Box": "3"})
		else:
			expect(stage, run.stderr, {})
			stage.compare_server({"INBOX": "2:\\Deleted 4:\\Deleted,\\Seen 5", "Box": "3"})
		stage.compare_sides()
		stage.nothing_more()
		if options:
			stage.problems += read(down.errors).decode(errors="replace").splitlines()
		return stage.problems


expunging("UIDPLUS", [])
expunging("without UIDPLUS", ["--drop", "UIDPLUS"])
expunging("without UIDPLUS and MOVE", ["--drop", "UIDPLUS,MOVE"])
expunging("without any extension", ["--keep", "IMAP4rev1"])
expunging("without UIDPLUS, expunge-emulation = no", ["--drop", "UIDPLUS"], "no", True)
expunging("without UIDPLUS and MOVE, expunge-emulation = no", ["--drop", "UIDPLUS,MOVE"], "no", True)


@case("UID EXPUNGE refused: never EXPUNGE")
def _(row):
	site = row.site()
	down, site.read_through = serve_down("--fail", "UID EXPUNGE:*:NO not today")
	stage = Stage(site, {"INBOX": "1 2:\\Deleted 3"})
	stage.add("expunge INBOX {1}")
	run = stage.sync(wanted=(1,))
	expect(stage, run.stderr, {1: ("failed", "not today")})
	if sum(stage.messages_of_server()["INBOX"].values()) != 3:
		stage.problems.append("INBOX has %s" % told(stage.messages_of_server()["INBOX"]))
	stage.compare_sides()
	return stage.problems


row = DovecotRow("Dovecot maildir")
row.start()
if len(sys.argv) > 1:
	cases = [c for c in cases if re.search(sys.argv[1], c[0])]
all_of(cases)
done_testing()
