/* The root: whose it is, and folders in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "lib/tap.h"
#include "maildir/maildir.h"

static char base[] = "/tmp/mailtide-root.XXXXXX";

static const char *at(const char *path)
{
	static char full[8][256];
	static unsigned turn;
	char *out = full[turn++ % 8];
	snprintf(out, 256, "%s/%s", base, path);
	return out;
}

static void put(const char *path, const char *text)
{
	int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		diag("cannot write '%s'", path);
	close(fd);
}

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(at(path), &st) == 0;
}

static void test_open(const char *path, enum maildir_layout layout, const char *id, bool create,
	const char *want)
{
	struct err err = { 0 };
	struct maildir *m = maildir_open(at(path), layout, id, create, &err);
	if (want == NULL) {
		ok(m != NULL, "'%s' opens: %s", path, err.text);
	} else {
		ok(m == NULL && err.cls == ERR_USER, "'%s' does not open: %s", path, err.text);
		ok(strstr(err.text, want) != NULL, "because it '%s'", want);
	}
	maildir_close(m);
}

static void test_owner(void)
{
	test_open("none", MAILDIR_NESTED, "id1", false, "is missing");
	ok(!is_there("none"), "and is not made");
	put("file", "x");
	test_open("file", MAILDIR_NESTED, "id1", true, "not a folder");
	test_open("file/below", MAILDIR_NESTED, "id1", true, "not a folder");
	test_open("a/b/c", MAILDIR_NESTED, "id1", true, NULL);
	ok(is_there("a/b/c/.mailtide"), "a missing root is made and marked");
	test_open("a/b/c", MAILDIR_NESTED, "id1", false, NULL);
	test_open("a/b/c", MAILDIR_NESTED, "id2", true, "another store");
	test_open("a/b/c", MAILDIR_PLUS, "id1", true, "layout");
	if (symlink("a/b/c", at("link")) == 0)
		test_open("link", MAILDIR_NESTED, "id1", false, NULL);

	mkdir(at("empty"), 0700);
	test_open("empty", MAILDIR_NESTED, "id1", false, "is empty");
	test_open("empty", MAILDIR_PLUS, "id1", true, NULL);
	test_open("empty", MAILDIR_PLUS, "id1", false, NULL);

	mkdir(at("full"), 0700);
	put("full/.mailtide.new", "a crash left this");
	put("full/mail", "x");
	test_open("full", MAILDIR_NESTED, "id1", true, "not empty");
	unlink(at("full/mail"));
	test_open("full", MAILDIR_NESTED, "id1", true, NULL);
	put("full/.mailtide", "");
	test_open("full", MAILDIR_NESTED, "id1", true, "damaged");
	put("full/.mailtide", "mailtide-maildir 1 id1 nested\nmore\n");
	test_open("full", MAILDIR_NESTED, "id1", true, "damaged");
	put("full/.mailtide", "mailtide-maildir 2 id1 nested\n");
	test_open("full", MAILDIR_NESTED, "id1", true, "another version");
	put("full/.mailtide", "mailtide-maildir 1 id1 nested\n");
	test_open("full", MAILDIR_NESTED, "id1", true, NULL);

	bool is_root = geteuid() == 0;
	chmod(at("full"), 0500);
	if (is_root && seteuid(65534) != 0)
		return;
	test_open("full", MAILDIR_NESTED, "id1", true, "full"); /* says which is not writable */
	if (is_root && seteuid(0) != 0)
		diag("not root again");
	chmod(at("full"), 0700);
}

