/* Push, copies and moves (R6): UID COPY; UID MOVE where it is offered, else COPY, STORE \Deleted, UID EXPUNGE,
 * each after the answer to the one before.
 *
 * A tagged OK proves nothing. Copied is what COPYUID names, expanded in written order (Q10); where there is none,
 * what the FETCH just before has shown to be there. Moved is what VANISHED, EXPUNGE or a question shows to be
 * gone. If the copy fails nothing is flagged or expunged; if the copy went and the source cannot be removed, the
 * copy counts, the user is told, and it is never copied again.
 *
 * The target's UIDNEXT is noted with the intent before anything is sent (R10), as for uploads. */
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/push_private.h"

static bool is_move(const struct push *p)
{
	return p->first.verb == QUEUE_MOVE;
}

static bool joins(struct push *p, const struct store_action *a)
{
	return a->verb == p->first.verb && a->state == STORE_ACTION_WAITING && p->first.state == a->state &&
	       a->mailbox == p->first.mailbox && a->to == p->first.to &&
	       mail_flags_equal(&a->add, &p->first.add) && mail_flags_equal(&a->remove, &p->first.remove);
}

static int by_uid(const void *a, const void *b)
{
	const struct work *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* One UID stands in a command once: two copies of one message are two batches. */
static void recv_sort(struct push *p)
{
	qsort(p->works, p->count, sizeof *p->works, by_uid);
	for (size_t i = 1; i < p->count; i++)
		if (p->works[i].uid == p->works[i - 1].uid && p->works[i].outcome == WORK_OPEN &&
			p->works[i].uid != 0)
			p->works[i].outcome = WORK_LATER;
}

static bool due_select(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_OPEN || p->works[i].outcome == WORK_COPIED)
			return true;
	return false;
}

static void send_select(struct push *p)
{
	struct uids set;

	uids_init(&set);
	push_open_uids(p, &set);
	p->stay = stay_open(p, p->box, is_move(p));
	push_send_check(p, &set);
	uids_release(&set);
}

static void recv_select(struct push *p)
{
	if (stay_judge(p, p->stay, is_move(p)))
		push_judge_check(p, 0, p->count);
	if (p->stay->ok)
		return;
	/* Where the mailbox is gone, the sources are, too. */
	for (size_t i = 0; i < p->count && p->stay->nonexistent; i++)
		if (p->works[i].outcome == WORK_COPIED)
			p->works[i].outcome = WORK_DONE;
	push_end(p);
}

/* flags that go with a move (on-deleted = "move"), before it */

static bool due_flags(struct push *p)
{
	return is_move(p) && push_open_count(p) > 0 &&
	       (p->first.add.system || p->first.add.count || p->first.remove.system || p->first.remove.count);
}

static void send_flags_of(struct push *p, const struct mail_flags *flags, char sign)
{
	struct mail_flags kept;
	struct uids set;
	struct buf tail;

	mail_flags_init(&kept);
	mail_flags_copy(&kept, flags);
	push_keep_permanent(p->stay, &kept);
	uids_init(&set);
	buf_init(&tail, 0);
	push_open_uids(p, &set);
	buf_addf(&tail, "%cFLAGS.SILENT (", sign);
	mail_flags_print(&kept, &tail);
	buf_add_str(&tail, ")");
	if (kept.system || kept.count)
		push_send_set(p, IMAP_CMD_CHANGE, "STORE", &set, buf_str(&tail));
	buf_release(&tail);
	uids_release(&set);
	mail_flags_release(&kept);
}

static void send_flags(struct push *p)
{
	send_flags_of(p, &p->first.add, '+');
	send_flags_of(p, &p->first.remove, '-');
}

static void recv_intent(struct push *p)
{
	push_note_intent(p);
}

/* copy */

struct copy_ask {
	struct push_ask base;
	struct push *push;
};

