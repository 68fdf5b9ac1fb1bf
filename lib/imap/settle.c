/* From the login's OK to READY: ENABLE, ID and COMPRESS. They leave together; only what changes the form of
 * what follows is waited for. */
#include "imap/conn.h"
#include "imap/word.h"

static void ready(struct imap *c)
{
	conn_move(c, CONN_READY);
	c->events.on_ready(c->arg);
}

static void one_less_owed(struct imap *c)
{
	if (--c->login.owed == 0)
		ready(c);
}

/* What follows from what is enabled, or was asked for and not yet refused. */
static void note_enabled(struct imap *c, bool qresync, bool utf8, bool rev2)
{
	c->qresync = qresync;
	/* Names are UTF-8 also where the server speaks nothing but rev2 (RFC 9051 5.1). */
	rev2 |= c->caps.has[IMAP_CAP_IMAP4REV2] && !c->caps.has[IMAP_CAP_IMAP4REV1];
	c->utf8 = utf8 || rev2;
	/* Gmail, with CONDSTORE alone, tells no [CLOSED] (Q18). */
	c->pipe.tells_closed = c->options.pipeline_mailboxes && (qresync || rev2);
}

void login_enabled(struct imap *c, struct slice list)
{
	struct login *l = &c->login;
	struct slice word;

	while (word_next(&list, &word)) {
		l->enabled_qresync |= slice_is_nocase(word, "QRESYNC");
		l->enabled_utf8 |= slice_is_nocase(word, "UTF8=ACCEPT");
		l->enabled_rev2 |= slice_is_nocase(word, "IMAP4rev2");
	}
}

static void on_enable(void *arg, const struct imap_resp *resp)
{
	struct imap *c = arg;
	struct login *l = &c->login;
	const bool *has = c->caps.has;
	bool ok = resp->cond.cond == IMAP_OK;

	/* Only what ENABLED named is enabled, whatever the OK says (Q55), and only what we asked for. */
	note_enabled(c, ok && l->enabled_qresync && has[IMAP_CAP_QRESYNC],
		ok && l->enabled_utf8 && has[IMAP_CAP_UTF8_ACCEPT],
		ok && l->enabled_rev2 && has[IMAP_CAP_IMAP4REV2]);
	if (l->awaits_enable)
		one_less_owed(c);
}

/* Q53: iCloud's proxy writes XAPPLEPUSHSERVICE behind a CAPABILITY that passes it, even one within a literal, until
 * the command has been answered. Where the server tells its capabilities unasked it never would be. */
static void send_capability(struct imap *c)
{
	struct slice rest = buf_slice(&c->caps.text), word;
	struct imap_cmd *cmd;

	while (word_next(&rest, &word)) {
		if (!slice_is_nocase(word, "XAPPLEPUSHSERVICE"))
			continue;
		cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, c);
		imap_cmd_add(cmd, "CAPABILITY");
		pipe_send(&c->pipe, cmd, NULL, 0);
		return;
	}
}

/* On each connection anew (Q66). */
static void send_enable(struct imap *c)
{
	const bool *has = c->caps.has;
	struct imap_cmd *cmd;

	if (!has[IMAP_CAP_ENABLE]) {
		note_enabled(c, false, false, false);
		return;
	}
	cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_enable, c);
	imap_cmd_add(cmd, "ENABLE");
	if (has[IMAP_CAP_QRESYNC])
		imap_cmd_add(cmd, " QRESYNC"); /* CONDSTORE is in it (RFC 7162 3.2.3) */
	else if (has[IMAP_CAP_CONDSTORE])
		imap_cmd_add(cmd, " CONDSTORE");
	if (has[IMAP_CAP_UTF8_ACCEPT])
		imap_cmd_add(cmd, " UTF8=ACCEPT");
	if (has[IMAP_CAP_IMAP4REV2])
		imap_cmd_add(cmd, " IMAP4rev2");
	note_enabled(c, has[IMAP_CAP_QRESYNC], false, false);
	if (imap_cmd_len(cmd) == strlen("ENABLE")) {
		imap_cmd_free(cmd);
		return;
	}
	/* How names are written depends on the answer; nothing can be sent before it. */
	c->login.awaits_enable = has[IMAP_CAP_UTF8_ACCEPT] || has[IMAP_CAP_IMAP4REV2];
	c->login.owed += c->login.awaits_enable;
	pipe_send(&c->pipe, cmd, NULL, 0);
}

/* Some servers refuse SELECT without it (Q82), so it goes ahead; nobody waits for what they say. */
static void send_id(struct imap *c)
{
	struct imap_cmd *cmd;

	if (!c->options.send_id || !c->caps.has[IMAP_CAP_ID])
		return;
	cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, c);
	imap_cmd_add(cmd, "ID (\"name\" \"mailtide\" \"version\" \"%s\")", MAILTIDE_VERSION);
	pipe_send(&c->pipe, cmd, NULL, 0);
}

static void on_compress(void *arg, const struct imap_resp *resp)
{
	struct imap *c = arg;

	if (resp->cond.cond == IMAP_OK) {
		c->deflated = true;
		io_stream_deflate(c->stream);
	}
	one_less_owed(c); /* refused: we go on as we are */
}

/* Where a round trip takes longer than the CPU needs, bytes count. */
static bool wants_compress(const struct imap *c)
{
	if (c->options.compress == IMAP_COMPRESS_AUTO)
		return !io_stream_is_loopback(c->stream) && io_stream_connect_s(c->stream) > 0.010;
	return c->options.compress == IMAP_COMPRESS_YES;
}

static void send_compress(struct imap *c)
{
	struct imap_cmd *cmd;

	if (!c->caps.has[IMAP_CAP_COMPRESS_DEFLATE] || !wants_compress(c))
		return;
	cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_compress, c);
	imap_cmd_add(cmd, "COMPRESS DEFLATE");
	cmd->last = true;
	c->login.owed++;
	pipe_send(&c->pipe, cmd, NULL, 0);
}

void login_settle(struct imap *c)
{
	c->pipe.literals = c->caps.has[IMAP_CAP_LITERAL_PLUS] ? CMD_PLUS
		: c->caps.has[IMAP_CAP_LITERAL_MINUS] ? CMD_MINUS : CMD_SYNC;
	if (c->state != CONN_SURVEY)
		send_capability(c);
	conn_move(c, CONN_SETTLE);
	send_enable(c);
	send_id(c);
	send_compress(c);
	if (c->login.owed == 0)
		ready(c);
}
