# shellcheck shell=bash
# The machine that the story protects: a real Debian 12 on a disk of its own (its own kernel, initramfs,
# systemd, GRUB; ext4 root and swap), with lifeboat installed and files of every awkward kind. Nothing
# is typed into it: scripts go in through qemu's firmware configuration and results come out through a
# virtio serial port, so that no further disk is attached. Definitions only; needs root and loop devices.

# debian_packages: prints what the machine is made of, one package a line.
debian_packages() {
	cat "$TOP/scripts/packages-run" - <<-EOF | sed 's/ *#.*//; /^$/d'
		systemd-sysv
		udev
		dbus
		linux-image-amd64
		grub-pc
		grub-efi-amd64-bin
		grub-efi-amd64-signed
		shim-signed
		efibootmgr
		procps
		attr
		acl
		libcap2-bin
	EOF
	debian_libraries "$1"
}

# debian_libraries PROGRAM: prints the packages of the libraries that lifeboat and PROGRAM are linked with.
debian_libraries() {
	ldd "$BUILD/lifeboat" "$1" | sed -n 's|.*=> \(/[^ ]*\).*|\1|p' | sort -u |
		while read -r library; do
			dpkg -S "$library" 2>/dev/null || dpkg -S "/usr$library"
		done | sed 's/:.*//' | sort -u
}

# debian_base LISTING: prints the path of a tar archive of a plain Debian 12 with debian_packages, without the modules
# of devices that no emulated computer has: an emulated processor reads, hashes, packs and unpacks each several times.
debian_base() {
	local packages kind left=()
	for kind in drivers/{gpu,media,iio,infiniband,staging,hwmon,mtd,isdn} drivers/net/{wireless,can,dsa,ieee802154,wwan} sound; do
		left+=("--dpkgopt=path-exclude=/lib/modules/*/kernel/$kind/*")
	done
	packages=$(debian_packages "$1") && debian_tree "$packages" "${left[@]}"
}

# debian_tree PACKAGES [OPTION…]: prints the path of a tar archive of a Debian 12 with these packages, one a line, made by
# mmdebstrap with these options once a fortnight into the cache folder.
debian_tree() {
	local cache=${LIFEBOAT_CACHE:-/var/cache/lifeboat} packages=$1 sources key base partial
	shift
	# the sources that this host uses, as far as they are Debian's
	# shellcheck disable=SC2016 # apt's own variables
	sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | grep ' bookworm' | sort -u)
	[ -n "$sources" ] || sources='deb http://deb.debian.org/debian bookworm main'
	key=$(printf '%s\n' "$packages" "$sources" "$@" | sha256sum | cut -c 1-16)
	base=$cache/machine-$key.tar
	if [ -z "$(find "$base" -mtime -14 2>/dev/null)" ]; then
		mkdir -p "$cache" && find "$cache" -name 'machine*' -mtime +14 -delete
		partial=$(mktemp "$cache/machine.XXXXXX") || return 1
		printf '%s\n' "$sources" | mmdebstrap --quiet --mode=root --variant=minbase --format=tar \
			--aptopt='Acquire::Retries "5"' \
			--dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' \
			--include="$(paste -sd, <<<"$packages")" "$@" bookworm "$partial" - >&2 || {
			rm -f "$partial"
			return 1
		}
		mv "$partial" "$base"
	fi
	printf '%s\n' "$base"
}

# debian_tools FOLDER: builds the listing and installs lifeboat, as a person would, into FOLDER/root.
debian_tools() {
	make_listing "$1/listing" || return 1
	make -s -j2 -C "$TOP" BUILD="$BUILD/machine" PREFIX=/usr DESTDIR="$1/root" install
}

