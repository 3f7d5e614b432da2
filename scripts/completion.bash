# bash completion for lifeboat. Commands and options come from the program's own --help, so that they
# are always those of the program that is installed.
_lifeboat()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]-}

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "--help --version $("$program" --help 2>/dev/null |
			sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')" -- "$word")
		return
	fi
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$program" "$command" --help 2>/dev/null |
			grep -oE '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,' | sort -u)" -- "$word")
		return
	fi
	case $before in
	-p | --profile)
		local profiles
		profiles=$(cd /usr/share/lifeboat/profiles 2>/dev/null && printf '%s\n' ./*.conf | sed 's/^\.\///; s/\.conf$//')
		mapfile -t COMPREPLY < <(compgen -W "$profiles" -- "$word")
		return
		;;
	--by)
		mapfile -t COMPREPLY < <(compgen -W "profile tool module" -- "$word")
		return
		;;
	--format)
		mapfile -t COMPREPLY < <(compgen -W "cpio cramfs ext2" -- "$word")
		return
		;;
	--compress)
		mapfile -t COMPREPLY < <(compgen -W "zstd xz gzip lz4 none" -- "$word")
		return
		;;
	esac
	case $command in
	drill)
		mapfile -t COMPREPLY < <(compgen -W "all $("$program" drill --list 2>/dev/null | cut -d ' ' -f 1)" -- "$word")
		return
		;;
	boot) [ "$COMP_CWORD" -eq 2 ] && mapfile -t COMPREPLY < <(compgen -W "qemu uml" -- "$word") && return ;;
	backup | sets | verify | plan | recover | mount)
		mapfile -t COMPREPLY < <(compgen -W "smb:// nfs:// file:///" -- "$word")
		;;
	esac
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
}
complete -o filenames -F _lifeboat lifeboat
