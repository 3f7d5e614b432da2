#!/bin/bash
# What profiles promise, done: one guest with an image of them all makes and mounts every file system, volume and
# array, reaches shares, joins a wireless network, takes the network card by its MAC address and a USB keyboard, and
# lets in by SSH who has the key, through OpenSSH and dropbear.
# needs: root qemu kernel ssh ssh-keygen ssh-keyscan sshd dropbear wpa_supplicant lvm thin_check mdadm cryptsetup mkfs.xfs xfsdump mkfs.btrfs efibootmgr mkfs.vfat smbd ganesha.nfsd rpcbind
# limit: 900
# shellcheck disable=SC2016 # what stands in single quotes is for the guest
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/servers.sh
. "$TOP/tests/guest/lib/servers.sh"
mac=52:54:00:12:34:99

qemu() {
	local disks=() i
	for i in 0 1 2 3 4 5; do
		disks+=(-drive "file=disk$i,format=raw,if=virtio")
	done
	qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -display none -serial stdio -monitor none \
		-no-reboot -kernel "$IMAGE/vmlinuz" -initrd "$IMAGE/initrd.img" \
		-append "console=ttyS0 quiet lifeboat.interface=$mac" "${disks[@]}" \
		-device qemu-xhci -device usb-kbd -device virtio-rng-pci \
		-nic user,model=virtio-net-pci,net=10.9.0.0/24 \
		-nic "user,model=e1000,mac=$mac,hostfwd=tcp:127.0.0.1:$port-:22"
}

# in_guest COMMANDS: runs them there, as root by the right key.
in_guest() {
	ssh -F none -n -p "$port" -i key -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=known \
		-o StrictHostKeyChecking=yes -o ConnectTimeout=60 root@127.0.0.1 "set -e; $1"
}

# does NAME COMMANDS: each of the commands succeeds in the guest.
does() {
	ok "$1" in_guest "$2"
}

ssh-keygen -q -t ed25519 -N '' -f key
ssh-keygen -q -t ed25519 -N '' -f other
cat >wifi.conf <<'END'
network={
	ssid="lifeboat"
	psk="a secret of eight"
}
END
chmod 600 wifi.conf
cat >recovery.conf <<END
[console]
keymap = none
[ssh]
authorized-keys = $PWD/key.pub
[wifi]
config = $PWD/wifi.conf
END
# The other SSH server as well, and who plays the access point.
printf '[promise can be tested]\ntools = dropbear\nmodules = mac80211_hwsim\n' >test.conf

options=()
for profile in minimal keyboard smb nfs uefi ssh lvm raid luks xfs btrfs wifi ./test.conf; do
	options+=(-p "$profile")
done
need_image profiles -c "$SCRATCH/recovery.conf" "${options[@]/#.\//$SCRATCH/}"
is "an image with a wireless network's password is private" "$(stat -c %a "$IMAGE/initrd.img")" 600

mkdir share export
echo by-smb >share/file
echo by-nfs >export/file
smb_port=$(servers_free_port)
servers_smb_start "$PWD/smb" "$smb_port" secret "share=$PWD/share" || bail "no SMB server"
nfs_port=$(servers_free_port) mount_port=$(servers_free_port)
servers_nfs_start "$PWD/nfs" "$nfs_port:$mount_port" "/export=$PWD/export" || bail "no NFS server"
port=$(servers_free_port)
truncate -s 400M disk{0..5}
console_open qemu
console_wait 'host key SHA256:' 300 || bail "the image does not come up"
text=$(tr -d '\r' <"$CONSOLE_LOG")
like "the network card with the MAC address that was asked for" "$text" '^network: eth[01] 10\.0\.2\.15/24 \(DHCP\)$'
like "the console says how it is reached" "$text" '^ssh: root@10\.0\.2\.15, host key SHA256:'

# ---- SSH ----
# reached NAME TEXT: the server on the port has the fingerprint that is said in TEXT; its key is known from now on.
reached() {
	local said
	said=$(sed -n 's/.*host key \(SHA256:[^ ]*\)$/\1/p' <<<"$2")
	ssh-keyscan -T 60 -t ed25519 -p "$port" 127.0.0.1 >known 2>/dev/null
	is "$1: the host key is the one that was shown" "$(ssh-keygen -l -f known | cut -d ' ' -f 2)" "$said"
	does "$1: the key lets in" 'test "$(id -u)" = 0'
	is "$1: commands and their exit status" "$(in_guest 'echo "in $(hostname)"; exit 7' || echo $?)" "in $(hostname)
7"
	refuses "$1: another key does not" 255 'Permission denied \(publickey\)' ssh -F none -n -p "$port" -i other \
		-o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=known root@127.0.0.1 true
}
reached OpenSSH "$text" || bail "no way in"
does "tools and busybox's commands are in its PATH" 'mke2fs -V; awk "BEGIN { exit 0 }"; udhcpc --help'

# ---- file systems ----
does "xfs: made, mounted, dumped, restored, checked" '
	mkfs.xfs -q /dev/vda; mkdir -p /a /b; mount /dev/vda /a; echo kept >/a/file
	mkfs.xfs -q /dev/vdb; mount /dev/vdb /b
	xfsdump -J -l 0 -L x -M x - /a 2>/dev/null | xfsrestore -J - /b >/dev/null 2>&1
	test "$(cat /b/file)" = kept; umount /a /b; xfs_repair -n /dev/vda'
