/* Commands on their way: tags, order, what may fly together, and whose the answers are. Private to
 * lib/imap. Knows no network: it writes through a callback and is fed with responses, so that a test
 * plays the server line by line. */
#ifndef IMAP_PIPE_H
#define IMAP_PIPE_H

#include "imap/cmd.h"
#include "imap/visit.h"

/* A server's words in a sentence of ours. */
#define WORDS(resp) (int)((resp)->cond.text.len < 300 ? (resp)->cond.text.len : 300), \
	(resp)->cond.text.data

/* What may be in flight or waiting (C7), where the options do not say. */
enum { PIPE_COMMANDS_MAX = 400 };
#define PIPE_EXPECT_MAX ((uint64_t)32 << 20)

struct pipe_events {
	void (*write)(void *arg, struct slice data);
	/* Written, but not yet given to the kernel. */
	size_t (*pending)(void *arg);
	void (*on_untagged)(void *arg, void *box, const struct imap_resp *resp);
};

struct pipe {
	const struct pipe_events *events;
	void *arg;
	const char *name; /* for the log */
	/* Set by the login. */
	enum cmd_literals literals;
	unsigned commands_max;
	bool tells_closed; /* the server sends [CLOSED]: SELECTs may fly behind another mailbox */

	struct imap_cmd *waiting, **waiting_end;
	struct imap_cmd *flying, **flying_end;
	struct imap_cmd *writing;   /* the last one flying, of which not all is written */
	struct imap_cmd *blocking;  /* flying; nothing follows it */
	struct visits visits;
	unsigned count;             /* waiting and flying */
	unsigned in_flight;         /* flying */
	unsigned searches;          /* plain SEARCHes flying */
	unsigned of_mailbox;        /* flying commands that are of a visit */
	unsigned last_tag;
	uint64_t expect, written;
	bool was_full, was_busy, stopped;
	bool held;                  /* nothing leaves now (imap_slow) */
	struct buf out, log;
};

void pipe_init(struct pipe *p, const struct pipe_events *events, void *arg, const char *name);
void pipe_release(struct pipe *p);
/* Nothing is called or written any more; what waits and flies is freed. Safe inside a callback. */
void pipe_stop(struct pipe *p);

/* Takes the command over; pipe_flush writes it. */
void pipe_send(struct pipe *p, struct imap_cmd *cmd, void *box, uint64_t expect);
/* Writes what the rules allow by now, and answers NO for reads and changes whose SELECT failed; also
 * the next piece of a file, where nothing is pending. 0, or -1: the connection must end. */
int pipe_flush(struct pipe *p, struct err *err);
/* One line that answers a challenge. It is not shown in the log. */
void pipe_answer(struct pipe *p, struct slice line);

/* Takes a response in; `text` is its text. 0, or -1: the connection must end; *no_closed as in
 * imap.h. */
int pipe_take(struct pipe *p, const struct imap_resp *resp, struct slice tag, struct slice text,
	bool *no_closed, struct err *err);
/* BYE: where an upload is the only command with literals in flight, it may be what the server did not
 * like (R5), and hears NO with these words. */
void pipe_bye(struct pipe *p, const struct imap_resp *resp);

bool pipe_room(const struct pipe *p);
/* As imap_slow. */
void pipe_slow(struct pipe *p, bool hold, unsigned commands_max);
/* Room has come back since pipe_room said no, or nothing is in flight any more; to be told once. */
bool pipe_has_news(const struct pipe *p);
bool pipe_room_again(struct pipe *p);
bool pipe_idle(const struct pipe *p);
void *pipe_last_box(const struct pipe *p);
/* "EXAMINE": the oldest command that is not answered; empty where none is. */
struct slice pipe_waits_for(const struct pipe *p);

#endif
