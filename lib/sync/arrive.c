/* Arrive: a body on its way from a literal to the store and the Maildir.
 *
 * Note, do, agree. The octets go to memory (a small message) or through (a large one) into a file in
 * the root's tmp folder and into the store's pieces; nothing points to either yet. When the FETCH
 * response has ended and said whose body it was, arrival_take gives the file its tmp name, and the
 * next transaction writes the record, with the projection that says where the file belongs. Only
 * after that commit is it renamed (batch.c). A crash leaves a tmp file or pieces that are swept.
 *
 * A body is a message only if its whole literal came (S17); one whose size is not RFC822.SIZE is
 * held until the server has shown that the UID is still there (haul.c). */
#include <stdlib.h>

#include "base/point.h"
#include "sync/private.h"

/* Up to this size a body is held in memory and handled in one go. */
#define HELD_OCTETS (256u << 10)
/* Of one that is larger, what is held for its Message-ID. */
#define HEADER_OCTETS (64u << 10)

struct arrival {
	struct sink sink;
	struct arrival *next;
	struct box *box;
	uint32_t uid;
	uint64_t size, came;
	unsigned lane;        /* the connection it comes over */
	bool ended, whole, abandoned;
	bool stand_in; /* its file is in tmp */
	struct buf held;
	bool streams; /* larger: through the following as it comes */
	struct store_body *body;
	struct maildir_file *file;
	struct mail_hash *hash, *file_hash;
	struct mail_lines lines;
	struct err err;  /* why it could not be kept */
	uint8_t sha256[MAIL_HASH_SIZE], file_sha256[MAIL_HASH_SIZE];
	struct maildir_stat st;
};

static struct sync *arrival_sync(struct arrival *a)
{
	return a->box->sync;
}

static void arrival_begin(struct arrival *a)
{
	struct sync *s = arrival_sync(a);

	a->body = store_body_new(s->store);
	a->hash = mail_hash_new();
	a->file_hash = mail_hash_new();
	a->file = maildir_file_new(s->maildir, &a->err);
}

static void arrival_pass(struct arrival *a, const char *data, size_t len, bool last)
{
	struct buf *text = &arrival_sync(a)->text;

	if (a->err.cls != ERR_NONE)
		return;
	mail_hash_add(a->hash, data, len);
	store_body_write(a->body, data, len);
	buf_clear(text);
	mail_lines_to_file(&a->lines, (struct slice){ data, len }, last, text);
	/* The file's own hash is needed only where line ends do not come back; a small message is
	 * hashed again then, a large one is hashed along. */
	if (a->streams)
		mail_hash_add(a->file_hash, text->data, text->len);
	if (maildir_file_write(a->file, text->data, text->len, &a->err) < 0)
		return;
	if (last && !a->streams && a->lines.lossy)
		mail_hash_add(a->file_hash, text->data, text->len);
}

static void arrival_write(struct sink *sink, const char *data, size_t len)
{
	struct arrival *a = (struct arrival *)sink;
	struct sync *s = arrival_sync(a);

	a->came += len;
	if (!a->streams) {
		buf_add(&a->held, data, len);
		return;
	}
	if (a->held.len < HEADER_OCTETS)
		buf_add(&a->held, data, len < HEADER_OCTETS ? len : HEADER_OCTETS);
	arrival_pass(a, data, len, false);
	s->progress.octets_done += len;
	if (store_body_waiting(a->body) >= BATCH_OCTETS)
		account_mark(s);
}

static void arrival_end(struct sink *sink, int whole)
{
	struct arrival *a = (struct arrival *)sink;

	a->ended = true;
	a->whole = whole;
	if (arrival_sync(a)->under_way[a->lane] == a)
		arrival_sync(a)->under_way[a->lane] = NULL;
	if (a->abandoned)
		arrival_free(a);
}

struct arrival *arrival_new(struct visit *v, uint32_t uid, uint64_t size)
{
	static const struct sink_ops ops = { arrival_write, arrival_end };
	struct arrival *a = mem_new(sizeof *a);

	a->sink.ops = &ops;
	a->box = v->box;
	a->lane = v->link->index;
	a->uid = uid;
	a->size = size;
	a->streams = size > HELD_OCTETS;
	buf_init(&a->held, 0);
	if (a->streams)
		arrival_begin(a);
	v->box->sync->under_way[a->lane] = a;
	return a;
}

struct arrival *arrival_next(const struct arrival *a)
{
	return a->next;
}

struct sink *arrival_sink(struct arrival *a)
{
	return &a->sink;
}

bool arrival_is_whole(const struct arrival *a)
{
	return a->ended && a->whole;
}

uint64_t arrival_octets(const struct arrival *a)
{
	return a->came;
}

bool arrival_is_of(const struct arrival *a, const struct store_message *m)
{
	static const uint8_t not_learnt[sizeof m->message_id];
	uint8_t id[sizeof m->message_id];

	if (memcmp(m->message_id, not_learnt, sizeof id) == 0)
		return true;
	match_message_id(buf_slice(&a->held), id);
	return memcmp(m->message_id, id, sizeof id) == 0;
}

