#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# Drivers by module alias, those of devices that appear, and the recorded list.
. "$(dirname "$0")/lib/tap.sh"
load say modules

is 'without devices nothing is loaded' "$(modules_by_hardware && commands)" ''

device pci0000:00/0000:00:01.0 'pci:v00008086d00007010sv*'
device pci0000:00/0000:00:02.0 'pci:v00001AF4d00001000'
device pci0000:00/0000:00:03.0 'pci:v00001AF4d00001000'
is 'each alias once' "$(modules_aliases)" 'pci:v00001AF4d00001000
pci:v00008086d00007010sv*'

# The first driver brings a device on a bus of its own.
fake_modprobe() {
	case $* in
	*00001AF4*) device pci0000:00/0000:00:02.0/virtio0 'virtio:d00000002v00001AF4' ;;
	esac
	return 1 # most aliases have no module: that is not a failure
}
yes 'aliases without a module are no failure' modules_by_hardware
is 'in one call, then the devices that came of it' "$(commands | grep modprobe)" \
	'/sbin/modprobe -a -b -q -- pci:v00001AF4d00001000 pci:v00008086d00007010sv*
/sbin/modprobe -a -b -q -- virtio:d00000002v00001AF4'

number=0
fake_modprobe() {
	number=$((number + 1))
	device "usb/$number" "usb:$number"
}
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
	[ $rounds != 2 ] || mkdir "$ROOT/sys/block/sda"
}
disks_settle
is 'a disk that comes late is waited for' "$rounds" 4
plan
