/* Account: one run over one account, from the lock to the last commit.
 *
 * account_turn is the only place where something is started. It runs from the top of the loop whenever
 * something has happened, looks at what is possible now, and returns; so nothing is freed under a
 * caller, and no callback decides anything. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sync/actions.h"

#define LOCK_WAIT_S 5.0
#define LOCK_POLL_S 0.1
#define RETRIES 3
#define PUSH_ROUNDS 8 /* in a run; lost connections count, too */
/* Less than this is brought by the first connection, which is open already: a second one costs more
 * round trips than it saves. */
#define HAUL_ALONE_OCTETS (256u << 10)
#define HAUL_ALONE_MESSAGES 200

void account_mark(struct sync *s)
{
	if (s->io)
		io_work_mark(&s->turn);
}

void account_note(struct sync *s, enum sync_note kind, const char *mailbox, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?'; /* parts of it come from servers */
	if (kind == SYNC_FAILURE && s->exit_status == 0)
		s->exit_status = 1;
	if (s->events.note)
		s->events.note(s->arg, kind, mailbox, text);
}

void account_progress(struct sync *s, const char *mailbox, bool now)
{
	double at = io_now();

	if (mailbox)
		s->progress.mailbox = mailbox;
	if (!s->events.progress || (!now && at - s->told < 0.1))
		return;
	s->told = at;
	s->progress.seconds = at - s->started;
	s->events.progress(s->arg, &s->progress);
}

static void over(struct sync *s)
{
	s->phase = SYNC_OVER;
	throttle_stop(s);
	for (unsigned i = 0; i < LINKS; i++)
		link_close(&s->links[i]);
	arrivals_free(s); /* before the store goes, whose bodies they hold */
	io_timer_stop(s->lock_timer);
	io_timer_stop(s->retry_timer);
	secret_release(&s->secret);
	close_local(s);
	account_mark(s); /* tells from the loop */
}

void account_fail(struct sync *s, const struct err *err)
{
	int status = err_exit_status(err);

	if (s->phase == SYNC_OVER || s->failed)
		return;
	s->failed = true;
	s->failure = *err;
	account_note(s, SYNC_FAILURE, NULL, "%s", err->text);
	if (status > s->exit_status)
		s->exit_status = status;
	account_mark(s);
}

/* The secret */

static void on_secret_ready(void *arg)
{
	struct sync *s = arg;

	for (unsigned i = 0; i < LINKS; i++)
		secret_give(&s->secret, s->links[i].imap);
}

static void on_secret_failed(void *arg, const struct err *err)
{
	account_fail(arg, err);
}

/* Lost connections */

static void on_lock_timer(void *arg)
{
	account_mark(arg);
}

static void on_retry_timer(void *arg)
{
	struct sync *s = arg;

	s->retrying = false;
	account_mark(s);
}

void account_lost(struct sync *s, const struct err *err, bool was_ready)
{
	double wait = (double)(1u << s->failures) * (0.75 + (double)(rand() % 512) / 1024.0);

	if (s->phase >= SYNC_LEAVING) {
		account_mark(s); /* on its way out: nothing is lost with it */
		return;
	}
	if (err->cls == ERR_LATER && !s->failed)
		throttle_back_off(s, slice_of(err->text), false);
	if (err->cls != ERR_RETRY || !was_ready || ++s->failures > RETRIES) {
		account_fail(s, err);
		return;
	}
	if (wait < throttle_wait_s(s))
		wait = throttle_wait_s(s); /* Q19: the connection is cut behind the word to wait */
	account_note(s, SYNC_INFO, NULL, "%s; trying again", err->text);
	s->retrying = true;
	if (s->links[0].state == LINK_DOWN && !s->decided)
		s->phase = SYNC_CONNECTING;
	io_timer_start(s->retry_timer, wait);
}

/* Phases. Each returns true where the phase has changed. */

static bool turn_locking(struct sync *s)
{
	struct err err = { 0 };
	int rc = open_local(s, &err);

	if (rc == 1 && io_now() < s->lock_until) {
		io_timer_start(s->lock_timer, LOCK_POLL_S);
		return false;
	}
	if (rc == 0 && s->queue && !fold(s))
		return true;
	if (rc == 0 && throttle_holds_back(s))
		return true;
	if (rc == 0)
		rc = secret_start(&s->secret, on_secret_ready, on_secret_failed, s, &err);
	if (rc != 0) {
		account_fail(s, &err);
		return true;
	}
	s->phase = SYNC_CONNECTING;
	return true;
}

/* What is brought is decided after the replay, which changes what there is to bring. */
static void begin_work(struct sync *s)
{
	if (!s->decided) {
		boxes_decide(s);
		if (s->options.dry_run && !s->options.no_push)
			push_tell_plan(s);
	} else {
		boxes_pull_touched(s);
	}
	s->phase = SYNC_WORKING;
}

static void begin_push(struct sync *s)
{
	s->phase = SYNC_PUSHING;
	s->queue_fresh = false;
	s->push_rounds++;
	push_start(s);
}

