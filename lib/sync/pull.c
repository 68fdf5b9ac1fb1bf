/* Pull: what the server has, descriptor by descriptor, for one mailbox.
 *
 * The table of rows below is the algorithm (RFC 4549 section 4.3.1, RFC 7162). A row sends its
 * commands; rows that fly leave in the same flight as the row before them, because what they ask
 * does not depend on its answer, only whether the answer may be used does. When the flight is
 * answered each of its rows judges what came. Untagged responses only fill the inbox.
 *
 * What makes it safe:
 * - Nothing in the inbox is used before the SELECT was answered OK with the UIDVALIDITY of our
 *   record (recv_select); before that nothing is applied, afterwards partial answers may be, since
 *   each is true by itself: a descriptor, the flags of a UID, a UID that vanished.
 * - lastseen rises only by answered ranges without a gap (S3); the mod-sequence and MESSAGES are
 *   stored only when every row was answered OK and applied (S7), in the transaction of the last of it.
 * - After that the known UIDs must be as many as EXISTS (S16). If not, "list" asks for all UIDs and
 *   the difference is repaired. So a lying VANISHED, a missed UID, a bare EXPUNGE cost one more
 *   round trip and never a message. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/pull_private.h"

/* A BAD to fewer UIDs than this is not about their number. */
#define SET_SUSPECT 50
#define PULLS_MAX 20     /* of a mailbox in a run, to find out which number it is */
#define RANGES_MAX 10000u /* however sparse the UIDs, and however few of them a command may name */

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

/* Commands */

/* Too much at once (Q47)? The mailbox is open, and so many UIDs were asked for. */
static bool is_too_long(const struct pull *p, const struct ask *ask, const struct imap_resp *tagged)
{
	return tagged->cond.cond == IMAP_BAD && ask->row > 0 && !p->refused[0] && p->unanswered[0] == 0 &&
	       ask->uids >= SET_SUSPECT && p->visit.box->pulls < PULLS_MAX;
}

static void on_answer(void *arg, const struct imap_resp *tagged)
{
	struct ask *ask = arg, **at;
	struct pull *p = ask->pull;

	for (at = &p->asks; *at != ask; at = &(*at)->next)
		;
	*at = ask->next;
	if (throttle_answer(pull_sync(p), tagged) == THROTTLE_AGAIN)
		p->hasty = true;
	if (is_too_long(p, ask, tagged)) {
		throttle_set_refused(pull_sync(p), ask->uids);
		p->visit.box->too_long = p->hasty = true;
	}
	if (tagged->cond.cond == IMAP_OK && ask->first > 0) {
		uint32_t last = ask->last ? ask->last : uids_last(&p->fresh);
		if (last >= ask->first)
			uids_add_range(&p->answered, ask->first, last);
	}
	/* The first refusal is the reason; what flew behind it was refused because of it. */
	if (tagged->cond.cond != IMAP_OK && !p->has_refusal) {
		p->has_refusal = true;
		p->refusal_cond = tagged->cond.cond;
		p->refusal_code = tagged->cond.code;
		snprintf(p->refusal, sizeof p->refusal, "%.*s", (int)tagged->cond.text.len,
			tagged->cond.text.data);
	}
	p->refused[ask->row] |= tagged->cond.cond != IMAP_OK;
	if (--p->unanswered[ask->row] == 0 && p->state == PULL_ASKING)
		pull_pend(p); /* the rows judge from the top of the loop */
	account_mark(pull_sync(p)); /* a pull that was left is waited for, too */
	free(ask);
}

/* `first` 0: not a range of new descriptors. */
static struct imap_cmd *pull_command(struct pull *p, enum imap_cmd_kind kind, uint32_t first,
	uint32_t last)
{
	struct ask *ask = mem_new(sizeof *ask);

	ask->pull = p;
	ask->first = first;
	ask->last = last;
	ask->row = p->row;
	ask->next = p->asks;
	p->asks = ask;
	p->unanswered[p->row]++;
	return imap_cmd_new(kind, on_answer, ask);
}

/* How many UIDs the command just made asks for. */
static void pull_asks(struct pull *p, uint32_t uids)
{
	p->asks->uids = uids;
}

