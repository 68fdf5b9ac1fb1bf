/* The store's contract, call by call: what is put comes back, aborts and crashes leave nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap.h"
#include "store/store_private.h"

static char state[] = "/tmp/store-basic.XXXXXX";
static struct err err;

static struct store *reopen(struct store *s)
{
	store_close(s);
	s = store_open(state, true, false, NULL, &err);
	if (s == NULL)
		diag("open: %s", err.text);
	return s;
}

static void begin(struct store *s)
{
	if (store_begin(s, &err) < 0)
		diag("begin: %s", err.text);
}

static void on_commit(void *arg, const struct err *e)
{
	*(enum err_class *)arg = e->cls;
	if (e->cls != ERR_NONE)
		diag("commit: %s", e->text);
}

static void commit(struct store *s)
{
	enum err_class cls = ERR_USER;
	store_commit(s, on_commit, &cls);
	if (cls != ERR_NONE)
		ok(0, "commit");
}

static uint32_t make_mailbox(struct store *s, const char *name)
{
	struct store_mailbox m = { .name = mem_copy(name), .wire = mem_copy(name) };
	store_mailbox_put(s, &m);
	uint32_t id = m.id;
	store_mailbox_release(&m);
	return id;
}

static uint64_t make_message(struct store *s, uint32_t mailbox, uint32_t uid)
{
	struct store_message m;
	store_message_init(&m);
	m.mailbox = mailbox;
	m.uid = uid;
	m.state = STORE_BODY_OWED;
	m.size = 100 + uid;
	store_message_put(s, &m);
	uint64_t number = m.number;
	store_message_release(&m);
	return number;
}

static void test_open(void)
{
	bool missing = false;
	ok(store_open(state, false, false, &missing, &err) == NULL && missing, "none yet");
	is_int(err.cls, ERR_USER, "the user's to know: %s", err.text);
	missing = false;
	ok(store_open(state, false, true, &missing, &err) == NULL && missing, "none to read");
	missing = false;
	ok(store_open(state, true, true, &missing, &err) == NULL && missing, "no reader makes one");

	struct store *s = store_open(state, true, false, &missing, &err);
	ok(s != NULL && !missing, "made");
	char id[17];
	snprintf(id, sizeof id, "%s", store_id(s));
	is_int(strspn(id, "0123456789abcdef"), 16, "its id is hex");
	s = reopen(s);
	is_str(store_id(s), id, "and stays");
	store_close(s);
	store_close(NULL);
}

/* No descriptor may leak into a child. */
static void test_descriptors(void)
{
	struct store *s = reopen(NULL);
	struct dirent *entry;
	DIR *fds = opendir("/proc/self/fd");
	int leaks = 0, seen = 0;
	while (fds != NULL && (entry = readdir(fds)) != NULL) {
		char target[512] = "";
		int fd = atoi(entry->d_name);
		if (readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1) < 0 ||
		    strstr(target, ".mdb") == NULL)
			continue;
		seen++;
		leaks += (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
	}
	if (fds != NULL)
		closedir(fds);
	ok(seen >= 2 && leaks == 0, "%d descriptors, %d leak", seen, leaks);
	store_close(s);
}

static void test_refusals(void)
{
	struct store_key key;
	uint8_t schema[4];
	struct store *s = reopen(NULL);
	begin(s);
	store_key_text(&key, slice_of("schema"));
	store_put_u32(schema, STORE_SCHEMA + 1);
	store_db_put(s, STORE_DB_META, &key, (struct slice){ (char *)schema, 4 });
	commit(s);
	store_close(s);
	bool missing = true;
	ok(store_open(state, true, false, &missing, &err) == NULL && !missing, "newer: refused");
	is_int(err.cls, ERR_USER, "%s", err.text);
	ok(strstr(err.text, "format 3") != NULL && strstr(err.text, "format 2") != NULL, "both named");

	char command[200];
	snprintf(command, sizeof command, "head -c 20000 /dev/urandom > %s/store/data.mdb", state);
	is_int(system(command), 0, "garbage");
	ok(store_open(state, true, false, &missing, &err) == NULL && !missing, "garbage: refused");
	is_int(err.cls, ERR_USER, "%s", err.text);

	snprintf(command, sizeof command, ": > %s/store/data.mdb", state);
	is_int(system(command), 0, "a run died before its first transaction");
	ok(store_open(state, false, true, &missing, &err) == NULL, "nothing to read: %s", err.text);
	s = store_open(state, true, false, &missing, &err);
	ok(s != NULL, "goes on");
	store_close(s);
}

