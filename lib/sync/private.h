/* What the files of lib/sync share: one run (struct sync), its connections, mailboxes and jobs.
 *
 * How it moves. Everything that happens marks `turn`; account_turn, from the top of the loop, looks at
 * what is possible now: commit what has gathered, start pulls on the first connection, hauls on
 * whichever is free, or end. Nothing else starts anything. */
#ifndef SYNC_PRIVATE_H
#define SYNC_PRIVATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "imap/imap.h"
#include "io/io.h"
#include "maildir/maildir.h"
#include "queue/queue.h"
#include "store/store.h"
#include "sync/plan.h"
#include "sync/sync.h"
#include "sync/throttle.h"

#define LINKS 2

struct arrival;
struct box;
struct haul;
struct pull;
struct question;
struct sync;

/* One selection of a mailbox on one connection: the owner that lib/imap gives back with each
 * untagged response. It lives until the run ends, since answers may come late. */
struct visit {
	const struct visit_ops *ops;
	struct visit *next; /* of all */
	struct box *box;
	struct link *link;  /* NULL once the connection is lost */
};
struct visit_ops {
	void (*untagged)(struct visit *v, const struct imap_resp *resp);
	/* Where a body's octets go; NULL: nowhere. */
	struct sink *(*body)(struct visit *v, uint32_t uid, uint64_t size);
	void (*lost)(struct visit *v); /* the connection is gone: no answer comes any more */
	void (*free)(struct visit *v);
};

/* A connection. */
enum link_state { LINK_DOWN, LINK_OPENING, LINK_READY, LINK_LEAVING, LINK_REFUSED };
struct link {
	struct sync *sync;
	unsigned index;
	enum link_state state;
	struct imap *imap;
	struct haul *haul; /* that has more to ask for over it */
	unsigned serial;   /* of the connection: another after each link_open */
	char name[80];
};

/* A mailbox of this run. */
enum box_state {
	BOX_IDLE,    /* nothing to do, or done */
	BOX_TO_PULL, /* waits for a pull */
	BOX_PULLING,
	BOX_LEFT,    /* could not be synced in this run; was told */
};
struct box {
	struct sync *sync;
	struct box *next;
	struct store_mailbox rec; /* as it will be in the store after the next commit */
	struct plan_told told;
	char *told_mailboxid; /* with it (RFC 8474); NULL */
	struct box *was;      /* renamed.c: this name stands for the mailbox that was there */
	struct conf_mailbox_rules rules;
	enum box_state state;
	bool listed;       /* the server named it in this run */
	bool nonexistent;  /* it said that there is none */
	bool newly_gone;   /* since this run */
	bool chosen;       /* by configuration and command line */
	bool fresh;        /* has no record yet */
	bool rec_changed;  /* rec must be written */
	unsigned session;  /* S15: its UIDs are of this connection alone (link.serial); 0: they last */
	bool by_select;    /* EXAMINE told another UIDVALIDITY: ask SELECT */
	unsigned pulls;    /* how often it was pulled in this run */
	bool by_us;        /* it was renamed or deleted on our word: no news */
	bool touched;      /* the replay changed it: what LIST-STATUS told is no longer so */
	bool again;        /* something showed that the pull must be done once more */
	uint32_t haul_after; /* bodies up to this UID have been asked for in this run */
	uint32_t haul_again; /* the lowest of those up to there that are wanted since; 0 none */
	bool no_ids;       /* the server refuses to tell Message-IDs beside descriptors (Q84) */
	bool too_long;     /* a command of its pull asked for too many UIDs (Q47) */
	bool hauling;
	bool may_owe;      /* the store may hold bodies owed of it */
	struct uids refused; /* bodies that the server would not give in this run; told */
	struct uids flagged_here; /* stand-ins that are to be wanted whole */
	uint32_t awaits;          /* from this UID on some wait for another mailbox's haul; 0: none */
	struct uids shared;       /* whose bodies have come for another mailbox meanwhile */
	uint32_t match_after; /* up to this UID they are resolved */
	uint32_t uidnext_hint; /* of an earlier pull of this run, for splitting */
	bool rules_changed;  /* since the bodies owed were chosen: its messages are looked at anew */
	uint32_t rules_after; /* up to this UID that is done */
	struct sync_result result;
};
/* As a mailbox, not only as a name above some. */
static inline bool box_is_there(const struct box *box)
{
	return box->listed && !(box->rec.state & STORE_MAILBOX_NOSELECT);
}
static inline bool box_is_of_session(const struct box *box, const struct link *link)
{
	return box->session != 0 && link && link->serial == box->session;
}

