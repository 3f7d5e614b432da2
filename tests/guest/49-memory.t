#!/bin/bash
# A file system of a million and a half files is backed up, in full and by a level, and verified, in 300 MB of memory. What lies
# in mapped files is none of that: the kernel writes it out when it has no room for it. Counted by RLIMIT_DATA (setrlimit(2)), the
# stacks of all threads included.
# needs: root loop dump mke2fs perl prlimit zstd
# limit: 400
# shellcheck source=tests/guest/lib/guest.sh
. "$TOP/tests/guest/lib/guest.sh"
# shellcheck source=tests/guest/lib/loops.sh
. "$TOP/tests/guest/lib/loops.sh"

tool=$BUILD/tests/tools/set-tool
[ -x "$tool" ] || bail "no $tool: run make check-guests"
trap loops_free EXIT
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
finish_plan
