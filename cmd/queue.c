/* mailtide queue: the actions that still wait, from the file, with what the store knows of each. */
#include "queue.h"

#include <stdlib.h>

#include "cmd.h"
#include "output.h"

#define MESSAGES_LISTED 100

/* One line of the file. */
struct listed {
	const struct queue_action *a;
	const struct store_action *rec; /* NULL: not taken up yet */
	const char *state, *reason;     /* "" where there is none */
};

struct listing {
	struct actions q;
	bool name_account; /* several are listed */
	bool foreign;
	uint64_t highest;  /* number seen */
	struct buf line, what, reason;
};

static void add_field(struct buf *line, const char *text)
{
	buf_add_char(line, '\t');
	output_visible(line, slice_of(text));
}

static const char *time_of(const struct queue_action *a, char text[32])
{
	if (a->time == 0)
		return NULL;
	output_time(a->time, text);
	return text;
}

static void add_number(struct buf *line, uint64_t number)
{
	if (number)
		buf_addf(line, "%llu", (unsigned long long)number);
	else
		buf_add_char(line, '-');
}

static void tell_line(struct listing *l, const struct listed *one)
{
	const char *when;
	char text[32];

	buf_clear(&l->line);
	if (l->name_account)
		buf_addf(&l->line, "%s\t", l->q.account->name);
	add_number(&l->line, one->a->number);
	add_field(&l->line, one->state);
	when = time_of(one->a, text);
	add_field(&l->line, when ? when : "-");
	add_field(&l->line, one->a->verb_text ? one->a->verb_text : "-");
	add_field(&l->line, one->a->mailbox ? one->a->mailbox : "");
	buf_clear(&l->what);
	queue_describe(one->a, one->rec, &l->what);
	buf_addf(&l->line, "\t%s", buf_str(&l->what));
	if (one->reason[0])
		add_field(&l->line, one->reason);
	output_line("%s", buf_str(&l->line));
}

static json_t *message_list(const struct queue_action *a)
{
	json_t *list = json_array();
	char name[24];

	for (size_t i = 0; i < a->message_count && i < MESSAGES_LISTED; i++) {
		queue_name_message(&a->messages[i], name);
		json_array_append_new(list, output_text(name));
	}
	return list;
}

static void set_record(json_t *o, const struct store_action *rec)
{
	json_object_set_new(o, "attempts", output_number(rec ? rec->attempts : 0));
	json_object_set_new(o, "blocked_by", rec && rec->blocked_by ?
		output_number(rec->blocked_by) : json_null());
	if (rec && rec->size)
		json_object_set_new(o, "size", output_number(rec->size));
}

static void tell_object(struct listing *l, const struct listed *one)
{
	json_t *o = output_object_new("queued");
	char text[32];

	json_object_set_new(o, "account", output_text(l->q.account->name));
	json_object_set_new(o, "number", one->a->number ? output_number(one->a->number) : json_null());
	json_object_set_new(o, "state", output_text(one->state));
	json_object_set_new(o, "time", output_text(time_of(one->a, text)));
	json_object_set_new(o, "verb", output_text(one->a->verb_text));
	json_object_set_new(o, "mailbox", output_text(one->a->mailbox));
	json_object_set_new(o, "messages", message_list(one->a));
	json_object_set_new(o, "message_count", output_number(one->a->message_count));
	set_record(o, one->rec);
	json_object_set_new(o, "reason", output_text(one->reason[0] ? one->reason : NULL));
	for (size_t i = 0; i < one->a->pair_count; i++)
		if (!json_object_get(o, one->a->pairs[i].key))
			json_object_set_new(o, one->a->pairs[i].key, output_text(one->a->pairs[i].value));
	output_object(o);
}

static void tell(struct listing *l, const struct listed *one)
{
	if (output_is_json())
		tell_object(l, one);
	else
		tell_line(l, one);
}

/* What is done, or was dropped, is not told: it has no record any more. A line at a wrong place was never taken
 * up: a record of its number is that of the line before it. */
