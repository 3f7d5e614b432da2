#!/bin/bash
# A file system of a million and a half files is backed up, in full and by a level, and verified, in 300 MB of memory. What lies
# in mapped files is none of that: the kernel writes it out when it has no room for it. Counted by RLIMIT_DATA (setrlimit(2)), the
# stacks of all threads included. A disk that fails to keep them is told in time.
# needs: root loop dump mke2fs perl prlimit zstd
# limit: 400
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/loops.sh
. "$TOP/tests/guest/lib/loops.sh"

tool=$BUILD/tests/tools/set-tool
[ -x "$tool" ] || bail "no $tool: run make check-guests"
finish() {
	umount broken memory 2>/dev/null
	loops_free
}
trap finish EXIT
count=1500000
mkdir target
loop_disk from 2G -N $((count + 10000))

# files FIRST COUNT: so many of them, empty, a thousand in a folder.
files() {
	perl -e 'my ($first, $count) = @ARGV;
		for my $i ($first .. $first + $count - 1) {
			my $folder = "from/folder-" . int($i / 1000);
			-d $folder or mkdir $folder or die "$folder: $!";
			open my $file, ">", "$folder/file-number-$i" or die "file $i: $!";
			close $file or die;
		}' "$1" "$2"
}
within() { prlimit --data=300000000 --stack=1000000 "$@"; } # of 8 MB each, 64 threads on as many cores would have all of it
backup() { within "$tool" save "file://$PWD/target" - box root dump from 1G "$1"; }
listed() { zstd -dqc target/box/*-1/root.listing.zst.* | grep -c '/file-number-[0-9]* type=file '; }

files 0 $count || bail "no files"
needs_more() { ! within dd if=/dev/zero of=/dev/null bs=300M count=1; }
ok "who needs more does not get it" needs_more
ok "$count files are saved in 300 MB" backup 0
files $count 1000
rm -r from/folder-7
ok "and what has changed since" backup 1
ok "and verified" within "$LIFEBOAT" verify "file://$PWD/target"
is "the second set lists all of them" "$(listed)" $count # a thousand came, a thousand went

# A disk that has room for much by its own account, and loses what it is given: its own lies in a memory that is full soon.
mkdir broken memory
make_broken() {
	mount -t tmpfs -o size=48M none memory && truncate -s 4G memory/disk.img &&
		mke2fs -q -t ext4 -O ^has_journal -N 100 memory/disk.img && mount -o loop memory/disk.img broken
}
make_broken || bail "no disk that fails"
while sleep 0.2; do sync -f broken; done 2>/dev/null &
syncing=$!
refuses "a disk that loses what it was to keep" 1 'keep in .*/broken what is known of the files: (Input/output error|No space left on device)' \
	env TMPDIR="$PWD/broken" "$tool" save "file://$PWD/target" - box root dump from 1G
kill $syncing
wait $syncing 2>/dev/null
is "leaves no set that may be wrong" "$(find target/box -mindepth 1 -maxdepth 1 -type d | wc -l)" 2
finish_plan
