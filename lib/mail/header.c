/* Fields of a message's header. The header is hostile: fields are found and unfolded here, within
 * bounds, and only the value of a field that we want goes to libetpan's mailimf_*, as one line
 * without control characters, and without comments: its comment parser recurses. */
#include <stdlib.h>

#include <libetpan/mailimf.h>

#include "mail/mail_private.h"

#define HEADER_MAX (64 * 1024)
#define FIELD_MAX (8 * 1024)
#define ID_MAX 998 /* the longest line (RFC 5322 2.1.1) */

bool mail_next_line(struct slice *in, struct slice *line)
{
	if (in->len == 0)
		return false;
	const char *lf = memchr(in->data, '\n', in->len);
	line->data = in->data;
	line->len = lf != NULL ? (size_t)(lf - in->data) : in->len;
	size_t taken = line->len + (lf != NULL);
	if (lf != NULL && line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	in->data += taken;
	in->len -= taken;
	return true;
}

static bool is_folded(struct slice in)
{
	return in.len > 0 && (in.data[0] == ' ' || in.data[0] == '\t');
}

static void add_line(struct slice line, struct buf *value)
{
	size_t room = FIELD_MAX - value->len;
	buf_add(value, line.data, line.len < room ? line.len : room);
}

/* The next field: its name, and its value unfolded. A line that is no field is skipped; false where
 * the header ends. */
static bool next_field(struct slice *in, struct slice *name, struct buf *value)
{
	struct slice line;
	while (mail_next_line(in, &line) && line.len > 0) {
		const char *colon = memchr(line.data, ':', line.len);
		*name = (struct slice){ line.data, colon != NULL ? (size_t)(colon - line.data) : 0 };
		while (name->len > 0 && (name->data[name->len - 1] == ' ' || name->data[name->len - 1] == '\t'))
			name->len--;
		size_t skip = colon != NULL ? (size_t)(colon - line.data) + 1 : 0;
		buf_clear(value);
		add_line((struct slice){ line.data + skip, line.len - skip }, value);
		while (is_folded(*in) && mail_next_line(in, &line))
			add_line(line, value);
		if (name->len > 0)
			return true;
	}
	return false;
}

static void replace_controls(struct buf *value)
{
	for (size_t i = 0; i < value->len; i++)
		if ((unsigned char)value->data[i] < ' ' || value->data[i] == 0x7f)
			value->data[i] = ' ';
}

/* Comments (RFC 5322 3.2.2), which may nest, go away; so does one that never ends. Parentheses in <>
 * or in a quoted string are no comments. */
static void drop_comments(struct buf *value)
{
	size_t depth = 0, to = 0;
	bool quoted = false, bracketed = false;
	for (size_t i = 0; i < value->len; i++) {
		char c = value->data[i];
		if (c == '\\' && (quoted || depth > 0)) { /* a quoted pair */
			if (depth == 0)
				value->data[to++] = c;
			if (++i < value->len && depth == 0)
				value->data[to++] = value->data[i];
			continue;
		}
		if (depth == 0 && c == '"')
			quoted = !quoted;
		else if (depth == 0 && !quoted && (c == '<' || c == '>'))
			bracketed = c == '<';
		else if (c == '(' && !quoted && !bracketed)
			depth++;
		if (depth == 0)
			value->data[to++] = c;
		else if (c == ')')
			depth--;
	}
	buf_truncate(value, to);
}

static void make_plain(struct buf *value)
{
	replace_controls(value);
	drop_comments(value);
}

/* Without brackets mailimf takes all words together as one id. */
static bool is_words(const struct buf *value)
{
	const char *begin = value->data + strspn(value->data, " ");
	const char *gap = strchr(begin, ' ');
	return strchr(begin, '<') == NULL && gap != NULL && gap[strspn(gap, " ")] != '\0';
}

/* One id, in <> or bare. What cannot be read, or is two, is worse than none: it would be taken for
 * another message's identity. */
static char *message_id(const struct buf *value)
{
	size_t at = 0;
	char *id = NULL, *second = NULL;
	if (value->len == 0 || is_words(value) ||
		mailimf_msg_id_parse(value->data, value->len, &at, &id) != MAILIMF_NO_ERROR)
		return NULL;
	size_t rest = at;
	if (mailimf_msg_id_parse(value->data, value->len, &rest, &second) == MAILIMF_NO_ERROR) {
		free(second);
		free(id);
		return NULL;
	}
	char *copy = id[0] != '\0' && strlen(id) <= ID_MAX ? mem_copy(id) : NULL;
	free(id);
	return copy;
}

/* Years of two and three digits: RFC 5322 4.3. */
static int full_year(int year)
{
	return year < 0 ? -1 : year < 50 ? year + 2000 : year < 1000 ? year + 1900 : year;
}

static int64_t date(const struct buf *value)
{
	size_t at = 0;
	int64_t seconds;
	struct mailimf_date_time *t = NULL;
	if (value->len == 0 || mailimf_date_time_parse(value->data, value->len, &at, &t) != MAILIMF_NO_ERROR)
		return INT64_MIN;
	struct mail_date d = { full_year(t->dt_year), t->dt_month, t->dt_day, t->dt_hour, t->dt_min,
		t->dt_sec, t->dt_zone / 100 * 60 + t->dt_zone % 100 };
	mailimf_date_time_free(t);
	return mail_date_seconds(&d, &seconds) ? seconds : INT64_MIN;
}

void mail_header_parse(struct slice header, struct mail_header *out)
{
	struct slice name;
	struct buf value;
	size_t ids = 0, dates = 0;
	buf_init(&value, 0);
	*out = (struct mail_header){ .date = INT64_MIN };
	if (header.len > HEADER_MAX)
		header.len = HEADER_MAX;
	while (next_field(&header, &name, &value)) {
		if (slice_is_nocase(name, "Message-ID") && ids++ == 0) {
			make_plain(&value);
			out->message_id = message_id(&value);
		} else if (slice_is_nocase(name, "Date") && dates++ == 0) {
			make_plain(&value);
			out->date = date(&value);
		}
	}
	if (ids > 1) {
		free(out->message_id);
		out->message_id = NULL;
	}
	buf_release(&value);
}

void mail_header_release(struct mail_header *h)
{
	free(h->message_id);
	h->message_id = NULL;
}
