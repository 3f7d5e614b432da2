/* Whole builds out of a made-up root: tiny programs and libraries by the C compiler, a kernel that
 * is only a header. Nothing of it could run, and nothing does. */
#include "image/image.h"
#include "image/kernel.h"
#include "image/libs.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct error e;
static struct report quiet;

struct lab {
	struct tempdir dir; /* holds root/, data/, out/ */
	struct recovery_conf conf;
	char *root, *data, *out, *kernel;
};

static char *inside(const struct lab *lab, const char *path)
{
	return xasprintf("%s/%s", lab->dir.path, path);
}

static void put_mode(const struct lab *lab, const char *path, mode_t mode, const char *text)
{
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, path, mode, text, strlen(text), &e));
}

static void put(const struct lab *lab, const char *path, const char *text)
{
	put_mode(lab, path, 0644, text);
}

static void put_link(const struct lab *lab, const char *path, const char *target)
{
	CHECK(symlinkat(target, lab->dir.fd, path) == 0);
}

/* Compiles an empty object file into a library or program without any libraries of the system. */
static void compile(const struct lab *lab, const char *path, const char *options)
{
	_cleanup_(free) char *out = inside(lab, path);
	_cleanup_(free) char *source = inside(lab, "empty.c");
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_(strlist) struct strlist argv = { 0 };

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, "empty.c", 0644, "int x;\n", 7, &e));
	strlist_add_words(&argv, "cc -nostdlib -fPIC -Wl,--no-as-needed,--allow-shlib-undefined -o");
	strlist_add(&argv, out);
	strlist_add(&argv, source);
	strlist_add_words(&argv, options);
	for (size_t i = 0; i < argv.count; i++)
		if (str_ends(argv.items[i], ".so") && argv.items[i][0] == '+') {
			char *full = inside(lab, argv.items[i] + 1);

			free(argv.items[i]);
			argv.items[i] = full;
		}
	CHECK_OK(proc_run((const char *const *)argv.items, NULL, &e));
}

/* A kernel module as far as depmod and libkmod look: what it exports, uses and says of itself. */
static void put_module(const struct lab *lab, const char *path, const char *exports, const char *uses,
		       const char *info)
{
	_cleanup_(free) char *out = inside(lab, path);
	_cleanup_(free) char *source = inside(lab, "module.c");
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_(strbuf) struct strbuf text = { 0 };

	strbuf_printf(&text,
		      "const char info[] __attribute__((section(\".modinfo\"))) = "
		      "\"license=GPL\\0vermagic=6.6.6-lab SMP \\0%s\";\n",
		      info);
	if (exports)
		strbuf_printf(
			&text,
			"const char names[] __attribute__((section(\"__ksymtab_strings\"))) = \"%s\";\n",
			exports);
	if (uses)
		strbuf_printf(&text, "int %s(void);\nint run(void) { return %s(); }\n", uses, uses);
	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, "module.c", 0644, text.data, text.len, &e));
	CHECK_OK(proc_run((const char *const[]) { "cc", "-c", "-w", "-o", out, source, NULL }, NULL, &e));
}

/* "HdrS" and a version where Linux's boot.rst says they are. */
static void put_kernel(const struct lab *lab, const char *path)
{
	char image[0xa00] = { 0 }; /* the least that a header of zeroes speaks of */

	memcpy(image + 0x202, "HdrS", 4);
	image[0x20e] = 0x00;
	image[0x20f] = 0x01; /* 0x100, less 0x200 */
	memcpy(image + 0x300, "6.6.6-lab (someone@somewhere) #1 SMP", 36);
	CHECK_OK(write_file_at(lab->dir.fd, path, 0644, image, sizeof(image), &e));
}

/* Modules' indexes of the made-up kernel, over whatever modules are there. */
static void index_modules(const struct lab *lab)
{
	CHECK_OK(proc_run((const char *const[]) { "depmod", "-b", lab->root, "6.6.6-lab", NULL }, NULL, &e));
}

