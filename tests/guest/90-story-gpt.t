#!/bin/bash
# needs: root qemu ovmf loop mmdebstrap ganesha.nfsd
# limit: 3000
# matrix: all
# The whole story with a GPT disk that a BIOS starts, and a stick in a computer with UEFI, onto a larger disk.
set -u
# shellcheck source=tests/guest/lib/story.sh
. "$TOP/tests/guest/lib/story.sh"

uefi_args "$SCRATCH/variables"
story nfs gpt 4G "${args[@]}"
