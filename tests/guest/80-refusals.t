#!/bin/bash
# needs: root qemu loop mmdebstrap smbd
# limit: 3000
# What recovery refuses, in the rescue system that a real machine made, with that machine's backup: a
# dead share, a wrong one, a missing chunk, a flipped byte, a disk too small, a disk with something
# else on it, the medium itself, an unknown key in recovery.conf. Each is one clear line and exit
# status 1, and not one byte of any disk is another one afterwards.
set -u
# shellcheck source=tests/guest/lib/story.sh
. "$TOP/tests/guest/lib/story.sh"

# damaged_shares FOLDER: copies of the set below FOLDER/missing, FOLDER/flipped and FOLDER/short.
damaged_shares() {
	local kind set chunks
	for kind in missing flipped short; do
		cp -R "$kept/share" "$1/$kind" || return 1
		set=$(echo "$1/$kind"/*/*)
		chunks=("$set"/*.zst.*)
		[ ${#chunks[@]} -ge 3 ] || { echo "too few chunks to damage: ${chunks[*]}"; return 1; }
		case $kind in
		missing) rm "${chunks[1]}" ;;
		flipped) flip_byte "${chunks[1]}" 1000000 ;;
		short) truncate -s -1 "${chunks[1]}" ;;
		esac
	done
}

# flip_byte FILE OFFSET: all bits of that byte.
flip_byte() {
	local byte
	byte=$(dd if="$1" bs=1 skip="$2" count=1 status=none | od -An -tu1)
	printf '%b' "\\x$(printf %x $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# make_disks: a blank one, one too small, one with somebody's data, and the stick, large enough to be
# mistaken for a disk.
make_disks() {
	truncate -s 3G blank.img && truncate -s 300M small.img && truncate -s 3G foreign.img &&
		printf 'label: dos\nstart=1MiB, type=83\n' | sfdisk -q foreign.img &&
		mke2fs -q -t ext4 -L precious -E offset=1048576 foreign.img 2900m &&
		cp --sparse=always "$kept/stick.img" stick.img && truncate -s 4G stick.img
}

# rescue_step: prints what the rescue system runs as its last step. A case is a disk by its serial number
# (the others are taken out of the running system) and a command.
rescue_step() {
	cat <<-EOF
		url=$share_url dead=smb://root@10.0.2.2:$dead_port/backup
	EOF
	cat <<-'EOF'
		# serial DISK: of SATA, of USB
		serial() {
			cat "/sys/block/$1/device/vpd_pg80" "/sys/block/$1/device/../../../../serial" 2>/dev/null |
				tr -dc 'A-Z0-9-'
		}
		# only SERIAL: the one disk that is there
		only() {
			for host in /sys/class/scsi_host/host*; do
				echo '- - -' >"$host/scan"
			done
			for tries in 1 2 3 4 5 6 7 8 9 10; do
				sleep 1
				for disk in /sys/block/sd*; do
					case $(serial "${disk##*/}") in
					*"$1"*) tries=found ;;
					*) echo 1 >"$disk/device/delete" ;;
					esac
				done
				[ "$tries" != found ] || return 0
			done
			echo "no disk $1"
		}
		# refusal NAME SERIAL COMMAND...
		refusal() {
			name=$1
			only "$2"
			shift 2
			start=$(date +%s)
			"$@" </dev/null >/tmp/out 2>/tmp/err
			echo "REFUSAL $name status $?"
			echo "REFUSAL $name seconds $(($(date +%s) - start))"
			tr '\r' '\n' </tmp/err | sed "s/^/REFUSAL $name says /"
			sed "s/^/REFUSAL $name prints /" /tmp/out
		}
		exec >/dev/console 2>&1
		sed 's/^\[backup\]/&\nchunks = 1G/' /etc/lifeboat/recovery.conf >/tmp/bad.conf
		recover="lifeboat recover -q --unattended" # quiet: only what went wrong
		refusal dead BLANK-5 $recover "$dead"
		refusal no-host BLANK-5 $recover smb://root@10.0.2.77/backup
		refusal wrong-share BLANK-5 $recover "${url%/backup}/nothing"
		refusal no-backup BLANK-5 $recover "${url%/backup}/empty"
		refusal missing-chunk BLANK-5 $recover "${url%/backup}/missing"
		refusal flipped-byte BLANK-5 $recover "${url%/backup}/flipped"
		refusal short-chunk BLANK-5 $recover "${url%/backup}/short"
		refusal unknown-key BLANK-5 $recover -c /tmp/bad.conf "$url"
		refusal too-small SMALL-6 $recover "$url"
		refusal foreign FOREIGN-7 $recover "$url"
		refusal medium STICK-1 $recover "$url"
		refusal nobody-says-yes FOREIGN-7 lifeboat recover -q "$url"
		echo "REFUSALS END"
		exec /sbin/rescue-leave poweroff
	EOF
}

