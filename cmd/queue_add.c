/* mailtide queue add: actions from the words of the command line, or from the lines of standard
 * input. All are made and checked before the first is written; one append makes all of them durable,
 * or none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "output.h"
#include "queue.h"

struct adding {
	struct actions q;
	struct queue_action *actions;
	size_t count;
	bool lines; /* standard input holds the actions, and no message */
};

/* One action's words. */
struct asked {
	struct adding *adding;
	const char **words; /* behind the verb */
	size_t count;
	bool force;
};

struct form {
	enum queue_verb verb;
	size_t min, max; /* words behind the verb */
	const char *words;
	int (*build)(const struct asked *asked, struct queue_action *a, struct err *err);
};

/* Verbs */

static void add_flag(struct buf *flags, const char *flag)
{
	if (flags->len > 0)
		buf_add_char(flags, ' ');
	buf_add_str(flags, flag);
}

/* An empty word would vanish between the blanks, and one with a blank become two. */
static int check_word(const char *flag, struct err *err)
{
	if (flag[0] && !strchr(flag, ' '))
		return 0;
	return err_set(err, ERR_USER, ERR_MESSAGE, "\"%.60s\" is no flag", flag);
}

/* +FLAG, -FLAG */
static int take_change(const char *word, struct buf *add, struct buf *remove, struct err *err)
{
	if (word[0] != '+' && word[0] != '-')
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"\"%.60s\": a flag is added as +FLAG, and taken away as -FLAG", word);
	if (check_word(word + 1, err) < 0)
		return -1;
	add_flag(word[0] == '+' ? add : remove, word + 1);
	return 0;
}

static int build_flag(const struct asked *asked, struct queue_action *a, struct err *err)
{
	struct buf add, remove;
	int rc = 0;

	buf_init(&add, 0);
	buf_init(&remove, 0);
	for (size_t i = 2; rc == 0 && i < asked->count; i++)
		rc = take_change(asked->words[i], &add, &remove, err);
	if (add.len > 0)
		queue_action_set(a, "add", buf_str(&add));
	if (remove.len > 0)
		queue_action_set(a, "remove", buf_str(&remove));
	buf_release(&add);
	buf_release(&remove);
	return rc < 0 ? -1 : which_resolve(&asked->adding->q, asked->words[1], a, err);
}

static int build_copy(const struct asked *asked, struct queue_action *a, struct err *err)
{
	queue_action_set(a, "to", queue_usual_name(asked->words[2]));
	return which_resolve(&asked->adding->q, asked->words[1], a, err);
}

static int build_which(const struct asked *asked, struct queue_action *a, struct err *err)
{
	return which_resolve(&asked->adding->q, asked->words[1], a, err);
}

static int build_name(const struct asked *asked, struct queue_action *a, struct err *err)
{
	(void)asked, (void)a, (void)err;
	return 0;
}

static int build_delete(const struct asked *asked, struct queue_action *a, struct err *err)
{
	(void)err;
	if (asked->force)
		queue_action_set(a, "force", "yes");
	return 0;
}

static int build_rename(const struct asked *asked, struct queue_action *a, struct err *err)
{
	(void)err;
	queue_action_set(a, "to", asked->words[1]);
	return 0;
}

/* Uploads */

