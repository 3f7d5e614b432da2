#!/bin/bash
# `lifeboat enter`: a Debian whose boot hangs is repaired from within, in a container of namespaces, in systemd-nspawn
# and by chroot, on a serial line and over SSH, and boots afterwards. Whatever ends it, nothing stays mounted and
# everything is written.
# needs: root uml loop kernel qemu mmdebstrap sfdisk mke2fs mkfs.vfat mkfs.btrfs systemd-nspawn script ssh ssh-keygen sshd dropbear
# limit: 1500
# shellcheck disable=SC2016 # what stands in single quotes is for the guest
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

# ---- on this machine, by loop devices: what is found, checked, mounted, run ----

# tiny FOLDER NAME: the files of a system that is only busybox.
tiny() {
	local library
	mkdir -p "$1"/{bin,etc,root,proc,sys,dev,run,tmp,home} || return 1
	cp "$(command -v busybox)" "$1/bin/busybox" || return 1
	"$1/bin/busybox" --list | while read -r name; do ln -sf busybox "$1/bin/$name"; done
	for library in $(ldd "$1/bin/busybox" | grep -o '/[^ ]*'); do
		mkdir -p "$1${library%/*}" && cp "$library" "$1$library" || return 1
	done
	printf 'PRETTY_NAME="%s"\n' "$2" >"$1/etc/os-release"
	echo "host-$2" >"$1/etc/hostname"
}

# loop FILE: its loop device.
loop() {
	losetup -f --show "$1"
}

tiny tiny one
home_uuid=7a0f6b52-9f0e-4c0a-9df4-6f9c7a3c1e11
cat >tiny/etc/fstab <<-EOF
	UUID=$home_uuid /home ext4 defaults 0 2
	UUID=00000000-0000-4000-8000-000000000000 /gone ext4 defaults 0 2
	/dev/zz9 /srv ext4 defaults 0 2
	proc /proc proc defaults 0 0
	box:/share /share nfs defaults 0 0
	/home /export none bind 0 0
	//box/late /late cifs noauto 0 0
EOF
truncate -s 64M root.img home.img
mke2fs -q -t ext4 -O ^extent,^64bit -d tiny root.img || bail "no file system"
mke2fs -q -t ext4 -U "$home_uuid" home.img || bail "no file system"
root=$(loop root.img) home=$(loop home.img) || bail "no loop devices"
is "--list says what is installed where" "$("$LIFEBOAT" enter --list "$root")" "1  $root (ext4)  one, host-one"
is "--list --json" "$("$LIFEBOAT" enter --list --json "$root" | jq -r '.[0].name')" one
"$LIFEBOAT" enter --chroot --run 'echo kept >/home/file; echo in $PWD; cat; ls /proc/self/fd >/dev/null && exit 7' "$root" \
	<<<"from stdin" >out 2>err
is "--run: its exit status" $? 7
is "--run: its output and input" "$(cat out)" "in /root
from stdin"
like "a file system of fstab that is not here is told" "$(cat err)" '/gone is not mounted: UUID=0+-.* is not here'
like "one whose name may mean another disk is not guessed" "$(cat err)" '/srv is not mounted: /dev/zz9 may be another disk'
is "what is no disk's is left out, and told in a line" "$(grep -c share err) $(grep -o 'not mounted, as .*' err)" \
	"1 not mounted, as they are no disks: /share (nfs), /export (bind)"
"$LIFEBOAT" enter -q --chroot --run 'kill -9 $$' "$root" 2>/dev/null
is "--run: that of a command that was killed" $? 137
is "what fstab names was mounted, and is written" "$(debugfs -R 'cat file' home.img 2>/dev/null)" kept
mkdir mnt
mount "$root" mnt || bail "no mount"
refuses "what is mounted is left alone" 1 'it is mounted or otherwise in use' "$LIFEBOAT" enter --run true "$root"
umount mnt

