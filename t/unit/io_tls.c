/* TLS against a server in a thread: who is believed, what is said about the others, channel bindings,
 * bytes both ways. The certificates are made here. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "io_peer.h"

static char folder[] = "/tmp/io-tls-XXXXXX";

/* All files that the tests name; the server's thread only reads this. */
static struct file {
	const char *name;
	char pem[64], key[64];
} files[] = {
	{ .name = "ca" }, { .name = "other" }, { .name = "good" }, { .name = "wrongname" },
	{ .name = "expired" }, { .name = "future" }, { .name = "self" }, { .name = "client" },
	{ .name = "locked" }, { .name = "absent" },
};
#define FILES (sizeof files / sizeof files[0])

static void name_files(void)
{
	for (struct file *f = files; f < files + FILES; f++) {
		snprintf(f->pem, sizeof f->pem, "%s/%s.pem", folder, f->name);
		snprintf(f->key, sizeof f->key, "%s/%s.key", folder, f->name);
	}
}

static void remove_files(void)
{
	for (struct file *f = files; f < files + FILES; f++) {
		unlink(f->pem);
		unlink(f->key);
	}
	rmdir(folder);
}

static const char *path(const char *name, const char *end)
{
	for (struct file *f = files; f < files + FILES; f++)
		if (strcmp(f->name, name) == 0)
			return strcmp(end, ".pem") == 0 ? f->pem : f->key;
	abort();
}

/* Certificates */

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