/* Actions wait, and their place in the order is before everything else (R3). */
static bool must_push(struct sync *s)
{
	return !s->options.dry_run && push_is_due(s) && s->push_rounds < PUSH_ROUNDS;
}

static bool turn_connecting(struct sync *s)
{
	struct link *first = &s->links[0];

	if (first->state == LINK_DOWN)
		link_open(first);
	if (first->state != LINK_READY)
		return false;
	if (!must_push(s) && boxes_known(s)) {
		begin_work(s);
	} else {
		s->phase = SYNC_LISTING;
		boxes_ask(s);
	}
	return true;
}

static bool turn_listing(struct sync *s)
{
	if (s->links[0].state != LINK_READY || !boxes_asked(s) || !renames_found(s))
		return false;
	renames_apply(s);
	if (s->failed)
		return true;
	if (must_push(s))
		begin_push(s);
	else
		begin_work(s);
	return true;
}

static bool turn_pushing(struct sync *s)
{
	if (s->links[0].state == LINK_DOWN && !s->retrying)
		link_open(&s->links[0]);
	fold_if_due(s);
	push_step(s->push);
	if (s->failed)
		return true;
	if (!push_is_over(s->push))
		return false;
	if (push_must_list(s->push)) {
		s->phase = SYNC_LISTING;
		boxes_ask(s);
	} else {
		begin_work(s);
	}
	return true;
}

static void step_pulls(struct sync *s)
{
	struct pull **at = &s->pulls, *p;

	while ((p = *at)) {
		pull_step(p);
		if (pull_is_over(p)) {
			*at = *pull_link(p);
			pull_settle(p);
		} else {
			at = pull_link(p);
		}
	}
}

static struct box *next_to_pull(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next)
		if (box->state == BOX_TO_PULL && !box->hauling)
			return box;
	return NULL;
}

static bool pulls_are_over(struct sync *s)
{
	if (s->pulls)
		return false;
	for (struct box *box = s->boxes; box; box = box->next)
		if (box->state == BOX_TO_PULL || box->state == BOX_PULLING)
			return false;
	return true;
}

/* One after the other where the server does not tell whose an untagged response is. */
static void start_pulls(struct sync *s)
{
	struct link *link = &s->links[0];
	struct box *box;

	while (link->state == LINK_READY && !link->haul && imap_room(link->imap) &&
		(imap_pipelines_mailboxes(link->imap) || imap_idle(link->imap)) &&
		(box = next_to_pull(s)) != NULL)
		pull_start(box, link);
}

/* Is there so much to bring that a second connection pays? What LIST-STATUS told of new mailboxes
 * counts before their descriptors are here. */
static bool second_link_pays(struct sync *s)
{
	uint64_t owed = s->progress.messages - s->progress.messages_done;
	uint64_t octets = s->progress.octets - s->progress.octets_done;

	return owed > HAUL_ALONE_MESSAGES || octets > HAUL_ALONE_OCTETS ||
	       s->expected > HAUL_ALONE_MESSAGES;
}

static void start_hauls(struct sync *s)
{
	struct link *second = &s->links[1];
	bool pulls_over = pulls_are_over(s);
	struct box *box;

	if (s->options.dry_run || s->options.no_pull)
		return;
	if (second->state == LINK_DOWN && s->account->connections > 1 && second_link_pays(s) &&
		!s->retrying)
		link_open(second);
	hauls_more(s);
	for (unsigned i = LINKS; i-- > 0;) {
		struct link *link = &s->links[i];
		if (link->state != LINK_READY)
			continue;
		/* The first connection hauls once it has nothing else to do. */
		while (!link->haul && imap_room(link->imap) && (i > 0 || pulls_over) &&
			(imap_pipelines_mailboxes(link->imap) || imap_idle(link->imap)) &&
			(box = haul_find(s, link)) != NULL)
			haul_start(link, box);
	}
}

static bool nothing_left(struct sync *s)
{
	if (!pulls_are_over(s) || !batch_is_done(s) || s->hauls)
		return false;
	for (unsigned i = 0; i < LINKS; i++)
		if ((s->links[i].state == LINK_READY && !imap_idle(s->links[i].imap)))
			return false;
	return s->options.dry_run || s->options.no_pull || !haul_find(s, &s->links[0]);
}

static void tell_results(struct sync *s)
{
	for (struct box *box = s->boxes; box; box = box->next) {
		const struct sync_result *r = &box->result;
		if (s->events.result && (r->added || r->flagged || r->removed || r->bodies || r->reset))
			s->events.result(s->arg, r);
	}
}

/* The last transaction: what was projected is struck off, and when this was. */
static void last_commit(struct sync *s)
{
	struct err err = { 0 };

	if (s->options.dry_run || store_begin(s->store, &err) < 0)
		return;
	settle_unmade(s);
	boxes_put(s);
	batch_strike(s);
	throttle_succeeded(s);
	facts_put(s);
	facts_put_end(s, NULL);
	if (s->run_noted || s->written == 0)
		boot_settle(s);
	if (project_commit(s->store, &err) < 0)
		account_fail(s, &err);
	else if (store_bodies_sweep(s->store, &err) < 0)
		account_fail(s, &err);
	fold_compact(s);
}