# errors: only with an answer
debugfs -w -R 'sif /etc/hostname block[0] 99999999' root.img 2>/dev/null # nothing that a boot would repair by itself
debugfs -w -R 'ssv state 2' root.img 2>/dev/null
before=$(sha256sum root.img)
refuses "errors of a file system need an answer" 1 'it has errors; --yes repairs them' "$LIFEBOAT" enter --chroot --run true "$root"
ok "--yes repairs them" "$LIFEBOAT" enter --yes --chroot --run 'test -d /etc' "$root"
ok "and they are gone" e2fsck -fn root.img
[ "$before" != "$(sha256sum root.img)" ]
result $? "the repair was one"
debugfs -w -R 'sif /etc/os-release block[0] 99999999' root.img 2>/dev/null
debugfs -w -R 'ssv state 2' root.img 2>/dev/null
console_open script -qfec "'$LIFEBOAT' enter --chroot '$root'" /dev/null
console_wait '<y>' 60
result $? "at a terminal the person is asked"
printf a >&"$console_in" # yes, and to all others
console_wait '# ' 60
console_type 'echo me"nd"ed; exit 4'
console_wait 'mended' 30
console_close 30
is "and the shell comes when all is answered" $? 4
ok "and the file system is whole" e2fsck -fn root.img

# Ctrl-C, a crash
for signal in INT TERM KILL; do
	"$LIFEBOAT" enter --chroot --run "echo $signal >/root/file; echo running; exec sleep 1234" "$root" >out.$signal 2>/dev/null &
	pid=$!
	for _ in $(seq 100); do
		grep -q running out.$signal && break
		sleep 0.1
	done
	kill -$signal $pid
	wait $pid 2>/dev/null
	for _ in $(seq 100); do
		sleep 0.1
		losetup -d "$root" 2>/dev/null
		! losetup "$root" >/dev/null 2>&1 && break
	done
	is "after SIG$signal nothing holds the file system" "$(losetup -j root.img)" ""
	ok "after SIG$signal it is clean" e2fsck -n root.img
	is "after SIG$signal what was written is there" "$(debugfs -R 'cat root/file' root.img 2>/dev/null)" $signal
	root=$(loop root.img)
done

# at a terminal
script -qec "'$LIFEBOAT' enter --chroot '$root'" /dev/null >out <<<'tty >/dev/null && echo at-a-"terminal"; exit 3'
is "a shell at a terminal: its exit status" $? 3
like "a shell at a terminal" "$(tr -d '\r' <out)" '^at-a-terminal$'

# btrfs: subvolumes
truncate -s 200M b.img
mkfs.btrfs -q -L many b.img || bail "no btrfs"
mount -o loop b.img mnt || bail "no btrfs"
btrfs -q subvolume create mnt/@ && btrfs -q subvolume create mnt/@home && btrfs -q subvolume create mnt/data
tiny mnt/@ sub
uuid=$(blkid -o value -s UUID b.img)
printf 'UUID=%s / btrfs subvol=@ 0 0\nUUID=%s /home btrfs subvol=@home 0 0\n' "$uuid" "$uuid" >mnt/@/etc/fstab
umount mnt
b=$(loop b.img)
is "btrfs: the subvolume with the system is found" "$("$LIFEBOAT" enter --list "$b")" "1  $b:@ (btrfs)  sub, host-sub"
ok "btrfs: and entered, with the others of its fstab" "$LIFEBOAT" enter --chroot --run 'echo yes >/home/file' "$b"
mount -o subvolid=5 "$b" mnt
is "btrfs: each is where it belongs" "$(cat mnt/@home/file)" yes
umount mnt
losetup -d "$root" "$home" "$b"

