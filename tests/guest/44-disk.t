#!/bin/bash
# A disk by its UUID: mounted where only the backup sees it, also when it is mounted elsewhere; a backup that is killed leaves no
# mount; a disk that is full is one line and no half of a set.
# needs: root uml loop mke2fs mkfs.vfat
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

[ -x "$BUILD/tests/tools/set-tool" ] || bail "no set-tool: run make check-guests"
mkdir results tree
for i in 1 2 3 4; do head -c 8M /dev/urandom >tree/file$i; done
truncate -s 100M from.img
truncate -s 250M to.img
mke2fs -q -t ext4 -d tree from.img || bail "no ext4"
mke2fs -q -t ext4 -U 11111111-2222-3333-4444-555555555555 to.img || bail "no ext4"
cp to.img twin.img
truncate -s 16M small.img
mke2fs -q -t ext4 -U 22222222-2222-3333-4444-555555555555 small.img || bail "no ext4"
truncate -s 100M fat.img
mkfs.vfat -i 1234abcd fat.img >/dev/null || bail "no FAT"

cat >guest.sh <<-'EOF'
	lifeboat=$BUILD/lifeboat tool=$BUILD/tests/tools/set-tool
	disk=disk://11111111-2222-3333-4444-555555555555
	try() {
		local name=$1
		shift
		"$@" >results/$name.out 2>results/$name.err
		echo $? >results/$name.status
	}
	mkdir /run/from /run/to /run/seen
	mount -o ro /dev/ubda /run/from
	try save $tool save $disk/my/sets - box root archive /run/from 1M
	try sets $lifeboat sets $disk/my/sets
	try verify $lifeboat verify $disk/my/sets
	try restore $tool restore $disk/my/sets - box root archive /run/to
	(cd /run/to && sha256sum file*) >results/sums
	rm -r /run/to/*
	grep -c ubdb /proc/mounts >results/mounts

	# Mounted elsewhere, for writing.
	mount /dev/ubdb /run/seen
	try verify-mounted $lifeboat verify $disk/my/sets
	try save-mounted $tool save $disk/my/sets - box root archive /run/from 1M
	umount /run/seen

	# Killed in the middle. Another disk that is unmounted meanwhile is free.
	mount --make-rshared /
	mount /dev/ubdc /run/seen
	$tool save $disk/my/sets - box root archive /run/from 1M >/dev/null 2>&1 &
	busy=$!
	# in short bursts, so that it is not over before that is seen
	while sleep 0.01 && kill -STOP $busy 2>/dev/null; do
		ls -l /proc/$busy/fd 2>/dev/null | grep -q partial && break
		kill -CONT $busy
	done
	ls -l /proc/$busy/fd 2>/dev/null | grep -c partial >results/killed-at
	grep -c ubdc /proc/$busy/mounts >results/killed-other
	umount /run/seen
	grep -c ubdc /proc/$busy/mounts >>results/killed-other
	kill -KILL $busy
	wait $busy
	grep -c -e ubdb -e /run/lifeboat /proc/mounts >results/killed-mounts
	try killed-free mount -o ro /dev/ubdb /run/seen
	umount /run/seen
	try killed-sets $lifeboat sets $disk/my/sets
	try killed-again $tool save $disk/my/sets - box root archive /run/from 1M
	try killed-clean $lifeboat sets $disk/my/sets

	try unknown $lifeboat sets disk://99999999-2222-3333-4444-555555555555
	try no-folder $lifeboat sets $disk/nothing
	try fat-save $tool save disk://1234-ABCD/sets - box root archive /run/from 1M
	try fat-verify $lifeboat verify disk://1234-ABCD/sets

	# Full: one line, and nothing is left.
	small=disk://22222222-2222-3333-4444-555555555555
	try full $tool save $small - box root archive /run/from 1M
	try full-sets $lifeboat sets --json $small
EOF
cat >twin.sh <<-'EOF'
	$BUILD/lifeboat sets disk://11111111-2222-3333-4444-555555555555 >results/twin.out 2>results/twin.err
	echo $? >results/twin.status
EOF
uml_run "$PWD/guest.sh" ubda=from.img ubdb=to.img ubdc=small.img ubdd=fat.img || bail "the guest did not come to its end: $(tail -n 20 uml.log)"
uml_run "$PWD/twin.sh" ubda=to.img ubdb=twin.img || bail "the guest did not come to its end: $(tail -n 20 uml.log)"

# said NAME STATUS PATTERN: exit status, and one line that matches (on stdout when it succeeded).
said() {
	local stream=err text
	[ "$2" != 0 ] || stream=out
	text=$(cat "results/$1.$stream")
	if [ "$(cat "results/$1.status")" = "$2" ] && grep -Eq -- "$3" <<<"$text" && [ "$(wc -l <<<"$text")" -eq 1 ]; then
		result 0 "$1: $(tail -c 100 <<<"$text")"
	else
		result 1 "$1" || diag "status $(cat "results/$1.status"), expected $2 and: $3
$(cat "results/$1".{out,err})"
	fi
}
said save 0 '^box/'
said sets 0 '^box .* level 0$'
said verify 0 'every byte is what was written'
said restore 0 '^$'
is "what was restored is equal" "$(cat results/sums)" "$(cd tree && sha256sum file*)"
is "no mount is seen from outside" "$(cat results/mounts)" 0
said verify-mounted 0 'every byte is what was written'
said save-mounted 0 '^box/'
isnt_zero() { [ "$(cat results/killed-at)" -gt 0 ]; }
ok "it was killed in the middle" isnt_zero
is "what is unmounted while it runs is so for it, too" "$(cat results/killed-other)" $'1\n0'
is "a killed backup leaves no mount" "$(cat results/killed-mounts)" 0
said killed-free 0 '^$'
like "its remains are shown" "$(cat results/killed-sets.out)" 'partial .* not complete'
said killed-again 0 '^box/'
is "the next one removes them" "$(grep -c partial results/killed-clean.out)" 0
said unknown 1 '^lifeboat: open disk://99999999-2222-3333-4444-555555555555: no disk here has this UUID$'
said no-folder 1 '^lifeboat: open disk://.*/nothing: No such file or directory$'
said fat-save 0 '^box/'
said fat-verify 0 'every byte is what was written'
said full 1 '^lifeboat: write disk://22222222.*\.partial/.*: No space left on device$'
said full-sets 0 '^\[\]$'
said twin 1 '^lifeboat: open disk://11111111.*: /dev/ubd[ab] and /dev/ubd[ab] both have this UUID$'
finish_plan
