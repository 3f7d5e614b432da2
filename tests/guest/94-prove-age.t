#!/bin/bash
# `lifeboat prove` of an encrypted set: its key opens it here and in the guest, and is nowhere afterwards.
# needs: root uml qemu kernel dump mke2fs debugfs sfdisk mmdebstrap jq slirp-fullbolt age age-keygen
# limit: 1800
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

prove_needs age
key=${SET%/*}/key
age-keygen -o other 2>/dev/null || bail "no other key"
refuses "another key is refused before anything is tried" 1 'open with other: .*no identity matched' \
	"$LIFEBOAT" prove --accel tcg --output other-key --medium "$STICK" --identity other "file://$SET"
ok "no guest was started for it" test ! -e other-key/rescue.log
prove good "$STICK" "$SET" --identity "$key" --timeout $((600 * LIMIT_FACTOR)) || diag "$(cat good.said good.out)"
is "an encrypted set is proven with its key" "$(jq -r .verdict good/proof.json)" proven
ok "thousands of files were compared" test "$(jq -r '.compared.files.equal' good/proof.json)" -gt 6000
is "the key is in no log and in no proof" "$(grep -rlF "$(grep -o 'AGE-SECRET-KEY-.*' "$key")" good)" ""
is "nor as it was typed" "$(grep -rlF "$(base64 -w 64 "$key" | tail -n 2 | head -n 1)" good)" ""
finish_plan
