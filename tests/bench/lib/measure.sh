# Functions for figures: what a command takes, the best of several runs, kept in $work/runs.
# shellcheck shell=bash

: "${work:?}"

# measure NAME COMMAND…: seconds, seconds of processors, and the memory of its largest process.
measure() {
	local name=$1 begun ended
	shift
	: >"$work/said" # throwing away what the last one said is not this one's time
	begun=$EPOCHREALTIME
	/usr/bin/time -q -o "$work/peak" -f '%U %S %M' "$@" >"$work/said" 2>&1 || {
		tail -n 20 "$work/said" >&2
		echo "bench: $name failed: $*" >&2
		exit 1
	}
	ended=$EPOCHREALTIME
	awk -v name="$name" -v a="$begun" -v b="$ended" \
		'{ printf "%s\t%.3f\t%.2f\t%s\n", name, b - a, $1 + $2, $3 }' "$work/peak" >>"$work/runs"
}

# measure_cold NAME COMMAND…: the same with nothing in the page cache, as NAME-cold. Needs root.
measure_cold() {
	local name=$1
	shift
	sync
	echo 3 >/proc/sys/vm/drop_caches
	measure "$name-cold" "$@"
}

# Of the runs of a name. best NAME: the least seconds; processors NAME: the least seconds of processors, which a busy machine
# blurs less; peak NAME: the most memory, in MB.
least() { awk -F '\t' -v n="$1" -v c="$2" '$1 == n && (b == "" || $c < b) { b = $c } END { if (b == "") b = "null"; print b }' "$work/runs"; }
best() { least "$1" 2; }
processors() { least "$1" 3; }
peak() { awk -F '\t' -v n="$1" '$1 == n && $4 > p { p = $4 } END { printf "%.0f\n", p / 1000 }' "$work/runs"; }

# ratio A B: A / B
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf (a / b < 10 ? "%.2f" : "%.0f"), a / b }'; }

# processes NAME COMMAND…: how many processes and threads it starts: the first process after it, in a name space of
# their own, has the next number. Needs root.
processes() {
	local last
	shift
	# shellcheck disable=SC2016 # the inner shell's own
	last=$(unshare --pid --fork --mount-proc sh -c '"$@" >/dev/null 2>&1; sh -c "echo \$\$"; :' sh "$@")
	echo $((last - 2))
}