static void lab_free(struct lab *lab)
{
	recovery_conf_free(&lab->conf);
	free(lab->root);
	free(lab->data);
	free(lab->out);
	free(lab->kernel);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static void lab_make(struct lab *lab)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE };
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK(setenv("SOURCE_DATE_EPOCH", "1700000000", 1) == 0);
	/* Hundreds of small files, each flushed: in RAM where that is possible. */
	if (access("/dev/shm", W_OK) == 0)
		CHECK(setenv("TMPDIR", "/dev/shm", 0) == 0);
	CHECK_OK(tempdir_make(&lab->dir, &e));
	lab->root = inside(lab, "root");
	lab->data = inside(lab, "data");
	lab->out = inside(lab, "out");
	lab->kernel = inside(lab, "kernel");
	put_kernel(lab, "kernel");
	put_mode(lab, "data/overlay/init", 0755, "#!/bin/sh\n");
	put(lab, "data/overlay/lib/say.sh", "say() { :; }\n");
	put(lab, "data/profiles/test.conf",
	    "[profile]\ndescription = test\n[tools]\nrequired = script\n[link /bin/sh]\ntarget = busybox\n");
	put_mode(lab, "root/usr/bin/script", 0755, "#!/bin/sh\n");
	put_mode(lab, "root/usr/bin/busybox", 0755, "not really\n");
	CHECK_OK(mkdir_parents_at(lab->dir.fd, "root/usr/lib", 0755, &e));
	put_link(lab, "root/usr/bin/sh", "busybox"); /* what init and its steps are run by */
	put_link(lab, "root/bin", "usr/bin");
	put_link(lab, "root/lib", "usr/lib");
	put(lab, "root/usr/lib/modules/6.6.6-lab/modules.builtin", "kernel/fs/inside.ko\n");
	index_modules(lab);
	put(lab, "conf/empty.conf", "[image]\nprofiles = test\n[console]\nkeymap = none\n");
	_cleanup_(free) char *path = inside(lab, "conf/empty.conf");

	CHECK_OK(recovery_conf_load(path, &lab->conf, &e));
}

static int build(const struct lab *lab, const char *out, struct image_result *ret)
{
	const struct image_request request = {
		.conf = &lab->conf, .kernel = lab->kernel, .root = lab->root, .datadir = lab->data
	};
	_cleanup_(free) char *folder = inside(lab, out);

	return image_build(&request, folder, ret, &quiet, &e);
}

static char *read_out(const struct lab *lab, const char *path, size_t *ret_len)
{
	char *data;

	CHECK_OK(read_file_at(lab->dir.fd, path, 64 << 20, &data, ret_len, &e));
	return data;
}

/* The archive as text: one "path mode type-specific" per line. */
static void list_initrd(const struct lab *lab, const char *path, struct strbuf *ret)
{
	_cleanup_(free) char *full = inside(lab, path);
	struct archive *a = archive_read_new();
	struct archive_entry *entry;

	CHECK(archive_read_support_filter_zstd(a) == ARCHIVE_OK);
	CHECK(archive_read_support_filter_xz(a) == ARCHIVE_OK);
	CHECK(archive_read_support_filter_gzip(a) == ARCHIVE_OK);
	CHECK(archive_read_support_filter_lz4(a) == ARCHIVE_OK);
	CHECK(archive_read_support_format_cpio(a) == ARCHIVE_OK);
	CHECK(archive_read_open_filename(a, full, 65536) == ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *link = archive_entry_symlink(entry);

		CHECK_INT(archive_entry_uid(entry), 0);
		CHECK_INT(archive_entry_mtime(entry), 1700000000);
		strbuf_printf(ret, "%s %o", archive_entry_pathname(entry), archive_entry_mode(entry));
		if (archive_entry_filetype(entry) == AE_IFCHR)
			strbuf_printf(ret, " %u:%u", (unsigned)archive_entry_rdevmajor(entry),
				      (unsigned)archive_entry_rdevminor(entry));
		strbuf_printf(ret, "%s%s\n", link ? " -> " : "", link ? link : "");
	}
	CHECK(archive_read_free(a) == ARCHIVE_OK);
}

static void check_line(const struct strbuf *text, const char *line)
{
	_cleanup_(free) char *whole = xasprintf("\n%s\n", line);

	if (!strstr(text->data, whole) && !str_after(text->data, whole + 1))
		TAP_FAIL("no line '%s' in:\n%s", line, text->data);
}

