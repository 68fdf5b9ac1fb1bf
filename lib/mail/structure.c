/* BODYSTRUCTURE (RFC 9051 7.5.2). libetpan knows the grammar and the ways in which servers break it
 * (Exchange, Domino, Gmail), but it must not be given what it cannot bear: it reads on behind an open
 * parenthesis or quote, recurses as deep as the text nests, and wraps numbers at 32 bits. So the text
 * is first written anew, as one plain line: parentheses balanced and not deep, every string quoted
 * (a literal too: that part of libetpan's parser wants a stream), numbers held at 2^32 - 1.
 *
 * Its parser header is not installed, and body-level parsers are private to it; hence the prototype
 * below, and a whole FETCH response around the value. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <libetpan/mailimap_types.h>

#include "mail/mail_private.h"

#define TEXT_MAX (256 * 1024)
#define DEPTH_MAX 64
#define NUMBER_MAX "4294967295"

int mailimap_response_data_parse(mailstream *stream, MMAPString *text,
	struct mailimap_parser_context *context, size_t *at, struct mailimap_response_data **result,
	size_t progress_rate, progress_function *on_progress);

static struct slice rest(struct slice s, size_t skip)
{
	return (struct slice){ s.data + skip, s.len - skip };
}

static void add_quoted_char(struct buf *out, char c)
{
	if (c == '"' || c == '\\')
		buf_add_char(out, '\\');
	buf_add_char(out, (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
}

/* `in` begins with the quote. A backslash before anything else than a quote or itself is meant as one
 * (file names from Windows). */
static bool copy_quoted(struct slice *in, struct buf *out)
{
	buf_add_char(out, '"');
	for (*in = rest(*in, 1); in->len > 0; *in = rest(*in, 1)) {
		char c = in->data[0];
		if (c == '"') {
			*in = rest(*in, 1);
			return buf_add_char(out, '"');
		}
		if (c == '\\' && in->len > 1 && (in->data[1] == '"' || in->data[1] == '\\')) {
			*in = rest(*in, 1);
			c = in->data[0];
		}
		add_quoted_char(out, c);
	}
	return false;
}

/* `in` begins with "{12}", "{12+}" or "~{12}". */
static bool copy_literal(struct slice *in, struct buf *out)
{
	size_t len = 0;
	*in = rest(*in, in->data[0] == '~');
	if (in->len < 2 || in->data[0] != '{' || !isdigit((unsigned char)in->data[1]))
		return false;
	for (*in = rest(*in, 1); in->len > 0 && isdigit((unsigned char)in->data[0]); *in = rest(*in, 1))
		if ((len = len * 10 + (size_t)(in->data[0] - '0')) > TEXT_MAX)
			return false;
	if (in->len > 0 && in->data[0] == '+')
		*in = rest(*in, 1);
	if (in->len < 3 || memcmp(in->data, "}\r\n", 3) != 0 || in->len - 3 < len)
		return false;
	buf_add_char(out, '"');
	for (size_t i = 0; i < len; i++)
		add_quoted_char(out, in->data[3 + i]);
	*in = rest(*in, 3 + len);
	return buf_add_char(out, '"');
}

/* NIL, a number, or the atoms that Exchange writes where a string should stand. */
static bool copy_atom(struct slice *in, struct buf *out)
{
	size_t len = 0, digits = 0;
	while (len < in->len && (isalnum((unsigned char)in->data[len]) || strchr("-_.+/", in->data[len])))
		digits += isdigit((unsigned char)in->data[len++]) != 0;
	struct slice atom = { in->data, len };
	*in = rest(*in, len);
	if (len == digits && (len > 10 || (len == 10 && memcmp(atom.data, NUMBER_MAX, 10) > 0)))
		return buf_add_str(out, NUMBER_MAX);
	return len > 0 && buf_add_slice(out, atom);
}

static bool copy_mark(struct slice *in, struct buf *out)
{
	buf_add_char(out, in->data[0]);
	*in = rest(*in, 1);
	return true;
}

static bool copy_token(struct slice *in, size_t *depth, struct buf *out)
{
	switch (in->data[0]) {
	case '(':
		return ++*depth <= DEPTH_MAX && copy_mark(in, out);
	case ')':
		return (*depth)-- > 0 && copy_mark(in, out);
	case ' ':
		return copy_mark(in, out);
	case '"':
		return copy_quoted(in, out);
	case '{':
	case '~':
		return copy_literal(in, out);
	default:
		return copy_atom(in, out);
	}
}

