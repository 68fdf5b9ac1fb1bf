/* What the files of the replay share: push.c (when), push_gather.c (which actions go together), push_stay.c (a mailbox that
 * is open), push_flags.c, push_append.c, push_copy.c, push_expunge.c, push_boxes.c (one for each kind of
 * work, each a table of rows), push_remove.c (the rows that take messages away), push_look.c (finding out what a lost
 * command did), push_agree.c (transactions). */
#ifndef SYNC_PUSH_PRIVATE_H
#define SYNC_PUSH_PRIVATE_H

#include "sync/actions.h"

/* What a FETCH told of a message. */
struct push_seen {
	uint32_t uid, items;
	uint32_t system;
	struct mail_flags flags;
	int64_t date;
	uint64_t size;
	char *emailid;
	bool has_id; /* its header was told */
	uint8_t message_id[16];
	bool candidate, taken; /* push_look.c: may be ours; is matched */
};

/* A mailbox, open on the first connection for the batches that follow. Fills itself, decides nothing. */
struct stay {
	struct visit visit; /* first */
	struct push *push;
	bool writes;        /* SELECT, not EXAMINE */
	bool answered, ok, read_only, nonexistent;
	char refusal[200];
	uint64_t uidvalidity, highestmodseq;
	uint32_t uidnext, exists;
	bool has_permanent, any_keyword;
	struct mail_flags permanent;
	char *mailboxid;
	/* Since they were last cleared: */
	struct uids gone;   /* VANISHED */
	unsigned expunged;  /* EXPUNGE, by number only */
	struct uids listed; /* SEARCH */
	bool has_list;
	struct push_seen *seen; /* by FETCH, as they came */
	size_t seen_count, seen_size;
	uint64_t copied_validity; /* COPYUID that came untagged; 0: none */
	struct imap_uid_list from, to;
};

/* A part of the batch, or an action that has no messages. */
enum work_outcome {
	WORK_OPEN,    /* to be done; sent and not answered counts as that */
	WORK_COPIED,  /* the copy is there; a move still has to remove its source */
	WORK_DONE,
	WORK_GONE,    /* the message is gone from the server (R12) */
	WORK_LOCAL,   /* R4 */
	WORK_FAILED,  /* with a reason */
	WORK_UNKNOWN, /* R10 */
	WORK_VAIN,    /* never sent, and expunged by a later action (R14) */
	WORK_LATER,   /* not in this run */
};
struct work {
	uint64_t action, message;
	uint32_t mailbox, uid; /* agreed; 0: none */
	uint32_t state;        /* of the part */
	uint64_t made;
	enum work_outcome outcome;
	uint32_t new_uid;      /* in the target; 0: not known */
	bool sent, suspect;
	bool carried;          /* a later change of the batch to the same message carries it */
	bool alone;            /* not with others in one command: one of them was refused */
	bool bare;             /* append without keywords: they were refused */
	bool refused;          /* answered NO or BAD */
	bool looked;           /* it was among those that a look was for */
	bool there;            /* a lost move: its source is still there */
	bool together;         /* append: several were refused as one */
	unsigned command;      /* append: with which it went */
	uint64_t needed;       /* deletion of a mailbox: has failed with that action */
	char *reason;
	struct mail_flags add, remove;
};

#define PUSH_ATTEMPTS_ALONE 3 /* R11: after so many lost connections in a row it is sent alone */
#define PUSH_STEP_REFUSED 1   /* an upload: what is not there after the loss has failed */

struct push;
struct push_row {
	const char *name;
	bool (*due)(struct push *p);  /* NULL: always */
	void (*send)(struct push *p); /* NULL: nothing is sent */
	/* Everything is answered. May go elsewhere in the table with push_go. */
	void (*recv)(struct push *p);
};

/* A kind of batch. */
struct push_kind {
	const char *name;
	/* May this action go with the batch, which is not empty? */
	bool (*joins)(struct push *p, const struct store_action *a);
	const struct push_row *rows; /* ends with a NULL name */
	unsigned works_max;
};
extern const struct push_kind push_flags, push_append, push_copy, push_expunge, push_box, push_look;

/* What a command was about, first in a struct of its kind. Lives as long as the batch, since an answer may never come. */
struct push_ask {
	struct push_ask *next;
	struct uids uids;
};

