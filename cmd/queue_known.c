/* Mailboxes and messages as they will be once the queue is done: what the store says, and on top of
 * it the lines that it has not taken up yet. The latest line decides, so they are walked backwards. */
#include <stdlib.h>
#include <string.h>

#include "queue.h"
#include "sync/sync.h"

/* Lines */

static void add_mailbox(struct actions *q, enum queue_verb verb, const char *name, const char *to)
{
	q->mailboxes = mem_grow(q->mailboxes, q->mailbox_count + 1, sizeof *q->mailboxes);
	q->mailboxes[q->mailbox_count++] =
		(struct known_mailbox){ verb, mem_copy(name), to ? mem_copy(to) : NULL };
}

static void add_place(struct actions *q, uint64_t number, uint64_t action, const char *mailbox)
{
	size_t n = q->place_count;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		q->places = mem_grow(q->places, n > 0 ? 2 * n : 1, sizeof *q->places);
	q->places[q->place_count++] = (struct known_place){ number, action, mem_copy(mailbox) };
}

void known_add(struct actions *q, const struct queue_action *a)
{
	const char *to = queue_action_get(a, "to");

	switch (a->verb) {
	case QUEUE_CREATE:
	case QUEUE_DELETE:
		add_mailbox(q, a->verb, a->mailbox, NULL);
		break;
	case QUEUE_RENAME:
		if (to)
			add_mailbox(q, a->verb, a->mailbox, to);
		break;
	case QUEUE_APPEND:
		if (a->number)
			add_place(q, 0, a->number, a->mailbox);
		break;
	case QUEUE_MOVE:
		for (size_t i = 0; to && i < a->message_count; i++)
			add_place(q, a->messages[i].number, a->messages[i].action, to);
		break;
	default:
		break;
	}
}

static int read_lines(struct actions *q, struct queue *file, struct err *err)
{
	struct queue_action a;
	uint64_t after = q->folded;
	int rc;

	while ((rc = queue_next(file, after, &a, err)) != 0) {
		if (rc < 0 && err->scope != ERR_MESSAGE)
			return -1;
		after = a.number ? a.number : after;
		if (rc > 0)
			known_add(q, &a);
		queue_action_release(&a);
	}
	return 0;
}

int known_read(struct actions *q, struct err *err)
{
	struct queue *file = queue_open(q->account->state, store_id(q->store), true, err);
	int rc = file ? read_lines(q, file, err) : -1;

	queue_close(file);
	return rc;
}

void known_release(struct actions *q)
{
	for (size_t i = 0; i < q->mailbox_count; i++) {
		free(q->mailboxes[i].name);
		free(q->mailboxes[i].to);
	}
	for (size_t i = 0; i < q->place_count; i++)
		free(q->places[i].mailbox);
	free(q->mailboxes);
	free(q->places);
	q->mailboxes = NULL;
	q->places = NULL;
	q->mailbox_count = q->place_count = 0;
}

/* Mailboxes */

/* What follows `top` in a name that is `top` or below it; NULL for another. */
static const char *rest_below(const struct actions *q, const char *name, const char *top)
{
	size_t len = strlen(top);

	if (strncmp(name, top, len) != 0)
		return NULL;
	return !name[len] || (q->delimiter && name[len] == q->delimiter) ? name + len : NULL;
}

/* The name that it has in the store, to be freed; NULL: it has none there. *made: a line creates it. */
static char *name_in_store(const struct actions *q, const char *name, bool *made)
{
	char *at = mem_copy(name);

	*made = false;
	for (size_t i = q->mailbox_count; at && i-- > 0;) {
		const struct known_mailbox *k = &q->mailboxes[i];
		const char *rest = k->verb == QUEUE_RENAME ? rest_below(q, at, k->to) : NULL;
		char *before = NULL;

		if (k->verb == QUEUE_CREATE) {
			*made = *made || strcmp(at, k->name) == 0;
			continue;
		}
		if (rest)
			before = mem_printf("%s%s", k->name, rest);
		else if (k->verb == QUEUE_RENAME ? !rest_below(q, at, k->name) : strcmp(at, k->name) != 0)
			continue;
		free(at);
		at = *made ? NULL : before;
		if (*made)
			free(before);
	}
	return at;
}

