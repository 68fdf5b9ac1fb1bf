/* mailtide fetch: bodies now, whatever the rules say. The wish goes through the queue, so that it
 * is not lost without a network; where the account is free, a pass over these mailboxes follows. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "pass.h"
#include "queue.h"

struct fetching {
	struct actions q;
	struct conf *conf;
	/* One for each mailbox; several where one line does not hold them. */
	struct queue_action *actions;
	uint32_t *mailboxes; /* of each */
	size_t count;
	uint64_t here; /* named, and there is nothing to fetch */
};

static struct queue_action *action_of(struct fetching *f, const struct store_mailbox *box)
{
	for (size_t i = f->count; i-- > 0;)
		if (f->mailboxes[i] == box->id && f->actions[i].message_count < QUEUE_MESSAGES_MAX)
			return &f->actions[i];
	f->actions = mem_grow(f->actions, f->count + 1, sizeof *f->actions);
	f->mailboxes = mem_grow(f->mailboxes, f->count + 1, sizeof *f->mailboxes);
	f->mailboxes[f->count] = box->id;
	queue_action_init(&f->actions[f->count], QUEUE_FETCH, box->name);
	return &f->actions[f->count++];
}

static void want(struct fetching *f, const struct store_mailbox *box, const struct store_message *m)
{
	struct queue_message named = { m->number, m->uid, m->uid ? box->uidvalidity : 0, 0 };

	if (m->body)
		f->here++;
	else
		queue_action_add_message(action_of(f, box), &named);
}

/* mN,mN */

static int want_number(struct fetching *f, uint64_t number, struct err *err)
{
	struct store_message m;
	struct store_mailbox box;
	int rc = 0;

	store_message_init(&m);
	if (!store_message_get(f->q.store, number, &m) || !store_mailbox_get(f->q.store, m.mailbox, &box)) {
		rc = err_set(err, ERR_USER, ERR_MESSAGE, "there is no message m%llu; \"mailtide ls %s "
			"MAILBOX\" shows their numbers", (unsigned long long)number, f->q.account->name);
	} else {
		want(f, &box, &m);
		store_mailbox_release(&box);
	}
	store_message_release(&m);
	return rc;
}

static bool is_number(const char *text, size_t len)
{
	return len > 1 && len < 20 && text[0] == 'm' && text[1] != '0' &&
		strspn(text + 1, "0123456789") >= len - 1;
}

/* All of the word are local numbers. */
static bool are_numbers(const char *word)
{
	for (;;) {
		size_t len = strcspn(word, ",");
		if (!is_number(word, len))
			return false;
		if (!word[len])
			return true;
		word += len + 1;
	}
}

static int want_numbers(struct fetching *f, const char *word, struct err *err)
{
	for (; *word; word += strcspn(word, ","), word += *word == ',')
		if (want_number(f, strtoull(word + 1, NULL, 10), err) < 0)
			return -1;
	return 0;
}

/* MAILBOX:UIDSET */

static int want_named(struct fetching *f, const struct queue_action *named, struct err *err)
{
	struct store_mailbox box;
	struct store_message m;

	if (!store_mailbox_find(f->q.store, named->mailbox, &box))
		return err_set(err, ERR_USER, ERR_MESSAGE, "\"%.200s\" is not on the server yet, and "
			"what is in it is here", named->mailbox);
	store_message_init(&m);
	for (size_t i = 0; i < named->message_count; i++)
		if (store_message_get(f->q.store, named->messages[i].number, &m))
			want(f, &box, &m);
	store_message_release(&m);
	store_mailbox_release(&box);
	return 0;
}

static bool is_known(const struct fetching *f, const char *name)
{
	struct store_mailbox box;

	if (!known_mailbox(&f->q, queue_usual_name(name), &box))
		return false;
	store_mailbox_release(&box);
	return true;
}

/* A colon may stand in the name, and in the set: the first that leaves a mailbox before it and a set
 * behind it. NULL: there is none. */
static char *split_word(const struct fetching *f, const char *word, const char **set)
{
	char *first = NULL;

	for (const char *colon = strchr(word, ':'); colon; colon = strchr(colon + 1, ':')) {
		char *name;
		if (!colon[1] || colon[1 + strspn(colon + 1, "0123456789:,*")])
			continue;
		name = mem_copy_slice((struct slice){ word, (size_t)(colon - word) });
		if (is_known(f, name)) {
			free(first);
			*set = colon + 1;
			return name;
		}
		if (!first)
			*set = colon + 1;
		first = first ? (free(name), first) : name;
	}
	return first;
}

