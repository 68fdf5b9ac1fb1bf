/* mailtide help: the commands, or one of them with its options. */
#include <stdio.h>

#include "cmd.h"
#include "output.h"

static void print_options(const struct cmd_option *options)
{
	for (; options->name; options++) {
		char name[40];
		snprintf(name, sizeof name, "%s%s%s", options->name, options->value ? " " : "",
			options->value ? options->value : "");
		printf("  %-18s %s\n", name, options->text);
	}
}

static void print_all(void)
{
	puts("usage: mailtide [-c FILE] [-v...|-q] [--json] COMMAND [ARGUMENTS]\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-18s %s\n", c->name, c->summary);
	puts("");
	print_options(global_options);
	puts("\nMore: mailtide help COMMAND, mailtide(1), mailtide.conf(5), mailtide-actions(5)");
}

static int print_one(const char *name)
{
	const struct command *c = NULL;
	struct similar similar;

	similar_to(&similar, name);
	for (const struct command *at = commands; at->name; at++)
		similar_add(&similar, at->name);
	if (name[0] != '-')
		c = command_find(name);
	if (!c) {
		output_error(NULL, NULL, "there is no command \"%s\"%s", name, similar.best ?
			similar_text(&similar) : "; \"mailtide help\" lists them");
		return CMD_USAGE;
	}
	printf("usage: mailtide %s", c->name);
	if (c->arguments[0])
		printf(" %s", c->arguments);
	for (const struct cmd_option *o = c->options; o->name; o++)
		printf(" [%s%s%s]", o->name, o->value ? " " : "", o->value ? o->value : "");
	printf("\n\n%s\n", c->summary);
	if (c->options->name)
		puts("");
	print_options(c->options);
	if (c->more)
		printf("\n%s\n", c->more);
	return CMD_DONE;
}

int cmd_help(const struct cmd *cmd)
{
	if (cmd->word_count > 0)
		return print_one(cmd->words[0]);
	print_all();
	return CMD_DONE;
}
