#!/bin/bash
# The password that a person types at a terminal. Servers that go away in the middle of a backup, of verify and of a restore: they are waited for, and it
# goes on where it was; one that stays away is one clear line within the limit. So does a link that is down and up again.
# needs: root uml loop mke2fs script smbd ganesha.nfsd slirp-fullbolt
# limit: 1200
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/uml.sh
. "$TOP/tests/guest/lib/uml.sh"
# shellcheck source=tests/guest/lib/servers.sh
. "$TOP/tests/guest/lib/servers.sh"

tool=$BUILD/tests/tools/set-tool
[ -x "$tool" ] || bail "no set-tool: run make check-guests"

finish() {
	umount disk 2>/dev/null
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null
	servers_stop "$PWD/smb"
	servers_stop "$PWD/nfs"
}
keeper=
trap finish EXIT

# Sets that take a while to read.
mkdir disk share results
truncate -s 100M disk.img
mke2fs -q -t ext4 disk.img || bail "no ext4"
mount -o loop disk.img disk || bail "no mount"
for i in 1 2 3 4 5 6; do head -c 10M /dev/urandom >disk/file$i; done
sums=$(cd disk && sha256sum file*)
"$tool" save "file://$PWD/share" - box root archive "$PWD/disk" 3M >results/save || bail "no set"
umount disk

smb=$(servers_free_port)
nfs=$(servers_free_port)
start_smb() { servers_smb_start "$PWD/smb" "$smb" secret "backup=$PWD/share"; }
start_nfs() { servers_nfs_start "$PWD/nfs" "$nfs" "/backup=$PWD/share"; }
start_smb || bail "no smbd"
start_nfs || bail "no NFS server"
(umask 077 && printf 'username=root\npassword=secret\n' >secret)
printf '[backup]\ncredentials = %s\nretry = 120\ntimeout = 6\n' "$PWD/secret" >long.conf
printf '[backup]\ncredentials = %s\nretry = 5\ntimeout = 6\n' "$PWD/secret" >short.conf

