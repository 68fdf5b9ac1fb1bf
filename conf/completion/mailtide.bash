# Completion for bash: install as mailtide in bash-completion's folder, or source it.
# The words come from mailtide itself, so that they are those of its version and of your accounts.

_mailtide_words()
{
	local conf=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -c ]] && conf=(-c "${COMP_WORDS[i + 1]/#\~/$HOME}")
	done
	"${COMP_WORDS[0]/#\~/$HOME}" "${conf[@]}" --complete "$@" 2>/dev/null
}

# Offers the lines of standard input that begin with the word, what the shell would take escaped.
_mailtide_offer()
{
	local line word=${1//\\/}
	while IFS= read -r line; do
		[[ ${line//\\/} == "$word"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
	done
}

# The words of an action: its verb, how many words stand there, the word, the account.
_mailtide_action()
{
	case $1/$2 in
	append/4)
		compopt -o default 2>/dev/null
		;;
	*/3 | copy/5 | move/5 | rename/4)
		_mailtide_offer "$3" < <(_mailtide_words mailboxes "$4")
		;;
	flag/[5-9])
		_mailtide_offer "$3" < <(printf '%s\n' {+,-}'\'{Seen,Answered,Flagged,Deleted,Draft})
		;;
	append/[5-9])
		_mailtide_offer "$3" < <(printf '%s\n' '\'{Seen,Answered,Flagged,Draft})
		;;
	esac
}

# Of queue's subcommands drop and add ... delete take --force.
_mailtide_force()
{
	if [[ $command != queue || $1 == drop || $1/$2 == add/delete ]]; then
		cat
	else
		grep -vx -e --force
	fi
}

_mailtide()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= account= i words=()
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --profile) ((i++)) ;;
		-*) ;;
		*)
			if [[ -z $command ]]; then
				command=${COMP_WORDS[i]}
			else
				words+=("${COMP_WORDS[i]}")
			fi
			;;
		esac
	done
	# Of "queue add ACCOUNT" the account is the second word.
	[[ $command == queue ]] && i=1 || i=0
	account=${words[i]}
	case $prev in
	-c)
		compopt -o default 2>/dev/null
		return
		;;
	--profile)
		_mailtide_offer "$cur" < <(_mailtide_words profiles)
		return
		;;
	esac
	if [[ $cur == -* && ! ( $command == queue && ${words[2]} == flag && ${#words[@]} -ge 5 ) ]]; then
		_mailtide_offer "$cur" < <(_mailtide_words options $command | _mailtide_force "${words[0]}" "${words[2]}")
		return
	fi
	case $command in
	'' | help)
		_mailtide_offer "$cur" < <(_mailtide_words commands | cut -f1)
		;;
	sync)
		if [[ $cur == */* ]]; then
			_mailtide_offer "$cur" < <(_mailtide_words mailboxes "${cur%%/*}" |
				sed "s|^|${cur%%/*}/|")
		else
			_mailtide_offer "$cur" < <(_mailtide_words accounts)
		fi
		;;
	ls)
		if [[ -n $account ]]; then
			_mailtide_offer "$cur" < <(_mailtide_words mailboxes "$account")
		else
			_mailtide_offer "$cur" < <(_mailtide_words accounts)
		fi
		;;
	fetch)
		if [[ -z $account ]]; then
			_mailtide_offer "$cur" < <(_mailtide_words accounts)
		else
			_mailtide_offer "$cur" < <(_mailtide_words mailboxes "$account" | sed 's/$/:/')
		fi
		;;
	queue)
		case ${#words[@]} in
		0)
			_mailtide_offer "$cur" < <(printf '%s\n' add retry drop edit; _mailtide_words accounts)
			;;
		1)
			[[ ${words[0]} == @(add|retry|drop|edit) ]] && _mailtide_offer "$cur" < <(_mailtide_words accounts)
			;;
		2)
			[[ ${words[0]} == add ]] && _mailtide_offer "$cur" < <(_mailtide_words verbs)
			;;
		*)
			[[ ${words[0]} == add ]] || return
			_mailtide_action "${words[2]}" ${#words[@]} "$cur" "$account"
			;;
		esac
		;;
	status | check | probe)
		_mailtide_offer "$cur" < <(_mailtide_words accounts)
		;;
	esac
}

complete -F _mailtide mailtide
