/* The keys of the configuration: one table that both libconfuse and we read. */
#ifndef CONF_KEYS_H
#define CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "conf/conf.h"

/* One value on its way into an account or a section. */
struct conf_taking {
	struct conf_account *account;
	struct conf_section *section;
	const char *key, *value;
	const char *folder; /* of the file that it stands in, absolute */
	struct err *err;
};

struct conf_key {
	const char *name;
	/* 0, or -1 with one sentence that names the key */
	int (*take)(struct conf_taking *t);
	bool list;
};

/* Ended by a NULL name. The keys of a section are keys of an account, too, its defaults. */
extern const struct conf_key conf_account_keys[];
extern const struct conf_key conf_section_keys[];
enum { CONF_ACCOUNT_KEYS_MAX = 64, CONF_SECTION_KEYS_MAX = 8 };

#endif
