/* Boxes, the questions: LIST, and what STATUS tells (L1, L2).
 *
 * Where LIST-STATUS is offered one command tells everything (RFC 5819), and what did not change is
 * never opened. Without it STATUS is asked for those whose answer could prove that nothing changed: it
 * takes a mod-sequence, so on a server without CONDSTORE every mailbox is opened anyway and STATUS
 * would be wasted. */
#include <stdlib.h>

#include "sync/private.h"

#define STATUS_AHEAD 25 /* Q31: more at a time and Outlook.com fails */

static void on_list(struct sync *s, const struct imap_resp *r)
{
	struct box *box;

	if (r->list.name.len == 0)
		return;
	if (memchr(r->list.name.data, 0, r->list.name.len)) {
		account_note(s, SYNC_WARNING, NULL, "a mailbox whose name has a NUL in it is left out");
		return;
	}
	if (r->list.attrs & IMAP_NONEXISTENT_ATTR) {
		/* only its children exist, or only its subscription */
		box = box_of_wire(s, r->list.name);
		if (box)
			box->nonexistent = true;
		return;
	}
	box = box_for(s, r);
	box->listed = true; /* twice, maybe: then the last attributes count (Q68) */
	if (box->rec.attrs != r->list.attrs)
		box->rec_changed = true;
	box->rec.attrs = r->list.attrs;
	if (r->list.attrs & IMAP_NOSELECT)
		box->rec.state |= STORE_MAILBOX_NOSELECT;
	else
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_NOSELECT;
}

/* RFC 8474 section 4. Cyrus 3.6 sends what was in its memory: then that is no object ID, or spoils the line. */
static bool asks_mailboxid(const struct sync *s)
{
	return imap_has(s->links[0].imap, IMAP_CAP_OBJECTID) && !s->no_mailboxid;
}

static void miss_mailboxid(struct sync *s)
{
	if (asks_mailboxid(s))
		s->no_mailboxid = s->facts_changed = true; /* SELECT tells it, too */
}

static void on_status(struct sync *s, const struct imap_resp *r)
{
	struct box *box;

	if (memchr(r->status.name.data, 0, r->status.name.len))
		return;
	box = box_of_wire(s, r->status.name);
	if (!box)
		return;
	if (r->status.items & IMAP_HAS_MAILBOXID) {
		free(box->told_mailboxid);
		box->told_mailboxid = mem_copy_slice(r->status.mailboxid);
	} else if (s->phase == SYNC_LISTING) {
		miss_mailboxid(s);
	}
	box->told = (struct plan_told){ r->status.items, r->status.messages, r->status.uidnext,
		r->status.uidvalidity, r->status.highestmodseq };
}

void boxes_untagged(struct sync *s, const struct imap_resp *r)
{
	if (r->kind == IMAP_LIST && s->phase == SYNC_LISTING)
		on_list(s, r);
	else if (r->kind == IMAP_STATUS && (s->phase == SYNC_LISTING || s->phase == SYNC_PUSHING))
		on_status(s, r); /* the replay asks, too */
}

/* Does LIST tell the STATUS, too? Of subscribed mailboxes only where LIST-EXTENDED is offered as well, which not
 * every server with LIST-STATUS does (Q58), and some do in vain (Q60, Q76: avoid); LSUB tells none. */
static bool list_tells_status(const struct sync *s)
{
	const struct imap *c = s->links[0].imap;

	return imap_has(c, IMAP_CAP_LIST_STATUS) &&
	       (!s->account->subscribed_only || imap_has(c, IMAP_CAP_LIST_EXTENDED));
}

static void on_listed(void *arg, const struct imap_resp *tagged)
{
	struct sync *s = arg;
	struct err err = { 0 };
	enum throttle_verdict verdict = throttle_answer(s, tagged);

	if (verdict == THROTTLE_OVER)
		return;
	if (verdict == THROTTLE_AGAIN) {
		boxes_ask(s);
		return;
	}
	if (tagged->cond.cond != IMAP_OK) {
		err_set(&err, ERR_RETRY, ERR_ACCOUNT, "the server refused to list its mailboxes: %.*s",
			(int)tagged->cond.text.len, tagged->cond.text.data);
		account_fail(s, &err);
		return;
	}
	for (struct box *box = list_tells_status(s) ? s->boxes : NULL; box; box = box->next)
		if (box->listed && !(box->rec.state & STORE_MAILBOX_NOSELECT) && box->told.items == 0)
			miss_mailboxid(s);
	s->list_unanswered--;
	s->next_status = s->boxes;
	s->listed = true;
	account_mark(s);
}

void boxes_ask(struct sync *s)
{
	struct imap *c = s->links[0].imap;
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_listed, s);
	bool condstore = imap_has(c, IMAP_CAP_CONDSTORE) || imap_has(c, IMAP_CAP_QRESYNC);
	bool status = list_tells_status(s);

	boxes_load(s);
	renames_forget(s);
	for (struct box *box = s->boxes; box; box = box->next) {
		box->listed = box->nonexistent = false;
		box->told.items = 0; /* told by another connection, or before we changed something */
	}
	s->list_unanswered = 1;
	s->status_unanswered = 0; /* of a connection that was lost */
	s->listed = false;
	/* An extended LIST tells the tasks only where it is asked to (RFC 6154 section 2).
	 * Without a reference (Q56, Q86), and all: what the server makes of patterns is its own (Q60). */
	if (!s->account->subscribed_only)
		imap_cmd_add(cmd, "LIST \"\" \"*\"");
	else if (status)
		imap_cmd_add(cmd, "LIST (SUBSCRIBED) \"\" \"*\"");
	else
		imap_cmd_add(cmd, "LSUB \"\" \"*\"");
	if (status)
		imap_cmd_add(cmd, " RETURN (%sSTATUS (MESSAGES UIDNEXT UIDVALIDITY%s%s))",
			imap_has(c, IMAP_CAP_SPECIAL_USE) ? "SPECIAL-USE " : "",
			condstore ? " HIGHESTMODSEQ" : "",
			asks_mailboxid(s) ? " MAILBOXID" : "");
	imap_send(c, cmd, NULL, 0);
}

static void on_status_answer(void *arg, const struct imap_resp *tagged)
{
	struct sync *s = arg;

	throttle_answer(s, tagged); /* refused: nothing is known of it, so it is opened */
	s->status_unanswered--;
	account_mark(s);
}

/* Asks for the next ones; false once there are none. */
static bool ask_status(struct sync *s)
{
	struct imap *c = s->links[0].imap;

	if (list_tells_status(s) ||
		!(imap_has(c, IMAP_CAP_CONDSTORE) || imap_has(c, IMAP_CAP_QRESYNC)))
		return false;
	for (; s->next_status; s->next_status = s->next_status->next) {
		struct box *box = s->next_status;
		struct imap_cmd *cmd;
		if (s->status_unanswered == STATUS_AHEAD)
			return true;
		if (!box_is_chosen(s, box) || !(box->rec.state & STORE_MAILBOX_WHOLE))
			continue;
		cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_status_answer, s);
		imap_cmd_add(cmd, "STATUS ");
		imap_cmd_add_string(cmd, slice_of(box->rec.wire), true);
		imap_cmd_add(cmd, " (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ%s)",
			asks_mailboxid(s) ? " MAILBOXID" : "");
		s->status_unanswered++;
		imap_send(c, cmd, NULL, 0);
	}
	return false;
}

bool boxes_asked(struct sync *s)
{
	if (!s->listed || s->list_unanswered > 0)
		return false;
	return !ask_status(s) && s->status_unanswered == 0;
}
