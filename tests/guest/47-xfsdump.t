#!/bin/bash
# xfsdump into sets and back, on real XFS: levels with deletions and renames, each equal to the source when restored; nothing is left
# on the machine; what its programs would not tell is an error.
# needs: root loop mkfs.xfs xfsdump xfsrestore xfs_io setfattr setfacl setcap perl age age-keygen
# limit: 240
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"

tool=$BUILD/tests/tools/set-tool
[ -x "$tool" ] || bail "no $tool: run make check-guests"

mounts=()
finish() {
	local m
	for m in "${mounts[@]}"; do umount "$m" 2>/dev/null; done
}
trap finish EXIT

# fresh NAME [OPTION…]: a new XFS mounted at ./NAME, in the place of the former one.
fresh() {
	local name=$1
	shift
	if [ -d "$name" ]; then umount "$name"; else mounts+=("$PWD/$name"); fi
	mkdir -p "$name"
	rm -f "$name.img"
	truncate -s 320M "$name.img"
	if ! mkfs.xfs -q "$@" "$name.img" || ! mount -o loop "$name.img" "$name"; then bail "no XFS"; fi
}
projects() { (cd "$1" && xfs_io -r -c lsproj proj && xfs_io -r -c lsproj proj/file && xfs_io -r -c stat proj | grep -o 'xflags.*\[.*') 2>&1; }
save() { "$tool" save "file://$PWD/target" - "${1%/*}" root xfsdump "$PWD/${1#*/}" 2M "${2:-0}"; }
restore() { "$tool" restore "file://$PWD/target" - "$1" root xfsdump "$PWD/to"; }

