/* The pipe and whose the answers are: we hand commands over and play the server, line by line.
 *
 * A script's lines:
 *	s A TEXT	a SELECT, its owner is A
 *	r TEXT		a read in that mailbox
 *	f TEXT		a plain SEARCH there
 *	c TEXT		a change there
 *	p TEXT		a plain command; in it @ is a literal in memory, and of a file: %s short, %b of 150,000
 *			octets, %m one that is missing, %t one that is shorter than told
 *	< LINE		the server says this
 *	body		a body literal begins now: whose is it?
 *	last		the last box?
 *	pending, drained	what was written is not yet with the kernel, and is
 * What comes of it is gathered, one line each:
 *	C LINE		written
 *	A < LINE	passed on as A's (- : nobody's)
 *	NAME OK|NO|BAD	the answer to that command, whether it says THROTTLED, and whether it was guessed
 *	end TEXT	the connection must end
 */
#include "imap/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "imap/resp.h"
#include "lib/tap.h"

struct player;

struct asked {
	struct player *player;
	char name[40];
};

struct player {
	struct pipe pipe;
	struct resp_space *space;
	struct buf got;
	const char *line; /* of the server */
	size_t pending;
	bool ended;
	struct asked asked[40];
	size_t asked_count;
};

static void on_write(void *arg, struct slice data)
{
	struct player *p = arg;

	buf_add_str(&p->got, "C ");
	if (data.len > 1000) {
		buf_addf(&p->got, "%zu octets\n", data.len);
		return;
	}
	for (size_t i = 0; i < data.len; i++)
		if (data.data[i] == '\r' && i + 2 < data.len)
			buf_add_char(&p->got, '|');
		else if (data.data[i] != '\r' && data.data[i] != '\n')
			buf_add_char(&p->got, data.data[i]);
	buf_add_char(&p->got, '\n');
}

static size_t on_pending(void *arg)
{
	struct player *p = arg;

	return p->pending;
}

static void on_untagged(void *arg, void *box, const struct imap_resp *resp)
{
	struct player *p = arg;

	(void)resp;
	buf_addf(&p->got, "%s < %s\n", box != NULL ? (const char *)box : "-", p->line + 2);
}

static void on_done(void *arg, const struct imap_resp *resp)
{
	static const char *const conds[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };
	struct asked *asked = arg;

	buf_addf(&asked->player->got, "%s %s%s%s", asked->name, conds[resp->cond.cond],
		resp->cond.code == IMAP_THROTTLED ? " [THROTTLED]" : "",
		resp->cond.throttled ? " throttled" : "");
	if (resp->cond.guessed)
		buf_addf(&asked->player->got, " guessed(%d %.*s)", resp->cond.code == IMAP_TOOBIG,
			(int)resp->cond.text.len, resp->cond.text.data);
	buf_add_char(&asked->player->got, '\n');
}

static const struct pipe_events events = { on_write, on_pending, on_untagged };

static char files[2][40]; /* the short one, the large one */

static void make_file(char *path, size_t size)
{
	char *text = mem_new(size);
	int fd;

	strcpy(path, "/tmp/imap-pipe-XXXXXX");
	fd = mkstemp(path);
	memset(text, 'm', size);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size || close(fd) < 0)
		diag("%s: not written", path);
	free(text);
}

static void add_text(struct imap_cmd *cmd, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '@')
			imap_cmd_add_string(cmd, slice_of("\303\251"), false);
		else if (*text != '%')
			imap_cmd_add(cmd, "%c", *text);
		else if (*++text == 'b')
			imap_cmd_add_file(cmd, files[1], 150000, false);
		else
			imap_cmd_add_file(cmd, *text == 'm' ? "/nonexistent" : files[0], *text == 's' ? 5 : 9,
				false);
}

static void end(struct player *p, const struct err *err, bool no_closed)
{
	buf_addf(&p->got, "end %s%s\n", no_closed ? "(no closed) " : "", err->text);
	pipe_stop(&p->pipe);
	p->ended = true;
}

static void flush(struct player *p)
{
	struct err err = { 0 };

	if (pipe_flush(&p->pipe, &err) < 0)
		end(p, &err, false);
}

static void hand_over(struct player *p, enum imap_cmd_kind kind, const char *box, const char *text)
{
	struct asked *asked = &p->asked[p->asked_count++];
	struct imap_cmd *cmd = imap_cmd_new(kind, on_done, asked);

	asked->player = p;
	snprintf(asked->name, sizeof asked->name, "%s", text);
	add_text(cmd, text);
	pipe_send(&p->pipe, cmd, (void *)(uintptr_t)box, 0);
	flush(p);
}

