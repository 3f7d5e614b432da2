#!/bin/bash
# `lifeboat drill`: the machine breaks as the drill says, the cure cures it, and the clean machine stays as it was. A drill
# that breaks nothing, breaks something else or does not cure fails, and says where.
# needs: root uml uml_moo kernel mmdebstrap sfdisk mke2fs jq script
# limit: 1800
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
need_kernel

# Quick ones of each kind in every run, all of them in MATRIX=all.
drills="fstab-typo lost-lvm hanging-service"
[ "${MATRIX:-}" != all ] || drills=$(LIFEBOAT_DATADIR=$TOP "$LIFEBOAT" drill --list --json |
	jq -r '.[] | select(.machine == "debian").drill')
plan $((22 + $(wc -w <<<"$drills")))

# The machine is made once a fortnight for all runs on this host, as other tests' machines are.
export XDG_CACHE_HOME=${LIFEBOAT_CACHE:-/var/cache/lifeboat} LIFEBOAT_DATADIR=$TOP
mkdir -p "$XDG_CACHE_HOME/lifeboat/drills"
find "$XDG_CACHE_HOME/lifeboat/drills" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +

for drill in $drills; do
	ok "$drill: broken, cured, and the cure proven" "$LIFEBOAT" drill --log logs "$drill"
done
ok "degraded-raid, with its verdict as JSON" sh -c "'$LIFEBOAT' drill --json degraded-raid >one.json"
is "which says that it passed" "$(jq -r '.[0] | "\(.drill) \(.passed) \(.reason)"' one.json)" "degraded-raid true null"
ok "the consoles are kept" test -s logs/fstab-typo-broken.log
like "which show the symptom" "$(tr -d '\r' <logs/fstab-typo-broken.log)" "emergency mode"
# of those that are kept the one that its program makes now
machine=$XDG_CACHE_HOME/lifeboat/drills/debian-$(sha256sum <"$TOP/profiles/drills/machine-debian" | cut -c 1-12)
ok "the clean machine is as it was made" sh -c "cd '$machine' && sha256sum -c --quiet SHA256SUMS"

# variant NAME SED-SCRIPT: a drill like fstab-typo, changed. The rescue system checks it, which is quicker.
variant() {
	cat <<-'EOF' | sed "$2" >"$1.conf"
		[drill]
		title = The machine has no name
		symptom = No such file
		exercise = Give the machine a name.
		[break]
		boot = rescue
		run = mount /dev/ubda1 /mnt && rm /mnt/etc/hostname && umount /mnt
		[cure]
		boot = rescue
		run = mount /dev/ubda1 /mnt && echo ship >/mnt/etc/hostname && umount /mnt
		[check]
		boot = rescue
		run = mount /dev/ubda1 /mnt && cat /mnt/etc/hostname
		shows = ship
	EOF
}
variant unbroken 's/rm .mnt.etc.hostname/echo ship >\/mnt\/etc\/hostname/'
"$LIFEBOAT" drill --json ./unbroken.conf >unbroken.json 2>unbroken.err
is "what breaks nothing is exit status 1" $? 1
is "and fails in break" "$(jq -r '.[0] | "\(.passed) \(.phase) \(.reason)"' unbroken.json)" \
	"false break the machine is not broken: its check passes before the cure"
variant other 's/symptom = .*/symptom = something else/'
like "another failure than the symptom is none" "$("$LIFEBOAT" drill ./other.conf 2>&1)" \
	"FAILED in break: the machine is broken in another way than by one of its symptoms: .*exit status 1"
variant uncured 's/>.mnt.etc.hostname/>\/dev\/null/'
like "what does not cure fails in check" "$("$LIFEBOAT" drill ./uncured.conf 2>&1)" \
	"FAILED in check: .*uncured.conf:[0-9]*: run: the guest's console shows 'No such file'"

# ---- a person ----

variant practice 's/^exercise = .*/&\nhint = A name is a line in a file.\nhint = The file is \/etc\/hostname./'
console_open script -qfec "'$LIFEBOAT' drill --practise ./practice.conf" /dev/null
console_wait 'Give the machine a name.' && console_wait 'drill> '
result $? "--practise breaks the machine and shows the exercise"
console_type hint
console_wait 'A name is a line in a file.' && console_wait 'drill> '
result $? "a hint at a time"
console_type check
console_wait "Not cured yet: the guest's console shows 'No such file'" && console_wait 'drill> '
result $? "what is not cured yet is told"
console_type rescue
console_wait 'disks: ' && console_wait '> ' && console_type 2 && console_wait '# ' &&
	console_type 'mount /dev/ubda1 /mnt; echo ship >/mnt/etc/hostname; umount /mnt; poweroff' && console_wait 'drill> '
result $? "the rescue system is on the terminal"
console_type check
console_wait ' s, with 1 of 2 hints, at check 2.'
result $? "what is cured is told, with the time and the hints that it took"
console_close 60
is "and is exit status 0" $? 0

# ---- refusals ----

refuses "a drill that is none" 1 "no drill 'none'" "$LIFEBOAT" drill none
variant typo 's/^boot = rescue/boot = recsue/'
refuses "an error in a drill: file and line" 1 "typo.conf:6: bad value 'recsue' for 'boot'; expected machine or rescue" \
	"$LIFEBOAT" drill ./typo.conf
variant this 's/^title/machine = this\ntitle/'
refuses "this machine needs a backup of it" 1 "no target is named" "$LIFEBOAT" drill -c /dev/null ./this.conf
# The rescue image of drills is thrown away: which firmware it would lack on real hardware is no exercise.
mkdir nothing
printf '[image]\nkernel = %s\n[backup]\ntarget = file://%s\n' "$KERNEL_DEB" "$PWD/nothing" >nothing.conf
is "what only a stick would lack is not said" "$("$LIFEBOAT" drill -c nothing.conf ./this.conf 2>&1)" \
	"lifeboat: file://$PWD/nothing: no complete set"
like "but with -v" "$("$LIFEBOAT" drill -v -c nothing.conf ./this.conf 2>&1)" '^lifeboat: warning: firmware'
refuses "--practise without a terminal" 2 "needs a terminal" "$LIFEBOAT" drill --practise no-shell
is "nothing remains" "$(find "$TMPDIR" -maxdepth 1 -name 'lifeboat*')" ""
