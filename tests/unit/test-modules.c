/* Kernel modules and firmware, out of a made-up root: modules are compiled from nothing, but are ELF files
 * as far as depmod(8) and we look. */
#include "image/modules.h"

#include "base/fs.h"
#include "base/proc.h"
#include "image/content.h"
#include "packers.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define VERSION "6.6.6-lab"
#define FOLDER "usr/lib/modules/" VERSION
#define MAGIC "vermagic=" VERSION " SMP mod_unload \\0"

static struct error e;
static struct report quiet;

struct lab {
	struct tempdir dir;
	struct root root;
	struct tree tree;
	struct kernel kernel;
	struct modules modules;
};

static void lab_free(struct lab *lab)
{
	modules_close(&lab->modules);
	kernel_free(&lab->kernel);
	tree_free(&lab->tree);
	root_close(&lab->root);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static char *inside(const struct lab *lab, const char *path)
{
	return xasprintf("%s/%s", lab->dir.path, path);
}

static void put_bytes(const struct lab *lab, const char *path, const void *data, size_t len)
{
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, path, 0644, data, len, &e));
}

static void put(const struct lab *lab, const char *path, const char *text)
{
	put_bytes(lab, path, text, strlen(text));
}

static void lab_make(struct lab *lab)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE, .root = ROOT_NONE };
	report_init(&quiet, VERBOSITY_QUIET, false);
	if (access("/dev/shm", W_OK) == 0)
		CHECK(setenv("TMPDIR", "/dev/shm", 0) == 0);
	CHECK_OK(tempdir_make(&lab->dir, &e));
	CHECK_OK(root_open(lab->dir.path, &lab->root, &e));
	put(lab, FOLDER "/modules.builtin", "kernel/fs/inside.ko\n");
	CHECK(symlinkat("usr/lib", lab->dir.fd, "lib") == 0);
	CHECK_OK(tree_add_link(&lab->tree, "lib", "usr/lib", NULL, &e));
	CHECK_OK(tree_add_folder(&lab->tree, "usr/lib", 0755, NULL, &e));
	lab->kernel = (struct kernel) { .version = xstrdup(VERSION), .modules = inside(lab, FOLDER) };
}

/* `path` is below the modules folder's kernel/, without ".ko". `exports` and `uses` are symbols or NULL; `info` is
 * what .modinfo holds besides the licence, as C writes it. */
