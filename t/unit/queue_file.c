/* The actions file: its first line, appending, the torn end, reading on. */
#include "unit/queue_file.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static void test_new(void)
{
	struct queue *q = open_queue();

	is_str(queue_store_id(q), "", "no file: no store");
	is_int(queue_next_number(q), 1, "the first number");
	is_str(read_from(q, 0), "", "nothing to read");
	ok(!queue_has_grown(q), "no file has not grown");
	ok(access(actions_path, F_OK) < 0, "and none has been made");
	is_int(append_one(q, "a"), 1, "the first action");
	is_file(HEADER LINE("1", "a"), "makes the file");
	is_str(queue_store_id(q), "s1", "which is this store's");
	ok(queue_has_grown(q), "it has grown");
	is_str(read_from(q, 0), "1a", "the action");
	ok(!queue_has_grown(q), "all is read");
	is_int(append_one(q, "b"), 2, "another one");
	ok(queue_has_grown(q), "it has grown again");
	is_str(read_from(q, 1), "2b", "and only that is new");
	is_str(read_from(q, 0), "1a 2b", "from the beginning");
	is_str(read_from(q, 7), "", "behind the end");
	queue_used(q, 40);
	is_int(queue_next_number(q), 41, "numbers that have been used elsewhere");
	is_int(append_one(q, "c"), 41, "are skipped");
	queue_close(q);

	put_file("");
	q = queue_open(state, "", false, &err);
	ok(append_one(q, "a") < 0, "no store, no file");
	queue_close(q);
	q = queue_open("/tmp/queue-test.none/x", "s1", true, &err);
	is_str(read_from(q, 0), "", "no folder");
	queue_close(q);
}

static void test_header(void)
{
	static const struct { const char *text, *result; } files[] = {
		{ "mailtide-actions 2 s1 1 anything\n", "was made by a newer version of mailtide" },
		{ "mailtide-actions 1 s1 1\r\n", "has a CR in line 1: its lines end with LF alone" },
		{ "mailtide-actions 1 s1\n", "lacks its store or the next number in line 1" },
		{ "mailtide-actions 1 s1 0\n", "lacks its store or the next number in line 1" },
		{ "mailtide-actions 1 s1 1 2\n", "lacks its store or the next number in line 1" },
		{ "mailtide-actions 1  1\n", "lacks its store or the next number in line 1" },
		{ "mailtide-actions x s1 1\n", "has no version in line 1" },
		{ LINE("1", "a"), "does not begin with \"mailtide-actions 1\"" },
		{ "\n", "does not begin with \"mailtide-actions 1\"" },
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char want[200];
		snprintf(want, sizeof want, "the queue \"%s\" %s", actions_path, files[i].result);
		put_file(files[i].text);
		err_clear(&err);
		ok(queue_open(state, "s1", false, &err) == NULL, "refused");
		is_str(err.text, want, "%s", files[i].text);
		is_int(err.cls, ERR_USER, "only a person can help");
		is_file(files[i].text, "and nothing is touched");
	}
	put_file("mailtide-actions 1 s2 7\n" LINE("3", "a"));
	struct queue *q = open_queue();
	is_str(queue_store_id(q), "s2", "another store's");
	is_int(append_one(q, "b"), 7, "lines can be added (one must be able to say retry)");
	is_str(queue_store_id(q), "s2", "that does not change whose it is");
	ok(queue_adopt(q, &err) == 0, "until it is adopted");
	is_str(queue_store_id(q), "s1", "then it is ours");
	is_file("mailtide-actions 1 s1 8\n" LINE("3", "a") LINE("7", "b"), "with all its lines");
	queue_close(q);
}