static void pull_send(struct pull *p, struct imap_cmd *cmd)
{
	imap_send(p->visit.link->imap, cmd, NULL, 0);
}

static uint64_t set_size(struct slice text)
{
	struct uids set;
	uint64_t n;

	uids_init(&set);
	uids_parse(&set, text, text.len);
	n = uids_count(&set);
	uids_release(&set);
	return n;
}

/* UID FETCH of a set, in as many lines as it needs. */
static void send_fetch_set(struct pull *p, const struct uids *set, const char *items)
{
	struct buf text;
	uint32_t from = 1;

	buf_init(&text, 0);
	while (from != 0) {
		struct imap_cmd *cmd = pull_command(p, IMAP_CMD_READ, 0, 0);
		buf_clear(&text);
		from = throttle_print_set(pull_sync(p), set, from, items, &text);
		pull_asks(p, (uint32_t)set_size(buf_slice(&text)));
		imap_cmd_add(cmd, "UID FETCH %s %s", buf_str(&text), items);
		pull_send(p, cmd);
	}
	buf_release(&text);
}

/* What a descriptor is asked to hold. After a UIDVALIDITY change every message is looked for among those
 * that we hold, so its Message-ID comes along; else it is asked for where it may help ("ids"). */
static const char *descriptor(struct pull *p)
{
	struct imap *c = p->visit.link->imap;
	const char *emailid = imap_has(c, IMAP_CAP_OBJECTID) ? " EMAILID" :
		imap_has(c, IMAP_CAP_X_GM_EXT_1)		      ? " X-GM-MSGID" :
								"";

	snprintf(p->descriptor, sizeof p->descriptor, "(UID FLAGS INTERNALDATE RFC822.SIZE%s%s)", emailid,
		p->matching && !p->visit.box->no_ids ? " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]" : "");
	return p->descriptor;
}

/* The rows */

static bool due_always(struct pull *p)
{
	(void)p;
	return true;
}

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

static void send_select(struct pull *p)
{
	send_open(p, false);
}

/* A later row needs the mailbox selected; another one may be by now. */
static void select_again(struct pull *p)
{
	if (imap_last_box(p->visit.link->imap) != p)
		send_open(p, true);
}

static void note_refusal(struct pull *p, const char *what)
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
		note_refusal(p, "open the mailbox");
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

/* Some servers renew a UIDVALIDITY now and then (Q40). Nor is one that is new each time news. */
static void tell_reset(struct pull *p)
{
	struct box *box = p->visit.box;

	account_note(pull_sync(p), p->passing ? SYNC_INFO : SYNC_WARNING, box->rec.name,
		p->sel.uidvalidity != box->rec.uidvalidity
			? "UIDVALIDITY changed from %llu to %llu: its messages are recognized anew"
			: "the server went back behind what it told before (UIDVALIDITY %llu, still %llu): "
			  "its messages are recognized anew",
		(unsigned long long)box->rec.uidvalidity, (unsigned long long)p->sel.uidvalidity);
	box->result.reset = true;
}

/* Twice in a row the UIDVALIDITY was a new one, or there is none: such UIDs are good for this connection
 * only (S15). */
static bool start_reset(struct pull *p)
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
	p->state = PULL_RESETTING;
	pull_pend(p);
	return false;
}

/* Nothing is known of an empty mailbox, so another UIDVALIDITY is no news (Courier's changes by the second
 * until the first message comes: Q70). True where that was it. */
static bool take_empty(struct pull *p)
{
	struct box *box = p->visit.box;
	struct store_counts n = store_mailbox_counts(pull_sync(p)->store, box->rec.id);

	if (box->rec.uidvalidity == 0 || p->sel.uidvalidity == 0 || n.messages > 0 ||
		p->sel.uidvalidity == box->rec.uidvalidity)
		return false;
	box->rec.uidvalidity = p->sel.uidvalidity;
	box->rec.lastseen = box->rec.uidnext = box->rec.messages = 0;
	box->rec.highestmodseq = 0;
	box->rec_changed = true;
	if (p->plan.old_last > 0)
		pull_leave(p, BOX_TO_PULL); /* what was asked for left out UIDs that are new now */
	else
		p->trusted = true;
	return true;
}

