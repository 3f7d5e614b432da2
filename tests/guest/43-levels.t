#!/bin/bash
# Levels, for each method: a full set and three that go on from one another, with deletions and renames of every kind in
# between, are each equal to the source when restored; a chain that is not whole is refused before anything is written.
# needs: root loop dump mke2fs setfattr setfacl setcap perl
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/loops.sh
. "$TOP/tests/guest/lib/loops.sh"

tool=$BUILD/tests/tools/set-tool lifeboat=$BUILD/lifeboat
[ -x "$tool" ] || bail "no $tool: run make check-guests"
trap loops_free EXIT
mkdir target

# change N: the tree below ./from, differently each time.
change() {
	(
		cd from || exit 1
		echo "changed $1" >etc/file1 # and with it all its links
		echo "changed $1" >etc/nodump
		echo "new $1" >"many/new$1"
		echo plain >"links/a/plain$1" && setfacl -b "links/a/plain$1" # in a folder with a default ACL
		rm -rf "many/$1"? "links/b/two"
		chmod 640 "many/5$1"
		setfattr -n user.level -v "$1" "many/6$1"
		chown 5:6 "many/7$1"
		touch -d "2001-01-0$1 01:01:01.5 UTC" "many/8$1"
		case $1 in
		1)
			mv deep depth # a folder with much below it
			mkdir -p sub/one/two && echo x >sub/one/two/x && ln many/new1 sub/one/link
			rm odd/new* && mkdir odd/"$(printf 'new\nfolder')" && echo y >odd/"$(printf 'new\nfolder')"/y
			;;
		2)
			mv depth sub/one/two/deep
			mv sub/one sub/two
			rm links/relative && mkdir links/relative && echo in >links/relative/in # a link becomes a folder
			rm -r sparse && ln -s many sparse # a folder becomes a link
			;;
		3)
			rm -r sub/two links/relative && echo file >links/relative
			rm sparse && mkdir sparse && truncate -s 1M sparse/again
			echo "same size" >many/same && touch -r many/9 many/same && mv many/same many/9
			;;
		esac
	)
}

