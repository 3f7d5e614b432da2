#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# Drivers by module alias, those of devices that appear, and the recorded list.
. "$(dirname "$0")/lib/tap.sh"
load say modules

is 'without devices nothing is loaded' "$(modules_by_hardware && commands)" ''

device pci/0000:00:01.0 'pci:v00008086d00007010sv*'
device pci/0000:00:02.0 'pci:v00001AF4d00001000'
device pci/0000:00:03.0 'pci:v00001AF4d00001000'

# The first driver brings a device on a bus of its own.
fake_modprobe() {
	case $* in
	*00001AF4*) device virtio/virtio0 'virtio:d00000002v00001AF4' ;;
	esac
	return 1 # most aliases have no module: that is not a failure
}
yes 'aliases without a module are no failure' modules_by_hardware
is 'each alias once, in one call, then the devices that came of it' "$(commands)" \
	'/sbin/modprobe -a -b -q -- pci:v00008086d00007010sv* pci:v00001AF4d00001000
/sbin/modprobe -a -b -q -- virtio:d00000002v00001AF4'
device hid/3 'hid:b0003'
modules_by_hardware
is 'called again, only of what is new' "$(commands)" '/sbin/modprobe -a -b -q -- hid:b0003'

number=0
fake_modprobe() {
	number=$((number + 1))
	device "usb/$number" "usb:$number"
}
device usb/0 usb:0
modules_by_hardware
is 'hardware that never ends is left after ten rounds' "$(commands | grep -c modprobe)" 10

printf '# in load order\nvirtio_blk\next4\n' >"$ROOT/etc/lifeboat/modules"
modules_recorded
is 'the recorded list, in its order' "$(commands)" '/sbin/modprobe -a -b -q -- virtio_blk ext4'

mkdir "$ROOT/sys/block/loop0" "$ROOT/sys/block/vda" "$ROOT/sys/block/sr0" "$ROOT/sys/block/nvme0n1"
is 'disks' "$(modules_disks | tr '\n' ' ')" 'nvme0n1 vda '
rounds=0
fake_sleep() {
	rounds=$((rounds + 1))
	case $rounds in
	2) mkdir "$ROOT/sys/block/sda" ;;
	6)
		mkdir -p "$ROOT/sys/bus/usb/devices/1-1:1.0/driver"
		echo 08 >"$ROOT/sys/bus/usb/devices/1-1:1.0/bInterfaceClass"
		;;
	14) mkdir -p "$ROOT/sys/bus/usb/devices/1-1:1.0/host7/target7:0:0/7:0:0:0/block" ;;
	esac
}
rm -r "$ROOT/sys/bus/usb"
disks_settle
is 'without USB and the like no disk comes late' "$rounds" 0
mkdir -p "$ROOT/sys/bus/usb/devices/usb1"
disks_settle
# at 0 the first look, from 3 on with sda, from 7 on with the stick, which is scanned from 15 on
is 'one that comes late is waited for, and two quiet seconds' "$rounds" 18
rm -r "$ROOT/sys/bus/usb/devices/1-1:1.0/host7"
rounds=100
disks_settle
is 'one that never comes is not waited for for ever' "$rounds" 130
plan
