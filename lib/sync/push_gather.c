/* Push, gathering: which actions are done together, as the next batch.
 *
 * A batch begins with the first action that has not had its turn, and takes in what is like it and waits for
 * nothing. What is not like it is passed, and has its turn afterwards; so a queue in which moves to two mailboxes
 * alternate is two batches, not one for each. Nothing is reordered across a dependency (R9): an action on a
 * message waits for every earlier one on it, passed or not, and nothing overtakes an action on a mailbox itself. */
#include <stdlib.h>
#include <string.h>

#include "sync/push_private.h"

#define VAIN_STEPS 16 /* so far ahead an expunge is looked for; no further, or it costs more than it saves */
/* So much is passed for one batch. */
#define PASS_ACTIONS 1000
#define PASS_MESSAGES 50000

static bool is_blocked_mailbox(const struct push *p, uint32_t id)
{
	for (size_t i = 0; i < p->blocked_count && id != 0; i++)
		if (p->blocked[i] == id)
			return true;
	return false;
}

static void block_mailbox(struct push *p, uint32_t id)
{
	if (is_blocked_mailbox(p, id))
		return;
	p->blocked = mem_grow(p->blocked, p->blocked_count + 1, sizeof *p->blocked);
	p->blocked[p->blocked_count++] = id;
}

static bool is_of_mailbox(const struct store_action *a)
{
	return a->verb == QUEUE_CREATE || a->verb == QUEUE_DELETE || a->verb == QUEUE_RENAME ||
	       a->verb == QUEUE_SUBSCRIBE || a->verb == QUEUE_UNSUBSCRIBE;
}

static const struct push_kind *kind_of(const struct store_action *a, const struct store_part *part)
{
	if (is_of_mailbox(a))
		return &push_box;
	if (a->state == STORE_ACTION_INTENT && a->verb != QUEUE_EXPUNGE && !(part->state & STORE_PART_COPIED))
		return &push_look;
	if (part->state & STORE_PART_UPLOAD)
		return &push_append;
	switch ((enum queue_verb)a->verb) {
	case QUEUE_FLAG:
		return &push_flags;
	case QUEUE_APPEND:
		return &push_append;
	case QUEUE_EXPUNGE:
		return &push_expunge;
	default:
		return &push_copy;
	}
}

/* Passed: messages of actions that the batch leaves for later ones. */

static size_t place_of(const struct push_numbers *n, uint64_t number)
{
	size_t at = (size_t)(number * 0x9e3779b97f4a7c15u >> 20) & (n->size - 1);

	while (n->numbers[at] != 0 && n->numbers[at] != number)
		at = (at + 1) & (n->size - 1);
	return at;
}

static bool is_passed(const struct push *p, uint64_t message)
{
	return p->passed.count > 0 && p->passed.numbers[place_of(&p->passed, message)] == message;
}

static void pass_message(struct push *p, uint64_t message)
{
	struct push_numbers *n = &p->passed;

	if (2 * n->count >= n->size) {
		struct push_numbers larger = { .size = n->size ? 2 * n->size : 256 };
		larger.numbers = mem_new(larger.size * sizeof *larger.numbers);
		for (size_t i = 0; i < n->size; i++)
			if (n->numbers[i])
				larger.numbers[place_of(&larger, n->numbers[i])] = n->numbers[i];
		larger.count = n->count;
		free(n->numbers);
		*n = larger;
	}
	if (is_passed(p, message))
		return;
	n->numbers[place_of(n, message)] = message;
	n->count++;
}

/* Later actions that are like the batch may overtake this one, but for those on its messages. */
static bool may_pass(const struct push *p, const struct store_action *a)
{
	return p->kind->joins && p->kind != &push_look && a->state == STORE_ACTION_WAITING && !is_of_mailbox(a) &&
	       a->attempts == 0 && p->passed_actions < PASS_ACTIONS && p->passed.count < PASS_MESSAGES;
}

