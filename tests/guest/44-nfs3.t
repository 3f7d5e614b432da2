#!/bin/bash
# A server that has only NFS 3, with its rpcbind, as lifeboat itself mounts it: saved, verified, restored, listed.
# needs: root uml loop mke2fs ganesha.nfsd rpcbind slirp-fullbolt unshare
# limit: 200
# A network of its own: rpcbind has one port everywhere.
[ -n "${OWN_NETWORK:-}" ] || OWN_NETWORK=1 exec unshare --net --mount --propagation private "$0"
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"
# shellcheck source=tests/guest/lib/servers.sh
. "$TOP/tests/guest/lib/servers.sh"

rpcbind=''
finish() {
	servers_stop "$PWD/nfs"
	[ -z "$rpcbind" ] || kill "$rpcbind"
}
trap finish EXIT
ip link set lo up || bail "no network"
# ganesha looks up 127.0.0.1 as if it were a name, which takes an address that is not the loopback's
ip link add one type veth peer name other && ip addr add 192.0.2.1/24 dev one && ip link set one up
mount -t tmpfs tmpfs /run || bail "no /run"
mkdir /run/rpcbind
rpcbind -f >rpcbind.log 2>&1 &
rpcbind=$!
servers_wait 111 $rpcbind rpcbind.log || bail "no rpcbind"

mkdir share results tree
for i in 1 2 3; do head -c 2M /dev/urandom >tree/file$i; done
truncate -s 40M from.img
mke2fs -q -t ext4 -d tree from.img || bail "no ext4"
NFS_PROTOCOLS=3 servers_nfs_start "$PWD/nfs" 2049 "/backup=$PWD/share" || bail "no NFS server"

cat >guest.sh <<-'EOF'
	lifeboat=$BUILD/lifeboat tool=$BUILD/tests/tools/set-tool url=nfs://10.0.2.2/backup
	try() {
		local name=$1
		shift
		"$@" >results/$name.out 2>results/$name.err
		echo $? >results/$name.status
	}
	mkdir /run/from /run/to /run/seen
	mount -o ro /dev/ubda /run/from
	try save $tool save $url/of/box - box root archive /run/from 1M
	try sets $lifeboat sets $url/of/box
	try verify $lifeboat verify --deep $url/of/box
	try restore $tool restore $url/of/box - box root archive /run/to
	(cd /run/to && sha256sum file*) >results/sums
	try mount $lifeboat mount $url /run/seen
	grep ' /run/seen ' /proc/mounts >results/mounts
	try unmount $lifeboat mount --unmount /run/seen
EOF
uml_run "$PWD/guest.sh" ubda=from.img || bail "the guest did not come to its end: $(tail -n 20 uml.log)"

for what in save sets verify restore mount unmount; do
	is "$what" "$(cat results/$what.status)" 0 || diag "$(cat results/$what.err)"
done
like "it is NFS 3" "$(cat results/mounts)" 'vers=3,'
like "the set is listed" "$(cat results/sets.out)" '^box .* level 0'
is "what was restored is equal" "$(cat results/sums)" "$(cd tree && sha256sum file*)"
finish_plan
