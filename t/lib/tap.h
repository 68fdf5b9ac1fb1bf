/* TAP for C unit tests: header only, one translation unit a test program.
 *
 *	plan(3);                     (or no plan at all)
 *	ok(n > 0, "counted %d", n);
 *	is_int(got, 5, "five");
 *	is_str(got, "abc", "text");
 *	is_mem(p, len, "ab", 2, "bytes");
 *	return done_testing();
 *
 * Every check yields 1 where it held, so that a test can stop early. What is said about a failure
 * goes to stderr, as prove expects it. */
#ifndef TAP_H
#define TAP_H

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TAP_MAYBE_UNUSED __attribute__((unused))
#define TAP_PRINTF(fmt, args) __attribute__((unused, format(printf, fmt, args)))

static struct {
	int planned;	/* 0: the plan is printed at the end */
	int run;
	int failed;
} tap;

TAP_PRINTF(1, 2) static void
diag(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("# ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

TAP_MAYBE_UNUSED static void
plan(int n)
{
	/* A crash must not lose what was already told, nor a fork repeat it. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	tap.planned = n;
	printf("1..%d\n", n);
}

TAP_MAYBE_UNUSED static int
done_testing(void)
{
	if (tap.planned == 0)
		printf("1..%d\n", tap.run);
	else if (tap.planned != tap.run)
		diag("planned %d checks but ran %d", tap.planned, tap.run);
	if (tap.failed > 0)
		diag("%d of %d checks failed", tap.failed, tap.run);
	fflush(stdout);
	return tap.failed > 0 || (tap.planned != 0 && tap.planned != tap.run);
}

TAP_PRINTF(4, 5) static int
tap_result(int good, const char *file, int line, const char *fmt, ...)
{
	char name[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof name, fmt, ap);
	va_end(ap);
	for (char *p = name; *p != '\0'; p++)	/* '#' would begin a directive */
		*p = *p == '\n' || *p == '#' ? ' ' : *p;
	tap.run++;
	printf("%sok %d - %s\n", good ? "" : "not ", tap.run, name);
	if (!good) {
		tap.failed++;
		diag("failed '%s' at %s:%d", name, file, line);
	}
	fflush(stdout);
	return good;
}

TAP_MAYBE_UNUSED static void
tap_bytes(const char *what, const void *mem, size_t len)
{
	const unsigned char *p = mem;

	fprintf(stderr, "# %s: ", what);
	if (mem == NULL) {
		fputs("NULL\n", stderr);
		return;
	}
	fprintf(stderr, "(%zu) \"", len);
	for (size_t i = 0; i < len && i < 400; i++)
		fprintf(stderr, isprint(p[i]) && p[i] != '\\' ? "%c" : "\\x%02x", p[i]);
	fputs(len > 400 ? "...\"\n" : "\"\n", stderr);
}

TAP_MAYBE_UNUSED static int
tap_same_str(const char *got, const char *want)
{
	return got == NULL || want == NULL ? got == want : strcmp(got, want) == 0;
}

TAP_MAYBE_UNUSED static int
tap_same_mem(const void *got, size_t gotlen, const void *want, size_t wantlen)
{
	return gotlen == wantlen && (gotlen == 0 || (got != NULL && want != NULL &&
	    memcmp(got, want, gotlen) == 0));
}

TAP_MAYBE_UNUSED static void
tap_explain_str(const char *got, const char *want)
{
	tap_bytes(" got", got, got == NULL ? 0 : strlen(got));
	tap_bytes("want", want, want == NULL ? 0 : strlen(want));
}

TAP_MAYBE_UNUSED static void
tap_explain_mem(const void *got, size_t gotlen, const void *want, size_t wantlen)
{
	tap_bytes(" got", got, gotlen);
	tap_bytes("want", want, wantlen);
}

/* Statement expressions, so that each argument is evaluated once. */
#define ok(cond, ...) tap_result((cond) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

#define is_int(got, want, ...) __extension__ ({ \
	long long tap_got = (long long)(got), tap_want = (long long)(want); \
	int tap_good = tap_result(tap_got == tap_want, __FILE__, __LINE__, __VA_ARGS__); \
	if (!tap_good) \
		diag(" got: %lld, want: %lld", tap_got, tap_want); \
	tap_good; })

#define is_str(got, want, ...) __extension__ ({ \
	const char *tap_got = (got), *tap_want = (want); \
	int tap_good = tap_result(tap_same_str(tap_got, tap_want), __FILE__, __LINE__, __VA_ARGS__); \
	if (!tap_good) \
		tap_explain_str(tap_got, tap_want); \
	tap_good; })

#define is_mem(got, gotlen, want, wantlen, ...) __extension__ ({ \
	const void *tap_got = (got), *tap_want = (want); \
	size_t tap_gotlen = (size_t)(gotlen), tap_wantlen = (size_t)(wantlen); \
	int tap_good = tap_result(tap_same_mem(tap_got, tap_gotlen, tap_want, tap_wantlen), \
	    __FILE__, __LINE__, __VA_ARGS__); \
	if (!tap_good) \
		tap_explain_mem(tap_got, tap_gotlen, tap_want, tap_wantlen); \
	tap_good; })

#endif
