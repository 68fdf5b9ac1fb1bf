/* Haul: bodies, for one mailbox after another, on whichever connection is free.
 *
 * EXAMINE and the first FETCHes leave together; what is asked for ahead is bounded in octets, not only
 * in commands (C7), and covers the longest commit, so that the network never waits for the disk.
 * A body is filed only if this EXAMINE told the UIDVALIDITY of our record, if its UID was asked for, and
 * once (C5). What does not fit is not believed:
 * - a body that is NIL or missing though the answer was OK: the mailbox is pulled once more, which tells
 *   whether the message still exists (S17);
 * - another size than RFC822.SIZE (Q24): held back until a check has shown that the UID is still there (doubts.c);
 * - NO to a set: each of its messages is asked for alone, so that one bad message does not hold
 *   back the others (Q44). */
#include <stdio.h>
#include <stdlib.h>

#include "sync/private.h"

#define ASK_OCTETS (1u << 20)
#define ASK_MESSAGES 200
#define ITEMS "(UID BODY.PEEK[])" /* RFC822 gives nothing on iCloud (Q54), BODY[] sets \Seen (Q56) */

struct haul_ask {
	struct haul *haul;
	struct haul_ask *next;
	struct uids uids; /* asked for and not yet come */
	uint64_t asked, octets;
	bool is_select, is_check;
};

struct haul {
	struct visit visit; /* first */
	struct haul *next;  /* of those that are not over */
	uint64_t uidvalidity;
	bool trusted, refused, over;
	unsigned unanswered;
	struct haul_ask *asks;
	struct arrival *arrival; /* whose literal came, whose response has not ended */
	struct uids singles;     /* to be asked for one at a time */
	struct uids postponed;   /* refused because of haste: to be asked for again */
	bool set_refused;        /* BAD to a set; who is to blame, its length or one of them? */
	bool single_refused;
	struct standins *standins;
	struct doubts doubts;
	uint64_t in_flight;
	bool lies; /* a size was wrong: little is asked for ahead from now on */
	struct uids seen;        /* answered the check */
	bool checking;
};

static struct sync *haul_sync(struct haul *h)
{
	return h->visit.box->sync;
}

static bool is_of_record(const struct haul *h)
{
	const struct box *box = h->visit.box;

	return box->rec.uidvalidity != 0 ? h->uidvalidity == box->rec.uidvalidity
					 : box_is_of_session(box, h->visit.link);
}

/* Is what comes of the mailbox that our record speaks of? A pull may have found out otherwise since. */
static bool haul_trusts(const struct haul *h)
{
	return h->trusted && is_of_record(h);
}

bool haul_visit_is_trusted(const struct visit *v)
{
	return haul_trusts((const struct haul *)v);
}

static void settle_doubts(struct haul *h)
{
	if (!haul_trusts(h))
		uids_clear(&h->seen);
	doubts_settle(&h->doubts, h->visit.box, &h->seen);
	uids_clear(&h->seen);
	h->checking = false;
}

void box_ask_again(struct box *box, uint32_t uid)
{
	if (uid && uid <= box->haul_after)
		box->haul_after = uid - 1;
	box->may_owe = true;
}

static void haul_end(struct haul *h)
{
	struct link *link = h->visit.link;
	struct haul **at;

	if (h->over)
		return;
	if (h->set_refused && !h->single_refused && h->trusted && !h->refused && !h->visit.box->again)
		throttle_set_proved(haul_sync(h));
	for (at = &haul_sync(h)->hauls; *at != h; at = &(*at)->next)
		;
	*at = h->next;
	h->over = true;
	h->visit.box->hauling = false;
	if (link && link->haul == h)
		link->haul = NULL;
	box_pull_again(h->visit.box);
	if (haul_sync(h)->arrived_count == 0)
		labels_awaited(haul_sync(h));
	account_mark(haul_sync(h));
}

void haul_refused(struct box *box, uint32_t uid, const struct imap_resp *tagged)
{
	uids_add(&box->refused, uid); /* not once more in this run: ten errors, and Exchange hangs up (Q20) */
	account_note(box->sync, SYNC_FAILURE, box->rec.name,
		"the server would not give UID %lu: %.*s; it is asked for again next time",
		(unsigned long)uid, (int)tagged->cond.text.len, tagged->cond.text.data);
}