# debian_partition DISK SIZE mbr|gpt|uefi: a new disk file with its table, like Debian's installer makes them.
debian_partition() {
	truncate -s "$2" "$1" || return 1
	case $3 in
	mbr) # root, then swap as a logical partition
		sfdisk -q "$1" <<-EOF
			label: dos
			label-id: 0x1b0a7001
			start=1MiB, size=$(($(stat -c %s "$1") / 1048576 - 200))MiB, type=83, bootable
			type=5
			type=82
		EOF
		;;
	gpt)
		sfdisk -q "$1" <<-EOF
			label: gpt
			start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name="grub"
			size=$(($(stat -c %s "$1") / 1048576 - 200))MiB, type=linux, name="the root"
			type=swap, attrs=GUID:60
		EOF
		;;
	uefi)
		sfdisk -q "$1" <<-EOF
			label: gpt
			start=1MiB, size=64MiB, type=uefi, name="EFI System"
			size=$(($(stat -c %s "$1") / 1048576 - 300))MiB, type=linux, name="the root"
			type=swap
		EOF
		;;
	esac
}

# debian_configure ROOT ROOT-UUID SWAP-UUID: settings of the machine, and its agent.
debian_configure() {
	local root=$1
	echo lifeboat-story >"$root/etc/hostname"
	printf '127.0.0.1 localhost lifeboat-story\n' >"$root/etc/hosts"
	printf 'nameserver 10.0.2.3\n' >"$root/etc/resolv.conf"
	printf 'UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s none swap sw 0 0\n' "$2" "$3" >"$root/etc/fstab"
	echo 3f5a9d6c17e84b0f8c2b7e64d1a0c935 >"$root/etc/machine-id"
	printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/80-dhcp.network"
	mkdir -p "$root/etc/systemd/journald.conf.d"
	printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/volatile.conf"
	# Emulated, and the first listing takes its time: a disk that is not there yet comes all the same.
	mkdir -p "$root/etc/systemd/system.conf.d"
	printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n' >"$root/etc/systemd/system.conf.d/slow.conf"
	cat >"$root/etc/default/grub" <<-EOF
		GRUB_DEFAULT=0
		GRUB_TIMEOUT=1
		GRUB_DISTRIBUTOR=Debian
		GRUB_CMDLINE_LINUX_DEFAULT=""
		GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
		GRUB_TERMINAL="console serial"
		GRUB_SERIAL_COMMAND="serial --speed=115200"
	EOF
	# What changes files by itself would make the listings before and after the backup differ.
	rm -f "$root"/var/log/wtmp "$root"/var/log/btmp "$root"/var/log/lastlog
	cp "$root/usr/share/systemd/tmp.mount" "$root/etc/systemd/system/"
	chroot "$root" systemctl -q enable tmp.mount systemd-networkd.service
	chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer
	echo root:lifeboat | chroot "$root" chpasswd
	debian_agent "$root"
}

# debian_agent ROOT: /usr/local/lib/story/agent and its two units. Stage `early` runs while the root
# file system is still read-only, stage `late` when the machine is up; after that it powers off.
debian_agent() {
	local dir=$1/usr/local/lib/story
	mkdir -p "$dir"
	cp "$DEBIAN_TOOLS/listing" "$dir/listing"
	cat >"$dir/agent" <<-'EOF'
		#!/bin/sh
		# agent STAGE: runs what the host handed over for STAGE, in a folder whose content goes back.
		modprobe -q qemu_fw_cfg
		modprobe -q virtio_console
		script=/sys/firmware/qemu_fw_cfg/by_name/opt/lifeboat/$1/raw
		[ -e "$script" ] || exit 0
		exec </dev/null
		mkdir -p "/run/story/$1" /run/story/bare
		cd "/run/story/$1" || exit 1
		export PATH=/usr/local/lib/story:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		# list NAME: every path of the root file system, also those that others are mounted over
		list() {
			unshare -m sh -ec 'mount --bind / /run/story/bare; listing /run/story/bare' >"$1"
		}
		# phase NAME COMMAND...: its seconds go to the file `phases`
		phase() {
			phase_name=$1 phase_start=$(date +%s)
			shift
			echo "story: $phase_name: $*"
			"$@" || { echo "story: $phase_name failed with $?"; exit 1; }
			echo "$phase_name $(($(date +%s) - phase_start))" >>phases
		}
		{
			(set -eu; . "$script")
			echo $? >status
		} 2>&1 | tee log >/dev/console # a pipe: plain lines instead of progress bars
		for port in /sys/class/virtio-ports/*; do
			[ "$(cat "$port/name")" != lifeboat.story ] ||
				tar -C /run/story -cf - "$1" >"/dev/${port##*/}"
		done
		echo "story: $1 ended with $(cat status)" >/dev/console
		[ "$1" != late ] || systemctl --no-block poweroff
	EOF
	chmod 755 "$dir/agent"
	cat >"$1/etc/systemd/system/story-early.service" <<-EOF
		[Unit]
		DefaultDependencies=no
		Before=systemd-remount-fs.service
		[Service]
		Type=oneshot
		ExecStart=/usr/local/lib/story/agent early
		TimeoutStartSec=infinity
		[Install]
		WantedBy=sysinit.target
	EOF
	cat >"$1/etc/systemd/system/story-late.service" <<-EOF
		[Unit]
		Wants=network-online.target
		After=network-online.target multi-user.target serial-getty@ttyS0.service
		[Service]
		ExecStart=/usr/local/lib/story/agent late
		[Install]
		WantedBy=graphical.target
	EOF
	chroot "$1" systemctl -q enable story-early.service story-late.service
	chroot "$1" systemctl -q set-default graphical.target
}

