#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap.h"

static void test_text(void)
{
	static const struct {
		const char *given, *want;
	} rows[] = {
		{ "", "" },
		{ "a\r\nb", "a??b" },
		{ "\x1b[2J", "?[2J" },
		{ "\x7f", "?" },
		{ "\tx", "?x" },
		{ "Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe" },
		{ "\xc2\x9b" "1m", "?1m" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xc2", "\xc2" },
		{ "%s %n", "%s %n" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err;
		err_set(&err, ERR_USER, ERR_MAILBOX, "%s", rows[i].given);
		is_str(err.text, rows[i].want, "row %zu", i);
	}
}

static void test_cut(void)
{
	struct err err;
	char text[2000];

	for (size_t len = 509; len < 514; len++) {
		memset(text, 'x', len);
		memcpy(text + len, "\xe2\x82\xac", 4); /* a euro sign, with its NUL */
		err_set(&err, ERR_USER, ERR_MAILBOX, "%s", text);
		size_t want = len < 509 ? len + 3 : len < 511 ? len : 511;
		is_int(strlen(err.text), want, "cut before a character at %zu", len);
	}
	memset(text, 'x', 508);
	memcpy(text + 508, "\xe2\x82\xac", 4);
	err_set(&err, ERR_USER, ERR_MAILBOX, "%s", text);
	is_int(strlen(err.text), 511, "a character that fits stays");
	err_prefix(&err, "%s", text);
	is_int(strlen(err.text), 511, "a prefix that is too long is cut, too");
	err_prefix(&err, "work");
	is_mem(err.text, 8, "work: xx", 8, "the front stays");
	memset(text, 'x', 510);
	memcpy(text + 510, "\xe2\x82\xac", 4);
	err_errno(&err, ERR_RETRY, ERR_MAILBOX, ENOENT, "%s", text);
	is_int(strlen(err.text), 510, "not where a reason follows, either");
}

static void test_errno(void)
{
	static const struct {
		int errno_value;
		enum err_class given, want;
		const char *text;
	} rows[] = {
		{ ENOSPC, ERR_USER, ERR_LATER, "\"a\": the disk is full: make room" },
		{ EDQUOT, ERR_RETRY, ERR_LATER, "\"a\": the disk quota is used up: make room" },
		{ EACCES, ERR_RETRY, ERR_USER, "\"a\": Permission denied" },
		{ EPERM, ERR_LATER, ERR_USER, "\"a\": Operation not permitted" },
		{ EROFS, ERR_RETRY, ERR_USER, "\"a\": Read-only file system" },
		{ ECONNRESET, ERR_RETRY, ERR_RETRY, "\"a\": Connection reset by peer" },
		{ ENOENT, ERR_USER, ERR_USER, "\"a\": No such file or directory" },
		{ 99999, ERR_LATER, ERR_LATER, "\"a\": Unknown error 99999" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err;
		is_int(err_errno(&err, rows[i].given, ERR_MAILBOX, rows[i].errno_value, "\"%s\"", "a"),
			-1, "row %zu: returns -1", i);
		is_int(err.cls, rows[i].want, "row %zu: class", i);
		is_int(err.scope, ERR_MAILBOX, "row %zu: scope", i);
		is_str(err.text, rows[i].text, "row %zu: text", i);
	}
}

static void test_exit_status(void)
{
	static const struct {
		enum err_class cls;
		int status;
	} rows[] = {
		{ ERR_NONE, 0 }, { ERR_RETRY, 75 }, { ERR_LATER, 75 }, { ERR_LOGIN, 77 },
		{ ERR_USER, 78 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = { .cls = rows[i].cls };
		is_int(err_exit_status(&err), rows[i].status, "exit status of class %d", rows[i].cls);
	}
}

static void test_prefix(void)
{
	struct err err;

	err_set(&err, ERR_LOGIN, ERR_ACCOUNT, "server says \"%s\"", "no");
	is_int(err_prefix(&err, "account \"%s\"", "work\n"), -1, "prefix returns -1");
	is_str(err.text, "account \"work?\": server says \"no\"", "prefixed");
	is_int(err.cls, ERR_LOGIN, "the class stays");
	is_int(err.scope, ERR_ACCOUNT, "the scope stays");
	err_set(&err, ERR_USER, ERR_ACCOUNT, "again: %s", err.text);
	is_str(err.text, "again: account \"work?\": server says \"no\"", "made from itself");
	err_clear(&err);
	is_int(err.cls, ERR_NONE, "cleared");
	is_str(err.text, "", "without text");
}

static void test_nobody_asks(void)
{
	is_int(err_set(NULL, ERR_USER, ERR_ACCOUNT, "x"), -1, "set without err");
	is_int(err_errno(NULL, ERR_USER, ERR_ACCOUNT, EIO, "x"), -1, "errno without err");
	is_int(err_prefix(NULL, "x"), -1, "prefix without err");
	err_clear(NULL);
}

static void break_invariant(void)
{
	struct rlimit no_core = { 0, 0 };
	int zero = 0;

	setrlimit(RLIMIT_CORE, &no_core);
	INVARIANT(zero == 0);
	INVARIANT(zero > 0);
	_exit(0);
}

static void test_broken(void)
{
	int fds[2], status;
	char said[256];

	if (!ok(pipe(fds) == 0, "pipe"))
		return;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 2);
		break_invariant();
	}
	close(fds[1]);
	ssize_t n = read(fds[0], said, sizeof said - 1);
	said[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "a broken invariant ends the program");
	ok(strstr(said, "zero > 0 (t/unit/err.c:") != NULL, "and says where: %s", said);
}

int main(void)
{
	test_text();
	test_cut();
	test_errno();
	test_exit_status();
	test_prefix();
	test_nobody_asks();
	test_broken();
	return done_testing();
}
