#!/bin/sh
# The command line without a network: wrong use, configurations, help, exit statuses, and whether
# the man pages tell all of it.
. "$(dirname "$0")/../lib/tap.sh"

[ -x "$mailtide" ] || bail_out 'mailtide is not built'

HOME=$work/home
XDG_CONFIG_HOME=$work/home/config
XDG_STATE_HOME=$work/home/state
export HOME XDG_CONFIG_HOME XDG_STATE_HOME
unset CREDENTIALS_DIRECTORY
mkdir -p "$HOME"

conf=$work/conf
cat >"$conf" <<END
account "work" {
    host = "127.0.0.1"
    port = 1
    tls = "none"
    user = "ana"
    password-command = "echo pass"
    maildir = "$work/mail/work"
    profile "train" {
        bodies = "none"
    }
}
account "home" {
    host = "127.0.0.1"
    port = 1
    tls = "none"
    user = "ana"
    maildir = "$work/mail/home"
}
END

mt() {
	"$mailtide" -c "$conf" "$@"
}

# Without a terminal to ask on.
alone() {
	setsid -w "$mailtide" -c "$conf" "$@" </dev/null
}

# said STATUS ERROR-REGEX NAME COMMAND...: that status, one line on standard error that matches,
# nothing on standard output
said() {
	said_status=$1 said_like=$2 said_name=$3
	shift 3
	"$@" >"$work/out" 2>"$work/err"
	said_got=$?
	is "$said_got:$(wc -l <"$work/err"):$(wc -c <"$work/out")" "$said_status:1:0" \
		"$said_name: status $said_status and one line"
	like "$(cat "$work/err")" "^mailtide: $said_like$" "$said_name: the line"
}

# Wrong use

said 64 'no command; "mailtide help" lists them' 'no command' mt
said 64 'unknown command "snyc"; did you mean "sync"\?' 'a command mistyped' mt snyc
said 64 'unknown command "frobnicate"; "mailtide help" lists them' 'an unknown command' mt frobnicate
said 64 '"watch" is not part of this version' watch mt watch work
said 64 'fetch needs more: mailtide fetch ACCOUNT .*' 'fetch without an account' mt fetch
said 64 'work: never synced yet, .*' 'fetch before the first sync' mt fetch work m1
said 64 'unknown option "-x"; .*' 'a letter where a flag may not stand' mt queue add work move -x
said 64 'unknown option "--dryrun"; did you mean "--dry-run"\?' 'an option mistyped' mt sync --dryrun
said 64 'unknown option "--jsn"; did you mean "--json"\?' 'a global option mistyped' mt --jsn sync
said 64 'unknown option "--frobnicate"; see "mailtide help ls"' 'an unknown option' mt ls --frobnicate
said 64 'unknown option "--pull"; see "mailtide help status"' "another command's option" mt status --pull
said 64 'unknown option "-x"; see "mailtide help"' 'an unknown letter' mt -x
said 64 '-c needs a value: -c FILE' '-c without a file' mt -c
said 64 '--profile needs a value: --profile NAME' '--profile without a name' mt sync --profile
said 64 '--dry-run takes no value' 'a value too much' mt sync --dry-run=yes
said 64 'ls needs more: mailtide ls ACCOUNT \[MAILBOX\]' 'a word missing' mt ls
said 64 'ls: "c" is too much; see "mailtide help ls"' 'a word too much' mt ls a b c
said 64 'the configuration has no account "wrok"; did you mean "work"\?' 'an account mistyped' mt sync wrok
said 64 'the configuration has no account "nobody"' 'an unknown account' mt status nobody
said 64 '"work/" names no mailbox; "work" is the whole account' 'an empty mailbox' mt sync work/
said 64 'no account has a profile "plane"' 'a profile of nobody' mt sync --profile plane
said 64 'home: there is no profile "train" in this account' 'a profile of another' mt sync --profile train home
said 64 'there is no command "chek"; did you mean "check"\?' 'help for a mistyped command' mt help chek

# The configuration

said 78 'there is no configuration ".*/home/config/mailtide/mailtide\.conf";.*mailtide\.conf\(5\)\)' \
	'no configuration' "$mailtide" status
printf 'account "work" {\n\thots = "x"\n}\n' >"$work/bad"
said 78 '.*/bad:2: unknown key "hots"; did you mean "host"\?' 'an unknown key' "$mailtide" -c "$work/bad" sync
said 78 '.*/bad:2: unknown key .*' 'the same behind the command' "$mailtide" sync -c "$work/bad"
said 78 '.*/bad:2: unknown key .*' 'the same without a blank' "$mailtide" sync "-c$work/bad"
mkdir -p "$XDG_CONFIG_HOME/mailtide"
cp "$conf" "$XDG_CONFIG_HOME/mailtide/mailtide.conf"
exits 0 'the usual place' "$mailtide" status
rm "$XDG_CONFIG_HOME/mailtide/mailtide.conf"

