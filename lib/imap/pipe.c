/* Commands leave in the order in which they were handed over; one that must wait holds back those
 * behind it. What makes one wait (C6):
 *
 *  - as many as the server takes are in flight (Q31), or it asked for a pause (Q1);
 *  - a literal that wants its "+", or whose octets are still being read from their file (nothing
 *    may stand between the announcement and the octets);
 *  - STARTTLS, AUTHENTICATE, COMPRESS in flight: what follows has another form on the wire;
 *  - a plain SEARCH behind another one: the answer carries no tag, so two cannot be told apart;
 *  - a SELECT behind unanswered commands of another mailbox, where the server does not send
 *    [CLOSED] (visit.c).
 *
 * A read whose SELECT failed is answered NO, whatever the server said: Cyrus keeps the old mailbox
 * selected and says OK to a FETCH that ran there. One that was not sent yet is not sent at all, and
 * neither is a change. A change that was sent had its SELECT's OK before: what is answered is true.
 *
 * A refusal that comes while the octets of a literal are on their way is true as well, so the command
 * hears it; but what is left of the octets would be read as commands, or never end, so the
 * connection ends then. Where the server says no more than BYE, or BAD without a tag (Q88), the
 * command that it means is known only if there is but one with literals. */
#include "imap/pipe.h"

#include <stdlib.h>

#include "base/log.h"

void pipe_init(struct pipe *p, const struct pipe_events *events, void *arg, const char *name)
{
	*p = (struct pipe){ .events = events, .arg = arg, .name = name };
	p->commands_max = PIPE_COMMANDS_MAX;
	p->waiting_end = &p->waiting;
	p->flying_end = &p->flying;
	buf_init(&p->out, 0);
	buf_init(&p->log, 0);
}

static void free_all(struct imap_cmd *cmd)
{
	while (cmd != NULL) {
		struct imap_cmd *next = cmd->next;
		imap_cmd_free(cmd);
		cmd = next;
	}
}

void pipe_stop(struct pipe *p)
{
	p->stopped = true;
	free_all(p->waiting);
	free_all(p->flying);
	p->waiting = p->flying = p->writing = p->blocking = NULL;
	p->waiting_end = &p->waiting;
	p->flying_end = &p->flying;
	p->count = p->in_flight = p->searches = p->of_mailbox = 0;
	p->expect = 0;
}

void pipe_release(struct pipe *p)
{
	pipe_stop(p);
	visits_release(&p->visits);
	buf_release(&p->out);
	buf_release(&p->log);
}

/* Handing over */

void pipe_send(struct pipe *p, struct imap_cmd *cmd, void *box, uint64_t expect)
{
	if (p->stopped) {
		imap_cmd_free(cmd);
		return;
	}
	INVARIANT(cmd->kind != IMAP_CMD_CHANGE
		|| (p->visits.last != NULL && p->visits.last->answered)); /* C6 */
	if (cmd->kind == IMAP_CMD_SELECT)
		cmd->visit = visits_add(&p->visits, box);
	else if (cmd->kind != IMAP_CMD_PLAIN)
		cmd->visit = p->visits.last;
	if (cmd->visit != NULL)
		cmd->visit->unanswered++;
	cmd->expect = expect;
	p->expect += expect;
	p->count++;
	*p->waiting_end = cmd;
	p->waiting_end = &cmd->next;
	p->was_full |= !pipe_room(p);
	p->was_busy |= p->count > 0;
}

bool pipe_room(const struct pipe *p)
{
	return p->count == 0 || (p->count < p->commands_max && p->expect < PIPE_EXPECT_MAX);
}

void pipe_slow(struct pipe *p, bool hold, unsigned commands_max)
{
	p->held = hold;
	p->commands_max = commands_max > 0 ? commands_max : PIPE_COMMANDS_MAX;
	p->was_full |= !pipe_room(p);
}

bool pipe_has_news(const struct pipe *p)
{
	return (p->was_full && pipe_room(p)) || (p->was_busy && pipe_idle(p));
}

bool pipe_room_again(struct pipe *p)
{
	if (!pipe_has_news(p))
		return false;
	p->was_full = p->was_full && !pipe_room(p);
	p->was_busy = p->was_busy && !pipe_idle(p);
	return true;
}

bool pipe_idle(const struct pipe *p)
{
	return p->count == 0;
}

