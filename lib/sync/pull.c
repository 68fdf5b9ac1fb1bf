/* Pull: what the server has, descriptor by descriptor, for one mailbox.
 *
 * The table of rows below is the algorithm (RFC 4549 section 4.3.1, RFC 7162). A row sends its
 * commands; rows that fly leave in the same flight as the row before them, because what they ask
 * does not depend on its answer, only whether the answer may be used does. When the flight is
 * answered each of its rows judges what came. Untagged responses only fill the inbox.
 *
 * What makes it safe:
 * - Nothing in the inbox is used before the SELECT was answered OK with the UIDVALIDITY of our
 *   record (recv_select); before that nothing is applied, afterwards partial answers may be, since
 *   each is true by itself: a descriptor, the flags of a UID, a UID that vanished.
 * - lastseen rises only by answered ranges without a gap (S3); the mod-sequence and MESSAGES are
 *   stored only when every row was answered OK and applied (S7), in the transaction of the last of it.
 * - After that the known UIDs must be as many as EXISTS (S16). If not, "list" asks for all UIDs and
 *   the difference is repaired. So a lying VANISHED, a missed UID, a bare EXPUNGE cost one more
 *   round trip and never a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/private.h"

#define DESCRIPTOR "(UID FLAGS INTERNALDATE RFC822.SIZE)"
#define SET_OCTETS 7000 /* of a UID set in one command line (C6) */

/* One FETCH response: flags, and the rest where it is a whole descriptor. */
struct item {
	uint32_t uid;
	uint32_t system;
	uint32_t keywords, keywords_len; /* in pull.keywords */
	bool whole;
	int64_t date;
	uint64_t size;
};

/* A command in flight; `first` to `last` (0: "*") where it asks for new descriptors. */
struct ask {
	struct pull *pull;
	struct ask *next;
	uint32_t first, last;
	unsigned row;
};

#define ROWS 5

struct pull {
	struct visit visit; /* first */
	struct pull *next;  /* of those with something to apply */
	enum {
		PULL_ASKING,
		PULL_ANSWERED,  /* all there, waits to be applied and finished */
		PULL_RESETTING, /* the cache is being emptied */
		PULL_OVER
	} state;
	struct plan_pull plan;
	struct plan_selected sel;
	bool trusted;      /* SELECT was answered OK and is of our record */
	bool condstore;    /* the server's mod-sequences may be believed */
	unsigned row, judged; /* the next to be sent, and to be judged */
	bool sent[ROWS];
	unsigned unanswered[ROWS];
	bool refused[ROWS];   /* a command of this row was answered NO or BAD */
	struct ask *asks;
	bool has_refusal;
	enum imap_code refusal_code;
	char refusal[200];

	struct item *items;
	size_t count, size, applied;
	struct buf keywords;
	struct uids fresh;    /* whole descriptors in the inbox, not applied */
	struct uids answered; /* ranges of new descriptors answered OK */
	struct uids seen;     /* PLAN_PLAIN: old UIDs that answered */
	struct uids gone;     /* told or found to be gone, not applied */
	struct uids wanted;   /* "fill": UIDs listed and not known */
	struct uids listed;
	bool has_list, repaired, short_of_exists;
	struct reset *reset;
	bool pending;         /* in s->pulls */
};

struct row {
	const char *name;
	bool flies; /* in the flight of the row before it */
	bool (*due)(struct pull *p);
	void (*send)(struct pull *p);
	/* Judges the answers. False: the rows after it are not run (the state says what instead). */
	bool (*recv)(struct pull *p);
};

static struct sync *pull_sync(struct pull *p)
{
	return p->visit.box->sync;
}

/* Puts the pull on the list of those that the next transaction looks at. */
static void pull_pend(struct pull *p)
{
	struct sync *s = pull_sync(p);

	if (!p->pending) {
		p->pending = true;
		p->next = s->pulls;
		s->pulls = p;
	}
	account_mark(s);
}

