/* Removed: mailboxes that are gone from the server (L5), and what becomes of them here.
 *
 * Gone is what two complete LISTs of two sessions did not name (Q74), what is \NonExistent, and what a SELECT
 * called [NONEXISTENT]; never what could only not be opened (Q87). It is kept, unless on-removed-mailbox says
 * "remove". Then what we brought goes, and nothing else:
 * - Not while something hangs on it that exists nowhere else: a file that is not ours may be a message that was
 *   never on any server. All of the mailbox stays then.
 * - A file that was edited stays, and the folder with it (project.c looks before it unlinks).
 * - Where many vanish at once nobody knows why: nothing is removed (M5). Whoever deletes their folders has
 *   said that it is right.
 *
 * Messages go in pieces, each a transaction with its projections; the record goes last, with nothing in it, so
 * a run that is killed is finished by the next one, which finds the mailbox gone as before. */
#include <stdlib.h>

#include "base/point.h"
#include "sync/actions.h"

#define FEW 2 /* so many may always go */

static bool is_removed(const struct box *box)
{
	return !box->fresh && !box_is_there(box) && (box->rec.state & STORE_MAILBOX_GONE) &&
	       box->sync->account->remove_gone;
}

/* A name that never was a mailbox, but above some, is none that went away. */
static void note_one(struct box *box)
{
	struct sync *s = box->sync;
	uint32_t was = box->rec.state;
	bool gone;

	/* One that an action will make has never been there. */
	if ((was & STORE_MAILBOX_HERE) && !box_is_there(box))
		return;
	box->rec.state &= ~(uint32_t)STORE_MAILBOX_HERE;
	box->rec_changed = box->rec_changed || (was & STORE_MAILBOX_HERE);
	if (box_is_there(box) || (box->listed && box->rec.uidvalidity == 0))
		box->rec.state &= ~(uint32_t)(STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE);
	else if ((was & STORE_MAILBOX_ABSENT) || box->nonexistent)
		box->rec.state |= STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE;
	else
		box->rec.state |= STORE_MAILBOX_ABSENT;
	if (((box->rec.state ^ was) & (STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE)) == 0)
		return;
	box->rec_changed = true;
	gone = box->rec.state & STORE_MAILBOX_GONE;
	box->newly_gone = gone;
	if (gone && !s->account->remove_gone)
		account_note(s, SYNC_WARNING, box->rec.name,
			"is gone from the server; its folder \"%s\" stays as it is", box->rec.folder);
	else if (!gone && (box->rec.state & STORE_MAILBOX_ABSENT))
		account_note(s, SYNC_INFO, box->rec.name,
			"was not listed by the server; if it is missing next time too, it counts as gone");
}

/* Does something hang on it that the server never had? 1, 0, -1 the folder cannot be read. */
static int box_has_unsent(struct box *box, struct err *err)
{
	struct sync *s = box->sync;
	struct store_message m;
	struct maildir_scan scan = { 0 };
	int found = 0;

	if (maildir_scan(s->maildir, box->rec.folder, &scan, err) < 0)
		return -1;
	store_message_init(&m);
	found = store_here_next(s->store, box->rec.id, 0, &m);
	for (size_t i = 0; i < scan.count && !found; i++)
		found = !store_message_by_base(s->store, scan.entries[i].base, &m) ||
			m.shown_mailbox != box->rec.id || m.mailbox != box->rec.id || !(m.state & STORE_SHOWN);
	store_message_release(&m);
	maildir_scan_release(&scan);
	return found;
}

/* With a projection where a file is shown. */
static void forget(struct box *box, const struct store_message *m)
{
	struct store_projection p;

	if (m->state & STORE_SHOWN) {
		project_shown_init(&p, STORE_REMOVE, m);
		store_projection_put(box->sync->store, &p);
		store_projection_release(&p);
	}
	store_message_delete(box->sync->store, m->number);
}

