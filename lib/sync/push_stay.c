/* Stay: a mailbox open for the replay, what it tells, and whether it is the one that the actions mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/push_private.h"

#define SEEN_MAX 1000000u /* whatever a hostile server sends */

static void forget_seen(struct stay *t)
{
	for (size_t i = 0; i < t->seen_count; i++) {
		mail_flags_release(&t->seen[i].flags);
		free(t->seen[i].emailid);
	}
	t->seen_count = 0;
}

void stay_clear(struct stay *t)
{
	forget_seen(t);
	uids_clear(&t->gone);
	uids_clear(&t->listed);
	t->has_list = false;
	t->expunged = 0;
	t->copied_validity = 0;
	imap_uid_list_release(&t->from);
	imap_uid_list_release(&t->to);
}

static void stay_free(struct visit *v)
{
	struct stay *t = (struct stay *)v;

	stay_clear(t);
	free(t->seen);
	uids_release(&t->gone);
	uids_release(&t->listed);
	mail_flags_release(&t->permanent);
	free(t->mailboxid);
	free(t);
}

static void stay_lost(struct visit *v)
{
	(void)v; /* push_lost looks after the batch */
}

static void take_permanent(struct stay *t, const struct imap_resp *r)
{
	t->has_permanent = true;
	t->any_keyword = r->cond.flags.any;
	mail_flags_clear(&t->permanent);
	t->permanent.system = r->cond.flags.system;
	for (size_t i = 0; i < r->cond.flags.count; i++)
		mail_flags_add(&t->permanent, r->cond.flags.keywords[i]);
}

static void take_cond(struct stay *t, const struct imap_resp *r)
{
	switch (r->cond.code) {
	case IMAP_UIDVALIDITY:
		t->uidvalidity = r->cond.code_number;
		break;
	case IMAP_UIDNEXT:
		t->uidnext = (uint32_t)r->cond.code_number;
		break;
	case IMAP_HIGHESTMODSEQ:
		t->highestmodseq = r->cond.code_number;
		break;
	case IMAP_UIDNOTSTICKY:
		t->uidvalidity = 0;
		break;
	case IMAP_MAILBOXID:
		free(t->mailboxid);
		t->mailboxid = mem_copy_slice(r->cond.code_text);
		break;
	case IMAP_PERMANENTFLAGS:
		take_permanent(t, r);
		break;
	case IMAP_COPYUID:
		imap_copyuid(r, &t->copied_validity, &t->from, &t->to);
		break;
	default:
		break;
	}
}

/* Those that come in spite of .SILENT (Q6) do no harm: the last one of a message counts. */
static void take_fetch(struct stay *t, const struct imap_resp *r)
{
	struct push_seen *seen;

	if (!(r->fetch.items & IMAP_HAS_UID) || t->seen_count >= SEEN_MAX)
		return; /* never by number (C8) */
	if (t->seen_count == t->seen_size) {
		t->seen_size = t->seen_size ? 2 * t->seen_size : 16;
		t->seen = mem_grow(t->seen, t->seen_size, sizeof *t->seen);
	}
	seen = &t->seen[t->seen_count++];
	memset(seen, 0, sizeof *seen);
	seen->uid = r->fetch.uid;
	seen->items = r->fetch.items;
	seen->date = r->fetch.date;
	seen->size = r->fetch.size;
	mail_flags_init(&seen->flags);
	seen->flags.system = r->fetch.flags.system;
	for (size_t i = 0; i < r->fetch.flags.count; i++)
		mail_flags_add(&seen->flags, r->fetch.flags.keywords[i]);
	if (r->fetch.items & IMAP_HAS_EMAILID)
		seen->emailid = mem_copy_slice(r->fetch.emailid);
	for (size_t i = 0; i < r->fetch.section_count; i++) {
		const struct imap_section *section = &r->fetch.sections[i];
		if (section->nil || !slice_starts_nocase(section->spec, "HEADER"))
			continue;
		seen->has_id = true;
		match_message_id(section->data, seen->message_id);
	}
}

