#!/bin/sh
# A private, throw-away Dovecot on loopback.
#
#	dovecot.sh start DIR [OPTION=VALUE ...]	prints the port
#	dovecot.sh stop DIR		at once (SIGKILL); the mail stays
#	dovecot.sh remove DIR		stop, and delete DIR
#	dovecot.sh reload DIR
#	dovecot.sh adm DIR ARGUMENTS	doveadm
#
# Any user name is let in with the password "pass", except "nosuch". USER's mail is in
# DIR/mail/USER/mail; USER@sdbox, USER@mdbox and USER@mbox have another store. Users whose name
# begins with "tiny" have a quota of 100 KB. DIR/port, DIR/imaps_port and DIR/lmtp_port tell the
# ports, DIR/owner the uid:gid that must own what a test puts into DIR/mail, DIR/dovecot.log what
# happened.
#
# Options:
#	addr=127.0.0.1		or 127.0.0.2, or both with a space between
#	ca=DIR/ca cert=server	certificate DIR/ca/server.pem (see ca.sh; made where missing)
#	caps='IMAP4rev1 ...'	announce only this (the features stay; see imapdown.py)
#	profile=full		or nouidplus nocondstore noqresync rev1idle bare: ready-made caps
#	store=maildir		for user names without @
#	plain=yes		no: LOGINDISABLED until TLS (Dovecot trusts a client at its own address:
#				take addr=127.0.0.2)
#	delay=0			seconds before a refused login is answered
#	max_connections=200	for each user
#	raw=no			yes: DIR/raw/* hold what each session said
#	oauth=no		yes: OAUTHBEARER and XOAUTH2; the token tok-USER is USER's
#	extra=FILE		appended to the configuration
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
verb=${1:-}
[ $# -ge 2 ] || { sed -n '2,/^set/s/^#//p' "$0" >&2; exit 64; }
dir=$2
shift 2

# Nothing needs root, so nothing runs as root: one configuration serves both kinds of caller.
if [ "$(id -u)" = 0 ]; then
	user=dovecot group=dovecot
	as_user='setpriv --reuid=dovecot --regid=dovecot --clear-groups --'
else
	user=$(id -un) group=$(id -gn) as_user=
fi

# The master of this DIR, if it runs. A pid may be another's by now, hence the look at its name.
master() {
	pid=$(cat "$dir/run/master.pid" 2>/dev/null) || return 1
	tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$place/dovecot.conf" && echo "$pid"
}

# The kill order: the master stands still first, or it would start a child that we do not see.
stop() {
	if pid=$(master); then
		kill -STOP "$pid" 2>/dev/null || :
		kill -KILL "$pid" $(pgrep -P "$pid") 2>/dev/null || :
	fi
	rm -f "$dir/run/master.pid"
	if [ -e "$dir/oauth.pid" ]; then
		kill -KILL "$(cat "$dir/oauth.pid")" 2>/dev/null || :
		rm -f "$dir/oauth.pid"
	fi
}

# Four free ports, below the range that the kernel gives to outgoing connections.
pick_ports() {
	python3 - $addr <<'END'
import random, socket, sys
found = []
while len(found) < 4:
	port = random.randrange(15000, 32000)
	try:
		for addr in sys.argv[1:] + ["127.0.0.1"] * (not found):
			with socket.socket() as s:
				s.bind((addr, port))
		if port not in found:
			found.append(port)
	except OSError:
		pass
print(*found)
END
}

# Dovecot's user must reach DIR, and a UNIX socket's path is short. Where either fails (a tree below
# /root, a deep tree), all lives in a place of its own in the system's folder for temporary files,
# with links to it; "remove" deletes that too.
find_place() {
	if [ -e "$dir/place" ]; then
		place=$(cat "$dir/place")
	elif ! $as_user test -x "$dir" || [ ${#dir} -gt 75 ]; then
		place=$(mktemp -d "${TMPDIR:-/tmp}/mailtide.XXXXXX")
		echo "$place" >"$dir/place"
	else
		place=$dir
	fi
	for name in mail run state raw dict; do
		mkdir -p "$place/$name"
		[ "$place" = "$dir" ] || ln -sfn "$place/$name" "$dir/$name"
	done
	[ "$place" = "$dir" ] || ln -sf "$place/dovecot.log" "$place/dovecot.conf" "$dir"
	[ -z "$as_user" ] && return
	chmod 755 "$place"
	chown "$user:$group" "$place" "$place/mail" "$place/dict"
	chown -R "$user:$group" "$place/run" "$place/state" "$place/raw"
}

basic='SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT THREAD=REFERENCES MULTIAPPEND UNSELECT CHILDREN
	NAMESPACE LIST-EXTENDED ESEARCH SEARCHRES WITHIN BINARY MOVE LITERAL+ NOTIFY SPECIAL-USE'
profile_caps() {
	case $1 in
	full)		;;
	nouidplus)	echo IMAP4rev1 $basic CONDSTORE QRESYNC LIST-STATUS ;;
	nocondstore)	echo IMAP4rev1 $basic UIDPLUS LIST-STATUS ;;
	noqresync)	echo IMAP4rev1 $basic UIDPLUS CONDSTORE LIST-STATUS ;;
	rev1idle)	echo IMAP4rev1 IDLE UIDPLUS NAMESPACE ;;
	bare)		echo IMAP4rev1 ;;
	*)		echo "dovecot.sh: no profile '$1'" >&2; return 64 ;;
	esac
}

