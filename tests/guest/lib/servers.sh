# shellcheck shell=sh
# Real servers on this host's loopback for guests (10.0.2.2 there): smbd and ganesha.nfsd, each with
# a configuration folder of its own. Definitions only; POSIX sh. They end with the shell that started
# them (so start them in the test's own shell, never inside $(…)), or by servers_stop.

# servers_free_port: prints a TCP port that nobody listens on.
servers_free_port() {
	while :; do
		sfp_port=$(shuf -i 20000-29999 -n 1)
		servers_port_open "$sfp_port" || break
	done
	printf '%s\n' "$sfp_port"
}

# servers_port_open PORT: true when somebody listens there.
servers_port_open() {
	bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null
}

# servers_wait PORT PID LOG: waits until PORT answers. Fails, showing LOG, when PID ended or after a minute.
servers_wait() {
	sw_tries=0
	until servers_port_open "$1"; do
		sw_tries=$((sw_tries + 1))
		if [ "$sw_tries" -gt 300 ] || ! kill -0 "$2" 2>/dev/null; then
			echo "# no server on port $1:"
			sed 's/^/# /' "$3" | tail -n 20
			return 1
		fi
		sleep 0.2
	done
}

# servers_smb_start DIR PORT PASSWORD SHARE=FOLDER…: smbd with its configuration, state and log in DIR
# (made if missing). The only user is root with PASSWORD. A share named NAME:ro is read-only.
# $SMB_MORE, if set, are further lines of its [global]. Ends by servers_stop DIR.
servers_smb_start() {
	sss_dir=$1 sss_port=$2 sss_password=$3
	shift 3
	mkdir -p "$sss_dir"
	{
		cat <<-EOF
			[global]
			server role = standalone server
			smb ports = $sss_port
			interfaces = lo
			bind interfaces only = yes
			disable netbios = yes
			disable spoolss = yes
			load printers = no
			server min protocol = SMB2
			passdb backend = smbpasswd:$sss_dir/smbpasswd
			private dir = $sss_dir
			lock directory = $sss_dir
			state directory = $sss_dir
			cache directory = $sss_dir
			pid directory = $sss_dir
			ncalrpc dir = $sss_dir/ncalrpc
			log file = $sss_dir/log.smbd
			strict sync = yes
			${SMB_MORE:-}
		EOF
		for sss_share; do
			sss_name=${sss_share%%=*} sss_only=no
			[ "$sss_name" = "${sss_name%:ro}" ] || sss_only=yes
			printf '[%s]\npath = %s\nread only = %s\n' "${sss_name%:ro}" "${sss_share#*=}" "$sss_only"
		done
	} >"$sss_dir/smb.conf"
	printf '%s\n%s\n' "$sss_password" "$sss_password" |
		smbpasswd -c "$sss_dir/smb.conf" -s -a root >"$sss_dir/smbpasswd.log" 2>&1 || {
		sed 's/^/# /' "$sss_dir/smbpasswd.log"
		return 1
	}
	setpriv --pdeathsig TERM smbd -F -s "$sss_dir/smb.conf" -l "$sss_dir" </dev/null >"$sss_dir/out" 2>&1 &
	echo $! >"$sss_dir/server.pid"
	servers_wait "$sss_port" "$(cat "$sss_dir/server.pid")" "$sss_dir/log.smbd"
}

# servers_with_rpcbind COMMAND…: runs the command, a server, beside an rpcbind that it can register with and nobody else sees:
# its only transport is a socket below a /run of their own. What is unmounted meanwhile is so for them, too. TERM ends both. Needs root.
servers_with_rpcbind() {
	# shellcheck disable=SC2016 # the inner shell's own
	exec setpriv --pdeathsig TERM unshare --mount --propagation slave sh -ec '
		mount -t tmpfs tmpfs /run
		mkdir /run/rpcbind
		grep ^local /etc/netconfig >/run/netconfig
		unshare --mount --propagation slave sh -ec "mount --bind /run/netconfig /etc/netconfig; exec rpcbind -f" &
		rpcbind=$! tries=0
		trap "kill $rpcbind; wait $rpcbind || :" EXIT
		until [ -S /run/rpcbind.sock ]; do
			tries=$((tries + 1))
			[ "$tries" -le 100 ] || { echo "no rpcbind"; exit 1; }
			sleep 0.1
		done
		"$@" &
		trap "kill $!" TERM
		wait $! || wait $!' sh "$@"
}

# servers_nfs_start DIR PORT[:MOUNT-PORT] EXPORT=FOLDER…: ganesha.nfsd with its configuration, state and log in DIR (made if
# missing): NFS 4, and with a port for its mount protocol NFS 3 as well. EXPORT is the path that clients name,
# such as /backup; NFS_PROTOCOLS=3: only that, and the caller has an rpcbind; /NAME:ro is read-only. Root stays root. Ends by servers_stop DIR.
servers_nfs_start() {
	sns_dir=$1 sns_port=${2%:*} sns_protocols=${NFS_PROTOCOLS:-4} sns_more='' sns_with=''
	if [ "$sns_port" != "$2" ]; then
		sns_protocols='3, 4' sns_more="MNT_Port = ${2#*:};" sns_with=servers_with_rpcbind
	fi
	shift 2
	mkdir -p "$sns_dir/recovery"
	{
		cat <<-EOF
			NFS_CORE_PARAM {
				NFS_Port = $sns_port;
				$sns_more
				Protocols = $sns_protocols;
				Enable_NLM = false;
				Enable_RQUOTA = false;
				mount_path_pseudo = true;
				Bind_addr = 127.0.0.1;
			}
			NFSv4 {
				Grace_Period = 1;
				Lease_Lifetime = 60;
				Graceless = true;
				RecoveryRoot = $sns_dir/recovery;
			}
		EOF
		sns_id=0
		for sns_export; do
			sns_name=${sns_export%%=*} sns_access=RW sns_id=$((sns_id + 1))
			[ "$sns_name" = "${sns_name%:ro}" ] || sns_access=RO
			cat <<-EOF
				EXPORT {
					Export_Id = $sns_id;
					Path = ${sns_export#*=};
					Pseudo = ${sns_name%:ro};
					Access_Type = $sns_access;
					Squash = No_Root_Squash;
					SecType = sys;
					Transports = TCP;
					Protocols = $sns_protocols;
					PrivilegedPort = false;
					FSAL { Name = VFS; }
				}
			EOF
		done
	} >"$sns_dir/ganesha.conf"
	$sns_with setpriv --pdeathsig TERM ganesha.nfsd -F -f "$sns_dir/ganesha.conf" -L "$sns_dir/log" -p "$sns_dir/ganesha.pid" \
		</dev/null >"$sns_dir/out" 2>&1 &
	echo $! >"$sns_dir/server.pid"
	servers_wait "$sns_port" "$(cat "$sns_dir/server.pid")" "$sns_dir/log"
}

# servers_stop DIR: ends the server of DIR, if it still runs, and waits for its end.
servers_stop() {
	[ -f "$1/server.pid" ] || return 0
	ss_pid=$(cat "$1/server.pid")
	rm -f "$1/server.pid"
	kill -TERM "$ss_pid" 2>/dev/null || return 0
	ss_tries=0
	while kill -0 "$ss_pid" 2>/dev/null; do
		ss_tries=$((ss_tries + 1))
		[ "$ss_tries" -le 50 ] || kill -KILL "$ss_pid" 2>/dev/null
		sleep 0.1
	done
}
