/* Patterns, which mailboxes they choose, and what holds for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "lib/tap.h"

static const struct {
	const char *pattern, *mailbox;
	char delimiter;
	bool want;
} patterns[] = {
	{ "*", "a/b/c", '/', true },
	{ "*", "", '/', true },
	{ "", "", '/', true },
	{ "", "a", '/', false },
	{ "a", "a", '/', true },
	{ "a", "A", '/', false },
	{ "a", "ab", '/', false },
	{ "%", "a", '/', true },
	{ "%", "a/b", '/', false },
	{ "%", "a/b", '.', true },
	{ "%", "a/b", '\0', true }, /* a server without hierarchy */
	{ "%/%", "a/b", '/', true },
	{ "%/%", "a/b/c", '/', false },
	{ "a/%", "a/", '/', true },
	{ "*/c", "a/b/c", '/', true },
	{ "%/c", "a/b/c", '/', false },
	{ "*%", "a/b", '/', true },
	{ "%*", "a/b", '/', true },
	{ "a*b*c", "a/b/b/c", '/', true },
	{ "a*b%c", "a/b/bxc", '/', true },
	{ "a*b%c", "a/bx/c", '/', false },
	{ "%a%b", "xaya/b", '/', false },
	{ "%a%/%b", "xaya/b", '/', true },
	{ "Lists/*", "Lists", '/', false },
	{ "Lists/*", "Lists/a/b", '/', true },
	{ "*ü*", "Entwürfe", '/', true },
	{ "inbox", "INBOX", '/', true },
	{ "INBOX", "iNbOx", '/', true },
	{ "Inbox/A", "INBOX/A", '/', true },
	{ "Inbox/a", "INBOX/A", '/', false },
	{ "inboxes", "INBOXES", '/', false },
	{ "inbox/a", "INBOX/a", '.', false },
	{ "In*", "INBOX", '/', true },
	/* a naive matcher never ends here */
	{ "*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", '/',
		false },
};

static const char text[] = "account \"a\" {\n"
	"host = h user = u maildir = \"/m\"\n"
	"mailboxes = { \"*\", \"!Junk\", \"!Lists/*\", \"Lists/dev\" }\n"
	"bodies = \"flagged\"\n"
	"mailbox \"Lists/%\" {\n bodies = none\n old = skip\n}\n"
	"mailbox \"Lists/dev\" {\n bodies = all\n}\n"
	"profile \"train\" {\n bodies = \"smaller 200K\"\n max-size = 1M\n"
	" mailbox \"inbox\" {\n bodies = all\n }\n}\n"
	"profile \"idle\" {\n}\n"
	"}\naccount \"b\" { host = h user = u maildir = \"/n\" mailboxes = { } }";

static const struct {
	const char *mailbox;
	bool chosen;
} choices[] = {
	{ "INBOX", true }, { "inbox", true }, { "Sent", true }, { "Junk", false }, { "junk", true },
	{ "Junk/old", true }, { "Lists", true }, { "Lists/x", false }, { "Lists/x/y", false },
	{ "Lists/dev", true },
};

static const struct {
	const char *mailbox, *profile;
	struct conf_mailbox_rules want;
} rules[] = {
	{ "Sent", NULL, { .bodies = { .flagged = true }, .max_size = 64 << 20 } },
	{ "Lists/x", NULL, { .bodies = { .none = true }, .max_size = 64 << 20, .old_skip = true } },
	{ "Lists/x/y", NULL, { .bodies = { .flagged = true }, .max_size = 64 << 20 } },
	{ "Lists/dev", NULL, { .max_size = 64 << 20, .old_skip = true } },
	{ "Sent", "train", { .bodies = { .smaller = 200 << 10 }, .max_size = 1 << 20 } },
	{ "Lists/x", "train",
		{ .bodies = { .smaller = 200 << 10 }, .max_size = 1 << 20, .old_skip = true } },
	{ "INBOX", "train", { .max_size = 1 << 20 } },
	{ "Sent", "idle", { .bodies = { .flagged = true }, .max_size = 64 << 20 } },
};

static struct conf *read_conf(void)
{
	char *path = mem_printf("%s/mailtide-conf-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	int fd = mkstemp(path);
	struct conf *conf;
	struct err err;

	err_clear(&err);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return NULL;
	close(fd);
	conf = conf_read(path, &err);
	ok(conf != NULL, "read: %s", err.text);
	unlink(path);
	free(path);
	return conf;
}

static bool is_same(const struct conf_mailbox_rules *a, const struct conf_mailbox_rules *b)
{
	return a->max_size == b->max_size && a->old_skip == b->old_skip &&
		a->bodies.none == b->bodies.none && a->bodies.newer_s == b->bodies.newer_s &&
		a->bodies.smaller == b->bodies.smaller && a->bodies.flagged == b->bodies.flagged &&
		a->bodies.unseen == b->bodies.unseen;
}

int main(void)
{
	struct conf *conf;
	const struct conf_account *a, *b;

	setenv("HOME", "/home/me", 1);
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		is_int(conf_pattern_matches(patterns[i].pattern, patterns[i].mailbox,
			       patterns[i].delimiter), patterns[i].want, "\"%s\" and \"%s\"",
			patterns[i].pattern, patterns[i].mailbox);
	conf = read_conf();
	if (conf == NULL)
		return done_testing();
	a = conf_find(conf, "a");
	b = conf_find(conf, "b");
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
		is_int(conf_chooses(a, choices[i].mailbox, '/'), choices[i].chosen, "chosen: %s",
			choices[i].mailbox);
	ok(conf_chooses(b, "Inbox", '/') && !conf_chooses(b, "Sent", '/'), "{ } is INBOX alone");
	ok(conf_profile(a, "Train") == NULL && conf_profile(b, "train") == NULL, "unknown profiles");
	is_str(conf_profile(a, "train")->name, "train", "a known one");
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct conf_profile *p =
			rules[i].profile != NULL ? conf_profile(a, rules[i].profile) : NULL;
		struct conf_mailbox_rules got = conf_rules(a, p, rules[i].mailbox);

		ok(is_same(&got, &rules[i].want), "rules of %s, profile %s", rules[i].mailbox,
			p != NULL ? p->name : "none");
	}
	conf_free(conf);
	return done_testing();
}
