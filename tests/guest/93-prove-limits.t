#!/bin/bash
# `lifeboat prove` before and beside the proof: what it needs is looked at first, and nothing of it remains, whenever it is killed.
# needs: root uml qemu kernel dump mke2fs debugfs sfdisk mmdebstrap jq slirp-fullbolt
# limit: 1200
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

prove_needs bios

# refused NAME PATTERN [ENVIRONMENT…] -- OPTION…: it fails at once, says so, and neither a guest was started nor a proof written.
refused() {
	local name=$1 pattern=$2 with=()
	shift 2
	while [ "$1" != -- ]; do with+=("$1"); shift; done
	shift
	refuses "$name" 1 "$pattern" env "${with[@]}" "$LIFEBOAT" prove --accel tcg --output refused --medium "$STICK" "$@" "file://$SET"
	ok "$name: before anything is tried" test ! -e refused/proof.json -a ! -e refused/rescue.log
}
mkdir small
mount -t tmpfs -o size=8M tmpfs small || bail "no small file system"
refused "too little room is refused" "the proof needs about .* in .*small/.*, which has .*: TMPDIR names another folder" TMPDIR="$SCRATCH/small" -- --memory 1024
ok "nothing remains there" test -z "$(ls small)"
umount small
refused "too little memory, too" "needs 976.*GiB of memory, and .* are available" -- --memory 1000000
refused "a disk that the machine cannot lack" "--map ubda=none: the machine cannot do without it" -- --map ubda=none --memory 1024
refuses "another disk's place is a blank one's" 2 "bad --map 'ubda=sdb'; expected OLD=none" "$LIFEBOAT" prove --map ubda=sdb "file://$SET"

# left: prints what a proof has left: guests, folders, mounts.
left() {
	pgrep -af "qemu-system.*$TMPDIR" || true
	find "$TMPDIR" -mindepth 1 -maxdepth 1 -name 'lifeboat*'
	grep "$TMPDIR" /proc/mounts || true
}
# killed_when PATTERN: kills a proof once it has said that, and waits for what clears up behind it.
killed_when() {
	rm -f killed.said # what the one before said is not this one's
	"$LIFEBOAT" prove --accel tcg --memory 1024 --output killed --medium "$STICK" "file://$SET" >killed.out 2>killed.said &
	local proof=$! tries=$((1200 * LIMIT_FACTOR))
	until grep -q "$1" killed.said || [ $((tries -= 1)) -eq 0 ]; do sleep 0.1; done
	grep -q "$1" killed.said || { cat killed.said; return 1; }
	sleep 0.5
	kill -KILL "$proof" && ! wait "$proof" || return 1
	for ((tries = 0; tries < 100 * LIMIT_FACTOR; tries++)); do
		[ -n "$(left)" ] || return 0
		sleep 0.1
	done
	left
	return 1
}
for moment in "reading the medium" copying "starting the medium" ${MATRIX:+recovering "starting the recovered machine"}; do
	ok "killed at '$moment', nothing of it remains" killed_when "$moment"
done
finish_plan
