/* delayproxy: a TCP proxy that delays, counts and cuts.
 *
 *	delayproxy -t [HOST:]PORT [-l [ADDR:]PORT] [-d MS] [-o FILE] ...
 *
 * The port it listens on is printed on stdout once it listens (-l 0, the default, picks a free one).
 *
 *	-d MS	one-way delay, may be a fraction; a round trip takes twice that. The handshake is
 *		emulated too: a greeting arrives 4 * MS after connect(). -x turns that off.
 *	-C N	cut after exactly N bytes from client to server were passed on
 *	-S N	the same from server to client
 *	-K HOW	cut by "fin" (the default), "rst", or "hang": stay open, pass nothing on
 *	-n K	only the K-th connection, from 1, is cut
 *	-r BPS	bytes a second, each direction of each connection (no limit)
 *	-q N	bytes held in each direction before reading stops (256 MiB)
 *	-o FILE	one JSON line for each connection that ended is appended (stderr)
 *	-T FILE	a transcript is appended
 *	-1	end after the first connection has ended
 *
 * SIGUSR1 cuts every connection, SIGUSR2 turns refusing new ones on and off, SIGHUP reports the live
 * ones, SIGTERM and SIGINT report and end.
 *
 * The JSON line: conn, end (why), ms, c2s and s2c (bytes passed on), turns, waits,
 * waits_before_logout, commands, selects (SELECT and EXAMINE), undelivered_c2s, undelivered_s2c.
 *
 * A turn is a client that speaks after it was given server bytes. A turn with nothing on its way in
 * either direction is a wait: the client did nothing but wait for that answer, so it paid a round
 * trip. Pipelined commands cost none. waits_before_logout leaves out the send that holds the LOGOUT
 * command, a politeness that no user waits for. Commands are seen only in plain text. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/imapspy.h"

#define CHUNK_MAX (256 * 1024)
#define NEVER INT64_MAX

enum { CLIENT, SERVER };	/* side i is the reading end of flow i */

enum how { FIN, RST, HANG };

struct chunk {
	struct chunk *next;
	int64_t due_ns;
	size_t len;
	size_t off;
	char bytes[];
};

/* One direction of a connection. */
struct flow {
	struct chunk *head;
	struct chunk **tail;
	uint64_t queued;
	uint64_t taken;		/* read from the sender */
	uint64_t passed;	/* written to the receiver */
	int64_t last_due_ns;
	bool eof;
	bool shut;
};

struct conn {
	struct conn *next;
	int id;
	int fd[2];
	struct pollfd *polled[2];
	int64_t start_ns;
	int64_t open_ns;	/* when the server is to be called; 0: it was */
	bool connected;
	bool cuttable;
	bool hung;
	bool dead;
	struct flow flow[2];
	struct spy spy;
	bool answered;		/* the client was given something since it last spoke */
	unsigned turns;
	unsigned waits;
	unsigned waits_before_logout;
};

static struct {
	struct sockaddr_storage listen, target;
	socklen_t listen_len, target_len;
	int64_t delay_ns;
	uint64_t cut[2];
	enum how how;
	int only;
	int64_t bytes_per_s;
	uint64_t queue_max;
	bool handshake;
	bool once;
	FILE *report;
	FILE *transcript;
} opt = { .queue_max = 256u << 20, .handshake = true };

static struct conn *conns;
static int conn_count;
static bool refusing;
static volatile sig_atomic_t got_cut, got_refuse, got_report, got_end;

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
on_signal(int sig)
{
	switch (sig) {
	case SIGUSR1: got_cut = 1; break;
	case SIGUSR2: got_refuse = 1; break;
	case SIGHUP: got_report = 1; break;
	default: got_end = 1;
	}
}

/* Connections */

static void
conn_report(const struct conn *c, const char *why)
{
	fprintf(opt.report, "{\"conn\":%d,\"end\":\"%s\",\"ms\":%.3f,\"c2s\":%" PRIu64 ",\"s2c\":%" PRIu64
	    ",\"turns\":%u,\"waits\":%u,\"waits_before_logout\":%u,\"commands\":%u,\"selects\":%u,"
	    "\"undelivered_c2s\":%" PRIu64 ",\"undelivered_s2c\":%" PRIu64 "}\n",
	    c->id, why, (double)(now_ns() - c->start_ns) / 1e6, c->flow[CLIENT].passed,
	    c->flow[SERVER].passed, c->turns, c->waits, c->waits_before_logout, c->spy.commands,
	    c->spy.selects, c->flow[CLIENT].queued, c->flow[SERVER].queued);
	fflush(opt.report);
}

