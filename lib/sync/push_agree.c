/* Push, the transactions: an intent before what must not run twice is sent (R10), and afterwards what it came
 * to: agreed states, parts that are done, actions that are over.
 *
 * A message that was appended, copied or moved without the server's telling its new UID becomes an orphan of its
 * new mailbox: the next pull recognizes it there (match.c), so it keeps its number, body and file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/push_private.h"

/* Intents */

static void note_intent(struct push *p, uint64_t number)
{
	struct store_action a;
	uint32_t *to;

	store_action_init(&a);
	if (store_action_get(p->sync->store, number, &a)) {
		to = a.verb == QUEUE_APPEND ? &a.mailbox : a.verb == QUEUE_COPY || a.verb == QUEUE_MOVE ? &a.to : NULL;
		/* A second one must not raise what was told before the first, but of another mailbox (R12: use). */
		if (a.state != STORE_ACTION_INTENT || (to && p->to && *to != p->to->rec.id)) {
			if (to && p->to)
				*to = p->to->rec.id;
			a.uidvalidity = p->uidvalidity;
			a.uidnext = p->uidnext;
			a.since = p->sync->now;
		}
		a.state = STORE_ACTION_INTENT;
		uids_copy(&a.others, &p->others);
		store_action_put(p->sync->store, &a);
	}
	store_action_release(&a);
}

bool push_note_intent(struct push *p)
{
	uint64_t last = 0;

	if (!batch_begin(p->sync))
		return false;
	for (size_t i = 0; i < p->count; i++) {
		const struct work *w = &p->works[i];
		if ((w->outcome == WORK_OPEN || w->outcome == WORK_COPIED) && w->action != last)
			note_intent(p, last = w->action);
	}
	point("push.before-intent");
	if (!batch_end(p->sync))
		return false;
	point("push.intent");
	return true;
}

/* What was sent and not answered (R11). Of an upload whose literal was refused, and the connection with it, the
 * next one finds out whether it was taken all the same; if not, it fails (STEP_REFUSED), or, refused together
 * with others, is sent alone. */
static void note_lost(struct store_action *a, const struct work *w, bool counts)
{
	a->attempts += counts;
	if (!w->refused)
		return;
	if (w->together) {
		a->attempts = a->attempts < PUSH_ATTEMPTS_ALONE ? PUSH_ATTEMPTS_ALONE : a->attempts;
		return;
	}
	a->step = PUSH_STEP_REFUSED;
	free(a->reason);
	a->reason = w->reason ? mem_copy(w->reason) : NULL;
}

static int by_action(const void *a, const void *b)
{
	const struct work *x = a, *y = b;

	return x->action < y->action ? -1 : x->action > y->action;
}

void push_note_lost(struct push *p, bool counts)
{
	struct store_action a;
	uint64_t last = 0;

	/* A loss counts once for each, however its messages stand. */
	qsort(p->works, p->count, sizeof *p->works, by_action);
	store_action_init(&a);
	for (size_t i = 0; i < p->count; i++) {
		const struct work *w = &p->works[i];
		if (!w->sent || (w->outcome != WORK_OPEN && w->outcome != WORK_COPIED) || w->action == last)
			continue;
		last = w->action;
		if (!store_action_get(p->sync->store, last, &a))
			continue;
		note_lost(&a, w, counts);
		store_action_put(p->sync->store, &a);
	}
	store_action_release(&a);
}

/* Results */

/* Somebody else's pull may have brought it in as a new message meanwhile (`sync --pull`): it is ours. */
static void make_room(struct push *p, struct store_message *m, uint32_t mailbox, uint32_t uid)
{
	struct sync *s = p->sync;
	struct store_message other;

	store_message_init(&other);
	if (store_message_by_uid(s->store, mailbox, uid, &other) && other.number != m->number) {
		if (other.state & STORE_SHOWN)
			batch_project_shown(s, STORE_REMOVE, &other);
		if (!m->body && other.body)
			m->body = other.body;
		store_message_delete(s->store, other.number);
	}
	store_message_release(&other);
}

static void told_validity(struct push *p, struct box *box)
{
	if (box->rec.uidvalidity == 0 && p->uidvalidity != 0) {
		box->rec.uidvalidity = p->uidvalidity;
		box->rec_changed = true;
	}
}

/* The message is in that mailbox of the server now. */
static void arrive_at(struct push *p, struct store_message *m, struct box *box, uint32_t uid)
{
	const uint32_t lost = STORE_HERE | STORE_ORPHAN | STORE_UNMATCHED;

	m->mailbox = box->rec.id;
	m->uid = uid;
	m->state = (m->state & ~lost) | STORE_OURS | (uid ? 0 : STORE_ORPHAN);
	told_validity(p, box);
	if (uid) {
		make_room(p, m, box->rec.id, uid);
		if (!m->body && !(m->state & STORE_SHOWN))
			box_owe(box, m);
		return;
	}
	m->state &= ~(uint32_t)(STORE_BODY_OWED | STORE_BODY_FAILED);
	box->rec.state |= STORE_MAILBOX_MATCHING;
	box->rec_changed = true;
}

static void copy_done(struct push *p, const struct work *w, const struct store_message *source)
{
	struct sync *s = p->sync;
	struct store_message copy;

	store_message_init(&copy);
	if (store_message_get(s->store, w->made, &copy) && (copy.state & STORE_HERE)) {
		if (!copy.body)
			copy.body = source->body;
		/* What a server copies is its own flags. */
		mail_flags_copy(&copy.flags, &source->flags);
		arrive_at(p, &copy, p->to, w->new_uid);
		store_part_delete(s->store, w->action, w->made);
		show_update(s, &copy);
		store_message_put(s->store, &copy);
	}
	store_message_release(&copy);
}

