/* Push, looks: what became of a command whose answer was lost (R10), and which UID an upload or a copy got where
 * the server does not tell (R5, R6).
 *
 * All that is ours lies above the UIDNEXT that was noted before. A look asks for the descriptors from there
 * on, with their Message-IDs, after a NOOP (Q27); it asks for no SEARCH (Q26, Q46, Q57, Q80). A message that
 * another action of ours made is left out (STORE_OURS).
 * What is left is compared:
 *
 * - the same Message-ID and the same date is the same message (a server may rewrite it);
 * - the same Message-ID and the same size, or no Message-ID and the same size: the bodies are compared;
 * - equal messages are told apart by their number, and by their flags: as many are done as have come.
 *
 * An upload cut after its last octet can appear later than the next login, so "it is not there" takes two looks,
 * some seconds apart, that saw the same UIDNEXT. Where something new of the same size is there that cannot be
 * told from ours, nobody knows, and the user decides. A move is also looked for where it came from: what is
 * gone there has moved. */
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/push_private.h"

/* Asking */

void push_look_send(struct push *p)
{
	const char *items = push_has(p, IMAP_CAP_OBJECTID)
		? "(UID FLAGS INTERNALDATE RFC822.SIZE EMAILID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
		: "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])";
	struct imap_cmd *cmd;

	p->stay = stay_open(p, p->to, false);
	cmd = push_command(p, IMAP_CMD_READ);
	imap_cmd_add(cmd, "NOOP");
	push_send(p, cmd);
	cmd = push_command(p, IMAP_CMD_READ);
	imap_cmd_add(cmd, "UID FETCH %lu:* %s", (unsigned long)(p->uidnext ? p->uidnext : 1), items);
	push_send(p, cmd);
	p->hashed_count = 0;
}

/* Comparing */

/* What another action of ours made, or an old message that answered `n:*` (Q29), is not it. A later FETCH of the
 * same message brings flags only. */
static bool is_candidate(struct push *p, const struct push_seen *seen)
{
	struct store_message m;
	bool ours;

	if (seen->uid < p->uidnext || !(seen->items & (IMAP_HAS_DATE | IMAP_HAS_SIZE)))
		return false;
	store_message_init(&m);
	ours = store_message_by_uid(p->sync->store, p->to->rec.id, seen->uid, &m) && (m.state & STORE_OURS);
	store_message_release(&m);
	return !ours;
}

/* Once for all comparisons of a match: there may be thousands on either side. */
static void prepare(struct push *p)
{
	struct uids taken;

	uids_init(&taken);
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].new_uid)
			uids_add(&taken, p->works[i].new_uid);
	for (size_t i = 0; i < p->stay->seen_count; i++) {
		struct push_seen *seen = &p->stay->seen[i];
		seen->candidate = is_candidate(p, seen);
		seen->taken = uids_has(&taken, seen->uid);
	}
	uids_release(&taken);
}

static bool is_free(const struct push_seen *seen)
{
	return seen->candidate && !seen->taken;
}

static const uint8_t *hash_of(const struct push *p, uint32_t uid)
{
	for (size_t i = 0; i < p->hashed_count; i++)
		if (p->hashed[i].uid == uid)
			return p->hashed[i].hash;
	return NULL;
}

/* Nothing but the size is the same, or there is no Message-ID to tell: the bodies do. `same_id`: both have the
 * same, or none. */
static bool needs_body(const struct store_message *m, const struct push_seen *seen, bool known, bool same_id)
{
	bool date = (seen->items & IMAP_HAS_DATE) && seen->date == m->date;

	return m->body && same_id && (!known || !date) && (seen->items & IMAP_HAS_SIZE) && seen->size == m->size;
}

static bool is_same_id(const struct push_seen *seen, const uint8_t *id)
{
	bool theirs = seen->has_id && match_has_id(seen->message_id);

	return (id != NULL) == theirs && (!id || memcmp(id, seen->message_id, 16) == 0);
}

