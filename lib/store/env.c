/* The environment: made or opened, its map, its errors.
 *
 * A new store is whole with its first transaction, which holds the schema version; a crash before it
 * leaves files that count as no store, and the next store_open with `create` goes on there.
 *
 * The map is address space, not memory. A transaction begins with room for the largest batch, or the map
 * is doubled first; readers in other processes notice when what they should see lies beyond their map. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"
#include "store/store_private.h"

#define MAP_START ((size_t)64 << 30)
#define MAP_RESERVE ((size_t)256 << 20)
/* More than LMDB wants for its 126 readers; it takes the size as it finds it. */
#define LOCK_FILE_SIZE 16384
#define PROBE_SIZE (1 << 20)

/* LMDB says EIO where a write came back short, as it does on a full disk, and in a new file ENOSPC: one
 * more write tells. */
static int why_short(const char *path, int said)
{
	int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	int code = fd < 0 ? errno : posix_fallocate(fd, 0, PROBE_SIZE);
	if (fd >= 0)
		close(fd);
	return code == ENOSPC || code == EDQUOT ? code : said;
}

int store_error(const struct store *s, int code, const char *what, struct err *err)
{
	if (code == EIO || code == ENOSPC)
		code = why_short(s->path, code);
	switch (code) {
	case MDB_MAP_FULL:
	case MDB_READERS_FULL:
		return err_set(err, ERR_RETRY, ERR_ACCOUNT, "cannot %s in the store \"%s\": %s", what,
			s->path, mdb_strerror(code));
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" is not a store of mailtide",
			s->path);
	}
	if (code > 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, code, "cannot %s in the store \"%s\"",
			what, s->path);
	return err_set(err, ERR_USER, ERR_ACCOUNT, "cannot %s in the store \"%s\": %s", what,
		s->path, mdb_strerror(code));
}

static void map_set(struct store *s, size_t size)
{
	/* LMDB has given the old map back by then; without one there is nothing to go on with. */
	int code = mdb_env_set_mapsize(s->env, size);
	if (code != 0)
		err_broken(mdb_strerror(code), __FILE__, __LINE__);
}

void store_map_follow(struct store *s)
{
	map_set(s, 0);
}

void store_map_grow(struct store *s)
{
	MDB_envinfo info;
	MDB_stat stat;
	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &stat);
	size_t used = (info.me_last_pgno + 1) * stat.ms_psize, size = info.me_mapsize;
	if (s->map_full)
		size *= 2;
	while (size < used || size - used < s->map_reserve)
		size *= 2;
	s->map_full = false;
	if (size != info.me_mapsize)
		map_set(s, size);
}

static int sync_folder(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code = fd < 0 || fsync(fd) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (code != 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, code, "cannot sync \"%s\"", path);
	return 0;
}

/* LMDB maps its lock file and writes to the map: on a full disk that would be a SIGBUS, so the
 * octets are made sure of first. */
static int reserve_lock_file(struct store *s, struct err *err)
{
	char *path = file_join(s->path, "lock.mdb");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int code = fd < 0 ? errno : 0;
	struct stat st;
	if (code == 0 && fstat(fd, &st) == 0 && st.st_size < LOCK_FILE_SIZE)
		code = posix_fallocate(fd, 0, LOCK_FILE_SIZE);
	if (fd >= 0)
		close(fd);
	free(path);
	return code != 0 ? store_error(s, code, "make the lock", err) : 0;
}

/* The first thing that LMDB writes are two pages that say what it is. Where the disk had room for one
 * only, it would take the file for somebody else's, for ever. */
static bool is_half_made(const char *data)
{
	static const uint32_t magic = 0xBEEFC0DE; /* of LMDB */
	struct { uint8_t page_header[16]; uint32_t magic; } head;
	struct stat st;
	int fd = open(data, O_RDONLY | O_CLOEXEC);
	bool half = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		st.st_size < 2 * sysconf(_SC_PAGESIZE) &&
		pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head && head.magic == magic;
	if (fd >= 0)
		close(fd);
	return half;
}

