/* full_preload: a disk that is full from a certain call on, or fails once.
 *
 *	LD_PRELOAD=full_preload.so FULL_UNDER=DIR[:DIR...] [FULL_AT=N] program
 *
 * Counted are the calls that need room below one of these folders, whose paths are absolute and hold no
 * symbolic link: writes, ftruncate and fallocate; what makes a name or a file (open, mkdir, rename, link).
 * Sockets, pipes and other places are left alone. The first is call 1.
 *
 *	FULL_AT=N	call N fails, and all behind it
 *	FULL_COUNT=N	so many fail, then there is room again
 *	FULL_ERROR=E	with ENOSPC (as without it), EDQUOT or EIO
 *	FULL_HOW=grow	counted are calls that need a block more or a name more: what lies in its place
 *			can be written over, renamed over, as on ext4 (as without it)
 *	FULL_HOW=cow	also what is written over, as where the old block is not used again
 *	FULL_HOW=sync	also fsync and the like: NFS, or a disk that breaks
 *	FULL_LOG=FILE	one line for each counted call: number, name, path; and, for one that failed, the
 *			error. Of all processes that make such a call.
 *
 * Of a full disk's first write that fails a part arrives: what goes before the last block's edge, or half
 * where there is no edge. Of LMDB's pages whole ones arrive: no file system tears one. Where a file is
 * mapped, and in libraries that call the kernel themselves (stdio), nothing is seen. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 4096

/* The C library's function of that name. ISO C has no cast from an object to a function pointer. */
#define REAL(result, name, ...) \
	static result (*real)(__VA_ARGS__); \
	if (real == NULL) { \
		void *found = dlsym(RTLD_NEXT, name); \
		memcpy(&real, &found, sizeof real); \
	}

static const char *under, *log_path;
static unsigned long first, last;	/* that fail; 0: none */
static int error = ENOSPC;
static bool overwrites, syncs, halves;
static atomic_ulong calls;

static void
forget(void)
{
	calls = 0;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *at = getenv("FULL_AT"), *n = getenv("FULL_COUNT"), *e = getenv("FULL_ERROR");
	const char *how = getenv("FULL_HOW");

	under = getenv("FULL_UNDER");
	log_path = getenv("FULL_LOG");
	first = at != NULL ? strtoul(at, NULL, 10) : 0;
	last = n != NULL ? first + strtoul(n, NULL, 10) - 1 : ULONG_MAX;
	if (e != NULL)
		error = strcmp(e, "EIO") == 0 ? EIO : strcmp(e, "EDQUOT") == 0 ? EDQUOT : ENOSPC;
	halves = error != EIO && n == NULL;
	overwrites = how != NULL && strcmp(how, "grow") != 0;
	syncs = how != NULL && strcmp(how, "sync") == 0;
	pthread_atfork(NULL, NULL, forget);
}

