#include "base/uids.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/tap.h"

#define TOP "4294967295"

static char *text_of(const struct uids *u)
{
	struct buf out;

	buf_init(&out, 0);
	uids_print(u, 0, SIZE_MAX, &out);
	return buf_take(&out);
}

static void is_set(const struct uids *u, const char *want, const char *what)
{
	char *text = text_of(u);

	is_str(text, want, "%s", what);
	free(text);
}

static struct uids set_of(const char *text)
{
	struct uids u;

	uids_init(&u);
	if (text[0] != '\0' && uids_parse(&u, slice_of(text), SIZE_MAX) < 0)
		ok(0, "the table's \"%s\" is a set", text);
	return u;
}

static void test_parse(void)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{ "", NULL },
		{ "0", NULL },
		{ "0:5", NULL },
		{ "5:0", NULL },
		{ "*", NULL },
		{ "1:*", NULL },
		{ "01", NULL },
		{ "1,", NULL },
		{ ",1", NULL },
		{ "1,,2", NULL },
		{ "1:", NULL },
		{ ":1", NULL },
		{ "1:2:3", NULL },
		{ "1 ", NULL },
		{ " 1", NULL },
		{ "+1", NULL },
		{ "-1", NULL },
		{ "1;2", NULL },
		{ "4294967296", NULL },
		{ "1:4294967296", NULL },
		{ "18446744073709551617", NULL },
		{ "99999999999999999999999999999999", NULL },
		{ TOP, TOP },
		{ "1:" TOP, "1:" TOP },
		{ TOP ":1", "1:" TOP },
		{ TOP "," TOP ",4294967294", "4294967294:" TOP },
		{ TOP ",1", "1," TOP },
		{ "1", "1" },
		{ "7:7", "7" },
		{ "7,27,65:70", "7,27,65:70" },
		{ "70:65,27,7", "7,27,65:70" },
		{ "1,2,3", "1:3" },
		{ "3,2,1", "1:3" },
		{ "1:5,2:3", "1:5" },
		{ "2:3,1:5", "1:5" },
		{ "1:3,3:5", "1:5" },
		{ "1:2,4:5", "1:2,4:5" },
		{ "5,1:" TOP ",9", "1:" TOP },
		{ "9,9,9", "9" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct uids u = set_of("11:12");
		int rc = uids_parse(&u, slice_of(rows[i].text), 5);
		is_int(rc, rows[i].want == NULL ? -1 : 0, "parse \"%s\"", rows[i].text);
		is_set(&u, rows[i].want == NULL ? "11:12" : rows[i].want, rows[i].text);
		uids_release(&u);
	}
}

static void test_parse_limit(void)
{
	struct uids u = set_of("9");
	const char unterminated[] = { '1', '2', '3' };

	is_int(uids_parse(&u, slice_of("1"), 0), -1, "no range is allowed");
	is_int(uids_parse(&u, slice_of("1,3,5"), 2), -1, "one range too many");
	is_int(uids_parse(&u, slice_of("1,2,3"), 2), -1, "ranges are counted as they stand in the text");
	is_set(&u, "9", "refused: unchanged");
	is_int(uids_parse(&u, slice_of("1,3,5"), 3), 0, "as many as allowed");
	is_set(&u, "1,3,5", "the set replaces what was there");
	is_int(uids_parse(&u, (struct slice){ unterminated, 2 }, 1), 0, "a slice ends where it ends");
	is_set(&u, "12", "and not behind");
	is_int(uids_parse(&u, (struct slice){ NULL, 0 }, 1), -1, "no text at all");
	uids_release(&u);
}

/* One by one, the descending half million would take minutes. */
static void test_parse_descending(void)
{
	enum { COUNT = 500000 };
	struct buf text;
	struct uids u;

	buf_init(&text, 0);
	for (uint32_t uid = 2 * COUNT; uid > 0; uid -= 2)
		buf_addf(&text, "%s%u", text.len > 0 ? "," : "", uid);
	uids_init(&u);
	is_int(uids_parse(&u, buf_slice(&text), COUNT), 0, "a long descending set");
	is_int(u.count, COUNT, "all its ranges");
	is_int(uids_last(&u), 2 * COUNT, "the last of them");
	uids_release(&u);
	buf_release(&text);
}

