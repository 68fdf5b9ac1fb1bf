/* A line becomes an action, or a sentence that says which field is wrong: people write these lines,
 * too. What a verb needs is not looked at here. */
#include "queue/queue_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NUMBER = 1, TIME, VERB, MAILBOX, MESSAGES, PAIRS };

static const char *const field_names[] = {
	[NUMBER] = "number", [TIME] = "time", [VERB] = "verb", [MAILBOX] = "mailbox",
	[MESSAGES] = "messages", [PAIRS] = "key=value",
};

static const char *field_name(int field)
{
	return field_names[field < PAIRS ? field : PAIRS];
}

#define SHOWN 40 /* octets of a bad text that a message quotes */

/* Not half a character. */
static int shown_length(struct slice text)
{
	size_t len = text.len;

	if (len > SHOWN)
		for (len = SHOWN; len > 0 && ((unsigned char)text.data[len] & 0xc0) == 0x80; len--)
			;
	return (int)len;
}

static int bad(struct err *err, int field, const char *why, struct slice text)
{
	int len = shown_length(text);

	return err_set(err, ERR_USER, ERR_MESSAGE, "field %d (%s): %s: \"%.*s%s\"", field,
		field_name(field), why, len, len > 0 ? text.data : "",
		text.len > SHOWN ? "..." : "");
}

bool queue_read_number(struct slice text, uint64_t max, uint64_t *number)
{
	uint64_t n = 0;

	if (text.len == 0 || (text.data[0] == '0' && text.len > 1))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)((unsigned char)text.data[i] - '0');
		if (digit > 9 || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (n > max)
		return false;
	*number = n;
	return true;
}

/* What stands before the next `separator`, which is taken, too; all where there is none. */
static struct slice split(struct slice *rest, char separator)
{
	struct slice part = *rest;
	const char *at = part.len > 0 ? memchr(part.data, separator, part.len) : NULL;

	if (at == NULL) {
		*rest = (struct slice){ part.data + part.len, 0 };
		return part;
	}
	part.len = (size_t)(at - part.data);
	*rest = (struct slice){ at + 1, rest->len - part.len - 1 };
	return part;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789ABCDEF", *lower = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	if (at != NULL)
		return (int)(at - digits);
	at = c != '\0' ? strchr(lower, c) : NULL;
	return at != NULL ? (int)(at - lower) : -1;
}

/* The octet of "%XX", 0 where it is none; %00 is none either. */
static char escaped_octet(struct slice text)
{
	if (text.len < 3)
		return '\0';
	int high = hex_digit(text.data[1]), low = hex_digit(text.data[2]);
	return high < 0 || low < 0 ? '\0' : (char)(high * 16 + low);
}

/* *out is the caller's to free; untouched on -1. */
static int unescape(int field, struct slice text, char **out, struct err *err)
{
	struct buf plain;

	buf_init(&plain, 0);
	while (text.len > 0) {
		const char *percent = memchr(text.data, '%', text.len);
		size_t len = percent != NULL ? (size_t)(percent - text.data) : text.len;
		buf_add(&plain, text.data, len);
		text = (struct slice){ text.data + len, text.len - len };
		if (percent == NULL)
			break;
		char c = escaped_octet(text);
		if (c == '\0') {
			text.len = text.len < 3 ? text.len : 3;
			buf_release(&plain);
			return bad(err, field, "no escape (% itself is %25)", text);
		}
		buf_add_char(&plain, c);
		text = (struct slice){ text.data + 3, text.len - 3 };
	}
	*out = buf_take(&plain);
	return 0;
}

static int parse_number(struct slice text, struct queue_action *a, struct err *err)
{
	if (slice_is(text, "-"))
		return 0;
	if (!queue_read_number(text, QUEUE_NUMBER_MAX, &a->number) || a->number == 0) {
		a->number = 0;
		return bad(err, NUMBER, "no number", text);
	}
	return 0;
}

static bool read_digits(const char *text, int count, int *out)
{
	*out = 0;
	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*out = *out * 10 + (text[i] - '0');
	}
	return true;
}

/* 2026-11-22T15:05:00Z */
bool queue_time_parse(struct slice text, int64_t *time)
{
	struct tm tm = { 0 };
	const char *t = text.data;

	if (text.len != 20 || t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' ||
		t[16] != ':' || t[19] != 'Z')
		return false;
	if (!read_digits(t, 4, &tm.tm_year) || !read_digits(t + 5, 2, &tm.tm_mon) ||
		!read_digits(t + 8, 2, &tm.tm_mday) || !read_digits(t + 11, 2, &tm.tm_hour) ||
		!read_digits(t + 14, 2, &tm.tm_min) || !read_digits(t + 17, 2, &tm.tm_sec))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	struct tm asked = tm;
	*time = timegm(&tm); /* moves 30 February into March */
	return *time >= 0 && tm.tm_mon == asked.tm_mon && tm.tm_mday == asked.tm_mday &&
		tm.tm_hour == asked.tm_hour && tm.tm_min == asked.tm_min &&
		tm.tm_sec == asked.tm_sec;
}

