#!/bin/bash
# `lifeboat drill` on this machine: recovered from its last set once, broken and cured on copies, and kept as it was.
# needs: root uml qemu qemu-img kernel dump mke2fs debugfs sfdisk mmdebstrap jq
# limit: 2400
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"
need_kernel
plan 9

# The set: the drills' machine with a boot loader, whose kernel says nothing on the serial line. User-Mode Linux reads its
# disk, so what only the running machine knows of itself is put into machine.conf afterwards.
disk=$(prove_machine) || bail "no machine"
cp --sparse=always "$disk" machine.img || bail "no machine"
mkdir made
cat >make-set <<END
	export TMPDIR=/run
	modprobe -q -a vfat nls_cp437 nls_ascii
	mkdir -p /run/old && mount /dev/ubda3 /run/old || exit 1
	find /run/old/usr/lib/modules -name '*.ko' | grep -v -e /fs/ -e /block/ -e /virtio -e /crypto/ -e crc | xargs rm
	rm -r /run/old/usr/share/zoneinfo
	sed -i 's/ *console=ttyS0,115200//' /run/old/etc/default/grub /run/old/boot/grub/grub.cfg
	mount -o remount,ro /run/old && mount -o ro /dev/ubda2 /run/old/boot/efi || exit 1
	: >/run/recovery.conf
	'$LIFEBOAT' backup -q -c /run/recovery.conf "file://$SCRATCH/made"
END
uml_run make-set ubda="$SCRATCH/machine.img" || bail "no set: $(tail -n 20 uml.log)"
rm machine.img
# shellcheck disable=SC2016 # sed's own $
spoil_conf made 's|^mountpoint = /run/old$|mountpoint = /|; s|^mountpoint = /run/old/boot|mountpoint = /boot|
	s|^path = /dev/ubda|&\nbus = virtio|; $a\\n[boot]\nloader = grub\ntarget = i386-pc\ndisk = ubda'
set_sum=$(cat made/*/*/* | sha256sum)

printf '[image]\nkernel = %s\n[backup]\ntarget = file://%s\n' "$KERNEL_DEB" "$SCRATCH/made" >recovery.conf
export XDG_CACHE_HOME=$SCRATCH/cache LIFEBOAT_DATADIR=$TOP
ok "the machine comes from its set, is broken, cured, and the cure proven" sh -c \
	"'$LIFEBOAT' drill -c recovery.conf --log logs --json this-fstab-typo this-forgotten-password >both.json 2>said || { cat said; false; }"
is "both drills passed" "$(jq -r '.[] | "\(.drill) \(.passed) \(.reason)"' both.json)" "this-fstab-typo true null
this-forgotten-password true null"
like "it is recovered" "$(cat said)" 'recovering guest/.* in the guest'
is "once" "$(grep -c 'recovering' said)" 1
like "its kernel is told to speak on the serial line, and where its root is by the UUID" \
	"$(tr -d '\r' <logs/this-fstab-typo-broken.log)" "emergency mode"
machine=$(ls -d cache/lifeboat/drills/this-*)
is "on the bus that it was on" "$(cut -d , -f 2 "$machine/disks")" "if=virtio"
ok "its disk is as it was made" sh -c "cd '$machine' && sha256sum -c --quiet SHA256SUMS"
is "the set is as it was" "$(cat made/*/*/* | sha256sum)" "$set_sum"
is "nothing remains" "$(find "$TMPDIR" -maxdepth 1 -name 'lifeboat*')" ""
