# shellcheck shell=bash
# A machine of tests/guest/machines/ in a User-Mode Linux guest: made with the real tools, taken down, taken up as its own
# fstab and crypttab say, and described by the real tools' words. Definitions only; bash; runs in the guest.
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/disks.sh
. "$TOP/tests/guest/lib/disks.sh"
R=/mnt/machine # where the machine's root is mounted

# ---- disks ----

# machine_plug 'a=SIZE[:SECTOR] …' PREFIX [reversed]: plugs the disks, serial numbers PREFIX-a …; sets $a, $b … to their nodes
# and DISKS to the letters.
machine_plug() {
	local word size sector list=$1
	[ "${3:-}" != reversed ] || list=$(tr ' ' '\n' <<<"$1" | tac)
	DISKS=$(tr ' ' '\n' <<<"$1" | sed 's/=.*//' | sort) PREFIX=$2
	for word in $list; do
		IFS=: read -r size sector <<<"${word#*=}"
		disk_plug "$SCRATCH/disk-$PREFIX-${word%%=*}" "$size" "$PREFIX-${word%%=*}" "$sector" || return 1
		printf -v "${word%%=*}" %s "$DISK"
	done
}

# machine_pull: takes all disks out and forgets them.
machine_pull() {
	local letter
	for letter in $DISKS; do
		disk_pull "$PREFIX-$letter" && rm "$SCRATCH/disk-$PREFIX-$letter" || return 1
	done
	DISKS=
}

# ---- making it: what a .conf's make() uses ----

