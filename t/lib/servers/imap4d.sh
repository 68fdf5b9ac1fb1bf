#!/bin/sh
# A private, throw-away GNU Mailutils imap4d on loopback, with Maildir. Needs root.
#
#	imap4d.sh start DIR	prints the port; also in DIR/port
#	imap4d.sh stop DIR	at once; the mail stays
#	imap4d.sh remove DIR	stop, and delete DIR
#
# The users are u1 to u12 with the password "pass". INBOX is DIR/spool/USER, the other mailboxes are
# in DIR/mail/USER, separated by "/". What happened is told in DIR/log.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
[ $# -ge 2 ] || usage
verb=$1
dir=$2
shift 2

bin=$pkg/imap4d/usr/sbin/imap4d
found "$bin"
as_root

configuration() {
	cat <<-END_CONF
	mode daemon;
	foreground yes;
	pidfile "$place/imap4d.pid";
	max-children 100;
	timeout 1800;
	logging { syslog yes; facility mail; };
	auth { authentication "generic:system"; authorization "system"; };
	mailbox { mailbox-pattern "maildir:$place/spool/\${user}"; mailbox-type "maildir"; };
	namespace personal {
	  prefix "" { directory "$place/mail/\${user}"; delimiter "/"; mailbox-type "maildir"; };
	};
	tcp-wrappers { enable no; };
	server 127.0.0.1:$1 { tls-mode no; };
	END_CONF
}

# Its users have to be the system's: it sees a passwd, shadow and group of its own.
accounts() {
	cp /etc/passwd /etc/shadow /etc/group "$place/etc"
	password=$(openssl passwd -6 pass)
	echo 'mailtide:x:5100:' >>"$place/etc/group"
	for n in 01 02 03 04 05 06 07 08 09 10 11 12; do
		user=u${n#0}
		echo "$user:x:51$n:5100::$place/mail/$user:/bin/sh" >>"$place/etc/passwd"
		echo "$user:$password:19000:0:99999:7:::" >>"$place/etc/shadow"
		mkdir -p "$place/mail/$user" "$place/spool/$user/cur" "$place/spool/$user/new" "$place/spool/$user/tmp"
		chown -R "51$n:5100" "$place/mail/$user" "$place/spool/$user"
	done
}

# Each session is a child that has the same command line.
stop() {
	end $(named "--config-file=$place/imap4d.conf")
	end $(named "--config-file=$place/imap4d.conf")
}

start() {
	stop
	mkdir -p "$place/etc" "$place/mail" "$place/spool"
	chmod 755 "$place/mail"
	chmod 777 "$place/spool"	# locks of the mailboxes
	accounts
	port=$(free_ports 1)
	configuration "$port" >"$place/imap4d.conf"
	log_to_file
	cat >"$place/start.sh" <<-END_SH
	mount --make-rprivate /
	for name in passwd shadow group; do
		mount --bind $place/etc/\$name /etc/\$name || exit
	done
	export LD_LIBRARY_PATH=$(ls -d "$pkg"/imap4d/usr/lib/*-linux-gnu*)
	export SYSLOG_FILE=$SYSLOG_FILE LD_PRELOAD=$LD_PRELOAD
	exec $bin --config-file=$place/imap4d.conf
	END_SH
	unset LD_PRELOAD
	setsid unshare -m sh "$place/start.sh" >"$place/start.out" 2>&1 </dev/null &
	if ! greeted "$port"; then
		tail -n 20 "$place/start.out" "$place/log" >&2
		stop
		die 'did not start'
	fi
	echo "$port" >"$dir/port"
	echo "$port"
}

case $verb in
start)	mkdir -p "$dir" ;;
*)	[ -d "$dir" ] || exit 0 ;;
esac
dir=$(cd "$dir" && pwd)
find_place "$dir"

case $verb in
start)	start ;;
stop)	stop ;;
remove)	stop; rm -rf "${place:?}" "${dir:?}" ;;
*)	usage ;;
esac
