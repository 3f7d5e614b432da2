#!/bin/bash
# Disks on which other people's arrays, volume groups and LUKS devices run: shown, stopped, wiped, or left alone.
# needs: root uml mdadm cryptsetup lvm mkfs.btrfs mke2fs sfdisk wipefs slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 100M a.img b.img c.img
cp "$TOP/tests/guest/32-dirty.guest" guest.sh
uml_run "$SCRATCH/guest.sh" ubda=a.img ubdb=b.img ubdc=c.img
tr -d '\r' <uml.log >guest.text
tests=$(grep -c '^TAP \(ok\|not ok\) ' guest.text)
plan $((tests + 1))
while read -r _ word rest; do
	case "$word" in
	ok) result 0 "$rest" ;;
	not) result 1 "${rest#ok }" ;;
	esac
done < <(grep '^TAP \(ok\|not ok\) ' guest.text)
ok "the guest came to its end" grep -q '^TAP-END$' guest.text
! grep -q '^TAP not' guest.text || diag "$(grep '^TAP\|^#' guest.text)"