/* Sees that the folder is there, or what it should be. */
static int find_or_make(struct store *s, bool create, bool *missing, struct err *err)
{
	struct stat st;
	char *data = file_join(s->path, "data.mdb");
	int code = stat(data, &st) < 0 ? errno : 0;
	if (code == 0 && is_half_made(data))
		code = create && unlink(data) < 0 ? errno : ENOENT;
	free(data);
	if (code == ENOENT && create)
		return file_mkdirs(s->path, 0700, err);
	if (code == ENOENT || code == ENOTDIR) {
		*missing = true;
		return err_set(err, ERR_USER, ERR_ACCOUNT, "there is no store \"%s\" yet", s->path);
	}
	return code != 0 ? store_error(s, code, "look", err) : 0;
}

/* The kernel's read-ahead stays on: without it one cold body comes in 0.3 ms in place of 0.7, but
 * 100,000 in a row, as a Maildir is made anew, in 15 s in place of 2.3. */
static int env_open(struct store *s, size_t map_start, struct err *err)
{
	int code = mdb_env_create(&s->env), fd, dead;
	if (code == 0)
		code = mdb_env_set_mapsize(s->env, map_start);
	if (code == 0)
		code = mdb_env_set_maxdbs(s->env, STORE_DBS);
	if (code == 0)
		code = mdb_env_open(s->env, s->path, MDB_NOTLS | (s->read_only ? MDB_RDONLY : 0), 0600);
	if (code == 0)
		code = mdb_env_get_fd(s->env, &fd);
	/* LMDB's other two descriptors have it already. */
	if (code == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		code = errno;
	if (code != 0)
		return store_error(s, code, "open", err);
	/* Readers that were killed hold their snapshots for ever. */
	mdb_reader_check(s->env, &dead);
	return 0;
}

/* What an older schema had not is not opened but made, with MDB_CREATE; a reader finds it empty. */
static int open_dbs(struct store *s, MDB_txn *txn, unsigned flags)
{
	static const char *const names[STORE_DBS] = STORE_DB_NAMES_INIT;
	int count = s->schema < STORE_SCHEMA && flags == 0 ? STORE_DBS_OF_SCHEMA_1 : STORE_DBS;
	for (int i = 0; i < count; i++) {
		int code = mdb_dbi_open(txn, names[i], flags, &s->dbs[i]);
		if (code != 0)
			return code;
	}
	return 0;
}

static bool meta_get(struct store *s, MDB_txn *txn, const char *name, struct slice *value)
{
	struct store_key key;
	store_key_text(&key, slice_of(name));
	MDB_val k = { key.len, key.data }, v;
	if (mdb_get(txn, s->dbs[STORE_DB_META], &k, &v) != 0)
		return false;
	*value = (struct slice){ v.mv_data, v.mv_size };
	return true;
}

/* *empty: nothing was ever written. */
static int read_meta(struct store *s, MDB_txn *txn, bool *empty, struct err *err)
{
	MDB_stat stat;
	MDB_dbi top;
	struct slice value;
	int code = mdb_dbi_open(txn, NULL, 0, &top);
	if (code == 0)
		code = mdb_stat(txn, top, &stat);
	if (code != 0)
		return store_error(s, code, "read", err);
	*empty = stat.ms_entries == 0;
	if (*empty)
		return 0;
	if (mdb_dbi_open(txn, "meta", 0, &s->dbs[STORE_DB_META]) != 0 ||
	    !meta_get(s, txn, "schema", &value) || value.len != 4)
		return store_error(s, MDB_INVALID, "open", err);
	s->schema = store_take_u32((const uint8_t *)value.data);
	if (s->schema > STORE_SCHEMA)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "the store \"%s\" has format %u, made by a "
			"newer mailtide; this one knows format %u", s->path, s->schema,
			STORE_SCHEMA);
	if (!meta_get(s, txn, "id", &value) || value.len != 16)
		return store_error(s, MDB_INVALID, "open", err);
	memcpy(s->id, value.data, 16);
	if (meta_get(s, txn, "counters", &value) && !store_counters_decode(value, &s->counters))
		return store_error(s, MDB_INVALID, "open", err);
	code = open_dbs(s, txn, 0);
	return code != 0 ? store_error(s, code, "open", err) : 0;
}

/* Database handles outlive the read transaction that opened them only if it is committed; it is
 * then begun again, once, to be renewed for every read. */
static int open_reader(struct store *s, bool *empty, struct err *err)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (code != 0)
		return store_error(s, code, "read", err);
	if (read_meta(s, txn, empty, err) < 0) {
		mdb_txn_abort(txn);
		return -1;
	}
	code = mdb_txn_commit(txn);
	if (code == 0)
		code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->read);
	if (code != 0)
		return store_error(s, code, "read", err);
	mdb_txn_reset(s->read);
	return 0;
}

