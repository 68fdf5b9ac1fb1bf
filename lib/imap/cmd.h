/* A command before and while it is sent. Private to lib/imap; the calls to build one are in
 * imap.h. */
#ifndef IMAP_CMD_H
#define IMAP_CMD_H

#include "imap/imap.h"

/* Octets in the text that go out as a literal. */
struct cmd_literal {
	size_t at, len;
};

/* What the server takes without "+" (RFC 7888). */
enum cmd_literals { CMD_SYNC, CMD_MINUS, CMD_PLUS };
enum { CMD_MINUS_MAX = 4096 };

struct visit;

struct imap_cmd {
	enum imap_cmd_kind kind;
	void (*done)(void *arg, const struct imap_resp *tagged);
	void *arg;
	struct buf text; /* with the octets of literals in their places, no tag, no line end */
	struct cmd_literal *literals;
	size_t literal_count;
	bool utf8;       /* 8-bit text may be quoted */

	/* For the login's own commands. */
	char *shown;       /* what the log shows in place of the text: it holds a secret */
	bool last;         /* nothing follows before its answer (STARTTLS, AUTHENTICATE, COMPRESS) */
	/* A "+" that no literal waits for: the challenge, as it came. */
	void (*on_continue)(void *arg, struct slice text);

	/* The pipe's. */
	struct imap_cmd *next;
	struct visit *visit;
	uint64_t expect;
	unsigned tag;
	size_t literals_sent, text_sent;
	uint64_t ends_at; /* in octets written on this connection */
	bool unasked;     /* a literal of it went out without "+" */
};

/* "UID FETCH", for messages: the first word, and the second one of UID. */
struct slice cmd_name(const struct imap_cmd *cmd);
/* The next piece that may be written: up to and with the announcement of a literal that waits for
 * "+" (returns false), or up to the line end (returns true). The octets are added to *out, the log's
 * form of them (literals as their size) to *log where it is not NULL. */
bool cmd_piece(struct imap_cmd *cmd, enum cmd_literals mode, struct buf *out, struct buf *log);

#endif
