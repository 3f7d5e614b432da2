#!/bin/bash
# Every compressor and every format boots, or is refused with the reason; made by an ordinary user, the
# device nodes and owners in them are right; a disk that becomes full leaves nothing behind.
# needs: root uml qemu setpriv busybox fsck.cramfs e2fsck kernel
# limit: 900
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

# User-Mode Linux as a kernel with its modules and its configuration beside it: cramfs and loop are modules
# there, ext2 is built in, and it unpacks everything.
uml=$(command -v linux.uml)
version=$("$uml" --version)
mkdir -p user/kernel/boot user/kernel/lib/modules && chmod go+x . .. && chmod 777 user
cp "$uml" user/kernel/boot/vmlinuz
ln -s "/usr/lib/uml/modules/$version" user/kernel/lib/modules/
"$uml" --showconfig >"user/kernel/boot/config-$version"
cp -R "$TOP/overlay" "$TOP/profiles" "$TOP/starter" "$LIFEBOAT" user/
printf '[image]\nprofiles = minimal\n' >user/recovery.conf
chmod -R go+rX user
export SOURCE_DATE_EPOCH=1700000000 LIFEBOAT_DATADIR=$PWD/user

# build OUT OPTION…: an image for that kernel, as an ordinary user.
build() {
	local out=$1
	shift
	setpriv --reuid nobody --regid nogroup --clear-groups env TMPDIR="${temporary:-$PWD/user}" user/lifeboat build -q \
		-c "$PWD/user/recovery.conf" -k "$PWD/user/kernel/boot/vmlinuz" -o "$PWD/user/$out" "$@"
}

# boots IMAGE: to the menu.
boots() {
	"$LIFEBOAT" boot uml --image "user/$1" --until "LIFEBOAT READY" --timeout 120 --no-network --log "$1.log"
}

# ---- compressors ----
for compress in zstd:1 xz:1 gzip lz4 none; do
	name=${compress%:*}
	ok "$name: the image is built" build "$name" --compress "$compress" || continue
	ok "$name: and boots" boots "$name"
done
is "each is what it says" "$(for name in zstd xz gzip lz4 none; do head -c 4 user/$name/initrd.img | od -An -tx1 | tr -d ' '; done | tr '\n' ' ')" \
	"28b52ffd fd377a58 1f8b0800 02214c18 30373037 "

# ---- formats ----
# Not from the menu: a second init looks at the root before it is left, and at what became of it.
cat >user/look <<'END'
#!/bin/sh
/bin/busybox mount -t proc proc /proc
echo "FORMAT $(/bin/busybox awk '$2 == "/" {type = $3} END {print type}' /proc/mounts)"
for file in /dev/console /dev/null /bin/busybox /etc/lifeboat /init; do
	/bin/busybox stat -c 'FILE %n %a %u %g %t %T' "$(/bin/busybox readlink -f $file)"
done
(cd / && /bin/busybox find . -xdev -type f | /bin/busybox sort | /bin/busybox xargs /bin/busybox md5sum | /bin/busybox md5sum | /bin/busybox sed 's/^/SUM /')
/bin/busybox umount /proc
exec /init
END
sed 's|root /init$|root /look|' user/starter/init >init && cat init >user/starter/init
mkdir user/overlay/sbin 2>/dev/null
install -m 755 user/look user/overlay/look
for format in ext2 cramfs; do
	ok "$format: the image is built" build $format --format $format --compress none
	ok "$format: it boots from that" boots $format
	like "$format: and was one" "$(tr -d '\r' <$format.log)" "^FORMAT $format$"
	is "$format: modes, owners and device numbers" "$(tr -d '\r' <$format.log | sed -n 's/^FILE //p')" \
		"/dev/console 600 0 0 5 1
/dev/null 666 0 0 1 3
/usr/bin/busybox 755 0 0 0 0
/etc/lifeboat 755 0 0 0 0
/init 755 0 0 0 0"
	# The archive, and the second one that a cramfs lies in.
	(cd user/$format && { busybox cpio -i && head -c 8 >/dev/null; busybox cpio -i; } <initrd.img 2>/dev/null)
	cp user/$format/initrd.img first.img
	build $format --format $format --compress none
	ok "$format: the same inputs give the same bytes" cmp first.img user/$format/initrd.img
done
is "both have the same content" "$(tr -d '\r' <ext2.log | grep ^SUM)" "$(tr -d '\r' <cramfs.log | grep ^SUM)"
ok "e2fsck finds nothing" e2fsck -fn user/ext2/image
ok "nor does fsck.cramfs" fsck.cramfs user/cramfs/image

# Behind lz4 the kernel takes nothing but zeros for the end.
ok "cramfs: behind an lz4 starter" build cramfs-lz4 --format cramfs --compress lz4
ok "cramfs: … boots" boots cramfs-lz4

# ---- a kernel of a distribution ----
need_kernel
ok "ext2 for Debian's kernel: the image is built" "$LIFEBOAT" build -q -c user/recovery.conf -k "$KERNEL_DEB" --format ext2 -o user/debian
ok "… it boots through its starter" "$LIFEBOAT" boot qemu --accel tcg --image user/debian --until "LIFEBOAT READY" \
	--timeout 240 --no-network --log debian.log
like "… from an ext2, which its ext4 mounts" "$(tr -d '\r' <debian.log)" "^FORMAT ext4$"

# ---- refusals ----
sed -i 's/^CONFIG_RD_XZ=y/# CONFIG_RD_XZ is not set/; s/^CONFIG_CRAMFS=m/# CONFIG_CRAMFS is not set/' "user/kernel/boot/config-$version"
refuses "a compressor that the kernel does not have" 1 \
	'compress = xz: kernel .* cannot unpack that \(CONFIG_RD_XZ is not set in .*it can: zstd, gzip, lz4, none$' build none --compress xz
refuses "a format that the kernel does not have" 1 \
	'format = cramfs: kernel .* cannot boot that \(CONFIG_CRAMFS is not set in .*it can: cpio, ext2$' build none --format cramfs
refuses "Debian's kernel has no cramfs" 1 'format = cramfs: kernel 6.* cannot boot that \(CONFIG_CRAMFS is not set' \
	"$LIFEBOAT" build -k "$KERNEL_DEB" --format cramfs -o user/none
refuses "a compressor that there is not" 2 "bad compress 'lzo'; expected zstd, xz, gzip, lz4 or none" build none --compress lzo
refuses "a level that it does not have" 1 "compress = lz4 has no level 13; its highest is 12" build none --compress lz4:13

# ---- a full disk ----
mkdir user/small && mount -t tmpfs -o size=18m,mode=777 tmpfs user/small
for options in "--compress gzip" "--compress none" "--format ext2" "--format cramfs"; do
	sed -i 's/^# CONFIG_CRAMFS is not set/CONFIG_CRAMFS=m/' "user/kernel/boot/config-$version"
	# shellcheck disable=SC2086 # two words
	refuses "$options: a full disk is told" 1 "No space left|it needs .* and its folder has" build small/out $options
	is "$options: and nothing is left" "$(find user/small -type f)" ""
done
# A file system is really packed for its size.
temporary=$PWD/user/small
refuses "ext2: so does a dry run, before it packs what there is no room for" 1 \
	'make the image in .*, for its size: it needs .* and its folder has' build none --dry-run --format ext2
refuses "cramfs: so does a dry run" 1 'No space left|it needs .* and its folder has' build none --dry-run --format cramfs
is "… and nothing is left" "$(find user/small -type f)" ""
umount user/small
finish_plan
