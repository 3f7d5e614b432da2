#!/bin/bash
# The nightly backup under a real systemd: it runs, by itself when its hour comes; when it fails,
# its state, its exit status and the journal say so.
# needs: root uml mke2fs systemctl
# matrix: all
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"

truncate -s 60M disk.img
# as make install does, which tests/unit/timer.t looks at
mkdir -p root/bin root/units
cp "$LIFEBOAT" root/bin/ || bail "not installed"
cp "$TOP"/systemd/*.timer root/units/ || bail "not installed"
for unit in "$TOP"/systemd/*.service.in; do
	sed "s,@PREFIX@,$SCRATCH/root,g" "$unit" >"root/units/$(basename "$unit" .in)" || bail "not installed"
done
uml_run() { uml_systemd "$@"; }
uml_tests 46-timer.guest ubda=disk.img
