/* Delivery, changes and scan of one Maildir. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "lib/tap.h"
#include "maildir/maildir.h"

static char base[] = "/tmp/mailtide-deliver.XXXXXX";
static struct maildir *m;
static struct err err;

static const char *at(const char *path)
{
	static char full[8][256];
	static unsigned turn;
	char *out = full[turn++ % 8];
	snprintf(out, 256, "%s/%s", base, path);
	return out;
}

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(at(path), &st) == 0;
}

static void put(const char *path)
{
	int fd = open(at(path), O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		diag("cannot write '%s'", path);
	close(fd);
}

static int count_files(const char *path)
{
	int count = 0;
	DIR *dir = opendir(at(path));
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	return count;
}

static struct maildir_name name_of(const char *folder, const char *file, const char *letters)
{
	return (struct maildir_name){ folder, file, letters, false, false };
}

/* A file of `size` octets in pieces of `piece`. */
static int finish(const char *tmp_name, size_t size, size_t piece, int64_t time)
{
	char *data = malloc(piece + 1);
	struct maildir_stat st = { 0 };
	struct maildir_file *f = maildir_file_new(m, &err);
	for (size_t done = 0; done < size; done += piece) {
		size_t len = size - done < piece ? size - done : piece;
		for (size_t i = 0; i < len; i++)
			data[i] = (char)('a' + (done + i) % 23);
		maildir_file_write(f, data, len, &err);
	}
	int result = maildir_file_finish(f, tmp_name, time, &st, &err);
	if (result == 0 && (st.size != size || st.mtime_ns != time * 1000000000))
		result = -2;
	maildir_file_free(f);
	free(data);
	return result;
}

struct sum {
	size_t len, wrong;
};

static void add(void *arg, const void *data, size_t len)
{
	struct sum *s = arg;
	for (size_t i = 0; i < len; i++)
		s->wrong += ((const char *)data)[i] != (char)('a' + (s->len + i) % 23);
	s->len += len;
}

static void test_sizes(void)
{
	static const struct {
		size_t size, piece;
	} sizes[] = {
		{ 0, 1 }, { 1, 1 }, { 7000, 7000 }, { 7000, 13 }, { 131072, 131072 }, { 131073, 131072 },
		{ 131073, 1000 }, { 1000000, 16384 }, { 3000000, 200000 },
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char file[32];
		struct maildir_stat st;
		struct sum sum = { 0 };
		snprintf(file, sizeof file, "size%zu", i);
		struct maildir_name to = name_of("sizes", file, "S");
		is_int(finish("t", sizes[i].size, sizes[i].piece, 1000000000), 0, "%zu octets by %zu",
			sizes[i].size, sizes[i].piece);
		is_int(maildir_place(m, "t", &to, &st, &err), 0, "placed: %s", err.text);
		is_int(st.size, sizes[i].size, "in size");
		is_int(st.mtime_ns, 1000000000000000000, "and time");
		is_int(maildir_read(m, &to, add, &sum, &err), 0, "read");
		ok(sum.len == sizes[i].size && sum.wrong == 0, "the same");
	}
	is_int(count_files("INBOX/tmp"), 0, "and nothing is left over");
	ok(!maildir_folder_exists(m, "INBOX"), "tmp alone makes no INBOX");
}

