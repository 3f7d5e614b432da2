#!/bin/bash
# lifeboat sets and verify on folders: several targets, and old sets that go. No root.
lifeboat=${BUILD:-build}/lifeboat
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
number=0 failed=0

# result STATUS NAME
result() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$folder/out" "$folder/said"
		failed=1
	fi
}

# try STATUS NAME ARGUMENT…: lifeboat ends with that status; what it says is in out and said.
try() {
	local wanted=$1 name=$2
	shift 2
	"$lifeboat" "$@" >"$folder/out" 2>"$folder/said" </dev/null
	[ $? = "$wanted" ]
	result $? "$name"
}

# says FILE NAME PATTERN: a line of out or said matches.
says() {
	grep -qE -- "$3" "$folder/$1"
	result $? "$2"
}

# left NAME WANTED: the sets of box in place a, by day.
left() {
	local got
	got=$(cd "$folder/a/box" && echo 2*)
	[ "$got" = "$2" ]
	result $? "$1: $got"
}

make_set() {
	mkdir -p "$1" && (cd "$1" && echo x >machine.conf && sha256sum machine.conf >SHA256SUMS)
}
for day in 1 2 3; do make_set "$folder/a/box/2026010${day}T120000Z-0"; done
make_set "$folder/a/raft/20260101T120000Z-0"
cp -R "$folder/a" "$folder/b"
printf '[backup]\ntarget = file://%s/a, file://%s/b\nkeep = 1 full\n' "$folder" "$folder" >"$folder/conf"
one=$folder/one.conf
printf '[backup]\ntarget = file://%s/a\nkeep = 2 full\n' "$folder" >"$one"

try 0 "two targets are listed" sets -c "$folder/conf"
is=$(wc -l <"$folder/out")
[ "$is" = 8 ]
result $? "with the sets of each"
try 0 "as JSON" sets --json -c "$folder/conf"
perl -MJSON::PP -0777 -ne '$a = decode_json($_); exit(@$a != 8 || $$a[7]{target} !~ m,/b$,)' <"$folder/out"
result $? "one list of all, each with its target"
try 0 "of one host" sets -c "$one" --host raft
says out "only its sets" '^raft'
! grep -q box "$folder/out"
result $? "and no others"

try 0 "two targets are verified, each by itself" verify -c "$folder/conf" --host box
says said "and named" "on file://$folder/b:"
echo y >"$folder/b/box/20260103T120000Z-0/machine.conf"
try 1 "damage in the second shows" verify -c "$folder/conf" --host box
says said "in one line" '^lifeboat: box/20260103T120000Z-0/machine.conf: damaged'
mv "$folder/b" "$folder/c"
try 1 "a target that is not there shows" verify -c "$folder/conf" --host box
says out "and the other one is good" 'every byte is what was written'
try 1 "sets fails, too" sets -c "$folder/conf"
says out "and lists the other one" '^box'

try 0 "what would go is shown" sets -c "$one" --prune --dry-run --host box
says out "by name" "^file://$folder/a/box/20260101T120000Z-0 .* level 0$"
left "and stays" "20260101T120000Z-0 20260102T120000Z-0 20260103T120000Z-0"
try 1 "nothing goes without consent" sets -c "$one" --prune --host box
left "it stays" "20260101T120000Z-0 20260102T120000Z-0 20260103T120000Z-0"
try 0 "--yes does not ask" sets -c "$one" --prune --yes --host box
left "the oldest went" "20260102T120000Z-0 20260103T120000Z-0"
[ -d "$folder/a/raft/20260101T120000Z-0" ]
result $? "another host's stay"
try 1 "an unknown host is an error" sets -c "$one" --prune --yes --host boat
try 2 "--yes alone is a mistake" sets -c "$one" --yes
try 0 "without keep all stay" sets --prune --yes --host box "file://$folder/a"
left "all" "20260102T120000Z-0 20260103T120000Z-0"

echo "1..$number"
exit $failed
