/* The settings of providers: every file that is shipped, who wins over whom, what is refused. The
 * shipped ones are read from conf/providers, so from the tree's folder. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "lib/tap.h"

static char *folder; /* the configuration F, and providers/ */

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static void write_to(const char *name, const char *text, mode_t mode)
{
	char *path = path_of(name);
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0 || chmod(path, mode) != 0) {
		perror(path);
		exit(1);
	}
	free(path);
}

/* An account with these keys, read; NULL with the reason in *err. */
static struct conf *read_keys(const char *keys, struct err *err)
{
	char *path = path_of("F");
	char *text = mem_printf("account \"a\" {\nuser = u\nmaildir = \"/m\"\n%s\n}\n", keys);
	struct conf *conf;

	write_to("F", text, 0600);
	err_clear(err);
	conf = conf_read(path, err);
	free(path);
	free(text);
	return conf;
}

static const struct {
	const char *name, *host; /* NULL: the account's */
	uint16_t port;
	enum conf_tls tls;
	const char *avoid; /* the first of them */
	unsigned max_commands, max_set_uids;
	const char *trash, *junk;
	const char *deleted_to;
} shipped[] = {
	{ "cyrus", NULL, 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL, NULL },
	{ "dovecot", NULL, 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL, NULL },
	{ "fastmail", "imap.fastmail.com", 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL, NULL },
	{ "gmail", "imap.gmail.com", 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL,
		"\\Trash" },
	{ "gmx", "imap.gmx.net", 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL, NULL },
	{ "icloud", "imap.mail.me.com", 993, CONF_TLS_IMPLICIT, "QRESYNC", 400, 0,
		"Deleted Messages", "Junk", NULL },
	{ "mailbox-org", "imap.mailbox.org", 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL, NULL },
	{ "outlook", "outlook.office365.com", 993, CONF_TLS_IMPLICIT, NULL, 25, 0,
		"Deleted Items", "Junk Email", NULL },
	{ "posteo", "posteo.de", 993, CONF_TLS_IMPLICIT, NULL, 400, 0, NULL, NULL, NULL },
	{ "proton-bridge", "127.0.0.1", 1143, CONF_TLS_STARTTLS, "UIDPLUS", 400, 0,
		"Trash", "Spam", NULL },
	{ "yahoo", "imap.mail.yahoo.com", 993, CONF_TLS_IMPLICIT, NULL, 400, 1000, "Trash", "Bulk", NULL },
};

static void is_text(const char *got, const char *want, const char *what, const char *whose)
{
	ok(want == NULL ? got == NULL : got != NULL && strcmp(got, want) == 0, "%s: %s", whose, what);
}

static void check_shipped(size_t i)
{
	const char *name = shipped[i].name, *host = shipped[i].host;
	char *keys = mem_printf("provider = \"%s\"\n%s", name, host ? "" : "host = h.example");
	struct err err;
	struct conf *conf = read_keys(keys, &err);
	const struct conf_account *a = conf != NULL ? &conf->accounts[0] : NULL;

	free(keys);
	if (!ok(a != NULL, "%s is read: %s", name, err.text))
		return;
	is_text(a->provider, name, "provider", name);
	is_text(a->host, host ? host : "h.example", "host", name);
	is_int(a->port, shipped[i].port, "%s: port", name);
	is_int(a->tls, shipped[i].tls, "%s: tls", name);
	is_text(a->avoid_count > 0 ? a->avoid[0] : NULL, shipped[i].avoid, "avoid", name);
	is_int(a->max_commands, shipped[i].max_commands, "%s: max-commands", name);
	is_int(a->max_set_uids, shipped[i].max_set_uids, "%s: max-set", name);
	is_text(a->roles.trash, shipped[i].trash, "trash", name);
	is_text(a->roles.junk, shipped[i].junk, "junk", name);
	is_text(a->deleted_to, shipped[i].deleted_to, "on-deleted", name);
	is_int(a->on_deleted, shipped[i].deleted_to ? CONF_DELETED_MOVE : CONF_DELETED_EXPUNGE,
		"%s: on-deleted moves, or not", name);
	is_text(a->mailboxes[0], "*", "all mailboxes", name);
	ok(!a->allow_cleartext && !a->send_id && a->match_bodies,
		"%s: nothing else", name);
	conf_free(conf);
}

