/* Match: is a message that is new to us one that we hold already (S2, S12, RFC 8474)?
 *
 * Two questions, asked in this order, of every message that is UNMATCHED:
 * - Is it an orphan of this mailbox, which lost its UID with its UIDVALIDITY? Then the orphan gets the
 *   UID, keeps its number, body and file, and only its flags follow. Exactly one to one, or not at all; but of
 *   equal ones that the replay has put there, and whose UIDs were not told, as many as have come.
 * - Does the store have its body, for another mailbox? Then that body is its body, and is not fetched
 *   again. Several messages may name the body, but it must be one body.
 * The same mail is what has the same EMAILID, else the same Message-ID with the same INTERNALDATE and
 * RFC822.SIZE. Those two tell without a question to the server which messages are worth asking for
 * their Message-ID; a first sync asks for none.
 *
 * What is UNMATCHED has no body asked for. A crash leaves it so, with the mailbox's record MATCHING, and the
 * next pull goes on here. When all are answered, orphans that found no UID are expunged messages. */
#include <stdio.h>
#include <stdlib.h>

#include "base/point.h"
#include "sync/actions.h"

/* So many messages with one date and size are not told apart any more, they are fetched. */
#define ALIKE_MAX 64

bool match_has_id(const uint8_t id[16])
{
	static const uint8_t no_id[16];

	return memcmp(id, no_id, 16) != 0;
}

void match_message_id(struct slice header, uint8_t id[16])
{
	struct mail_header fields;
	struct mail_hash *hash;
	uint8_t sha256[MAIL_HASH_SIZE];

	memset(id, 0, 16);
	mail_header_parse(header, &fields);
	if (fields.message_id) {
		hash = mail_hash_new();
		mail_hash_add(hash, fields.message_id, strlen(fields.message_id));
		mail_hash_take(hash, sha256);
		mail_hash_free(hash);
		memcpy(id, sha256, 16);
	}
	mail_header_release(&fields);
}

static void keep_header(void *arg, const void *data, size_t len)
{
	struct buf *header = arg;

	if (header->len < (64u << 10))
		buf_add(header, data, len);
}

bool match_known_id(struct sync *s, const struct store_message *m, uint8_t id[16])
{
	struct buf header;

	memcpy(id, m->message_id, 16);
	if (match_has_id(id) || !m->body)
		return match_has_id(id);
	buf_init(&header, 0);
	if (store_body_read(s->store, m->body, keep_header, &header, NULL) == 0)
		match_message_id(buf_slice(&header), id);
	buf_release(&header);
	return match_has_id(id);
}

/* What has one EMAILID is the same octets; where the sizes differ, the server lies. */
bool match_same_emailid(const struct store_message *a, const struct store_message *b)
{
	return strcmp(a->emailid, b->emailid) == 0 && a->size == b->size;
}

static bool same_mail(struct sync *s, const struct store_message *n, const struct store_message *k)
{
	uint8_t id[16];

	if (n->emailid && k->emailid)
		return match_same_emailid(n, k);
	return match_has_id(n->message_id) && match_known_id(s, k, id) && memcmp(id, n->message_id, 16) == 0;
}

/* Neither has one: the same date and size must do. */
static bool lacks_id(struct sync *s, const struct store_message *n, const struct store_message *k)
{
	uint8_t id[16];

	return !match_has_id(n->message_id) && !match_known_id(s, k, id) && k->body;
}

bool match_suspects(struct sync *s, int64_t date, uint64_t size, bool has_emailid, bool *by_message_id)
{
	struct store_message k;
	bool found = false, by_id = false;
	unsigned seen = 0;

	if (!s->account->match_bodies)
		return false;
	store_message_init(&k);
	for (uint64_t after = 0; !by_id && seen++ < ALIKE_MAX &&
		store_alike_next(s->store, date, size, after, &k);
		after = k.number) {
		found |= k.body != 0;
		by_id |= k.body && !(has_emailid && k.emailid);
	}
	store_message_release(&k);
	*by_message_id = by_id;
	return found;
}

/* What is known of one message's candidates. */
struct found {
	uint64_t orphan, ours;
	unsigned orphans, rivals, ours_count;
	bool ours_alike;
	uint64_t body;
	bool bodies_differ;
};

/* Put there by us, and its UID was not told. Of equal ones any will do, as many as have come; flags tell, where they
 * can, which is which. */
static void consider_ours(const struct store_message *n, const struct store_message *k, struct found *f)
{
	bool alike = mail_flags_equal(&n->flags, &k->flags);

	f->ours_count++;
	if (f->ours && (f->ours_alike || !alike))
		return;
	f->ours = k->number;
	f->ours_alike = alike;
}

static void consider(struct sync *s, const struct store_message *n, const struct store_message *k,
	struct found *f)
{
	bool here = k->mailbox == n->mailbox;
	bool is_ours = here && (k->state & STORE_ORPHAN) && (k->state & STORE_OURS);

