/* Pull, the opening: SELECT or EXAMINE, and whether the mailbox is the one that the store knows (S2, S15, S16). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/pull_private.h"

static void send_open(struct pull *p, bool plain)
{
	struct box *box = p->visit.box;
	struct imap *c = p->visit.link->imap;
	struct imap_cmd *cmd = pull_command(p, IMAP_CMD_SELECT, 0, 0);

	p->opened++;
	imap_cmd_add(cmd, p->plan.examine ? "EXAMINE " : "SELECT ");
	imap_cmd_add_string(cmd, slice_of(box->rec.wire), true);
	if (!plain && p->plan.ladder == PLAN_QRESYNC)
		imap_cmd_add(cmd, " (QRESYNC (%llu %llu 1:%lu))",
			(unsigned long long)box->rec.uidvalidity, (unsigned long long)p->plan.since,
			(unsigned long)p->plan.old_last);
	else if (imap_has(c, IMAP_CAP_CONDSTORE) && !imap_has(c, IMAP_CAP_ENABLE)) /* before a value counts (Q65) */
		imap_cmd_add(cmd, " (CONDSTORE)");
	imap_send(c, cmd, p, 0);
}

void pull_send_select(struct pull *p)
{
	send_open(p, false);
}

/* A later row needs the mailbox selected; another one may be by now. */
void pull_select_again(struct pull *p)
{
	if (imap_last_box(p->visit.link->imap) != p)
		send_open(p, true);
}

void pull_note_refusal(struct pull *p, const char *what)
{
	struct box *box = p->visit.box;

	if (p->hasty) {
		pull_leave(p, BOX_TO_PULL);
		return;
	}
	account_note(pull_sync(p), SYNC_FAILURE, box->rec.name, "the server refused to %s: %s", what,
		p->refusal);
	pull_leave(p, BOX_LEFT);
}

static bool recv_refused_select(struct pull *p)
{
	struct box *box = p->visit.box;
	bool bad = p->refusal_cond == IMAP_BAD && !p->hasty;

	if (p->plan.ladder == PLAN_QRESYNC && (bad || !imap_qresync(p->visit.link->imap))) {
		/* ENABLED did not name it, or its parameters are BAD all the same (Q76): once more, without. */
		pull_sync(p)->no_qresync = true;
		pull_leave(p, BOX_TO_PULL);
	} else if (p->refusal_code == IMAP_NONEXISTENT) {
		/* Gmail's parent and its localised INBOX (Q13, Q14); a plain NO says nothing (Q87). */
		box->rec.state |= STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE;
		box->rec_changed = true;
		account_note(pull_sync(p), SYNC_WARNING, box->rec.name,
			pull_sync(p)->account->remove_gone ? "is gone from the server"
				: "is gone from the server; its folder stays as it is");
		pull_leave(p, BOX_LEFT);
	} else {
		pull_note_refusal(p, "open the mailbox");
	}
	return false;
}

/* S15. Told once: it will be so in every session. */
static void tell_passing(struct pull *p)
{
	struct box *box = p->visit.box;

	account_note(pull_sync(p), box->rec.state & STORE_MAILBOX_PASSING ? SYNC_INFO : SYNC_WARNING, box->rec.name,
		"the server has no lasting UIDs for it: its messages are recognized anew in each session");
}

static bool is_another(const struct pull *p)
{
	const char *id = p->visit.box->rec.mailboxid;

	return p->mailboxid && id && strcmp(p->mailboxid, id) != 0;
}

/* Some servers renew a UIDVALIDITY now and then (Q40). Nor is one that is new each time news. */
static void tell_reset(struct pull *p)
{
	struct box *box = p->visit.box;
	const char *what = "the server went back behind what it told before (UIDVALIDITY %llu, still %llu): "
			   "its messages are recognized anew";

	if (p->sel.uidvalidity != box->rec.uidvalidity)
		what = "UIDVALIDITY changed from %llu to %llu: its messages are recognized anew";
	else if (is_another(p))
		what = "another mailbox has this name now, by its MAILBOXID (UIDVALIDITY %llu, still %llu): "
		       "its messages are recognized anew";
	account_note(pull_sync(p), p->passing ? SYNC_INFO : SYNC_WARNING, box->rec.name, what,
		(unsigned long long)box->rec.uidvalidity, (unsigned long long)p->sel.uidvalidity);
	box->result.reset = true;
}

void pull_take_mailboxid(struct pull *p)
{
	struct store_mailbox *rec = &p->visit.box->rec;

	free(rec->mailboxid);
	rec->mailboxid = p->mailboxid ? mem_copy(p->mailboxid) : NULL;
	p->visit.box->rec_changed = true;
}

/* Twice in a row the UIDVALIDITY was a new one, or there is none: such UIDs are good for this connection
 * only (S15). */
