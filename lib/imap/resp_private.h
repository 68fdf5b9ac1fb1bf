/* What the files of the response reader share: the cursor, and the readers of what stands in more
 * than one kind of response. */
#ifndef IMAP_RESP_PRIVATE_H
#define IMAP_RESP_PRIVATE_H

#include "imap/resp.h"
#include "imap/token.h"

#define UINT63_MAX INT64_MAX

struct reader {
	struct tokens t;
	struct resp_space *s;
	struct imap_resp *resp;
	bool body_seen; /* a BODY[] item stood there, readable or not */
	bool own_emailid; /* EMAILID stood there, not only X-GM-MSGID */
};

/* Sections of one FETCH; those beyond are skipped. */
enum { SECTIONS_MAX = 64 };

/* Words that set bits. */
struct resp_bits {
	const char *name; /* in capitals */
	size_t len;
	uint32_t bits;
};
#define RESP_BITS(name, bits) { name, sizeof(name) - 1, bits }

/* A parenthesized list of flags; false, and *flags empty, where it is none. */
bool resp_flags(struct reader *r, struct imap_flags *flags);
/* An id of RFC 8474, with its parentheses or without; false where there is none. */
bool resp_object_id(struct reader *r, struct slice *id);
/* One more section of the FETCH. */
void resp_add_section(struct reader *r, const struct imap_section *section);
/* What follows "FETCH". */
void resp_fetch(struct reader *r);
/* What follows "OK", "NO" and so on. */
bool resp_find_cond(struct slice word, enum imap_cond *cond);
void resp_cond(struct reader *r, enum imap_cond cond);

#endif