static void say(struct player *p, const char *line)
{
	struct imap_resp resp;
	struct slice tag = { "", 0 };
	struct err err = { 0 };
	bool no_closed = false;

	p->line = line;
	resp_parse(p->space, slice_of(line), &resp, &tag);
	if (resp.kind == IMAP_COND && resp.cond.cond == IMAP_BYE)
		pipe_bye(&p->pipe, &resp);
	else if (pipe_take(&p->pipe, &resp, tag, slice_of(line), &no_closed, &err) < 0)
		end(p, &err, no_closed);
	else
		flush(p);
}

static void play(struct player *p, const char *step)
{
	static const char *const boxes[] = { "A", "B", "C" };

	if (strncmp(step, "s ", 2) == 0)
		hand_over(p, IMAP_CMD_SELECT, boxes[step[2] - 'A'], step + 4);
	else if (strncmp(step, "r ", 2) == 0)
		hand_over(p, IMAP_CMD_READ, NULL, step + 2);
	else if (strncmp(step, "f ", 2) == 0)
		hand_over(p, IMAP_CMD_SEARCH, NULL, step + 2);
	else if (strncmp(step, "c ", 2) == 0)
		hand_over(p, IMAP_CMD_CHANGE, NULL, step + 2);
	else if (strncmp(step, "p ", 2) == 0)
		hand_over(p, IMAP_CMD_PLAIN, NULL, step + 2);
	else if (strncmp(step, "< ", 2) == 0)
		say(p, step + 2);
	else if (strcmp(step, "body") == 0)
		buf_addf(&p->got, "body %s\n", visits_body_owner(&p->pipe.visits) != NULL
			? (const char *)visits_body_owner(&p->pipe.visits) : "-");
	else if (strcmp(step, "last") == 0)
		buf_addf(&p->got, "last %s\n", pipe_last_box(&p->pipe) != NULL
			? (const char *)pipe_last_box(&p->pipe) : "-");
	else if (strcmp(step, "pending") == 0) {
		p->pending = 1;
	} else if (strcmp(step, "drained") == 0) {
		p->pending = 0;
		flush(p);
	} else
		diag("no such step: %s", step);
}

struct script {
	const char *name;
	bool tells_closed;
	enum cmd_literals literals;
	const char *steps[40];
	const char *want;
};

#define OPEN_A \
	"s A EXAMINE A", "< * 3 EXISTS", "< * OK [UIDVALIDITY 7] x", "< a1 OK [READ-ONLY] done"
#define OPENED_A "C a1 EXAMINE A\nA < 3 EXISTS\nA < OK [UIDVALIDITY 7] x\nEXAMINE A OK\n"