static void pull_forget_inbox(struct pull *p)
{
	struct sync *s = pull_sync(p);

	s->inbox_items -= p->count - p->applied;
	p->applied = p->count = 0;
	buf_clear(&p->keywords);
	uids_clear(&p->fresh);
	uids_clear(&p->gone);
}

/* The pull ends here: the mailbox is left as the store has it. */
static void pull_leave(struct pull *p, enum box_state state)
{
	pull_forget_inbox(p);
	p->state = PULL_OVER;
	p->visit.box->state = state;
	account_mark(pull_sync(p));
}

/* Commands */

static void on_answer(void *arg, const struct imap_resp *tagged)
{
	struct ask *ask = arg, **at;
	struct pull *p = ask->pull;

	for (at = &p->asks; *at != ask; at = &(*at)->next)
		;
	*at = ask->next;
	if (tagged->cond.cond == IMAP_OK && ask->first > 0) {
		uint32_t last = ask->last ? ask->last : uids_last(&p->fresh);
		if (last >= ask->first)
			uids_add_range(&p->answered, ask->first, last);
	}
	/* The first refusal is the reason; what flew behind it was refused because of it. */
	if (tagged->cond.cond != IMAP_OK && !p->has_refusal) {
		p->has_refusal = true;
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
static struct imap_cmd *pull_command(struct pull *p, enum imap_cmd_kind kind, uint32_t first,
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

static void pull_send(struct pull *p, struct imap_cmd *cmd)
{
	imap_send(p->visit.link->imap, cmd, NULL, 0);
}

/* UID FETCH of a set, in as many lines as it needs. */
static void send_fetch_set(struct pull *p, const struct uids *set, const char *items)
{
	struct buf text;
	uint32_t from = 1;

	buf_init(&text, 0);
	while (from != 0) {
		struct imap_cmd *cmd = pull_command(p, IMAP_CMD_READ, 0, 0);
		buf_clear(&text);
		from = uids_print(set, from, SET_OCTETS, &text);
		imap_cmd_add(cmd, "UID FETCH %s %s", buf_str(&text), items);
		pull_send(p, cmd);
	}
	buf_release(&text);
}

/* The rows */

static bool due_always(struct pull *p)
{
	(void)p;
	return true;
}

static void send_open(struct pull *p, bool plain)
{
	struct box *box = p->visit.box;
	struct imap *c = p->visit.link->imap;
	struct imap_cmd *cmd = pull_command(p, IMAP_CMD_SELECT, 0, 0);

	imap_cmd_add(cmd, p->plan.examine ? "EXAMINE " : "SELECT ");
	imap_cmd_add_string(cmd, slice_of(box->rec.wire), true);
	if (!plain && p->plan.ladder == PLAN_QRESYNC)
		imap_cmd_add(cmd, " (QRESYNC (%llu %llu 1:%lu))",
			(unsigned long long)box->rec.uidvalidity, (unsigned long long)p->plan.since,
			(unsigned long)p->plan.old_last);
	else if (imap_has(c, IMAP_CAP_CONDSTORE) && !imap_has(c, IMAP_CAP_ENABLE))
		imap_cmd_add(cmd, " (CONDSTORE)");
	imap_send(c, cmd, p, 0);
}

static void send_select(struct pull *p)
{
	send_open(p, false);
}

/* A later row needs the mailbox selected; another one may be by now. */
static void select_again(struct pull *p)
{
	if (imap_last_box(p->visit.link->imap) != p)
		send_open(p, true);
}

static void note_refusal(struct pull *p, const char *what)
{
	struct box *box = p->visit.box;

	account_note(pull_sync(p), SYNC_FAILURE, box->rec.name, "the server refused to %s: %s", what,
		p->refusal);
	pull_leave(p, BOX_LEFT);
}

static bool recv_refused_select(struct pull *p)
{
	struct box *box = p->visit.box;

	if (p->plan.ladder == PLAN_QRESYNC && !imap_qresync(p->visit.link->imap)) {
		/* ENABLED did not name QRESYNC: once more, without it. */
		pull_leave(p, BOX_TO_PULL);
	} else if (p->refusal_code == IMAP_NONEXISTENT) {
		box->rec.state |= STORE_MAILBOX_ABSENT | STORE_MAILBOX_GONE;
		box->rec_changed = true;
		account_note(pull_sync(p), SYNC_WARNING, box->rec.name,
			"is gone from the server; its folder stays as it is");
		pull_leave(p, BOX_LEFT);
	} else {
		note_refusal(p, "open the mailbox");
	}
	return false;
}

static bool start_reset(struct pull *p)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);
	struct err err = { 0 };

	account_note(s, SYNC_WARNING, box->rec.name,
		p->sel.uidvalidity != box->rec.uidvalidity
			? "UIDVALIDITY changed from %llu to %llu: what was known of it is forgotten and fetched again"
			: "the server went back behind what it told before (UIDVALIDITY %llu, still %llu): "
			  "its mail is forgotten and fetched again",
		(unsigned long long)box->rec.uidvalidity, (unsigned long long)p->sel.uidvalidity);
	box->result.reset = true;
	if (s->options.dry_run) {
		pull_leave(p, BOX_IDLE);
		return false;
	}
	p->reset = reset_new(box, &err);
	if (!p->reset) {
		account_fail(s, &err);
		return false;
	}
	p->state = PULL_RESETTING;
	pull_pend(p);
	return false;
}

static bool recv_select(struct pull *p)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);

	if (p->refused[p->judged])
		return recv_refused_select(p);
	switch (plan_select(&box->rec, &p->sel, p->plan.examine)) {
	case PLAN_NO_UIDS:
		account_note(s, SYNC_FAILURE, box->rec.name,
			"the server has no lasting UIDs for it (no UIDVALIDITY); it is left alone");
		pull_leave(p, BOX_LEFT);
		return false;
	case PLAN_CONFIRM:
		box->by_select = true;
		pull_leave(p, BOX_TO_PULL);
		return false;
	case PLAN_RESET:
		return start_reset(p);
	case PLAN_GO_ON:
		break;
	}
	if (box->by_select && !p->plan.examine)
		s->no_examine = s->facts_changed = true;
	if (box->rec.uidvalidity == 0) {
		box->rec.uidvalidity = p->sel.uidvalidity;
		box->rec_changed = true;
	}
	p->trusted = true;
	return true;
}

