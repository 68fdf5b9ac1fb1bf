/* Line ends in pieces, and the hash that is taken over them. */
#include "lib/tap.h"
#include "mail/mail.h"

static const struct {
	const char *wire, *file;
	const char *back; /* NULL where it is the wire form again */
} cases[] = {
	{ "", "", NULL },
	{ "a\r\nb\r\n", "a\nb\n", NULL },
	{ "\r\n\r\n", "\n\n", NULL },
	{ "a\rb", "a\rb", NULL },
	{ "a\r", "a\r", NULL },
	{ "\r\r\n", "\r\n", "\r\n" }, /* such a body's file form has a hash of its own */
	{ "\r\r\r", "\r\r\r", NULL },
	{ "a\nb", "a\nb", "a\r\nb" },
	{ "\n", "\n", "\r\n" },
	{ "a\r\n\r", "a\n\r", NULL },
	{ "\ra\r\n", "\ra\n", NULL },
	{ "a\r\n\nb", "a\n\nb", "a\r\n\r\nb" },
	{ "a\r\r\nb\r\n", "a\r\nb\n", "a\r\nb\r\n" },
};

typedef void convert(struct mail_lines *, struct slice, bool, struct buf *);

static void to_wire(struct mail_lines *state, struct slice in, bool last, struct buf *out)
{
	(void)last;
	mail_lines_to_wire(state, in, out);
}

/* In pieces of `size` octets; an empty piece in between must not matter. */
static void test_pieces(convert *f, const char *in, const char *want, size_t size, bool lossy)
{
	struct mail_lines state = { 0 };
	struct buf out;
	buf_init(&out, 0);
	for (size_t at = 0, len = strlen(in); at < len; at += size) {
		f(&state, (struct slice){ in + at, len - at < size ? len - at : size }, false, &out);
		f(&state, (struct slice){ NULL, 0 }, false, &out);
	}
	f(&state, (struct slice){ "", 0 }, true, &out);
	is_mem(out.data, out.len, want, strlen(want), "in pieces of %zu", size);
	ok(f == to_wire || !state.pending_cr, "nothing is left");
	if (f != to_wire)
		is_int(state.lossy, lossy, "and it is told whether it is lossy");
	buf_release(&out);
}

static void test_hash(void)
{
	uint8_t hash[MAIL_HASH_SIZE];
	char hex[65];
	struct mail_hash *h = mail_hash_new();
	mail_hash_take(h, hash);
	mail_hash_hex(hash, hex);
	is_str(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "of nothing");
	mail_hash_add(h, "a", 1);
	mail_hash_add(h, NULL, 0);
	mail_hash_add(h, "bc", 2);
	mail_hash_take(h, hash);
	mail_hash_hex(hash, hex);
	is_str(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "of abc, anew");
	mail_hash_free(h);
	mail_hash_free(NULL);
}

int main(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t size = 1; size < 4; size++) {
			bool lossy = cases[i].back != NULL;
			test_pieces(mail_lines_to_file, cases[i].wire, cases[i].file, size, lossy);
			test_pieces(to_wire, cases[i].file, lossy ? cases[i].back : cases[i].wire, size,
				lossy);
		}
	test_hash();
	return done_testing();
}
