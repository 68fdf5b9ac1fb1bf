/* Bodies of uploads: line ends, what is refused, the sweep. */
#include "unit/queue_file.h"

#include <dirent.h>
#include <sys/wait.h>

#define HEX_A "6f5a3d4ce32ba2f15e2e4aa8ebb7ec8ea0c62a22d4d7dd2ab7bc9ae24d3ee2ed"

static int pipe_with(const char *data, size_t len)
{
	int ends[2];

	if (pipe(ends) < 0)
		return -1;
	if (fork() == 0) {
		close(ends[0]);
		for (size_t at = 0; at < len; at++) /* in pieces of one octet */
			if (write(ends[1], data + at, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

static int store(struct queue *q, const char *data, size_t len, uint64_t limit, char hex[65],
	uint64_t *size)
{
	int fd = pipe_with(data, len);
	int rc = queue_body_store(q, fd, limit, hex, size, &err);

	close(fd);
	wait(NULL);
	return rc;
}

static int count_files(void)
{
	char path[64];
	int count = 0;

	snprintf(path, sizeof path, "%s/outgoing", state);
	DIR *dir = opendir(path);
	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count - 2;
}

static const struct {
	const char *in;
	size_t in_len;
	const char *out, *error;
} bodies[] = {
	{ "A: b\n\nx\n", 8, "A: b\r\n\r\nx\r\n", NULL },
	{ "A: b\r\n\r\nx\r\n", 11, "A: b\r\n\r\nx\r\n", NULL },
	{ "A: b\n\r\nx", 8, "A: b\r\n\r\nx\r\n", NULL },
	{ "x\r", 2, "x\r\n", NULL },
	{ "x\ry\n", 4, "x\ry\r\n", NULL },
	{ "\n", 1, "\r\n", NULL },
	{ "12345678\n", 9, "12345678\r\n", NULL },
	{ "", 0, NULL, "the message is empty" },
	{ "a\0b\n", 4, NULL, "the message has a NUL in it" },
	{ "12345678901\n", 12, NULL, "the message is larger than 12 octets" },
	{ "12345678901", 11, NULL, "the message is larger than 12 octets" },
};

static void test_store(void)
{
	struct queue *q = open_queue();
	int stored = 0;

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		char hex[65] = "-", text[64] = "";
		uint64_t size = 99, there = 0;
		int rc = store(q, bodies[i].in, bodies[i].in_len, 12, hex, &size);
		if (bodies[i].out == NULL) {
			is_str(rc < 0 ? err.text : "stored", bodies[i].error, "refused");
			is_str(hex, "-", "nothing is told");
			continue;
		}
		ok(rc == 0, "stored: %s", rc < 0 ? err.text : hex);
		int fd = queue_body_open(state, hex, &there, &err);
		ssize_t n = read(fd, text, sizeof text);
		is_mem(text, (size_t)n, bodies[i].out, strlen(bodies[i].out), "as it goes out");
		ok(size == (uint64_t)n && there == size, "its size");
		close(fd);
		stored++;
	}
	is_int(count_files(), stored - 2, "one file for each content, and nothing else");
	queue_close(q);
}

static void test_open(void)
{
	uint64_t size;

	ok(queue_body_open(state, HEX_A, &size, &err) < 0, "one that is not there");
	is_int(err.cls, ERR_USER, "nobody will bring it");
	ok(queue_body_open(state, "../actions", &size, &err) < 0, "a name that is none");
	is_str(err.text, "\"../actions\" is no SHA-256", "says so");
	ok(queue_body_open(state, "", &size, &err) < 0, "nor is none");
}

static bool keep_one(void *arg, const char *hex)
{
	return strcmp(arg, hex) == 0;
}

static bool keep_no_line(void *arg, uint64_t number)
{
	(void)arg;
	(void)number;
	return false;
}

static int sweep(const char *kept)
{
	char wanted[65];

	snprintf(wanted, sizeof wanted, "%s", kept);
	if (queue_bodies_sweep(state, keep_one, wanted, &err) < 0)
		diag("%s", err.text);
	return count_files();
}

static void test_sweep(void)
{
	char one[65], two[65], path[100];
	struct queue_action a;
	uint64_t size;

	put_file("");
	is_int(sweep("none"), 0, "nobody wants those");
	struct queue *q = open_queue();
	store(q, "one\n", 4, 0, one, &size);
	store(q, "two\n", 4, 0, two, &size);
	snprintf(path, sizeof path, "%s/outgoing/new.abc", state);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	is_int(sweep("none"), 3, "between body and line nothing is swept");
	queue_action_init(&a, QUEUE_APPEND, "Sent");
	queue_action_set(&a, "x", "y");
	queue_action_set(&a, "sha256", one);
	ok(queue_append(q, &a, 1, &err) == 0, "the line");
	queue_action_release(&a);
	is_int(sweep(two), 2, "what a crash left is swept; one is kept, one is named");
	is_int(sweep("none"), 1, "the line names one of them");
	ok(queue_body_open(state, two, &size, &err) < 0, "the other is gone");
	ok(queue_compact(q, keep_no_line, NULL, &err) == 0, "the line goes");
	is_int(sweep(one), 1, "its body is kept");
	is_int(sweep("none"), 0, "or goes, too");
	queue_close(q);

	q = open_queue();
	store(q, "one\n", 4, 0, one, &size);
	queue_close(q);
	is_int(sweep("none"), 0, "a line that never came");
	ok(queue_bodies_sweep("/tmp/queue-test.none", keep_one, one, &err) == 0, "no folder");
}

int main(void)
{
	make_state();
	test_store();
	test_open();
	test_sweep();
	remove_state();
	return done_testing();
}
