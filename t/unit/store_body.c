/* Bodies: pieces, flushes, hashes, references, sweeps. */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/tap.h"
#include "store/store_private.h"

static char state[] = "/tmp/store-body.XXXXXX";
static struct err err;
static enum err_class committed;

static struct store *reopen(struct store *s)
{
	store_close(s);
	s = store_open(state, true, false, NULL, &err);
	if (s == NULL)
		diag("open: %s", err.text);
	return s;
}

static void begin(struct store *s)
{
	if (store_begin(s, &err) < 0)
		diag("begin: %s", err.text);
}

static void on_commit(void *arg, const struct err *e)
{
	(void)arg;
	committed = e->cls;
	err = *e;
}

static bool commit(struct store *s)
{
	store_commit(s, on_commit, NULL);
	return committed == ERR_NONE;
}

/* Octets that a seed stands for. */
static uint8_t *make_octets(uint32_t seed, size_t len, uint8_t hash[MAIL_HASH_SIZE])
{
	uint8_t *octets = calloc(1, len + 1);
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		octets[i] = (uint8_t)(seed >> 24);
	}
	SHA256(octets, len, hash);
	return octets;
}

static uint64_t put_body(struct store *s, uint32_t seed, size_t len, size_t chunk)
{
	uint8_t hash[MAIL_HASH_SIZE], *octets = make_octets(seed, len, hash);
	struct store_body *b = store_body_new(s);
	for (size_t at = 0; at < len; at += chunk)
		store_body_write(b, octets + at, len - at < chunk ? len - at : chunk);
	free(octets);
	return store_body_finish(b, hash, NULL);
}

struct reading {
	uint8_t *octets;
	size_t len;
};

static void on_piece(void *arg, const void *data, size_t len)
{
	struct reading *r = arg;
	r->octets = realloc(r->octets, r->len + len + 1);
	memcpy(r->octets + r->len, data, len);
	r->len += len;
}

static bool is_body(struct store *s, uint64_t body, uint32_t seed, size_t len)
{
	uint8_t hash[MAIL_HASH_SIZE], *octets = make_octets(seed, len, hash);
	struct reading r = { NULL, 0 };
	bool same = store_body_read(s, body, on_piece, &r, &err) == 0 && r.len == len &&
		(len == 0 || memcmp(r.octets, octets, len) == 0);
	free(octets);
	free(r.octets);
	return same;
}

static uint64_t find(struct store *s, uint32_t seed, size_t len)
{
	uint8_t hash[MAIL_HASH_SIZE];
	uint64_t body = 0;
	free(make_octets(seed, len, hash));
	return store_body_find(s, hash, &body) ? body : 0;
}

static size_t count_all(struct store *s, enum store_db db)
{
	struct store_walk w;
	struct store_key key;
	size_t count = 0;
	store_key_u64(&key, 0);
	for (bool more = store_walk(&w, s, db, &key); more; more = store_walk_next(&w))
		count++;
	store_walk_end(&w);
	return count;
}

static uint64_t put_message(struct store *s, uint64_t number, uint64_t body)
{
	struct store_message m;
	store_message_init(&m);
	m.number = number;
	m.body = body;
	store_message_put(s, &m);
	number = m.number;
	store_message_release(&m);
	return number;
}

static void test_sizes(void)
{
	static const size_t sizes[] = { 0, 1, 511, 512, 513, 2030, 2040, 4079, 4080, 4081, 8160, 8161,
		65280, 65281, 1000000 };
	static const size_t chunks[] = { 1000000, 4096, 77 };
	uint64_t bodies[sizeof sizes / sizeof *sizes];
	struct store *s = reopen(NULL);
	for (size_t c = 0; c < 3; c++) {
		begin(s);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			bodies[i] = put_body(s, (uint32_t)(i + 100 * c), sizes[i], chunks[c]);
		ok(is_body(s, bodies[9], (uint32_t)(9 + 100 * c), sizes[9]), "read inside");
		ok(commit(s), "chunks of %zu", chunks[c]);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			ok(is_body(s, bodies[i], (uint32_t)(i + 100 * c), sizes[i]), "%zu octets", sizes[i]);
			ok(sizes[i] == 0 || find(s, (uint32_t)(i + 100 * c), sizes[i]) == bodies[i], "found");
		}
	}
	struct store_body_info info;
	ok(store_body_info(s, bodies[14], &info) && info.size == 1000000 && info.references == 0 &&
		!info.has_file_hash, "info");
	ok(!store_body_info(s, 4711, &info), "no such body");
	is_int(store_body_read(s, 4711, on_piece, NULL, &err), -1, "nor octets: %s", err.text);
	store_close(s);
}

static size_t count_pages(struct store *s)
{
	MDB_stat stat;
	mdb_stat(store_read_begin(s), s->dbs[STORE_DB_PIECES], &stat);
	store_read_end(s);
	return stat.ms_overflow_pages;
}

