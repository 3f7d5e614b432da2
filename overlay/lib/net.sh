# shellcheck shell=dash
# The wired network: which interface, its address, the name servers.

# net_links: prints the wired interfaces.
net_links() {
	local link type
	for link in "$ROOT"/sys/class/net/*/; do
		link=${link%/}
		[ "${link##*/}" != lo ] || continue
		if [ -e "$link/wireless" ] || [ -e "$link/phy80211" ]; then
			continue
		fi
		type=
		[ ! -r "$link/type" ] || read -r type <"$link/type"
		case $type in
		1 | 256) echo "${link##*/}" ;; # ARPHRD_ETHER; ARPHRD_SLIP: User-Mode Linux by slirp
		esac
	done
}

# net_carrier LINK: has it a cable with something at the other end?
net_carrier() {
	local carrier
	carrier=0
	# Reading fails while the interface is down.
	{ read -r carrier <"$ROOT/sys/class/net/$1/carrier"; } 2>/dev/null
	[ "$carrier" = 1 ]
}

# net_by_mac MAC: prints the interfaces that have this hardware address.
net_by_mac() {
	local wanted link mac
	wanted=$(echo "$1" | tr 'A-F-' 'a-f:')
	for link in $(net_links); do
		read -r mac <"$ROOT/sys/class/net/$link/address"
		[ "$mac" != "$wanted" ] || echo "$link"
	done
}

# net_with_carrier: prints the interfaces that have a carrier; waits ten seconds for the first.
# When none gets one prints all: some drivers do not tell.
net_with_carrier() {
	local links ready link round
	links=$(net_links)
	round=0
	while [ $round -lt 50 ]; do
		ready=
		for link in $links; do
			! net_carrier "$link" || ready="$ready $link"
		done
		[ -z "$ready" ] || break
		$MOCK sleep 0.2
		round=$((round + 1))
	done
	for link in ${ready:-$links}; do
		echo "$link"
	done
}

# net_choose SPEC: prints the interfaces to try, best first. SPEC: auto, a name or a MAC address. One
# that does not exist (names and cards change) counts as auto; returns 1 then.
net_choose() {
	local found
	found=
	case $1 in
	auto | '') net_with_carrier && return 0 ;;
	*:*:*:*:*:* | *-*-*-*-*-*) found=$(net_by_mac "$1") ;;
	*) [ ! -e "$ROOT/sys/class/net/$1" ] || found=$1 ;;
	esac
	if [ -n "$found" ]; then
		echo "$found"
		return 0
	fi
	net_with_carrier
	return 1
}

# net_resolver DOMAIN SERVER…: writes resolv.conf; nothing when there is no server.
net_resolver() {
	local domain server
	domain=$1
	shift
	[ $# -gt 0 ] || return 0
	{
		[ -z "$domain" ] || echo "search $domain"
		for server; do
			echo "nameserver $server"
		done
	} >"$ROOT/etc/resolv.conf.new" && mv "$ROOT/etc/resolv.conf.new" "$ROOT/etc/resolv.conf"
}

# net_note LINK ADDRESS HOW: what the menu shows.
net_note() {
	echo "$1 $2 ($3)" >"$RUN/network"
}

# net_route LINK GATEWAY: the default route.
net_route() {
	case $2 in
	*:*) $MOCK ip -6 route add default via "$2" dev "$1" ;;
	*)
		$MOCK ip route add default via "$2" dev "$1" 2>/dev/null && return 0
		# A gateway outside the own network, as some hosters have it.
		$MOCK ip route add "$2" dev "$1" && $MOCK ip route add default via "$2" dev "$1"
		;;
	esac
}

# net_clear: ends DHCP clients and takes all addresses off the wired interfaces.
net_clear() {
	local file pid link
	for file in "$ROOT"/run/udhcpc.*.pid; do
		[ -r "$file" ] || continue
		read -r pid <"$file"
		$MOCK kill "$pid"
		rm -f "$file"
	done
	for link in $(net_links); do
		$MOCK ip addr flush dev "$link"
	done
	rm -f "$RUN/network"
}

