/* Push, uploads: APPEND, several messages in one where MULTIAPPEND is offered (R5, RFC 3502, RFC 7888).
 *
 * The target's UIDVALIDITY and UIDNEXT, as told in this session, are noted with the intent, durably, before the
 * first octet leaves (R10): whatever is ours lies above them. The commands of a batch fly together, each a
 * bounded number of octets. What is refused together is tried again one by one, but only after a look at what has
 * come, so that one bad message does not hold back the others and none is there twice.
 *
 * A message's UID comes from APPENDUID; else (Q71, Q72) a look above the old UIDNEXT finds it (push_look.c); else the next
 * pull recognizes it. Flags that a server has lost on the way are stored once more (Q8, Q22). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/point.h"
#include "sync/push_private.h"

#define BATCH_UPLOAD_OCTETS (8u << 20)
#define COMMAND_OCTETS (1u << 20)
#define COMMAND_MESSAGES 200
#define COMMAND_LINE 4000 /* without the last one, and without "{22+}" */

static bool joins(struct push *p, const struct store_action *a)
{
	return a->verb == QUEUE_APPEND && a->state == STORE_ACTION_WAITING && p->first.verb == QUEUE_APPEND &&
	       p->first.mailbox == a->mailbox && p->octets < BATCH_UPLOAD_OCTETS;
}

/* status: where the target stands, if LIST-STATUS has not told */

static bool knows_target(struct push *p)
{
	const uint32_t both = IMAP_HAS_UIDNEXT | IMAP_HAS_UIDVALIDITY;
	const struct plan_told *told = &p->to->told;

	if ((told->items & both) != both)
		return false;
	p->uidnext = told->uidnext;
	p->uidvalidity = told->uidvalidity;
	return true;
}

bool push_due_status(struct push *p)
{
	return push_open_count(p) > 0 && !knows_target(p);
}

void push_send_status(struct push *p)
{
	struct imap_cmd *cmd = push_command(p, IMAP_CMD_PLAIN);

	imap_cmd_add(cmd, "STATUS ");
	imap_cmd_add_string(cmd, slice_of(p->to->rec.wire), true);
	imap_cmd_add(cmd, " (MESSAGES UIDNEXT UIDVALIDITY)");
	push_send(p, cmd);
}

/* Refused: then it is not there, most likely; the command itself will tell. A server that tells no UIDNEXT
 * (Q89) is looked through from the last UID that we know. */
void push_recv_status(struct push *p)
{
	if (!knows_target(p) && !p->refused)
		p->uidnext = p->to->rec.lastseen + (p->to->rec.lastseen < UID_MAX);
}

/* intent */

/* The message that is sent, and its flags and date. */
struct upload {
	char *path;
	uint64_t size;
	int64_t date;
	struct mail_flags flags;
};

static void upload_release(struct upload *u)
{
	free(u->path);
	mail_flags_release(&u->flags);
}

static void write_piece(void *arg, const void *data, size_t len)
{
	fwrite(data, 1, len, arg);
}

/* R12: the body that we hold goes to outgoing/ like any other. */
static int put_out(struct sync *s, const struct store_message *m, char hex[65], struct err *err)
{
	FILE *file = tmpfile();
	uint64_t size;
	int rc = -1;

	if (!file)
		return err_set(err, ERR_RETRY, ERR_MESSAGE, "cannot make a temporary file");
	if (store_body_read(s->store, m->body, write_piece, file, err) < 0)
		goto out;
	if (fflush(file) != 0 || ferror(file)) {
		err_set(err, ERR_RETRY, ERR_MESSAGE, "cannot write a temporary file");
		goto out;
	}
	rewind(file);
	rc = queue_body_store(s->queue, fileno(file), 0, hex, &size, err);
out:
	fclose(file);
	return rc;
}

static int upload_init(struct push *p, const struct work *w, struct upload *u, struct err *err)
{
	struct sync *s = p->sync;
	struct store_action a;
	struct store_message m;
	char hex[65] = "";
	int fd, rc = -1;

	memset(u, 0, sizeof *u);
	mail_flags_init(&u->flags);
	store_action_init(&a);
	store_message_init(&m);
	if (!store_action_get(s->store, w->action, &a) || !store_message_get(s->store, w->message, &m)) {
		err_set(err, ERR_USER, ERR_MESSAGE, "it is not in the store any more");
		goto out;
	}
	if (a.verb == QUEUE_APPEND && a.text)
		snprintf(hex, sizeof hex, "%s", a.text);
	else if (put_out(s, &m, hex, err) < 0)
		goto out;
	fd = queue_body_open(s->account->state, hex, &u->size, err);
	if (fd < 0)
		goto out;
	close(fd);
	u->path = mem_printf("%s/outgoing/%s", s->account->state, hex);
	u->date = m.date;
	mail_flags_copy(&u->flags, &m.flags);
	rc = 0;
out:
	store_action_release(&a);
	store_message_release(&m);
	return rc;
}