static void pass_messages(struct push *p, const struct store_action *a)
{
	struct store_part part = { 0 };

	while (store_part_next(p->sync->store, a->number, part.message, &part))
		if (!(part.state & STORE_PART_FAILED))
			pass_message(p, part.message);
}

static void pass(struct push *p, const struct store_action *a)
{
	if (p->passed_actions++ == 0)
		p->passed_first = a->number;
	pass_messages(p, a);
}

/* Does an earlier action on the message stand before this one? Flag changes of one batch are done as one.
 * *behind: that action is in the batch, so this one is the next batch's. Else it is passed, or has not come to its end
 * in this run. */
static bool must_wait(struct push *p, const struct store_action *a, uint64_t message, bool *behind)
{
	struct store *store = p->sync->store;
	struct store_part part;
	uint64_t earlier = 0;
	uint64_t end = p->kind == &push_flags && p->count > 0 ? p->first.number : a->number;

	*behind = false;
	if (is_passed(p, message))
		return true;
	while (store_pending_next(store, message, earlier, &earlier) && earlier < end) {
		if (!store_part_get(store, earlier, message, &part) || (part.state & STORE_PART_LOCAL))
			continue;
		*behind = p->count > 0 && earlier >= p->first.number;
		return true;
	}
	return false;
}

static struct work *add_work(struct push *p, const struct store_action *a)
{
	struct work *w;

	if (p->count == p->size) {
		p->size = p->size ? 2 * p->size : 16;
		p->works = mem_grow(p->works, p->size, sizeof *p->works);
	}
	w = &p->works[p->count++];
	memset(w, 0, sizeof *w);
	w->action = a->number;
	mail_flags_init(&w->add);
	mail_flags_init(&w->remove);
	mail_flags_copy(&w->add, &a->add);
	mail_flags_copy(&w->remove, &a->remove);
	return w;
}

/* R14: its message is expunged by a later action, and neither copied nor moved before: nobody will see it. A
 * message that was never sent may have been moved, too. */
static bool is_vain(struct push *p, const struct store_action *a, uint64_t message)
{
	struct store_action later;
	uint64_t at = a->number;
	unsigned steps = 0;
	bool vain = false, on = true;

	if ((a->verb != QUEUE_FLAG && a->verb != QUEUE_APPEND) || (a->add.system & MAIL_DELETED) ||
		a->state != STORE_ACTION_WAITING)
		return false;
	store_action_init(&later);
	while (on && steps++ < VAIN_STEPS && store_pending_next(p->sync->store, message, at, &at)) {
		if (!store_action_get(p->sync->store, at, &later))
			continue;
		vain = later.verb == QUEUE_EXPUNGE && later.state == STORE_ACTION_WAITING;
		on = later.verb == QUEUE_FLAG || (a->verb == QUEUE_APPEND && later.verb == QUEUE_MOVE);
	}
	store_action_release(&later);
	return vain;
}

/* A message that was put elsewhere than its action said (on-missing-mailbox = use) is not where the next one
 * says either: it is looked for where it is. */
static uint32_t mailbox_of(struct push *p, uint64_t message)
{
	struct store_message m;
	uint32_t mailbox;

	store_message_init(&m);
	mailbox = store_message_get(p->sync->store, message, &m) ? m.mailbox : 0;
	store_message_release(&m);
	return mailbox;
}

static bool is_of_one_mailbox(const struct push_kind *kind)
{
	return kind == &push_copy || kind == &push_expunge || kind == &push_look;
}

