/* Throttle: a server that asks us to slow down is obeyed, now and by the next runs.
 *
 * Each tagged answer passes throttle_answer. What it may ask for:
 *
 *  - [THROTTLED], on any answer, also on OK (Q1): one command at a time with a pause before it, as
 *    throttle.h says. What was refused with it is asked for again; after REFUSALS in a row the run ends.
 *  - "Suggested Backoff Time: n milliseconds" in a refusal (Q19): waited for where that is short, else
 *    the run ends and no run begins before that time.
 *  - [LIMIT], [OVERQUOTA] (Q4, Q43), and where the server does not let us in or throws us out with a word
 *    of that kind: the run ends, and the next one begins after a minute at the earliest, then two, up
 *    to four hours, until a run has come to its end.
 *
 * A server that has asked to slow down gets fewer commands at once from then on, half of what it got, also in later
 * runs ("server.window"); each run that it takes without a word of that kind doubles it again.
 *
 * So a run from cron(8) that comes too early never touches the server, whose count of our tries goes on.
 * What is remembered are the facts "server.not-before", "server.held", "server.backoff".
 *
 * Sets that are too long (Q47, Q81): a BAD to one of several UIDs halves, for the rest of the run, what a
 * command may ask for. A bad message among them might be the reason as well; so it is remembered
 * ("server.max-set") only where every UID of such a set was given when it was asked for otherwise. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sync/private.h"

#define SHORT_S 60     /* is waited for in the run */
#define LONGEST_S 14400 /* beyond this a time of ours is not from this clock (it was set back) */
#define REFUSALS 5
#define TICK_S 0.05
#define HOLD_S 20.0    /* the server's silence is ours while a stream is held: below every timeout */
#define SET_OCTETS 7000
#define SET_LEAST 22   /* as uids_print wants */

/* Pauses */

static void set_pace(struct link *link)
{
	const struct throttle *t = &link->sync->throttle;
	bool slow = t->pace.level > 0;

	if (link->state == LINK_READY)
		imap_slow(link->imap, t->holding, slow ? 1 : t->window);
}

static void set_paces(struct sync *s)
{
	for (unsigned i = 0; i < LINKS; i++)
		set_pace(&s->links[i]);
}

static void on_timer(void *arg)
{
	struct sync *s = arg;

	s->throttle.holding = false;
	set_paces(s);
	account_mark(s);
}

static void hold(struct sync *s, double seconds)
{
	struct throttle *t = &s->throttle;

	if (seconds <= 0)
		return;
	t->holding = true;
	t->hold_until = io_now() + seconds;
	io_timer_start(t->timer, seconds);
}

double throttle_wait_s(const struct sync *s)
{
	double left = s->throttle.hold_until - io_now();

	return s->throttle.holding && left > 0 ? left : 0;
}

static void pace(struct sync *s, bool throttled)
{
	struct throttle *t = &s->throttle;

	/* What was in flight already says the same once more. */
	if (t->holding || (!throttled && t->pace.level == 0))
		return;
	if (throttled && !t->narrowed) {
		t->window = throttle_narrow(t->window, s->account->max_commands);
		t->narrowed = t->changed = true;
	}
	throttle_pace_answer(&t->pace, throttled);
	if (throttled)
		log_line(LOG_STEPS, s->account->name, "throttled: a pause of %g s before each command",
			throttle_pace_s(&t->pace));
	hold(s, throttle_pace_s(&t->pace));
	set_paces(s);
}

/* Until another run */

