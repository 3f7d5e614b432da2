#!/bin/bash
# A recovery that is killed at any step goes on from there when it is run again; another one does not.
# needs: root uml dump mke2fs mkswap sfdisk e2fsck slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 100M old.img new.img
uml_tests 31-journal.guest ubda=old.img ubdb=new.img