bool haul_must_slow_down(struct sync *s, const struct imap_resp *tagged)
{
	struct err err = { 0 };

	if (tagged->cond.code != IMAP_LIMIT && tagged->cond.code != IMAP_THROTTLED &&
		tagged->cond.code != IMAP_INUSE)
		return false;
	throttle_back_off(s, tagged->cond.text, false);
	err_set(&err, ERR_LATER, ERR_ACCOUNT, "the server asks to slow down: %.*s",
		(int)tagged->cond.text.len, tagged->cond.text.data);
	account_fail(s, &err);
	return true;
}

static void judge_ask(struct haul *h, struct haul_ask *ask, const struct imap_resp *tagged)
{
	struct box *box = h->visit.box;

	if (uids_is_empty(&ask->uids))
		return;
	if (tagged->cond.cond == IMAP_OK)
		box->again = true; /* expunged, most likely: the next pull knows */
	else if (haul_must_slow_down(haul_sync(h), tagged))
		;
	else if (ask->asked == 1)
		haul_refused(box, uids_next(&ask->uids, 1), tagged);
	else
		uids_add_all(&h->singles, &ask->uids);
	if (tagged->cond.cond == IMAP_BAD && ask->asked > 1) {
		throttle_set_refused(haul_sync(h), ask->asked);
		h->set_refused = true;
	}
	h->single_refused |= tagged->cond.cond != IMAP_OK && ask->asked == 1;
}

static void judge_select(struct haul *h, const struct imap_resp *tagged)
{
	if (tagged->cond.cond == IMAP_OK && is_of_record(h)) {
		h->trusted = true;
		return;
	}
	/* Gone, closed to us, or another mailbox by now: the next pull finds out which. */
	h->trusted = false;
	h->refused = true;
	h->visit.box->again = true;
}

/* This haul gets no more: what was asked for and has not come, or is in doubt, is asked for again by another one. */
static void give_up(struct haul *h)
{
	struct box *box = h->visit.box;

	h->refused = true;
	for (struct haul_ask *ask = h->asks; ask; ask = ask->next)
		box_ask_again(box, uids_next(&ask->uids, 1));
	box_ask_again(box, uids_next(&h->singles, 1));
	box_ask_again(box, uids_next(&h->postponed, 1));
	box_ask_again(box, standins_drop(h->standins));
	box_ask_again(box, doubts_drop(&h->doubts));
}

/* Refused because of haste. Without its EXAMINE this haul gets nothing; a check that was not made leaves its bodies
 * owed. */
static void put_off(struct haul *h, struct haul_ask *ask)
{
	if (ask->is_select || ask->is_check) {
		h->trusted = false;
		give_up(h);
	} else if (h->trusted) {
		uids_add_all(&h->postponed, &ask->uids);
	}
}

static void on_answer(void *arg, const struct imap_resp *tagged)
{
	struct haul_ask *ask = arg, **at;
	struct haul *h = ask->haul;
	enum throttle_verdict verdict;

	for (at = &h->asks; *at != ask; at = &(*at)->next)
		;
	*at = ask->next;
	h->unanswered--;
	h->in_flight -= ask->octets;
	verdict = throttle_answer(haul_sync(h), tagged);
	if (verdict == THROTTLE_AGAIN)
		put_off(h, ask);
	else if (verdict == THROTTLE_OVER)
		;
	else if (ask->is_select)
		judge_select(h, tagged);
	else if (ask->is_check)
		settle_doubts(h);
	else if (h->trusted)
		judge_ask(h, ask, tagged);
	uids_release(&ask->uids);
	free(ask);
	account_mark(haul_sync(h));
}

static struct imap_cmd *haul_command(struct haul *h, enum imap_cmd_kind kind,
	struct haul_ask **out)
{
	struct haul_ask *ask = mem_new(sizeof *ask), **end = &h->asks;

	ask->haul = h;
	uids_init(&ask->uids);
	while (*end)
		end = &(*end)->next;
	*end = ask;
	h->unanswered++;
	*out = ask;
	return imap_cmd_new(kind, on_answer, ask);
}

