/* Fold: lines about other actions. They are retried or dropped, by their numbers; what was edited is read
 * once more. */
#include <stdlib.h>

#include "sync/actions.h"

struct about {
	struct sync *s;
	const struct queue_action *line;
	struct queue *file; /* read once more, in order; NULL before the first */
	struct rearm *rearm;
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

static void retry(struct about *o, uint64_t number)
{
	struct store_action a;
	bool known = store_part_count(o->s->store, number) > 0;

	store_action_init(&a);
	if (store_action_get(o->s->store, number, &a) && a.state != STORE_ACTION_INTENT) {
		if (queue_action_get(o->line, "edited") || (!known && a.mailbox == 0))
			fold_again(o, number);
		else
			settle_rearm_add(o->rearm, number);
	}
	store_action_release(&a);
}

void fold_about(struct sync *s, const struct queue_action *line)
{
	struct about o = { s, line, NULL, settle_rearm_new(s) };

	each_named(&o, line->verb == QUEUE_RETRY ? retry : drop);
	settle_rearm_end(o.rearm);
	queue_close(o.file);
}