/* Of first:last, where last may be 0, or the UIDNEXT before which it ends. */
static uint32_t range_width(struct pull *p, uint32_t first, uint32_t uidnext)
{
	uint32_t width = plan_range_width(first, uidnext), max = throttle_set_max(pull_sync(p));
	uint32_t least = uidnext > first ? (uidnext - first) / RANGES_MAX + 1 : 1;

	if (max == 0 || max > width)
		return width;
	return max > least ? max : least;
}

/* What an interrupted sync has brought above lastseen is not asked for again, but for its flags. */
static void find_refresh(struct pull *p)
{
	store_known_uids(pull_sync(p)->store, p->visit.box->rec.id, &p->refresh);
	if (p->plan.old_last > 0)
		uids_remove_range(&p->refresh, 1, p->plan.old_last);
	if (!uids_is_empty(&p->refresh))
		send_fetch_set(p, &p->refresh, "(UID FLAGS)");
}

/* The range without what is known of it; false where that does not fit into a line. */
static bool add_gaps(struct pull *p, struct imap_cmd *cmd, uint32_t first, uint32_t last)
{
	struct uids set;
	struct buf text;
	bool fits;

	uids_init(&set);
	buf_init(&text, 0);
	uids_add_range(&set, first, last ? last : UID_MAX);
	uids_remove_all(&set, &p->refresh);
	fits = !uids_is_empty(&set) && uids_print(&set, 1, throttle_set_octets(pull_sync(p), descriptor(p)), &text) == 0;
	if (fits)
		imap_cmd_add(cmd, "UID FETCH %s %s", buf_str(&text), descriptor(p));
	buf_release(&text);
	uids_release(&set);
	return fits;
}

static void send_new(struct pull *p)
{
	uint32_t first = p->plan.old_last + 1, last;
	uint32_t width = range_width(p, first, p->plan.uidnext);

	if (p->plan.old_last == UID_MAX)
		return;
	find_refresh(p);
	do {
		struct imap_cmd *cmd;
		last = plan_range_end(first, width, p->plan.uidnext);
		cmd = pull_command(p, IMAP_CMD_READ, first, last);
		if (last || p->plan.uidnext > first)
			pull_asks(p, (last ? last + 1 : p->plan.uidnext) - first);
		if (!uids_is_empty(&p->refresh) && add_gaps(p, cmd, first, last))
			;
		else if (last)
			imap_cmd_add(cmd, "UID FETCH %lu:%lu %s", (unsigned long)first,
				(unsigned long)last, descriptor(p));
		else
			imap_cmd_add(cmd, "UID FETCH %lu:* %s", (unsigned long)first, descriptor(p));
		pull_send(p, cmd);
		first = last + 1;
	} while (last);
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
	select_again(p);
	send_new(p);
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
		return start_reset(p);
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

static bool recv_select(struct pull *p)
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
		return start_reset(p);
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
	if (p->mailboxid && strlen(p->mailboxid) <= 255 && !box->rec.mailboxid) {
		box->rec.mailboxid = mem_copy(p->mailboxid);
		box->rec_changed = true;
	}
	box->uidnext_hint = p->sel.uidnext;
	if (p->plan.uidnext == 0)
		p->plan.uidnext = p->sel.uidnext; /* where "new" has waited for it */
	p->trusted = true;
	ask_new_after_all(p);
	return true;
}

static bool due_new(struct pull *p)
{
	return p->plan.ask_new;
}

static bool recv_fetch(struct pull *p)
{
	if (!p->refused[p->judged]) {
		if (p->visit.box->too_long)
			throttle_set_proved(pull_sync(p));
		return true;
	}
	if (p->matching && p->refusal_cond == IMAP_BAD && !p->hasty && !p->visit.box->no_ids) {
		/* The header's name, with its space, may be what it does not read (Q84). */
		p->visit.box->no_ids = true;
		pull_leave(p, BOX_TO_PULL);
		return false;
	}
	note_refusal(p, "list its messages");
	return false;
}

