/* The framer. As long as a response stands whole in `in` it is looked at there and given from there;
 * only what ends in the middle of `in`, or has a streamed literal, moves to `text`. Each octet is
 * looked at once, however it arrives: what has moved to `text` was scanned, and between two calls
 * nothing of the response is left in `in`. */
#include "imap/frame.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "imap/token.h"

/* Memory that is kept from one response to the next. */
#define TEXT_KEEP (64u << 10)
/* A status response's code may hold literals only near its beginning, or finding out would cost
 * its whole text again for each. */
#define CODE_MAX (64u << 10)

struct frame {
	frame_literal *on_literal;
	void *arg;
	struct buf text;    /* what of the response is not in `in` */
	size_t line;        /* where the current line begins in the response */
	uint64_t literal;   /* octets of the literal that are still to come */
	unsigned literals;  /* so far */
	bool streaming;     /* the literal goes to the sink, or nowhere */
	bool given;         /* the next call begins a new response */
	struct sink *sink;
};

struct frame *frame_new(frame_literal *on_literal, void *arg)
{
	struct frame *f = mem_new(sizeof *f);
	f->on_literal = on_literal;
	f->arg = arg;
	buf_init(&f->text, FRAME_TEXT_MAX);
	return f;
}

static void end_sink(struct frame *f, int whole)
{
	struct sink *sink = f->sink;
	f->sink = NULL;
	if (sink != NULL)
		sink->ops->end(sink, whole);
}

void frame_free(struct frame *f)
{
	if (f == NULL)
		return;
	end_sink(f, 0);
	buf_release(&f->text);
	free(f);
}

static void begin(struct frame *f)
{
	buf_shrink(&f->text, TEXT_KEEP);
	f->line = 0;
	f->literals = 0;
	f->given = false;
}

static int too_long(struct err *err)
{
	return err_set(err, ERR_LATER, ERR_ACCOUNT,
		"the server sent a response of more than %u MB", FRAME_TEXT_MAX >> 20);
}

/* Moves `len` octets from `in` to the text. */
static int keep(struct frame *f, struct buf *in, size_t len, struct err *err)
{
	if (len == 0)
		return 0;
	if (!buf_add(&f->text, in->data, len))
		return too_long(err);
	buf_consume(in, len);
	return 0;
}

/* Gives what has come of the literal to its sink. */
static void stream(struct frame *f, struct buf *in)
{
	size_t len = f->literal < in->len ? (size_t)f->literal : in->len;
	if (len > 0 && f->sink != NULL)
		f->sink->ops->write(f->sink, in->data, len);
	if (len > 0)
		buf_consume(in, len);
	f->literal -= len;
	if (f->literal == 0) {
		f->streaming = false;
		end_sink(f, 1);
	}
}

static struct slice first_word(struct slice text)
{
	const char *space = text.len > 0 ? memchr(text.data, ' ', text.len) : NULL;
	return (struct slice){ text.data, space == NULL ? text.len : (size_t)(space - text.data) };
}

static struct slice after_word(struct slice text)
{
	size_t len = first_word(text).len;
	while (len < text.len && text.data[len] == ' ')
		len++;
	return (struct slice){ text.data + len, text.len - len };
}

/* Text for people may end in anything, "{5}" too; what is for programs may not. */
static bool is_human(struct slice text)
{
	if (text.data[0] == '+')
		return true;
	struct slice rest = after_word(text);
	struct slice cond = first_word(rest);
	if (!TOKEN_IS(cond, "OK") && !TOKEN_IS(cond, "NO") && !TOKEN_IS(cond, "BAD") &&
	    !TOKEN_IS(cond, "BYE") && !TOKEN_IS(cond, "PREAUTH"))
		return false;
	rest = after_word(rest);
	if (rest.len == 0 || rest.data[0] != '[' || text.len > CODE_MAX)
		return true;
	size_t len;
	struct slice code = { rest.data + 1, rest.len - 1 };
	return token_code(code, &len);
}

/* The size in "{123}" or "{123+}"; what is above any limit is UINT64_MAX. */
static bool read_size(struct slice braces, uint64_t *size)
{
	struct slice digits = { braces.data + 1, braces.len - 2 };
	if (digits.len > 0 && digits.data[digits.len - 1] == '+')
		digits.len--;
	if (digits.len == 0)
		return false;
	for (size_t i = 0; i < digits.len; i++)
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
	if (!token_to_number(digits, UINT64_MAX, size))
		*size = UINT64_MAX;
	return true;
}

/* Does the text's last line, whose line end begins at `end`, announce a literal? *brace is where. */
static bool find_literal(const struct frame *f, struct slice text, size_t end, size_t *brace,
	uint64_t *size)
{
	if (end == f->line || text.data[end - 1] != '}')
		return false;
	const char *open = memrchr(text.data + f->line, '{', end - f->line);
	if (open == NULL || open == text.data + f->line || memchr(" (]~", open[-1], 4) == NULL)
		return false;
	*brace = (size_t)(open - text.data);
	if (!read_size((struct slice){ open, end - *brace }, size))
		return false;
	return !is_human((struct slice){ text.data, *brace });
}

