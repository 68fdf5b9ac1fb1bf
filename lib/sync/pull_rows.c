/* Pull, what is asked of an open mailbox, row by row, and how the answers are judged: new messages, changes to old
 * ones, and where the numbers do not agree, who is there. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/pull_private.h"

#define RANGES_MAX 10000u /* however sparse the UIDs, and however few of them a command may name */

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
		pull_send_set(p, &p->refresh, "(UID FLAGS)");
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
	fits = !uids_is_empty(&set) && uids_print(&set, 1, throttle_set_octets(pull_sync(p), pull_descriptor(p)), &text) == 0;
	if (fits)
		imap_cmd_add(cmd, "UID FETCH %s %s", buf_str(&text), pull_descriptor(p));
	buf_release(&text);
	uids_release(&set);
	return fits;
}

void pull_send_new(struct pull *p)
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
				(unsigned long)last, pull_descriptor(p));
		else
			imap_cmd_add(cmd, "UID FETCH %lu:* %s", (unsigned long)first, pull_descriptor(p));
		pull_send(p, cmd);
		first = last + 1;
	} while (last);
}

bool pull_due_new(struct pull *p)
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
	pull_note_refusal(p, "list its messages");
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
bool pull_recv_new(struct pull *p)
{
	if (p->refused[p->judged] && p->sel.has_exists && uids_is_empty(&p->fresh) && uids_is_empty(&p->gone) &&
		pull_known(p) == p->sel.exists)
		return true;
	return recv_fetch(p);
}

bool pull_due_old(struct pull *p)
{
	return p->plan.ladder == PLAN_CONDSTORE || p->plan.ladder == PLAN_PLAIN;
}

void pull_send_old(struct pull *p)
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

bool pull_recv_old(struct pull *p)
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
bool pull_due_list(struct pull *p)
{
	struct sync *s = pull_sync(p);

	if (!p->sel.has_exists || p->visit.box->rules.old_skip || s->options.dry_run)
		return false;
	p->compared = !p->must_list && pull_known(p) == p->sel.exists;
	return !p->compared;
}

void pull_send_list(struct pull *p)
{
	struct imap_cmd *cmd;
	bool esearch = imap_has(p->visit.link->imap, IMAP_CAP_ESEARCH) ||
		       imap_has(p->visit.link->imap, IMAP_CAP_IMAP4REV2);

	pull_select_again(p);
	cmd = pull_command(p, esearch ? IMAP_CMD_READ : IMAP_CMD_SEARCH, 0, 0);
	imap_cmd_add(cmd, esearch ? "UID SEARCH RETURN (ALL) ALL" : "UID SEARCH ALL");
	uids_clear(&p->listed);
	p->has_list = false;
	pull_send(p, cmd);
}

bool pull_recv_list(struct pull *p)
{
	struct box *box = p->visit.box;
	struct uids known;

	if (p->refused[p->judged]) {
		pull_note_refusal(p, "list its UIDs");
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

bool pull_due_fill(struct pull *p)
{
	return !uids_is_empty(&p->wanted) || !uids_is_empty(&p->doubted);
}

void pull_send_fill(struct pull *p)
{
	pull_select_again(p);
	if (!uids_is_empty(&p->wanted))
		pull_send_set(p, &p->wanted, pull_descriptor(p));
	if (!uids_is_empty(&p->doubted))
		pull_send_set(p, &p->doubted, "(UID FLAGS)");
}

bool pull_recv_fill(struct pull *p)
{
	if (!recv_fetch(p))
		return false;
	uids_add_all(&p->gone, &p->doubted);
	return true;
}

bool pull_due_ids(struct pull *p)
{
	return !uids_is_empty(&p->suspects);
}

void pull_send_ids(struct pull *p)
{
	pull_select_again(p);
	pull_send_set(p, &p->suspects, "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
}

/* Refused: then they are fetched like any other. */
bool pull_recv_ids(struct pull *p)
{
	(void)p;
	return true;
}
