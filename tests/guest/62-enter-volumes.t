#!/bin/bash
# `lifeboat enter` on a machine whose root lies on LVM in LUKS on a degraded array, beside another system: everything is
# started with the real tools, the passphrase and the system are asked for, and everything is stopped again.
# needs: root qemu kernel mdadm lvm cryptsetup
# limit: 900
# matrix: all
# shellcheck disable=SC2016 # what stands in single quotes is for the guest
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
need_image enter-volumes -p minimal -p raid -p lvm -p luks
plan 13

mkdir extra
cat >extra/make-machine <<'END'
set -ex
export DM_DISABLE_UDEV=1
tiny() {
	mkdir -p $1/bin $1/etc $1/root $1/home
	cp /usr/bin/busybox $1/bin/busybox
	for name in sh ls cat test; do ln -s busybox $1/bin/$name; done
	for library in /lib64/ld-linux-x86-64.so.2 $(find /usr/lib/ -name libc.so.6 -o -name libresolv.so.2); do
		mkdir -p $1${library%/*} && cp $library $1$library
	done
	echo "PRETTY_NAME=\"$2\"" >$1/etc/os-release
}
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 /dev/vda /dev/vdb
printf 'the secret' >/tmp/key
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/md0 /tmp/key
cryptsetup open --key-file /tmp/key /dev/md0 c
lvm pvcreate /dev/mapper/c
lvm vgcreate vg /dev/mapper/c
lvm lvcreate -y -L 40M -n root vg
lvm lvcreate -y -L 20M -n home vg
mkfs.ext4 -q /dev/mapper/vg-root
mkfs.ext4 -q /dev/mapper/vg-home
mkfs.ext4 -q /dev/vdc
mkdir -p /m
mount /dev/mapper/vg-root /m
tiny /m 'The deep one'
echo '/dev/vg/home /home ext4 defaults 0 2' >/m/etc/fstab
umount /m
mount /dev/vdc /m
tiny /m 'The plain one'
umount /m
lvm vgchange -an vg
cryptsetup close c
mdadm --stop /dev/md0
mdadm --zero-superblock /dev/vdb
END
(cd extra && find . | busybox cpio -o -H newc 2>/dev/null) >extra.cpio
cp "$IMAGE/initrd.img" initrd && truncate -s %4 initrd # the kernel wants the next archive aligned
cat extra.cpio >>initrd
truncate -s 150M a.img b.img
truncate -s 60M c.img

# run COMMAND: types it at the guest's shell and waits for its end; what it said is in ANSWER.
run() {
	local from
	from=$(stat -c %s "$CONSOLE_LOG")
	console_type "echo BEG''IN; $1; echo E''ND-OF-IT"
	console_wait END-OF-IT 240 || return 1
	ANSWER=$(tail -c "+$from" "$CONSOLE_LOG" | tr -d '\r' | sed -n '/^BEGIN$/,/^END-OF-IT$/p' | sed '1d;$d')
}

console_open qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -display none -serial stdio -monitor none \
	-no-reboot -kernel "$IMAGE/vmlinuz" -initrd initrd -append "console=ttyS0 quiet lifeboat.ip=none" -nic none \
	-drive file=a.img,format=raw,if=virtio -drive file=b.img,format=raw,if=virtio -drive file=c.img,format=raw,if=virtio
console_wait 'LIFEBOAT READY' 300 || bail "no rescue system"
console_wait 'disks: ' 120
console_wait '> ' 60
console_type 2
console_wait '# ' 60
run 'sh /make-machine >/tmp/log 2>&1 || tail -n 5 /tmp/log; ls /sys/block | grep -c "md\|dm"'
is "the machine is made and stopped" "$ANSWER" 0 || bail "no machine"
run 'lifeboat enter --list --key /tmp/key 2>/tmp/err; cat /tmp/err'
is "--list finds the systems on all layers" "$ANSWER" "1  /dev/vdc (ext4)  The plain one
2  /dev/mapper/vg-root (ext4)  The deep one"
run 'lifeboat enter -q --chroot --key /tmp/key --run "echo deep >/home/file; cat /etc/os-release; exit 4" /dev/vda; echo $?'
is "a disk is named: the system that lies on it is entered" "$ANSWER" 'PRETTY_NAME="The deep one"
4'
run 'cat /proc/mounts | grep -c "vg\|vdc"; ls /sys/block | grep "md\|dm"'
is "nothing stays mounted or active" "$ANSWER" 0
run 'lifeboat enter --chroot --run true /dev/vda </dev/null; echo $?'
like "without a terminal nobody is asked for a passphrase" "$ANSWER" 'is encrypted and stays closed: nobody is there'
console_type 'lifeboat enter --chroot'
console_wait 'Enter passphrase for /dev/md' 120
printf '\003' >&"$console_in"
console_wait 'ended by a signal' 60
result $? "Ctrl-C at the passphrase ends it"
console_wait vm: 60
run 'ls /sys/block | grep -c "md\|dm"'
is "and the array that was started for it is stopped" "$ANSWER" 0
console_type 'lifeboat enter --chroot --key /tmp/key'
console_wait 'Which one? [1-2]: ' 120
printf '\003' >&"$console_in"
console_wait 'ended by a signal' 60
result $? "so does Ctrl-C at the list"
console_wait vm: 60
run 'ls /sys/block | grep -c "md\|dm"'
is "and volumes, encrypted disk and array are stopped" "$ANSWER" 0
console_type 'lifeboat enter --chroot'
console_wait 'Enter passphrase for /dev/md' 120
result $? "the passphrase is asked for"
sleep 1
console_type 'the secret'
console_wait 'Which one? [1-2]: ' 120
result $? "and the system, when there are two"
console_type 2
console_wait 'a shell in The deep one on /dev/mapper/vg-root' 120
console_wait '# ' 60
run 'cat /home/file'
is "a shell in it, with its volumes" "$ANSWER" deep
console_type exit
console_wait vm: 60
run 'ls /sys/block | grep -c "md\|dm"'
is "leaving it stops everything again" "$ANSWER" 0
console_type poweroff
console_close 120
