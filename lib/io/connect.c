/* From a target to a connection: look up the name, try the addresses in turn. One limit stands over
 * all of it; an address that has others behind it gets a smaller one of its own, so that IPv6 that
 * goes nowhere does not use up IPv4's time. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io_private.h"

#define LIMIT_S 30.0
#define ATTEMPT_S 5.0

static char *copy(const char *text)
{
	return text != NULL ? mem_copy(text) : NULL;
}

static void give_up(struct io_stream *s)
{
	io_stream_end(s, ERR_RETRY, "cannot connect to \"%s\" port %u: %s", io_stream_name(s), s->port,
		strerror(s->connect_errno));
}

/* What one address says must not be hidden by another that has no route from here. */
static void note_failure(struct io_stream *s, int reason)
{
	bool no_route = reason == ENETUNREACH || reason == EADDRNOTAVAIL || reason == EAFNOSUPPORT;

	if (!no_route || s->connect_errno == 0)
		s->connect_errno = reason;
}

static bool try_address(struct io_stream *s, const struct addrinfo *a)
{
	int one = 1;
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);

	if (fd < 0) {
		note_failure(s, errno);
		return false;
	}
	/* What leaves together is decided here, not by the kernel's waiting. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	s->attempt_at = io_now();
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
		note_failure(s, errno);
		close(fd);
		return false;
	}
	io_stream_watch(s, fd);
	ev_io_start(s->io->loop, &s->writable);
	return true;
}

static void try_next(struct io_stream *s)
{
	while (s->next_address != NULL) {
		const struct addrinfo *a = s->next_address;

		s->next_address = a->ai_next;
		if (!try_address(s, a))
			continue;
		if (s->next_address != NULL) {
			double half_s = s->limit_s / 2;
			io_timer_arm(s->io, &s->attempt, half_s < ATTEMPT_S ? half_s : ATTEMPT_S);
		}
		return;
	}
	give_up(s);
}

static void leave_address(struct io_stream *s, int reason)
{
	ev_timer_stop(s->io->loop, &s->attempt);
	ev_io_stop(s->io->loop, &s->writable);
	close(s->fd);
	s->fd = -1;
	note_failure(s, reason);
	try_next(s);
}

static void on_attempt(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	leave_address(w->data, ETIMEDOUT);
}

static void on_resolved(void *arg, struct addrinfo *list, const struct err *err)
{
	struct io_stream *s = arg;

	if (list == NULL) {
		io_stream_end(s, err->cls, "%s", err->text);
		return;
	}
	s->addresses = s->next_address = list;
	s->state = IO_CONNECTING;
	try_next(s);
}

void io_connect_start(struct io_stream *s, const struct io_target *target)
{
	s->state = IO_RESOLVING;
	s->host = mem_copy(target->host);
	s->port = target->port;
	s->tls = target->tls;
	s->ca_file = copy(target->ca_file);
	s->pin = copy(target->pin);
	s->cert_file = copy(target->cert_file);
	s->key_file = copy(target->key_file);
	s->limit_s = target->connect_timeout_s > 0 ? target->connect_timeout_s : LIMIT_S;
	ev_set_cb(&s->attempt, on_attempt);
	s->attempt.data = s;
	io_stream_limit(s);
	s->lookup = io_lookup_new(s->io, s->host, s->port, on_resolved, s);
}

/* The socket is writable: connected, or refused. */
void io_connect_step(struct io_stream *s)
{
	int reason = 0;
	socklen_t len = sizeof reason;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &reason, &len) != 0)
		reason = errno;
	if (reason != 0) {
		leave_address(s, reason);
		return;
	}
	s->connect_s = io_now() - s->attempt_at;
	ev_timer_stop(s->io->loop, &s->attempt);
	ev_io_stop(s->io->loop, &s->writable);
	io_connect_release(s);
	if (s->tls == IO_TLS_NONE) {
		io_stream_opened(s);
		return;
	}
	s->state = IO_HANDSHAKE;
	io_tls_start(s);
}

void io_connect_release(struct io_stream *s)
{
	io_lookup_free(s->lookup);
	s->lookup = NULL;
	if (s->addresses != NULL)
		freeaddrinfo(s->addresses);
	s->addresses = s->next_address = NULL;
}