configuration() {
	cat <<END
base_dir = $place/run
state_dir = $place/state
instance_name = mailtide-$1
log_path = $place/dovecot.log
log_timestamp = "%Y-%m-%d %H:%M:%S.%{usecs} "
default_internal_user = $user
default_internal_group = $group
default_login_user = $user
protocols = imap lmtp
listen = $addr

mail_uid = $(id -u $user)
mail_gid = $(id -g $user)
first_valid_uid = 1
mail_home = $place/mail/%u
mail_location = %{if;%d;eq;;$store;%d}:~/mail
mail_fsync = never
maildir_stat_dirs = yes
mailbox_list_index = yes
mail_max_userip_connections = $max_connections
mail_attribute_dict = file:%h/dovecot-attributes
imap_metadata = yes
${caps:+imap_capability = $caps}
$([ $raw = no ] || echo "rawlog_dir = $place/raw")

ssl = yes
ssl_cert = <$place/cert.pem
ssl_key = <$place/cert.key
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = $([ $plain = yes ] && echo no || echo yes)
auth_mechanisms = plain login scram-sha-256 scram-sha-1 cram-md5 digest-md5 $([ $oauth = no ] ||
    echo xoauth2 oauthbearer)
auth_failure_delay = $delay secs
auth_username_chars =
auth_username_format = %Lu

passdb {
  driver = passwd-file
  args = $place/deny
  deny = yes
}
passdb {
  driver = static
  args = password=pass
}
$([ $oauth = no ] || echo "passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = $place/oauth.conf
}")
userdb {
  driver = static
  args = uid=$(id -u $user) gid=$(id -g $user) home=$place/mail/%u allow_all_users=yes
}

service imap-login {
  chroot =
  process_min_avail = 1
  service_count = 0
  client_limit = 500
  process_limit = 4
  inet_listener imap {
    address = $addr
    port = $1
  }
  inet_listener imaps {
    address = $addr
    port = $2
    ssl = yes
  }
}
service imap-urlauth-login {
  chroot =
}
service imap {
  process_limit = 400
}
service lmtp {
  inet_listener lmtp {
    address = $addr
    port = $3
  }
}
# No delay that grows with each refused login: tests are refused often.
service anvil {
  chroot =
  client_limit = 2000
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  client_limit = 2000
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}

namespace inbox {
  inbox = yes
  separator = /
$(for name in Drafts Sent Junk Trash Archive; do
	printf '  mailbox %s {\n    special_use = \\%s\n    auto = create\n  }\n' $name $name
done)
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%u/
  location = $store:$place/mail/%%u/mail
  subscriptions = no
  list = children
}
mail_plugins = acl quota
protocol imap {
  mail_plugins = acl quota imap_acl imap_quota imap_zlib
}
plugin {
  acl = vfile
  acl_shared_dict = file:$place/dict/shared-mailboxes
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=%{if;%n;*;tiny*;100K;10G}
}
END
	[ -z "$extra" ] || cat "$extra"
}

start_oauth() {
	cat >"$place/oauth.conf" <<-END
	introspection_url = http://127.0.0.1:$1/
	introspection_mode = post
	force_introspection = yes
	username_attribute = username
	active_attribute = active
	active_value = true
	END
	python3 "$here/oauth.py" "$1" >"$dir/oauth.log" 2>&1 </dev/null &
	echo $! >"$dir/oauth.pid"
}

start() {
	addr=127.0.0.1 ca=$dir/ca cert=server caps='' profile=full store=maildir plain=yes delay=0
	max_connections=200 raw=no oauth=no extra=''
	for option; do
		case ${option%%=*} in
		addr|ca|cert|caps|profile|store|plain|delay|max_connections|raw|oauth|extra)
			eval "${option%%=*}=\${option#*=}" ;;
		*)	echo "dovecot.sh: no option '$option'" >&2; exit 64 ;;
		esac
	done
	[ -n "$caps" ] || caps=$(profile_caps $profile)
	"$here/ca.sh" "$ca"
	stop
	find_place
	cp "$ca/$cert.pem" "$place/cert.pem"
	cp "$ca/$cert.key" "$place/cert.key"
	echo 'nosuch:x' >"$place/deny"
	echo "$(id -u $user):$(id -g $user)" >"$dir/owner"
	# Between our look and Dovecot's bind, another test may have taken a port.
	for try in 1 2 3 4 5; do
		set -- $(pick_ports)
		configuration "$@" >"$place/dovecot.conf"
		$as_user dovecot -c "$place/dovecot.conf" >"$dir/start.err" 2>&1 </dev/null && break
		[ $try -lt 5 ] && grep -q 'already in use' "$dir/start.err" ||
		    { cat "$dir/start.err" >&2; exit 1; }
	done
	[ $oauth = no ] || start_oauth "$4"
	echo "$1" >"$dir/port"
	echo "$2" >"$dir/imaps_port"
	echo "$3" >"$dir/lmtp_port"
	echo "$1"
}

case $verb in
start)	mkdir -p "$dir" ;;
stop|remove)	[ -d "$dir" ] || exit 0 ;;
esac
dir=$(cd "$dir" && pwd)
place=$(cat "$dir/place" 2>/dev/null || echo "$dir")

case $verb in
start)	start "$@" ;;
stop)	stop ;;
remove)	stop; rm -rf "${place:?}" "${dir:?}" ;;
reload)	kill -HUP "$(master)" ;;
adm)	exec $as_user doveadm -c "$place/dovecot.conf" "$@" ;;
*)	echo "dovecot.sh: no such verb: $verb" >&2; exit 64 ;;
esac
