/* mailtide queue edit, the way back: the text becomes changed, dropped and new actions, each is checked
 * against what will be in the queue before it once the edit is done, and all of them go into the file in
 * one step. */
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "queue_edit.h"

/* The text */

static int by_number(const void *number, const void *original)
{
	uint64_t x = *(const uint64_t *)number, y = ((const struct original *)original)->number;

	return x < y ? -1 : x > y;
}

/* NULL: there is none. */
static struct original *find_original(const struct editing *e, uint64_t number)
{
	return e->original_count == 0 ? NULL :
		bsearch(&number, e->originals, e->original_count, sizeof *e->originals, by_number);
}

static void add_new(struct editing *e, const struct text_line *line)
{
	size_t n = e->added_count;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		e->added = mem_grow(e->added, n > 0 ? 2 * n : 1, sizeof *e->added);
	e->added[e->added_count++] = *line;
}

/* line->a moves into the lists, but on -1. */
static int take_action(struct editing *e, struct text_line *line, struct slice text, struct err *err)
{
	uint64_t number = line->a.number;
	struct original *o = number ? find_original(e, number) : NULL;

	if (number && !o)
		return err_set(err, ERR_USER, ERR_MESSAGE, "there was no action %llu in this text; a new one "
			"begins with \"-\"", (unsigned long long)number);
	if (o && o->seen)
		return err_set(err, ERR_USER, ERR_MESSAGE, "action %llu is there twice",
			(unsigned long long)number);
	if (!o) {
		add_new(e, line);
		return 0;
	}
	o->seen = true;
	o->changed = !slice_is(text, o->line);
	if (o->changed)
		o->now = *line;
	else
		queue_action_release(&line->a);
	return 0;
}

static int take_line(struct editing *e, struct slice text, unsigned long at, struct err *err)
{
	struct text_line line = { .at = at };

	if (text.len == 0 || text.data[0] == '#')
		return 0;
	if (memchr(text.data, '\0', text.len))
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line has a NUL in it");
	if (queue_action_parse(text, &line.a, err) < 0)
		return -1;
	if (take_action(e, &line, text, err) == 0)
		return 0;
	queue_action_release(&line.a);
	return -1;
}

static int take_lines(struct editing *e, struct slice text, struct err *err)
{
	for (unsigned long at = 1; text.len > 0; at++) {
		const char *end = memchr(text.data, '\n', text.len);
		size_t len = end ? (size_t)(end - text.data) : text.len;
		if (take_line(e, (struct slice){ text.data, len }, at, err) < 0)
			return err_prefix(err, "line %lu", at);
		len += end != NULL;
		text = (struct slice){ text.data + len, text.len - len };
	}
	return 0;
}

/* Each action, against what will be in the queue before it */

static bool is_edited(const struct original *o)
{
	return !o->seen || o->changed;
}

/* What was sent or done while somebody typed is not to be changed any more. */
static int check_original(struct editing *e, const struct original *o, struct err *err)
{
	struct store_action rec;
	int rc = 0;

	store_action_init(&rec);
	if (store_action_get(e->q.store, o->number, &rec))
		rc = rec.state != STORE_ACTION_INTENT ? 0 : err_set(err, ERR_USER, ERR_MESSAGE,
			"action %llu is being sent now", (unsigned long long)o->number);
	else if (o->number <= e->q.folded)
		rc = err_set(err, ERR_USER, ERR_MESSAGE, "action %llu was done meanwhile",
			(unsigned long long)o->number);
	store_action_release(&rec);
	return rc;
}

static int check_originals(struct editing *e, struct err *err)
{
	size_t n = 0;

	e->edited = mem_new((e->original_count + 1) * sizeof *e->edited);
	for (size_t i = 0; i < e->original_count; i++) {
		const struct original *o = &e->originals[i];
		if (!is_edited(o))
			continue;
		if (check_original(e, o, err) < 0)
			return -1;
		e->edited[n++] = o->number;
	}
	e->q.edited = e->edited;
	e->q.edited_count = n;
	return 0;
}

static int check_line(struct editing *e, struct text_line *line, struct err *err)
{
	e->q.before = line->a.number;
	if (queue_check(&e->q, &line->a, err) < 0)
		return err_prefix(err, "line %lu", line->at);
	known_add(&e->q, &line->a);
	return 0;
}

static int unmake(struct editing *e, struct queue_action *a, struct err *err)
{
	(void)err;
	known_unmake(&e->q, a);
	return 0;
}

