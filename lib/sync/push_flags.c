/* Push, flag changes: STORE of +FLAGS.SILENT and -FLAGS.SILENT over sets of UIDs (R4), mailbox by mailbox.
 *
 * The changes of one batch to one message are done as one: of each flag the last word counts, and an add followed
 * by a remove is the remove, not nothing, since another client may have set the flag (R14). The STOREs of one
 * mailbox leave together with the SELECT of the next. Sending them twice does no harm, so nothing is noted
 * before.
 *
 * A set that is refused is tried again message by message, so that one does not hold back the others; a message
 * that is gone is no failure (R12). What the server does not keep stays here (R4). */
#include <stdlib.h>
#include <string.h>

#include "sync/push_private.h"

static bool joins(struct push *p, const struct store_action *a)
{
	(void)p;
	return a->verb == QUEUE_FLAG && a->state == STORE_ACTION_WAITING;
}

static int by_place(const void *a, const void *b)
{
	const struct work *x = a, *y = b;

	if (x->mailbox != y->mailbox)
		return x->mailbox < y->mailbox ? -1 : 1;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->action < y->action ? -1 : x->action > y->action;
}

/* `against` says the last word. */
static void carry(struct mail_flags *to, const struct mail_flags *earlier, const struct mail_flags *against)
{
	to->system |= earlier->system & ~against->system;
	for (size_t i = 0; i < earlier->count; i++)
		if (!mail_flags_has(against, slice_of(earlier->keywords[i])))
			mail_flags_add(to, slice_of(earlier->keywords[i]));
}

void push_merge_flags(struct work *works, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++) {
		struct work *w = &works[i], *later = w + 1;
		if (w->message != later->message || w->outcome != WORK_OPEN ||
			later->outcome != WORK_OPEN)
			continue;
		w->carried = true;
		carry(&later->add, &w->add, &later->remove);
		carry(&later->remove, &w->remove, &later->add);
	}
}

static void recv_sort(struct push *p)
{
	qsort(p->works, p->count, sizeof *p->works, by_place);
	push_merge_flags(p->works, p->count);
	p->group = p->group_end = 0;
	p->ahead = NULL;
}

static bool is_last_word(const struct push *p, size_t i)
{
	return p->works[i].outcome == WORK_OPEN && !p->works[i].carried;
}

static size_t end_of_group(const struct push *p, size_t from)
{
	size_t end = from;

	while (end < p->count && p->works[end].mailbox == p->works[from].mailbox)
		end++;
	return end;
}

/* The next mailbox with something to do, from `from` on. */
static size_t next_group(const struct push *p, size_t from)
{
	while (from < p->count && p->works[from].outcome != WORK_OPEN)
		from++;
	return from;
}

static bool deletes(const struct push *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (is_last_word(p, i) && (p->works[i].add.system & MAIL_DELETED))
			return true;
	return false;
}

static void send_check_of(struct push *p, size_t from, size_t to)
{
	struct uids set;

	uids_init(&set);
	for (size_t i = from; i < to; i++)
		if (is_last_word(p, i) && (p->works[i].add.system & MAIL_DELETED))
			uids_add(&set, p->works[i].uid);
	push_send_check(p, &set);
	uids_release(&set);
}

static struct stay *open_group(struct push *p, size_t from)
{
	struct box *box = box_by_id(p->sync, p->works[from].mailbox);
	struct stay *t = stay_open(p, box, true);

	if (deletes(p, from, end_of_group(p, from)))
		send_check_of(p, from, end_of_group(p, from));
	return t;
}

static void send_select(struct push *p)
{
	p->group = next_group(p, p->group_end);
	if (p->group == p->count)
		return;
	p->group_end = end_of_group(p, p->group);
	p->stay = p->ahead ? p->ahead : open_group(p, p->group);
	p->ahead = NULL;
}

bool push_keep_permanent(const struct stay *t, struct mail_flags *flags)
{
	size_t before = flags->count, kept = 0;
	uint32_t system = flags->system, may = t->permanent.system;

	if (!t->has_permanent || (t->any_keyword && may == 0))
		return true; /* "\*" alone leaves out what goes without saying (go-imap) */
	/* $Forwarded is a keyword on the wire. */
	if (t->any_keyword)
		may |= MAIL_FORWARDED;
	flags->system &= may;
	for (size_t i = 0; i < before; i++) {
		if (t->any_keyword || mail_flags_has(&t->permanent, slice_of(flags->keywords[i])))
			flags->keywords[kept++] = flags->keywords[i];
		else
			free(flags->keywords[i]);
	}
	flags->count = kept;
	return flags->system == system && kept == before;
}

