/* The root: whose it is, and the folders in it. The file .mailtide ties a tree to one store, so that
 * neither a mistyped path nor a store made anew is taken for a user who deleted everything. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"
#include "maildir/maildir_private.h"

#define MARKER ".mailtide"
#define FOLDER_MODE 0700

static const char *layout_name(enum maildir_layout layout)
{
	return layout == MAILDIR_NESTED ? "nested" : "maildir++";
}

/* What a file system is made with, and what is left of a marker that a crash kept from its place. */
static bool is_nothing(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0 ||
		(strncmp(name, MARKER, strlen(MARKER)) == 0 && strcmp(name, MARKER) != 0);
}

/* 1 empty, 0 not, -1 with *err. */
static int is_empty(const struct maildir *m, struct err *err)
{
	int fd = openat(m->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		int why = errno;
		if (fd >= 0)
			close(fd);
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, why, "cannot read '%s'", m->path);
	}
	const struct dirent *entry;
	int empty = 1;
	while (empty && (entry = readdir(dir)) != NULL)
		empty = is_nothing(entry->d_name);
	closedir(dir);
	return empty;
}

static int claim(const struct maildir *m, const char *store_id, struct err *err)
{
	char *path = file_join(m->path, MARKER);
	char *text = mem_printf("mailtide-maildir 1 %s %s\n", store_id, layout_name(m->layout));
	int result = file_replace(path, 0600, text, strlen(text), err);
	free(text);
	free(path);
	return result;
}

/* A root without a marker. */
static int take_root(const struct maildir *m, const char *store_id, bool create, struct err *err)
{
	int empty = is_empty(m, err);
	if (empty < 0)
		return -1;
	if (!empty)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"'%s' is not empty and does not belong to this store: choose an empty folder, or adopt "
			"it with the line 'mailtide-maildir 1 %s %s' in its file " MARKER,
			m->path, store_id, layout_name(m->layout));
	if (!create)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"'%s' is empty, and it was not: is its file system mounted?", m->path);
	return claim(m, store_id, err);
}

static int check_marker(const struct maildir *m, const char *text, const char *store_id,
	struct err *err)
{
	char id[128], layout[32];
	int version, end = -1;
	int got = sscanf(text, "mailtide-maildir %d %127s %31s%n", &version, id, layout, &end);
	if (got >= 1 && version != 1)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "'%s' was made by another version of mailtide (%d)",
			m->path, version);
	if (got != 3 || strcmp(text + end, "\n") != 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "'%s/" MARKER "' is damaged: its line should be "
			"'mailtide-maildir 1 %s %s'", m->path, store_id, layout_name(m->layout));
	if (strcmp(id, store_id) != 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "'%s' belongs to another store (%s, not %s): "
			"choose another folder, or adopt it with the line 'mailtide-maildir 1 %s %s' in its file "
			MARKER, m->path, id, store_id, store_id, layout);
	if (strcmp(layout, layout_name(m->layout)) != 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "'%s' has the layout %s, and the configuration says "
			"%s: change that, or choose another folder", m->path, layout, layout_name(m->layout));
	return 0;
}

static int check_owner(const struct maildir *m, const char *store_id, bool create, struct err *err)
{
	char text[256];
	int fd = openat(m->root, MARKER, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return take_root(m, store_id, create, err);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (len < 0)
		return err_errno(err, ERR_USER, ERR_ACCOUNT, why, "cannot read '%s/" MARKER "'", m->path);
	text[len] = '\0';
	return check_marker(m, text, store_id, err);
}

static int open_root(struct maildir *m, bool create, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	m->root = open(m->path, flags);
	if (m->root < 0 && errno == ENOENT && create) {
		if (file_mkdirs(m->path, FOLDER_MODE, err) < 0)
			return -1;
		m->root = open(m->path, flags);
	}
	if (m->root < 0 && errno == ENOENT)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "'%s' is missing, and it was there: is its file "
			"system mounted?", m->path);
	if (m->root < 0 && errno == ENOTDIR)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "'%s' is not a folder", m->path);
	if (m->root < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot open '%s'", m->path);
	if (faccessat(m->root, ".", W_OK | X_OK, AT_EACCESS) != 0)
		return err_errno(err, ERR_USER, ERR_ACCOUNT, errno, "'%s' is not writable", m->path);
	return 0;
}

