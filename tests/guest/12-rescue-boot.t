#!/bin/bash
# The rescue system comes up: to the menu on each console, on a tmpfs with the old root's memory given
# back, with drivers, network, keyboard, job control and a PID 1 that survives; in qemu and in
# User-Mode Linux from an initramfs, and from a read-only disk. What goes wrong ends in the menu.
# needs: qemu uml kernel busybox mke2fs zstd
# limit: 1200
# shellcheck disable=SC2016 # what stands in single quotes is for the guest
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

# qemu DISK APPEND OPTION…: the image with a virtio disk, its serial line on stdin and stdout.
qemu() {
	local disk=$1 append=$2
	shift 2
	qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 512 -display none -serial stdio -monitor none \
		-no-reboot -kernel "$IMAGE/vmlinuz" -initrd "$IMAGE/initrd.img" -append "$append" \
		-drive "file=$disk,format=raw,if=virtio" -netdev user,id=n -device virtio-net-pci,netdev=n "$@"
}

# uml OPTION…: User-Mode Linux on stdin and stdout.
uml() {
	linux.uml mem=512M con=null con0=fd:0,fd:1 pty.legacy_count=0 umid="t$$" uml_dir="$SCRATCH/uml/" "$@"
}

# run COMMAND: types it at the guest's shell, waits for its end and prints what it said.
run() {
	local from
	from=$(stat -c %s "$CONSOLE_LOG")
	console_type "echo BEG''IN; $1; echo E''ND-OF-IT"
	console_wait END-OF-IT 90 || return 1
	tail -c "+$from" "$CONSOLE_LOG" | tr -d '\r' | sed -n '/^BEGIN$/,/^END-OF-IT$/p' | sed '1d;$d'
}
# run cannot wait in a subshell: the position in the log would be lost.
answer() {
	run "$1" >"$SCRATCH/answer"
	ANSWER=$(cat "$SCRATCH/answer")
}

# menu_choose NUMBER TEXT: chooses it and waits for the text.
menu_choose() {
	console_type "$1"
	console_wait "$2" 90
}

# root_facts NAME: the running root is a tmpfs that can be pivoted away from, and the old root's memory was
# given back. In the shell.
root_facts() {
	local used root
	answer 'stat -f -c %T /'
	is "$1: / is a tmpfs" "$ANSWER" tmpfs
	answer 'mkdir /tmp/r && unshare -m sh -c "mount --rbind / /tmp/r && cd /tmp/r && pivot_root . mnt && echo yes"'
	is "$1: pivot_root works" "$ANSWER" yes
	answer 'touch /etc/written && echo yes'
	is "$1: / can be written to" "$ANSWER" yes
	answer "stat -f -c '%b %f %S' / | awk '{print int((\$1 - \$2) * \$3 / 1048576)}'; free -m | awk '/^Mem/ {print \$2 - \$7}'"
	{ read -r root && read -r used; } <<<"$ANSWER"
	diag "$1: the root takes $root MiB, all that is used is $used MiB"
	# Twice the root would be in use if the old one were still held.
	[ "$root" -ge 40 ] && [ "$used" -lt $((root + 60)) ]
	result $? "$1: the memory of the old root is free"
}

# A keyboard of its own, so that the test does not depend on the ones installed here: y and z change
# places.
cat >keys.map <<'END'
keymaps 0-1
keycode 21 = z Z
keycode 44 = y Y
END
cat >recovery.conf <<END
[console]
keymap = $SCRATCH/keys.map
END
need_image rescue-boot -c "$SCRATCH/recovery.conf"
truncate -s 64M disk.img usb.img

# ---- qemu ----
console_open qemu disk.img 'console=tty0 console=ttyS0 quiet lifeboat.hostname=wreck lifeboat.bogus=$(id)' \
	-device qemu-xhci -drive file=usb.img,format=raw,if=none,id=u -device usb-storage,drive=u
console_wait 'LIFEBOAT READY' 300
result $? 'qemu: ready' || bail 'the rescue system does not come up'
console_wait '  boot     drivers, disks and the network are still coming'
result $? 'qemu: before disks and network are'
console_wait 'disks: '
result $? 'qemu: and says when they come'
console_wait '  problem  boot options not understood and ignored: lifeboat.bogus=$(id)'
result $? 'qemu: a boot option that does not exist is told'
console_wait '6 power off' && console_wait '> '
text=$(tr -d '\r' <"$CONSOLE_LOG")
like 'qemu: DHCP gave an address' "$text" '^  network  eth0 10\.0\.2\.15/24 \(DHCP\)$'
like 'qemu: the name from the command line' "$text" '^Lifeboat rescue system for wreck'
like 'qemu: disks on virtio and on USB' "$text" '^disks: sda vda$'

