/* Words parted by spaces, as in "* CAPABILITY ..." and "* ENABLED ...". Private to lib/imap. */
#ifndef IMAP_WORD_H
#define IMAP_WORD_H

#include <stdbool.h>

#include "base/slice.h"

/* Takes the next word off *rest; any number of spaces around it (Courier doubles them, Q81 ends
 * with one). False where there is none. */
static inline bool word_next(struct slice *rest, struct slice *word)
{
	size_t from = 0, to;

	while (from < rest->len && rest->data[from] == ' ')
		from++;
	for (to = from; to < rest->len && rest->data[to] != ' '; to++)
		;
	if (to == from)
		return false;
	*word = (struct slice){ rest->data + from, to - from };
	*rest = (struct slice){ rest->data + to, rest->len - to };
	return true;
}

#endif