static void send_examine(struct haul *h)
{
	struct sync *s = haul_sync(h);
	struct haul_ask *ask;
	struct imap_cmd *cmd = haul_command(h, IMAP_CMD_SELECT, &ask);
	bool select = s->no_examine || h->visit.box->by_select || link_is_plain(h->visit.link);

	ask->is_select = true;
	imap_cmd_add(cmd, select ? "SELECT " : "EXAMINE ");
	imap_cmd_add_string(cmd, slice_of(h->visit.box->rec.wire), true);
	imap_send(h->visit.link->imap, cmd, h, 0);
}

static void send_ask(struct haul *h, struct uids *set, uint64_t octets)
{
	struct haul_ask *ask;
	struct imap_cmd *cmd;
	struct buf text;

	buf_init(&text, 0);
	uids_print(set, 1, throttle_set_octets(haul_sync(h), ITEMS), &text);
	cmd = haul_command(h, IMAP_CMD_READ, &ask);
	uids_copy(&ask->uids, set);
	ask->asked = uids_count(set);
	ask->octets = octets;
	h->in_flight += octets;
	imap_cmd_add(cmd, "UID FETCH %s " ITEMS, buf_str(&text));
	buf_release(&text);
	imap_send(h->visit.link->imap, cmd, NULL, octets);
}

/* Is it brought in another way than by its whole body? */
static bool goes_elsewhere(struct haul *h, uint32_t uid)
{
	struct box *box = h->visit.box;
	struct store_message m;
	bool elsewhere = false;

	store_message_init(&m);
	if (store_message_by_uid(box->sync->store, box->rec.id, uid, &m)) {
		elsewhere = standin_is_owed(&m) || labels_have(box, &m);
		if (standin_is_owed(&m))
			standins_add(h->standins, uid);
	}
	store_message_release(&m);
	return elsewhere;
}

static uint64_t messages_max(const struct sync *s)
{
	unsigned max = throttle_set_max(s);

	return max == 0 || max > ASK_MESSAGES ? ASK_MESSAGES : max;
}

/* The next set of bodies owed, of about ASK_OCTETS. */
static bool next_set(struct haul *h, struct uids *set, uint64_t *octets)
{
	struct box *box = h->visit.box;
	struct sync *s = box->sync;
	uint32_t uid;
	uint64_t size;
	size_t ranges = 0, ranges_max = throttle_set_octets(s, ITEMS) / 22;
	uint64_t octets_max = throttle_ask_octets(s, ASK_OCTETS);

	uids_clear(set);
	*octets = 0;
	while (uids_count(set) < messages_max(s) && ranges < ranges_max &&
		store_owed_next(s->store, box->rec.id, box->haul_after, &uid, &size)) {
		if (goes_elsewhere(h, uid)) {
			box->haul_after = uid;
			continue;
		}
		if (!uids_is_empty(set) && *octets + size > octets_max)
			break;
		uids_add(set, uid);
		ranges = set->count;
		*octets += size;
		box->haul_after = uid;
	}
	return !uids_is_empty(set);
}

static void send_postponed(struct haul *h)
{
	struct uids set;

	uids_init(&set);
	while (!uids_is_empty(&h->postponed) && imap_room(h->visit.link->imap)) {
		uint32_t uid = 1;
		uids_clear(&set);
		while ((uid = uids_next(&h->postponed, uid)) != 0 && uids_count(&set) < messages_max(haul_sync(h)) &&
			set.count < throttle_set_octets(haul_sync(h), ITEMS) / 22)
			uids_add(&set, uid++);
		uids_remove_all(&h->postponed, &set);
		send_ask(h, &set, 0);
	}
	uids_release(&set);
}

static void send_singles(struct haul *h)
{
	struct uids one;

	uids_init(&one);
	while (!uids_is_empty(&h->singles) && imap_room(h->visit.link->imap)) {
		uint32_t uid = uids_next(&h->singles, 1);
		uids_clear(&one);
		uids_add(&one, uid);
		uids_remove_range(&h->singles, uid, uid);
		send_ask(h, &one, 0);
	}
	uids_release(&one);
}

/* EXAMINE anew, so that the server looks, then ask for the UIDs alone. */
static void send_check(struct haul *h)
{
	struct haul_ask *ask;
	struct imap_cmd *cmd;
	struct uids set;
	struct buf text;
	uint32_t from = 1;

	h->checking = true;
	uids_init(&set);
	buf_init(&text, 0);
	doubts_uids(&h->doubts, &set);
	send_examine(h);
	while (from) {
		buf_clear(&text);
		from = throttle_print_set(haul_sync(h), &set, from, "(UID)", &text);
		cmd = haul_command(h, IMAP_CMD_READ, &ask);
		ask->is_check = from == 0;
		imap_cmd_add(cmd, "UID FETCH %s (UID)", buf_str(&text));
		imap_send(h->visit.link->imap, cmd, NULL, 0);
	}
	buf_release(&text);
	uids_release(&set);
}

