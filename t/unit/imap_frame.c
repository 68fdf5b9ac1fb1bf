/* Responses out of bytes, however these arrive. */
#include <inttypes.h>
#include <stdlib.h>

#include "lib/tap.h"
#include "imap/frame.h"
#include "imap/resp.h"

/* What happened, as text: "[response]" and "{uid:octets.}" for a literal that was streamed, "!" for
 * one that was cut short, "?size?" for one thrown away. */
struct receiver {
	struct sink sink;
	struct buf out;
	unsigned asked; /* for literals */
};

static void on_write(struct sink *sink, const char *data, size_t len)
{
	struct receiver *r = (struct receiver *)sink;
	buf_add(&r->out, data, len);
}

static void on_end(struct sink *sink, int whole)
{
	struct receiver *r = (struct receiver *)sink;
	buf_add_str(&r->out, whole ? ".}" : "!}");
}

/* Bodies are streamed, what follows "DROP " is thrown away. */
static struct sink *on_literal(void *arg, struct slice text, uint64_t size, bool *skip)
{
	static const struct sink_ops ops = { on_write, on_end };
	struct receiver *r = arg;
	uint32_t uid;
	r->asked++;
	if (text.len > 5 && memcmp(text.data + text.len - 5, "DROP ", 5) == 0) {
		buf_addf(&r->out, "?%" PRIu64 "?", size);
		*skip = true;
		return NULL;
	}
	if (!resp_is_body(text, &uid))
		return NULL;
	buf_addf(&r->out, "{%" PRIu32 ":", uid);
	r->sink.ops = &ops;
	return &r->sink;
}

static const struct {
	const char *in, *want;
} rows[] = {
	{ "", "" },
	{ "\r\n\n\r\r\n", "[][][\r]" },
	{ "* OK a\n* OK b\r\n* OK c", "[* OK a][* OK b]" },
	{ "* 1 FETCH (BODY[] {5}\r\nab\r\nc UID 3)\r\n+ x\r\n",
		"{0:ab\r\nc.}[* 1 FETCH (BODY[] {5}\n UID 3)][+ x]" },
	{ "* 1 FETCH (UID 3 BODY[] {5}\r\n {3}\n)\r\n",
		"{3: {3}\n.}[* 1 FETCH (UID 3 BODY[] {5}\n)]" },
	{ "* 1 FETCH (UID 3 BODY[] ~{2+}\r\nab)\r\n", "{3:ab.}[* 1 FETCH (UID 3 BODY[] ~{2}\n)]" },
	{ "* 1 FETCH (UID 3 BODY[] {0}\r\n)\r\n", "{3:.}[* 1 FETCH (UID 3 BODY[] {0}\n)]" },
	{ "* 1 FETCH (UID 3 BODY[] {2}\r\na", "{3:a!}" },
	{ "* 1 FETCH (BODY[] {2}\r\nab BODY[] {3}\r\ncde)\r\n",
		"{0:ab.}[* 1 FETCH (BODY[] {2}\n BODY[] {3}\r\ncde)]" },
	{ "* 1 FETCH (DROP {3}\nabc X {2}\nde DROP {0}\r\n)\n",
		"?3??0?[* 1 FETCH (DROP {3}\n X {2}\r\nde DROP {0}\n)]" },
	{ "* 1 FETCH (BODY[HEADER.FIELDS (TO)] {4}\r\na\r\nb BODY[1]<0> {1}\r\nx UID 3)\r\n",
		"[* 1 FETCH (BODY[HEADER.FIELDS (TO)] {4}\r\na\r\nb BODY[1]<0> {1}\r\nx UID 3)]" },
	{ "* 1 FETCH (UID 3 BODY[1] {1}\r\nx BODY[] {1}\r\ny BODYSTRUCTURE (\"a\" {1}\nb))\r\n",
		"{3:y.}[* 1 FETCH (UID 3 BODY[1] {1}\r\nx BODY[] {1}\n BODYSTRUCTURE (\"a\" {1}\r\nb))]" },
	{ "* LIST () \"/\" {7}\r\nfoo {5}\r\n* X\r\n", "[* LIST () \"/\" {7}\r\nfoo {5}][* X]" },
	{ "* LIST () \"/\" {3}\na\nb\r\n", "[* LIST () \"/\" {3}\r\na\nb]" },
	{ "* X ({2}\r\nab {1}\r\nc)\r\n", "[* X ({2}\r\nab {1}\r\nc)]" },
	{ "* X {0}\r\n\r\n* Y\r\n", "[* X {0}\r\n][* Y]" },
	/* text, not literals */
	{ "* OK see {5}\r\n* X\r\n", "[* OK see {5}][* X]" },
	{ "a1 no [TRYCREATE] {5}\r\n* X\r\n", "[a1 no [TRYCREATE] {5}][* X]" },
	{ "* BYE {5}\r\n* X\r\n", "[* BYE {5}][* X]" },
	{ "+ {5}\r\n* X\r\n", "[+ {5}][* X]" },
	{ "+{5}\r\n* X\r\n", "[+{5}][* X]" },
	{ "{5}\r\n* X\r\n", "[{5}][* X]" },
	{ "* LIST () \"/\" foo{5}\r\n* X\r\n", "[* LIST () \"/\" foo{5}][* X]" },
	{ "* X {}\r\n* X {-1}\r\n* X { 5}\r\n* X {5 }\r\n* X {5} \r\n* X 5}\r\n",
		"[* X {}][* X {-1}][* X { 5}][* X {5 }][* X {5} ][* X 5}]" },
	/* a status response's code may have them */
	{ "a1 NO [BADCHARSET ({3}\r\na]b {1}\r\nc)] {5}\r\n* X\r\n",
		"[a1 NO [BADCHARSET ({3}\r\na]b {1}\r\nc)] {5}][* X]" },
	{ "* OKAY {2}\r\nab\r\n", "[* OKAY {2}\r\nab]" },
};

