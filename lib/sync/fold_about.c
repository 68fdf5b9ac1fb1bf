/* Fold: lines about other actions. They are retried or dropped, by their numbers; what was edited is read
 * once more.
 *
 * What needs an edited action fails when that is dropped to be made anew, and may fit it as before, or not:
 * so it is read again, too, and checked as a new line is. All are dropped before the first is read, so that
 * none is checked against what is not to be done any more. */
#include <stdlib.h>

#include "sync/actions.h"

struct about {
	struct sync *s;
	const struct queue_action *line;
	struct queue *file; /* read once more, in order; NULL before the first */
	struct rearm *rearm;
	uint64_t *edited; /* ascending */
	size_t edited_count;
};

/* Each of "3,4,17" that has a line. */
static void each_named(struct about *o, void (*act)(struct about *o, uint64_t number))
{
	const char *text = queue_action_get(o->line, "action");
	char *end;

	while (text && *text) {
		uint64_t number = strtoull(text, &end, 10);
		if (end == text)
			return;
		if (number > 0 && number < o->line->number)
			act(o, number);
		text = *end == ',' ? end + 1 : end;
	}
}

static void drop(struct about *o, uint64_t number)
{
	struct store_action a;
	bool known;

	store_action_init(&a);
	known = store_action_get(o->s->store, number, &a);
	if (known && a.state == STORE_ACTION_INTENT && !queue_action_get(o->line, "force"))
		account_note(o->s, SYNC_WARNING, NULL,
			"action %llu is not dropped: it may have been sent already, which the next sync finds out",
			(unsigned long long)number);
	else if (known)
		settle_drop(o->s, number);
	if (known && a.verb == QUEUE_RENAME)
		fold_names_load(o->s);
	store_action_release(&a);
}

/* The line of that number: 1 with *line to be released, 0 there is none (now), -1 it cannot be read still. */
static int find_line(struct about *o, uint64_t number, struct queue_action *line, struct err *err)
{
	struct sync *s = o->s;
	int rc;

	if (!o->file)
		o->file = queue_open(s->account->state, store_id(s->store), true, err);
	if (!o->file)
		return 0;
	while ((rc = queue_next(o->file, number - 1, line, err)) < 0 && err->scope == ERR_MESSAGE) {
		if (line->number >= number)
			return line->number == number ? -1 : 0;
	}
	if (rc == 1 && line->number != number)
		queue_action_release(line);
	return rc == 1 && line->number == number;
}

/* Its line is read once more: it was changed, or there was nothing of it but the reason why not. What is still
 * no action stays held: nobody but the user takes a line out of the file. */
static void fold_again(struct about *o, uint64_t number)
{
	struct queue_action line;
	struct err err = { 0 };
	int rc = find_line(o, number, &line, &err);

	if (rc < 0)
		fold_refuse(o->s, number, QUEUE_UNKNOWN, STORE_ACTION_HELD, err.text);
	if (rc <= 0)
		return;
	settle_drop(o->s, number);
	fold_line(o->s, &line);
	queue_action_release(&line);
}

/* Edited lines */

static void add_edited(struct about *o, uint64_t number)
{
	size_t n = o->edited_count;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		o->edited = mem_grow(o->edited, n > 0 ? 2 * n : 1, sizeof *o->edited);
	o->edited[o->edited_count++] = number;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort(uint64_t *numbers, size_t count)
{
	if (count > 0)
		qsort(numbers, count, sizeof *numbers, by_number);
}

static bool has(const uint64_t *numbers, size_t count, uint64_t number)
{
	return count > 0 && bsearch(&number, numbers, count, sizeof number, by_number);
}

/* The last comes first: none has to fail because one before it, which is edited as well, is not there. */
static void drop_edited(struct about *o)
{
	sort(o->edited, o->edited_count);
	o->s->folding_again = true;
	for (size_t i = o->edited_count; i-- > 0;)
		settle_drop(o->s, o->edited[i]);
	o->s->folding_again = false;
}

/* What has failed because of those: what is blocked comes behind what blocks it, so one pass finds all. */
static void add_blocked(struct about *o)
{
	struct store_action a;
	size_t count = o->edited_count;
	uint64_t at = o->edited[0];

	store_action_init(&a);
	while (store_action_next(o->s->store, at, &a)) {
		at = a.number;
		if (a.state == STORE_ACTION_FAILED && (has(o->edited, count, a.blocked_by) ||
			has(o->edited + count, o->edited_count - count, a.blocked_by)))
			add_edited(o, at);
	}
	store_action_release(&a);
	sort(o->edited, o->edited_count);
}

/* Is it of a mailbox that no action makes any more? */
static bool lacks_mailbox(struct sync *s, uint32_t mailbox)
{
	const struct box *box = box_by_id(s, mailbox);
	struct store_action a;
	bool made = !box || !(box->rec.state & STORE_MAILBOX_HERE);

	store_action_init(&a);
	for (uint64_t at = 0; !made && store_action_next(s->store, at, &a); at = a.number)
		made = a.verb == QUEUE_CREATE && a.mailbox == mailbox && a.state == STORE_ACTION_WAITING;
	store_action_release(&a);
	return !made;
}

/* One that is left as it is has not been told yet. */
static void fold_edited(struct about *o, uint64_t number)
{
	struct store_action a;
	bool blocked;

	store_action_init(&a);
	blocked = store_action_get(o->s->store, number, &a);
	if (blocked && (settle_lacks_message(o->s, number) || lacks_mailbox(o->s, a.mailbox) ||
		lacks_mailbox(o->s, a.to)))
		settle_over(o->s, number);
	else
		fold_again(o, number);
	store_action_release(&a);
}

static void fold_all_edited(struct about *o)
{
	if (o->edited_count == 0)
		return;
	drop_edited(o);
	add_blocked(o);
	fold_names_load(o->s);
	for (size_t i = 0; i < o->edited_count; i++)
		fold_edited(o, o->edited[i]);
	free(o->edited);
}

/* Lines */

static void retry(struct about *o, uint64_t number)
{
	struct store_action a;
	bool known = store_part_count(o->s->store, number) > 0;

	store_action_init(&a);
	if (store_action_get(o->s->store, number, &a) && a.state != STORE_ACTION_INTENT) {
		if (queue_action_get(o->line, "edited"))
			add_edited(o, number);
		else if (!known && a.mailbox == 0)
			fold_again(o, number);
		else
			settle_rearm_add(o->rearm, number);
	}
	store_action_release(&a);
}

void fold_about(struct sync *s, const struct queue_action *line)
{
	struct about o = { .s = s, .line = line, .rearm = settle_rearm_new(s) };

	each_named(&o, line->verb == QUEUE_RETRY ? retry : drop);
	fold_all_edited(&o);
	settle_rearm_end(o.rearm);
	if (line->verb == QUEUE_RETRY)
		fold_names_load(s); /* a renaming may wait again */
	queue_close(o.file);
}
