/* Promises against small trees in which each kind of thing is missing: nothing of what made the tree is
 * trusted. Programs and libraries come from the C compiler and never run. */
#include "image/promise.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct error e;

struct lab {
	struct tempdir dir;
	struct tree tree;
	struct view view;
	struct strlist kept;
};

static void lab_free(struct lab *lab)
{
	view_close(&lab->view);
	tree_free(&lab->tree);
	strlist_free(&lab->kept);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

/* The source of a file of the tree: its path with the slashes taken out. */
static char *source_of(const struct lab *lab, const char *path)
{
	char *source = xasprintf("%s/%s", lab->dir.path, path);

	for (char *p = source + strlen(lab->dir.path) + 1; *p; p++)
		*p = *p == '/' ? ',' : *p;
	return source;
}

static void add(struct lab *lab, const char *path, mode_t mode)
{
	_cleanup_(free) char *source = source_of(lab, path);
	struct stat st;

	CHECK(stat(source, &st) == 0);
	CHECK_OK(tree_add_file(&lab->tree, path, mode, source, (uint64_t)st.st_size, NULL, &e));
}

/* `options`: a word "+PATH" is a library that was compiled before. */
static void compile(struct lab *lab, const char *path, const char *options)
{
	_cleanup_(free) char *out = source_of(lab, path), *source = source_of(lab, "empty.c");
	_cleanup_(strlist) struct strlist argv = { 0 }, words = { 0 };

	CHECK_OK(write_file_at(AT_FDCWD, source, 0644, "int x;\n", 7, &e));
	strlist_add_words(&argv, "cc -nostdlib -fPIC -Wl,--no-as-needed,--allow-shlib-undefined -o");
	strlist_add(&argv, out);
	strlist_add(&argv, source);
	strlist_add_words(&words, options);
	for (size_t i = 0; i < words.count; i++)
		if (words.items[i][0] == '+')
			strlist_take(&argv, source_of(lab, words.items[i] + 1));
		else
			strlist_add(&argv, words.items[i]);
	CHECK_OK(proc_run((const char *const *)argv.items, NULL, &e));
}

/* In the tree: /bin → usr/bin, /lib → usr/lib, sh, prog with libone (by RUNPATH), which needs libtwo; kernel modules
 * with indexes; a busybox with a table of commands. `without` is left out. */
static void lab_make(struct lab *lab, const char *without)
{
	static const struct {
		const char *path;
		mode_t mode;
		const char *options; /* compiled; NULL: `text` */
		const char *text;
	} files[] = {
		{ "usr/lib/libtwo.so.2", 0644, "-shared -Wl,-soname,libtwo.so.2", NULL },
		{ "usr/lib/private/libone.so.1", 0644, "-shared -Wl,-soname,libone.so.1 +usr/lib/libtwo.so.2",
		  NULL },
		{ "usr/lib/ld-lab.so", 0755, "-shared -Wl,-soname,ld-lab.so", NULL },
		{ "usr/lib/libopened.so", 0644, "-shared -Wl,-soname,libopened.so +usr/lib/libtwo.so.2",
		  NULL },
		{ "usr/bin/prog", 0755,
		  "-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so "
		  "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib/private +usr/lib/private/libone.so.1",
		  NULL },
		{ "usr/bin/static", 0755, "-static -nostartfiles -Wl,-e,0", NULL },
		{ "usr/bin/script", 0755, NULL, "#! /bin/static -x\n" },
		{ "usr/bin/by-env", 0755, NULL, "#!/bin/env prog\n" },
		{ "usr/bin/env", 0755, NULL, "#!/bin/static\n" },
		{ "usr/bin/plain", 0644, NULL, "#!/bin/static\n" },
		{ "usr/bin/empty", 0755, NULL, "" },
		{ "etc/there", 0644, NULL, "text\n" },
		{ "lib/modules/V/modules.dep", 0644, NULL,
		  "kernel/net/card.ko.xz: kernel/net/core.ko.xz kernel/bus-lib.ko\n"
		  "kernel/net/core.ko.xz: kernel/bus-lib.ko\nkernel/bus-lib.ko:\n" },
		{ "lib/modules/V/modules.builtin", 0644, NULL, "kernel/fs/in-side.ko\n" },
		{ "lib/modules/V/kernel/net/card.ko.xz", 0644, NULL, "x" },
		{ "lib/modules/V/kernel/net/core.ko.xz", 0644, NULL, "x" },
		{ "lib/modules/V/kernel/bus-lib.ko", 0644, NULL, "x" },
	};
	static const char busybox[] =
		"\x7f junk\0a\0b\0c\0d\0X\0[\0[[\0ash\0awk\0basename\0cat\0chmod\0chown\0cp\0"
		"cut\0date\0dd\0df\0echo\0egrep\0env\0false\0grep\0mount\0mv\0ps\0rm\0"
		"sh\0sleep\0umount\0true\0vi\0xargs";

	*lab = (struct lab) { .dir = TEMPDIR_NONE };
	CHECK_OK(tempdir_make(&lab->dir, &e));
	lab->view = (struct view) { .tree = &lab->tree, .modules = "lib/modules/V" };
	CHECK_OK(tree_add_link(&lab->tree, "bin", "usr/bin", NULL, &e));
	CHECK_OK(tree_add_link(&lab->tree, "lib", "usr/lib", NULL, &e));
	CHECK_OK(tree_add_link(&lab->tree, "usr/bin/again", "../bin/prog", NULL, &e));
	CHECK_OK(tree_add_link(&lab->tree, "etc/link", "/etc/there", NULL, &e));
	CHECK_OK(tree_add_link(&lab->tree, "etc/circle", "circle", NULL, &e));
	CHECK_OK(tree_add_data(&lab->tree, "usr/bin/busybox", 0755, busybox, sizeof(busybox), NULL, &e));
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		_cleanup_(free) char *source = source_of(lab, files[i].path);

		if (files[i].options)
			compile(lab, files[i].path, files[i].options);
		else
			CHECK_OK(write_file_at(AT_FDCWD, source, 0644, files[i].text, strlen(files[i].text),
					       &e));
		if (!without || !streq(without, files[i].path))
			add(lab, files[i].path, files[i].mode);
	}
}

