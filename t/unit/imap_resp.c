/* Responses as servers send them, and what is made of each. */
#include <inttypes.h>
#include <stdlib.h>

#include "lib/tap.h"
#include "imap/resp.h"

struct row {
	const char *text, *want;
};

static const struct row rows[] = {
	/* FETCH, odd first */
	{ "* 1 FETCH (UID 4294967296 RFC822.SIZE 12)", "FETCH 1 size=12" },
	{ "* 1 FETCH (UID 0 FLAGS ())", "FETCH 1 flags=()" },
	{ "* 1 FETCH (UID -5 FLAGS ())", "FETCH 1 flags=()" },
	{ "* 1 FETCH (UID 7 UID 8)", "FETCH 1 uid=7" },
	{ "* 1 FETCH (UID 7 MODSEQ (9223372036854775807))", "FETCH 1 uid=7 modseq=9223372036854775807" },
	{ "* 1 FETCH (UID 7 MODSEQ (9223372036854775808))", "FETCH 1 uid=7" },
	{ "* 1 FETCH (UID 7 MODSEQ (99999999999999999999999) FLAGS (\\Seen))",
		"FETCH 1 uid=7 flags=(\\Seen)" },
	{ "* 1 FETCH (UID 7 MODSEQ (0))", "FETCH 1 uid=7 modseq=0" },
	{ "* 1 FETCH (MODSEQ 7 UID 7)", "FETCH 1 uid=7 modseq=7" },
	{ "* 1 FETCH (MODSEQ () UID 7)", "FETCH 1 uid=7" },
	{ "* 1 FETCH (FLAGS (\\Seenish \\SEEN $forwarded \\recent) UID 3)",
		"FETCH 1 uid=3 flags=(\\Seen $Forwarded \\Seenish)" },
	{ "* 1 FETCH (FLAGS (a]b [x] ]  ) UID 3)", "FETCH 1 uid=3 flags=(a]b [x] ])" }, /* Q11, Q84 */
	{ "* 1 FETCH (FLAGS (\"\\Seen\" \"\\\\Draft\" \"two words\" \"\") UID 3)",
		"FETCH 1 uid=3 flags=(\\Seen \\Draft two words)" }, /* Q84 */
	{ "* 1 FETCH (FLAGS (\\Unseen) UID 3)", "FETCH 1 uid=3 flags=(\\Unseen)" }, /* Q84 */
	{ "* 1 FETCH (FLAGS ({5}\r\n\\Seen a) UID 3)", "FETCH 1 uid=3 flags=(\\Seen a)" },
	{ "* 1 FETCH (FLAGS NIL UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (UID 3 FLAGS (\\Seen", "FETCH 1 uid=3" },
	{ "* 1 FETCH (UID 3 FLAGS (\\Seen \"a", "FETCH 1 uid=3" },
	{ "* 1 FETCH (UID 3 FLAGS (\\Seen (x (y)) \\Draft))", "FETCH 1 uid=3 flags=(\\Seen \\Draft)" },
	{ "* 1 FETCH (UID 3 FLAGS (\\Seen) FLAGS (\\Draft))", "FETCH 1 uid=3 flags=(\\Seen)" },
	{ "* 1 FETCH (UID 3  FLAGS  (\\Seen)  ) ", "FETCH 1 uid=3 flags=(\\Seen)" },
	{ "* 1 fetch (uid 3 flags (\\seen))", "FETCH 1 uid=3 flags=(\\Seen)" },
	{ "*  1  FETCH  (UID 3)", "FETCH 1 uid=3" },
	{ "* 4294967296 FETCH (UID 3)", "FETCH 0 uid=3" }, /* Q28 */
	{ "* -1 FETCH (UID 3)", "other" },
	{ "* 1 FETCH", "other" },
	{ "* 1 FETCH UID 3", "other" },
	{ "* 1 FETCH ()", "FETCH 1" },
	{ "* 1 FETCH (X-NEW (a (b \"c)\" {3}\r\n)))) d) UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (X-NEW \"a\" {7}\r\nUID 666 UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (X-NEW{7}\r\nUID 666 UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (X \"a {9}\r\n\" UID 666 UID 3)", "FETCH 1" },
	{ "* 1 FETCH (BODY[]{3}\r\na(b UID 3 {8}\nEMAILID~{1}\r\n)EMAILID (M6d))",
		"FETCH 1 uid=3 body=3:a(b emailid=M6d" }, /* ")" is no ID */
	{ "* 1 FETCH (X-NEW {1000}\n UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (BODY[HEADER.FIELDS (To \"a]b\")] \"BODY[] x\" UID 3)",
		"FETCH 1 uid=3 [HEADER.FIELDS (To \"a]b\")]=BODY[] x" },
	{ "* 1 FETCH (BODY[HEADER.FIELDS ({4}\r\na]]))] {3}\r\nabc UID 3)",
		"FETCH 1 uid=3 [HEADER.FIELDS ({4}\r\na]]))]=abc" },
	{ "* 1 FETCH (BODY[HEADER.FIELDS (To x UID 3)", "FETCH 1" },
	{ "* 1 FETCH (BODY[]<0> {2}\r\nab UID 3)", "FETCH 1 uid=3 []=ab" },
	{ "* 1 FETCH (BODY[] {1}\r\nx BODY[1] {3}\r\nUID BODY[HEADER]{2}\r\n)( UID 3)",
		"FETCH 1 uid=3 body=1:x [1]=UID [HEADER]=)(" },
	{ "* 1 FETCH (BODY[1.MIME] ~{2}\r\nab BODY[1.2] \"a\\\"b\" BODY[TEXT]<512> {0}\r\n UID 3)",
		"FETCH 1 uid=3 [1.MIME]=ab [1.2]=a\"b [TEXT]=" },
	{ "* 1 FETCH (UID 3 body[header.fields (message-id)] NIL BODY[ 1 ]<0.100> nil)",
		"FETCH 1 uid=3 [header.fields (message-id)]=nil [1]=nil" },
	{ "* 1 FETCH (UID 3 BODY[HEADER.FIELDS (\"Message-ID\" ) ] {2}\r\nab)",
		"FETCH 1 uid=3 [HEADER.FIELDS (\"Message-ID\" )]=ab" },
	{ "* 1 FETCH (BODY[1] (\"no\" \"string\") BODY[2] what BODY[3] {5}\n BODY[3] \"b\" UID 3)",
		"FETCH 1 uid=3 [3]=b" },
	{ "* 1 FETCH (BODY[1]x {1}\r\na BODY[ ] {1}\r\na BODY[1][2] {1}\r\na XBODY[1] a UID 3)",
		"FETCH 1 uid=3" },
	{ "* 1 FETCH (BODY[1]<0 {1}\r\na BODY[1]< a BODY[1]<> a UID 3 BODY[1])", "FETCH 1 uid=3" },
	{ "* 1 FETCH (BODYSTRUCTURE (\"text\" (\"a\" {5}\r\n\"b)))) NIL) UID 3)",
		"FETCH 1 uid=3 structure=(\"text\" (\"a\" {5}\r\n\"b)))) NIL)" },
	{ "* 1 FETCH (bodystructure((\"text\")(\"image\") \"mixed\")UID 3 BODYSTRUCTURE (x))",
		"FETCH 1 uid=3 structure=((\"text\")(\"image\") \"mixed\")" },
	{ "* 1 FETCH (BODYSTRUCTURE NIL BODYSTRUCTURE {1}\r\nx BODY (\"text\" \"plain\") UID 3)",
		"FETCH 1 uid=3" },
	{ "* 1 FETCH (UID 3 BODYSTRUCTURE (\"text\" (\"a)", "FETCH 1 uid=3" }, /* Q16 */
	{ "* 1 FETCH (UID 3 BODYSTRUCTURE ())", "FETCH 1 uid=3 structure=()" },
	{ "* 1 FETCH (BINARY[] ~{2}\r\nab RFC822 {1}\r\na UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (BODY[] {3}\r\na(b UID 3)", "FETCH 1 uid=3 body=3:a(b" },
	{ "* 1 FETCH (BODY[] {3+}\r\na(b UID 3)", "FETCH 1 uid=3 body=3:a(b" },
	{ "* 1 FETCH (body[] ~{3}\r\na(b UID 3)", "FETCH 1 uid=3 body=3:a(b" },
	{ "* 1 FETCH (BODY[] {3000000000}\n UID 3)", "FETCH 1 uid=3 body=3000000000:" },
	{ "* 1 FETCH (BODY[] {0}\r\n UID 3)", "FETCH 1 uid=3 body=0:" },
	{ "* 1 FETCH (BODY[] \"a\\\"b\" UID 3)", "FETCH 1 uid=3 body=3:a\"b" },
	{ "* 1 FETCH (BODY[] NIL UID 3)", "FETCH 1 uid=3 body=nil" },
	{ "* 1 FETCH (BODY[] nil BODY[] {9}\n UID 3)", "FETCH 1 uid=3 body=nil" },
	{ "* 1 FETCH (BODY[] what BODY[] {9}\n UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (BODY[] (\"no\" \"string\") UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" UID 3)",
		"FETCH 1 uid=3 date=837596665" },
	{ "* 1 FETCH (INTERNALDATE \"yesterday\" UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (INTERNALDATE NIL UID 3 RFC822.SIZE NIL)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (EMAILID (M6d99ac3275bb4e) UID 3)", "FETCH 1 uid=3 emailid=M6d99ac3275bb4e" },
	{ "* 1 FETCH (EMAILID M6d UID 3)", "FETCH 1 uid=3 emailid=M6d" },
	{ "* 1 FETCH (EMAILID NIL THREADID NIL UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (EMAILID () UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (EMAILID ((a) b) UID 3)", "FETCH 1 uid=3" },
	{ "* 1 FETCH (EMAILID (a b) EMAILID (c) UID 3)", "FETCH 1 uid=3 emailid=a" },
	{ "* 1 FETCH (X-GM-MSGID 18446744073709551615 UID 3)",
		"FETCH 1 uid=3 emailid=18446744073709551615" },
	{ "* 1 FETCH (x-gm-msgid 1278455344230334865 X-GM-MSGID 5 UID 3)",
		"FETCH 1 uid=3 emailid=1278455344230334865" },
	{ "* 1 FETCH (X-GM-MSGID 7 EMAILID (M6d) UID 3)", "FETCH 1 uid=3 emailid=M6d" },
	{ "* 1 FETCH (EMAILID (M6d) X-GM-MSGID 7 UID 3)", "FETCH 1 uid=3 emailid=M6d" },
	{ "* 1 FETCH (EMAILID NIL X-GM-MSGID 7 UID 3)", "FETCH 1 uid=3 emailid=7" },
	{ "* 1 FETCH (X-GM-MSGID 0 X-GM-MSGID -1 X-GM-MSGID 7x X-GM-MSGID (7) X-GM-MSGID \"7\" UID 3)",
		"FETCH 1 uid=3" },
	{ "* 1 FETCH (X-GM-MSGID 123456789012345678901 X-GM-THRID 5 X-GM-LABELS (a \"\\\\Sent\") UID 3)",
		"FETCH 1 uid=3" },
	{ "* 12 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (12))", "FETCH 12 uid=1 flags=(\\Seen) modseq=12" },
	{ "* 2 FETCH (FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Work $Junk) UID 9)",
		"FETCH 2 uid=9 flags=(\\Seen \\Answered \\Flagged \\Deleted \\Draft Work $Junk)" },

	/* other numbered ones */
	{ "* 4294967296 EXISTS", "other" },
	{ "* 0 EXISTS", "EXISTS 0" },
	{ "* 23 exists ", "EXISTS 23" },
	{ "* 5 EXPUNGE", "EXPUNGE 5" },
	{ "* 5 RECENT", "other" },
	{ "* 5", "other" },

	/* status responses */
	{ "", "other" },
	{ "*", "other" },
	{ " ", "other" },
	{ "a1", "tag=a1 other" },
	{ "a1 OK", "tag=a1 OK" },
	{ "a1 okay", "tag=a1 other" },
	{ "a1 OK ", "tag=a1 OK" },
	{ "A7 no [TryCreate] no such box", "tag=A7 NO code=TRYCREATE text=no such box" },
	{ "a1 NO APPEND [TRYCREATE] failed", "tag=a1 NO code=TRYCREATE text=APPEND [TRYCREATE] failed" },
	{ "a1 NO append failed [trycreate]", "tag=a1 NO code=TRYCREATE text=append failed [trycreate]" },
	{ "a1 NO [SERVERSAYS x] no [TRYCREATE] x", "tag=a1 NO code=TRYCREATE text=no [TRYCREATE] x" },
	{ "a1 NO [TRYCREATE] [OVERQUOTA] x", "tag=a1 NO code=TRYCREATE text=[OVERQUOTA] x" },
	{ "a1 NO \"[TRYCREATE\" [[TRYCREATE] [", "tag=a1 NO code=TRYCREATE text=\"[TRYCREATE\" [[TRYCREATE] [" },
	{ "a1 NO [", "tag=a1 NO text=[" },
	{ "a1 NO TRYCREATE]", "tag=a1 NO text=TRYCREATE]" },
	{ "a1 OK copied [TRYCREATE]", "tag=a1 OK text=copied [TRYCREATE]" },
	{ "a1 OK [X-ODD] copied [TRYCREATE]", "tag=a1 OK code=other:X-ODD text=copied [TRYCREATE]" },
	{ "a1 NO [CANNOT] no", "tag=a1 NO code=CANNOT text=no" },
	{ "a1 NO [HASCHILDREN] no", "tag=a1 NO code=HASCHILDREN text=no" },
	{ "a1 NO [UNKNOWN-CTE] no", "tag=a1 NO code=UNKNOWN-CTE text=no" },
	{ "a1 NO [overquota] no", "tag=a1 NO code=OVERQUOTA text=no" },
	{ "a1 NO [LIMIT] no", "tag=a1 NO code=LIMIT text=no" },
	{ "a1 NO [INUSE] no", "tag=a1 NO code=INUSE text=no" },
	{ "a1 NO [ALREADYEXISTS] no", "tag=a1 NO code=ALREADYEXISTS text=no" },
	{ "a1 NO [NONEXISTENT] no", "tag=a1 NO code=NONEXISTENT text=no" },
	{ "a1 NO [EXPUNGEISSUED] no", "tag=a1 NO code=EXPUNGEISSUED text=no" },
	{ "a1 OK [READ-WRITE] x", "tag=a1 OK code=READ-WRITE text=x" },
	{ "a1 OK FETCH done [THROTTLED]", "tag=a1 OK code=THROTTLED throttled text=FETCH done [THROTTLED]" },
	{ "a1 OK [THROTTLED] FETCH done", "tag=a1 OK code=THROTTLED throttled text=FETCH done" },
	{ "a1 OK [READ-ONLY] INBOX selected. (Success) [throttled] ", /* Q1 */
		"tag=a1 OK code=READ-ONLY throttled text=INBOX selected. (Success) [throttled]" },
	{ "a1 OK [READ-ONLY] [THROTTLED] selected", "tag=a1 OK code=READ-ONLY text=[THROTTLED] selected" },
	{ "a1 NO [THROTTLED] slow down", "tag=a1 NO code=THROTTLED throttled text=slow down" },
	{ "a1 OK moved [TRYCREATE]", "tag=a1 OK text=moved [TRYCREATE]" },
	{ "a1 NO no [NONEXISTENT] here", "tag=a1 NO text=no [NONEXISTENT] here" },
	{ "a1 BAD [TOOBIG] no", "tag=a1 BAD code=TOOBIG text=no" },
	{ "* OK [HIGHESTMODSEQ 715194045007]", "OK code=HIGHESTMODSEQ n=715194045007" }, /* Q12 */
	{ "* OK [HIGHESTMODSEQ 0] none", "OK code=HIGHESTMODSEQ n=0 text=none" },
	{ "* OK [HIGHESTMODSEQ 9223372036854775808]", "OK code=other:HIGHESTMODSEQ" },
	{ "* OK [HIGHESTMODSEQ]", "OK code=other:HIGHESTMODSEQ" },
	{ "* OK [MAILBOXID (F2212ea87-6097-4256)] Ok", "OK code=MAILBOXID(F2212ea87-6097-4256) text=Ok" },
	{ "a1 OK [mailboxid F2] Ok", "tag=a1 OK code=MAILBOXID(F2) text=Ok" },
	{ "* OK [MAILBOXID ()] Ok", "OK code=other:MAILBOXID text=Ok" },
	{ "* OK [MAILBOXID (F\335\247)] Ok", "OK code=other:MAILBOXID text=Ok" },
	{ "* OK [MAILBOXID (a.b)] Ok", "OK code=other:MAILBOXID text=Ok" },
	{ "* OK [MAILBOXID NIL] Ok", "OK code=other:MAILBOXID text=Ok" },
	{ "* OK [NOMODSEQ] x", "OK code=NOMODSEQ text=x" },
	{ "* OK [UIDVALIDITY 1528896777421] x", "OK code=UIDVALIDITY n=1528896777421 text=x" }, /* Q78 */
	{ "* OK [UIDVALIDITY 0] x", "OK code=other:UIDVALIDITY text=x" },
	{ "* OK [UIDNEXT 0] x", "OK code=other:UIDNEXT text=x" }, /* Q67 */
	{ "* OK [UIDNEXT 4294967295] x", "OK code=UIDNEXT n=4294967295 text=x" },
	{ "* OK [UIDNEXT 4294967296] x", "OK code=other:UIDNEXT text=x" },
	{ "* OK [UNSEEN 0] x", "OK code=UNSEEN n=0 text=x" },
	{ "* OK [PERMANENTFLAGS (\\Answered a]b [c \\*)] Flags", /* Q59 */
		"OK code=PERMANENTFLAGS flags=(\\Answered a]b [c) any text=Flags" },
	{ "* OK [PERMANENTFLAGS (\\)Deleted)] x", "OK code=PERMANENTFLAGS flags=(\\) text=x" },
	{ "* OK [PERMANENTFLAGS (\\Seen] x", "OK code=other:PERMANENTFLAGS text=x" },
	{ "* OK [PERMANENTFLAGS ()]", "OK code=PERMANENTFLAGS flags=()" },
	{ "* OK [no end", "OK text=[no end" },
	{ "* OK []", "OK code=other:" },
	{ "* OK [X \"]\"] y", "OK code=other:X(\"]\") text=y" },
	{ "* OK [X \"a] y", "OK code=other:X(\"a) text=y" },
	{ "* OK [ALERT]no space", "OK code=ALERT text=no space" },
	{ "* NO [BADCHARSET (US-ASCII {5}\r\na]b)c \"UTF-8]\")] no",
		"NO code=other:BADCHARSET((US-ASCII {5}\r\na]b)c \"UTF-8]\")) text=no" },
	{ "a1 OK [APPENDUID 38505 3955] ok", "tag=a1 OK code=APPENDUID(38505 3955) text=ok" },
	{ "a1 OK [COPYUID 38505 304,319:320 3956:3958 ] ok",
		"tag=a1 OK code=COPYUID(38505 304,319:320 3956:3958) text=ok" },
	{ "a1 OK [CAPABILITY IMAP4rev1  X ] hi", "tag=a1 OK code=CAPABILITY(IMAP4rev1  X) text=hi" },
	{ "* BYE", "BYE" },
	{ "* bye [UNAVAILABLE] later", "BYE code=UNAVAILABLE text=later" },
	{ "* PREAUTH hello", "PREAUTH text=hello" },
	{ "* OK [CLOSED]", "OK code=CLOSED" },

	/* continuation */
	{ "+", "+ text=" },
	{ "+ ", "+ text=" },
	{ "+idling", "+ text=idling" },
	{ "+ dGVzdA== ", "+ text=dGVzdA==" },
	{ "+ [ALERT] x", "+ text=[ALERT] x" },

	/* LIST */
	{ "* LIST (\\HasNoChildren) \"/\" {6}\r\na b\"\\c", "LIST / 0 a b\"\\c" }, /* Q77 */
	{ "* LIST () NIL iNbOx", "LIST nil 0 INBOX" },
	{ "* LIST () \"/\" \"inbox\"", "LIST / 0 INBOX" },
	{ "* LIST () \"\" x", "LIST nil 0 x" },
	{ "* LIST () \"\\\\\" x", "LIST \\ 0 x" },
	{ "* LIST () . x", "LIST . 0 x" },
	{ "* LIST NIL \".\" x", "LIST . 0 x" },
	{ "* LIST () \"/\" Foo(bar)", "LIST / 0 Foo(bar)" },
	{ "* LIST () \"/\" [Gmail]/x", "LIST / 0 [Gmail]/x" },
	{ "* LIST () \"/\" \"\"", "LIST / 0 " },
	{ "* LIST () \"/\"", "other" },
	{ "* LIST () (x) y", "other" },
	{ "* LIST () \"/\" \"x", "other" },
	{ "* LIST (\\Noselect", "other" },
	{ "* LIST (\\NoSelect \\odd \"\\\\Sent\" (x) \\Subscribed) \"/\" x (CHILDINFO (\"A\"))",
		"LIST / 521 x" },
	{ "* LIST (\\NonExistent) \"/\" x", "LIST / 3 x" },
	{ "* LSUB (\\Noinferiors) \"/\" x", "LSUB / 4 x" },
	{ "* XLIST (\\Inbox) \"/\" Posteingang", "LIST / 0 INBOX" }, /* Q14 */
	{ "* XLIST (\\AllMail \\Starred \\Spam \\Trash) \"/\" x", "LIST / 1424 x" },

	/* STATUS */
	{ "* STATUS x ()", "STATUS x" }, /* Q82 */
	{ "* STATUS x (MESSAGES 5 ) ", "STATUS x messages=5" }, /* Q34 */
	{ "* STATUS x (MESSAGES -1 UIDNEXT 0 UIDVALIDITY 0 HIGHESTMODSEQ 0)",
		"STATUS x highestmodseq=0" },
	{ "* STATUS x (HIGHESTMODSEQ NIL UNSEEN 3 MAILBOXID (F1 (2)) APPENDLIMIT NIL UIDNEXT 4)",
		"STATUS x uidnext=4 mailboxid=F1" },
	{ "* STATUS x (MAILBOXID (F2212ea87-6097) MESSAGES 1)", "STATUS x messages=1 mailboxid=F2212ea87-6097" },
	{ "* STATUS x (mailboxid F2 MESSAGES 1)", "STATUS x messages=1 mailboxid=F2" },
	{ "* STATUS x (MAILBOXID (<\245\247U) MESSAGES 1)", "STATUS x messages=1" }, /* Cyrus */
	{ "* STATUS x (MAILBOXID NIL MAILBOXID () MAILBOXID (\"\") MESSAGES 1)", "STATUS x messages=1" },
	{ "* STATUS x (MAILBOXID (F1", "STATUS x mailboxid=F1" },
	{ "* STATUS x (UIDNEXT 4294967296 UIDVALIDITY 4294967296)", "STATUS x uidvalidity=4294967296" },
	{ "* STATUS Sent Items (MESSAGES 5)", "other" },
	{ "* STATUS {3}\r\na(b (messages 5)", "STATUS a(b messages=5" },
	{ "* STATUS inbox (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7 HIGHESTMODSEQ 8)",
		"STATUS INBOX messages=5 uidnext=6 uidvalidity=7 highestmodseq=8" },
	{ "* STATUS x (MESSAGES 5", "STATUS x messages=5" },
	{ "* STATUS x", "other" },

	/* FLAGS */
	{ "* FLAGS (\\Seen \\*)", "FLAGS flags=(\\Seen) any" }, /* Q78 */
	{ "* FLAGS ()", "FLAGS flags=()" },
	{ "* FLAGS", "other" },

	/* SEARCH */
	{ "* SEARCH", "SEARCH " },
	{ "* SEARCH ", "SEARCH " },
	{ "* SEARCH 9 7 8 3 3 12 1 ", "SEARCH 1,3,7:9,12" }, /* Q48, Q85 */
	{ "* SEARCH 0 4294967296 4294967295", "SEARCH 4294967295" }, /* Q89 */
	{ "* SEARCH 2 5 6 7 11 12 18 19 20 23 (MODSEQ 917162500)",
		"SEARCH 2,5:7,11:12,18:20,23 modseq=917162500" },
	{ "* SEARCH (MODSEQ 5)", "SEARCH  modseq=5" },
	{ "* SEARCH 1 x", "other" },
	{ "* SEARCH 1 -2", "other" },
	{ "* SEARCH 1 \"2\"", "other" },

	/* ESEARCH */
	{ "* ESEARCH (TAG \"A2\") UID ALL 3,1:2,9 COUNT 4 MODSEQ 7",
		"ESEARCH tag=A2 uid 1:3,9 count=4 modseq=7" },
	{ "* ESEARCH (TAG A2) UID", "ESEARCH tag=A2 uid " },
	{ "* ESEARCH (TAG \"A2\")", "ESEARCH tag=A2 " },
	{ "* ESEARCH", "ESEARCH " },
	{ "* ESEARCH () UID", "ESEARCH uid " },
	{ "* ESEARCH UID COUNT 0", "ESEARCH uid  count=0" },
	{ "* ESEARCH (X y TAG \"A2\") UID MIN 1 MAX 9 X (a (b)) ALL 4", "ESEARCH uid 4" },
	{ "* ESEARCH (TAG \"A2\" MAILBOX INBOX) UID PARTIAL (1:2 3:4) ALL 4", "ESEARCH tag=A2 uid 4" },
	{ "* ESEARCH (TAG \"A2\") UID ALL 1:*", "other" },
	{ "* ESEARCH (TAG \"A2\") UID ALL 0", "other" },
	{ "* ESEARCH (TAG \"A2\") UID ALL", "other" },

	/* VANISHED */
	{ "* VANISHED (EARLIER) 1:4294967295", "VANISHED earlier 1:4294967295" },
	{ "* vanished (earlier) 41,43:116,9", "VANISHED earlier 9,41,43:116" },
	{ "* VANISHED 5:3 ", "VANISHED 3:5" },
	{ "* VANISHED", "other" },
	{ "* VANISHED ()", "other" },
	{ "* VANISHED (LATER) 5", "other" },
	{ "* VANISHED 1:4294967296", "other" },

	{ "* CAPABILITY IMAP4rev1 IDLE ", "CAPABILITY text=IMAP4rev1 IDLE" }, /* Q81 */
	{ "* ENABLED", "ENABLED text=" },
	{ "* ENABLED QRESYNC", "ENABLED text=QRESYNC" },
	{ "* NAMESPACE ((\"\" \"/\")) NIL NIL", "other" },
	{ "* ID ()", "other" },
	{ "* (", "other" },
	{ "* \"", "other" },
	{ "(((", "other" },
};

