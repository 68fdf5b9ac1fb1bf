#!/bin/sh
# A private, throw-away Cyrus IMAP on loopback.
#
#	cyrus.sh start DIR	prints the port; also in DIR/port
#	cyrus.sh stop DIR	at once; the mail stays
#	cyrus.sh remove DIR	stop, and delete DIR
#	cyrus.sh adm DIR TOOL ARGUMENTS		any of Cyrus's own tools
#	cyrus.sh uidvalidity DIR USER MAILBOX	a new one; the messages keep their UIDs
#
# Any user with any password; a new user gets INBOX, Sent, Drafts, Trash and Archive. "cyrusadm" is
# the administrator (SETQUOTA user/NAME (STORAGE 50)). Names are separated by "/". What happened is
# told in DIR/log.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
[ $# -ge 2 ] || usage
verb=$1
dir=$2
shift 2

bin=$pkg/cyrus/usr/lib/cyrus/bin
found "$bin/imapd"
LD_LIBRARY_PATH=$(ls -d "$pkg"/cyrus/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH
# Cyrus will not be root.
if [ "$(id -u)" = 0 ]; then
	user=nobody
	as_user='setpriv --reuid=nobody --regid=nogroup --clear-groups --'
else
	user=$(id -un) as_user=
fi

# What it runs has to be reached by its user too: a copy beside the mail, where the tree cannot be.
reachable() {
	[ -n "$as_user" ] || return 0
	if [ ! -d "$place/pkg" ] && ! $as_user test -x "$bin/imapd"; then
		cp -r "$pkg/cyrus" "$place/pkg"
		cp "$top/build/servers/syslog.so" "$place"
	fi
	[ -d "$place/pkg" ] || return 0
	bin=$place/pkg/usr/lib/cyrus/bin
	LD_LIBRARY_PATH=$(ls -d "$place"/pkg/usr/lib/*-linux-gnu*)
}

# munge8bit: 8-bit bytes in headers would become X. alwaystrue: no saslauthd, no database of users.
configuration() {
	cat <<-END_CONF
	configdirectory: $place/conf
	defaultpartition: default
	partition-default: $place/spool
	temp_path: $place/tmp
	cyrus_user: $user
	servername: localhost
	admins: cyrusadm
	autocreate_quota: 0
	autocreate_inbox_folders: Sent|Drafts|Trash|Archive
	autocreate_subscribe_folders: Sent|Drafts|Trash|Archive
	xlist-sent: Sent
	xlist-drafts: Drafts
	xlist-trash: Trash
	xlist-archive: Archive
	altnamespace: yes
	unixhierarchysep: yes
	virtdomains: off
	allowplaintext: yes
	failedloginpause: 0
	sasl_mech_list: PLAIN LOGIN
	sasl_pwcheck_method: alwaystrue
	sasl_minimum_layer: 0
	conversations: no
	idlesocket: $place/conf/socket/idle
	lmtpsocket: $place/conf/socket/lmtp
	notifysocket: $place/conf/socket/notify
	skiplist_unsafe: yes
	imapidlepoll: 1
	munge8bit: no
	implicit_owner_rights: la
	END_CONF
}

services() {
	cat <<-END_CONF
	START {
	  recover cmd="$bin/ctl_cyrusdb -C $place/imapd.conf -r"
	  idled cmd="$bin/idled -C $place/imapd.conf"
	}
	SERVICES {
	  imap cmd="$bin/imapd -C $place/imapd.conf -U 100" listen="127.0.0.1:$1" prefork=1 proto="tcp4"
	}
	EVENTS {
	}
	END_CONF
}

# idled leaves its parent, and the children outlive a killed master: all of them name the
# configuration on their command line.
stop() {
	end $(named "-C $place/imapd.conf")
	end $(named "-C $place/imapd.conf")	# what was just being started
}

start() {
	stop
	for name in db socket proc log msg ptclient quota sieve user lock; do
		mkdir -p "$place/conf/$name"
	done
	mkdir -p "$place/spool" "$place/tmp"
	port=$(free_ports 1)
	configuration >"$place/imapd.conf"
	services "$port" >"$place/cyrus.conf"
	log_to_file
	# Nothing here has to outlive a power failure.
	for eatmydata in /usr/lib/*/libeatmydata.so; do
		[ -e "$eatmydata" ] && LD_PRELOAD="$LD_PRELOAD $eatmydata"
	done
	[ -z "$as_user" ] || chown -R $user "$place"
	setsid "$bin/master" -C "$place/imapd.conf" -M "$place/cyrus.conf" -p "$place/master.pid" -D \
	    >"$place/master.out" 2>&1 </dev/null &
	unset LD_PRELOAD
	if ! greeted "$port"; then
		tail -n 20 "$place/master.out" "$place/log" >&2
		stop
		die 'did not start'
	fi
	echo "$port" >"$dir/port"
	echo "$port"
}

adm() {
	tool=$1
	shift
	$as_user "$bin/$tool" -C "$place/imapd.conf" "$@"
}

uidvalidity() {
	name=user/$1$([ "$2" = INBOX ] || echo "/$2")
	path=$(adm mbpath "$name")
	sleep 1	# it is the time
	rm "$path/cyrus.index" "$path/cyrus.cache"
	adm reconstruct "$name" >/dev/null
}

case $verb in
start)	mkdir -p "$dir" ;;
*)	[ -d "$dir" ] || exit 0 ;;
esac
dir=$(cd "$dir" && pwd)
find_place "$dir"
reachable

case $verb in
start)	start ;;
stop)	stop ;;
remove)	stop; rm -rf "${place:?}" "${dir:?}" ;;
adm)	adm "$@" ;;
uidvalidity)	uidvalidity "$@" ;;
*)	usage ;;
esac
