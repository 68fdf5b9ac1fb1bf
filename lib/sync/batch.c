/* Batch: what has gathered becomes one transaction; then, and only then, the Maildir follows.
 *
 *   begin; bodies that arrived; inboxes of pulls; what mailboxes are; strike off projections made; commit
 *   make the projections of this transaction
 *
 * Killed before the commit: nothing happened, the server is asked again, tmp files are swept.
 * Killed after it: the projection list says what the Maildir lacks, project_finish makes it so.
 * Killed between a projection and its being struck off: it is made again, which finds it made.
 *
 * Bodies are filed before inboxes are applied: an inbox may empty the mailbox's cache after a UIDVALIDITY
 * change, and what came before belongs to what was before. */
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "sync/private.h"

#define AGAIN ",again"

static bool nothing_in_flight(const struct sync *s)
{
	for (unsigned i = 0; i < LINKS; i++)
		if (s->links[i].state == LINK_READY && !imap_idle(s->links[i].imap))
			return false;
	return true;
}

static bool applying(const struct sync *s)
{
	for (const struct box *box = s->boxes; box; box = box->next)
		if ((box->rules_changed || !uids_is_empty(&box->flagged_here) || !uids_is_empty(&box->shared)) &&
			s->phase == SYNC_WORKING)
			return true;
	if (s->aged.due && s->phase == SYNC_WORKING)
		return true;
	for (const struct pull *p = s->pulls; p; p = *pull_link((struct pull *)p))
		if (pull_wants_apply(p))
			return true;
	return false;
}

bool batch_is_done(const struct sync *s)
{
	return s->arrived_count == 0 && s->inbox_items == 0 && !applying(s);
}

bool batch_is_empty(const struct sync *s)
{
	return batch_is_done(s) && s->made_count == 0;
}

bool batch_is_due(const struct sync *s)
{
	const struct link *hauler = &s->links[1];
	bool pending = s->arrived_count > 0 || applying(s);

	if (s->arrived_octets >= BATCH_OCTETS || s->inbox_items >= BATCH_MESSAGES ||
		s->arrived_count >= BATCH_MESSAGES || arrivals_wait(s))
		return true;
	/* The hauling connection has nothing to do until the descriptors are known. */
	if (hauler->state == LINK_READY && !hauler->haul && imap_idle(hauler->imap) &&
		s->inbox_items >= BATCH_MESSAGES / 8)
		return true;
	return pending && nothing_in_flight(s);
}

/* The run gets its number with its first transaction. */
static void note_run(struct sync *s)
{
	if (s->run_noted)
		return;
	store_put_number(s->store, "run.number", s->run);
	s->run_noted = true;
}

static void apply_pulls(struct sync *s)
{
	struct pull **at = &s->pulls, *p;
	unsigned limit = BATCH_MESSAGES;

	while ((p = *at)) {
		/* One that has no record, since its folder could not be made, ends with the run. */
		if (pull_is_homeless(p) || pull_apply(p, limit)) {
			at = pull_link(p); /* the rest in the next transaction */
			continue;
		}
		*at = *pull_link(p);
		pull_settle(p);
	}
}

static void apply_rules(struct sync *s)
{
	unsigned limit = BATCH_MESSAGES;

	for (struct box *box = s->boxes; box; box = box->next) {
		standin_want(box);
		if (!uids_is_empty(&box->shared) && limit > 0)
			labels_share(box, &limit);
		if (box->rules_changed && limit > 0)
			rules_apply(box, &limit);
	}
	aged_apply(s, &limit);
}

static void on_commit(void *arg, const struct err *err)
{
	struct sync *s = arg;

	if (err->cls == ERR_NONE)
		return;
	s->store_failed = true;
	account_fail(s, err);
}

static void free_projections(struct sync *s)
{
	for (size_t i = 0; i < s->projection_count; i++)
		store_projection_release(&s->projections[i]);
	s->projection_count = 0;
}

