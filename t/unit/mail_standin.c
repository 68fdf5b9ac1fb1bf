/* Stand-ins: the message is taken apart again and compared. */
#include <stdlib.h>

#include "lib/tap.h"
#include "mail/mail.h"

#define SLICE(text) { text, sizeof text - 1 }

static void compose(struct slice header, const struct mail_standin_part *parts, size_t count, struct buf *out)
{
	struct mail_standin in = { .account = "home", .number = 4711, .size_bytes = 35651584, .header = header,
		.parts = parts, .part_count = count };
	buf_init(out, 0);
	mail_standin_compose(&in, out);
}

/* Takes what is before `mark`, and the mark. */
static struct slice take_until(struct slice *in, const char *mark)
{
	struct slice out = *in;
	const char *at = in->len > 0 ? memmem(in->data, in->len, mark, strlen(mark)) : NULL;
	if (at != NULL)
		out.len = (size_t)(at - in->data);
	size_t taken = out.len + (at != NULL ? strlen(mark) : 0);
	in->data += taken;
	in->len -= taken;
	return out;
}

static const char head[] = "X-Mailtide-Stand-In: m4711 35651584\r\nMIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=\"";

/* The header behind our fields, and the boundary with its dashes; both to be freed. */
static char *take_header(struct slice *message, char **mark)
{
	struct slice first = take_until(message, "boundary=\"");
	is_mem(first.data, first.len, head, sizeof head - 1 - strlen("boundary=\""), "our fields stand first");
	char *boundary = mem_copy_slice(take_until(message, "\"\r\n"));
	*mark = mem_printf("--%s", boundary);
	free(boundary);
	if (message->len > 1 && memcmp(message->data, "\r\n", 2) == 0) {
		take_until(message, "\r\n");
		return mem_copy("");
	}
	struct slice rest = take_until(message, "\r\n\r\n");
	struct slice with_end = { rest.data, rest.len + 2 };
	return mem_copy_slice(with_end);
}

static const struct {
	struct slice header;
	const char *want; /* what is left of it */
} headers[] = {
	{ SLICE(""), "" },
	{ SLICE("\r\n"), "" },
	{ SLICE("\r\nSubject: in body\r\n"), "" },
	{ SLICE("\n\n"), "" },
	{ SLICE("Subject: no end"), "Subject: no end\r\n" },
	{ SLICE("Subject: x\r"), "Subject: x \r\n" },
	{ SLICE("Subject: x\nFrom: a\n\nbody"), "Subject: x\r\nFrom: a\r\n" },
	{ SLICE("Subject: x\rContent-Type: text/evil\r\n\r\n"), "Subject: x Content-Type: text/evil\r\n" },
	{ SLICE("Subject: \0x\0\r\n\r\n"), "Subject: ?x?\r\n" },
	{ SLICE("Con\0tent-Type: text/html\r\n\r\n"), "Con?tent-Type: text/html\r\n" },
	{ SLICE(" boundary=evil\r\nSubject: x\r\n\r\n"), "Subject: x\r\n" },
	{ SLICE("\r boundary=evil\r\nSubject: x\r\n\r\n"), "Subject: x\r\n" },
	{ SLICE("content-TYPE: a\r\n\tb\r\n c\r\nX: y\r\n z\r\n\r\n"), "X: y\r\n z\r\n" },
	{ SLICE("Content-Type : a\r\nContent-\t: b\r\nContents: c\r\n\r\n"), "Contents: c\r\n" },
	{ SLICE("Mime-Version: 1.0\r\nLines: 7\r\nContent-Length: 9\r\nX-Lines: 3\r\n\r\n"), "X-Lines: 3\r\n" },
	{ SLICE("X-Mailtide-Stand-In: m1 2\r\nDKIM-Signature: a\r\n b=\r\n\r\n"), "DKIM-Signature: a\r\n b=\r\n" },
	{ SLICE("From ana Mon Jul 17\r\nno field\r\nSubject: x\r\n\r\n"),
		"From ana Mon Jul 17\r\nno field\r\nSubject: x\r\n" },
	{ SLICE("Subject: \303\244 \344\r\n  \r\n\r\n"), "Subject: \303\244 \344\r\n  \r\n" },
};

static void test_header(struct slice header, const char *want)
{
	struct buf out;
	char *mark;
	compose(header, NULL, 0, &out);
	struct slice message = buf_slice(&out);
	char *got = take_header(&message, &mark);
	is_str(got, want, "header of %zu octets: %.20s", header.len, header.data);
	struct slice none = take_until(&message, mark);
	is_int((long long)none.len, 0, "the first part follows");
	uint64_t number = 0;
	ok(mail_is_standin(buf_slice(&out), &number) && number == 4711, "recognized");
	free(got);
	free(mark);
	buf_release(&out);
}