static void test_facts(void)
{
	struct store *s = reopen(NULL);
	struct buf value;
	char longest[1200];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	buf_init(&value, 0);
	ok(!store_get(s, "run.boot", &value), "none");
	begin(s);
	store_put(s, "run.boot", slice_of("abc"));
	store_put(s, "empty", slice_of(""));
	store_put(s, longest, (struct slice){ "\0\1", 2 });
	ok(store_get(s, "run.boot", &value), "seen inside");
	is_mem(value.data, value.len, "abc", 3, "its value");
	commit(s);
	begin(s);
	store_put(s, "run.boot", slice_of("other"));
	store_put(s, "second", slice_of("other"));
	store_abort(s);
	s = reopen(s);
	ok(store_get(s, "run.boot", &value), "there");
	is_mem(value.data, value.len, "abc", 3, "an abort leaves it");
	ok(!store_get(s, "second", &value), "nor adds one");
	ok(store_get(s, "empty", &value) && value.len == 0, "an empty value");
	ok(store_get(s, longest, &value), "a long name");
	is_mem(value.data, value.len, "\0\1", 2, "its octets");
	buf_release(&value);
	store_close(s);
}

static void test_mailboxes(void)
{
	struct store *s = reopen(NULL);
	struct store_mailbox m = { .name = mem_copy("Entwürfe"), .wire = mem_copy("Entw&APw-rfe"),
		.folder = mem_copy(".Entwürfe"), .delimiter = '/', .attrs = 0x80000001,
		.state = STORE_MAILBOX_WHOLE | STORE_MAILBOX_MATCHING, .rules = UINT64_MAX - 2,
		.mailboxid = mem_copy("F2212ea87-6097"), .uidvalidity = UINT64_MAX - 1, .uidnext = UINT32_MAX,
		.messages = 5, .highestmodseq = INT64_MAX, .lastseen = 7, .synced = -1 };
	struct store_mailbox got;
	begin(s);
	store_mailbox_put(s, &m);
	ok(m.id > 0, "an id");
	uint32_t second = make_mailbox(s, "second");
	ok(second > m.id, "another");
	commit(s);
	ok(store_mailbox_find(s, "Entwürfe", &got), "found by name");
	is_int(got.id, m.id, "id");
	is_str(got.wire, m.wire, "wire");
	is_str(got.folder, m.folder, "folder");
	ok(got.delimiter == '/' && got.attrs == m.attrs && got.state == m.state, "octets");
	ok(got.uidvalidity == m.uidvalidity && got.uidnext == m.uidnext && got.messages == 5 &&
		got.highestmodseq == m.highestmodseq && got.lastseen == 7 && got.synced == -1, "numbers");
	ok(got.rules == UINT64_MAX - 2, "rules");
	is_str(got.mailboxid, "F2212ea87-6097", "mailboxid");
	store_mailbox_release(&got);

	begin(s);
	struct store_mailbox other;
	store_mailbox_get(s, second, &other);
	ok(other.mailboxid == NULL && other.rules == 0, "the other has none");
	free(m.name);
	m.name = other.name;
	other.name = mem_copy("Entwürfe");
	store_mailbox_put(s, &m);
	store_mailbox_put(s, &other);
	commit(s);
	store_mailbox_release(&other);
	ok(store_mailbox_find(s, "second", &got) && got.id == m.id, "names swapped");
	store_mailbox_release(&got);
	ok(store_mailbox_find(s, "Entwürfe", &got) && got.id == second, "both");
	store_mailbox_release(&got);

	ok(store_mailbox_next(s, 0, &got) && got.id == m.id, "the first");
	store_mailbox_release(&got);
	ok(store_mailbox_next(s, m.id, &got) && got.id == second, "the next");
	store_mailbox_release(&got);
	ok(!store_mailbox_next(s, second, &got) && !store_mailbox_next(s, UINT32_MAX, &got), "the end");

	begin(s);
	store_mailbox_delete(s, second);
	ok(!store_mailbox_find(s, "Entwürfe", &got), "deleted");
	commit(s);
	s = reopen(s);
	begin(s);
	ok(make_mailbox(s, "third") > second, "an id is never used again");
	char name[1500];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	uint32_t id = make_mailbox(s, name);
	ok(store_mailbox_find(s, name, &got) && got.id == id, "a name longer than LMDB's keys");
	store_mailbox_release(&got);
	commit(s);
	store_mailbox_release(&m);
	store_close(s);
}

