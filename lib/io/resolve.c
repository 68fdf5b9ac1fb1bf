/* A name becomes addresses. getaddrinfo may take minutes and cannot be taken back, so it runs in a
 * thread of its own; the answer comes over an eventfd. Question and answer belong to both sides and
 * go with the last of them: a lookup that nobody waits for any more harms nobody. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/io_private.h"

struct question {
	atomic_int owners;
	int answered; /* an eventfd */
	char *host;
	char port[8];
	atomic_bool finished; /* before it, what follows is the thread's */
	int result, result_errno;
	struct addrinfo *list;
};

struct io_lookup {
	struct io *io;
	void (*done)(void *arg, struct addrinfo *list, const struct err *err);
	void *arg;
	struct question *question;
	struct io_work answer; /* where no thread is needed */
	ev_io answered;
};

static struct question *question_new(const char *host, uint16_t port)
{
	struct question *q = mem_new(sizeof *q);

	atomic_init(&q->owners, 1);
	q->answered = -1;
	q->host = mem_copy(host);
	snprintf(q->port, sizeof q->port, "%u", port);
	return q;
}

static void question_leave(struct question *q)
{
	if (atomic_fetch_sub(&q->owners, 1) > 1)
		return;
	if (q->answered >= 0)
		close(q->answered);
	if (q->list != NULL)
		freeaddrinfo(q->list);
	free(q->host);
	free(q);
}

/* No AI_ADDRCONFIG: it hides "localhost" where only the loopback interface is up, and an address
 * without a route fails at once anyway. */
static void ask(struct question *q, int flags)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICSERV | flags,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	atomic_store(&q->finished, false);
	q->result = getaddrinfo(q->host, q->port, &hints, &q->list);
	q->result_errno = errno;
	atomic_store(&q->finished, true);
}

static void *thread(void *arg)
{
	struct question *q = arg;
	uint64_t one = 1;

	ask(q, 0);
	INVARIANT(write(q->answered, &one, sizeof one) == sizeof one);
	question_leave(q);
	return NULL;
}

static bool thread_start(struct question *q)
{
	pthread_attr_t attr;
	pthread_t id;
	sigset_t all, before;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&q->owners, 1);
	bool started = pthread_create(&id, &attr, thread, q) == 0;
	if (!started)
		atomic_fetch_sub(&q->owners, 1);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static void explain(const struct question *q, struct err *err)
{
	if (q->result == EAI_NONAME || q->result == EAI_NODATA)
		err_set(err, ERR_USER, ERR_ACCOUNT,
			"the name \"%s\" does not exist; is \"host\" written right?", q->host);
	else
		err_set(err, ERR_RETRY, ERR_ACCOUNT, "looking up the name \"%s\": %s", q->host,
			q->result == EAI_SYSTEM ? strerror(q->result_errno)
			: gai_strerror(q->result));
}

static void answer(void *arg)
{
	struct io_lookup *lookup = arg;
	struct err err;

	INVARIANT(atomic_load(&lookup->question->finished));
	struct addrinfo *list = lookup->question->list;
	err_clear(&err);
	if (lookup->question->result != 0)
		explain(lookup->question, &err);
	lookup->question->list = NULL;
	ev_io_stop(lookup->io->loop, &lookup->answered);
	lookup->done(lookup->arg, list, &err);
}

static void on_answered(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	answer(w->data);
}

struct io_lookup *io_lookup_new(struct io *io, const char *host, uint16_t port,
	void (*done)(void *arg, struct addrinfo *list, const struct err *err), void *arg)
{
	struct io_lookup *lookup = mem_new(sizeof *lookup);
	struct question *q = question_new(host, port);

	lookup->io = io;
	lookup->done = done;
	lookup->arg = arg;
	lookup->question = q;
	io_work_init(&lookup->answer, io, answer, lookup);
	ev_init(&lookup->answered, on_answered);
	lookup->answered.data = lookup;

	ask(q, AI_NUMERICHOST);
	if (q->result == 0) {
		io_work_mark(&lookup->answer);
		return lookup;
	}
	q->answered = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->answered < 0 || !thread_start(q)) {
		q->result = EAI_SYSTEM;
		q->result_errno = EAGAIN;
		io_work_mark(&lookup->answer);
		return lookup;
	}
	ev_io_set(&lookup->answered, q->answered, EV_READ);
	ev_io_start(io->loop, &lookup->answered);
	return lookup;
}

void io_lookup_free(struct io_lookup *lookup)
{
	if (lookup == NULL)
		return;
	ev_io_stop(lookup->io->loop, &lookup->answered);
	io_work_release(&lookup->answer);
	question_leave(lookup->question);
	free(lookup);
}
