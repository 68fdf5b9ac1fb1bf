/* Secrets that lie in files: who may read them, and what of them counts. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "lib/tap.h"

static char *folder;
static char *path;

static const struct {
	const char *text;
	size_t len;
	mode_t mode;
	const char *secret, *error; /* after the path */
} cases[] = {
	{ "hunter2", 7, 0600, "hunter2", NULL },
	{ "hunter2\n", 8, 0400, "hunter2", NULL },
	{ "hunter2\r\n", 9, 0600, "hunter2", NULL },
	{ " with blanks \n", 14, 0600, " with blanks ", NULL },
	{ "p\xe4ss\n", 5, 0600, "p\xe4ss", NULL },
	{ "two\n\n", 5, 0600, NULL, "has more than one line" },
	{ "two\nlines\n", 10, 0600, NULL, "has more than one line" },
	{ "nul\0x", 5, 0600, NULL, "has more than one line" },
	{ "", 0, 0600, NULL, "is empty" },
	{ "\n", 1, 0600, NULL, "is empty" },
	{ "x", 1, 0640, NULL, "is open to others; chmod 600 it" },
	{ "x", 1, 0602, NULL, "is open to others; chmod 600 it" },
	{ "x", 1, 0610, NULL, "is open to others; chmod 600 it" },
};

static void write_secret(const char *data, size_t len, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len || fchmod(fd, mode) != 0)
		exit(1);
	close(fd);
}

static void check_case(size_t i)
{
	struct conf_account a = { .secret_kind = CONF_SECRET_FILE, .secret = path };
	struct buf out;
	struct err err;
	int rc;

	write_secret(cases[i].text, cases[i].len, cases[i].mode);
	buf_init(&out, 1000);
	err_clear(&err);
	rc = conf_secret_read(&a, &out, &err);
	if (cases[i].secret != NULL) {
		is_int(rc, 0, "case %zu is read: %s", i, err.text);
		is_str(buf_str(&out), cases[i].secret, "the secret");
	} else {
		ok(rc == -1 && err.cls == ERR_USER && strstr(err.text, path) != NULL &&
			strstr(err.text, cases[i].error) != NULL, "case %zu: %s", i, err.text);
		is_int(out.len, 0, "nothing given out");
	}
	buf_release(&out);
}

/* A root's file with the group's bits stands for an ACL only where systemd put it. */
static void test_credential(void)
{
	char name[] = "F";
	struct conf_account a = { .secret_kind = CONF_SECRET_CREDENTIAL, .secret = name };
	struct buf out;
	struct err err;

	buf_init(&out, 0);
	err_clear(&err);
	unsetenv("CREDENTIALS_DIRECTORY");
	ok(conf_secret_read(&a, &out, &err) == -1 && strstr(err.text, "$CREDENTIALS_DIRECTORY") != NULL,
		"without systemd: %s", err.text);
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	write_secret("token\n", 6, 0400);
	is_int(conf_secret_read(&a, &out, &err), 0, "a credential");
	is_str(buf_str(&out), "token", "is read");
	write_secret("token\n", 6, 0440);
	is_int(conf_secret_read(&a, &out, &err), geteuid() == 0 ? 0 : -1, "an ACL on root's file");
	write_secret("token\n", 6, 0404);
	is_int(conf_secret_read(&a, &out, &err), -1, "a credential that all may read");
	buf_release(&out);
}

static void test_odd(void)
{
	struct conf_account a = { .secret_kind = CONF_SECRET_FILE, .secret = path };
	char *big = mem_new(100000);
	struct buf out;
	struct err err;

	buf_init(&out, 3);
	err_clear(&err);
	write_secret("four", 4, 0600);
	ok(conf_secret_read(&a, &out, &err) == -1 && out.len == 0, "no room: %s", err.text);
	memset(big, 'x', 100000);
	write_secret(big, 100000, 0600);
	ok(conf_secret_read(&a, &out, &err) == -1 && strstr(err.text, "larger") != NULL, "100 KB: %s",
		err.text);
	unlink(path);
	ok(conf_secret_read(&a, &out, &err) == -1, "no file: %s", err.text);
	if (mkfifo(path, 0600) == 0)
		ok(conf_secret_read(&a, &out, &err) == -1 && strstr(err.text, "not a file") != NULL,
			"a pipe does not hold us: %s", err.text);
	a.secret = folder;
	ok(conf_secret_read(&a, &out, &err) == -1, "a folder: %s", err.text);
	buf_release(&out);
	free(big);
}

int main(void)
{
	folder = mem_printf("%s/mailtide-conf-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(folder) == NULL)
		return 1;
	path = mem_printf("%s/F", folder);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_case(i);
	test_credential();
	test_odd();
	unlink(path);
	rmdir(folder);
	free(path);
	free(folder);
	return done_testing();
}
