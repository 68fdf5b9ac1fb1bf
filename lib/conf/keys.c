#include "conf/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/values.h"

/* '"KEY" must be WHAT, not "VALUE"'. */
static int must_be(const struct conf_taking *t, const char *what)
{
	return err_set(t->err, ERR_USER, ERR_ACCOUNT, "\"%s\" must be %s, not \"%.100s\"", t->key,
		what, t->value);
}

static int take_text(char **out, const struct conf_taking *t)
{
	free(*out);
	*out = mem_copy(t->value);
	return 0;
}

/* What names the same place shall be the same text: no "//", "/./", no slash at the end. */
static void tidy(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0';) {
		if (from[0] == '/' && from[1] == '/') {
			from++;
		} else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0')) {
			from += 2;
		} else {
			*to++ = *from++;
		}
	}
	if (to > path + 1 && to[-1] == '/')
		to--;
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

/* "~/..." from the home folder, all else from the folder of the file where it stands. */
static int take_path(char **out, const struct conf_taking *t)
{
	bool home = t->value[0] == '~';
	char *path;

	if (home && t->value[1] != '/' && t->value[1] != '\0')
		return must_be(t, "a path (of the homes only one's own is known, ~/)");
	path = home ? file_expand(t->value) :
	       t->value[0] == '/' ? mem_copy(t->value) :
				    file_join(t->folder, t->value);
	if (path[0] != '/') { /* nobody's home, or the folder is gone */
		free(path);
		return must_be(t, "a path from the root");
	}
	tidy(path);
	free(*out);
	*out = path;
	return 0;
}

static int take_bool(bool *out, const struct conf_taking *t)
{
	return conf_value_bool(t->value, out) ? 0 : must_be(t, "\"yes\" or \"no\"");
}

static int take_number(unsigned *out, unsigned min, unsigned max, const struct conf_taking *t)
{
	uint64_t n;
	char what[60];

	if (!conf_value_number(t->value, min, max, &n)) {
		snprintf(what, sizeof what, "a number from %u to %u", min, max);
		return must_be(t, what);
	}
	*out = (unsigned)n;
	return 0;
}

static int take_timeout(double *out, const struct conf_taking *t)
{
	return conf_value_timeout(t->value, out) ? 0 :
		must_be(t, "a time such as \"60\" (seconds), \"2m\" or \"1h\"");
}

static int take_host(struct conf_taking *t)
{
	const char *colon = strchr(t->value, ':');

	if (strstr(t->value, "://") != NULL)
		return must_be(t, "a name or an address, without a scheme");
	if (colon != NULL && strchr(colon + 1, ':') == NULL)
		return must_be(t, "a name or an address, with the port in \"port\"");
	if (strpbrk(t->value, " /@[]") != NULL || strlen(t->value) > 253)
		return must_be(t, "a name or an address");
	return take_text(&t->account->host, t);
}

static int take_port(struct conf_taking *t)
{
	unsigned port = 0;

	if (take_number(&port, 1, 65535, t) != 0)
		return -1;
	t->account->port = (uint16_t)port;
	return 0;
}