/* What a crash may leave at the end. */
static void test_torn(void)
{
	static const char whole[] = HEADER LINE("1", "a") LINE("2", "b");
	size_t first = sizeof HEADER - 1, second = first + sizeof LINE("1", "a") - 1;
	bool reads = true, cuts = true, listed = true;

	for (size_t len = 0; len < sizeof whole - 1; len++) {
		const char *left = len < second ? "" : "1a";
		const char *after = len < second ? "1z" : "1a 2z";
		put_file("");
		put_octets(whole, len, O_TRUNC);
		listed = listed && strcmp(read_anew(true), left) == 0 && file_text().len == len;
		struct queue *q = open_queue();
		reads = reads && strcmp(read_from(q, 0), left) == 0 && !queue_has_grown(q);
		append_one(q, "z");
		cuts = cuts && strcmp(read_from(q, 0), after) == 0;
		queue_close(q);
		cuts = cuts && strcmp(read_anew(false), after) == 0;
	}
	ok(listed, "cut at every octet: a listing shows what is whole, and changes nothing");
	ok(reads, "cut at every octet: so does reading");
	ok(cuts, "cut at every octet: the next writer goes on behind the last whole line");

	for (size_t at = 0; at <= sizeof whole - 1; at++) {
		char zeros[sizeof whole + 5000] = { 0 };
		memcpy(zeros, whole, at);
		put_file("");
		put_octets(zeros, sizeof zeros, O_TRUNC);
		struct queue *q = open_queue();
		append_one(q, "z");
		queue_close(q);
		reads = reads && memchr(file_text().data, '\0', file_text().len) == NULL;
		const char *want = at == sizeof whole - 1 ? "1a 2b 3z" :
			at >= second ? "1a 2z" : "1z";
		reads = reads && strcmp(read_anew(false), want) == 0;
	}
	ok(reads, "zeros from every octet on: cut off likewise");

	put_file(HEADER LINE("1", "a"));
	put_octets("2\t\0\0\n3\t\0\n#\0\n", 12, O_APPEND);
	struct queue *q = open_queue();
	is_str(read_from(q, 0), "1a", "lines with NUL at the end");
	is_file(HEADER LINE("1", "a"), "are cut off");
	queue_close(q);

	put_octets("2\t\0\0\n", 5, O_APPEND);
	add_to_file(LINE("3", "c"));
	is_str(read_anew(false), "1a !0 3c", "one that others follow is unreadable, and stays");

	put_file("");
	put_octets("\0\0\0\n\0\n\0", 7, O_APPEND);
	q = open_queue();
	is_int(append_one(q, "a"), 1, "nothing but zeros");
	is_file(HEADER LINE("1", "a"), "is an empty file");
	queue_close(q);
	put_file("");
	put_octets("\0\0\0\n" LINE("3", "c"), 4 + sizeof LINE("3", "c") - 1, O_APPEND);
	ok(queue_open(state, "s1", false, &err) == NULL, "zeros with lines behind are refused");
}

