/* What a mailbox holds, counted as messages come and go. Within a transaction the counts stand in
 * memory: a batch touches one or two mailboxes thousands of times, and the records are written once, at
 * its end. */
#include <stdlib.h>

#include "store/store_private.h"

static struct store_tally read_tally(struct store *s, uint32_t mailbox)
{
	struct store_tally tally = { 0 };
	struct store_key key;
	struct slice value;
	store_key_u32(&key, mailbox);
	store_read_begin(s);
	if (store_db_get(s, STORE_DB_COUNTS, &key, &value))
		INVARIANT(store_tally_decode(value, &tally));
	store_read_end(s);
	return tally;
}

static size_t find(const struct store_tallies *t, uint32_t mailbox)
{
	size_t low = 0, high = t->count;
	if (t->last < t->count && t->rows[t->last].mailbox == mailbox)
		return t->last;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (t->rows[middle].mailbox < mailbox)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct store_tally *tally_of(struct store *s, uint32_t mailbox)
{
	struct store_tallies *t = &s->tallies;
	size_t at = find(t, mailbox);
	t->last = at;
	if (at < t->count && t->rows[at].mailbox == mailbox)
		return &t->rows[at].tally;
	if (t->count == t->size) {
		t->size = t->size * 2 + 8;
		t->rows = mem_grow(t->rows, t->size, sizeof *t->rows);
	}
	struct store_tally tally = read_tally(s, mailbox);
	memmove(t->rows + at + 1, t->rows + at, (t->count - at) * sizeof *t->rows);
	t->count++;
	t->rows[at] = (struct store_tally_row){ mailbox, tally };
	return &t->rows[at].tally;
}

/* Adds n or takes it away; a count below 0 would be a mistake of ours. After a failed put the
 * records read may be anything, and the transaction comes to nothing. */
static void count(struct store *s, uint64_t *to, uint64_t n, int sign)
{
	INVARIANT(sign > 0 || *to >= n || s->failed);
	*to = sign > 0 ? *to + n : *to - n;
}

void store_tallies_count(struct store *s, const struct store_message_index *m, int sign)
{
	if (m->mailbox == 0)
		return;
	struct store_tally *t = tally_of(s, m->mailbox);
	bool owed = (m->state & STORE_BODY_OWED) != 0 && m->uid != 0;
	if ((m->state & STORE_APART) != 0) {
		count(s, &t->apart, 1, sign);
		return;
	}
	count(s, &t->counts.messages, 1, sign);
	count(s, &t->counts.bodies, m->body != 0, sign);
	count(s, &t->counts.owed, owed, sign);
	count(s, &t->counts.owed_octets, owed ? m->size : 0, sign);
	count(s, &t->counts.unseen, !m->seen, sign);
	count(s, &t->uids, m->uid != 0, sign);
}

struct store_tally store_tally_get(struct store *s, uint32_t mailbox)
{
	const struct store_tallies *t = &s->tallies;
	size_t at = find(t, mailbox);
	if (at < t->count && t->rows[at].mailbox == mailbox)
		return t->rows[at].tally;
	return read_tally(s, mailbox);
}

struct store_counts store_mailbox_counts(struct store *s, uint32_t id)
{
	return store_tally_get(s, id).counts;
}

void store_tallies_drop(struct store *s, uint32_t mailbox)
{
	struct store_tallies *t = &s->tallies;
	size_t at = find(t, mailbox);
	if (at < t->count && t->rows[at].mailbox == mailbox) {
		memmove(t->rows + at, t->rows + at + 1, (t->count - at - 1) * sizeof *t->rows);
		t->count--;
	}
	struct store_key key;
	store_key_u32(&key, mailbox);
	store_db_delete(s, STORE_DB_COUNTS, &key);
}

void store_tallies_flush(struct store *s)
{
	struct store_tallies *t = &s->tallies;
	for (size_t i = 0; i < t->count; i++) {
		struct store_key key;
		store_key_u32(&key, t->rows[i].mailbox);
		store_db_put(s, STORE_DB_COUNTS, &key, store_tally_encode(s, &t->rows[i].tally));
	}
}
