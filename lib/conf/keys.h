/* The keys of the configuration: tables that both libconfuse and we read. */
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

enum {
	CONF_LIST = 1,     /* several values in braces */
	CONF_PERSONAL = 2, /* of a person, not of a provider: no place in a provider's settings */
};

struct conf_key {
	const char *name;
	/* 0, or -1 with one sentence that names the key */
	int (*take)(struct conf_taking *t);
	unsigned flags;
};

/* Each table ends with a NULL name. The keys of a section are keys of an account, too, its
 * defaults. */
extern const struct conf_key conf_account_keys[]; /* keys.c */
extern const struct conf_key conf_server_keys[];  /* keys_server.c */
extern const struct conf_key conf_replay_keys[];  /* keys_replay.c */
extern const struct conf_key conf_section_keys[]; /* keys_rules.c */
/* All that an account may hold; NULL ends the list. */
extern const struct conf_key *const conf_key_tables[];
enum { CONF_ACCOUNT_KEYS_MAX = 64, CONF_SECTION_KEYS_MAX = 8 };

#endif
