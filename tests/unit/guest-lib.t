#!/bin/bash
# A guest test that cannot go on fails and ends by itself, with a plan given or not; the others run.
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
echo "1..$count"
