# shellcheck shell=bash
# A machine of tests/guest/machines/ in a User-Mode Linux guest: made with the real tools, taken down, taken up as its own
# fstab says, and described by the real tools. Definitions only; bash; runs in the guest, where starting a program takes
# 40 ms: so it starts few, and what they say is judged on the host.
# shellcheck source=tests/guest/lib/disks.sh
. "$TOP/tests/guest/lib/disks.sh"
R=/mnt/machine # where the machine's root is mounted
KEY=$SCRATCH/key # the passphrase of all that is encrypted

# ---- disks ----

# machine_plug 'a=SIZE[:SECTOR-SIZE] …' PREFIX [reversed]: plugs the disks in, serial numbers PREFIX-a …; sets $a, $b … to their
# nodes, DISKS to the letters.
machine_plug() {
	local word size sector list=$1
	DISKS='' PREFIX=$2
	for word in $1; do DISKS+=" ${word%%=*}"; done
	[ "${3:-}" != reversed ] || list=$(tr ' ' '\n' <<<"$1" | tac)
	for word in $list; do
		IFS=: read -r size sector <<<"${word#*=}"
		disk_plug "$SCRATCH/disk-$PREFIX-${word%%=*}" "$size" "$PREFIX-${word%%=*}" "$sector" || return 1
		printf -v "${word%%=*}" %s "$DISK"
	done
}

# machine_pull: takes all disks out and forgets what was on them.
machine_pull() {
	local letter
	for letter in $DISKS; do
		disk_pull "$PREFIX-$letter" || return 1
	done
	rm "$SCRATCH/disk-$PREFIX-"*
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

# nodes: prints each block device of the machine once and the type of its content ("-": none), disk by disk. Parts of a volume
# have no content of their own, though the first of a raid5 begins like it.
nodes() {
	local letter line
	declare -A types=() seen=()
	while IFS=' "' read -r line _ letter _; do
		types[${line%:}]=$letter
	done <<<"$(blkid -c /dev/null -s TYPE)"
	for letter in $DISKS; do
		while read -r line; do
			[[ ! $line =~ _(rimage|rmeta|mimage)_[0-9]+$ ]] || types[$line]=-
			[ -n "${seen[$line]:-}" ] || echo "$line ${types[$line]:--}"
			seen[$line]=1
		done <<<"$(lsblk -nrpo NAME "${!letter}")"
	done
}

# layers_up: RAID, LUKS and LVM of the machine, in any order of layers, as an initramfs starts them.
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

# machine_facts FILE: what the real tools say of the machine's disks and all that is on them, raw.
machine_facts() {
	local letter node type types disks_here=()
	types=$(nodes)
	for letter in $DISKS; do disks_here+=("${!letter}"); done
	{
		for letter in $DISKS; do echo "## disk $letter ${!letter}"; done
		for letter in $DISKS; do
			echo "## sfdisk ${!letter}"
			sfdisk --dump "${!letter}" 2>&1
		done
		echo "## lsblk"
		lsblk --json -o NAME,TYPE,SIZE,RO,LOG-SEC,PHY-SEC,MOUNTPOINT "${disks_here[@]}"
		while read -r node type; do
			echo "## blkid $node"
			blkid -p -o export "$node"
			facts_of "$node" "$type"
		done <<<"$types"
		case $types in
		*LVM2_member*)
			echo "## lvm"
			lvm fullreport -a --units b --reportformat json
			;;
		esac
	} >"$1"
}

facts_of() {
	case $1 in
	/dev/md*) echo "## mdadm-detail $1" && mdadm --detail "$1" ;;
	esac
	case $2 in
	ext?) echo "## dumpe2fs $1" && dumpe2fs -h "$1" 2>/dev/null ;;
	vfat) echo "## fatcat $1" && fsck.vfat -n -v "$1" ;;
	xfs) echo "## xfs_info $1" && xfs_info "$1" ;;
	btrfs) echo "## btrfs $1" && btrfs filesystem show "$1" ;;
	linux_raid_member) echo "## mdadm-examine $1" && mdadm --examine "$1" ;;
	crypto_LUKS) echo "## luksDump $1" && cryptsetup luksDump "$1" ;;
	esac
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
