/* DEFLATE between the stream's buffers and its transport (RFC 4978). */
#include <stdlib.h>
#include <zlib.h>

#include "io/io_private.h"

/* Raw, the largest window, as the RFC asks for. */
#define WINDOW_BITS (-15)
#define PIECE_BYTES (64u * 1024)

struct io_deflate {
	z_stream inflate, deflate;
	struct buf raw_in, raw_out; /* compressed: received, to be sent */
	bool full;                  /* inflate may have more to give without more input */
};

void io_stream_deflate(struct io_stream *s)
{
	struct io_deflate *d;

	if (s->deflate != NULL || s->state == IO_ENDED)
		return;
	d = mem_new(sizeof *d);
	INVARIANT(inflateInit2(&d->inflate, WINDOW_BITS) == Z_OK);
	INVARIANT(deflateInit2(&d->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, 8,
		Z_DEFAULT_STRATEGY) == Z_OK);
	/* What came after the server's OK is compressed already; what was written before is not. */
	d->raw_in = s->in;
	d->raw_out = s->out;
	buf_init(&s->in, 0);
	buf_init(&s->out, 0);
	s->fresh = false;
	s->deflate = d;
	io_work_mark(&s->step);
}

static void inflate_some(struct io_stream *s)
{
	struct io_deflate *d = s->deflate;
	z_stream *z = &d->inflate;

	while (s->in.len < IO_HOLD_BYTES && (d->raw_in.len > 0 || d->full)) {
		size_t before = d->raw_in.len;

		z->next_in = (unsigned char *)d->raw_in.data;
		z->avail_in = (unsigned)before;
		z->next_out = (unsigned char *)buf_reserve(&s->in, PIECE_BYTES);
		z->avail_out = PIECE_BYTES;
		int result = inflate(z, Z_SYNC_FLUSH);
		buf_added(&s->in, PIECE_BYTES - z->avail_out);
		buf_consume(&d->raw_in, before - z->avail_in);
		d->full = z->avail_out == 0;
		if (result == Z_STREAM_END) {
			io_stream_end(s, ERR_NONE, "\"%s\" ended the compressed stream",
				io_stream_name(s));
			return;
		}
		if (result != Z_OK && result != Z_BUF_ERROR) {
			io_stream_end(s, ERR_RETRY, "compressed data from \"%s\" is broken: %s",
				io_stream_name(s), z->msg != NULL ? z->msg : "zlib");
			return;
		}
	}
}

/* A few bytes may inflate to any number: no more of them than the in-buffer may hold, the rest
 * waits (a bomb costs time, not memory). */
void io_deflate_read(struct io_stream *s)
{
	struct io_deflate *d = s->deflate;

	inflate_some(s);
	if (s->in.len < IO_HOLD_BYTES && s->state == IO_OPEN && io_stream_read(s, &d->raw_in) > 0)
		inflate_some(s);
	if (d->raw_in.len > 0 || d->full)
		s->more = true;
	else
		buf_shrink(&d->raw_in, IO_KEEP_BYTES);
}

/* One sync flush for all that was written in this turn. */
void io_deflate_write(struct io_stream *s)
{
	struct io_deflate *d = s->deflate;
	z_stream *z = &d->deflate;

	while (s->out.len > 0 && d->raw_out.len < IO_HOLD_BYTES) {
		size_t take = s->out.len < PIECE_BYTES ? s->out.len : PIECE_BYTES;
		int flush = take == s->out.len ? Z_SYNC_FLUSH : Z_NO_FLUSH;

		z->next_in = (unsigned char *)s->out.data;
		z->avail_in = (unsigned)take;
		do {
			z->next_out = (unsigned char *)buf_reserve(&d->raw_out, IO_READ_BYTES);
			z->avail_out = IO_READ_BYTES;
			deflate(z, flush);
			buf_added(&d->raw_out, IO_READ_BYTES - z->avail_out);
		} while (z->avail_out == 0);
		mem_wipe(s->out.data, take);
		buf_consume(&s->out, take);
	}
	if (s->out.len == 0)
		buf_shrink(&s->out, IO_KEEP_BYTES);
}

struct buf *io_deflate_out(struct io_deflate *deflate)
{
	return &deflate->raw_out;
}

void io_deflate_free(struct io_deflate *deflate)
{
	if (deflate == NULL)
		return;
	inflateEnd(&deflate->inflate);
	deflateEnd(&deflate->deflate);
	buf_release(&deflate->raw_in);
	buf_release(&deflate->raw_out);
	free(deflate);
}