static void save(const char *name, const struct identity *id)
{
	FILE *f = fopen(path(name, ".pem"), "w");
	PEM_write_X509(f, id->cert);
	fclose(f);
	f = fopen(path(name, ".key"), "w");
	PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

/* Signed by itself where issuer is NULL; begins and ends so many days from today. */
static struct identity make(const char *name, const char *common_name, const char *alt_names,
	const struct identity *issuer, int first_day, int last_day)
{
	struct identity id = { EVP_EC_gen("P-256"), X509_new() };
	static long serial = 1;

	X509_set_version(id.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), first_day * 86400L);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), last_day * 86400L);
	X509_set_pubkey(id.cert, id.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
		(const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(id.cert, X509_get_subject_name(issuer != NULL ? issuer->cert : id.cert));
	if (alt_names != NULL)
		add_extension(id.cert, NID_subject_alt_name, alt_names);
	else
		add_extension(id.cert, NID_basic_constraints, "critical,CA:TRUE");
	X509_sign(id.cert, issuer != NULL ? issuer->key : id.key, EVP_sha256());
	save(name, &id);
	return id;
}

static void identity_release(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

static void make_all(void)
{
	static const char here[] = "DNS:localhost,IP:127.0.0.1";
	struct identity made[] = {
		make("ca", "test authority", NULL, NULL, -1, 100),
		make("other", "other authority", NULL, NULL, -1, 100),
	};
	struct identity *ca = &made[0];
	struct identity leaves[] = {
		make("good", "localhost", here, ca, -1, 100),
		make("wrongname", "mail.example.org", "DNS:mail.example.org,DNS:imap.example.org", ca, -1,
			100),
		make("expired", "localhost", here, ca, -100, -10),
		make("future", "localhost", here, ca, 10, 100),
		make("self", "localhost", here, NULL, -1, 100),
		make("client", "ana", "email:ana@example.org", ca, -1, 100),
	};
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
		identity_release(&made[i]);
	for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
		identity_release(&leaves[i]);
}

/* The key of a certificate as the openssl tools compute it. */
static char *pin_of(const char *name)
{
	unsigned char *der = NULL, digest[32], base64[64];
	FILE *f = fopen(path(name, ".pem"), "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);

	fclose(f);
	int len = i2d_PUBKEY(X509_get0_pubkey(cert), &der);
	EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL);
	EVP_EncodeBlock(base64, digest, sizeof digest);
	OPENSSL_free(der);
	X509_free(cert);
	return mem_printf("sha256//%s", (char *)base64);
}

/* The server */

enum habit {
	ECHO,       /* sends back all that comes, until the end */
	CUT,        /* greets and goes, without close_notify */
	NO_TLS,     /* greets in clear text */
	STARTTLS,   /* "STARTTLS\r\n", "OK\r\n", handshake, greeting, echo */
	BREAK_OFF,  /* goes in the handshake */
	FLOOD,      /* 8 MB */
};

struct server {
	enum habit habit;
	const char *cert;
	int version; /* the only one, or 0 */
	bool ask_certificate;

	int listener;
	uint16_t port;
	pthread_t thread;
	/* What it saw */
	char sni[64], client[64];
	unsigned char exporter[32], finished[64];
	size_t finished_len;
};

static void note_bindings(struct server *sv, SSL *ssl)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	X509 *client = SSL_get0_peer_certificate(ssl);

	snprintf(sv->sni, sizeof sv->sni, "%s", name != NULL ? name : "");
	if (client != NULL)
		X509_NAME_oneline(X509_get_subject_name(client), sv->client, sizeof sv->client);
	SSL_export_keying_material(ssl, sv->exporter, 32, "EXPORTER-Channel-Binding", 24,
		(const unsigned char *)"", 0, 1);
	sv->finished_len = SSL_get_peer_finished(ssl, sv->finished, sizeof sv->finished);
}

static SSL_CTX *server_context(struct server *sv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (sv->version != 0) {
		SSL_CTX_set_min_proto_version(ctx, sv->version);
		SSL_CTX_set_max_proto_version(ctx, sv->version);
		SSL_CTX_set_cipher_list(ctx, "DEFAULT@SECLEVEL=0");
	}
	SSL_CTX_use_certificate_chain_file(ctx, path(sv->cert, ".pem"));
	SSL_CTX_use_PrivateKey_file(ctx, path(sv->cert, ".key"), SSL_FILETYPE_PEM);
	if (sv->ask_certificate) {
		SSL_CTX_load_verify_file(ctx, path("ca", ".pem"));
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}

static void echo(SSL *ssl)
{
	char piece[20000];
	int n;

	while ((n = SSL_read(ssl, piece, sizeof piece)) > 0)
		SSL_write(ssl, piece, n);
	SSL_shutdown(ssl);
}

static void flood(SSL *ssl)
{
	char *bytes = some_bytes(8 << 20);

	SSL_write(ssl, bytes, 8 << 20);
	SSL_shutdown(ssl);
	free(bytes);
}

static void serve_tls(struct server *sv, int fd)
{
	SSL_CTX *ctx = server_context(sv);
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		note_bindings(sv, ssl);
		SSL_write(ssl, "hello", 5);
		if (sv->habit == FLOOD)
			flood(ssl);
		else if (sv->habit != CUT)
			echo(ssl);
	}
	/* A close with unread data would be a reset. */
	char rest[1000];
	shutdown(fd, SHUT_WR);
	while (read(fd, rest, sizeof rest) > 0)
		;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

static void read_line(int fd)
{
	char c = 0;

	while (c != '\n' && read(fd, &c, 1) == 1)
		;
}

static void *serve(void *arg)
{
	struct server *sv = arg;
	sigset_t pipe;
	char c;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE); /* the client's thread must not need this */
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	int fd = accept(sv->listener, NULL, NULL);
	if (sv->habit == STARTTLS) {
		read_line(fd);
		if (write(fd, "OK\r\n", 4) == 4)
			serve_tls(sv, fd);
	} else if (sv->habit == NO_TLS) {
		if (write(fd, "* OK hello\r\n", 12) == 12)
			read_line(fd);
	} else if (sv->habit == BREAK_OFF) {
		while (recv(fd, &c, 1, MSG_DONTWAIT) == 1)
			;
	} else {
		serve_tls(sv, fd);
	}
	close(fd);
	OPENSSL_thread_stop();
	return NULL;
}

static void server_start(struct server *sv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;

	sv->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(sv->listener, (struct sockaddr *)&a, len) != 0 || listen(sv->listener, 5) != 0
	    || getsockname(sv->listener, (struct sockaddr *)&a, &len) != 0)
		abort();
	sv->port = ntohs(a.sin_port);
	pthread_create(&sv->thread, NULL, serve, sv);
}