static void recv_intent(struct push *p)
{
	push_note_intent(p);
}

/* append */

/* One command: these works, in this order. */
struct append_ask {
	struct push_ask base;
	struct push *push;
	size_t first, last; /* of the works that have its number */
	unsigned number;
};

static void take_uids(struct push *p, const struct append_ask *ask, const struct imap_resp *tagged)
{
	struct imap_uid_list uids = { 0 };
	uint64_t validity = 0;
	size_t n = 0, count = 0;
	bool told = imap_appenduid(tagged, &validity, &uids);
	const struct box *to = p->to;

	for (size_t i = ask->first; i <= ask->last; i++)
		count += p->works[i].command == ask->number;
	if (told && (uids.count != count || (to->rec.uidvalidity && to->rec.uidvalidity != validity)))
		told = false; /* not used until descriptors confirm it */
	if (told)
		p->uidvalidity = validity;
	for (size_t i = ask->first; i <= ask->last; i++) {
		struct work *w = &p->works[i];
		if (w->command != ask->number)
			continue;
		w->outcome = WORK_DONE;
		w->new_uid = told ? uids.uids[n++] : 0;
	}
	imap_uid_list_release(&uids);
}

static bool is_missing(enum imap_code code)
{
	return code == IMAP_TRYCREATE || code == IMAP_NONEXISTENT;
}

static void take_refusal(struct push *p, const struct append_ask *ask, const struct imap_resp *tagged)
{
	size_t count = 0;

	for (size_t i = ask->first; i <= ask->last; i++)
		count += p->works[i].command == ask->number;
	if (is_missing(tagged->cond.code))
		p->missing = true;
	else if (count > 1 && (p->refused_together == 0 || count < p->refused_together))
		p->refused_together = (unsigned)count;
	for (size_t i = ask->first; i <= ask->last; i++) {
		struct work *w = &p->works[i];
		if (w->command != ask->number)
			continue;
		push_refuse_work(w, tagged);
		w->together = count > 1;
		w->alone = w->alone || count > 1;
	}
}

static void on_appended(void *arg, const struct imap_resp *tagged)
{
	struct append_ask *ask = arg;

	/* A guess is judged by the next connection, for which this row waits (push_note_lost). */
	bool means = tagged->cond.guessed || push_answered(ask->push, tagged);

	if (means && tagged->cond.cond == IMAP_OK)
		take_uids(ask->push, ask, tagged);
	else if (means)
		take_refusal(ask->push, ask, tagged);
}

static void add_message(struct push *p, struct imap_cmd *cmd, const struct work *w, const struct upload *u)
{
	struct buf flags;
	char date[32];

	buf_init(&flags, 0);
	if (w->bare) {
		struct mail_flags system = { .system = u->flags.system & ~(uint32_t)MAIL_FORWARDED };
		mail_flags_print(&system, &flags);
	} else {
		mail_flags_print(&u->flags, &flags);
	}
	mail_date_print(u->date, 0, date);
	if (flags.len)
		imap_cmd_add(cmd, " (%s)", buf_str(&flags));
	imap_cmd_add(cmd, " \"%s\" ", date);
	imap_cmd_add_file(cmd, u->path, u->size, imap_utf8(p->link->imap));
	buf_release(&flags);
}

/* Does a message of this size go along with what the command has? */
static bool fits(struct push *p, const struct imap_cmd *cmd, uint64_t octets, size_t messages, uint64_t size)
{
	return push_has(p, IMAP_CAP_MULTIAPPEND) && octets + size <= COMMAND_OCTETS &&
	       messages < (p->sync->append_max ? p->sync->append_max : COMMAND_MESSAGES) && imap_cmd_len(cmd) < COMMAND_LINE;
}

static struct imap_cmd *begin_command(struct push *p, struct append_ask **out, size_t first)
{
	struct append_ask *ask = push_ask(p, sizeof *ask);
	struct imap_cmd *cmd = push_command_to(p, IMAP_CMD_PLAIN, on_appended, ask);

	ask->push = p;
	ask->first = ask->last = first;
	ask->number = ++p->commands;
	imap_cmd_utf8(cmd, imap_utf8(p->link->imap));
	imap_cmd_add(cmd, "APPEND ");
	imap_cmd_add_string(cmd, slice_of(p->to->rec.wire), true);
	*out = ask;
	return cmd;
}

static bool is_near_limit(struct push *p, uint64_t size)
{
	uint64_t limit = imap_append_limit(p->link->imap);

	return limit > 0 && size > limit - limit / 8;
}

