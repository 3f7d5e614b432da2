# shellcheck shell=bash
# Loop devices with file systems on this host, for what needs no machine. Definitions only; bash.

loops=() loop_mounts=()

# loop_disk NAME SIZE [OPTION…]: an ext4 (mke2fs takes the options) on a loop device of its own, mounted at ./NAME; sets LOOP.
loop_disk() {
	local name=$1
	truncate -s "$2" "$name.img"
	shift 2
	mke2fs -q -F -t ext4 -b 4096 "$@" "$name.img" || bail "no ext4"
	LOOP=$(losetup --show -f "$name.img") || bail "no loop device"
	loops+=("$LOOP")
	mkdir -p "$name"
	mount -o user_xattr,acl "$LOOP" "$name" || bail "no mount"
	loop_mounts=("$PWD/$name" "${loop_mounts[@]}")
}

# loops_free: for the end.
loops_free() {
	local m
	for m in "${loop_mounts[@]}"; do umount "$m" 2>/dev/null; done
	for m in "${loops[@]}"; do losetup -d "$m" 2>/dev/null; done
}
