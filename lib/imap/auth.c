/* libgsasl computes, we carry the lines. OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's) are one line
 * each and stand here. */
#include "imap/auth.h"

#include <gsasl.h>
#include <stdlib.h>

struct auth {
	Gsasl *ctx;
	Gsasl_session *session; /* NULL: `bearer` */
	struct buf bearer;      /* the one line */
	const char *reply;      /* to a bearer mechanism's error, in base 64 */
	bool client_first, started, finished;
};

/* Choosing */

struct rank {
	const char *mechanism;
	bool token, cert, plus;
	int family;
};

/* In order of preference (C3). Mechanisms of one family share their secrets on the server. */
static const struct rank ranks[] = {
	{ "EXTERNAL", false, true, false, 0 },
	{ "SCRAM-SHA-256-PLUS", false, false, true, 1 },
	{ "SCRAM-SHA-256", false, false, false, 1 },
	{ "SCRAM-SHA-1-PLUS", false, false, true, 1 },
	{ "SCRAM-SHA-1", false, false, false, 1 },
	{ "OAUTHBEARER", true, false, false, 2 },
	{ "XOAUTH2", true, false, false, 2 },
	{ "PLAIN", false, false, false, 3 },
	{ "LOGIN", false, false, false, 4 },
};
enum { RANKS = sizeof ranks / sizeof *ranks };

static bool suits(const struct rank *rank, const struct auth_means *means)
{
	if (rank->cert)
		return means->client_cert;
	return rank->token == means->token && (!rank->plus || means->binding);
}

size_t auth_ways(const struct caps *caps, const struct auth_means *means,
	struct auth_way ways[AUTH_WAYS_MAX])
{
	bool any = strcasecmp(means->wanted, "auto") == 0;
	size_t count = 0;

	for (size_t i = 0; i < RANKS; i++) {
		const struct rank *rank = &ranks[i];
		bool login = strcmp(rank->mechanism, "LOGIN") == 0;

		if (any ? !suits(rank, means) : strcasecmp(means->wanted, rank->mechanism) != 0)
			continue;
		if (login && !caps->has[IMAP_CAP_LOGINDISABLED])
			ways[count++] = (struct auth_way){ "LOGIN", true };
		if (caps_auth(caps, rank->mechanism))
			ways[count++] = (struct auth_way){ rank->mechanism, false };
	}
	return count;
}

void auth_prefer(struct auth_way *ways, size_t count, const char *mechanism)
{
	for (size_t i = 1; i < count; i++) {
		struct auth_way way = ways[i];
		if (strcmp(way.mechanism, mechanism) != 0)
			continue;
		memmove(ways + 1, ways, i * sizeof *ways);
		ways[0] = way;
		return;
	}
}

static int family(const char *mechanism)
{
	for (size_t i = 0; i < RANKS; i++)
		if (strcmp(ranks[i].mechanism, mechanism) == 0)
			return ranks[i].family;
	return -1;
}

const struct auth_way *auth_next(const struct auth_way *ways, size_t count,
	const struct auth_way *failed)
{
	const struct auth_way *end = ways + count;

	for (const struct auth_way *way = failed + 1; way < end; way++)
		if (family(way->mechanism) != family(failed->mechanism))
			return way;
	return failed + 1 < end ? failed + 1 : NULL;
}

bool auth_needs_secret(const struct auth_way *way)
{
	return strcmp(way->mechanism, "EXTERNAL") != 0;
}

/* Beginning */

/* gs2-header's user name: "," and "=" have a meaning there (RFC 5801 4). */
static void add_saslname(struct buf *out, const char *user)
{
	for (; *user != '\0'; user++)
		if (*user == ',')
			buf_add_str(out, "=2C");
		else if (*user == '=')
			buf_add_str(out, "=3D");
		else
			buf_add_char(out, *user);
}

static bool begin_bearer(struct auth *a, const char *mechanism, const struct auth_identity *id)
{
	if (strcmp(mechanism, "XOAUTH2") == 0) {
		buf_addf(&a->bearer, "user=%s\001", id->user);
		a->reply = "";
	} else if (strcmp(mechanism, "OAUTHBEARER") == 0) {
		buf_add_str(&a->bearer, "n,a=");
		add_saslname(&a->bearer, id->user);
		buf_addf(&a->bearer, ",\001host=%s\001port=%u\001", id->host, id->port);
		a->reply = "AQ=="; /* a single ^A (RFC 7628 3.2.3) */
	} else {
		return false;
	}
	buf_add_str(&a->bearer, "auth=Bearer ");
	buf_add_slice(&a->bearer, id->secret);
	buf_add_str(&a->bearer, "\001\001");
	a->client_first = true;
	return true;
}