/* VANISHED may name what we never knew (S6), in a million ranges: only what is known matters. */
static void cut_gone(struct pull *p)
{
	struct uids known;

	if (p->gone.count < 64)
		return;
	uids_init(&known);
	store_known_uids(pull_sync(p)->store, p->visit.box->rec.id, &known);
	uids_add_all(&known, &p->fresh);
	uids_intersect(&p->gone, &known);
	uids_release(&known);
}

/* What is known after everything in the inbox is applied. */
static uint64_t pull_known(struct pull *p)
{
	struct sync *s = pull_sync(p);
	uint32_t id = p->visit.box->rec.id;
	uint64_t known = store_mailbox_counts(s->store, id).messages + uids_count(&p->fresh);
	struct uids both;

	cut_gone(p);
	for (size_t i = 0; i < p->gone.count; i++)
		known -= store_count_uids(s->store, id, p->gone.ranges[i].first,
			p->gone.ranges[i].last);
	uids_init(&both);
	uids_copy(&both, &p->gone);
	uids_intersect(&both, &p->fresh);
	known -= uids_count(&both);
	uids_release(&both);
	return known;
}

/* Q75: some refuse `UID FETCH n:*` where there is nothing to give. Where EXISTS says that nothing is
 * missing, that is what it means. */
static bool recv_new(struct pull *p)
{
	if (p->refused[p->judged] && p->sel.has_exists && uids_is_empty(&p->fresh) && uids_is_empty(&p->gone) &&
		pull_known(p) == p->sel.exists)
		return true;
	return recv_fetch(p);
}

static bool due_old(struct pull *p)
{
	return p->plan.ladder == PLAN_CONDSTORE || p->plan.ladder == PLAN_PLAIN;
}

static void send_old(struct pull *p)
{
	uint32_t first = 1, last;
	bool changed = p->plan.ladder == PLAN_CONDSTORE;
	/* Few have changed: split only where the server wants it so. */
	uint32_t width = changed && throttle_set_max(pull_sync(p)) == 0 ? p->plan.old_last
									: range_width(p, 1, p->plan.old_last);

	do {
		struct imap_cmd *cmd = pull_command(p, IMAP_CMD_READ, 0, 0);
		last = p->plan.old_last - first < width ? p->plan.old_last : first + width - 1;
		imap_cmd_add(cmd, "UID FETCH %lu:%lu (UID FLAGS)", (unsigned long)first,
			(unsigned long)last);
		if (changed)
			imap_cmd_add(cmd, " (CHANGEDSINCE %llu)", (unsigned long long)p->plan.since);
		pull_asks(p, last - first + 1);
		pull_send(p, cmd);
		first = last + 1;
	} while (last < p->plan.old_last);
}

static bool recv_old(struct pull *p)
{
	struct uids known;

	if (p->refused[p->judged])
		return recv_fetch(p);
	if (p->plan.ladder != PLAN_PLAIN)
		return true;
	/* S4: a UID without an answer is gone, if then the numbers agree; else "list" tells. */
	uids_init(&known);
	store_known_uids(pull_sync(p)->store, p->visit.box->rec.id, &known);
	if (p->plan.old_last < UID_MAX)
		uids_remove_range(&known, p->plan.old_last + 1, UID_MAX);
	uids_remove_all(&known, &p->seen);
	uids_add_all(&p->gone, &known);
	if (!uids_is_empty(&known) && pull_known(p) != p->sel.exists) {
		uids_remove_all(&p->gone, &known);
		p->must_list = true; /* two errors may cancel each other in the numbers */
	}
	uids_release(&known);
	return true;
}

/* S16: a VANISHED that was not told (Q61), a message below UIDNEXT (Q80), what is not shown any more (Q39). A sync
 * that looks at new messages only cannot know. */
static bool due_list(struct pull *p)
{
	struct sync *s = pull_sync(p);

	if (!p->sel.has_exists || p->visit.box->rules.old_skip || s->options.dry_run)
		return false;
	p->compared = !p->must_list && pull_known(p) == p->sel.exists;
	return !p->compared;
}