static void test_place(void)
{
	struct maildir_name to = name_of("box", "one", "");
	struct maildir_stat st;
	is_int(maildir_place(m, "none", &to, &st, &err), 1, "no such tmp file");
	ok(!is_there("box/cur"), "makes no folder");
	finish("one", 5, 5, -5);
	is_int(maildir_place(m, "one", &to, NULL, &err), 0, "the folder is made");
	is_int(maildir_place(m, "one", &to, NULL, &err), 1, "placed once");
	is_int(maildir_stat(m, &to, &st, &err), 0, "there");
	is_int(st.mtime_ns, -5000000000, "before 1970");
	finish("one", 7, 7, 0);
	is_int(maildir_place(m, "one", &to, &st, &err), 2, "never over another");
	maildir_stat(m, &to, &st, &err);
	is_int(st.size, 5, "which stays");
	is_int(finish("one", 9, 9, 0), 0, "but a tmp file is replaced");
	struct maildir_name in_new = { "box", "new1", "", true, false };
	is_int(maildir_place(m, "one", &in_new, &st, &err), 0, "to new");
	ok(is_there("box/new/new1") && st.size == 9, "without info");

	finish("gone", 5, 5, 0);
	is_int(maildir_folder_make(m, "gone", &err), 0, "a folder");
	rmdir(at("gone/cur")), rmdir(at("gone/new")), rmdir(at("gone/tmp")), rmdir(at("gone"));
	to.folder = "gone";
	is_int(maildir_place(m, "gone", &to, NULL, &err), 0, "that the user removed is made again");

	static const struct maildir_name bad[] = {
		{ "..", "x", "", false, false },      { "a/../..", "x", "", false, false },
		{ "/etc", "x", "", false, false },    { "box", "../x", "", false, false },
		{ "box", "", "", true, false },       { "box", "..", NULL, true, false },
		{ "box", "x", "/../x", false, false }, { "./box", "x", "", false, false },
	};
	finish("bad", 5, 5, 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		is_int(maildir_place(m, "bad", &bad[i], NULL, &err), -1, "%s", err.text);
	is_int(maildir_place(m, "../../x", &to, NULL, &err), -1, "nor from outside: %s", err.text);
	is_int(finish("a/b", 5, 5, 0), -1, "nor a path in tmp");
}

static bool keep_one(void *arg, const char *tmp_name)
{
	return strcmp(tmp_name, arg) == 0;
}

static void test_sweep(void)
{
	char kept[] = "kept";
	maildir_sweep_tmp(m, NULL, NULL);
	is_int(count_files("INBOX/tmp"), 0, "swept");
	finish("kept", 5, 5, 0);
	finish("other", 5, 5, 0);
	put("INBOX/tmp/1234.somebody.else");
	put("INBOX/tmp/mailtide-part.1.1");
	maildir_sweep_tmp(m, keep_one, kept);
	is_int(count_files("INBOX/tmp"), 2, "but for what is kept");
	ok(is_there("INBOX/tmp/1234.somebody.else"), "and another's");
	struct maildir_file *f = maildir_file_new(m, &err);
	char *large = mem_new(200000);
	maildir_file_write(f, large, 200000, &err);
	is_int(count_files("INBOX/tmp"), 3, "a large file under way");
	maildir_file_free(f);
	is_int(count_files("INBOX/tmp"), 2, "vanishes when it is given up");
	maildir_file_free(NULL);
	free(large);
	maildir_sweep_tmp(m, NULL, NULL);
	unlink(at("INBOX/tmp/1234.somebody.else"));
}

static void test_change(void)
{
	struct maildir_name a = name_of("box", "one", ""), b = name_of("box", "one", "S");
	struct maildir_name c = name_of("far/away", "one", "S"), none = name_of("no", "one", "S");
	is_int(maildir_rename(m, &a, &b, &err), 0, "flags");
	ok(is_there("box/cur/one:2,S"), "in the name");
	is_int(maildir_rename(m, &a, &b, &err), 1, "not twice");
	is_int(maildir_rename(m, &b, &b, &err), 0, "onto itself");
	is_int(maildir_rename(m, &a, &a, &err), 1, "which is not there");
	is_int(maildir_rename(m, &b, &c, &err), 0, "to a folder that is made");
	is_int(maildir_rename(m, &none, &c, &err), 1, "from one that is not there");
	put("box/cur/one:2,");
	is_int(maildir_rename(m, &a, &c, &err), 2, "not over another");
	is_int(maildir_unlink(m, &a, &err), 0, "unlinked");
	is_int(maildir_unlink(m, &a, &err), 1, "once");
	is_int(maildir_stat(m, &a, NULL, &err), 1, "gone");
	is_int(maildir_stat(m, &none, NULL, &err), 1, "never was");
	is_int(maildir_read(m, &none, add, NULL, &err), 1, "so it cannot be read");
	if (mkfifo(at("box/cur/fifo"), 0600) == 0) {
		struct maildir_name fifo = { "box", "fifo", NULL, false, true };
		is_int(maildir_read(m, &fifo, add, NULL, &err), -1, "a FIFO is no message: %s", err.text);
	}
	if (symlink("/etc/passwd", at("box/cur/link")) == 0) {
		struct maildir_name link = { "box", "link", NULL, false, true };
		is_int(maildir_unlink(m, &link, &err), 0, "a link is unlinked");
		is_int(access("/etc/passwd", F_OK), 0, "and not what it points to");
	}
}

static void test_scan(void)
{
	struct maildir_scan s;
	is_int(maildir_scan(m, "nowhere", &s, &err), 0, "a missing folder");
	ok(s.count == 0 && s.stamp == 0, "is empty");
	ok(maildir_scan_find(&s, "x") == NULL, "has nothing");
	maildir_scan_release(&s);
	is_int(maildir_scan(m, "../x", &s, &err), -1, "outside");

	maildir_folder_make(m, "scan", &err);
	put("scan/cur/b:2,SF"), put("scan/cur/a:2,"), put("scan/cur/plain"), put("scan/cur/odd:2,S,x");
	put("scan/cur/.hidden"), put("scan/new/c"), put("scan/new/b"), put("scan/new/d:2,S");
	mkdir(at("scan/cur/folder"), 0700);
	is_int(maildir_scan(m, "scan", &s, &err), 0, "scanned");
	is_int(s.count, 7, "all but the hidden and the folder");
	static const char *const order[] = { "a", "b", "b", "c", "d:2,S", "odd:2,S,x", "plain" };
	for (size_t i = 0; i < s.count && i < 7; i++)
		is_str(s.entries[i].base, order[i], "in order");
	const struct maildir_entry *e = maildir_scan_find(&s, "b");
	ok(e != NULL && !e->is_new && strcmp(e->letters, "SF") == 0, "cur before new, letters as found");
	e = maildir_scan_find(&s, "plain");
	ok(e != NULL && e->no_info && e->letters[0] == '\0', "without info");
	e = maildir_scan_find(&s, "c");
	ok(e != NULL && e->is_new && !e->no_info, "in new");
	ok(maildir_scan_find(&s, "bb") == NULL && maildir_scan_find(&s, "") == NULL, "nothing else");
	for (size_t i = 0; i < s.count; i++) {
		struct maildir_name name = { "scan", s.entries[i].base, s.entries[i].letters,
			s.entries[i].is_new, s.entries[i].no_info };
		is_int(maildir_stat(m, &name, NULL, &err), 0, "'%s' has its path", s.entries[i].base);
	}
	maildir_scan_release(&s);
}

/* A change in the very tick of a scan must show in the stamp, or there is none (Q91). */
static void test_stamp(void)
{
	int missed = 0, trusted = 0;
	for (int i = 0; i < 300; i++) {
		struct maildir_scan s;
		char name[32];
		snprintf(name, sizeof name, "scan/new/s%d", i);
		maildir_scan(m, "scan", &s, &err);
		put(name);
		uint64_t after = maildir_stamp(m, "scan");
		trusted += s.stamp != 0;
		missed += s.stamp != 0 && s.stamp == after;
		maildir_scan_release(&s);
	}
	is_int(missed, 0, "no change is missed");
	ok(trusted > 0, "%d of 300 stamps are given", trusted);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	uint64_t stamp = maildir_stamp(m, "scan");
	ok(stamp != 0 && stamp == maildir_stamp(m, "scan"), "an untouched folder keeps its stamp");
	const struct timespec future[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 4000000000 } };
	utimensat(AT_FDCWD, at("scan/cur"), future, 0);
	is_int(maildir_stamp(m, "scan"), 0, "a time in the future proves nothing");
	struct maildir_scan s;
	is_int(maildir_scan(m, "scan", &s, &err), 0, "but can be scanned");
	is_int(s.stamp, 0, "without a stamp");
	maildir_scan_release(&s);
	is_int(maildir_stamp(m, "nowhere"), 0, "a missing folder has none");
}

