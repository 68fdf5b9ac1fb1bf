/* Folder names of mailboxes, and back (L3, L4). */
#include <stdlib.h>

#include "base/buf.h"
#include "lib/tap.h"
#include "maildir/maildir.h"

#define N MAILDIR_NESTED
#define P MAILDIR_PLUS

/* Pairs that go both ways. */
static const struct {
	enum maildir_layout layout;
	const char *mailbox;
	char delimiter;
	const char *folder;
} pairs[] = {
	/* What would lead out, or hide. */
	{ N, "..", '/', "%2E." },
	{ N, "../../etc/passwd", '/', "%2E./%2E./etc/passwd" },
	{ N, "../x", '.', "%_/%_/%2Fx" },
	{ N, ".", '/', "%2E" },
	{ N, "/", '/', "%_/%_" },
	{ N, "/etc", '/', "%_/etc" },
	{ N, "/etc", '.', "%2Fetc" },
	{ N, "a//b", '/', "a/%_/b" },
	{ N, "a/", '/', "a/%_" },
	{ N, ".mailtide", '/', "%2Emailtide" },
	{ N, "a/.b", '/', "a/%2Eb" },
	{ P, "..", '/', ".%2E%2E" },
	{ P, "..", '.', ".%_.%_.%_" },
	{ P, "../x", '/', ".%2E%2E.x" },
	{ P, "a/b", '.', ".a%2Fb" },
	{ P, ".", '/', ".%2E" },
	/* What has a meaning of its own. */
	{ N, "cur", '/', "%63ur" },
	{ N, "a/new", '/', "a/%6Eew" },
	{ N, "tmp/tmp", '/', "%74mp/%74mp" },
	{ N, "Cur", '/', "Cur" },
	{ N, "curt", '/', "curt" },
	{ P, "cur", '/', ".cur" },
	{ P, "mailtide", '/', ".%6Dailtide" },
	{ P, "Mailtide.x", '.', ".%4Dailtide.x" },
	{ P, "a/mailtide", '/', ".a.mailtide" },
	{ N, "INBOX", '/', "INBOX" },
	{ P, "INBOX", '/', "" },
	{ N, "INBOX/a", '/', "INBOX/a" },
	{ N, "Inbox/a", '/', "%49nbox/a" },
	{ N, "a/Inbox", '/', "a/Inbox" },
	{ N, "a/INBOX", '/', "a/INBOX" },
	{ P, "INBOX.a", '.', ".INBOX.a" },
	{ P, "inbox.a", '.', ".%69nbox.a" },
	{ N, "INBOX/cur", '/', "INBOX/%63ur" },
	/* What looks like an escape. */
	{ N, "%41", '/', "%2541" },
	{ N, "%2E", '/', "%252E" },
	{ N, "%_", '/', "%25_" },
	{ N, "%~2", '/', "%25~2" },
	{ N, "a~2", '/', "a~2" },
	{ P, "%41", '/', ".%2541" },
	{ N, "100%", '/', "100%25" },
	/* Characters. */
	{ N, "a\nb\x7f", '/', "a%0Ab%7F" },
	{ N, "\xc2\x85", '/', "%C2%85" },
	{ N, "\xff\xfe", '/', "%FF%FE" },
	{ N, "Entw\xc3\xbcrfe", '/', "Entw\xc3\xbcrfe" },
	{ N, "Entw\xc3", '/', "Entw%C3" },
	{ P, "Entw\xc3\xbcrfe", '/', ".Entw&APw-rfe" },
	{ P, "R&D", '/', ".R&-D" },
	{ P, "a\x80", '/', ".a%80" },
	{ P, "\xf0\x9f\x98\x80/x", '/', ".&2D3eAA-.x" },
	{ N, "a.b.c", '.', "a/b/c" },
	{ N, "a.b.c", '/', "a.b.c" },
	{ N, "a\\b", '\\', "a/b" },
	{ N, "a/b.c", '\0', "a%2Fb.c" },
	{ P, "a.b/c", '\0', ".a%2Eb%2Fc" },
	{ P, "a.b", '.', ".a.b" },
};

/* Found on disk, made by somebody else. */
static const struct {
	enum maildir_layout layout;
	const char *folder;
	char delimiter;
} strange[] = {
	{ N, "", '/' },          { N, "a//b", '/' },      { N, "../a", '/' },
	{ N, "/a", '/' },        { N, "a/", '/' },        { N, ".a", '/' },
	{ N, "cur", '/' },       { N, "%41", '/' },       { N, "%2e", '/' },
	{ N, "100%", '/' },      { N, "a%2Fb", '/' },     { N, "a%00b", '/' },
	{ N, "a%~2", '/' },      { N, "Inbox", '/' },     { N, "inbox/a", '/' },
	{ N, "%49NBOX", '/' },   { N, "a\xff", '/' },     { N, "a/b", '\0' },
	{ N, "a.b", '.' },       { N, "%", '/' },         { N, "%2", '/' },
	{ N, "a%_", '/' },       { P, "INBOX", '/' },     { P, "a", '/' },
	{ P, ".", '/' },         { P, "..", '/' },        { P, ".a..b", '/' },
	{ P, ".a/b", '/' },      { P, ".&", '/' },        { P, ".&AEE-", '/' },
	{ P, ".\xc3\xbc", '/' }, { P, ".mailtide", '/' }, { P, ".a.", '/' },
	{ P, ".a.b", '\0' },     { P, ".%2F", '/' },
};

