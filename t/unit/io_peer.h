/* What the tests of lib/io share: an owner that gathers what its stream tells it, and a socket at
 * the other end. */
#ifndef IO_PEER_H
#define IO_PEER_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io.h"
#include "lib/tap.h"

struct owner {
	struct io *io;
	struct io_stream *stream; /* NULL once closed */
	int opens, datas, draineds, closeds;
	struct buf got;
	struct err end;
	/* A test's own steps; may be NULL. */
	void (*opened)(struct owner *o);
	void (*came)(struct owner *o); /* takes itself what it wants */
	void (*drained)(struct owner *o);
	void *extra;
};

static inline void owner_free_stream(struct owner *o)
{
	io_stream_free(o->stream);
	o->stream = NULL;
}

static inline void owner_take(struct owner *o)
{
	struct buf *in = io_stream_in(o->stream);

	buf_add_slice(&o->got, buf_slice(in));
	buf_consume(in, in->len);
}

static inline void owner_on_open(void *arg)
{
	struct owner *o = arg;

	o->opens++;
	if (o->opened != NULL)
		o->opened(o);
}

static inline void owner_on_data(void *arg)
{
	struct owner *o = arg;

	o->datas++;
	if (o->came != NULL)
		o->came(o);
	else
		owner_take(o);
}

static inline void owner_on_drained(void *arg)
{
	struct owner *o = arg;

	o->draineds++;
	if (o->drained != NULL)
		o->drained(o);
}

static inline void owner_on_closed(void *arg, const struct err *err)
{
	struct owner *o = arg;

	o->closeds++;
	o->end = *err;
	owner_take(o); /* what came before is still there */
	owner_free_stream(o);
}

static const struct io_stream_events owner_events = {
	.on_open = owner_on_open,
	.on_data = owner_on_data,
	.on_drained = owner_on_drained,
	.on_closed = owner_on_closed,
};

static inline void owner_init(struct owner *o, struct io *io)
{
	*o = (struct owner){ .io = io };
	buf_init(&o->got, 0);
	err_clear(&o->end);
}

static inline void owner_release(struct owner *o)
{
	owner_free_stream(o);
	buf_release(&o->got);
}

/* The owner's stream over one end of a socket pair; the other end is returned, and does not block. */
static inline int owner_adopt(struct owner *o, struct io *io, int type)
{
	int ends[2];

	owner_init(o, io);
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
		abort();
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	o->stream = io_stream_adopt(io, ends[0], &owner_events, o);
	return ends[1];
}

/* Lets the loop run for a while. */
static inline void stop_loop(void *arg)
{
	io_stop(arg);
}

static inline void run_for(struct io *io, double s)
{
	struct io_timer *t = io_timer_new(io, stop_loop, io);

	io_timer_start(t, s);
	io_run(io);
	io_timer_free(t);
}

/* A test that hangs must not hang the others. */
static inline void give_up_after(unsigned s)
{
	alarm(s);
}

/* Bytes that do not repeat soon, and compress a little. */
static inline char *some_bytes(size_t len)
{
	char *bytes = mem_new(len);
	unsigned x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245 + 12345;
		bytes[i] = (char)('a' + (x >> 16) % 26);
	}
	return bytes;
}

#endif
