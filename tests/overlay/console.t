#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# The menu, its questions, recovery with and without a person, and the end.
. "$(dirname "$0")/lib/tap.sh"
load say settings system modules net share steps unattended menu leave
settings_load
: >"$ROOT/run/lifeboat/settled"
mkdir -p "$ROOT/proc/sys/kernel"
echo 6.1-wreck >"$ROOT/proc/sys/kernel/osrelease"
LB_HOSTNAME=wreck LB_CREATED=2026-01-02T03:04:05Z

is 'the menu' "$(menu_text)" "
Lifeboat rescue system for wreck, made 2026-01-02T03:04:05Z
  kernel   6.1-wreck
  network  none
  backup   none is configured, 1 recover asks for it

  7 enter the installed system, to repair it
  1 recover   2 shell   3 network   4 log   5 reboot   6 power off"
net_note eth0 10.0.2.15/24 DHCP
echo 'share: refused' >"$ROOT/run/lifeboat/problems"
echo '//nas/b /mnt/backup cifs ro 0 0' >"$ROOT/proc/mounts"
LB_TARGET=smb://nas/b
is 'with what there is' "$(menu_text | sed -n 4,6p)" '  network  eth0 10.0.2.15/24 (DHCP)
  backup   smb://nas/b, mounted on /mnt/backup
  problem  share: refused'
: >"$ROOT/proc/mounts"

is 'ready is said once, before the prompt' "$(for _ in 1 2; do menu_run ttyS0 </dev/null; done | grep -oE 'LIFEBOAT READY|^> ')" \
	'LIFEBOAT READY
> 
> '
echo '12.34 56.78' >"$ROOT/proc/uptime"
menu_run tty2 </dev/null >/dev/null
is 'how long it took' "$(menu_text | grep -o ', ready.*')" ', ready 12.34 s after it started'

is 'on each terminal' "$(menu_run tty1 </dev/null | head -n 1)" 'LIFEBOAT READY'
is 'what is no choice' "$(menu_choice 'rm -rf' 2>&1)" "'rm -rf' is not one of these; nothing was changed."

# While the steps of the boot are running.
rm "$ROOT/run/lifeboat/settled"
is 'the menu says that more is coming' "$(menu_text | sed -n 4p)" \
	'  boot     drivers, disks and the network are still coming'
is 'a terminal that is gone ends it' "$(menu_run ttyS0 </dev/null | grep -c '^>')" 1
is 'what is typed is taken at once' "$(echo wrong | menu_run ttyS0 | grep -c 'is not one of these')" 1
fake_sleep() { : >"$ROOT/run/lifeboat/settled"; }
is 'a recovery waits for them' "$(echo | menu_recover | head -n 1)" \
	'Waiting for drivers, disks and the network; Ctrl-C ends the waiting.'
rm "$ROOT/run/lifeboat/settled"
is 'so does one without a person' "$(LB_THEN=console && unattended_run | sed -n 2p)" \
	'Waiting for drivers, disks and the network; Ctrl-C ends the waiting.'
rm -f "$ROOT/run/lifeboat/settled" "$ROOT/run/lifeboat/unattended"
fake_sleep() { return 130; }
is 'that can be cut short' "$(echo | menu_recover | sed -n 2p)" 'Going on without what is still missing.'
is 'which gives up the other' "$(commands >/dev/null; unattended_run >/dev/null; commands | grep -c lifeboat)" 0
: >"$ROOT/run/lifeboat/settled"
rm "$ROOT/run/lifeboat/unattended"
fake_sleep() { :; }

commands >/dev/null
is 'recovery from the configured target' "$(echo | menu_recover && commands)" \
	'Backup (smb://HOST/SHARE, nfs://HOST/EXPORT or file:///FOLDER) [smb://nas/b]: Recovered. Take the stick out and choose 5 to start the machine.
lifeboat recover smb://nas/b'
fake_lifeboat() { return 3; }
is 'that fails' "$(echo 'nfs://h/$(id)' | menu_recover | sed 's/.*: //')" \
	'Not recovered (exit status 3, the reason stands above). 1 starts it again.'
is 'of one that was typed' "$(commands)" 'lifeboat recover nfs://h/$(id)'
LB_TARGET=''
is 'of none' "$(echo | menu_recover | sed 's/.*: //')" 'Without a backup there is nothing to recover from.'
LB_TARGET=smb://nas/b

