/* Streams without TLS: what comes and goes, in what order, and who may free what and when. */
#include "io_peer.h"

#define HOLD (256 * 1024)

/* Bytes in */

static void take_lines(struct owner *o)
{
	struct buf *in = io_stream_in(o->stream);
	const char *end;

	while (in->len > 0 && (end = memchr(in->data, '\n', in->len)) != NULL) {
		size_t len = (size_t)(end - in->data) + 1;
		buf_add_char(&o->got, '[');
		buf_add(&o->got, in->data, len - 1);
		buf_add_char(&o->got, ']');
		buf_consume(in, len);
	}
}

static void test_split_reads(void)
{
	static const char text[] = "one\ntwo\nthree\nrest";
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	o.came = take_lines;
	is_int(o.opens, 0, "on_open does not come from adopt");
	for (const char *p = text; *p != '\0'; p++) {
		is_int(write(fd, p, 1), 1, "one octet");
		run_for(io, 0.002);
	}
	is_int(o.opens, 1, "on_open came once");
	is_str(buf_str(&o.got), "[one][two][three]", "lines from single octets");
	is_str(buf_str(io_stream_in(o.stream)), "rest", "what is not taken stays");
	ok(io_stream_is_loopback(o.stream), "a Unix socket is this machine");
	ok(!io_stream_is_tls(o.stream), "no TLS");
	is_str(io_stream_tls_describe(o.stream), "", "nothing to describe");
	is_str(io_stream_pin(o.stream), "", "no pin");
	close(fd);
	io_run(io);
	is_int(o.closeds, 1, "closed, and the loop ended");
	is_int(o.end.cls, ERR_NONE, "the peer's end is no error: %s", o.end.text);
	owner_release(&o);
	io_free(io);
}

static size_t taken_at_close;

static void take_nothing(struct owner *o)
{
	taken_at_close = io_stream_in(o->stream)->len;
}

static void test_data_before_end(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	is_int(write(fd, "* BYE\r\n", 7), 7, "the peer says goodbye");
	close(fd);
	o.came = take_nothing;
	io_run(io);
	is_int(o.datas, 1, "on_data comes before on_closed");
	is_int(taken_at_close, 7, "with all that came");
	is_int(o.closeds, 1, "then on_closed");
	owner_release(&o);
	io_free(io);
}

/* Resting: the loop must end when everybody waits for the owner, and go on when it took something. */

static void take_late(void *arg)
{
	struct owner *o = arg;

	o->came = NULL;
	owner_take(o);
}

static size_t push(int fd, const char *bytes, size_t len)
{
	ssize_t n = write(fd, bytes, len);

	return n > 0 ? (size_t)n : 0;
}

static void test_ceiling(void)
{
	size_t len = 4 << 20, sent = 0;
	char *bytes = some_bytes(len);
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	o.came = take_nothing;
	for (int i = 0; i < 200; i++) {
		sent += push(fd, bytes + sent, len - sent);
		run_for(io, 0.0005);
	}
	size_t held = io_stream_in(o.stream)->len;
	ok(held >= HOLD && held <= 2 * HOLD, "reading stops near 256 KB (%zu)", held);
	ok(sent < len, "and the peer is stopped (%zu)", sent);

	double before = io_now();
	io_run(io);
	ok(io_now() - before < 1, "the loop ends: nobody could call back");

	struct io_timer *t = io_timer_new(io, take_late, &o);
	io_timer_start(t, 0.01);
	run_for(io, 0.02);
	for (int i = 0; i < 5000 && o.got.len < len; i++) {
		sent += push(fd, bytes + sent, len - sent);
		run_for(io, 0.001);
	}
	is_int(o.got.len, len, "all came");
	ok(memcmp(o.got.data, bytes, len) == 0, "as it was sent");
	run_for(io, 0.001);
	is_int(push(fd, "x", 1), 1, "a last octet");
	run_for(io, 0.01);
	ok(io_stream_in(o.stream)->size <= 64 * 1024, "a quiet stream keeps little memory (%zu)",
		io_stream_in(o.stream)->size);
	io_timer_free(t);
	close(fd);
	owner_release(&o);
	io_free(io);
	free(bytes);
}

