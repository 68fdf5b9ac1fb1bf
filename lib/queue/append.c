/* Appending, and what every writer does first.
 *
 * A line counts once it is durable. Its writer may have died between write and fdatasync, or be a
 * script that knows of neither; a reader who acts on such a line, and writes down that it has done
 * so, would find another action under that number after a loss of power. So before a line is given
 * out by queue_next, or another comes behind it, the file is settled under the lock: what was never
 * accepted is cut off, lines without a number get one, and all is synced. After a crash at any point
 * the next writer does the same again.
 *
 * A new file's name is made durable while the file is empty. So a file with something in it needs
 * no sync of the folder, whoever died while making it. */
#include "queue/queue_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"

#define LOCK_WAIT_MS 5000

static int lock_is_held(const char *path, const struct buf *holder, struct err *err)
{
	struct slice who = buf_slice(holder);

	while (who.len > 0 && who.data[who.len - 1] == '\n')
		who.len--;
	return err_set(err, ERR_RETRY, ERR_ACCOUNT, "\"%s\" is held%s%.*s", path,
		who.len > 0 ? " by " : "", (int)who.len, who.data);
}

/* Others hold it for milliseconds, except a person with an editor. */
int queue_lock(struct queue *q, struct err *err)
{
	char *path = file_join(q->state, "actions.lock");
	struct buf holder;
	bool held;
	int fd, pause_ms = 1;

	buf_init(&holder, 200);
	for (int waited_ms = 0;; waited_ms += pause_ms) {
		fd = file_lock(path, "queue", &held, &holder, err);
		if (fd >= 0 || !held)
			break;
		if (waited_ms >= LOCK_WAIT_MS) {
			lock_is_held(path, &holder, err);
			break;
		}
		pause_ms = pause_ms < 20 ? pause_ms * 2 : 20;
		nanosleep(&(struct timespec){ 0, pause_ms * 1000000L }, NULL);
	}
	buf_release(&holder);
	free(path);
	return fd;
}

static int cut(struct queue *q, uint64_t size, struct err *err)
{
	if (size <= q->good_end)
		return 0;
	if (ftruncate(q->fd, (off_t)q->good_end) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno,
			"cannot cut the unfinished end of \"%s\"", q->path);
	return 0;
}

int queue_tidy(struct queue *q, struct err *err)
{
	uint64_t size;

	INVARIANT(!q->read_only);
	if (queue_refresh(q, err) < 0)
		return -1;
	if (q->fd < 0)
		return 0;
	if (queue_survey(q, &size, err) < 0 || cut(q, size, err) < 0)
		return -1;
	return q->unnumbered > 0 ? queue_number_lines(q, err) : 0;
}

static int sync_file(struct queue *q, struct err *err)
{
	if (q->durable_end == q->good_end)
		return 0;
	if (fdatasync(q->fd) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot sync \"%s\"",
			q->path);
	q->durable_end = q->good_end;
	return 0;
}

int queue_settle(struct queue *q, struct err *err)
{
	int lock = queue_lock(q, err);

	if (lock < 0)
		return -1;
	int rc = queue_tidy(q, err);
	if (rc == 0 && q->fd >= 0)
		rc = sync_file(q, err);
	file_unlock(lock);
	return rc;
}

/* What cannot be read back is not written. */
int queue_print_checked(const struct queue_action *a, uint64_t number, int64_t time, struct buf *text,
	struct err *err)
{
	struct queue_action back;
	size_t before = text->len;

	queue_print_as(a, number, time, text);
	struct slice line = { text->data + before, text->len - before };
	if (queue_action_parse(line, &back, err) < 0)
		return err_prefix(err, "cannot queue this action");
	queue_action_release(&back);
	buf_add_char(text, '\n');
	return 0;
}

int queue_print_all(struct queue *q, const struct queue_action *actions, size_t count, uint64_t next,
	int64_t now, struct buf *text, struct err *err)
{
	if (next > QUEUE_NUMBER_MAX || count >= QUEUE_NUMBER_MAX - next)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" has used up all numbers",
			q->path);
	for (size_t i = 0; i < count; i++) {
		int64_t at = actions[i].time != 0 ? actions[i].time : now;
		if (queue_print_checked(&actions[i], next + i, at, text, err) < 0)
			return -1;
	}
	return 0;
}

void queue_fill_in(struct queue_action *actions, size_t count, uint64_t next, int64_t now)
{
	for (size_t i = 0; i < count; i++) {
		actions[i].number = next + i;
		actions[i].time = actions[i].time != 0 ? actions[i].time : now;
	}
}

/* For a file that is not there, or empty. */
static int make_file(struct queue *q, struct err *err)
{
	if (q->store_id[0] == '\0')
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"\"%s\" cannot be made before there is a store", q->path);
	if (q->fd < 0)
		q->fd = open(q->path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (q->fd < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot create \"%s\"",
			q->path);
	if (queue_sync_folder(q->state) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot sync \"%s\"",
			q->state);
	return 0;
}

/* All or none: a part that went out is taken back. Where even that fails, it has no LF at its end,
 * or was never said to be durable. */
static int write_durably(struct queue *q, const struct buf *text, struct err *err)
{
	off_t before = (off_t)q->good_end;

	if (queue_write_all(q->fd, text->data, text->len) < 0)
		goto failed;
	point("queue.written");
	if (fdatasync(q->fd) < 0)
		goto failed;
	point("queue.durable");
	return 0;
failed:
	err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot append to \"%s\"", q->path);
	(void)!ftruncate(q->fd, before);
	q->durable_end = 0;
	return -1;
}

/* It is accepted: a first line that cannot be read back now is the next call's concern. */
static void remember(struct queue *q, uint64_t highest, size_t added)
{
	uint64_t size;

	if (q->body > 0) {
		q->highest = highest;
		q->good_end += added;
	} else if (queue_refresh(q, NULL) < 0 || queue_survey(q, &size, NULL) < 0) {
		return;
	}
	q->durable_end = q->good_end;
}

/* The lock is held and the file is tidy. */
static int append(struct queue *q, struct queue_action *actions, size_t count, struct err *err)
{
	uint64_t next = queue_next_number(q);
	int64_t now = time(NULL);
	struct buf text;
	int rc = -1;

	buf_init(&text, 0);
	if (q->body == 0)
		queue_print_header(q->store_id, next, &text);
	if (queue_print_all(q, actions, count, next, now, &text, err) < 0)
		goto out;
	if (q->body == 0 && make_file(q, err) < 0)
		goto out;
	if (queue_bodies_sync(q, err) < 0)
		goto out;
	if (write_durably(q, &text, err) < 0)
		goto out;
	queue_fill_in(actions, count, next, now);
	remember(q, next + count - 1, text.len);
	rc = 0;
out:
	buf_release(&text);
	return rc;
}

/* Whoever sweeps may see the line that names the bodies now. */
static void release_bodies(struct queue *q)
{
	if (q->bodies_lock >= 0)
		close(q->bodies_lock);
	q->bodies_lock = -1;
}

int queue_append(struct queue *q, struct queue_action *actions, size_t count, struct err *err)
{
	if (count == 0)
		return 0;
	if (file_mkdirs(q->state, 0700, err) < 0)
		return -1;
	int lock = queue_lock(q, err);
	if (lock < 0)
		return -1;
	int rc = queue_tidy(q, err);
	if (rc == 0)
		rc = append(q, actions, count, err);
	file_unlock(lock);
	if (rc == 0)
		release_bodies(q);
	return rc;
}
