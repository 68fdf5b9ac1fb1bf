/* mailtide --complete WHAT: words for the completions of the shells, one a line. Never a message:
 * it runs while somebody types. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "queue/queue.h"
#include "store/store.h"

static void print_names(const struct cmd_option *options)
{
	for (; options->name; options++)
		puts(options->name);
}

static void print_commands(void)
{
	for (const struct command *c = commands; c->name; c++)
		printf("%s\t%s\n", c->name, c->summary);
}

static void print_verbs(void)
{
	for (int verb = 0; verb < QUEUE_RETRY; verb++)
		puts(queue_verb_name((enum queue_verb)verb));
}

static void print_mailboxes(const struct conf_account *account)
{
	struct store *store = store_open(account->state, false, true, NULL, NULL);
	struct store_mailbox box;

	for (uint32_t id = 0; store && store_mailbox_next(store, id, &box);) {
		id = box.id;
		if (!strpbrk(box.name, "\r\n\t"))
			puts(box.name);
		store_mailbox_release(&box);
	}
	store_close(store);
}

static void print_of_conf(const struct conf *conf, const char *what, const char *account)
{
	for (size_t i = 0; i < conf->account_count; i++) {
		const struct conf_account *a = &conf->accounts[i];
		if (strcmp(what, "accounts") == 0)
			puts(a->name);
		for (size_t j = 0; strcmp(what, "profiles") == 0 && j < a->profile_count; j++)
			puts(a->profiles[j].name);
		if (strcmp(what, "mailboxes") == 0 && account && strcmp(a->name, account) == 0)
			print_mailboxes(a);
	}
}

int cmd_complete(const struct cmd *cmd)
{
	const char *what = cmd->words[0], *of = cmd->word_count > 1 ? cmd->words[1] : NULL;
	const struct command *c = of ? command_find(of) : NULL;
	char *usual = conf_default_path();
	struct conf *conf;

	if (strcmp(what, "commands") == 0) {
		print_commands();
	} else if (strcmp(what, "verbs") == 0) {
		print_verbs();
	} else if (strcmp(what, "options") == 0) {
		print_names(global_options);
		if (c)
			print_names(c->options);
	} else if ((conf = conf_read(cmd->conf_path ? cmd->conf_path : usual, NULL))) {
		print_of_conf(conf, what, of);
		conf_free(conf);
	}
	free(usual);
	return CMD_DONE;
}
