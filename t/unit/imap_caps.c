#include "imap/caps.h"
#include "lib/tap.h"

static const struct {
	const char *list;
	enum imap_cap cap;
	bool has;
	const char *why;
} table[] = {
	{ "IMAP4rev1  UIDPLUS   IDLE ", IMAP_CAP_IDLE, true, "doubled, trailing spaces (Q81)" },
	{ "imap4REV1 idle", IMAP_CAP_IDLE, true, "case does not count" },
	{ "IMAP4rev1 IDLENESS XIDLE", IMAP_CAP_IDLE, false, "part of a word is nothing" },
	{ "IMAP4rev1 APPENDLIMIT=35651584", IMAP_CAP_APPENDLIMIT, true, "with its limit" },
	{ "IMAP4rev1 LITERAL-", IMAP_CAP_LITERAL_PLUS, false, "LITERAL- is not LITERAL+" },
	{ "IMAP4rev1 UTF8=ONLY", IMAP_CAP_UTF8_ACCEPT, true, "UTF8=ONLY wants the same ENABLE" },
	{ "IMAP4rev1 X-GM-EXT-1", IMAP_CAP_X_GM_EXT_1, true, "Gmail's own" },
	{ "IMAP4rev2", IMAP_CAP_MOVE, true, "rev2 holds MOVE" },
	{ "IMAP4rev2", IMAP_CAP_CONDSTORE, false, "rev2 does not hold CONDSTORE" },
	{ "", IMAP_CAP_IMAP4REV1, false, "an empty list" },
	{ " ", IMAP_CAP_IMAP4REV1, false, "a space" },
	{ "STATUS=SIZE COMPRESS=DEFLATE", IMAP_CAP_COMPRESS_DEFLATE, true, "the last word" },
};

/* What is avoided is not offered, by whatever word. */
static const struct {
	const char *list, *avoid;
	enum imap_cap cap;
	bool has;
	const char *why;
} avoided[] = {
	{ "IMAP4rev2 imap4rev1", "imap4REV2", IMAP_CAP_MOVE, false, "nor what only rev2 holds" },
	{ "IMAP4rev2 imap4rev1", "imap4REV2", IMAP_CAP_IMAP4REV1, true, "but rev1 stays" },
	{ "IMAP4rev2", "list-status", IMAP_CAP_LIST_STATUS, false, "what rev2 holds without naming it" },
	{ "CONDSTORE QRESYNC", "CONDSTORE", IMAP_CAP_QRESYNC, false, "QRESYNC would enable CONDSTORE" },
	{ "CONDSTORE QRESYNC", "QRESYNC", IMAP_CAP_CONDSTORE, true, "CONDSTORE without QRESYNC" },
	{ "UTF8=ONLY", "UTF8=ACCEPT", IMAP_CAP_UTF8_ACCEPT, false, "UTF8=ONLY means the same" },
	{ "APPENDLIMIT=5", "APPENDLIMIT", IMAP_CAP_APPENDLIMIT, false, "with its limit" },
	{ "LITERAL+ LITERAL-", "literal+", IMAP_CAP_LITERAL_MINUS, true, "LITERAL- is not LITERAL+" },
	{ "COMPRESS=DEFLATE", "COMPRESS=deflate", IMAP_CAP_COMPRESS_DEFLATE, false, "in any case" },
	{ "COMPRESS=DEFLATE", "COMPRESS", IMAP_CAP_COMPRESS_DEFLATE, true, "whole words only" },
};

static const struct {
	const char *list, *avoid;
	uint64_t limit;
} limits[] = {
	{ "IMAP4rev1 APPENDLIMIT=18446744073709551616", "X", 0 },
	{ "IMAP4rev1 APPENDLIMIT=9223372036854775808", "X", 0 },
	{ "IMAP4rev1 APPENDLIMIT=9223372036854775807", "X", INT64_MAX },
	{ "IMAP4rev1 APPENDLIMIT=", "X", 0 },
	{ "IMAP4rev1 APPENDLIMIT=5K", "X", 0 },
	{ "IMAP4rev1 APPENDLIMIT=-5", "X", 0 },
	{ "IMAP4rev1 APPENDLIMIT", "X", 0 },
	{ "IMAP4rev1 XAPPENDLIMIT=5", "X", 0 },
	{ "IMAP4rev1 appendlimit=35651584 IDLE", "X", 35651584 },
	{ "IMAP4rev1 APPENDLIMIT=35651584", "appendlimit", 0 },
	{ "IMAP4rev1", "X", 0 },
};

static void test_append_limits(void)
{
	struct caps caps;

	caps_init(&caps);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		const char *const avoid[] = { limits[i].avoid };
		caps.avoid = avoid;
		caps.avoid_count = 1;
		caps_parse(&caps, slice_of(limits[i].list));
		ok(caps.append_limit == limits[i].limit, "append limit: %s", limits[i].list);
	}
	caps_release(&caps);
}

static void test_avoided(void)
{
	for (size_t i = 0; i < sizeof avoided / sizeof *avoided; i++) {
		const char *const avoid[] = { "X-NOTHING", avoided[i].avoid };
		struct caps caps;
		caps_init(&caps);
		caps.avoid = avoid;
		caps.avoid_count = 2;
		caps_parse(&caps, slice_of(avoided[i].list));
		is_int(caps.has[avoided[i].cap], avoided[i].has, "%s avoided: %s", avoided[i].avoid,
			avoided[i].why);
		caps_parse(&caps, slice_of("AUTH=PLAIN auth=login"));
		ok(caps_auth(&caps, "PLAIN"), "mechanisms are not avoided");
		caps.avoid = (const char *const[]){ "Auth=Plain" };
		caps.avoid_count = 1;
		ok(!caps_auth(&caps, "PLAIN") && caps_auth(&caps, "LOGIN"), "until one is");
		ok(strstr(buf_str(&caps.text), "AUTH=PLAIN") != NULL, "the text is the server's");
		caps_release(&caps);
	}
}

int main(void)
{
	struct caps caps;

	caps_init(&caps);
	ok(!caps.known, "nothing is known at first");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		caps_parse(&caps, slice_of(table[i].list));
		ok(caps.known, "known: %s", table[i].why);
		is_int(caps.has[table[i].cap], table[i].has, "%s", table[i].why);
	}
	caps_parse(&caps, slice_of("IMAP4rev1 auth=plain AUTH=SCRAM-SHA-256-PLUS"));
	ok(caps_auth(&caps, "PLAIN"), "AUTH= in any case");
	ok(caps_auth(&caps, "SCRAM-SHA-256-PLUS"), "the whole name");
	ok(!caps_auth(&caps, "SCRAM-SHA-256"), "-PLUS is another mechanism");
	ok(!caps_auth(&caps, ""), "no mechanism");
	caps_forget(&caps);
	ok(!caps.known && !caps.has[IMAP_CAP_IMAP4REV1] && !caps_auth(&caps, "PLAIN"), "forgotten");
	caps_release(&caps);
	test_avoided();
	test_append_limits();
	return done_testing();
}