/* People and scripts. */
static void test_hand_made(void)
{
	put_file(HEADER "\n# why\n" LINE("1", "a") "#\n" LINE("2", "b") "\n");
	is_str(read_anew(false), "1a 2b", "comments and empty lines");
	struct queue *q = open_queue();
	is_int(append_one(q, "c"), 3, "a line behind them");
	queue_close(q);
	is_file(HEADER "\n# why\n" LINE("1", "a") "#\n" LINE("2", "b") "\n" LINE("3", "c"),
		"they stay");

	put_file(HEADER LINE("1", "a") LINE("2", "b\r") LINE("3", "c"));
	is_str(read_anew(false), "1a !2 3c", "a bad line is told by its number");
	put_file(HEADER LINE("1", "a") "garbage\n" LINE("3", "c") "x\n");
	is_str(read_anew(false), "1a !0 3c !0", "or without one");
	put_file(HEADER "x\ny\n");
	is_str(read_anew(false), "!0 !0", "nothing but bad lines");
	put_file(HEADER LINE("17", "a") LINE("100", "b") LINE("18", "c") LINE("19", "d")
		LINE("101", "e"));
	is_str(read_anew(false), "17a 100b !18 !19 101e", "numbers that do not ascend");
	q = open_queue();
	is_str(read_from(q, 100), "!18 !19 101e", "they stand behind the highest before them");
	is_str(read_from(q, 17), "100b !18 !19 101e", "from anywhere");
	is_int(append_one(q, "f"), 102, "the next is above them all");
	queue_close(q);
	put_file(HEADER LINE("1", "a") LINE("2", "b") LINE("2", "c") LINE("1", "d"));
	is_str(read_anew(false), "1a 2b !2 !1", "doubled");
	put_file(HEADER LINE("9223372036854775807", "a"));
	q = open_queue();
	ok(append_one(q, "b") < 0, "no number above the highest");
	ok(strstr(err.text, "has used up all numbers") != NULL, "says so");
	queue_close(q);

	put_file(HEADER LINE("1", "a"));
	add_to_file(LINE("-", "b") "# c\n-\t-\tcreate\tc\t\n-\tbad\n");
	is_str(read_anew(true), "1a !0 !0 !0", "lines of scripts wait for their numbers");
	q = open_queue();
	is_int(queue_next_number(q), 5, "which are spoken for");
	is_str(read_from(q, 0), "1a 2b 3c !4", "and given before anybody acts on them");
	ok(strstr(file_text().data, "\n3\t20") != NULL, "with the time, if they have none");
	ok(strstr(file_text().data, "\n4\tbad\n") != NULL, "readable or not");
	ok(strncmp(file_text().data, "mailtide-actions 1 s1 5\n", 24) == 0, "the first line knows");
	put_file(HEADER "# x\n" LINE("-", "x") "# a\n" LINE("1", "a") LINE("-", "y") LINE("2", "b")
		"# end\n");
	is_str(read_from(q, 0), "1a 2b 3x 4y", "put between others, they go to the end");
	is_file("mailtide-actions 1 s1 5\n# a\n" LINE("1", "a") LINE("2", "b") "# end\n# x\n"
		LINE("3", "x") LINE("4", "y"), "with their comments");
	add_to_file(LINE("-", "e"));
	is_int(append_one(q, "f"), 6, "a writer numbers them first");
	is_str(read_from(q, 4), "5e 6f", "in their order");
	queue_close(q);

	put_file("mailtide-actions 1 s1 28\n" LINE("-", "a"));
	q = open_queue();
	is_str(read_from(q, 27), "28a", "also where all before them were done and left out");
	queue_close(q);
	put_file("mailtide-actions 1 s1 28\n" LINE("20", "a") LINE("-", "b"));
	q = open_queue();
	is_str(read_from(q, 27), "28b", "or but old ones");
	queue_close(q);
}

