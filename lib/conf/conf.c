/* The configuration, in the order in which it comes about: source.c and scan.c make one clean text
 * of the files, tree.c has libconfuse read it, account.c takes the keys (keys.c) with their values
 * (values.c) into the structs of conf.h, and what concerns all accounts is checked here. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "conf/account.h"
#include "conf/tree.h"

/* Where an account lives, symbolic links followed as far as the folders exist. */
struct place {
	char *maildir, *state;
};

static char *true_path(const char *path)
{
	char *real = realpath(path, NULL);

	return real != NULL ? real : mem_copy(path);
}

static bool is_within(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* One account would take the other's mail for its own. */
static int check_pair(const struct conf_account *first, const struct place *a,
	const struct conf_account *second, const struct place *b, struct err *err)
{
	if (strcmp(a->state, b->state) == 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"accounts \"%s\" and \"%s\" share the state \"%s\"", first->name,
			second->name, second->state);
	if (strcmp(a->maildir, b->maildir) == 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"accounts \"%s\" and \"%s\" share the maildir \"%s\"", first->name,
			second->name, second->maildir);
	if (is_within(a->maildir, b->maildir) || is_within(b->maildir, a->maildir))
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"the maildirs of accounts \"%s\" and \"%s\" lie one in the other",
			first->name, second->name);
	return 0;
}

static int check_places(const struct conf *conf, const struct place *places,
	const struct conf_tree *tree, struct err *err)
{
	for (size_t i = 1; i < conf->account_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (check_pair(&conf->accounts[j], &places[j], &conf->accounts[i],
				    &places[i], err) != 0)
				return conf_source_blame(&tree->source,
					conf_tree_account_line(tree, i), err);
		}
	}
	return 0;
}

static int check_accounts(const struct conf *conf, const struct conf_tree *tree, struct err *err)
{
	struct place *places = mem_new(conf->account_count * sizeof *places);
	int rc;

	for (size_t i = 0; i < conf->account_count; i++) {
		places[i].maildir = true_path(conf->accounts[i].maildir);
		places[i].state = true_path(conf->accounts[i].state);
	}
	rc = check_places(conf, places, tree, err);
	for (size_t i = 0; i < conf->account_count; i++) {
		free(places[i].maildir);
		free(places[i].state);
	}
	free(places);
	return rc;
}

static int read_accounts(struct conf *conf, const struct conf_tree *tree, struct err *err)
{
	size_t n = conf_tree_account_count(tree);

	if (n == 0)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "%s: no account stands in it",
			tree->source.files[0].path);
	conf->accounts = mem_new(n * sizeof *conf->accounts);
	for (size_t i = 0; i < n; i++) {
		if (conf_account_read(&conf->accounts[conf->account_count++], tree, i, err) != 0)
			return -1;
	}
	return check_accounts(conf, tree, err);
}

struct conf *conf_read(const char *path, struct err *err)
{
	struct conf_tree tree;
	struct conf *conf = NULL;

	if (conf_tree_read(&tree, path, err) == 0) {
		conf = mem_new(sizeof *conf);
		if (read_accounts(conf, &tree, err) != 0) {
			conf_free(conf);
			conf = NULL;
		}
	}
	conf_tree_release(&tree);
	return conf;
}

void conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->account_count; i++)
		conf_account_release(&conf->accounts[i]);
	free(conf->accounts);
	free(conf);
}

char *conf_default_path(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME");

	/* XDG: a relative path is to be ignored. */
	if (folder != NULL && folder[0] == '/')
		return file_join(folder, "mailtide/mailtide.conf");
	return file_expand("~/.config/mailtide/mailtide.conf");
}

const struct conf_account *conf_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->account_count; i++) {
		if (strcmp(conf->accounts[i].name, name) == 0)
			return &conf->accounts[i];
	}
	return NULL;
}
