/* Fold, verb by verb: what a line means for the records. Whatever can be told without the server is told here:
 * a line that cannot be done gets a record that says why. */
#include <stdlib.h>
#include <string.h>

#include "sync/actions.h"

/* They go into one line to the server, which has at most 8,000 octets (C6). */
#define FLAGS_OCTETS 2000

void fold_refuse(struct sync *s, uint64_t number, uint32_t verb, enum store_action_state state,
	const char *reason)
{
	struct store_action a;

	store_action_init(&a);
	a.number = number;
	a.verb = verb;
	a.state = state;
	a.reason = mem_copy(reason);
	store_action_put(s->store, &a);
	account_note(s, SYNC_FAILURE, NULL, "action %llu is %s: %s", (unsigned long long)number,
		state == STORE_ACTION_HELD ? "held" : "refused", reason);
	store_action_release(&a);
}

/* Where mail goes to. One that nobody knows is made, or not, as on-missing-mailbox says. */
static struct box *target(struct sync *s, uint64_t action, const char *name)
{
	struct box *box = name && *name ? fold_box_named(s, action, name) : NULL;

	return box || !name || !*name ? box : box_here(s, name);
}

/* A line that was made for another store: its local number is anybody's here, its UID is not. */
static bool is_foreign(const struct sync *s, const struct queue_action *line)
{
	return line->number <= s->queue_foreign_to;
}

static uint64_t number_by_uid(struct sync *s, const struct queue_message *qm, const struct box *box)
{
	struct store_message m;
	uint64_t number = 0;

	store_message_init(&m);
	if (qm->uid && qm->uidvalidity == box->rec.uidvalidity &&
		store_message_by_uid(s->store, box->rec.id, qm->uid, &m))
		number = m.number;
	store_message_release(&m);
	return number;
}

/* 0: nobody knows. */
static uint64_t number_of(struct sync *s, const struct queue_action *line, const struct queue_message *qm,
	const struct box *box)
{
	if (qm->action)
		return sync_made_by(s->store, qm->action);
	return is_foreign(s, line) ? number_by_uid(s, qm, box) : qm->number;
}

/* Is it the message that the user saw (R17, S2), and where he saw it? NULL, or why not. */
static const char *check(struct sync *s, const struct store_message *m, const struct queue_message *qm,
	const struct box *box, uint64_t action)
{
	struct shown w;
	const char *why = NULL;

	shown_init(&w);
	show_until(s->store, m, action, &w);
	if (w.mailbox != box->rec.id || !w.visible)
		why = "a message of it is not in that mailbox (any more)";
	else if (qm->uid && m->mailbox == box->rec.id && qm->uidvalidity &&
		 (qm->uidvalidity != box->rec.uidvalidity || (m->uid && m->uid != qm->uid)))
		why = "UIDVALIDITY changed since it was queued";
	shown_release(&w);
	return why;
}

static void put_part(struct sync *s, const struct store_action *a, const struct store_message *m,
	uint64_t made, uint32_t state)
{
	const struct box *box = box_by_id(s, m->mailbox);
	struct store_part p = {
		.action = a->number,
		.message = m->number,
		.state = state,
		.uid = m->uid,
		.uidvalidity = box ? box->rec.uidvalidity : 0,
		.mailbox = m->mailbox,
		.made = made,
	};

	store_part_put(s->store, &p);
}

/* The copy is a message of its own from now on, with the flags that are shown. */
static uint64_t make_copy(struct sync *s, const struct store_action *a, const struct store_message *m)
{
	struct store_message copy;
	struct shown w;
	uint64_t number;

	store_message_init(&copy);
	shown_init(&w);
	show_until(s->store, m, a->number, &w);
	copy.mailbox = a->to;
	copy.state = STORE_HERE;
	mail_flags_copy(&copy.flags, &w.flags);
	copy.date = m->date;
	copy.size = m->size;
	copy.body = m->body;
	copy.emailid = m->emailid ? mem_copy(m->emailid) : NULL;
	memcpy(copy.message_id, m->message_id, sizeof copy.message_id);
	store_message_put(s->store, &copy);
	put_part(s, a, &copy, 0, STORE_PART_MADE);
	number = copy.number;
	shown_release(&w);
	store_message_release(&copy);
	return number;
}

static void take_message(struct sync *s, const struct store_action *a, struct store_message *m)
{
	uint64_t made = a->verb == QUEUE_COPY ? make_copy(s, a, m) : 0;

	put_part(s, a, m, made, 0);
	if (made)
		show_number(s, made);
	show_added(s, m, a);
	store_message_put(s->store, m);
}

