#include "conf/scan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define BRACES_MAX 10

enum token_kind { T_NOTHING, T_NAME, T_VALUE, T_ASSIGN, T_COMMA, T_OPEN, T_CLOSE, T_END };

struct token {
	enum token_kind kind;
	struct slice text;
	bool quoted;
	unsigned line;
};

struct brace {
	unsigned line;
	bool list;
};

static const struct token nothing = { .kind = T_NOTHING, .text = { "", 0 } };

/* One file on its way into the text. */
struct scan {
	struct conf_source *source;
	size_t file;
	const char *p, *end;
	unsigned line; /* of *p */
	unsigned depth; /* of includes */
	bool nested;    /* the include stands inside a section */
	struct brace *braces;
	size_t brace_count;
	struct token last, before; /* the last two tokens */
	struct err *err;
};

static int fail(struct scan *s, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct scan *s, unsigned line, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	err_set(s->err, ERR_USER, ERR_ACCOUNT, "%s:%u: %s", s->source->files[s->file].path, line,
		text);
	free(text);
	return -1;
}

/* The part of a token that a message shows. */
static int shown(struct slice s)
{
	return s.len > 60 ? 60 : (int)s.len;
}

static void begin_line(struct conf_source *source, size_t file, unsigned line)
{
	source->lines = mem_grow(source->lines, source->line_count + 1, sizeof *source->lines);
	source->lines[source->line_count++] = (struct conf_source_line){ file, line };
}

/* Moves on by one character, which goes into the text as `c`. */
static void put(struct scan *s, char c)
{
	if (*s->p++ == '\n') {
		buf_add_char(&s->source->text, '\n');
		begin_line(s->source, s->file, ++s->line);
	} else {
		buf_add_char(&s->source->text, c);
	}
}

static void keep(struct scan *s, const char *until)
{
	while (s->p < until)
		put(s, *s->p);
}

static void blank(struct scan *s, const char *until)
{
	while (s->p < until)
		put(s, ' ');
}

static bool at(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, text, n) == 0;
}

static bool in_list(const struct scan *s)
{
	return s->brace_count > 0 && s->braces[s->brace_count - 1].list;
}

static bool is_section(struct slice name)
{
	return slice_is(name, "account") || slice_is(name, "mailbox") || slice_is(name, "profile");
}

/* What must follow on the same line did not: here the line is still known. */
static int check_dangling(struct scan *s, const struct token *next)
{
	const struct token *last = &s->last;

	if (next->line == last->line && next->kind != T_END)
		return 0;
	if (last->kind == T_ASSIGN)
		return fail(s, last->line, "\"%.*s\" has no value on its line",
			shown(s->before.text), s->before.text.data);
	if (last->kind != T_NAME || next->kind == T_OPEN)
		return 0;
	if (s->before.kind == T_NAME && !is_section(s->before.text))
		return fail(s, last->line, "\"=\" is missing after \"%.*s\"",
			shown(s->before.text), s->before.text.data);
	if (s->before.kind == T_NAME)
		return fail(s, last->line, "\"{\" is missing after \"%.*s\"", shown(last->text),
			last->text.data);
	return fail(s, last->line, "nothing follows \"%.*s\" on its line", shown(last->text),
		last->text.data);
}

static int add_token(struct scan *s, struct token token)
{
	if (check_dangling(s, &token) != 0)
		return -1;
	s->before = s->last;
	s->last = token;
	return 0;
}

/* The value of a key or a list, or else a key or a section's name. */
static enum token_kind word_kind(const struct scan *s)
{
	return in_list(s) || s->last.kind == T_ASSIGN ? T_VALUE : T_NAME;
}

static int scan_comment(struct scan *s, bool block)
{
	const char *end;

	if (!block) {
		end = memchr(s->p, '\n', (size_t)(s->end - s->p));
		blank(s, end != NULL ? end : s->end);
		return 0;
	}
	end = memmem(s->p + 2, (size_t)(s->end - s->p - 2), "*/", 2);
	if (end == NULL)
		return fail(s, s->line, "the comment that begins here has no end");
	blank(s, end + 2);
	return 0;
}

/* `p` is at "${" inside double quotes. libconfuse takes everything up to "}", quotes too, and makes
 * nothing of a variable that is not set. */
static int check_variable(struct scan *s, const char *p)
{
	size_t n = 0;
	char *name, *fallback;
	bool set;

	p += 2;
	while (p + n < s->end && strchr("}\"\n", p[n]) == NULL)
		n++;
	if (p + n == s->end || p[n] != '}')
		return fail(s, s->line, "\"${\" has no \"}\"; text with $ stands in single quotes");
	name = mem_copy_slice((struct slice){ p, n });
	fallback = strchr(name, ':');
	set = getenv(name) != NULL || (fallback != NULL && fallback[1] == '-');
	free(name);
	if (!set)
		return fail(s, s->line, "the environment has no \"%.*s\"; "
			"text with $ stands in single quotes", n > 60 ? 60 : (int)n, p);
	return 0;
}

