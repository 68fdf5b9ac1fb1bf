/* Fold: the queue's lines are taken up into the store (R1). The file says what the user wants; from here on
 * the store says how far it got, and the Maildir shows what it will be like.
 *
 * What a transaction took up and "queue.folded" stand in it together, so a line is taken up once, whatever
 * happens. It is done by whoever holds the account's lock: `queue add` itself, or the run that goes on,
 * between two of its steps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/actions.h"

/* Of one transaction. */
#define FOLD_LINES 4096
#define FOLD_MESSAGES 100000
/* How often a run looks for new lines. */
#define LOOK_S 0.1

uint64_t sync_folded(struct store *store)
{
	return store_get_number(store, "queue.folded");
}

uint64_t sync_made_by(struct store *store, uint64_t action)
{
	char name[40];

	snprintf(name, sizeof name, "queue.made.%" PRIu64, action);
	return store_get_number(store, name);
}

void fold_line(struct sync *s, const struct queue_action *line)
{
	switch (line->verb) {
	case QUEUE_RETRY:
	case QUEUE_DROP:
		fold_about(s, line);
		break;
	case QUEUE_UNKNOWN:
		fold_refuse(s, line->number, (uint32_t)line->verb, STORE_ACTION_HELD,
			"its verb is of a newer version of mailtide, or a mistake");
		break;
	default:
		fold_action(s, line);
		break;
	}
}

static void note_folded(struct sync *s, uint64_t number)
{
	store_put_number(s->store, "queue.folded", number);
}

/* The next line above `after`; one that cannot be read has its reason in `bad`. */
struct reader {
	uint64_t after;
	struct queue_action line;
	struct err bad;
};

/* 1, 0 the end, -1 the file cannot be read now. */
static int read_line(struct sync *s, struct reader *r)
{
	int rc;

	err_clear(&r->bad);
	rc = queue_next(s->queue, r->after, &r->line, &r->bad);
	if (rc < 0 && r->bad.scope == ERR_ACCOUNT)
		return -1;
	if (rc != 0 && r->line.number > 0)
		r->after = r->line.number;
	return rc != 0;
}

static void take_line(struct sync *s, struct reader *r)
{
	if (r->bad.cls == ERR_NONE) {
		fold_line(s, &r->line);
		queue_action_release(&r->line);
	} else if (r->line.number > 0) {
		fold_refuse(s, r->line.number, QUEUE_UNKNOWN, STORE_ACTION_HELD, r->bad.text);
	} else {
		account_note(s, SYNC_WARNING, NULL, "a line of the queue cannot be read: %s", r->bad.text);
	}
}

/* One transaction, from a line that was read. As read_line. */
static int take_lines(struct sync *s, struct reader *r)
{
	unsigned lines = 0;
	size_t messages = 0;
	int rc = 1;

	while (rc == 1) {
		messages += r->bad.cls == ERR_NONE ? r->line.message_count : 0;
		take_line(s, r);
		if (++lines == FOLD_LINES || messages >= FOLD_MESSAGES || s->failed)
			break;
		rc = read_line(s, r);
	}
	note_folded(s, r->after);
	s->queue_fresh = true;
	point("fold.lines");
	return rc == 1 ? read_line(s, r) : rc;
}

/* Another store's numbers name other messages (R1). */
static bool is_foreign(struct sync *s)
{
	const char *id = queue_store_id(s->queue);
	bool foreign = *id && strcmp(id, store_id(s->store)) != 0;

	if (foreign && !s->queue_foreign)
		account_note(s, SYNC_WARNING, NULL,
			"the queued actions belong to another store: none is done before \"mailtide queue retry %s\"",
			s->account->name);
	s->queue_foreign = foreign;
	return foreign;
}

/* Once the user has taken them over (`queue retry`), no local number in them may be believed (fold_verbs.c). */
static bool note_foreign(struct sync *s)
{
	uint64_t last = queue_next_number(s->queue) - 1;

	if (last <= store_get_number(s->store, "queue.foreign"))
		return true;
	if (!batch_begin(s))
		return false;
	store_put_number(s->store, "queue.foreign", last);
	return batch_end(s);
}

static bool keep_line(void *arg, uint64_t number)
{
	struct sync *s = arg;
	struct store_action a;
	bool keep;

	if (number > sync_folded(s->store))
		return true;
	store_action_init(&a);
	keep = store_action_get(s->store, number, &a);
	store_action_release(&a);
	return keep;
}

