/* Files: durable replacement, reading with a ceiling, paths. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* The new content is at `path`, durable, or the old one is, never a mixture: written to a
 * neighbouring name, fsync, rename, fsync of the folder. Passes the points "file.written" and
 * "file.renamed". The owner's write permission is added to `mode`; umask has no say. Errors: scope
 * account. */
int file_replace(const char *path, mode_t mode, const void *data, size_t len, struct err *err);

/* Adds the content to *out, whose ceiling holds. ERR_USER where it is too large or cannot be read;
 * errno_out (may be NULL) tells ENOENT apart. */
int file_read(const char *path, struct buf *out, int *errno_out, struct err *err);

/* Creates a folder and its missing parents with `mode`; an existing one is fine. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/* "~" and "~/..." become $HOME; the caller frees. */
char *file_expand(const char *path);
/* "a/b"; the caller frees. */
char *file_join(const char *folder, const char *name);

/* A lock that ends with the process (flock). Creates the file where it is missing. Returns the
 * descriptor (close-on-exec), -1 with *held = true where another holds it, -1 with *held = false
 * and *err on a failure. `holder` (may be NULL) is filled with what the holder wrote in the file.
 * The holder's text is "PID COMMAND\n"; a stale text of a dead process is no obstacle. */
int file_lock(const char *path, const char *command, bool *held, struct buf *holder,
	struct err *err);
void file_unlock(int fd);

#endif
