/* What mailtide knows, durably: mailboxes, messages, bodies, and what the Maildir was last made to
 * hold. One LMDB environment for each account; LMDB is known here and nowhere else, and none of its
 * memory leaves: what is read is copied out. The layout is schema.h, byte by byte.
 *
 * Reads may be made at any time: outside a transaction each call takes a snapshot of its own and
 * gives it back, inside one it sees what was put. Only the holder of the account's lock writes.
 * A transaction is begun, filled and committed without returning to the loop. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uids.h"
#include "mail/mail.h"

struct store;

/* Opens STATE/store, making it where `create`. `read_only`: for status and ls beside a running sync; no lock
 * is needed. ERR_USER: made by a newer version (the text names both), not a store, no permission; ERR_LATER: disk
 * full. A missing store without `create`: ERR_USER, *missing = true (may be NULL). */
struct store *store_open(const char *state, bool create, bool read_only, bool *missing, struct err *err);
void store_close(struct store *s);
/* 16 hex digits, made with the store. */
const char *store_id(const struct store *s);

/* Transactions. A put that fails makes the commit fail; the store then holds what it held before
 * store_begin. */
int store_begin(struct store *s, struct err *err);
/* `done` is called once, perhaps before store_commit returns, perhaps later from the loop; it should
 * only mark work. Passes "store.before-commit" and "store.after-commit". ENOSPC: ERR_LATER. */
void store_commit(struct store *s, void (*done)(void *arg, const struct err *err), void *arg);
void store_abort(struct store *s);

/* Small facts about the account: name, value. Names begin with the layer that owns them:
 * "run.boot". False where there is none. */
bool store_get(struct store *s, const char *name, struct buf *value);
void store_put(struct store *s, const char *name, struct slice value);
/* A fact that is a number, in decimal. 0 where there is none, or another thing. */
uint64_t store_get_number(struct store *s, const char *name);
void store_put_number(struct store *s, const char *name, uint64_t number);

/* Mailboxes. id 1.., never used again. */
enum store_mailbox_state {
	STORE_MAILBOX_WHOLE = 1,  /* the last finished sync ended with known UIDs = EXISTS */
	STORE_MAILBOX_ABSENT = 2, /* not in the last complete LIST */
	STORE_MAILBOX_GONE = 4,   /* nor in the one before, or said to be nonexistent (L5) */
	STORE_MAILBOX_NOSELECT = 8,
	STORE_MAILBOX_SUSPECT = 16, /* told something that needs a whole look (C8, S16): not skipped */
	STORE_MAILBOX_MATCHING = 32, /* UIDVALIDITY changed: orphans wait for their new UIDs (S2) */
	STORE_MAILBOX_STAND_INS = 64, /* a stand-in was shown in it */
	STORE_MAILBOX_HERE = 128, /* not on the server yet: an action will create it */
	STORE_MAILBOX_PASSING = 256, /* its UIDs did not last from one session to the next (S15) */
};
struct store_mailbox {
	uint32_t id;
	char *name;   /* decoded, UTF-8 (or the wire form where that is not to be decoded) */
	char *wire;   /* as the server writes it, modified UTF-7 or UTF-8 */
	char *folder; /* below the Maildir root, "" for the root itself */
	char delimiter;
	uint32_t attrs;         /* enum imap_attr as last told: special use */
	uint32_t state;
	uint64_t uidvalidity;   /* 0: never selected */
	uint32_t uidnext;       /* as of the last finished sync; 0 unknown */
	uint32_t messages;      /* EXISTS as of then */
	uint64_t highestmodseq; /* as of then; 0: none, use S4 */
	uint64_t rules;         /* fingerprint of the rules by which its bodies were chosen */
	char *mailboxid;        /* OBJECTID (RFC 8474), NULL: not told */
	uint32_t lastseen;      /* S3: every UID up to it has been asked for and answered */
	int64_t synced;         /* seconds since 1970, 0 never */
};
void store_mailbox_release(struct store_mailbox *m);
/* Each returns false where there is none. The caller releases *m. */
bool store_mailbox_get(struct store *s, uint32_t id, struct store_mailbox *m);
bool store_mailbox_find(struct store *s, const char *name, struct store_mailbox *m);
/* The one with the smallest id > after. */
bool store_mailbox_next(struct store *s, uint32_t after, struct store_mailbox *m);
/* id 0: a new one, whose id is filled in. */
void store_mailbox_put(struct store *s, struct store_mailbox *m);
/* With its messages gone before, orphans and those made here too (INVARIANT). */
void store_mailbox_delete(struct store *s, uint32_t id);
/* Kept up by the message calls. Orphans and messages made here are not counted. */
struct store_counts {
	uint64_t messages, bodies, owed, owed_octets, unseen;
};
struct store_counts store_mailbox_counts(struct store *s, uint32_t id);