printf '\003' >&"$console_in" # Ctrl-C at the menu
console_wait '6 power off' 30
result $? 'qemu: Ctrl-C does not end the menu'
menu_choose 2 '# '
result $? 'qemu: a shell is one key away'
root_facts qemu
answer 'type tar; readlink -f /bin/sh'
is 'qemu: real tools win, the shell is busybox' "$ANSWER" 'tar is /usr/bin/tar
/usr/bin/busybox'
answer 'busybox dumpkmap | dd bs=1 skip=$((7 + 256 + 2 * 21)) count=1 2>/dev/null; echo' # keycode 21
is 'qemu: the keyboard layout is loaded' "$ANSWER" z
answer 'grep -c "6 power off" /dev/vcs1; ls /run/lifeboat/ready.tty1'
is 'qemu: the screen is ready as well' "$ANSWER" '1
/run/lifeboat/ready.tty1'
answer 'cat /sys/class/net/lo/flags; cat /proc/sys/kernel/modprobe; ls -l /dev/fd /dev/pts/ptmx | wc -l'
is 'qemu: loopback, the kernel'"'"'s modprobe, device links' "$ANSWER" '0x9
/sbin/modprobe
2'
answer 'sed -n "s/^.*] network: /network: /p" /run/lifeboat/log'
is 'qemu: the steps are in the log' "$ANSWER" "network: eth0 10.0.2.15/24 (DHCP)"

console_type 'ping 127.0.0.1'
console_wait 'seq=1 ' 30
printf '\003' >&"$console_in"
console_wait 'packets transmitted' 15 && console_wait '# ' 15
result $? 'qemu: Ctrl-C stops a ping and the prompt is back'
console_type 'sleep 1000'
sleep 1
printf '\032' >&"$console_in" # Ctrl-Z
console_wait 'Stopped' 15 && console_wait '# ' 15
result $? 'qemu: Ctrl-Z stops a job'
answer 'mke2fs -q -t ext4 /dev/vda && mount /dev/vda /mnt/backup && echo kept >/mnt/backup/file && echo written'
is 'qemu: a disk is mounted and written to' "$ANSWER" written
console_type 'kill -9 $PPID' # the menu that the shell belongs to
console_wait '6 power off' 30 && console_wait '> ' 15
result $? 'qemu: a menu that was killed comes back'
menu_choose 2 '# '
menu_choose exit '6 power off'
result $? 'qemu: leaving the shell leads to the menu'
is 'qemu: ready was said once' "$(tr -d '\r' <"$CONSOLE_LOG" | grep -cx 'LIFEBOAT READY')" 1
console_type 5
console_close 60
result $? 'qemu: reboot ends the guest'
ok 'qemu: the disk is clean' e2fsck -fn disk.img
is 'qemu: what was written is on it' "$(debugfs -R 'cat file' disk.img 2>/dev/null)" kept

# ---- without a person, with a fixed address, and it fails ----
console_open qemu disk.img \
	'console=ttyS0 quiet lifeboat.recover=unattended lifeboat.target=file:///nowhere lifeboat.ip=10.0.2.77/24,10.0.2.2,10.0.2.3'
console_wait 'network: eth0 10.0.2.77/24 (static)' 300
result $? 'static: the address is set and its gateway answers'
console_wait 'LIFEBOAT RECOVERY FAILED: lifeboat'
result $? 'unattended: a failure is told with its reason'
console_wait 'LIFEBOAT READY' && console_wait '> '
result $? 'unattended: and gives the console'
console_type 6
console_close 60
result $? 'unattended: power off'

# ---- User-Mode Linux: an initramfs, then a read-only disk ----
console_open uml initrd="$IMAGE/initrd.img"
console_wait 'LIFEBOAT READY' 120 && console_wait '> '
result $? 'uml: ready'
menu_choose 2 '# '
root_facts uml
console_type exit
console_wait '> '
console_type 6
console_close 60
result $? 'uml: power off'

mkdir tree
zstd -qdc "$IMAGE/initrd.img" | (cd tree && busybox cpio -i -d 2>/dev/null)
truncate -s 256M root.img
mke2fs -q -t ext2 -F -d tree root.img
console_open uml ubd0r=root.img root=/dev/ubda ro init=/init
console_wait 'LIFEBOAT READY' 120 && console_wait '> '
result $? 'disk: ready'
menu_choose 2 '# '
root_facts disk
answer 'grep -c ubda /proc/mounts'
is 'disk: the old root is not mounted any more' "$ANSWER" 0
console_type exit
console_wait '> '
console_type 6
console_close 60
result $? 'disk: power off'
finish_plan
