/* Actions, their parts, messages made here and moved ones; and stores of schema 1, which have none. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap.h"
#include "store/store_private.h"

static char state[] = "/tmp/store-action.XXXXXX";
static struct err err;

static struct store *reopen(struct store *s)
{
	store_close(s);
	s = store_open(state, true, false, NULL, &err);
	if (s == NULL)
		diag("open: %s", err.text);
	return s;
}

static struct store *afresh(void)
{
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s/store", state);
	if (system(command) != 0)
		diag("%s failed", command);
	return reopen(NULL);
}

static void begin(struct store *s)
{
	if (store_begin(s, &err) < 0)
		ok(0, "begin: %s", err.text);
}

static void on_commit(void *arg, const struct err *e)
{
	(void)arg;
	if (e->cls != ERR_NONE)
		ok(0, "commit: %s", e->text);
}

static void commit(struct store *s)
{
	store_commit(s, on_commit, NULL);
}

static uint32_t make_mailbox(struct store *s, const char *name)
{
	struct store_mailbox m = { .name = mem_copy(name) };
	store_mailbox_put(s, &m);
	uint32_t id = m.id;
	store_mailbox_release(&m);
	return id;
}

static void put_action(struct store *s, uint64_t number, enum store_action_state what)
{
	struct store_action a;
	store_action_init(&a);
	a.number = number;
	a.state = what;
	store_action_put(s, &a);
	store_action_release(&a);
}

static void put_part(struct store *s, uint64_t action, uint64_t message, uint32_t what)
{
	struct store_part p = { .action = action, .message = message, .state = what };
	store_part_put(s, &p);
}

/* Every field at an end of what it can be. */
static void fill(struct store_action *a)
{
	store_action_init(a);
	a->number = UINT64_MAX;
	a->verb = UINT32_MAX;
	a->state = STORE_ACTION_LOCAL;
	a->attempts = UINT32_MAX - 1;
	a->options = UINT32_MAX - 2;
	a->mailbox = UINT32_MAX - 3;
	a->to = UINT32_MAX - 4;
	a->message = UINT64_MAX - 1;
	a->size = UINT64_MAX - 2;
	a->date = INT64_MIN;
	mail_flags_parse(&a->add, slice_of("\\Seen $Label1 zebra"));
	mail_flags_parse(&a->remove, slice_of("\\Deleted Apfel"));
	a->text = mem_copy("e3b0c44298fc1c14");
	a->blocked_by = UINT64_MAX - 3;
	a->uidvalidity = UINT64_MAX - 4;
	a->uidnext = UINT32_MAX;
	a->step = UINT32_MAX - 5;
	a->since = -1;
	a->looks = UINT32_MAX - 6;
	uids_add_range(&a->others, 1, 3);
	uids_add(&a->others, 7);
	uids_add(&a->others, UID_MAX);
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_uids(const struct uids *a, const struct uids *b)
{
	return a->count == b->count && (a->count == 0 ||
		memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0);
}

static bool same(const struct store_action *a, const struct store_action *b)
{
	return a->verb == b->verb && a->state == b->state && a->attempts == b->attempts &&
		a->options == b->options && a->mailbox == b->mailbox && a->to == b->to &&
		a->message == b->message && a->size == b->size && a->date == b->date &&
		mail_flags_equal(&a->add, &b->add) && mail_flags_equal(&a->remove, &b->remove) &&
		same_text(a->text, b->text) && a->blocked_by == b->blocked_by &&
		same_text(a->reason, b->reason) && a->uidvalidity == b->uidvalidity &&
		a->uidnext == b->uidnext && a->step == b->step && a->since == b->since &&
		a->looks == b->looks && same_uids(&a->others, &b->others);
}

/* Whether the record is taken with `len` octets at `at` overwritten. */
static bool takes(struct store *s, struct slice record, size_t at, const char *octets, size_t len)
{
	struct store_action got;
	char *copy = malloc(record.len);
	memcpy(copy, record.data, record.len);
	memcpy(copy + at, octets, len);
	store_action_init(&got);
	bool taken = store_action_decode(s, (struct slice){ copy, record.len }, &got);
	store_action_release(&got);
	free(copy);
	return taken;
}

static void test_damaged_records(struct store *s)
{
	struct store_action a, got;
	struct store_part part = { .made = 1 }, part_got;
	fill(&a);
	store_action_init(&got);
	struct slice record = store_action_encode(s, &a);
	int taken = 0;
	for (size_t len = 0; len < record.len; len++)
		taken += store_action_decode(s, (struct slice){ record.data, len }, &got);
	is_int(taken, 0, "none that was cut is taken");
	ok(store_action_decode(s, record, &got) && same(&a, &got), "whole: taken");
	/* The ranges stand at the end: count, 1 3, 7 7, MAX MAX. */
	size_t end = record.len;
	ok(takes(s, record, end - 28, "\0\0\0\3", 4), "as it was");
	ok(!takes(s, record, 0, "\2", 1), "another version");
	ok(!takes(s, record, 1, "\0", 1) && !takes(s, record, 1, "\7", 1), "no such state");
	ok(!takes(s, record, end - 28, "\377\377\377\377", 4), "more ranges than octets");
	ok(!takes(s, record, end - 24, "\0\0\0\0", 4), "UID 0");
	ok(!takes(s, record, end - 20, "\0\0\0\0", 4), "a range that ends before it begins");
	ok(!takes(s, record, end - 16, "\0\0\0\3", 4), "ranges that overlap");
	is_int(store_action_peek(record), STORE_ACTION_LOCAL, "its state alone");
	is_int(store_action_peek(STORE_NOTHING), 0, "of nothing");

	record = store_part_encode(s, &part);
	for (size_t len = 0; len < record.len; len++)
		taken += store_part_decode((struct slice){ record.data, len }, &part_got);
	is_int(taken, 0, "nor a part");
	store_action_release(&a);
	store_action_release(&got);
}

static void test_records(void)
{
	struct store *s = afresh();
	struct store_action a, got;
	begin(s);
	test_damaged_records(s);
	store_action_init(&got);
	store_action_init(&a);
	a.number = 1;
	a.state = STORE_ACTION_WAITING;
	is_int(store_action_encode(s, &a).len, 47, "what is not told costs nothing");
	store_action_put(s, &a);
	a.number = 2;
	a.text = mem_copy("");
	a.reason = mem_copy("");
	store_action_put(s, &a);
	store_action_release(&a);
	fill(&a);
	/* Longer than what two octets can count. */
	a.reason = malloc(100001);
	memset(a.reason, 'r', 100000);
	a.reason[100000] = '\0';
	store_action_put(s, &a);
	commit(s);
	s = reopen(s);
	ok(store_action_get(s, UINT64_MAX, &got) && got.number == UINT64_MAX && same(&a, &got),
		"all comes back");
	ok(store_action_get(s, 1, &got) && got.state == STORE_ACTION_WAITING && got.reason == NULL &&
		got.add.count == 0 && got.others.count == 0, "nothing is left of it in the same struct");
	ok(store_action_get(s, 2, &got) && got.reason == NULL && got.text == NULL, "\"\" is none");
	ok(!store_action_get(s, 3, &got) && got.number == 2, "none: left alone");
	store_action_release(&a);
	store_action_release(&got);
	store_close(s);
}

static void test_order(void)
{
	struct store *s = afresh();
	struct store_action a;
	static const uint64_t numbers[] = { 7, UINT64_MAX, 2, 256, 255 };
	store_action_init(&a);
	ok(!store_action_next(s, 0, &a) && !store_action_get(s, 0, &a), "none yet");
	begin(s);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		put_action(s, numbers[i], STORE_ACTION_WAITING);
	ok(store_action_next(s, 0, &a) && a.number == 2, "inside: the first");
	commit(s);
	ok(store_action_next(s, 2, &a) && a.number == 7, "the next");
	ok(store_action_next(s, 7, &a) && a.number == 255, "over a gap");
	ok(store_action_next(s, 255, &a) && a.number == 256, "by number, not by octet");
	ok(store_action_next(s, 256, &a) && a.number == UINT64_MAX, "the last");
	ok(!store_action_next(s, UINT64_MAX, &a) && a.number == UINT64_MAX, "the end");
	store_action_release(&a);
	store_close(s);
}

static bool counts_are(struct store *s, const char *want)
{
	struct store_action_counts c = store_action_counts(s);
	char got[100];
	snprintf(got, sizeof got, "%d %d %d %d %d %d", (int)c.waiting, (int)c.intent,
		(int)c.failed, (int)c.held, (int)c.unknown, (int)c.local);
	if (strcmp(got, want) != 0)
		diag("counts %s, want %s", got, want);
	return strcmp(got, want) == 0;
}

static void test_counts(void)
{
	struct store *s = afresh();
	ok(counts_are(s, "0 0 0 0 0 0"), "none yet");
	begin(s);
	store_action_delete(s, 1);
	ok(counts_are(s, "0 0 0 0 0 0"), "what is not there cannot be deleted");
	for (uint64_t i = 1; i <= 6; i++)
		put_action(s, i, (enum store_action_state)i);
	put_action(s, 7, STORE_ACTION_FAILED);
	put_action(s, 7, STORE_ACTION_FAILED);
	ok(counts_are(s, "1 1 2 1 1 1"), "one in each state, seen inside");
	commit(s);
	begin(s);
	put_action(s, 7, STORE_ACTION_WAITING);
	store_action_delete(s, 1);
	store_action_delete(s, 1);
	store_action_delete(s, 4);
	ok(counts_are(s, "1 1 1 0 1 1"), "changes are followed");
	store_abort(s);
	ok(counts_are(s, "1 1 2 1 1 1"), "and forgotten by an abort");
	begin(s);
	put_action(s, 2, STORE_ACTION_UNKNOWN);
	commit(s);
	s = reopen(s);
	ok(counts_are(s, "1 0 2 1 2 1"), "they last");
	store_close(s);
	s = store_open(state, false, true, NULL, &err);
	ok(counts_are(s, "1 0 2 1 2 1"), "for a reader too");
	store_close(s);
}

static void test_parts(void)
{
	struct store *s = afresh();
	struct store_part p = { .action = 5, .message = UINT64_MAX, .state = STORE_PART_COPIED |
		STORE_PART_SUSPECT, .uid = UID_MAX, .uidvalidity = UINT64_MAX, .mailbox = UINT32_MAX,
		.made = UINT64_MAX }, got = { 0 };
	ok(!store_part_next(s, 5, 0, &got) && !store_part_get(s, 5, 1, &got) && !store_part_count(s, 5),
		"none yet");
	begin(s);
	store_part_delete(s, 5, 1);
	store_part_put(s, &p);
	put_part(s, 5, 256, STORE_PART_LOCAL);
	put_part(s, 5, 255, 0);
	put_part(s, 4, UINT64_MAX, 0);
	put_part(s, 6, 1, STORE_PART_FAILED);
	commit(s);
	s = reopen(s);
	ok(store_part_get(s, 5, UINT64_MAX, &got) && got.action == 5 && got.message == UINT64_MAX &&
		got.state == p.state && got.uid == UID_MAX && got.uidvalidity == UINT64_MAX &&
		got.mailbox == UINT32_MAX && got.made == UINT64_MAX, "comes back");
	ok(store_part_next(s, 5, 0, &got) && got.message == 255 && got.uid == 0, "the first");
	ok(store_part_next(s, 5, 255, &got) && got.message == 256 && got.state == STORE_PART_LOCAL,
		"the next");
	ok(store_part_next(s, 5, 256, &got) && got.message == UINT64_MAX, "the last");
	ok(!store_part_next(s, 5, UINT64_MAX, &got) && !store_part_next(s, 6, 1, &got) &&
		!store_part_next(s, 3, 0, &got) && got.message == UINT64_MAX, "the ends");
	is_int(store_part_count(s, 5), 3, "counted");
	is_int(store_part_count(s, 7), 0, "none of what is not there");

	begin(s);
	put_action(s, 5, STORE_ACTION_WAITING);
	store_action_delete(s, 5);
	is_int(store_part_count(s, 5), 0, "they go with their action");
	ok(!store_is_pending(s, 255) && !store_is_pending(s, 256), "in both indexes");
	ok(store_part_get(s, 4, UINT64_MAX, &got) && store_part_get(s, 6, 1, &got), "others stay");
	store_action_delete(s, 4);
	ok(!store_is_pending(s, UINT64_MAX), "and where the action has no record");
	store_abort(s);
	is_int(store_part_count(s, 5), 3, "an abort brings them back");
	store_close(s);
}

/* "3 5": the pending actions of a message. */
static void pending_are(struct store *s, uint64_t message, const char *want, const char *what)
{
	struct buf text;
	uint64_t action = 0;
	buf_init(&text, 0);
	while (store_pending_next(s, message, action, &action))
		buf_addf(&text, "%s%llu", text.len > 0 ? " " : "", (unsigned long long)action);
	is_str(buf_str(&text), want, "%s", what);
	if (store_is_pending(s, message) != (*want != '\0'))
		ok(0, "store_is_pending says otherwise");
	buf_release(&text);
}

static void test_pending(void)
{
	struct store *s = afresh();
	uint64_t action = 99;
	pending_are(s, 1, "", "none in an empty store");
	begin(s);
	pending_are(s, 1, "", "nor inside");
	put_part(s, 256, 1, 0);
	put_part(s, 255, 1, STORE_PART_COPIED);
	put_part(s, 3, 1, STORE_PART_FAILED | STORE_PART_COPIED);
	put_part(s, 3, 2, STORE_PART_LOCAL);
	put_part(s, UINT64_MAX, 2, STORE_PART_SUSPECT);
	pending_are(s, 1, "255 256", "by number; what failed is none");
	commit(s);
	pending_are(s, 2, "3 18446744073709551615", "what stays here is");
	pending_are(s, 3, "", "the next message has none");
	ok(!store_pending_next(s, 1, 256, &action) && !store_pending_next(s, 1, UINT64_MAX, &action) &&
		action == 99, "the end leaves the number alone");
	begin(s);
	put_part(s, 256, 1, STORE_PART_FAILED);
	put_part(s, 3, 1, 0);
	store_part_delete(s, UINT64_MAX, 2);
	commit(s);
	s = reopen(s);
	pending_are(s, 1, "3 255", "one failed, one is tried again");
	pending_are(s, 2, "3", "one is done");
	begin(s);
	store_part_delete(s, 256, 1);
	store_part_delete(s, 3, 1);
	commit(s);
	pending_are(s, 1, "255", "one that had failed is dropped");
	store_close(s);
}

static bool dies(void (*act)(struct store *s), struct store *s)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		if (freopen("/dev/null", "w", stderr) != NULL)
			act(s);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
		WTERMSIG(status) == SIGABRT;
}