static void expunge_done(struct push *p, struct store_message *m)
{
	struct sync *s = p->sync;

	if (m->state & STORE_SHOWN)
		batch_project_shown(s, STORE_REMOVE, m);
	store_message_delete(s->store, m->number);
}

static void work_done(struct push *p, const struct work *w, struct store_message *m)
{
	struct sync *s = p->sync;
	bool upload = p->first.verb == QUEUE_APPEND || (w->state & STORE_PART_UPLOAD);

	store_part_delete(s->store, w->action, w->message);
	if (w->carried)
		return;
	if (p->first.verb == QUEUE_EXPUNGE) {
		expunge_done(p, m);
		return;
	}
	if (p->first.verb == QUEUE_COPY && !upload)
		copy_done(p, w, m);
	else if (upload || p->first.verb == QUEUE_MOVE)
		arrive_at(p, m, p->to, w->new_uid);
	if (p->first.verb == QUEUE_FLAG || p->first.verb == QUEUE_MOVE)
		mail_flags_change(&m->flags, &w->add, &w->remove);
	show_update(s, m);
	store_message_put(s->store, m);
}

static void part_state(struct push *p, const struct work *w, uint32_t state)
{
	struct store_part part;

	if (!store_part_get(p->sync->store, w->action, w->message, &part))
		return;
	part.state |= state;
	store_part_put(p->sync->store, &part);
}

static void note_reason(struct push *p, const struct work *w)
{
	struct store_action a;

	store_action_init(&a);
	if (w->reason && store_action_get(p->sync->store, w->action, &a) && !a.reason) {
		a.reason = mem_copy(w->reason);
		store_action_put(p->sync->store, &a);
	}
	store_action_release(&a);
}

static void agree_gone(struct push *p, const struct work *w, struct store_message *m, bool known)
{
	struct sync *s = p->sync;
	struct box *box = box_by_id(s, w->mailbox);

	if (!known) {
		settle_missing(s, w->action, w->message);
		return;
	}
	/* The pull will find out whether it is really gone: its record stays until then, its actions do not. */
	settle_gone(s, m);
	p->again = p->again || s->account->on_message_gone == CONF_GONE_UPLOAD;
	if (s->account->on_message_gone == CONF_GONE_ABORT &&
		(p->first.verb == QUEUE_COPY || p->first.verb == QUEUE_MOVE))
		p->stop = true;
	if (box) {
		box->rec.state |= STORE_MAILBOX_SUSPECT;
		box->rec_changed = true;
	}
}

static void agree_work(struct push *p, const struct work *w)
{
	struct sync *s = p->sync;
	struct store_message m;
	bool known;

	store_message_init(&m);
	known = store_message_get(s->store, w->message, &m);
	switch (w->outcome) {
	case WORK_DONE:
		if (known)
			work_done(p, w, &m);
		else
			store_part_delete(s->store, w->action, w->message);
		break;
	case WORK_COPIED:
		part_state(p, w, STORE_PART_COPIED);
		break;
	case WORK_VAIN:
		if (known)
			settle_vain(p->sync, &m);
		break;
	case WORK_GONE:
		agree_gone(p, w, &m, known);
		break;
	case WORK_LOCAL:
		part_state(p, w, STORE_PART_LOCAL);
		note_reason(p, w);
		break;
	case WORK_FAILED:
		if (w->message)
			settle_fail_part(s, w->action, w->message, 0, w->reason);
		break;
	case WORK_OPEN:
	case WORK_UNKNOWN:
	case WORK_LATER:
		break;
	}
	store_message_release(&m);
}

/* An action whose works are answered, or were not sent, has no intent any more. One whose copies still have their
 * sources does: the copies lie above its UIDNEXT. What is still to be done keeps the count of its losses (R11). */
static void agree_action(struct push *p, uint64_t number, bool open, bool undone, const struct work *unknown)
{
	struct store_action a;
	uint32_t attempts;

	if (unknown) {
		settle_unknown(p->sync, number, unknown->reason);
		return;
	}
	store_action_init(&a);
	if (store_action_get(p->sync->store, number, &a) && a.state == STORE_ACTION_INTENT) {
		if (!open) {
			attempts = undone ? a.attempts : 0;
			a.state = STORE_ACTION_WAITING;
			settle_forget_intent(&a);
			a.attempts = attempts;
		} else if (uids_is_empty(&p->others) && uids_is_empty(&p->first.others)) {
			uids_clear(&a.others); /* they have their marks again */
		}
		store_action_put(p->sync->store, &a);
	}
	store_action_release(&a);
	settle_over(p->sync, number);
}

void push_agree(struct push *p)
{
	qsort(p->works, p->count, sizeof *p->works, by_action);
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].message)
			agree_work(p, &p->works[i]);
	for (size_t i = 0; i < p->count;) {
		const struct work *unknown = NULL;
		uint64_t number = p->works[i].action;
		bool open = false, undone = false;
		for (; i < p->count && p->works[i].action == number; i++) {
			const struct work *w = &p->works[i];
			open = open || w->outcome == WORK_COPIED || (w->outcome == WORK_OPEN && w->sent);
			undone = undone || w->outcome == WORK_OPEN;
			if (w->outcome == WORK_UNKNOWN)
				unknown = w;
		}
		if (p->works[i - 1].message || p->works[i - 1].outcome == WORK_DONE)
			agree_action(p, number, open, undone, unknown);
		else if (p->works[i - 1].outcome == WORK_FAILED)
			settle_fail(p->sync, number, p->works[i - 1].needed, "%s", p->works[i - 1].reason);
	}
}
