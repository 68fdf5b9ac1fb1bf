/* What the codes of changes tell: lists in the order in which they were written. */
#include <inttypes.h>

#include "imap/resp.h"
#include "lib/tap.h"

static const struct {
	const char *text;
	const char *want; /* "VALIDITY: FROM > TO"; of APPENDUID without FROM; NULL: nothing */
} rows[] = {
	{ "a1 OK [COPYUID 1  ] moved", NULL }, /* hoodiecrow */
	{ "a1 OK [COPYUID 1] moved", NULL },
	{ "a1 OK [COPYUID] moved", NULL },
	{ "a1 OK [COPYUID 1 3] moved", NULL },
	{ "a1 OK [COPYUID 1 3 4 5] moved", NULL },
	{ "a1 OK [COPYUID 0 3 4] moved", NULL },
	{ "a1 OK [COPYUID x 3 4] moved", NULL },
	{ "a1 OK [COPYUID 9223372036854775808 3 4] moved", NULL },
	{ "a1 OK [COPYUID 99999999999999999999 3 4] moved", NULL },
	{ "a1 OK [COPYUID 9223372036854775807 3 4] moved", "9223372036854775807: 3 > 4" },
	{ "a1 OK [COPYUID 1528896777421 3 4] moved", "1528896777421: 3 > 4" }, /* Q78 */
	{ "a1 OK [COPYUID 7 0 4] moved", NULL },
	{ "a1 OK [COPYUID 7 3 0] moved", NULL },
	{ "a1 OK [COPYUID 7 0:2 4:6] moved", NULL },
	{ "a1 OK [COPYUID 7 * 4] moved", NULL },
	{ "a1 OK [COPYUID 7 3:* 4:5] moved", NULL },
	{ "a1 OK [COPYUID 7 3 4294967296] moved", NULL },
	{ "a1 OK [COPYUID 7 3 4294967295] moved", "7: 3 > 4294967295" },
	{ "a1 OK [COPYUID 7 4294967294:4294967295 2:1] moved", "7: 4294967294 4294967295 > 1 2" },
	{ "a1 OK [COPYUID 7 1:4294967295 1:4294967295] moved", NULL },
	{ "a1 OK [COPYUID 7 1:200001 1:200001] moved", NULL },
	{ "a1 OK [COPYUID 7 1:100000,200001:300001 1:200001] moved", NULL },
	{ "a1 OK [COPYUID 7 , 4] moved", NULL },
	{ "a1 OK [COPYUID 7 3, 4] moved", NULL },
	{ "a1 OK [COPYUID 7 ,3 4] moved", NULL },
	{ "a1 OK [COPYUID 7 3,,4 4:5] moved", NULL },
	{ "a1 OK [COPYUID 7 3: 4] moved", NULL },
	{ "a1 OK [COPYUID 7 :3 4] moved", NULL },
	{ "a1 OK [COPYUID 7 1:2:3 4:6] moved", NULL },
	{ "a1 OK [COPYUID 7 -3 4] moved", NULL },
	{ "a1 OK [COPYUID 7 3-4 4] moved", NULL },
	{ "a1 OK [COPYUID 7 3,4 5] moved", NULL }, /* unequal */
	{ "a1 OK [COPYUID 7 3 4,5] moved", NULL },
	{ "a1 OK [COPYUID 7 3,3 4,5] moved", NULL }, /* doubled */
	{ "a1 OK [COPYUID 7 3:5,4 6:9] moved", NULL },
	{ "a1 OK [COPYUID 7 9,3:5,8,5:4 1:7] moved", NULL },
	{ "a1 OK [COPYUID 7 3,4 5,5] moved", "7: 3 4 > 5 5" }, /* the caller's to judge */
	{ "a1 OK [COPYUID 7 9,7,5 1,2,3] moved", "7: 9 7 5 > 1 2 3" }, /* descending (Q10) */
	{ "a1 OK [COPYUID 7 9:7 3:1] moved", "7: 7 8 9 > 1 2 3" },
	{ "a1 OK [COPYUID 7 9:7 1:3] moved", "7: 7 8 9 > 1 2 3" },
	{ "a1 OK [COPYUID 7 304,320:319 3956:3958] moved", "7: 304 319 320 > 3956 3957 3958" },
	{ "a1 OK [COPYUID 7 5:5 6:6] moved", "7: 5 > 6" },
	{ "a1 OK [copyuid  7   3:4  6,5 ] moved", "7: 3 4 > 6 5" },
	{ "* OK [COPYUID 7 3 4] moved", "7: 3 > 4" },
	{ "a1 NO [COPYUID 7 3 4] half of it", "7: 3 > 4" },
	{ "a1 OK [APPENDUID 7 3] moved", "7: > 3" },
	{ "a1 OK [APPENDUID 7 ] moved", NULL },
	{ "a1 OK [APPENDUID 7 3 4] moved", NULL },
	{ "a1 OK [APPENDUID 0 3] moved", NULL },
	{ "a1 OK [APPENDUID 7 0] moved", NULL },
	{ "a1 OK [APPENDUID 7 5:4,9,1] moved", "7: > 4 5 9 1" },
	{ "* OK [APPENDUID 1528896777421 4294967295]", "1528896777421: > 4294967295" },
	{ "a1 OK [UIDVALIDITY 7] x", NULL },
	{ "a1 OK COPYUID 7 3 4", NULL },
	{ "* 3 EXISTS", NULL },
};

