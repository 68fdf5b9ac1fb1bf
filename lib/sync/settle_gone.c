/* Settle, messages that are gone: expunged by somebody, or under another UIDVALIDITY, while actions on them wait
 * (R12, S2). In a transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/actions.h"

/* The server has expunged it. Flags and expunges have nothing to do any more; for a copy or a move the user
 * has chosen. */
static void part_of_gone(struct sync *s, struct store_message *m, const struct store_action *a,
	struct store_part *p, bool *keep)
{
	enum conf_on_gone policy = s->account->on_message_gone;
	bool made_body = m->body != 0;

	if (a->verb != QUEUE_COPY && a->verb != QUEUE_MOVE) {
		store_part_delete(s->store, a->number, m->number);
		if (a->verb == QUEUE_FLAG)
			mail_flags_change(&m->flags, &a->add, &a->remove); /* what is uploaded for a later move has it */
		return;
	}
	if (p->state & STORE_PART_COPIED) { /* a move: this was what was left of it */
		store_part_delete(s->store, a->number, m->number);
		return;
	}
	if (policy == CONF_GONE_ABORT) {
		settle_fail_part(s, a->number, m->number, 0, "the message is gone from the server");
		return;
	}
	if (policy == CONF_GONE_UPLOAD && made_body) {
		store_part_delete(s->store, a->number, m->number);
		p->message = p->made ? p->made : m->number;
		p->state = (p->state & STORE_PART_MADE) | STORE_PART_UPLOAD;
		p->uid = 0;
		p->made = 0;
		store_part_put(s->store, p);
		*keep = a->verb == QUEUE_MOVE;
		s->queue_fresh = true;
		return;
	}
	store_part_delete(s->store, a->number, m->number);
	if (p->made) {
		store_part_delete(s->store, a->number, p->made);
		settle_unmake(s, a->number, p->made, "had nothing to copy");
	}
	account_note(s, SYNC_WARNING, settle_mailbox_name(s, a->mailbox),
		"action %llu (%s): message m%llu is gone from the server, and left out",
		(unsigned long long)a->number, settle_verb(a), (unsigned long long)m->number);
}

void settle_missing(struct sync *s, uint64_t action, uint64_t message)
{
	struct store_action a;
	struct store_message m, copy;
	struct store_part p;
	bool keep;

	store_action_init(&a);
	store_message_init(&m);
	store_message_init(&copy);
	m.number = message;
	if (store_action_get(s->store, action, &a) && store_part_get(s->store, action, message, &p)) {
		if (p.made && store_message_get(s->store, p.made, &copy))
			m.body = copy.body;
		part_of_gone(s, &m, &a, &p, &keep);
	}
	store_message_release(&copy);
	store_message_release(&m);
	store_action_release(&a);
}

/* Whose body will be uploaded instead. */
static void keep_here(struct sync *s, struct store_message *m, uint32_t mailbox)
{
	m->uid = 0;
	m->mailbox = mailbox;
	m->state = (m->state & ~(uint32_t)(STORE_BODY_OWED | STORE_BODY_FAILED | STORE_UNMATCHED |
		STORE_ORPHAN)) | STORE_HERE;
	show_update(s, m);
	store_message_put(s->store, m);
}

bool settle_gone(struct sync *s, struct store_message *m)
{
	struct store_action a;
	struct store_part p;
	uint64_t action = 0;
	bool keep = false, kept = false;
	uint32_t to = 0;

	if (s->options.dry_run)
		return false;
	store_action_init(&a);
	while (store_pending_next(s->store, m->number, action, &action)) {
		if (!store_action_get(s->store, action, &a) ||
			!store_part_get(s->store, action, m->number, &p))
			continue;
		/* Later ones go on with what is uploaded. What may be done is the user's to decide. */
		if (kept || a.state == STORE_ACTION_UNKNOWN)
			continue;
		part_of_gone(s, m, &a, &p, &keep);
		settle_over(s, action);
		kept = keep;
		to = a.to;
	}
	store_action_release(&a);
	if (kept)
		keep_here(s, m, to);
	return kept;
}

void settle_vain(struct sync *s, struct store_message *m)
{
	uint64_t action = 0;

	while (store_pending_next(s->store, m->number, action, &action)) {
		store_part_delete(s->store, action, m->number);
		settle_over(s, action);
	}
	if (m->state & STORE_SHOWN)
		batch_project_shown(s, STORE_REMOVE, m);
	store_message_delete(s->store, m->number);
}

void settle_reset(struct sync *s, const struct store_message *m, const char *mailbox)
{
	uint64_t action = 0;
	struct store_part p;
	char reason[200];

	if (s->options.dry_run)
		return;
	snprintf(reason, sizeof reason,
		"UIDVALIDITY of %.60s changed: the UID is another message's now; retry it after the next sync",
		mailbox);
	while (store_pending_next(s->store, m->number, action, &action)) {
		if (!store_part_get(s->store, action, m->number, &p) || p.uid == 0 ||
			(p.state & STORE_PART_MADE))
			continue;
		settle_fail_part(s, action, m->number, 0, reason);
		settle_over(s, action);
	}
}