static void
socket_close(int fd, bool reset)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	if (fd < 0)
		return;
	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(fd);
}

static void
conn_end(struct conn *c, const char *why, bool reset)
{
	if (c->dead)
		return;
	c->dead = true;
	conn_report(c, why);
	for (int side = 0; side < 2; side++) {
		socket_close(c->fd[side], reset);
		for (struct chunk *k = c->flow[side].head, *next; k != NULL; k = next) {
			next = k->next;
			free(k);
		}
	}
}

static void
conn_cut(struct conn *c, const char *why)
{
	if (c->dead || c->hung)
		return;
	if (opt.how != HANG) {
		conn_end(c, why, opt.how == RST);
		return;
	}
	c->hung = true;
	conn_report(c, "hang");
}

static struct conn *
conn_new(int fd)
{
	struct conn *c = calloc(1, sizeof *c);
	int on = 1;

	if (c == NULL)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->id = ++conn_count;
	c->fd[CLIENT] = fd;
	c->fd[SERVER] = -1;
	c->start_ns = now_ns();
	/* The SYN, the SYN-ACK and the ACK each take one delay. */
	c->open_ns = c->start_ns + (opt.handshake ? 3 * opt.delay_ns : 0);
	c->cuttable = opt.only == 0 || opt.only == c->id;
	for (int i = 0; i < 2; i++)
		c->flow[i].tail = &c->flow[i].head;
	c->next = conns;
	return conns = c;
}

static void
conn_call_server(struct conn *c)
{
	int on = 1, fd = socket(opt.target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	c->open_ns = 0;
	c->fd[SERVER] = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&opt.target, opt.target_len) != 0 && errno != EINPROGRESS)
		conn_end(c, "connect failed", true);
}

static void
conn_on_called(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	getsockopt(c->fd[SERVER], SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0)
		conn_end(c, "connect failed", true);
	else
		c->connected = true;
}

/* How much of this flow may still be read, so that a cut falls on its very byte. */
static size_t
flow_room(const struct conn *c, int side)
{
	const struct flow *f = &c->flow[side];
	uint64_t cut = opt.cut[side];

	if (f->eof || f->queued >= opt.queue_max)
		return 0;
	if (!c->cuttable || cut == 0 || cut - f->taken > CHUNK_MAX)
		return CHUNK_MAX;
	return (size_t)(cut - f->taken);
}

static void
flow_push(struct flow *f, const char *bytes, size_t len, int64_t now)
{
	struct chunk *k = malloc(sizeof *k + len);

	if (k == NULL)
		abort();
	k->next = NULL;
	k->len = len;
	k->off = 0;
	memcpy(k->bytes, bytes, len);
	k->due_ns = now + opt.delay_ns;
	if (opt.bytes_per_s > 0) {
		int64_t paced = f->last_due_ns + (int64_t)len * 1000000000 / opt.bytes_per_s;

		k->due_ns = paced > k->due_ns ? paced : k->due_ns;
	}
	f->last_due_ns = k->due_ns;
	f->taken += len;
	f->queued += len;
	*f->tail = k;
	f->tail = &k->next;
}

static void
conn_client_spoke(struct conn *c, const char *bytes, size_t len)
{
	bool wait = c->answered && c->flow[CLIENT].queued == 0 && c->flow[SERVER].queued == 0;

	spy_feed(&c->spy, bytes, len);
	c->turns += c->answered;
	c->waits += wait;
	c->waits_before_logout += wait && !c->spy.logout;
	c->answered = false;
}

static void
conn_read(struct conn *c, int side)
{
	static char bytes[CHUNK_MAX];
	struct flow *f = &c->flow[side];
	size_t room = flow_room(c, side);
	ssize_t n;
	int64_t now;

	if (room == 0)
		return;
	n = read(c->fd[side], bytes, room);
	now = now_ns();
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_end(c, side == SERVER ? "server error" : "client error", true);
		return;
	}
	if (n == 0) {
		f->eof = true;
		f->last_due_ns = now + opt.delay_ns;
		return;
	}
	if (side == CLIENT)
		conn_client_spoke(c, bytes, (size_t)n);
	if (opt.transcript != NULL) {
		fprintf(opt.transcript, "\n#%d %s %.3f %zd\n", c->id, side == SERVER ? "S" : "C",
		    (double)(now - c->start_ns) / 1e6, n);
		fwrite(bytes, 1, (size_t)n, opt.transcript);
		fflush(opt.transcript);
	}
	flow_push(f, bytes, (size_t)n, now);
}