void *pipe_last_box(const struct pipe *p)
{
	const struct visit *last = p->visits.last;

	return last != NULL && !last->failed ? last->box : NULL;
}

struct slice pipe_waits_for(const struct pipe *p)
{
	return p->flying != NULL ? cmd_name(p->flying) : (struct slice){ "", 0 };
}

/* Sending */

/* A read or a change without a mailbox. */
static bool is_orphan(const struct imap_cmd *cmd)
{
	if (cmd->kind == IMAP_CMD_PLAIN || cmd->kind == IMAP_CMD_SELECT)
		return false;
	return cmd->visit == NULL || cmd->visit->failed;
}

static void call_done(struct pipe *p, struct imap_cmd *cmd, const struct imap_resp *resp, bool orphan)
{
	struct imap_resp no;

	if (orphan && resp->cond.cond == IMAP_OK) {
		no = *resp;
		no.cond.cond = IMAP_NO;
		no.cond.code = IMAP_CODE_NONE;
		no.cond.text = slice_of("the mailbox could not be opened");
		resp = &no;
	}
	if (!p->stopped && cmd->done != NULL)
		cmd->done(cmd->arg, resp);
	imap_cmd_free(cmd);
}

static void answer_unsent(struct pipe *p, struct imap_cmd *cmd)
{
	const struct imap_resp ok = { .kind = IMAP_COND, .tagged = true, .cond.cond = IMAP_OK };

	p->count--;
	p->expect -= cmd->expect;
	if (cmd->visit != NULL)
		visits_answered(&p->visits, cmd->visit);
	call_done(p, cmd, &ok, true);
}

static bool may_fly(const struct pipe *p, const struct imap_cmd *cmd)
{
	if (p->held || p->writing != NULL || p->blocking != NULL || p->in_flight >= p->commands_max)
		return false;
	if (cmd->kind == IMAP_CMD_SEARCH)
		return p->searches == 0;
	if (cmd->kind == IMAP_CMD_SELECT)
		return p->of_mailbox == 0 || p->tells_closed;
	return true;
}

static int write_piece(struct pipe *p, struct imap_cmd *cmd, struct err *err)
{
	bool logs = log_level() >= LOG_WIRE;
	int rc;

	buf_clear(&p->out);
	buf_clear(&p->log);
	if (cmd->literals_sent == 0) {
		buf_addf(&p->out, "a%u ", cmd->tag);
		buf_addf(&p->log, "a%u ", cmd->tag);
	}
	rc = cmd_piece(cmd, p->literals, &p->out, logs ? &p->log : NULL, err);
	if (rc < 0)
		return -1;
	p->writing = rc > 0 ? NULL : cmd;
	p->written += p->out.len;
	cmd->ends_at = p->written;
	p->events->write(p->arg, buf_slice(&p->out));
	if (logs && p->log.len > 0)
		log_wire(p->name, "C", buf_slice(&p->log));
	if (cmd->shown != NULL)
		mem_wipe(p->out.data, p->out.len);
	if (p->writing == NULL)
		buf_shrink(&p->out, CMD_PIECE);
	return 0;
}

static int fly(struct pipe *p, struct imap_cmd *cmd, struct err *err)
{
	cmd->next = NULL;
	*p->flying_end = cmd;
	p->flying_end = &cmd->next;
	cmd->tag = ++p->last_tag;
	p->in_flight++;
	if (cmd->kind == IMAP_CMD_SELECT) {
		cmd->visit->sent = true;
		cmd->visit->pipelined = p->of_mailbox > 0;
	}
	p->of_mailbox += cmd->visit != NULL;
	p->searches += cmd->kind == IMAP_CMD_SEARCH;
	if (cmd->last)
		p->blocking = cmd;
	return write_piece(p, cmd, err);
}

int pipe_flush(struct pipe *p, struct err *err)
{
	struct imap_cmd *cmd = p->writing;

	if (cmd != NULL && cmd->phase == CMD_OCTETS && p->events->pending(p->arg) == 0
			&& write_piece(p, cmd, err) < 0)
		return -1;
	while ((cmd = p->waiting) != NULL) {
		bool orphan = is_orphan(cmd);
		if (!orphan && !may_fly(p, cmd))
			return 0;
		p->waiting = cmd->next;
		if (p->waiting == NULL)
			p->waiting_end = &p->waiting;
		if (orphan)
			answer_unsent(p, cmd);
		else if (fly(p, cmd, err) < 0)
			return -1;
	}
	return 0;
}

