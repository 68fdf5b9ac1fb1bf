#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap.h"

/* Everything happens in a folder of its own, which is the current one. */
static char folder[] = "/tmp/mailtide-file.XXXXXX";

static void put(const char *path, const char *text)
{
	struct err err;

	if (file_replace(path, 0600, text, strlen(text), &err) < 0)
		ok(0, "file_replace %s: %s", path, err.text);
}

static void has(const char *path, const char *want, const char *what)
{
	struct buf text;

	buf_init(&text, 0);
	ok(file_read(path, &text, NULL, NULL) == 0, "%s: readable", what);
	is_str(buf_str(&text), want, "%s", what);
	buf_release(&text);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_replace(void)
{
	struct err err;

	is_int(file_replace("r", 0640, NULL, 0, &err), 0, "an empty file");
	has("r", "", "replaced with nothing");
	is_int(mode_of("r"), 0640, "the mode is the caller's, whatever umask says");
	umask(022);
	is_int(file_replace("r", 0666, "abc", 3, &err), 0, "again");
	umask(077);
	has("r", "abc", "replaced");
	is_int(mode_of("r"), 0666, "the mode is replaced, too");
	ok(!exists("r.new"), "the neighbour is gone");

	put("r.new", "left behind by a crash, and longer than what comes");
	chmod("r.new", 0644);
	is_int(file_replace("r", 0600, "xy", 2, &err), 0, "over a neighbour that was left behind");
	has("r", "xy", "nothing of it comes through");
	is_int(mode_of("r"), 0600, "nor its mode");

	is_int(file_replace("ro", 0400, "a", 1, &err), 0, "a file that its owner may only read");
	is_int(mode_of("ro"), 0600, "would stop the next replacement after a crash");

	symlink("elsewhere", "r.new");
	is_int(file_replace("r", 0600, "z", 1, &err), -1, "a neighbour that points elsewhere");
	ok(!exists("elsewhere"), "is not followed");
	has("r", "xy", "the old content stays");
	unlink("r.new");
}

static void test_replace_failures(void)
{
	struct err err = { .cls = ERR_NONE };

	is_int(file_replace("missing/r", 0600, "a", 1, &err), -1, "no such folder");
	is_str(err.text, "cannot create \"missing/r.new\": No such file or directory", "says so");
	is_int(err.scope, ERR_ACCOUNT, "scope");
	mkdir("full", 0700);
	mkdir("full/r", 0700);
	is_int(file_replace("full/r", 0600, "a", 1, &err), -1, "a folder is in the way");
	ok(!exists("full/r.new"), "the neighbour is taken away");
	is_int(file_replace("full/r", 0600, "a", 1, NULL), -1, "nobody asks why");
	is_int(file_replace("/dev/full/x", 0600, "a", 1, &err), -1, "a device is no folder");
}

/* Killed at each point, the file is the old one or the new one, and the next replacement works. */
static void test_replace_crash(void)
{
	static const struct {
		const char *point, *want;
	} rows[] = {
		{ "file.written", "old" },
		{ "file.renamed", "new" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = 0;
		put("crash", "old");
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			execl("/proc/self/exe", "file", rows[i].point, (char *)NULL);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "killed at %s", rows[i].point);
		has("crash", rows[i].want, rows[i].point);
	}
	put("crash", "after");
	has("crash", "after", "the next replacement");
	ok(!exists("crash.new"), "leaves nothing behind");
}

/* Run by the test above, since the points are known only to a new program. */
static int crash_at(const char *name)
{
	setenv("MAILTIDE_POINT", name, 1);
	file_replace("crash", 0600, "new", 3, NULL);
	return 0;
}

/* Each child writes its own letter, long enough that a mixture would be seen. */
static void replace_often(char letter)
{
	enum { LEN = 20000 };
	char text[LEN];

	memset(text, letter, LEN);
	for (int i = 0; i < 30; i++)
		if (file_replace("contended", 0600, text, LEN, NULL) < 0)
			_exit(1);
	_exit(0);
}

static void test_replace_at_once(void)
{
	int failed = 0, mixed = 0, status;

	put("contended", "");
	fflush(stdout);
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			replace_often((char)('a' + i));
	for (int running = 4; running > 0;) {
		struct buf text;
		buf_init(&text, 0);
		file_read("contended", &text, NULL, NULL);
		for (size_t i = 1; i < text.len; i++)
			mixed += text.data[i] != text.data[0];
		mixed += text.len != 0 && text.len != 20000;
		buf_release(&text);
		if (waitpid(-1, &status, WNOHANG) > 0) {
			running--;
			failed += status != 0;
		}
	}
	is_int(failed, 0, "four programs replace one file");
	is_int(mixed, 0, "and it is always one of theirs");
	ok(!exists("contended.new"), "no neighbour is left");
}

static void test_read(void)
{
	static const struct {
		const char *path;
		size_t limit;
		int errno_value;
		const char *want;
	} rows[] = {
		{ "missing", 0, ENOENT, ">" },
		{ "missing/file", 0, ENOENT, ">" },
		{ "five/file", 0, ENOTDIR, ">" },
		{ ".", 0, EISDIR, ">" },
		{ "five", 5, EFBIG, ">" },
		{ "five", 1, EFBIG, ">" },
		{ "five", 6, 0, ">12345" },
		{ "five", 7, 0, ">12345" },
		{ "five", 0, 0, ">12345" },
		{ "empty", 1, 0, ">" },
		{ "/dev/null", 0, 0, ">" },
		{ "/dev/zero", 100000, EFBIG, ">" },
	};

	put("five", "12345");
	put("empty", "");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = { .cls = ERR_NONE };
		struct buf out;
		int errno_value = -1;
		buf_init(&out, rows[i].limit);
		buf_add_char(&out, '>');
		int rc = file_read(rows[i].path, &out, &errno_value, &err);
		is_int(rc, rows[i].errno_value == 0 ? 0 : -1, "row %zu: read %s", i, rows[i].path);
		is_int(errno_value, rows[i].errno_value, "row %zu: errno", i);
		is_int(err.cls, rows[i].errno_value == 0 ? ERR_NONE : ERR_USER, "row %zu: class", i);
		is_str(buf_str(&out), rows[i].want, "row %zu: content", i);
		buf_release(&out);
	}
}