static void print_uids(const struct uids *uids, struct buf *out)
{
	if (!uids_is_empty(uids))
		uids_print(uids, 1, 4096, out);
}

static void print_flags(const struct imap_flags *f, struct buf *out)
{
	static const char *const names[] = {
		"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded",
	};
	const char *space = "";
	buf_add_str(out, " flags=(");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (f->system & 1u << i) {
			buf_addf(out, "%s%s", space, names[i]);
			space = " ";
		}
	}
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, space);
		buf_add_slice(out, f->keywords[i]);
		space = " ";
	}
	buf_addf(out, ")%s", f->any ? " any" : "");
}

static void print_part(struct buf *out, const char *name, struct slice part)
{
	if (part.len > 0) {
		buf_addf(out, " %s=", name);
		buf_add_slice(out, part);
	}
}

static void print_code(const struct imap_resp *r, struct buf *out)
{
	enum imap_code code = r->cond.code;
	if (code == IMAP_CODE_NONE)
		return;
	buf_add_str(out, code == IMAP_CODE_OTHER ? " code=other:" : " code=");
	size_t from = out->len;
	buf_add_slice(out, r->cond.code_name);
	for (char *c = out->data + from; *c != '\0'; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	if (code == IMAP_HIGHESTMODSEQ || code == IMAP_UIDNEXT || code == IMAP_UIDVALIDITY ||
	    code == IMAP_UNSEEN)
		buf_addf(out, " n=%" PRIu64, r->cond.code_number);
	else if (code == IMAP_PERMANENTFLAGS)
		print_flags(&r->cond.flags, out);
	else if (r->cond.code_text.len > 0 && code != IMAP_CODE_OTHER)
		buf_addf(out, "(%.*s)", (int)r->cond.code_text.len, r->cond.code_text.data);
	else if (r->cond.code_text.len > 0 && slice_is(r->cond.code_name, "X"))
		buf_addf(out, "(%.*s)", (int)r->cond.code_text.len, r->cond.code_text.data);
	else if (slice_is(r->cond.code_name, "BADCHARSET"))
		buf_addf(out, "(%.*s)", (int)r->cond.code_text.len, r->cond.code_text.data);
}

static void print_cond(const struct imap_resp *r, struct buf *out)
{
	static const char *const conds[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };
	buf_add_str(out, conds[r->cond.cond]);
	print_code(r, out);
	buf_add_str(out, r->cond.throttled ? " throttled" : "");
	print_part(out, "text", r->cond.text);
}

static void print_sections(const struct imap_resp *r, struct buf *out)
{
	for (size_t i = 0; i < r->fetch.section_count; i++) {
		const struct imap_section *s = &r->fetch.sections[i];
		buf_addf(out, " [%.*s]=", (int)s->spec.len, s->spec.data);
		buf_add_slice(out, s->nil ? slice_of("nil") : s->data);
	}
}

static void print_fetch(const struct imap_resp *r, struct buf *out)
{
	uint32_t items = r->fetch.items;
	buf_addf(out, "FETCH %" PRIu32, r->number);
	if (items & IMAP_HAS_UID)
		buf_addf(out, " uid=%" PRIu32, r->fetch.uid);
	if (items & IMAP_HAS_FLAGS)
		print_flags(&r->fetch.flags, out);
	if (items & IMAP_HAS_MODSEQ)
		buf_addf(out, " modseq=%" PRIu64, r->fetch.modseq);
	if (items & IMAP_HAS_DATE)
		buf_addf(out, " date=%" PRId64, r->fetch.date);
	if (items & IMAP_HAS_SIZE)
		buf_addf(out, " size=%" PRIu64, r->fetch.size);
	if (items & IMAP_HAS_BODY)
		buf_addf(out, " body=%" PRIu64 ":%.*s", r->fetch.body_size, (int)r->fetch.body.len,
			r->fetch.body.data);
	if (items & IMAP_HAS_BODY_NIL)
		buf_add_str(out, " body=nil");
	if (items & IMAP_HAS_EMAILID)
		print_part(out, "emailid", r->fetch.emailid);
	if (items & IMAP_HAS_SECTIONS)
		print_sections(r, out);
	if (items & IMAP_HAS_BODYSTRUCTURE)
		print_part(out, "structure", r->fetch.bodystructure);
}

static void print_list(const struct imap_resp *r, struct buf *out)
{
	buf_add_str(out, r->list.lsub ? "LSUB " : "LIST ");
	if (r->list.delimiter == 0)
		buf_add_str(out, "nil");
	else
		buf_add_char(out, r->list.delimiter);
	buf_addf(out, " %" PRIu32 " ", r->list.attrs);
	buf_add_slice(out, r->list.name);
}

static void print_status(const struct imap_resp *r, struct buf *out)
{
	buf_add_str(out, "STATUS ");
	buf_add_slice(out, r->status.name);
	if (r->status.items & IMAP_HAS_MESSAGES)
		buf_addf(out, " messages=%" PRIu32, r->status.messages);
	if (r->status.items & IMAP_HAS_UIDNEXT)
		buf_addf(out, " uidnext=%" PRIu32, r->status.uidnext);
	if (r->status.items & IMAP_HAS_UIDVALIDITY)
		buf_addf(out, " uidvalidity=%" PRIu64, r->status.uidvalidity);
	if (r->status.items & IMAP_HAS_HIGHESTMODSEQ)
		buf_addf(out, " highestmodseq=%" PRIu64, r->status.highestmodseq);
	if (r->status.items & IMAP_HAS_MAILBOXID)
		print_part(out, "mailboxid", r->status.mailboxid);
}

static void print_search(const struct imap_resp *r, struct buf *out)
{
	buf_add_str(out, r->kind == IMAP_SEARCH ? "SEARCH" : "ESEARCH");
	print_part(out, "tag", r->search.tag);
	buf_add_str(out, r->search.uid ? " uid " : " ");
	print_uids(r->search.uids, out);
	if (r->search.has_count)
		buf_addf(out, " count=%" PRIu64, r->search.count);
	if (r->search.modseq > 0)
		buf_addf(out, " modseq=%" PRIu64, r->search.modseq);
}

static void print(const struct imap_resp *r, struct slice tag, struct buf *out)
{
	if (r->tagged)
		buf_addf(out, "tag=%.*s ", (int)tag.len, tag.data);
	switch (r->kind) {
	case IMAP_OTHER: buf_add_str(out, "other"); break;
	case IMAP_COND: print_cond(r, out); break;
	case IMAP_CONTINUE: buf_add_str(out, "+ text="); buf_add_slice(out, r->cond.text); break;
	case IMAP_CAPABILITY: buf_add_str(out, "CAPABILITY text="); buf_add_slice(out, r->cond.text); break;
	case IMAP_ENABLED: buf_add_str(out, "ENABLED text="); buf_add_slice(out, r->cond.text); break;
	case IMAP_LIST: print_list(r, out); break;
	case IMAP_STATUS: print_status(r, out); break;
	case IMAP_FLAGS: buf_add_str(out, "FLAGS"); print_flags(&r->flags, out); break;
	case IMAP_SEARCH: case IMAP_ESEARCH: print_search(r, out); break;
	case IMAP_EXISTS: buf_addf(out, "EXISTS %" PRIu32, r->number); break;
	case IMAP_EXPUNGE: buf_addf(out, "EXPUNGE %" PRIu32, r->number); break;
	case IMAP_VANISHED:
		buf_addf(out, "VANISHED %s", r->vanished.earlier ? "earlier " : "");
		print_uids(r->vanished.uids, out);
		break;
	case IMAP_FETCH: print_fetch(r, out); break;
	}
}

/* The text is copied to a block of its own size, so that valgrind and ASan see what is read beyond
 * it. */
static void check(struct resp_space *space, struct slice text, struct buf *out)
{
	char *copy = malloc(text.len + 1);
	struct imap_resp resp;
	struct slice tag;
	memcpy(copy + 1, text.data, text.len);
	resp_parse(space, (struct slice){ copy + 1, text.len }, &resp, &tag);
	buf_clear(out);
	print(&resp, tag, out);
	free(copy);
}

static void test_rows(struct resp_space *space)
{
	struct buf out;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(space, slice_of(rows[i].text), &out);
		is_str(buf_str(&out), rows[i].want, "%s", rows[i].text);
	}
	buf_release(&out);
}