/* What can be known to be refused is not sent. */
static bool prepare(struct push *p, struct work *w, struct upload *u)
{
	struct err err = { 0 };
	uint64_t limit = imap_append_limit(p->link->imap);

	if (upload_init(p, w, u, &err) < 0) {
		push_fail_work(w, "%s", err.text);
		return false;
	}
	if (limit > 0 && u->size > limit) {
		push_fail_work(w, "it has %llu octets, and the server takes at most %llu",
			(unsigned long long)u->size, (unsigned long long)limit);
		return false;
	}
	return true;
}

static void send_append(struct push *p)
{
	struct imap_cmd *cmd = NULL;
	struct append_ask *ask = NULL;
	uint64_t octets = 0;
	size_t messages = 0;

	p->missing = false;
	for (size_t i = 0; i < p->count && !p->sync->failed; i++) {
		struct work *w = &p->works[i];
		struct upload u;
		if (w->outcome != WORK_OPEN)
			continue;
		if (!prepare(p, w, &u)) {
			upload_release(&u);
			continue;
		}
		if (cmd && (w->alone || !fits(p, cmd, octets, messages, u.size))) {
			push_send(p, cmd);
			cmd = NULL;
		}
		if (!cmd) {
			cmd = begin_command(p, &ask, i);
			octets = messages = 0;
		}
		if (is_near_limit(p, u.size))
			imap_cmd_sync_literals(cmd);
		add_message(p, cmd, w, &u);
		w->command = ask->number;
		w->sent = true;
		w->refused = false;
		ask->last = i;
		octets += u.size;
		messages++;
		upload_release(&u);
		if (w->alone) {
			push_send(p, cmd);
			cmd = NULL;
		}
	}
	if (cmd)
		push_send(p, cmd);
	point("push.sent");
}

static bool has_keywords(struct push *p, const struct work *w)
{
	struct store_message m;
	bool has;

	store_message_init(&m);
	has = store_message_get(p->sync->store, w->message, &m) &&
	      (m.flags.count > 0 || (m.flags.system & MAIL_FORWARDED));
	store_message_release(&m);
	return has;
}

/* One message, refused: is there another way? */
static void judge_single(struct push *p, struct work *w)
{
	bool full = p->code == IMAP_OVERQUOTA || p->code == IMAP_TOOBIG || p->code == IMAP_LIMIT;

	if (!w->bare && !full && has_keywords(p, w)) {
		w->bare = true; /* imap4d, Zimbra (Q76): keywords in an APPEND are an error */
		return;
	}
	w->outcome = WORK_FAILED; /* for the reason that it has */
}

static bool any_refused(const struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_OPEN && p->works[i].refused)
			return true;
	return false;
}

/* Several were refused as one, and each of them was taken alone: it was their number. */
static void learn_number(struct push *p)
{
	bool all = p->refused_together > 0;

	for (size_t i = 0; i < p->count && all; i++)
		all = !p->works[i].alone || p->works[i].outcome == WORK_DONE;
	if (all)
		p->sync->append_max = p->refused_together / 2;
	p->sync->facts_changed = p->sync->facts_changed || all;
	p->refused_together = 0;
}

static void recv_append(struct push *p)
{
	bool together = false;

	/* Not everybody says [TRYCREATE]. */
	p->missing = p->missing || (any_refused(p) && (p->to->rec.state & STORE_MAILBOX_HERE));
	if (p->missing && !p->created) {
		push_go(p, "create");
		return;
	}
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome != WORK_OPEN || !w->refused)
			continue;
		if (w->together)
			together = true;
		else
			judge_single(p, w);
		w->together = false;
	}
	if (!together && push_open_count(p) == 0)
		learn_number(p);
	if (together)
		push_go(p, "look"); /* has any of them come in spite of it? Then, and only then, singles */
	else if (push_open_count(p) > 0)
		push_go(p, "append");
	else
		push_go(p, "find");
}

/* create: the target is not there (R12) */

static bool due_create(struct push *p)
{
	return p->missing;
}

static bool missing_policy(struct push *p, const char *words)
{
	const struct conf_account *account = p->sync->account;
	struct box *use;

	p->created = true;
	switch (account->on_missing_mailbox) {
	case CONF_MISSING_CREATE:
		return true;
	case CONF_MISSING_USE:
		use = box_by_name(p->sync, account->missing_use);
		if (use && use != p->to) {
			p->to = use;
			return true;
		}
		push_fail_open(p, "the mailbox is missing, and so is \"%s\"", account->missing_use);
		return false;
	case CONF_MISSING_ABORT:
		p->stop = true;
		break;
	case CONF_MISSING_SKIP:
		break;
	}
	push_fail_open(p, "the mailbox is missing on the server: %s", words);
	return false;
}

