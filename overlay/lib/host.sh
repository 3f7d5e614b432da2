# shellcheck shell=dash
# Keyboard, name, memory and clock.

# keyboard_load MAP: loads the layout: a file (the image's, in the format of busybox dumpkmap), none, or
# NAME for one that a site put into /etc/lifeboat/keymaps/NAME.bmap. Returns 1 when there is none.
keyboard_load() {
	local map
	case $1 in
	none | '') return 0 ;;
	/*) map=$ROOT$1 ;;
	*) map=$ROOT/etc/lifeboat/keymaps/$1.bmap ;;
	esac
	[ -r "$map" ] || fail "keyboard: layout $1 is not in this image" || return 1
	$MOCK loadkmap <"$map" || fail "keyboard: layout $1 cannot be loaded"
}

# host_name NAME: sets it and makes it resolvable.
host_name() {
	$MOCK hostname "$1"
	grep -qw "$1" "$ROOT/etc/hosts" 2>/dev/null || echo "127.0.1.1 $1" >>"$ROOT/etc/hosts"
}

# host_memory: says so and returns 1 when less than 64 MiB are left to work with, which is no more than
# what a single step of a recovery may take.
host_memory() {
	local name kib total left
	total='' left=''
	[ -r "$ROOT/proc/meminfo" ] || return 0
	while read -r name kib _; do
		case $name in
		MemTotal:) total=$((kib / 1024)) ;;
		MemAvailable:) left=$((kib / 1024)) ;;
		esac
	done <"$ROOT/proc/meminfo"
	[ "${left:-64}" -ge 64 ] ||
		fail "memory: only $left of $total MiB are left; README.TXT on the medium says how much it needs"
}

# host_past CREATED: is the clock before the day of this ISO 8601 time?
host_past() {
	local year month rest
	case $1 in
	[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*) ;;
	*) return 1 ;;
	esac
	IFS=- read -r year month rest <<-END
		$1
	END
	[ "$(date -u +%Y%m%d)" -lt "$year$month${rest%"${rest#??}"}" ]
}

# host_clock CREATED: the kernel has taken the time from the machine's clock where it could; this
# tries once more when that cannot be, and says so when it stays wrong. Returns 1 then.
host_clock() {
	host_past "$1" || return 0
	$MOCK hwclock -s -u
	host_past "$1" || return 0
	fail "clock: it says $(date -u +%Y-%m-%d), before this stick was made; set it with 'date -s'"
}
