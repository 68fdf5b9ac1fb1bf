/* What a good configuration becomes: defaults, every key, sections, profiles, includes, paths. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "lib/tap.h"

static char *folder;
static char *path;

static void write_to(const char *name, const char *text)
{
	char *to = mem_printf("%s/%s", folder, name);
	FILE *f = fopen(to, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0 || chmod(to, 0600) != 0) {
		perror(to);
		exit(1);
	}
	free(to);
}

static struct conf *read_text(const char *text)
{
	struct conf *conf;
	struct err err;

	write_to("F", text);
	err_clear(&err);
	conf = conf_read(path, &err);
	if (conf == NULL) {
		ok(false, "read: %s", err.text);
		exit(done_testing());
	}
	return conf;
}

static void test_smallest(void)
{
	struct conf *conf = read_text("account \"work\" {\n"
		"    host = \"imap.example.org\"\n    user = \"ana\"\n"
		"    password-command = \"pass show mail/work\"\n    maildir = \"~/Mail/work\"\n}\n");
	const struct conf_account *a = &conf->accounts[0];
	struct conf_mailbox_rules rules = conf_rules(a, NULL, "INBOX");

	is_int(conf->account_count, 1, "one account");
	is_str(a->name, "work", "name");
	is_str(a->host, "imap.example.org", "host");
	is_int(a->port, 993, "port");
	is_int(a->tls, CONF_TLS_IMPLICIT, "tls");
	ok(!a->allow_cleartext, "no clear text");
	ok(a->ca_file == NULL && a->pin == NULL && a->cert_file == NULL && a->key_file == NULL,
		"no files");
	is_str(a->user, "ana", "user");
	is_int(a->secret_kind, CONF_SECRET_COMMAND, "the secret's kind");
	is_str(a->secret, "pass show mail/work", "the secret");
	ok(a->secret_timeout_s > 59.9 && a->secret_timeout_s < 60.1, "password-timeout");
	is_str(a->auth, "auto", "auth");
	is_str(a->maildir, "/home/me/Mail/work", "maildir");
	is_int(a->layout, CONF_NESTED, "layout");
	is_int(a->mailbox_count, 1, "mailboxes");
	is_str(a->mailboxes[0], "*", "all of them");
	is_int(a->connections, 2, "connections");
	is_int(a->compress, CONF_AUTO, "compress");
	ok(!a->subscribed_only, "subscribed-only");
	ok(a->create_new && !a->remove_gone, "on-new-mailbox, on-removed-mailbox");
	is_str(a->state, "/home/me/.local/state/mailtide/work", "state");
	ok(a->timeout_s > 59.9 && a->timeout_s < 60.1, "timeout");
	ok(!rules.bodies.none && rules.bodies.newer_s == 0 && rules.bodies.smaller == 0 &&
		!rules.bodies.flagged && !rules.bodies.unseen, "bodies = all");
	is_int(rules.max_size, 64 << 20, "max-size");
	ok(a->match_bodies && !a->send_id, "match-bodies, id");
	is_int(a->avoid_count, 0, "avoid");
	is_int(a->max_commands, 400, "max-commands");
	is_int(a->max_set_uids, 0, "max-set");
	is_int(a->max_line_bytes, 8000, "max-line");
	is_int(a->max_rate_bytes_s, 0, "max-rate");
	ok(a->roles.trash == NULL && a->roles.sent == NULL && a->roles.drafts == NULL &&
		a->roles.archive == NULL && a->roles.junk == NULL, "roles");
	is_int(a->on_missing_mailbox, CONF_MISSING_CREATE, "on-missing-mailbox");
	ok(!a->missing_source_abort && !a->conflict_server && a->expunge_emulation,
		"on-missing-source, on-flag-conflict, expunge-emulation");
	is_int(a->on_message_gone, CONF_GONE_SKIP, "on-message-gone");
	is_int(a->on_deleted, CONF_DELETED_EXPUNGE, "on-deleted");
	ok(a->missing_use == NULL && a->deleted_to == NULL, "no mailbox for them");
	ok(a->look_again_s > 2.9 && a->look_again_s < 3.1, "look-again");
	is_int(rules.large, CONF_STAND_IN, "large");
	ok(!rules.old_skip && !rules.bodies_at_once, "old, mode");
	is_int(a->section_count + a->profile_count, 0, "no sections");
	ok(conf_find(conf, "work") == a && conf_find(conf, "Work") == NULL, "found by its name");
	conf_free(conf);
}

static void test_every_key(void)
{
	struct conf *conf = read_text("account \"w\" {\n"
		"host = '2001:db8::1'\nport = 1993\ntls = StartTLS\nallow-cleartext = on\n"
		"ca-file = \"/ca//x/./y.pem\"\n"
		"pin = \"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"
		"cert-file = \"~/c.pem\"\nkey-file = \"k.pem\"\nuser = 'a\\b$c'\n"
		"token-command = \"get \\\"it\\\" ${HOME} ${MAILTIDE_NO:-else}\"\n"
		"password-timeout = \"2m\"\nauth = \"oauthbearer\"\nmaildir = \"Mail/\"\n"
		"layout = \"maildir++\"\nmailboxes = { \"INBOX\", 'a*',\n# not this\n\"!b%\", }\n"
		"mailboxes += { \"c\" }\nconnections = 16\ncompress = \"no\"\nstate = \"/s/\"\n"
		"timeout = 1h\nsubscribed-only = yes\non-new-mailbox = skip\n"
		"bodies = \"newer 2w, smaller 1K,flagged , unseen\"\nmax-size = 0\nold = skip\n"
		"large = skip\navoid = { QRESYNC, \"literal+\" }\navoid += { notify }\n"
		"max-commands = 25\nmax-set = 1000\nmax-line = 4096\nmax-rate = 500K\n"
		"match-bodies = no\nid = yes\ntrash = \"Deleted Items\"\nsent = \"Sent Items\"\n"
		"drafts = Entwürfe\narchive = Archive\njunk = \"Junk Email\"\n"
		"store-bodies = yes\non-removed-mailbox = remove\non-missing-mailbox = \"use  To sort\"\n"
		"on-missing-source = abort\non-message-gone = upload\n"
		"on-deleted = \"Move Gelöscht/Alt\"\nexpunge-emulation = no\n"
		"on-flag-conflict = server\nlook-again = 0.5\n"
		"brake = \"25%\"\n}\n");
	const struct conf_account *a = &conf->accounts[0];
	char *real = realpath(folder, NULL), *maildir = mem_printf("%s/Mail", real),
	     *key = mem_printf("%s/k.pem", real);
	struct conf_mailbox_rules rules = conf_rules(a, NULL, "INBOX");

	is_str(a->host, "2001:db8::1", "host");
	is_int(a->port, 1993, "port");
	is_int(a->tls, CONF_TLS_STARTTLS, "tls, in any case");
	ok(a->allow_cleartext, "allow-cleartext");
	is_str(a->ca_file, "/ca/x/y.pem", "ca-file, tidied");
	is_str(a->pin, "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "pin");
	is_str(a->cert_file, "/home/me/c.pem", "cert-file");
	is_str(a->key_file, key, "key-file, beside the configuration");
	is_str(a->user, "a\\b$c", "single quotes keep all");
	is_int(a->secret_kind, CONF_SECRET_TOKEN, "the secret's kind");
	is_str(a->secret, "get \"it\" /home/me else", "double quotes expand");
	ok(a->secret_timeout_s > 119 && a->secret_timeout_s < 121, "password-timeout");
	is_str(a->auth, "OAUTHBEARER", "auth, as the protocol writes it");
	is_str(a->maildir, maildir, "maildir, beside the configuration");
	is_int(a->layout, CONF_MAILDIR_PLUS, "layout");
	if (is_int(a->mailbox_count, 4, "mailboxes")) {
		is_str(a->mailboxes[2], "!b%", "the third");
		is_str(a->mailboxes[3], "c", "one added");
	}
	is_int(a->connections, 16, "connections");
	is_int(a->compress, CONF_NO, "compress");
	is_str(a->state, "/s", "state");
	ok(a->timeout_s > 3599 && a->timeout_s < 3601, "timeout");
	ok(a->subscribed_only && !a->create_new && a->remove_gone, "subscribed-only, on-new-mailbox, on-removed-mailbox");
	is_int(rules.bodies.newer_s, 14 * 86400, "newer");
	is_int(rules.bodies.smaller, 1024, "smaller");
	ok(rules.bodies.flagged && rules.bodies.unseen, "flagged, unseen");
	is_int(rules.max_size, 0, "max-size");
	ok(!a->match_bodies && a->send_id, "match-bodies, id");
	if (is_int(a->avoid_count, 3, "avoid")) {
		is_str(a->avoid[1], "LITERAL+", "the second, upper case");
		is_str(a->avoid[2], "NOTIFY", "one added");
	}
	is_int(a->max_commands, 25, "max-commands");
	is_int(a->max_set_uids, 1000, "max-set");
	is_int(a->max_line_bytes, 4096, "max-line");
	is_int(a->max_rate_bytes_s, 500 << 10, "max-rate");
	is_str(a->roles.trash, "Deleted Items", "trash");
	is_str(a->roles.sent, "Sent Items", "sent");
	is_str(a->roles.drafts, "Entwürfe", "drafts");
	is_str(a->roles.archive, "Archive", "archive");
	is_str(a->roles.junk, "Junk Email", "junk");
	is_int(a->on_missing_mailbox, CONF_MISSING_USE, "on-missing-mailbox");
	is_str(a->missing_use, "To sort", "use that one");
	ok(a->missing_source_abort && a->conflict_server && !a->expunge_emulation,
		"on-missing-source, on-flag-conflict, expunge-emulation");
	is_int(a->on_message_gone, CONF_GONE_UPLOAD, "on-message-gone");
	is_int(a->on_deleted, CONF_DELETED_MOVE, "on-deleted");
	is_str(a->deleted_to, "Gelöscht/Alt", "move there");
	ok(a->look_again_s > 0.4 && a->look_again_s < 0.6, "look-again");
	is_int(rules.large, CONF_LEAVE_OUT, "large");
	ok(rules.old_skip, "old");
	conf_free(conf);
	free(real);
	free(maildir);
	free(key);
}

static struct conf *read_key(const char *key, const char *value)
{
	char *text = mem_printf("account \"a\" {\nhost = h\nuser = u\nmaildir = \"/m\"\n"
		"%s = '%s'\n}\n", key, value);
	struct conf *conf = read_text(text);

	free(text);
	return conf;
}

static void is_name(const char *got, const char *want)
{
	ok(want == NULL ? got == NULL : got != NULL && strcmp(got, want) == 0, "the mailbox: %s",
		got != NULL ? got : "none");
}

/* Every word of the keys that choose one. A mailbox may be called like a word, or like none. */
static void test_replay_words(void)
{
	static const struct {
		const char *value;
		int want;
		const char *name;
	} missing[] = {
		{ "create", CONF_MISSING_CREATE, NULL }, { "SKIP", CONF_MISSING_SKIP, NULL },
		{ "abort", CONF_MISSING_ABORT, NULL }, { "use skip", CONF_MISSING_USE, "skip" },
		{ "USE inbox", CONF_MISSING_USE, "inbox" }, { "use a\\\\b", CONF_MISSING_USE, "a\\b" },
	}, deleted[] = {
		{ "expunge", CONF_DELETED_EXPUNGE, NULL }, { "Flag", CONF_DELETED_FLAG, NULL },
		{ "move flag", CONF_DELETED_MOVE, "flag" },
		{ "move INBOX/Old", CONF_DELETED_MOVE, "INBOX/Old" },
		{ "move \\Trash", CONF_DELETED_MOVE, "\\Trash" },
		{ "move \\JUNK", CONF_DELETED_MOVE, "\\Junk" },
		{ "move  \\archive", CONF_DELETED_MOVE, "\\Archive" },
	}, gone[] = {
		{ "skip", CONF_GONE_SKIP, NULL }, { "abort", CONF_GONE_ABORT, NULL },
		{ "Upload", CONF_GONE_UPLOAD, NULL },
	};
	struct conf *conf;

	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
		conf = read_key("on-missing-mailbox", missing[i].value);
		is_int(conf->accounts[0].on_missing_mailbox, missing[i].want, "%s", missing[i].value);
		is_name(conf->accounts[0].missing_use, missing[i].name);
		conf_free(conf);
	}
	for (size_t i = 0; i < sizeof deleted / sizeof *deleted; i++) {
		conf = read_key("on-deleted", deleted[i].value);
		is_int(conf->accounts[0].on_deleted, deleted[i].want, "%s", deleted[i].value);
		is_name(conf->accounts[0].deleted_to, deleted[i].name);
		conf_free(conf);
	}
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
		conf = read_key("on-message-gone", gone[i].value);
		is_int(conf->accounts[0].on_message_gone, gone[i].want, "%s", gone[i].value);
		conf_free(conf);
	}
}

