/* A stand-in: what lies in the Maildir for a message that was too large to bring. It is the real
 * header, one part that says what is missing, and the texts that were fetched.
 *
 * Every octet but ours was written by a stranger, and the message must have the structure that we
 * gave it in every reader. So our fields stand first: a line in the header that is no field, which some
 * readers take for its end, cannot push them into the body. What a reader could take for a line end
 * (a bare CR or LF) or for the end of a text (NUL) does not survive in the header. The boundary holds
 * the digest of all that stands between boundaries, so that no sender can write it beforehand; that it
 * occurs nowhere is looked up all the same. It is a function of the content: composing again after a
 * crash gives the same file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/mail_private.h"

#define FIELD "X-Mailtide-Stand-In"
#define NAME_MAX_OCTETS 64
#define NAMED_MAX 16
#define LINE_MAX_OCTETS 900 /* 998 is the end (RFC 5322 2.1.1) */

/* A line without its end. */
static void add_clean_line(struct slice line, struct buf *out)
{
	for (size_t i = 0; i < line.len; i++) {
		char c = line.data[i];
		buf_add_char(out, c == '\0' ? '?' : c == '\r' ? ' ' : c);
	}
	buf_add_str(out, "\r\n");
}

static bool is_continuation(struct slice line)
{
	return line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');
}

