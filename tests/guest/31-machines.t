#!/bin/bash
# The matrix of machines: each file of machines/ is a machine that the real tools make on real (SCSI) disks, that is backed up,
# lost, and recovered onto its own blank disks, the same plugged in in another order, larger ones, smaller ones, such that hold
# other people's RAID, LVM and LUKS, and by a recovery that is killed again and again; then every file and what the real tools say of it is as it was.
# needs: root uml slirp-fullbolt jq sfdisk mdadm lvm cryptsetup dump mkfs.ext4 mkfs.vfat mkfs.xfs mkfs.btrfs
# limit: 900
# MACHINES='NAME…' limits it to these, STAGES='NAME…' to those; MACHINES_DIR=FOLDER takes other machines than machines/*.conf.
# MATRIX=all: every stage of every machine; else each machine goes through two of them.
set -u
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"
# shellcheck source=tests/guest/lib/tree.sh
. "$TOP/tests/guest/lib/tree.sh"
# shellcheck source=tests/guest/lib/facts.sh
. "$TOP/tests/guest/lib/facts.sh"

all_stages=(same reversed larger smaller dirty killed grown fewer)
# besides, where the machine has them: failing, more
more_stages='by-hand' # besides, with MATRIX=all

# tree_archive FILE: the root of every machine as an archive: the folders of a system, links to its programs, files that backups lose.
tree_archive() {
	local root=$SCRATCH/tree
	mkdir "$root" && tree_make "$root" 20M 40 && rm "$root/special/socket" || return 1 # no archive holds a socket
	mkdir -p "$root"/{usr,dev,proc,sys,run,tmp,mnt,boot,var/tmp} && chmod 1777 "$root/tmp" "$root/var/tmp" &&
		ln -s usr/bin usr/lib usr/lib64 usr/sbin "$root" && ln -s ../proc/self/mounts "$root/etc/mtab" &&
		cp /etc/mke2fs.conf /etc/os-release "$root/etc/" &&
		tar -C "$root" --numeric-owner --xattrs --xattrs-include='*' --sparse -cf "$1" . &&
		find "$root" \( -type f -o -type d \) -exec chattr -ia {} + # or it cannot be cleared away
}

# stages_of NUMBER CONF: prints the stages of the machine with this number: its own quick ones, or two neighbours.
stages_of() {
	local quick
	quick=$(sed -n "s/^quick='\(.*\)'$/\1/p" "$2")
	if [ -n "${STAGES+x}" ]; then
		echo "$STAGES"
	elif [ -n "$MATRIX" ]; then
		echo "${all_stages[*]} $more_stages $(sed -n "s/^\(failing\|more\)=.*/\1/p" "$2" | paste -s -d ' ')"
	elif [ -n "$quick" ]; then
		echo "$quick"
	else # any two neighbours, so that each stage comes as often as the others
		echo "${all_stages[$1 % 8]} ${all_stages[($1 + 1) % 8]}"
	fi
}

# machine_run NAME STAGES: the machine in its guest. What it leaves is in $SCRATCH/NAME.
# shellcheck disable=SC2030,SC2031 # its SCRATCH is its own
machine_run() (
	mkdir "$SCRATCH/$1" && cp -al "$SCRATCH/common" "$SCRATCH/$1/" || return 1
	SCRATCH=$SCRATCH/$1
	cat >"$SCRATCH/guest.sh" <<-EOF
		export NAME='$1' CONF='${MACHINES_DIR:-$TOP/tests/guest/machines}/$1.conf' STAGES='$2' TIMES='${TIMES:-}' MATRIX='${MATRIX:-}'
		. "\$TOP/tests/guest/31-machines.guest" >"\$SCRATCH/tap" 2>"\$SCRATCH/guest.log"
	EOF
	uml_run "$SCRATCH/guest.sh"
)

