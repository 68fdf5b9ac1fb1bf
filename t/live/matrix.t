#!/usr/bin/python3
"""Every server in every situation. Ends with the table, also in build/matrix.txt. MATRIX='Cyrus,no UIDPLUS'
runs these rows only, MATRIX_COLUMNS=replay these columns. What is not here is left out: "t/deps servers" fetches it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import concurrent.futures
import time
import traceback

from matrix_scenarios import *
import tap


def cell(row, name, scenario):
	"""-> ("ok" | "-" | "FAIL", why)"""
	try:
		problems = scenario(row)
	except Skip as e:
		return "-", str(e)
	except Exception:
		problems = [traceback.format_exc(limit=-4)]
	return ("FAIL", "\n".join(problems)) if problems else ("ok", "")


def whole(row):
	"""-> (cells, seconds)"""
	began = time.monotonic()
	try:
		row.start()
	except Missing as e:
		return {name: ("-", str(e)) for name, _ in COLUMNS}, 0
	cells = {}
	for name, scenario in COLUMNS:
		if cells.get("first sync", ("",))[0] == "FAIL" and name in ("changes", "no change"):
			cells[name] = "FAIL", "the first sync failed"
		else:
			cells[name] = cell(row, name, scenario)
	faults = getattr(row, "faults", list)()
	if faults:
		cells["as announced"] = "FAIL", "\n".join(faults[:10])
	row.stop()
	return cells, time.monotonic() - began


def tell(row, cells):
	for name, (state, why) in cells.items():
		title = "%s: %s" % (row.name, name)
		if state == "-":
			tap._run += 1
			print("ok %d - %s # SKIP %s" % (tap._run, title, why), flush=True)
		else:
			ok(state == "ok", title, why)


def table(results):
	names = [name for name, _ in COLUMNS]
	lines = ["%-17s" % "" + "  ".join(names)]
	for row, (cells, seconds) in results:
		lines.append("%-17s" % row.name + "  ".join(cells[n][0].center(len(n)) for n in names) + " %5.1f s" % seconds)
	reasons = {}
	for row, (cells, _) in results:
		for name, (state, why) in cells.items():
			if state == "-":
				reasons.setdefault((why, name), []).append(row.name)
	merged = {}
	for (why, name), some in reasons.items():
		merged.setdefault((why, ", ".join(some)), []).append(name)
	lines += ["-  %s: %s: %s" % (some, ", ".join(names) if len(names) < len(COLUMNS) else "all", why)
		for (why, some), names in merged.items()]
	return "\n".join(lines)


chosen = os.environ.get("MATRIX")
if os.environ.get("MATRIX_COLUMNS"):
	COLUMNS[:] = [c for c in COLUMNS if c[0] in os.environ["MATRIX_COLUMNS"].split(",")]
every = [row for row in rows() if not chosen or row.name in chosen.split(",")]
results = []
# They wait more than they work.
with concurrent.futures.ThreadPoolExecutor(8) as pool:
	for row, result in zip(every, pool.map(whole, every)):
		tell(row, result[0])
		results.append((row, result))
text = table(results)
diag(text)
write(BUILD + "/matrix.txt", text + "\n")
done_testing()
