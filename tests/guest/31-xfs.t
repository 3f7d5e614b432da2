#!/bin/bash
# XFS with parameters that nobody has by default, in a kernel that has it: surveyed, backed up, recovered onto another
# disk and, from dumps of xfsdump, onto a smaller one and by RECOVER.txt alone; xfs_info and xfs_db say the same, xfs_repair finds nothing, every file is equal.
# needs: root uml xfsdump xfsrestore mkfs.xfs xfs_db xfs_repair setfattr setfacl setcap perl sfdisk
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

plan 25
truncate -s 1400M old.img
truncate -s 1500M large.img
truncate -s 1000M small.img
mkdir -p target facts
printf '[backup]\ntarget = file://%s\n' "$PWD/target" >recovery.conf

cat >inside <<'EOS'
. "$TOP/tests/guest/lib/tree.sh"
export LIFEBOAT="$BUILD/lifeboat"
step() { # step NAME COMMAND…: its exit status and words are looked at outside
	local name=$1
	shift
	"$@" >"facts/$name.words" 2>&1
	echo $? >"facts/$name.status"
}
facts() { # facts NODE NAME
	xfs_info "$1" | sed "s|$1|NODE|" >"facts/$2.info"
	xfs_db -r -c 'sb 0' -c print "$1" | grep -v "^\(icount\|ifree\|fdblocks\|frextents\|lsn\|crc\|logstart\|rootino\|rbmino\|rsumino\|uquotino\|gquotino\|pquotino\|qflags\|versionnum\) " >"facts/$2.sb"
	blkid -p -o export "$1" | grep "^\(TYPE\|UUID\|LABEL\|PART_ENTRY_UUID\|PART_ENTRY_NAME\)" >"facts/$2.ids"
	xfs_repair -n "$1" >"facts/$2.repair" 2>&1
	echo $? >"facts/$2.clean"
}
printf '%s\n' 'label: gpt' 'start=2048, size=1400000, name="odd"' 'start=1402880, size=1400000, name="old"' | sfdisk -q /dev/ubda
for i in $(seq 50); do [ -b /dev/ubda2 ] || sleep 0.1; done
mkfs.xfs -q -m uuid=01234567-89ab-cdef-0123-456789abcdef,rmapbt=1 -L odd -b size=2048 -i size=1024,maxpct=33,nrext64=1 -n size=8192 \
	-d su=32k,sw=3,agcount=7 -l size=70m,su=16k /dev/ubda1
mkfs.xfs -q --unsupported -m crc=0 -L old -l size=10m -n ftype=0 /dev/ubda2
mkdir -p /mnt/odd
mount /dev/ubda1 /mnt/odd || exit 3
tree_make /mnt/odd 100M 100
rm /mnt/odd/special/socket # its program makes it again
touch -d '2011-12-13 14:15:16.171819202 UTC' /mnt/odd/special
fallocate -l 2M /mnt/odd/swapfile && chmod 600 /mnt/odd/swapfile && mkswap -q -L file /mnt/odd/swapfile
mkdir -p /mnt/odd/below
mount -o usrquota /dev/ubda2 /mnt/odd/below || exit 3
echo below >/mnt/odd/below/file
chown 1234:5678 /mnt/odd/below/file
tree_list /mnt/odd/below >facts/below.before
step survey sh -c '"$LIFEBOAT" survey >facts/machine.conf'
step backup "$LIFEBOAT" backup -c recovery.conf
sleep 1 # names of sets are seconds
step dumped "$LIFEBOAT" backup -c recovery.conf --method xfsdump
umount /mnt/odd/below
tree_list /mnt/odd >facts/odd.before
umount /mnt/odd
facts /dev/ubda1 odd-before
facts /dev/ubda2 old-before