# equal LEVEL: the newest set lists what the disk holds, and restores to it.
equal() {
	local sets=(target/box/*Z-?) list
	list=$(tree_list from)
	tree_same "level $1: the listing is what the disk holds" \
		"$(cat "${sets[-1]}"/root.listing.zst.* | zstd -dq)" "$("$tool" walk from)"
	like "level $1: its streams unpack" "$("$BUILD/lifeboat" verify --deep --host box "file://$PWD/target" 2>&1)" '^[^ ]*: every byte'
	fresh to
	ok "level $1: restored" restore box
	tree_same "level $1: every path is equal: types, modes, owners, times, links, holes, attributes, flags, contents" "$(tree_list to)" "$list"
	is "level $1: projects are, too" "$(projects to)" "$(projects from)"
	is "level $1: nothing else is there" "$(ls -d to/xfsrestore* to/orphanage 2>/dev/null)" ""
}

mkdir target
inventory=$(find /var/lib/xfsdump 2>/dev/null | sort)
fresh from -m uuid=11111111-2222-3333-4444-555555555555
tree_make "$PWD/from" 20M 100
echo bound >from/etc/bound && ln from/etc/bound from/links/bound && chattr +i from/etc/bound # a name of what may not be changed
mkdir from/proj && xfs_io -c 'chproj 42' -c 'chattr +P' from/proj && echo in >from/proj/file
setfattr -n user.large -v "$(head -c 40000 /dev/urandom | base64 -w 0)" from/etc/file3
chmod 1750 from && chown 7:8 from && setfacl -m u:1001:rx from && setfattr -n user.root -v yes from
mkdir from/mountpoint && : >from/mountpoint/hidden
touch -d '2011-12-13 14:15:16.171819202 UTC' from
mkdir over && mount -t tmpfs over from/mountpoint && mounts=("$PWD/from/mountpoint" "${mounts[@]}")
echo no >from/mountpoint/not-ours
sleep 0.1
ok "level 0" save box/from
umount from/mountpoint
equal 0
is "the root keeps its own time" "$(stat -c %.9Y from)" "$(stat -c %.9Y to)"

change() {
	(
		cd from || exit 1
		rm -rf "many/$1"? && mkdir "made$1" && echo new >"made$1/new" && ln etc/file2 "made$1/link"
		case $1 in
		1)
			chattr -i etc/fixed && rm etc/fixed # protected in the set below
			chattr -i etc/bound && rm links/bound && echo more >>etc/bound && chattr +a etc/bound
			mv deep depth && mv links/a/one links/renamed
			;;
		2)
			mv depth "made$1/deep" && chattr -a etc/bound
			rm -r sparse && ln -s many sparse # a folder becomes a link
			rm links/relative && mkdir links/relative && echo in >links/relative/in
			;;
		esac
	)
}
for level in 1 2; do
	sleep 1.1 # dates are whole seconds
	change $level
	sleep 1.1
	ok "level $level" save box/from $level
	equal $level
done
size() { cat target/box/*Z-"$1"/root.xfsdump.zst.* | zstd -dq | wc -c; }
is "a level is a fraction of the full set" "$(($(size 2) * 3 < $(size 0)))" 1
is "the machine's own inventory is as it was" "$(find /var/lib/xfsdump 2>/dev/null | sort)" "$inventory"

# By hand, as RECOVER.txt says it.
fresh to
for set in target/box/*Z-0 target/box/*Z-1 target/box/*Z-2; do
	(cd to && find . -xdev '(' -type f -o -type d ')' -exec chattr -ia {} +
	cat "../$set"/root.xfsdump.zst.* | zstd -dq | xfsrestore -J -F -B -r - . >/dev/null 2>&1) || bail "restore by hand"
done
rm -r to/xfsrestorehousekeepingdir
(cd to && find . -xdev '(' -type f -o -type d ')' -exec chattr -ia {} +
export LC_ALL=C
zstd -dqc "../$set"/root.times.zst.* | while IFS= read -r -d "" line; do line=${line#* }; touch -c -h -m -d "@${line%% *}" -- "${line#* }"; done
zstd -dqc "../$set"/root.flags.zst.* | while IFS= read -r -d "" line; do chattr "+${line%% *}" "./${line#* }"; done)
tree_same "by hand with standard tools it is equal, too" "$(tree_list to)" "$(tree_list from)"

fresh from -m uuid=11111111-2222-3333-4444-555555555555
echo anew >from/file && sleep 1.1
save box/from 3 >out 2>&1
like "one that was made anew is saved in full, and that is said" "$(cat out)" 'saved in full'
fresh to
ok "which is restored" restore box
is "without anything of the former one" "$(ls to)" file
refuses "of a stream like that no single file is to be had" 1 'single files cannot be taken out of root\.xfsdump' \
	"$BUILD/lifeboat" recover --files --into out.d --host box "file://$PWD/target" /file

# What goes wrong.
set=$(echo target/box/*Z-3)
cp -r target bad
printf x | dd of="bad/box/${set##*/}/root.xfsdump.zst.000" bs=1 seek=200 conv=notrunc status=none
fresh to
refuses "a damaged stream is an error" 1 'root\.xfsdump\.zst\.000: damaged' "$tool" restore "file://$PWD/bad" - box root xfsdump "$PWD/to"
mkdir full && mount -t tmpfs -o size=2M tmpfs full && mounts=("$PWD/full" "${mounts[@]}")
head -c 20M /dev/urandom >from/large
refuses "a full target is the error, not a broken pipe" 1 'No space left on device' \
	"$tool" save "file://$PWD/full" - box root xfsdump "$PWD/from" 1M
is "which leaves nothing behind" "$(ls full/box)" ""
mkdir ext && truncate -s 20M ext.img && mke2fs -q -t ext4 ext.img && mount -o loop ext.img ext && mounts=("$PWD/ext" "${mounts[@]}")
refuses "what is no XFS is refused" 1 'mount /dev/loop.* for xfsdump' "$tool" save "file://$PWD/target" - ext root xfsdump "$PWD/ext" 1M
refuses "so is what lies on no device" 1 'lies on no block device, which xfsdump needs' \
	"$tool" save "file://$PWD/target" - ext root xfsdump "$PWD/full" 1M

# programs DIR NAME: a folder in front of PATH whose NAME is the script on stdin.
programs() { mkdir -p "$1" && cat >"$1/$2" && chmod +x "$1/$2"; }
programs killed xfsdump <<-EOF
	#!/bin/sh
	echo half
	kill -9 \$\$
EOF
programs failing xfsdump <<-EOF
	#!/bin/sh
	echo half
	echo 'xfsdump: ERROR: it went wrong' >&2
	echo 'xfsdump: Dump Status: ERROR' >&2
	exit 1
EOF
programs lying xfsdump <<-EOF
	#!/bin/sh
	echo half
EOF
present=$(ls target/box)
refuses "a killed xfsdump fails the backup" 1 'xfsdump /dev/loop.*killed by signal 9' env PATH="$PWD/killed:$PATH" "$tool" save "file://$PWD/target" - box root xfsdump "$PWD/from" 1M
refuses "a failing one does, with its reason" 1 'xfsdump /dev/loop.*it went wrong' env PATH="$PWD/failing:$PATH" "$tool" save "file://$PWD/target" - box root xfsdump "$PWD/from" 1M
refuses "and one that only exits 0" 1 'did not say that it was done' env PATH="$PWD/lying:$PATH" "$tool" save "file://$PWD/target" - box root xfsdump "$PWD/from" 1M
is "none leaves a set" "$(ls target/box)" "$present"
programs forgetting xfsrestore <<-EOF
	#!/bin/sh
	cat >/dev/null
	echo 'xfsrestore: session id: 1'
	echo 'xfsrestore: Restore Status: SUCCESS'
EOF
refuses "an xfsrestore that makes nothing and says that it is done is found out" 1 '\./file: its presence is missing' \
	env PATH="$PWD/forgetting:$PATH" "$tool" restore "file://$PWD/target" - box root xfsdump "$PWD/to"
finish_plan
