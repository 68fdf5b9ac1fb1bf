/* What the files of this folder share: the store itself, access to its databases, records. */
#ifndef STORE_STORE_PRIVATE_H
#define STORE_STORE_PRIVATE_H

#include <lmdb.h>

#include "store/schema.h"
#include "store/store.h"

/* The last numbers given out; never used again, so that a number in a queue line or a log means
 * one thing for ever. */
struct store_counters {
	uint64_t mailbox, message, body, projection, keyword;
	uint64_t indexed; /* the body up to which "hashes" is complete */
};

/* Orphans and messages made here: of their mailbox, but not among what it holds on the server. */
#define STORE_APART (STORE_ORPHAN | STORE_HERE)

/* Counts of a mailbox, and what only we need: the messages with a UID, and those with STORE_APART,
 * which are in no other count. */
struct store_tally {
	struct store_counts counts;
	uint64_t uids, apart;
};

/* The counts that this transaction has touched, ascending by mailbox (counts.c). */
struct store_tallies {
	struct store_tally_row {
		uint32_t mailbox;
		struct store_tally tally;
	} *rows;
	size_t count, size;
	size_t last; /* the row used last: batches stay in one mailbox */
};

/* Keywords: by number, and their numbers in the order of the names (keyword.c). */
struct store_keywords {
	char **names; /* [number - 1], NULL where not read yet */
	uint32_t count;
	uint32_t *sorted;
	size_t sorted_count;
	bool whole; /* all are in `sorted` */
};

/* The bodies above counters.indexed by their hash, an open table (hash.c). */
struct store_recent {
	struct store_recent_slot {
		uint64_t prefix, body; /* body 0: free */
	} *slots;
	size_t size, count; /* size: a power of 2 */
	bool whole;
	size_t snapshot; /* a reader's: of this one */
};

/* The bodies that this transaction has made. Nearly all get a message before it ends: only then is
 * seen which belong in "unused", for LMDB gives a database that loses its last entry a new page at the
 * next one, and writes them all. */
struct store_fresh {
	uint64_t *bodies;
	size_t count, size;
};

struct store {
	char *path; /* STATE/store */
	char id[17];
	bool read_only;
	MDB_env *env;
	MDB_dbi dbs[STORE_DBS]; /* 0: not in this store, which is of an older schema: empty */
	uint32_t schema;        /* that it has */
	size_t map_reserve; /* what must be free before a transaction */
	bool map_full;      /* the last transaction met the end of the map */

	MDB_txn *read;  /* reset while nobody reads */
	unsigned reads; /* nested reads that use it */

	MDB_txn *write; /* NULL outside transactions */
	MDB_cursor *cursors[STORE_DBS]; /* of `write`, opened as needed */
	bool failed;                    /* a put failed: `failure` says why, the commit will */
	struct err failure;
	struct store_body *flushed;     /* bodies that it has taken pieces of, not ended yet */

	struct store_counters counters, committed;
	struct store_tallies tallies;
	struct store_action_counts actions; /* of this transaction, where... */
	bool actions_counted;               /* ...it has changed them */
	struct store_keywords keywords;
	struct store_recent recent;
	struct store_fresh fresh;
	struct buf scratch; /* the record being written */
};

/* env.c */
/* As store_open, with another map: tests let it grow. */
struct store *store_open_sized(const char *state, bool create, bool read_only, size_t map_start,
	size_t map_reserve, bool *missing, struct err *err);
/* Makes the map larger where little is free. No transaction is open. */
void store_map_grow(struct store *s);
/* Takes over the size that another process gave the map. */
void store_map_follow(struct store *s);
/* After a commit that failed. Where LMDB could not write a meta page it gives up the whole environment, reads and all;
 * what is on the disk is as it was before the transaction, and is opened anew. */
void store_env_revive(struct store *s);
/* Says in *err what LMDB's (or errno's) code means. Returns -1. */
int store_error(const struct store *s, int code, const char *what, struct err *err);

/* txn.c */
MDB_txn *store_read_begin(struct store *s);
void store_read_end(struct store *s);
void store_fail(struct store *s, int code, const char *what);
/* store_begin without what is due before it, store_commit without the callback. */
int store_begin_now(struct store *s, struct err *err);
int store_commit_now(struct store *s, struct err *err);

/* db.c: inside a read or a write transaction; slices are LMDB's memory, good until it ends or
 * something is put. */
bool store_db_get(struct store *s, enum store_db db, const struct store_key *key,
	struct slice *value);
/* A put that fails makes the transaction fail. */
void store_db_put(struct store *s, enum store_db db, const struct store_key *key,
	struct slice value);
/* The same, quicker where the key is the greatest. */
void store_db_append(struct store *s, enum store_db db, const struct store_key *key,
	struct slice value);
