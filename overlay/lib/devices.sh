# shellcheck shell=dash
# Device nodes that only udev would make.

# devices_static: nodes of modules that are loaded when one of these is opened, as the packed modules' index
# lists them: "btrfs btrfs-control c10:234". Returns 1 when one cannot be made.
devices_static() {
	local index name type number status
	index=$ROOT/lib/modules/$(uname -r)/modules.devname
	status=0
	[ -r "$index" ] || return 0
	while read -r _ name number; do
		case $name=$number in
		*[!0-9A-Za-z_/=:-]* | *..* | /* | =*) continue ;;
		*=[bc][0-9]*:[0-9]*) ;;
		*) continue ;;
		esac
		[ ! -e "$ROOT/dev/$name" ] || continue
		type=${number%%[0-9]*} number=${number#[bc]}
		[ "$name" = "${name%/*}" ] || [ -d "$ROOT/dev/${name%/*}" ] || mkdir -p "$ROOT/dev/${name%/*}"
		$MOCK mknod -m 600 "$ROOT/dev/$name" "$type" "${number%:*}" "${number#*:}" || status=1
	done <"$index"
	return $status
}
