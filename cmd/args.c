/* The command line: global options anywhere, then the command, its own options and words in any
 * order. What follows "--" is words. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd.h"
#include "output.h"

/* Known from the design of the interface, and to come. */
static const char *const later[] = { "watch", "store" };

struct parser {
	struct cmd *cmd;
	int argc, at;
	char **argv;
	bool only_words, help;
};

static int unknown_command(const char *name)
{
	struct similar similar;

	for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
		if (strcmp(name, later[i]) == 0) {
			output_error(NULL, NULL, "\"%s\" is not part of this version", name);
			return -1;
		}
	}
	similar_to(&similar, name);
	for (const struct command *c = commands; c->name; c++)
		similar_add(&similar, c->name);
	output_error(NULL, NULL, "unknown command \"%s\"%s", name,
		similar.best ? similar_text(&similar) : "; \"mailtide help\" lists them");
	return -1;
}

static int unknown_option(const struct cmd *cmd, const char *option)
{
	struct similar similar;

	similar_to(&similar, option);
	for (const struct cmd_option *o = global_options; o->name; o++)
		if (o->name[1] == '-')
			similar_add(&similar, o->name);
	if (cmd->command)
		for (const struct cmd_option *o = cmd->command->options; o->name; o++)
			similar_add(&similar, o->name);
	if (similar.best || !cmd->command)
		output_error(NULL, NULL, "unknown option \"%s\"%s", option,
			similar.best ? similar_text(&similar) : "; see \"mailtide help\"");
	else
		output_error(NULL, NULL, "unknown option \"%s\"; see \"mailtide help %s\"", option,
			cmd->command->name);
	return -1;
}

/* The value behind an option; NULL, and printed, where there is none. */
static const char *take_value(struct parser *p, const char *option, const char *value)
{
	if (p->at == p->argc) {
		output_error(NULL, NULL, "%s needs a value: %s %s", option, option, value);
		return NULL;
	}
	return p->argv[p->at++];
}

/* "-vvq", "-c FILE", "-cFILE". */
static int parse_short(struct parser *p, const char *arg)
{
	for (const char *c = arg + 1; *c; c++) {
		switch (*c) {
		case 'v':
			p->cmd->verbose++;
			break;
		case 'q':
			p->cmd->quiet = true;
			break;
		case 'h':
			p->help = true;
			break;
		case 'c':
			p->cmd->conf_path = c[1] ? c + 1 : take_value(p, "-c", "FILE");
			return p->cmd->conf_path ? 0 : -1;
		default:
			return unknown_option(p->cmd, arg);
		}
	}
	return 0;
}

static const struct cmd_option *find_option(const struct cmd_option *options, const char *arg,
	size_t len)
{
	for (; options->name; options++)
		if (strlen(options->name) == len && memcmp(options->name, arg, len) == 0)
			return options;
	return NULL;
}

/* "--profile NAME", "--profile=NAME". */
static int parse_own(struct parser *p, const char *arg)
{
	struct cmd *cmd = p->cmd;
	size_t len = strcspn(arg, "=");
	const struct cmd_option *o = cmd->command ? find_option(cmd->command->options, arg, len) : NULL;
	const char *value = NULL;

	if (!o)
		return unknown_option(cmd, arg);
	if (!o->value && arg[len] == '=') {
		output_error(NULL, NULL, "%s takes no value", o->name);
		return -1;
	}
	if (o->value) {
		value = arg[len] == '=' ? arg + len + 1 : take_value(p, o->name, o->value);
		if (!value)
			return -1;
	}
	if (cmd->given_count < sizeof cmd->given / sizeof cmd->given[0]) {
		cmd->given[cmd->given_count] = o;
		cmd->values[cmd->given_count++] = value;
	}
	return 0;
}

static int parse_long(struct parser *p, const char *arg)
{
	if (strcmp(arg, "--json") == 0)
		p->cmd->json = true;
	else if (strcmp(arg, "--help") == 0)
		p->help = true;
	else if (strcmp(arg, "--version") == 0)
		p->cmd->command = command_find("version");
	else
		return parse_own(p, arg);
	return 0;
}

static int parse_word(struct parser *p, const char *arg)
{
	struct cmd *cmd = p->cmd;

	if (cmd->command) {
		cmd->words[cmd->word_count++] = arg;
		return 0;
	}
	cmd->command = command_find(arg);
	return cmd->command ? 0 : unknown_command(arg);
}

/* The flags to be taken away: queue add ACCOUNT flag MAILBOX WHICH -\Seen */
static bool is_flag(const struct cmd *cmd, const char *arg)
{
	return arg[1] != '-' && cmd->command && strcmp(cmd->command->name, "queue") == 0 &&
		cmd->word_count >= 5 && strcmp(cmd->words[0], "add") == 0 &&
		strcmp(cmd->words[2], "flag") == 0;
}

static int parse_one(struct parser *p, const char *arg)
{
	if (p->only_words || arg[0] != '-' || arg[1] == '\0' || is_flag(p->cmd, arg))
		return parse_word(p, arg);
	if (strcmp(arg, "--") == 0) {
		p->only_words = true;
		return 0;
	}
	if (!p->cmd->command && strcmp(arg, "--complete") == 0)
		return parse_word(p, arg);
	return arg[1] == '-' ? parse_long(p, arg) : parse_short(p, arg);
}

static int check_words(const struct cmd *cmd)
{
	const struct command *c = cmd->command;

	if (cmd->word_count < c->words_min) {
		output_error(NULL, NULL, "%s needs more: mailtide %s %s", c->name, c->name, c->arguments);
		return -1;
	}
	if (cmd->word_count > c->words_max) {
		output_error(NULL, NULL, "%s: \"%s\" is too much; see \"mailtide help %s\"", c->name,
			cmd->words[c->words_max], c->name);
		return -1;
	}
	return 0;
}

/* "mailtide sync --help" is "mailtide help sync". */
static void turn_to_help(struct cmd *cmd)
{
	const struct command *help = command_find("help");

	cmd->word_count = 0;
	if (cmd->command && cmd->command != help)
		cmd->words[cmd->word_count++] = cmd->command->name;
	cmd->command = help;
}

int cmd_parse(struct cmd *cmd, int argc, char **argv)
{
	struct parser p = { cmd, argc, 1, argv, false, false };

	cmd->words = mem_new(((size_t)argc + 1) * sizeof *cmd->words);
	while (p.at < argc)
		if (parse_one(&p, argv[p.at++]) < 0)
			return -1;
	if (p.help)
		turn_to_help(cmd);
	if (!cmd->command) {
		output_error(NULL, NULL, "no command; \"mailtide help\" lists them");
		return -1;
	}
	return check_words(cmd);
}

void cmd_release(struct cmd *cmd)
{
	free(cmd->words);
}

bool cmd_has(const struct cmd *cmd, const char *option)
{
	for (size_t i = 0; i < cmd->given_count; i++)
		if (strcmp(cmd->given[i]->name, option) == 0)
			return true;
	return false;
}

const char *cmd_value(const struct cmd *cmd, const char *option)
{
	const char *value = NULL;

	for (size_t i = 0; i < cmd->given_count; i++)
		if (strcmp(cmd->given[i]->name, option) == 0)
			value = cmd->values[i];
	return value;
}
