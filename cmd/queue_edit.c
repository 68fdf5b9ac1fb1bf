/* mailtide queue edit: the waiting and failed lines in an editor, and back.
 *
 * Nothing is locked while somebody types. So what was sent meanwhile is looked for before anything is
 * written; what slips through is harmless, since a line that the store has taken up is read again
 * only because of the "retry" that follows its replacement, and that means nothing for one that is
 * done. Until all of the text is checked nothing is changed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd.h"
#include "output.h"
#include "queue.h"

struct original {
	uint64_t number;
	char *line;
	bool seen, changed;
};

struct editing {
	struct actions q;
	char *path; /* of the text */
	struct original *originals;
	size_t original_count;
	struct queue_action *changed, *added;
	size_t changed_count, added_count;
	unsigned long line; /* being read */
	bool any; /* line at all */
};

static const char explanation[] =
	"# Change a line, and the action is done as you have written it. Delete one, and it is dropped.\n"
	"# A new one begins with \"-\" in the place of its number. The order is that of the numbers.\n"
	"# Between the fields is one TAB: number, time, verb, mailbox, messages, key=value...\n"
	"# mailtide-actions(5) tells more. Lines that begin with \"#\" mean nothing.\n"
	"\n";

/* Out: the text */

static void keep(struct editing *e, const struct queue_action *a, const char *line)
{
	size_t n = e->original_count;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		e->originals = mem_grow(e->originals, n > 0 ? 2 * n : 1, sizeof *e->originals);
	e->originals[e->original_count++] =
		(struct original){ .number = a->number, .line = mem_copy(line) };
}

/* `rec` is NULL for a line that the store has not taken up. */
static void write_line(struct editing *e, FILE *f, const struct queue_action *a,
	const struct store_action *rec)
{
	bool fixed = rec && rec->state == STORE_ACTION_INTENT;
	struct buf line, why;

	buf_init(&line, 0);
	buf_init(&why, 0);
	queue_action_print(a, &line);
	queue_explain(rec, &why);
	if (fixed)
		fprintf(f, "# being sent, not to be changed: %s\n", buf_str(&line));
	else if (why.len > 0)
		fprintf(f, "# %s: %s\n", queue_state_name(rec), buf_str(&why));
	if (!fixed) {
		fprintf(f, "%s\n", buf_str(&line));
		keep(e, a, buf_str(&line));
	}
	buf_release(&line);
	buf_release(&why);
}

static void write_action(struct editing *e, FILE *f, const struct queue_action *a)
{
	struct store_action rec;
	bool found;

	if (a->verb == QUEUE_RETRY || a->verb == QUEUE_DROP)
		return;
	store_action_init(&rec);
	found = store_action_get(e->q.store, a->number, &rec);
	if (found || a->number > e->q.folded)
		write_line(e, f, a, found ? &rec : NULL);
	store_action_release(&rec);
}

/* queue_next has given no more of it than the number. */
static void write_unreadable(const struct editing *e, FILE *f, uint64_t number, const char *why)
{
	struct store_action rec;

	store_action_init(&rec);
	if (number > e->q.folded || store_action_get(e->q.store, number, &rec))
		fprintf(f, "# %llu cannot be read: %s\n", (unsigned long long)number, why);
	store_action_release(&rec);
}

static int write_actions(struct editing *e, FILE *f, struct err *err)
{
	struct queue_action a;
	uint64_t after = 0;
	int rc;

	fputs(explanation, f);
	while ((rc = queue_next(e->q.queue, after, &a, err)) != 0) {
		if (rc < 0 && err->scope != ERR_MESSAGE)
			return -1;
		after = a.number ? a.number : after;
		if (rc > 0)
			write_action(e, f, &a);
		else
			write_unreadable(e, f, a.number, err->text);
		queue_action_release(&a);
	}
	return 0;
}

static int write_text(struct editing *e, struct err *err)
{
	int fd, rc;
	FILE *f;

	e->path = file_join(e->q.account->state, "edit.XXXXXX");
	fd = mkstemp(e->path);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		rc = err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot create \"%s\"", e->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = write_actions(e, f, err);
	bool failed = ferror(f);
	if ((fclose(f) != 0 || failed) && rc == 0)
		rc = err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot write \"%s\"", e->path);
	return rc;
}

