/* Bodies by their hash.
 *
 * Hashes come in no order: an index that takes each at once writes a page for nearly every body, and
 * the pages that this frees, strewn over the file, are what the next batch's bodies are written to: single
 * pages in place of runs, twice the time. So the newest bodies, those with a number above
 * counters.indexed, are found through a table in memory, made from their records when it is first wanted;
 * thousands at once go to the index "hashes", in the order of their hashes.
 *
 * Both hold the first 8 octets of a hash only, and a hit counts when the body's record says the same
 * 32. So an entry that is out of date, or lost to another with the same 8 octets, does no harm. */
#include <stdlib.h>

#include "store/store_private.h"

/* Of the table, before a transaction begins; and at the end of a run. */
#define RECENT_MAX 16384
#define RECENT_KEEP 1024
/* Entries in one transaction: they change at most as many pages. */
#define INDEX_BATCH 4096

static uint64_t prefix_of(const uint8_t hash[MAIL_HASH_SIZE])
{
	return store_take_u64(hash);
}

/* Where entries with this prefix begin; they go on up to the next free slot. */
static size_t slot_of(const struct store_recent *r, uint64_t prefix)
{
	return (size_t)prefix & (r->size - 1);
}

static void insert(struct store_recent *r, uint64_t prefix, uint64_t body)
{
	size_t at = slot_of(r, prefix);
	while (r->slots[at].body != 0)
		at = (at + 1) & (r->size - 1);
	r->slots[at] = (struct store_recent_slot){ prefix, body };
	r->count++;
}

static void add(struct store_recent *r, uint64_t prefix, uint64_t body)
{
	if (r->size < 2 * (r->count + 1)) {
		struct store_recent old = *r;
		r->size = old.size > 0 ? old.size * 2 : 256;
		r->slots = mem_new(r->size * sizeof *r->slots);
		r->count = 0;
		for (size_t i = 0; i < old.size; i++)
			if (old.slots[i].body != 0)
				insert(r, old.slots[i].prefix, old.slots[i].body);
		free(old.slots);
	}
	insert(r, prefix, body);
}

void store_recent_forget(struct store *s)
{
	free(s->recent.slots);
	s->recent = (struct store_recent){ 0 };
}

/* How far the index reaches. A reader's counters are of the time when it opened the store. */
static uint64_t indexed(struct store *s)
{
	struct store_counters counters = s->counters;
	struct store_key key;
	struct slice value;
	store_key_text(&key, slice_of("counters"));
	if (s->read_only && store_db_get(s, STORE_DB_META, &key, &value))
		INVARIANT(store_counters_decode(value, &counters));
	return counters.indexed;
}

/* Within a read. The writer's table stays whole, since all bodies come through it; a reader's is that
 * of its snapshot. */
static void load(struct store *s)
{
	struct store_recent *r = &s->recent;
	size_t snapshot = s->read_only ? mdb_txn_id(s->read) : 0;
	if (r->whole && r->snapshot == snapshot)
		return;
	store_recent_forget(s);
	struct store_walk w;
	struct store_key key;
	store_key_u64(&key, indexed(s) + 1);
	for (bool more = store_walk(&w, s, STORE_DB_BODIES, &key); more; more = store_walk_next(&w)) {
		struct store_body_record record;
		INVARIANT(store_body_decode(w.value, &record));
		add(r, prefix_of(record.info.hash), store_take_u64((const uint8_t *)w.key.data));
	}
	store_walk_end(&w);
	r->whole = true;
	r->snapshot = snapshot;
}

static bool is_right(struct store *s, uint64_t body, const uint8_t hash[MAIL_HASH_SIZE])
{
	struct store_body_info info;
	return store_body_info(s, body, &info) && memcmp(info.hash, hash, MAIL_HASH_SIZE) == 0;
}

static bool find_recent(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t *body)
{
	const struct store_recent *r = &s->recent;
	uint64_t prefix = prefix_of(hash);
	if (r->count == 0)
		return false;
	for (size_t at = slot_of(r, prefix); r->slots[at].body != 0; at = (at + 1) & (r->size - 1)) {
		if (r->slots[at].prefix != prefix || !is_right(s, r->slots[at].body, hash))
			continue;
		*body = r->slots[at].body;
		return true;
	}
	return false;
}

static bool find_indexed(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t *body)
{
	struct store_key key;
	struct slice value;
	store_key_u64(&key, prefix_of(hash));
	if (!store_db_get(s, STORE_DB_HASHES, &key, &value))
		return false;
	INVARIANT(value.len == 8);
	uint64_t found = store_take_u64((const uint8_t *)value.data);
	if (!is_right(s, found, hash))
		return false;
	*body = found;
	return true;
}

bool store_body_find(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t *body)
{
	store_read_begin(s);
	load(s);
	bool found = find_recent(s, hash, body) || find_indexed(s, hash, body);
	store_read_end(s);
	return found;
}

static void put(struct store *s, uint64_t prefix, uint64_t body)
{
	struct store_key key;
	uint8_t number[8];
	store_key_u64(&key, prefix);
	store_put_u64(number, body);
	store_db_put(s, STORE_DB_HASHES, &key, (struct slice){ (char *)number, sizeof number });
}

void store_hash_add(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t body)
{
	/* One that was begun long ago, beside others. */
	if (body <= s->counters.indexed)
		put(s, prefix_of(hash), body);
	else if (s->recent.whole)
		add(&s->recent, prefix_of(hash), body);
}

void store_hash_drop(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t body)
{
	struct store_key key;
	uint64_t owner;
	store_key_u64(&key, prefix_of(hash));
	if (find_indexed(s, hash, &owner) && owner == body)
		store_db_delete(s, STORE_DB_HASHES, &key);
}

static int compare(const void *a, const void *b)
{
	const struct store_recent_slot *x = a, *y = b;
	return (x->prefix > y->prefix) - (x->prefix < y->prefix);
}

/* The entries in order; the caller frees them. */
static struct store_recent_slot *sorted(const struct store_recent *r)
{
	struct store_recent_slot *entries = mem_grow(NULL, r->count + 1, sizeof *entries);
	size_t count = 0;
	for (size_t i = 0; i < r->size; i++)
		if (r->slots[i].body != 0)
			entries[count++] = r->slots[i];
	qsort(entries, count, sizeof *entries, compare);
	return entries;
}

/* The mark moves with the last transaction: after a crash the same entries are put again. */
static int index_all(struct store *s, const struct store_recent_slot *entries, size_t count,
	struct err *err)
{
	for (size_t i = 0; i < count;) {
		struct store_body_info info;
		if (store_begin_now(s, err) < 0)
			return -1;
		for (size_t n = 0; n < INDEX_BATCH && i < count; n++, i++)
			if (store_body_info(s, entries[i].body, &info))
				put(s, entries[i].prefix, entries[i].body);
		if (i == count)
			s->counters.indexed = s->counters.body;
		if (store_commit_now(s, err) < 0)
			return -1;
	}
	return 0;
}

int store_recent_index(struct store *s, bool end_of_run, struct err *err)
{
	uint64_t most = end_of_run ? RECENT_KEEP : RECENT_MAX;
	if (s->counters.body - s->counters.indexed <= most)
		return 0;
	store_read_begin(s);
	load(s);
	store_read_end(s);
	size_t count = s->recent.count;
	struct store_recent_slot *entries = sorted(&s->recent);
	int result = index_all(s, entries, count, err);
	free(entries);
	store_recent_forget(s);
	return result;
}
