#include "base/point.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "lib/tap.h"

static char folder[] = "/tmp/mailtide-point.XXXXXX";
static char *points_file;
static int *passed; /* points that a child has survived; shared with it */

static void set_or_unset(const char *name, const char *value)
{
	if (value != NULL)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* The environment is read once in a program's life, so each row has a child. Returns the signal that
 * killed it, or 0. */
static int pass_points(const char *deadly, const char *record)
{
	static const char *const names[] = { "a.first", "b.other", "a.first", "a.first" };
	int status;

	*passed = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		set_or_unset("MAILTIDE_POINT", deadly);
		set_or_unset("MAILTIDE_POINTS", record);
		for (int i = 0; i < 4; i++) {
			point(names[i]);
			++*passed;
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_death(void)
{
	static const struct {
		const char *deadly;
		int passed, signal;
	} rows[] = {
		{ NULL, 4, 0 },
		{ "", 4, 0 },
		{ "a", 4, 0 },
		{ "a.first.b", 4, 0 },
		{ "a.first:0", 4, 0 },
		{ "a.first:x", 4, 0 },
		{ "a.first:4", 4, 0 },
		{ "a.first", 0, SIGKILL },
		{ "a.first:1", 0, SIGKILL },
		{ "a.first:2", 2, SIGKILL },
		{ "a.first:3", 3, SIGKILL },
		{ "b.other", 1, SIGKILL },
		{ "*", 0, SIGKILL },
		{ "*:2", 1, SIGKILL },
		{ "*:4", 3, SIGKILL },
		{ "*:5", 4, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *name = rows[i].deadly == NULL ? "(unset)" : rows[i].deadly;
		is_int(pass_points(rows[i].deadly, NULL), rows[i].signal,
			"MAILTIDE_POINT=%s: how it ends", name);
		is_int(*passed, rows[i].passed, "MAILTIDE_POINT=%s: points survived", name);
	}
}

static void is_recorded(const char *want, const char *what)
{
	struct buf text;

	buf_init(&text, 0);
	file_read(points_file, &text, NULL, NULL);
	is_str(buf_str(&text), want, "%s", what);
	buf_release(&text);
	unlink(points_file);
}

static void test_record(void)
{
	char *nowhere = file_join(folder, "no/such/folder");

	pass_points(NULL, points_file);
	is_recorded("a.first\nb.other\n", "each name once, in order");
	is_int(pass_points("b.other", points_file), SIGKILL, "recording and dying");
	is_recorded("a.first\nb.other\n", "the deadly point is recorded before");
	setenv("MAILTIDE_PASSES", points_file, 1);
	pass_points("*:4", NULL);
	unsetenv("MAILTIDE_PASSES");
	is_recorded("a.first\nb.other\na.first\na.first\n", "each pass");
	is_int(pass_points(NULL, nowhere), 0, "a file that cannot be written stops nothing");
	is_int(*passed, 4, "all points are survived");
	free(nowhere);
}

int main(void)
{
	passed = mmap(NULL, sizeof *passed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (passed == MAP_FAILED || mkdtemp(folder) == NULL)
		return 1;
	points_file = file_join(folder, "points");
	test_death();
	test_record();
	free(points_file);
	rmdir(folder);
	return done_testing();
}