# ---- a Debian whose boot hangs ----
# The drills' machine with its own kernel, initramfs and GRUB; its partition 3 is the root.
make_debian() {
	local disk loop root=$1/root
	disk=$(prove_machine) && mkdir -p "$root" && cp --sparse=always "$disk" "$1/disk.img" && chmod 644 "$1/disk.img" &&
		loop=$(losetup -f --show "$1/disk.img") && partx -a "$loop" && mount "${loop}p3" "$root" || return 1
	fill_debian "$root"
	local status=$?
	umount "$root" && partx -d "$loop" && losetup -d "$loop" && return $status
}
fill_debian() {
	local root=$1
	# User-Mode Linux finds no driver for FAT in it
	sed -i '/ \/boot\/efi /d' "$root/etc/fstab"
	echo wreck >"$root/etc/hostname"
	# the hang, before everything that shows that the machine is up; one that also stops rescue.target, for later
	cat >"$root/etc/systemd/system/hang.service" <<-EOF
		[Unit]
		Before=up.service
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'echo IT-HANGS >/dev/console; sleep infinity'
		TimeoutStartSec=infinity
		[Install]
		WantedBy=multi-user.target
	EOF
	cat >"$root/etc/systemd/system/early.service" <<-EOF
		[Unit]
		DefaultDependencies=no
		Before=sysinit.target
		[Service]
		Type=oneshot
		ExecStart=/bin/sleep infinity
		TimeoutStartSec=infinity
		[Install]
		WantedBy=sysinit.target
	EOF
	cat >"$root/etc/systemd/system/up.service" <<-EOF
		[Unit]
		After=systemd-user-sessions.service
		[Service]
		ExecStart=/bin/sh -c 'echo MACHINE-IS-UP >/dev/console; systemctl --no-block poweroff'
		[Install]
		WantedBy=multi-user.target
	EOF
	chroot "$root" systemctl -q enable hang.service up.service &&
		chroot "$root" systemctl -q mask systemd-udev-trigger.service
}
debian_uuid=5ea1f00d-0000-4000-8000-000000000003
once enter-debian make_debian || bail "no Debian"
cp --sparse=always "$SHARED/enter-debian/disk.img" disk.img

# uml OPTION…: User-Mode Linux on stdin and stdout, which are its serial line.
uml() {
	linux.uml mem=768M con=null ssl=null ssl0=fd:0,fd:1 console=ttyS0 pty.legacy_count=0 umid="t$console_number" \
		uml_dir="$SCRATCH/uml/" "$@"
}
# boot_machine: the machine itself.
boot_machine() {
	console_open uml ubda=disk.img root=/dev/ubda3 rw
}
# rescue IMAGE [OPTION…]: the rescue system with the machine's disk, at its menu.
rescue() {
	console_open uml initrd="$1/initrd.img" ubda=disk.img quiet "${@:2}"
	console_wait 'LIFEBOAT READY' 120 && console_wait 'disks: ' 60 && console_wait '> ' 20
}
# run COMMAND: types it at the guest's shell and waits for its end; what it said is in ANSWER.
run() {
	local from
	from=$(stat -c %s "$CONSOLE_LOG")
	console_type "echo BEG''IN; $1; echo E''ND-OF-IT"
	console_wait END-OF-IT 240 || return 1
	ANSWER=$(tail -c "+$from" "$CONSOLE_LOG" | tr -d '\r' | sed -n '/^BEGIN$/,/^END-OF-IT$/p' | sed '1d;$d')
}

boot_machine
console_wait IT-HANGS 120 && ! console_wait MACHINE-IS-UP 6 2>/dev/null
result $? "the machine's boot hangs"
timeout 20 uml_mconsole "$SCRATCH/uml/t$console_number/mconsole" halt >/dev/null 2>&1
console_close 60

