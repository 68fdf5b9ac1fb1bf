/* A password, asked for on the terminal. */
#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

#include "base/buf.h"
#include "conf/conf.h"

/* Has the account no secret in its configuration, and none to do without (a certificate)? */
bool terminal_must_ask(const struct conf_account *account);
/* Asks on /dev/tty with the echo off. -1, and printed, where there is none, or nothing was typed. The
 * caller wipes *out. */
int terminal_ask(const struct conf_account *account, struct buf *out);

#endif