void pipe_answer(struct pipe *p, struct slice line)
{
	buf_clear(&p->out);
	buf_add_slice(&p->out, line);
	buf_add_str(&p->out, "\r\n");
	p->written += p->out.len;
	p->events->write(p->arg, buf_slice(&p->out));
	log_wire(p->name, "C", slice_of("[secret]"));
	mem_wipe(p->out.data, p->out.len);
}

/* Receiving */

static unsigned tag_number(struct slice tag)
{
	uint64_t n = 0;

	if (tag.len < 2 || tag.len > 11 || tag.data[0] != 'a' || tag.data[1] == '0')
		return 0;
	for (size_t i = 1; i < tag.len; i++) {
		if (tag.data[i] < '0' || tag.data[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(tag.data[i] - '0');
	}
	return n <= UINT32_MAX ? (unsigned)n : 0;
}

static struct imap_cmd *find_flying(const struct pipe *p, struct slice tag)
{
	unsigned number = tag_number(tag);
	struct imap_cmd *cmd = p->flying;

	while (cmd != NULL && cmd->tag != number)
		cmd = cmd->next;
	return cmd;
}

static void land(struct pipe *p, struct imap_cmd *cmd)
{
	struct imap_cmd **at = &p->flying;

	while (*at != cmd)
		at = &(*at)->next;
	*at = cmd->next;
	if (*at == NULL)
		p->flying_end = at;
	p->of_mailbox -= cmd->visit != NULL;
	p->searches -= cmd->kind == IMAP_CMD_SEARCH;
	p->in_flight--;
	p->count--;
	p->expect -= cmd->expect;
	/* Refused where "+" was due: the literal is not wanted any more. */
	if (p->writing == cmd)
		p->writing = NULL;
	if (p->blocking == cmd)
		p->blocking = NULL;
}

/* What is left of a refused literal would be read as commands. */
static bool is_being_sent(const struct pipe *p, const struct imap_cmd *cmd)
{
	if (cmd->phase == CMD_OCTETS)
		return true;
	return cmd->unasked && p->written - p->events->pending(p->arg) < cmd->ends_at;
}

/* The answer came too early; a refusal is true all the same, an OK cannot be. */
static int end_early(struct pipe *p, struct imap_cmd *cmd, const struct imap_resp *resp,
	struct err *err)
{
	bool ok = resp->cond.cond == IMAP_OK;

	err_set(err, ERR_RETRY, ERR_ACCOUNT, "the server %s \"%.*s\" while it was sent: %.*s",
		ok ? "answered" : "refused", (int)cmd_name(cmd).len, cmd_name(cmd).data, WORDS(resp));
	if (ok)
		return -1;
	land(p, cmd);
	call_done(p, cmd, resp, false);
	return -1;
}

static int take_tagged(struct pipe *p, const struct imap_resp *resp, struct slice tag,
	bool *no_closed, struct err *err)
{
	struct imap_cmd *cmd = find_flying(p, tag);
	bool ok = resp->cond.cond == IMAP_OK, orphan;

	if (cmd == NULL)
		return err_set(err, ERR_RETRY, ERR_ACCOUNT, "the server answered a command \"%.*s\" "
			"that was not sent", (int)(tag.len < 40 ? tag.len : 40), tag.data);
	if (ok ? cmd->phase != CMD_TEXT : is_being_sent(p, cmd))
		return end_early(p, cmd, resp, err);
	land(p, cmd);
	if (cmd->kind == IMAP_CMD_SELECT && !visits_select_answered(&p->visits, cmd->visit, ok)) {
		imap_cmd_free(cmd);
		*no_closed = true;
		return err_set(err, ERR_RETRY, ERR_ACCOUNT, "the server opened a mailbox without saying "
			"that it closed the one before; the next connection will not ask ahead");
	}
	orphan = cmd->kind != IMAP_CMD_CHANGE && is_orphan(cmd);
	if (cmd->visit != NULL)
		visits_answered(&p->visits, cmd->visit);
	call_done(p, cmd, resp, orphan);
	return 0;
}

static int take_continue(struct pipe *p, struct slice text, struct err *err)
{
	if (p->writing != NULL && p->writing->phase == CMD_ASKED)
		return write_piece(p, p->writing, err);
	if (p->writing == NULL && p->blocking != NULL && p->blocking->on_continue != NULL)
		p->blocking->on_continue(p->blocking->arg, text);
	return 0; /* another one was not asked for: skipped (C8) */
}

/* The only command with literals, if that is an upload. Names are too short to be refused for
 * it, and a server that goes away in the middle of a STATUS has said nothing of the mailbox. */
static struct imap_cmd *only_upload(const struct pipe *p)
{
	struct imap_cmd *only = NULL;

	for (struct imap_cmd *cmd = p->flying; cmd != NULL; cmd = cmd->next) {
		if (cmd->literal_count > 0 && only != NULL)
			return NULL;
		if (cmd->literal_count > 0)
			only = cmd;
	}
	return only != NULL && cmd_has_file(only) ? only : NULL;
}

/* It stays in flight, for its answer may still come; nobody is told then. */
static void guess_refusal(struct pipe *p, const struct imap_resp *resp)
{
	struct imap_cmd *cmd = only_upload(p);
	void (*done)(void *arg, const struct imap_resp *tagged);
	struct imap_resp no = *resp;

	if (cmd == NULL || cmd->done == NULL)
		return;
	done = cmd->done;
	cmd->done = NULL;
	no.tagged = true;
	no.cond.cond = IMAP_NO;
	no.cond.guessed = true;
	done(cmd->arg, &no);
}

void pipe_bye(struct pipe *p, const struct imap_resp *resp)
{
	guess_refusal(p, resp);
}

/* A literal may be what the server did not take: its tag may never come (C6, Q88). */
static bool may_mean_literal(const struct pipe *p)
{
	for (const struct imap_cmd *cmd = p->flying; cmd != NULL; cmd = cmd->next)
		if (cmd->unasked || cmd->phase != CMD_TEXT)
			return true;
	return false;
}

/* COPYUID stands in an untagged OK where it answers MOVE (RFC 6851 4.3). It is of the mailbox whose changes
 * are in flight. That is but one (visit.c); where it is not, it is nobody's. */
static void *change_owner(const struct pipe *p)
{
	const struct visit *visit = NULL;

	for (const struct imap_cmd *cmd = p->flying; cmd != NULL; cmd = cmd->next) {
		if (cmd->kind != IMAP_CMD_CHANGE)
			continue;
		if (visit != NULL && visit != cmd->visit)
			return NULL;
		visit = cmd->visit;
	}
	return visit != NULL ? visit->box : NULL;
}

/* ESEARCH names its command: no other proof is needed, and none is as good. */
static void *search_owner(struct pipe *p, const struct imap_resp *resp)
{
	const struct imap_cmd *cmd = find_flying(p, resp->search.tag);

	return cmd != NULL && cmd->visit != NULL && !cmd->visit->failed ? cmd->visit->box : NULL;
}

static int take_untagged(struct pipe *p, const struct imap_resp *resp, struct err *err)
{
	void *box = NULL;

	if (resp->kind == IMAP_COND && resp->cond.cond == IMAP_BAD && may_mean_literal(p)) {
		guess_refusal(p, resp);
		return err_set(err, ERR_RETRY, ERR_ACCOUNT, "the server did not take what was sent: %.*s",
			WORDS(resp));
	}
	if (resp->kind == IMAP_COND && resp->cond.code == IMAP_CLOSED) {
		visits_closed(&p->visits);
		return 0;
	}
	if (visits_is_of_mailbox(resp)) {
		bool named = resp->kind == IMAP_ESEARCH && resp->search.tag.len > 0;
		box = named ? search_owner(p, resp) : visits_owner(&p->visits, resp);
		if (box == NULL)
			return 0;
	} else if (resp->kind == IMAP_COND && resp->cond.code == IMAP_COPYUID) {
		box = change_owner(p);
	}
	p->events->on_untagged(p->arg, box, resp);
	return 0;
}

int pipe_take(struct pipe *p, const struct imap_resp *resp, struct slice tag, struct slice text,
	bool *no_closed, struct err *err)
{
	if (p->stopped)
		return 0;
	if (resp->kind == IMAP_CONTINUE)
		return take_continue(p, text, err);
	if (resp->tagged)
		return take_tagged(p, resp, tag, no_closed, err);
	return take_untagged(p, resp, err);
}