static const struct script scripts[] = {
	{ "two mailboxes in one flight, told apart by [CLOSED]", true, CMD_SYNC, {
		"s A EXAMINE A", "r UID FETCH 1:* (FLAGS)", "s B EXAMINE B", "r UID FETCH 2:* (FLAGS)",
		"< * 3 EXISTS", "< a1 OK done", "< * 1 FETCH (UID 1 FLAGS ())", "body", "< a2 OK done",
		"< * 1 EXPUNGE", "body", "< * OK [CLOSED] x", "< * 1 FETCH (UID 9 FLAGS ())",
		"< * 5 EXISTS", "< a3 OK done", "< * 2 FETCH (UID 10 FLAGS ())", "body", "< a4 OK done",
		"last" },
	  "C a1 EXAMINE A\nC a2 UID FETCH 1:* (FLAGS)\nC a3 EXAMINE B\nC a4 UID FETCH 2:* (FLAGS)\n"
	  "A < 3 EXISTS\nEXAMINE A OK\nA < 1 FETCH (UID 1 FLAGS ())\nbody A\nUID FETCH 1:* (FLAGS) OK\n"
	  "body -\nB < 1 FETCH (UID 9 FLAGS ())\nB < 5 EXISTS\nEXAMINE B OK\n"
	  "B < 2 FETCH (UID 10 FLAGS ())\nbody B\nUID FETCH 2:* (FLAGS) OK\nlast B\n" },
	{ "a pipelined SELECT without [CLOSED] ends the connection", true, CMD_SYNC, {
		OPEN_A, "r UID FETCH 1 FLAGS", "s B EXAMINE B", "< a2 OK done", "< * 5 EXISTS",
		"< * 1 FETCH (UID 1 FLAGS ())", "< a3 OK done" },
	  OPENED_A "C a2 UID FETCH 1 FLAGS\nC a3 EXAMINE B\nUID FETCH 1 FLAGS OK\n"
	  "end (no closed) the server opened a mailbox without saying that it closed the one before; "
	  "the next connection will not ask ahead\n" },
	{ "one that was not pipelined needs no [CLOSED]; FETCH counts after UIDVALIDITY",
	  true, CMD_SYNC, {
		OPEN_A, "s B EXAMINE B", "< * 9 EXISTS", "< * 1 FETCH (FLAGS ())", "< * 2 EXPUNGE",
		"< * VANISHED 3", "< * VANISHED (EARLIER) 4", "body", "< * 5 EXISTS",
		"< * OK [UIDVALIDITY 8] x", "< * 1 FETCH (UID 1 FLAGS ())", "body", "< * VANISHED 3",
		"< a2 OK done", "< * 2 EXPUNGE" },
	  OPENED_A "C a2 EXAMINE B\nB < 9 EXISTS\nB < VANISHED (EARLIER) 4\nbody -\nB < 5 EXISTS\n"
	  "B < OK [UIDVALIDITY 8] x\nB < 1 FETCH (UID 1 FLAGS ())\nbody B\nB < VANISHED 3\n"
	  "EXAMINE B OK\nB < 2 EXPUNGE\n" },
	{ "where [CLOSED] is not told, a SELECT waits for the mailbox before", false, CMD_SYNC, {
		OPEN_A, "r UID FETCH 1 FLAGS", "p STATUS C (MESSAGES)", "s B EXAMINE B",
		"r UID FETCH 2 FLAGS", "< * 1 FETCH (UID 1 FLAGS ())", "< a2 OK done", "< * 1 EXPUNGE",
		"< a3 OK done", "< a4 OK done", "< * 1 FETCH (UID 2 FLAGS ())", "< a5 OK done" },
	  OPENED_A "C a2 UID FETCH 1 FLAGS\nC a3 STATUS C (MESSAGES)\nA < 1 FETCH (UID 1 FLAGS ())\n"
	  "UID FETCH 1 FLAGS OK\nC a4 EXAMINE B\nC a5 UID FETCH 2 FLAGS\n"
	  "STATUS C (MESSAGES) OK\nEXAMINE B OK\nB < 1 FETCH (UID 2 FLAGS ())\nUID FETCH 2 FLAGS OK\n" },
	{ "the first SELECT flies behind plain commands anywhere", false, CMD_SYNC, {
		"p ENABLE CONDSTORE", "p LIST \"\" *", "s A EXAMINE A", "< a1 OK done",
		"< * LIST () \"/\" x", "< a2 OK done", "< * 1 EXISTS", "< a3 OK done" },
	  "C a1 ENABLE CONDSTORE\nC a2 LIST \"\" *\nC a3 EXAMINE A\nENABLE CONDSTORE OK\n"
	  "- < LIST () \"/\" x\nLIST \"\" * OK\nA < 1 EXISTS\nEXAMINE A OK\n" },
	{ "a SELECT that fails behind [CLOSED]: nothing is open, the next one's answers count at once",
	  true, CMD_SYNC, {
		OPEN_A, "r UID FETCH 1 FLAGS", "s B EXAMINE B", "r UID FETCH 2 FLAGS", "s C EXAMINE C",
		"< a2 OK done", "< * OK [CLOSED] x", "< a3 NO no such mailbox", "< a4 BAD nothing is open",
		"< * 4 EXISTS", "< * 1 FETCH (UID 1 FLAGS ())", "< a5 OK done", "last" },
	  OPENED_A "C a2 UID FETCH 1 FLAGS\nC a3 EXAMINE B\nC a4 UID FETCH 2 FLAGS\nC a5 EXAMINE C\n"
	  "UID FETCH 1 FLAGS OK\nEXAMINE B NO\nUID FETCH 2 FLAGS BAD\nC < 4 EXISTS\n"
	  "C < 1 FETCH (UID 1 FLAGS ())\nEXAMINE C OK\nlast C\n" },
	{ "Cyrus keeps the old mailbox: what it reads there is thrown away, OK becomes NO",
	  true, CMD_SYNC, {
		OPEN_A, "s B EXAMINE B", "r UID FETCH 1:* FLAGS", "f UID SEARCH ALL", "s C EXAMINE C",
		"< a2 NO [NONEXISTENT] no", "< * 1 FETCH (UID 1 FLAGS (\\Deleted))", "body",
		"< * VANISHED (EARLIER) 1", "< a3 OK done", "< * SEARCH 1 2 3", "< a4 OK done",
		"< * 1 EXPUNGE", "< * OK [CLOSED] x", "< * 1 FETCH (UID 5 FLAGS ())", "< a5 OK done" },
	  OPENED_A "C a2 EXAMINE B\nC a3 UID FETCH 1:* FLAGS\nC a4 UID SEARCH ALL\nC a5 EXAMINE C\n"
	  "EXAMINE B NO\nbody -\nUID FETCH 1:* FLAGS NO\nUID SEARCH ALL NO\n"
	  "C < 1 FETCH (UID 5 FLAGS ())\nEXAMINE C OK\n" },
	{ "after a failure without [CLOSED] the next SELECT may come without it too", true, CMD_SYNC, {
		OPEN_A, "s B EXAMINE B", "s C EXAMINE C", "< a2 NO no", "< * 1 EXPUNGE", "< * 7 EXISTS",
		"< * OK [UIDVALIDITY 1] x", "< * VANISHED 3", "< a3 OK done", "< * 1 EXPUNGE" },
	  OPENED_A "C a2 EXAMINE B\nC a3 EXAMINE C\nEXAMINE B NO\nC < 7 EXISTS\n"
	  "C < OK [UIDVALIDITY 1] x\nC < VANISHED 3\nEXAMINE C OK\nC < 1 EXPUNGE\n" },
	{ "a read behind a SELECT that failed is not sent at all", true, CMD_SYNC, {
		"s A EXAMINE A", "< a1 NO no", "last", "r UID FETCH 1 FLAGS", "p NOOP" },
	  "C a1 EXAMINE A\nEXAMINE A NO\nlast -\nUID FETCH 1 FLAGS NO\nC a2 NOOP\n" },
	{ "a waiting read, too", true, CMD_SYNC, {
		"s A EXAMINE A", "f UID SEARCH 1", "f UID SEARCH 2", "s B EXAMINE B", "f UID SEARCH 3",
		"< a1 NO no", "< a2 BAD no", "< a3 OK yes" },
	  "C a1 EXAMINE A\nC a2 UID SEARCH 1\nEXAMINE A NO\nUID SEARCH 2 NO\nC a3 EXAMINE B\n"
	  "UID SEARCH 1 BAD\nC a4 UID SEARCH 3\nEXAMINE B OK\n" },
	{ "one plain SEARCH at a time; what is behind keeps its place", true, CMD_SYNC, {
		OPEN_A, "f UID SEARCH 1", "f UID SEARCH 2", "r UID FETCH 1 FLAGS", "< * SEARCH 4",
		"< a2 OK done", "< * SEARCH 5", "< a3 OK done" },
	  OPENED_A "C a2 UID SEARCH 1\nA < SEARCH 4\nUID SEARCH 1 OK\n"
	  "C a3 UID SEARCH 2\nC a4 UID FETCH 1 FLAGS\nA < SEARCH 5\nUID SEARCH 2 OK\n" },
	{ "ESEARCH belongs to the command that it names", true, CMD_SYNC, {
		OPEN_A, "r UID SEARCH RETURN (ALL) 1:*", "< * ESEARCH (TAG \"a2\") UID ALL 1:3",
		"< * ESEARCH (TAG \"a9\") UID ALL 4", "< a2 OK done", "< * ESEARCH (TAG \"a2\") UID" },
	  OPENED_A "C a2 UID SEARCH RETURN (ALL) 1:*\nA < ESEARCH (TAG \"a2\") UID ALL 1:3\n"
	  "UID SEARCH RETURN (ALL) 1:* OK\n" },
	{ "tagged answers out of order", true, CMD_SYNC, {
		"p STATUS x", "p STATUS y", "< a2 OK done", "< a1 NO done" },
	  "C a1 STATUS x\nC a2 STATUS y\nSTATUS y OK\nSTATUS x NO\n" },
	{ "a tag that is not ours", true, CMD_SYNC, { "p NOOP", "< a2 OK done" },
	  "C a1 NOOP\nend the server answered a command \"a2\" that was not sent\n" },
	{ "THROTTLED reaches the command that it answers (Q1), though it has failed by then", true, CMD_SYNC, {
		"s A EXAMINE A", "r UID FETCH 1 FLAGS", "r UID FETCH 2 FLAGS", "s B EXAMINE B",
		"r UID FETCH 3 FLAGS", "< a1 OK [READ-ONLY] A selected. (Success) [THROTTLED]",
		"< a2 OK [THROTTLED] x", "< a3 OK Success [THROTTLED]", "< a4 NO [THROTTLED] wait",
		"< a5 OK Success [THROTTLED]" },
	  "C a1 EXAMINE A\nC a2 UID FETCH 1 FLAGS\nC a3 UID FETCH 2 FLAGS\nC a4 EXAMINE B\n"
	  "C a5 UID FETCH 3 FLAGS\nEXAMINE A OK throttled\nUID FETCH 1 FLAGS OK [THROTTLED] throttled\n"
	  "UID FETCH 2 FLAGS OK [THROTTLED] throttled\nEXAMINE B NO [THROTTLED] throttled\n"
	  "UID FETCH 3 FLAGS NO throttled\n" },
	{ "a tag twice", true, CMD_SYNC, { "p NOOP", "< a1 OK done", "< a1 OK done" },
	  "C a1 NOOP\nNOOP OK\nend the server answered a command \"a1\" that was not sent\n" },
	{ "a tag with zeros", true, CMD_SYNC, { "p NOOP", "< a01 OK done" },
	  "C a1 NOOP\nend the server answered a command \"a01\" that was not sent\n" },
	{ "nothing is written behind a literal that waits", true, CMD_SYNC, {
		"p CREATE @", "p NOOP", "< * 3 RECENT", "< + go on", "< a1 OK done" },
	  "C a1 CREATE {2}\n- < 3 RECENT\nC \303\251\nC a2 NOOP\nCREATE @ OK\n" },
	{ "EXISTS before the plus (Q28)", true, CMD_SYNC, {
		OPEN_A, "p CREATE @", "< * 4 EXISTS", "< +" },
	  OPENED_A "C a2 CREATE {2}\nA < 4 EXISTS\nC \303\251\n" },
	{ "a refusal instead of the plus drops the rest", true, CMD_SYNC, {
		"p CREATE @ x", "p NOOP", "< a1 NO [TOOBIG] no", "< + late", "< a2 OK done" },
	  "C a1 CREATE {2}\nCREATE @ x NO\nC a2 NOOP\nNOOP OK\n" },
	{ "LITERAL+ flies on", true, CMD_PLUS, { "p CREATE @ x", "p NOOP", "< a1 NO no" },
	  "C a1 CREATE {2+}|\303\251 x\nC a2 NOOP\nCREATE @ x NO\n" },
	{ "an untagged BAD while one is unanswered (Q88)", true, CMD_PLUS, {
		"p CREATE @", "< * BAD what is that" },
	  "C a1 CREATE {2+}|\303\251\nend the server did not take what was sent: what is that\n" },
	{ "an untagged BAD otherwise is only a remark", true, CMD_PLUS, {
		"p NOOP", "< * BAD what is that", "< a1 OK done" },
	  "C a1 NOOP\n- < BAD what is that\nNOOP OK\n" },
	{ "an early NO while it is being sent", true, CMD_PLUS, {
		"p CREATE @", "pending", "< a1 NO [OVERQUOTA] full" },
	  "C a1 CREATE {2+}|\303\251\nCREATE @ NO\nend the server refused \"CREATE\" while it was sent: full\n" },
	{ "an untagged BAD instead of the plus (Q88): an upload hears of it", true, CMD_SYNC, {
		"p APPEND x %s", "p NOOP", "< * BAD [TOOBIG] what is that" },
	  "C a1 APPEND x {5}\nAPPEND x %s NO guessed(1 what is that)\n"
	  "end the server did not take what was sent: what is that\n" },
	{ "a name does not", true, CMD_SYNC, { "p CREATE @", "< * BAD what is that" },
	  "C a1 CREATE {2}\nend the server did not take what was sent: what is that\n" },
	{ "nor does either of two", true, CMD_PLUS, {
		"p APPEND x %s", "p APPEND y %s", "< * BAD what is that" },
	  "C a1 APPEND x {5+}|mmmmm\nC a2 APPEND y {5+}|mmmmm\n"
	  "end the server did not take what was sent: what is that\n" },
	{ "BYE while an upload is in flight; its own answer, later, is not told again", true, CMD_PLUS, {
		"p APPEND x %s", "p NOOP", "< * BYE [TOOBIG] go away", "< a2 OK done", "< a1 NO [TOOBIG] no" },
	  "C a1 APPEND x {5+}|mmmmm\nC a2 NOOP\nAPPEND x %s NO guessed(1 go away)\nNOOP OK\n" },
	{ "BYE while a name is in flight says nothing of it", true, CMD_PLUS, {
		"p CREATE @", "< * BYE go away" },
	  "C a1 CREATE {2+}|\303\251\n" },
	{ "BYE, and two that it may mean", true, CMD_PLUS, {
		"p CREATE @", "p APPEND x %s", "< * BYE go away" },
	  "C a1 CREATE {2+}|\303\251\nC a2 APPEND x {5+}|mmmmm\n" },
	{ "an upload goes out in pieces, each when the one before is with the kernel; then what waits",
	  true, CMD_PLUS, {
		"pending", "p APPEND x %b", "p NOOP", "< * 3 RECENT", "< + of nobody's", "drained",
		"< * 4 RECENT" },
	  "C 65536 octets\n- < 3 RECENT\nC 65536 octets\n- < 4 RECENT\nC 18953 octets\nC a2 NOOP\n" },
	{ "an upload that asks first", true, CMD_MINUS, {
		"p APPEND x %b", "p NOOP", "pending", "< +", "< * 3 RECENT", "drained", "< a1 OK done" },
	  "C a1 APPEND x {150000}\nC 65536 octets\n- < 3 RECENT\nC 65536 octets\n"
	  "end the server answered \"APPEND\" while it was sent: done\n" },
	{ "an OK instead of the plus cannot be true: nothing was sent", true, CMD_SYNC, {
		"p APPEND x %s", "p NOOP", "< a1 OK done" },
	  "C a1 APPEND x {5}\nend the server answered \"APPEND\" while it was sent: done\n" },
	{ "several files: each asks", true, CMD_SYNC, {
		"p APPEND x () %s () %s", "< +", "< +", "< a1 OK done" },
	  "C a1 APPEND x () {5}\nC mmmmm () {5}\nC mmmmm\nAPPEND x () %s () %s OK\n" },
	{ "refused after the first one: no more of it", true, CMD_SYNC, {
		"p APPEND x () %s () %b", "p NOOP", "< +", "< a1 NO [OVERQUOTA] full", "< a2 OK x" },
	  "C a1 APPEND x () {5}\nC mmmmm () {150000}\nAPPEND x () %s () %b NO\nC a2 NOOP\nNOOP OK\n" },
	{ "refused in the middle of the octets that were asked for", true, CMD_SYNC, {
		"p APPEND x %b", "p NOOP", "pending", "< +", "< a1 NO [OVERQUOTA] full" },
	  "C a1 APPEND x {150000}\nC 65536 octets\nAPPEND x %b NO\n"
	  "end the server refused \"APPEND\" while it was sent: full\n" },
	{ "refused instead of the plus", true, CMD_SYNC, {
		"p APPEND x %m", "< a1 NO [TOOBIG] no", "p NOOP" },
	  "C a1 APPEND x {9}\nAPPEND x %m NO\nC a2 NOOP\n" },
	{ "a file that is missing when its octets are due", true, CMD_SYNC, {
		"p APPEND x %m", "p NOOP", "< + go on" },
	  "C a1 APPEND x {9}\nend cannot open \"/nonexistent\", which was being uploaded: No such file or "
	  "directory\n" },
	{ "one that is shorter than it was", true, CMD_PLUS, { "p NOOP", "p APPEND x () %s () %t", "p NOOP" },
	  "C a1 NOOP\nend \"%t\", which was being uploaded, is 4 octets shorter than it was\n" },
	{ "a change flies behind reads, a SELECT behind it; COPYUID is its mailbox's", true, CMD_SYNC, {
		OPEN_A, "r UID FETCH 1 FLAGS", "c UID MOVE 1 B", "s B EXAMINE B", "r UID FETCH 2 FLAGS",
		"< a2 OK done", "< * OK [COPYUID 7 1 9] moved", "< * 1 EXPUNGE", "< a3 OK done",
		"< * OK [COPYUID 7 1 9] moved", "< * OK [MODIFIED 7] x", "< * OK [CLOSED] x", "< a4 OK done" },
	  OPENED_A "C a2 UID FETCH 1 FLAGS\nC a3 UID MOVE 1 B\nC a4 EXAMINE B\nC a5 UID FETCH 2 FLAGS\n"
	  "UID FETCH 1 FLAGS OK\nA < OK [COPYUID 7 1 9] moved\nA < 1 EXPUNGE\nUID MOVE 1 B OK\n"
	  "- < OK [COPYUID 7 1 9] moved\n- < OK [MODIFIED 7] x\nEXAMINE B OK\n" },
	{ "without [CLOSED] a SELECT waits for a change", false, CMD_SYNC, {
		OPEN_A, "c UID STORE 1 +FLAGS.SILENT (\\Seen)", "s B EXAMINE B", "< a2 OK done" },
	  OPENED_A "C a2 UID STORE 1 +FLAGS.SILENT (\\Seen)\nUID STORE 1 +FLAGS.SILENT (\\Seen) OK\n"
	  "C a3 EXAMINE B\n" },
	{ "COPYUID and the change's OK are true, though the server took the mailbox away", true, CMD_SYNC, {
		OPEN_A, "c UID MOVE 1 B", "c UID MOVE 2 C", "< * OK [CLOSED] gone",
		"< * OK [COPYUID 7 1 9] moved", "< a2 OK done", "< a3 NO gone", "c UID MOVE 3 D", "p NOOP" },
	  OPENED_A "C a2 UID MOVE 1 B\nC a3 UID MOVE 2 C\nA < OK [COPYUID 7 1 9] moved\nUID MOVE 1 B OK\n"
	  "UID MOVE 2 C NO\nUID MOVE 3 D NO\nC a4 NOOP\n" },
	{ "COPYUID while another mailbox is open by [CLOSED] is still the change's", true, CMD_SYNC, {
		OPEN_A, "c UID MOVE 1 C", "s B EXAMINE B", "< * OK [CLOSED] x", "< * OK [COPYUID 7 1 9] moved",
		"< a2 OK done" },
	  OPENED_A "C a2 UID MOVE 1 C\nC a3 EXAMINE B\nA < OK [COPYUID 7 1 9] moved\nUID MOVE 1 C OK\n" },
	{ "a change whose SELECT failed is not sent", true, CMD_SYNC, {
		OPEN_A, "s B SELECT B", "< a2 NO no", "c UID STORE 1 +FLAGS.SILENT (\\Seen)", "p NOOP" },
	  OPENED_A "C a2 SELECT B\nSELECT B NO\nUID STORE 1 +FLAGS.SILENT (\\Seen) NO\nC a3 NOOP\n" },
	{ "a plus that nobody waits for", true, CMD_SYNC, { "p NOOP", "< + idling", "< a1 OK done" },
	  "C a1 NOOP\nNOOP OK\n" },
	{ "[CLOSED] without a SELECT: the mailbox was taken away", true, CMD_SYNC, {
		OPEN_A, "< * OK [CLOSED] gone", "last", "< * 1 EXPUNGE", "s B EXAMINE B", "< * 1 EXISTS",
		"< * 1 FETCH (UID 1 FLAGS ())", "< a2 OK done" },
	  OPENED_A "last -\nC a2 EXAMINE B\nB < 1 EXISTS\nB < 1 FETCH (UID 1 FLAGS ())\nEXAMINE B OK\n" },
	{ "messages before any SELECT are nobody's", true, CMD_SYNC, {
		"p NOOP", "< * 3 EXISTS", "< * 1 EXPUNGE", "< * OK still here", "< a1 OK done" },
	  "C a1 NOOP\n- < OK still here\nNOOP OK\n" },
	{ "the same mailbox again", true, CMD_SYNC, {
		OPEN_A, "r UID FETCH 1 FLAGS", "s A EXAMINE A", "< a2 OK done", "< * 1 EXPUNGE",
		"< * OK [CLOSED] x", "< * 2 EXISTS", "< a3 OK done" },
	  OPENED_A "C a2 UID FETCH 1 FLAGS\nC a3 EXAMINE A\nUID FETCH 1 FLAGS OK\nA < 2 EXISTS\n"
	  "EXAMINE A OK\n" },
	{ "three in one flight, the last one [CLOSED] at once", true, CMD_SYNC, {
		"s A EXAMINE A", "s B EXAMINE B", "s C EXAMINE C", "< * 1 EXISTS", "< a1 OK x",
		"< * OK [CLOSED] x", "< * 2 EXISTS", "< a2 OK x", "< * 9 EXISTS", "< * OK [CLOSED] x",
		"< * 3 EXISTS", "< a3 OK x", "< * 4 EXISTS" },
	  "C a1 EXAMINE A\nC a2 EXAMINE B\nC a3 EXAMINE C\nA < 1 EXISTS\nEXAMINE A OK\nB < 2 EXISTS\n"
	  "EXAMINE B OK\nC < 3 EXISTS\nEXAMINE C OK\nC < 4 EXISTS\n" },
};

