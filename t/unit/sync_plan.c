/* The decisions that could lose mail, in tables: what may be left unopened (L2), how changes are asked
 * for (S3 to S6), whose cache it is (S2, S16), how ranges are split, which bodies are wanted (S9). */
#include "lib/tap.h"

#include "sync/plan.h"

#define ALL (IMAP_HAS_MESSAGES | IMAP_HAS_UIDNEXT | IMAP_HAS_UIDVALIDITY | IMAP_HAS_HIGHESTMODSEQ)

static struct store_mailbox record(void)
{
	return (struct store_mailbox){ .id = 1, .state = STORE_MAILBOX_WHOLE, .uidvalidity = 7,
		.uidnext = 11, .messages = 10, .highestmodseq = 100, .lastseen = 10 };
}

static void test_unchanged(void)
{
	static const struct {
		const char *what;
		struct plan_told told;
		uint32_t state;
		uint64_t modseq, owed;
		bool old_skip, unchanged;
	} cases[] = {
		{ "nothing told", { 0 }, 1, 100, 0, false, false },
		{ "all equal", { ALL, 10, 11, 7, 100 }, 1, 100, 0, false, true },
		{ "a body is owed", { ALL, 10, 11, 7, 100 }, 1, 100, 1, false, false },
		{ "the last sync was not whole", { ALL, 10, 11, 7, 100 }, 0, 100, 0, false, false },
		{ "suspect", { ALL, 10, 11, 7, 100 }, 1 | STORE_MAILBOX_SUSPECT, 100, 0, false, false },
		{ "no HIGHESTMODSEQ told", { ALL & ~(uint32_t)IMAP_HAS_HIGHESTMODSEQ, 10, 11, 7, 100 }, 1, 100,
			0, false, false },
		{ "HIGHESTMODSEQ 0 on both sides", { ALL, 10, 11, 7, 0 }, 1, 0, 0, false, false },
		{ "higher mod-sequence", { ALL, 10, 11, 7, 101 }, 1, 100, 0, false, false },
		{ "lower mod-sequence", { ALL, 10, 11, 7, 99 }, 1, 100, 0, false, false },
		{ "other UIDVALIDITY", { ALL, 10, 11, 8, 100 }, 1, 100, 0, false, false },
		{ "other UIDNEXT", { ALL, 10, 12, 7, 100 }, 1, 100, 0, false, false },
		{ "other MESSAGES", { ALL, 9, 11, 7, 100 }, 1, 100, 0, false, false },
		{ "old = skip: UIDNEXT suffices", { ALL, 9, 11, 7, 101 }, 0, 100, 0, true, true },
		{ "old = skip: UIDNEXT moved", { ALL, 9, 12, 7, 101 }, 0, 100, 0, true, false },
		{ "old = skip: other UIDVALIDITY", { ALL, 9, 11, 8, 101 }, 0, 100, 0, true, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct store_mailbox rec = record();
		rec.state = cases[i].state;
		rec.highestmodseq = cases[i].modseq;
		ok(plan_unchanged(&rec, &cases[i].told, cases[i].owed, cases[i].old_skip) ==
				cases[i].unchanged,
			"unchanged: %s", cases[i].what);
	}
}

static void test_pull(void)
{
	static const struct {
		const char *what;
		uint32_t lastseen, rec_uidnext, told_uidnext;
		uint64_t modseq;
		struct plan_means means;
		enum plan_ladder ladder;
		bool ask_new;
	} cases[] = {
		{ "first sync", 0, 0, 50, 0, { .qresync = true }, PLAN_NONE, true },
		{ "an interrupted first sync has no mod-sequence", 20, 0, 50, 0, { .qresync = true },
			PLAN_PLAIN, true },
		{ "QRESYNC", 10, 11, 12, 100, { .qresync = true, .condstore = true }, PLAN_QRESYNC, true },
		{ "UIDNEXT has not moved", 10, 11, 11, 100, { .qresync = true }, PLAN_QRESYNC, false },
		{ "UIDNEXT is not told", 10, 11, 0, 100, { .qresync = true }, PLAN_QRESYNC, true },
		{ "CONDSTORE", 10, 11, 11, 100, { .condstore = true }, PLAN_CONDSTORE, false },
		{ "never CHANGEDSINCE 0 (Q50)", 10, 11, 11, 0, { .condstore = true }, PLAN_PLAIN, false },
		{ "bare", 10, 11, 11, 100, { 0 }, PLAN_PLAIN, false },
		{ "cold", 10, 11, 11, 100, { .qresync = true, .cold = true }, PLAN_PLAIN, false },
		{ "new only", 10, 11, 12, 100, { .qresync = true, .old_skip = true }, PLAN_NONE, true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct store_mailbox rec = record();
		struct plan_told told = { cases[i].told_uidnext ? IMAP_HAS_UIDNEXT : 0, 0,
			cases[i].told_uidnext, 0, 0 };
		struct plan_pull p;
		rec.lastseen = cases[i].lastseen;
		rec.uidnext = cases[i].rec_uidnext;
		rec.highestmodseq = cases[i].modseq;
		p = plan_pull(&rec, &told, &cases[i].means);
		is_int(p.ladder, cases[i].ladder, "pull: %s: the ladder", cases[i].what);
		is_int(p.ask_new, cases[i].ask_new, "pull: %s: new messages", cases[i].what);
		ok(p.ladder == PLAN_NONE || p.ladder == PLAN_PLAIN || p.since > 0,
			"pull: %s: never mod-sequence 0", cases[i].what);
	}
}

static void test_select(void)
{
	static const struct {
		const char *what;
		struct plan_selected sel;
		enum plan_verdict examined, selected;
	} cases[] = {
		{ "no UIDVALIDITY", { true, false, 10, 11, 0, 100, NULL }, PLAN_NO_UIDS, PLAN_NO_UIDS },
		{ "the same", { true, false, 10, 11, 7, 100, NULL }, PLAN_GO_ON, PLAN_GO_ON },
		{ "later", { true, false, 12, 14, 7, 110, NULL }, PLAN_GO_ON, PLAN_GO_ON },
		{ "another UIDVALIDITY", { true, false, 10, 11, 8, 100, NULL }, PLAN_CONFIRM, PLAN_RESET },
		{ "above 32 bits (Q78)", { true, false, 10, 11, 0x100000007, 100, NULL }, PLAN_CONFIRM,
			PLAN_RESET },
		{ "a lower UIDNEXT", { true, false, 10, 10, 7, 100, NULL }, PLAN_CONFIRM, PLAN_RESET },
		{ "no UIDNEXT (Q71)", { true, false, 10, 0, 7, 100, NULL }, PLAN_GO_ON, PLAN_GO_ON },
		{ "a lower mod-sequence", { true, false, 10, 11, 7, 99, NULL }, PLAN_CONFIRM, PLAN_RESET },
		{ "no mod-sequences", { true, true, 10, 11, 7, 0, NULL }, PLAN_GO_ON, PLAN_GO_ON },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct store_mailbox rec = record();
		is_int(plan_select(&rec, &cases[i].sel, true), cases[i].examined, "EXAMINE: %s",
			cases[i].what);
		is_int(plan_select(&rec, &cases[i].sel, false), cases[i].selected, "SELECT: %s",
			cases[i].what);
	}
}

static void test_ranges(void)
{
	static const uint32_t nexts[] = { 0, 1, 2, 5000, 5001, 5002, 20001, 1000000, UINT32_MAX };

	for (size_t i = 0; i < sizeof nexts / sizeof nexts[0]; i++) {
		uint32_t first = 1, last, width = plan_range_width(1, nexts[i]);
		unsigned count = 0;
		bool ascending = true;
		do {
			last = plan_range_end(first, width, nexts[i]);
			ascending = ascending && (last == 0 || (last >= first && last < nexts[i]));
			first = last + 1;
			count++;
		} while (last && count < 1000);
		ok(ascending && count <= 65, "UIDNEXT %lu: %u ranges, the last one open",
			(unsigned long)nexts[i], count);
	}
}

static void test_bodies(void)
{
	enum { NONE = PLAN_BODY_NONE, STAND_IN = PLAN_BODY_STAND_IN, WHOLE = PLAN_BODY_WHOLE };
	const int64_t now = 1000000000, day = 86400;
	static const struct {
		const char *what;
		struct conf_mailbox_rules rules;
		int64_t age_days;
		uint64_t size;
		uint32_t flags;
		int wanted;
	} cases[] = {
		{ "all", { .max_size = 0 }, 9999, 1, 0, WHOLE },
		{ "none", { .bodies = { .none = true } }, 0, 1, 0, NONE },
		{ "newer: inside", { .bodies = { .newer_s = 30 * 86400 } }, 29, 1, 0, WHOLE },
		{ "newer: outside", { .bodies = { .newer_s = 30 * 86400 } }, 31, 1, 0, NONE },
		{ "newer: outside, flagged", { .bodies = { .newer_s = 30 * 86400 } }, 31, 1, MAIL_FLAGGED, NONE },
		{ "newer: outside, flagged, on-aged", { .bodies = { .newer_s = 30 * 86400 }, .drop_aged = true }, 31,
			1, MAIL_FLAGGED, WHOLE },
		{ "newer: outside, on-aged", { .bodies = { .newer_s = 30 * 86400 }, .drop_aged = true }, 31, 1,
			MAIL_SEEN, NONE },
		{ "none, flagged, on-aged", { .bodies = { .none = true }, .drop_aged = true }, 31, 1,
			MAIL_FLAGGED, NONE },
		{ "smaller: below", { .bodies = { .smaller = 100 } }, 0, 99, 0, WHOLE },
		{ "smaller: the size itself", { .bodies = { .smaller = 100 } }, 0, 100, 0, NONE },
		{ "flagged", { .bodies = { .flagged = true } }, 0, 1, MAIL_FLAGGED, WHOLE },
		{ "not flagged", { .bodies = { .flagged = true } }, 0, 1, MAIL_SEEN, NONE },
		{ "unseen", { .bodies = { .unseen = true } }, 0, 1, 0, WHOLE },
		{ "seen", { .bodies = { .unseen = true } }, 0, 1, MAIL_SEEN, NONE },
		{ "both must hold", { .bodies = { .unseen = true, .flagged = true } }, 0, 1, 0, NONE },
		{ "max-size itself", { .max_size = 100 }, 0, 100, 0, WHOLE },
		{ "over max-size", { .max_size = 100 }, 0, 101, 0, STAND_IN },
		{ "over max-size: leave out", { .max_size = 100, .large = CONF_LEAVE_OUT }, 0, 101, 0, NONE },
		{ "over max-size, flagged", { .max_size = 100 }, 0, 101, MAIL_FLAGGED, WHOLE },
		{ "over max-size, flagged: leave out", { .max_size = 100, .large = CONF_LEAVE_OUT }, 0, 101,
			MAIL_FLAGGED, NONE },
		{ "over max-size, but other rules do not want it",
			{ .bodies = { .unseen = true }, .max_size = 100 }, 0, 101, MAIL_SEEN, NONE },
		{ "the same, flagged", { .bodies = { .unseen = true }, .max_size = 100 }, 0, 101,
			MAIL_SEEN | MAIL_FLAGGED, NONE },
		{ "too old for a stand-in", { .bodies = { .newer_s = 86400 }, .max_size = 100 }, 2, 101, 0,
			NONE },
		{ "no body, no stand-in", { .bodies = { .none = true }, .max_size = 100 }, 0, 101, 0, NONE },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		is_int(plan_body(&cases[i].rules, now, now - cases[i].age_days * day, cases[i].size,
			       cases[i].flags),
			cases[i].wanted, "bodies: %s", cases[i].what);
}

int main(void)
{
	test_unchanged();
	test_pull();
	test_select();
	test_ranges();
	test_bodies();
	return done_testing();
}
