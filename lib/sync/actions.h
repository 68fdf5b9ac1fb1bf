/* The queue's local side: lines become actions (fold), actions show (show), and come to their end (settle). What is
 * sent of them is push_private.h. Private to lib/sync. */
#ifndef SYNC_ACTIONS_H
#define SYNC_ACTIONS_H

#include "sync/private.h"

/* show.c: what the Maildir should hold of a message (sync.h has the rest). */
/* In a transaction: the record's shown part follows, with projections; *m is not put. */
void show_update(struct sync *s, struct store_message *m);
/* What is wanted with the pending actions below `end` applied. */
void show_before(struct store *store, const struct store_message *m, uint64_t end, struct shown *w);
/* How a new action of that number finds the message; an edited one has others behind it. */
void show_until(struct store *store, const struct store_message *m, uint64_t action, struct shown *w);
/* show_update after one more action; where it is the last one so far, without a look at the earlier ones. */
void show_added(struct sync *s, struct store_message *m, const struct store_action *a);
/* show_update for a message of the store, which is put. */
void show_number(struct sync *s, uint64_t number);

/* settle.c, settle_rearm.c, settle_gone.c: what becomes of an action. In a transaction. */
const char *settle_verb(const struct store_action *a); /* its name */
void settle_put_state(struct sync *s, struct store_action *a, enum store_action_state state); /* no intent any more */
/* A message that exists only here, and that nothing will make any more; `what`: why, of the action. */
void settle_unmake(struct sync *s, uint64_t action, uint64_t message, const char *what);
const char *settle_mailbox_name(struct sync *s, uint32_t id); /* NULL: none */
/* Has it no part left to be done? Then it is done and forgotten, or stays with its reason; it is told. */
void settle_over(struct sync *s, uint64_t action);
/* The part failed, and with it what needs it. settle_over follows, once for all parts. The first reason stays. */
void settle_fail_part(struct sync *s, uint64_t action, uint64_t message, uint64_t blocked_by,
	const char *reason);
/* The whole action. */
void settle_fail(struct sync *s, uint64_t action, uint64_t blocked_by, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Mailboxes that no action will make any more: forgotten, or gone from the server as they were before. When all
 * projections are made: their files have gone. */
bool settle_has_unmade(struct sync *s);
void settle_unmade(struct sync *s);
/* R10: done or not, nobody can tell. */
void settle_unknown(struct sync *s, uint64_t action, const char *reason);
void settle_drop(struct sync *s, uint64_t action);
/* These wait again, each with what it failed for, and in the end with those that failed because of them. */
/* Was one of its messages to be made by an action that is dropped, or makes another now? */
bool settle_lacks_message(struct sync *s, uint64_t action);
struct rearm *settle_rearm_new(struct sync *s);
void settle_rearm_add(struct rearm *r, uint64_t action);
void settle_rearm_end(struct rearm *r);
void settle_forget_intent(struct store_action *a);
/* The message is gone from the server. True: it is kept here, to be uploaded; the record is put. */
bool settle_gone(struct sync *s, struct store_message *m);
/* The same for an action that had failed when its message went, and is tried again: the record is gone, too. */
void settle_missing(struct sync *s, uint64_t action, uint64_t message);
/* It was never sent, and the user does not want it any more: all that was to be done with it is done. */
void settle_vain(struct sync *s, struct store_message *m);
/* Its UID went with its UIDVALIDITY (S2). */
void settle_reset(struct sync *s, const struct store_message *m, const char *mailbox);

/* fold.c */
/* Takes up what the file holds; begins and commits transactions of its own. False: the run has failed. */
bool fold(struct sync *s);
/* The same between two steps of a run, where anything was added. */
void fold_if_due(struct sync *s);
/* At once: before the run ends, whatever was added while it lasted. True where something was. */
bool fold_if_grown(struct sync *s);
/* Leaves out of the file what is done, and deletes bodies that nothing will send any more. */
void fold_compact(struct sync *s);
/* One line, whatever its verb; in a transaction. */
void fold_line(struct sync *s, const struct queue_action *line);
/* fold_about.c: "retry" and "drop". */
void fold_about(struct sync *s, const struct queue_action *line);
/* fold_verbs.c: in a transaction. Puts the action's record and parts, and shows what it will do. */
void fold_action(struct sync *s, const struct queue_action *line);
/* The record of a line that cannot be done. */
void fold_refuse(struct sync *s, uint64_t number, uint32_t verb, enum store_action_state state,
	const char *reason);
/* The flags under that key, if a server can be told them: they go into commands as they are. NULL, or why not. */
const char *fold_flags(const struct queue_action *line, const char *key, struct mail_flags *flags);
/* fold_names.c: what mailboxes are called when the renames that wait are done. */
void fold_names_load(struct sync *s);
uint32_t fold_names_last(const struct sync *s); /* the highest id that is known */
void fold_names_add(struct sync *s, uint64_t action, const struct box *box, const char *to, uint32_t last);
void fold_names_free(struct sync *s);
/* The one that has this name when the action's turn has come; NULL. */
struct box *fold_box_named(struct sync *s, uint64_t action, const char *name);
/* fold_append.c: NULL, or why not; that may stand in *err. */
const char *fold_append(struct sync *s, const struct queue_action *line, struct store_action *a,
	struct err *err);
#define FOLD_FORCE 1u /* of store_action.options: delete even with new mail in it (R12) */

#endif
