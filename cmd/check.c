/* mailtide check: do store, Maildir and, with --server, the server agree? */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cmd.h"
#include "output.h"
#include "progress.h"
#include "terminal.h"
#include "store/store.h"

struct check {
	const struct conf_account *account;
	bool repair, server;
	int exit_status;
	/* With --server. */
	struct io *io;
	struct sync *sync;
	struct progress *progress;
	unsigned differences;
};

static void worse(struct check *c, int status)
{
	if (status > c->exit_status)
		c->exit_status = status;
}

/* Store and Maildir */

static const char *mended_how(const char *what)
{
	if (strcmp(what, "stand-in missing") == 0)
		return "comes with the next sync";
	return strcmp(what, "missing") == 0 ? "written again" : "set right";
}

static void tell_difference(struct check *c, const char *mailbox, const char *what,
	const char *path, bool mended)
{
	struct buf line;

	buf_init(&line, 0);
	buf_addf(&line, "%s/", c->account->name);
	output_visible(&line, slice_of(mailbox));
	buf_addf(&line, ": %s: ", what);
	output_visible(&line, slice_of(path));
	if (mended)
		buf_addf(&line, " (%s)", mended_how(what));
	else if (c->repair)
		buf_add_str(&line, " (left alone)");
	output_line("%s", buf_str(&line));
	buf_release(&line);
}

static void on_difference(void *arg, const char *mailbox, const char *what, const char *below,
	bool mended)
{
	struct check *c = arg;
	char *path = file_join(c->account->maildir, below);
	json_t *o = output_object_new("difference");

	tell_difference(c, mailbox, what, path, mended);
	json_object_set_new(o, "account", output_text(c->account->name));
	json_object_set_new(o, "mailbox", output_text(mailbox));
	json_object_set_new(o, "what", output_text(what));
	json_object_set_new(o, "path", output_text(path));
	json_object_set_new(o, "mended", json_boolean(mended));
	output_object(o);
	free(path);
}

static void on_note(void *arg, enum sync_note kind, const char *mailbox, const char *text)
{
	struct check *c = arg;

	output_note(kind, c->account->name, mailbox, text);
}

static void check_maildir(struct check *c)
{
	static const struct sync_check_events events = { on_difference, on_note };

	worse(c, sync_check(c->account, c->repair, &events, c));
}

/* The server: what a sync that trusts nothing would do */

static void on_progress(void *arg, const struct sync_progress *p)
{
	struct check *c = arg;

	progress_tell(c->progress, p);
}

static void on_result(void *arg, const struct sync_result *r)
{
	struct check *c = arg;
	json_t *o = output_object_new("server-difference");
	struct buf name;

	c->differences++;
	buf_init(&name, 0);
	output_visible(&name, slice_of(r->mailbox));
	output_line("%s/%s: server: %u new, %u with other flags, %u gone%s", c->account->name,
		buf_str(&name), r->added, r->flagged, r->removed,
		r->reset ? ", made anew (UIDVALIDITY)" : "");
	buf_release(&name);
	json_object_set_new(o, "account", output_text(c->account->name));
	json_object_set_new(o, "mailbox", output_text(r->mailbox));
	json_object_set_new(o, "new", output_number(r->added));
	json_object_set_new(o, "to_fetch", output_number(r->bodies));
	json_object_set_new(o, "changed", output_number(r->flagged));
	json_object_set_new(o, "gone", output_number(r->removed));
	json_object_set_new(o, "reset", json_boolean(r->reset));
	output_object(o);
}

static void on_done(void *arg, int exit_status)
{
	struct check *c = arg;

	worse(c, exit_status);
	io_stop(c->io);
}

static void on_signal(void *arg)
{
	struct check *c = arg;

	sync_stop(c->sync);
}

static void ask_server(struct check *c, const char *secret)
{
	static const struct sync_events events = { on_note, on_progress, on_result, NULL, on_done };
	struct sync_options options = { .account = c->account, .dry_run = true, .cold = true,
		.secret = secret, .command = "check" };
	struct io_signal *interrupt, *terminate;

	c->io = io_new();
	interrupt = io_signal_new(c->io, SIGINT, on_signal, c);
	terminate = io_signal_new(c->io, SIGTERM, on_signal, c);
	c->progress = progress_new(c->account->name);
	c->sync = sync_new(c->io, &options, &events, c);
	io_run(c->io);
	sync_free(c->sync);
	progress_free(c->progress);
	progress_erase();
	io_signal_free(interrupt);
	io_signal_free(terminate);
	io_free(c->io);
	if (c->differences > 0)
		worse(c, CMD_PARTLY);
}

static void check_server(struct check *c)
{
	struct buf secret;

	buf_init(&secret, 0);
	if (!terminal_must_ask(c->account))
		ask_server(c, NULL);
	else if (terminal_ask(c->account, &secret) == 0)
		ask_server(c, buf_str(&secret));
	else
		worse(c, CMD_CONF);
	if (secret.data)
		mem_wipe(secret.data, secret.len);
	buf_release(&secret);
}

static int check(const struct cmd *cmd, const struct conf_account *account)
{
	struct check c = { .account = account, .repair = cmd_has(cmd, "--repair") };
	bool never;
	struct store *store = cmd_store(account, &never, &c.exit_status);

	store_close(store);
	if (never)
		output_line("%s: never synced, nothing to check", account->name);
	if (!store)
		return c.exit_status;
	check_maildir(&c);
	if (cmd_has(cmd, "--server") && c.exit_status <= CMD_PARTLY)
		check_server(&c);
	if (c.exit_status == CMD_DONE && output_tells_success())
		output_line("%s: all is well", account->name);
	return c.exit_status;
}

int cmd_check(const struct cmd *cmd)
{
	return cmd_each_account(cmd, check);
}
