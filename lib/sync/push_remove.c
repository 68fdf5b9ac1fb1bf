/* Push, removing messages from the mailbox that is open: those that were copied away, or that the user expunges
 * (R7). Rows that push_copy.c and push_expunge.c share.
 *
 * STORE \Deleted, then UID EXPUNGE, which removes what is named and nothing else. It may be sent twice. What is
 * gone is known from VANISHED, from as many EXPUNGEs, or by a question.
 *
 * Where UIDPLUS is claimed and UID EXPUNGE refused (Q72) it has failed; EXPUNGE is not tried.
 *
 * Without UIDPLUS there is only EXPUNGE, which removes whatever is marked. So (RFC 4549 section 4.2.4) the
 * others that are marked are found and noted, durably; the mark is taken off them; ours are marked; a second look
 * must show ours alone; EXPUNGE; and the others get their marks back. If the run is interrupted anywhere, the next
 * one finds them in the action's record, gives them their marks back, and begins anew. */
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/push_private.h"

#define ROUNDS_MAX 3 /* another client keeps marking */

static bool to_go(const struct push *p, const struct work *w)
{
	return w->outcome == WORK_COPIED || (w->outcome == WORK_OPEN && p->first.verb == QUEUE_EXPUNGE);
}

static void uids_to_go(const struct push *p, struct uids *set)
{
	uids_clear(set);
	for (size_t i = 0; i < p->count; i++)
		if (to_go(p, &p->works[i]) && p->works[i].uid)
			uids_add(set, p->works[i].uid);
}

/* It could not be removed: a copy counts all the same. */
static void keep(struct push *p, const char *why)
{
	bool told = false;

	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (!to_go(p, w))
			continue;
		if (w->outcome == WORK_OPEN) {
			push_fail_work(w, "%s", why);
			continue;
		}
		if (!told)
			account_note(p->sync, SYNC_WARNING, p->box->rec.name,
				"action %llu (move): the copy is made, the source stays: %s",
				(unsigned long long)w->action, why);
		told = true;
		w->outcome = WORK_DONE;
		/* Our record of it goes to the target: the next pull has to see the source as new. */
		p->box->rec.state |= STORE_MAILBOX_SUSPECT;
		p->box->rec_changed = true;
	}
}

/* gone: after UID MOVE, and wherever a server has told */

static void take_gone(struct push *p)
{
	struct stay *t = p->stay;
	size_t left = 0;

	for (size_t i = 0; i < p->count; i++)
		left += to_go(p, &p->works[i]);
	for (size_t i = 0; i < p->count; i++)
		if (to_go(p, &p->works[i]) && (uids_has(&t->gone, p->works[i].uid) || t->expunged == left))
			p->works[i].outcome = WORK_DONE;
}

/* Of a copy that was made before the connection was lost, the source's UID is another message's where UIDVALIDITY
 * changed since (R12). */
static bool is_another_mailbox(const struct push *p)
{
	const struct stay *t = p->stay;
	uint64_t known = p->box->rec.uidvalidity;

	return t && t->ok && t->visit.box == p->box && known != 0 && t->uidvalidity != known;
}

static bool any_left(struct push *p)
{
	if (is_another_mailbox(p))
		keep(p, "UIDVALIDITY changed since");
	for (size_t i = 0; i < p->count; i++)
		if (to_go(p, &p->works[i]))
			return true;
	return false;
}

bool push_remove_due(struct push *p)
{
	if (p->stay && p->stay->ok && any_left(p))
		take_gone(p);
	return any_left(p);
}

/* After UID MOVE; of a COPY it is known. */
bool push_who_due(struct push *p)
{
	return p->first.verb == QUEUE_MOVE && push_has(p, IMAP_CAP_MOVE) && !p->no_move && push_remove_due(p);
}

/* Which of them are there? */
void push_remove_ask(struct push *p)
{
	struct uids set;
	struct imap_cmd *cmd;

	uids_init(&set);
	uids_to_go(p, &set);
	p->stay = stay_open(p, p->box, true);
	cmd = push_command(p, IMAP_CMD_READ);
	imap_cmd_add(cmd, "NOOP"); /* what is gone must be told first */
	push_send(p, cmd);
	push_send_set(p, IMAP_CMD_READ, "FETCH", &set, "(UID FLAGS)");
	uids_release(&set);
}

void push_remove_judge(struct push *p)
{
	struct stay *t = p->stay;

	if (!t->ok || t->read_only) {
		keep(p, t->ok ? "the mailbox is read-only" : "the mailbox cannot be opened");
		return;
	}
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (to_go(p, w) && !stay_find(t, w->uid))
			w->outcome = WORK_DONE;
	}
}

static bool has_uidplus(struct push *p)
{
	return push_has(p, IMAP_CAP_UIDPLUS);
}

static void store_deleted(struct push *p, const struct uids *set, char sign)
{
	char tail[40] = "+FLAGS.SILENT (\\Deleted)";

	tail[0] = sign;
	if (!uids_is_empty(set))
		push_send_set(p, IMAP_CMD_CHANGE, "STORE", set, tail);
}

