/* The connection from the greeting to its end, against a child process that plays the server from a
 * script: lines that begin with "C " are what it must read, "S " what it says, "close" closes.
 * What the owner is told is gathered in one line. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "imap/imap.h"
#include "lib/tap.h"

struct script {
	const char *name;
	const char *then;  /* "": LOGOUT at on_ready; "examine", "wait"; "free X": free in on_X */
	const char *auth;
	bool starttls, token;
	const char *lines[24];
	const char *want;
};

#define GREETING "S * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello"
#define PLAIN "C a1 AUTHENTICATE PLAIN AHUAcGFzcw=="
#define BYE "S * BYE see you"

static const struct script scripts[] = {
	{ "one answer between greeting and ready; ENABLE in the flight of what follows", "examine",
	  "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC] in",
		"C a2 ENABLE QRESYNC", "C a3 EXAMINE x", "S * ENABLED QRESYNC", "S a2 OK x", "S a3 OK x",
		"C a4 LOGOUT", BYE },
	  "secret ready(PLAIN qresync) done(OK qresync) closed(0)" },
	{ "ENABLED that does not name QRESYNC (Q55)", "examine", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC] in",
		"C a2 ENABLE QRESYNC", "C a3 EXAMINE x", "S a2 OK x", "S a3 BAD what is QRESYNC",
		"C a4 LOGOUT", BYE },
	  "secret ready(PLAIN qresync) done(BAD) closed(0)" },
	{ "capabilities are asked for where they are not told (C1, Q25)", "", "auto", false, false, {
		"S * OK hello", "C a1 CAPABILITY", "S * CAPABILITY IMAP4rev1 AUTH=PLAIN", "S a1 OK x",
		"C a2 AUTHENTICATE PLAIN", "S + ", "C AHUAcGFzcw==", "S a2 OK in", "C a3 CAPABILITY",
		"S * CAPABILITY IMAP4rev1 IDLE", "S a3 OK x", "C a4 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	{ "an untagged CAPABILITY during the login counts", "", "auto", false, false, {
		GREETING, PLAIN, "S * CAPABILITY IMAP4rev1 IDLE", "S a1 OK in", "C a2 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	{ "UTF8=ACCEPT is waited for", "", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT] in",
		"C a2 ENABLE UTF8=ACCEPT", "S * ENABLED UTF8=ACCEPT", "S a2 OK x", "C a3 LOGOUT", BYE },
	  "secret ready(PLAIN utf8) closed(0)" },
	{ "COMPRESS leaves with ENABLE and is waited for; refused, we go on", "", "compress", false,
	  false, {
		GREETING, "S * OK a remark", PLAIN,
		"S a1 OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE COMPRESS=DEFLATE] in",
		"C a2 ENABLE CONDSTORE", "C a3 COMPRESS DEFLATE", "S a2 OK x", "S a3 NO not now",
		"C a4 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	{ "PREAUTH needs no login", "", "auto", false, false, {
		"S * PREAUTH [CAPABILITY IMAP4rev1] hello", "C a1 LOGOUT", BYE },
	  "ready() closed(0)" },
	{ "PREAUTH where STARTTLS is due is an attack (C2)", "", "auto", true, false, {
		"S * PREAUTH hello" },
	  "closed(3 the server says PREAUTH where STARTTLS is due; do not trust this network)" },
	{ "what comes behind STARTTLS's OK is an attack (C2)", "", "auto", true, false, {
		"S * OK hello", "C a1 STARTTLS", "S a1 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN" },
	  "closed(3 response injection: something came between STARTTLS and the handshake; do not "
	  "trust this network)" },
	{ "STARTTLS refused; no alert from clear text", "", "auto", true, false, {
		"S * OK [ALERT] call 555", "C a1 STARTTLS", "S a1 NO not here" },
	  "closed(3 the server refused STARTTLS: not here)" },
	{ "a wrong password is not tried again", "", "auto", false, false, {
		GREETING, PLAIN, "S a1 NO [AUTHENTICATIONFAILED] wrong" },
	  "secret closed(4 the server refused the login of \"u\" (PLAIN): wrong)" },
	{ "a mechanism that is refused: another one, once (C3)", "", "auto", false, false, {
		"S * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN] imap4d",
		"C a1 AUTHENTICATE SCRAM-SHA-256", "S a1 NO no secrets", "C a2 AUTHENTICATE PLAIN", "S + ",
		"C AHUAcGFzcw==", "S a2 NO neither" },
	  "secret closed(4 the server refused the login of \"u\" (PLAIN): neither)" },
	{ "and that goes well", "", "auto", false, false, {
		GREETING, PLAIN, "S a1 BAD unknown", "C a2 LOGIN \"u\" \"pass\"",
		"S a2 OK [CAPABILITY IMAP4rev1] in", "C a3 LOGOUT", BYE },
	  "secret ready(LOGIN) closed(0)" },
	{ "LOGINDISABLED and nothing else", "", "auto", false, false, {
		"S * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x" },
	  "closed(3 the server offers no way to log in that we may use (auth = \"auto\"); it offers: "
	  "IMAP4rev1 LOGINDISABLED)" },
	{ "unavailable is later", "", "auto", false, false, {
		GREETING, PLAIN, "S a1 NO [UNAVAILABLE] no database" },
	  "secret closed(2 the server cannot let \"u\" in now: no database)" },
	{ "throttled in words is later (Q19)", "", "auto", false, false, {
		GREETING, PLAIN, "S a1 NO Request is throttled. Suggested Backoff Time: 299961" },
	  "secret closed(2 the server cannot let \"u\" in now: Request is throttled. Suggested "
	  "Backoff Time: 299961)" },
	{ "BYE for a greeting", "", "auto", false, false, { "S * BYE too many" },
	  "closed(2 the server does not let us in now: too many)" },
	{ "not IMAP", "", "auto", false, false, { "S 220 smtp.example.org ESMTP" },
	  "closed(1 what \"127.0.0.1\" says is not an IMAP greeting)" },
	{ "an unproved SCRAM is no login", "", "SCRAM-SHA-256", false, false, {
		"S * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] x", "C a1 AUTHENTICATE SCRAM-SHA-256",
		"S a1 OK [CAPABILITY IMAP4rev1] come in" },
	  "secret closed(4 the server did not prove that it knows the password of \"u\"; do not trust "
	  "this network)" },
	{ "an OAuth error is answered, then refused", "", "XOAUTH2", false, true, {
		"S * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] x", "C a1 AUTHENTICATE XOAUTH2", "S + ",
		"C dXNlcj11AWF1dGg9QmVhcmVyIHBhc3MBAQ==", "S + eyJzdGF0dXMiOiI0MDEifQ==", "C ",
		"S a1 NO [AUTHENTICATIONFAILED] expired" },
	  "secret closed(4 the server refused the login of \"u\" (XOAUTH2): expired)" },
	{ "a lost connection is one event (C10)", "examine", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 EXAMINE x", "close" },
	  "secret ready(PLAIN) closed(1 connection lost while waiting for \"EXAMINE\")" },
	{ "BYE tells why", "examine", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 EXAMINE x",
		"S * BYE [INUSE] go away", "close" },
	  "secret ready(PLAIN) closed(2 the server closed the connection: go away)" },
	{ "silence has a limit (C10)", "examine", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 EXAMINE x", "C never" },
	  "secret ready(PLAIN) closed(1 no answer while waiting for \"EXAMINE\")" },
	{ "an alert reaches the user", "", "auto", false, false, {
		GREETING, PLAIN, "S * NO [ALERT] disk full", "S a1 OK [CAPABILITY IMAP4rev1] in",
		"C a2 LOGOUT", BYE },
	  "secret alert(disk full) ready(PLAIN) closed(0)" },
	{ "freed in on_secret", "free secret", "auto", false, false, { GREETING }, "secret" },
	{ "freed in on_ready", "free ready", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in\r\n* 3 EXISTS" }, "secret ready(PLAIN)" },
	{ "freed in on_alert", "free alert", "auto", false, false, {
		GREETING, PLAIN, "S * NO [ALERT] x\r\n* OK y\r\na1 OK in" }, "secret alert(x)" },
	{ "freed in done", "examine free", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 EXAMINE x",
		"S a2 OK x\r\n* 1 EXPUNGE" }, "secret ready(PLAIN) done(OK)" },
	{ "freed in on_untagged", "examine free untagged", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 EXAMINE x",
		"S * 1 EXISTS\r\na2 OK x\r\n* 1 EXPUNGE" }, "secret ready(PLAIN) untagged" },
};

