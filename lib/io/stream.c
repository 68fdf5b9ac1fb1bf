/* A stream as its owner sees it: bytes in, bytes out, four events. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io_private.h"

static void on_event(struct ev_loop *loop, ev_io *w, int revents);
static void on_limit(struct ev_loop *loop, ev_timer *w, int revents);
static void step(void *arg);
static void settle(void *arg);

/* Beginning and end */

struct io_stream *io_stream_new(struct io *io, const struct io_stream_events *events, void *arg)
{
	struct io_stream *s = mem_new(sizeof *s);

	s->io = io;
	s->events = *events;
	s->arg = arg;
	s->fd = -1;
	s->read_size = IO_READ_BYTES;
	buf_init(&s->in, 0);
	buf_init(&s->out, 0);
	io_work_init(&s->step, io, step, s);
	io_work_init(&s->settle, io, settle, s);
	ev_init(&s->readable, on_event);
	ev_init(&s->writable, on_event);
	ev_timer_init(&s->limit, on_limit, 0., 0.);
	ev_timer_init(&s->attempt, NULL, 0., 0.);
	s->readable.data = s->writable.data = s->limit.data = s;
	return s;
}

struct io_stream *io_stream_connect(struct io *io, const struct io_target *target,
	const struct io_stream_events *events, void *arg)
{
	struct io_stream *s = io_stream_new(io, events, arg);

	io_connect_start(s, target);
	return s;
}

struct io_stream *io_stream_adopt(struct io *io, int fd, const struct io_stream_events *events,
	void *arg)
{
	struct io_stream *s = io_stream_new(io, events, arg);

	s->state = IO_ADOPTED;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	io_stream_watch(s, fd);
	io_work_mark(&s->step);
	return s;
}

void io_stream_watch(struct io_stream *s, int fd)
{
	s->fd = fd;
	ev_io_set(&s->readable, fd, EV_READ);
	ev_io_set(&s->writable, fd, EV_WRITE);
}

static void stop_waiting(struct io_stream *s)
{
	ev_io_stop(s->io->loop, &s->readable);
	ev_io_stop(s->io->loop, &s->writable);
	ev_timer_stop(s->io->loop, &s->limit);
	ev_timer_stop(s->io->loop, &s->attempt);
	io_work_release(&s->settle);
}