static void no_number(struct store *s)
{
	put_action(s, 0, STORE_ACTION_WAITING);
}

static void no_state(struct store *s)
{
	put_action(s, 1, (enum store_action_state)0);
}

static void state_beyond(struct store *s)
{
	put_action(s, 1, (enum store_action_state)7);
}

/* Its last octet is a state. */
static void state_far_beyond(struct store *s)
{
	put_action(s, 1, (enum store_action_state)257);
}

static void part_of_none(struct store *s)
{
	put_part(s, 0, 1, 0);
}

static void part_on_none(struct store *s)
{
	put_part(s, 1, 0, 0);
}

static uint64_t put_here(struct store *s, uint32_t mailbox, uint32_t uid)
{
	struct store_message m;
	store_message_init(&m);
	m.mailbox = mailbox;
	m.uid = uid;
	m.state = STORE_HERE;
	m.size = 10;
	store_message_put(s, &m);
	return m.number;
}

static void here_with_uid(struct store *s)
{
	put_here(s, 1, 1);
}

static void delete_mailbox(struct store *s)
{
	store_mailbox_delete(s, 1);
}

static void test_invariants(void)
{
	struct store *s = afresh();
	begin(s);
	is_int(make_mailbox(s, "box"), 1, "a mailbox");
	ok(dies(no_number, s), "an action has a number");
	ok(dies(no_state, s) && dies(state_beyond, s) && dies(state_far_beyond, s), "and a state");
	ok(dies(part_of_none, s) && dies(part_on_none, s), "a part has both numbers");
	ok(dies(here_with_uid, s), "a message made here has no UID");
	ok(!dies(delete_mailbox, s), "an empty mailbox may go");
	uint64_t number = put_here(s, 1, 0);
	ok(dies(delete_mailbox, s), "one with a message made here may not");
	store_message_delete(s, number);
	ok(!dies(delete_mailbox, s), "but after it");
	store_abort(s);
	store_close(s);
}

