/* The input is up to two lines, each a sequence-set. What parses is printed in chunks and parsed
 * again, and the set operations on the two sets must agree with each other. */
#include "base/uids.h"

#include "base/err.h"
#include "fuzz/fuzz.h"

#define MOST_RANGES 1000

static void check_ranges(const struct uids *u)
{
	uint64_t count = 0;

	for (size_t i = 0; i < u->count; i++) {
		INVARIANT(u->ranges[i].first > 0);
		INVARIANT(u->ranges[i].first <= u->ranges[i].last);
		INVARIANT(i == 0 || u->ranges[i].first - 1 > u->ranges[i - 1].last);
		INVARIANT(uids_has(u, u->ranges[i].first));
		INVARIANT(uids_next(u, u->ranges[i].last) == u->ranges[i].last);
		count += (uint64_t)u->ranges[i].last - u->ranges[i].first + 1;
	}
	INVARIANT(uids_count(u) == count);
	INVARIANT(uids_is_empty(u) == (count == 0));
}

static void check_same(const struct uids *a, const struct uids *b)
{
	check_ranges(a);
	INVARIANT(a->count == b->count);
	INVARIANT(a->count == 0 ||
		memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0);
}

static void check_print(const struct uids *u, size_t max_octets)
{
	struct buf text;
	struct uids back, chunk;
	uint32_t from = 0;

	buf_init(&text, 0);
	uids_init(&back);
	uids_init(&chunk);
	do {
		uint32_t next = uids_print(u, from, max_octets, &text);
		INVARIANT(next == 0 || next > from);
		INVARIANT(text.len <= max_octets);
		INVARIANT(u->count == 0 || uids_parse(&chunk, buf_slice(&text), MOST_RANGES) == 0);
		uids_add_all(&back, &chunk);
		buf_clear(&text);
		from = next;
	} while (from != 0);
	check_same(&back, u);
	uids_release(&chunk);
	uids_release(&back);
	buf_release(&text);
}

/* One range at a time must come to what the merges come to. */
static void check_merges(const struct uids *a, const struct uids *b)
{
	struct uids merged, single;

	uids_init(&merged);
	uids_init(&single);
	uids_copy(&merged, a);
	uids_copy(&single, a);
	uids_add_all(&merged, b);
	for (size_t i = b->count; i-- > 0;)
		uids_add_range(&single, b->ranges[i].first, b->ranges[i].last);
	check_same(&merged, &single);

	uids_copy(&merged, a);
	uids_copy(&single, a);
	uids_remove_all(&merged, b);
	for (size_t i = b->count; i-- > 0;)
		uids_remove_range(&single, b->ranges[i].first, b->ranges[i].last);
	check_same(&merged, &single);
	uids_release(&merged);
	uids_release(&single);
}

/* What is in both, and what is only in one, is all that is in either, and nothing twice. */
static void check_parts(const struct uids *a, const struct uids *b)
{
	struct uids both, only_a, either;

	uids_init(&both);
	uids_init(&only_a);
	uids_init(&either);
	uids_copy(&both, a);
	uids_intersect(&both, b);
	uids_copy(&only_a, a);
	uids_remove_all(&only_a, b);
	uids_copy(&either, a);
	uids_add_all(&either, b);
	check_ranges(&both);
	INVARIANT(uids_count(&both) + uids_count(&only_a) == uids_count(a));
	INVARIANT(uids_count(&only_a) + uids_count(b) == uids_count(&either));

	uids_add_all(&only_a, &both);
	check_same(&only_a, a);
	uids_intersect(&either, b);
	check_same(&either, b);
	uids_release(&both);
	uids_release(&only_a);
	uids_release(&either);
}

static void parse_line(struct uids *u, struct slice line)
{
	uids_init(u);
	if (uids_parse(u, line, MOST_RANGES) < 0)
		INVARIANT(uids_is_empty(u));
	check_ranges(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
	size_t first = end != NULL ? (size_t)(end - text) : size;
	size_t rest = end != NULL ? size - first - 1 : 0;
	struct uids a, b;

	if (rest > 0 && text[size - 1] == '\n') /* the line end that editors add */
		rest--;
	parse_line(&a, (struct slice){ text, first });
	parse_line(&b, (struct slice){ rest > 0 ? end + 1 : "", rest });
	check_print(&a, 22);
	check_print(&a, 22 + size % 50);
	check_merges(&a, &b);
	check_parts(&a, &b);
	check_parts(&b, &a);
	uids_release(&a);
	uids_release(&b);
	return 0;
}
