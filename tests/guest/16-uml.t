#!/bin/bash
# User-Mode Linux as `lifeboat boot uml` runs it: scripts at the console, COW files kept, merged and thrown
# away, networks, consoles on ptys and ports, disks plugged in while it runs, swap, partitions, raw data, an
# ISO, and the verbs of the management console.
# needs: root uml kernel slirp-fullbolt uml_moo xorriso sfdisk mke2fs python3
# limit: 600
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
need_kernel
plan 36

# A guest with nothing but a shell on its console, as initrd and as the root of a "distribution".
mkdir tiny
cp "$VMLINUZ" tiny/vmlinuz
tiny_initrd tiny/initrd.img <<'INIT' || bail "no initrd"
mkdir -p /run
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
stty -echo
PS1='guest# '; export PS1
(while :; do setsid sh -i </dev/tty1 >/dev/tty1 2>&1; sleep 1; done) &
exec sh -i
INIT
mkdir -p tiny-initrd.root/run
truncate -s 24M distribution.img
mke2fs -q -t ext2 -d tiny-initrd.root distribution.img || bail "no distribution"
chmod 444 distribution.img

# script NAME: writes NAME.conf: the steps of stdin behind the prompt.
script() {
	{
		printf '[script]\nlimit = 60\nwait = guest#\n'
		cat
	} >"$1.conf"
}

# guest NAME OPTION…: the tiny guest does NAME.conf; its console goes to NAME.log.
guest() {
	local name=$1
	shift
	"$LIFEBOAT" boot uml --image tiny --no-network --script "$name.conf" --log "$name.log" "$@"
}

# distribution NAME OPTION…: the same with the disk's own root.
distribution() {
	local name=$1
	shift
	"$LIFEBOAT" boot uml --no-network --append "init=/init" --script "$name.conf" --log "$name.log" "$@"
}

# said FILE PATTERN: waits until a line of the file matches, and prints what \( \) holds.
said() {
	local found
	for _ in $(seq 600); do
		found=$(sed -n "s/.*$2.*/\\1/p" "$1" | head -n 1)
		[ -z "$found" ] || break
		sleep 0.1
	done
	echo "$found"
}

# A kernel with a root= has it on a ramfs, and User-Mode Linux names one where nobody does.
script tmpfs <<'EOF'
run = grep 'rootfs / rootfs .*size=' /proc/mounts
EOF
ok "the first / is a tmpfs, as with other kernels" guest tmpfs

# ---- scripts ----

script steps <<EOF
run = echo one; echo two
shows = one
capture = steps.out
fails = false
fails = sh -c 'exit 77'
run = test '$(printf 'long%.0s ' $(seq 200))' != "it's short"
type = read answer
press = 4\x32\n
run = [ "\$answer" = 42 ]
type = poweroff -f
ends = 30
EOF
ok "a script runs commands, types keys, and waits for the end" guest steps
is "what a command showed is captured" "$(cat steps.out)" "one
two"
script wrong <<<'run = echo what is; false'
refuses "a command that fails ends it: file, line, status and words" 1 \
	"wrong.conf:4: run: echo what is; false: exit status 1: what is" guest wrong
script wrong <<<'fails = true'
refuses "so does one that should fail" 1 "wrong.conf:4: fails: true: it succeeded" guest wrong
script wrong <<<'run = echo this
shows = that'
refuses "and what does not show" 1 "wrong.conf:5: shows: .* did not show 'that' but: this" guest wrong
script wrong <<<'type = poweroff -f
wait = never'
refuses "and a guest that ends too early" 1 "wrong.conf:5: wait: .*the guest ended without it" guest wrong
script none <<<'jump = high'
refuses "a step that is none is refused" 1 "none.conf:4: unknown key 'jump'" guest none
ok "before anything is started" test ! -e none.log

# ---- D1, D3, D4: a COW file ----

before=$(sha256sum distribution.img)
script write <<'EOF'
run = echo changed >/changed && sync
type = poweroff -f
ends = 30
EOF
script find <<<'run = cat /changed'
script miss <<<'fails = cat /changed'
ok "D1: a distribution runs on a COW file" distribution write --disk distribution.img,cow=d.cow
ok "D1: what it wrote is there the next time" distribution find --disk distribution.img,cow=d.cow
is "D1: the image itself is untouched" "$(sha256sum distribution.img)" "$before"
ok "D3: the COW file is merged into a new image" uml_moo d.cow merged.img
ok "D3: which has what was written" distribution find --disk merged.img
rm d.cow
ok "D4: without the COW file all is as it was" distribution miss --disk distribution.img,cow=d.cow
cp distribution.img other.img
chmod 644 other.img
ok "a COW file is made for another image" distribution write --disk other.img,cow=other.cow
touch -d '2001-01-01' other.img
refuses "an image that has changed since is no longer its own" 1 "other.img has been written to since" \
	distribution find --disk other.img,cow=other.cow

# ---- E1: an ordinary program; D2: the host's network ----

script user <<'EOF'
run = cat /proc/version
shows = Linux version
EOF
mkdir -m 777 users
cp -r tiny user.conf users/ && chmod -R a+rX users .
ok "E1: an ordinary user runs it" setpriv --reuid=65534 --regid=65534 --clear-groups \
	env TMPDIR=/tmp HOME=/ "$LIFEBOAT" boot uml --image users/tiny --no-network --script users/user.conf
mkdir www
echo "from the host" >www/index.html
python3 -u -m http.server -b 127.0.0.1 -d www 0 >www.log 2>&1 &
server=$!
script net <<EOF
run = ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0
run = wget -qO - http://10.0.2.2:$(said www.log 'port \([0-9]*\)')/
shows = from the host
EOF
ok "D2: the guest reaches the host" "$LIFEBOAT" boot uml --image tiny --script net.conf --log net.log
kill "$server"

