/* What a TLS connection can say about itself: for the log, for a pin, and for SCRAM-PLUS, which
 * proves that both ends see the same connection. */
#include <openssl/x509.h>

#include "io/io_private.h"

bool io_stream_is_tls(const struct io_stream *s)
{
	return s->tls_text != NULL;
}

const char *io_stream_tls_describe(const struct io_stream *s)
{
	return s->tls_text != NULL ? s->tls_text : "";
}

const char *io_stream_pin(const struct io_stream *s)
{
	return s->pin_seen != NULL ? s->pin_seen : "";
}

/* RFC 9266 */
static bool exporter(SSL *ssl, struct buf *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char key[32];

	if (SSL_version(ssl) < TLS1_3_VERSION
	    || SSL_export_keying_material(ssl, key, sizeof key, label, sizeof label - 1,
			(const unsigned char *)"", 0, 1) != 1)
		return false;
	return buf_add(out, key, sizeof key);
}

/* RFC 5929 section 3: the first Finished message, which is the server's where the session was
 * resumed. Worth nothing without the extended master secret (RFC 7627), and not defined for TLS
 * 1.3. */
static bool unique(SSL *ssl, struct buf *out)
{
	unsigned char finished[EVP_MAX_MD_SIZE];

	if (SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) != 1)
		return false;
	size_t len = SSL_session_reused(ssl) ? SSL_get_peer_finished(ssl, finished, sizeof finished)
		: SSL_get_finished(ssl, finished, sizeof finished);
	return len > 0 && len <= sizeof finished && buf_add(out, finished, len);
}

/* RFC 5929 section 4: the certificate by the digest of its signature, SHA-256 for weaker ones. A
 * signature that has none of its own (Ed25519) leaves it undefined. */
static bool end_point(SSL *ssl, struct buf *out)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;
	int nid;

	if (cert == NULL || X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return false;
	const EVP_MD *md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
	return md != NULL && X509_digest(cert, md, digest, &len) == 1 && buf_add(out, digest, len);
}

bool io_stream_channel_binding(const struct io_stream *s, const char *type, struct buf *out)
{
	struct slice name = slice_of(type);

	if (s->ssl == NULL || s->state != IO_OPEN)
		return false;
	if (slice_is(name, "tls-exporter"))
		return exporter(s->ssl, out);
	if (slice_is(name, "tls-unique"))
		return unique(s->ssl, out);
	if (slice_is(name, "tls-server-end-point"))
		return end_point(s->ssl, out);
	return false;
}
