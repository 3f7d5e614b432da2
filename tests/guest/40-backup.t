#!/bin/bash
# Backups to real SMB and NFS servers, from a kernel that has their clients: saved, listed, verified, restored
# and equal; and each way in which a server can fail is one clear line.
# needs: root uml loop dump mke2fs setfattr setfacl setcap perl smbd ganesha.nfsd slirp-fullbolt
# limit: 300
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"
# shellcheck source=tests/guest/lib/servers.sh
. "$TOP/tests/guest/lib/servers.sh"

[ -x "$BUILD/tests/tools/set-tool" ] || bail "no set-tool: run make check-guests"

finish() {
	umount disk full 2>/dev/null
	servers_stop "$PWD/smb"
	servers_stop "$PWD/sealed"
	servers_stop "$PWD/signed"
	servers_stop "$PWD/nfs"
}
trap finish EXIT

# with_disk FILE COMMAND…: the command, while the image is mounted at ./disk.
with_disk() {
	local status
	mkdir -p disk
	mount -o loop,acl,user_xattr "$1" disk || bail "no mount"
	"${@:2}"
	status=$?
	umount disk
	return $status
}

for image in from smb-to nfs-to; do
	truncate -s 400M $image.img
	mke2fs -q -t ext4 -b 4096 $image.img || bail "no ext4"
done
with_disk from.img tree_make "$PWD/disk" 100M 400 # restore(8) makes a system call for each 1 KiB of a hole: dear in UML
list=$(with_disk from.img tree_list disk)
[ "$(wc -l <<<"$list")" -gt 1200 ] || bail "the tree was not made"

mkdir share readonly
mkdir full
truncate -s 5M full.img
mke2fs -q -t ext4 full.img || bail "no ext4"
mount -o loop full.img full || bail "no mount"
smb=$(servers_free_port)
sealed=$(servers_free_port)
signed=$(servers_free_port)
nfs=$(servers_free_port)
dead=$(servers_free_port)
servers_smb_start "$PWD/smb" "$smb" 'se,cret #1' "backup=$PWD/share" "look:ro=$PWD/readonly" "full=$PWD/full" || bail "no smbd"
SMB_MORE='server smb encrypt = required' servers_smb_start "$PWD/sealed" "$sealed" 'se,cret #1' "backup=$PWD/share" || bail "no smbd"
SMB_MORE=$'server signing = mandatory\nserver smb encrypt = off' \
	servers_smb_start "$PWD/signed" "$signed" 'se,cret #1' "backup=$PWD/share" || bail "no smbd"
servers_nfs_start "$PWD/nfs" "$nfs" "/backup=$PWD/share" "/look:ro=$PWD/readonly" "/full=$PWD/full" || bail "no NFS server"

(umask 077 && printf 'username=root\npassword=se,cret #1\n' >right && printf 'username=root\npassword=wrong\n' >wrong)
cp right open-to-others
chmod 644 open-to-others
for secret in right wrong open-to-others; do
	printf '[backup]\ncredentials = %s\n' "$PWD/$secret" >$secret.conf
done

for security in sign seal; do
	printf '[backup]\ncredentials = %s\nsmb-security = %s\n' "$PWD/right" $security >$security.conf
done

# check_sums SET…: of the first one, by hand.
check_sums() {
	(cd "$1" && sha256sum --quiet --strict -c SHA256SUMS)
}