static void put_meta(struct store *s, const char *name, struct slice value)
{
	struct store_key key;
	store_key_text(&key, slice_of(name));
	store_db_put(s, STORE_DB_META, &key, value);
}

/* In a transaction: all databases, and what they are called together. */
static void put_schema(struct store *s)
{
	uint8_t schema[4];
	int code = open_dbs(s, s->write, MDB_CREATE);
	if (code != 0)
		store_fail(s, code, "make the databases");
	store_put_u32(schema, STORE_SCHEMA);
	put_meta(s, "schema", (struct slice){ (char *)schema, sizeof schema });
	s->schema = STORE_SCHEMA;
}

/* From schema 1: what is new begins empty. One transaction, so that a crash leaves the old store or
 * the new one. A reader that has the old one open finds what is new when it opens the store again. */
static int migrate(struct store *s, struct err *err)
{
	if (store_begin_now(s, err) < 0)
		return -1;
	put_schema(s);
	return store_commit_now(s, err);
}

static int make_schema(struct store *s, const char *state, struct err *err)
{
	uint64_t random;
	INVARIANT(getrandom(&random, sizeof random, 0) == (ssize_t)sizeof random);
	snprintf(s->id, sizeof s->id, "%016llx", (unsigned long long)random);
	if (store_begin(s, err) < 0)
		return -1;
	put_schema(s);
	put_meta(s, "id", slice_of(s->id));
	if (store_commit_now(s, err) < 0 || sync_folder(s->path, err) < 0 ||
	    sync_folder(state, err) < 0)
		return -1;
	point("store.created");
	return 0;
}

void store_env_revive(struct store *s)
{
	MDB_envinfo info;
	struct err err;
	bool empty;
	int code = mdb_txn_renew(s->read);
	if (code == 0)
		mdb_txn_reset(s->read);
	if (code != MDB_PANIC)
		return;
	mdb_env_info(s->env, &info);
	mdb_txn_abort(s->read);
	s->read = NULL;
	mdb_env_close(s->env);
	s->env = NULL;
	if (env_open(s, info.me_mapsize, &err) < 0 || open_reader(s, &empty, &err) < 0)
		err_broken(err.text, __FILE__, __LINE__); /* as in store_read_begin */
}

static int open_all(struct store *s, const char *state, bool create, size_t map_start,
	bool *missing, struct err *err)
{
	bool empty = false;
	if (find_or_make(s, create, missing, err) < 0)
		return -1;
	if (!s->read_only && reserve_lock_file(s, err) < 0)
		return -1;
	if (env_open(s, map_start, err) < 0 || open_reader(s, &empty, err) < 0)
		return -1;
	if (empty && !create) {
		*missing = true;
		return err_set(err, ERR_USER, ERR_ACCOUNT, "the store \"%s\" is empty", s->path);
	}
	if (empty && make_schema(s, state, err) < 0)
		return -1;
	if (s->read_only)
		return 0;
	if (s->schema < STORE_SCHEMA && migrate(s, err) < 0)
		return -1;
	return store_bodies_sweep_unfinished(s, err);
}

struct store *store_open_sized(const char *state, bool create, bool read_only, size_t map_start,
	size_t map_reserve, bool *missing, struct err *err)
{
	struct store *s = mem_new(sizeof *s);
	bool is_missing = false;
	s->path = file_join(state, "store");
	s->read_only = read_only;
	s->map_reserve = map_reserve;
	buf_init(&s->scratch, 0);
	int result = open_all(s, state, create && !read_only, map_start, &is_missing, err);
	if (missing != NULL)
		*missing = is_missing;
	if (result == 0)
		return s;
	store_close(s);
	return NULL;
}

struct store *store_open(const char *state, bool create, bool read_only, bool *missing,
	struct err *err)
{
	return store_open_sized(state, create, read_only, MAP_START, MAP_RESERVE, missing, err);
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->write != NULL)
		store_abort(s);
	if (s->read != NULL)
		mdb_txn_abort(s->read);
	if (s->env != NULL)
		mdb_env_close(s->env);
	store_keywords_forget(s);
	store_recent_forget(s);
	free(s->tallies.rows);
	free(s->fresh.bodies);
	buf_release(&s->scratch);
	free(s->path);
	free(s);
}

const char *store_id(const struct store *s)
{
	return s->id;
}
