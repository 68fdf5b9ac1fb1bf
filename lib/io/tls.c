/* TLS over the stream's socket. OpenSSL decrypts straight into the in-buffer.
 *
 * Reading goes ahead of the record (64 KB a system call), so bytes may wait inside OpenSSL where no
 * poll sees them: s->more says so. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/io_private.h"

#define READ_AHEAD_BYTES (64u * 1024)

/* The socket, as OpenSSL sees it: unlike OpenSSL's own, it raises no SIGPIPE. */

static int retry_or_fail(BIO *bio, ssize_t n, int retry)
{
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	return (int)n;
}

static int socket_read(BIO *bio, char *room, int size)
{
	const struct io_stream *s = BIO_get_data(bio);
	ssize_t n = recv(s->fd, room, (size_t)size, 0);

	if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return retry_or_fail(bio, n, BIO_FLAGS_READ);
}

static int socket_write(BIO *bio, const char *data, int len)
{
	const struct io_stream *s = BIO_get_data(bio);

	return retry_or_fail(bio, send(s->fd, data, (size_t)len, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static long socket_ctrl(BIO *bio, int what, long number, void *pointer)
{
	(void)number, (void)pointer;
	if (what == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return what == BIO_CTRL_FLUSH;
}

static BIO *socket_new(struct io_stream *s)
{
	struct io *io = s->io;

	if (io->socket_method == NULL) {
		io->socket_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
		INVARIANT(io->socket_method != NULL);
		BIO_meth_set_read(io->socket_method, socket_read);
		BIO_meth_set_write(io->socket_method, socket_write);
		BIO_meth_set_ctrl(io->socket_method, socket_ctrl);
	}
	BIO *bio = BIO_new(io->socket_method);
	INVARIANT(bio != NULL);
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	return bio;
}

/* Whom to trust: one context for each CA file, shared by all accounts of the loop, since a store
 * takes megabytes and tens of milliseconds. A file that was replaced is read again. */

struct io_trust {
	struct io_trust *next;
	char *ca_file; /* NULL: the system's */
	struct stat as_read;
	SSL_CTX *ctx;
};

/* OpenSSL's words for what went wrong first. */
static const char *openssl_reason(void)
{
	unsigned long code = ERR_peek_error();

	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	const char *text = ERR_reason_error_string(code);
	return text != NULL ? text : "unknown error";
}

static int verify(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct io_stream *s = SSL_get_app_data(ssl);

	(void)arg;
	return io_verify(ctx, s->host, s->pin, &s->refused);
}

static SSL_CTX *context_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	INVARIANT(ctx != NULL);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION); /* Q7 */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
		| SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_BYTES);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	return ctx;
}

/* What a named file holds is trusted as it stands, be it a root or the server's own certificate. */
static bool load_trust(SSL_CTX *ctx, const char *ca_file)
{
	if (ca_file == NULL)
		return SSL_CTX_set_default_verify_paths(ctx) == 1;
	X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return SSL_CTX_load_verify_file(ctx, ca_file) == 1;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size
		&& a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct io_trust *trust_find(struct io *io, const char *ca_file)
{
	struct io_trust *t = io->trusts;

	while (t != NULL && (ca_file == NULL ? t->ca_file != NULL
			: t->ca_file == NULL || strcmp(t->ca_file, ca_file) != 0))
		t = t->next;
	if (t != NULL)
		return t;
	t = mem_new(sizeof *t);
	t->ca_file = ca_file != NULL ? mem_copy(ca_file) : NULL;
	t->next = io->trusts;
	io->trusts = t;
	return t;
}

/* NULL with *err. The context stays the loop's. */
static SSL_CTX *trust_context(struct io *io, const char *ca_file, struct err *err)
{
	struct io_trust *t = trust_find(io, ca_file);
	struct stat now = { 0 };

	if (ca_file != NULL)
		stat(ca_file, &now);
	if (t->ctx != NULL && is_same_file(&t->as_read, &now))
		return t->ctx;
	SSL_CTX *ctx = context_new();
	if (!load_trust(ctx, ca_file)) {
		err_set(err, ERR_USER, ERR_ACCOUNT, "ca-file \"%s\" cannot be used: %s",
			ca_file != NULL ? ca_file : "of the system", openssl_reason());
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_free(t->ctx); /* streams that began with it keep it alive */
	t->ctx = ctx;
	t->as_read = now;
	return ctx;
}

void io_tls_release_all(struct io *io)
{
	while (io->trusts != NULL) {
		struct io_trust *t = io->trusts;
		io->trusts = t->next;
		SSL_CTX_free(t->ctx);
		free(t->ca_file);
		free(t);
	}
	BIO_meth_free(io->socket_method);
}

/* Preparing one connection */

/* Left alone, OpenSSL would ask the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	bool *asked = arg;

	(void)out, (void)size, (void)writing;
	*asked = true;
	return -1;
}

static int use_key(struct io_stream *s, const char *key_file, struct err *err)
{
	const char *reason;
	bool asked = false;

	SSL_set_default_passwd_cb(s->ssl, no_passphrase);
	SSL_set_default_passwd_cb_userdata(s->ssl, &asked);
	if (SSL_use_PrivateKey_file(s->ssl, key_file, SSL_FILETYPE_PEM) == 1
	    && SSL_check_private_key(s->ssl) == 1)
		return 0;
	if (asked)
		reason = "it has a passphrase";
	else if (ERR_GET_REASON(ERR_peek_error()) == ERR_R_UNSUPPORTED)
		reason = "there is no private key in it";
	else
		reason = openssl_reason();
	return err_set(err, ERR_USER, ERR_ACCOUNT,
		"the key in \"%s\" cannot be used with cert-file \"%s\": %s", key_file, s->cert_file,
		reason);
}

static int use_client_certificate(struct io_stream *s, struct err *err)
{
	if (s->cert_file == NULL)
		return 0;
	if (SSL_use_certificate_chain_file(s->ssl, s->cert_file) != 1)
		return err_set(err, ERR_USER, ERR_ACCOUNT, "cert-file \"%s\" cannot be used: %s",
			s->cert_file, openssl_reason());
	return use_key(s, s->key_file != NULL ? s->key_file : s->cert_file, err);
}

static bool is_address(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

/* Whom to expect; a final dot belongs to the name lookup only. */
static void set_peer(SSL *ssl, const char *host)
{
	char *name = mem_copy(host);
	size_t len = strlen(name);

	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	if (is_address(name)) {
		INVARIANT(X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1);
	} else {
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		INVARIANT(X509_VERIFY_PARAM_set1_host(param, name, 0) == 1);
		SSL_set_tlsext_host_name(ssl, name);
	}
	free(name);
}

static int prepare(struct io_stream *s, struct err *err)
{
	if (s->host == NULL)
		return err_set(err, ERR_USER, ERR_ACCOUNT,
			"no TLS on this connection: whose certificate to expect is not known");
	SSL_CTX *ctx = trust_context(s->io, s->ca_file, err);
	if (ctx == NULL)
		return -1;
	s->ssl = SSL_new(ctx);
	INVARIANT(s->ssl != NULL);
	SSL_set_app_data(s->ssl, s);
	BIO *bio = socket_new(s);
	SSL_set_bio(s->ssl, bio, bio);
	set_peer(s->ssl, s->host);
	return use_client_certificate(s, err);
}

void io_tls_start(struct io_stream *s)
{
	struct err err;

	ERR_clear_error();
	if (prepare(s, &err) != 0)
		io_stream_end(s, err.cls, "%s", err.text);
	io_work_mark(&s->step);
}

void io_stream_starttls(struct io_stream *s)
{
	if (s->state != IO_OPEN || s->ssl != NULL)
		return;
	s->state = IO_HANDSHAKE;
	ev_io_stop(s->io->loop, &s->writable);
	io_work_release(&s->settle);
	io_stream_limit(s);
	io_tls_start(s);
}

/* What can go wrong with it */

/* The peer's alert, or ours, in words that say what to do about it. */
static void end_by_protocol(struct io_stream *s)
{
	const char *host = io_stream_name(s), *reason = openssl_reason();
	unsigned long code = ERR_peek_error();

	if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
		io_stream_end(s, ERR_RETRY, "TLS with \"%s\" failed: %s", host, reason);
		return;
	}
	switch (ERR_GET_REASON(code)) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
		io_stream_end(s, ERR_USER, "\"%s\" has no TLS 1.2 or later", host);
		break;
	case SSL_R_WRONG_VERSION_NUMBER:
		io_stream_end(s, ERR_USER, "\"%s\" port %u does not speak TLS; is the port right, or "
			"should \"tls\" be \"starttls\"?", host, s->port);
		break;
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		io_stream_end(s, ERR_USER, "\"%s\" refuses our certificate (cert-file): %s", host,
			reason);
		break;
	default:
		io_stream_end(s, ERR_RETRY, "TLS with \"%s\" failed: %s", host, reason);
	}
}

static void end_by(struct io_stream *s, int failure, int errno_value)
{
	if (failure == SSL_ERROR_ZERO_RETURN || (failure == SSL_ERROR_SYSCALL && errno_value == 0))
		io_stream_end(s, ERR_NONE, "\"%s\" closed the connection", io_stream_name(s));
	else if (failure == SSL_ERROR_SYSCALL)
		io_stream_end(s, ERR_RETRY, "the connection to \"%s\" is lost: %s", io_stream_name(s),
			strerror(errno_value));
	else
		end_by_protocol(s);
}

/* The handshake */

static void opened(struct io_stream *s)
{
	const X509 *cert = SSL_get0_peer_certificate(s->ssl);

	INVARIANT(cert != NULL);
	s->tls_text = mem_printf("%s %s", SSL_get_version(s->ssl), SSL_get_cipher_name(s->ssl));
	s->pin_seen = io_verify_pin(cert);
	io_stream_opened(s);
}

static void end_handshake(struct io_stream *s, int failure, int errno_value)
{
	if (s->refused.cls != ERR_NONE)
		io_stream_end(s, s->refused.cls, "%s", s->refused.text);
	else if (failure == SSL_ERROR_SSL)
		end_by_protocol(s);
	else
		io_stream_end(s, ERR_RETRY, "\"%s\" broke off the TLS handshake%s%s",
			io_stream_name(s), errno_value != 0 ? ": " : "",
			errno_value != 0 ? strerror(errno_value) : "");
}

void io_tls_step(struct io_stream *s)
{
	ERR_clear_error();
	errno = 0;
	int result = SSL_connect(s->ssl);
	int errno_value = errno;
	int failure = result == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, result);

	if (failure == SSL_ERROR_WANT_WRITE)
		ev_io_start(s->io->loop, &s->writable);
	else
		ev_io_stop(s->io->loop, &s->writable);
	if (failure == SSL_ERROR_NONE)
		opened(s);
	else if (failure == SSL_ERROR_WANT_READ || failure == SSL_ERROR_WANT_WRITE)
		ev_io_start(s->io->loop, &s->readable);
	else
		end_handshake(s, failure, errno_value);
}