static void stay_untagged(struct visit *v, const struct imap_resp *r)
{
	struct stay *t = (struct stay *)v;

	switch (r->kind) {
	case IMAP_COND:
		take_cond(t, r);
		break;
	case IMAP_EXISTS:
		t->exists = r->number;
		break;
	case IMAP_EXPUNGE:
		t->expunged++;
		break;
	case IMAP_VANISHED:
		if (!r->vanished.earlier)
			uids_add_all(&t->gone, r->vanished.uids);
		break;
	case IMAP_SEARCH:
	case IMAP_ESEARCH:
		uids_add_all(&t->listed, r->search.uids);
		t->has_list = true;
		break;
	case IMAP_FETCH:
		take_fetch(t, r);
		break;
	default:
		break;
	}
}

static void on_opened(void *arg, const struct imap_resp *tagged)
{
	struct stay *t = arg;
	bool ok = tagged->cond.cond == IMAP_OK;

	t->answered = true;
	t->ok = ok;
	t->read_only = ok && tagged->cond.code == IMAP_READONLY;
	t->nonexistent = !ok && tagged->cond.code == IMAP_NONEXISTENT;
	if (!ok)
		snprintf(t->refusal, sizeof t->refusal, "%.*s", (int)tagged->cond.text.len,
			tagged->cond.text.data);
	(void)push_answered(t->push, tagged);
}

/* What a body is for: see push_look.c. */
static struct sink *stay_body(struct visit *v, uint32_t uid, uint64_t size)
{
	(void)size;
	return push_look_sink(((struct stay *)v)->push, uid);
}

struct stay *stay_open(struct push *p, struct box *box, bool writes)
{
	static const struct visit_ops ops = { stay_untagged, stay_body, stay_lost, stay_free };
	struct stay *t = p->stay;
	struct imap_cmd *cmd;

	if (t && t->visit.box == box && t->ok && (t->writes || !writes) && !t->read_only &&
		imap_last_box(p->link->imap) == t) {
		stay_clear(t);
		return t;
	}
	t = mem_new(sizeof *t);
	t->push = p;
	t->writes = writes || link_is_plain(p->link) || p->sync->no_examine; /* Q70 */
	mail_flags_init(&t->permanent);
	visit_add(&t->visit, &ops, box, p->link);
	p->unanswered++;
	cmd = imap_cmd_new(IMAP_CMD_SELECT, on_opened, t);
	imap_cmd_add(cmd, t->writes ? "SELECT " : "EXAMINE ");
	imap_cmd_add_string(cmd, slice_of(box->rec.wire), true);
	if (imap_has(p->link->imap, IMAP_CAP_CONDSTORE) && !imap_has(p->link->imap, IMAP_CAP_ENABLE))
		imap_cmd_add(cmd, " (CONDSTORE)");
	imap_send(p->link->imap, cmd, t, 0);
	return t;
}

const struct push_seen *stay_find(const struct stay *t, uint32_t uid)
{
	for (size_t i = t->seen_count; i-- > 0;)
		if (t->seen[i].uid == uid)
			return &t->seen[i];
	return NULL;
}

/* Judging */

static void fail_of_box(struct push *p, const struct box *box, const char *why)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_OPEN && p->works[i].mailbox == box->rec.id)
			push_fail_work(&p->works[i], "%s", why);
}

/* The mailbox is not there, or cannot be opened (R12). */
static void judge_missing(struct push *p, struct stay *t)
{
	char why[300];

	snprintf(why, sizeof why, "the mailbox cannot be opened: %.200s", t->refusal);
	fail_of_box(p, t->visit.box, why);
	p->stop = p->stop || p->sync->account->missing_source_abort;
}

