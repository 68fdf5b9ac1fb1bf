/* Pull, the inbox: untagged responses are kept and counted here, and decide nothing. */
#include <stdlib.h>
#include <string.h>

#include "sync/pull_private.h"

#define UNTRUSTED_MAX 1000000u
#define EMAILID_MAX 255 /* RFC 8474 section 7 */

static void keep_identity(struct pull *p, const struct imap_resp *r, struct item *it)
{
	bool by_message_id = false;

	if ((r->fetch.items & IMAP_HAS_EMAILID) && r->fetch.emailid.len <= EMAILID_MAX) {
		it->emailid = (uint32_t)p->keywords.len;
		it->emailid_len = (uint32_t)r->fetch.emailid.len;
		buf_add_slice(&p->keywords, r->fetch.emailid);
	}
	for (size_t i = 0; i < r->fetch.section_count; i++) {
		const struct imap_section *section = &r->fetch.sections[i];
		if (section->nil || !slice_starts_nocase(section->spec, "HEADER"))
			continue;
		it->has_id = true;
		match_message_id(section->data, it->message_id);
	}
	if (!it->whole || it->uid <= p->plan.old_last)
		return;
	it->suspect = p->matching || match_suspects(pull_sync(p), it->date, it->size, it->emailid_len > 0,
						 &by_message_id);
	if (by_message_id && !it->has_id)
		uids_add(&p->suspects, it->uid);
}

/* A date or a size that cannot be read must not hide the message: then it is of now, and of unknown size,
 * which the haul settles. Flags alone are no descriptor (C8). */
static bool is_descriptor(const struct imap_resp *r)
{
	return (r->fetch.items & IMAP_HAS_FLAGS) &&
	       (r->fetch.items & (IMAP_HAS_DATE | IMAP_HAS_SIZE));
}

static void keep_item(struct pull *p, const struct imap_resp *r)
{
	struct item *it;

	/* Nothing is applied before the SELECT's OK; a server that never says it must not fill the memory. */
	if (!p->trusted && p->count >= UNTRUSTED_MAX) {
		struct err err;
		err_set(&err, ERR_LATER, ERR_ACCOUNT,
			"the server sent over %u messages of \"%s\" before it opened the mailbox", UNTRUSTED_MAX,
			p->visit.box->rec.name);
		account_fail(pull_sync(p), &err);
		return;
	}
	if (p->count == p->size) {
		p->size = p->size ? 2 * p->size : 64;
		p->items = mem_grow(p->items, p->size, sizeof *p->items);
	}
	it = &p->items[p->count++];
	memset(it, 0, sizeof *it);
	it->uid = r->fetch.uid;
	it->system = r->fetch.flags.system;
	it->whole = is_descriptor(r);
	it->date = r->fetch.items & IMAP_HAS_DATE ? r->fetch.date : pull_sync(p)->now;
	it->size = r->fetch.items & IMAP_HAS_SIZE ? r->fetch.size : 0;
	it->keywords = (uint32_t)p->keywords.len;
	/* Also those that FLAGS and PERMANENTFLAGS do not know (Q49). */
	for (size_t i = 0; i < r->fetch.flags.count; i++) {
		buf_add_slice(&p->keywords, r->fetch.flags.keywords[i]);
		buf_add_char(&p->keywords, ' ');
	}
	it->keywords_len = (uint32_t)(p->keywords.len - it->keywords);
	keep_identity(p, r, it);
	pull_sync(p)->inbox_items++;
}

