#!/bin/bash
# A raw block device written like a tape: saved, listed, verified and restored from, also by tar alone; what is in use or not
# blank is refused.
# needs: root loop dump restore mke2fs setfattr setfacl setcap perl zstd
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"

tool=$BUILD/tests/tools/set-tool
[ -x "$tool" ] || bail "no set-tool: run make check-guests"
loop=
finish() {
	[ ! -s dumped ] || kill "$(cat dumped)"
	umount from to used 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
}
trap finish EXIT

mkdir from to used out
for image in from to hand; do
	truncate -s 100M $image.img
	mke2fs -q -t ext4 -b 4096 $image.img || bail "no ext4"
done
mount -o loop,acl,user_xattr from.img from || bail "no mount"
tree_make "$PWD/from" 20M 200
rm from/special/socket # archives hold none
list=$(tree_list from)
truncate -s 64M tape.img
loop=$(losetup -f --show tape.img) || bail "no loop device"

refuses "a device that holds no backups is not read" 1 "holds no backups of Lifeboat" "$LIFEBOAT" sets "dev://$loop"
mke2fs -q -t ext4 -L precious "$loop" || bail "no ext4"
refuses "a file system is left alone" 1 "it holds ext4 'precious', which would be lost \(--overwrite" \
	"$tool" save "dev://$loop" - box root dump from 1M
mount "$loop" used || bail "no mount"
refuses "what is mounted, too" 1 "it is in use \(mounted" "$tool" save "dev://$loop" - box root dump from 1M
umount used
ok "and is as it was" fsck.ext4 -fn "$loop"
dd if=/dev/zero of="$loop" bs=1M status=none conv=fsync 2>/dev/null

ok "a blank one is written" "$tool" save "dev://$loop" - box root dump from 1M
ok "and again" "$tool" save "dev://$loop" - box root archive from 1M
sets=$("$LIFEBOAT" sets "dev://$loop")
is "both sets are listed" "$(wc -l <<<"$sets")" 2
ok "both are whole" "$LIFEBOAT" verify --all "dev://$loop"
first=$(awk 'NR == 1 { print $2 }' <<<"$sets")
last=$(awk 'NR == 2 { print $2 }' <<<"$sets")

mount -o loop,acl,user_xattr to.img to || bail "no mount"
ok "the newest is restored" "$tool" restore "dev://$loop" - box root archive to
tree_same "every path is equal" "$(tree_list to)" "$list"
umount to

# By hand: tar and zstd, as LIFEBOAT.txt says.
is "tar shows the page that says how" "$(tar -xOf "$loop" LIFEBOAT.txt | head -n 1)" \
	"This device holds backups made by Lifeboat. It is one tar archive, from its first byte on:"
tar -xf "$loop" -C out || bail "tar fails"
by_hand() { (cd "out/box/$1" && sha256sum --quiet --strict -c SHA256SUMS); }
ok "tar takes the first set out" by_hand "$first"
ok "and the second" by_hand "$last"
mount -o loop,acl,user_xattr hand.img to || bail "no mount"
dump_by_hand() {
	tar -xOf "$loop" --wildcards "box/$first/root.dump.zst.*" | zstd -dq | (cd to && restore -r -b 1024 -f - 2>&1)
}
dump_by_hand >restore.log
is "a stream is restored out of tar" "$(cd to && find . -type f ! -name restoresymtable | sort | xargs -d '\n' -n 1 basename 2>/dev/null | sort | md5sum)" \
	"$(cd from && find . -type f | sort | xargs -d '\n' -n 1 basename 2>/dev/null | sort | md5sum)"

# Killed in the middle, what was there is there: all of dump's stream is on its way, and its end is not.
mkdir bin
cat >bin/dump <<END
#!/bin/sh
$(command -v dump) "\$@"
echo \$\$ >dumped
exec sleep 60
END
chmod +x bin/dump
PATH=$PWD/bin:$PATH "$tool" save "dev://$loop" - box root dump from 1M >killed.out 2>&1 &
busy=$!
until [ -s dumped ] || ! kill -0 $busy 2>/dev/null; do sleep 0.02; done
kill -KILL $busy
wait $busy 2>/dev/null
kill "$(cat dumped)"
rm dumped
is "it was killed before its end" "$(cat killed.out)" ""
ok "after a kill the sets before it are whole" "$LIFEBOAT" verify --all "dev://$loop"
ok "and the next one is written" "$tool" save "dev://$loop" - box root dump from 1M
ok "whole" "$LIFEBOAT" verify "dev://$loop"
finish_plan