static bool exists(const struct lab *lab, const char *path)
{
	return faccessat(lab->dir.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_no_output(const struct lab *lab)
{
	CHECK(!exists(lab, "out/vmlinuz") && !exists(lab, "out/initrd.img") && !exists(lab, "out/tree.list"));
	/* nor temporaries: the folder is empty, or was not made */
	CHECK(!exists(lab, "out") || unlinkat(lab->dir.fd, "out", AT_REMOVEDIR) == 0);
}

TEST(an_image_holds_what_was_asked_for)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "bin 120777 -> usr/bin");
	check_line(&list, "dev/console 20600 5:1");
	check_line(&list, "init 100755");
	check_line(&list, "usr/bin/script 100755");
	check_line(&list, "usr/bin/sh 120777 -> busybox");
	check_line(&list, "usr/bin/busybox 100755"); /* the interpreter of script */
	check_line(&list, "usr/lib/say.sh 100644"); /* through the root's link */
	check_line(&list, "etc/lifeboat/rescue.env 100644");
	CHECK_STR(result.kernel_version, "6.6.6-lab");
	CHECK(!result.holds_secrets);
	_cleanup_(free) char *why = read_out(&lab, "out/tree.list", NULL);

	CHECK(strstr(why, "/usr/bin/busybox\tfile\t0755\t11\tprofile test → tool script → tool sh\n"));
}

TEST(the_ram_that_an_image_needs_can_be_told_later)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	uint64_t ram = 1;

	lab_make(&lab);
	CHECK_OK(build(&lab, "out", &result));
	CHECK_OK(image_folder_ram(lab.out, &ram, &e));
	CHECK_INT(ram, result.ram_needed);
	CHECK(ram > 96 << 20);
	_cleanup_(free) char *list = inside(&lab, "out/tree.list");
	_cleanup_(free) char *want =
		xasprintf("%s:2: expected path, type, mode, size and reason between tabs", list);

	put(&lab, "out/tree.list", "/a\tfile\t0644\t1\tprofile x\n/b\tfile\t0644\tmany\tprofile x\n");
	CHECK_ERROR(image_folder_ram(lab.out, &ram, &e), want);
	put(&lab, "out/tree.list", "\n/a\n");
	CHECK_ERROR(image_folder_ram(lab.out, &ram, &e), want);
	CHECK_INT(ram, result.ram_needed);
	CHECK(unlinkat(lab.dir.fd, "out/tree.list", 0) == 0);
	CHECK_OK(image_folder_ram(lab.out, &ram, &e));
	CHECK_INT(ram, 0);
}

TEST(the_same_inputs_give_the_same_bytes)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result one = { 0 }, two = { 0 };
	size_t one_len, two_len;

	lab_make(&lab);
	CHECK_OK(build(&lab, "out", &one));
	/* Another umask in the checkout, another time of the files. */
	CHECK(fchmodat(lab.dir.fd, "data/overlay/init", 0700, 0) == 0);
	CHECK(fchmodat(lab.dir.fd, "data/overlay/lib/say.sh", 0600, 0) == 0);
	CHECK(utimensat(lab.dir.fd, "root/usr/bin/busybox", NULL, 0) == 0);
	CHECK_OK(build(&lab, "again", &two));
	_cleanup_(free) char *a = read_out(&lab, "out/initrd.img", &one_len);
	_cleanup_(free) char *b = read_out(&lab, "again/initrd.img", &two_len);

	CHECK_INT(one_len, two_len);
	CHECK(memcmp(a, b, one_len) == 0);
}

TEST(every_compressor_gives_the_same_tree)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(strbuf) struct strbuf zstd = { 0 };
	static const char *const others[] = { "xz", "gzip", "lz4", "none" };

	lab_make(&lab);
	_cleanup_(image_result) struct image_result first = { 0 };

	CHECK_OK(build(&lab, "out", &first));
	list_initrd(&lab, "out/initrd.img", &zstd);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		_cleanup_(image_result) struct image_result result = { 0 };
		_cleanup_(strbuf) struct strbuf list = { 0 };

		free(lab.conf.compress);
		lab.conf.compress = xstrdup(others[i]);
		CHECK_OK(build(&lab, "out", &result));
		list_initrd(&lab, "out/initrd.img", &list);
		CHECK_STR(list.data, zstd.data);
	}
	free(lab.conf.compress);
	lab.conf.compress = xstrdup("lzo");
	CHECK_ERROR(build(&lab, "out", &first), "compress = lzo: expected zstd, xz, gzip, lz4 or none");
}