/* A file without a row above would be shipped unread. */
static void test_shipped(void)
{
	DIR *dir = opendir("conf/providers");
	const struct dirent *entry;
	size_t files = 0;

	setenv("MAILTIDE_DATADIR", "conf", 1);
	for (size_t i = 0; i < sizeof shipped / sizeof *shipped; i++)
		check_shipped(i);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		files += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	is_int(files, sizeof shipped / sizeof *shipped, "no file in conf/providers without a row here");
}

static void test_precedence(void)
{
	struct err err;
	struct conf *conf;
	const struct conf_account *a;

	write_to("providers/p.conf", "# one\nhost = p.example\nport = 1993\ntls = implicit\n"
		"avoid = { \"A\", \"B\" }\nmailboxes = { \"*\", \"!Spam\" }\nbodies = none\nmax-set = 7\n"
		"ca-file = \"p.pem\"\ntrash = \"T\"\njunk = \"J\"\nmax-commands = 9\non-deleted = \"move X\"\non-missing-mailbox = \"use Y\"", 0644);
	conf = read_keys("avoid = { }\nhost = a.example\ntrash = \"Away\"\nprovider = \"P\"\n"
		"bodies = unseen\non-deleted = expunge", &err);
	if (!ok(conf != NULL, "read: %s", err.text))
		return;
	a = &conf->accounts[0];
	is_str(a->host, "a.example", "the account's host wins");
	is_int(a->port, 1993, "the provider's port");
	is_int(a->avoid_count, 0, "an empty list wins, too");
	is_int(a->mailbox_count, 2, "the provider's mailboxes");
	is_str(a->roles.trash, "Away", "the account's trash");
	is_str(a->roles.junk, "J", "the provider's junk");
	is_int(a->on_deleted, CONF_DELETED_EXPUNGE, "the account's on-deleted");
	ok(a->deleted_to == NULL, "and nothing of the provider's");
	is_text(a->missing_use, "Y", "on-missing-mailbox", "the provider's");
	is_int(a->max_set_uids, 7, "the provider's max-set");
	ok(strstr(a->ca_file, "/providers/p.pem") != NULL, "a path beside the settings: %s", a->ca_file);
	ok(conf_rules(a, NULL, "x").bodies.unseen && !conf_rules(a, NULL, "x").bodies.none,
		"the account's rule");
	conf_free(conf);

	conf = read_keys("provider = p\ntls = starttls\nmailboxes = { }\nmailbox \"x\" { old = skip }",
		&err);
	if (!ok(conf != NULL, "read: %s", err.text))
		return;
	a = &conf->accounts[0];
	is_int(a->port, 143, "another tls, so its own port");
	is_int(a->mailbox_count, 0, "INBOX alone");
	is_int(a->avoid_count, 2, "the provider's list");
	ok(conf_rules(a, NULL, "x").bodies.none, "the provider's rule");
	ok(conf_rules(a, NULL, "x").old_skip, "and the account's section");
	conf_free(conf);
}

