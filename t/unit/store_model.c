/* Random operations on mailboxes, messages, bodies, actions and their parts, against a model in plain
 * arrays; at random the transaction is committed, aborted, or the store opened again. */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/tap.h"
#include "store/store.h"

#define MESSAGES 300
#define MAILBOXES 4
#define BODIES 40
#define UIDS 200
#define SIZES 6
#define SIZE_STEP 777
#define ROUNDS 400
#define ACTIONS 20
#define PART_MESSAGES 10
#define PART_STATES 5

struct model_message {
	bool there;
	uint32_t mailbox, uid, state, system;
	uint64_t size, body;
	int base; /* 0 none */
	int date; /* place in `dates` */
	int emailid; /* place in `emailids` */
	uint8_t message_id; /* all its octets */
	bool label;
};
struct model_action {
	uint32_t state; /* 0: not there */
	uint32_t attempts;
	uint32_t parts[PART_MESSAGES + 1]; /* by message: 0 not there, else 1 + place in `part_states` */
};
static struct model {
	uint64_t last;
	struct model_action actions[ACTIONS + 1]; /* by number */
	struct model_message messages[MESSAGES + 1]; /* by number */
	uint64_t bodies[BODIES];                     /* by seed; 0 not there */
} now, before;

static char state[] = "/tmp/store-model.XXXXXX";
static uint32_t mailboxes[MAILBOXES];
/* Few, so that many messages are alike. */
static const int64_t dates[] = { 0, 1, -1, INT64_MAX, INT64_MIN };
#define DATES ((int)(sizeof dates / sizeof *dates))
#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255 X63 X63 X63 X63 "xxx"
static const char *const emailids[] = { NULL, "M1", "M12", "M", X255, X255 "x", X255 "y", "" };
#define EMAILIDS ((int)(sizeof emailids / sizeof *emailids))
static const uint32_t part_states[PART_STATES] = { 0, STORE_PART_FAILED, STORE_PART_COPIED,
	STORE_PART_LOCAL, STORE_PART_FAILED | STORE_PART_SUSPECT };
static uint64_t random_state = 88172645463325252u;

static uint32_t pick(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % below;
}

static void on_commit(void *arg, const struct err *err)
{
	*(bool *)arg = err->cls == ERR_NONE;
}

static bool commit(struct store *s)
{
	bool good = false;
	store_commit(s, on_commit, &good);
	return good;
}

static void base_name(int base, char out[32])
{
	snprintf(out, 32, "17%05d.m_x.host", base);
}

static size_t body_octets(uint32_t seed, uint8_t *octets, uint8_t hash[MAIL_HASH_SIZE])
{
	size_t len = 100 + seed * 371;
	for (size_t i = 0; i < len; i++)
		octets[i] = (uint8_t)(i * 31 + seed);
	SHA256(octets, len, hash);
	return len;
}

static void put_body(struct store *s, uint32_t seed)
{
	static uint8_t octets[100 + BODIES * 371];
	uint8_t hash[MAIL_HASH_SIZE];
	size_t len = body_octets(seed, octets, hash);
	struct store_body *b = store_body_new(s);
	store_body_write(b, octets, len);
	if (pick(2) == 0)
		store_body_flush(b);
	uint64_t body = store_body_finish(b, hash, NULL);
	if (now.bodies[seed] != 0 && now.bodies[seed] != body)
		ok(0, "body %u has a second number", seed);
	now.bodies[seed] = body;
}

static bool uid_is_free(uint32_t mailbox, uint32_t uid)
{
	for (uint64_t i = 1; i <= now.last; i++)
		if (now.messages[i].there && now.messages[i].mailbox == mailbox &&
		    now.messages[i].uid == uid)
			return false;
	return true;
}

static bool base_is_free(int base)
{
	for (uint64_t i = 1; i <= now.last; i++)
		if (now.messages[i].there && now.messages[i].base == base)
			return false;
	return true;
}

