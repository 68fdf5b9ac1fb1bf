/* Each mistake in a configuration, and the one line that tells it. "F" stands for the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "lib/tap.h"

#define REST "user = ana\npassword-command = \"pass\"\nmaildir = \"/m\"\n"
#define ALL "host = h.example\n" REST
#define IN(keys) "account \"a\" {\n" ALL keys "}\n" /* the keys begin on line 6 */

static char *folder;

static const struct {
	const char *text, *error;
} cases[] = {
	/* keys */
	{ "account \"a\" {\n# c\n// c\n/* c\n*/ hots = \"x\"\n}\n",
		"F:5: unknown key \"hots\"; did you mean \"host\"?" },
	{ IN("passwordcommand = x\n"),
		"F:6: unknown key \"passwordcommand\"; did you mean \"password-command\"?" },
	{ IN("colour = red\n"), "F:6: unknown key \"colour\"" },
	{ "acount \"a\" {\n}\n", "F:1: unknown key \"acount\"; did you mean \"account\"?" },
	{ "host = x\n", "F:1: \"host\" stands outside of an account" },
	{ IN("mailbox \"A\" {\nold = skip\nmaildir = \"/n\"\n}\n"),
		"F:8: \"maildir\" cannot stand in mailbox \"A\"; is a \"}\" missing before it?" },
	{ IN("account \"b\" {\n}\n"),
		"F:6: \"account\" cannot stand in account \"a\"; is a \"}\" missing before it?" },
	{ IN("\n\nhost = other\n"), "F:8: \"host\" is given again; it stands on line 2 already" },
	{ IN("mailboxes = { \"a\" }\nmailboxes = { \"b\" }\n"),
		"F:7: \"mailboxes\" is given again; it stands on line 6 already" },
	{ IN("\"timeout\" = 3\n"), "F:6: a key stands without quotes" },
	/* syntax, each told where it began */
	{ "account \"a\" {\nhost = x\nmailbox \"A\" {\n}\n\n\n",
		"F:1: the \"{\" on this line has no \"}\"" },
	{ IN("}\n"), "F:7: \"}\" closes nothing" },
	{ IN("tls\n\n"), "F:6: nothing follows \"tls\" on its line" },
	{ IN("tls \"none\"\n"), "F:6: \"=\" is missing after \"tls\"" },
	{ IN("tls =\nold = full\n"), "F:6: \"tls\" has no value on its line" },
	{ IN("tls = = none\n"), "F:6: unexpected \"=\"" },
	{ IN("tls += none\n"), "F:6: \"tls\" takes one value: \"=\", not \"+=\"" },
	{ IN("tls = \"none\n"), "F:6: the quote \" has no end on its line" },
	{ IN("tls = 'none\n'\n"), "F:6: the quote ' has no end on its line" },
	{ IN("mailboxes = { \"*\", !Junk }\n"),
		"F:6: unexpected \"!\"; text with it stands in quotes" },
	{ IN("mailboxes = { Lists* }\n"), "F:6: unexpected \"*\"; text with it stands in quotes" },
	{ IN("mailboxes = { \"a\" \"b\" }\n"), "F:6: unexpected \"b\"" },
	{ IN("old = skip;\n"), "F:6: unexpected \";\"; text with it stands in quotes" },
	{ IN("state = /a//b\n"), "F:6: unexpected \"/\"; text with it stands in quotes" },
	{ IN("/* never closed\n"), "F:6: the comment that begins here has no end" },
	{ "account {\n" ALL "}\n", "F:1: \"account\" needs a name in quotes, then \"{\"" },
	{ "account \"\" {\n" ALL "}\n", "F:1: the name of \"account\" is empty" },
	{ IN("mailbox '' {\n}\n"), "F:6: the name of \"mailbox\" is empty" },
	{ IN("profile {\n}\n"), "F:6: \"profile\" needs a name in quotes, then \"{\"" },
	{ "account \"a\"\n" ALL "}\n", "F:1: \"{\" is missing after \"a\"" },
	{ "account \"a/b\" {\n" ALL "}\n", "F:1: an account cannot be named \"a/b\": a name has no "
		"blanks, slashes or quotes, and does not begin with \".\" or \"-\"" },
	{ IN("") "account \"a\" {\n" ALL "}\n",
		"F:7: another section here already has the name \"a\"" },
	{ IN("mailbox \"A\" {\n}\nmailbox \"A\" {\n}\n"),
		"F:8: another section here already has the name \"A\"" },
	{ "", "F: no account stands in it" },
	{ "# nothing but this", "F: no account stands in it" },
	/* text */
	{ IN("state = \"/a\\8\"\n"),
		"F:6: \"\\8\" means nothing; text with \\ stands in single quotes" },
	{ IN("state = \"/a\\0b\"\n"), "F:6: a value cannot hold a NUL" },
	{ IN("state = \"/a\\x00\"\n"), "F:6: a value cannot hold a NUL" },
	{ IN("state = \"/a\\n\"\n"), "F:6: \"state\" holds a control character" },
	{ IN("state = \"\"\n"), "F:6: \"state\" is empty" },
	{ IN("state = \"${MAILTIDE_NO}\"\n"), "F:6: the environment has no \"MAILTIDE_NO\"; "
		"text with $ stands in single quotes" },
	{ IN("state = \"/${HOME\"\n"),
		"F:6: \"${\" has no \"}\"; text with $ stands in single quotes" },
	/* values */
	{ IN("port = imaps\n"),
		"F:6: \"port\" must be a number from 1 to 65535, not \"imaps\"" },
	{ IN("port = 65536\n"),
		"F:6: \"port\" must be a number from 1 to 65535, not \"65536\"" },
	{ IN("port = 0\n"), "F:6: \"port\" must be a number from 1 to 65535, not \"0\"" },
	{ IN("connections = -1\n"),
		"F:6: \"connections\" must be a number from 1 to 16, not \"-1\"" },
	{ IN("tls = yes\n"),
		"F:6: \"tls\" must be \"implicit\", \"starttls\" or \"none\", not \"yes\"" },
	{ IN("allow-cleartext = maybe\n"),
		"F:6: \"allow-cleartext\" must be \"yes\" or \"no\", not \"maybe\"" },
	{ IN("subscribed-only = 1\n"),
		"F:6: \"subscribed-only\" must be \"yes\" or \"no\", not \"1\"" },
	{ IN("layout = flat\n"),
		"F:6: \"layout\" must be \"nested\" or \"maildir++\", not \"flat\"" },
	{ IN("compress = always\n"),
		"F:6: \"compress\" must be \"auto\", \"yes\" or \"no\", not \"always\"" },
	{ IN("on-new-mailbox = ask\n"),
		"F:6: \"on-new-mailbox\" must be \"create\" or \"skip\", not \"ask\"" },
	{ IN("old = new\n"), "F:6: \"old\" must be \"full\" or \"skip\", not \"new\"" },
	{ IN("on-aged = 30d\n"), "F:6: \"on-aged\" must be \"keep\" or \"drop\", not \"30d\"" },
	{ IN("on-removed-mailbox = no\n"),
		"F:6: \"on-removed-mailbox\" must be \"keep\" or \"remove\", not \"no\"" },
	{ IN("avoid = { \"QRESYNC\",\n\"NOTIFY IDLE\" }\n"), "F:7: \"avoid\" must be a list of "
		"capabilities, each in quotes, such as { \"QRESYNC\", \"NOTIFY\" }, "
		"not \"NOTIFY IDLE\"" },
	{ IN("max-commands = 0\n"),
		"F:6: \"max-commands\" must be a number from 1 to 10000, not \"0\"" },
	{ IN("max-set = 1K\n"),
		"F:6: \"max-set\" must be a number from 0 to 1000000, not \"1K\"" },
	{ IN("max-line = 80\n"),
		"F:6: \"max-line\" must be a number from 500 to 1000000, not \"80\"" },
	{ IN("max-rate = 500\n"), "F:6: \"max-rate\" must be what may come in a second, such as "
		"\"500K\" (1K or more), or \"0\" for no limit, not \"500\"" },
	{ IN("match-bodies = never\n"),
		"F:6: \"match-bodies\" must be \"yes\" or \"no\", not \"never\"" },
	{ IN("id = mailtide\n"), "F:6: \"id\" must be \"yes\" or \"no\", not \"mailtide\"" },
	{ IN("trash = Inbox\n"),
		"F:6: \"trash\" must be a mailbox other than INBOX, not \"Inbox\"" },
	{ IN("large = keep\n"), "F:6: \"large\" must be \"stand-in\" or \"skip\", not \"keep\"" },
	{ IN("profile \"p\" {\nmode = hurry\n}\n"), "F:7: \"mode\" must be \"normal\", "
		"\"descriptors\", \"new\" or \"blind\", not \"hurry\"" },
	{ IN("max-size = 64MB\n"), "F:6: \"max-size\" must be a size such as \"200K\" or \"64M\", "
		"or \"0\" for no limit, not \"64MB\"" },
	{ IN("timeout = 0\n"), "F:6: \"timeout\" must be a time such as \"60\" (seconds), "
		"\"2m\" or \"1h\", not \"0\"" },
	{ IN("bodies = \"newer 30\"\n"),
		"F:6: \"bodies\": \"newer 30\" needs an age, such as \"newer 30d\"" },
	{ IN("bodies = \"smaller\"\n"),
		"F:6: \"bodies\": \"smaller\" needs a size, such as \"smaller 2M\"" },
	{ IN("bodies = \"all, flagged\"\n"),
		"F:6: \"bodies\": \"all\" cannot be joined with a condition" },
	{ IN("bodies = \"flagged,\"\n"),
		"F:6: \"bodies\": a condition is missing beside a comma" },
	{ IN("bodies = \"flagged, flagged\"\n"),
		"F:6: \"bodies\": \"flagged\" says again what was said before it" },
	{ IN("mailbox \"A\" {\n\nbodies = \"some\"\n}\n"), "F:8: \"bodies\": \"some\" is not one of "
		"all, none, newer AGE, smaller SIZE, flagged, unseen" },
	{ IN("profile \"p\" {\nmailbox \"A\" {\nold = 1\n}\n}\n"),
		"F:8: \"old\" must be \"full\" or \"skip\", not \"1\"" },
	{ IN("auth = CRAM-MD5\n"), "F:6: \"auth\" must be \"auto\" or one of SCRAM-SHA-256-PLUS, "
		"SCRAM-SHA-256, SCRAM-SHA-1-PLUS, SCRAM-SHA-1, OAUTHBEARER, XOAUTH2, PLAIN, "
		"EXTERNAL, LOGIN, not \"CRAM-MD5\"" },
	{ IN("pin = \"sha256//AAAA\"\n"), "F:6: \"pin\" must be \"sha256//\" and the key's digest in "
		"base64 (44 characters), not \"sha256//AAAA\"" },
	{ IN("mailboxes = {\n\"*\",\n\"!\"\n}\n"),
		"F:8: \"mailboxes\": a pattern is missing after \"!\"" },
	{ IN("mailboxes = { \"!Junk\" }\n"), "F:6: \"mailboxes\": \"!Junk\" takes away from nothing; "
		"write \"*\" before it" },
	{ IN("ca-file = \"~bob/ca.pem\"\n"), "F:6: \"ca-file\" must be a path (of the homes only "
		"one's own is known, ~/), not \"~bob/ca.pem\"" },
	{ "account \"a\" {\nhost = \"imaps://x\"\n" REST "}\n", "F:2: \"host\" must be a name or an "
		"address, without a scheme, not \"imaps://x\"" },
	{ "account \"a\" {\nhost = \"x:993\"\n" REST "}\n", "F:2: \"host\" must be a name or an "
		"address, with the port in \"port\", not \"x:993\"" },
	{ "account \"a\" {\nhost = \"x y\"\n" REST "}\n",
		"F:2: \"host\" must be a name or an address, not \"x y\"" },
	/* keys of later versions */
	{ IN("store-bodies = \"no\"\n"),
		"F:6: \"store-bodies\": only \"yes\" is supported by this version" },
	{ IN("on-missing-mailbox = use\n"),
		"F:6: \"on-missing-mailbox\" must be \"create\", \"skip\", \"abort\" or \"use NAME\", "
		"not \"use\"" },
	{ IN("on-missing-mailbox = \"use  \"\n"),
		"F:6: \"on-missing-mailbox\" must be \"create\", \"skip\", \"abort\" or \"use NAME\", "
		"not \"use  \"" },
	{ IN("on-missing-mailbox = user\n"),
		"F:6: \"on-missing-mailbox\" must be \"create\", \"skip\", \"abort\" or \"use NAME\", "
		"not \"user\"" },
	{ IN("on-missing-mailbox = \"create Archive\"\n"),
		"F:6: \"on-missing-mailbox\" must be \"create\", \"skip\", \"abort\" or \"use NAME\", "
		"not \"create Archive\"" },
	{ IN("on-missing-mailbox = 'use \\Archive'\n"),
		"F:6: \"on-missing-mailbox\" must be \"use\" and the name of a mailbox, "
		"not \"use \\Archive\"" },
	{ IN("on-missing-source = create\n"),
		"F:6: \"on-missing-source\" must be \"skip\" or \"abort\", not \"create\"" },
	{ IN("on-message-gone = create\n"),
		"F:6: \"on-message-gone\" must be \"skip\", \"abort\" or \"upload\", not \"create\"" },
	{ IN("on-deleted = move\n"),
		"F:6: \"on-deleted\" must be \"expunge\", \"flag\" or \"move NAME\", not \"move\"" },
	{ IN("on-deleted = \"Trash\"\n"),
		"F:6: \"on-deleted\" must be \"expunge\", \"flag\" or \"move NAME\", not \"Trash\"" },
	{ IN("on-deleted = 'move \\Sent'\n"), "F:6: \"on-deleted\" must be \"move\" and a mailbox, "
		"or one of \\Trash, \\Archive, \\Junk, not \"move \\Sent\"" },
	{ IN("on-deleted = 'move \\'\n"),
		"F:6: the quote ' has no end on its line" },
	{ IN("on-deleted = \"move \\Trash\"\n"),
		"F:6: \"\\T\" means nothing; text with \\ stands in single quotes" },
	{ IN("on-deleted = \"move \\trash\"\n"),
		"F:6: \"on-deleted\" holds a control character" },
	{ IN("on-deleted = \"move inbox\"\n"), "F:6: \"on-deleted\" must be \"move\" and a mailbox "
		"other than INBOX, not \"move inbox\"" },
	{ IN("expunge-emulation = never\n"),
		"F:6: \"expunge-emulation\" must be \"yes\" or \"no\", not \"never\"" },
	{ IN("on-flag-conflict = theirs\n"),
		"F:6: \"on-flag-conflict\" must be \"mine\" or \"server\", not \"theirs\"" },
	{ IN("look-again = 601\n"), "F:6: \"look-again\" must be a time from \"0\" to \"600\" "
		"(seconds), such as \"3\" or \"0.5\", not \"601\"" },
	{ IN("mailbox \"x\" {\non-deleted = flag\n}\n"), "F:7: \"on-deleted\" cannot stand in "
		"mailbox \"x\"; is a \"}\" missing before it?" },
	{ IN("brake = \"50%\"\n"), "F:6: \"brake\": only \"25%\" is supported by this version" },
	{ IN("brake = \"101%\"\n"),
		"F:6: \"brake\" must be a share such as \"25%\", not \"101%\"" },
	/* what belongs together */
	{ "\naccount \"a\" {\n" REST "}\n", "F:2: account \"a\" has no \"host\"" },
	{ "account \"a\" {\nhost = x\nmaildir = \"/m\"\n}\n", "F:1: account \"a\" has no \"user\"" },
	{ "account \"a\" {\nhost = x\nuser = y\n}\n", "F:1: account \"a\" has no \"maildir\"" },
	{ IN("password-file = \"/p\"\n"),
		"F:6: \"password-file\": the account already has another source for its secret" },
	{ IN("tls = \"none\"\n"), "F:6: tls = \"none\" sends the mail and the login to \"h.example\" "
		"in clear text; if that is meant, add allow-cleartext = yes" },
	{ IN("key-file = \"/k\"\n"), "F:6: \"key-file\" needs \"cert-file\" beside it" },
	{ IN("auth = external\n"), "F:6: auth = \"EXTERNAL\" needs \"cert-file\"" },
	{ "account \"a\" {\nhost = x\nuser = y\nmaildir = \"/m\"\ntoken-command = t\n"
	  "auth = plain\n}\n", "F:6: auth = \"PLAIN\" takes no token; \"token-command\" goes with "
		"\"auto\", OAUTHBEARER or XOAUTH2" },
	{ IN("state = \"/m/\"\n"), "F:6: \"state\" and \"maildir\" are the same folder" },
	{ IN("state = \"/s\"\n") "account \"b\" {\n" ALL "state = \"/t\"\n}\n",
		"F:8: accounts \"a\" and \"b\" share the maildir \"/m\"" },
	{ "account \"a\" {\nhost = x\nuser = y\nmaildir = \"/a\"\nstate = \"/s\"\n}\n"
	  "account \"b\" {\nhost = x\nuser = y\nmaildir = \"/b\"\nstate = \"//s/./\"\n}\n",
		"F:7: accounts \"a\" and \"b\" share the state \"/s\"" },
	{ "account \"a\" {\nhost = x\nuser = y\nmaildir = \"/a\"\n}\n"
	  "account \"b\" {\nhost = x\nuser = y\nmaildir = \"/a/b\"\n}\n",
		"F:6: the maildirs of accounts \"a\" and \"b\" lie one in the other" },
	/* includes */
	{ IN("include(\"none.conf\")\n"), "F:6: cannot read \"D/none.conf\": No such file or directory" },
	{ IN("include\n"), "F:6: include needs the name of a file: include(\"more.conf\")" },
	{ IN("include(x)\n"), "F:6: include needs the name of a file: include(\"more.conf\")" },
	{ IN("include(\"\")\n"), "F:6: include needs the name of a file: include(\"more.conf\")" },
	{ IN("include(\"$HOME/x\")\n"), "F:6: include takes a plain path, without $ and \\" },
	{ IN("include(\".\")\n"), "F:6: \"D/.\" is a folder, not a file" },
	{ IN("include(\"open.conf\")\nhots = 1\n"), "D/open.conf:2: the \"{\" on this line has no \"}\"" },
	{ IN("include(\"keys.conf\")\nhots = 1\n"),
		"F:7: unknown key \"hots\"; did you mean \"host\"?" },
	{ IN("include(\"bad.conf\") brake = 1\n"), "D/bad.conf:3: \"old\" must be \"full\" or "
		"\"skip\", not \"maybe\"" },
	{ "include(\"deep.conf\")", "D/deep.conf:2: unknown key \"mailbx\"; did you mean \"mailbox\"?" },
};

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static void write_bytes(const char *path, const void *data, size_t len, mode_t mode)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0 || chmod(path, mode) != 0) {
		perror(path);
		exit(1);
	}
}

