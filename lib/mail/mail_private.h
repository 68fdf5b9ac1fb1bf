/* What the files of this folder share. */
#ifndef MAIL_MAIL_PRIVATE_H
#define MAIL_MAIL_PRIVATE_H

#include "mail/mail.h"

/* A date as its parts were written. */
struct mail_date {
	int year, month, day; /* from 1 */
	int hour, minute, second;
	int zone_min; /* east of UTC */
};

/* Seconds since 1970; false where a part is out of its range. */
bool mail_date_seconds(const struct mail_date *d, int64_t *seconds);

/* The next line without its end, which may be CRLF or LF. False at the end of the input. */
bool mail_next_line(struct slice *in, struct slice *line);

/* The value of a parameter (RFC 2045 5.1, 2231), decoded as far as it can be, to be freed; NULL where
 * there is none, or an empty one. `list` may be NULL. Not promised to be UTF-8. */
struct mailimap_body_fld_param;
char *mail_parameter(const struct mailimap_body_fld_param *list, const char *name);

#endif