struct push {
	struct sync *sync;
	struct push_ask *asks;
	struct link *link;
	enum { PUSH_GATHERING, PUSH_WORKING, PUSH_PAUSING, PUSH_OVER } state;
	uint64_t after;    /* actions up to it have had their turn in this run */
	uint64_t part_action, part_after; /* how far the action got that did not fit into a batch */
	bool begun;        /* the batch has its first action */
	unsigned passed_actions;   /* that the batch leaves for later; the first of them, and their messages */
	uint64_t passed_first;
	struct push_numbers {
		uint64_t *numbers; /* a hash table, 0 is a free place */
		size_t count, size;
	} passed;
	bool lost;
	bool stop;         /* a policy said abort: no more in this run */
	struct io_timer *pause;

	const struct push_kind *kind;
	struct store_action first; /* of the batch */
	uint32_t *blocked;         /* mailboxes whose earlier action did not come to its end */
	size_t blocked_count;
	struct work *works;
	size_t count, size;
	uint64_t octets;           /* of uploads in the batch */
	unsigned row;
	bool row_sent, going;
	unsigned unanswered;
	bool hasty;        /* something was refused because the server is busy */
	unsigned haste;    /* so many batches in a row */
	struct box *box, *to;      /* of the batch, where there is one */
	struct stay *stay, *ahead; /* where the batch works; opened in advance */
	size_t group, group_end;   /* works of the mailbox in turn (flags) */
	uint32_t uidnext;          /* of the target before the batch (R10) */
	uint64_t uidvalidity;
	bool missing;              /* the target is not there */
	bool created;              /* and was made, once */
	unsigned commands;
	bool was_listed, suspects; /* a mailbox to be made; one to be deleted that has grown */
	bool again;                /* a body is to be uploaded in place of a message that is gone */
	bool relist;               /* a mailbox was renamed: LIST must come before the next batch */
	bool no_move;              /* it is offered and refused (Q35) */
	unsigned refused_together; /* append: so many in one command, the fewest; 0: none */
	bool refused;              /* the last command was answered NO or BAD */
	enum imap_code code;
	char words[300];
	struct uids others;        /* R7 */
	unsigned rounds;           /* of a row that is run again */
	uint32_t seen_uidnext;     /* of the look before */
	struct hashed { uint32_t uid; uint8_t hash[MAIL_HASH_SIZE]; } *hashed; /* bodies read by push_look.c */
	size_t hashed_count;
	struct body_sink *sinks;
};

static inline bool push_has(const struct push *p, enum imap_cap cap)
{
	return imap_has(p->link->imap, cap);
}

/* push_gather.c: false: nothing has a turn any more. */
bool push_gather(struct push *p);

/* push.c */
void push_go(struct push *p, const char *row); /* that row is next */
void push_end(struct push *p);                 /* no row is next: the batch is over */
/* A command of the batch, answered to p->refused, code and words (the last refusal stays). */
struct imap_cmd *push_command(struct push *p, enum imap_cmd_kind kind);
/* The same with an answer of its own, after which push_answered is to be called. */
struct imap_cmd *push_command_to(struct push *p, enum imap_cmd_kind kind,
	void (*done)(void *arg, const struct imap_resp *tagged), void *arg);