static int check(struct lab *lab, const char *text, bool modules)
{
	struct profile p = { 0 };
	struct profiles one = { 0 };

	CHECK_OK(profile_parse("net", "net.conf", text, &p, &e));
	one = (struct profiles) { .list = &p, .count = 1 };
	int r = promises_check(&one, &lab->view, modules, &lab->kept, &e);

	profile_free(&p);
	return r;
}

TEST(a_tree_that_has_everything_keeps_its_promises)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab, NULL);
	CHECK_OK(check(
		&lab,
		"[promise can work]\ntools = prog static script by-env again /bin/prog\n"
		"applets = [ awk umount\nmodules = card bus_lib bus-lib in-side\nlibraries = libopened.so\n"
		"files = /etc/there /etc/link /bin\n"
		"[promise can choose]\ntools = nonesuch|prog\nfiles = /none|/etc/there\n",
		true));
	CHECK_INT(lab.kept.count, 2);
	CHECK_STR(lab.kept.items[0], "can work");
	CHECK_STR(lab.kept.items[1], "can choose");
}

/* A tree without one file, or with all but a bad one asked for; and what is said then. */
static const struct broken {
	const char *without;
	const char *need;
	const char *said;
} brokens[] = {
	{ "usr/bin/prog", "tools = prog", "tool prog is not in it" },
	{ "usr/bin/prog", "tools = again", "tool again is not in it" }, /* a link that leads nowhere */
	{ NULL, "tools = static nonesuch", "tool nonesuch is not in it" },
	{ NULL, "tools = nonesuch|neither", "tool nonesuch is not in it" },
	{ NULL, "tools = plain", "/usr/bin/plain cannot be executed (mode 0644)" },
	{ NULL, "tools = /etc/there", "/etc/there cannot be executed (mode 0644)" },
	{ NULL, "tools = empty", "/usr/bin/empty: it is neither a program nor a script" },
	{ "usr/bin/static", "tools = script", "/usr/bin/script: interpreter /bin/static is not in it" },
	{ "usr/bin/prog", "tools = by-env", "/usr/bin/by-env: interpreter prog is not in it" },
	{ "usr/lib/ld-lab.so", "tools = prog", "the loader /lib/ld-lab.so of /usr/bin/prog is not in it" },
	{ "usr/lib/private/libone.so.1", "tools = prog",
	  "library libone.so.1, which /usr/bin/prog needs, is not in it" },
	{ "usr/lib/libtwo.so.2", "tools = prog",
	  "library libtwo.so.2, which /usr/lib/private/libone.so.1 needs, is not in it" },
	{ "usr/lib/libtwo.so.2", "tools = by-env",
	  "/usr/bin/by-env: library libtwo.so.2, which /usr/lib/private/libone.so.1 needs, is not in it" },
	{ "usr/lib/libopened.so", "libraries = libopened.so\ntools = prog",
	  "library libopened.so, which /usr/bin/prog needs, is not in it" },
	{ NULL, "files = /etc/nonesuch", "file /etc/nonesuch is not in it" },
	{ "etc/there", "files = /etc/link", "/etc/link is a link that leads nowhere" },
	{ NULL, "files = /etc/circle", "/etc/circle is a link that leads nowhere" },
	{ NULL, "modules = nonesuch", "module nonesuch is neither in it nor built into its kernel" },
	{ "lib/modules/V/kernel/net/card.ko.xz", "modules = card",
	  "module kernel/net/card.ko.xz is not in it" },
	{ "lib/modules/V/kernel/bus-lib.ko", "modules = card",
	  "module kernel/bus-lib.ko, needed by kernel/net/card.ko.xz is not in it" },
	{ "lib/modules/V/modules.dep", "modules = card", "/lib/modules/V/modules.dep is not in it" },
	{ NULL, "applets = awk d", "its busybox has no command d" },
};

