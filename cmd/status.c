/* mailtide status: what the store knows of the last sync and of what is waiting. No network. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cmd.h"
#include "output.h"
#include "queue.h"
#include "store/store.h"

struct standing {
	const struct conf_account *account;
	struct store *store;
	int64_t last; /* seconds since 1970; 0: no sync has come to its end */
	int status; /* of the last sync, or of the try after it */
	struct buf error; /* why the last try did not come to its end; empty where it did */
	int64_t tried;
	int64_t held_until; /* the server asked not to be asked before; 0: it did not, or that is over */
	struct buf held;    /* in its words */
	uint64_t mailboxes;
	struct store_counts n; /* of all mailboxes */
	json_t *gone, *suspect;
};

static void count(struct standing *s)
{
	struct store_mailbox box;

	for (uint32_t id = 0; store_mailbox_next(s->store, id, &box);) {
		struct store_counts n = store_mailbox_counts(s->store, box.id);
		id = box.id;
		s->mailboxes += !(box.state & (STORE_MAILBOX_NOSELECT | STORE_MAILBOX_GONE));
		s->n.messages += n.messages;
		s->n.unseen += n.unseen;
		s->n.bodies += n.bodies;
		s->n.owed += n.owed;
		s->n.owed_octets += n.owed_octets;
		if (box.state & STORE_MAILBOX_GONE)
			json_array_append_new(s->gone, output_text(box.name));
		else if (box.state & STORE_MAILBOX_SUSPECT)
			json_array_append_new(s->suspect, output_text(box.name));
		store_mailbox_release(&box);
	}
}

/* "3 minutes ago" */
static void ago(int64_t since, char text[40])
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	int64_t passed = (int64_t)time(NULL) - since;

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		int64_t n = passed / units[i].seconds;
		if (n < 1)
			continue;
		snprintf(text, 40, "%lld %s%s ago", (long long)n, units[i].name, n == 1 ? "" : "s");
		return;
	}
	snprintf(text, 40, "just now");
}

static void tell_error(const struct standing *s)
{
	char passed[40];
	struct buf visible;

	if (s->error.len == 0)
		return;
	buf_init(&visible, 0);
	output_visible(&visible, buf_slice(&s->error));
	ago(s->tried, passed);
	output_line("%s: the last try, %s, did not come to its end: %s", s->account->name, passed,
		buf_str(&visible));
	buf_release(&visible);
}

static void tell_last(const struct standing *s)
{
	char when[32], passed[40];
	time_t t = (time_t)s->last;
	struct tm tm;

	if (s->last == 0) {
		output_line("%s: no sync has come to its end yet", s->account->name);
		return;
	}
	if (!localtime_r(&t, &tm) || strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm) == 0)
		when[0] = '\0';
	ago(s->last, passed);
	output_line("%s: last sync %s (%s)%s", s->account->name, when, passed, s->error.len > 0 ? "" :
		s->status == 0 ? ", all done" : ", with something left undone");
}

static void tell_held(const struct standing *s)
{
	char when[8] = "";
	time_t t = (time_t)s->held_until + 59; /* the minute that is told is over it */
	struct buf visible;
	struct tm tm;

	if (s->held_until == 0)
		return;
	if (localtime_r(&t, &tm))
		strftime(when, sizeof when, "%H:%M", &tm);
	buf_init(&visible, 0);
	output_visible(&visible, buf_slice(&s->held));
	output_line("%s: held back until %s: %s", s->account->name, when, buf_str(&visible));
	buf_release(&visible);
}

static void tell_names(const struct standing *s, const json_t *names, const char *what)
{
	size_t i;
	json_t *name;

	json_array_foreach((json_t *)names, i, name) {
		struct buf visible;
		buf_init(&visible, 0);
		output_visible(&visible, slice_of(json_string_value(name)));
		output_line("%s/%s: %s", s->account->name, buf_str(&visible), what);
		buf_release(&visible);
	}
}

static void tell(const struct standing *s)
{
	char size[24];

	tell_last(s);
	tell_error(s);
	tell_held(s);
	output_line("%s: %llu mailboxes, %llu messages, %llu unseen", s->account->name,
		(unsigned long long)s->mailboxes, (unsigned long long)s->n.messages,
		(unsigned long long)s->n.unseen);
	output_size(s->n.owed_octets, size);
	if (s->n.owed > 0)
		output_line("%s: %llu bodies waiting, %s", s->account->name,
			(unsigned long long)s->n.owed, size);
	tell_names(s, s->gone, "gone on the server; its folder stays");
	tell_names(s, s->suspect, "the next sync looks at all of it");
}

static json_t *object(const struct standing *s, bool never)
{
	json_t *o = output_object_new("account");

	json_object_set_new(o, "account", output_text(s->account->name));
	json_object_set_new(o, "synced", s->last ? json_integer(s->last) : json_null());
	json_object_set_new(o, "status", s->last ? json_integer(s->status) : json_null());
	if (never)
		return o;
	json_object_set_new(o, "error", s->error.len ? output_text(buf_str(&s->error)) : json_null());
	json_object_set_new(o, "tried", s->error.len ? json_integer(s->tried) : json_null());
	json_object_set_new(o, "held_until", s->held_until ? json_integer(s->held_until) : json_null());
	json_object_set_new(o, "held_because", s->held_until ? output_text(buf_str(&s->held)) : json_null());
	json_object_set_new(o, "mailboxes", output_number(s->mailboxes));
	json_object_set_new(o, "messages", output_number(s->n.messages));
	json_object_set_new(o, "unseen", output_number(s->n.unseen));
	json_object_set_new(o, "bodies", output_number(s->n.bodies));
	json_object_set_new(o, "waiting", output_number(s->n.owed));
	json_object_set_new(o, "waiting_octets", output_number(s->n.owed_octets));
	json_object_set(o, "gone", s->gone);
	json_object_set(o, "suspect", s->suspect);
	return o;
}

/* Its store may be lost: what is queued is told all the same. */
static int tell_never(const struct standing *s)
{
	json_t *o = object(s, true);
	int status;

	output_line("%s: never synced", s->account->name);
	status = queue_standing(s->account, o);
	output_object(o);
	return status;
}

static int status_of(const struct cmd *cmd, const struct conf_account *account)
{
	struct standing s = { .account = account };
	int status = CMD_DONE;
	bool never;
	json_t *o;

	(void)cmd;
	s.store = cmd_store(account, &never, &status);
	if (never)
		return tell_never(&s);
	if (!s.store)
		return status;
	s.gone = json_array();
	s.suspect = json_array();
	s.last = (int64_t)store_get_number(s.store, "run.last");
	s.status = (int)(int64_t)store_get_number(s.store, "run.status");
	s.tried = (int64_t)store_get_number(s.store, "run.tried");
	buf_init(&s.error, 0);
	store_get(s.store, "run.error", &s.error);
	s.held_until = (int64_t)store_get_number(s.store, "server.not-before");
	if (s.held_until <= (int64_t)time(NULL))
		s.held_until = 0;
	buf_init(&s.held, 0);
	store_get(s.store, "server.held", &s.held);
	count(&s);
	store_close(s.store);
	tell(&s);
	o = object(&s, false);
	status = queue_standing(account, o);
	output_object(o);
	json_decref(s.gone);
	json_decref(s.suspect);
	buf_release(&s.error);
	buf_release(&s.held);
	return status;
}

int cmd_status(const struct cmd *cmd)
{
	return cmd_each_account(cmd, status_of);
}
