/* The loop: work, timers, signals. */
#include <signal.h>
#include <unistd.h>

#include "io_peer.h"

struct trace {
	struct io *io;
	char text[64];
};

struct step {
	struct trace *trace;
	char letter;
	int again;               /* how many times it marks itself */
	struct step *marks;      /* another one */
	struct step *releases;
	struct io_work work;
};

static void run_step(void *arg)
{
	struct step *s = arg;
	size_t len = strlen(s->trace->text);

	if (len + 1 < sizeof s->trace->text)
		s->trace->text[len] = s->letter;
	if (s->again-- > 0)
		io_work_mark(&s->work);
	if (s->marks != NULL)
		io_work_mark(&s->marks->work);
	if (s->releases != NULL)
		io_work_release(&s->releases->work);
}

static void step_init(struct step *s, struct trace *trace, char letter)
{
	*s = (struct step){ .trace = trace, .letter = letter };
	io_work_init(&s->work, trace->io, run_step, s);
}

static void test_work(void)
{
	struct trace t = { .io = io_new() };
	struct step a, b, c;

	double before = io_now();
	io_run(t.io);
	ok(io_now() - before < 0.5, "a loop without anything ends");

	step_init(&a, &t, 'a');
	step_init(&b, &t, 'b');
	step_init(&c, &t, 'c');
	io_work_mark(&a.work);
	io_work_mark(&a.work);
	is_str(t.text, "", "marking calls nothing");
	io_run(t.io);
	is_str(t.text, "a", "marked twice, run once, and the loop ends");

	memset(t.text, 0, sizeof t.text);
	a.again = 2;
	a.marks = &b;
	io_work_mark(&a.work);
	io_work_mark(&c.work);
	io_run(t.io);
	is_str(t.text, "acbabab", "what work marks runs in its turn; itself in the next");

	memset(t.text, 0, sizeof t.text);
	a.marks = NULL;
	a.again = 0;
	a.releases = &b;
	io_work_mark(&a.work);
	io_work_mark(&b.work);
	io_work_mark(&c.work);
	io_run(t.io);
	is_str(t.text, "ac", "a mark is taken back");

	io_work_mark(&a.work);
	io_work_release(&a.work);
	io_work_release(&a.work);
	io_run(t.io);
	is_str(t.text, "ac", "also before the loop runs, and twice");
	io_free(t.io);
}

static void forever(void *arg)
{
	struct step *s = arg;

	s->again++;
	io_work_mark(&s->work);
}

/* Work that never rests lets timers and sockets live. */
static void test_no_starving(void)
{
	struct trace t = { .io = io_new() };
	struct owner o;
	struct step s = { .trace = &t };

	io_work_init(&s.work, t.io, forever, &s);
	io_work_mark(&s.work);
	int fd = owner_adopt(&o, t.io, SOCK_STREAM);
	is_int(write(fd, "hello", 5), 5, "the peer writes");
	run_for(t.io, 0.05);
	ok(s.again > 10, "work that marks itself ran %d times", s.again);
	is_str(buf_str(&o.got), "hello", "and the network was heard");
	io_work_release(&s.work);
	owner_release(&o);
	close(fd);
	io_free(t.io);
}

static struct io_timer *one, *two, *three;
static struct trace order;

static void fire_one(void *arg)
{
	(void)arg;
	strcat(order.text, "1");
	io_timer_free(one);
	one = NULL;
}

static void fire_two(void *arg)
{
	(void)arg;
	strcat(order.text, "2");
	if (strlen(order.text) < 4)
		io_timer_start(two, 0.01);
}

static void fire_three(void *arg)
{
	(void)arg;
	strcat(order.text, "3");
}

static double started, fired;

static void fire_late(void *arg)
{
	(void)arg;
	fired = io_now();
}

static void compute_then_start(void *arg)
{
	usleep(50000);
	started = io_now();
	io_timer_start(arg, 0.03);
}

static void test_timers(void)
{
	struct io *io = io_new();

	one = io_timer_new(io, fire_one, NULL);
	two = io_timer_new(io, fire_two, NULL);
	three = io_timer_new(io, fire_three, NULL);
	io_timer_start(two, 0.02);
	io_timer_start(one, 5);
	io_timer_start(one, 0.001);
	io_timer_start(three, 0.001);
	io_timer_stop(three);
	io_run(io);
	is_str(order.text, "1222", "started again, stopped, freed and restarted in their own callback");
	io_timer_start(three, -1);
	io_run(io);
	is_str(order.text, "12223", "a time in the past fires at once");
	io_timer_free(two);
	io_timer_free(three);
	io_timer_free(NULL);

	struct io_timer *late = io_timer_new(io, fire_late, NULL);
	struct io_work work;
	io_work_init(&work, io, compute_then_start, late);
	io_work_mark(&work);
	io_run(io);
	ok(fired - started >= 0.029, "a timer counts from now, not from the turn's begin (%g s)",
		fired - started);
	io_timer_free(late);
	io_free(io);
}

static void test_stop(void)
{
	struct io *io = io_new();
	struct io_work work;
	struct io_timer *t = io_timer_new(io, stop_loop, io);

	io_timer_start(t, 30);
	io_work_init(&work, io, stop_loop, io);
	io_work_mark(&work);
	double before = io_now();
	io_run(io);
	ok(io_now() - before < 5, "stopped from work");
	io_timer_start(t, 0.001);
	io_run(io);
	ok(io_now() - before < 5, "runs again, and is stopped from a timer");
	io_timer_free(t);
	io_free(io);
	io_free(NULL);
}

static int signals;

static void on_usr1(void *arg)
{
	signals++;
	io_stop(arg);
}

static void raise_usr1(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
}

static void test_signals(void)
{
	struct io *io = io_new();
	struct io_signal *s = io_signal_new(io, SIGUSR1, on_usr1, io);
	struct io_work work;

	io_run(io);
	is_int(signals, 0, "a signal watcher alone keeps no loop alive");
	io_work_init(&work, io, raise_usr1, NULL);
	io_work_mark(&work);
	run_for(io, 10);
	is_int(signals, 1, "a signal calls back");
	io_signal_free(s);
	io_signal_free(NULL);
	io_free(io);
}

int main(void)
{
	give_up_after(60);
	test_work();
	test_no_starving();
	test_timers();
	test_stop();
	test_signals();
	return done_testing();
}