TEST(each_kind_of_missing_thing_is_found)
{
	for (size_t i = 0; i < sizeof(brokens) / sizeof(*brokens); i++) {
		const struct broken *b = &brokens[i];
		_cleanup_(lab) struct lab lab;
		_cleanup_(free) char *text = xasprintf("[promise can work]\n%s\npackages = a b\n", b->need);
		_cleanup_(free) char *want =
			xasprintf("net.conf:2: the image does not keep 'can work': %s; reinstall a b, mend "
				  "the overlay or drop profile 'net'",
				  b->said);

		lab_make(&lab, b->without);
		CHECK_ERROR(check(&lab, text, true), want);
		CHECK_INT(lab.kept.count, 0);
	}
}

TEST(a_library_of_another_kind_does_not_count)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(free) char *library = NULL, *data = NULL;
	size_t len;

	lab_make(&lab, NULL);
	library = source_of(&lab, "usr/lib/libtwo.so.2");
	CHECK_OK(read_file_at(AT_FDCWD, library, 1 << 20, &data, &len, &e));
	data[18] ^= 0x40; /* e_machine */
	CHECK_OK(write_file_at(AT_FDCWD, library, 0644, data, len, &e));
	CHECK(check(&lab, "[promise can work]\ntools = prog\n", true) == -ENOENT);
	CHECK(strstr(e.text, "library libtwo.so.2, which /usr/lib/private/libone.so.1 needs, is not in it"));
}

TEST(a_truncated_library_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(free) char *library = NULL;

	lab_make(&lab, NULL);
	library = source_of(&lab, "usr/lib/libtwo.so.2");
	CHECK(truncate(library, 300) == 0);
	CHECK(check(&lab, "[promise can work]\ntools = prog\n", true) == -ENODATA);
	CHECK(strstr(e.text, "truncated ELF file"));
}

TEST(without_modules_to_look_at_nothing_is_claimed)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab, NULL);
	CHECK_OK(check(&lab, "[promise one]\nmodules = nonesuch\n[promise two]\ntools = prog\n", false));
	CHECK_INT(lab.kept.count, 1);
	CHECK_STR(lab.kept.items[0], "two");
}

/* One of `count` commands of a byte each, behind `at` other bytes. */
static int find_in_table(size_t at, size_t count)
{
	_cleanup_(lab) struct lab lab = { .dir = TEMPDIR_NONE };
	_cleanup_(strbuf) struct strbuf program = { 0 };

	for (size_t i = 0; i < at; i++)
		strbuf_add(&program, "\377", 1);
	for (size_t i = 0; i < count; i++) {
		strbuf_add(&program, &"abcdefghijklmnopqrstuvwxyz"[i], 1);
		strbuf_add(&program, "", 1);
	}
	strbuf_puts(&program, "A table's end");
	lab.view = (struct view) { .tree = &lab.tree, .modules = "" };
	CHECK_OK(tree_add_data(&lab.tree, "bin/busybox", 0755, program.data, program.len, NULL, &e));
	return view_applet(&lab.view, "k", &e);
}

TEST(a_table_of_commands_is_found_wherever_it_is)
{
	for (size_t at = 0; at < 200; at++) {
		CHECK_INT(find_in_table(at, 21), 0);
		CHECK_INT(find_in_table(at, 20), -ENOENT);
	}
}

/* Debian's own busybox, where there is one. */
TEST(the_commands_of_a_real_busybox)
{
	_cleanup_(lab) struct lab lab = { .dir = TEMPDIR_NONE };

	if (access("/bin/busybox", R_OK) < 0)
		return;
	lab.view = (struct view) { .tree = &lab.tree, .modules = "" };
	CHECK_OK(tree_add_file(&lab.tree, "bin/busybox", 0755, "/bin/busybox", 1, NULL, &e));
	CHECK_OK(view_applet(&lab.view, "[", &e));
	CHECK_OK(view_applet(&lab.view, "sh", &e));
	CHECK_OK(view_applet(&lab.view, "zcat", &e));
	CHECK_ERROR(view_applet(&lab.view, "applet", &e), "its busybox has no command applet");
}

TAP_MAIN()
