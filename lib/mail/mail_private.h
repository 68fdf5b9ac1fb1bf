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

#endif
