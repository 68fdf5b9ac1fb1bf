/* libconfuse and what it has read: sections and keys with the lines where they stand. */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include <confuse.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "conf/source.h"

struct conf_mark {
	const cfg_opt_t *opt;
	unsigned index; /* of the value, in a list */
	size_t line;    /* of the source's text */
};

struct conf_tree {
	struct conf_source source;
	bool provider; /* the settings of a provider: `root` is like an account, without sections */
	cfg_t *root;
	struct conf_mark *marks; /* by opt and index */
	size_t mark_count;
	struct err *err; /* while it is read */
};

/* To be released in any case. ERR_USER with FILE:LINE in front. */
int conf_tree_read(struct conf_tree *tree, const char *path, struct err *err);
int conf_tree_read_provider(struct conf_tree *tree, const char *path, struct err *err);
void conf_tree_release(struct conf_tree *tree);

size_t conf_tree_account_count(const struct conf_tree *tree);
cfg_t *conf_tree_account(const struct conf_tree *tree, size_t i);
/* The text line in which its section begins. */
size_t conf_tree_account_line(const struct conf_tree *tree, size_t i);
/* The text line of a value; 0 where the key does not stand there. */
size_t conf_tree_line(const struct conf_tree *tree, const cfg_opt_t *opt, unsigned index);

#endif
