#!/bin/bash
# What a set lists is what the disk holds, for each method: a walk of the source, the listing of the set and a walk of the
# restored disk are equal; verify --deep, and a restore, see when stream and listing differ; files that change meanwhile are named.
# needs: root loop dump mke2fs setfattr setfacl setcap perl bsdtar
# limit: 200
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/loops.sh
. "$TOP/tests/guest/lib/loops.sh"

tool=$BUILD/tests/tools/set-tool lifeboat=$BUILD/lifeboat
[ -x "$tool" ] || bail "no $tool: run make check-guests"
trap loops_free EXIT

# listing HOST [STREAM]: of the newest set.
listing() {
	local sets=(target/"$1"/*Z-?)
	cat "${sets[-1]}/root.${2:-listing}".zst.* | zstd -dq
}

mkdir target
loop_disk from 300M
# What the disk holds is not what a file has that was never written.
yes 'of a file that was removed' | head -c 250M >from/removed || bail "no room"
sync from/removed && rm from/removed
tree_make "$PWD/from" 300M 2000
for i in $(seq 40); do head -c 200K /dev/urandom >"from/many/random$i"; done
sleep 1.1 # nothing changes from here on
walked=$("$tool" walk from)
[ "$(wc -l <<<"$walked")" -gt 2100 ] || bail "the tree was not made"

# Of the lines that our own walk writes, what find(1), stat(1) and sha256sum(1) say.
is "a walk lists what find does" "$(grep -c '^\.' <<<"$walked")" "$(find from -xdev -printf '\n' | wc -l)"
is "it has the hashes of sha256sum" "$(grep -ao 'sha256=.*' <<<"$walked" | sed 's/sha256=//; s/ .*//' | sort | uniq -c)" \
	"$(find from -xdev -type f -print0 | xargs -0 sha256sum | LC_ALL=C sed 's/^\\//; s/ .*//' | sort | uniq -c)"
like "it has the time of stat" "$walked" "^\./times/link .* time=$(TZ=UTC stat -c %.9Y from/times/link) "

for method in dump archive; do
	ok "$method: saved" "$tool" save "file://$PWD/target" - $method root $method "$PWD/from" 2M
	wanted=$walked
	[ $method = dump ] || wanted=$(grep -av '^./special/socket ' <<<"$walked")
	tree_same "$method: the listing is what the disk holds" "$(listing $method)" "$wanted"
	is "$method: nothing has changed meanwhile" "$(ls target/$method/*/root.changed.* 2>/dev/null)" ""
	like "$method: stream and listing agree" "$("$lifeboat" verify --deep --host $method "file://$PWD/target")" 'every byte'
	loop_disk $method-to 400M
	ok "$method: restored" "$tool" restore "file://$PWD/target" - $method root $method "$PWD/$method-to"
	strip() { sed -E 's/ inode=[0-9]+//' | grep -av '^\./lost+found '; }
	tree_same "$method: and what is restored is what was listed" "$("$tool" walk $method-to | strip)" "$(listing $method | strip)"
	# A part of the stream by the index and standard tools.
	read -r _ chunk offset length plain < <(listing $method index | grep '^frame' | tail -n 1)
	file=$(printf '%s/root.%s.zst.%03d' target/$method/*Z-0 $method "$chunk")
	is "$method: the index finds the last frame" \
		"$(tail -c +$((offset + 1)) "$file" | head -c "$length" | zstd -dq | sha256sum)" \
		"$(cat target/$method/*Z-0/root.$method.zst.* | zstd -dq | tail -c +$((plain + 1)) | sha256sum)"
done

# Blocks in which the file system had kept its own, of files of many pieces, belong to another file by now: what the kernel remembers of
# the device is not what the disk holds.
loop_disk reused 64M -b 1024
perl -e 'open F, ">reused/pieces" or die; for ($i = 0; $i < 20000; $i++) { seek F, 2048 * $i, 0; print F "x" or die }' || bail "no room"
sync -f reused && rm reused/pieces && sync -f reused
head -c 52M /dev/urandom >reused/data || bail "no room"
sleep 1.1
ok "a disk of which blocks were used anew is saved" "$tool" save "file://$PWD/target" - reused root dump "$PWD/reused" 8M
is "with what the file has now" "$(listing reused | grep -o '^./data .* sha256=.*' | sed 's/.*sha256=//')" "$(sha256sum <reused/data | cut -d ' ' -f 1)"

# It ends with a warning: it does not know `xattrs`.
is "the listing is mtree(5): bsdtar reads it" "$(listing archive | bsdtar -tf - 2>/dev/null | wc -l)" "$(listing archive | grep -c '^\.')"

# Whole sets that do not agree: a file's stream from one, the listing from another, the sums made new.
echo other >from/many/1
mv from/many/2 from/many/2.moved
sleep 1.1 # none of the two counts as changed while it is saved
ok "saved again" "$tool" save "file://$PWD/target" - dump root dump "$PWD/from" 2M
sets=(target/dump/*Z-0)
[ ${#sets[@]} = 2 ] || bail "two sets expected"
cp "${sets[0]}"/root.listing.zst.* "${sets[1]}"
(cd "${sets[1]}" && rm SHA256SUMS && sha256sum -- * >../sums && mv ../sums SHA256SUMS)
refuses "a listing that is not the stream's is found" 1 'listing and stream root: ./many.*(not what was listed)' \
	"$lifeboat" verify --deep --host dump "file://$PWD/target"
ok "its bytes are those of its sums" "$lifeboat" verify --host dump "file://$PWD/target"
loop_disk lost 400M
refuses "what restore does not bring back, without a word, is told" 1 \
	'restore root: it did not bring back 2 of the files: \./many/1: its size is another one' \
	"$tool" restore "file://$PWD/target" - dump root dump "$PWD/lost"
cp "${sets[0]}"/root.index.zst.* "${sets[1]}"
cp "${sets[0]}"/root.dump.zst.001 "${sets[1]}"
(cd "${sets[1]}" && rm SHA256SUMS && sha256sum -- * >../sums && mv ../sums SHA256SUMS)
refuses "a chunk of another set is found without reading it" 1 'the index of root knows another file|listing' \
	"$lifeboat" verify --host dump "file://$PWD/target"
rm -r "${sets[1]}"

# A file that is written to all the time.
head -c 40M /dev/urandom >from/busy
for method in dump archive; do
	while :; do date >>from/busy; done 2>/dev/null &
	writer=$!
	"$tool" save "file://$PWD/target" - busy-$method root $method "$PWD/from" 2M >/dev/null 2>busy.err
	status=$?
	kill $writer
	wait $writer 2>/dev/null
	is "$method: a file that changes does not fail the backup" "$status" 0
	like "$method: it is named" "$(cat busy.err)" 'from: [0-9]+ files? changed while .* read: .*busy'
	like "$method: and listed in the set" "$(listing busy-$method changed)" '^\./busy$'
	like "$method: stream and listing agree in spite of it" \
		"$("$lifeboat" verify --deep --host busy-$method "file://$PWD/target")" 'every byte'
	loop_disk busy-$method-to 500M
	ok "$method: and it is restored" "$tool" restore "file://$PWD/target" - busy-$method root $method "$PWD/busy-$method-to"
done
finish_plan
