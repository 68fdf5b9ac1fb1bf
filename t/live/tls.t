#!/usr/bin/python3
"""TLS in all its forms, every way to log in, passwords from everywhere, one connection only."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from live import *

server = dovecot(oauth="yes")
c = server_client(server)
c.append("INBOX", mail(1))
ca = os.path.dirname(server.ca)


def sync_says(account, status, pattern, name):
	run = account.sync(timeout=20)
	good = run.returncode == status and re.search(pattern, run.stderr)
	ok(good, name, "status %d, not %d; %r; want /%s/" % (run.returncode, status, run.stderr, pattern))
	if status:
		own = re.findall("^mailtide: ", run.stderr, re.M)	# a password command may say something itself
		is_(len(own), 1, "in one line")
		ok(not account.files(), "nothing came")
	else:
		is_(len(account.files()), 1, "the mail came")
	unlike(run.stderr + run.stdout, "pass[^w]|tok-ana", "no secret in what is said")


def pin_of(cert):
	out = subprocess.run("openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform der | "
		"openssl dgst -sha256 -binary | base64" % cert, shell=True, capture_output=True, text=True)
	return "sha256//" + out.stdout.strip()


# Good ones
secure = dict(tls="implicit", host="localhost", ca_file=server.ca)
sync_says(Account(server.imaps_port, **secure), 0, r"\A\Z", "implicit TLS")
sync_says(Account(server.imaps_port, **{**secure, "host": "127.0.0.1"}), 0, r"\A\Z", "an address for a name")
sync_says(Account(server.port, **{**secure, "tls": "starttls"}), 0, r"\A\Z", "STARTTLS")
good_pin = pin_of(ca + "/server.pem")
sync_says(Account(server.imaps_port, tls="implicit", host="localhost", pin=good_pin), 0, r"\A\Z", "the right pin, without a CA")
sync_says(Account(server.imaps_port, pin=good_pin, **secure), 0, r"\A\Z", "the right pin, with a CA")

# Bad ones
sync_says(Account(server.imaps_port, pin=pin_of(ca + "/client.pem"), **secure), 78, r"(?i)pin|key", "a wrong pin")
sync_says(Account(server.imaps_port, tls="implicit", host="localhost"), 78,
	r"(?i)issuer|authority|unknown|trust", "an unknown issuer")
write(WORK + "/none.pem", "")
sync_says(Account(server.imaps_port, **{**secure, "ca_file": WORK + "/missing.pem"}), 78, r"missing\.pem", "no CA file")
sync_says(Account(server.imaps_port, **{**secure, "ca_file": WORK + "/none.pem"}), 78, r"none\.pem", "an empty CA file")
sync_says(Account(server.port, **secure, timeout="3"), 78, r"does not speak TLS", "TLS to a port that has none")
sync_says(Account(server.imaps_port, timeout="3"), 75, r".", "no TLS to a port that has it")
for cert, pattern in ("wrongname", r"mail\.example\.org|name"), ("expired", r"(?i)expired|2021"), ("self", r"(?i)self"):
	other = dovecot(ca=ca, cert=cert)
	c2 = server_client(other)
	c2.append("INBOX", mail(1))
	c2.logout()
	for tls, port in ("implicit", other.imaps_port), ("starttls", other.port):
		sync_says(Account(port, **{**secure, "tls": tls}), 78, pattern, "%s certificate, %s" % (cert, tls))
	pinned = Account(other.imaps_port, **secure, pin=pin_of("%s/%s.pem" % (ca, cert)))
	if cert == "self":
		sync_says(Account(other.imaps_port, **{**secure, "ca_file": ca + "/self.pem"}), 0, r"\A\Z", "a self-signed one that is trusted")
	other.stop()
down, bare = serve(LIB + "/imapdown.py", "--drop", "ENABLE", server.port)
sync_says(Account(bare, **{**secure, "tls": "starttls"}), 78, r"(?i)starttls", "no STARTTLS offered")

# Clear text
sync_says(Account(server.port, host="192.0.2.1"), 78, r"(?i)clear|tls", "clear text is refused where it is not loopback")
sync_says(Account(server.port, host="192.0.2.1", allow_cleartext="yes", timeout="2"), 75, r".", "unless allowed")

# Logging in
for auth in "auto", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN":
	sync_says(Account(server.port, auth=auth), 0, r"\A\Z", "auth = %s" % auth)
	if auth != "auto":
		sync_says(Account(server.port, auth=auth, password_command="echo wrong"), 77, r"(?i)password|login|auth|refus", "%s, wrong password" % auth)
sync_says(Account(server.port, user="nosuch"), 77, r"(?i)login|auth|refus", "a refused user")
sync_says(Account(server.port, auth="SCRAM-SHA-256-PLUS", tls="implicit", host="localhost", ca_file=server.ca) .set(port=server.imaps_port),
	78, r"SCRAM-SHA-256-PLUS", "a mechanism that is not offered")
for auth in "OAUTHBEARER", "XOAUTH2":
	sync_says(Account(server.port, auth=auth, password_command=None, token_command="echo tok-ana"), 0, r"\A\Z", auth)
	sync_says(Account(server.port, auth=auth, password_command=None, token_command="echo stale"), 77, r"(?i)token|login|auth|refus", "%s, a stale token" % auth)
sync_says(Account(server.port, password_command=None, token_command="echo tok-ana"), 0, r"\A\Z", "a token, auth = auto")
private = dovecot(addr="127.0.0.2", plain="no")
sync_says(Account(private.port, host="127.0.0.2", auth="LOGIN"), 78, r"(?i)login|offer", "LOGIN where it is disabled")
private.stop()

# Where the secret comes from
sync_says(Account(server.port, password_command="printf pass"), 0, r"\A\Z", "no line end")
sync_says(Account(server.port, password_command="echo oops >&2; exit 3"), 78, r"(?i)password-command|oops|3", "a command that fails")
sync_says(Account(server.port, password_command="true"), 78, r"(?i)password-command|nothing|empty", "a command that says nothing")
sync_says(Account(server.port, password_command="kill -9 $$"), 78, r"(?i)password-command|signal", "a command that is killed")
sync_says(Account(server.port, password_command="/no/such/thing"), 78, r"(?i)password-command|such", "a command that is not there")
started = time.time()
sync_says(Account(server.port, password_command="echo pa; sleep 60", password_timeout="1"), 78, r"(?i)password-command|time|1 s", "a command that hangs")
ok(time.time() - started < 8, "is not waited for", time.time() - started)
secret = WORK + "/secret"
write(secret, "pass\n")
os.chmod(secret, 0o600)
sync_says(Account(server.port, password_command=None, password_file=secret), 0, r"\A\Z", "a file")

# SCRAM-PLUS, EXTERNAL
for options, name in (["-m", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"], "tls-exporter"), (["-2", "-m", "SCRAM-SHA-256-PLUS"], "tls-unique"):
	log = "%s/%s.log" % (WORK, name)
	wire, port = serve(BIN + "/wire_sasl", "-c", ca + "/server.pem", "-k", ca + "/server.key", "-o", log, *options)
	run = Account(port, **secure).sync()
	is_((run.returncode, run.stderr), (0, ""), "SCRAM-SHA-256-PLUS")
	like(read(log).decode(), "mechanism=SCRAM-SHA-256-PLUS user=ana binding=%s result=ok" % name, "bound by " + name)
wire, port = serve(BIN + "/wire_sasl", "-c", ca + "/server.pem", "-k", ca + "/server.key", "-b")
run = Account(port, **secure).sync()
is_(run.returncode, 77, "a channel that somebody is in the middle of: %s" % run.stderr.strip())
log = WORK + "/external.log"
wire, port = serve(BIN + "/wire_sasl", "-c", ca + "/server.pem", "-k", ca + "/server.key", "-C", server.ca, "-m", "EXTERNAL", "-o", log)
os.chmod(ca + "/client.key", 0o600)
external = dict(secure, password_command=None, auth="EXTERNAL", cert_file=ca + "/client.pem", key_file=ca + "/client.key")
run = Account(port, **external).sync()
is_((run.returncode, run.stderr), (0, ""), "EXTERNAL")
like(read(log).decode(), "mechanism=EXTERNAL user=ana.*result=ok", "by certificate")
run = Account(port, **{**external, "cert_file": None, "key_file": None}).sync()
ok(run.returncode in (75, 77, 78) and run.stderr, "EXTERNAL without a certificate", run)

# Compression
for n in range(400):
	c.append("Archive", mail(n, 3000))
sizes = {}
for compress in "no", "yes", "auto":
	proxy = Proxy(server.port)
	account = Account(proxy.port, compress=compress)
	is_(account.sync().returncode, 0, "compress = %s" % compress)
	is_(len(account.files()), 401, "all there")
	sizes[compress] = total(proxy.stats(), "s2c")
ok(sizes["yes"] < sizes["no"] / 3, "compression makes it less", sizes)
ok(sizes["auto"] > sizes["no"] * .9, "not by itself on loopback", sizes)
account = Account(server.imaps_port, compress="yes", **secure)
is_((account.sync().returncode, len(account.files())), (0, 401), "over TLS")
same(account, c, "to the byte")

# One connection only
one = dovecot(max_connections=1)
c1 = server_client(one)
for n in range(60):
	c1.append("INBOX", mail(n, 20000))
	c1.append("Sent", mail(100 + n))
state = server_state(c1)
c1.logout()
time.sleep(.2)
account = Account(one.port)
run = account.sync()
is_(run.returncode, 0, "a second connection is refused: all comes over the first")
ok(run.stderr.count("\n") <= 1, "with one word at most", run.stderr)
c1 = server_client(one)
same(account, c1, "all is there", state=state)
run = account.sync(timeout=60)
is_(run.returncode, 75, "no connection at all: later")
c1.logout()
c.logout()
done_testing()
