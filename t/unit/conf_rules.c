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
	"profile \"hurry\" {\n mode = new\n large = skip\n"
	" mailbox \"Lists/*\" {\n mode = descriptors\n }\n"
	" mailbox \"Lists/dev\" {\n mode = normal\n }\n"
	" mailbox \"INBOX\" {\n mode = blind\n max-size = 2M\n }\n"
	" mailbox \"Sent\" {\n bodies = none\n }\n}\n"
	"profile \"beside\" {\n mode = descriptors\n bodies = unseen\n}\n"
	"profile \"after\" {\n mode = blind\n mailbox \"Sent\" {\n bodies = all\n old = full\n }\n"
	" mailbox \"Lists/*\" {\n max-size = 1K\n }\n}\n"
	"}\naccount \"b\" { host = h user = u maildir = \"/n\" mailboxes = { }\n"
	"mode = descriptors bodies = \"newer 1d\" mailbox \"*\" {\n mode = descriptors\n }\n"
	"mailbox \"INBOX\" {\n bodies = all\n }\nprofile \"desk\" {\n mode = normal\n }\n}";

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
	/* a mode starts from the keys, not from the mode before it */
	{ "Drafts", "hurry", { .bodies = { .flagged = true }, .max_size = 64 << 20, .old_skip = true,
		.large = CONF_LEAVE_OUT } },
	{ "Lists/x/y", "hurry", { .bodies = { .none = true }, .max_size = 64 << 20,
		.large = CONF_LEAVE_OUT } },
	{ "Lists/x", "hurry", { .bodies = { .none = true }, .max_size = 64 << 20, .old_skip = true,
		.large = CONF_LEAVE_OUT } },
	{ "Lists/dev", "hurry", { .max_size = 64 << 20, .old_skip = true, .large = CONF_LEAVE_OUT } },
	{ "INBOX", "hurry", { .bodies = { .flagged = true }, .bodies_at_once = true,
		.max_size = 2 << 20, .large = CONF_LEAVE_OUT } },
	{ "Sent", "hurry", { .bodies = { .none = true }, .max_size = 64 << 20, .old_skip = true,
		.large = CONF_LEAVE_OUT } },
	/* keys beside or after a mode win */
	{ "Sent", "beside", { .bodies = { .unseen = true }, .max_size = 64 << 20 } },
	{ "Drafts", "after", { .bodies = { .flagged = true }, .bodies_at_once = true,
		.max_size = 64 << 20 } },
	{ "Sent", "after", { .max_size = 64 << 20 } },
	{ "Lists/x", "after", { .bodies = { .none = true }, .bodies_at_once = true, .max_size = 1 << 10,
		.old_skip = true } },
	/* the account's own mode */
	{ "b:Sent", NULL, { .bodies = { .none = true }, .max_size = 64 << 20 } },
	{ "b:INBOX", NULL, { .max_size = 64 << 20 } },
	{ "b:Sent", "desk", { .bodies = { .newer_s = 86400 }, .max_size = 64 << 20 } },
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
		a->bodies.unseen == b->bodies.unseen && a->bodies_at_once == b->bodies_at_once &&
		a->large == b->large && a->drop_aged == b->drop_aged;
}

/* Each differs from all others in one field. */
static const struct conf_mailbox_rules prints[] = {
	{ .max_size = 0 }, { .max_size = 64 << 20 }, { .bodies = { .none = true } },
	{ .bodies = { .newer_s = 1 } }, { .bodies = { .newer_s = (int64_t)1 << 40 } },
	{ .bodies = { .smaller = 1 } }, { .bodies = { .flagged = true } },
	{ .bodies = { .unseen = true } }, { .bodies_at_once = true }, { .max_size = 1 },
	{ .large = CONF_LEAVE_OUT }, { .old_skip = true }, { .drop_aged = true },
};

static void test_fingerprint(void)
{
	enum { N = sizeof prints / sizeof *prints };
	uint64_t got[N];

	for (size_t i = 0; i < N; i++) {
		struct conf_mailbox_rules copy;
		bool alone = true;

		/* what lies between the fields does not count */
		memset(&copy, 0xa5, sizeof copy);
		copy.bodies.none = prints[i].bodies.none;
		copy.bodies.newer_s = prints[i].bodies.newer_s;
		copy.bodies.smaller = prints[i].bodies.smaller;
		copy.bodies.flagged = prints[i].bodies.flagged;
		copy.bodies.unseen = prints[i].bodies.unseen;
		copy.bodies_at_once = prints[i].bodies_at_once;
		copy.max_size = prints[i].max_size;
		copy.large = prints[i].large;
		copy.old_skip = prints[i].old_skip;
		copy.drop_aged = prints[i].drop_aged;
		got[i] = conf_rules_fingerprint(&prints[i]);
		ok(got[i] != 0 && conf_rules_fingerprint(&copy) == got[i], "fingerprint %zu", i);
		for (size_t j = 0; j < i; j++)
			alone = alone && got[j] != got[i];
		ok(alone, "no other rules have it");
	}
	/* stores hold them: a change here sends every user's mailtide through every mailbox */
	ok(got[0] == UINT64_C(0x3ecb33e15783bec5) && got[1] == UINT64_C(0x18daeab7fe7a9239), "as ever: %llx %llx",
		(unsigned long long)got[0], (unsigned long long)got[1]);
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
		bool of_b = strncmp(rules[i].mailbox, "b:", 2) == 0;
		const struct conf_account *of = of_b ? b : a;
		const struct conf_profile *p =
			rules[i].profile != NULL ? conf_profile(of, rules[i].profile) : NULL;
		struct conf_mailbox_rules got = conf_rules(of, p, rules[i].mailbox + (of_b ? 2 : 0));

		ok(is_same(&got, &rules[i].want), "rules of %s, profile %s", rules[i].mailbox,
			p != NULL ? p->name : "none");
	}
	test_fingerprint();
	conf_free(conf);
	return done_testing();
}
