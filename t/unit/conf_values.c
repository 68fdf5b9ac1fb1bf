/* The small languages inside values. */
#include "conf/values.h"
#include "lib/tap.h"

#define BAD (-1LL)

static const struct {
	const char *text;
	long long want;
} sizes[] = {
	{ "0", 0 }, { "1", 1 }, { "200K", 200 << 10 }, { "200k", 200 << 10 }, { "64M", 64 << 20 },
	{ "2G", 2LL << 30 }, { "1T", 1LL << 40 }, { "007", 7 },
	{ "9223372036854775807", INT64_MAX }, { "9223372036854775808", BAD },
	{ "18446744073709551616", BAD }, { "99999999999999999999999", BAD }, { "8388608T", BAD },
	{ "8388607T", 8388607LL << 40 }, { "", BAD }, { "K", BAD }, { "-1", BAD }, { "+1", BAD },
	{ " 1", BAD }, { "1 ", BAD }, { "1 K", BAD }, { "1KB", BAD }, { "1.5M", BAD }, { "0x10", BAD },
}, ages[] = {
	{ "12h", 43200 }, { "30d", 30 * 86400 }, { "2w", 14 * 86400 }, { "1y", 365 * 86400 },
	{ "1Y", 365 * 86400 }, { "1000y", 1000LL * 365 * 86400 }, { "1001y", BAD }, { "0d", BAD },
	{ "30", BAD }, { "3m", BAD }, { "d", BAD }, { "", BAD }, { "-1d", BAD }, { "1d1h", BAD },
	{ "99999999999999999y", BAD },
}, timeouts[] = {
	{ "1", 1 }, { "60", 60 }, { "60s", 60 }, { "2m", 120 }, { "1h", 3600 }, { "24h", 86400 },
	{ "86401", BAD }, { "0", BAD }, { "1.5", BAD }, { "", BAD }, { "never", BAD },
}, pauses[] = { /* in milliseconds */
	{ "0", 0 }, { "3", 3000 }, { "3s", 3000 }, { "3S", 3000 }, { "0.5", 500 }, { "0.25s", 250 },
	{ "0.0", 0 }, { "0.000001", 0 }, { "1.5m", 90000 }, { "10m", 600000 }, { "600", 600000 },
	{ "600.0", 600000 }, { "600.000001", BAD }, { "601", BAD }, { "10.1m", BAD }, { "11m", BAD },
	{ "18446744073709551615m", BAD }, { "18446744073709551616", BAD }, { "0.0000001", BAD },
	{ "", BAD }, { ".5", BAD }, { "1.", BAD }, { "1.s", BAD }, { "1.5.5", BAD }, { "1,5", BAD },
	{ "-1", BAD }, { "1e2", BAD }, { "0x10", BAD }, { "1h", BAD }, { "1 s", BAD }, { "inf", BAD },
	{ "nan", BAD },
}, percents[] = {
	{ "0%", 0 }, { "25%", 25 }, { "100%", 100 }, { "101%", BAD }, { "25", BAD }, { "%", BAD },
	{ "25 %", BAD }, { "-1%", BAD },
}, bools[] = {
	{ "yes", 1 }, { "Yes", 1 }, { "true", 1 }, { "on", 1 }, { "no", 0 }, { "false", 0 },
	{ "OFF", 0 }, { "1", BAD }, { "", BAD }, { "y", BAD },
}, numbers[] = { /* from 1 to 16 */
	{ "1", 1 }, { "16", 16 }, { "0", BAD }, { "17", BAD }, { "1x", BAD }, { "", BAD },
}, pins[] = {
	{ "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1 },
	{ "sha256//+/abcdefghijklmnopqrstuvwxyz0123456789ABCDE=", 1 },
	{ "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", BAD },
	{ "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", BAD },
	{ "sha256//-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", BAD },
	{ "sha1//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", BAD }, { "sha256//", BAD }, { "", BAD },
};

static long long get_size(const char *text)
{
	uint64_t n;

	return conf_value_size(text, &n) ? (long long)n : BAD;
}

static long long get_age(const char *text)
{
	int64_t n;

	return conf_value_age(text, &n) ? n : BAD;
}

static long long get_timeout(const char *text)
{
	double n;

	return conf_value_timeout(text, &n) ? (long long)n : BAD;
}

static long long get_pause(const char *text)
{
	double s;

	return conf_value_pause(text, &s) ? (long long)(s * 1000) : BAD;
}

static long long get_percent(const char *text)
{
	unsigned n;

	return conf_value_percent(text, &n) ? n : BAD;
}

static long long get_bool(const char *text)
{
	bool b;

	return conf_value_bool(text, &b) ? b : BAD;
}

static long long get_number(const char *text)
{
	uint64_t n;

	return conf_value_number(text, 1, 16, &n) ? (long long)n : BAD;
}

static long long get_pin(const char *text)
{
	return conf_value_pin(text) ? 1 : BAD;
}

#define EACH(table, get) \
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) \
		is_int(get(table[i].text), table[i].want, #get " \"%s\"", table[i].text)

static const struct {
	const char *text;
	struct conf_bodies want;
} bodies[] = {
	{ "all", { .none = false } },
	{ " ALL ", { .none = false } },
	{ "none", { .none = true } },
	{ "newer 30d", { .newer_s = 30 * 86400 } },
	{ "newer\t 30d", { .newer_s = 30 * 86400 } },
	{ "smaller 2M", { .smaller = 2 << 20 } },
	{ "flagged", { .flagged = true } },
	{ "unseen", { .unseen = true } },
	{ "Unseen,newer 1w ,  smaller 1K", { .unseen = true, .newer_s = 604800, .smaller = 1024 } },
};

static const char *const bad_bodies[] = { "", " ", ",", "all,", ",all", "all, none", "none, flagged",
	"flagged, none", "newer", "newer 0d", "newer30d", "newer 30d 4d", "smaller 0", "smaller -1",
	"newer 1d, newer 2d", "seen", "flagged unseen", "not flagged",
	"newer 00000000000000000000000000000000000000001d" };

static void test_bodies(void)
{
	struct err err;

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		const struct conf_bodies *want = &bodies[i].want;
		struct conf_bodies got = { .none = true, .newer_s = 7, .flagged = true };

		ok(conf_value_bodies(bodies[i].text, &got, &err) == 0 && got.none == want->none &&
			got.newer_s == want->newer_s && got.smaller == want->smaller &&
			got.flagged == want->flagged && got.unseen == want->unseen,
			"bodies \"%s\"", bodies[i].text);
	}
	for (size_t i = 0; i < sizeof bad_bodies / sizeof *bad_bodies; i++) {
		struct conf_bodies got = { .smaller = 7 };

		err_clear(&err);
		ok(conf_value_bodies(bad_bodies[i], &got, &err) == -1 && got.smaller == 7 &&
			err.cls == ERR_USER, "bodies \"%s\": %s", bad_bodies[i], err.text);
	}
}

int main(void)
{
	EACH(sizes, get_size);
	EACH(ages, get_age);
	EACH(timeouts, get_timeout);
	EACH(pauses, get_pause);
	EACH(percents, get_percent);
	EACH(bools, get_bool);
	EACH(numbers, get_number);
	EACH(pins, get_pin);
	test_bodies();
	return done_testing();
}
