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
uml_tests 33-failing-disk.guest ubda=old.img ubdb=thin/new.img