static void test_read_large(void)
{
	enum { LEN = 1000003 };
	char *text = mem_new(LEN);
	struct buf out;

	for (size_t i = 0; i < LEN; i++)
		text[i] = (char)(i * 7 % 253);
	file_replace("large", 0600, text, LEN, NULL);
	buf_init(&out, LEN);
	is_int(file_read("large", &out, NULL, NULL), 0, "a large file, exactly up to the ceiling");
	ok(out.len == LEN && memcmp(out.data, text, LEN) == 0, "all of it");
	buf_release(&out);
	free(text);
}

static void test_mkdirs(void)
{
	static const struct {
		const char *path;
		int rc;
		const char *made;
	} rows[] = {
		{ "", -1, NULL },
		{ "/", 0, NULL },
		{ "///", 0, NULL },
		{ ".", 0, NULL },
		{ "m", 0, "m" },
		{ "m", 0, "m" },
		{ "m/1/2/3", 0, "m/1/2/3" },
		{ "m/1/2/3/", 0, "m/1/2/3" },
		{ "m//4///5//", 0, "m/4/5" },
		{ "./m/./6", 0, "m/6" },
		{ "m/7/../8", 0, "m/8" },
		{ "link", 0, NULL },
		{ "link/9", 0, "m/9" },
		{ "dangling", -1, NULL },
		{ "file", -1, NULL },
		{ "file/a", -1, NULL },
		{ "file/a/b", -1, NULL },
	};

	put("file", "");
	symlink("m", "link");
	symlink("nowhere", "dangling");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = { .cls = ERR_NONE };
		is_int(file_mkdirs(rows[i].path, 0750, &err), rows[i].rc, "row %zu: mkdirs \"%s\"", i,
			rows[i].path);
		is_int(err.cls, rows[i].rc < 0 ? ERR_USER : ERR_NONE, "row %zu: class", i);
		if (rows[i].made != NULL)
			ok(exists(rows[i].made), "row %zu: made", i);
	}
	umask(0);
	file_mkdirs("mode/of/all", 0711, NULL);
	umask(077);
	is_int(mode_of("mode"), 0711, "parents get the mode, too");
	is_int(mode_of("mode/of/all"), 0711, "as the innermost does");
}