/* RFC 5802 6 wants a client that could bind, but is not offered it, to say "y" where it now says "n":
 * libgsasl 2.2.0 fails when it knows the binding then. TLS has checked the certificate by itself. */
static void set_binding(struct auth *a, const char *mechanism, const struct auth_identity *id)
{
	size_t len = strlen(mechanism);
	char *text;
	size_t text_len;

	if (id->binding_type == NULL || len < 5 || strcmp(mechanism + len - 5, "-PLUS") != 0)
		return;
	if (gsasl_base64_to(id->binding.data, id->binding.len, &text, &text_len) != GSASL_OK)
		return;
	gsasl_property_set(a->session, strcmp(id->binding_type, "tls-exporter") == 0
		? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE, text);
	gsasl_free(text);
}

static int begin_gsasl(struct auth *a, const char *mechanism, const struct auth_identity *id,
	struct err *err)
{
	int rc = gsasl_init(&a->ctx);

	if (rc == GSASL_OK)
		rc = gsasl_client_start(a->ctx, mechanism, &a->session);
	if (rc != GSASL_OK)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "mechanism \"%s\": %s", mechanism,
			gsasl_strerror(rc));
	/* EXTERNAL: an empty authorization identity means "whose certificate it is" (RFC 4422 A). */
	if (strcmp(mechanism, "EXTERNAL") == 0)
		gsasl_property_set(a->session, GSASL_AUTHZID, "");
	gsasl_property_set(a->session, GSASL_AUTHID, id->user);
	gsasl_property_set_raw(a->session, GSASL_PASSWORD, id->secret.data, id->secret.len);
	gsasl_property_set(a->session, GSASL_SERVICE, "imap");
	gsasl_property_set(a->session, GSASL_HOSTNAME, id->host);
	set_binding(a, mechanism, id);
	a->client_first = strcmp(mechanism, "LOGIN") != 0;
	return 0;
}

struct auth *auth_new(const char *mechanism, const struct auth_identity *id, struct err *err)
{
	struct auth *a = mem_new(sizeof *a);

	buf_init(&a->bearer, 0);
	if (!begin_bearer(a, mechanism, id) && begin_gsasl(a, mechanism, id, err) < 0) {
		auth_free(a);
		return NULL;
	}
	return a;
}

static void wipe_text(const char *text)
{
	if (text != NULL)
		mem_wipe((char *)(uintptr_t)text, strlen(text));
}

void auth_free(struct auth *a)
{
	if (a == NULL)
		return;
	if (a->session != NULL) {
		/* The library frees its copies as they are. */
		wipe_text(gsasl_property_fast(a->session, GSASL_PASSWORD));
		wipe_text(gsasl_property_fast(a->session, GSASL_SCRAM_SALTED_PASSWORD));
		gsasl_finish(a->session);
	}
	if (a->ctx != NULL)
		gsasl_done(a->ctx);
	if (a->bearer.data != NULL)
		mem_wipe(a->bearer.data, a->bearer.len);
	buf_release(&a->bearer);
	free(a);
}

bool auth_client_first(const struct auth *a)
{
	return a->client_first;
}

/* The dialogue */

static void step_bearer(struct auth *a, struct buf *line)
{
	char *text;
	size_t len;

	if (a->started) { /* the challenge is an error; the tagged NO follows our answer */
		buf_add_str(line, a->reply);
		return;
	}
	a->finished = true;
	if (gsasl_base64_to(a->bearer.data, a->bearer.len, &text, &len) != GSASL_OK)
		return;
	buf_add(line, text, len);
	mem_wipe(text, len);
	gsasl_free(text);
}

static int step_gsasl(struct auth *a, struct slice challenge, struct buf *line, struct err *err)
{
	char *text = mem_copy_slice(challenge), *answer = NULL;
	int rc;

	/* Some servers say something friendly where a client-first mechanism gets an empty challenge. */
	if (!a->started && a->client_first)
		text[0] = '\0';
	rc = a->finished ? GSASL_MECHANISM_CALLED_TOO_MANY_TIMES
		: gsasl_step64(a->session, text, &answer);
	free(text);
	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
		return err_set(err, ERR_LOGIN, ERR_ACCOUNT, "the server's part of the login is wrong (%s)",
			gsasl_strerror(rc));
	a->finished = rc == GSASL_OK;
	if (answer != NULL) {
		buf_add_str(line, answer);
		wipe_text(answer);
		gsasl_free(answer);
	}
	return 0;
}

int auth_step(struct auth *a, struct slice challenge, struct buf *line, struct err *err)
{
	int rc = 0;

	if (a->session == NULL)
		step_bearer(a, line);
	else
		rc = step_gsasl(a, challenge, line, err);
	a->started = true;
	return rc;
}

bool auth_is_proved(const struct auth *a)
{
	return a->finished;
}
