/* mailtide sync: one pass; which accounts and mailboxes the words name. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "pass.h"

struct words {
	const struct cmd *cmd;
	struct conf *conf;
	struct pass_target *targets;
	bool *whole; /* of each: named without a mailbox, too */
	size_t target_count;
};

static struct pass_target *target_of(struct words *w, const struct conf_account *account)
{
	for (size_t i = 0; i < w->target_count; i++)
		if (w->targets[i].account == account)
			return &w->targets[i];
	struct pass_target *t = &w->targets[w->target_count++];
	t->account = account;
	return t;
}

/* "work" or "work/Lists/dev": account names have no slash in them. */
static int add_word(struct words *w, const char *word)
{
	const char *slash = strchr(word, '/');
	char *name = mem_copy_slice(
		(struct slice){ word, slash ? (size_t)(slash - word) : strlen(word) });
	const struct conf_account *account = cmd_account(w->conf, name);
	struct pass_target *t;

	free(name);
	if (!account)
		return -1;
	if (slash && !slash[1]) {
		output_error(NULL, NULL, "\"%s\" names no mailbox; \"%s\" is the whole account", word,
			account->name);
		return -1;
	}
	t = target_of(w, account);
	if (!slash) {
		w->whole[t - w->targets] = true;
		return 0;
	}
	t->mailboxes = mem_grow(t->mailboxes, t->mailbox_count + 1, sizeof *t->mailboxes);
	t->mailboxes[t->mailbox_count++] = slash + 1;
	return 0;
}

static int add_words(struct words *w)
{
	w->targets = mem_new(w->conf->account_count * sizeof *w->targets);
	w->whole = mem_new(w->conf->account_count * sizeof *w->whole);
	for (size_t i = 0; i < w->cmd->word_count; i++)
		if (add_word(w, w->cmd->words[i]) < 0)
			return -1;
	if (w->cmd->word_count == 0)
		for (size_t i = 0; i < w->conf->account_count; i++)
			target_of(w, &w->conf->accounts[i]);
	for (size_t i = 0; i < w->target_count; i++)
		if (w->whole[i])
			w->targets[i].mailbox_count = 0;
	return 0;
}

/* An account that was named must have the profile; of all accounts, one must. */
static int add_profile(struct words *w, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < w->target_count; i++) {
		struct pass_target *t = &w->targets[i];
		t->profile = conf_profile(t->account, name);
		found = found || t->profile;
		if (!t->profile && w->cmd->word_count > 0) {
			output_error(t->account->name, NULL, "there is no profile \"%s\" in this account",
				name);
			return -1;
		}
	}
	if (!found)
		output_error(NULL, NULL, "no account has a profile \"%s\"", name);
	return found ? 0 : -1;
}

/* --pull and --push together are what is done without them. */
static int run(const struct words *w)
{
	const struct cmd *cmd = w->cmd;
	bool pull = cmd_has(cmd, "--pull"), push = cmd_has(cmd, "--push");
	struct pass_options options = {
		.targets = w->targets,
		.target_count = w->target_count,
		.no_push = pull && !push,
		.no_pull = push && !pull,
		.dry_run = cmd_has(cmd, "--dry-run"),
		.command = "sync",
	};

	return pass_run(&options);
}

int cmd_sync(const struct cmd *cmd)
{
	struct words w = { .cmd = cmd };
	const char *profile = cmd_value(cmd, "--profile");
	int status = CMD_USAGE;

	w.conf = cmd_conf(cmd, &status);
	if (w.conf && add_words(&w) == 0 && (!profile || add_profile(&w, profile) == 0))
		status = run(&w);
	pass_targets_free(w.targets, w.target_count);
	free(w.whole);
	conf_free(w.conf);
	return status;
}
