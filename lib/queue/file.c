/* The file: which one has the name now, its first line, and how far it is known.
 *
 * A compaction, or an editor, puts another file in its place; others append to it. So every call
 * that trusts what it remembers first looks whether the name still leads to the same file, and
 * whether that has not become shorter. */
#include "queue/queue_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MAGIC "mailtide-actions "
#define HEADER_MAX 1024

void queue_print_header(const char *store_id, uint64_t next, struct buf *out)
{
	buf_addf(out, MAGIC "1 %s %llu\n", store_id, (unsigned long long)next);
}

int queue_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Some file systems cannot sync a folder, and say EINVAL. */
int queue_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc < 0 && saved == EINVAL ? 0 : rc;
}

/* Nothing is known of the file; of what was given, the numbers. */
static void forget(struct queue *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	free(q->file_store_id);
	q->file_store_id = mem_copy("");
	q->dev = 0;
	q->ino = 0;
	q->body = q->good_end = q->durable_end = 0;
	q->header_number = q->highest = q->unnumbered = 0;
	q->at_cursor = false;
	q->seen.size = UINT64_MAX; /* once closed, its inode may become another file's */
}

static struct slice next_word(struct slice *rest)
{
	struct slice word = *rest;
	const char *space = word.len > 0 ? memchr(word.data, ' ', word.len) : NULL;

	if (space == NULL) {
		rest->len = 0;
		return word;
	}
	word.len = (size_t)(space - word.data);
	*rest = (struct slice){ space + 1, rest->len - word.len - 1 };
	return word;
}

static int bad_header(const struct queue *q, const char *why, struct err *err)
{
	return err_set(err, ERR_USER, ERR_ACCOUNT, "the queue \"%s\" %s", q->path, why);
}

static int parse_header(struct queue *q, struct slice line, struct err *err)
{
	size_t magic = strlen(MAGIC);
	uint64_t version, next;

	if (line.len > HEADER_MAX || line.len < magic || memcmp(line.data, MAGIC, magic) != 0)
		return bad_header(q, "does not begin with \"" MAGIC "1\"", err);
	if (memchr(line.data, '\r', line.len) != NULL)
		return bad_header(q, "has a CR in line 1: its lines end with LF alone", err);
	struct slice rest = { line.data + magic, line.len - magic };
	if (!queue_read_number(next_word(&rest), UINT32_MAX, &version))
		return bad_header(q, "has no version in line 1", err);
	if (version != 1)
		return bad_header(q, "was made by a newer version of mailtide", err);
	struct slice id = next_word(&rest);
	if (id.len == 0 || !queue_read_number(rest, QUEUE_NUMBER_MAX, &next) || next == 0)
		return bad_header(q, "lacks its store or the next number in line 1", err);
	free(q->file_store_id);
	q->file_store_id = mem_copy_slice(id);
	q->header_number = next;
	return 0;
}

/* The first line goes out with the first append, so a file without a whole one holds nothing that was
 * ever accepted. After a loss of power it may be zeros, with an LF somewhere behind them. */
static int read_header(struct queue *q, struct err *err)
{
	struct queue_lines lines;
	struct queue_line line;

	queue_lines_init(&lines);
	queue_lines_seek(&lines, q->fd, 0);
	int rc = queue_lines_next(&lines, &line, err);
	if (rc > 0 && !line.nul) {
		q->body = q->good_end = line.end;
		rc = parse_header(q, line.text, err);
	} else {
		while (rc > 0 && line.nul)
			rc = queue_lines_next(&lines, &line, err);
		if (rc > 0)
			rc = bad_header(q, "has a NUL in line 1", err);
	}
	queue_lines_release(&lines);
	return rc;
}

static int open_file(struct queue *q, struct err *err)
{
	struct stat st;
	int flags = q->read_only ? O_RDONLY : O_RDWR | O_APPEND;

	forget(q);
	q->fd = open(q->path, flags | O_CLOEXEC);
	if (q->fd < 0 && errno == ENOENT)
		return 0;
	if (q->fd < 0 || fstat(q->fd, &st) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot open \"%s\"",
			q->path);
	if (!S_ISREG(st.st_mode))
		return bad_header(q, "is not a file", err);
	q->dev = st.st_dev;
	q->ino = st.st_ino;
	return read_header(q, err);
}

static bool is_known(const struct queue *q, const struct stat *st)
{
	return q->fd >= 0 && st->st_dev == q->dev && st->st_ino == q->ino && q->body > 0 &&
		(uint64_t)st->st_size >= q->good_end;
}

int queue_refresh(struct queue *q, struct err *err)
{
	struct stat st;

	if (stat(q->path, &st) == 0 && is_known(q, &st))
		return 0; /* else it is gone, new, or cannot be reached: opening it tells */
	if (open_file(q, err) < 0) {
		forget(q);
		return -1;
	}
	return 0;
}

/* Whole lines up to the last without NUL. Those with NUL at the end are not counted in: the next
 * writer cuts them off, and other lines come in their place. One that good lines follow stays where
 * it is: no crash makes such a file, and what follows may have been accepted. */
int queue_survey(struct queue *q, uint64_t *size, struct err *err)
{
	struct queue_lines lines;
	struct queue_line line;
	int rc;

	queue_lines_init(&lines);
	queue_lines_seek(&lines, q->fd, q->good_end);
	while ((rc = queue_lines_next(&lines, &line, err)) > 0) {
		uint64_t number;
		if (line.nul)
			continue;
		q->good_end = line.end;
		if (queue_line_kind(&line, &number) == LINE_UNNUMBERED)
			q->unnumbered++;
		if (number > q->highest)
			q->highest = number;
	}
	*size = line.end;
	queue_lines_release(&lines);
	return rc;
}

struct queue *queue_open(const char *state, const char *store_id, bool read_only, struct err *err)
{
	struct queue *q = mem_new(sizeof *q);

	q->state = mem_copy(state);
	q->path = file_join(state, "actions");
	q->store_id = mem_copy(store_id != NULL ? store_id : "");
	q->read_only = read_only;
	q->fd = q->bodies_lock = -1;
	queue_lines_init(&q->cursor);
	forget(q);
	if (queue_refresh(q, err) < 0) {
		queue_close(q);
		return NULL;
	}
	return q;
}

void queue_close(struct queue *q)
{
	if (q == NULL)
		return;
	if (q->bodies_lock >= 0)
		close(q->bodies_lock);
	forget(q);
	queue_lines_release(&q->cursor);
	free(q->file_store_id);
	free(q->store_id);
	free(q->path);
	free(q->state);
	free(q);
}

const char *queue_store_id(const struct queue *q)
{
	return q->file_store_id;
}

void queue_used(struct queue *q, uint64_t number)
{
	if (number > q->used)
		q->used = number;
}

uint64_t queue_next_number(struct queue *q)
{
	uint64_t size, next = 1;

	/* What cannot be read now cannot be appended to either: then the answer is of no use. */
	if (queue_refresh(q, NULL) == 0 && q->body > 0)
		queue_survey(q, &size, NULL);
	if (q->header_number > next)
		next = q->header_number;
	if (q->highest >= next)
		next = q->highest + 1;
	if (q->used >= next)
		next = q->used + 1;
	return next + q->unnumbered;
}

bool queue_has_grown(struct queue *q)
{
	struct stat st;

	if (stat(q->path, &st) < 0)
		return false;
	return st.st_dev != q->seen.dev || st.st_ino != q->seen.ino ||
		(uint64_t)st.st_size != q->seen.size;
}