void store_db_delete(struct store *s, enum store_db db, const struct store_key *key);

/* A walk over one database in ascending order; holds a read transaction until store_walk_end.
 *	for (bool more = store_walk(&w, s, db, &from); more; more = store_walk_next(&w)) ...
 *	store_walk_end(&w); */
struct store_walk {
	struct store *s;
	MDB_cursor *cursor;
	struct slice key, value;
};
/* Begins at the first key >= from. */
bool store_walk(struct store_walk *w, struct store *s, enum store_db db,
	const struct store_key *from);
bool store_walk_next(struct store_walk *w);
void store_walk_end(struct store_walk *w);

/* record.c. Encoders write to s->scratch and return it as a slice; decoders return false where the
 * record is not one of ours. */
struct slice store_counters_encode(struct store *s, const struct store_counters *c);
bool store_counters_decode(struct slice in, struct store_counters *c);
struct slice store_mailbox_encode(struct store *s, const struct store_mailbox *m);
bool store_mailbox_decode(struct slice in, struct store_mailbox *m);
struct slice store_tally_encode(struct store *s, const struct store_tally *t);
bool store_tally_decode(struct slice in, struct store_tally *t);
struct slice store_message_encode(struct store *s, const struct store_message *m);
bool store_message_decode(struct store *s, struct slice in, struct store_message *m);
struct slice store_projection_encode(struct store *s, const struct store_projection *p);
bool store_projection_decode(struct slice in, struct store_projection *p);

/* record_action.c */
struct slice store_action_encode(struct store *s, const struct store_action *a);
bool store_action_decode(struct store *s, struct slice in, struct store_action *a);
/* Its state alone; 0 where the record is not one of ours. */
uint32_t store_action_peek(struct slice in);
struct slice store_action_counts_encode(struct store *s, const struct store_action_counts *c);
bool store_action_counts_decode(struct slice in, struct store_action_counts *c);
struct slice store_part_encode(struct store *s, const struct store_part *p);
bool store_part_decode(struct slice in, struct store_part *p);

/* What the indexes need of a message; the slices are the record's or the struct's memory. */
struct store_message_index {
	bool there; /* false: no message, all is 0 */
	uint32_t mailbox, uid, state;
	bool seen;
	int64_t date;
	uint64_t size, body;
	struct slice emailid, base; /* data NULL: none */
};
bool store_message_peek(struct slice in, struct store_message_index *out);

struct store_body_record {
	uint8_t encoding;
	struct store_body_info info;
};
struct slice store_body_encode(struct store *s, const struct store_body_record *b);
bool store_body_decode(struct slice in, struct store_body_record *b);

/* index.c */
struct store_message_index store_index_of(const struct store_message *m);
/* Writes the record (data NULL: deletes it) and makes the indexes follow from `old` to `now`. */
void store_index_change(struct store *s, uint64_t number, struct store_message_index old,
	const struct store_message_index *now, struct slice record);
/* The number that is the value of an entry. */
uint64_t store_index_number(struct slice value);

/* counts.c: adds (sign 1) or takes away (-1) what one message counts. */
void store_tallies_count(struct store *s, const struct store_message_index *m, int sign);
struct store_tally store_tally_get(struct store *s, uint32_t mailbox);
void store_tallies_drop(struct store *s, uint32_t mailbox);
/* Writes them into the transaction. */
void store_tallies_flush(struct store *s);

/* action.c: writes the counts of actions into the transaction. */
void store_actions_flush(struct store *s);

/* part.c */
void store_parts_delete(struct store *s, uint64_t action);

/* keyword.c */
/* In a transaction: the number of a keyword, a new one where it has none. */
uint32_t store_keyword_number(struct store *s, const char *name);
/* NULL where there is none; the cache's memory. */
const char *store_keyword_name(struct store *s, uint32_t number);
void store_keywords_forget(struct store *s);

/* hash.c */
void store_hash_add(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t body);
void store_hash_drop(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t body);
/* Moves the table to the index where it has grown large, in transactions of its own. */
int store_recent_index(struct store *s, bool end_of_run, struct err *err);
void store_recent_forget(struct store *s);

/* body.c: a transaction is over: what bodies flushed in it is written, or lost. */
void store_bodies_settle(struct store *s, bool lost);

/* body_read.c */
/* A message begins (1) or ceases (-1) to refer to a body. */
void store_body_refer(struct store *s, uint64_t body, int sign);
void store_fresh_add(struct store *s, uint64_t body);
/* Writes into the transaction which of them are unused. */
void store_fresh_flush(struct store *s);
/* Deletes what unfinished bodies of a run that died have left. */
int store_bodies_sweep_unfinished(struct store *s, struct err *err);

#endif
