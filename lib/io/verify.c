/* Whether the peer's certificate is good (C2), and words for what is wrong with it. The user reads
 * them once, far from any expert: they name what was seen, and what would help. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/io_private.h"

/* The public key */

char *io_verify_pin(const X509 *cert)
{
	unsigned char *spki = NULL, digest[SHA256_DIGEST_LENGTH];
	char base64[(SHA256_DIGEST_LENGTH + 2) / 3 * 4 + 1];
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);

	if (len <= 0)
		return mem_copy("");
	SHA256(spki, (size_t)len, digest);
	OPENSSL_free(spki);
	EVP_EncodeBlock((unsigned char *)base64, digest, sizeof digest);
	return mem_printf("sha256//%s", base64);
}

/* As in curl, there may be several, between semicolons: the next key is pinned before it comes. */
static bool pin_is_among(const char *pins, const char *seen)
{
	for (const char *p = pins; *p != '\0'; ) {
		size_t len = strcspn(p, ";");
		if (slice_is((struct slice){ p, len }, seen))
			return true;
		p += len;
		p += strspn(p, "; ");
	}
	return false;
}

/* Parts of a certificate, as text */

static void put_date(char *out, size_t size, const ASN1_TIME *time)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(time, &tm) || strftime(out, size, "%Y-%m-%d", &tm) == 0)
		snprintf(out, size, "an unreadable date");
}

/* The last common name of a subject or an issuer, or all of it. */
static void put_name(char *out, size_t size, const X509_NAME *name)
{
	X509_NAME_oneline(name, out, (int)size);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0)
		return;
	const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	snprintf(out, size, "%.*s", ASN1_STRING_length(text),
		(const char *)ASN1_STRING_get0_data(text));
}

static void put_address(char *out, size_t size, const ASN1_STRING *ip)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(ip);
	int len = ASN1_STRING_length(ip);

	out[0] = '\0';
	if (len == 4 || len == 16)
		inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, out, (socklen_t)size);
}

static void put_general_name(char *out, size_t size, const GENERAL_NAME *name)
{
	out[0] = '\0';
	if (name->type == GEN_DNS)
		snprintf(out, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
			(const char *)ASN1_STRING_get0_data(name->d.dNSName));
	else if (name->type == GEN_IPADD)
		put_address(out, size, name->d.iPAddress);
}

/* "mail.example.org, imap.example.org", cut where a server has hundreds. */
static void add_names(struct buf *out, const X509 *cert)
{
	char one[256];
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		put_general_name(one, sizeof one, sk_GENERAL_NAME_value(names, i));
		if (one[0] == '\0')
			continue;
		if (out->len + strlen(one) > 150) {
			buf_add_str(out, out->len > 0 ? ", ..." : "...");
			break;
		}
		buf_addf(out, "%s%s", out->len > 0 ? ", " : "", one);
	}
	GENERAL_NAMES_free(names);
	if (out->len == 0) {
		put_name(one, 64, X509_get_subject_name(cert));
		buf_add_str(out, one);
	}
}

/* What is wrong */

struct complaint {
	const char *host;
	const X509 *leaf;
	const X509 *cert; /* the one that it is about */
	int error, depth;
	char *pin;
};

/* "the certificate of "localhost"", or the one above it that is to blame. */
static void put_subject(char *out, size_t size, const struct complaint *c)
{
	char name[64];

	if (c->depth == 0 || c->cert == NULL) {
		snprintf(out, size, "the certificate of \"%s\"", c->host);
		return;
	}
	put_name(name, sizeof name, X509_get_subject_name(c->cert));
	snprintf(out, size, "the certificate \"%s\" above that of \"%s\"", name, c->host);
}

static void complain_name(const struct complaint *c, struct err *err)
{
	struct buf names;

	buf_init(&names, 0);
	add_names(&names, c->leaf);
	err_set(err, ERR_USER, ERR_ACCOUNT, "the certificate of \"%s\" is for other names: %s; "
		"connect by one of these, or set pin = \"%s\"", c->host, buf_str(&names), c->pin);
	buf_release(&names);
}

static void complain_time(const struct complaint *c, const char *subject, struct err *err)
{
	bool over = c->error == X509_V_ERR_CERT_HAS_EXPIRED;
	const X509 *cert = c->cert != NULL ? c->cert : c->leaf;
	char date[32];

	put_date(date, sizeof date, over ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert));
	err_set(err, ERR_USER, ERR_ACCOUNT, "%s %s %s; if this machine's clock is right, the server's "
		"operator must renew it; until then, set pin = \"%s\"", subject,
		over ? "expired on" : "is valid only from", date, c->pin);
}

static void complain_issuer(const struct complaint *c, struct err *err)
{
	const X509 *cert = c->cert != NULL ? c->cert : c->leaf;
	char issuer[64];

	put_name(issuer, sizeof issuer, X509_get_issuer_name(cert));
	err_set(err, ERR_USER, ERR_ACCOUNT, "the certificate of \"%s\" has an unknown issuer, \"%s\": "
		"set ca-file, or pin = \"%s\"", c->host, issuer, c->pin);
}

static void complain(const struct complaint *c, struct err *err)
{
	char subject[400];

	put_subject(subject, sizeof subject, c);
	switch (c->error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		complain_name(c, err);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		complain_time(c, subject, err);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		err_set(err, ERR_USER, ERR_ACCOUNT, "%s is self-signed: set ca-file, or pin = \"%s\"",
			subject, c->pin);
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		complain_issuer(c, err);
		break;
	default:
		err_set(err, ERR_USER, ERR_ACCOUNT, "%s is not valid: %s; to trust it nevertheless, "
			"set pin = \"%s\"", subject, X509_verify_cert_error_string(c->error), c->pin);
	}
}

static int verify_pin(X509_STORE_CTX *ctx, const struct complaint *c, const char *pin,
	struct err *err)
{
	if (pin_is_among(pin, c->pin)) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
	err_set(err, ERR_USER, ERR_ACCOUNT, "the key of \"%s\" is not the pinned one; if the server's "
		"operator says that it was changed, set pin = \"%s\"", c->host, c->pin);
	return 0;
}

int io_verify(X509_STORE_CTX *ctx, const char *host, const char *pin, struct err *err)
{
	struct complaint c = { .host = host, .leaf = X509_STORE_CTX_get0_cert(ctx) };
	int good;

	if (pin == NULL && X509_verify_cert(ctx) > 0)
		return 1;
	c.pin = io_verify_pin(c.leaf);
	c.cert = X509_STORE_CTX_get_current_cert(ctx);
	c.error = X509_STORE_CTX_get_error(ctx);
	c.depth = X509_STORE_CTX_get_error_depth(ctx);
	if (pin != NULL) {
		good = verify_pin(ctx, &c, pin, err);
	} else {
		complain(&c, err);
		good = 0;
	}
	free(c.pin);
	return good;
}