# place FOLDER|swap DEVICE [OPTIONS]: mounts it there and writes it into the machine's fstab. The options count from its next start.
place() {
	local type id escaped=${1// /\\040}
	type=$(blkid -p -o value -s TYPE "$2") && id=UUID=$(blkid -p -o value -s UUID "$2") || return 1
	if [ "$1" = swap ]; then
		swapon "$2" && fstab+="$id none swap ${3:-sw} 0 0"$'\n'
		return
	fi
	[ -z "${4:-}" ] || id=$4
	# what lies below a mount point is hidden, and yet a part of the machine
	[ "$1" = / ] || { mkdir -p "$R$1" && echo hidden >"$R$1/below the mount point"; } || return 1
	mkdir -p "$R$1" && mount -o "$(placing_options "${3:-}")" "$2" "$R$1" &&
		fstab+="$id $escaped $type ${3:-defaults} 0 $([ "$1" = / ] && echo 1 || echo 2)"$'\n'
}
# placing_options OPTIONS: of these the ones without which another part of the file system would be mounted.
placing_options() {
	tr , '\n' <<<"rw,$1" | grep -E '^(rw|subvol=.*|subvolid=.*)$' | paste -sd,
}

# machine_fill: files on all that make() has placed.
machine_fill() {
	local device folder type
	tree_make "$R" 20M 40 || return 1
	mkdir -p "$R"/{etc,usr,dev,proc,sys,run,tmp,mnt,var/tmp} && ln -s usr/bin usr/lib usr/lib64 usr/sbin "$R" || return 1
	printf '%s' "$fstab" >"$R/etc/fstab"
	echo "$NAME" >"$R/etc/hostname"
	cp -r /etc/mke2fs.conf /etc/os-release "$R/etc/" && cp -r /etc/lvm "$R/etc/" || return 1
	ln -s ../proc/self/mounts "$R/etc/mtab"
	while read -r device folder type; do
		folder=$(printf %b "$folder")
		mkdir -p "$folder/a/b" && echo "in $folder" >"$folder/a/file" && head -c 100000 /dev/urandom >"$folder/a/b/random" &&
			touch -d '2001-02-03 04:05:06' "$folder/a/b" || return 1
		[ "$type" = vfat ] || ln -s nowhere "$folder/a/link" || return 1
	done < <(awk -v root="$R/" 'index($2, root) == 1 { print $1, $2, $3 }' /proc/mounts)
	sync
}

# in_machine COMMAND…: runs it in the machine: its root, with the programs of this system; $SET_FOLDER is /mnt there.
in_machine() {
	if ! mountpoint -q "$R/usr"; then
		mount --bind /usr "$R/usr" && mount --bind /dev "$R/dev" && mount -t proc proc "$R/proc" &&
			mount -t sysfs sys "$R/sys" && mount -t tmpfs tmpfs "$R/run" && mount -t tmpfs tmpfs "$R/tmp" &&
			mount --bind "$SET_FOLDER" "$R/mnt" && cp "$LIFEBOAT" "$R/run/lifeboat" || return 1
	fi
	chroot "$R" "$@"
}

# ---- up and down ----

# machine_down: everything off, whatever it is, so that the disks can be pulled.
machine_down() {
	local i
	cd "$SCRATCH" || return 1
	swapoff -a
	for i in 1 2 3; do
		grep -o " $R[^ ]*" /proc/mounts | tac | while read -r folder; do umount "$(printf %b "$folder")"; done
		lvm vgchange -qq -an
		dmsetup info -c --noheadings -o name 2>/dev/null | grep -v '^No ' | while read -r name; do
			dmsetup remove "$name" 2>/dev/null
		done
		mdadm --stop --scan 2>/dev/null
	done
	! grep -q " $R" /proc/mounts && [ -z "$(dmsetup info -c --noheadings -o name 2>/dev/null | grep -v '^No ')" ] &&
		! grep -q ^md /proc/mdstat
} >/dev/null 2>"$SCRATCH/down"

# layers_up: RAID, LUKS and LVM of all disks that are here, as an initramfs does it; again where one is on the other.
layers_up() {
	local node i
	for i in 1 2; do
		mdadm --assemble --scan --no-degraded >/dev/null 2>&1
		lsblk -nrpo NAME,FSTYPE | awk '$2 == "crypto_LUKS" { print $1 }' | sort -u | while read -r node; do
			[ -n "$(lsblk -nro NAME "$node" | sed 1d)" ] ||
				cryptsetup open --key-file "$SCRATCH/key" "$node" "luks-$(cryptsetup luksUUID "$node")" || return 1
		done
		lvm vgscan --mknodes -qq >/dev/null 2>&1
		lvm vgchange -qq -ay >/dev/null 2>&1
	done
}

# machine_up: mounted as its own fstab says; the root is known by ROOT_ID.
machine_up() {
	local id folder type options root options_of_root
	layers_up || return 1
	root=$(blkid -l -o device -t "$ROOT_ID") && [ -n "$root" ] || { echo "no $ROOT_ID"; return 1; }
	mkdir -p "$R" && mount -o "${ROOT_OPTIONS:-rw}" "$root" "$R" || return 1
	options_of_root=$(awk '$2 == "/" { print $4 }' "$R/etc/fstab")
	mount -o "remount,$(sed -E 's/(^|,)subvol(id)?=[^,]*//' <<<"$options_of_root,rw" | sed 's/^,//')" "$R" || return 1
	while read -r id folder type options _; do
		case $folder in
		/ | '') ;;
		none) swapon "$(blkid -l -o device -t "$id")" || return 1 ;;
		*) mount -t "$type" -o "$options" "$(blkid -l -o device -t "$id")" "$R$(printf %b "$folder")" || return 1 ;;
		esac
	done <"$R/etc/fstab"
}

# machine_files: prints every path of every file system, also those that others are mounted over.
machine_files() {
	local folder
	mkdir -p /run/bare
	awk -v root="$R" '$2 == root || index($2, root "/") == 1 { print $2 }' /proc/mounts | sort | while read -r folder; do
		echo "#### $(sed "s|^$R|/|; s|^//|/|" <<<"$folder")"
		mount --bind "$(printf %b "$folder")" /run/bare && tree_list /run/bare
		umount /run/bare
	done
}

# ---- in the real tools' words ----