bool stay_judge(struct push *p, struct stay *t, bool writes)
{
	struct box *box = t->visit.box;
	struct plan_selected sel = {
		.uidvalidity = t->uidvalidity, .uidnext = t->uidnext, .highestmodseq = t->highestmodseq,
		.mailboxid = t->mailboxid,
	};
	char why[200];

	if (!t->ok) {
		judge_missing(p, t);
		return false;
	}
	/* A mailbox that was never synced has no UIDs of ours. */
	if (plan_select(&box->rec, &sel, false) != PLAN_GO_ON) {
		snprintf(why, sizeof why, t->uidvalidity == 0
			? "the server has no lasting UIDs for it"
			: "UIDVALIDITY of %.100s changed: the UID is another message's now; retry it after the next sync",
			box->rec.name);
		box->rec.state |= STORE_MAILBOX_SUSPECT;
		box->rec_changed = true;
		fail_of_box(p, box, why);
		return false;
	}
	if (writes && t->read_only) {
		fail_of_box(p, box, "the mailbox is read-only");
		return false;
	}
	return true;
}

void push_open_uids(const struct push *p, struct uids *set)
{
	uids_clear(set);
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_OPEN && p->works[i].uid != 0)
			uids_add(set, p->works[i].uid);
}

void push_send_set(struct push *p, enum imap_cmd_kind kind, const char *verb, const struct uids *set,
	const char *tail)
{
	struct buf text;
	uint32_t from = 1;

	buf_init(&text, 0);
	while (from != 0 && !uids_is_empty(set)) {
		struct imap_cmd *cmd = push_command(p, kind);
		buf_clear(&text);
		from = throttle_print_set(p->sync, set, from, tail, &text);
		imap_cmd_add(cmd, "UID %s %s", verb, buf_str(&text));
		if (*tail)
			imap_cmd_add(cmd, " %s", tail);
		push_send(p, cmd);
	}
	buf_release(&text);
}

void push_send_check(struct push *p, const struct uids *set)
{
	push_send_set(p, IMAP_CMD_READ, "FETCH", set,
		push_has(p, IMAP_CAP_OBJECTID) ? "(UID FLAGS INTERNALDATE RFC822.SIZE EMAILID)"
					       : "(UID FLAGS INTERNALDATE RFC822.SIZE)");
}

bool push_is_other(const struct store_message *m, const struct push_seen *seen)
{
	const uint32_t both = IMAP_HAS_DATE | IMAP_HAS_SIZE;

	if (m->emailid && seen->emailid && (seen->items & IMAP_HAS_EMAILID))
		return strcmp(m->emailid, seen->emailid) != 0;
	return (seen->items & both) == both && seen->date != m->date && seen->size != m->size;
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct push_seen *)a)->uid, y = ((const struct push_seen *)b)->uid;

	return x < y ? -1 : x > y;
}

void push_judge_check(struct push *p, size_t from, size_t to)
{
	struct stay *t = p->stay;
	struct store_message m;

	if (t->seen_count)
		qsort(t->seen, t->seen_count, sizeof *t->seen, by_uid);
	store_message_init(&m);
	for (size_t i = from; i < to; i++) {
		struct work *w = &p->works[i];
		struct push_seen probe = { .uid = w->uid };
		const struct push_seen *seen = t->seen_count ? bsearch(&probe, t->seen, t->seen_count, sizeof probe, by_uid)
							     : NULL;
		if (w->outcome != WORK_OPEN)
			continue;
		if (!seen) {
			w->outcome = WORK_GONE;
		} else if (store_message_get(p->sync->store, w->message, &m) && push_is_other(&m, seen)) {
			w->suspect = true;
			push_fail_work(w, "UID %lu is another message now", (unsigned long)w->uid);
			t->visit.box->rec.state |= STORE_MAILBOX_SUSPECT;
			t->visit.box->rec_changed = true;
		}
	}
	store_message_release(&m);
}
