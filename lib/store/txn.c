/* Transactions. Reads share one LMDB read transaction that is reset while nobody reads: a reset one
 * holds no snapshot (an old snapshot would keep the writer from using freed pages again), and to renew it
 * costs no lock and no allocation. While a transaction is open, reads go through it and see what was put.
 *
 * What a transaction changes outside LMDB's pages (counters, counts, the keyword cache) is written
 * into it just before the commit, and forgotten where it comes to nothing. So a crash at any point leaves
 * the store as it was before store_begin or as it is after store_commit. */
#include "base/point.h"
#include "store/store_private.h"

MDB_txn *store_read_begin(struct store *s)
{
	if (s->write != NULL)
		return s->write;
	if (s->reads++ > 0)
		return s->read;
	int code = mdb_txn_renew(s->read);
	if (code == MDB_MAP_RESIZED) {
		store_map_follow(s);
		code = mdb_txn_renew(s->read);
	}
	/* Nothing can be read any more; to say "there is none" would be a lie that deletes mail. */
	if (code != 0)
		err_broken(mdb_strerror(code), __FILE__, __LINE__);
	return s->read;
}

void store_read_end(struct store *s)
{
	if (s->write != NULL)
		return;
	if (--s->reads == 0)
		mdb_txn_reset(s->read);
}

int store_begin_now(struct store *s, struct err *err)
{
	INVARIANT(s->write == NULL && s->reads == 0 && !s->read_only);
	store_map_grow(s);
	int code = mdb_txn_begin(s->env, NULL, 0, &s->write);
	if (code == MDB_MAP_RESIZED) {
		store_map_follow(s);
		code = mdb_txn_begin(s->env, NULL, 0, &s->write);
	}
	if (code != 0) {
		s->write = NULL;
		return store_error(s, code, "begin a transaction", err);
	}
	s->failed = false;
	s->committed = s->counters;
	return 0;
}

int store_begin(struct store *s, struct err *err)
{
	INVARIANT(s->write == NULL && s->reads == 0 && !s->read_only);
	if (store_recent_index(s, false, err) < 0)
		return -1;
	return store_begin_now(s, err);
}

void store_fail(struct store *s, int code, const char *what)
{
	INVARIANT(s->write != NULL);
	if (code == MDB_MAP_FULL)
		s->map_full = true;
	if (s->failed)
		return;
	s->failed = true;
	store_error(s, code, what, &s->failure);
}

static void close_cursors(struct store *s)
{
	for (int i = 0; i < STORE_DBS; i++) {
		if (s->cursors[i] != NULL)
			mdb_cursor_close(s->cursors[i]);
		s->cursors[i] = NULL;
	}
}

/* The transaction is over and came to nothing. */
static void forget(struct store *s)
{
	s->write = NULL;
	s->counters = s->committed;
	s->tallies.count = 0;
	s->actions_counted = false;
	s->fresh.count = 0;
	store_bodies_settle(s, true);
	store_keywords_forget(s);
	store_recent_forget(s);
}

void store_abort(struct store *s)
{
	INVARIANT(s->write != NULL);
	close_cursors(s);
	mdb_txn_abort(s->write);
	forget(s);
}

static void put_counters(struct store *s)
{
	if (memcmp(&s->counters, &s->committed, sizeof s->counters) == 0)
		return;
	struct store_key key;
	store_key_text(&key, slice_of("counters"));
	store_db_put(s, STORE_DB_META, &key, store_counters_encode(s, &s->counters));
}

int store_commit_now(struct store *s, struct err *err)
{
	INVARIANT(s->write != NULL);
	store_fresh_flush(s);
	store_tallies_flush(s);
	store_actions_flush(s);
	put_counters(s);
	if (s->failed) {
		if (err != NULL)
			*err = s->failure;
		store_abort(s);
		return -1;
	}
	close_cursors(s);
	point("store.before-commit");
	int code = mdb_txn_commit(s->write);
	if (code != 0) {
		s->map_full = code == MDB_MAP_FULL;
		forget(s);
		store_env_revive(s);
		return store_error(s, code, "commit", err);
	}
	s->write = NULL;
	s->tallies.count = 0;
	s->actions_counted = false;
	s->fresh.count = 0;
	store_bodies_settle(s, false);
	point("store.after-commit");
	return 0;
}

void store_commit(struct store *s, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err err;
	err_clear(&err);
	store_commit_now(s, &err);
	if (done != NULL)
		done(arg, &err);
}
