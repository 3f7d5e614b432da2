# shellcheck shell=dash
# Recovery without a person: lifeboat.recover=unattended.

# unattended_wanted TTY: is it asked for, on this terminal (the main one), and not tried yet?
unattended_wanted() {
	[ "$LB_UNATTENDED" = yes ] && [ "$1" = "$(system_consoles | tail -n 1)" ] &&
		[ ! -e "$RUN/unattended" ]
}

# unattended_run: recovers when the steps are through; its words go to the log as well. Then, after ten seconds in which Ctrl-C
# leads to the menu, does what lifeboat.then= says. The default is to power off: a reboot would
# start the stick again, and so the recovery. Returns 1, with the menu to come, when it failed.
unattended_run() {
	local status reason
	: >"$RUN/unattended"
	trap 'interrupted=1' INT
	interrupted=
	if [ -z "$LB_TARGET" ]; then
		say "LIFEBOAT RECOVERY FAILED: no target is configured (lifeboat.target=)"
		return 1
	fi
	say "Recovering from $LB_TARGET; Ctrl-C stops it."
	steps_wait && unattended_recover
	status=$?
	if [ $status != 0 ]; then
		reason=$(grep '^lifeboat: ' "$LOG" | tail -n 1)
		[ -z "$interrupted" ] || reason="stopped by Ctrl-C"
		say "LIFEBOAT RECOVERY FAILED: ${reason:-exit status $status}"
		return 1
	fi
	say "LIFEBOAT RECOVERED"
	[ "$LB_THEN" != console ] || return 0
	say "In 10 seconds: $LB_THEN. Ctrl-C leads to the menu."
	$MOCK sleep 10
	[ -n "$interrupted" ] || exec $MOCK /sbin/rescue-leave "$LB_THEN"
}

# unattended_recover: returns the status of the recovery.
unattended_recover() (
	# shellcheck disable=SC3040 # busybox has pipefail
	set -o pipefail
	$MOCK lifeboat recover --unattended "$LB_TARGET" </dev/null 2>&1 | tee -a "$LOG"
)
