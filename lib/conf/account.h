/* From what libconfuse has read to the plain structs of conf.h. */
#ifndef CONF_ACCOUNT_H
#define CONF_ACCOUNT_H

#include "conf/conf.h"
#include "conf/tree.h"

/* The i-th account of the tree. ERR_USER with FILE:LINE in front. To be released in any case. */
int conf_account_read(struct conf_account *account, const struct conf_tree *tree, size_t i,
	struct err *err);
void conf_account_release(struct conf_account *account);

#endif
