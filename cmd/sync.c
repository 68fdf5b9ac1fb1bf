/* mailtide sync: one pass over some accounts, all of them in one loop. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd.h"
#include "output.h"
#include "progress.h"
#include "terminal.h"

/* From so many accounts on, the usual 1,024 descriptors may not do. */
#define MANY_ACCOUNTS 64

/* One account of this run. */
struct target {
	struct pass *pass;
	const struct conf_account *account;
	const struct conf_profile *profile;
	const char **mailboxes;
	size_t mailbox_count;
	bool whole; /* named without a mailbox, too */
	struct buf secret;
	struct sync *sync;
	struct progress *progress;
	struct sync_progress last;
	struct sync_result total;
	bool over;
};

struct pass {
	const struct cmd *cmd;
	struct conf *conf;
	struct io *io;
	struct io_signal *signals[2];
	struct target *targets;
	size_t target_count, running;
	bool dry_run, stopping;
	int exit_status;
};

/* Targets: what the words name */

static struct target *target_of(struct pass *p, const struct conf_account *account)
{
	for (size_t i = 0; i < p->target_count; i++)
		if (p->targets[i].account == account)
			return &p->targets[i];
	struct target *t = &p->targets[p->target_count++];
	t->pass = p;
	t->account = account;
	return t;
}

/* "work" or "work/Lists/dev": account names have no slash in them. */
static int add_word(struct pass *p, const char *word)
{
	const char *slash = strchr(word, '/');
	char *name = mem_copy_slice(
		(struct slice){ word, slash ? (size_t)(slash - word) : strlen(word) });
	const struct conf_account *account = cmd_account(p->conf, name);
	struct target *t;

	free(name);
	if (!account)
		return -1;
	if (slash && !slash[1]) {
		output_error(NULL, NULL, "\"%s\" names no mailbox; \"%s\" is the whole account", word,
			account->name);
		return -1;
	}
	t = target_of(p, account);
	if (!slash) {
		t->whole = true;
		return 0;
	}
	t->mailboxes = mem_grow(t->mailboxes, t->mailbox_count + 1, sizeof *t->mailboxes);
	t->mailboxes[t->mailbox_count++] = slash + 1;
	return 0;
}

static int add_words(struct pass *p)
{
	p->targets = mem_new(p->conf->account_count * sizeof *p->targets);
	for (size_t i = 0; i < p->cmd->word_count; i++)
		if (add_word(p, p->cmd->words[i]) < 0)
			return -1;
	if (p->cmd->word_count == 0)
		for (size_t i = 0; i < p->conf->account_count; i++)
			target_of(p, &p->conf->accounts[i]);
	for (size_t i = 0; i < p->target_count; i++)
		if (p->targets[i].whole)
			p->targets[i].mailbox_count = 0;
	return 0;
}

/* An account that was named must have the profile; of all accounts, one must. */
static int add_profile(struct pass *p, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < p->target_count; i++) {
		struct target *t = &p->targets[i];
		t->profile = conf_profile(t->account, name);
		found = found || t->profile;
		if (!t->profile && p->cmd->word_count > 0) {
			output_error(t->account->name, NULL, "there is no profile \"%s\" in this account",
				name);
			return -1;
		}
	}
	if (!found)
		output_error(NULL, NULL, "no account has a profile \"%s\"", name);
	return found ? 0 : -1;
}

/* Before the loop, which must not wait for a person. */
static int ask_secrets(struct pass *p)
{
	for (size_t i = 0; i < p->target_count; i++) {
		struct target *t = &p->targets[i];
		if (terminal_must_ask(t->account) && terminal_ask(t->account, &t->secret) < 0)
			return -1;
	}
	return 0;
}

/* What the engine tells */

static void on_note(void *arg, enum sync_note kind, const char *mailbox, const char *text)
{
	struct target *t = arg;

	output_note(kind, t->account->name, mailbox, text);
}

static void on_progress(void *arg, const struct sync_progress *p)
{
	struct target *t = arg;

	progress_tell(t->progress, p);
	t->last = *p;
	t->last.mailbox = NULL;
}

static void tell_plan(const struct target *t, const struct sync_result *r)
{
	struct buf name;

	buf_init(&name, 0);
	output_visible(&name, slice_of(r->mailbox));
	output_line("%s/%s: %s%u new (%u to fetch), %u changed, %u gone", t->account->name,
		buf_str(&name), r->reset ? "the server has made it anew, " : "", r->added, r->bodies,
		r->flagged, r->removed);
	buf_release(&name);
}

static void tell_result_object(const struct target *t, const struct sync_result *r)
{
	bool dry = t->pass->dry_run;
	json_t *o = output_object_new(dry ? "plan" : "result");

	json_object_set_new(o, "account", output_text(t->account->name));
	json_object_set_new(o, "mailbox", output_text(r->mailbox));
	json_object_set_new(o, "new", output_number(r->added));
	json_object_set_new(o, dry ? "to_fetch" : "fetched", output_number(r->bodies));
	json_object_set_new(o, "changed", output_number(r->flagged));
	json_object_set_new(o, "gone", output_number(r->removed));
	json_object_set_new(o, "reset", json_boolean(r->reset));
	output_object(o);
}

