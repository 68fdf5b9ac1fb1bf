/* Project: the Maildir is made what the store's records show (M4).
 *
 * Each projection may be made twice (a crash came before it was struck off), and a mail reader may
 * have renamed the file meanwhile: it sets flags, and moves files from new to cur. So a file is looked for
 * under the name that we gave it, and if it is not there, by its base name in its folder (Q92). The user's
 * flags are not overwritten: the new name carries what the server changed, applied to what the file
 * has now. A file that is gone was deleted by the user, and stays gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/private.h"

/* The shown name of a message, below the root. */
static void shown_name(struct maildir_name *name, char letters[8], const char *folder,
	const char *base, uint32_t system, bool is_new)
{
	mail_flags_letters(system, letters);
	*name = (struct maildir_name){ folder, base, letters, is_new, false };
}

/* Where the file of this base name is now. False: nowhere. */
static bool find_file(struct maildir *m, const char *folder, const char *base,
	struct maildir_scan *scan, struct maildir_name *name, struct err *err)
{
	const struct maildir_entry *e;

	if (maildir_scan(m, folder, scan, err) < 0)
		return false;
	e = maildir_scan_find(scan, base);
	if (!e)
		return false;
	*name = entry_name(folder, e);
	return true;
}

struct to_file {
	struct maildir_file *file;
	struct mail_lines lines;
	struct buf text;
	struct err err;
};

static void write_piece(void *arg, const void *data, size_t len)
{
	struct to_file *t = arg;

	if (t->err.cls != ERR_NONE)
		return;
	buf_clear(&t->text);
	mail_lines_to_file(&t->lines, (struct slice){ data, len }, len == 0, &t->text);
	maildir_file_write(t->file, t->text.data, t->text.len, &t->err);
}

void project_shown_init(struct store_projection *p, enum store_projection_kind kind,
	const struct store_message *m)
{
	store_projection_init(p);
	p->kind = kind;
	p->message = m->number;
	p->mailbox = m->shown_mailbox;
	p->old_system = m->shown.system;
	p->old_new = m->state & STORE_SHOWN_NEW;
	p->file_size = m->file_size;
	p->file_mtime_ns = m->file_mtime_ns;
	buf_add_str(&p->base, m->base);
}

void project_tmp_name(uint64_t number, char tmp[32])
{
	snprintf(tmp, 32, "m%llu", (unsigned long long)number);
}

void project_tmp_name_of_stand_in(uint64_t number, char tmp[32])
{
	snprintf(tmp, 32, "s%llu", (unsigned long long)number);
}

int project_to_tmp(struct store *store, struct maildir *maildir, const struct store_message *m,
	struct maildir_stat *st, struct err *err)
{
	struct to_file t = { 0 };
	char tmp[32];
	int rc = -1;

	buf_init(&t.text, 0);
	t.file = maildir_file_new(maildir, err);
	if (!t.file)
		return -1;
	if (store_body_read(store, m->body, write_piece, &t, err) < 0)
		goto out;
	write_piece(&t, "", 0);
	if (t.err.cls != ERR_NONE) {
		*err = t.err;
		goto out;
	}
	project_tmp_name(m->number, tmp);
	rc = maildir_file_finish(t.file, tmp, m->date, st, err);
out:
	maildir_file_free(t.file);
	buf_release(&t.text);
	return rc;
}

int project_rewrite(struct store *store, struct maildir *maildir, const struct store_message *m,
	const char *folder, struct err *err)
{
	struct maildir_name to;
	char letters[8], tmp[32];

	if (project_to_tmp(store, maildir, m, NULL, err) < 0)
		return -1;
	project_tmp_name(m->number, tmp);
	shown_name(&to, letters, folder, m->base, m->shown.system, m->state & STORE_SHOWN_NEW);
	if (maildir_folder_make(maildir, folder, err) < 0)
		return -1;
	return maildir_place(maildir, tmp, &to, NULL, err) < 0 ? -1 : 0;
}

/* What the server changed, applied to what the file has. */
static uint32_t merged(uint32_t was_shown, uint32_t shown, uint32_t has)
{
	uint32_t added = shown & ~was_shown, removed = was_shown & ~shown;

	return (has | added) & ~removed;
}

/* A file of the new name is there already: a tree that another program synchronizes, or that came from a
 * backup, may hold a message twice. The same mail is the same mail; another one stays, and is told. */
static bool is_body(struct store *store, struct maildir *maildir, const struct maildir_name *name,
	const struct store_message *m)
{
	return m->body && file_is_body(store, maildir, name, m->body, NULL) == 1;
}

