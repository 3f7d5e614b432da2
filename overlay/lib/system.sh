# shellcheck shell=dash
# The system's own file systems, links and consoles: what init needs before the first step.

# system_mount TYPE SOURCE FOLDER OPTIONS: mounts it unless something is mounted there. Returns 1 and
# says so when it fails.
system_mount() {
	local where
	while read -r _ where _; do
		[ "$where" != "$3" ] || return 0
	done <"$ROOT/proc/mounts"
	[ -d "$ROOT$3" ] || $MOCK busybox mkdir -p "$ROOT$3"
	$MOCK busybox mount -t "$1" -o "$4" "$2" "$ROOT$3" || fail "cannot mount $3"
}

# system_mounts: what lies below /run, /sys and /dev; /proc is there. Returns 1 when one is missing.
system_mounts() {
	local missing
	missing=0
	system_mount tmpfs run /run mode=755,nosuid,nodev || missing=1
	$MOCK busybox mkdir -p "$RUN"
	system_mount sysfs sys /sys nosuid,nodev,noexec || missing=1
	system_mount devtmpfs dev /dev mode=755,nosuid || missing=1
	return $missing
}

# system_consoles: prints the terminals that get a console, the one that /dev/console is last.
system_consoles() {
	local names name
	names=
	[ ! -r "$ROOT/sys/class/tty/console/active" ] ||
		read -r names <"$ROOT/sys/class/tty/console/active"
	for name in ${names:-console}; do
		# tty0 is whichever virtual terminal is in front, where there are any.
		[ "$name" != tty0 ] || [ ! -e "$ROOT/sys/class/tty/tty0/active" ] || name=tty1
		echo "$name"
	done
}

# system_inittab CONSOLE…: prints the table for busybox's init.
system_inittab() {
	local name
	echo "::once:/sbin/rescue-steps"
	for name; do
		echo "$name::respawn:/sbin/rescue-console $name"
	done
	echo "::ctrlaltdel:/sbin/rescue-leave reboot"
	echo "::shutdown:/sbin/rescue-leave unmount"
}

# system_files: busybox's commands (last in PATH: real tools win) and the table for busybox's init.
system_files() {
	$MOCK busybox --install -s "$ROOT/usr/lib/busybox" || return 1
	# shellcheck disable=SC2046 # one word for each console
	system_inittab $(system_consoles) >"$ROOT/etc/inittab"
}

# system_links: the links that devtmpfs lacks.
system_links() {
	local to link
	while read -r to link; do
		[ -e "$ROOT$link" ] || $MOCK ln -sf "$to" "$ROOT$link"
	done <<-END
		/proc/self/fd /dev/fd
		/proc/self/fd/0 /dev/stdin
		/proc/self/fd/1 /dev/stdout
		/proc/self/fd/2 /dev/stderr
	END
}

# system_rest: what programs expect and the menu does not wait for. Returns 1 when something is missing.
system_rest() {
	local missing
	missing=0
	system_mount devpts devpts /dev/pts mode=620,ptmxmode=666 || missing=1
	system_mount tmpfs shm /dev/shm mode=1777,nosuid,nodev || missing=1
	system_links
	$MOCK busybox mount -o remount,size=90% none / # the kernel's own limit for a tmpfs is half the memory
	return $missing
}
