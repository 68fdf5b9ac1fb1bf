/* Uploads over a real connection, against a child process that plays the server. What the owner is
 * told is gathered in one line; how much of the upload is in our memory is looked at all the time.
 *
 * A script's lines: "C " what the client's line must be ("C" alone: the rest of a line), "S " what the
 * server says, "L " the octets of the literal that was announced, "P n" n of them, "slow" the next L
 * a little at a time, "wait s" nothing is read, "close" closes. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "imap/imap.h"
#include "lib/tap.h"

enum { MB = 1 << 20, OCTETS_LARGE = 200 * MB, OCTETS_MIDDLE = 16 * MB };

struct script {
	const char *name;
	const char *caps;
	const char *uploads; /* of each command a word: s 5 octets, p 1 MB, m 16 MB, l 200 MB, x none, t too short */
	bool sync;
	const char *lines[24];
	const char *want;
};

#define LOGOUT "C * LOGOUT", "S * BYE see you"

static const struct script scripts[] = {
	{ "an upload of 200 MB, and a command behind it", "LITERAL+", "l s", false, {
		"C a1 APPEND x {209715200}", "S + go on", "L", "C", "C a2 APPEND x {5+}", "L", "C",
		"S a1 OK done", "S a2 OK done", LOGOUT },
	  "OK OK closed(0)" },
	{ "no larger one goes unasked", "LITERAL+", "p", false, {
		"C a1 APPEND x {1048576+}", "L", "C", "S a1 OK done", LOGOUT },
	  "OK closed(0)" },
	{ "several in one command, in memory one piece of one of them", "LITERAL+", "mspm", false, {
		"C a1 APPEND x {16777216}", "S +", "L", "C  {5+}", "L", "C  {1048576+}", "L", "C  {16777216}",
		"S +", "L", "C", "S a1 OK done", LOGOUT },
	  "OK closed(0)" },
	{ "without LITERAL+ each asks; reading goes on meanwhile", "", "sp", false, {
		"C a1 APPEND x {5}", "S * 3 RECENT\r\n+ go on", "L", "C  {1048576}", "S + go on", "P 500000",
		"S * OK still here", "L", "C", "S a1 OK done", LOGOUT },
	  "untagged OK closed(0)" },
	{ "asked to ask", "LITERAL+", "s", true, {
		"C a1 APPEND x {5}", "S +", "L", "C", "S a1 OK done", LOGOUT },
	  "OK closed(0)" },
	{ "LITERAL-", "LITERAL-", "sp", false, {
		"C a1 APPEND x {5+}", "L", "C  {1048576}", "S +", "L", "C", "S a1 OK done", LOGOUT },
	  "OK closed(0)" },
	{ "refused instead of the plus: the connection goes on", "", "l s", false, {
		"C a1 APPEND x {209715200}", "S a1 NO [TOOBIG] no", "C a2 APPEND x {5}", "S +", "L", "C",
		"S a2 OK done", LOGOUT },
	  "NO(no) OK closed(0)" },
	{ "refused in the middle: told, then the end", "", "l s", false, {
		"C a1 APPEND x {209715200}", "S +", "P 100000", "S a1 NO [OVERQUOTA] full", "wait 0.2" },
	  "NO(full) closed(1 the server refused \"APPEND\" while it was sent: full)" },
	{ "BYE in the middle, which says why", "LITERAL+", "l s", false, {
		"C a1 APPEND x {209715200}", "S +", "P 100000", "S * BYE [TOOBIG] too large", "wait 0.2", "close" },
	  "NO(guessed: too large) closed(1 the server closed the connection: too large)" },
	{ "BYE where two may be meant", "LITERAL+", "s s", false, {
		"C a1 APPEND x {5+}", "L", "C", "C a2 APPEND x {5+}", "L", "C", "S * BYE enough", "close" },
	  "closed(1 the server closed the connection: enough)" },
	{ "a file that is missing", "", "x s", false, { "C a1 APPEND x {5}", "S + go on", "C" },
	  "closed(1 cannot open \"/nonexistent\", which was being uploaded: No such file or directory)" },
	{ "a file that is shorter than it was", "LITERAL-", "t s", false, {
		"C a1 APPEND x {1048576}", "S +", "C" },
	  "closed(1 \"short\", which was being uploaded, is 1048571 octets shorter than it was)" },
	{ "slow, but never silent: no limit", "LITERAL+", "m", false, {
		"C a1 APPEND x {16777216}", "S +", "slow", "L", "C", "S a1 OK done", LOGOUT },
	  "OK closed(0)" },
	{ "nothing is taken: the limit", "LITERAL+", "l", false, {
		"C a1 APPEND x {209715200}", "S +", "P 1000", "wait 1.5" },
	  "closed(1 no answer while waiting for \"APPEND\", of which the server takes nothing more)" },
};

