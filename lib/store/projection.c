/* The projection list: what the Maildir must still be made to hold. It is short (a batch or two),
 * so looking for a tmp name goes through all of it. */
#include "store/store_private.h"

void store_projection_init(struct store_projection *p)
{
	*p = (struct store_projection){ 0 };
	buf_init(&p->base, 0);
	buf_init(&p->tmp, 0);
}

void store_projection_release(struct store_projection *p)
{
	buf_release(&p->base);
	buf_release(&p->tmp);
	store_projection_init(p);
}

void store_projection_put(struct store *s, struct store_projection *p)
{
	struct store_key key;
	p->number = ++s->counters.projection;
	store_key_u64(&key, p->number);
	store_db_append(s, STORE_DB_PROJECTIONS, &key, store_projection_encode(s, p));
}

bool store_projection_next(struct store *s, uint64_t after, struct store_projection *p)
{
	if (after == UINT64_MAX)
		return false;
	struct store_walk w;
	struct store_key key;
	store_key_u64(&key, after + 1);
	bool found = store_walk(&w, s, STORE_DB_PROJECTIONS, &key);
	if (found) {
		INVARIANT(w.key.len == 8 && store_projection_decode(w.value, p));
		p->number = store_take_u64((const uint8_t *)w.key.data);
	}
	store_walk_end(&w);
	return found;
}

void store_projection_delete(struct store *s, uint64_t number)
{
	struct store_key key;
	store_key_u64(&key, number);
	store_db_delete(s, STORE_DB_PROJECTIONS, &key);
}

bool store_projection_names(struct store *s, const char *tmp_name)
{
	struct store_walk w;
	struct store_key key;
	struct store_projection p;
	store_projection_init(&p);
	store_key_u64(&key, 0);
	bool named = false;
	for (bool more = store_walk(&w, s, STORE_DB_PROJECTIONS, &key); more && !named;
	     more = store_walk_next(&w)) {
		INVARIANT(store_projection_decode(w.value, &p));
		named = p.tmp.len > 0 && slice_is(buf_slice(&p.tmp), tmp_name);
	}
	store_walk_end(&w);
	store_projection_release(&p);
	return named;
}
