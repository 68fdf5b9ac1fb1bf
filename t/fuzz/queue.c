/* The input as a line, and as a file. A line that parses is printed and parsed again, and must be the
 * same. A file is listed, read, appended to and compacted: whatever was in it, what is appended can
 * be read, as the last, and a compaction loses nothing. */
#include "queue/queue.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "fuzz/fuzz.h"

#define NO_NUMBERS "used up all numbers"

static void check_same(const struct queue_action *a, const struct queue_action *b)
{
	INVARIANT(a->number == b->number && a->time == b->time && a->verb == b->verb);
	INVARIANT(strcmp(a->verb_text, b->verb_text) == 0);
	INVARIANT(strcmp(a->mailbox, b->mailbox) == 0);
	INVARIANT(a->message_count == b->message_count && a->pair_count == b->pair_count);
	for (size_t i = 0; i < a->message_count; i++) {
		const struct queue_message *m = &a->messages[i], *n = &b->messages[i];
		INVARIANT(m->number == n->number && m->uid == n->uid);
		INVARIANT(m->uidvalidity == n->uidvalidity && m->action == n->action);
	}
	for (size_t i = 0; i < a->pair_count; i++) {
		INVARIANT(strcmp(a->pairs[i].key, b->pairs[i].key) == 0);
		INVARIANT(strcmp(a->pairs[i].value, b->pairs[i].value) == 0);
	}
}

static void check_line(struct slice line)
{
	struct queue_action a, b;
	struct err err;
	struct buf text, again;

	if (queue_action_parse(line, &a, &err) < 0) {
		INVARIANT(err.cls == ERR_USER && err.scope == ERR_MESSAGE);
		return;
	}
	buf_init(&text, 0);
	buf_init(&again, 0);
	queue_action_print(&a, &text);
	INVARIANT(queue_action_parse(buf_slice(&text), &b, &err) == 0);
	check_same(&a, &b);
	queue_action_print(&b, &again);
	INVARIANT(text.len == again.len && memcmp(text.data, again.data, text.len) == 0);
	queue_action_release(&a);
	queue_action_release(&b);
	buf_release(&text);
	buf_release(&again);
}

struct summary {
	size_t good, bad, bad_without_number;
	uint64_t last_good;
	bool last_is_good;
};

/* By one that has not read before: a line without a number is told only once. */
static struct summary read_all(const char *state, bool read_only)
{
	struct queue *q = queue_open(state, "s1", read_only, NULL);
	struct summary s = { 0 };
	struct queue_action a;
	uint64_t after = 0;
	struct err err;
	int rc;

	INVARIANT(q != NULL);
	while ((rc = queue_next(q, after, &a, &err)) != 0) {
		if (rc < 0 && err.scope == ERR_ACCOUNT && strstr(err.text, NO_NUMBERS) != NULL)
			break;
		INVARIANT(rc > 0 || err.scope == ERR_MESSAGE);
		INVARIANT(rc < 0 || a.number > s.last_good);
		s.last_is_good = rc > 0;
		if (rc > 0) {
			s.good++;
			s.last_good = a.number;
		} else {
			s.bad++;
			s.bad_without_number += a.number == 0;
		}
		after = a.number != 0 ? a.number : after;
		queue_action_release(&a);
	}
	queue_close(q);
	return s;
}

static bool keep_all(void *arg, uint64_t number)
{
	(void)arg;
	return number != 0;
}

static void check_append(struct queue *q, const char *state, struct summary before)
{
	struct queue_action a;
	uint64_t next = queue_next_number(q);
	struct err err;

	queue_action_init(&a, QUEUE_CREATE, "x\ty%");
	if (queue_append(q, &a, 1, &err) == 0) {
		struct summary after = read_all(state, false);
		INVARIANT(a.number == next && next > before.last_good);
		INVARIANT(after.last_is_good && after.last_good == next);
		INVARIANT(after.good == before.good + 1 && after.bad == before.bad);
		INVARIANT(queue_next_number(q) == next + 1);
	} else {
		INVARIANT(strstr(err.text, NO_NUMBERS) != NULL);
	}
	queue_action_release(&a);
}

static void check_compact(struct queue *q, const char *state)
{
	struct summary before = read_all(state, false), after;

	if (queue_compact(q, keep_all, NULL, NULL) < 0)
		return;
	after = read_all(state, false);
	/* Lines with NUL go, and they have no number. */
	INVARIANT(after.good == before.good && after.last_good == before.last_good);
	INVARIANT(after.bad <= before.bad);
	INVARIANT(before.bad - after.bad == before.bad_without_number - after.bad_without_number);
}

static void check_file(const char *state)
{
	struct queue *q = queue_open(state, "s1", false, NULL);

	if (q == NULL)
		return;
	struct summary listed = read_all(state, true), s = read_all(state, false);
	if (queue_next_number(q) <= QUEUE_NUMBER_MAX) {
		INVARIANT(s.good >= listed.good);
		check_append(q, state, s);
		check_compact(q, state);
	}
	queue_close(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char state[32], path[64];
	static const char *const files[] = { "actions", "actions.lock", "actions.new" };
	struct slice input = { (const char *)data, size };
	const char *end = size > 0 ? memchr(data, '\n', size) : NULL;

	check_line(end != NULL ? (struct slice){ input.data, (size_t)(end - input.data) } : input);
	/* Where a sync costs nothing, if there is such a place. */
	snprintf(state, sizeof state, "%s/queue-fuzz.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	INVARIANT(mkdtemp(state) != NULL);
	snprintf(path, sizeof path, "%s/actions", state);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	INVARIANT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	check_file(state);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", state, files[i]);
		unlink(path);
	}
	rmdir(state);
	return 0;
}