static char paths[3][40]; /* 5 octets, 200 MB, and the 5 as one that is too short */

/* The server's side, in the child. Its exit status is 0 where all was as the script says. */

struct server {
	FILE *f;
	int fd;
	char line[1000];
	unsigned long long left; /* of the literal */
	bool slow;
};

/* Its end alone is checked, by the line that follows. */
static bool take_octets(struct server *s, unsigned long long count)
{
	static char room[65536];

	while (count > 0) {
		size_t n = fread(room, 1, count < sizeof room ? (size_t)count : sizeof room, s->f);
		if (n == 0)
			return false;
		if (s->slow)
			usleep(8000); /* 2 s for 16 MB: four times the limit */
		count -= n;
		s->left -= n;
	}
	return true;
}

static bool take_line(struct server *s, const char *want)
{
	const char *brace, *after_tag;

	if (fgets(s->line, sizeof s->line, s->f) == NULL)
		return want[0] == '\0';
	s->line[strcspn(s->line, "\r\n")] = '\0';
	brace = strrchr(s->line, '{');
	s->left = brace != NULL ? strtoull(brace + 1, NULL, 10) : 0;
	after_tag = strchr(s->line, ' ');
	if (want[0] == ' ' && want[1] == '*' && after_tag != NULL)
		return strcmp(after_tag, want + 2) == 0;
	return strcmp(s->line, want[0] == ' ' ? want + 1 : want) == 0;
}

static bool serve_line(struct server *s, const char *text)
{
	if (text[0] == 'C')
		return take_line(s, text + 1);
	if (text[0] == 'L')
		return take_octets(s, s->left);
	if (text[0] == 'P')
		return take_octets(s, strtoull(text + 2, NULL, 10));
	if (text[0] == 'S')
		return dprintf(s->fd, "%s\r\n", text + 2) > 0;
	if (text[0] == 'w')
		usleep((useconds_t)(atof(text + 5) * 1e6));
	s->slow = strcmp(text, "slow") == 0;
	return true;
}

static int serve(int listener, const struct script *script)
{
	struct server s = { .fd = accept(listener, NULL, NULL) };
	const struct timeval limit = { .tv_sec = 20 };

	setsockopt(s.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	s.f = fdopen(s.fd, "r");
	dprintf(s.fd, "* PREAUTH [CAPABILITY IMAP4rev1 MULTIAPPEND %s] hello\r\n", script->caps);
	for (size_t i = 0; script->lines[i] != NULL; i++)
		if (!serve_line(&s, script->lines[i])) {
			diag("%s: read \"%s\" where \"%s\" was due", script->name, s.line, script->lines[i]);
			return 1;
		}
	return 0;
}

/* The client's */

struct owner {
	const struct script *script;
	struct io *io;
	struct imap *c;
	struct io_timer *look;
	struct buf got;
	size_t most_pending;
	int unanswered;
};

static void tell(struct owner *o, const char *what)
{
	buf_addf(&o->got, "%s%s", o->got.len > 0 ? " " : "", what);
}

static void look(void *arg)
{
	struct owner *o = arg;
	size_t pending = io_stream_pending(imap_stream(o->c));

	if (pending > o->most_pending)
		o->most_pending = pending;
	io_timer_start(o->look, 0.001);
}

static void on_done(void *arg, const struct imap_resp *resp)
{
	struct owner *o = arg;
	char text[80];

	snprintf(text, sizeof text, "NO(%s%.*s)", resp->cond.guessed ? "guessed: " : "",
		(int)resp->cond.text.len, resp->cond.text.data);
	tell(o, resp->cond.cond == IMAP_OK ? "OK" : text);
	if (--o->unanswered == 0)
		imap_logout(o->c);
}

static void add_upload(struct imap_cmd *cmd, char kind)
{
	const char *path = kind == 's' ? paths[0] : kind == 't' ? paths[2] : paths[1];
	uint64_t size = kind == 'l' ? OCTETS_LARGE : kind == 'm' ? OCTETS_MIDDLE
		: kind == 's' || kind == 'x' ? 5 : MB;

	imap_cmd_add(cmd, " ");
	imap_cmd_add_file(cmd, kind == 'x' ? "/nonexistent" : path, size, false);
}

static void on_ready(void *arg)
{
	struct owner *o = arg;

	look(o);
	for (const char *at = o->script->uploads; *at != '\0'; at += strspn(at, " ")) {
		struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_done, o);
		imap_cmd_add(cmd, "APPEND x");
		if (o->script->sync)
			imap_cmd_sync_literals(cmd);
		for (; *at != '\0' && *at != ' '; at++)
			add_upload(cmd, *at);
		o->unanswered++;
		imap_send(o->c, cmd, NULL, 0);
	}
}