enum push_likeness push_compare(const struct store_message *m, const uint8_t *id, const uint8_t *hash,
	const struct push_seen *seen, const uint8_t *seen_hash, bool bodies)
{
	bool size = (seen->items & IMAP_HAS_SIZE) && seen->size == m->size;
	bool date = (seen->items & IMAP_HAS_DATE) && seen->date == m->date;
	bool same_id = is_same_id(seen, id);

	if (!id && !m->body)
		return size && date ? PUSH_SAME : PUSH_OTHER; /* a copy of what the server has; its descriptor is all we know */
	if (!same_id)
		return size && date ? PUSH_PERHAPS : PUSH_OTHER; /* rewritten (Q38, Q73, Q77)? */
	if (bodies && needs_body(m, seen, id != NULL, same_id)) {
		if (!hash || !seen_hash)
			return PUSH_PERHAPS;
		if (memcmp(hash, seen_hash, MAIL_HASH_SIZE) == 0)
			return PUSH_SAME;
		return id ? PUSH_PERHAPS : PUSH_OTHER;
	}
	if (id)
		return size || date ? PUSH_SAME : PUSH_PERHAPS;
	return !size ? PUSH_OTHER : date ? PUSH_SAME : PUSH_PERHAPS;
}

/* A message of ours, and what it is known by. */
struct mine {
	struct store_message m;
	bool known, has_body;
	uint8_t id[16];
	struct store_body_info body;
};

static void mine_of(struct push *p, struct mine *mine)
{
	mine->known = match_known_id(p->sync, &mine->m, mine->id);
	mine->has_body = mine->m.body && store_body_info(p->sync->store, mine->m.body, &mine->body);
}

static bool mine_load(struct push *p, const struct work *w, struct mine *mine)
{
	if (!store_message_get(p->sync->store, w->made ? w->made : w->message, &mine->m))
		return false;
	mine_of(p, mine);
	return true;
}

static const uint8_t *id_of(const struct mine *mine)
{
	return mine->known ? mine->id : NULL;
}

static enum push_likeness compare(struct push *p, const struct mine *mine, const struct push_seen *seen)
{
	return push_compare(&mine->m, id_of(mine), mine->has_body ? mine->body.hash : NULL, seen,
		hash_of(p, seen->uid), p->kind == &push_look);
}

/* Reading bodies */

struct body_sink {
	struct sink sink;
	struct push *push;
	struct body_sink *next;
	struct mail_hash *hash;
	uint32_t uid;
};

static void sink_write(struct sink *sink, const char *data, size_t len)
{
	mail_hash_add(((struct body_sink *)sink)->hash, data, len);
}

static void sink_end(struct sink *sink, int whole)
{
	struct body_sink *b = (struct body_sink *)sink, **at;
	struct push *p = b->push;

	if (whole && b->uid) {
		p->hashed = mem_grow(p->hashed, p->hashed_count + 1, sizeof *p->hashed);
		p->hashed[p->hashed_count].uid = b->uid;
		mail_hash_take(b->hash, p->hashed[p->hashed_count++].hash);
	}
	for (at = &p->sinks; *at != b; at = &(*at)->next)
		;
	*at = b->next;
	mail_hash_free(b->hash);
	free(b);
}

struct sink *push_look_sink(struct push *p, uint32_t uid)
{
	static const struct sink_ops ops = { sink_write, sink_end };
	struct body_sink *b = mem_new(sizeof *b);

	b->sink.ops = &ops;
	b->push = p;
	b->uid = uid;
	b->hash = mail_hash_new();
	b->next = p->sinks;
	p->sinks = b;
	return &b->sink;
}

static void find_bodies(struct push *p, enum work_outcome which, struct uids *set)
{
	struct mine mine = { 0 };

	prepare(p);
	for (size_t i = 0; i < p->count; i++) {
		if (p->works[i].outcome != which || !mine_load(p, &p->works[i], &mine))
			continue;
		for (size_t k = 0; k < p->stay->seen_count; k++) {
			const struct push_seen *seen = &p->stay->seen[k];
			if (seen->candidate &&
				needs_body(&mine.m, seen, mine.known, is_same_id(seen, id_of(&mine))))
				uids_add(set, seen->uid);
		}
	}
	store_message_release(&mine.m);
}

/* Matching */

/* Of an earlier command that was answered OK, without the UID: it is there, so it has its claim before what may be
 * there. */
static void claim(struct push *p, const struct mine *mine)
{
	struct push_seen *claimed = NULL;
	bool alike = false;

	for (size_t i = 0; i < p->stay->seen_count && !alike; i++) {
		struct push_seen *seen = &p->stay->seen[i];
		if (!is_free(seen) || compare(p, mine, seen) != PUSH_SAME)
			continue;
		alike = mail_flags_equal(&seen->flags, &mine->m.flags);
		if (alike || !claimed)
			claimed = seen;
	}
	if (claimed)
		claimed->taken = true;
}