does "btrfs: on two disks, with a subvolume" '
	mkfs.btrfs -q -f -d raid1 -m raid1 /dev/vda /dev/vdb; mount /dev/vda /a
	btrfs subvolume create /a/sub; echo kept >/a/sub/file; umount /a
	mount -o subvol=sub /dev/vdb /b; test "$(cat /b/file)" = kept; umount /b; btrfs check /dev/vda'
does "ext4, swap" '
	wipefs -q -a /dev/vda /dev/vdb; mkfs.ext4 -q /dev/vda; fsck -fn /dev/vda
	mkswap /dev/vdb; swapon /dev/vdb; grep -q vdb /proc/swaps; swapoff /dev/vdb'
does "vfat" 'mkfs.vfat /dev/vda; mount /dev/vda /a; echo kept >/a/file; umount /a; fsck.vfat -n /dev/vda'
like "efibootmgr runs, and finds no UEFI here" "$(in_guest 'efibootmgr' 2>&1)" 'EFI variables are not supported'

# ---- volumes ----
does "luks: version 2 with its own key derivation, opened again" '
	echo -n secret | cryptsetup luksFormat -q --type luks2 --pbkdf argon2id --pbkdf-memory 32768 --iter-time 200 /dev/vda -
	echo -n secret | cryptsetup open /dev/vda safe -; mkfs.ext4 -q /dev/mapper/safe; mount /dev/mapper/safe /a
	echo kept >/a/file; umount /a; cryptsetup close safe
	echo -n secret | cryptsetup open /dev/vda safe -; mount /dev/mapper/safe /a; test "$(cat /a/file)" = kept
	umount /a; cryptsetup close safe
	if echo -n wrong | cryptsetup open /dev/vda safe - 2>/dev/null; then exit 1; fi'
does "raid: made, stopped, assembled, with one disk missing too" '
	mdadm --create /dev/md0 --run -q -l 1 -n 2 --metadata 1.2 /dev/vdb /dev/vdc; mkfs.ext4 -q /dev/md0
	mount /dev/md0 /a; echo kept >/a/file; umount /a; mdadm --stop /dev/md0
	mdadm --assemble /dev/md0 /dev/vdb /dev/vdc; mdadm --stop /dev/md0
	mdadm --assemble --run /dev/md0 /dev/vdc; mount /dev/md0 /a; test "$(cat /a/file)" = kept
	umount /a; mdadm --stop /dev/md0'
does "lvm: a volume, a snapshot and a thin pool, activated again" '
	pvcreate -q /dev/vdd /dev/vde; vgcreate -q vg /dev/vdd /dev/vde
	lvcreate -q -y -L 64M -n plain vg; lvcreate -q -y -L 100M -T vg/pool -V 300M -n thin
	mkfs.ext4 -q /dev/vg/plain; mkfs.xfs -q /dev/vg/thin
	mount /dev/vg/thin /a; echo kept >/a/file; umount /a
	lvcreate -q -y -s -L 16M -n snap vg/plain; lvremove -q -y vg/snap
	vgchange -q -an vg; test ! -e /dev/vg/thin; vgchange -q -ay vg
	mount /dev/vg/thin /a; test "$(cat /a/file)" = kept; umount /a; vgchange -q -an vg'

# ---- shares ----
does "smb3, encrypted" "
	printf 'username=root\npassword=secret\n' >/tmp/c; chmod 600 /tmp/c
	mount -t cifs -o port=$smb_port,credentials=/tmp/c,vers=3.1.1,seal //10.0.2.2/share /a
	test \"\$(cat /a/file)\" = by-smb; echo back >/a/new; umount /a"
is "what was written arrived" "$(cat share/new)" back
does "nfs4" "mount -t nfs4 -o port=$nfs_port,vers=4.1,soft,retry=0 10.0.2.2:/export /a
	test \"\$(cat /a/file)\" = by-nfs; umount /a"
does "nfs3" "mount -t nfs -o vers=3,port=$nfs_port,mountport=$mount_port,proto=tcp,mountproto=tcp,nolock,soft,retry=0 10.0.2.2:/export /a
	grep -q ' /a nfs .*vers=3' /proc/mounts; test \"\$(cat /a/file)\" = by-nfs; echo back >/a/new; umount /a"
is "what was written there arrived" "$(cat export/new)" back

# ---- keyboard, wireless ----
does "a USB keyboard" 'grep -q "QEMU USB Keyboard" /proc/bus/input/devices'
does "a wireless network with a password is joined" '
	modprobe mac80211_hwsim radios=2; ip link set wlan0 up
	printf "network={\nssid=\"lifeboat\"\nmode=2\nfrequency=2412\nkey_mgmt=WPA-PSK\npsk=\"a secret of eight\"\n}\n" >/tmp/ap.conf
	wpa_supplicant -B -i wlan0 -D nl80211 -c /tmp/ap.conf >/dev/null
	. /lib/rescue.sh; settings_load
	test "$(wifi_links | tr "\n" " ")" = "wlan0 wlan1 "
	set +e; wifi_join wlan1 >/dev/null || exit 1
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(cat /sys/class/net/wlan1/operstate)" != up ] || exit 0; sleep 1
	done; exit 1'

# ---- the other server ----
said=$(in_guest 'kill "$(cat /run/sshd.pid)"; rm /usr/sbin/sshd /etc/ssh/ssh_host_*
	. /lib/rescue.sh; settings_load; ssh_start 2>/dev/null')
reached dropbear "$said"
in_guest 'poweroff' >/dev/null 2>&1
console_close 60
result $? "power off"
servers_stop "$PWD/smb"
servers_stop "$PWD/nfs"
finish_plan
