/* The connection's life: its stream, its silence, its end. Each callback from the loop stands between
 * enter() and leave(). Whatever ends the connection is noted by conn_end and told in leave(), and the
 * memory goes there too, so that an owner may free the connection in any callback that it gets, but
 * for on_body and those of a sink. */
#include "imap/conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static const char *const state_names[] = {
	"connect", "greeting", "starttls", "handshake", "capability", "secret", "login", "survey",
	"settle", "ready", "logout", "closed",
};

/* Where the configuration does not say. */
enum { QUIET_S = 60 };
/* The limit of a quiet wait is kept to one part in so many. */
enum { QUIET_SLICES = 8 };

void conn_move(struct imap *c, enum conn_state to)
{
	log_line(LOG_MOVES, c->options.name, "connection: %s -> %s", state_names[c->state],
		state_names[to]);
	c->state = to;
}

/* The end */

void conn_end(struct imap *c, const struct err *err)
{
	if (c->state == CONN_CLOSED)
		return;
	c->end = *err;
	conn_move(c, CONN_CLOSED);
	pipe_stop(&c->pipe);
	io_timer_stop(c->timer);
	io_stream_free(c->stream);
	c->stream = NULL;
}

void conn_fail(struct imap *c, enum err_class cls, const char *fmt, ...)
{
	char text[sizeof c->end.text];
	struct err err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(&err, cls, ERR_ACCOUNT, "%s", text);
	conn_end(c, &err);
}

/* Copied like the other strings of the options. */
static void copy_avoid(struct imap *c, const struct imap_options *options)
{
	size_t count = options->avoid_count;
	char **avoid = count > 0 ? mem_grow(NULL, count, sizeof *avoid) : NULL;

	for (size_t i = 0; i < count; i++)
		avoid[i] = mem_copy(options->avoid[i]);
	c->caps.avoid = c->options.avoid = (const char *const *)avoid;
	c->caps.avoid_count = count;
}

static void free_avoid(struct imap *c)
{
	for (size_t i = 0; i < c->options.avoid_count; i++)
		free((char *)(uintptr_t)c->options.avoid[i]);
	free((char **)(uintptr_t)c->options.avoid);
}

static void destroy(struct imap *c)
{
	frame_free(c->frame);
	resp_space_free(c->space);
	pipe_release(&c->pipe);
	caps_release(&c->caps);
	login_release(c);
	free((char *)(uintptr_t)c->options.target.host);
	free((char *)(uintptr_t)c->options.user);
	free((char *)(uintptr_t)c->options.auth);
	free((char *)(uintptr_t)c->options.prefer);
	free((char *)(uintptr_t)c->options.name);
	free_avoid(c);
	free(c);
}

void imap_free(struct imap *c)
{
	if (c == NULL)
		return;
	c->freed = true;
	c->state = CONN_CLOSED;
	pipe_stop(&c->pipe);
	io_stream_free(c->stream);
	c->stream = NULL;
	io_timer_free(c->timer);
	c->timer = NULL;
	io_work_release(&c->work);
	if (c->busy == 0)
		destroy(c);
}

static void tell_closed(struct imap *c)
{
	struct err end = c->end;

	c->told = true;
	frame_free(c->frame); /* ends a sink that is open (S17) */
	c->frame = NULL;
	c->events.on_closed(c->arg, &end, c->no_closed);
}

/* What we wait for, in words. */
static void describe_wait(const struct imap *c, char *text, size_t size)
{
	struct slice name = pipe_waits_for(&c->pipe);

	if (c->state <= CONN_GREETING)
		snprintf(text, size, "the greeting");
	else if (c->state == CONN_HANDSHAKE)
		snprintf(text, size, "the TLS handshake");
	else
		snprintf(text, size, "\"%.*s\"", (int)(name.len < 60 ? name.len : 60), name.data);
}

static bool is_handshaking(const struct imap *c)
{
	return c->state == CONN_CONNECT || c->state == CONN_HANDSHAKE;
}

static bool is_owed(const struct imap *c)
{
	return c->state == CONN_GREETING || c->state == CONN_HANDSHAKE
		|| pipe_waits_for(&c->pipe).len > 0;
}

/* Each callback of ours stands between these two. */
static void enter(struct imap *c)
{
	c->busy++;
	c->heard = false;
}

static double quiet_limit_s(const struct imap *c)
{
	return c->options.timeout_s > 0 ? c->options.timeout_s : QUIET_S;
}

