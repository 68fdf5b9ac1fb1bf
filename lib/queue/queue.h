/* The actions file: what the user did while offline, the only thing that exists nowhere else (R1).
 * Text only: this folder appends lines, reads them and compacts the file; what an action means, and
 * how far it got, is `sync`'s and the store's. mailtide-actions(5) is the grammar.
 *
 *	mailtide-actions 1 STOREID NEXTNUMBER
 *	NUMBER TAB TIME TAB VERB TAB MAILBOX TAB MESSAGES [TAB KEY=VALUE]...
 *
 * A line is accepted once it is durable; its number is its place in the order and never used again.
 * Who appends or rewrites holds STATE/actions.lock for that moment; who reads needs no lock. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* What a line may hold at most; a larger job is several actions. */
#define QUEUE_LINE_MAX ((size_t)8 << 20)
#define QUEUE_MESSAGES_MAX 100000
#define QUEUE_PAIRS_MAX 64
#define QUEUE_NUMBER_MAX INT64_MAX

enum queue_verb {
	QUEUE_FLAG, QUEUE_COPY, QUEUE_MOVE, QUEUE_APPEND, QUEUE_EXPUNGE, QUEUE_FETCH, QUEUE_CREATE,
	QUEUE_DELETE, QUEUE_RENAME, QUEUE_SUBSCRIBE, QUEUE_UNSUBSCRIBE,
	QUEUE_RETRY, QUEUE_DROP, /* about other actions: key "action=N,N" */
	QUEUE_UNKNOWN,           /* a later version's: kept, held, never guessed at */
};
const char *queue_verb_name(enum queue_verb verb); /* "" for QUEUE_UNKNOWN */
enum queue_verb queue_verb_of(struct slice name);

/* A message: its local number, and where it was when the action was made; uid 0: it had none yet.
 * One that an earlier append will make has number 0 and that action's number in `action` ("@17"). */
struct queue_message {
	uint64_t number;
	uint32_t uid;
	uint64_t uidvalidity;
	uint64_t action;
};

/* Key (a-z, 0-9 and -) and value, unescaped. Known keys: add, remove (flags, spaces between), to,
 * file, name, sha256, date, flags, action, force, edited. */
struct queue_pair {
	char *key, *value;
};

struct queue_action {
	uint64_t number; /* 0: has none yet ("-" in the line) */
	int64_t time;    /* seconds since 1970; 0: not told ("-") */
	enum queue_verb verb;
	char *verb_text; /* as it stands in the line */
	char *mailbox;   /* decoded UTF-8 name, "" where there is none */
	struct queue_message *messages;
	size_t message_count;
	struct queue_pair *pairs;
	size_t pair_count;
};
void queue_action_init(struct queue_action *a, enum queue_verb verb, const char *mailbox);
void queue_action_release(struct queue_action *a); /* twice is harmless */
void queue_action_add_message(struct queue_action *a, const struct queue_message *m);
void queue_action_set(struct queue_action *a, const char *key, const char *value);
const char *queue_action_get(const struct queue_action *a, const char *key); /* NULL: not there */
/* Adds the line, without its LF. */
void queue_action_print(const struct queue_action *a, struct buf *line);
/* From a line without its LF. *a is written over, not released; on -1 it is untouched, and *err says
 * which field is wrong and why. */
int queue_action_parse(struct slice line, struct queue_action *a, struct err *err);

/* "2026-11-22T15:05:00Z", as TIME and the value of "date" are written. False where it is none. */
bool queue_time_parse(struct slice text, int64_t *time);

struct queue;
/* Opens STATE/actions; a missing file is made with the first append, then as `store_id`'s. read_only:
 * for listing, takes no lock and changes nothing. NULL: ERR_USER where the file is another program's
 * or a newer version's. */
struct queue *queue_open(const char *state, const char *store_id, bool read_only, struct err *err);
void queue_close(struct queue *q);
/* The STOREID of the file; another than the store's means that every line is held (R1). "" where
 * there is no file. */
