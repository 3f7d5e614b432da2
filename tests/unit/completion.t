#!/bin/bash
# The completion offers what the program itself says.
lifeboat=${BUILD:-build}/lifeboat
here=$(dirname "$0")
export LIFEBOAT_DATADIR=$here/../.. # wherever it was built
# shellcheck source=scripts/completion.bash
. "$here/../../scripts/completion.bash"

number=0 failed=0
offers() { # WANTED WORD…: the completion of the last word offers WANTED
	local wanted=$1
	shift
	COMP_WORDS=("$lifeboat" "$@") COMP_CWORD=$#
	_lifeboat
	number=$((number + 1))
	case " ${COMPREPLY[*]} " in
	*" $wanted "*) echo "ok $number - lifeboat $* offers $wanted" ;;
	*) echo "not ok $number - lifeboat $* offers $wanted"; echo "# offered: ${COMPREPLY[*]}"; failed=1 ;;
	esac
}

for command in build list why usb iso survey backup sets verify plan recover check enter boot drill; do
	offers "$command" ""
done
offers backup ba
offers --yes usb --
offers module list --by ""
offers --dry-run build --d
offers qemu boot ""
offers no-passwd drill ""
offers smb:// backup ""
offers ext2 build --format ""
offers xz build --compress ""
echo "1..$number"
exit $failed
