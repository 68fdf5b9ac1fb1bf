#include "conf/tree.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/keys.h"
#include "conf/near.h"

/* libconfuse's callbacks carry nothing of ours, and its lexer is one for the process, so one tree is
 * read at a time. */
static struct conf_tree *reading;

/* The key of this section that was probably meant, or NULL. */
static const char *nearest(const cfg_t *section, const char *name)
{
	struct conf_near near;

	conf_near_init(&near, name);
	for (const cfg_opt_t *opt = section->opts; opt->name != NULL; opt++)
		conf_near_try(&near, opt->name);
	return near.found;
}

static bool is_key(const char *name)
{
	if (strcmp(name, "account") == 0 || strcmp(name, "mailbox") == 0 ||
		strcmp(name, "profile") == 0)
		return true;
	for (const struct conf_key *const *table = conf_key_tables; *table != NULL; table++) {
		for (const struct conf_key *k = *table; k->name != NULL; k++) {
			if (strcmp(k->name, name) == 0)
				return true;
		}
	}
	return false;
}

static void explain_unknown(const cfg_t *section, const char *name, struct err *err)
{
	const char *other = nearest(section, name);
	bool root = section->title == NULL;

	if (is_key(name) && reading->provider)
		err_set(err, ERR_USER, ERR_ACCOUNT,
			"\"%s\" has no place in a provider's settings", name);
	else if (is_key(name) && root)
		err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" stands outside of an account", name);
	else if (is_key(name))
		err_set(err, ERR_USER, ERR_ACCOUNT, "\"%s\" cannot stand in %s \"%s\"; "
			"is a \"}\" missing before it?", name, section->name, section->title);
	else if (other != NULL)
		err_set(err, ERR_USER, ERR_ACCOUNT, "unknown key \"%s\"; did you mean \"%s\"?",
			name, other);
	else
		err_set(err, ERR_USER, ERR_ACCOUNT, "unknown key \"%s\"", name);
}

/* libconfuse's sentences in our words; what is not here is shown as it comes. */
static const struct {
	const char *theirs, *ours;
} sentences[] = {
	{ "missing equal sign after option '%s'", "\"=\" is missing after \"%s\"" },
	{ "missing opening brace for section '%s'", "\"{\" is missing after the name of \"%s\"" },
	{ "missing title for section '%s'", "\"%s\" needs a name in quotes, then \"{\"" },
	{ "found duplicate title '%s'", "another section here already has the name \"%s\"" },
	{ "attempt to append to non-list option '%s'", "\"%s\" takes one value: \"=\", not \"+=\"" },
	{ "unexpected token '%s'", "unexpected \"%s\"" },
	{ "bad escape sequence '%s'", "\"%s\" means nothing; text with \\ stands in single quotes" },
	{ "invalid octal number '%s'", "\"%s\" means nothing; text with \\ stands in single quotes" },
	{ "premature end of file", "the text ends in the middle" },
};

static void on_error(cfg_t *section, const char *fmt, va_list ap)
{
	struct err *err = reading->err;
	const char *ours = fmt;
	char text[400];

	if (err->cls != ERR_NONE) /* the first one is the true one */
		return;
	if (strcmp(fmt, "no such option '%s'") == 0) {
		explain_unknown(section, va_arg(ap, const char *), err);
	} else {
		for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
			if (strcmp(fmt, sentences[i].theirs) == 0)
				ours = sentences[i].ours;
		}
		vsnprintf(text, sizeof text, ours, ap);
		err_set(err, ERR_USER, ERR_ACCOUNT, "%s", text);
	}
	conf_source_blame(&reading->source, (size_t)section->line, err);
}

/* Each value passes here, so this is where its line is known. */
static int on_value(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	struct conf_tree *tree = reading;
	size_t line = (size_t)section->line;

	if (*value == '\0') {
		conf_source_error(&tree->source, line, tree->err, "\"%s\" is empty", opt->name);
		return -1;
	}
	for (const char *p = value; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			conf_source_error(&tree->source, line, tree->err,
				"\"%s\" holds a control character", opt->name);
			return -1;
		}
	}
	tree->marks = mem_grow(tree->marks, tree->mark_count + 1, sizeof *tree->marks);
	tree->marks[tree->mark_count++] = (struct conf_mark){ opt, opt->nvalues - 1, line };
	*(const char **)result = value;
	return 0;
}

static size_t add_keys(cfg_opt_t *opts, size_t n, const struct conf_key *keys)
{
	for (; keys->name != NULL; keys++) {
		if (reading->provider && (keys->flags & CONF_PERSONAL) != 0)
			continue;
		INVARIANT(n < CONF_ACCOUNT_KEYS_MAX);
		if ((keys->flags & CONF_LIST) != 0)
			opts[n++] = (cfg_opt_t)CFG_STR_LIST_CB(keys->name, NULL,
				CFGF_NODEFAULT, on_value);
		else
			opts[n++] = (cfg_opt_t)CFG_STR_CB(keys->name, NULL,
				CFGF_NODEFAULT, on_value);
	}
	return n;
}

static size_t add_account_keys(cfg_opt_t *opts)
{
	size_t n = 0;

	for (const struct conf_key *const *table = conf_key_tables; *table != NULL; table++)
		n = add_keys(opts, n, *table);
	return n;
}

