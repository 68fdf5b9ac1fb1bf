#!/usr/bin/env python3
"""QUIRKS.md is true: each quirk from 1 to 92 stands there once, in order, with tests that are there and cite its number
(Q29), or with the reason why it needs none; what is tested is cited in lib/ or cmd/, too. A check that finds nothing may be one
that does not work, so each kind of fault is also planted and has to be found."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tap import TOP, done_testing, ok

QUIRKS = 92


def read(path):
	try:
		with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as f:
			return f.read()
	except OSError:
		return None


def code():
	"""The text of all that is built into the program."""
	found = []
	for top in "lib", "cmd":
		for folder, _, names in os.walk(os.path.join(TOP, top)):
			found += [os.path.join(folder, name) for name in names if name.endswith((".c", ".h"))]
	return "".join(read(path) for path in found)


def cites(text, number):
	return re.search(r"\bQ%d\b" % number, text) is not None


def path_of(name):
	return "t/%s" % name if "/" in name else "t/wire/%s.wire" % name


def faults_of_row(number, quirk, tests, reason, sources):
	names = tests.split()
	if not quirk:
		yield "Q%d: does not say what happens" % number
	if not tests and not reason:
		yield "Q%d: has neither a test nor a reason" % number
	for name in names:
		text = read(path_of(name))
		if text is None:
			yield "Q%d: there is no %s" % (number, path_of(name))
		elif not cites(text, number):
			yield "Q%d: %s does not cite it" % (number, path_of(name))
	if names and not cites(sources, number):
		yield "Q%d: no code cites it" % number


def faults(text, sources):
	"""What is wrong with the list."""
	numbers = []
	for line in text.splitlines():
		cells = [cell.strip() for cell in line.split("|")[1:-1]]
		if not cells or not re.fullmatch(r"Q?\d+", cells[0]):
			continue
		if len(cells) != 4 or not cells[0].isdigit():
			yield "not a row: " + line
			continue
		numbers.append(int(cells[0]))
		yield from faults_of_row(numbers[-1], *cells[1:], sources)
	for number in range(1, QUIRKS + 1):
		if numbers.count(number) != 1:
			yield "Q%d: has %d rows" % (number, numbers.count(number))
	if numbers != sorted(numbers) or numbers and numbers[-1] > QUIRKS:
		yield "the rows are not in order, or there are more than %d" % QUIRKS


def row(number):
	return re.search(r"(?m)^\| %d \|.*$" % number, LIST)[0]


def planted(name, want, old, new):
	"""The list with `old` made `new`."""
	assert LIST.count(old) == 1, old
	found = list(faults(LIST.replace(old, new), CODE))
	good = any(re.search(want, fault) for fault in found)
	ok(good, "found: " + name, "found: %s" % found)


LIST, CODE = read("t/wire/QUIRKS.md"), code()
FOUND = list(faults(LIST, CODE))
ok(not FOUND, "the list is true", "\n".join(FOUND))
ok("Q29" in CODE, "there is code to look at")

planted("a row is missing", "Q29: has 0 rows", row(29) + "\n", "")
planted("a row stands twice", "Q29: has 2 rows", row(29), row(29) + "\n" + row(29))
planted("a row too many", "more than", row(92), row(92) + "\n| 93 | x | | y |")
planted("two rows are in each other's place", "not in order", row(29) + "\n" + row(30), row(30) + "\n" + row(29))
planted("no test and no reason", "Q29: has neither", row(29), "| 29 | x | | |")
planted("nothing said", "Q29: does not say", row(29), "| 29 | | | y |")
planted("a transcript that is not there", "Q29: there is no", row(29), "| 29 | x | no-such | |")
planted("a unit test that is not there", "Q29: there is no", row(29), "| 29 | x | unit/no_such.c | |")
planted("a test that cites another quirk", "Q2: .* does not cite", row(2), "| 2 | x | fetch-old-answered | |")
planted("a cell too many", "not a row", row(29), "| 29 | x | | y | z |")
ok(any("Q29: no code" in fault for fault in faults(LIST, CODE.replace("Q29", ""))), "found: no code cites it")
done_testing()
