#!/bin/bash
# A machine's disk is backed up by lifeboat and brought back by RECOVER.txt alone, run as it stands, on a
# blank disk: partitions, identifiers, files. The second time out of a full set and a level 1, without what was excluded; the first out of an
# encrypted one.
# needs: root uml loop dump mke2fs sfdisk setfattr setfacl setcap perl age age-keygen
# limit: 600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

# table NAME: the partition table of the machine, for sfdisk.
table() {
	case $1 in
	mbr) printf '%s\n' 'label: dos' 'label-id: 0x12345678' '1 : size=300M, type=83, bootable' \
		'2 : size=60M, type=5' '5 : size=20M, type=82' '6 : size=30M, type=83' ;;
	gpt) printf '%s\n' 'label: gpt' 'label-id: 01234567-89AB-4DEF-8123-456789ABCDEF' \
		'size=300M,name="the system",attrs=LegacyBIOSBootable' 'size=20M,type=S' 'size=30M' ;;
	esac
}

mkdir share
age-keygen -o key 2>/dev/null || bail "no key"
for kind in mbr gpt; do
	[ $kind = mbr ] && swap=5 data=6 like='ext3 -I 128' level=0 || swap=2 data=3 like='ext4 -I 256 -O inline_data' level=1 # which is archived
	: >$kind.conf
	shell=bash # where a pipe fails when any part of it does
	[ $kind = gpt ] || { shell='sh' && printf '[backup]\nencrypt-to = %s\n' "$(age-keygen -y key)" >$kind.conf; }
	truncate -s 400M $kind.img
	truncate -s 450M $kind-new.img
	table $kind | sfdisk -q $kind.img || bail "no table"
	cat >$kind-save.sh <<-EOF
		exec >$kind-save.log 2>&1
		set -ex
		mke2fs -q -t ext4 -b 4096 -U 11111111-2222-3333-4444-555555555555 -L 'the root' -O ^has_journal /dev/ubda1
		mkswap -q -U 21111111-2222-3333-4444-555555555555 -L swap /dev/ubda$swap
		mke2fs -q -t $like /dev/ubda$data
		mkdir /run/m
		mount /dev/ubda1 /run/m
		. \$TOP/tests/guest/lib/tree.sh
		tree_make /run/m 50M 20 # few files: touch runs once for each, and processes are dear in UML
		mkdir /run/m/data
		mount /dev/ubda$data /run/m/data
		echo data >/run/m/data/file
		mkdir -p /run/m/data/gone/with /run/m/data/stays && echo x >/run/m/data/gone/with/it
		if [ $level = 1 ]; then
			\$BUILD/lifeboat backup -c $kind.conf file://\$PWD/share
			sleep 1.1 # dump's dates are whole seconds
			rm /run/m/many/1? && mv /run/m/deep /run/m/moved && echo more >>/run/m/etc/file1
			rm -r /run/m/data/gone && echo new >/run/m/data/stays/new && echo changed >/run/m/data/file
		fi
		touch -d '2011-12-13 14:15:16.171819202 UTC' /run/m
		mkdir -p /run/m/data/tmp && touch -d '2012-12-13 14:15:16 UTC' /run/m/data/tmp
		tree_list /run/m >$kind.list
		mkdir /run/m/data/tmp/out && echo no >/run/m/data/tmp/out/no
		touch -d '2012-12-13 14:15:16 UTC' /run/m/data/tmp
		\$BUILD/lifeboat backup -c $kind.conf --level $level --exclude /run/m/data/tmp file://\$PWD/share
		\$BUILD/lifeboat sets file://\$PWD/share >$kind.sets
		for p in 1 $swap $data; do blkid /dev/ubda\$p; done | sed s/ubda/disk/ >$kind.ids
		sfdisk -d /dev/ubda | sed '/^device\\|lba/d; s/ubda/disk/' >>$kind.ids
	EOF
	cat >$kind-recover.sh <<-EOF
		exec >$kind-recover.log 2>&1
		set -ex
		cd share/*/*-$level
		# All that a person puts in: which disk it is now.
		key=\$SCRATCH/key ubda=/dev/ubdb $shell -e ./RECOVER.txt
		cd \$SCRATCH
		mkdir /run/m
		mount /dev/ubdb1 /run/m
		mount /dev/ubdb$data /run/m/data
		. \$TOP/tests/guest/lib/tree.sh
		tree_list /run/m >$kind-new.list
		for p in 1 $swap $data; do blkid /dev/ubdb\$p; done | sed s/ubdb/disk/ >$kind-new.ids
		sfdisk -d /dev/ubdb | sed '/^device\\|lba/d; s/ubdb/disk/' >>$kind-new.ids
	EOF
	ok "$kind: a disk is saved" uml_run "$PWD/$kind-save.sh" ubda=$kind.img || {
		diag "$(tail -n 5 $kind-save.log uml.log)"
		continue
	}
	is "$kind: RECOVER.txt does nothing before it is told the disk" \
		"$(cd share/*/*-"$level" && env -u ubda key="$SCRATCH/key" sh -e RECOVER.txt 2>&1 | cut -d : -f 3-)" \
		' ubda: name the disk that takes its place first'
	ok "$kind: RECOVER.txt runs as it stands" uml_run "$PWD/$kind-recover.sh" ubdb=$kind-new.img ||
		diag "$(tail -n 5 $kind-recover.log uml.log)"
	tree_same "$kind: every path is equal" "$(<$kind-new.list)" "$(<$kind.list)"
	tree_same "$kind: all identifiers are equal" "$(cat $kind-new.ids)" "$(cat $kind.ids)"
	if [ $kind = mbr ]; then
		like "an encrypted set is shown as one" "$(cat $kind.sets)" 'level 0  encrypted  without'
		is "none of its streams is in the clear" "$(cd share/*/* && printf '%s\n' *.zst.* | grep -v 'age$')" ""
		refuses "RECOVER.txt does nothing without the key" 2 'name the file with the key first' \
			sh -ec 'cd share/*/* && ubda=/dev/null sh -e RECOVER.txt'
		like "it is verified without its key" "$("$BUILD/lifeboat" verify "file://$PWD/share" 2>&1)" 'every byte is what'
		like "and with it, to the last byte of what is in it" \
			"$("$BUILD/lifeboat" verify --deep --identity key "file://$PWD/share" 2>&1)" '^[^ ]*: every byte'
		refuses "a file of it is not to be had without the key" 1 'is encrypted: --identity FILE names the key' \
			"$BUILD/lifeboat" recover --files --into out "file://$PWD/share" /run/m/etc/file1
		ok "with it, it is" "$BUILD/lifeboat" recover --files --identity key --into out "file://$PWD/share" /run/m/etc/file1
		refuses "another key does not open it, which is found before any disk is looked at" 1 \
			'no identity matched any of the recipients' "$BUILD/lifeboat" recover --identity <(age-keygen 2>/dev/null) \
			"file://$PWD/share"
	fi
	like "$kind: what was excluded is shown" "$(cat $kind.sets)" 'level [01].*  without /run/m/data/tmp$'
	like "$kind: and stands in RECOVER.txt" "$(cat share/*/*-"$level"/RECOVER.txt)" '^#.*/run/m/data/tmp'
	rm -rf share/*
done
finish_plan
