# shellcheck shell=bash disable=SC2154 # args, net_args: story.sh's; boots, passphrases: the .conf's
# The tree of a machine of tests/guest/machines/ that boots by itself: a small Debian 12 with its own kernel, GRUB for BIOS and
# UEFI and an initramfs that starts RAID, LUKS and LVM, made once and shared by all of them. Definitions only; bash.

# bootable_packages LISTING: prints what the machines are made of, one package a line.
bootable_packages() {
	cat <<-EOF
		systemd-sysv
		udev
		dbus
		kmod
		linux-image-amd64
		initramfs-tools
		zstd
		grub-pc
		grub-efi-amd64-bin
		grub-efi-amd64-signed
		shim-signed
		efibootmgr
		extlinux
		systemd-boot
		mdadm
		lvm2
		thin-provisioning-tools
		cryptsetup-initramfs
		e2fsprogs
		dosfstools
		xfsprogs
		btrfs-progs
		fdisk
		dump
		xfsdump
		tar
		procps
	EOF
	debian_libraries "$1"
}

# What machines in a guest have: nearly all of the kernel's modules stay out of their trees.
bootable_modules='fs/ext4 fs/jbd2 fs/mbcache fs/xfs fs/btrfs fs/fat fs/nls fs/efivarfs
	fs/autofs fs/configfs lib/crc lib/raid6 lib/zstd lib/libcrc32c lib/crypto lib/xxhash lib/lz crypto arch/x86/crypto drivers/md
	drivers/block/virtio drivers/nvme/host drivers/nvme/common drivers/ata/ahci drivers/ata/libahci drivers/ata/libata drivers/scsi/sd_mod
	drivers/scsi/scsi_ drivers/virtio drivers/char/virtio_console drivers/firmware drivers/net/virtio_net drivers/net/net_failover
	net/core block drivers/dax drivers/usb/host/xhci drivers/usb/core drivers/usb/common drivers/usb/storage'
# What their initramfs has.
bootable_initramfs='virtio_pci virtio_blk ahci sd_mod nvme ext4 xfs btrfs vfat nls_cp437 nls_ascii raid0 raid1 raid10 raid456 dm_mod dm_crypt
	dm_thin_pool dm_raid dm_mirror dm_snapshot aes_generic aesni_intel xts cbc essiv sha256_generic sha512_generic crc32c_generic efivarfs'
