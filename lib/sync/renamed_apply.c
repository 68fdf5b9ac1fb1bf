/* Renamed, the consequence: a name gets the record of the mailbox that it stands for now, and with it its
 * messages, bodies and local numbers; the folder follows (moves.c). Names may have been swapped, so all
 * records change in one transaction. */
#include <stdlib.h>

#include "base/point.h"
#include "sync/private.h"

struct change {
	struct box *slot;
	struct store_mailbox rec; /* of the mailbox that the name gets; name, wire and folder are its old ones */
	char *from, *to;          /* folders */
};

/* A name that stood for another mailbox is free only where that one is found elsewhere. */
static bool drop_blocked(struct sync *s)
{
	for (struct box *slot = s->boxes; slot; slot = slot->next) {
		bool free_now = slot->fresh;
		if (!slot->was)
			continue;
		for (struct box *box = s->boxes; box && !free_now; box = box->next)
			free_now = box->was == slot;
		if (free_now)
			continue;
		slot->was = NULL;
		return true;
	}
	return false;
}

/* What lies there is not ours: the mailbox goes beside it. */
static void choose_free_folder(struct sync *s, struct box *slot)
{
	if (slot->fresh && !s->options.dry_run && maildir_folder_exists(s->maildir, slot->rec.folder))
		box_choose_folder(slot);
}

static size_t gather(struct sync *s, struct change **out)
{
	size_t n = 0;

	*out = NULL;
	for (struct box *slot = s->boxes; slot; slot = slot->next) {
		struct change *c;
		if (!slot->was)
			continue;
		choose_free_folder(s, slot);
		*out = mem_grow(*out, n + 1, sizeof **out);
		c = &(*out)[n++];
		*c = (struct change){ slot, slot->was->rec, mem_copy(slot->was->rec.folder),
			mem_copy(slot->rec.folder) };
	}
	return n;
}

/* The name keeps name, wire form and folder; all else is the mailbox's. */
static void give(struct change *c)
{
	const uint32_t of_name = STORE_MAILBOX_NOSELECT, passing = STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE;
	struct box *slot = c->slot;
	struct store_mailbox rec = c->rec;

	rec.name = slot->rec.name;
	rec.wire = slot->rec.wire;
	rec.folder = slot->rec.folder;
	rec.delimiter = slot->rec.delimiter;
	rec.attrs = slot->rec.attrs;
	rec.state = (rec.state & ~(of_name | passing)) | (slot->rec.state & of_name);
	slot->rec = rec;
	slot->fresh = false;
}

/* The name stands for nothing any more; or, where it is listed, for a mailbox that was made since. */
static void empty(struct box *box)
{
	struct store_mailbox *rec = &box->rec;

	box->fresh = true;
	rec->id = 0;
	rec->mailboxid = NULL; /* given away */
	rec->state &= STORE_MAILBOX_NOSELECT;
	rec->uidvalidity = rec->highestmodseq = 0;
	rec->uidnext = rec->messages = rec->lastseen = 0;
	rec->synced = 0;
}

static void hand_over(struct sync *s, struct change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		give(&changes[i]);
	for (struct box *old = s->boxes; old; old = old->next) {
		bool is_slot = old->was != NULL, given = false;
		for (size_t i = 0; i < n && !given; i++)
			given = changes[i].slot->was == old;
		if (given && !is_slot)
			empty(old);
	}
}

static bool is_left(const struct change *changes, size_t n, const char *folder)
{
	for (size_t i = 0; i < n; i++)
		if (changes[i].from && maildir_folder_compare(changes[i].from, folder) == 0)
			return true;
	return false;
}

/* A name beside `folder` that nobody has, for as long as the others move. */
static char *aside(struct sync *s, const char *folder)
{
	struct buf out;

	buf_init(&out, 0);
	for (unsigned n = 2;; n++) {
		buf_clear(&out);
		maildir_folder_alternative(local_layout(s->account), folder, n, &out);
		if (!box_has_folder(s, buf_str(&out)) && !maildir_folder_exists(s->maildir, buf_str(&out)))
			return buf_take(&out);
	}
}

/* Each into a folder that is free by then. A circle is broken by one that waits aside. */
static void order_moves(struct sync *s, struct change *changes, size_t n, struct buf *list)
{
	for (size_t left = n; left > 0;) {
		struct change *next = NULL;
		char *away;
		for (size_t i = 0; i < n && !next; i++)
			if (changes[i].from && !is_left(changes, n, changes[i].to))
				next = &changes[i];
		if (next) {
			moves_add(list, next->from, next->to);
			free(next->from);
			next->from = NULL;
			left--;
			continue;
		}
		for (next = changes; !next->from; next++)
			;
		away = aside(s, next->from);
		moves_add(list, next->from, away);
		free(next->from);
		next->from = away;
	}
}

static int make_durable(struct sync *s, struct change *changes, size_t n, struct err *err)
{
	struct buf list;

	buf_init(&list, 0);
	order_moves(s, changes, n, &list);
	if (store_begin(s->store, err) < 0) {
		buf_release(&list);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		store_mailbox_put(s->store, &changes[i].slot->rec);
	moves_note(s->store, &list);
	buf_release(&list);
	if (project_commit(s->store, err) < 0) {
		s->store_failed = true;
		return -1;
	}
	point("sync.rename-noted");
	return moves_finish(s->store, s->maildir, err);
}

static void tell(struct sync *s, const struct change *c)
{
	account_note(s, c->slot->by_us ? SYNC_INFO : SYNC_WARNING, c->slot->rec.name,
		"is the mailbox that was \"%s\": renamed here too, its folder is \"%s\"", c->rec.name, c->to);
}

void renames_drop_blocked(struct sync *s)
{
	while (drop_blocked(s))
		;
}

void renames_apply(struct sync *s)
{
	struct err err = { 0 };
	struct change *changes;
	size_t n;

	renames_drop_blocked(s);
	n = gather(s, &changes);
	for (size_t i = 0; i < n; i++)
		tell(s, &changes[i]);
	if (n > 0)
		hand_over(s, changes, n);
	if (n > 0 && !s->options.dry_run && make_durable(s, changes, n, &err) < 0)
		account_fail(s, &err);
	for (size_t i = 0; i < n; i++) {
		free(changes[i].from);
		free(changes[i].to);
	}
	free(changes);
	for (struct box *box = s->boxes; box; box = box->next)
		box->was = NULL;
}
