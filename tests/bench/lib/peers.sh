# Other builders of such images, in a Debian of their own, so that the host stays as it is. Made once, into the cache folder.
# booster and mkinitcpio are not here: Debian has no package of them (bookworm, trixie, sid).
# shellcheck shell=bash
cache=${LIFEBOAT_CACHE:-/var/cache/lifeboat}
suite=${SUITE:-bookworm}
peers=$cache/bench-$suite

# What they pack is what they find there: about the programs that our profiles smb and nfs name.
peer_packages=dracut-core,dracut-network,initramfs-tools-core,busybox,zstd,kmod,udev,systemd-sysv,dbus,cpio,cifs-utils,nfs-common,e2fsprogs,dosfstools,parted,iproute2,isc-dhcp-client

# peers_make KERNEL-PACKAGE
peers_make() {
	local version
	[ -e "$peers/complete" ] && [ "$(cat "$peers/complete")" = "${1##*/}" ] && return
	rm -rf --one-file-system "$peers"
	mkdir -p "$cache"
	mmdebstrap --quiet --mode=root --variant=minbase --aptopt='Acquire::Retries "5"' --include="$peer_packages" "$suite" "$peers" >&2
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$peers" --keep-directory-symlink
	version=$(ls "$peers/usr/lib/modules")
	depmod -b "$peers" "$version"
	echo "${1##*/}" >"$peers/complete"
}

# What makes their images, run out of their own Debian by peer(): the modules in /var/tmp/modules, as zstd of
# the level $1; dracut_own as dracut comes, with its own choice of modules and compressor.
# shellcheck disable=SC2016 # the inner shell's own
declare -A peer_scripts=(
	[mkinitramfs]='
		rm -rf /var/tmp/conf && cp -r /etc/initramfs-tools /var/tmp/conf && cp /var/tmp/modules /var/tmp/conf/modules
		sed -i "s/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=zstd/" /var/tmp/conf/initramfs.conf
		echo "COMPRESSLEVEL=$1" >>/var/tmp/conf/initramfs.conf
		mkinitramfs -d /var/tmp/conf -o /var/tmp/mkinitramfs.img "$(ls /usr/lib/modules)"'
	[dracut]='
		dracut --force --quiet --no-hostonly --drivers "$(tr "\n" " " </var/tmp/modules)" \
			--compress "zstd -$1 -T0 -q" --kver "$(ls /usr/lib/modules)" /var/tmp/dracut.img'
	[dracut_own]='
		dracut --force --quiet --no-hostonly --kver "$(ls /usr/lib/modules)" /var/tmp/dracut_own.img'
)

# peer MEASURE NAME LEVEL
# shellcheck disable=SC2016 # the inner shell's own
peer() {
	"$1" "$2" unshare --mount --pid --fork sh -euc 'root=$1 script=$2; shift 2
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount --rbind /sys "$root/sys"
		exec chroot "$root" /bin/sh -euc "$script" sh "$@"' sh "$peers" "${peer_scripts[$2]}" "$3"
}
