/* INTERNALDATE (RFC 9051, date-time), without the C library's time zones and locales. */
#include <ctype.h>
#include <stdio.h>

#include "mail/mail_private.h"

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days since 1970-01-01 of a day in the Gregorian calendar; years are counted from March, so that
 * the leap day is a year's last one. */
static int64_t days_from_date(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int64_t *year, int *month, int *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;
	*day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static bool is_between(int value, int low, int high)
{
	return value >= low && value <= high;
}

bool mail_date_seconds(const struct mail_date *d, int64_t *seconds)
{
	if (!is_between(d->year, 0, 9999) || !is_between(d->month, 1, 12) ||
		!is_between(d->day, 1, 31) || !is_between(d->hour, 0, 23) ||
		!is_between(d->minute, 0, 59) || !is_between(d->second, 0, 60) ||
		!is_between(d->zone_min, -24 * 60 + 1, 24 * 60 - 1))
		return false;
	*seconds = days_from_date(d->year, d->month, d->day) * 86400 + d->hour * 3600 +
		(d->minute - d->zone_min) * 60 + d->second;
	return true;
}

/* The text is copied and NUL-terminated: what follows the last digit must not be read as one. */
static bool parse(const char *text, struct mail_date *d)
{
	char month[4], sign;
	int zone, end = 0;
	int got = sscanf(text, "%2d-%3[A-Za-z]-%4d %2d:%2d:%2d %c%4d%n", &d->day, month, &d->year,
		&d->hour, &d->minute, &d->second, &sign, &zone, &end);
	if (got != 8 || text[end] != '\0' || !isdigit((unsigned char)text[end - 4]) ||
		(sign != '+' && sign != '-') || zone < 0 || zone % 100 > 59)
		return false;
	d->zone_min = (zone / 100 * 60 + zone % 100) * (sign == '-' ? -1 : 1);
	for (d->month = 1; d->month <= 12; d->month++)
		if (strncasecmp(months + 3 * (d->month - 1), month, 3) == 0)
			return true;
	return false;
}

bool mail_date_parse(struct slice text, int64_t *seconds)
{
	char copy[32];
	struct mail_date d;
	while (text.len > 0 && text.data[0] == ' ') {
		text.data++;
		text.len--;
	}
	if (text.len >= sizeof copy)
		return false;
	memcpy(copy, text.len > 0 ? text.data : "", text.len);
	copy[text.len] = '\0';
	return strlen(copy) == text.len && parse(copy, &d) && mail_date_seconds(&d, seconds);
}

void mail_date_print(int64_t seconds, int zone_min, char out[32])
{
	const int64_t first = -62167219200 + 86400, last = 253402300799 - 86400;
	if (zone_min <= -24 * 60 || zone_min >= 24 * 60)
		zone_min = 0;
	seconds = seconds < first ? first : seconds > last ? last : seconds;
	seconds += zone_min * 60;
	int64_t days = seconds / 86400 - (seconds % 86400 < 0);
	int rest = (int)(seconds - days * 86400);
	int zone = zone_min < 0 ? -zone_min : zone_min;
	int64_t year;
	int month, day;
	date_from_days(days, &year, &month, &day);
	snprintf(out, 32, "%2d-%.3s-%04d %02d:%02d:%02d %c%02d%02d", day % 100,
		months + 3 * (month - 1), (int)(year % 10000), rest / 3600 % 24, rest / 60 % 60,
		rest % 60, zone_min < 0 ? '-' : '+', zone / 60 % 24, zone % 60);
}
