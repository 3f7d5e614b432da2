# shellcheck shell=dash
# The console of the rescue system: what is shown and asked on each terminal.

# menu_text: prints the menu with the state of things.
menu_text() {
	local network target after kernel
	network=none after='' kernel=''
	[ ! -r "$RUN/ready" ] || read -r after <"$RUN/ready"
	[ ! -r "$ROOT/proc/sys/kernel/osrelease" ] || read -r kernel <"$ROOT/proc/sys/kernel/osrelease"
	[ ! -r "$RUN/network" ] || read -r network <"$RUN/network"
	target="${LB_TARGET:-none is configured, 1 recover asks for it}"
	! share_mounted || target="$target, mounted on /mnt/backup"
	echo
	echo "Lifeboat rescue system for $LB_HOSTNAME${LB_CREATED:+, made $LB_CREATED}"
	echo "  kernel   $kernel${after:+, ready $after s after it started}"
	! steps_running || echo "  boot     drivers, disks and the network are still coming"
	echo "  network  $network"
	echo "  backup   $target"
	[ ! -s "$RUN/problems" ] || sed 's/^/  problem  /' "$RUN/problems"
	echo
	echo "  7 enter the installed system, to repair it"
	echo "  1 recover   2 shell   3 network   4 log   5 reboot   6 power off"
}

# menu_shell: a login shell with job control: bash where it is packed, else busybox's.
menu_shell() {
	local shell
	shell=/bin/sh
	[ ! -x "$ROOT/bin/bash" ] || shell=/bin/bash
	echo "Leave the shell with 'exit' to come back to the menu."
	(cd "$ROOT/root" && HOME=/root SHELL=$shell $MOCK $shell -l)
}

# menu_ask QUESTION DEFAULT: asks, and sets $answer. Returns 1 at end of input or Ctrl-C.
menu_ask() {
	printf '%s [%s]: ' "$1" "$2"
	answer=
	read -r answer || return 1
	answer=${answer:-$2}
}

# menu_recover: the recovery, which itself shows the plan and asks for consent.
menu_recover() {
	local status
	steps_wait || echo "Going on without what is still missing."
	menu_ask "Backup (smb://HOST/SHARE, nfs://HOST/EXPORT or file:///FOLDER)" "$LB_TARGET" || return 1
	if [ -z "$answer" ]; then
		echo "Without a backup there is nothing to recover from."
		return 1
	fi
	LB_TARGET=$answer
	log "lifeboat recover $LB_TARGET"
	if $MOCK lifeboat recover "$LB_TARGET"; then
		log "recovered"
		echo "Recovered. Take the stick out and choose 5 to start the machine."
	else
		status=$?
		log "lifeboat recover: exit status $status"
		echo "Not recovered (exit status $status, the reason stands above). 1 starts it again."
		return 1
	fi
}

# menu_enter: a shell in the installed system, started in a container.
menu_enter() {
	local status
	steps_wait || echo "Going on without what is still missing."
	log "lifeboat enter"
	$MOCK lifeboat enter
	status=$?
	log "lifeboat enter: exit status $status"
	return $status
}

# menu_network: asks for the network and sets it up, then mounts the share.
menu_network() {
	local address gateway
	steps_wait || return 1 # two that set it up would undo each other's work
	echo "Interfaces: $(net_links | tr '\n' ' ')"
	menu_ask "Interface (auto, a name or a MAC address)" "$LB_INTERFACE" || return 1
	setting_take interface "$answer" || menu_refuse "$answer" || return 1
	menu_ask "Address (dhcp, none or ADDRESS/PREFIX)" "$LB_ADDRESS" || return 1
	address=$answer
	case $address in
	*/*)
		menu_ask "Gateway (none: only this network)" "${LB_GATEWAY:-none}" || return 1
		gateway=${answer#none}
		menu_ask "Name server (none: only addresses)" "${LB_DNS:-none}" || return 1
		address=$address,$gateway,${answer#none}
		;;
	esac
	setting_take ip "$(echo "$address" | tr ' ' ,)" || menu_refuse "$address" || return 1
	forget network
	forget share
	net_up && [ -n "$LB_TARGET" ] && share_mount "$LB_TARGET"
}

# menu_refuse ANSWER: says that this is not one. Returns 1.
menu_refuse() {
	echo "'$1' is not one of these; nothing was changed."
	return 1
}

# menu_log: the log and the kernel's messages, by pages.
menu_log() {
	{
		cat "$LOG"
		echo "---- kernel messages ----"
		dmesg
	} | more
}

# menu_choice TEXT: does what was chosen.
menu_choice() {
	case $1 in
	1 | recover) menu_recover ;;
	2 | shell) menu_shell ;;
	3 | network) menu_network ;;
	4 | log) menu_log ;;
	5 | reboot) exec $MOCK /sbin/rescue-leave reboot ;;
	7 | enter) menu_enter ;;
	6 | power* | off) exec $MOCK /sbin/rescue-leave poweroff ;;
	'') ;;
	*) menu_refuse "$1" ;;
	esac
}

# menu_read: sets $choice to what is typed. While the steps of the boot are running it shows what they
# say; when they are through it returns with an empty choice, so that the menu shows what came of
# them. Returns 1 when the terminal is gone.
menu_read() {
	choice=
	if ! steps_running; then
		read -r choice || [ $? -gt 1 ] # above 1: a signal came
		return
	fi
	while steps_running; do
		# shellcheck disable=SC3045 # busybox has -t; it returns 1 when time is up as at the end of input
		read -r -t 1 choice && return
		[ $? = 1 ] || return 0
		[ -t 0 ] || return 1
		! news_show "
" || printf '> '
	done
	news_show "
" || echo
}

# menu_run TTY: says once per terminal that the system is ready, then asks for ever; returns only
# when the terminal is gone. Ctrl-C ends what was chosen, not the menu.
menu_run() {
	local choice up
	trap : INT
	trap '' QUIT TSTP
	if [ ! -e "$RUN/ready" ] && [ -r "$ROOT/proc/uptime" ]; then
		read -r up _ <"$ROOT/proc/uptime"
		echo "$up" >"$RUN/ready"
	fi
	if [ ! -e "$RUN/ready.$1" ]; then
		: >"$RUN/ready.$1"
		log "ready on $1"
		echo "LIFEBOAT READY"
	fi
	while menu_text && printf '> '; do
		menu_read || return 0
		menu_choice "$choice"
	done
}
