/* What pull.c (the table), pull_ask.c (commands), pull_open.c and pull_rows.c (rows), pull_inbox.c (responses) and
 * pull_apply.c (transactions) share. */
#ifndef SYNC_PULL_PRIVATE_H
#define SYNC_PULL_PRIVATE_H

#include "sync/private.h"

#define ROWS 6

/* One FETCH response: flags, and the rest where it is a whole descriptor. */
struct item {
	uint32_t uid;
	uint32_t system;
	uint32_t keywords, keywords_len; /* in pull.keywords */
	uint32_t emailid, emailid_len;   /* there, too */
	bool whole;
	bool suspect; /* the store may have its body */
	bool has_id;
	uint8_t message_id[16];
	int64_t date;
	uint64_t size;
};

/* A command in flight; `first` to `last` (0: "*") where it asks for new descriptors. */
struct ask {
	struct pull *pull;
	struct ask *next;
	uint32_t first, last;
	uint32_t uids; /* that it asks for, where that is known */
	unsigned row;
};

struct pull {
	struct visit visit; /* first */
	struct pull *next;  /* of those with something to apply */
	enum {
		PULL_ASKING,
		PULL_ANSWERED,  /* all there, waits to be applied and finished */
		PULL_RESETTING, /* the cache is being emptied */
		PULL_OVER
	} state;
	struct plan_pull plan;
	struct plan_selected sel;
	bool trusted;      /* SELECT was answered OK and is of our record */
	bool passing;      /* S15: the UIDs that it tells are of this connection alone */
	bool condstore;    /* the server's mod-sequences may be believed */
	unsigned row, judged; /* the next to be sent, and to be judged */
	bool sent[ROWS];
	unsigned unanswered[ROWS];
	bool refused[ROWS];   /* a command of this row was answered NO or BAD */
	bool hasty;           /* and that was because of haste, or because it asked for too much at once */
	struct ask *asks;
	bool has_refusal;
	enum imap_cond refusal_cond;
	enum imap_code refusal_code;
	char refusal[200];

	struct item *items;
	size_t count, size, applied;
	struct buf keywords;
	struct uids fresh;    /* whole descriptors in the inbox, not applied */
	struct uids answered; /* ranges of new descriptors answered OK */
	struct uids seen;     /* PLAN_PLAIN: old UIDs that answered */
	struct uids gone;     /* told or found to be gone, not applied */
	struct uids wanted;   /* "fill": UIDs listed and not known */
	struct uids listed;
	struct uids doubted;  /* "fill": UIDs known and not listed; those that answer are there */
	struct uids suspects; /* "ids": UIDs whose Message-ID tells whether the store has their bodies */
	bool has_list, must_list;
	unsigned opened;      /* later openings show a later moment */
	bool compared;        /* the known UIDs were found to be as many as EXISTS */
	bool late;            /* the mailbox changed after the numbers were compared */
	bool drained;         /* the connection was lost: what had come is applied, then it is asked anew */
	char *mailboxid;      /* told by the SELECT, or NULL */
	struct uids refresh;  /* known UIDs above lastseen: an interrupted sync brought them */
	bool matching;        /* every new message is looked for among those that we hold */
	char descriptor[128];
	uint64_t known_before; /* messages, as the pull began */
	uint64_t removed;
	bool pending;         /* in s->pulls */
};

static inline struct sync *pull_sync(const struct pull *p)
{
	return p->visit.box->sync;
}

/* Puts the pull on the list of those that the next transaction looks at. */
void pull_pend(struct pull *p);
/* The pull ends here: the mailbox is left as the store has it. */
void pull_leave(struct pull *p, enum box_state state);

/* pull_ask.c: a command of the row that is sent now. `first` to `last` (0: "*") where it asks for new descriptors. */
struct imap_cmd *pull_command(struct pull *p, enum imap_cmd_kind kind, uint32_t first, uint32_t last);
void pull_asks(struct pull *p, uint32_t uids); /* for so many UIDs asks the command just made */
void pull_send(struct pull *p, struct imap_cmd *cmd);
/* UID FETCH of a set, in as many lines as it needs. */
void pull_send_set(struct pull *p, const struct uids *set, const char *items);
const char *pull_descriptor(struct pull *p); /* what a descriptor is asked to hold */

/* pull_open.c: the first row. */
void pull_send_select(struct pull *p);
bool pull_recv_select(struct pull *p);
bool pull_start_reset(struct pull *p);
void pull_take_mailboxid(struct pull *p); /* the record gets the one that the opening told */
void pull_select_again(struct pull *p); /* where another mailbox may be selected by now */
/* The server refused to `what`: told, and the mailbox is left for this run. */
void pull_note_refusal(struct pull *p, const char *what);

/* pull_rows.c: the others. */
bool pull_due_new(struct pull *p);
void pull_send_new(struct pull *p);
bool pull_recv_new(struct pull *p);
bool pull_due_old(struct pull *p);
void pull_send_old(struct pull *p);
bool pull_recv_old(struct pull *p);
bool pull_due_list(struct pull *p);
void pull_send_list(struct pull *p);
bool pull_recv_list(struct pull *p);
bool pull_due_fill(struct pull *p);
void pull_send_fill(struct pull *p);
bool pull_recv_fill(struct pull *p);
bool pull_due_ids(struct pull *p);
void pull_send_ids(struct pull *p);
bool pull_recv_ids(struct pull *p);

/* pull_inbox.c */
void pull_untagged(struct visit *v, const struct imap_resp *r);
void pull_forget_inbox(struct pull *p);

#endif
