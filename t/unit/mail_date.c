/* INTERNALDATE, both ways. */
#include "lib/tap.h"
#include "mail/mail.h"

static const struct {
	const char *text;
	int64_t seconds;
} good[] = {
	{ "17-Jul-1996 02:44:25 -0700", 837596665 },
	{ " 7-Jul-1996 02:44:25 -0700", 836732665 },
	{ "7-Jul-1996 02:44:25 -0700", 836732665 },
	{ "07-JUL-1996 02:44:25 -0700", 836732665 },
	{ "01-Jan-1970 00:00:00 +0000", 0 },
	{ "31-Dec-1969 23:59:59 +0000", -1 },
	{ "01-Jan-1970 00:00:00 +1400", -50400 },
	{ "29-Feb-2000 12:00:00 +0000", 951825600 },
	{ "01-Mar-2000 12:00:00 +0530", 951892200 },
	{ "31-Dec-2016 23:59:60 +0000", 1483228800 },
	{ "19-Jan-2038 03:14:08 +0000", 2147483648 },
	{ "31-Dec-9999 23:59:59 +0000", 253402300799 },
};

static const char *const bad[] = {
	"", " ", "NIL", "17-Jul-1996", "17-Jul-1996 02:44:25", "17-Jul-1996 02:44:25 0700",
	"17-Jul-1996 02:44:25 -070", "17-Jul-1996 02:44:25 -07000", "17-Jul-1996 02:44:25 + 700",
	"17-Jul-1996 02:44:25 +-700", "17-Jul-1996 02:44:25 -0760", "17-Jul-1996 02:44:25 -0700 ",
	"17-Jux-1996 02:44:25 -0700", "17-Ju-1996 02:44:25 -0700", "17-July-1996 02:44:25 -0700",
	"32-Jul-1996 02:44:25 -0700", "0-Jul-1996 02:44:25 -0700", "17-Jul-1996 24:44:25 -0700",
	"17-Jul-1996 02:60:25 -0700", "17-Jul-1996 02:44:61 -0700", "17-Jul-1996 02:44:25 -9900",
	"17-Jul-19960 02:44:25 -0700", "Mon, 17 Jul 1996 02:44:25 -0700",
	"17-Jul-1996 02:44:25 -0700 and a long tail that no buffer holds",
};

static const struct {
	int64_t seconds;
	int zone_min;
	const char *text;
} printed[] = {
	{ 837596665, -420, "17-Jul-1996 02:44:25 -0700" },
	{ 0, 0, " 1-Jan-1970 00:00:00 +0000" },
	{ -1, 0, "31-Dec-1969 23:59:59 +0000" },
	{ 0, 330, " 1-Jan-1970 05:30:00 +0530" },
	{ 0, -1, "31-Dec-1969 23:59:00 -0001" },
	{ 0, 99999, " 1-Jan-1970 00:00:00 +0000" },
	{ INT64_MAX, 840, "31-Dec-9999 13:59:59 +1400" },
	{ INT64_MIN, -720, " 1-Jan-0000 12:00:00 -1200" },
};

int main(void)
{
	int64_t got;
	char text[32];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		got = 42;
		ok(mail_date_parse(slice_of(good[i].text), &got), "'%s'", good[i].text);
		is_int(got, good[i].seconds, "is %lld", (long long)good[i].seconds);
	}
	got = 42;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ok(!mail_date_parse(slice_of(bad[i]), &got), "'%s' is none", bad[i]);
	ok(!mail_date_parse((struct slice){ "17-Jul-1996\0 02:44:25 -0700", 27 }, &got), "nor with NUL");
	ok(!mail_date_parse((struct slice){ NULL, 0 }, &got), "nor nothing");
	is_int(got, 42, "and nothing is stored");
	for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
		mail_date_print(printed[i].seconds, printed[i].zone_min, text);
		is_str(text, printed[i].text, "prints %lld", (long long)printed[i].seconds);
	}
	/* Each day of 500 years, and back. */
	int wrong = 0;
	for (int64_t day = -100000; day < 100000; day++) {
		mail_date_print(day * 86400 + 43199, (int)(day % 840), text);
		wrong += !mail_date_parse(slice_of(text), &got) || got != day * 86400 + 43199;
	}
	is_int(wrong, 0, "what is printed is read alike");
	return done_testing();
}
