/* Moves: Maildir folders that get other names because their mailboxes did (L5).
 *
 *   note   the transaction that changes the records writes the list of moves as a fact
 *   do     folder after folder; each move may be made twice
 *   agree  the file system is told to be durable, then the list is struck off
 *
 * A crash anywhere between leaves the list, and the next run finishes it before it looks at any file.
 * Swapped names go through a third folder, so a folder may be left by one move and be taken by a later
 * one. Repeating the first would then move the wrong mail; so what comes before is struck off first. */
#include <stdlib.h>

#include "base/point.h"
#include "sync/private.h"

#define FACT "sync.moves"

void moves_add(struct buf *list, const char *from, const char *to)
{
	buf_addf(list, "%s\t%s\n", from, to); /* no folder has a control character in it (L4) */
}

void moves_note(struct store *store, const struct buf *list)
{
	store_put(store, FACT, buf_slice(list));
}

/* Is there a line from..at whose folder is left by it? */
static bool was_left(const char *from, const char *at, const char *folder)
{
	size_t len = strlen(folder);

	for (; from < at; from = strchr(from, '\n') + 1)
		if (strncmp(from, folder, len) == 0 && from[len] == '\t')
			return true;
	return false;
}

static int agree(struct store *store, struct maildir *maildir, const char *rest, struct err *err)
{
	if (maildir_sync(maildir, err) < 0 || store_begin(store, err) < 0)
		return -1;
	store_put(store, FACT, slice_of(rest));
	if (project_commit(store, err) < 0)
		return -1;
	point("sync.move-agreed");
	return 0;
}

static int move_one(struct maildir *maildir, const char *from, const char *to, struct err *err)
{
	int rc = maildir_folder_move(maildir, from, to, err);

	if (rc == 2)
		err_set(err, ERR_USER, ERR_MAILBOX,
			"the folder \"%s\" should get the name \"%s\", as its mailbox did, but there is such a folder by "
			"now: move that one away, it is none of mailtide's", from, to);
	point("sync.folder-moved");
	return rc == 0 ? 0 : -1;
}

int moves_finish(struct store *store, struct maildir *maildir, struct err *err)
{
	struct buf list;
	const char *begun, *line;
	char *text;
	int rc = 0;

	buf_init(&list, 0);
	if (!store_get(store, FACT, &list) || list.len == 0) {
		buf_release(&list);
		return 0;
	}
	begun = line = text = buf_take(&list);
	while (rc == 0 && *line) {
		const char *tab = strchr(line, '\t'), *end = strchr(line, '\n');
		INVARIANT(tab && end && tab < end);
		char *from = mem_copy_slice((struct slice){ line, (size_t)(tab - line) });
		char *to = mem_copy_slice((struct slice){ tab + 1, (size_t)(end - tab - 1) });
		if (was_left(begun, line, to)) {
			rc = agree(store, maildir, line, err);
			begun = line;
		} else {
			rc = move_one(maildir, from, to, err);
			line = end + 1;
		}
		free(from);
		free(to);
	}
	if (rc == 0)
		rc = agree(store, maildir, "", err);
	free(text);
	return rc;
}
