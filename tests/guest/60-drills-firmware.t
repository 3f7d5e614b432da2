#!/bin/bash
# `lifeboat drill` on the machine that has firmware, a boot loader and an initramfs of its own: what breaks before any
# system runs is seen on its console, and cured with the machine's own tools from within.
# needs: root qemu qemu-img mmdebstrap sfdisk mke2fs mkfs.vfat ovmf jq
# limit: 2400
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

# As in 60-drills.t: the machine serves a fortnight.
export XDG_CACHE_HOME=${LIFEBOAT_CACHE:-/var/cache/lifeboat} LIFEBOAT_DATADIR=$TOP
mkdir -p "$XDG_CACHE_HOME/lifeboat/drills"

drills=broken-boot-loader
[ "${MATRIX:-}" != all ] || drills=$("$LIFEBOAT" drill --list --json | jq -r '.[] | select(.machine == "grub").drill')
plan $((2 + $(wc -w <<<"$drills")))
for drill in $drills; do
	ok "$drill: broken, cured, and the cure proven" "$LIFEBOAT" drill --log logs "$drill"
done
# between any two characters the firmware may say where they are
like "what the firmware starts is seen on the console" "$(sed 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r//g' logs/broken-boot-loader-broken.log)" 'grub rescue>'
is "nothing remains" "$(find "$TMPDIR" -maxdepth 1 -name 'lifeboat*')" ""
