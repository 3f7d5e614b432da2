#!/bin/bash
# Programs and libraries of every kind that ld.so(8) speaks of: what we find for them is what the loader
# finds. Each case is a folder of tiny libraries; loader-oracle compares. None of them is run.
oracle=$(realpath "${BUILD:-build}")/tests/tools/loader-oracle
lab=$(realpath "$(mktemp -d)")
trap 'rm -rf "$lab"' EXIT
cd "$lab" || exit 1
echo 'int x;' >empty.c
multiarch=$(cc -print-multiarch)
number=0 failed=0

# lib PATH OPTION…: a library that is called as its file; options may name other libraries.
lib() {
	local path=$1
	shift
	mkdir -p "${path%/*}"
	cc -nostdlib -shared -fPIC -Wl,--no-as-needed,--allow-shlib-undefined "-Wl,-soname,${path##*/}" -o "$path" empty.c "$@"
}
# prog PATH OPTION…
prog() {
	local path=$1
	shift
	mkdir -p "${path%/*}"
	cc -nostdlib -pie -fPIC -Wl,-e,0,--no-as-needed,--allow-shlib-undefined -o "$path" empty.c "$@"
}
new=-Wl,--enable-new-dtags,-rpath old=-Wl,--disable-new-dtags,-rpath # DT_RUNPATH, DT_RPATH

report() { # RESULT NAME: one TAP line; what the oracle said, when it failed
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' said
		failed=1
	fi
}
# same CASE SUMMARY NAME: no difference in the folder, and the summary contains that.
same() {
	"$oracle" / "$lab/$1" >said 2>&1 && grep -q "$2" said
	report $? "$3"
}

# shellcheck disable=SC2016 # the loader replaces what starts with a dollar sign
{
	lib origin/lib/liba.so && prog origin/bin/prog "$new,\$ORIGIN/../lib" origin/lib/liba.so
	same origin '2 files with 1 names' '$ORIGIN'

	lib braces/lib/liba.so && prog braces/bin/prog "$new,\${ORIGIN}/../lib" braces/lib/liba.so
	same braces '2 files with 1 names' '${ORIGIN}'

	lib "lib/$multiarch/liba.so" && prog lib/prog "$new,\$ORIGIN/\$LIB" "lib/$multiarch/liba.so"
	same lib '2 files with 1 names' '$LIB'

	lib platform/x86_64/liba.so && prog platform/prog "$new,\$ORIGIN/\${PLATFORM}" platform/x86_64/liba.so
	same platform '2 files with 1 names' '${PLATFORM}'

	lib token/liba.so && prog token/prog "$new,\$ORIGIN/\$NONSENSE:\$ORIGIN" token/liba.so
	same token '2 files with 1 names' 'a folder with an unknown token'

	lib inherited/lib/libb.so && lib inherited/lib/liba.so inherited/lib/libb.so
	prog inherited/prog "$old,\$ORIGIN/lib" inherited/lib/liba.so
	same inherited '3 files with 3 names' 'DT_RPATH is for the libraries of libraries'
	prog inherited/prog "$new,\$ORIGIN/lib" inherited/lib/liba.so
	same inherited '3 files with 3 names' 'DT_RUNPATH is not'

	lib both/lib/libb.so && lib both/lib/liba.so both/lib/libb.so "$new,\$ORIGIN/nothing"
	prog both/prog "$old,\$ORIGIN/lib" both/lib/liba.so
	same both '3 files with 3 names' 'DT_RUNPATH of a library hides the DT_RPATH of its program'

	lib link/real/liba.so "$new,\$ORIGIN/beside" && lib link/elsewhere/beside/libb.so
	lib link/real/liba.so "$new,\$ORIGIN/beside" link/elsewhere/beside/libb.so
	ln -s ../real/liba.so link/elsewhere/liba.so
	prog link/prog "$new,\$ORIGIN/elsewhere" link/real/liba.so
	same link '3 files with 3 names' '$ORIGIN of a library is the folder of the link to it'

	lib loop/good/liba.so && mkdir loop/bad && ln -s liba.so loop/bad/liba.so
	prog loop/prog "$new,\$ORIGIN/bad:\$ORIGIN/good" loop/good/liba.so
	same loop '1 refused by both' 'a link to itself is the end of a search'

	lib circle/liba.so && lib circle/libb.so "$new,\$ORIGIN" circle/liba.so
	lib circle/liba.so "$new,\$ORIGIN" circle/libb.so
	same circle '2 files with 2 names' 'libraries that need each other'

	lib nodef/liba.so -Wl,-z,nodefaultlib -lz
	same nodef '1 files with 1 names' 'DF_1_NODEFLIB: the default folders are closed'

	lib filter/lib/libn.so && lib filter/lib/libb.so
	lib filter/lib/liba.so filter/lib/libn.so -Wl,-f,libb.so "$new,\$ORIGIN"
	lib filter/lib/libc1.so filter/lib/libn.so -Wl,-F,libb.so "$new,\$ORIGIN"
	prog filter/prog "$old,\$ORIGIN/lib" filter/lib/liba.so filter/lib/libc1.so
	# Those of the first file itself are loaded, yet not listed.
	same filter/prog '1 files with 4 names' 'DT_AUXILIARY and DT_FILTER'

	lib wide/64/liba.so && lib wide/32/liba.so -m32
	prog wide/prog "$new,\$ORIGIN/32:\$ORIGIN/64" wide/64/liba.so
	lib wide/libb.so -m32 "$new,\$ORIGIN/64:\$ORIGIN/32" wide/32/liba.so
	same wide '4 files with 2 names' 'a library of another width is passed over'

	lib slash/libo.so "-Wl,-soname,\$ORIGIN/sub/libo.so" && mkdir slash/sub && cp slash/libo.so slash/sub/
	prog slash/prog slash/libo.so && lib slash/libp.so "$lab/slash/libo.so"
	same slash '4 files with 2 names' 'a name with a slash is a path'

	lib variant/liba.so && mkdir -p variant/glibc-hwcaps/x86-64-v2 &&
		cp variant/liba.so variant/glibc-hwcaps/x86-64-v2/
	prog variant/prog "$new,\$ORIGIN" variant/liba.so
	same variant '3 files with 1 names' 'the plain library where there is one for this processor'

	lib gone/liba.so && prog gone/prog "$new,\$ORIGIN" gone/liba.so -lz && rm gone/liba.so
	same gone '1 files with 4 names' 'a library that is nowhere'

	lib text/liba.so && prog text/prog "$new,\$ORIGIN" text/liba.so && echo 'no library' >text/liba.so
	same text '1 refused by both' 'the loader stops at a file that is no library'

	lib cut/liba.so && prog cut/prog "$new,\$ORIGIN" cut/liba.so && truncate -s 3000 cut/liba.so
	same cut '2 refused by both' 'and at a truncated one'

	lib musl/libc.so && lib musl/liba.so musl/libc.so && prog musl/prog "$new,\$ORIGIN" musl/liba.so musl/libc.so \
		-Wl,--dynamic-linker,/lib/ld-musl-x86_64.so.1
	rm musl/libc.so
	same musl '2 files with' "musl's loader is its C library"

	# The comparison itself can fail: what depends on the folder that one stands in is not for an image.
	lib relative/lib/liba.so && prog relative/prog "$new,${lab#/}/relative/lib" relative/lib/liba.so
	! "$oracle" / "$lab/relative" >said 2>&1 && grep -q "prog: liba.so: the loader has .*, we have nothing" said
	report $? 'a difference is seen'
}
echo "1..$number"
exit $failed