/* Cut anywhere, every row must be read without a fault; what comes out is not looked at. */
static void test_cuts(struct resp_space *space)
{
	struct buf out;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t len = 0; len < strlen(rows[i].text); len++)
			check(space, (struct slice){ rows[i].text, len }, &out);
	ok(1, "cut responses");
	buf_release(&out);
}

static void test_depth(struct resp_space *space)
{
	static const struct { int depth; const char *want; } depths[] = {
		{ 64, "FETCH 1 uid=3" }, { 65, "FETCH 1" }, { 20000, "FETCH 1" },
	};
	struct buf text, out;
	buf_init(&text, 0);
	buf_init(&out, 0);
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&text);
		buf_add_str(&text, "* 1 FETCH (X ");
		for (int n = 0; n < depths[i].depth; n++)
			buf_add_char(&text, '(');
		for (int n = 0; n < depths[i].depth; n++)
			buf_add_char(&text, ')');
		buf_add_str(&text, " UID 3)");
		check(space, buf_slice(&text), &out);
		is_str(buf_str(&out), depths[i].want, "a list %d deep", depths[i].depth);
	}
	buf_release(&text);
	buf_release(&out);
}

/* As many sections as anybody asks for; the next response begins with none. */
static void test_sections_max(struct resp_space *space)
{
	struct buf text, out;
	struct imap_resp resp;
	struct slice tag;
	buf_init(&text, 0);
	buf_init(&out, 0);
	buf_add_str(&text, "* 1 FETCH (");
	for (int i = 1; i <= 100; i++)
		buf_addf(&text, "BODY[%d] \"part \\\"%d\\\"\" ", i, i);
	buf_add_str(&text, "UID 3)");
	resp_parse(space, buf_slice(&text), &resp, &tag);
	is_int(resp.fetch.section_count, 64, "64 sections, not 100");
	is_int(resp.fetch.uid, 3, "what follows them is read");
	is_mem(resp.fetch.sections[0].data.data, resp.fetch.sections[0].data.len, "part \"1\"", 8,
		"the first");
	is_mem(resp.fetch.sections[63].data.data, resp.fetch.sections[63].data.len, "part \"64\"", 9,
		"and the last are where they were");
	check(space, slice_of("* 1 FETCH (UID 3)"), &out);
	is_str(buf_str(&out), "FETCH 1 uid=3", "none");
	buf_release(&text);
	buf_release(&out);
}

