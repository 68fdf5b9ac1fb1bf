/* From the greeting to the login's OK. Each step is left by one answer; on a server that tells its
 * capabilities in the greeting and with the login's OK, one answer is waited for: the login's. */
#include "imap/conn.h"

static void after_tls(struct imap *c);
static void choose(struct imap *c);
static void try_login(struct imap *c);
static void after_login(struct imap *c);

static struct imap_cmd *command(struct imap *c, void (*done)(void *, const struct imap_resp *),
	const char *text)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, done, c);

	imap_cmd_add(cmd, "%s", text);
	return cmd;
}

static void hand_over(struct imap *c, struct imap_cmd *cmd)
{
	pipe_send(&c->pipe, cmd, NULL, 0);
}

static bool is_private(const struct imap *c)
{
	return io_stream_is_tls(c->stream) || io_stream_is_loopback(c->stream);
}

/* The greeting, and TLS */

void login_connected(struct imap *c)
{
	if (c->state == CONN_HANDSHAKE) {
		after_tls(c);
		return;
	}
	if (!is_private(c) && !c->options.starttls && !c->options.allow_cleartext) {
		conn_fail(c, ERR_USER, "the connection to \"%s\" has no TLS: set tls = \"starttls\" or "
			"\"implicit\", or allow clear text", c->options.target.host);
		return;
	}
	conn_move(c, CONN_GREETING);
}

static void on_starttls(void *arg, const struct imap_resp *resp)
{
	struct imap *c = arg;

	if (resp->cond.cond != IMAP_OK) {
		conn_fail(c, ERR_USER, "the server refused STARTTLS: %.*s", WORDS(resp));
		return;
	}
	/* Somebody on the way wrote these in clear text, to be read as if TLS had covered them (C2). */
	if (io_stream_in(c->stream)->len > 0) {
		conn_fail(c, ERR_USER, "response injection: something came between STARTTLS and the "
			"handshake; do not trust this network");
		return;
	}
	caps_forget(&c->caps);
	conn_move(c, CONN_HANDSHAKE);
	io_stream_starttls(c->stream);
}

static void start_tls(struct imap *c)
{
	struct imap_cmd *cmd = command(c, on_starttls, "STARTTLS");

	cmd->last = true;
	conn_move(c, CONN_STARTTLS);
	hand_over(c, cmd);
}

void login_greeting(struct imap *c, const struct imap_resp *resp)
{
	if (resp->kind != IMAP_COND || resp->tagged || resp->cond.cond == IMAP_NO
			|| resp->cond.cond == IMAP_BAD) {
		conn_fail(c, ERR_RETRY, "what \"%s\" says is not an IMAP greeting",
			c->options.target.host);
		return;
	}
	if (resp->cond.cond == IMAP_BYE) {
		conn_fail(c, ERR_LATER, "the server does not let us in now: %.*s", WORDS(resp));
		return;
	}
	c->login.preauth = resp->cond.cond == IMAP_PREAUTH;
	if (c->options.starttls && c->login.preauth) {
		conn_fail(c, ERR_USER, "the server says PREAUTH where STARTTLS is due; do not trust this "
			"network");
		return;
	}
	if (c->options.starttls)
		start_tls(c);
	else
		after_tls(c);
}

/* Capabilities */

/* What was told before does not count any more: Exchange has others after the login (Q25). */
void login_capability(struct imap *c, struct slice list)
{
	caps_parse(&c->caps, list);
	c->login.caps_told = true;
}

static void on_capability(void *arg, const struct imap_resp *resp)
{
	struct imap *c = arg;

	(void)resp; /* a refusal too: then we go on as if it could nothing */
	c->caps.known = true;
	if (c->state == CONN_SURVEY)
		login_settle(c);
	else
		choose(c);
}

static void ask_capability(struct imap *c, enum conn_state state)
{
	conn_move(c, state);
	hand_over(c, command(c, on_capability, "CAPABILITY"));
}

static void after_tls(struct imap *c)
{
	if (c->login.preauth)
		after_login(c);
	else if (c->caps.known)
		choose(c);
	else
		ask_capability(c, CONN_CAPABILITY);
}

