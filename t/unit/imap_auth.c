/* The mechanisms against libgsasl's server side in this process (its client nonce cannot be chosen, so
 * that RFC 7677's vector cannot be replayed), the lines of the others octet by octet. */
#include "imap/auth.h"

#include <gsasl.h>
#include <stdlib.h>

#include "lib/tap.h"

static const char *password = "pencil";

static int serve(Gsasl *ctx, Gsasl_session *session, Gsasl_property property)
{
	(void)ctx;
	switch (property) {
	case GSASL_PASSWORD:
		gsasl_property_set(session, property, password);
		return GSASL_OK;
	case GSASL_SCRAM_ITER:
		gsasl_property_set(session, property, "4096");
		return GSASL_OK;
	case GSASL_CB_TLS_EXPORTER:
		gsasl_property_set(session, property, "Ym91bmQ="); /* "bound" */
		return GSASL_OK;
	case GSASL_VALIDATE_SIMPLE:
		return strcmp(gsasl_property_fast(session, GSASL_AUTHID), "us,e=r") == 0
			&& strcmp(gsasl_property_fast(session, GSASL_PASSWORD), password) == 0
			? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
	case GSASL_VALIDATE_EXTERNAL:
		return GSASL_OK;
	default:
		return GSASL_NO_CALLBACK;
	}
}

static struct auth_identity identity(const char *secret)
{
	return (struct auth_identity){ .user = "us,e=r", .secret = slice_of(secret),
		.host = "imap.example.org", .port = 993 };
}

/* The whole dialogue; with `spoil`, the server's last message is changed on the way. */
static void dialogue(const char *mechanism, struct auth_identity id, bool spoil, int want_server,
	int want_client, bool want_proved)
{
	struct err err = { 0 };
	struct auth *a = auth_new(mechanism, &id, &err);
	Gsasl *ctx;
	Gsasl_session *session;
	struct buf line;
	char *challenge = NULL;
	int server = GSASL_NEEDS_MORE, client = 0;

	buf_init(&line, 0);
	gsasl_init(&ctx);
	gsasl_callback_set(ctx, serve);
	gsasl_server_start(ctx, mechanism, &session);
	if (!ok(a != NULL, "%s begins", mechanism))
		return;
	if (auth_client_first(a))
		client = auth_step(a, slice_of("friendly words"), &line, &err);
	while (client == 0 && server == GSASL_NEEDS_MORE) {
		server = gsasl_step64(session, buf_str(&line), &challenge);
		if (server != GSASL_OK && server != GSASL_NEEDS_MORE)
			break;
		if (challenge == NULL || (server == GSASL_OK && challenge[0] == '\0'))
			break;
		if (spoil && server == GSASL_OK)
			challenge[8] = challenge[8] == 'A' ? 'B' : 'A';
		buf_clear(&line);
		client = auth_step(a, slice_of(challenge), &line, &err);
		gsasl_free(challenge);
		challenge = NULL;
	}
	gsasl_free(challenge);
	is_int(server, want_server, "%s: what the server thinks", mechanism);
	is_int(client, want_client, "%s: what the client thinks", mechanism);
	is_int(auth_is_proved(a), want_proved, "%s: proved", mechanism);
	if (want_client < 0)
		is_int(err.cls, ERR_LOGIN, "%s: %s", mechanism, err.text);
	gsasl_finish(session);
	gsasl_done(ctx);
	buf_release(&line);
	auth_free(a);
}

static void test_dialogues(void)
{
	struct auth_identity id = identity("pencil"), wrong = identity("crayon"), bound = id;

	bound.binding_type = "tls-exporter";
	bound.binding = slice_of("bound");
	dialogue("PLAIN", id, false, GSASL_OK, 0, true);
	dialogue("PLAIN", wrong, false, GSASL_AUTHENTICATION_ERROR, 0, true);
	dialogue("LOGIN", id, false, GSASL_OK, 0, true);
	dialogue("EXTERNAL", identity(""), false, GSASL_OK, 0, true);
	dialogue("SCRAM-SHA-1", id, false, GSASL_OK, 0, true);
	dialogue("SCRAM-SHA-256", id, false, GSASL_OK, 0, true);
	dialogue("SCRAM-SHA-256", bound, false, GSASL_OK, 0, true);
	dialogue("SCRAM-SHA-256", wrong, false, GSASL_AUTHENTICATION_ERROR, 0, false);
	dialogue("SCRAM-SHA-256", id, true, GSASL_OK, -1, false);
	dialogue("SCRAM-SHA-256-PLUS", bound, false, GSASL_OK, 0, true);
	bound.binding = slice_of("somebody between");
	dialogue("SCRAM-SHA-256-PLUS", bound, false, GSASL_AUTHENTICATION_ERROR, 0, false);
}