/* recover: the emulation was interrupted */

bool push_recover_due(struct push *p)
{
	return !uids_is_empty(&p->first.others);
}

void push_recover_send(struct push *p)
{
	p->stay = stay_open(p, p->box, true);
}

void push_recover_judge(struct push *p)
{
	if (!p->stay->ok || p->stay->read_only ||
		p->stay->uidvalidity != p->box->rec.uidvalidity)
		uids_clear(&p->first.others);
}

void push_recover_mark(struct push *p)
{
	store_deleted(p, &p->first.others, '+');
}

void push_recover_done(struct push *p)
{
	uids_clear(&p->first.others);
}

/* others: who else is marked */

bool push_others_due(struct push *p)
{
	if (!any_left(p) || has_uidplus(p))
		return false;
	if (p->sync->account->expunge_emulation)
		return true;
	keep(p, "the server has no UIDPLUS, and expunge-emulation is \"no\"");
	return false;
}

void push_others_send(struct push *p)
{
	struct imap_cmd *cmd = push_command(p, IMAP_CMD_SEARCH);

	stay_clear(p->stay);
	imap_cmd_add(cmd, "UID SEARCH DELETED");
	push_send(p, cmd);
}

/* Noted before their marks are touched. */
void push_others_note(struct push *p)
{
	struct uids ours;

	uids_init(&ours);
	uids_to_go(p, &ours);
	uids_copy(&p->others, &p->stay->listed);
	uids_remove_all(&p->others, &ours);
	uids_release(&ours);
	if (p->refused)
		keep(p, "the server does not tell which messages are marked");
	else if (!uids_is_empty(&p->others))
		push_note_intent(p);
	point("push.others-noted");
}

bool push_unmark_due(struct push *p)
{
	return any_left(p) && !uids_is_empty(&p->others);
}

void push_unmark_send(struct push *p)
{
	store_deleted(p, &p->others, '-');
}

/* mark ours */

void push_mark_send(struct push *p)
{
	struct uids set;

	uids_init(&set);
	uids_to_go(p, &set);
	for (size_t i = 0; i < p->count; i++)
		p->works[i].sent = p->works[i].sent || to_go(p, &p->works[i]);
	store_deleted(p, &set, '+');
	uids_release(&set);
}

void push_mark_judge(struct push *p)
{
	point("push.marked");
	if (p->refused)
		keep(p, push_words(p));
}

bool push_left_due(struct push *p)
{
	return any_left(p);
}

bool push_again_due(struct push *p)
{
	return any_left(p) && !has_uidplus(p);
}

/* Nobody else's mark has come meanwhile? */
void push_again_judge(struct push *p)
{
	struct uids ours, marked;

	uids_init(&ours);
	uids_init(&marked);
	uids_to_go(p, &ours);
	uids_copy(&marked, &p->stay->listed);
	uids_remove_all(&marked, &ours);
	if (p->refused || !p->stay->has_list) {
		keep(p, "the server does not tell which messages are marked");
	} else if (!uids_is_empty(&marked)) {
		if (++p->rounds < ROUNDS_MAX) {
			uids_add_all(&p->others, &marked);
			push_note_intent(p);
			push_go(p, "unmark");
		} else {
			keep(p, "another client keeps marking messages as deleted");
		}
	}
	uids_release(&ours);
	uids_release(&marked);
}

void push_expunge_send(struct push *p)
{
	struct uids set;

	uids_init(&set);
	uids_to_go(p, &set);
	stay_clear(p->stay);
	if (has_uidplus(p)) {
		push_send_set(p, IMAP_CMD_CHANGE, "EXPUNGE", &set, "");
	} else {
		struct imap_cmd *cmd = push_command(p, IMAP_CMD_CHANGE);
		imap_cmd_add(cmd, "EXPUNGE");
		push_send(p, cmd);
	}
	uids_release(&set);
}

void push_expunge_judge(struct push *p)
{
	point("push.expunged");
	if (p->refused)
		keep(p, push_words(p));
}

/* Its record is the only place where they are known. */
void push_keep_others(struct push *p)
{
	if (uids_is_empty(&p->others) && uids_is_empty(&p->first.others))
		return;
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome == WORK_DONE || w->outcome == WORK_FAILED)
			w->outcome = p->first.verb == QUEUE_MOVE && p->kind != &push_look ? WORK_COPIED : WORK_OPEN;
		if (w->outcome == WORK_OPEN)
			w->sent = true;
	}
}

bool push_restore_due(struct push *p)
{
	return !uids_is_empty(&p->others);
}

void push_restore_send(struct push *p)
{
	store_deleted(p, &p->others, '+');
}

/* The record forgets them with the action's end (push_agree.c). */
void push_restore_done(struct push *p)
{
	uids_clear(&p->others);
}

void push_remove_last(struct push *p)
{
	push_remove_judge(p);
	keep(p, "the server said OK, and has not removed it");
}