static const char first_part[] = "\r\nContent-Type: text/plain; charset=utf-8\r\n"
	"Content-Transfer-Encoding: 8bit\r\n\r\n"
	"This is a stand-in: the whole message has 34 MB. Flag it, or run `mailtide fetch home m4711`, "
	"and it is replaced at the next sync.";

static const struct {
	struct slice mime, data;
	const char *want;
} bodies[] = {
	{ SLICE(""), SLICE(""), "\r\n\r\n" },
	{ SLICE("\r\n"), SLICE("x"), "\r\n\r\nx" },
	{ SLICE("Content-Type: text/plain\r\n\r\n"), SLICE("x\r\n"), "\r\nContent-Type: text/plain\r\n\r\nx\r\n" },
	{ SLICE(" evil\r\nSubject: x\r\nX\r\ncontent-type: a;\n\tb\nContent-ID: <x>"), SLICE("--\r\n\r\r\n\n."),
		"\r\ncontent-type: a;\r\n\tb\r\nContent-ID: <x>\r\n\r\n--\r\n\r\r\n\n." },
};
#define BODIES (sizeof bodies / sizeof *bodies)

static void test_parts(void)
{
	struct mail_standin_part parts[BODIES];
	struct buf out;
	char *mark;
	for (size_t i = 0; i < BODIES; i++)
		parts[i] = (struct mail_standin_part){ bodies[i].mime, bodies[i].data };
	compose(slice_of("Subject: x\r\n\r\n"), parts, BODIES, &out);
	struct slice message = buf_slice(&out);
	free(take_header(&message, &mark));
	take_until(&message, mark);
	char *next = mem_printf("\r\n%s", mark);
	struct slice part = take_until(&message, next);
	char *text = mem_printf("%s\r\n", first_part);
	is_mem(part.data, part.len, text, strlen(text), "the text");
	for (size_t i = 0; i < BODIES; i++) {
		part = take_until(&message, next);
		is_mem(part.data, part.len, bodies[i].want, strlen(bodies[i].want), "part %zu", i + 1);
	}
	is_mem(message.data, message.len, "--\r\n", 4, "the end");
	free(text);
	free(next);
	free(mark);
	buf_release(&out);
}

/* A sender who knows what boundary the last message had. */
static void test_boundary_inside(void)
{
	struct mail_standin_part part = { .data = SLICE("x") };
	struct buf out, again;
	char *mark, *other;
	compose(slice_of("X: y\r\n"), &part, 1, &out);
	compose(slice_of("X: y\r\n"), &part, 1, &again);
	is_mem(again.data, again.len, out.data, out.len, "the same twice");
	buf_release(&again);
	struct slice message = buf_slice(&out);
	free(take_header(&message, &mark));
	char *evil = mem_printf("\r\n%s--\r\nepilogue", mark);
	part.data = slice_of(evil);
	compose(slice_of("X: y\r\n"), &part, 1, &again);
	message = buf_slice(&again);
	free(take_header(&message, &other));
	ok(strcmp(mark, other) != 0, "another boundary");
	size_t seen = 0;
	while (message.len > 0)
		seen += take_until(&message, other).len > 0 || message.len > 0;
	is_int((long long)seen, 4, "it stands before each of two parts, and at the end");
	ok(memmem(again.data, again.len, evil, strlen(evil)) != NULL, "the data is untouched");
	free(evil);
	free(mark);
	free(other);
	buf_release(&out);
	buf_release(&again);
}

static void test_large_header(char fill)
{
	struct buf header, out;
	buf_init(&header, 0);
	buf_add_str(&header, "Subject: ");
	memset(buf_reserve(&header, 1 << 20), fill, 1 << 20);
	buf_added(&header, 1 << 20);
	compose(buf_slice(&header), NULL, 0, &out);
	ok(out.len > 0 && mail_is_standin(buf_slice(&out), NULL), "1 MB of octet %d", fill);
	buf_release(&header);
	buf_release(&out);
}

