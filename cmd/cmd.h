/* What the commands share: the table that main.c walks, and the context of one call. Each command
 * is a file of its own; it gets its arguments parsed and returns the exit status (mailtide(1)). */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* Exit statuses, beyond those of err_exit_status. */
enum { CMD_DONE = 0, CMD_PARTLY = 1, CMD_USAGE = 64, CMD_RETRY = 75, CMD_CONF = 78 };

struct cmd_option {
	const char *name;  /* "--profile"; NULL ends the list */
	const char *value; /* "NAME", or NULL where it takes none */
	const char *text;  /* for help */
};

/* One call's command line, parsed. */
struct cmd {
	const struct command *command;
	const char *conf_path; /* of -c, or NULL */
	unsigned verbose;
	bool quiet, json;
	const char **words; /* without options */
	size_t word_count;
	const struct cmd_option *given[16]; /* the command's options that were given */
	const char *values[16];
	size_t given_count;
};

struct command {
	const char *name;
	const char *arguments; /* "[ACCOUNT] [--repair]" */
	const char *summary;   /* half a line, lower case */
	const struct cmd_option *options;
	size_t words_min, words_max;
	int (*run)(const struct cmd *cmd);
	const char *more; /* for help: lines; NULL: none */
};

/* main.c: ended by a row without a name. */
extern const struct command commands[];
extern const struct cmd_option global_options[];
const struct command *command_find(const char *name);

/* args.c: fills *cmd from main's arguments. 0, or -1 where the message was printed. `words` of *cmd
 * is freed by cmd_release. */
int cmd_parse(struct cmd *cmd, int argc, char **argv);
void cmd_release(struct cmd *cmd);
bool cmd_has(const struct cmd *cmd, const char *option);
const char *cmd_value(const struct cmd *cmd, const char *option);

/* similar.c: picks from names that were probably meant. */
struct similar {
	const char *wanted;
	const char *best;
	unsigned distance;
};
void similar_to(struct similar *s, const char *wanted);
void similar_add(struct similar *s, const char *name);
/* "; did you mean "sync"?", or "". Lives until the next call. */
const char *similar_text(const struct similar *s);

/* accounts.c: the configuration, and the accounts that a command is about. Each prints what is wrong. */
/* NULL: *exit_status tells. */
struct conf *cmd_conf(const struct cmd *cmd, int *exit_status);
const struct conf_account *cmd_account(const struct conf *conf, const char *name);
/* Runs it for the accounts of the words, or all where there are none; for none where a name is wrong. The worst
 * exit status. */
int cmd_each_account(const struct cmd *cmd, int (*run)(const struct cmd *cmd, const struct conf_account *account));
struct store;
/* The store for reading, without a lock. NULL with *never: the account was never synced, which is
 * not printed; NULL without: printed, *exit_status tells. */
struct store *cmd_store(const struct conf_account *account, bool *never, int *exit_status);
/* similar_text for the mailboxes of the store. */
const char *similar_mailbox(struct store *store, const char *wanted, const char *account);

/* The commands. */
int cmd_sync(const struct cmd *cmd);
int cmd_queue(const struct cmd *cmd);
int cmd_fetch(const struct cmd *cmd);
int cmd_ls(const struct cmd *cmd);
int cmd_status(const struct cmd *cmd);
int cmd_check(const struct cmd *cmd);
int cmd_probe(const struct cmd *cmd);
int cmd_version(const struct cmd *cmd);
int cmd_help(const struct cmd *cmd);
int cmd_complete(const struct cmd *cmd);

#endif
