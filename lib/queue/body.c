/* Bodies of uploads, in STATE/outgoing.
 *
 * A body is written under a name of its own, synced, and renamed to its hash; so what is named by a
 * hash is whole and durable. It comes before the line that names it, and a sweep in between would
 * find nobody who wants it: until the line is there, the folder is locked (shared; a sweep needs it
 * alone). A killed program's lock is gone with it, and its body goes with the next sweep. */
#include "queue/queue_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"
#include "mail/mail.h"

#define PIECE ((size_t)64 << 10)
#define HEX (2 * MAIL_HASH_SIZE)
#define UNFINISHED "new."

static char *outgoing_of(const char *state)
{
	return file_join(state, "outgoing");
}

static int open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Made, and locked until the next append. */
static int lock_folder(struct queue *q, const char *folder, struct err *err)
{
	int rc;

	if (q->bodies_lock >= 0)
		return 0;
	if (file_mkdirs(folder, 0700, err) < 0)
		return -1;
	if (queue_sync_folder(q->state) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot sync \"%s\"",
			q->state);
	q->bodies_lock = open_folder(folder);
	if (q->bodies_lock < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot open \"%s\"", folder);
	do
		rc = flock(q->bodies_lock, LOCK_SH);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot lock \"%s\"", folder);
		close(q->bodies_lock);
		q->bodies_lock = -1;
	}
	return rc;
}

/* One body on its way. */
struct copy {
	int from, to;
	uint64_t limit, size;
	struct mail_hash *hash;
	struct mail_lines lines;
	struct buf wire;
};

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_USER, ERR_MESSAGE, "the message %s", why);
}

static int put(struct copy *c, struct slice text, struct err *err)
{
	buf_clear(&c->wire);
	mail_lines_to_wire(&c->lines, text, &c->wire);
	c->size += c->wire.len;
	if (c->limit != 0 && c->size > c->limit)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"the message is larger than %llu octets", (unsigned long long)c->limit);
	mail_hash_add(c->hash, buf_str(&c->wire), c->wire.len);
	if (queue_write_all(c->to, buf_str(&c->wire), c->wire.len) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno,
			"cannot write a message to \"outgoing\"");
	return 0;
}

static int copy(struct copy *c, struct err *err)
{
	char piece[PIECE];
	char last = '\0';
	ssize_t n;

	while ((n = read(c->from, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_RETRY, ERR_MESSAGE, errno,
				"cannot read the message");
		if (memchr(piece, '\0', (size_t)n) != NULL)
			return refuse(err, "has a NUL in it");
		if (put(c, (struct slice){ piece, (size_t)n }, err) < 0)
			return -1;
		last = piece[n - 1];
	}
	if (c->size == 0)
		return refuse(err, "is empty");
	return last == '\n' ? 0 : put(c, slice_of("\n"), err);
}

int queue_bodies_sync(struct queue *q, struct err *err)
{
	if (q->bodies_lock >= 0 && fsync(q->bodies_lock) < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot sync the bodies of \"%s\"", q->path);
	return 0;
}

static int sync_and_name(int fd, const char *unfinished, const char *folder, const char *hex,
	struct err *err)
{
	char *path = file_join(folder, hex);
	int rc = fsync(fd);

	if (rc == 0)
		point("queue.body-written");
	if (rc == 0)
		rc = rename(unfinished, path);
	if (rc == 0)
		point("queue.body-named");
	else
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot write \"%s\"", path);
	free(path);
	return rc;
}

static int store(struct copy *c, const char *folder, char hex[65], struct err *err)
{
	char *unfinished = file_join(folder, UNFINISHED "XXXXXX");
	uint8_t hash[MAIL_HASH_SIZE];
	char name[HEX + 1];
	int rc = -1;

	c->to = mkostemp(unfinished, O_CLOEXEC);
	if (c->to < 0) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot create \"%s\"", unfinished);
		goto out;
	}
	if (copy(c, err) == 0) {
		mail_hash_take(c->hash, hash);
		mail_hash_hex(hash, name);
		rc = sync_and_name(c->to, unfinished, folder, name, err);
	}
	if (rc < 0)
		unlink(unfinished);
	else
		memcpy(hex, name, sizeof name);
	close(c->to);
out:
	free(unfinished);
	return rc;
}

int queue_body_store(struct queue *q, int fd, uint64_t limit, char hex[65], uint64_t *size,
	struct err *err)
{
	char *folder = outgoing_of(q->state);
	struct copy c = { .from = fd, .limit = limit };
	int rc = lock_folder(q, folder, err);