# Another disk, while the old one is mounted: two file systems of one UUID.
mount /dev/ubda1 /mnt/odd
mkdir -p /mnt/hd
step recover "$LIFEBOAT" recover -c recovery.conf --yes --map ubda=ubdb
umount /mnt/odd
facts /dev/ubdb1 odd-large
facts /dev/ubdb2 old-large
mount /dev/ubdb1 /mnt/odd && tree_list /mnt/odd >facts/odd.large
swapon /mnt/odd/swapfile 2>facts/swapped && swapoff /mnt/odd/swapfile && echo swapped >>facts/swapped
mount /dev/ubdb2 /mnt/odd/below && tree_list /mnt/odd/below >facts/below.large
umount /mnt/odd/below /mnt/odd

step smaller "$LIFEBOAT" recover -c recovery.conf --yes --map ubda=ubdc
facts /dev/ubdc1 odd-small
facts /dev/ubdc2 old-small
mount /dev/ubdc1 /mnt/odd && tree_list /mnt/odd >facts/odd.small
df -B1 --output=size /mnt/odd | tail -n 1 >facts/odd.size
swapon /mnt/odd/swapfile 2>facts/swap && swapoff /mnt/odd/swapfile && echo swapped >>facts/swap
umount /mnt/odd

step by-hand bash -c 'cd "$(printf "%s\n" target/*/*-0 | tail -n 1)" && ubda=/dev/ubdb bash -e ./RECOVER.txt'
mount /dev/ubdb1 /mnt/odd && tree_list /mnt/odd >facts/odd.by-hand
umount /mnt/odd
EOS
uml_run inside ubda=old.img ubdb=large.img ubdc=small.img
result $? "the guest came to its end" || diag "$(tail -n 20 uml.log)"

# done_well STEP NAME: the step's command succeeded.
done_well() {
	is "$2" "$(cat "facts/$1.status" 2>/dev/null)" 0 || diag "$(tail -n 20 "facts/$1.words")"
}
# same NAME A B: two files are equal, and not empty.
same() {
	cat "$2" >a && cat "$3" >b
	[ -s a ] && diff a b >same.diff 2>&1
	result $? "$1" || diag "$(cut -c 1-200 same.diff | head -n 12)"
}
done_well survey "it is surveyed"
like "quotas are said not to be saved" "$(cat facts/survey.words)" "below: its quotas are not in the backup"
done_well backup "it is backed up"
done_well dumped "it is saved by xfsdump"
is "which is in the set" "$(find target/*/*/ -name '*.xfsdump.zst.000' -printf '%f\n' | sort | paste -sd' ')" "mnt-odd-below.xfsdump.zst.000 mnt-odd.xfsdump.zst.000"
done_well recover "it is recovered onto another disk while the old one is in use"
same "xfs_info says the same" facts/odd-before.info facts/odd-large.info
same "and xfs_db of every field" facts/odd-before.sb facts/odd-large.sb
same "UUID, label, and the partition's" facts/odd-before.ids facts/odd-large.ids
same "an old format with a log smaller than today's: the same" facts/old-before.sb facts/old-large.sb
same "its identifiers too" facts/old-before.ids facts/old-large.ids
is "xfs_repair finds nothing in either" "$(cat facts/odd-large.clean facts/old-large.clean)" $'0\n0'
tree_same "every path is equal" "$(cat facts/odd.large)" "$(cat facts/odd.before)"
is "a swap file can be swapped to" "$(cat facts/swapped)" swapped
tree_same "below it too" "$(cat facts/below.large)" "$(cat facts/below.before)"
done_well smaller "it is recovered onto a smaller disk"
same "with its UUID and label" <(grep -v PART facts/odd-before.ids) <(grep -v PART facts/odd-small.ids)
is "smaller than it was" "$([ "$(cat facts/odd.size)" -lt 600000000 ] && echo yes)" yes
is "xfs_repair finds nothing" "$(cat facts/odd-small.clean facts/old-small.clean)" $'0\n0'
tree_same "every path is equal there" "$(cat facts/odd.small)" "$(cat facts/odd.before)"
same "and its features are the same" <(grep features facts/odd-before.sb) <(grep features facts/odd-small.sb)
is "a swap file of a dump can be swapped to" "$(cat facts/swap)" swapped
done_well by-hand "the dumps' RECOVER.txt runs as it stands"
tree_same "and every path is equal" "$(cat facts/odd.by-hand)" "$(cat facts/odd.before)"
