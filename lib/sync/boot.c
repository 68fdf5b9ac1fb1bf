/* Boot: files are written without fsync (design: durability), so after a power failure some may be
 * missing or short. Each record holds the run that wrote its file; the store holds the boot and the
 * last run whose files a syncfs has made durable. Under another boot every file of a later run is
 * looked at, and written again from its body where it is not what it should be: never taken for a
 * deletion or an edit of the user's (M4). */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "sync/private.h"

/* A run that wrote less than this is made durable at its own end, a larger one by the next run: its
 * pages are on their way to the disk by then. */
#define SETTLE_OCTETS (16u << 20)

static void boot_id(struct buf *out)
{
	buf_init(out, 256);
	if (file_read("/proc/sys/kernel/random/boot_id", out, NULL, NULL) < 0)
		buf_clear(out);
	while (out->len && out->data[out->len - 1] == '\n')
		buf_truncate(out, out->len - 1);
}

struct hashing {
	struct mail_hash *wire;
	struct mail_hash *file;
	struct mail_lines lines;
	struct buf text;
};

static void hash_piece(void *arg, const void *data, size_t len)
{
	struct hashing *h = arg;

	buf_clear(&h->text);
	mail_lines_to_wire(&h->lines, (struct slice){ data, len }, &h->text);
	mail_hash_add(h->wire, h->text.data, h->text.len);
	mail_hash_add(h->file, data, len);
}

int file_is_body(struct store *store, struct maildir *maildir, const struct maildir_name *name,
	uint64_t body, struct err *err)
{
	struct hashing h = { .wire = mail_hash_new(), .file = mail_hash_new() };
	struct store_body_info info;
	uint8_t wire[MAIL_HASH_SIZE], file[MAIL_HASH_SIZE];
	int rc = -1;

	buf_init(&h.text, 0);
	if (!store_body_info(store, body, &info)) {
		rc = 0;
	} else if (maildir_read(maildir, name, hash_piece, &h, err) == 0) {
		mail_hash_take(h.wire, wire);
		mail_hash_take(h.file, file);
		rc = memcmp(wire, info.hash, sizeof wire) == 0 ||
		     (info.has_file_hash && memcmp(file, info.file_hash, sizeof file) == 0);
	}
	buf_release(&h.text);
	mail_hash_free(h.wire);
	mail_hash_free(h.file);
	return rc;
}

bool file_is_damaged(struct maildir *maildir, const struct maildir_name *name,
	const struct store_message *m)
{
	struct maildir_stat st;

	return maildir_stat(maildir, name, &st, NULL) == 0 &&
	       (st.size == 0 || st.mtime_ns == m->file_mtime_ns);
}

/* Base names of all folders: a message that the user moved is not missing. */
struct boot {
	struct store *store;
	struct maildir *maildir;
	uint32_t durable;
	void *everywhere; /* tree of names, made when the first file is missed */
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int scan_everywhere(struct boot *b, struct err *err)
{
	struct store_mailbox box = { 0 };
	int rc = 0;

	for (uint32_t id = 0; rc == 0 && store_mailbox_next(b->store, id, &box);) {
		struct maildir_scan scan = { 0 };
		id = box.id;
		rc = maildir_scan(b->maildir, box.folder, &scan, err);
		for (size_t i = 0; rc == 0 && i < scan.count; i++) {
			char *base = mem_copy(scan.entries[i].base);
			if (*(char **)tsearch(base, &b->everywhere, by_text) != base)
				free(base);
		}
		maildir_scan_release(&scan);
		store_mailbox_release(&box);
	}
	return rc;
}

/* 1: it is in another folder. */
static int is_elsewhere(struct boot *b, const char *base, struct err *err)
{
	if (!b->everywhere && scan_everywhere(b, err) < 0)
		return -1;
	return tfind(base, &b->everywhere, by_text) != NULL;
}

/* A file that the power took is empty, or has our time and not our content. What has another time was
 * edited, and is the user's. */
static int check_file(struct boot *b, struct maildir_scan *scan, const char *folder,
	const struct store_message *m, struct err *err)
{
	const struct maildir_entry *e = maildir_scan_find(scan, m->base);
	struct maildir_name name;
	int rc;

	if (e) {
		name = entry_name(folder, e);
		rc = file_is_body(b->store, b->maildir, &name, m->body, err);
		if (rc != 0 || !file_is_damaged(b->maildir, &name, m))
			return rc < 0 ? -1 : 0;
		if (maildir_unlink(b->maildir, &name, err) < 0)
			return -1;
	} else if ((rc = is_elsewhere(b, m->base, err)) != 0) {
		return rc < 0 ? -1 : 0;
	}
	log_line(LOG_STEPS, folder, "file of m%llu was lost with the power: written again",
		(unsigned long long)m->number);
	return project_rewrite(b->store, b->maildir, m, folder, err);
}

/* A stand-in can only be asked for again. */
static int check_stand_in(struct boot *b, struct maildir_scan *scan, const char *folder,
	struct store_message *m, struct err *err)
{
	const struct maildir_entry *e = maildir_scan_find(scan, m->base);
	struct maildir_name name;
	int rc;

