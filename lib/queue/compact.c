/* Rewriting the file, under the lock: leaving lines out, changing some, giving numbers.
 *
 * The new file grows beside the old one as actions.new, is synced, and takes its name (as in
 * file_replace, but never as a whole in memory). Whoever dies on the way leaves the old file and a
 * neighbour that the next rewriting empties. Octets are copied, not printed anew: a line that this
 * version cannot read comes out as it went in. What stays is gathered as one run from here to there,
 * and copied when something else comes between; as long as nothing does, nothing is written. */
#include "queue/queue_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* rename */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"

#define PIECE ((size_t)64 << 10)

struct choice {
	bool drop;
	struct slice text;  /* goes in the place of ... */
	size_t instead_of;  /* ... so many octets at the beginning of the line; 0: it stays */
};

struct rewrite {
	struct queue *q;
	void (*choose)(void *arg, const struct queue_line *line, struct choice *c);
	/* Not NULL: all lines once more, behind the others. */
	void (*choose_again)(void *arg, const struct queue_line *line, struct choice *c);
	void *arg;
	int (*check)(void *arg, struct err *err); /* NULL, or: may the new file take the name? */
	const char *store_id;
	uint64_t next_number;
	struct slice added; /* lines at the end */

	char *path; /* actions.new */
	int fd;     /* -1: nothing has been different so far */
	struct buf out;
	uint64_t from, to; /* the run that stays and is not copied yet */
	uint64_t end;      /* of the last line */
	bool replaced;     /* the new file has the name */
};

static int cannot_write(const struct rewrite *r, struct err *err)
{
	return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot write \"%s\"", r->path);
}

static int begin(struct rewrite *r, struct err *err)
{
	if (r->fd >= 0)
		return 0;
	r->fd = open(r->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->fd < 0)
		return cannot_write(r, err);
	queue_print_header(r->store_id, r->next_number, &r->out);
	return 0;
}

static int write_out(struct rewrite *r, size_t keep, struct err *err)
{
	if (r->out.len <= keep)
		return 0;
	if (queue_write_all(r->fd, r->out.data, r->out.len) < 0)
		return cannot_write(r, err);
	buf_clear(&r->out);
	return 0;
}

static int copy_run(struct rewrite *r, struct err *err)
{
	while (r->from < r->to) {
		size_t len = r->to - r->from < PIECE ? (size_t)(r->to - r->from) : PIECE;
		ssize_t n = pread(r->q->fd, buf_reserve(&r->out, len), len, (off_t)r->from);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(err, ERR_RETRY, ERR_ACCOUNT, n < 0 ? errno : EIO,
				"cannot read \"%s\"", r->q->path);
		buf_added(&r->out, (size_t)n);
		r->from += (uint64_t)n;
		if (write_out(r, PIECE, err) < 0)
			return -1;
	}
	return 0;
}

/* Comments go with the line below them: they are in the run only if it reaches beyond them. */
static int take_line(struct rewrite *r, const struct queue_line *line, struct err *err)
{
	struct choice c = { 0 };

	r->choose(r->arg, line, &c);
	if (!c.drop && c.instead_of == 0) {
		r->to = line->end;
		return 0;
	}
	if (!c.drop)
		r->to = line->start;
	if (begin(r, err) < 0 || copy_run(r, err) < 0)
		return -1;
	r->from = r->to = line->end;
	if (!c.drop) {
		buf_add_slice(&r->out, c.text);
		r->from = line->start + c.instead_of;
	}
	return 0;
}

static int take_lines(struct rewrite *r, struct err *err)
{
	struct queue_lines lines;
	struct queue_line line;
	int rc;

	queue_lines_init(&lines);
	queue_lines_seek(&lines, r->q->fd, r->q->body);
	while ((rc = queue_lines_next(&lines, &line, err)) > 0) {
		uint64_t number;
		if (queue_line_kind(&line, &number) == LINE_NOTE)
			continue;
		rc = take_line(r, &line, err);
		if (rc < 0)
			break;
	}
	queue_lines_release(&lines);
	if (rc < 0)
		return -1;
	r->end = line.start;
	return 0;
}

static int take_lines_again(struct rewrite *r, struct err *err)
{
	r->from = r->to = r->q->body;
	r->choose = r->choose_again;
	if (take_lines(r, err) < 0)
		return -1;
	return copy_run(r, err);
}

