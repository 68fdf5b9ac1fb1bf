/* Commands of the user's: passwords, tokens, hooks.
 *
 * libev learns of ended children only in its default loop, which would be a global; so a child's
 * end is read from a pidfd, and where there is none (an old kernel, a strict sandbox), asked for now
 * and then. The end counts, not the end of the output: what a command leaves in the background may
 * keep the pipe open for days. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/io_private.h"

#define PIECE_BYTES 4096u
#define ASK_S 0.02
/* What was killed is gone at once, unless the kernel holds it; then it is left behind. */
#define KILLED_MS 100

struct io_child {
	struct io *io;
	void (*done)(void *arg, int status, const struct buf *output, const struct err *err);
	void *arg;
	char *command;
	double timeout_s;
	pid_t pid;    /* 0: none, or reaped */
	int pidfd, out;
	ev_io ended, readable;
	ev_timer ask, limit;
	struct io_work finish;
	struct buf output;
	int status;
	struct err err;
};

/* Ending */

static void stop_waiting(struct io_child *c)
{
	ev_io_stop(c->io->loop, &c->ended);
	ev_io_stop(c->io->loop, &c->readable);
	ev_timer_stop(c->io->loop, &c->ask);
	ev_timer_stop(c->io->loop, &c->limit);
}

static void kill_group(struct io_child *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	if (c->pid == 0)
		return;
	kill(-c->pid, SIGKILL);
	if (c->pidfd >= 0)
		poll(&p, 1, KILLED_MS);
	waitpid(c->pid, NULL, WNOHANG);
	c->pid = 0;
}

static void wipe_output(struct io_child *c)
{
	if (c->output.len > 0)
		mem_wipe(c->output.data, c->output.len);
	buf_release(&c->output);
}

static void finish(void *arg)
{
	struct io_child *c = arg;
	/* The owner may free the child in its callback. */
	struct buf output = c->output;
	struct err err = c->err;

	buf_init(&c->output, 0);
	c->done(c->arg, c->status, &output, &err);
	if (output.len > 0)
		mem_wipe(output.data, output.len);
	buf_release(&output);
}

static void fail(struct io_child *c)
{
	stop_waiting(c);
	kill_group(c);
	c->status = -1;
	io_work_mark(&c->finish);
}

static void fail_by_errno(struct io_child *c, int errno_value)
{
	err_errno(&c->err, ERR_RETRY, ERR_ACCOUNT, errno_value, "cannot run \"%s\"", c->command);
	fail(c);
}

void io_child_free(struct io_child *c)
{
	if (c == NULL)
		return;
	stop_waiting(c);
	io_work_release(&c->finish);
	kill_group(c);
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->out >= 0)
		close(c->out);
	wipe_output(c);
	free(c->command);
	free(c);
}

/* Output */

/* false where there is no more for now, or for good. */
static bool take_piece(struct io_child *c)
{
	char piece[PIECE_BYTES];
	ssize_t n = read(c->out, piece, sizeof piece);

	if (n < 0)
		return errno == EINTR;
	if (n == 0) {
		ev_io_stop(c->io->loop, &c->readable);
		return false;
	}
	bool fits = buf_add(&c->output, piece, (size_t)n);
	mem_wipe(piece, sizeof piece);
	if (!fits) {
		err_set(&c->err, ERR_USER, ERR_ACCOUNT, "\"%s\" printed more than %zu bytes", c->command,
			c->output.limit);
		fail(c);
	}
	return fits;
}

static void take_output(struct io_child *c)
{
	while (c->err.cls == ERR_NONE && take_piece(c))
		;
}

/* Events */

static void check_end(struct io_child *c)
{
	int status;

	if (c->pid == 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	c->pid = 0; /* what it left in the background may live */
	take_output(c);
	stop_waiting(c);
	if (c->err.cls != ERR_NONE)
		return;
	c->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (c->status < 0)
		err_set(&c->err, ERR_RETRY, ERR_ACCOUNT, "\"%s\" was killed by signal %d", c->command,
			WTERMSIG(status));
	io_work_mark(&c->finish);
}

static void on_ended(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	check_end(w->data);
}

static void on_ask(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	check_end(w->data);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	take_output(w->data);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct io_child *c = w->data;

	(void)loop, (void)revents;
	err_set(&c->err, ERR_RETRY, ERR_ACCOUNT, "\"%s\" took more than %g s", c->command,
		c->timeout_s);
	fail(c);
}

/* Beginning */

/* Its own process group, so that a time limit reaches all of a pipeline; nothing of ours but
 * standard error; signals as a program expects them. */
static int spawn(const char *command, int out, pid_t *pid)
{
	char *argv[] = { "sh", "-c", (char *)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, ours;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	sigemptyset(&none);
	sigemptyset(&ours);
	sigaddset(&ours, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &ours);
	posix_spawnattr_setflags(&attr,
		POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int result = posix_spawn(pid, "/bin/sh", &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return result;
}

static int start(struct io_child *c)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	c->out = ends[0];
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	int result = spawn(c->command, ends[1], &c->pid);
	close(ends[1]);
	if (result != 0)
		c->pid = 0;
	return result;
}

static void watch(struct io_child *c)
{
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0); /* close-on-exec by itself */
	if (c->pidfd >= 0) {
		ev_io_set(&c->ended, c->pidfd, EV_READ);
		ev_io_start(c->io->loop, &c->ended);
	} else {
		ev_timer_start(c->io->loop, &c->ask);
	}
	ev_io_set(&c->readable, c->out, EV_READ);
	ev_io_start(c->io->loop, &c->readable);
	if (c->timeout_s > 0)
		io_timer_arm(c->io, &c->limit, c->timeout_s);
}

struct io_child *io_child_run(struct io *io, const char *command, double timeout_s,
	size_t max_output,
	void (*done)(void *arg, int status, const struct buf *output, const struct err *err), void *arg)
{
	struct io_child *c = mem_new(sizeof *c);

	c->io = io;
	c->done = done;
	c->arg = arg;
	c->command = mem_copy(command);
	c->timeout_s = timeout_s;
	c->pidfd = c->out = -1;
	INVARIANT(max_output > 0);
	buf_init(&c->output, max_output);
	buf_reserve(&c->output, max_output); /* growing would leave copies of a secret behind */
	io_work_init(&c->finish, io, finish, c);
	ev_init(&c->ended, on_ended);
	ev_init(&c->readable, on_readable);
	ev_timer_init(&c->ask, on_ask, ASK_S, ASK_S);
	ev_timer_init(&c->limit, on_limit, 0., 0.);
	c->ended.data = c->readable.data = c->ask.data = c->limit.data = c;

	int result = start(c);
	if (result == 0)
		watch(c);
	else
		fail_by_errno(c, result);
	return c;
}
