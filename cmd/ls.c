/* mailtide ls: mailboxes, or the messages of one, out of the store. Message by message: a million
 * of them take no memory, and a reader that went away (head) ends it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd.h"
#include "output.h"
#include "maildir/maildir.h"
#include "queue/queue.h"
#include "store/store.h"
#include "sync/sync.h"

struct listing {
	const struct conf_account *account;
	struct store *store;
	char *root;                  /* of the Maildir, absolute */
	struct store_mailbox folder; /* of the last message's file; id 0: none yet */
	struct buf line, flags, path;
};

static char *absolute(const char *path)
{
	char *here, *joined;

	if (path[0] == '/' || !(here = getcwd(NULL, 0)))
		return mem_copy(path);
	joined = file_join(here, path);
	free(here);
	return joined;
}

static void add_field(struct buf *line, const char *text)
{
	buf_add_char(line, '\t');
	output_visible(line, slice_of(text));
}

/* Mailboxes */

static void list_mailbox_object(const struct listing *l, const struct store_mailbox *box,
	const struct store_counts *n)
{
	json_t *o = output_object_new("mailbox");

	json_object_set_new(o, "account", output_text(l->account->name));
	json_object_set_new(o, "name", output_text(box->name));
	json_object_set_new(o, "messages", output_number(n->messages));
	json_object_set_new(o, "unseen", output_number(n->unseen));
	json_object_set_new(o, "waiting", output_number(n->owed));
	json_object_set_new(o, "waiting_octets", output_number(n->owed_octets));
	json_object_set_new(o, "folder", output_text(box->folder));
	json_object_set_new(o, "gone", json_boolean(box->state & STORE_MAILBOX_GONE));
	output_object(o);
}

static void list_mailbox(struct listing *l, const struct store_mailbox *box)
{
	struct store_counts n = store_mailbox_counts(l->store, box->id);

	if (output_is_json()) {
		list_mailbox_object(l, box, &n);
		return;
	}
	buf_clear(&l->line);
	output_visible(&l->line, slice_of(box->name));
	buf_addf(&l->line, "\t%llu\t%llu\t%llu", (unsigned long long)n.messages,
		(unsigned long long)n.unseen, (unsigned long long)n.owed);
	add_field(&l->line, box->folder);
	output_line("%s", buf_str(&l->line));
}

static int list_mailboxes(struct listing *l)
{
	struct store_mailbox box;

	for (uint32_t id = 0; !output_is_closed() && store_mailbox_next(l->store, id, &box);) {
		id = box.id;
		if (!(box.state & STORE_MAILBOX_NOSELECT))
			list_mailbox(l, &box);
		store_mailbox_release(&box);
	}
	return CMD_DONE;
}

/* Messages */

/* Where the Maildir was made to hold it; "" where it does not. */
static void shown_path(struct listing *l, const struct store_message *m)
{
	struct maildir_name name;
	char letters[8];

	buf_clear(&l->path);
	if (!(m->state & STORE_SHOWN) || !m->base)
		return;
	if (l->folder.id != m->shown_mailbox) {
		store_mailbox_release(&l->folder);
		l->folder = (struct store_mailbox){ 0 };
		if (!store_mailbox_get(l->store, m->shown_mailbox, &l->folder))
			return;
	}
	mail_flags_letters(m->shown.system, letters);
	name = (struct maildir_name){ l->folder.folder, m->base, letters, m->state & STORE_SHOWN_NEW,
		false };
	buf_add_str(&l->path, l->root);
	buf_add_char(&l->path, '/');
	maildir_path(&name, &l->path);
}

/* Where a queued move has put it only here, the server has no number for it yet. */
static uint32_t uid_in(const struct store_message *m, const struct store_mailbox *box)
{
	return m->mailbox == box->id ? m->uid : 0;
}

static void list_message_object(struct listing *l, const struct store_mailbox *box,
	const struct store_message *m, const char *number, const char *date)
{
	json_t *o = output_object_new("message");

	json_object_set_new(o, "pending", json_boolean(store_is_pending(l->store, m->number)));
	json_object_set_new(o, "account", output_text(l->account->name));
	json_object_set_new(o, "mailbox", output_text(box->name));
	json_object_set_new(o, "number", output_text(number));
	json_object_set_new(o, "uid", output_number(uid_in(m, box)));
	json_object_set_new(o, "flags", output_text(buf_str(&l->flags)));
	json_object_set_new(o, "size", output_number(m->size));
	json_object_set_new(o, "date", output_text(date));
	json_object_set_new(o, "path", output_text(l->path.len ? buf_str(&l->path) : NULL));
	output_object(o);
}

