/* The tokenizer. What servers send is taken as it comes: an atom is anything up to a space, a
 * control character or a parenthesis, so that "]" and "[" in flags (Q11), "\*" among them (Q78) and
 * 8-bit names need no cases of their own; spaces too many are no tokens (Q34, Q48, Q81). */
#include "imap/token.h"

#include <string.h>

/* What may stand in an atom; what ends one; what must be looked at. */
enum { PLAIN, DELIMITER, SECTION, LITERAL };

#define DELIMITERS8 1, 1, 1, 1, 1, 1, 1, 1
static const unsigned char classes[256] = {
	DELIMITERS8, DELIMITERS8, DELIMITERS8, DELIMITERS8, [' '] = DELIMITER, ['('] = DELIMITER,
	[')'] = DELIMITER, ['['] = SECTION, ['{'] = LITERAL, ['~'] = LITERAL, [0x7f] = DELIMITER,
};

static unsigned class_of(char c)
{
	return classes[(unsigned char)c];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
	unsigned char u = (unsigned char)c;
	return u <= ' ' || u == 0x7f;
}

/* ASCII only, whatever the locale says. */
#define SAME(c) (c), (c) + 1, (c) + 2, (c) + 3, (c) + 4, (c) + 5, (c) + 6, (c) + 7
#define SAME32(c) SAME(c), SAME((c) + 8), SAME((c) + 16), SAME((c) + 24)
const unsigned char token_upper[256] = {
	SAME32(0), SAME32(32), SAME32(64), 96, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K',
	'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 123, 124, 125, 126,
	127, SAME32(128), SAME32(160), SAME32(192), SAME32(224),
};

struct tokens tokens_of(struct slice text, struct buf *unescaped)
{
	const char *at = text.len > 0 ? text.data : "";
	return (struct tokens){ at, at + text.len, unescaped };
}

static void skip_space(struct tokens *t)
{
	while (t->at < t->end && is_space(*t->at))
		t->at++;
}

/* The number's length; 0 where there is none, or one that has more than 19 digits, which may be
 * beyond 64 bits. */
static size_t read_digits(const char *at, const char *end, uint64_t *number)
{
	const char *start = at;
	uint64_t value = 0;
	for (; at < end && is_digit(*at); at++)
		value = value * 10 + (uint64_t)(*at - '0');
	*number = value;
	return at - start <= 19 ? (size_t)(at - start) : 0;
}

bool token_to_number(struct slice text, uint64_t max, uint64_t *number)
{
	uint64_t value;
	size_t len = text.len > 0 ? read_digits(text.data, text.data + text.len, &value) : 0;
	if (len == 0 || len < text.len || value > max)
		return false;
	*number = value;
	return true;
}

bool token_literal(const char *at, const char *end, struct token_literal *literal)
{
	if (at == end || *at != '{')
		return false;
	const char *digits = ++at;
	while (at < end && is_digit(*at))
		at++;
	struct slice text = { digits, (size_t)(at - digits) };
	if (!token_to_number(text, UINT64_MAX, &literal->size))
		return false;
	if (at < end && (*at == '+' || *at == '-'))
		at++;
	if (at == end || *at++ != '}')
		return false;
	literal->streamed = at < end && *at == '\n';
	if (!literal->streamed && (at == end || *at++ != '\r'))
		return false;
	if (at == end || *at++ != '\n')
		return false;
	literal->data = at;
	return literal->streamed || literal->size <= (uint64_t)(end - at);
}

/* From behind the opening quote to behind the closing one. A line end can only be a literal's: the
 * quote was no quote, and nothing behind it can be trusted. */
