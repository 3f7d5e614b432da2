#!/bin/bash
# btrfs with subvolumes, nested ones, a snapshot and a default, in a kernel that has it: surveyed, backed up, recovered
# onto another disk; every subvolume is where it was, with its files, and read-only if it was.
# needs: root uml mkfs.btrfs btrfs setfattr setfacl setcap perl sfdisk
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 1200M old.img new.img
mkdir -p target sent tops facts
printf '[backup]\ntarget = file://%s\nmethod = send\n' "$PWD/sent" >sent.conf
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
	btrfs inspect-internal dump-super "$1" | grep -v "^\(superblock:\|csum\|generation\|root\|chunk_root\|bytes_used\|cache_gen\|uuid_tree\|sys_array\|dev_item.uuid\|dev_item.bytes\|log_root\)" >"facts/$2.super"
	blkid -p -o export "$1" | grep "^\(TYPE\|UUID\|LABEL\)=" >"facts/$2.ids"
	btrfs check -q "$1" >"facts/$2.check" 2>&1
	echo $? >"facts/$2.clean"
}
# trees NODE NAME: what each subvolume holds, mounted by its name.
trees() {
	mkdir -p /mnt/look
	mount -o subvolid=5 "$1" /mnt/look
	btrfs subvolume list -t /mnt/look | awk 'NR > 2 { print $NF }' | sort >"facts/$2.list"
	btrfs subvolume list -r /mnt/look | awk '{ print $NF }' | sort >"facts/$2.read-only"
	btrfs subvolume get-default /mnt/look | awk '{ print $NF }' >"facts/$2.default"
	lsattr -d /mnt/look/@home/vm /mnt/look/@home/vm/disk /mnt/look/@home/plain/disk | cut -d ' ' -f 1 >"facts/$2.nocow"
	for path in . @ @home @/var/lib/nested snapshots/one .kept; do
		echo "### $path"
		# where a nested subvolume was, a snapshot has a shadow of a folder
		(cd "/mnt/look/$path" && find . -xdev -path "./var/lib/nested" -o -printf '%p %y %m %U:%G %T@\n' | sort)
	done >"facts/$2.files"
	umount /mnt/look
	mount -o subvol=@home "$1" /mnt/look
	tree_list /mnt/look >"facts/$2.home"
	swapon /mnt/look/swapfile 2>"facts/$2.swap" && swapoff /mnt/look/swapfile && echo swapped >>"facts/$2.swap"
	umount /mnt/look
}
printf '%s\n' 'label: gpt' 'start=2048, size=2400000' | sfdisk -q /dev/ubda
for i in $(seq 50); do [ -b /dev/ubda1 ] || sleep 0.1; done
mkfs.btrfs -q -f -U 01234567-89ab-cdef-0123-456789abcdef -L odd -n 8192 --csum xxhash -m dup -O ^no-holes /dev/ubda1
mkdir -p /mnt/top /mnt/sys
mount /dev/ubda1 /mnt/top || exit 3
btrfs subvolume create /mnt/top/@ && btrfs subvolume create /mnt/top/@home && mkdir -p /mnt/top/@/var/lib /mnt/top/snapshots
btrfs subvolume create /mnt/top/@/var/lib/nested
tree_make /mnt/top/@home 20M 50
rm /mnt/top/@home/special/socket
mkdir /mnt/top/@home/vm /mnt/top/@home/plain && chattr +C /mnt/top/@home/vm
head -c 300000 /dev/urandom >/mnt/top/@home/vm/disk
touch /mnt/top/@home/plain/disk && chattr +C /mnt/top/@home/plain/disk && head -c 100000 /dev/urandom >/mnt/top/@home/plain/disk
touch /mnt/top/@home/swapfile && chmod 600 /mnt/top/@home/swapfile && chattr +C /mnt/top/@home/swapfile
fallocate -l 2M /mnt/top/@home/swapfile && mkswap -q /mnt/top/@home/swapfile
mkdir /mnt/top/@home/packed && btrfs property set /mnt/top/@home/packed compression zstd
echo fixed >/mnt/top/@home/packed/fixed && chattr +i /mnt/top/@home/packed/fixed
touch -d '2011-12-13 14:15:16.171819202 UTC' /mnt/top/@home/special /mnt/top/@home
head -c 20M /dev/urandom >/mnt/top/@/shared
echo before >/mnt/top/@/file && mkdir -p /mnt/top/@/home
echo nested >/mnt/top/@/var/lib/nested/file && chmod 700 /mnt/top/@/var/lib/nested && chown 7:8 /mnt/top/@/var/lib/nested
btrfs subvolume snapshot -r /mnt/top/@ /mnt/top/snapshots/one
echo after >/mnt/top/@/file
echo top >/mnt/top/at-the-top
btrfs subvolume create /mnt/top/.kept && echo kept >/mnt/top/.kept/file && btrfs property set -ts /mnt/top/.kept ro true
btrfs subvolume set-default /mnt/top/@
umount /mnt/top
mount /dev/ubda1 /mnt/sys && mount -o subvol=@home,compress=zstd /dev/ubda1 /mnt/sys/home || exit 3
step survey sh -c '"$LIFEBOAT" survey >facts/machine.conf'
step in-use sh -c 'cd facts && "$LIFEBOAT" plan --machine machine.conf --map ubda=ubda'
step backup "$LIFEBOAT" backup -c recovery.conf
step sent "$LIFEBOAT" backup -c sent.conf
umount /mnt/sys/home /mnt/sys
facts /dev/ubda1 before
trees /dev/ubda1 before

