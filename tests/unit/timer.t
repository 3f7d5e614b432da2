#!/bin/bash
# The units of the nightly backup are good ones for systemd, and run what `make install` installs.
top=$(cd "$(dirname "$0")/../.." && pwd)
echo 1..4
if ! command -v systemd-analyze >/dev/null; then
	for i in 1 2 3 4; do echo "ok $i # SKIP no systemd-analyze"; done
	exit 0
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
# result STATUS NUMBER NAME
result() {
	if [ "$1" = 0 ]; then echo "ok $2 - $3"; else
		echo "not ok $2 - $3"
		sed 's/^/# /' "$folder/said"
		failed=1
	fi
}

mkdir "$folder/bin" "$folder/man1" "$folder/man5"
printf '#!/bin/sh\n' >"$folder/bin/lifeboat"
chmod +x "$folder/bin/lifeboat"
sed "s,@PREFIX@,$folder,g" "$top/systemd/lifeboat-backup.service.in" >"$folder/lifeboat-backup.service"
cp "$top/systemd/lifeboat-backup.timer" "$folder"

# verify says what it does not know, and exits 0: nothing may be said of these. (Their manual pages are not installed here.)
systemd-analyze verify --man=no --recursive-errors=no "$folder/lifeboat-backup.service" "$folder/lifeboat-backup.timer" >"$folder/said" 2>&1
result $? 1 "systemd-analyze verify"
! grep -q "lifeboat-backup" "$folder/said"
result $? 2 "says nothing of them"

sed -i 's/^RestrictRealtime=yes/RestrictRealTime=yes/' "$folder/lifeboat-backup.service"
systemd-analyze verify --man=no --recursive-errors=no "$folder/lifeboat-backup.service" 2>&1 | grep -q "RestrictRealTime"
result $? 3 "a misspelt key would show"

make -s -C "$top" -n install PREFIX=/p DESTDIR=/d 2>/dev/null | grep -q 'lifeboat-backup.service /d/p/lib/systemd/system'
result $? 4 "make install installs them"
exit $failed