/* All that it names, or none. */
static const char *check_messages(struct sync *s, const struct queue_action *line, const struct box *box)
{
	struct store_message m;
	const char *why = NULL;

	store_message_init(&m);
	for (size_t i = 0; i < line->message_count && !why; i++) {
		const struct queue_message *qm = &line->messages[i];
		uint64_t number = number_of(s, line, qm, box);
		if (number == 0)
			why = qm->action ? "the append that it names made no message" :
				"it was made for another store, and its UID is no message of this one";
		else if (store_message_get(s->store, number, &m))
			why = check(s, &m, qm, box, line->number);
		else if ((line->verb == QUEUE_COPY || line->verb == QUEUE_MOVE) &&
			 s->account->on_message_gone == CONF_GONE_ABORT)
			why = "the message is gone from the server";
	}
	store_message_release(&m);
	return why;
}

static const char *take_messages(struct sync *s, const struct queue_action *line, struct store_action *a,
	const struct box *box)
{
	const char *why = check_messages(s, line, box);
	struct store_message m;

	if (why)
		return why;
	store_action_put(s->store, a);
	store_message_init(&m);
	for (size_t i = 0; i < line->message_count; i++) {
		struct store_part known;
		uint64_t number = number_of(s, line, &line->messages[i], box);
		if (!store_part_get(s->store, a->number, number, &known) &&
			store_message_get(s->store, number, &m))
			take_message(s, a, &m);
	}
	store_message_release(&m);
	return NULL;
}

/* A deletion that the user made follows his policy (M7): EXPUNGE may take a label only (Q9). What is in the trash already goes for good. */
static const char *delete_by_policy(struct sync *s, struct store_action *a)
{
	const struct conf_account *account = s->account;
	struct box *to;

	if (!(a->add.system & MAIL_DELETED) || account->on_deleted == CONF_DELETED_FLAG)
		return NULL;
	a->verb = QUEUE_EXPUNGE;
	if (account->on_deleted == CONF_DELETED_EXPUNGE)
		return NULL;
	to = account->deleted_to[0] == '\\' ? box_with_role(s, account->deleted_to)
					    : target(s, a->number, account->deleted_to);
	if (!to)
		return "no mailbox has the task that on-deleted names";
	if (to->rec.id == a->mailbox)
		return NULL;
	a->verb = QUEUE_MOVE;
	a->to = to->rec.id;
	a->add.system &= ~(uint32_t)MAIL_DELETED;
	return NULL;
}

/* RFC 9051: a keyword is an atom. Some servers make keywords with `]` (Q59). */
static bool is_flag(struct slice word)
{
	for (size_t i = 0; i < word.len; i++) {
		unsigned char c = (unsigned char)word.data[i];
		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"", c) || (c == '\\' && i > 0))
			return false;
	}
	return word.len > 1 || (word.len == 1 && word.data[0] != '\\');
}

const char *fold_flags(const struct queue_action *line, const char *key, struct mail_flags *flags)
{
	const char *at = queue_action_get(line, key);

	if (at && strlen(at) > FLAGS_OCTETS)
		return "it names too many flags";
	while (at && *(at += strspn(at, " "))) {
		struct slice word = { at, strcspn(at, " ") };
		if (!is_flag(word))
			return "one of its flags is none that can be sent to a server";
		mail_flags_add(flags, word);
		at += word.len;
	}
	return NULL;
}

static const char *take_flag(struct sync *s, const struct queue_action *line, struct store_action *a,
	const struct box *box)
{
	const char *why = fold_flags(line, "add", &a->add);

	if (!why)
		why = fold_flags(line, "remove", &a->remove);
	if (why)
		return why;
	if (a->add.system == 0 && a->add.count == 0 && a->remove.system == 0 && a->remove.count == 0)
		return "no flag is named that IMAP keeps";
	why = delete_by_policy(s, a);
	return why ? why : take_messages(s, line, a, box);
}

static const char *take_copy(struct sync *s, const struct queue_action *line, struct store_action *a,
	const struct box *box)
{
	struct box *to = target(s, line->number, queue_action_get(line, "to"));

	if (!to)
		return "the mailbox to copy to is not named (\"to=\")";
	if (to == box && a->verb == QUEUE_MOVE)
		return "a message is not moved to the mailbox that it is in";
	a->to = to->rec.id;
	return take_messages(s, line, a, box);
}

/* `mailtide fetch`: from now on the bodies are wanted, whatever the rules say (S10). That is all there is to
 * do for the action; the haul brings them. */
