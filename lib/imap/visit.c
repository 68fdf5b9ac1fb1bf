/* Untagged responses about messages do not name their mailbox: they speak of the one that the
 * server has selected where they stand in its output. When several SELECTs are in flight, that is
 * not the one that we selected last. A mistake here is the worst there is: flags and expunges
 * applied to the wrong mailbox. So each response goes to a mailbox only where its place proves it.
 *
 * A visit is one stay in a mailbox, from its SELECT to the next. `now` is the visit that the
 * server's output has reached. It moves on to the next visit whose SELECT is on the wire
 *
 *  1. at [CLOSED] (RFC 7162 3.2.11, RFC 9051 7.1), which says just that;
 *  2. at once, where the server has nothing selected for certain: before the first SELECT, or after
 *     one that failed behind [CLOSED]. Nothing else could be spoken of;
 *  3. at the SELECT's tagged OK, at the latest.
 *
 * Between the last tagged answer of the old visit and [CLOSED] the server may speak of either one:
 * the old mailbox may change at any time. What comes there is given to nobody. This loses nothing
 * that was asked for: what the old one was asked is answered, and news of it are learnt the next time
 * it is opened.
 *
 * Where the old visit still has unanswered commands, all is the old one's, [CLOSED] or not: a server
 * must finish a FETCH before it looks at a SELECT behind it, since the answers would be ambiguous
 * (RFC 9051 5.5). So a server that does not send [CLOSED] costs us what came after the last answer,
 * never a wrong attribution. When that SELECT's OK comes, its own answer (and, under QRESYNC, its
 * VANISHED and FETCH) was thrown away: there is no way on but a new connection, without pipelining.
 *
 * A SELECT that was not pipelined has nothing unanswered in front of it, and its server may not send
 * [CLOSED] at all (RFC 3501). Then what can be proved by its nature goes to the new visit: the codes
 * that only a SELECT brings, EXISTS and FLAGS (if they are the old one's last words, the new one's
 * own follow, as every SELECT must send them), VANISHED (EARLIER) (only ever an answer). FETCH,
 * EXPUNGE, VANISHED are dropped until UIDVALIDITY has come: only the SELECT brings that, and
 * servers tell it before changes, because without it nobody could judge them. After UIDVALIDITY all
 * is the new visit's: this is how QRESYNC works on a server that forgets [CLOSED].
 *
 * A SELECT that fails leaves nothing selected by the RFCs; Cyrus then still has the old mailbox
 * selected. If [CLOSED] had come it is gone for certain (rule 2). Otherwise nobody knows (`server` is
 * SERVER_UNKNOWN), and the next SELECT's answers are told as if it had not been pipelined: with or
 * without [CLOSED], both are lawful. The commands that were sent behind the failed SELECT are run
 * by such a server on the old mailbox; all that they bring is dropped, since `now` is the failed
 * visit, and the pipe turns their answers into NO. They are only reads (C6).
 *
 * COPYUID is the exception: in an untagged OK it answers MOVE (RFC 6851 4.3), and what it tells is
 * never told again, so it must reach the mailbox of that MOVE, whatever happened to the visit since
 * (a server may take the mailbox away in the middle). It goes by the commands in flight, not by
 * `now`: a change is handed over only after its SELECT's OK, and no server looks at a SELECT before
 * it has answered what stands in front of it. So the changes in flight are of one visit, and it is
 * theirs (pipe.c). Without any it was not asked for, and is nobody's. */
#include "imap/visit.h"

#include <stdlib.h>

void visits_release(struct visits *v)
{
	while (v->first != NULL) {
		struct visit *next = v->first->next;
		free(v->first);
		v->first = next;
	}
	*v = (struct visits){ 0 };
}

struct visit *visits_add(struct visits *v, void *box)
{
	struct visit *visit = mem_new(sizeof *visit);

	visit->box = box;
	if (v->last != NULL)
		v->last->next = visit;
	else
		v->first = visit;
	v->last = visit;
	return visit;
}