/* %t in what is wanted is the short file. */
static const char *with_path(const char *want)
{
	static char text[2000];
	const char *at = strstr(want, "\"%t\"");

	if (at == NULL)
		return want;
	snprintf(text, sizeof text, "%.*s\"%s\"%s", (int)(at - want), want, files[0], at + 4);
	return text;
}

static void run(const struct script *script)
{
	struct player p = { .space = resp_space_new() };

	buf_init(&p.got, 0);
	pipe_init(&p.pipe, &events, &p, "test");
	p.pipe.tells_closed = script->tells_closed;
	p.pipe.literals = script->literals;
	for (size_t i = 0; script->steps[i] != NULL && !p.ended; i++)
		play(&p, script->steps[i]);
	is_str(buf_str(&p.got), with_path(script->want), "%s", script->name);
	pipe_release(&p.pipe);
	resp_space_free(p.space);
	buf_release(&p.got);
}

/* The window: commands and octets, and always one. */
static void test_room(void)
{
	struct player p = { .space = NULL };
	struct imap_cmd *cmd;

	buf_init(&p.got, 0);
	pipe_init(&p.pipe, &events, &p, "test");
	ok(pipe_idle(&p.pipe) && pipe_room(&p.pipe), "idle, with room");
	cmd = imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL);
	pipe_send(&p.pipe, cmd, NULL, PIPE_EXPECT_MAX * 4);
	ok(!pipe_room(&p.pipe), "one that brings too much is taken, and fills it");
	ok(!pipe_room_again(&p.pipe), "no room yet");
	pipe_stop(&p.pipe);
	ok(pipe_room_again(&p.pipe), "room again is told");
	ok(!pipe_room_again(&p.pipe), "once");
	pipe_release(&p.pipe);

	pipe_init(&p.pipe, &events, &p, "test");
	int count = 0;
	for (; pipe_room(&p.pipe); count++)
		pipe_send(&p.pipe, imap_cmd_new(IMAP_CMD_PLAIN, NULL, NULL), NULL, 0);
	is_int(count, PIPE_COMMANDS_MAX, "400 are enough");
	pipe_release(&p.pipe);
	buf_release(&p.got);
}

