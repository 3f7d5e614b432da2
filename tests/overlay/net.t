#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# Which interface is taken, and the commands that set it up.
. "$(dirname "$0")/lib/tap.sh"
load say settings net
settings_load

is 'without a card it says so' "$(net_up)" 'network: no wired interface found (see 4 log)'
forget network

mkdir -p "$ROOT/sys/class/net/lo" "$ROOT/sys/class/net/sit0" "$ROOT/sys/class/net/wlan0/wireless"
echo 772 >"$ROOT/sys/class/net/lo/type"
echo 776 >"$ROOT/sys/class/net/sit0/type"
mkdir "$ROOT/sys/class/net/sl0"
echo 256 >"$ROOT/sys/class/net/sl0/type"
echo 1 >"$ROOT/sys/class/net/wlan0/type"
: >"$ROOT/sys/class/net/bonding_masters"
link eth0 52:54:00:00:00:01 0
link eth1 52:54:00:00:00:02 1
link eth2 52:54:00:00:00:03 down
is 'only wired ones' "$(net_links | tr '\n' ' ')" 'eth0 eth1 eth2 sl0 '
rm -r "$ROOT/sys/class/net/sl0"
is 'auto: the one with a carrier' "$(net_choose auto)" eth1
is 'by name, also without a carrier' "$(net_choose eth2)" eth2
is 'by MAC address, in either case' "$(net_choose 52-54-00-00-00-03) $(net_choose 52:54:00:00:00:01)" 'eth2 eth0'
is 'one that is gone counts as auto' "$(net_choose enp9s0 || echo "status $?")" 'eth1
status 1'
rm "$ROOT/commands" 2>/dev/null

# DHCP
fake_udhcpc() {
	interface=eth1 ip=10.0.2.15 mask=24 router='10.0.2.2 10.0.2.3' dns='10.0.2.3 1.1.1.1' domain=lan
	net_dhcp_event deconfig && net_dhcp_event bound
}
is 'DHCP' "$(net_up)" 'network: eth1 10.0.2.15/24 (DHCP)'
is 'and its commands' "$(commands)" 'ip addr flush dev eth0
ip addr flush dev eth1
ip addr flush dev eth2
ip link set eth0 up
ip link set eth1 up
ip link set eth2 up
udhcpc -i eth1 -t 36 -T 1 -n -s /sbin/rescue-dhcp -p /run/udhcpc.eth1.pid -x hostname:rescue
ip addr flush dev eth1
ip link set eth1 up
ip addr flush dev eth1
ip addr add 10.0.2.15/24 dev eth1
ip route add default via 10.0.2.2 dev eth1'
is 'name servers' "$(cat "$ROOT/etc/resolv.conf")" 'search lan
nameserver 10.0.2.3
nameserver 1.1.1.1'

echo 4711 >"$ROOT/run/udhcpc.eth1.pid"
echo 1 >"$ROOT/sys/class/net/eth0/carrier"
fake_udhcpc() { return 1; }
is 'no answer on two interfaces' "$(net_up)" \
	'network: no DHCP server answers on eth0 eth1; choose 3 network'
is 'each is tried shortly, then long; the old client is ended' "$(commands | grep -E 'udhcpc|kill' | cut -c 1-22)" \
	'kill 4711
udhcpc -i eth0 -t 6 -T
udhcpc -i eth1 -t 6 -T
udhcpc -i eth0 -t 30 -
udhcpc -i eth1 -t 30 -'
is 'the menu shows it' "$(cat "$ROOT/run/lifeboat/problems")" \
	'network: no DHCP server answers on eth0 eth1; choose 3 network'

# Static
setting_take ip 192.168.7.2/24,192.168.7.1,192.168.7.53
setting_take interface eth0
is 'static' "$(net_up)" 'network: eth0 192.168.7.2/24 (static)'
is 'and its commands' "$(commands | tail -n 3)" 'ip addr add 192.168.7.2/24 dev eth0
ip route add default via 192.168.7.1 dev eth0
ping -c 1 -w 5 192.168.7.1'
is 'its name server' "$(cat "$ROOT/etc/resolv.conf")" 'nameserver 192.168.7.53'

setting_take interface auto
fake_ping() { grep -q 'addr add .* dev eth1' "$ROOT/commands"; }
is 'the interface whose gateway answers' "$(net_up)" 'network: eth1 192.168.7.2/24 (static)'
fake_ping() { return 1; }
is 'a gateway that never answers' "$(net_up)" \
	'network: 192.168.7.2/24 is set on eth0, but the gateway 192.168.7.1 does not answer'
is 'leaves the address on the first' "$(cat "$ROOT/run/lifeboat/network")" 'eth0 192.168.7.2/24 (static)'
commands >/dev/null

setting_take ip fd00::2/64,fd00::1
is 'IPv6' "$(fake_ping() { :; } && net_up && commands | grep route)" \
	'network: eth0 fd00::2/64 (static)
ip -6 route add default via fd00::1 dev eth0'

setting_take ip none
rm -f "$ROOT/commands"
is 'none' "$(net_up && commands)" 'network: none, as configured'

# A gateway outside the own network (DHCP with a /32).
fake_ip() { [ "$*" != 'route add default via 10.9.9.9 dev eth0' ] || grep -q 'route add 10.9.9.9' "$ROOT/commands"; }
yes 'a gateway off the link' net_route eth0 10.9.9.9
is 'gets a route of its own' "$(commands | sed -n 2p)" 'ip route add 10.9.9.9 dev eth0'
plan