static struct work *work_of(struct push *p, uint32_t uid)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (p->works[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && p->works[low].uid == uid ? &p->works[low] : NULL;
}

static bool is_usable(const struct copy_ask *ask, uint64_t validity, const struct imap_uid_list *from)
{
	const struct box *to = ask->push->to;

	if (to->rec.uidvalidity && to->rec.uidvalidity != validity)
		return false;
	for (size_t i = 0; i < from->count; i++)
		if (!uids_has(&ask->base.uids, from->uids[i]))
			return false;
	return true;
}

static void mark_copied(struct push *p, struct work *w, uint32_t new_uid)
{
	w->outcome = is_move(p) ? WORK_COPIED : WORK_DONE;
	w->new_uid = new_uid;
	w->refused = false;
}

/* False: nothing is told that can be used. */
static bool take_copyuid(struct copy_ask *ask, uint64_t validity, const struct imap_uid_list *from,
	const struct imap_uid_list *to)
{
	struct push *p = ask->push;

	if (from->count == 0 || !is_usable(ask, validity, from))
		return false;
	p->uidvalidity = validity;
	for (size_t i = 0; i < from->count; i++) {
		struct work *w = work_of(p, from->uids[i]);
		if (w && w->outcome == WORK_OPEN)
			mark_copied(p, w, to->uids[i]);
	}
	return true;
}

static void take_refusal(struct copy_ask *ask, const struct imap_resp *tagged)
{
	struct push *p = ask->push;
	bool several = uids_count(&ask->base.uids) > 1;

	if (tagged->cond.code == IMAP_TRYCREATE || tagged->cond.code == IMAP_NONEXISTENT)
		p->missing = true;
	for (uint32_t uid = uids_next(&ask->base.uids, 1); uid; uid = uids_next(&ask->base.uids, uid + 1)) {
		struct work *w = work_of(p, uid);
		if (!w || w->outcome != WORK_OPEN)
			continue;
		push_refuse_work(w, tagged);
		w->together = several;
		w->alone = w->alone || several;
	}
}

static void take_ok(struct copy_ask *ask, bool told)
{
	struct push *p = ask->push;

	for (uint32_t uid = uids_next(&ask->base.uids, 1); uid; uid = uids_next(&ask->base.uids, uid + 1)) {
		struct work *w = work_of(p, uid);
		if (!w || w->outcome != WORK_OPEN)
			continue;
		if (told)
			w->outcome = WORK_GONE; /* it was not there to be copied */
		else
			mark_copied(p, w, 0);
	}
}

static void on_copied(void *arg, const struct imap_resp *tagged)
{
	struct copy_ask *ask = arg;
	struct push *p = ask->push;
	struct stay *t = p->stay;
	struct imap_uid_list from = { 0 }, to = { 0 };
	uint64_t validity = 0;
	bool told = false;

	if (imap_copyuid(tagged, &validity, &from, &to))
		told = take_copyuid(ask, validity, &from, &to);
	else if (t && t->copied_validity)
		told = take_copyuid(ask, t->copied_validity, &t->from, &t->to);
	if (t) {
		t->copied_validity = 0;
		imap_uid_list_release(&t->from);
		imap_uid_list_release(&t->to);
	}
	bool means = push_answered(p, tagged);

	if (means && tagged->cond.cond == IMAP_OK)
		take_ok(ask, told);
	else if (means)
		take_refusal(ask, tagged);
	imap_uid_list_release(&from);
	imap_uid_list_release(&to);
}

static void send_copy_of(struct push *p, const struct uids *set)
{
	const char *verb = is_move(p) && push_has(p, IMAP_CAP_MOVE) && !p->no_move ? "MOVE" : "COPY";
	struct buf text;
	uint32_t from = 1;

	buf_init(&text, 0);
	while (from != 0) {
		struct copy_ask *ask = push_ask(p, sizeof *ask);
		struct imap_cmd *cmd = push_command_to(p, IMAP_CMD_CHANGE, on_copied, ask);
		buf_clear(&text);
		from = throttle_print_set(p->sync, set, from, p->to->rec.wire, &text);
		ask->push = p;
		uids_parse(&ask->base.uids, buf_slice(&text), text.len);
		imap_cmd_utf8(cmd, imap_utf8(p->link->imap));
		imap_cmd_add(cmd, "UID %s %s ", verb, buf_str(&text));
		imap_cmd_add_string(cmd, slice_of(p->to->rec.wire), true);
		push_send(p, cmd);
	}
	buf_release(&text);
}

static void send_copy(struct push *p)
{
	struct uids set, one;

	uids_init(&set);
	uids_init(&one);
	p->missing = false;
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome != WORK_OPEN)
			continue;
		w->sent = true;
		w->refused = false;
		if (!w->alone) {
			uids_add(&set, w->uid);
			continue;
		}
		uids_clear(&one);
		uids_add(&one, w->uid);
		send_copy_of(p, &one);
	}
	if (!uids_is_empty(&set))
		send_copy_of(p, &set);
	uids_release(&set);
	uids_release(&one);
	point("push.sent");
}

