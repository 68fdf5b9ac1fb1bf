/* mailtide probe: what the server is and can do. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "terminal.h"

struct probe {
	const struct conf_account *account;
	struct io *io;
	int exit_status;
};

static void on_fact(void *arg, const char *name, const char *value)
{
	struct probe *p = arg;
	json_t *o = output_object_new("fact");
	struct buf visible;

	buf_init(&visible, 0);
	output_visible(&visible, slice_of(value));
	output_line("%s: %s", name, buf_str(&visible));
	buf_release(&visible);
	json_object_set_new(o, "account", output_text(p->account->name));
	json_object_set_new(o, "name", output_text(name));
	json_object_set_new(o, "value", output_text(value));
	output_object(o);
}

static void on_mailbox(void *arg, const char *name, bool chosen, const char *attributes)
{
	struct probe *p = arg;
	json_t *o = output_object_new("mailbox");
	struct buf visible;

	buf_init(&visible, 0);
	output_visible(&visible, slice_of(name));
	buf_add_str(&visible, chosen ? "\tchosen\t" : "\tnot chosen\t");
	output_visible(&visible, slice_of(attributes));
	output_line("mailbox: %s", buf_str(&visible));
	buf_release(&visible);
	json_object_set_new(o, "account", output_text(p->account->name));
	json_object_set_new(o, "name", output_text(name));
	json_object_set_new(o, "chosen", json_boolean(chosen));
	json_object_set_new(o, "attributes", output_text(attributes));
	output_object(o);
}

static void on_done(void *arg, int exit_status, const char *error)
{
	struct probe *p = arg;
	json_t *o = output_object_new("done");

	p->exit_status = exit_status;
	if (error)
		output_error(p->account->name, NULL, "%s", error);
	json_object_set_new(o, "account", output_text(p->account->name));
	json_object_set_new(o, "status", json_integer(exit_status));
	output_object(o);
	io_stop(p->io);
}

static int probe(const struct conf_account *account, const char *secret)
{
	static const struct sync_probe_events events = { on_fact, on_mailbox, on_done };
	struct probe p = { .account = account, .io = io_new() };
	struct sync_probe *run = sync_probe_new(p.io, account, secret, &events, &p);

	io_run(p.io);
	sync_probe_free(run);
	io_free(p.io);
	return p.exit_status;
}

static int probe_account(const struct conf_account *account)
{
	struct buf secret;
	int status = CMD_CONF;

	if (!terminal_must_ask(account))
		return probe(account, NULL);
	buf_init(&secret, 0);
	if (terminal_ask(account, &secret) == 0)
		status = probe(account, buf_str(&secret));
	if (secret.data)
		mem_wipe(secret.data, secret.len);
	buf_release(&secret);
	return status;
}

int cmd_probe(const struct cmd *cmd)
{
	int status = CMD_USAGE;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account *account = conf ? cmd_account(conf, cmd->words[0]) : NULL;

	if (account)
		status = probe_account(account);
	conf_free(conf);
	return status;
}
