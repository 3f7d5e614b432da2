# shellcheck shell=dash
# From the root that the boot loader started into a fresh tmpfs. Runs before busybox's links exist,
# so every command is called through busybox.

# root_type: prints the type of the file system that / is on. The kernel's first, for it always "rootfs",
# is a tmpfs, which has a limit among its options, or a ramfs, where its command line has a root=.
root_type() {
	local where rest type
	type=
	while read -r _ _ _ _ where rest; do
		[ "$where" = / ] || continue
		rest=${rest#*- }
		type=${rest%% *}
		case $rest in
		rootfs*[\ ,]size=*) type=tmpfs ;;
		rootfs*) type=ramfs ;;
		esac
	done <"$ROOT/proc/self/mountinfo"
	echo "$type"
}

# root_first: is / the kernel's first mount, with no other below it (its own parent)?
root_first() {
	local id parent where
	while read -r id parent _ _ where _; do
		[ "$where" != / ] || [ "$id" = "$parent" ] || return 1
	done <"$ROOT/proc/self/mountinfo"
}

# root_memory: prints the MiB of memory that can be had.
root_memory() {
	local name kib
	while read -r name kib _; do
		[ "$name" != MemAvailable: ] || echo $((kib / 1024))
	done <"$ROOT/proc/meminfo"
}

# root_cut: did the kernel fail to unpack what / still is? Prints what it said of that.
root_cut() {
	root_first && busybox dmesg 2>/dev/null | busybox grep -o -m 1 'Initramfs unpacking failed.*'
}

# root_in_use: prints the files that must stay until the end: the ones that this very shell is mapped
# from (busybox, libc, the loader: without them no further command starts), and /init, which is how
# switch_root knows an initramfs.
root_in_use() {
	local file
	echo /init
	while read -r _ _ _ _ _ file; do
		case $file in
		/*) echo "$file" ;;
		esac
	done <"$ROOT/proc/self/maps" | busybox sort -u
}

# root_pass FROM TO: copies the files named on stdin, one a line, relative to FROM. Returns 0 only
# when all arrived.
root_pass() (
	# shellcheck disable=SC3040 # busybox has pipefail, and a copy that was cut must not count
	set -o pipefail
	cd "$1" || exit 1
	busybox cpio -o -H newc 2>/dev/null | (cd "$2" && busybox cpio -i -d -m -u 2>/dev/null)
)

# root_batch FROM TO move|copy LIST KEEP: passes the files of LIST (names by lines). With `move`
# those that arrived are removed from FROM, but for the ones in KEEP.
root_batch() (
	printf '%s' "$4" | root_pass "$1" "$2" || exit 1
	[ "$3" = move ] || exit 0
	IFS='
'
	set -f
	# shellcheck disable=SC2086 # one word for each line
	set -- "$1" "$5" $4
	from=$1 keep=$2
	shift 2
	for file; do
		case "$IFS$keep$IFS" in
		*"$IFS${file#.}$IFS"*) ;;
		*) set -- "$@" "$from/$file" ;;
		esac
		shift
	done
	[ $# = 0 ] || busybox rm -f -- "$@"
)

# root_copy FROM TO move|copy: everything of the file system FROM goes to TO (which may lie below
# FROM), a hundred files at a time: with `move` the memory needed at the same time is little more
# than the files once.
root_copy() {
	local folders others files keep batch count file
	folders=$(cd "$1" && busybox find . -xdev -type d ! -path ".${2#"$1"}" ! -path ".$2") || return 1
	others=$(cd "$1" && busybox find . -xdev ! -type d ! -type f) || return 1
	files=$(cd "$1" && busybox find . -xdev -type f) || return 1
	echo "$folders" | root_pass "$1" "$2" || return 1
	[ -z "$others" ] || echo "$others" | root_pass "$1" "$2" || return 1
	keep=$(root_in_use)
	batch='' count=0
	while IFS= read -r file; do
		batch="$batch$file
"
		count=$((count + 1))
		[ $count -ge 100 ] || continue
		root_batch "$1" "$2" "$3" "$batch" "$keep" || return 1
		batch='' count=0
	done <<-END
		$files
	END
	[ $count = 0 ] || root_batch "$1" "$2" "$3" "$batch" "$keep"
}

# root_leave: moves to a tmpfs and runs /init there; returns 0 where that is not needed (/ is one)
# or not wise (a ramfs with less than 64 MiB to spare stays: it can be written to as well). Returns 1
# when the tmpfs could not be made or filled.
root_leave() {
	local new how
	new=/newroot
	case $(root_type) in
	tmpfs) return 0 ;;
	ramfs)
		how=move
		[ "$(root_memory)" -ge 64 ] || return 0
		;;
	*)
		how=copy
		new=/mnt # exists also where / is read-only
		;;
	esac
	[ -d $new ] || busybox mkdir $new || return 1
	busybox mount -t tmpfs -o mode=755,size=90% tmpfs $new || return 1
	root_copy / $new $how || return 1
	[ -x $new/init ] && [ -x $new/bin/busybox ] || return 1
	busybox umount /proc
	# The trap is for shells that stay; exec leaves it behind and a failed one runs it.
	[ $how = copy ] || exec busybox switch_root $new /init
	busybox mkdir -p $new/oldroot $new/mnt/backup && cd $new && busybox pivot_root . oldroot || return 1
	exec busybox chroot . /init
}

# root_free_old: gives back the disk that / was on before, and its memory where it was a ram disk
# or a loop device. Needs /dev.
root_free_old() {
	local device where
	[ -d "$ROOT/oldroot" ] || return 0
	# shellcheck disable=SC2094 # a terminal
	[ ! -c "$ROOT/dev/console" ] || exec <"$ROOT/dev/console" >"$ROOT/dev/console" 2>&1
	device=$(while read -r device where _; do
		[ "$where" != /oldroot ] || echo "$device"
	done <"$ROOT/proc/mounts")
	for where in dev proc ''; do
		$MOCK busybox umount "$ROOT/oldroot/$where" 2>/dev/null
	done
	$MOCK busybox umount -l "$ROOT/oldroot" 2>/dev/null # what is still busy goes with its last user
	$MOCK busybox rmdir "$ROOT/oldroot"
	case $device in
	/dev/loop*) $MOCK busybox losetup -d "$device" ;;
	/dev/root | /dev/ram*) [ ! -b "$ROOT/dev/ram0" ] || $MOCK busybox freeramdisk "$ROOT/dev/ram0" ;;
	esac
	return 0
}

# root_init: goes on as busybox's init. pivot_root(2), and so containers, refuse the kernel's first mount:
# there the same file system is mounted once more over itself, as mkosi and runc do; no file is moved.
root_init() {
	root_first || exec busybox init
	busybox mount --rbind / /mnt && cd /mnt && busybox mount --move . / && exec busybox chroot . busybox init
	exec busybox init
}