static int take_tls(struct conf_taking *t)
{
	static const char *const words[] = { "implicit", "starttls", "none", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return must_be(t, "\"implicit\", \"starttls\" or \"none\"");
	t->account->tls = (enum conf_tls)place;
	return 0;
}

static int take_allow_cleartext(struct conf_taking *t)
{
	return take_bool(&t->account->allow_cleartext, t);
}

static int take_ca_file(struct conf_taking *t)
{
	return take_path(&t->account->ca_file, t);
}

static int take_pin(struct conf_taking *t)
{
	if (!conf_value_pin(t->value))
		return must_be(t, "\"sha256//\" and the key's digest in base64 (44 characters)");
	return take_text(&t->account->pin, t);
}

static int take_cert_file(struct conf_taking *t)
{
	return take_path(&t->account->cert_file, t);
}

static int take_key_file(struct conf_taking *t)
{
	return take_path(&t->account->key_file, t);
}

static int take_user(struct conf_taking *t)
{
	return take_text(&t->account->user, t);
}

static int take_secret(enum conf_secret_kind kind, struct conf_taking *t)
{
	if (t->account->secret_kind != CONF_SECRET_NONE)
		return err_set(t->err, ERR_USER, ERR_ACCOUNT,
			"\"%s\": the account already has another source for its secret", t->key);
	t->account->secret_kind = kind;
	return kind == CONF_SECRET_FILE ? take_path(&t->account->secret, t)
					: take_text(&t->account->secret, t);
}

static int take_password(struct conf_taking *t)
{
	return take_secret(CONF_SECRET_TEXT, t);
}

static int take_password_command(struct conf_taking *t)
{
	return take_secret(CONF_SECRET_COMMAND, t);
}

static int take_password_file(struct conf_taking *t)
{
	return take_secret(CONF_SECRET_FILE, t);
}

static int take_password_credential(struct conf_taking *t)
{
	if (strchr(t->value, '/') != NULL || t->value[0] == '.')
		return must_be(t, "the name of a systemd credential");
	return take_secret(CONF_SECRET_CREDENTIAL, t);
}

static int take_token_command(struct conf_taking *t)
{
	return take_secret(CONF_SECRET_TOKEN, t);
}

static int take_password_timeout(struct conf_taking *t)
{
	return take_timeout(&t->account->secret_timeout_s, t);
}

static int take_auth(struct conf_taking *t)
{
	static const char *const mechanisms[] = { "auto", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256",
		"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", "PLAIN", "EXTERNAL",
		"LOGIN", NULL };
	unsigned place;

	if (!conf_value_word(t->value, mechanisms, &place))
		return must_be(t, "\"auto\" or one of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, "
			"SCRAM-SHA-1-PLUS, SCRAM-SHA-1, OAUTHBEARER, XOAUTH2, PLAIN, EXTERNAL, LOGIN");
	free(t->account->auth);
	t->account->auth = mem_copy(mechanisms[place]);
	return 0;
}

static int take_maildir(struct conf_taking *t)
{
	return take_path(&t->account->maildir, t);
}

static int take_layout(struct conf_taking *t)
{
	static const char *const words[] = { "nested", "maildir++", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return must_be(t, "\"nested\" or \"maildir++\"");
	t->account->layout = (enum conf_layout)place;
	return 0;
}

static int take_mailboxes(struct conf_taking *t)
{
	struct conf_account *a = t->account;

	if (strcmp(t->value, "!") == 0)
		return err_set(t->err, ERR_USER, ERR_ACCOUNT,
			"\"mailboxes\": a pattern is missing after \"!\"");
	if (t->value[0] == '!' && a->mailbox_count == 0)
		return err_set(t->err, ERR_USER, ERR_ACCOUNT,
			"\"mailboxes\": \"%.100s\" takes away from nothing; write \"*\" before it",
			t->value);
	a->mailboxes = mem_grow(a->mailboxes, a->mailbox_count + 1, sizeof *a->mailboxes);
	a->mailboxes[a->mailbox_count++] = mem_copy(t->value);
	return 0;
}

static int take_connections(struct conf_taking *t)
{
	return take_number(&t->account->connections, 1, 16, t);
}

static int take_compress(struct conf_taking *t)
{
	static const char *const words[] = { "auto", "yes", "no", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return must_be(t, "\"auto\", \"yes\" or \"no\"");
	t->account->compress = (enum conf_auto)place;
	return 0;
}

static int take_state(struct conf_taking *t)
{
	return take_path(&t->account->state, t);
}

static int take_timeout_key(struct conf_taking *t)
{
	return take_timeout(&t->account->timeout_s, t);
}

static int take_subscribed_only(struct conf_taking *t)
{
	return take_bool(&t->account->subscribed_only, t);
}

static int take_on_new_mailbox(struct conf_taking *t)
{
	static const char *const words[] = { "skip", "create", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return must_be(t, "\"create\" or \"skip\"");
	t->account->create_new = place == 1;
	return 0;
}

static int take_bodies(struct conf_taking *t)
{
	if (conf_value_bodies(t->value, &t->section->rules.bodies, t->err) != 0)
		return err_prefix(t->err, "\"%s\"", t->key);
	t->section->has_bodies = true;
	return 0;
}

static int take_max_size(struct conf_taking *t)
{
	if (!conf_value_size(t->value, &t->section->rules.max_size))
		return must_be(t, "a size such as \"200K\" or \"64M\", or \"0\" for no limit");
	t->section->has_max_size = true;
	return 0;
}

static int take_old(struct conf_taking *t)
{
	static const char *const words[] = { "full", "skip", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return must_be(t, "\"full\" or \"skip\"");
	t->section->rules.old_skip = place == 1;
	t->section->has_old = true;
	return 0;
}

/* A key of a later version: known, so that a configuration written for that one is told what it
 * would miss here, and taken where it asks for what this version does anyway. */
static int take_only(const char *value, struct conf_taking *t)
{
	if (strcmp(t->value, value) == 0)
		return 0;
	return err_set(t->err, ERR_USER, ERR_ACCOUNT,
		"\"%s\": only \"%s\" is supported by this version", t->key, value);
}

static int take_store_bodies(struct conf_taking *t)
{
	return take_only("yes", t);
}

static int take_on_removed_mailbox(struct conf_taking *t)
{
	return take_only("keep", t);
}

static int take_on_missing_mailbox(struct conf_taking *t)
{
	return take_only("create", t);
}

static int take_on_missing(struct conf_taking *t)
{
	return take_only("skip", t);
}

static int take_on_deleted(struct conf_taking *t)
{
	return take_only("expunge", t);
}

static int take_brake(struct conf_taking *t)
{
	unsigned percent;

	if (strcmp(t->value, "0") != 0 && !conf_value_percent(t->value, &percent))
		return must_be(t, "a share such as \"25%\"");
	return take_only("25%", t);
}

const struct conf_key conf_account_keys[] = {
	{ "host", take_host, false },
	{ "port", take_port, false },
	{ "tls", take_tls, false },
	{ "allow-cleartext", take_allow_cleartext, false },
	{ "ca-file", take_ca_file, false },
	{ "pin", take_pin, false },
	{ "cert-file", take_cert_file, false },
	{ "key-file", take_key_file, false },
	{ "user", take_user, false },
	{ "password", take_password, false },
	{ "password-command", take_password_command, false },
	{ "password-file", take_password_file, false },
	{ "password-credential", take_password_credential, false },
	{ "token-command", take_token_command, false },
	{ "password-timeout", take_password_timeout, false },
	{ "auth", take_auth, false },
	{ "maildir", take_maildir, false },
	{ "layout", take_layout, false },
	{ "mailboxes", take_mailboxes, true },
	{ "connections", take_connections, false },
	{ "compress", take_compress, false },
	{ "state", take_state, false },
	{ "timeout", take_timeout_key, false },
	{ "subscribed-only", take_subscribed_only, false },
	{ "on-new-mailbox", take_on_new_mailbox, false },
	{ "bodies", take_bodies, false },
	{ "max-size", take_max_size, false },
	{ "old", take_old, false },
	{ "store-bodies", take_store_bodies, false },
	{ "on-removed-mailbox", take_on_removed_mailbox, false },
	{ "on-missing-mailbox", take_on_missing_mailbox, false },
	{ "on-missing-source", take_on_missing, false },
	{ "on-message-gone", take_on_missing, false },
	{ "on-deleted", take_on_deleted, false },
	{ "brake", take_brake, false },
	{ NULL, NULL, false },
};

const struct conf_key conf_section_keys[] = {
	{ "bodies", take_bodies, false },
	{ "max-size", take_max_size, false },
	{ "old", take_old, false },
	{ NULL, NULL, false },
};