/* An append: the message is made, uploaded, and gets its UID. */
static void test_here(void)
{
	static const uint8_t hash[MAIL_HASH_SIZE] = { 1 };
	struct store *s = afresh();
	struct store_message m;
	struct store_body_info info;
	store_message_init(&m);
	begin(s);
	uint32_t box = make_mailbox(s, "box"), next = make_mailbox(s, "next");
	ok(!store_here_next(s, box, 0, &m), "none yet");
	uint64_t first = put_here(s, box, 0), second = put_here(s, box, 0);
	put_here(s, next, 0);
	struct store_body *b = store_body_new(s);
	store_body_write(b, "x", 1);
	store_message_get(s, second, &m);
	m.body = store_body_finish(b, hash, NULL);
	m.state |= STORE_BODY_OWED;
	store_message_put(s, &m);
	commit(s);
	s = reopen(s);
	ok(store_here_next(s, box, 0, &m) && m.number == first && m.state == STORE_HERE, "the first");
	ok(store_here_next(s, box, first, &m) && m.number == second, "the next");
	ok(!store_here_next(s, box, second, &m) && !store_here_next(s, box, UINT64_MAX, &m),
		"not that of the next mailbox");
	ok(!store_orphan_next(s, box, 0, &m), "they are no orphans");
	struct store_counts counts = store_mailbox_counts(s, box), zeros = { 0 };
	ok(memcmp(&counts, &zeros, sizeof counts) == 0, "they are not counted");
	is_int(store_count_uids(s, box, 1, UID_MAX), 0, "nor among UIDs");
	ok(store_body_info(s, m.body, &info) && info.references == 1, "the body is referred to");

	begin(s);
	m.uid = 9;
	m.mailbox = next;
	m.state &= ~(uint32_t)STORE_HERE;
	store_message_put(s, &m);
	commit(s);
	ok(!store_here_next(s, box, first, &m), "on the server: no longer only here");
	ok(store_message_by_uid(s, next, 9, &m) && m.number == second, "it has its UID");
	counts = store_mailbox_counts(s, next);
	ok(counts.messages == 1 && counts.bodies == 1 && counts.owed == 1 && counts.owed_octets == 10,
		"and counts");
	begin(s);
	store_message_delete(s, first);
	commit(s);
	ok(!store_here_next(s, box, 0, &m), "one that came to nothing");
	begin(s);
	store_mailbox_delete(s, box);
	commit(s);
	store_message_release(&m);
	store_close(s);
}