# Runs in the guest. Each `try NAME COMMAND…` leaves NAME.out, NAME.err, NAME.status and NAME.seconds.
cat >guest.sh <<-EOF
	lifeboat=\$BUILD/lifeboat tool=\$BUILD/tests/tools/set-tool
	mkdir results /run/from /run/to
	try() {
		local name=\$1 begun=\$SECONDS
		shift
		"\$@" >results/\$name.out 2>results/\$name.err
		echo \$? >results/\$name.status
		echo \$((SECONDS - begun)) >results/\$name.seconds
	}
	mount -o ro /dev/ubda /run/from
	for way in 'smb 10.0.2.2:$smb/backup /dev/ubdb' 'nfs 10.0.2.2:$nfs/backup /dev/ubdc'; do
		set -- \$way
		url=\$1://\$2/of/\$1
		try \$1-save \$tool save \$url \$PWD/right box root dump /run/from 3M
		try \$1-sets \$lifeboat sets -c right.conf \$url
		try \$1-verify \$lifeboat verify -c right.conf \$url
		mount \$3 /run/to
		try \$1-restore \$tool restore \$url \$PWD/right box root dump /run/to
		umount /run/to
		chunk=\$(ls share/of/\$1/box/*/root.dump.zst.001)
		cp \$chunk kept
		printf X | dd of=\$chunk bs=1 seek=1000 conv=notrunc status=none
		try \$1-damaged \$lifeboat verify -c right.conf \$url
		cp kept \$chunk
	done
	cat /proc/mounts >results/mounts

	smb=smb://10.0.2.2:$smb nfs=nfs://10.0.2.2:$nfs
	try smb-no-share \$lifeboat sets -c right.conf \$smb/nothing
	try smb-no-folder \$lifeboat sets -c right.conf \$smb/backup/nothing
	try smb-wrong-password \$lifeboat sets -c wrong.conf \$smb/backup
	try smb-open-to-others \$lifeboat sets -c open-to-others.conf \$smb/backup
	try smb-dead \$lifeboat sets -c right.conf smb://10.0.2.2:$dead/backup
	try smb-no-name \$lifeboat sets -c right.conf smb://no-such-host.invalid/backup
	try smb-read-only \$tool save \$smb/look right box root dump /run/from 3M
	try smb-no-password setsid \$lifeboat sets smb://root@10.0.2.2:$smb/backup
	try nfs-no-share \$lifeboat sets \$nfs/nothing
	try nfs-no-folder \$lifeboat sets \$nfs/backup/nothing
	try nfs-dead \$lifeboat sets nfs://10.0.2.2:$dead/backup
	try nfs-read-only \$tool save \$nfs/look - box root dump /run/from 3M
	try smb-full \$tool save \$smb/full/smb right box root archive /run/from 1M
	try nfs-full \$tool save \$nfs/full/nfs - box root archive /run/from 1M
	ls full/*/box >results/full
	# Nothing at all answers there: packets to it are dropped.
	ip link add dummy0 type dummy
	ip addr add 198.51.100.2/24 dev dummy0
	ip link set dummy0 up
	try smb-unreachable \$lifeboat sets -c right.conf smb://198.51.100.1/backup &
	try nfs-unreachable \$lifeboat sets nfs://198.51.100.1/backup
	wait

	# Two at once, and one that is killed in the middle.
	for way in smb nfs; do
		[ \$way = smb ] && url=\$smb/backup/of/smb || url=\$nfs/backup/of/nfs
		\$tool save \$url right box root dump /run/from 3M >/dev/null 2>&1 &
		busy=\$!
		for i in \$(seq 100); do
			ls -d share/of/\$way/box/*.partial >/dev/null 2>&1 && break
			sleep 0.05
		done
		kill -STOP \$busy
		try \$way-busy \$tool save \$url right box root dump /run/from 3M
		kill -KILL \$busy
		wait \$busy
		grep -c "/run/lifeboat" /proc/mounts >results/\$way-left-mounts
		try \$way-leftover \$lifeboat sets -c right.conf \$url
		try \$way-again \$tool save \$url right box root dump /run/from 3M
		try \$way-clean \$lifeboat sets -c right.conf \$url
	done

	# Signed and encrypted: as the server wants it, and as we do; one that does not encrypt is refused then.
	try sealed-save \$tool save smb://10.0.2.2:$sealed/backup/of/sealed right box root dump /run/from 3M
	try sealed-verify \$lifeboat verify -c right.conf smb://10.0.2.2:$sealed/backup/of/sealed
	try signed-save \$tool save smb://10.0.2.2:$signed/backup/of/signed right box root dump /run/from 3M
	try signed-verify \$lifeboat verify -c right.conf smb://10.0.2.2:$signed/backup/of/signed
	try seal-verify \$lifeboat verify -c seal.conf smb://10.0.2.2:$sealed/backup/of/sealed
	try sign-verify \$lifeboat verify -c sign.conf smb://10.0.2.2:$signed/backup/of/signed
	try seal-refused \$lifeboat sets -c seal.conf smb://10.0.2.2:$signed/backup/of/signed
	for security in sign seal; do
		mkdir /run/\$security
		\$lifeboat mount -c \$security.conf smb://10.0.2.2:$smb/backup/of/smb /run/\$security
		grep " /run/\$security " /proc/mounts >results/\$security-mount
		\$lifeboat mount --unmount /run/\$security
	done

	# By hand at the rescue console.
	mkdir /run/console
	try mount \$lifeboat mount -c right.conf \$smb/backup/of/smb /run/console
	ls /run/console >results/console
	try mount-write touch /run/console/x
	try unmount \$lifeboat mount --unmount /run/console
	ls /run/console >>results/console
EOF
uml_run "$PWD/guest.sh" ubda=from.img ubdb=smb-to.img ubdc=nfs-to.img ||
	bail "the guest did not come to its end: $(tail -n 20 uml.log)"

# said NAME STATUS PATTERN: what the command `try NAME` ran exited with the status, and said one line that matches
# (on stdout when it succeeded).
said() {
	local stream=err text
	[ "$2" != 0 ] || stream=out
	text=$(cat "results/$1.$stream")
	if [ "$(cat "results/$1.status")" = "$2" ] && grep -Eq -- "$3" <<<"$text" && [ "$(wc -l <<<"$text")" -eq 1 ]; then
		result 0 "$1: $(tail -c 100 <<<"$text")"
	else
		result 1 "$1" || diag "status $(cat "results/$1.status"), expected $2 and: $3
$(cat "results/$1".{out,err})"
	fi
}

for way in smb nfs; do
	said $way-save 0 '^box/[0-9]{8}T[0-9]{6}Z-0$'
	said $way-sets 0 '^box  [0-9T]*Z-0 .* MiB  level 0$'
	said $way-verify 0 'every byte is what was written'
	said $way-restore 0 '^$'
	tree_same "$way: every path is equal" "$(with_disk $way-to.img tree_list disk)" "$list"
	said $way-damaged 1 'root\.dump\.zst\.001: damaged: its SHA-256 is'
done
is "no mount is seen from outside" "$(grep -c 10.0.2.2 results/mounts)" 0
ok "the sets are the same files for sha256sum" check_sums share/of/nfs/box/*-0

said smb-no-share 1 "^lifeboat: open smb://10.0.2.2:$smb/nothing: the server has no such share"
said smb-no-folder 1 'the server has no such share or folder'
said smb-wrong-password 1 'wrong user or password'
said smb-open-to-others 1 'open-to-others: others can read it \(chmod 600'
said smb-dead 1 'nothing answers there as an SMB server'
said smb-no-name 1 'the host.s name has no address'
said smb-read-only 1 'write to smb://.*/look: (Permission denied|Read-only file system)'
said smb-no-password 1 'no password: name a credentials file'
said nfs-no-share 1 "^lifeboat: open nfs://10.0.2.2:$nfs/nothing: the server has no such export"
said nfs-no-folder 1 'the server has no such export or folder'
said nfs-dead 1 'nothing answers there as an NFS server'
said nfs-read-only 1 'write to nfs://.*/look: (Permission denied|Read-only file system)'
for way in smb nfs; do said $way-full 1 'write .*\.partial/.*: No space left on device'; done
is "nothing is left of what did not fit" "$(grep -c Z-0 results/full)" 0
said smb-unreachable 1 'open smb://198.51.100.1/backup: .*does not answer'
said nfs-unreachable 1 'open nfs://198.51.100.1/backup: .*does not answer'
slow=$(awk '$1 > 40 { print FILENAME }' results/*-*.seconds)
is "nobody waited longer than the time limit" "$slow" ""

for way in smb nfs; do
	said $way-busy 1 'another backup is being written there'
	is "$way: a killed backup leaves no mount" "$(cat results/$way-left-mounts)" 0
	like "$way: its remains are shown" "$(cat results/$way-leftover.out)" 'partial .* not complete'
	said $way-again 0 '^box/'
	is "$way: the next one removed them" "$(grep -c partial results/$way-clean.out)" 0
done

for way in sealed signed; do
	said $way-save 0 '^box/'
	said $way-verify 0 'every byte is what was written'
done
said seal-verify 0 'every byte is what was written'
said sign-verify 0 'every byte is what was written'
said seal-refused 1 'open smb://.*signed'
like "a share is sealed when that is wanted" "$(cat results/seal-mount)" ',seal,'
like "and signed" "$(cat results/sign-mount)" ',sec=ntlmsspi,'

said mount 0 '^$'
is "a target is mounted for the console, and unmounted" "$(cat results/console)" box
said mount-write 1 'Read-only file system'
finish_plan