/* libconfuse copies the whole grammar. */
static cfg_t *init_grammar(cfg_opt_t *root)
{
	cfg_t *cfg = cfg_init(root, CFGF_NONE);

	if (cfg == NULL)
		abort();
	cfg_set_error_function(cfg, on_error);
	return cfg;
}

static cfg_t *new_grammar(void)
{
	const cfg_flag_t flags = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	const cfg_opt_t end = CFG_END();
	cfg_opt_t mailbox[CONF_SECTION_KEYS_MAX + 1], profile[CONF_SECTION_KEYS_MAX + 2];
	cfg_opt_t account[CONF_ACCOUNT_KEYS_MAX + 3];
	cfg_opt_t root[] = { CFG_SEC("account", account, flags), CFG_END() };
	size_t n;

	n = add_keys(mailbox, 0, conf_section_keys);
	mailbox[n] = end;
	n = add_keys(profile, 0, conf_section_keys);
	profile[n++] = (cfg_opt_t)CFG_SEC("mailbox", mailbox, flags);
	profile[n] = end;
	n = add_account_keys(account);
	account[n++] = (cfg_opt_t)CFG_SEC("mailbox", mailbox, flags);
	account[n++] = (cfg_opt_t)CFG_SEC("profile", profile, flags);
	account[n] = end;
	return init_grammar(root);
}

static cfg_t *new_provider_grammar(void)
{
	cfg_opt_t root[CONF_ACCOUNT_KEYS_MAX + 1];

	root[add_account_keys(root)] = (cfg_opt_t)CFG_END();
	return init_grammar(root);
}

static int by_key(const void *a, const void *b)
{
	const struct conf_mark *x = a, *y = b;

	if (x->opt != y->opt)
		return (uintptr_t)x->opt < (uintptr_t)y->opt ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int sort_marks(struct conf_tree *tree)
{
	const struct conf_mark *again = NULL;
	size_t first = 0;

	if (tree->mark_count > 0)
		qsort(tree->marks, tree->mark_count, sizeof *tree->marks, by_key);
	for (size_t i = 1; i < tree->mark_count; i++) {
		const struct conf_mark *m = &tree->marks[i];

		if (m->opt != m[-1].opt || m->index != m[-1].index)
			continue;
		if (again == NULL || m->line < again->line) {
			again = m;
			first = m[-1].line;
		}
	}
	if (again == NULL)
		return 0;
	return conf_source_error(&tree->source, again->line, tree->err,
		"\"%s\" is given again; it stands on line %u already", again->opt->name,
		conf_source_origin(&tree->source, first).line);
}

static int parse(struct conf_tree *tree)
{
	FILE *fp = fmemopen(tree->source.text.data, tree->source.text.len, "r");
	int rc;

	if (fp == NULL)
		abort();
	reading = tree;
	tree->root = tree->provider ? new_provider_grammar() : new_grammar();
	rc = cfg_parse_fp(tree->root, fp);
	reading = NULL;
	fclose(fp);
	if (rc != CFG_SUCCESS && tree->err->cls == ERR_NONE)
		conf_source_error(&tree->source, (size_t)tree->root->line, tree->err,
			"this cannot be read");
	return rc == CFG_SUCCESS ? sort_marks(tree) : -1;
}

static int read_tree(struct conf_tree *tree, bool provider, const char *path, struct err *err)
{
	struct err reason;
	int rc;

	*tree = (struct conf_tree){ .provider = provider, .err = &reason };
	err_clear(&reason);
	rc = conf_source_read(&tree->source, path, &reason);
	if (rc == 0)
		rc = parse(tree);
	tree->err = NULL;
	if (rc != 0 && err != NULL)
		*err = reason;
	return rc;
}

int conf_tree_read(struct conf_tree *tree, const char *path, struct err *err)
{
	return read_tree(tree, false, path, err);
}

int conf_tree_read_provider(struct conf_tree *tree, const char *path, struct err *err)
{
	return read_tree(tree, true, path, err);
}

static void wipe_password(cfg_t *account)
{
	char *password = cfg_getstr(account, "password");

	if (password != NULL)
		mem_wipe(password, strlen(password));
}

void conf_tree_release(struct conf_tree *tree)
{
	if (tree->root != NULL) {
		for (size_t i = 0; !tree->provider && i < conf_tree_account_count(tree); i++)
			wipe_password(conf_tree_account(tree, i));
		cfg_free(tree->root);
	}
	free(tree->marks);
	conf_source_release(&tree->source);
}

size_t conf_tree_account_count(const struct conf_tree *tree)
{
	return cfg_size(tree->root, "account");
}

cfg_t *conf_tree_account(const struct conf_tree *tree, size_t i)
{
	return cfg_getnsec(tree->root, "account", (unsigned)i);
}

size_t conf_tree_account_line(const struct conf_tree *tree, size_t i)
{
	INVARIANT(i < tree->source.block_count);
	return tree->source.blocks[i];
}

size_t conf_tree_line(const struct conf_tree *tree, const cfg_opt_t *opt, unsigned index)
{
	struct conf_mark wanted = { opt, index, 0 };
	size_t low = 0, high = tree->mark_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_key(&tree->marks[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == tree->mark_count || tree->marks[low].opt != opt ||
		tree->marks[low].index != index)
		return 0;
	return tree->marks[low].line;
}
