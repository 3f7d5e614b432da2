#!/bin/bash
# `lifeboat boot`: qemu and UML guests run, are waited for, time out, never write to what they were
# lent, and leave nothing behind however they end.
# needs: root qemu qemu-img uml ovmf kernel slirp-fullbolt unshare ip
# limit: 1200
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
need_kernel
# shellcheck disable=SC2119 # no arguments: the default image
need_image image
plan 43

# The tiny guest overwrites its disks, and ends as a word on its command line tells it.
mkdir tiny
cp "$VMLINUZ" tiny/vmlinuz
tiny_initrd tiny/initrd.img <<'INIT' || bail "no initrd"
for d in /dev/vda /dev/ubda; do
	[ -b $d ] || continue
	echo "written by the guest" | dd of=$d conv=notrunc,fsync 2>/dev/null
	echo "$d has: $(dd if=$d bs=20 count=1 2>/dev/null)"
done
echo "TINY READY"
case $(cat /proc/cmdline) in
*do=hang*) while :; do sleep 1000; done ;;
*do=panic*) exit 1 ;;
esac
poweroff -f
INIT

# boot KIND OPTION…: the tiny guest, without a terminal.
boot() {
	local kind=$1
	shift
	[ "$kind" = uml ] || set -- --accel tcg "$@"
	"$LIFEBOAT" boot "$kind" --image tiny "$@"
}

# remains: prints guests, keepers and temporary files of this test that do not go away.
remains() {
	local found
	for _ in $(seq 50); do
		found=$(
			ls -A "$TMPDIR"
			{
				grep -lzs "^SCRATCH=$SCRATCH" /proc/[0-9]*/environ
				find /proc -maxdepth 2 -name cwd -lname "$SCRATCH*" 2>/dev/null
			} | cut -d / -f 3 | sort -u | while read -r pid; do
				case $(cat "/proc/$pid/comm" 2>/dev/null) in
				qemu* | linux* | lifeboat*) echo "$pid" ;;
				esac
			done
		)
		[ -n "$found" ] || return 0
		sleep 0.2
	done
	echo "$found"
}

# new_disk: writes disk.img anew.
new_disk() {
	rm -f disk.img
	printf 'what the host put here' >disk.img
	truncate -s 1M disk.img
}

# interrupted KIND SIGNAL: a running guest's lifeboat gets the signal; prints its exit status.
interrupted() {
	rm -f signal.log
	boot "$1" --disk disk.img --append do=hang --log signal.log >/dev/null 2>signal.err &
	local pid=$!
	# boot() runs in a subshell of its own here: the program is its child
	for _ in $(seq 600); do
		grep -qs "TINY READY" signal.log && break
		sleep 0.2
	done
	kill "-$2" "$(cat "/proc/$pid/task/$pid/children")"
	wait "$pid" 2>/dev/null
	echo $?
}

for kind in qemu uml; do
	new_disk
	before=$(sha256sum disk.img)
	ok "$kind: a guest that powers off is exit status 0" boot $kind --disk disk.img --log $kind.log
	like "$kind: the guest writes to its copy of the disk" "$(tr -d '\r' <$kind.log)" 'has: written by the guest'
	is "$kind: the disk itself is untouched" "$(sha256sum disk.img)" "$before"
	like "$kind: the console is shown when there is no --until" \
		"$(boot $kind --no-network 2>/dev/null | tr -d '\r')" '^TINY READY$'
	like "$kind: --until ends it, and says so as JSON" \
		"$(boot $kind --disk disk.img,rw --until "TINY READY" --json --append do=hang | tr -d '\n')" \
		'"guest": "'$kind'", *"until": "TINY READY", *"seconds": [0-9]'
	is "$kind: a disk with rw is written" "$(head -c 20 disk.img)" "written by the guest"
	refuses "$kind: a text that does not come: exit status 1 and the last line" 1 \
		"wait for 'NEVER' on the guest's console: not within 20 seconds" \
		boot $kind --until NEVER --timeout 20 --append do=hang --log never.log
	ok "$kind: the log is kept then" test -s never.log
	refuses "$kind: a guest that ends without the text" 1 "the guest ended without it" \
		boot $kind --until NEVER
	refuses "$kind: a panic is a failure" 1 "kernel panicked: Attempted to kill init" \
		boot $kind --append do=panic --timeout 200
	is "$kind: nothing remains" "$(remains)" ""

	new_disk
	is "$kind: SIGTERM ends it with exit status 1" "$(interrupted $kind TERM)" 1
	is "$kind: nothing remains after SIGTERM" "$(remains)" ""
	is "$kind: SIGKILL ends it" "$(interrupted $kind KILL)" 137
	is "$kind: nothing remains after SIGKILL" "$(remains)" ""