static void drain(struct frame *f, struct buf *in, struct receiver *r)
{
	struct slice response;
	int rc;
	while ((rc = frame_next(f, in, &response, NULL)) == 1) {
		buf_add_char(&r->out, '[');
		buf_add_slice(&r->out, response);
		buf_add_char(&r->out, ']');
	}
	if (rc < 0)
		buf_add_char(&r->out, '#');
	else if (in->len > 0)
		buf_add_str(&r->out, "<left in>");
}

/* The first piece is `first` octets, the others `step` octets each. */
static bool run(const char *text, size_t first, size_t step, const char *want)
{
	struct receiver r = { 0 };
	struct buf in;
	buf_init(&r.out, 0);
	buf_init(&in, 0);
	struct frame *f = frame_new(on_literal, &r);
	size_t len = strlen(text), n = first;
	for (size_t at = 0; at < len; at += n, n = step) {
		n = n < len - at ? n : len - at;
		buf_add(&in, text + at, n);
		drain(f, &in, &r);
	}
	frame_free(f);
	bool same = strcmp(buf_str(&r.out), want) == 0;
	if (!same)
		diag("pieces of %zu, %zu: %s", first, step, buf_str(&r.out));
	buf_release(&in);
	buf_release(&r.out);
	return same;
}

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].in);
		bool same = true;
		for (size_t split = 1; split <= len && same; split++)
			same = run(rows[i].in, split, len, rows[i].want) &&
				run(rows[i].in, split, 1, rows[i].want);
		ok(same, "%s", rows[i].in);
	}
}

/* All rows that end in order, in one stream. */
static void test_stream(void)
{
	struct buf in, want;
	buf_init(&in, 0);
	buf_init(&want, 0);
	for (size_t i = 1; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].in);
		if (rows[i].in[len - 1] == '\n') {
			buf_add_str(&in, rows[i].in);
			buf_add_str(&want, rows[i].want);
		}
	}
	bool same = true;
	for (size_t step = 1; step <= in.len && same; step++)
		same = run(buf_str(&in), step, step, buf_str(&want));
	ok(same, "one after the other in pieces of any size");
	buf_release(&in);
	buf_release(&want);
}

