/* Mailbox names between the wire and us. */
#include "lib/tap.h"
#include "imap/imap.h"

static const struct {
	const char *wire;
	bool utf8;
	const char *name; /* NULL: kept as it is on the wire */
} decoded[] = {
	{ "iNbOx", false, "INBOX" },
	{ "inbox", true, "INBOX" },
	{ "inbox/x", false, "inbox/x" },
	{ "", false, "" },
	{ "&", false, NULL },
	{ "&AOk", false, NULL },
	{ "&AEkATgBCAE8AWA-", false, NULL }, /* INBOX, so encoded */
	{ "&AGE-", false, NULL },
	{ "&AAA-", false, NULL },
	{ "caf\xc3\xa9", false, NULL },
	{ "caf&AOk-", false, "caf\xc3\xa9" },
	{ "a&-b", false, "a&b" },
	{ "caf\xc3\xa9", true, "caf\xc3\xa9" },
	{ "caf&AOk-", true, "caf&AOk-" },
	{ "caf\xc3", true, NULL },
	{ "\xc0\xaf", true, NULL },
	{ "[Gmail]/Entw&APw-rfe", false, "[Gmail]/Entw\xc3\xbcrfe" },
};

static const struct {
	const char *name;
	bool utf8;
	const char *wire;
} encoded[] = {
	{ "Inbox", false, "INBOX" },
	{ "inbox", true, "INBOX" },
	{ "a&b", false, "a&-b" },
	{ "a&b", true, "a&b" },
	{ "caf\xc3\xa9", false, "caf&AOk-" },
	{ "caf\xc3\xa9", true, "caf\xc3\xa9" },
	{ "caf\xc3", false, "caf\xc3" }, /* a name that is a wire form */
};

static void test_decode(void)
{
	for (size_t i = 0; i < sizeof decoded / sizeof *decoded; i++) {
		struct buf out;
		buf_init(&out, 0);
		buf_add_str(&out, "x");
		bool done = imap_name_decode(slice_of(decoded[i].wire), decoded[i].utf8, &out);
		is_int(done, decoded[i].name != NULL, "decode %s", decoded[i].wire);
		is_str(buf_str(&out) + 1, done ? decoded[i].name : "", "the name");
		buf_release(&out);
	}
}

static void test_encode(void)
{
	for (size_t i = 0; i < sizeof encoded / sizeof *encoded; i++) {
		struct buf out;
		buf_init(&out, 0);
		imap_name_encode(slice_of(encoded[i].name), encoded[i].utf8, &out);
		is_str(buf_str(&out), encoded[i].wire, "encode %s", encoded[i].name);
		buf_release(&out);
	}
}

int main(void)
{
	struct buf out;
	test_decode();
	test_encode();
	buf_init(&out, 0);
	ok(!imap_name_decode((struct slice){ "a\0b", 3 }, false, &out), "NUL");
	ok(!imap_name_decode((struct slice){ "a\0b", 3 }, true, &out), "NUL in UTF-8");
	is_int(out.len, 0, "nothing was added");
	buf_release(&out);
	return done_testing();
}
