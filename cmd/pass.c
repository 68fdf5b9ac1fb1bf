/* Runs the engine over some accounts, and tells what it does. */
#include "pass.h"

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

/* One account of this pass. */
struct target {
	struct pass *pass;
	const struct pass_target *of;
	const char *name;
	struct buf secret;
	struct sync *sync;
	struct progress *progress;
	struct sync_progress last;
	struct sync_result total;
	unsigned acted[SYNC_ACTION_LOCAL + 1]; /* actions, by their outcome */
	bool over;
};

struct pass {
	const struct pass_options *options;
	struct io *io;
	struct io_signal *signals[2];
	struct target *targets;
	size_t target_count, running;
	bool stopping;
	int exit_status;
};

/* Before the loop, which must not wait for a person. */
static int ask_secrets(struct pass *p)
{
	for (size_t i = 0; i < p->target_count; i++) {
		const struct conf_account *account = p->targets[i].of->account;
		if (terminal_must_ask(account) && terminal_ask(account, &p->targets[i].secret) < 0)
			return -1;
	}
	return 0;
}

/* What the engine tells */

static void on_note(void *arg, enum sync_note kind, const char *mailbox, const char *text)
{
	struct target *t = arg;

	output_note(kind, t->name, mailbox, text);
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
	output_line("%s/%s: %s%u new (%u to fetch), %u changed, %u gone", t->name,
		buf_str(&name), r->reset ? "the server has made it anew, " : "", r->added, r->bodies,
		r->flagged, r->removed);
	buf_release(&name);
}

static void tell_result_object(const struct target *t, const struct sync_result *r)
{
	bool dry = t->pass->options->dry_run;
	json_t *o = output_object_new(dry ? "plan" : "result");

	json_object_set_new(o, "account", output_text(t->name));
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
	if (t->pass->options->dry_run)
		tell_plan(t, r);
	tell_result_object(t, r);
}

static const char *const outcomes[] = {
	[SYNC_ACTION_PLANNED] = "planned",
	[SYNC_ACTION_DONE] = "done",
	[SYNC_ACTION_FAILED] = "failed",
	[SYNC_ACTION_UNKNOWN] = "unknown",
	[SYNC_ACTION_LOCAL] = "local",
};

static void tell_action_object(const struct target *t, const struct sync_action *a)
{
	json_t *o = output_object_new("action");

	json_object_set_new(o, "account", output_text(t->name));
	json_object_set_new(o, "number", output_number(a->number));
	json_object_set_new(o, "verb", output_text(a->verb));
	json_object_set_new(o, "mailbox", output_text(a->mailbox));
	json_object_set_new(o, "outcome", json_string(outcomes[a->outcome]));
	json_object_set_new(o, "reason", output_text(a->reason));
	output_object(o);
}

static void on_acted(void *arg, const struct sync_action *a)
{
	struct target *t = arg;
	struct buf name;

	t->acted[a->outcome]++;
	tell_action_object(t, a);
	if (a->outcome != SYNC_ACTION_PLANNED)
		return;
	buf_init(&name, 0);
	output_visible(&name, slice_of(a->mailbox ? a->mailbox : ""));
	output_line("%s/%s: would send action %llu, %s", t->name, buf_str(&name),
		(unsigned long long)a->number, a->verb);
	buf_release(&name);
}

static bool is_nothing(const struct target *t)
{
	const struct sync_result *r = &t->total;
	unsigned acted = 0;

	for (size_t i = 0; i < sizeof t->acted / sizeof t->acted[0]; i++)
		acted += t->acted[i];
	return !acted && !r->added && !r->flagged && !r->removed && !r->bodies && !r->reset;
}

/* "2 sent, 1 failed, ", as far as it happened. */
static void add_acted(const struct target *t, struct buf *out)
{
	static const struct {
		enum sync_outcome outcome;
		const char *word;
	} words[] = { { SYNC_ACTION_DONE, "sent" }, { SYNC_ACTION_FAILED, "failed" },
		{ SYNC_ACTION_UNKNOWN, "not known whether done" }, { SYNC_ACTION_LOCAL, "kept here" } };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (t->acted[words[i].outcome])
			buf_addf(out, "%u %s, ", t->acted[words[i].outcome], words[i].word);
}

/* "work: 3 sent, 1 failed, 12 new, 3 changed, 1 gone, 34 KB in 0.8 s", where somebody looks. */
static void tell_success(const struct target *t)
{
	const struct sync_result *r = &t->total;
	bool nothing = is_nothing(t);
	struct buf acted;
	char size[24];

	if (t->pass->options->dry_run && nothing)
		output_line("%s: nothing to do", t->name);
	if (t->pass->options->dry_run || !output_tells_success())
		return;
	if (nothing) {
		output_line("%s: nothing %s in %.1f s", t->name,
			t->pass->options->no_pull ? "to send" : "new", t->last.seconds);
		return;
	}
	buf_init(&acted, 0);
	add_acted(t, &acted);
	output_size(t->last.octets_done, size);
	if (t->pass->options->no_pull)
		output_line("%s: %sin %.1f s", t->name, buf_str(&acted), t->last.seconds);
	else
		output_line("%s: %s%u new, %u changed, %u gone, %s in %.1f s", t->name,
			buf_str(&acted), r->added, r->flagged, r->removed, size, t->last.seconds);
	buf_release(&acted);
}

static void tell_done_object(const struct target *t, int exit_status)
{
	json_t *o = output_object_new("done");

	json_object_set_new(o, "account", output_text(t->name));
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
	static const struct sync_events events = { on_note, on_progress, on_result, on_acted, on_done };
	const struct pass_options *o = t->pass->options;
	struct sync_options options = {
		.account = t->of->account,
		.profile = t->of->profile,
		.mailboxes = t->of->mailboxes,
		.mailbox_count = t->of->mailbox_count,
		.no_push = o->no_push,
		.no_pull = o->no_pull,
		.dry_run = o->dry_run,
		.secret = t->secret.len ? buf_str(&t->secret) : NULL,
		.command = o->command,
	};

	t->progress = progress_new(t->name);
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

static void pass_init(struct pass *p, const struct pass_options *options)
{
	*p = (struct pass){ .options = options, .target_count = options->target_count };
	p->targets = mem_new(p->target_count * sizeof *p->targets + 1);
	for (size_t i = 0; i < p->target_count; i++) {
		p->targets[i].pass = p;
		p->targets[i].of = &options->targets[i];
		p->targets[i].name = options->targets[i].account->name;
	}
}

static void pass_release(struct pass *p)
{
	for (size_t i = 0; i < p->target_count; i++) {
		struct target *t = &p->targets[i];
		sync_free(t->sync);
		progress_free(t->progress);
		if (t->secret.data)
			mem_wipe(t->secret.data, t->secret.len);
		buf_release(&t->secret);
	}
	for (size_t i = 0; i < 2; i++)
		io_signal_free(p->signals[i]);
	io_free(p->io);
	free(p->targets);
}

int pass_run(const struct pass_options *options)
{
	struct pass p;

	pass_init(&p, options);
	if (ask_secrets(&p) < 0)
		p.exit_status = CMD_CONF;
	else
		run(&p);
	pass_release(&p);
	return p.exit_status;
}

void pass_targets_free(struct pass_target *targets, size_t count)
{
	for (size_t i = 0; targets && i < count; i++)
		free(targets[i].mailboxes);
	free(targets);
}