static void print_list(const struct imap_uid_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->count; i++)
		buf_addf(out, " %" PRIu32, list->uids[i]);
}

static void test_row(struct resp_space *space, const char *text, const char *want)
{
	uint32_t kept[2] = { 1, 2 };
	struct imap_uid_list from = { kept, 1 }, to = { kept + 1, 1 };
	uint64_t validity = 99;
	struct imap_resp resp;
	struct slice tag;
	struct buf out;

	buf_init(&out, 0);
	resp_parse(space, slice_of(text), &resp, &tag);
	if (imap_copyuid(&resp, &validity, &from, &to) || imap_appenduid(&resp, &validity, &to)) {
		buf_addf(&out, "%" PRIu64 ":", validity);
		if (from.uids != kept)
			print_list(&from, &out);
		buf_add_str(&out, " >");
		print_list(&to, &out);
	}
	is_str(buf_str(&out), want != NULL ? want : "", "%s", text);
	if (want == NULL)
		ok(validity == 99 && from.uids == kept && to.uids == kept + 1 && to.count == 1, "untouched");
	if (from.uids != kept)
		imap_uid_list_release(&from);
	if (to.uids != kept + 1)
		imap_uid_list_release(&to);
	buf_release(&out);
}

static const struct {
	const char *text;
	const char *want; /* NULL: nothing */
} modified[] = {
	{ "a1 OK [MODIFIED] x", NULL },
	{ "a1 OK [MODIFIED ] x", NULL },
	{ "a1 OK [MODIFIED 0] x", NULL },
	{ "a1 OK [MODIFIED *] x", NULL },
	{ "a1 OK [MODIFIED 7 9] x", NULL },
	{ "a1 OK [MODIFIED 7,] x", NULL },
	{ "a1 BAD [MODIFIED 7] x", NULL },
	{ "a1 OK [MODIFIEDS 7] x", NULL },
	{ "a1 OK [MODIFIED 9:7,7,1] x", "1,7:9" },
	{ "a1 NO [MODIFIED 2,101] x", "2,101" },
	{ "* OK [modified 4294967295] x", "4294967295" },
};

static void test_modified(struct resp_space *space, size_t i)
{
	struct uids set;
	struct imap_resp resp;
	struct slice tag;
	struct buf out;

	buf_init(&out, 0);
	uids_init(&set);
	uids_add(&set, 99);
	resp_parse(space, slice_of(modified[i].text), &resp, &tag);
	is_int(imap_modified(&resp, &set), modified[i].want != NULL, "%s", modified[i].text);
	uids_print(&set, 1, 1000, &out);
	is_str(buf_str(&out), modified[i].want != NULL ? modified[i].want : "99", "the messages");
	uids_release(&set);
	buf_release(&out);
}

/* As many as there may be, each by itself, in the worst order. */
static void test_many(struct resp_space *space, uint32_t count)
{
	struct imap_uid_list from, to;
	uint64_t validity;
	struct imap_resp resp;
	struct slice tag;
	struct buf text;

	buf_init(&text, 0);
	buf_add_str(&text, "a1 OK [COPYUID 7 ");
	for (uint32_t i = count; i > 0; i--)
		buf_addf(&text, "%" PRIu32 "%s", 2 * i, i > 1 ? "," : "");
	buf_addf(&text, " 1:%" PRIu32 "] done", count);
	resp_parse(space, buf_slice(&text), &resp, &tag);
	ok(imap_copyuid(&resp, &validity, &from, &to) == (count <= 200000), "%" PRIu32 " UIDs", count);
	if (count <= 200000) {
		is_int(from.count, count, "all of them");
		is_int(from.uids[0], 2 * count, "in their order");
		is_int(to.uids[count - 1], count, "on either side");
		imap_uid_list_release(&from);
		imap_uid_list_release(&to);
	}
	buf_release(&text);
}

int main(void)
{
	struct resp_space *space = resp_space_new();

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		test_row(space, rows[i].text, rows[i].want);
	for (size_t i = 0; i < sizeof modified / sizeof *modified; i++)
		test_modified(space, i);
	test_many(space, 200000);
	test_many(space, 200001);
	resp_space_free(space);
	return done_testing();
}