/* Without any other watcher, the loop must notice what its last callback took. */
static void test_last_callback_takes(void)
{
	char *bytes = some_bytes(2 * HOLD);
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);
	size_t sent = 0;

	o.came = take_nothing;
	for (int i = 0; i < 50; i++) {
		sent += push(fd, bytes, HOLD);
		run_for(io, 0.0005);
	}
	close(fd);
	struct io_timer *t = io_timer_new(io, take_late, &o);
	io_timer_start(t, 0.01);
	io_run(io);
	is_int(o.got.len, sent, "what waited in the kernel came too");
	is_int(o.closeds, 1, "and the end");
	io_timer_free(t);
	owner_release(&o);
	io_free(io);
	free(bytes);
}

static void test_hold(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	io_stream_hold(o.stream, true);
	is_int(write(fd, "abc", 3), 3, "the peer writes");
	run_for(io, 0.01);
	is_int(o.opens, 1, "a held stream opens");
	is_int(o.datas, 0, "but tells of no data");
	close(fd);
	io_run(io);
	is_int(o.closeds, 0, "nor of its end; the loop ends");
	io_stream_hold(o.stream, false);
	is_int(o.datas, 0, "releasing calls nothing");
	io_run(io);
	is_str(buf_str(&o.got), "abc", "then data");
	is_int(o.closeds, 1, "then the end");
	owner_release(&o);
	io_free(io);
}

static void hold_after_first(struct owner *o)
{
	struct buf *in = io_stream_in(o->stream);

	buf_add(&o->got, in->data, 1);
	buf_consume(in, 1);
	io_stream_hold(o->stream, true);
}

static void test_hold_in_the_middle(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	o.came = hold_after_first;
	is_int(write(fd, "abc", 3), 3, "three octets");
	run_for(io, 0.01);
	is_str(buf_str(&o.got), "a", "the receiver waits after the first");
	for (int i = 0; i < 2; i++) {
		io_stream_hold(o.stream, false);
		run_for(io, 0.005);
	}
	is_str(buf_str(&o.got), "abc", "resuming brings what it had left, without new data");
	close(fd);
	owner_release(&o);
	io_free(io);
}

/* Bytes out */

static void write_three(struct owner *o)
{
	io_stream_write(o->stream, "a", 1);
	io_stream_write(o->stream, "", 0);
	io_stream_write(o->stream, "b", 1);
	is_int(io_stream_pending(o->stream), 2, "written, not sent");
	io_stream_write(o->stream, "c", 1);
}

static void test_gathered(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_SEQPACKET); /* one send, one record */
	char text[16] = "";

	o.opened = write_three;
	run_for(io, 0.01);
	is_int(read(fd, text, sizeof text), 3, "three writes leave as one");
	is_str(text, "abc", "in order");
	is_int(o.draineds, 1, "drained once");
	is_int(io_stream_pending(o.stream), 0, "nothing pending");
	close(fd);
	owner_release(&o);
	io_free(io);
}

static void test_full_send_buffer(void)
{
	size_t len = 8 << 20;
	char *bytes = some_bytes(len);
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	io_stream_write(o.stream, bytes, 3 << 20);
	io_stream_write(o.stream, bytes + (3 << 20), len - (3 << 20));
	run_for(io, 0.02);
	size_t pending = io_stream_pending(o.stream);
	ok(pending > 0 && pending < len, "half-written (%zu pending)", pending);
	is_int(o.draineds, 0, "not drained");
	is_int(write(fd, "heard", 5), 5, "the peer, which takes nothing, speaks");
	run_for(io, 0.02);
	is_str(buf_str(&o.got), "heard", "and is heard (C7)");

	struct buf all;
	buf_init(&all, 0);
	for (int i = 0; i < 2000 && all.len < len; i++) {
		char *room = buf_reserve(&all, 1 << 20);
		ssize_t n = read(fd, room, 1 << 20);
		buf_added(&all, n > 0 ? (size_t)n : 0);
		run_for(io, 0.001);
	}
	is_int(all.len, len, "then it takes all");
	ok(memcmp(all.data, bytes, len) == 0, "as it was written");
	is_int(o.draineds, 1, "drained once");
	buf_release(&all);
	close(fd);
	owner_release(&o);
	io_free(io);
	free(bytes);
}