static void test_names(void)
{
	static const struct {
		const char *given, *home, *want;
	} expand[] = {
		{ "", "/h", "" },
		{ "~", "/h", "/h" },
		{ "~/", "/h", "/h/" },
		{ "~/a/b", "/h", "/h/a/b" },
		{ "~/a", "/", "/a" },
		{ "~user/a", "/h", "~user/a" },
		{ "a/~", "/h", "a/~" },
		{ "/a", "/h", "/a" },
	};
	static const struct {
		const char *folder, *name, *want;
	} join[] = {
		{ "a", "b", "a/b" },
		{ "a/", "b", "a/b" },
		{ "/", "b", "/b" },
		{ "", "b", "b" },
		{ "a", "", "a/" },
	};

	for (size_t i = 0; i < sizeof expand / sizeof *expand; i++) {
		setenv("HOME", expand[i].home, 1);
		char *got = file_expand(expand[i].given);
		is_str(got, expand[i].want, "expand \"%s\"", expand[i].given);
		free(got);
	}
	for (size_t i = 0; i < sizeof join / sizeof *join; i++) {
		char *got = file_join(join[i].folder, join[i].name);
		is_str(got, join[i].want, "join \"%s\", \"%s\"", join[i].folder, join[i].name);
		free(got);
	}
	unsetenv("HOME");
	char *got = file_expand("~/a");
	ok(got[0] == '/', "without HOME the password entry is asked: %s", got);
	free(got);
}

static void test_lock(void)
{
	struct err err = { .cls = ERR_NONE };
	struct buf holder;
	bool held = true;
	char want[64];

	put("lock", "4711 a dead process of a long name\n");
	buf_init(&holder, 0);
	buf_add_str(&holder, "from an earlier call");
	int fd = file_lock("lock", "sync work", &held, &holder, &err);
	ok(fd >= 0, "a stale text is no obstacle");
	ok(!held, "nobody held it");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "children do not inherit it");
	snprintf(want, sizeof want, "%ld sync work\n", (long)getpid());
	has("lock", want, "the holder's text");

	is_int(file_lock("lock", "queue add", &held, &holder, &err), -1, "a second one is refused");
	ok(held, "since it is held");
	is_int(err.cls, ERR_NONE, "which is no error");
	is_str(buf_str(&holder), want, "by the first");
	has("lock", want, "the second one changes nothing");
	is_int(file_lock("lock", "queue add", &held, NULL, NULL), -1, "nobody asks by whom");
	buf_release(&holder);
	buf_init(&holder, 3);
	is_int(file_lock("lock", "queue add", &held, &holder, NULL), -1, "a holder's text too long");
	is_str(buf_str(&holder), "", "is no text");

	file_unlock(fd);
	ok(exists("lock"), "the file stays");
	fd = file_lock("lock", "again", &held, NULL, &err);
	ok(fd >= 0, "unlocked, it can be locked again");
	file_unlock(fd);
	buf_release(&holder);
}

static void test_lock_failures(void)
{
	struct err err = { .cls = ERR_NONE };
	bool held = true;

	is_int(file_lock("missing/lock", "x", &held, NULL, &err), -1, "no such folder");
	ok(!held, "is not held");
	is_int(err.cls, ERR_USER, "but an error");
	is_str(err.text, "cannot open lock \"missing/lock\": No such file or directory", "says so");
}

static void test_lock_of_the_killed(void)
{
	int fds[2];
	bool held = false;
	char c;

	if (!ok(pipe(fds) == 0, "pipe"))
		return;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = file_lock("killed", "child", &held, NULL, NULL);
		if (write(fds[1], fd < 0 ? "-" : "+", 1) == 1)
			pause();
		_exit(1);
	}
	ok(read(fds[0], &c, 1) == 1 && c == '+', "a child locks");
	is_int(file_lock("killed", "parent", &held, NULL, NULL), -1, "the parent has to wait");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	int fd = file_lock("killed", "parent", &held, NULL, NULL);
	ok(fd >= 0, "the lock ends with its holder");
	file_unlock(fd);
	close(fds[0]);
	close(fds[1]);
}

static void remove_folder(void)
{
	char *command = mem_printf("rm -rf %s", folder);

	if (chdir("/") == 0 && system(command) != 0)
		diag("%s is left behind", folder);
	free(command);
}

int main(int argc, char **argv)
{
	umask(077);
	if (argc > 1)
		return crash_at(argv[1]);
	if (mkdtemp(folder) == NULL || chdir(folder) < 0)
		return 1;
	test_replace();
	test_replace_failures();
	test_replace_crash();
	test_replace_at_once();
	test_read();
	test_read_large();
	test_mkdirs();
	test_names();
	test_lock();
	test_lock_failures();
	test_lock_of_the_killed();
	remove_folder();
	return done_testing();
}
