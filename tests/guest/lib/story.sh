# shellcheck shell=bash
# What the stories share: the machine, guests that are judged by what they leave behind, and the
# comparison of a machine with what became of it. Definitions only; for tests run by tests/guest/run
# (which sets SCRATCH, SHARED, BUILD, TOP, LIMIT_FACTOR).

# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/servers.sh
. "$TOP/tests/guest/lib/servers.sh"
# shellcheck source=tests/guest/lib/debian.sh
. "$TOP/tests/guest/lib/debian.sh"

# must NAME COMMAND…: like `ok`, for what all that follows stands on: ends the test when it fails.
must() {
	ok "$@" && return
	times_show
	finish_plan
	exit 1
}

# timed NAME COMMAND…: runs it here and notes how long it took.
timed() {
	local name=$1 start=$SECONDS status
	shift
	"$@"
	status=$?
	echo "$name: $((SECONDS - start)) s" >>"$SCRATCH/times"
	return $status
}

# times_show: what `timed` noted.
times_show() {
	diag "$(cat "$SCRATCH/times")"
}

# machine_disk mbr|gpt|uefi DISK: a copy of the machine, which is made at the first call of the run.
machine_disk() {
	once tools machine_tools && once "machine-$1" machine_make "$1" &&
		cp --sparse=always "$SHARED/machine-$1/disk.img" "$2"
}
machine_tools() {
	mkdir "$1" && debian_tools "$1"
}
machine_make() {
	mkdir "$2" && DEBIAN_TOOLS=$SHARED/tools && DEBIAN_BASE=$(debian_base "$DEBIAN_TOOLS/listing") &&
		debian_disk "$2/disk.img" 3G "$1"
}

# show_console LOG: its end, as a person would have seen it.
show_console() {
	echo "---- the end of $1"
	tail -c 20000 "$1" | tr -d '\r' | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' | grep -v -e '^ *$' -e 'no limit)$' | tail -n 60
}

# guest NAME SECONDS ARGUMENTS…: runs qemu until the guest powers itself off; the console goes to
# $SCRATCH/NAME.log. Fails, showing the console's end, when that takes longer than SECONDS.
guest() {
	local log=$SCRATCH/$1.log limit=$(($2 * LIMIT_FACTOR)) status
	shift 2
	timeout --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -no-reboot \
		-display none -monitor none -serial "file:$log" "$@" </dev/null >"$log.qemu" 2>&1
	status=$?
	[ $status -ne 0 ] || return 0
	[ $status -ne 124 ] || echo "the guest was not done after $limit s"
	cat "$log.qemu"
	show_console "$log"
	return 1
}

# Arguments of `guest`. A disk's serial number tells the guest which is which.
net_args=(-netdev 'user,id=net' -device 'virtio-net-pci,netdev=net')
# virtio_disk FILE SERIAL, sata_disk FILE SERIAL, usb_disk FILE SERIAL [bootindex=N]: set `args`.
virtio_disk() {
	args=(-drive "if=none,id=$2,format=raw,cache=unsafe,file=$1" -device "virtio-blk-pci,drive=$2,serial=$2")
}
sata_disk() {
	args=(-drive "if=none,id=$2,format=raw,cache=unsafe,file=$1" -device "ahci,id=ahci-$2"
		-device "ide-hd,bus=ahci-$2.0,drive=$2,serial=$2,model=Test disk")
}
usb_disk() {
	args=(-drive "if=none,id=$2,format=raw,cache=unsafe,file=$1" -device "qemu-xhci,id=xhci-$2"
		-device "usb-storage,bus=xhci-$2.0,drive=$2,serial=$2,removable=on${3:+,$3}")
}

# uefi_args VARIABLES: UEFI firmware whose memory is that file, made when missing. Sets `args`.
uefi_args() {
	[ -e "$1" ] || cp /usr/share/OVMF/OVMF_VARS_4M.fd "$1"
	args=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
		-drive "if=pflash,unit=1,format=raw,file=$1")
}