/* \0, \000, \x0, ...: libconfuse would cut the text off there. */
static bool is_nul_escape(const char *p, const char *end)
{
	bool hex = p + 1 < end && p[1] == 'x';
	const char *digits = hex ? "0123456789abcdefABCDEF" : "01234567";
	size_t n = 0, most = hex ? 2 : 3;

	p += hex ? 2 : 1;
	for (; n < most && p + n < end && strchr(digits, p[n]) != NULL; n++) {
		if (p[n] != '0')
			return false;
	}
	return n > 0;
}

/* libconfuse makes "\T" a plain "T": 'move \Trash' in the wrong quotes would be a mailbox "Trash",
 * and a password with a backslash another one. */
static bool is_idle_escape(const char *p)
{
	return isalpha((unsigned char)p[1]) && strchr("abefnrtvx", p[1]) == NULL;
}

/* Finds the quote that ends the text; *close points at it. A text ends on its line, or else each
 * missing quote would be told somewhere far below; backslash and line end go on. */
static int find_close(struct scan *s, const char **close)
{
	const char quote = *s->p, *p = s->p + 1;

	for (; p < s->end && *p != quote && *p != '\n'; p++) {
		if (*p == '\\' && p + 1 < s->end) {
			if (quote == '"' && is_nul_escape(p, s->end))
				return fail(s, s->line, "a value cannot hold a NUL");
			if (quote == '"' && is_idle_escape(p))
				return fail(s, s->line, "\"%.2s\" means nothing; "
					"text with \\ stands in single quotes", p);
			p++;
		} else if (quote == '"' && *p == '$' && p + 1 < s->end && p[1] == '{' &&
			check_variable(s, p) != 0) {
			return -1;
		}
	}
	if (p >= s->end || *p != quote)
		return fail(s, s->line, "the quote %c has no end on its line", quote);
	*close = p;
	return 0;
}

static int scan_quoted(struct scan *s)
{
	struct token token = { .kind = word_kind(s), .quoted = true, .line = s->line };
	const char *close;

	if (token.kind == T_NAME && s->last.kind != T_NAME)
		return fail(s, s->line, "a key stands without quotes");
	if (find_close(s, &close) != 0)
		return -1;
	token.text = (struct slice){ s->p + 1, (size_t)(close - s->p - 1) };
	keep(s, close + 1);
	if (add_token(s, token) != 0)
		return -1;
	s->last.line = s->line; /* where it ends */
	return 0;
}

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		blank(s, s->p + 1);
}

static char *resolve(const char *folder, const char *path)
{
	if (*path == '/')
		return mem_copy(path);
	if (path[0] == '~' && (path[1] == '/' || path[1] == '\0'))
		return file_expand(path);
	return file_join(folder, path);
}

/* After the word: ("FILE"). The other file's text goes in between two line ends of its own. */
static int scan_include(struct scan *s)
{
	unsigned line = s->line;
	const char *close, *name;
	char *given, *path;
	size_t len;
	int rc;

	skip_blanks(s);
	if (!at(s, "("))
		goto malformed;
	blank(s, s->p + 1);
	skip_blanks(s);
	if (!at(s, "\"") && !at(s, "'"))
		goto malformed;
	if (find_close(s, &close) != 0)
		return -1;
	name = s->p + 1;
	len = (size_t)(close - name);
	blank(s, close + 1);
	skip_blanks(s);
	if (!at(s, ")") || len == 0)
		goto malformed;
	blank(s, s->p + 1);
	if (memchr(name, '$', len) != NULL || memchr(name, '\\', len) != NULL)
		return fail(s, line, "include takes a plain path, without $ and \\");

	given = mem_copy_slice((struct slice){ name, len });
	path = resolve(s->source->files[s->file].folder, given);
	buf_add_char(&s->source->text, '\n');
	rc = conf_source_add(s->source, path, s->depth + 1, s->nested || s->brace_count > 0, s->err);
	if (rc > 0) /* it could not be read: the fault is this line's */
		err_prefix(s->err, "%s:%u", s->source->files[s->file].path, line);
	buf_add_char(&s->source->text, '\n');
	begin_line(s->source, s->file, s->line);
	free(given);
	free(path);
	return rc == 0 ? 0 : -1;
malformed:
	return fail(s, line, "include needs the name of a file: include(\"more.conf\")");
}

static bool is_bare(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') || (c != '\0' && strchr("_-.:@%~/", c) != NULL);
}