static void stay_away(struct sync *s, unsigned seconds, struct slice words)
{
	struct throttle *t = &s->throttle;

	t->not_before = (int64_t)time(NULL) + seconds;
	free(t->words);
	t->words = mem_printf("%.*s", (int)(words.len < 300 ? words.len : 300), words.data);
	for (char *c = t->words; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	t->changed = true;
}

void throttle_back_off(struct sync *s, struct slice words, bool over_quota)
{
	struct throttle *t = &s->throttle;
	unsigned seconds;

	if (t->backed_off)
		return;
	t->backed_off = true;
	if (throttle_suggested(words, &seconds)) { /* Q19, at the login or with BYE */
		stay_away(s, seconds, words);
		return;
	}
	t->backoff_s = throttle_backoff(t->backoff_s, over_quota);
	stay_away(s, t->backoff_s, words);
}

static void end_run(struct sync *s, struct slice words)
{
	struct err err = { 0 };

	err_set(&err, ERR_LATER, ERR_ACCOUNT, "the server asks to slow down: %.*s",
		(int)(words.len < 300 ? words.len : 300), words.data);
	account_fail(s, &err);
}

bool throttle_holds_back(struct sync *s)
{
	struct throttle *t = &s->throttle;
	time_t until = (time_t)t->not_before + 59; /* the minute that is told is over it */
	struct err err = { 0 };
	char when[8] = "";
	struct tm tm;

	if (t->not_before <= s->now || t->not_before > s->now + LONGEST_S)
		return false;
	if (localtime_r(&until, &tm))
		strftime(when, sizeof when, "%H:%M", &tm);
	err_set(&err, ERR_LATER, ERR_ACCOUNT, "held back until %s: %s", when, t->words ? t->words : "");
	t->held_back = true;
	account_fail(s, &err);
	return true;
}

void throttle_succeeded(struct sync *s)
{
	struct throttle *t = &s->throttle;

	if (t->window > 0 && !t->narrowed) {
		t->window = throttle_widen(t->window, s->account->max_commands);
		t->changed = true;
	}
	if (t->not_before == 0 && t->backoff_s == 0)
		return;
	t->not_before = 0;
	t->backoff_s = 0;
	free(t->words);
	t->words = NULL;
	t->changed = true;
}

/* Answers */

static bool says_throttled(const struct imap_resp *r)
{
	char text[200];
	int len = (int)(r->cond.text.len < 199 ? r->cond.text.len : 199);

	if (r->cond.throttled || r->cond.code == IMAP_THROTTLED)
		return true;
	snprintf(text, sizeof text, "%.*s", len, len > 0 ? r->cond.text.data : "");
	return r->cond.cond != IMAP_OK && strcasestr(text, "is throttled") != NULL; /* Q19 */
}

/* A refusal, and by no word of its own about the mailbox or the message. */
static enum throttle_verdict refused(struct sync *s, const struct imap_resp *r)
{
	struct throttle *t = &s->throttle;
	unsigned seconds;

	if (r->cond.code == IMAP_LIMIT || r->cond.code == IMAP_OVERQUOTA) {
		throttle_back_off(s, r->cond.text, r->cond.code == IMAP_OVERQUOTA);
		end_run(s, r->cond.text);
		return THROTTLE_OVER;
	}
	if (throttle_suggested(r->cond.text, &seconds) && seconds > SHORT_S) {
		stay_away(s, seconds, r->cond.text);
		end_run(s, r->cond.text);
		return THROTTLE_OVER;
	}
	if (!says_throttled(r))
		return THROTTLE_GO_ON;
	if (!t->holding && ++t->refusals > REFUSALS) {
		throttle_back_off(s, r->cond.text, false);
		end_run(s, r->cond.text);
		return THROTTLE_OVER;
	}
	pace(s, true);
	if (throttle_suggested(r->cond.text, &seconds) && (double)seconds > throttle_wait_s(s)) {
		log_line(LOG_STEPS, s->account->name, "throttled: waiting for %u s", seconds);
		hold(s, seconds);
		set_paces(s);
	}
	return THROTTLE_AGAIN;
}

enum throttle_verdict throttle_answer(struct sync *s, const struct imap_resp *tagged)
{
	if (s->failed || s->phase >= SYNC_LEAVING)
		return THROTTLE_GO_ON;
	if (tagged->cond.cond != IMAP_OK)
		return refused(s, tagged);
	s->throttle.refusals = 0;
	pace(s, says_throttled(tagged));
	return THROTTLE_GO_ON;
}

/* Sets */

unsigned throttle_set_max(const struct sync *s)
{
	unsigned told = s->account->max_set_uids, learnt = s->throttle.max_set;

	return told == 0 || (learnt > 0 && learnt < told) ? learnt : told;
}

size_t throttle_set_octets(const struct sync *s, const char *items)
{
	/* "a4294967295 UID FETCH ", a blank, CRLF */
	size_t around = strlen(items) + 25, line = s->account->max_line_bytes;

	if (line == 0 || line > SET_OCTETS + around)
		return SET_OCTETS;
	return line < around + SET_LEAST ? SET_LEAST : line - around;
}

uint32_t throttle_print_set(const struct sync *s, const struct uids *set, uint32_t from, const char *items,
	struct buf *out)
{
	uint64_t left = throttle_set_max(s);
	struct uids piece;
	uint32_t next;

	if (left == 0)
		return uids_print(set, from, throttle_set_octets(s, items), out);
	uids_init(&piece);
	for (size_t i = 0; i < set->count && left > 0; i++) {
		uint32_t first = set->ranges[i].first, last = set->ranges[i].last;
		if (last < from)
			continue;
		first = first < from ? from : first;
		if (last - first >= left)
			last = first + (uint32_t)left - 1;
		left -= (uint64_t)last - first + 1;
		uids_add_range(&piece, first, last);
	}
	next = uids_print(&piece, 1, throttle_set_octets(s, items), out);
	if (next == 0 && uids_last(&piece) < UID_MAX)
		next = uids_next(set, uids_last(&piece) + 1);
	uids_release(&piece);
	return next;
}

void throttle_set_refused(struct sync *s, uint64_t uids)
{
	struct throttle *t = &s->throttle;

	if (uids < 2 || (throttle_set_max(s) > 0 && uids / 2 >= throttle_set_max(s)))
		return;
	t->max_set = (unsigned)(uids / 2);
	log_line(LOG_STEPS, s->account->name, "sets of %llu UIDs are too long: %u from now on",
		(unsigned long long)uids, t->max_set);
}

void throttle_set_proved(struct sync *s)
{
	s->throttle.max_set_proved = s->throttle.changed = true;
}

/* The rate (Q2). Reading stops where it is used up, so that TCP slows the server down; bodies are asked
 * for in smaller sets and few ahead (haul.c), so that little lies in the buffers on the way. */

static uint64_t received_since(struct sync *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LINKS; i++) {
		struct link *link = &s->links[i];
		uint64_t *counted = &s->throttle.counted[i], now;
		if (link->state != LINK_READY)
			continue;
		now = imap_counts(link->imap).received;
		sum += now > *counted ? now - *counted : 0;
		*counted = now;
	}
	return sum;
}