/* The guard. False for what libetpan must not see. */
static bool make_plain(struct slice in, struct buf *out)
{
	size_t depth = 0;
	if (in.len == 0 || in.len > TEXT_MAX || in.data[0] != '(' || memchr(in.data, '\0', in.len) != NULL)
		return false;
	do
		if (!copy_token(&in, &depth, out))
			return false;
	while (depth > 0 && in.len > 0);
	return depth == 0 && in.len == 0;
}

static struct mailimap_response_data *parse_line(struct buf *line)
{
	struct mailimap_parser_context context = { 0 };
	struct mailimap_response_data *response = NULL;
	MMAPString text = { .str = line->data, .len = line->len, .allocated_len = line->len + 1, .fd = -1 };
	size_t at = 0;
	if (mailimap_response_data_parse(NULL, &text, &context, &at, &response, 0, NULL) != MAILIMAP_NO_ERROR)
		return NULL;
	return response;
}

static const struct mailimap_body *body_of(const struct mailimap_response_data *response)
{
	if (response->rsp_type != MAILIMAP_RESP_DATA_TYPE_MESSAGE_DATA)
		return NULL;
	const struct mailimap_msg_att *att = response->rsp_data.rsp_message_data->mdt_msg_att;
	if (att == NULL || clist_begin(att->att_list) == NULL)
		return NULL;
	const struct mailimap_msg_att_item *item = clist_content(clist_begin(att->att_list));
	if (item->att_type != MAILIMAP_MSG_ATT_ITEM_STATIC ||
		item->att_data.att_static->att_type != MAILIMAP_MSG_ATT_BODYSTRUCTURE)
		return NULL;
	return item->att_data.att_static->att_data.att_bodystructure;
}

/* What a walk through the tree gathers. */
struct walk {
	struct mail_part *parts;
	size_t count;
	unsigned groups; /* so many alternatives were met */
};