# debian_odd_files FOLDER: files of every kind that backups have lost before.
debian_odd_files() (
	umask 022
	mkdir "$1" && cd "$1" || exit 1
	mkdir -p few/{0..49} empty/{a,b/c} "$(printf 'd/%.0s' {1..100})"
	for i in {0..49}; do
		for j in {0..39}; do
			echo "file $i $j" >"few/$i/$j"
		done
		ln "few/$i/0" "few/$i/second name of 0"
		ln -s "../$((i / 2))/1" "few/$i/link"
	done
	echo far >"$(printf 'd/%.0s' {1..100})/file"
	ln few/0/1 d/d/d/hard # across folders
	ln -s /nowhere/at/all dangling
	ln -s "$(printf 'x%.0s' {1..1000})" long-link

	truncate -s 64M holes-only
	truncate -s 5M holes-around
	printf middle | dd of=holes-around bs=1 seek=2500000 conv=notrunc status=none
	printf start >hole-at-end && truncate -s 1M hole-at-end
	truncate -s 1M hole-at-start && printf end >>hole-at-start
	dd if=/dev/zero of=zeros-no-hole bs=1M count=3 status=none
	: >empty-file
	head -c 5000000 /dev/urandom >random

	touch 'with space' $'new\nline' $'tab\tand\\backslash' -- -dash '*' $'latin1-\xe9\xff' \
		"$(printf 'n%.0s' {1..254})" $'\x01' 'ünï'
	touch -d '1965-03-04 05:06:07' before-1970
	touch -d '2001-02-03 04:05:06.123456789' nanoseconds
	touch -d '2040-01-01 00:00:00.5' after-2038
	ln -s x link-with-time && touch -h -d '1999-12-31 23:59:59.987654321' link-with-time
	mkdir folder-with-time && touch folder-with-time/in && touch -d '2002-02-02 02:02:02.222222222' folder-with-time

	mkfifo -m 640 fifo
	mknod -m 600 char c 1 3
	mknod -m 660 block b 7 200
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die'
	install -m 4755 /dev/null setuid && install -m 2750 /dev/null setgid
	mkdir -m 1777 sticky && mkdir -m 0 no-rights
	touch owned && chown 4000000000:3999999999 owned

	echo x >xattrs
	setfattr -n user.text -v 'some value' xattrs
	setfattr -n user.empty xattrs
	setfattr -n user.long -v "$(head -c 1500 /dev/zero | tr '\0' v)" xattrs
	setfattr -n trusted.secret -v t xattrs
	setfattr -n security.lifeboat -v s xattrs
	setfattr -h -n trusted.on-link -v l dangling
	mkdir acl && setfacl -m u:33:rwx,g:44:r-x,m::rwx acl && setfacl -d -m u:1234:rw- acl
	touch acl/inherits
	touch capable && setcap cap_net_raw+ep capable

	touch immutable append nodump noatime
	chattr +i immutable && chattr +a append && chattr +d nodump && chattr +A noatime
	mkdir fixed && chattr +i fixed
)

