#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name:
# shellcheck disable=SC2034,SC2154,SC2317
# Wireless networks: only where the wire brought none, the first interface that joins one.
. "$(dirname "$0")/lib/tap.sh"
load say settings net wifi
settings_load
command() { return 1; }

is 'without a configuration nothing happens' "$(wifi_up)$(commands)" ''
: >"$ROOT/etc/lifeboat/wifi.conf"
is 'without a card it says so' "$(wifi_up)" 'wifi: no wireless interface found (see 4 log)'
link eth0 52:54:00:00:00:01 0
link wlan0 52:54:00:00:00:02 0
link wlan1 52:54:00:00:00:03 0
mkdir "$ROOT/sys/class/net/wlan0/wireless" "$ROOT/sys/class/net/wlan1/phy80211"
is 'wireless ones only' "$(wifi_links | tr '\n' ' ')" 'wlan0 wlan1 '

echo 'eth0 10.0.2.15/24 (DHCP)' >"$ROOT/run/lifeboat/network"
is 'with a wired network nothing happens' "$(wifi_up)$(commands)" ''
rm "$ROOT/run/lifeboat/network"
setting_take ip none
is 'nor without any, as configured' "$(wifi_up)$(commands)" ''
setting_take ip dhcp

# wlan0 finds nothing, wlan1 joins after a moment
fake_wpa_supplicant() { echo 4711 >"$ROOT/run/wifi.$3.pid"; }
fake_sleep() { [ "$(grep -c '^sleep' "$ROOT/commands")" -lt 32 ] || echo 1 >"$ROOT/sys/class/net/wlan1/carrier"; }
fake_udhcpc() {
	[ "$2" = wlan1 ] || return 1
	interface=wlan1 ip=192.168.1.7 mask=24
	net_dhcp_event bound
}
fail 'network: no wired interface found (see 4 log)' >/dev/null
forget wifi:
is 'the second one joins' "$(wifi_up 2>&1)" 'wifi: wlan1 192.168.1.7/24 (DHCP)'
is 'its commands' "$(commands | grep -v '^sleep')" \
	'ip link set wlan0 up
wpa_supplicant -B -i wlan0 -D nl80211,wext -c /etc/lifeboat/wifi.conf -P /run/wifi.wlan0.pid
kill 4711
ip link set wlan1 up
wpa_supplicant -B -i wlan1 -D nl80211,wext -c /etc/lifeboat/wifi.conf -P /run/wifi.wlan1.pid
udhcpc -i wlan1 -t 30 -T 1 -n -s /sbin/rescue-dhcp -p /run/udhcpc.wlan1.pid -x hostname:rescue
ip addr flush dev wlan1
ip addr add 192.168.1.7/24 dev wlan1'
is 'the wire is no problem any more' "$(cat "$ROOT/run/lifeboat/problems")" ''

rm "$ROOT/run/lifeboat/network"
fake_wpa_supplicant() { return 1; }
is 'none of them' "$(wifi_up)" 'wifi: no network of the configuration on wlan0 wlan1'
plan