static bool due_new(struct pull *p)
{
	return p->plan.ask_new;
}

static void send_new(struct pull *p)
{
	uint32_t first = p->plan.old_last + 1, last;
	uint32_t width = plan_range_width(first, p->plan.uidnext);

	if (p->plan.old_last == UID_MAX)
		return;
	do {
		struct imap_cmd *cmd;
		last = plan_range_end(first, width, p->plan.uidnext);
		cmd = pull_command(p, IMAP_CMD_READ, first, last);
		if (last)
			imap_cmd_add(cmd, "UID FETCH %lu:%lu " DESCRIPTOR, (unsigned long)first,
				(unsigned long)last);
		else
			imap_cmd_add(cmd, "UID FETCH %lu:* " DESCRIPTOR, (unsigned long)first);
		pull_send(p, cmd);
		first = last + 1;
	} while (last);
}

static bool recv_fetch(struct pull *p)
{
	if (!p->refused[p->judged])
		return true;
	note_refusal(p, "list its messages");
	return false;
}

/* What is known after everything in the inbox is applied. */
static uint64_t pull_known(struct pull *p)
{
	struct sync *s = pull_sync(p);
	uint32_t id = p->visit.box->rec.id;
	uint64_t known = store_mailbox_counts(s->store, id).messages + uids_count(&p->fresh);
	struct uids both;

	for (size_t i = 0; i < p->gone.count; i++)
		known -= store_count_uids(s->store, id, p->gone.ranges[i].first,
			p->gone.ranges[i].last);
	uids_init(&both);
	uids_copy(&both, &p->gone);
	uids_intersect(&both, &p->fresh);
	known -= uids_count(&both);
	uids_release(&both);
	return known;
}

/* Q75: some refuse `UID FETCH n:*` where there is nothing to give. Where EXISTS says that nothing is
 * missing, that is what it means. */
