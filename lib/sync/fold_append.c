/* Fold an upload: the message exists from now on, with a local number, a body in the store and a file in the
 * Maildir; only its UID is still to come. What is sent lies in STATE/outgoing, where it was durable before
 * the line was; a script's line names a file, which is taken in here. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/actions.h"

#define PIECE 65536
#define HEADER 65536

/* Takes in the file of a script's line: hex gets its hash. NULL, or why not. */
static const char *take_in(struct sync *s, const char *path, char hex[65], uint64_t *size, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *why = NULL;

	if (fd < 0)
		return "its file cannot be opened";
	if (queue_body_store(s->queue, fd, 0, hex, size, err) < 0 || queue_bodies_sync(s->queue, err) < 0)
		why = err->text;
	close(fd);
	return why;
}

/* The body into the store, the beginning of it into *header. NULL, or why not; `name` is its hash. */
static const char *read_body(struct sync *s, int fd, const char *name, uint64_t *body, struct buf *header)
{
	struct store_body *b = store_body_new(s->store);
	struct mail_hash *hash = mail_hash_new();
	uint8_t sha256[MAIL_HASH_SIZE];
	char *piece = mem_new(PIECE), hex[65];
	ssize_t n;

	while ((n = read(fd, piece, PIECE)) > 0) {
		mail_hash_add(hash, piece, (size_t)n);
		store_body_write(b, piece, (size_t)n);
		if (header->len < HEADER)
			buf_add(header, piece, (size_t)n);
		if (store_body_waiting(b) >= BATCH_OCTETS)
			store_body_flush(b);
	}
	mail_hash_take(hash, sha256);
	mail_hash_free(hash);
	free(piece);
	mail_hash_hex(sha256, hex);
	if (n == 0 && strcmp(hex, name) == 0) {
		*body = store_body_finish(b, sha256, NULL);
		return NULL;
	}
	store_body_free(b);
	return n < 0 ? "its body cannot be read" : "its body in outgoing/ is not what was queued";
}

static void note_made(struct sync *s, uint64_t action, uint64_t message)
{
	char name[40];

	snprintf(name, sizeof name, "queue.made.%llu", (unsigned long long)action);
	store_put_number(s->store, name, message);
}

/* A stand-in is ours, not mail (S10). Anybody may write such a header: it counts where we know the message,
 * and do not hold the whole of it. */
static bool is_our_standin(struct sync *s, struct slice header)
{
	struct store_message m;
	uint64_t number;
	bool is;

	store_message_init(&m);
	is = mail_is_standin(header, &number) && store_message_get(s->store, number, &m) && m.body == 0;
	store_message_release(&m);
	return is;
}

static const char *make_message(struct sync *s, struct store_action *a, int fd)
{
	struct store_message m;
	struct store_part p;
	struct buf header;
	const char *why = NULL;

	store_message_init(&m);
	buf_init(&header, 0);
	why = read_body(s, fd, a->text, &m.body, &header);
	if (!why && is_our_standin(s, buf_slice(&header)))
		why = "it is a stand-in, not the message; `mailtide fetch` brings that";
	if (why)
		goto out;
	m.state = STORE_HERE;
	m.mailbox = a->mailbox;
	m.date = a->date;
	m.size = a->size;
	mail_flags_copy(&m.flags, &a->add);
	match_message_id(buf_slice(&header), m.message_id);
	store_message_put(s->store, &m);
	a->message = m.number;
	store_action_put(s->store, a);
	p = (struct store_part){ .action = a->number, .message = m.number, .mailbox = m.mailbox };
	store_part_put(s->store, &p);
	note_made(s, a->number, m.number);
	show_update(s, &m);
	store_message_put(s->store, &m);
out:
	buf_release(&header);
	store_message_release(&m);
	return why;
}

static int64_t delivery_date(struct sync *s, const struct queue_action *line)
{
	const char *text = queue_action_get(line, "date");
	int64_t date;

	if (text && queue_time_parse(slice_of(text), &date))
		return date;
	return line->time ? line->time : s->now;
}

const char *fold_append(struct sync *s, const struct queue_action *line, struct store_action *a,
	struct err *err)
{
	const char *hex = queue_action_get(line, "sha256"), *path = queue_action_get(line, "file");
	const char *why = fold_flags(line, "flags", &a->add);
	char own[65];
	int fd;

	if (why)
		return why;
	if (!hex && !path)
		return "it names no message (\"sha256=\" or \"file=\")";
	if (!hex) {
		why = take_in(s, path, own, &a->size, err);
		hex = own;
	}
	if (why)
		return why;
	fd = queue_body_open(s->account->state, hex, &a->size, err);
	if (fd < 0)
		return "its body is not in outgoing/ any more";
	a->text = mem_copy(hex);
	a->date = delivery_date(s, line);
	why = make_message(s, a, fd);
	close(fd);
	return why;
}
