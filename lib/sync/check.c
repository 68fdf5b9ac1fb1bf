/* Check: does the Maildir hold what the store shows? With repair it is made so again (M4): the store
 * is what is durable, the Maildir its projection. What the store does not know of is the user's and
 * is never touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/private.h"

struct check {
	struct sync s; /* a run without a network: lock, store, Maildir */
	bool repair;
	const struct sync_check_events *events;
	void *arg;
	struct store_mailbox box;
	struct maildir_scan scan;
	bool *ours; /* of the scan's entries */
	uint64_t *moved; /* messages whose file a mail reader took out of new/: the record follows */
	size_t moved_count, moved_size;
	uint64_t *lost;  /* stand-ins without a file */
	size_t lost_count, lost_size;
	unsigned left; /* differences that stay */
};

static void differ(struct check *c, const char *what, const char *path, bool mended)
{
	c->left += !mended;
	if (c->events->difference)
		c->events->difference(c->arg, c->box.name, what, path, mended);
}

static void note(uint64_t number, uint64_t **numbers, size_t *count, size_t *size)
{
	if (*count == *size) {
		*size = *size ? 2 * *size : 64;
		*numbers = mem_grow(*numbers, *size, sizeof **numbers);
	}
	(*numbers)[(*count)++] = number;
}

/* Opening a mailbox moves its files from new/ to cur/; that is no difference, but `ls` tells paths. And
 * stand-ins have no body to be written from: the next sync brings them. */
static int record(struct check *c, struct err *err)
{
	struct store_message m;

	if (c->moved_count == 0 && c->lost_count == 0)
		return 0;
	if (store_begin(c->s.store, err) < 0)
		return -1;
	store_message_init(&m);
	while (c->moved_count > 0) {
		if (!store_message_get(c->s.store, c->moved[--c->moved_count], &m))
			continue;
		m.state &= ~(uint32_t)STORE_SHOWN_NEW;
		store_message_put(c->s.store, &m);
	}
	while (c->lost_count > 0) {
		if (!store_message_get(c->s.store, c->lost[--c->lost_count], &m))
			continue;
		standin_lose(&m);
		store_message_put(c->s.store, &m);
	}
	store_message_release(&m);
	return project_commit(c->s.store, err);
}

static void check_entry(struct check *c, const struct store_message *m,
	const struct maildir_entry *e)
{
	struct maildir_name is = entry_name(c->box.folder, e), to;
	struct buf path;
	char letters[40], others[32];
	bool mended = false;
	int same;

	buf_init(&path, 0);
	maildir_path(&is, &path);
	c->ours[e - c->scan.entries] = true;
	if (c->repair && !e->is_new && (m->state & STORE_SHOWN_NEW))
		note(m->number, &c->moved, &c->moved_count, &c->moved_size);
	same = m->body ? file_is_body(c->s.store, c->s.maildir, &is, m->body, NULL)
		       : standin_is_intact(c->s.maildir, &is, m);
	if (same < 0) {
		differ(c, "unreadable", buf_str(&path), false);
	} else if (same == 0 && m->body && file_is_damaged(c->s.maildir, &is, m)) {
		mended = c->repair && maildir_unlink(c->s.maildir, &is, NULL) == 0 &&
			 project_rewrite(c->s.store, c->s.maildir, m, c->box.folder, NULL) == 0;
		differ(c, "damaged", buf_str(&path), mended);
	} else if (same == 0) {
		/* Changed by somebody: it is theirs until they remove it. */
		differ(c, "changed", buf_str(&path), false);
	} else if (mail_flags_from_letters(slice_of(e->letters), others) != m->shown.system) {
		mail_flags_letters(m->shown.system, letters);
		strcat(letters, others);
		to = (struct maildir_name){ c->box.folder, e->base, letters, false, false };
		mended = c->repair && maildir_rename(c->s.maildir, &is, &to, NULL) == 0;
		differ(c, "flags", buf_str(&path), mended);
	}
	buf_release(&path);
}

/* Where its file should be; letters: room for them. */
static struct maildir_name shown_name(const struct store_message *m, const char *folder, char letters[8])
{
	mail_flags_letters(m->shown.system, letters);
	return (struct maildir_name){ folder, m->base, letters, m->state & STORE_SHOWN_NEW, false };
}

static int write_missing(struct check *c, const struct store_message *m, const char *folder, struct err *err)
{
	struct maildir_name name;
	struct buf path;
	char letters[8];
	int rc = 0;

	if (c->repair && m->body)
		rc = project_rewrite(c->s.store, c->s.maildir, m, folder, err);
	else if (c->repair)
		note(m->number, &c->lost, &c->lost_count, &c->lost_size);
	buf_init(&path, 0);
	name = shown_name(m, folder, letters);
	maildir_path(&name, &path);
	if (rc == 0)
		differ(c, m->body ? "missing" : "stand-in missing", buf_str(&path), c->repair);
	buf_release(&path);
	return rc;
}

