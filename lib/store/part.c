/* Parts: one action's work on one message, found by the action; and by the message, through "pending",
 * as long as it may still come to something. */
#include "store/store_private.h"

static bool is_pending(uint32_t state)
{
	return (state & STORE_PART_FAILED) == 0;
}

/* Within a read. */
static bool get(struct store *s, uint64_t action, uint64_t message, struct store_part *p)
{
	struct store_key key;
	struct slice value;
	store_key_pair(&key, action, message);
	if (!store_db_get(s, STORE_DB_PARTS, &key, &value))
		return false;
	INVARIANT(store_part_decode(value, p));
	p->action = action;
	p->message = message;
	return true;
}

bool store_part_get(struct store *s, uint64_t action, uint64_t message, struct store_part *p)
{
	store_read_begin(s);
	bool found = get(s, action, message, p);
	store_read_end(s);
	return found;
}

/* Begins a walk at the first entry with `first` whose second number is > after. */
static bool walk_pairs(struct store_walk *w, struct store *s, enum store_db db, uint64_t first,
	uint64_t after)
{
	struct store_key key;
	store_key_pair(&key, first, after + 1);
	return store_walk(w, s, db, &key);
}

/* Whether the walk stands on an entry with `first`. */
static bool is_of(const struct store_walk *w, uint64_t first, uint64_t *second)
{
	const uint8_t *key = (const uint8_t *)w->key.data;
	INVARIANT(w->key.len == 16);
	if (store_take_u64(key) != first)
		return false;
	*second = store_take_u64(key + 8);
	return true;
}

bool store_part_next(struct store *s, uint64_t action, uint64_t after, struct store_part *p)
{
	if (after == UINT64_MAX)
		return false;
	struct store_walk w;
	uint64_t message;
	bool found = walk_pairs(&w, s, STORE_DB_PARTS, action, after) &&
		is_of(&w, action, &message);
	if (found) {
		INVARIANT(store_part_decode(w.value, p));
		p->action = action;
		p->message = message;
	}
	store_walk_end(&w);
	return found;
}

uint64_t store_part_count(struct store *s, uint64_t action)
{
	struct store_walk w;
	uint64_t message, count = 0;
	for (bool more = walk_pairs(&w, s, STORE_DB_PARTS, action, 0);
	     more && is_of(&w, action, &message); more = store_walk_next(&w))
		count++;
	store_walk_end(&w);
	return count;
}

static void index_pending(struct store *s, const struct store_part *p, bool was, bool is)
{
	struct store_key key;
	store_key_pair(&key, p->message, p->action);
	if (was && !is)
		store_db_delete(s, STORE_DB_PENDING, &key);
	if (is && !was)
		store_db_put(s, STORE_DB_PENDING, &key, STORE_NOTHING);
}

void store_part_put(struct store *s, const struct store_part *p)
{
	INVARIANT(s->write != NULL && p->action != 0 && p->message != 0);
	struct store_part old;
	struct store_key key;
	bool known = get(s, p->action, p->message, &old);
	struct slice record = store_part_encode(s, p);
	store_key_pair(&key, p->action, p->message);
	/* They come by action and message. */
	if (known)
		store_db_put(s, STORE_DB_PARTS, &key, record);
	else
		store_db_append(s, STORE_DB_PARTS, &key, record);
	index_pending(s, p, known && is_pending(old.state), is_pending(p->state));
}

void store_part_delete(struct store *s, uint64_t action, uint64_t message)
{
	struct store_part old;
	struct store_key key;
	INVARIANT(s->write != NULL);
	if (!get(s, action, message, &old))
		return;
	store_key_pair(&key, action, message);
	store_db_delete(s, STORE_DB_PARTS, &key);
	index_pending(s, &old, is_pending(old.state), false);
}

void store_parts_delete(struct store *s, uint64_t action)
{
	struct store_part p = { 0 };
	while (store_part_next(s, action, p.message, &p))
		store_part_delete(s, action, p.message);
}

bool store_pending_next(struct store *s, uint64_t message, uint64_t after, uint64_t *action)
{
	if (after == UINT64_MAX)
		return false;
	struct store_walk w;
	bool found = walk_pairs(&w, s, STORE_DB_PENDING, message, after) &&
		is_of(&w, message, action);
	store_walk_end(&w);
	return found;
}

bool store_is_pending(struct store *s, uint64_t message)
{
	uint64_t action;
	return store_pending_next(s, message, 0, &action);
}