/* Pass on what is due; the flow of side i goes to the other side. */
static void
conn_write(struct conn *c, int side, int64_t now)
{
	struct flow *f = &c->flow[side];

	while (f->head != NULL && f->head->due_ns <= now) {
		struct chunk *k = f->head;
		ssize_t n = send(c->fd[!side], k->bytes + k->off, k->len - k->off, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			conn_end(c, side == SERVER ? "client gone" : "server gone", true);
			return;
		}
		k->off += (size_t)n;
		f->passed += (uint64_t)n;
		f->queued -= (uint64_t)n;
		c->answered |= side == SERVER;
		if (k->off < k->len)
			return;
		f->head = k->next;
		if (f->head == NULL)
			f->tail = &f->head;
		free(k);
	}
	if (c->cuttable && opt.cut[side] != 0 && f->passed >= opt.cut[side])
		conn_cut(c, side == SERVER ? "cut s2c" : "cut c2s");
	else if (f->eof && f->head == NULL && !f->shut && now >= f->last_due_ns) {
		f->shut = true;
		shutdown(c->fd[!side], SHUT_WR);
		/* A server that closed says no more; a client may still listen. */
		if (side == SERVER || c->flow[SERVER].shut)
			conn_end(c, side == SERVER ? "server eof" : "client eof", false);
	}
}

static int64_t
flow_next_ns(const struct flow *f, int64_t now)
{
	int64_t due = f->head != NULL ? f->head->due_ns : f->eof && !f->shut ? f->last_due_ns : NEVER;

	return due > now ? due : NEVER;		/* what is due already waits for the socket */
}

/* Do what is due; answers when the next thing will be. */
static int64_t
conn_step(struct conn *c, int64_t now)
{
	int64_t next = NEVER;

	if (c->dead || c->hung)
		return NEVER;
	if (c->open_ns > now)
		next = c->open_ns;
	else if (c->open_ns != 0)
		conn_call_server(c);
	for (int side = 0; side < 2 && c->connected && !c->dead && !c->hung; side++)
		conn_write(c, side, now);
	if (c->dead || c->hung)
		return NEVER;
	for (int side = 0; side < 2; side++) {
		int64_t due = flow_next_ns(&c->flow[side], now);

		next = due < next ? due : next;
	}
	return next;
}

static short
conn_events(const struct conn *c, int side, int64_t now)
{
	const struct chunk *outgoing = c->flow[!side].head;
	short events = 0;

	if (side == SERVER && !c->connected)
		return POLLOUT;
	if (flow_room(c, side) > 0)
		events |= POLLIN;
	if (c->connected && outgoing != NULL && outgoing->due_ns <= now)
		events |= POLLOUT;
	return events;
}

static void
conn_on_ready(struct conn *c, int side)
{
	short got = c->polled[side] != NULL ? c->polled[side]->revents : 0;

	if (got == 0 || c->dead || c->hung)
		return;
	if (side == SERVER && !c->connected)
		conn_on_called(c);
	else if (got & POLLIN)
		conn_read(c, side);
	else if (got & (POLLHUP | POLLERR))
		conn_end(c, side == SERVER ? "server hung up" : "client hung up", false);
}

/* The loop */

static void
on_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (refusing)
		socket_close(fd, true);
	else
		conn_new(fd);
}

static void
on_signals(void)
{
	for (struct conn *c = conns; c != NULL; c = c->next) {
		if (got_cut)
			conn_cut(c, "cut by signal");
		if (got_report && !c->dead)
			conn_report(c, "live");
		if (got_end && !c->hung)
			conn_end(c, "proxy ended", opt.how == RST);
	}
	refusing ^= got_refuse;
	got_cut = got_report = got_refuse = 0;
}