# net_static LINK ADDRESS/PREFIX GATEWAY DNS…: returns 0 when the address is set and, with a gateway,
# that one answers.
net_static() {
	local link address gateway
	link=$1 address=$2 gateway=$3
	shift 3
	$MOCK ip addr add "$address" dev "$link" || return 1
	net_resolver '' "$@"
	net_note "$link" "$address" static
	[ -n "$gateway" ] || return 0
	net_route "$link" "$gateway" || return 1
	$MOCK ping -c 1 -w 5 "$gateway" >/dev/null
}

# net_dhcp LINK SECONDS: asks for an address, once a second: a switch drops the first questions while it
# looks at what was plugged in. A client stays to renew it.
net_dhcp() {
	$MOCK udhcpc -i "$1" -t "$2" -T 1 -n -s /sbin/rescue-dhcp -p "$ROOT/run/udhcpc.$1.pid" \
		-x "hostname:$LB_HOSTNAME"
}

# net_dhcp_event EVENT: what udhcpc found out, in the variables it sets for its script.
# shellcheck disable=SC2154 # interface, ip, mask (a prefix), router, dns and domain are udhcpc's
net_dhcp_event() {
	case $1 in
	deconfig)
		$MOCK ip addr flush dev "$interface"
		$MOCK ip link set "$interface" up
		;;
	bound | renew)
		$MOCK ip addr flush dev "$interface"
		$MOCK ip addr add "$ip/${mask:-24}" dev "$interface" || return 1
		[ -z "${router-}" ] || net_route "$interface" "${router%% *}"
		set -f
		# shellcheck disable=SC2086 # one word for each server
		net_resolver "${domain-}" ${LB_DNS:-${dns-}}
		net_note "$interface" "$ip/${mask:-24}" DHCP
		;;
	esac
}

# net_try LINK SECONDS: configures this interface as $LB_ADDRESS says. Returns 0 when it works.
# shellcheck disable=SC2086 # one word for each server
net_try() {
	case $LB_ADDRESS in
	dhcp) net_dhcp "$1" "$2" ;;
	*) net_static "$1" "$LB_ADDRESS" "$LB_GATEWAY" $LB_DNS ;;
	esac
}

# net_up: the network as the settings have it, and one line about what came of it. With several
# interfaces each is tried shortly before any is tried long. Returns 1 when there is none.
net_up() {
	local links link passes seconds note
	if [ "$LB_ADDRESS" = none ]; then
		say "network: none, as configured"
		return 0
	fi
	links=$(net_links)
	[ -n "$links" ] || fail "network: no wired interface found (see 4 log)" || return 1
	net_clear
	for link in $links; do
		$MOCK ip link set "$link" up
	done
	links=$(net_choose "$LB_INTERFACE") ||
		say "network: there is no interface $LB_INTERFACE, trying $(echo "$links" | tr '\n' ' ')"
	case $links in
	*"
"*) passes='6 30' ;;
	*) passes=36 ;;
	esac
	for seconds in $passes; do
		for link in $links; do
			if net_try "$link" "$seconds" >>"$LOG" 2>&1; then
				read -r note <"$RUN/network"
				say "network: $note"
				return 0
			fi
			[ "$passes" = 36 ] || [ "$LB_ADDRESS" = dhcp ] || net_clear
		done
	done
	net_give_up "$links"
}

# net_give_up LINKS: says that nothing answered; a static address stays all the same on the first
# interface, since a gateway need not answer a ping. Returns 1.
net_give_up() {
	local links
	links=$(echo "$1" | tr '\n' ' ')
	if [ "$LB_ADDRESS" = dhcp ]; then
		fail "network: no DHCP server answers on ${links% }; choose 3 network"
		return 1
	fi
	net_clear
	net_try "${links%% *}" 1 >>"$LOG" 2>&1 && return 0
	fail "network: $LB_ADDRESS is set on ${links%% *}, but the gateway $LB_GATEWAY does not answer"
}
