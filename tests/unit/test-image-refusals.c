/* Whole builds that cannot be: one line, and nothing is left behind. */
#include "image-lab.h"

/* A program that is to be packed, with a loader of its own; it needs libb.so.1. */
static void put_program(struct lab *lab)
{
	compile(lab, "root/usr/lib/ld-lab.so", "-shared -Wl,-soname,ld-lab.so");
	compile(lab, "root/usr/bin/prog",
		"-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so +build-b.so");
	put(lab, "data/profiles/test.conf", "[tools]\nrequired = prog\n");
}

TEST(a_missing_module_is_pointed_at)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	put(&lab, "data/profiles/test.conf", "[modules]\nrequired = nonesuch\n");
	_cleanup_(free) char *want = xasprintf(
		"%s/profiles/test.conf:2: kernel 6.6.6-lab has no module 'nonesuch', nor is it built in; "
		"take another kernel, or drop profile 'test'",
		lab.data);

	CHECK_ERROR(build(&lab, "out", &result), want);
	check_no_output(&lab);
}

TEST(links_in_a_circle_are_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	put_link(&lab, "root/usr/bin/one", "two");
	put_link(&lab, "root/usr/bin/two", "one");
	put(&lab, "data/profiles/test.conf", "[tools]\nrequired = one\n");
	_cleanup_(free) char *want =
		xasprintf("read %s/usr/bin/one: Too many levels of symbolic links", lab.root);

	CHECK_ERROR(build(&lab, "out", &result), want);
	check_no_output(&lab);
}

TEST(a_missing_tool_is_pointed_at)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	put(&lab, "data/profiles/test.conf", "[tools]\nrequired = busybox\n    nonesuch\n");
	_cleanup_(free) char *want = xasprintf(
		"%s/profiles/test.conf:2: tool 'nonesuch' is not on this machine: %s; install it, or drop "
		"profile 'test'",
		lab.data, lab.root);

	CHECK_ERROR(build(&lab, "out", &result), want);
	check_no_output(&lab);
}

TEST(a_truncated_tool_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	compile(&lab, "root/usr/bin/cut", "-nostartfiles -static -Wl,-e,0");
	_cleanup_(free) char *path = inside(&lab, "root/usr/bin/cut");

	CHECK(truncate(path, 500) == 0);
	put(&lab, "data/profiles/test.conf", "[tools]\nrequired = cut\n");
	CHECK(build(&lab, "out", &result) == -ENODATA);
	CHECK(strstr(e.text, "/root/usr/bin/cut: truncated ELF file: it has 500 of at least "));
	check_no_output(&lab);
}

TEST(a_full_disk_leaves_nothing_behind)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;
	_cleanup_(free) char *noise = xmalloc(1 << 20);
	uint32_t seed = 1;

	lab_make(&lab);
	for (size_t i = 0; i < 1 << 20; i++)
		noise[i] = (char)('!' + (seed = seed * 1664525 + 1013904223) % 90);
	noise[(1 << 20) - 1] = '\0';
	put(&lab, "data/overlay/noise", noise);
	/* A limit on file sizes fails in write(), as a full disk does. */
	CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit) { 100000, RLIM_INFINITY }) == 0);
	_cleanup_(free) char *want = xasprintf("write %s/initrd.img: File too large", lab.out);

	CHECK_ERROR(build(&lab, "out", &result), want);
	check_no_output(&lab);
}

TEST(too_big_for_max_initrd)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	lab.conf.max_initrd = 100;
	CHECK(build(&lab, "out", &result) == -EFBIG);
	CHECK(strstr(e.text, "more than max-initrd = 100 B in ") &&
	      strstr(e.text, "most of it: profile test "));
	check_no_output(&lab);
}

TEST(what_stands_in_place_of_a_library)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	compile(&lab, "root/usr/lib/libb.so.1", "-shared -Wl,-soname,libb.so.1");
	put_link(&lab, "build-b.so", "root/usr/lib/libb.so.1");
	put_program(&lab);
	_cleanup_(free) char *library = inside(&lab, "root/usr/lib/libb.so.1");
	_cleanup_(free) char *nowhere =
		xasprintf("pack %s/usr/bin/prog: its library libb.so.1 is in no folder of ld.so", lab.root);
	_cleanup_(free) char *loop = xasprintf("library libb.so.1 of %s/usr/bin/prog: "
					       "read %s/lib/libb.so.1: Too many levels of symbolic links",
					       lab.root, lab.root);
	_cleanup_(free) char *text = xasprintf("library libb.so.1 of %s/usr/bin/prog: "
					       "%s is no library, and the loader stops there",
					       lab.root, library);

	CHECK(unlink(library) == 0 && mkfifo(library, 0644) == 0);
	CHECK_ERROR(build(&lab, "out", &result), nowhere);
	CHECK(unlink(library) == 0 && mkdir(library, 0755) == 0);
	CHECK_ERROR(build(&lab, "out", &result), nowhere);
	CHECK(rmdir(library) == 0 && symlink("libb.so.1", library) == 0);
	CHECK_ERROR(build(&lab, "out", &result), loop);
	CHECK(unlink(library) == 0);
	put(&lab, "root/usr/lib/libb.so.1", "");
	CHECK_ERROR(build(&lab, "out", &result), text);
	check_no_output(&lab);
}

