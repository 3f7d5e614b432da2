#!/bin/bash
# An image made by an ordinary user holds everything that its programs and modules need, as the real
# loader and the real modprobe see it; it is the same whoever makes it, and boots with the RAM it asks for.
# needs: root qemu kernel setpriv bsdtar modprobe strace
# limit: 600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"

need_kernel

# An ordinary user may not be able to read the checkout: it gets a copy.
mkdir user out-root tree && chmod go+x . .. && chmod 777 user
cp -R "$TOP/overlay" "$TOP/profiles" "$LIFEBOAT" "$KERNEL_DEB" user/
chmod -R go+rX user
deb=$PWD/user/${KERNEL_DEB##*/}
export SOURCE_DATE_EPOCH=1700000000 LIFEBOAT_DATADIR=$PWD/user

# as_nobody COMMAND…: as an ordinary user, with a home of its own.
as_nobody() {
	setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$PWD/user" TMPDIR="$PWD/user" \
		XDG_CACHE_HOME="$PWD/user/cache" "$@"
}

ok "an ordinary user builds an image" as_nobody user/lifeboat build -k "$deb" -o "$PWD/user/out" || bail "no image"
is "nothing is left of the making" "$(echo user/out/.[!.]* user/out/* user/lifeboat.* user/cache/lifeboat/kernels/partial*)" \
	"user/out/.[!.]* user/out/initrd.img user/out/tree.list user/out/vmlinuz user/lifeboat.* user/cache/lifeboat/kernels/partial*"
(umask 077 && user/lifeboat build -q -k "$deb" -o out-root)
ok "root makes the same bytes elsewhere" cmp out-root/initrd.img user/out/initrd.img

# What is started while it builds: nothing, once the package is unpacked.
strace -f -qq -e trace=execve -o execs user/lifeboat build -q -k "$deb" -o out-root
is "it runs no other program" "$(sed -n 's/.*execve("\([^"]*\)".* = 0$/\1/p' execs | sed 's|.*/||' | sort -u | tr '\n' ' ')" \
	"lifeboat "

bsdtar -x -f user/out/initrd.img -C tree || bail "bsdtar cannot read the initrd"
ok "it is no larger than 40 MB" [ "$(stat -c %s user/out/initrd.img)" -lt 40000000 ]
(cd tree && find . -mindepth 1 | sed "s/^\.//" | LC_ALL=C sort) >found
cut -f 1 user/out/tree.list | LC_ALL=C sort >listed
ok "the list names every file in it" diff listed found
is "every file has a reason" "$(awk -F '\t' '$5 == ""' user/out/tree.list)" ""

# every_elf: the loader that an ELF file names finds all of its libraries inside the tree.
every_elf() {
	local file loader count=0
	while IFS= read -r file; do
		loader=$(readelf -l "$file" 2>/dev/null | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
		[ -n "$loader" ] || continue
		count=$((count + 1))
		chroot tree "$loader" --list "/${file#tree/}" >libraries 2>&1 || {
			echo "$file: $(cat libraries)"
			return 1
		}
	done < <(find tree -type f -exec sh -c 'for f; do [ "$(head -c 4 "$f" | tail -c 3)" = ELF ] && echo "$f"; done' sh {} +)
	echo "$count programs"
	[ "$count" -gt 30 ]
}
ok "the loader finds every library of every program" every_elf

# every_needed: the same for what has no loader of its own: each DT_NEEDED is a file of the tree.
every_needed() {
	local file name count=0
	while IFS= read -r file; do
		for name in $(readelf -d "$file" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
			count=$((count + 1))
			[ -n "$(find tree -name "$name" -print -quit)" ] || {
				echo "$file needs $name"
				return 1
			}
		done
	done < <(find tree/usr/lib -name '*.so*' -type f)
	[ "$count" -gt 30 ]
}
ok "every library's libraries are there" every_needed

version=$(ls tree/lib/modules)
# every_module: modprobe finds each packed module with all that it depends on.
every_module() {
	local file count=0
	while IFS= read -r file; do
		count=$((count + 1))
		file=${file##*/}
		modprobe -d "$PWD/tree" -S "$version" --show-depends "${file%%.ko*}" >depends || return 1
		while read -r _ file; do
			[ -f "${file%% *}" ] || {
				echo "$file is not there"
				return 1
			}
		done < <(grep ^insmod depends)
	done < <(find tree/lib/modules/ -name '*.ko*')
	echo "$count modules"
	[ "$count" -gt 100 ]
}
ok "modprobe finds every module with what it depends on" every_module
ok "what cifs asks for at run time is there" sh -c "for m in ccm ctr cmac gcm nls_utf8; do
	modprobe -d '$PWD/tree' -S '$version' --show-depends \$m || exit 1; done"

refuses "a tool that is nowhere" 1 'wanted\.conf:2: tool .no-such-tool. is not on this machine' \
	sh -c 'printf "[tools]\nrequired = no-such-tool\n" >wanted.conf && exec user/lifeboat build -k "'"$deb"'" -p ./wanted.conf -o none'
refuses "a kernel that is nowhere" 1 'find the kernel 1\.2\.3: .*scripts/kernel-package' \
	user/lifeboat build -k 1.2.3 -o none
head -c 1000000 "$deb" >cut.deb
refuses "a truncated kernel package" 1 'cut\.deb' env XDG_CACHE_HOME="$PWD/cut" user/lifeboat build -k "$PWD/cut.deb" -o none
is "… leaves nothing behind" "$(echo none* cut/lifeboat/kernels/*)" "none* cut/lifeboat/kernels/lock"

user/lifeboat build --json -k "$deb" -o out-root >json
is "it says which promises it keeps" "$(sed -n '/"promises"/,/]/s/^ *"\(can [^"]*\)".*/\1/p' json | paste -s -d ,)" \
	"can run the rescue system,can make ext4,can make swap,can restore backups,can use a USB keyboard,can mount smb3,can mount nfs4,can mount nfs3,can make vfat,can set boot entries,can enter with systemd-nspawn"
ram=$(sed -n 's/.*"ram_needed": \([0-9]*\).*/\1/p' json)
console_open qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m "$((ram / 1048576))M" -display none -monitor none \
	-serial stdio -no-reboot -nic none -kernel out-root/vmlinuz -initrd out-root/initrd.img -append 'console=ttyS0 quiet'
ok "it boots with the RAM that it asks for ($((ram / 1048576)) MiB)" console_wait 'LIFEBOAT READY' 180
kill "$CONSOLE_PID"
console_close 20
finish_plan
