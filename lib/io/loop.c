/* The loop, and what needs nothing but the loop: work, timers, signals.
 *
 * A turn is: marked work, then the late work (streams write, and choose what to wait for), then the
 * poll, then what the poll has found. Each piece of work runs once a turn; what is marked again
 * has its turn after the next poll, which then does not sleep. So work that always marks itself
 * again cannot starve the network. */
#include <stdlib.h>
#include <time.h>

#include "io/io_private.h"

static void list_init(struct io_work *head)
{
	head->next = head->prev = head;
}

static bool list_is_empty(const struct io_work *head)
{
	return head->next == head;
}

static size_t list_count(const struct io_work *head)
{
	size_t n = 0;
	for (const struct io_work *w = head->next; w != head; w = w->next)
		n++;
	return n;
}

static void list_add(struct io_work *head, struct io_work *work)
{
	work->prev = head->prev;
	work->next = head;
	head->prev->next = work;
	head->prev = work;
	work->marked = true;
}

static void list_remove(struct io_work *work)
{
	work->prev->next = work->next;
	work->next->prev = work->prev;
	work->next = work->prev = NULL;
	work->marked = false;
}

static void list_move_all(struct io_work *to, struct io_work *from)
{
	while (!list_is_empty(from)) {
		struct io_work *work = from->next;
		list_remove(work);
		list_add(to, work);
	}
}

/* Also what comes to the list meanwhile, but each once a turn. Any of it may be freed by any other. */
static void run_all(struct io *io, struct io_work *head)
{
	struct io_work again;

	list_init(&again);
	while (!list_is_empty(head)) {
		struct io_work *work = head->next;

		list_remove(work);
		if (work->turn == io->turn) {
			list_add(&again, work);
			continue;
		}
		work->turn = io->turn;
		work->run(work->arg);
	}
	list_move_all(head, &again);
}

static bool has_work(const struct io *io)
{
	return !list_is_empty(&io->works) || !list_is_empty(&io->late);
}

static void turn(struct io *io)
{
	io->turn++;
	run_all(io, &io->works);
	list_move_all(&io->late, &io->parked);
	run_all(io, &io->late);
	if (!has_work(io))
		ev_idle_stop(io->loop, &io->awake);
}

static void on_top(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)revents;
	turn(w->data);
}

static void on_awake(struct ev_loop *loop, ev_idle *w, int revents)
{
	(void)loop, (void)w, (void)revents;
}

struct io *io_new(void)
{
	struct io *io = mem_new(sizeof *io);

	io->loop = ev_loop_new(EVFLAG_AUTO);
	INVARIANT(io->loop != NULL);
	list_init(&io->works);
	list_init(&io->late);
	list_init(&io->parked);
	ev_idle_init(&io->awake, on_awake);
	ev_prepare_init(&io->top, on_top);
	io->top.data = io;
	ev_prepare_start(io->loop, &io->top);
	ev_unref(io->loop); /* it waits for nothing itself */
	return io;
}

void io_free(struct io *io)
{
	if (io == NULL)
		return;
	ev_idle_stop(io->loop, &io->awake);
	ev_ref(io->loop);
	ev_prepare_stop(io->loop, &io->top);
	ev_loop_destroy(io->loop);
	io_tls_release_all(io);
	free(io);
}

/* The last callback of all may have consumed what a parked stream was waiting for. */
static bool can_go_on(struct io *io)
{
	size_t parked = list_count(&io->parked);

	if (parked == 0)
		return false;
	turn(io);
	return !io->stopped && (has_work(io) || list_count(&io->parked) != parked);
}

void io_run(struct io *io)
{
	io->stopped = false;
	do
		ev_run(io->loop, 0);
	while (!io->stopped && can_go_on(io));
}

void io_stop(struct io *io)
{
	io->stopped = true;
	ev_break(io->loop, EVBREAK_ALL);
}

double io_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Work */

void io_work_init(struct io_work *work, struct io *io, void (*run)(void *arg), void *arg)
{
	*work = (struct io_work){ .io = io, .run = run, .arg = arg };
}

void io_work_mark(struct io_work *work)
{
	if (work->marked)
		return;
	list_add(&work->io->works, work);
	ev_idle_start(work->io->loop, &work->io->awake);
}

void io_work_mark_late(struct io_work *work)
{
	if (work->marked)
		list_remove(work); /* it may be parked, where it keeps nobody awake */
	list_add(&work->io->late, work);
	ev_idle_start(work->io->loop, &work->io->awake);
}

void io_work_park(struct io_work *work)
{
	if (!work->marked)
		list_add(&work->io->parked, work);
}

void io_work_release(struct io_work *work)
{
	if (work->marked)
		list_remove(work);
}

/* Timers */

struct io_timer {
	struct io *io;
	ev_timer timer;
	void (*fire)(void *arg);
	void *arg;
};

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct io_timer *t = w->data;

	(void)loop, (void)revents;
	t->fire(t->arg);
}

struct io_timer *io_timer_new(struct io *io, void (*fire)(void *arg), void *arg)
{
	struct io_timer *t = mem_new(sizeof *t);

	t->io = io;
	t->fire = fire;
	t->arg = arg;
	ev_timer_init(&t->timer, on_timer, 0., 0.);
	t->timer.data = t;
	return t;
}

void io_timer_arm(struct io *io, ev_timer *timer, double after_s)
{
	ev_timer_stop(io->loop, timer);
	ev_now_update(io->loop);
	ev_timer_set(timer, after_s > 0 ? after_s : 0, 0.);
	ev_timer_start(io->loop, timer);
}

void io_timer_start(struct io_timer *t, double after_s)
{
	io_timer_arm(t->io, &t->timer, after_s);
}

void io_timer_stop(struct io_timer *t)
{
	ev_timer_stop(t->io->loop, &t->timer);
}

void io_timer_free(struct io_timer *t)
{
	if (t == NULL)
		return;
	io_timer_stop(t);
	free(t);
}

/* Signals */

struct io_signal {
	struct io *io;
	ev_signal signal;
	void (*fire)(void *arg);
	void *arg;
};

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct io_signal *s = w->data;

	(void)loop, (void)revents;
	s->fire(s->arg);
}

struct io_signal *io_signal_new(struct io *io, int signum, void (*fire)(void *arg), void *arg)
{
	struct io_signal *s = mem_new(sizeof *s);

	s->io = io;
	s->fire = fire;
	s->arg = arg;
	ev_signal_init(&s->signal, on_signal, signum);
	s->signal.data = s;
	ev_signal_start(io->loop, &s->signal);
	ev_unref(io->loop);
	return s;
}

void io_signal_free(struct io_signal *s)
{
	if (s == NULL)
		return;
	ev_ref(s->io->loop);
	ev_signal_stop(s->io->loop, &s->signal);
	free(s);
}
