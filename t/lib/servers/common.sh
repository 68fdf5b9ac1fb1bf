# What the servers beside this file share. Sourced, after "here" is set.

top=$(cd "$here/../../.." && pwd)
pkg=$top/build/servers/pkg	# filled by "t/deps servers"
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

usage() {
	sed -n '2,/^set/s/^#//p' "$0" >&2
	exit 64
}

# found FILE: the server has been fetched
found() {
	[ -e "$1" ] || die 'not here; "t/deps servers" fetches it'
}

# What a mount namespace and foreign users need.
as_root() {
	[ "$(id -u)" = 0 ] || die 'runs as root only (it needs a mount namespace and users of its own)'
}

# option_of 'NAMES' NAME=VALUE: sets it
option_of() {
	case " $1 " in
	*" ${2%%=*} "*)	eval "${2%%=*}=\${2#*=}" ;;
	*)		echo "$(basename "$0"): no option '$2'" >&2; exit 64 ;;
	esac
}

# free_ports N: below the range that the kernel gives to outgoing connections
free_ports() {
	python3 - "$1" <<'END_PY'
import random, socket, sys
found = []
while len(found) < int(sys.argv[1]):
	port = random.randrange(15000, 32000)
	try:
		with socket.socket() as s:
			s.bind(("127.0.0.1", port))
		if port not in found:
			found.append(port)
	except OSError:
		pass
print(*found)
END_PY
}

# greeted PORT: waits for a server's first line
greeted() {
	python3 - "$1" <<'END_PY'
import socket, sys, time
for _ in range(500):
	try:
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=2) as s:
			if s.recv(100):
				sys.exit(0)
	except OSError:
		pass
	time.sleep(0.02)
sys.exit(1)
END_PY
}

# Other users must reach DIR, and a UNIX socket's path is short. Where either fails (a tree below
# /root, a deep tree), all lives in the system's folder for temporary files. find_place DIR: $place
find_place() {
	if [ -e "$1/place" ]; then
		place=$(cat "$1/place")
	elif [ ${#1} -gt 60 ] || { [ "$(id -u)" = 0 ] &&
	    ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$1"; }; then
		place=$(mktemp -d "${TMPDIR:-/tmp}/mailtide.XXXXXX")
		chmod 755 "$place"
		echo "$place" >"$1/place"
	else
		place=$1
	fi
}

# A dead process whose parent has not looked yet is dead enough.
runs() {
	state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [ "$state" != Z ] && [ -n "$state" ]
}

# end PID...: at once, and waits until they are gone
end() {
	kill -KILL "$@" 2>/dev/null || :
	for pid; do
		n=0
		while runs "$pid" && [ $n -lt 200 ]; do
			sleep 0.01
			n=$((n + 1))
		done
	done
}

# named WORD: the pids whose command line holds it. WORD is a path of this one server, so that they
# can be nobody else's.
named() {
	for f in /proc/[0-9]*/cmdline; do
		tr '\0' ' ' 2>/dev/null <"$f" | grep -qF -- "$1" && echo "$f" | tr -dc '0-9\n'
	done
	:
}

# The daemons log to syslog only, and there may be none: with this they write to $place/log.
log_to_file() {
	: >"$place/log"
	chmod 666 "$place/log"
	syslog=$place/syslog.so
	[ -e "$syslog" ] || syslog=$top/build/servers/syslog.so
	export SYSLOG_FILE="$place/log" LD_PRELOAD="$syslog"
}
