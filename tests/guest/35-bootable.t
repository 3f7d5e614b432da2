#!/bin/bash
# The machines of machines/ that boot by themselves: a Debian with its own kernel, initramfs and GRUB is made on them, backs
# itself up while it runs, is recovered by a stick onto other disks, and those boot alone: every file and what the real tools say from
# within is as it was.
# needs: root uml qemu kernel ovmf loop mmdebstrap slirp-fullbolt jq cpio sfdisk debugfs mdadm lvm cryptsetup mkfs.xfs mkfs.btrfs mkfs.vfat
# limit: 20000
# matrix: all
# MACHINES='NAME…' limits it to these, STAGES='NAME…' to those.
# shellcheck disable=SC2030,SC2031 # in_uml has a SCRATCH of its own
set -u
# shellcheck source=tests/guest/lib/story.sh
. "$TOP/tests/guest/lib/story.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"
# shellcheck source=tests/guest/lib/facts.sh
. "$TOP/tests/guest/lib/facts.sh"
# shellcheck source=tests/guest/lib/bootable.sh
. "$TOP/tests/guest/lib/bootable.sh"

# make_stick FOLDER: a stick for any machine, with the tools of every layer. By `once`.
make_stick() {
	mkdir "$1" && printf '[console]\nconsoles = ttyS0,115200\nmenu-timeout = 0\n' >"$1/recovery.conf" &&
		"$LIFEBOAT" usb -c "$1/recovery.conf" --image "$IMAGE" "$1/stick.img"
}

# in_uml STAGE: the part that runs there (35-bootable.guest). Its words become test lines.
in_uml() {
	local word result rest status=0
	(
		SCRATCH=$FOLDER
		cat >"$SCRATCH/guest.sh" <<-END
			export CONF='$CONF' STAGE='$1'
			. "\$TOP/tests/guest/35-bootable.guest" >"\$SCRATCH/tap" 2>"\$SCRATCH/guest.log"
		END
		uml_run "$SCRATCH/guest.sh"
	)
	while read -r word result rest; do
		case $word$result in
		TAPok) [ "$1" = made ] || result 0 "$NAME: $1: $rest" ;;
		TAPnot) result 1 "$NAME: $1: ${rest#ok }" || status=1 ;;
		'#'*) [ $status -eq 0 ] || diag "$result $rest" ;;
		esac
	done < <(tr -d '\r' <"$FOLDER/tap")
	grep -q '^TAP-END' "$FOLDER/tap" || { [ $status -ne 0 ] || tail -n 20 "$FOLDER/guest.log" "$FOLDER/uml.log"; return 1; }
	return $status
}

# options STAGE PREFIX SIZES: prints the options of the recovery.
options() {
	local word
	case $1 in
	dirty) echo --yes ;;
	*) [ "${passphrases:-0}" = 0 ] && echo --unattended || echo --yes ;;
	esac
	[ "$2" = MACHINE ] || for word in $3; do echo "--map MACHINE-${word%%=*}=$2-${word%%=*}"; done
}

# recover STAGE PREFIX SIZES: the stick, in a computer with the disks disk_args; a person at its console, who is asked for each passphrase
# before anything is written, and when the device is opened.
recover() {
	local stick
	usb_disk "$SHARED/stick/stick.img" STICK-1 bootindex=0 && stick=("${args[@]}")
	usb_disk "$FOLDER/sets.img" SETS && stick+=("${args[@]}")
	bootable_open "$NAME-$1-rescue" -snapshot "${stick[@]}" "${disk_args[@]//cache=unsafe/cache=unsafe,snapshot=off}" &&
		console_wait "LIFEBOAT READY" $((300 * LIMIT_FACTOR)) && console_wait "> " && console_type 2 &&
		console_wait "come back to the menu" && console_wait "# " &&
		console_type "until [ -e /run/lifeboat/settled ]; do sleep 0.2; done; lifeboat recover $(options "$@" | paste -sd ' ') $target; echo END''ED-\$?; rescue-leave poweroff" &&
		bootable_unlock "Enter passphrase for" && bootable_unlock "Enter passphrase for" && console_wait "ENDED-0" $((900 * LIMIT_FACTOR)) && console_close 120 && return
	kill "$CONSOLE_PID" 2>/dev/null
	show_console "$CONSOLE_LOG"
	return 1
}

