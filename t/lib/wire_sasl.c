/* wire_sasl: an IMAP server with an empty INBOX, for the SASL mechanisms that Dovecot has not.
 *
 *	wire_sasl -c CERT -k KEY [-l PORT] [-m MECHANISMS] ...
 *
 * Speaks TLS from the first byte. The port is printed on stdout (-l 0, the default: a free one). Ends
 * by SIGTERM.
 *
 *	-m LIST		mechanisms, default "SCRAM-SHA-256-PLUS"; any of GNU SASL's server side, e.g.
 *			"SCRAM-SHA-256 PLAIN EXTERNAL"
 *	-C CA		a client certificate of this authority is asked for; EXTERNAL needs it, and lets in
 *			its common name
 *	-2		TLS 1.2: SCRAM-*-PLUS binds with tls-unique there, with tls-exporter on 1.3
 *	-b		the channel is bound to other data, as seen by somebody in the middle
 *	-i		no SASL-IR
 *	-u USER -p PASSWORD	default "ana" and "pass"
 *	-o FILE		a line for each attempt is appended (default: stderr):
 *			"mechanism=M user=U binding=TYPE result=ok|failed" */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gsasl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static struct {
	const char *cert, *key, *ca, *mechanisms, *user, *password;
	int port;
	bool tls12, wrong_binding, no_initial_response;
	FILE *log;
} opt = { .mechanisms = "SCRAM-SHA-256-PLUS", .user = "ana", .password = "pass" };

/* One connection; each has a process of its own. */
struct session {
	SSL *ssl;
	char in[8192];
	size_t in_len;
	bool authenticated;
	const char *binding;	/* what the client bound to, for the log */
};

static void
die(const char *what)
{
	fprintf(stderr, "wire_sasl: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

/* Lines */

__attribute__((format(printf, 2, 3))) static void
say(struct session *s, const char *fmt, ...)
{
	char line[8192];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line - 2, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line - 2)
		die("a line is too long");
	memcpy(line + n, "\r\n", 2);
	if (SSL_write(s->ssl, line, n + 2) <= 0)
		exit(0);
}

/* The next line without its end, cut off the input; the connection's end ends the process. */
static void
hear(struct session *s, char *line, size_t size)
{
	char *lf;
	size_t len;
	int n;

	while ((lf = memchr(s->in, '\n', s->in_len)) == NULL) {
		if (s->in_len == sizeof s->in)
			die("the client's line is too long");
		n = SSL_read(s->ssl, s->in + s->in_len, (int)(sizeof s->in - s->in_len));
		if (n <= 0)
			exit(0);
		s->in_len += (size_t)n;
	}
	len = (size_t)(lf - s->in);
	snprintf(line, size, "%.*s", (int)(len > 0 && lf[-1] == '\r' ? len - 1 : len), s->in);
	s->in_len -= len + 1;
	memmove(s->in, lf + 1, s->in_len);
}

/* Authentication */

static size_t
channel_binding(SSL *ssl, const char *type, unsigned char *out, size_t size)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (strcmp(type, "tls-unique") == 0)	/* the client's Finished comes first */
		return SSL_get_peer_finished(ssl, out, size);
	if (size < 32 || SSL_export_keying_material(ssl, out, 32, label, sizeof label - 1,
	    (const unsigned char *)"", 0, 1) != 1)
		return 0;
	return 32;
}

static int
give_binding(struct session *s, Gsasl_session *sasl, Gsasl_property property)
{
	bool exporter = property == GSASL_CB_TLS_EXPORTER, tls13 = SSL_version(s->ssl) == TLS1_3_VERSION;
	const char *type = exporter ? "tls-exporter" : "tls-unique";
	unsigned char data[64];
	char *base64 = NULL;
	size_t n;

	if (exporter != tls13)
		return GSASL_NO_CALLBACK;	/* RFC 9266: one of them on each version */
	n = channel_binding(s->ssl, type, data, sizeof data);
	if (n == 0)
		return GSASL_NO_CALLBACK;
	data[0] ^= opt.wrong_binding ? 1 : 0;
	if (gsasl_base64_to((char *)data, n, &base64, NULL) != GSASL_OK)
		return GSASL_NO_CALLBACK;
	gsasl_property_set(sasl, property, base64);
	gsasl_free(base64);
	s->binding = type;
	return GSASL_OK;
}

