/* What the files of `mailtide queue`, and `fetch`, share: an account's queue beside what the store
 * knows, and the checks that an action passes before it is accepted.
 *
 * The store lags behind the file while another mailtide holds the lock. What the lines that it has
 * not taken up will do to mailboxes and messages is kept here ("known"), so that an action may
 * speak of a mailbox which the one before it creates. */
#ifndef CMD_QUEUE_H
#define CMD_QUEUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "queue/queue.h"
#include "store/store.h"

struct cmd;

/* A mailbox that a line creates, deletes (`to` NULL) or renames. */
struct known_mailbox {
	enum queue_verb verb;
	char *name, *to;
	char delimiter;
	uint32_t last; /* rename: the highest id of a mailbox that it may take along; UINT32_MAX: of all */
};
/* Where the last line that speaks of a message leaves it. */
struct known_place {
	uint64_t number, action; /* as in queue_message; both 0: a free place of the table */
	uint64_t by;             /* the line's number; 0: it has none yet */
	char *mailbox;           /* NULL: it is expunged */
};

struct actions {
	const struct conf_account *account;
	struct store *store; /* for reading; NULL: there is none */
	struct queue *queue;
	uint64_t folded; /* lines up to this number are in the store */
	char delimiter; /* of the account's mailbox names; 0: flat */
	struct known_mailbox *mailboxes;
	size_t mailbox_count;
	struct known_place *places; /* a hash table */
	size_t place_count, place_size;
	/* While lines are edited, the actions of the store that do not count: those that are changed or dropped
	 * (ascending), and all from `before` on (0: none of them). */
	const uint64_t *edited;
	size_t edited_count;
	uint64_t before;
};

/* queue_open.c */

/* -1: printed, *exit_status tells. read_only: to list; a missing store is fine then, with
 * store NULL. Else that is refused ("sync first"). */
int actions_open(struct actions *q, const struct conf_account *account, bool read_only,
	int *exit_status);
void actions_close(struct actions *q);
/* Are all lines held, because the file is not of this store (R1)? */
bool actions_are_foreign(const struct actions *q);
/* Then, before they are taken over: the store notes which lines these are. *q is opened anew. 0, else *err. */
int actions_note_foreign(struct actions *q, struct err *err);
/* Appends all of them or none, then as actions_accepted. The exit status; what went wrong is printed. */
int actions_accept(struct actions *q, struct queue_action *actions, size_t count, bool tell,
	int *taken_up);
/* They are in the file: prints their numbers where `tell`, and goes on as actions_take_up. */
int actions_accepted(struct actions *q, const struct queue_action *actions, size_t count, bool tell,
	int *taken_up);
/* Takes the queue up into the store, for which *q is closed. *taken_up as from sync_fold: 0, 1 where another
 * mailtide holds the lock and will do it, -1. NULL: that 1 is told here, else it is the caller's to tell. */
int actions_take_up(struct actions *q, int *taken_up);
/* Prints *err and returns the exit status: 64 where an action was refused. */
int actions_refuse(const struct actions *q, const struct err *err);

/* queue_known.c */

/* Reads what the file holds above `folded`, and the actions about mailboxes that wait below it: those
 * show in the store only when they are done. Without a lock or an fsync. -1: *err. */
int known_read(struct actions *q, struct err *err);
void known_release(struct actions *q);
/* A line that is accepted, or will be. In the order of the lines. */
void known_add(struct actions *q, const struct queue_action *a);
/* For an edit, which begins anew (known_release) and goes through the file itself. First each line that was in
 * the store when it was read: the mailbox that it creates is there already, and counts from that line on only. */
void known_unmake(struct actions *q, const struct queue_action *a);
/* Then each that stays as it is: what the store tells of it is not kept here. */
void known_add_unchanged(struct actions *q, const struct queue_action *a);
/* Is there such a mailbox, once the queue is done? *box (to be released) has id 0 where the store
 * holds nothing of it yet. */
bool known_mailbox(const struct actions *q, const char *name, struct store_mailbox *box);
/* Is it in the mailbox of *a once what is queued before it is done? (fetch: is it there now?) Fills in
 * uid and uidvalidity. -1: it is not. */
int known_message_in(const struct actions *q, struct queue_message *m, const struct queue_action *a,
	const struct store_mailbox *box, struct err *err);
/* The same for a message that was read already. */
int known_stored_in(const struct actions *q, const struct store_message *at, struct queue_message *m,
	const struct queue_action *a, const struct store_mailbox *box, struct err *err);

/* queue_which.c: WHICH becomes the messages of *a. An unknown mailbox is no error here (0, no messages):
 * queue_check tells. -1: *err. */
int which_resolve(const struct actions *q, const char *which, struct queue_action *a,
	struct err *err);
/* Each message once, ascending. */
void which_sort(struct queue_action *a);

/* queue_check.c */

/* Everything that can be known without the network. Puts names and flags into their usual form. */
int queue_check(const struct actions *q, struct queue_action *a, struct err *err);
/* INBOX in any case is "INBOX". */
const char *queue_usual_name(const char *mailbox);

/* queue_words.c: a line of standard input, cut in place as a shell would. The caller frees *words. -1:
 * *err. */
int queue_words(char *line, const char ***words, size_t *count, struct err *err);

/* queue_line.c: how an action is told. */

/* "waiting", "sending", ...; "new" where `rec` is NULL. */
const char *queue_state_name(const struct store_action *rec);
/* What it does, beside its verb and its mailbox: "m7,m9 +\Seen". `rec` may be NULL. */
void queue_describe(const struct queue_action *a, const struct store_action *rec, struct buf *out);
/* Why it is in that state, "" where there is nothing to say. */
void queue_explain(const struct store_action *rec, struct buf *out);
/* "m7", "@17" */
void queue_name_message(const struct queue_message *m, char out[24]);

/* queue_standing.c: tells how many wait, and what is stuck and why; the same into an object of
 * status. The exit status. */
int queue_standing(const struct conf_account *account, json_t *object);
/* Only the user gets it going again. */
bool queue_is_stuck(const struct store_action *rec);

/* The subcommands. */
int queue_list(const struct cmd *cmd);
int queue_add(const struct cmd *cmd);
int queue_retry(const struct cmd *cmd);
int queue_drop(const struct cmd *cmd);
int queue_edit(const struct cmd *cmd);

#endif