# facts: prints what the real tools say of the machine's disks and all that is on them, with its own names for disks and without
# what differs by nature:
#   - when something was made, mounted, written or checked last, and how often; what is free now; checksums over those;
#   - the UUID of an md member, which mdadm draws by lot (the array's own is compared), and its event count;
#   - salts, digests and measured costs of a LUKS header that was made fresh.
facts() {
	local letter node type disk_names=()
	for letter in $DISKS; do
		disk_names+=(-e "s#${!letter}p?([0-9]+)#disk-$letter-\1#g" -e "s#${!letter}\b#disk-$letter#g"
			-e "s#\b${!letter##*/}([0-9]+)#disk-$letter-\1#g" -e "s#\b${!letter##*/}\b#disk-$letter#g")
	done
	{
		for letter in $DISKS; do
			echo "## sfdisk disk-$letter"
			sfdisk --dump "${!letter}" 2>&1 | grep -v '^device:\|^$'
		done
		echo "## lsblk"
		lsblk --json -o NAME,TYPE,SIZE,FSTYPE,FSVER,LABEL,UUID,PTTYPE,PTUUID,PARTTYPE,PARTLABEL,PARTUUID,PARTFLAGS,LOG-SEC
		nodes | while read -r node type; do
			echo "## blkid $node"
			blkid -p -o export "$node" | grep -v '^DEVNAME\|^PART_ENTRY_DISK\|^UUID_SUB\|^FSSIZE\|^FSLASTBLOCK' | sort
			facts_of "$node" "$type"
		done
		facts_lvm
	} | sed -E "${disk_names[@]}"
}

# nodes: prints each block device of the machine once and the type of its content, in the order of its disks.
nodes() {
	local letter
	for letter in $DISKS; do lsblk -nrpo NAME,FSTYPE "${!letter}"; done | awk '!seen[$1]++'
}

facts_of() {
	case $2 in
	ext?) dumpe2fs -h "$1" 2>/dev/null | sed 's/ needs_recovery//' | grep -v -E '^(Filesystem (created|state)|Last|Lifetime|Checksum:|Mount count|Free|Next check|Journal (features|checksum|sequence|start))' ;;
	vfat) fsck.vfat -n -v "$1" | grep -E 'bytes per|FAT.* entries|reserved|sectors|hidden|heads' ;;
	xfs) xfs_info "$1" ;;
	btrfs) btrfs filesystem show "$1" | grep -v 'FS bytes used\|devid.*used' ;;
	linux_raid_member) mdadm --examine "$1" | grep -v -E '^ *(Device UUID|Creation Time|Update Time|Checksum|Events|State|Unused Space|Bad Block Log|/dev)' ;;
	crypto_LUKS) facts_luks "$1" ;;
	esac
	case $1 in
	/dev/md*) mdadm --detail "$1" | sed -n '/Version/,/Number/p' | grep -v -E '(Creation Time|Update Time|Events|State|Number)' ;;
	esac
}

facts_luks() {
	cryptsetup luksDump "$1" | grep -v -E '^\s*(Epoch|Time cost|Memory|Threads|Iterations|Salt|Digest|MK (digest|salt|iterations)|AF stripes)' |
		grep -v -E '^\s*([0-9a-f]{2} ?){8,}'
}

facts_lvm() {
	lvm pvs -q 2>/dev/null | grep -q . || return 0
	echo "## lvm"
	lvm pvs --noheadings --units b -o pv_name,pv_uuid,pv_size,dev_size,pe_start,pv_mda_count,pv_tags,vg_name -O vg_name,pv_name
	lvm vgs --noheadings --units b -o vg_name,vg_uuid,vg_attr,vg_extent_size,vg_extent_count,vg_free_count,max_lv,max_pv,vg_tags,vg_mda_count
	lvm lvs -a --noheadings --units b -O vg_name,lv_name,seg_start_pe -o \
		vg_name,lv_name,lv_uuid,lv_attr,lv_size,lv_tags,segtype,stripes,stripe_size,region_size,chunk_size,seg_start_pe,seg_size,devices,pool_lv,discards,zero
}

# identifiers FACTS: of these the ones that hold whatever the sizes of the disks are.
identifiers() {
	grep -E '^(## |label|TYPE=|UUID=|LABEL=|VERSION=|PART_ENTRY_(NAME|UUID|TYPE|FLAGS|NUMBER)|PTTYPE|Filesystem (volume name|UUID|features|flags|revision|magic)|Default mount|Errors|Directory Hash|Inode size|Reserved blocks [ug]id|Maximum mount|Check interval|Block size|First meta|Journal (inode|UUID)|UUID:|Version:|Label:|Flags:|\s*(cipher|Cipher|Raid Level|Array UUID|Name|Layout|Chunk Size|Device Role|Array State))' "$1" |
		sed -E 's/size= *[0-9]+//; s/start= *[0-9]+//'
}
