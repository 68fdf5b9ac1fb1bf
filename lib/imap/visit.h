/* Whose is it: which mailbox an untagged response belongs to. Private to lib/imap; pure. The
 * reasoning stands at the top of visit.c. */
#ifndef IMAP_VISIT_H
#define IMAP_VISIT_H

#include "imap/imap.h"

/* One stay in a mailbox: from its SELECT (or EXAMINE) to the next one. */
struct visit {
	void *box;           /* the owner */
	unsigned unanswered; /* commands of it, its SELECT among them */
	bool sent;           /* its SELECT is on the wire */
	bool answered;       /* and was answered */
	bool failed;         /* by NO or BAD */
	bool pipelined;      /* it was sent behind unanswered commands of another visit */
	struct visit *next;
};

/* What the server must have selected, as far as its output up to here tells. */
enum visit_server { SERVER_NONE, SERVER_OPEN, SERVER_UNKNOWN };

struct visits {
	struct visit *first, *last; /* in the order in which they were handed over */
	struct visit *now;          /* whose responses come at this point of the server's output */
	enum visit_server server;
};

void visits_release(struct visits *v);
struct visit *visits_add(struct visits *v, void *box);
/* One command of the visit less to wait for; forgets visits that nobody needs. */
void visits_answered(struct visits *v, struct visit *visit);

/* Its SELECT was answered. False: it was pipelined behind another mailbox and went OK without
 * [CLOSED], so what came since the other's last answer cannot be told apart. */
bool visits_select_answered(struct visits *v, struct visit *visit, bool went_ok);
/* [CLOSED] came. */
void visits_closed(struct visits *v);

/* Does this kind of response speak of the selected mailbox? */
bool visits_is_of_mailbox(const struct imap_resp *resp);
/* The owner of such a response, NULL where nobody can prove whose it is. */
void *visits_owner(struct visits *v, const struct imap_resp *resp);
/* The same for a literal of a FETCH response. */
void *visits_body_owner(struct visits *v);

#endif
