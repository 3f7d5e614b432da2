# shellcheck shell=bash
# Disks for a User-Mode Linux guest, from files: SCSI disks with serial number, WWN and sector size of their own, that are
# plugged in and pulled out while it runs (the kernel's LIO target, looped back). Definitions only; bash; runs in the guest,
# where starting a program takes 40 ms: so it starts few.
disks_core=/sys/kernel/config/target/core/fileio_0
disks_fabric=/sys/kernel/config/target/loopback
declare -A disk_wwn=()

# disks_start: once, before the first.
disks_start() {
	modprobe -a target_core_mod target_core_file tcm_loop sd_mod && mount -t configfs none /sys/kernel/config &&
		mkdir -p "$disks_core" "$disks_fabric"
}

# disk_plug FILE SIZE SERIAL [SECTOR-SIZE]: a disk of SIZE (as truncate knows sizes) from FILE, made when missing. Sets
# DISK to its node, which is the first free one.
disk_plug() {
	local core=$disks_core/$3 wwn port bytes before disk
	before=" $(echo /sys/block/sd*) "
	printf -v wwn 'naa.6001405%09x' $((++disk_number))
	port=$disks_fabric/$wwn/tpgt_1
	truncate -s "$2" "$1" && bytes=$(stat -c %s "$1") && mkdir -p "$core" "$port" &&
		echo "fd_dev_name=$1,fd_dev_size=$bytes" >"$core/control" &&
		echo "$3" >"$core/wwn/vpd_unit_serial" && echo 1 >"$core/enable" &&
		echo "${4:-512}" >"$core/attrib/block_size" && # enabling sets it to 512
		echo "$wwn" >"$port/nexus" && mkdir "$port/lun/lun_0" && ln -s "$core" "$port/lun/lun_0/disk" || return 1
	disk_wwn[$3]=$wwn DISK=
	for _ in {1..100}; do # the kernel looks at it meanwhile
		for disk in /sys/block/sd*; do
			[[ $before == *" $disk "* ]] || DISK=/dev/${disk##*/}
		done
		[ -z "$DISK" ] || [ ! -b "$DISK" ] || [ "$(<"/sys/block/${DISK##*/}/size")" = 0 ] || break
		sleep 0.1
	done
	[ -n "$DISK" ] && [ "$(<"/sys/block/${DISK##*/}/queue/logical_block_size")" = "${4:-512}" ]
}
disk_number=0

# disk_pull SERIAL: takes it out. The file stays.
disk_pull() {
	local port=$disks_fabric/${disk_wwn[$1]}/tpgt_1
	rm "$port/lun/lun_0/disk" && rmdir "$port/lun/lun_0" && echo NULL >"$port/nexus" &&
		rmdir "$port" "${port%/*}" "$disks_core/$1"
}