static void add_flags(struct mail_flags *f, const char *text)
{
	mail_flags_parse(f, slice_of(text));
}

static void is_flags(const struct mail_flags *f, const char *want, const char *what)
{
	struct buf text;
	buf_init(&text, 0);
	mail_flags_print(f, &text);
	is_str(buf_str(&text), want, "%s", what);
	buf_release(&text);
}

static void test_message(void)
{
	struct store *s = reopen(NULL);
	struct store_message m, got;
	store_message_init(&m);
	store_message_init(&got);
	begin(s);
	m.mailbox = make_mailbox(s, "message");
	m.uid = UID_MAX;
	m.state = STORE_SHOWN | STORE_SHOWN_NEW | STORE_BODY_FAILED;
	add_flags(&m.flags, "\\Seen $Label1 Zebra");
	m.date = -5;
	m.size = UINT64_MAX;
	m.shown_mailbox = 9;
	add_flags(&m.shown, "\\Flagged apfel $label1");
	m.base = mem_copy("1.m1_x.host,S=5");
	m.device = 1;
	m.inode = UINT64_MAX - 2;
	m.file_size = 3;
	m.file_mtime_ns = INT64_MIN;
	m.run = 4;
	store_message_put(s, &m);
	commit(s);
	s = reopen(s);
	ok(store_message_get(s, m.number, &got), "there");
	ok(got.number == m.number && got.mailbox == m.mailbox && got.uid == UID_MAX &&
		got.state == m.state && got.date == -5 && got.size == UINT64_MAX && got.body == 0, "agreed");
	is_flags(&got.flags, "\\Seen $Label1 Zebra", "its flags");
	is_flags(&got.shown, "\\Flagged $Label1 apfel", "shown flags, a keyword spelled as first seen");
	is_str(got.base, m.base, "base");
	ok(got.shown_mailbox == 9 && got.device == 1 && got.inode == UINT64_MAX - 2 &&
		got.file_size == 3 && got.file_mtime_ns == INT64_MIN && got.run == 4, "shown");
	ok(store_message_by_uid(s, m.mailbox, UID_MAX, &got) && got.number == m.number, "by UID");
	ok(store_message_by_base(s, m.base, &got) && got.number == m.number, "by base name");
	ok(!store_message_by_uid(s, m.mailbox, 1, &got), "no other");
	is_int(got.number, m.number, "what there is not leaves *m alone");
	ok(store_message_next(s, m.mailbox, UID_MAX - 1, &got) && got.uid == UID_MAX, "next");
	ok(!store_message_next(s, m.mailbox, UID_MAX, &got), "end");

	begin(s);
	free(got.base);
	got.base = mem_copy("other");
	got.uid = 0;
	mail_flags_copy(&got.shown, &got.flags);
	store_message_put(s, &got);
	commit(s);
	ok(!store_message_by_uid(s, m.mailbox, UID_MAX, &m), "lost its UID");
	ok(!store_message_by_base(s, "1.m1_x.host,S=5", &m), "lost its name");
	ok(store_message_by_base(s, "other", &m), "has another");
	is_flags(&m.shown, "\\Seen $Label1 Zebra", "shown as agreed");
	is_int(store_mailbox_counts(s, m.mailbox).messages, 1, "counted without a UID");
	is_int(store_count_uids(s, m.mailbox, 1, UID_MAX), 0, "which has no place among UIDs");

	begin(s);
	store_message_delete(s, m.number);
	store_message_delete(s, m.number);
	commit(s);
	ok(!store_message_get(s, m.number, &got) && !store_message_by_base(s, "other", &got), "gone");
	begin(s);
	ok(make_message(s, m.mailbox, 1) > m.number, "its number is not used again");
	store_abort(s);
	store_message_release(&m);
	store_message_release(&got);
	store_close(s);
}