/* EXTERNAL: the certificate's common name, and no wish to be somebody else. */
static int
check_certificate(struct session *s, Gsasl_session *sasl)
{
	X509 *cert = SSL_get1_peer_certificate(s->ssl);
	const char *wish = gsasl_property_get(sasl, GSASL_AUTHZID);
	char name[256] = "";

	if (cert == NULL || SSL_get_verify_result(s->ssl) != X509_V_OK)
		return GSASL_AUTHENTICATION_ERROR;
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
	X509_free(cert);
	gsasl_property_set(sasl, GSASL_AUTHID, name);
	if (wish != NULL && *wish != '\0' && strcmp(wish, name) != 0)
		return GSASL_AUTHENTICATION_ERROR;
	return GSASL_OK;
}

static int
on_sasl(Gsasl *context, Gsasl_session *sasl, Gsasl_property property)
{
	struct session *s = gsasl_session_hook_get(sasl);
	const char *user;

	(void)context;
	switch (property) {
	case GSASL_CB_TLS_UNIQUE:
	case GSASL_CB_TLS_EXPORTER:
		return give_binding(s, sasl, property);
	case GSASL_VALIDATE_EXTERNAL:
		return check_certificate(s, sasl);
	case GSASL_PASSWORD:
		user = gsasl_property_fast(sasl, GSASL_AUTHID);
		if (user == NULL || strcmp(user, opt.user) != 0)
			return GSASL_NO_PASSWORD;
		gsasl_property_set(sasl, GSASL_PASSWORD, opt.password);
		return GSASL_OK;
	default:
		return GSASL_NO_CALLBACK;
	}
}

/* The exchange, begun with what came as initial response (NULL: nothing). */
static int
exchange(struct session *s, Gsasl_session *sasl, const char *initial)
{
	char line[8192] = "", *answer;
	int rc;

	if (initial != NULL)
		snprintf(line, sizeof line, "%s", strcmp(initial, "=") == 0 ? "" : initial);
	else {
		say(s, "+ ");
		hear(s, line, sizeof line);
	}
	for (;;) {
		answer = NULL;
		rc = gsasl_step64(sasl, line, &answer);
		if (rc != GSASL_NEEDS_MORE && rc != GSASL_OK)
			return rc;
		/* IMAP has no place for data beside success: it is sent, and an empty line taken. */
		if (rc == GSASL_NEEDS_MORE || (answer != NULL && *answer != '\0')) {
			say(s, "+ %s", answer != NULL ? answer : "");
			hear(s, line, sizeof line);
		}
		gsasl_free(answer);
		if (rc == GSASL_OK)
			return rc;
		if (strcmp(line, "*") == 0)
			return GSASL_AUTHENTICATION_ERROR;
	}
}

static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strcasestr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static void
authenticate(struct session *s, Gsasl *context, const char *tag, char *args)
{
	char *rest = NULL, *mechanism = strtok_r(args, " ", &rest), *initial = strtok_r(NULL, " ", &rest);
	Gsasl_session *sasl;
	const char *user;
	int rc;

	if (mechanism == NULL || !has_word(opt.mechanisms, mechanism) ||
	    (initial != NULL && opt.no_initial_response)) {
		say(s, "%s BAD no such mechanism, or no initial response allowed", tag);
		return;
	}
	if (gsasl_server_start(context, mechanism, &sasl) != GSASL_OK)
		die("gsasl_server_start");
	gsasl_session_hook_set(sasl, s);
	s->binding = "none";
	rc = exchange(s, sasl, initial);
	s->authenticated = rc == GSASL_OK;
	user = gsasl_property_fast(sasl, GSASL_AUTHID);
	fprintf(opt.log, "mechanism=%s user=%s binding=%s result=%s\n", mechanism,
	    user != NULL ? user : "?", strstr(mechanism, "-PLUS") != NULL ? s->binding : "none",
	    rc == GSASL_OK ? "ok" : "failed");
	fflush(opt.log);
	if (rc == GSASL_OK)
		say(s, "%s OK [CAPABILITY IMAP4rev1] %s", tag, user != NULL ? user : "");
	else
		say(s, "%s NO [AUTHENTICATIONFAILED] %s", tag, gsasl_strerror(rc));
	gsasl_finish(sasl);
}

/* IMAP */

static void
capabilities(const struct session *s, char *out, size_t size)
{
	char list[1024], *rest = NULL;
	int n = snprintf(out, size, "IMAP4rev1");

	if (s->authenticated)
		return;
	snprintf(list, sizeof list, "%s", opt.mechanisms);
	if (!opt.no_initial_response)
		n += snprintf(out + n, size - (size_t)n, " SASL-IR");
	for (char *m = strtok_r(list, " ", &rest); m != NULL; m = strtok_r(NULL, " ", &rest))
		n += snprintf(out + n, size - (size_t)n, " AUTH=%s", m);
}

