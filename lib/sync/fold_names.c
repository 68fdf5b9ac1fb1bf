/* Fold, names: a line names a mailbox as it will be called when the renames that wait before it are done. A
 * rename takes the mailboxes below it along; not one that a later line makes under the old name, which has a
 * higher id than all that were known then (store_action.uidnext of a rename). */
#include <stdlib.h>
#include <string.h>

#include "sync/actions.h"

struct rename {
	struct rename *next;
	uint64_t action;
	char *from, *to;
	char delimiter;
	uint32_t last; /* mailbox id */
};

/* The name after this one rename; NULL: it is not concerned. */
static char *renamed(const struct rename *r, const char *name)
{
	size_t len = strlen(r->from);

	if (strncmp(name, r->from, len) != 0)
		return NULL;
	if (name[len] != '\0' && (r->delimiter == '\0' || name[len] != r->delimiter))
		return NULL;
	return mem_printf("%s%s", r->to, name + len);
}

/* When that action's turn has come. */
static char *name_then(struct sync *s, const struct box *box, uint64_t action)
{
	char *name = mem_copy(box->rec.name);

	for (const struct rename *r = s->renames; r && r->action < action; r = r->next) {
		char *other = box->rec.id <= r->last ? renamed(r, name) : NULL;
		if (!other)
			continue;
		free(name);
		name = other;
	}
	return name;
}

uint32_t fold_names_last(const struct sync *s)
{
	uint32_t last = 0;

	for (const struct box *box = s->boxes; box; box = box->next)
		last = box->rec.id > last ? box->rec.id : last;
	return last;
}

void fold_names_add(struct sync *s, uint64_t action, const struct box *box, const char *to, uint32_t last)
{
	struct rename *r = mem_new(sizeof *r), **end = &s->renames;

	r->action = action;
	r->from = name_then(s, box, action);
	r->to = mem_copy(to);
	r->delimiter = box->rec.delimiter;
	r->last = last;
	while (*end && (*end)->action < action)
		end = &(*end)->next;
	r->next = *end;
	*end = r;
}

void fold_names_load(struct sync *s)
{
	struct store_action a;

	fold_names_free(s);
	store_action_init(&a);
	for (uint64_t at = 0; store_action_next(s->store, at, &a); at = a.number) {
		struct box *box = a.verb == QUEUE_RENAME ? box_by_id(s, a.mailbox) : NULL;
		if (box && a.text && (a.state == STORE_ACTION_WAITING || a.state == STORE_ACTION_INTENT))
			fold_names_add(s, a.number, box, a.text, a.uidnext);
	}
	store_action_release(&a);
}

void fold_names_free(struct sync *s)
{
	while (s->renames) {
		struct rename *r = s->renames;
		s->renames = r->next;
		free(r->from);
		free(r->to);
		free(r);
	}
}

struct box *fold_box_named(struct sync *s, uint64_t action, const char *name)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		char *then;
		bool is;
		if (!s->renames) {
			is = strcmp(box->rec.name, name) == 0;
		} else {
			then = name_then(s, box, action);
			is = strcmp(then, name) == 0;
			free(then);
		}
		if (is && !(box->rec.state & STORE_MAILBOX_GONE) && !box->fresh)
			return box;
	}
	return NULL;
}
