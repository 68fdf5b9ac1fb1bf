/* What the files of this folder share. */
#ifndef QUEUE_QUEUE_PRIVATE_H
#define QUEUE_QUEUE_PRIVATE_H

#include <sys/types.h>

#include "queue/queue.h"

/* lines.c: a buffered pass over a file, line by line. */

struct queue_line {
	struct slice text;   /* without LF; until the next call. Only its beginning where too_long */
	uint64_t start, end; /* in the file, LF included */
	bool nul;            /* a NUL is in it: never accepted */
	bool too_long;       /* over QUEUE_LINE_MAX */
};

struct queue_lines {
	int fd;
	uint64_t offset; /* of buf's first octet in the file */
	uint64_t next;   /* where the next line begins */
	struct buf buf;
};
void queue_lines_init(struct queue_lines *l);
void queue_lines_release(struct queue_lines *l);
/* Begins at `offset`, and forgets what was read ahead. */
void queue_lines_seek(struct queue_lines *l, int fd, uint64_t offset);
/* 1 a whole line; 0 no more of them, *line.start to *line.end is what follows the last LF; -1. */
int queue_lines_next(struct queue_lines *l, struct queue_line *line, struct err *err);
/* Is the next line in memory already? */
bool queue_lines_ready(const struct queue_lines *l);

enum queue_line_kind {
	LINE_NOTE,       /* empty, or a comment */
	LINE_NUMBERED,   /* begins with a number; the rest may be anything */
	LINE_UNNUMBERED, /* begins with "-" in its place */
	LINE_NAMELESS,   /* begins with neither */
};
enum queue_line_kind queue_line_kind(const struct queue_line *line, uint64_t *number);

/* action.c */

/* Decimal digits without leading zeros, nothing else. */
bool queue_read_number(struct slice text, uint64_t max, uint64_t *number);
/* The line of *a as if it had this number and this time. */
void queue_print_as(const struct queue_action *a, uint64_t number, int64_t time, struct buf *line);
void queue_print_time(int64_t time, struct buf *out);

/* file.c: which file it is, and what is known of it. */

struct queue {
	char *state, *path, *store_id;
	bool read_only;
	int fd; /* -1: there is no file */
	dev_t dev;
	ino_t ino;

	char *file_store_id; /* "" until the file has a first line */
	uint64_t body;       /* where the lines behind the first begin */
	uint64_t header_number, used;

	/* What has been looked at, to know the next number and what to cut. */
	uint64_t good_end; /* behind the last whole line without NUL */
	uint64_t highest;
	uint64_t unnumbered;
	uint64_t durable_end;

	/* Where queue_next stands: `given` is what it gave last, `floor` the highest number passed. */
	struct queue_lines cursor;
	bool at_cursor;
	uint64_t given, floor;
	struct {
		dev_t dev;
		ino_t ino;
		uint64_t size;
	} seen; /* the file when its end was given */

	int bodies_lock; /* -1: not held */
};
/* Makes q->fd the file that has the name now, and its first line known. */
int queue_refresh(struct queue *q, struct err *err);
/* Looks at what follows good_end; *size is that of the file. */
int queue_survey(struct queue *q, uint64_t *size, struct err *err);
void queue_print_header(const char *store_id, uint64_t next, struct buf *out);
int queue_sync_folder(const char *folder);
int queue_write_all(int fd, const void *data, size_t len);

/* append.c */

/* STATE/actions.lock, waited for. -1: *err. */
int queue_lock(struct queue *q, struct err *err);
/* Under the lock: cuts what was never accepted, and numbers what has no number. */
int queue_tidy(struct queue *q, struct err *err);
/* The line of *a, with its LF. -1: it could not be read back. */
int queue_print_checked(const struct queue_action *a, uint64_t number, int64_t time, struct buf *text,
	struct err *err);
/* Those that are to be appended: with the numbers from `next` on, and `now` where they have no time. */
int queue_print_all(struct queue *q, const struct queue_action *actions, size_t count, uint64_t next,
	int64_t now, struct buf *text, struct err *err);
/* The same numbers and times into the actions, once they are accepted. */
void queue_fill_in(struct queue_action *actions, size_t count, uint64_t next, int64_t now);
/* Takes the lock, tidies, and makes the whole file durable. */
int queue_settle(struct queue *q, struct err *err);

/* compact.c */

/* Under the lock: gives each line without a number the next one. */
int queue_number_lines(struct queue *q, struct err *err);

#endif
