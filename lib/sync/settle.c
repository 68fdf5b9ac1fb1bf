/* Settle: what becomes of an action (R9, R12, R13). All in a transaction.
 *
 * An action has a part for each of its messages. A part that is done is deleted, one that failed stays and is
 * pending no more, so that the Maildir shows the server's truth again (show.c). When no part is left to be
 * done the action is over: without parts it is done and forgotten, else it stays in the queue with its reason.
 *
 * What failed takes with it, by name, what cannot be without it: later actions on a message that was not
 * appended, copied or moved there, and on a mailbox that was not created or renamed. Nothing else. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"
#include "sync/actions.h"

const char *settle_verb(const struct store_action *a)
{
	const char *name = queue_verb_name((enum queue_verb)a->verb);

	return *name ? name : "action";
}

const char *settle_mailbox_name(struct sync *s, uint32_t id)
{
	for (const struct box *box = s->boxes; box; box = box->next)
		if (box->rec.id == id && id != 0)
			return box->rec.name;
	return NULL;
}

static void tell(struct sync *s, const struct store_action *a, enum sync_outcome outcome)
{
	struct sync_action told = { a->number, settle_verb(a), settle_mailbox_name(s, a->mailbox), outcome,
		a->reason };
	const char *word = outcome == SYNC_ACTION_FAILED ? "failed" : "may have been done or not";

	if (s->folding_again)
		return;
	if (outcome == SYNC_ACTION_LOCAL)
		account_note(s, SYNC_WARNING, told.mailbox, "action %llu (%s) stays here: %s",
			(unsigned long long)a->number, told.verb, a->reason);
	else if (outcome != SYNC_ACTION_DONE)
		account_note(s, SYNC_FAILURE, told.mailbox, "action %llu (%s) %s: %s",
			(unsigned long long)a->number, told.verb, word, a->reason);
	if (s->events.acted)
		s->events.acted(s->arg, &told);
}

/* What is left of it to be done: nothing at all, or only what failed, or only what stays here? */
struct leftovers {
	bool any, open, failed, local;
};

static struct leftovers look(struct sync *s, uint64_t action)
{
	struct leftovers l = { 0 };
	struct store_part p = { 0 };

	while (!l.open && store_part_next(s->store, action, p.message, &p)) {
		l.any = true;
		if (p.state & STORE_PART_FAILED)
			l.failed = true;
		else if (p.state & STORE_PART_LOCAL)
			l.local = true;
		else
			l.open = true;
	}
	return l;
}

void settle_forget_intent(struct store_action *a)
{
	a->attempts = a->step = a->looks = a->uidnext = 0;
	a->since = 0;
	uids_clear(&a->others);
}

void settle_put_state(struct sync *s, struct store_action *a, enum store_action_state state)
{
	a->state = state;
	settle_forget_intent(a);
	store_action_put(s->store, a);
}

void settle_over(struct sync *s, uint64_t action)
{
	struct store_action a;
	struct leftovers left = look(s, action);

	store_action_init(&a);
	if (left.open || !store_action_get(s->store, action, &a)) {
		store_action_release(&a);
		return;
	}
	if (left.failed || (!left.any && a.state == STORE_ACTION_FAILED)) {
		settle_put_state(s, &a, STORE_ACTION_FAILED);
		tell(s, &a, SYNC_ACTION_FAILED);
	} else if (left.local) {
		settle_put_state(s, &a, STORE_ACTION_LOCAL);
		tell(s, &a, SYNC_ACTION_LOCAL);
	} else {
		store_action_delete(s->store, action);
		tell(s, &a, SYNC_ACTION_DONE);
	}
	store_action_release(&a);
}

static void set_reason(struct sync *s, uint64_t action, uint64_t blocked_by, const char *reason)
{
	struct store_action a;

	store_action_init(&a);
	if (store_action_get(s->store, action, &a) && !a.reason) {
		a.reason = mem_copy(reason);
		a.blocked_by = blocked_by;
		store_action_put(s->store, &a);
	}
	store_action_release(&a);
}

static bool makes_or_moves(struct sync *s, uint64_t action)
{
	struct store_action a;
	bool yes;

	store_action_init(&a);
	yes = store_action_get(s->store, action, &a) &&
	      (a.verb == QUEUE_APPEND || a.verb == QUEUE_COPY || a.verb == QUEUE_MOVE);
	store_action_release(&a);
	return yes;
}

/* Without its message's later actions, and without a look at what is shown then. False: it had failed before.
 * *made: the message that it would have made. */
static bool fail_one(struct sync *s, uint64_t action, uint64_t message, uint64_t blocked_by,
	const char *reason, uint64_t *made)
{
	struct store_part p;

	set_reason(s, action, blocked_by, reason);
	if (!store_part_get(s->store, action, message, &p) || (p.state & STORE_PART_FAILED))
		return false;
	p.state |= STORE_PART_FAILED;
	store_part_put(s->store, &p);
	*made = p.made;
	return true;
}

/* Those of the message's later actions that cannot be without this one. There may be thousands of them, each of
 * which needs the one before: they fail one after the other, and what is shown follows once (by the caller). */
static void fail_later(struct sync *s, uint64_t message, uint64_t action, const char *what)
{
	char reason[80];
	uint64_t later = action, needed = action, made;

	while (store_pending_next(s->store, message, later, &later)) {
		snprintf(reason, sizeof reason, "action %llu, which it needs, %s", (unsigned long long)needed,
			needed == action ? what : "failed");
		if (fail_one(s, later, message, needed, reason, &made)) {
			if (made)
				settle_fail_part(s, later, made, needed, reason);
			else if (makes_or_moves(s, later))
				needed = later;
		}
		settle_over(s, later);
	}
}

