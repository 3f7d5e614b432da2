#!/bin/bash
# Survey, plan and recover on real disks, in a guest: disks of several kinds and sizes are described, made
# again elsewhere, and compared; whatever must be refused is, with the target's bytes unchanged.
# needs: root qemu kernel
# limit: 600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_image image
plan 30

# The guest's part: the rescue image with another init, which prints "TAP ok NAME" or "TAP not ok NAME".
mkdir -p extra/usr/bin
cp "$(command -v flock)" extra/usr/bin/ || bail "no flock"
cp "$TOP/tests/guest/30-machine.guest" extra/machine-test
chmod 755 extra/machine-test
(cd extra && find . | busybox cpio -o -H newc 2>/dev/null) >extra.cpio
cp "$IMAGE/initrd.img" initrd && truncate -s %4 initrd # the kernel wants the next archive aligned
cat extra.cpio >>initrd

disks=(gpt.img mbr.img large.img small.img tiny.img sectors.img)
truncate -s 200M gpt.img sectors.img
truncate -s 150M mbr.img
truncate -s 260M large.img
truncate -s 150M small.img
truncate -s 40M tiny.img
console_open qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -nodefaults -display none -no-reboot \
	-kernel "$IMAGE/vmlinuz" -initrd initrd -append "console=ttyS0 rdinit=/machine-test panic=-1 quiet" \
	-serial stdio -device ahci,id=ahci -device virtio-scsi-pci,id=scsi \
	-drive if=none,id=d1,format=raw,file=gpt.img -device virtio-blk-pci,drive=d1,serial=GPT1 \
	-drive if=none,id=d2,format=raw,file=mbr.img -device ide-hd,bus=ahci.0,drive=d2,serial=MBR1 \
	-drive if=none,id=d3,format=raw,file=large.img -device ide-hd,bus=ahci.1,drive=d3,serial=LARGE1 \
	-drive if=none,id=d4,format=raw,file=small.img -device ide-hd,bus=ahci.2,drive=d4,serial=SMALL1 \
	-drive if=none,id=d5,format=raw,file=tiny.img -device virtio-blk-pci,drive=d5,serial=TINY1 \
	-drive if=none,id=d6,format=raw,file=sectors.img \
	-device scsi-hd,drive=d6,serial=SECTORS1,wwn=0x5000c50015ea71ac,logical_block_size=4096,physical_block_size=4096
console_wait TAP-HASH 300 || bail "the guest did not get so far"
before=$(sha256sum "${disks[@]}")
console_type go
console_wait TAP-HASH 300
after=$(sha256sum "${disks[@]}")
console_type go
console_wait TAP-END 400
console_close 60 || diag "the guest had to be killed"
tr -d '\r' <"$CONSOLE_LOG" >guest.text
while read -r word result rest; do
	[ "$word" = TAP ] || continue
	case "$result" in
	ok) result 0 "$rest" ;;
	not) result 1 "${rest#ok }" ;;
	esac
done < <(grep '^TAP ' guest.text)
is "after all refusals every disk's bytes are as they were" "$after" "$before"
ok "the guest came to its end" grep -q '^TAP-END$' guest.text
! grep -q '^TAP not' guest.text || diag "$(sed -n '/^TAP-BEGIN/,$p' guest.text)"
