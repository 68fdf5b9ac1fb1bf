/* Flags, keywords and Maildir letters. */
#include "lib/tap.h"
#include "mail/mail.h"

static const struct {
	const char *text, *printed;
} texts[] = {
	{ "", "" },
	{ "   ", "" },
	{ "\\seen", "\\Seen" },
	{ " \\Recent  \\SEEN \\Deleted ", "\\Seen \\Deleted" },
	{ "\\* \\", "" },
	{ "b A a B", "A b" },
	{ "$forwarded \\Draft \\Flagged \\Answered", "\\Answered \\Flagged \\Draft $Forwarded" },
	{ "\\Seenish Seen", "\\Seenish Seen" },
	{ "\\Unseen x]y[z", "\\Unseen x]y[z" },
	{ "$Label1 $Label10 $Label", "$Label $Label1 $Label10" },
	{ "a\tb c\x7f d", "d" },
};

static const struct {
	const char *letters;
	uint32_t system;
	const char *others, *again;
} letters[] = {
	{ "", 0, "", "" },
	{ "S", MAIL_SEEN, "", "S" },
	{ "TSRPFD", 63, "", "DFPRST" },
	{ "aSbZ", MAIL_SEEN, "abZ", "S" },
	{ "SSs", MAIL_SEEN, "s", "S" },
	{ "abcdefghijklmnopqrstuvwxyzabcdefghij", 0, "abcdefghijklmnopqrstuvwxyzabcde", "" },
};

static void test_texts(void)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct mail_flags f;
		struct buf out;
		mail_flags_init(&f);
		buf_init(&out, 0);
		mail_flags_parse(&f, slice_of(texts[i].text));
		mail_flags_print(&f, &out);
		is_str(buf_str(&out), texts[i].printed, "'%s'", texts[i].text);
		buf_release(&out);
		mail_flags_release(&f);
	}
}

static void test_letters(void)
{
	char others[32], again[8];
	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
		struct slice s = slice_of(letters[i].letters);
		uint32_t system = mail_flags_from_letters(s, others);
		is_int(system, letters[i].system, "'%s'", letters[i].letters);
		is_int(mail_flags_from_letters(s, NULL), system, "without others too");
		is_str(others, letters[i].others, "others");
		mail_flags_letters(system, again);
		is_str(again, letters[i].again, "and back");
	}
}

static void test_changes(void)
{
	struct mail_flags a, b;
	mail_flags_init(&a);
	mail_flags_init(&b);
	ok(!mail_flags_add(&a, slice_of("\\recent")), "Recent is not kept");
	ok(!mail_flags_add(&a, slice_of("")), "nor nothing");
	ok(mail_flags_add(&a, slice_of("Work")), "a keyword is");
	ok(mail_flags_add(&a, slice_of("WORK")), "once");
	is_int(a.count, 1, "only");
	is_str(a.keywords[0], "Work", "as first seen");
	ok(mail_flags_has(&a, slice_of("work")), "without case");
	ok(!mail_flags_has(&a, slice_of("wor")), "but whole");
	ok(!mail_flags_equal(&a, &b), "different");
	mail_flags_copy(&b, &a);
	ok(mail_flags_equal(&a, &b), "a copy is equal");
	mail_flags_copy(&a, &a);
	is_int(a.count, 1, "also onto itself");
	ok(mail_flags_add(&b, slice_of("\\FLAGGED")) && !mail_flags_equal(&a, &b), "a system flag counts");
	ok(mail_flags_remove(&b, slice_of("\\Flagged")), "removed");
	ok(!mail_flags_remove(&b, slice_of("\\Flagged")), "only once");
	ok(mail_flags_remove(&b, slice_of("wOrk")) && b.count == 0, "a keyword too");
	ok(!mail_flags_remove(&b, slice_of("work")), "once");
	mail_flags_release(&a);
	mail_flags_release(&b);
}

static void test_ceiling(void)
{
	struct mail_flags f;
	mail_flags_init(&f);
	int kept = 0;
	for (int i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%d", i * 7919 % 1000);
		kept += mail_flags_add(&f, slice_of(name));
	}
	is_int(kept, MAIL_KEYWORDS_MAX, "bounded");
	for (size_t i = 1; i < f.count; i++)
		if (strcasecmp(f.keywords[i - 1], f.keywords[i]) >= 0)
			kept = -1;
	is_int(kept, f.count, "and in order");
	mail_flags_release(&f);
}

int main(void)
{
	test_texts();
	test_letters();
	test_changes();
	test_ceiling();
	return done_testing();
}