static int check_message(struct check *c, const struct store_message *m, struct err *err)
{
	const struct maildir_entry *e;

	if (!(m->state & STORE_SHOWN))
		return 0;
	e = maildir_scan_find(&c->scan, m->base);
	if (!e)
		return write_missing(c, m, c->box.folder, err);
	check_entry(c, m, e);
	return 0;
}

/* A pending move has taken its file to another folder. Files that are there are looked at with that folder
 * (check_others); here it matters whether there is one at all. */
static int check_moved(struct check *c, const struct store_message *m, struct err *err)
{
	struct maildir_scan scan = { 0 };
	struct store_mailbox box = { 0 };
	struct maildir_name name;
	struct maildir_stat st;
	char letters[8];
	int rc = 0;

	if (!(m->state & STORE_SHOWN) || !store_mailbox_get(c->s.store, m->shown_mailbox, &box))
		return 0;
	name = shown_name(m, box.folder, letters);
	if (maildir_stat(c->s.maildir, &name, &st, NULL) != 0) {
		rc = maildir_scan(c->s.maildir, box.folder, &scan, err);
		if (rc == 0 && !maildir_scan_find(&scan, m->base))
			rc = write_missing(c, m, box.folder, err);
	}
	maildir_scan_release(&scan);
	store_mailbox_release(&box);
	return rc;
}

/* Files of messages of other mailboxes, which a pending move shows here. */
static void check_others(struct check *c, struct store_message *m)
{
	for (size_t i = 0; i < c->scan.count; i++)
		if (!c->ours[i] && store_message_by_base(c->s.store, c->scan.entries[i].base, m) &&
			(m->state & STORE_SHOWN) && m->shown_mailbox == c->box.id)
			check_entry(c, m, &c->scan.entries[i]);
}

static void report_foreign(struct check *c)
{
	struct buf path;

	buf_init(&path, 0);
	for (size_t i = 0; i < c->scan.count; i++) {
		struct maildir_name name = entry_name(c->box.folder, &c->scan.entries[i]);
		if (c->ours[i])
			continue;
		buf_clear(&path);
		maildir_path(&name, &path);
		differ(c, "foreign", buf_str(&path), false);
	}
	buf_release(&path);
}

static int check_box(struct check *c, struct err *err)
{
	struct store_each at = { 0 };
	struct store_message m;
	int rc;

	if (c->repair && maildir_folder_make(c->s.maildir, c->box.folder, err) < 0)
		return -1;
	if (maildir_scan(c->s.maildir, c->box.folder, &c->scan, err) < 0)
		return -1;
	c->ours = mem_new(c->scan.count + 1);
	store_message_init(&m);
	rc = 0;
	while (rc == 0 && store_message_each(c->s.store, c->box.id, &at, &m))
		rc = m.shown_mailbox == c->box.id ? check_message(c, &m, err) : check_moved(c, &m, err);
	if (rc == 0)
		check_others(c, &m);
	if (rc == 0)
		report_foreign(c);
	if (rc == 0)
		rc = record(c, err);
	store_message_release(&m);
	free(c->ours);
	maildir_scan_release(&c->scan);
	memset(&c->scan, 0, sizeof c->scan);
	return rc;
}

int sync_check(const struct conf_account *account, bool repair,
	const struct sync_check_events *events, void *arg)
{
	struct check c = { .repair = repair, .events = events, .arg = arg };
	struct err err = { 0 };
	int rc;

	c.s.account = account;
	c.s.options.command = "check";
	c.s.options.remake = repair;
	c.s.lock_fd = -1;
	rc = open_local(&c.s, &err);
	for (uint32_t id = 0; rc == 0 && store_mailbox_next(c.s.store, id, &c.box);) {
		id = c.box.id;
		rc = check_box(&c, &err);
		store_mailbox_release(&c.box);
	}
	/* What was written again belongs to runs that count as durable: so it must be. */
	if (rc == 0 && repair)
		rc = maildir_sync(c.s.maildir, &err);
	close_local(&c.s);
	facts_release(&c.s);
	throttle_release(&c.s);
	free(c.moved);
	free(c.lost);
	if (rc == 0)
		return c.left > 0;
	if (events->note)
		events->note(arg, SYNC_FAILURE, NULL, err.text);
	return err_exit_status(&err);
}