# agent_args NAME STAGE…: what the machine's agent runs at each STAGE is $SCRATCH/NAME.STAGE; what it
# leaves in its folder comes back into $SCRATCH/NAME/STAGE by agent_results NAME. Sets `args`.
agent_args() {
	local name=$1 stage
	shift
	args=(-device virtio-serial-pci -chardev "file,id=agent,path=$SCRATCH/$name.tar"
		-device "virtserialport,chardev=agent,name=lifeboat.story")
	for stage; do
		args+=(-fw_cfg "name=opt/lifeboat/$stage,file=$SCRATCH/$name.$stage")
	done
}

# agent_results NAME STAGE…: unpacks them; fails unless each STAGE succeeded.
agent_results() {
	local name=$1 stage status
	shift
	mkdir -p "$SCRATCH/$name" && tar -C "$SCRATCH/$name" --ignore-zeros -xf "$SCRATCH/$name.tar" || return 1
	for stage; do
		status=$(cat "$SCRATCH/$name/$stage/status" 2>/dev/null)
		[ "$status" = 0 ] || {
			echo "stage $stage in the guest '$name' ended with ${status:-nothing}"
			show_console "$SCRATCH/$name.log"
			return 1
		}
	done
}

# ---- the story ----

share_password=story-password

# share_start smb|nfs DIR [SHARE=FOLDER…]: a real server on this host's loopback whose share `backup`
# (/backup) is the folder DIR. Port and URL stay the same throughout a run. Sets $share_url; ends by
# share_stop.
share_start() {
	local port_file=$SHARED/$1.port kind=$1 dir=$2
	shift 2
	[ -s "$port_file" ] || servers_free_port >"$port_file"
	case $kind in
	smb)
		share_url=smb://root@10.0.2.2:$(cat "$port_file")/backup
		servers_smb_start "$SCRATCH/server" "$(cat "$port_file")" "$share_password" "backup=$dir" "$@"
		;;
	nfs)
		share_url=nfs://10.0.2.2:$(cat "$port_file")/backup
		servers_nfs_start "$SCRATCH/server" "$(cat "$port_file")" "/backup=$dir" "$@"
		;;
	esac
}
share_stop() {
	servers_stop "$SCRATCH/server"
}

# system_partition_script: prints how a UEFI machine gets its boot loader as a person would install it, and nothing where
# firmware looks by itself.
system_partition_script() {
	cat <<-'EOF'
		phase grub-install grub-install --target=x86_64-efi
		rm -r /boot/efi/EFI/BOOT
		efibootmgr
		(cd /boot/efi && find . -type f -exec sha256sum {} + | sort -k 2) >esp
	EOF
}

# protect_script smb|nfs mbr|gpt|uefi: prints what a person does on the machine: configure, make the stick, back up.
# Where the processor is emulated and busy, loading the modules of NFS alone takes half a minute.
protect_script() {
	[ "$2" != uefi ] || system_partition_script
	cat <<-EOF
		umask 077
		mkdir -p /etc/lifeboat
		printf 'username=root\npassword=%s\n' '$share_password' >/etc/lifeboat/credentials
		cat >/etc/lifeboat/recovery.conf <<-END
			[image]
			pack-secrets = yes
			[backup]
			target = $share_url
			$([ "$1" = nfs ] && echo "timeout = $((60 * LIMIT_FACTOR))" || echo "credentials = /etc/lifeboat/credentials")
			chunk = 64M
			[recover]
			unattended = yes
		END
		phase stick lifeboat usb --yes /dev/disk/by-id/usb-*STICK-1*-0:0
		sync
		phase listing-before list before
		phase backup lifeboat backup $share_url
		sync
		phase listing-after list after
		lifeboat sets $share_url
	EOF
}

# protect smb|nfs mbr|gpt|uefi FOLDER: boots the machine, which makes its stick and backs itself up. Into
# FOLDER: machine.img, stick.img, share/, late/ (what its agent left). By `once`, in a folder protected-SMB.
protect() {
	local kind=$1 table=$2 folder=$3 old stick status firmware=()
	mkdir -p "$folder/share" && timed "make the machine" machine_disk "$table" "$folder/machine.img" || return 1
	truncate -s 600M "$folder/stick.img"
	share_start "$kind" "$folder/share" || return 1
	protect_script "$kind" "$table" >"$SCRATCH/machine.late"
	[ "$table" != uefi ] || { uefi_args "$folder/variables" && firmware=("${args[@]}"); }
	virtio_disk "$folder/machine.img" OLD-1 && old=("${args[@]}")
	usb_disk "$folder/stick.img" STICK-1 && stick=("${args[@]}")
	agent_args machine late
	timed "the machine makes its stick and its backup" guest machine 1500 "${firmware[@]}" "${old[@]}" "${stick[@]}" \
		"${net_args[@]}" "${args[@]}" && agent_results machine late
	status=$?
	share_stop
	[ ! -f "$SCRATCH/machine/late/phases" ] || sed 's/^/    /; s/$/ s/' "$SCRATCH/machine/late/phases" >>"$SCRATCH/times"
	[ $status -ne 0 ] || mv "$SCRATCH/machine/late" "$folder/late"
	return $status
}

