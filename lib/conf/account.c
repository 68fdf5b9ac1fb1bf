#include "conf/account.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/keys.h"
#include "conf/provider.h"

struct reader {
	const struct conf_tree *tree;
	cfg_t *cfg;  /* the account's section, or a provider's settings */
	const struct reader *by; /* of a provider: the account, whose own words win; else NULL */
	size_t line; /* where it begins */
	struct conf_account *account;
	struct err *err;
};

static int fail_at(const struct reader *r, size_t line)
{
	return conf_source_blame(&r->tree->source, line, r->err);
}

/* Does the key stand there, be it as an empty list? */
static bool says(cfg_t *cfg, const char *key)
{
	return (cfg_getopt(cfg, key)->flags & CFGF_MODIFIED) != 0;
}

/* Fills in a sentence before fail_at. */
#define SAY(r, ...) err_set((r)->err, ERR_USER, ERR_ACCOUNT, __VA_ARGS__)

/* The line of a key, or of the account where the key does not stand. */
static size_t line_of(const struct reader *r, const char *key)
{
	size_t line = conf_tree_line(r->tree, cfg_getopt(r->cfg, key), 0);

	return line > 0 ? line : r->line;
}

/* What the account says itself is not taken from its provider, nor is a port that goes with
 * another kind of TLS. */
static bool is_left_to_account(const struct reader *r, const struct conf_key *key)
{
	if (r->by == NULL)
		return false;
	return (key->flags & CONF_PERSONAL) != 0 || says(r->by->cfg, key->name) ||
		(strcmp(key->name, "port") == 0 && says(r->by->cfg, "tls"));
}

static int take_key(const struct reader *r, cfg_t *from, const struct conf_key *key,
	struct conf_section *into)
{
	cfg_opt_t *opt = is_left_to_account(r, key) ? NULL : cfg_getopt(from, key->name);

	for (unsigned i = 0; opt != NULL && i < cfg_opt_size(opt); i++) {
		size_t line = conf_tree_line(r->tree, opt, i);
		struct conf_taking t = {
			.account = r->account,
			.section = into,
			.key = key->name,
			.value = cfg_opt_getnstr(opt, i),
			.folder = conf_source_file_at(&r->tree->source, line)->folder,
			.err = r->err,
		};

		if (key->take(&t) != 0)
			return fail_at(r, line);
	}
	return 0;
}

static int take_keys(const struct reader *r, cfg_t *from, const struct conf_key *keys,
	struct conf_section *into)
{
	for (; keys->name != NULL; keys++) {
		if (take_key(r, from, keys, into) != 0)
			return -1;
	}
	return 0;
}

static int take_account_keys(const struct reader *r)
{
	for (const struct conf_key *const *table = conf_key_tables; *table != NULL; table++) {
		if (take_keys(r, r->cfg, *table, &r->account->own) != 0)
			return -1;
	}
	return 0;
}

static int take_provider_keys(const struct reader *r)
{
	const char *name = cfg_getstr(r->cfg, "provider");
	struct conf_tree tree;
	struct reader settings = { .tree = &tree, .account = r->account, .by = r, .err = r->err };
	int rc;

	if (name == NULL)
		return 0;
	rc = conf_provider_read(&tree, name, r->err);
	if (rc == 0) {
		settings.cfg = tree.root;
		rc = take_account_keys(&settings);
	} else if (rc > 0) {
		fail_at(r, line_of(r, "provider"));
	}
	conf_tree_release(&tree);
	return rc == 0 ? 0 : -1;
}

/* The mailbox sections of an account or a profile, in their order. */
static int take_sections(const struct reader *r, cfg_t *from, struct conf_section **sections,
	size_t *count)
{
	unsigned n = cfg_size(from, "mailbox");

	if (n == 0)
		return 0;
	*sections = mem_new(n * sizeof **sections);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *cfg = cfg_getnsec(from, "mailbox", i);
		struct conf_section *section = &(*sections)[(*count)++];

		section->pattern = mem_copy(cfg_title(cfg));
		if (take_keys(r, cfg, conf_section_keys, section) != 0)
			return -1;
	}
	return 0;
}