static void disconnect(struct io_stream *s)
{
	io_connect_release(s);
	io_tls_release(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* What is written may be a password. */
static void wipe_and_consume(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	mem_wipe(b->data, len);
	buf_consume(b, len);
}

void io_stream_free(struct io_stream *s)
{
	if (s == NULL)
		return;
	stop_waiting(s);
	io_work_release(&s->step);
	disconnect(s);
	io_deflate_free(s->deflate);
	buf_release(&s->in);
	wipe_and_consume(&s->out, s->out.len);
	buf_release(&s->out);
	free(s->host);
	free(s->ca_file);
	free(s->pin);
	free(s->cert_file);
	free(s->key_file);
	free(s->tls_text);
	free(s->pin_seen);
	free(s);
}

void io_stream_end(struct io_stream *s, enum err_class cls, const char *fmt, ...)
{
	char text[sizeof s->end.text];
	va_list ap;

	if (s->state == IO_ENDED)
		return;
	s->state = IO_ENDED;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(&s->end, cls, ERR_ACCOUNT, "%s", text);
	stop_waiting(s);
	io_work_mark(&s->step);
}

const char *io_stream_name(struct io_stream *s)
{
	return s->host != NULL ? s->host : "peer";
}

static const char *what_took_long(const struct io_stream *s)
{
	if (s->state == IO_RESOLVING)
		return "the name lookup took";
	if (s->state == IO_CONNECTING)
		return "the connect took";
	return "the TLS handshake took";
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct io_stream *s = w->data;

	(void)loop, (void)revents;
	io_stream_end(s, ERR_RETRY, "\"%s\" port %u does not answer: %s more than %g s",
		io_stream_name(s), s->port, what_took_long(s), s->limit_s);
}

void io_stream_limit(struct io_stream *s)
{
	if (s->limit_s > 0)
		io_timer_arm(s->io, &s->limit, s->limit_s);
}

/* Events for the owner: each call is the last thing that its function does */

static bool is_loopback(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (getpeername(fd, (struct sockaddr *)&a, &len) != 0)
		return false;
	if (a.ss_family == AF_UNIX)
		return true;
	if (a.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
	if (a.ss_family != AF_INET6)
		return false;
	const struct in6_addr *six = &((struct sockaddr_in6 *)&a)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

void io_stream_opened(struct io_stream *s)
{
	s->state = IO_OPEN;
	s->loopback = is_loopback(s->fd);
	ev_timer_stop(s->io->loop, &s->limit);
	io_work_mark_late(&s->settle);
	/* The greeting may have come with the handshake's last bytes: no poll would tell. */
	if (s->ssl != NULL)
		io_work_mark(&s->step);
	s->events.on_open(s->arg);
}

static void tell_closed(struct io_stream *s)
{
	struct err end = s->end; /* the stream may be gone when the owner looks at it again */

	s->told = true;
	disconnect(s);
	s->events.on_closed(s->arg, &end);
}

static void tell(struct io_stream *s)
{
	if (s->held || s->told)
		return;
	if (s->fresh) {
		s->fresh = false;
		if (s->state == IO_ENDED)
			io_work_mark(&s->step);
		s->events.on_data(s->arg);
	} else if (s->state == IO_ENDED) {
		tell_closed(s);
	}
}

/* Bytes in */

/* Follows the stream's pace, so that a bulk transfer has few large reads and a quiet connection a
 * small buffer. */
static void adapt_read_size(struct io_stream *s, size_t got)
{
	s->dry = got < s->read_size;
	if (!s->dry)
		s->read_size = s->read_size < IO_HOLD_BYTES / 4 ? s->read_size * 4 : IO_HOLD_BYTES;
	else if (got < s->read_size / 4 && s->read_size > IO_READ_BYTES)
		s->read_size /= 2;
}

static size_t plain_read(struct io_stream *s, char *room, size_t size)
{
	ssize_t n;

	do
		n = recv(s->fd, room, size, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (size_t)n;
	if (n == 0)
		io_stream_end(s, ERR_NONE, "\"%s\" closed the connection", io_stream_name(s));
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		io_stream_end(s, ERR_RETRY, "the connection to \"%s\" is lost: %s", io_stream_name(s),
			strerror(errno));
	return 0;
}

/* A server that writes an answer in small pieces without TCP_NODELAY (imap4d, hoodiecrow) waits for our
 * acknowledgement, which the kernel delays by 40 ms each time. The option does not last. */
static void hasten(struct io_stream *s)
{
	const int one = 1;

	setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

size_t io_stream_read(struct io_stream *s, struct buf *to)
{
	char *room = buf_reserve(to, s->read_size);
	size_t n = s->ssl != NULL ? io_tls_read(s, room, s->read_size)
		: plain_read(s, room, s->read_size);

	buf_added(to, n);
	adapt_read_size(s, n);
	if (n > 0)
		hasten(s);
	return n;
}

static void fill(struct io_stream *s)
{
	size_t before = s->in.len;

	if (before >= IO_HOLD_BYTES)
		return;
	s->more = false;
	if (s->deflate != NULL)
		io_deflate_read(s);
	else
		io_stream_read(s, &s->in);
	if (s->in.len > before)
		s->fresh = true;
	else if (s->broken.cls != ERR_NONE && !s->more)
		io_stream_end(s, s->broken.cls, "%s", s->broken.text);
}

/* Gives memory back after a burst. The owner expects the buffer to stay where it is, and what it
 * has left in it to be small. */
static void shrink_in(struct io_stream *s)
{
	struct buf small;

	if (!s->dry || s->in.size <= IO_KEEP_BYTES || s->in.len > IO_READ_BYTES)
		return;
	buf_init(&small, 0);
	buf_add_slice(&small, buf_slice(&s->in));
	buf_release(&s->in);
	s->in = small;
}

/* Bytes out */

static ssize_t plain_write(struct io_stream *s, struct slice data)
{
	ssize_t n;

	do
		n = send(s->fd, data.data, data.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return 0;
	return err_set(&s->broken, ERR_RETRY, ERR_ACCOUNT, "the connection to \"%s\" is lost: %s",
		io_stream_name(s), strerror(errno));
}

static struct buf *next_out(struct io_stream *s)
{
	if (s->deflate == NULL)
		return &s->out;
	io_deflate_write(s);
	return io_deflate_out(s->deflate);
}

static void flush(struct io_stream *s)
{
	size_t sent = 0;

	while (s->broken.cls == ERR_NONE && sent < IO_HOLD_BYTES) {
		struct buf *out = next_out(s);
		if (out->len == 0)
			break;
		ssize_t n = s->ssl != NULL ? io_tls_write(s, buf_slice(out))
			: plain_write(s, buf_slice(out));
		if (n <= 0)
			break;
		wipe_and_consume(out, (size_t)n);
		sent += (size_t)n;
		if (out->len == 0)
			buf_shrink(out, IO_KEEP_BYTES);
	}
}

/* Once a turn, when the owner has taken and written what it wanted. */

static void wait_for_reading(struct io_stream *s)
{
	if (s->in.len >= IO_HOLD_BYTES) {
		ev_io_stop(s->io->loop, &s->readable);
		io_work_park(&s->settle);
		return;
	}
	ev_io_start(s->io->loop, &s->readable);
	if (s->more || s->broken.cls != ERR_NONE)
		io_work_mark(&s->step);
}

static void wait_for_writing(struct io_stream *s)
{
	bool pending = io_stream_pending(s) > 0 && s->broken.cls == ERR_NONE;

	if (pending || s->read_wants_write)
		ev_io_start(s->io->loop, &s->writable);
	else
		ev_io_stop(s->io->loop, &s->writable);
}

static void settle(void *arg)
{
	struct io_stream *s = arg;

	if (s->state != IO_OPEN)
		return;
	flush(s);
	shrink_in(s);
	wait_for_reading(s);
	wait_for_writing(s);
	if (s->unsent && io_stream_pending(s) == 0) {
		s->unsent = false;
		if (s->events.on_drained != NULL)
			s->events.on_drained(s->arg);
	}
}

/* Moves */

static void on_event(struct ev_loop *loop, ev_io *w, int revents)
{
	struct io_stream *s = w->data;

	(void)loop;
	if (s->state != IO_OPEN || (revents & EV_READ) != 0 || s->read_wants_write)
		step(s);
	else
		io_work_mark_late(&s->settle); /* writable: after all that can be read */
}

static void step(void *arg)
{
	struct io_stream *s = arg;

	switch (s->state) {
	case IO_ADOPTED:
		io_stream_opened(s);
		break;
	case IO_RESOLVING:
		break;
	case IO_CONNECTING:
		io_connect_step(s);
		break;
	case IO_HANDSHAKE:
		io_tls_step(s);
		break;
	case IO_OPEN:
		fill(s);
		io_work_mark_late(&s->settle);
		tell(s);
		break;
	case IO_ENDED:
		tell(s);
		break;
	}
}

/* What the owner asks for */

struct buf *io_stream_in(struct io_stream *s)
{
	return &s->in;
}

void io_stream_write(struct io_stream *s, const void *data, size_t len)
{
	if (s->state == IO_ENDED || len == 0)
		return;
	buf_add(&s->out, data, len);
	s->unsent = true;
	if (s->state == IO_OPEN)
		io_work_mark_late(&s->settle);
}

size_t io_stream_pending(const struct io_stream *s)
{
	return s->out.len + (s->deflate != NULL ? io_deflate_out(s->deflate)->len : 0);
}

size_t io_stream_unacked(const struct io_stream *s)
{
	int len;

	return s->fd >= 0 && ioctl(s->fd, TIOCOUTQ, &len) == 0 && len > 0 ? (size_t)len : 0;
}

void io_stream_hold(struct io_stream *s, bool hold)
{
	bool resumed = s->held && !hold;

	s->held = hold;
	if (!resumed)
		return;
	if (s->in.len > 0)
		s->fresh = true; /* the receiver may have stopped in the middle of it */
	if (s->fresh || s->state == IO_ENDED)
		io_work_mark(&s->step);
}

bool io_stream_is_loopback(const struct io_stream *s)
{
	return s->loopback;
}

double io_stream_connect_s(const struct io_stream *s)
{
	return s->connect_s;
}