/* The name of the field that begins on this line; empty where none does. */
static struct slice field_name(struct slice line)
{
	const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
	struct slice name = { line.data, colon != NULL ? (size_t)(colon - line.data) : 0 };
	while (name.len > 0 && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t'))
		name.len--;
	return name;
}

/* Fields that speak of the body. */
static bool is_content(struct slice name)
{
	return slice_starts_nocase(name, "Content-");
}

static bool is_replaced(struct slice name)
{
	return is_content(name) || slice_is_nocase(name, "MIME-Version") || slice_is_nocase(name, "Lines") ||
		slice_is_nocase(name, FIELD);
}

enum take { TAKE_CONTENT, TAKE_REST };

/* Copies either the fields that speak of the body, or all but those. Classified is what was written,
 * not what came: a name must not become another one by being cleaned. */
static void copy_fields(struct slice in, enum take take, struct buf *out)
{
	struct slice line;
	bool kept = false; /* nothing may continue the field that stands before what is copied */
	while (mail_next_line(&in, &line) && line.len > 0) {
		size_t begin = out->len;
		add_clean_line(line, out);
		struct slice clean = { out->data + begin, out->len - begin - 2 };
		if (!is_continuation(clean))
			kept = take == TAKE_CONTENT ? is_content(field_name(clean)) : !is_replaced(field_name(clean));
		if (!kept)
			buf_truncate(out, begin);
	}
}

void mail_header_mime(struct slice header, struct buf *out)
{
	copy_fields(header, TAKE_CONTENT, out);
}

/* Controls, and what turns the direction of writing or hides, so that a name cannot pretend to be
 * another, nor to be our text. */
static bool is_visible(uint32_t rune)
{
	return rune >= 0x20 && !(rune >= 0x7f && rune < 0xa0) && !(rune >= 0x200b && rune <= 0x200f) &&
		!(rune >= 0x2028 && rune <= 0x202e) && !(rune >= 0x2060 && rune <= 0x206f) && rune != 0xfeff &&
		rune != 0xad && rune != 0x61c && !(rune >= 0xfff9 && rune <= 0xfffb) && rune < 0xe0000;
}

/* At most NAME_MAX_OCTETS of a name that came from outside. */
static void add_name(const char *name, struct buf *out)
{
	struct slice in = slice_of(name);
	size_t begin = out->len;
	while (in.len > 0) {
		uint32_t rune;
		size_t len = mail_utf8_next(in, &rune);
		bool good = len > 0 && is_visible(rune);
		if (out->len - begin + (good ? len : 1) > NAME_MAX_OCTETS) {
			buf_add_str(out, "...");
			return;
		}
		buf_add(out, good ? in.data : "?", good ? len : 1);
		len += len == 0;
		in.data += len;
		in.len -= len;
	}
}

static void add_size(uint64_t octets, struct buf *out)
{
	static const char units[] = "KMGTPE";
	double n = (double)octets / 1024;
	size_t u = 0;
	if (octets < 1024) {
		buf_addf(out, "%u octets", (unsigned)octets);
		return;
	}
	for (; n >= 999.5 && units[u + 1] != '\0'; u++)
		n /= 1024;
	buf_addf(out, n < 9.95 ? "%.1f %cB" : "%.0f %cB", n, units[u]);
}

static void add_missing_part(const struct mail_part *part, struct buf *out)
{
	add_name(part->filename != NULL && part->filename[0] != '\0' ? part->filename : "a part", out);
	buf_add_str(out, " (");
	add_name(part->type != NULL ? part->type : "", out);
	buf_add_char(out, '/');
	add_name(part->subtype != NULL ? part->subtype : "", out);
	buf_add_str(out, ", ");
	add_size(part->size_bytes, out);
	buf_add_char(out, ')');
}

/* The text's line is ended before a name that might make it too long. */
static void add_missing(const struct mail_standin *in, struct buf *out)
{
	size_t named = in->missing_count < NAMED_MAX ? in->missing_count : NAMED_MAX;
	size_t line = 0;
	for (size_t i = 0; i < named; i++) {
		bool full = out->len - line > LINE_MAX_OCTETS - 4 * NAME_MAX_OCTETS;
		buf_add_str(out, i == 0 ? " Left out: " : full ? ",\r\n" : ", ");
		line = full ? out->len : line;
		add_missing_part(&in->missing[i], out);
	}
	if (in->missing_count > named)
		buf_addf(out, " and %zu more", in->missing_count - named);
	if (in->missing_count > 0)
		buf_add_char(out, '.');
	else if (in->part_count == 0)
		buf_add_str(out, " Left out: all but the header.");
}

static void add_text(const struct mail_standin *in, struct buf *out)
{
	buf_add_str(out, "This is a stand-in: the whole message has ");
	add_size(in->size_bytes, out);
	buf_add_str(out, ". Flag it, or run `mailtide fetch ");
	add_name(in->account, out);
	buf_addf(out, " m%" PRIu64 "`, and it is replaced at the next sync.", in->number);
	add_missing(in, out); /* *out holds nothing else */
	buf_add_str(out, "\r\n");
}

/* What stands between the boundaries. The line end before a boundary is the boundary's (RFC 2046
 * 5.1.1), so that the data stays as it came. */
static void add_part(const struct mail_standin_part *part, struct buf *out)
{
	copy_fields(part->mime, TAKE_CONTENT, out);
	buf_add_str(out, "\r\n");
	buf_add_slice(out, part->data);
}

static bool occurs(struct slice in, const char *boundary)
{
	return in.len > 0 && memmem(in.data, in.len, boundary, strlen(boundary)) != NULL;
}

static bool occurs_anywhere(const struct mail_standin *in, struct slice header, struct slice text,
	const char *boundary)
{
	bool found = occurs(header, boundary) || occurs(text, boundary);
	for (size_t i = 0; i < in->part_count && !found; i++)
		found = occurs(in->parts[i].mime, boundary) || occurs(in->parts[i].data, boundary);
	return found;
}

/* "=_" can stand neither in base 64 nor in quoted-printable. */
static void choose_boundary(const struct mail_standin *in, struct slice header, struct slice text,
	char boundary[64])
{
	uint8_t digest[MAIL_HASH_SIZE];
	char digits[2 * MAIL_HASH_SIZE + 1];
	struct mail_hash *hash = mail_hash_new();
	do {
		mail_hash_add(hash, header.data, header.len);
		mail_hash_add(hash, text.data, text.len);
		for (size_t i = 0; i < in->part_count; i++) {
			mail_hash_add(hash, in->parts[i].mime.data, in->parts[i].mime.len);
			mail_hash_add(hash, in->parts[i].data.data, in->parts[i].data.len);
		}
		mail_hash_take(hash, digest);
		mail_hash_hex(digest, digits);
		snprintf(boundary, 64, "=_mailtide_%.32s", digits);
		mail_hash_add(hash, digest, sizeof digest); /* of the next round */
	} while (occurs_anywhere(in, header, text, boundary));
	mail_hash_free(hash);
}

static void add_message(const struct mail_standin *in, struct slice header, struct slice text,
	const char *boundary, struct buf *out)
{
	buf_addf(out, FIELD ": m%" PRIu64 " %" PRIu64 "\r\n", in->number, in->size_bytes);
	buf_addf(out, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n", boundary);
	buf_add_slice(out, header);
	buf_addf(out, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\n", boundary);
	buf_add_slice(out, text);
	for (size_t i = 0; i < in->part_count; i++) {
		buf_addf(out, "\r\n--%s\r\n", boundary);
		add_part(&in->parts[i], out);
	}
	buf_addf(out, "\r\n--%s--\r\n", boundary);
}

void mail_standin_compose(const struct mail_standin *in, struct buf *out)
{
	struct buf header, text;
	char boundary[64];
	buf_init(&header, 0);
	buf_init(&text, 0);
	copy_fields(in->header, TAKE_REST, &header);
	add_text(in, &text);
	choose_boundary(in, buf_slice(&header), buf_slice(&text), boundary);
	add_message(in, buf_slice(&header), buf_slice(&text), boundary, out);
	buf_release(&header);
	buf_release(&text);
}

/* Digits without a leading zero; false where there are none, or too many. */
static bool take_number(struct slice *in, uint64_t *number)
{
	size_t digits = 0;
	*number = 0;
	while (digits < in->len && in->data[digits] >= '0' && in->data[digits] <= '9') {
		uint64_t digit = (uint64_t)(in->data[digits++] - '0');
		if (*number > (UINT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	if (digits == 0 || (digits > 1 && in->data[0] == '0'))
		return false;
	in->data += digits;
	in->len -= digits;
	return true;
}

static bool take_char(struct slice *in, char c)
{
	if (in->len == 0 || in->data[0] != c)
		return false;
	in->data++;
	in->len--;
	return true;
}

bool mail_is_standin(struct slice header, uint64_t *number)
{
	struct slice line;
	while (mail_next_line(&header, &line) && line.len > 0) {
		struct slice name = field_name(line);
		if (!slice_is_nocase(name, FIELD))
			continue;
		struct slice value = { line.data + name.len, line.len - name.len };
		uint64_t found, size;
		if (!take_char(&value, ':') || !take_char(&value, ' ') || !take_char(&value, 'm') ||
			!take_number(&value, &found) || !take_char(&value, ' ') || !take_number(&value, &size) ||
			value.len > 0)
			return false;
		if (number != NULL)
			*number = found;
		return true;
	}
	return false;
}
