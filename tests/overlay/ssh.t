#!/bin/busybox sh
# shellcheck shell=dash source=/dev/null
# Settings belong to the libraries, fakes are called by name:
# shellcheck disable=SC2034,SC2154,SC2317
# The SSH server of the rescue system: which, with whose keys, and what is said about it.
. "$(dirname "$0")/lib/tap.sh"
load say settings ssh
settings_load
fake_ssh_keygen() {
	case $1 in
	-q) echo private >"$9" ;;
	-l) echo "256 SHA256:abc/def+1 rescue (ED25519)" ;;
	esac
}
fake_dropbearkey() {
	case $1 in
	-t) echo private >"$4" ;;
	-y) printf 'Public key portion is:\nssh-ed25519 AAAA x\nFingerprint: SHA256:xyz\n' ;;
	esac
}

is 'without a server nothing is said' "$(ssh_start)$(commands)" ''
mkdir -p "$ROOT/usr/sbin"
: >"$ROOT/usr/sbin/sshd"
chmod +x "$ROOT/usr/sbin/sshd"
is 'a server that would let nobody in is not started' "$(ssh_start)$(commands)" 'ssh: this image lets nobody in'
mkdir -p "$ROOT/root/.ssh"
echo 'ssh-ed25519 AAAA me' >"$ROOT/root/.ssh/authorized_keys"
echo 'root:*:0:0:root:/root:/bin/sh' >"$ROOT/etc/passwd"
is 'OpenSSH, without a network' "$(ssh_start)" \
	'ssh: no address yet (choose 3 network), host key SHA256:abc/def+1'
is 'a host key for this boot, and the server with it' "$(commands)" \
	'ssh-keygen -q -t ed25519 -N  -C rescue -f /etc/ssh/ssh_host_ed25519_key
/usr/sbin/sshd -f /etc/lifeboat/sshd_config -h /etc/ssh/ssh_host_ed25519_key
ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key'
is 'the user that it wants' "$(grep -c '^sshd:\*:' "$ROOT/etc/passwd")" 1
echo 'eth0 10.0.2.15/24 (DHCP)' >"$ROOT/run/lifeboat/network"
is 'with a network, again' "$(ssh_start)" 'ssh: root@10.0.2.15, host key SHA256:abc/def+1'
is 'the key stays' "$(commands | head -n 1)" \
	'/usr/sbin/sshd -f /etc/lifeboat/sshd_config -h /etc/ssh/ssh_host_ed25519_key'
is 'the user is there once' "$(grep -c '^sshd:' "$ROOT/etc/passwd")" 1
echo own >"$ROOT/etc/ssh/ssh_host_rsa_key"
is "the machine's own keys, each with its fingerprint" "$(ssh_start | wc -l)" 2
like=$(commands | grep -c -e '-h /etc/ssh/ssh_host_ed25519_key -h /etc/ssh/ssh_host_rsa_key')
is 'are all given to it' "$like" 1
fake_sshd() { return 1; }
is 'a server that does not start' "$(ssh_start)" 'ssh: the server did not start (see 4 log)'
rm -r "$ROOT/etc/ssh"
fake_ssh_keygen() { return 1; }
is 'a key that cannot be made' "$(ssh_start)" 'ssh: no host key could be made (see 4 log)'
rm -f "$ROOT/commands"

mv "$ROOT/usr/sbin/sshd" "$ROOT/usr/sbin/dropbear"
is 'dropbear' "$(ssh_start)" 'ssh: root@10.0.2.15, host key SHA256:xyz'
is 'its commands' "$(commands)" 'dropbearkey -t ed25519 -f /etc/dropbear/dropbear_ed25519_host_key
/usr/sbin/dropbear -s -c /sbin/rescue-login -P /run/dropbear.pid -r /etc/dropbear/dropbear_ed25519_host_key
dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key'
plan