/* Only there may mail go in clear text without being asked. */
static void test_loopback(void)
{
	static const char *const hosts[] = { "localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1" };
	static const char *const others[] = { "127.0.0.1.example.org", "localhost.example.org",
		"10.0.0.1", "::2", "127.1", "::ffff:10.0.0.1" };
	struct err err;

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		char *text = mem_printf("account \"a\" { host = \"%s\" user = u maildir = \"/m\" "
			"tls = none }", hosts[i]);
		struct conf *conf = read_text(text);

		is_int(conf->accounts[0].port, 143, "%s is loopback; port 143", hosts[i]);
		is_int(conf->accounts[0].secret_kind, CONF_SECRET_NONE, "asked for");
		conf_free(conf);
		free(text);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char *text = mem_printf("account \"a\" { host = \"%s\" user = u maildir = \"/m\" "
			"tls = none }", others[i]);

		write_to("F", text);
		ok(conf_read(path, &err) == NULL, "%s is not loopback", others[i]);
		free(text);
	}
}

static void test_external(void)
{
	struct conf *conf = read_text("account \"a\" { host = h maildir = \"/m\" auth = external "
		"cert-file = \"/c\" }");

	is_str(conf->accounts[0].user, "", "EXTERNAL needs no user");
	conf_free(conf);
}

