/* Actions: their records, and how many are in each state. The counts stand in "meta", since status asks
 * for them beside a queue of any length; within a transaction they stand in memory. */
#include <stdlib.h>

#include "store/store_private.h"

void store_action_init(struct store_action *a)
{
	*a = (struct store_action){ 0 };
	mail_flags_init(&a->add);
	mail_flags_init(&a->remove);
	uids_init(&a->others);
}

void store_action_release(struct store_action *a)
{
	mail_flags_release(&a->add);
	mail_flags_release(&a->remove);
	uids_release(&a->others);
	free(a->sha256);
	free(a->reason);
	store_action_init(a);
}

bool store_action_get(struct store *s, uint64_t number, struct store_action *a)
{
	struct store_key key;
	struct slice value;
	store_key_u64(&key, number);
	store_read_begin(s);
	bool found = store_db_get(s, STORE_DB_ACTIONS, &key, &value);
	if (found) {
		INVARIANT(store_action_decode(s, value, a));
		a->number = number;
	}
	store_read_end(s);
	return found;
}

bool store_action_next(struct store *s, uint64_t after, struct store_action *a)
{
	if (after == UINT64_MAX)
		return false;
	struct store_walk w;
	struct store_key key;
	store_key_u64(&key, after + 1);
	bool found = store_walk(&w, s, STORE_DB_ACTIONS, &key);
	if (found) {
		INVARIANT(w.key.len == 8 && store_action_decode(s, w.value, a));
		a->number = store_take_u64((const uint8_t *)w.key.data);
	}
	store_walk_end(&w);
	return found;
}

static void key_counts(struct store_key *key)
{
	store_key_text(key, slice_of("actions"));
}

struct store_action_counts store_action_counts(struct store *s)
{
	struct store_action_counts counts = { 0 };
	struct store_key key;
	struct slice value;
	if (s->actions_counted)
		return s->actions;
	key_counts(&key);
	store_read_begin(s);
	if (store_db_get(s, STORE_DB_META, &key, &value))
		INVARIANT(store_action_counts_decode(value, &counts));
	store_read_end(s);
	return counts;
}

static uint64_t *count_of(struct store_action_counts *c, uint32_t state)
{
	switch ((enum store_action_state)state) {
	case STORE_ACTION_WAITING:
		return &c->waiting;
	case STORE_ACTION_INTENT:
		return &c->intent;
	case STORE_ACTION_FAILED:
		return &c->failed;
	case STORE_ACTION_HELD:
		return &c->held;
	case STORE_ACTION_UNKNOWN:
		return &c->unknown;
	case STORE_ACTION_LOCAL:
		return &c->local;
	}
	return NULL;
}

/* One action goes from a state to another; 0: it was not there, or is no longer. */
static void count(struct store *s, uint32_t from, uint32_t to)
{
	s->actions = store_action_counts(s);
	s->actions_counted = true;
	uint64_t *less = count_of(&s->actions, from), *more = count_of(&s->actions, to);
	INVARIANT(less == NULL || *less > 0 || s->failed);
	if (less != NULL)
		--*less;
	if (more != NULL)
		++*more;
}

void store_actions_flush(struct store *s)
{
	if (!s->actions_counted)
		return;
	struct store_key key;
	key_counts(&key);
	store_db_put(s, STORE_DB_META, &key, store_action_counts_encode(s, &s->actions));
}

void store_action_put(struct store *s, const struct store_action *a)
{
	INVARIANT(s->write != NULL && a->number != 0);
	struct store_key key;
	struct slice old, record = store_action_encode(s, a);
	uint32_t state = store_action_peek(record), was = 0;
	INVARIANT(state != 0 && state == (uint32_t)a->state);
	store_key_u64(&key, a->number);
	bool known = store_db_get(s, STORE_DB_ACTIONS, &key, &old);
	if (known && old.len == record.len && memcmp(old.data, record.data, record.len) == 0)
		return;
	if (known)
		was = store_action_peek(old);
	/* They come by number. */
	if (known)
		store_db_put(s, STORE_DB_ACTIONS, &key, record);
	else
		store_db_append(s, STORE_DB_ACTIONS, &key, record);
	if (was != state)
		count(s, was, state);
}

void store_action_delete(struct store *s, uint64_t number)
{
	struct store_key key;
	struct slice old;
	INVARIANT(s->write != NULL);
	store_parts_delete(s, number);
	store_key_u64(&key, number);
	if (!store_db_get(s, STORE_DB_ACTIONS, &key, &old))
		return;
	count(s, store_action_peek(old), 0);
	store_db_delete(s, STORE_DB_ACTIONS, &key);
}