static void on_fetch(struct pull *p, const struct imap_resp *r)
{
	uint32_t uid = r->fetch.uid;
	bool whole = is_descriptor(r);

	if (!(r->fetch.items & IMAP_HAS_UID))
		return; /* never applied by number (C8, Q28) */
	if (!uids_is_empty(&p->doubted))
		uids_remove_range(&p->doubted, uid, uid);
	if ((r->fetch.items & IMAP_HAS_SECTIONS) && !(r->fetch.items & IMAP_HAS_FLAGS) &&
		uids_has(&p->suspects, uid)) {
		keep_item(p, r);
		return;
	}
	if (!(r->fetch.items & IMAP_HAS_FLAGS))
		return;
	if (uid <= p->plan.old_last)
		uids_add(&p->seen, uid);
	else if (!whole && !uids_has(&p->refresh, uid))
		return; /* not a descriptor; if it was new, "new" brings one */
	else if (!p->plan.ask_new && !uids_has(&p->wanted, uid))
		return; /* `n:*` answers with what is older, too: what counts is the UID (Q29) */
	if (whole && !uids_has(&p->refresh, uid) &&
		(uid > p->plan.old_last || uids_has(&p->wanted, uid)))
		uids_add(&p->fresh, uid);
	keep_item(p, r);
	if (p->trusted && p->count - p->applied >= BATCH_MESSAGES)
		pull_pend(p);
}

/* What a SELECT tells comes before its tagged answer. */
static bool opens(const struct pull *p)
{
	return !p->trusted && p->unanswered[0] > 0;
}

static void on_cond(struct pull *p, const struct imap_resp *r)
{
	switch (r->cond.code) {
	case IMAP_UIDVALIDITY:
		/* Selected once more for a later row, and it is another mailbox now: from the start. */
		if (p->trusted && !p->passing && r->cond.code_number != p->visit.box->rec.uidvalidity)
			pull_leave(p, BOX_TO_PULL);
		p->sel.uidvalidity = r->cond.code_number;
		break;
	/* A later opening, for "list", does not tell what changed since the first one: the first one's
	 * values are what this sync will have seen (S7). The same for what comes behind its OK, which may
	 * even go back (Q62). */
	case IMAP_UIDNEXT:
		if (opens(p))
			p->sel.uidnext = (uint32_t)r->cond.code_number;
		break;
	case IMAP_HIGHESTMODSEQ:
		if (opens(p))
			p->sel.highestmodseq = r->cond.code_number;
		break;
	case IMAP_MAILBOXID:
		free(p->mailboxid);
		p->mailboxid = mem_copy_slice(r->cond.code_text);
		p->sel.mailboxid = p->mailboxid;
		break;
	case IMAP_NOMODSEQ:
		p->sel.nomodseq = true;
		break;
	case IMAP_UIDNOTSTICKY:
		p->sel.uidvalidity = 0;
		break;
	default:
		break;
	}
}

void pull_untagged(struct visit *v, const struct imap_resp *r)
{
	struct pull *p = (struct pull *)v;
	uint64_t n;

	if (p->state != PULL_ASKING)
		return;
	if (p->compared && (r->kind == IMAP_EXISTS || r->kind == IMAP_EXPUNGE || r->kind == IMAP_VANISHED))
		p->late = true;
	switch (r->kind) {
	case IMAP_COND:
		on_cond(p, r);
		break;
	case IMAP_EXISTS:
		p->sel.exists = r->number;
		p->sel.has_exists = true;
		break;
	case IMAP_EXPUNGE:
		if (p->sel.exists > 0)
			p->sel.exists--; /* which UID it was, "list" will tell: numbers are wrong (Q42, Q51) */
		break;
	case IMAP_VANISHED:
		uids_add_all(&p->gone, r->vanished.uids);
		n = uids_count(r->vanished.uids);
		if (!r->vanished.earlier)
			p->sel.exists = n < p->sel.exists ? p->sel.exists - (uint32_t)n : 0;
		break;
	case IMAP_FETCH:
		on_fetch(p, r);
		break;
	case IMAP_SEARCH:
	case IMAP_ESEARCH:
		uids_add_all(&p->listed, r->search.uids);
		p->has_list = true;
		break;
	default:
		break;
	}
}

void pull_forget_inbox(struct pull *p)
{
	struct sync *s = pull_sync(p);

	s->inbox_items -= p->count - p->applied;
	p->applied = p->count = 0;
	buf_clear(&p->keywords);
	uids_clear(&p->fresh);
	uids_clear(&p->gone);
}