static void change(struct model_message *m)
{
	uint32_t what = pick(12), uid = 1 + pick(UIDS), mailbox = mailboxes[pick(MAILBOXES)];
	int base = (int)pick(1000);
	if (what == 0)
		m->uid = 0;
	if (what == 1 && uid_is_free(mailbox, uid)) {
		m->mailbox = mailbox;
		m->uid = uid;
		m->state &= ~(uint32_t)(STORE_ORPHAN | STORE_HERE);
	}
	if (what == 2)
		m->state ^= 1u << pick(7);
	if (what == 3)
		m->system = pick(64);
	if (what == 4 && (base == 0 || base_is_free(base)))
		m->base = base;
	if (what == 5)
		m->body = now.bodies[pick(BODIES)];
	if (what == 6)
		m->size = pick(SIZES) * SIZE_STEP;
	if (what == 7 || what == 11) {
		m->state |= what == 7 ? STORE_ORPHAN : STORE_HERE;
		m->uid = 0;
		m->mailbox = pick(4) == 0 ? mailbox : m->mailbox;
	}
	if (what == 8)
		m->date = (int)pick(DATES);
	if (what == 9)
		m->emailid = (int)pick(EMAILIDS);
	if (what == 10)
		m->message_id = (uint8_t)pick(3);
	if (pick(4) == 0)
		m->label = !m->label;
}

static void put_message(struct store *s, uint64_t number)
{
	struct model_message *m = &now.messages[number];
	struct store_message out;
	store_message_init(&out);
	out.number = number <= now.last ? number : 0;
	out.mailbox = m->mailbox;
	out.uid = m->uid;
	out.state = m->state;
	out.flags.system = m->system;
	out.shown.system = MAIL_SEEN;
	out.size = m->size;
	out.body = m->body;
	out.date = dates[m->date];
	out.emailid = m->emailid != 0 ? mem_copy(emailids[m->emailid]) : NULL;
	memset(out.message_id, m->message_id, sizeof out.message_id);
	if (m->label)
		mail_flags_add(&out.flags, slice_of(number % 2 ? "$Label1" : "other"));
	char base[32];
	base_name(m->base, base);
	out.base = m->base != 0 ? mem_copy(base) : NULL;
	store_message_put(s, &out);
	m->there = true;
	if (out.number != number)
		ok(0, "number %llu, want %llu", (unsigned long long)out.number,
			(unsigned long long)number);
	if (number > now.last)
		now.last = number;
	store_message_release(&out);
}

static void put_action(struct store *s, uint64_t number)
{
	struct model_action *m = &now.actions[number];
	struct store_action a;
	store_action_init(&a);
	m->state = 1 + pick(STORE_ACTION_LOCAL);
	m->attempts = pick(3);
	a.number = number;
	a.state = (enum store_action_state)m->state;
	a.attempts = m->attempts;
	store_action_put(s, &a);
	store_action_release(&a);
}

static void operate_on_actions(struct store *s)
{
	uint64_t number = 1 + pick(ACTIONS), message = 1 + pick(PART_MESSAGES);
	struct model_action *m = &now.actions[number];
	uint32_t what = pick(8);
	if (what == 0) {
		store_action_delete(s, number);
		*m = (struct model_action){ 0 };
	} else if (what == 1) {
		store_part_delete(s, number, message);
		m->parts[message] = 0;
	} else if (what < 4) {
		put_action(s, number);
	} else {
		struct store_part p = { .action = number, .message = message, .uid = pick(3) };
		m->parts[message] = 1 + pick(PART_STATES);
		p.state = part_states[m->parts[message] - 1];
		store_part_put(s, &p);
	}
}

