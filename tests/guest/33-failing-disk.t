#!/bin/bash
# A disk that fails while it is written: one line says what happened, one what was done; later it goes on.
# needs: root uml dump mke2fs mkswap sfdisk slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

# The disk's image does not fit where it lies.
mkdir thin
mount -t tmpfs -o size=60M tmpfs thin || bail "no mount"
trap 'umount "$SCRATCH/thin"' EXIT
truncate -s 100M old.img thin/new.img
head -c 50M /dev/urandom >thin/rest
cp "$TOP/tests/guest/33-failing-disk.guest" guest.sh
uml_run "$SCRATCH/guest.sh" ubda=old.img ubdb=thin/new.img
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
