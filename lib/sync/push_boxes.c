/* Push, mailboxes: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, one at a time.
 *
 * Creating what exists and deleting what is gone is success (R12). A mailbox is deleted only if nothing is in it
 * that the user has not seen: its UIDVALIDITY is the one that he saw, and whatever lies above the UIDNEXT that he
 * saw was put there by actions of ours. A DELETE or RENAME whose answer was lost (R10) is judged by the LIST with
 * which the session began. Both connections leave a mailbox before it is deleted or renamed. */
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/push_private.h"

static struct work *the_work(const struct push *p)
{
	return &p->works[0];
}

void push_box_made(struct push *p, struct box *box)
{
	struct sync *s = p->sync;
	struct err err = { 0 };

	if (box->rec.state & (STORE_MAILBOX_HERE | STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE))
		box->rec_changed = true;
	box->rec.state &= ~(uint32_t)(STORE_MAILBOX_HERE | STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE);
	box->listed = true;
	if (maildir_folder_make(s->maildir, box->rec.folder, &err) < 0)
		account_fail(s, &err);
}

static bool is_verb(const struct push *p, enum queue_verb verb)
{
	return p->first.verb == (uint32_t)verb && the_work(p)->outcome == WORK_OPEN;
}

/* lost: an intent of an earlier connection. LIST has told what there is, and names are known by that. */

static bool was_deleted(const struct push *p)
{
	return p->first.verb == QUEUE_DELETE && (!p->box || !p->box->listed);
}

static bool was_renamed(const struct push *p)
{
	const struct box *to;

	if (p->first.verb != QUEUE_RENAME || !p->box)
		return false;
	to = box_by_name(p->sync, p->first.text);
	return strcmp(p->box->rec.name, p->first.text) == 0 || (!p->box->listed && to && to->listed);
}

static void recv_lost(struct push *p)
{
	struct work *w = the_work(p);

	if (w->outcome == WORK_FAILED)
		return; /* with what it needs */
	if (p->sync->listed && p->first.state == STORE_ACTION_INTENT && (was_deleted(p) || was_renamed(p)))
		w->outcome = WORK_DONE;
	else if (!p->box)
		push_fail_work(w, "the mailbox is not known any more");
	else if (p->first.attempts > PUSH_ATTEMPTS_ALONE)
		push_fail_work(w, "the connection was lost %u times while it was sent", p->first.attempts);
}

/* leave: nobody deletes or renames what is selected */

static bool due_leave(struct push *p)
{
	struct visit *last = imap_last_box(p->link->imap);

	return (is_verb(p, QUEUE_DELETE) || is_verb(p, QUEUE_RENAME)) && last && last->box == p->box;
}

static void send_leave(struct push *p)
{
	struct box *inbox = box_by_name(p->sync, "INBOX");

	if (push_has(p, IMAP_CAP_UNSELECT) || !inbox) {
		struct imap_cmd *cmd = push_command(p, IMAP_CMD_READ);
		imap_cmd_add(cmd, "UNSELECT");
		push_send(p, cmd);
		p->stay = NULL;
	} else {
		p->stay = stay_open(p, inbox, false);
	}
}

/* seen: what does the user not know of? */

/* What is not there, or holds no mail, needs no look: DELETE will tell. */
static bool due_seen(struct push *p)
{
	return is_verb(p, QUEUE_DELETE) && !(p->first.options & FOLD_FORCE) &&
	       (p->box->listed || !p->sync->listed) && !(p->box->rec.state & STORE_MAILBOX_NOSELECT);
}

static void send_seen(struct push *p)
{
	p->box->told.items = 0;
	p->to = p->box;
	push_send_status(p);
}

static bool fail_other(struct push *p, uint64_t uidvalidity)
{
	if (p->first.uidvalidity == 0 || p->first.uidvalidity == uidvalidity)
		return false;
	push_fail_work(the_work(p), "it is another mailbox than the one that was seen when this was queued");
	return true;
}

static void recv_seen(struct push *p)
{
	const uint32_t both = IMAP_HAS_UIDNEXT | IMAP_HAS_UIDVALIDITY;
	struct plan_told *told = &p->box->told;

	if ((told->items & IMAP_HAS_MESSAGES) && told->messages == 0)
		p->suspects = false;
	else if ((told->items & both) != both || p->first.uidvalidity == 0)
		p->suspects = true; /* refused, or not told (Q89): it is looked at */
	else
		p->suspects = !fail_other(p, told->uidvalidity) && told->uidnext > p->first.uidnext;
}

static bool due_new(struct push *p)
{
	return is_verb(p, QUEUE_DELETE) && p->suspects;
}

static void send_new(struct push *p)
{
	struct imap_cmd *cmd;

	p->stay = stay_open(p, p->box, false);
	cmd = push_command(p, IMAP_CMD_READ);
	imap_cmd_add(cmd, "UID FETCH %lu:* (UID FLAGS)",
		(unsigned long)(p->first.uidnext ? p->first.uidnext : 1));
	push_send(p, cmd);
}