static void test_include(void)
{
	struct conf *conf;

	write_to("common", "user = ana # a comment at the end of the file");
	write_to("b.conf", "\xef\xbb\xbf"
		"account \"b\" {\r\n\thost = h /* who */ include('common')\r\n"
		"maildir = \"b\"\r\n}\r\n");
	conf = read_text("/* first */ include(\"b.conf\") include ( 'b.conf2' )\n"
		"account \"c\" {\n# password = \"no\"\nhost = h include(\"common\") maildir=\"c\"\n"
		"password-command = \"a # b // c /* d\" }");
	if (is_int(conf->account_count, 3, "accounts from three files")) {
		is_str(conf->accounts[0].user, "ana", "an include in an include");
		is_str(conf->accounts[1].name, "d", "two includes on a line");
		is_str(conf->accounts[2].secret, "a # b // c /* d", "no comment in quotes");
	}
	conf_free(conf);
}

static void test_state(void)
{
	static const char text[] = "account \"a\" { host = h user = u maildir = \"/m\" }";
	struct conf *conf;
	struct err err;
	char *name;

	setenv("XDG_STATE_HOME", "/var/state", 1);
	conf = read_text(text);
	is_str(conf->accounts[0].state, "/var/state/mailtide/a", "$XDG_STATE_HOME");
	conf_free(conf);
	setenv("XDG_STATE_HOME", "relative", 1);
	conf = read_text(text);
	is_str(conf->accounts[0].state, "/home/me/.local/state/mailtide/a", "ignored if relative");
	conf_free(conf);
	unsetenv("XDG_STATE_HOME");

	name = conf_default_path();
	is_str(name, "/home/me/.config/mailtide/mailtide.conf", "the default path");
	free(name);
	setenv("XDG_CONFIG_HOME", "/c", 1);
	name = conf_default_path();
	is_str(name, "/c/mailtide/mailtide.conf", "$XDG_CONFIG_HOME");
	free(name);

	setenv("HOME", "here", 1);
	err_clear(&err);
	ok(conf_read(path, &err) == NULL && strstr(err.text, "home folder") != NULL, "told: %s",
		err.text);
	setenv("HOME", "/home/me", 1);
}

static void test_many(void)
{
	struct buf b;
	struct conf *conf;

	buf_init(&b, 0);
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "account \"a%d\" { host = h user = u maildir = \"/m/%d\" }\n", i, i);
	conf = read_text(buf_str(&b));
	is_int(conf->account_count, 1000, "a thousand accounts");
	is_str(conf_find(conf, "a999")->maildir, "/m/999", "the last of them");
	conf_free(conf);
	buf_release(&b);
}

int main(void)
{
	static const char *const names[] = { "F", "common", "b.conf", "b.conf2" };

	setenv("HOME", "/home/me", 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CONFIG_HOME");
	folder = mem_printf("%s/mailtide-conf-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(folder) == NULL)
		return 1;
	path = mem_printf("%s/F", folder);
	write_to("b.conf2", "account \"d\" { include(\"common\")\nhost = h maildir = d }");
	test_smallest();
	test_every_key();
	test_replay_words();
	test_loopback();
	test_external();
	test_include();
	test_state();
	test_many();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *name = mem_printf("%s/%s", folder, names[i]);

		unlink(name);
		free(name);
	}
	rmdir(folder);
	free(path);
	free(folder);
	return done_testing();
}
