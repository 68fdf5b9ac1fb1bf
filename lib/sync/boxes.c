/* Boxes: the mailboxes of a run: those of the store and those that LIST names, where each lies, which are wanted, and
 * which need a look (L1, L2, L4). */
#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sync/private.h"

static int by_wire(const void *a, const void *b)
{
	return strcmp(((const struct box *)a)->rec.wire, ((const struct box *)b)->rec.wire);
}

static int by_folder(const void *a, const void *b)
{
	return maildir_folder_compare(a, b);
}

static struct box *box_new(struct sync *s)
{
	struct box *box = mem_new(sizeof *box);

	box->sync = s;
	*s->boxes_end = box;
	s->boxes_end = &box->next;
	return box;
}

static void box_index(struct sync *s, struct box *box)
{
	tsearch(box, &s->by_wire, by_wire);
	tsearch(box->rec.folder, &s->folders, by_folder);
	box->result.mailbox = box->rec.name;
	box->rules = conf_rules(s->account, s->options.profile, box->rec.name);
}

static bool named(const struct sync *s, const char *name)
{
	if (s->options.mailbox_count == 0)
		return true;
	for (size_t i = 0; i < s->options.mailbox_count; i++)
		if (strcmp(s->options.mailboxes[i], name) == 0)
			return true;
	return false;
}

/* The mailboxes of the store, each run's starting point. */
void boxes_load(struct sync *s)
{
	struct store_mailbox rec;

	if (s->boxes)
		return;
	for (uint32_t id = 0; store_mailbox_next(s->store, id, &rec);) {
		struct box *box = box_new(s);
		id = rec.id;
		box->rec = rec;
		box_index(s, box);
	}
}

struct box *box_by_id(struct sync *s, uint32_t id)
{
	struct box *box = s->boxes;

	while (box && (box->rec.id != id || id == 0))
		box = box->next;
	return box;
}

struct box *box_by_name(struct sync *s, const char *name)
{
	struct box *box = s->boxes;

	while (box && strcmp(box->rec.name, name) != 0)
		box = box->next;
	return box;
}

struct box *box_with_role(struct sync *s, const char *special_use)
{
	const struct conf_roles *roles = &s->account->roles;
	static const struct {
		const char *name;
		uint32_t attr;
		size_t role;
	} known[] = {
		{ "\\Trash", IMAP_TRASH, offsetof(struct conf_roles, trash) },
		{ "\\Archive", IMAP_ARCHIVE, offsetof(struct conf_roles, archive) },
		{ "\\Junk", IMAP_JUNK, offsetof(struct conf_roles, junk) },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		const char *name = *(char *const *)((const char *)roles + known[i].role);
		struct box *box = name ? box_by_name(s, name) : NULL;
		if (strcmp(special_use, known[i].name) != 0)
			continue;
		for (struct box *b = s->boxes; b && !box; b = b->next)
			if (b->rec.attrs & known[i].attr)
				box = b;
		return box;
	}
	return NULL;
}

bool boxes_known(struct sync *s)
{
	size_t found = 0;

	boxes_load(s);
	if (s->options.mailbox_count == 0)
		return false;
	for (struct box *box = s->boxes; box; box = box->next)
		found += named(s, box->rec.name) && box->rec.uidvalidity != 0;
	if (found < s->options.mailbox_count)
		return false;
	for (struct box *box = s->boxes; box; box = box->next)
		box->listed = box->chosen = named(s, box->rec.name);
	return true;
}

bool box_has_folder(const struct sync *s, const char *folder)
{
	return tfind(folder, &s->folders, by_folder) != NULL;
}

static bool is_taken(const struct sync *s, const char *folder, bool look)
{
	return box_has_folder(s, folder) || (look && maildir_folder_exists(s->maildir, folder));
}

/* Two mailboxes never share a folder, also where the file system ignores case, or the server does (L4, Q32). With `look`, neither with
 * what lies there already. */
static void choose_folder(struct sync *s, struct box *box, bool look)
{
	struct buf folder, other;

	buf_init(&folder, 0);
	buf_init(&other, 0);
	maildir_folder_name(local_layout(s->account), box->rec.name, box->rec.delimiter, &folder);
	buf_add_slice(&other, buf_slice(&folder));
	for (unsigned n = 2; is_taken(s, buf_str(&other), look); n++) {
		buf_clear(&other);
		maildir_folder_alternative(local_layout(s->account), buf_str(&folder), n, &other);
	}
	box->rec.folder = mem_copy(buf_str(&other));
	buf_release(&folder);
	buf_release(&other);
}

void box_choose_folder(struct box *box)
{
	struct sync *s = box->sync;

	tdelete(box->rec.folder, &s->folders, by_folder);
	free(box->rec.folder);
	choose_folder(s, box, true);
	tsearch(box->rec.folder, &s->folders, by_folder);
}

struct box *box_of_wire(struct sync *s, struct slice wire)
{
	struct box probe = { 0 }, **found;

	probe.rec.wire = mem_copy_slice(wire);
	found = (struct box **)tfind(&probe, &s->by_wire, by_wire);
	free(probe.rec.wire);
	return found ? *found : NULL;
}