static void on_result(void *arg, const struct sync_result *r)
{
	struct target *t = arg;

	t->total.added += r->added;
	t->total.flagged += r->flagged;
	t->total.removed += r->removed;
	t->total.bodies += r->bodies;
	t->total.reset = t->total.reset || r->reset;
	if (t->pass->dry_run)
		tell_plan(t, r);
	tell_result_object(t, r);
}

/* "work: 12 new, 3 changed, 1 gone, 34 KB in 0.8 s", where somebody looks. */
static void tell_success(const struct target *t)
{
	const struct sync_result *r = &t->total;
	bool nothing = !r->added && !r->flagged && !r->removed && !r->bodies && !r->reset;
	char size[24];

	if (t->pass->dry_run && nothing)
		output_line("%s: nothing to do", t->account->name);
	if (t->pass->dry_run || !output_tells_success())
		return;
	output_size(t->last.octets_done, size);
	if (nothing)
		output_line("%s: nothing new in %.1f s", t->account->name, t->last.seconds);
	else
		output_line("%s: %u new, %u changed, %u gone, %s in %.1f s", t->account->name,
			r->added, r->flagged, r->removed, size, t->last.seconds);
}

static void tell_done_object(const struct target *t, int exit_status)
{
	json_t *o = output_object_new("done");

	json_object_set_new(o, "account", output_text(t->account->name));
	json_object_set_new(o, "status", json_integer(exit_status));
	json_object_set_new(o, "octets", output_number(t->last.octets_done));
	json_object_set_new(o, "seconds", json_real(t->last.seconds));
	output_object(o);
}

static void on_done(void *arg, int exit_status)
{
	struct target *t = arg;
	struct pass *p = t->pass;

	t->over = true;
	if (exit_status > p->exit_status)
		p->exit_status = exit_status;
	if (exit_status <= CMD_PARTLY)
		tell_success(t);
	tell_done_object(t, exit_status);
	if (--p->running == 0)
		io_stop(p->io);
}

/* The first SIGINT or SIGTERM ends in order; the second at once, which a later run makes good. */
static void on_signal(void *arg)
{
	struct pass *p = arg;

	if (p->stopping) {
		progress_erase();
		_exit(CMD_RETRY);
	}
	p->stopping = true;
	output_note(SYNC_WARNING, NULL, NULL, "stopping; what has arrived is kept");
	for (size_t i = 0; i < p->target_count; i++)
		if (!p->targets[i].over)
			sync_stop(p->targets[i].sync);
}

/* The run */

static void allow_descriptors(const struct pass *p)
{
	struct rlimit limit;

	if (p->target_count < MANY_ACCOUNTS || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void begin(struct target *t)
{
	static const struct sync_events events = { on_note, on_progress, on_result, NULL, on_done };
	struct sync_options options = {
		.account = t->account,
		.profile = t->profile,
		.mailboxes = t->mailboxes,
		.mailbox_count = t->mailbox_count,
		.dry_run = t->pass->dry_run,
		.secret = t->secret.len ? buf_str(&t->secret) : NULL,
		.command = "sync",
	};

	t->progress = progress_new(t->account->name);
	t->sync = sync_new(t->pass->io, &options, &events, t);
}

static void run(struct pass *p)
{
	allow_descriptors(p);
	p->io = io_new();
	p->signals[0] = io_signal_new(p->io, SIGINT, on_signal, p);
	p->signals[1] = io_signal_new(p->io, SIGTERM, on_signal, p);
	p->running = p->target_count;
	for (size_t i = 0; i < p->target_count; i++)
		begin(&p->targets[i]);
	io_run(p->io);
	INVARIANT(p->running == 0);
}

static void pass_release(struct pass *p)
{
	for (size_t i = 0; i < p->target_count; i++) {
		struct target *t = &p->targets[i];
		sync_free(t->sync);
		progress_free(t->progress);
		free(t->mailboxes);
		if (t->secret.data)
			mem_wipe(t->secret.data, t->secret.len);
		buf_release(&t->secret);
	}
	for (size_t i = 0; i < 2; i++)
		io_signal_free(p->signals[i]);
	io_free(p->io);
	free(p->targets);
	conf_free(p->conf);
}

int cmd_sync(const struct cmd *cmd)
{
	struct pass p = { .cmd = cmd, .dry_run = cmd_has(cmd, "--dry-run") };
	const char *profile = cmd_value(cmd, "--profile");

	p.conf = cmd_conf(cmd, &p.exit_status);
	if (!p.conf)
		goto out;
	if (add_words(&p) < 0 || (profile && add_profile(&p, profile) < 0)) {
		p.exit_status = CMD_USAGE;
	} else if (cmd_has(cmd, "--push") && !cmd_has(cmd, "--pull")) {
		output_note(SYNC_WARNING, NULL, NULL,
			"--push: nothing to do, what is done here is not sent in this version");
	} else if (ask_secrets(&p) < 0) {
		p.exit_status = CMD_CONF;
	} else {
		run(&p);
	}
out:
	pass_release(&p);
	return p.exit_status;
}