static int want_set(struct fetching *f, const char *word, struct err *err)
{
	struct queue_action named;
	const char *set = NULL;
	char *name = split_word(f, word, &set);
	int rc;

	if (!name)
		return err_set(err, ERR_USER, ERR_MESSAGE, "\"%.200s\" is neither local numbers (m4711) nor "
			"UIDs of a mailbox (INBOX:7,9)", word);
	queue_action_init(&named, QUEUE_FETCH, queue_usual_name(name));
	rc = which_resolve(&f->q, set, &named, err);
	if (rc == 0)
		rc = queue_check(&f->q, &named, err);
	if (rc == 0)
		rc = want_named(f, &named, err);
	queue_action_release(&named);
	free(name);
	return rc;
}

/* --flagged */

static void want_flagged_of(struct fetching *f, const struct store_mailbox *box)
{
	struct store_message m;

	store_message_init(&m);
	for (uint32_t uid = 0; store_message_next(f->q.store, box->id, uid, &m);) {
		uid = m.uid;
		if ((m.flags.system | (m.state & STORE_SHOWN ? m.shown.system : 0)) & MAIL_FLAGGED)
			want(f, box, &m);
	}
	store_message_release(&m);
}

static void want_flagged(struct fetching *f)
{
	struct store_mailbox box;

	for (uint32_t id = 0; store_mailbox_next(f->q.store, id, &box);) {
		id = box.id;
		if (!(box.state & (STORE_MAILBOX_GONE | STORE_MAILBOX_NOSELECT)))
			want_flagged_of(f, &box);
		store_mailbox_release(&box);
	}
}

/* The run */

static int choose(struct fetching *f, const struct cmd *cmd, struct err *err)
{
	bool flagged = cmd_has(cmd, "--flagged");

	if (flagged == (cmd->word_count > 1))
		return err_set(err, ERR_USER, ERR_MESSAGE, flagged ?
			"--flagged names the messages already" :
			"fetch needs messages: mN..., MAILBOX:UIDSET... or --flagged");
	if (flagged)
		want_flagged(f);
	for (size_t i = 1; i < cmd->word_count; i++) {
		const char *word = cmd->words[i];
		if ((are_numbers(word) ? want_numbers(f, word, err) : want_set(f, word, err)) < 0)
			return -1;
	}
	for (size_t i = 0; i < f->count; i++)
		which_sort(&f->actions[i]);
	return 0;
}

static bool is_among(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Over the mailboxes of the actions, each once. */
static int run_pass(const struct fetching *f)
{
	struct pass_target target = { .account = f->q.account };
	struct pass_options options = { .targets = &target, .target_count = 1, .no_push = true,
		.command = "fetch" };
	int status;

	target.mailboxes = mem_new(f->count * sizeof *target.mailboxes);
	for (size_t i = 0; i < f->count; i++)
		if (!is_among(target.mailboxes, target.mailbox_count, f->actions[i].mailbox))
			target.mailboxes[target.mailbox_count++] = f->actions[i].mailbox;
	status = pass_run(&options);
	free(target.mailboxes);
	return status;
}

static int run(struct fetching *f, const struct cmd *cmd)
{
	struct err err = { 0 };
	int taken_up = 0, status;

	if (actions_are_foreign(&f->q)) {
		output_error(f->q.account->name, NULL, "the queue holds actions of another store; "
			"\"mailtide queue retry %s\" takes them over first", f->q.account->name);
		return CMD_USAGE;
	}
	if (choose(f, cmd, &err) < 0)
		return actions_refuse(&f->q, &err);
	if (f->count == 0) {
		output_line(f->here > 0 ? "%s: nothing to fetch, all of it is here" :
			"%s: nothing to fetch", f->q.account->name);
		return CMD_DONE;
	}
	status = actions_accept(&f->q, f->actions, f->count, false, &taken_up);
	if (status != CMD_DONE)
		return status;
	if (taken_up <= 0)
		return run_pass(f);
	output_note(SYNC_WARNING, f->q.account->name, NULL,
		"another mailtide works on this account; it will bring them");
	return CMD_DONE;
}

int cmd_fetch(const struct cmd *cmd)
{
	struct fetching f = { .count = 0 };
	int status = CMD_USAGE;
	const struct conf_account *account;

	f.conf = cmd_conf(cmd, &status);
	account = f.conf ? cmd_account(f.conf, cmd->words[0]) : NULL;
	if (account && actions_open(&f.q, account, false, &status) == 0) {
		status = run(&f, cmd);
		actions_close(&f.q);
	}
	for (size_t i = 0; i < f.count; i++)
		queue_action_release(&f.actions[i]);
	free(f.actions);
	free(f.mailboxes);
	conf_free(f.conf);
	return status;
}