static void
on_command(struct session *s, Gsasl *context, const char *tag, const char *verb, char *args)
{
	char caps[2048];

	if (strcasecmp(verb, "LOGOUT") == 0)
		say(s, "* BYE");
	else if (strcasecmp(verb, "CAPABILITY") == 0) {
		capabilities(s, caps, sizeof caps);
		say(s, "* CAPABILITY %s", caps);
	} else if (strcasecmp(verb, "AUTHENTICATE") == 0 && !s->authenticated) {
		authenticate(s, context, tag, args);
		return;
	} else if (strcasecmp(verb, "NOOP") != 0 && !s->authenticated) {
		say(s, "%s BAD not now", tag);
		return;
	} else if (strcasecmp(verb, "LIST") == 0)
		say(s, "* LIST () \"/\" INBOX");
	else if (strcasecmp(verb, "STATUS") == 0)
		say(s, "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)");
	else if (strcasecmp(verb, "SELECT") == 0 || strcasecmp(verb, "EXAMINE") == 0) {
		say(s, "* FLAGS (\\Seen)\r\n* 0 EXISTS\r\n* OK [UIDVALIDITY 1] 1\r\n* OK [UIDNEXT 1] 1");
		say(s, "* OK [PERMANENTFLAGS (\\Seen \\*)] all");
	}
	/* Any other command finds nothing to do in an empty mailbox. */
	say(s, "%s OK %s", tag, verb);
	if (strcasecmp(verb, "LOGOUT") == 0) {
		SSL_shutdown(s->ssl);
		exit(0);
	}
}

static void
serve(int fd, SSL_CTX *tls, Gsasl *context)
{
	struct session s = { .ssl = SSL_new(tls) };
	char line[8192], caps[2048], *rest, *tag, *verb;

	SSL_set_fd(s.ssl, fd);
	if (SSL_accept(s.ssl) != 1)
		exit(0);	/* the client did not like the certificate: its matter */
	capabilities(&s, caps, sizeof caps);
	say(&s, "* OK [CAPABILITY %s] ready", caps);
	for (;;) {
		hear(&s, line, sizeof line);
		tag = strtok_r(line, " ", &rest);
		verb = tag != NULL ? strtok_r(NULL, " ", &rest) : NULL;
		if (verb == NULL)
			say(&s, "* BAD no command");
		else
			on_command(&s, context, tag, verb, rest);
	}
}

/* The start */

static SSL_CTX *
make_tls(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, opt.cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, opt.key, SSL_FILETYPE_PEM) != 1)
		die("certificate or key");
	if (opt.tls12)
		SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION);
	/* In a resumed handshake it is the server whose Finished comes first. */
	SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	if (opt.ca != NULL) {
		if (SSL_CTX_load_verify_locations(tls, opt.ca, NULL) != 1)
			die(opt.ca);
		SSL_CTX_set_client_CA_list(tls, SSL_load_client_CA_file(opt.ca));
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	}
	return tls;
}

static int
start_listening(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port) };
	socklen_t len = sizeof addr;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 20) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		die("cannot listen");
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

static void
parse_options(int argc, char **argv)
{
	int o;

	opt.log = stderr;
	while ((o = getopt(argc, argv, "c:k:C:m:u:p:l:o:2bi")) != -1)
		switch (o) {
		case 'c': opt.cert = optarg; break;
		case 'k': opt.key = optarg; break;
		case 'C': opt.ca = optarg; break;
		case 'm': opt.mechanisms = optarg; break;
		case 'u': opt.user = optarg; break;
		case 'p': opt.password = optarg; break;
		case 'l': opt.port = atoi(optarg); break;
		case 'o': opt.log = fopen(optarg, "ae"); break;
		case '2': opt.tls12 = true; break;
		case 'b': opt.wrong_binding = true; break;
		case 'i': opt.no_initial_response = true; break;
		default: exit(64);
		}
	if (opt.cert == NULL || opt.key == NULL || opt.log == NULL)
		die("-c and -k are needed, and -o must be writable");
}

int
main(int argc, char **argv)
{
	Gsasl *context;
	SSL_CTX *tls;
	int listener, fd;

	parse_options(argc, argv);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (gsasl_init(&context) != GSASL_OK)
		die("gsasl_init");
	gsasl_callback_set(context, on_sasl);
	tls = make_tls();
	listener = start_listening();
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (fork() == 0)
			serve(fd, tls, context);
		close(fd);
	}
	die("accept");
}
