/* Mailboxes: their records and the index of their names. */
#include <stdlib.h>

#include "store/store_private.h"

void store_mailbox_release(struct store_mailbox *m)
{
	free(m->name);
	free(m->wire);
	free(m->folder);
	free(m->mailboxid);
	*m = (struct store_mailbox){ 0 };
}

bool store_mailbox_get(struct store *s, uint32_t id, struct store_mailbox *m)
{
	struct store_key key;
	struct slice value;
	store_key_u32(&key, id);
	store_read_begin(s);
	bool found = store_db_get(s, STORE_DB_MAILBOXES, &key, &value);
	if (found) {
		INVARIANT(store_mailbox_decode(value, m));
		m->id = id;
	}
	store_read_end(s);
	return found;
}

/* 0: nobody has the name. */
static uint32_t id_of(struct store *s, const char *name)
{
	struct store_key key;
	struct slice value;
	store_key_text(&key, slice_of(name));
	if (!store_db_get(s, STORE_DB_NAMES, &key, &value))
		return 0;
	INVARIANT(value.len == 4);
	return store_take_u32((const uint8_t *)value.data);
}

bool store_mailbox_find(struct store *s, const char *name, struct store_mailbox *m)
{
	store_read_begin(s);
	uint32_t id = id_of(s, name);
	bool found = id != 0 && store_mailbox_get(s, id, m);
	store_read_end(s);
	return found;
}

bool store_mailbox_next(struct store *s, uint32_t after, struct store_mailbox *m)
{
	if (after == UINT32_MAX)
		return false;
	struct store_walk w;
	struct store_key key;
	store_key_u32(&key, after + 1);
	bool found = store_walk(&w, s, STORE_DB_MAILBOXES, &key);
	if (found) {
		INVARIANT(w.key.len == 4 && store_mailbox_decode(w.value, m));
		m->id = store_take_u32((const uint8_t *)w.key.data);
	}
	store_walk_end(&w);
	return found;
}

/* Takes the name out of the index, unless another mailbox has got it since. */
static void forget_name(struct store *s, uint32_t id, const char *name)
{
	struct store_key key;
	store_key_text(&key, slice_of(name));
	if (id_of(s, name) == id)
		store_db_delete(s, STORE_DB_NAMES, &key);
}

void store_mailbox_put(struct store *s, struct store_mailbox *m)
{
	struct store_mailbox old = { 0 };
	INVARIANT(m->name != NULL && s->counters.mailbox < UINT32_MAX);
	if (m->id == 0)
		m->id = (uint32_t)s->counters.mailbox + 1;
	if (m->id > s->counters.mailbox)
		s->counters.mailbox = m->id;
	else if (store_mailbox_get(s, m->id, &old) && strcmp(old.name, m->name) != 0)
		forget_name(s, m->id, old.name);

	struct store_key key;
	store_key_u32(&key, m->id);
	store_db_put(s, STORE_DB_MAILBOXES, &key, store_mailbox_encode(s, m));
	if (old.name == NULL || strcmp(old.name, m->name) != 0) {
		uint8_t id[4];
		store_put_u32(id, m->id);
		store_key_text(&key, slice_of(m->name));
		store_db_put(s, STORE_DB_NAMES, &key, (struct slice){ (char *)id, sizeof id });
	}
	store_mailbox_release(&old);
}

void store_mailbox_delete(struct store *s, uint32_t id)
{
	struct store_mailbox old;
	struct store_key key;
	struct store_tally tally = store_tally_get(s, id);
	INVARIANT(s->failed || (tally.counts.messages == 0 && tally.apart == 0));
	if (!store_mailbox_get(s, id, &old))
		return;
	forget_name(s, id, old.name);
	store_mailbox_release(&old);
	store_key_u32(&key, id);
	store_db_delete(s, STORE_DB_MAILBOXES, &key);
	store_tallies_drop(s, id);
}