static void write_file(const char *name, const char *text)
{
	char *path = path_of(name);

	write_bytes(path, text, strlen(text), 0600);
	free(path);
}

/* F and D at the begin of a word are the file and its folder. */
static char *spell_out(const char *error)
{
	struct buf b;

	buf_init(&b, 0);
	for (const char *p = error; *p != '\0'; p++) {
		bool begins = p == error || p[-1] == '"';

		if (begins && p[0] == 'F' && p[1] == ':')
			buf_addf(&b, "%s/F", folder);
		else if (begins && p[0] == 'D' && p[1] == '/')
			buf_add_str(&b, folder);
		else
			buf_add_char(&b, *p);
	}
	return buf_take(&b);
}

static void check(const char *path, const char *error, const char *what)
{
	struct err err;
	struct conf *conf;
	char *wanted = spell_out(error);

	err_clear(&err);
	conf = conf_read(path, &err);
	ok(conf == NULL && err.cls == ERR_USER, "refused: %.60s", what);
	is_str(err.text, wanted, "told: %.100s", error);
	conf_free(conf);
	free(wanted);
}

static void test_files(void)
{
	char *path = path_of("F"), *big = mem_new(10 << 20), *none = path_of("none");
	struct err err;
	char *wanted;

	write_bytes(path, "account \"a\" {\n\0}\n", 17, 0600);
	check(path, "F:2: a NUL byte stands here; this is not a text file", "a NUL byte");
	memset(big, '#', 10 << 20);
	write_bytes(path, big, 10 << 20, 0600);
	wanted = mem_printf("\"%s\" is larger than 1024 KB", path);
	check(path, wanted, "10 MB");
	free(wanted);
	wanted = mem_printf("\"%s\" is a folder, not a file", folder);
	check(folder, wanted, "a folder");
	free(wanted);
	wanted = mem_printf("there is no configuration \"%s\"; the smallest is: account \"NAME\" { "
		"host = \"imap.example.org\" user = \"ME\" password-command = \"...\" "
		"maildir = \"~/Mail\" } (see mailtide.conf(5))", none);
	check(none, wanted, "no file");
	free(wanted);
	check("/dev/null", "\"/dev/null\" is a device or a pipe, not a file", "a device");
	ok(conf_read(none, NULL) == NULL, "nobody wants to know why");

	/* after all these faults the library still reads */
	write_file("F", IN(""));
	err_clear(&err);
	struct conf *conf = conf_read(path, &err);
	ok(conf != NULL, "a good one is read: %s", err.text);
	conf_free(conf);
	free(path);
	free(none);
	free(big);
}

