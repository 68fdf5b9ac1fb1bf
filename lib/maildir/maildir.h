/* One account's tree of Maildirs: where folders and files are called what, delivery, scan. The tree is
 * a projection of the store (M4): nothing here is fsynced file by file, and everything can be made
 * again. Nothing here deletes what the caller has not named.
 *
 * Names: a mailbox is known by its decoded UTF-8 name and its hierarchy delimiter; a folder is a
 * path below the root, made once by maildir_folder_name and then stored beside the mailbox. */
#ifndef MAILDIR_MAILDIR_H
#define MAILDIR_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum maildir_layout {
	MAILDIR_NESTED, /* a/b/{cur,new,tmp}; UTF-8; INBOX is the folder INBOX */
	MAILDIR_PLUS,   /* .a.b/{cur,new,tmp}; modified UTF-7; INBOX is the root */
};

/* Folder names */

/* The folder of a mailbox, injective for a given delimiter and layout, and safe whatever the name
 * (L4): no "..", no empty part, no control character, none too long for the file system. In a part
 * these are written %XX: '%', '/' (where it is not the delimiter), control characters, octets that
 * are not UTF-8, a leading dot (maildir++: every dot), and the first letter of what has a meaning of
 * its own: nested: cur, new, tmp, and a top part that is INBOX in another case; maildir++: that,
 * and a top part that begins with "mailtide" (the root holds .mailtide). An empty part is "%_".
 * A part over 200 octets is cut and ends in "%~" and a hash of the name up to there, so that a
 * child stays below its parent; a folder over 900 octets (maildir++: 240) is "%~" and a hash.
 * INBOX in any case is "INBOX" (nested) or "" (maildir++). delimiter 0: a flat name.
 * False only for an empty name. */
bool maildir_folder_name(enum maildir_layout layout, const char *mailbox, char delimiter,
	struct buf *out);
/* The inverse, for a folder found on disk; false, with *out unchanged, where no mailbox would have
 * it, or its name was cut. */
bool maildir_mailbox_name(enum maildir_layout layout, const char *folder, char delimiter,
	struct buf *out);
/* For a tree of folders: 0 where a file system that ignores case would take them for one. */
int maildir_folder_compare(const char *a, const char *b);
/* The same folder, ended by "%~N" (n >= 2), for mailboxes that would collide on a file system that
 * ignores case, or by canonical equivalence. No mailbox has such a folder by itself. */
void maildir_folder_alternative(enum maildir_layout layout, const char *folder, unsigned n,
	struct buf *out);

/* The root */

struct maildir;
/* Opens the root. MAILDIR/.mailtide, "mailtide-maildir 1 STOREID LAYOUT\n", says whose it is: a
 * non-empty root without it, or with another id or layout, is ERR_USER (78) with a text that says
 * how to go on. `create`: makes a missing root, and takes an empty one; without it both are ERR_USER
 * (M5), as is a root that is a file or not writable. A symbolic link to a folder is fine. */
struct maildir *maildir_open(const char *root, enum maildir_layout layout, const char *store_id,
	bool create, struct err *err);
void maildir_close(struct maildir *m);
/* One syncfs(2) of the root's file system: everything delivered so far is durable. */
int maildir_sync(struct maildir *m, struct err *err);
const char *maildir_root(const struct maildir *m);

/* Makes folder/{cur,new,tmp} where they are missing; cheap when called again (remembered). In the
 * maildir++ layout subfolders get the file "maildirfolder". */
int maildir_folder_make(struct maildir *m, const char *folder, struct err *err);
/* Whether it is there, by its cur. */
bool maildir_folder_exists(struct maildir *m, const char *folder);
/* Moves cur, new and tmp; folders below it, and what else lies there, stay. Never overwrites. Made again after
 * a crash it finishes. Not for the root. 0 done (also where there was nothing to move), 2 `to` is taken, -1. */
int maildir_folder_move(struct maildir *m, const char *from, const char *to, struct err *err);
/* Removes cur, new and tmp where they are empty, and then the folder and those above it, unless anything
 * else lies in them. 0 they are gone, 1 something is in them, -1. */
int maildir_folder_remove(struct maildir *m, const char *folder, struct err *err);

/* File names */

/* A base name that is unique on this host for all time: TIME.mNUMBER_STOREID.HOST,S=SIZE */
void maildir_base_name(int64_t time, uint64_t number, const char *store_id, uint64_t file_size,
	struct buf *out);

/* What a message's file is called: folder, "cur" or "new", base name, and in cur ":2," with
 * letters. */
