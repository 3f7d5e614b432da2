#!/bin/bash
# Firmware comes along with the modules that name it, as their kernel loads it: plain, in xz, in zstd, by a pattern, out of
# the update folder; nothing else does; what is missing is one warning, and all of it with -v.
# needs: root kernel bsdtar modinfo unshare xz zstd
# limit: 120
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_kernel
export LIFEBOAT_DATADIR=$TOP SOURCE_DATE_EPOCH=1700000000
mkdir root tree firmware
dpkg-deb --fsys-tarfile "$KERNEL_DEB" | tar -x -C root ./boot ./lib/modules || bail "no kernel"
printf '[modules]\nrequired = tg3 e100 brcmfmac\n' >cards.conf
mkdir -p /lib/firmware

# build OPTION…: with our folder in the place of the machine's firmware.
# shellcheck disable=SC2016 # expanded by the shell in there
build() {
	unshare -m sh -c 'mount --bind "$0" /lib/firmware && exec "$@"' "$PWD/firmware" \
		"$LIFEBOAT" build -k "$KERNEL_DEB" -p minimal -p "$PWD/cards.conf" -o image "$@"
}
# named MODULE: the firmware that it names, sorted.
named() {
	modinfo -F firmware "$(find root/lib/modules -name "$1.ko*")" | LC_ALL=C sort
}
mapfile -t tg3 < <(named tg3)
mapfile -t e100 < <(named e100)
pattern=$(named brcmfmac | grep -F '*' | grep '\.bin$' | head -n 1)
like "the modules name what this test needs" "${#tg3[@]} ${#e100[@]} $pattern" '^[4-9] [3-9] brcm/.*\*.*\.bin$' || bail "other modules"
is "their kernel loads xz, and no zstd" "$(grep -hE '^CONFIG_FW_LOADER_COMPRESS_(XZ|ZSTD)=y' root/boot/config-*)" \
	CONFIG_FW_LOADER_COMPRESS_XZ=y

# put PATH…: something to tell apart.
put() {
	local path
	for path; do
		mkdir -p "firmware/$(dirname "$path")"
		head -c 5000 /dev/urandom >"firmware/$path"
	done
}
one=${pattern//\*/a} two=${pattern//\*/b.c}
put "${tg3[0]}" "${tg3[1]}" "updates/${tg3[1]}" "${e100[0]}" "${e100[1]}" "$one" "$two" nobody.bin "${tg3[0]}.old" brcm/nobody.bin
cp -R firmware as-it-was
xz --check=crc32 "firmware/${e100[0]}"
zstd -q --rm "firmware/${e100[1]}" "firmware/$two"

build 2>said >/dev/null
result $? "the image is built"
bsdtar -x -f image/initrd.img -C tree || bail "bsdtar cannot read the initrd"
in_image=tree/lib/firmware
ok "plain" cmp "as-it-was/${tg3[0]}" "$in_image/${tg3[0]}"
ok "an update goes before the old one" cmp "as-it-was/updates/${tg3[1]}" "$in_image/updates/${tg3[1]}"
ok "xz stays, as the kernel loads it" cmp "firmware/${e100[0]}.xz" "$in_image/${e100[0]}.xz"
ok "zstd goes in unpacked" cmp "as-it-was/${e100[1]}" "$in_image/${e100[1]}"
ok "what a pattern stands for" cmp "as-it-was/$one" "$in_image/$one"
ok "… packed as well" cmp "as-it-was/$two" "$in_image/$two"
is "and that is all" "$(cd $in_image && find . -type f | LC_ALL=C sort)" "$(printf './%s\n' "${tg3[0]}" "updates/${tg3[1]}" \
	"${e100[0]}.xz" "${e100[1]}" "$one" "$two" | LC_ALL=C sort)"

# Every name of every packed module and of the kernel's own drivers, but those that something is there for.
missing() {
	sed -n 's|.*/\([^/]*\)\.ko\t.*|\1|p' image/tree.list | while read -r module; do named "$module"; done
	tr '\0' '\n' <"$(echo root/lib/modules/*/modules.builtin.modinfo)" | sed -n 's/^[^.]*\.firmware=//p'
}
missing | LC_ALL=C sort -u | while read -r name; do
	compgen -G "firmware/$name" >/dev/null || compgen -G "firmware/$name.*" >/dev/null || echo "$name"
done >absent
is "what is missing is one warning" "$(cat said)" \
	"lifeboat: warning: firmware that packed modules name is not in /lib/firmware: $(wc -l <absent) files; -v lists them"
build -v 2>said >/dev/null
is "-v lists it" "$(sed -n 's/^lifeboat: firmware \(.*\), which module .* names, is not in .*/\1/p' said | LC_ALL=C sort -u)" "$(cat absent)"
finish_plan