static void take_line(struct listing *l, const struct queue_action *a, const char *fault)
{
	struct store_action rec;
	struct listed one = { .a = a, .state = "held", .reason = fault ? fault : "" };
	bool misplaced = fault && (a->number == 0 || a->number <= l->highest);
	bool found = false, told;

	store_action_init(&rec);
	if (l->q.store && !l->foreign && !misplaced)
		found = store_action_get(l->q.store, a->number, &rec);
	one.rec = found ? &rec : NULL;
	told = found || l->foreign || misplaced || a->number > l->q.folded;
	buf_clear(&l->reason);
	if (l->foreign && !fault)
		one.reason = "made for another store";
	else if (found || !fault) {
		one.state = queue_state_name(one.rec);
		queue_explain(one.rec, &l->reason);
		one.reason = buf_str(&l->reason);
	}
	if (told)
		tell(l, &one);
	store_action_release(&rec);
	l->highest = a->number > l->highest ? a->number : l->highest;
}

static int take_lines(struct listing *l)
{
	struct queue_action a;
	struct err err = { 0 };
	uint64_t after = 0;
	int rc;

	while (!output_is_closed() && (rc = queue_next(l->q.queue, after, &a, &err)) != 0) {
		if (rc < 0 && err.scope != ERR_MESSAGE)
			return actions_refuse(&l->q, &err);
		after = a.number ? a.number : after;
		take_line(l, &a, rc < 0 ? err.text : NULL);
		queue_action_release(&a);
	}
	return CMD_DONE;
}

static void tell_foreign(const struct listing *l)
{
	const char *name = l->q.account->name;
	char *text = l->q.store ?
		mem_printf("these actions were made for another store; \"mailtide queue retry %s\" takes them "
			"over, and what no longer fits will fail", name) :
		mem_printf("the store of these actions is gone; \"mailtide sync %s\", and then "
			"\"mailtide queue retry %s\"", name, name);

	output_note(SYNC_WARNING, name, NULL, text);
	free(text);
}

static int list_account(const struct cmd *cmd, const struct conf_account *account)
{
	struct listing l = { .name_account = cmd->word_count == 0 };
	int status = CMD_DONE;

	if (actions_open(&l.q, account, true, &status) < 0)
		return status;
	l.foreign = actions_are_foreign(&l.q);
	buf_init(&l.line, 0);
	buf_init(&l.what, 0);
	buf_init(&l.reason, 0);
	status = take_lines(&l);
	if (l.foreign)
		tell_foreign(&l);
	buf_release(&l.line);
	buf_release(&l.what);
	buf_release(&l.reason);
	actions_close(&l.q);
	return status;
}

int queue_list(const struct cmd *cmd)
{
	return cmd_each_account(cmd, list_account);
}

/* Which of them */

static const struct subcommand {
	const char *name, *words;
	size_t min; /* words, its name among them */
	bool any_more;
	bool force; /* is the option for it? */
	int (*run)(const struct cmd *cmd);
} subcommands[] = {
	{ "add", "ACCOUNT VERB ...", 2, true, true, queue_add },
	{ "retry", "ACCOUNT [N...]", 2, true, false, queue_retry },
	{ "drop", "ACCOUNT N...", 3, true, true, queue_drop },
	{ "edit", "ACCOUNT", 2, false, false, queue_edit },
};
#define SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

static int refuse_force(void)
{
	output_error(NULL, NULL, "--force is for \"queue add ACCOUNT delete\" and \"queue drop\" only");
	return CMD_USAGE;
}

static int run(const struct subcommand *s, const struct cmd *cmd)
{
	if (cmd->word_count < s->min) {
		output_error(NULL, NULL, "queue %s needs more: mailtide queue %s %s", s->name, s->name,
			s->words);
		return CMD_USAGE;
	}
	if (!s->any_more && cmd->word_count > s->min) {
		output_error(NULL, NULL, "queue %s: \"%s\" is too much", s->name, cmd->words[s->min]);
		return CMD_USAGE;
	}
	return cmd_has(cmd, "--force") && !s->force ? refuse_force() : s->run(cmd);
}

/* The first of several words is neither a subcommand nor, alone, an account. */
static int unknown(const char *name)
{
	struct similar similar;

	similar_to(&similar, name);
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		similar_add(&similar, subcommands[i].name);
	output_error(NULL, NULL, "there is no \"queue %s\"%s", name, similar.best ?
		similar_text(&similar) : "; see \"mailtide help queue\"");
	return CMD_USAGE;
}

int cmd_queue(const struct cmd *cmd)
{
	for (size_t i = 0; cmd->word_count > 0 && i < SUBCOMMANDS; i++)
		if (strcmp(cmd->words[0], subcommands[i].name) == 0)
			return run(&subcommands[i], cmd);
	if (cmd->word_count > 1)
		return unknown(cmd->words[0]);
	return cmd_has(cmd, "--force") ? refuse_force() : queue_list(cmd);
}
