/* SASL mechanisms as a dialogue of lines (RFC 4422, RFC 9051 6.2.2), stepped by the login. Private to
 * lib/imap. Knows no connection; libgsasl is known here and nowhere else. */
#ifndef IMAP_AUTH_H
#define IMAP_AUTH_H

#include "imap/caps.h"

/* What may be chosen from. */
struct auth_means {
	const char *wanted; /* "auto", or a mechanism's name */
	bool token;         /* the secret is an OAuth token */
	bool client_cert;   /* TLS with a client certificate */
	bool binding;       /* channel binding is to be had */
};

/* How one mechanism is tried. */
struct auth_way {
	const char *mechanism; /* also for people: "SCRAM-SHA-256", "LOGIN" */
	bool command;          /* the LOGIN command */
};
enum { AUTH_WAYS_MAX = 12 };

/* Puts the way of that name first, if it is among them. */
void auth_prefer(struct auth_way *ways, size_t count, const char *mechanism);
/* The ways that the server offers, the best one first (C3). Returns their number. */
size_t auth_ways(const struct caps *caps, const struct auth_means *means,
	struct auth_way ways[AUTH_WAYS_MAX]);
/* The one to try after `failed`, or NULL. SCRAM that failed is likely to fail in each of its forms
 * (imap4d offers four and has no secrets for them): the next family comes first. */
const struct auth_way *auth_next(const struct auth_way *ways, size_t count,
	const struct auth_way *failed);
/* Does it need a password or a token? */
bool auth_needs_secret(const struct auth_way *way);

struct auth_identity {
	const char *user;
	struct slice secret;
	const char *host; /* for OAUTHBEARER and the SASL service name */
	uint16_t port;
	const char *binding_type; /* "tls-exporter" or "tls-unique"; NULL: none */
	struct slice binding;
};

struct auth;
/* One attempt. NULL with *err where it cannot even begin. */
struct auth *auth_new(const char *mechanism, const struct auth_identity *id, struct err *err);
void auth_free(struct auth *a);
/* Does the client speak first? Then the first line may go with the command (SASL-IR). */
bool auth_client_first(const struct auth *a);
/* The next line to send, in base 64, for a challenge in base 64; the first one for an empty challenge.
 * -1: cancel with "*"; *err says why, and it is not the password (the server's proof is false). */
int auth_step(struct auth *a, struct slice challenge, struct buf *line, struct err *err);
/* After the server's OK: did it prove what the mechanism asks of it? */
bool auth_is_proved(const struct auth *a);

#endif
