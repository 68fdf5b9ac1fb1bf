#!/bin/sh
# ca.sh DIR: a certificate authority for tests. Makes in DIR, each with NAME.pem and NAME.key:
#	ca		the authority
#	server		localhost, 127.0.0.1, 127.0.0.2, ::1: a good one
#	wrongname	mail.example.org
#	expired		localhost, ended in 2021
#	self		localhost, signed by itself
#	client		for the user "ana" (SASL EXTERNAL)
# Does nothing where DIR is complete.
set -eu
dir=${1:?usage: ca.sh DIR}
mkdir -p "$dir"
cd "$dir"
[ -e complete ] && exit 0
host='DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:::1'

quiet() {
	"$@" >openssl.log 2>&1 || { cat openssl.log >&2; exit 1; }
}

# request NAME SUBJECT: a key and a request for a certificate
request() {
	quiet openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -keyout "$1.key" -subj "$2" -out "$1.csr"
}

# sign NAME USAGE SAN START END: "openssl x509" cannot set a date in the past, "openssl ca" can
sign() {
	printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=%s\n' "$3" "$2" >"$1.ext"
	quiet openssl ca -batch -config ca.cnf -in "$1.csr" -cert ca.pem -keyfile ca.key \
	    -extfile "$1.ext" -startdate "$4" -enddate "$5" -notext -out "$1.pem"
}

cat >ca.cnf <<END
[ca]
default_ca = tests
[tests]
database = index
new_certs_dir = .
serial = serial
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
END
: >index
echo 1000 >serial

quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
    -subj '/CN=mailtide test authority' -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout ca.key -out ca.pem
quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
    -subj /CN=localhost -addext "subjectAltName=$host" -keyout self.key -out self.pem
request server /CN=localhost
request wrongname /CN=mail.example.org
request expired /CN=localhost
request client /CN=ana
sign server serverAuth "$host" 20240101000000Z 20440101000000Z
sign wrongname serverAuth DNS:mail.example.org 20240101000000Z 20440101000000Z
sign expired serverAuth "$host" 20200101000000Z 20210101000000Z
sign client clientAuth email:ana@example.org 20240101000000Z 20440101000000Z

# Dovecot runs as another user when root starts it, and these keys guard nothing.
chmod 644 ./*.key
rm -f ./*.csr ./*.ext ./1*.pem index* serial* ca.cnf openssl.log
: >complete
