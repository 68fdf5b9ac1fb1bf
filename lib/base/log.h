/* The log of what the program does, for -v. The only process-wide state: a level and a writer.
 * Messages for the user do not go through here, they are events of `sync`. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

enum log_level {
	LOG_QUIET,
	LOG_STEPS, /* -v: one line a decision: mailbox, step, counts */
	LOG_MOVES, /* -vv: each move of a state machine */
	LOG_WIRE,  /* -vvv: lines of the protocol, secrets redacted, literals as their size */
};

void log_set_level(enum log_level level);
enum log_level log_level(void);
/* Lines go to standard error unless a writer is set. The line has no line end. */
void log_set_writer(void (*write)(void *arg, const char *line), void *arg);

/* `who` is the subject ("work/INBOX", "work#2"); may be NULL. Nothing is formatted below the
 * level. Control characters are shown as \xNN. */
void log_line(enum log_level level, const char *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One line of the protocol; dir is "C" or "S". Cut at 400 octets. The caller redacts: it alone
 * knows which line is a secret. */
void log_wire(const char *who, const char *dir, struct slice line);

#endif