/* secret.c */
struct secret {
	struct io *io;
	const struct conf_account *account;
	const char *given; /* instead of what the configuration says */
	struct buf text;
	bool has;
	struct io_child *child;
	void (*ready)(void *arg);
	void (*failed)(void *arg, const struct err *err);
	void *arg;
};

/* throttle.c */
struct throttle {
	struct throttle_pace pace;
	bool holding;        /* nothing new is sent until then */
	double hold_until;
	struct io_timer *timer;
	unsigned refusals;   /* in a row, that asked to slow down */
	bool backed_off;     /* in this run */
	bool held_back;      /* this run began too early */
	/* Facts of this server. */
	int64_t not_before;  /* no run before that; seconds since 1970 */
	unsigned backoff_s;  /* the last one that was not told by the server */
	char *words;         /* why */
	unsigned window;     /* commands at once, learnt; 0: as configured */
	bool narrowed;       /* in this run */
	unsigned max_set;    /* UIDs in a command, learnt; 0: any number */
	bool max_set_proved;
	bool changed;
	/* The rate. */
	struct throttle_bucket bucket;
	uint64_t counted[LINKS];
	struct io_timer *tick;
	bool streams_held;
};

struct sync {
	struct io *io;
	struct sync_options options;
	struct sync_events events;
	void *arg;
	const struct conf_account *account;

	struct io_work turn;
	struct io_timer *lock_timer, *retry_timer;
	double lock_until;
	int lock_fd;
	char *scratch; /* of a dry run without a store */
	struct secret secret;

	struct store *store;
	struct queue *queue;    /* NULL in a dry run */
	double queue_looked;    /* whether it has grown */
	bool queue_foreign;     /* the file is of another store; told */
	uint64_t queue_foreign_to; /* lines up to this number were made for another store, and taken over */
	bool queue_settled;     /* lines may be left out of it now */
	bool queue_fresh;       /* something may be replayed that could not be before */
	unsigned push_rounds;
	struct maildir *maildir;
	int64_t now; /* of the run's start, seconds since 1970 */
	uint32_t run;
	bool run_noted;    /* the run's number is in the store */
	uint64_t written;  /* octets of files of this run */

	enum {
		SYNC_LOCKING, SYNC_CONNECTING, SYNC_LISTING, SYNC_PUSHING, SYNC_WORKING, SYNC_LEAVING, SYNC_OVER
	} phase;
	bool stopping, failed, breaking, told_done;
	struct err failure;
	bool store_failed; /* a commit failed: nothing more is written from memory */
	bool unshown;      /* in this transaction a file that should be shown could not be written */
	bool retrying;     /* a connection was lost: the timer says when to try again */
	uint64_t expected; /* messages that LIST-STATUS told and we do not know */
	bool pipeline_mailboxes;
	/* Facts of this server, learnt and kept (facts.c). */
	unsigned append_max; /* messages in one APPEND, where more were refused; 0: any number */
	bool no_mailboxid; /* STATUS tells it wrong */
	bool no_examine;   /* Q70: its UIDVALIDITY is told by SELECT only */
	bool no_qresync;   /* it refuses the parameters (Q76); not kept */
	uint64_t append_limit; /* what `queue add` refuses, without the network: APPENDLIMIT (RFC 7889); 0: none told */
	char *mechanism;   /* the login that it took after it had refused what it offers first (C3) */
	bool facts_changed;
	unsigned failures; /* lost connections in a row without progress */
	int exit_status;
	double started, told;

	struct rename *renames; /* fold_names.c */
	bool folding_again; /* what fails meanwhile is read again, and told only then */
	struct push *push;
	struct throttle throttle;
	struct link links[LINKS];
	unsigned connections; /* so far */
	struct visit *visits;
	struct box *boxes, **boxes_end;
	void *by_wire, *folders; /* trees (tsearch): boxes by wire name, folders taken without case */
	struct box *next_status;
	unsigned list_unanswered, status_unanswered;
	bool listed, decided;
	struct question *questions; /* renamed.c */
	unsigned questions_unanswered;
	bool renames_begun;
	struct own_rename *own_renames;

