/* Modified UTF-7 (RFC 3501 5.1.3), the form of mailbox names on the wire and of folder names in
 * Maildir++: printable ASCII stands for itself, '&' begins a run of UTF-16 in base 64 with ',' for
 * '/' and without padding, '-' ends it, "&-" is '&'. */
#include "mail/mail.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(uint32_t rune)
{
	return rune >= 0x20 && rune <= 0x7e;
}

size_t mail_utf8_next(struct slice in, uint32_t *rune)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (in.len == 0)
		return 0;
	unsigned char first = (unsigned char)in.data[0];
	if (first < 0x80) {
		*rune = first;
		return 1;
	}
	size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || in.len < len)
		return 0;
	uint32_t value = first & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)in.data[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | ((unsigned char)in.data[i] & 0x3f);
	}
	if (value < lowest[len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*rune = value;
	return len;
}

static bool add_utf8(struct buf *out, uint32_t rune)
{
	char c[4];
	size_t len = 0;
	if (rune < 0x80) {
		c[len++] = (char)rune;
	} else if (rune < 0x800) {
		c[len++] = (char)(0xc0 | rune >> 6);
		c[len++] = (char)(0x80 | (rune & 0x3f));
	} else if (rune < 0x10000) {
		c[len++] = (char)(0xe0 | rune >> 12);
		c[len++] = (char)(0x80 | (rune >> 6 & 0x3f));
		c[len++] = (char)(0x80 | (rune & 0x3f));
	} else {
		c[len++] = (char)(0xf0 | rune >> 18);
		c[len++] = (char)(0x80 | (rune >> 12 & 0x3f));
		c[len++] = (char)(0x80 | (rune >> 6 & 0x3f));
		c[len++] = (char)(0x80 | (rune & 0x3f));
	}
	return buf_add(out, c, len);
}

/* Bits on their way into or out of a run. */
struct run {
	uint32_t bits;
	unsigned count;
};

static bool add_unit(struct run *r, uint32_t unit, struct buf *out)
{
	r->bits = r->bits << 16 | unit;
	for (r->count += 16; r->count >= 6; r->count -= 6)
		if (!buf_add_char(out, alphabet[r->bits >> (r->count - 6) & 63]))
			return false;
	r->bits &= (1u << r->count) - 1;
	return true;
}

static bool add_rune(struct run *r, uint32_t rune, struct buf *out)
{
	if (rune < 0x10000)
		return add_unit(r, rune, out);
	rune -= 0x10000;
	return add_unit(r, 0xd800 | rune >> 10, out) && add_unit(r, 0xdc00 | (rune & 0x3ff), out);
}

static bool end_run(struct run *r, struct buf *out)
{
	if (r->count > 0 && !buf_add_char(out, alphabet[r->bits << (6 - r->count) & 63]))
		return false;
	*r = (struct run){ 0 };
	return buf_add_char(out, '-');
}

static bool encode(struct slice in, struct buf *out)
{
	struct run run = { 0 };
	bool inside = false;
	while (in.len > 0) {
		uint32_t rune;
		size_t len = mail_utf8_next(in, &rune);
		if (len == 0 || rune == 0)
			return false;
		in.data += len;
		in.len -= len;
		if (is_direct(rune) == inside) {
			if (!(inside ? end_run(&run, out) : buf_add_char(out, '&')))
				return false;
			inside = !inside;
		}
		if (inside ? !add_rune(&run, rune, out)
			   : !(buf_add_char(out, (char)rune) && (rune != '&' || buf_add_char(out, '-'))))
			return false;
	}
	return !inside || end_run(&run, out);
}

/* One run, after its '&' and without its '-'. */
static bool decode_run(struct slice in, struct buf *out)
{
	struct run run = { 0 };
	uint32_t high = 0;
	for (size_t i = 0; i < in.len; i++) {
		const char *digit = in.data[i] != '\0' ? strchr(alphabet, in.data[i]) : NULL;
		if (digit == NULL)
			return false;
		run.bits = (run.bits << 6 | (uint32_t)(digit - alphabet)) & 0x3fffff;
		run.count += 6;
		if (run.count < 16)
			continue;
		run.count -= 16;
		uint32_t unit = run.bits >> run.count & 0xffff;
		bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
		if (unit == 0 || is_low != (high != 0))
			return false;
		if (unit >= 0xd800 && unit <= 0xdbff) {
			high = unit;
			continue;
		}
		uint32_t rune = is_low ? 0x10000 + ((high & 0x3ff) << 10) + (unit & 0x3ff) : unit;
		high = 0;
		if (!add_utf8(out, rune))
			return false;
	}
	return high == 0 && run.count < 6;
}

static bool decode(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++) {
		char c = in.data[i];
		if (c == '\0' || (unsigned char)c >= 0x80)
			return false;
		if (c != '&') {
			if (!buf_add_char(out, c))
				return false;
			continue;
		}
		const char *minus = memchr(in.data + i, '-', in.len - i);
		if (minus == NULL)
			return false;
		struct slice run = { in.data + i + 1, (size_t)(minus - in.data) - i - 1 };
		if (!(run.len == 0 ? buf_add_char(out, '&') : decode_run(run, out)))
			return false;
		i = (size_t)(minus - in.data);
	}
	return true;
}

bool mail_utf7_encode(struct slice in, struct buf *out)
{
	size_t before = out->len;
	bool done = encode(in, out);
	if (!done)
		buf_truncate(out, before);
	return done;
}

/* There is one canonical form of each name, the one that we would send. */
static bool is_canonical(struct slice in, struct slice decoded)
{
	struct buf again;
	buf_init(&again, 0);
	bool same = encode(decoded, &again) && again.len == in.len &&
		(in.len == 0 || memcmp(again.data, in.data, in.len) == 0);
	buf_release(&again);
	return same;
}

bool mail_utf7_decode(struct slice in, struct buf *out, bool *canonical)
{
	size_t before = out->len;
	if (!decode(in, out)) {
		buf_truncate(out, before);
		return false;
	}
	if (canonical != NULL) {
		struct slice decoded = { out->len > before ? out->data + before : "",
			out->len - before };
		*canonical = is_canonical(in, decoded);
	}
	return true;
}
