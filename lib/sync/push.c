/* Push: the replay of the queue (R3, R9 to R13; RFC 4549 sections 4.2, 5 and 5.1).
 *
 * Actions are done in their order, on the first connection, before anything is brought. Those that are alike and do
 * not depend on each other go together as a batch of one kind (push_gather.c); a batch is a table of rows (as
 * a pull is), which judge from the top of the loop when all that they sent is answered. What a
 * batch came to is one transaction (push_agree.c).
 *
 * What makes it safe:
 * - A change is handed over only after its SELECT was answered OK with the UIDVALIDITY of our record (C6, S2).
 * - What must not run twice is noted, durably, before it is sent (R10). If its answer is lost, push_look.c
 *   finds out what became of it before anything is sent again. The rest may be sent twice without harm.
 * - An action on a message waits for every earlier one on it. If one of those did not come to its end, it is not
 *   done in this run; if one failed, settle.c has failed this one by name.
 * - A lost connection fails nothing: what was answered is agreed, the rest has its turn on the next one (R11). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/push_private.h"

#define HASTE_MAX 3 /* batches in a row that the server was too busy for */

/* Rows */

void push_go(struct push *p, const char *row)
{
	p->row = 0;
	while (strcmp(p->kind->rows[p->row].name, row) != 0)
		p->row++;
	p->going = true;
}

void push_end(struct push *p)
{
	while (p->kind->rows[p->row].name)
		p->row++;
	p->going = true;
}

bool push_answered(struct push *p, const struct imap_resp *tagged)
{
	struct sync *s = p->sync;
	enum throttle_verdict verdict = THROTTLE_GO_ON;
	/* Of a message that is sent, these say that there is no room for it (Q4), or that it is too large (Q5). */
	bool about_mail = tagged->cond.code == IMAP_OVERQUOTA || tagged->cond.code == IMAP_LIMIT ||
			  tagged->cond.code == IMAP_TOOBIG;

	p->unanswered--;
	account_mark(s);
	if (!about_mail)
		verdict = throttle_answer(s, tagged);
	if (verdict != THROTTLE_GO_ON) {
		p->hasty = true;
		return false;
	}
	if (tagged->cond.cond != IMAP_OK) {
		p->refused = true;
		p->code = tagged->cond.code;
		snprintf(p->words, sizeof p->words, "%.*s", (int)tagged->cond.text.len,
			tagged->cond.text.data);
	}
	return true;
}

static void on_answer(void *arg, const struct imap_resp *tagged)
{
	(void)push_answered(arg, tagged);
}

struct imap_cmd *push_command_to(struct push *p, enum imap_cmd_kind kind,
	void (*done)(void *arg, const struct imap_resp *tagged), void *arg)
{
	p->unanswered++;
	return imap_cmd_new(kind, done, arg);
}

struct imap_cmd *push_command(struct push *p, enum imap_cmd_kind kind)
{
	return push_command_to(p, kind, on_answer, p);
}

void push_send(struct push *p, struct imap_cmd *cmd)
{
	imap_send(p->link->imap, cmd, NULL, 0);
}

const char *push_words(const struct push *p)
{
	return p->words[0] ? p->words : "the server gave no reason";
}

void push_fail_work(struct work *w, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	free(w->reason);
	w->reason = mem_copy(text);
	w->outcome = WORK_FAILED;
}

void push_refuse_work(struct work *w, const struct imap_resp *tagged)
{
	struct slice text = tagged->cond.text;

	w->refused = true;
	free(w->reason);
	w->reason = text.len ? mem_printf("%.*s", (int)(text.len < 300 ? text.len : 300), text.data)
			     : mem_copy("the server gave no reason");
}

void push_fail_open(struct push *p, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_OPEN)
			push_fail_work(&p->works[i], "%s", text);
}

size_t push_open_count(const struct push *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += p->works[i].outcome == WORK_OPEN;
	return n;
}

bool push_due_open(struct push *p)
{
	return push_open_count(p) > 0;
}