static void recv_new(struct push *p)
{
	struct stay *t = p->stay;
	struct store_message m;

	if (!t->ok && !t->nonexistent) {
		push_fail_work(the_work(p), "nobody knows what is in it, since it cannot be opened: %s", t->refusal);
		return;
	}
	if (t->ok && fail_other(p, t->uidvalidity))
		return;
	if (t->ok && p->refused) {
		push_fail_work(the_work(p), "nobody knows what is in it, since it cannot be looked at: %s", push_words(p));
		return;
	}
	store_message_init(&m);
	for (size_t i = 0; t->ok && i < t->seen_count && the_work(p)->outcome == WORK_OPEN; i++) {
		uint32_t uid = t->seen[i].uid;
		if (uid >= p->first.uidnext && !(store_message_by_uid(p->sync->store, p->box->rec.id, uid, &m) &&
			(m.state & STORE_OURS)))
			push_fail_work(the_work(p), "new mail is there that was not seen when this was queued; "
				"`queue add ... delete --force` deletes it, too");
	}
	store_message_release(&m);
}

/* do */

static void add_name(struct imap_cmd *cmd, const char *name, bool utf8)
{
	struct buf wire;

	buf_init(&wire, 0);
	imap_name_encode(slice_of(name), utf8, &wire);
	imap_cmd_add_string(cmd, buf_slice(&wire), true);
	buf_release(&wire);
}

static bool due_do(struct push *p)
{
	return the_work(p)->outcome == WORK_OPEN;
}

static void send_do(struct push *p)
{
	static const struct {
		enum queue_verb verb;
		const char *name;
	} names[] = { { QUEUE_CREATE, "CREATE" }, { QUEUE_DELETE, "DELETE" }, { QUEUE_RENAME, "RENAME" },
		{ QUEUE_SUBSCRIBE, "SUBSCRIBE" }, { QUEUE_UNSUBSCRIBE, "UNSUBSCRIBE" } };
	bool utf8 = imap_utf8(p->link->imap);
	struct imap_cmd *cmd;

	p->uidvalidity = p->first.uidvalidity;
	p->uidnext = p->first.uidnext;
	if ((p->first.verb == QUEUE_DELETE || p->first.verb == QUEUE_RENAME) && !push_note_intent(p))
		return;
	if (p->sync->links[1].imap)
		link_close(&p->sync->links[1]);
	the_work(p)->sent = true;
	cmd = push_command(p, IMAP_CMD_PLAIN);
	imap_cmd_utf8(cmd, utf8);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].verb == (enum queue_verb)p->first.verb)
			imap_cmd_add(cmd, "%s ", names[i].name);
	imap_cmd_add_string(cmd, slice_of(p->box->rec.wire), true);
	if (p->first.verb == QUEUE_RENAME) {
		imap_cmd_add(cmd, " ");
		add_name(cmd, p->first.text, utf8);
	}
	push_send(p, cmd);
	point("push.sent");
}

static void recv_do(struct push *p)
{
	struct work *w = the_work(p);
	bool exists = p->code == IMAP_ALREADYEXISTS, gone = p->code == IMAP_NONEXISTENT;

	if (!p->refused || (p->first.verb == QUEUE_CREATE && (exists || p->was_listed)) ||
		(p->first.verb == QUEUE_DELETE && (gone || (p->sync->listed && !p->box->listed))) ||
		(p->first.verb == QUEUE_UNSUBSCRIBE && gone))
		w->outcome = WORK_DONE;
	else
		push_fail_work(w, "%s", push_words(p));
}

/* done: the local side follows */

static bool due_done(struct push *p)
{
	return the_work(p)->outcome == WORK_DONE;
}

/* Then it is made again. */
static bool is_named_later(struct push *p)
{
	struct store_action a;
	bool named = false;

	store_action_init(&a);
	for (uint64_t at = p->first.number; !named && store_action_next(p->sync->store, at, &a); at = a.number)
		named = a.state != STORE_ACTION_FAILED && (a.mailbox == p->box->rec.id || a.to == p->box->rec.id);
	store_action_release(&a);
	return named;
}

static void follow_deleted(struct push *p)
{
	struct err err = { 0 };

	p->box->listed = p->box->chosen = false;
	p->box->by_us = true;
	if ((is_named_later(p) ? box_empty(p->box, &err) : box_remove(p->box, &err)) < 0)
		account_fail(p->sync, &err);
	p->box = p->to = NULL;
}

static void recv_done(struct push *p)
{
	p->stay = NULL;
	if (p->first.verb == QUEUE_CREATE)
		push_box_made(p, p->box);
	if (p->first.verb == QUEUE_DELETE && p->box)
		follow_deleted(p);
	if (p->first.verb == QUEUE_RENAME && strcmp(p->box->rec.name, p->first.text) != 0) {
		renames_expect(p->box, p->first.text);
		p->relist = true;
	}
	/* The local side did not follow (a full disk): it is not done yet, and the next run finds out that the server
	 * has done its part. */
	if (p->sync->failed)
		the_work(p)->outcome = WORK_OPEN;
}

static void recv_begin(struct push *p)
{
	p->was_listed = p->box && p->box->listed;
}

static const struct push_row rows[] = {
	{ "begin", NULL, NULL, recv_begin },
	{ "lost", NULL, NULL, recv_lost },
	{ "seen", due_seen, send_seen, recv_seen },
	{ "new", due_new, send_new, recv_new },
	{ "leave", due_leave, send_leave, NULL },
	{ "do", due_do, send_do, recv_do },
	{ "done", due_done, NULL, recv_done },
	{ NULL, NULL, NULL, NULL },
};
const struct push_kind push_box = { "push mailbox", NULL, rows, 1 };