/* Messages. `number` is the local number, never used again. */
enum store_message_state {
	STORE_BODY_OWED = 1,    /* wanted, not here yet */
	STORE_BODY_FAILED = 2,  /* the server could not give it (Q44); asked for again in the next run */
	STORE_SHOWN = 4,        /* the Maildir was made to hold a file of it */
	STORE_SHOWN_NEW = 8,    /* in new/ */
	STORE_STAND_IN = 16,    /* the file that is shown is a stand-in for a large message (S10) */
	STORE_UNMATCHED = 32,   /* may be one that we hold already: no body is asked for until that is known */
	STORE_WANTED = 64,      /* its body was asked for by name: no rule takes that back */
	STORE_ORPHAN = 128,     /* its UID went with its UIDVALIDITY, or was not told: waits for a new one (S2); uid is 0 */
	STORE_HERE = 256,       /* made here (append, copy): not on the server yet; uid is 0 */
	STORE_OURS = 512,       /* an action of ours put it there: no other action can have made it (R10) */
};
struct store_message {
	uint64_t number;
	uint32_t mailbox, uid; /* uid 0: has none yet */
	uint32_t state;
	struct mail_flags flags; /* agreed */
	int64_t date;            /* INTERNALDATE */
	uint64_t size;           /* RFC822.SIZE */
	uint64_t body;           /* body number, 0 none */
	char *emailid;           /* OBJECTID or X-GM-MSGID, NULL: not told */
	uint8_t message_id[16];  /* of the SHA-256 of its Message-ID; zeros: not learnt */
	/* What was last shown; meaningful with STORE_SHOWN. */
	uint32_t shown_mailbox;
	struct mail_flags shown;
	char *base; /* Maildir base name, unique in the account; NULL none */
	uint64_t device, inode, file_size;
	int64_t file_mtime_ns;
	uint32_t run; /* that wrote the file */
};
void store_message_init(struct store_message *m);
void store_message_release(struct store_message *m);
/* *m is initialised; what it held before is released, so that one struct serves a loop. */
bool store_message_get(struct store *s, uint64_t number, struct store_message *m);
bool store_message_by_uid(struct store *s, uint32_t mailbox, uint32_t uid, struct store_message *m);
/* The one with the smallest UID > after; false at the end. */
bool store_message_next(struct store *s, uint32_t mailbox, uint32_t after, struct store_message *m);
/* Every message of a mailbox: those with a UID, then orphans, then those made here. Begins with zeros. */
struct store_each {
	unsigned list;
	uint64_t after;
};
bool store_message_each(struct store *s, uint32_t mailbox, struct store_each *at, struct store_message *m);
bool store_message_by_base(struct store *s, const char *base, struct store_message *m);
/* The UIDs that are known, as ranges. */
void store_known_uids(struct store *s, uint32_t mailbox, struct uids *out);
/* Known UIDs in first..last: their count only (cheap). */
uint64_t store_count_uids(struct store *s, uint32_t mailbox, uint32_t first, uint32_t last);
/* Messages that may be the same mail as one with these: the one with the smallest number > after.
 * The same INTERNALDATE and RFC822.SIZE is what a copy keeps (S12); what proves it is the caller's to compare. */
bool store_alike_next(struct store *s, int64_t date, uint64_t size, uint64_t after,
	struct store_message *m);
/* In order of date, size and number: the one after these. Dates before 1970 come last. */
bool store_dated_next(struct store *s, int64_t date, uint64_t size, uint64_t after,
	struct store_message *m);
bool store_emailid_next(struct store *s, const char *emailid, uint64_t after,
	struct store_message *m);