static const char *take_fetch(struct sync *s, const struct queue_action *line, struct store_action *a,
	struct box *box)
{
	struct store_message m;

	(void)a;
	store_message_init(&m);
	for (size_t i = 0; i < line->message_count; i++) {
		if (!store_message_get(s->store, number_of(s, line, &line->messages[i], box), &m) || m.body ||
			m.uid == 0 || m.mailbox != box->rec.id)
			continue;
		m.state |= STORE_WANTED;
		box_owe(box, &m);
		if (m.uid <= box->haul_after && (box->haul_again == 0 || m.uid < box->haul_again))
			box->haul_again = m.uid;
		store_message_put(s->store, &m);
		box->chosen = box->chosen || box->listed;
	}
	store_message_release(&m);
	return NULL;
}

static const char *take_rename(struct sync *s, const struct queue_action *line, struct store_action *a,
	const struct box *box)
{
	const char *to = queue_action_get(line, "to");
	struct box *taken = to && *to ? fold_box_named(s, line->number, to) : NULL;

	if (!to || !*to)
		return "the new name is missing (\"to=\")";
	if (strcmp(box->rec.name, "INBOX") == 0)
		return "INBOX cannot be renamed";
	if (taken && taken != box && !(taken->rec.state & STORE_MAILBOX_HERE))
		return "there is a mailbox of that name";
	a->uidnext = fold_names_last(s);
	fold_names_add(s, line->number, box, to, a->uidnext);
	a->text = mem_copy(to);
	store_action_put(s->store, a);
	return NULL;
}

static bool is_deleted_before(struct sync *s, const struct store_action *deletion)
{
	struct store_action a;
	bool is = false;

	store_action_init(&a);
	for (uint64_t at = 0; !is && store_action_next(s->store, at, &a) && a.number < deletion->number; at = a.number)
		is = a.verb == QUEUE_DELETE && a.mailbox == deletion->mailbox &&
		     (a.state == STORE_ACTION_WAITING || a.state == STORE_ACTION_INTENT);
	store_action_release(&a);
	return is;
}

static const char *take_box(struct sync *s, const struct queue_action *line, struct store_action *a,
	const struct box *box)
{
	if (line->verb == QUEUE_DELETE) {
		/* Some servers would do it (Q78). */
		if (strcmp(box->rec.name, "INBOX") == 0)
			return "INBOX cannot be deleted";
		/* What the user saw (R12): nothing, of one that is deleted and made again before. */
		if (!is_deleted_before(s, a)) {
			a->uidvalidity = box->rec.uidvalidity;
			a->uidnext = box->rec.uidnext ? box->rec.uidnext
						      : box->rec.lastseen + (box->rec.lastseen < UID_MAX);
		}
		a->options = queue_action_get(line, "force") ? FOLD_FORCE : 0;
	}
	store_action_put(s->store, a);
	return NULL;
}

static const char *take(struct sync *s, const struct queue_action *line, struct store_action *a,
	struct err *err)
{
	bool makes = line->verb == QUEUE_CREATE || line->verb == QUEUE_APPEND ||
		     line->verb == QUEUE_SUBSCRIBE;
	struct box *box = makes ? target(s, line->number, line->mailbox) :
				  fold_box_named(s, line->number, line->mailbox);

	if (!box)
		return "there is no such mailbox";
	a->mailbox = box->rec.id;
	switch (line->verb) {
	case QUEUE_FLAG:
		return take_flag(s, line, a, box);
	case QUEUE_COPY:
	case QUEUE_MOVE:
		return take_copy(s, line, a, box);
	case QUEUE_EXPUNGE:
		return take_messages(s, line, a, box);
	case QUEUE_FETCH:
		return take_fetch(s, line, a, box);
	case QUEUE_APPEND:
		return fold_append(s, line, a, err);
	case QUEUE_RENAME:
		return take_rename(s, line, a, box);
	default:
		return take_box(s, line, a, box);
	}
}

void fold_action(struct sync *s, const struct queue_action *line)
{
	struct store_action a;
	struct err err = { 0 };
	const char *why;

	store_action_init(&a);
	a.number = line->number;
	a.verb = (uint32_t)line->verb;
	a.state = STORE_ACTION_WAITING;
	why = take(s, line, &a, &err);
	if (why)
		fold_refuse(s, line->number, (uint32_t)line->verb, STORE_ACTION_FAILED, why);
	else if (line->verb != QUEUE_FETCH && store_part_count(s->store, a.number) == 0 &&
		 line->message_count > 0)
		store_action_delete(s->store, a.number); /* all are gone already */
	store_action_release(&a);
}
