#!/bin/bash
# What plan and recover find wrong with a set before they look at any disk: no root, no disk.
lifeboat=${BUILD:-build}/lifeboat
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
number=0 failed=0

# refused NAME TEXT COMMAND ARGUMENT…: exit 1 with the text in one line, and no plan.
refused() {
	local name=$1 text=$2 command=$3 status
	shift 3
	"$lifeboat" "$command" -q "$@" >"$folder/out" 2>"$folder/said"
	status=$?
	number=$((number + 1))
	if [ $status = 1 ] && [ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/said")" = 1 ] &&
		grep -qF -- "$text" "$folder/said"; then
		echo "ok $number - $command: $name"
	else
		echo "not ok $number - $command: $name"
		echo "# exit status $status, wanted: $text"
		sed 's/^/# /' "$folder/said" "$folder/out"
		failed=1
	fi
}

# both NAME TEXT SED-COMMAND: plan and recover, given machine.conf with that change.
both() {
	sed "$3" "$set/machine.conf" >"$folder/edited.conf"
	refused "$1" "$2" plan --machine "$folder/edited.conf" "file://$folder/share"
	refused "$1" "$2" recover --yes --machine "$folder/edited.conf" "file://$folder/share"
}

set=$folder/share/box/20250101T000000Z-0
mkdir -p "$set"
cat >"$set/machine.conf" <<END
[machine]
hostname = box
firmware = bios
[disk sda]
size = 1073741824
sector-size = 512
table = none
[filesystem sda]
type = ext4
mountpoint = /
stream = root
method = dump
END
printf 'not much' | zstd -q >"$set/root.dump.zst.000"
(cd "$set" && sha256sum machine.conf root.dump.zst.000 >SHA256SUMS)

both "a stream that the set does not hold" \
	"edited.conf:8: restore sda: box/20250101T000000Z-0: it holds no stream home.dump" 's/stream = root/stream = home/'
both "a method that nobody knows" \
	"edited.conf:8: restore sda: backup method 'tape' is unknown to this version" 's/method = dump/method = tape/'
both "what describes another machine" \
	"edited.conf:2: it describes the machine 'other', and box/20250101T000000Z-0 is a backup of 'box'; expected hostname = box" \
	's/hostname = box/hostname = other/'
echo "1..$number"
exit $failed
