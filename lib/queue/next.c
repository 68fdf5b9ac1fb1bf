/* Reading the actions in order, one call at a time.
 *
 * The place is kept as an offset, and nothing of the file but what was read ahead. It is good as
 * long as the caller asks for what follows, in the same file; else the file is read from its first
 * line, and what is not above `after` is skipped.
 *
 * Numbers must ascend. A line whose number does not, or that has none, has its place behind the
 * highest number that stands before it (`floor`). When that line has just been given, the caller
 * comes back with a number below the floor: `given` tells that this means to go on. */
#include "queue/queue_private.h"

#include <sys/stat.h>

struct found {
	struct queue_line line;
	enum queue_line_kind kind;
	uint64_t number, floor; /* `floor`: before this line */
};

/* Goes to where the search begins, and returns what it has to be above. */
static uint64_t find_place(struct queue *q, uint64_t after)
{
	if (q->at_cursor && (after == q->given || after >= q->floor))
		return after;
	if (!q->at_cursor && after == q->given && after < q->floor)
		after = q->floor; /* another file: the line that was given is somewhere below */
	queue_lines_seek(&q->cursor, q->fd, q->body);
	q->at_cursor = true;
	q->given = after;
	q->floor = 0;
	return after;
}

static void go_back(struct queue *q, const struct found *f)
{
	queue_lines_seek(&q->cursor, q->fd, f->line.start);
	q->floor = f->floor;
}

/* 1: in *f; 0: none, and f->line is what follows the last LF. */
static int find(struct queue *q, uint64_t after, struct found *f, struct err *err)
{
	int rc;

	while ((rc = queue_lines_next(&q->cursor, &f->line, err)) > 0) {
		f->kind = queue_line_kind(&f->line, &f->number);
		f->floor = q->floor;
		if (f->kind == LINE_NOTE)
			continue;
		bool ascends = f->number > q->floor;
		if (ascends)
			q->floor = f->number;
		/* One without a number will get one above all, whatever stands before it in the file. */
		if (ascends ? f->number > after : q->floor >= after || f->kind == LINE_UNNUMBERED)
			return 1;
	}
	f->floor = q->floor;
	return rc;
}

/* Why append.c has to be asked first. */
static bool is_unsettled(const struct queue *q, const struct found *f, int rc)
{
	if (q->read_only)
		return false;
	return rc > 0 ? f->line.end > q->durable_end : f->line.end > f->line.start;
}

static int end(struct queue *q, uint64_t size)
{
	q->seen.dev = q->dev;
	q->seen.ino = q->ino;
	q->seen.size = size;
	return 0;
}

/* No whole first line yet; a file that is not there has no size either. */
static int end_of_nothing(struct queue *q)
{
	struct stat st;

	return end(q, fstat(q->fd, &st) == 0 ? (uint64_t)st.st_size : 0);
}

static int parse(const struct found *f, struct queue_action *a, struct err *err)
{
	if (f->line.nul)
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line has a NUL in it");
	if (f->line.too_long)
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line is longer than %zu octets",
			QUEUE_LINE_MAX);
	if (f->kind == LINE_UNNUMBERED)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"the line has no number yet, it gets one when the queue is next used");
	if (f->kind == LINE_NUMBERED && f->number <= f->floor)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"action %llu stands behind action %llu, and numbers must ascend",
			(unsigned long long)f->number, (unsigned long long)f->floor);
	return queue_action_parse(f->line.text, a, err);
}

static int give(struct queue *q, uint64_t after, const struct found *f, struct queue_action *a,
	struct err *err)
{
	q->given = f->number != 0 ? f->number : after;
	if (parse(f, a, err) == 0)
		return 1;
	*a = (struct queue_action){ .number = f->number, .verb = QUEUE_UNKNOWN };
	return -1;
}

int queue_next(struct queue *q, uint64_t after, struct queue_action *a, struct err *err)
{
	bool is_known = q->at_cursor && queue_lines_ready(&q->cursor);
	uint64_t above = after;
	struct found f;

	if (!is_known && queue_refresh(q, err) < 0)
		return -1;
	for (bool settled = false; q->body > 0; settled = true) {
		above = find_place(q, above);
		int rc = find(q, above, &f, err);
		if (rc < 0)
			return -1;
		bool is_final = !is_unsettled(q, &f, rc) || (rc == 0 && settled);
		if (is_final && rc > 0)
			return give(q, after, &f, a, err);
		go_back(q, &f);
		if (is_final)
			return end(q, f.line.end);
		if (queue_settle(q, err) < 0)
			return -1;
	}
	return end_of_nothing(q);
}
