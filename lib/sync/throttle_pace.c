/* How fast, and when again: the arithmetic of throttle.h. */
#include <stdlib.h>
#include <string.h>

#include "sync/throttle.h"

#define LEVELS 8   /* 0.5 s to 64 s */
#define CLEAN 4    /* so many answers at a level before it is left again, or it would swing */
#define WINDOW_LEAST 4u
#define BACKOFF_FIRST_S 60u
#define BACKOFF_QUOTA_S 3600u
#define BACKOFF_LAST_S (4u * 3600)

void throttle_pace_answer(struct throttle_pace *pace, bool throttled)
{
	if (throttled) {
		pace->level += pace->level < LEVELS;
		pace->clean = 0;
	} else if (pace->level > 0 && ++pace->clean == CLEAN) {
		pace->level--;
		pace->clean = 0;
	}
}

double throttle_pace_s(const struct throttle_pace *pace)
{
	return pace->level > 0 ? 0.25 * (double)(1u << pace->level) : 0;
}

static unsigned most_of(unsigned most)
{
	return most == 0 || most > THROTTLE_WINDOW_MAX ? THROTTLE_WINDOW_MAX : most;
}

unsigned throttle_narrow(unsigned window, unsigned most)
{
	unsigned now = window > 0 && window < most_of(most) ? window : most_of(most);

	return now / 2 > WINDOW_LEAST ? now / 2 : WINDOW_LEAST;
}

unsigned throttle_widen(unsigned window, unsigned most)
{
	return window == 0 || 2 * window >= most_of(most) ? 0 : 2 * window;
}

bool throttle_suggested(struct slice text, unsigned *seconds)
{
	static const char words[] = "suggested backoff time:";
	size_t len = sizeof words - 1;
	uint64_t ms = 0;
	bool any = false;

	while (text.len >= len && !slice_starts_nocase(text, words))
		text = (struct slice){ text.data + 1, text.len - 1 };
	if (text.len < len)
		return false;
	text = (struct slice){ text.data + len, text.len - len };
	while (text.len > 0 && *text.data == ' ')
		text = (struct slice){ text.data + 1, text.len - 1 };
	for (; text.len > 0 && *text.data >= '0' && *text.data <= '9'; any = true) {
		if (ms <= BACKOFF_LAST_S * UINT64_C(1000))
			ms = ms * 10 + (uint64_t)(*text.data - '0');
		text = (struct slice){ text.data + 1, text.len - 1 };
	}
	if (!any || !slice_starts_nocase(text, " milliseconds"))
		return false;
	ms = (ms + 999) / 1000;
	*seconds = ms < BACKOFF_LAST_S ? (unsigned)ms : BACKOFF_LAST_S;
	return true;
}

unsigned throttle_backoff(unsigned last, bool over_quota)
{
	unsigned first = over_quota ? BACKOFF_QUOTA_S : BACKOFF_FIRST_S;
	unsigned next = last < BACKOFF_LAST_S / 2 ? 2 * last : BACKOFF_LAST_S;

	return next > first ? next : first;
}

void throttle_bucket_init(struct throttle_bucket *b, uint64_t rate, double now)
{
	b->rate = b->octets = (double)rate;
	b->at = now;
}

void throttle_bucket_take(struct throttle_bucket *b, uint64_t octets, double now)
{
	b->octets += (now - b->at) * b->rate;
	if (b->octets > b->rate)
		b->octets = b->rate;
	b->at = now;
	b->octets -= (double)octets;
}

double throttle_bucket_wait(const struct throttle_bucket *b)
{
	return b->rate > 0 && b->octets < 0 ? -b->octets / b->rate : 0;
}
