/* What the user and scripts see. Data goes to standard output, messages to standard error, one line
 * each; with --json data is one object a line, and messages are told there as well.
 *
 * Names and texts that come from elsewhere are shown with their control characters as %XX, so that
 * none moves the cursor or breaks a line. */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "sync/sync.h"

void output_init(void);
void output_set(unsigned verbose, bool quiet, bool json);
bool output_is_json(void);
bool output_is_quiet(void);
/* Should a line say that all went well? On a terminal and with -v, but for -q. */
bool output_tells_success(void);
/* Writes out what waits. Returns `status`, or 75 where that failed (a full disk). A reader that went
 * away is no failure. */
int output_finish(int status);
/* Now, before what takes long. */
void output_flush(void);
/* Nobody reads any more: a long list may end. */
bool output_is_closed(void);

/* "mailtide: work/INBOX: text" on standard error, whatever -q says. Account and mailbox may be NULL. */
void output_error(const char *account, const char *mailbox, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What `sync` tells: information only with -v, warnings but for -q. */
void output_note(enum sync_note kind, const char *account, const char *mailbox, const char *text);

/* A line of data; without --json only. */
void output_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One object as a line, which is freed; with --json only. */
void output_object(json_t *object);
/* An object whose first member is "type". */
json_t *output_object_new(const char *type);
/* Any text as a JSON string; NULL is null. Octets that are no UTF-8 become U+FFFD. */
json_t *output_text(const char *text);
json_t *output_number(uint64_t n);

/* Adds the text with control characters as %XX. */
void output_visible(struct buf *out, struct slice text);
/* "34 KB" */
void output_size(uint64_t octets, char out[24]);
/* "2026-11-22T16:01:08Z" */
void output_time(int64_t seconds, char out[32]);

#endif
