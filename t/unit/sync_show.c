/* What is shown of a message (agreed flags and place, with the pending actions applied in their order), and what
 * becomes of actions when one fails, is dropped or tried again (R9, R13), in tables. */
#include <stdlib.h>
#include <string.h>

#include "lib/tap.h"
#include "queue/queue.h"
#include "sync/actions.h"

static char state[] = "/tmp/sync-show.XXXXXX";
static struct err err;

struct act {
	enum queue_verb verb;
	uint64_t message, made;
	uint32_t to;
	const char *add, *remove;
	uint32_t part;
};

static void on_commit(void *arg, const struct err *e)
{
	(void)arg;
	if (e->cls != ERR_NONE)
		ok(0, "commit: %s", e->text);
}

static struct store *afresh(void)
{
	char command[100];
	struct store *s;

	snprintf(command, sizeof command, "rm -rf %s/store", state);
	if (system(command) != 0)
		diag("%s failed", command);
	s = store_open(state, true, false, NULL, &err);
	if (!s || store_begin(s, &err) < 0)
		diag("store: %s", err.text);
	return s;
}

static void finish(struct store *s)
{
	store_commit(s, on_commit, NULL);
	store_close(s);
}

/* Messages 1 to 4 in mailbox 1. */
static void put_messages(struct store *s, uint32_t what, const char *flags)
{
	for (uint64_t n = 1; n <= 4; n++) {
		struct store_message m;
		store_message_init(&m);
		m.mailbox = 1;
		m.uid = what & STORE_HERE ? 0 : (uint32_t)n;
		m.state = what;
		mail_flags_parse(&m.flags, slice_of(flags));
		store_message_put(s, &m);
		store_message_release(&m);
	}
}

static void put_action(struct store *s, uint64_t number, const struct act *act)
{
	struct store_action a;
	struct store_part p = { .action = number, .message = act->message, .state = act->part,
		.made = act->made };

	store_action_init(&a);
	a.number = number;
	a.verb = (uint32_t)act->verb;
	a.state = STORE_ACTION_WAITING;
	a.mailbox = 1;
	a.to = act->to;
	mail_flags_parse(&a.add, slice_of(act->add ? act->add : ""));
	mail_flags_parse(&a.remove, slice_of(act->remove ? act->remove : ""));
	store_action_put(s, &a);
	if (act->message)
		store_part_put(s, &p);
	p = (struct store_part){ .action = number, .message = act->made, .state = STORE_PART_MADE };
	if (act->made)
		store_part_put(s, &p);
	store_action_release(&a);
}

/* Shown */

#define FLAG(add, remove) { QUEUE_FLAG, 1, 0, 0, add, remove, 0 }
#define MOVE(to) { QUEUE_MOVE, 1, 0, to, NULL, NULL, 0 }
#define EXPUNGE { QUEUE_EXPUNGE, 1, 0, 0, NULL, NULL, 0 }

