/* Mailboxes and messages as they will be once the queue is done: what the store says, and on top of
 * it the lines that it has not taken up yet. The latest line decides, so they are walked backwards. */
#include <stdlib.h>
#include <string.h>

#include "queue.h"
#include "sync/sync.h"

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_edited(const struct actions *q, uint64_t action)
{
	return q->edited_count > 0 &&
		bsearch(&action, q->edited, q->edited_count, sizeof action, by_number);
}

/* Places */

static size_t place_of(const struct known_place *places, size_t size, uint64_t number, uint64_t action)
{
	size_t at = (size_t)((number * 2 + action) * 0x9e3779b97f4a7c15U >> 20) & (size - 1);

	while ((places[at].number || places[at].action) &&
		(places[at].number != number || places[at].action != action))
		at = (at + 1) & (size - 1);
	return at;
}

/* At most half of them are taken. */
static void grow_places(struct actions *q)
{
	size_t size = q->place_size ? 2 * q->place_size : 64;
	struct known_place *places = mem_new(size * sizeof *places);

	for (size_t i = 0; i < q->place_size; i++) {
		const struct known_place *p = &q->places[i];
		if (p->number || p->action)
			places[place_of(places, size, p->number, p->action)] = *p;
	}
	free(q->places);
	q->places = places;
	q->place_size = size;
}

static void set_place(struct actions *q, uint64_t number, uint64_t action, uint64_t by,
	const char *mailbox)
{
	struct known_place *p;

	if (2 * q->place_count >= q->place_size)
		grow_places(q);
	p = &q->places[place_of(q->places, q->place_size, number, action)];
	q->place_count += !p->number && !p->action;
	free(p->mailbox);
	*p = (struct known_place){ number, action, by, mailbox ? mem_copy(mailbox) : NULL };
}

/* NULL: no line speaks of it. */
static const struct known_place *find_place(const struct actions *q, const struct queue_message *m)
{
	const struct known_place *p;

	if (q->place_count == 0)
		return NULL;
	p = &q->places[place_of(q->places, q->place_size, m->number, m->action)];
	return p->number || p->action ? p : NULL;
}

/* Lines */

static void add_mailbox(struct actions *q, const struct queue_action *a, const char *to)
{
	q->mailboxes = mem_grow(q->mailboxes, q->mailbox_count + 1, sizeof *q->mailboxes);
	q->mailboxes[q->mailbox_count++] =
		(struct known_mailbox){ a->verb, mem_copy(a->mailbox), to ? mem_copy(to) : NULL,
			to ? q->delimiter : 0, UINT32_MAX };
}

/* What follows `above` in the name of it, or of a mailbox below it; NULL: neither. */
static const char *rest_of(const char *name, const char *above, char delimiter)
{
	size_t len = strlen(above);

	if (strncmp(name, above, len) != 0 || (name[len] && name[len] != delimiter))
		return NULL;
	return name + len;
}

/* What earlier lines have put into the mailbox goes along with it. */
static void rename_places(struct actions *q, const struct queue_action *a, const char *to)
{
	for (size_t i = 0; i < q->place_size; i++) {
		struct known_place *p = &q->places[i];
		const char *rest = p->mailbox ? rest_of(p->mailbox, a->mailbox, q->delimiter) : NULL;
		char *name = rest ? mem_printf("%s%s", to, rest) : NULL;
		if (!name)
			continue;
		free(p->mailbox);
		p->mailbox = name;
	}
}

static bool is_about_mailbox(uint32_t verb)
{
	return verb == QUEUE_CREATE || verb == QUEUE_DELETE || verb == QUEUE_RENAME;
}

void known_add(struct actions *q, const struct queue_action *a)
{
	const char *to = queue_action_get(a, "to");

	if (is_about_mailbox(a->verb) && (a->verb != QUEUE_RENAME || to))
		add_mailbox(q, a, to);
	if (a->verb == QUEUE_RENAME && to)
		rename_places(q, a, to);
	if (a->verb == QUEUE_APPEND && a->number)
		set_place(q, 0, a->number, a->number, a->mailbox);
	if ((a->verb == QUEUE_MOVE && to) || a->verb == QUEUE_EXPUNGE)
		for (size_t i = 0; i < a->message_count; i++)
			set_place(q, a->messages[i].number, a->messages[i].action, a->number,
				a->verb == QUEUE_MOVE ? to : NULL);
}

