/* Bodies on their way in. What has come waits in memory as pieces of the size in which they are
 * written, so that nothing is copied but into LMDB's page; each is freed as soon as it is put, and LMDB's
 * next page takes its place in the heap (a waiting piece and a page are the same size there): a batch
 * costs its octets once.
 *
 * A body's number is given with its first piece, so the greatest key is written next and append holds;
 * only a body that was begun earlier and goes on beside others falls back to a search. Hash and size
 * are known at the end: until then a flushed body is noted in "unfinished", which makes a crash harmless. */
#include <errno.h>
#include <stdlib.h>

#include "store/store_private.h"

struct piece {
	struct piece *next;
	uint32_t len, size;
	uint8_t data[];
};
/* A small body, or the end of one, takes no more than it needs. */
#define PIECE_STEP 512

struct store_body {
	struct store *s;
	struct piece *first, **last; /* *last is the last one, NULL where there is none */
	size_t waiting;
	uint64_t number;  /* 0: nothing written yet */
	uint32_t written; /* pieces */
	uint64_t size;    /* octets of them */
	bool lost;        /* what was written came to nothing with its transaction */
	bool linked;
	struct store_body *next; /* that this transaction has flushed pieces of */
};

struct store_body *store_body_new(struct store *s)
{
	struct store_body *b = mem_new(sizeof *b);
	b->s = s;
	b->last = &b->first;
	return b;
}

static void link_body(struct store_body *b)
{
	if (b->linked)
		return;
	b->linked = true;
	b->next = b->s->flushed;
	b->s->flushed = b;
}

static void unlink_body(struct store_body *b)
{
	if (!b->linked)
		return;
	struct store_body **link = &b->s->flushed;
	while (*link != b)
		link = &(*link)->next;
	*link = b->next;
	b->linked = false;
}

void store_bodies_settle(struct store *s, bool lost)
{
	while (s->flushed != NULL) {
		struct store_body *b = s->flushed;
		b->lost |= lost;
		unlink_body(b);
	}
}

/* A last piece with room for at least one octet. */
static struct piece *piece_with_room(struct store_body *b, size_t wanted)
{
	struct piece *old = *b->last;
	if (old != NULL && old->len < old->size)
		return old;
	if (old != NULL && old->size == STORE_PIECE_SIZE) {
		b->last = &old->next;
		old = NULL;
	}
	uint32_t len = old != NULL ? old->len : 0;
	size_t size = (len + wanted + PIECE_STEP - 1) / PIECE_STEP * PIECE_STEP;
	if (size > STORE_PIECE_SIZE)
		size = STORE_PIECE_SIZE;
	struct piece *piece = mem_grow(old, 1, sizeof *piece + size);
	piece->next = NULL;
	piece->len = len;
	piece->size = (uint32_t)size;
	return *b->last = piece;
}

void store_body_write(struct store_body *b, const void *data, size_t len)
{
	const uint8_t *from = data;
	b->waiting += len;
	while (len > 0) {
		struct piece *piece = piece_with_room(b, len);
		size_t n = piece->size - piece->len;
		if (n > len)
			n = len;
		memcpy(piece->data + piece->len, from, n);
		piece->len += (uint32_t)n;
		from += n;
		len -= n;
	}
}

size_t store_body_waiting(const struct store_body *b)
{
	return b->waiting;
}

static void drop_first(struct store_body *b)
{
	struct piece *piece = b->first;
	b->first = piece->next;
	b->waiting -= piece->len;
	if (b->first == NULL || b->first->next == NULL)
		b->last = &b->first;
	free(piece);
}

static void put_first(struct store_body *b)
{
	struct piece *piece = b->first;
	struct store_key key;
	store_key_piece(&key, b->number, b->written);
	store_db_append(b->s, STORE_DB_PIECES, &key,
		(struct slice){ (char *)piece->data, piece->len });
	b->written++;
	b->size += piece->len;
	drop_first(b);
}

void store_body_flush(struct store_body *b)
{
	struct store *s = b->s;
	INVARIANT(s->write != NULL);
	if (b->first == NULL || b->first->len < STORE_PIECE_SIZE)
		return;
	if (b->number == 0) {
		struct store_key key;
		b->number = ++s->counters.body;
		store_key_u64(&key, b->number);
		store_db_put(s, STORE_DB_UNFINISHED, &key, STORE_NOTHING);
	}
	link_body(b);
	while (b->first != NULL && b->first->len == STORE_PIECE_SIZE)
		put_first(b);
}

/* The hash is known: what was flushed before that came out goes. */
static void drop_flushed(struct store_body *b)
{
	struct store_key key;
	for (uint32_t i = 0; i < b->written; i++) {
		store_key_piece(&key, b->number, i);
		store_db_delete(b->s, STORE_DB_PIECES, &key);
	}
}

/* The record begins with no references; until the transaction ends a message may take it. */
static void put_record(struct store_body *b, const uint8_t hash[MAIL_HASH_SIZE],
	const uint8_t *file_hash)
{
	struct store *s = b->s;
	struct store_body_record record = { .encoding = STORE_RAW, .info.size = b->size };
	struct store_key key;
	memcpy(record.info.hash, hash, MAIL_HASH_SIZE);
	if (file_hash != NULL) {
		record.info.has_file_hash = true;
		memcpy(record.info.file_hash, file_hash, MAIL_HASH_SIZE);
	}
	store_key_u64(&key, b->number);
	store_db_append(s, STORE_DB_BODIES, &key, store_body_encode(s, &record));
	store_fresh_add(s, b->number);
	store_hash_add(s, hash, b->number);
}

uint64_t store_body_finish(struct store_body *b, const uint8_t hash[MAIL_HASH_SIZE],
	const uint8_t *file_hash)
{
	struct store *s = b->s;
	INVARIANT(s->write != NULL);
	if (b->lost)
		store_fail(s, ECANCELED, "write a body whose beginning was lost with an earlier transaction");
	bool flushed = b->number != 0;
	uint64_t number;
	if (store_body_find(s, hash, &number)) {
		drop_flushed(b);
	} else {
		if (!flushed)
			b->number = ++s->counters.body;
		number = b->number;
		while (b->first != NULL)
			put_first(b);
		put_record(b, hash, file_hash);
	}
	if (flushed) {
		struct store_key key;
		store_key_u64(&key, b->number);
		store_db_delete(s, STORE_DB_UNFINISHED, &key);
	}
	store_body_free(b);
	return number;
}

void store_body_free(struct store_body *b)
{
	if (b == NULL)
		return;
	while (b->first != NULL)
		drop_first(b);
	unlink_body(b);
	free(b);
}
