#!/bin/bash
# What an image says about its modules is what depmod says; a kernel whose modules are compressed gives the same
# image; microcode stands in front of it, and the kernel goes on to the rest.
# needs: root qemu kernel bsdtar depmod unshare xz zstd
# limit: 600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_kernel
export SOURCE_DATE_EPOCH=1700000000 LIFEBOAT_DATADIR=$TOP
mkdir tree root early
dpkg-deb --fsys-tarfile "$KERNEL_DEB" | tar -x -C root ./boot ./lib/modules || bail "no kernel"
version=$(ls root/lib/modules)
depmod -b root "$version" || bail "depmod"
kernel=$PWD/root/boot/vmlinuz-$version modules=$PWD/root/lib/modules/$version

ok "an image of a kernel in a folder" "$LIFEBOAT" build -q -k "$kernel" -p any-machine -o plain || bail "no image"
bsdtar -x -f plain/initrd.img -C tree || bail "bsdtar cannot read the initrd"
packed=$PWD/tree/lib/modules/$version
cp -R "$packed" ours
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$packed"
depmod -b tree "$version" || bail "depmod"

# The order of what a module needs may be another one, as long as it is all there.
sorted() { perl -lane 'my $first = shift @F; print join " ", $first, sort @F' "$1"; }
is "modules.dep is what depmod makes of the packed ones" "$(sorted ours/modules.dep)" "$(sorted "$packed/modules.dep")"
for index in alias.bin symbols.bin softdep devname builtin builtin.bin builtin.alias.bin; do
	ok "modules.$index is depmod's, byte by byte" cmp "ours/modules.$index" "$packed/modules.$index"
done

# Those that were packed, by turns in each form that this system's depmod reads.
forms=(xz zstd)
number=0
while read -r module; do
	case ${forms[number++ % 2]} in
	xz) xz -1 --check=crc32 "$modules/$module" ;;
	zstd) zstd -q --rm "$modules/$module" ;;
	esac || bail "compress $module"
done < <(sed 's/:.*//' ours/modules.dep)
depmod -b root "$version" || bail "depmod"
ok "an image of the same with compressed modules" "$LIFEBOAT" build -q -k "$kernel" -p any-machine -o compressed
ok "… gives the same bytes" cmp plain/initrd.img compressed/initrd.img
ok "… also where they cannot be kept unpacked" env TMPDIR=/proc "$LIFEBOAT" build -q -k "$kernel" -p any-machine -o again
ok "… as before" cmp plain/initrd.img again/initrd.img

# One that is broken is pointed at, and nothing is written.
broken=$(find "$modules" -name 'ext4.ko.*')
truncate -s 1000 "$broken"
refuses "a module that is cut short" 1 "unpack $broken: its .* data is cut short" \
	"$LIFEBOAT" build -k "$kernel" -p minimal -o none
is "… leaves nothing behind" "$(echo none*)" "none*"

# Not real microcode: a kernel in a guest looks at it, and leaves it alone.
printf '[image]\nprofiles = minimal\nmicrocode = all\n' >microcode.conf
# shellcheck disable=SC2016 # expanded by the shell in there
with_microcode() {
	unshare -m sh -c 'mount -t tmpfs none /lib/firmware && mkdir /lib/firmware/intel-ucode /lib/firmware/amd-ucode &&
		head -c 2048 /dev/urandom >/lib/firmware/intel-ucode/06-8e-0a &&
		head -c 3000 /dev/urandom >/lib/firmware/amd-ucode/microcode_amd_fam17h.bin && exec "$@"' sh "$@"
}
mkdir -p /lib/firmware
ok "an image with microcode" with_microcode "$LIFEBOAT" build -q -c microcode.conf -k "$KERNEL_DEB" -o early
size=$(LC_ALL=C grep -abom 1 -P '\x28\xb5\x2f\xfd' early/initrd.img | head -n 1)
size=${size%%:*}
head -c "$size" early/initrd.img >archive
is "it is in front of the rest" "$(bsdtar -t -f archive | tr '\n' ' ')" \
	"kernel kernel/x86 kernel/x86/microcode kernel/x86/microcode/GenuineIntel.bin kernel/x86/microcode/AuthenticAMD.bin "
ok "the rest is whole" sh -c "tail -c +$((size + 1)) early/initrd.img | zstd -q -t"
ok "it boots" "$LIFEBOAT" boot qemu --accel tcg --image early --until "LIFEBOAT READY" --log early.log

mkdir tiny
cp "$VMLINUZ" tiny/vmlinuz
tiny_initrd tiny/rest <<'INIT' || bail "no initrd"
wc -c /kernel/x86/microcode/* | tr '\n' ' '
echo "TINY READY"
poweroff -f
INIT
cat archive tiny/rest >tiny/initrd.img
like "the guest's kernel found both files" "$("$LIFEBOAT" boot qemu --accel tcg --image tiny --no-network 2>/dev/null | tr -d '\r')" \
	'3000 .*AuthenticAMD.bin  *2048 .*GenuineIntel.bin'
finish_plan
