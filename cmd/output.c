#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd.h"
#include "progress.h"
#include "mail/mail.h"

/* One process has one pair of outputs. */
static struct {
	bool quiet, json, terminal;
	unsigned verbose;
	int failed; /* errno of the first write that failed */
} out;

/* A line of the log; the progress line makes room. */
static void write_log(void *arg, const char *line)
{
	(void)arg;
	progress_erase();
	fprintf(stderr, "%s\n", line);
}

void output_init(void)
{
	out.terminal = isatty(STDOUT_FILENO);
	log_set_writer(write_log, NULL);
}

void output_set(unsigned verbose, bool quiet, bool json)
{
	out.verbose = quiet ? 0 : verbose;
	out.quiet = quiet;
	out.json = json;
	log_set_level(out.verbose > LOG_WIRE ? LOG_WIRE : (enum log_level)out.verbose);
}

bool output_is_json(void)
{
	return out.json;
}

bool output_is_quiet(void)
{
	return out.quiet;
}

bool output_tells_success(void)
{
	return !out.quiet && !out.json && (out.terminal || out.verbose > 0);
}

/* Line by line where somebody waits for each, else as the buffer fills. */
static void check_written(int result)
{
	if (result < 0 && out.failed == 0)
		out.failed = errno;
}

bool output_is_closed(void)
{
	return out.failed != 0;
}

void output_flush(void)
{
	check_written(fflush(stdout) == EOF ? -1 : 0);
}

int output_finish(int status)
{
	progress_erase();
	output_flush();
	if (out.failed == 0 || out.failed == EPIPE)
		return status;
	output_error(NULL, NULL, "cannot write to standard output: %s", strerror(out.failed));
	return status > CMD_RETRY ? status : CMD_RETRY;
}

/* Octets of the control character at the beginning: C0, DEL, or C1 as UTF-8 writes it; else 0. */
static size_t control_length(struct slice s)
{
	unsigned char c = (unsigned char)s.data[0];

	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c != 0xc2 || s.len == 1)
		return 0;
	return (unsigned char)s.data[1] >= 0x80 && (unsigned char)s.data[1] < 0xa0 ? 2 : 0;
}

void output_visible(struct buf *to, struct slice text)
{
	while (text.len > 0) {
		size_t control = control_length(text), n = control > 0 ? control : 1;
		for (size_t i = 0; i < n; i++) {
			if (control > 0)
				buf_addf(to, "%%%02X", (unsigned char)text.data[i]);
			else
				buf_add_char(to, text.data[i]);
		}
		text.data += n;
		text.len -= n;
	}
}

/* Messages */

static void print_message(const char *account, const char *mailbox, const char *text)
{
	struct buf line;

	buf_init(&line, 0);
	buf_add_str(&line, "mailtide: ");
	if (account)
		output_visible(&line, slice_of(account));
	if (account && mailbox) {
		buf_add_char(&line, '/');
		output_visible(&line, slice_of(mailbox));
	}
	if (account)
		buf_add_str(&line, ": ");
	output_visible(&line, slice_of(text));
	progress_erase();
	fprintf(stderr, "%s\n", buf_str(&line)); /* one write: standard error has no buffer */
	buf_release(&line);
}

static void object_note(const char *kind, const char *account, const char *mailbox,
	const char *text)
{
	json_t *o = output_object_new("note");

	json_object_set_new(o, "kind", json_string(kind));
	json_object_set_new(o, "account", output_text(account));
	json_object_set_new(o, "mailbox", output_text(mailbox));
	json_object_set_new(o, "text", output_text(text));
	output_object(o);
}

void output_error(const char *account, const char *mailbox, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	output_note(SYNC_FAILURE, account, mailbox, text);
}

void output_note(enum sync_note kind, const char *account, const char *mailbox, const char *text)
{
	static const char *const kinds[] = { "information", "warning", "failure" };

	if (kind == SYNC_FAILURE || (kind == SYNC_WARNING && !out.quiet) || out.verbose > 0)
		print_message(account, mailbox, text);
	if (out.json)
		object_note(kinds[kind], account, mailbox, text);
}

/* Data */

void output_line(const char *fmt, ...)
{
	va_list ap;

	if (out.json)
		return;
	if (out.terminal)
		progress_erase();
	va_start(ap, fmt);
	check_written(vprintf(fmt, ap));
	va_end(ap);
	check_written(putchar('\n') == EOF ? -1 : 0);
}

void output_object(json_t *object)
{
	char *text;

	if (out.json) {
		text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
		INVARIANT(text != NULL);
		if (out.terminal)
			progress_erase();
		check_written(puts(text) == EOF ? -1 : 0);
		free(text);
	}
	json_decref(object);
}

json_t *output_object_new(const char *type)
{
	json_t *o = json_object();

	INVARIANT(o != NULL);
	json_object_set_new(o, "type", json_string(type));
	return o;
}

json_t *output_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* jansson refuses what is no UTF-8, and takes the length for granted where there is a NUL. */
static json_t *text_mended(struct slice in)
{
	struct buf mended;
	json_t *string;

	buf_init(&mended, 0);
	while (in.len > 0) {
		uint32_t rune;
		size_t n = mail_utf8_next(in, &rune);
		if (n == 0)
			buf_add_str(&mended, "\xef\xbf\xbd");
		else
			buf_add(&mended, in.data, n);
		in.data += n > 0 ? n : 1;
		in.len -= n > 0 ? n : 1;
	}
	string = json_string(buf_str(&mended));
	buf_release(&mended);
	return string;
}

json_t *output_text(const char *text)
{
	json_t *string;

	if (!text)
		return json_null();
	string = json_string(text);
	return string ? string : text_mended(slice_of(text));
}

void output_size(uint64_t octets, char text[24])
{
	static const char units[] = "KMGTPE";
	double n = (double)octets / 1024;
	size_t u = 0;

	if (octets < 1024) {
		snprintf(text, 24, "%u octets", (unsigned)octets);
		return;
	}
	for (; n >= 1000 && units[u + 1]; u++)
		n /= 1024;
	snprintf(text, 24, n < 10 ? "%.1f %cB" : "%.0f %cB", n, units[u]);
}

void output_time(int64_t seconds, char text[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, 32, "-");
}