static bool is_waiting(const struct store_action *rec)
{
	return rec->state == STORE_ACTION_WAITING || rec->state == STORE_ACTION_INTENT;
}

static void add_waiting(struct actions *q, const struct queue_action *a, const struct store_action *rec)
{
	if (!is_about_mailbox(rec->verb) || !is_waiting(rec))
		return;
	known_add(q, a);
	if (rec->verb == QUEUE_RENAME && q->mailbox_count)
		q->mailboxes[q->mailbox_count - 1].last = rec->uidnext;
}

/* The file has the names as they were written, so that one rename may follow another. */
static void read_waiting(struct actions *q, struct queue *file)
{
	struct store_action rec;
	struct queue_action a;

	store_action_init(&rec);
	for (uint64_t after = 0; store_action_next(q->store, after, &rec);) {
		after = rec.number;
		if (!is_about_mailbox(rec.verb) || !is_waiting(&rec) ||
			queue_next(file, rec.number - 1, &a, NULL) <= 0)
			continue;
		if (a.number == rec.number)
			add_waiting(q, &a, &rec);
		queue_action_release(&a);
	}
	store_action_release(&rec);
}

static int read_lines(struct actions *q, struct queue *file, struct err *err)
{
	struct queue_action a;
	uint64_t after = q->folded;
	int rc;

	while ((rc = queue_next(file, after, &a, err)) != 0) {
		if (rc < 0 && err->scope != ERR_MESSAGE)
			return -1;
		after = a.number ? a.number : after;
		if (rc > 0)
			known_add(q, &a);
		queue_action_release(&a);
	}
	return 0;
}

void known_add_unchanged(struct actions *q, const struct queue_action *a)
{
	struct store_action rec;

	store_action_init(&rec);
	if (a->number > q->folded)
		known_add(q, a);
	else if (store_action_get(q->store, a->number, &rec))
		add_waiting(q, a, &rec);
	store_action_release(&rec);
}

int known_read(struct actions *q, struct err *err)
{
	struct queue *file = queue_open(q->account->state, store_id(q->store), true, err);
	int rc = -1;

	if (file) {
		read_waiting(q, file);
		rc = read_lines(q, file, err);
	}
	queue_close(file);
	return rc;
}

void known_release(struct actions *q)
{
	for (size_t i = 0; i < q->mailbox_count; i++) {
		free(q->mailboxes[i].name);
		free(q->mailboxes[i].to);
	}
	for (size_t i = 0; i < q->place_size; i++)
		free(q->places[i].mailbox);
	free(q->mailboxes);
	free(q->places);
	q->mailboxes = NULL;
	q->places = NULL;
	q->mailbox_count = q->place_count = q->place_size = 0;
}

/* Mailboxes */

/* Two mailboxes may have one name in the store: one that a waiting rename takes it from, and one that a later line
 * makes under it, which has a higher id. */
struct stored_name {
	char *name; /* NULL: it has none there */
	uint32_t above, most; /* the ids between which it is */
	bool made;  /* a line creates it */
	bool again; /* which one deletes before: its record stays, and what that has now is not in it */
};

/* What it was called before the line; false: that is no name of the store. */
static bool go_before(struct stored_name *n, const struct known_mailbox *k)
{
	const char *rest = k->to ? rest_of(n->name, k->to, k->delimiter) : NULL;
	bool renames = k->verb == QUEUE_RENAME;
	char *before;

	if (renames && rest) {
		before = mem_printf("%s%s", k->name, rest);
		free(n->name);
		n->name = before;
		n->most = k->last < n->most ? k->last : n->most;
		return true;
	}
	if (renames ? !rest_of(n->name, k->name, k->delimiter) : strcmp(n->name, k->name) != 0)
		return true;
	if (k->verb == QUEUE_CREATE) {
		n->made = true;
		return true;
	}
	if (renames && n->made && k->last != UINT32_MAX)
		n->above = k->last; /* made again, and known by now */
	n->again = n->made && !renames;
	return n->again;
}

