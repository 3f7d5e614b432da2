#!/bin/bash
# Stick and ISO start under BIOS and UEFI: the rescue console gets ready.
# needs: qemu kernel ovmf syslinux mcopy
# limit: 1500
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

# guest FIRMWARE HOW FILE: qemu with the medium, attached as a usb disk or a cd; its serial console
# is stdin and stdout.
guest() {
	local args
	case $2 in
	usb) args="-device qemu-xhci -device usb-storage,drive=medium,bootindex=1
		-drive if=none,id=medium,format=raw,snapshot=on,file=$3" ;;
	cd) args="-device ide-cd,drive=medium,bootindex=1
		-drive if=none,id=medium,format=raw,media=cdrom,readonly=on,file=$3" ;;
	esac
	if [ "$1" = uefi ]; then
		cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd
		args+=" -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
		args+=" -drive if=pflash,format=raw,file=vars.fd"
	fi
	# shellcheck disable=SC2086 # words; file names here have no blanks
	exec qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -nic none -display none \
		-monitor none -no-reboot -serial stdio $args
}

# starts NAME TEXT FIRMWARE HOW FILE: the text appears on the console.
starts() {
	local name=$1 text=$2 status
	shift 2
	console_open guest "$@"
	console_wait "$text" 300
	status=$?
	kill "$CONSOLE_PID" 2>/dev/null # ready is all that is asked
	console_close 30
	result "$status" "$name"
}

need_image image
for made in "usb stick.img" "iso cd.iso"; do
	# shellcheck disable=SC2086 # two words
	set -- $made
	ok "$1: made" "$LIFEBOAT" "$1" --image "$IMAGE" "$2"
done
starts "the stick starts under BIOS" "LIFEBOAT READY" bios usb stick.img
starts "the stick starts under UEFI" "LIFEBOAT READY" uefi usb stick.img
starts "the CD starts under BIOS" "LIFEBOAT READY" bios cd cd.iso
starts "the CD starts under UEFI" "LIFEBOAT READY" uefi cd cd.iso

# The rest is about loaders and needs no rescue system: this one says its command line and ends.
mkdir loader
cp "$VMLINUZ" loader/vmlinuz
tiny_initrd loader/initrd.img <<'END' || bail "no initrd"
echo "STARTED WITH $(cat /proc/cmdline)"
poweroff -f
END
printf '[recover]\nunattended = yes\n[console]\nmenu-timeout = 2\n' >unattended.conf
ok "iso: made with an unattended default" "$LIFEBOAT" iso -c unattended.conf --image loader loader.iso
for firmware in bios uefi; do
	starts "the ISO as a stick under $firmware, waiting for nobody" \
		"console=ttyS0,115200 quiet lifeboat.recover=unattended" "$firmware" usb loader.iso
done
ok "usb: made" "$LIFEBOAT" usb -c unattended.conf --image loader loader.img
console_open guest bios usb loader.img
ok "the prompt is readable on the serial line" console_wait "'unattended' starts in 2 seconds" 120
console_wait "boot:" 60
console_type "verbose"
ok "what is typed there is started" console_wait "loglevel=7 ignore_loglevel" 120
console_close 60
printf '[console]\nmenu-timeout = 0\nconsoles = ttyS0\n' >quick.conf
ok "usb: made without waiting" "$LIFEBOAT" usb -c quick.conf --image loader quick.img
starts "it starts at once" "STARTED WITH" bios usb quick.img
finish_plan
