# shellcheck shell=dash
# For the rescue system's programs in /sbin: the way to the commands (busybox's init has set another,
# without busybox's own commands, which come last: real tools win), and all functions.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/busybox
# There is no udev that would make the nodes of LVM's volumes.
export DM_DISABLE_UDEV=1
for part in say settings system host modules devices net wifi ssh share steps unattended menu leave; do
	# shellcheck source=/dev/null
	. "$ROOT/lib/$part.sh"
done