static char *lower(const char *text)
{
	char *copy = mem_copy(text != NULL ? text : "");
	for (char *p = copy; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static bool is_nocase(const char *text, const char *other)
{
	return text != NULL && strcasecmp(text, other) == 0;
}

static const char *encoding_name(const struct mailimap_body_fld_enc *encoding)
{
	switch (encoding != NULL ? encoding->enc_type : MAILIMAP_BODY_FLD_ENC_7BIT) {
	case MAILIMAP_BODY_FLD_ENC_8BIT:
		return "8bit";
	case MAILIMAP_BODY_FLD_ENC_BINARY:
		return "binary";
	case MAILIMAP_BODY_FLD_ENC_BASE64:
		return "base64";
	case MAILIMAP_BODY_FLD_ENC_QUOTED_PRINTABLE:
		return "quoted-printable";
	case MAILIMAP_BODY_FLD_ENC_OTHER:
		return encoding->enc_value;
	default:
		return "7bit";
	}
}

static const char *media_name(const struct mailimap_media_basic *media)
{
	switch (media->med_type) {
	case MAILIMAP_MEDIA_BASIC_APPLICATION:
		return "application";
	case MAILIMAP_MEDIA_BASIC_AUDIO:
		return "audio";
	case MAILIMAP_MEDIA_BASIC_IMAGE:
		return "image";
	case MAILIMAP_MEDIA_BASIC_MESSAGE:
		return "message";
	case MAILIMAP_MEDIA_BASIC_VIDEO:
		return "video";
	default:
		return media->med_basic_type;
	}
}

/* Sets the part's type, and returns the fields that all kinds share. */
static const struct mailimap_body_fields *read_type(const struct mailimap_body_type_1part *from,
	struct mail_part *part)
{
	if (from->bd_type == MAILIMAP_BODY_TYPE_1PART_TEXT) {
		part->type = lower("text");
		part->subtype = lower(from->bd_data.bd_type_text->bd_media_text);
		return from->bd_data.bd_type_text->bd_fields;
	}
	if (from->bd_type == MAILIMAP_BODY_TYPE_1PART_MSG) {
		part->type = lower("message");
		part->subtype = lower("rfc822");
		return from->bd_data.bd_type_msg->bd_fields;
	}
	const struct mailimap_media_basic *media = from->bd_data.bd_type_basic->bd_media_basic;
	part->type = lower(media_name(media));
	part->subtype = lower(media->med_subtype);
	return from->bd_data.bd_type_basic->bd_fields;
}

/* Without a disposition, what has a name is a file (RFC 2183 2.10 leaves it to the reader); a
 * disposition that nobody knows is an attachment (2.8). */
static void read_disposition(const struct mailimap_body_ext_1part *from,
	const struct mailimap_body_fields *fields, struct mail_part *part)
{
	const struct mailimap_body_fld_dsp *disposition = from != NULL ? from->bd_disposition : NULL;
	if (disposition != NULL)
		part->filename = mail_parameter(disposition->dsp_attributes, "filename");
	if (part->filename == NULL)
		part->filename = mail_parameter(fields->bd_parameter, "name");
	part->attachment = disposition != NULL ? !is_nocase(disposition->dsp_type, "inline")
		: part->filename != NULL;
}

static void add_part(struct walk *w, const struct mailimap_body_type_1part *from, const char *section,
	unsigned group)
{
	struct mail_part part = { .alternative = group != 0, .group = group };
	snprintf(part.section, sizeof part.section, "%s", section);
	const struct mailimap_body_fields *fields = read_type(from, &part);
	part.encoding = lower(encoding_name(fields->bd_encoding));
	part.size_bytes = fields->bd_size;
	char *charset = mail_parameter(fields->bd_parameter, "charset");
	part.charset = charset != NULL ? lower(charset) : NULL;
	free(charset);
	read_disposition(from->bd_ext_1part, fields, &part);
	w->parts = mem_grow(w->parts, w->count + 1, sizeof *w->parts);
	w->parts[w->count++] = part;
}

/* `section` is "" for the whole message, whose children are "1", "2"; alone it is "1" itself (RFC 9051
 * 6.4.5). A message within is a leaf: it is another's mail. False where a section has no room. */
static bool walk_body(struct walk *w, const struct mailimap_body *body, const char *section,
	unsigned group)
{
	if (body->bd_type == MAILIMAP_BODY_1PART) {
		add_part(w, body->bd_data.bd_body_1part, section[0] != '\0' ? section : "1", group);
		return true;
	}
	const struct mailimap_body_type_mpart *multipart = body->bd_data.bd_body_mpart;
	if (group == 0 && is_nocase(multipart->bd_media_subtype, "alternative"))
		group = ++w->groups;
	char child[sizeof w->parts->section];
	size_t n = 0;
	for (clistiter *i = clist_begin(multipart->bd_list); i != NULL; i = clist_next(i)) {
		const char *dot = section[0] != '\0' ? "." : "";
		int len = snprintf(child, sizeof child, "%s%s%zu", section, dot, ++n);
		if (len >= (int)sizeof child || !walk_body(w, clist_content(i), child, group))
			return false;
	}
	return true;
}

static int read_line(struct buf *line, struct mail_part **parts, size_t *count)
{
	struct walk w = { 0 };
	struct mailimap_response_data *response = parse_line(line);
	if (response == NULL)
		return -1;
	const struct mailimap_body *body = body_of(response);
	bool good = body != NULL && walk_body(&w, body, "", 0);
	mailimap_response_data_free(response);
	if (!good) {
		mail_parts_free(w.parts, w.count);
		return -1;
	}
	*parts = w.parts;
	*count = w.count;
	return 0;
}

int mail_structure_parse(struct slice bodystructure, struct mail_part **parts, size_t *count)
{
	struct buf line;
	buf_init(&line, 0);
	buf_add_str(&line, "* 1 FETCH (BODYSTRUCTURE ");
	bool good = make_plain(bodystructure, &line);
	buf_add_str(&line, ")\r\n");
	int result = good ? read_line(&line, parts, count) : -1;
	buf_release(&line);
	return result;
}

void mail_parts_free(struct mail_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(parts[i].type);
		free(parts[i].subtype);
		free(parts[i].charset);
		free(parts[i].encoding);
		free(parts[i].filename);
	}
	free(parts);
}

static bool is_text(const struct mail_part *part, const char *subtype)
{
	return !part->attachment && strcmp(part->type, "text") == 0 && strcmp(part->subtype, subtype) == 0;
}

/* The parts of one alternative stand together, since the outermost counts. */
static size_t group_end(const struct mail_part *parts, size_t count, size_t begin)
{
	size_t end = begin + 1;
	while (end < count && parts[end].alternative && parts[begin].alternative &&
		parts[end].group == parts[begin].group)
		end++;
	return end;
}

/* An empty one, or a line end alone, is what some newsletters put beside their HTML. */
static bool has_plain(const struct mail_part *parts, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		if (is_text(&parts[i], "plain") && parts[i].size_bytes > 2)
			return true;
	return false;
}

size_t mail_parts_texts(const struct mail_part *parts, size_t count, uint64_t max_octets, size_t chosen[],
	size_t max)
{
	size_t found = 0;
	for (size_t begin = 0, end; begin < count; begin = end) {
		end = group_end(parts, count, begin);
		bool html = !has_plain(parts, begin, end);
		for (size_t i = begin; i < end && found < max; i++) {
			bool fits = parts[i].size_bytes <= max_octets;
			if (!fits || !(is_text(&parts[i], "plain") || (html && is_text(&parts[i], "html"))))
				continue;
			max_octets -= parts[i].size_bytes;
			chosen[found++] = i;
		}
	}
	return found;
}
