#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Nodes of modules that are loaded when they are opened.
# shellcheck disable=SC2317 # fakes are called by name
. "$(dirname "$0")/lib/tap.sh"
load say devices
index=$ROOT/lib/modules/$(uname -r)/modules.devname

yes 'a kernel without modules has none' devices_static
mkdir -p "${index%/*}"
cat >"$index" <<'END'
# Device nodes to trigger on-demand module loading.
btrfs btrfs-control c10:234
dm_mod mapper/control c10:236
loop there c10:237
bad ../../etc/passwd c1:1
bad /etc/passwd c1:1
bad name x10:1
bad name c10:1;id
short
disk block b7:0
END
: >"$ROOT/dev/there"
yes 'those of the index' devices_static
is 'are made, unless they are there or nonsense' "$(commands)" 'mknod -m 600 /dev/btrfs-control c 10 234
mknod -m 600 /dev/mapper/control c 10 236
mknod -m 600 /dev/block b 7 0'
yes 'with their folders' test -d "$ROOT/dev/mapper"
fake_mknod() { return 1; }
no 'one that cannot be made' devices_static
plan
