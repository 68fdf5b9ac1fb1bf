/* WHICH: UIDs and ranges of them, local numbers, or appends of the queue become messages. A range is
 * resolved now, to the messages that are here now: it never reaches what arrives later (R17). */
#include <stdlib.h>
#include <string.h>

#include "base/uids.h"
#include "queue.h"

struct which {
	const struct actions *q;
	struct queue_action *action;
	struct store_mailbox box;
	struct uids uids;
	struct uids single; /* those that were not named by a range */
};

static int refuse(struct err *err, const char *why, struct slice part)
{
	return err_set(err, ERR_USER, ERR_MESSAGE, "\"%.*s\" %s",
		(int)(part.len < 60 ? part.len : 60), part.data, why);
}

static bool read_number(struct slice text, uint64_t *number)
{
	uint64_t n = 0;

	if (text.len == 0 || text.len > 18 || text.data[0] == '0')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	*number = n;
	return true;
}

static int add(struct which *w, struct queue_message *m, struct err *err)
{
	if (w->action->message_count == QUEUE_MESSAGES_MAX)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"more than %d messages in one action; make it several", QUEUE_MESSAGES_MAX);
	queue_action_add_message(w->action, m);
	return 0;
}

static int add_named(struct which *w, struct slice part, struct err *err)
{
	struct slice digits = { part.data + 1, part.len - 1 };
	struct queue_message m = { 0 };
	uint64_t number;

	if (!read_number(digits, &number))
		return refuse(err, part.data[0] == 'm' ? "is no local number; they look like m4711" :
			"names no action; it would look like @17", part);
	if (part.data[0] == 'm')
		m.number = number;
	else
		m.action = number;
	if (known_message_in(w->q, &m, w->action, &w->box, err) < 0)
		return -1;
	return add(w, &m, err);
}

static uint64_t count_known(const struct which *w, const struct uids *set)
{
	const struct uid_range *r = &set->ranges[0];

	return w->box.id ? store_count_uids(w->q->store, w->box.id, r->first, r->last) : 0;
}

static int take_uids(struct which *w, struct slice part, struct err *err)
{
	struct uids set;
	int rc = 0;

	if (memchr(part.data, '*', part.len))
		return refuse(err, "would reach mail that you have not seen: name the last UID in "
			"place of \"*\"", part);
	uids_init(&set);
	if (uids_parse(&set, part, 1) < 0)
		rc = refuse(err, "is neither UIDs (7 or 7:9), local numbers (m4711) nor an append (@17)",
			part);
	else if (count_known(w, &set) == 0)
		rc = err_set(err, ERR_USER, ERR_MESSAGE, "no message with the UID %.*s is known in \"%s\"; "
			"\"mailtide ls %s MAILBOX\" shows those that are", (int)part.len, part.data,
			w->action->mailbox, w->q->account->name);
	else
		uids_add_all(&w->uids, &set);
	if (rc == 0 && set.ranges[0].first == set.ranges[0].last)
		uids_add(&w->single, set.ranges[0].first);
	uids_release(&set);
	return rc;
}

static int take_part(struct which *w, struct slice part, struct err *err)
{
	if (part.len == 0)
		return err_set(err, ERR_USER, ERR_MESSAGE, "there is a comma too much in what names the "
			"messages");
	if (part.data[0] == 'm' || part.data[0] == '@')
		return add_named(w, part, err);
	return take_uids(w, part, err);
}

static int take_parts(struct which *w, const char *which, struct err *err)
{
	for (;;) {
		size_t len = strcspn(which, ",");
		if (take_part(w, (struct slice){ which, len }, err) < 0)
			return -1;
		if (!which[len])
			return 0;
		which += len + 1;
	}
}

/* A message that is moved away or expunged by what is queued is a hole in a range, as one that is not
 * there; named by itself it is a mistake. */
static int add_stored(struct which *w, const struct store_message *at, struct err *err)
{
	struct queue_message m = { .number = at->number };

	if (known_stored_in(w->q, at, &m, w->action, &w->box, err) == 0)
		return add(w, &m, err);
	return uids_has(&w->single, at->uid) ? -1 : 0;
}

static int add_range(struct which *w, const struct uid_range *r, struct err *err)
{
	struct store_message at;
	uint32_t uid = r->first - 1;
	int rc = 0;

	store_message_init(&at);
	while (rc == 0 && uid < r->last && store_message_next(w->q->store, w->box.id, uid, &at) &&
		at.uid <= r->last) {
		uid = at.uid;
		rc = add_stored(w, &at, err);
	}
	store_message_release(&at);
	return rc;
}

static int add_uids(struct which *w, struct err *err)
{
	for (size_t i = 0; i < w->uids.count; i++)
		if (add_range(w, &w->uids.ranges[i], err) < 0)
			return -1;
	if (w->action->message_count == 0)
		return err_set(err, ERR_USER, ERR_MESSAGE, "what is queued leaves none of them in \"%s\"",
			w->action->mailbox);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct queue_message *x = a, *y = b;

	if (x->action != y->action)
		return x->action < y->action ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* "m7,7" may be one message: an action names each once. */
void which_sort(struct queue_action *a)
{
	size_t kept = 0;

	if (a->message_count > 1)
		qsort(a->messages, a->message_count, sizeof *a->messages, compare);
	for (size_t i = 0; i < a->message_count; i++)
		if (kept == 0 || compare(&a->messages[kept - 1], &a->messages[i]) != 0)
			a->messages[kept++] = a->messages[i];
	a->message_count = kept;
}

int which_resolve(const struct actions *q, const char *which, struct queue_action *a,
	struct err *err)
{
	struct which w = { .q = q, .action = a };
	int rc;

	if (!known_mailbox(q, a->mailbox, &w.box))
		return 0; /* queue_check tells */
	uids_init(&w.uids);
	uids_init(&w.single);
	rc = take_parts(&w, which, err);
	if (rc == 0)
		rc = add_uids(&w, err);
	if (rc == 0)
		which_sort(a);
	uids_release(&w.uids);
	uids_release(&w.single);
	store_mailbox_release(&w.box);
	return rc;
}
