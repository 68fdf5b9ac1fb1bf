/* From bytes to whole responses. Private to lib/imap (and its fuzzers).
 *
 * A response is a line, continued after each literal. A literal that a sink takes, or that is thrown
 * away, leaves "{123}\n" in the text; every other one stands in the text as "{123}\r\n" and its
 * octets. Lines end in CRLF or a bare LF. "{123}" at the end of a status response's human text, of a
 * "+" line, or behind anything but a space, "(", "]" or "~" is text, not a literal. */
#ifndef IMAP_FRAME_H
#define IMAP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sink.h"
#include "base/slice.h"

/* Limits (C9), all far above what servers send. */
#define FRAME_TEXT_MAX (16u << 20)    /* a response with its literals in memory */
#define FRAME_MEMORY_MAX (1u << 20)   /* one literal in memory */
#define FRAME_LITERAL_MAX (4ull << 30) /* one literal's announced size */
#define FRAME_LITERALS_MAX 4096       /* literals of one response */

struct frame;

/* Called where a literal begins that ends the text so far ("{123}" is not in it): a sink takes it,
 * or NULL: into memory. *skip = true: throw it away. Must not free the framer. */
typedef struct sink *frame_literal(void *arg, struct slice text, uint64_t size, bool *skip);

struct frame *frame_new(frame_literal *on_literal, void *arg);
/* Ends an open sink with whole = 0. NULL is fine. */
void frame_free(struct frame *f);
/* Takes from `in` what belongs to the next response. 1: *response is whole, without its line end,
 * valid until the next call or until something is added to `in`; 0: more is needed, `in` is used up;
 * -1: a limit was passed, the connection must end (ERR_LATER). */
int frame_next(struct frame *f, struct buf *in, struct slice *response, struct err *err);

#endif
