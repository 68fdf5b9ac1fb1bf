/* Delivery: a file is written under a name in tmp/ that no reader looks at, and appears whole by one
 * rename (maildir(5)). The store's commit stands between the two: what it has named and was not
 * renamed before a crash is renamed by the next run, and what it has not named is swept away.
 *
 * A message of usual size costs open, write, futimens, close and rename, and nothing else: it is held
 * in memory until its name is known. Neither file nor folder is fsynced (design: durability). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/point.h"
#include "maildir/maildir_private.h"

#define HELD_MAX (128 * 1024)

struct maildir_file {
	struct maildir *m;
	int fd;       /* -1 as long as everything is held */
	char *path;   /* of the open file, to be unlinked */
	struct buf held;
};

static void tmp_path(const struct maildir *m, const char *tmp_name, struct buf *path)
{
	buf_clear(path);
	buf_addf(path, "%s/" MAILDIR_TMP_PREFIX "%s", m->tmp, tmp_name);
}

static int check_tmp_name(const char *tmp_name, struct err *err)
{
	if (*tmp_name != '\0' && strchr(tmp_name, '/') == NULL)
		return 0;
	return err_set(err, ERR_USER, ERR_MESSAGE, "'%s' is no file name of a maildir", tmp_name);
}

static int fail(const struct maildir *m, const char *path, struct err *err)
{
	return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot write '%s/%s'", m->path, path);
}

/* Only tmp itself: a folder without cur is not one yet, and whether the INBOX is missing is the
 * scan's question (M5). */
static int make_tmp(const struct maildir *m)
{
	if (m->layout == MAILDIR_NESTED && mkdirat(m->root, "INBOX", 0700) != 0 && errno != EEXIST)
		return -1;
	return mkdirat(m->root, m->tmp, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

/* An old file of that name is of a run that died, before its commit; it may be a link to a file in
 * its place, so it is not written over. */
static int create(const struct maildir *m, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(m->root, path, flags, 0600);
	if (fd < 0 && errno == ENOENT && make_tmp(m) == 0)
		fd = openat(m->root, path, flags, 0600);
	if (fd < 0 && errno == EEXIST && unlinkat(m->root, path, 0) == 0)
		fd = openat(m->root, path, flags, 0600);
	return fd;
}

static int write_all(struct maildir_file *f, const char *data, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t done = write(f->fd, data, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return fail(f->m, f->path, err);
		data += done;
		len -= (size_t)done;
	}
	return 0;
}

static int open_at(struct maildir_file *f, const char *path, struct err *err)
{
	f->fd = create(f->m, path);
	if (f->fd < 0)
		return fail(f->m, path, err);
	f->path = mem_copy(path);
	return 0;
}

/* What is held goes to the file. */
static int flush(struct maildir_file *f, struct err *err)
{
	if (write_all(f, f->held.data, f->held.len, err) < 0)
		return -1;
	buf_clear(&f->held);
	return 0;
}

/* A file too large to be held gets a name of its own at first. */
static int open_part(struct maildir_file *f, struct err *err)
{
	struct maildir *m = f->m;
	buf_clear(&m->from);
	buf_addf(&m->from, "%s/" MAILDIR_TMP_PREFIX "part.%ld.%llu", m->tmp, (long)getpid(),
		(unsigned long long)++m->serial);
	return open_at(f, buf_str(&m->from), err);
}

struct maildir_file *maildir_file_new(struct maildir *m, struct err *err)
{
	(void)err;
	struct maildir_file *f = mem_new(sizeof *f);
	f->m = m;
	f->fd = -1;
	f->held = m->spare;
	buf_init(&m->spare, 0);
	return f;
}

int maildir_file_write(struct maildir_file *f, const void *data, size_t len, struct err *err)
{
	if (f->held.len + len > HELD_MAX) {
		if (f->fd < 0 && open_part(f, err) < 0)
			return -1;
		if (flush(f, err) < 0)
			return -1;
		if (len >= HELD_MAX / 2)
			return write_all(f, data, len, err);
	}
	buf_add(&f->held, data, len);
	return 0;
}

/* Sets the time and closes. The time of reading is left alone. */
static int close_file(struct maildir_file *f, int64_t time, struct maildir_stat *st, struct err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time } };
	struct stat s;
	int result = futimens(f->fd, times) != 0 || (st != NULL && fstat(f->fd, &s) != 0) ?
		fail(f->m, f->path, err) : 0;
	if (close(f->fd) != 0 && errno != EINTR && result == 0)
		result = fail(f->m, f->path, err);
	f->fd = -1;
	if (result == 0 && st != NULL)
		*st = maildir_stat_of(&s);
	return result;
}

int maildir_file_finish(struct maildir_file *f, const char *tmp_name, int64_t time,
	struct maildir_stat *st, struct err *err)
{
	struct maildir *m = f->m;
	if (check_tmp_name(tmp_name, err) < 0)
		return -1;
	tmp_path(m, tmp_name, &m->to);
	const char *path = buf_str(&m->to);
	if (f->fd < 0 && open_at(f, path, err) < 0)
		return -1;
	if (flush(f, err) < 0 || close_file(f, time, st, err) < 0)
		return -1;
	if (strcmp(f->path, path) != 0 && renameat(m->root, f->path, m->root, path) != 0)
		return fail(m, path, err);
	free(f->path);
	f->path = NULL;
	point("maildir.finished");
	return 0;
}

void maildir_file_free(struct maildir_file *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	if (f->path != NULL)
		unlinkat(f->m->root, f->path, 0);
	if (f->held.size > f->m->spare.size) {
		buf_release(&f->m->spare);
		f->m->spare = f->held;
		buf_clear(&f->m->spare);
	} else {
		buf_release(&f->held);
	}
	free(f->path);
	free(f);
}

int maildir_place(struct maildir *m, const char *tmp_name, const struct maildir_name *to,
	struct maildir_stat *st, struct err *err)
{
	if (check_tmp_name(tmp_name, err) < 0 || maildir_inside(to, &m->to, err) < 0)
		return -1;
	tmp_path(m, tmp_name, &m->from);
	int result = maildir_move(m, to->folder, err);
	if (result != 0)
		return result;
	point("maildir.placed");
	/* A reader may have renamed it in this very moment: then it is no stat to go by, and no error. */
	if (st != NULL && maildir_fill_stat(m, buf_str(&m->to), st) < 0)
		*st = (struct maildir_stat){ 0 };
	return 0;
}

void maildir_sweep_tmp(struct maildir *m, bool (*keep)(void *arg, const char *tmp_name), void *arg)
{
	const size_t prefix = strlen(MAILDIR_TMP_PREFIX);
	int fd = openat(m->root, m->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, MAILDIR_TMP_PREFIX, prefix) != 0)
			continue;
		if (keep == NULL || !keep(arg, entry->d_name + prefix))
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(dir);
}
