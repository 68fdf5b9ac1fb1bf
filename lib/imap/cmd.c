#include "imap/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct imap_cmd *imap_cmd_new(enum imap_cmd_kind kind,
	void (*done)(void *arg, const struct imap_resp *tagged), void *arg)
{
	struct imap_cmd *cmd = mem_new(sizeof *cmd);

	cmd->kind = kind;
	cmd->done = done;
	cmd->arg = arg;
	buf_init(&cmd->text, 0);
	return cmd;
}

void imap_cmd_free(struct imap_cmd *cmd)
{
	if (cmd == NULL)
		return;
	if (cmd->shown != NULL && cmd->text.data != NULL)
		mem_wipe(cmd->text.data, cmd->text.len);
	buf_release(&cmd->text);
	free(cmd->literals);
	free(cmd->shown);
	free(cmd);
}

void imap_cmd_add(struct imap_cmd *cmd, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	INVARIANT(len >= 0);
	if ((size_t)len < sizeof small) {
		buf_add(&cmd->text, small, (size_t)len);
		return;
	}
	char *room = buf_reserve(&cmd->text, (size_t)len + 1);
	va_start(ap, fmt);
	vsnprintf(room, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf_added(&cmd->text, (size_t)len);
}

void imap_cmd_add_slice(struct imap_cmd *cmd, struct slice text)
{
	buf_add_slice(&cmd->text, text);
}

/* Fewer characters than RFC 9051's astring allows: those that no server is known to mistake. */
static bool is_atom(struct slice s)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		"-_./&+,=@:";

	if (s.len == 0 || s.len > 200 || slice_is_nocase(s, "NIL"))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] == '\0' || strchr(allowed, s.data[i]) == NULL)
			return false;
	return true;
}

/* Octets over 127 are lawful between quotes only after ENABLE UTF8=ACCEPT, and only as UTF-8; in a
 * literal they always are. CR and LF must never stand in a line, or a mailbox's name could be a
 * command. */
static bool is_quotable(struct slice s, bool utf8)
{
	uint32_t rune;

	if (s.len > 1000)
		return false;
	for (size_t len = 1; s.len > 0; s.data += len, s.len -= len) {
		unsigned char c = (unsigned char)*s.data;
		if (c < ' ' || c == 127 || (c > 127 && !utf8))
			return false;
		len = c > 127 ? mail_utf8_next(s, &rune) : 1;
		if (len == 0)
			return false;
	}
	return true;
}

static void add_quoted(struct imap_cmd *cmd, struct slice s)
{
	buf_add_char(&cmd->text, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"' || s.data[i] == '\\')
			buf_add_char(&cmd->text, '\\');
		buf_add_char(&cmd->text, s.data[i]);
	}
	buf_add_char(&cmd->text, '"');
}

static void add_literal(struct imap_cmd *cmd, struct slice s)
{
	cmd->literals = mem_grow(cmd->literals, cmd->literal_count + 1, sizeof *cmd->literals);
	cmd->literals[cmd->literal_count++] = (struct cmd_literal){ cmd->text.len, s.len };
	buf_add_slice(&cmd->text, s);
}

void imap_cmd_utf8(struct imap_cmd *cmd, bool utf8)
{
	cmd->utf8 = utf8;
}

void imap_cmd_add_string(struct imap_cmd *cmd, struct slice s, bool atom_ok)
{
	if (atom_ok && is_atom(s))
		buf_add_slice(&cmd->text, s);
	else if (is_quotable(s, cmd->utf8))
		add_quoted(cmd, s);
	else
		add_literal(cmd, s);
}

size_t imap_cmd_len(const struct imap_cmd *cmd)
{
	size_t len = cmd->text.len;

	for (size_t i = 0; i < cmd->literal_count; i++)
		len -= cmd->literals[i].len;
	return len;
}

struct slice cmd_name(const struct imap_cmd *cmd)
{
	struct slice text = buf_slice(&cmd->text);
	size_t len = 0;

	if (slice_starts_nocase(text, "UID "))
		len = strlen("UID ");
	while (len < text.len && text.data[len] != ' ')
		len++;
	return (struct slice){ text.data, len };
}

static bool needs_no_plus(enum cmd_literals mode, size_t len)
{
	return mode == CMD_PLUS || (mode == CMD_MINUS && len <= CMD_MINUS_MAX);
}

/* Text between literals, from where we are. */
static void add_text(struct imap_cmd *cmd, size_t to, struct buf *out, struct buf *log)
{
	struct slice text = { cmd->text.data + cmd->text_sent, to - cmd->text_sent };

	if (text.len == 0)
		return;
	buf_add_slice(out, text);
	if (log != NULL && cmd->shown == NULL)
		buf_add_slice(log, text);
	cmd->text_sent = to;
}

bool cmd_piece(struct imap_cmd *cmd, enum cmd_literals mode, struct buf *out, struct buf *log)
{
	size_t i = cmd->literals_sent;

	if (log != NULL && cmd->shown != NULL && cmd->text_sent == 0)
		buf_add_str(log, cmd->shown);
	/* A literal whose announcement went out, and which is asked for now, stands first. */
	if (i > 0 && cmd->text_sent == cmd->literals[i - 1].at) {
		buf_add(out, cmd->text.data + cmd->text_sent, cmd->literals[i - 1].len);
		cmd->text_sent += cmd->literals[i - 1].len;
	}
	for (; i < cmd->literal_count; i++) {
		const struct cmd_literal *l = &cmd->literals[i];
		bool unasked = needs_no_plus(mode, l->len);

		add_text(cmd, l->at, out, log);
		buf_addf(out, "{%zu%s}\r\n", l->len, unasked ? "+" : "");
		if (log != NULL && cmd->shown == NULL)
			buf_addf(log, "{%zu%s}", l->len, unasked ? "+" : "");
		cmd->literals_sent = i + 1;
		if (!unasked)
			return false;
		cmd->unasked = true;
		buf_add(out, cmd->text.data + l->at, l->len);
		cmd->text_sent = l->at + l->len;
	}
	add_text(cmd, cmd->text.len, out, log);
	buf_add_str(out, "\r\n");
	return true;
}
