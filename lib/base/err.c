#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text is shown on terminals and lies in the store, so it must not end in half a character. */
static size_t cut_length(const char *text, size_t len, size_t size)
{
	if (len < size)
		return len;
	len = size - 1;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

/* C0, DEL, and C1 as UTF-8 writes it (0xc2 0x80 to 0x9f). */
static bool control_at(const char *p)
{
	unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];

	return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);
}

static void put_text(struct err *err, const char *text)
{
	size_t len = cut_length(text, strlen(text), sizeof err->text);

	memcpy(err->text, text, len);
	err->text[len] = '\0';
	for (char *p = err->text; *p != '\0'; p++) {
		if (!control_at(p))
			continue;
		if ((unsigned char)*p == 0xc2)
			memmove(p, p + 1, strlen(p));
		*p = '?';
	}
}

/* One octet more than fits, so that cut_length sees where a character was cut. */
#define FORMAT_SIZE (sizeof ((struct err *)0)->text + 1)

/* What is formatted may contain err->text itself, so the text is built aside. */
static void format_text(struct err *err, const char *fmt, va_list args)
{
	char text[FORMAT_SIZE];

	vsnprintf(text, sizeof text, fmt, args);
	put_text(err, text);
}

int err_set(struct err *err, enum err_class cls, enum err_scope scope, const char *fmt, ...)
{
	va_list args;

	if (err == NULL)
		return -1;
	va_start(args, fmt);
	format_text(err, fmt, args);
	va_end(args);
	err->cls = cls;
	err->scope = scope;
	return -1;
}

static enum err_class class_of_errno(int errno_value, enum err_class otherwise)
{
	switch (errno_value) {
	case ENOSPC:
	case EDQUOT:
		return ERR_LATER;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_USER;
	default:
		return otherwise;
	}
}

/* What helps against these is always the same, and who reads cron's mail should not have to look it up. */
static const char *reason_of(int errno_value, char *text, size_t size)
{
	switch (errno_value) {
	case ENOSPC:
		return "the disk is full: make room";
	case EDQUOT:
		return "the disk quota is used up: make room";
	default:
		return strerror_r(errno_value, text, size);
	}
}

int err_errno(struct err *err, enum err_class cls, enum err_scope scope, int errno_value,
	const char *fmt, ...)
{
	va_list args;
	char reason[128], text[FORMAT_SIZE];

	if (err == NULL)
		return -1;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(err, class_of_errno(errno_value, cls), scope, "%s: %s", text,
		reason_of(errno_value, reason, sizeof reason));
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	va_list args;
	char prefix[FORMAT_SIZE];

	if (err == NULL)
		return -1;
	va_start(args, fmt);
	vsnprintf(prefix, sizeof prefix, fmt, args);
	va_end(args);
	return err_set(err, err->cls, err->scope, "%s: %s", prefix, err->text);
}

void err_clear(struct err *err)
{
	if (err != NULL)
		*err = (struct err){ .cls = ERR_NONE };
}

int err_exit_status(const struct err *err)
{
	switch (err->cls) {
	case ERR_NONE:
		return 0;
	case ERR_RETRY:
	case ERR_LATER:
		return 75;
	case ERR_LOGIN:
		return 77;
	case ERR_USER:
		return 78;
	}
	return 78;
}

void err_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "mailtide: broken invariant: %s (%s:%d)\n", what, file, line);
	abort();
}
