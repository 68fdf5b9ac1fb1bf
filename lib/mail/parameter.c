/* Parameters of Content-Type and Content-Disposition as BODYSTRUCTURE tells them: plain, in pieces
 * with percent signs (RFC 2231), or with encoded words, which no RFC allows there and everybody
 * writes. Servers hand them on as they stand in the message. */
#include <ctype.h>
#include <stdlib.h>

#include <libetpan/charconv.h>
#include <libetpan/mailimap_types.h>
#include <libetpan/mailmime_decode.h>

#include "mail/mail_private.h"

#define VALUE_MAX 1024
#define PIECES_MAX 32

/* NULL instead of an empty text. */
static char *text_or_null(char *text)
{
	if (text != NULL && text[0] != '\0')
		return text;
	free(text);
	return NULL;
}

/* The value of `name`, or NULL. */
static const char *find(const struct mailimap_body_fld_param *list, const char *name)
{
	for (clistiter *i = clist_begin(list->pa_list); i != NULL; i = clist_next(i)) {
		const struct mailimap_single_body_fld_param *p = clist_content(i);
		if (p->pa_name != NULL && p->pa_value != NULL && strcasecmp(p->pa_name, name) == 0)
			return p->pa_value;
	}
	return NULL;
}

static int hex(char c)
{
	return !isxdigit((unsigned char)c) ? -1
		: isdigit((unsigned char)c) ? c - '0'
		: tolower((unsigned char)c) - 'a' + 10;
}

static void add_percent(const char *text, struct buf *out)
{
	for (; *text != '\0'; text++) {
		int high = text[0] == '%' ? hex(text[1]) : -1;
		int low = high >= 0 ? hex(text[2]) : -1;
		int octet = high >= 0 && low >= 0 ? high * 16 + low : (unsigned char)*text;
		buf_add_char(out, octet != 0 ? (char)octet : '?');
		text += high >= 0 && low >= 0 ? 2 : 0;
	}
}

/* "charset'language'text": returns the text, and the charset where it is one. */
static const char *split_charset(const char *value, char charset[32])
{
	const char *first = strchr(value, '\'');
	const char *second = first != NULL ? strchr(first + 1, '\'') : NULL;
	charset[0] = '\0';
	if (second == NULL)
		return value;
	size_t len = (size_t)(first - value);
	if (len < 32 && strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") >= len) {
		memcpy(charset, value, len);
		charset[len] = '\0';
	}
	return second + 1;
}

static char *to_utf8(struct buf *value, const char *charset)
{
	char *converted = NULL;
	if (value->len > 0 && charset[0] != '\0' && strcasecmp(charset, "utf-8") != 0 &&
		charconv("utf-8", charset, value->data, value->len, &converted) == MAIL_CHARCONV_NO_ERROR) {
		buf_release(value);
		return text_or_null(converted);
	}
	return value->len > 0 ? buf_take(value) : NULL;
}

/* The pieces "name*0", "name*1*" and so on (RFC 2231 3); with `whole` only "name*". */
static char *extended(const struct mailimap_body_fld_param *list, const char *name, bool whole)
{
	struct buf value;
	char charset[32] = "";
	buf_init(&value, VALUE_MAX);
	for (unsigned n = 0; n < (whole ? 1 : PIECES_MAX); n++) {
		char *key = whole ? mem_printf("%s*", name) : mem_printf("%s*%u*", name, n);
		const char *piece = find(list, key);
		bool percent = piece != NULL;
		if (!percent && !whole) {
			key[strlen(key) - 1] = '\0';
			piece = find(list, key);
		}
		free(key);
		if (piece == NULL)
			break;
		if (percent && n == 0)
			piece = split_charset(piece, charset);
		if (percent)
			add_percent(piece, &value);
		else
			buf_add_str(&value, piece);
	}
	char *text = to_utf8(&value, charset);
	buf_release(&value);
	return text;
}

static char *decode_words(const char *value)
{
	char *decoded = NULL;
	size_t at = 0, len = strlen(value);
	if (strstr(value, "=?") == NULL || len > VALUE_MAX ||
		mailmime_encoded_phrase_parse("utf-8", value, len, &at, "utf-8", &decoded) != MAILIMF_NO_ERROR)
		return mem_copy(value);
	decoded = text_or_null(decoded);
	return decoded != NULL ? decoded : mem_copy(value);
}

char *mail_parameter(const struct mailimap_body_fld_param *list, const char *name)
{
	if (list == NULL || list->pa_list == NULL)
		return NULL;
	char *text = extended(list, name, true);
	if (text == NULL)
		text = extended(list, name, false);
	const char *plain = text == NULL ? find(list, name) : NULL;
	return plain != NULL && plain[0] != '\0' ? decode_words(plain) : text;
}
