/* Rewriting: what stays, what goes, and that nothing is written for nothing. */
#include "unit/queue_file.h"

#include <sys/resource.h>

static bool keep_odd(void *arg, uint64_t number)
{
	(void)arg;
	return number % 2 == 1;
}

static bool keep_all(void *arg, uint64_t number)
{
	(void)arg;
	(void)number;
	return true;
}

static bool keep_above(void *arg, uint64_t number)
{
	return number > *(uint64_t *)arg;
}

static const struct {
	const char *name, *before, *after; /* NULL: nothing is written */
} compactions[] = {
	{ "nothing to drop", HEADER LINE("1", "a") "# x\n" LINE("3", "b"), NULL },
	{ "nothing at all", HEADER, NULL },
	{ "one of three", HEADER LINE("1", "a") LINE("2", "b") LINE("3", "c"),
		"mailtide-actions 1 s1 4\n" LINE("1", "a") LINE("3", "c") },
	{ "the last: its number is not used again", HEADER LINE("1", "a") LINE("2", "b"),
		"mailtide-actions 1 s1 3\n" LINE("1", "a") },
	{ "all", HEADER LINE("2", "a") LINE("4", "b"), "mailtide-actions 1 s1 5\n" },
	{ "all, after a compaction", "mailtide-actions 1 s1 9\n" LINE("4", "b"),
		"mailtide-actions 1 s1 9\n" },
	{ "comments go with the line below",
		HEADER "# one\n" LINE("1", "a") "# two\n\n" LINE("2", "b") "# three\n"
		LINE("3", "c") "# end\n",
		"mailtide-actions 1 s1 4\n# one\n" LINE("1", "a") "# three\n" LINE("3", "c")
		"# end\n" },
	{ "what cannot be read but has a number", HEADER "2\tx\n3\ty\n" LINE("4", "c"),
		"mailtide-actions 1 s1 5\n3\ty\n" },
	{ "what has none stays", HEADER "garbage\n" LINE("2", "b") "\ty\n",
		"mailtide-actions 1 s1 3\ngarbage\n\ty\n" },
	{ "another store's", "mailtide-actions 1 s2 1\n" LINE("1", "a") LINE("2", "b"),
		"mailtide-actions 1 s2 3\n" LINE("1", "a") },
	{ "lines without a number get one first", HEADER LINE("1", "a") LINE("-", "b") LINE("-", "c"),
		"mailtide-actions 1 s1 4\n" LINE("1", "a") LINE("3", "c") },
	{ "a torn end", HEADER LINE("1", "a") LINE("2", "b") "3\t20",
		"mailtide-actions 1 s1 3\n" LINE("1", "a") },
};

static void test_compactions(void)
{
	for (size_t i = 0; i < sizeof compactions / sizeof *compactions; i++) {
		const char *after = compactions[i].after;
		struct stat before, now;
		put_file(compactions[i].before);
		stat(actions_path, &before);
		int held = open(actions_path, O_RDONLY); /* or its inode would be used again */
		struct queue *q = open_queue();
		ok(queue_compact(q, keep_odd, NULL, &err) == 0, "%s", compactions[i].name);
		is_file(after != NULL ? after : compactions[i].before, "as expected");
		stat(actions_path, &now);
		ok((before.st_ino == now.st_ino) == (after == NULL), "written only if need be");
		close(held);
		stat(actions_path, &before);
		ok(queue_compact(q, keep_odd, NULL, &err) == 0, "again");
		stat(actions_path, &now);
		ok(before.st_ino == now.st_ino, "does nothing");
		queue_close(q);
	}
	unlink(actions_path);
	struct queue *q = open_queue();
	ok(queue_compact(q, keep_odd, NULL, &err) == 0, "no file");
	ok(access(actions_path, F_OK) < 0, "and still none");
	queue_close(q);
}