# equal METHOD LEVEL: the newest set lists what the disk holds, agrees with its streams, and restores to it.
equal() {
	local sets=(target/"$1"/*Z-?) walked list
	sleep 1.1 # dump's dates are whole seconds
	walked=$("$tool" walk from)
	list=$(tree_list from)
	tree_same "$1, level $2: the listing is what the disk holds" \
		"$(cat "${sets[-1]}"/root.listing.zst.* | zstd -dq)" "$(without "$1" "$walked")"
	like "$1, level $2: stream and listing agree" \
		"$("$lifeboat" verify --deep --host "$1" "file://$PWD/target" 2>&1)" '^[^ ]*: every byte'
	mke2fs -q -F -t ext4 -b 4096 to.img || bail "no file system"
	mount -o user_xattr,acl,loop to.img to || bail "no mount"
	ok "$1, level $2: restored" "$tool" restore "file://$PWD/target" - "$1" root "$1" "$PWD/to"
	tree_same "$1, level $2: every path is equal" "$(tree_list to)" "$(without "$1" "$list")"
	is "$1, level $2: nothing else is there" "$(ls -d to/restoresymtable* to/.lifeboat* 2>/dev/null)" ""
	umount to
}
without() { # METHOD LIST
	if [ "$1" = dump ]; then cat; else grep -av special/socket; fi <<<"$2"
}
size() { cat target/"$1"/*Z-"$2"/root."$1".zst.* | zstd -dq | wc -c; }

for method in dump archive; do
	loop_disk from 200M
	truncate -s 250M to.img
	mkdir -p to
	tree_make "$PWD/from" 20M 100
	chattr -i from/etc/fixed from/etc/immutable # what may not be changed cannot be deleted later
	chattr -a from/etc/append-only
	echo full >from/etc/nodump && chattr +d from/etc/nodump # of which dump leaves out what changed, unless told
	refuses "$method: a level needs a full set first" 1 'level 1 goes on from a set of a lower level, and there is none' \
		"$tool" save "file://$PWD/target" - $method root $method "$PWD/from" 2M 1
	for level in 0 1 2 3; do
		[ $level = 0 ] || change $level
		ok "$method: level $level" "$tool" save "file://$PWD/target" - $method root $method "$PWD/from" 2M $level
		equal $method $level
		sleep 1.1
	done
	is "$method: a level is a fraction of the full set" "$(($(size $method 2) * 4 < $(size $method 0)))" 1
	full=$(basename target/$method/*Z-0) one=$(basename target/$method/*Z-1)
	like "$method: sets shows what each goes on from" "$("$lifeboat" sets "file://$PWD/target")" "level 2 on $one"

	# dump(8)'s rule: level 1 goes on from the full set, whatever came between.
	ok "$method: level 1 again" "$tool" save "file://$PWD/target" - $method root $method "$PWD/from" 2M 1
	equal $method 1
	again=$(cd target/$method && echo *Z-1 | cut -d ' ' -f 2)
	like "$method: it goes on from the full set" "$("$lifeboat" sets "file://$PWD/target")" "$again .* level 1 on $full"

	mv target/$method/"$full" kept
	refuses "$method: a chain without its end is refused" 1 "$again goes on from $method/$full: .*no complete set" \
		"$lifeboat" verify --host $method "file://$PWD/target"
	mkdir -p blank
	refuses "$method: before anything is restored" 1 "goes on from" \
		"$tool" restore "file://$PWD/target" - $method root $method "$PWD/blank"
	is "$method: nothing was written" "$(ls -A blank)" ""
	cp -r kept target/$method/"$full"
	sed -i '1s/^./x/; 1s/^x/0/' target/$method/"$full"/SHA256SUMS
	sed -i '$d' target/$method/"$full"/SHA256SUMS
	refuses "$method: so is another set in its place" 1 "goes on from $method/$full, which is not what it was" \
		"$lifeboat" verify --host $method "file://$PWD/target"
	rm -r target/$method/"$full"
	mv kept target/$method/"$full"
	printf damaged | dd of="target/$method/$full/root.$method.zst.000" bs=1 seek=1000 conv=notrunc status=none
	refuses "$method: damage anywhere in the chain is found" 1 "$full/root.$method.zst.000: damaged" \
		"$lifeboat" verify --host $method "file://$PWD/target"

	# The same UUID, but a file system made anew: its inodes are others.
	umount from && losetup -d "$LOOP"
	rm -f from.img
done

loop_disk other 50M -U 11111111-2222-3333-4444-555555555555
echo 1 >other/1
ok "a full set" "$tool" save "file://$PWD/target" - other root dump "$PWD/other" 2M
sleep 1.1
umount other
mke2fs -q -F -t ext4 -b 4096 -U 11111111-2222-3333-4444-555555555555 other.img
mount "$LOOP" other || bail "no mount"
echo 2 >other/2
"$tool" save "file://$PWD/target" - other root dump "$PWD/other" 2M 1 >out 2>&1
like "a file system that was made anew is saved in full, and that is said" "$(cat out)" 'saved in full'
like "its set says so" "$("$tool" restore "file://$PWD/target" - other root dump "$PWD/blank" 2>&1; ls blank)" '^2'
is "and holds nothing of the old one" "$(ls blank/1 2>/dev/null)" ""

# The clock was wrong while a file was changed: by its times dump takes it for older than the set below.
loop_disk back 50M
echo 1 >back/file && echo 1 >back/other
ok "a full set before the clock is set back" "$tool" save "file://$PWD/target" - back root dump "$PWD/back" 2M
sleep 1.1
echo 22 >back/file
umount back
for field in ctime mtime; do
	debugfs -w -R "set_inode_field /file $field @0x386d4380" back.img 2>/dev/null # 2000-01-01
done
mount "$LOOP" back || bail "no mount"
there=$(ls target/back)
refuses "what changed while the clock was behind is not left out unsaid" 1 \
	'1 files \(file, \.\.\.\) have changed since the set below, at a time before it' \
	"$tool" save "file://$PWD/target" - back root dump "$PWD/back" 2M 1
is "and there is no such set" "$(ls target/back)" "$there"
touch back/file
ok "once its times are right it is saved" "$tool" save "file://$PWD/target" - back root dump "$PWD/back" 2M 1
mkdir -p clock
ok "and restored" "$tool" restore "file://$PWD/target" - back root dump "$PWD/clock"
is "as it was last" "$(cat clock/file clock/other | xargs)" "22 1"
finish_plan
