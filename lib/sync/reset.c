/* Reset: a mailbox's cache is emptied, because its UIDs now name other messages (S2, S16).
 *
 * Only what is ours goes. The folder is scanned first; a file that mailtide did not write, or whose
 * name or size changed since, is kept where it is and told (M4). The rest is removed like any
 * expunged message, by the projection list. Emptying goes in pieces; until the last one the record
 * still has the old UIDVALIDITY, so that a crash in between begins here again. */
#include <stdlib.h>

#include "sync/private.h"

struct reset {
	struct box *box;
	struct maildir_scan scan;
	uint64_t kept;
};

struct reset *reset_new(struct box *box, struct err *err)
{
	struct reset *r = mem_new(sizeof *r);

	r->box = box;
	if (maildir_scan(box->sync->maildir, box->rec.folder, &r->scan, err) < 0) {
		reset_free(r);
		return NULL;
	}
	return r;
}

/* Is the message's file as we left it? */
static bool is_ours(struct reset *r, const struct store_message *m)
{
	const struct maildir_entry *e = maildir_scan_find(&r->scan, m->base);
	struct maildir_name name;
	struct maildir_stat st;
	char letters[8];

	if (!e)
		return true; /* gone: nothing to keep */
	mail_flags_letters(m->shown.system, letters);
	if (mail_flags_from_letters(slice_of(e->letters), NULL) != m->shown.system)
		return false;
	name = entry_name(r->box->rec.folder, e);
	return maildir_stat(r->box->sync->maildir, &name, &st, NULL) == 0 && st.size == m->file_size &&
	       st.mtime_ns == m->file_mtime_ns;
}

static void forget(struct reset *r, const struct store_message *m)
{
	struct sync *s = r->box->sync;
	struct store_projection p;

	if ((m->state & STORE_SHOWN) && !is_ours(r, m)) {
		r->kept++;
	} else if (m->state & STORE_SHOWN) {
		store_projection_init(&p);
		p.kind = STORE_REMOVE;
		p.message = m->number;
		p.mailbox = m->shown_mailbox;
		p.old_system = m->shown.system;
		p.old_new = m->state & STORE_SHOWN_NEW;
		buf_add_str(&p.base, m->base);
		batch_project(s, &p);
	}
	store_message_delete(s->store, m->number);
}

bool reset_some(struct reset *r, unsigned limit)
{
	struct sync *s = r->box->sync;
	struct store_message m;
	bool more;

	store_message_init(&m);
	while ((more = store_message_next(s->store, r->box->rec.id, 0, &m)) && limit-- > 0)
		forget(r, &m);
	store_message_release(&m);
	if (!more && r->kept > 0)
		account_note(s, SYNC_WARNING, r->box->rec.name,
			"%llu files that were changed here are kept in \"%s\", apart from the server's mail",
			(unsigned long long)r->kept, r->box->rec.folder);
	return more;
}

void reset_free(struct reset *r)
{
	if (!r)
		return;
	maildir_scan_release(&r->scan);
	free(r);
}
