#!/bin/bash
# The rescue system comes up: to the menu on each console, on a tmpfs with the old root's memory given
# back, with network, job control and a PID 1 that survives; from an initramfs in qemu and in
# User-Mode Linux, and from a read-only disk.
# needs: qemu uml kernel busybox kmod
# limit: 900
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

# shell_line COMMAND: runs it in the guest's shell and prints what it says.
shell_line() {
	console_type "$1; echo END''OF"
	console_wait 'ENDOF' 60 || return 1
	sed -n '/END.*OF/,$!d; s/\r//g; p' "$CONSOLE_LOG" >/dev/null
	tail -c 4000 "$CONSOLE_LOG" | tr -d '\r' | grep -v "END''OF" | sed '/^ENDOF/,$d'
}

# menu_to_shell, shell_to_menu: from the menu into the shell and back.
menu_to_shell() {
	console_type 2
	console_wait '# ' 60
}
shell_to_menu() {
	console_type exit
	console_wait '6 power off' 60 && console_wait '> ' 10
}

qemu() {
	qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 512 -display none -serial stdio -monitor none \
		-no-reboot -kernel "$IMAGE/vmlinuz" -initrd "$IMAGE/initrd.img" "$@"
}
