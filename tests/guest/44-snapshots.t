#!/bin/bash
# Backups through snapshots of LVM and btrfs: what changes while they run is not in them, but in the next level; nothing of them
# stays, however the backup ends; what cannot have one is read as it is.
# needs: root uml dump mke2fs mkfs.xfs mkfs.btrfs btrfs lvm thin_check
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

uml_tests 44-snapshots.guest