static void test_range_operations(void)
{
	static const struct {
		const char *set;
		char operation;
		uint32_t first, last;
		const char *want;
	} rows[] = {
		{ "", '+', 1, UID_MAX, "1:" TOP },
		{ "", '+', UID_MAX, UID_MAX, TOP },
		{ "", '+', 1, 1, "1" },
		{ "5", '+', 9, 8, "5" },
		{ "5", '+', 1, 0, "5" },
		{ "1", '+', UID_MAX, UID_MAX, "1," TOP },
		{ "4294967294", '+', UID_MAX, UID_MAX, "4294967294:" TOP },
		{ TOP, '+', UID_MAX, UID_MAX, TOP },
		{ "5:6", '+', 7, 7, "5:7" },
		{ "5:6", '+', 4, 4, "4:6" },
		{ "5:6", '+', 8, 8, "5:6,8" },
		{ "5:6", '+', 3, 3, "3,5:6" },
		{ "5:6,8:9", '+', 7, 7, "5:9" },
		{ "1,3,5,7,9", '+', 4, 6, "1,3:7,9" },
		{ "1,3,5,7,9", '+', 2, 8, "1:9" },
		{ "1,3,5,7,9", '+', 5, 5, "1,3,5,7,9" },
		{ "1,10,20", '+', 11, 12, "1,10:12,20" },
		{ "10:20", '+', 12, 13, "10:20" },
		{ "10:20,30:40", '+', 15, 35, "10:40" },
		{ "", '-', 1, UID_MAX, "" },
		{ "1:" TOP, '-', 1, UID_MAX, "" },
		{ "1:" TOP, '-', 0, UID_MAX, "" },
		{ "1:" TOP, '-', 0, 0, "1:" TOP },
		{ "1:" TOP, '-', 1, 1, "2:" TOP },
		{ "1:" TOP, '-', UID_MAX, UID_MAX, "1:4294967294" },
		{ "1:" TOP, '-', 5, 6, "1:4,7:" TOP },
		{ "1:9", '-', 6, 5, "1:9" },
		{ "1:9", '-', 10, 20, "1:9" },
		{ "5:9", '-', 1, 4, "5:9" },
		{ "1,3,5,7", '-', 3, 5, "1,7" },
		{ "1,3,5,7", '-', 2, 2, "1,3,5,7" },
		{ "1:3,5:7,9:11", '-', 2, 10, "1,11" },
		{ "1:3,5:7,9:11", '-', 4, 8, "1:3,9:11" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct uids u = set_of(rows[i].set);
		char what[100];
		snprintf(what, sizeof what, "%s %c %u:%u", rows[i].set, rows[i].operation,
			rows[i].first, rows[i].last);
		if (rows[i].operation == '+')
			uids_add_range(&u, rows[i].first, rows[i].last);
		else
			uids_remove_range(&u, rows[i].first, rows[i].last);
		is_set(&u, rows[i].want, what);
		uids_release(&u);
	}
}

static void test_set_operations(void)
{
	static const struct {
		const char *a, *b, *both, *either, *without;
	} rows[] = {
		{ "", "", "", "", "" },
		{ "1", "", "", "1", "1" },
		{ "", "1", "", "1", "" },
		{ "1:" TOP, "1:" TOP, "1:" TOP, "1:" TOP, "" },
		{ "1:" TOP, TOP, TOP, "1:" TOP, "1:4294967294" },
		{ TOP, "1:" TOP, TOP, "1:" TOP, "" },
		{ "1:" TOP, "1,3,5", "1,3,5", "1:" TOP, "2,4,6:" TOP },
		{ "1,3,5", "2,4", "", "1:5", "1,3,5" },
		{ "1:3,7:9", "3:7", "3,7", "1:9", "1:2,8:9" },
		{ "1:3,7:9,20", "2:8,30", "2:3,7:8", "1:9,20,30", "1,9,20" },
		{ "10:20", "1:5,12:13,15,25", "12:13,15", "1:5,10:20,25", "10:11,14,16:20" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct uids a = set_of(rows[i].a), b = set_of(rows[i].b), u;
		char what[100];
		snprintf(what, sizeof what, "\"%s\" and \"%s\"", rows[i].a, rows[i].b);
		uids_init(&u);
		uids_copy(&u, &a);
		uids_intersect(&u, &b);
		is_set(&u, rows[i].both, what);
		uids_copy(&u, &a);
		uids_add_all(&u, &b);
		is_set(&u, rows[i].either, what);
		uids_copy(&u, &a);
		uids_remove_all(&u, &b);
		is_set(&u, rows[i].without, what);
		is_set(&b, rows[i].b, "the other set is as it was");
		uids_release(&u);
		uids_release(&a);
		uids_release(&b);
	}
}

static void test_with_itself(void)
{
	struct uids u = set_of("1:3,7");

	uids_copy(&u, &u);
	uids_add_all(&u, &u);
	is_set(&u, "1:3,7", "a set and itself");
	uids_intersect(&u, &u);
	is_set(&u, "1:3,7", "what it has in common with itself");
	uids_remove_all(&u, &u);
	is_set(&u, "", "a set without itself");
	uids_release(&u);
}

static void test_questions(void)
{
	struct uids u = set_of("3,5:7," TOP);
	static const struct {
		uint32_t uid, next;
		bool has;
	} rows[] = {
		{ 0, 0, false }, { 1, 3, false }, { 3, 3, true }, { 4, 5, false }, { 5, 5, true },
		{ 6, 6, true }, { 7, 7, true }, { 8, UID_MAX, false }, { UID_MAX, UID_MAX, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		is_int(uids_has(&u, rows[i].uid), rows[i].has, "has %u", rows[i].uid);
		is_int(uids_next(&u, rows[i].uid), rows[i].next, "next from %u", rows[i].uid);
	}
	is_int(uids_count(&u), 5, "count");
	is_int(uids_last(&u), UID_MAX, "last");
	int turns = 0;
	for (uint32_t uid = uids_next(&u, 1); uid != 0 && turns < 9; uid = uids_next(&u, uid + 1))
		turns++;
	is_int(turns, 5, "a loop ends after the greatest UID");
	ok(!uids_is_empty(&u), "not empty");
	uids_clear(&u);
	ok(uids_is_empty(&u) && uids_count(&u) == 0 && uids_last(&u) == 0, "cleared");
	ok(!uids_has(&u, 1) && uids_next(&u, 1) == 0, "an empty set has nothing");
	uids_add_range(&u, 1, UID_MAX);
	is_int(uids_count(&u), UINT32_MAX, "the count of all UIDs");
	uids_release(&u);
	uids_release(&u);
}

static void test_print(void)
{
	static const struct {
		const char *set;
		uint32_t from;
		size_t max_octets;
		const char *want;
		uint32_t next;
	} rows[] = {
		{ "", 0, 22, "", 0 },
		{ "5", 6, 22, "", 0 },
		{ "1:" TOP, 0, 22, "1:" TOP, 0 },
		{ "1:" TOP, UID_MAX, 22, TOP, 0 },
		{ "5:9", 7, 22, "7:9", 0 },
		{ "5:9,11", 10, 22, "11", 0 },
		{ "1111111111:2111111111,3000000000:3111111111", 0, 22, "1111111111:2111111111",
			3000000000 },
		{ "1111111111:2111111111,3000000000:3111111111", 1111111112, 43,
			"1111111112:2111111111,3000000000:3111111111", 0 },
		{ "1111111111:2111111111,3000000000:3111111111", 1111111112, 42,
			"1111111112:2111111111", 3000000000 },
		{ "1,3,5,7,9,11,13,15,17,19", 0, 22, "1,3,5,7,9,11,13,15,17", 19 },
		{ "1,3,5,7,9,11,13,15,17,19", 0, 23, "1,3,5,7,9,11,13,15,17", 19 },
		{ "1,3,5,7,9,11,13,15,17,19", 0, 24, "1,3,5,7,9,11,13,15,17,19", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct uids u = set_of(rows[i].set);
		struct buf out;
		buf_init(&out, 0);
		buf_add_str(&out, "UID ");
		is_int(uids_print(&u, rows[i].from, rows[i].max_octets, &out), rows[i].next,
			"row %zu: where to go on", i);
		is_str(buf_str(&out) + 4, rows[i].want, "row %zu", i);
		buf_release(&out);
		uids_release(&u);
	}
}

static void test_print_ceiling(void)
{
	struct uids u = set_of("100,200,300");
	struct buf out;

	buf_init(&out, 8);
	is_int(uids_print(&u, 0, 100, &out), 300, "the buffer's ceiling ends a chunk, too");
	is_str(buf_str(&out), "100,200", "between two ranges");
	buf_release(&out);
	uids_release(&u);
}

/* The model: 200 UIDs as an array of bool, at the lower or at the upper end of what a UID can be. */
enum { MODEL = 200 };

struct model {
	uint32_t base; /* the UID of has[0] */
	bool has[MODEL];
};

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 8) % limit;
}

static bool same_as_model(const struct uids *u, const struct model *m)
{
	uint64_t count = 0;
	uint32_t next = 0, last = 0;

	for (size_t i = 0; i < u->count; i++) {
		if (u->ranges[i].first > u->ranges[i].last)
			return false;
		if (i > 0 && (uint64_t)u->ranges[i - 1].last + 1 >= u->ranges[i].first)
			return false;
	}
	for (uint32_t i = MODEL; i-- > 0;) {
		uint32_t uid = m->base + i;
		last = m->has[i] && last == 0 ? uid : last;
		next = m->has[i] ? uid : next;
		count += m->has[i];
		if (uids_has(u, uid) != m->has[i] || uids_next(u, uid) != next)
			return false;
	}
	return uids_count(u) == count && uids_last(u) == last && uids_is_empty(u) == (count == 0);
}

static void random_set(struct uids *u, struct model *m)
{
	uids_clear(u);
	memset(m->has, 0, sizeof m->has);
	for (uint32_t n = random_below(12); n > 0; n--) {
		uint32_t first = random_below(MODEL), len = random_below(MODEL - first) / 8;
		uids_add_range(u, m->base + first, m->base + first + len);
		for (uint32_t i = first; i <= first + len; i++)
			m->has[i] = true;
	}
}

static void random_range(struct uids *u, struct model *m, bool add)
{
	uint32_t first = random_below(MODEL), last = first + random_below(MODEL - first) / 4;

	for (uint32_t i = first; i <= last; i++)
		m->has[i] = add;
	if (add && first == last)
		uids_add(u, m->base + first);
	else if (add)
		uids_add_range(u, m->base + first, m->base + last);
	else
		uids_remove_range(u, m->base + first, m->base + last);
}

static void random_merge(struct uids *u, struct model *m, uint32_t operation)
{
	struct model other = { .base = m->base };
	struct uids set;

	uids_init(&set);
	random_set(&set, &other);
	for (size_t i = 0; i < MODEL; i++)
		m->has[i] = operation == 0 ? m->has[i] || other.has[i]
			: operation == 1 ? m->has[i] && !other.has[i] : m->has[i] && other.has[i];
	if (operation == 0)
		uids_add_all(u, &set);
	else if (operation == 1)
		uids_remove_all(u, &set);
	else
		uids_intersect(u, &set);
	uids_release(&set);
}

static bool survives_print(const struct uids *u)
{
	struct buf out;
	struct uids back, part;
	uint32_t from = 0;

	buf_init(&out, 0);
	uids_init(&back);
	uids_init(&part);
	do {
		buf_clear(&out);
		from = uids_print(u, from, 22 + random_below(30), &out);
		if (out.len > 0 && uids_parse(&part, buf_slice(&out), 100) == 0)
			uids_add_all(&back, &part);
	} while (from != 0);
	bool same = back.count == u->count && (u->count == 0 ||
		memcmp(back.ranges, u->ranges, u->count * sizeof *u->ranges) == 0);
	uids_release(&part);
	uids_release(&back);
	buf_release(&out);
	return same;
}

static void test_against_model(uint32_t base, const char *what)
{
	struct model m = { .base = base };
	struct uids u;
	int turn = 0;
	bool good = true;

	uids_init(&u);
	for (; turn < 50000 && good; turn++) {
		uint32_t operation = random_below(10);
		if (operation == 0)
			random_set(&u, &m);
		else if (operation < 4)
			random_merge(&u, &m, operation - 1);
		else
			random_range(&u, &m, operation < 7);
		good = same_as_model(&u, &m) && survives_print(&u);
	}
	ok(good, "%s: %d random operations agree with the model", what, turn);
	if (!good)
		diag("the set has become %s", text_of(&u));
	uids_release(&u);
}

static void test_many_appends(void)
{
	enum { COUNT = 3000000 };
	struct uids u;

	uids_init(&u);
	for (uint32_t i = 1; i <= COUNT; i++)
		uids_add(&u, i * 2);
	is_int(u.count, COUNT, "ascending appends");
	for (uint32_t i = 1; i <= COUNT; i++)
		uids_add(&u, i * 2);
	is_int(u.count, COUNT, "adding what is there changes nothing");
	uids_release(&u);
}

int main(void)
{
	test_parse();
	test_parse_limit();
	test_parse_descending();
	test_range_operations();
	test_set_operations();
	test_with_itself();
	test_questions();
	test_print();
	test_print_ceiling();
	test_against_model(1, "lowest UIDs");
	test_against_model(UID_MAX - MODEL + 1, "highest UIDs");
	test_many_appends();
	return done_testing();
}