static void put_module(const struct lab *lab, const char *path, const char *exports, const char *uses,
		       const char *info)
{
	_cleanup_(free) char *file = xasprintf(FOLDER "/kernel/%s.ko", path);
	_cleanup_(free) char *out = inside(lab, file);
	_cleanup_(free) char *source = inside(lab, "module.c");
	_cleanup_(free) char *parent = xstrndup(file, (size_t)(strrchr(file, '/') - file));
	_cleanup_(strbuf) struct strbuf text = { 0 };

	strbuf_printf(&text,
		      "const char info[] __attribute__((section(\".modinfo\"))) = \"license=GPL\\0%s\";\n",
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

/* Puts a compressed file in the place of the plain one. */
static void compress_file(const struct lab *lab, const char *path, const char *packer, const char *suffix)
{
	_cleanup_(free) char *data = NULL;
	_cleanup_(free) char *longer = xasprintf("%s%s", path, suffix);
	_cleanup_(free) unsigned char *packed = xmalloc(room);
	size_t len;

	CHECK_OK(read_file_at(lab->dir.fd, path, room, &data, &len, &e));
	put_bytes(lab, longer, packed, pack_with(packer, data, len, packed));
	CHECK(unlinkat(lab->dir.fd, path, 0) == 0);
}

static void run_depmod(const char *root)
{
	CHECK_OK(proc_run((const char *const[]) { "depmod", "-b", root, VERSION, NULL }, NULL, &e));
}

static void open_modules(struct lab *lab)
{
	CHECK_OK(modules_open(&lab->root, &lab->kernel, &lab->tree, &quiet, &lab->modules, &e));
	CHECK_OK(modules_read(&lab->modules, &e));
}

static void index_and_open(struct lab *lab)
{
	run_depmod(lab->dir.path);
	open_modules(lab);
}

static const struct entry *find(const struct lab *lab, const char *path)
{
	return tree_find(&lab->tree, path);
}

/* What goes into the image under this path. */
static void read_entry(const struct lab *lab, const char *path, struct strbuf *ret)
{
	const struct entry *entry = find(lab, path);
	char buf[65536];
	ssize_t n;

	if (!entry || !S_ISREG(entry->mode))
		TAP_FAIL("no file %s in the tree", path);
	if (!entry->source) {
		strbuf_add(ret, entry->data, entry->size);
		return;
	}
	_cleanup_(fd) int fd = content_fd(entry, &e);

	CHECK(fd >= 0);
	while ((n = read_full(fd, buf, sizeof(buf))) > 0)
		strbuf_add(ret, buf, (size_t)n);
	CHECK_INT(n, 0);
	CHECK_INT(ret->len, entry->size);
}

static void check_text(const struct lab *lab, const char *path, const char *want)
{
	_cleanup_(strbuf) struct strbuf got = { 0 };

	read_entry(lab, path, &got);
	CHECK_STR(got.data ? got.data : "", want);
}

/* --- modules.dep --- */

static int parse(const char *text, struct moddep *ret)
{
	return moddep_parse(xstrdup(text), "modules.dep", ret, &e);
}

TEST(modules_dep_is_read)
{
	_cleanup_(moddep) struct moddep d = { 0 };

	CHECK_OK(parse("kernel/a-b.ko.xz: kernel/c.ko kernel/d.ko\nkernel/c.ko: kernel/d.ko\nkernel/d.ko:\n"
		       "updates/c.ko:\n",
		       &d));
	CHECK_INT(d.count, 4);
	CHECK_STR(d.list[0].name, "a_b");
	CHECK_STR(d.list[0].path, "kernel/a-b.ko.xz");
	CHECK_INT(d.list[0].need_count, 2);
	CHECK_INT(d.list[0].needs[0], 1);
	CHECK_INT(d.list[0].needs[1], 2);
	CHECK(map_get(&d.by_name, "c") == &d.list[1]); /* the first of that name */
	CHECK_INT(moddep_plain_len("kernel/a-b.ko.xz"), strlen("kernel/a-b.ko"));
}

TEST(needs_may_follow_the_colon_at_once)
{
	_cleanup_(moddep) struct moddep d = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	for (int i = 0; i < 100; i++)
		strbuf_puts(&text, "a.ko:a.ko\n");
	CHECK_OK(parse(text.data, &d));
	CHECK_INT(d.count, 100);
	CHECK_INT(d.list[99].need_count, 1);
}

TEST(a_broken_modules_dep_is_pointed_at)
{
	struct moddep d;

	CHECK_ERROR(parse("a.ko:\nb.ko\n", &d), "modules.dep:2: no ':' behind the module's path");
	CHECK_ERROR(parse("a.ko: b.ko\n", &d),
		    "modules.dep:1: it needs 'b.ko', which has no line of its own");
	CHECK_ERROR(parse("/a.ko:\n", &d),
		    "modules.dep:1: '/a.ko' is not the path of a module below this folder");
	CHECK_ERROR(parse("x/../../a.ko:\n", &d),
		    "modules.dep:1: 'x/../../a.ko' is not the path of a module below this folder");
	CHECK_ERROR(parse("a.txt:\n", &d),
		    "modules.dep:1: 'a.txt' is not the path of a module below this folder");
	CHECK_ERROR(parse("\na.ko:\n", &d), "modules.dep:1: no ':' behind the module's path");
}

/* --- indexes --- */

/* What the lab of the next test takes, as depmod sees it when it is alone. */
static void check_index(const struct lab *lab, const struct lab *alone, const char *name)
{
	_cleanup_(free) char *path = xasprintf(FOLDER "/%s", name);
	_cleanup_(strbuf) struct strbuf got = { 0 };
	_cleanup_(free) char *want = NULL;
	size_t len;

	CHECK_OK(read_file_at(alone->dir.fd, path, room, &want, &len, &e));
	read_entry(lab, path, &got);
	if (got.len != len || (len && memcmp(got.data, want, len) != 0))
		TAP_FAIL("%s: %zu bytes, and depmod makes others, %zu", name, got.len, len);
}

static void put_subset(const struct lab *lab)
{
	put_module(lab, "net/card", NULL, "bus_add",
		   MAGIC "softdep=pre: crypto-soft\\0alias=pci:v00001AF4d*sv[0-9A-F]sd*\\0alias=card-alias");
	put_module(lab, "net/bus", "bus_add", "core_add",
		   MAGIC "alias=pci:v00001AF4d00001*\\0alias=char-major-10-235\\0alias=devname:net/bus");
	put_module(lab, "net/core", "core_add", NULL, MAGIC);
	put_module(lab, "crypto/soft-thing", "soft_one", NULL, MAGIC "alias=crypto-soft\\0alias=card-alias");
}

TEST(the_indexes_of_a_subset_are_depmods)
{
	static const char *const names[] = {
		"modules.dep",     "modules.dep.bin", "modules.alias.bin", "modules.symbols.bin",
		"modules.softdep", "modules.devname", "modules.builtin",   "modules.builtin.bin",
	};
	_cleanup_(lab) struct lab lab, alone;

	lab_make(&lab);
	lab_make(&alone);
	put_subset(&alone);
	run_depmod(alone.dir.path);
	put_subset(&lab);
	put_module(&lab, "net/other", "other_add", "bus_add",
		   MAGIC "alias=pci:v00001AF4*\\0softdep=post: card");
	put_module(&lab, "sound/beep", NULL, "other_add", MAGIC "alias=card-alias\\0alias=char-major-10-9");
	index_and_open(&lab);
	CHECK_INT(modules_add(&lab.modules, "card", NULL, &e), 1);
	CHECK_OK(modules_finish(&lab.modules, NULL, &e));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		check_index(&lab, &alone, names[i]);
	CHECK(modules_has(&lab.modules, "soft-thing") && !modules_has(&lab.modules, "beep"));
}

/* --- compressed modules --- */

TEST(compressed_modules_go_in_unpacked)
{
	static const char *const forms[][2] = { { "xz", ".xz" }, { "zstd", ".zst" }, { "gzip", ".gz" } };

	for (size_t i = 0; i < 3; i++) {
		_cleanup_(lab) struct lab lab;
		_cleanup_(strbuf) struct strbuf got = { 0 };
		_cleanup_(free) char *plain = NULL;
		size_t len;

		lab_make(&lab);
		put_module(&lab, "net/card", NULL, "bus_add", MAGIC "softdep=pre: soft-thing");
		put_module(&lab, "net/bus", "bus_add", NULL, MAGIC);
		put_module(&lab, "net/soft-thing", NULL, NULL, MAGIC);
		CHECK_OK(read_file_at(lab.dir.fd, FOLDER "/kernel/net/card.ko", room, &plain, &len, &e));
		run_depmod(lab.dir.path); /* some are built without each of the three */
		compress_file(&lab, FOLDER "/kernel/net/card.ko", forms[i][0], forms[i][1]);
		_cleanup_(free) char *dep =
			xasprintf("kernel/net/card.ko%s: kernel/net/bus.ko\nkernel/net/bus.ko:\n"
				  "kernel/net/soft-thing.ko:\n",
				  forms[i][1]);

		put(&lab, FOLDER "/modules.dep", dep);
		open_modules(&lab);
		CHECK_INT(modules_add(&lab.modules, "card", NULL, &e), 1);
		CHECK_OK(modules_finish(&lab.modules, NULL, &e));
		check_text(&lab, FOLDER "/modules.dep",
			   "kernel/net/card.ko: "
			   "kernel/net/bus.ko\nkernel/net/bus.ko:\nkernel/net/soft-thing.ko:\n");
		read_entry(&lab, FOLDER "/kernel/net/card.ko", &got);
		CHECK_INT(got.len, len);
		CHECK(memcmp(got.data, plain, len) == 0);
		CHECK(find(&lab, FOLDER "/kernel/net/soft-thing.ko"));
	}
}

/* They are unpacked once: into the spool, or where that cannot be, once more when they are packed. */
TEST(compressed_modules_without_room_to_unpack_them)
{
	for (int i = 0; i < 2; i++) {
		_cleanup_(lab) struct lab lab;
		_cleanup_(free) char *plain = NULL;
		_cleanup_(strbuf) struct strbuf got = { 0 };
		size_t len;

		lab_make(&lab);
		put_module(&lab, "card", NULL, NULL, MAGIC);
		CHECK_OK(read_file_at(lab.dir.fd, FOLDER "/kernel/card.ko", room, &plain, &len, &e));
		run_depmod(lab.dir.path);
		compress_file(&lab, FOLDER "/kernel/card.ko", "xz", ".xz");
		put(&lab, FOLDER "/modules.dep", "kernel/card.ko.xz:\n");
		if (i == 1)
			CHECK(setenv("TMPDIR", "/proc", 1) == 0);
		open_modules(&lab);
		CHECK_INT(modules_add(&lab.modules, "card", NULL, &e), 1);
		CHECK_OK(modules_finish(&lab.modules, NULL, &e));
		CHECK(!find(&lab, FOLDER "/kernel/card.ko")->spool == (i == 1));
		read_entry(&lab, FOLDER "/kernel/card.ko", &got);
		CHECK_INT(got.len, len);
		CHECK(memcmp(got.data, plain, len) == 0);
	}
}

/* --- modules that cannot be packed --- */

static void check_finish(struct lab *lab, const char *what, const char *path, const char *why)
{
	_cleanup_(free) char *want =
		xasprintf("%s %s/" FOLDER "/kernel/%s%s", what, lab->dir.path, path, why);

	open_modules(lab);
	CHECK_INT(modules_add(&lab->modules, "card", NULL, &e), 1);
	CHECK_ERROR(modules_finish(&lab->modules, NULL, &e), want);
	modules_close(&lab->modules);
}

TEST(a_module_for_another_kernel_is_an_error)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	put_module(&lab, "card", NULL, NULL, "vermagic=5.10.0 SMP modversions ");
	run_depmod(lab.dir.path);
	check_finish(
		&lab, "pack module", "card.ko",
		": it is for kernel 5.10.0, not 6.6.6-lab; install the right one or remove it, then run: "
		"depmod 6.6.6-lab");
	put_module(&lab, "card", NULL, NULL, "author=me");
	check_finish(&lab, "pack module", "card.ko", ": it has no vermagic, so no kernel loads it");
	/* Its symbols' versions are what counts with such a kernel. */
	put_module(&lab, "card", NULL, NULL, "vermagic=5.10.0 SMP modversions ");
	lab.kernel.config.text = xstrdup("CONFIG_MODVERSIONS=y\n");
	open_modules(&lab);
	CHECK_INT(modules_add(&lab.modules, "card", NULL, &e), 1);
	CHECK_OK(modules_finish(&lab.modules, NULL, &e));
}

TEST(a_broken_module_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct stat st;

	lab_make(&lab);
	put_module(&lab, "card", NULL, NULL, MAGIC);
	run_depmod(lab.dir.path);
	CHECK(fstatat(lab.dir.fd, FOLDER "/kernel/card.ko", &st, 0) == 0);
	_cleanup_(free) char *path = inside(&lab, FOLDER "/kernel/card.ko");
	_cleanup_(free) char *cut = xasprintf(": truncated: it has %lld of at least %lld bytes",
					      (long long)st.st_size - 100, (long long)st.st_size);

	CHECK(truncate(path, st.st_size - 100) == 0);
	check_finish(&lab, "read module", "card.ko", cut);
	CHECK(truncate(path, 0) == 0);
	check_finish(&lab, "read module", "card.ko", ": not an ELF file");
	CHECK(unlink(path) == 0);
	check_finish(&lab, "read module", "card.ko", ": No such file or directory");
	put(&lab, FOLDER "/kernel/card.ko.zst", "\x28\xb5\x2f\xfd nonsense");
	put(&lab, FOLDER "/modules.dep", "kernel/card.ko.zst:\n");
	check_finish(&lab, "unpack", "card.ko.zst", ": its zstd data is damaged");
}

TEST(a_folder_without_indexes_is_an_error)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	_cleanup_(free) char *want =
		xasprintf("read %s/modules.dep: there is none; run: depmod " VERSION, lab.kernel.modules);

	CHECK_OK(modules_open(&lab.root, &lab.kernel, &lab.tree, &quiet, &lab.modules, &e));
	CHECK_ERROR(modules_read(&lab.modules, &e), want);
}

