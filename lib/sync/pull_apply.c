/* Pull, the transaction: what the inbox holds becomes records, and projections where the Maildir has
 * to follow. Each piece is true by itself, so it may be applied before the rest has come; what the
 * mailbox was as a whole (mod-sequence, MESSAGES) is written last, by pull_finish. */
#include "sync/actions.h"
#include "sync/pull_private.h"

#define MANY_GONE 20

static void item_flags(struct pull *p, const struct item *it, struct mail_flags *flags)
{
	if (it->keywords_len)
		mail_flags_parse(flags,
			(struct slice){ p->keywords.data + it->keywords, it->keywords_len });
	flags->system |= it->system;
}

static void apply_new(struct pull *p, struct store_message *m, const struct item *it)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);

	store_message_release(m);
	store_message_init(m);
	m->mailbox = box->rec.id;
	m->uid = it->uid;
	m->date = it->date;
	m->size = it->size;
	item_flags(p, it, &m->flags);
	if (it->emailid_len)
		m->emailid = mem_copy_slice(
			(struct slice){ p->keywords.data + it->emailid, it->emailid_len });
	memcpy(m->message_id, it->message_id, sizeof m->message_id);
	/* Blind: what arrives is wanted whatever `bodies` says, guarded by its size (S11). */
	if (box->rules.bodies_at_once && p->plan.old_last > 0 &&
		(box->rules.max_size == 0 || m->size <= box->rules.max_size))
		m->state |= STORE_WANTED;
	if (it->suspect) {
		m->state |= STORE_UNMATCHED;
		box->rec.state |= STORE_MAILBOX_MATCHING;
		box->rec_changed = true;
	} else {
		box_owe(box, m);
	}
	box->result.added++;
	store_message_put(s->store, m);
}

/* The Maildir follows. Nobody's change of the file's name is overwritten: it is renamed by the difference
 * (project.c). */
static void apply_flags(struct pull *p, struct store_message *m, const struct mail_flags *flags)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);

	mail_flags_copy(&m->flags, flags);
	if (!(m->state & STORE_UNMATCHED))
		box_owe(box, m);
	show_update(s, m);
	box->result.flagged++;
	store_message_put(s->store, m);
}

/* The answer to "ids". */
static void learn_id(struct pull *p, struct store_message *m, const struct item *it)
{
	struct sync *s = pull_sync(p);

	if (!store_message_by_uid(s->store, p->visit.box->rec.id, it->uid, m))
		return;
	memcpy(m->message_id, it->message_id, sizeof m->message_id);
	store_message_put(s->store, m);
}

static void apply_item(struct pull *p, struct store_message *m, const struct item *it)
{
	struct sync *s = pull_sync(p);
	struct mail_flags flags;

	if (it->has_id && !it->whole) {
		learn_id(p, m, it);
		return;
	}
	if (!store_message_by_uid(s->store, p->visit.box->rec.id, it->uid, m)) {
		if (it->whole && uids_has(&p->fresh, it->uid))
			apply_new(p, m, it);
		return;
	}
	mail_flags_init(&flags);
	item_flags(p, it, &flags);
	if (!mail_flags_equal(&flags, &m->flags))
		apply_flags(p, m, &flags);
	mail_flags_release(&flags);
}

static void apply_gone_message(struct pull *p, struct store_message *m)
{
	struct sync *s = pull_sync(p);

	p->visit.box->result.removed++;
	p->removed++;
	if (settle_gone(s, m))
		return; /* its body will be uploaded (R12) */
	if (m->state & STORE_SHOWN)
		batch_project_shown(s, STORE_REMOVE, m);
	store_message_delete(s->store, m->number);
}

/* True where more is left. What is done goes from the set once, at the end: it may have as many ranges as
 * a hostile server likes. */
static bool apply_gone(struct pull *p, struct store_message *m, unsigned *limit)
{
	struct sync *s = pull_sync(p);
	uint32_t done = 0;

	for (size_t i = 0; i < p->gone.count && *limit > 0; i++) {
		struct uid_range r = p->gone.ranges[i];
		uint32_t at = r.first - 1;

		while (*limit > 0 && store_message_next(s->store, p->visit.box->rec.id, at, m) &&
			m->uid <= r.last) {
			at = m->uid;
			apply_gone_message(p, m);
			--*limit;
		}
		done = *limit > 0 ? r.last : at;
	}
	if (done)
		uids_remove_range(&p->gone, 1, done);
	return !uids_is_empty(&p->gone);
}

