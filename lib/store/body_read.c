/* Bodies that are there: counted, read, and swept once nothing refers to them.
 *
 * A sweep works in transactions of bounded size, and a body may be larger than one: its record goes
 * first, and its number to "dropped" in the same transaction, so that a crash leaves pieces that the
 * next sweep deletes, never a record without its pieces. "unfinished" is not for it: what stands there
 * may be on its way in. */
#include <stdlib.h>

#include "store/store_private.h"

#define READ_SIZE (16 * STORE_PIECE_SIZE) /* about 64 KB */
/* In one transaction. A freed page takes 8 octets in LMDB's free list, which wants them side by side:
 * 16 KB. */
#define SWEEP_PIECES 2048
#define SWEEP_BODIES 512

static bool get_record(struct store *s, uint64_t body, struct store_body_record *record)
{
	struct store_key key;
	struct slice value;
	store_key_u64(&key, body);
	store_read_begin(s);
	bool found = store_db_get(s, STORE_DB_BODIES, &key, &value);
	if (found)
		INVARIANT(store_body_decode(value, record));
	store_read_end(s);
	return found;
}

bool store_body_info(struct store *s, uint64_t body, struct store_body_info *info)
{
	struct store_body_record record;
	if (!get_record(s, body, &record))
		return false;
	*info = record.info;
	return true;
}

void store_body_refer(struct store *s, uint64_t body, int sign)
{
	struct store_body_record record;
	struct store_key key;
	if (body == 0 || s->failed)
		return;
	bool found = get_record(s, body, &record);
	INVARIANT(s->failed || (found && (sign > 0 || record.info.references > 0)));
	if (!found)
		return;
	uint64_t before = record.info.references;
	record.info.references = sign > 0 ? before + 1 : before - 1;
	store_key_u64(&key, body);
	store_db_put(s, STORE_DB_BODIES, &key, store_body_encode(s, &record));
	if (before == 0)
		store_db_delete(s, STORE_DB_UNUSED, &key);
	else if (record.info.references == 0)
		store_db_put(s, STORE_DB_UNUSED, &key, STORE_NOTHING);
}

void store_fresh_add(struct store *s, uint64_t body)
{
	struct store_fresh *f = &s->fresh;
	if (f->count == f->size) {
		f->size = f->size * 2 + 64;
		f->bodies = mem_grow(f->bodies, f->size, sizeof *f->bodies);
	}
	f->bodies[f->count++] = body;
}

void store_fresh_flush(struct store *s)
{
	for (size_t i = 0; i < s->fresh.count; i++) {
		struct store_body_record record;
		struct store_key key;
		store_key_u64(&key, s->fresh.bodies[i]);
		if (get_record(s, s->fresh.bodies[i], &record) && record.info.references == 0)
			store_db_put(s, STORE_DB_UNUSED, &key, STORE_NOTHING);
	}
}

/* Copies pieces from `piece` on; returns how many, and their octets. */
static uint32_t gather(struct store *s, uint64_t body, uint32_t piece, uint8_t *to, size_t *len)
{
	struct store_walk w;
	struct store_key key;
	uint32_t count = 0;
	*len = 0;
	store_key_piece(&key, body, piece);
	bool more = store_walk(&w, s, STORE_DB_PIECES, &key);
	/* A gap in the numbers ends the body too early, which its size and hash tell. */
	while (more && store_take_u64((const uint8_t *)w.key.data) == body &&
	       store_take_u32((const uint8_t *)w.key.data + 8) == piece + count &&
	       w.value.len <= READ_SIZE - *len) {
		memcpy(to + *len, w.value.data, w.value.len);
		*len += w.value.len;
		count++;
		more = store_walk_next(&w);
	}
	store_walk_end(&w);
	return count;
}

/* Each 64 KB has a snapshot of its own, and none is held while `piece` runs: it may be writing to a
 * slow pipe, and a snapshot that stays makes the writer's file grow. A body never changes; one that
 * was swept meanwhile ends too early, and fails. */