# recover_unattended NAME STICK DISK SERIAL [FIRMWARE-ARGUMENT…]: boots the stick (a copy, by USB) in a
# computer with only DISK (by SATA), until that powers itself off recovered.
recover_unattended() {
	local name=$1 medium=$2 disk_file=$3 serial=$4 stick disk
	shift 4
	usb_disk "$medium" STICK-1 bootindex=1 && stick=("${args[@]}")
	sata_disk "$disk_file" "$serial" && disk=("${args[@]}")
	timed "the stick recovers the machine" guest "$name" 1500 "$@" "${stick[@]}" "${disk[@]}" \
		-netdev user,id=net -device e1000,netdev=net || return 1
	grep -aq 'LIFEBOAT RECOVERED' "$SCRATCH/$name.log" && return
	show_console "$SCRATCH/$name.log"
	return 1
}

# reborn_boots NAME DISK SERIAL [FIRMWARE-ARGUMENT…]: boots that disk alone until a login is offered.
reborn_boots() {
	local name=$1 disk_file=$2 serial=$3
	shift 3
	cat >"$SCRATCH/$name.early" <<-'EOF'
		grep ' / ' /proc/mounts >mounts
		phase listing list listing
	EOF
	cat >"$SCRATCH/$name.late" <<-'EOF'
		[ ! -d /boot/efi ] || (cd /boot/efi && find . -type f -exec sha256sum {} + | sort -k 2) >esp
		systemctl is-system-running --wait >state || true
		systemctl --failed --no-legend --plain >failed
		swapon --show=NAME --noheadings >swap
		systemctl is-active serial-getty@ttyS0
		sleep 3 # until its prompt is out
	EOF
	local disk
	sata_disk "$disk_file" "$serial" && disk=("${args[@]}")
	agent_args "$name" early late
	timed "the recovered machine boots from its disk alone" guest "$name" 900 "$@" "${disk[@]}" \
		-netdev user,id=net -device e1000,netdev=net "${args[@]}" && agent_results "$name" early late || return 1
	tr -d '\r' <"$SCRATCH/$name.log" | grep -q '^lifeboat-story login:' && return
	show_console "$SCRATCH/$name.log"
	return 1
}

# reborn_is_well NAME: nothing failed at its boot, swap is on, and its listing was taken read-only.
reborn_is_well() {
	local early=$SCRATCH/$1/early late=$SCRATCH/$1/late
	cat "$late/state" "$late/failed"
	grep -q running "$late/state" && [ ! -s "$late/failed" ] && grep -q '^/dev/sda' "$late/swap" &&
		grep -q ' / ext4 ro' "$early/mounts"
}

# without_grub_times LISTING: prints it without the times of what grub-install writes anew on every disk,
# whose content stays the same: its modules and its font.
without_grub_times() {
	sed -E '\#^\./boot/grub/(i386-pc|fonts)[ /]# s/ mtime=[^ ]*//' "$1"
}

# same_listing ONE OTHER: are they equal, and long enough to be real?
same_listing() {
	[ "$(wc -l <"$1")" -gt 10000 ] || { echo "$1 is too short"; return 1; }
	diff <(without_grub_times "$1") <(without_grub_times "$2") >"$SCRATCH/difference" && return
	wc -l <"$SCRATCH/difference"
	cut -c 1-400 "$SCRATCH/difference" | head -n 40
	return 1
}

