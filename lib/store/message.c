/* Messages: the record under the local number, found by it or through an index. */
#include <stdlib.h>

#include "store/store_private.h"

void store_message_init(struct store_message *m)
{
	*m = (struct store_message){ 0 };
	mail_flags_init(&m->flags);
	mail_flags_init(&m->shown);
}

void store_message_release(struct store_message *m)
{
	mail_flags_release(&m->flags);
	mail_flags_release(&m->shown);
	free(m->emailid);
	free(m->base);
	store_message_init(m);
}

/* Within a read. */
static bool get(struct store *s, uint64_t number, struct store_message *m)
{
	struct store_key key;
	struct slice value;
	store_key_u64(&key, number);
	if (!store_db_get(s, STORE_DB_MESSAGES, &key, &value))
		return false;
	INVARIANT(store_message_decode(s, value, m));
	m->number = number;
	return true;
}

bool store_message_get(struct store *s, uint64_t number, struct store_message *m)
{
	store_read_begin(s);
	bool found = get(s, number, m);
	store_read_end(s);
	return found;
}

static bool get_indexed(struct store *s, enum store_db db, const struct store_key *key,
	struct store_message *m)
{
	struct slice value;
	store_read_begin(s);
	bool found = store_db_get(s, db, key, &value) && get(s, store_index_number(value), m);
	store_read_end(s);
	return found;
}

bool store_message_by_uid(struct store *s, uint32_t mailbox, uint32_t uid, struct store_message *m)
{
	struct store_key key;
	store_key_uid(&key, mailbox, uid);
	return get_indexed(s, STORE_DB_UIDS, &key, m);
}

bool store_message_by_base(struct store *s, const char *base, struct store_message *m)
{
	struct store_key key;
	store_key_text(&key, slice_of(base));
	return get_indexed(s, STORE_DB_BASES, &key, m);
}

/* Whether the walk, over "uids" or "owed", stands on a UID of this mailbox. */
static bool is_in(const struct store_walk *w, uint32_t mailbox, uint32_t *uid)
{
	const uint8_t *key = (const uint8_t *)w->key.data;
	INVARIANT(w->key.len == 8);
	*uid = store_take_u32(key + 4);
	return store_take_u32(key) == mailbox;
}

bool store_message_next(struct store *s, uint32_t mailbox, uint32_t after, struct store_message *m)
{
	if (after == UID_MAX)
		return false;
	struct store_walk w;
	struct store_key key;
	uint32_t uid;
	store_key_uid(&key, mailbox, after + 1);
	bool found = store_walk(&w, s, STORE_DB_UIDS, &key) && is_in(&w, mailbox, &uid) &&
		get(s, store_index_number(w.value), m);
	store_walk_end(&w);
	return found;
}

void store_known_uids(struct store *s, uint32_t mailbox, struct uids *out)
{
	struct store_walk w;
	struct store_key key;
	struct uid_range range = { 0, 0 };
	uint32_t uid;
	store_key_uid(&key, mailbox, 1);
	for (bool more = store_walk(&w, s, STORE_DB_UIDS, &key); more && is_in(&w, mailbox, &uid);
	     more = store_walk_next(&w)) {
		if (range.last != 0 && uid != range.last + 1)
			uids_add_range(out, range.first, range.last);
		if (range.last == 0 || uid != range.last + 1)
			range.first = uid;
		range.last = uid;
	}
	if (range.last != 0)
		uids_add_range(out, range.first, range.last);
	store_walk_end(&w);
}

static uint64_t count_from(struct store *s, uint32_t mailbox, uint32_t first, uint32_t last)
{
	struct store_walk w;
	struct store_key key;
	uint64_t count = 0;
	uint32_t uid;
	store_key_uid(&key, mailbox, first);
	for (bool more = store_walk(&w, s, STORE_DB_UIDS, &key);
	     more && is_in(&w, mailbox, &uid) && uid <= last; more = store_walk_next(&w))
		count++;
	store_walk_end(&w);
	return count;
}

/* Mostly asked for 1:lastseen, above which there is little: what is above is counted then. */
uint64_t store_count_uids(struct store *s, uint32_t mailbox, uint32_t first, uint32_t last)
{
	if (first > last)
		return 0;
	if (first > 1)
		return count_from(s, mailbox, first, last);
	store_read_begin(s);
	uint64_t count = store_tally_get(s, mailbox).uids;
	if (last < UID_MAX)
		count -= count_from(s, mailbox, last + 1, UID_MAX);
	store_read_end(s);
	return count;
}

