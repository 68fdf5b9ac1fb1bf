/* What a folder holds. A scan that misses a file makes us delete a message on the server, and
 * readdir(3) may miss a file that is renamed while it reads (Q90): POSIX promises nothing for it.
 * So a reading counts only when it is proved, in one of two ways:
 *
 * 1. The times of cur and new were the same before and after it, and older than the tick of the clock
 *    in which it began. A rename during the reading would have set a later time; one in the same
 *    tick would not show (Q91), hence the second half. This is the usual case, and the only one
 *    that gives a stamp by which the next scan may be left out.
 * 2. Two readings in a row agree. For folders whose times are coarse (a second or two), set by another
 *    machine's clock (NFS), or in the future. To be fooled, one file would have to be missed
 *    twice, under two names, and be back under the first in between.
 *
 * new is read before cur, since files move from new to cur and not back: one that moves in between
 * is seen twice, not missed. mtime and ctime are both compared: mtime can be set back by a restore. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/maildir_private.h"

#define ROUNDS 20
#define PAUSE_NS 5000000 /* the clock ticks every 1 to 10 ms */

/* cur's and new's times, and which folders they are; zero where there are none. */
struct times {
	struct {
		uint64_t device, inode;
		int64_t mtime_ns, ctime_ns;
	} sub[2];
};

#define SECOND_NS 1000000000

static int64_t in_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void sub_path(const char *folder, const char *sub, struct buf *path)
{
	buf_clear(path);
	buf_addf(path, "%s%s%s", folder, *folder != '\0' ? "/" : "", sub);
}

static void look(struct maildir *m, const char *folder, struct times *t)
{
	static const char *const subs[] = { "new", "cur" };
	memset(t, 0, sizeof *t);
	for (size_t i = 0; i < 2; i++) {
		struct stat st;
		sub_path(folder, subs[i], &m->from);
		if (fstatat(m->root, buf_str(&m->from), &st, 0) != 0)
			continue;
		t->sub[i].device = st.st_dev;
		t->sub[i].inode = st.st_ino;
		t->sub[i].mtime_ns = in_ns(st.st_mtim);
		t->sub[i].ctime_ns = in_ns(st.st_ctim);
	}
}

static bool is_there(const struct times *t)
{
	return t->sub[0].inode != 0 || t->sub[1].inode != 0;
}

/* Whether a change from `now` on must show in the times. Times without a fraction of a second come
 * from a file system that keeps none; vfat keeps even seconds. */
static bool is_settled(const struct maildir *m, const struct times *t, int64_t now_ns)
{
	for (size_t i = 0; i < 2; i++) {
		int64_t mtime_ns = t->sub[i].mtime_ns, ctime_ns = t->sub[i].ctime_ns;
		bool is_coarse = m->is_coarse || (mtime_ns % SECOND_NS == 0 && ctime_ns % SECOND_NS == 0);
		int64_t limit_ns = is_coarse ? now_ns - 2 * (int64_t)SECOND_NS : now_ns;
		if (t->sub[i].inode == 0 || mtime_ns >= limit_ns || ctime_ns >= limit_ns)
			return false;
	}
	return true;
}

/* The clock by which the kernel stamps changes. */
static int64_t clock_tick(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return in_ns(now);
}

/* FNV-1a: the store keeps eight octets, not the times. */
static uint64_t stamp_of(const struct times *t)
{
	const unsigned char *p = (const unsigned char *)t;
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < sizeof *t; i++)
		hash = (hash ^ p[i]) * 0x100000001b3;
	return hash != 0 ? hash : 1;
}

uint64_t maildir_stamp(struct maildir *m, const char *folder)
{
	struct times t;
	int64_t now_ns = clock_tick();
	look(m, folder, &t);
	return is_settled(m, &t, now_ns) ? stamp_of(&t) : 0;
}

/* One entry's name goes to out->names, and until all are read `base` is where it begins there. */
static void add_entry(struct maildir_scan *out, size_t *size, const char *name, bool is_new)
{
	struct slice base = slice_of(name), letters = { "", 0 };
	bool info = false;
	if (!is_new)
		maildir_split(slice_of(name), &base, &letters, &info);
	if (out->count == *size) {
		*size = *size > 0 ? *size * 2 : 64;
		out->entries = mem_grow(out->entries, *size, sizeof *out->entries);
	}
	struct maildir_entry *e = &out->entries[out->count++];
	*e = (struct maildir_entry){ .is_new = is_new, .no_info = !is_new && !info };
	memcpy(e->letters, letters.data, letters.len);
	e->base = (const char *)(uintptr_t)out->names.len;
	buf_add_slice(&out->names, base);
	buf_add_char(&out->names, '\0');
}