static int check_in_file(struct editing *e, struct queue_action *a, struct err *err)
{
	struct original *o = find_original(e, a->number);

	if (o && o->changed)
		return check_line(e, &o->now, err);
	if (!o || o->seen)
		known_add_unchanged(&e->q, a);
	return 0;
}

/* Each line of the file, which also has those that others have added meanwhile. */
static int each_in_file(struct editing *e, int (*take)(struct editing *e, struct queue_action *a, struct err *err),
	struct err *err)
{
	struct queue_action a;
	uint64_t after = 0;
	int rc;

	while ((rc = queue_next(e->q.queue, after, &a, err)) != 0) {
		if (rc < 0 && err->scope != ERR_MESSAGE)
			return -1;
		after = a.number ? a.number : after;
		rc = rc > 0 ? take(e, &a, err) : 0;
		queue_action_release(&a);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int check_all(struct editing *e, struct err *err)
{
	known_release(&e->q);
	if (each_in_file(e, unmake, err) < 0 || each_in_file(e, check_in_file, err) < 0)
		return -1;
	for (size_t i = 0; i < e->added_count; i++)
		if (check_line(e, &e->added[i], err) < 0)
			return -1;
	return 0;
}

int edited_read(struct editing *e, struct slice text, struct err *err)
{
	if (text.len == 0)
		return err_set(err, ERR_USER, ERR_MESSAGE, "the text is empty; to drop all actions leave its "
			"first line");
	if (take_lines(e, text, err) < 0 || check_originals(e, err) < 0)
		return -1;
	return check_all(e, err);
}

/* Into the file */

static bool is_changed(const struct original *o)
{
	return o->changed;
}

static bool is_dropped(const struct original *o)
{
	return !o->seen;
}

/* One line for all of them; false: there is none. */
static bool make_about(const struct editing *e, enum queue_verb verb, bool (*is_named)(const struct original *o),
	struct queue_action *a)
{
	struct buf numbers;

	buf_init(&numbers, 0);
	for (size_t i = 0; i < e->original_count; i++)
		if (is_named(&e->originals[i]))
			buf_addf(&numbers, "%s%llu", numbers.len ? "," : "",
				(unsigned long long)e->originals[i].number);
	bool any = numbers.len > 0;
	if (any) {
		queue_action_init(a, verb, "");
		queue_action_set(a, "action", buf_str(&numbers));
	}
	if (any && verb == QUEUE_RETRY)
		queue_action_set(a, "edited", "yes"); /* its line is to be read again */
	buf_release(&numbers);
	return any;
}

/* What is to be appended. Those that are dropped first, so that what is changed may take their place, and
 * the new ones last: they may need what is changed. The first *abouts of them are made here. */
static struct queue_action *make_appends(const struct editing *e, size_t *abouts, size_t *count)
{
	struct queue_action *list = mem_new((e->added_count + 2) * sizeof *list);

	*abouts = make_about(e, QUEUE_DROP, is_dropped, list);
	*abouts += make_about(e, QUEUE_RETRY, is_changed, list + *abouts);
	*count = *abouts;
	for (size_t i = 0; i < e->added_count; i++)
		list[(*count)++] = e->added[i].a;
	return list;
}

static struct queue_action *make_changes(const struct editing *e, size_t *count)
{
	struct queue_action *list = mem_new((e->original_count + 1) * sizeof *list);

	*count = 0;
	for (size_t i = 0; i < e->original_count; i++)
		if (e->originals[i].changed)
			list[(*count)++] = e->originals[i].now.a;
	return list;
}

int edited_put(struct editing *e, int *status, struct err *err)
{
	size_t abouts, append_count, change_count;
	struct queue_action *changes = make_changes(e, &change_count);
	struct queue_action *appends = make_appends(e, &abouts, &append_count);
	int rc = queue_change(e->q.queue, changes, change_count, appends, append_count, err);

	if (rc == 0 && append_count > 0)
		*status = actions_accepted(&e->q, appends, append_count, true, NULL);
	else if (rc == 0 && output_tells_success())
		output_line("%s: nothing is changed", e->q.account->name);
	for (size_t i = 0; i < abouts; i++)
		queue_action_release(&appends[i]);
	free(appends);
	free(changes);
	return rc;
}

void edited_release(struct editing *e)
{
	for (size_t i = 0; i < e->original_count; i++) {
		free(e->originals[i].line);
		queue_action_release(&e->originals[i].now.a);
	}
	for (size_t i = 0; i < e->added_count; i++)
		queue_action_release(&e->added[i].a);
	free(e->originals);
	free(e->added);
	free(e->edited);
}