static const struct {
	const char *name, *agreed;
	uint32_t state;
	struct act acts[5];
	bool visible;
	uint32_t mailbox;
	const char *flags;
} shows[] = {
	{ "nothing is pending", "\\Seen x", 0, { { 0 } }, true, 1, "\\Seen x" },
	{ "a flag", "\\Seen", 0, { FLAG("\\Flagged x", "\\Seen") }, true, 1, "\\Flagged x" },
	{ "set and taken back", "", 0, { FLAG("x", ""), FLAG("", "X") }, true, 1, "" },
	{ "taken and set again", "x", 0, { FLAG("", "x"), FLAG("x", "") }, true, 1, "x" },
	{ "one that failed does not show", "", 0, { FLAG("x", ""),
		{ QUEUE_FLAG, 1, 0, 0, "y", NULL, STORE_PART_FAILED } }, true, 1, "x" },
	{ "one that stays here does", "", 0, { { QUEUE_FLAG, 1, 0, 0, "y", NULL, STORE_PART_LOCAL } }, true, 1, "y" },
	{ "another message's is not this one's", "", 0, { { QUEUE_FLAG, 2, 0, 0, "y", NULL, 0 } }, true, 1, "" },
	{ "a move", "x", 0, { MOVE(2) }, true, 2, "x" },
	{ "with flags", "x", 0, { { QUEUE_MOVE, 1, 0, 3, "y", "x", 0 } }, true, 3, "y" },
	{ "there and back", "", 0, { MOVE(2), MOVE(1) }, true, 1, "" },
	{ "there, and on", "", 0, { MOVE(2), FLAG("y", ""), MOVE(3) }, true, 3, "y" },
	{ "a move that failed does not show, the next one does", "", 0, {
		{ QUEUE_MOVE, 1, 0, 2, NULL, NULL, STORE_PART_FAILED }, MOVE(3) }, true, 3, "" },
	{ "an expunge", "", 0, { FLAG("x", ""), EXPUNGE }, false, 1, "x" },
	{ "an expunge that failed", "", 0, { { QUEUE_EXPUNGE, 1, 0, 0, NULL, NULL, STORE_PART_FAILED } }, true, 1, "" },
	{ "a copy leaves its source as it is", "x", 0, { { QUEUE_COPY, 1, 2, 2, NULL, NULL, 0 } }, true, 1, "x" },
	{ "what is made here, and nothing makes it", "x", STORE_HERE, { { 0 } }, false, 1, "x" },
	{ "an upload", "x", STORE_HERE, { { QUEUE_APPEND, 1, 0, 0, NULL, NULL, 0 } }, true, 1, "x" },
	{ "an upload that failed", "x", STORE_HERE, { { QUEUE_APPEND, 1, 0, 0, NULL, NULL, STORE_PART_FAILED } },
	  false, 1, "x" },
	{ "an upload, and then what is done to it", "", STORE_HERE, {
		{ QUEUE_APPEND, 1, 0, 0, NULL, NULL, 0 }, FLAG("x", ""), MOVE(2) }, true, 2, "x" },
	{ "a copy that is made here", "", STORE_HERE, { { QUEUE_COPY, 2, 1, 1, NULL, NULL, 0 } }, true, 1, "" },
};

static void test_show(size_t i)
{
	struct store *s = afresh();
	struct store_message m;
	struct shown w;
	struct buf flags;

	put_messages(s, shows[i].state, shows[i].agreed);
	for (size_t k = 0; k < 5 && shows[i].acts[k].message; k++)
		put_action(s, k + 1, &shows[i].acts[k]);
	store_message_init(&m);
	shown_init(&w);
	buf_init(&flags, 0);
	ok(store_message_get(s, 1, &m), "%s: the message is there", shows[i].name);
	show_wanted(s, &m, &w);
	mail_flags_print(&w.flags, &flags);
	ok(w.visible == shows[i].visible, "%s: visible", shows[i].name);
	is_int(w.mailbox, shows[i].mailbox, "%s: mailbox", shows[i].name);
	is_str(buf_str(&flags), shows[i].flags, "%s: flags", shows[i].name);
	buf_release(&flags);
	shown_release(&w);
	store_message_release(&m);
	finish(s);
}

/* Settled: each action's end, from the first one on: w waits, f failed, - is gone */

enum what { FAIL, DROP, RETRY };
#define ON(verb, message, made) { verb, message, made, 2, "x", NULL, 0 }