/* S3: only answered ranges, without a gap. */
static void raise_lastseen(struct pull *p)
{
	struct box *box = p->visit.box;

	for (size_t i = 0; i < p->answered.count; i++) {
		struct uid_range r = p->answered.ranges[i];
		if (box->rec.lastseen < UID_MAX && r.first <= box->rec.lastseen + 1 &&
			r.last > box->rec.lastseen) {
			box->rec.lastseen = r.last;
			box->rec_changed = true;
		}
	}
}

/* The server is the master copy, so what it no longer has goes here; but nobody should learn of it by
 * chance. */
static void tell_many_gone(struct pull *p)
{
	if (p->removed >= MANY_GONE && p->removed * 4 > p->known_before)
		account_note(pull_sync(p), SYNC_WARNING, p->visit.box->rec.name,
			"%llu of %llu messages are gone from the server, and so from here",
			(unsigned long long)p->removed, (unsigned long long)p->known_before);
}

/* Everything asked for is in the store: what the mailbox was at this SELECT may be noted (S7). */
static void pull_finish(struct pull *p)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);
	uint64_t known = store_mailbox_counts(s->store, box->rec.id).messages;
	/* A dry run's transactions are thrown away one by one: nothing can be counted. */
	bool whole = s->options.dry_run || (p->sel.has_exists && known == p->sel.exists &&
							 !box->rules.old_skip);
	bool modseq = p->condstore && !p->sel.nomodseq;

	box->rec.uidnext = p->sel.uidnext ? p->sel.uidnext : p->plan.uidnext;
	if (whole) {
		box->rec.messages = (uint32_t)known;
		box->rec.highestmodseq = modseq ? p->sel.highestmodseq : 0;
		box->rec.state |= STORE_MAILBOX_WHOLE;
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_SUSPECT;
	} else if (!box->rules.old_skip) {
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_WHOLE;
		account_note(s, p->has_list || p->late || p->opened > 1 ? SYNC_INFO : SYNC_FAILURE, box->rec.name,
			"the server speaks of %lu messages and lists %llu; it is looked at again next time",
			(unsigned long)p->sel.exists, (unsigned long long)known);
	}
	tell_many_gone(p);
	box->rec.synced = s->now;
	box->rec_changed = true;
	if (box->pulls == 1)
		s->progress.mailboxes_done++;
	pull_leave(p, BOX_IDLE);
	box_pull_again(box);
}

static bool apply_reset(struct pull *p, unsigned limit)
{
	struct box *box = p->visit.box;

	if (reset_some(box, limit))
		return true;
	box->rec.uidvalidity = p->sel.uidvalidity;
	pull_take_mailboxid(p); /* or the next opening would begin anew again */
	box->rec.uidnext = box->rec.messages = box->rec.lastseen = 0;
	box->rec.highestmodseq = 0;
	box->rec.state &= ~(uint32_t)STORE_MAILBOX_WHOLE;
	box->rec.state |= STORE_MAILBOX_MATCHING;
	box->rec_changed = true;
	box->by_select = false;
	box->session = p->passing && p->visit.link ? p->visit.link->serial : 0;
	box->haul_after = 0;
	pull_leave(p, BOX_TO_PULL);
	return false;
}

bool pull_is_homeless(const struct pull *p)
{
	return p->visit.box->rec.id == 0;
}

bool pull_apply(struct pull *p, unsigned limit)
{
	struct sync *s = pull_sync(p);
	struct store_message m;
	bool more;

	if (p->state == PULL_RESETTING)
		return apply_reset(p, limit);
	if (!p->trusted || p->state == PULL_OVER)
		return false;
	store_message_init(&m);
	while (p->applied < p->count && limit > 0) {
		const struct item *it = &p->items[p->applied++];
		apply_item(p, &m, it);
		uids_remove_range(&p->fresh, it->uid, it->uid);
		s->inbox_items--;
		limit--;
	}
	more = p->applied < p->count || apply_gone(p, &m, &limit);
	store_message_release(&m);
	if (more)
		return true;
	p->applied = p->count = 0;
	buf_clear(&p->keywords);
	raise_lastseen(p);
	if (p->state != PULL_ANSWERED)
		return false;
	if (p->drained) {
		pull_leave(p, BOX_TO_PULL);
		return false;
	}
	if ((p->visit.box->rec.state & STORE_MAILBOX_MATCHING) && match_some(p->visit.box, &limit))
		return true;
	pull_finish(p);
	return false;
}

bool pull_is_over(const struct pull *p)
{
	return p->state == PULL_OVER;
}

bool pull_wants_apply(const struct pull *p)
{
	return p->state == PULL_ANSWERED || p->state == PULL_RESETTING;
}