	if (rc == 0) {
		buf_init(&c.wire, 0);
		c.hash = mail_hash_new();
		rc = store(&c, folder, hex, err);
		mail_hash_free(c.hash);
		buf_release(&c.wire);
	}
	if (rc == 0)
		*size = c.size;
	free(folder);
	return rc;
}

static bool is_hash(const char *name)
{
	return strlen(name) == HEX && strspn(name, "0123456789abcdef") == HEX;
}

int queue_body_open(const char *state, const char *hex, uint64_t *size, struct err *err)
{
	struct stat st;

	if (!is_hash(hex)) /* it comes from a line that anybody may have written */
		return err_set(err, ERR_USER, ERR_MESSAGE, "\"%s\" is no SHA-256", hex);
	char *folder = outgoing_of(state), *path = file_join(folder, hex);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		*size = (uint64_t)st.st_size;
	} else {
		err_errno(err, errno == ENOENT ? ERR_USER : ERR_RETRY, ERR_MESSAGE, errno,
			"cannot open \"%s\"", path);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	free(path);
	free(folder);
	return fd;
}

/* The sweep. */

struct names {
	char **names;
	size_t count;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_name(struct names *n, const char *name)
{
	n->names = mem_grow(n->names, n->count + 1, sizeof *n->names);
	n->names[n->count++] = mem_copy(name);
}

static void release_names(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->names[i]);
	free(n->names);
}

/* Unfinished ones are nobody's: whoever writes one holds the lock that we have alone. */
static int list_unwanted(int folder, bool (*keep)(void *arg, const char *hex), void *arg,
	struct names *out, struct err *err)
{
	int copy_fd = dup(folder);
	DIR *dir = copy_fd >= 0 ? fdopendir(copy_fd) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot list \"outgoing\"");
		if (copy_fd >= 0)
			close(copy_fd);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		if (strncmp(name, UNFINISHED, strlen(UNFINISHED)) == 0)
			unlinkat(folder, name, 0);
		else if (is_hash(name) && !keep(arg, name))
			add_name(out, name);
	}
	closedir(dir);
	if (out->count > 0)
		qsort(out->names, out->count, sizeof *out->names, compare_names);
	return 0;
}

static void strike_named(struct slice line, const struct names *n, bool *named)
{
	static const char key[] = "\tsha256=";
	const char *end = line.data + line.len, *at = line.data;

	while ((at = memmem(at, (size_t)(end - at), key, strlen(key))) != NULL) {
		char name[HEX + 1] = "";
		char *wanted = name;
		at += strlen(key);
		if (end - at < HEX)
			return;
		memcpy(name, at, HEX);
		char **found = bsearch(&wanted, n->names, n->count, sizeof *n->names,
			compare_names);
		if (found != NULL)
			named[found - n->names] = true;
	}
}

static int find_named(struct queue *q, const struct names *n, bool *named, struct err *err)
{
	struct queue_lines lines;
	struct queue_line line;
	int rc = 0;

	queue_lines_init(&lines);
	queue_lines_seek(&lines, q->fd, q->body);
	while (q->fd >= 0 && (rc = queue_lines_next(&lines, &line, err)) > 0)
		strike_named(line.text, n, named);
	queue_lines_release(&lines);
	return rc;
}

static int sweep(const char *state, int folder, bool (*keep)(void *arg, const char *hex), void *arg,
	struct err *err)
{
	struct names n = { 0 };
	struct queue *q = NULL;
	bool *named = NULL;
	int rc = list_unwanted(folder, keep, arg, &n, err);

	if (rc < 0 || n.count == 0)
		goto out;
	rc = -1;
	q = queue_open(state, "", true, err);
	if (q == NULL)
		goto out;
	named = mem_new(n.count * sizeof *named);
	rc = find_named(q, &n, named, err);
	for (size_t i = 0; rc == 0 && i < n.count; i++)
		if (!named[i])
			unlinkat(folder, n.names[i], 0);
out:
	free(named);
	queue_close(q);
	release_names(&n);
	return rc;
}

int queue_bodies_sweep(const char *state, bool (*keep)(void *arg, const char *hex), void *arg,
	struct err *err)
{
	char *path = outgoing_of(state);
	int folder = open_folder(path);
	int rc = 0;

	if (folder < 0 && errno != ENOENT)
		rc = err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot open \"%s\"", path);
	if (folder >= 0 && flock(folder, LOCK_EX | LOCK_NB) == 0)
		rc = sweep(state, folder, keep, arg, err);
	else if (folder >= 0 && errno != EWOULDBLOCK)
		rc = err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot lock \"%s\"", path);
	if (folder >= 0)
		close(folder);
	free(path);
	return rc;
}
