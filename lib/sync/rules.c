/* Rules: what is owed of each message: nothing, a stand-in, or its whole body (S9, S10).
 *
 * The user changed which bodies are wanted, or runs another profile: the messages that are known are
 * looked at anew. What is here stays here: a body is dropped only by the user or by its age (aged.c), and a
 * stand-in is only ever replaced by the whole message. What was asked for by name stays wanted. Local work, in pieces;
 * the mailbox's record takes the new fingerprint with the last piece, so that a crash in between
 * begins again. */
#include "sync/private.h"

static enum plan_body owed(const struct store_message *m)
{
	if (m->state & STORE_BODY_OWED)
		return standin_is_owed(m) ? PLAN_BODY_STAND_IN : PLAN_BODY_WHOLE;
	return m->state & STORE_SHOWN ? PLAN_BODY_STAND_IN : PLAN_BODY_NONE;
}

static enum plan_body wanted(const struct box *box, const struct store_message *m)
{
	enum plan_body b = plan_body(&box->rules, box->sync->now, m->date, m->size, m->flags.system);

	if (m->state & STORE_WANTED)
		return PLAN_BODY_WHOLE;
	if (!(m->state & STORE_SHOWN) || b == PLAN_BODY_WHOLE)
		return b;
	/* A stand-in is shown, and says that flagging it brings the whole message. */
	return m->flags.system & MAIL_FLAGGED ? PLAN_BODY_WHOLE : PLAN_BODY_STAND_IN;
}

/* For a message without body. */
static void owe(struct box *box, struct store_message *m, enum plan_body what)
{
	struct sync *s = box->sync;
	bool was = m->state & STORE_BODY_OWED, is = !(m->state & STORE_SHOWN) || what == PLAN_BODY_WHOLE;

	is = is && what != PLAN_BODY_NONE;
	m->state &= ~(uint32_t)STORE_BODY_OWED;
	if (!(m->state & STORE_SHOWN))
		m->state &= ~(uint32_t)STORE_STAND_IN;
	if (was != is) {
		s->progress.messages += is ? 1 : (uint64_t)-1;
		s->progress.octets += is ? m->size : -m->size;
		box->result.bodies += is;
	}
	if (!is)
		return;
	m->state |= STORE_BODY_OWED | (what == PLAN_BODY_STAND_IN ? STORE_STAND_IN : 0);
	box->may_owe = true;
	if (m->uid <= box->haul_after)
		box->haul_after = m->uid - 1;
}

void box_owe(struct box *box, struct store_message *m)
{
	enum plan_body what = wanted(box, m);

	if (!m->body && what > owed(m))
		owe(box, m, what);
}

bool rules_apply(struct box *box, unsigned *limit)
{
	struct sync *s = box->sync;
	struct aged_folder f = { 0 };
	struct store_message m;
	bool more;

	store_message_init(&m);
	while ((more = store_message_next(s->store, box->rec.id, box->rules_after, &m)) && *limit > 0) {
		box->rules_after = m.uid;
		--*limit;
		if (aged_drop(&f, box, &m) || m.body || (m.state & STORE_UNMATCHED) || owed(&m) == wanted(box, &m))
			continue;
		owe(box, &m, wanted(box, &m));
		store_message_put(s->store, &m);
	}
	store_message_release(&m);
	aged_folder_release(&f);
	if (more)
		return true;
	box->rec.rules = conf_rules_fingerprint(&box->rules);
	box->rec_changed = true;
	box->rules_changed = false;
	return false;
}