bool pull_start_reset(struct pull *p)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);

	p->passing = p->sel.uidvalidity == 0 ||
		((box->rec.state & STORE_MAILBOX_PASSING) && p->sel.uidvalidity != box->rec.uidvalidity);
	if (p->sel.uidvalidity == 0)
		tell_passing(p);
	else
		tell_reset(p);
	if (s->options.dry_run) {
		pull_leave(p, BOX_IDLE);
		return false;
	}
	if (p->sel.uidvalidity != box->rec.uidvalidity || p->passing)
		box->rec.state |= STORE_MAILBOX_PASSING;
	box->uidnext_hint = p->sel.uidnext;
	p->state = PULL_RESETTING;
	pull_pend(p);
	return false;
}

/* Nothing is known of an empty mailbox, so another UIDVALIDITY or MAILBOXID is no news (Courier's changes by the second
 * until the first message comes: Q70). True where that was it. */
static bool take_empty(struct pull *p)
{
	struct box *box = p->visit.box;
	struct store_counts n = store_mailbox_counts(pull_sync(p)->store, box->rec.id);

	if (box->rec.uidvalidity == 0 || p->sel.uidvalidity == 0 || n.messages > 0 ||
		(p->sel.uidvalidity == box->rec.uidvalidity && !is_another(p)))
		return false;
	box->rec.uidvalidity = p->sel.uidvalidity;
	pull_take_mailboxid(p);
	box->rec.lastseen = box->rec.uidnext = box->rec.messages = 0;
	box->rec.highestmodseq = 0;
	box->rec_changed = true;
	if (p->plan.old_last > 0)
		pull_leave(p, BOX_TO_PULL); /* what was asked for left out UIDs that are new now */
	else
		p->trusted = true;
	return true;
}

/* "new" was left out because UIDNEXT had not moved when LIST-STATUS told it. Something has come since: if
 * as many were expunged, the numbers agree, and nothing else would ever tell (S3). */
static void ask_new_after_all(struct pull *p)
{
	unsigned row = p->row;

	if (p->plan.ask_new || p->sel.uidnext == 0 || p->sel.uidnext == p->plan.uidnext)
		return;
	p->plan.ask_new = true;
	p->plan.uidnext = p->sel.uidnext;
	p->row = p->judged + 1; /* where "new" stands: its answers are judged next */
	p->sent[p->row] = true;
	pull_select_again(p);
	pull_send_new(p);
	p->row = row;
}

/* S15: no UIDVALIDITY, or UIDNOTSTICKY. True where this pull may go on with the UIDs that it gets. */
static bool take_passing(struct pull *p)
{
	struct box *box = p->visit.box;

	if (p->plan.examine && !(box->rec.state & STORE_MAILBOX_PASSING)) {
		box->by_select = true; /* Q70: EXAMINE may not tell what SELECT does */
		pull_leave(p, BOX_TO_PULL);
		return false;
	}
	if (!box_is_of_session(box, p->visit.link) && (box->rec.lastseen > 0 || box->rec.uidvalidity != 0))
		return pull_start_reset(p);
	if (box->session == 0)
		tell_passing(p);
	box->session = p->visit.link->serial;
	if (!(box->rec.state & STORE_MAILBOX_PASSING))
		box->rec_changed = true;
	box->rec.state |= STORE_MAILBOX_PASSING;
	p->passing = p->trusted = true;
	box->uidnext_hint = p->sel.uidnext;
	if (p->plan.uidnext == 0)
		p->plan.uidnext = p->sel.uidnext;
	return true;
}

bool pull_recv_select(struct pull *p)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);

	if (p->refused[p->judged])
		return recv_refused_select(p);
	if (take_empty(p))
		return p->state == PULL_ASKING;
	switch (plan_select(&box->rec, &p->sel, p->plan.examine)) {
	case PLAN_NO_UIDS:
		return take_passing(p);
	case PLAN_CONFIRM:
		box->by_select = true;
		pull_leave(p, BOX_TO_PULL);
		return false;
	case PLAN_RESET:
		return pull_start_reset(p);
	case PLAN_GO_ON:
		break;
	}
	if ((box->rec.state & STORE_MAILBOX_PASSING) && !box->session && !box->result.reset) {
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_PASSING; /* it did last after all */
		box->rec_changed = true;
	}
	if (box->by_select && !p->plan.examine)
		s->no_examine = s->facts_changed = true;
	if (box->rec.uidvalidity == 0) {
		box->rec.uidvalidity = p->sel.uidvalidity;
		box->rec_changed = true;
	}
	if (p->mailboxid && !box->rec.mailboxid)
		pull_take_mailboxid(p);
	box->uidnext_hint = p->sel.uidnext;
	if (p->plan.uidnext == 0)
		p->plan.uidnext = p->sel.uidnext; /* where "new" has waited for it */
	p->trusted = true;
	ask_new_after_all(p);
	return true;
}