static void judge_permanent(struct push *p, size_t i)
{
	struct work *w = &p->works[i];
	struct stay *t = p->stay;

	if (t->read_only) {
		w->outcome = WORK_LOCAL;
		w->reason = mem_copy("the mailbox is read-only");
		return;
	}
	bool adds = push_keep_permanent(t, &w->add), removes = push_keep_permanent(t, &w->remove);
	if (!adds || !removes) {
		w->suspect = true; /* a part of it is sent, and the rest stays here */
		w->reason = mem_copy("the server does not keep such a flag in this mailbox");
	}
}

static void recv_select(struct push *p)
{
	if (p->group == p->count) {
		push_end(p);
		return;
	}
	if (!stay_judge(p, p->stay, false)) {
		push_go(p, "select");
		return;
	}
	if (deletes(p, p->group, p->group_end))
		for (size_t i = p->group; i < p->group_end; i++)
			if (is_last_word(p, i) && (p->works[i].add.system & MAIL_DELETED))
				push_judge_check(p, i, i + 1);
	for (size_t i = p->group; i < p->group_end; i++)
		if (is_last_word(p, i))
			judge_permanent(p, i);
}

/* STORE */

/* One set: messages whose flags change alike. */
struct store_ask {
	struct push_ask base;
	struct push *push;
	bool conditional;
};

static bool has_any(const struct mail_flags *f)
{
	return f->system != 0 || f->count > 0;
}

