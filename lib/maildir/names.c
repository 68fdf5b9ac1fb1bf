/* What folder a mailbox has (L4). A mailbox name is hostile input, so safety and uniqueness do not
 * rest on the absence of odd names but on one escape character: '%' never stands for itself, hence
 * what begins with it ("%2E", "%_", "%~") can be made by nobody but us.
 *
 * The inverse is held to be one by construction: it undoes what it understands, and then asks
 * whether the result would get just this folder. */
#include <ctype.h>
#include <locale.h>
#include <wctype.h>

#include "maildir/maildir_private.h"
#include "mail/mail.h"

#define PART_MAX 200 /* octets of a part on disk; file systems take 255 */
#define NESTED_MAX 900
#define PLUS_MAX 240 /* the whole folder is one part */
#define HASH_DIGITS 32 /* of SHA-256: 128 bits, so that nobody makes two names meet */

static bool is_inbox(const char *mailbox)
{
	return strcasecmp(mailbox, "INBOX") == 0;
}

static void add_escaped(const char *data, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++)
		buf_addf(out, "%%%02X", (unsigned char)data[i]);
}

static void add_hash(const char *name, size_t len, struct buf *out)
{
	uint8_t hash[MAIL_HASH_SIZE];
	char hex[2 * MAIL_HASH_SIZE + 1];
	struct mail_hash *h = mail_hash_new();
	mail_hash_add(h, name, len);
	mail_hash_take(h, hash);
	mail_hash_free(h);
	mail_hash_hex(hash, hex);
	buf_add_str(out, "%~");
	buf_add(out, hex, HASH_DIGITS);
}

/* Whether a part would mean something else than a mailbox where it stands. */
static bool is_reserved(enum maildir_layout layout, struct slice part, bool top)
{
	if (top && slice_is_nocase(part, "INBOX") && !slice_is(part, "INBOX"))
		return true;
	if (layout == MAILDIR_PLUS)
		return top && slice_starts_nocase(part, "mailtide");
	return slice_is(part, "cur") || slice_is(part, "new") || slice_is(part, "tmp");
}

/* The first character: how long it is, and whether it must be written as %XX. */
static size_t next_character(enum maildir_layout layout, struct slice rest, bool first, bool *escape)
{
	uint32_t rune;
	size_t len = mail_utf8_next(rest, &rune);
	*escape = len == 0 || rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == '%' ||
		rune == '/' || (rune == '.' && (first || layout == MAILDIR_PLUS));
	return len > 0 ? len : 1;
}

/* One part in UTF-8, escaped. */
static void escape_part(enum maildir_layout layout, struct slice part, bool top, struct buf *out)
{
	if (part.len == 0)
		buf_add_str(out, "%_");
	bool reserved = is_reserved(layout, part, top);
	for (size_t i = 0; i < part.len;) {
		struct slice rest = { part.data + i, part.len - i };
		bool escape;
		size_t len = next_character(layout, rest, i == 0, &escape);
		if (escape || (reserved && i == 0))
			add_escaped(rest.data, len, out);
		else
			buf_add(out, rest.data, len);
		i += len;
	}
}

/* From UTF-8 to the form on disk. */
static void encode_part(enum maildir_layout layout, struct slice escaped, struct buf *out)
{
	if (layout == MAILDIR_PLUS)
		INVARIANT(mail_utf7_encode(escaped, out));
	else
		buf_add_slice(out, escaped);
}

static size_t encoded_size(enum maildir_layout layout, struct slice escaped)
{
	struct buf b;
	buf_init(&b, 0);
	encode_part(layout, escaped, &b);
	size_t size = b.len;
	buf_release(&b);
	return size;
}

/* How much of an escaped part fits into `max` octets on disk, whole characters and escapes. */
static struct slice cut_part(enum maildir_layout layout, struct slice escaped, size_t max)
{
	struct slice head = { escaped.data, 0 };
	for (;;) {
		struct slice rest = { escaped.data + head.len, escaped.len - head.len };
		uint32_t rune;
		size_t len = rest.len > 2 && rest.data[0] == '%' ? 3 : mail_utf8_next(rest, &rune);
		struct slice longer = { escaped.data, head.len + len };
		if (len == 0 || encoded_size(layout, longer) > max)
			return head;
		head = longer;
	}
}

/* One part as it stands on disk. `name` is the mailbox's up to the part's end: its hash stands for
 * what is cut off. */
static void add_part(enum maildir_layout layout, struct slice name, struct slice part, struct buf *out)
{
	struct buf escaped;
	buf_init(&escaped, 0);
	escape_part(layout, part, part.data == name.data, &escaped);
	size_t before = out->len;
	encode_part(layout, buf_slice(&escaped), out);
	if (out->len - before > PART_MAX) {
		buf_truncate(out, before);
		encode_part(layout, cut_part(layout, buf_slice(&escaped), PART_MAX - 2 - HASH_DIGITS),
			out);
		add_hash(name.data, name.len, out);
	}
	buf_release(&escaped);
}

