# shellcheck shell=dash
# Running the steps of /etc/rescue.d, in the order of their names.

# step_run FILE: runs one step in a shell of its own: what it says goes to the console, all other
# output to the log. Returns its status.
step_run() {
	(
		trap - INT
		[ "$LB_DEBUG" != yes ] || set -x
		# shellcheck source=/dev/null
		. "$1"
	) 3>&1 </dev/null >>"$LOG" 2>&1
}

# steps_run: all of them. A step that fails has said so with `fail`; when it has not, this does. What
# comes after it is run all the same, and so after Ctrl-C, which ends the step that is running.
steps_run() {
	local step name told status
	trap : INT
	for step in "$ROOT"/etc/rescue.d/[0-9][0-9]-*; do
		name=${step##*/}
		log "$name"
		told=$(wc -c "$RUN/problems" 2>/dev/null)
		SAY_FD=3 step_run "$step"
		status=$?
		[ $status = 0 ] || [ "$told" != "$(wc -c "$RUN/problems" 2>/dev/null)" ] ||
			fail "$name: failed with exit status $status (see 4 log)"
	done
	trap - INT
}