static int take_profiles(const struct reader *r)
{
	struct conf_account *a = r->account;
	unsigned n = cfg_size(r->cfg, "profile");

	if (n == 0)
		return 0;
	a->profiles = mem_new(n * sizeof *a->profiles);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *cfg = cfg_getnsec(r->cfg, "profile", i);
		struct conf_profile *p = &a->profiles[a->profile_count++];

		p->name = mem_copy(cfg_title(cfg));
		p->own.pattern = mem_copy("*");
		if (take_keys(r, cfg, conf_section_keys, &p->own) != 0 ||
			take_sections(r, cfg, &p->sections, &p->section_count) != 0)
			return -1;
	}
	return 0;
}

/* It is typed on command lines as ACCOUNT/MAILBOX, and names a folder. */
static int check_name(const struct reader *r)
{
	const char *name = r->account->name;

	if (strchr("-.", name[0]) == NULL && strpbrk(name, "/ \t\n\r\\\"'") == NULL &&
		strlen(name) <= 100)
		return 0;
	SAY(r, "an account cannot be named \"%.100s\": a name has no blanks, slashes or quotes, "
		"and does not begin with \".\" or \"-\"", name);
	return fail_at(r, r->line);
}

static int check_given(const struct reader *r)
{
	const struct conf_account *a = r->account;
	bool external = strcmp(a->auth, "EXTERNAL") == 0;
	const char *missing = a->host == NULL ? "host" :
		a->user == NULL && !external ? "user" :
		a->maildir == NULL ? "maildir" : NULL;

	if (missing == NULL)
		return 0;
	SAY(r, "account \"%s\" has no \"%s\"", a->name, missing);
	return fail_at(r, r->line);
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int check_tls(const struct reader *r)
{
	const struct conf_account *a = r->account;

	if (a->tls == CONF_TLS_NONE && !a->allow_cleartext && !is_loopback(a->host)) {
		SAY(r, "tls = \"none\" sends the mail and the login to \"%.100s\" in clear text; "
			"if that is meant, add allow-cleartext = yes", a->host);
		return fail_at(r, line_of(r, "tls"));
	}
	if (a->key_file != NULL && a->cert_file == NULL) {
		SAY(r, "\"key-file\" needs \"cert-file\" beside it");
		return fail_at(r, line_of(r, "key-file"));
	}
	return 0;
}

/* The secret and the mechanism must fit. */
static int check_auth(const struct reader *r)
{
	const struct conf_account *a = r->account;
	bool oauth = strcmp(a->auth, "OAUTHBEARER") == 0 || strcmp(a->auth, "XOAUTH2") == 0;

	if (a->secret_kind == CONF_SECRET_TOKEN && !oauth && strcmp(a->auth, "auto") != 0) {
		SAY(r, "auth = \"%s\" takes no token; \"token-command\" goes with \"auto\", "
			"OAUTHBEARER or XOAUTH2", a->auth);
		return fail_at(r, line_of(r, "auth"));
	}
	if (strcmp(a->auth, "EXTERNAL") == 0 && a->cert_file == NULL) {
		SAY(r, "auth = \"EXTERNAL\" needs \"cert-file\"");
		return fail_at(r, line_of(r, "auth"));
	}
	return 0;
}

/* A password in the file itself: then the file is a secret. */
static int check_password(const struct reader *r)
{
	size_t line = line_of(r, "password");
	const struct conf_source_file *file = conf_source_file_at(&r->tree->source, line);

	if (r->account->secret_kind != CONF_SECRET_TEXT)
		return 0;
	if (file->owner != geteuid() && file->owner != 0)
		SAY(r, "a password stands in a file that belongs to somebody else");
	else if ((file->mode & 077) != 0)
		SAY(r, "a password stands in a file that others may read or write; "
			"chmod 600 it, or use \"password-command\"");
	else
		return 0;
	return fail_at(r, line);
}

static int fill_state(const struct reader *r)
{
	struct conf_account *a = r->account;
	const char *folder = getenv("XDG_STATE_HOME");
	char *base;

	if (a->state == NULL) {
		base = folder != NULL && folder[0] == '/' ? file_join(folder, "mailtide")
							  : file_expand("~/.local/state/mailtide");
		a->state = file_join(base, a->name);
		free(base);
	}
	if (a->state[0] != '/') {
		SAY(r, "account \"%s\" needs \"state\", since the home folder is not known", a->name);
		return fail_at(r, r->line);
	}
	if (strcmp(a->state, a->maildir) == 0) {
		SAY(r, "\"state\" and \"maildir\" are the same folder");
		return fail_at(r, line_of(r, "state"));
	}
	return 0;
}

static void fill_port(struct conf_account *a)
{
	if (a->port == 0)
		a->port = a->tls == CONF_TLS_IMPLICIT ? 993 : 143;
}

/* Everything, where nothing is said. An empty list means INBOX alone. */
static void fill_mailboxes(const struct reader *r)
{
	struct conf_account *a = r->account;

	if (a->mailbox_count > 0 || says(r->cfg, "mailboxes"))
		return;
	a->mailboxes = mem_new(sizeof *a->mailboxes);
	a->mailboxes[a->mailbox_count++] = mem_copy("*");
}

static void fill_user(struct conf_account *a)
{
	if (a->user == NULL)
		a->user = mem_copy("");
}

static void init_defaults(struct conf_account *a, const char *name)
{
	*a = (struct conf_account){
		.name = mem_copy(name),
		.tls = CONF_TLS_IMPLICIT,
		.secret_timeout_s = 60,
		.auth = mem_copy("auto"),
		.layout = CONF_NESTED,
		.connections = 2,
		.compress = CONF_AUTO,
		.create_new = true,
		.timeout_s = 60,
		.max_commands = 400,
		.max_line_bytes = 8000,
		.match_bodies = true,
		.expunge_emulation = true,
		.look_again_s = 3,
		.own = { .pattern = mem_copy("*") },
	};
}

int conf_account_read(struct conf_account *account, const struct conf_tree *tree, size_t i,
	struct err *err)
{
	struct reader r = {
		.tree = tree,
		.cfg = conf_tree_account(tree, i),
		.line = conf_tree_account_line(tree, i),
		.account = account,
		.err = err,
	};

	init_defaults(account, cfg_title(r.cfg));
	if (check_name(&r) != 0 || take_provider_keys(&r) != 0 || take_account_keys(&r) != 0 ||
		take_sections(&r, r.cfg, &account->sections, &account->section_count) != 0 ||
		take_profiles(&r) != 0 || check_given(&r) != 0 || check_tls(&r) != 0 ||
		check_auth(&r) != 0 || check_password(&r) != 0 || fill_state(&r) != 0)
		return -1;
	fill_port(account);
	fill_mailboxes(&r);
	fill_user(account);
	return 0;
}

static void release_sections(struct conf_section *sections, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(sections[i].pattern);
	free(sections);
}

void conf_account_release(struct conf_account *a)
{
	if (a->secret != NULL)
		mem_wipe(a->secret, strlen(a->secret));
	free(a->name);
	free(a->provider);
	free(a->host);
	free(a->ca_file);
	free(a->pin);
	free(a->cert_file);
	free(a->key_file);
	free(a->user);
	free(a->secret);
	free(a->auth);
	free(a->maildir);
	free(a->state);
	for (size_t i = 0; i < a->mailbox_count; i++)
		free(a->mailboxes[i]);
	free(a->mailboxes);
	for (size_t i = 0; i < a->avoid_count; i++)
		free(a->avoid[i]);
	free(a->avoid);
	free(a->roles.trash);
	free(a->roles.sent);
	free(a->roles.drafts);
	free(a->roles.archive);
	free(a->roles.junk);
	free(a->missing_use);
	free(a->deleted_to);
	free(a->own.pattern);
	release_sections(a->sections, a->section_count);
	for (size_t i = 0; i < a->profile_count; i++) {
		free(a->profiles[i].name);
		free(a->profiles[i].own.pattern);
		release_sections(a->profiles[i].sections, a->profiles[i].section_count);
	}
	free(a->profiles);
}
