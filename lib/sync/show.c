/* Show: what the Maildir should hold of a message. Shown = agreed with the pending actions applied in
 * order (design: three states), computed anew whenever either changes. So an action shows at once,
 * survives a sync that knows nothing of it, and vanishes again when it fails or is dropped.
 *
 * A message that was made here (STORE_HERE) is shown as long as the action that makes it is pending.
 * Creating, deleting and renaming of mailboxes show when the server has agreed. */
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"
#include "sync/actions.h"

static void apply(struct shown *w, const struct store_message *m, const struct store_action *a)
{
	switch ((enum queue_verb)a->verb) {
	case QUEUE_FLAG:
		mail_flags_change(&w->flags, &a->add, &a->remove);
		break;
	case QUEUE_MOVE:
		mail_flags_change(&w->flags, &a->add, &a->remove);
		w->mailbox = a->to;
		if (m->state & STORE_HERE) /* gone from the server: it will be uploaded (settle_gone) */
			w->visible = true;
		break;
	case QUEUE_APPEND:
		w->visible = true;
		break;
	case QUEUE_COPY:
		if (m->state & STORE_HERE)
			w->visible = true;
		break;
	case QUEUE_EXPUNGE:
		w->visible = false;
		break;
	default:
		break;
	}
}

void shown_init(struct shown *w)
{
	w->visible = false;
	w->mailbox = 0;
	mail_flags_init(&w->flags);
}

void shown_release(struct shown *w)
{
	mail_flags_release(&w->flags);
}

void show_before(struct store *store, const struct store_message *m, uint64_t end, struct shown *w)
{
	struct store_action a;
	uint64_t action = 0;

	w->visible = !(m->state & STORE_HERE);
	w->mailbox = m->mailbox;
	mail_flags_copy(&w->flags, &m->flags);
	if (!store_pending_next(store, m->number, 0, &action) || action >= end)
		return;
	store_action_init(&a);
	do {
		if (store_action_get(store, action, &a))
			apply(w, m, &a);
	} while (store_pending_next(store, m->number, action, &action) && action < end);
	store_action_release(&a);
}

void show_wanted(struct store *store, const struct store_message *m, struct shown *w)
{
	show_before(store, m, UINT64_MAX, w);
}

/* Its file goes; what was in it is in the store, or can be fetched again. */
static void hide(struct sync *s, struct store_message *m)
{
	batch_project_shown(s, STORE_REMOVE, m);
	if (m->state & STORE_STAND_IN)
		standin_lose(m);
	else
		m->state &= ~(uint32_t)(STORE_SHOWN | STORE_SHOWN_NEW);
}

/* From the body that we hold. */
static void write_file(struct sync *s, struct store_message *m, const struct shown *w)
{
	struct maildir_stat st;
	struct err err = { 0 };

	if (project_to_tmp(s->store, s->maildir, m, &st, &err) < 0) {
		s->unshown = true;
		account_fail(s, &err);
		return;
	}
	batch_show_as(s, m, &st, w);
}

static void change(struct sync *s, struct store_message *m, const struct shown *w)
{
	if (m->shown.system != w->flags.system || m->shown_mailbox != w->mailbox)
		batch_project_shown(s, STORE_RENAME, m);
	if (m->shown.system != w->flags.system)
		m->state &= ~(uint32_t)STORE_SHOWN_NEW;
	m->shown_mailbox = w->mailbox;
	mail_flags_copy(&m->shown, &w->flags);
}

/* With what is shown already one more action is cheap, however many wait. */
static void show_now(struct store *store, const struct store_message *m, struct shown *w)
{
	if (!(m->state & STORE_SHOWN)) {
		show_wanted(store, m, w);
		return;
	}
	w->visible = true;
	w->mailbox = m->shown_mailbox;
	mail_flags_copy(&w->flags, &m->shown);
}

static void follow(struct sync *s, struct store_message *m, const struct shown *w)
{
	if ((m->state & STORE_SHOWN) && w->visible)
		change(s, m, w);
	else if (m->state & STORE_SHOWN)
		hide(s, m);
	else if (w->visible && m->body && !(m->state & (STORE_BODY_OWED | STORE_UNMATCHED)))
		write_file(s, m, w);
	else if (w->visible && !m->body && (m->state & STORE_STAND_IN))
		m->state |= STORE_BODY_OWED; /* it was hidden */
}

void show_update(struct sync *s, struct store_message *m)
{
	struct shown w;

	shown_init(&w);
	show_wanted(s->store, m, &w);
	follow(s, m, &w);
	shown_release(&w);
}

void show_until(struct store *store, const struct store_message *m, uint64_t action, struct shown *w)
{
	uint64_t later;

	if (store_pending_next(store, m->number, action, &later))
		show_before(store, m, action, w);
	else
		show_now(store, m, w);
}

void show_added(struct sync *s, struct store_message *m, const struct store_action *a)
{
	struct shown w;
	uint64_t later;

	if (store_pending_next(s->store, m->number, a->number, &later)) {
		show_update(s, m);
		return;
	}

	shown_init(&w);
	show_now(s->store, m, &w);
	if (m->state & STORE_SHOWN)
		apply(&w, m, a);
	follow(s, m, &w);
	shown_release(&w);
}

void show_number(struct sync *s, uint64_t number)
{
	struct store_message m;

	store_message_init(&m);
	if (store_message_get(s->store, number, &m)) {
		show_update(s, &m);
		store_message_put(s->store, &m);
	}
	store_message_release(&m);
}
