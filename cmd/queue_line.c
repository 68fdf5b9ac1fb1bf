/* How an action is told to people: its state, what it does, and why it is not done. */
#include <stdio.h>

#include "output.h"
#include "queue.h"

#define MESSAGES_TOLD 3

const char *queue_state_name(const struct store_action *rec)
{
	static const char *const names[] = {
		[STORE_ACTION_WAITING] = "waiting",
		[STORE_ACTION_INTENT] = "sending",
		[STORE_ACTION_FAILED] = "failed",
		[STORE_ACTION_HELD] = "held",
		[STORE_ACTION_UNKNOWN] = "unknown",
		[STORE_ACTION_LOCAL] = "local",
	};

	return rec ? names[rec->state] : "new";
}

void queue_name_message(const struct queue_message *m, char out[24])
{
	snprintf(out, 24, "%c%llu", m->action ? '@' : 'm',
		(unsigned long long)(m->action ? m->action : m->number));
}

static void add_word(struct buf *out, const char *word)
{
	if (out->len > 0)
		buf_add_char(out, ' ');
	output_visible(out, slice_of(word));
}

static void add_messages(const struct queue_action *a, struct buf *out)
{
	char name[24];

	for (size_t i = 0; i < a->message_count && i < MESSAGES_TOLD; i++) {
		queue_name_message(&a->messages[i], name);
		buf_addf(out, "%s%s", i > 0 ? "," : "", name);
	}
	if (a->message_count > MESSAGES_TOLD)
		buf_addf(out, " and %zu more", a->message_count - MESSAGES_TOLD);
}

/* Each flag of the list with its sign; "" for none. */
static void add_flags(const struct queue_action *a, const char *key, const char *sign,
	struct buf *out)
{
	const char *at = queue_action_get(a, key);

	while (at && *(at += strspn(at, " "))) {
		size_t len = strcspn(at, " ");
		buf_addf(out, "%s%s", out->len > 0 ? " " : "", sign);
		output_visible(out, (struct slice){ at, len });
		at += len;
	}
}

static void add_to(const struct queue_action *a, struct buf *out)
{
	const char *to = queue_action_get(a, "to");

	add_word(out, "to");
	add_word(out, to ? to : "");
}

static void add_upload(const struct queue_action *a, const struct store_action *rec, struct buf *out)
{
	const char *file = queue_action_get(a, "file");
	char size[24];

	if (rec && rec->size) {
		output_size(rec->size, size);
		add_word(out, size);
	} else if (file) {
		add_word(out, file);
	}
	add_flags(a, "flags", "", out);
}

void queue_describe(const struct queue_action *a, const struct store_action *rec, struct buf *out)
{
	const char *of = queue_action_get(a, "action");

	add_messages(a, out);
	if (a->verb == QUEUE_FLAG) {
		add_flags(a, "add", "+", out);
		add_flags(a, "remove", "-", out);
	} else if (a->verb == QUEUE_COPY || a->verb == QUEUE_MOVE || a->verb == QUEUE_RENAME) {
		add_to(a, out);
	} else if (a->verb == QUEUE_APPEND) {
		add_upload(a, rec, out);
	} else if (a->verb == QUEUE_DELETE && queue_action_get(a, "force")) {
		add_word(out, "--force");
	} else if (of) {
		add_word(out, of);
	}
}

void queue_explain(const struct store_action *rec, struct buf *out)
{
	if (!rec)
		return;
	if (rec->reason)
		output_visible(out, slice_of(rec->reason));
	else if (rec->blocked_by)
		buf_addf(out, "action %llu, on which it depends, has failed",
			(unsigned long long)rec->blocked_by);
	else if (rec->state == STORE_ACTION_WAITING && rec->attempts > 0)
		buf_addf(out, "the connection was lost with it %u times", (unsigned)rec->attempts);
}
