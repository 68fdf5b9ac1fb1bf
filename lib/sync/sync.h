/* The engine: brings one account's server and its local side together. One object is one run over one
 * account; any number of them share a loop. Nothing here asks a question or prints: what happens is
 * told through events. */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "io/io.h"
#include "store/store.h"

struct sync;

enum sync_note {
	SYNC_INFO,    /* worth a line with -v */
	SYNC_WARNING, /* the user should know; the work goes on */
	SYNC_FAILURE, /* something was left undone: the exit status tells too */
};

/* Where the run stands. Octets are those of bodies. */
struct sync_progress {
	const char *mailbox;            /* being worked on, NULL before the first */
	unsigned mailboxes, mailboxes_done;
	uint64_t messages, messages_done; /* bodies wanted and here */
	uint64_t octets, octets_done;
	double seconds;
};

/* What a mailbox's sync did, or with dry_run would do. */
struct sync_result {
	const char *mailbox;
	uint32_t added, flagged, removed; /* descriptors */
	uint32_t bodies;                  /* fetched; with dry_run: to be fetched */
	uint32_t matched;                 /* recognized: kept or shared, not fetched again */
	bool reset;                       /* UIDVALIDITY changed: cache emptied */
};

/* What became of an action of the queue, or with dry_run: that it would be sent. */
enum sync_outcome {
	SYNC_ACTION_PLANNED, /* dry_run */
	SYNC_ACTION_DONE,
	SYNC_ACTION_FAILED,  /* told by a note, too; the reason stays in the store */
	SYNC_ACTION_UNKNOWN, /* R10: done or not, nobody can tell; the same */
	SYNC_ACTION_LOCAL,   /* R4: the server keeps no such flag; it stays here */
};
struct sync_action {
	uint64_t number;
	const char *verb, *mailbox;
	enum sync_outcome outcome;
	const char *reason; /* NULL: none */
};

/* Every callback may come only from the loop. `mailbox` is the decoded name or NULL. */
struct sync_events {
	void (*note)(void *arg, enum sync_note kind, const char *mailbox, const char *text);
	void (*progress)(void *arg, const struct sync_progress *p); /* at most ten times a second */
	void (*result)(void *arg, const struct sync_result *r);     /* only where something happened */
	void (*acted)(void *arg, const struct sync_action *a);      /* NULL is fine */
	void (*done)(void *arg, int exit_status);                   /* last; sync_free may be called */
};

struct sync_options {
	const struct conf_account *account;
	const struct conf_profile *profile; /* or NULL */
	const char *const *mailboxes;       /* names; count 0: all that the configuration chooses */
	size_t mailbox_count;
	bool no_push, no_pull; /* only brings; only replays the queue */
	bool dry_run; /* connects and asks, changes nothing on either side */
	bool cold;    /* for `check --server`: asks for every flag, whatever the server says of changes */
	bool remake;  /* a Maildir that is gone may be made again (check --repair) */
	const char *secret;  /* asked for on the terminal before; NULL: as the configuration says */
	const char *command; /* for the lock: "sync" */
};

/* Begins; strings and arrays are the caller's and must outlive the run. Waits up to 5 s for the
 * account's lock. Never fails at once. */
struct sync *sync_new(struct io *io, const struct sync_options *options,
	const struct sync_events *events, void *arg);
/* Ends soon and in order: what has arrived is committed, nothing new is asked for (SIGTERM). */
void sync_stop(struct sync *s);
void sync_free(struct sync *s);

/* The queue's file is taken up into the store (R1): local numbers are given, bodies of scripts' lines are
 * copied to STATE/outgoing, and the Maildir shows what the actions will do. Local work, done when it returns:
 * 0; 1 where another process holds the account's lock, which then does it between two of its steps; -1 with *err
 * (what is in the file is safe in any case). Lines that cannot be done are told by `note`, and held or failed in
 * the store with their reason. `command`: for the lock. */
int sync_fold(const struct conf_account *account, const char *command,
	void (*note)(void *arg, enum sync_note kind, const char *mailbox, const char *text), void *arg,
	struct err *err);
/* Up to which number the file was taken up, says the store; an action up to it without a record is done. */
uint64_t sync_folded(struct store *store);
/* The message that an append has made, for "@N"; also of one that is done. 0: none. */
uint64_t sync_made_by(struct store *store, uint64_t action);

/* What a message is with the pending actions applied: as the Maildir shows it, where it has a file. */
struct shown {
	bool visible;
	uint32_t mailbox;
	struct mail_flags flags;
};
void shown_init(struct shown *w);
void shown_release(struct shown *w);
void show_wanted(struct store *store, const struct store_message *m, struct shown *w);

/* `mailtide check`: compares the store with the Maildir, and with `repair` makes the Maildir what
 * the store says, again: missing files are written, names set right. Foreign files are reported and
 * left alone. Local work, done when it returns; the exit status: 0 all is well (or was mended), 1 not. */
struct sync_check_events {
	/* what: "missing", "stand-in missing" (mended: the next sync brings it), "flags" (in the
	 * name), "damaged" (by a power failure), "changed" (the content, by somebody), "unreadable", "foreign" */
	void (*difference)(void *arg, const char *mailbox, const char *what, const char *path, bool mended);
	void (*note)(void *arg, enum sync_note kind, const char *mailbox, const char *text);
};
int sync_check(const struct conf_account *account, bool repair,
	const struct sync_check_events *events, void *arg);

/* `mailtide probe`: connects and logs in, then tells what it found, line by line. */
struct sync_probe;
struct sync_probe_events {
	void (*fact)(void *arg, const char *name, const char *value);
	void (*mailbox)(void *arg, const char *name, bool chosen, const char *attributes);
	void (*done)(void *arg, int exit_status, const char *error); /* error NULL at 0 */
};
struct sync_probe *sync_probe_new(struct io *io, const struct conf_account *account,
	const char *secret, const struct sync_probe_events *events, void *arg);
void sync_probe_free(struct sync_probe *p);

#endif