/* What is not told costs one bit; a record that was cut is told as such. */
static void test_identity_record(void)
{
	static const uint8_t zeros[16];
	struct store *s = reopen(NULL);
	struct store_message m, got;
	struct store_message_index index;
	store_message_init(&m);
	store_message_init(&got);
	m.mailbox = 1;
	m.state = STORE_STAND_IN | STORE_UNMATCHED | STORE_WANTED | STORE_ORPHAN;
	m.date = -7;
	is_int(store_message_encode(s, &m).len, 40, "nothing told");
	m.message_id[15] = 1;
	is_int(store_message_encode(s, &m).len, 56, "a Message-ID");
	m.emailid = mem_copy("M6d99");
	struct slice record = store_message_encode(s, &m);
	is_int(record.len, 63, "an emailid too");
	int taken = 0;
	for (size_t len = 0; len < record.len; len++) {
		struct slice cut = { record.data, len };
		taken += store_message_decode(s, cut, &got) + store_message_peek(cut, &index);
	}
	is_int(taken, 0, "none that was cut is taken");
	ok(store_message_decode(s, record, &got) && got.state == m.state && got.date == -7, "whole: taken");
	is_str(got.emailid, "M6d99", "its emailid");
	is_mem(got.message_id, 16, m.message_id, 16, "its Message-ID");
	ok(store_message_peek(record, &index) && index.date == -7 && slice_is(index.emailid, "M6d99") &&
		index.base.data == NULL, "the indexes see the same");
	store_message_release(&got);
	ok(got.emailid == NULL && memcmp(got.message_id, zeros, 16) == 0, "released");
	store_message_release(&m);
	store_close(s);
}

static uint64_t make_alike(struct store *s, uint32_t mailbox, int64_t date, uint64_t size,
	const char *emailid)
{
	struct store_message m;
	store_message_init(&m);
	m.mailbox = mailbox;
	m.date = date;
	m.size = size;
	m.emailid = emailid != NULL ? mem_copy(emailid) : NULL;
	store_message_put(s, &m);
	uint64_t number = m.number;
	store_message_release(&m);
	return number;
}