# debian_system_partition DISK ROOT ROOT-UUID: the FAT of a machine that starts by UEFI, with what starts it the first
# time from where firmware looks by itself; grub-install then runs in the machine. No FAT can be mounted here.
debian_system_partition() {
	local esp=$1@@1M
	mformat -i "$esp" -F -T $((64 * 2048)) -v 'EFI SYSTEM' -N 1B2C3D4E :: || return 1
	mmd -i "$esp" ::EFI ::EFI/BOOT ::EFI/debian || return 1
	mcopy -i "$esp" "$2/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::EFI/BOOT/BOOTX64.EFI || return 1
	# shellcheck disable=SC2016 # GRUB's own variables
	printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' "$3" |
		mcopy -i "$esp" - ::EFI/debian/grub.cfg || return 1
	mkdir -p "$2/boot/efi"
	echo 'UUID=1B2C-3D4E /boot/efi vfat umask=0077 0 1' >>"$2/etc/fstab"
}

# debian_fill ROOT LOOP ROOT-UUID SWAP-UUID DISK mbr|gpt|uefi: everything that lies on the root file system. LOOP: the
# disk; DISK: its file.
debian_fill() {
	local root=$1 loop=$2 dir
	tar -C "$root" --numeric-owner --xattrs --xattrs-include='*' -xf "$DEBIAN_BASE" || return 1
	cp -R --preserve=mode "$DEBIAN_TOOLS/root/." "$root/" || return 1
	debian_configure "$root" "$3" "$4" || return 1
	debian_odd_files "$root/srv/odd" || return 1
	for dir in dev proc sys; do
		mount --bind "/$dir" "$root/$dir" || return 1
	done
	if [ "$6" = uefi ]; then
		debian_system_partition "$5" "$root" "$3" || return 1
		mkdir -p "$root/boot/grub"
	else
		chroot "$root" grub-install --target=i386-pc "$loop" 2>&1 || return 1
	fi
	chroot "$root" update-grub 2>&1 &&
		sed -i "s|root=/dev/loop[0-9]*p[0-9]*|root=UUID=$3|" "$root/boot/grub/grub.cfg" || return 1
	grep -q "root=UUID=$3" "$root/boot/grub/grub.cfg"
}

# debian_disk DISK SIZE mbr|gpt|uefi: the whole machine as a raw disk file that boots. Set before:
# DEBIAN_TOOLS (what debian_tools filled) and DEBIAN_BASE (what debian_base printed).
debian_disk() (
	root_number=1 swap_number=5
	[ "$3" = mbr ] || root_number=2 swap_number=3
	root=$1.root loop=''
	# shellcheck disable=SC2317 # called by the trap
	release() {
		[ ! -d "$root" ] || ! mountpoint -q "$root" || umount -R "$root"
		[ -z "$loop" ] || { partx -d "$loop"; losetup -d "$loop"; }
	}
	trap release EXIT
	debian_partition "$1" "$2" "$3" && loop=$(losetup -f --show "$1") && partx -a "$loop" || exit 1
	mke2fs -q -t ext4 -L 'the root' -m 2 -E lazy_itable_init=0,lazy_journal_init=0 "${loop}p$root_number" &&
		mkswap -q -L 'the swap' "${loop}p$swap_number" || exit 1
	mkdir -p "$root" && mount "${loop}p$root_number" "$root" || exit 1
	debian_fill "$root" "$loop" "$(blkid -p -o value -s UUID "${loop}p$root_number")" \
		"$(blkid -p -o value -s UUID "${loop}p$swap_number")" "$1" "$3"
)
