# shellcheck shell=dash disable=SC2034 # the settings are for those who load them
# What this stick was told: by its image (/etc/lifeboat/rescue.env), then by the kernel command line.

# address_valid ADDRESS[/PREFIX] [net]: is it an IPv4 or IPv6 address; with `net`: and has a prefix.
address_valid() {
	local address prefix most
	address=${1%%/*} prefix=${1#"${1%%/*}"}
	case $address in
	'' | *[!0-9A-Fa-f.:]* | *:*.*) return 1 ;;
	*:*:*) most=128 ;;
	*:*) return 1 ;;
	*)
		most=32
		address_valid_v4 "$address" || return 1
		;;
	esac
	case ${2-}$prefix in
	'') return 0 ;;
	net/ | net/*[!0-9]* | net/????*) return 1 ;;
	net/*) [ "${prefix#/}" -le $most ] ;;
	*) return 1 ;;
	esac
}

# address_valid_v4 A.B.C.D: four numbers up to 255?
address_valid_v4() (
	[ "$1" = "${1%.}" ] || exit 1
	IFS=.
	set -f
	# shellcheck disable=SC2086 # split at the dots
	set -- $1
	[ $# = 4 ] || exit 1
	for part in "$1" "$2" "$3" "$4"; do
		case $part in
		'' | *[!0-9]* | ????*) exit 1 ;;
		esac
		[ "$part" -le 255 ] || exit 1
	done
)

# setting_ip VALUE: takes dhcp, none or ADDRESS/PREFIX[,GATEWAY[,DNS[,DNS…]]]. Returns 1 and changes
# nothing when it is none of these.
setting_ip() {
	local rest gateway servers address
	case $1 in
	dhcp | none)
		LB_ADDRESS=$1 LB_GATEWAY='' LB_DNS=''
		return 0
		;;
	esac
	address_valid "${1%%,*}" net || return 1
	rest=${1#"${1%%,*}"}
	rest=${rest#,}
	gateway=${rest%%,*}
	servers=${rest#"$gateway"}
	servers=$(echo "${servers#,}" | tr , ' ')
	for address in $gateway $servers; do
		address_valid "$address" || return 1
	done
	LB_ADDRESS=${1%%,*} LB_GATEWAY=$gateway LB_DNS=$servers
}

# setting_take NAME VALUE: sets what the boot option lifeboat.NAME=VALUE stands for. This is the list
# of what is allowed: returns 1 and changes nothing for anything else. No value is ever evaluated.
setting_take() {
	case $1=$2 in
	ip=?*) setting_ip "$2" ;;
	interface=*[!0-9A-Za-z.:_-]* | interface=) return 1 ;;
	interface=*) LB_INTERFACE=$2 ;;
	target=*[!]0-9A-Za-z._~:/@%+=,\$#\&[-]*) return 1 ;;
	target=smb://?* | target=nfs://?* | target=file:///* | target=dev:///* | target=disk://?*) LB_TARGET=$2 ;;
	recover=unattended) LB_UNATTENDED=yes ;;
	recover=ask) LB_UNATTENDED=no ;;
	then=poweroff | then=reboot | then=console) LB_THEN=$2 ;;
	keymap=*[!0-9A-Za-z._-]* | keymap= | keymap=.*) return 1 ;;
	keymap=*) LB_KEYMAP=$2 ;;
	hostname=*[!0-9A-Za-z.-]* | hostname= | hostname=[.-]*) return 1 ;;
	hostname=*) LB_HOSTNAME=$2 ;;
	debug=) LB_DEBUG=yes ;;
	*) return 1 ;;
	esac
}

# settings_load: sets the LB_ variables. $SETTINGS_TAKEN and $SETTINGS_REFUSED are the boot options
# that were followed and the ones that were not understood.
settings_load() {
	local word words
	LB_HOSTNAME=rescue LB_KERNEL='' LB_VERSION='' LB_CREATED='' LB_INTERFACE=auto LB_ADDRESS=dhcp
	LB_GATEWAY='' LB_DNS='' LB_TARGET='' LB_CREDENTIALS='' LB_KEYMAP=none LB_UNATTENDED=no
	LB_THEN=poweroff LB_DEBUG=no SETTINGS_TAKEN='' SETTINGS_REFUSED=''
	# shellcheck source=/dev/null # written by the image builder
	[ ! -r "$ROOT/etc/lifeboat/rescue.env" ] || . "$ROOT/etc/lifeboat/rescue.env"
	# Only the boot option starts a recovery: a medium that may do so has other entries as well, which
	# promise to change nothing.
	LB_UNATTENDED=no
	words=
	[ ! -r "$ROOT/proc/cmdline" ] || IFS= read -r words <"$ROOT/proc/cmdline"
	set -f
	for word in $words; do
		case $word in
		lifeboat.*=*) setting_take_word "$word" "${word#*=}" ;;
		lifeboat.*) setting_take_word "$word" '' ;;
		esac
	done
	set +f
}

# setting_take_word WORD VALUE: one word of the kernel command line.
setting_take_word() {
	local name
	name=${1%%=*}
	if setting_take "${name#lifeboat.}" "$2"; then
		SETTINGS_TAKEN="$SETTINGS_TAKEN $1"
	else
		SETTINGS_REFUSED="$SETTINGS_REFUSED $1"
	fi
}
