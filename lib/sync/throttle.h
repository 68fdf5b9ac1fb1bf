/* Throttle: how a run does as a server that is busy asks. The arithmetic is here, pure; what of it reaches the
 * connections and the next run is in throttle.c. Private to lib/sync. */
#ifndef SYNC_THROTTLE_H
#define SYNC_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* The pause before each command: none, then 0.5 s doubling to 64 s with each answer that asks for it,
 * halved after every fourth that does not (Q1). */
struct throttle_pace {
	unsigned level; /* 0: full speed */
	unsigned clean; /* answers at this level that asked for nothing */
};
void throttle_pace_answer(struct throttle_pace *pace, bool throttled);
double throttle_pace_s(const struct throttle_pace *pace);

/* How many commands at once, 0: as many as the configuration says (`most`). Half of that, but never less than 4; and
 * twice, until it is as many again. */
#define THROTTLE_WINDOW_MAX 400
unsigned throttle_narrow(unsigned window, unsigned most);
unsigned throttle_widen(unsigned window, unsigned most);

/* "Suggested Backoff Time: 299961 milliseconds" (Q19). Rounded up to whole seconds, at most four hours. */
bool throttle_suggested(struct slice text, unsigned *seconds);
/* How long to stay away, in seconds, where the last time was `last` (0: there was none). Over quota means hours (Q4). */
unsigned throttle_backoff(unsigned last, bool over_quota);

/* Octets a second, all connections together: what came is taken out, and what is missing is waited for.
 * At most one second's worth is saved up. Rate 0: no limit. */
struct throttle_bucket {
	double rate, octets, at;
};
void throttle_bucket_init(struct throttle_bucket *b, uint64_t rate, double now);
void throttle_bucket_take(struct throttle_bucket *b, uint64_t octets, double now);
double throttle_bucket_wait(const struct throttle_bucket *b); /* seconds; 0: go on */

#endif