static void tell_kept(struct sync *s, const struct store_projection *p, int rc)
{
	for (struct box *box = s->boxes; box; box = box->next)
		if (box->rec.id == p->mailbox)
			account_note(s, SYNC_WARNING, box->rec.name,
				rc == 3 ? "another file has the name of \"%s\": both are left as they are"
				: p->kind == STORE_PLACE
					? "\"%s\" was edited here: the whole message is here, the stand-in stays"
					: "\"%s\" was edited here: the server's message is gone, the file stays",
				buf_str(&p->base));
}

static void make_projections(struct sync *s)
{
	struct err err = { 0 };
	int rc;

	for (size_t i = 0; i < s->projection_count; i++) {
		const struct store_projection *p = &s->projections[i];
		point("sync.before-projection");
		rc = project(s->store, s->maildir, p, &err);
		if (rc < 0) {
			account_fail(s, &err);
			break;
		}
		if (rc > 1)
			tell_kept(s, p, rc);
		point("sync.after-projection");
		if (s->made_count == s->made_size) {
			s->made_size = s->made_size ? 2 * s->made_size : 256;
			s->made = mem_grow(s->made, s->made_size, sizeof *s->made);
		}
		s->made[s->made_count++] = p->number;
	}
	free_projections(s);
}

void batch_project(struct sync *s, struct store_projection *p)
{
	if (s->projection_count == s->projection_size) {
		s->projection_size = s->projection_size ? 2 * s->projection_size : 256;
		s->projections =
			mem_grow(s->projections, s->projection_size, sizeof *s->projections);
	}
	store_projection_put(s->store, p);
	s->projections[s->projection_count++] = *p;
	memset(p, 0, sizeof *p);
}

void batch_project_shown(struct sync *s, enum store_projection_kind kind,
	const struct store_message *m)
{
	struct store_projection p;

	project_shown_init(&p, kind, m);
	batch_project(s, &p);
}

/* What the projection has to know of the file that goes. It must not have the name of the one that
 * comes, which ends in the size alone. */
static void replace_stand_in(const struct store_message *m, struct buf *base, struct store_projection *p)
{
	if (strcmp(buf_str(base), m->base) == 0)
		buf_add_str(base, ",whole");
	buf_add_str(&p->base, m->base);
	p->old_system = m->shown.system;
	p->old_new = m->state & STORE_SHOWN_NEW;
	p->file_size = m->file_size;
	p->file_mtime_ns = m->file_mtime_ns;
}

/* Its name must be none that it ever had: the entry that removes that file may come behind this one, and may be
 * made once more after a crash. So the times are counted: ",again", ",again2" and so on. */
static void name_file(struct sync *s, const struct store_message *m, const struct maildir_stat *st,
	struct buf *base)
{
	const char *again = m->base ? strstr(m->base, AGAIN) : NULL;
	unsigned long times = again ? strtoul(again + strlen(AGAIN), NULL, 10) : 0;

	maildir_base_name(m->date, m->number, store_id(s->store), st->size, base);
	if (again)
		buf_addf(base, AGAIN "%lu", times ? times + 1 : 2);
	else if (m->base && strcmp(buf_str(base), m->base) == 0)
		buf_add_str(base, AGAIN);
}

static void set_shown(struct sync *s, struct store_message *m, const struct maildir_stat *st,
	const struct shown *w)
{
	/* What takes the place of a stand-in in cur is not new again. */
	bool is_new = w->flags.system == 0 && (!(m->state & STORE_SHOWN) || (m->state & STORE_SHOWN_NEW));

	m->state &= ~(uint32_t)(STORE_BODY_OWED | STORE_BODY_FAILED | STORE_SHOWN_NEW | STORE_STAND_IN);
	m->state |= STORE_SHOWN | (is_new ? STORE_SHOWN_NEW : 0) | (m->body ? 0 : STORE_STAND_IN);
	m->shown_mailbox = w->mailbox;
	mail_flags_copy(&m->shown, &w->flags);
	m->device = st->device;
	m->inode = st->inode;
	m->file_size = st->size;
	m->file_mtime_ns = st->mtime_ns;
	m->run = s->run;
}