enum { RACE_FILES = 300 };

static void rename_for_ever(void)
{
	char from[64], to[64];
	for (int i = 0;; i++) {
		int file = i % RACE_FILES, round = i / RACE_FILES % 2;
		snprintf(from, sizeof from, "race/cur/file%03d:2,%s", file, round ? "S" : "");
		snprintf(to, sizeof to, "race/cur/file%03d:2,%s", file, round ? "" : "S");
		if (rename(at(from), at(to)) != 0)
			_exit(1);
		if (i % 7 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
	}
}

/* Another process renames all the time; no file may ever be missing (Q90). */
static void test_race(void)
{
	char name[64];
	maildir_folder_make(m, "race", &err);
	for (int i = 0; i < RACE_FILES; i++) {
		snprintf(name, sizeof name, "race/cur/file%03d:2,", i);
		put(name);
	}
	pid_t child = fork();
	if (child == 0)
		rename_for_ever();
	int missed = 0, done = 0;
	for (int i = 0; i < 30; i++) {
		struct maildir_scan s;
		if (maildir_scan(m, "race", &s, &err) < 0)
			continue;
		done++;
		for (int j = 0; j < RACE_FILES; j++) {
			snprintf(name, sizeof name, "file%03d", j);
			missed += maildir_scan_find(&s, name) == NULL;
		}
		maildir_scan_release(&s);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	is_int(missed, 0, "no file is missed while names change (%d of 30 scans stood)", done);
	ok(done == 30 || err.cls == ERR_RETRY, "else the scan is to be tried again: %s", err.text);
	struct maildir_scan s;
	is_int(maildir_scan(m, "race", &s, &err), 0, "afterwards it stands");
	is_int(s.count, RACE_FILES, "with every file");
	maildir_scan_release(&s);
}

int main(void)
{
	if (mkdtemp(base) == NULL)
		return 1;
	m = maildir_open(base, MAILDIR_NESTED, "id", true, &err);
	if (m == NULL) {
		diag("%s", err.text);
		return 1;
	}
	test_sizes();
	test_place();
	test_sweep();
	test_change();
	test_scan();
	test_stamp();
	test_race();
	maildir_close(m);

	char *clean = mem_printf("rm -rf %s", base);
	is_int(system(clean), 0, "clean");
	free(clean);
	return done_testing();
}
