/* mailtide: the table of commands, and how one is called. */
#include <signal.h>
#include <string.h>

#include "cmd.h"
#include "output.h"

static const struct cmd_option sync_options[] = {
	{ "--profile", "NAME", "with the rules of this profile" },
	{ "--pull", NULL, "only bring what is new on the server" },
	{ "--push", NULL, "only send what is queued" },
	{ "--dry-run", NULL, "print what would be done, and change nothing" },
	{ NULL, NULL, NULL },
};

static const struct cmd_option check_options[] = {
	{ "--repair", NULL, "make the Maildir again what the store says" },
	{ "--server", NULL, "compare the store with the server, too" },
	{ NULL, NULL, NULL },
};

static const struct cmd_option queue_options[] = {
	{ "--force", NULL, "delete: even where new mail is; drop: even what is being sent" },
	{ NULL, NULL, NULL },
};

static const char queue_more[] =
	"  queue [ACCOUNT]              what waits, has failed, or is held\n"
	"  queue add ACCOUNT VERB ...   one action, and its number\n"
	"  queue add ACCOUNT -          many, a line each, from standard input\n"
	"  queue retry ACCOUNT [N...]   try again what has failed, all of it or these\n"
	"  queue drop ACCOUNT N...      forget these, and undo what they showed\n"
	"  queue edit ACCOUNT           change them in $VISUAL or $EDITOR\n"
	"\n"
	"verbs:\n"
	"  flag MAILBOX WHICH +FLAG... -FLAG...\n"
	"  copy MAILBOX WHICH TO\n"
	"  move MAILBOX WHICH TO\n"
	"  append MAILBOX FILE|- [FLAG...]\n"
	"  expunge MAILBOX WHICH\n"
	"  fetch MAILBOX WHICH\n"
	"  create MAILBOX, delete MAILBOX, rename FROM TO\n"
	"  subscribe MAILBOX, unsubscribe MAILBOX\n"
	"\n"
	"WHICH is UIDs (7,27,65:70), local numbers (m4711,m4712), or an earlier append (@17).";

static const struct cmd_option fetch_options[] = {
	{ "--flagged", NULL, "of all messages that are flagged" },
	{ NULL, NULL, NULL },
};

static const struct cmd_option no_options[] = { { NULL, NULL, NULL } };

#define ANY ((size_t)-1)

const struct command commands[] = {
	{ "sync", "[ACCOUNT[/MAILBOX]...]", "send what is queued, and bring the mail home, once", sync_options,
		0, ANY, cmd_sync, NULL },
	{ "queue", "[ACCOUNT] | add|retry|drop|edit ACCOUNT ...",
		"list, add and mend what waits to be sent", queue_options, 0, ANY, cmd_queue, queue_more },
	{ "fetch", "ACCOUNT mN...|MAILBOX:UIDSET...", "bring these bodies now, whatever the rules say",
		fetch_options, 1, ANY, cmd_fetch, NULL },
	{ "ls", "ACCOUNT [MAILBOX]", "list the mailboxes, or the messages of one", no_options, 1, 2,
		cmd_ls, NULL },
	{ "status", "[ACCOUNT...]", "when was the last sync, and what is waiting", no_options, 0, ANY,
		cmd_status, NULL },
	{ "check", "[ACCOUNT]", "compare the store with the Maildir", check_options, 0, 1, cmd_check,
		NULL },
	{ "probe", "ACCOUNT", "ask the server what it can do", no_options, 1, 1, cmd_probe,
		NULL },
	{ "version", "", "print the version", no_options, 0, 0, cmd_version, NULL },
	{ "help", "[COMMAND]", "print this, or more on one command", no_options, 0, 1, cmd_help,
		NULL },
	{ NULL, NULL, NULL, NULL, 0, 0, NULL, NULL },
};

/* For the completions of the shells. */
static const struct command complete_command = { "--complete", "WHAT", "", no_options, 1, 2,
	cmd_complete, NULL };

const struct cmd_option global_options[] = {
	{ "-c", "FILE", "the configuration, instead of the usual place" },
	{ "-v", NULL, "say more; -vv and -vvv more still" },
	{ "-q", NULL, "say nothing but what went wrong" },
	{ "--json", NULL, "data and progress as one JSON object a line" },
	{ NULL, NULL, NULL },
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return strcmp(name, complete_command.name) == 0 ? &complete_command : NULL;
}

int main(int argc, char **argv)
{
	struct cmd cmd = { 0 };
	int status = CMD_USAGE;

	signal(SIGPIPE, SIG_IGN);
	output_init();
	if (cmd_parse(&cmd, argc, argv) == 0) {
		output_set(cmd.verbose, cmd.quiet, cmd.json);
		status = cmd.command->run(&cmd);
		status = output_finish(status);
	}
	cmd_release(&cmd);
	return status;
}
