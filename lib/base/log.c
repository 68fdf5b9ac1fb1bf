#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define WIRE_OCTETS 400

static void write_stderr(void *arg, const char *line);

static enum log_level current_level = LOG_QUIET;
static void (*writer)(void *arg, const char *line) = write_stderr;
static void *writer_arg;

/* One call, so that the lines of two processes do not mix. */
static void write_stderr(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

void log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level log_level(void)
{
	return current_level;
}

void log_set_writer(void (*write)(void *arg, const char *line), void *arg)
{
	writer = write != NULL ? write : write_stderr;
	writer_arg = arg;
}

/* Octets of the control character at `at`: C0, DEL, or C1 as UTF-8 writes it; else 0. A server's
 * text must not move the cursor of the terminal that shows it. */
static size_t control_length(struct slice s, size_t at)
{
	unsigned char c = (unsigned char)s.data[at];

	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c != 0xc2 || at + 1 == s.len)
		return 0;
	unsigned char next = (unsigned char)s.data[at + 1];
	return next >= 0x80 && next < 0xa0 ? 2 : 0;
}

static void add_visible(struct buf *out, struct slice s)
{
	size_t at = 0;

	while (at < s.len) {
		size_t control = control_length(s, at);
		if (control == 0)
			buf_add_char(out, s.data[at++]);
		for (; control > 0; control--)
			buf_addf(out, "\\x%02x", (unsigned char)s.data[at++]);
	}
}

static void add_who(struct buf *out, const char *who)
{
	if (who != NULL)
		add_visible(out, slice_of(who));
}

void log_line(enum log_level level, const char *who, const char *fmt, ...)
{
	struct buf line;
	va_list args;
	char *text;

	if (level > current_level)
		return;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	buf_init(&line, 0);
	add_who(&line, who);
	if (who != NULL)
		buf_add_str(&line, ": ");
	add_visible(&line, (struct slice){ text, (size_t)len });
	writer(writer_arg, buf_str(&line));
	buf_release(&line);
	free(text);
}

static struct slice without_line_end(struct slice line)
{
	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

void log_wire(const char *who, const char *dir, struct slice line)
{
	struct buf out;

	if (current_level < LOG_WIRE)
		return;
	line = without_line_end(line);
	size_t cut = line.len > WIRE_OCTETS ? line.len - WIRE_OCTETS : 0;
	buf_init(&out, 0);
	add_who(&out, who);
	buf_addf(&out, "%s%s: ", who != NULL ? " " : "", dir);
	add_visible(&out, (struct slice){ line.data, line.len - cut });
	if (cut > 0)
		buf_addf(&out, "... (%zu more)", cut);
	writer(writer_arg, buf_str(&out));
	buf_release(&out);
}
