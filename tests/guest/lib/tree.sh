# shellcheck shell=bash
# A tree with what backups lose, and a listing that shows whether they did. Definitions only; bash.

# tree_make FOLDER [HOLE-SIZE [FILES]]: fills the folder (on ext4, as root): hard links, holes (one file of
# HOLE-SIZE, 5G by default, is nothing else), blocks that were never written, FILES small files (400), xattrs, ACLs, capabilities, flags, odd names, special files,
# times before 1970 and with nanoseconds.
tree_make() {
	local d=$1 i
	mkdir -p "$d/etc" "$d/links/a" "$d/links/b" "$d/odd" "$d/sparse" "$d/special" "$d/deep" "$d/many" "$d/times"
	for i in 1 2 3; do head -c $((i * 700000)) /dev/urandom >"$d/etc/file$i"; done
	: >"$d/etc/empty"
	ln "$d/etc/file1" "$d/links/a/one"
	ln "$d/etc/file1" "$d/links/b/two"
	ln -s ../etc/file2 "$d/links/relative"
	ln -s /nowhere/at/all "$d/links/dangling"
	printf 'x' >"$d/odd/$(printf 'new\nline')"
	printf 'x' >"$d/odd/$(printf 'latin1-\344')"
	printf 'x' >"$d/odd/ leading and trailing "
	printf 'x' >"$d/odd/-rf *"
	printf 'x' >"$d/odd/$(printf 'n%.0s' {1..254})" # restore(8) loses names of 255 bytes
	truncate -s "${2:-5G}" "$d/sparse/all-hole"
	truncate -s 40M "$d/sparse/middle"
	printf 'begin' | dd of="$d/sparse/middle" conv=notrunc status=none
	printf 'end' | dd of="$d/sparse/middle" bs=1 seek=20000000 conv=notrunc status=none
	truncate -s 3M "$d/sparse/before" && printf 'end' >>"$d/sparse/before"
	# allocated, but never written: they read as zeros, whatever the disk holds there
	fallocate -l 900K "$d/sparse/unwritten"
	fallocate -l 900K "$d/sparse/partly" && printf 'middle' | dd of="$d/sparse/partly" bs=1 seek=500000 conv=notrunc status=none
	printf 'begin' >"$d/sparse/behind" && fallocate -n -l 900K "$d/sparse/behind"
	fallocate -l 300K "$d/sparse/many"
	for i in 9 25 26 42 58 74; do printf 'x' | dd of="$d/sparse/many" bs=4096 seek=$i conv=notrunc,fsync status=none; done
	mkfifo "$d/special/fifo"
	mknod "$d/special/null" c 1 3
	mknod "$d/special/disk" b 7 200
	mknod "$d/special/large" b 259 200000 # XFS: minor numbers below 2^18
	mknod "$d/special/larger" c 511 5
	perl -MSocket -e 'socket(S,PF_UNIX,SOCK_STREAM,0); bind(S, sockaddr_un($ARGV[0])) or die' "$d/special/socket"
	cp /bin/true "$d/etc/setuid" && chown 100000:4000000000 "$d/etc/setuid" && chmod 6755 "$d/etc/setuid"
	cp /bin/true "$d/etc/capable" && setcap cap_net_raw+ep "$d/etc/capable"
	setfattr -n user.note -v "$(head -c 1000 /dev/zero | tr '\0' x)" "$d/etc/file2"
	setfattr -n trusted.t -v hidden "$d/etc"
	setfattr -h -n trusted.link -v on-a-link "$d/links/relative"
	setfacl -m u:1001:rw,g:1002:r "$d/etc/file3"
	setfacl -d -m u:1003:rwx "$d/links"
	# more attributes than the inode holds: dump(8) drops those in the inode
	setfacl -m u:1001:rwx,d:u:1003:rwx "$d/links/a" && setfattr -n user.tag -v x "$d/links/a"
	: >"$d/etc/$(printf 'odd=\\\nname')" && setfacl -m u:1001:r "$d/etc/$(printf 'odd=\\\nname')" &&
		setfattr -n user.tag -v "$(head -c 300 /dev/zero | tr '\0' y)" "$d/etc/$(printf 'odd=\\\nname')"
	: >"$d/etc/fixed" && setfattr -n trusted.a -v 1 "$d/etc/fixed" && setfattr -n user.b -v "$(head -c 200 /dev/zero | tr '\0' z)" "$d/etc/fixed" &&
		chattr +i "$d/etc/fixed"
	chmod 1777 "$d/many"
	for i in $(seq "${3:-400}"); do echo "$i" >"$d/many/$i"; done
	local p=$d/deep
	for i in $(seq 60); do p=$p/folder$i; done
	mkdir -p "$p" && echo deep >"$p/file"
	: >"$d/times/before-1970" && touch -d '1950-03-04 05:06:07.123456789 UTC' "$d/times/before-1970"
	: >"$d/times/whole-before-1970" && touch -d '1950-03-04 05:06:07 UTC' "$d/times/whole-before-1970"
	: >"$d/times/second-before-1970" && touch -d '1969-12-31 23:59:59.5 UTC' "$d/times/second-before-1970"
	: >"$d/times/after-2038" && touch -d '2100-03-04 05:06:07.000000001 UTC' "$d/times/after-2038"
	ln -s x "$d/times/link" && touch -h -d '2001-02-03 04:05:06.7 UTC' "$d/times/link"
	echo fixed >"$d/etc/immutable" && echo log >"$d/etc/append-only"
	touch -d '2011-12-13 14:15:16.171819202 UTC' "$d/times" "$d/links/a" "$d/etc/immutable" "$d"
	chattr +i "$d/etc/immutable" && chattr +a "$d/etc/append-only"
}

