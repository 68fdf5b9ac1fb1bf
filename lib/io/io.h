/* The event loop and what waits in it: timers, deferred work, streams with TLS and DEFLATE, child
 * processes, signals. libev and libssl are known here and nowhere else.
 *
 * One loop carries any number of accounts; there are no globals. Every callback comes from
 * io_run, never from inside the call that asked for it, so an object may be freed in its own
 * callback and nothing is freed under a caller. */
#ifndef IO_IO_H
#define IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* The loop */

struct io;

struct io *io_new(void);
void io_free(struct io *io);
/* Runs until io_stop, or until nothing is left that could call back. */
void io_run(struct io *io);
void io_stop(struct io *io);
/* Monotonic seconds, as of now (not of the loop's last turn). */
double io_now(void);

/* Work to be done from the top of the loop: marked any number of times, run once, before the loop
 * looks at the network again. What work marks runs in the same turn, unless it has run in it
 * already: then its turn comes after the next look at the network. Embedded in the owner. */
struct io_work {
	struct io *io;
	void (*run)(void *arg);
	void *arg;
	bool marked;
	uint64_t turn; /* in which it ran last */
	struct io_work *next, *prev;
};
void io_work_init(struct io_work *work, struct io *io, void (*run)(void *arg), void *arg);
void io_work_mark(struct io_work *work);
/* Takes back a mark. Must be called before the memory goes. */
void io_work_release(struct io_work *work);

struct io_timer;
struct io_timer *io_timer_new(struct io *io, void (*fire)(void *arg), void *arg);
/* (Re)starts; fires once. */
void io_timer_start(struct io_timer *t, double after_s);
void io_timer_stop(struct io_timer *t);
void io_timer_free(struct io_timer *t);

/* A signal that calls back from the loop; does not keep the loop alive. */
struct io_signal;
struct io_signal *io_signal_new(struct io *io, int signum, void (*fire)(void *arg), void *arg);
void io_signal_free(struct io_signal *s);

/* Streams */

enum io_tls { IO_TLS_NONE, IO_TLS_IMPLICIT };

/* Whom to connect to, and what to believe. All strings are copied. */
struct io_target {
	const char *host;
	uint16_t port;
	enum io_tls tls;         /* STARTTLS: IO_TLS_NONE first, io_stream_starttls later */
	const char *ca_file;     /* instead of the system's authorities; may hold the server's own
	                          * certificate as well; NULL: the system's */
	const char *pin;         /* "sha256//BASE64" of the public key (SPKI), several between ";" as in
	                          * curl; instead of the chain, the name and the dates; NULL: none */
	const char *cert_file;   /* a client certificate (PEM, may hold the key), or NULL */
	const char *key_file;    /* NULL: in cert_file */
	double connect_timeout_s; /* for name lookup, connect and handshake together; 0 = 30 */
};

struct io_stream;

/* on_open     connected (and through the handshake, where TLS was due, at first or by starttls);
 * on_data     there is something new in io_stream_in(); what the receiver leaves there stays;
 * on_drained  all that was written has been given to the kernel; may be NULL;
 * on_closed   the stream is over, once, whatever the reason; nothing else follows. err->cls is
 *             ERR_NONE where the peer ended it in order or without a close_notify (Q7), ERR_RETRY
 *             for the network, ERR_USER for a certificate or a name that does not exist; the text
 *             says which (wrong name: which names it has; expired: when; self-signed; unknown
 *             issuer; pin) and what to do (ca-file, pin with the key that was seen). What had come
 *             before is still in io_stream_in(). The owner frees the stream. */
struct io_stream_events {
	void (*on_open)(void *arg);
	void (*on_data)(void *arg);
	void (*on_drained)(void *arg);
	void (*on_closed)(void *arg, const struct err *err);
};

/* Looks up the name off the loop, tries each address, connects. Never fails at once: what goes
 * wrong is told by on_closed. TLS 1.2 is the least; the name is checked and sent as SNI (C2). */