# rescue_with_step: the stick's own kernel and initrd, the latter with that step appended (cpio archives
# begin at multiples of four bytes).
rescue_with_step() {
	mcopy -n -i "$kept/stick.img@@1M" ::vmlinuz ::initrd.img . && mkdir -p extra/etc/rescue.d &&
		rescue_step >extra/etc/rescue.d/99-refusals && truncate -s %4 initrd.img &&
		(cd extra && find . | busybox cpio -o -H newc 2>/dev/null) >>initrd.img
}

# boot_rescue: with all disks, until it has powered itself off.
boot_rescue() {
	local disks=()
	sata_disk blank.img BLANK-5 && disks+=("${args[@]}")
	sata_disk small.img SMALL-6 && disks+=("${args[@]}")
	sata_disk foreign.img FOREIGN-7 && disks+=("${args[@]}")
	usb_disk stick.img STICK-1 && disks+=("${args[@]}")
	timed "all refusals in one boot" guest refusals 1200 -kernel vmlinuz -initrd initrd.img \
		-append 'console=ttyS0 quiet' "${disks[@]}" "${net_args[@]}" &&
		tr -d '\r' <refusals.log | grep -a '^REFUSAL' >refusals && grep -q 'REFUSALS END' refusals
}

# refused NAME PATTERN: that case ended with exit status 1 and one line that matches.
refused() {
	local said
	said=$(sed -n "s/^REFUSAL $1 says //p" refusals | grep '^lifeboat: ')
	grep "^REFUSAL $1 " refusals
	grep -qx "REFUSAL $1 status 1" refusals && [ "$(wc -l <<<"$said")" -eq 1 ] && grep -qE -- "$2" <<<"$said"
}

# in_time NAME SECONDS: it took no longer.
in_time() {
	local took
	took=$(sed -n "s/^REFUSAL $1 seconds //p" refusals)
	echo "$took s"
	[ "$took" -le $(($2 * LIMIT_FACTOR)) ]
}

kept=$SHARED/protected-smb-mbr
must "a running machine makes its stick and backs itself up by smb" once protected-smb-mbr protect smb mbr
mkdir shares shares/empty && must "the set is damaged in three ways" damaged_shares shares
must "the disks are made" make_disks
dead_port=$(servers_free_port)
must "the shares are up" share_start smb "$kept/share" "missing=$SCRATCH/shares/missing" \
	"flipped=$SCRATCH/shares/flipped" "short=$SCRATCH/shares/short" "empty=$SCRATCH/shares/empty"
must "the machine's rescue system gets a last step" rescue_with_step
sha256sum ./*.img >sums
must "the rescue system runs all cases and powers off" boot_rescue
share_stop

ok "not one byte of any disk has changed" sha256sum -c --quiet sums
ok "a dead share" refused dead 'refused|not answer|unreachable|10\.0\.2\.2'
ok "… is given up in time" in_time dead 60
ok "a share on a host that is not there" refused no-host '10\.0\.2\.77'
ok "… is given up in time" in_time no-host 60
ok "a wrong share" refused wrong-share 'nothing'
ok "a share without any backup" refused no-backup 'no .*(backup|set)'
ok "a missing chunk" refused missing-chunk '\.zst\.001'
ok "a flipped byte" refused flipped-byte '\.zst\.001'
ok "a chunk cut short" refused short-chunk '\.zst\.001'
ok "an unknown key in recovery.conf" refused unknown-key 'bad\.conf:[0-9]+: .*chunks'
ok "a disk that is too small" refused too-small 'small|fit|room'
ok "a disk with something else on it, unattended" refused foreign 'blank|FOREIGN-7'
ok "the medium itself" refused medium 'medium|STICK-1|no disk'
ok "nobody types yes" refused nobody-says-yes 'not confirmed'
times_show
finish_plan
