#include "conf/near.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The edits between two names: a character more, less, another, or two exchanged. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 31 };
	unsigned d[MAX + 1][MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > MAX || m > MAX)
		return UINT32_MAX;
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			unsigned best = (unsigned)(i == 0 ? j : i);

			if (i > 0 && j > 0) {
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
				best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

void conf_near_init(struct conf_near *near, const char *wanted)
{
	/* In a short name everything is near; `best` must be undercut. */
	*near = (struct conf_near){ .wanted = wanted, .best = strlen(wanted) < 4 ? 2 : 3 };
}

void conf_near_try(struct conf_near *near, const char *name)
{
	unsigned d = distance(near->wanted, name);

	if (d < near->best) {
		near->best = d;
		near->found = name;
	}
}