static void send_list(struct pull *p)
{
	struct imap_cmd *cmd;
	bool esearch = imap_has(p->visit.link->imap, IMAP_CAP_ESEARCH) ||
		       imap_has(p->visit.link->imap, IMAP_CAP_IMAP4REV2);

	select_again(p);
	cmd = pull_command(p, esearch ? IMAP_CMD_READ : IMAP_CMD_SEARCH, 0, 0);
	imap_cmd_add(cmd, esearch ? "UID SEARCH RETURN (ALL) ALL" : "UID SEARCH ALL");
	uids_clear(&p->listed);
	p->has_list = false;
	pull_send(p, cmd);
}

static bool recv_list(struct pull *p)
{
	struct box *box = p->visit.box;
	struct uids known;

	if (p->refused[p->judged]) {
		note_refusal(p, "list its UIDs");
		return false;
	}
	/* An OK without an answer is not an empty mailbox: pull_finish tells that it is not whole. */
	if (!p->has_list && p->sel.exists > 0)
		return true;
	uids_init(&known);
	store_known_uids(pull_sync(p)->store, box->rec.id, &known);
	uids_add_all(&known, &p->fresh);
	/* What is listed is there, whatever VANISHED said. */
	uids_remove_all(&p->gone, &p->listed);
	uids_copy(&p->wanted, &p->listed);
	uids_remove_all(&p->wanted, &known);
	uids_remove_all(&known, &p->listed);
	if (p->plan.ladder != PLAN_CONDSTORE)
		log_line(LOG_STEPS, box->rec.name,
			"the number of messages did not agree; UIDs listed: %llu not known, %llu gone",
			(unsigned long long)uids_count(&p->wanted),
			(unsigned long long)uids_count(&known));
	/* An answer with fewer UIDs than EXISTS has left some out, maybe these (Q46, Q85): "fill" asks. */
	if (uids_count(&p->listed) < p->sel.exists) {
		uids_remove_all(&known, &p->gone);
		uids_copy(&p->doubted, &known);
	} else {
		uids_add_all(&p->gone, &known);
	}
	uids_release(&known);
	return true;
}

static bool due_fill(struct pull *p)
{
	return !uids_is_empty(&p->wanted) || !uids_is_empty(&p->doubted);
}

static void send_fill(struct pull *p)
{
	select_again(p);
	if (!uids_is_empty(&p->wanted))
		send_fetch_set(p, &p->wanted, descriptor(p));
	if (!uids_is_empty(&p->doubted))
		send_fetch_set(p, &p->doubted, "(UID FLAGS)");
}

static bool recv_fill(struct pull *p)
{
	if (!recv_fetch(p))
		return false;
	uids_add_all(&p->gone, &p->doubted);
	return true;
}

static bool due_ids(struct pull *p)
{
	return !uids_is_empty(&p->suspects);
}

static void send_ids(struct pull *p)
{
	select_again(p);
	send_fetch_set(p, &p->suspects, "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
}

/* Refused: then they are fetched like any other. */
static bool recv_ids(struct pull *p)
{
	(void)p;
	return true;
}

static const struct row rows[ROWS] = {
	{ "select", false, due_always, send_select, recv_select },
	{ "new", true, due_new, send_new, recv_new },
	{ "old", true, due_old, send_old, recv_old },
	{ "list", false, due_list, send_list, recv_list },
	{ "fill", false, due_fill, send_fill, recv_fill },
	{ "ids", false, due_ids, send_ids, recv_ids },
};
/* How many UIDs a command may name is limited, and how many there are is not known: SELECT tells. */
static bool flies(struct pull *p)
{
	return rows[p->row].flies && (throttle_set_max(pull_sync(p)) == 0 || p->plan.uidnext > 0 ||
		p->judged > 0 || !due_new(p));
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
		start_reset(p);
		return;
	}
	p->condstore = can_enable;
	p->matching = box->rec.state & STORE_MAILBOX_MATCHING;
	if (p->plan.uidnext == 0)
		p->plan.uidnext = box->uidnext_hint;
	p->known_before = store_mailbox_counts(s->store, box->rec.id).messages;
	p->plan = plan_pull(&box->rec, &box->told, &means);
	/* What LIST-STATUS told serves the first pull of a run only. */
	box->told.items = 0;
	account_progress(s, box->rec.name, false);
	pull_step(p);
}

struct pull **pull_link(struct pull *p)
{
	return &p->next;
}
