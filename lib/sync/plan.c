#include <string.h>

#include "sync/plan.h"

/* Descriptors are short; a range of this many brings half a megabyte. */
#define RANGE_UIDS 5000
/* However sparse the UIDs are, a mailbox is asked for in at most this many ranges. */
#define RANGES_MAX 64

bool plan_unchanged(const struct store_mailbox *rec, const struct plan_told *told, uint64_t owed,
	bool old_skip)
{
	const uint32_t all = IMAP_HAS_MESSAGES | IMAP_HAS_UIDNEXT | IMAP_HAS_UIDVALIDITY |
			     IMAP_HAS_HIGHESTMODSEQ;

	if (owed > 0 || rec->uidvalidity == 0 ||
		(rec->state & (STORE_MAILBOX_SUSPECT | STORE_MAILBOX_MATCHING)))
		return false;
	if (old_skip && (told->items & IMAP_HAS_UIDNEXT) && (told->items & IMAP_HAS_UIDVALIDITY))
		return told->uidvalidity == rec->uidvalidity && told->uidnext == rec->uidnext &&
		       rec->uidnext > 0;
	if ((told->items & all) != all || !(rec->state & STORE_MAILBOX_WHOLE))
		return false;
	/* A mod-sequence of 0 proves nothing (Q83). */
	return told->highestmodseq > 0 && told->highestmodseq == rec->highestmodseq &&
	       told->uidvalidity == rec->uidvalidity && told->uidnext == rec->uidnext &&
	       told->messages == rec->messages;
}

struct plan_pull plan_pull(const struct store_mailbox *rec, const struct plan_told *told,
	const struct plan_means *means)
{
	struct plan_pull p = { .ladder = PLAN_NONE, .examine = !means->no_examine };
	bool told_next = (told->items & IMAP_HAS_UIDNEXT) && told->uidnext > 0;

	p.old_last = rec->lastseen;
	p.uidnext = told_next ? told->uidnext : 0;
	/* An equal UIDNEXT says that nothing is new, but only where the last sync finished: an
	 * interrupted one has lastseen below it and no UIDNEXT in the record. */
	p.ask_new = !(told_next && rec->uidnext == told->uidnext);
	if (rec->lastseen == 0 || means->old_skip)
		return p;
	if (means->cold || rec->highestmodseq == 0)
		p.ladder = PLAN_PLAIN;
	else if (means->qresync)
		p.ladder = PLAN_QRESYNC;
	else if (means->condstore)
		p.ladder = PLAN_CONDSTORE;
	else
		p.ladder = PLAN_PLAIN;
	if (p.ladder == PLAN_QRESYNC || p.ladder == PLAN_CONDSTORE)
		p.since = rec->highestmodseq;
	return p;
}

enum plan_verdict plan_select(const struct store_mailbox *rec, const struct plan_selected *sel,
	bool examined)
{
	if (sel->uidvalidity == 0)
		return PLAN_NO_UIDS;
	if (rec->uidvalidity == 0)
		return PLAN_GO_ON;
	/* Another mailbox under the same name, whatever its UIDVALIDITY (S2). */
	if (sel->mailboxid && rec->mailboxid && strcmp(sel->mailboxid, rec->mailboxid) != 0)
		return PLAN_RESET;
	if (sel->uidvalidity != rec->uidvalidity)
		return examined ? PLAN_CONFIRM : PLAN_RESET;
	/* S16: what goes back at a SELECT (Q62) was restored from a backup; its UIDs may be used again for
	 * other messages. A UIDNEXT or mod-sequence that is not told says nothing (Q71). */
	if (sel->uidnext > 0 && (sel->uidnext < rec->uidnext || sel->uidnext <= rec->lastseen))
		return examined ? PLAN_CONFIRM : PLAN_RESET;
	if (sel->highestmodseq > 0 && !sel->nomodseq && sel->highestmodseq < rec->highestmodseq)
		return examined ? PLAN_CONFIRM : PLAN_RESET;
	return PLAN_GO_ON;
}

uint32_t plan_range_width(uint32_t first, uint32_t uidnext)
{
	uint32_t width = uidnext > first ? (uidnext - first) / RANGES_MAX + 1 : 1;

	return width < RANGE_UIDS ? RANGE_UIDS : width;
}

uint32_t plan_range_end(uint32_t first, uint32_t width, uint32_t uidnext)
{
	uint64_t end = (uint64_t)first + width - 1;

	/* The last range is open, for what arrived since. */
	return end + 1 >= uidnext ? 0 : (uint32_t)end;
}

bool plan_is_aged(const struct conf_mailbox_rules *rules, int64_t now, int64_t date)
{
	return rules->bodies.newer_s > 0 && date < now - rules->bodies.newer_s;
}

static bool chosen(const struct conf_mailbox_rules *rules, int64_t now, int64_t date, uint64_t size,
	uint32_t system_flags)
{
	const struct conf_bodies *b = &rules->bodies;

	if (b->none)
		return false;
	/* Where age alone lets go of a message, its flag holds it, and brings it back. */
	if (plan_is_aged(rules, now, date) && !(rules->drop_aged && (system_flags & MAIL_FLAGGED)))
		return false;
	if (b->smaller > 0 && size >= b->smaller)
		return false;
	if (b->flagged && !(system_flags & MAIL_FLAGGED))
		return false;
	return !(b->unseen && (system_flags & MAIL_SEEN));
}

enum plan_body plan_body(const struct conf_mailbox_rules *rules, int64_t now, int64_t date,
	uint64_t size, uint32_t system_flags)
{
	if (!chosen(rules, now, date, size, system_flags))
		return PLAN_BODY_NONE;
	if (rules->max_size == 0 || size <= rules->max_size)
		return PLAN_BODY_WHOLE;
	if (rules->large != CONF_STAND_IN)
		return PLAN_BODY_NONE;
	/* The stand-in says: flag it, and it comes. So what is flagged already comes at once. */
	return system_flags & MAIL_FLAGGED ? PLAN_BODY_WHOLE : PLAN_BODY_STAND_IN;
}