/* Ends the file and computes what the record will say. */
static void arrival_close(struct arrival *a, const struct store_message *m)
{
	char tmp[32];

	if (!a->streams) {
		arrival_begin(a);
		arrival_pass(a, a->held.data, a->held.len, true);
	} else {
		arrival_pass(a, "", 0, true);
	}
	buf_release(&a->held);
	if (a->err.cls != ERR_NONE)
		return;
	mail_hash_take(a->hash, a->sha256);
	mail_hash_take(a->file_hash, a->file_sha256);
	project_tmp_name(m->number, tmp);
	if (maildir_file_finish(a->file, tmp, m->date, &a->st, &a->err) < 0)
		return;
	/* What is not needed until the commit goes at once: a batch holds thousands. */
	maildir_file_free(a->file);
	mail_hash_free(a->hash);
	mail_hash_free(a->file_hash);
	a->file = NULL;
	a->hash = a->file_hash = NULL;
	point("sync.body-in-tmp");
}

void arrival_take(struct arrival *a, const struct store_message *m)
{
	struct sync *s = arrival_sync(a);

	a->uid = m->uid;
	arrival_close(a, m);
	if (a->err.cls != ERR_NONE) {
		struct err err = a->err;
		arrival_free(a);
		account_fail(s, &err);
		return;
	}
	if (!a->streams)
		s->progress.octets_done += a->came;
	*s->arrived_end = a;
	s->arrived_end = &a->next;
	s->arrived_count++;
	s->arrived_octets += store_body_waiting(a->body);
	account_mark(s);
}

void arrival_stand_in(struct box *box, const struct store_message *m, struct slice text)
{
	struct sync *s = box->sync;
	struct arrival *a = mem_new(sizeof *a);
	char tmp[32];

	a->box = box;
	a->uid = m->uid;
	a->stand_in = true;
	project_tmp_name_of_stand_in(m->number, tmp);
	buf_init(&a->held, 0);
	mail_lines_to_file(&a->lines, text, true, &a->held);
	a->file = maildir_file_new(s->maildir, &a->err);
	if (!a->file || maildir_file_write(a->file, a->held.data, a->held.len, &a->err) < 0 ||
		maildir_file_finish(a->file, tmp, m->date, &a->st, &a->err) < 0) {
		struct err err = a->err;
		arrival_free(a);
		account_fail(s, &err);
		return;
	}
	maildir_file_free(a->file);
	a->file = NULL;
	buf_release(&a->held);
	point("sync.stand-in-in-tmp");
	*s->arrived_end = a;
	s->arrived_end = &a->next;
	s->arrived_count++;
	s->progress.octets_done += m->size;
	account_mark(s);
}

static void file_stand_in(struct arrival *a, struct store_message *m)
{
	struct box *box = a->box;

	batch_show(box->sync, m, &a->st);
	box->sync->progress.messages_done++;
	box->rec_changed |= !(box->rec.state & STORE_MAILBOX_STAND_INS);
	box->rec.state |= STORE_MAILBOX_STAND_INS;
}

void arrival_file(struct arrival *a)
{
	struct sync *s = arrival_sync(a);
	struct store_message m;

	store_message_init(&m);
	if (!store_message_by_uid(s->store, a->box->rec.id, a->uid, &m) || m.body != 0 ||
		(a->stand_in && !standin_is_owed(&m))) {
		store_message_release(&m); /* expunged meanwhile; its tmp file is swept */
		return;
	}
	if (a->stand_in) {
		file_stand_in(a, &m);
		store_message_release(&m);
		return;
	}
	m.body = store_body_finish(a->body, a->sha256, a->lines.lossy ? a->file_sha256 : NULL);
	a->body = NULL;
	batch_show(s, &m, &a->st);
	s->progress.messages_done++;
	store_message_release(&m);
}

void arrivals_flush(struct sync *s)
{
	for (unsigned i = 0; i < LINKS; i++) {
		struct arrival *a = s->under_way[i];
		if (a && a->streams && a->err.cls == ERR_NONE)
			store_body_flush(a->body);
	}
}

bool arrivals_wait(const struct sync *s)
{
	for (unsigned i = 0; i < LINKS; i++) {
		const struct arrival *a = s->under_way[i];
		if (a && a->streams && store_body_waiting(a->body) >= BATCH_OCTETS)
			return true;
	}
	return false;
}

void arrival_abandon(struct arrival *a)
{
	if (a && !a->ended)
		a->abandoned = true;
	else
		arrival_free(a);
}

void arrival_free(struct arrival *a)
{
	if (!a)
		return;
	if (arrival_sync(a)->under_way[a->lane] == a)
		arrival_sync(a)->under_way[a->lane] = NULL;
	store_body_free(a->body);
	maildir_file_free(a->file);
	mail_hash_free(a->hash);
	mail_hash_free(a->file_hash);
	buf_release(&a->held);
	free(a);
}

void arrivals_free(struct sync *s)
{
	while (s->arrived) {
		struct arrival *a = s->arrived;
		s->arrived = a->next;
		arrival_free(a);
	}
	s->arrived_end = &s->arrived;
	s->arrived_count = 0;
	s->arrived_octets = 0;
}