static void list_message(struct listing *l, const struct store_mailbox *box,
	const struct store_message *m, const struct mail_flags *flags)
{
	char number[24], date[32];

	snprintf(number, sizeof number, "m%llu", (unsigned long long)m->number);
	output_time(m->date, date);
	buf_clear(&l->flags);
	mail_flags_print(flags, &l->flags);
	shown_path(l, m);
	if (output_is_json()) {
		list_message_object(l, box, m, number, date);
		return;
	}
	buf_clear(&l->line);
	buf_addf(&l->line, "%s\t%lu", number, (unsigned long)uid_in(m, box));
	add_field(&l->line, buf_str(&l->flags));
	buf_addf(&l->line, "\t%llu\t%s", (unsigned long long)m->size, date);
	add_field(&l->line, buf_str(&l->path));
	output_line("%s", buf_str(&l->line));
}

static int unknown_mailbox(struct listing *l, const char *name)
{
	output_error(l->account->name, NULL, "no mailbox \"%s\" is known%s", name,
		similar_mailbox(l->store, name, l->account->name));
	return CMD_USAGE;
}

/* What a message is with the actions that wait for the server: that is what the user knows of. */
static void list_if_shown(struct listing *l, const struct store_mailbox *box, const struct store_message *m)
{
	struct shown w;

	shown_init(&w);
	show_wanted(l->store, m, &w);
	if (w.visible && w.mailbox == box->id)
		list_message(l, box, m, &w.flags);
	shown_release(&w);
}

/* A message may be moved in more than once: its last action counts. */
static bool is_last_move(struct listing *l, uint64_t message, uint64_t action)
{
	struct store_action a;
	bool last = true;

	store_action_init(&a);
	while (last && store_pending_next(l->store, message, action, &action))
		last = !(store_action_get(l->store, action, &a) && a.verb == QUEUE_MOVE);
	store_action_release(&a);
	return last;
}

static void list_moved_in(struct listing *l, const struct store_mailbox *box)
{
	struct store_action a;
	struct store_message m;

	store_action_init(&a);
	store_message_init(&m);
	for (uint64_t at = 0; !output_is_closed() && store_action_next(l->store, at, &a); at = a.number) {
		struct store_part part = { 0 };
		if (a.verb != QUEUE_MOVE || a.to != box->id)
			continue;
		while (store_part_next(l->store, a.number, part.message, &part))
			if (!(part.state & STORE_PART_FAILED) && is_last_move(l, part.message, a.number) &&
				store_message_get(l->store, part.message, &m) && m.mailbox != box->id)
				list_if_shown(l, box, &m);
	}
	store_message_release(&m);
	store_action_release(&a);
}

static int list_messages(struct listing *l, const char *name)
{
	struct store_mailbox box;
	struct store_each at = { 0 };
	struct store_message m;

	if (!store_mailbox_find(l->store, name, &box))
		return unknown_mailbox(l, name);
	store_message_init(&m);
	while (!output_is_closed() && store_message_each(l->store, box.id, &at, &m))
		list_if_shown(l, &box, &m);
	list_moved_in(l, &box);
	store_message_release(&m);
	store_mailbox_release(&box);
	return CMD_DONE;
}

static int list(const struct cmd *cmd, const struct conf_account *account)
{
	struct listing l = { .account = account };
	int status = CMD_DONE;
	bool never;

	l.store = cmd_store(account, &never, &status);
	if (never) {
		output_error(account->name, NULL, "never synced yet; \"mailtide sync %s\" does it",
			account->name);
		return CMD_PARTLY;
	}
	if (!l.store)
		return status;
	l.root = absolute(account->maildir);
	buf_init(&l.line, 0);
	buf_init(&l.flags, 0);
	buf_init(&l.path, 0);
	status = cmd->word_count > 1 ? list_messages(&l, cmd->words[1]) : list_mailboxes(&l);
	buf_release(&l.line);
	buf_release(&l.flags);
	buf_release(&l.path);
	store_mailbox_release(&l.folder);
	free(l.root);
	store_close(l.store);
	return status;
}

int cmd_ls(const struct cmd *cmd)
{
	int status = CMD_USAGE;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account *account = conf ? cmd_account(conf, cmd->words[0]) : NULL;

	if (account)
		status = list(cmd, account);
	conf_free(conf);
	return status;
}