/* No tmp file: it was placed before the crash. That it is nowhere now means that the user has moved
 * or deleted it since; what a power failure took is found by boot.c. */
static int project_place(struct store *store, struct maildir *maildir,
	const struct store_projection *p, const struct store_message *m, const char *folder,
	struct err *err)
{
	struct maildir_name to;
	char letters[8];
	int rc;

	shown_name(&to, letters, folder, m->base, m->shown.system, m->state & STORE_SHOWN_NEW);
	if (maildir_folder_make(maildir, folder, err) < 0)
		return -1;
	rc = maildir_place(maildir, buf_str(&p->tmp), &to, NULL, err);
	if (rc == 2)
		return is_body(store, maildir, &to, m) ? 0 : 3;
	return rc < 0 ? -1 : 0;
}

static int rename_to(struct store *store, struct maildir *maildir, const struct store_message *m,
	const struct maildir_name *from, const struct maildir_name *to, struct err *err)
{
	int rc = maildir_rename(maildir, from, to, err);

	if (rc != 2)
		return rc;
	if (!is_body(store, maildir, from, m) || !is_body(store, maildir, to, m))
		return 3;
	return maildir_unlink(maildir, from, err);
}

/* `folder` is where it was shown; a move that is pending or done takes it to another one. */
static int project_rename(struct store *store, struct maildir *maildir,
	const struct store_projection *p, const struct store_message *m, const char *folder,
	const char *to_folder, struct err *err)
{
	const char *base = buf_str(&p->base);
	struct maildir_name from, to;
	struct maildir_scan scan = { 0 };
	char old_letters[8], letters[40], others[32];
	uint32_t has;
	int rc;

	shown_name(&from, old_letters, folder, base, p->old_system, p->old_new);
	shown_name(&to, letters, to_folder, base, m->shown.system, m->state & STORE_SHOWN_NEW);
	rc = rename_to(store, maildir, m, &from, &to, err);
	if (rc != 1)
		return rc;
	err_clear(err);
	rc = 0;
	if (find_file(maildir, folder, base, &scan, &from, err)) {
		has = mail_flags_from_letters(slice_of(from.letters), others);
		mail_flags_letters(merged(p->old_system, m->shown.system, has), letters);
		strcat(letters, others); /* Dovecot's keyword letters; lower case sorts behind */
		to.is_new = to.is_new && from.is_new;
		rc = rename_to(store, maildir, m, &from, &to, err);
		rc = rc == 1 ? 0 : rc;
	} else if (err->cls != ERR_NONE) {
		rc = -1;
	}
	maildir_scan_release(&scan);
	return rc;
}

/* 0 gone, 1 it is not there under this name, 2 it was edited and stays, -1. */
static int remove_if_ours(struct maildir *maildir, const struct store_projection *p,
	const struct maildir_name *name, struct err *err)
{
	struct maildir_stat st;
	int rc = maildir_stat(maildir, name, &st, err);

	if (rc != 0)
		return rc;
	if (p->file_mtime_ns != 0 && (st.size != p->file_size || st.mtime_ns != p->file_mtime_ns))
		return 2;
	return maildir_unlink(maildir, name, err);
}

static int project_remove(struct maildir *maildir, const struct store_projection *p,
	const char *folder, struct err *err)
{
	const char *base = buf_str(&p->base);
	struct maildir_name name;
	struct maildir_scan scan = { 0 };
	char letters[8];
	int rc;

	shown_name(&name, letters, folder, base, p->old_system, p->old_new);
	rc = remove_if_ours(maildir, p, &name, err);
	if (rc == 1) {
		err_clear(err);
		if (find_file(maildir, folder, base, &scan, &name, err))
			rc = remove_if_ours(maildir, p, &name, err);
		else
			rc = err->cls != ERR_NONE ? -1 : 0;
		maildir_scan_release(&scan);
	}
	return rc == 1 ? 0 : rc;
}

/* The whole message comes in the place of its stand-in, with the flags that this has now; then the
 * stand-in goes. Between the two both are there, and made again the first finds nothing to do. */