static bool recv_new(struct pull *p)
{
	if (p->refused[p->judged] && p->sel.has_exists && uids_is_empty(&p->fresh) && uids_is_empty(&p->gone) &&
		pull_known(p) == p->sel.exists)
		return true;
	return recv_fetch(p);
}

static bool due_old(struct pull *p)
{
	return p->plan.ladder == PLAN_CONDSTORE || p->plan.ladder == PLAN_PLAIN;
}

static void send_old(struct pull *p)
{
	uint32_t first = 1, last;
	uint32_t width = plan_range_width(1, p->plan.old_last);

	if (p->plan.ladder == PLAN_CONDSTORE) {
		struct imap_cmd *cmd = pull_command(p, IMAP_CMD_READ, 0, 0);
		imap_cmd_add(cmd, "UID FETCH 1:%lu (UID FLAGS) (CHANGEDSINCE %llu)",
			(unsigned long)p->plan.old_last, (unsigned long long)p->plan.since);
		pull_send(p, cmd);
		return;
	}
	do {
		struct imap_cmd *cmd = pull_command(p, IMAP_CMD_READ, 0, 0);
		last = plan_range_end(first, width, p->plan.old_last);
		if (!last)
			last = p->plan.old_last;
		imap_cmd_add(cmd, "UID FETCH %lu:%lu (UID FLAGS)", (unsigned long)first,
			(unsigned long)last);
		pull_send(p, cmd);
		first = last + 1;
	} while (last < p->plan.old_last);
}

static bool recv_old(struct pull *p)
{
	struct uids known;

	if (p->refused[p->judged])
		return recv_fetch(p);
	if (p->plan.ladder != PLAN_PLAIN)
		return true;
	/* S4: a UID without an answer is gone, if then the numbers agree; else "list" tells. */
	uids_init(&known);
	store_known_uids(pull_sync(p)->store, p->visit.box->rec.id, &known);
	if (p->plan.old_last < UID_MAX)
		uids_remove_range(&known, p->plan.old_last + 1, UID_MAX);
	uids_remove_all(&known, &p->seen);
	uids_add_all(&p->gone, &known);
	if (!uids_is_empty(&known) && pull_known(p) != p->sel.exists)
		uids_remove_all(&p->gone, &known);
	uids_release(&known);
	return true;
}

/* S16; a sync that looks at new messages only cannot know. */
static bool due_list(struct pull *p)
{
	struct sync *s = pull_sync(p);

	if (!p->sel.has_exists || p->visit.box->rules.old_skip || s->options.dry_run)
		return false;
	return pull_known(p) != p->sel.exists;
}

static void send_list(struct pull *p)
{
	struct imap_cmd *cmd;
	bool esearch = imap_has(p->visit.link->imap, IMAP_CAP_ESEARCH) ||
		       imap_has(p->visit.link->imap, IMAP_CAP_IMAP4REV2);

	select_again(p);
	cmd = pull_command(p, esearch ? IMAP_CMD_READ : IMAP_CMD_SEARCH, 0, 0);
	imap_cmd_add(cmd, esearch ? "UID SEARCH RETURN (ALL) ALL" : "UID SEARCH ALL");
	uids_clear(&p->listed);
	p->has_list = false;
	pull_send(p, cmd);
}

static bool recv_list(struct pull *p)
{
	struct box *box = p->visit.box;
	struct uids known;

	if (p->refused[p->judged]) {
		note_refusal(p, "list its UIDs");
		return false;
	}
	if (!p->has_list && p->sel.exists > 0) {
		p->short_of_exists = true; /* an OK without an answer is not an empty mailbox */
		return true;
	}
	uids_init(&known);
	store_known_uids(pull_sync(p)->store, box->rec.id, &known);
	uids_add_all(&known, &p->fresh);
	/* What is listed is there, whatever VANISHED said. */
	uids_remove_all(&p->gone, &p->listed);
	uids_copy(&p->wanted, &p->listed);
	uids_remove_all(&p->wanted, &known);
	uids_remove_all(&known, &p->listed);
	if (p->plan.ladder != PLAN_CONDSTORE)
		log_line(LOG_STEPS, box->rec.name,
			"the number of messages did not agree; UIDs listed: %llu not known, %llu gone",
			(unsigned long long)uids_count(&p->wanted),
			(unsigned long long)uids_count(&known));
	uids_add_all(&p->gone, &known);
	uids_release(&known);
	return true;
}

