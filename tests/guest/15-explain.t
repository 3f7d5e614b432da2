#!/bin/bash
# Each file of a real image is explained and what it costs is counted: what would go with a profile, a tool or
# a module is what really goes; guesses at an image's size are near it; over max-initrd nothing is written.
# needs: kernel jq mtype syslinux script
# limit: 600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_kernel
export SOURCE_DATE_EPOCH=1700000000 LIFEBOAT_DATADIR=$PWD/data
mkdir data && cp -R "$TOP/overlay" "$TOP/profiles" data/
profiles="-p minimal -p smb -p nfs -p uefi"

# lb COMMAND…: for the same image each time.
lb() {
	local command=$1
	shift
	# shellcheck disable=SC2086 # words
	"$LIFEBOAT" "$command" -q -k "$KERNEL_DEB" $profiles "$@"
}

# files LIST: the paths of a tree.list but folders, sorted.
files() {
	awk -F '\t' '$2 != "folder" { print $1 }' "$1" | LC_ALL=C sort
}

ok "an image" lb build -o all || bail "no image"
files all/tree.list >paths

# --- why ---

# shellcheck disable=SC2046,SC2086 # words
ok "all files are explained" sh -c 'exec "$@" >why.json' sh "$LIFEBOAT" why -q -k "$KERNEL_DEB" \
	$profiles --json $(cat paths)
is "each of them" "$(jq -r '.[].path' why.json | LC_ALL=C sort | diff - paths)" ""
is "each with a chain, and the chains are whole" "$(jq -r '.[] | select((.chains | length) == 0 or .more) | .path' why.json)" ""
jq -r '.[] | .path as $p | .chains[] | $p + "\t" + join(" → ")' why.json | LC_ALL=C sort -u >chains
awk -F '\t' '$2 != "folder" { print $1 "\t" $5 }' all/tree.list | LC_ALL=C sort >first
is "the first reason is one of them" "$(LC_ALL=C comm -13 chains first)" ""
is "each begins where reasons begin" \
	"$(cut -f 2 chains | grep -E '^(tool|file|interpreter|library|helper|module|soft dependency|firmware) ')" ""
like "a library that many need has many chains" "$(lb why libc.so.6)" '… and [0-9]{2,} more: -v shows them'
like "a path through links" "$(lb why /bin/mount)" '^  profile minimal → tool mount$'
like "a module by its name" "$(lb why nfs)" '^  profile nfs → module nfsv4 → module nfs$'
like "a module by another name" "$(lb why usb-storage)" '/usb-storage\.ko, '
refuses "what is not in the image: a module" 1 'dm.snapshot is not in the image; kernel .* has the module' lb why dm-snapshot
refuses "what is not in the image: a program" 1 'mkfs\.cramfs is not in the image; this machine has /.*mkfs.cramfs' lb why mkfs.cramfs
refuses "what is not in the image: nearly the name" 1 'libcrypto\.so is not in the image; the image has /.*/libcrypto\.so\.3' \
	lb why libcrypto.so
refuses "what is nowhere" 1 '/no/such/file is not in the image$' lb why /usr/bin/mount /no/such/file
refuses "no file" 2 'which file' lb why

# --- list ---

lb list --json >list.json
is "the list has every file" "$(jq -r '.[].path' list.json | LC_ALL=C sort | diff - paths)" ""
is "what costs most comes first" "$(jq '[.[].share] == ([.[].share] | sort | reverse)' list.json)" true
is "shares are of one whole" "$(jq '[.[].share] | add | . > 0.97 and . < 1' list.json)" true
# All of the list has room in a pipe: the reader goes away before it is written.
{
	until [ -e gone ]; do sleep 0.1; done
	lb list 2>head.err
} | {
	exec <&-
	touch gone
}
is "a reader that went away is no error; -q says no more than warnings" "${PIPESTATUS[0]} $(grep -v 'warning: ' head.err)" "141 "
script -qec "stty cols 140; $LIFEBOAT list -q -k $KERNEL_DEB" /dev/null </dev/null | tr -d '\r' | grep ' % ' >wide
is "lines fit a terminal" "$(LC_ALL=C.UTF-8 grep -E '^.{141}' wide)" ""
like "and use it" "$(LC_ALL=C.UTF-8 grep -cE '^.{140}$' wide)" '^[1-9]'
like "and there are some" "$(wc -l <wide)" '^[0-9]{3,}$'

