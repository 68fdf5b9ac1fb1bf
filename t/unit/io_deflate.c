/* COMPRESS=DEFLATE: what the peer inflates and deflates with zlib itself. */
#include <zlib.h>

#include "io_peer.h"

#define HOLD (256 * 1024)

/* The peer's side */

struct zpeer {
	z_stream in, out;
	struct buf got;
	size_t flushes; /* that end with an empty stored block */
};

static void zpeer_init(struct zpeer *p)
{
	*p = (struct zpeer){ .flushes = 0 };
	buf_init(&p->got, 0);
	inflateInit2(&p->in, -15);
	deflateInit2(&p->out, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
}

static void zpeer_release(struct zpeer *p)
{
	inflateEnd(&p->in);
	deflateEnd(&p->out);
	buf_release(&p->got);
}

static void zpeer_take(struct zpeer *p, const char *data, size_t len)
{
	static char out[1 << 16];

	p->in.next_in = (unsigned char *)data;
	p->in.avail_in = (unsigned)len;
	do {
		p->in.next_out = (unsigned char *)out;
		p->in.avail_out = sizeof out;
		inflate(&p->in, Z_SYNC_FLUSH);
		buf_add(&p->got, out, sizeof out - p->in.avail_out);
	} while (p->in.avail_out == 0);
}

static void zpeer_pack(struct zpeer *p, const void *data, size_t len, int flush, struct buf *out)
{
	p->out.next_in = (unsigned char *)data;
	p->out.avail_in = (unsigned)len;
	do {
		p->out.next_out = (unsigned char *)buf_reserve(out, 1 << 16);
		p->out.avail_out = 1 << 16;
		deflate(&p->out, flush);
		buf_added(out, (1 << 16) - p->out.avail_out);
	} while (p->out.avail_out == 0);
}

static void deflate_now(struct owner *o)
{
	io_stream_deflate(o->stream);
}

/* Received in pieces of any size. */
static void test_inflate(size_t len, size_t largest)
{
	char *bytes = some_bytes(len);
	struct io *io = io_new();
	struct owner o;
	struct zpeer p;
	struct buf packed;
	unsigned x = 7;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	o.opened = deflate_now;
	zpeer_init(&p);
	buf_init(&packed, 0);
	zpeer_pack(&p, bytes, len, Z_SYNC_FLUSH, &packed);
	for (size_t sent = 0; sent < packed.len; ) {
		size_t piece = 1 + (x = x * 1103515245 + 12345) / 65536 % largest;
		if (piece > packed.len - sent)
			piece = packed.len - sent;
		ssize_t n = write(fd, packed.data + sent, piece);
		sent += n > 0 ? (size_t)n : 0;
		run_for(io, 0.0002);
	}
	run_for(io, 0.01);
	is_int(o.got.len, len, "inflated, from pieces of up to %zu octets", largest);
	ok(o.got.len == len && memcmp(o.got.data, bytes, len) == 0, "as it was");
	close(fd);
	io_run(io);
	is_int(o.end.cls, ERR_NONE, "an end without Z_FINISH is in order");
	buf_release(&packed);
	zpeer_release(&p);
	owner_release(&o);
	io_free(io);
	free(bytes);
}

/* What was written before goes out as it is; what came after the server's OK is compressed. */

static void take_ok_then_deflate(struct owner *o)
{
	struct buf *in = io_stream_in(o->stream);

	if (o->datas > 1) {
		owner_take(o);
		return;
	}
	buf_consume(in, 4);
	io_stream_write(o->stream, "plain", 5);
	io_stream_deflate(o->stream);
	is_int(in->len, 0, "what is compressed is taken out");
	io_stream_write(o->stream, "packed", 6);
}

static void test_the_switch(void)
{
	struct io *io = io_new();
	struct owner o;
	struct zpeer p;
	struct buf packed;
	char text[64] = "";
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	zpeer_init(&p);
	buf_init(&packed, 0);
	buf_add_str(&packed, "OK\r\n");
	zpeer_pack(&p, "hello", 5, Z_SYNC_FLUSH, &packed);
	o.came = take_ok_then_deflate;
	is_int(write(fd, packed.data, packed.len), packed.len, "OK and compressed data in one segment");
	run_for(io, 0.01);
	is_str(buf_str(&o.got), "hello", "the rest of it was inflated");
	ssize_t n = read(fd, text, sizeof text);
	ok(n > 5 && memcmp(text, "plain", 5) == 0, "what was written before is not compressed");
	zpeer_take(&p, text + 5, n > 5 ? (size_t)n - 5 : 0);
	is_str(buf_str(&p.got), "packed", "what was written after is");
	buf_release(&packed);
	zpeer_release(&p);
	close(fd);
	owner_release(&o);
	io_free(io);
}

/* One flush for many writes, and large ones in order. */

static void write_many(struct owner *o)
{
	io_stream_deflate(o->stream);
	for (int i = 0; i < 100; i++)
		io_stream_write(o->stream, "x", 1);
}

static void test_one_flush(void)
{
	struct io *io = io_new();
	struct owner o;
	struct zpeer p;
	char text[256];
	int fd = owner_adopt(&o, io, SOCK_SEQPACKET);

	zpeer_init(&p);
	o.opened = write_many;
	run_for(io, 0.01);
	ssize_t n = read(fd, text, sizeof text);
	ok(n > 0 && n < 30, "a hundred writes in one small segment (%zd)", n);
	zpeer_take(&p, text, n > 0 ? (size_t)n : 0);
	is_int(p.got.len, 100, "all of them");
	is_int(o.draineds, 1, "drained once");
	is_int(io_stream_pending(o.stream), 0, "nothing pending");
	zpeer_release(&p);
	close(fd);
	owner_release(&o);
	io_free(io);
}

static void test_deflate(void)
{
	size_t len = 3 << 20;
	char *bytes = some_bytes(len), piece[50000];
	struct io *io = io_new();
	struct owner o;
	struct zpeer p;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	zpeer_init(&p);
	o.opened = deflate_now;
	run_for(io, 0.005);
	io_stream_write(o.stream, bytes, 1 << 20);
	run_for(io, 0.02);
	io_stream_write(o.stream, bytes + (1 << 20), len - (1 << 20));
	for (int i = 0; i < 3000 && p.got.len < len; i++) {
		ssize_t n = read(fd, piece, sizeof piece);
		if (n > 0)
			zpeer_take(&p, piece, (size_t)n);
		else
			run_for(io, 0.002);
	}
	is_int(p.got.len, len, "3 MB, through a narrow socket");
	ok(p.got.len == len && memcmp(p.got.data, bytes, len) == 0, "as they were");
	is_int(io_stream_pending(o.stream), 0, "nothing pending");
	zpeer_release(&p);
	close(fd);
	owner_release(&o);
	io_free(io);
	free(bytes);
}

/* 64 MB of zeros in 64 KB: held back with the in-buffer full, and all there in the end. */

static size_t largest_in, total_in;

static void look_only(struct owner *o)
{
	size_t len = io_stream_in(o->stream)->len;

	largest_in = len > largest_in ? len : largest_in;
}

static void count_and_take(struct owner *o)
{
	look_only(o);
	total_in += io_stream_in(o->stream)->len;
	buf_consume(io_stream_in(o->stream), io_stream_in(o->stream)->len);
}

static void take_again(void *arg)
{
	struct owner *o = arg;

	o->came = count_and_take;
	count_and_take(o);
}

static void test_bomb(void)
{
	size_t len = 64 << 20;
	char *zeros = mem_new(len);
	struct io *io = io_new();
	struct owner o;
	struct zpeer p;
	struct buf packed;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	zpeer_init(&p);
	buf_init(&packed, 0);
	zpeer_pack(&p, zeros, len, Z_SYNC_FLUSH, &packed);
	o.opened = deflate_now;
	o.came = look_only;
	is_int(write(fd, packed.data, packed.len), packed.len, "%zu bytes that inflate to 64 MB",
		packed.len);
	close(fd);
	io_run(io);
	is_int(o.closeds, 0, "the loop ends while nobody takes anything");
	ok(largest_in >= HOLD && largest_in <= 2 * HOLD, "never more than the ceiling (%zu)",
		largest_in);
	struct io_timer *t = io_timer_new(io, take_again, &o);
	io_timer_start(t, 0.001);
	io_run(io);
	is_int(total_in, len, "all comes when it is taken");
	ok(largest_in <= 2 * HOLD, "never more than the ceiling (%zu)", largest_in);
	is_int(o.closeds, 1, "then the end");
	io_timer_free(t);
	buf_release(&packed);
	zpeer_release(&p);
	owner_release(&o);
	io_free(io);
	free(zeros);
}

static void test_broken(const char *name, const char *data, size_t len, enum err_class cls)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	o.opened = deflate_now;
	is_int(write(fd, data, len), len, "%s", name);
	io_run(io);
	is_int(o.closeds, 1, "ends the stream");
	is_int(o.end.cls, cls, "class of: %s", o.end.text);
	close(fd);
	owner_release(&o);
	io_free(io);
}

int main(void)
{
	give_up_after(100);
	test_inflate(1000, 3);
	test_inflate(300000, 2000);
	test_inflate(2 << 20, 100000);
	test_the_switch();
	test_one_flush();
	test_deflate();
	test_bomb();
	test_broken("not deflate", "\xff\xff\xff\xff", 4, ERR_RETRY);
	test_broken("a final block", "\x03\x00", 2, ERR_NONE);
	return done_testing();
}