/* A page of LMDB's holds a whole piece, and nothing of it lies in a second one. */
static void test_piece_is_a_page(void)
{
	struct store *s = reopen(NULL);
	size_t before = count_pages(s);
	begin(s);
	put_body(s, 5000, 100 * STORE_PIECE_SIZE, 1 << 16);
	commit(s);
	is_int(count_pages(s) - before, 100, "one page for each piece");
	store_close(s);
}

static void test_same_mail(void)
{
	struct store *s = reopen(NULL);
	struct store_body_info info;
	uint8_t hash[MAIL_HASH_SIZE], file_hash[MAIL_HASH_SIZE];
	begin(s);
	uint64_t body = put_body(s, 6000, 10000, 4096);
	uint64_t one = put_message(s, 0, body);
	is_int(put_body(s, 6000, 10000, 100), body, "kept once, inside");
	commit(s);
	begin(s);
	size_t pieces = count_all(s, STORE_DB_PIECES);
	is_int(put_body(s, 6000, 10000, 4096), body, "and later");
	is_int(count_all(s, STORE_DB_PIECES), pieces, "no pieces more");
	uint64_t two = put_message(s, 0, body);
	put_message(s, two, body);
	commit(s);
	store_body_info(s, body, &info);
	is_int(info.references, 2, "counted, a repeated put once");

	begin(s);
	put_message(s, one, 0);
	store_message_delete(s, two);
	store_body_info(s, body, &info);
	is_int(info.references, 0, "let go");
	uint64_t three = put_message(s, 0, body);
	commit(s);
	is_int(store_bodies_sweep(s, &err), 0, "swept");
	ok(is_body(s, body, 6000, 10000), "what was taken up again stays");
	begin(s);
	store_message_delete(s, three);
	commit(s);
	is_int(store_bodies_sweep(s, &err), 0, "swept again");
	ok(!store_body_info(s, body, &info) && find(s, 6000, 10000) == 0, "gone");

	begin(s);
	free(make_octets(6001, 10, hash));
	memset(file_hash, 7, sizeof file_hash);
	struct store_body *b = store_body_new(s);
	body = store_body_finish(b, hash, file_hash);
	commit(s);
	ok(store_body_info(s, body, &info) && info.has_file_hash, "a hash of the file form");
	is_mem(info.file_hash, 32, file_hash, 32, "its octets");
	is_int(store_body_read(s, body, on_piece, NULL, &err), -1, "a wrong hash: %s", err.text);
	store_bodies_sweep(s, &err);
	is_int(count_all(s, STORE_DB_PIECES), 0, "no piece is left");
	is_int(count_all(s, STORE_DB_UNUSED), 0, "nor an entry");
	is_int(count_all(s, STORE_DB_DROPPED), 0, "of any kind");
	store_close(s);
}

/* 20 MB in three transactions, other bodies ending in between. */
static void test_large(void)
{
	struct store *s = reopen(NULL);
	size_t len = 20000000, at = 0;
	uint8_t hash[MAIL_HASH_SIZE], *octets = make_octets(7000, len, hash);
	struct store_body *b = store_body_new(s);
	uint64_t others[3];
	for (int i = 0; i < 3; i++, at += 6000000) {
		store_body_write(b, octets + at, 6000000);
		begin(s);
		store_body_flush(b);
		ok(store_body_waiting(b) < STORE_PIECE_SIZE, "only the rest of a piece waits");
		others[i] = put_body(s, 7001 + (uint32_t)i, 5000, 5000);
		ok(commit(s), "a part");
		begin(s);
		put_message(s, 0, 0);
		store_abort(s);
	}
	is_int(count_all(s, STORE_DB_UNFINISHED), 1, "noted as unfinished");
	is_int(store_bodies_sweep(s, &err), 0, "a sweep meanwhile");
	is_int(find(s, 7001, 5000), 0, "takes what is unused");
	store_body_write(b, octets + at, len - at);
	begin(s);
	uint64_t body = store_body_finish(b, hash, NULL);
	uint64_t message = put_message(s, 0, body);
	ok(body < others[0], "its number is from its beginning");
	ok(commit(s), "ended");
	is_int(count_all(s, STORE_DB_UNFINISHED), 0, "no longer unfinished");
	s = reopen(s);
	ok(is_body(s, body, 7000, len), "whole");

	/* The same once more, flushed before its hash is known. */
	size_t pieces = count_all(s, STORE_DB_PIECES);
	b = store_body_new(s);
	store_body_write(b, octets, 9000000);
	begin(s);
	store_body_flush(b);
	commit(s);
	ok(count_all(s, STORE_DB_PIECES) > pieces, "flushed");
	store_body_write(b, octets + 9000000, len - 9000000);
	begin(s);
	is_int(store_body_finish(b, hash, NULL), body, "the same number");
	commit(s);
	is_int(count_all(s, STORE_DB_PIECES), pieces, "and the pieces went");
	is_int(count_all(s, STORE_DB_UNFINISHED), 0, "unfinished no more");

	begin(s);
	store_message_delete(s, message);
	commit(s);
	is_int(store_bodies_sweep(s, &err), 0, "more pieces than one transaction takes");
	is_int(count_all(s, STORE_DB_PIECES), 0, "none left");
	free(octets);
	store_close(s);
}

