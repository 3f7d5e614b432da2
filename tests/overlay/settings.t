#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name, and hostile text is not code:
# shellcheck disable=SC2034,SC2154,SC2317,SC2016,SC2102
# The image's settings and the boot options that override them; hostile ones change nothing.
. "$(dirname "$0")/lib/tap.sh"
load say settings

# cmdline TEXT: loads the settings with this kernel command line.
cmdline() {
	printf '%s\n' "$1" >"$ROOT/proc/cmdline"
	settings_load
}

cmdline 'BOOT_IMAGE=/vmlinuz quiet'
is 'defaults' "$LB_INTERFACE $LB_ADDRESS $LB_TARGET $LB_UNATTENDED $LB_THEN" 'auto dhcp  no poweroff'

cat >"$ROOT/etc/lifeboat/rescue.env" <<'END'
LB_HOSTNAME='wreck'
LB_ADDRESS='10.1.2.3/24'
LB_GATEWAY='10.1.2.1'
LB_TARGET='smb://nas/it'\''s'
LB_KEYMAP='/etc/lifeboat/keymap.bmap'
LB_UNATTENDED='yes'
END
cmdline 'quiet'
is 'only a boot option starts a recovery' "$LB_UNATTENDED" no
is 'the image decides' "$LB_HOSTNAME $LB_ADDRESS $LB_GATEWAY $LB_TARGET" \
	"wreck 10.1.2.3/24 10.1.2.1 smb://nas/it's"

cmdline 'lifeboat.ip=dhcp lifeboat.target=nfs://u@[fe80::1]/x$/a lifeboat.hostname=b-1'
is 'the command line overrides it' "$LB_HOSTNAME $LB_ADDRESS $LB_GATEWAY $LB_TARGET" \
	'b-1 dhcp  nfs://u@[fe80::1]/x$/a'
is 'and what was taken is known' "$SETTINGS_TAKEN" \
	' lifeboat.ip=dhcp lifeboat.target=nfs://u@[fe80::1]/x$/a lifeboat.hostname=b-1'

cmdline 'lifeboat.ip=192.168.0.9/16,192.168.0.1,1.1.1.1,9.9.9.9 lifeboat.interface=52:54:00:AA:bb:cc'
is 'static address' "$LB_ADDRESS|$LB_GATEWAY|$LB_DNS|$LB_INTERFACE" \
	'192.168.0.9/16|192.168.0.1|1.1.1.1 9.9.9.9|52:54:00:AA:bb:cc'
cmdline 'lifeboat.ip=fd00::9/64'
is 'IPv6 without a gateway' "$LB_ADDRESS|$LB_GATEWAY|$LB_DNS" 'fd00::9/64||'
cmdline 'lifeboat.recover=unattended lifeboat.then=reboot lifeboat.debug lifeboat.keymap=none'
is 'switches' "$LB_UNATTENDED $LB_THEN $LB_DEBUG $LB_KEYMAP" 'yes reboot yes none'

# Each of these is refused, and none is evaluated.
refused=0 given=0
while IFS= read -r word; do
	given=$((given + 1))
	cmdline "$word"
	if [ "$SETTINGS_REFUSED" = " $word" ] && [ -z "$SETTINGS_TAKEN" ]; then
		refused=$((refused + 1))
	else
		echo "# taken: $word"
	fi
done <<'END'
lifeboat.target=smb://h/$(touch$IFS$ROOT/x)
lifeboat.target=smb://h/$(reboot)
lifeboat.target=smb://h/`reboot`
lifeboat.target=smb://h/s;reboot
lifeboat.target=smb://h/'
lifeboat.target="smb://h/a
lifeboat.target=smb://h/a|b
lifeboat.target=ftp://h/a
lifeboat.target=smb://
lifeboat.target=file://relative
lifeboat.target=
lifeboat.hostname=a;b
lifeboat.hostname=-a
lifeboat.hostname=
lifeboat.keymap=../../etc/shadow
lifeboat.keymap=.hidden
lifeboat.keymap=a/b
lifeboat.interface=a/b
lifeboat.interface=*
lifeboat.interface=
lifeboat.recover=yes
lifeboat.recover
lifeboat.then=halt
lifeboat.debug=1;2
lifeboat.ip=
lifeboat.ip=10.0.0.1
lifeboat.ip=10.0.0.256/8
lifeboat.ip=10.0.0.1/33
lifeboat.ip=10.0.0/8
lifeboat.ip=10.0.0.1./8
lifeboat.ip=10.0.0.1/8,gateway
lifeboat.ip=10.0.0.1/8,10.0.0.2,$(id)
lifeboat.ip=10.0.0.1/8/9
lifeboat.ip=fd00::1/129
lifeboat.ip=*/8
lifeboat.ROOT=/x
lifeboat.PATH=/x
lifeboat.=x
lifeboat.unknown=1
END
is 'hostile and wrong values are refused' "$refused" "$given"
is 'and changed nothing' "$LB_TARGET $LB_ADDRESS" "smb://nas/it's 10.1.2.3/24"
no 'nothing was executed' test -e "$ROOT/x"
cmdline '* lifeboat.hostname=ok'
is 'no file names are made of a star' "$LB_HOSTNAME$SETTINGS_REFUSED" ok
plan