struct maildir_name {
	const char *folder;
	const char *base;
	const char *letters; /* ascending; as found, where it was found */
	bool is_new;         /* in new/, without info part */
	bool no_info;        /* in cur/, but without info part, as some programs leave it */
};
/* "folder/cur/base:2,FS" below the root. */
void maildir_path(const struct maildir_name *name, struct buf *out);
/* Splits a file name at its last ":2,"; letters may be empty; a name without info has info = false.
 * An odd info part (":1,", ":3", ":2,S,extra", over 31 letters) belongs to the base. */
void maildir_split(struct slice file_name, struct slice *base, struct slice *letters, bool *info);

/* Delivery */

struct maildir_stat {
	uint64_t device, inode, size;
	int64_t mtime_ns;
};

/* A file under way. It lies in the tmp folder of the INBOX, whatever its folder will be, which may
 * not be known yet: programs that read mail leave files in a Maildir's tmp alone, while a tmp folder
 * of our own in the root would be indexed (notmuch) or listed as a mailbox. Ours are named
 * "mailtide-..." there. Up to 128 KB are held in memory and written at once. */
struct maildir_file;
struct maildir_file *maildir_file_new(struct maildir *m, struct err *err);
int maildir_file_write(struct maildir_file *f, const void *data, size_t len, struct err *err);
/* Sets the file's time to `time`, closes, gives it the name `tmp_name` (no '/'), under which
 * maildir_place finds it; an older file of that name is replaced. Fills *st (may be NULL), which stays
 * true when the file is placed. Not durable. The object is only good to be freed then. */
int maildir_file_finish(struct maildir_file *f, const char *tmp_name, int64_t time,
	struct maildir_stat *st, struct err *err);
/* Frees; a file that was not finished is unlinked. Accepts NULL. */
void maildir_file_free(struct maildir_file *f);

/* Renames tmp_name to its place, whose folder is made where it is missing. Never overwrites. 0
 * done, 1 there was no such tmp file (and the caller looks whether the message is in its place
 * already), 2 there is a file in its place, -1 failed. Fills *st where not NULL. */
int maildir_place(struct maildir *m, const char *tmp_name, const struct maildir_name *to,
	struct maildir_stat *st, struct err *err);
/* Unlinks every file of ours in the tmp folder that `keep` (may be NULL) does not want.
 * For the start of a run, after the projection list was finished. */
void maildir_sweep_tmp(struct maildir *m, bool (*keep)(void *arg, const char *tmp_name), void *arg);

/* Changing files. 0 done, 1 the file is not there under the name `from`, 2 there is one under the name
 * `to` (a synchronized or restored tree may hold both), -1 failed. A rename never overwrites, and makes the folder of `to` where it is missing. */
int maildir_rename(struct maildir *m, const struct maildir_name *from,
	const struct maildir_name *to, struct err *err);
int maildir_unlink(struct maildir *m, const struct maildir_name *name, struct err *err);
/* 0 there, 1 not there. */
int maildir_stat(struct maildir *m, const struct maildir_name *name, struct maildir_stat *st,
	struct err *err);
/* Reads a file's content piece by piece (at most 64 KB each) into `piece`; 0, 1 not there, -1. */
int maildir_read(struct maildir *m, const struct maildir_name *name,
	void (*piece)(void *arg, const void *data, size_t len), void *arg, struct err *err);

/* Scan */

/* What a folder holds. Sorted by base name. Read again until the folder's times stand still, because
 * readdir may skip a file that another process renames meanwhile (Q90, Q91); files without a proper
 * name (dot files, folders) are left out. */
struct maildir_entry {
	const char *base;
	char letters[32]; /* as they stand in the name */
	bool is_new;
	bool no_info;
};
struct maildir_scan {
	struct maildir_entry *entries;
	size_t count;
	struct buf names; /* backs `base` */
	uint64_t stamp;   /* maildir_stamp of what was read, 0 where it cannot be told */
};
/* Two stat calls (M3): a value that stays the same as long as no file comes, goes or is renamed in
 * the folder. 0 where that cannot be promised (a change in this same tick of the clock would not
 * show, Q91; no such folder): two stamps that are equal and not 0 prove that a scan would find
 * nothing new. */
uint64_t maildir_stamp(struct maildir *m, const char *folder);
/* A missing folder is empty; -1 only where it cannot be read, or does not stand still (ERR_RETRY).
 * May wait some milliseconds. */
int maildir_scan(struct maildir *m, const char *folder, struct maildir_scan *out, struct err *err);
/* NULL where there is none. Where two files share a base name (a crash, a copy) the first by cur
 * before new. */
const struct maildir_entry *maildir_scan_find(const struct maildir_scan *s, const char *base);
void maildir_scan_release(struct maildir_scan *s);

#endif