static void server_stop(struct server *sv)
{
	shutdown(sv->listener, SHUT_RDWR);
	pthread_join(sv->thread, NULL);
	close(sv->listener);
}

static void connect_to(struct owner *o, struct io *io, const struct server *sv,
	struct io_target target)
{
	target.port = sv->port;
	target.connect_timeout_s = 10;
	owner_init(o, io);
	o->stream = io_stream_connect(io, &target, &owner_events, o);
}

/* Who is believed: one row, one connection. */

static void stop_when_greeted(struct owner *o)
{
	owner_take(o);
	io_stop(o->io);
}

struct row {
	const char *name;
	const char *cert;
	const char *host;
	const char *ca;
	const char *pin;   /* of this certificate; "bad": of none; NULL: none */
	int version;
	const char *words; /* of the refusal; NULL: it is believed */
};

static void test_row(const struct row *row)
{
	struct server sv = { .cert = row->cert, .version = row->version };
	struct io *io = io_new();
	struct owner o;
	char *seen = pin_of(row->cert), *pin = NULL;

	if (row->pin != NULL && strcmp(row->pin, "bad") == 0)
		pin = mem_copy("sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	else if (row->pin != NULL)
		pin = pin_of(row->pin);
	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = row->host, .tls = IO_TLS_IMPLICIT,
		.ca_file = path(row->ca, ".pem"), .pin = pin });
	o.came = stop_when_greeted;
	io_run(io);
	is_int(o.opens, row->words == NULL, "%s: %s", row->name, o.end.text);
	if (row->words == NULL && o.stream != NULL) {
		is_str(buf_str(&o.got), "hello", "the greeting");
		is_str(io_stream_pin(o.stream), seen, "the pin that was seen");
		ok(io_stream_is_tls(o.stream), "is TLS");
	} else if (row->words != NULL) {
		is_int(o.end.cls, ERR_USER, "a person must help");
		ok(strstr(o.end.text, row->words) != NULL, "says \"%s\"", row->words);
		if (row->version != TLS1_1_VERSION)
			ok(strstr(o.end.text, seen) != NULL, "and which key was seen");
	}
	owner_release(&o);
	server_stop(&sv);
	io_free(io);
	free(seen);
	free(pin);
}

static void test_rows(void)
{
	static const struct row rows[] = {
		{ "good", "good", "localhost", "ca", NULL, 0, NULL },
		{ "good, TLS 1.2", "good", "localhost", "ca", NULL, TLS1_2_VERSION, NULL },
		{ "good, by address", "good", "127.0.0.1", "ca", NULL, 0, NULL },
		{ "a self-signed one that is in the CA file", "self", "localhost", "self", NULL, 0, NULL },
		{ "a leaf that is in the CA file, without its issuer", "good", "localhost", "good", NULL, 0,
			NULL },
		{ "wrong name", "wrongname", "localhost", "ca", NULL, 0, "the certificate of \"localhost\" "
			"is for other names: mail.example.org, imap.example.org; connect by one of these, or "
			"set pin = \"sha256//" },
		{ "wrong address", "wrongname", "127.0.0.1", "ca", NULL, 0, "is for other names: mail" },
		{ "expired", "expired", "localhost", "ca", NULL, 0,
			"the certificate of \"localhost\" expired on 20" },
		{ "not yet valid", "future", "localhost", "ca", NULL, 0, "is valid only from 20" },
		{ "self-signed", "self", "localhost", "ca", NULL, 0,
			"the certificate of \"localhost\" is self-signed: set ca-file, or pin" },
		{ "unknown issuer", "good", "localhost", "other", NULL, 0,
			"has an unknown issuer, \"test authority\": set ca-file, or pin" },
		{ "pinned, nothing else right", "wrongname", "localhost", "other", "wrongname", 0, NULL },
		{ "pinned and expired", "expired", "localhost", "ca", "expired", 0, NULL },
		{ "pinned and self-signed, TLS 1.2", "self", "localhost", "ca", "self", TLS1_2_VERSION,
			NULL },
		{ "another pin, all else right", "good", "localhost", "ca", "self", 0,
			"is not the pinned one" },
		{ "a bad pin", "good", "localhost", "ca", "bad", 0, "is not the pinned one" },
		{ "TLS 1.1 only", "good", "localhost", "ca", NULL, TLS1_1_VERSION,
			"has no TLS 1.2 or later" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		test_row(&rows[i]);
}

/* Several pins: one is enough; the store is read once for all. */
static void test_several_pins(void)
{
	struct server sv = { .cert = "self" };
	struct io *io = io_new();
	struct owner o;
	char *good = pin_of("good"), *self = pin_of("self");
	char *pins = mem_printf("%s;%s", good, self);

	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost", .tls = IO_TLS_IMPLICIT,
		.pin = pins });
	o.came = stop_when_greeted;
	io_run(io);
	is_int(o.opens, 1, "one of two pins: %s", o.end.text);
	owner_release(&o);
	server_stop(&sv);
	io_free(io);
	free(good);
	free(self);
	free(pins);
}

