#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# Steps run in order, a failing one says so once and does not stop the others; what they print goes to
# the log. Then the steps that come with Lifeboat, on a fake system.
. "$(dirname "$0")/lib/tap.sh"
load say settings system host modules devices net wifi ssh share steps
settings_load

step() {
	cat >"$ROOT/etc/rescue.d/$1"
}
step 20-second <<'END'
say "second"
END
step 10-first <<'END'
echo "only for the log"
say "first"
LB_TARGET=smb://leaked/x
END
step 30-fails <<'END'
fail "three: it broke"
END
step 40-silent <<'END'
exit 7
END
step 50-wrong <<'END'
if then
END
step 60-last <<'END'
say "last"
END
step README <<'END'
say "not a step"
END
is 'all run, in order, and failures are told once' "$(steps_run)" 'first
second
three: it broke
40-silent: failed with exit status 7 (see 4 log)
50-wrong: failed with exit status 2 (see 4 log)
last'
is 'problems are kept for the menu' "$(cat "$ROOT/run/lifeboat/problems")" 'three: it broke
40-silent: failed with exit status 7 (see 4 log)
50-wrong: failed with exit status 2 (see 4 log)'
yes 'output goes to the log' grep -q '^only for the log$' "$ROOT/run/lifeboat/log"
yes 'and so does what is said' grep -q '\] first$' "$ROOT/run/lifeboat/log"
is 'a step leaves nothing behind' "$LB_TARGET" ''

# What the consoles see of them.
steps_run >"$ROOT/run/lifeboat/news"
is 'news are shown' "$(news_show 'first: ' | head -n 2)" 'first: first
second'
news_show '' >/dev/null
no 'each once' news_show ''
echo more >>"$ROOT/run/lifeboat/news"
is 'and then what is new' "$(news_show 'then ')" 'then more'
yes 'they are running' steps_running
fake_sleep() { echo last >>"$ROOT/run/lifeboat/news" && : >"$ROOT/run/lifeboat/settled"; }
is 'they are waited for' "$(steps_wait)" 'Waiting for drivers, disks and the network; Ctrl-C ends the waiting.
more
last'
no 'and are through' steps_running
is 'nobody waits then' "$(NEWS_SEEN=99 && steps_wait && echo on)" on
rm "$ROOT/run/lifeboat/settled"
fake_sleep() { return 130; }
no 'Ctrl-C ends the waiting' steps_wait
fake_sleep() { :; }
commands >/dev/null

# The steps of the rescue system.
rm "$ROOT"/etc/rescue.d/* "$ROOT/run/lifeboat/problems"
cp "$overlay"/etc/rescue.d/* "$ROOT/etc/rescue.d/"
mkdir -p "$ROOT/lib/modules/$(uname -r)" "$ROOT/sys/block/vda" "$ROOT/sys/class/tty/tty0"
: >"$ROOT/sys/class/tty/tty0/active"
device pci/0 pci:1
link eth0 52:54:00:00:00:01 1
rm "$ROOT"/etc/rescue.d/*-ssh # does what this machine has a server for; ssh.t
ln -s "$overlay"/lib/*.sh "$ROOT/lib/"
echo map >"$ROOT/etc/lifeboat/keymap.bmap"
printf '%s\n' "LB_HOSTNAME=wreck LB_TARGET=smb://nas/backup LB_KEYMAP=/etc/lifeboat/keymap.bmap" \
	"LB_CREATED=2020-01-01T00:00:00Z" >"$ROOT/etc/lifeboat/rescue.env"
settings_load
fake_udhcpc() {
	interface=eth0 ip=10.0.2.15 mask=24 net_dhcp_event bound
}
fake_lifeboat() { echo 'lifeboat: mount //nas/backup: no route' && return 1; }
fake_timeout() { shift && mock "$@"; }
fake_setsid() { mock "$@"; }
is 'a whole boot' "$(steps_run)" 'network: eth0 10.0.2.15/24 (DHCP)
disks: vda
backup host: nas answers
share: lifeboat: mount //nas/backup: no route'
is 'its commands' "$(commands | grep -vE '^(sleep|timeout|udhcpc|uevent|setsid|busybox|ln) ')" '/sbin/modprobe -a -b -q -- pci:1
loadkmap
hostname wreck
ip link set lo up
ip addr flush dev eth0
ip link set eth0 up
ip addr flush dev eth0
ip addr add 10.0.2.15/24 dev eth0
ping -c 1 -w 5 nas
lifeboat mount smb://nas/backup /mnt/backup'
is 'and its problem' "$(cat "$ROOT/run/lifeboat/problems")" \
	'share: lifeboat: mount //nas/backup: no route'

# The credentials.
printf '[backup]\ntarget = smb://nas/b\n  credentials=/root/secret # here\n' >"$ROOT/etc/lifeboat/recovery.conf"
is 'credentials are where the image has them' "$(share_credentials /etc/lifeboat/credentials && cat "$ROOT/etc/lifeboat/recovery.conf")" \
	'[backup]
target = smb://nas/b
credentials = /etc/lifeboat/credentials'
is 'or nowhere' "$(share_credentials '' && cat "$ROOT/etc/lifeboat/recovery.conf")" '[backup]
target = smb://nas/b'
rm "$ROOT/etc/lifeboat/recovery.conf"
yes 'without a configuration there is nothing to do' share_credentials x

# Keyboard, clock, kernel.
is 'a layout that is not there' "$(keyboard_load us)" 'keyboard: layout us is not in this image'
mkdir "$ROOT/etc/lifeboat/keymaps"
echo map >"$ROOT/etc/lifeboat/keymaps/us.bmap"
is 'one that a site added' "$(keyboard_load us && commands)" loadkmap
fake_loadkmap() { return 1; }
is 'one that cannot be loaded' "$(keyboard_load us)" 'keyboard: layout us cannot be loaded'
commands >/dev/null
printf 'MemTotal: 240640 kB\nMemAvailable: 65536 kB\n' >"$ROOT/proc/meminfo"
is 'memory to work with' "$(host_memory)" ''
printf 'MemTotal: 240640 kB\nMemFree: 999999 kB\nMemAvailable: 65535 kB\n' >"$ROOT/proc/meminfo"
is 'too little memory' "$(host_memory)" \
	'memory: only 63 of 235 MiB are left; README.TXT on the medium says how much it needs'
no 'is a problem' host_memory
rm "$ROOT/proc/meminfo"
is 'memory that nobody counts' "$(host_memory)" ''
is 'no layout' "$(keyboard_load none && commands)" ''
is 'a clock in the past' "$(host_clock 9999-01-01T00:00:00Z)" \
	"clock: it says $(date -u +%Y-%m-%d), before this stick was made; set it with 'date -s'"
is 'was first set again' "$(commands)" 'hwclock -s -u'
is 'a good clock is left alone' "$(host_clock 2020-01-01T00:00:00Z && host_clock '' && commands)" ''
rmdir "$ROOT/lib/modules/$(uname -r)"
is 'an image for another kernel' "$(step_run "$ROOT/etc/rescue.d/20-modules" 3>&1; SAY_FD=3 step_run "$ROOT/etc/rescue.d/20-modules")" \
	"modules: this image has none for kernel $(uname -r), only what is built in works"
plan