/* *date: when it was delivered here (R5). -1: *err. */
static int open_message(const struct asked *asked, const char *path, int64_t *date, struct err *err)
{
	struct stat st;
	int fd;

	*date = time(NULL);
	if (strcmp(path, "-") == 0 && asked->adding->lines)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"standard input holds the actions, it cannot hold a message");
	if (strcmp(path, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not stop us */
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set(err, ERR_USER, ERR_MESSAGE, "cannot read \"%.200s\": %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_USER, ERR_MESSAGE, "\"%.200s\" is not a file", path);
	} else {
		*date = st.st_mtime > 0 ? st.st_mtime : *date;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static int store_message(const struct asked *asked, const char *path, struct queue_action *a,
	struct err *err)
{
	struct actions *q = &asked->adding->q;
	char hex[65], when[32];
	int64_t date;
	uint64_t size;
	int fd = open_message(asked, path, &date, err), rc;

	if (fd < 0)
		return -1;
	rc = queue_body_store(q->queue, fd, store_get_number(q->store, "server.append-limit"), hex, &size, err);
	close(fd);
	if (rc < 0)
		return err_prefix(err, "\"%.200s\"", path);
	output_time(date, when);
	queue_action_set(a, "sha256", hex);
	queue_action_set(a, "date", when);
	return 0;
}

static int build_append(const struct asked *asked, struct queue_action *a, struct err *err)
{
	struct store_mailbox box;
	struct buf flags;
	int rc = 0;

	/* First what costs nothing: queue_check tells that it is unknown. */
	if (!known_mailbox(&asked->adding->q, a->mailbox, &box))
		return 0;
	store_mailbox_release(&box);
	buf_init(&flags, 0);
	for (size_t i = 2; rc == 0 && i < asked->count; i++) {
		rc = check_word(asked->words[i], err);
		add_flag(&flags, asked->words[i]);
	}
	if (flags.len > 0)
		queue_action_set(a, "flags", buf_str(&flags));
	buf_release(&flags);
	return rc < 0 ? -1 : store_message(asked, asked->words[1], a, err);
}

#define MANY 1000000

static const struct form forms[] = {
	{ QUEUE_FLAG, 2, MANY, "MAILBOX WHICH +FLAG... -FLAG...", build_flag },
	{ QUEUE_COPY, 3, 3, "MAILBOX WHICH TO", build_copy },
	{ QUEUE_MOVE, 3, 3, "MAILBOX WHICH TO", build_copy },
	{ QUEUE_APPEND, 2, MANY, "MAILBOX FILE|- [FLAG...]", build_append },
	{ QUEUE_EXPUNGE, 2, 2, "MAILBOX WHICH", build_which },
	{ QUEUE_FETCH, 2, 2, "MAILBOX WHICH", build_which },
	{ QUEUE_CREATE, 1, 1, "MAILBOX", build_name },
	{ QUEUE_DELETE, 1, 1, "MAILBOX [--force]", build_delete },
	{ QUEUE_RENAME, 2, 2, "FROM TO", build_rename },
	{ QUEUE_SUBSCRIBE, 1, 1, "MAILBOX", build_name },
	{ QUEUE_UNSUBSCRIBE, 1, 1, "MAILBOX", build_name },
};
#define FORMS (sizeof forms / sizeof forms[0])

static const struct form *find_form(const char *verb, struct err *err)
{
	struct similar similar;

	similar_to(&similar, verb);
	for (size_t i = 0; i < FORMS; i++) {
		if (strcmp(queue_verb_name(forms[i].verb), verb) == 0)
			return &forms[i];
		similar_add(&similar, queue_verb_name(forms[i].verb));
	}
	err_set(err, ERR_USER, ERR_MESSAGE, "unknown verb \"%.60s\"%s", verb, similar.best ?
		similar_text(&similar) : "; \"mailtide help queue\" lists them");
	return NULL;
}

/* *a is untouched on -1. */
static int make_action(struct adding *adding, const char **words, size_t count, bool force,
	struct queue_action *a, struct err *err)
{
	const struct form *form = find_form(words[0], err);
	struct asked asked = { adding, words + 1, count - 1, force };
	struct queue_action made;

	if (!form)
		return -1;
	if (asked.count < form->min || asked.count > form->max)
		return err_set(err, ERR_USER, ERR_MESSAGE, "%s needs %s words: %s %s", words[0],
			asked.count < form->min ? "more" : "fewer", words[0], form->words);
	if (force && form->verb != QUEUE_DELETE)
		return err_set(err, ERR_USER, ERR_MESSAGE, "--force is for delete only");
	queue_action_init(&made, form->verb, queue_usual_name(words[1]));
	if (form->build(&asked, &made, err) < 0 || queue_check(&adding->q, &made, err) < 0) {
		queue_action_release(&made);
		return -1;
	}
	*a = made;
	return 0;
}

static int add_action(struct adding *adding, const char **words, size_t count, bool force,
	struct err *err)
{
	size_t n = adding->count;

	if ((n & (n - 1)) == 0) /* full, or 0 */
		adding->actions = mem_grow(adding->actions, n > 0 ? 2 * n : 1, sizeof *adding->actions);
	if (make_action(adding, words, count, force, &adding->actions[n], err) < 0)
		return -1;
	known_add(&adding->q, &adding->actions[n]);
	adding->count++;
	return 0;
}

/* Standard input */

/* "--force" is no word; behind "--" everything is. */
static bool take_options(const char **words, size_t *count)
{
	bool force = false, only_words = false;
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++) {
		if (!only_words && strcmp(words[i], "--") == 0)
			only_words = true;
		else if (!only_words && strcmp(words[i], "--force") == 0)
			force = true;
		else
			words[kept++] = words[i];
	}
	*count = kept;
	return force;
}

static int add_line(struct adding *adding, char *line, size_t len, struct err *err)
{
	const char **words = NULL;
	size_t count = 0;
	bool force;
	int rc;

	if (memchr(line, '\0', len))
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line has a NUL in it");
	if (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	if (len > 0 && line[len - 1] == '\r')
		return err_set(err, ERR_USER, ERR_MESSAGE, "the line ends with CR and LF, in place of LF");
	if (line[0] == '#')
		return 0;
	if (queue_words(line, &words, &count, err) < 0)
		return -1;
	force = take_options(words, &count);
	rc = count > 0 ? add_action(adding, words, count, force, err) : 0;
	free(words);
	return rc;
}

static int add_lines(struct adding *adding, struct err *err)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = 0;

	adding->lines = true;
	for (unsigned long number = 1; rc == 0; number++) {
		len = getline(&line, &size, stdin);
		if (len < 0)
			break;
		rc = add_line(adding, line, (size_t)len, err);
		if (rc < 0)
			err_prefix(err, "line %lu", number);
	}
	free(line);
	if (rc == 0 && ferror(stdin))
		return err_errno(err, ERR_RETRY, ERR_ACCOUNT, errno, "cannot read standard input");
	return rc;
}

/* The run */

static int add_words(struct adding *adding, const struct cmd *cmd, struct err *err)
{
	const char **words = cmd->words + 2;
	size_t count = cmd->word_count - 2;
	bool announced = count == 1 && strcmp(words[0], "-") == 0;

	if (count > 0 && !announced)
		return add_action(adding, words, count, cmd_has(cmd, "--force"), err);
	if (cmd_has(cmd, "--force"))
		return err_set(err, ERR_USER, ERR_MESSAGE, "--force is for delete only; among many actions it "
			"stands in the line of that one");
	if (!announced && isatty(STDIN_FILENO))
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"queue add needs a verb; \"mailtide help queue\" lists them");
	if (add_lines(adding, err) < 0)
		return -1;
	return announced || adding->count > 0 ? 0 : err_set(err, ERR_USER, ERR_MESSAGE,
		"queue add was given no action, and none came from standard input");
}

static int run(struct adding *adding, const struct cmd *cmd)
{
	struct err err = { 0 };

	if (actions_are_foreign(&adding->q)) {
		output_error(adding->q.account->name, NULL, "the queue holds actions of another store; "
			"\"mailtide queue %s\" shows them, \"mailtide queue retry %s\" takes them over",
			adding->q.account->name, adding->q.account->name);
		return CMD_USAGE;
	}
	if (add_words(adding, cmd, &err) < 0)
		return actions_refuse(&adding->q, &err);
	if (adding->count == 0)
		return CMD_DONE;
	return actions_accept(&adding->q, adding->actions, adding->count, true, NULL);
}

int queue_add(const struct cmd *cmd)
{
	struct adding adding = { .count = 0 };
	int status = CMD_USAGE;
	struct conf *conf = cmd_conf(cmd, &status);
	const struct conf_account *account = conf ? cmd_account(conf, cmd->words[1]) : NULL;

	if (account && actions_open(&adding.q, account, false, &status) == 0) {
		status = run(&adding, cmd);
		actions_close(&adding.q);
	}
	for (size_t i = 0; i < adding.count; i++)
		queue_action_release(&adding.actions[i]);
	free(adding.actions);
	conf_free(conf);
	return status;
}
