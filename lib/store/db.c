/* Access to single databases: get, put, delete, walk. A write transaction keeps one cursor for each
 * database, since a batch goes through its keys nearly in order and a cursor that stands on the right page
 * need not search from the root. */
#include "store/store_private.h"

static MDB_val val_of(struct slice s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.data };
}

static MDB_val val_of_key(const struct store_key *key)
{
	return (MDB_val){ key->len, (void *)(uintptr_t)key->data };
}

static struct slice slice_of_val(MDB_val v)
{
	return (struct slice){ v.mv_data, v.mv_size };
}

/* Something else than "there is none". A transaction ends by failing; outside one nobody would
 * hear of it, and an answer that is not true may delete mail. */
static void read_failed(struct store *s, int code)
{
	if (s->write == NULL)
		err_broken(mdb_strerror(code), __FILE__, __LINE__);
	store_fail(s, code, "read");
}

static MDB_cursor *cursor_of(struct store *s, enum store_db db)
{
	if (s->cursors[db] == NULL) {
		int code = mdb_cursor_open(s->write, s->dbs[db], &s->cursors[db]);
		if (code != 0)
			store_fail(s, code, "write");
	}
	return s->failed ? NULL : s->cursors[db];
}

bool store_db_get(struct store *s, enum store_db db, const struct store_key *key,
	struct slice *value)
{
	MDB_val k = val_of_key(key), v = { 0 };
	int code;
	if (s->dbs[db] == 0)
		return false;
	if (s->write != NULL) {
		MDB_cursor *cursor = cursor_of(s, db);
		if (cursor == NULL)
			return false;
		code = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
	} else {
		code = mdb_get(s->read, s->dbs[db], &k, &v);
	}
	if (code != 0 && code != MDB_NOTFOUND)
		read_failed(s, code);
	if (code != 0)
		return false;
	*value = slice_of_val(v);
	return true;
}

static void put(struct store *s, enum store_db db, const struct store_key *key, struct slice value,
	unsigned flags)
{
	INVARIANT(s->write != NULL);
	MDB_cursor *cursor = cursor_of(s, db);
	if (cursor == NULL)
		return;
	MDB_val k = val_of_key(key), v = val_of(value);
	int code = mdb_cursor_put(cursor, &k, &v, flags);
	if (code == MDB_KEYEXIST && flags == MDB_APPEND)
		code = mdb_cursor_put(cursor, &k, &v, 0);
	if (code != 0)
		store_fail(s, code, "write");
}

void store_db_put(struct store *s, enum store_db db, const struct store_key *key,
	struct slice value)
{
	put(s, db, key, value, 0);
}

/* MDB_APPEND also fills its pages to the end, where a put leaves them half empty. */
void store_db_append(struct store *s, enum store_db db, const struct store_key *key,
	struct slice value)
{
	put(s, db, key, value, MDB_APPEND);
}

void store_db_delete(struct store *s, enum store_db db, const struct store_key *key)
{
	INVARIANT(s->write != NULL);
	MDB_cursor *cursor = cursor_of(s, db);
	if (cursor == NULL)
		return;
	MDB_val k = val_of_key(key), v;
	int code = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
	if (code == 0)
		code = mdb_cursor_del(cursor, 0);
	if (code != 0 && code != MDB_NOTFOUND)
		store_fail(s, code, "delete");
}

static bool step(struct store_walk *w, MDB_val *k, MDB_cursor_op op)
{
	MDB_val v;
	int code = mdb_cursor_get(w->cursor, k, &v, op);
	if (code != 0 && code != MDB_NOTFOUND)
		read_failed(w->s, code);
	if (code != 0)
		return false;
	w->key = slice_of_val(*k);
	w->value = slice_of_val(v);
	return true;
}

bool store_walk(struct store_walk *w, struct store *s, enum store_db db,
	const struct store_key *from)
{
	*w = (struct store_walk){ .s = s };
	MDB_txn *txn = store_read_begin(s);
	if ((s->write != NULL && s->failed) || s->dbs[db] == 0)
		return false;
	int code = mdb_cursor_open(txn, s->dbs[db], &w->cursor);
	if (code != 0) {
		read_failed(s, code);
		return false;
	}
	MDB_val k = val_of_key(from);
	return step(w, &k, MDB_SET_RANGE);
}

bool store_walk_next(struct store_walk *w)
{
	MDB_val k;
	return step(w, &k, MDB_NEXT);
}

void store_walk_end(struct store_walk *w)
{
	if (w->cursor != NULL)
		mdb_cursor_close(w->cursor);
	w->cursor = NULL;
	store_read_end(w->s);
}
