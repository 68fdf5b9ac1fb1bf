#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

#define SMALLEST_ALLOCATION 64

static void out_of_memory(void) __attribute__((noreturn));

/* 75: the next run goes on from the last durable step (EX_TEMPFAIL). */
static void out_of_memory(void)
{
	static const char text[] = "mailtide: out of memory\n";

	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(75);
	_exit(75);
}

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

static char *allocation(const struct buf *b)
{
	return b->data == NULL ? NULL : b->data - b->start;
}

void buf_release(struct buf *b)
{
	free(allocation(b));
	buf_init(b, b->limit);
}

void buf_clear(struct buf *b)
{
	b->data = allocation(b);
	b->start = 0;
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void buf_shrink(struct buf *b, size_t keep)
{
	if (b->size > keep)
		buf_release(b);
	else
		buf_clear(b);
}

static bool fits(const struct buf *b, size_t len)
{
	if (b->limit != 0)
		return b->len <= b->limit && len <= b->limit - b->len;
	return len < SIZE_MAX - b->len;
}

/* Consumed bytes are reclaimed only once they are as many as those that have to move, so that
 * a consumed byte never pays for more than one moved byte. */
static bool reclaim(struct buf *b, size_t needed)
{
	if (b->start < b->len || needed > b->size)
		return false;
	char *front = allocation(b);
	memmove(front, b->data, b->len + 1);
	b->data = front;
	b->start = 0;
	return true;
}

/* A buffer that is consumed from gets up to twice its ceiling: with less, one that stays nearly
 * full would be moved as a whole for each byte. */
static size_t grown_size(const struct buf *b, size_t needed)
{
	size_t size = b->size < SIZE_MAX / 2 ? b->size * 2 : needed;

	if (b->limit != 0 && b->limit < SIZE_MAX / 2) {
		size_t most = (b->start > 0 ? 2 * b->limit : b->limit) + 1;
		size = size < most ? size : most;
	}
	if (size < needed)
		size = needed;
	return size < SMALLEST_ALLOCATION ? SMALLEST_ALLOCATION : size;
}

static void grow(struct buf *b, size_t needed)
{
	size_t size = grown_size(b, needed);
	char *data = malloc(size);

	if (data == NULL)
		out_of_memory();
	if (b->len > 0)
		memcpy(data, b->data, b->len);
	data[b->len] = '\0';
	free(allocation(b));
	b->data = data;
	b->size = size;
	b->start = 0;
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (!fits(b, len))
		return NULL;
	size_t needed = b->len + len + 1;
	if (b->size - b->start < needed && (b->data == NULL || !reclaim(b, needed)))
		grow(b, needed);
	return b->data + b->len;
}

void buf_added(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	INVARIANT(b->len + len < b->size - b->start);
	b->len += len;
	b->data[b->len] = '\0';
}

bool buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return true;
	char *room = buf_reserve(b, len);
	if (room == NULL)
		return false;
	memcpy(room, data, len);
	buf_added(b, len);
	return true;
}

bool buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.data, s.len);
}

bool buf_add_str(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

bool buf_add_char(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

/* The exact length first: a ceiling must refuse before anything is written. */
static size_t formatted_length(const char *fmt, va_list args)
{
	va_list copy;

	va_copy(copy, args);
	int len = vsnprintf(NULL, 0, fmt, copy);
	va_end(copy);
	INVARIANT(len >= 0);
	return (size_t)len;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	size_t len = formatted_length(fmt, args);
	char *room = buf_reserve(b, len);
	if (room != NULL) {
		vsnprintf(room, len + 1, fmt, args);
		buf_added(b, len);
	}
	va_end(args);
	return room != NULL;
}

void buf_consume(struct buf *b, size_t len)
{
	INVARIANT(len <= b->len);
	if (len == b->len) {
		buf_clear(b);
		return;
	}
	b->data += len;
	b->start += len;
	b->len -= len;
}

void buf_truncate(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ buf_str(b), b->len };
}

const char *buf_str(const struct buf *b)
{
	return b->data == NULL ? "" : b->data;
}

char *buf_take(struct buf *b)
{
	if (b->data == NULL)
		return mem_copy("");
	char *text = allocation(b);
	if (b->start > 0)
		memmove(text, b->data, b->len + 1);
	buf_init(b, b->limit);
	return text;
}

void *mem_new(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *mem_grow(void *p, size_t count, size_t item_size)
{
	size_t size;

	if (__builtin_mul_overflow(count, item_size, &size))
		out_of_memory();
	void *grown = realloc(p, size > 0 ? size : 1);
	if (grown == NULL)
		out_of_memory();
	return grown;
}

char *mem_copy(const char *text)
{
	return mem_copy_slice(slice_of(text));
}

char *mem_copy_slice(struct slice s)
{
	char *copy = mem_grow(NULL, s.len + 1, 1);

	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	size_t len = formatted_length(fmt, args);
	char *text = mem_grow(NULL, len + 1, 1);
	vsnprintf(text, len + 1, fmt, args);
	va_end(args);
	return text;
}

void mem_wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}
