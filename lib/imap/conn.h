/* What a connection consists of. Private to lib/imap: conn.c owns it, receive.c reads, login.c
 * brings it from the greeting to the login's OK, settle.c from there to READY. */
#ifndef IMAP_CONN_H
#define IMAP_CONN_H

#include "imap/auth.h"
#include "imap/caps.h"
#include "imap/frame.h"
#include "imap/imap.h"
#include "imap/pipe.h"
#include "imap/resp.h"

enum conn_state {
	CONN_CONNECT,    /* name lookup, connect, implicit TLS */
	CONN_GREETING,
	CONN_STARTTLS,   /* asked for */
	CONN_HANDSHAKE,  /* after STARTTLS */
	CONN_CAPABILITY, /* asked for before the login */
	CONN_SECRET,     /* the owner's turn */
	CONN_LOGIN,
	CONN_SURVEY,     /* CAPABILITY once more: the login did not bring it */
	CONN_SETTLE,     /* ENABLE and COMPRESS, where they must be waited for */
	CONN_READY,
	CONN_LOGOUT,     /* LOGOUT was sent */
	CONN_CLOSED,     /* on_closed was called, or is due */
};

/* Servers may never answer LOGOUT, or never close after BYE (Q37). */
enum { CONN_CLOSING_S = 3 };

/* From the greeting to READY. */
struct login {
	struct buf secret;
	bool has_secret;
	bool preauth;
	bool caps_told;      /* since the login was sent */
	struct auth_way ways[AUTH_WAYS_MAX];
	size_t way_count;
	const struct auth_way *way; /* being tried, or that went well */
	bool second;         /* the one retry is used up (C3) */
	struct auth *auth;
	struct err cancelled; /* why we gave up in the middle */
	unsigned owed;       /* answers that READY waits for */
	bool awaits_enable;
	bool enabled_qresync, enabled_utf8, enabled_rev2; /* as ENABLED named them */
};

struct imap {
	struct io *io;
	struct imap_events events;
	void *arg;
	struct imap_options options; /* its strings are ours; of the target host, port, cert_file */
	enum conn_state state;

	struct io_stream *stream;
	struct io_timer *timer;
	struct io_work work;
	struct frame *frame;
	struct resp_space *space;
	struct pipe pipe;
	struct caps caps;
	struct login login;
	bool qresync, utf8, deflated;

	int busy;     /* callbacks of ours that are running */
	bool freed;   /* imap_free was called in one of them */
	bool told;    /* on_closed was called */
	bool logout;  /* imap_logout was called */
	bool heard;   /* something came in this turn */
	bool waits;   /* the timer runs, a slice of the limit at a time */
	double quiet_since; /* io_now, of what came or was taken last */
	uint64_t taken;     /* octets that the server's kernel had in the last slice */
	bool bye;     /* the server said that it closes; `end` is why */
	bool no_closed;
	struct err end;
	uint64_t received;
};

/* One line in the log for each move. */
void conn_move(struct imap *c, enum conn_state to);
/* The end; the owner hears of it once the running callback is through. */
void conn_end(struct imap *c, const struct err *err);
void conn_fail(struct imap *c, enum err_class cls, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* All that has come. */
void receive(struct imap *c);
/* The framer's and the pipe's callbacks; arg is the connection. */
frame_literal receive_literal;
void receive_untagged(void *arg, void *box, const struct imap_resp *resp);
/* A refusal that means "not now" (C10). */
bool conn_is_later(const struct imap_resp *resp);

/* The stream is open, or TLS is up after STARTTLS. */
void login_connected(struct imap *c);
void login_greeting(struct imap *c, const struct imap_resp *resp);
/* The list of "* CAPABILITY", "* ENABLED", or of a CAPABILITY code. */
void login_capability(struct imap *c, struct slice list);
void login_enabled(struct imap *c, struct slice list);
/* Logged in, and the capabilities are known. */
void login_settle(struct imap *c);
/* The secret may have come. */
void login_secret(struct imap *c);
void login_release(struct imap *c);

#endif