static int check_size(const struct frame *f, uint64_t size, struct err *err)
{
	if (f->literals > FRAME_LITERALS_MAX)
		return err_set(err, ERR_LATER, ERR_ACCOUNT,
			"the server sent more than %u literals in one response", FRAME_LITERALS_MAX);
	if (size > FRAME_LITERAL_MAX)
		return err_set(err, ERR_LATER, ERR_ACCOUNT,
			"the server announced a literal of more than %llu GB", FRAME_LITERAL_MAX >> 30);
	return 0;
}

/* The text up to `brace` is in f->text from here on, `line_end` of `in` is used up. */
static int leave_in(struct frame *f, struct buf *in, size_t brace, size_t line_end, struct err *err)
{
	if (f->text.len == 0) {
		if (keep(f, in, brace, err) < 0)
			return -1;
		line_end -= brace;
	}
	buf_truncate(&f->text, brace);
	if (line_end > 0)
		buf_consume(in, line_end);
	return 0;
}

/* "{123}\n" stands for octets that are elsewhere, "{123}\r\n" for those that follow; a server's own
 * bare LF must not blur that. */
static int mark_literal(struct frame *f, uint64_t size, const char *line_end, struct err *err)
{
	if (!buf_addf(&f->text, "{%" PRIu64 "}%s", size, line_end))
		return too_long(err);
	f->line = f->text.len;
	return 0;
}

/* A literal follows `text`, whose last line is *at octets of `in` (0: they moved to f->text). */
static int begin_literal(struct frame *f, struct buf *in, size_t *at, struct slice text, size_t brace,
	uint64_t size, struct err *err)
{
	bool skip = false, bare = text.data[text.len - 2] != '\r';
	f->literals++;
	if (check_size(f, size, err) < 0)
		return -1;
	if (f->on_literal != NULL)
		f->sink = f->on_literal(f->arg, (struct slice){ text.data, brace }, size, &skip);
	f->literal = size;
	f->streaming = f->sink != NULL || skip;
	if (!f->streaming && size > FRAME_MEMORY_MAX)
		return err_set(err, ERR_LATER, ERR_ACCOUNT,
			"the server sent a literal of more than %u MB that is no message",
			FRAME_MEMORY_MAX >> 20);
	if (!f->streaming && text.len + size > FRAME_TEXT_MAX)
		return too_long(err);
	if (!f->streaming && !bare) {
		f->line = text.len + (size_t)size;
		return 0;
	}
	if (leave_in(f, in, brace, *at, err) < 0)
		return -1;
	*at = 0;
	if (mark_literal(f, size, f->streaming ? "\n" : "\r\n", err) < 0)
		return -1;
	if (!f->streaming)
		f->line += (size_t)size;
	return 0;
}

/* Passes what has come of a literal that stays in memory. */
static void pass(struct frame *f, const struct buf *in, size_t *at)
{
	size_t left = in->len - *at;
	size_t len = f->literal < left ? (size_t)f->literal : left;
	*at += len;
	f->literal -= len;
}

/* buf_consume may reuse the front of the memory at once; here the consumed octets, which are the
 * response that the caller gets, stay until something is added. */
static void consume_later(struct buf *in, size_t len)
{
	in->data += len;
	in->start += len;
	in->len -= len;
}

/* The response is whole, its last `at` octets still in `in`. */
static int give(struct frame *f, struct buf *in, size_t at, struct slice text, struct slice *response,
	struct err *err)
{
	if (text.len > FRAME_TEXT_MAX)
		return too_long(err);
	if (at > 0)
		consume_later(in, at);
	*response = text;
	f->given = true;
	return 1;
}

int frame_next(struct frame *f, struct buf *in, struct slice *response, struct err *err)
{
	size_t at = 0; /* octets of `in` that are the response's and still stand there */
	if (f->given)
		begin(f);
	if (in->len == 0)
		buf_clear(in);
	for (;;) {
		if (f->streaming)
			stream(f, in);
		else
			pass(f, in, &at);
		const char *lf = f->literal == 0 && at < in->len ?
			memchr(in->data + at, '\n', in->len - at) : NULL;
		if (lf == NULL)
			return keep(f, in, in->len, err);
		at = (size_t)(lf + 1 - in->data);
		struct slice text = { in->data, at };
		if (f->text.len > 0) {
			if (keep(f, in, at, err) < 0)
				return -1;
			at = 0;
			text = buf_slice(&f->text);
		}
		size_t end = text.len - 1, brace;
		uint64_t size;
		if (end > f->line && text.data[end - 1] == '\r')
			end--;
		if (!find_literal(f, text, end, &brace, &size))
			return give(f, in, at, (struct slice){ text.data, end }, response, err);
		if (begin_literal(f, in, &at, text, brace, size, err) < 0)
			return -1;
	}
}