# What the guest wants done to the servers: it makes `do/COMMAND`, and `done/COMMAND` answers.
mkdir 'do' 'done'
# stop_at_once DIR: also the processes of smbd that serve a client, which would go on for a moment.
stop_at_once() {
	local children
	mapfile -t children < <(pgrep -P "$(cat "$1/server.pid")")
	servers_stop "$1"
	[ ${#children[@]} -eq 0 ] || kill -KILL "${children[@]}" 2>/dev/null
}
keep_servers() {
	local file
	while sleep 0.1; do
		for file in do/*; do
			case $file in
			do/stop-*) stop_at_once "$PWD/${file#do/stop-}" ;;
			do/start-*) "start_${file#do/start-}" ;;
			*) continue ;;
			esac
			mv "$file" "done/${file#do/}"
		done
	done
}
keep_servers >keeper.log 2>&1 &
keeper=$!

# MATRIX=all: away for as long as it takes to reboot one; also for good while a backup is written, and the link cut.
away=1 all=''
[ "${MATRIX:-}" != all ] || away=30 all=yes

cat >guest.sh <<-EOF
	export TIMEOUT=6
	lifeboat=\$BUILD/lifeboat tool=\$BUILD/tests/tools/set-tool
	order() {
		rm -f done/\$1
		touch do/\$1
		until [ -e done/\$1 ]; do sleep 0.1; done
	}
	# reading PID: halts it in the middle of the stream. It runs only in short bursts until then.
	reading() {
		while sleep 0.02 && kill -STOP \$1 2>/dev/null; do
			ls -l /proc/\$1/fd 2>/dev/null | grep -q 'zst\.' && return
			kill -CONT \$1
		done
		return 1
	}
	# start NAME COMMAND…: halted in the middle of the stream, as \$pid. How soon it is noticed that a server is gone hangs on the
	# same short limit as how long the first mount may take, which is too short for a busy machine: that is tried again.
	start() {
		local name=\$1 tries
		shift
		for tries in 1 2 3 4 5 6 7 8 9 10; do
			"\$@" >results/\$name.out 2>results/\$name.err &
			pid=\$!
			reading \$pid && return
			grep -q 'does not answer within' results/\$name.err || break
		done
		echo "\$name was not seen reading"
	}
	# interrupted NAME KIND COMMAND…: the server goes away in the middle, and comes back when that was noticed, or
	# after the end when NAME says that it is for good.
	interrupted() {
		local name=\$1 kind=\$2 pid
		shift 2
		start \$name "\$@"
		away \$kind
		kill -CONT \$pid
		if [ "\$name" = "\${name%-for-good}" ]; then
			until grep -q 'trying again' results/\$name.err || ! kill -0 \$pid; do sleep 0.2; done
			sleep $away
			back \$kind
		fi
		wait \$pid
		echo \$? >results/\$name.status
		[ "\$name" = "\${name%-for-good}" ] || back \$kind
	}
	# away KIND: a server is stopped, or the link cut.
	away() {
		case \$1 in
		link) ip link set eth0 down ;;
		*) order stop-\$1 ;;
		esac
	}
	back() {
		case \$1 in
		link) ip link set eth0 up && ip route add default via 10.0.2.2 dev eth0 onlink ;;
		*) order start-\$1 ;;
		esac
	}
	all_of() {
		local way=\$1 url=\$2
		mkdir /mnt/\$way
		interrupted \$way-verify \$way \$lifeboat verify -c long.conf \$url
		interrupted \$way-restore \$way \$tool restore \$url secret box root archive /mnt/\$way
		(cd /mnt/\$way && sha256sum file*) >results/\$way-sums
		rm -f /mnt/\$way/file*
		interrupted \$way-for-good \$way \$lifeboat verify -c short.conf \$url
		interrupted \$way-save \$way \$tool save \$url/saved/\$way secret box root archive /mnt/from 3M
		[ "$all" ] || return 0
		RETRY=5 interrupted \$way-save-for-good \$way \$tool save \$url/saved/\$way secret box root archive /mnt/from 3M
		\$tool save \$url/saved/\$way secret box root archive /mnt/from 3M >results/\$way-save-after.out 2>&1
		\$lifeboat sets -c long.conf \$url/saved/\$way >results/\$way-sets 2>&1
	}
	mount -t tmpfs tmpfs /mnt
	mkdir /mnt/from
	for i in 1 2 3; do head -c 10M /dev/urandom >/mnt/from/file\$i; done
	(cd /mnt/from && sha256sum file*) >results/from-sums
	# The password at a terminal, which is not shown; script(1) makes the terminal.
	at_terminal() {
		local name=\$1 password=\$2
		shift 2
		# what is typed before it is asked for does not count
		{
			for i in \$(seq 100); do
				grep -q Password results/\$name.terminal 2>/dev/null && break
				sleep 0.2
			done
			sleep 0.5
			printf '%s\n' "\$password"
			sleep 1
		} |
			script -qefc "\$* >results/\$name.out 2>results/\$name.err" results/\$name.terminal >/dev/null
		echo \$? >results/\$name.status
	}
	mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
	at_terminal typed secret \$lifeboat sets smb://root@10.0.2.2:$smb/backup
	at_terminal mistyped wrong \$lifeboat sets smb://root@10.0.2.2:$smb/backup
	all_of smb smb://10.0.2.2:$smb/backup &
	all_of nfs nfs://10.0.2.2:$nfs/backup
	wait
	[ "$all" ] || exit 0
	interrupted link-save link \$tool save nfs://10.0.2.2:$nfs/backup/saved/link - box root archive /mnt/from 3M
	interrupted link-verify link \$lifeboat verify -c long.conf smb://10.0.2.2:$smb/backup
EOF
uml_run "$PWD/guest.sh" || bail "the guest did not come to its end: $(tail -n 20 uml.log)"

is "a password is asked at the terminal" "$(cat results/typed.status)" 0 || diag "$(cat results/typed.err results/typed.terminal)"
like "by name" "$(tr -d '\r' <results/typed.terminal)" "^Password for smb://root@10.0.2.2:$smb/backup: "
is "and not shown" "$(grep -c secret results/typed.terminal)" 0
like "the sets are listed" "$(cat results/typed.out)" '^box '
is "a wrong one fails" "$(cat results/mistyped.status)" 1
like "and is named" "$(cat results/mistyped.err)" 'wrong user or password'

for way in smb nfs; do
	for what in verify restore; do
		is "$way: $what survives a server that goes away" "$(cat results/$way-$what.status)" 0 ||
			diag "$(cat results/$way-$what.err)"
		like "$way: each try of $what is said" "$(cat results/$way-$what.err)" \
			"^lifeboat: warning: .*: trying again in [0-9]+ second"
		like "$way: $what says that it is back" "$(cat results/$way-$what.err)" \
			"^lifeboat: $way://10.0.2.2:[0-9]*/backup is back: going on$"
	done
	is "$way: what was restored is equal" "$(cat results/$way-sums)" "$sums"
	is "$way: one that stays away fails" "$(cat results/$way-for-good.status)" 1
	like "$way: and says for how long it was tried" "$(tail -n 1 results/$way-for-good.err)" \
		"^lifeboat: .*\(given up after [0-9]+ seconds\)$"
done

# What was written is what was read, whatever came between; of one that was given up nothing is left after the next one.
ways=(smb nfs)
[ -z "$all" ] || ways+=(link)
for way in "${ways[@]}"; do
	is "$way: a backup survives a server that goes away" "$(cat results/"$way"-save.status)" 0 ||
		diag "$(cat results/"$way"-save.err)"
	like "$way: each try of it is said" "$(cat results/"$way"-save.err)" '^lifeboat: warning: .*: trying again in [0-9]+ second'
	ok "$way: its sets are whole" "$BUILD/lifeboat" verify --deep --all "file://$PWD/share/saved/$way"
	first=(share/saved/"$way"/box/*-0)
	mkdir -p "back/$way" && cat "${first[0]}"/root.archive.zst.* | zstd -dq | tar -xf - -C "back/$way"
	is "$way: and hold what was read" "$(cd back/"$way" && sha256sum file*)" "$(cat results/from-sums)"
done
if [ "$all" ]; then
	is "a cut link is no end of verify" "$(cat results/link-verify.status)" 0 || diag "$(cat results/link-verify.err)"
	for way in smb nfs; do
		is "$way: a backup to one that stays away fails" "$(cat results/$way-save-for-good.status)" 1
		like "$way: and says for how long it was tried" "$(tail -n 1 results/$way-save-for-good.err)" \
			"^lifeboat: .*\(given up after [0-9]+ seconds\)$"
		is "$way: the next one removes what is left of it" "$(grep -c . results/$way-sets) $(grep -c partial results/$way-sets)" "2 0"
	done
fi
finish_plan
