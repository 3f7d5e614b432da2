# shellcheck shell=dash
# The end: nothing that was written may stay in memory.

# leave_mounts: prints the mounted file systems that hold data, last mounted first, one a line:
# "network FOLDER" or "disk FOLDER", with blanks as \040, as the kernel writes them.
leave_mounts() {
	local device where type
	while read -r device where type _; do
		case $type in
		cifs | smb3 | nfs | nfs4) echo "network $where" ;;
		fuse*) echo "disk $where" ;;
		*)
			case $device in
			/dev/*) echo "disk $where" ;;
			esac
			;;
		esac
	done <"$ROOT/proc/mounts" | sed '1!G;h;$!d'
}

# leave_unmount: network file systems first, bounded, since their server may be gone; then the
# disks, which are made read-only where something still holds them. Returns 1 when a disk is still
# mounted for writing.
leave_unmount() {
	local left mounts kind where
	left=0
	$MOCK swapoff -a 2>/dev/null
	mounts=$(leave_mounts)
	while read -r kind where; do
		[ "$kind" = network ] || continue
		where=$(printf '%b' "$where")
		$MOCK timeout 20 umount "$where" || $MOCK timeout 5 umount -f -l "$where"
	done <<-END
		$mounts
	END
	$MOCK sync
	while read -r kind where; do
		[ "$kind" = disk ] || continue
		where=$(printf '%b' "$where")
		$MOCK umount "$where" 2>/dev/null || $MOCK mount -o remount,ro "$where" || left=1
	done <<-END
		$mounts
	END
	$MOCK sync
	return $left
}

# leave_end_others: ends all processes but PID 1 and this one; PID 1 starts no new ones.
leave_end_others() {
	$MOCK kill -TSTP 1
	$MOCK kill -TERM -1
	$MOCK sleep 1
	$MOCK kill -KILL -1
}

# leave reboot|poweroff: for good. leave unmount: only that, for PID 1, which then does the rest.
leave() {
	trap '' HUP TERM INT QUIT TSTP
	case $1 in
	unmount) leave_unmount ;;
	reboot | poweroff)
		say "Writing everything to the disks, then $1."
		leave_end_others
		leave_unmount || say "a disk is still in use; everything is written to it"
		$MOCK busybox "$1" -f
		;;
	*)
		say "usage: rescue-leave reboot|poweroff|unmount"
		return 2
		;;
	esac
}