/* --- firmware --- */

#define FW "usr/lib/firmware/"

TEST(firmware_is_found_as_the_kernel_finds_it)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	/* Folder by folder … */
	put(&lab, FW "updates/" VERSION "/a", "first");
	put(&lab, FW "updates/a", "second");
	put(&lab, FW "updates/b", "second");
	put(&lab, FW VERSION "/b", "third");
	put(&lab, FW VERSION "/c", "third");
	put(&lab, FW "c", "fourth");
	/* … the plain one in the last folder before a compressed one in the first */
	put(&lab, FW "updates/d", "packed");
	compress_file(&lab, FW "updates/d", "zstd", ".zst");
	put(&lab, FW "d", "plain");
	index_and_open(&lab);
	static const char *const names[] = { "a", "b", "c", "d" };

	for (size_t i = 0; i < 4; i++)
		CHECK_INT(modules_add_firmware(&lab.modules, names[i], NULL, &e), 1);
	check_text(&lab, FW "updates/" VERSION "/a", "first");
	check_text(&lab, FW "updates/b", "second");
	check_text(&lab, FW VERSION "/c", "third");
	check_text(&lab, FW "d", "plain");
	CHECK(!find(&lab, FW "updates/a") && !find(&lab, FW "c") && !find(&lab, FW "updates/d.zst"));
}

