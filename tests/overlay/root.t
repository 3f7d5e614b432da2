#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# The way into the tmpfs, and what PID 1 needs before the first step.
. "$(dirname "$0")/lib/tap.sh"
load say root system

# mounted LINE…: what /proc/self/mountinfo says.
mounted() {
	printf '%s\n' "$@" >"$ROOT/proc/self/mountinfo"
}
mounted '1 1 0:2 / / rw - rootfs rootfs rw' '20 1 7:0 / / ro,relatime shared:1 - cramfs /dev/loop0 ro' \
	'21 20 0:20 / /proc rw - proc proc rw'
is 'what / is: the last that is mounted there' "$(root_type)" cramfs
mounted '1 1 0:2 / / rw - rootfs rootfs rw' '21 1 0:20 / /proc rw - proc proc rw'
is 'an initramfs that is a ramfs' "$(root_type)" ramfs
yes 'it is the first' root_first
mounted '1 1 0:2 / / rw - rootfs rootfs rw,size=885132k,nr_inodes=7' '21 1 0:20 / /proc rw - proc proc rw'
is 'one that is a tmpfs' "$(root_type)" tmpfs
mounted '22 1 0:2 / / rw - rootfs rootfs rw,size=885132k' '23 22 0:20 / /proc rw - proc proc rw'
no 'mounted over itself it is not the first any more' root_first
printf 'MemTotal: 500000 kB\nMemAvailable:  131072 kB\n' >"$ROOT/proc/meminfo"
is 'memory' "$(root_memory)" 128
printf '%s\n' '7f00-7f01 r-xp 00000000 00:02 12 /usr/bin/busybox' '7f02-7f03 rw-p 00000000 00:00 0 ' \
	'7f04-7f05 r-xp 00000000 00:02 13 /usr/lib/libc.so.6' '7fff-8000 rw-p 0 00:00 0 [stack]' >"$ROOT/proc/self/maps"

# What the kernel says when its tmpfs is full.
mounted '1 1 0:2 / / rw - rootfs rootfs rw,size=885132k,nr_inodes=7'
busybox() {
	case $1 in
	dmesg) echo "$said" ;;
	*) command busybox "$@" ;;
	esac
}
said='[    7.097366] Initramfs unpacking failed: write error
[    7.155992] Freeing initrd memory: 17632K'
is 'an image that was not unpacked whole' "$(root_cut)" 'Initramfs unpacking failed: write error'
yes 'is known' root_cut
said="[    1.000000] rootfs image is not initramfs (junk within compressed archive); looks like an initrd"
no 'an old kind of initrd is none' root_cut
said='[    2.544867] Trying to unpack rootfs image as initramfs...'
no 'one that was unpacked is none' root_cut
said='[    7.097366] Initramfs unpacking failed: write error'
mounted '1 1 0:2 / / rw - rootfs rootfs rw' '20 1 0:20 / / rw - tmpfs tmpfs rw,size=885132k'
no 'nor is what / is not any more' root_cut
unset -f busybox

is 'what must stay' "$(root_in_use | tr '\n' ' ')" '/init /usr/bin/busybox /usr/lib/libc.so.6 '

# A root like an image's: links, modes, empty folders, names with spaces, more than one batch.
old=$ROOT/old
mkdir -p "$old/usr/bin" "$old/usr/lib/firmware" "$old/proc" "$old/newroot" "$old/tmp"
chmod 1777 "$old/tmp"
ln -s usr/bin "$old/bin"
echo init >"$old/init"
echo busybox >"$old/usr/bin/busybox"
chmod 755 "$old/init" "$old/usr/bin/busybox"
echo libc >"$old/usr/lib/libc.so.6"
echo firmware >"$old/usr/lib/firmware/a name with * and  spaces"
for i in $(seq 250); do
	echo "$i" >"$old/usr/lib/firmware/$i"
done
# listing FOLDER: prints what is below it.
listing() {
	(cd "$1" && find . ! -path './newroot*' -exec stat -c '%n %f %s %N' {} + | sort)
}
before=$(listing "$old")
mkdir "$ROOT/copied"
yes 'copy' root_copy "$old" "$ROOT/copied" copy
is 'all arrived' "$(listing "$ROOT/copied")" "$before"
is 'and nothing was taken away' "$(listing "$old")" "$before"
yes 'move into a folder below' root_copy "$old" "$old/newroot" move
is 'all arrived there' "$(listing "$old/newroot")" "$before"
no 'not itself' test -e "$old/newroot/newroot"
is 'only what is in use stays' "$(cd "$old" && find . -type f ! -path './newroot*' | sort | tr '\n' ' ')" \
	'./init ./usr/bin/busybox ./usr/lib/libc.so.6 '

# A copy that is cut must be seen, and nothing may be removed then.
mkdir "$ROOT/small"
fail_batch() { (ulimit -f 0 && root_batch "$ROOT/copied" "$ROOT/small" move './usr/lib/firmware/7
' ''); }
no 'a file that cannot be written' fail_batch
yes 'is kept' test -e "$ROOT/copied/usr/lib/firmware/7"

mkdir "$ROOT/oldroot"
printf '/dev/loop3 /oldroot cramfs ro 0 0\n' >"$ROOT/proc/mounts"
is 'the old root is given back' "$(root_free_old && commands | grep -v '/oldroot/')" 'busybox umount -l /oldroot
busybox rmdir /oldroot
busybox losetup -d /dev/loop3'

# Consoles.
echo 'tty0 ttyS0' >"$ROOT/sys/class/tty/console/active"
is 'consoles of a User-Mode Linux' "$(system_consoles | tr '\n' ' ')" 'tty0 ttyS0 '
mkdir "$ROOT/sys/class/tty/tty0"
: >"$ROOT/sys/class/tty/tty0/active"
is 'consoles of a PC' "$(system_consoles | tr '\n' ' ')" 'tty1 ttyS0 '
is "init's table" "$(system_inittab tty1 ttyS0)" '::once:/sbin/rescue-steps
tty1::respawn:/sbin/rescue-console tty1
ttyS0::respawn:/sbin/rescue-console ttyS0
::ctrlaltdel:/sbin/rescue-leave reboot
::shutdown:/sbin/rescue-leave unmount'
rm "$ROOT/sys/class/tty/console/active"
is 'without any' "$(system_consoles)" console

printf 'none /dev devtmpfs rw 0 0\n' >"$ROOT/proc/mounts"
fake_busybox() { [ "$1 $3" != 'mount sysfs' ]; }
is 'what is mounted already is left, what fails is told' "$(system_mounts; echo $?)" 'cannot mount /sys
1'
is 'the others are mounted' "$(commands | grep -c 'busybox mount')" 2
yes 'what the menu does not wait for' system_rest
is 'comes later' "$(commands | grep -c 'devpts\|shm\|ln -sf\|size=90%')" 8
plan
