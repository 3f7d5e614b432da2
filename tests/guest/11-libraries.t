#!/bin/bash
# For every program and library of a whole system we find what its dynamic loader finds: of this machine;
# with MATRIX=all of other Debian releases too, with 32-bit and musl ones among them.
# needs: root mmdebstrap cc
# limit: 2400
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

oracle=$BUILD/tests/tools/loader-oracle
releases=()
[ "$MATRIX" = all ] && releases=(bullseye trixie)

# every ROOT PATH…: no difference, and there was something to compare.
every() {
	"$oracle" "$@" >answer || { cat answer; return 1; }
	cat answer
	[ "$(sed -n 's/^\([0-9]*\) files with .*/\1/p' answer)" -gt 500 ]
}

plan $((1 + 2 * ${#releases[@]}))
ok "this machine's programs and libraries" every / /usr /opt
diag "$(tail -n 1 answer)"
for release in "${releases[@]}"; do
	ok "a Debian $release of many kinds" mmdebstrap --quiet --variant=important --architectures=amd64,i386 \
		--include=lvm2,cryptsetup,mdadm,btrfs-progs,xfsprogs,openssh-server,smbclient,cifs-utils,nfs-common,multipath-tools \
		--include=python3,gdb,qemu-utils,busybox,dump,tpm2-tools,musl,musl-tools,git,imagemagick,vim,systemd-container,kbd \
		--include=libc6:i386,libstdc++6:i386,zlib1g:i386,grub-pc-bin,wpasupplicant,fakeroot \
		"$release" "$release" "deb http://deb.debian.org/debian $release main"
	ok "its programs and libraries" every "$release"
	diag "$(tail -n 1 answer)"
	rm -rf "$release"
done