/* One transaction and what it projects. 1 more is left, 0, -1. */
static int remove_some(struct box *box, struct err *err)
{
	struct sync *s = box->sync;
	struct store_message m;
	unsigned limit = BATCH_MESSAGES;

	if (store_begin(s->store, err) < 0)
		return -1;
	store_message_init(&m);
	while (limit > 0 && (store_message_next(s->store, box->rec.id, 0, &m) ||
		store_orphan_next(s->store, box->rec.id, 0, &m))) {
		if (!settle_gone(s, &m)) /* else a pending move keeps its body, to be uploaded (R12) */
			forget(box, &m);
		limit--;
	}
	store_message_release(&m);
	if (s->failed) { /* the file of a message that stays could not be written */
		store_abort(s->store);
		*err = s->failure;
	}
	if (s->failed || project_commit(s->store, err) < 0) {
		s->store_failed = true;
		return -1;
	}
	point("sync.mailbox-emptied");
	return project_finish(s->store, s->maildir, err) < 0 ? -1 : limit == 0;
}

int box_empty(struct box *box, struct err *err)
{
	struct store_mailbox *rec = &box->rec;
	int rc;

	while ((rc = remove_some(box, err)) > 0)
		;
	if (rc < 0)
		return -1;
	rec->state = STORE_MAILBOX_HERE;
	rec->uidvalidity = rec->highestmodseq = 0;
	rec->uidnext = rec->messages = rec->lastseen = 0;
	free(rec->mailboxid);
	rec->mailboxid = NULL;
	box->told.items = 0;
	box->rec_changed = true;
	return 0;
}

static int forget_box(struct box *box, struct err *err)
{
	struct sync *s = box->sync;

	if (store_begin(s->store, err) < 0)
		return -1;
	store_mailbox_delete(s->store, box->rec.id);
	if (project_commit(s->store, err) < 0)
		return -1;
	point("sync.mailbox-removed");
	box->rec.id = 0;
	box->fresh = true; /* a name that nobody lists */
	return 0;
}

int box_remove(struct box *box, struct err *err)
{
	struct sync *s = box->sync;
	int rc = box_has_unsent(box, err);

	if (rc > 0)
		account_note(s, box->newly_gone ? SYNC_WARNING : SYNC_INFO, box->rec.name,
			"is gone from the server, but stays here: its folder \"%s\" holds files that are not from "
			"there", box->rec.folder);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	while ((rc = remove_some(box, err)) > 0)
		;
	if (rc == 0)
		rc = maildir_folder_remove(s->maildir, box->rec.folder, err);
	if (rc < 0)
		return -1;
	account_note(s, box->by_us ? SYNC_INFO : SYNC_WARNING, box->rec.name, rc > 0
		? "is gone from the server, and so is its mail from here; what was edited here stays in the folder \"%s\""
		: "is gone from the server, and so is its folder \"%s\" from here", box->rec.folder);
	return forget_box(box, err);
}

/* M5. What has no folder any more cannot be lost. */
static bool brake_holds(struct sync *s)
{
	unsigned known = 0, gone = 0;

	for (const struct box *box = s->boxes; box; box = box->next) {
		known += !box->fresh;
		gone += is_removed(box) && maildir_folder_exists(s->maildir, box->rec.folder);
	}
	if (gone <= FEW || 4 * gone <= known)
		return false;
	account_note(s, SYNC_FAILURE, NULL,
		"%u of %u mailboxes are gone from the server: that is many at once, and nothing of them is removed here "
		"(\"on-removed-mailbox\"); if it is right, delete their folders", gone, known);
	return true;
}

void boxes_follow_removed(struct sync *s)
{
	struct err err = { 0 };

	/* LSUB does not tell what there is, only what is wanted. */
	for (struct box *box = s->boxes; box && !s->account->subscribed_only; box = box->next)
		if (!box->fresh)
			note_one(box);
	if (!s->account->remove_gone || s->account->subscribed_only || s->options.dry_run || brake_holds(s))
		return;
	for (struct box *box = s->boxes; box; box = box->next) {
		if (!is_removed(box) || box_remove(box, &err) == 0)
			continue;
		account_fail(s, &err);
		return;
	}
}