static bool counts_one(struct store *s, uint32_t mailbox, bool there)
{
	struct store_counts c = store_mailbox_counts(s, mailbox);
	uint64_t n = there;
	return c.messages == n && c.owed == n && c.owed_octets == 77 * n && c.unseen == n &&
		c.bodies == 0 && store_count_uids(s, mailbox, 1, UID_MAX) == n;
}

/* All that finds it, from its place. */
static bool stands_at(struct store *s, uint64_t number, uint32_t mailbox, uint32_t uid, uint32_t other)
{
	struct store_message m;
	uint32_t got = 0;
	uint64_t size = 0;
	store_message_init(&m);
	bool good = store_message_by_uid(s, mailbox, uid, &m) && m.number == number &&
		store_message_next(s, mailbox, 0, &m) && m.number == number &&
		!store_message_next(s, other, 0, &m) &&
		store_owed_next(s, mailbox, 0, &got, &size) && got == uid && size == 77 &&
		!store_owed_next(s, other, 0, &got, &size) &&
		store_message_by_base(s, "base", &m) && m.mailbox == mailbox &&
		store_alike_next(s, 5, 77, 0, &m) && m.number == number &&
		store_emailid_next(s, "M1", 0, &m) && m.number == number &&
		counts_one(s, mailbox, true) && counts_one(s, other, false);
	store_message_release(&m);
	return good;
}

