# shellcheck shell=dash
# Drivers: by what the hardware says it is, then by the list recorded on the machine.

# modules_aliases: prints the module alias of every device, each once.
modules_aliases() {
	find "$ROOT/sys/devices" -name modalias -exec cat {} + 2>/dev/null | sort -u
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
# controller's disks, a hub's keyboard), at most ten times over.
modules_by_hardware() {
	local tried new alias
	tried=
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		new=
		for alias in $(set -f && modules_aliases); do
			case " $tried " in
			*" $alias "*) ;;
			*) new="$new $alias" ;;
			esac
		done
		[ -n "$new" ] || return 0
		tried="$tried$new"
		set -f
		# shellcheck disable=SC2086 # one word for each alias
		modules_load $new
		set +f
		$MOCK sleep 0.3 # devices are probed in the background
	done
}

# modules_recorded: loads the modules that the machine had loaded, in its order.
modules_recorded() {
	[ -r "$ROOT/etc/lifeboat/modules" ] || return 0
	# shellcheck disable=SC2046 # one word for each module
	modules_load $(grep -v '^#' "$ROOT/etc/lifeboat/modules")
}

# disks_settle: waits until no disk has come for two seconds, fifteen at most. Disks on USB are
# found about a second after their controller.
disks_settle() {
	local before now quiet
	before=none quiet=0
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		now=$(modules_disks)
		if [ "$now" = "$before" ]; then
			quiet=$((quiet + 1))
		else
			quiet=0 before=$now
		fi
		[ $quiet -lt 2 ] || return 0
		$MOCK sleep 1
	done
}

# hotplug_start: from now on drivers are loaded for what comes later: a stick plugged in, and disks
# and keyboards on USB, which appear a second or two after their controller.
hotplug_start() {
	$MOCK uevent /sbin/rescue-hotplug </dev/null >>"$LOG" 2>&1 &
}