static void watch_silence(struct imap *c)
{
	if (c->bye || c->state == CONN_LOGOUT)
		return; /* the timer runs for the closing */
	if (!is_owed(c)) {
		if (c->waits)
			io_timer_stop(c->timer);
		c->waits = false;
		return;
	}
	if (!c->waits || c->heard)
		c->quiet_since = io_now();
	if (!c->waits)
		io_timer_start(c->timer, quiet_limit_s(c) / QUIET_SLICES);
	c->waits = true;
}

/* While a long command goes out the server owes nothing but to take it, at whatever pace: its kernel's
 * acknowledgements count, since ours alone may hold megabytes. */
static void check_silence(struct imap *c)
{
	size_t pending = io_stream_pending(c->stream);
	uint64_t taken = c->pipe.written - pending - io_stream_unacked(c->stream);
	double slice_s = quiet_limit_s(c) / QUIET_SLICES, left_s;
	char what[80];

	if (taken != c->taken)
		c->quiet_since = io_now();
	c->taken = taken;
	left_s = c->quiet_since + quiet_limit_s(c) - io_now();
	if (left_s > 0) {
		io_timer_start(c->timer, left_s < slice_s ? left_s : slice_s);
		return;
	}
	describe_wait(c, what, sizeof what);
	conn_fail(c, ERR_RETRY, "no answer while waiting for %s%s", what,
		pending > 0 ? ", of which the server takes nothing more" : "");
}

/* Is there something for run() to do? */
static bool has_work(const struct imap *c)
{
	if (c->state != CONN_READY)
		return false;
	return c->logout ? pipe_idle(&c->pipe) : pipe_has_news(&c->pipe);
}

static void leave(struct imap *c)
{
	struct err err;

	/* Behind a BYE nothing is read any more. */
	if (c->state != CONN_CLOSED && !c->bye && pipe_flush(&c->pipe, &err) < 0)
		conn_end(c, &err);
	if (c->state != CONN_CLOSED)
		watch_silence(c);
	if (c->state == CONN_CLOSED && !c->freed && !c->told)
		tell_closed(c);
	else if (has_work(c))
		io_work_mark(&c->work);
	if (--c->busy == 0 && c->freed)
		destroy(c);
}

static void on_timer(void *arg)
{
	struct imap *c = arg;
	const struct err none = { 0 };

	enter(c);
	if (c->state == CONN_LOGOUT)
		conn_end(c, &none);
	else if (c->bye)
		conn_end(c, &c->end);
	else if (is_owed(c))
		check_silence(c);
	leave(c);
}

/* The stream */

static void on_open(void *arg)
{
	struct imap *c = arg;

	enter(c);
	login_connected(c);
	leave(c);
}

static void on_data(void *arg)
{
	struct imap *c = arg;

	enter(c);
	receive(c);
	leave(c);
}

/* The next piece of a long command goes out in leave(). */
static void on_drained(void *arg)
{
	struct imap *c = arg;

	enter(c);
	c->heard = true;
	leave(c);
}

/* The stream ended: what does that mean? `why` tells all of a connect or a handshake that failed. */
static void explain_loss(const struct imap *c, const struct err *why, struct err *end)
{
	char what[80];

	*end = *why;
	if (c->bye) {
		*end = c->end;
	} else if (c->state == CONN_LOGOUT) {
		err_clear(end);
	} else if (is_handshaking(c)) {
		if (why->cls == ERR_NONE)
			err_set(end, ERR_RETRY, ERR_ACCOUNT, "the server closed the connection at once");
	} else if (is_owed(c)) {
		describe_wait(c, what, sizeof what);
		if (why->cls == ERR_NONE)
			err_set(end, ERR_RETRY, ERR_ACCOUNT, "connection lost while waiting for %s", what);
		else
			err_prefix(end, "connection lost while waiting for %s", what);
	} else if (why->cls == ERR_NONE) {
		err_set(end, ERR_RETRY, ERR_ACCOUNT, "the server closed the connection");
	}
}

static void on_stream_closed(void *arg, const struct err *why)
{
	struct imap *c = arg;
	struct err end;

	enter(c);
	if (!is_handshaking(c))
		receive(c);
	if (c->state != CONN_CLOSED) {
		explain_loss(c, why, &end);
		conn_end(c, &end);
	}
	leave(c);
}

/* From the top of the loop */

static void send_logout(struct imap *c)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, c);

	imap_cmd_add(cmd, "LOGOUT");
	cmd->last = true;
	pipe_send(&c->pipe, cmd, NULL, 0);
	conn_move(c, CONN_LOGOUT);
	io_timer_start(c->timer, CONN_CLOSING_S);
}