/* Servers that do not behave */

static void expect_end(const char *name, struct server *sv, struct io_target target,
	enum err_class cls, const char *words)
{
	struct io *io = io_new();
	struct owner o;

	target.host = target.host != NULL ? target.host : "localhost";
	target.tls = IO_TLS_IMPLICIT;
	server_start(sv);
	connect_to(&o, io, sv, target);
	io_run(io);
	is_int(o.closeds, 1, "%s: ends", name);
	is_int(o.end.cls, cls, "class of: %s", o.end.text);
	ok(strstr(o.end.text, words) != NULL, "says \"%s\"", words);
	if (sv->habit == CUT)
		is_str(buf_str(&o.got), "hello", "what had come is there");
	owner_release(&o);
	server_stop(sv);
	io_free(io);
}

static void test_misbehaving(void)
{
	struct io_target target = { .ca_file = path("ca", ".pem") };

	expect_end("no close_notify", &(struct server){ .habit = CUT, .cert = "good" }, target,
		ERR_NONE, "closed the connection");
	expect_end("no TLS", &(struct server){ .habit = NO_TLS }, target, ERR_USER,
		"does not speak TLS");
	expect_end("a broken handshake", &(struct server){ .habit = BREAK_OFF }, target, ERR_RETRY,
		"broke off the TLS handshake");
	target.ca_file = path("absent", ".pem");
	expect_end("no CA file", &(struct server){ .habit = BREAK_OFF }, target, ERR_USER,
		"absent.pem\" cannot be used: No such file");
	target.ca_file = path("ca", ".key");
	expect_end("a CA file without certificates", &(struct server){ .habit = BREAK_OFF }, target,
		ERR_USER, "ca.key\" cannot be used: ");
}

/* Client certificates */

static void test_client_certificate(int version)
{
	struct server sv = { .cert = "good", .ask_certificate = true, .version = version };
	struct io *io = io_new();
	struct owner o;

	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost", .tls = IO_TLS_IMPLICIT,
		.ca_file = path("ca", ".pem"), .cert_file = path("client", ".pem"),
		.key_file = path("client", ".key") });
	o.came = stop_when_greeted;
	io_run(io);
	is_int(o.opens, 1, "a client certificate: %s", o.end.text);
	owner_release(&o);
	server_stop(&sv);
	is_str(sv.client, "/CN=ana", "is the one that the server saw");
	is_str(sv.sni, "localhost", "and it was asked for by name (SNI)");
	io_free(io);
}

/* A key that needs a passphrase: OpenSSL would ask the terminal. */
static void make_locked_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f = fopen(path("locked", ".key"), "w");

	PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	fclose(f);
	EVP_PKEY_free(key);
}

static void test_client_certificates(void)
{
	struct server sv = { .cert = "good", .ask_certificate = true };
	struct io_target target = { .ca_file = path("ca", ".pem") };

	test_client_certificate(0);
	test_client_certificate(TLS1_2_VERSION);
	expect_end("none where one is due", &sv, target, ERR_USER, "refuses our certificate");
	target.cert_file = path("client", ".pem");
	expect_end("no key in the file", &sv, target, ERR_USER, "no private key");
	target.key_file = path("good", ".key");
	expect_end("another's key", &sv, target, ERR_USER, "mismatch");
	target.key_file = path("absent", ".key");
	expect_end("no key file", &sv, target, ERR_USER, "No such file");
	make_locked_key();
	target.key_file = path("locked", ".key");
	expect_end("a key with a passphrase", &sv, target, ERR_USER, "has a passphrase");
	target.cert_file = path("absent", ".pem");
	expect_end("no certificate file", &sv, target, ERR_USER, "cert-file \"");
}