/* What a kernel with the drivers built in gets, and is told on its command line. */
TEST(a_classic_initrd_is_the_image_itself)
{
	static const struct {
		const char *format, *compress,
			*check; /* NULL: it is packed, and as large as the one before */
	} cases[] = {
		{ "cramfs", "zstd", "fsck.cramfs" },
		{ "ext2", "none", "e2fsck -fn" },
		{ "ext2", "gzip", NULL },
	};
	static const char config[] = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_BLK_DEV_RAM=y\n"
				     "CONFIG_CRAMFS=y\nCONFIG_EXT2_FS=y\n";
	_cleanup_(lab) struct lab lab;
	uint64_t kib = 0;

	lab_make(&lab);
	CHECK_OK(write_file_at(lab.dir.fd, "config-6.6.6-lab", 0644, config, strlen(config), &e));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(image_result) struct image_result result = { 0 };
		_cleanup_(strlist) struct strlist argv = { 0 };
		_cleanup_(free) char *parameters = NULL;

		CHECK_OK(recovery_conf_set(&lab.conf, "image", "format", cases[i].format, &e));
		CHECK_OK(recovery_conf_set(&lab.conf, "image", "compress", cases[i].compress, &e));
		CHECK_OK(build(&lab, "out", &result));
		if (cases[i].check) {
			strlist_add_words(&argv, cases[i].check);
			strlist_take(&argv, inside(&lab, "out/initrd.img"));
			CHECK_OK(proc_run((const char *const *)argv.items, NULL, &e));
			kib = result.initrd_size / 1024;
		}
		_cleanup_(free) char *wanted = xasprintf("root=/dev/ram0 ramdisk_size=%llu ro init=/linuxrc",
							 (unsigned long long)kib);

		CHECK_OK(image_parameters(lab.out, &parameters, &e));
		CHECK_STR(parameters, wanted);
	}
	_cleanup_(free) char *nothing = NULL;
	_cleanup_(image_result) struct image_result cpio = { 0 };

	CHECK_OK(recovery_conf_set(&lab.conf, "image", "format", "cpio", &e));
	CHECK_OK(build(&lab, "out", &cpio));
	CHECK_OK(image_parameters(lab.out, &nothing, &e));
	CHECK_STR(nothing, "");
	/* Nothing can lie in front of it. */
	CHECK_OK(recovery_conf_set(&lab.conf, "image", "format", "cramfs", &e));
	CHECK_OK(recovery_conf_set(&lab.conf, "image", "microcode", "all", &e));
	_cleanup_(image_result) struct image_result none = { 0 };

	CHECK_ERROR(
		build(&lab, "out", &none),
		"microcode = all: nothing can lie in front of a classic cramfs initrd; use format = cpio");
}