static void test_move(void)
{
	struct store *s = afresh();
	struct store_message m;
	store_message_init(&m);
	begin(s);
	uint32_t box = make_mailbox(s, "box"), other = make_mailbox(s, "other");
	m.mailbox = box;
	m.uid = 7;
	m.state = STORE_BODY_OWED | STORE_SHOWN;
	m.date = 5;
	m.size = 77;
	m.emailid = mem_copy("M1");
	m.base = mem_copy("base");
	store_message_put(s, &m);
	ok(stands_at(s, m.number, box, 7, other), "before");
	m.mailbox = other;
	m.uid = 4000;
	store_message_put(s, &m);
	ok(stands_at(s, m.number, other, 4000, box), "mailbox and UID at once, in the transaction that made it");
	commit(s);
	begin(s);
	m.mailbox = box;
	store_message_put(s, &m);
	commit(s);
	s = reopen(s);
	ok(stands_at(s, m.number, box, 4000, other), "to the same UID elsewhere");
	begin(s);
	m.mailbox = other;
	m.uid = 1;
	store_message_put(s, &m);
	commit(s);
	s = reopen(s);
	ok(stands_at(s, m.number, other, 1, box), "both, in a later transaction");
	begin(s);
	store_mailbox_delete(s, box);
	ok(stands_at(s, m.number, other, 1, box), "nothing of it is left there");
	commit(s);
	store_message_release(&m);
	store_close(s);
}