void settle_fail_part(struct sync *s, uint64_t action, uint64_t message, uint64_t blocked_by,
	const char *reason)
{
	uint64_t made;

	if (!fail_one(s, action, message, blocked_by, reason, &made))
		return;
	if (made)
		settle_fail_part(s, action, made, blocked_by, reason);
	else if (makes_or_moves(s, action))
		fail_later(s, message, action, "failed");
	show_number(s, message);
}

/* Later actions of a mailbox that was not made, up to one that makes it again. */
static void fail_mailbox(struct sync *s, uint32_t mailbox, uint64_t action, const char *what)
{
	struct store_action a;
	uint64_t at = action;

	store_action_init(&a);
	while (store_action_next(s->store, at, &a)) {
		at = a.number;
		if (a.verb == QUEUE_CREATE && a.mailbox == mailbox && a.state == STORE_ACTION_WAITING)
			break;
		if (a.state == STORE_ACTION_WAITING && (a.mailbox == mailbox || a.to == mailbox))
			settle_fail(s, at, action, "action %llu, which it needs, %s",
				(unsigned long long)action, what);
	}
	store_action_release(&a);
}

void settle_fail(struct sync *s, uint64_t action, uint64_t blocked_by, const char *fmt, ...)
{
	struct store_part p = { 0 };
	struct store_action a;
	char reason[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	set_reason(s, action, blocked_by, reason);
	while (store_part_next(s->store, action, p.message, &p))
		settle_fail_part(s, action, p.message, blocked_by, reason);
	store_action_init(&a);
	if (store_action_get(s->store, action, &a)) {
		settle_put_state(s, &a, STORE_ACTION_FAILED);
		settle_over(s, action);
		if (a.verb == QUEUE_CREATE || a.verb == QUEUE_RENAME)
			fail_mailbox(s, a.mailbox, action, "failed");
	}
	store_action_release(&a);
}

void settle_unknown(struct sync *s, uint64_t action, const char *reason)
{
	struct store_action a;

	store_action_init(&a);
	if (store_action_get(s->store, action, &a)) {
		free(a.reason);
		a.reason = mem_copy(reason);
		a.state = STORE_ACTION_UNKNOWN;
		store_action_put(s->store, &a);
		tell(s, &a, SYNC_ACTION_UNKNOWN);
	}
	store_action_release(&a);
}

/* A message that exists only here, and that nothing will make any more. */
void settle_unmake(struct sync *s, uint64_t action, uint64_t message, const char *what)
{
	struct store_message m;

	fail_later(s, message, action, what);
	store_message_init(&m);
	if (store_message_get(s->store, message, &m) && (m.state & STORE_HERE)) {
		if (m.state & STORE_SHOWN)
			batch_project_shown(s, STORE_REMOVE, &m);
		store_message_delete(s->store, message);
	}
	store_message_release(&m);
}

static void drop_part(struct sync *s, const struct store_action *a, const struct store_part *p)
{
	store_part_delete(s->store, a->number, p->message);
	if (a->verb == QUEUE_APPEND || (p->state & (STORE_PART_MADE | STORE_PART_UPLOAD))) {
		settle_unmake(s, a->number, p->message, "was dropped");
		return;
	}
	if (a->verb == QUEUE_MOVE)
		fail_later(s, p->message, a->number, "was dropped");
	show_number(s, p->message);
}

void settle_drop(struct sync *s, uint64_t action)
{
	struct store_action a;
	struct store_part p = { 0 };

	store_action_init(&a);
	if (store_action_get(s->store, action, &a)) {
		while (store_part_next(s->store, action, p.message, &p))
			drop_part(s, &a, &p);
		store_action_delete(s->store, action);
		if (a.verb == QUEUE_CREATE || a.verb == QUEUE_RENAME)
			fail_mailbox(s, a.mailbox, action, "was dropped");
	}
	store_action_release(&a);
}

/* Mailboxes that no action will make any more */

static bool is_named(struct sync *s, uint32_t mailbox)
{
	struct store_action a;
	bool named = false;

	store_action_init(&a);
	for (uint64_t at = 0; !named && store_action_next(s->store, at, &a); at = a.number)
		named = a.mailbox == mailbox || a.to == mailbox;
	store_action_release(&a);
	return named;
}

static void unmake_mailbox(struct sync *s, struct box *box)
{
	struct store_each at = { 0 };
	struct store_message m;

	store_message_init(&m);
	if (box->rec.uidvalidity || store_message_each(s->store, box->rec.id, &at, &m)) {
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_HERE;
		box->rec.state |= STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE;
		box->rec_changed = true;
	} else {
		store_mailbox_delete(s->store, box->rec.id);
		box->rec.id = 0;
		box->fresh = true;
		box->rec_changed = false;
	}
	store_message_release(&m);
}

static bool is_unmade(struct sync *s, const struct box *box)
{
	return !box->fresh && (box->rec.state & STORE_MAILBOX_HERE) && !is_named(s, box->rec.id);
}

bool settle_has_unmade(struct sync *s)
{
	for (const struct box *box = s->boxes; box; box = box->next)
		if (is_unmade(s, box))
			return true;
	return false;
}

void settle_unmade(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next)
		if (is_unmade(s, box))
			unmake_mailbox(s, box);
}