/* What LIST names: a box of the store under its decoded name, or a new one. The name is the key, as a
 * UIDVALIDITY may be that of others, too (Q64). */
struct box *box_for(struct sync *s, const struct imap_resp *r)
{
	struct box *box = box_of_wire(s, r->list.name), *made;
	struct buf name;

	/* A name that was renamed away in this run, and made again. */
	for (made = box && box->fresh ? s->boxes : NULL; made; made = made->next)
		if ((made->rec.state & STORE_MAILBOX_HERE) && strcmp(made->rec.wire, box->rec.wire) == 0)
			return made;
	if (box)
		return box;
	buf_init(&name, 0);
	if (!imap_name_decode(r->list.name, imap_utf8(s->links[0].imap), &name)) {
		buf_clear(&name);
		buf_add_slice(&name, r->list.name);
	}
	for (box = s->boxes; box && strcmp(box->rec.name, buf_str(&name)) != 0; box = box->next)
		;
	if (box) {
		/* Known, but written otherwise in this session (L3). */
		tdelete(box, &s->by_wire, by_wire);
		free(box->rec.wire);
		box->rec.wire = mem_copy_slice(r->list.name);
		box->rec_changed = true;
		tsearch(box, &s->by_wire, by_wire);
		buf_release(&name);
		return box;
	}
	box = box_new(s);
	box->fresh = true;
	box->rec.wire = mem_copy_slice(r->list.name);
	box->rec.name = buf_take(&name);
	box->rec.delimiter = r->list.delimiter;
	choose_folder(s, box, false);
	box_index(s, box);
	return box;
}

/* A name that is known all the same: gone from the server, and to be made anew; or LIST has just told it. Not one
 * that a waiting rename takes the name from. */
static struct box *known_here(struct sync *s, const char *name)
{
	struct box *box = s->boxes;

	while (box && !(strcmp(box->rec.name, name) == 0 &&
			      ((box->rec.state & STORE_MAILBOX_GONE) || (box->fresh && box->listed))))
		box = box->next;
	if (!box)
		return NULL;
	if (box->rec.state & STORE_MAILBOX_GONE)
		box->rec.state = (box->rec.state & ~(uint32_t)(STORE_MAILBOX_GONE | STORE_MAILBOX_ABSENT)) |
				 STORE_MAILBOX_HERE;
	store_mailbox_put(s->store, &box->rec);
	box->fresh = false;
	return box;
}

struct box *box_here(struct sync *s, const char *name)
{
	struct box *box = known_here(s, name), *other = s->boxes;
	struct buf wire;

	if (box)
		return box;
	box = box_new(s);
	buf_init(&wire, 0);
	imap_name_encode(slice_of(name), false, &wire);
	box->rec.name = mem_copy(name);
	box->rec.wire = buf_take(&wire);
	box->rec.delimiter = other ? other->rec.delimiter : '/';
	box->rec.state = STORE_MAILBOX_HERE;
	choose_folder(s, box, false);
	box_index(s, box);
	box->rec.rules = conf_rules_fingerprint(&box->rules);
	store_mailbox_put(s->store, &box->rec);
	return box;
}

bool box_is_chosen(const struct sync *s, const struct box *box)
{
	if (!box->listed || (box->rec.state & STORE_MAILBOX_NOSELECT))
		return false;
	if (box->fresh && !s->account->create_new && strcmp(box->rec.name, "INBOX") != 0)
		return false;
	return named(s, box->rec.name) &&
	       conf_chooses(s->account, box->rec.name, box->rec.delimiter);
}

static void note_unknown_names(struct sync *s)
{
	for (size_t i = 0; i < s->options.mailbox_count; i++) {
		struct box *box = s->boxes;
		while (box && !(box->chosen && strcmp(box->rec.name, s->options.mailboxes[i]) == 0))
			box = box->next;
		if (!box)
			account_note(s, SYNC_FAILURE, s->options.mailboxes[i],
				"there is no such mailbox on the server, or \"mailboxes\" leaves it out; \"mailtide probe\" "
				"lists them");
	}
}

/* M5: a folder that is gone stops its mailbox; nobody knows why it is gone. */
static bool folder_is_gone(struct box *box)
{
	struct sync *s = box->sync;

	if (s->options.dry_run || maildir_folder_exists(s->maildir, box->rec.folder))
		return false;
	account_note(s, SYNC_FAILURE, box->rec.name,
		"its folder \"%s\" is gone: it is left alone until `mailtide check --repair %s` has written it again",
		box->rec.folder, s->account->name);
	box->state = BOX_LEFT;
	return true;
}

/* It may not be the mailbox of our record, whatever its numbers (S2): SELECT tells. */
static bool may_be_another(const struct box *box)
{
	return box->told_mailboxid && box->rec.mailboxid &&
	       strcmp(box->told_mailboxid, box->rec.mailboxid) != 0;
}

