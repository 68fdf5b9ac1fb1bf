/* Preloaded into daemons that log to syslog only: appends to the file $SYSLOG_FILE. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *who = "?";

void openlog(const char *ident, int option, int facility)
{
	(void)option, (void)facility;
	if (ident)
		who = ident;
}

void closelog(void)
{
}

void vsyslog(int priority, const char *format, va_list args)
{
	int saved = errno;
	const char *path = getenv("SYSLOG_FILE");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
	char line[4096];
	if (fd < 0)
		return;
	int n = snprintf(line, sizeof line, "%s[%d] <%d> ", who, (int)getpid(), priority & 7);
	errno = saved; /* for %m */
	int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	n += m < (int)sizeof line - n - 1 ? m : (int)sizeof line - n - 2;
	if (line[n - 1] != '\n')
		line[n++] = '\n';
	if (write(fd, line, (size_t)n) < 0) {
		/* nowhere to tell */
	}
	close(fd);
	errno = saved;
}

void syslog(int priority, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsyslog(priority, format, args);
	va_end(args);
}

/* What -D_FORTIFY_SOURCE makes of the two. */
void __vsyslog_chk(int priority, int flag, const char *format, va_list args)
{
	(void)flag;
	vsyslog(priority, format, args);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list args;
	(void)flag;
	va_start(args, format);
	vsyslog(priority, format, args);
	va_end(args);
}
