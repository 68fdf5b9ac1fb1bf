/* Renamed: is a name that is new to us a mailbox that we know (L5, RFC 8474)?
 *
 * MAILBOXID says so without a question, where STATUS tells it right: after a RENAME Cyrus 3.6 sends what was in its
 * memory. Else a mailbox that is known and not listed, or is another one now
 * (its UIDVALIDITY changed), may be one under a new name with the same UIDVALIDITY. That alone proves nothing
 * (Q64: folders made in one second share it), so before the new one is filled it is opened, and asked for some
 * of the UIDs that we know: they must be the same mail. What fits one to one was renamed: the name gets
 * the old one's record (renamed_apply.c), and so its messages, bodies, files and local numbers. All else is what it
 * looks like, one mailbox gone and one new, whose bodies match.c still finds.
 *
 * Nothing is written here: a crash or a lost connection begins again with LIST. */
#include <stdlib.h>

#include "sync/private.h"

#define CANDIDATES 16 /* for one new name */
#define SAMPLE 16     /* messages of each */

/* What the server told of a message. */
struct seen {
	uint32_t uid;
	int64_t date;
	uint64_t size;
	char *emailid;
	uint8_t message_id[16];
};

/* A name that may be one of some mailboxes that we know. */
struct question {
	struct visit visit; /* first */
	struct question *next;
	struct box *olds[CANDIDATES];
	unsigned old_count, matches;
	struct uids asked;
	uint64_t uidvalidity;
	uint32_t uidnext, exists;
	char *mailboxid;
	unsigned unanswered;
	bool refused, hasty, is_open;
	struct seen *seen;
	size_t count, size;
};

static bool is_inbox(const struct box *box)
{
	return strcmp(box->rec.name, "INBOX") == 0;
}

static bool differ(const char *a, const char *b)
{
	return a && b && strcmp(a, b) != 0;
}

/* A mailbox of the store that is not what its name stands for now. */
static bool has_left(const struct box *box)
{
	const struct plan_told *told = &box->told;

	if (box->fresh || is_inbox(box))
		return false;
	return !box_is_there(box) || differ(box->rec.mailboxid, box->told_mailboxid) ||
	       ((told->items & IMAP_HAS_UIDVALIDITY) && box->rec.uidvalidity != 0 &&
		       told->uidvalidity != box->rec.uidvalidity);
}

/* A name that needs a mailbox: new, or left by the one that it stood for. */
static bool needs_one(const struct sync *s, const struct box *box)
{
	return box_is_there(box) && !is_inbox(box) && (box->fresh || has_left(box)) &&
	       conf_chooses(s->account, box->rec.name, box->rec.delimiter);
}

/* By MAILBOXID */

static bool is_taken(const struct sync *s, const struct box *old)
{
	for (const struct box *box = s->boxes; box; box = box->next)
		if (box->was == old)
			return true;
	return false;
}

static bool tells_another(const struct sync *s, const struct box *slot)
{
	for (const struct box *box = s->boxes; box; box = box->next)
		if (box != slot && box_is_there(box) && box->told_mailboxid &&
			strcmp(box->told_mailboxid, slot->told_mailboxid) == 0)
			return true;
	return false;
}

/* The only one with this id; NULL too where the server gives one id twice. */
static struct box *find_by_id(const struct sync *s, const struct box *slot)
{
	struct box *found = NULL;

	for (struct box *box = s->boxes; box; box = box->next) {
		if (box->fresh || !box->rec.mailboxid || strcmp(box->rec.mailboxid, slot->told_mailboxid) != 0)
			continue;
		if (found || !has_left(box))
			return NULL;
		found = box;
	}
	return found && !tells_another(s, slot) ? found : NULL;
}

/* By content */

static const char *leaf(const struct box *box)
{
	const char *at = box->rec.delimiter ? strrchr(box->rec.name, box->rec.delimiter) : NULL;

	return at ? at + 1 : box->rec.name;
}

static bool same_leaf(const struct box *a, const struct box *b)
{
	return strcmp(leaf(a), leaf(b)) == 0;
}

