#!/bin/bash
# Single files out of a set, of each method and out of a full set and a level: listed, searched, restored with all their
# metadata, without reading more of the set than what holds them.
# needs: root loop dump mke2fs setfattr setfacl setcap perl
# limit: 240
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

files() { # HOST OPTION… [-- PATH…]
	local host=$1
	shift
	"$lifeboat" recover --files --host "$host" "$@"
}
url=file://$PWD/target

loop_disk from 300M
tree_make "$PWD/from" 20M 200
head -c 60M /dev/urandom >from/big
echo plain >from/links/a/plain && setfacl -b from/links/a/plain # in a folder with a default ACL
sleep 2.1 # dump's dates are whole seconds, and levels go by one second less
for method in dump archive; do
	"$tool" save "$url" - $method root $method "$PWD/from" 2M >/dev/null || bail "not saved"
done
sleep 1.1
mv from/deep from/moved # so that a level finds its content under another name
echo changed >from/odd/-rf\ \*
chmod 600 from/many/7
sleep 1.1
for method in dump archive; do
	"$tool" save "$url" - $method root $method "$PWD/from" 2M 1 >/dev/null || bail "not saved"
done
list=$(tree_list from)

for method in dump archive; do
	without='cat'
	[ $method = dump ] || without='grep -av special/socket'
	is "$method: all is listed" "$(files $method --list "$url" | wc -l)" "$("$tool" walk from | grep '^\.' | $without | wc -l)"
	like "$method: with what ls says" "$(files $method --list "$url" /etc/setuid)" "^-6755 100000 4000000000 +$(stat -c %s from/etc/setuid) .* /etc/setuid$"
	is "$method: a name is searched everywhere" "$(files $method --list "$url" 'file[12]' | sed 's/.* //' | xargs)" "/etc/file1 /etc/file2"
	is "$method: a path with a pattern only there" "$(files $method --list "$url" '/many/12?' | wc -l)" 10
	like "$method: as JSON" "$(files $method --list --json "$url" '/odd/new*')" '"path":"/odd/new\\\\012line"'
	refuses "$method: what is not there is said" 1 '/etc/nothing: no such file in the set' files $method --list "$url" /etc/nothing

	# Everything at once, so that every kind of file is restored, from both sets: equal in all that a full restore keeps.
	loop_disk $method-to 400M
	ok "$method: everything is restored to a folder" files $method --into "$PWD/$method-to" "$url" /
	touch -r from $method-to
	tree_same "$method: every path is equal" "$(tree_list $method-to)" "$($without <<<"$list")"
	is "$method: nothing else is there" "$(ls -d $method-to/.lifeboat* 2>/dev/null)" ""

	ok "$method: a few files, by path, pattern and folder" files $method --into "$PWD/$method-few" "$url" \
		'/odd/-rf \*' /links 'file3' /moved
	is "$method: these and their folders are there" "$(cd $method-few && find . -type f | wc -l)" \
		"$(cd from && find 'odd/-rf *' links moved etc/file3 -type f | wc -l)"
	is "$method: a link and its folder's time are right" "$(cd $method-few && stat -c '%n %y %a %u:%g' odd links links/a links/relative moved)" \
		"$(cd from && stat -c '%n %y %a %u:%g' odd links links/a links/relative moved)"
	is "$method: names of one file stay names of one file" "$(stat -c %h $method-few/links/a/one)" 2
	ok "$method: the content is that of the level" cmp from/odd/-rf\ \* $method-few/odd/-rf\ \*

	# In place: below the mount point, which is / here; so without an answer nothing is written.
	refuses "$method: in place asks first" 1 'not confirmed, so nothing was written' files $method "$url" /etc/file3 </dev/null
	# Only what holds the file is read: it is restored as long as one certain chunk is there, whatever else is missing.
	needed=0
	for chunk in target/"$method"/*/root."$method".zst.*; do
		mv "$chunk" away
		mkdir -p "$method-one/etc"
		files $method --into "$PWD/$method-one" "$url" /etc/empty 2>/dev/null || needed=$((needed + 1))
		mv away "$chunk"
		rm -rf "$method-one"
	done
	is "$method: of all chunks, a small file needs one" "$needed" 1
	umount $method-to
done

# Damage is seen in what is read, and nothing of it gets to its place.
set=$(echo target/dump/*-0)
for chunk in "$set"/root.dump.zst.0*; do
	printf XXXX | dd of="$chunk" bs=1 seek=$(($(stat -c %s "$chunk") / 2)) conv=notrunc status=none
done
refuses "damage is found" 1 'damaged|not what was listed|byte' files dump --into "$PWD/damaged" "$url" /big
is "and nothing of it is there" "$(find damaged -type f 2>/dev/null)" ""
refuses "--list needs --files" 2 'need --files' "$lifeboat" recover --list "$url"
refuses "without a path and a terminal it says what it wants" 2 'which PATH' files archive "$url" </dev/null
finish_plan
