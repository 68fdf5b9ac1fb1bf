/* Messages: the record under the local number, and what is derived from it: the indexes by UID, by
 * base name, of owed bodies, the counts of the mailbox, the references to the body. A put compares what the
 * old record had with what the new one has, and changes only what differs. */
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

static uint64_t number_of(struct slice value)
{
	INVARIANT(value.len == 8);
	return store_take_u64((const uint8_t *)value.data);
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
	bool found = store_db_get(s, db, key, &value) && get(s, number_of(value), m);
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
		get(s, number_of(w.value), m);
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
		*size = number_of(w.value);
	}
	store_walk_end(&w);
	return found;
}

static struct store_message_index index_of(const struct store_message *m)
{
	return (struct store_message_index){
		.mailbox = m->mailbox, .uid = m->uid, .state = m->state,
		.seen = (m->flags.system & MAIL_SEEN) != 0, .size = m->size, .body = m->body,
		.base = { m->base, m->base != NULL ? strlen(m->base) : 0 },
	};
}

static bool is_owed(const struct store_message_index *m)
{
	return (m->state & STORE_BODY_OWED) != 0 && m->uid != 0;
}

static void put_number(struct store *s, enum store_db db, const struct store_key *key, uint64_t n)
{
	uint8_t octets[8];
	store_put_u64(octets, n);
	store_db_put(s, db, key, (struct slice){ (char *)octets, sizeof octets });
}

static void index_uid(struct store *s, uint64_t number, const struct store_message_index *old,
	const struct store_message_index *now)
{
	struct store_key key;
	struct slice value;
	if (old->uid == now->uid && (old->mailbox == now->mailbox || now->uid == 0))
		return;
	store_key_uid(&key, old->mailbox, old->uid);
	if (old->uid != 0)
		store_db_delete(s, STORE_DB_UIDS, &key);
	if (now->uid == 0)
		return;
	store_key_uid(&key, now->mailbox, now->uid);
	/* Two messages with one UID: one of them would never be found again. */
	INVARIANT(!store_db_get(s, STORE_DB_UIDS, &key, &value));
	put_number(s, STORE_DB_UIDS, &key, number);
}

static void index_owed(struct store *s, const struct store_message_index *old,
	const struct store_message_index *now)
{
	struct store_key key;
	bool was = is_owed(old), is = is_owed(now);
	bool same_place = old->uid == now->uid && old->mailbox == now->mailbox;
	if (was && !(is && same_place)) {
		store_key_uid(&key, old->mailbox, old->uid);
		store_db_delete(s, STORE_DB_OWED, &key);
	}
	if (is && !(was && same_place && old->size == now->size)) {
		store_key_uid(&key, now->mailbox, now->uid);
		put_number(s, STORE_DB_OWED, &key, now->size);
	}
}

static bool same_text(struct slice a, struct slice b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void unindex_base(struct store *s, uint64_t number, const struct store_key *key)
{
	struct slice value;
	if (store_db_get(s, STORE_DB_BASES, key, &value) && number_of(value) == number)
		store_db_delete(s, STORE_DB_BASES, key);
}

/* What the old record says is LMDB's memory, so all that is needed of it is looked at before the
 * first write. */
static void change(struct store *s, uint64_t number, struct store_message_index old,
	const struct store_message_index *now, struct slice record)
{
	struct store_key key, old_base;
	bool base_changed = !same_text(old.base, now->base);
	bool had_base = old.base.data != NULL;
	if (had_base)
		store_key_text(&old_base, old.base);
	old.base = (struct slice){ NULL, 0 };

	store_key_u64(&key, number);
	if (record.data != NULL)
		store_db_put(s, STORE_DB_MESSAGES, &key, record);
	else
		store_db_delete(s, STORE_DB_MESSAGES, &key);
	index_uid(s, number, &old, now);
	index_owed(s, &old, now);
	if (base_changed && had_base)
		unindex_base(s, number, &old_base);
	if (base_changed && now->base.data != NULL) {
		store_key_text(&key, now->base);
		put_number(s, STORE_DB_BASES, &key, number);
	}
	if (old.body != now->body) {
		store_body_refer(s, old.body, -1);
		store_body_refer(s, now->body, 1);
	}
}

void store_message_put(struct store *s, struct store_message *m)
{
	INVARIANT(s->write != NULL && (m->uid == 0 || m->mailbox != 0));
	struct store_message_index old = { 0 }, now = index_of(m);
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
	change(s, m->number, old, &now, record);
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
	change(s, number, old, &none, (struct slice){ NULL, 0 });
}
