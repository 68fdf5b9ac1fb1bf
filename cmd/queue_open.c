/* An account's queue: opened, appended to, and taken up into the store. */
#include "queue.h"

#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "sync/sync.h"

int actions_refuse(const struct actions *q, const struct err *err)
{
	output_error(q->account->name, NULL, "%s", err->text);
	if (err->cls == ERR_USER && err->scope == ERR_MESSAGE)
		return CMD_USAGE;
	return err_exit_status(err);
}

/* The hierarchy's; a mailbox without children may tell none. */
static char find_delimiter(struct store *store)
{
	struct store_mailbox box;
	char delimiter = 0;

	for (uint32_t id = 0; !delimiter && store_mailbox_next(store, id, &box);) {
		id = box.id;
		delimiter = box.delimiter;
		store_mailbox_release(&box);
	}
	return delimiter;
}

static int open_queue(struct actions *q, bool read_only, struct err *err)
{
	q->queue = queue_open(q->account->state, q->store ? store_id(q->store) : "", read_only, err);
	if (!q->queue)
		return -1;
	if (!q->store)
		return 0;
	q->folded = sync_folded(q->store);
	q->delimiter = find_delimiter(q->store);
	queue_used(q->queue, q->folded);
	return read_only ? 0 : known_read(q, err);
}

int actions_open(struct actions *q, const struct conf_account *account, bool read_only,
	int *exit_status)
{
	struct err err = { 0 };
	bool never;

	*q = (struct actions){ .account = account };
	q->store = cmd_store(account, &never, exit_status);
	if (!q->store && !never)
		return -1;
	if (!q->store && !read_only) {
		output_error(account->name, NULL,
			"never synced yet, so that nothing is known to act on; \"mailtide sync %s\" first",
			account->name);
		*exit_status = CMD_USAGE;
		return -1;
	}
	if (open_queue(q, read_only, &err) == 0)
		return 0;
	*exit_status = actions_refuse(q, &err);
	actions_close(q);
	return -1;
}

void actions_close(struct actions *q)
{
	known_release(q);
	queue_close(q->queue);
	store_close(q->store);
	q->queue = NULL;
	q->store = NULL;
}

bool actions_are_foreign(const struct actions *q)
{
	const char *of = queue_store_id(q->queue);

	return of[0] && (!q->store || strcmp(of, store_id(q->store)) != 0);
}

/* The lines were made for another store: that is noted before they are taken over, so that none of their local
 * numbers is believed. */
int actions_note_foreign(struct actions *q, struct err *err)
{
	const struct conf_account *account = q->account;
	int status, rc;

	actions_close(q); /* as below */
	rc = sync_fold(account, "queue", NULL, NULL, err);
	if (rc > 0)
		err_set(err, ERR_RETRY, ERR_ACCOUNT, "another mailtide works on this account; try again when it is done");
	if (actions_open(q, account, false, &status) < 0 && rc == 0)
		rc = err_set(err, ERR_RETRY, ERR_ACCOUNT, "the queue cannot be opened again");
	return rc;
}

static void on_note(void *arg, enum sync_note kind, const char *mailbox, const char *text)
{
	const struct actions *q = arg;

	output_note(kind, q->account->name, mailbox, text);
}

/* The store is closed before: LMDB does not open one twice in a process. */
int actions_take_up(struct actions *q, int *taken_up)
{
	struct err err = { 0 };
	int rc;

	actions_close(q);
	rc = sync_fold(q->account, "queue", on_note, q, &err);
	if (taken_up)
		*taken_up = rc;
	if (rc > 0 && !taken_up)
		output_note(SYNC_INFO, q->account->name, NULL,
			"accepted; another mailtide works on this account and takes it up");
	if (rc < 0) {
		char text[sizeof err.text + 80];
		snprintf(text, sizeof text, "accepted, but it does not show yet: %s", err.text);
		output_note(SYNC_WARNING, q->account->name, NULL, text);
	}
	return CMD_DONE;
}

static void tell_number(const struct actions *q, const struct queue_action *a)
{
	json_t *o = output_object_new("queued");

	json_object_set_new(o, "account", output_text(q->account->name));
	json_object_set_new(o, "number", output_number(a->number));
	output_object(o);
	output_line("%llu", (unsigned long long)a->number);
}

int actions_accepted(struct actions *q, const struct queue_action *actions, size_t count, bool tell,
	int *taken_up)
{
	for (size_t i = 0; tell && i < count; i++)
		if (actions[i].verb != QUEUE_RETRY && actions[i].verb != QUEUE_DROP)
			tell_number(q, &actions[i]);
	output_flush();
	return actions_take_up(q, taken_up);
}

int actions_accept(struct actions *q, struct queue_action *actions, size_t count, bool tell,
	int *taken_up)
{
	struct err err = { 0 };

	if (queue_append(q->queue, actions, count, &err) < 0)
		return actions_refuse(q, &err);
	return actions_accepted(q, actions, count, tell, taken_up);
}
