/* What the server says it can do. Private to lib/imap. */
#ifndef IMAP_CAPS_H
#define IMAP_CAPS_H

#include "imap/imap.h"

struct caps {
	bool known; /* told since the last caps_forget */
	bool has[IMAP_CAP_COUNT];
	uint64_t append_limit; /* APPENDLIMIT=n; 0: none told */
	struct buf text; /* as the server wrote it */
	/* What counts as not offered; the owner's. */
	const char *const *avoid;
	size_t avoid_count;
};

void caps_init(struct caps *caps);
void caps_release(struct caps *caps);
/* `list`: words parted by spaces, without the word CAPABILITY. Replaces what was known. */
void caps_parse(struct caps *caps, struct slice list);
/* After STARTTLS and after login nothing that was said before counts (C1). */
void caps_forget(struct caps *caps);
/* Is "AUTH=mechanism" offered, and not to be avoided? */
bool caps_auth(const struct caps *caps, const char *mechanism);

#endif