static void add_part(struct push *p, const struct store_action *a, const struct store_part *part)
{
	struct store_message m;
	struct work *w;
	bool found;

	store_message_init(&m);
	found = store_message_get(p->sync->store, part->message, &m);
	w = add_work(p, a);
	w->message = part->message;
	w->state = part->state;
	w->made = part->made;
	w->mailbox = m.mailbox;
	w->uid = m.uid;
	if (part->state & STORE_PART_COPIED)
		w->outcome = WORK_COPIED;
	if (!found) {
		w->outcome = WORK_GONE;
	} else if (m.uid == 0 && !(m.state & STORE_HERE)) {
		w->outcome = WORK_LATER; /* its UID is found by the next pull */
		p->sync->queue_fresh = true;
	} else if (a->verb == QUEUE_MOVE && m.mailbox == a->to && p->kind == &push_copy &&
		   !(part->state & STORE_PART_COPIED)) {
		w->outcome = WORK_DONE; /* it is there already */
		w->new_uid = m.uid;
	} else if (is_vain(p, a, m.number)) {
		w->outcome = a->verb == QUEUE_APPEND ? WORK_VAIN : WORK_DONE;
		/* It may fail to be expunged, and the server was not told of these. */
		mail_flags_clear(&w->add);
		mail_flags_clear(&w->remove);
	} else if (a->attempts > PUSH_ATTEMPTS_ALONE && a->state == STORE_ACTION_WAITING) {
		push_fail_work(w, "the connection was lost %u times while it was sent", a->attempts);
	}
	if (p->kind == &push_append || p->kind == &push_look)
		p->octets += m.size;
	store_message_release(&m);
}

/* The rest of the action is the next batch's. But where something was passed the queue is gone through again from
 * there on, and what waited for that must have its turn then. */
static bool go_on_behind(struct push *p, const struct store_action *a, uint64_t message)
{
	if (p->passed_actions > 0)
		return false;
	p->part_action = a->number;
	p->part_after = message;
	return false;
}

/* The parts of the action that can be done now, of the batch's kind. True: all of them are in the batch. */
static bool add_parts(struct push *p, const struct store_action *a)
{
	struct store_part part = { .message = a->number == p->part_action ? p->part_after : 0 };
	uint64_t added = part.message;
	bool behind;

	while (store_part_next(p->sync->store, a->number, part.message, &part)) {
		if ((part.state & (STORE_PART_FAILED | STORE_PART_LOCAL)) ||
			((part.state & STORE_PART_MADE) && !(part.state & STORE_PART_UPLOAD)))
			continue;
		if (must_wait(p, a, part.message, &behind)) {
			if (behind)
				return go_on_behind(p, a, added);
			continue;
		}
		if (p->count == 0) {
			p->kind = kind_of(a, &part);
			p->first.number = a->number;
		} else if (kind_of(a, &part) != p->kind || p->count >= p->kind->works_max ||
			(is_of_one_mailbox(p->kind) && mailbox_of(p, part.message) != p->works[0].mailbox)) {
			return go_on_behind(p, a, added);
		}
		add_part(p, a, &part);
		added = part.message;
	}
	if (p->part_action == a->number)
		p->part_action = 0;
	return true;
}

static void begin_batch(struct push *p, const struct store_action *a)
{
	struct sync *s = p->sync;

	p->begun = true;
	store_action_get(s->store, a->number, &p->first);
	p->box = box_by_id(s, is_of_one_mailbox(p->kind) && p->works[0].mailbox ? p->works[0].mailbox : a->mailbox);
	p->to = box_by_id(s, a->verb == QUEUE_APPEND ? a->mailbox : a->to);
	p->row = 0;
	p->row_sent = p->missing = p->created = false;
	p->rounds = p->refused_together = 0;
	/* What was noted before it was sent counts, also where the copy is there and the source is still to go. */
	p->uidnext = p->first.state == STORE_ACTION_INTENT ? p->first.uidnext : 0;
	p->uidvalidity = p->first.state == STORE_ACTION_INTENT ? p->first.uidvalidity : 0;
	uids_clear(&p->others);
}

/* A mailbox is not deleted while that is in it which an earlier action is to take out of it (R9). */

static bool has_part_in(struct push *p, const struct store_action *a, uint32_t mailbox)
{
	struct store_part part = { 0 };
	bool has = false;

	while (!has && store_part_next(p->sync->store, a->number, part.message, &part))
		has = !(part.state & (STORE_PART_MADE | STORE_PART_UPLOAD | STORE_PART_COPIED)) &&
		      mailbox_of(p, part.message) == mailbox;
	return has;
}

