# shellcheck shell=dash
# Wireless networks, where the image has a configuration for them and the wire brought none.

WIFI_CONF=$ROOT/etc/lifeboat/wifi.conf

# wifi_links: prints the wireless interfaces.
wifi_links() {
	local link
	for link in "$ROOT"/sys/class/net/*/; do
		link=${link%/}
		if [ -e "$link/wireless" ] || [ -e "$link/phy80211" ]; then
			echo "${link##*/}"
		fi
	done
}

# wifi_join LINK: joins a network of the configuration, in 30 seconds at most. Returns 1 when there is none.
wifi_join() {
	$MOCK ip link set "$1" up
	$MOCK wpa_supplicant -B -i "$1" -D nl80211,wext -c "$WIFI_CONF" -P "$ROOT/run/wifi.$1.pid" || return 1
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		! net_carrier "$1" || return 0
		$MOCK sleep 1
	done
	return 1
}

# wifi_leave LINK: ends what wifi_join started.
wifi_leave() {
	local pid
	[ -r "$ROOT/run/wifi.$1.pid" ] || return 0
	read -r pid <"$ROOT/run/wifi.$1.pid"
	$MOCK kill "$pid"
	rm -f "$ROOT/run/wifi.$1.pid"
}

# wifi_up: joins and gets an address as the settings have it, on the first interface that can. Returns 1 when
# none can; a wired network that failed is no problem any more when one can.
wifi_up() {
	local links link note
	[ -r "$WIFI_CONF" ] && [ "$LB_ADDRESS" != none ] && [ ! -e "$RUN/network" ] || return 0
	links=$(wifi_links)
	[ -n "$links" ] || fail "wifi: no wireless interface found (see 4 log)" || return 1
	! command -v rfkill >/dev/null || $MOCK rfkill unblock wifi
	for link in $links; do
		if wifi_join "$link" && net_try "$link" 30; then
			read -r note <"$RUN/network"
			forget network:
			say "wifi: $note"
			return 0
		fi
		wifi_leave "$link"
	done
	links=$(echo "$links" | tr '\n' ' ')
	fail "wifi: no network of the configuration on ${links% }"
}