need_image enter-own -p minimal
rescue "$IMAGE" || bail "no rescue system"
console_type 7
console_wait 'LIFEBOAT ENTERED' 180
result $? "the menu leads into the system, by a container of namespaces" || bail "not inside"
console_wait '# ' 30
console_type 'systemctl disable hang.service; systemctl is-system-running; printf "new\\nnew\\n" | passwd 2>&1; echo D''ONE $$'
console_wait 'maintenance' 60
result $? "it is at rescue.target"
console_wait 'password updated successfully' 60 && console_wait 'DONE ' 60
result $? "systemctl and passwd work inside"
console_wait '# ' 30
console_type exit
console_wait '6 power off' 60
result $? "exit leads back to the menu"
console_wait '> '
console_type 2
console_wait '# ' 30
run 'tty; stty -g >/tmp/mode; grep -c ubda /proc/mounts; ls /sys/fs/cgroup; lifeboat enter --list'
is "nothing stays mounted" "$ANSWER" "/dev/ttyS0
0
1  /dev/ubda3 (ext4)  Debian GNU/Linux 12 (bookworm), wreck"
link=/dev/disk/by-uuid/$debian_uuid
run "lifeboat enter -q --run 'systemctl is-system-running; readlink -f $link; exit 9'; echo \$?"
is "--run: in the container, with its exit status, and the links that udev would make" "$ANSWER" "maintenance
/dev/ubda3
9"
run 'lifeboat enter -q --run "systemctl enable early.service" 2>/dev/null; lifeboat enter --within 10 --run "systemctl disable early.service; echo inside"; echo $?'
like "a boot that hangs before rescue.target too: chroot after the time limit" "$ANSWER" 'no prompt within 10 seconds'
like "and there systemctl disable works" "$ANSWER" '^inside$'
run 'lifeboat enter -q --chroot --run "mv /lib/systemd/systemd /lib/systemd/away"; lifeboat enter --run "mv /lib/systemd/away /lib/systemd/systemd && echo mended"; echo $?'
like "a missing init: chroot, and the reason" "$ANSWER" 'not started in a container: its /sbin/init is missing'
is "and it is mended there" "$(tail -n 2 <<<"$ANSWER")" "mended
0"
run 'lifeboat enter -q --chroot --run "cp /lib/systemd/systemd /lib/systemd/away; echo no >/lib/systemd/systemd"; lifeboat enter --run "mv /lib/systemd/away /lib/systemd/systemd && echo mended"; echo $?'
like "an init that does not run: the reason" "$ANSWER" 'not started in a container of namespaces: start /sbin/init in the container: Exec format error'
is "and it is mended there too" "$(tail -n 2 <<<"$ANSWER")" "mended
0"
run 'lifeboat enter -q --run "echo crashed >/root/file; echo RUNNING; sleep 1000" >/tmp/out & until grep -q RUN /tmp/out; do sleep 1; done; kill -KILL $!; for i in $(seq 120); do ps | grep -q "[s]leep 1000\|[s]ystemd" || ! e2fsck -n /dev/ubda3 2>&1 | grep -q ": clean" || break; sleep 0.5; done; ps | grep "[s]leep 1000\|[s]ystemd"; e2fsck -n /dev/ubda3 2>&1 | grep -o ": clean"; lifeboat enter -q --chroot --run "cat /root/file"'
is "after a crash of lifeboat nothing runs, and all is written" "$(grep -v Killed <<<"$ANSWER")" ": clean
crashed"
console_type 'poweroff'
console_close 60
result $? "the rescue system ends"

# Both SSH servers, of which profile ssh takes the first that is there, and a client that comes by the loopback.
ssh-keygen -q -t ed25519 -N '' -f key
printf '[ssh]\nauthorized-keys = %s/key.pub\n' "$SCRATCH" >ssh.conf
printf '[promise can be tested]\ntools = dropbear ssh\n' >test.conf
need_image enter-nspawn -c "$SCRATCH/ssh.conf" -p minimal -p enter -p ssh -p "$SCRATCH/test.conf"
rescue "$IMAGE" || bail "no rescue system"
console_type 2
console_wait '# ' 30
run 'lifeboat enter --run "systemctl is-enabled hang.service; systemctl is-system-running; cat /root/file; readlink -f '$link'"; echo $?'
like "systemd-nspawn is taken where it is there" "$ANSWER" 'in systemd-nspawn$'
is "and the command runs in it" "$(tail -n 5 <<<"$ANSWER")" "disabled
maintenance
crashed
/dev/ubda3
0"
run 'lifeboat enter -q --run "echo RUNNING; sleep 1000" >/tmp/out & until grep -q RUN /tmp/out; do sleep 1; done; kill -TERM $!; wait $!; echo $?; ps | grep -c "[s]leep 1000\|[n]spawn"; grep -c ubda /proc/mounts'
is "after a signal nothing of it is left" "$(grep '^[0-9]*$' <<<"$ANSWER")" "1
0
0"
run 'stty -g >/tmp/before'
console_type lifeboat\ enter
console_wait 'LIFEBOAT ENTERED' 120 && console_wait '# ' 30
result $? "systemd-nspawn at the terminal, a serial line"
printf '\035\035\035' >&"$console_in"
console_wait '# ' 60
run 'grep -c ubda /proc/mounts; stty -g | cmp - /tmp/before && echo as before'
is "Ctrl-] three times leaves it, and the line is as it was" "$ANSWER" "0
as before"

