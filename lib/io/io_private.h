/* How the files of this folder stand to each other. A stream is one struct in several stories:
 *
 *	resolve.c	a name becomes addresses, in a thread
 *	connect.c	the addresses are tried in turn
 *	tls.c		the handshake, then bytes in and out; verify.c finds words for a certificate
 *	deflate.c	bytes in and out, compressed
 *	stream.c	what the owner sees: two buffers and four events
 *
 * Two rules keep the objects' lives simple. A call into the owner is the last thing that a function
 * does, because the owner may free the stream in it; what is to follow is marked as work before.
 * And the watchers are set in one place, `settle`, once a turn, from the state that the stream is
 * in after the owner took what it wanted. */
#ifndef IO_IO_PRIVATE_H
#define IO_IO_PRIVATE_H

#include <ev.h>
#include <netdb.h>
#include <openssl/ssl.h>

#include "io/io.h"

/* Reading stops where the owner has left this much, and no turn reads more than this. */
#define IO_HOLD_BYTES (256u * 1024)
/* The least that a read asks for. */
#define IO_READ_BYTES (16u * 1024)
/* What a quiet stream may keep of each buffer. */
#define IO_KEEP_BYTES (32u * 1024)

/* loop.c */

struct io {
	struct ev_loop *loop;
	ev_prepare top;
	ev_idle awake;           /* active where the loop must neither sleep nor end */
	struct io_work works;    /* list heads: what is marked, */
	struct io_work late;     /* what comes after all of it, in the same turn, */
	struct io_work parked;   /* and what looks again each turn, but keeps nobody awake */
	uint64_t turn;
	struct io_trust *trusts; /* tls.c */
	BIO_METHOD *socket_method;
	bool stopped;
};

void io_work_mark_late(struct io_work *work);
void io_work_park(struct io_work *work);
/* A timer must count from now, not from the begin of a turn that may have computed for long. */
void io_timer_arm(struct io *io, ev_timer *timer, double after_s);

/* stream.c */

enum io_state {
	IO_ADOPTED,    /* open already, but the owner does not know it yet */
	IO_RESOLVING,
	IO_CONNECTING,
	IO_HANDSHAKE,
	IO_OPEN,
	IO_ENDED,      /* for the reason in `end`, which the owner may not know yet */
};

struct io_stream {
	struct io *io;
	struct io_stream_events events;
	void *arg;

	enum io_state state;
	int fd;
	ev_io readable, writable;
	struct io_work step;    /* the next move of the state, or the next event for the owner */
	struct io_work settle;  /* writing, and what to wait for */
	ev_timer limit;         /* for all that comes before on_open */
	double limit_s;

	struct buf in, out;
	size_t read_size;       /* of the next read; follows what comes */
	bool fresh;             /* in `in`, and not yet told by on_data */
	bool more;              /* bytes wait above the kernel, where no poll sees them */
	bool dry;               /* the last read took all that there was */
	bool held;
	bool read_wants_write;  /* TLS */
	bool unsent;            /* something was written since on_drained */
	bool told;              /* on_closed was called */
	struct err broken;      /* writing failed; what had come is read nevertheless */
	struct err end;

	char *host;             /* NULL where the stream was adopted */
	uint16_t port;
	struct io_lookup *lookup;
	struct addrinfo *addresses, *next_address;
	ev_timer attempt;       /* for one address */
	double attempt_at, connect_s;
	int connect_errno;
	bool loopback;

	enum io_tls tls;
	char *ca_file, *pin, *cert_file, *key_file;
	SSL *ssl;
	struct err refused;     /* why the certificate was */
	char *tls_text, *pin_seen;

	struct io_deflate *deflate;
};

struct io_stream *io_stream_new(struct io *io, const struct io_stream_events *events, void *arg);
void io_stream_watch(struct io_stream *s, int fd);
/* The first reason counts. on_closed follows. */
void io_stream_end(struct io_stream *s, enum err_class cls, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Calls on_open: the last thing that the caller does. */
void io_stream_opened(struct io_stream *s);
void io_stream_limit(struct io_stream *s);
/* "imap.example.org" with quotes, or "the peer". Lives until the next call. */
const char *io_stream_name(struct io_stream *s);

/* Reads once: the number of bytes added to `to`, at most s->read_size; 0 where there is nothing
 * now, or the stream has ended. */
size_t io_stream_read(struct io_stream *s, struct buf *to);

/* connect.c */

void io_connect_start(struct io_stream *s, const struct io_target *target);
void io_connect_step(struct io_stream *s);
void io_connect_release(struct io_stream *s);

/* resolve.c */

struct io_lookup;
/* Answers once, from the loop; the list (NULL on failure) is the receiver's to free with
 * freeaddrinfo. Freeing a lookup leaves a busy thread behind that nobody waits for. */
struct io_lookup *io_lookup_new(struct io *io, const char *host, uint16_t port,
	void (*done)(void *arg, struct addrinfo *list, const struct err *err), void *arg);
void io_lookup_free(struct io_lookup *lookup);

/* tls.c */

void io_tls_start(struct io_stream *s);
/* One move of the handshake. */
void io_tls_step(struct io_stream *s);
size_t io_tls_read(struct io_stream *s, char *room, size_t size);
/* The number of bytes taken; 0 where nothing goes now; -1 with s->broken. */
ssize_t io_tls_write(struct io_stream *s, struct slice data);
void io_tls_release(struct io_stream *s);
void io_tls_release_all(struct io *io);

/* verify.c */

/* What OpenSSL asks in place of its own verification: 1 where the peer's certificate is good for
 * `host` (already in the context's parameters) or has the pinned key, else 0 with *err. */
int io_verify(X509_STORE_CTX *ctx, const char *host, const char *pin, struct err *err);
/* "sha256//BASE64" of the public key; the caller frees. */
char *io_verify_pin(const X509 *cert);

/* deflate.c */

void io_deflate_read(struct io_stream *s);
/* Moves from s->out to what io_deflate_out holds. */
void io_deflate_write(struct io_stream *s);
struct buf *io_deflate_out(struct io_deflate *deflate);
void io_deflate_free(struct io_deflate *deflate);

#endif