static char *folder_of(enum maildir_layout layout, const char *mailbox, char delimiter)
{
	struct buf b;
	buf_init(&b, 0);
	maildir_folder_name(layout, mailbox, delimiter, &b);
	return buf_take(&b);
}

static void test_pair(size_t i)
{
	struct buf out;
	buf_init(&out, 0);
	ok(maildir_folder_name(pairs[i].layout, pairs[i].mailbox, pairs[i].delimiter, &out),
		"'%s' has a folder", pairs[i].mailbox);
	is_str(buf_str(&out), pairs[i].folder, "which is '%s'", pairs[i].folder);
	buf_clear(&out);
	ok(maildir_mailbox_name(pairs[i].layout, pairs[i].folder, pairs[i].delimiter, &out),
		"'%s' has a mailbox", pairs[i].folder);
	is_str(buf_str(&out), pairs[i].mailbox, "the same");
	buf_release(&out);
}

static void test_strange(void)
{
	struct buf out;
	buf_init(&out, 0);
	buf_add_str(&out, "kept");
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		ok(!maildir_mailbox_name(strange[i].layout, strange[i].folder, strange[i].delimiter, &out),
			"no mailbox has '%s' (%d)", strange[i].folder, (int)strange[i].layout);
		is_str(buf_str(&out), "kept", "and nothing is added");
		buf_truncate(&out, 4);
	}
	ok(!maildir_folder_name(N, "", '/', &out), "an empty name has no folder");
	buf_release(&out);
}

static char *repeat(const char *text, size_t count)
{
	struct buf b;
	buf_init(&b, 0);
	for (size_t i = 0; i < count; i++)
		buf_add_str(&b, text);
	return buf_take(&b);
}

/* No part over 255 octets, the whole path far below PATH_MAX. */
static bool fits(const char *folder)
{
	size_t part = 0;
	for (const char *p = folder; *p != '\0'; p++) {
		part = *p == '/' ? 0 : part + 1;
		if (part > 243) /* leaves room for an alternative */
			return false;
	}
	return strlen(folder) <= 912;
}

static void test_long(enum maildir_layout layout, const char *unit, size_t count)
{
	char *a = repeat(unit, count), *b = mem_printf("%sx", a), *c = mem_printf("%s/child", a);
	char *x = folder_of(layout, a, '/'), *y = folder_of(layout, b, '/');
	char *z = folder_of(layout, c, '/');
	struct buf out;
	buf_init(&out, 0);
	ok(fits(x) && fits(y) && fits(z), "%zu times '%s' fits", count, unit);
	ok(strcmp(x, y) != 0 && strcmp(x, z) != 0 && strcmp(y, z) != 0, "and stays different");
	ok(!maildir_mailbox_name(layout, x, '/', &out), "and has no inverse");
	buf_release(&out);
	free(a), free(b), free(c), free(x), free(y), free(z);
}

static void test_cut(void)
{
	char *a = repeat("a", 200), *b = repeat("a", 201), *c = mem_printf("%s/c", b);
	char *x = folder_of(N, a, '/'), *y = folder_of(N, b, '/'), *z = folder_of(N, c, '/');
	is_str(x, a, "200 octets stay");
	is_int(strlen(y), 200, "201 are cut to 200");
	ok(strncmp(y, a, 166) == 0 && strncmp(y + 166, "%~", 2) == 0, "with a hash at their end");
	ok(strncmp(z, y, 200) == 0 && strcmp(z + 200, "/c") == 0, "a child lies below its parent");
	free(a), free(b), free(c), free(x), free(y), free(z);

	/* Cut where a character or an escape would be broken. */
	a = repeat("\xe2\x82\xac", 100);
	x = folder_of(N, a, '/');
	ok(strncmp(x + 165, "%~", 2) == 0, "no character is broken");
	free(a), free(x);
	a = repeat("%", 100);
	x = folder_of(N, a, '/');
	ok(strncmp(x + 165, "%~", 2) == 0, "no escape is broken");
	free(a), free(x);
}

static void test_alternative(void)
{
	struct buf out;
	buf_init(&out, 0);
	maildir_folder_alternative(N, "a/Foo", 2, &out);
	is_str(buf_str(&out), "a/Foo%~2", "an alternative");
	ok(!maildir_mailbox_name(N, "a/Foo%~2", '/', &out), "that no mailbox has");
	buf_release(&out);
}

int main(void)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		test_pair(i);
	test_strange();
	for (int i = 0; i < 2; i++) {
		test_long(i == 0 ? N : P, "a", 300);
		test_long(i == 0 ? N : P, "\xd0\xb6", 300);
		test_long(i == 0 ? N : P, "a/", 1000);
		test_long(i == 0 ? N : P, "\n", 5000);
	}
	test_cut();
	test_alternative();

	struct buf out;
	buf_init(&out, 0);
	maildir_folder_name(N, "iNbOx", '/', &out);
	is_str(buf_str(&out), "INBOX", "INBOX in any case");
	buf_clear(&out);
	maildir_folder_name(P, "inbox", '/', &out);
	is_str(buf_str(&out), "", "in both layouts");
	buf_release(&out);
	return done_testing();
}
