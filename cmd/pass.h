/* One pass of the engine over some accounts, all of them in one loop, and what is said of it:
 * progress, results, and a line for each account at the end. */
#ifndef CMD_PASS_H
#define CMD_PASS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* One account. Everything is the caller's, but `mailboxes` itself is freed by pass_targets_free. */
struct pass_target {
	const struct conf_account *account;
	const struct conf_profile *profile; /* or NULL */
	const char **mailboxes;             /* count 0: all that the configuration chooses */
	size_t mailbox_count;
};
void pass_targets_free(struct pass_target *targets, size_t count);

struct pass_options {
	const struct pass_target *targets;
	size_t target_count;
	bool no_push, no_pull, dry_run; /* as in sync_options */
	const char *command;            /* for the lock */
};
/* Asks for the secrets that the configuration does not give, then runs. -> the exit status: of several
 * accounts the highest. */
int pass_run(const struct pass_options *options);

#endif
