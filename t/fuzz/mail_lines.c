/* Line ends: the same in pieces as in whole, the same as octet by octet, and the file form goes back
 * to the wire form wherever the contract says so. The first octet is the size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "mail/mail.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool is_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void plainly(struct slice in, bool to_wire, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++) {
		bool after_cr = i > 0 && in.data[i - 1] == '\r';
		bool before_lf = i + 1 < in.len && in.data[i + 1] == '\n';
		if (to_wire && in.data[i] == '\n' && !after_cr)
			buf_add_char(out, '\r');
		if (to_wire || in.data[i] != '\r' || !before_lf)
			buf_add_char(out, in.data[i]);
	}
}

static bool in_pieces(struct slice in, size_t size, bool to_wire, struct buf *out)
{
	struct mail_lines state = { 0 };
	for (size_t at = 0; at < in.len; at += size) {
		struct slice piece = { in.data + at, in.len - at < size ? in.len - at : size };
		if (to_wire)
			mail_lines_to_wire(&state, piece, out);
		else
			mail_lines_to_file(&state, piece, at + size >= in.len, out);
	}
	return state.lossy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t piece = data[0] > 0 ? data[0] : 1;
	struct slice in = { (const char *)data + 1, size - 1 };
	struct buf file, want, back;
	buf_init(&file, 0);
	buf_init(&want, 0);
	buf_init(&back, 0);

	bool lossy = in_pieces(in, piece, false, &file);
	plainly(in, false, &want);
	check(is_same(&file, &want));

	in_pieces(buf_slice(&file), piece, true, &back);
	bool same = back.len == in.len && (in.len == 0 || memcmp(back.data, in.data, in.len) == 0);
	check(lossy != same);

	buf_clear(&want);
	buf_clear(&back);
	in_pieces(in, piece, true, &back);
	plainly(in, true, &want);
	check(is_same(&back, &want));

	buf_release(&file);
	buf_release(&want);
	buf_release(&back);
	return 0;
}
