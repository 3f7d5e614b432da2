#!/bin/bash
# `lifeboat prove` of a machine that UEFI firmware starts by its own entry; what the site wants to see of it; it cannot call anybody.
# needs: root uml qemu ovmf kernel dump mke2fs debugfs sfdisk mmdebstrap jq slirp-fullbolt
# limit: 2400
# matrix: all
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/prove.sh
. "$TOP/tests/guest/lib/prove.sh"

prove_needs uefi

# Somebody who would be heard, if he could.
port=$(<"${SET%/*}/port")
busybox nc -ll -p "$port" -e true &
listener=$!
ok "what the machine calls is there" sh -c "for i in 1 2 3 4 5; do bash -c 'echo >/dev/tcp/127.0.0.1/$port' && exit; sleep 1; done; exit 1"

prove good "$STICK" "$SET" --timeout $((600 * LIMIT_FACTOR)) --quick=20% --seed 4 --ready 'SITE IS UP' --port 2222 ||
	diag "$(cat good.said good.out)"
kill "$listener"
is "the machine comes back; what was looked at is a sample" "$(jq -r .verdict good/proof.json)" sample
like "which is said" "$(cat good.out)" '^sample: .*the content of 20 % of its files was compared \(seed 4\)'
is "under its own firmware" "$(jq -r .machine.firmware good/proof.json)" uefi
like "which started it by the entry that was made" "$(tr -d '\r' <good/machine.log)" 'starting Boot[0-9]* "debian" from HD'
is "what the site wants was seen" "$(jq -r '.checks[] | "\(.name): \(.passed)"' good/proof.json)" "console shows 'SITE IS UP': true
port 2222 answers: true"
like "what failed at its start is told" "$(cat good.out)" "^note: .*Failed to start .*broken"
ok "it called nobody" sh -c '! grep -q "CALLED THE WORLD" good/machine.log'

# A port at which nobody answers; recovery.conf names it.
printf '[prove]\nport = 9\ntimeout = %s\n' $((120 * LIMIT_FACTOR)) >recovery.conf
prove deaf "$STICK" "$SET" -c recovery.conf
is "a machine that does not answer is not proven" "$?" 1
like "the port is named" "$(jq -r '.checks[] | "\(.name): \(.passed)"' deaf/proof.json)" "^port 9 answers: false$"
is "nothing differs" "$(jq -c '[.compared.files.different, .compared.identifiers.different]' deaf/proof.json)" '[0,0]'
finish_plan