	struct buf text; /* a piece of a body with its line ends changed */
	/* What has gathered for the next transaction (batch.c). */
	struct pull *pulls;       /* with an inbox */
	uint64_t inbox_items;
	struct arrival *arrived, **arrived_end; /* whole bodies */
	struct arrival *under_way[LINKS]; /* whose octets come in now */
	uint64_t arrived_octets;
	struct haul *hauls; /* under way */
	unsigned arrived_count;
	bool finished_any;         /* a pull waits to be finished */

	struct {
		bool due;              /* in this run */
		int64_t since;         /* of the last time */
		int64_t age, date;     /* where the walk is */
		uint64_t size, number;
	} aged;

	/* Projections to be made after the commit, and those made, to be struck off by the next one. */
	struct store_projection *projections;
	size_t projection_count, projection_size;
	uint64_t *made;
	size_t made_count, made_size;

	struct sync_progress progress;
};

/* account.c */
/* One without a network, for local work; and its end. */
struct sync *sync_new_local(const struct sync_options *options, const struct sync_events *events,
	void *arg);
void sync_free_local(struct sync *s);
/* Looks at what is possible now, from the top of the loop. */
void account_mark(struct sync *s);
/* Ends the run: told once, in-flight work dropped, what has arrived is committed where it can be. */
void account_fail(struct sync *s, const struct err *err);
/* A connection was lost. Tells once; tries again where that may help. */
void account_lost(struct sync *s, const struct err *err, bool was_ready);
/* Tells the user; a failure makes the exit status at least 1. */
void account_note(struct sync *s, enum sync_note kind, const char *mailbox, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void account_progress(struct sync *s, const char *mailbox, bool now);

/* secret.c */
void secret_init(struct secret *s, struct io *io, const struct conf_account *account,
	const char *given);
/* -1: it cannot be read. Else it is there (s->has), or `ready` or `failed` will tell. */
int secret_start(struct secret *s, void (*ready)(void *arg),
	void (*failed)(void *arg, const struct err *err), void *arg, struct err *err);
/* Where it is there. */
void secret_give(const struct secret *s, struct imap *imap);
void secret_release(struct secret *s); /* wiped */

/* open.c: before the network. 0, 1 (the lock is held: try again), -1 with *err. */
int open_local(struct sync *s, struct err *err);
void close_local(struct sync *s);
enum maildir_layout local_layout(const struct conf_account *account);

/* link.c */
void link_options(const struct conf_account *account, struct imap_options *options);
void link_open(struct link *link);
void link_close(struct link *link); /* at once */
/* A server of the oldest kind. imap4d's EXAMINE gives new mail UIDs, and the mailbox a UIDVALIDITY, that last
 * until the next one; only SELECT writes them down (Q70). Nothing is lost by SELECT but \Recent. */
bool link_is_plain(const struct link *link);
void visits_free(struct sync *s);
/* S15: a connection was lost, and with it the UIDs that were good for it only. */
void boxes_lose_session(struct sync *s);
/* Gives the memory of a visit to the run. */
void visit_add(struct visit *v, const struct visit_ops *ops, struct box *box, struct link *link);

/* facts.c */
void facts_load(struct sync *s);
void facts_put(struct sync *s); /* in a transaction, where they changed */
void facts_release(struct sync *s);
/* In a transaction: how the run ended, for `status`; error NULL: in order. */
void facts_put_end(struct sync *s, const char *error);

/* throttle.c */
enum throttle_verdict {
	THROTTLE_GO_ON, /* the answer means what it says */
	THROTTLE_AGAIN, /* refused because of haste: to be asked for again; it will wait as it must */
	THROTTLE_OVER,  /* the run is over, and was told */
};
void throttle_init(struct sync *s);
void throttle_release(struct sync *s);
void throttle_load(struct sync *s);
void throttle_put(struct sync *s); /* in a transaction, where anything changed */
/* The server asked not to be asked yet: ends the run. */
bool throttle_holds_back(struct sync *s);
/* Every tagged answer, once, before anything else looks at it. */
enum throttle_verdict throttle_answer(struct sync *s, const struct imap_resp *tagged);
/* The next run, too, should leave the server alone for a while. */
void throttle_back_off(struct sync *s, struct slice words, bool over_quota);
void throttle_succeeded(struct sync *s); /* the run has come to its end */
double throttle_wait_s(const struct sync *s); /* until something may be sent */
void throttle_ready(struct link *link);
void throttle_stop(struct sync *s); /* what is under way may end at full speed */
/* How many UIDs a command may ask for, 0: any number; and octets of their set, beside what stands around it. */
unsigned throttle_set_max(const struct sync *s);
size_t throttle_set_octets(const struct sync *s, const char *items);
/* As uids_print, within both. */
uint32_t throttle_print_set(const struct sync *s, const struct uids *set, uint32_t from, const char *items,
	struct buf *out);
/* A command for so many UIDs was answered BAD; and: that was their number, as all came otherwise. */
void throttle_set_refused(struct sync *s, uint64_t uids);
void throttle_set_proved(struct sync *s);
/* With a limit to the rate less is asked for at once, and less ahead. */
uint64_t throttle_ask_octets(const struct sync *s, uint64_t usual);
bool throttle_may_ask(const struct sync *s, unsigned unanswered);

/* rules.c: which bodies are wanted, where the user's rules changed. In a transaction; true where more is left. */
bool rules_apply(struct box *box, unsigned *limit);
/* More of a message may be wanted than was: a new one, other flags, asked for by name (STORE_WANTED). The
 * record says so (not yet put). What was wanted stays wanted. */
void box_owe(struct box *box, struct store_message *m);

/* aged.c: what has become too old for the rules. */
struct aged_folder {
	const struct box *box; /* that was scanned last */
	struct maildir_scan scan;
};
void aged_folder_release(struct aged_folder *f);
/* In a transaction: lets go of the message's body and file, if it is to be and its file is as we left it. True
 * where that was done; the record is put. */
bool aged_drop(struct aged_folder *f, struct box *box, struct store_message *m);
void aged_begin(struct sync *s); /* is it time to look? */
void aged_apply(struct sync *s, unsigned *limit); /* in a transaction: some of it */

/* standin.c */
/* Is the stand-in itself owed? Else, with STORE_BODY_OWED, the whole message is, also where a
 * stand-in is shown. */
static inline bool standin_is_owed(const struct store_message *m)
{
	return (m->state & (STORE_BODY_OWED | STORE_STAND_IN | STORE_SHOWN)) ==
	       (STORE_BODY_OWED | STORE_STAND_IN);
}
/* Its file is gone, and there is no body to write it from: it is owed again (not yet put). */
void standin_lose(struct store_message *m);
/* Is the file as it was written? */
bool standin_is_intact(struct maildir *maildir, const struct maildir_name *name,
	const struct store_message *m);
/* Stand-ins that were flagged here, in the file's name: they go to box->flagged_here. Reads only. */
void standin_look(struct box *box);
/* In a transaction: these are wanted whole. */
void standin_want(struct box *box);
/* Those of one haul. */
struct standins;
struct standins *standins_new(struct visit *v);
void standins_add(struct standins *t, uint32_t uid);
/* Is there a command to send now? Then sends one; the mailbox is selected. */
bool standins_due(const struct standins *t);
void standins_ask(struct standins *t);
/* Is something asked for and not answered, or to be asked? */
bool standins_busy(const struct standins *t);
void standins_fetched(struct standins *t, const struct imap_resp *r);
/* No more is asked for. Returns the smallest UID that has not come, 0: none. */
uint32_t standins_drop(struct standins *t);
void standins_free(struct standins *t);

/* doubts.c: whole bodies of a size that was not told, of one haul. Zeroed is empty. */
struct doubts {
	struct doubt *first;
	unsigned count;
	uint64_t octets;
};
#define DOUBTS_OCTETS (4u << 20)
void doubts_add(struct doubts *d, struct arrival *a, uint32_t uid); /* takes `a` */
/* A server whose sizes are never right must not fill the memory. */
bool doubts_are_many(const struct doubts *d);
void doubts_uids(const struct doubts *d, struct uids *set);
/* The check is answered: these are there. Nothing is in doubt any more. */
void doubts_settle(struct doubts *d, struct box *box, const struct uids *there);
/* None of them is believed. Returns the smallest UID, 0: none. */
uint32_t doubts_drop(struct doubts *d);

/* boxes.c */
void boxes_load(struct sync *s); /* those of the store, once */
struct box *box_by_id(struct sync *s, uint32_t id); /* or NULL */
struct box *box_by_name(struct sync *s, const char *name);
/* In a transaction: a mailbox that an action will make on the server (STORE_MAILBOX_HERE). */
struct box *box_here(struct sync *s, const char *name);
/* The account's trash mailbox, or NULL: as configured, else by SPECIAL-USE. */
struct box *box_with_role(struct sync *s, const char *special_use);
struct box *box_of_wire(struct sync *s, struct slice wire); /* or NULL */
/* What LIST names: a box of the store under its decoded name, or a new one. */
struct box *box_for(struct sync *s, const struct imap_resp *r);
bool box_is_chosen(const struct sync *s, const struct box *box); /* by configuration and command line */
/* Are all mailboxes that the command line names known, so that LIST can be left out (L1)? Then they
 * are the run's mailboxes. */
bool boxes_known(struct sync *s);
/* Which are to be pulled, which are new, which are gone. */
void boxes_decide(struct sync *s);
/* A replay later in the run: those that it changed are pulled once more. */
void boxes_pull_touched(struct sync *s);
/* In a transaction: the records of those that have none yet, and of those that changed. */
void boxes_put_new(struct sync *s);
void boxes_put(struct sync *s);
/* Tells of bodies that did not come although all was answered OK. */
void boxes_tell_missing(struct sync *s);
/* Where something showed that it must be: the next pull of this run, up to a bound. */
void box_pull_again(struct box *box);
void boxes_free(struct sync *s);
/* Another folder, which nobody has and nothing lies in. */
void box_choose_folder(struct box *box);
bool box_has_folder(const struct sync *s, const char *folder);

/* boxes_list.c: asks for the mailboxes and what changed in them. */
void boxes_ask(struct sync *s);
bool boxes_asked(struct sync *s); /* all answered */
void boxes_untagged(struct sync *s, const struct imap_resp *resp);

/* renamed.c: after LIST. True once it is known which names stand for mailboxes that had other ones (box->was). */
bool renames_found(struct sync *s);
void renames_forget(struct sync *s); /* LIST is asked for anew */
/* We have renamed it, with what is below it: at the next LIST no question is needed. */
void renames_expect(struct box *box, const char *name);
void renames_free(struct sync *s);
/* renamed_apply.c: those take their records, and their folders follow. What cannot is dropped before. */
void renames_drop_blocked(struct sync *s);
void renames_apply(struct sync *s);

/* removed.c: which are gone, and what becomes of them. */
void boxes_follow_removed(struct sync *s);
/* The mailbox's messages, files and folder go, and its record; nothing does where the folder holds what is from
 * nowhere else, which is told. Transactions of its own. -1: the store or the Maildir cannot be read or written; what
 * has gone by then is gone, and the next call goes on. */
int box_remove(struct box *box, struct err *err);
/* Its messages and their files go; folder and record stay, as those of a mailbox that an action will make.
 * Transactions of its own. -1: as above; the record in memory is as it was. */
int box_empty(struct box *box, struct err *err);

/* moves.c: folders that get other names; lines of a list, in the order in which they are made. */
void moves_add(struct buf *list, const char *from, const char *to);
void moves_note(struct store *store, const struct buf *list); /* in a transaction */
/* Makes those that are noted, and strikes them off, in transactions of its own; nothing to do is fine. -1: a folder
 * could not be moved; what is left stays noted. */
int moves_finish(struct store *store, struct maildir *maildir, struct err *err);

/* pull.c */
void pull_start(struct box *box, struct link *link);
/* Goes on where answers allow it; from the top of the loop. */
void pull_step(struct pull *p);
/* Is there nothing more to ask, so that it can be finished? */
bool pull_wants_apply(const struct pull *p);
/* Is its mailbox none of the store yet? */
bool pull_is_homeless(const struct pull *p);
/* In a transaction: writes what the inbox holds, at most about `limit` messages. True where more is
 * left. */
bool pull_apply(struct pull *p, unsigned limit);
bool pull_is_over(const struct pull *p);
/* It was taken off the list. */
void pull_settle(struct pull *p);
struct pull **pull_link(struct pull *p); /* its place in the list of s->pulls */

/* push.c: the replay of the queue. */
struct push;
bool push_is_due(struct sync *s);
void push_start(struct sync *s);
/* Goes on where answers allow it; from the top of the loop. */
void push_step(struct push *p);
bool push_is_over(const struct push *p);
/* Once: a mailbox was renamed. */
bool push_must_list(struct push *p);
/* The first connection is gone; and from the top of the loop: what is known is agreed. */
void push_lost(struct push *p);
void push_after_loss(struct push *p);
void push_break_off(struct push *p); /* the run ends */
void push_tell_plan(struct sync *s);
void push_free(struct push *p);

/* haul.c */
/* Bodies from this UID on are asked for anew. */
void box_ask_again(struct box *box, uint32_t uid);
/* Is there a body to ask for, beyond what is asked for already? */
struct box *haul_find(struct sync *s, const struct link *link);
void haul_start(struct link *link, struct box *box);
/* All that are under way: go on asking where there is room, end where all has come. */
void hauls_more(struct sync *s);
/* Is what comes for this visit of a haul of the mailbox that our record speaks of? */
bool haul_visit_is_trusted(const struct visit *v);
/* The server would not give this message: told, and asked for again in the next run. */
void haul_refused(struct box *box, uint32_t uid, const struct imap_resp *tagged);
/* The server asks to slow down: the run has ended. */
bool haul_must_slow_down(struct sync *s, const struct imap_resp *tagged);

/* arrive.c */
struct arrival *arrival_next(const struct arrival *a);
struct arrival *arrival_new(struct visit *v, uint32_t uid, uint64_t size);
struct sink *arrival_sink(struct arrival *a);
bool arrival_is_whole(const struct arrival *a);
uint64_t arrival_octets(const struct arrival *a);
/* False where the Message-ID of `m` was learnt, and this is another one's body (C5, Q45). */
bool arrival_is_of(const struct arrival *a, const struct store_message *m);
/* To be filed by the next transaction, as the body of `m`. Takes `a`. */
void arrival_take(struct arrival *a, const struct store_message *m);
void arrival_free(struct arrival *a);
/* A stand-in, composed: to be filed by the next transaction as the file of `m`. */
void arrival_stand_in(struct box *box, const struct store_message *m, struct slice text);
/* Nobody wants it; freed as soon as its literal has ended. NULL is fine. */
void arrival_abandon(struct arrival *a);
/* In a transaction: writes what the record says from now on. */
void arrival_file(struct arrival *a);
/* In a transaction: what streams and has gathered in memory; is there so much that it must be? */
void arrivals_flush(struct sync *s);
bool arrivals_wait(const struct sync *s);
void arrivals_free(struct sync *s);

/* reset.c: takes the UIDs from a mailbox's messages, in pieces; in a transaction; true where more is left. */
bool reset_some(struct box *box, unsigned limit);

/* match.c */
/* May a message with these be one whose body the store has? *by_message_id: then its Message-ID is worth asking
 * for; where both have an EMAILID that was told already (S13). */
bool match_suspects(struct sync *s, int64_t date, uint64_t size, bool has_emailid, bool *by_message_id);
/* Of two that have an EMAILID: are they one mail by it? */
bool match_same_emailid(const struct store_message *a, const struct store_message *b);
/* The Message-ID of a message that we hold, from its record or its body; false where there is none. */
bool match_known_id(struct sync *s, const struct store_message *m, uint8_t id[16]);
/* 16 octets that stand for the Message-ID in a header; zeros where there is none. */
void match_message_id(struct slice header, uint8_t id[16]);
bool match_has_id(const uint8_t id[16]);
/* In a transaction: the body is here, its file is written from it. False where that fails; then it is fetched. */
bool match_share(struct box *box, struct store_message *n, uint64_t body);
/* In a transaction: resolves what is UNMATCHED and then drops orphans; true where more is left. */
bool match_some(struct box *box, unsigned *limit);

/* labels.c: one mail in several mailboxes is fetched once. */
/* Has another mailbox's haul brought its body since, or is that on its way? Then it is not to be asked for now. */
bool labels_have(struct box *box, const struct store_message *m);
/* Bodies that came for one mailbox are here: others' messages that waited for them have their turn. */
void labels_awaited(struct sync *s);
/* In a transaction: those of box->shared get it, without a fetch; true where more is left. */
bool labels_share(struct box *box, unsigned *limit);

/* batch.c */
/* A transaction of its own: what mailboxes are, facts and projections made are written with it, and the
 * projections put since are made after its commit. False: it failed, and the run with it. */
bool batch_begin(struct sync *s);
/* Nothing is written where a file that should be shown could not be (a full disk): nobody would look for it again. What
 * was agreed with the server is found out anew. */
bool batch_end(struct sync *s);
/* The same where the run has failed within it in any way. */
bool batch_end_whole(struct sync *s);
bool batch_is_due(const struct sync *s);
void batch_commit(struct sync *s);
bool batch_is_empty(const struct sync *s);
bool batch_is_done(const struct sync *s); /* but for projections to be struck off */
void batch_project(struct sync *s, struct store_projection *p); /* in a transaction; takes *p's content */
/* RENAME or REMOVE of the file as `m` shows it, before *m is changed. */
void batch_project_shown(struct sync *s, enum store_projection_kind kind,
	const struct store_message *m);
/* The message's file lies in tmp under project_tmp_name: from now on it is shown, with a projection that
 * places it. Fills in what the record says of the file, and puts it. */
void batch_show(struct sync *s, struct store_message *m, const struct maildir_stat *st);
/* The same where it is known how it is to be shown; the record is not put. */
void batch_show_as(struct sync *s, struct store_message *m, const struct maildir_stat *st,
	const struct shown *w);
/* Strikes off the projections that were made. */
void batch_strike(struct sync *s);
void batch_free(struct sync *s);

/* project.c */
/* An entry for the file that the message is shown with now. */
void project_shown_init(struct store_projection *p, enum store_projection_kind kind,
	const struct store_message *m);
/* Makes one projection come true. 0 done (or nothing is left to do), 2 the file to be removed was
 * edited here and stays, 3 another file has the name that it should get, -1 the Maildir cannot be written. */
int project(struct store *store, struct maildir *maildir, const struct store_projection *p,
	struct err *err);
/* Writes a message's file from its body, to its shown place. */
void project_tmp_name(uint64_t number, char tmp[32]);
/* A stand-in's, which may be under way together with the whole message. */
void project_tmp_name_of_stand_in(uint64_t number, char tmp[32]);
/* The same, only into the tmp folder. */
int project_to_tmp(struct store *store, struct maildir *maildir, const struct store_message *m,
	struct maildir_stat *st, struct err *err);
int project_rewrite(struct store *store, struct maildir *maildir, const struct store_message *m,
	const char *folder, struct err *err);
/* Finishes what an earlier run left on the projection list. */
int project_finish(struct store *store, struct maildir *maildir, struct err *err);
/* A commit that is waited for, outside the loop. */
int project_commit(struct store *store, struct err *err);

/* Under which name a scanned file stands. */
static inline struct maildir_name entry_name(const char *folder, const struct maildir_entry *e)
{
	return (struct maildir_name){ folder, e->base, e->letters, e->is_new, e->no_info };
}
/* Is the file the message's body, whatever its line ends? 1, 0, -1 it cannot be read. */
int file_is_body(struct store *store, struct maildir *maildir, const struct maildir_name *name,
	uint64_t body, struct err *err);
/* Of a file that is not: was it lost with the power, and not edited by somebody? */
bool file_is_damaged(struct maildir *maildir, const struct maildir_name *name,
	const struct store_message *m);

/* boot.c: which runs' files are known to be durable. */
/* After another boot, files of runs that were not known durable are checked and written again (M4). */
int boot_check(struct store *store, struct maildir *maildir, uint32_t *run, struct err *err);
/* At a run's end: makes earlier runs' files durable where that is due; in a transaction of its own
 * or the caller's. */
void boot_settle(struct sync *s);

/* Sizes of work. */
#define BATCH_MESSAGES 4096
#define BATCH_OCTETS (6u << 20)

#endif
