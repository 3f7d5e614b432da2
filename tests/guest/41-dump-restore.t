#!/bin/bash
# dump or archive into a set and restore from it, on real block devices: the restored tree is equal in everything, and
# what goes wrong on the way is an error.
# needs: root loop mkfs.btrfs btrfs dump mke2fs debugfs setfattr setfacl setcap perl
# limit: 900
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"

tool=$BUILD/tests/tools/set-tool
[ -x "$tool" ] || bail "no $tool: run make check-guests"

loops=() mounts=()
finish() {
	local m
	for m in "${mounts[@]}"; do umount "$m" 2>/dev/null; done
	for m in "${loops[@]}"; do losetup -d "$m" 2>/dev/null; done
}
trap finish EXIT

# disk NAME SIZE: an ext4 on a loop device of its own, mounted at ./NAME; sets LOOP.
disk() {
	truncate -s "$2" "$1.img"
	mke2fs -q -t ext4 -b 4096 "$1.img" || bail "no ext4"
	LOOP=$(losetup --show -f "$1.img") || bail "no loop device"
	loops+=("$LOOP")
	mkdir -p "$1" target
	mount -o user_xattr,acl "$LOOP" "$1" || bail "no mount"
	mounts=("$PWD/$1" "${mounts[@]}")
}

# MATRIX=all: a folder with 100,000 files, and a hole of 20 GB.
room=400M hole=5G many=400
[ "${MATRIX:-}" != all ] || room=2400M hole=20G many=100000
disk from $room
tree_make "$PWD/from" $hole $many
disk below 50M # something mounted on the file system that is backed up
mkdir from/mountpoint && : >from/mountpoint/hidden && touch -d '2002-02-02 02:02:02.2 UTC' from/mountpoint/hidden
touch -d '2011-12-13 14:15:16.171819202 UTC' from
umount below
list=$(tree_list from)
[ "$(wc -l <<<"$list")" -gt 1200 ] || bail "the tree was not made"
mount "${loops[1]}" from/mountpoint && mounts=("$PWD/from/mountpoint" "${mounts[@]}")
: >from/mountpoint/not-ours

