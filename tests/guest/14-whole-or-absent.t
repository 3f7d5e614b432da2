#!/bin/bash
# A build that is killed, or finds no room, or cannot read a file, leaves what was there before or the whole of the new, one
# line that says why, and no rubbish that the next build does not take away.
# needs: root kernel setpriv
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_kernel
seed=${SEED:-$((SRANDOM % 32768))}
RANDOM=$seed
diag "SEED=$seed (SEED=N tests/guest/run 14 repeats the moments)"
mkdir out temporary
# A kernel cache of its own: the ulimit below must not meet an unpacking.
export SOURCE_DATE_EPOCH=1700000000 TMPDIR=$PWD/temporary XDG_CACHE_HOME=$PWD/cache
build() { "$LIFEBOAT" build -q -k "$KERNEL_DEB" "$@"; }

ok "a build" build -o whole || bail "nothing to compare with"
begun=$EPOCHREALTIME
build -o whole
length=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%d", (b - a) * 1000 }')

# The names in out/ are those of before, and each is the old file or the whole of the new one.
whole_or_old() {
	local file
	[ "$(echo out/* out/.[!.]*)" = "out/initrd.img out/tree.list out/vmlinuz out/.[!.]*" ] || {
		ls -lA out
		return 1
	}
	for file in initrd.img tree.list vmlinuz; do
		[ "$(head -c 4 "out/$file")" = "old " ] || cmp "out/$file" "whole/$file" || return 1
	done
}

# killed_builds SIGNAL COUNT: at moments spread over the length of a build.
killed_builds() {
	local signal=$1 count=$2 i pid ms ended=0
	for ((i = 0; i < count; i++)); do
		rm -rf out && mkdir out
		for file in initrd.img tree.list vmlinuz; do echo "old $file" >"out/$file"; done
		# started in the background it would ignore SIGINT
		env --default-signal=INT "$LIFEBOAT" build -q -k "$KERNEL_DEB" -o out 2>said &
		pid=$!
		ms=$((RANDOM % length))
		sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
		kill "-$signal" "$pid" 2>/dev/null
		wait "$pid"
		[ $? -lt 128 ] || ended=$((ended + 1))
		whole_or_old || {
			echo "killed after $ms ms"
			return 1
		}
		[ "$signal" = KILL ] || [ -z "$(ls -A temporary)" ] || {
			echo "after $ms ms: $(ls -A temporary)"
			return 1
		}
	done
	echo "$ended of $count were killed before they were done"
	[ "$ended" -gt $((count / 4)) ]
}
ok "killed by SIGKILL at any moment" killed_builds KILL 12
ok "the next build takes away what SIGKILL left" build -o out
is "… and nothing is left" "$(echo temporary/* out/* out/.[!.]*)" "temporary/* out/initrd.img out/tree.list out/vmlinuz out/.[!.]*"
ok "killed by SIGTERM: it takes its rubbish away itself" killed_builds TERM 8
ok "killed by SIGINT: likewise" killed_builds INT 8

# No room: known before the first byte where it cannot do, told when it happens otherwise.
mkdir small
mount -t tmpfs -o size=8m none small || bail "no small disk"
refuses "hopeless: it says so before it begins" 1 \
	'make the image in small: it needs [0-9.]* MiB and its folder has [0-9.]* MiB free' build -o small
mount -o "remount,size=$(($(stat -c %s whole/vmlinuz) + $(stat -c %s whole/initrd.img) - 65536))" small
refuses "the disk gets full in the middle" 1 'write small/[a-z.]*: No space left on device' build -o small
is "… and nothing is left there" "$(ls -A small)" ""
umount small
# shellcheck disable=SC2016 # the inner shell's own
refuses "a file may not grow any more" 1 'write [^ ]*initrd\.img: File too large' \
	sh -c 'ulimit -f 20000; exec "$@"' sh "$LIFEBOAT" build -q -k "$KERNEL_DEB" -o limited
is "… and nothing is left there" "$(ls -A limited)" ""

# A file of the site's overlay that the builder may not read.
mkdir -p user/overlay/etc user/data && chmod go+x . .. && chmod 777 user
echo text >user/overlay/etc/unreadable && chmod 000 user/overlay/etc/unreadable
cp -R "$TOP/overlay" "$TOP/profiles" user/data/ && cp "$LIFEBOAT" "$KERNEL_DEB" user/ && chmod -R go+rX user/data user/*.deb
printf '[image]\noverlay = %s/user/overlay\n' "$PWD" >user/recovery.conf
refuses "an unreadable file is named" 1 'user/overlay/etc/unreadable: Permission denied' \
	setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$PWD/user" TMPDIR="$PWD/user" \
	XDG_CACHE_HOME="$PWD/user/cache" LIFEBOAT_DATADIR="$PWD/user/data" user/lifeboat build -q \
	-c user/recovery.conf -k "$PWD/user/${KERNEL_DEB##*/}" -o "$PWD/user/out"
is "… and nothing is left" "$(ls -A user/out 2>/dev/null)$(cd user && ls -d lifeboat.* 2>/dev/null)" ""
finish_plan