static void test_loop(void)
{
	char *path = path_of("F");
	struct err err;

	write_file("F", "include(\"F\")\n");
	err_clear(&err);
	ok(conf_read(path, &err) == NULL, "a file that includes itself");
	ok(strstr(err.text, "F:1: includes are nested deeper than 10: does a file include itself?") !=
		NULL, "told: %s", err.text);
	free(path);
}

static void test_password(void)
{
	static const char open_file[] = "a password stands in a file that others may read or write; "
		"chmod 600 it, or use \"password-command\"";
	static const char text[] = "account \"a\" {\nhost = x\nuser = y\nmaildir = \"/m\"\n"
		"password = 'a\"$b'\n}\n";
	static const char more[] = "account \"a\" {\nhost = x\nuser = y\nmaildir = \"/m\"\n"
		"include(\"secret.conf\")\n}\n";
	char *path = path_of("F"), *secret = path_of("secret.conf"), *wanted;
	struct conf *conf;
	struct err err;
	struct buf out;

	wanted = mem_printf("F:5: %s", open_file);
	write_bytes(path, text, strlen(text), 0640);
	check(path, wanted, "a password in a file that the group may read");
	free(wanted);
	wanted = mem_printf("D/secret.conf:2: %s", open_file);
	write_bytes(path, more, strlen(more), 0600);
	write_bytes(secret, "#\npassword = x", 14, 0604);
	check(path, wanted, "a password in an included file that others may read");
	free(wanted);

	write_bytes(path, more, strlen(more), 0644);
	chmod(secret, 0600);
	err_clear(&err);
	conf = conf_read(path, &err);
	ok(conf != NULL, "the password's file is closed, the other need not be: %s", err.text);
	conf_free(conf);
	write_bytes(path, text, strlen(text), 0600);
	conf = conf_read(path, &err);
	buf_init(&out, 0);
	if (ok(conf != NULL, "a closed file with a password: %s", err.text)) {
		is_int(conf_secret_read(&conf->accounts[0], &out, &err), 0, "it is read");
		is_str(buf_str(&out), "a\"$b", "the password");
	}
	buf_release(&out);
	conf_free(conf);
	free(path);
	free(secret);
}

static void clean_up(void)
{
	static const char *const names[] = { "F", "keys.conf", "open.conf", "bad.conf", "deep.conf",
		"deeper.conf", "secret.conf" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = path_of(names[i]);

		unlink(path);
		free(path);
	}
	rmdir(folder);
}

int main(void)
{
	char *path;

	setenv("HOME", "/home/me", 1);
	unsetenv("XDG_STATE_HOME");
	folder = mem_printf("%s/mailtide-conf-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(folder) == NULL)
		return 1;
	path = path_of("F");
	write_file("keys.conf", "\n\ntimeout = 3\n");
	write_file("open.conf", "\nmailbox \"A\" {\n\n");
	write_file("bad.conf", "# the third line is wrong\n\nold = maybe");
	write_file("deep.conf", "account \"a\" { include(\"deeper.conf\")\nmailbx \"x\" {\n}\n}\n");
	write_file("deeper.conf", "\n\n\n" ALL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("F", cases[i].text);
		check(path, cases[i].error, cases[i].text);
	}
	test_files();
	test_loop();
	test_password();
	clean_up();
	free(path);
	free(folder);
	return done_testing();
}
