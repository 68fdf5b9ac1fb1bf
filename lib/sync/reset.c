/* Reset: a mailbox's UIDs name other messages from now on (S2, S16), so every message loses its UID and
 * becomes an orphan: it keeps its local number, its body, its file and what the user did to it, and waits
 * for the new UID that match.c finds. What has nothing to be recognized by is forgotten.
 *
 * It goes in pieces; until the last one the mailbox's record has the old UIDVALIDITY, so that a crash
 * in between begins here again. */
#include "sync/actions.h"

bool reset_some(struct box *box, unsigned limit)
{
	const uint32_t kept = STORE_SHOWN | STORE_SHOWN_NEW | STORE_STAND_IN | STORE_WANTED;
	struct sync *s = box->sync;
	struct store_message m;
	bool more;

	store_message_init(&m);
	while ((more = store_message_next(s->store, box->rec.id, 0, &m)) && limit-- > 0) {
		settle_reset(s, &m, box->rec.name);
		if (!m.body && !m.emailid && !(m.state & STORE_SHOWN) && !match_has_id(m.message_id)) {
			store_message_delete(s->store, m.number);
			continue;
		}
		m.uid = 0;
		m.state = (m.state & kept) | STORE_ORPHAN;
		store_message_put(s->store, &m);
	}
	store_message_release(&m);
	return more;
}
