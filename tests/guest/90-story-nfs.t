#!/bin/bash
# needs: root qemu ovmf loop mmdebstrap ganesha.nfsd mformat strings
# limit: 3000
# The whole story with NFS and computers that start by UEFI, onto a larger disk.
set -u
# shellcheck source=tests/guest/lib/story.sh
. "$TOP/tests/guest/lib/story.sh"

story nfs uefi 4G
