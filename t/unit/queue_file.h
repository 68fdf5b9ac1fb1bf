/* What the tests of the actions file share: a state folder, its file as text, actions in short. */
#ifndef QUEUE_FILE_H
#define QUEUE_FILE_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "lib/tap.h"
#include "queue/queue.h"

#define HEADER "mailtide-actions 1 s1 1\n"
#define LINE(n, box) n "\t2026-11-22T15:05:00Z\tcreate\t" box "\t\n"

static char state[] = "/tmp/queue-test.XXXXXX";
static char actions_path[64];
static struct err err;

TAP_MAYBE_UNUSED static void
make_state(void)
{
	if (mkdtemp(state) == NULL)
		diag("no state folder");
	snprintf(actions_path, sizeof actions_path, "%s/actions", state);
}

TAP_MAYBE_UNUSED static void
remove_state(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", state);
	if (system(command) != 0)
		diag("%s failed", command);
}

TAP_MAYBE_UNUSED static void
put_octets(const char *data, size_t len, int flags)
{
	int fd = open(actions_path, O_WRONLY | O_CREAT | flags, 0600);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		diag("cannot write %s", actions_path);
	close(fd);
}

/* The file is this text now. */
TAP_MAYBE_UNUSED static void
put_file(const char *text)
{
	unlink(actions_path);
	put_octets(text, strlen(text), O_TRUNC);
}

TAP_MAYBE_UNUSED static void
add_to_file(const char *text)
{
	put_octets(text, strlen(text), O_APPEND);
}

/* Until the next call. */
TAP_MAYBE_UNUSED static struct slice
file_text(void)
{
	static struct buf text;

	buf_clear(&text);
	if (file_read(actions_path, &text, NULL, &err) < 0)
		buf_add_str(&text, "(none)");
	return buf_slice(&text);
}

TAP_MAYBE_UNUSED static struct queue *
open_queue(void)
{
	struct queue *q = queue_open(state, "s1", false, &err);

	if (q == NULL)
		diag("%s", err.text);
	return q;
}

/* "1a 2b !7 !0" from here on: number and mailbox, ! a bad line; "E" a failure. Until the next call. */
TAP_MAYBE_UNUSED static const char *
read_from(struct queue *q, uint64_t after)
{
	static struct buf text;
	struct queue_action a;
	int rc;

	buf_clear(&text);
	while (text.len < 4000 && (rc = queue_next(q, after, &a, &err)) != 0) {
		if (rc < 0 && err.scope != ERR_MESSAGE) {
			buf_add_str(&text, " E");
			break;
		}
		buf_addf(&text, rc > 0 ? " %d%s" : " !%d", (int)a.number,
			rc > 0 ? a.mailbox : "");
		if (a.number != 0)
			after = a.number;
		queue_action_release(&a);
	}
	return text.len > 0 ? text.data + 1 : "";
}

/* The same in a program of its own, so to say. */
TAP_MAYBE_UNUSED static const char *
read_anew(bool read_only)
{
	struct queue *q = queue_open(state, "s1", read_only, &err);
	const char *text = q != NULL ? read_from(q, 0) : err.text;

	queue_close(q);
	return text;
}

TAP_MAYBE_UNUSED static int
append_one(struct queue *q, const char *mailbox)
{
	struct queue_action a;

	queue_action_init(&a, QUEUE_CREATE, mailbox);
	a.time = 1795359900;
	int rc = queue_append(q, &a, 1, &err);
	int number = rc == 0 ? (int)a.number : rc;
	queue_action_release(&a);
	return number;
}

#define is_file(want, ...) do { \
	struct slice got_ = file_text(); \
	is_mem(got_.data, got_.len, want, strlen(want), __VA_ARGS__); \
} while (0)

#endif
