# shellcheck shell=bash
# User-Mode Linux with this machine's own root, read-only, as its root: a kernel with SMB and NFS clients for
# what this kernel cannot mount, started in two seconds. Definitions only; bash.

# uml_run SCRIPT [UBD=FILE…]: runs the script (a bash file) in a guest as root. It sees this machine's files,
# can write below $SCRATCH, and has the disks given (ubda=FILE is /dev/ubda there). The host's loopback is
# 10.0.2.2. What it prints goes to $SCRATCH/uml.log. Returns the script's exit status, 125 when the guest
# did not come to its end.
uml_run() {
	uml_guest "$1" "bash '$1'
		echo \$? >'$SCRATCH/uml.status'
		sync
		busybox poweroff -f" "${@:2}"
}

# uml_systemd SCRIPT [UBD=FILE…]: the same under this machine's own systemd, which runs nothing but the journal and the script. Units are
# those in /run/systemd/system, which the script fills.
uml_systemd() {
	uml_guest "$1" "mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mkdir -p /run/systemd/system
		cat >/run/systemd/system/test.service <<-END
			[Unit]
			DefaultDependencies=no
			Wants=systemd-journald.service
			After=systemd-journald.service
			[Service]
			Type=oneshot
			Environment=HOME=/root PATH=\$PATH BUILD=$BUILD SCRATCH=$SCRATCH TOP=$TOP
			WorkingDirectory=$SCRATCH
			ExecStart=/bin/bash -c 'bash $1; echo \\\$\\\$? >$SCRATCH/uml.status; sync; busybox poweroff -f'
			StandardOutput=tty
			TimeoutStartSec=infinity
		END
		exec /lib/systemd/systemd --unit=test.service --log-target=null --show-status=0" "${@:2}"
}

# uml_guest SCRIPT END [UBD=FILE…]: a guest that is set up, then does what END, lines of bash, says.
uml_guest() {
	local end=$2 status=125
	shift 2
	rm -f "$SCRATCH/uml.status"
	cat >"$SCRATCH/uml.init" <<-EOF
		#!/bin/bash
		export PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root BUILD='$BUILD' SCRATCH='$SCRATCH' TOP='$TOP'
		hostname guest
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mountpoint -q /dev || mount -t devtmpfs dev /dev
		for folder in /tmp /run /mnt /var/tmp; do mount -t tmpfs tmpfs \$folder; done
		# again, as they may lie below one of those
		for folder in '$TOP' '$BUILD' '$SCRATCH'; do mkdir -p "\$folder" && mount -t hostfs none "\$folder" -o "\$folder"; done
		mount -o remount,ro '$TOP'
		mkdir -p /run/root/lib
		ln -s /usr/lib/uml/modules /run/root/lib/modules
		mkdir /run/bin
		printf '#!/bin/sh\nexec /sbin/modprobe -d /run/root "\$@"\n' >/run/bin/modprobe
		chmod +x /run/bin/modprobe
		echo /run/bin/modprobe >/proc/sys/kernel/modprobe
		ln -s /proc/self/fd /dev/fd 2>/dev/null
		# what modules.dep does not say the SMB client needs
		modprobe -q -a ccm ctr cmac sha512_generic nls_utf8 gcm ghash-generic
		ip link set lo up
		ip link set eth0 up
		ip addr add 10.0.2.15/24 dev eth0
		ip route add default via 10.0.2.2 dev eth0 onlink
		cd '$SCRATCH'
		$end
	EOF
	chmod +x "$SCRATCH/uml.init"
	# Without its own session the stubs would stay behind when it is killed.
	setsid linux.uml root=/dev/root rootfstype=hostfs rootflags=/ ro init="$SCRATCH/uml.init" mem=512M \
		umid="t$$" uml_dir="$SCRATCH/" pty.legacy_count=0 con=null con0=null,fd:1 \
		eth0=slirp,,/usr/bin/slirp-fullbolt "$@" </dev/null >"$SCRATCH/uml.log" 2>&1 &
	wait $!
	[ ! -s "$SCRATCH/uml.status" ] || status=$(cat "$SCRATCH/uml.status")
	return "$status"
}

# uml_tests GUEST [UBD=FILE…]: the same with the file GUEST beside the tests. Its lines "TAP ok NAME" and "TAP not ok NAME" become the
# test's own, "TAP-END" says that it came to its end.
uml_tests() {
	local word rest text=$SCRATCH/guest.text
	cp "$TOP/tests/guest/$1" "$SCRATCH/guest.sh" || bail "no $1"
	uml_run "$SCRATCH/guest.sh" "${@:2}"
	tr -d '\r' <"$SCRATCH/uml.log" >"$text"
	plan $(($(grep -c '^TAP \(ok\|not ok\) ' "$text") + 1))
	while read -r _ word rest; do
		case "$word" in
		ok) result 0 "$rest" ;;
		not) result 1 "${rest#ok }" ;;
		esac
	done < <(grep '^TAP \(ok\|not ok\) ' "$text")
	ok "the guest came to its end" grep -q '^TAP-END$' "$text"
	! grep -q '^TAP not' "$text" || diag "$(grep '^TAP\|^#' "$text")"
}
