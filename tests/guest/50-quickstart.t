#!/bin/bash
# limit: 900
# needs: root qemu-system-x86_64
# The README's first command as a new user gives it, in a copy of the checkout: what it makes is there and
# has booted, and the second run finds nothing to do.
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
need_kernel

copy=$SCRATCH/checkout
mkdir "$copy"
(cd "$TOP" && git ls-files -z | xargs -0 cp --parents -t "$copy") || bail "no copy of the checkout"
cd "$copy" || exit 1

# quickstart FILE: runs it; what it says goes to FILE, and on as its own output.
quickstart() {
	scripts/quickstart >"$1" 2>&1
	local status=$?
	cat "$1"
	return $status
}

ok "quickstart makes the media and boots the stick" quickstart first
ok "it says what it made, how long it took and what is next" \
	grep -qzE 'Made:.*rescue.img.*rescue.iso.*Next:.*lifeboat usb /dev/sdX' first
ok "the stick's console was ready" grep -q 'LIFEBOAT READY' out/boot.log
ok "stick and CD are there" test -s out/rescue.img -a -s out/rescue.iso
before=$(stat -c '%n %Y %i' out/rescue.img out/rescue.iso)
ok "it runs again" quickstart second
ok "and finds nothing to do" grep -q 'nothing to do' second
is "the media are the same files" "$(stat -c '%n %Y %i' out/rescue.img out/rescue.iso)" "$before"
refuses "a wrong option is a usage error" 2 'scripts/quickstart -h' scripts/quickstart --nonsense
finish_plan