static void test_folders(void)
{
	struct err err = { 0 };
	struct maildir *m = maildir_open(at("a/b/c"), MAILDIR_NESTED, "id1", false, &err);
	ok(!maildir_folder_exists(m, "x/y"), "no folder yet");
	is_int(maildir_folder_make(m, "x/y", &err), 0, "made: %s", err.text);
	ok(maildir_folder_exists(m, "x/y"), "there");
	ok(!maildir_folder_exists(m, "x"), "the one above is a plain folder");
	ok(is_there("a/b/c/x/y/new") && is_there("a/b/c/x/y/tmp"), "with all parts");
	ok(!is_there("a/b/c/x/y/maildirfolder"), "and without a mark");
	is_int(maildir_folder_make(m, "x/y", &err), 0, "again");
	is_int(maildir_folder_make(m, "x", &err), 0, "then the one above");
	put("a/b/c/f", "");
	is_int(maildir_folder_make(m, "f/g", &err), -1, "not below a file: %s", err.text);
	is_int(err.cls, ERR_USER, "which the user must move");
	is_int(maildir_folder_make(m, "../x", &err), -1, "not outside: %s", err.text);
	is_int(maildir_folder_make(m, "/x", &err), -1, "not at the top");
	is_int(maildir_folder_make(m, "a//b", &err), -1, "not without a name");
	is_int(maildir_folder_make(m, "a/", &err), -1, "nor at the end");
	is_int(maildir_sync(m, &err), 0, "synced");
	maildir_close(m);

	m = maildir_open(at("empty"), MAILDIR_PLUS, "id1", false, &err);
	is_int(maildir_folder_make(m, ".x.y", &err), 0, "a Maildir++ folder");
	ok(is_there("empty/.x.y/maildirfolder") && is_there("empty/.x.y/cur"), "with its mark");
	is_int(maildir_folder_make(m, "", &err), 0, "the INBOX");
	ok(maildir_folder_exists(m, "") && is_there("empty/new"), "is the root");
	ok(!is_there("empty/maildirfolder"), "which has none");
	is_str(maildir_root(m), at("empty"), "the root's path");
	maildir_close(m);
	maildir_close(NULL);
}

static void test_moves(enum maildir_layout layout)
{
	struct err err = { 0 };
	bool nested = layout == MAILDIR_NESTED;
	const char *root = nested ? "moves" : "moves+", *to = nested ? "x/b" : ".x.b";
	const char *from = nested ? "a" : ".a", *below = nested ? "a/in" : ".a.in";
	char path[8][64];
	struct maildir *m = maildir_open(at(root), layout, "id1", true, &err);
	ok(m != NULL && maildir_folder_make(m, from, &err) == 0 && maildir_folder_make(m, below, &err) == 0,
		"two folders: %s", err.text);
	snprintf(path[0], 64, "%s/%s/cur/mail", root, from);
	snprintf(path[1], 64, "%s/%s/cur/mail", root, to);
	snprintf(path[2], 64, "%s/%s/new", root, to);
	snprintf(path[3], 64, "%s/%s", root, from);
	snprintf(path[4], 64, "%s/%s/cur", root, below);
	put(path[0], "x");
	is_int(maildir_folder_move(m, from, to, &err), 0, "one moves: %s", err.text);
	ok(is_there(path[1]) && is_there(path[2]), "with what is in it");
	ok(!nested || is_there(path[4]), "the one below it stays");
	ok(nested || !is_there(path[3]), "and nothing is left of it");
	is_int(maildir_folder_move(m, from, to, &err), 0, "once more: nothing is left to do");
	ok(maildir_folder_exists(m, to), "it is there");
	ok(maildir_folder_make(m, from, &err) == 0 && maildir_folder_exists(m, from), "the old one can be made again");
	put(path[0], "y");
	is_int(maildir_folder_move(m, from, to, &err), 2, "nothing is overwritten");
	ok(is_there(path[0]), "what was there stays");
	is_int(maildir_folder_remove(m, from, &err), 1, "a folder with mail stays");
	ok(is_there(path[0]) && maildir_folder_exists(m, from), "as it was");
	unlink(at(path[0]));
	is_int(maildir_folder_remove(m, from, &err), 0, "an empty one goes");
	ok(!maildir_folder_exists(m, from) && is_there(path[4]), "the one below it does not");
	is_int(maildir_folder_remove(m, from, &err), 0, "and is gone");
	is_int(maildir_folder_move(m, "../evil", to, &err), -1, "not from outside");
	maildir_close(m);
}

int main(void)
{
	if (mkdtemp(base) == NULL || chmod(base, 0755) != 0)
		return 1;
	test_owner();
	test_folders();
	test_moves(MAILDIR_NESTED);
	test_moves(MAILDIR_PLUS);
	char *clean = mem_printf("rm -rf %s", base);
	is_int(system(clean), 0, "clean");
	free(clean);
	return done_testing();
}