static int parse_time(struct slice text, struct queue_action *a, struct err *err)
{
	if (slice_is(text, "-"))
		return 0;
	if (!queue_time_parse(text, &a->time))
		return bad(err, TIME, "not of the form 2026-11-22T15:05:00Z", text);
	return 0;
}

static int parse_verb(struct slice text, struct queue_action *a, struct err *err)
{
	if (text.len == 0)
		return bad(err, VERB, "is empty", text);
	if (unescape(VERB, text, &a->verb_text, err) < 0)
		return -1;
	a->verb = queue_verb_of(slice_of(a->verb_text));
	return 0;
}

/* mN:UID:UIDVALIDITY; mN where a script knows no more; @N */
static bool read_message(struct slice text, struct queue_message *m)
{
	struct slice number = split(&text, ':');
	char kind = number.len > 0 ? number.data[0] : '\0';
	bool alone = text.data == number.data + number.len; /* no colon was taken */
	uint64_t uid;

	*m = (struct queue_message){ 0 };
	if (kind != 'm' && kind != '@')
		return false;
	number = (struct slice){ number.data + 1, number.len - 1 };
	if (kind == '@')
		return alone && queue_read_number(number, QUEUE_NUMBER_MAX, &m->action) &&
			m->action > 0;
	if (!queue_read_number(number, UINT64_MAX, &m->number) || m->number == 0)
		return false;
	if (alone)
		return true;
	if (!queue_read_number(split(&text, ':'), UINT32_MAX, &uid))
		return false;
	m->uid = (uint32_t)uid;
	return queue_read_number(text, UINT64_MAX, &m->uidvalidity);
}

static int parse_messages(struct slice text, struct queue_action *a, struct err *err)
{
	struct slice whole = text;

	if (text.len > 0 && text.data[text.len - 1] == ',')
		return bad(err, MESSAGES, "ends with a comma", text);
	while (text.len > 0) {
		struct slice one = split(&text, ',');
		struct queue_message m;
		if (!read_message(one, &m))
			return bad(err, MESSAGES, "neither mN:UID:UIDVALIDITY nor @N", one);
		if (a->message_count == QUEUE_MESSAGES_MAX)
			return bad(err, MESSAGES, "more than 100000", whole);
		queue_action_add_message(a, &m);
	}
	return 0;
}

static bool is_key(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return text.len > 0;
}

static int parse_pair(int field, struct slice text, struct queue_action *a, struct err *err)
{
	struct slice value = text, key = split(&value, '=');
	char *plain;

	if (key.len == text.len)
		return bad(err, field, "is not key=value", text);
	if (!is_key(key))
		return bad(err, field, "a key is made of a-z, 0-9 and -", key);
	if (a->pair_count == QUEUE_PAIRS_MAX)
		return bad(err, field, "more than 64 of them", text);
	if (unescape(field, value, &plain, err) < 0)
		return -1;
	char *name = mem_copy_slice(key);
	bool doubled = queue_action_get(a, name) != NULL;
	if (!doubled)
		queue_action_set(a, name, plain);
	free(name);
	free(plain);
	return doubled ? bad(err, field, "the key is there twice", key) : 0;
}

static int parse_field(int field, struct slice text, struct queue_action *a, struct err *err)
{
	if (text.len > 0 && memchr(text.data, '\r', text.len) != NULL)
		return bad(err, field, "has a CR; a line ends with LF alone, a CR in a value is %0D",
			text);
	switch (field) {
	case NUMBER:
		return parse_number(text, a, err);
	case TIME:
		return parse_time(text, a, err);
	case VERB:
		return parse_verb(text, a, err);
	case MAILBOX:
		return unescape(field, text, &a->mailbox, err);
	case MESSAGES:
		return parse_messages(text, a, err);
	default:
		return parse_pair(field, text, a, err);
	}
}

static int parse_fields(struct slice line, struct queue_action *a, struct err *err)
{
	int field = NUMBER;
	bool more = true;

	while (more) {
		struct slice before = line, text = split(&line, '\t');
		more = text.len < before.len;
		if (parse_field(field, text, a, err) < 0)
			return -1;
		field++;
	}
	if (field <= MESSAGES)
		return err_set(err, ERR_USER, ERR_MESSAGE, "field %d (%s) is missing", field,
			field_name(field));
	return 0;
}

int queue_action_parse(struct slice line, struct queue_action *a, struct err *err)
{
	struct queue_action parsed = { .verb = QUEUE_UNKNOWN };

	if (line.len == 0)
		line = slice_of("");
	if (line.len > QUEUE_LINE_MAX)
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line is longer than %zu octets",
			QUEUE_LINE_MAX);
	if (memchr(line.data, '\0', line.len) != NULL)
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line has a NUL in it");
	if (memchr(line.data, '\n', line.len) != NULL)
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line has a line end in it");
	if (parse_fields(line, &parsed, err) < 0) {
		queue_action_release(&parsed);
		return -1;
	}
	*a = parsed;
	return 0;
}
