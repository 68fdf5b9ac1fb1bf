/* Death at any point, a full disk, a map that ends, readers in other processes. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap.h"
#include "store/store_private.h"

#define MAP_START ((size_t)1 << 20)
#define MAP_RESERVE ((size_t)256 << 10)

static char state[] = "/tmp/store-crash.XXXXXX";
static struct err err;
static enum err_class committed;

static void on_commit(void *arg, const struct err *e)
{
	(void)arg;
	committed = e->cls;
	err = *e;
}

static bool commit(struct store *s)
{
	store_commit(s, on_commit, NULL);
	return committed == ERR_NONE;
}

static void run(const char *command)
{
	char line[200];
	snprintf(line, sizeof line, command, state);
	if (system(line) != 0)
		diag("%s failed", line);
}

/* An action of that number with a part for the message, in the same transaction. */
static void put_action(struct store *s, uint64_t number, uint64_t message)
{
	struct store_part p = { .action = number, .message = message };
	struct store_action a;
	store_action_init(&a);
	a.number = number;
	a.state = STORE_ACTION_WAITING;
	store_action_put(s, &a);
	store_part_put(s, &p);
	store_action_release(&a);
}

static void put_message(struct store *s, uint32_t mailbox, uint32_t uid, size_t octets)
{
	char base[32], *data = malloc(octets + 1);
	uint8_t hash[MAIL_HASH_SIZE] = { (uint8_t)(uid >> 8), (uint8_t)uid, 1 };
	struct store_message m;
	struct store_body *b = store_body_new(s);
	memset(data, (int)uid, octets + 1);
	store_body_write(b, data, octets);
	free(data);
	snprintf(base, sizeof base, "base%u", uid);
	store_message_init(&m);
	m.mailbox = mailbox;
	m.uid = uid;
	m.base = mem_copy(base);
	if (uid % 2 == 0)
		store_body_flush(b);
	m.body = store_body_finish(b, hash, NULL);
	store_message_put(s, &m);
	put_action(s, uid, m.number);
	store_message_release(&m);
}

static uint32_t make_mailbox(struct store *s)
{
	struct store_mailbox m = { .name = mem_copy("INBOX") };
	if (store_begin(s, &err) < 0)
		diag("begin: %s", err.text);
	store_mailbox_put(s, &m);
	commit(s);
	uint32_t id = m.id;
	store_mailbox_release(&m);
	return id;
}

static bool has_action(struct store *s, uint64_t number, uint64_t message)
{
	struct store_part p;
	struct store_action a;
	uint64_t action = 0;
	store_action_init(&a);
	bool found = store_action_get(s, number, &a) && store_part_get(s, number, message, &p) &&
		store_pending_next(s, message, 0, &action) && action == number;
	store_action_release(&a);
	return found;
}

/* How many messages there are, if everything that belongs to each is there too; else -1. */
static int count_whole(struct store *s, uint32_t mailbox)
{
	struct store_message m;
	uint32_t uid = 0;
	int count = 0, wrong = 0;
	store_message_init(&m);
	while (store_message_next(s, mailbox, uid, &m)) {
		struct store_body_info info;
		uint64_t number = m.number, body;
		uid = m.uid;
		count++;
		wrong += !store_body_info(s, m.body, &info) || info.references != 1 ||
			!store_body_find(s, info.hash, &body) || body != m.body;
		char base[32];
		snprintf(base, sizeof base, "base%u", uid);
		wrong += !store_message_by_base(s, base, &m) || m.number != number;
		wrong += !store_alike_next(s, 0, 0, number - 1, &m) || m.number != number;
		wrong += !has_action(s, uid, number);
	}
	store_message_release(&m);
	wrong += store_mailbox_counts(s, mailbox).messages != (uint64_t)count;
	wrong += store_action_counts(s).waiting != (uint64_t)count;
	return wrong == 0 ? count : -1;
}

/* Ten messages a transaction, until the disk has had enough of it. */
static void write_on(uint32_t uid)
{
	struct store *s = store_open(state, true, false, NULL, &err);
	if (s == NULL)
		_exit(2);
	for (int round = 0; round < 500; round++, uid += 10) {
		if (store_begin(s, &err) < 0)
			_exit(3);
		for (uint32_t i = 0; i < 10; i++)
			put_message(s, 1, uid + i, 20000);
		store_commit(s, on_commit, NULL);
	}
	_exit(0);
}

/* A program of its own, since a point is read from the environment once. */
static pid_t start_writer(const char *where, uint32_t uid)
{
	char text[16];
	pid_t child = fork();
	if (child != 0)
		return child;
	if (where != NULL)
		setenv("MAILTIDE_POINT", where, 1);
	snprintf(text, sizeof text, "%u", uid);
	execl("/proc/self/exe", "store_crash", state, text, (char *)NULL);
	_exit(4);
}

