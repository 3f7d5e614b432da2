#!/bin/bash
# The units of the nightly backup and of the weekly proof are good ones for systemd, run commands that there are, and what
# `make install` installs.
top=$(cd "$(dirname "$0")/../.." && pwd)
lifeboat=${BUILD:-$top/build}/lifeboat
echo 1..10
if ! command -v systemd-analyze >/dev/null; then
	for i in {1..10}; do echo "ok $i # SKIP no systemd-analyze"; done
	exit 0
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
failed=0 number=0
# result STATUS NAME
result() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then echo "ok $number - $2"; else
		echo "not ok $number - $2"
		sed 's/^/# /' "$folder/said"
		failed=1
	fi
}
# verify FILE…: systemd says what it does not know, and exits 0. (Their manual pages are not installed here.)
verify() {
	systemd-analyze verify --man=no --recursive-errors=no "$@" >"$folder/said" 2>&1
}

mkdir "$folder/bin" "$folder/man1" "$folder/man5"
printf '#!/bin/sh\n' >"$folder/bin/lifeboat"
chmod +x "$folder/bin/lifeboat"
for name in backup prove; do
	sed "s,@PREFIX@,$folder,g" "$top/systemd/lifeboat-$name.service.in" >"$folder/lifeboat-$name.service"
	cp "$top/systemd/lifeboat-$name.timer" "$folder"
done

for name in backup prove; do
	SYSTEMD_UNIT_PATH="$folder:" verify "$folder/lifeboat-$name.service" "$folder/lifeboat-$name.timer"
	result $? "$name: systemd-analyze verify"
	! grep -q "lifeboat-" "$folder/said"
	result $? "$name: says nothing of them"
	sed 's/^RestrictRealtime=yes/RestrictRealTime=yes/' "$folder/lifeboat-$name.service" >"$folder/bin/lifeboat-$name.service"
	SYSTEMD_UNIT_PATH="$folder:" verify "$folder/bin/lifeboat-$name.service"
	grep -q "RestrictRealTime" "$folder/said"
	result $? "$name: a misspelt key would show"
	make -s -C "$top" -n install PREFIX=/p DESTDIR=/d >"$folder/said" 2>/dev/null
	grep "lifeboat-$name.timer .*lib/systemd/system" "$folder/said" | grep -q "lifeboat-$name.service .*/d/p/lib/systemd/system"
	result $? "$name: make install installs them"
done

sed -n 's/^ExecStart=@PREFIX@\/bin\/lifeboat //p' "$top"/systemd/*.service.in >"$folder/commands"
[ "$(sort "$folder/commands" | paste -sd ' ')" = "backup check prove" ]
result $? "a backup, a proof, a check"
while read -r command; do
	"$lifeboat" "$command" --help >/dev/null 2>"$folder/said" || break
done <"$folder/commands"
[ ! -s "$folder/said" ]
result $? "each of which there is"
exit $failed
