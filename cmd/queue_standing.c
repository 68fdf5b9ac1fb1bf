/* For status: how many actions wait, and which are stuck and why. */
#include "cmd.h"
#include "output.h"
#include "queue.h"

#define STUCK_TOLD 5

struct standing {
	struct actions q;
	struct store_action_counts n;
	uint64_t fresh; /* lines that the store has not taken up */
	uint64_t stuck, told;
	bool foreign;
	json_t *list;
};

bool queue_is_stuck(const struct store_action *rec)
{
	return rec->state == STORE_ACTION_FAILED || rec->state == STORE_ACTION_HELD ||
		rec->state == STORE_ACTION_UNKNOWN;
}

/* Of another store all of them are. */
static int count_fresh(struct standing *s)
{
	uint64_t after = s->foreign ? 0 : s->q.folded;
	struct queue_action a;
	struct err err = { 0 };
	int rc;

	while ((rc = queue_next(s->q.queue, after, &a, &err)) != 0) {
		if (rc < 0 && err.scope != ERR_MESSAGE)
			return actions_refuse(&s->q, &err);
		after = a.number ? a.number : after;
		s->fresh++;
		queue_action_release(&a);
	}
	return 0;
}

/* State, reason and blocked_by as `queue --json` has them. */
static void tell_stuck_object(struct standing *s, const struct store_action *rec)
{
	json_t *o = json_object();
	struct buf why;

	buf_init(&why, 0);
	queue_explain(rec, &why);
	json_object_set_new(o, "number", output_number(rec->number));
	json_object_set_new(o, "state", output_text(queue_state_name(rec)));
	json_object_set_new(o, "blocked_by", rec->blocked_by ? output_number(rec->blocked_by) : json_null());
	json_object_set_new(o, "reason", output_text(why.len > 0 ? buf_str(&why) : NULL));
	json_array_append_new(s->list, o);
	buf_release(&why);
}

/* "work: action 7 failed, move INBOX m7 to Archive: over quota" */
static void tell_stuck(struct standing *s, const struct store_action *rec)
{
	struct queue_action a;
	struct buf text, what;
	bool found = queue_next(s->q.queue, rec->number - 1, &a, NULL) > 0;

	buf_init(&text, 0);
	buf_init(&what, 0);
	if (found && a.number == rec->number) {
		buf_addf(&text, ", ");
		output_visible(&text, slice_of(a.verb_text));
		buf_addf(&text, " ");
		output_visible(&text, slice_of(a.mailbox));
		queue_describe(&a, rec, &what);
		buf_addf(&text, "%s%s", what.len > 0 ? " " : "", buf_str(&what));
	}
	if (found)
		queue_action_release(&a);
	if (rec->reason || rec->blocked_by)
		buf_addf(&text, ": ");
	queue_explain(rec, &text);
	output_line("%s: action %llu %s%s", s->q.account->name, (unsigned long long)rec->number,
		rec->state == STORE_ACTION_FAILED ? "failed" : rec->state == STORE_ACTION_HELD ?
		"is held" : "may be done or not", buf_str(&text));
	buf_release(&what);
	buf_release(&text);
}

static void tell_all_stuck(struct standing *s)
{
	struct store_action rec;

	store_action_init(&rec);
	for (uint64_t after = 0; s->told < STUCK_TOLD && store_action_next(s->q.store, after, &rec);) {
		after = rec.number;
		if (!queue_is_stuck(&rec))
			continue;
		s->told++;
		tell_stuck(s, &rec);
		tell_stuck_object(s, &rec);
	}
	store_action_release(&rec);
	if (s->stuck > s->told)
		output_line("%s: and %llu more; \"mailtide queue %s\" lists them", s->q.account->name,
			(unsigned long long)(s->stuck - s->told), s->q.account->name);
	if (s->stuck > 0)
		output_line("%s: \"mailtide queue retry %s\" tries them again, \"mailtide queue drop %s N\" "
			"forgets one", s->q.account->name, s->q.account->name, s->q.account->name);
}

static void add_count(struct buf *text, uint64_t n, const char *word)
{
	if (n > 0)
		buf_addf(text, "%s%llu %s", text->len ? ", " : "", (unsigned long long)n, word);
}

static void tell(struct standing *s)
{
	struct buf text;

	if (s->foreign && s->fresh > 0) {
		output_line("%s: actions: %llu held, made for another store; \"mailtide queue %s\" tells more",
			s->q.account->name, (unsigned long long)s->fresh, s->q.account->name);
		return;
	}
	buf_init(&text, 0);
	add_count(&text, s->n.waiting + s->n.intent + s->fresh, "waiting");
	add_count(&text, s->n.failed, "failed");
	add_count(&text, s->n.held, "held");
	add_count(&text, s->n.unknown, "unknown");
	add_count(&text, s->n.local, "local");
	if (text.len > 0)
		output_line("%s: actions: %s", s->q.account->name, buf_str(&text));
	buf_release(&text);
	if (s->q.store)
		tell_all_stuck(s);
}

static json_t *counts(const struct standing *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "waiting", output_number(s->n.waiting));
	json_object_set_new(o, "sending", output_number(s->n.intent));
	json_object_set_new(o, "failed", output_number(s->n.failed));
	json_object_set_new(o, "held", output_number(s->n.held + (s->foreign ? s->fresh : 0)));
	json_object_set_new(o, "unknown", output_number(s->n.unknown));
	json_object_set_new(o, "local", output_number(s->n.local));
	json_object_set_new(o, "new", output_number(s->foreign ? 0 : s->fresh));
	return o;
}

int queue_standing(const struct conf_account *account, json_t *object)
{
	struct standing s = { .list = json_array() };
	int status = CMD_DONE;

	if (actions_open(&s.q, account, true, &status) < 0) {
		json_decref(s.list);
		return status;
	}
	s.foreign = actions_are_foreign(&s.q);
	if (s.q.store && !s.foreign)
		s.n = store_action_counts(s.q.store);
	s.stuck = s.n.failed + s.n.held + s.n.unknown;
	status = count_fresh(&s);
	tell(&s);
	json_object_set_new(object, "actions", counts(&s));
	json_object_set_new(object, "stuck", s.list);
	actions_close(&s.q);
	return status;
}
