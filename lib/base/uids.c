#include "base/uids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* "4294967295:4294967295" and its comma. */
#define LONGEST_RANGE 22

void uids_init(struct uids *u)
{
	*u = (struct uids){ 0 };
}

void uids_release(struct uids *u)
{
	free(u->ranges);
	uids_init(u);
}

void uids_clear(struct uids *u)
{
	u->count = 0;
}

static void make_room(struct uids *u, size_t count)
{
	if (count <= u->size)
		return;
	u->size = count < u->size * 2 ? u->size * 2 : count < 4 ? 4 : count;
	u->ranges = mem_grow(u->ranges, u->size, sizeof *u->ranges);
}

void uids_copy(struct uids *to, const struct uids *from)
{
	if (to == from)
		return;
	make_room(to, from->count);
	to->count = from->count;
	if (from->count > 0)
		memcpy(to->ranges, from->ranges, from->count * sizeof *from->ranges);
}

/* The first range that ends at uid or after it; count where none does. New mail has the highest
 * UIDs, so the end is looked at first. */
static size_t find(const struct uids *u, uint32_t uid)
{
	size_t low = 0, high = u->count;

	if (high == 0 || u->ranges[high - 1].last < uid)
		return high;
	if (high == 1 || u->ranges[high - 2].last < uid)
		return high - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (u->ranges[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first range that begins after uid. */
static size_t find_after(const struct uids *u, uint32_t uid)
{
	size_t at = find(u, uid);

	return at < u->count && u->ranges[at].first <= uid ? at + 1 : at;
}

/* Puts `count` ranges in the place of those from `from` up to and without `to`. */
static void replace(struct uids *u, size_t from, size_t to, const struct uid_range *ranges,
	size_t count)
{
	size_t tail = u->count - to;

	make_room(u, from + count + tail);
	if (from + count != to) /* else, mostly, nothing moves */
		memmove(u->ranges + from + count, u->ranges + to, tail * sizeof *u->ranges);
	if (count > 0)
		memcpy(u->ranges + from, ranges, count * sizeof *ranges);
	u->count = from + count + tail;
}

void uids_add(struct uids *u, uint32_t uid)
{
	uids_add_range(u, uid, uid);
}

void uids_add_range(struct uids *u, uint32_t first, uint32_t last)
{
	struct uid_range whole = { first, last };

	if (first > last)
		return;
	INVARIANT(first > 0);
	/* What only touches the new range becomes one with it, too. */
	size_t from = find(u, first - 1);
	size_t to = find_after(u, last < UID_MAX ? last + 1 : last);
	if (from < to && u->ranges[from].first < first)
		whole.first = u->ranges[from].first;
	if (from < to && u->ranges[to - 1].last > last)
		whole.last = u->ranges[to - 1].last;
	replace(u, from, to, &whole, 1);
}

void uids_remove_range(struct uids *u, uint32_t first, uint32_t last)
{
	struct uid_range left[2];
	size_t count = 0;

	if (first > last)
		return;
	size_t from = find(u, first), to = find_after(u, last);
	if (from == to)
		return;
	if (u->ranges[from].first < first)
		left[count++] = (struct uid_range){ u->ranges[from].first, first - 1 };
	if (u->ranges[to - 1].last > last)
		left[count++] = (struct uid_range){ last + 1, u->ranges[to - 1].last };
	replace(u, from, to, left, count);
}

/* The result of a merge is built beside its operands, and so `u` and `other` may be one set. */
static void become(struct uids *u, struct uids *result)
{
	free(u->ranges);
	*u = *result;
}

static void append(struct uids *u, uint32_t first, uint32_t last)
{
	make_room(u, u->count + 1);
	u->ranges[u->count++] = (struct uid_range){ first, last };
}

void uids_add_all(struct uids *u, const struct uids *other)
{
	struct uids result = { 0 };
	size_t i = 0, j = 0;

	if (other->count == 0)
		return;
	make_room(&result, u->count + other->count);
	while (i < u->count || j < other->count) {
		bool ours = j == other->count ||
			(i < u->count && u->ranges[i].first < other->ranges[j].first);
		struct uid_range next = ours ? u->ranges[i++] : other->ranges[j++];
		uids_add_range(&result, next.first, next.last);
	}
	become(u, &result);
}

void uids_remove_all(struct uids *u, const struct uids *other)
{
	struct uids result = { 0 };
	size_t j = 0;

	for (size_t i = 0; i < u->count; i++) {
		/* What is still left of the range: begin to its last, 64 bits to pass UID_MAX. */
		uint64_t begin = u->ranges[i].first;
		uint32_t last = u->ranges[i].last;
		while (j < other->count && other->ranges[j].last < begin)
			j++;
		while (j < other->count && other->ranges[j].first <= last) {
			if (other->ranges[j].first > begin)
				append(&result, (uint32_t)begin, other->ranges[j].first - 1);
			begin = (uint64_t)other->ranges[j].last + 1;
			if (begin > last)
				break; /* this one may reach into our next range */
			j++;
		}
		if (begin <= last)
			append(&result, (uint32_t)begin, last);
	}
	become(u, &result);
}

void uids_intersect(struct uids *u, const struct uids *other)
{
	struct uids result = { 0 };
	size_t i = 0, j = 0;

	while (i < u->count && j < other->count) {
		struct uid_range a = u->ranges[i], b = other->ranges[j];
		uint32_t first = a.first > b.first ? a.first : b.first;
		uint32_t last = a.last < b.last ? a.last : b.last;
		if (first <= last)
			append(&result, first, last);
		if (a.last == last)
			i++;
		if (b.last == last)
			j++;
	}
	become(u, &result);
}

bool uids_has(const struct uids *u, uint32_t uid)
{
	size_t at = find(u, uid);

	return at < u->count && u->ranges[at].first <= uid;
}

bool uids_is_empty(const struct uids *u)
{
	return u->count == 0;
}

uint64_t uids_count(const struct uids *u)
{
	uint64_t count = 0;

	for (size_t i = 0; i < u->count; i++)
		count += (uint64_t)u->ranges[i].last - u->ranges[i].first + 1;
	return count;
}

uint32_t uids_last(const struct uids *u)
{
	return u->count == 0 ? 0 : u->ranges[u->count - 1].last;
}

uint32_t uids_next(const struct uids *u, uint32_t uid)
{
	size_t at = find(u, uid);

	if (uid == 0 || at == u->count)
		return 0;
	return u->ranges[at].first > uid ? u->ranges[at].first : uid;
}

/* nz-number: no sign, no leading zero, 32 bits. */
static bool parse_uid(struct slice *text, uint32_t *uid)
{
	uint64_t value = 0;
	size_t n = 0;

	if (text->len == 0 || text->data[0] == '0')
		return false;
	for (; n < text->len && text->data[n] >= '0' && text->data[n] <= '9'; n++) {
		value = value * 10 + (uint64_t)(text->data[n] - '0');
		if (value > UID_MAX)
			return false;
	}
	text->data += n;
	text->len -= n;
	*uid = (uint32_t)value;
	return n > 0;
}

static bool skip_char(struct slice *text, char c)
{
	if (text->len == 0 || text->data[0] != c)
		return false;
	text->data++;
	text->len--;
	return true;
}

static bool parse_range(struct slice *text, struct uid_range *range)
{
	uint32_t a, b;

	if (!parse_uid(text, &a))
		return false;
	b = a;
	if (skip_char(text, ':') && !parse_uid(text, &b))
		return false;
	*range = (struct uid_range){ a < b ? a : b, a < b ? b : a };
	return true;
}

static int compare_first(const void *a, const void *b)
{
	const struct uid_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Ranges come from a server: inserted one by one, a descending million would cost its square. */
static void normalize(struct uids *u)
{
	size_t count = u->count;

	qsort(u->ranges, count, sizeof *u->ranges, compare_first);
	uids_clear(u);
	for (size_t i = 0; i < count; i++) /* never writes beyond what was read */
		uids_add_range(u, u->ranges[i].first, u->ranges[i].last);
}

int uids_parse(struct uids *u, struct slice text, size_t max_ranges)
{
	struct uids result = { 0 };
	struct uid_range range;
	bool sorted = true;

	do {
		if (result.count == max_ranges || !parse_range(&text, &range)) {
			uids_release(&result);
			return -1;
		}
		if (result.count > 0 && range.first - 1 <= uids_last(&result))
			sorted = false;
		append(&result, range.first, range.last);
	} while (skip_char(&text, ','));
	if (text.len > 0) {
		uids_release(&result);
		return -1;
	}
	if (!sorted)
		normalize(&result);
	become(u, &result);
	return 0;
}

static size_t print_range(char text[LONGEST_RANGE], uint32_t first, uint32_t last)
{
	int len = first == last ? snprintf(text, LONGEST_RANGE, "%u", first)
		: snprintf(text, LONGEST_RANGE, "%u:%u", first, last);

	return (size_t)len;
}

uint32_t uids_print(const struct uids *u, uint32_t from, size_t max_octets, struct buf *out)
{
	char text[1 + LONGEST_RANGE];
	size_t used = 0;

	INVARIANT(max_octets >= LONGEST_RANGE);
	for (size_t i = find(u, from); i < u->count; i++) {
		uint32_t first = u->ranges[i].first > from ? u->ranges[i].first : from;
		size_t comma = used > 0 ? 1 : 0;
		text[0] = ',';
		size_t len = comma + print_range(text + comma, first, u->ranges[i].last);
		if (len > max_octets - used)
			return first;
		if (!buf_add(out, text, len)) {
			INVARIANT(used > 0); /* a caller that goes on would never end */
			return first;
		}
		used += len;
	}
	return 0;
}