static struct token read_quoted(struct tokens *t)
{
	struct token token = { .kind = TOKEN_STRING };
	const char *start = t->at;
	for (; t->at < t->end && *t->at != '"' && *t->at != '\n'; t->at++) {
		if (*t->at == '\\' && t->end - t->at > 1 && t->at[1] != '\n') {
			token.escaped = true;
			t->at++;
		}
	}
	if (t->at == t->end || *t->at == '\n')
		return (struct token){ .kind = TOKEN_END };
	token.text = (struct slice){ start, (size_t)(t->at++ - start) };
	return token;
}

/* A literal, also where no space stands before it ("BODY[]{5}"): wherever the framer has seen one, its
 * octets must never be read as anything else. */
static bool is_literal(const struct tokens *t, struct token_literal *literal)
{
	return token_literal(t->at + (*t->at == '~'), t->end, literal);
}

static void pass_plain(struct tokens *t)
{
	const char *at = t->at;
	while (at < t->end && class_of(*at) == PLAIN)
		at++;
	t->at = at;
}

/* Passes an atom; true where it ended at the "[" of a section. */
static bool pass_atom(struct tokens *t, bool sections)
{
	struct token_literal literal;
	for (pass_plain(t); t->at < t->end; pass_plain(t)) {
		unsigned class = class_of(*t->at);
		if (class == DELIMITER || (class == LITERAL && is_literal(t, &literal)))
			return false;
		if (class == SECTION && sections)
			return true;
		t->at++;
	}
	return false;
}

static struct slice read_atom(struct tokens *t)
{
	const char *start = t->at;
	pass_atom(t, false);
	return (struct slice){ start, (size_t)(t->at - start) };
}

static struct token pass_literal(struct tokens *t, const struct token_literal *literal)
{
	t->at = literal->data;
	if (literal->streamed)
		return (struct token){ .kind = TOKEN_STREAMED, .size = literal->size };
	t->at += (size_t)literal->size;
	return (struct token){ .kind = TOKEN_STRING,
		.text = { literal->data, (size_t)literal->size } };
}

/* The text of a string with backslashes stays raw. */
static struct token next_raw(struct tokens *t)
{
	skip_space(t);
	if (t->at == t->end)
		return (struct token){ .kind = TOKEN_END };
	const char *start = t->at;
	if (*start == '(' || *start == ')') {
		t->at++;
		return (struct token){ .kind = *start == '(' ? TOKEN_OPEN : TOKEN_CLOSE };
	}
	if (*start == '"') {
		t->at++;
		return read_quoted(t);
	}
	struct token_literal literal;
	if (class_of(*start) == LITERAL && is_literal(t, &literal))
		return pass_literal(t, &literal);
	return (struct token){ .kind = TOKEN_ATOM, .text = read_atom(t) };
}

/* A backslash before anything else than a quote or a backslash stands for itself: InterMail sends
 * "\Seen" in quotes (Q84). */
static struct slice unescape(struct tokens *t, struct slice raw)
{
	struct buf *out = t->unescaped;
	if (out->len == 0)
		buf_reserve(out, raw.len + (size_t)(t->end - t->at));
	size_t start = out->len;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] == '\\' && i + 1 < raw.len &&
		    (raw.data[i + 1] == '"' || raw.data[i + 1] == '\\'))
			i++;
		buf_add_char(out, raw.data[i]);
	}
	return (struct slice){ out->data + start, out->len - start };
}

static struct token finish(struct tokens *t, struct token token)
{
	if (token.kind == TOKEN_END)
		t->at = t->end;
	if (token.escaped) {
		token.text = unescape(t, token.text);
		token.escaped = false;
	}
	return token;
}

struct token token_next(struct tokens *t)
{
	return finish(t, next_raw(t));
}

struct token token_name(struct tokens *t)
{
	skip_space(t);
	const char *start = t->at;
	bool open = start < t->end && (*start == '(' || *start == ')');
	struct token token = open ? (struct token){ .kind = TOKEN_ATOM } : next_raw(t);
	if (token.kind != TOKEN_ATOM)
		return finish(t, token);
	while (t->at < t->end && (*t->at == '(' || *t->at == ')')) {
		t->at++;
		read_atom(t);
	}
	token.text = (struct slice){ start, (size_t)(t->at - start) };
	return token;
}

