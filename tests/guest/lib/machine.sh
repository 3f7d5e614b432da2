# shellcheck shell=bash
# A machine of tests/guest/machines/ in a User-Mode Linux guest: made with the real tools, taken down, taken up as its own
# fstab says, and described by the real tools. Definitions only; bash; runs in the guest, where starting a program takes
# 40 ms: so it starts few, and what they say is judged on the host.
# shellcheck source=tests/guest/lib/disks.sh
. "$TOP/tests/guest/lib/disks.sh"
# shellcheck source=tests/guest/lib/describe.sh
. "$TOP/tests/guest/lib/describe.sh"
R=/mnt/machine # where the machine's root is mounted
THIN=/run/thin THIN_DISKS='' # the files that are its disks lie in $SCRATCH, but those of these letters there
KEY=$SCRATCH/key # the passphrase of all that is encrypted

# ---- what is said ----

# is NAME COMMAND…: the command succeeds; else what it said follows, each line behind "# ".
is() {
	local name=$1 begun=$EPOCHREALTIME
	shift
	if "$@" >"$SCRATCH/is.output" 2>&1; then
		echo "TAP ok $name"
		[ -z "${TIMES:-}" ] || echo "# $(((${EPOCHREALTIME/./} - ${begun/./}) / 1000)) ms"
		return 0
	fi
	echo "TAP not ok $name"
	tail -n 30 "$SCRATCH/is.output" | sed 's/^/# /'
	return 1
}
must() {
	is "$@" || exit 1
}

# create: any command of make() that fails ends the guest; within `is` the shell would go on.
create() {
	trap 'echo "TAP not ok it is made by the real tools"; tail -n 20 "$SCRATCH/make.output" | sed "s/^/# /"' EXIT
	set -e
	make >"$SCRATCH/make.output" 2>&1
	set +e
	trap - EXIT
}
# ---- disks ----

# machine_start: once, before anything else.
machine_start() {
	modprobe -q -a dm-mod dm-crypt dm-thin-pool dm-raid dm-mirror dm-snapshot raid0 raid1 raid10 raid456 xfs btrfs vfat \
		nls_cp437 nls_ascii nls_utf8
	mkdir -p "$R" /run/lock
	printf passphrase >"$KEY"
	export DM_DISABLE_UDEV=1 # nobody else makes the nodes of volumes here
	cp -r /etc/lvm /run/etc-lvm && mount --bind /run/etc-lvm /etc/lvm # LVM keeps archives there, and this root is read-only
}

# disk_file LETTER: prints the file that is this disk.
disk_file() {
	case " $THIN_DISKS " in
	*" $1 "*) echo "$THIN/disk-$PREFIX-$1" ;;
	*) echo "$SCRATCH/disk-$PREFIX-$1" ;;
	esac
}

# machine_plug 'a=SIZE[:SECTOR-SIZE] …' PREFIX [reversed]: plugs the disks in, serial numbers PREFIX-a …; sets $a, $b … to their
# nodes, DISKS to the letters.
machine_plug() {
	local word size sector list=$1
	DISKS='' PREFIX=$2
	for word in $1; do DISKS+=" ${word%%=*}"; done
	[ "${3:-}" != reversed ] || list=$(tr ' ' '\n' <<<"$1" | tac)
	for word in $list; do
		IFS=: read -r size sector <<<"${word#*=}"
		disk_plug "$(disk_file "${word%%=*}")" "$size" "$PREFIX-${word%%=*}" "$sector" || return 1
		printf -v "${word%%=*}" %s "$DISK"
	done
}

# machine_unplug: takes all disks out; what is on them stays.
machine_unplug() {
	local letter
	for letter in $DISKS; do
		disk_pull "$PREFIX-$letter" || return 1
	done
}

# machine_pull: takes all disks out and forgets what was on them.
machine_pull() {
	machine_unplug && rm -f "$SCRATCH/disk-$PREFIX-"* "$THIN/disk-$PREFIX-"*
}

# ---- making it: what a .conf's make() uses besides the real tools ----