/* The first such action that the deletion waits for, or one that it fails with; 0: none. */
static uint64_t taker(struct push *p, const struct store_action *deletion, bool *failed)
{
	bool force = deletion->options & FOLD_FORCE;
	struct store_action a;
	uint64_t found = 0;

	*failed = true;
	store_action_init(&a);
	for (uint64_t at = 0; *failed && store_action_next(p->sync->store, at, &a) && a.number < deletion->number;
		at = a.number) {
		bool waits = a.state == STORE_ACTION_WAITING || a.state == STORE_ACTION_INTENT;
		if ((a.verb != QUEUE_MOVE && a.verb != QUEUE_COPY) || (force && !waits) ||
			!has_part_in(p, &a, deletion->mailbox))
			continue;
		found = found && a.state == STORE_ACTION_FAILED ? found : a.number;
		*failed = a.state == STORE_ACTION_FAILED;
	}
	store_action_release(&a);
	return found;
}

/* False: not in this run. */
static bool begin_of_mailbox(struct push *p, struct store_action *a)
{
	bool failed = false;
	uint64_t needed = a->verb == QUEUE_DELETE ? taker(p, a, &failed) : 0;
	struct work *w;

	if (needed && !failed) {
		block_mailbox(p, a->mailbox);
		return false;
	}
	p->kind = &push_box;
	w = add_work(p, a);
	if (needed) {
		w->needed = needed;
		push_fail_work(w, "action %llu, which it needs, failed", (unsigned long long)needed);
	}
	begin_batch(p, a);
	return true;
}

/* True where the batch ends here. */
static bool consider(struct push *p, struct store_action *a)
{
	bool whole;

	if (a->state != STORE_ACTION_WAITING && a->state != STORE_ACTION_INTENT) {
		if (is_of_mailbox(a) && a->state == STORE_ACTION_UNKNOWN)
			block_mailbox(p, a->mailbox);
		if (a->state == STORE_ACTION_UNKNOWN || a->state == STORE_ACTION_HELD)
			pass_messages(p, a);
		return false;
	}
	if (is_blocked_mailbox(p, a->mailbox) || is_blocked_mailbox(p, a->to)) {
		pass_messages(p, a);
		return false;
	}
	if (p->count > 0 && (a->attempts >= PUSH_ATTEMPTS_ALONE || !p->kind->joins || !p->kind->joins(p, a))) {
		if (!may_pass(p, a))
			return true;
		pass(p, a);
		return false;
	}
	if (is_of_mailbox(a))
		return begin_of_mailbox(p, a);
	whole = add_parts(p, a);
	if (p->count > 0 && !p->begun)
		begin_batch(p, a);
	if (!whole)
		p->after = a->number - 1;
	return !whole || (p->count > 0 && (a->attempts >= PUSH_ATTEMPTS_ALONE || p->count >= p->kind->works_max));
}

static void begin(struct push *p)
{
	store_action_release(&p->first);
	p->count = 0;
	p->octets = 0;
	p->kind = NULL;
	p->begun = false;
	p->passed_actions = 0;
	p->passed.count = 0;
	if (p->passed.size)
		memset(p->passed.numbers, 0, p->passed.size * sizeof *p->passed.numbers);
}

bool push_gather(struct push *p)
{
	struct store_action a;
	bool end = false;

	begin(p);
	store_action_init(&a);
	while (!end && !p->stop && store_action_next(p->sync->store, p->after, &a)) {
		uint64_t before = p->after;
		p->after = a.number;
		end = consider(p, &a);
		/* It did not join: it begins the next one. */
		if (end && (p->count == 0 || p->works[p->count - 1].action != a.number) && p->after == a.number)
			p->after = before;
	}
	store_action_release(&a);
	if (p->passed_actions > 0 && p->passed_first <= p->after)
		p->after = p->passed_first - 1;
	return p->count > 0;
}