/* A server that fails where more than a few are in flight (Q31). */
static void test_narrow(void)
{
	struct player p = { .space = resp_space_new() };

	buf_init(&p.got, 0);
	pipe_init(&p.pipe, &events, &p, "test");
	p.pipe.commands_max = 2;
	play(&p, "p STATUS A");
	ok(pipe_room(&p.pipe), "room for one more");
	play(&p, "p STATUS B");
	ok(!pipe_room(&p.pipe), "two are all");
	play(&p, "p STATUS C");
	play(&p, "p STATUS D");
	play(&p, "< a2 OK x");
	ok(!pipe_room(&p.pipe) && !pipe_room_again(&p.pipe), "another one is in flight instead");
	play(&p, "< a1 NO x");
	play(&p, "< a4 OK x");
	ok(pipe_room(&p.pipe) && pipe_room_again(&p.pipe), "room again");
	is_str(buf_str(&p.got), "C a1 STATUS A\nC a2 STATUS B\nSTATUS B OK\nC a3 STATUS C\n"
		"STATUS A NO\nC a4 STATUS D\nSTATUS D OK\n", "never more than two in flight");
	pipe_release(&p.pipe);
	resp_space_free(p.space);
	buf_release(&p.got);
}

/* C6: ends the program, in a child. */
static void hand_over_early(const char *const *steps)
{
	struct player p = { .space = resp_space_new() };

	buf_init(&p.got, 0);
	pipe_init(&p.pipe, &events, &p, "test");
	p.pipe.tells_closed = true;
	freopen("/dev/null", "w", stderr);
	while (*steps != NULL)
		play(&p, *steps++);
	_exit(0);
}

static void test_change_too_early(void)
{
	static const char *const none[] = { "c UID MOVE 1 B", NULL };
	static const char *const unanswered[] = { OPEN_A, "s B SELECT B", "c UID MOVE 1 C", NULL };
	static const char *const in_time[] = { OPEN_A, "c UID MOVE 1 C", NULL };
	static const char *const *const tables[] = { none, unanswered, in_time };

	for (size_t i = 0; i < 3; i++) {
		int status = 0;
		pid_t child = fork();
		if (child == 0)
			hand_over_early(tables[i]);
		waitpid(child, &status, 0);
		is_int(status != 0, i < 2, "a change %s", i < 2 ? "before its SELECT's OK: an invariant is broken"
			: "behind it: none");
	}
}

int main(void)
{
	make_file(files[0], 5);
	make_file(files[1], 150000);
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
		run(&scripts[i]);
	test_room();
	test_narrow();
	test_change_too_early();
	unlink(files[0]);
	unlink(files[1]);
	return done_testing();
}
