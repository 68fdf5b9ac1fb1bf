/* Facts: what was learnt of this server and holds for the next run too, and how the last run ended. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sync/private.h"

void facts_load(struct sync *s)
{
	struct buf fact;

	buf_init(&fact, 0);
	s->no_examine = store_get(s->store, "server.no-examine", &fact);
	s->no_mailboxid = store_get(s->store, "server.no-mailboxid", &fact);
	s->append_max = (unsigned)store_get_number(s->store, "server.append-max");
	s->append_limit = store_get_number(s->store, "server.append-limit");
	if (store_get(s->store, "server.mechanism", &fact) && fact.len > 0)
		s->mechanism = mem_copy(buf_str(&fact));
	buf_release(&fact);
	throttle_load(s);
}

void facts_put(struct sync *s)
{
	throttle_put(s);
	if (!s->facts_changed)
		return;
	if (s->no_mailboxid)
		store_put(s->store, "server.no-mailboxid", slice_of("1"));
	if (s->no_examine)
		store_put(s->store, "server.no-examine", slice_of("1"));
	store_put_number(s->store, "server.append-max", s->append_max);
	store_put_number(s->store, "server.append-limit", s->append_limit);
	store_put(s->store, "server.mechanism", slice_of(s->mechanism ? s->mechanism : ""));
	s->facts_changed = false;
}

void facts_release(struct sync *s)
{
	free(s->mechanism);
	s->mechanism = NULL;
}

void facts_put_end(struct sync *s, const char *error)
{
	store_put_number(s->store, error ? "run.tried" : "run.last", (uint64_t)time(NULL));
	store_put(s->store, "run.error", slice_of(error ? error : ""));
	store_put_number(s->store, "run.status", (uint64_t)s->exit_status);
}