static void forget_finished(struct visits *v)
{
	while (v->first != v->last && v->first != v->now && v->first->unanswered == 0) {
		struct visit *next = v->first->next;
		free(v->first);
		v->first = next;
	}
}

/* The visit that the server will come to: its SELECT is on the wire and unanswered. */
static struct visit *upcoming(const struct visits *v)
{
	struct visit *next = v->now != NULL ? v->now->next : v->first;

	while (next != NULL && next->answered)
		next = next->next;
	return next != NULL && next->sent ? next : NULL;
}

static void move_on(struct visits *v, struct visit *to, enum visit_server server)
{
	v->now = to;
	v->server = server;
	forget_finished(v);
}

void visits_answered(struct visits *v, struct visit *visit)
{
	visit->unanswered--;
	forget_finished(v);
}

bool visits_select_answered(struct visits *v, struct visit *visit, bool went_ok)
{
	bool reached = v->now == visit;

	visit->answered = true;
	if (went_ok) {
		if (!reached && visit->pipelined && v->server == SERVER_OPEN)
			return false;
		move_on(v, visit, SERVER_OPEN);
		return true;
	}
	visit->failed = true;
	if (!reached)
		move_on(v, visit, v->server == SERVER_NONE ? SERVER_NONE : SERVER_UNKNOWN);
	return true;
}

void visits_closed(struct visits *v)
{
	struct visit *next = upcoming(v);

	/* The visit has begun already, by what it proved itself. */
	if (v->now != NULL && !v->now->answered) {
		v->server = SERVER_NONE;
		return;
	}
	if (next != NULL) {
		move_on(v, next, SERVER_NONE);
		return;
	}
	/* Closed without a SELECT: the server took it away. */
	if (v->now != NULL)
		v->now->failed = true;
	v->server = SERVER_NONE;
}

static bool is_select_code(enum imap_code code)
{
	switch (code) {
	case IMAP_HIGHESTMODSEQ: case IMAP_MAILBOXID: case IMAP_NOMODSEQ: case IMAP_PERMANENTFLAGS:
	case IMAP_UIDNEXT: case IMAP_UIDNOTSTICKY: case IMAP_UIDVALIDITY: case IMAP_UNSEEN:
		return true;
	default:
		return false;
	}
}

bool visits_is_of_mailbox(const struct imap_resp *resp)
{
	switch (resp->kind) {
	case IMAP_COND:
		return !resp->tagged && is_select_code(resp->cond.code);
	case IMAP_FLAGS: case IMAP_SEARCH: case IMAP_ESEARCH: case IMAP_EXISTS: case IMAP_EXPUNGE:
	case IMAP_VANISHED: case IMAP_FETCH:
		return true;
	default:
		return false;
	}
}

/* Could only the new visit's SELECT bring this, or is it put right by what follows? */
static bool proves_itself(const struct imap_resp *resp)
{
	return resp->kind == IMAP_COND || resp->kind == IMAP_FLAGS || resp->kind == IMAP_EXISTS
		|| (resp->kind == IMAP_VANISHED && resp->vanished.earlier);
}

static void *owner_of_now(const struct visits *v)
{
	return v->now != NULL && !v->now->failed ? v->now->box : NULL;
}

void *visits_owner(struct visits *v, const struct imap_resp *resp)
{
	struct visit *next = upcoming(v);

	if (next == NULL || (v->now != NULL && v->now->unanswered > 0))
		return owner_of_now(v);
	if (v->server == SERVER_NONE) {
		move_on(v, next, SERVER_NONE);
		return next->box;
	}
	if (next->pipelined && v->server == SERVER_OPEN)
		return NULL;
	if (resp->kind == IMAP_COND && resp->cond.code == IMAP_UIDVALIDITY)
		move_on(v, next, SERVER_UNKNOWN);
	return proves_itself(resp) ? next->box : NULL;
}

void *visits_body_owner(struct visits *v)
{
	const struct imap_resp fetch = { .kind = IMAP_FETCH };

	return visits_owner(v, &fetch);
}