static bool due_fill(struct pull *p)
{
	return !uids_is_empty(&p->wanted);
}

static void send_fill(struct pull *p)
{
	p->repaired = true;
	select_again(p);
	send_fetch_set(p, &p->wanted, DESCRIPTOR);
}

static const struct row rows[ROWS] = {
	{ "select", false, due_always, send_select, recv_select },
	{ "new", true, due_new, send_new, recv_new },
	{ "old", true, due_old, send_old, recv_old },
	{ "list", false, due_list, send_list, recv_list },
	{ "fill", false, due_fill, send_fill, recv_fetch },
};
/* Sends the next row and those that fly with it. */
static void send_flight(struct pull *p)
{
	do {
		if (rows[p->row].due(p)) {
			log_line(LOG_MOVES, p->visit.box->rec.name, "send %s", rows[p->row].name);
			p->sent[p->row] = true;
			rows[p->row].send(p);
		}
		p->row++;
	} while (p->row < ROWS && rows[p->row].flies);
}

void pull_step(struct pull *p)
{
	while (p->state == PULL_ASKING) {
		if (p->judged == p->row) {
			if (p->row == ROWS)
				p->state = PULL_ANSWERED;
			else
				send_flight(p);
		} else if (p->unanswered[p->judged] > 0) {
			return;
		} else if (p->sent[p->judged]) {
			log_line(LOG_MOVES, p->visit.box->rec.name, "recv %s", rows[p->judged].name);
			if (!rows[p->judged].recv(p))
				return;
			p->judged++;
		} else {
			p->judged++;
		}
	}
}

/* Untagged responses */

static void keep_item(struct pull *p, const struct imap_resp *r)
{
	const uint32_t whole = IMAP_HAS_DATE | IMAP_HAS_SIZE;
	struct item *it;

	if (p->count == p->size) {
		p->size = p->size ? 2 * p->size : 64;
		p->items = mem_grow(p->items, p->size, sizeof *p->items);
	}
	it = &p->items[p->count++];
	memset(it, 0, sizeof *it);
	it->uid = r->fetch.uid;
	it->system = r->fetch.flags.system;
	it->whole = (r->fetch.items & whole) == whole;
	it->date = r->fetch.date;
	it->size = r->fetch.size;
	it->keywords = (uint32_t)p->keywords.len;
	for (size_t i = 0; i < r->fetch.flags.count; i++) {
		buf_add_slice(&p->keywords, r->fetch.flags.keywords[i]);
		buf_add_char(&p->keywords, ' ');
	}
	it->keywords_len = (uint32_t)(p->keywords.len - it->keywords);
	pull_sync(p)->inbox_items++;
}

static void on_fetch(struct pull *p, const struct imap_resp *r)
{
	uint32_t uid = r->fetch.uid;
	bool whole = (r->fetch.items & IMAP_HAS_DATE) && (r->fetch.items & IMAP_HAS_SIZE);

	if (!(r->fetch.items & IMAP_HAS_UID) || !(r->fetch.items & IMAP_HAS_FLAGS))
		return; /* no UID: never applied by number (C8) */
	if (uid <= p->plan.old_last)
		uids_add(&p->seen, uid);
	else if (!whole)
		return; /* not a descriptor; if it was new, "new" brings one */
	else if (!p->plan.ask_new && !uids_has(&p->wanted, uid))
		return;
	if (whole && (uid > p->plan.old_last || uids_has(&p->wanted, uid)))
		uids_add(&p->fresh, uid);
	keep_item(p, r);
	if (p->trusted && p->count - p->applied >= BATCH_MESSAGES)
		pull_pend(p);
}