/* Passes a section from its "[" to behind its "]". */
static bool skip_section(struct tokens *t)
{
	size_t len;
	struct slice rest = { t->at + 1, (size_t)(t->end - t->at - 1) };
	if (!token_code(rest, &len))
		return false;
	t->at += 1 + len + 1;
	return true;
}

struct slice token_item(struct tokens *t)
{
	skip_space(t);
	const char *start = t->at;
	if (start < t->end && *start == '"')
		return (struct slice){ start, 0 };
	while (pass_atom(t, true)) {
		if (!skip_section(t)) {
			t->at = t->end;
			return (struct slice){ start, 0 };
		}
	}
	return (struct slice){ start, (size_t)(t->at - start) };
}

bool token_open(struct tokens *t)
{
	skip_space(t);
	if (t->at == t->end || *t->at != '(')
		return false;
	t->at++;
	return true;
}

bool token_close(struct tokens *t)
{
	skip_space(t);
	if (t->at == t->end || *t->at != ')')
		return false;
	t->at++;
	return true;
}

static bool skip_lists(struct tokens *t, int depth)
{
	while (depth > 0) {
		struct token token = next_raw(t);
		if (token.kind == TOKEN_OPEN)
			depth++;
		else if (token.kind == TOKEN_CLOSE)
			depth--;
		if (token.kind == TOKEN_END || depth > TOKEN_DEPTH_MAX) {
			t->at = t->end;
			return false;
		}
	}
	return true;
}

bool token_skip_list(struct tokens *t)
{
	return skip_lists(t, 1);
}

bool token_skip(struct tokens *t)
{
	skip_space(t);
	if (t->at < t->end && *t->at == ')')
		return false;
	struct token token = next_raw(t);
	if (token.kind == TOKEN_END)
		t->at = t->end;
	if (token.kind == TOKEN_OPEN)
		return skip_lists(t, 1);
	return token.kind != TOKEN_END;
}

bool token_number(struct tokens *t, uint64_t max, uint64_t *number)
{
	uint64_t value;
	skip_space(t);
	size_t len = read_digits(t->at, t->end, &value);
	if (len > 0 && (t->at + len == t->end || class_of(t->at[len]) == DELIMITER)) {
		t->at += len;
		if (value > max)
			return false;
		*number = value;
		return true;
	}
	token_skip(t);
	return false;
}

struct slice token_rest(struct tokens *t)
{
	skip_space(t);
	struct slice rest = { t->at, (size_t)(t->end - t->at) };
	while (rest.len > 0 && is_space(rest.data[rest.len - 1]))
		rest.len--;
	t->at = t->end;
	return rest;
}

bool token_is_nil(const struct token *token)
{
	return token->kind == TOKEN_ATOM && TOKEN_IS(token->text, "NIL");
}

/* Passes a string (only where a word may begin) or a literal as a whole, anything else by one octet. */
static bool pass_octet(struct tokens *t, bool at_word)
{
	struct token_literal literal;
	if (at_word && *t->at == '"') {
		t->at++;
		return read_quoted(t).kind == TOKEN_STRING;
	}
	if (token_literal(t->at, t->end, &literal)) {
		t->at = literal.data + (literal.streamed ? 0 : (size_t)literal.size);
		return true;
	}
	t->at++;
	return true;
}

bool token_code(struct slice text, size_t *len)
{
	struct tokens t = tokens_of(text, NULL);
	bool at_word = true;
	int depth = 0;
	while (t.at < t.end) {
		char c = *t.at;
		if (c == ']' && depth == 0) {
			*len = (size_t)(t.at - text.data);
			return true;
		}
		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		if (!pass_octet(&t, at_word))
			return false;
		at_word = c == ' ' || c == '(';
	}
	return false;
}