/* The child dies at the named point, or after so many microseconds. */
static void die(const char *where, useconds_t after, uint32_t uid)
{
	int status;
	pid_t child = start_writer(where, uid);
	if (where == NULL) {
		usleep(after);
		kill(child, SIGKILL);
	}
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		ok(0, "the child ended by itself");
}

static int look(uint32_t *last)
{
	struct store *s = store_open(state, false, false, NULL, &err);
	if (s == NULL) {
		diag("open: %s", err.text);
		return -1;
	}
	struct uids known;
	uids_init(&known);
	store_known_uids(s, 1, &known);
	*last = uids_last(&known);
	uids_release(&known);
	int count = count_whole(s, 1);
	store_close(s);
	return count;
}

static void test_crashes(void)
{
	uint32_t last = 0;
	die("store.before-commit", 0, 1);
	bool missing = false;
	ok(store_open(state, false, false, &missing, &err) == NULL && missing,
		"dead before the first commit: no store");
	struct store *s = store_open(state, true, false, NULL, &err);
	ok(s != NULL && make_mailbox(s) == 1, "made by the next run");
	store_close(s);

	die("store.before-commit:3", 0, 1);
	is_int(look(&last), 20, "dead before the third commit: two");
	die("store.after-commit:2", 0, 21);
	is_int(look(&last), 40, "dead after the second: both");
	is_int(last, 40, "and the right ones");
	int wrong = 0, count = 0;
	for (useconds_t i = 0; i < 20; i++) {
		die(NULL, 3000 + 1777 * i, last + 1);
		count = look(&last);
		wrong += count < 0 || count % 10 != 0 || (uint32_t)count != last;
	}
	is_int(wrong, 0, "killed at any time: whole transactions only, %d messages", count);
	run("rm -rf %s/store");
}

static void test_map(void)
{
	struct store *s = store_open_sized(state, true, false, MAP_START, MAP_RESERVE, NULL, &err);
	uint32_t box = make_mailbox(s);
	for (uint32_t uid = 1; uid <= 200; uid += 10) {
		if (store_begin(s, &err) < 0)
			ok(0, "begin");
		for (uint32_t i = 0; i < 10; i++)
			put_message(s, box, uid + i, 15000);
		if (!commit(s))
			ok(0, "commit: %s", err.text);
	}
	is_int(count_whole(s, box), 200, "the map has grown");
	int tries = 0;
	do {
		if (store_begin(s, &err) < 0)
			ok(0, "begin");
		put_message(s, box, 201, 30000000);
	} while (!commit(s) && ++tries < 10);
	ok(tries > 0 && tries < 10, "more than was free: again, %d times", tries);
	is_int(count_whole(s, box), 201, "until there is room");
	store_close(s);
	s = store_open_sized(state, false, false, MAP_START, MAP_RESERVE, NULL, &err);
	is_int(count_whole(s, box), 201, "a small map is no obstacle to opening");
	store_close(s);
	run("rm -rf %s/store");
}

static char tell(int fd, char what)
{
	return write(fd, &what, 1) == 1 ? what : 0;
}

static char hear(int fd)
{
	char what = 0;
	return read(fd, &what, 1) == 1 ? what : 0;
}

/* The reader looks whenever it is told to; its exit status is what it did not find. */
static void read_beside(int from, int to)
{
	struct store *s = store_open_sized(state, false, true, MAP_START, MAP_RESERVE, NULL, &err);
	int wrong = s == NULL, want = 0;
	tell(to, 'r');
	for (char what = hear(from); what != 0 && s != NULL; what = hear(from)) {
		want += what == 'c' ? 20 : 0;
		wrong += count_whole(s, 1) != want;
		tell(to, 'd');
	}
	store_close(s);
	_exit(wrong);
}

static void test_reader(void)
{
	int there[2], back[2], status;
	struct store *s = store_open_sized(state, true, false, MAP_START, MAP_RESERVE, NULL, &err);
	uint32_t box = make_mailbox(s);
	store_close(s);
	if (pipe(there) < 0 || pipe(back) < 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		close(there[1]);
		close(back[0]);
		read_beside(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	hear(back[0]);
	s = store_open_sized(state, false, false, MAP_START, MAP_RESERVE, NULL, &err);
	for (uint32_t round = 0; round < 20; round++) {
		if (store_begin(s, &err) < 0)
			ok(0, "begin");
		for (uint32_t i = 0; i < 20; i++)
			put_message(s, box, round * 20 + i + 1, 6000);
		tell(there[1], 'b');
		hear(back[0]);
		if (!commit(s))
			ok(0, "commit: %s", err.text);
		tell(there[1], 'c');
		hear(back[0]);
	}
	close(there[1]);
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		"a reader sees each commit, and no more, while the map grows");
	MDB_envinfo info;
	mdb_env_info(s->env, &info);
	ok(info.me_mapsize >= 4 * MAP_START, "which it did");
	store_close(s);
	run("rm -rf %s/store");
}

/* Fills what there is, and says how the last commit failed. */
static int fill(struct store *s, uint32_t box, uint32_t *uid)
{
	for (;; *uid += 10) {
		if (store_begin(s, &err) < 0)
			return -1;
		for (uint32_t i = 0; i < 10; i++)
			put_message(s, box, *uid + i, 50000);
		if (!commit(s))
			return 0;
	}
}

static bool write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	return f != NULL && (fputs(text, f) >= 0) & (fclose(f) == 0);
}