static void test_alike(void)
{
	struct store *s = reopen(NULL);
	struct store_message m;
	store_message_init(&m);
	begin(s);
	uint32_t box = make_mailbox(s, "alike"), other = make_mailbox(s, "alike2");
	uint64_t first = make_alike(s, box, -1, 1 << 20, NULL);
	make_alike(s, box, -1, (1 << 20) + 1, NULL);
	make_alike(s, box, -2, 1 << 20, NULL);
	make_alike(s, box, 0, 1 << 20, NULL);
	uint64_t last = make_alike(s, other, -1, 1 << 20, NULL);
	ok(store_alike_next(s, -1, 1 << 20, 0, &m) && m.number == first, "inside: the first");
	commit(s);
	ok(store_alike_next(s, -1, 1 << 20, first, &m) && m.number == last && m.mailbox == other,
		"the next, elsewhere");
	ok(!store_alike_next(s, -1, 1 << 20, last, &m), "and no more");
	ok(!store_alike_next(s, -1, 1 << 20, UINT64_MAX, &m), "nor behind the last number");
	ok(!store_alike_next(s, -1, 99, 0, &m) && !store_alike_next(s, INT64_MAX, 1 << 20, 0, &m),
		"none like it");
	is_int(m.number, last, "what there is not leaves *m alone");
	ok(store_dated_next(s, 0, 0, 0, &m) && m.date >= 0, "by date: the first since 1970");
	ok(store_dated_next(s, -2, 1 << 20, 0, &m) && m.date == -2, "from a date on");
	ok(store_dated_next(s, -2, 1 << 20, m.number, &m) && m.number == first, "in order of date and size");
	ok(store_dated_next(s, m.date, m.size, m.number, &m) && m.number == last, "and of number");
	ok(store_dated_next(s, m.date, m.size, m.number, &m) && m.size == (1 << 20) + 1, "another size");
	ok(!store_dated_next(s, m.date, m.size, m.number, &m), "to the end");
	begin(s);
	store_message_get(s, first, &m);
	m.size = 99;
	store_message_put(s, &m);
	store_message_delete(s, last);
	commit(s);
	ok(!store_alike_next(s, -1, 1 << 20, 0, &m), "sizes and deletions are followed");
	ok(store_alike_next(s, -1, 99, 0, &m) && m.number == first, "to where they went");
	store_message_release(&m);
	store_close(s);
}

static void test_emailids(void)
{
	struct store *s = reopen(NULL);
	struct store_message m;
	char texts[4][600];
	static const int lengths[] = { 254, 255, 256, 599 };
	uint64_t numbers[4];
	store_message_init(&m);
	begin(s);
	uint32_t box = make_mailbox(s, "emailids");
	uint64_t longer = make_alike(s, box, 0, 0, "M12"), shorter = make_alike(s, box, 0, 0, "M1");
	for (int i = 0; i < 4; i++) {
		memset(texts[i], 'e', sizeof texts[i]);
		texts[i][lengths[i]] = '\0';
		numbers[i] = make_alike(s, box, 0, 0, texts[i]);
	}
	uint64_t copy = make_alike(s, box, 0, 0, texts[3]);
	commit(s);
	s = reopen(s);
	ok(store_emailid_next(s, "M1", 0, &m) && m.number == shorter, "found");
	ok(!store_emailid_next(s, "M1", shorter, &m), "the beginning of another is another");
	ok(store_emailid_next(s, "M12", 0, &m) && m.number == longer, "found");
	ok(!store_emailid_next(s, "M", 0, &m) && !store_emailid_next(s, "", 0, &m) &&
		!store_emailid_next(s, "m1", 0, &m), "none");
	for (int i = 0; i < 4; i++)
		ok(store_emailid_next(s, texts[i], 0, &m) && m.number == numbers[i] &&
			strcmp(m.emailid, texts[i]) == 0, "%d octets", lengths[i]);
	ok(store_emailid_next(s, texts[3], numbers[3], &m) && m.number == copy, "a second one");
	ok(!store_emailid_next(s, texts[3], copy, &m) &&
		!store_emailid_next(s, texts[3], UINT64_MAX, &m), "the end");
	begin(s);
	store_message_get(s, shorter, &m);
	free(m.emailid);
	m.emailid = NULL;
	store_message_put(s, &m);
	store_message_delete(s, numbers[2]);
	commit(s);
	ok(!store_emailid_next(s, "M1", 0, &m), "no longer told");
	ok(!store_emailid_next(s, texts[2], 0, &m), "deleted");
	store_message_release(&m);
	store_close(s);
}