/* "NO MOVE extension not supported" though it is offered (go-imap's memory server, Q35). */
static bool is_move_broken(struct push *p)
{
	return is_move(p) && push_has(p, IMAP_CAP_MOVE) && !p->no_move && p->refused &&
	       p->code != IMAP_OVERQUOTA && p->code != IMAP_NOPERM && !p->missing;
}

static void recv_copy(struct push *p)
{
	bool again = false;

	for (size_t i = 0; i < p->count && !p->missing; i++)
		p->missing = p->works[i].outcome == WORK_OPEN && p->works[i].refused &&
			     (p->to->rec.state & STORE_MAILBOX_HERE);
	if (push_open_count(p) == 0)
		return;
	if (p->missing && !p->created) {
		push_go(p, "create");
		return;
	}
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome != WORK_OPEN || !w->refused)
			continue;
		if (w->together || is_move_broken(p)) {
			again = true;
			w->alone = w->alone && !is_move_broken(p); /* it was the command, not the set */
		} else {
			w->outcome = WORK_FAILED; /* for the reason that it has */
		}
		w->together = false;
	}
	if (is_move_broken(p))
		p->no_move = true;
	/* Only what is still there is tried again, after a new look at it: some of so many may have gone (Q36). */
	if (again)
		push_go(p, "select");
}

/* create: the target is not there (R12) */

static bool due_create(struct push *p)
{
	return p->missing && !p->created;
}

static void recv_create(struct push *p)
{
	p->missing = false;
	if (p->refused && p->code != IMAP_ALREADYEXISTS)
		push_fail_open(p, "the mailbox is missing, and the server did not make it: %s", push_words(p));
	if (push_open_count(p) == 0)
		return;
	push_box_made(p, p->to);
	p->to->told.items = 0;
	push_go(p, "status");
}

/* find: UIDs that the server did not tell; the source is left by it, so it comes last */

static bool lacks_uid(const struct work *w)
{
	return w->outcome == WORK_DONE && w->new_uid == 0 && w->message != 0;
}

static bool due_find(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (lacks_uid(&p->works[i]))
			return true;
	return false;
}

static void recv_find(struct push *p)
{
	push_look_match(p, WORK_DONE);
}

static const struct push_row rows[] = {
	{ "sort", NULL, NULL, recv_sort },
	{ "status", push_due_status, push_send_status, push_recv_status },
	{ "select", due_select, send_select, recv_select },
	{ "flags", due_flags, send_flags, NULL },
	{ "intent", push_due_open, NULL, recv_intent },
	{ "copy", push_due_open, send_copy, recv_copy },
	{ "create", due_create, push_send_create, recv_create },
	PUSH_REMOVE_ROWS,
	{ "find", due_find, push_look_send, recv_find },
	{ NULL, NULL, NULL, NULL },
};
const struct push_kind push_copy = { "push copy", joins, rows, 5000 };