sha256sum /dev/ubdb >facts/new.sum
step twin "$LIFEBOAT" recover -c recovery.conf --yes --map ubda=ubdb
# a second one of that UUID cannot be made beside the first: it goes away, as the dead disk has
sha256sum -c facts/new.sum >facts/untouched
dd if=/dev/zero of=/dev/ubda1 bs=64k count=2 conv=notrunc 2>/dev/null
dd if=/dev/zero of=/dev/ubda1 bs=1M seek=64 count=1 conv=notrunc 2>/dev/null
btrfs device scan --forget
step recover "$LIFEBOAT" recover -c recovery.conf --yes --map ubda=ubdb
facts /dev/ubdb1 large
trees /dev/ubdb1 large
mount /dev/ubdb1 /mnt/sys && cat /mnt/sys/file >facts/default-file
umount /mnt/sys

# The same out of what btrfs send makes, in the place of what was just recovered.
dd if=/dev/zero of=/dev/ubdb1 bs=64k count=2 conv=notrunc 2>/dev/null
dd if=/dev/zero of=/dev/ubdb1 bs=1M seek=64 count=1 conv=notrunc 2>/dev/null
btrfs device scan --forget
step recover-sent "$LIFEBOAT" recover -c sent.conf --yes --map ubda=ubdb
facts /dev/ubdb1 sent
trees /dev/ubdb1 sent
mount -o subvolid=5 /dev/ubdb1 /mnt/look
ls -A /mnt/look >facts/sent.top
btrfs filesystem du -s --raw /mnt/look/@ /mnt/look/snapshots/one | awk 'NR > 1 { print ($2 < 1000000 && $1 > 20000000) ? "shared" : $0 }' >facts/sent.shared
btrfs subvolume show /mnt/look/snapshots/one | grep -c "Received UUID:.*[0-9a-f]-" >facts/sent.received
btrfs subvolume show /mnt/look/@ | grep "Received UUID:" >>facts/sent.received
umount /mnt/look

dd if=/dev/zero of=/dev/ubdb1 bs=64k count=2 conv=notrunc 2>/dev/null
dd if=/dev/zero of=/dev/ubdb1 bs=1M seek=64 count=1 conv=notrunc 2>/dev/null
btrfs device scan --forget
step by-hand bash -c 'cd sent/*/*-0 && ubda=/dev/ubdb bash -e ./RECOVER.txt'
trees /dev/ubdb1 hand

