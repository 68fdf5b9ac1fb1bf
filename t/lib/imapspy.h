/* imapspy: reads along with an IMAP client and counts its commands. For delayproxy.
 *
 * Literals are stepped over, so that a mail about SELECT is not a SELECT. TLS and COMPRESS make it
 * blind. */
#ifndef IMAPSPY_H
#define IMAPSPY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct spy {
	char line[160];		/* the begin of the line so far */
	size_t len;
	char tail[24];		/* its last bytes, where a literal is announced; len 0: none yet */
	uint64_t literal;	/* bytes left of one */
	bool continued;		/* the line goes on after a literal: no command begins here */
	bool blind;
	bool logout;
	unsigned commands;
	unsigned selects;
};

static bool
spy_is(const char *word, size_t len, const char *want)
{
	return len == strlen(want) && strncasecmp(word, want, len) == 0;
}

static void
spy_command(struct spy *s)
{
	const char *end = s->line + s->len, *verb = memchr(s->line, ' ', s->len), *stop;
	size_t len;

	if (verb == NULL)
		return;		/* DONE, or an answer within AUTHENTICATE */
	verb++;
	for (stop = verb; stop < end && strchr(" \r\n", *stop) == NULL; stop++)
		;
	len = (size_t)(stop - verb);
	s->commands++;
	if (spy_is(verb, len, "SELECT") || spy_is(verb, len, "EXAMINE"))
		s->selects++;
	else if (spy_is(verb, len, "LOGOUT"))
		s->logout = true;
	else if (spy_is(verb, len, "STARTTLS") || spy_is(verb, len, "COMPRESS"))
		s->blind = true;
}

/* The length in "{123}" or "{123+}" before the line's end. */
static bool
spy_literal(const struct spy *s, uint64_t *length)
{
	char end[sizeof s->tail + 1], *brace;

	memcpy(end, s->tail, sizeof s->tail);
	end[sizeof s->tail] = '\0';
	for (size_t i = 0; i < sizeof s->tail; i++)
		end[i] = end[i] == '\0' ? ' ' : end[i];
	brace = strrchr(end, '{');
	if (brace == NULL || strchr(brace, '}') == NULL)
		return false;
	*length = strtoull(brace + 1, NULL, 10);
	return true;
}

static void
spy_keep(struct spy *s, const char *bytes, size_t n)
{
	size_t room = sizeof s->line - s->len, size = sizeof s->tail;

	memcpy(s->line + s->len, bytes, n < room ? n : room);
	s->len += n < room ? n : room;
	if (n >= size)
		memcpy(s->tail, bytes + n - size, size);
	else {
		memmove(s->tail, s->tail + n, size - n);
		memcpy(s->tail + size - n, bytes, n);
	}
}

static void
spy_line_end(struct spy *s)
{
	if (!s->continued)
		spy_command(s);
	s->continued = spy_literal(s, &s->literal);
	s->len = 0;
	memset(s->tail, ' ', sizeof s->tail);
}

static void
spy_feed(struct spy *s, const char *bytes, size_t len)
{
	if (s->commands == 0 && s->len == 0 && len > 0 && bytes[0] == 0x16)
		s->blind = true;	/* a TLS ClientHello */
	while (len > 0 && !s->blind) {
		const char *lf = s->literal > 0 ? NULL : memchr(bytes, '\n', len);
		size_t n = s->literal > 0 && s->literal < len ? (size_t)s->literal : len;

		if (s->literal > 0)
			s->literal -= n;
		else {
			n = lf != NULL ? (size_t)(lf - bytes) + 1 : len;
			spy_keep(s, bytes, n);
			if (lf != NULL)
				spy_line_end(s);
		}
		bytes += n;
		len -= n;
	}
}

#endif
