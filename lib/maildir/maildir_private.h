/* What the files of this folder share. */
#ifndef MAILDIR_MAILDIR_PRIVATE_H
#define MAILDIR_MAILDIR_PRIVATE_H

#include <sys/stat.h>

#include "maildir/maildir.h"

/* Every file of ours in a tmp folder begins so: others have theirs beside them. */
#define MAILDIR_TMP_PREFIX "mailtide-"

struct maildir {
	int root; /* a folder's descriptor: every path is relative to it */
	char *path;
	enum maildir_layout layout;
	bool is_coarse;   /* its file system's clock is not ours, or coarse */
	void *made;       /* tsearch(3) tree of folders that maildir_folder_make has seen */
	const char *tmp;  /* the INBOX's */
	uint64_t serial;  /* of files under way */
	struct buf from, to; /* paths, kept so that no call allocates */
	struct buf spare;    /* a finished file's memory, for the next one */
};

/* The file's path in *path. A name that would lead out of its folder is an error: names come from
 * records, and a record may be damaged. */
int maildir_inside(const struct maildir_name *name, struct buf *path, struct err *err);
/* The same for a folder. */
int maildir_folder_check(const char *folder, struct err *err);
/* Makes the folder even if it was made before: the user may have removed it meanwhile. */
int maildir_folder_remake(struct maildir *m, const char *folder, struct err *err);
/* Its parts and the mark of Maildir++, without cur, new and tmp. */
int maildir_folder_prepare(struct maildir *m, const char *folder, struct err *err);
/* m->from to m->to, which lies in `folder`; never overwrites. 0, 1 there is no m->from, 2 there is an m->to, -1. */
int maildir_move(struct maildir *m, const char *folder, struct err *err);
/* Follows a symbolic link: the message is what it points to. -1 with errno. */
int maildir_fill_stat(struct maildir *m, const char *path, struct maildir_stat *st);
struct maildir_stat maildir_stat_of(const struct stat *s);

#endif