TEST(libraries_are_found_as_the_loader_finds_them)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	/* prog → liba (RUNPATH $ORIGIN) → libb (only by ld.so.conf) and libc (a default folder) */
	compile(&lab, "root/opt/conf/libb.so.1", "-shared -Wl,-soname,libb.so.1");
	compile(&lab, "root/usr/lib/libc.so.6", "-shared -Wl,-soname,libc.so.6");
	put_link(&lab, "build-b.so", "root/opt/conf/libb.so.1");
	put_link(&lab, "build-c.so", "root/usr/lib/libc.so.6");
	compile(&lab, "root/usr/lib/private/liba.so.1.0",
		"-shared -Wl,-soname,liba.so.1 +build-b.so +build-c.so");
	put_link(&lab, "root/usr/lib/private/liba.so.1", "liba.so.1.0");
	put_link(&lab, "build-a.so", "root/usr/lib/private/liba.so.1.0");
	compile(&lab, "root/usr/lib/ld-lab.so", "-shared -Wl,-soname,ld-lab.so");
	compile(&lab, "root/usr/bin/prog",
		"-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so "
		"-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib/private +build-a.so");
	put(&lab, "root/etc/ld.so.conf", "# comment\ninclude /etc/ld.so.conf.d/*.conf\n");
	put(&lab, "root/etc/ld.so.conf.d/x.conf", "/opt/conf\n");
	put(&lab, "data/profiles/test.conf", "[tools]\nrequired = prog\n");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "usr/lib/ld-lab.so 100755");
	check_line(&list, "usr/lib/private/liba.so.1 120777 -> liba.so.1.0");
	check_line(&list, "usr/lib/private/liba.so.1.0 100755");
	check_line(&list, "opt/conf/libb.so.1 100755");
	/* No default folder has it: the image gets an ld.so.cache of its own. */
	check_line(&list, "etc/ld.so.cache 100644");

	CHECK(unlinkat(lab.dir.fd, "root/opt/conf/libb.so.1", 0) == 0);
	_cleanup_(image_result) struct image_result none = { 0 };
	_cleanup_(free) char *want = xasprintf(
		"pack %s/usr/lib/private/liba.so.1.0: its library libb.so.1 is in no folder of ld.so",
		lab.root);

	CHECK_ERROR(build(&lab, "out2", &none), want);
}

#define MODULES "root/usr/lib/modules/6.6.6-lab/kernel/"

TEST(modules_bring_what_they_need)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	put_module(&lab, MODULES "net/card.ko", NULL, "core_start",
		   "softdep=pre: crypto-soft\\0firmware=card/one.fw\\0firmware=card/absent.fw");
	put_module(&lab, MODULES "net/core.ko", "core_start", "bus_start", "");
	put_module(&lab, MODULES "bus.ko", "bus_start", NULL, "");
	put_module(&lab, MODULES "crypto/soft-thing.ko", NULL, NULL, "alias=crypto-soft");
	put_module(&lab, MODULES "drivers/device.ko", NULL, NULL, "alias=pci:v00001AF4d*");
	put_module(&lab, MODULES "class/a/one.ko", NULL, NULL, "");
	put_module(&lab, MODULES "class/two.ko", NULL, NULL, "");
	put_module(&lab, MODULES "classless/not.ko", NULL, NULL, "");
	put_module(&lab, MODULES "loaded.ko", NULL, NULL, "");
	put_module(&lab, MODULES "sound/beep.ko", NULL, NULL, "alias=pci:v00001AF4d*");
	index_modules(&lab);
	put(&lab, "root/usr/lib/firmware/card/one.fw", "firmware");
	put(&lab, "root/proc/modules", "loaded 1 0 - Live\nbus 1 0 - Live\ngone 1 0 - Live\n");
	put(&lab, "root/sys/devices/pci0/dev1/modalias", "pci:v00001AF4d00001000sv0sd0bc02sc00i00\n");
	put(&lab, "data/profiles/test.conf",
	    "[modules]\nrequired = card inside\noptional = nonesuch\nclasses = kernel/class\nmachine = "
	    "yes\nmachine-except = kernel/sound\n");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	static const char *const packed[] = { "net/card",          "net/core",    "bus",
					      "crypto/soft-thing", "class/a/one", "class/two",
					      "drivers/device",    "loaded" };

	for (size_t i = 0; i < sizeof(packed) / sizeof(*packed); i++) {
		_cleanup_(free) char *line =
			xasprintf("usr/lib/modules/6.6.6-lab/kernel/%s.ko 100644", packed[i]);

		check_line(&list, line);
	}
	CHECK(!strstr(list.data, "not.ko"));
	CHECK(!strstr(list.data, "beep.ko"));
	check_line(&list, "usr/lib/firmware/card/one.fw 100644");
	check_line(&list, "usr/lib/modules/6.6.6-lab/modules.dep.bin 100644");
	_cleanup_(free) char *why = read_out(&lab, "out/tree.list", NULL);

	CHECK(strstr(why, "bus.ko\tfile"));
	CHECK(strstr(why, "profile test → module card → soft dependency crypto-soft → module soft_thing"));
}