static struct work *work_of(struct push *p, uint32_t uid)
{
	size_t low = p->group, high = p->group_end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (p->works[middle].uid <= uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low > p->group && p->works[low - 1].uid == uid ? &p->works[low - 1] : NULL;
}

static void on_stored(void *arg, const struct imap_resp *tagged)
{
	struct store_ask *ask = arg;
	struct push *p = ask->push;
	struct uids modified;
	bool ok = tagged->cond.cond == IMAP_OK;

	uids_init(&modified);
	if (!push_answered(p, tagged))
		goto out;
	if (ask->conditional && imap_modified(tagged, &modified))
		ok = true; /* MODIFIED may stand in a NO (R15) */
	for (uint32_t uid = uids_next(&ask->base.uids, 1); uid; uid = uids_next(&ask->base.uids, uid + 1)) {
		struct work *w = work_of(p, uid);
		if (!w || w->outcome != WORK_OPEN)
			continue;
		/* Somebody has changed it since: his word counts, and the next pull brings it (R15). */
		if (uids_has(&modified, uid)) {
			mail_flags_clear(&w->add);
			mail_flags_clear(&w->remove);
			continue;
		}
		if (ok)
			continue;
		if (uids_count(&ask->base.uids) > 1) {
			w->alone = true;
			continue;
		}
		push_refuse_work(w, tagged);
		w->outcome = WORK_FAILED;
	}
out:
	uids_release(&modified);
}

static void send_store(struct push *p, const struct mail_flags *flags, bool adds, bool conditional,
	const struct uids *set)
{
	struct buf text, names, tail;
	uint32_t from = 1;

	buf_init(&text, 0);
	buf_init(&names, 0);
	buf_init(&tail, 0);
	mail_flags_print(flags, &names);
	if (conditional)
		buf_addf(&tail, "(UNCHANGEDSINCE %llu) ",
			(unsigned long long)p->stay->visit.box->rec.highestmodseq);
	buf_addf(&tail, "%cFLAGS.SILENT (%s)", adds ? '+' : '-', buf_str(&names));
	while (from != 0) {
		struct store_ask *ask = push_ask(p, sizeof *ask);
		struct imap_cmd *cmd = push_command_to(p, IMAP_CMD_CHANGE, on_stored, ask);
		buf_clear(&text);
		from = throttle_print_set(p->sync, set, from, buf_str(&tail), &text);
		ask->push = p;
		ask->conditional = conditional;
		uids_parse(&ask->base.uids, buf_slice(&text), text.len);
		imap_cmd_add(cmd, "UID STORE %s %s", buf_str(&text), buf_str(&tail));
		push_send(p, cmd);
	}
	buf_release(&text);
	buf_release(&names);
	buf_release(&tail);
}

/* Would it undo what somebody else has done meanwhile? Flags are on or off: only where our last word is what was
 * agreed before (set and taken back offline) can the server's newer state differ from both (R15). */
static bool may_undo(struct push *p, const struct work *w)
{
	struct store_message m;
	bool may = false;

	if (!p->sync->account->conflict_server || p->stay->visit.box->rec.highestmodseq == 0 ||
		!(push_has(p, IMAP_CAP_CONDSTORE) || push_has(p, IMAP_CAP_QRESYNC)))
		return false;
	store_message_init(&m);
	if (store_message_get(p->sync->store, w->message, &m))
		may = (w->add.system & ~m.flags.system) == 0 && (w->remove.system & m.flags.system) == 0 &&
		      w->add.count == 0 && w->remove.count == 0;
	store_message_release(&m);
	return may;
}

/* Works with the same flags in one direction go together. `sent` marks those that have been sent. */
static void send_alike(struct push *p, bool adds, bool alone)
{
	struct uids set;

	uids_init(&set);
	for (size_t i = p->group; i < p->group_end; i++)
		p->works[i].sent = !is_last_word(p, i) || p->works[i].alone != alone;
	for (size_t i = p->group; i < p->group_end; i++) {
		struct work *w = &p->works[i];
		const struct mail_flags *flags = adds ? &w->add : &w->remove;
		bool conditional;
		if (w->sent || !has_any(flags))
			continue;
		conditional = may_undo(p, w);
		uids_clear(&set);
		for (size_t k = i; k < p->group_end; k++) {
			struct work *o = &p->works[k];
			if (o->sent || !mail_flags_equal(adds ? &o->add : &o->remove, flags) ||
				may_undo(p, o) != conditional || (alone && k != i))
				continue;
			o->sent = true;
			uids_add(&set, o->uid);
		}
		send_store(p, flags, adds, conditional, &set);
	}
	uids_release(&set);
}

/* What is added, what is removed; a loss from here on counts (R11). */
static void send_both(struct push *p, bool alone)
{
	send_alike(p, true, alone);
	send_alike(p, false, alone);
	for (size_t i = p->group; i < p->group_end; i++)
		p->works[i].sent = true;
}

static void send_stores(struct push *p)
{
	size_t next = next_group(p, p->group_end);

	send_both(p, false);
	/* In the same flight, where the server tells whose its answers are. */
	if (next < p->count && imap_pipelines_mailboxes(p->link->imap))
		p->ahead = open_group(p, next);
}

static bool due_alone(struct push *p)
{
	for (size_t i = p->group; i < p->group_end; i++)
		if (is_last_word(p, i) && p->works[i].alone)
			return true;
	return false;
}

/* Who of those is there at all? In a SELECT of its own: the next mailbox may be open by now. */
static void send_who(struct push *p)
{
	struct uids set;

	uids_init(&set);
	for (size_t i = p->group; i < p->group_end; i++)
		if (is_last_word(p, i) && p->works[i].alone)
			uids_add(&set, p->works[i].uid);
	p->ahead = NULL;
	p->stay = stay_open(p, box_by_id(p->sync, p->works[p->group].mailbox), true);
	push_send_set(p, IMAP_CMD_READ, "FETCH", &set, "(UID FLAGS)");
	uids_release(&set);
}

static void recv_who(struct push *p)
{
	if (!stay_judge(p, p->stay, true))
		return;
	for (size_t i = p->group; i < p->group_end; i++)
		if (is_last_word(p, i) && p->works[i].alone && !stay_find(p->stay, p->works[i].uid))
			p->works[i].outcome = WORK_GONE;
}

static void send_alone(struct push *p)
{
	send_both(p, true);
}

/* An earlier change is what the last one is; but where a flag of that one stays here, it may have none such. */
static void judge_carried(struct push *p, struct work *w, const struct work *last)
{
	const struct stay *t = p->stay;

	w->outcome = last->outcome;
	if (last->outcome == WORK_LOCAL && !t->read_only && push_keep_permanent(t, &w->add) &&
		push_keep_permanent(t, &w->remove))
		w->outcome = WORK_DONE;
	else
		w->reason = last->reason ? mem_copy(last->reason) : NULL;
}

/* All is answered: what was not refused is done. */
static void recv_group(struct push *p)
{
	const struct work *last = NULL;

	for (size_t i = p->group_end; i-- > p->group;) {
		struct work *w = &p->works[i];
		if (w->outcome == WORK_OPEN && !w->carried)
			w->outcome = w->suspect ? WORK_LOCAL : WORK_DONE;
		if (!w->carried) {
			last = w;
			continue;
		}
		if (w->outcome != WORK_OPEN)
			continue;
		judge_carried(p, w, last);
		mail_flags_clear(&w->add);
		mail_flags_clear(&w->remove);
	}
	push_go(p, "select");
}

static const struct push_row rows[] = {
	{ "sort", NULL, NULL, recv_sort },
	{ "select", NULL, send_select, recv_select },
	{ "store", NULL, send_stores, NULL },
	{ "who", due_alone, send_who, recv_who },
	{ "alone", due_alone, send_alone, NULL },
	{ "group", NULL, NULL, recv_group },
	{ NULL, NULL, NULL, NULL },
};
const struct push_kind push_flags = { "push flags", joins, rows, 10000 };