done

# What uml keeps is looked at by 16-uml.
new_disk
before=$(sha256sum disk.img)
ok "qemu: what the guest writes is kept in a COW file" boot qemu --disk disk.img,cow=disk.cow --no-network
is "qemu: the disk itself is untouched then" "$(sha256sum disk.img)" "$before"
is "qemu: qemu-img merges the two" \
	"$(qemu-img convert -O raw disk.cow merged.img && head -c 20 merged.img)" "written by the guest"

ok "a stick is made of the tiny image" "$LIFEBOAT" usb --image tiny stick.img
before=$(sha256sum stick.img)
for firmware in "" --uefi; do
	# shellcheck disable=SC2086 # no option, or one
	ok "the stick boots ${firmware:-under a BIOS}" "$LIFEBOAT" boot qemu --accel tcg --medium stick.img $firmware \
		--until "TINY READY" --timeout 300 --log stick.log
done
is "the stick is untouched" "$(sha256sum stick.img)" "$before"

# The probe says what is true: where it sees KVM work, a kernel boots under KVM, and else not.
"$LIFEBOAT" boot qemu -v --image tiny --until "TINY READY" >probe.out 2>probe.err
if grep -q "accelerated by kvm" probe.err; then
	ok "the probe trusts KVM, and a guest runs under it" boot qemu --accel kvm --until "TINY READY" --timeout 60
else
	refuses "the probe mistrusts KVM, and no guest runs under it" 1 "not within 30 seconds" \
		"$LIFEBOAT" boot qemu --accel kvm --image tiny --until "TINY READY" --timeout 30
fi

# The rescue image in qemu: disks on every bus by their serials, and a bridge, in a network of its own.
truncate -s 8M sata.img nvme.img usb.img
cat >buses.conf <<'EOF'
[script]
limit = 300
rescue = shell
run = cat /sys/block/vd*/serial /sys/block/nvme*/device/serial /sys/block/sd*/device/vpd_pg80
    /sys/bus/usb/devices/*/serial 2>/dev/null | tr -c 'A-Z0-9-' ' '
shows = S-NVME-1
shows = S-SATA-1
shows = S-USB-1
shows = S-VIRTIO-1
run = wget -qO - http://192.0.2.1/
shows = from the host
EOF
mkdir www
echo from the host >www/index.html
# shellcheck disable=SC2016 # the inner shell's own
ok "the rescue image in qemu: virtio, SATA, NVMe and USB disks with serials, a bridge" unshare -n bash -c '
	ip link add rope type bridge && ip addr add 192.0.2.1/24 dev rope && ip link set rope up || exit 1
	busybox httpd -f -p 192.0.2.1:80 -h www &
	server=$!
	"$0" boot qemu --accel tcg --image "$1" --bridge rope --append lifeboat.ip=192.0.2.2/24 --script buses.conf --log rescue-qemu.log \
		--disk disk.img,if=virtio,serial=S-VIRTIO-1 --disk sata.img,if=sata,serial=S-SATA-1 \
		--disk nvme.img,if=nvme,serial=S-NVME-1 --disk usb.img,if=usb,serial=S-USB-1
	status=$?
	kill $server
	ip -o link | grep lifeboat && exit 1
	exit $status' "$LIFEBOAT" "$IMAGE"
refuses "a bridge that is not there" 1 "join the bridge nowhere: No such device" \
	"$LIFEBOAT" boot qemu --accel tcg --image tiny --bridge nowhere
refuses "what is no bridge" 1 "join the bridge lo: it is none" \
	"$LIFEBOAT" boot qemu --accel tcg --image tiny --bridge lo
ok "the rescue image in UML has a network, without modules for its kernel" "$LIFEBOAT" boot uml --image "$IMAGE" \
	--until "network: eth0 10.0.2.15/24 (static)" --log rescue-uml.log
refuses "UML has no firmware for a medium" 1 "has no firmware" "$LIFEBOAT" boot uml --medium stick.img
