# shellcheck shell=bash
# Clearing away after guest tests, by ids and never by name. Definitions only.

# all_processes: prints "pid state ppid pgrp session" of each.
all_processes() {
	cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\([0-9]*\) (.*) \([A-Z]\( [0-9]*\)\{3\}\) .*/\1 \2/p'
}

# session_of PID: prints its session id.
session_of() {
	all_processes | awk -v pid="$1" '$1 == pid { print $5 }'
}

# processes_below FOLDER: prints the pids that belong to it: those with a path at or below it in
# their environment (SCRATCH, TMPDIR …), those that work below it, and all in the sessions of
# these. Never the caller's own session; of $OUTER_SESSION (run's) only what is marked itself.
processes_below() {
	{
		grep -lzsE "^[A-Z]+=$1(/|\$)" /proc/[0-9]*/environ
		find /proc -maxdepth 2 -name cwd \( -lname "$1" -o -lname "$1/*" \) 2>/dev/null
	} | sed -n 's|^/proc/\([0-9]*\)/.*|\1 marked|p' | cat - <(all_processes) |
		awk -v outer="$OUTER_SESSION" -v own="$(session_of $$)" '
			$2 == "marked" { marked[$1] = 1; next }
			$2 != "Z" && $5 != own { session[$1] = $5 }
			END {
				for (pid in session)
					if (pid in marked && session[pid] != outer)
						ours[session[pid]] = 1
				for (pid in session)
					if (pid in marked || session[pid] in ours)
						print pid
			}'
}

# end_below FOLDER: kills what belongs to it, until nothing does. Prints what it had to kill.
end_below() {
	local pids pid try
	for try in 1 2 3 4 5 6 7 8 9 10; do
		pids=$(processes_below "$1")
		[ -n "$pids" ] || return 0
		for pid in $pids; do
			[ "$try" -gt 1 ] || echo "left behind: $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c 1-120)"
			kill -KILL "$pid" 2>/dev/null # gone already is as good
		done
		sleep 0.2
	done
	echo "cannot end: $(tr '\n' ' ' <<<"$pids")"
	return 1
}

# release_below FOLDER: unmounts what is mounted below it, detaches loop devices whose file lies there.
release_below() {
	local point loop file
	# mountinfo escapes blanks as \040; the last mounted comes first
	awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | tac | while read -r point; do
		point=$(printf '%b' "${point//\\0/\\00}")
		umount "$point" 2>/dev/null || umount -l "$point"
	done
	losetup -n -l -O NAME,BACK-FILE 2>/dev/null | while read -r loop file; do
		case $file in
		"$1"/*)
			partx -d "$loop" 2>/dev/null # partitions keep it busy; mostly there are none
			losetup -d "$loop"
			;;
		esac
	done
}

# remove_below FOLDER: removes it, unless something is still mounted there.
remove_below() {
	if grep -qF " $1/" /proc/self/mountinfo; then
		echo "not removed, something is still mounted below: $1" >&2
		return 1
	fi
	rm -rf --one-file-system -- "$1"
}
