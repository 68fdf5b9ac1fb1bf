/* A view of bytes that somebody else owns. Valid as long as the owner says; never NUL-terminated
 * by promise. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *data;
	size_t len;
};

static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static inline bool slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

/* ASCII case is ignored, as IMAP's atoms ask for. */
static inline bool slice_is_nocase(struct slice s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.data, text, s.len) == 0;
}

static inline bool slice_starts_nocase(struct slice s, const char *text)
{
	size_t n = strlen(text);
	return s.len >= n && strncasecmp(s.data, text, n) == 0;
}

#endif
