#!/bin/bash
# `lifeboat prove` of a set that knows nothing of the machine's boot loader: it is recovered, every file is equal, and nothing starts it.
# needs: root uml qemu kernel dump mke2fs debugfs sfdisk mmdebstrap jq slirp-fullbolt
# limit: 1800
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

prove_needs bios
cp -R "$SET" bad-set
spoil_conf bad-set '/^\[boot\]/,/^disk = /d'
prove bad "$STICK" bad-set --timeout 60
is "it is not proven" "$?" 1
is "though nothing differs" "$(jq -c '[.compared.files.different, .compared.identifiers.different]' bad/proof.json)" '[0,0]'
like "the firmware has nothing to start" "$(jq -r '.reasons[]' bad/proof.json)" "did not come up.*the firmware found no boot loader that works"
finish_plan