/* The editor */

static const char *editor(void)
{
	const char *visual = getenv("VISUAL"), *plain = getenv("EDITOR");

	if (visual && visual[0])
		return visual;
	return plain && plain[0] ? plain : "vi";
}

/* It may be a command with words of its own, so a shell reads it. */
static void become_editor(const char *path)
{
	char *command = mem_printf("%s \"$1\"", editor());

	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
	_exit(127);
}

static int run_editor(const char *path, struct err *err)
{
	int status = 0;
	pid_t child, ended;

	signal(SIGINT, SIG_IGN); /* ^C is the editor's */
	child = fork();
	if (child == 0)
		become_editor(path);
	do
		ended = child < 0 ? -1 : waitpid(child, &status, 0);
	while (ended < 0 && child > 0 && errno == EINTR);
	signal(SIGINT, SIG_DFL);
	if (ended < 0)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot run \"%s\"", editor());
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_USER, ERR_MESSAGE, "\"%s\" has failed", editor());
	return 0;
}

/* Back */

static struct original *find_original(struct editing *e, uint64_t number)
{
	for (size_t i = 0; i < e->original_count; i++)
		if (e->originals[i].number == number)
			return &e->originals[i];
	return NULL;
}

static void add(struct queue_action **list, size_t *count, struct queue_action *a)
{
	size_t n = *count;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		*list = mem_grow(*list, n > 0 ? 2 * n : 1, sizeof **list);
	(*list)[(*count)++] = *a;
}

/* *a moves into a list, but on -1. */
static int take_action(struct editing *e, struct queue_action *a, const char *line, struct err *err)
{
	struct original *o = a->number ? find_original(e, a->number) : NULL;

	if (a->number && !o)
		return err_set(err, ERR_USER, ERR_MESSAGE, "there was no action %llu in this text; a new one "
			"begins with \"-\"", (unsigned long long)a->number);
	if (o && o->seen)
		return err_set(err, ERR_USER, ERR_MESSAGE, "action %llu is there twice",
			(unsigned long long)a->number);
	if (o)
		o->seen = true;
	if (o && strcmp(o->line, line) == 0) {
		queue_action_release(a);
		return 0;
	}
	e->q.before = a->number;
	if (queue_check(&e->q, a, err) < 0)
		return -1;
	known_add(&e->q, a);
	if (o)
		o->changed = true;
	if (o)
		add(&e->changed, &e->changed_count, a);
	else
		add(&e->added, &e->added_count, a);
	return 0;
}

static int take_line(struct editing *e, char *line, size_t len, struct err *err)
{
	struct queue_action a;

	e->any = true;
	if (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	if (len == 0 || line[0] == '#')
		return 0;
	if (queue_action_parse((struct slice){ line, len }, &a, err) < 0)
		return -1;
	if (take_action(e, &a, line, err) == 0)
		return 0;
	queue_action_release(&a);
	return -1;
}

static int read_text(struct editing *e, struct err *err)
{
	FILE *f = fopen(e->path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = 0;

	if (!f)
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot read \"%s\"", e->path);
	for (e->line = 1; rc == 0 && (len = getline(&line, &size, f)) >= 0; e->line++) {
		rc = take_line(e, line, (size_t)len, err);
		if (rc < 0)
			err_prefix(err, "line %lu", e->line);
	}
	if (rc == 0 && ferror(f))
		rc = err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot read \"%s\"", e->path);
	if (rc == 0 && !e->any)
		rc = err_set(err, ERR_USER, ERR_MESSAGE, "the text is empty; to drop all actions leave its "
			"first line");
	free(line);
	fclose(f);
	return rc;
}