struct io_stream *io_stream_connect(struct io *io, const struct io_target *target,
	const struct io_stream_events *events, void *arg);
/* A stream over a socket that is connected already (tests, tunnels); takes it over. on_open
 * follows from the loop. It has no host, so starttls ends it with ERR_USER. */
struct io_stream *io_stream_adopt(struct io *io, int fd, const struct io_stream_events *events,
	void *arg);
/* Closes at once; no callback follows. NULL is fine. */
void io_stream_free(struct io_stream *s);

/* Received and not yet consumed; the reader takes with buf_consume. Reading from the kernel stops
 * while it holds 256 KB and goes on once it is below: no on_data comes before something was taken.
 * The bytes may move between two callbacks. */
struct buf *io_stream_in(struct io_stream *s);

/* Copied and sent as the peer takes it. Received data is handled before new data is written, and a
 * full send buffer never stops reading (C7): the bytes go out after the callbacks of this turn of
 * the loop, so that many small writes leave as one segment. */
void io_stream_write(struct io_stream *s, const void *data, size_t len);
/* Written, but not yet given to the kernel (compressed, where DEFLATE is on). */
size_t io_stream_pending(const struct io_stream *s);
/* With the kernel, and not yet acknowledged by the peer's (encrypted, where TLS is on): what shows that a
 * slow peer takes anything at all. */
size_t io_stream_unacked(const struct io_stream *s);
/* Stops and resumes on_data (and reading, beyond the 256 KB): for a receiver that waits. on_closed
 * waits too, so that the events stay in order. Resuming brings on_data where anything is left in
 * io_stream_in(), new or not. */
void io_stream_hold(struct io_stream *s, bool hold);

/* Begins the handshake as the client; what is in io_stream_in() at this moment is the caller's to
 * refuse (C2). on_open follows. The host checked is the target's, and the handshake has the target's
 * time limit again. */
void io_stream_starttls(struct io_stream *s);
bool io_stream_is_tls(const struct io_stream *s);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS. Lives as long as the stream. */
const char *io_stream_tls_describe(const struct io_stream *s);
/* The certificate's key as "sha256//BASE64", as `pin` takes it; "" without TLS. */
const char *io_stream_pin(const struct io_stream *s);
/* RFC 5929 and RFC 9266: "tls-exporter" (TLS 1.3), "tls-unique" (up to 1.2) or
 * "tls-server-end-point". false where it is not to be had. */
bool io_stream_channel_binding(const struct io_stream *s, const char *type, struct buf *out);
/* RFC 4978: from here on both directions are raw DEFLATE, what is in io_stream_in() included: it is
 * taken out, and comes again with on_data. What was written before goes out as it is. */
void io_stream_deflate(struct io_stream *s);
/* The peer's address is in 127.0.0.0/8 or ::1, or it is a Unix socket's. Valid after on_open. */
bool io_stream_is_loopback(const struct io_stream *s);
/* Seconds the connect itself took (one round trip). */
double io_stream_connect_s(const struct io_stream *s);

/* Child processes */

struct io_child;
/* Runs `command` with /bin/sh -c, standard input /dev/null, its standard output gathered up to
 * max_output bytes (at least 1), its standard error left to be the user's. done: once, from the
 * loop, when the command itself has ended (what it left in the background may live on). status: the
 * exit status, or -1 with *err: ERR_USER for too much output, ERR_RETRY where it was not started,
 * was killed by a signal, or took longer than timeout_s (0: no limit). The output buffer is wiped
 * after the callback. Freeing a running child kills its process group. */
struct io_child *io_child_run(struct io *io, const char *command, double timeout_s,
	size_t max_output,
	void (*done)(void *arg, int status, const struct buf *output, const struct err *err), void *arg);
void io_child_free(struct io_child *c);

#endif
