# shellcheck shell=bash
# What the tests of `lifeboat prove` share: the machine, its set, its stick. Definitions only.

# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

# prove_needs bios|uefi|age: sets IMAGE, STICK and SET (a folder).
prove_needs() {
	local kind=$1
	case $kind in
	bios) need_image image ;;
	uefi) need_image image-uefi -p any-machine -p uefi ;;
	age) need_image image-age -p any-machine -p age ;;
	esac
	export LIFEBOAT_STATE=$SCRATCH/state
	once "proof-stick-$kind" prove_stick || bail "no stick"
	once "proof-set-$kind" prove_set "$kind" || bail "no set"
	export STICK=$SHARED/proof-stick-$kind/stick.img SET=$SHARED/proof-set-$kind/share
}
prove_stick() {
	mkdir "$1" && "$LIFEBOAT" usb -q --image "$IMAGE" "$1/stick.img"
}

# prove_machine: prints the disk of the drills' machine with a boot loader, which is made once a fortnight.
prove_machine() {
	local cache=${LIFEBOAT_CACHE:-/var/cache/lifeboat}/lifeboat/drills maker=$TOP/profiles/drills/machine-grub key
	key=grub-$(sha256sum <"$maker" | cut -c 1-12)
	mkdir -p "$cache" || return 1
	(
		flock 9
		[ ! -d "$cache/$key" ] || exit 0
		rm -rf "$cache/partial" && mkdir "$cache/partial" && sh "$maker" "$cache/partial" >&2 &&
			chmod 444 "$cache/partial/disk0.img" &&
			(cd "$cache/partial" && sha256sum disk0.img >SHA256SUMS) && mv "$cache/partial" "$cache/$key"
	) 9>"$cache/lock" || return 1
	printf '%s\n' "$cache/$key/disk0.img"
}

# prove_set bios|uefi|age FOLDER: FOLDER/share, a backup of that machine. User-Mode Linux reads its disk, so what only the running
# machine knows of itself is put into machine.conf afterwards: its mount points and how it is started. The one that a BIOS starts is a
# set of level 1; the other has a network, services that start with it, and its loader where only the firmware's entry finds it. The third is encrypted, by the key in FOLDER/key.
prove_set() {
	local kind=$1 folder=$2 disk encrypt=:
	disk=$(prove_machine) && mkdir -p "$folder" "$SCRATCH/made" && cp --sparse=always "$disk" "$folder/machine.img" || return 1
	echo $((20000 + RANDOM % 10000)) >"$folder/port"
	if [ "$kind" = age ]; then
		age-keygen -o "$folder/key" && encrypt="printf '[backup]\nencrypt-to = %s\n' $(age-keygen -y "$folder/key")" || return 1
	fi
	cat >"$SCRATCH/make-set" <<-EOF
		export TMPDIR=/run
		. '$TOP/tests/guest/lib/prove.sh'
		modprobe -q -a vfat nls_cp437 nls_ascii
		mkdir -p /run/old && mount /dev/ubda3 /run/old && mount /dev/ubda2 /run/old/boot/efi || exit 1
		# what is not there need not be recovered by an emulated processor
		find /run/old/usr/lib/modules -name '*.ko' |
			grep -v -e /fs/ -e /block/ -e /virtio -e /crypto/ -e crc -e failover | xargs rm
		rm -r /run/old/usr/share/zoneinfo
		# on a busy computer its device may take longer than the minute and a half that systemd gives it
		sed -i 's|umask=0077|&,x-systemd.device-timeout=900|' /run/old/etc/fstab
		prove_machine_$kind /run/old '$(<"$folder/port")' || exit 1
		mount -o remount,ro /run/old && mount -o remount,ro /run/old/boot/efi || exit 1
		$encrypt >/run/recovery.conf
		'$LIFEBOAT' backup -q -c /run/recovery.conf "file://$SCRATCH/made" || exit 1
		[ $kind = bios ] || exit 0
		mount -o remount,rw /run/old && prove_change /run/old && mount -o remount,ro /run/old || exit 1
		'$LIFEBOAT' backup -q -c /run/recovery.conf --level 1 "file://$SCRATCH/made"
	EOF
	uml_run "$SCRATCH/make-set" ubda="$folder/machine.img" || { tail -n 20 "$SCRATCH/uml.log"; return 1; }
	rm "$folder/machine.img" && mv "$SCRATCH/made" "$folder/share" || return 1
	# shellcheck disable=SC2016 # sed's own $
	case $kind in
	bios | age) spoil_conf "$folder/share" "$prove_as_root"'; $a\\n[boot]\nloader = grub\ntarget = i386-pc\ndisk = ubda' ;;
	uefi) spoil_conf "$folder/share" "$prove_as_root"'; s|^firmware = .*|firmware = uefi|
		$a\\n[boot-entry 1]\nlabel = debian\npartition = ubda2\npath = /EFI/debian/grubx64.efi' ;;
	esac
}
prove_as_root='s|^mountpoint = /run/old$|mountpoint = /|; s|^mountpoint = /run/old/boot|mountpoint = /boot|
	s|^path = /dev/ubda|&\nbus = virtio|'