TEST(links_and_patterns_of_firmware)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	put(&lab, FW "card/real.bin", "real");
	put(&lab, "etc/outside", "secret");
	CHECK(symlinkat("card/real.bin", lab.dir.fd, FW "linked.bin") == 0);
	put(&lab, FW "card/fw-1.bin", "1");
	put(&lab, FW "card/fw-2.bin", "2");
	put(&lab, FW "card/xfw-3.bin", "3");
	put(&lab, FW "other/fw-4.bin", "4");
	compress_file(&lab, FW "card/fw-2.bin", "xz", ".xz");
	index_and_open(&lab);
	CHECK_INT(modules_add_firmware(&lab.modules, "linked.bin", NULL, &e), 1);
	CHECK_STR(find(&lab, FW "linked.bin")->data, "card/real.bin");
	check_text(&lab, FW "card/real.bin", "real");
	CHECK_INT(modules_add_firmware(&lab.modules, "card/fw-*.bin", NULL, &e), 2);
	check_text(&lab, FW "card/fw-1.bin", "1");
	check_text(&lab, FW "card/fw-2.bin", "2");
	CHECK(!find(&lab, FW "card/xfw-3.bin") && !find(&lab, FW "other/fw-4.bin"));
	CHECK_INT(modules_add_firmware(&lab.modules, "*/fw-[34].bin", NULL, &e), 1);
	check_text(&lab, FW "other/fw-4.bin", "4");
	CHECK_INT(modules_add_firmware(&lab.modules, "none-*", NULL, &e), 0);
	CHECK_INT(modules_add_firmware(&lab.modules, "../../../etc/outside", NULL, &e), 0);
	CHECK_INT(modules_add_firmware(&lab.modules, "/etc/outside", NULL, &e), 0);
}