# What nobody in them needs.
bootable_ballast='var/cache/apt/* var/cache/debconf/* var/lib/apt/lists/* usr/lib/x86_64-linux-gnu/perl usr/share/perl usr/lib/python3*
	usr/lib/x86_64-linux-gnu/libicu* usr/lib/udev/hwdb* usr/lib/grub/*/gcd* usr/lib/grub/*/grubnet* usr/lib/grub/x86_64-efi/monolithic
	usr/share/grub/*.pf2 usr/share/zoneinfo usr/share/i18n'

# bootable_base LISTING: prints the path of a tar archive of it.
# shellcheck disable=SC2016,SC2086,SC2116 # the hooks' own variables; words; on one line
bootable_base() {
	local packages module includes=()
	packages=$(bootable_packages "$1") || return 1
	for module in $bootable_modules; do
		includes+=(--dpkgopt="path-include=/lib/modules/*/kernel/$module*")
	done
	INITRD=No debian_tree "$packages" --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/lib/modules/*/kernel/*' \
		"${includes[@]}" --customize-hook="printf '%s\\n' $(echo $bootable_initramfs) >\"\$1/etc/initramfs-tools/modules\"" \
		--customize-hook='printf "MODULES=list\nRESUME=none\nCOMPRESS=zstd\n" >"$1/etc/initramfs-tools/conf.d/small"' \
		--customize-hook='echo CRYPTSETUP=y >>"$1/etc/cryptsetup-initramfs/conf-hook"' \
		--customize-hook='chroot "$1" update-initramfs -c -k all' \
		--customize-hook='cd "$1" && rm -rf '"${bootable_ballast//[$'\n\t']/ }"
}

# bootable_tree FOLDER: makes FOLDER/tree.tar, what every machine has, and FOLDER/few, what lies on each of its file systems. By `once`.
bootable_tree() {
	local root=$1/root
	mkdir -p "$root" "$1/few/a/b" && head -c 100000 /dev/urandom >"$1/few/a/b/random" &&
		touch -d '2001-02-03 04:05:06' "$1/few/a/b" "$1/few/a" || return 1
	DEBIAN_TOOLS=$SHARED/tools DEBIAN_BASE=$(bootable_base "$SHARED/tools/listing") || return 1
	tar -C "$root" --numeric-owner --xattrs --xattrs-include='*' -xf "$DEBIAN_BASE" || return 1
	cp -R --preserve=mode "$DEBIAN_TOOLS/root/." "$root/" && debian_configure "$root" - - || return 1
	# what only costs time in a machine that lives for a minute
	chroot "$root" systemctl -q mask getty@tty1.service systemd-timesyncd.service systemd-pstore.service lvm2-monitor.service \
		systemd-update-utmp.service grub-common.service mdadm-shutdown.service mdcheck_start.timer mdcheck_continue.timer \
		mdmonitor-oneshot.timer xfs_scrub_all.timer systemd-binfmt.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount ||
		return 1
	mkdir -p "$root/mnt" "$root/srv/odd"
	cp -a "$1/few" "$root/srv/odd/" && tar -C "$root" --numeric-owner --xattrs --xattrs-include='*' -cf "$1/tree.tar" . && rm -rf "$root"
}

# ---- the machine and its disks in qemu ----

# bootable_disks BUS 'a=SIZE[:SECTOR-SIZE] …' PREFIX [reversed]: sets `disk_args`: the machine's disks $FOLDER/disk-PREFIX-a …, on
# virtio, sata or nvme, the first of them the one that firmware starts.
bootable_disks() {
	local word letter sector order=$2 file id sectors number=1
	[ "${4:-}" != reversed ] || order=$(tr ' ' '\n' <<<"$2" | tac)
	disk_args=()
	for word in $order; do
		letter=${word%%=*} sectors=
		IFS=: read -r _ sector <<<"$word"
		file=$FOLDER/disk-$3-$letter id=$3-$letter
		[ -z "$sector" ] || sectors=,logical_block_size=$sector,physical_block_size=$sector
		number=$(($(printf %d "'$letter") - 96)) # by letter, whatever the order
		disk_args+=(-drive "if=none,id=$id,format=raw,cache=unsafe,file=$file")
		case $1${sector:+-$sector} in
		virtio*) disk_args+=(-device "virtio-blk-pci,drive=$id,serial=$id,bootindex=$number$sectors") ;;
		sata) disk_args+=(-device "ahci,id=ahci-$id" -device "ide-hd,bus=ahci-$id.0,drive=$id,serial=$id,model=Test disk,bootindex=$number") ;;
		*) disk_args+=(-device "nvme,drive=$id,serial=$id,bootindex=$number$sectors") ;; # no SATA disk has other sectors than 512 there
		esac
	done
}

# bootable_open NAME ARGUMENT…: starts qemu with a console (console_wait, console_type) that is logged in $FOLDER/NAME.log.
bootable_open() {
	local name=$1
	shift
	if [ "$boots" = uefi ]; then
		uefi_args "$FOLDER/$name.variables" && set -- "$@" "${args[@]}"
	fi
	console_open timeout --kill-after=5 $((1800 * LIMIT_FACTOR)) qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 \
		-no-reboot -display none -monitor none -serial stdio "${net_args[@]}" "$@"
	ln -sf "$CONSOLE_LOG" "$FOLDER/$name.log"
}

# bootable_unlock QUESTION: types the passphrase of each encrypted device when it is asked for.
bootable_unlock() {
	local number
	for ((number = 0; number < ${passphrases:-0}; number++)); do
		console_wait "$1" $((600 * LIMIT_FACTOR)) || return 1
		sleep 0.5 # it throws away what was typed before it asked
		console_type passphrase
	done
}

# bootable_run NAME STAGE…: boots the machine from its disks alone (disk_args), with the agent's scripts $SCRATCH/NAME.STAGE,
# until it powers itself off. What they leave is in $SCRATCH/NAME/STAGE.
bootable_run() {
	agent_args "$@"
	bootable_open "$1" "${disk_args[@]}" "${args[@]}" && bootable_unlock "Please unlock disk" &&
		console_close $((1500 * LIMIT_FACTOR)) && agent_results "$@" && return
	kill "$CONSOLE_PID" 2>/dev/null
	show_console "$CONSOLE_LOG"
	return 1
}

# Commands for the agent: where the root is a btrfs, every file of all its subvolumes, each by itself, as `listing` stays on its device.
# shellcheck disable=SC2016 # the agent's own variables
bootable_top='if [ "$(findmnt -nvo FSTYPE /)" = btrfs ]; then
	unshare -m sh -ec "mount -o ro,subvolid=5 \"$(findmnt -nvo SOURCE /)\" /run/story/bare; cd /run/story/bare
		find . -type d -inum 256 | sort >/run/story/subvolumes
		while read -r subvolume; do echo \"#### \$subvolume\"; listing \"\$subvolume\"; done </run/story/subvolumes" >top
fi'

# bootable_scripts NAME PREFIX 'a=SIZE …' [COMMAND]: the agent's scripts: what the machine is, then COMMAND.
bootable_scripts() {
	cat >"$SCRATCH/$1.early" <<-'EOF'
		grep ' / ' /proc/mounts >mounts
		phase listing list root
	EOF
	printf '%s\n' "$bootable_top" >>"$SCRATCH/$1.early"
	cat >"$SCRATCH/$1.late" <<-EOF
		cat >describe.sh <<'END-DESCRIBE'
		$(cat "$TOP/tests/guest/lib/describe.sh")
		END-DESCRIBE
		cat >describe-all <<'END-ALL'
		. ./describe.sh
		DISKS=
		for word in $3; do
			letter=\${word%%=*} DISKS+=" \$letter"
			printf -v \$letter '/dev/%s' "\$(lsblk -dno NAME,SERIAL | awk -v serial="$2-\$letter" '\$2 == serial { print \$1 }')"
		done
		machine_facts facts
		while read -r _ folder type _; do
			[ "\$folder" != / ] && [ "\$type" != swap ] || continue
			folder=\${folder//\\\\040/ }
			echo "#### \$folder/"
			FOLDER=\$folder unshare -m sh -ec 'mount --bind "\$FOLDER" /run/story/bare; listing /run/story/bare' || exit 1
		done </etc/fstab >others
		END-ALL
		phase describe bash ./describe-all
		systemctl is-system-running --wait >state || true
		systemctl --failed --no-legend --plain >failed
		${4:-}
		sync
	EOF
}