link eth0 52:54:00:00:00:01 1
printf 'eth0\n10.0.0.5/24\n10.0.0.1\n\n' >"$ROOT/answers"
fake_lifeboat() { :; }
fake_timeout() { shift && mock "$@"; }
is 'network by questions' "$(menu_network <"$ROOT/answers" | sed 's/.*\]: //')" 'Interfaces: eth0 
network: eth0 10.0.0.5/24 (static)
share: smb://nas/b is mounted on /mnt/backup'
is 'its commands' "$(commands)" 'ip addr flush dev eth0
ip link set eth0 up
ip addr add 10.0.0.5/24 dev eth0
ip route add default via 10.0.0.1 dev eth0
ping -c 1 -w 5 10.0.0.1
timeout 120 lifeboat mount smb://nas/b /mnt/backup
lifeboat mount smb://nas/b /mnt/backup'
is 'the share is no problem any more' "$(cat "$ROOT/run/lifeboat/problems")" ''
is 'a wrong answer' "$(printf 'eth0\n10.0.0.300/24\n\n\n' | menu_network | sed 's/.*\]: //' | tail -n 1)" \
	"'10.0.0.300/24,,' is not one of these; nothing was changed."
rm -f "$ROOT/commands"

# Recovery without a person.
echo 'tty0 ttyS0' >"$ROOT/sys/class/tty/console/active"
no 'not unless it is asked for' unattended_wanted ttyS0
LB_UNATTENDED=yes
yes 'on the main console' unattended_wanted ttyS0
no 'on no other' unattended_wanted tty1
fake_lifeboat() { echo 'restoring' && echo 'lifeboat: sda: too small' >&2 && return 1; }
is 'it fails with the reason' "$(unattended_run)" 'Recovering from smb://nas/b; Ctrl-C stops it.
restoring
lifeboat: sda: too small
LIFEBOAT RECOVERY FAILED: lifeboat: sda: too small'
is 'and nothing is turned off' "$(commands)" 'lifeboat recover --unattended smb://nas/b'
no 'it is not tried twice' unattended_wanted ttyS0
fake_lifeboat() { echo 'restored'; }
is 'it succeeds and powers off' "$(MOCK='echo run:' && unattended_run | sed -n '3,$p')" \
	'LIFEBOAT RECOVERED
In 10 seconds: poweroff. Ctrl-C leads to the menu.
run: sleep 10
run: /sbin/rescue-leave poweroff'
is 'or stays' "$(LB_THEN=console && unattended_run | tail -n 1)" 'LIFEBOAT RECOVERED'
is 'without a target' "$(LB_TARGET='' && unattended_run)" \
	'LIFEBOAT RECOVERY FAILED: no target is configured (lifeboat.target=)'
rm -f "$ROOT/commands"

is 'hosts of targets' "$(share_host smb://u@nas:445/b) $(share_host nfs://[fd00::1]/x) $(share_host file:///x)" \
	'nas fd00::1 '

# The end.
cat >"$ROOT/proc/mounts" <<'END'
tmpfs / tmpfs rw 0 0
proc /proc proc rw 0 0
/dev/vda1 /mnt/hd ext4 rw 0 0
tmpfs /mnt/hd/tmp tmpfs rw 0 0
/dev/vda2 /mnt/hd/home ext4 rw 0 0
/dev/vda3 /mnt/hd/my\040data\134x ext4 rw 0 0
//nas/b /mnt/backup cifs ro 0 0
END
fake_timeout() { [ "$2" != umount ] || [ "$3" != /mnt/backup ]; } # the server is gone
fake_umount() { [ "$1" != /mnt/hd ]; } # busy
leave reboot >/dev/null
is 'everything is written and unmounted' "$(commands)" 'kill -TSTP 1
kill -TERM -1
sleep 1
kill -KILL -1
swapoff -a
timeout 20 umount /mnt/backup
timeout 5 umount -f -l /mnt/backup
sync
umount /mnt/hd/my data\x
umount /mnt/hd/home
umount /mnt/hd
mount -o remount,ro /mnt/hd
sync
busybox reboot -f'
no 'only the known ends' leave halt
plan