static int take_file(struct rewrite *r, struct err *err)
{
	r->from = r->to = r->q->body;
	if (take_lines(r, err) < 0)
		return -1;
	r->to = r->end; /* comments behind the last line stay */
	if (r->fd < 0)
		return 0;
	if (copy_run(r, err) < 0)
		return -1;
	if (r->choose_again != NULL && take_lines_again(r, err) < 0)
		return -1;
	buf_add_slice(&r->out, r->added);
	return 0;
}

static int replace(struct rewrite *r, struct err *err)
{
	struct queue *q = r->q;

	if (write_out(r, 0, err) < 0)
		return -1;
	if (fsync(r->fd) < 0)
		return cannot_write(r, err);
	point("queue.rewritten");
	if (rename(r->path, q->path) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot replace \"%s\"",
			q->path);
	r->replaced = true;
	point("queue.replaced");
	if (queue_sync_folder(q->state) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot sync \"%s\"",
			q->state);
	uint64_t size;
	if (queue_refresh(q, err) < 0 || queue_survey(q, &size, err) < 0)
		return -1;
	q->durable_end = q->good_end;
	return 0;
}

/* The lock is held and the file has been cut; r says what to do. */
static int rewrite(struct rewrite *r, bool always, struct err *err)
{
	struct queue *q = r->q;
	int rc = 0;

	if (r->next_number > QUEUE_NUMBER_MAX)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" has used up all numbers",
			q->path);
	r->path = mem_printf("%s.new", q->path);
	r->fd = -1;
	buf_init(&r->out, 0);
	if (r->store_id == NULL)
		r->store_id = q->file_store_id;
	if (always)
		rc = begin(r, err);
	if (rc == 0)
		rc = take_file(r, err);
	if (rc == 0 && r->check != NULL)
		rc = r->check(r->arg, err);
	if (rc == 0 && r->fd >= 0)
		rc = replace(r, err);
	if (r->fd >= 0)
		close(r->fd);
	if (rc < 0)
		unlink(r->path);
	buf_release(&r->out);
	free(r->path);
	return rc;
}

/* Numbers for lines that have none. They are the highest, so such lines go behind all others, even if
 * somebody has put them between. What a line is besides does not matter here, it may be as wrong as
 * it likes: with a number it can be held, shown and dropped. */

struct numbering {
	uint64_t next;
	struct buf text;
};

static void choose_numbered(void *arg, const struct queue_line *line, struct choice *c)
{
	uint64_t number;

	(void)arg;
	c->drop = queue_line_kind(line, &number) == LINE_UNNUMBERED;
}

static void choose_unnumbered(void *arg, const struct queue_line *line, struct choice *c)
{
	struct numbering *n = arg;
	uint64_t number;

	c->drop = queue_line_kind(line, &number) != LINE_UNNUMBERED;
	if (c->drop)
		return;
	struct slice rest = { line->text.data + 2, line->text.len - 2 };
	c->instead_of = 2;
	buf_clear(&n->text);
	buf_addf(&n->text, "%llu\t", (unsigned long long)n->next++);
	if (rest.len >= 2 && rest.data[0] == '-' && rest.data[1] == '\t') {
		c->instead_of = 3;
		queue_print_time(time(NULL), &n->text);
	}
	c->text = buf_slice(&n->text);
}

int queue_number_lines(struct queue *q, struct err *err)
{
	uint64_t next = queue_next_number(q);
	struct numbering n = { .next = next - q->unnumbered };
	struct rewrite r = { .q = q, .choose = choose_numbered, .choose_again = choose_unnumbered,
		.arg = &n, .next_number = next };

	buf_init(&n.text, 0);
	int rc = rewrite(&r, false, err);
	buf_release(&n.text);
	return rc;
}

/* Compaction. */

struct keeping {
	bool (*keep)(void *arg, uint64_t number);
	void *arg;
};

static void choose_kept(void *arg, const struct queue_line *line, struct choice *c)
{
	const struct keeping *k = arg;
	uint64_t number;

	if (queue_line_kind(line, &number) == LINE_NUMBERED)
		c->drop = !k->keep(k->arg, number);
	else
		c->drop = line->nul; /* never accepted */
}