static void on_pause(void *arg)
{
	struct push *p = arg;

	if (p->state == PUSH_PAUSING)
		p->state = PUSH_WORKING;
	account_mark(p->sync);
}

void push_pause(struct push *p, double seconds)
{
	p->state = PUSH_PAUSING;
	io_timer_start(p->pause, seconds);
}

/* Its life */

void *push_ask(struct push *p, size_t size)
{
	struct push_ask *ask = mem_new(size);

	uids_init(&ask->uids);
	ask->next = p->asks;
	return p->asks = ask;
}

static void clear_asks(struct push *p)
{
	struct push_ask *ask;

	while ((ask = p->asks)) {
		p->asks = ask->next;
		uids_release(&ask->uids);
		free(ask);
	}
}

static void clear_works(struct push *p)
{
	clear_asks(p);
	for (size_t i = 0; i < p->count; i++) {
		free(p->works[i].reason);
		mail_flags_release(&p->works[i].add);
		mail_flags_release(&p->works[i].remove);
	}
	p->count = 0;
}

/* What LIST-STATUS told of them was before. */
static void touch(struct push *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct box *box = box_by_id(p->sync, p->works[i].mailbox);
		if (box)
			box->touched = true;
	}
	if (p->box)
		p->box->touched = true;
	if (p->to)
		p->to->touched = true;
}

static void finish(struct push *p)
{
	struct sync *s = p->sync;

	p->state = PUSH_GATHERING;
	touch(p);
	if (!batch_begin(s))
		return;
	push_agree(p);
	point("push.before-agree");
	if (!batch_end_whole(s))
		return;
	point("push.agreed");
	s->failures = 0; /* it moves */
	if (p->kind == &push_look || p->again) {
		p->after = p->first.number - 1; /* what was not done, or is to be uploaded instead, has its turn now */
		p->part_action = 0;
	}
	p->again = false;
	if (p->relist)
		p->state = PUSH_OVER;
	clear_works(p);
}

/* The server has asked to slow down (Q19): what it refused then is not refused. The batch ends as far as it got, and
 * begins anew with the rest, at the pace that throttle.c allows; but not for ever. */
static void finish_hasty(struct push *p)
{
	bool keeps = !uids_is_empty(&p->others) || !uids_is_empty(&p->first.others);

	push_keep_others(p);
	for (size_t i = 0; i < p->count && !keeps && p->kind != &push_look; i++)
		if (p->works[i].outcome == WORK_OPEN)
			p->works[i].outcome = WORK_LATER;
	p->hasty = false;
	p->again = true;
	finish(p);
	if (++p->haste > HASTE_MAX && !p->sync->failed) {
		account_note(p->sync, SYNC_FAILURE, NULL,
			"the server keeps asking to slow down: what is queued waits for the next run");
		p->state = PUSH_OVER;
	}
}

/* Nothing is known of what was not answered. `counts`: it has cost a connection (R11). */
static void finish_lost(struct push *p, bool counts)
{
	struct sync *s = p->sync;

	p->lost = false;
	p->stay = p->ahead = NULL;
	p->unanswered = 0;
	io_timer_stop(p->pause);
	if (p->state == PUSH_OVER)
		return;
	if (p->state != PUSH_GATHERING) {
		p->after = p->first.number - 1;
		p->part_action = 0;
		p->state = PUSH_GATHERING;
		touch(p);
		if (!batch_begin(s))
			return;
		push_keep_others(p);
		if (!p->hasty)
			push_note_lost(p, counts);
		p->hasty = false;
		push_agree(p);
		if (!batch_end(s))
			return;
		point("push.lost");
	}
	clear_works(p);
}