/* A million UIDs in the worst order must not take quadratic time: the test would not end. */
static void test_descending(struct resp_space *space)
{
	struct buf text;
	struct imap_resp resp;
	struct slice tag;
	buf_init(&text, 0);
	buf_add_str(&text, "* SEARCH");
	for (unsigned uid = 2000000; uid > 0; uid -= 2)
		buf_addf(&text, " %u", uid);
	resp_parse(space, buf_slice(&text), &resp, &tag);
	is_int(resp.kind, IMAP_SEARCH, "a million UIDs in descending order");
	is_int(uids_count(resp.search.uids), 1000000, "all of them");
	buf_release(&text);
}

static const struct {
	const char *text;
	bool is_body;
	uint32_t uid;
} bodies[] = {
	{ "* 1 FETCH (UID 5 X (BODY[] ", false, 0 },
	{ "* 1 FETCH (X {9}\r\n UID 66 9 UID 5 BODY[] ", true, 5 },
	{ "* 1 FETCH (BODY[] {9}\n UID 5 BODY[] ", false, 0 },
	{ "* 1 FETCH (BODY[] what BODY[] ", false, 0 },
	{ "* 1 FETCH (UID 5 XBODY[] ", false, 0 },
	{ "* 1 FETCH (UID 5 X \"BODY[] ", false, 0 },
	{ "* 1 FETCH (UID 5 X BODY[] ", false, 0 },
	{ "* 1 FETCH (UID 0 UID 4294967296 UID 6 UID 7 BODY[] ", true, 6 },
	{ "* 1 FETCH (UID 5 BODY[]<0> ", false, 0 },
	{ "* 1 FETCH (UID 5 BODY[1] ", false, 0 },
	{ "* 1 FETCH (UID 5 BODY[HEADER] ", false, 0 },
	{ "* 1 FETCH (UID 5 BODY[1.MIME]~", false, 0 },
	{ "* 1 FETCH (UID 5 BODY[ ] ", false, 0 },
	{ "* 1 FETCH (UID 5 BODY[HEADER.FIELDS (BODY[] ", false, 0 },
	{ "* 1 FETCH (UID 5 BODYSTRUCTURE (BODY[] ", false, 0 },
	{ "* 1 FETCH (UID 5 BODY[1] {3}\r\nabc BODY[] ", true, 5 },
	{ "* 1 FETCH (UID 5 BINARY[] ~", false, 0 },
	{ "* LIST () \"/\" BODY[] ", false, 0 },
	{ "* 1 FETCH BODY[] ", false, 0 },
	{ "BODY[] ", false, 0 },
	{ "", false, 0 },
	{ "* 1 FETCH (BODY[]\t\x01 ~", true, 0 },
	{ "* 1 FETCH (BODY[]~~", false, 0 },
	{ "* 1 FETCH (BODY[]", true, 0 },
	{ "* 1 FETCH (BODY[] ", true, 0 },
	{ "* 1 fetch (uid 7 body[] ~", true, 7 },
	{ "* 1 FETCH (FLAGS (\\Seen) UID 5 BODY[] ", true, 5 },
};

static void test_bodies(void)
{
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		uint32_t uid;
		is_int(resp_is_body(slice_of(bodies[i].text), &uid), bodies[i].is_body, "body: %s",
			bodies[i].text);
		if (bodies[i].is_body)
			is_int(uid, bodies[i].uid, "its UID");
	}
}

int main(void)
{
	struct resp_space *space = resp_space_new();
	test_rows(space);
	test_cuts(space);
	test_depth(space);
	test_sections_max(space);
	test_descending(space);
	test_bodies();
	resp_space_free(space);
	return done_testing();
}
