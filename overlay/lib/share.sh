# shellcheck shell=dash
# The place where the backups are: does its host answer, and is it mounted at /mnt/backup.

# share_host URL: prints the host of smb://[user@]host[:port]/… or nfs://…; nothing for others.
share_host() {
	local host
	case $1 in
	smb://* | nfs://*) host=${1#*://} ;;
	*) return 0 ;;
	esac
	host=${host%%/*}
	host=${host##*@}
	case $host in
	\[*) host=${host#?} host=${host%%]*} ;;
	*) host=${host%%:*} ;;
	esac
	echo "$host"
}

# share_ping URL: says whether its host answers. Not an error: many do not answer a ping.
share_ping() {
	local host
	host=$(share_host "$1")
	[ -n "$host" ] || return 0
	if $MOCK ping -c 1 -w 5 "$host" >/dev/null 2>&1; then
		say "backup host: $host answers"
	else
		say "backup host: $host does not answer a ping"
	fi
}

# share_mounted: is it?
share_mounted() {
	local where
	while read -r _ where _; do
		[ "$where" != /mnt/backup ] || return 0
	done <"$ROOT/proc/mounts"
	return 1
}

# share_credentials FILE: makes recovery.conf name this file, or none when it is empty: then
# lifeboat asks for a password where it needs one.
share_credentials() {
	local conf=$ROOT/etc/lifeboat/recovery.conf

	[ -e "$conf" ] || return 0
	awk -v file="$1" '
		/^[ \t]*credentials[ \t]*=/ { if (file != "") print "credentials = " file; next }
		{ print }' "$conf" >"$conf.new" && mv "$conf.new" "$conf"
}

# share_mount URL [PREFIX]: mounts it at /mnt/backup, in two minutes at most. PREFIX runs the command:
# setsid takes its terminal away, so that it cannot wait for a password. Returns 1 when it cannot.
share_mount() {
	local reason
	case $1 in
	smb://* | nfs://*) ;;
	*) return 0 ;; # what is on a disk of this machine is opened by `lifeboat recover` itself
	esac
	! share_mounted || return 0
	mkdir -p "$ROOT/mnt/backup"
	if reason=$($MOCK timeout 120 ${2:+"$2"} lifeboat mount "$1" /mnt/backup 2>&1); then
		say "share: $1 is mounted on /mnt/backup"
	else
		log "$reason"
		fail "share: $(echo "${reason:-no answer}" | tail -n 1)"
	fi
}