/* A pull may have selected its own mailbox on this connection since. */
static void select_ours(struct haul *h)
{
	if (imap_last_box(h->visit.link->imap) != h)
		send_examine(h);
}

/* Sends what there is room for. False where more is left to ask. */
static bool ask_more(struct haul *h)
{
	struct imap *c = h->visit.link->imap;
	struct uids set;
	uint64_t octets;
	bool all = false;

	uids_init(&set);
	while (imap_room(c) && throttle_may_ask(haul_sync(h), h->unanswered) && !(h->lies && h->in_flight >= DOUBTS_OCTETS) &&
		!(all = !next_set(h, &set, &octets))) {
		select_ours(h);
		send_ask(h, &set, octets);
	}
	uids_release(&set);
	if (all && !uids_is_empty(&h->postponed)) {
		select_ours(h);
		send_postponed(h);
	}
	if (all && !uids_is_empty(&h->singles)) {
		select_ours(h);
		send_singles(h);
	}
	while (all && standins_due(h->standins) && imap_room(c)) {
		select_ours(h);
		standins_ask(h->standins);
	}
	return all && uids_is_empty(&h->postponed) && uids_is_empty(&h->singles) && !standins_busy(h->standins);
}

static void haul_more(struct haul *h)
{
	struct link *link = h->visit.link;

	if (h->refused)
		standins_drop(h->standins);
	if (!h->refused && !h->checking && !doubts_are_many(&h->doubts) && !ask_more(h)) {
		link->haul = h;
		return;
	}
	/* All is asked for: the next mailbox's EXAMINE may fly behind. */
	if (link->haul == h)
		link->haul = NULL;
	if (h->unanswered > 0)
		return;
	if (h->doubts.first && !h->checking && !h->refused)
		send_check(h);
	else
		haul_end(h);
}

void hauls_more(struct sync *s)
{
	for (struct haul *h = s->hauls, *next; h; h = next) {
		next = h->next;
		if (h->visit.link->state == LINK_READY)
			haul_more(h);
	}
}

/* Whose body is it? Only what was asked for, and once (C5). */
static bool was_asked(struct haul *h, uint32_t uid)
{
	for (struct haul_ask *ask = h->asks; ask; ask = ask->next) {
		if (uids_has(&ask->uids, uid)) {
			uids_remove_range(&ask->uids, uid, uid);
			return true;
		}
	}
	return false;
}

static void on_body_response(struct haul *h, struct arrival *a, uint32_t uid)
{
	struct sync *s = haul_sync(h);
	struct store_message m;

	store_message_init(&m);
	if (!haul_trusts(h) || !arrival_is_whole(a) || !was_asked(h, uid) ||
		!store_message_by_uid(s->store, h->visit.box->rec.id, uid, &m)) {
		arrival_free(a);
	} else if (!arrival_is_of(a, &m)) {
		/* Q45: not given, so still owed. */
		log_line(LOG_STEPS, h->visit.box->rec.name, "UID %lu came with another one's Message-ID",
			(unsigned long)uid);
		h->visit.box->again = true;
		arrival_free(a);
	} else if (m.size == arrival_octets(a)) {
		arrival_take(a, &m);
	} else if (arrival_octets(a) == 0) {
		/* imap4d's way to say that it has lost the file, Exchange's for what is no mail (Q41): still owed. */
		h->visit.box->again = true;
		arrival_free(a);
	} else {
		doubts_add(&h->doubts, a, uid);
		h->lies = true;
	}
	store_message_release(&m);
}

static void on_fetch(struct haul *h, const struct imap_resp *r)
{
	struct arrival *a = h->arrival;

	h->arrival = NULL;
	if (h->checking && (r->fetch.items & IMAP_HAS_UID))
		uids_add(&h->seen, r->fetch.uid);
	if (!a && (r->fetch.items & IMAP_HAS_BODY)) {
		a = arrival_new(&h->visit, r->fetch.uid, r->fetch.body.len);
		arrival_sink(a)->ops->write(arrival_sink(a), r->fetch.body.data, r->fetch.body.len);
		arrival_sink(a)->ops->end(arrival_sink(a), 1);
	}
	if (!a)
		return;
	if ((r->fetch.items & IMAP_HAS_BODY) && (r->fetch.items & IMAP_HAS_UID))
		on_body_response(h, a, r->fetch.uid);
	else
		arrival_free(a);
}