static const struct {
	const char *name;
	struct act acts[6];
	enum what what;
	uint64_t action;
	const char *ends;
} settles[] = {
	{ "a flag takes nothing with it", { ON(QUEUE_FLAG, 1, 0), ON(QUEUE_FLAG, 1, 0), ON(QUEUE_MOVE, 1, 0) }, FAIL, 1,
	  "fww" },
	{ "an expunge neither", { ON(QUEUE_EXPUNGE, 1, 0), ON(QUEUE_FLAG, 1, 0) }, FAIL, 1, "fw" },
	{ "an upload: all that is done to it", { ON(QUEUE_APPEND, 1, 0), ON(QUEUE_FLAG, 1, 0), ON(QUEUE_FLAG, 2, 0),
		ON(QUEUE_MOVE, 1, 0), ON(QUEUE_EXPUNGE, 1, 0) }, FAIL, 1, "ffwff" },
	{ "a move: what comes after it, and not what was before", { ON(QUEUE_FLAG, 1, 0), ON(QUEUE_MOVE, 1, 0),
		ON(QUEUE_FLAG, 1, 0) }, FAIL, 2, "wff" },
	{ "a copy: what is done to the copy", { ON(QUEUE_COPY, 1, 2), ON(QUEUE_FLAG, 2, 0), ON(QUEUE_FLAG, 3, 0) },
	  FAIL, 1, "ffw" },
	{ "and not what is done to its source", { ON(QUEUE_COPY, 1, 2), ON(QUEUE_FLAG, 1, 0), ON(QUEUE_EXPUNGE, 1, 0) },
	  FAIL, 1, "fww" },
	{ "a copy of a copy", { ON(QUEUE_COPY, 1, 2), ON(QUEUE_COPY, 2, 3), ON(QUEUE_FLAG, 3, 0), ON(QUEUE_FLAG, 4, 0) },
	  FAIL, 1, "fffw" },
	{ "a mailbox that is not made: what is done in it", { ON(QUEUE_CREATE, 0, 0), ON(QUEUE_FLAG, 1, 0),
		ON(QUEUE_SUBSCRIBE, 0, 0) }, FAIL, 1, "fff" },
	{ "a mailbox that is not deleted takes nothing with it", { ON(QUEUE_DELETE, 0, 0), ON(QUEUE_FLAG, 1, 0) }, FAIL, 1,
	  "fw" },
	{ "dropped: a flag", { ON(QUEUE_FLAG, 1, 0), ON(QUEUE_FLAG, 1, 0) }, DROP, 1, "-w" },
	{ "dropped: a move fails what comes after it", { ON(QUEUE_MOVE, 1, 0), ON(QUEUE_FLAG, 1, 0) }, DROP, 1, "-f" },
	{ "dropped: a copy, and what is done to it", { ON(QUEUE_COPY, 1, 2), ON(QUEUE_FLAG, 2, 0), ON(QUEUE_FLAG, 1, 0) },
	  DROP, 1, "-fw" },
	{ "tried again: what had failed with it, too", { ON(QUEUE_MOVE, 1, 0), ON(QUEUE_FLAG, 1, 0), ON(QUEUE_FLAG, 2, 0) },
	  RETRY, 1, "www" },
};

static void settle(struct sync *s, enum what what, uint64_t action)
{
	if (what == DROP)
		settle_drop(s, action);
	else
		settle_fail(s, action, 0, "%s", "no");
	if (what == RETRY) {
		struct rearm *again = settle_rearm_new(s);
		settle_rearm_add(again, action);
		settle_rearm_end(again);
	}
}

static void test_settle(size_t i)
{
	struct conf_account account = { .name = "work" };
	struct sync s = { .account = &account, .store = afresh() };
	struct store_action a;
	char ends[8] = "";
	size_t n = strlen(settles[i].ends);

	put_messages(s.store, 0, "");
	for (size_t k = 0; k < n; k++)
		put_action(s.store, k + 1, &settles[i].acts[k]);
	settle(&s, settles[i].what, settles[i].action);
	store_action_init(&a);
	for (size_t k = 0; k < n; k++)
		ends[k] = !store_action_get(s.store, k + 1, &a) ? '-' : a.state == STORE_ACTION_FAILED ? 'f' :
			a.state == STORE_ACTION_WAITING ? 'w' : '?';
	is_str(ends, settles[i].ends, "%s", settles[i].name);
	if (settles[i].what == FAIL && store_action_get(s.store, settles[i].action, &a))
		is_str(a.reason, "no", "%s: the reason", settles[i].name);
	for (size_t k = settles[i].action; k < n; k++)
		if (settles[i].what != RETRY && settles[i].ends[k] == 'f' && store_action_get(s.store, k + 1, &a))
			ok(a.blocked_by >= settles[i].action && a.reason && strstr(a.reason, "which it needs"),
				"%s: %zu failed by name: %s", settles[i].name, k + 1, a.reason);
	store_action_release(&a);
	finish(s.store);
}

int main(void)
{
	if (!mkdtemp(state))
		return 1;
	for (size_t i = 0; i < sizeof shows / sizeof *shows; i++)
		test_show(i);
	for (size_t i = 0; i < sizeof settles / sizeof *settles; i++)
		test_settle(i);
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", state);
	return system(command) == 0 ? done_testing() : 1;
}
