#include "base/log.h"

#include <stdlib.h>

#include "base/buf.h"
#include "lib/tap.h"

static void keep_line(void *arg, const char *line)
{
	struct buf *lines = arg;

	buf_add_str(lines, line);
	buf_add_char(lines, '\n');
}

static struct buf lines;

static void said(const char *want, const char *what)
{
	is_str(buf_str(&lines), want, "%s", what);
	buf_clear(&lines);
}

static void test_levels(void)
{
	is_int(log_level(), LOG_QUIET, "quiet unless asked");
	log_line(LOG_STEPS, "work", "step");
	said("", "nothing is said when quiet");
	log_set_level(LOG_MOVES);
	is_int(log_level(), LOG_MOVES, "the level that was set");
	log_line(LOG_STEPS, "work", "step");
	log_line(LOG_MOVES, "work", "move");
	log_line(LOG_WIRE, "work", "wire");
	log_wire("work", "C", slice_of("A1 NOOP"));
	said("work: step\nwork: move\n", "up to the level");
}

static void test_line(void)
{
	static const struct {
		const char *who, *text, *want;
	} rows[] = {
		{ NULL, "", "\n" },
		{ NULL, "a", "a\n" },
		{ "", "a", ": a\n" },
		{ "work/INBOX", "3 new", "work/INBOX: 3 new\n" },
		{ "work/\x1b]0;x\a", "a", "work/\\x1b]0;x\\x07: a\n" },
		{ NULL, "a\r\nb\tc\x7f", "a\\x0d\\x0ab\\x09c\\x7f\n" },
		{ NULL, "Entw\xc3\xbcrfe \xe2\x82\xac", "Entw\xc3\xbcrfe \xe2\x82\xac\n" },
		{ NULL, "\xc2\x9bm \xc2\xa0", "\\xc2\\x9bm \xc2\xa0\n" },
		{ NULL, "\xc2", "\xc2\n" },
		{ NULL, "%s%n", "%s%n\n" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char what[16];
		snprintf(what, sizeof what, "row %zu", i);
		log_line(LOG_STEPS, rows[i].who, "%s", rows[i].text);
		said(rows[i].want, what);
	}
}

static void wire_of_length(size_t len, const char *tail)
{
	struct buf line, want;
	char what[40];

	buf_init(&line, 0);
	buf_init(&want, 0);
	buf_add_str(&want, "S: ");
	for (size_t i = 0; i < len; i++) {
		buf_add_char(&line, 'x');
		if (i < 400)
			buf_add_char(&want, 'x');
	}
	buf_addf(&want, "%s\n", tail);
	log_wire(NULL, "S", buf_slice(&line));
	snprintf(what, sizeof what, "a line of %zu octets", len);
	said(buf_str(&want), what);
	buf_release(&line);
	buf_release(&want);
}

static void test_wire(void)
{
	log_set_level(LOG_WIRE);
	log_wire("work#2", "C", slice_of("A1 NOOP"));
	said("work#2 C: A1 NOOP\n", "who and direction");
	log_wire(NULL, "S", slice_of("* OK\r\n"));
	said("S: * OK\n", "without the line's end");
	log_wire(NULL, "S", slice_of("* OK\n\r\n"));
	said("S: * OK\\x0a\n", "of which there is one");
	log_wire(NULL, "S", (struct slice){ "a\0b", 3 });
	said("S: a\\x00b\n", "NUL is shown");
	log_wire(NULL, "S", (struct slice){ NULL, 0 });
	said("S: \n", "an empty line");
	wire_of_length(399, "");
	wire_of_length(400, "");
	wire_of_length(401, "... (1 more)");
	wire_of_length(100000, "... (99600 more)");
}

int main(void)
{
	buf_init(&lines, 0);
	log_set_writer(keep_line, &lines);
	test_levels();
	test_line();
	test_wire();
	log_set_writer(NULL, NULL);
	log_set_level(LOG_QUIET);
	log_line(LOG_STEPS, NULL, "standard error would show this");
	said("", "the writer is taken away again");
	buf_release(&lines);
	return done_testing();
}
