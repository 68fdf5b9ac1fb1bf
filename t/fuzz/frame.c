/* Any bytes from the server, at once and in pieces: the same responses and the same octets in sinks.
 * The first octet seeds the sizes of the pieces. What the framer took for a body is one for the
 * reader of the whole response, and nothing else is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "imap/frame.h"
#include "imap/resp.h"

struct receiver {
	struct sink sink;
	struct buf out;
	struct resp_space *space;
	bool has_body;
	uint32_t uid;
	uint64_t size;
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void on_write(struct sink *sink, const char *data, size_t len)
{
	struct receiver *r = (struct receiver *)sink;
	buf_add(&r->out, data, len);
}

static void on_end(struct sink *sink, int whole)
{
	struct receiver *r = (struct receiver *)sink;
	buf_add_str(&r->out, whole ? "\nwhole\n" : "\ncut\n");
}

static struct sink *on_literal(void *arg, struct slice text, uint64_t size, bool *skip)
{
	static const struct sink_ops ops = { on_write, on_end };
	struct receiver *r = arg;
	uint32_t uid;
	if (!resp_is_body(text, &uid)) {
		*skip = size % 3 == 1 && text.len % 2 == 1;
		return NULL;
	}
	demand(!r->has_body);
	r->has_body = true;
	r->uid = uid;
	r->size = size;
	r->sink.ops = &ops;
	return &r->sink;
}

static void check(struct receiver *r, struct slice response)
{
	struct imap_resp resp;
	struct slice tag;
	resp_parse(r->space, response, &resp, &tag);
	if (r->has_body) {
		demand(resp.kind == IMAP_FETCH && (resp.fetch.items & IMAP_HAS_BODY) != 0);
		demand(resp.fetch.body_size == r->size && resp.fetch.body.len == 0);
		demand(r->uid == 0 || resp.fetch.uid == r->uid);
	} else if (resp.kind == IMAP_FETCH && (resp.fetch.items & IMAP_HAS_BODY) != 0) {
		demand(resp.fetch.body_size == resp.fetch.body.len);
	}
	r->has_body = false;
	buf_addf(&r->out, "%d:", resp.kind);
	buf_add_slice(&r->out, response);
	buf_add_str(&r->out, "\n");
}

static void drain(struct frame *f, struct buf *in, struct receiver *r, bool *failed)
{
	struct slice response;
	struct err err;
	int rc;
	while ((rc = frame_next(f, in, &response, &err)) == 1)
		check(r, response);
	if (rc < 0)
		buf_add_str(&r->out, err.text);
	*failed = rc < 0;
	demand(*failed || in->len == 0);
}

/* seed 0: all at once. */
static void run(const uint8_t *data, size_t size, uint32_t seed, struct buf *out)
{
	struct receiver r = { .space = resp_space_new() };
	struct buf in;
	bool failed = false;
	buf_init(&r.out, 0);
	buf_init(&in, 0);
	struct frame *f = frame_new(on_literal, &r);
	for (size_t at = 0; at < size && !failed;) {
		seed = seed * 1664525 + (seed != 0 ? 1013904223 : 0);
		size_t len = seed == 0 ? size : 1 + (seed >> 24) % 23;
		len = len < size - at ? len : size - at;
		buf_add(&in, data + at, len);
		at += len;
		drain(f, &in, &r, &failed);
	}
	frame_free(f);
	buf_release(&in);
	resp_space_free(r.space);
	*out = r.out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;
	if (size == 0)
		return 0;
	run(data + 1, size - 1, 0, &whole);
	run(data + 1, size - 1, data[0] + 1u, &pieces);
	demand(whole.len == pieces.len);
	demand(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
	buf_release(&whole);
	buf_release(&pieces);
	return 0;
}