/* Symbolic links to files are messages too: some keep large ones elsewhere. */
static bool is_message(int dir, const struct dirent *entry)
{
	struct stat st;
	if (entry->d_name[0] == '.')
		return false;
	if (entry->d_type == DT_REG || entry->d_type == DT_LNK)
		return true;
	return entry->d_type == DT_UNKNOWN && fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
}

static int read_sub(struct maildir *m, const char *folder, bool is_new, size_t *size,
	struct maildir_scan *out, struct err *err)
{
	sub_path(folder, is_new ? "new" : "cur", &m->from);
	const char *path = buf_str(&m->from);
	int fd = openat(m->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		err_errno(err, ERR_RETRY, ERR_MAILBOX, errno, "cannot read '%s/%s'", m->path, path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	const struct dirent *entry;
	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (is_message(fd, entry))
			add_entry(out, size, entry->d_name, is_new);
	int why = errno;
	closedir(dir);
	if (why != 0)
		return err_errno(err, ERR_RETRY, ERR_MAILBOX, why, "cannot read '%s/%s'", m->path, path);
	return 0;
}

/* cur before new, so that the first of a base name is what a reader has seen. */
static int compare(const void *a, const void *b)
{
	const struct maildir_entry *x = a, *y = b;
	int order = strcmp(x->base, y->base);
	if (order == 0)
		order = x->is_new - y->is_new;
	if (order == 0)
		order = x->no_info - y->no_info;
	return order != 0 ? order : strcmp(x->letters, y->letters);
}

static int read_once(struct maildir *m, const char *folder, struct maildir_scan *out, struct err *err)
{
	size_t size = 0;
	*out = (struct maildir_scan){ 0 };
	buf_init(&out->names, 0);
	if (read_sub(m, folder, true, &size, out, err) < 0 ||
		read_sub(m, folder, false, &size, out, err) < 0) {
		maildir_scan_release(out);
		return -1;
	}
	for (size_t i = 0; i < out->count; i++)
		out->entries[i].base = out->names.data + (uintptr_t)out->entries[i].base;
	if (out->count > 1)
		qsort(out->entries, out->count, sizeof *out->entries, compare);
	return 0;
}

static bool agree(const struct maildir_scan *a, const struct maildir_scan *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (compare(&a->entries[i], &b->entries[i]) != 0)
			return false;
	return true;
}

int maildir_scan(struct maildir *m, const char *folder, struct maildir_scan *out, struct err *err)
{
	struct maildir_scan last = { 0 };
	if (maildir_folder_check(folder, err) < 0)
		return -1;
	for (int round = 0; round < ROUNDS; round++) {
		struct maildir_scan now;
		struct times before, after;
		if (round > 0)
			nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
		int64_t tick_ns = clock_tick();
		look(m, folder, &before);
		if (read_once(m, folder, &now, err) < 0) {
			maildir_scan_release(&last);
			return -1;
		}
		look(m, folder, &after);
		bool stands = memcmp(&before, &after, sizeof before) == 0;
		bool settled = stands && is_settled(m, &before, tick_ns);
		bool proved = settled || (stands && !is_there(&before)) || (round > 0 && agree(&last, &now));
		maildir_scan_release(&last);
		if (proved) {
			*out = now;
			out->stamp = settled ? stamp_of(&before) : 0;
			return 0;
		}
		last = now;
	}
	maildir_scan_release(&last);
	return err_set(err, ERR_RETRY, ERR_MAILBOX, "'%s/%s' does not stand still", m->path, folder);
}

const struct maildir_entry *maildir_scan_find(const struct maildir_scan *s, const char *base)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(s->entries[middle].base, base) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && strcmp(s->entries[low].base, base) == 0 ? &s->entries[low] : NULL;
}

void maildir_scan_release(struct maildir_scan *s)
{
	free(s->entries);
	buf_release(&s->names);
	*s = (struct maildir_scan){ 0 };
}