/* Bytes in and out */

size_t io_tls_read(struct io_stream *s, char *room, size_t size)
{
	size_t got = 0, n;
	int result = 1, errno_value = 0;

	ERR_clear_error();
	while (got < size) {
		errno = 0;
		result = SSL_read_ex(s->ssl, room + got, size - got, &n);
		errno_value = errno;
		if (result != 1)
			break;
		got += n;
	}
	int failure = result == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, result);
	s->more = failure == SSL_ERROR_NONE;
	s->read_wants_write = failure == SSL_ERROR_WANT_WRITE;
	if (failure != SSL_ERROR_NONE && failure != SSL_ERROR_WANT_READ
	    && failure != SSL_ERROR_WANT_WRITE)
		end_by(s, failure, errno_value);
	return got;
}

ssize_t io_tls_write(struct io_stream *s, struct slice data)
{
	size_t n;

	ERR_clear_error();
	errno = 0;
	int result = SSL_write_ex(s->ssl, data.data, data.len, &n);
	int errno_value = errno;
	if (result == 1)
		return (ssize_t)n;
	int failure = SSL_get_error(s->ssl, result);
	if (failure == SSL_ERROR_WANT_WRITE || failure == SSL_ERROR_WANT_READ)
		return 0;
	return err_set(&s->broken, ERR_RETRY, ERR_ACCOUNT, "the connection to \"%s\" is lost: %s",
		io_stream_name(s), errno_value != 0 ? strerror(errno_value) : openssl_reason());
}

void io_tls_release(struct io_stream *s)
{
	if (s->ssl == NULL)
		return;
	/* Tells the peer that this is the end, not a cut; whether it gets there does not matter. */
	if (SSL_is_init_finished(s->ssl) && s->end.cls == ERR_NONE && s->broken.cls == ERR_NONE)
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	s->ssl = NULL;
}
