# shellcheck shell=bash
# What guest tests share: TAP, the things that are made once per run, guests and their consoles.
# Sourced by tests/guest/*.t, which lib/one starts in $SCRATCH with TOP, BUILD, SHARED and MATRIX.
# Definitions only; each function says its arguments, what it prints or sets, what it returns.
# shellcheck disable=SC2034 # what is set here is used by the tests
LIFEBOAT=$BUILD/lifeboat
tap_count=0
tap_planned=

# ---- TAP ----

# plan COUNT [skip_all REASON]: how many tests follow.
plan() {
	if [ "${2:-}" = skip_all ]; then
		printf '1..0 # SKIP %s\n' "$3"
		exit 0
	fi
	printf '1..%d\n' "$1"
	tap_planned=1
}

# finish_plan: the plan at the end, for tests that did not give it at the start.
finish_plan() {
	printf '1..%d\n' "$tap_count"
}

# diag TEXT…: shown to the person, each line as a comment.
diag() {
	printf '%s\n' "$*" | tr -d '\r' | sed 's/^/# /' >&2
}

# result STATUS NAME: one test line; returns STATUS.
result() {
	tap_count=$((tap_count + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' "$tap_count" "$2"
	else
		printf 'not ok %d - %s\n' "$tap_count" "$2"
	fi
	return "$1"
}

# skip NAME REASON: a test that cannot run here. In CI that is a failure.
skip() {
	tap_count=$((tap_count + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tap_count" "$1" "$2"
}

# ok NAME COMMAND…: the command succeeds; what it says is shown when it does not.
ok() {
	local name=$1 status output=$SCRATCH/ok.output
	shift
	"$@" >"$output" 2>&1
	status=$?
	result "$status" "$name" || diag "$* → exit $status
$(tail -n 40 "$output")"
	return "$status"
}

# refuses NAME STATUS PATTERN COMMAND…: the command exits with exactly STATUS, and a line of its
# stderr matches the extended regular expression.
refuses() {
	local name=$1 wanted=$2 pattern=$3 status output=$SCRATCH/refuses.output
	shift 3
	"$@" >/dev/null 2>"$output"
	status=$?
	if [ "$status" -eq "$wanted" ] && grep -qE -- "$pattern" "$output"; then
		result 0 "$name"
		return
	fi
	result 1 "$name" || diag "$* → exit $status, expected $wanted and: $pattern
$(tail -n 40 "$output")"
	return 1
}

# is NAME GOT WANTED: two texts are equal.
is() {
	[ "$2" = "$3" ]
	result $? "$1" || {
		diag "     got: $2
expected: $3"
		return 1
	}
}

# like NAME TEXT PATTERN: a line of the text matches the extended regular expression.
like() {
	grep -qE -- "$3" <<<"$2"
	result $? "$1" || {
		diag "no match for: $3
in: $(tail -n 20 <<<"$2")"
		return 1
	}
}

# bail REASON: without this nothing that follows in this file makes sense: it fails and ends. (TAP's
# own "Bail out!" would end the whole run.)
bail() {
	result 1 "cannot go on: $*"
	[ -n "$tap_planned" ] || finish_plan
	exit 1
}

# ---- made once per run, in $SHARED ----

# once NAME COMMAND…: makes the folder $SHARED/NAME by the command, which gets it as its last
# argument; whoever comes later finds it. Failure is remembered: it would fail again.
once() {
	local name=$1 folder=$SHARED/$1
	shift
	(
		flock 9
		[ ! -e "$folder.failed" ] || exit 1
		[ ! -d "$folder" ] || exit 0
		rm -rf "$folder.making"
		if "$@" "$folder.making" >"$folder.log" 2>&1; then
			mv "$folder.making" "$folder"
		else
			touch "$folder.failed"
		fi
		[ -d "$folder" ]
	) 9>"$folder.lock" || {
		diag "cannot make $name: $(tail -n 20 "$folder.log")"
		return 1
	}
}

# need_kernel: sets KERNEL_DEB (a distribution's kernel package) and VMLINUZ (its kernel, beside
# which lie its virtio modules).
need_kernel() {
	KERNEL_DEB=$("$TOP/scripts/kernel-package") || bail "no kernel package"
	once kernel unpack_kernel "$KERNEL_DEB" || bail "no kernel"
	VMLINUZ=$SHARED/kernel/vmlinuz
}
unpack_kernel() {
	mkdir "$2" || return 1
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards --transform 's|.*/||' './boot/vmlinuz-*' \
		'./lib/modules/*/virtio*.ko' || return 1
	mv "$2"/vmlinuz-* "$2/vmlinuz"
}

# need_image [NAME [OPTION…]]: sets IMAGE, a folder with the rescue image (vmlinuz, initrd.img) as
# `lifeboat build` makes it with these options; built once per run and NAME ("image" by default).
need_image() {
	local name=${1:-image}
	[ $# -eq 0 ] || shift
	need_kernel
	once "$name" build_image "$@" || bail "no rescue image"
	IMAGE=$SHARED/$name
}
build_image() {
	LIFEBOAT_DATADIR=$TOP "$LIFEBOAT" build -k "$KERNEL_DEB" "${@:1:$#-1}" -o "${@: -1}"
}

# tiny_initrd FILE: writes an initramfs with busybox whose /init is read from stdin (a shell
# script; /proc, /sys and /dev are mounted and virtio disks are there before it runs). Needs
# need_kernel.
tiny_initrd() {
	local root=$SCRATCH/tiny-initrd.root library
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,mnt,tmp} || return 1
	cp "$(command -v busybox)" "$root/bin/busybox" || return 1
	ln -s busybox "$root/bin/sh"
	cp "${VMLINUZ%/*}"/virtio*.ko "$root" || return 1
	for library in $(ldd "$root/bin/busybox" | grep -o '/[^ ]*'); do # busybox from this system
		mkdir -p "$root${library%/*}" && cp "$library" "$root$library" || return 1
	done
	{
		echo '#!/bin/sh'
		echo '/bin/busybox --install -s /bin; export PATH=/bin'
		echo 'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev'
		# in the order of their dependencies; User-Mode Linux has its disks built in
		echo 'for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk'
		# shellcheck disable=SC2016 # expanded in the guest
		echo 'do insmod /$m.ko 2>/dev/null; done'
		cat
	} >"$root/init"
	chmod 755 "$root/init"
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$1"
}

# make_listing FILE: builds the program that lists every path of a file system (lib/listing.c).
make_listing() {
	cc -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O2 -Wall -Wextra -o "$1" \
		"$TOP/tests/guest/lib/listing.c" -lcrypto
}

# ---- consoles ----

# console_open COMMAND…: starts a guest in the background whose console is stdin and stdout (such as
# `qemu … -serial stdio`). Sets CONSOLE_PID and CONSOLE_LOG; what it shows goes to that log.
console_open() {
	CONSOLE_LOG=$SCRATCH/console-$((++console_number)).log
	rm -f "$SCRATCH/console.in"
	mkfifo "$SCRATCH/console.in" || return 1
	"$@" <"$SCRATCH/console.in" >"$CONSOLE_LOG" 2>&1 &
	CONSOLE_PID=$!
	exec {console_in}>"$SCRATCH/console.in"
	console_seen=0
}

# console_type TEXT: types it, with a newline.
console_type() {
	printf '%s\n' "$1" >&"$console_in"
}

# console_wait TEXT [SECONDS]: waits until the text appears after what was last waited for.
# Returns 1 when it did not, or when the guest ended without it.
console_wait() {
	local end=$((SECONDS + ${2:-120})) at over
	while :; do
		over= # asked before looking: what was said before the end is in the log then
		[ "$SECONDS" -lt "$end" ] && kill -0 "$CONSOLE_PID" 2>/dev/null || over=yes
		at=$(tail -c "+$((console_seen + 1))" "$CONSOLE_LOG" | grep -abo -m 1 -F -- "$1" | head -n 1)
		if [ -n "$at" ]; then
			console_seen=$((console_seen + ${at%%:*} + ${#1}))
			return 0
		fi
		if [ "$over" ]; then
			diag "the console did not show: $1
$(tail -n 15 "$CONSOLE_LOG")"
			return 1
		fi
		sleep 0.3
	done
}

# console_close [SECONDS]: waits until the guest ends by itself; returns its exit status, or 1
# after having killed it.
console_close() {
	local end=$((SECONDS + ${1:-60}))
	while kill -0 "$CONSOLE_PID" 2>/dev/null; do
		if [ "$SECONDS" -ge "$end" ]; then
			kill -KILL "$CONSOLE_PID"
			exec {console_in}>&-
			return 1
		fi
		sleep 0.3
	done
	exec {console_in}>&-
	wait "$CONSOLE_PID"
}
console_number=0
