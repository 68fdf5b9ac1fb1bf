/* How long a run pauses, stays away, and waits for its rate. */
#include "lib/tap.h"

#include "sync/throttle.h"

static void test_pace(void)
{
	static const double up[] = { 0.5, 1, 2, 4, 8, 16, 32, 64, 64, 64 };
	struct throttle_pace pace = { 0 };

	ok(throttle_pace_s(&pace) == 0, "at first no pause");
	throttle_pace_answer(&pace, false);
	ok(throttle_pace_s(&pace) == 0, "a clean answer at full speed");
	for (size_t i = 0; i < sizeof up / sizeof up[0]; i++) {
		throttle_pace_answer(&pace, true);
		ok(throttle_pace_s(&pace) == up[i], "throttled %zu times: %g s", i + 1, up[i]);
	}
	for (size_t i = 8; i-- > 0;) {
		for (unsigned n = 0; n < 4; n++) {
			ok(throttle_pace_s(&pace) == up[i], "still %g s", up[i]);
			throttle_pace_answer(&pace, false);
		}
	}
	ok(throttle_pace_s(&pace) == 0, "full speed again");
	throttle_pace_answer(&pace, true);
	throttle_pace_answer(&pace, false);
	throttle_pace_answer(&pace, true);
	for (unsigned n = 0; n < 3; n++)
		throttle_pace_answer(&pace, false);
	ok(throttle_pace_s(&pace) == 1, "clean answers are counted at each level anew");
}

static void test_window(void)
{
	unsigned window = 0;

	window = throttle_narrow(window, 0);
	ok(window == 200, "half of what there is at most: %u", window);
	window = throttle_narrow(window, 25);
	ok(window == 12, "half of what the configuration allows, where that is less: %u", window);
	ok(throttle_narrow(5, 25) == 4 && throttle_narrow(4, 0) == 4, "never less than four");
	ok(throttle_widen(12, 25) == 24, "and twice as many again");
	ok(throttle_widen(24, 25) == 0 && throttle_widen(200, 0) == 0, "until it is as many as before");
	ok(throttle_widen(0, 0) == 0, "none is none");
}

static void test_suggested(void)
{
	static const struct {
		const char *text;
		unsigned seconds; /* 0: none */
	} cases[] = {
		{ "Request is throttled. Suggested Backoff Time: 299961 milliseconds", 300 },
		{ "request is throttled. suggested backoff time: 1 milliseconds", 1 },
		{ "Suggested Backoff Time:2000 milliseconds.", 2 },
		{ "Suggested Backoff Time: 99999999999999999999999 milliseconds", 14400 },
		{ "Suggested Backoff Time: 14400001 milliseconds", 14400 },
		{ "Suggested Backoff Time: 5 minutes", 0 },
		{ "Suggested Backoff Time: milliseconds", 0 },
		{ "Suggested Backoff Time: 12", 0 },
		{ "Suggested Backoff Time:", 0 },
		{ "Request is throttled", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned seconds = 0;
		bool found = throttle_suggested(slice_of(cases[i].text), &seconds);
		ok(found == (cases[i].seconds > 0) && seconds == cases[i].seconds, "\"%s\": %u s",
			cases[i].text, cases[i].seconds);
	}
}

static void test_backoff(void)
{
	static const unsigned steps[] = { 60, 120, 240, 480, 960, 1920, 3840, 7680, 14400, 14400 };
	unsigned last = 0;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		last = throttle_backoff(last, false);
		is_int((int)last, (int)steps[i], "refused %zu times", i + 1);
	}
	is_int((int)throttle_backoff(0, true), 3600, "over quota: an hour first");
	is_int((int)throttle_backoff(3600, true), 7200, "over quota again");
	is_int((int)throttle_backoff(UINT32_MAX, false), 14400, "a number that is not ours");
}

static void test_bucket(void)
{
	struct throttle_bucket b;
	double now = 100, waited = 0;
	uint64_t came = 0;

	throttle_bucket_init(&b, 0, now);
	throttle_bucket_take(&b, 1u << 30, now);
	ok(throttle_bucket_wait(&b) == 0, "no limit");
	throttle_bucket_init(&b, 1000, now);
	throttle_bucket_take(&b, 1000, now);
	ok(throttle_bucket_wait(&b) == 0, "a second's worth at once");
	throttle_bucket_take(&b, 500, now);
	ok(throttle_bucket_wait(&b) == 0.5, "what is missing is waited for");
	throttle_bucket_take(&b, 0, now + 1000);
	ok(b.octets == 1000, "no more than a second is saved up");
	throttle_bucket_init(&b, 50000, 0);
	for (now = 0; now < 10; now += 0.1 + waited) {
		throttle_bucket_take(&b, 7777, now);
		came += 7777;
		waited = throttle_bucket_wait(&b);
	}
	ok(came > 450000 && came < 560000, "%llu octets in ten seconds at 50,000", (unsigned long long)came);
}

int main(void)
{
	test_pace();
	test_window();
	test_suggested();
	test_backoff();
	test_bucket();
	return done_testing();
}