int store_body_read(struct store *s, uint64_t body,
	void (*piece)(void *arg, const void *data, size_t len), void *arg, struct err *err)
{
	struct store_body_record record;
	if (!get_record(s, body, &record))
		return err_set(err, ERR_RETRY, ERR_MESSAGE, "body %llu is not in the store",
			(unsigned long long)body);
	if (record.encoding != STORE_RAW)
		return err_set(err, ERR_USER, ERR_MESSAGE, "body %llu has encoding %u, made by a "
			"newer mailtide", (unsigned long long)body, record.encoding);

	struct mail_hash *hash = mail_hash_new();
	uint8_t *buffer = mem_new(READ_SIZE), got[MAIL_HASH_SIZE];
	uint64_t size = 0;
	size_t len;
	uint32_t at = 0, count;
	while ((count = gather(s, body, at, buffer, &len)) > 0) {
		at += count;
		size += len;
		mail_hash_add(hash, buffer, len);
		piece(arg, buffer, len);
	}
	mail_hash_take(hash, got);
	mail_hash_free(hash);
	free(buffer);
	if (size != record.info.size || memcmp(got, record.info.hash, MAIL_HASH_SIZE) != 0)
		return err_set(err, ERR_USER, ERR_MESSAGE, "body %llu in the store \"%s\" is damaged",
			(unsigned long long)body, s->path);
	return 0;
}

/* Deletes up to *room pieces, and takes them off it. True once none is left. */
static bool delete_pieces(struct store *s, uint64_t body, uint32_t *room)
{
	for (;;) {
		struct store_walk w;
		struct store_key key;
		store_key_piece(&key, body, 0);
		bool found = store_walk(&w, s, STORE_DB_PIECES, &key) &&
			store_take_u64((const uint8_t *)w.key.data) == body;
		if (found)
			store_key_piece(&key, body, store_take_u32((const uint8_t *)w.key.data + 8));
		store_walk_end(&w);
		if (!found)
			return true;
		if (*room == 0 || s->failed)
			return false;
		store_db_delete(s, STORE_DB_PIECES, &key);
		(*room)--;
	}
}

/* The first body in "unused", "unfinished" or "dropped"; 0 where there is none. */
static uint64_t first_body(struct store *s, enum store_db db)
{
	struct store_walk w;
	struct store_key key;
	store_key_u64(&key, 0);
	bool found = store_walk(&w, s, db, &key);
	uint64_t body = found ? store_take_u64((const uint8_t *)w.key.data) : 0;
	store_walk_end(&w);
	return body;
}

static void drop_body(struct store *s, uint64_t body)
{
	struct store_body_record record;
	struct store_key key;
	INVARIANT(get_record(s, body, &record) && record.info.references == 0);
	store_hash_drop(s, record.info.hash, body);
	store_key_u64(&key, body);
	store_db_delete(s, STORE_DB_BODIES, &key);
	store_db_delete(s, STORE_DB_UNUSED, &key);
	store_db_put(s, STORE_DB_DROPPED, &key, STORE_NOTHING);
}

/* Deletes the pieces of what stands in `db`, as far as there is room. */
static void delete_dropped(struct store *s, enum store_db db)
{
	uint32_t room = SWEEP_PIECES;
	for (uint64_t body = first_body(s, db); body != 0; body = first_body(s, db)) {
		struct store_key key;
		if (!delete_pieces(s, body, &room))
			return;
		store_key_u64(&key, body);
		store_db_delete(s, db, &key);
	}
}

int store_bodies_sweep(struct store *s, struct err *err)
{
	while (first_body(s, STORE_DB_UNUSED) != 0 || first_body(s, STORE_DB_DROPPED) != 0) {
		uint64_t body;
		if (store_begin(s, err) < 0)
			return -1;
		for (int i = 0; i < SWEEP_BODIES && (body = first_body(s, STORE_DB_UNUSED)) != 0; i++)
			drop_body(s, body);
		delete_dropped(s, STORE_DB_DROPPED);
		if (store_commit_now(s, err) < 0)
			return -1;
	}
	return store_recent_index(s, true, err);
}

int store_bodies_sweep_unfinished(struct store *s, struct err *err)
{
	while (first_body(s, STORE_DB_UNFINISHED) != 0) {
		if (store_begin(s, err) < 0)
			return -1;
		delete_dropped(s, STORE_DB_UNFINISHED);
		if (store_commit_now(s, err) < 0)
			return -1;
	}
	return 0;
}
