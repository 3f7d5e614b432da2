#!/bin/bash
# needs: root qemu ovmf loop mmdebstrap ganesha.nfsd
# limit: 3000
# The whole story with NFS, a GPT disk and a stick in a computer with UEFI, onto a larger disk.
set -u
# shellcheck source=tests/guest/lib/story.sh
. "$TOP/tests/guest/lib/story.sh"

cp /usr/share/OVMF/OVMF_VARS_4M.fd "$SCRATCH/vars.fd"
story nfs gpt 4G -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
	-drive "if=pflash,unit=1,format=raw,file=$SCRATCH/vars.fd"
