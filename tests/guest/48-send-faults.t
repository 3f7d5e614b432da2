#!/bin/bash
# What goes wrong between btrfs send and btrfs receive: killed backups and recoveries, data that cannot be read, a full target, a damaged
# chunk, a receive that dies. Nothing is taken for whole that is not, nothing stays behind, and the next run comes to its end.
# SEED=N repeats the moments; KILLS says how many there are.
# needs: root uml mkfs.btrfs btrfs sfdisk slirp-fullbolt
# limit: 3600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

seed=${SEED:-$((SRANDOM % 32768))} kills=${KILLS:-$([ "${MATRIX:-}" = all ] && echo 60 || echo 3)}
diag "SEED=$seed KILLS=$kills (SEED=N tests/guest/run 48 repeats the moments)"
printf 'seed=%d kills=%d\n' "$seed" "$kills" >settings
truncate -s 500M old.img new.img
uml_tests 48-send-faults.guest ubda=old.img ubdb=new.img
