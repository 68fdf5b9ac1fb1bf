/* The text of the configuration, made ready for libconfuse: comments blanked out (its 3.3 counts
 * comment lines twice), includes spliced in, and for each line the file and line it came from.
 * What the library would take in silence or blame on a wrong line is refused here, with the line
 * where a person would look: quotes and braces without an end, keys without a value, characters
 * that it skips outside of quotes. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

struct conf_source_file {
	char *path;   /* as given, for messages */
	char *folder; /* absolute; relative paths that stand in this file begin here */
	mode_t mode;
	uid_t owner;
};

struct conf_source_line {
	size_t file;
	unsigned line;
};

struct conf_source {
	struct buf text;
	struct conf_source_file *files;
	size_t file_count;
	struct conf_source_line *lines; /* of `text`, the first at 0 */
	size_t line_count;
	size_t *blocks; /* lines of `text`, from 1, where the outermost sections begin */
	size_t block_count;
};

/* ERR_USER, with FILE:LINE in front. To be released in any case. */
int conf_source_read(struct conf_source *source, const char *path, struct err *err);
void conf_source_release(struct conf_source *source);

/* Whence a line of `text` (from 1) came. */
struct conf_source_line conf_source_origin(const struct conf_source *source, size_t text_line);
const struct conf_source_file *conf_source_file_at(const struct conf_source *source,
	size_t text_line);
/* Puts "FILE:LINE: " before what stands in *err. Returns -1. */
int conf_source_blame(const struct conf_source *source, size_t text_line, struct err *err);
int conf_source_error(const struct conf_source *source, size_t text_line, struct err *err,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* For conf_scan, where it comes to an include: reads the file and scans it. 0, -1 (the text names
 * file and line), or 1: it could not be read, and the caller says in which line that was asked. */
int conf_source_add(struct conf_source *source, const char *path, unsigned depth, bool nested,
	struct err *err);

/* A plain file, whole, and what fstat said of the very file that was read. ERR_USER; the sentence
 * names the path. */
int conf_source_slurp(const char *path, struct buf *out, struct stat *st, struct err *err);

#endif