static void test_line(const char *mechanism, const char *want, const char *reply)
{
	struct auth_identity id = identity("tok");
	struct err err = { 0 };
	struct auth *a = auth_new(mechanism, &id, &err);
	struct buf line;
	char *text = NULL;
	size_t len = 0;

	buf_init(&line, 0);
	ok(auth_client_first(a), "%s speaks first", mechanism);
	auth_step(a, slice_of(""), &line, &err);
	gsasl_base64_from(line.data, line.len, &text, &len);
	is_mem(text, len, want, strlen(want), "%s: its line", mechanism);
	gsasl_free(text);
	buf_clear(&line);
	is_int(auth_step(a, slice_of("eyJzdGF0dXMiOiI0MDEifQ=="), &line, &err), 0, "an error comes");
	is_str(buf_str(&line), reply, "%s: its answer to an error", mechanism);
	buf_release(&line);
	auth_free(a);
}

static const struct {
	const char *caps, *wanted;
	bool token, cert, binding;
	const char *ways; /* "!" marks the command */
} choices[] = {
	{ "AUTH=PLAIN AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS AUTH=LOGIN", "auto",
		false, false, true, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN! LOGIN" },
	{ "AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS", "auto", false, false, false, "PLAIN LOGIN!" },
	{ "AUTH=PLAIN LOGINDISABLED", "auto", false, false, false, "PLAIN" },
	{ "LOGINDISABLED", "auto", false, false, false, "" },
	{ "LOGINDISABLED STARTTLS", "LOGIN", false, false, false, "" },
	{ "", "auto", false, false, false, "LOGIN!" },
	{ "AUTH=PLAIN AUTH=XOAUTH2", "auto", true, false, false, "XOAUTH2" },
	{ "AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER", "auto", true, false, false,
		"OAUTHBEARER XOAUTH2" },
	{ "AUTH=PLAIN AUTH=XOAUTH2", "auto", false, false, false, "PLAIN LOGIN!" },
	{ "AUTH=EXTERNAL AUTH=PLAIN", "auto", false, true, false, "EXTERNAL PLAIN LOGIN!" },
	{ "AUTH=EXTERNAL AUTH=PLAIN", "auto", false, false, false, "PLAIN LOGIN!" },
	{ "AUTH=EXTERNAL AUTH=PLAIN", "plain", false, true, false, "PLAIN" },
	{ "AUTH=PLAIN", "SCRAM-SHA-256", false, false, false, "" },
	{ "AUTH=CRAM-MD5 AUTH=ANONYMOUS LOGINDISABLED", "auto", false, false, false, "" },
};

static void test_choices(void)
{
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		const struct auth_means means = { choices[i].wanted, choices[i].token, choices[i].cert,
			choices[i].binding };
		struct auth_way ways[AUTH_WAYS_MAX];
		struct caps caps;
		struct buf got;

		buf_init(&got, 0);
		caps_init(&caps);
		caps_parse(&caps, slice_of(choices[i].caps));
		size_t count = auth_ways(&caps, &means, ways);
		for (size_t k = 0; k < count; k++)
			buf_addf(&got, "%s%s%s", k > 0 ? " " : "", ways[k].mechanism,
				ways[k].command ? "!" : "");
		is_str(buf_str(&got), choices[i].ways, "%s of \"%s\"", means.wanted, choices[i].caps);
		buf_release(&got);
		caps_release(&caps);
	}
}

static void test_next(void)
{
	const struct auth_way ways[] = {
		{ "SCRAM-SHA-256-PLUS", false }, { "SCRAM-SHA-256", false }, { "PLAIN", false },
		{ "LOGIN", true }, { "LOGIN", false },
	};

	is_str(auth_next(ways, 5, &ways[0])->mechanism, "PLAIN", "another family first (imap4d)");
	is_str(auth_next(ways, 2, &ways[0])->mechanism, "SCRAM-SHA-256", "else the next one");
	ok(auth_next(ways, 5, &ways[2])->command, "after PLAIN the command");
	ok(!auth_next(ways, 5, &ways[3])->command, "after the command AUTH=LOGIN");
	ok(auth_next(ways, 5, &ways[4]) == NULL, "nothing after the last");
}

int main(void)
{
	test_dialogues();
	test_line("XOAUTH2", "user=us,e=r\001auth=Bearer tok\001\001", "");
	test_line("OAUTHBEARER", "n,a=us=2Ce=3Dr,\001host=imap.example.org\001port=993\001"
		"auth=Bearer tok\001\001", "AQ==");
	test_choices();
	test_next();
	return done_testing();
}
