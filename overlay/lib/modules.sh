# shellcheck shell=dash
# Drivers: by what the hardware says it is, then by the list recorded on the machine.

# modules_new: sets $new to the module aliases of devices, each once, that were not there the last
# time; $tried has all. Devices are found by their buses: walking through /sys/devices takes far longer.
modules_new() {
	local file alias
	new=
	for file in "$ROOT"/sys/bus/*/devices/*/modalias "$ROOT/sys/devices/system/cpu/modalias"; do
		[ -r "$file" ] || continue
		alias=
		read -r alias <"$file"
		case " $tried$new " in
		*" $alias "*) ;;
		*) new="$new $alias" ;;
		esac
	done
	tried="$tried$new"
}

# modules_load NAME…: loads modules by name or alias. What is not in the image is not an error here:
# most of what hardware offers needs no driver to recover a machine.
modules_load() {
	[ $# -gt 0 ] || return 0
	$MOCK /sbin/modprobe -a -b -q -- "$@" || :
}

# modules_disks: prints the disks that there are.
modules_disks() {
	local disk
	for disk in "$ROOT"/sys/block/*; do
		case ${disk##*/} in
		'*' | loop* | ram* | zram* | sr* | fd*) ;;
		*) echo "${disk##*/}" ;;
		esac
	done
}

# modules_by_hardware: loads the modules of all devices, and of those that appear thereby (a
# controller's disks, a hub's keyboard), at most ten times over. Called again, only of new ones.
modules_by_hardware() {
	local new
	tried=${tried-}
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		modules_new
		[ -n "$new" ] || return 0
		set -f
		# shellcheck disable=SC2086 # one word for each alias
		modules_load $new
		set +f
	done
}

# modules_recorded: loads the modules that the machine had loaded, in its order.
modules_recorded() {
	[ -r "$ROOT/etc/lifeboat/modules" ] || return 0
	# shellcheck disable=SC2046 # one word for each module
	modules_load $(grep -v '^#' "$ROOT/etc/lifeboat/modules")
}

# disks_late: prints what there is on the buses that find their disks after the driver was loaded: USB,
# MMC, Fibre Channel, Xen. The drivers of all others have found theirs when modprobe returns
# (async_synchronize_full, in the kernel's do_init_module).
disks_late() {
	local path
	for path in "$ROOT"/sys/bus/usb/devices/* "$ROOT"/sys/class/mmc_host/* "$ROOT"/sys/bus/mmc/devices/* \
		"$ROOT"/sys/class/fc_host/* "$ROOT"/sys/class/fc_remote_ports/* "$ROOT"/sys/bus/xen/devices/vbd-*; do
		[ ! -e "$path" ] || echo "$path"
	done
}

# disks_scanned: have all USB storages (class 08) that have a driver got their disks? That takes a second.
disks_scanned() {
	local path class
	for path in "$ROOT"/sys/bus/usb/devices/*:*; do
		[ -e "$path/driver" ] || continue
		read -r class <"$path/bInterfaceClass"
		[ "$class" = 08 ] || continue
		set -- "$path"/host*/target*/*/block
		[ -e "$1" ] || return 1
	done
}

# disks_settle: waits for disks that are still on their way: until for two seconds no disk came and nothing
# that may bring one, fifteen seconds at most. Does not wait where there is nothing to wait for.
disks_settle() {
	local before now quiet round
	before=none quiet=0 round=0
	while [ $quiet -lt 4 ] && [ $round -lt 30 ]; do
		now=$(disks_late)
		[ -n "$now" ] || return 0
		now="$now $(modules_disks)"
		if [ "$now" = "$before" ] && disks_scanned; then
			quiet=$((quiet + 1))
		else
			quiet=0 before=$now
		fi
		$MOCK sleep 0.5
		round=$((round + 1))
	done
}

# hotplug_start: from now on drivers are loaded for what comes later: a stick plugged in, and disks
# and keyboards on USB, which appear a second or two after their controller.
hotplug_start() {
	$MOCK uevent /sbin/rescue-hotplug </dev/null >>"$LOG" 2>&1 &
}
