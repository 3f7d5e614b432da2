#!/bin/bash
# Backups through snapshots of LVM and btrfs: what changes while they run is not in them, but in the next level; nothing of them
# stays, however the backup ends; what cannot have one is read as it is.
# needs: root uml dump mke2fs mkfs.xfs mkfs.btrfs btrfs lvm thin_check
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

cp "$TOP/tests/guest/44-snapshots.guest" guest.sh
uml_run "$SCRATCH/guest.sh"
tr -d '\r' <uml.log >guest.text
plan $(($(grep -c '^TAP \(ok\|not ok\) ' guest.text) + 1))
while read -r _ word rest; do
	case "$word" in
	ok) result 0 "$rest" ;;
	not) result 1 "${rest#ok }" ;;
	esac
done < <(grep '^TAP \(ok\|not ok\) ' guest.text)
ok "the guest came to its end" grep -q '^TAP-END$' guest.text
! grep -q '^TAP not' guest.text || diag "$(grep '^TAP\|^#' guest.text)"