# ---- E2: consoles ----

script consoles <<'EOF'
limit = 3600
wait = never mind
EOF
cat >talk.py <<'EOF'
# Does a sum with the shell at a terminal, or on a port of the loopback, and prints what it says.
# What it types is echoed before a shell is there: the time is what limits it, not the number of answers.
import os, select, socket, sys, time
if sys.argv[1].startswith("/"):
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
else:
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    fd = connection.fileno()
said = b""
until = time.monotonic() + 120
while time.monotonic() < until:
    os.write(fd, b"echo sum is $((40 + 2))\n")
    time.sleep(0.2)
    while select.select([fd], [], [], 0)[0]:
        more = os.read(fd, 4096)
        if not more:
            sys.exit("the console was closed")
        said += more
    if b"sum is 42" in said:
        print("sum is 42")
        break
EOF
"$LIFEBOAT" boot uml --image tiny --no-network --console pty --script consoles.conf 2>pty.err &
guest=$!
is "E2: a console on a pty" "$(timeout 180 python3 talk.py "$(said pty.err 'console 1 is \(.*\)')")" "sum is 42"
kill "$guest"
wait "$guest" 2>/dev/null
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$LIFEBOAT" boot uml --image tiny --no-network --console "port:$free" --script consoles.conf 2>port.err &
guest=$!
is "E2: a console on a TCP port" \
	"$(timeout 180 python3 talk.py "$(said port.err 'is port \([0-9]*\) of the loopback')")" "sum is 42"
kill "$guest"
wait "$guest" 2>/dev/null

# ---- E3: hot-plug; the management console ----

printf 'plugged in' >plug.img
truncate -s 1M plug.img
script plug <<EOF
fails = head -c 10 /dev/ubdb
control = config ubdb=$SCRATCH/plug.img
run = head -c 10 /dev/ubdb
shows = plugged in
control = remove ubdb
fails = head -c 10 /dev/ubdb
EOF
ok "E3: a disk is plugged in and taken out while it runs" guest plug
script verbs <<'EOF'
control = version
shows = Linux
control = stop
control = go
run = echo it goes on
control = sysrq s
wait = Emergency Sync complete
control = sysrq u
control = config ubdb
control = halt
ends = 30
EOF
ok "stop, go, sysrq, config and halt" guest verbs
script verbs <<<'control = conjure'
refuses "what the guest does not know it refuses" 1 "verbs.conf:4: control: .*it refuses: Unknown command" guest verbs

# ---- E4 to E7: what a ubd can be ----

truncate -s 16M swap.img
script swap <<'EOF'
run = mkswap /dev/ubda && swapon /dev/ubda && cat /proc/swaps
shows = ubda
EOF
ok "E4: swap on a plain file" guest swap --disk swap.img,rw
truncate -s 16M parts.img
printf 'label: gpt\nsize=4MiB\nsize=4MiB\n' | sfdisk -q parts.img
script parts <<'EOF'
run = mke2fs /dev/ubda2 && mount -t ext2 /dev/ubda2 /mnt && df -k /mnt
shows = ubda2
EOF
ok "E5: a partitioned disk" guest parts --disk parts.img,rw
tar -cf raw.img www
truncate -s 1M raw.img
script raw <<'EOF'
run = tar -C /tmp -xf /dev/ubda && cat /tmp/www/index.html
shows = from the host
run = echo from the guest >/tmp/www/index.html && tar -C /tmp -cf /dev/ubda www && sync
EOF
ok "E6: a tar straight off a disk and back onto it" guest raw --disk raw.img,rw
is "E6: which the host reads" "$(tar -xOf raw.img www/index.html)" "from the guest"
xorriso -as mkisofs -quiet -o cd.iso www 2>xorriso.log
script iso <<'EOF'
run = mkdir /host && mount -t hostfs none /host -o /usr/lib/uml/modules
run = for m in cdrom isofs; do insmod $(find /host -name $m.ko); done
run = mount -t iso9660 -o ro /dev/ubda /mnt && cat /mnt/[iI]*
shows = from the host
EOF
ok "E7: an ISO as a disk" guest iso --disk cd.iso

# ---- E8: two guests ----

script first <<'EOF'
run = ip link set vec0 up && ip addr add 192.0.2.1/24 dev vec0
run = mkdir /www && echo from the first guest >/www/index.html && httpd -h /www
limit = 3600
wait = never mind
EOF
script second <<'EOF'
run = ip link set vec0 up && ip addr add 192.0.2.2/24 dev vec0
run = wget -qO - http://192.0.2.1/
shows = from the first guest
EOF
before=$(ip -o link | sed 's/^[0-9]*: \([^:]*\).*/\1/')
guest first --link cable 2>first.err &
guest=$!
is "E8: a guest waits for another one" "$(said first.log 'LIFEBOAT-\(END-2 0\)')" "END-2 0"
ok "E8: a guest reaches another one" guest second --link cable
is "E8: the host's interfaces are the same" "$(ip -o link | sed 's/^[0-9]*: \([^:]*\).*/\1/')" "$before"
kill "$(cat "/proc/$guest/task/$guest/children")"
wait "$guest" 2>/dev/null
ok "E8: the path where they met is gone" test ! -e cable

# ---- refusals ----

refuses "rw and cow exclude each other" 1 "rw and cow exclude each other" guest plug --disk plug.img,rw,cow=x
refuses "a console of another kind" 2 "bad --console 'tape'; expected pty or port:NUMBER" guest plug --console tape
refuses "--script and --until exclude each other" 2 "exclude each other" guest plug --until x