/* "P" stands for the folder of the settings, "F" for the configuration. */
static const struct {
	const char *settings, *keys, *error;
} refused[] = {
	{ "", "provider = \"gmial\"",
		"F:4: there is no provider \"gmial\"; did you mean \"gmail\"?" },
	{ "", "\nprovider = \"webmail\"",
		"F:5: there is no provider \"webmail\"; known are gmail, p" },
	{ "", "provider = \"../p\"", "F:4: there is no provider \"../p\"; known are gmail, p" },
	{ "", "provider = \"-p\"", "F:4: there is no provider \"-p\"; did you mean \"p\"?" },
	{ "", "provider = p\nprovider = p",
		"F:5: \"provider\" is given again; it stands on line 4 already" },
	{ "", "provider = p", "F:1: account \"a\" has no \"host\"" },
	{ "\nhots = x", "provider = p", "P/p.conf:2: unknown key \"hots\"; did you mean \"host\"?" },
	{ "\n\nport = 0", "provider = p",
		"P/p.conf:3: \"port\" must be a number from 1 to 65535, not \"0\"" },
	{ "host = {", "provider = p", "P/p.conf:1: the \"{\" on this line has no \"}\"" },
	{ "user = eve", "provider = p", "P/p.conf:1: \"user\" has no place in a provider's settings" },
	{ "password-command = x", "provider = p",
		"P/p.conf:1: \"password-command\" has no place in a provider's settings" },
	{ "provider = p", "provider = p",
		"P/p.conf:1: \"provider\" has no place in a provider's settings" },
	{ "\naccount \"b\" {\n}", "provider = p",
		"P/p.conf:2: \"account\" has no place in a provider's settings" },
	{ "\nhost = x\ntls = none", "provider = p", "F:1: tls = \"none\" sends the mail and the login "
		"to \"x\" in clear text; if that is meant, add allow-cleartext = yes" },
};

static char *spell_out(const char *error)
{
	if (error[1] == '/')
		return mem_printf("%s/providers/%s", folder, error + 2);
	return mem_printf("%s/%s", folder, error);
}

static void check_refused(const char *keys, const char *error)
{
	struct err err;
	struct conf *conf = read_keys(keys, &err);
	char *wanted = spell_out(error);

	ok(conf == NULL && err.cls == ERR_USER, "refused: %s", keys);
	is_str(err.text, wanted, "told: %s", error);
	conf_free(conf);
	free(wanted);
}

/* Who can write the settings learns the password. */
static void test_trust(void)
{
	char *path = path_of("providers/p.conf"), *wanted;
	struct err err;
	struct conf *conf;

	write_to("providers/p.conf", "host = x", 0646);
	wanted = mem_printf("F:4: the provider's settings in \"%s\" can be written by everybody; "
		"chmod o-w them", path);
	check_refused("provider = p", wanted);
	free(wanted);
	chmod(path, 0664);
	conf = read_keys("provider = p", &err);
	ok(conf != NULL, "the group may, as git leaves files: %s", err.text);
	conf_free(conf);
	if (geteuid() == 0 && chown(path, 4711, 4711) == 0) {
		wanted = mem_printf("F:4: the provider's settings in \"%s\" belong to somebody else",
			path);
		check_refused("provider = p", wanted);
		free(wanted);
	}
	unlink(path);
	free(path);
}

static void clean_up(void)
{
	static const char *const names[] = { "F", "providers/p.conf", "providers/gmail.conf",
		"providers/README" };
	char *providers = path_of("providers");

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = path_of(names[i]);

		unlink(path);
		free(path);
	}
	rmdir(providers);
	rmdir(folder);
	free(providers);
	free(folder);
}

int main(void)
{
	char *providers;

	setenv("HOME", "/home/me", 1);
	unsetenv("XDG_STATE_HOME");
	folder = mem_printf("%s/mailtide-conf-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(folder) == NULL)
		return 1;
	providers = path_of("providers");
	if (mkdir(providers, 0755) != 0)
		return 1;
	test_shipped();
	setenv("MAILTIDE_DATADIR", folder, 1);
	write_to("providers/gmail.conf", "host = x", 0644);
	write_to("providers/README", "", 0644);
	test_precedence();
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		write_to("providers/p.conf", refused[i].settings, 0644);
		check_refused(refused[i].keys, refused[i].error);
	}
	test_trust();
	clean_up();
	free(providers);
	return done_testing();
}
