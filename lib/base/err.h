/* What went wrong, in one sentence, and what may be done about it. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* What helps. */
enum err_class {
	ERR_NONE,
	ERR_RETRY, /* the same again, soon: a cut connection, a busy lock (exit status 75) */
	ERR_LATER, /* the same again, but only later: throttled, over quota, disk full (75) */
	ERR_USER,  /* only a person can help: configuration, certificate, permissions (78) */
	ERR_LOGIN, /* the server refused the login (77) */
};

/* How much of the work it stops. */
enum err_scope { ERR_MESSAGE, ERR_MAILBOX, ERR_ACCOUNT };

struct err {
	enum err_class cls;
	enum err_scope scope;
	char text[512]; /* lower case, subject in quotes, no final stop, no line end */
};

/* Fills *err (which may be NULL) and returns -1. Control characters in the text become '?', what
 * is too long is cut: parts of it come from servers. */
int err_set(struct err *err, enum err_class cls, enum err_scope scope, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, ": " and strerror(errno_value) added; ENOSPC, EDQUOT are ERR_LATER and say what to do, EACCES,
 * EPERM and EROFS are ERR_USER, whatever class was given. */
int err_errno(struct err *err, enum err_class cls, enum err_scope scope, int errno_value,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Puts "prefix: " before the text. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *err);
/* 75, 77 or 78 (sysexits.h), 0 for ERR_NONE. */
int err_exit_status(const struct err *err);

/* A broken invariant of ours: says where and ends the program. Every durable step can be repeated,
 * so this is safer than to go on. */
#define INVARIANT(x) ((x) ? (void)0 : err_broken(#x, __FILE__, __LINE__))
void err_broken(const char *what, const char *file, int line) __attribute__((noreturn));

#endif
