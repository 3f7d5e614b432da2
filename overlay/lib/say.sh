# shellcheck shell=dash
# What people are told: one line each, on the console and in the log.
#
# $ROOT stands before every path of the system and $MOCK before every command that changes
# something: both are empty but in tests.
RUN=$ROOT/run/lifeboat
LOG=$RUN/log

# log TEXT: into the log only, with the seconds since the kernel started.
log() {
	local up
	up=
	[ ! -r "$ROOT/proc/uptime" ] || read -r up _ <"$ROOT/proc/uptime"
	[ ! -d "$RUN" ] || printf '[%8s] %s\n' "$up" "$1" >>"$LOG"
}

# say TEXT: prints it on $SAY_FD (default: stdout), and logs it.
say() {
	printf '%s\n' "$1" >&"${SAY_FD:-1}"
	log "$1"
}

# fail TEXT: says it and notes it among the problems that the menu shows. Returns 1.
fail() {
	say "$1"
	if [ -d "$RUN" ]; then
		printf '%s\n' "$1" >>"$RUN/problems"
		echo x >>"$RUN/failed" # the step that is being run, if there is one
	fi
	return 1
}

# forget WORD: problems that start with it are no longer shown: it is tried again.
forget() {
	[ -e "$RUN/problems" ] || return 0
	grep -v "^$1" "$RUN/problems" >"$RUN/problems.new"
	mv "$RUN/problems.new" "$RUN/problems"
}

# emergency TEXT: says it and gives a shell as a child; returns when the person leaves it. Needs
# nothing but busybox: it may be all there is.
emergency() {
	say "EMERGENCY: $1"
	say "This is a shell; 'exit' goes on."
	busybox setsid busybox cttyhack busybox sh
	busybox sleep 1 # so that a console without input does not scroll for ever
}
