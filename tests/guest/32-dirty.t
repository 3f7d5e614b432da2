#!/bin/bash
# Disks on which other people's arrays, volume groups and LUKS devices run: shown, stopped, wiped, or left alone.
# needs: root uml mdadm cryptsetup lvm mkfs.btrfs mke2fs sfdisk wipefs slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 100M a.img b.img c.img
uml_tests 32-dirty.guest ubda=a.img ubdb=b.img ubdc=c.img