# listing_normal LISTING: prints it without what a recovery writes anew: the times of GRUB's modules and font, its core, which names the disks
# in their order, extlinux. XFS and btrfs allocate
# more around data than was written, so there it counts only whether a file has holes.
listing_normal() {
	sed -E '\#^\./(boot/)?grub/(i386-pc|x86_64-efi|fonts)[ /]# s/ mtime=[^ ]*//
		\#^\./(boot/)?grub/i386-pc/(core\.img|load\.cfg) # s/ (size|sha256)=[^ ]*//g
		\#^\./boot/extlinux(/ldlinux\.(sys|c32))? # s/ (mtime|size|sha256)=[^ ]*//g' "$1" |
		if grep -qE '^TYPE=(xfs|btrfs)' "$SCRATCH/$NAME-made/late/facts"; then sed 's/ holes=[^ ]*/ holes/'; else cat; fi
}
same_files() {
	[ "$(wc -l <"$1")" -gt "$3" ] || { echo "$1 is too short"; return 1; }
	diff <(listing_normal "$1") <(listing_normal "$2") >"$SCRATCH/difference" && return
	wc -l <"$SCRATCH/difference"
	cut -c 1-300 "$SCRATCH/difference" | head -n 40
	return 1
}

# judge STAGE: compares the machine as it was made with the recovered one.
judge() {
	local was=$SCRATCH/$NAME-made/late is=$SCRATCH/$NAME-$1
	ok "$NAME: $1: nothing failed at its boot" sh -c "cat '$is/late/state' '$is/late/failed'; [ ! -s '$is/late/failed' ]"
	ok "$NAME: $1: every file of the root is as it was" same_files "$was/root" "$is/early/root" 5000
	[ ! -e "$was/top" ] || ok "$NAME: $1: with its subvolumes and snapshots" same_files "$was/top" "$is/early/top" 5000
	[ ! -s "$was/others" ] || ok "$NAME: $1: every file of the other file systems, too" same_files "$was/others" "$is/late/others" 3
	facts_normal "$was/facts" >"$FOLDER/facts.made"
	facts_normal "$is/late/facts" >"$FOLDER/facts.$1"
	if [ "$1" = smaller ]; then
		ok "$NAME: $1: identifiers and features are the old ones" \
			diff <(facts_identifiers <"$FOLDER/facts.made") <(facts_identifiers <"$FOLDER/facts.$1")
	else
		ok "$NAME: $1: the real tools say of it what they said before" \
			diff -U 1 <(facts_sizeless <"$FOLDER/facts.made") <(facts_sizeless <"$FOLDER/facts.$1")
	fi
}

# proven NAME [OPTION…]: the same without a person: the proof, by the stick and a copy of the backup.
proven() {
	local name=$1 proof=$FOLDER/$1
	shift
	[ "${passphrases:-0}" = 0 ] || { printf passphrase >"$FOLDER/key" && set -- --key-file "$FOLDER/key" "$@"; }
	ok "$NAME: $name: is proven" timed "$NAME: $name" env LIFEBOAT_STATE="$FOLDER/state" "$LIFEBOAT" prove --accel tcg --memory 1024 \
		--timeout $((600 * LIMIT_FACTOR)) --output "$proof" --medium "$SHARED/stick/stick.img" "$@" "file://$FOLDER/sets" || return
	is "$NAME: $name: nothing differs" "$(jq -c '[.compared.files.different, .compared.identifiers.different]' "$proof/proof.json")" '[0,0]'
	ok "$NAME: $name: thousands of files were compared" test "$(jq .compared.files.equal "$proof/proof.json")" -gt 5000
}

