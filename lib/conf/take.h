/* What the keys' own functions (keys*.c) have in common: a value into a field of one type. Each
 * gives 0, or -1 with one sentence that names the key; then *out is as it was. */
#ifndef CONF_TAKE_H
#define CONF_TAKE_H

#include <stdbool.h>

#include "conf/keys.h"

/* '"KEY" must be WHAT, not "VALUE"'. Returns -1. */
int conf_must_be(const struct conf_taking *t, const char *what);

/* Text replaces what *out holds, which is freed. */
int conf_take_text(char **out, const struct conf_taking *t);
/* "~/..." from the home folder, all else from the folder of the file where it stands; tidied. */
int conf_take_path(char **out, const struct conf_taking *t);
int conf_take_bool(bool *out, const struct conf_taking *t);
int conf_take_number(unsigned *out, unsigned min, unsigned max, const struct conf_taking *t);
int conf_take_timeout(double *out_s, const struct conf_taking *t);

#endif
