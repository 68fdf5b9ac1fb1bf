/* Aged: messages that were chosen for their age, "newer 30d", and are too old by now (S9). They stay, unless
 * on-aged says "drop": then the file goes and the body is let go of, the descriptor stays. What the user
 * asked for by name, or flagged, stays; so does a file that was changed here, whatever it was.
 *
 * Once a day the index by date is asked for what became too old since the last time, so that the cost follows
 * what changed. Where the rules changed, rules.c goes through all messages anyway. Each piece is a batch with
 * its projections; the day is noted with the last, and what is dropped already is passed over. */
#include <stdlib.h>

#include "sync/private.h"

#define FACT "sync.aged"
#define DAY_S 86400

void aged_folder_release(struct aged_folder *f)
{
	maildir_scan_release(&f->scan);
	*f = (struct aged_folder){ 0 };
}

/* Under the name that we gave it, or with the flags that we gave it: others say that something waits to be
 * told to the server. */
static bool find_file(struct aged_folder *f, struct box *box, const struct store_message *m,
	struct maildir_stat *st)
{
	struct maildir *maildir = box->sync->maildir;
	const char *folder = box->rec.folder;
	char letters[8], others[32];
	const struct maildir_entry *e;
	struct maildir_name name;

	mail_flags_letters(m->shown.system, letters);
	name = (struct maildir_name){ folder, m->base, letters, m->state & STORE_SHOWN_NEW, false };
	if (maildir_stat(maildir, &name, st, NULL) == 0)
		return true;
	if (f->box != box) {
		aged_folder_release(f);
		if (maildir_scan(maildir, folder, &f->scan, NULL) < 0)
			return false;
		f->box = box;
	}
	e = maildir_scan_find(&f->scan, m->base);
	if (!e || (!e->is_new && mail_flags_from_letters(slice_of(e->letters), others) != mail_flags_from_letters(slice_of(letters), others)))
		return false;
	name = entry_name(folder, e);
	return maildir_stat(maildir, &name, st, NULL) == 0;
}

static bool is_unchanged(struct aged_folder *f, struct box *box, const struct store_message *m)
{
	struct maildir_stat st;

	return !(m->state & STORE_SHOWN) || (m->shown_mailbox == box->rec.id && find_file(f, box, m, &st) &&
		st.size == m->file_size && st.mtime_ns == m->file_mtime_ns);
}

bool aged_drop(struct aged_folder *f, struct box *box, struct store_message *m)
{
	struct sync *s = box->sync;

	if (!box->rules.drop_aged || s->options.dry_run || !plan_is_aged(&box->rules, s->now, m->date) ||
		(!m->body && !(m->state & STORE_SHOWN)) ||
		(m->state & (STORE_WANTED | STORE_UNMATCHED | STORE_ORPHAN)) || m->uid == 0 ||
		((m->flags.system | m->shown.system) & MAIL_FLAGGED) || !is_unchanged(f, box, m))
		return false;
	if (m->state & STORE_SHOWN)
		batch_project_shown(s, STORE_REMOVE, m);
	m->state &= ~(uint32_t)(STORE_SHOWN | STORE_SHOWN_NEW | STORE_STAND_IN | STORE_BODY_OWED | STORE_BODY_FAILED);
	m->body = 0;
	free(m->base);
	m->base = NULL;
	mail_flags_release(&m->shown);
	mail_flags_init(&m->shown);
	store_message_put(s->store, m);
	return true;
}

/* The walk of a day */

static bool ages(const struct box *box)
{
	return box->rules.drop_aged && box->rules.bodies.newer_s > 0 && !box->rules.bodies.none;
}

/* The next age that some mailbox has, after `age`; 0: none. Mailboxes that share it share the walk. */
static int64_t next_age(const struct sync *s, int64_t age)
{
	int64_t next = 0;

	for (const struct box *box = s->boxes; box; box = box->next)
		if (ages(box) && box->rules.bodies.newer_s > age && (next == 0 || box->rules.bodies.newer_s < next))
			next = box->rules.bodies.newer_s;
	return next;
}

static void put_day(struct sync *s)
{
	store_put_number(s->store, FACT, (uint64_t)s->now);
	s->aged.due = false;
}

/* The walk begins at what was just young enough the last time. */
static void begin_age(struct sync *s, int64_t age)
{
	s->aged.age = age;
	s->aged.date = s->aged.since > age ? s->aged.since - age : 0;
	s->aged.size = s->aged.number = 0;
}

void aged_begin(struct sync *s)
{
	struct buf day;

	/* Another profile is a rule for a day that differs. */
	if (s->options.dry_run || s->options.profile || next_age(s, 0) == 0)
		return;
	buf_init(&day, 0);
	s->aged.since = store_get(s->store, FACT, &day) ? strtoll(buf_str(&day), NULL, 10) : s->now;
	s->aged.due = day.len == 0 || s->now - s->aged.since >= DAY_S || s->aged.since > s->now;
	buf_release(&day);
	begin_age(s, next_age(s, 0));
}

void aged_apply(struct sync *s, unsigned *limit)
{
	struct aged_folder f = { 0 };
	struct store_message m;

	if (!s->aged.due)
		return;
	store_message_init(&m);
	while (*limit > 0 && s->aged.age != 0) {
		struct box *box;
		if (!store_dated_next(s->store, s->aged.date, s->aged.size, s->aged.number, &m) ||
			m.date >= s->now - s->aged.age) {
			begin_age(s, next_age(s, s->aged.age));
			continue;
		}
		--*limit;
		s->aged.date = m.date;
		s->aged.size = m.size;
		s->aged.number = m.number;
		box = box_by_id(s, m.mailbox);
		if (box && ages(box) && box->rules.bodies.newer_s == s->aged.age && !box->rules_changed)
			aged_drop(&f, box, &m);
	}
	store_message_release(&m);
	aged_folder_release(&f);
	if (s->aged.age == 0)
		put_day(s);
}
