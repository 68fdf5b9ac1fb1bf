/* Folders that move or go: only cur, new and tmp are mailtide's. In the nested layout the folders of
 * other mailboxes lie beside them in the same place, and other programs leave files there, too. */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"
#include "maildir/maildir_private.h"

/* cur goes last and comes last: by it a folder is known to be there. */
static const char *const subs[] = { "tmp", "new", "cur" };

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* It may be made again. */
static void forget_made(struct maildir *m, const char *folder)
{
	char **node = tfind(folder, &m->made, compare_text), *name;
	if (node == NULL)
		return;
	name = *node;
	tdelete(folder, &m->made, compare_text);
	free(name);
}

/* The parts above it that hold nothing any more, and itself: rmdir(2) tells. */
static void remove_empty_parts(const struct maildir *m, const char *folder)
{
	char *path = mem_copy(folder);
	char *slash = path + strlen(path);
	do {
		*slash = '\0';
		if (*path == '\0' || unlinkat(m->root, path, AT_REMOVEDIR) != 0)
			break;
	} while ((slash = strrchr(path, '/')) != NULL);
	free(path);
}

/* The mark of Maildir++ is ours, where nothing stands in it. */
static void remove_mark(const struct maildir *m, const char *folder)
{
	char *path = file_join(folder, "maildirfolder");
	struct stat st;
	if (fstatat(m->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		unlinkat(m->root, path, 0);
	free(path);
}

static void leave(struct maildir *m, const char *folder)
{
	char *cur = file_join(folder, "cur");
	if (m->layout == MAILDIR_PLUS && faccessat(m->root, cur, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		remove_mark(m, folder);
	free(cur);
	remove_empty_parts(m, folder);
	forget_made(m, folder);
}

/* File systems without RENAME_NOREPLACE (NFS) replace an empty folder only. */
static int move_folder(const struct maildir *m, const char *from, const char *to)
{
	if (renameat2(m->root, from, m->root, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (faccessat(m->root, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(m->root, from, m->root, to);
}

static int move_sub(struct maildir *m, const char *from, const char *to, const char *sub, struct err *err)
{
	char *old = file_join(from, sub), *new = file_join(to, sub);
	int result = 0;
	if (faccessat(m->root, old, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		; /* moved by an earlier call, or taken away by the user */
	else if (move_folder(m, old, new) == 0)
		point("maildir.folder-moved");
	else if (errno == EEXIST || errno == ENOTEMPTY)
		result = 2;
	else
		result = err_errno(err, ERR_RETRY, ERR_MAILBOX, errno, "cannot rename '%s/%s' to '%s/%s'", m->path,
			old, m->path, new);
	free(old);
	free(new);
	return result;
}

int maildir_folder_move(struct maildir *m, const char *from, const char *to, struct err *err)
{
	int result = 0;
	if (maildir_folder_check(from, err) < 0 || maildir_folder_check(to, err) < 0)
		return -1;
	INVARIANT(*from != '\0' && *to != '\0');
	if (maildir_folder_prepare(m, to, err) < 0)
		return -1;
	for (size_t i = 0; i < 3 && result == 0; i++)
		result = move_sub(m, from, to, subs[i], err);
	if (result == 0)
		leave(m, from);
	return result;
}

int maildir_folder_remove(struct maildir *m, const char *folder, struct err *err)
{
	bool stays = false;
	if (maildir_folder_check(folder, err) < 0)
		return -1;
	for (size_t i = 0; i < 3 && !stays; i++) {
		char *path = *folder != '\0' ? file_join(folder, subs[i]) : mem_copy(subs[i]);
		int why = unlinkat(m->root, path, AT_REMOVEDIR) == 0 ? 0 : errno;
		free(path);
		stays = why == EEXIST || why == ENOTEMPTY;
		if (why != 0 && why != ENOENT && why != ENOTDIR && !stays)
			return err_errno(err, ERR_RETRY, ERR_MAILBOX, why,
				"cannot remove '%s/%s/%s'", m->path, folder,
				subs[i]);
	}
	if (stays)
		return maildir_folder_remake(m, folder, err) < 0 ? -1 : 1;
	if (*folder != '\0')
		leave(m, folder);
	else
		forget_made(m, folder);
	point("maildir.folder-removed");
	return 0;
}
