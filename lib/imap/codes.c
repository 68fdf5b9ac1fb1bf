/* The codes that tell what a change has done: UIDs in the order in which they were written, for the
 * n-th message of one list is the n-th of the other. A set would lose that. */
#include <stdlib.h>

#include "imap/imap.h"
#include "imap/token.h"
#include "imap/word.h"

/* In one list, and ranges of MODIFIED: far more than any command names. */
enum { CODES_UIDS_MAX = 200000 };

void imap_uid_list_release(struct imap_uid_list *list)
{
	free(list->uids);
	*list = (struct imap_uid_list){ 0 };
}

static bool to_uid(struct slice text, uint32_t *uid)
{
	uint64_t n;

	if (!token_to_number(text, UID_MAX, &n) || n == 0)
		return false;
	*uid = (uint32_t)n;
	return true;
}

/* Takes "7" or "9:7" off *set, with its comma. */
static bool next_range(struct slice *set, struct uid_range *range)
{
	const char *comma = memchr(set->data, ',', set->len);
	struct slice text = { set->data, comma != NULL ? (size_t)(comma - set->data) : set->len };
	const char *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
	struct slice first = { text.data, colon != NULL ? (size_t)(colon - text.data) : text.len };
	struct slice last = { text.data + text.len - first.len, first.len };
	uint32_t a, b;

	if (colon != NULL)
		last = (struct slice){ colon + 1, text.len - first.len - 1 };
	if (!to_uid(first, &a) || !to_uid(last, &b))
		return false;
	*range = (struct uid_range){ a < b ? a : b, a < b ? b : a };
	set->data += text.len + (comma != NULL);
	set->len -= text.len + (comma != NULL);
	return comma == NULL || set->len > 0;
}

/* How many UIDs the set names; 0 where it cannot be used. */
static size_t count_uids(struct slice set)
{
	struct uid_range range;
	uint64_t count = 0;

	while (set.len > 0) {
		if (!next_range(&set, &range))
			return 0;
		count += (uint64_t)range.last - range.first + 1;
		if (count > CODES_UIDS_MAX)
			return 0;
	}
	return (size_t)count;
}

static bool read_list(struct slice set, struct imap_uid_list *list)
{
	size_t count = count_uids(set);
	struct uid_range range;

	if (count == 0)
		return false;
	*list = (struct imap_uid_list){ mem_grow(NULL, count, sizeof *list->uids), 0 };
	while (set.len > 0 && next_range(&set, &range))
		for (uint64_t uid = range.first; uid <= range.last; uid++)
			list->uids[list->count++] = (uint32_t)uid;
	return true;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool has_twice(const struct imap_uid_list *list)
{
	uint32_t *sorted = mem_grow(NULL, list->count, sizeof *sorted);
	bool twice = false;

	memcpy(sorted, list->uids, list->count * sizeof *sorted);
	qsort(sorted, list->count, sizeof *sorted, compare);
	for (size_t i = 1; i < list->count && !twice; i++)
		twice = sorted[i] == sorted[i - 1];
	free(sorted);
	return twice;
}

/* The UIDVALIDITY and `count` more words, no more and no less. */
static bool split(const struct imap_resp *r, uint64_t *uidvalidity, struct slice *sets, size_t count)
{
	struct slice rest = r->cond.code_text, word;

	if (!word_next(&rest, &word) || !token_to_number(word, INT64_MAX, uidvalidity)
			|| *uidvalidity == 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!word_next(&rest, &sets[i]))
			return false;
	return !word_next(&rest, &word);
}

static bool has_code(const struct imap_resp *r, enum imap_code code)
{
	return r->kind == IMAP_COND && r->cond.code == code;
}

bool imap_appenduid(const struct imap_resp *r, uint64_t *uidvalidity, struct imap_uid_list *uids)
{
	struct imap_uid_list list;
	struct slice set;
	uint64_t validity;

	if (!has_code(r, IMAP_APPENDUID) || !split(r, &validity, &set, 1) || !read_list(set, &list))
		return false;
	*uidvalidity = validity;
	*uids = list;
	return true;
}

bool imap_copyuid(const struct imap_resp *r, uint64_t *uidvalidity, struct imap_uid_list *from,
	struct imap_uid_list *to)
{
	struct imap_uid_list source, target;
	struct slice sets[2];
	uint64_t validity;

	if (!has_code(r, IMAP_COPYUID) || !split(r, &validity, sets, 2) || !read_list(sets[0], &source))
		return false;
	if (!read_list(sets[1], &target)) {
		imap_uid_list_release(&source);
		return false;
	}
	if (source.count != target.count || has_twice(&source)) {
		imap_uid_list_release(&source);
		imap_uid_list_release(&target);
		return false;
	}
	*uidvalidity = validity;
	*from = source;
	*to = target;
	return true;
}

bool imap_modified(const struct imap_resp *r, struct uids *set)
{
	if (!has_code(r, IMAP_MODIFIED) || (r->cond.cond != IMAP_OK && r->cond.cond != IMAP_NO))
		return false;
	return uids_parse(set, r->cond.code_text, CODES_UIDS_MAX) == 0;
}
