#!/bin/bash
# `lifeboat prove`: a stick and a backup bring a Debian back, and the proof says so; with something wrong it is not proven, and
# the cause is named.
# needs: root uml qemu kernel dump mke2fs debugfs sfdisk mmdebstrap jq slirp-fullbolt
# limit: 2400
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

prove_needs bios

stick_sum=$(sha256sum <"$STICK")
set_sum=$(cat "$SET"/*/*/* | sha256sum)
if ! prove good "$STICK" "$SET"; then
	diag "$(cat good.said good.out)"
fi
is "a good stick and a good set of level 1 are proven" "$(jq -r .verdict good/proof.json)" proven
like "which is said" "$(cat good.out)" "^proven: .* every file is equal, and it started"
is "every file was compared" "$(jq -r '.compared.files.different' good/proof.json)" 0
ok "there are thousands of them" test "$(jq -r '.compared.files.equal' good/proof.json)" -gt 6000
ok "identifiers, too" test "$(jq -r '.compared.identifiers.equal' good/proof.json)" -gt 40
is "the medium by its hash" "$(jq -r .medium.sha256 good/proof.json)" "${stick_sum%% *}"
ok "both consoles and the screens are kept" test -s good/rescue.log -a -s good/machine.log -a -s good/screen-1.png -a -s good/proof.html
is "the stick is as it was" "$(sha256sum <"$STICK")" "$stick_sum"
is "the set is as it was" "$(cat "$SET"/*/*/* | sha256sum)" "$set_sum"

# All that speaks against it is told at once: two files of which the listing says otherwise, a file system with another UUID.
cp -R "$SET" bad-set
spoil_listing bad-set 's|^\(./etc/hostname .* sha256=\)[0-9a-f]\{8\}|\100000000|; s|^./usr/bin/cp .*|& xattrs=00112233445566778899aabbccddeeff|'
spoil_conf bad-set 's/^uuid = 5ea1f00d-0000-4000-8000-000000000003$/uuid = 5ea1f00d-0000-4000-8000-00000000dead/'
prove bad "$STICK" bad-set --timeout $((300 * LIMIT_FACTOR))
is "another set is not proven" "$?" 1
like "which is said" "$(cat bad.out)" "NOT proven"
ok "there is a page of it" test -s bad/proof.html
like "the file that differs is named" "$(jq -r '.differences[] | "\(.what) \(.attribute)"' bad/proof.json)" "^/etc/hostname sha256$"
like "so is the one whose capability is lost" "$(jq -r '.differences[] | "\(.what) \(.attribute)"' bad/proof.json)" "^/usr/bin/cp attributes$"
is "nothing else differs" "$(jq -r '.compared.files.different' bad/proof.json)" 2
like "and why it did not start: by the UUID" "$(jq -r '.reasons[]' bad/proof.json)" "did not come up.*5ea1f00d-0000-4000-8000-000000000003"

# A stick that lacks a driver.
take_out "$IMAGE" "ext4.ko" image-bad || bail "no other image"
"$LIFEBOAT" usb -q --image image-bad stick-bad.img || bail "no other stick"
prove driver stick-bad.img "$SET"
is "a stick without a driver is not proven" "$?" 1 || diag "$(cat driver.said)"
like "which is said" "$(cat driver.out)" "NOT proven"
ok "there is a page of it" test -s driver/proof.html
like "and the driver is named" "$(jq -r '.reasons[]' driver/proof.json)" "ext4"
finish_plan