static int project_replace(struct store *store, struct maildir *maildir,
	const struct store_projection *p, const struct store_message *m, const char *folder,
	const char *to_folder, struct err *err)
{
	struct maildir_name old, to;
	struct maildir_scan scan = { 0 };
	char letters[40], others[32];
	bool found = find_file(maildir, folder, buf_str(&p->base), &scan, &old, err);
	uint32_t has;
	int rc = -1;

	if (!found && err->cls != ERR_NONE)
		goto out;
	shown_name(&to, letters, to_folder, m->base, m->shown.system, m->state & STORE_SHOWN_NEW);
	if (found) {
		has = mail_flags_from_letters(slice_of(old.letters), others);
		mail_flags_letters(merged(p->old_system, m->shown.system, has), letters);
		strcat(letters, others);
		to.is_new = old.is_new && to.is_new;
	}
	if (maildir_folder_make(maildir, to_folder, err) < 0)
		goto out;
	rc = maildir_place(maildir, buf_str(&p->tmp), &to, NULL, err);
	if (rc == 2 && !is_body(store, maildir, &to, m))
		rc = 3; /* then the stand-in stays */
	if (rc < 0 || rc == 3)
		goto out;
	point("sync.between-stand-in-and-whole");
	rc = found ? remove_if_ours(maildir, p, &old, err) : 0;
out:
	maildir_scan_release(&scan);
	return rc == 1 ? 0 : rc;
}

/* A message's file has its size and time in the projection only where it goes. */
static bool replaces(const struct store_projection *p)
{
	return p->kind == STORE_PLACE && p->file_mtime_ns != 0;
}

/* The record shows nothing any more: a later change removed the file, and has its own entry, which does not
 * know of a stand-in, nor of a folder that the file was not yet moved from. */
static int project_unshown(struct maildir *maildir, const struct store_projection *p, const char *folder,
	struct err *err)
{
	if (p->kind == STORE_PLACE && !replaces(p))
		return 0;
	return project_remove(maildir, p, folder, err);
}

/* Was the file that this entry renames removed by a later one, and another one placed since? It is not renamed
 * then, or it would go where the message is now, out of reach of that later entry. */
static bool is_removed_later(struct store *store, const struct store_projection *p, const struct store_message *m)
{
	struct store_projection later;
	bool found = false;

	if (p->kind != STORE_RENAME || strcmp(buf_str(&p->base), m->base) == 0)
		return false;
	store_projection_init(&later);
	for (uint64_t at = p->number; !found && store_projection_next(store, at, &later); at = later.number)
		found = later.kind == STORE_REMOVE && strcmp(buf_str(&later.base), buf_str(&p->base)) == 0;
	store_projection_release(&later);
	return found;
}

int project(struct store *store, struct maildir *maildir, const struct store_projection *p,
	struct err *err)
{
	struct store_message m;
	struct store_mailbox box = { 0 }, to = { 0 };
	int rc = 0;

	store_message_init(&m);
	if (!store_mailbox_get(store, p->mailbox, &box))
		goto out; /* the mailbox is forgotten, its folder is the user's */
	if (p->kind == STORE_REMOVE)
		rc = project_remove(maildir, p, box.folder, err);
	else if (!store_message_get(store, p->message, &m) || !(m.state & STORE_SHOWN) ||
		is_removed_later(store, p, &m))
		rc = project_unshown(maildir, p, box.folder, err);
	else if (!store_mailbox_get(store, m.shown_mailbox, &to))
		rc = 0;
	else if (replaces(p))
		rc = project_replace(store, maildir, p, &m, box.folder, to.folder, err);
	else if (p->kind == STORE_PLACE)
		rc = project_place(store, maildir, p, &m, to.folder, err);
	else
		rc = project_rename(store, maildir, p, &m, box.folder, to.folder, err);
out:
	store_mailbox_release(&box);
	store_mailbox_release(&to);
	store_message_release(&m);
	return rc;
}

int project_finish(struct store *store, struct maildir *maildir, struct err *err)
{
	struct store_projection p;
	uint64_t number = 0;
	int rc = 0;

	store_projection_init(&p);
	while (rc != -1 && store_projection_next(store, number, &p)) {
		number = p.number;
		log_line(LOG_STEPS, "projection", "doing what is noted and not done yet: message m%llu",
			(unsigned long long)p.message);
		rc = project(store, maildir, &p, err);
	}
	if (rc != -1 && number > 0 && (rc = store_begin(store, err)) == 0) {
		for (uint64_t at = 0; store_projection_next(store, at, &p); at = p.number)
			store_projection_delete(store, p.number);
		rc = project_commit(store, err);
	}
	store_projection_release(&p);
	return rc;
}

static void on_commit(void *arg, const struct err *err)
{
	if (err && err->cls != ERR_NONE)
		*(struct err *)arg = *err;
}

int project_commit(struct store *store, struct err *err)
{
	struct err failed = { 0 };

	store_commit(store, on_commit, &failed);
	if (failed.cls == ERR_NONE)
		return 0;
	if (err)
		*err = failed;
	return -1;
}