/* Who is not root becomes it, in a name space of its own. */
static bool may_mount(void)
{
	char users[32], groups[32];
	snprintf(users, sizeof users, "0 %u 1\n", geteuid());
	snprintf(groups, sizeof groups, "0 %u 1\n", getegid());
	if (geteuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	return unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
		write_text("/proc/self/setgroups", "deny") &&
		write_text("/proc/self/gid_map", groups) && write_text("/proc/self/uid_map", users);
}

static bool mount_small(void)
{
	return may_mount() &&
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("none", state, "tmpfs", 0, "size=8m") == 0;
}

/* In a child, whose mounts are its own. */
static int on_full_disk(void)
{
	if (!mount_small())
		return 77;
	struct store *s = store_open(state, true, false, NULL, &err);
	if (s == NULL)
		return 10;
	uint32_t uid = 1, box = make_mailbox(s);
	if (fill(s, box, &uid) < 0 || err.cls != ERR_LATER || uid == 1)
		return 1;
	if (strstr(err.text, " in the store \"/tmp/") == NULL || strstr(err.text, "\": the disk is full: ") == NULL)
		return 2;
	if (count_whole(s, box) != (int)uid - 1)
		return 3;
	store_close(s);
	s = store_open(state, false, false, NULL, &err);
	if (s == NULL || count_whole(s, box) != (int)uid - 1)
		return 4;
	/* Room again. */
	if (mount("none", state, "tmpfs", MS_REMOUNT, "size=32m") != 0 || store_begin(s, &err) < 0)
		return 5;
	put_message(s, box, uid, 5000000);
	if (!commit(s) || count_whole(s, box) != (int)uid)
		return 6;
	store_close(s);

	/* No room for a store at all: neither a store nor a bus error. */
	run("rm -rf %s/store; head -c 40000000 /dev/zero > %1$s/fill 2>/dev/null || true");
	if (store_open(state, true, false, NULL, &err) != NULL || err.cls != ERR_LATER)
		return 7;
	return 0;
}

static void test_full_disk(void)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		_exit(on_full_disk());
	waitpid(child, &status, 0);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	if (code == 77)
		ok(1, "a full disk # SKIP no right to mount");
	else
		is_int(code, 0, "a full disk is told, and nothing is lost");
}

/* The disk had room for the first of the two pages with which a store begins. */
static void test_half_made(void)
{
	bool missing = false;
	struct store *s = store_open(state, true, false, NULL, &err);
	store_close(s);
	run("truncate -s $(getconf PAGESIZE) %s/store/data.mdb");
	s = store_open(state, false, true, &missing, &err);
	ok(s == NULL && missing, "a store that was half made is none");
	s = store_open(state, true, false, NULL, &err);
	ok(s != NULL, "and is made: %s", s == NULL ? err.text : "");
	store_close(s);
	run("rm -rf %s/store; mkdir %1$s/store; echo mine >%1$s/store/data.mdb");
	ok(store_open(state, true, false, NULL, &err) == NULL, "what is somebody else's stays: %s", err.text);
	run("test -s %s/store/data.mdb && rm -rf %1$s/store");
}

/* Writes that fail for another reason. */
static void test_file_limit(void)
{
	struct store *s = store_open(state, true, false, NULL, &err);
	uint32_t box = make_mailbox(s), uid = 1;
	struct rlimit limit, old;
	getrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_IGN);
	limit = old;
	limit.rlim_cur = 3000000;
	setrlimit(RLIMIT_FSIZE, &limit);
	is_int(fill(s, box, &uid), 0, "a commit fails: %s", err.text);
	ok(uid > 1 && committed != ERR_NONE, "after some");
	setrlimit(RLIMIT_FSIZE, &old);
	is_int(count_whole(s, box), (int)uid - 1, "what was committed is there");
	if (store_begin(s, &err) < 0)
		ok(0, "begin: %s", err.text);
	put_message(s, box, uid, 1000000);
	ok(commit(s), "and it goes on");
	is_int(count_whole(s, box), (int)uid, "whole");
	store_close(s);
	run("rm -rf %s/store");
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		snprintf(state, sizeof state, "%s", argv[1]);
		write_on((uint32_t)strtoul(argv[2], NULL, 10));
	}
	if (mkdtemp(state) == NULL)
		return 1;
	test_crashes();
	test_map();
	test_reader();
	test_full_disk();
	test_half_made();
	test_file_limit();
	run("rm -rf %s");
	return done_testing();
}
