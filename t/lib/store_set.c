/* store_set: puts into a store what only a server can bring about.
 *
 *	store_set STATE action NUMBER waiting|sending|failed|held|unknown|local [REASON]
 *	store_set STATE fact NAME VALUE
 *
 * For tests of what is said of it; no mailtide may run meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/store.h"

static const char *const names[] = { "", "waiting", "sending", "failed", "held", "unknown", "local" };

static int state_of(const char *name)
{
	for (int i = 1; i < (int)(sizeof names / sizeof names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return 0;
}

static bool set_action(struct store *store, const char *number, const char *state, const char *reason)
{
	struct store_action a;
	bool found;

	store_action_init(&a);
	found = state_of(state) && store_action_get(store, strtoull(number, NULL, 10), &a);
	if (found) {
		a.state = (enum store_action_state)state_of(state);
		free(a.reason);
		a.reason = reason ? mem_copy(reason) : NULL;
		store_action_put(store, &a);
	}
	store_action_release(&a);
	return found;
}

static void on_commit(void *arg, const struct err *err)
{
	*(bool *)arg = err->cls == ERR_NONE;
}

static bool set(struct store *store, char **args)
{
	bool done = false;

	if (store_begin(store, NULL) < 0)
		return false;
	if (strcmp(args[0], "fact") == 0)
		store_put(store, args[1], slice_of(args[2]));
	else if (!set_action(store, args[1], args[2], args[3]))
		fprintf(stderr, "store_set: no such action or state: %s %s\n", args[1], args[2]);
	store_commit(store, on_commit, &done);
	return done;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	struct store *store;
	bool done;

	if (argc < 5) {
		fprintf(stderr, "usage: store_set STATE action NUMBER STATE-NAME [REASON] | fact NAME VALUE\n");
		return 64;
	}
	store = store_open(argv[1], false, false, NULL, &err);
	done = store && set(store, argv + 2);
	if (!store)
		fprintf(stderr, "store_set: %s\n", err.text);
	store_close(store);
	return done ? 0 : 1;
}