TEST(microcode_goes_in_front_of_the_rest)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result without = { 0 }, with = { 0 };
	size_t short_len, long_len;

	lab_make(&lab);
	put(&lab, "root/usr/lib/firmware/intel-ucode/06-8e-0a", "microcode");
	CHECK_OK(build(&lab, "out", &without));
	free(lab.conf.microcode);
	lab.conf.microcode = xstrdup("all");
	CHECK_OK(build(&lab, "again", &with));
	_cleanup_(free) char *rest = read_out(&lab, "out/initrd.img", &short_len);
	_cleanup_(free) char *whole = read_out(&lab, "again/initrd.img", &long_len);

	CHECK_INT(long_len, short_len + 1024);
	CHECK(memcmp(whole, "070701", 6) == 0);
	CHECK(memcmp(whole + 1024, rest, short_len) == 0);
	CHECK_INT(with.initrd_size, long_len);
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

TEST(links_of_a_foreign_root_stay_inside_it)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(root) struct root root = ROOT_NONE;
	_cleanup_(walk) struct walk w = { 0 };

	lab_make(&lab);
	put_link(&lab, "root/usr/bin/abs", "/usr/bin/script");
	put_link(&lab, "root/usr/bin/out", "../../../../../usr/bin/script");
	CHECK_OK(root_open(lab.root, &root, &e));
	CHECK_OK(root_walk(&root, NULL, "/bin/abs", &w, &e));
	CHECK_STR(w.canonical, "usr/bin/script");
	CHECK_INT(w.links.count, 4);
	walk_free(&w);
	CHECK_OK(root_walk(&root, NULL, "bin//out", &w, &e));
	CHECK_STR(w.canonical, "usr/bin/script");
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

TEST(secrets_only_when_wanted_and_only_private)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result without = { 0 }, with = { 0 }, fail = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };
	struct stat st;

	lab_make(&lab);
	put_mode(&lab, "private/secret", 0600, "username=u\npassword=p\n");
	lab.conf.credentials = inside(&lab, "private/secret");
	CHECK_OK(build(&lab, "out", &without));
	CHECK(!without.holds_secrets);
	CHECK(fstatat(lab.dir.fd, "out/initrd.img", &st, 0) == 0 && (st.st_mode & 0777) == 0644);
	lab.conf.pack_secrets = true;
	CHECK_OK(build(&lab, "out", &with));
	CHECK(with.holds_secrets);
	CHECK_STR(with.secrets.items[0], "/etc/lifeboat/credentials");
	CHECK(fstatat(lab.dir.fd, "out/initrd.img", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "etc/lifeboat/credentials 100600");
	CHECK(fchmodat(lab.dir.fd, "private/secret", 0640, 0) == 0);
	_cleanup_(free) char *want =
		xasprintf("read credentials %s: others can read it (mode 0640); do: chmod 600 %s",
			  lab.conf.credentials, lab.conf.credentials);

	CHECK_ERROR(build(&lab, "out", &fail), want);
}

TEST(a_sites_overlay_goes_on_top)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	put_mode(&lab, "site/bin/busybox", 0711, "ours\n");
	put_mode(&lab, "site/root/key", 0600, "private\n");
	lab.conf.overlay = inside(&lab, "site");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "usr/bin/busybox 100711");
	check_line(&list, "root/key 100600");
	CHECK(result.holds_secrets);
	CHECK(strlist_has(&result.secrets, "/root/key"));
}

