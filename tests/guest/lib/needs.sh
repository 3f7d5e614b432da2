#!/bin/bash
# What the header of a guest test asks for, and whether this machine has it. Sourced.

# header TEST KEY: what the test's `# KEY: VALUE` line says.
header() {
	sed -n "/^#/!q; s/^# $2: *//p" "$1" | head -n 1
}

# missing NEED: prints why a need is not met, or nothing.
missing() {
	local program=$1
	case $1 in
	root) [ "$(id -u)" = 0 ] || echo "needs root" ;;
	kernel) "$TOP/scripts/kernel-package" >/dev/null 2>&1 || echo "needs a kernel package (scripts/kernel-package)" ;;
	ovmf) [ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || echo "needs OVMF (package ovmf)" ;;
	loop) losetup -f >/dev/null 2>&1 || echo "needs loop devices" ;;
	*)
		case $1 in
		qemu) program=qemu-system-x86_64 ;;
		uml) program=linux.uml ;;
		esac
		PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || echo "needs $program"
		;;
	esac
}

# unmet TEST: a line for each need of the test that is not met.
unmet() {
	local need
	for need in $(header "$1" needs); do
		missing "$need"
	done
}