static void test_long(void)
{
	struct queue_action *actions = calloc(10000, sizeof *actions);
	struct timespec from, to;
	uint64_t after = 0;
	bool good = true;

	unlink(actions_path);
	for (int i = 0; i < 10000; i++) {
		queue_action_init(&actions[i], QUEUE_FLAG, "INBOX");
		queue_action_add_message(&actions[i], &(struct queue_message){ .number = 7 });
		queue_action_set(&actions[i], "add", "\\Seen");
	}
	struct queue *q = open_queue(), *other = open_queue();
	clock_gettime(CLOCK_MONOTONIC, &from);
	ok(queue_append(q, actions, 10000, &err) == 0, "10,000 actions in one call");
	clock_gettime(CLOCK_MONOTONIC, &to);
	diag("%.3f s", (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
	is_int(actions[9999].number, 10000, "have their numbers");
	ok(actions[0].time > 1700000000, "and the time");
	for (int i = 0; i < 10000; i++) {
		struct queue_action a;
		good = good && queue_next(other, after, &a, &err) == 1 && a.number == after + 1;
		after = a.number;
		queue_action_release(&a);
	}
	ok(good && queue_next(other, after, actions, &err) == 0, "another reads them in order");

	struct queue_action *bad = &actions[1];
	size_t before = file_text().len;
	queue_action_set(bad, "Not A Key", "x");
	ok(queue_append(q, actions, 2, &err) < 0, "one that nobody could read");
	is_int(file_text().len, before, "all or none");
	is_int(bad->number, 2, "and nothing is filled in");
	queue_close(q);
	queue_close(other);
	for (int i = 0; i < 10000; i++)
		queue_action_release(&actions[i]);
	free(actions);

	put_file(HEADER LINE("1", "a"));
	int fd = open(actions_path, O_WRONLY | O_APPEND);
	char block[65536];
	memset(block, 'x', sizeof block);
	good = write(fd, "2\t", 2) == 2;
	for (int i = 0; i < 200; i++)
		good = good && write(fd, block, sizeof block) == sizeof block;
	close(fd);
	is_str(read_anew(true), "1a", "a torn line of 13 MB");
	add_to_file("\n" LINE("-", "c"));
	is_str(read_anew(false), "1a !2 3c", "a whole one is held");
	ok(good && file_text().len > 13000000, "and kept");
	put_file("");
}

/* A limit on file sizes stands for a full disk. */
static void test_full(void)
{
	struct rlimit old, small;
	struct queue *q = open_queue();

	put_file(HEADER LINE("1", "a"));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = file_text().len + 20;
	setrlimit(RLIMIT_FSIZE, &small);
	ok(append_one(q, "b") < 0, "a write that stops half-way");
	setrlimit(RLIMIT_FSIZE, &old);
	is_file(HEADER LINE("1", "a"), "is taken back");
	is_int(append_one(q, "b"), 2, "and can be tried again");
	is_str(read_from(q, 0), "1a 2b", "once");
	queue_close(q);
}

static void test_lock(void)
{
	char path[64];
	struct queue *q = open_queue();

	snprintf(path, sizeof path, "%s/actions.lock", state);
	put_file(HEADER LINE("1", "a"));
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	flock(fd, LOCK_EX);
	pid_t child = fork();
	if (child == 0) {
		usleep(300000);
		_exit(0); /* its copy of the lock goes with it */
	}
	close(fd);
	is_int(append_one(q, "b"), 2, "a lock is waited for");
	waitpid(child, NULL, 0);

	fd = open(path, O_RDWR | O_CREAT, 0600);
	flock(fd, LOCK_EX);
	is_str(read_anew(true), "1a 2b", "a listing needs none");
	is_str(read_from(q, 0), "1a 2b", "nor does what is known to be durable");
	ok(append_one(q, "c") < 0, "five seconds are enough");
	is_int(err.cls, ERR_RETRY, "it may be tried again");
	ok(strstr(err.text, "is held") != NULL, "%s", err.text);
	add_to_file(LINE("3", "d"));
	close(fd);
	is_str(read_from(q, 2), "3d", "later");
	queue_close(q);
}

/* Two programs, and an editor, at one file. */
static void test_others(void)
{
	struct queue *a = open_queue(), *b = open_queue();

	unlink(actions_path);
	for (int i = 1; i <= 20; i += 2) {
		is_int(append_one(a, "x"), i, "one appends");
		is_int(append_one(b, "x"), i + 1, "and the other");
	}
	is_str(read_from(a, 17), "18x 19x 20x", "both read on");
	is_str(read_from(b, 18), "19x 20x", "where they are");
	put_file("mailtide-actions 1 s1 30\n" LINE("18", "y") LINE("25", "z"));
	ok(queue_has_grown(a), "another file in its place");
	is_str(read_from(a, 20), "25z", "is read on by number");
	is_int(append_one(b, "w"), 30, "and appended to");
	put_file(HEADER LINE("5", "v"));
	is_int(append_one(a, "w"), 6, "a shorter one, too");
	is_str(read_from(b, 0), "5v 6w", "and read");
	unlink(actions_path);
	is_str(read_from(b, 0), "", "no file any more");
	is_int(append_one(b, "w"), 1, "a new one");
	queue_close(a);
	queue_close(b);
}

int main(void)
{
	make_state();
	test_new();
	test_header();
	test_torn();
	test_hand_made();
	test_long();
	test_full();
	test_lock();
	test_others();
	remove_state();
	return done_testing();
}