const char *queue_store_id(const struct queue *q);
/* Makes the file the store's that was named to queue_open: the user wants its lines in spite of
 * their origin (`queue retry`). */
int queue_adopt(struct queue *q, struct err *err);
/* Numbers up to this one have been used, says who knows better than the file: it may have been
 * deleted by hand, and a new action with an old number would pass for done. */
void queue_used(struct queue *q, uint64_t number);
/* The number that the next action will get. */
uint64_t queue_next_number(struct queue *q);
/* Has something been appended, or the file replaced, since queue_next gave 0? Cheap (a stat). */
bool queue_has_grown(struct queue *q);

/* Appends them in order with one fdatasync (and one fsync of the folder where the file is new) and
 * fills in their numbers and, where it is 0, their time. All or none: after -1 nothing was accepted
 * and nothing filled in. ERR_LATER: disk full; ERR_RETRY: somebody keeps the lock for seconds;
 * ERR_USER: one of them makes no line that could be read. Passes "queue.written", "queue.durable". */
int queue_append(struct queue *q, struct queue_action *actions, size_t count, struct err *err);

/* Reads on: the first action above `after`. To be called with the number that was just given, and
 * with the same `after` where that line had none: so reading in order costs one pass, in little
 * memory, however long the file is.
 *
 * 1: *a is written over and the caller's, to be released. It is durable (unless read_only): what was
 *    found behind the last known durable line is first cut, numbered and synced, under the lock.
 * 0: the end.
 * -1, scope message: a line that cannot be read, or whose number is not above those before it. Its
 *    number is in a->number, 0 where it has none; nothing else is in *a. The caller holds it and
 *    goes on. One without a number is told once; to hear of it again, open the queue anew.
 * -1, scope account: the file cannot be read now; *a is untouched. */
int queue_next(struct queue *q, uint64_t after, struct queue_action *a, struct err *err);

/* Rewrites the file without the lines for which keep() is false; the others keep their numbers, and
 * what has no number stays. A comment goes with the line below it. Nothing to leave out: nothing is
 * written. Crash-safe as file_replace is, in little memory; passes "queue.rewritten",
 * "queue.replaced". */
int queue_compact(struct queue *q, bool (*keep)(void *arg, uint64_t number), void *arg,
	struct err *err);
/* Puts each of `changed` (their numbers ascend) in the place of the line that has its number, and appends
 * `added` as queue_append does (`queue edit`): by rewriting the file in the same way, in one step.
 * 0 it is done; -1 nothing of it is; 1 it is, numbers filled in, but *err tells why a loss of power may
 * take it back. ERR_USER where one of the lines is not there any more. */
int queue_change(struct queue *q, const struct queue_action *changed, size_t changed_count,
	struct queue_action *added, size_t added_count, struct err *err);

/* Bodies of uploads: STATE/outgoing/SHA256, durable before the line that names them. Copies from
 * `fd` until its end; refuses an empty one, one with NUL, and one over `limit` octets (0: none)
 * (ERR_USER). Line ends are put as CRLF, a last one is added (Q52). hex gets 64 digits and a NUL;
 * *size the octets. No sweep runs until the next queue_append or the end of *q: the line has to
 * come first. Passes "queue.body-written", "queue.body-named". */
int queue_body_store(struct queue *q, int fd, uint64_t limit, char hex[65], uint64_t *size,
	struct err *err);
/* The names of those stored since the last append last from here on: once for many. queue_append does it
 * before it writes; whoever makes no line calls it before something else names them. */
int queue_bodies_sync(struct queue *q, struct err *err);
/* Opens one for reading: a descriptor, or -1. */
int queue_body_open(const char *state, const char *hex, uint64_t *size, struct err *err);
/* Deletes those that neither keep() wants nor a line of the file names ("sha256="): a line that was
 * appended a moment ago may be unknown to keep(). So compact first. */
int queue_bodies_sweep(const char *state, bool (*keep)(void *arg, const char *hex), void *arg,
	struct err *err);

#endif