static void operate(struct store *s)
{
	uint32_t what = pick(10);
	operate_on_actions(s);
	if (what == 0)
		put_body(s, pick(BODIES));
	if (what < 3 && now.last < MESSAGES) {
		now.messages[now.last + 1].mailbox = mailboxes[pick(MAILBOXES)];
		change(&now.messages[now.last + 1]);
		put_message(s, now.last + 1);
		return;
	}
	uint64_t number = now.last > 0 ? 1 + pick((uint32_t)now.last) : 0;
	if (number == 0)
		return;
	if (what == 3) {
		store_message_delete(s, number);
		now.messages[number].there = false;
		return;
	}
	if (now.messages[number].there) {
		change(&now.messages[number]);
		put_message(s, number);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same(const struct model_message *m, const struct store_message *got)
{
	char base[32];
	uint8_t message_id[sizeof got->message_id];
	base_name(m->base, base);
	memset(message_id, m->message_id, sizeof message_id);
	return got->mailbox == m->mailbox && got->uid == m->uid && got->state == m->state &&
		got->flags.system == m->system && got->size == m->size && got->body == m->body &&
		got->flags.count == m->label && got->date == dates[m->date] &&
		same_text(got->emailid, emailids[m->emailid]) &&
		memcmp(got->message_id, message_id, sizeof message_id) == 0 &&
		same_text(got->base, m->base != 0 ? base : NULL);
}

static int check_messages(struct store *s)
{
	struct store_message got;
	store_message_init(&got);
	int wrong = 0;
	for (uint64_t i = 1; i <= MESSAGES; i++) {
		const struct model_message *m = &now.messages[i];
		char base[32];
		base_name(m->base, base);
		if (store_message_get(s, i, &got) != m->there || (m->there && !same(m, &got)))
			wrong++;
		if (m->there && m->uid != 0 &&
		    (!store_message_by_uid(s, m->mailbox, m->uid, &got) || got.number != i))
			wrong++;
		if (m->there && m->base != 0 &&
		    (!store_message_by_base(s, base, &got) || got.number != i))
			wrong++;
	}
	store_message_release(&got);
	return wrong;
}

/* The walks over what may be the same mail, each against a look at every message of the model. */
static int check_alike(struct store *s, int date, uint64_t size)
{
	struct store_message got;
	uint64_t after = 0;
	int wrong = 0;
	store_message_init(&got);
	for (uint64_t i = 1; i <= now.last; i++) {
		const struct model_message *m = &now.messages[i];
		if (!m->there || m->date != date || m->size != size)
			continue;
		wrong += !store_alike_next(s, dates[date], size, after, &got) || got.number != i ||
			!same(m, &got);
		after = i;
	}
	wrong += store_alike_next(s, dates[date], size, after, &got);
	store_message_release(&got);
	return wrong;
}

static int check_emailid(struct store *s, int emailid)
{
	struct store_message got;
	uint64_t after = 0;
	int wrong = 0;
	store_message_init(&got);
	for (uint64_t i = 1; i <= now.last; i++) {
		if (!now.messages[i].there || now.messages[i].emailid != emailid)
			continue;
		wrong += !store_emailid_next(s, emailids[emailid], after, &got) || got.number != i;
		after = i;
	}
	wrong += store_emailid_next(s, emailids[emailid], after, &got);
	store_message_release(&got);
	return wrong;
}

/* Orphans or messages made here. */
static int check_apart(struct store *s, uint32_t mailbox, uint32_t apart)
{
	bool (*next)(struct store *, uint32_t, uint64_t, struct store_message *) =
		apart == STORE_HERE ? store_here_next : store_orphan_next;
	struct store_message got;
	uint64_t after = 0;
	int wrong = 0;
	store_message_init(&got);
	for (uint64_t i = 1; i <= now.last; i++) {
		const struct model_message *m = &now.messages[i];
		if (!m->there || m->mailbox != mailbox || (m->state & apart) == 0)
			continue;
		wrong += !next(s, mailbox, after, &got) || got.number != i;
		after = i;
	}
	wrong += next(s, mailbox, after, &got);
	store_message_release(&got);
	return wrong;
}

/* What the model says of a mailbox, and the walks and counts of the store. */
static int check_mailbox(struct store *s, uint32_t mailbox)
{
	struct store_counts want = { 0 }, got = store_mailbox_counts(s, mailbox);
	uint64_t with_uid = 0, walked = 0, owed = 0, octets = 0, size;
	uint32_t half = 1 + pick(UIDS), below = 0, uid = 0;
	for (uint64_t i = 1; i <= now.last; i++) {
		const struct model_message *m = &now.messages[i];
		if (!m->there || m->mailbox != mailbox ||
		    (m->state & (STORE_ORPHAN | STORE_HERE)) != 0)
			continue;
		bool is_owed = (m->state & STORE_BODY_OWED) != 0 && m->uid != 0;
		want.messages++;
		want.bodies += m->body != 0;
		want.owed += is_owed;
		want.owed_octets += is_owed ? m->size : 0;
		want.unseen += (m->system & MAIL_SEEN) == 0;
		with_uid += m->uid != 0;
		below += m->uid != 0 && m->uid <= half;
	}
	struct store_message got_message;
	struct uids known;
	store_message_init(&got_message);
	uids_init(&known);
	store_known_uids(s, mailbox, &known);
	int wrong = uids_count(&known) != with_uid;
	for (; store_message_next(s, mailbox, uid, &got_message); walked++) {
		wrong += got_message.uid <= uid || !uids_has(&known, got_message.uid);
		uid = got_message.uid;
	}
	for (uid = 0; store_owed_next(s, mailbox, uid, &uid, &size); owed++)
		octets += size;
	wrong += memcmp(&want, &got, sizeof want) != 0;
	wrong += walked != with_uid || owed != want.owed || octets != want.owed_octets;
	wrong += store_count_uids(s, mailbox, 1, half) != below;
	wrong += store_count_uids(s, mailbox, half + 1, UID_MAX) != with_uid - below;
	store_message_release(&got_message);
	uids_release(&known);
	return wrong;
}

static int check_bodies(struct store *s)
{
	static uint8_t octets[100 + BODIES * 371];
	int wrong = 0;
	for (uint32_t seed = 0; seed < BODIES; seed++) {
		uint8_t hash[MAIL_HASH_SIZE];
		uint64_t references = 0, found = 0;
		struct store_body_info info;
		body_octets(seed, octets, hash);
		store_body_find(s, hash, &found);
		wrong += found != now.bodies[seed];
		for (uint64_t i = 1; i <= now.last; i++)
			references += now.messages[i].there && now.messages[i].body != 0 &&
				now.messages[i].body == now.bodies[seed];
		if (now.bodies[seed] != 0)
			wrong += !store_body_info(s, found, &info) || info.references != references;
	}
	return wrong;
}

static int check_parts(struct store *s, uint64_t action)
{
	const struct model_action *m = &now.actions[action];
	struct store_part got;
	uint64_t after = 0, count = 0;
	int wrong = 0;
	for (uint64_t i = 1; i <= PART_MESSAGES; i++) {
		wrong += store_part_get(s, action, i, &got) != (m->parts[i] != 0);
		if (m->parts[i] == 0)
			continue;
		wrong += !store_part_next(s, action, after, &got) || got.message != i ||
			got.action != action || got.state != part_states[m->parts[i] - 1];
		after = i;
		count++;
	}
	wrong += store_part_next(s, action, after, &got);
	return wrong + (store_part_count(s, action) != count);
}

static int check_pending(struct store *s, uint64_t message)
{
	uint64_t after = 0, got;
	int wrong = 0;
	for (uint64_t i = 1; i <= ACTIONS; i++) {
		uint32_t part = now.actions[i].parts[message];
		if (part == 0 || (part_states[part - 1] & STORE_PART_FAILED) != 0)
			continue;
		wrong += !store_pending_next(s, message, after, &got) || got != i;
		after = i;
	}
	wrong += store_is_pending(s, message) != (after != 0);
	return wrong + store_pending_next(s, message, after, &got);
}

static int check_actions(struct store *s)
{
	uint64_t want[STORE_ACTION_LOCAL + 1] = { 0 }, after = 0;
	struct store_action_counts c = store_action_counts(s);
	struct store_action got;
	int wrong = 0;
	store_action_init(&got);
	for (uint64_t i = 1; i <= ACTIONS; i++) {
		const struct model_action *m = &now.actions[i];
		wrong += check_parts(s, i) + (store_action_get(s, i, &got) != (m->state != 0));
		if (m->state == 0)
			continue;
		wrong += !store_action_next(s, after, &got) || got.number != i ||
			got.state != m->state || got.attempts != m->attempts;
		want[m->state]++;
		after = i;
	}
	wrong += store_action_next(s, after, &got);
	for (uint64_t i = 1; i <= PART_MESSAGES; i++)
		wrong += check_pending(s, i);
	store_action_release(&got);
	return wrong + (c.waiting != want[1] || c.intent != want[2] || c.failed != want[3] ||
		c.held != want[4] || c.unknown != want[5] || c.local != want[6]);
}

static int check(struct store *s)
{
	int wrong = check_messages(s) + check_bodies(s) + check_actions(s);
	for (int i = 0; i < MAILBOXES; i++)
		wrong += check_mailbox(s, mailboxes[i]) +
			check_apart(s, mailboxes[i], STORE_ORPHAN) +
			check_apart(s, mailboxes[i], STORE_HERE);
	for (int i = 0; i < DATES * SIZES; i++)
		wrong += check_alike(s, i / SIZES, (uint64_t)(i % SIZES) * SIZE_STEP);
	for (int i = 1; i < EMAILIDS; i++)
		wrong += check_emailid(s, i);
	return wrong;
}

/* Bodies that no message has go. */
static void sweep(struct store *s)
{
	struct err err;
	if (store_bodies_sweep(s, &err) < 0)
		ok(0, "sweep: %s", err.text);
	for (uint32_t seed = 0; seed < BODIES; seed++) {
		bool used = false;
		for (uint64_t i = 1; i <= now.last; i++)
			used |= now.messages[i].there && now.messages[i].body == now.bodies[seed];
		if (!used)
			now.bodies[seed] = 0;
	}
}

static void make_mailboxes(struct store *s)
{
	struct err err;
	if (store_begin(s, &err) < 0)
		diag("%s", err.text);
	for (int i = 0; i < MAILBOXES; i++) {
		char name[] = "box0";
		name[3] = (char)('0' + i);
		struct store_mailbox m = { .name = name, .wire = name, .folder = name };
		store_mailbox_put(s, &m);
		mailboxes[i] = m.id;
	}
	ok(commit(s), "mailboxes");
}

int main(void)
{
	struct err err;
	int inside = 0, after = 0, commits = 0, aborts = 0, opens = 0;
	if (mkdtemp(state) == NULL)
		return 1;
	struct store *s = store_open(state, true, false, NULL, &err);
	make_mailboxes(s);
	for (int round = 0; round < ROUNDS; round++) {
		before = now;
		if (store_begin(s, &err) < 0)
			ok(0, "begin: %s", err.text);
		for (uint32_t n = pick(30); n > 0; n--)
			operate(s);
		if (pick(5) == 0)
			inside += check(s);
		if (pick(4) == 0) {
			store_abort(s);
			now = before;
			aborts++;
		} else {
			commits += commit(s);
		}
		if (pick(8) == 0)
			sweep(s);
		if (pick(10) == 0) {
			store_close(s);
			s = store_open(state, false, false, NULL, &err);
			opens++;
		}
		after += check(s);
	}
	is_int(inside, 0, "inside a transaction all is as the model says");
	is_int(after, 0, "after %d commits, %d aborts, %d openings too", commits, aborts, opens);
	ok(commits + aborts == ROUNDS, "all could be committed");
	store_close(s);
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", state);
	return done_testing() | (system(command) != 0);
}
