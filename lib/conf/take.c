#include "conf/take.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/values.h"

int conf_must_be(const struct conf_taking *t, const char *what)
{
	return err_set(t->err, ERR_USER, ERR_ACCOUNT, "\"%s\" must be %s, not \"%.100s\"", t->key,
		what, t->value);
}

int conf_take_text(char **out, const struct conf_taking *t)
{
	free(*out);
	*out = mem_copy(t->value);
	return 0;
}

/* What names the same place shall be the same text: no "//", "/./", no slash at the end. */
static void tidy(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0';) {
		if (from[0] == '/' && from[1] == '/') {
			from++;
		} else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0')) {
			from += 2;
		} else {
			*to++ = *from++;
		}
	}
	if (to > path + 1 && to[-1] == '/')
		to--;
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

int conf_take_path(char **out, const struct conf_taking *t)
{
	bool home = t->value[0] == '~';
	char *path;

	if (home && t->value[1] != '/' && t->value[1] != '\0')
		return conf_must_be(t, "a path (of the homes only one's own is known, ~/)");
	path = home ? file_expand(t->value) :
	       t->value[0] == '/' ? mem_copy(t->value) :
				    file_join(t->folder, t->value);
	if (path[0] != '/') { /* nobody's home, or the folder is gone */
		free(path);
		return conf_must_be(t, "a path from the root");
	}
	tidy(path);
	free(*out);
	*out = path;
	return 0;
}

int conf_take_bool(bool *out, const struct conf_taking *t)
{
	return conf_value_bool(t->value, out) ? 0 : conf_must_be(t, "\"yes\" or \"no\"");
}

int conf_take_number(unsigned *out, unsigned min, unsigned max, const struct conf_taking *t)
{
	uint64_t n;
	char what[60];

	if (!conf_value_number(t->value, min, max, &n)) {
		snprintf(what, sizeof what, "a number from %u to %u", min, max);
		return conf_must_be(t, what);
	}
	*out = (unsigned)n;
	return 0;
}

int conf_take_timeout(double *out, const struct conf_taking *t)
{
	return conf_value_timeout(t->value, out) ? 0 :
		conf_must_be(t, "a time such as \"60\" (seconds), \"2m\" or \"1h\"");
}
