#include "conf/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/take.h"
#include "conf/values.h"

/* account.c has read the settings; here it is only remembered. */
static int take_provider(struct conf_taking *t)
{
	return conf_take_text(&t->account->provider, t);
}

static int take_host(struct conf_taking *t)
{
	const char *colon = strchr(t->value, ':');

	if (strstr(t->value, "://") != NULL)
		return conf_must_be(t, "a name or an address, without a scheme");
	if (colon != NULL && strchr(colon + 1, ':') == NULL)
		return conf_must_be(t, "a name or an address, with the port in \"port\"");
	if (strpbrk(t->value, " /@[]") != NULL || strlen(t->value) > 253)
		return conf_must_be(t, "a name or an address");
	return conf_take_text(&t->account->host, t);
}

static int take_port(struct conf_taking *t)
{
	unsigned port = 0;

	if (conf_take_number(&port, 1, 65535, t) != 0)
		return -1;
	t->account->port = (uint16_t)port;
	return 0;
}

static int take_tls(struct conf_taking *t)
{
	static const char *const words[] = { "implicit", "starttls", "none", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"implicit\", \"starttls\" or \"none\"");
	t->account->tls = (enum conf_tls)place;
	return 0;
}

static int take_allow_cleartext(struct conf_taking *t)
{
	return conf_take_bool(&t->account->allow_cleartext, t);
}

static int take_ca_file(struct conf_taking *t)
{
	return conf_take_path(&t->account->ca_file, t);
}

static int take_pin(struct conf_taking *t)
{
	if (!conf_value_pin(t->value))
		return conf_must_be(t, "\"sha256//\" and the key's digest in base64 (44 characters)");
	return conf_take_text(&t->account->pin, t);
}

static int take_cert_file(struct conf_taking *t)
{
	return conf_take_path(&t->account->cert_file, t);
}

static int take_key_file(struct conf_taking *t)
{
	return conf_take_path(&t->account->key_file, t);
}

static int take_user(struct conf_taking *t)
{
	return conf_take_text(&t->account->user, t);
}

static int take_secret(enum conf_secret_kind kind, struct conf_taking *t)
{
	if (t->account->secret_kind != CONF_SECRET_NONE)
		return err_set(t->err, ERR_USER, ERR_ACCOUNT,
			"\"%s\": the account already has another source for its secret", t->key);
	t->account->secret_kind = kind;
	return kind == CONF_SECRET_FILE ? conf_take_path(&t->account->secret, t)
					: conf_take_text(&t->account->secret, t);
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
		return conf_must_be(t, "the name of a systemd credential");
	return take_secret(CONF_SECRET_CREDENTIAL, t);
}

static int take_token_command(struct conf_taking *t)
{
	return take_secret(CONF_SECRET_TOKEN, t);
}

static int take_password_timeout(struct conf_taking *t)
{
	return conf_take_timeout(&t->account->secret_timeout_s, t);
}

static int take_auth(struct conf_taking *t)
{
	static const char *const mechanisms[] = { "auto", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256",
		"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", "PLAIN", "EXTERNAL",
		"LOGIN", NULL };
	unsigned place;

	if (!conf_value_word(t->value, mechanisms, &place))
		return conf_must_be(t, "\"auto\" or one of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, "
			"SCRAM-SHA-1-PLUS, SCRAM-SHA-1, OAUTHBEARER, XOAUTH2, PLAIN, EXTERNAL, LOGIN");
	free(t->account->auth);
	t->account->auth = mem_copy(mechanisms[place]);
	return 0;
}

static int take_maildir(struct conf_taking *t)
{
	return conf_take_path(&t->account->maildir, t);
}

static int take_layout(struct conf_taking *t)
{
	static const char *const words[] = { "nested", "maildir++", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"nested\" or \"maildir++\"");
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
	return conf_take_number(&t->account->connections, 1, 16, t);
}

static int take_compress(struct conf_taking *t)
{
	static const char *const words[] = { "auto", "yes", "no", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"auto\", \"yes\" or \"no\"");
	t->account->compress = (enum conf_auto)place;
	return 0;
}

static int take_state(struct conf_taking *t)
{
	return conf_take_path(&t->account->state, t);
}

static int take_timeout_key(struct conf_taking *t)
{
	return conf_take_timeout(&t->account->timeout_s, t);
}

static int take_subscribed_only(struct conf_taking *t)
{
	return conf_take_bool(&t->account->subscribed_only, t);
}

static int take_on_new_mailbox(struct conf_taking *t)
{
	static const char *const words[] = { "skip", "create", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"create\" or \"skip\"");
	t->account->create_new = place == 1;
	return 0;
}

static int take_on_removed_mailbox(struct conf_taking *t)
{
	static const char *const words[] = { "keep", "remove", NULL };
	unsigned place;

	if (!conf_value_word(t->value, words, &place))
		return conf_must_be(t, "\"keep\" or \"remove\"");
	t->account->remove_gone = place == 1;
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

static int take_brake(struct conf_taking *t)
{
	unsigned percent;

	if (strcmp(t->value, "0") != 0 && !conf_value_percent(t->value, &percent))
		return conf_must_be(t, "a share such as \"25%\"");
	return take_only("25%", t);
}

const struct conf_key conf_account_keys[] = {
	{ "provider", take_provider, CONF_PERSONAL },
	{ "host", take_host, 0 },
	{ "port", take_port, 0 },
	{ "tls", take_tls, 0 },
	{ "allow-cleartext", take_allow_cleartext, 0 },
	{ "ca-file", take_ca_file, 0 },
	{ "pin", take_pin, 0 },
	{ "cert-file", take_cert_file, CONF_PERSONAL },
	{ "key-file", take_key_file, CONF_PERSONAL },
	{ "user", take_user, CONF_PERSONAL },
	{ "password", take_password, CONF_PERSONAL },
	{ "password-command", take_password_command, CONF_PERSONAL },
	{ "password-file", take_password_file, CONF_PERSONAL },
	{ "password-credential", take_password_credential, CONF_PERSONAL },
	{ "token-command", take_token_command, CONF_PERSONAL },
	{ "password-timeout", take_password_timeout, CONF_PERSONAL },
	{ "auth", take_auth, 0 },
	{ "maildir", take_maildir, CONF_PERSONAL },
	{ "layout", take_layout, 0 },
	{ "mailboxes", take_mailboxes, CONF_LIST },
	{ "connections", take_connections, 0 },
	{ "compress", take_compress, 0 },
	{ "state", take_state, CONF_PERSONAL },
	{ "timeout", take_timeout_key, 0 },
	{ "subscribed-only", take_subscribed_only, 0 },
	{ "on-new-mailbox", take_on_new_mailbox, 0 },
	{ "store-bodies", take_store_bodies, 0 },
	{ "on-removed-mailbox", take_on_removed_mailbox, 0 },
	{ "brake", take_brake, 0 },
	{ NULL, NULL, 0 },
};

const struct conf_key *const conf_key_tables[] = {
	conf_section_keys,
	conf_account_keys,
	conf_server_keys,
	conf_replay_keys,
	NULL,
};
