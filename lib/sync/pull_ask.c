/* Pull, the commands: what asks for how many UIDs, and how an answer is counted. It decides nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/pull_private.h"

/* A BAD to fewer UIDs than this is not about their number. */
#define SET_SUSPECT 50
#define PULLS_MAX 20     /* of a mailbox in a run, to find out which number it is */

/* Too much at once (Q47)? The mailbox is open, and so many UIDs were asked for. */
static bool is_too_long(const struct pull *p, const struct ask *ask, const struct imap_resp *tagged)
{
	return tagged->cond.cond == IMAP_BAD && ask->row > 0 && !p->refused[0] && p->unanswered[0] == 0 &&
	       ask->uids >= SET_SUSPECT && p->visit.box->pulls < PULLS_MAX;
}

static void on_answer(void *arg, const struct imap_resp *tagged)
{
	struct ask *ask = arg, **at;
	struct pull *p = ask->pull;

	for (at = &p->asks; *at != ask; at = &(*at)->next)
		;
	*at = ask->next;
	if (throttle_answer(pull_sync(p), tagged) == THROTTLE_AGAIN)
		p->hasty = true;
	if (is_too_long(p, ask, tagged)) {
		throttle_set_refused(pull_sync(p), ask->uids);
		p->visit.box->too_long = p->hasty = true;
	}
	if (tagged->cond.cond == IMAP_OK && ask->first > 0) {
		uint32_t last = ask->last ? ask->last : uids_last(&p->fresh);
		if (last >= ask->first)
			uids_add_range(&p->answered, ask->first, last);
	}
	/* The first refusal is the reason; what flew behind it was refused because of it. */
	if (tagged->cond.cond != IMAP_OK && !p->has_refusal) {
		p->has_refusal = true;
		p->refusal_cond = tagged->cond.cond;
		p->refusal_code = tagged->cond.code;
		snprintf(p->refusal, sizeof p->refusal, "%.*s", (int)tagged->cond.text.len,
			tagged->cond.text.data);
	}
	p->refused[ask->row] |= tagged->cond.cond != IMAP_OK;
	if (--p->unanswered[ask->row] == 0 && p->state == PULL_ASKING)
		pull_pend(p); /* the rows judge from the top of the loop */
	account_mark(pull_sync(p)); /* a pull that was left is waited for, too */
	free(ask);
}

/* `first` 0: not a range of new descriptors. */
struct imap_cmd *pull_command(struct pull *p, enum imap_cmd_kind kind, uint32_t first,
	uint32_t last)
{
	struct ask *ask = mem_new(sizeof *ask);

	ask->pull = p;
	ask->first = first;
	ask->last = last;
	ask->row = p->row;
	ask->next = p->asks;
	p->asks = ask;
	p->unanswered[p->row]++;
	return imap_cmd_new(kind, on_answer, ask);
}

/* How many UIDs the command just made asks for. */
void pull_asks(struct pull *p, uint32_t uids)
{
	p->asks->uids = uids;
}

void pull_send(struct pull *p, struct imap_cmd *cmd)
{
	imap_send(p->visit.link->imap, cmd, NULL, 0);
}

static uint64_t set_size(struct slice text)
{
	struct uids set;
	uint64_t n;

	uids_init(&set);
	uids_parse(&set, text, text.len);
	n = uids_count(&set);
	uids_release(&set);
	return n;
}

/* UID FETCH of a set, in as many lines as it needs. */
void pull_send_set(struct pull *p, const struct uids *set, const char *items)
{
	struct buf text;
	uint32_t from = 1;

	buf_init(&text, 0);
	while (from != 0) {
		struct imap_cmd *cmd = pull_command(p, IMAP_CMD_READ, 0, 0);
		buf_clear(&text);
		from = throttle_print_set(pull_sync(p), set, from, items, &text);
		pull_asks(p, (uint32_t)set_size(buf_slice(&text)));
		imap_cmd_add(cmd, "UID FETCH %s %s", buf_str(&text), items);
		pull_send(p, cmd);
	}
	buf_release(&text);
}

/* What a descriptor is asked to hold. After a UIDVALIDITY change every message is looked for among those
 * that we hold, so its Message-ID comes along; else it is asked for where it may help ("ids"). */
const char *pull_descriptor(struct pull *p)
{
	struct imap *c = p->visit.link->imap;
	const char *emailid = imap_has(c, IMAP_CAP_OBJECTID) ? " EMAILID" :
		imap_has(c, IMAP_CAP_X_GM_EXT_1)		      ? " X-GM-MSGID" :
								"";

	snprintf(p->descriptor, sizeof p->descriptor, "(UID FLAGS INTERNALDATE RFC822.SIZE%s%s)", emailid,
		p->matching && !p->visit.box->no_ids ? " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]" : "");
	return p->descriptor;
}
