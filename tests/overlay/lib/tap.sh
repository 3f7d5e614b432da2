# shellcheck shell=dash disable=SC2034
# TAP and a fake system for tests of the overlay. A test is run by busybox sh, sources this, loads
# the libraries it tests, and ends with `plan`.
#
# $ROOT is a scratch folder with the usual folders. $MOCK is `mock`, which notes the command in
# $ROOT/commands and returns 0, unless the test defines fake_NAME (dashes as underscores), which then
# decides.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
overlay=$(cd "$(dirname "$0")/../../overlay" && pwd)
ROOT=$(mktemp -d "${TMPDIR:-/tmp}/overlay.XXXXXX") || exit 1
MOCK=mock
trap 'rm -rf "$ROOT"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$ROOT/proc/self" "$ROOT/sys/class/net" "$ROOT/sys/class/tty/console" "$ROOT/sys/block" \
	"$ROOT/sys/devices" "$ROOT/dev" "$ROOT/run/lifeboat" "$ROOT/etc/lifeboat" "$ROOT/etc/rescue.d" \
	"$ROOT/root" "$ROOT/mnt"
: >"$ROOT/proc/mounts"
: >"$ROOT/proc/cmdline"

# load NAME…: the libraries of the overlay.
load() {
	for library; do
		# shellcheck source=/dev/null
		. "$overlay/lib/$library.sh"
	done
}

mock() {
	echo "$*" >>"$ROOT/commands"
	fake=fake_$(echo "${1##*/}" | tr - _)
	! type "$fake" >/dev/null 2>&1 || {
		shift
		"$fake" "$@"
	}
}

# commands: prints what was mocked since the last call, with the scratch folder's name taken out.
commands() {
	[ -e "$ROOT/commands" ] || return 0
	sed "s|$ROOT||g" "$ROOT/commands"
	rm "$ROOT/commands"
}

tap_count=0

# is NAME GOT WANTED: one test line; both are shown when they differ.
is() {
	tap_count=$((tap_count + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $tap_count - $1"
	else
		echo "not ok $tap_count - $1"
		printf '%s\n' "got:" "$2" "wanted:" "$3" | sed 's/^/# /'
	fi
}

# yes NAME COMMAND…, no NAME COMMAND…: does it return 0; does it not.
yes() {
	tap_name=$1
	shift
	"$@" >/dev/null 2>&1
	is "$tap_name" "$?" 0
}
no() {
	tap_name=$1
	shift
	! "$@" >/dev/null 2>&1
	is "$tap_name" "$?" 0
}

# link NAME MAC CARRIER: an Ethernet interface of the fake system; CARRIER is 1, 0 or down.
link() {
	mkdir -p "$ROOT/sys/class/net/$1"
	echo 1 >"$ROOT/sys/class/net/$1/type"
	echo "$2" >"$ROOT/sys/class/net/$1/address"
	[ "$3" = down ] || echo "$3" >"$ROOT/sys/class/net/$1/carrier"
}

# device BUS/NAME ALIAS: a device of the fake system.
device() {
	mkdir -p "$ROOT/sys/bus/${1%/*}/devices/${1##*/}"
	echo "$2" >"$ROOT/sys/bus/${1%/*}/devices/${1##*/}/modalias"
}

plan() {
	echo "1..$tap_count"
}