static void claim_all(struct push *p)
{
	struct mine mine = { 0 };

	for (uint64_t after = 0; store_orphan_next(p->sync->store, p->to->rec.id, after, &mine.m);
		after = mine.m.number) {
		if (!(mine.m.state & STORE_OURS))
			continue;
		mine_of(p, &mine);
		claim(p, &mine);
	}
	store_message_release(&mine.m);
}

/* `alike`: only what has the flags, too, since of equal messages they tell which is which. */
static void match_one(struct push *p, struct work *w, enum work_outcome which, bool alike)
{
	struct mine mine = { 0 };

	if (!mine_load(p, w, &mine))
		return;
	for (size_t i = 0; i < p->stay->seen_count && w->new_uid == 0; i++) {
		struct push_seen *seen = &p->stay->seen[i];
		enum push_likeness like;
		if (!is_free(seen) || (alike && !mail_flags_equal(&seen->flags, &mine.m.flags)))
			continue;
		like = compare(p, &mine, seen);
		if (like == PUSH_PERHAPS && which == WORK_OPEN)
			w->suspect = true;
		if (like != PUSH_SAME)
			continue;
		w->new_uid = seen->uid;
		seen->taken = true;
		w->suspect = false;
		if (w->outcome == WORK_OPEN)
			w->outcome = WORK_DONE;
	}
	store_message_release(&mine.m);
}

static void give_back(struct push *p, uint32_t uid)
{
	for (size_t i = 0; i < p->stay->seen_count; i++)
		if (p->stay->seen[i].uid == uid)
			p->stay->seen[i].taken = false;
}

/* As many of theirs as of ours, or the UIDs are anybody's: then the pull has to find out. */
static void drop_ambiguous(struct push *p)
{
	struct mine mine = { 0 };

	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		bool more = false;
		if (!w->looked || w->new_uid == 0 || !mine_load(p, w, &mine))
			continue;
		for (size_t k = 0; k < p->stay->seen_count && !more; k++)
			more = is_free(&p->stay->seen[k]) &&
			       compare(p, &mine, &p->stay->seen[k]) == PUSH_SAME;
		if (!more)
			continue;
		give_back(p, w->new_uid);
		w->new_uid = 0;
	}
	store_message_release(&mine.m);
}

void push_look_match(struct push *p, enum work_outcome which)
{
	const struct store_mailbox *rec = &p->to->rec;

	if (!p->stay->ok || (rec->uidvalidity != 0 && rec->uidvalidity != p->stay->uidvalidity))
		return; /* UIDs of another mailbox (S2) */
	p->uidvalidity = p->stay->uidvalidity; /* whatever STATUS said, if it did */
	prepare(p);
	claim_all(p);
	for (size_t i = 0; i < p->count; i++) {
		p->works[i].looked = p->works[i].outcome == which && p->works[i].new_uid == 0;
		if (!p->works[i].looked)
			continue;
		p->works[i].suspect = false; /* what made it so may be another's by now */
		match_one(p, &p->works[i], which, true);
	}
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].looked && p->works[i].new_uid == 0)
			match_one(p, &p->works[i], which, false);
	drop_ambiguous(p);
}

/* The batch of actions whose answers were lost */

static bool joins(struct push *p, const struct store_action *a)
{
	return a->state == STORE_ACTION_INTENT && a->verb == p->first.verb && a->mailbox == p->first.mailbox &&
	       a->to == p->first.to && a->uidnext == p->first.uidnext &&
	       a->uidvalidity == p->first.uidvalidity;
}

static bool is_move(const struct push *p)
{
	return p->first.verb == QUEUE_MOVE;
}

static bool is_move_open(struct push *p)
{
	return is_move(p) && push_open_count(p) > 0;
}

static void recv_begin(struct push *p)
{
	struct store_action a;

	p->rounds = 0;
	p->seen_uidnext = 0;
	store_action_init(&a);
	for (size_t i = 0; i < p->count; i++) {
		p->works[i].sent = true; /* it stays an intent until it is known */
		if (store_action_get(p->sync->store, p->works[i].action, &a))
			uids_add_all(&p->first.others, &a.others);
	}
	store_action_release(&a);
}

/* What is still where it was has not moved. Works by UIDs, so it is asked first. */
static void send_source(struct push *p)
{
	struct uids set;

	uids_init(&set);
	push_open_uids(p, &set);
	p->stay = stay_open(p, p->box, false);
	push_send_set(p, IMAP_CMD_READ, "FETCH", &set, "(UID FLAGS)");
	uids_release(&set);
}

static void recv_source(struct push *p)
{
	if (!stay_judge(p, p->stay, false))
		return;
	for (size_t i = 0; i < p->count; i++)
		p->works[i].there = stay_find(p->stay, p->works[i].uid) != NULL; /* it is there */
}

