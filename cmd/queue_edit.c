/* mailtide queue edit: the waiting and failed lines in an editor, and back.
 *
 * Nothing is locked while somebody types. So what was sent meanwhile is looked for before anything is
 * written; what slips through is harmless, since a line that the store has taken up is read again
 * only because of the "retry" that follows its replacement, and that means nothing for one that is
 * done.
 *
 * All of it is one step (queue_change): until then nothing is changed, and the text, which may hold an
 * hour's work, stays in its file whatever goes wrong. */
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
#include "queue_edit.h"

static const char explanation[] =
	"# Change a line, and the action is done as you have written it. Delete one, and it is dropped.\n"
	"# A new one begins with \"-\" in the place of its number. The order is that of the numbers.\n"
	"# Between the fields is one TAB: number, time, verb, mailbox, messages, key=value...\n"
	"# mailtide-actions(5) tells more. Lines that begin with \"#\" mean nothing.\n"
	"\n";

/* Out: the text */

static void keep_original(struct editing *e, const struct queue_action *a, const char *line)
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
		keep_original(e, a, buf_str(&line));
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
	return rc < 0 ? -1 : file_read(e->path, &e->before, NULL, err);
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

/* What goes wrong */

/* Is there anything in the text that would be lost? */
static bool has_new_text(const struct editing *e)
{
	struct buf now;
	int error = 0;
	bool has;

	buf_init(&now, 0);
	if (file_read(e->path, &now, &error, NULL) < 0)
		has = error != ENOENT;
	else
		has = now.len > 0 && (now.len != e->before.len || memcmp(now.data, e->before.data, now.len) != 0);
	buf_release(&now);
	return has;
}

/* Returns `status`. */
static int give_up(struct editing *e, int status)
{
	const char *name = e->q.account->name;

	e->keep = has_new_text(e);
	if (e->keep)
		output_error(name, NULL, "nothing is changed; the text is in \"%s\": take it from there into "
			"another \"mailtide queue edit %s\"", e->path, name);
	else
		output_error(name, NULL, "nothing is changed");
	return status;
}

/* They are changed, and yet it has failed. */
static int tell_doubt(struct editing *e, const struct err *err)
{
	e->keep = true;
	actions_refuse(&e->q, err);
	output_error(e->q.account->name, NULL, "the actions are changed, but a loss of power may undo that; the "
		"text is in \"%s\"", e->path);
	return err_exit_status(err);
}

/* The run */

static int open_actions(struct editing *e, const struct conf_account *account, int *status)
{
	if (actions_open(&e->q, account, false, status) < 0)
		return -1;
	if (!actions_are_foreign(&e->q))
		return 0;
	output_error(account->name, NULL, "the actions were made for another store; "
		"\"mailtide queue retry %s\" takes them over first", account->name);
	*status = CMD_USAGE;
	return -1;
}

static int take_back(struct editing *e, struct slice text)
{
	struct err err = { 0 };
	int status = CMD_DONE, rc = edited_read(e, text, &err);

	if (rc == 0)
		rc = edited_put(e, &status, &err);
	if (rc < 0)
		return give_up(e, actions_refuse(&e->q, &err));
	return rc > 0 ? tell_doubt(e, &err) : status;
}

static int read_back(struct editing *e)
{
	struct err err = { 0 };
	struct buf text;
	int status = CMD_DONE;

	buf_init(&text, 0);
	if (file_read(e->path, &text, NULL, &err) < 0)
		status = give_up(e, actions_refuse(&e->q, &err));
	else if (open_actions(e, e->q.account, &status) < 0)
		give_up(e, status);
	else
		status = take_back(e, buf_slice(&text));
	buf_release(&text);
	return status;
}

static int edit(struct editing *e)
{
	struct err err = { 0 };

	if (write_text(e, &err) < 0)
		return actions_refuse(&e->q, &err);
	actions_close(&e->q); /* what is written meanwhile is to be seen */
	if (run_editor(e->path, &err) < 0)
		return give_up(e, actions_refuse(&e->q, &err));
	return read_back(e);
}

int queue_edit(const struct cmd *cmd)
{
	struct editing e = { .path = NULL };
	int status = CMD_USAGE;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account *account = conf ? cmd_account(conf, cmd->words[1]) : NULL;

	buf_init(&e.before, 0);
	if (account && open_actions(&e, account, &status) == 0)
		status = edit(&e);
	if (e.path && !e.keep)
		unlink(e.path);
	free(e.path);
	buf_release(&e.before);
	edited_release(&e);
	actions_close(&e.q);
	conf_free(conf);
	return status;
}
