/* The records of actions and their parts to octets and back, with the care of record.c. */
#include <stdlib.h>

#include "store/record.h"

enum { ACTION_APPENDS = 1, ACTION_INTENT = 2 };

static uint32_t bits_of(const struct store_action *a)
{
	uint32_t bits = 0;
	if (a->size != 0 || a->date != 0 || a->sha256 != NULL)
		bits |= ACTION_APPENDS;
	if (a->uidvalidity != 0 || a->uidnext != 0 || a->step != 0 || a->since != 0 ||
	    a->looks != 0 || a->others.count != 0)
		bits |= ACTION_INTENT;
	return bits;
}

static size_t size_of(const struct store_action *a)
{
	return 128 + store_flags_size(&a->add) + store_flags_size(&a->remove) +
		text_size(a->sha256) + 8 * a->others.count + text_size(a->reason);
}

static uint8_t *put_intent(uint8_t *p, const struct store_action *a)
{
	p = store_put_u64(p, a->uidvalidity);
	p = store_put_u32(p, a->uidnext);
	p = store_put_u32(p, a->step);
	p = store_put_u64(p, (uint64_t)a->since);
	p = store_put_u32(p, a->looks);
	INVARIANT(a->others.count <= UINT32_MAX);
	p = store_put_u32(p, (uint32_t)a->others.count);
	for (size_t i = 0; i < a->others.count; i++) {
		p = store_put_u32(p, a->others.ranges[i].first);
		p = store_put_u32(p, a->others.ranges[i].last);
	}
	return p;
}

struct slice store_action_encode(struct store *s, const struct store_action *a)
{
	uint32_t bits = bits_of(a);
	store_flags_number(s, &a->add);
	store_flags_number(s, &a->remove);
	uint8_t *p = record_begin(s, size_of(a));
	*p++ = (uint8_t)a->state;
	*p++ = (uint8_t)bits;
	p = store_put_u32(p, a->verb);
	p = store_put_u32(p, a->options);
	p = store_put_u32(p, a->attempts);
	p = store_put_u32(p, a->mailbox);
	p = store_put_u32(p, a->to);
	p = store_put_u64(p, a->message);
	p = store_put_u64(p, a->blocked_by);
	p = store_flags_put(s, p, &a->add);
	p = store_flags_put(s, p, &a->remove);
	if ((bits & ACTION_APPENDS) != 0) {
		p = store_put_u64(p, a->size);
		p = store_put_u64(p, (uint64_t)a->date);
		p = put_str(p, a->sha256);
	}
	if ((bits & ACTION_INTENT) != 0)
		p = put_intent(p, a);
	/* A server's words have no bound, so they have no length before them either. */
	return record_end(s, put_octets(p, a->reason, a->reason != NULL ? strlen(a->reason) : 0));
}

static char *copy_or_null(struct slice text)
{
	return text.len > 0 ? mem_copy_slice(text) : NULL;
}

static void take_others(struct fields *f, struct uids *others)
{
	uint32_t last = 0;
	for (uint32_t count = take_u32(f); count > 0 && !f->bad; count--) {
		struct uid_range range = { .first = take_u32(f) };
		range.last = take_u32(f);
		if (range.first <= last || range.last < range.first)
			f->bad = true;
		else
			uids_add_range(others, range.first, range.last);
		last = range.last;
	}
}

static void take_intent(struct fields *f, struct store_action *a)
{
	a->uidvalidity = take_u64(f);
	a->uidnext = take_u32(f);
	a->step = take_u32(f);
	a->since = (int64_t)take_u64(f);
	a->looks = take_u32(f);
	take_others(f, &a->others);
}

static bool is_state(uint32_t state)
{
	return state >= STORE_ACTION_WAITING && state <= STORE_ACTION_LOCAL;
}

uint32_t store_action_peek(struct slice in)
{
	struct fields f = fields_of(in);
	uint32_t state = take_u8(&f);
	return !f.bad && is_state(state) ? state : 0;
}

/* The number is the key's. *a is initialised. */
bool store_action_decode(struct store *s, struct slice in, struct store_action *a)
{
	struct fields f = fields_of(in);
	store_action_release(a);
	uint32_t state = take_u8(&f), bits = take_u8(&f);
	a->state = (enum store_action_state)state;
	a->verb = take_u32(&f);
	a->options = take_u32(&f);
	a->attempts = take_u32(&f);
	a->mailbox = take_u32(&f);
	a->to = take_u32(&f);
	a->message = take_u64(&f);
	a->blocked_by = take_u64(&f);
	if (!is_state(state) || !store_flags_take(s, &f, &a->add) ||
	    !store_flags_take(s, &f, &a->remove))
		return false;
	if ((bits & ACTION_APPENDS) != 0) {
		a->size = take_u64(&f);
		a->date = (int64_t)take_u64(&f);
		a->sha256 = copy_or_null(take_text(&f));
	}
	if ((bits & ACTION_INTENT) != 0)
		take_intent(&f, a);
	a->reason = copy_or_null((struct slice){ (const char *)f.at, f.left });
	return !f.bad;
}

struct slice store_action_counts_encode(struct store *s, const struct store_action_counts *c)
{
	uint8_t *p = record_begin(s, 64);
	p = store_put_u64(p, c->waiting);
	p = store_put_u64(p, c->intent);
	p = store_put_u64(p, c->failed);
	p = store_put_u64(p, c->held);
	p = store_put_u64(p, c->unknown);
	p = store_put_u64(p, c->local);
	return record_end(s, p);
}

bool store_action_counts_decode(struct slice in, struct store_action_counts *c)
{
	struct fields f = fields_of(in);
	struct store_action_counts got;
	got.waiting = take_u64(&f);
	got.intent = take_u64(&f);
	got.failed = take_u64(&f);
	got.held = take_u64(&f);
	got.unknown = take_u64(&f);
	got.local = take_u64(&f);
	if (!f.bad)
		*c = got;
	return !f.bad;
}

struct slice store_part_encode(struct store *s, const struct store_part *p)
{
	uint8_t *to = record_begin(s, 64);
	to = store_put_u32(to, p->state);
	to = store_put_u32(to, p->uid);
	to = store_put_u64(to, p->uidvalidity);
	to = store_put_u32(to, p->mailbox);
	to = store_put_u64(to, p->made);
	return record_end(s, to);
}

/* The action and the message are the key's. */
bool store_part_decode(struct slice in, struct store_part *p)
{
	struct fields f = fields_of(in);
	struct store_part got = { 0 };
	got.state = take_u32(&f);
	got.uid = take_u32(&f);
	got.uidvalidity = take_u64(&f);
	got.mailbox = take_u32(&f);
	got.made = take_u64(&f);
	if (!f.bad)
		*p = got;
	return !f.bad;
}