# stage NAME: new disks, the stick, the machine alone.
# shellcheck disable=SC2154 # disks: the .conf's
stage() {
	local sizes=$disks prefix=MACHINE bus=virtio order='' word
	case $1 in
	larger) sizes=$larger prefix=NEW bus=sata ;;
	smaller) sizes=$smaller prefix=NEW bus=nvme ;;
	reversed) bus=sata order=reversed ;;
	esac
	rm -f "$FOLDER"/disk-*
	if [ "$1" = proven ]; then
		mkdir -p "$FOLDER/sets" && debugfs -R "rdump / $FOLDER/sets" "$FOLDER/sets.img" 2>/dev/null && rmdir "$FOLDER/sets/lost+found" || return
		proven proven
		[ -z "$without" ] || proven "proven without $without" --map "MACHINE-$without=none"
		return
	fi
	if [ "$1" = dirty ]; then
		in_uml dirty || return
	else
		for word in $sizes; do truncate -s "$(sed 's/.*=//; s/:.*//' <<<"$word")" "$FOLDER/disk-$prefix-${word%%=*}"; done
	fi
	bootable_disks "$bus" "$sizes" "$prefix" $order
	ok "$NAME: $1: recovered by the stick" timed "$NAME: $1: recovered" recover "$1" "$prefix" "$sizes" || return
	bootable_scripts "$NAME-$1" "$prefix" "$sizes"
	ok "$NAME: $1: boots alone" timed "$NAME: $1: booted" bootable_run "$NAME-$1" early late || return
	judge "$1"
}

# machine NAME STAGE…: all of it, with the machine's disks in $FOLDER.
machine() {
	NAME=$1 FOLDER=$SCRATCH/$1.disks CONF=${MACHINES_DIR:-$TOP/tests/guest/machines}/$1.conf
	shift
	mkdir "$FOLDER" && cp -al "$SHARED/bootable" "$FOLDER/common" && truncate -s 1G "$FOLDER/sets.img" &&
		mke2fs -q -U "${target#disk://}" "$FOLDER/sets.img" || return
	passphrases=0 larger='' smaller='' without='' method=''
	# shellcheck source=/dev/null
	. "$CONF"
	ok "$NAME: made by the real tools" timed "$NAME: made" in_uml made || return
	bootable_disks virtio "$disks" MACHINE
	usb_disk "$FOLDER/sets.img" SETS && disk_args+=("${args[@]}")
	bootable_scripts "$NAME-made" MACHINE "$disks" "phase listing list root
		$bootable_top
		printf '%s' '${method:+[backup]$'\n'method = $method}' >/run/recovery.conf
		phase backup lifeboat backup -c /run/recovery.conf $target"
	if ok "$NAME: boots and backs itself up" timed "$NAME: backed up" bootable_run "$NAME-made" late; then
		for stage; do
			stage "$stage"
		done
	fi
	[ -n "$KEEP" ] || rm -rf "$FOLDER"
}

target=disk://0b5e55ed-0000-4000-8000-000000000001 # a backup disk that is plugged in besides
need_image stick-image -p any-machine -p raid -p lvm -p luks -p xfs -p btrfs -p uefi
once tools machine_tools || bail "no tools"
once bootable bootable_tree || bail "no Debian"
once stick make_stick || bail "no stick"
for conf in "${MACHINES_DIR:-$TOP/tests/guest/machines}"/*.conf; do
	grep -q '^boots=' "$conf" || continue
	name=${conf##*/} name=${name%.conf}
	[[ " ${MACHINES:-$name} " == *" $name "* ]] || continue
	stages=${STAGES:-same larger smaller reversed dirty proven}
	# shellcheck disable=SC2086 # words
	machine "$name" $stages
done
times_show
finish_plan