static int scan_word(struct scan *s)
{
	struct token token = { .kind = word_kind(s), .line = s->line };
	const char *p = s->p;

	while (p < s->end && is_bare((unsigned char)*p) &&
		!(*p == '/' && p + 1 < s->end && (p[1] == '/' || p[1] == '*')))
		p++;
	token.text = (struct slice){ s->p, (size_t)(p - s->p) };
	if (p < s->end && (*p == '/' || *p == '*'))
		return fail(s, s->line, "unexpected \"%c\"; text with it stands in quotes", *p);
	if (token.kind == T_NAME && s->last.kind != T_NAME && slice_is(token.text, "include")) {
		if (check_dangling(s, &token) != 0)
			return -1;
		s->last = nothing;
		blank(s, p);
		return scan_include(s);
	}
	keep(s, p);
	return add_token(s, token);
}

static int scan_open(struct scan *s)
{
	struct token token = { .kind = T_OPEN, .text = { s->p, 1 }, .line = s->line };
	bool list = s->last.kind == T_ASSIGN;

	if (!list && s->last.kind == T_NAME && s->last.quoted && s->last.text.len == 0)
		return fail(s, s->line, "the name of \"%.*s\" is empty", shown(s->before.text),
			s->before.text.data);
	if (s->brace_count == BRACES_MAX)
		return fail(s, s->line, "braces are nested deeper than %d", BRACES_MAX);
	if (!list && !s->nested && s->brace_count == 0) {
		struct conf_source *source = s->source;

		source->blocks = mem_grow(source->blocks, source->block_count + 1,
			sizeof *source->blocks);
		source->blocks[source->block_count++] = source->line_count;
	}
	if (add_token(s, token) != 0)
		return -1;
	s->braces = mem_grow(s->braces, s->brace_count + 1, sizeof *s->braces);
	s->braces[s->brace_count++] = (struct brace){ s->line, list };
	keep(s, s->p + 1);
	return 0;
}

static int scan_close(struct scan *s)
{
	struct token token = { .kind = T_CLOSE, .text = { s->p, 1 }, .line = s->line };

	if (s->brace_count == 0)
		return fail(s, s->line, "\"}\" closes nothing");
	if (add_token(s, token) != 0)
		return -1;
	s->brace_count--;
	keep(s, s->p + 1);
	return 0;
}

static int scan_sign(struct scan *s, enum token_kind kind, size_t len)
{
	struct token token = { .kind = kind, .text = { s->p, len }, .line = s->line };

	keep(s, s->p + len);
	return add_token(s, token);
}

static int scan_next(struct scan *s)
{
	unsigned char c = (unsigned char)*s->p;

	if (c == '#' || at(s, "//"))
		return scan_comment(s, false);
	if (at(s, "/*"))
		return scan_comment(s, true);
	if (c == '"' || c == '\'')
		return scan_quoted(s);
	if (is_bare(c))
		return scan_word(s);
	if (c == '{')
		return scan_open(s);
	if (c == '}')
		return scan_close(s);
	if (c == ',')
		return scan_sign(s, T_COMMA, 1);
	if (c == '=')
		return scan_sign(s, T_ASSIGN, 1);
	if (at(s, "+="))
		return scan_sign(s, T_ASSIGN, 2);
	if (strchr(" \t\r\f\n", c) == NULL)
		return fail(s, s->line, "unexpected \"%c\"; text with it stands in quotes", c);
	put(s, ' ');
	return 0;
}

static int check_text(struct scan *s)
{
	const char *nul = memchr(s->p, '\0', (size_t)(s->end - s->p));
	unsigned line = 1;

	if (nul == NULL)
		return 0;
	for (const char *p = s->p; p < nul; p++)
		line += *p == '\n';
	return fail(s, line, "a NUL byte stands here; this is not a text file");
}

static int scan_file(struct scan *s)
{
	struct token end = { .kind = T_END };

	if (check_text(s) != 0)
		return -1;
	begin_line(s->source, s->file, 1);
	if (at(s, "\xef\xbb\xbf")) /* the mark that some editors put in front of UTF-8 */
		blank(s, s->p + 3);
	while (s->p < s->end) {
		if (scan_next(s) != 0)
			return -1;
	}
	end.line = s->line;
	if (add_token(s, end) != 0)
		return -1;
	if (s->brace_count > 0)
		return fail(s, s->braces[s->brace_count - 1].line,
			"the \"{\" on this line has no \"}\"");
	return 0;
}

int conf_scan(struct conf_source *source, size_t file, struct slice data, unsigned depth, bool nested,
	struct err *err)
{
	struct scan s = {
		.source = source,
		.file = file,
		.p = data.data,
		.end = data.data + data.len,
		.line = 1,
		.depth = depth,
		.nested = nested,
		.last = nothing,
		.before = nothing,
		.err = err,
	};
	int rc = scan_file(&s);

	free(s.braces);
	return rc;
}