static bool may_be(const struct box *slot, const struct box *old)
{
	const struct plan_told *told = &slot->told;

	if (old == slot || !has_left(old) || old->rec.uidvalidity == 0)
		return false;
	if ((told->items & IMAP_HAS_UIDVALIDITY) && told->uidvalidity != old->rec.uidvalidity)
		return false;
	return !(told->items & IMAP_HAS_UIDNEXT) || told->uidnext > old->rec.lastseen;
}

/* UIDs that are known, spread over all. */
static unsigned sample(const struct box *old, struct uids *out)
{
	struct uids known;
	uint64_t count, at = 0;
	unsigned n = 0;

	uids_init(&known);
	store_known_uids(old->sync->store, old->rec.id, &known);
	count = uids_count(&known);
	for (size_t i = 0; i < known.count; i++) {
		uint64_t width = (uint64_t)known.ranges[i].last - known.ranges[i].first + 1;
		/* The n-th of SAMPLE is number n * (count - 1) / (SAMPLE - 1). */
		for (uint64_t want; n < SAMPLE && n < count; n++) {
			want = count <= SAMPLE ? n : n * (count - 1) / (SAMPLE - 1);
			if (want >= at + width)
				break;
			uids_add(out, known.ranges[i].first + (uint32_t)(want - at));
		}
		at += width;
	}
	uids_release(&known);
	return n;
}

static void add_candidates(struct question *q, struct box *slot, bool of_this_leaf)
{
	for (struct box *old = slot->sync->boxes; old && q->old_count < CANDIDATES; old = old->next) {
		if (same_leaf(old, slot) != of_this_leaf || !may_be(slot, old) || is_taken(slot->sync, old))
			continue;
		q->olds[q->old_count++] = old;
		sample(old, &q->asked);
	}
}

/* The answers */

static void keep_id(struct question *q, struct slice id)
{
	free(q->mailboxid);
	q->mailboxid = mem_copy_slice(id);
}

static void question_untagged(struct visit *v, const struct imap_resp *r)
{
	struct question *q = (struct question *)v;
	struct seen *t;

	if (r->kind == IMAP_EXISTS)
		q->exists = r->number;
	else if (r->kind == IMAP_COND && r->cond.code == IMAP_UIDVALIDITY)
		q->uidvalidity = r->cond.code_number;
	else if (r->kind == IMAP_COND && r->cond.code == IMAP_UIDNEXT)
		q->uidnext = (uint32_t)r->cond.code_number;
	else if (r->kind == IMAP_COND && r->cond.code == IMAP_UIDNOTSTICKY)
		q->refused = true;
	else if (r->kind == IMAP_COND && r->cond.code == IMAP_MAILBOXID)
		keep_id(q, r->cond.code_text);
	if (r->kind != IMAP_FETCH || !uids_has(&q->asked, r->fetch.items & IMAP_HAS_UID ? r->fetch.uid : 0) ||
		!(r->fetch.items & IMAP_HAS_DATE) || !(r->fetch.items & IMAP_HAS_SIZE) ||
		q->count >= 4 * CANDIDATES * SAMPLE)
		return;
	if (q->count == q->size) {
		q->size = q->size ? 2 * q->size : 64;
		q->seen = mem_grow(q->seen, q->size, sizeof *q->seen);
	}
	t = &q->seen[q->count++];
	*t = (struct seen){ .uid = r->fetch.uid, .date = r->fetch.date, .size = r->fetch.size };
	if (r->fetch.items & IMAP_HAS_EMAILID)
		t->emailid = mem_copy_slice(r->fetch.emailid);
	for (size_t i = 0; i < r->fetch.section_count; i++)
		if (!r->fetch.sections[i].nil)
			match_message_id(r->fetch.sections[i].data, t->message_id);
}

static const struct seen *seen_of(const struct question *q, uint32_t uid)
{
	for (size_t i = 0; i < q->count; i++)
		if (q->seen[i].uid == uid)
			return &q->seen[i];
	return NULL;
}

/* imap4d makes up another date each time for a message that has none. */
enum verdict { SAME, OTHER, UNSURE };
static enum verdict compare(struct sync *s, const struct seen *t, const struct store_message *m)
{
	uint8_t id[16];

	if (t->emailid && m->emailid)
		return strcmp(t->emailid, m->emailid) == 0 ? SAME : OTHER;
	if (t->size != m->size)
		return OTHER;
	if (match_has_id(t->message_id) && match_known_id(s, m, id))
		return memcmp(id, t->message_id, 16) == 0 ? SAME : OTHER;
	return t->date == m->date ? SAME : UNSURE;
}

