#include "queue/queue_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)
#define HEAD ((size_t)4 << 10) /* what is kept of a line that is too long */

void queue_lines_init(struct queue_lines *l)
{
	*l = (struct queue_lines){ .fd = -1 };
	buf_init(&l->buf, 0);
}

void queue_lines_release(struct queue_lines *l)
{
	buf_release(&l->buf);
	queue_lines_init(l);
}

void queue_lines_seek(struct queue_lines *l, int fd, uint64_t offset)
{
	buf_shrink(&l->buf, 2 * CHUNK);
	l->fd = fd;
	l->offset = l->next = offset;
}

static ssize_t read_at(int fd, void *data, size_t len, uint64_t offset, struct err *err)
{
	ssize_t n;

	do
		n = pread(fd, data, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot read the queue");
	return n;
}

static void drop_given(struct queue_lines *l)
{
	if (l->next - l->offset <= l->buf.len) {
		buf_consume(&l->buf, (size_t)(l->next - l->offset));
		l->offset = l->next;
	} else {
		queue_lines_seek(l, l->fd, l->next);
	}
}

static int give(struct queue_lines *l, size_t len, struct queue_line *line)
{
	*line = (struct queue_line){
		.text = { buf_str(&l->buf), len },
		.start = l->offset,
		.end = l->offset + len + 1,
	};
	line->nul = len > 0 && memchr(line->text.data, '\0', len) != NULL;
	l->next = line->end;
	return 1;
}

/* Its rest is looked at piece by piece, and not kept. */
static int give_too_long(struct queue_lines *l, struct queue_line *line, struct err *err)
{
	uint64_t at = l->offset + l->buf.len;
	bool nul = memchr(l->buf.data, '\0', l->buf.len) != NULL;

	for (;;) {
		char piece[CHUNK];
		ssize_t n = read_at(l->fd, piece, sizeof piece, at, err);
		if (n < 0)
			return -1;
		const char *end = memchr(piece, '\n', (size_t)n);
		size_t len = end != NULL ? (size_t)(end - piece) : (size_t)n;
		nul = nul || memchr(piece, '\0', len) != NULL;
		at += len;
		*line = (struct queue_line){ { l->buf.data, HEAD }, l->offset, at, nul, true };
		if (n == 0)
			return 0;
		if (end != NULL)
			break;
	}
	l->next = line->end = at + 1;
	return 1;
}

static int give_rest(const struct queue_lines *l, struct queue_line *line)
{
	*line = (struct queue_line){
		.text = buf_slice(&l->buf),
		.start = l->offset,
		.end = l->offset + l->buf.len,
	};
	return 0;
}

int queue_lines_next(struct queue_lines *l, struct queue_line *line, struct err *err)
{
	size_t looked = 0;

	drop_given(l);
	for (;;) {
		const char *data = buf_str(&l->buf);
		const char *end = memchr(data + looked, '\n', l->buf.len - looked);
		if (end != NULL && (size_t)(end - data) <= QUEUE_LINE_MAX)
			return give(l, (size_t)(end - data), line);
		if (l->buf.len > QUEUE_LINE_MAX) {
			if (end != NULL)
				buf_truncate(&l->buf, (size_t)(end - data));
			return give_too_long(l, line, err);
		}
		looked = l->buf.len;
		ssize_t n = read_at(l->fd, buf_reserve(&l->buf, CHUNK), CHUNK,
			l->offset + l->buf.len, err);
		if (n < 0)
			return -1;
		if (n == 0)
			return give_rest(l, line);
		buf_added(&l->buf, (size_t)n);
	}
}

bool queue_lines_ready(const struct queue_lines *l)
{
	uint64_t used = l->next - l->offset;

	return l->buf.len > used &&
		memchr(l->buf.data + used, '\n', l->buf.len - (size_t)used) != NULL;
}

enum queue_line_kind queue_line_kind(const struct queue_line *line, uint64_t *number)
{
	struct slice first = line->text;

	*number = 0;
	if (line->nul)
		return LINE_NAMELESS;
	if (first.len == 0 || first.data[0] == '#')
		return LINE_NOTE;
	const char *tab = memchr(first.data, '\t', first.len);
	if (tab == NULL)
		return LINE_NAMELESS;
	first.len = (size_t)(tab - first.data);
	if (slice_is(first, "-"))
		return LINE_UNNUMBERED;
	uint64_t n;
	if (!queue_read_number(first, QUEUE_NUMBER_MAX, &n) || n == 0)
		return LINE_NAMELESS;
	*number = n;
	return LINE_NUMBERED;
}
