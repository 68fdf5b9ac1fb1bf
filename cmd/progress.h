/* How far a sync is: one line on a terminal, written over and over; with --json one object every
 * second for each account; nothing where standard error is no terminal or with -q. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "sync/sync.h"

struct progress; /* of one account */
struct progress *progress_new(const char *account);
void progress_free(struct progress *p);
/* The line shows the sum of all accounts. */
void progress_tell(struct progress *p, const struct sync_progress *now);
/* Makes room for another line; the next progress_tell draws it again. */
void progress_erase(void);

#endif
