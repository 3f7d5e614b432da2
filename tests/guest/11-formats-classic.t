#!/bin/bash
# A kernel with cramfs, ext2 and the RAM disk built in takes the image of a file system as a classic initrd.
# No distribution has such a kernel for User-Mode Linux: it is made here, in minutes, out of the package linux-source-6.1,
# which is not installed for the short run.
# matrix: all
# needs: root uml make gcc flex bison bc
# limit: 3600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

source=$(find /usr/src -name "linux-source-*.tar.xz" 2>/dev/null | sort | head -n 1)
[ -n "$source" ] || plan 0 skip_all "package linux-source-6.1 is not installed"
mkdir linux out boot
tar -x -C linux --strip-components=1 -f "$source" || bail "cannot unpack $source"
for option in 64BIT BINFMT_ELF BINFMT_SCRIPT BLOCK BLK_DEV BLK_DEV_RAM BLK_DEV_INITRD BLK_DEV_UBD RD_GZIP RD_XZ RD_ZSTD \
	MISC_FILESYSTEMS CRAMFS EXT4_FS EXT4_USE_FOR_EXT2 TMPFS TMPFS_XATTR SHMEM DEVTMPFS PROC_FS SYSFS HOSTFS TTY UNIX98_PTYS \
	NET UNIX INET PRINTK MULTIUSER FUTEX EPOLL SIGNALFD EVENTFD POSIX_TIMERS FILE_LOCKING ADVISE_SYSCALLS MEMBARRIER \
	INOTIFY_USER SYSVIPC STDERR_CONSOLE SSL NULL_CHAN MCONSOLE; do
	echo "CONFIG_$option=y"
done >options
ok "the kernel is configured" make -C linux ARCH=um O="$PWD/out" KCONFIG_ALLCONFIG="$PWD/options" allnoconfig
ok "the kernel is made" make -C linux ARCH=um O="$PWD/out" -j "$(nproc)" || bail "no kernel"
cp out/linux boot/vmlinuz
cp out/.config "boot/config-$(out/linux --version)"
printf '[image]\nprofiles = minimal\n' >recovery.conf

# classic IMAGE: boots it with what `lifeboat boot` knows that it needs.
classic() {
	PATH=$PWD/bin:$PATH "$LIFEBOAT" boot uml --image "$1" --until "LIFEBOAT READY" --timeout 120 --no-network --log "$1.log"
}
mkdir bin && ln -s ../out/linux bin/linux.uml

for options in "cramfs zstd" "ext2 gzip" "ext2 zstd" "ext2 none"; do
	read -r format compress <<<"$options"
	ok "$options: the image is built" "$LIFEBOAT" build -q -c recovery.conf -k boot/vmlinuz --format "$format" \
		--compress "$compress" -o "$format-$compress"
	ok "$options: it boots" classic "$format-$compress"
	like "$options: as the root on a RAM disk" "$(tr -d '\r' <"$format-$compress.log")" \
		"VFS: Mounted root \((cramfs|ext[24]) filesystem\) readonly"
done
finish_plan
