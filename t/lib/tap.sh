# TAP for shell tests, with what they need around it. POSIX sh.
#
#	. "$(dirname "$0")/../lib/tap.sh"
#	serve port "$lib/imapdown.py" --drop QRESYNC 143
#	ok "sync succeeds" "$mailtide" -c "$work/conf" sync
#	is "$(cat "$work/n")" 3 "three messages"
#	done_testing
#
# Sets $top (the tree), $lib (t/lib), $bin (build/t/lib), $mailtide and $work, a fresh folder in the
# build tree that goes away when all was well. What serve and later started is ended at exit.

top=$(cd "$(dirname "$0")/../.." && pwd)
lib=$top/t/lib
bin=$top/build/t/lib
mailtide=$top/build/mailtide
tap_run=0
tap_failed=0
tap_done=
tap_cleanup=

mkdir -p "$top/build/t/tmp"
work=$(mktemp -d "$top/build/t/tmp/$(basename "$0").XXXXXX") || exit 1
chmod 755 "$work"	# Dovecot runs as another user where the tests run as root

tap_exit() {
	status=$?
	trap - EXIT HUP INT TERM
	eval "$tap_cleanup"
	if [ -z "$tap_done" ] || [ $tap_failed -gt 0 ]; then
		diag "what is left: $work"
		[ $status -gt 0 ] || status=1
	else
		rm -rf "$work"
	fi
	exit $status
}
trap tap_exit EXIT
trap 'exit 129' HUP INT TERM

# later COMMAND: run at exit, the last one first
later() {
	tap_cleanup="$1; $tap_cleanup"
}

diag() {
	printf '%s\n' "$*" | sed 's/^/# /' >&2
}

tap_result() {	# STATUS NAME
	tap_run=$((tap_run + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_run - $2"
		return 0
	fi
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_run - $2"
	diag "failed: $2"
	return 1
}

pass() {
	tap_result 0 "$1"
}

fail() {
	tap_result 1 "$1"
}

# ok NAME COMMAND...: the command succeeds; what it said is shown if not
ok() {
	tap_name=$1
	shift
	if "$@" >"$work/.said" 2>&1; then
		tap_result 0 "$tap_name"
	else
		tap_status=$?
		tap_result 1 "$tap_name"
		diag "status $tap_status: $*"
		diag "$(tail -n 30 "$work/.said")"
		return 1
	fi
}

# exits STATUS NAME COMMAND...
exits() {
	tap_want=$1 tap_name=$2
	shift 2
	"$@" >"$work/.said" 2>&1
	tap_got=$?
	[ $tap_got = "$tap_want" ] && { tap_result 0 "$tap_name"; return; }
	tap_result 1 "$tap_name"
	diag "status $tap_got, not $tap_want: $*"
	diag "$(tail -n 30 "$work/.said")"
	return 1
}

# is GOT WANT NAME
is() {
	[ "$1" = "$2" ] && { tap_result 0 "$3"; return; }
	tap_result 1 "$3"
	diag " got: $1"
	diag "want: $2"
	return 1
}

# like TEXT REGEX NAME (an extended regular expression, on any line)
like() {
	printf '%s\n' "$1" | grep -Eq -- "$2" && { tap_result 0 "$3"; return; }
	tap_result 1 "$3"
	diag " got: $1"
	diag "want: /$2/"
	return 1
}

# unlike TEXT REGEX NAME
unlike() {
	printf '%s\n' "$1" | grep -Eq -- "$2" || { tap_result 0 "$3"; return; }
	tap_result 1 "$3"
	diag "got: $1"
	diag "but: /$2/"
	return 1
}

skip_all() {
	echo "1..0 # SKIP $1"
	tap_done=1
	exit 0
}

bail_out() {
	echo "Bail out! $1"
	exit 1
}

done_testing() {
	echo "1..$tap_run"
	tap_done=1
	[ $tap_failed = 0 ] || exit 1
	exit 0
}

# serve VARIABLE COMMAND...: starts a helper that prints its port. VARIABLE gets the port,
# VARIABLE_pid its pid; its stderr goes to $work/VARIABLE.err
serve() {
	tap_var=$1
	shift
	: >"$work/$tap_var.out"
	"$@" >"$work/$tap_var.out" 2>"$work/$tap_var.err" &
	eval "${tap_var}_pid=$!"
	later "kill $! 2>/dev/null"
	tap_tries=0
	while [ ! -s "$work/$tap_var.out" ]; do
		tap_tries=$((tap_tries + 1))
		if [ $tap_tries -gt 500 ] || ! kill -0 $! 2>/dev/null; then
			diag "$(cat "$work/$tap_var.err")"
			bail_out "$1 did not start"
		fi
		sleep 0.02
	done
	read -r "${tap_var?}" <"$work/$tap_var.out"
}

# dovecot [OPTION=VALUE...]: a private Dovecot for this test; sets $dovecot (its folder) and $port
dovecot() {
	dovecot=$work/dovecot
	port=$("$lib/dovecot.sh" start "$dovecot" "$@") || bail_out 'Dovecot did not start'
	later "'$lib/dovecot.sh' remove '$dovecot'"
}