static bool
is_under(const char *path)
{
	for (const char *at = under; at != NULL && *at != '\0';) {
		size_t len = strcspn(at, ":");
		if (strncmp(path, at, len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return true;
		at += len + (at[len] == ':');
	}
	return false;
}

static bool
path_of_fd(int fd, char path[PATH_MAX])
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
path_at(int dir, const char *name, char path[PATH_MAX])
{
	char folder[PATH_MAX];

	if (name[0] == '/')
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
	if (dir == AT_FDCWD ? getcwd(folder, sizeof folder) == NULL : !path_of_fd(dir, folder))
		return false;
	return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* A new file each time: its descriptor might be closed by the program, as all that are not known to it. */
static void
note(unsigned long number, const char *call, const char *path, bool fails)
{
	static ssize_t (*real)(int, const void *, size_t);
	static int (*real_open)(const char *, int, ...);
	char line[PATH_MAX + 100];
	void *found = dlsym(RTLD_NEXT, "write");
	int n, fd;

	if (log_path == NULL)
		return;
	memcpy(&real, &found, sizeof real);
	found = dlsym(RTLD_NEXT, "open");
	memcpy(&real_open, &found, sizeof real_open);
	n = snprintf(line, sizeof line, "%lu\t%s\t%s%s%s\n", number, call, path, fails ? "\t" : "",
	    fails ? strerror(error) : "");
	fd = real_open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || real(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

/* Counts it. Does it fail? */
static bool
refused(const char *call, const char *path, bool *is_first)
{
	int saved = errno;
	unsigned long number;
	bool fails;

	if (!is_under(path)) {
		errno = saved;
		return false;
	}
	number = ++calls;
	fails = first != 0 && number >= first && number <= last;
	note(number, call, path, fails);
	if (is_first != NULL)
		*is_first = number == first;
	errno = fails ? error : saved;
	return fails;
}

static bool
needs_room(int fd, off64_t at, size_t len, char path[PATH_MAX])
{
	struct stat st;
	int flags, saved = errno;
	bool yes = false;

	if (under != NULL && len > 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && path_of_fd(fd, path)) {
		flags = fcntl(fd, F_GETFL);
		if (at < 0)
			at = (flags & O_APPEND) != 0 ? st.st_size : lseek64(fd, 0, SEEK_CUR);
		yes = overwrites || at + (off64_t)len > st.st_size;
	}
	errno = saved;
	return yes;
}

/* Writes. */

/* How much of it still arrives. */
static size_t
short_of(off64_t at, size_t len)
{
	size_t beyond = (size_t)(at + (off64_t)len) % BLOCK;

	return beyond > 0 && beyond < len ? len - beyond : len / 2;
}

ssize_t
write(int fd, const void *buf, size_t n)
{
	REAL(ssize_t, "write", int, const void *, size_t)
	char path[PATH_MAX];
	bool is_first;

	if (needs_room(fd, -1, n, path) && refused("write", path, &is_first)) {
		size_t some = short_of(lseek64(fd, 0, SEEK_CUR), n);
		return is_first && halves && some > 0 ? real(fd, buf, some) : -1;
	}
	return real(fd, buf, n);
}

/* LMDB's: whole pages. The first two, which say what is in the others, are a kind of their own. */
#define POSITIONED(name) \
ssize_t \
name(int fd, const void *buf, size_t n, off64_t at) \
{ \
	REAL(ssize_t, #name, int, const void *, size_t, off64_t) \
	char path[PATH_MAX]; \
	bool is_first; \
	if (needs_room(fd, at, n, path) && refused(at < 2 * BLOCK ? "pwrite-head" : "pwrite", path, &is_first)) { \
		size_t some = n / 2 / BLOCK * BLOCK; \
		return is_first && halves && some > 0 ? real(fd, buf, some, at) : -1; \
	} \
	return real(fd, buf, n, at); \
}

POSITIONED(pwrite)
POSITIONED(pwrite64)

static size_t
total(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* The first half of the pieces. */
#define VECTOR(name, at, params, args, ...) \
ssize_t \
name params \
{ \
	REAL(ssize_t, #name, __VA_ARGS__) \
	char path[PATH_MAX]; \
	bool is_first; \
	if (needs_room(fd, at, total(iov, n), path) && refused(#name, path, &is_first)) { \
		n /= 2; \
		return is_first && halves && n > 0 ? real args : -1; \
	} \
	return real args; \
}

VECTOR(writev, -1, (int fd, const struct iovec *iov, int n), (fd, iov, n),
    int, const struct iovec *, int)
VECTOR(pwritev, at, (int fd, const struct iovec *iov, int n, off64_t at), (fd, iov, n, at),
    int, const struct iovec *, int, off64_t)
VECTOR(pwritev64, at, (int fd, const struct iovec *iov, int n, off64_t at), (fd, iov, n, at),
    int, const struct iovec *, int, off64_t)

#define TRUNCATE(name) \
int \
name(int fd, off64_t length) \
{ \
	REAL(int, #name, int, off64_t) \
	char path[PATH_MAX]; \
	struct stat st; \
	if (under != NULL && fstat(fd, &st) == 0 && length > st.st_size && path_of_fd(fd, path) && \
	    refused(#name, path, NULL)) \
		return -1; \
	return real(fd, length); \
}

TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define FALLOCATE(name) \
int \
name(int fd, off64_t at, off64_t len) \
{ \
	REAL(int, #name, int, off64_t, off64_t) \
	char path[PATH_MAX]; \
	if (under != NULL && path_of_fd(fd, path) && refused(#name, path, NULL)) \
		return errno; \
	return real(fd, at, len); \
}

FALLOCATE(posix_fallocate)
FALLOCATE(posix_fallocate64)

/* Names. */

static bool
exists(const char *path)
{
	struct stat st;
	int saved = errno;
	bool yes = lstat(path, &st) == 0;

	errno = saved;
	return yes;
}

/* Also where its folder is not there, which is another error. */
static bool
no_name(const char *call, int dir, const char *name)
{
	char path[PATH_MAX], folder[PATH_MAX];

	if (under == NULL || !path_at(dir, name, path) || exists(path))
		return false;
	memcpy(folder, path, sizeof folder);
	*strrchr(folder, '/') = '\0';
	return exists(folder) && refused(call, path, NULL);
}

static bool
no_file(int dir, const char *name, int flags)
{
	char path[PATH_MAX];

	if (under == NULL)
		return false;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return path_at(dir, name, path) && refused("open", path, NULL);
	return (flags & O_CREAT) != 0 && no_name("open", dir, name);
}

#define MODE(flags, mode) \
	mode_t mode = 0; \
	if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) { \
		va_list list; \
		va_start(list, flags); \
		mode = va_arg(list, mode_t); \
		va_end(list); \
	}

#define OPEN(name) \
int \
name(const char *path, int flags, ...) \
{ \
	REAL(int, #name, const char *, int, ...) \
	MODE(flags, mode) \
	return no_file(AT_FDCWD, path, flags) ? -1 : real(path, flags, mode); \
}

OPEN(open)
OPEN(open64)

#define OPENAT(name) \
int \
name(int dir, const char *path, int flags, ...) \
{ \
	REAL(int, #name, int, const char *, int, ...) \
	MODE(flags, mode) \
	return no_file(dir, path, flags) ? -1 : real(dir, path, flags, mode); \
}

OPENAT(openat)
OPENAT(openat64)

int
mkostemp(char *name, int flags)
{
	REAL(int, "mkostemp", char *, int)
	return no_name("mkostemp", AT_FDCWD, name) ? -1 : real(name, flags);
}

int
mkdir(const char *path, mode_t mode)
{
	REAL(int, "mkdir", const char *, mode_t)
	return no_name("mkdir", AT_FDCWD, path) ? -1 : real(path, mode);
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	REAL(int, "mkdirat", int, const char *, mode_t)
	return no_name("mkdir", dir, path) ? -1 : real(dir, path, mode);
}

/* Over another: no name more. */
static bool
no_rename(int from, const char *old, int to, const char *new)
{
	char path[PATH_MAX];

	if (under == NULL || !path_at(from, old, path) || !exists(path) || !path_at(to, new, path))
		return false;
	return overwrites && exists(path) ? refused("rename", path, NULL) : no_name("rename", to, new);
}

int
rename(const char *old, const char *new)
{
	REAL(int, "rename", const char *, const char *)
	return no_rename(AT_FDCWD, old, AT_FDCWD, new) ? -1 : real(old, new);
}

int
renameat(int from, const char *old, int to, const char *new)
{
	REAL(int, "renameat", int, const char *, int, const char *)
	return no_rename(from, old, to, new) ? -1 : real(from, old, to, new);
}

int
renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	REAL(int, "renameat2", int, const char *, int, const char *, unsigned)
	return no_rename(from, old, to, new) ? -1 : real(from, old, to, new, flags);
}

int
linkat(int from, const char *old, int to, const char *new, int flags)
{
	REAL(int, "linkat", int, const char *, int, const char *, int)
	return no_name("link", to, new) ? -1 : real(from, old, to, new, flags);
}

/* What a disk says late. */
#define SYNC(name) \
int \
name(int fd) \
{ \
	REAL(int, #name, int) \
	char path[PATH_MAX]; \
	if (syncs && under != NULL && path_of_fd(fd, path) && refused(#name, path, NULL)) \
		return -1; \
	return real(fd); \
}

SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)
