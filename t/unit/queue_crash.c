/* Death at each point of each kind of write: what was accepted is there once, what was not may be,
 * and the next run goes on. */
#include "unit/queue_file.h"

#include <signal.h>
#include <sys/wait.h>

static bool keep_not_two(void *arg, uint64_t number)
{
	(void)arg;
	return number != 2;
}

static int do_append(struct queue *q)
{
	return append_one(q, "x") < 0;
}

static int do_compact(struct queue *q)
{
	return queue_compact(q, keep_not_two, NULL, &err) < 0;
}

static int do_change(struct queue *q)
{
	struct queue_action changed, added;

	queue_action_init(&changed, QUEUE_CREATE, "B");
	changed.number = 2;
	queue_action_init(&added, QUEUE_CREATE, "c");
	return queue_change(q, &changed, 1, &added, 1, &err) != 0;
}

static int do_number(struct queue *q)
{
	add_to_file(LINE("-", "x"));
	return strcmp(read_from(q, 2), "3x") != 0;
}

static int do_body(struct queue *q)
{
	uint64_t size;
	char hex[65];
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], "a\n", 2) != 2)
		return 1;
	close(ends[1]);
	return queue_body_store(q, ends[0], 0, hex, &size, &err) < 0;
}

static const struct {
	const char *name, *point;
	int (*act)(struct queue *q);
	const char *new_file; /* text before; NULL: two lines */
	const char *result, *or;
} deaths[] = {
	{ "a first append", "queue.written", do_append, "", "1x", "" },
	{ "a first append", "queue.durable", do_append, "", "1x", "1x" },
	{ "an append", "queue.written", do_append, NULL, "1a 2b 3x", "1a 2b" },
	{ "an append", "queue.durable", do_append, NULL, "1a 2b 3x", "1a 2b 3x" },
	{ "a compaction", "queue.rewritten", do_compact, NULL, "1a 2b", "1a 2b" },
	{ "a compaction", "queue.replaced", do_compact, NULL, "1a", "1a" },
	{ "a change", "queue.rewritten", do_change, NULL, "1a 2b", "1a 2b" },
	{ "a change", "queue.replaced", do_change, NULL, "1a 2B 3c", "1a 2B 3c" },
	{ "giving numbers", "queue.rewritten", do_number, NULL, "1a 2b 3x", "1a 2b 3x" },
	{ "giving numbers", "queue.replaced", do_number, NULL, "1a 2b 3x", "1a 2b 3x" },
	{ "a body", "queue.body-written", do_body, NULL, "1a 2b", "1a 2b" },
	{ "a body", "queue.body-named", do_body, NULL, "1a 2b", "1a 2b" },
};

static bool want_nothing(void *arg, const char *hex)
{
	(void)arg;
	(void)hex;
	return false;
}

static bool outgoing_is_empty(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/outgoing", state);
	return rmdir(path) == 0 || access(path, F_OK) < 0;
}

/* What does not hold is told on stderr. */
static bool holds(bool good, const char *what)
{
	if (!good)
		diag("does not hold: %s", what);
	return good;
}

/* The next run. It is a program of its own: a process that has passed a point knows whether it is
 * to die there. */
static bool goes_on(const char *result, const char *or)
{
	struct queue *q = open_queue();
	const char *left = read_from(q, 0);
	bool good = holds(strcmp(left, result) == 0 || strcmp(left, or) == 0, left);
	int next = (int)queue_next_number(q);

	good &= holds(append_one(q, "y") == next, "the next append goes on");
	good &= holds(queue_compact(q, keep_not_two, NULL, &err) == 0, "so does a compaction");
	good &= holds(queue_bodies_sweep(state, want_nothing, NULL, &err) == 0 &&
		outgoing_is_empty(), "and the sweep");
	queue_close(q);
	return good;
}

static void test_points(void)
{
	for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
		const char *first = deaths[i].new_file;
		int status;
		put_file(first != NULL ? first : HEADER LINE("1", "a") LINE("2", "b"));
		pid_t child = fork();
		if (child == 0) {
			setenv("MAILTIDE_POINT", deaths[i].point, 1);
			_exit(deaths[i].act(open_queue()));
		}
		waitpid(child, &status, 0);
		ok(WIFSIGNALED(status), "%s dies at %s", deaths[i].name, deaths[i].point);
		child = fork();
		if (child == 0)
			_exit(goes_on(deaths[i].result, deaths[i].or) ? 0 : 1);
		waitpid(child, &status, 0);
		is_int(status, 0, "what is left is whole, and the next run goes on");
	}
}

static bool is_all_there(uint64_t told)
{
	struct queue *q = open_queue();
	struct queue_action a;
	uint64_t last = 0;
	bool good = true;
	int rc;

	while ((rc = queue_next(q, last, &a, &err)) == 1) {
		good = good && (a.number == last + 1 || a.number == 3);
		last = a.number;
		queue_action_release(&a);
	}
	queue_close(q);
	return good && rc == 0 && last >= told;
}

/* Killed at any moment, again and again: the numbers that it told are all there, in order, once. */
static void test_kills(void)
{
	uint64_t told = 0;
	bool good = true;

	put_file("");
	for (int round = 0; round < 60; round++) {
		int ends[2], number;
		if (pipe(ends) < 0)
			return;
		pid_t child = fork();
		if (child == 0) {
			struct queue *q = open_queue();
			for (;;) {
				number = append_one(q, "x");
				if (number % 7 == 0)
					queue_compact(q, keep_not_two, NULL, &err);
				if (write(ends[1], &number, sizeof number) < 0)
					_exit(1);
			}
		}
		close(ends[1]);
		usleep((useconds_t)(500 + round * 211));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(ends[0], &number, sizeof number) == sizeof number) {
			good = good && (uint64_t)number > told;
			told = (uint64_t)number;
		}
		close(ends[0]);
		good = good && is_all_there(told);
	}
	ok(good, "sixty kills: %llu actions, each once", (unsigned long long)told);
}

int main(void)
{
	make_state();
	test_points();
	test_kills();
	remove_state();
	return done_testing();
}
