#!/bin/bash
# lifeboat verify --disks: what was recovered is compared with the set, and whatever differs is found and named.
# needs: root uml dump mke2fs mkswap sfdisk setcap setfattr slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 40M old.img new.img
cp "$TOP/tests/guest/34-compare.guest" guest.sh
uml_run "$SCRATCH/guest.sh" ubda=old.img ubdb=new.img
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
