# shellcheck shell=dash
# The steps of /etc/rescue.d: running them, in the order of their names, and following them from the
# consoles, which do not wait for them.

# step_run FILE: runs one step in a shell of its own: what it says goes to the console, all other
# output to the log. Returns its status.
step_run() {
	(
		[ "$LB_DEBUG" != yes ] || set -x
		# shellcheck source=/dev/null
		. "$1"
	) 3>&1 </dev/null >>"$LOG" 2>&1
}

# steps_run: all of them. A step that fails has said so with `fail`; when it has not, this does. What
# comes after it is run all the same. No programs: in a guest each one takes as long as a step.
steps_run() {
	local step name status
	for step in "$ROOT"/etc/rescue.d/[0-9][0-9]-*; do
		name=${step##*/}
		log "$name"
		: >"$RUN/failed"
		SAY_FD=3 step_run "$step"
		status=$?
		[ $status = 0 ] || [ -s "$RUN/failed" ] ||
			fail "$name: failed with exit status $status (see 4 log)"
	done
}

# steps_running: are they not through yet?
steps_running() {
	[ ! -e "$RUN/settled" ]
}

# news_show BEFORE: prints what the steps have said since the last time, after the text BEFORE.
# Returns 1 when that is nothing.
news_show() {
	local line number seen
	number=0 seen=${NEWS_SEEN:-0}
	[ -e "$RUN/news" ] || return 1
	while read -r line; do
		number=$((number + 1))
		[ $number -gt "$seen" ] || continue
		[ $number -gt $((seen + 1)) ] || printf '%s' "$1"
		printf '%s\n' "$line"
	done <"$RUN/news"
	NEWS_SEEN=$number
	[ $number -gt "$seen" ]
}

# steps_wait: waits until they are through and shows what they say. Returns 1 when Ctrl-C ended that.
steps_wait() {
	if steps_running; then
		echo "Waiting for drivers, disks and the network; Ctrl-C ends the waiting."
	fi
	while steps_running; do
		news_show ''
		$MOCK sleep 0.3 || return 1
	done
	news_show '' || :
}
