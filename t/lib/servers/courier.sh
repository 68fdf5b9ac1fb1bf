#!/bin/sh
# A private, throw-away Courier IMAP on loopback. Needs root.
#
#	courier.sh start DIR [OPTION=VALUE ...]	prints the port; also in DIR/port
#	courier.sh stop DIR	at once; the mail stays
#	courier.sh remove DIR	stop, and delete DIR
#	courier.sh uidvalidity DIR USER MAILBOX	a new one
#	courier.sh quota DIR USER OCTETS
#
# The users are u1 to u12 with the password "pass"; DIR/mail/USER/Maildir is theirs. All mailboxes are
# below "INBOX.". What happened is told in DIR/log.
#
# Options:
#	acl=0		1: SETACL and what it does
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
[ $# -ge 2 ] || usage
verb=$1
dir=$2
shift 2

found "$pkg/courier/usr/bin/imapd"
as_root

# Its paths are compiled in. So it runs in a mount namespace of its own, where the unpacked packages
# lie over /usr, and /etc holds its configuration and its two users.
namespace() {
	cat <<-END_SH
	set -e
	mount --make-rprivate /
	mount -t overlay overlay -o lowerdir=$pkg/courier/usr:/usr /usr
	mount -t overlay overlay -o lowerdir=$place/etc:/etc /etc
	mount --bind $place/courier /etc/courier
	mount -t tmpfs tmpfs /run
	mkdir /run/courier
	mount --bind $place/run /run/courier
	PATH=/usr/sbin:/usr/bin:/sbin:/bin
	END_SH
}

# courierlogger turns its child into a daemon.
daemons() {
	cat <<-END_SH
	makeuserdb
	courierlogger -pid=/run/courier/authdaemon/pid -start -name=authdaemond \
	    /usr/lib/courier/courier-authlib/authdaemond
	set -a
	. $place/env
	set +a
	courierlogger -pid=/run/courier/imapd.pid -start -name=imapd \
	    couriertcpd -address=127.0.0.1 -maxprocs=200 -maxperip=200 -nodnslookup -noidentlookup \
	    $1 /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir
	END_SH
}

environment() {
	caps='IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE'
	[ $acl = 0 ] || caps="$caps ACL ACL2=UNION"
	cat <<-END_ENV
	prefix=/usr
	exec_prefix=/usr
	sbindir=/usr/sbin
	bindir=/usr/bin
	IMAP_CAPABILITY="$caps AUTH=PLAIN"
	IMAP_KEYWORDS=1
	IMAP_ACL=$acl
	IMAP_IDLE_TIMEOUT=1
	IMAP_MAILBOX_SANITY_CHECK=0
	IMAP_USELOCKS=1
	IMAP_ENHANCEDIDLE=0
	IMAP_UMASK=022
	IMAP_TRASHFOLDERNAME=Trash
	IMAP_EMPTYTRASH=
	IMAP_MOVE_EXPUNGE_TO_TRASH=0
	IMAP_STARTTLS=NO
	IMAP_SHAREDINDEXFILE=/etc/courier/shared/index
	SENDMAIL=/bin/false
	END_ENV
}

accounts() {
	{
		cat /etc/passwd
		echo 'courier:x:5001:5001::/run/courier:/bin/false'
		echo 'vmail:x:5000:5000::/tmp:/bin/false'
	} >"$place/etc/passwd"
	{
		cat /etc/group
		echo 'courier:x:5001:'
		echo 'vmail:x:5000:'
	} >"$place/etc/group"
	password=$(openssl passwd -6 pass)
	(
		umask 077
		for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
			printf 'u%s\thome=%s|mail=%s/Maildir|uid=5000|gid=5000|systempw=%s\n' \
			    $n "$place/mail/u$n" "$place/mail/u$n" "$password"
		done >"$place/courier/userdb"
	)
	for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
		for sub in '' .Sent .Trash; do
			box=$place/mail/u$n/Maildir/$sub
			mkdir -p "$box/cur" "$box/new" "$box/tmp"
			[ -z "$sub" ] || : >"$box/maildirfolder"
		done
	done
	chown -R 5000:5000 "$place/mail"
}

# All of it, sessions too, is in its own namespace, and nobody else is.
stop() {
	[ -e "$place/namespace" ] || return 0
	ours=$(cat "$place/namespace")
	rm -f "$place/namespace"
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/ns/mnt" 2>/dev/null)" = "$ours" ] && end "${p#/proc/}"
	done
	:
}

start() {
	acl=0
	for option; do
		option_of acl "$option"
	done
	stop
	mkdir -p "$place/etc/courier" "$place/courier/shared" "$place/run/authdaemon" "$place/mail"
	chmod 755 "$place/run" "$place/run/authdaemon" "$place/mail"
	cat >"$place/courier/authdaemonrc" <<-END_RC
	authmodulelist="authuserdb"
	authmodulelistorig="authuserdb"
	daemons=2
	authdaemonvar=/run/courier/authdaemon
	DEBUG_LOGIN=0
	DEFAULTOPTIONS=""
	LOGGEROPTS=""
	END_RC
	accounts
	environment >"$place/env"
	port=$(free_ports 1)
	{
		namespace
		echo "readlink /proc/self/ns/mnt >$place/namespace"
		log_to_file
		echo "export SYSLOG_FILE=$SYSLOG_FILE LD_PRELOAD=$LD_PRELOAD"
		daemons "$port"
	} >"$place/start.sh"
	unset LD_PRELOAD
	unshare -m sh "$place/start.sh" >"$place/start.out" 2>&1 </dev/null || :
	if ! greeted "$port"; then
		tail -n 20 "$place/start.out" "$place/log" >&2
		stop
		die 'did not start'
	fi
	echo "$port" >"$dir/port"
	echo "$port"
}

# folder USER MAILBOX
folder() {
	sub=${2#INBOX}
	echo "$place/mail/$1/Maildir/$sub"
}

quota() {
	echo "$2S" >"$place/mail/$1/Maildir/maildirsize"
	chown 5000:5000 "$place/mail/$1/Maildir/maildirsize"
}

case $verb in
start)	mkdir -p "$dir" ;;
*)	[ -d "$dir" ] || exit 0 ;;
esac
dir=$(cd "$dir" && pwd)
find_place "$dir"

case $verb in
start)	start "$@" ;;
stop)	stop ;;
remove)	stop; rm -rf "${place:?}" "${dir:?}" ;;
uidvalidity)	rm "$(folder "$1" "$2")/courierimapuiddb" ;;
quota)	quota "$@" ;;
*)	usage ;;
esac
