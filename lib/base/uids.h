/* A set of UIDs, as ascending, disjoint, non-adjacent ranges (RFC 9051 section 9, sequence-set).
 * UIDs are 1 to 4294967295 (S1). A set is as large as the number of its ranges, so that
 * `VANISHED 1:4294967295` costs nothing (S6). */
#ifndef BASE_UIDS_H
#define BASE_UIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define UID_MAX UINT32_MAX

struct uid_range {
	uint32_t first, last; /* both included, first <= last */
};

struct uids {
	struct uid_range *ranges;
	size_t count; /* of ranges */
	size_t size;
};

void uids_init(struct uids *u);
void uids_release(struct uids *u);
void uids_clear(struct uids *u);
void uids_copy(struct uids *to, const struct uids *from);

/* Appending in ascending order costs O(1), elsewhere O(ranges). A range whose first is above its
 * last is empty; to add 0 is a broken invariant, to remove it or to ask for it is none. */
void uids_add(struct uids *u, uint32_t uid);
void uids_add_range(struct uids *u, uint32_t first, uint32_t last);
void uids_add_all(struct uids *u, const struct uids *other);
void uids_remove_range(struct uids *u, uint32_t first, uint32_t last);
void uids_remove_all(struct uids *u, const struct uids *other);
/* Keeps only what is in both. */
void uids_intersect(struct uids *u, const struct uids *other);

bool uids_has(const struct uids *u, uint32_t uid); /* O(log ranges) */
bool uids_is_empty(const struct uids *u);
uint64_t uids_count(const struct uids *u); /* of UIDs */
uint32_t uids_last(const struct uids *u);  /* 0 where empty */

/* Iterates over single UIDs ascending, from 1: the smallest that is >= uid, or 0 at the end. 0 is
 * no UID and gives 0, so that a loop which goes on with uid + 1 ends after 4294967295, too. */
uint32_t uids_next(const struct uids *u, uint32_t uid);

/* Parses a sequence-set ("7,27,65:70"), any order, doubled or reversed ranges taken as a set. No
 * "*", no 0. At most max_ranges ranges. *u becomes the set. Returns 0, or -1 with *u unchanged. */
int uids_parse(struct uids *u, struct slice text, size_t max_ranges);

/* Adds to *out at most max_octets of the set's text, beginning with the smallest UID >= from.
 * Returns where to go on, or 0 where the set is used up: a set that is too long for one command
 * line goes out in several (C6). max_octets is at least 22, so that each call moves on. */
uint32_t uids_print(const struct uids *u, uint32_t from, size_t max_octets, struct buf *out);

#endif