/* Known messages may have been expunged since; no UID may be another mail's. */
static bool fits(const struct question *q, const struct box *old)
{
	struct sync *s = old->sync;
	struct store_message m;
	struct uids asked;
	unsigned same = 0, n;
	bool other = false;

	if (q->mailboxid && old->rec.mailboxid)
		return strcmp(q->mailboxid, old->rec.mailboxid) == 0;
	if (q->uidvalidity != old->rec.uidvalidity || (q->uidnext > 0 && q->uidnext <= old->rec.lastseen))
		return false;
	uids_init(&asked);
	store_message_init(&m);
	n = sample(old, &asked);
	for (uint32_t uid = 0; (uid = uids_next(&asked, uid + 1)) != 0 && !other;) {
		const struct seen *t = seen_of(q, uid);
		if (!t || !store_message_by_uid(s->store, old->rec.id, uid, &m))
			continue;
		enum verdict verdict = compare(s, t, &m);
		other = verdict == OTHER;
		same += verdict == SAME;
	}
	store_message_release(&m);
	uids_release(&asked);
	if (n == 0) /* nothing is lost by a wrong guess */
		return q->exists == 0 && q->uidnext > 0 && q->uidnext == old->rec.uidnext;
	return !other && 2 * same >= n;
}

/* Keeps what fits; among those what kept the last part of its name, where a parent was renamed. */
static void judge(struct question *q)
{
	struct box *slot = q->visit.box;
	unsigned n = 0, alike = 0;

	for (unsigned i = 0; i < q->old_count && q->is_open && !q->refused; i++) {
		if (!fits(q, q->olds[i]))
			continue;
		alike += same_leaf(q->olds[i], slot);
		q->olds[n++] = q->olds[i];
	}
	q->matches = 0;
	for (unsigned i = 0; i < n; i++)
		if (alike == 0 || same_leaf(q->olds[i], slot))
			q->olds[q->matches++] = q->olds[i];
}

static unsigned names_for(const struct sync *s, const struct box *old)
{
	unsigned n = 0;

	for (const struct question *q = s->questions; q; q = q->next)
		for (unsigned i = 0; i < q->matches; i++)
			n += q->olds[i] == old;
	return n;
}

static void judge_all(struct sync *s)
{
	for (struct question *q = s->questions; q; q = q->next)
		judge(q);
	for (struct question *q = s->questions; q; q = q->next)
		if (q->matches == 1 && names_for(s, q->olds[0]) == 1)
			q->visit.box->was = q->olds[0];
}

/* The questions */

static void question_lost(struct visit *v)
{
	(void)v; /* it is put anew after the next LIST */
}

static void question_free(struct visit *v)
{
	struct question *q = (struct question *)v;

	for (size_t i = 0; i < q->count; i++)
		free(q->seen[i].emailid);
	free(q->seen);
	free(q->mailboxid);
	uids_release(&q->asked);
	free(q);
}

static void ask(struct question *q);

static void on_answer(void *arg, const struct imap_resp *tagged, bool is_open)
{
	struct question *q = arg;
	struct sync *s = q->visit.box->sync;

	if (throttle_answer(s, tagged) == THROTTLE_AGAIN)
		q->hasty = true;
	else if (tagged->cond.cond != IMAP_OK)
		q->refused = true;
	else if (is_open)
		q->is_open = true;
	account_mark(s);
	if (--q->unanswered > 0)
		return;
	s->questions_unanswered--;
	if (q->hasty)
		ask(q);
}

static void on_open(void *arg, const struct imap_resp *tagged)
{
	on_answer(arg, tagged, true);
}

static void on_fetched(void *arg, const struct imap_resp *tagged)
{
	on_answer(arg, tagged, false);
}

static void send_fetch(struct question *q)
{
	struct sync *s = q->visit.box->sync;
	struct imap *c = q->visit.link->imap;
	const char *items = imap_has(c, IMAP_CAP_OBJECTID)
		? "(UID INTERNALDATE RFC822.SIZE EMAILID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
		: "(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])";
	struct buf text;

	buf_init(&text, 0);
	for (uint32_t from = 1; from != 0 && !uids_is_empty(&q->asked);) {
		struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_READ, on_fetched, q);
		buf_clear(&text);
		from = throttle_print_set(s, &q->asked, from, items, &text);
		imap_cmd_add(cmd, "UID FETCH %s %s", buf_str(&text), items);
		q->unanswered++;
		imap_send(c, cmd, NULL, 0);
	}
	buf_release(&text);
}