# tree_list FOLDER: one line for each path, sorted: type, mode, owner, size, mtime, links, device, whether
# it has holes, attribute flags, xattrs (ACLs and capabilities are such), content hash. Equal lists, equal trees.
tree_list() {
	(
		cd "$1" || exit 1
		echo "## paths"
		find . -path ./lost+found -prune -o -printf '%p %y %m %U:%G %T@ %n %l' \
			\( -type f -printf ' %s' -o -true \) -printf '\0' |
			LC_ALL=C sort -z | tr '\0\n' '\n?'
		echo "## numbers of devices"
		find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
		echo "## hard links"
		find . -type f -links +1 -printf '%i %p\n' | LC_ALL=C sort -k 2 |
			awk '{ if (!($1 in number)) number[$1] = ++n; i = number[$1]; sub(/^[0-9]+ /, ""); print i, $0 }'
		echo "## holes"
		find . -type f -size +1M -printf '%b %s %p\n' | awk '$1 * 512 < $2 { print $3 }' | LC_ALL=C sort
		echo "## xattrs"
		find . -path ./lost+found -prune -o -print0 | LC_ALL=C sort -z | xargs -0 getfattr -h -d -m - -e hex -- 2>/dev/null
		echo "## flags"
		find . -path ./lost+found -prune -o \( -type f -o -type d \) -print0 | LC_ALL=C sort -z | xargs -0 lsattr -d -- |
			awk '{ flags = $1; gsub(/[eI-]/, "", flags); sub(/^[^ ]+ /, ""); print flags, $0 }'
		echo "## contents"
		find . -type f -size -100M -print0 | LC_ALL=C sort -z | xargs -0 sha256sum --
	)
}

# tree_same NAME GOT WANTED: two lists are equal; the first differences are shown when not.
tree_same() {
	local difference
	difference=$(diff <(printf '%s\n' "$3") <(printf '%s\n' "$2"))
	result $? "$1" || {
		diag "$(wc -l <<<"$difference") lines of difference (< before, > after):"
		diag "$(head -n 12 <<<"$difference" | cut -c 1-300)"
		return 1
	}
}