/* Bodies that an action still has to send, by the beginning of their hashes. */
struct needed {
	uint64_t *hashes;
	size_t count;
};

static uint64_t hash_of(const char *hex)
{
	char head[17] = "";

	memcpy(head, hex, strnlen(hex, 16));
	return strtoull(head, NULL, 16);
}

static int by_hash(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void find_needed(struct sync *s, struct needed *n)
{
	struct store_action a;
	size_t size = 0;

	store_action_init(&a);
	for (uint64_t at = 0; store_action_next(s->store, at, &a); at = a.number) {
		if (a.verb != QUEUE_APPEND || !a.text)
			continue;
		if (n->count == size) {
			size = size ? 2 * size : 64;
			n->hashes = mem_grow(n->hashes, size, sizeof *n->hashes);
		}
		n->hashes[n->count++] = hash_of(a.text);
	}
	store_action_release(&a);
	if (n->count)
		qsort(n->hashes, n->count, sizeof *n->hashes, by_hash);
}

static bool keep_body(void *arg, const char *hex)
{
	struct needed *n = arg;
	uint64_t hash = hash_of(hex);

	return n->count && bsearch(&hash, n->hashes, n->count, sizeof hash, by_hash);
}

void fold_compact(struct sync *s)
{
	struct needed needed = { 0 };
	struct err err = { 0 };

	if (!s->queue || s->queue_foreign || !s->queue_settled)
		return;
	s->queue_settled = false;
	find_needed(s, &needed);
	if (queue_compact(s->queue, keep_line, s, &err) < 0 ||
		queue_bodies_sweep(s->account->state, keep_body, &needed, &err) < 0)
		account_note(s, SYNC_INFO, NULL, "the queue was not tidied: %s", err.text);
	free(needed.hashes);
}

bool fold(struct sync *s)
{
	struct reader r = { .after = sync_folded(s->store) };
	int rc;

	boxes_load(s);
	queue_used(s->queue, r.after);
	if (is_foreign(s))
		return note_foreign(s);
	s->queue_foreign_to = store_get_number(s->store, "queue.foreign");
	s->queue_settled = true; /* also what a run has done that was killed before it could tidy */
	rc = read_line(s, &r);
	if (rc == 1)
		fold_names_load(s);
	while (rc == 1 && batch_begin(s)) {
		rc = take_lines(s, &r);
		if (!batch_end_whole(s))
			break;
		point("fold.committed");
	}
	if (rc == 1 && r.bad.cls == ERR_NONE)
		queue_action_release(&r.line); /* the run has failed before its turn */
	if (rc < 0)
		account_fail(s, &r.bad);
	fold_names_free(s);
	return rc == 0 && !s->failed;
}

bool fold_if_grown(struct sync *s)
{
	uint64_t before;

	if (!s->queue || s->failed)
		return false;
	s->queue_looked = io_now();
	if (!queue_has_grown(s->queue))
		return false;
	before = sync_folded(s->store);
	return fold(s) && sync_folded(s->store) > before;
}

void fold_if_due(struct sync *s)
{
	if (io_now() - s->queue_looked >= LOOK_S)
		fold_if_grown(s);
}

struct told {
	void (*note)(void *arg, enum sync_note kind, const char *mailbox, const char *text);
	void *arg;
	const struct sync *sync;
};

static void on_note(void *arg, enum sync_note kind, const char *mailbox, const char *text)
{
	struct told *t = arg;

	/* Why it comes to nothing is the answer, and told by the caller. */
	if (t->note && !(t->sync->failed && strcmp(text, t->sync->failure.text) == 0))
		t->note(t->arg, kind, mailbox, text);
}

int sync_fold(const struct conf_account *account, const char *command,
	void (*note)(void *arg, enum sync_note kind, const char *mailbox, const char *text), void *arg,
	struct err *err)
{
	struct sync_options options = { .account = account, .command = command };
	struct sync_events events = { .note = on_note };
	struct told told = { note, arg, NULL };
	struct sync *s = sync_new_local(&options, &events, &told);
	int rc;

	told.sync = s;
	rc = open_local(s, err);
	if (rc == 0 && !fold(s)) {
		*err = s->failure;
		rc = -1;
	} else if (rc == 0) {
		fold_compact(s);
		if ((s->made_count > 0 || settle_has_unmade(s)) && batch_begin(s)) {
			settle_unmade(s);
			batch_end(s);
		}
	}
	sync_free_local(s);
	return rc;
}