/* False: it waits. */
static bool work(struct push *p)
{
	const struct push_row *row = &p->kind->rows[p->row];

	if (!row->name) {
		finish(p);
		p->haste = 0;
		return true;
	}
	if (!p->row_sent) {
		if (row->due && !row->due(p)) {
			p->row++;
			return true;
		}
		log_line(LOG_MOVES, p->kind->name, "send %s", row->name);
		p->row_sent = true;
		p->refused = false;
		p->words[0] = '\0';
		if (row->send)
			row->send(p);
	}
	if (p->unanswered > 0)
		return false;
	log_line(LOG_MOVES, p->kind->name, "recv %s", row->name);
	p->row_sent = p->going = false;
	if (p->hasty) {
		finish_hasty(p);
		return true;
	}
	if (row->recv)
		row->recv(p);
	if (!p->going)
		p->row++;
	return true;
}

void push_after_loss(struct push *p)
{
	if (p->lost)
		finish_lost(p, true);
}

/* The run ends: what was answered is agreed, what is in flight is as if it were lost. */
void push_break_off(struct push *p)
{
	if (p->state == PUSH_WORKING || p->state == PUSH_PAUSING)
		finish_lost(p, false);
	p->state = PUSH_OVER;
}

void push_step(struct push *p)
{
	bool on = true;

	while (on && !p->sync->failed && p->link->state == LINK_READY) {
		switch (p->state) {
		case PUSH_GATHERING:
			p->state = push_gather(p) ? PUSH_WORKING : PUSH_OVER;
			break;
		case PUSH_WORKING:
			on = work(p);
			break;
		case PUSH_PAUSING:
		case PUSH_OVER:
			on = false;
			break;
		}
	}
}

bool push_is_over(const struct push *p)
{
	return p->state == PUSH_OVER;
}

bool push_must_list(struct push *p)
{
	bool must = p->relist;

	p->relist = false;
	return must;
}

void push_lost(struct push *p)
{
	p->lost = true;
	account_mark(p->sync);
}

bool push_is_due(struct sync *s)
{
	struct store_action_counts n = store_action_counts(s->store);

	return n.waiting + n.intent > 0 && !s->options.no_push && !s->queue_foreign;
}

void push_start(struct sync *s)
{
	struct push *p = s->push;

	if (!p) {
		p = s->push = mem_new(sizeof *p);
		p->sync = s;
		p->link = &s->links[0];
		p->pause = io_timer_new(s->io, on_pause, p);
		store_action_init(&p->first);
		uids_init(&p->others);
	}
	p->state = PUSH_GATHERING;
	p->after = p->part_action = 0;
	p->blocked_count = 0;
}

void push_free(struct push *p)
{
	if (!p)
		return;
	clear_works(p);
	free(p->works);
	free(p->blocked);
	free(p->passed.numbers);
	free(p->hashed);
	io_timer_free(p->pause);
	store_action_release(&p->first);
	uids_release(&p->others);
	free(p);
}

static void tell_planned(struct sync *s, uint64_t number, const char *verb, const char *mailbox)
{
	struct sync_action told = { number, verb, mailbox, SYNC_ACTION_PLANNED, NULL };

	if (s->events.acted)
		s->events.acted(s->arg, &told);
}

/* Lines that were not taken up yet: a dry run does not write. */
static void tell_lines(struct sync *s)
{
	struct err err = { 0 };
	struct queue *q = queue_open(s->account->state, store_id(s->store), true, &err);
	struct queue_action line;
	uint64_t after = sync_folded(s->store);
	int rc = 0;

	while (q && ((rc = queue_next(q, after, &line, &err)) > 0 || (rc < 0 && err.scope != ERR_ACCOUNT))) {
		after = line.number > after ? line.number : after;
		if (rc < 0)
			continue;
		tell_planned(s, line.number, line.verb_text, line.mailbox);
		queue_action_release(&line);
	}
	queue_close(q);
}

void push_tell_plan(struct sync *s)
{
	struct store_action a;

	store_action_init(&a);
	for (uint64_t at = 0; store_action_next(s->store, at, &a); at = a.number)
		if (a.state == STORE_ACTION_WAITING || a.state == STORE_ACTION_INTENT)
			tell_planned(s, a.number, queue_verb_name((enum queue_verb)a.verb),
				settle_mailbox_name(s, a.mailbox));
	store_action_release(&a);
	tell_lines(s);
}