/* Whether folder times come from this machine's clock, as it ticks in CLOCK_REALTIME_COARSE. */
static bool has_our_clock(int fd)
{
	static const long ours[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
		F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1 /* zfs */, 0xca451a4e /* bcachefs */ };
	struct statfs fs;
	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if ((long)fs.f_type == ours[i])
			return true;
	return false;
}

struct maildir *maildir_open(const char *root, enum maildir_layout layout, const char *store_id,
	bool create, struct err *err)
{
	struct maildir *m = mem_new(sizeof *m);
	m->root = -1;
	m->path = mem_copy(root);
	m->layout = layout;
	m->tmp = layout == MAILDIR_NESTED ? "INBOX/tmp" : "tmp";
	buf_init(&m->from, 0);
	buf_init(&m->to, 0);
	buf_init(&m->spare, 0);
	if (open_root(m, create, err) < 0 || check_owner(m, store_id, create, err) < 0) {
		maildir_close(m);
		return NULL;
	}
	m->is_coarse = !has_our_clock(m->root);
	return m;
}

void maildir_close(struct maildir *m)
{
	if (m == NULL)
		return;
	if (m->root >= 0)
		close(m->root);
	tdestroy(m->made, free);
	buf_release(&m->from);
	buf_release(&m->to);
	buf_release(&m->spare);
	free(m->path);
	free(m);
}

const char *maildir_root(const struct maildir *m)
{
	return m->path;
}

int maildir_sync(struct maildir *m, struct err *err)
{
	if (syncfs(m->root) != 0)
		return err_errno(err, ERR_LATER, ERR_ACCOUNT, errno, "cannot write '%s' to its disk", m->path);
	point("maildir.synced");
	return 0;
}

/* Folders */

static int make_one(const struct maildir *m, const char *path, struct err *err)
{
	if (mkdirat(m->root, path, FOLDER_MODE) == 0 || errno == EEXIST)
		return 0;
	return err_errno(err, errno == ENOTDIR || errno == ENAMETOOLONG ? ERR_USER : ERR_RETRY, ERR_MAILBOX,
		errno, "cannot make '%s/%s'", m->path, path);
}

/* The folder itself and those above it. */
static int make_parts(const struct maildir *m, const char *folder, struct err *err)
{
	char *path = mem_copy(folder);
	int result = 0;
	for (char *p = path; *p != '\0' && result == 0; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		result = make_one(m, path, err);
		*p = '/';
	}
	if (result == 0 && *path != '\0')
		result = make_one(m, path, err);
	free(path);
	return result;
}

/* Says to programs that know Maildir++ that this is a folder, not a user's Maildir. */
static int mark_subfolder(const struct maildir *m, const char *folder, struct err *err)
{
	if (m->layout != MAILDIR_PLUS || *folder == '\0')
		return 0;
	char *path = file_join(folder, "maildirfolder");
	int fd = openat(m->root, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int result = fd >= 0 ? close(fd) : err_errno(err, ERR_RETRY, ERR_MAILBOX, errno,
		"cannot make '%s/%s'", m->path, path);
	free(path);
	return result;
}

int maildir_folder_prepare(struct maildir *m, const char *folder, struct err *err)
{
	return make_parts(m, folder, err) < 0 || mark_subfolder(m, folder, err) < 0 ? -1 : 0;
}

int maildir_folder_remake(struct maildir *m, const char *folder, struct err *err)
{
	static const char *const subs[] = { "tmp", "new", "cur" };
	if (maildir_folder_prepare(m, folder, err) < 0)
		return -1;
	/* cur comes last: by it a folder is known to be there. */
	for (size_t i = 0; i < 3; i++) {
		char *path = *folder != '\0' ? file_join(folder, subs[i]) : mem_copy(subs[i]);
		int made = make_one(m, path, err);
		free(path);
		if (made < 0)
			return -1;
	}
	point("maildir.folder-made");
	return 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

int maildir_folder_make(struct maildir *m, const char *folder, struct err *err)
{
	if (tfind(folder, &m->made, compare_text) != NULL)
		return 0;
	if (maildir_folder_check(folder, err) < 0 || maildir_folder_remake(m, folder, err) < 0)
		return -1;
	INVARIANT(tsearch(mem_copy(folder), &m->made, compare_text) != NULL);
	return 0;
}

bool maildir_folder_exists(struct maildir *m, const char *folder)
{
	struct stat st;
	buf_clear(&m->from);
	buf_addf(&m->from, "%s%scur", folder, *folder != '\0' ? "/" : "");
	return fstatat(m->root, buf_str(&m->from), &st, 0) == 0 && S_ISDIR(st.st_mode);
}