# prove_change ROOT: what happened between the two backups.
prove_change() {
	sleep 1 # dump knows what is new by the second
	echo changed >"$1/etc/motd" && rm "$1/etc/issue.net" && echo "of level 1" >"$1/srv/new"
}
prove_machine_bios() {
	:
}
prove_machine_age() {
	:
}

# prove_machine_uefi ROOT PORT: a service at port 2222; one that calls this machine's port PORT, and says so on its console when it came
# through; one that fails.
prove_machine_uefi() {
	local units=$1/etc/systemd/system
	mkdir -p "$1/boot/efi/EFI/debian" "$1/etc/systemd/network" "$units/multi-user.target.wants" "$units/sockets.target.wants" &&
		mv "$1/boot/efi/EFI/BOOT/BOOTX64.EFI" "$1/boot/efi/EFI/debian/grubx64.efi" && rmdir "$1/boot/efi/EFI/BOOT" || return 1
	printf '[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' >"$1/etc/systemd/network/all.network"
	printf '[Socket]\nListenStream=2222\nAccept=yes\n' >"$units/answers.socket"
	printf '[Service]\nExecStart=/bin/echo hello\nStandardOutput=socket\n' >"$units/answers@.service"
	printf '[Service]\nType=oneshot\nExecStart=/bin/false\n' >"$units/broken.service"
	printf '[Service]\nExecStart=/bin/bash /etc/calls\n' >"$units/calls.service"
	cat >"$1/etc/calls" <<-EOF
		until grep -q '10[.]0[.]2[.]15' /proc/net/fib_trie; do sleep 1; done
		for try in 1 2 3; do
			! (echo "a recovered machine" >/dev/tcp/10.0.2.2/$2) 2>/dev/null || echo "CALLED THE WORLD" >/dev/ttyS0
			sleep 1
		done
		echo "SITE IS UP" >/dev/ttyS0
	EOF
	ln -s /lib/systemd/system/systemd-networkd.service ../broken.service ../calls.service "$units/multi-user.target.wants/" &&
		ln -s ../answers.socket "$units/sockets.target.wants/"
}

# sum_again SHARE FILE: its sum in SHA256SUMS.
sum_again() (
	cd "$(prove_newest "$1")" && sum=$(sha256sum "$2") && sed -i "s|^.*  $2\$|$sum|" SHA256SUMS && sha256sum -c --quiet SHA256SUMS
)

# prove_newest SHARE: prints the folder of its newest set.
prove_newest() {
	printf '%s\n' "$1"/*/* | tail -n 1
}

# spoil_conf SHARE SED-SCRIPT, spoil_listing SHARE SED-SCRIPT: the newest set's machine.conf, the listing of its root; sums fit.
spoil_conf() {
	sed -i "$2" "$(prove_newest "$1")/machine.conf" && sum_again "$1" machine.conf
}
spoil_listing() {
	local file
	file=$(prove_newest "$1")/run-old.listing.zst.000
	zstd -qdc "$file" | sed "$2" | zstd -q >"$SCRATCH/listing.new" && mv "$SCRATCH/listing.new" "$file" &&
		sum_again "$1" run-old.listing.zst.000
}

# take_out IMAGE FILE FOLDER: a copy of the image without the files of that name.
take_out() {
	local tree=$SCRATCH/tree
	mkdir -p "$tree" "$3" && cp "$1"/* "$3" || return 1
	zstd -qdc "$1/initrd.img" | (cd "$tree" && busybox cpio -i -d 2>/dev/null)
	[ -n "$(find "$tree" -name "$2")" ] && find "$tree" -name "$2" -delete &&
		(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) | zstd -q >"$3/initrd.img.new" &&
		mv "$3/initrd.img.new" "$3/initrd.img" && rm -r "$tree"
}

# prove NAME STICK SHARE [OPTION…]: into the folder NAME, its words into NAME.out and NAME.said.
prove() {
	local name=$1 stick=$2 share=$3
	shift 3
	"$LIFEBOAT" prove --accel tcg --memory 1024 --output "$name" --medium "$stick" "$@" "file://$(realpath "$share")" \
		>"$name.out" 2>"$name.said"
}
