/* Push, expunges: only what the user named (R7), and only if it is still the same message (R16). */
#include "sync/push_private.h"

static bool joins(struct push *p, const struct store_action *a)
{
	return a->verb == QUEUE_EXPUNGE && a->mailbox == p->first.mailbox && a->state == STORE_ACTION_WAITING &&
	       p->first.state == STORE_ACTION_WAITING;
}

static void send_select(struct push *p)
{
	struct uids set;

	uids_init(&set);
	push_open_uids(p, &set);
	p->stay = stay_open(p, p->box, true);
	push_send_check(p, &set);
	uids_release(&set);
}

static void recv_select(struct push *p)
{
	if (stay_judge(p, p->stay, true))
		push_judge_check(p, 0, p->count);
	if (!p->stay->ok)
		push_end(p);
}

static const struct push_row rows[] = {
	{ "select", push_due_open, send_select, recv_select },
	PUSH_REMOVE_ROWS,
	{ NULL, NULL, NULL, NULL },
};
const struct push_kind push_expunge = { "push expunge", joins, rows, 5000 };