cat >by-ssh <<'EOF'
#!/bin/sh
# by-ssh [-tt] COMMAND: as root by the key.
exec ssh -F none -i /tmp/key -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=/dev/null \
	-o StrictHostKeyChecking=no -o LogLevel=ERROR root@127.0.0.1 "$@"
EOF
cat >nothing-left <<'EOF'
#!/bin/sh
# Soon nothing of the container is left, and nothing is mounted.
for i in $(seq 60); do
	[ "$(ps | grep -c "[l]ifeboat enter\|[n]spawn") $(grep -c ubda /proc/mounts)" != "0 0" ] || exec echo nothing left
	sleep 0.5
done
ps
EOF
# at_terminal SERVER: the system is entered at a terminal of SSH, and left; then the connection is lost in the middle of it.
at_terminal() {
	console_type "sh /tmp/by-ssh -tt 'lifeboat enter'"
	console_wait 'LIFEBOAT ENTERED' 120 && console_wait '# ' 30 && console_type 'echo "at $(tty)"; exit' &&
		console_wait 'at /dev/' 30 && console_wait 'unmounted' 60 && console_wait '# ' 30
	result $? "$1: entered at its terminal, and left"
	run 'sh /tmp/nothing-left'
	is "$1: nothing stays mounted then" "$ANSWER" "nothing left"
	run 'sleep 1000 | sh /tmp/by-ssh -tt "lifeboat enter" >/tmp/said & until grep -q ENTERED /tmp/said; do sleep 1; done; kill -KILL $!; sh /tmp/nothing-left'
	is "$1: when the connection is lost it is left, and nothing stays mounted" "$(tail -n 1 <<<"$ANSWER")" "nothing left"
}
run "mount -t hostfs none /mnt -o $SCRATCH && cp /mnt/key /mnt/by-ssh /mnt/nothing-left /tmp; umount /mnt"
run "sh /tmp/by-ssh 'lifeboat enter -q --run \"systemctl is-system-running; exit 5\"'; echo \$?"
is "over SSH: a command inside, its exit status" "$ANSWER" "maintenance
5"
at_terminal OpenSSH
run 'kill $(cat /run/sshd.pid); rm /usr/sbin/sshd /etc/ssh/ssh_host_*; . /lib/rescue.sh; settings_load; ssh_start 2>/dev/null'
at_terminal dropbear
console_type poweroff
console_close 60

# ---- the boot loader, as that is written from within ----
disk=$(losetup -f --show disk.img)
partx -a "$disk" || bail "no loop device"
ok "apt, update-initramfs and grub-install from within" "$LIFEBOAT" enter --run \
	"apt-get check && update-initramfs -u && grub-install --target=i386-pc $disk" "${disk}p3"
partx -d "$disk"
losetup -d "$disk"
like "the boot loader is there" "$(head -c 446 disk.img | tr -c '[:print:]' '\n')" GRUB

boot_machine
console_wait MACHINE-IS-UP 180
result $? "the machine boots again"
console_close 60
result $? "and ends well"
ok "its file system is clean" e2fsck -fn "disk.img?offset=44040192"
finish_plan