/* Makes of the store what a mailtide with schema 1 would have left. */
static void make_schema_1(struct store *s)
{
	struct store_key key;
	begin(s);
	for (int i = STORE_DBS_OF_SCHEMA_1; i < STORE_DBS; i++)
		if (mdb_drop(s->write, s->dbs[i], 1) != 0)
			ok(0, "drop");
	store_key_text(&key, slice_of("schema"));
	store_db_put(s, STORE_DB_META, &key, (struct slice){ "\0\0\0\1", 4 });
	commit(s);
	store_close(s);
}

/* What is new is empty, in every way to ask for it. */
static bool has_nothing_new(struct store *s)
{
	struct store_action a;
	struct store_part p;
	struct store_message m;
	uint64_t action;
	store_action_init(&a);
	store_message_init(&m);
	return !store_action_get(s, 1, &a) && !store_action_next(s, 0, &a) &&
		!store_part_get(s, 1, 1, &p) && !store_part_next(s, 1, 0, &p) &&
		store_part_count(s, 1) == 0 && !store_pending_next(s, 1, 0, &action) &&
		!store_is_pending(s, 1) && !store_here_next(s, 1, 0, &m) && counts_are(s, "0 0 0 0 0 0");
}

static bool has_message(struct store *s, uint64_t number)
{
	struct store_message m;
	store_message_init(&m);
	bool found = store_message_by_uid(s, 1, 7, &m) && m.number == number;
	store_message_release(&m);
	return found && store_mailbox_counts(s, 1).messages == 1;
}