/* The UIDVALIDITY changes and the message is found again. */
static void test_orphans(void)
{
	struct store *s = reopen(NULL);
	struct store_message m;
	struct store_body_info info;
	static const uint8_t hash[MAIL_HASH_SIZE] = { 1, 2, 3 };
	store_message_init(&m);
	begin(s);
	uint32_t box = make_mailbox(s, "orphans");
	uint64_t number = make_message(s, box, 5), second = make_message(s, box, 6);
	struct store_body *b = store_body_new(s);
	store_body_write(b, "x", 1);
	store_message_get(s, number, &m);
	m.state = STORE_SHOWN | STORE_BODY_OWED;
	m.base = mem_copy("orphan.base");
	m.body = store_body_finish(b, hash, NULL);
	store_message_put(s, &m);
	commit(s);
	ok(!store_orphan_next(s, box, 0, &m), "no orphans");

	begin(s);
	m.uid = 0;
	m.state |= STORE_ORPHAN;
	store_message_put(s, &m);
	commit(s);
	s = reopen(s);
	ok(store_orphan_next(s, box, 0, &m) && m.number == number, "an orphan");
	ok(!store_orphan_next(s, box, number, &m) && !store_orphan_next(s, box + 1, 0, &m) &&
		!store_orphan_next(s, box - 1, 0, &m), "the only one");
	struct store_counts counts = store_mailbox_counts(s, box);
	ok(counts.messages == 1 && counts.bodies == 0 && counts.unseen == 1 && counts.owed == 1,
		"it is not counted");
	ok(store_message_next(s, box, 0, &m) && m.number == second, "nor met among UIDs");
	is_int(store_count_uids(s, box, 1, UID_MAX), 1, "nor counted there");
	ok(store_message_by_base(s, "orphan.base", &m) && m.number == number, "found by its file");
	ok(store_alike_next(s, 0, 105, 0, &m) && m.number == number, "and by what it is");
	ok(store_body_info(s, m.body, &info) && info.references == 1, "its body stays");
	is_int(store_bodies_sweep(s, &err), 0, "a sweep");
	ok(store_body_info(s, m.body, &info), "leaves it");

	begin(s);
	m.uid = 6000;
	m.state &= ~(uint32_t)STORE_ORPHAN;
	store_message_put(s, &m);
	commit(s);
	ok(!store_orphan_next(s, box, 0, &m), "found again: no orphan");
	ok(store_message_by_uid(s, box, 6000, &m) && m.number == number, "it has its UID");
	is_int(store_mailbox_counts(s, box).messages, 2, "and counts");
	store_message_release(&m);
	store_close(s);
}

/* True if `act` ended the program. */
static bool dies(void (*act)(struct store *s, uint32_t box), struct store *s, uint32_t box)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		if (freopen("/dev/null", "w", stderr) != NULL)
			act(s, box);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
		WTERMSIG(status) == SIGABRT;
}

static void put_orphan(struct store *s, uint32_t mailbox, uint32_t uid)
{
	struct store_message m;
	store_message_init(&m);
	m.mailbox = mailbox;
	m.uid = uid;
	m.state = STORE_ORPHAN;
	store_message_put(s, &m);
	store_message_release(&m);
}

static void put_orphan_with_uid(struct store *s, uint32_t box)
{
	put_orphan(s, box, 1);
}

static void test_invariants(void)
{
	struct store *s = reopen(NULL);
	begin(s);
	uint32_t box = make_mailbox(s, "invariants");
	ok(dies(put_orphan_with_uid, s, box), "an orphan has no UID");
	ok(!dies(store_mailbox_delete, s, box), "an empty mailbox may go");
	put_orphan(s, box, 0);
	ok(dies(store_mailbox_delete, s, box), "one with an orphan may not");
	store_abort(s);
	store_close(s);
}

