/* time_preload: time() is MAILTIDE_TEST_LATER seconds ahead. Timers are not: they do not ask it. */
#include <stdlib.h>
#include <time.h>

time_t time(time_t *out)
{
	const char *later = getenv("MAILTIDE_TEST_LATER");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += later ? atol(later) : 0;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
