#!/bin/bash
# What guest tests share: a test that cannot go on fails and ends by itself, with a plan given or not, and the
# others run; what a guest says last is seen.
set -u
lib=$(cd "$(dirname "$0")/../guest/lib" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

for name in 1-planned 2-not-planned 3-other; do
	{
		echo ". '$lib/guest.sh'"
		case $name in
		1*) printf '%s\n' 'plan 3' 'bail "the floor is gone"' ;;
		2*) printf '%s\n' 'bail "the floor is gone"' ;;
		3*) printf '%s\n' 'plan 1' 'result 0 "runs all the same"' ;;
		esac
	} >"$work/$name.t"
done

count=0
check() { # NAME COMMAND…
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then echo "ok $count - $name"; else echo "not ok $count - $name"; fi
}
BUILD=none SCRATCH="$work" prove -v --exec bash "$work" >"$work/out" 2>&1
check 'the run fails' [ $? -ne 0 ]
check 'both that cannot go on say why' \
	[ "$(grep -cx 'not ok 1 - cannot go on: the floor is gone' "$work/out")" = 2 ]
check 'the third runs' grep -q '^ok 1 - runs all the same' "$work/out"
check 'the one without a plan gives one' [ "$(grep -c 'No plan found' "$work/out")" = 0 ]

# The guest says its last line and ends between two looks of console_wait at what it said.
cat >"$work/last-words" <<'END'
. "$1/guest.sh"
guest() {
	until [ -e looked ]; do sleep 0.01; done
	echo "$1"
}
tail() {
	command tail "$@"
	touch looked
	while kill -0 "$CONSOLE_PID" 2>/dev/null; do sleep 0.01; done
}
console_open guest "$2"
console_wait READY 20 && console_close 20
END
# last_words TEXT: true when READY is seen in what a guest says last.
last_words() {
	rm -f "$work/looked"
	(cd "$work" && BUILD=none SCRATCH="$work" timeout 60 bash last-words "$lib" "$1" >/dev/null 2>&1)
}
check 'what a guest says before it ends is seen' last_words READY
check 'what it does not say is not' [ "$(last_words 'not yet'; echo $?)" = 1 ]
echo "1..$count"