	if (e) {
		name = entry_name(folder, e);
		if (standin_is_intact(b->maildir, &name, m) || !file_is_damaged(b->maildir, &name, m))
			return 0;
		if (maildir_unlink(b->maildir, &name, err) < 0)
			return -1;
	} else if ((rc = is_elsewhere(b, m->base, err)) != 0) {
		return rc < 0 ? -1 : 0;
	}
	log_line(LOG_STEPS, folder, "stand-in of m%llu was lost with the power: asked for again",
		(unsigned long long)m->number);
	if (store_begin(b->store, err) < 0)
		return -1;
	standin_lose(m);
	store_message_put(b->store, m);
	return project_commit(b->store, err);
}

/* Of a message that a pending move shows in another folder. */
static int check_moved(struct boot *b, struct store_message *m, struct err *err)
{
	struct maildir_scan scan = { 0 };
	struct store_mailbox box = { 0 };
	int rc = 0;

	if (store_mailbox_get(b->store, m->shown_mailbox, &box))
		rc = maildir_scan(b->maildir, box.folder, &scan, err);
	if (rc == 0 && box.folder)
		rc = m->body ? check_file(b, &scan, box.folder, m, err)
			     : check_stand_in(b, &scan, box.folder, m, err);
	maildir_scan_release(&scan);
	store_mailbox_release(&box);
	return rc;
}

static int check_mailbox(struct boot *b, const struct store_mailbox *box, struct err *err)
{
	struct maildir_scan scan = { 0 };
	struct store_each at = { 0 };
	struct store_message m;
	int rc = maildir_scan(b->maildir, box->folder, &scan, err);

	store_message_init(&m);
	while (rc == 0 && store_message_each(b->store, box->id, &at, &m)) {
		if (!(m.state & STORE_SHOWN) || m.run <= b->durable)
			continue;
		if (m.shown_mailbox != box->id)
			rc = check_moved(b, &m, err);
		else
			rc = m.body ? check_file(b, &scan, box->folder, &m, err)
				    : check_stand_in(b, &scan, box->folder, &m, err);
	}
	store_message_release(&m);
	maildir_scan_release(&scan);
	return rc;
}

int boot_check(struct store *store, struct maildir *maildir, uint32_t *run, struct err *err)
{
	uint32_t last = (uint32_t)store_get_number(store, "run.number"), durable = (uint32_t)store_get_number(store, "run.durable");
	struct store_mailbox box = { 0 };
	struct buf here, there;
	int rc = 0;

	*run = last + 1;
	boot_id(&here);
	buf_init(&there, 0);
	if (store_get(store, "run.boot", &there) && here.len > 0 &&
		!slice_is(buf_slice(&there), buf_str(&here)) && durable < last) {
		struct boot b = { .store = store, .maildir = maildir, .durable = durable };
		for (uint32_t id = 0; rc == 0 && store_mailbox_next(store, id, &box);) {
			id = box.id;
			rc = check_mailbox(&b, &box, err);
			store_mailbox_release(&box);
		}
		tdestroy(b.everywhere, free);
		if (rc == 0)
			rc = maildir_sync(maildir, err);
		durable = last;
	}
	if (rc == 0 && !slice_is(buf_slice(&there), buf_str(&here)) &&
		(rc = store_begin(store, err)) == 0) {
		store_put(store, "run.boot", buf_slice(&here));
		store_put_number(store, "run.durable", durable);
		rc = project_commit(store, err);
	}
	buf_release(&here);
	buf_release(&there);
	return rc;
}

void boot_settle(struct sync *s)
{
	uint32_t last = (uint32_t)store_get_number(s->store, "run.number");
	bool owed = (uint32_t)store_get_number(s->store, "run.durable") + 1 < last ||
		    (s->written == 0 && (uint32_t)store_get_number(s->store, "run.durable") < last);

	if (!owed && (s->written == 0 || s->written >= SETTLE_OCTETS))
		return;
	if (maildir_sync(s->maildir, NULL) == 0)
		store_put_number(s->store, "run.durable", s->run_noted ? s->run : last);
}
