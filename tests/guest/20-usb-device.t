#!/bin/bash
# Sticks on devices: loop devices stand in. What is in use, too small or not agreed to keeps its bytes.
# needs: root loop syslinux mcopy mkfs.ext4 mkswap script
# limit: 300
# alone: a loop device is detached and attached again under its old number
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

disk_size=$((64 << 20))
mkdir image
head -c 3000000 /dev/urandom >image/vmlinuz
head -c 5000000 /dev/urandom >image/initrd.img

# new_disk FILE [SIZE]: sets LOOP, a loop device on a new file full of old bytes.
new_disk() {
	head -c "${2:-$disk_size}" /dev/zero | tr '\0' 'o' >"$1"
	LOOP=$(losetup -f --show "$1") || bail "no loop device"
}
drop_disk() {
	losetup -d "$LOOP"
}
sum_of() {
	sha256sum <"$1"
}
usb() {
	"$LIFEBOAT" usb --image image "$@"
}

# unchanged NAME FILE PATTERN COMMAND…: the command is refused with exit 1, and the file stays as it was.
unchanged() {
	local name=$1 file=$2 pattern=$3 before
	shift 3
	before=$(sum_of "$file")
	refuses "$name: refused" 1 "$pattern" "$@"
	sync "$file"
	is "$name: its bytes are as they were" "$(sum_of "$file")" "$before"
}

# ---- what is written ----
ok "a stick file" usb stick.img
new_disk disk
mkfs.ext4 -q -L old-system -F "$LOOP" || bail "mkfs.ext4"
usb --yes "$LOOP" >said 2>shown
is "a device is written with --yes" $? 0
like "what was on it is shown first" "$(cat shown)" "ext4 'old-system' 64.0 MiB"
like "its size is shown" "$(cat shown)" "size +64.0 MiB"
ok "it holds the stick, byte by byte" cmp -n "$(stat -c %s stick.img)" "$LOOP" stick.img
ok "its end is wiped, where a backup GPT or a RAID superblock may have been" \
	cmp -n $((1 << 20)) -i $((disk_size - (1 << 20))):0 "$LOOP" /dev/zero
ok "JSON on stdout" usb --yes --json "$LOOP"
is "the hash in it is the stick's" "$(usb --yes --json "$LOOP" 2>/dev/null | sed -n 's/.*"sha256": "\(.*\)",/\1/p')" \
	"$(sha256sum stick.img | cut -d ' ' -f 1)"

# the one entry of an MBR: type 0x83 from sector 2048 on, 512 MiB long
printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\0\020\0' | dd of="$LOOP" bs=1 seek=446 conv=notrunc status=none
ok "a partition that ends behind the disk is no obstacle" usb --yes "$LOOP"

# ---- consent ----
unchanged "nobody there to ask" disk "nobody is here to ask; use --yes" usb "$LOOP"
console_open script -qefc "$LIFEBOAT usb --image image $LOOP" /dev/null
before=$(sum_of disk)
ok "a person is asked" console_wait "type yes:" 60
console_type "y"
ok "another answer is a refusal" console_wait "the answer was not the one asked for" 60
console_close 60
is "and nothing was written" "$(sum_of disk)" "$before"
console_open script -qefc "$LIFEBOAT usb --image image $LOOP" /dev/null
console_wait "type yes:" 60
head -c $disk_size /dev/zero >other
losetup -d "$LOOP"
losetup "$LOOP" other || bail "the loop device is gone"
console_type "yes"
ok "another disk under the same name after the question is refused" \
	console_wait "it is not the disk any more that was shown" 60
console_close 60
ok "and not written to" cmp -n $disk_size other /dev/zero
console_open script -qefc "$LIFEBOAT usb --image image $LOOP" /dev/null
console_wait "type yes:" 60
mkfs.ext4 -q -L new-data -F "$LOOP" || bail "mkfs.ext4"
console_type "yes"
ok "so is the same disk with something new on it" \
	console_wait "what is on it has changed since it was shown" 60
console_close 60
is "which keeps it" "$(blkid -p -o value -s LABEL "$LOOP")" new-data
console_open script -qefc "$LIFEBOAT usb --image image $LOOP" /dev/null
console_wait "type yes:" 60
console_type "yes"
ok "yes is yes" console_wait "in all" 60
console_close 60
ok "and the stick is there" cmp -n "$(stat -c %s stick.img)" "$LOOP" stick.img
drop_disk

# ---- refusals, with --yes ----
new_disk mounted
mkdir point
{ mkfs.ext4 -q -F "$LOOP" && mount "$LOOP" point; } || bail "mount"
unchanged "a mounted disk" mounted "is mounted at $SCRATCH/point" usb --yes "$LOOP"
unchanged "a mounted disk for a guest to write to" mounted "is in use here: unmount it first, or leave out 'rw'" \
	"$LIFEBOAT" boot uml --disk "$LOOP,rw"
umount point
drop_disk

new_disk swap
{ mkswap -q "$LOOP" && swapon "$LOOP"; } || bail "swapon"
unchanged "a disk used as swap" swap "is used as swap" usb --yes "$LOOP"
swapoff "$LOOP"
drop_disk

new_disk looped
inner=$(losetup -f --show "$LOOP") || bail "a loop device on a loop device"
unchanged "a disk that a loop device shows" looped "is in use by ${inner#/dev/}" usb --yes "$LOOP"
losetup -d "$inner"
drop_disk

new_disk small $((8 << 20))
unchanged "a disk that is too small" small "is too small: the stick needs [0-9]+ bytes, it has 8388608" usb --yes "$LOOP"
drop_disk

new_disk read-only
losetup -d "$LOOP"
losetup -r "$LOOP" read-only || bail "losetup -r"
unchanged "a read-only disk" read-only "is read-only" usb --yes "$LOOP"
drop_disk

new_disk partitioned
printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q "$LOOP" >/dev/null 2>&1 || bail "sfdisk"
partx -a "$LOOP" || bail "partx"
number=$(cat "/sys/block/${LOOP#/dev/}/${LOOP#/dev/}p1/dev")
mknod partition b "${number%:*}" "${number#*:}"
unchanged "a partition" partitioned "is a partition, not a whole disk" usb --yes "$SCRATCH/partition"
{ mkfs.ext4 -q -F "$SCRATCH/partition" && mount "$SCRATCH/partition" point; } || bail "mount"
unchanged "a disk with a mounted partition" partitioned "p1 is mounted at $SCRATCH/point" usb --yes "$LOOP"
umount point
partx -d "$LOOP"
drop_disk

root=$(readlink -f "$(findmnt -no SOURCE / | sed 's/\[.*//')")
if [ -b "$root" ]; then
	# the disk under it: itself, or, of a partition, the folder above it
	device=$(readlink -f "/sys/class/block/${root#/dev/}")
	[ ! -e "$device/partition" ] || device=${device%/*}
	disk=/dev/${device##*/}
	# --image names nothing: should the refusal ever fail, there is nothing that could be written
	refuses "the disk of this system's root: refused" 1 "holds this system's root|is in use by" \
		"$LIFEBOAT" usb --image /nonexistent --yes "$disk"
else
	skip "the disk of this system's root" "root is $root"
fi

refuses "a slip of the finger makes no file in /dev" 1 "there is no device /dev/nosuchdisk" usb --yes /dev/nosuchdisk
is "indeed" "$(ls /dev/nosuchdisk 2>/dev/null)" ""
refuses "a folder is no goal" 1 "neither a disk nor a regular file" usb --yes point
finish_plan