bool known_mailbox(const struct actions *q, const char *name, struct store_mailbox *box)
{
	bool made;
	char *stored = name_in_store(q, name, &made);
	bool found = stored && store_mailbox_find(q->store, stored, box);

	free(stored);
	if (found && (box->state & STORE_MAILBOX_GONE) && !(box->state & STORE_MAILBOX_HERE)) {
		store_mailbox_release(box);
		found = false;
	}
	if (!found)
		*box = (struct store_mailbox){ 0 };
	return found || made;
}

/* Messages */

static bool is_same(const struct known_place *p, const struct queue_message *m)
{
	return p->number == m->number && p->action == m->action;
}

/* Some line brings it to the mailbox, or at all where that is NULL. */
static bool is_brought(const struct actions *q, const struct queue_message *m, const char *mailbox)
{
	for (size_t i = q->place_count; i-- > 0;)
		if (is_same(&q->places[i], m) && (!mailbox || strcmp(q->places[i].mailbox, mailbox) == 0))
			return true;
	return false;
}

int known_message(const struct actions *q, struct queue_message *m, struct err *err)
{
	uint64_t number;

	if (!m->action || is_brought(q, m, NULL))
		return 0;
	number = sync_made_by(q->store, m->action);
	if (number == 0)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"\"@%llu\" is no append in the queue; \"mailtide queue %s\" lists what is",
			(unsigned long long)m->action, q->account->name);
	*m = (struct queue_message){ .number = number };
	return 0;
}

static bool is_moved_by(struct store *store, uint64_t action, uint32_t mailbox)
{
	struct store_action a;
	bool is;

	store_action_init(&a);
	is = store_action_get(store, action, &a) && a.verb == QUEUE_MOVE && a.to == mailbox;
	store_action_release(&a);
	return is;
}

/* A move that the store has taken up, of a message that is not shown. */
static bool is_moving(struct store *store, uint64_t number, uint32_t mailbox)
{
	for (uint64_t action = 0; store_pending_next(store, number, action, &action);)
		if (is_moved_by(store, action, mailbox))
			return true;
	return false;
}

static int elsewhere(const struct actions *q, const struct store_message *at, const char *mailbox,
	struct err *err)
{
	struct store_mailbox other;
	bool shown = at->state & STORE_SHOWN;

	if (!store_mailbox_get(q->store, shown ? at->shown_mailbox : at->mailbox, &other))
		return err_set(err, ERR_USER, ERR_MESSAGE, "m%llu is not in \"%s\"",
			(unsigned long long)at->number, mailbox);
	err_set(err, ERR_USER, ERR_MESSAGE, "m%llu is not in \"%s\", but in \"%s\"",
		(unsigned long long)at->number, mailbox, other.name);
	store_mailbox_release(&other);
	return -1;
}

static int find_in(const struct actions *q, struct queue_message *m, const char *mailbox,
	const struct store_mailbox *box, struct store_message *at, struct err *err)
{
	if (!store_message_get(q->store, m->number, at))
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"there is no message m%llu; \"mailtide ls %s MAILBOX\" shows their numbers",
			(unsigned long long)m->number, q->account->name);
	if (box->id && at->mailbox == box->id) {
		m->uid = at->uid;
		m->uidvalidity = at->uid ? box->uidvalidity : 0;
		return 0;
	}
	m->uid = 0;
	m->uidvalidity = 0;
	if (box->id && (at->state & STORE_SHOWN) && at->shown_mailbox == box->id)
		return 0;
	if ((box->id && is_moving(q->store, m->number, box->id)) || is_brought(q, m, mailbox))
		return 0;
	return elsewhere(q, at, mailbox, err);
}

int known_message_in(const struct actions *q, struct queue_message *m, const char *mailbox,
	const struct store_mailbox *box, struct err *err)
{
	struct store_message at;
	struct queue_message named = *m;
	int rc;

	if (known_message(q, &named, err) < 0)
		return -1;
	if (named.action && !is_brought(q, &named, mailbox))
		return err_set(err, ERR_USER, ERR_MESSAGE, "\"@%llu\" is not in \"%s\"",
			(unsigned long long)named.action, mailbox);
	if (named.action) {
		*m = named;
		return 0;
	}
	store_message_init(&at);
	rc = find_in(q, &named, mailbox, box, &at, err);
	store_message_release(&at);
	if (rc == 0)
		*m = named;
	return rc;
}
