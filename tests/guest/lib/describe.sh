# shellcheck shell=bash
# What the real tools say of a machine's disks and all that is on them, raw. Definitions only; bash; runs where the disks are: in
# a guest that holds them, or in the machine itself. $DISKS has the disks' letters, $a, $b … their nodes.

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
	/dev/md*p[0-9]*) ;; # of its array
	/dev/md*)
		echo "## mdadm-detail $1" && mdadm --detail "$1"
		[ ! -b "$1p1" ] || { echo "## sfdisk $1" && sfdisk --dump "$1"; }
		;;
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