static void on_cond(struct pull *p, const struct imap_resp *r)
{
	switch (r->cond.code) {
	case IMAP_UIDVALIDITY:
		/* Selected once more for a later row, and it is another mailbox now: from the start. */
		if (p->trusted && r->cond.code_number != p->visit.box->rec.uidvalidity)
			pull_leave(p, BOX_TO_PULL);
		p->sel.uidvalidity = r->cond.code_number;
		break;
	case IMAP_UIDNEXT:
		p->sel.uidnext = (uint32_t)r->cond.code_number;
		break;
	case IMAP_HIGHESTMODSEQ:
		p->sel.highestmodseq = r->cond.code_number;
		break;
	case IMAP_NOMODSEQ:
		p->sel.nomodseq = true;
		break;
	case IMAP_UIDNOTSTICKY:
		p->sel.uidvalidity = 0;
		break;
	default:
		break;
	}
}

static void pull_untagged(struct visit *v, const struct imap_resp *r)
{
	struct pull *p = (struct pull *)v;
	uint64_t n;

	if (p->state != PULL_ASKING)
		return;
	switch (r->kind) {
	case IMAP_COND:
		on_cond(p, r);
		break;
	case IMAP_EXISTS:
		p->sel.exists = r->number;
		p->sel.has_exists = true;
		break;
	case IMAP_EXPUNGE:
		if (p->sel.exists > 0)
			p->sel.exists--; /* which UID it was, "list" will tell */
		break;
	case IMAP_VANISHED:
		uids_add_all(&p->gone, r->vanished.uids);
		n = uids_count(r->vanished.uids);
		if (!r->vanished.earlier)
			p->sel.exists = n < p->sel.exists ? p->sel.exists - (uint32_t)n : 0;
		break;
	case IMAP_FETCH:
		on_fetch(p, r);
		break;
	case IMAP_SEARCH:
	case IMAP_ESEARCH:
		uids_add_all(&p->listed, r->search.uids);
		p->has_list = true;
		break;
	default:
		break;
	}
}

/* Applying the inbox: in a transaction. */

static void owe(struct pull *p, struct store_message *m)
{
	struct sync *s = pull_sync(p);

	m->state |= STORE_BODY_OWED;
	p->visit.box->may_owe = true;
	p->visit.box->result.bodies++;
	s->progress.messages++;
	s->progress.octets += m->size;
}

static void item_flags(struct pull *p, const struct item *it, struct mail_flags *flags)
{
	if (it->keywords_len)
		mail_flags_parse(flags,
			(struct slice){ p->keywords.data + it->keywords, it->keywords_len });
	flags->system |= it->system;
}

static void apply_new(struct pull *p, struct store_message *m, const struct item *it)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);

	store_message_release(m);
	store_message_init(m);
	m->mailbox = box->rec.id;
	m->uid = it->uid;
	m->date = it->date;
	m->size = it->size;
	item_flags(p, it, &m->flags);
	if (plan_wants_body(&box->rules, s->now, m->date, m->size, m->flags.system))
		owe(p, m);
	box->result.added++;
	store_message_put(s->store, m);
}

/* The Maildir follows: shown becomes agreed, and where that changes the file's name, a projection
 * says so. Nobody's pending change is overwritten: the file is renamed by the difference (project.c). */
static void apply_flags(struct pull *p, struct store_message *m, const struct mail_flags *flags)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);
	struct store_projection proj;

	mail_flags_copy(&m->flags, flags);
	if (!(m->state & (STORE_SHOWN | STORE_BODY_OWED)) &&
		plan_wants_body(&box->rules, s->now, m->date, m->size, flags->system)) {
		owe(p, m);
		if (m->uid <= box->haul_after)
			box->haul_after = m->uid - 1;
	}
	if (m->state & STORE_SHOWN) {
		if (m->shown.system != flags->system) {
			store_projection_init(&proj);
			proj.kind = STORE_RENAME;
			proj.message = m->number;
			proj.mailbox = m->shown_mailbox;
			proj.old_system = m->shown.system;
			proj.old_new = m->state & STORE_SHOWN_NEW;
			buf_add_str(&proj.base, m->base);
			batch_project(s, &proj);
			m->state &= ~(uint32_t)STORE_SHOWN_NEW;
		}
		mail_flags_copy(&m->shown, flags);
	}
	box->result.flagged++;
	store_message_put(s->store, m);
}

