/* Changing files that are in their places. What the user's programs do at the same time is met in
 * one way: a name that is gone is answer 1, and the caller scans. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/point.h"
#include "maildir/maildir_private.h"

#define PIECE_SIZE (64 * 1024)

static bool is_one_part(struct slice s)
{
	return s.len > 0 && memchr(s.data, '/', s.len) == NULL && !slice_is(s, ".") && !slice_is(s, "..");
}

int maildir_folder_check(const char *folder, struct err *err)
{
	const char *p = folder;
	bool good = true;
	while (good && *folder != '\0') {
		struct slice part = { p, strcspn(p, "/") };
		good = is_one_part(part);
		p += part.len;
		if (*p++ == '\0')
			break;
	}
	return good ? 0 : err_set(err, ERR_USER, ERR_MAILBOX, "'%s' is no folder of a maildir", folder);
}

int maildir_inside(const struct maildir_name *name, struct buf *path, struct err *err)
{
	if (maildir_folder_check(name->folder, err) < 0)
		return -1;
	bool has_letters = !name->is_new && !name->no_info;
	if (!is_one_part(slice_of(name->base)) || (has_letters && strchr(name->letters, '/') != NULL))
		return err_set(err, ERR_USER, ERR_MESSAGE, "'%s' is no file name of a maildir", name->base);
	buf_clear(path);
	maildir_path(name, path);
	return 0;
}

static int fail(const struct maildir *m, int why, const char *what, const char *path, struct err *err)
{
	if (why == EXDEV)
		return err_set(err, ERR_USER, ERR_MAILBOX, "'%s/%s' lies on another file system than '%s/%s'",
			m->path, path, m->path, m->tmp);
	if (why == EEXIST)
		return err_set(err, ERR_USER, ERR_MESSAGE, "'%s/%s' is there already", m->path, path);
	return err_errno(err, ERR_RETRY, ERR_MAILBOX, why, "cannot %s '%s/%s'", what, m->path, path);
}

static bool is_same_file(int root, const char *a, const char *b)
{
	struct stat x, y;
	return fstatat(root, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
		fstatat(root, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_dev == y.st_dev &&
		x.st_ino == y.st_ino;
}

/* For file systems that cannot rename without overwriting (NFS: EINVAL): a link does not overwrite
 * either. A crash between the two calls leaves both names of one file, and the next try takes the
 * first away. Where there are no links either, one look before the rename must do: nobody else makes
 * up our names. */
static int move_by_link(int root, const char *from, const char *to)
{
	if (linkat(root, from, root, to, 0) == 0 || (errno == EEXIST && is_same_file(root, from, to)))
		return unlinkat(root, from, 0);
	if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return -1;
	if (faccessat(root, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(root, from, root, to);
}

static int move_once(int root, const char *from, const char *to)
{
	if (renameat2(root, from, root, to, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? move_by_link(root, from, to) : -1;
}

/* ENOENT has two meanings: the file is gone, or the folder that it goes to. The user may have
 * removed a folder that we remember as made. */
int maildir_move(struct maildir *m, const char *folder, struct err *err)
{
	const char *from = buf_str(&m->from), *to = buf_str(&m->to);
	for (int tries = 0;; tries++) {
		if (move_once(m->root, from, to) == 0)
			return 0;
		int why = errno;
		if (why == EEXIST)
			return 2;
		if (why != ENOENT)
			return fail(m, why, "make", to, err);
		if (faccessat(m->root, from, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
			return 1;
		if (tries > 0)
			return fail(m, why, "make", to, err);
		if (maildir_folder_remake(m, folder, err) < 0)
			return -1;
	}
}

struct maildir_stat maildir_stat_of(const struct stat *s)
{
	/* A server may date its mail to the year 9999; 64 bits of nanoseconds end in 2262. */
	int64_t limit = INT64_MAX / 1000000000 - 1, at = s->st_mtim.tv_sec;
	at = at > limit ? limit : at < -limit ? -limit : at;
	return (struct maildir_stat){ s->st_dev, s->st_ino, (uint64_t)s->st_size,
		at * 1000000000 + s->st_mtim.tv_nsec };
}

int maildir_fill_stat(struct maildir *m, const char *path, struct maildir_stat *st)
{
	struct stat s;
	if (fstatat(m->root, path, &s, 0) != 0)
		return -1;
	*st = maildir_stat_of(&s);
	return 0;
}

int maildir_rename(struct maildir *m, const struct maildir_name *from, const struct maildir_name *to,
	struct err *err)
{
	if (maildir_inside(from, &m->from, err) < 0 || maildir_inside(to, &m->to, err) < 0)
		return -1;
	if (strcmp(buf_str(&m->from), buf_str(&m->to)) == 0)
		return maildir_stat(m, from, NULL, err);
	int result = maildir_move(m, to->folder, err);
	if (result == 0)
		point("maildir.renamed");
	return result;
}

int maildir_unlink(struct maildir *m, const struct maildir_name *name, struct err *err)
{
	if (maildir_inside(name, &m->from, err) < 0)
		return -1;
	const char *path = buf_str(&m->from);
	if (unlinkat(m->root, path, 0) == 0) {
		point("maildir.unlinked");
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return 1;
	return fail(m, errno, "remove", path, err);
}

int maildir_stat(struct maildir *m, const struct maildir_name *name, struct maildir_stat *st,
	struct err *err)
{
	struct maildir_stat found;
	if (maildir_inside(name, &m->from, err) < 0)
		return -1;
	const char *path = buf_str(&m->from);
	if (maildir_fill_stat(m, path, &found) == 0) {
		if (st != NULL)
			*st = found;
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return 1;
	return fail(m, errno, "look at", path, err);
}

/* Opens without waiting: a FIFO that somebody put there must not stop the program. The descriptor;
 * else -1 with errno, which is EISDIR for whatever is no file. */
static int open_file(int root, const char *path)
{
	struct stat st;
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	close(fd);
	errno = EISDIR;
	return -1;
}

static int read_all(int fd, void (*piece)(void *arg, const void *data, size_t len), void *arg)
{
	char *data = mem_new(PIECE_SIZE);
	ssize_t len;
	while ((len = read(fd, data, PIECE_SIZE)) > 0 || (len < 0 && errno == EINTR))
		if (len > 0)
			piece(arg, data, (size_t)len);
	int why = errno;
	free(data);
	errno = why;
	return len < 0 ? -1 : 0;
}

int maildir_read(struct maildir *m, const struct maildir_name *name,
	void (*piece)(void *arg, const void *data, size_t len), void *arg, struct err *err)
{
	if (maildir_inside(name, &m->from, err) < 0)
		return -1;
	int fd = open_file(m->root, buf_str(&m->from));
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 1;
	if (fd < 0)
		return fail(m, errno, "read", buf_str(&m->from), err);
	int result = read_all(fd, piece, arg);
	if (result < 0) /* m->from may be another by now: the receiver may have called us */
		err_errno(err, ERR_RETRY, ERR_MESSAGE, errno, "cannot read '%s'", name->base);
	close(fd);
	return result;
}