TEST(a_library_for_some_processors_only)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	compile(&lab, "root/usr/lib/glibc-hwcaps/x86-64-v3/libb.so.1", "-shared -Wl,-soname,libb.so.1");
	compile(&lab, "root/usr/lib/glibc-hwcaps/x86-64-v2/libc.so.1", "-shared -Wl,-soname,libc.so.1");
	put_link(&lab, "build-b.so", "root/usr/lib/glibc-hwcaps/x86-64-v3/libb.so.1");
	put_program(&lab);
	_cleanup_(free) char *want = xasprintf(
		"pack %s/usr/bin/prog: its library libb.so.1 is there for some processors only, as "
		"%s/usr/lib/glibc-hwcaps/x86-64-v3/libb.so.1, which stays out: the rescue system may "
		"run on another machine; install the one for all",
		lab.root, lab.root);

	CHECK_ERROR(build(&lab, "out", &result), want);
	check_no_output(&lab);
}

TEST(what_cannot_be_read_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	/* Root reads everything: the whole test is somebody else's. */
	CHECK(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
	lab_make(&lab);
	compile(&lab, "root/usr/lib/libb.so.1", "-shared -Wl,-soname,libb.so.1");
	put_link(&lab, "build-b.so", "root/usr/lib/libb.so.1");
	put_program(&lab);
	_cleanup_(free) char *prog = inside(&lab, "root/usr/bin/prog");
	_cleanup_(free) char *library = inside(&lab, "root/usr/lib/libb.so.1");
	_cleanup_(free) char *no_prog = xasprintf("open %s: Permission denied", prog);
	_cleanup_(free) char *no_library =
		xasprintf("library libb.so.1 of %s: open %s: Permission denied", prog, library);

	CHECK(chmod(library, 0) == 0);
	CHECK_ERROR(build(&lab, "out", &result), no_library);
	CHECK(chmod(prog, 0111) == 0);
	CHECK_ERROR(build(&lab, "out", &result), no_prog);
	check_no_output(&lab);
}

TEST(no_kernel_is_one_clear_line)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	free(lab.kernel);
	lab.kernel = xstrdup("1.2.3");
	CHECK(build(&lab, "out", &result) == -ENOENT);
	CHECK(strstr(e.text, "find the kernel 1.2.3: neither "));
	CHECK(strstr(e.text, "name a vmlinuz or a .deb with -k (scripts/kernel-package fetches Debian's)"));
	free(lab.kernel);
	lab.kernel = inside(&lab, "data/overlay/init");
	_cleanup_(free) char *want = xasprintf("read %s: not an x86 kernel (bzImage)", lab.kernel);

	CHECK_ERROR(build(&lab, "out", &result), want);
}

TEST(what_a_promise_needs_and_nobody_has)
{
	static const struct {
		const char *need, *said;
	} cases[] = {
		{ "tools = a|b",
		  "tool 'a|b' is not on this machine: %s, and 'can work' needs it; install package "
		  "abc, or drop profile 'test'" },
		{ "tools = script\nlibraries = libx.so", "library 'libx.so' is not on this machine: %s, and "
							 "'can work' needs it; install package abc, or "
							 "drop profile 'test'" },
		{ "files = /etc/none",
		  "file %s/etc/none does not exist, and 'can work' needs it; install package "
		  "abc, or drop profile 'test'" },
		{ "modules = nonesuch",
		  "kernel 6.6.6-lab has no module 'nonesuch', nor is it built in, and 'can "
		  "work' needs it; take another kernel, or drop profile 'test'" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(lab) struct lab lab;
		struct image_result result;

		lab_make(&lab);
		_cleanup_(free) char *text = xasprintf(
			"[promise can work]\npackages = abc\n%s\n[link /bin/sh]\ntarget = busybox\n",
			cases[i].need);
		const char *gap = strstr(cases[i].said, "%s");
		_cleanup_(free) char *want =
			xasprintf("%s/profiles/test.conf:%d: %.*s%s%s", lab.data,
				  strchr(cases[i].need, '\n') ? 4 : 3, gap ? (int)(gap - cases[i].said) : 0,
				  cases[i].said, gap ? lab.root : "", gap ? gap + 2 : cases[i].said);

		put(&lab, "data/profiles/test.conf", text);
		CHECK_ERROR(build(&lab, "out", &result), want);
		check_no_output(&lab);
	}
}

TAP_MAIN()
