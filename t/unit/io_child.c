/* Child processes: output, status, limits. */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "io_peer.h"

struct result {
	int count, status;
	char output[256];
	struct err err;
	struct io_child *child;
	bool free_it;
};

static void on_done(void *arg, int status, const struct buf *output, const struct err *err)
{
	struct result *r = arg;

	r->count++;
	r->status = status;
	r->err = *err;
	snprintf(r->output, sizeof r->output, "%s", buf_str(output));
	if (r->free_it) {
		io_child_free(r->child);
		r->child = NULL;
	}
}

static struct result run(const char *command, double timeout_s, size_t max_output)
{
	struct io *io = io_new();
	struct result r = { .free_it = true };

	err_clear(&r.err);
	r.child = io_child_run(io, command, timeout_s, max_output, on_done, &r);
	is_int(r.count, 0, "%s: nothing from within the call", command);
	io_run(io);
	is_int(r.count, 1, "done once");
	ok(r.child == NULL, "freed in its callback");
	io_free(io);
	return r;
}

static void test_results(void)
{
	static const struct {
		const char *command;
		double timeout_s;
		size_t max;
		int status;
		const char *output;
		enum err_class cls;
		const char *words;
	} rows[] = {
		{ "printf secret", 5, 100, 0, "secret", ERR_NONE, "" },
		{ "printf secret", 0, 6, 0, "secret", ERR_NONE, "" },
		{ "exit 3", 5, 100, 3, "", ERR_NONE, "" },
		{ "echo out; exit 1", 5, 100, 1, "out\n", ERR_NONE, "" },
		{ "no-such-command-here 2>&-", 5, 100, 127, "", ERR_NONE, "" },
		{ "cat", 5, 100, 0, "", ERR_NONE, "" },             /* standard input is empty */
		{ "exec >&-; exec 2>&-; sleep 0.05; exit 4", 5, 100, 4, "", ERR_NONE, "" },
		{ "echo early; sleep 3 & exit 5", 5, 100, 5, "early\n", ERR_NONE, "" },
		{ "kill -9 $$", 5, 100, -1, "", ERR_RETRY, "killed by signal 9" },
		{ "printf secrets", 5, 6, -1, NULL, ERR_USER, "printed more than 6 bytes" },
		{ "yes", 5, 5000, -1, NULL, ERR_USER, "printed more than 5000 bytes" },
		{ "sleep 60", 0.1, 100, -1, NULL, ERR_RETRY, "took more than 0.1 s" },
		{ "sleep 60 | sleep 60", 0.1, 100, -1, NULL, ERR_RETRY, "took more than 0.1 s" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		double before = io_now();
		struct result r = run(rows[i].command, rows[i].timeout_s, rows[i].max);

		is_int(r.status, rows[i].status, "status");
		if (rows[i].output != NULL)
			is_str(r.output, rows[i].output, "output");
		is_int(r.err.cls, rows[i].cls, "class: %s", r.err.text);
		ok(strstr(r.err.text, rows[i].words) != NULL, "says \"%s\"", rows[i].words);
		ok(io_now() - before < 2, "in time");
	}
}

/* Only standard input, output and error, whatever was open here without close-on-exec. */
static void test_descriptors(void)
{
	int fd = open("/dev/null", O_RDONLY);
	struct result r = run("ls /proc/self/fd | tr '\\n' ' '", 5, 100);

	is_str(r.output, "0 1 2 3 ", "no descriptor but ls's own");
	r = run("test \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$; echo $?", 5, 100);
	is_str(r.output, "0\n", "a process group of its own");
	close(fd);
}

/* Free and time limit take the whole group with them. */
static void test_group_dies(void)
{
	char path[] = "/tmp/io-child-XXXXXX", command[200];
	struct io *io = io_new();
	struct result r = { 0 };
	struct stat st;
	int fd = mkstemp(path);

	snprintf(command, sizeof command, "sh -c 'sleep 0.3; echo alive >%s' | cat", path);
	r.child = io_child_run(io, command, 5, 100, on_done, &r);
	run_for(io, 0.05);
	io_child_free(r.child);
	io_run(io);
	is_int(r.count, 0, "freed while it runs: no callback");
	usleep(500000);
	ok(fstat(fd, &st) == 0 && st.st_size == 0, "and its pipeline is gone");
	io_child_free(NULL);
	unlink(path);
	close(fd);
	io_free(io);
}

static void free_in_work(void *arg)
{
	struct result *r = arg;

	io_child_free(r->child);
	r->child = NULL;
}

static void test_freed_before_done(void)
{
	struct io *io = io_new();
	struct result r = { 0 };
	struct io_work work;

	r.child = io_child_run(io, "true", 5, 100, on_done, &r);
	io_work_init(&work, io, free_in_work, &r);
	io_work_mark(&work);
	io_run(io);
	is_int(r.count, 0, "freed by another's work: no callback");
	io_free(io);
}

/* What was ignored here is not ignored there: a pipeline's writer must end with its reader. */
static void test_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* The last seven digits: signals 32 and 33 are libc's own. */
	struct result r = run("sed -nE 's/^(Sig(Blk|Ign)).*(.{7})$/\\1 \\3/p' /proc/self/status", 5, 200);
	is_str(r.output, "SigBlk 0000000\nSigIgn 0000000\n", "signals as usual");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
}

int main(void)
{
	give_up_after(60);
	test_results();
	test_descriptors();
	test_group_dies();
	test_freed_before_done();
	test_signals();
	return done_testing();
}