/* The peer has spoken, and closed; our write fails (without SIGPIPE), what it said is heard. */
static void test_broken_write(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	run_for(io, 0.005);
	is_int(write(fd, "* BYE\r\n", 7), 7, "a last word");
	close(fd);
	io_stream_write(o.stream, "LOGOUT\r\n", 8);
	io_run(io);
	is_str(buf_str(&o.got), "* BYE\r\n", "is heard");
	is_int(o.closeds, 1, "and the stream ends (%s)", o.end.text);
	owner_release(&o);
	io_free(io);
}

/* A peer that takes no more, but does not end. */
static void test_deaf_peer(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	shutdown(fd, SHUT_RD);
	io_stream_write(o.stream, "hello", 5);
	run_for(io, 0.05);
	is_int(o.closeds, 1, "a write that fails ends the stream");
	is_int(o.end.cls, ERR_RETRY, "as an error of the network: %s", o.end.text);
	close(fd);
	owner_release(&o);
	io_free(io);
}

/* Freeing */

static void free_it(struct owner *o)
{
	owner_free_stream(o);
}

static void write_and_free(struct owner *o)
{
	io_stream_write(o->stream, "x", 1);
	io_stream_deflate(o->stream);
	owner_free_stream(o);
}

static void test_freeing(void)
{
	static const struct {
		const char *name;
		void (*opened)(struct owner *o), (*came)(struct owner *o), (*drained)(struct owner *o);
	} rows[] = {
		{ "on_open", free_it, NULL, NULL },
		{ "on_open, with work under way", write_and_free, NULL, NULL },
		{ "on_data", NULL, free_it, NULL },
		{ "on_data, with work under way", NULL, write_and_free, NULL },
		{ "on_drained", write_three, NULL, free_it },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct io *io = io_new();
		struct owner o;
		int fd = owner_adopt(&o, io, SOCK_STREAM);

		o.opened = rows[i].opened;
		o.came = rows[i].came;
		o.drained = rows[i].drained;
		is_int(write(fd, "data", 4), 4, "data for it");
		io_run(io);
		ok(o.stream == NULL && o.closeds == 0, "freed in %s, and the loop ends", rows[i].name);
		close(fd);
		owner_release(&o);
		io_free(io);
	}
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);
	owner_free_stream(&o);
	io_run(io);
	is_int(o.opens + o.closeds, 0, "freed before anything: no callback");
	close(fd);
	owner_release(&o);
	io_free(io);
	io_stream_free(NULL);
}

static void other_frees(void *arg)
{
	owner_free_stream(arg);
}

/* The stream goes while its data, its end and its writing are all due. */
static void test_freed_by_another(void)
{
	struct io *io = io_new();
	struct owner o;
	struct io_work work;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	run_for(io, 0.005);
	is_int(write(fd, "data", 4), 4, "data");
	close(fd);
	io_stream_write(o.stream, "x", 1);
	io_work_init(&work, io, other_frees, &o);
	io_work_mark(&work);
	io_run(io);
	is_int(o.datas + o.closeds, 0, "freed by another's work: no callback");
	owner_release(&o);
	io_free(io);
}

int main(void)
{
	give_up_after(100);
	test_split_reads();
	test_data_before_end();
	test_ceiling();
	test_last_callback_takes();
	test_hold();
	test_hold_in_the_middle();
	test_gathered();
	test_full_send_buffer();
	test_broken_write();
	test_deaf_peer();
	test_freeing();
	test_freed_by_another();
	return done_testing();
}
