/* Labels: one mail in several mailboxes, as Gmail and others keep it, is fetched once (S12, RFC 8474).
 *
 * match.c recognizes a mail whose body the store has when its descriptor comes. In a first sync no body is here by
 * then: so before a body is asked for, it is looked whether another mailbox's haul has brought the same mail
 * since, or is about to. EMAILID alone says that, so no question is needed. */
#include "sync/private.h"

#define LABELS_MAX 64 /* of one mail, that are looked at */

static uint64_t body_by_emailid(struct sync *s, const struct store_message *n)
{
	struct store_message k;
	uint64_t body = 0;
	unsigned seen = 0;

	if (!n->emailid || !s->account->match_bodies)
		return 0;
	store_message_init(&k);
	for (uint64_t after = 0; body == 0 && seen++ < LABELS_MAX &&
		store_emailid_next(s->store, n->emailid, after, &k);
		after = k.number)
		body = match_same_emailid(n, &k) ? k.body : 0;
	store_message_release(&k);
	return body;
}

/* Is the same mail on its way for another label (S12)? Then it is not asked for again before that has come. */
static bool is_asked(struct box *box, const struct store_message *m)
{
	struct sync *s = box->sync;
	struct store_message k;
	bool asked = false;
	unsigned seen = 0;

	if (!m->emailid || !s->account->match_bodies)
		return false;
	store_message_init(&k);
	for (uint64_t after = 0; !asked && seen++ < LABELS_MAX &&
		store_emailid_next(s->store, m->emailid, after, &k);
		after = k.number) {
		const struct box *other = box_by_id(s, k.mailbox);
		asked = other && other != box && other->hauling && k.uid <= other->haul_after &&
			match_same_emailid(m, &k) && (k.state & STORE_BODY_OWED) && !standin_is_owed(&k) &&
			!uids_has(&other->refused, k.uid);
	}
	store_message_release(&k);
	return asked;
}

void labels_awaited(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		if (box->awaits)
			box_ask_again(box, box->awaits);
		box->awaits = 0;
	}
}

/* Has another label's haul brought its body since, or is that on its way? */
bool labels_have(struct box *box, const struct store_message *m)
{
	if (standin_is_owed(m))
		return false;
	if (body_by_emailid(box->sync, m) != 0) {
		uids_add(&box->shared, m->uid);
		account_mark(box->sync);
		return true;
	}
	if (!is_asked(box, m))
		return false;
	if (!box->awaits)
		box->awaits = m->uid;
	return true;
}

bool labels_share(struct box *box, unsigned *limit)
{
	struct sync *s = box->sync;
	struct store_message n;
	uint32_t uid = 1;

	store_message_init(&n);
	while (*limit > 0 && (uid = uids_next(&box->shared, uid)) != 0) {
		uint64_t body;
		--*limit;
		if (store_message_by_uid(s->store, box->rec.id, uid, &n) && !n.body &&
			(n.state & STORE_BODY_OWED) && (body = body_by_emailid(s, &n)) != 0 &&
			match_share(box, &n, body)) {
			s->progress.messages_done++;
			s->progress.octets_done += n.size;
		}
		uid++;
	}
	uids_remove_range(&box->shared, 1, uid ? uid - 1 : UID_MAX);
	store_message_release(&n);
	return !uids_is_empty(&box->shared);
}
