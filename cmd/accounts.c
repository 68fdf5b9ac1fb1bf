/* The configuration, and the accounts that a command is about. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "store/store.h"

struct conf *cmd_conf(const struct cmd *cmd, int *exit_status)
{
	char *usual = cmd->conf_path ? NULL : conf_default_path();
	const char *path = cmd->conf_path ? cmd->conf_path : usual;
	struct err err = { 0 };
	struct conf *conf = conf_read(path, &err);

	if (!conf) {
		output_error(NULL, NULL, "%s", err.text);
		*exit_status = err_exit_status(&err);
	}
	free(usual);
	return conf;
}

const struct conf_account *cmd_account(const struct conf *conf, const char *name)
{
	const struct conf_account *account = conf_find(conf, name);
	struct similar similar;

	if (account)
		return account;
	similar_to(&similar, name);
	for (size_t i = 0; i < conf->account_count; i++)
		similar_add(&similar, conf->accounts[i].name);
	output_error(NULL, NULL, "the configuration has no account \"%s\"%s", name,
		similar_text(&similar));
	return NULL;
}

/* NULL: a name is wrong. The caller frees. */
static const struct conf_account **accounts_of(const struct cmd *cmd, const struct conf *conf, size_t *count)
{
	size_t n = cmd->word_count ? cmd->word_count : conf->account_count;
	const struct conf_account **accounts = mem_new(n * sizeof *accounts + 1);

	for (size_t i = 0; i < n; i++) {
		accounts[i] = cmd->word_count ? cmd_account(conf, cmd->words[i]) : &conf->accounts[i];
		if (!accounts[i]) {
			free(accounts);
			return NULL;
		}
	}
	*count = n;
	return accounts;
}

int cmd_each_account(const struct cmd *cmd, int (*run)(const struct cmd *cmd, const struct conf_account *account))
{
	int status = CMD_USAGE;
	size_t count = 0;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account **accounts = conf ? accounts_of(cmd, conf, &count) : NULL;

	if (accounts)
		status = CMD_DONE;
	for (size_t i = 0; i < count; i++) {
		int one = run(cmd, accounts[i]);
		status = one > status ? one : status;
	}
	free(accounts);
	conf_free(conf);
	return status;
}

struct store *cmd_store(const struct conf_account *account, bool *never, int *exit_status)
{
	struct err err = { 0 };
	bool missing = false;
	struct store *store = store_open(account->state, false, true, &missing, &err);

	*never = !store && missing;
	if (!store && !missing) {
		output_error(account->name, NULL, "%s", err.text);
		*exit_status = err_exit_status(&err);
	}
	return store;
}

/* Names live for one turn only, so the best one is kept aside. */
const char *similar_mailbox(struct store *store, const char *wanted, const char *account)
{
	static char text[400];
	struct store_mailbox box;
	struct similar similar;
	char *best = NULL;

	similar_to(&similar, wanted);
	for (uint32_t id = 0; store_mailbox_next(store, id, &box);) {
		const char *before = similar.best;
		id = box.id;
		similar_add(&similar, box.name);
		if (similar.best != before) {
			free(best);
			similar.best = best = mem_copy(box.name);
		}
		store_mailbox_release(&box);
	}
	if (best)
		snprintf(text, sizeof text, "%s", similar_text(&similar));
	else
		snprintf(text, sizeof text, "; \"mailtide ls %.300s\" lists them", account);
	free(best);
	return text;
}
