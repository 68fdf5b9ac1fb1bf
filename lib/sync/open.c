/* Open: what a run needs before the network: the lock, the store, the Maildir, and what an earlier
 * run left undone. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "sync/private.h"

static int take_lock(struct sync *s, struct err *err)
{
	char *path;
	bool held = false;
	struct buf holder;

	if (file_mkdirs(s->account->state, 0700, err) < 0)
		return -1;
	path = file_join(s->account->state, "lock");
	buf_init(&holder, 200);
	s->lock_fd = file_lock(path, s->options.command, &held, &holder, err);
	free(path);
	if (s->lock_fd < 0 && held) {
		while (holder.len && holder.data[holder.len - 1] == '\n')
			buf_truncate(&holder, holder.len - 1);
		err_set(err, ERR_RETRY, ERR_ACCOUNT,
			"another mailtide works on this account%s%s%s; try again when it is done",
			holder.len ? " (process " : "", buf_str(&holder), holder.len ? ")" : "");
	}
	buf_release(&holder);
	return s->lock_fd >= 0 ? 0 : held ? 1 : -1;
}

enum maildir_layout local_layout(const struct conf_account *a)
{
	return a->layout == CONF_MAILDIR_PLUS ? MAILDIR_PLUS : MAILDIR_NESTED;
}

/* A dry run on a machine that has nothing yet: a store that is thrown away. */
static struct store *open_nowhere(struct sync *s, struct err *err)
{
	char path[] = "/tmp/mailtide-XXXXXX";

	if (!mkdtemp(path)) {
		err_set(err, ERR_RETRY, ERR_ACCOUNT, "cannot make a folder in /tmp");
		return NULL;
	}
	s->scratch = mem_copy(path);
	return store_open(path, true, false, NULL, err);
}

static int open_store(struct sync *s, struct err *err)
{
	bool missing = false, dry = s->options.dry_run;

	s->store = store_open(s->account->state, !dry, false, &missing, err);
	if (!s->store && dry && missing)
		s->store = open_nowhere(s, err);
	if (!s->store)
		return -1;
	facts_load(s);
	return 0;
}

/* M5: a root that was there and is gone, or is an empty mount point now, is not the user's wish to have
 * everything written anew, nor an empty mailbox: it stops the run. Only `check --repair` makes it again. */
static int open_maildir(struct sync *s, struct err *err)
{
	struct buf made;
	bool known;

	buf_init(&made, 0);
	known = store_get(s->store, "maildir.made", &made) && !s->options.remake;
	buf_release(&made);
	s->maildir = maildir_open(s->account->maildir, local_layout(s->account), store_id(s->store), !known,
		err);
	if (!s->maildir && known)
		err_prefix(err, "nothing was done (`mailtide check --repair %s` writes a Maildir that is gone again)",
			s->account->name);
	if (!s->maildir || known)
		return s->maildir ? 0 : -1;
	if (store_begin(s->store, err) < 0)
		return -1;
	store_put(s->store, "maildir.made", slice_of("1"));
	return project_commit(s->store, err);
}

static bool still_needed(void *arg, const char *tmp_name)
{
	return store_projection_names(arg, tmp_name);
}

int open_local(struct sync *s, struct err *err)
{
	int rc = take_lock(s, err);

	if (rc != 0)
		return rc;
	if (open_store(s, err) < 0)
		return -1;
	if (s->options.dry_run)
		return 0;
	if (open_maildir(s, err) < 0)
		return -1;
	if (moves_finish(s->store, s->maildir, err) < 0 || project_finish(s->store, s->maildir, err) < 0 ||
		boot_check(s->store, s->maildir, &s->run, err) < 0)
		return -1;
	maildir_sweep_tmp(s->maildir, still_needed, s->store);
	s->queue = queue_open(s->account->state, store_id(s->store), false, err);
	return s->queue ? 0 : -1;
}

static void remove_scratch(struct sync *s)
{
	static const char *const names[] = { "store/data.mdb", "store/lock.mdb", "store", "" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *path = file_join(s->scratch, names[i]);
		remove(path);
		free(path);
	}
	free(s->scratch);
	s->scratch = NULL;
}

void close_local(struct sync *s)
{
	queue_close(s->queue);
	maildir_close(s->maildir);
	store_close(s->store);
	s->queue = NULL;
	s->maildir = NULL;
	s->store = NULL;
	if (s->scratch)
		remove_scratch(s);
	if (s->lock_fd >= 0)
		file_unlock(s->lock_fd);
	s->lock_fd = -1;
}