static void test_uids(void)
{
	struct store *s = reopen(NULL);
	static const uint32_t list[] = { 1, 2, 3, 7, 9, 10, 4294967295 };
	begin(s);
	uint32_t box = make_mailbox(s, "uids"), next = make_mailbox(s, "uids2");
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		make_message(s, box, list[i]);
	make_message(s, next, 5);
	struct uids u;
	struct buf text;
	uids_init(&u);
	buf_init(&text, 0);
	store_known_uids(s, box, &u);
	uids_print(&u, 1, 1000, &text);
	is_str(buf_str(&text), "1:3,7,9:10,4294967295", "as ranges, inside");
	commit(s);
	static const struct { uint32_t first, last; int want; } counts[] = {
		{ 1, UID_MAX, 7 }, { 0, UID_MAX, 7 }, { 1, 3, 3 }, { 1, 8, 4 }, { 2, 8, 3 }, { 5, 6, 0 },
		{ 10, UID_MAX, 2 }, { UID_MAX, UID_MAX, 1 }, { 9, 8, 0 }, { 1, UID_MAX - 1, 6 },
	};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		is_int(store_count_uids(s, box, counts[i].first, counts[i].last), counts[i].want,
			"%u:%u", counts[i].first, counts[i].last);
	uint32_t uid = 0;
	uint64_t size, sum = 0;
	int owed = 0;
	while (store_owed_next(s, box, uid, &uid, &size)) {
		owed++;
		sum += size;
	}
	is_int(owed, 7, "owed");
	is_int(store_mailbox_counts(s, box).owed, 7, "and counted");
	ok(store_mailbox_counts(s, box).owed_octets == sum, "with their octets");
	is_int(store_mailbox_counts(s, 4711).messages, 0, "nothing of a mailbox that is none");
	uids_release(&u);
	buf_release(&text);
	store_close(s);
}

static void test_projections(void)
{
	struct store *s = reopen(NULL);
	struct store_projection p, got;
	store_projection_init(&p);
	store_projection_init(&got);
	ok(!store_projection_next(s, 0, &got), "an empty list");
	p.kind = STORE_PLACE;
	p.message = 7;
	buf_add_str(&p.tmp, "tmpname");
	buf_add_str(&p.base, "base");
	begin(s);
	store_projection_put(s, &p);
	uint64_t first = p.number;
	p.kind = STORE_REMOVE;
	p.mailbox = 3;
	p.old_system = MAIL_SEEN | MAIL_FORWARDED;
	p.old_new = true;
	buf_clear(&p.tmp);
	store_projection_put(s, &p);
	commit(s);
	s = reopen(s);
	ok(store_projection_next(s, 0, &got) && got.number == first && got.kind == STORE_PLACE &&
		got.message == 7, "the first");
	is_str(buf_str(&got.tmp), "tmpname", "its tmp name");
	ok(store_projection_names(s, "tmpname") && !store_projection_names(s, "tmpnam") &&
		!store_projection_names(s, ""), "which is needed");
	ok(store_projection_next(s, first, &got) && got.kind == STORE_REMOVE && got.old_new &&
		got.old_system == (MAIL_SEEN | MAIL_FORWARDED) && got.mailbox == 3, "the second");
	is_str(buf_str(&got.base), "base", "its base name");
	is_int(got.tmp.len, 0, "no tmp name");
	ok(!store_projection_next(s, got.number, &got), "the end");
	begin(s);
	store_projection_delete(s, first);
	store_projection_delete(s, p.number);
	commit(s);
	s = reopen(s);
	begin(s);
	store_projection_put(s, &p);
	ok(p.number > got.number, "numbers grow over an empty list");
	store_abort(s);
	ok(!store_projection_next(s, 0, &got), "nothing after an abort");
	store_projection_release(&p);
	store_projection_release(&got);
	store_close(s);
}

int main(void)
{
	if (mkdtemp(state) == NULL)
		return 1;
	test_open();
	test_descriptors();
	test_refusals();
	test_facts();
	test_mailboxes();
	test_message();
	test_identity_record();
	test_alike();
	test_emailids();
	test_orphans();
	test_invariants();
	test_uids();
	test_projections();
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", state);
	return done_testing() | (system(command) != 0);
}
