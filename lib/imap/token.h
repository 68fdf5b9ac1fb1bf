/* One tokenizer for every response: atoms, quoted strings, literals, numbers, lists, each in the
 * most lenient form that servers were seen to send. Private to lib/imap. Never fails: where nothing
 * can be read any more the text counts as ended. */
#ifndef IMAP_TOKEN_H
#define IMAP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

/* How deep lists may be nested (C9); libetpan's fault on deep ones is why anybody cares. */
#define TOKEN_DEPTH_MAX 64

enum token_kind {
	TOKEN_END,      /* of the text, or of what can be read of it */
	TOKEN_ATOM,     /* whatever stands unquoted, numbers and NIL too */
	TOKEN_STRING,   /* quoted, or a literal that stands in the text */
	TOKEN_STREAMED, /* a literal that went to a sink; `size` alone is known */
	TOKEN_OPEN,
	TOKEN_CLOSE,
};

struct token {
	enum token_kind kind;
	bool escaped; /* a quoted string with backslashes: `text` is raw */
	struct slice text;
	uint64_t size; /* octets of TOKEN_STREAMED */
};

/* Copied freely: each copy is a cursor of its own. */
struct tokens {
	const char *at, *end;
	/* Where strings with backslashes are unescaped to; grows once for a response, so that slices
	 * stay where they are. */
	struct buf *unescaped;
};

/* `unescaped` may be NULL where token_next and token_name are not called. */
struct tokens tokens_of(struct slice text, struct buf *unescaped);

/* The next token, whatever it is. NIL is an atom (token_is_nil). */
struct token token_next(struct tokens *t);
/* The same where a mailbox name stands: unquoted it ends at the next space, not at a parenthesis. */
struct token token_name(struct tokens *t);
/* An item's name with its section, "BODY[HEADER.FIELDS (To)]"; empty, and nothing passed, where a
 * string, a parenthesis or nothing comes next: a literal's octets must never be read as names. */
struct slice token_item(struct tokens *t);
/* Passes a parenthesis if one comes next. */
bool token_open(struct tokens *t);
bool token_close(struct tokens *t);
/* Passes one value, a whole list counts as one. False where none comes before the list's or the
 * text's end, and where a list is nested too deeply or never closed: then the text has ended. */
bool token_skip(struct tokens *t);
/* Passes what is left of the list that was opened, with its parenthesis; false as above. */
bool token_skip_list(struct tokens *t);
/* Passes one value; true where it is a number not above `max`. */
bool token_number(struct tokens *t, uint64_t max, uint64_t *number);
/* The rest of the text without the space before and behind it. */
struct slice token_rest(struct tokens *t);

bool token_is_nil(const struct token *token);
/* Digits only, not above `max`. */
bool token_to_number(struct slice text, uint64_t max, uint64_t *number);

/* The "{123}" and line end of a literal at `at`, as the framer leaves it. */
struct token_literal {
	uint64_t size;
	bool streamed;    /* a bare LF: the octets are elsewhere */
	const char *data; /* behind the line end */
};
bool token_literal(const char *at, const char *end, struct token_literal *literal);

/* The length of a response code up to its "]"; `text` begins behind the "[". Brackets in a list or a
 * string do not end it (Q59). False where it never ends. */
bool token_code(struct slice text, size_t *len);

/* Does the word equal `upper`, written in capitals, in any case? */
extern const unsigned char token_upper[256];
static inline bool token_is(struct slice word, const char *upper, size_t len)
{
	if (word.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (token_upper[(unsigned char)word.data[i]] != (unsigned char)upper[i])
			return false;
	return true;
}
#define TOKEN_IS(word, upper) token_is((word), "" upper, sizeof(upper) - 1)

#endif