TEST(what_stands_in_place_of_a_library)
{
	_cleanup_(lab) struct lab lab;
	struct image_result result;

	lab_make(&lab);
	compile(&lab, "root/usr/lib/libb.so.1", "-shared -Wl,-soname,libb.so.1");
	put_link(&lab, "build-b.so", "root/usr/lib/libb.so.1");
	compile(&lab, "root/usr/lib/ld-lab.so", "-shared -Wl,-soname,ld-lab.so");
	compile(&lab, "root/usr/bin/prog",
		"-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so +build-b.so");
	put(&lab, "data/profiles/test.conf", "[tools]\nrequired = prog\n");
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

TEST(programs_of_a_sites_overlay_get_what_they_need)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	lab.conf.overlay = inside(&lab, "site");
	/* Only the machine has libm1 and awk, only the overlay libsite1, in a folder of no loader's. */
	compile(&lab, "root/usr/lib/libm1.so", "-shared -Wl,-soname,libm1.so");
	compile(&lab, "site/opt/site/lib/libsite1.so", "-shared -Wl,-soname,libsite1.so");
	put_link(&lab, "m1.so", "root/usr/lib/libm1.so");
	put_link(&lab, "site1.so", "site/opt/site/lib/libsite1.so");
	compile(&lab, "root/usr/lib/ld-lab.so", "-shared -Wl,-soname,ld-lab.so");
	compile(&lab, "site/opt/site/bin/prog",
		"-nostartfiles -Wl,-e,0 -Wl,--dynamic-linker,/lib/ld-lab.so "
		"-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib +site1.so +m1.so");
	put_mode(&lab, "root/usr/bin/awk", 0755, "not really\n");
	put_mode(&lab, "site/usr/bin/report", 0755, "#!/usr/bin/awk -f\n");
	put(&lab, "site/usr/share/example", "#!/usr/bin/nonesuch\n");
	CHECK_OK(build(&lab, "out", &result));
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "opt/site/lib/libsite1.so 100755");
	check_line(&list, "usr/lib/libm1.so 100755");
	check_line(&list, "usr/lib/ld-lab.so 100755");
	check_line(&list, "usr/bin/awk 100755");
	_cleanup_(free) char *why = read_out(&lab, "out/tree.list", NULL);
	_cleanup_(free) char *reason = xasprintf("overlay %s → library libm1.so\n", lab.conf.overlay);

	CHECK(strstr(why, reason));
	CHECK(unlinkat(lab.dir.fd, "root/usr/lib/libm1.so", 0) == 0);
	_cleanup_(image_result) struct image_result none = { 0 };
	_cleanup_(free) char *want = xasprintf(
		"pack %s/opt/site/bin/prog: its library libm1.so is in no folder of ld.so", lab.conf.overlay);

	CHECK_ERROR(build(&lab, "out2", &none), want);
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

TEST(an_installed_kernel_by_its_version)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 };

	lab_make(&lab);
	CHECK_OK(mkdir_parents_at(lab.dir.fd, "root/boot", 0755, &e));
	put_kernel(&lab, "root/boot/vmlinuz-6.6.6-lab");
	free(lab.kernel);
	lab.kernel = xstrdup("6.6.6-lab");
	CHECK_OK(build(&lab, "out", &result));
	CHECK_INT(result.kernel_size, 0xa00);
}

TEST(promises_are_packed_and_told)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_result) struct image_result result = { 0 }, none = { 0 };
	_cleanup_(strbuf) struct strbuf list = { 0 };

	lab_make(&lab);
	put_module(&lab, MODULES "net/card.ko", NULL, NULL, "");
	index_modules(&lab);
	put(&lab, "root/etc/thing", "x");
	put_mode(&lab, "root/usr/bin/second", 0755, "#!/bin/script\n");
	put_mode(&lab, "root/usr/bin/script", 0755, "#!/bin/script\n");
	compile(&lab, "root/usr/bin/script", "-nostartfiles -static -Wl,-e,0");
	put(&lab, "data/profiles/test.conf",
	    "[promise can work]\ntools = first|second\nmodules = card inside\nfiles = /etc/thing\n");
	CHECK_OK(build(&lab, "out", &result));
	CHECK_INT(result.promises.count, 1);
	CHECK_STR(result.promises.items[0], "can work");
	list_initrd(&lab, "out/initrd.img", &list);
	check_line(&list, "usr/bin/second 100755");
	check_line(&list, "etc/thing 100644");

	/* A site's overlay goes on top, also where it does harm. */
	put_mode(&lab, "site/bin/second", 0644, "ours\n");
	lab.conf.overlay = inside(&lab, "site");
	_cleanup_(free) char *want = xasprintf("%s/profiles/test.conf:2: the image does not keep 'can work': "
					       "tool first is not in it; mend the "
					       "overlay or drop profile 'test'",
					       lab.data);

	CHECK_ERROR(build(&lab, "out2", &none), want);
	CHECK(!exists(&lab, "out2/initrd.img"));
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