static void on_untagged(void *arg, void *box, const struct imap_resp *resp)
{
	(void)box;
	if (resp->kind == IMAP_COND)
		tell(arg, "untagged");
}

static void on_closed(void *arg, const struct err *err, bool no_closed)
{
	struct owner *o = arg;

	(void)no_closed;
	buf_addf(&o->got, "%sclosed(%d%s%s)", o->got.len > 0 ? " " : "", err->cls,
		err->cls != ERR_NONE ? " " : "", err->cls != ERR_NONE ? err->text : "");
	io_timer_stop(o->look);
	imap_free(o->c);
	o->c = NULL;
	io_stop(o->io);
}

static const struct imap_events events = {
	NULL, on_ready, on_untagged, NULL, NULL, NULL, on_closed,
};

static int listen_somewhere(uint16_t *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 1) < 0
			|| getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		exit(1);
	*port = ntohs(addr.sin_port);
	return fd;
}

static void converse(struct owner *o, const struct imap_options *options)
{
	buf_init(&o->got, 0);
	o->io = io_new();
	o->look = io_timer_new(o->io, look, o);
	o->c = imap_new(o->io, options, &events, o);
	io_run(o->io);
	is_str(buf_str(&o->got), o->script->want, "%s", o->script->name);
	ok(o->most_pending <= 65536 + 1000, "at most %zu octets in memory", o->most_pending);
	io_timer_free(o->look);
	io_free(o->io);
	buf_release(&o->got);
}

static void run(const struct script *script)
{
	struct owner o = { .script = script };
	struct imap_options options = {
		.target.host = "127.0.0.1", .user = "u", .auth = "auto", .timeout_s = 0.5, .name = "test",
	};
	int listener = listen_somewhere(&options.target.port), status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(serve(listener, script));
	close(listener);
	converse(&o, &options);
	waitpid(child, &status, 0);
	is_int(status, 0, "the server read what it should");
}

static void make_file(const char *path, off_t size)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs("hello", f) < 0 || fflush(f) != 0 || ftruncate(fileno(f), size) < 0)
		exit(1);
	fclose(f);
}

static long peak_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

int main(void)
{
	char folder[] = "/tmp/imap-upload-XXXXXX";
	long before = peak_kb(), grown;

	if (mkdtemp(folder) == NULL || chdir(folder) < 0)
		return 1;
	strcpy(paths[0], "small");
	strcpy(paths[1], "large");
	strcpy(paths[2], "short");
	make_file("small", 5);
	make_file("short", 5);
	make_file("large", OCTETS_LARGE);
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
		run(&scripts[i]);
	grown = peak_kb() - before;
#ifdef __SANITIZE_ADDRESS__ /* keeps what was freed */
	diag("memory has grown by %ld KB", grown);
#else
	ok(grown < 32 * 1024, "memory has grown by %ld KB", grown);
#endif
	for (size_t i = 0; i < 3; i++)
		unlink(paths[i]);
	if (chdir("/") == 0)
		rmdir(folder);
	return done_testing();
}