/* The login */

static bool binding(const struct imap *c, const char **type, struct buf *out)
{
	static const char *const types[] = { "tls-exporter", "tls-unique" };

	for (size_t i = 0; i < 2; i++)
		if (io_stream_channel_binding(c->stream, types[i], out)) {
			*type = types[i];
			return true;
		}
	*type = NULL;
	return false;
}

static void choose(struct imap *c)
{
	struct login *l = &c->login;
	struct buf unused;
	const char *type;

	buf_init(&unused, 0);
	const struct auth_means means = {
		.wanted = c->options.auth,
		.token = c->options.secret_is_token,
		.client_cert = c->options.target.cert_file != NULL,
		.binding = binding(c, &type, &unused),
	};
	buf_release(&unused);
	l->way_count = auth_ways(&c->caps, &means, l->ways);
	if (l->way_count == 0) {
		conn_fail(c, ERR_USER, "the server offers no way to log in that we may use (auth = \"%s\"); "
			"it offers: %s", means.wanted, buf_str(&c->caps.text));
		return;
	}
	if (c->options.prefer != NULL)
		auth_prefer(l->ways, l->way_count, c->options.prefer);
	l->way = &l->ways[0];
	if (!auth_needs_secret(l->way) || l->has_secret) {
		try_login(c);
		return;
	}
	conn_move(c, CONN_SECRET);
	c->events.on_secret(c->arg);
}

void login_secret(struct imap *c)
{
	struct login *l = &c->login;

	if (c->state != CONN_SECRET || !l->has_secret)
		return;
	if (l->secret.len > 0 && memchr(l->secret.data, '\0', l->secret.len) != NULL)
		conn_fail(c, ERR_USER, "the password of \"%s\" holds a NUL", c->options.user);
	else
		try_login(c);
}

static void forget_secret(struct login *l)
{
	if (l->secret.data != NULL)
		mem_wipe(l->secret.data, l->secret.len);
	buf_clear(&l->secret);
	l->has_secret = false;
}

void login_release(struct imap *c)
{
	auth_free(c->login.auth);
	c->login.auth = NULL;
	forget_secret(&c->login);
	buf_release(&c->login.secret);
}

/* What a refusal means for a second try and for the user. */
static bool is_about_the_mechanism(const struct imap_resp *resp)
{
	return resp->cond.code == IMAP_CODE_NONE || resp->cond.code == IMAP_CODE_OTHER;
}

static void refused(struct imap *c, const struct imap_resp *resp)
{
	struct login *l = &c->login;
	const struct auth_way *next = auth_next(l->ways, l->way_count, l->way);

	if (l->cancelled.cls != ERR_NONE) {
		conn_end(c, &l->cancelled);
	} else if (conn_is_later(resp)) {
		conn_fail(c, ERR_LATER, "the server cannot let \"%s\" in now: %.*s", c->options.user,
			WORDS(resp));
	} else if (is_about_the_mechanism(resp) && next != NULL && !l->second && is_private(c)
			&& (l->has_secret || !auth_needs_secret(next))) {
		l->second = true;
		l->way = next;
		try_login(c);
	} else {
		conn_fail(c, ERR_LOGIN, "the server refused the login of \"%s\" (%s): %.*s",
			c->options.user, l->way->mechanism, WORDS(resp));
	}
}

static void on_login(void *arg, const struct imap_resp *resp)
{
	struct imap *c = arg;
	struct login *l = &c->login;

	if (resp->cond.cond != IMAP_OK)
		refused(c, resp);
	else if (l->auth != NULL && !auth_is_proved(l->auth))
		conn_fail(c, ERR_LOGIN, "the server did not prove that it knows the password of \"%s\"; "
			"do not trust this network", c->options.user);
	else
		after_login(c);
}