/* False once the first connection has ended and no other is wanted. */
static bool
sweep(void)
{
	for (struct conn **at = &conns, *c; (c = *at) != NULL;) {
		if (!c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
		if (opt.once)
			return false;
	}
	return true;
}

/* Slot 0 is the listener; each connection's two sides follow. */
static size_t
fill_slots(struct pollfd **slots, int listener, int64_t now)
{
	static size_t room;
	size_t n = 1;

	for (struct conn *c = conns; c != NULL; c = c->next)
		n += 2;
	if (n > room) {
		room = 2 * n;
		*slots = realloc(*slots, room * sizeof **slots);
		if (*slots == NULL)
			abort();
	}
	(*slots)[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	n = 1;
	for (struct conn *c = conns; c != NULL; c = c->next)
		for (int side = 0; side < 2; side++) {
			c->polled[side] = NULL;
			if (c->fd[side] < 0 || c->hung)
				continue;
			c->polled[side] = &(*slots)[n++];
			*c->polled[side] = (struct pollfd){
				.fd = c->fd[side], .events = conn_events(c, side, now) };
			/* poll tells of a hang-up even when not asked: we would spin until it is due. */
			if (c->polled[side]->events == 0 && c->flow[side].eof)
				c->polled[side]->fd = -1;
		}
	return n;
}

static void
run(int listener, const sigset_t *signals)
{
	struct pollfd *slots = NULL;

	while (!got_end) {
		int64_t now = now_ns(), next = NEVER, left;
		struct timespec ts;
		size_t n;

		for (struct conn *c = conns; c != NULL; c = c->next) {
			int64_t due = conn_step(c, now);

			next = due < next ? due : next;
		}
		if (!sweep())
			break;
		n = fill_slots(&slots, listener, now);
		left = next - now_ns();
		left = left < 0 ? 0 : left;
		ts = (struct timespec){ .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };
		if (ppoll(slots, n, next == NEVER ? NULL : &ts, signals) > 0) {
			for (struct conn *c = conns; c != NULL; c = c->next)
				for (int side = 0; side < 2; side++)
					conn_on_ready(c, side);
			if (slots[0].revents != 0)
				on_client(listener);
		}
		on_signals();
	}
	free(slots);
}

/* The start */

static void
parse_address(const char *text, struct sockaddr_storage *addr, socklen_t *len)
{
	const char *colon = strrchr(text, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	char host[256] = "127.0.0.1";

	if (colon != NULL)
		snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	if (getaddrinfo(host, colon != NULL ? colon + 1 : text, &hints, &found) != 0) {
		fprintf(stderr, "delayproxy: bad address '%s'\n", text);
		exit(64);
	}
	memcpy(addr, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
}

static FILE *
open_append(const char *path)
{
	FILE *f = fopen(path, "ae");

	if (f == NULL) {
		perror(path);
		exit(66);
	}
	return f;
}

static void
parse_options(int argc, char **argv)
{
	int o;

	parse_address("0", &opt.listen, &opt.listen_len);
	opt.report = stderr;
	while ((o = getopt(argc, argv, "l:t:d:C:S:K:n:r:q:o:T:x1")) != -1)
		switch (o) {
		case 'l': parse_address(optarg, &opt.listen, &opt.listen_len); break;
		case 't': parse_address(optarg, &opt.target, &opt.target_len); break;
		case 'd': opt.delay_ns = (int64_t)(strtod(optarg, NULL) * 1e6); break;
		case 'C': opt.cut[CLIENT] = strtoull(optarg, NULL, 10); break;
		case 'S': opt.cut[SERVER] = strtoull(optarg, NULL, 10); break;
		case 'K': opt.how = *optarg == 'r' ? RST : *optarg == 'h' ? HANG : FIN; break;
		case 'n': opt.only = atoi(optarg); break;
		case 'r': opt.bytes_per_s = atoll(optarg); break;
		case 'q': opt.queue_max = strtoull(optarg, NULL, 10); break;
		case 'o': opt.report = open_append(optarg); break;
		case 'T': opt.transcript = open_append(optarg); break;
		case 'x': opt.handshake = false; break;
		case '1': opt.once = true; break;
		default: exit(64);
		}
	if (opt.target_len == 0) {
		fputs("delayproxy: -t [HOST:]PORT is needed\n", stderr);
		exit(64);
	}
}

static int
start_listening(void)
{
	int on = 1, fd = socket(opt.listen.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr *addr = (struct sockaddr *)&opt.listen;
	char port[16];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, addr, opt.listen_len) != 0 || listen(fd, 256) != 0 ||
	    getsockname(fd, addr, &opt.listen_len) != 0 || getnameinfo(addr, opt.listen_len, NULL, 0,
	    port, sizeof port, NI_NUMERICSERV) != 0) {
		perror("delayproxy: listen");
		exit(71);
	}
	puts(port);
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	static const int signals[] = { SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t blocked, before;

	parse_options(argc, argv);
	/* Signals come only within ppoll, so that none is missed between a look and the wait. */
	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaction(signals[i], &sa, NULL);
		sigaddset(&blocked, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, &before);
	run(start_listening(), &before);
	return 0;
}