# identifiers DISK: prints what must survive whatever the disk's size: of the table, of its
# partitions and of what is on them.
identifiers() {
	local start number
	sfdisk --dump "$1" | sed -E "s|^$1([0-9]+)|partition \1|; /^(device|first-lba|last-lba):/d
		s/(start|size)= *[0-9]+(, )?//g"
	sfdisk --dump "$1" | sed -nE "s|^$1([0-9]+) : start= *([0-9]+),.*|\1 \2|p" |
		while read -r number start; do
			echo "partition $number"
			blkid -p -O $((start * 512)) -o export -s TYPE -s UUID -s LABEL -s VERSION -s BLOCK_SIZE \
				-u filesystem,other "$1" | grep -v ^DEVNAME
			dumpe2fs -h "$1?offset=$((start * 512))" 2>/dev/null | grep -E \
				'^(Filesystem (volume name|UUID|features|flags|revision)|Default mount|Errors|Directory Hash Seed|Inode size|First inode|Required extra|Desired extra|Default directory hash|Checksum type|Block size|Fragment size|Reserved blocks [ug]id)' | sed 's/ needs_recovery//'
		done
}

# same_identifiers ONE OTHER: are the disks' identifiers equal?
same_identifiers() {
	identifiers "$1" >"$SCRATCH/identifiers.one"
	identifiers "$2" >"$SCRATCH/identifiers.other"
	[ "$(wc -l <"$SCRATCH/identifiers.one")" -gt 15 ] && diff "$SCRATCH/identifiers.one" "$SCRATCH/identifiers.other"
}

# sums_hold SHARE: the set is whole by standard tools, without lifeboat.
sums_hold() {
	local set
	set=$(find "$1" -mindepth 2 -maxdepth 2 -type d)
	case $set in
	*.partial | *$'\n'* | '') echo "not one complete set: $set" ; return 1 ;;
	esac
	(cd "$set" && du -sh . && sha256sum --quiet -c SHA256SUMS && [ -s RECOVER.txt ] && [ -s machine.conf ])
}

# entry_is_known VARIABLES: the firmware's memory holds the boot entry of the machine.
entry_is_known() {
	strings -el "$1" | grep -i 'EFI.debian.*efi'
}

# same_system_partition KEPT: its files are the old ones, and a loader is where firmware looks by itself.
same_system_partition() {
	grep -q ' ./EFI/debian/shimx64.efi$' "$1/late/esp" && ! grep -q EFI/BOOT "$1/late/esp" || return 1
	grep -v ' ./EFI/BOOT/' "$SCRATCH/reborn/late/esp" | diff "$1/late/esp" -
}

# story smb|nfs mbr|gpt|uefi SIZE [FIRMWARE-ARGUMENT…]: the whole of it; the firmware is that of the computer
# that the stick is put in. A uefi machine comes back in a computer whose firmware has never seen it, and boots in
# a third one.
story() {
	local kind=$1 table=$2 size=$3 kept=$SHARED/protected-$1-$2 blank=$SCRATCH/blank.img medium=$SCRATCH/medium.img
	local third=()
	shift 3
	if [ "$table" = uefi ]; then
		uefi_args "$SCRATCH/third" && third=("${args[@]}")
		uefi_args "$SCRATCH/second" && set -- "${args[@]}"
	fi
	must "a running machine makes its stick and backs itself up by $kind" \
		once "protected-$kind-$table" protect "$kind" "$table"
	ok "nothing changed on the machine meanwhile" cmp "$kept/late/before" "$kept/late/after"
	ok "the set is whole by standard tools" sums_hold "$kept/share"

	truncate -s "$size" "$blank" && cp --sparse=always "$kept/stick.img" "$medium"
	share_start "$kind" "$kept/share"
	must "the stick brings the machine back on a blank disk of $size on another bus" \
		recover_unattended rescue "$medium" "$blank" NEW-7 "$@"
	share_stop
	ok "identifiers and features are the old ones" same_identifiers "$kept/machine.img" "$blank"

	must "the recovered machine boots to a login" reborn_boots reborn "$blank" NEW-7 "${third[@]}"
	ok "nothing failed at its boot" reborn_is_well reborn
	if [ "$table" = uefi ]; then
		ok "the firmware of the computer where it came back has its boot entry" entry_is_known "$SCRATCH/second"
		ok "the system partition's files are the old ones" same_system_partition "$kept"
	fi
	ok "every path is as it was before the backup" same_listing "$kept/late/before" "$SCRATCH/reborn/early/listing"
	times_show
	finish_plan
}