# $crypttab, when make() sets it, becomes the machine's own.
# place FOLDER|swap DEVICE [OPTIONS]: mounts it there and writes it into the machine's fstab. OPTIONS but subvol= count from
# its next start.
place() {
	local probed type uuid options=rw
	probed=$(blkid -p -o export "$2") && type=${probed##*$'\nTYPE='} uuid=${probed##*$'\nUUID='} || return 1
	uuid=UUID=${uuid%%$'\n'*} type=${type%%$'\n'*}
	if [ "$1" = swap ]; then
		fstab+="$uuid none swap ${3:-sw} 0 0"$'\n'
		swapon "$2"
		return
	fi
	[[ ${3:-} != *subvol* ]] || options+=,subvol${3#*subvol}
	[ "$1" != / ] || ROOT=$uuid ROOT_OPTIONS=$options
	mkdir -p "$R$1" && { [ "$1" = / ] || echo hidden >"$R$1/below the mount point"; } && # it is a part of the machine, too
		mount -o "$options" "$2" "$R$1" || return 1
	placed+=("$R$1")
	fstab+="$uuid ${1// /\\040} $type ${3:-defaults} 0 $([ "$1" = / ] && echo 1 || echo 2)"$'\n'
}
fstab='' crypttab='' placed=()

# machine_fill: files on all that make() has placed.
machine_fill() {
	local folder
	tar -C "$R" --numeric-owner --xattrs --xattrs-include='*' -xf "$SCRATCH/common/tree.tar" || return 1
	printf '%s' "$fstab" >"$R/etc/fstab"
	chattr +i "$R/etc/immutable" && cp -a /etc/lvm "$R/etc/" || return 1 # no archive keeps that; with LVM's own backups
	[ -z "$crypttab" ] || printf '%s\n' "$crypttab" >"$R/etc/crypttab"
	[ -z "$(echo /sys/block/md*)" ] || { mkdir "$R/etc/mdadm" && mdadm --detail --scan >"$R/etc/mdadm/mdadm.conf"; } || return 1
	for folder in "${placed[@]}"; do
		cp -a "$SCRATCH/common/few" "$folder/in here" && echo "in $folder" >"$folder/in here/name" || return 1
	done
	sync
}

# in_machine COMMAND…: runs it in the machine, whose programs are this system's; SETS is /mnt there.
in_machine() {
	mount --bind /usr "$R/usr" && mount --bind /dev "$R/dev" && mount -t proc proc "$R/proc" &&
		mount -t sysfs sys "$R/sys" && mount -t tmpfs tmpfs "$R/run" && mount -t tmpfs tmpfs "$R/tmp" &&
		mount -t tmpfs tmpfs "$R/var/tmp" && # its time is not to change
		mount --bind "$SETS" "$R/mnt" && cp "$BUILD/lifeboat" "$R/run/lifeboat" && env -u DM_DISABLE_UDEV chroot "$R" "$@"
}

# soil: what other people leave on disks, at every level: a RAID with a volume group, an encrypted partition.
soil() {
	local letter members=() first=''
	for letter in $DISKS; do
		printf 'label: gpt\nsize=30M\nsize=24M\n' | sfdisk -q "${!letter}" || return 1
		members+=("${!letter}1")
		first=${first:-${!letter}}
	done
	[ ${#members[@]} -gt 1 ] || members+=(missing)
	mdadm --create /dev/md77 --homehost=elsewhere --name=other --run --level=1 --raid-devices=${#members[@]} "${members[@]}" &&
		lvm vgcreate -qq other /dev/md77 && lvm lvcreate -qq -Zn -an -y -n volume -L 8M other &&
		cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$KEY" "${first}2" && machine_down
}

# ---- up and down ----

# layers_running: is a mapping or an array there? A stopped array may stay for a while, with no size.
layers_running() {
	local size
	[ -z "$(echo /sys/block/dm-*)" ] || return 0
	for size in /sys/block/md*/size; do
		[ "$(<"$size")" = 0 ] || return 0
	done
	return 1
}

# machine_down: everything off, whatever it is, so that the disks can be pulled.
machine_down() {
	local map name
	swapoff -a
	! mountpoint -q "$R" || umount -R "$R"
	for _ in 1 2 3 4; do
		layers_running || return 0
		! grep -qs ^LVM- /dev/null /sys/block/dm-*/dm/uuid || lvm vgchange -qq -an
		for map in /sys/block/dm-*; do
			[ -z "$(echo "$map"/holders/*)" ] && read -r name <"$map/dm/name" && dmsetup remove "$name"
		done
		[ -z "$(echo /sys/block/md*)" ] || mdadm --stop --scan
	done
	! layers_running || { lsblk; return 1; }
} 2>&1

# layers_up: RAID, LUKS, LVM and btrfs of the machine, in any order of layers, as an initramfs starts them.
layers_up() {
	local before='' now node type
	while now=$(nodes) && [ "$now" != "$before" ]; do
		before=$now
		case $now in *linux_raid_member*) mdadm --assemble --scan --config=partitions --run ;; esac
		while read -r node type; do
			[ "$type" != crypto_LUKS ] || [ -b "/dev/mapper/luks${node//\//-}" ] ||
				cryptsetup open --key-file "$KEY" "$node" "luks${node//\//-}" || return 1
		done <<<"$now"
		case $now in *LVM2_member*) lvm vgchange -qq -ay ;; esac
		case $now in *btrfs*btrfs*) btrfs device scan ;; esac
	done
} 2>&1

# machine_up: mounted as its own fstab says. ROOT is the root's UUID=….
machine_up() {
	layers_up && mount -o "$ROOT_OPTIONS" "$ROOT" "$R" && grep -v ' / ' "$R/etc/fstab" >/run/fstab &&
		mount --all --fstab /run/fstab --target-prefix "$R" && LIBMOUNT_FSTAB=/run/fstab swapon --all
}

# machine_files FILE: every path of every file system, also those that others are mounted over.
machine_files() {
	local folder
	mkdir -p /run/bare
	for folder in "${placed[@]}"; do
		echo "#### ${folder#"$R"}/"
		mount --bind "$folder" /run/bare && "$SCRATCH/common/listing" /run/bare && umount /run/bare || return 1
	done >"$1"
}

# machine_whole: what the file systems' own checkers say; nothing is mounted.
machine_whole() {
	local node type types
	types=$(nodes)
	[[ $types == *\ [ebvx]* ]] || return 1
	while read -r node type; do
		case $type in
		ext?) e2fsck -fn "$node" ;;
		vfat) fsck.vfat -n "$node" ;;
		xfs) xfs_repair -n "$node" ;;
		btrfs) btrfs check "$node" ;;
		esac || { echo "$node ($type) is not whole"; return 1; }
	done <<<"$types"
}
