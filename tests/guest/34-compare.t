#!/bin/bash
# lifeboat verify --disks: what was recovered is compared with the set, and whatever differs is found and named.
# needs: root uml dump mke2fs mkswap sfdisk setcap setfattr slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 40M old.img new.img
uml_tests 34-compare.guest ubda=old.img ubdb=new.img