static void find_stored(const struct actions *q, const char *name, struct stored_name *n)
{
	*n = (struct stored_name){ .name = mem_copy(name), .most = UINT32_MAX };
	for (size_t i = q->mailbox_count; i-- > 0;) {
		const struct known_mailbox *k = &q->mailboxes[i];
		if (go_before(n, k))
			continue;
		if (n->above > 0)
			return;
		free(n->name);
		n->name = NULL;
		return;
	}
}

static bool read_stored(const struct actions *q, const struct stored_name *n, struct store_mailbox *box)
{
	*box = (struct store_mailbox){ 0 };
	if (!n->name)
		return false;
	if (n->above == 0 && n->most == UINT32_MAX)
		return store_mailbox_find(q->store, n->name, box);
	for (uint32_t id = n->above; store_mailbox_next(q->store, id, box); store_mailbox_release(box)) {
		id = box->id;
		if (id > n->most)
			break;
		if (strcmp(box->name, n->name) == 0)
			return true;
	}
	store_mailbox_release(box);
	return false;
}

static bool makes_mailbox(const struct actions *q, const struct queue_action *a)
{
	struct store_action rec;
	bool makes;

	store_action_init(&rec);
	makes = a->verb == QUEUE_CREATE && (is_edited(q, a->number) ||
		(store_action_get(q->store, a->number, &rec) && is_waiting(&rec)));
	store_action_release(&rec);
	return makes;
}

void known_unmake(struct actions *q, const struct queue_action *a)
{
	struct queue_action gone = { .verb = QUEUE_DELETE, .mailbox = a->mailbox };
	struct store_mailbox box;

	if (!makes_mailbox(q, a) || !store_mailbox_find(q->store, a->mailbox, &box))
		return;
	if (box.state & STORE_MAILBOX_HERE)
		known_add(q, &gone);
	store_mailbox_release(&box);
}

bool known_mailbox(const struct actions *q, const char *name, struct store_mailbox *box)
{
	struct stored_name n;
	bool found;

	find_stored(q, name, &n);
	found = read_stored(q, &n, box);
	free(n.name);
	if (found && (n.again || ((box->state & STORE_MAILBOX_GONE) && !(box->state & STORE_MAILBOX_HERE)))) {
		store_mailbox_release(box);
		found = false;
	}
	return found || n.made;
}

/* Messages */

/* Makes @N a local number where the store has given one. -1: there is no such message. */
static int known_message(const struct actions *q, struct queue_message *m, struct err *err)
{
	uint64_t number;

	if (!m->action || find_place(q, m))
		return 0;
	number = is_edited(q, m->action) ? 0 : sync_made_by(q->store, m->action);
	if (number == 0)
		return err_set(err, ERR_USER, ERR_MESSAGE,
			"\"@%llu\" is no append in the queue; \"mailtide queue %s\" lists what is",
			(unsigned long long)m->action, q->account->name);
	*m = (struct queue_message){ .number = number };
	return 0;
}

/* Where the actions that the store has taken up leave a message. */
struct stored_end {
	uint32_t mailbox; /* 0: nowhere */
	uint64_t by;      /* the last that moves or expunges it; 0: none */
	bool brought;     /* one has moved it there, or made it */
	uint64_t unmade;  /* the one that makes it, and is edited; else 0 */
};

static bool makes(const struct actions *q, const struct store_action *a, uint64_t message)
{
	struct store_part p;

	return a->verb == QUEUE_APPEND || (store_part_get(q->store, a->number, message, &p) &&
		(p.state & (STORE_PART_MADE | STORE_PART_UPLOAD)));
}

static void add_to_end(const struct store_action *a, struct stored_end *end)
{
	if (a->verb != QUEUE_MOVE && a->verb != QUEUE_EXPUNGE)
		return;
	end->by = a->number;
	end->mailbox = a->verb == QUEUE_MOVE ? a->to : 0;
	end->brought = end->brought || a->verb == QUEUE_MOVE;
}