/* False: the server was too busy, and the answer says nothing of what was asked for; the batch begins anew. */
bool push_answered(struct push *p, const struct imap_resp *tagged);
void push_send(struct push *p, struct imap_cmd *cmd);
void *push_ask(struct push *p, size_t size); /* zeroed, its set empty */
void push_fail_work(struct work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Refused, for the reason that the answer gives. */
void push_refuse_work(struct work *w, const struct imap_resp *tagged);
void push_fail_open(struct push *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Of those still open; `sent` of them only where it is true. */
size_t push_open_count(const struct push *p);
bool push_due_open(struct push *p); /* for rows: is there any? */
/* The row is run again after some seconds. */
void push_pause(struct push *p, double seconds);
/* Names the words of a server that refused. */
const char *push_words(const struct push *p);

/* push_stay.c */
/* The mailbox open on this connection for reading and, with `writes`, for changes; sends SELECT or EXAMINE where
 * it is not open yet. What it said before is forgotten. */
struct stay *stay_open(struct push *p, struct box *box, bool writes);
void stay_clear(struct stay *t);
const struct push_seen *stay_find(const struct stay *t, uint32_t uid);
/* May the mailbox be worked in? Else its open works have failed with the reason, and where UIDVALIDITY changed it
 * is marked as suspect. `writes`: read-only is a failure, too. */
bool stay_judge(struct push *p, struct stay *t, bool writes);
/* UID command over a set, in as many lines as it needs. `tail` follows the set. */
void push_send_set(struct push *p, enum imap_cmd_kind kind, const char *verb, const struct uids *set,
	const char *tail);
void push_open_uids(const struct push *p, struct uids *set); /* of open works */
/* R16: rides behind the SELECT. */
void push_send_check(struct push *p, const struct uids *set);
/* Who is gone, and who is another message than ours: judged by what the check told. */
void push_judge_check(struct push *p, size_t from, size_t to);
/* R16: UIDs used again for other mail. A date or a size alone may differ, where a server lies about one (Q24). */
bool push_is_other(const struct store_message *m, const struct push_seen *seen);

/* push_append.c: shared with copies and looks. */
bool push_due_status(struct push *p);
void push_send_status(struct push *p);
void push_recv_status(struct push *p);
void push_send_create(struct push *p);
/* Rows: flags that did not arrive with the upload are stored once more. */
bool push_verify_due(struct push *p);
void push_verify_send(struct push *p);
void push_verify_judge(struct push *p);
bool push_flags_due(struct push *p);
void push_flags_send(struct push *p);

/* push_flags.c: in works sorted by message and action the last one of a message carries what the earlier ones ask
 * for: of each flag the last word (R14). */
void push_merge_flags(struct work *works, size_t count);
/* Leaves of *flags what the server keeps there. True: all. */
bool push_keep_permanent(const struct stay *t, struct mail_flags *flags);

/* push_remove.c: rows that remove from p->box what is WORK_COPIED, or in a batch of expunges WORK_OPEN. */
bool push_remove_due(struct push *p);
bool push_who_due(struct push *p);
void push_remove_ask(struct push *p);
void push_remove_judge(struct push *p);
bool push_recover_due(struct push *p);
void push_recover_send(struct push *p);
void push_recover_judge(struct push *p);
void push_recover_mark(struct push *p);
void push_recover_done(struct push *p);
bool push_others_due(struct push *p);
void push_others_send(struct push *p);
void push_others_note(struct push *p);
bool push_unmark_due(struct push *p);
void push_unmark_send(struct push *p);
void push_mark_send(struct push *p);
void push_mark_judge(struct push *p);
bool push_left_due(struct push *p);
bool push_again_due(struct push *p);
void push_again_judge(struct push *p);
void push_expunge_send(struct push *p);
void push_expunge_judge(struct push *p);
/* Before a loss is agreed: while the others wait for their marks the action stays, done or not. */
void push_keep_others(struct push *p);
bool push_restore_due(struct push *p);
void push_restore_send(struct push *p);
void push_restore_done(struct push *p);
void push_remove_last(struct push *p);
#define PUSH_REMOVE_ROWS \
	{ "recover", push_recover_due, push_recover_send, push_recover_judge }, \
	{ "give back", push_recover_due, push_recover_mark, push_recover_done }, \
	{ "who", push_who_due, push_remove_ask, push_remove_judge }, \
	{ "others", push_others_due, push_others_send, push_others_note }, \
	{ "unmark", push_unmark_due, push_unmark_send, NULL }, \
	{ "mark", push_left_due, push_mark_send, push_mark_judge }, \
	{ "again", push_again_due, push_others_send, push_again_judge }, \
	{ "expunge", push_left_due, push_expunge_send, push_expunge_judge }, \
	{ "restore", push_restore_due, push_restore_send, push_restore_done }, \
	{ "left", push_remove_due, push_remove_ask, push_remove_last }

/* push_boxes.c: the server has that mailbox now. */
void push_box_made(struct push *p, struct box *box);

/* push_look.c */
/* Asks the target for what lies above the noted UIDNEXT. */
void push_look_send(struct push *p);
/* What of the works with that outcome is there? Those get their UID, and are WORK_DONE. */
void push_look_match(struct push *p, enum work_outcome which);
/* Is what was seen ours? `id`: of our Message-ID, NULL where it has none; `hash` and `seen_hash`: of the bodies, NULL where
 * not known; `bodies`: where they matter they are read. PERHAPS: only the user can tell. */
enum push_likeness { PUSH_OTHER, PUSH_SAME, PUSH_PERHAPS };
enum push_likeness push_compare(const struct store_message *m, const uint8_t *id, const uint8_t *hash,
	const struct push_seen *seen, const uint8_t *seen_hash, bool bodies);
struct sink *push_look_sink(struct push *p, uint32_t uid); /* for a body that is compared; NULL */

/* push_agree.c */
/* In a transaction: what the works came to. */
void push_agree(struct push *p);
/* The intent of every open work is durable before anything is sent (R10). False: the run has failed. */
bool push_note_intent(struct push *p);
void push_note_lost(struct push *p, bool counts);

#endif
