/* action_state: puts an action of the queue into a state that only a server can bring about.
 *
 *	action_state STATE NUMBER waiting|sending|failed|held|unknown|local [REASON]
 *
 * For tests of what is said of such actions; no mailtide may run meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/store.h"

static const char *const names[] = { "", "waiting", "sending", "failed", "held", "unknown", "local" };

static void on_commit(void *arg, const struct err *err)
{
	*(bool *)arg = err->cls == ERR_NONE;
}

static int state_of(const char *name)
{
	for (int i = 1; i < (int)(sizeof names / sizeof names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return 0;
}

int main(int argc, char **argv)
{
	struct store_action a;
	struct store *store;
	struct err err = { 0 };
	bool done = false;

	if (argc < 4 || !state_of(argv[3])) {
		fprintf(stderr, "usage: action_state STATE NUMBER STATE-NAME [REASON]\n");
		return 64;
	}
	store = store_open(argv[1], false, false, NULL, &err);
	store_action_init(&a);
	if (store && store_action_get(store, strtoull(argv[2], NULL, 10), &a) &&
		store_begin(store, &err) == 0) {
		a.state = (enum store_action_state)state_of(argv[3]);
		free(a.reason);
		a.reason = argc > 4 ? mem_copy(argv[4]) : NULL;
		store_action_put(store, &a);
		store_commit(store, on_commit, &done);
	}
	if (!done)
		fprintf(stderr, "action_state: action %s: %s\n", argv[2], err.text);
	store_action_release(&a);
	store_close(store);
	return done ? 0 : 1;
}