static void test_given_up(void)
{
	struct store *s = reopen(NULL);
	uint8_t hash[MAIL_HASH_SIZE], *octets = make_octets(8000, 100000, hash);
	struct store_body *b = store_body_new(s);
	store_body_write(b, octets, 50000);
	begin(s);
	store_body_flush(b);
	commit(s);
	ok(count_all(s, STORE_DB_PIECES) > 0, "pieces of a body that never ends");
	store_body_free(b);
	store_body_free(NULL);
	s = reopen(s);
	is_int(count_all(s, STORE_DB_PIECES), 0, "swept by the next writer");
	is_int(count_all(s, STORE_DB_UNFINISHED), 0, "and forgotten");

	b = store_body_new(s);
	store_body_write(b, octets, 50000);
	begin(s);
	store_body_flush(b);
	store_abort(s);
	store_body_write(b, octets + 50000, 50000);
	begin(s);
	store_body_finish(b, hash, NULL);
	ok(!commit(s), "a body with a hole cannot be committed: %s", err.text);
	is_int(count_all(s, STORE_DB_BODIES), 0, "and was not");
	begin(s);
	uint64_t body = put_body(s, 8000, 100000, 1 << 16);
	ok(commit(s), "fetched again");
	ok(is_body(s, body, 8000, 100000), "whole");
	free(octets);
	store_close(s);
}

static void test_damage(void)
{
	struct store *s = reopen(NULL);
	struct store_key key;
	begin(s);
	uint64_t body = put_body(s, 9000, 100000, 1 << 16);
	commit(s);
	begin(s);
	store_key_piece(&key, body, 3);
	store_db_put(s, STORE_DB_PIECES, &key, slice_of("other octets"));
	commit(s);
	ok(!is_body(s, body, 9000, 100000), "a changed piece: %s", err.text);
	begin(s);
	store_db_delete(s, STORE_DB_PIECES, &key);
	commit(s);
	ok(!is_body(s, body, 9000, 100000), "a missing one: %s", err.text);
	store_close(s);
}

/* Past the table in memory: hashes in the index, found by writer and after opening again. */
static void test_hashes(void)
{
	struct store *s = reopen(NULL);
	uint8_t hash[MAIL_HASH_SIZE], *octets = make_octets(1, 10000, hash);
	struct store_body *late = store_body_new(s);
	store_body_write(late, octets, 9000);
	begin(s);
	store_body_flush(late);
	for (uint32_t i = 0; i < 5000; i++)
		put_message(s, 0, put_body(s, 20000 + i, 50, 50));
	commit(s);
	is_int(count_all(s, STORE_DB_HASHES), 0, "a batch leaves the index alone");
	is_int(store_bodies_sweep(s, &err), 0, "the end of a run");
	is_int(count_all(s, STORE_DB_HASHES), 5000, "does not");
	begin(s);
	store_body_write(late, octets + 9000, 1000);
	uint64_t body = store_body_finish(late, hash, NULL);
	put_message(s, 0, body);
	put_message(s, 0, put_body(s, 30000, 50, 50));
	commit(s);
	for (int i = 0; i < 2; i++, s = reopen(s)) {
		int found = 0;
		for (uint32_t k = 0; k < 5000; k++)
			found += find(s, 20000 + k, 50) != 0;
		is_int(found, 5000, "found in the index");
		is_int(find(s, 1, 10000), body, "one that ended late");
		ok(find(s, 30000, 50) != 0, "one that came after");
		is_int(find(s, 31000, 50), 0, "none that never was");
	}
	begin(s);
	put_body(s, 40000, 50, 50);
	store_abort(s);
	is_int(find(s, 40000, 50), 0, "nor one that was aborted");
	begin(s);
	uint64_t number = put_body(s, 40001, 50, 50);
	is_int(find(s, 40001, 50), number, "its number now is another's");
	is_int(find(s, 40000, 50), 0, "and not found by the old hash");
	commit(s);
	free(octets);
	store_close(s);
}

int main(void)
{
	if (mkdtemp(state) == NULL)
		return 1;
	test_sizes();
	test_piece_is_a_page();
	test_same_mail();
	test_large();
	test_given_up();
	test_damage();
	test_hashes();
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", state);
	return done_testing() | (system(command) != 0);
}
