/* Decisions, pure: what the store last agreed and what the server says go in, what to do comes out.
 * Every rule that could lose mail stands here and is tested here, in tables. Private to lib/sync. */
#ifndef SYNC_PLAN_H
#define SYNC_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uids.h"
#include "conf/conf.h"
#include "imap/imap.h"
#include "store/store.h"

/* What STATUS or LIST-STATUS told of a mailbox; items: IMAP_HAS_*. */
struct plan_told {
	uint32_t items;
	uint32_t messages, uidnext;
	uint64_t uidvalidity, highestmodseq;
};

/* May it be left unopened (L2)? `owed`: bodies that are wanted and not here. */
bool plan_unchanged(const struct store_mailbox *rec, const struct plan_told *told, uint64_t owed,
	bool old_skip);

/* How changes to old messages are asked for. */
enum plan_ladder {
	PLAN_QRESYNC,   /* S6: with the SELECT */
	PLAN_CONDSTORE, /* S5: CHANGEDSINCE */
	PLAN_PLAIN,     /* S4: every flag (Exchange has no better: Q30) */
	PLAN_NONE,      /* there are none, or they are not wanted, or nothing changed */
};

struct plan_pull {
	enum plan_ladder ladder;
	uint64_t since;     /* the mod-sequence, for QRESYNC and CONDSTORE; never 0 (Q50) */
	uint32_t old_last;  /* old messages are 1:old_last */
	bool ask_new;       /* UID FETCH old_last+1:* */
	uint32_t uidnext;   /* of that, as far as told; 0 unknown: for splitting */
	bool examine;       /* false: SELECT (Q70) */
};
struct plan_means {
	bool qresync, condstore; /* may be used on this connection */
	bool cold;               /* every flag, whatever is known */
	bool old_skip;           /* only new messages are wanted */
	bool no_examine;         /* this server's EXAMINE tells another UIDVALIDITY (Q70) */
};
struct plan_pull plan_pull(const struct store_mailbox *rec, const struct plan_told *told,
	const struct plan_means *means);

/* What SELECT or EXAMINE told. */
struct plan_selected {
	bool has_exists, nomodseq;
	uint32_t exists, uidnext; /* 0: not told */
	uint64_t uidvalidity, highestmodseq;
	const char *mailboxid; /* RFC 8474; NULL: not told */
};
enum plan_verdict {
	PLAN_GO_ON,   /* the cache is of this mailbox */
	PLAN_CONFIRM, /* another UIDVALIDITY, but only EXAMINE said so: SELECT, then judge (Q70, S2) */
	PLAN_RESET,   /* the cache is of another mailbox, or of a later state of this one (S2, S16) */
	PLAN_NO_UIDS, /* no UIDVALIDITY, or UIDNOTSTICKY: S15 */
};
enum plan_verdict plan_select(const struct store_mailbox *rec, const struct plan_selected *sel,
	bool examined);

/* Splits first:* so that other work fits between, and so that an interrupted first sync goes on
 * where it was (S3). uidnext 0: not known, so one open range. */
uint32_t plan_range_width(uint32_t first, uint32_t uidnext);
/* The last UID of the range that begins at `first`, or 0 for "*". */
uint32_t plan_range_end(uint32_t first, uint32_t width, uint32_t uidnext);

/* Is it too old for `newer`? */
bool plan_is_aged(const struct conf_mailbox_rules *rules, int64_t now, int64_t date);
/* How much of a message is wanted (S9, S10), in ascending order. `now` in seconds. */
enum plan_body { PLAN_BODY_NONE, PLAN_BODY_STAND_IN, PLAN_BODY_WHOLE };
enum plan_body plan_body(const struct conf_mailbox_rules *rules, int64_t now, int64_t date,
	uint64_t size, uint32_t system_flags);

#endif
