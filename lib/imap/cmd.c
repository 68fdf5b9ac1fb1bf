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
	cmd->fd = -1;
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
	cmd_close_file(cmd);
	for (size_t i = 0; i < cmd->literal_count; i++)
		free(cmd->literals[i].path);
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

static struct cmd_literal *add_literal(struct imap_cmd *cmd, uint64_t size)
{
	struct cmd_literal *l;

	cmd->literals = mem_grow(cmd->literals, cmd->literal_count + 1, sizeof *cmd->literals);
	l = &cmd->literals[cmd->literal_count++];
	*l = (struct cmd_literal){ .at = cmd->text.len, .size = size };
	return l;
}

static void add_text_literal(struct imap_cmd *cmd, struct slice s)
{
	add_literal(cmd, s.len)->len = s.len;
	buf_add_slice(&cmd->text, s);
}

void imap_cmd_add_file(struct imap_cmd *cmd, const char *path, uint64_t size, bool utf8)
{
	buf_add_str(&cmd->text, utf8 ? "UTF8 (~" : "");
	add_literal(cmd, size)->path = mem_copy(path);
	buf_add_str(&cmd->text, utf8 ? ")" : "");
}

void imap_cmd_sync_literals(struct imap_cmd *cmd)
{
	cmd->sync = true;
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
		add_text_literal(cmd, s);
}

size_t imap_cmd_len(const struct imap_cmd *cmd)
{
	size_t len = cmd->text.len;

	for (size_t i = 0; i < cmd->literal_count; i++)
		len -= cmd->literals[i].len;
	return len;
}

bool cmd_has_file(const struct imap_cmd *cmd)
{
	for (size_t i = 0; i < cmd->literal_count; i++)
		if (cmd->literals[i].path != NULL)
			return true;
	return false;
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
