/* From a name to a connection, and what may go wrong on the way. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "io_peer.h"

/* A socket on 127.0.0.1 only; listening where backlog >= 0. */
static int bind_socket(int backlog, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, len) != 0 || (backlog >= 0 && listen(fd, backlog) != 0)
	    || getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

static void connect_to(struct owner *o, struct io *io, const char *host, uint16_t port,
	enum io_tls tls, double timeout_s)
{
	struct io_target target = { .host = host, .port = port, .tls = tls,
		.connect_timeout_s = timeout_s };

	owner_init(o, io);
	o->stream = io_stream_connect(io, &target, &owner_events, o);
}

static void stop_when_open(struct owner *o)
{
	io_stop(o->io);
}

static void test_connects(const char *host)
{
	struct io *io = io_new();
	struct owner o;
	uint16_t port;
	char text[16] = "";
	int listener = bind_socket(5, &port);

	connect_to(&o, io, host, port, IO_TLS_NONE, 5);
	io_stream_write(o.stream, "early ", 6);
	io_stream_write(o.stream, "words", 5);
	is_int(o.opens + o.closeds, 0, "\"%s\": no callback from connect", host);
	o.opened = stop_when_open;
	io_run(io);
	is_int(o.opens, 1, "open: %s", o.end.text);
	ok(io_stream_is_loopback(o.stream), "to this machine");
	ok(io_stream_connect_s(o.stream) > 0 && io_stream_connect_s(o.stream) < 5, "in %g s",
		io_stream_connect_s(o.stream));
	run_for(io, 0.01);
	int fd = accept(listener, NULL, NULL);
	is_int(read(fd, text, sizeof text - 1), 11, "what was written before on_open");
	is_str(text, "early words", "comes after it");
	close(fd);
	io_run(io);
	is_int(o.closeds, 1, "closed");
	owner_release(&o);
	close(listener);
	io_free(io);
}

/* Each fails: what it is called, in which class, and how soon. */

static void expect_failure(const char *host, uint16_t port, enum io_tls tls, double timeout_s,
	enum err_class cls, const char *words)
{
	struct io *io = io_new();
	struct owner o;

	double before = io_now();
	connect_to(&o, io, host, port, tls, timeout_s);
	is_int(o.closeds, 0, "nothing fails within connect");
	io_run(io);
	is_int(o.opens, 0, "not open");
	is_int(o.closeds, 1, "closed once");
	is_int(o.end.cls, cls, "class of: %s", o.end.text);
	ok(strstr(o.end.text, words) != NULL, "says \"%s\"", words);
	ok(io_now() - before < timeout_s + 2, "in time");
	owner_release(&o);
	io_free(io);
}

static void test_refused(void)
{
	uint16_t port;
	int fd = bind_socket(-1, &port);

	expect_failure("127.0.0.1", port, IO_TLS_NONE, 10, ERR_RETRY, "refused");
	expect_failure("localhost", port, IO_TLS_NONE, 10, ERR_RETRY, "refused");
	close(fd);
}

/* Not every machine that runs tests has a name server: then nobody can say that it does not exist. */
static void test_unknown_name(void)
{
	struct io *io = io_new();
	struct owner o;

	connect_to(&o, io, "localhost.invalid", 143, IO_TLS_NONE, 5);
	io_run(io);
	is_int(o.closeds, 1, "closed: %s", o.end.text);
	ok(o.end.cls == ERR_USER || o.end.cls == ERR_RETRY, "an unknown name fails");
	ok(strstr(o.end.text, "localhost.invalid") != NULL, "and is named");
	owner_release(&o);
	io_free(io);
}

/* The kernel drops what comes to a full queue, so the connect stays without an answer. */
static void test_connect_timeout(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t port;
	int listener = bind_socket(0, &port), fill[4];

	a.sin_port = htons(port);
	for (int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fill[i], (struct sockaddr *)&a, sizeof a) != 0)
			continue;
	}
	usleep(20000);
	expect_failure("127.0.0.1", port, IO_TLS_NONE, 0.2, ERR_RETRY,
		"the connect took more than 0.2 s");
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(listener);
}

static void test_handshake_timeout(void)
{
	uint16_t port;
	int listener = bind_socket(5, &port);

	expect_failure("127.0.0.1", port, IO_TLS_IMPLICIT, 0.2, ERR_RETRY,
		"the TLS handshake took more than 0.2 s");
	close(listener);
}

/* The thread of a lookup cannot be taken back: it finds nobody. */
static void test_freed_while_resolving(void)
{
	struct io *io = io_new();
	struct owner o;

	for (int i = 0; i < 3; i++) {
		connect_to(&o, io, i == 0 ? "localhost" : "localhost.invalid", 143, IO_TLS_NONE, 5);
		if (i == 2)
			run_for(io, 0.0005);
		owner_free_stream(&o);
		io_run(io);
		/* The last one may have had its answer already. */
		is_int(o.opens + (i < 2 ? o.closeds : 0), 0, "freed while its name is looked up");
		owner_release(&o);
	}
	io_free(io);
	usleep(100000);
}

int main(void)
{
	give_up_after(60);
	test_connects("127.0.0.1");
	test_connects("localhost"); /* ::1 may come first, and refuses */
	test_refused();
	test_unknown_name();
	test_connect_timeout();
	test_handshake_timeout();
	test_freed_while_resolving();
	return done_testing();
}