static void test_nul(void)
{
	put_file(HEADER LINE("1", "a"));
	put_octets("2\t\0\n", 4, O_APPEND);
	add_to_file(LINE("3", "c"));
	struct queue *q = open_queue();
	ok(queue_compact(q, keep_all, NULL, &err) == 0, "a line with NUL");
	is_file("mailtide-actions 1 s1 4\n" LINE("1", "a") LINE("3", "c"), "was never accepted");
	queue_close(q);
}

/* Readers go on while the file is replaced under them. */
static void test_readers(void)
{
	struct queue *q, *reader;
	struct queue_action a;

	put_file(HEADER LINE("1", "a") LINE("2", "b") LINE("3", "c") LINE("4", "d"));
	q = open_queue();
	reader = open_queue();
	ok(queue_next(reader, 0, &a, &err) == 1 && a.number == 1, "the first");
	queue_action_release(&a);
	ok(queue_compact(q, keep_odd, NULL, &err) == 0, "a compaction");
	is_str(read_from(q, 1), "3c", "read by who compacted");
	is_int(append_one(q, "e"), 5, "then an append");
	read_from(reader, 1); /* from the file that it had read ahead, or the new one: both are right */
	ok(queue_next(reader, 4, &a, &err) == 1 && a.number == 5, "another reader finds that");
	queue_action_release(&a);
	is_str(read_from(reader, 0), "1a 3c 5e", "and sees the new file");

	/* A number that had been given out of its order must not lead back. */
	put_file(HEADER LINE("10", "a") LINE("7", "b") LINE("11", "c"));
	ok(queue_next(reader, 0, &a, &err) == 1 && a.number == 10, "10");
	queue_action_release(&a);
	ok(queue_next(reader, 10, &a, &err) < 0 && a.number == 7, "then 7, which is held");
	put_file("mailtide-actions 1 s1 1\n" LINE("10", "a") LINE("11", "c") LINE("12", "d"));
	is_str(read_from(q, 0), "10a 11c 12d", "another file");
	is_int(append_one(q, "e"), 13, "and more");
	struct queue *other = open_queue();
	put_file(HEADER LINE("10", "a") LINE("7", "b") LINE("11", "c"));
	queue_next(other, 0, &a, &err);
	queue_action_release(&a);
	queue_next(other, 10, &a, &err);
	queue_next_number(other);
	put_file(HEADER LINE("10", "a") LINE("12", "d"));
	queue_next_number(other); /* which makes it know the other file */
	is_str(read_from(other, 7), "12d", "goes on behind 10");
	queue_close(other);
	queue_close(q);
	queue_close(reader);
}

