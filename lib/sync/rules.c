/* Rules: the user changed which bodies are wanted, or runs another profile: the messages that are
 * known are looked at anew. What is here stays here (S9): a body is dropped only by the user. What was
 * asked for by name stays wanted. Local work, in pieces; the mailbox's record takes the new
 * fingerprint with the last piece, so that a crash in between begins again. */
#include "sync/private.h"

bool rules_apply(struct box *box, unsigned *limit)
{
	struct sync *s = box->sync;
	struct store_message m;
	bool more;

	store_message_init(&m);
	while ((more = store_message_next(s->store, box->rec.id, box->rules_after, &m)) && *limit > 0) {
		bool owed = m.state & STORE_BODY_OWED;
		bool wanted = (m.state & STORE_WANTED) ||
			      plan_wants_body(&box->rules, s->now, m.date, m.size, m.flags.system);
		box->rules_after = m.uid;
		--*limit;
		if (m.body || (m.state & STORE_UNMATCHED) || owed == wanted)
			continue;
		m.state ^= STORE_BODY_OWED;
		store_message_put(s->store, &m);
		s->progress.messages += wanted ? 1 : (uint64_t)-1;
		s->progress.octets += wanted ? m.size : -m.size;
		if (wanted && m.uid <= box->haul_after)
			box->haul_after = m.uid - 1;
		box->may_owe |= wanted;
		box->result.bodies += wanted;
	}
	store_message_release(&m);
	if (more)
		return true;
	box->rec.rules = conf_rules_fingerprint(&box->rules);
	box->rec_changed = true;
	box->rules_changed = false;
	return false;
}
