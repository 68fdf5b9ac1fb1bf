/* Bytes with a ceiling. A buffer grows as needed up to its limit; what would exceed the limit is
 * refused and the buffer stays as it was, so that no peer decides how much memory we use.
 * The data is always followed by a NUL that is not counted. Memory exhaustion ends the program. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf {
	char *data;   /* NULL until something was added */
	size_t len;
	size_t size;  /* allocated */
	size_t limit; /* the ceiling; 0 = none */
	size_t start; /* consumed bytes before `data` in the allocation */
};

void buf_init(struct buf *b, size_t limit);
void buf_release(struct buf *b);
/* Empties the buffer and keeps its memory. */
void buf_clear(struct buf *b);
/* Empties the buffer, and gives back its memory where it has grown beyond `keep` bytes. */
void buf_shrink(struct buf *b, size_t keep);

/* Each returns false, with the buffer unchanged, where the ceiling would be passed. */
bool buf_add(struct buf *b, const void *data, size_t len);
bool buf_add_slice(struct buf *b, struct slice s);
bool buf_add_str(struct buf *b, const char *text);
bool buf_add_char(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for `len` more bytes, to be written by the caller and then counted with buf_added; NULL
 * where the ceiling forbids. */
char *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);

/* Drops bytes from the front (amortized constant time). */
void buf_consume(struct buf *b, size_t len);
void buf_truncate(struct buf *b, size_t len);

struct slice buf_slice(const struct buf *b);
/* "" where nothing was added. */
const char *buf_str(const struct buf *b);
/* The NUL-terminated bytes move to the caller, who frees them; the buffer is empty afterwards. */
char *buf_take(struct buf *b);

/* malloc and friends that end the program where memory is exhausted. */
void *mem_new(size_t size); /* zeroed */
void *mem_grow(void *p, size_t count, size_t item_size);
char *mem_copy(const char *text);
char *mem_copy_slice(struct slice s); /* NUL-terminated */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Overwrites secrets in a way that the compiler may not leave out. */
void mem_wipe(void *p, size_t len);

#endif