ok "a live file system is saved" "$tool" save "file://$PWD/target" - box root dump "$PWD/from" 2M
umount from/mountpoint
set=$(echo target/box/*-0)
tree_same "its listing is as before" "$(tree_list from)" "$list"

disk to $room
ok "it is restored" "$tool" restore "file://$PWD/target" - box root dump "$PWD/to"
tree_same "every path is equal: types, modes, owners, times, links, holes, xattrs, flags, contents" "$(tree_list to)" "$list"
is "restore's own files are gone" "$(ls -d to/restoresymtable* to/.lifeboat* 2>/dev/null)" ""

# The same by hand, as RECOVER.txt says it; dump's own loss are the parts of seconds.
disk hand $room
(cd hand && cat "../$set"/root.dump.zst.* | zstd -dq | restore -rf - -b 1024 -T "$SCRATCH") || bail "restore by hand"
chattr -i hand/etc/fixed # what is immutable takes no attributes by hand
(cd hand && cat "../$set"/root.xattrs.zst.* | zstd -dq | setfattr -h --restore=-) || bail "attributes by hand"
chattr +i hand/etc/fixed
rm -f hand/restoresymtable
coarse() { tree_list "$1" | sed -E '/^## paths/,/^## numbers/ { s/ -?[0-9]+\.[0-9]{10} / /; }'; }
tree_same "by hand with standard tools it is equal but for the times" "$(coarse hand)" "$(coarse from)"

# An archive of the same, and by hand: sockets are not in it, GNU tar does not put the flags back.
ok "a live file system is archived" "$tool" save "file://$PWD/target" - arch root archive "$PWD/from" 2M
set=$(echo target/arch/*-0)
without_socket() { tree_list "$1" | grep -av special/socket; } # the folder keeps its time
disk archived $room
ok "the archive is restored" "$tool" restore "file://$PWD/target" - arch root archive "$PWD/archived"
tree_same "every path is equal but the socket, which is not there" "$(tree_list archived)" "$(without_socket from)"
disk untarred $room
cat "$set"/root.archive.zst.* | zstd -dq | tar -xpf - -C untarred --warning=no-unknown-keyword --numeric-owner --acls --xattrs '--xattrs-include=*' || bail "restore by hand"
zstd -dqc "$set"/root.times.zst.* | (cd untarred && while IFS= read -r -d "" line; do line=${line#* }; touch -c -h -m -d "@${line%% *}" -- "${line#* }"; done)
without_flags() { without_socket "$1" | sed '/^## flags/,/^## contents/d'; }
tree_same "by hand with GNU tar it is equal but for socket and flags" "$(without_flags untarred)" "$(without_flags from)"

umount to
mke2fs -q -F -t ext4 to.img || bail "no ext4"
mount "${loops[2]}" to || bail "no mount"
cp -r target bad
truncate -s -100 bad/box/*/root.dump.zst.001
refuses "a damaged chunk is found while it is restored" 1 'root\.dump\.zst\.001: damaged' \
	"$tool" restore "file://$PWD/bad" - box root dump "$PWD/to"
rm bad/box/*/root.dump.zst.001
refuses "a missing chunk is found while it is restored" 1 'root\.dump\.zst\.001: missing' \
	"$tool" restore "file://$PWD/bad" - box root dump "$PWD/to"

disk few 40M # bytes enough, but too few inodes: restore itself exits 0
umount few
mke2fs -q -F -t ext4 -b 4096 -N 200 few.img
mount "$LOOP" few || bail "no mount"
refuses "a file that restore could not make is an error" 1 'restore root: .*cannot create' \
	"$tool" restore "file://$PWD/target" - box root dump "$PWD/few"

disk slim 4M
refuses "a file system too small for an archive" 1 'restore root: .*(No space left on device|Write failed)' \
	"$tool" restore "file://$PWD/target" - arch root archive "$PWD/slim"
disk small 4M
refuses "a file system too small is restore's error, not a broken pipe" 1 'restore root: .*(space|exit status)' \
	"$tool" restore "file://$PWD/target" - box root dump "$PWD/small"

mkdir full && mount -t tmpfs -o size=2M tmpfs full && mounts=("$PWD/full" "${mounts[@]}")
refuses "a full target is an error" 1 'No space left on device' \
	"$tool" save "file://$PWD/full" - box root dump "$PWD/from" 1M
is "which leaves nothing behind" "$(ls full/box)" ""
mkdir quota
truncate -s 200M quota.img
mkfs.btrfs -q quota.img >quota.log 2>&1 || bail "no btrfs"
mount -o loop quota.img quota || bail "no mount"
mounts=("$PWD/quota" "${mounts[@]}")
btrfs quota enable quota || bail "no quota"
btrfs qgroup limit 3M quota || bail "no quota"
refuses "so is a quota that is used up" 1 'Disk quota exceeded' \
	"$tool" save "file://$PWD/quota" - box root dump "$PWD/from" 1M
is "which leaves nothing behind, either" "$(ls quota/box)" ""
refuses "no block device: dump cannot read it" 1 'lies on no block device' \
	"$tool" save "file://$PWD/target" - box root dump "$PWD/full" 1M

mkdir plain && mount -t tmpfs -o size=20M tmpfs plain && mounts=("$PWD/plain" "${mounts[@]}")
mkdir -p plain/a && : >"plain/a/$(printf 'n%.0s' {1..255})" && echo x >plain/a/file
ok "an archive needs no block device, and takes long names" \
	"$tool" save "file://$PWD/target" - other root archive "$PWD/plain" 1M
disk again 20M
ok "it is restored" "$tool" restore "file://$PWD/target" - other root archive "$PWD/again"
is "with that name" "$(rmdir again/lost+found; touch -r plain again; tree_list again | sed '/## flags/,/## contents/d')" "$(tree_list plain | sed '/## flags/,/## contents/d')"

# What could not be brought back is refused while the machine lives.
disk deep 50M
deep=$LOOP
(cd deep && for i in {1..120}; do mkdir "a-folder-in-a-folder-in-a-folder-$i" && cd "./a-folder-in-a-folder-in-a-folder-$i" || exit; done) || bail "no folders"
for method in dump archive; do
	refuses "$method: a path that is too long" 1 "$PWD/deep/a-folder-.*: a path of 38[0-9][0-9] bytes, which cannot be brought back" \
		"$tool" save "file://$PWD/target" - deep root $method "$PWD/deep" 1M
done
(cd deep && for i in {1..102}; do cd "./a-folder-in-a-folder-in-a-folder-$i" || exit; done && rm -r a-folder*) || bail "no folders"
mknod deep/device b 259 $((1 << 19))
refuses "dump: so is a device of such a number" 1 "$PWD/deep/device: a device 259:524288, which restore.8. cannot bring back" \
	"$tool" save "file://$PWD/target" - deep root dump "$PWD/deep" 1M
rm deep/device
: >deep/restoresymtable
refuses "dump: so is what an earlier restore left" 1 "$PWD/deep/restoresymtable: restore.8. writes its own over it" \
	"$tool" save "file://$PWD/target" - deep root dump "$PWD/deep" 1M
rm deep/restoresymtable
disk shallow 50M
for method in dump archive; do
	ok "$method: one that is not is saved" "$tool" save "file://$PWD/target" - deep-$method root $method "$PWD/deep" 1M
	ok "$method: and restored" "$tool" restore "file://$PWD/target" - deep-$method root $method "$PWD/shallow"
	is "$method: to its end" "$("$tool" walk shallow | wc -L)" "$("$tool" walk deep | wc -L)"
	umount shallow
	mke2fs -q -F -t ext4 shallow.img
	mount "$LOOP" shallow || bail "no ext4"
done

# As one that changes while dump reads it looks for a moment.
mkdir deep/folder && sync -f deep
debugfs -w -R 'zap_block -f folder -o 1000 -l 8 -p 1 0' "$deep" >/dev/null 2>&1
refuses "dump: a folder that cannot be read is its error" 1 \
	"dump $deep: checksum does not match directory block .*: it changed in that moment, or is damaged" \
	"$tool" save "file://$PWD/target" - deep root dump "$PWD/deep" 1M

# A disk that takes what it is given and cannot keep it: its image does not fit where it lies.
for how in "box root dump" "arch root archive"; do
	mkdir -p thin && mount -t tmpfs -o size=40M tmpfs thin && mounts=("$PWD/thin" "${mounts[@]}")
	disk thin/disk 400M
	head -c 40M /dev/zero >thin/rest 2>/dev/null # until it is full
	# shellcheck disable=SC2086 # host, stream and method
	refuses "what cannot be written in the end is an error, too: ${how##* }" 1 'thin/disk' \
		"$tool" restore "file://$PWD/target" - $how "$PWD/thin/disk"
	umount thin/disk && losetup -d "$LOOP" && umount thin
done

disk long 20M
mkdir -p long/a && : >"long/a/$(printf 'n%.0s' {1..255})"
refuses "a name that restore would lose is refused while it can still be changed" 1 'long/a/n*\.\.\.: a name of 255' \
	"$tool" save "file://$PWD/target" - box root dump "$PWD/long" 1M

# A disk with bad sectors: the file behind the loop device is cut.
disk worn 60M
for i in $(seq 10); do head -c 4M /dev/urandom >"worn/$i"; done
sync
umount worn
truncate -s 20M worn.img
mount -o ro "$LOOP" worn || bail "no mount"
echo 3 >/proc/sys/vm/drop_caches
sets=$(ls target/box)
refuses "read errors of the disk fail the backup" 1 'dump /dev/loop.*: read error' \
	"$tool" save "file://$PWD/target" - box root dump "$PWD/worn" 1M
refuses "of an archive too" 1 'read /.*worn/[0-9]+: Input/output error' \
	"$tool" save "file://$PWD/target" - arch root archive "$PWD/worn" 1M
is "and leave no set" "$(ls target/box)" "$sets"
finish_plan