/* The response is given from where it stands. */
static void test_in_place(void)
{
	struct buf in;
	struct slice response;
	struct frame *f = frame_new(NULL, NULL);
	buf_init(&in, 0);
	buf_add_str(&in, "* X {3}\r\nabc\r\n* Y\r\n");
	const char *data = in.data;
	is_int(frame_next(f, &in, &response, NULL), 1, "a response");
	ok(response.data == data, "not copied");
	is_int(in.len, 5, "has left the buffer");
	is_int(frame_next(f, &in, &response, NULL), 1, "the last response");
	is_int(in.len, 0, "nothing is left");
	is_mem(response.data, response.len, "* Y", 3, "it is still there");
	frame_free(f);
	buf_release(&in);
}

/* Feeds `head`, then `fill` over and over, until something comes out. */
static int flood(const char *head, char fill, size_t piece, uint64_t pieces, struct err *err)
{
	struct receiver r = { 0 };
	struct frame *f = frame_new(on_literal, &r);
	struct buf in;
	struct slice response;
	int rc = 0;
	buf_init(&r.out, 0);
	buf_init(&in, 0);
	buf_add_str(&in, head);
	for (uint64_t i = 0; i < pieces && rc == 0; i++) {
		char *room = buf_reserve(&in, piece);
		memset(room, fill, piece);
		buf_added(&in, piece);
		rc = frame_next(f, &in, &response, err);
		buf_clear(&r.out);
	}
	frame_free(f);
	buf_release(&in);
	buf_release(&r.out);
	return rc;
}

static void test_limits(void)
{
	struct err err;
	is_int(flood("* X ", 'x', 65536, 255, &err), 0, "a long line");
	is_int(flood("* X ", 'x', 65536, 257, &err), -1, "a line that is too long");
	is_str(err.text, "the server sent a response of more than 16 MB", "names the limit");
	is_int(err.cls, ERR_LATER, "later");
	is_int(flood("* X ", 'x', 17 << 20, 1, &err), -1, "the same at once");
	is_int(flood("* X {1048576}\r\n", '\n', 1, 1, &err), 0, "a long literal");
	is_int(flood("* X {1048577}\r\n", '\n', 1, 1, &err), -1, "a literal too long for memory");
	is_str(err.text, "the server sent a literal of more than 1 MB that is no message",
		"names the limit");
	is_int(flood("* 1 FETCH (BODY[] {4294967296}\r\n", '\n', 65536, 1024, &err), 0,
		"a body of 4 GB");
	is_int(flood("* 1 FETCH (BODY[] {4294967297}\r\n", '\n', 1, 1, &err), -1, "one octet more");
	is_str(err.text, "the server announced a literal of more than 4 GB", "names the limit");
	is_int(flood("* 1 FETCH (BODY[] {18446744073709551616}\r\n", '\n', 1, 1, &err), -1,
		"beyond 64 bits");
}

static void test_literals_max(void)
{
	static const unsigned counts[] = { FRAME_LITERALS_MAX, FRAME_LITERALS_MAX + 1 };
	for (int i = 0; i < 2; i++) {
		struct frame *f = frame_new(NULL, NULL);
		struct buf in;
		struct slice response;
		struct err err;
		buf_init(&in, 0);
		buf_add_str(&in, "* X");
		for (unsigned n = 0; n < counts[i]; n++)
			buf_add_str(&in, " {0}\r\n");
		buf_add_str(&in, "\r\n");
		is_int(frame_next(f, &in, &response, &err), i == 0 ? 1 : -1, "%u literals", counts[i]);
		frame_free(f);
		buf_release(&in);
	}
}

/* A long response that comes one octet at a time: looked at once each, or this would not end. */
static void test_slow(void)
{
	struct frame *f = frame_new(NULL, NULL);
	struct buf in;
	struct slice response;
	int rc = 0;
	buf_init(&in, 0);
	for (size_t i = 0; i < 8 << 20 && rc == 0; i++) {
		buf_add_char(&in, 'x');
		rc = frame_next(f, &in, &response, NULL);
	}
	is_int(rc, 0, "8 MB, octet by octet");
	buf_add_char(&in, '\n');
	is_int(frame_next(f, &in, &response, NULL), 1, "then its end");
	is_int(response.len, 8 << 20, "all of it");
	frame_free(f);
	buf_release(&in);
}

int main(void)
{
	test_rows();
	test_stream();
	test_in_place();
	test_limits();
	test_literals_max();
	test_slow();
	return done_testing();
}