/* Messages of a mailbox with STORE_ORPHAN, by number. */
bool store_orphan_next(struct store *s, uint32_t mailbox, uint64_t after, struct store_message *m);
/* Messages of a mailbox with STORE_HERE, by number. */
bool store_here_next(struct store *s, uint32_t mailbox, uint64_t after, struct store_message *m);
/* Bodies owed in a mailbox, ascending: uid > after with its size; false at the end. */
bool store_owed_next(struct store *s, uint32_t mailbox, uint32_t after, uint32_t *uid,
	uint64_t *size);
/* number 0: a new one, whose number is filled in. Indexes, counts and the count of references to
 * bodies follow. */
void store_message_put(struct store *s, struct store_message *m);
void store_message_delete(struct store *s, uint64_t number);

/* Bodies: the server's octets, found by their SHA-256, kept once and counted. A body arrives piece
 * by piece into memory; what has gathered is written by the next transaction. */
struct store_body;
struct store_body *store_body_new(struct store *s);
void store_body_write(struct store_body *b, const void *data, size_t len);
/* Octets that wait in memory, of this body. */
size_t store_body_waiting(const struct store_body *b);
/* In a transaction: writes whole pieces that wait; for a body larger than a batch. It is noted as unfinished and
 * swept by store_open of the next run's writer if it stays so. */
void store_body_flush(struct store_body *b);
/* In a transaction: ends it; returns its number, an existing one where the hash is known (and what
 * was flushed is deleted). Frees b. file_hash: SHA-256 of the file form where its line ends do not give the same
 * hash back (a bare LF), else NULL. */
uint64_t store_body_finish(struct store_body *b, const uint8_t hash[MAIL_HASH_SIZE],
	const uint8_t *file_hash);
/* Throws it away (what was flushed is swept at the next start). */
void store_body_free(struct store_body *b);
bool store_body_find(struct store *s, const uint8_t hash[MAIL_HASH_SIZE], uint64_t *body);
/* Its size and hashes; false where there is none. */
struct store_body_info {
	uint64_t size, references;
	uint8_t hash[MAIL_HASH_SIZE], file_hash[MAIL_HASH_SIZE];
	bool has_file_hash;
};
bool store_body_info(struct store *s, uint64_t body, struct store_body_info *info);
/* Gives the octets in pieces of about 64 KB from a snapshot of its own; -1 where the store cannot
 * be read or the hash is not right. */
int store_body_read(struct store *s, uint64_t body,
	void (*piece)(void *arg, const void *data, size_t len), void *arg, struct err *err);
/* Deletes bodies that nothing refers to, for the end of a run; begins and commits its own
 * transactions, of bounded size. */
int store_bodies_sweep(struct store *s, struct err *err);

/* The projection list: what the Maildir must still be made to hold. An entry is put by the
 * transaction that changes the record, the file is changed after the commit, the entry is struck off by a
 * later transaction; a crash between leaves work that can be done again. */
enum store_projection_kind {
	STORE_PLACE = 1,  /* tmp file -> its place: message's shown state says where */
	STORE_RENAME = 2, /* the file of `message` gets the name that its shown state says */
	STORE_REMOVE = 3, /* the file goes; the message's record may be gone (tombstone) */
};
struct store_projection {
	uint64_t number; /* growing */
	enum store_projection_kind kind;
	uint64_t message;
	uint32_t mailbox;  /* RENAME, REMOVE: where it was shown */
	struct buf base;   /* its base name */
	struct buf tmp;    /* PLACE: the tmp name */
	uint32_t old_system; /* RENAME, REMOVE: the system flags that it was shown with */
	bool old_new;        /* it was in new/ */
	/* REMOVE: the file as we left it; a file that is otherwise now is the user's and stays (M4). */
	uint64_t file_size;
	int64_t file_mtime_ns;
};
void store_projection_init(struct store_projection *p);
void store_projection_release(struct store_projection *p);
void store_projection_put(struct store *s, struct store_projection *p); /* fills in the number */
bool store_projection_next(struct store *s, uint64_t after, struct store_projection *p);
void store_projection_delete(struct store *s, uint64_t number);
bool store_projection_names(struct store *s, const char *tmp_name); /* is the tmp file still needed? (sweep) */

/* Actions: what became of the lines of the queue's file (R1, R9 to R13). The text stays in the file; here stand
 * progress, intents and results. An action with a number up to the fact "queue.folded" that has no record here is
 * done. Numbers are the queue's, from 1. */