# Without a network

is "$(mt status)" 'work: never synced
home: never synced' 'status before the first sync'
is "$(mt --json status work)" '{"type":"account","account":"work","synced":null,"status":null,"actions":{"waiting":0,"sending":0,"failed":0,"held":0,"unknown":0,"local":0,"new":0},"stuck":[]}' \
	'status as JSON'
is "$(mt status --json work)" "$(mt --json status work)" 'a global option behind the command'
said 1 'work: never synced yet; "mailtide sync work" does it' 'ls before the first sync' mt ls work
is "$(mt check work)" 'work: never synced, nothing to check' 'check before the first sync'
ok 'these have made nothing' test ! -e "$XDG_STATE_HOME" -a ! -e "$work/mail"
said 75 'work: cannot connect to "127\.0\.0\.1" port 1: Connection refused' 'no server' mt sync work
said 75 'work: cannot connect .*' 'no server, quietly' mt -q sync work
said 75 'work: cannot connect .*' 'no server to probe' mt probe work
said 78 'home: no password in the configuration, and no terminal .*' 'nobody to ask' alone sync home
said 78 'home: no password .*' 'nobody to ask, of all accounts' alone sync
for options in --push --pull '--push --pull'; do
	# shellcheck disable=SC2086
	said 75 'work: cannot connect .*' "$options" mt sync $options work
done
is "$(mt --json sync work 2>/dev/null | sed 's/"seconds":[0-9.e-]*/"seconds":0/')" \
	'{"type":"note","kind":"failure","account":"work","mailbox":null,"text":"cannot connect to \"127.0.0.1\" port 1: Connection refused"}
{"type":"done","account":"work","status":75,"octets":0,"seconds":0}' 'a failure as JSON'
said 64 'work: no mailbox "x%09y%0A\." is known; .*' 'control characters are shown' mt ls work "$(printf 'x\ty\n.')"
# shellcheck disable=SC2016
[ -w /dev/full ] && exits 75 'a full disk' sh -c '"$0" help >/dev/full' "$mailtide"

# Help and version

version=$(mt version)
like "$version" '^mailtide [0-9]+\.[0-9]+\.[0-9]+$' 'version'
is "$(mt --version)" "$version" '--version'
like "$(mt -v version)" '^liblmdb' 'version -v names the libraries'
like "$(mt --json version)" '^\{"type":"version","version":"[0-9.]+"\}$' 'version as JSON'
is "$(mt sync --help)" "$(mt help sync)" '--help behind a command'
is "$(mt -h)" "$(mt help)" '-h'
is "$("$mailtide" help)" "$(mt help)" 'help needs no configuration'
is "$(mt --complete accounts)" 'work
home' 'completion: accounts'
is "$(mt --complete profiles)" train 'completion: profiles'
is "$("$mailtide" -c "$work/bad" --complete accounts 2>&1)" '' 'completion never complains'

# The man pages

mt --complete commands | cut -f1 >"$work/commands"
ok 'help lists sync' grep -qx sync "$work/commands"
while read -r command; do
	like "$(mt help)" "^  $command  " "help lists $command"
	exits 0 "help $command" mt help "$command"
	ok "mailtide(1) has $command" grep -Eq "^\.(It |It Xo$|)Cm $command( |$)|^\.Cm $command$" "$top/man/mailtide.1"
	for option in $(mt --complete options "$command"); do
		like "$(mt help; mt help "$command")" "^  $option( |$)" "help $command has $option"
		ok "mailtide(1) has $option of $command" grep -Eq "(Fl|,) -?${option#-}( |$)" "$top/man/mailtide.1"
	done
done <"$work/commands"
for status in 0 1 64 75 77 78; do
	ok "mailtide(1) has exit status $status" grep -qx "\.It $status" "$top/man/mailtide.1"
done
if command -v mandoc >/dev/null; then
	for page in "$top"/man/*; do
		mandoc -Tlint -W warning "$page" >"$work/lint" 2>&1
		is "$(cat "$work/lint")" '' "mandoc: $(basename "$page")"
	done
else
	diag 'no mandoc: the man pages are not checked'
fi
ok 'the completion for bash is bash' bash -n "$top/conf/completion/mailtide.bash"

completes()
{
	# shellcheck disable=SC2016
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailtide; echo "${COMPREPLY[*]}"' \
		bash "$top/conf/completion/mailtide.bash" "$mailtide" "$@"
}
is "$(completes queue drop work --f)" --force 'completion: queue drop has --force'
is "$(completes queue add work delete Old --f)" --force 'completion: so has delete'
is "$(completes queue retry work --f)" '' 'completion: retry has not'
is "$(completes queue add work create --f)" '' 'completion: nor has create'
is "$(completes fetch work --f)" --flagged 'completion: other commands have their own'

done_testing
