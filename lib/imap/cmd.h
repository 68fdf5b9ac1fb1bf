/* A command before and while it is sent. Private to lib/imap; the calls to build one are in
 * imap.h. */
#ifndef IMAP_CMD_H
#define IMAP_CMD_H

#include "imap/imap.h"

/* Octets that go out as a literal: they stand in the text, or in a file. */
struct cmd_literal {
	size_t at, len; /* in the text; len 0: of a file */
	uint64_t size;
	char *path; /* NULL: in the text */
};

/* What the server takes without "+" (RFC 7888). */
enum cmd_literals { CMD_SYNC, CMD_MINUS, CMD_PLUS };
enum {
	CMD_MINUS_MAX = 4096,
	CMD_PLUS_MAX = 1 << 20, /* a refusal is to come before the octets of what is larger (R5) */
	CMD_PIECE = 65536,      /* of files, in memory at a time */
};

/* Where the writing of a command stands. */
enum cmd_phase {
	CMD_TEXT,   /* at its text */
	CMD_ASKED,  /* a literal was announced, "+" is due */
	CMD_OCTETS, /* within the octets of a literal */
};

struct visit;

struct imap_cmd {
	enum imap_cmd_kind kind;
	void (*done)(void *arg, const struct imap_resp *tagged);
	void *arg;
	struct buf text; /* with the octets of literals in their places, no tag, no line end */
	struct cmd_literal *literals;
	size_t literal_count;
	bool utf8;       /* 8-bit text may be quoted */
	bool sync;       /* each literal waits for its "+" */

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
	enum cmd_phase phase;
	size_t literals_sent, text_sent; /* literals that were announced */
	uint64_t octets_left;            /* CMD_OCTETS: of the literal */
	int fd;                          /* the file that is read, or -1 */
	uint64_t ends_at; /* in octets written on this connection */
	bool unasked;     /* a literal of it went out without "+" */
};

/* "UID FETCH", for messages: the first word, and the second one of UID. */
struct slice cmd_name(const struct imap_cmd *cmd);
/* The next piece that may be written is added to *out, the log's form of it (literals as their size)
 * to *log where it is not NULL. 1: that was the last one. 0: to be called again, once "+" has come
 * (CMD_ASKED), or once what was written is with the kernel (CMD_OCTETS: the piece is as large as they may
 * be). -1: a file cannot be read as announced; the connection must end. */
int cmd_piece(struct imap_cmd *cmd, enum cmd_literals mode, struct buf *out, struct buf *log,
	struct err *err);
bool cmd_has_file(const struct imap_cmd *cmd);
/* Ends the reading of a file. */
void cmd_close_file(struct imap_cmd *cmd);

#endif
