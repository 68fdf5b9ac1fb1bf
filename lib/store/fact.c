/* Small facts about the account, by name; and how any text becomes a key. */
#include <stdio.h>
#include <stdlib.h>

#include "store/store_private.h"

static void key_text(struct store_key *key, struct slice text, size_t max)
{
	if (text.len <= max) {
		key->data[0] = 't';
		if (text.len > 0)
			memcpy(key->data + 1, text.data, text.len);
		key->len = 1 + text.len;
		return;
	}
	struct mail_hash *hash = mail_hash_new();
	key->data[0] = 'h';
	mail_hash_add(hash, text.data, text.len);
	mail_hash_take(hash, key->data + 1);
	mail_hash_free(hash);
	key->len = 1 + MAIL_HASH_SIZE;
}

void store_key_text(struct store_key *key, struct slice text)
{
	key_text(key, text, STORE_KEY_TEXT_MAX);
}

void store_key_emailid(struct store_key *key, struct slice emailid, uint64_t message)
{
	key_text(key, emailid, STORE_KEY_EMAILID_MAX);
	key->len = (size_t)(store_put_u64(key->data + key->len, message) - key->data);
}

bool store_get(struct store *s, const char *name, struct buf *value)
{
	struct store_key key;
	struct slice record;
	store_key_text(&key, slice_of(name));
	store_read_begin(s);
	bool found = store_db_get(s, STORE_DB_FACTS, &key, &record);
	if (found) {
		INVARIANT(record.len >= 1 && record.data[0] == STORE_RECORD_VERSION);
		buf_clear(value);
		buf_add(value, record.data + 1, record.len - 1);
	}
	store_read_end(s);
	return found;
}

void store_put(struct store *s, const char *name, struct slice value)
{
	struct store_key key;
	store_key_text(&key, slice_of(name));
	buf_clear(&s->scratch);
	buf_add_char(&s->scratch, STORE_RECORD_VERSION);
	buf_add_slice(&s->scratch, value);
	store_db_put(s, STORE_DB_FACTS, &key, buf_slice(&s->scratch));
}

uint64_t store_get_number(struct store *s, const char *name)
{
	struct buf text;
	uint64_t number = 0;
	buf_init(&text, 0);
	if (store_get(s, name, &text) && buf_str(&text)[0] != '-')
		number = strtoull(buf_str(&text), NULL, 10);
	buf_release(&text);
	return number;
}

void store_put_number(struct store *s, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	store_put(s, name, slice_of(text));
}