static void add_parts(enum maildir_layout layout, const char *mailbox, char delimiter, struct buf *out)
{
	const char *begin = mailbox;
	for (;;) {
		const char *end = delimiter != '\0' ? strchr(begin, delimiter) : NULL;
		size_t len = end != NULL ? (size_t)(end - begin) : strlen(begin);
		if (layout == MAILDIR_PLUS)
			buf_add_char(out, '.');
		else if (begin != mailbox)
			buf_add_char(out, '/');
		struct slice name = { mailbox, (size_t)(begin - mailbox) + len };
		add_part(layout, name, (struct slice){ begin, len }, out);
		if (end == NULL)
			return;
		begin = end + 1;
	}
}

bool maildir_folder_name(enum maildir_layout layout, const char *mailbox, char delimiter,
	struct buf *out)
{
	if (mailbox[0] == '\0')
		return false;
	if (is_inbox(mailbox)) {
		buf_add_str(out, layout == MAILDIR_NESTED ? "INBOX" : "");
		return true;
	}
	size_t before = out->len;
	add_parts(layout, mailbox, delimiter, out);
	if (out->len - before > (layout == MAILDIR_NESTED ? NESTED_MAX : PLUS_MAX)) {
		buf_truncate(out, before);
		buf_add_str(out, layout == MAILDIR_PLUS ? "." : "");
		add_hash(mailbox, strlen(mailbox), out);
	}
	return true;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes the escapes of one part. */
static bool unescape_part(struct slice part, struct buf *out)
{
	if (slice_is(part, "%_"))
		return true;
	for (size_t i = 0; i < part.len; i++) {
		if (part.data[i] != '%') {
			buf_add_char(out, part.data[i]);
			continue;
		}
		int high = i + 2 < part.len ? hex_value(part.data[i + 1]) : -1;
		int low = high >= 0 ? hex_value(part.data[i + 2]) : -1;
		if (low < 0)
			return false;
		buf_add_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

/* One part as it stands on disk. */
static bool decode_part(enum maildir_layout layout, struct slice part, struct buf *out)
{
	if (layout == MAILDIR_NESTED)
		return unescape_part(part, out);
	struct buf utf8;
	buf_init(&utf8, 0);
	bool good = mail_utf7_decode(part, &utf8, NULL) && unescape_part(buf_slice(&utf8), out);
	buf_release(&utf8);
	return good;
}

static bool decode_parts(enum maildir_layout layout, const char *folder, char delimiter,
	struct buf *out)
{
	const char separator = layout == MAILDIR_PLUS ? '.' : '/';
	if (layout == MAILDIR_PLUS && *folder++ != '.')
		return false;
	for (;;) {
		const char *end = strchr(folder, separator);
		size_t len = end != NULL ? (size_t)(end - folder) : strlen(folder);
		if (!decode_part(layout, (struct slice){ folder, len }, out))
			return false;
		if (end == NULL)
			return true;
		if (delimiter == '\0')
			return false;
		buf_add_char(out, delimiter);
		folder = end + 1;
	}
}

static bool has_folder(enum maildir_layout layout, const struct buf *mailbox, char delimiter,
	const char *folder)
{
	struct buf again;
	buf_init(&again, 0);
	bool same = strlen(buf_str(mailbox)) == mailbox->len &&
		maildir_folder_name(layout, buf_str(mailbox), delimiter, &again) &&
		strcmp(buf_str(&again), folder) == 0;
	buf_release(&again);
	return same;
}

bool maildir_mailbox_name(enum maildir_layout layout, const char *folder, char delimiter,
	struct buf *out)
{
	struct buf mailbox;
	buf_init(&mailbox, 0);
	bool good;
	if (strcmp(folder, layout == MAILDIR_NESTED ? "INBOX" : "") == 0)
		good = buf_add_str(&mailbox, "INBOX");
	else
		good = decode_parts(layout, folder, delimiter, &mailbox) &&
			has_folder(layout, &mailbox, delimiter, folder);
	good = good && buf_add_slice(out, buf_slice(&mailbox));
	buf_release(&mailbox);
	return good;
}

void maildir_folder_alternative(enum maildir_layout layout, const char *folder, unsigned n,
	struct buf *out)
{
	(void)layout;
	buf_addf(out, "%s%%~%u", folder, n);
}

/* glibc has this locale built in; where it is not to be had, only ASCII letters are compared without
 * case. */
static wint_t lower(uint32_t c)
{
	static locale_t utf8;

	if (utf8 == (locale_t)0)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (utf8 == (locale_t)0)
		return c < 128 ? (wint_t)tolower((int)c) : (wint_t)c;
	return towlower_l((wint_t)c, utf8);
}

/* What is not UTF-8 is taken octet by octet, out of the way of characters. */
static uint32_t next_char(struct slice *s)
{
	uint32_t rune;
	size_t len = mail_utf8_next(*s, &rune);

	if (len == 0) {
		rune = 0x110000 + (unsigned char)s->data[0];
		len = 1;
	}
	s->data += len;
	s->len -= len;
	return rune;
}

int maildir_folder_compare(const char *a, const char *b)
{
	struct slice x = slice_of(a), y = slice_of(b);

	while (x.len > 0 && y.len > 0) {
		wint_t p = lower(next_char(&x)), q = lower(next_char(&y));
		if (p != q)
			return p < q ? -1 : 1;
	}
	return (x.len > 0) - (y.len > 0);
}