	if (k->number == n->number || !(same_mail(s, n, k) || (is_ours && lacks_id(s, n, k))))
		return;
	if (here && is_ours) {
		consider_ours(n, k, f);
	} else if (here && (k->state & STORE_ORPHAN)) {
		f->orphan = k->number;
		f->orphans++;
	} else if (here && (k->state & STORE_UNMATCHED)) {
		f->rivals++;
	}
	if (k->body && f->body && k->body != f->body)
		f->bodies_differ = true;
	if (k->body)
		f->body = k->body;
}

static struct found look(struct sync *s, const struct store_message *n)
{
	struct found f = { 0 };
	struct store_message k;
	unsigned seen = 0;

	store_message_init(&k);
	for (uint64_t after = 0; n->emailid && seen++ < ALIKE_MAX &&
		store_emailid_next(s->store, n->emailid, after, &k);
		after = k.number)
		consider(s, n, &k, &f);
	seen = f.orphans || f.ours || f.body ? ALIKE_MAX : 0;
	for (uint64_t after = 0; seen++ < ALIKE_MAX &&
		store_alike_next(s->store, n->date, n->size, after, &k);
		after = k.number)
		consider(s, n, &k, &f);
	store_message_release(&k);
	return f;
}

/* The orphan gets the UID, and the flags that the server has now. */
static void adopt(struct box *box, const struct store_message *n, uint64_t orphan)
{
	struct sync *s = box->sync;
	struct store_message o;

	store_message_init(&o);
	if (!store_message_get(s->store, orphan, &o))
		return;
	store_message_delete(s->store, n->number);
	o.uid = n->uid;
	o.state &= ~(uint32_t)STORE_ORPHAN;
	mail_flags_copy(&o.flags, &n->flags);
	memcpy(o.message_id, n->message_id, sizeof o.message_id);
	if (n->emailid && !o.emailid)
		o.emailid = mem_copy(n->emailid);
	show_update(s, &o);
	box_owe(box, &o); /* it may show a stand-in */
	store_message_put(s->store, &o);
	store_message_release(&o);
	box->result.matched++;
	if (box->result.added > 0)
		box->result.added--; /* it was counted as new when it came */
}

/* The body is here: its file is written from it. False where that fails; then it is fetched. */
bool match_share(struct box *box, struct store_message *n, uint64_t body)
{
	struct sync *s = box->sync;
	struct maildir_stat st;
	struct err err = { 0 };

	n->body = body;
	if (project_to_tmp(s->store, s->maildir, n, &st, &err) < 0) {
		n->body = 0;
		return false;
	}
	n->state &= ~(uint32_t)STORE_UNMATCHED;
	batch_show(s, n, &st);
	box->result.matched++;
	return true;
}

static void resolve(struct box *box, struct store_message *n)
{
	struct sync *s = box->sync;
	struct found f = look(s, n);

	if (f.ours && (f.ours_alike || f.ours_count > f.rivals)) {
		adopt(box, n, f.ours);
		return;
	}
	if (f.orphans == 1 && f.rivals == 0) {
		adopt(box, n, f.orphan);
		return;
	}
	if (f.body && !f.bodies_differ && !s->options.dry_run && s->account->match_bodies &&
		plan_body(&box->rules, s->now, n->date, n->size, n->flags.system) != PLAN_BODY_NONE &&
		match_share(box, n, f.body))
		return;
	n->state &= ~(uint32_t)STORE_UNMATCHED;
	box_owe(box, n);
	store_message_put(s->store, n);
}

/* Orphans without a UID are gone from the server; their files go where nobody changed them. */
static bool drop_orphans(struct box *box, unsigned *limit)
{
	struct sync *s = box->sync;
	struct store_message m;
	bool more;

	store_message_init(&m);
	while ((more = store_orphan_next(s->store, box->rec.id, 0, &m)) && *limit > 0) {
		--*limit;
		box->result.removed++;
		if (settle_gone(s, &m))
			continue;
		if (m.state & STORE_SHOWN)
			batch_project_shown(s, STORE_REMOVE, &m);
		store_message_delete(s->store, m.number);
	}
	store_message_release(&m);
	return more;
}

bool match_some(struct box *box, unsigned *limit)
{
	struct sync *s = box->sync;
	struct store_message n;
	bool more;

	store_message_init(&n);
	while ((more = store_message_next(s->store, box->rec.id, box->match_after, &n)) && *limit > 0) {
		box->match_after = n.uid;
		if (!(n.state & STORE_UNMATCHED))
			continue;
		--*limit;
		resolve(box, &n);
	}
	store_message_release(&n);
	if (more || drop_orphans(box, limit))
		return true;
	point("sync.matched");
	box->match_after = 0;
	box->rec.state &= ~(uint32_t)STORE_MAILBOX_MATCHING;
	box->rec_changed = true;
	return false;
}