static struct stored_end find_end(const struct actions *q, const struct store_message *at)
{
	struct stored_end end = { .mailbox = at->mailbox, .brought = at->state & STORE_HERE };
	struct store_action a;
	uint64_t action = 0;

	store_action_init(&a);
	while (store_pending_next(q->store, at->number, action, &action) &&
		(q->before == 0 || action < q->before)) {
		if (!store_action_get(q->store, action, &a))
			continue;
		if (!is_edited(q, action))
			add_to_end(&a, &end);
		else if (makes(q, &a, at->number))
			end.unmade = action;
	}
	store_action_release(&a);
	return end;
}

static int elsewhere(const struct queue_message *m, const char *mailbox, const char *other,
	struct err *err)
{
	char name[24];

	queue_name_message(m, name);
	if (!other)
		return err_set(err, ERR_USER, ERR_MESSAGE, "a queued action expunges %s", name);
	return err_set(err, ERR_USER, ERR_MESSAGE, "%s is not in \"%.100s\", but in \"%.100s\"", name,
		mailbox, other);
}

static int check_place(const struct known_place *place, const struct queue_message *m,
	const struct queue_action *a, struct err *err)
{
	if (place->mailbox && strcmp(place->mailbox, a->mailbox) == 0)
		return 0;
	return elsewhere(m, a->mailbox, place->mailbox, err);
}

static int stored_elsewhere(const struct actions *q, const struct queue_message *m,
	const char *mailbox, uint32_t id, struct err *err)
{
	struct store_mailbox other;

	if (id == 0 || !store_mailbox_get(q->store, id, &other))
		return elsewhere(m, mailbox, NULL, err);
	elsewhere(m, mailbox, other.name, err);
	store_mailbox_release(&other);
	return -1;
}

/* A mailbox that is deleted and made again has its record all the time: what is brought there is in it, not what
 * it holds now. */
static bool is_in_new(const struct actions *q, uint32_t id, const char *mailbox)
{
	struct store_mailbox old;
	struct stored_name n;
	bool is;

	find_stored(q, mailbox, &n);
	is = read_stored(q, &n, &old) && old.id == id;
	store_mailbox_release(&old);
	free(n.name);
	return is;
}

int known_stored_in(const struct actions *q, const struct store_message *at, struct queue_message *m,
	const struct queue_action *a, const struct store_mailbox *box, struct err *err)
{
	const struct known_place *place = find_place(q, m);
	bool agreed = box->id && at->mailbox == box->id;
	struct stored_end end;

	m->uid = agreed ? at->uid : 0;
	m->uidvalidity = m->uid ? box->uidvalidity : 0;
	if (a->verb == QUEUE_FETCH && agreed)
		return 0;
	end = find_end(q, at);
	if (end.unmade)
		return err_set(err, ERR_USER, ERR_MESSAGE, "m%llu is the message of action %llu, which is changed "
			"or dropped", (unsigned long long)m->number, (unsigned long long)end.unmade);
	if (place && (place->by == 0 || place->by > end.by))
		return check_place(place, m, a, err);
	if (!box->id && end.brought && is_in_new(q, end.mailbox, a->mailbox))
		return 0;
	return end.mailbox && end.mailbox == box->id ? 0 : stored_elsewhere(q, m, a->mailbox, end.mailbox, err);
}

int known_message_in(const struct actions *q, struct queue_message *m, const struct queue_action *a,
	const struct store_mailbox *box, struct err *err)
{
	struct store_message at;
	int rc;

	if (known_message(q, m, err) < 0)
		return -1;
	if (m->action)
		return check_place(find_place(q, m), m, a, err);
	store_message_init(&at);
	if (store_message_get(q->store, m->number, &at))
		rc = known_stored_in(q, &at, m, a, box, err);
	else
		rc = err_set(err, ERR_USER, ERR_MESSAGE,
			"there is no message m%llu; \"mailtide ls %s MAILBOX\" shows their numbers",
			(unsigned long long)m->number, q->account->name);
	store_message_release(&at);
	return rc;
}