/* Actions in others' places. */

struct changing {
	const struct queue_action *changed;
	size_t count, done; /* the first `done` of them */
	struct buf text;
};

static void choose_changed(void *arg, const struct queue_line *line, struct choice *c)
{
	struct changing *ch = arg;
	uint64_t number;

	if (queue_line_kind(line, &number) != LINE_NUMBERED || ch->done == ch->count ||
		number != ch->changed[ch->done].number)
		return;
	buf_clear(&ch->text);
	queue_action_print(&ch->changed[ch->done++], &ch->text);
	c->text = buf_slice(&ch->text);
	c->instead_of = (size_t)(line->end - line->start - 1);
}

/* Before the new file takes the name. */
static int check_changed(void *arg, struct err *err)
{
	const struct changing *ch = arg;

	if (ch->done == ch->count)
		return 0;
	return err_set(err, ERR_USER, ERR_MESSAGE, "action %llu is not there any more",
		(unsigned long long)ch->changed[ch->done].number);
}

static void choose_nothing(void *arg, const struct queue_line *line, struct choice *c)
{
	(void)arg;
	(void)line;
	(void)c;
}

/* Lock, look, rewrite. A file that is not there has nothing to leave out. */
static int rewrite_locked(struct rewrite *r, bool always, struct err *err)
{
	struct queue *q = r->q;
	int lock;

	if (queue_refresh(q, err) < 0)
		return -1;
	if (q->body == 0)
		return 0;
	lock = queue_lock(q, err);
	if (lock < 0)
		return -1;
	int rc = queue_tidy(q, err);
	if (rc == 0 && q->body > 0) {
		r->next_number = queue_next_number(q);
		rc = rewrite(r, always, err);
	}
	file_unlock(lock);
	return rc;
}

int queue_compact(struct queue *q, bool (*keep)(void *arg, uint64_t number), void *arg,
	struct err *err)
{
	struct keeping k = { keep, arg };
	struct rewrite r = { .q = q, .choose = choose_kept, .arg = &k };

	return rewrite_locked(&r, false, err);
}

int queue_adopt(struct queue *q, struct err *err)
{
	struct rewrite r = { .q = q, .choose = choose_nothing, .store_id = q->store_id };

	INVARIANT(q->store_id[0] != '\0');
	return rewrite_locked(&r, true, err);
}

/* The lock is held and the file is tidy. */
static int change(struct queue *q, struct changing *ch, struct queue_action *added, size_t added_count,
	struct err *err)
{
	uint64_t next = queue_next_number(q);
	int64_t now = time(NULL);
	struct rewrite r = { .q = q, .choose = choose_changed, .check = check_changed, .arg = ch };
	struct buf text;
	int rc;

	buf_init(&text, 0);
	rc = queue_print_all(q, added, added_count, next, now, &text, err);
	if (rc == 0) {
		r.next_number = next + added_count;
		r.added = buf_slice(&text);
		rc = rewrite(&r, false, err);
	}
	buf_release(&text);
	if (rc < 0 && !r.replaced)
		return -1;
	queue_fill_in(added, added_count, next, now);
	return rc < 0 ? 1 : 0;
}

static int check_readable(const struct queue_action *changed, size_t count, struct err *err)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, 0);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		buf_clear(&text);
		rc = queue_print_checked(&changed[i], changed[i].number, changed[i].time, &text, err);
	}
	buf_release(&text);
	return rc;
}

int queue_change(struct queue *q, const struct queue_action *changed, size_t changed_count,
	struct queue_action *added, size_t added_count, struct err *err)
{
	struct changing ch = { .changed = changed, .count = changed_count };
	int lock, rc;

	if (changed_count == 0)
		return queue_append(q, added, added_count, err);
	if (check_readable(changed, changed_count, err) < 0)
		return -1;
	buf_init(&ch.text, 0);
	lock = queue_lock(q, err);
	if (lock < 0)
		return -1;
	rc = queue_tidy(q, err);
	if (rc == 0 && q->body == 0)
		rc = check_changed(&ch, err);
	else if (rc == 0)
		rc = change(q, &ch, added, added_count, err);
	file_unlock(lock);
	buf_release(&ch.text);
	return rc;
}