/* What was sent or done while somebody typed is not to be changed any more. */
static int check_original(struct editing *e, const struct original *o, struct err *err)
{
	struct store_action rec;
	int rc = 0;

	if (o->seen && !o->changed)
		return 0;
	store_action_init(&rec);
	if (store_action_get(e->q.store, o->number, &rec))
		rc = rec.state != STORE_ACTION_INTENT ? 0 : err_set(err, ERR_USER, ERR_MESSAGE,
			"action %llu is being sent now", (unsigned long long)o->number);
	else if (o->number <= e->q.folded)
		rc = err_set(err, ERR_USER, ERR_MESSAGE, "action %llu was done meanwhile",
			(unsigned long long)o->number);
	store_action_release(&rec);
	return rc;
}

static void add_about(struct editing *e, enum queue_verb verb, const struct buf *numbers)
{
	struct queue_action a;

	if (numbers->len == 0)
		return;
	queue_action_init(&a, verb, "");
	queue_action_set(&a, "action", buf_str(numbers));
	if (verb == QUEUE_RETRY)
		queue_action_set(&a, "edited", "yes"); /* its line is to be read again */
	add(&e->added, &e->added_count, &a);
}

/* One line for all that are changed, one for all that are dropped. */
static void add_abouts(struct editing *e)
{
	struct buf changed, dropped;

	buf_init(&changed, 0);
	buf_init(&dropped, 0);
	for (size_t i = 0; i < e->original_count; i++) {
		struct original *o = &e->originals[i];
		struct buf *to = o->changed ? &changed : !o->seen ? &dropped : NULL;
		if (to)
			buf_addf(to, "%s%llu", to->len ? "," : "", (unsigned long long)o->number);
	}
	add_about(e, QUEUE_RETRY, &changed);
	add_about(e, QUEUE_DROP, &dropped);
	buf_release(&changed);
	buf_release(&dropped);
}

static int write_back(struct editing *e, struct err *err)
{
	for (size_t i = 0; i < e->original_count; i++)
		if (check_original(e, &e->originals[i], err) < 0)
			return -1;
	for (size_t i = 0; i < e->changed_count; i++)
		if (queue_replace(e->q.queue, &e->changed[i], err) < 0)
			return -1;
	add_abouts(e);
	return 0;
}

/* The text may hold an hour's work. */
static int keep_text(struct editing *e, const struct err *err)
{
	int status = actions_refuse(&e->q, err);

	output_error(e->q.account->name, NULL, "nothing is changed; the text is in \"%s\"", e->path);
	free(e->path);
	e->path = NULL;
	return status;
}

static int edit(struct editing *e)
{
	const struct conf_account *account = e->q.account;
	struct err err = { 0 };
	int status = CMD_DONE;

	if (write_text(e, &err) < 0)
		return actions_refuse(&e->q, &err);
	actions_close(&e->q); /* what is written meanwhile is to be seen */
	if (run_editor(e->path, &err) < 0)
		return actions_refuse(&e->q, &err);
	if (actions_open(&e->q, account, false, &status) < 0)
		return status;
	if (read_text(e, &err) < 0 || write_back(e, &err) < 0)
		return keep_text(e, &err);
	if (e->added_count > 0)
		return actions_accept(&e->q, e->added, e->added_count, true, NULL);
	if (output_tells_success())
		output_line("%s: nothing is changed", account->name);
	return CMD_DONE;
}

static void release(struct editing *e)
{
	if (e->path)
		unlink(e->path);
	for (size_t i = 0; i < e->original_count; i++)
		free(e->originals[i].line);
	for (size_t i = 0; i < e->changed_count; i++)
		queue_action_release(&e->changed[i]);
	for (size_t i = 0; i < e->added_count; i++)
		queue_action_release(&e->added[i]);
	free(e->path);
	free(e->originals);
	free(e->changed);
	free(e->added);
	actions_close(&e->q);
}

int queue_edit(const struct cmd *cmd)
{
	struct editing e = { .line = 0 };
	int status = CMD_USAGE;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account *account = conf ? cmd_account(conf, cmd->words[1]) : NULL;

	if (account && actions_open(&e.q, account, false, &status) == 0) {
		if (actions_are_foreign(&e.q)) {
			output_error(account->name, NULL, "the actions were made for another store; "
				"\"mailtide queue retry %s\" takes them over first", account->name);
			status = CMD_USAGE;
		} else {
			status = edit(&e);
		}
		release(&e);
	}
	conf_free(conf);
	return status;
}