static void test_change(void)
{
	struct queue_action a[3], added[2];

	put_file(HEADER "# x\n" LINE("1", "a") LINE("2", "b") "3\tbad\n" "2\ttwice\n");
	struct queue *q = open_queue();
	for (int i = 0; i < 3; i++) {
		queue_action_init(&a[i], QUEUE_RENAME, i == 0 ? "new" : "newer");
		queue_action_set(&a[i], "to", "x\ty");
		a[i].number = (uint64_t)i + 2;
	}
	for (int i = 0; i < 2; i++) {
		queue_action_init(&added[i], QUEUE_CREATE, i == 0 ? "c" : "d");
		added[i].time = 1795359900;
	}
	is_int(queue_change(q, a, 1, NULL, 0, &err), 0, "one in place of another");
	is_file("mailtide-actions 1 s1 4\n# x\n" LINE("1", "a")
		"2\t-\trename\tnew\t\tto=x%09y\n3\tbad\n2\ttwice\n", "with its number, once");
	is_int(queue_change(q, &a[1], 1, NULL, 0, &err), 0, "what could not be read");
	is_str(read_from(q, 0), "1a 2new 3newer !2", "can be read now");
	is_int(queue_change(q, &a[2], 1, added, 2, &err), -1, "one that is not there");
	is_str(err.text, "action 4 is not there any more", "says so");
	is_int(added[0].number, 0, "and no line has got a number");

	put_file(HEADER LINE("1", "a") LINE("2", "b") LINE("3", "c"));
	is_int(queue_change(q, a, 3, added, 2, &err), -1, "two that are there, and one that is not");
	is_file(HEADER LINE("1", "a") LINE("2", "b") LINE("3", "c"), "change nothing");
	is_int(queue_change(q, a, 2, added, 2, &err), 0, "two that are there, and two new ones");
	is_file("mailtide-actions 1 s1 6\n" LINE("1", "a") "2\t-\trename\tnew\t\tto=x%09y\n"
		"3\t-\trename\tnewer\t\tto=x%09y\n" "4\t2026-11-22T15:05:00Z\tcreate\tc\t\n"
		"5\t2026-11-22T15:05:00Z\tcreate\td\t\n", "in one step");
	is_int(added[1].number, 5, "the numbers are filled in");
	is_int(append_one(q, "e"), 6, "then an append");
	is_int(queue_change(q, NULL, 0, added, 1, &err), 0, "none in place of another");
	is_int(added[0].number, 7, "is an append");

	queue_action_set(&a[0], "=", "x");
	struct slice before = file_text();
	char *text = mem_copy_slice(before);
	is_int(queue_change(q, a, 2, added, 1, &err), -1, "nothing that nobody could read");
	is_file(text, "is written");
	queue_action_set(&added[0], "=", "x");
	is_int(queue_change(q, &a[1], 1, added, 1, &err), -1, "nor added");
	is_file(text, "to the file");
	char *neighbour = mem_printf("%s.new", actions_path);
	mkdir(neighbour, 0700);
	is_int(queue_change(q, &a[1], 1, NULL, 0, &err), -1, "no room for the new file");
	is_file(text, "the old one stays");
	rmdir(neighbour);
	free(neighbour);
	unlink(actions_path);
	is_int(queue_change(q, &a[1], 1, NULL, 0, &err), -1, "no file at all");
	free(text);
	for (int i = 0; i < 3; i++)
		queue_action_release(&a[i]);
	for (int i = 0; i < 2; i++)
		queue_action_release(&added[i]);
	queue_close(q);
}

/* A million lines: little memory, and a few passes. */
static void test_million(void)
{
	static struct queue_action actions[10000];
	struct rusage before, after;
	uint64_t seen = 0, last = 0, bound = 999990;
	struct queue_action a;
	int rc;

	unlink(actions_path);
	struct queue *q = open_queue();
	for (int i = 0; i < 10000; i++) {
		queue_action_init(&actions[i], QUEUE_FLAG, "INBOX");
		queue_action_add_message(&actions[i], &(struct queue_message){ 7, 8, 9, 0 });
	}
	for (int i = 0; i < 100; i++)
		if (queue_append(q, actions, 10000, &err) < 0)
			diag("%s", err.text);
	for (int i = 0; i < 10000; i++)
		queue_action_release(&actions[i]);
	queue_close(q);
	getrusage(RUSAGE_SELF, &before);
	q = open_queue();
	while ((rc = queue_next(q, last, &a, &err)) == 1 && a.number == last + 1) {
		last = a.number;
		seen++;
		queue_action_release(&a);
	}
	is_int(seen, 1000000, "a million lines");
	is_int(queue_next_number(q), 1000001, "and the next number");
	ok(queue_compact(q, keep_odd, NULL, &err) == 0, "every other one dropped");
	ok(queue_compact(q, keep_above, &bound, &err) == 0, "nearly all dropped");
	is_str(read_from(q, 0), "999991INBOX 999993INBOX 999995INBOX 999997INBOX 999999INBOX",
		"the rest");
	is_int(append_one(q, "x"), 1000001, "and the number");
	getrusage(RUSAGE_SELF, &after);
	long grown_kb = after.ru_maxrss - before.ru_maxrss;
	diag("%ld KB", grown_kb);
#ifndef __SANITIZE_ADDRESS__
	ok(grown_kb < 4096, "in little memory");
#endif
	queue_close(q);
}

int main(void)
{
	make_state();
	test_compactions();
	test_nul();
	test_readers();
	test_change();
	test_million();
	remove_state();
	return done_testing();
}