void push_send_create(struct push *p)
{
	struct imap_cmd *cmd;

	if (!missing_policy(p, push_words(p)) ||
		p->sync->account->on_missing_mailbox != CONF_MISSING_CREATE)
		return;
	cmd = push_command(p, IMAP_CMD_PLAIN);
	imap_cmd_utf8(cmd, imap_utf8(p->link->imap));
	imap_cmd_add(cmd, "CREATE ");
	imap_cmd_add_string(cmd, slice_of(p->to->rec.wire), true);
	push_send(p, cmd);
}

static void recv_create(struct push *p)
{
	p->missing = false;
	if (p->refused && p->code != IMAP_ALREADYEXISTS)
		push_fail_open(p, "the mailbox is missing, and the server did not make it: %s", push_words(p));
	for (size_t i = 0; i < p->count; i++)
		p->works[i].refused = false;
	if (push_open_count(p) == 0) {
		push_end(p);
		return;
	}
	push_box_made(p, p->to);
	p->to->told.items = 0;
	push_go(p, "status");
}

/* find: UIDs that the server did not tell */

static bool due_find(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_DONE && p->works[i].new_uid == 0)
			return true;
	return false;
}

static void recv_find(struct push *p)
{
	push_look_match(p, WORK_DONE);
}

/* Mail that may be it, rewritten by the server, is not sent again (R10, Q38, Q73). */
static void recv_look(struct push *p)
{
	push_look_match(p, WORK_DONE); /* what is there for certain comes first */
	push_look_match(p, WORK_OPEN);
	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		if (w->outcome != WORK_OPEN || !w->suspect)
			continue;
		w->outcome = WORK_UNKNOWN;
		free(w->reason);
		w->reason = mem_copy("it was refused together with others, and mail that may be it is there: "
			"look, then retry or drop it");
	}
	push_go(p, push_open_count(p) ? "append" : "find");
}

/* verify: flags that did not arrive */

bool push_verify_due(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_DONE && p->works[i].new_uid && (p->works[i].add.system ||
			p->works[i].add.count))
			return true;
	return false;
}

void push_verify_send(struct push *p)
{
	struct uids set;

	uids_init(&set);
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].outcome == WORK_DONE && p->works[i].new_uid)
			uids_add(&set, p->works[i].new_uid);
	p->stay = stay_open(p, p->to, true);
	push_send_set(p, IMAP_CMD_READ, "FETCH", &set, "(UID FLAGS)");
	uids_release(&set);
}

static bool lacks(const struct mail_flags *wanted, const struct mail_flags *has, struct mail_flags *missing)
{
	mail_flags_clear(missing);
	missing->system = wanted->system & ~has->system;
	for (size_t i = 0; i < wanted->count; i++)
		if (!mail_flags_has(has, slice_of(wanted->keywords[i])))
			mail_flags_add(missing, slice_of(wanted->keywords[i]));
	return missing->system || missing->count;
}

/* Leaves in each work's `remove` what is to be stored, of what the server keeps. */
void push_verify_judge(struct push *p)
{
	struct stay *t = p->stay;

	for (size_t i = 0; i < p->count; i++) {
		struct work *w = &p->works[i];
		const struct push_seen *seen;
		mail_flags_clear(&w->remove);
		if (w->outcome != WORK_DONE || !w->new_uid || !t->ok || t->read_only ||
			!(seen = stay_find(t, w->new_uid)) || !lacks(&w->add, &seen->flags, &w->remove))
			continue;
		push_keep_permanent(t, &w->remove);
	}
}

bool push_flags_due(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->works[i].remove.system || p->works[i].remove.count)
			return true;
	return false;
}

void push_flags_send(struct push *p)
{
	struct buf names;

	buf_init(&names, 0);
	for (size_t i = 0; i < p->count; i++) {
		const struct work *w = &p->works[i];
		struct imap_cmd *cmd;
		if (!w->remove.system && !w->remove.count)
			continue;
		buf_clear(&names);
		mail_flags_print(&w->remove, &names);
		cmd = push_command(p, IMAP_CMD_CHANGE);
		imap_cmd_add(cmd, "UID STORE %lu +FLAGS.SILENT (%s)", (unsigned long)w->new_uid, buf_str(&names));
		push_send(p, cmd);
	}
	buf_release(&names);
}

static const struct push_row rows[] = {
	{ "status", push_due_status, push_send_status, push_recv_status },
	{ "intent", push_due_open, NULL, recv_intent },
	{ "append", push_due_open, send_append, recv_append },
	{ "create", due_create, push_send_create, recv_create },
	{ "look", push_due_open, push_look_send, recv_look },
	{ "find", due_find, push_look_send, recv_find },
	{ "verify", push_verify_due, push_verify_send, push_verify_judge },
	{ "restore", push_flags_due, push_flags_send, NULL },
	{ NULL, NULL, NULL, NULL },
};
const struct push_kind push_append = { "push append", joins, rows, 1000 };