# Snapshots of the top level would be full copies also where others are sent: these are left out when there is no room for them.
echo "start=2048, size=520000" | sfdisk -q /dev/ubda
for i in $(seq 50); do [ "$(cat /sys/block/ubda/ubda1/size)" = 520000 ] || sleep 0.1; done
mkfs.btrfs -q -f /dev/ubda1
mount /dev/ubda1 /mnt/top && head -c 90M /dev/urandom >/mnt/top/large
btrfs subvolume create /mnt/top/@ && echo first >/mnt/top/@/file
btrfs subvolume snapshot -r /mnt/top/@ /mnt/top/of-at && btrfs subvolume snapshot -r /mnt/top /mnt/top/of-top
btrfs subvolume snapshot /mnt/top/of-top /mnt/top/between && btrfs subvolume snapshot -r /mnt/top/of-top /mnt/top/of-that
sync
step tops "$LIFEBOAT" backup -c sent.conf "file://$PWD/tops"
umount /mnt/top
EOS
uml_run inside ubda=old.img ubdb=new.img
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
like "a subvolume that is mounted by itself" "$(cat facts/machine.conf)" "^mountpoint = /mnt/sys/home"
like "the snapshot and what it was made of" "$(cat facts/machine.conf)" "^snapshot-of = /@$"
like "and that it is saved as a copy is said" "$(cat facts/survey.words)" "snapshots are saved as full copies, and so are recovered: /snapshots/one"
like "a mounted btrfs is in use" "$(cat facts/in-use.words)" "ubda1 is mounted at /mnt/sys"
done_well backup "it is backed up"
like "beside the old disk that is refused" "$(cat facts/twin.words)" "^lifeboat: /dev/ubda1 holds a btrfs with the UUID that the one of ubda1 had \(01234567.*take that disk away, or wipe it"
like "before anything is written" "$(cat facts/untouched)" "^/dev/ubdb: OK"
done_well recover "it is recovered onto another disk"
same "its superblock says the same" facts/before.super facts/large.super
same "its UUID and label too" facts/before.ids facts/large.ids
is "btrfs check finds nothing" "$(cat facts/large.clean)" 0
same "every subvolume is there" facts/before.list facts/large.list
same "what was read-only is" facts/before.read-only facts/large.read-only
same "the default is the same" facts/before.default facts/large.default
is "and is mounted" "$(cat facts/default-file)" after
same "what must not be copied on write is not" facts/before.nocow facts/large.nocow
same "every path in every subvolume" facts/before.files facts/large.files
is "a swap file can be swapped to" "$(cat facts/large.swap)" swapped
tree_same "every path of a tree with all that backups lose" "$(cat facts/large.home)" "$(cat facts/before.home)"
# copied FILE: without what becomes an ordinary file.
copied() { grep -av '^C\? \./\(plain/disk\|vm/disk\|swapfile\)$\|^\./swapfile$' "$1"; }
done_well sent "it is saved by btrfs send"
is "each subvolume but the top level is sent" "$(find sent/*/*-0 -name '*.send.zst.000' | wc -l)$(find sent/*/*-0 -name '*.archive.zst.000' | wc -l)" 51
like "the snapshot as a difference" "$(cat sent/*/*-0/machine.conf)" '^send-parent = /@$'
is "what they share is in the set once" "$(($(cat sent/*/*-0/*.send.zst.* | wc -c) < 45000000))" 1
like "files that lose their flag are named" "$(cat facts/sent.words)" '3 files that are not copied on write .*vm/disk'
done_well recover-sent "it is recovered out of that"
same "its superblock says the same" facts/before.super facts/sent.super
is "btrfs check finds nothing" "$(cat facts/sent.clean)" 0
same "every subvolume is there" facts/before.list facts/sent.list
same "what was read-only is" facts/before.read-only facts/sent.read-only
same "the default is the same" facts/before.default facts/sent.default
same "every path in every subvolume" facts/before.files facts/sent.files
tree_same "every path of a tree with all that backups lose, but what may be copied on write" "$(copied facts/sent.home)" "$(copied facts/before.home)"
is "data that was shared is" "$(cat facts/sent.shared)" $'shared\nshared'
is "the snapshot is known as what it was received from, the rest is its own" "$(sed 's/[[:space:]]//g' facts/sent.received)" $'1\nReceivedUUID:-'
done_well by-hand "its RECOVER.txt runs as it stands"
same "by hand every subvolume is there" facts/before.list facts/hand.list
same "by hand what was read-only is" facts/before.read-only facts/hand.read-only
same "by hand the default is the same" facts/before.default facts/hand.default
same "by hand every path in every subvolume" facts/before.files facts/hand.files
tree_same "by hand every path of the tree" "$(copied facts/hand.home)" "$(copied facts/before.home)"
is "nothing is left of the recovery" "$(grep lifeboat facts/sent.top)" ""
done_well tops "one whose root is the top level is saved by btrfs send"
like "what would not fit is left out" "$(cat facts/tops.words)" 'snapshots are left out, as they may not fit as .*: /of-top, /of-that$'
is "and nothing else" "$(sed -n '/^\[subvolume/,/^$/s/^path = //p' tops/*/*-0/machine.conf | paste -sd ' ')" "/ /@ /of-at /between"
finish_plan