/* STARTTLS */

static struct buf before_tls;

static void on_line(struct owner *o)
{
	struct buf *in = io_stream_in(o->stream);

	if (io_stream_is_tls(o->stream)) {
		stop_when_greeted(o);
	} else if (in->len >= 4) {
		buf_add_slice(&before_tls, buf_slice(in));
		buf_consume(in, in->len);
		io_stream_starttls(o->stream);
		io_stream_starttls(o->stream);
		is_int(o->opens, 1, "starttls calls nothing");
	}
}

static void say_starttls(struct owner *o)
{
	if (o->opens == 1)
		io_stream_write(o->stream, "STARTTLS\r\n", 10);
	else
		is_str(io_stream_tls_describe(o->stream), "TLSv1.3 TLS_AES_256_GCM_SHA384", "described");
}

static void test_starttls(const char *cert, bool good)
{
	struct server sv = { .habit = STARTTLS, .cert = cert };
	struct io *io = io_new();
	struct owner o;

	buf_init(&before_tls, 0);
	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost",
		.ca_file = path("ca", ".pem") });
	o.opened = say_starttls;
	o.came = on_line;
	io_run(io);
	is_str(buf_str(&before_tls), "OK\r\n", "clear text first");
	is_int(o.opens, good ? 2 : 1, "starttls with %s", cert);
	is_str(buf_str(&o.got), good ? "hello" : "", "then what comes under TLS");
	is_int(o.closeds, !good, "%s", o.end.text);
	owner_release(&o);
	buf_release(&before_tls);
	server_stop(&sv);
	io_free(io);
}

static void start_tls_at_once(struct owner *o)
{
	io_stream_starttls(o->stream);
}

static void test_starttls_without_host(void)
{
	struct io *io = io_new();
	struct owner o;
	int fd = owner_adopt(&o, io, SOCK_STREAM);

	o.opened = start_tls_at_once;
	io_run(io);
	is_int(o.end.cls, ERR_USER, "%s", o.end.text);
	close(fd);
	owner_release(&o);
	io_free(io);
}

/* Channel bindings: equal on both ends, and of the server's certificate. */

static bool get_binding(struct owner *o, const char *type, struct buf *out)
{
	buf_clear(out);
	return io_stream_channel_binding(o->stream, type, out);
}

static void test_end_point(struct owner *o, struct buf *b)
{
	unsigned char digest[32];
	unsigned len = sizeof digest;
	FILE *f = fopen(path("good", ".pem"), "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);

	fclose(f);
	X509_digest(cert, EVP_sha256(), digest, &len);
	X509_free(cert);
	ok(get_binding(o, "tls-server-end-point", b), "tls-server-end-point");
	is_mem(b->data, b->len, digest, len, "is the certificate's digest");
}

static void test_bindings(int version)
{
	struct server sv = { .cert = "good", .version = version };
	struct io *io = io_new();
	struct owner o;
	struct buf b;
	bool new = version == TLS1_3_VERSION;

	buf_init(&b, 0);
	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost", .tls = IO_TLS_IMPLICIT,
		.ca_file = path("ca", ".pem") });
	o.came = stop_when_greeted;
	ok(!get_binding(&o, "tls-exporter", &b), "none before the handshake");
	io_run(io);
	is_int(get_binding(&o, "tls-exporter", &b), new, "tls-exporter");
	if (new)
		is_mem(b.data, b.len, sv.exporter, sizeof sv.exporter, "is the server's");
	is_int(get_binding(&o, "tls-unique", &b), !new, "tls-unique");
	if (!new)
		is_mem(b.data, b.len, sv.finished, sv.finished_len, "is the server's");
	test_end_point(&o, &b);
	ok(!get_binding(&o, "tls-other", &b), "an unknown type");
	buf_release(&b);
	owner_release(&o);
	server_stop(&sv);
	io_free(io);
}

