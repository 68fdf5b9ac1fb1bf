/* From the octets that came to what they mean: framing, the connection's own responses
 * (CAPABILITY, ENABLED, BYE, ALERT), all others to the pipe. */
#include "imap/conn.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

bool conn_is_later(const struct imap_resp *resp)
{
	static const char *const words[] = { /* Q19, Q33 */
		"throttled", "authenticated but not connected",
	};
	char text[200];
	int len = (int)(resp->cond.text.len < 199 ? resp->cond.text.len : 199);

	switch (resp->cond.code) {
	case IMAP_INUSE: case IMAP_LIMIT: case IMAP_THROTTLED: case IMAP_UNAVAILABLE:
		return true;
	default:
		break;
	}
	snprintf(text, sizeof text, "%.*s", len, len > 0 ? resp->cond.text.data : "");
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasestr(text, words[i]) != NULL)
			return true;
	return false;
}

/* The server says why; that it closes follows. Answers may still come before. */
static void take_bye(struct imap *c, const struct imap_resp *resp)
{
	const struct err none = { 0 };
	bool later = conn_is_later(resp) || c->state < CONN_READY;

	if (c->state == CONN_LOGOUT) {
		conn_end(c, &none);
		return;
	}
	if (c->bye)
		return;
	c->bye = true;
	err_set(&c->end, later ? ERR_LATER : ERR_RETRY, ERR_ACCOUNT, "the server closed the "
		"connection: %.*s", WORDS(resp));
	io_timer_start(c->timer, CONN_CLOSING_S);
	if (c->state == CONN_READY)
		pipe_bye(&c->pipe, resp);
}

/* "* CAPABILITY x y": what follows the second word. */
static struct slice after_keyword(struct slice text)
{
	const char *space = memchr(text.data, ' ', text.len);
	size_t at = space != NULL ? (size_t)(space - text.data) + 1 : text.len;

	while (at < text.len && text.data[at] != ' ')
		at++;
	return (struct slice){ text.data + at, text.len - at };
}

/* Before TLS that is due, a word to the user could be anybody's. */
static bool may_alert(const struct imap *c)
{
	return c->state > CONN_HANDSHAKE || !c->options.starttls;
}

static void take_own(struct imap *c, const struct imap_resp *resp, struct slice text)
{
	if (resp->kind == IMAP_CAPABILITY)
		login_capability(c, after_keyword(text));
	else if (resp->kind == IMAP_ENABLED)
		login_enabled(c, after_keyword(text));
	else if (resp->kind != IMAP_COND)
		return;
	else if (resp->cond.code == IMAP_CODE_CAPABILITY)
		login_capability(c, resp->cond.code_text);
	else if (resp->cond.code == IMAP_ALERT && may_alert(c) && c->events.on_alert != NULL)
		c->events.on_alert(c->arg, resp->cond.text);
}

/* Literals are shown as their size: they are mail. */
static void log_response(const struct imap *c, struct slice text)
{
	struct buf line;
	size_t from = 0;

	if (log_level() < LOG_WIRE)
		return;
	if (c->state == CONN_LOGIN && text.len > 0 && text.data[0] == '+')
		text = slice_of("+ [challenge]");
	buf_init(&line, 0);
	for (size_t i = 0; i < text.len; i++) {
		char *end;
		if (text.data[i] != '{' || !memchr(text.data + i, '\r', text.len - i))
			continue;
		unsigned long long size = strtoull(text.data + i + 1, &end, 10);
		size_t at = (size_t)(end - text.data);
		if (text.len - at < 3 || memcmp(end, "}\r\n", 3) != 0 || size > text.len - at - 3)
			continue;
		buf_add(&line, text.data + from, at + 1 - from);
		from = at + 3 + (size_t)size;
		i = from - 1;
	}
	buf_add(&line, text.data + from, text.len - from);
	log_wire(c->options.name, "S", buf_slice(&line));
	buf_release(&line);
}

static void take_response(struct imap *c, struct slice text)
{
	struct imap_resp resp;
	struct slice tag = { "", 0 };
	struct err err;

	log_response(c, text);
	resp_parse(c->space, text, &resp, &tag);
	take_own(c, &resp, text);
	if (c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_GREETING)
		login_greeting(c, &resp);
	else if (resp.kind == IMAP_COND && !resp.tagged && resp.cond.cond == IMAP_BYE)
		take_bye(c, &resp);
	else if (pipe_take(&c->pipe, &resp, tag, text, &c->no_closed, &err) < 0)
		conn_end(c, &err);
}

void receive(struct imap *c)
{
	struct buf *in = io_stream_in(c->stream);
	size_t before = in->len;
	struct slice text;
	struct err err;

	c->heard = true;
	while (c->state != CONN_CLOSED && c->state != CONN_HANDSHAKE) {
		int rc = frame_next(c->frame, in, &text, &err);
		if (rc < 0)
			conn_end(c, &err);
		if (rc <= 0)
			break;
		take_response(c, text);
	}
	/* What is left was counted, and will be again. */
	c->received += before;
	if (c->stream != NULL)
		c->received -= in->len;
}

void receive_untagged(void *arg, void *box, const struct imap_resp *resp)
{
	struct imap *c = arg;

	if (resp->kind == IMAP_OTHER || resp->kind == IMAP_CAPABILITY || resp->kind == IMAP_ENABLED)
		return; /* unknown (C8), or ours and taken */
	if (c->state == CONN_READY || c->state == CONN_LOGOUT)
		c->events.on_untagged(c->arg, box, resp);
}

struct sink *receive_literal(void *arg, struct slice text, uint64_t size, bool *skip)
{
	struct imap *c = arg;
	struct sink *sink = NULL;
	uint32_t uid = 0;
	void *box;

	if (!resp_is_body(text, &uid))
		return NULL;
	box = c->state == CONN_READY ? visits_body_owner(&c->pipe.visits) : NULL;
	if (box != NULL && c->events.on_body != NULL)
		sink = c->events.on_body(c->arg, box, uid, size);
	*skip = sink == NULL;
	return sink;
}