/* The same with options of their own. */
static const struct {
	struct script script;
	const char *avoid[4];
	bool send_id;
	unsigned max_commands;
} choosy[] = {
	{ { "what is avoided is not enabled, not used, not had (Q55)", "examine", "compress", false, false, {
		GREETING, PLAIN,
		"S a1 OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC UTF8=ACCEPT COMPRESS=DEFLATE] in",
		"C a2 ENABLE CONDSTORE\r\n", "C a3 EXAMINE x", "S * ENABLED CONDSTORE QRESYNC", "S a2 OK x",
		"S a3 OK x", "C a4 LOGOUT", BYE },
	  "secret ready(PLAIN) done(OK) closed(0)" },
	  { "qresync", "UTF8=Accept", "COMPRESS=DEFLATE" }, false, 0 },
	{ { "a mechanism, too; and what is told later", "", "auto", false, false, {
		"S * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN] x", PLAIN,
		"S a1 OK in", "C a2 CAPABILITY", "S * CAPABILITY IMAP4rev1 ENABLE CONDSTORE", "S a2 OK x",
		"C a3 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	  { "AUTH=SCRAM-SHA-256", "CONDSTORE" }, false, 0 },
	{ { "SASL-IR avoided", "", "auto", false, false, {
		GREETING, "C a1 AUTHENTICATE PLAIN\r\n", "S + ", "C AHUAcGFzcw==",
		"S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	  { "SASL-IR" }, false, 0 },
	{ { "ID flies with ENABLE, before the caller's commands; its answer is nobody's (Q82)", "examine",
	  "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE ID] in",
		"C a2 ENABLE CONDSTORE", "C a3 ID (\"name\" \"mailtide\" \"version\" \"" MAILTIDE_VERSION "\")\r\n",
		"C a4 EXAMINE x", "S a2 OK x", "S * ID ()", "S a3 BAD what", "S a4 OK x", "C a5 LOGOUT", BYE },
	  "secret ready(PLAIN) done(OK) closed(0)" },
	  { NULL }, true, 0 },
	{ { "ID leaves before COMPRESS, which holds back all behind it", "", "compress", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1 ID COMPRESS=DEFLATE] in", "C a2 ID (",
		"C a3 COMPRESS DEFLATE", "S a3 NO x", "S a2 OK x", "C a4 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	  { NULL }, true, 0 },
	{ { "one command at a time, ours too (Q31)", "examine", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE ID] in",
		"C a2 ENABLE CONDSTORE", "S a2 OK x", "C a3 ID (", "S a3 OK x", "C a4 EXAMINE x",
		"S a4 OK x", "C a5 LOGOUT", BYE },
	  "secret ready(PLAIN) full done(OK) closed(0)" },
	  { NULL }, true, 1 },
	{ { "no ID where it is not offered", "", "auto", false, false, {
		GREETING, PLAIN, "S a1 OK [CAPABILITY IMAP4rev1] in", "C a2 LOGOUT", BYE },
	  "secret ready(PLAIN) closed(0)" },
	  { NULL }, true, 0 },
};

/* The server's side, in the child. Its exit status is 0 where all was as the script says. */
static int serve(int listener, const struct script *script)
{
	int fd = accept(listener, NULL, NULL);
	FILE *f = fdopen(fd, "r");
	char line[1000];

	for (size_t i = 0; script->lines[i] != NULL; i++) {
		const char *text = script->lines[i];
		if (strcmp(text, "close") == 0)
			return 0;
		if (text[0] == 'S') {
			if (dprintf(fd, "%s\r\n", text + 2) < 0)
				return 1;
			continue;
		}
		if (fgets(line, sizeof line, f) == NULL)
			return strcmp(text, "C never") != 0;
		if (strncmp(line, text + 2, strlen(text + 2)) != 0) {
			diag("%s: read %swhere \"%s\" was due", script->name, line, text + 2);
			return 1;
		}
	}
	while (fgets(line, sizeof line, f) != NULL)
		;
	return 0;
}

struct owner {
	const struct script *script;
	struct io *io;
	struct imap *c;
	struct buf got;
	struct io_timer *stop;
};

static void stop(void *arg)
{
	struct owner *o = arg;

	io_stop(o->io);
}

static void tell(struct owner *o, const char *what)
{
	buf_addf(&o->got, "%s%s", o->got.len > 0 ? " " : "", what);
}

/* Frees the connection if the script says so; a little later nothing may have happened. */
static bool freed(struct owner *o, const char *where)
{
	if (strcmp(o->script->then, where) != 0)
		return false;
	imap_free(o->c);
	o->c = NULL;
	io_timer_start(o->stop, 0.02);
	return true;
}

static void on_secret(void *arg)
{
	struct owner *o = arg;

	tell(o, "secret");
	if (!freed(o, "free secret"))
		imap_give_secret(o->c, slice_of("pass"));
}

static void on_done(void *arg, const struct imap_resp *resp)
{
	struct owner *o = arg;

	buf_addf(&o->got, " done(%s%s)", resp->cond.cond == IMAP_OK ? "OK" : "BAD",
		imap_qresync(o->c) ? " qresync" : "");
	if (!freed(o, "examine free"))
		imap_logout(o->c);
}

static void on_ready(void *arg)
{
	struct owner *o = arg;

	buf_addf(&o->got, "%sready(%s%s%s)", o->got.len > 0 ? " " : "", imap_mechanism(o->c),
		imap_qresync(o->c) ? " qresync" : "", imap_utf8(o->c) ? " utf8" : "");
	if (freed(o, "free ready"))
		return;
	if (strncmp(o->script->then, "examine", 7) == 0) {
		struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_SELECT, on_done, o);
		imap_cmd_add(cmd, "EXAMINE x");
		imap_send(o->c, cmd, o, 0);
		if (!imap_room(o->c))
			tell(o, "full");
	} else {
		imap_logout(o->c);
	}
}

static void on_untagged(void *arg, void *box, const struct imap_resp *resp)
{
	struct owner *o = arg;

	(void)box;
	(void)resp;
	if (strcmp(o->script->then, "examine free untagged") != 0)
		return;
	tell(o, "untagged");
	freed(o, "examine free untagged");
}

static void on_alert(void *arg, struct slice text)
{
	struct owner *o = arg;

	buf_addf(&o->got, " alert(%.*s)", (int)text.len, text.data);
	freed(o, "free alert");
}

static void on_closed(void *arg, const struct err *err, bool no_closed)
{
	struct owner *o = arg;

	(void)no_closed;
	buf_addf(&o->got, "%sclosed(%d%s%s)", o->got.len > 0 ? " " : "", err->cls,
		err->cls != ERR_NONE ? " " : "", err->cls != ERR_NONE ? err->text : "");
	imap_free(o->c);
	o->c = NULL;
	io_stop(o->io);
}

static const struct imap_events events = {
	on_secret, on_ready, on_untagged, NULL, on_alert, NULL, on_closed,
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

static void run(const struct script *script, const char *const *avoid, bool send_id,
	unsigned max_commands)
{
	bool compress = strcmp(script->auth, "compress") == 0;
	struct owner o = { .script = script };
	struct imap_options options = {
		.target.host = "127.0.0.1", .user = "u", .auth = compress ? "auto" : script->auth,
		.starttls = script->starttls, .secret_is_token = script->token,
		.compress = compress ? IMAP_COMPRESS_YES : IMAP_COMPRESS_AUTO,
		.pipeline_mailboxes = true, .timeout_s = 0.5, .name = "test",
		.avoid = avoid, .send_id = send_id, .max_commands = max_commands,
	};
	int listener = listen_somewhere(&options.target.port), status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(serve(listener, script));
	close(listener);
	while (avoid != NULL && avoid[options.avoid_count] != NULL)
		options.avoid_count++;
	buf_init(&o.got, 0);
	o.io = io_new();
	o.stop = io_timer_new(o.io, stop, &o);
	o.c = imap_new(o.io, &options, &events, &o);
	io_run(o.io);
	is_str(buf_str(&o.got), script->want, "%s", script->name);
	io_timer_free(o.stop);
	io_free(o.io);
	buf_release(&o.got);
	waitpid(child, &status, 0);
	is_int(status, 0, "the server read what it should");
}

int main(void)
{
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
		run(&scripts[i], NULL, false, 0);
	for (size_t i = 0; i < sizeof choosy / sizeof *choosy; i++)
		run(&choosy[i].script, choosy[i].avoid, choosy[i].send_id, choosy[i].max_commands);
	return done_testing();
}