static void apply_item(struct pull *p, struct store_message *m, const struct item *it)
{
	struct sync *s = pull_sync(p);
	struct mail_flags flags;

	if (!store_message_by_uid(s->store, p->visit.box->rec.id, it->uid, m)) {
		if (it->whole && uids_has(&p->fresh, it->uid))
			apply_new(p, m, it);
		return;
	}
	mail_flags_init(&flags);
	item_flags(p, it, &flags);
	if (!mail_flags_equal(&flags, &m->flags))
		apply_flags(p, m, &flags);
	mail_flags_release(&flags);
}

static void apply_gone_message(struct pull *p, struct store_message *m)
{
	struct sync *s = pull_sync(p);
	struct store_projection proj;

	if (m->state & STORE_SHOWN) {
		store_projection_init(&proj);
		proj.kind = STORE_REMOVE;
		proj.message = m->number;
		proj.mailbox = m->shown_mailbox;
		proj.old_system = m->shown.system;
		proj.old_new = m->state & STORE_SHOWN_NEW;
		buf_add_str(&proj.base, m->base);
		batch_project(s, &proj);
	}
	p->visit.box->result.removed++;
	store_message_delete(s->store, m->number);
}

/* True where more is left. */
static bool apply_gone(struct pull *p, struct store_message *m, unsigned *limit)
{
	struct sync *s = pull_sync(p);

	while (!uids_is_empty(&p->gone)) {
		struct uid_range r = p->gone.ranges[0];
		uint32_t at = r.first - 1;

		while (*limit > 0 && store_message_next(s->store, p->visit.box->rec.id, at, m) &&
			m->uid <= r.last) {
			at = m->uid;
			apply_gone_message(p, m);
			--*limit;
		}
		if (*limit == 0) {
			if (at >= r.first)
				uids_remove_range(&p->gone, r.first, at);
			return true;
		}
		uids_remove_range(&p->gone, r.first, r.last);
	}
	return false;
}

/* S3: only answered ranges, without a gap. */
static void raise_lastseen(struct pull *p)
{
	struct box *box = p->visit.box;

	for (size_t i = 0; i < p->answered.count; i++) {
		struct uid_range r = p->answered.ranges[i];
		if (box->rec.lastseen < UID_MAX && r.first <= box->rec.lastseen + 1 &&
			r.last > box->rec.lastseen) {
			box->rec.lastseen = r.last;
			box->rec_changed = true;
		}
	}
}

/* Everything asked for is in the store: what the mailbox was at this SELECT may be noted (S7). */
static void pull_finish(struct pull *p)
{
	struct box *box = p->visit.box;
	struct sync *s = pull_sync(p);
	uint64_t known = store_mailbox_counts(s->store, box->rec.id).messages;
	bool whole = p->sel.has_exists && known == p->sel.exists && !box->rules.old_skip;
	bool modseq = p->condstore && !p->sel.nomodseq;

	box->rec.uidnext = p->sel.uidnext ? p->sel.uidnext : p->plan.uidnext;
	if (whole) {
		box->rec.messages = (uint32_t)known;
		box->rec.highestmodseq = modseq ? p->sel.highestmodseq : 0;
		box->rec.state |= STORE_MAILBOX_WHOLE;
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_SUSPECT;
	} else if (!box->rules.old_skip) {
		box->rec.state &= ~(uint32_t)STORE_MAILBOX_WHOLE;
		account_note(s, SYNC_WARNING, box->rec.name,
			"the server speaks of %lu messages and lists %llu; it is looked at again next time",
			(unsigned long)p->sel.exists, (unsigned long long)known);
	}
	box->rec.synced = s->now;
	box->rec_changed = true;
	if (box->pulls == 1)
		s->progress.mailboxes_done++;
	pull_leave(p, BOX_IDLE);
	box_pull_again(box);
}

