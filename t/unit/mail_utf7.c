/* Modified UTF-7, both ways. */
#include "lib/tap.h"
#include "mail/mail.h"

static const struct {
	const char *utf8, *utf7;
} canonical[] = {
	{ "", "" },
	{ "INBOX", "INBOX" },
	{ "&", "&-" },
	{ "a&b&&c", "a&-b&-&-c" },
	{ "-", "-" },
	{ "\xc3\xa9-", "&AOk--" },
	{ "\xc3\xa9&", "&AOk-&-" },
	{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		"~peter/mail/&U,BTFw-/&ZeVnLIqe-" }, /* RFC 3501's own example */
	{ "\xf0\x9f\x98\x80", "&2D3eAA-" },
	{ "\xf4\x8f\xbf\xbf", "&2,,f,w-" }, /* U+10FFFF */
	{ "a\x01z", "a&AAE-z" },
	{ "\x7f", "&AH8-" },
	{ "Entw\xc3\xbcrfe", "Entw&APw-rfe" },
};

/* Understood, but never sent by us. */
static const struct {
	const char *utf7, *utf8;
} lenient[] = {
	{ "&AEE-", "A" },
	{ "&ACY-", "&" },
	{ "&Jjo-&Jjo-", "\xe2\x98\xba\xe2\x98\xba" },
	{ "a\tb", "a\tb" },
	{ "&AOl-", "\xc3\xa9" }, /* left-over bits that are not 0 */
};

static const struct {
	const char *name;
	const char *utf7;
	size_t len;
} refused[] = {
	{ "NUL", "a\0b", 3 },
	{ "encoded NUL", "&AAA-", 5 },
	{ "endless run", "&AOk", 4 },
	{ "lone ampersand", "a&", 2 },
	{ "eight bits", "\xc3\xa9", 2 },
	{ "slash in a run", "&U/BTFw-", 8 },
	{ "padding", "&AOk=-", 6 },
	{ "a digit too few", "&AO-", 4 },
	{ "a digit too many", "&AOkA-", 6 },
	{ "lone high surrogate", "&2D0-", 5 },
	{ "lone low surrogate", "&3gA-", 5 },
	{ "surrogates reversed", "&3gDYPQ-", 8 },
	{ "two high surrogates", "&2D3YPQ-", 8 },
};

static const char *const bad_utf8[] = {
	"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
	"a\xff", "\xe5\x8f",
};

int main(void)
{
	struct buf out;
	bool exact;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
		buf_clear(&out);
		ok(mail_utf7_encode(slice_of(canonical[i].utf8), &out), "encodes %s", canonical[i].utf7);
		is_str(buf_str(&out), canonical[i].utf7, "to %s", canonical[i].utf7);
		buf_clear(&out);
		ok(mail_utf7_decode(slice_of(canonical[i].utf7), &out, &exact) && exact,
			"%s is canonical", canonical[i].utf7);
		is_str(buf_str(&out), canonical[i].utf8, "and back");
	}
	for (size_t i = 0; i < sizeof lenient / sizeof *lenient; i++) {
		buf_clear(&out);
		ok(mail_utf7_decode(slice_of(lenient[i].utf7), &out, &exact) && !exact,
			"'%s' is understood, not canonical", lenient[i].utf7);
		is_str(buf_str(&out), lenient[i].utf8, "as meant");
	}
	buf_clear(&out);
	buf_add_str(&out, "kept");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ok(!mail_utf7_decode((struct slice){ refused[i].utf7, refused[i].len }, &out, NULL),
			"refuses %s", refused[i].name);
	for (size_t i = 0; i < sizeof bad_utf8 / sizeof *bad_utf8; i++)
		ok(!mail_utf7_encode(slice_of(bad_utf8[i]), &out), "refuses bad UTF-8 %zu", i);
	ok(!mail_utf7_encode((struct slice){ "a\0", 2 }, &out), "refuses NUL");
	is_str(buf_str(&out), "kept", "what was there stays");
	buf_release(&out);

	buf_init(&out, 4);
	ok(!mail_utf7_encode(slice_of("\xc3\xa9"), &out), "a ceiling holds");
	is_int(out.len, 0, "and leaves nothing behind");
	buf_release(&out);
	return done_testing();
}
