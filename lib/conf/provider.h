/* The settings of mail providers: what is known of a server that many people use, so that an
 * account need not say it. One file each, NAME.conf: keys of an account without the account. */
#ifndef CONF_PROVIDER_H
#define CONF_PROVIDER_H

#include "base/err.h"
#include "conf/tree.h"

/* Reads the settings of `name`, in any case, from the first of these folders that has them:
 *
 *	$MAILTIDE_DATADIR/providers
 *	MAILTIDE_DATADIR "/providers"    as compiled, so as installed
 *	../conf/providers                from the program's folder: a build that runs in its tree
 *
 * They say where the password goes, so the file must belong to us, to root or to whom the program
 * belongs, and not be open for writing to all. 0; -1 with "FILE:LINE: what is wrong" in it; or 1:
 * the sentence has no place yet, the caller says in which line the provider was asked for. `tree` is
 * to be released in any case. ERR_USER. */
int conf_provider_read(struct conf_tree *tree, const char *name, struct err *err);

#endif