/* The first entry >= `from` that differs from it in the number at its end only: its message. */
static bool next_number(struct store *s, enum store_db db, const struct store_key *from,
	struct store_message *m)
{
	struct store_walk w;
	size_t prefix = from->len - 8;
	bool found = store_walk(&w, s, db, from) && w.key.len == from->len &&
		memcmp(w.key.data, from->data, prefix) == 0 &&
		get(s, store_take_u64((const uint8_t *)w.key.data + prefix), m);
	store_walk_end(&w);
	return found;
}

bool store_alike_next(struct store *s, int64_t date, uint64_t size, uint64_t after,
	struct store_message *m)
{
	struct store_key key;
	if (after == UINT64_MAX)
		return false;
	store_key_alike(&key, date, size, after + 1);
	return next_number(s, STORE_DB_ALIKE, &key, m);
}

bool store_dated_next(struct store *s, int64_t date, uint64_t size, uint64_t after,
	struct store_message *m)
{
	struct store_walk w;
	struct store_key key;
	if (after == UINT64_MAX)
		return false;
	store_key_alike(&key, date, size, after + 1);
	bool found = store_walk(&w, s, STORE_DB_ALIKE, &key) &&
		get(s, store_take_u64((const uint8_t *)w.key.data + w.key.len - 8), m);
	store_walk_end(&w);
	return found;
}

bool store_emailid_next(struct store *s, const char *emailid, uint64_t after,
	struct store_message *m)
{
	struct store_key key;
	if (after == UINT64_MAX)
		return false;
	store_key_emailid(&key, slice_of(emailid), after + 1);
	return next_number(s, STORE_DB_EMAILIDS, &key, m);
}

static bool apart_next(struct store *s, enum store_db db, uint32_t mailbox, uint64_t after,
	struct store_message *m)
{
	struct store_key key;
	if (after == UINT64_MAX)
		return false;
	store_key_message(&key, mailbox, after + 1);
	return next_number(s, db, &key, m);
}

bool store_orphan_next(struct store *s, uint32_t mailbox, uint64_t after, struct store_message *m)
{
	return apart_next(s, STORE_DB_ORPHANS, mailbox, after, m);
}

bool store_here_next(struct store *s, uint32_t mailbox, uint64_t after, struct store_message *m)
{
	return apart_next(s, STORE_DB_HERE, mailbox, after, m);
}

bool store_message_each(struct store *s, uint32_t mailbox, struct store_each *at, struct store_message *m)
{
	for (; at->list < 3; at->list++, at->after = 0) {
		bool found = at->list == 0 ? store_message_next(s, mailbox, (uint32_t)at->after, m) :
			at->list == 1	   ? store_orphan_next(s, mailbox, at->after, m) :
					     store_here_next(s, mailbox, at->after, m);
		if (!found)
			continue;
		at->after = at->list == 0 ? m->uid : m->number;
		return true;
	}
	return false;
}

bool store_owed_next(struct store *s, uint32_t mailbox, uint32_t after, uint32_t *uid,
	uint64_t *size)
{
	if (after == UID_MAX)
		return false;
	struct store_walk w;
	struct store_key key;
	uint32_t at;
	store_key_uid(&key, mailbox, after + 1);
	bool found = store_walk(&w, s, STORE_DB_OWED, &key) && is_in(&w, mailbox, &at);
	if (found) {
		*uid = at;
		*size = store_index_number(w.value);
	}
	store_walk_end(&w);
	return found;
}

void store_message_put(struct store *s, struct store_message *m)
{
	INVARIANT(s->write != NULL && (m->uid == 0 || m->mailbox != 0));
	INVARIANT(m->uid == 0 || (m->state & STORE_APART) == 0);
	struct store_message_index old = { 0 }, now = store_index_of(m);
	struct store_key key;
	struct slice value, record = store_message_encode(s, m);
	bool is_new = m->number == 0;
	if (is_new)
		m->number = s->counters.message + 1;
	if (m->number > s->counters.message)
		s->counters.message = m->number;
	store_key_u64(&key, m->number);
	bool known = !is_new && store_db_get(s, STORE_DB_MESSAGES, &key, &value);
	if (known && value.len == record.len && memcmp(value.data, record.data, record.len) == 0)
		return;
	if (known) {
		INVARIANT(store_message_peek(value, &old));
		store_tallies_count(s, &old, -1);
	}
	store_tallies_count(s, &now, 1);
	store_index_change(s, m->number, old, &now, record);
}

void store_message_delete(struct store *s, uint64_t number)
{
	struct store_message_index old, none = { 0 };
	struct store_key key;
	struct slice value;
	INVARIANT(s->write != NULL);
	store_key_u64(&key, number);
	if (!store_db_get(s, STORE_DB_MESSAGES, &key, &value))
		return;
	INVARIANT(store_message_peek(value, &old));
	store_tallies_count(s, &old, -1);
	store_index_change(s, number, old, &none, (struct slice){ NULL, 0 });
}