static bool apply_reset(struct pull *p, unsigned limit)
{
	struct box *box = p->visit.box;

	if (reset_some(p->reset, limit))
		return true;
	reset_free(p->reset);
	p->reset = NULL;
	box->rec.uidvalidity = p->sel.uidvalidity;
	box->rec.uidnext = box->rec.messages = box->rec.lastseen = 0;
	box->rec.highestmodseq = 0;
	box->rec.state &= ~(uint32_t)STORE_MAILBOX_WHOLE;
	box->rec_changed = true;
	box->by_select = false;
	box->haul_after = 0;
	pull_leave(p, BOX_TO_PULL);
	return false;
}

bool pull_apply(struct pull *p, unsigned limit)
{
	struct sync *s = pull_sync(p);
	struct store_message m;
	bool more;

	if (p->state == PULL_RESETTING)
		return apply_reset(p, limit);
	if (!p->trusted || p->state == PULL_OVER)
		return false;
	store_message_init(&m);
	while (p->applied < p->count && limit > 0) {
		const struct item *it = &p->items[p->applied++];
		apply_item(p, &m, it);
		uids_remove_range(&p->fresh, it->uid, it->uid);
		s->inbox_items--;
		limit--;
	}
	more = p->applied < p->count || apply_gone(p, &m, &limit);
	store_message_release(&m);
	if (more)
		return true;
	p->applied = p->count = 0;
	buf_clear(&p->keywords);
	raise_lastseen(p);
	if (p->state == PULL_ANSWERED)
		pull_finish(p);
	return false;
}

bool pull_is_over(const struct pull *p)
{
	return p->state == PULL_OVER;
}

bool pull_wants_apply(const struct pull *p)
{
	return p->state == PULL_ANSWERED || p->state == PULL_RESETTING;
}

/* Its life */

/* What was not answered is asked again on the next connection; what was, is applied. */
static void pull_lost(struct visit *v)
{
	struct pull *p = (struct pull *)v;

	if (p->state == PULL_ASKING)
		pull_leave(p, BOX_TO_PULL);
}

static void pull_free(struct visit *v)
{
	struct pull *p = (struct pull *)v;

	for (struct ask *ask = p->asks, *next; ask; ask = next) {
		next = ask->next;
		free(ask);
	}
	reset_free(p->reset);
	free(p->items);
	buf_release(&p->keywords);
	uids_release(&p->fresh);
	uids_release(&p->answered);
	uids_release(&p->seen);
	uids_release(&p->gone);
	uids_release(&p->wanted);
	uids_release(&p->listed);
	free(p);
}

void pull_settle(struct pull *p)
{
	p->pending = false;
	if (p->state != PULL_OVER)
		return;
	free(p->items);
	p->items = NULL;
	p->size = 0;
	buf_shrink(&p->keywords, 0);
}

void pull_start(struct box *box, struct link *link)
{
	static const struct visit_ops ops = { pull_untagged, NULL, pull_lost, pull_free };
	struct sync *s = box->sync;
	struct pull *p = mem_new(sizeof *p);
	bool can_enable = imap_has(link->imap, IMAP_CAP_CONDSTORE) ||
			  imap_has(link->imap, IMAP_CAP_QRESYNC);
	struct plan_means means = {
		.qresync = imap_qresync(link->imap),
		.condstore = can_enable,
		.cold = s->options.cold,
		.old_skip = box->rules.old_skip,
		.no_examine = box->by_select || s->no_examine,
	};

	visit_add(&p->visit, &ops, box, link);
	buf_init(&p->keywords, 0);
	p->condstore = can_enable;
	p->plan = plan_pull(&box->rec, &box->told, &means);
	box->state = BOX_PULLING;
	box->pulls++;
	/* What LIST-STATUS told serves the first pull of a run only. */
	box->told.items = 0;
	account_progress(s, box->rec.name, false);
	pull_step(p);
}

struct pull **pull_link(struct pull *p)
{
	return &p->next;
}
