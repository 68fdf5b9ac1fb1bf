/* The small languages inside values: sizes, ages, shares, rules for bodies. Each call says whether
 * the text is well formed, and leaves *out alone where it is not. */
#ifndef CONF_VALUES_H
#define CONF_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

bool conf_value_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* "4096", "200K", "64M", "2G", "1T": powers of 1024. */
bool conf_value_size(const char *text, uint64_t *bytes);
/* "12h", "30d", "2w", "1y" (365 days); more than nothing. */
bool conf_value_age(const char *text, int64_t *age_s);
/* "60", "60s", "2m", "1h": 1 second to a day. */
bool conf_value_timeout(const char *text, double *timeout_s);
/* "3", "0.5", "3s", "1.5m": 0 to 600 seconds. */
bool conf_value_pause(const char *text, double *pause_s);
/* "25%", 0 to 100. */
bool conf_value_percent(const char *text, unsigned *percent);
/* yes, true, on | no, false, off. */
bool conf_value_bool(const char *text, bool *out);
/* The place of the text in a NULL-terminated list of words. */
bool conf_value_word(const char *text, const char *const *words, unsigned *place);
/* "sha256//" and 32 bytes in base64, as curl writes it. */
bool conf_value_pin(const char *text);

/* "all", "none", or conditions joined by commas: "newer 30d, smaller 2M, flagged, unseen".
 * ERR_USER names the part that is wrong. */
int conf_value_bodies(const char *text, struct conf_bodies *out, struct err *err);

#endif
