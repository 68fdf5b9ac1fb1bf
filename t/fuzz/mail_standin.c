/* Any bytes as a header, texts and names: what is composed has just the parts that it should have, each
 * with its data untouched. The input's pieces are parted by 0x1e: header, a name, then MIME header and
 * data in turn. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "mail/mail.h"

#define PARTS_MAX 8

static void check(int good)
{
	if (!good)
		abort();
}

static struct slice take_piece(struct slice *in)
{
	const char *end = in->len > 0 ? memchr(in->data, 0x1e, in->len) : NULL;
	struct slice piece = { in->data, end != NULL ? (size_t)(end - in->data) : in->len };
	size_t taken = piece.len + (end != NULL);
	*in = (struct slice){ in->data + taken, in->len - taken };
	return piece;
}

static size_t find(struct slice in, size_t at, const char *mark)
{
	const char *found = memmem(in.data + at, in.len - at, mark, strlen(mark));
	check(found != NULL);
	return (size_t)(found - in.data);
}

static int is_field(struct slice line)
{
	const char *end = memchr(line.data, '\n', line.len);
	return memchr(line.data, ':', end != NULL ? (size_t)(end - line.data) : line.len) != NULL;
}

/* No reader may see another header than ours. */
static void check_header(struct slice header)
{
	size_t types = 0;
	for (size_t i = 0; i < header.len; i++) {
		check(header.data[i] != '\0');
		check(header.data[i] != '\r' || header.data[i + 1] == '\n');
		check(header.data[i] != '\n' || header.data[i - 1] == '\r');
		struct slice line = { header.data + i, header.len - i };
		bool begins = i == 0 || header.data[i - 1] == '\n';
		types += begins && slice_starts_nocase(line, "Content-") && is_field(line);
	}
	check(types == 1);
}

static void check_message(struct slice m, const struct mail_standin *in)
{
	char boundary[80] = "\r\n--";
	uint64_t number;
	check(mail_is_standin(m, &number) && number == in->number);
	check(memchr(m.data, '\0', find(m, 0, "\r\n\r\n")) == NULL);
	size_t at = find(m, 0, "boundary=\"") + strlen("boundary=\"");
	size_t len = find(m, at, "\"") - at;
	check(len > 20 && len <= 70);
	memcpy(boundary + 4, m.data + at, len);
	boundary[4 + len] = '\0';
	size_t end = find(m, at + len, boundary + 4);
	check_header((struct slice){ m.data, end - 4 });
	at = end - 4;
	for (size_t i = 0; i <= in->part_count; i++) {
		at = find(m, at, boundary) + strlen(boundary);
		check(m.len - at > 2 && memcmp(m.data + at, "\r\n", 2) == 0);
		size_t next = find(m, at, boundary);
		struct slice data = i > 0 ? in->parts[i - 1].data : (struct slice){ ".\r\n", 3 };
		check(next - at >= data.len + 2 &&
			(data.len == 0 || memcmp(m.data + next - data.len, data.data, data.len) == 0));
		at = next;
	}
	check(m.len - at == strlen(boundary) + 4 && memcmp(m.data + m.len - 4, "--\r\n", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_standin_part parts[PARTS_MAX];
	struct buf out;
	char *copy = malloc(size > 0 ? size : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	struct slice rest = { copy, size };
	struct mail_standin in = { .account = "a", .number = size, .size_bytes = size * 1000, .parts = parts };
	in.header = take_piece(&rest);
	char *name = mem_copy_slice(take_piece(&rest));
	struct mail_part missing = { .type = name, .subtype = name, .filename = name, .size_bytes = size };
	in.missing = &missing;
	in.missing_count = 1;
	while (rest.len > 0 && in.part_count < PARTS_MAX) {
		parts[in.part_count].mime = take_piece(&rest);
		parts[in.part_count++].data = take_piece(&rest);
	}
	buf_init(&out, 0);
	mail_standin_compose(&in, &out);
	check_message(buf_slice(&out), &in);
	mail_is_standin((struct slice){ copy, size }, NULL);
	buf_release(&out);
	free(name);
	free(copy);
	return 0;
}
