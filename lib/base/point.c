#include "base/point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

static enum { UNKNOWN, OFF, ON } state;

static struct slice deadly;       /* the point to die at */
static unsigned long left;        /* passes of it that are still to come; 0 = none is deadly */
static const char *record_path;
static bool every;                /* pass is recorded, not the first only */
static char **passed;             /* names that are recorded already */
static size_t passed_count;

static void parse_deadly(const char *text)
{
	const char *colon = strchr(text, ':');

	deadly = (struct slice){ text, colon != NULL ? (size_t)(colon - text) : strlen(text) };
	left = colon != NULL ? strtoul(colon + 1, NULL, 10) : 1;
}

static void read_environment(void)
{
	const char *text = getenv("MAILTIDE_POINT");

	record_path = getenv("MAILTIDE_PASSES");
	every = record_path != NULL;
	if (!every)
		record_path = getenv("MAILTIDE_POINTS");
	if (text != NULL)
		parse_deadly(text);
	state = text != NULL || record_path != NULL ? ON : OFF;
}

static bool was_passed(const char *name)
{
	for (size_t i = 0; i < passed_count; i++)
		if (strcmp(passed[i], name) == 0)
			return true;
	return false;
}

static void record(const char *name)
{
	if (!every && was_passed(name))
		return;
	if (!every) {
		passed = mem_grow(passed, passed_count + 1, sizeof *passed);
		passed[passed_count++] = mem_copy(name);
	}

	char *line = mem_printf("%s\n", name);
	int fd = open(record_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	/* A point that is missing from the file fails the test that reads it: nothing to report. */
	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		record_path = NULL;
	if (fd >= 0)
		close(fd);
	free(line);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

void point(const char *name)
{
	if (state == OFF)
		return;
	if (state == UNKNOWN) {
		read_environment();
		point(name);
		return;
	}
	if (record_path != NULL)
		record(name);
	if (left > 0 && (slice_is(deadly, "*") || slice_is(deadly, name)) && --left == 0)
		die();
}
