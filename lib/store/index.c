/* What is derived from a message: the indexes by UID, by base name, of owed bodies, of what may be
 * the same mail, of orphans, of what was made here, and the references to the body. A put compares what the old record had
 * with what the new one has, and changes only what differs. */
#include "store/store_private.h"

uint64_t store_index_number(struct slice value)
{
	INVARIANT(value.len == 8);
	return store_take_u64((const uint8_t *)value.data);
}

struct store_message_index store_index_of(const struct store_message *m)
{
	return (struct store_message_index){
		.there = true, .mailbox = m->mailbox, .uid = m->uid, .state = m->state,
		.seen = (m->flags.system & MAIL_SEEN) != 0, .date = m->date, .size = m->size,
		.body = m->body,
		.emailid = { m->emailid, m->emailid != NULL ? strlen(m->emailid) : 0 },
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
	if (store_db_get(s, STORE_DB_BASES, key, &value) && store_index_number(value) == number)
		store_db_delete(s, STORE_DB_BASES, key);
}

static void index_alike(struct store *s, uint64_t number, const struct store_message_index *old,
	const struct store_message_index *now)
{
	struct store_key key;
	if (old->there == now->there && old->date == now->date && old->size == now->size)
		return;
	if (old->there) {
		store_key_alike(&key, old->date, old->size, number);
		store_db_delete(s, STORE_DB_ALIKE, &key);
	}
	if (now->there) {
		store_key_alike(&key, now->date, now->size, number);
		store_db_put(s, STORE_DB_ALIKE, &key, STORE_NOTHING);
	}
}

/* The index of the messages with one state, by mailbox. */
static void index_state(struct store *s, enum store_db db, uint32_t state, uint64_t number,
	const struct store_message_index *old, const struct store_message_index *now)
{
	struct store_key key;
	bool was = (old->state & state) != 0, is = (now->state & state) != 0;
	if (was == is && old->mailbox == now->mailbox)
		return;
	if (was) {
		store_key_message(&key, old->mailbox, number);
		store_db_delete(s, db, &key);
	}
	if (is) {
		store_key_message(&key, now->mailbox, number);
		store_db_put(s, db, &key, STORE_NOTHING);
	}
}

static void index_base(struct store *s, uint64_t number, const struct store_message_index *now)
{
	struct store_key key;
	store_key_text(&key, now->base);
	put_number(s, STORE_DB_BASES, &key, number);
}

static void index_emailid(struct store *s, uint64_t number, const struct store_message_index *now)
{
	struct store_key key;
	store_key_emailid(&key, now->emailid, number);
	store_db_put(s, STORE_DB_EMAILIDS, &key, STORE_NOTHING);
}

/* What the old record says is LMDB's memory, so all that is needed of it is looked at before the
 * first write. */
void store_index_change(struct store *s, uint64_t number, struct store_message_index old,
	const struct store_message_index *now, struct slice record)
{
	struct store_key key, base, emailid;
	bool base_changed = !same_text(old.base, now->base);
	bool emailid_changed = !same_text(old.emailid, now->emailid);
	bool base_goes = base_changed && old.base.data != NULL;
	bool emailid_goes = emailid_changed && old.emailid.data != NULL;
	if (base_goes)
		store_key_text(&base, old.base);
	if (emailid_goes)
		store_key_emailid(&emailid, old.emailid, number);
	old.base = old.emailid = (struct slice){ NULL, 0 };

	store_key_u64(&key, number);
	if (record.data != NULL)
		store_db_put(s, STORE_DB_MESSAGES, &key, record);
	else
		store_db_delete(s, STORE_DB_MESSAGES, &key);
	index_uid(s, number, &old, now);
	index_owed(s, &old, now);
	index_alike(s, number, &old, now);
	index_state(s, STORE_DB_ORPHANS, STORE_ORPHAN, number, &old, now);
	index_state(s, STORE_DB_HERE, STORE_HERE, number, &old, now);
	if (base_goes)
		unindex_base(s, number, &base);
	if (base_changed && now->base.data != NULL)
		index_base(s, number, now);
	if (emailid_goes)
		store_db_delete(s, STORE_DB_EMAILIDS, &emailid);
	if (emailid_changed && now->emailid.data != NULL)
		index_emailid(s, number, now);
	if (old.body != now->body) {
		store_body_refer(s, old.body, -1);
		store_body_refer(s, now->body, 1);
	}
}