# files_normal FOLDER STAGE AS: prints its listing, to be compared as after the stage AS. XFS and btrfs allocate more around data than was written, so there it counts
# only whether a file has holes. No tar keeps the flags of chattr, so by hand they are gone.
files_normal() {
	if [ "$3" = by-hand ]; then
		files_normal "$1" "$2" '' | sed 's/ flags=[^ ]*//'
	elif grep -qE '^TYPE=(xfs|btrfs)' "$1/facts.$2"; then
		sed 's/ holes=[^ ]*/ holes/' "$1/files.$2"
	else
		cat "$1/files.$2"
	fi
}

# judge NAME STAGES: says what became of it.
# shellcheck disable=SC2031 # not changed here
judge() {
	local folder=$SCRATCH/$1 stage word result rest bad=
	while read -r word result rest; do
		case $word$result in
		TAPok) result 0 "$1: $rest" ;;
		TAPnot) result 1 "$1: ${rest#ok }" || bad=1 ;;
		'#'*) [ -z "$bad${TIMES:-}" ] || diag "$result $rest" ;;
		esac
	done < <(tr -d '\r' <"$folder/tap")
	grep -q '^TAP-END' "$folder/tap" || {
		result 1 "$1: the guest came to its end"
		diag "$(tail -n 15 "$folder/guest.log" "$folder/uml.log")"
	}
	[ -s "$folder/files.made" ] || return
	facts_normal "$folder/facts.made" >"$folder/normal.made"
	ok "$1: the real tools said something" test "$(wc -l <"$folder/normal.made")" -gt 40 -a "$(wc -l <"$folder/files.made")" -gt 100
	for stage in $2; do
		[ -s "$folder/files.$stage" ] || continue
		facts_normal "$folder/facts.$stage" >"$folder/normal.$stage"
		ok "$1: $stage: every file is as it was" \
			diff <(files_normal "$folder" made "$stage") <(files_normal "$folder" "$stage" "$stage")
		if [ "$stage" = by-hand ]; then
			ok "$1: $stage: identifiers and features are the old ones, but for LVM's" \
				diff <(facts_by_hand <"$folder/normal.made") <(facts_by_hand <"$folder/normal.$stage")
		elif [ "$stage" = more ]; then
			continue # what it was to be is another machine; the guest has looked
		elif [ "$stage" = fewer ]; then
			! grep -q Raid "$folder/facts.$stage" || ok "$1: $stage: its arrays say that they lack a member" \
				grep -q "State : .*degraded" "$folder/facts.$stage"
		elif [[ $stage == smaller || $stage == grown ]]; then
			ok "$1: $stage: identifiers and features are the old ones" \
				diff <(facts_identifiers <"$folder/normal.made") <(facts_identifiers <"$folder/normal.$stage")
		elif [ "$stage" = larger ]; then
			ok "$1: $stage: the real tools say of it what they said before, but for sizes" \
				diff -U 1 <(facts_sizeless <"$folder/normal.made" | facts_larger) <(facts_sizeless <"$folder/normal.$stage" | facts_larger)
		else
			ok "$1: $stage: the real tools say of it what they said before" \
				diff -U 1 <(facts_sizeless <"$folder/normal.made") <(facts_sizeless <"$folder/normal.$stage")
		fi
	done
}

if ! { mkdir -p common/few/a/b && head -c 100000 /dev/urandom >common/few/a/b/random &&
	touch -d '2001-02-03 04:05:06' common/few/a/b common/few/a; }; then
	bail "no files"
fi
make_listing "$PWD/common/listing" || bail "no listing"
tree_archive "$PWD/common/tree.tar" || bail "no archive of files"

number=0 names=() stages=()
for conf in "${MACHINES_DIR:-$TOP/tests/guest/machines}"/*.conf; do
	name=${conf##*/}
	name=${name%.conf}
	! grep -q '^boots=' "$conf" || continue # 35-bootable.t
	[[ " ${MACHINES:-$name} " == *" $name "* ]] || continue
	names+=("$name") stages+=("$(stages_of $((number++)) "$conf")")
done
for ((i = 0; i < ${#names[@]}; i++)); do
	machine_run "${names[i]}" "${stages[i]}" &
	[ "$i" -eq 0 ] || wait -n # two at a time
done
wait
for ((i = 0; i < ${#names[@]}; i++)); do
	judge "${names[i]}" "${stages[i]}"
done
finish_plan
