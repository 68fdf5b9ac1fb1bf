#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"
#include "conf/scan.h"

#define TEXT_MAX ((size_t)1 << 20) /* room for 5,000 accounts */
#define FILES_MAX 1000
#define DEPTH_MAX 10

/* The folder of a file, absolute, so that it stays true after a chdir. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_copy(".") :
		slash == path	     ? mem_copy("/") :
				       mem_copy_slice((struct slice){ path, (size_t)(slash - path) });
	char *real = realpath(folder, NULL);

	if (real == NULL)
		return folder;
	free(folder);
	return real;
}

static size_t add_file(struct conf_source *source, const char *path, const struct stat *st)
{
	source->files = mem_grow(source->files, source->file_count + 1, sizeof *source->files);
	source->files[source->file_count] = (struct conf_source_file){
		.path = mem_copy(path),
		.folder = folder_of(path),
		.mode = st->st_mode,
		.owner = st->st_uid,
	};
	return source->file_count++;
}

int conf_source_add(struct conf_source *source, const char *path, unsigned depth, bool nested,
	struct err *err)
{
	struct buf data;
	struct stat st;
	int rc = 1;

	buf_init(&data, TEXT_MAX);
	if (depth > DEPTH_MAX)
		err_set(err, ERR_USER, ERR_ACCOUNT,
			"includes are nested deeper than %d: does a file include itself?", DEPTH_MAX);
	else if (conf_source_slurp(path, &data, &st, err) != 0)
		;
	else if (source->text.len + data.len > TEXT_MAX || source->file_count == FILES_MAX)
		err_set(err, ERR_USER, ERR_ACCOUNT,
			"the configuration is larger than %zu KB or %d files", TEXT_MAX >> 10,
			FILES_MAX);
	else
		rc = conf_scan(source, add_file(source, path, &st),
			(struct slice){ buf_str(&data), data.len }, depth, nested, err);
	if (data.data != NULL) /* it may hold a password */
		mem_wipe(data.data, data.len);
	buf_release(&data);
	return rc;
}

static int tell_missing(const char *path, struct err *err)
{
	return err_set(err, ERR_USER, ERR_ACCOUNT,
		"there is no configuration \"%s\"; the smallest is: account \"NAME\" { "
		"host = \"imap.example.org\" user = \"ME\" password-command = \"...\" "
		"maildir = \"~/Mail\" } (see mailtide.conf(5))", path);
}

int conf_source_read(struct conf_source *source, const char *path, struct err *err)
{
	*source = (struct conf_source){ .files = NULL };
	buf_init(&source->text, 0);
	if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return tell_missing(path, err);
	if (conf_source_add(source, path, 0, false, err) != 0)
		return -1;
	buf_add_char(&source->text, '\n');
	return 0;
}

void conf_source_release(struct conf_source *source)
{
	if (source->text.data != NULL)
		mem_wipe(source->text.data, source->text.len);
	buf_release(&source->text);
	for (size_t i = 0; i < source->file_count; i++) {
		free(source->files[i].path);
		free(source->files[i].folder);
	}
	free(source->files);
	free(source->lines);
	free(source->blocks);
	*source = (struct conf_source){ .files = NULL };
}

struct conf_source_line conf_source_origin(const struct conf_source *source, size_t text_line)
{
	INVARIANT(source->line_count > 0);
	if (text_line == 0)
		text_line = 1;
	if (text_line > source->line_count)
		text_line = source->line_count;
	return source->lines[text_line - 1];
}

const struct conf_source_file *conf_source_file_at(const struct conf_source *source,
	size_t text_line)
{
	return &source->files[conf_source_origin(source, text_line).file];
}

int conf_source_blame(const struct conf_source *source, size_t text_line, struct err *err)
{
	struct conf_source_line origin = conf_source_origin(source, text_line);

	return err_prefix(err, "%s:%u", source->files[origin.file].path, origin.line);
}

int conf_source_error(const struct conf_source *source, size_t text_line, struct err *err,
	const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	err_set(err, ERR_USER, ERR_ACCOUNT, "%s", text);
	free(text);
	return conf_source_blame(source, text_line, err);
}

static int read_all(int fd, const char *path, struct buf *out, struct err *err)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(err, ERR_USER, ERR_ACCOUNT, errno, "cannot read \"%s\"", path);
			break;
		}
		if (!buf_add(out, chunk, (size_t)n)) {
			err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" is larger than %zu KB", path,
				out->limit >> 10);
			break;
		}
	}
	mem_wipe(chunk, sizeof chunk);
	return n == 0 ? 0 : -1;
}

/* O_NONBLOCK: a FIFO that nobody writes must not stop us before we see that it is one. */
int conf_source_slurp(const char *path, struct buf *out, struct stat *st, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, st) != 0) {
		err_errno(err, ERR_USER, ERR_ACCOUNT, errno, "cannot read \"%s\"", path);
		goto fail;
	}
	if (!S_ISREG(st->st_mode)) {
		err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" is %s, not a file", path,
			S_ISDIR(st->st_mode) ? "a folder" : "a device or a pipe");
		goto fail;
	}
	if (read_all(fd, path, out, err) != 0)
		goto fail;
	close(fd);
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}