void batch_show_as(struct sync *s, struct store_message *m, const struct maildir_stat *st,
	const struct shown *w)
{
	struct store_projection p;
	struct buf base;
	char tmp[32];

	store_projection_init(&p);
	buf_init(&base, 0);
	if (m->state & STORE_SHOWN) {
		maildir_base_name(m->date, m->number, store_id(s->store), st->size, &base);
		replace_stand_in(m, &base, &p);
		p.mailbox = m->shown_mailbox;
	} else {
		name_file(s, m, st, &base);
		buf_add_slice(&p.base, buf_slice(&base));
		p.mailbox = w->mailbox;
	}
	free(m->base);
	m->base = buf_take(&base);
	set_shown(s, m, st, w);
	p.kind = STORE_PLACE;
	p.message = m->number;
	if (m->body)
		project_tmp_name(m->number, tmp);
	else
		project_tmp_name_of_stand_in(m->number, tmp);
	buf_add_str(&p.tmp, tmp);
	batch_project(s, &p);
	s->written += st->size;
}

/* What is hidden by a pending action gets no file; the one in tmp is swept. */
void batch_show(struct sync *s, struct store_message *m, const struct maildir_stat *st)
{
	struct shown w;

	shown_init(&w);
	show_wanted(s->store, m, &w);
	if (w.visible)
		batch_show_as(s, m, st, &w);
	else
		m->state &= ~(uint32_t)(STORE_BODY_OWED | STORE_BODY_FAILED);
	store_message_put(s->store, m);
	shown_release(&w);
}

/* Records of projections that were made. In a transaction. */
void batch_strike(struct sync *s)
{
	for (size_t i = 0; i < s->made_count; i++)
		store_projection_delete(s->store, s->made[i]);
	s->made_count = 0;
}

bool batch_begin(struct sync *s)
{
	struct err err = { 0 };

	if (store_begin(s->store, &err) < 0) {
		s->store_failed = true;
		account_fail(s, &err);
		return false;
	}
	s->unshown = false;
	note_run(s);
	return true;
}

/* The records in memory are of a transaction that came to nothing. */
static bool drop(struct sync *s)
{
	s->store_failed = true;
	store_abort(s->store);
	free_projections(s);
	return false;
}

bool batch_end_whole(struct sync *s)
{
	return s->failed ? drop(s) : batch_end(s);
}

bool batch_end(struct sync *s)
{
	if (s->unshown)
		return drop(s);
	boxes_put(s);
	facts_put(s);
	batch_strike(s);
	point("sync.before-batch");
	store_commit(s->store, on_commit, s);
	point("sync.after-batch");
	/* Nothing was agreed: the Maildir stays as it is, and what is in memory is not believed any more. */
	if (s->store_failed)
		free_projections(s);
	else
		make_projections(s);
	return !s->store_failed;
}

void batch_commit(struct sync *s)
{
	if (!batch_begin(s))
		return;
	boxes_put_new(s);
	arrivals_flush(s);
	for (struct arrival *a = s->arrived; a; a = arrival_next(a))
		arrival_file(a);
	apply_pulls(s);
	apply_rules(s);
	if (s->options.dry_run) {
		boxes_put(s);
		store_abort(s->store);
		free_projections(s);
	} else {
		batch_end(s);
	}
	if (s->arrived_count > 0)
		s->failures = 0; /* it moves: a cut now is a new one */
	arrivals_free(s);
	labels_awaited(s);
	account_mark(s);
}

void batch_free(struct sync *s)
{
	free_projections(s);
	free(s->projections);
	free(s->made);
	arrivals_free(s);
}