/* Opens the store as a reader, looks, and again when told to. Its exit status is what was wrong. */
static void read_beside(int from, int to, uint64_t number)
{
	char c = 'r';
	struct store *s = store_open(state, false, true, NULL, &err);
	if (s == NULL || s->schema != 1 || !has_nothing_new(s) || !has_message(s, number))
		_exit(1);
	if (write(to, &c, 1) != 1 || read(from, &c, 1) != 1)
		_exit(2);
	/* It has the databases of before, until it opens the store again. */
	if (!has_message(s, number) || store_is_pending(s, number))
		_exit(3);
	store_close(s);
	s = store_open(state, false, true, NULL, &err);
	if (s == NULL || s->schema != STORE_SCHEMA || !store_is_pending(s, number))
		_exit(4);
	_exit(0);
}

/* The store is migrated while somebody reads it. */
static void migrate_beside(uint64_t number, const char *id)
{
	int there[2], back[2], status;
	char c = 0;
	fflush(stdout);
	pid_t child = pipe(there) == 0 && pipe(back) == 0 ? fork() : -1;
	if (child == 0)
		read_beside(there[0], back[1], number);
	close(back[1]);
	ok(child > 0 && read(back[0], &c, 1) == 1, "a reader has it open, what is new is empty");
	struct store *s = store_open(state, false, false, NULL, &err);
	ok(s != NULL && s->schema == STORE_SCHEMA, "for writing: migrated");
	is_str(store_id(s), id, "its id stays");
	ok(has_nothing_new(s) && has_message(s, number), "nothing else has changed");
	begin(s);
	put_action(s, 1, STORE_ACTION_FAILED);
	put_part(s, 1, number, 0);
	commit(s);
	ok(write(there[1], &c, 1) == 1 && waitpid(child, &status, 0) == child && status == 0,
		"the reader reads on, and sees what is new when it opens the store again");
	close(back[0]);
	close(there[0]);
	close(there[1]);
	store_close(s);
}

static void test_schema_1(void)
{
	struct store *s = afresh();
	struct store_message m;
	char id[17];
	store_message_init(&m);
	begin(s);
	m.mailbox = make_mailbox(s, "box");
	m.uid = 7;
	store_message_put(s, &m);
	commit(s);
	snprintf(id, sizeof id, "%s", store_id(s));
	make_schema_1(s);
	s = store_open(state, false, true, NULL, &err);
	ok(s != NULL && s->schema == 1 && has_nothing_new(s) && has_message(s, m.number),
		"read only: opened, what is new is empty");
	store_close(s);
	migrate_beside(m.number, id);
	s = reopen(NULL);
	ok(s != NULL && store_is_pending(s, m.number) && counts_are(s, "0 0 1 0 0 0"), "it lasts");
	store_message_release(&m);
	store_close(s);
}

/* A store of this schema that lacks a database is none. */
static void test_lack(void)
{
	struct store *s = afresh();
	begin(s);
	ok(mdb_drop(s->write, s->dbs[STORE_DB_PENDING], 1) == 0, "one database is lost");
	commit(s);
	store_close(s);
	ok(store_open(state, false, true, NULL, &err) == NULL, "to be read: refused, %s", err.text);
	ok(store_open(state, true, false, NULL, &err) == NULL, "for writing: too");
}

int main(void)
{
	if (mkdtemp(state) == NULL)
		return 1;
	test_records();
	test_order();
	test_counts();
	test_parts();
	test_pending();
	test_invariants();
	test_here();
	test_move();
	test_schema_1();
	test_lack();
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", state);
	return done_testing() | (system(command) != 0);
}
