# shellcheck shell=dash
# The way in by SSH, where the image has a server: OpenSSH's or dropbear.

# ssh_host_keys: prints the server's private keys, one a line.
ssh_host_keys() {
	local key
	for key in "$ROOT"/etc/ssh/ssh_host_*_key "$ROOT"/etc/dropbear/dropbear_*_host_key; do
		[ ! -f "$key" ] || echo "$key"
	done
}

# ssh_make_key SERVER: a host key for this boot, unless the image carries the machine's own.
ssh_make_key() {
	[ -z "$(ssh_host_keys)" ] || return 0
	case ${1##*/} in
	sshd)
		mkdir -p "$ROOT/etc/ssh"
		$MOCK ssh-keygen -q -t ed25519 -N '' -C "$LB_HOSTNAME" -f "$ROOT/etc/ssh/ssh_host_ed25519_key"
		;;
	dropbear)
		mkdir -p "$ROOT/etc/dropbear"
		$MOCK dropbearkey -t ed25519 -f "$ROOT/etc/dropbear/dropbear_ed25519_host_key"
		;;
	esac
}

# ssh_fingerprint SERVER KEY: prints "SHA256:…".
ssh_fingerprint() {
	case ${1##*/} in
	sshd) $MOCK ssh-keygen -l -f "$2" ;;
	dropbear) $MOCK dropbearkey -y -f "$2" ;;
	esac | grep -o 'SHA256:[^ ]*'
}

# ssh_serve SERVER: starts it with all host keys. OpenSSH wants a user of its own, a folder that is empty and, to
# start itself again for each login, its whole path.
# shellcheck disable=SC2046 # one word for each
ssh_serve() {
	case ${1##*/} in
	sshd)
		mkdir -p "$ROOT/run/sshd"
		grep -q '^sshd:' "$ROOT/etc/passwd" ||
			echo 'sshd:*:100:65534:SSH server:/run/sshd:/bin/false' >>"$ROOT/etc/passwd"
		$MOCK "$1" -f /etc/lifeboat/sshd_config $(ssh_host_keys | sed 's/^/-h /')
		;;
	dropbear) $MOCK "$1" -s -c /sbin/rescue-login -P "$ROOT/run/dropbear.pid" $(ssh_host_keys | sed 's/^/-r /') ;;
	esac
}

# ssh_server: prints the path of the server that the image has, if any.
ssh_server() {
	local name folder
	for name in sshd dropbear; do
		for folder in /usr/sbin /usr/bin /usr/local/sbin; do
			[ -x "$ROOT$folder/$name" ] || continue
			echo "$folder/$name"
			return 0
		done
	done
}

# ssh_start: starts the server and says how it is reached, with the fingerprint of each host key.
ssh_start() {
	local server address key print
	server=$(ssh_server)
	[ -n "$server" ] || return 0
	[ -s "$ROOT/root/.ssh/authorized_keys" ] || fail "ssh: this image lets nobody in" || return 1
	ssh_make_key "$server" || fail "ssh: no host key could be made (see 4 log)" || return 1
	ssh_serve "$server" || fail "ssh: the server did not start (see 4 log)" || return 1
	address='no address yet (choose 3 network)'
	[ ! -r "$RUN/network" ] || {
		read -r _ address _ <"$RUN/network"
		address=root@${address%/*}
	}
	for key in $(ssh_host_keys); do
		print=$(ssh_fingerprint "$server" "$key")
		say "ssh: $address, host key ${print:-unknown}"
	done
}