/* S15: what is told again does last. */
static void note_lasting(struct box *box)
{
	if (!(box->rec.state & STORE_MAILBOX_PASSING) || !(box->told.items & IMAP_HAS_UIDVALIDITY) ||
		box->rec.uidvalidity == 0 || box->told.uidvalidity != box->rec.uidvalidity)
		return;
	box->rec.state &= ~(uint32_t)STORE_MAILBOX_PASSING;
	box->rec_changed = true;
}

void boxes_decide(struct sync *s)
{
	if (s->listed)
		boxes_follow_removed(s);
	for (struct box *box = s->boxes; box; box = box->next) {
		struct store_counts counts = { 0 };
		bool unchanged;

		if (s->listed)
			box->chosen = box_is_chosen(s, box);
		if (!box->chosen)
			continue;
		if (box->fresh)
			box->rec_changed = true;
		else
			counts = store_mailbox_counts(s->store, box->rec.id);
		if (counts.bodies > 0 && folder_is_gone(box))
			continue;
		box->may_owe = counts.owed > 0;
		s->progress.messages += counts.owed;
		s->progress.octets += counts.owed_octets;
		if (box->touched)
			box->told.items = 0;
		box->touched = false;
		if (s->options.no_pull)
			continue;
		/* A body that is owed does not make the pull needed: the haul opens the mailbox itself. */
		note_lasting(box);
		unchanged = !may_be_another(box) && !s->options.cold && plan_unchanged(&box->rec, &box->told, 0, box->rules.old_skip);
		box->state = unchanged ? BOX_IDLE : BOX_TO_PULL;
		box->rules_changed = !box->fresh && box->rec.rules != conf_rules_fingerprint(&box->rules);
		if (box->fresh)
			box->rec.rules = conf_rules_fingerprint(&box->rules);
		if (!unchanged && (box->told.items & IMAP_HAS_MESSAGES) && box->told.messages > counts.messages)
			s->expected += box->told.messages - counts.messages;
		standin_look(box);
		s->progress.mailboxes++;
		s->progress.mailboxes_done += unchanged;
	}
	if (s->listed)
		note_unknown_names(s);
	aged_begin(s);
	s->decided = true;
}

void boxes_pull_touched(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		if (box->touched && box->chosen && box->state == BOX_IDLE && !s->options.no_pull) {
			box->told.items = 0;
			box->state = BOX_TO_PULL;
		}
		box->touched = false;
	}
}

void boxes_put_new(struct sync *s)
{
	struct err err = { 0 };

	for (struct box *box = s->boxes; box; box = box->next) {
		if (!box->fresh || !box->chosen)
			continue;
		if (s->options.dry_run) {
			box->rec.id = 0; /* of a transaction that was thrown away */
			store_mailbox_put(s->store, &box->rec);
			continue;
		}
		if (maildir_folder_make(s->maildir, box->rec.folder, &err) < 0) {
			account_fail(s, &err);
			return;
		}
		store_mailbox_put(s->store, &box->rec);
		box->fresh = box->rec_changed = false;
	}
}

void boxes_put(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		if (!box->rec_changed || box->fresh)
			continue;
		store_mailbox_put(s->store, &box->rec);
		box->rec_changed = false;
	}
}

/* NIL, nothing, or another message's body, and a pull has found the message still there. */
void boxes_tell_missing(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		struct uids missing;
		struct buf text;
		uint32_t uid = 0;
		uint64_t size;

		if (!box->haul_after)
			continue;
		uids_init(&missing);
		while (store_owed_next(s->store, box->rec.id, uid, &uid, &size) && uid <= box->haul_after)
			if (!uids_has(&box->refused, uid))
				uids_add(&missing, uid);
		buf_init(&text, 0);
		uids_print(&missing, 1, 200, &text);
		if (!uids_is_empty(&missing))
			/* Where a pull is still due, they may have been expunged meanwhile: the next run knows. */
			account_note(s, box->again ? SYNC_INFO : SYNC_FAILURE, box->rec.name,
				"the server did not give the bodies of %llu messages (UID %s); they are asked "
				"for again next time", (unsigned long long)uids_count(&missing), buf_str(&text));
		buf_release(&text);
		uids_release(&missing);
	}
}

void boxes_lose_session(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		if (box->session != 0 && box->state == BOX_IDLE && box->may_owe)
			box->state = BOX_TO_PULL;
		box->session = 0;
	}
}

void box_pull_again(struct box *box)
{
	if (!box->again || box->state != BOX_IDLE || box->pulls >= 3)
		return;
	box->again = false;
	box->state = BOX_TO_PULL;
}

static void keep_node(void *node)
{
	(void)node;
}

void boxes_free(struct sync *s)
{
	tdestroy(s->by_wire, keep_node);
	tdestroy(s->folders, keep_node);
	s->by_wire = s->folders = NULL;
	while (s->boxes) {
		struct box *box = s->boxes;
		s->boxes = box->next;
		store_mailbox_release(&box->rec);
		free(box->told_mailboxid);
		uids_release(&box->refused);
		uids_release(&box->flagged_here);
		uids_release(&box->shared);
		free(box);
	}
	s->boxes_end = &s->boxes;
}
