/* fsync_preload: counts how often a program asks for durability.
 *
 *	LD_PRELOAD=fsync_preload.so FSYNC_COUNT_FILE=FILE program
 *
 * At its exit each process appends one line:
 *
 *	fsync=N fdatasync=N msync=N syncfs=N dsync_writes=N pid=N program=NAME
 *
 * dsync_writes are writes to descriptors opened with O_DSYNC or O_SYNC, each of which waits for the
 * disk as fdatasync does (LMDB commits so). sync counts as syncfs, sync_file_range as fdatasync. A
 * forked child begins at 0. A process that dies by a signal or _exit says nothing. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FSYNC, FDATASYNC, MSYNC, SYNCFS, DSYNC_WRITE, KINDS };

static atomic_ulong count[KINDS];

/* The C library's function of that name. ISO C has no cast from an object to a function pointer. */
#define REAL(result, name, ...) \
	static result (*real)(__VA_ARGS__); \
	if (real == NULL) { \
		void *found = dlsym(RTLD_NEXT, name); \
		memcpy(&real, &found, sizeof real); \
	}

static void
count_write(int fd)
{
	int saved = errno, flags = fcntl(fd, F_GETFL);

	if (flags != -1 && (flags & O_DSYNC) != 0)	/* O_SYNC contains O_DSYNC */
		count[DSYNC_WRITE]++;
	errno = saved;
}

int
fsync(int fd)
{
	REAL(int, "fsync", int)
	count[FSYNC]++;
	return real(fd);
}

int
fdatasync(int fd)
{
	REAL(int, "fdatasync", int)
	count[FDATASYNC]++;
	return real(fd);
}

int
sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
	REAL(int, "sync_file_range", int, off64_t, off64_t, unsigned)
	count[FDATASYNC]++;
	return real(fd, offset, length, flags);
}

int
msync(void *addr, size_t length, int flags)
{
	REAL(int, "msync", void *, size_t, int)
	count[MSYNC]++;
	return real(addr, length, flags);
}

int
syncfs(int fd)
{
	REAL(int, "syncfs", int)
	count[SYNCFS]++;
	return real(fd);
}

void
sync(void)
{
	REAL(void, "sync", void)
	count[SYNCFS]++;
	real();
}

ssize_t
write(int fd, const void *buf, size_t n)
{
	REAL(ssize_t, "write", int, const void *, size_t)
	count_write(fd);
	return real(fd, buf, n);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	REAL(ssize_t, "writev", int, const struct iovec *, int)
	count_write(fd);
	return real(fd, iov, n);
}

/* A program built with 64-bit offsets calls the names that end in 64. */
#define POSITIONED(name, data, count_type) \
ssize_t \
name(int fd, data buf, count_type n, off64_t at) \
{ \
	REAL(ssize_t, #name, int, data, count_type, off64_t) \
	count_write(fd); \
	return real(fd, buf, n, at); \
}

POSITIONED(pwrite, const void *, size_t)
POSITIONED(pwrite64, const void *, size_t)
POSITIONED(pwritev, const struct iovec *, int)
POSITIONED(pwritev64, const struct iovec *, int)

static void
forget(void)
{
	for (int i = 0; i < KINDS; i++)
		count[i] = 0;
}

__attribute__((constructor)) static void
begin(void)
{
	pthread_atfork(NULL, NULL, forget);
}

__attribute__((destructor)) static void
report(void)
{
	const char *path = getenv("FSYNC_COUNT_FILE");
	FILE *f = path != NULL ? fopen(path, "ae") : NULL;

	if (f == NULL)
		return;
	/* One line, far below a stdio buffer: one write, so lines of two processes do not mix. */
	fprintf(f, "fsync=%lu fdatasync=%lu msync=%lu syncfs=%lu dsync_writes=%lu pid=%ld program=%s\n",
	    count[FSYNC], count[FDATASYNC], count[MSYNC], count[SYNCFS], count[DSYNC_WRITE],
	    (long)getpid(), program_invocation_short_name);
	fclose(f);
}
