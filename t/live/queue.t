#!/usr/bin/python3
"""Every verb of the queue, alone and in chains, against Dovecot: the server has exactly what was asked for, the
Maildir shows it at once and agrees afterwards, nothing is fetched that we had, and the next sync has nothing to
do. What goes wrong is in queue-fail.t; other servers are in matrix.t."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from actions import *

S = Scenario
ALONE = [
	S("flag: system flags and keywords", ["flag INBOX {1} '+\\Seen' '+\\Flagged' +$Forwarded +taxes"],
		{"INBOX": "1:\\Seen,\\Flagged,$Forwarded,taxes 2:\\Seen 3:work"}),
	S("flag: takes away", ["flag INBOX {2},{3} '-\\Seen' -work"], {"INBOX": "1 2 3"}),
	S("flag: what is set already, and what is not there", ["flag INBOX {2} '+\\Seen' -nothing"], {}),
	S("flag: several messages, both ways", ["flag INBOX {1}:{3} '+\\Answered' '-\\Seen' +a.b-c_d"],
		{"INBOX": "1:\\Answered,a.b-c_d 2:\\Answered,a.b-c_d 3:\\Answered,work,a.b-c_d"}),
	S("flag: \\Deleted with on-deleted = flag", ["flag INBOX {1} '+\\Deleted'"],
		{"INBOX": "1:\\Deleted 2:\\Seen 3:work"}, on_deleted="flag"),
	S("flag: \\Deleted with on-deleted = expunge", ["flag INBOX {1} '+\\Deleted'"],
		{"INBOX": "2:\\Seen 3:work"}, on_deleted="expunge"),
	S("flag: \\Deleted with on-deleted = move NAME", ["flag INBOX {2} '+\\Deleted'"],
		{"INBOX": "1 3:work", "Bin": "2:\\Seen"}, on_deleted="move Bin"),
	S("flag: \\Deleted with on-deleted = move \\Trash", ["flag INBOX {2},{3} '+\\Deleted' '+\\Flagged'"],
		{"INBOX": "1", "Trash": "2:\\Seen,\\Flagged 3:work,\\Flagged"}, on_deleted="move \\\\Trash"),
	S("copy", ["copy INBOX {2},{3} Box"], {"Box": "2:\\Seen 3:work"}),
	S("copy into the same mailbox", ["copy INBOX {2} INBOX"], {"INBOX": "1 2:\\Seen 2:\\Seen 3:work"}),
	S("copy into a new mailbox", ["create 'New/Grüße & Co'", "copy INBOX {2} 'New/Grüße & Co'"],
		{"New/Grüße & Co": "2:\\Seen"}),
	S("move", ["move INBOX {2},{3} Box"], {"INBOX": "1", "Box": "2:\\Seen 3:work"}),
	S("move into a new mailbox", ["create Later", "move INBOX {2} Later"], {"INBOX": "1 3:work", "Later": "2:\\Seen"}),
	S("append", ["append Box {L50} '\\Seen' '\\Draft' kw"], {"Box": "50:\\Seen,\\Draft,kw"}),
	S("append: ten", ["append Box {L%d}" % n for n in range(50, 60)], {"Box": " ".join(map(str, range(50, 60)))}),
	S("append: the same letter twice", ["append Box {L50}", "append Box {L50}"], {"Box": "50 50"}),
	S("append: what is there already", ["append INBOX {L1}"], {"INBOX": "1 1 2:\\Seen 3:work"}),
	S("append into a new mailbox", ["create 'Out box/2026'", "append 'Out box/2026' {L50} '\\Seen'"],
		{"Out box/2026": "50:\\Seen"}),
	S("expunge", ["expunge INBOX {1},{3}"], {"INBOX": "2:\\Seen"}),
	S("expunge all", ["expunge INBOX {1}:{3}"], {"INBOX": ""}),
	S("create", ["create 'A/b c'"], {"A/b c": ""}),
	S("create what is there", ["create Box"], {}),
	S("delete", ["delete Box"], {"Box": None}, start={"INBOX": "1", "Box": "2 3"}, local={},
		gone=["Box"]),
	S("delete an empty one", ["delete Box"], {"Box": None}, gone=["Box"]),
	S("rename", ["rename Box 'B/öx'"], {"Box": None, "B/öx": "2 3:work"}, start={"INBOX": "1", "Box": "2 3:work"}, local={}),
	S("subscribe", ["subscribe Box"], {}, subscribed={"Box"}),
	S("subscribe and unsubscribe", ["subscribe Box", "subscribe INBOX", "unsubscribe Box"], {}, subscribed={"INBOX"}),
]

DRAFT = "append Drafts {L50} '\\Draft'"
CHAINS = [
	S("draft, flagged", [DRAFT, "flag Drafts @1 '+\\Seen' +later '-\\Draft'"], {"Drafts": "50:\\Seen,later"}),
	S("draft, copied", [DRAFT, "copy Drafts @1 Box"], {"Drafts": "50:\\Draft", "Box": "50:\\Draft"}),
	S("draft, moved", [DRAFT, "move Drafts @1 Sent"], {"Sent": "50:\\Draft"}),
	S("draft, moved, and moved again", [DRAFT, "move Drafts @1 Sent", "flag Sent @1 '+\\Seen'", "move Sent @1 Box"],
		{"Box": "50:\\Draft,\\Seen"}),
	S("draft, moved there and back", [DRAFT, "move Drafts @1 Sent", "move Sent @1 Drafts"], {"Drafts": "50:\\Draft"}),
	S("draft, expunged: never uploaded", [DRAFT, "expunge Drafts @1"], {}),
	S("draft, flagged and deleted: never uploaded", [DRAFT, "flag Drafts @1 '+\\Seen'", "flag Drafts @1 '+\\Deleted'"], {}),
	S("five versions of a draft, the last stays", [line for n in range(5) for line in
		["append Drafts {L%d} '\\Draft'" % (50 + n)] + ["expunge Drafts @%d" % (2 * n + 1)] * (n < 4)],
		{"Drafts": "54:\\Draft"}),
	S("draft, moved, then expunged", [DRAFT, "move Drafts @1 Box", "expunge Box @1"], {}),
	S("draft, copied, then expunged", [DRAFT, "copy Drafts @1 Box", "expunge Drafts @1"], {"Box": "50:\\Draft"}),
	S("moved, and moved again", ["move INBOX {2} Box", "move Box {m2} Sent"], {"INBOX": "1 3:work", "Sent": "2:\\Seen"}),
	S("moved there and back", ["move INBOX {2} Box", "move Box {m2} INBOX"], {}),
	S("flagged, moved, flagged", ["flag INBOX {2} +one", "move INBOX {2} Box", "flag Box {m2} '-\\Seen' +two"],
		{"INBOX": "1 3:work", "Box": "2:one,two"}),
	S("flagged after it was copied", ["copy INBOX {1} Box", "flag INBOX {1} '+\\Seen'"],
		{"INBOX": "1:\\Seen 2:\\Seen 3:work", "Box": "1"}),
	S("flagged before it is copied", ["flag INBOX {1} '+\\Flagged' +kw", "copy INBOX {1} Box"],
		{"INBOX": "1:\\Flagged,kw 2:\\Seen 3:work", "Box": "1:\\Flagged,kw"}),
	S("copied, then the source expunged", ["copy INBOX {2} Box", "expunge INBOX {2}"], {"INBOX": "1 3:work", "Box": "2:\\Seen"}),
	S("copied, then the source moved", ["copy INBOX {2} Box", "move INBOX {2} Sent"],
		{"INBOX": "1 3:work", "Box": "2:\\Seen", "Sent": "2:\\Seen"}),
	S("copied twice", ["copy INBOX {2} Box", "copy INBOX {2} Box"], {"Box": "2:\\Seen 2:\\Seen"}),
	S("copied to two places", ["copy INBOX {1},{2} Box", "copy INBOX {2},{3} Sent"], {"Box": "1 2:\\Seen", "Sent": "2:\\Seen 3:work"}),
	S("moved, then expunged", ["move INBOX {1},{2} Box", "expunge Box {m1}"], {"INBOX": "3:work", "Box": "2:\\Seen"}),
	S("moved, then expunged by its flag", ["move INBOX {1} Box", "flag Box {m1} '+\\Deleted'"], {"INBOX": "2:\\Seen 3:work"}),
	S("set and taken back", ["flag INBOX {1} '+\\Seen' +a", "flag INBOX {1} '-\\Seen'", "flag INBOX {1} +b -a", "flag INBOX {1} '+\\Seen'"],
		{"INBOX": "1:\\Seen,b 2:\\Seen 3:work"}),
	S("created, filed into, renamed", ["create Trip", "append Trip {L50} '\\Seen'", "rename Trip 'Trips/2026'"],
		{"Trips/2026": "50:\\Seen"}, local={"Trip": "50:\\Seen"}),
	S("created, moved into, flagged there", ["create Trip", "move INBOX {1},{2} Trip", "flag Trip {m1} +kw"],
		{"INBOX": "3:work", "Trip": "1:kw 2:\\Seen"}),
	S("renamed, then filed into by the new name", ["rename Box Kiste", "append Kiste {L50}", "move INBOX {2} Kiste"],
		{"Box": None, "INBOX": "1 3:work", "Kiste": "50 2:\\Seen"},
		local={"INBOX": "1 3:work", "Box": "50 2:\\Seen"}),
	S("renamed, and the old name made again", ["rename Box Old", "create Box", "append Box {L50}"],
		{"Old": "7", "Box": "50"}, start={"INBOX": "1", "Box": "7"}, local={"Box": "7", "Box%~2": "50"}),
	S("emptied, then deleted", ["move Box {7},{8} INBOX", "delete Box"],
		{"INBOX": "1 7 8:\\Seen", "Box": None}, start={"INBOX": "1", "Box": "7 8:\\Seen"}, local={"INBOX": "1 7 8:\\Seen", "Box": ""},
		gone=["Box"]),
	S("filed into, then deleted", ["append Box {L50}", "copy Box @1 INBOX", "delete Box"],
		{"INBOX": "1 50", "Box": None}, start={"INBOX": "1", "Box": "7"}, local={"INBOX": "1 50", "Box": "7 50"},
		gone=["Box"]),
	S("deleted, and made again", ["delete Box", "create Box", "append Box {L50}"],
		{"Box": "50"}, start={"INBOX": "1", "Box": "7"}, local={"Box": "7 50"}),
	S("created and deleted", ["create Once", "delete Once"], {}, local={}, gone=["Once"]),
	S("created, subscribed, renamed", ["create Once", "subscribe Once", "rename Once Twice"], {"Twice": ""}, local={},
		subscribed={"Once"}),
	S("many letters and moves among them", ["append Box {L%d} '\\Seen'" % n for n in range(50, 80)] +
		["move Box @%d Sent" % n for n in range(1, 31, 3)] + ["flag Box @%d +kw" % n for n in range(2, 31, 3)],
		{"Box": " ".join("%d:\\Seen%s" % (n, ",kw" * (n % 3 == 0)) for n in range(50, 80) if n % 3 != 2),
		"Sent": " ".join("%d:\\Seen" % n for n in range(50, 80) if n % 3 == 2)}),
]

OTHERWISE = [
	S("sync --push, then sync", ["append Box {L50}", "move INBOX {2} Box", "copy INBOX {1} Box", "flag INBOX {3} '+\\Seen' -work"],
		{"INBOX": "1 3:\\Seen", "Box": "50 1 2:\\Seen"}, args=["--push"], quiet=False),
	S("sync of one mailbox", ["append Box {L50}", "move INBOX {2} Box", "move Box {m2} Sent", "flag INBOX {3} '+\\Seen' -work"],
		{"INBOX": "1 3:\\Seen", "Box": "50", "Sent": "2:\\Seen"}, args=["work/INBOX"],
		quiet=False),
	S("without match-bodies", ["append Box {L50}", "copy INBOX {1} Box", "move INBOX {2} Box"],
		{"INBOX": "1 3:work", "Box": "50 1 2:\\Seen"}, match_bodies="no"),
	S("no bodies wanted: copies of what is here", ["copy INBOX {1} Box", "move INBOX {2} Sent"],
		{"INBOX": "1 3:work", "Box": "1", "Sent": "2:\\Seen"}, old="skip"),
	S("one connection", ["create 'A/b'", "append A/b {L50}", "move INBOX {2} A/b", "expunge INBOX {1}"],
		{"INBOX": "3:work", "A/b": "50 2:\\Seen"}, connections="1"),
	S("300 messages, copied, moved and expunged", ["copy INBOX {100}:{399} Box", "expunge INBOX {100}:{249}", "move INBOX {250}:{399} Sent"],
		{"INBOX": "", "Box": " ".join(map(str, range(100, 400))), "Sent": " ".join(map(str, range(250, 400)))},
		start={"INBOX": " ".join(map(str, range(100, 400))), "Box": ""}),
]

row = DovecotRow("Dovecot maildir")
row.start()
all_of([(s.name, lambda s=s: play(row.site(), s)) for s in ALONE + CHAINS + OTHERWISE
	if re.search(" ".join(sys.argv[1:]), s.name)])
done_testing()