enum store_action_state {
	STORE_ACTION_WAITING = 1,
	STORE_ACTION_INTENT = 2,  /* something that must not run twice may have been sent (R10) */
	STORE_ACTION_FAILED = 3,  /* with its reason; out of the way (R13) */
	STORE_ACTION_HELD = 4,    /* not to be done before the user says so: cannot be read, of another store */
	STORE_ACTION_UNKNOWN = 5, /* R10: done or not, nobody can tell: the user's to decide */
	STORE_ACTION_LOCAL = 6,   /* R4: the server does not keep such a flag; it stays here */
};
struct store_action {
	uint64_t number;
	uint32_t verb;           /* enum queue_verb; the store does not look at it */
	enum store_action_state state;
	uint32_t attempts;       /* lost connections in a row while it was in flight (R11) */
	uint32_t options;        /* the verb's own bits */
	uint32_t mailbox, to;    /* ids; 0: none */
	uint64_t message;        /* append: the message that it makes; 0 */
	uint64_t size;           /* append: octets to send */
	int64_t date;            /* append: delivery date */
	struct mail_flags add, remove;
	char *text;              /* append: SHA-256 of what is sent, in hex; rename: the new name. "" comes back as
	                          * NULL, here and in `reason` */
	uint64_t blocked_by;     /* it failed because that action failed (R9); 0 */
	char *reason;            /* the server's own words, or ours; NULL */
	/* The intent, told in the session in which it was noted. */
	uint64_t uidvalidity;    /* of the target */
	uint32_t uidnext;        /* rename: the highest id of a mailbox when it was queued */
	uint32_t step;           /* of a verb with several */
	int64_t since;           /* seconds since 1970; "looks" of R10 */
	uint32_t looks;
	struct uids others;      /* expunge emulation: \Deleted was taken from these for a while (R7) */
};
void store_action_init(struct store_action *a);
void store_action_release(struct store_action *a);
/* *a is initialised; what it held before is released, so that one struct serves a loop. False where there is
 * none: *a is as it was. */
bool store_action_get(struct store *s, uint64_t number, struct store_action *a);
/* The one with the smallest number > after. */
bool store_action_next(struct store *s, uint64_t after, struct store_action *a);
void store_action_put(struct store *s, const struct store_action *a);
/* With its parts. */
void store_action_delete(struct store *s, uint64_t number);
/* Kept up by the two above. */
struct store_action_counts {
	uint64_t waiting, intent, failed, held, unknown, local;
};
struct store_action_counts store_action_counts(struct store *s);

/* Parts: one action's work on one message. A part that is done is deleted. Neither needs a record of its action
 * or its message, nor goes with the message. */
enum store_part_state {
	STORE_PART_FAILED = 1,
	STORE_PART_COPIED = 2, /* move: the copy is there, the source still to go */
	STORE_PART_LOCAL = 4,  /* R4: stays here, shown but never sent */
	STORE_PART_SUSPECT = 8,
	STORE_PART_MADE = 16,   /* of the message that a copy makes */
	STORE_PART_UPLOAD = 32, /* its source is gone, the body that we hold is appended (R12) */
};
struct store_part {
	uint64_t action, message; /* from 1 */
	uint32_t state;
	uint32_t uid;         /* where it was when queued; 0: none yet */
	uint64_t uidvalidity;
	uint32_t mailbox;     /* in which mailbox */
	uint64_t made;        /* copy: the message that it makes; 0 */
};
void store_part_put(struct store *s, const struct store_part *p);
void store_part_delete(struct store *s, uint64_t action, uint64_t message);
/* Each returns false where there is none, and leaves *p alone. */
bool store_part_get(struct store *s, uint64_t action, uint64_t message, struct store_part *p);
/* The part of this action with the smallest message > after. */
bool store_part_next(struct store *s, uint64_t action, uint64_t after, struct store_part *p);
/* Counts by a walk. */
uint64_t store_part_count(struct store *s, uint64_t action);
/* The pending actions of a message, by number: those with a part for it that has not FAILED. The smallest
 * > after. */
bool store_pending_next(struct store *s, uint64_t message, uint64_t after, uint64_t *action);
/* Whether there is one; next to nothing where no message has any. */
bool store_is_pending(struct store *s, uint64_t message);

#endif
