/* Base names, paths, and how a file name is split. */
#include <regex.h>

#include "lib/tap.h"
#include "maildir/maildir.h"

static const struct {
	const char *name, *base, *letters;
	bool info;
} names[] = {
	{ "1.a.h:2,S", "1.a.h", "S", true },
	{ "1.a.h:2,", "1.a.h", "", true },
	{ "1.a.h", "1.a.h", "", false },
	{ "1.a.h,S=5,W=6:2,FSa", "1.a.h,S=5,W=6", "FSa", true },
	{ "a:2,S:2,T", "a:2,S", "T", true },
	{ "a:1,S", "a:1,S", "", false },
	{ "a:3", "a:3", "", false },
	{ "a:2", "a:2", "", false },
	{ "a:2,S,x", "a:2,S,x", "", false },
	{ "a:2,S T", "a:2,S T", "", false },
	{ ":2,S", ":2,S", "", false },
	{ "a:2,abcdefghijklmnopqrstuvwxyzabcde", "a", "abcdefghijklmnopqrstuvwxyzabcde", true },
	{ "a:2,abcdefghijklmnopqrstuvwxyzabcdef", "a:2,abcdefghijklmnopqrstuvwxyzabcdef", "", false },
	{ "", "", "", false },
	{ "a;2,S", "a;2,S", "", false },
};

static const struct {
	struct maildir_name name;
	const char *path;
} paths[] = {
	{ { "INBOX", "b", "FS", false, false }, "INBOX/cur/b:2,FS" },
	{ { "INBOX", "b", "", false, false }, "INBOX/cur/b:2," },
	{ { "", "b", "", false, false }, "cur/b:2," },
	{ { "", "b", "S", true, false }, "new/b" },
	{ { "a/b", "b", NULL, true, false }, "a/b/new/b" },
	{ { "a/b", "b", NULL, false, true }, "a/b/cur/b" },
};

int main(void)
{
	struct buf out;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct slice base, letters;
		bool info;
		maildir_split(slice_of(names[i].name), &base, &letters, &info);
		ok(slice_is(base, names[i].base), "base of '%s'", names[i].name);
		ok(slice_is(letters, names[i].letters) && info == names[i].info, "and its letters");
	}
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		buf_clear(&out);
		maildir_path(&paths[i].name, &out);
		is_str(buf_str(&out), paths[i].path, "a path");
	}

	regex_t form;
	regcomp(&form, "^1700000000\\.m4711_x7\\.[-A-Za-z0-9_]+,S=12345$", REG_EXTENDED | REG_NOSUB);
	buf_clear(&out);
	maildir_base_name(1700000000, 4711, "x7", 12345, &out);
	is_int(regexec(&form, buf_str(&out), 0, NULL, 0), 0, "a base name: '%s'", buf_str(&out));
	regfree(&form);
	buf_clear(&out);
	maildir_base_name(-5, UINT64_MAX, "x", 0, &out);
	ok(strncmp(buf_str(&out), "0.m18446744073709551615_x.", 26) == 0, "before 1970: no minus");
	buf_release(&out);
	return done_testing();
}