static void ask(struct question *q)
{
	struct box *slot = q->visit.box;
	struct sync *s = slot->sync;
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_SELECT, on_open, q);

	q->hasty = q->refused = q->is_open = false;
	q->unanswered = 1;
	s->questions_unanswered++;
	imap_cmd_add(cmd, s->no_examine || link_is_plain(q->visit.link) ? "SELECT " : "EXAMINE ");
	imap_cmd_add_string(cmd, slice_of(slot->rec.wire), true);
	imap_send(q->visit.link->imap, cmd, q, 0);
	send_fetch(q);
}

static void put_question(struct sync *s, struct box *slot)
{
	static const struct visit_ops ops = { question_untagged, NULL, question_lost, question_free };
	struct question *q = mem_new(sizeof *q);

	uids_init(&q->asked);
	add_candidates(q, slot, true);
	add_candidates(q, slot, false);
	if (q->old_count == 0) {
		question_free(&q->visit);
		return;
	}
	visit_add(&q->visit, &ops, slot, &s->links[0]);
	q->next = s->questions;
	s->questions = q;
	ask(q);
}

void renames_forget(struct sync *s)
{
	s->questions = NULL; /* the visits own them */
	s->questions_unanswered = 0;
	s->renames_begun = false;
	for (struct box *box = s->boxes; box; box = box->next) {
		box->was = NULL;
		free(box->told_mailboxid);
		box->told_mailboxid = NULL;
	}
}

/* Those that we have renamed ourselves */

struct own_rename {
	struct own_rename *next;
	char *from, *to;
	char delimiter;
};

void renames_expect(struct box *box, const char *name)
{
	struct sync *s = box->sync;
	struct own_rename *e = mem_new(sizeof *e);

	e->from = mem_copy(box->rec.name);
	e->to = mem_copy(name);
	e->delimiter = box->rec.delimiter;
	e->next = s->own_renames;
	s->own_renames = e;
}

void renames_free(struct sync *s)
{
	while (s->own_renames) {
		struct own_rename *e = s->own_renames;
		s->own_renames = e->next;
		free(e->from);
		free(e->to);
		free(e);
	}
}

static struct box *expected_old(struct sync *s, const struct own_rename *e, const struct box *slot)
{
	size_t len = strlen(e->to);
	const char *rest = slot->rec.name + len;
	struct box *old;
	char *name;

	if (strncmp(slot->rec.name, e->to, len) != 0 || (*rest && *rest != e->delimiter))
		return NULL;
	name = mem_printf("%s%s", e->from, rest);
	old = box_by_name(s, name);
	free(name);
	return old && has_left(old) && !is_taken(s, old) ? old : NULL;
}

static void take_expected(struct sync *s)
{
	for (const struct own_rename *e = s->own_renames; e; e = e->next)
		for (struct box *slot = s->boxes; slot; slot = slot->next)
			if (slot->fresh && slot->listed && !slot->was &&
				(slot->was = expected_old(s, e, slot)) != NULL)
				slot->by_us = true;
	renames_free(s);
}

static void begin(struct sync *s)
{
	struct box *box;

	for (box = s->boxes; box && !has_left(box); box = box->next)
		;
	if (!box)
		return; /* mostly */
	take_expected(s);
	for (box = s->boxes; box; box = box->next)
		if (!box->was && box->told_mailboxid && needs_one(s, box))
			box->was = find_by_id(s, box);
	renames_drop_blocked(s); /* before the id of one blocks the question for another */
	/* LSUB does not tell what there is, only what is wanted. */
	for (box = s->boxes; box && !s->account->subscribed_only; box = box->next)
		if (!box->was && needs_one(s, box))
			put_question(s, box);
}

bool renames_found(struct sync *s)
{
	if (!s->renames_begun) {
		s->renames_begun = true;
		begin(s);
	}
	if (s->questions_unanswered > 0)
		return false;
	judge_all(s);
	s->questions = NULL;
	return true;
}