static void run(void *arg)
{
	struct imap *c = arg;
	const struct err none = { 0 };

	enter(c);
	login_secret(c);
	if (c->logout && c->state < CONN_READY)
		conn_end(c, &none);
	else if (c->logout && c->state == CONN_READY && pipe_idle(&c->pipe))
		send_logout(c);
	else if (c->state == CONN_READY && pipe_room_again(&c->pipe) && c->events.on_room != NULL)
		c->events.on_room(c->arg);
	leave(c);
}

/* The owner's calls */

static const struct io_stream_events stream_events = {
	on_open, on_data, on_drained, on_stream_closed,
};

static void write_out(void *arg, struct slice data)
{
	struct imap *c = arg;

	io_stream_write(c->stream, data.data, data.len);
}

static size_t pending(void *arg)
{
	struct imap *c = arg;

	return io_stream_pending(c->stream);
}

static const struct pipe_events pipe_events = { write_out, pending, receive_untagged };

struct imap *imap_new(struct io *io, const struct imap_options *options,
	const struct imap_events *events, void *arg)
{
	struct imap *c = mem_new(sizeof *c);

	c->io = io;
	c->events = *events;
	c->arg = arg;
	c->options = *options;
	c->options.target.host = mem_copy(options->target.host);
	c->options.user = mem_copy(options->user != NULL ? options->user : "");
	c->options.auth = mem_copy(options->auth != NULL ? options->auth : "auto");
	c->options.prefer = options->prefer != NULL ? mem_copy(options->prefer) : NULL;
	c->options.name = mem_copy(options->name != NULL ? options->name : options->target.host);
	c->frame = frame_new(receive_literal, c);
	c->space = resp_space_new();
	c->timer = io_timer_new(io, on_timer, c);
	io_work_init(&c->work, io, run, c);
	pipe_init(&c->pipe, &pipe_events, c, c->options.name);
	if (options->max_commands > 0)
		c->pipe.commands_max = options->max_commands;
	caps_init(&c->caps);
	copy_avoid(c, options);
	buf_init(&c->login.secret, 0);
	c->stream = io_stream_connect(io, &options->target, &stream_events, c);
	return c;
}

void imap_give_secret(struct imap *c, struct slice secret)
{
	struct login *l = &c->login;

	if (c->state == CONN_CLOSED)
		return;
	if (l->secret.data != NULL)
		mem_wipe(l->secret.data, l->secret.len);
	buf_clear(&l->secret);
	buf_add_slice(&l->secret, secret);
	l->has_secret = true;
	io_work_mark(&c->work);
}

void imap_send(struct imap *c, struct imap_cmd *cmd, void *box, uint64_t expect)
{
	INVARIANT(cmd->kind != IMAP_CMD_SELECT || box != NULL);
	INVARIANT(c->state >= CONN_READY);
	pipe_send(&c->pipe, cmd, box, expect);
	io_work_mark(&c->work);
}

void imap_logout(struct imap *c)
{
	c->logout = true;
	if (c->state != CONN_CLOSED)
		io_work_mark(&c->work);
}

bool imap_has(const struct imap *c, enum imap_cap cap)
{
	return c->caps.has[cap];
}

uint64_t imap_append_limit(const struct imap *c)
{
	return c->caps.append_limit;
}

struct slice imap_capabilities(const struct imap *c)
{
	return buf_slice(&c->caps.text);
}

bool imap_qresync(const struct imap *c)
{
	return c->qresync;
}

bool imap_utf8(const struct imap *c)
{
	return c->utf8;
}

const char *imap_fell_back_to(const struct imap *c)
{
	return c->state >= CONN_SETTLE && c->login.second ? c->login.way->mechanism : NULL;
}

const char *imap_mechanism(const struct imap *c)
{
	return c->login.way != NULL ? c->login.way->mechanism : "";
}

struct io_stream *imap_stream(struct imap *c)
{
	return c->stream;
}

bool imap_room(const struct imap *c)
{
	return pipe_room(&c->pipe);
}

void imap_slow(struct imap *c, bool hold, unsigned max_commands)
{
	pipe_slow(&c->pipe, hold, max_commands > 0 ? max_commands : c->options.max_commands);
	if (c->state != CONN_CLOSED)
		io_work_mark(&c->work);
}

bool imap_idle(const struct imap *c)
{
	return pipe_idle(&c->pipe);
}

void *imap_last_box(const struct imap *c)
{
	return pipe_last_box(&c->pipe);
}

bool imap_pipelines_mailboxes(const struct imap *c)
{
	return c->pipe.tells_closed;
}

struct imap_counts imap_counts(const struct imap *c)
{
	return (struct imap_counts){ c->received, c->pipe.written, c->pipe.last_tag };
}
