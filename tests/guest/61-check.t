#!/bin/bash
# `lifeboat check` sees what has changed since the last medium was made: files, the kernel, the configuration, the age
# of the last backup, and of the proof.
# needs: root kernel linux.uml
# limit: 120
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
need_kernel
plan 20

mkdir -p site/etc sets
echo one >site/etc/site.conf
# conf KERNEL LINE…
conf() {
	printf '%s\n' '[image]' 'profiles = minimal' "overlay = $SCRATCH/site" "kernel = $1" "${@:2}" >recovery.conf
}
check() {
	"$LIFEBOAT" check -q -c recovery.conf
}

conf "$KERNEL_DEB"
refuses "without a medium nothing can be said" 1 'no medium is recorded in' check
ok "a stick is made" "$LIFEBOAT" usb -c recovery.conf stick.img
ok "nothing has changed" check
grep -v ' ./vmlinuz$' state/stick.sha256 >sums
mkdir tree
(cd tree && "$LIFEBOAT" build -c ../recovery.conf -o ../image >/dev/null && zstd -dc <../image/initrd.img | cpio -idm --quiet)
is "the record is that of the image, but for its date" \
	"$(cd tree && sha256sum -c --quiet ../sums 2>/dev/null | sed 's/: .*//' | grep -v '^\./etc/lifeboat/rescue\.env$')" ""

echo two >site/etc/site.conf
echo new >site/etc/new.conf
refuses "a changed machine is exit status 1" 1 '' check
is "one line for each difference" "$(check)" "/etc/new.conf is not on the stick and would be now
/etc/site.conf has changed"
is "--json" "$("$LIFEBOAT" check -q --json -c recovery.conf | jq -c '[.same, .differences[1]]')" \
	'[false,"/etc/site.conf has changed"]'
rm site/etc/new.conf
ok "another medium" "$LIFEBOAT" iso -c recovery.conf cd.iso
ok "settles that" check

conf uml
like "another kernel is one line" "$(check)" '^the kernel was .*, is .*$'
is "without its modules one by one" "$(check | grep -c lib/modules)" 0

conf "$KERNEL_DEB" '[backup]' "target = file://$SCRATCH/sets" 'max-age = 26'
like "no backup at all" "$(check)" '^file:///.* holds no complete backup of'
set=$(date -u -d '2 days ago' +%Y%m%dT%H%M%SZ)-0
mkdir -p "sets/$(uname -n)/$set"
touch "sets/$(uname -n)/$set/SHA256SUMS"
like "a backup that is too old" "$(check)" '^the last backup is 48 hours old, more than max-age = 26$'
mv "sets/$(uname -n)/$set" "sets/$(uname -n)/$(date -u +%Y%m%dT%H%M%SZ)-0"
is "and one that is not" "$(check | grep -c backup)" 0

conf "$KERNEL_DEB" '[backup]' "target = file://$SCRATCH/sets" 'prove-every = 24'
# proof KIND WHEN FILTER: what a run of `lifeboat prove` of this machine's newest backup and medium left, but for the FILTER of jq
proof() {
	local folder
	folder=state/proofs/$(date -u -d "$2" +%Y%m%dT%H%M%SZ)
	mkdir -p "$folder" made
	"$BUILD/tests/tools/proof-page" "$1" made
	jq --arg set "$(cd sets && echo "$(uname -n)"/*)" --arg sum "$(sha256sum cd.iso | cut -d ' ' -f 1)" --argjson when "$(date -d "$2" +%s)" \
		".set.name = \$set | .created = \$when | .medium.path = \"cd.iso\" | .medium.sha256 = \$sum | $3" made/proof.json >"$folder/proof.json"
}
"$LIFEBOAT" iso -q -c recovery.conf cd.iso >/dev/null || exit 1
like "no proof at all" "$(check)" '^nothing is proven: no proof of .* in .*/state/proofs$'
proof proven 'now' .
ok "the medium and the backup are proven" check
echo >>cd.iso
like "a medium that was changed afterwards" "$(check)" '^the last proof is of another medium than .*cd.iso$'
truncate -s -1 cd.iso
proof proven '2 minutes' '.medium.sha256 = "'"$(printf '%064d' 1)"'"'
refuses "a proof of another medium is exit status 1" 1 '' check
proof failed '3 minutes' .
like "one that failed" "$(check)" '^the last proof failed: 3 of 27514 files differ, first /usr/bin/ping: capabilities \('
rm -r state/proofs
proof proven '2 days ago' .
like "one that is too old" "$(check)" '^the last proof is 48 hours old, more than prove-every = 24$'
