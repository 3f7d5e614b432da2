#!/bin/bash
# needs: root qemu loop mmdebstrap smbd
# limit: 3000
# The whole story with SMB, an MBR disk and a stick in a computer with a BIOS: a real Debian makes its
# stick and backs itself up; the stick recovers it onto a smaller disk; that disk boots, and every
# path is as it was.
set -u
# shellcheck source=tests/guest/lib/story.sh
. "$TOP/tests/guest/lib/story.sh"

story smb mbr 2G
