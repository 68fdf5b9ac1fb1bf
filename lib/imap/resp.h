/* From a response's text to a tagged union, in a single pass. Private to lib/imap. Never fails:
 * what cannot be read is IMAP_OTHER, or an item less. */
#ifndef IMAP_RESP_H
#define IMAP_RESP_H

#include "imap/imap.h"

/* The memory that a response's arrays and sets live in; used again by the next one. */
struct resp_space;
struct resp_space *resp_space_new(void);
void resp_space_free(struct resp_space *s);

/* `tag` gets the tag of a tagged response (resp->tagged). */
void resp_parse(struct resp_space *s, struct slice text, struct imap_resp *resp, struct slice *tag);

/* For the framer's callback: does `text`, which ends before a literal, end in a FETCH's "BODY[] "?
 * *uid is set where the response named it already, else 0. */
bool resp_is_body(struct slice text, uint32_t *uid);

#endif
