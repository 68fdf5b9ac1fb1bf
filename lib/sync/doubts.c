/* Doubts: whole bodies whose size is not what RFC822.SIZE told (Q24 lies, Q23 changes, and Courier makes up bodies for
 * messages that are gone). They are held back until a fresh EXAMINE and `UID FETCH n (UID)` have shown that the
 * message is still there; then that is what it is, whatever its size. The others are left owed, and the mailbox is
 * pulled once more. */
#include <stdlib.h>

#include "sync/private.h"

#define DOUBTS_MAX 100

struct doubt {
	struct doubt *next;
	struct arrival *arrival;
	uint32_t uid;
};

bool doubts_are_many(const struct doubts *d)
{
	return d->count >= DOUBTS_MAX || d->octets >= DOUBTS_OCTETS;
}

void doubts_add(struct doubts *d, struct arrival *a, uint32_t uid)
{
	struct doubt *one = mem_new(sizeof *one);

	one->arrival = a;
	one->uid = uid;
	one->next = d->first;
	d->first = one;
	d->count++;
	d->octets += arrival_octets(a);
}

void doubts_uids(const struct doubts *d, struct uids *set)
{
	uids_clear(set);
	for (const struct doubt *one = d->first; one; one = one->next)
		uids_add(set, one->uid);
}

static void take(struct box *box, struct doubt *one)
{
	struct store_message m;

	store_message_init(&m);
	if (store_message_by_uid(box->sync->store, box->rec.id, one->uid, &m)) {
		log_line(LOG_STEPS, box->rec.name, "UID %lu has %llu octets, not %llu as RFC822.SIZE said",
			(unsigned long)one->uid, (unsigned long long)arrival_octets(one->arrival),
			(unsigned long long)m.size);
		arrival_take(one->arrival, &m);
		one->arrival = NULL;
	}
	store_message_release(&m);
}

void doubts_settle(struct doubts *d, struct box *box, const struct uids *there)
{
	for (struct doubt *one = d->first; one; one = one->next) {
		if (uids_has(there, one->uid))
			take(box, one);
		else
			box->again = true;
	}
	doubts_drop(d);
}

uint32_t doubts_drop(struct doubts *d)
{
	uint32_t least = 0;

	while (d->first) {
		struct doubt *one = d->first;
		d->first = one->next;
		if (least == 0 || one->uid < least)
			least = one->uid;
		arrival_free(one->arrival);
		free(one);
	}
	d->count = 0;
	d->octets = 0;
	return least;
}