static void haul_untagged(struct visit *v, const struct imap_resp *r)
{
	struct haul *h = (struct haul *)v;

	if (r->kind == IMAP_FETCH && (r->fetch.items & (IMAP_HAS_SECTIONS | IMAP_HAS_BODYSTRUCTURE)))
		standins_fetched(h->standins, r);
	else if (r->kind == IMAP_FETCH)
		on_fetch(h, r);
	else if (r->kind == IMAP_COND && r->cond.code == IMAP_UIDVALIDITY)
		h->uidvalidity = r->cond.code_number;
}

static struct sink *haul_body(struct visit *v, uint32_t uid, uint64_t size)
{
	struct haul *h = (struct haul *)v;

	if (!haul_trusts(h) || h->over)
		return NULL;
	arrival_abandon(h->arrival); /* a second literal in one response */
	h->arrival = arrival_new(v, uid, size);
	return arrival_sink(h->arrival);
}

static void haul_lost(struct visit *v)
{
	struct haul *h = (struct haul *)v;

	give_up(h);
	arrival_abandon(h->arrival);
	h->arrival = NULL;
	haul_end(h);
}

static void haul_free(struct visit *v)
{
	struct haul *h = (struct haul *)v;

	for (struct haul_ask *ask = h->asks, *next; ask; ask = next) {
		next = ask->next;
		uids_release(&ask->uids);
		free(ask);
	}
	arrival_abandon(h->arrival);
	doubts_drop(&h->doubts);
	standins_free(h->standins);
	uids_release(&h->singles);
	uids_release(&h->postponed);
	uids_release(&h->seen);
	free(h);
}

/* What was wanted behind our back (`mailtide fetch`), once all that was asked for is filed: until then it is
 * owed, too, and would come twice. */
static void go_back(struct box *box)
{
	if (box->haul_again == 0 || !batch_is_done(box->sync))
		return;
	if (box->haul_again <= box->haul_after)
		box->haul_after = box->haul_again - 1;
	box->haul_again = 0;
}

/* S15: UIDs that do not last mean nothing on another connection. */
static bool has_uids_for(const struct box *box, const struct link *link)
{
	return box->session == 0 ? box->rec.uidvalidity != 0 : box_is_of_session(box, link);
}

/* Is a body owed that must be asked for? */
static bool has_to_ask(struct box *box)
{
	struct store *store = box->sync->store;
	struct store_message m;
	bool ask = false;
	uint32_t uid;
	uint64_t size;

	store_message_init(&m);
	while (!ask && store_owed_next(store, box->rec.id, box->haul_after, &uid, &size)) {
		ask = !store_message_by_uid(store, box->rec.id, uid, &m) || !m.emailid || !labels_have(box, &m);
		if (!ask)
			box->haul_after = uid;
	}
	store_message_release(&m);
	return ask;
}

struct box *haul_find(struct sync *s, const struct link *link)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		if (!box->may_owe || box->hauling || !has_uids_for(box, link) ||
			box->state == BOX_LEFT || box->state == BOX_TO_PULL || !box->chosen)
			continue;
		go_back(box);
		if (has_to_ask(box))
			return box;
		/* A pull that goes on may bring more; its apply sets this again. */
		box->may_owe = box->haul_again != 0;
	}
	return NULL;
}

void haul_start(struct link *link, struct box *box)
{
	static const struct visit_ops ops = { haul_untagged, haul_body, haul_lost, haul_free };
	struct haul *h = mem_new(sizeof *h);

	uids_init(&h->singles);
	uids_init(&h->postponed);
	uids_init(&h->seen);
	h->standins = standins_new(&h->visit);
	visit_add(&h->visit, &ops, box, link);
	box->hauling = true;
	h->next = box->sync->hauls;
	box->sync->hauls = h;
	link->haul = h;
	account_progress(box->sync, box->rec.name, false);
	send_examine(h);
	haul_more(h);
}