/* What the text says of what is missing. */
static const struct {
	struct mail_part part;
	const char *want;
} missing[] = {
	{ { .type = "application", .subtype = "pdf", .filename = "report.pdf", .size_bytes = 34603008 },
		"report.pdf (application/pdf, 33 MB)" },
	{ { .type = "image", .subtype = "png", .size_bytes = 1023 }, "a part (image/png, 1023 octets)" },
	{ { .type = "image", .subtype = "png", .filename = "", .size_bytes = 1024 }, "a part (image/png, 1.0 KB)" },
	{ { .filename = "a\r\nb\t\x7f\x1b[1m", .size_bytes = 1048575 }, "a??b???[1m (/, 1.0 MB)" },
	{ { .type = "a\nb", .subtype = "\xff", .filename = "\303\244\344", .size_bytes = UINT64_MAX },
		"\303\244? (a?b/?, 16 EB)" },
	{ { .type = "a", .subtype = "b", .filename = "x\342\200\256fdp.exe\302\205" }, "x?fdp.exe? (a/b, 0 octets)" },
	{ { .type = "a", .subtype = "b",
		.filename = "0123456789012345678901234567890123456789012345678901234567890123456789" },
		"0123456789012345678901234567890123456789012345678901234567890123... (a/b, 0 octets)" },
};

static void test_missing(const struct mail_part *parts, size_t count, const char *want, const char *what)
{
	struct mail_standin in = { .account = "my `home`", .number = UINT64_MAX, .size_bytes = 1,
		.header = SLICE("X: y\r\n"), .missing = parts, .missing_count = count };
	struct buf out;
	buf_init(&out, 0);
	mail_standin_compose(&in, &out);
	char *sentence = mem_printf("run `mailtide fetch my `home` m18446744073709551615`, and it is replaced at the "
		"next sync. Left out: %s", want);
	ok(memmem(out.data, out.len, sentence, strlen(sentence)) != NULL, "%s", what);
	size_t longest = 0;
	for (struct slice rest = buf_slice(&out); rest.len > 0;) {
		struct slice line = take_until(&rest, "\r\n");
		longest = line.len > longest ? line.len : longest;
	}
	ok(longest <= 998, "no line is too long: %zu", longest);
	free(sentence);
	buf_release(&out);
}

static void test_many_missing(void)
{
	struct mail_part many[40];
	for (size_t i = 0; i < 40; i++)
		many[i] = missing[6].part;
	test_missing(many, 40, "0123456789", "40 are missing");
	test_missing(many, 16, "0123456789", "16 are missing");
	test_missing(NULL, 0, "all but the header.\r\n", "the structure was not read");
	struct mail_part two[] = { missing[0].part, missing[1].part };
	test_missing(two, 2, "report.pdf (application/pdf, 33 MB), a part (image/png, 1023 octets).\r\n", "two");
}

static const struct {
	const char *header;
	bool standin;
	uint64_t number;
} marks[] = {
	{ "", false, 0 },
	{ "X-Mailtide-Stand-In: m7 9", true, 7 },
	{ "Received: x\nx-mailtide-stand-in: m7 9\n\n", true, 7 },
	{ "Received: x\r\n\r\nX-Mailtide-Stand-In: m7 9\r\n", false, 0 },
	{ "X: y\r\n X-Mailtide-Stand-In: m7 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In: m7\r\n", false, 0 },
	{ "X-Mailtide-Stand-In: m7 9 \r\n", false, 0 },
	{ "X-Mailtide-Stand-In: 7 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In: m07 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In: m-7 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In:m7 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In : m7 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In: m18446744073709551615 0\r\n", true, UINT64_MAX },
	{ "X-Mailtide-Stand-In: m18446744073709551616 0\r\n", false, 0 },
	{ "X-Mailtide-Stand-In: m1 2\r\nX-Mailtide-Stand-In: m3 4\r\n", true, 1 },
	{ "Subject: X-Mailtide-Stand-In: m7 9\r\n", false, 0 },
	{ "X-Mailtide-Stand-In\r\n", false, 0 },
};

static void test_mime(void)
{
	struct buf out;
	buf_init(&out, 0);
	mail_header_mime(slice_of("Content-Type: a\n b\nSubject: x\n y\nContent-Transfer-Encoding: 8bit\n\nContent-X: 1\n"),
		&out);
	is_str(buf_str(&out), "Content-Type: a\r\n b\r\nContent-Transfer-Encoding: 8bit\r\n", "the fields of the body");
	buf_release(&out);
}

int main(void)
{
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		test_header(headers[i].header, headers[i].want);
	test_parts();
	test_boundary_inside();
	test_large_header('x');
	test_large_header('\0');
	test_large_header('\r');
	test_large_header('\n');
	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
		test_missing(&missing[i].part, 1, missing[i].want, missing[i].want);
	test_many_missing();
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		uint64_t number = 0;
		ok(mail_is_standin(slice_of(marks[i].header), &number) == marks[i].standin &&
			number == marks[i].number, "mark: %s", marks[i].header);
	}
	test_mime();
	return done_testing();
}