# really_goes KIND NAME EDIT: without it, those files are gone that `list` says hang on it alone.
really_goes() {
	local kind=$1 name=$2 sum
	sum=$(lb list --json --by "$kind" | jq -r --arg n "$name" ".[] | select(.$kind == \$n) | .alone | \"\\(.files) \\(.size)\"")
	eval "$3" && lb build -o "without-$name"
	rm -rf data/profiles && cp -R "$TOP/profiles" data/
	profiles="-p minimal -p smb -p nfs -p uefi"
	files "without-$name/tree.list" | LC_ALL=C comm -13 - paths >gone
	is "$kind $name: what hangs on it alone is what goes with it" "$sum" "$(
		awk -F '\t' 'FILENAME == "gone" { gone[$1] = 1; files++; next } $1 in gone { if ($2 != "folder") size += $4 }
			END { print files + 0, size + 0 }' gone all/tree.list
	)"
}
really_goes profile nfs 'profiles="-p minimal -p smb -p uefi"'
really_goes profile smb 'profiles="-p minimal -p nfs -p uefi"'
really_goes tool parted 'sed -i "s/ parted / /" data/profiles/minimal.conf'
really_goes tool zstd 'sed -i "s/ zstd$//" data/profiles/minimal.conf'
really_goes module nvme 'sed -i "s/ nvme / /" data/profiles/minimal.conf'
for kind in profile tool module; do
	is "sums by $kind add up" "$(lb list --json --by $kind | jq --slurpfile all list.json \
		'([.[].files] | add) == ($all[0] | length) and (([.[].share] | add) - 1 | fabs) < 1e-6')" true
done

# --- how large ---

# off GUESS REAL: prints by how many percent.
off() {
	echo $((($1 > $2 ? $1 - $2 : $2 - $1) * 100 / $2))
}
for how in zstd zstd:12 gzip xz:1 lz4 none; do
	guess=$(lb build --dry-run --json --compress $how | jq .initrd_size)
	lb build --compress $how -o packed
	real=$(stat -c %s packed/initrd.img)
	ok "$how: $guess bytes are guessed, $real it has: $(off "$guess" "$real") % off" [ "$(off "$guess" "$real")" -le 8 ]
done
is "a dry run says what is in it" "$(lb build --dry-run --json | jq -c '[.guessed, .folder, .files]')" \
	"[true,null,$(wc -l <all/tree.list)]"
is "and writes nothing" "$(lb build --dry-run -o dry >/dev/null; echo dry*)" "dry*"
printf '[image]\nmax-initrd = 1M\n' >small.conf
over='its initrd has .* MiB, more than max-initrd = 1\.0 MiB in small\.conf allows; most of it: profile minimal [0-9]+ %.*tool .* module'
refuses "over max-initrd" 1 "$over" lb build -c small.conf -o over
is "nothing is written" "$(echo over/* over/.[!.]*)" "over/* over/.[!.]*"
refuses "a dry run refuses it, too" 1 "$over" lb build -c small.conf --dry-run

# --- RAM ---

ram=$(lb build --json -o all | jq .ram_needed)
text="$((ram / 1048576))\.[0-9] MiB"
like "how much RAM it needs is printed" "$("$LIFEBOAT" build -k "$KERNEL_DEB" -p minimal -p smb -p nfs -p uefi -o all 2>&1)" \
	"needs $text of RAM"
ok "a stick of that image" "$LIFEBOAT" usb --image all stick.img
like "it is written on the stick" "$(mtype -i stick.img@@1M ::README.TXT)" "^RAM +$text or more"
like "and shown when it starts" "$(mtype -i stick.img@@1M ::boot.msg)" "needs $text of RAM"
finish_plan