static void leave(struct sync *s)
{
	s->phase = SYNC_LEAVING;
	throttle_stop(s);
	boxes_tell_missing(s);
	for (unsigned i = 0; i < LINKS; i++) {
		struct link *link = &s->links[i];
		if (link->state == LINK_READY) {
			link->state = LINK_LEAVING;
			imap_logout(link->imap);
		} else {
			link_close(link);
		}
	}
	last_commit(s); /* while LOGOUT is under way */
}

static bool turn_working(struct sync *s)
{
	if (s->links[0].state == LINK_DOWN && !s->retrying)
		link_open(&s->links[0]);
	fold_if_due(s);
	step_pulls(s);
	if (batch_is_due(s))
		batch_commit(s);
	if (s->failed)
		return true;
	start_pulls(s);
	start_hauls(s);
	account_progress(s, NULL, false);
	if (!nothing_left(s))
		return false;
	if (!batch_is_empty(s) && !s->options.dry_run)
		batch_commit(s);
	/* Whoever has queued something since was told that this run does it. */
	if (!s->options.dry_run && fold_if_grown(s))
		return true;
	/* What was queued meanwhile, or waited for a UID that a pull has found. */
	if (s->queue_fresh && must_push(s))
		begin_push(s);
	else
		leave(s);
	return true;
}

/* A run that was stopped or has failed keeps what has arrived. */
static void break_off(struct sync *s)
{
	if (s->push && !s->store_failed && s->store && !s->options.dry_run)
		push_break_off(s->push);
	if (s->store && s->maildir && s->phase == SYNC_WORKING && !s->options.dry_run &&
		!s->store_failed && !s->breaking) {
		s->breaking = true;
		batch_commit(s);
	}
	if (s->store && !s->options.dry_run && !s->throttle.held_back && store_begin(s->store, NULL) == 0) {
		batch_strike(s);
		facts_put(s);
		facts_put_end(s, s->stopping ? "stopped" : s->failure.text);
		project_commit(s->store, NULL);
	}
	over(s);
}

static void account_turn(void *arg)
{
	struct sync *s = arg;
	bool more = true;

	while (more && s->phase != SYNC_OVER) {
		if (s->push)
			push_after_loss(s->push);
		if (s->failed || s->stopping) {
			break_off(s);
			break;
		}
		switch (s->phase) {
		case SYNC_LOCKING:
			more = turn_locking(s);
			break;
		case SYNC_CONNECTING:
			more = !s->retrying && turn_connecting(s);
			break;
		case SYNC_LISTING:
			more = turn_listing(s);
			break;
		case SYNC_PUSHING:
			more = turn_pushing(s);
			break;
		case SYNC_WORKING:
			more = turn_working(s);
			break;
		case SYNC_LEAVING:
			more = false;
			if (s->links[0].state == LINK_DOWN && s->links[1].state != LINK_LEAVING) {
				tell_results(s);
				account_progress(s, NULL, true);
				over(s);
			}
			break;
		case SYNC_OVER:
			break;
		}
	}
	if (s->phase == SYNC_OVER && !s->told_done) {
		s->told_done = true;
		s->events.done(s->arg, s->exit_status);
	}
}

struct sync *sync_new_local(const struct sync_options *options, const struct sync_events *events,
	void *arg)
{
	struct sync *s = mem_new(sizeof *s);

	s->options = *options;
	s->events = *events;
	s->arg = arg;
	s->account = options->account;
	s->lock_fd = -1;
	s->started = io_now();
	s->now = time(NULL);
	s->lock_until = s->started + LOCK_WAIT_S;
	s->pipeline_mailboxes = true;
	s->boxes_end = &s->boxes;
	s->arrived_end = &s->arrived;
	buf_init(&s->text, 0);
	return s;
}

void sync_free_local(struct sync *s)
{
	close_local(s);
	batch_free(s);
	renames_free(s);
	boxes_free(s);
	facts_release(s);
	buf_release(&s->text);
	free(s);
}

struct sync *sync_new(struct io *io, const struct sync_options *options,
	const struct sync_events *events, void *arg)
{
	struct sync *s = sync_new_local(options, events, arg);

	s->io = io;
	secret_init(&s->secret, io, options->account, options->secret);
	for (unsigned i = 0; i < LINKS; i++) {
		s->links[i].sync = s;
		s->links[i].index = i;
	}
	throttle_init(s);
	io_work_init(&s->turn, io, account_turn, s);
	s->lock_timer = io_timer_new(io, on_lock_timer, s);
	s->retry_timer = io_timer_new(io, on_retry_timer, s);
	account_mark(s);
	return s;
}

void sync_stop(struct sync *s)
{
	s->stopping = true;
	if (s->exit_status == 0)
		s->exit_status = 75;
	account_mark(s);
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	if (s->phase != SYNC_OVER)
		over(s);
	visits_free(s);
	push_free(s->push);
	throttle_release(s);
	io_timer_free(s->lock_timer);
	io_timer_free(s->retry_timer);
	io_work_release(&s->turn);
	sync_free_local(s);
}