TEST(compressed_firmware_stays_where_the_kernel_loads_it)
{
	static const struct {
		const char *config;
		bool zst, xz; /* stays */
	} cases[] = {
		{ NULL, false, false },
		{ "CONFIG_X86=y\n", false, false },
		{ "CONFIG_FW_LOADER_COMPRESS=y\nCONFIG_FW_LOADER_COMPRESS_ZSTD=y\n", true, true },
		{ "CONFIG_FW_LOADER_COMPRESS=y\n", false, true }, /* before 5.19 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(lab) struct lab lab;

		lab_make(&lab);
		lab.kernel.config.text = cases[i].config ? xstrdup(cases[i].config) : NULL;
		put(&lab, FW "a", "one");
		put(&lab, FW "b", "two");
		compress_file(&lab, FW "a", "zstd", ".zst");
		compress_file(&lab, FW "b", "xz", ".xz");
		index_and_open(&lab);
		CHECK_INT(modules_add_firmware(&lab.modules, "a", NULL, &e), 1);
		CHECK_INT(modules_add_firmware(&lab.modules, "b", NULL, &e), 1);
		CHECK(!find(&lab, FW "a.zst") == !cases[i].zst && !find(&lab, FW "b.xz") == !cases[i].xz);
		if (!cases[i].zst)
			check_text(&lab, FW "a", "one");
		if (!cases[i].xz)
			check_text(&lab, FW "b", "two");
	}
}

TEST(who_names_firmware_and_what_is_missing)
{
	_cleanup_(lab) struct lab lab;
	static const char built_in[] = "usb.license=GPL\0usb.firmware=usb.fw\0usb.firmware=gone\0";

	lab_make(&lab);
	lab.kernel.config.text = xstrdup("CONFIG_EXTRA_FIRMWARE=\"in/kernel.fw other\"\n");
	put_module(&lab, "card", NULL, NULL,
		   MAGIC "firmware=card.fw\\0firmware=gone\\0firmware=never-*\\0firmware=in/kernel.fw");
	put_module(&lab, "unused", NULL, NULL, MAGIC "firmware=unused.fw");
	put(&lab, FW "card.fw", "");
	put(&lab, FW "usb.fw", "");
	put(&lab, FW "unused.fw", "");
	put_bytes(&lab, FOLDER "/modules.builtin.modinfo", built_in, sizeof(built_in) - 1);
	index_and_open(&lab);
	CHECK_INT(modules_add(&lab.modules, "card", NULL, &e), 1);
	CHECK_OK(modules_finish(&lab.modules, NULL, &e));
	CHECK(find(&lab, FW "card.fw") && find(&lab, FW "usb.fw") && !find(&lab, FW "unused.fw"));
	CHECK_INT(lab.modules.missing_firmware.count, 2);
	CHECK_STR(lab.modules.missing_firmware.items[0], "gone");
	CHECK_STR(lab.modules.missing_firmware.items[1], "never-*");
	_cleanup_(free) char *why = reason_text(find(&lab, FW "usb.fw")->reason);

	CHECK_STR(why, "driver usb of the kernel → firmware usb.fw");
}

TAP_MAIN()
