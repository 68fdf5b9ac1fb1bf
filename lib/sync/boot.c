/* Boot: files are written without fsync (design: durability), so after a power failure some may be
 * missing or short. Each record holds the run that wrote its file; the store holds the boot and the
 * last run whose files a syncfs has made durable. Under another boot every file of a later run is
 * looked at, and written again from its body where it is not what it should be: never taken for a
 * deletion or an edit of the user's (M4). */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "sync/private.h"

/* A run that wrote less than this is made durable at its own end, a larger one by the next run: its
 * pages are on their way to the disk by then. */
#define SETTLE_OCTETS (16u << 20)

static uint32_t get_number(struct store *store, const char *name)
{
	struct buf text;
	uint32_t n = 0;

	buf_init(&text, 0);
	if (store_get(store, name, &text))
		n = (uint32_t)strtoul(buf_str(&text), NULL, 10);
	buf_release(&text);
	return n;
}

static void put_number(struct store *store, const char *name, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof text, "%lu", (unsigned long)n);
	store_put(store, name, slice_of(text));
}

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

bool file_is_body(struct store *store, struct maildir *maildir, const struct maildir_name *name,
	uint64_t body)
{
	struct hashing h = { .wire = mail_hash_new(), .file = mail_hash_new() };
	struct store_body_info info;
	uint8_t wire[MAIL_HASH_SIZE], file[MAIL_HASH_SIZE];
	bool same = false;

	buf_init(&h.text, 0);
	if (store_body_info(store, body, &info) &&
		maildir_read(maildir, name, hash_piece, &h, NULL) == 0) {
		mail_hash_take(h.wire, wire);
		mail_hash_take(h.file, file);
		same = memcmp(wire, info.hash, sizeof wire) == 0 ||
		       (info.has_file_hash && memcmp(file, info.file_hash, sizeof file) == 0);
	}
	buf_release(&h.text);
	mail_hash_free(h.wire);
	mail_hash_free(h.file);
	return same;
}

/* Under which name the file is now, whatever flags it got. */
static int check_file(struct store *store, struct maildir *maildir, struct maildir_scan *scan,
	const char *folder, const struct store_message *m, struct err *err)
{
	const struct maildir_entry *e = maildir_scan_find(scan, m->base);
	struct maildir_name name;

	if (e) {
		name = entry_name(folder, e);
		if (file_is_body(store, maildir, &name, m->body))
			return 0;
		if (maildir_unlink(maildir, &name, err) < 0)
			return -1;
	}
	log_line(LOG_STEPS, folder, "file of m%llu was lost with the power: written again",
		(unsigned long long)m->number);
	return project_rewrite(store, maildir, m, folder, err);
}

static int check_mailbox(struct store *store, struct maildir *maildir, uint32_t durable,
	const struct store_mailbox *box, struct err *err)
{
	struct maildir_scan scan = { 0 };
	struct store_message m;
	int rc = maildir_scan(maildir, box->folder, &scan, err);

	store_message_init(&m);
	for (uint32_t uid = 0; rc == 0 && store_message_next(store, box->id, uid, &m);) {
		uid = m.uid;
		if ((m.state & STORE_SHOWN) && m.body && m.run > durable)
			rc = check_file(store, maildir, &scan, box->folder, &m, err);
	}
	store_message_release(&m);
	maildir_scan_release(&scan);
	return rc;
}

int boot_check(struct store *store, struct maildir *maildir, uint32_t *run, struct err *err)
{
	uint32_t last = get_number(store, "run.number"), durable = get_number(store, "run.durable");
	struct store_mailbox box = { 0 };
	struct buf here, there;
	int rc = 0;

	*run = last + 1;
	boot_id(&here);
	buf_init(&there, 0);
	if (store_get(store, "run.boot", &there) && here.len > 0 &&
		!slice_is(buf_slice(&there), buf_str(&here)) && durable < last) {
		for (uint32_t id = 0; rc == 0 && store_mailbox_next(store, id, &box);) {
			id = box.id;
			rc = check_mailbox(store, maildir, durable, &box, err);
			store_mailbox_release(&box);
		}
		if (rc == 0)
			rc = maildir_sync(maildir, err);
		durable = last;
	}
	if (rc == 0 && !slice_is(buf_slice(&there), buf_str(&here)) &&
		(rc = store_begin(store, err)) == 0) {
		store_put(store, "run.boot", buf_slice(&here));
		put_number(store, "run.durable", durable);
		rc = project_commit(store, err);
	}
	buf_release(&here);
	buf_release(&there);
	return rc;
}

void boot_settle(struct sync *s)
{
	uint32_t last = get_number(s->store, "run.number");
	bool owed = get_number(s->store, "run.durable") + 1 < last ||
		    (s->written == 0 && get_number(s->store, "run.durable") < last);

	if (!owed && (s->written == 0 || s->written >= SETTLE_OCTETS))
		return;
	if (maildir_sync(s->maildir, NULL) == 0)
		put_number(s->store, "run.durable", s->run_noted ? s->run : last);
}