/* Bytes */

static void stop_when_all(struct owner *o)
{
	size_t want = *(size_t *)o->extra;

	owner_take(o);
	if (o->got.len >= want)
		io_stop(o->io);
}

static void test_echo(bool compressed)
{
	size_t len = 3 << 20, want = len + 5;
	struct server sv = { .cert = "good" };
	struct io *io = io_new();
	struct owner o;
	char *bytes = some_bytes(len);

	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost", .tls = IO_TLS_IMPLICIT,
		.ca_file = path("ca", ".pem") });
	o.came = stop_when_greeted;
	io_run(io);
	is_str(buf_str(&o.got), "hello", "greeting");
	if (compressed)
		io_stream_deflate(o.stream); /* the echo sends back what was deflated */
	o.came = stop_when_all;
	o.extra = &want;
	for (size_t at = 0; at < len; at += 1 << 16)
		io_stream_write(o.stream, bytes + at, 1 << 16);
	io_run(io);
	is_int(o.got.len, want, "3 MB came back%s", compressed ? ", compressed both ways" : "");
	ok(o.got.len == want && memcmp(o.got.data + 5, bytes, len) == 0, "as they went");
	is_int(o.draineds, 1, "drained once");
	owner_release(&o);
	server_stop(&sv);
	io_free(io);
	free(bytes);
}

static size_t largest;

static void hold_on(struct owner *o)
{
	struct buf *in = io_stream_in(o->stream);

	largest = in->len > largest ? in->len : largest;
	if (in->len >= 256 * 1024)
		io_stream_hold(o->stream, true);
}

static void let_go(void *arg)
{
	struct owner *o = arg;

	if (o->stream == NULL)
		return;
	owner_take(o);
	io_stream_hold(o->stream, false);
	io_timer_start(o->extra, 0.001);
}

/* A receiver that is slow: what waits within OpenSSL is not forgotten. */
static void test_slow_receiver(void)
{
	struct server sv = { .cert = "good", .habit = FLOOD };
	struct io *io = io_new();
	struct owner o;
	char *bytes = some_bytes(8 << 20);

	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost", .tls = IO_TLS_IMPLICIT,
		.ca_file = path("ca", ".pem") });
	o.came = hold_on;
	o.extra = io_timer_new(io, let_go, &o);
	io_timer_start(o.extra, 0.01);
	io_run(io);
	is_int(o.closeds, 1, "%s", o.end.text);
	is_int(o.got.len, 5 + (8 << 20), "8 MB in small helpings");
	ok(o.got.len > 5 && memcmp(o.got.data + 5, bytes, o.got.len - 5) == 0, "in order");
	ok(largest <= 512 * 1024, "the in-buffer has its ceiling (%zu)", largest);
	io_timer_free(o.extra);
	owner_release(&o);
	server_stop(&sv);
	io_free(io);
	free(bytes);
}

/* Freed in on_open, in the middle of everything. */
static void test_freed_when_open(void)
{
	struct server sv = { .cert = "good" };
	struct io *io = io_new();
	struct owner o;

	server_start(&sv);
	connect_to(&o, io, &sv, (struct io_target){ .host = "localhost", .tls = IO_TLS_IMPLICIT,
		.ca_file = path("ca", ".pem") });
	o.opened = owner_free_stream;
	io_run(io);
	ok(o.stream == NULL && o.closeds == 0, "freed in on_open, and the loop ends");
	owner_release(&o);
	server_stop(&sv);
	io_free(io);
}

int main(void)
{
	give_up_after(100);
	if (mkdtemp(folder) == NULL)
		return 1;
	name_files();
	make_all();
	test_rows();
	test_several_pins();
	test_misbehaving();
	test_client_certificates();
	test_starttls("good", true);
	test_starttls("wrongname", false);
	test_starttls_without_host();
	test_bindings(TLS1_3_VERSION);
	test_bindings(TLS1_2_VERSION);
	test_echo(false);
	test_echo(true);
	test_slow_receiver();
	test_freed_when_open();
	remove_files();
	return done_testing();
}
