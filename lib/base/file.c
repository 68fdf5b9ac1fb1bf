#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/point.h"

#define READ_OCTETS 16384

/* Replacement: the neighbour PATH.new is written, made durable, and renamed.
 *
 * Its name is always the same, so that a crash leaves at most one of them, and the next replacement
 * takes it over. Two programs that replace one file at the same time would then write into the same
 * neighbour; a lock on it makes the second wait, and what it has locked afterwards may have become
 * PATH in the meantime, so the name is looked at again. A killed program's lock is gone with it. */

static bool is_still_named(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
		ours.st_ino == there.st_ino;
}

static int lock_waiting(int fd)
{
	int rc;

	do
		rc = flock(fd, LOCK_EX);
	while (rc < 0 && errno == EINTR);
	return rc;
}

static int open_neighbour(const char *path)
{
	for (;;) {
		int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		if (lock_waiting(fd) < 0) {
			int saved = errno;
			close(fd);
			errno = saved;
			return -1;
		}
		if (is_still_named(fd, path))
			return fd;
		close(fd);
	}
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The mode comes first: a secret is never readable by others, not even for a moment. The owner may
 * always write, else a neighbour that a crash left behind could not be taken over. */
static int fill(int fd, mode_t mode, const void *data, size_t len)
{
	if (ftruncate(fd, 0) < 0 || fchmod(fd, mode | S_IWUSR) < 0)
		return -1;
	if (write_all(fd, data, len) < 0)
		return -1;
	return fsync(fd);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_copy(".");
	return mem_copy_slice((struct slice){ path, slash == path ? 1 : (size_t)(slash - path) });
}

/* Makes the rename durable. Some file systems cannot do that for a folder, and say EINVAL. */
static int sync_folder_of(const char *path)
{
	char *folder = folder_of(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	int saved = errno;

	free(folder);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc < 0 && saved == EINVAL ? 0 : rc;
}

int file_replace(const char *path, mode_t mode, const void *data, size_t len, struct err *err)
{
	char *neighbour = mem_printf("%s.new", path);
	int fd = open_neighbour(neighbour);
	int rc = -1;

	if (fd < 0) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot create \"%s\"", neighbour);
		goto out;
	}
	if (fill(fd, mode, data, len) < 0) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot write \"%s\"", neighbour);
		unlink(neighbour);
		goto out;
	}
	point("file.written");
	if (rename(neighbour, path) < 0) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot replace \"%s\"", path);
		unlink(neighbour);
		goto out;
	}
	point("file.renamed");
	if (sync_folder_of(path) < 0) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot sync the folder of \"%s\"",
			path);
		goto out;
	}
	rc = 0;
out:
	if (fd >= 0)
		close(fd);
	free(neighbour);
	return rc;
}

/* One octet beyond the ceiling is asked for, and refused if it comes: the end of the file cannot be
 * known otherwise. Returns what read(2) does; EFBIG where the ceiling is passed. */
static ssize_t read_some(int fd, struct buf *out)
{
	size_t room = out->limit != 0 ? out->limit - out->len : READ_OCTETS;
	size_t len = room < READ_OCTETS ? room : READ_OCTETS;
	char beyond;
	ssize_t n;

	do
		n = len > 0 ? read(fd, buf_reserve(out, len), len) : read(fd, &beyond, 1);
	while (n < 0 && errno == EINTR);
	if (n > 0 && len > 0)
		buf_added(out, (size_t)n);
	if (n > 0 && len == 0) {
		errno = EFBIG;
		return -1;
	}
	return n;
}

static int read_open(int fd, struct buf *out)
{
	size_t before = out->len;
	ssize_t n;

	do
		n = read_some(fd, out);
	while (n > 0);
	if (n < 0)
		buf_truncate(out, before);
	return n < 0 ? -1 : 0;
}

int file_read(const char *path, struct buf *out, int *errno_out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : read_open(fd, out);
	int saved = rc < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (errno_out != NULL)
		*errno_out = saved;
	if (rc < 0)
		err_errno(err, ERR_USER, ERR_ACCOUNT, saved, "cannot read \"%s\"", path);
	return rc;
}

static int check_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode) ? 0 : -1;
}

/* Tried from the innermost: parents that exist may be in a place where we must not create. */
static int make_folder(char *path, mode_t mode)
{
	if (mkdir(path, mode) == 0)
		return 0;
	if (errno == EEXIST)
		return check_folder(path);
	char *slash = strrchr(path, '/');
	if (errno != ENOENT || slash == NULL || slash == path)
		return -1;
	*slash = '\0';
	int rc = make_folder(path, mode);
	*slash = '/';
	if (rc < 0)
		return -1;
	/* Another program may have been faster; and "a//b" comes here with "a/" already made. */
	return mkdir(path, mode) == 0 || errno == EEXIST ? check_folder(path) : -1;
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char *copy = mem_copy(path);
	size_t len = strlen(copy);

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	int rc = make_folder(copy, mode);
	if (rc < 0)
		err_errno(err, ERR_USER, ERR_ACCOUNT, errno, "cannot create folder \"%s\"", path);
	free(copy);
	return rc;
}

/* cron and systemd set HOME; a bare environment still has a password entry. */
static const char *home(void)
{
	const char *folder = getenv("HOME");

	if (folder != NULL && folder[0] != '\0')
		return folder;
	const struct passwd *user = getpwuid(getuid());
	return user != NULL ? user->pw_dir : "~";
}

char *file_expand(const char *path)
{
	if (path[0] != '~' || (path[1] != '\0' && path[1] != '/'))
		return mem_copy(path);
	if (path[1] == '\0')
		return mem_copy(home());
	return file_join(home(), path + 2);
}

char *file_join(const char *folder, const char *name)
{
	size_t len = strlen(folder);

	if (len == 0 || folder[len - 1] == '/')
		return mem_printf("%s%s", folder, name);
	return mem_printf("%s/%s", folder, name);
}

/* The text only helps to say who holds the lock: a disk that is full must not stop a run. */
static void name_holder(int fd, const char *command)
{
	char *text = mem_printf("%ld %s\n", (long)getpid(), command);
	size_t len = strlen(text);

	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, len, 0) != (ssize_t)len)
		(void)!ftruncate(fd, 0);
	free(text);
}

static int lock_failed(int fd, const char *path, bool *held, struct buf *holder, struct err *err)
{
	*held = errno == EWOULDBLOCK;
	if (!*held)
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot lock \"%s\"", path);
	else if (holder != NULL) {
		buf_clear(holder);
		read_open(fd, holder);
	}
	close(fd);
	return -1;
}

int file_lock(const char *path, const char *command, bool *held, struct buf *holder,
	struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	*held = false;
	if (fd < 0)
		return err_errno(err, ERR_USER, ERR_ACCOUNT, errno, "cannot open lock \"%s\"",
			path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return lock_failed(fd, path, held, holder, err);
	name_holder(fd, command);
	return fd;
}

/* The file stays: were it removed, one program could lock the old file and another a new one. */
void file_unlock(int fd)
{
	(void)!ftruncate(fd, 0);
	flock(fd, LOCK_UN);
	close(fd);
}