static void on_tick(void *arg)
{
	struct sync *s = arg;
	struct throttle *t = &s->throttle;
	double wait;

	throttle_bucket_take(&t->bucket, received_since(s), io_now());
	wait = throttle_bucket_wait(&t->bucket);
	t->streams_held = wait > 0 && !t->streams_held;
	for (unsigned i = 0; i < LINKS; i++)
		if (s->links[i].state == LINK_READY && imap_stream(s->links[i].imap))
			io_stream_hold(imap_stream(s->links[i].imap), t->streams_held);
	/* Held no longer than HOLD_S at a time: then a piece is taken, however slow the rate. */
	if (!t->streams_held || wait < TICK_S)
		wait = TICK_S;
	io_timer_start(t->tick, wait < HOLD_S ? wait : HOLD_S);
}

uint64_t throttle_ask_octets(const struct sync *s, uint64_t usual)
{
	uint64_t rate = s->account->max_rate_bytes_s;

	if (rate == 0 || rate > usual)
		return usual;
	return rate < 16384 ? 16384 : rate;
}

bool throttle_may_ask(const struct sync *s, unsigned unanswered)
{
	return s->account->max_rate_bytes_s == 0 || unanswered < 3;
}

/* Its life */

void throttle_init(struct sync *s)
{
	struct throttle *t = &s->throttle;

	t->timer = io_timer_new(s->io, on_timer, s);
	t->tick = io_timer_new(s->io, on_tick, s);
	throttle_bucket_init(&t->bucket, s->account->max_rate_bytes_s, io_now());
}

void throttle_ready(struct link *link)
{
	struct throttle *t = &link->sync->throttle;

	t->counted[link->index] = 0;
	set_pace(link);
	if (t->bucket.rate > 0 && !t->streams_held)
		io_timer_start(t->tick, TICK_S);
}

void throttle_stop(struct sync *s)
{
	struct throttle *t = &s->throttle;

	io_timer_stop(t->timer);
	io_timer_stop(t->tick);
	t->holding = false;
	for (unsigned i = 0; i < LINKS; i++) {
		struct link *link = &s->links[i];
		if (link->state != LINK_READY)
			continue;
		imap_slow(link->imap, false, 0);
		if (t->streams_held && imap_stream(link->imap))
			io_stream_hold(imap_stream(link->imap), false);
	}
	t->streams_held = false;
}

void throttle_release(struct sync *s)
{
	io_timer_free(s->throttle.timer);
	io_timer_free(s->throttle.tick);
	free(s->throttle.words);
	s->throttle.words = NULL;
}

void throttle_load(struct sync *s)
{
	struct throttle *t = &s->throttle;
	int64_t backoff = (int64_t)store_get_number(s->store, "server.backoff"), max_set = (int64_t)store_get_number(s->store, "server.max-set");
	struct buf words;

	t->not_before = (int64_t)store_get_number(s->store, "server.not-before");
	t->window = (unsigned)((int64_t)store_get_number(s->store, "server.window") % THROTTLE_WINDOW_MAX);
	t->backoff_s = backoff < LONGEST_S ? (unsigned)backoff : LONGEST_S;
	t->max_set = max_set < UINT32_MAX ? (unsigned)max_set : 0;
	t->max_set_proved = t->max_set > 0;
	buf_init(&words, 0);
	if (store_get(s->store, "server.held", &words) && words.len > 0)
		t->words = mem_copy(buf_str(&words));
	buf_release(&words);
}

void throttle_put(struct sync *s)
{
	struct throttle *t = &s->throttle;

	if (!t->changed)
		return;
	store_put_number(s->store, "server.not-before", (uint64_t)t->not_before);
	store_put_number(s->store, "server.backoff", (uint64_t)t->backoff_s);
	store_put(s->store, "server.held", slice_of(t->words ? t->words : ""));
	store_put_number(s->store, "server.window", (uint64_t)t->window);
	if (t->max_set_proved)
		store_put_number(s->store, "server.max-set", (uint64_t)t->max_set);
	t->changed = false;
}
