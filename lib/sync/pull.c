/* Pull: what the server has, descriptor by descriptor, for one mailbox.
 *
 * The table of rows below is the algorithm (RFC 4549 section 4.3.1, RFC 7162). A row sends its
 * commands; rows that fly leave in the same flight as the row before them, because what they ask
 * does not depend on its answer, only whether the answer may be used does. When the flight is
 * answered each of its rows judges what came. Untagged responses only fill the inbox.
 *
 * What makes it safe:
 * - Nothing in the inbox is used before the SELECT was answered OK with the UIDVALIDITY of our
 *   record (pull_recv_select); before that nothing is applied, afterwards partial answers may be, since
 *   each is true by itself: a descriptor, the flags of a UID, a UID that vanished.
 * - lastseen rises only by answered ranges without a gap (S3); the mod-sequence and MESSAGES are
 *   stored only when every row was answered OK and applied (S7), in the transaction of the last of it.
 * - After that the known UIDs must be as many as EXISTS (S16). If not, "list" asks for all UIDs and
 *   the difference is repaired. So a lying VANISHED, a missed UID, a bare EXPUNGE cost one more
 *   round trip and never a message. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/pull_private.h"

struct row {
	const char *name;
	bool flies; /* in the flight of the row before it */
	bool (*due)(struct pull *p);
	void (*send)(struct pull *p);
	/* Judges the answers. False: the rows after it are not run (the state says what instead). */
	bool (*recv)(struct pull *p);
};

void pull_pend(struct pull *p)
{
	struct sync *s = pull_sync(p);

	if (!p->pending) {
		p->pending = true;
		p->next = s->pulls;
		s->pulls = p;
	}
	account_mark(s);
}

void pull_leave(struct pull *p, enum box_state state)
{
	pull_forget_inbox(p);
	p->state = PULL_OVER;
	p->visit.box->state = state;
	account_mark(pull_sync(p));
}

static bool due_always(struct pull *p)
{
	(void)p;
	return true;
}

static const struct row rows[ROWS] = {
	{ "select", false, due_always, pull_send_select, pull_recv_select },
	{ "new", true, pull_due_new, pull_send_new, pull_recv_new },
	{ "old", true, pull_due_old, pull_send_old, pull_recv_old },
	{ "list", false, pull_due_list, pull_send_list, pull_recv_list },
	{ "fill", false, pull_due_fill, pull_send_fill, pull_recv_fill },
	{ "ids", false, pull_due_ids, pull_send_ids, pull_recv_ids },
};
/* How many UIDs a command may name is limited, and how many there are is not known: SELECT tells. */
static bool flies(struct pull *p)
{
	return rows[p->row].flies && (throttle_set_max(pull_sync(p)) == 0 || p->plan.uidnext > 0 ||
		p->judged > 0 || !pull_due_new(p));
}

/* Sends the next row and those that fly with it. */
static void send_flight(struct pull *p)
{
	do {
		if (rows[p->row].due(p)) {
			log_line(LOG_MOVES, p->visit.box->rec.name, "send %s", rows[p->row].name);
			p->sent[p->row] = true;
			rows[p->row].send(p);
		}
		p->row++;
	} while (p->row < ROWS && flies(p));
}

void pull_step(struct pull *p)
{
	while (p->state == PULL_ASKING) {
		if (p->judged == p->row) {
			if (p->row == ROWS)
				p->state = PULL_ANSWERED;
			else
				send_flight(p);
		} else if (p->unanswered[p->judged] > 0) {
			return;
		} else if (p->sent[p->judged]) {
			log_line(LOG_MOVES, p->visit.box->rec.name, "recv %s", rows[p->judged].name);
			if (!rows[p->judged].recv(p))
				return;
			p->judged++;
		} else {
			p->judged++;
		}
	}
}

/* Its life */

/* What was not answered is asked again on the next connection; what was, is applied. */
static void pull_lost(struct visit *v)
{
	struct pull *p = (struct pull *)v;

	if (p->state != PULL_ASKING)
		return;
	/* Each piece is true by itself: on a line that breaks every few seconds it is all the progress there is. */
	p->drained = p->trusted;
	p->state = PULL_ANSWERED;
	if (p->trusted)
		pull_pend(p);
	else
		pull_leave(p, BOX_TO_PULL);
}

static void pull_free(struct visit *v)
{
	struct pull *p = (struct pull *)v;

	for (struct ask *ask = p->asks, *next; ask; ask = next) {
		next = ask->next;
		free(ask);
	}
	free(p->items);
	buf_release(&p->keywords);
	uids_release(&p->fresh);
	uids_release(&p->answered);
	uids_release(&p->seen);
	uids_release(&p->gone);
	uids_release(&p->wanted);
	uids_release(&p->listed);
	uids_release(&p->doubted);
	uids_release(&p->suspects);
	uids_release(&p->refresh);
	free(p->mailboxid);
	free(p);
}

void pull_settle(struct pull *p)
{
	p->pending = false;
	if (p->state != PULL_OVER)
		return;
	free(p->items);
	p->items = NULL;
	p->size = 0;
	buf_shrink(&p->keywords, 0);
}

void pull_start(struct box *box, struct link *link)
{
	static const struct visit_ops ops = { pull_untagged, NULL, pull_lost, pull_free };
	struct sync *s = box->sync;
	struct pull *p = mem_new(sizeof *p);
	bool can_enable = imap_has(link->imap, IMAP_CAP_CONDSTORE) ||
			  imap_has(link->imap, IMAP_CAP_QRESYNC);
	struct plan_means means = {
		.qresync = imap_qresync(link->imap) && !s->no_qresync,
		.condstore = can_enable,
		.cold = s->options.cold,
		.old_skip = box->rules.old_skip,
		.no_examine = box->by_select || s->no_examine || link_is_plain(link),
	};

	visit_add(&p->visit, &ops, box, link);
	buf_init(&p->keywords, 0);
	box->state = BOX_PULLING;
	box->pulls++;
	/* S15: what its UIDs named is over. */
	if ((box->rec.state & STORE_MAILBOX_PASSING) && box->rec.uidvalidity == 0 && box->session == 0 &&
		box->rec.lastseen > 0 && !s->options.dry_run) {
		pull_start_reset(p);
		return;
	}
	p->condstore = can_enable;
	p->matching = box->rec.state & STORE_MAILBOX_MATCHING;
	p->known_before = store_mailbox_counts(s->store, box->rec.id).messages;
	p->plan = plan_pull(&box->rec, &box->told, &means);
	if (p->plan.uidnext == 0)
		p->plan.uidnext = box->uidnext_hint;
	/* What LIST-STATUS told serves the first pull of a run only. */
	box->told.items = 0;
	account_progress(s, box->rec.name, false);
	pull_step(p);
}

struct pull **pull_link(struct pull *p)
{
	return &p->next;
}