static void on_challenge(void *arg, struct slice text)
{
	struct imap *c = arg;
	struct login *l = &c->login;
	struct buf line;

	while (text.len > 0 && (text.data[0] == '+' || text.data[0] == ' '))
		text = (struct slice){ text.data + 1, text.len - 1 };
	buf_init(&line, 0);
	if (l->cancelled.cls != ERR_NONE || auth_step(l->auth, text, &line, &l->cancelled) < 0)
		pipe_answer(&c->pipe, slice_of("*"));
	else
		pipe_answer(&c->pipe, buf_slice(&line));
	if (line.data != NULL)
		mem_wipe(line.data, line.len);
	buf_release(&line);
}

static struct imap_cmd *login_command(struct imap *c)
{
	struct imap_cmd *cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_login, c);

	/* Grown once: no copy of the secret is left behind. */
	buf_reserve(&cmd->text, 64 + 2 * (strlen(c->options.user) + c->login.secret.len));
	imap_cmd_add(cmd, "LOGIN ");
	imap_cmd_add_string(cmd, slice_of(c->options.user), false);
	imap_cmd_add(cmd, " ");
	imap_cmd_add_string(cmd, buf_slice(&c->login.secret), false);
	cmd->shown = mem_copy("LOGIN [secret]");
	return cmd;
}

static struct auth *new_auth(struct imap *c, struct err *err)
{
	struct login *l = &c->login;
	struct buf data;
	struct auth_identity id = {
		.user = c->options.user,
		.secret = buf_slice(&l->secret),
		.host = c->options.target.host,
		.port = c->options.target.port,
	};
	struct auth *auth;

	buf_init(&data, 0);
	if (id.secret.data == NULL)
		id.secret = slice_of("");
	if (binding(c, &id.binding_type, &data))
		id.binding = buf_slice(&data);
	auth = auth_new(l->way->mechanism, &id, err);
	buf_release(&data);
	return auth;
}

/* A first line that is long would make the command longer than servers read (C6). */
enum { INITIAL_MAX = 4000 };

static struct imap_cmd *authenticate_command(struct imap *c, struct err *err)
{
	struct login *l = &c->login;
	struct imap_cmd *cmd;
	struct buf first;
	bool initial;

	l->auth = new_auth(c, err);
	if (l->auth == NULL)
		return NULL;
	cmd = imap_cmd_new(IMAP_CMD_PLAIN, on_login, c);
	cmd->on_continue = on_challenge;
	imap_cmd_add(cmd, "AUTHENTICATE %s", l->way->mechanism);
	cmd->shown = mem_printf("AUTHENTICATE %s [secret]", l->way->mechanism);
	initial = c->caps.has[IMAP_CAP_SASL_IR] && auth_client_first(l->auth)
		&& l->secret.len < INITIAL_MAX;
	if (!initial)
		return cmd;
	buf_init(&first, 0);
	if (auth_step(l->auth, slice_of(""), &first, err) < 0) {
		imap_cmd_free(cmd);
		cmd = NULL;
	} else {
		buf_reserve(&cmd->text, first.len + 2);
		imap_cmd_add(cmd, " ");
		imap_cmd_add_slice(cmd, first.len > 0 ? buf_slice(&first) : slice_of("="));
	}
	if (first.data != NULL)
		mem_wipe(first.data, first.len);
	buf_release(&first);
	return cmd;
}

static void try_login(struct imap *c)
{
	struct login *l = &c->login;
	struct imap_cmd *cmd;
	struct err err = { 0 };

	auth_free(l->auth);
	l->auth = NULL;
	l->caps_told = false;
	cmd = l->way->command ? login_command(c) : authenticate_command(c, &err);
	if (cmd == NULL) {
		conn_end(c, &err);
		return;
	}
	cmd->last = true;
	conn_move(c, CONN_LOGIN);
	hand_over(c, cmd);
}

/* After the login */

static void after_login(struct imap *c)
{
	struct login *l = &c->login;

	auth_free(l->auth);
	l->auth = NULL;
	forget_secret(l);
	/* What a PREAUTH greeting says is after the login. Nothing else that was said before it counts. */
	if (l->caps_told) {
		login_settle(c);
		return;
	}
	caps_forget(&c->caps);
	ask_capability(c, CONN_SURVEY);
}
