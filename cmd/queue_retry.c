/* mailtide queue retry, drop: lines that speak of other actions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "queue.h"

#define NUMBERS_MAX 100000

struct about {
	struct actions q;
	const struct cmd *cmd;
	uint64_t *numbers;
	size_t count;
};

static int no_such(uint64_t number, struct err *err)
{
	return err_set(err, ERR_USER, ERR_MESSAGE, "there is no action %llu in the queue, or it is done",
		(unsigned long long)number);
}

/* Is it in the file? Lines that cannot be read are, too. */
static bool is_in_file(struct actions *q, uint64_t number)
{
	struct queue_action a;
	struct err err = { 0 };
	int rc = queue_next(q->queue, number - 1, &a, &err);
	bool is = rc != 0 && (rc > 0 || err.scope == ERR_MESSAGE) && a.number == number;

	if (rc > 0 || (rc < 0 && err.scope == ERR_MESSAGE))
		queue_action_release(&a);
	return is;
}

/* The state of an action, 0 for one that the store has not taken up. -1: there is none. */
static int state_of(struct actions *q, uint64_t number, struct err *err)
{
	struct store_action rec;
	int state = 0;

	store_action_init(&rec);
	if (store_action_get(q->store, number, &rec))
		state = rec.state;
	store_action_release(&rec);
	if (state == 0 && (number <= q->folded || !is_in_file(q, number)))
		return no_such(number, err);
	return state;
}

static int may_retry(struct about *o, uint64_t number, struct err *err)
{
	int state = state_of(&o->q, number, err);

	if (state < 0)
		return -1;
	if (state == 0 || state == STORE_ACTION_WAITING)
		return err_set(err, ERR_USER, ERR_MESSAGE, "action %llu has not failed, it waits",
			(unsigned long long)number);
	if (state == STORE_ACTION_INTENT)
		return err_set(err, ERR_USER, ERR_MESSAGE, "action %llu has not failed, it is being sent",
			(unsigned long long)number);
	return 0;
}

/* Of one that is on its way nobody knows yet whether it is done. */
static int may_drop(struct about *o, uint64_t number, struct err *err)
{
	int state = state_of(&o->q, number, err);

	if (state == STORE_ACTION_INTENT && !cmd_has(o->cmd, "--force"))
		return err_set(err, ERR_USER, ERR_MESSAGE, "action %llu is being sent, and may be done "
			"already; sync finds out, or drop it with --force", (unsigned long long)number);
	return state < 0 ? -1 : 0;
}

static void add_number(struct about *o, uint64_t number)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->numbers[i] == number)
			return;
	o->numbers = mem_grow(o->numbers, o->count + 1, sizeof *o->numbers);
	o->numbers[o->count++] = number;
}

static int read_number(const char *word, uint64_t *number, struct err *err)
{
	char *end;

	*number = strtoull(word, &end, 10);
	if (word[0] < '1' || word[0] > '9' || *end || strlen(word) > 18)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"\"%.60s\" is no number of an action; \"mailtide queue\" lists them", word);
	return 0;
}

static int read_numbers(struct about *o, int (*may)(struct about *o, uint64_t number,
	struct err *err), struct err *err)
{
	uint64_t number;

	for (size_t i = 2; i < o->cmd->word_count; i++) {
		if (read_number(o->cmd->words[i], &number, err) < 0)
			return -1;
		if (may(o, number, err) < 0)
			return -1;
		add_number(o, number);
	}
	return 0;
}

/* One line that names them all. */
static int say(struct about *o, enum queue_verb verb)
{
	struct queue_action a;
	struct buf list;
	int status;

	buf_init(&list, 0);
	for (size_t i = 0; i < o->count; i++)
		buf_addf(&list, "%s%llu", i > 0 ? "," : "", (unsigned long long)o->numbers[i]);
	queue_action_init(&a, verb, "");
	queue_action_set(&a, "action", buf_str(&list));
	if (verb == QUEUE_DROP && cmd_has(o->cmd, "--force"))
		queue_action_set(&a, "force", "yes");
	buf_release(&list);
	status = actions_accept(&o->q, &a, 1, false, NULL);
	queue_action_release(&a);
	return status;
}

/* Retry */

static void find_stuck(struct about *o)
{
	struct store_action rec;

	store_action_init(&rec);
	for (uint64_t after = 0; o->count < NUMBERS_MAX && store_action_next(o->q.store, after, &rec);) {
		after = rec.number;
		if (!queue_is_stuck(&rec))
			continue;
		o->numbers = mem_grow(o->numbers, o->count + 1, sizeof *o->numbers);
		o->numbers[o->count++] = rec.number;
	}
	store_action_release(&rec);
}

/* The store that the lines were made for is gone (R1). */
static int adopt(struct about *o)
{
	struct err err = { 0 };

	if (o->cmd->word_count > 2) {
		err_set(&err, ERR_USER, ERR_MESSAGE, "all actions are held, because they were made for "
			"another store; without a number retry takes all of them over");
		return actions_refuse(&o->q, &err);
	}
	if (actions_note_foreign(&o->q, &err) != 0)
		return actions_refuse(&o->q, &err);
	output_note(SYNC_WARNING, o->q.account->name, NULL, "the actions were made for another store "
		"and are taken over; those whose messages are not the same here will fail");
	if (queue_adopt(o->q.queue, &err) < 0)
		return actions_refuse(&o->q, &err);
	return actions_take_up(&o->q, NULL);
}

static int retry(struct about *o)
{
	struct err err = { 0 };

	if (actions_are_foreign(&o->q))
		return adopt(o);
	if (read_numbers(o, may_retry, &err) < 0)
		return actions_refuse(&o->q, &err);
	if (o->cmd->word_count == 2)
		find_stuck(o);
	if (o->count == 0) {
		if (output_tells_success())
			output_line("%s: nothing has failed", o->q.account->name);
		return CMD_DONE;
	}
	return say(o, QUEUE_RETRY);
}

/* Drop */

static bool is_kept(void *arg, uint64_t number)
{
	const struct about *o = arg;

	for (size_t i = 0; i < o->count; i++)
		if (o->numbers[i] == number)
			return false;
	return true;
}

static int may_leave_out(struct about *o, uint64_t number, struct err *err)
{
	return is_in_file(&o->q, number) ? 0 : no_such(number, err);
}

/* Lines of another store: this one knows nothing of them, and would hold a "drop", too. */
static int leave_out(struct about *o)
{
	struct err err = { 0 };

	if (read_numbers(o, may_leave_out, &err) < 0 ||
		queue_compact(o->q.queue, is_kept, o, &err) < 0)
		return actions_refuse(&o->q, &err);
	return CMD_DONE;
}

static int drop(struct about *o)
{
	struct err err = { 0 };

	if (actions_are_foreign(&o->q))
		return leave_out(o);
	if (read_numbers(o, may_drop, &err) < 0)
		return actions_refuse(&o->q, &err);
	return say(o, QUEUE_DROP);
}

static int run(const struct cmd *cmd, int (*what)(struct about *o))
{
	struct about o = { .cmd = cmd };
	int status = CMD_USAGE;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account *account = conf ? cmd_account(conf, cmd->words[1]) : NULL;

	if (account && actions_open(&o.q, account, false, &status) == 0) {
		status = what(&o);
		actions_close(&o.q);
	}
	free(o.numbers);
	conf_free(conf);
	return status;
}

int queue_retry(const struct cmd *cmd)
{
	return run(cmd, retry);
}

int queue_drop(const struct cmd *cmd)
{
	return run(cmd, drop);
}
