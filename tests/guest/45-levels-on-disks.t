#!/bin/bash
# A machine's disk is saved at level 0, 1 and 2 to two disks at a time (target = A, B), one by its UUID, one raw, and recovered onto
# a blank disk, also when one of the two is damaged; a disk that carries the backup never takes a machine's place.
# needs: root uml loop dump restore mke2fs sfdisk setfattr setfacl setcap perl
# limit: 400
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 200M machine.img # ubda
truncate -s 160M by-uuid.img raw.img # ubdb, ubdc
truncate -s 220M blank.img # ubdd
mke2fs -q -t ext4 -U 33333333-2222-3333-4444-555555555555 by-uuid.img || bail "no ext4"
mkdir results
printf '[backup]\ntarget = disk://33333333-2222-3333-4444-555555555555, dev:///dev/ubdc\n' >both.conf

cat >guest.sh <<-'EOT'
	lifeboat=$BUILD/lifeboat
	. $TOP/tests/guest/lib/tree.sh
	export TMPDIR=/run
	try() { # NAME COMMAND…: what it says is in results/NAME.*
		local name=$1
		shift
		"$@" >results/$name.out 2>results/$name.err </dev/null
		echo $? >results/$name.status
	}
	sfdisk -q /dev/ubda <<-END
		label: gpt
		size=120M
		size=40M
	END
	mke2fs -q -t ext4 -b 4096 -U 11111111-2222-3333-4444-555555555555 /dev/ubda1
	mke2fs -q -t ext4 -O inline_data -U 21111111-2222-3333-4444-555555555555 /dev/ubda2 # which is archived
	mkdir /run/m && mount -o user_xattr,acl /dev/ubda1 /run/m
	tree_make /run/m 10M 20
	mkdir /run/m/data && mount /dev/ubda2 /run/m/data
	chattr -i /run/m/etc/fixed /run/m/etc/immutable && chattr -a /run/m/etc/append-only
	mkdir -p /run/m/data/a/b && echo 0 >/run/m/data/a/b/c && echo same >/run/m/data/same
	try save0 $lifeboat backup -c both.conf
	for level in 1 2; do
		sleep 1.1 # dump's dates are whole seconds
		(
			cd /run/m
			rm many/$level && echo $level >many/new$level && echo more >>etc/file1 && chmod 600 many/3
			[ $level = 1 ] && mv deep moved && mv data/a/b data/b || { rm -r moved links/b/two && mv data/b data/a/again; }
			echo $level >data/new$level
		)
		[ $level = 1 ] || tree_list /run/m >wanted
		try save$level $lifeboat backup -c both.conf --level $level
	done
	try sets $lifeboat sets -c both.conf
	try verify $lifeboat verify --deep -c both.conf
	umount /run/m/data /run/m
	dd if=/dev/zero of=/dev/ubda bs=1M count=200 status=none
	blockdev --rereadpt /dev/ubda

	# None of these may be written.
	sha256sum /dev/ubdb /dev/ubdc >results/before
	try onto-uuid $lifeboat recover --yes -c both.conf --map ubda=ubdb
	try onto-raw $lifeboat recover --yes -c both.conf --map ubda=ubdc
	try plan $lifeboat plan -c both.conf --map ubda=ubdd
	sha256sum /dev/ubdb /dev/ubdc >results/after

	# One copy is damaged, in the middle of the chain and at its end.
	mkdir /run/t && mount /dev/ubdb /run/t
	for file in /run/t/*/*-0/*.dump.zst.000 /run/t/*/*-2/*.archive.zst.000; do
		printf XYZ | dd of=$file bs=1 seek=300 conv=notrunc status=none
	done
	umount /run/t
	try damaged $lifeboat verify -c both.conf
	try recover $lifeboat recover --yes -c both.conf --map ubda=ubdd
	mount -o user_xattr,acl /dev/ubdd1 /run/m && mount /dev/ubdd2 /run/m/data
	tree_list /run/m >got
	blkid -o export /dev/ubdd1 /dev/ubdd2 | grep ^UUID >results/uuids
EOT
uml_run "$PWD/guest.sh" ubda=machine.img ubdb=by-uuid.img ubdc=raw.img ubdd=blank.img ||
	diag "the guest did not come to its end: $(tail -n 20 uml.log)"

# ended NAME STATUS PATTERN: exit status, and a line of what it said.
ended() {
	if [ "$(cat "results/$1.status")" = "$2" ] && cat "results/$1".{out,err} | grep -Eq -- "$3"; then
		result 0 "$1: $3"
	else
		result 1 "$1: $3" || diag "status $(cat "results/$1.status"), expected $2
$(tail -n 20 "results/$1".{out,err})"
	fi
}
for level in 0 1 2; do ended save$level 0 "Z-$level: 2 file systems"; done
ended save0 0 'ubdb holds the backups and is no part of the machine'
ended sets 0 'level 2 on [0-9TZ]*-1'
is "each target has the three sets" "$(grep -c level results/sets.out)" 6
ended verify 0 'every byte is what was written'
ended onto-uuid 1 '^lifeboat: .*ubdb.*backup'
ended onto-raw 1 '^lifeboat: .*ubdc.*backup'
is "no byte of the backups' disks changed" "$(cat results/after)" "$(cat results/before)"
ended plan 0 'ubdd'
ended damaged 1 'damaged: its SHA-256'
ended recover 0 'taken from dev:///dev/ubdc'
tree_same "every path is equal" "$(cat got)" "$(cat wanted)"
is "file systems have their UUIDs" "$(cat results/uuids)" "UUID=11111111-2222-3333-4444-555555555555
UUID=21111111-2222-3333-4444-555555555555"
finish_plan