static void unknown_open(struct push *p, const char *reason)
{
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome != WORK_OPEN)
			continue;
		w->outcome = WORK_UNKNOWN;
		free(w->reason);
		w->reason = mem_copy(reason);
	}
}

static void recv_look(struct push *p)
{
	const struct stay *t = p->stay;

	p->missing = !t->ok;
	if (p->missing)
		return;
	if (p->uidvalidity != 0 && t->uidvalidity != p->uidvalidity) {
		unknown_open(p, "the connection was lost while it was sent, and UIDVALIDITY of the mailbox has "
			"changed since: look whether it is there, then retry or drop it");
		push_end(p);
		return;
	}
	push_look_match(p, WORK_OPEN);
}

static bool due_bodies(struct push *p)
{
	struct uids set;
	bool any;

	uids_init(&set);
	if (!p->missing)
		find_bodies(p, WORK_OPEN, &set);
	any = !uids_is_empty(&set);
	uids_release(&set);
	return any;
}

static void send_bodies(struct push *p)
{
	struct uids set;

	uids_init(&set);
	find_bodies(p, WORK_OPEN, &set);
	for (uint32_t uid = uids_next(&set, 1); uid; uid = uids_next(&set, uid + 1)) {
		struct imap_cmd *cmd = push_command(p, IMAP_CMD_READ);
		imap_cmd_add(cmd, "UID FETCH %lu (UID BODY.PEEK[])", (unsigned long)uid);
		push_send(p, cmd);
	}
	uids_release(&set);
}

static void recv_bodies(struct push *p)
{
	push_look_match(p, WORK_OPEN);
}

/* A move whose copy is there and whose source, too: the copy counts, the rest is done next. One that is nowhere
 * was expunged by somebody. */
static void judge_move(struct push *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome == WORK_DONE && w->there)
			w->outcome = WORK_COPIED;
		else if (w->outcome == WORK_OPEN && !w->there && !w->suspect)
			w->outcome = WORK_GONE;
	}
}

/* It was not done, and has its turn again; but not what was refused, or has cost too many connections (R11). */
static void not_done(struct push *p, struct work *w)
{
	struct store_action a;

	store_action_init(&a);
	w->sent = false;
	if (!store_action_get(p->sync->store, w->action, &a))
		w->outcome = WORK_LATER;
	else if (a.step == PUSH_STEP_REFUSED)
		push_fail_work(w, "%s", a.reason ? a.reason : "the server ended the connection");
	else if (a.attempts > PUSH_ATTEMPTS_ALONE)
		push_fail_work(w, "the connection was lost %u times while it was sent", a.attempts);
	store_action_release(&a);
}

/* Seen twice, the same both times. */
static void judge_absent(struct push *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome != WORK_OPEN)
			continue;
		if (!w->suspect) {
			not_done(p, w);
			continue;
		}
		w->outcome = WORK_UNKNOWN;
		free(w->reason);
		w->reason = mem_copy("the connection was lost while it was sent, and mail that may be it is "
			"there: look, then retry or drop it");
	}
}

static void recv_judge(struct push *p)
{
	uint32_t uidnext = p->missing ? 0 : p->stay->uidnext;

	if (is_move(p))
		judge_move(p);
	if (push_open_count(p) == 0)
		return;
	if (p->rounds++ > 0 && (uidnext == p->seen_uidnext || p->rounds > 5)) {
		judge_absent(p);
	} else {
		p->seen_uidnext = uidnext;
		point("push.between-looks");
		push_go(p, "look");
		push_pause(p, p->sync->account->look_again_s);
	}
}

static bool due_verify(struct push *p)
{
	return p->first.verb == QUEUE_APPEND && push_verify_due(p);
}

static const struct push_row rows[] = {
	{ "begin", NULL, NULL, recv_begin },
	{ "recover", push_recover_due, push_recover_send, push_recover_judge },
	{ "give back", push_recover_due, push_recover_mark, push_recover_done },
	{ "source", is_move_open, send_source, recv_source },
	{ "look", push_due_open, push_look_send, recv_look },
	{ "bodies", due_bodies, send_bodies, recv_bodies },
	{ "judge", NULL, NULL, recv_judge },
	{ "verify", due_verify, push_verify_send, push_verify_judge },
	{ "restore", push_flags_due, push_flags_send, NULL },
	{ NULL, NULL, NULL, NULL },
};
const struct push_kind push_look = { "push look", joins, rows, 1000 };
