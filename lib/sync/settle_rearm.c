/* Settle, trying again: what the user retries waits again, with what it failed for, and with what failed because of
 * it. One pass over the actions for all that a line names. In a transaction. */
#include <stdlib.h>

#include "sync/actions.h"

struct numbers {
	uint64_t *list;
	size_t count, size;
};

static void add_number(struct numbers *n, uint64_t number)
{
	if (n->count == n->size) {
		n->size = n->size ? 2 * n->size : 16;
		n->list = mem_grow(n->list, n->size, sizeof *n->list);
	}
	n->list[n->count++] = number;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool has_number(const struct numbers *n, uint64_t number)
{
	return n->count && bsearch(&number, n->list, n->count, sizeof number, by_number) != NULL;
}

static void rearm_one(struct sync *s, struct store_action *a, struct numbers *messages)
{
	struct store_part p = { 0 };

	free(a->reason);
	a->reason = NULL;
	a->blocked_by = 0;
	settle_put_state(s, a, STORE_ACTION_WAITING);
	while (store_part_next(s->store, a->number, p.message, &p)) {
		p.state &= ~(uint32_t)(STORE_PART_FAILED | STORE_PART_LOCAL | STORE_PART_SUSPECT);
		store_part_put(s->store, &p);
		add_number(messages, p.message);
	}
}

bool settle_lacks_message(struct sync *s, uint64_t action)
{
	struct store_message m;
	struct store_part p = { 0 };
	bool lacks = false;

	store_message_init(&m);
	while (!lacks && store_part_next(s->store, action, p.message, &p))
		lacks = !store_message_get(s->store, p.message, &m);
	store_message_release(&m);
	return lacks;
}

/* What it failed for is tried first: with an earlier move still failed, a message is not where this one is to
 * find it. 0: that is not there any more, or makes another message now: the user has dropped or edited it. */
static uint64_t first_needed(struct sync *s, uint64_t action)
{
	struct store_action a;
	uint64_t first = action, needed = action;

	store_action_init(&a);
	while (store_action_get(s->store, needed, &a) && a.state == STORE_ACTION_FAILED) {
		first = needed;
		if (!a.blocked_by)
			break;
		needed = a.blocked_by;
	}
	if (needed != first && (!store_action_get(s->store, needed, &a) || settle_lacks_message(s, first)))
		first = 0;
	store_action_release(&a);
	return first;
}

static void show_all(struct sync *s, struct numbers *messages)
{
	qsort(messages->list, messages->count, sizeof *messages->list, by_number);
	for (size_t i = 0; i < messages->count; i++)
		if (i == 0 || messages->list[i] != messages->list[i - 1])
			show_number(s, messages->list[i]);
}

struct rearm {
	struct sync *s;
	struct numbers asked, blocked, messages;
};

struct rearm *settle_rearm_new(struct sync *s)
{
	struct rearm *r = mem_new(sizeof *r);

	r->s = s;
	return r;
}

static void rearm_number(struct rearm *r, uint64_t action)
{
	struct store_action a;

	store_action_init(&a);
	if (store_action_get(r->s->store, action, &a)) {
		add_number(&r->asked, action);
		rearm_one(r->s, &a, &r->messages);
	}
	store_action_release(&a);
}

void settle_rearm_add(struct rearm *r, uint64_t action)
{
	uint64_t first = first_needed(r->s, action);

	if (first)
		rearm_number(r, first);
	else
		account_note(r->s, SYNC_WARNING, NULL,
			"action %llu is not tried again: what it needs was dropped or edited",
			(unsigned long long)action);
}

/* What is blocked comes behind what blocks it, so one pass finds all. */
static void rearm_blocked(struct rearm *r)
{
	struct store_action a;
	uint64_t at = r->asked.list[0];

	store_action_init(&a);
	while (store_action_next(r->s->store, at, &a)) {
		at = a.number;
		if (a.state != STORE_ACTION_FAILED || !a.blocked_by ||
			!(has_number(&r->asked, a.blocked_by) || has_number(&r->blocked, a.blocked_by)))
			continue;
		add_number(&r->blocked, at);
		rearm_one(r->s, &a, &r->messages);
	}
	store_action_release(&a);
}

void settle_rearm_end(struct rearm *r)
{
	if (r->asked.count) {
		qsort(r->asked.list, r->asked.count, sizeof *r->asked.list, by_number);
		rearm_blocked(r);
	}
	if (r->messages.count)
		show_all(r->s, &r->messages);
	free(r->asked.list);
	free(r->blocked.list);
	free(r->messages.list);
	free(r);
}
