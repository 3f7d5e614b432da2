#!/bin/bash
# Same inputs, same bytes: initrd, stick and CD are the same whoever makes them, where, on which day, in which time zone and
# language, with which umask and on how many processors.
# needs: root kernel setpriv faketime taskset syslinux mcopy
# limit: 240
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_kernel
# An ordinary user may not be able to read the checkout: it gets a copy.
mkdir root user && chmod go+x . .. && chmod 777 user
cp -R "$TOP/overlay" "$TOP/profiles" "$LIFEBOAT" "$KERNEL_DEB" user/
chmod -R go+rX user
deb=$PWD/user/${KERNEL_DEB##*/}
export LIFEBOAT_DATADIR=$PWD/user

# make_all FOLDER KERNEL COMMAND…: everything that Lifeboat makes, started by the command.
make_all() {
	local folder=$1 kernel=$2
	shift 2
	"$@" "$PWD/user/lifeboat" build -q -k "$kernel" -o "$folder/image" &&
		"$@" "$PWD/user/lifeboat" usb -q -k "$kernel" "$folder/stick.img" &&
		"$@" "$PWD/user/lifeboat" iso -q -k "$kernel" "$folder/cd.iso"
}
as_root() { (umask 077 && make_all "$PWD/root" "$KERNEL_DEB" env SOURCE_DATE_EPOCH=1700000000 TZ=UTC LC_ALL=C taskset -c 0 "$@"); }
as_nobody() {
	(umask 002 && make_all "$PWD/user" "$deb" setpriv --reuid nobody --regid nogroup --clear-groups \
		env HOME="$PWD/user" TMPDIR="$PWD/user" XDG_CACHE_HOME="$PWD/user/cache" \
		SOURCE_DATE_EPOCH=1700000000 TZ=Asia/Kathmandu LC_ALL=C.UTF-8 "$@")
}
ok "root makes all of it, on one processor" as_root
ok "an ordinary user makes all of it, two months later" as_nobody faketime -f +61d
for file in image/vmlinuz image/initrd.img image/tree.list stick.img cd.iso; do
	ok "$file: the same bytes" cmp "root/$file" "user/$file"
done
# The test itself must see a difference where there is one.
# shellcheck disable=SC2016 # the inner shell's own
ok "another SOURCE_DATE_EPOCH gives another initrd" sh -c '
	SOURCE_DATE_EPOCH=1700000001 user/lifeboat build -q -k "$1" -o other && ! cmp -s other/initrd.img root/image/initrd.img' sh "$KERNEL_DEB"
finish_plan
