/* What a kernel's configuration says about how it can be given an initrd. */
#include "image/format.h"
#include "tap.h"

static struct error e;

struct bench {
	struct recovery_conf conf;
	struct kernel kernel;
	struct format_choice choice;
};

static void bench_free(struct bench *b)
{
	recovery_conf_free(&b->conf);
	kernel_free(&b->kernel);
	format_choice_free(&b->choice);
}
DEFINE_CLEANUP(bench, struct bench, bench_free)

/* `options`: words such as CRAMFS=m; NULL: no configuration is known. INITRD and every decompressor are there. */
static void bench_make(struct bench *b, const char *format, const char *compress, const char *options)
{
	*b = (struct bench) { .kernel = { .version = xstrdup("6.6.6"),
					  .modules = xstrdup("/lib/modules/6.6.6") } };
	CHECK_OK(recovery_conf_load("/dev/null", &b->conf, &e));
	CHECK_OK(recovery_conf_set(&b->conf, "image", "format", format, &e));
	CHECK_OK(recovery_conf_set(&b->conf, "image", "compress", compress, &e));
	if (!options)
		return;
	_cleanup_(strlist) struct strlist words = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	strlist_add_words(&words, options);
	if (!strstr(options, "BLK_DEV_INITRD"))
		strlist_add_words(&words, "BLK_DEV_INITRD=y RD_ZSTD=y RD_GZIP=y XZ_DEC_X86=y");
	for (size_t i = 0; i < words.count; i++)
		strbuf_printf(&text, "CONFIG_%s\n", words.items[i]);
	b->kernel.config = (struct kernel_config) { TAKE_PTR(text.data), xstrdup("/boot/config-6.6.6") };
}

static int choose(struct bench *b)
{
	return format_choose(&b->conf, &b->kernel, &b->choice, &e);
}

static void check_words(const struct strlist *list, const char *wanted)
{
	_cleanup_(free) char *got = strlist_join(list, " ");

	CHECK_STR(got ? got : "", wanted);
}

TEST(what_is_built_in_is_classic)
{
	_cleanup_(bench) struct bench b, c, d;

	bench_make(&b, "cramfs", "zstd", "CRAMFS=y BLK_DEV_RAM=y");
	CHECK_OK(choose(&b));
	CHECK_INT(b.choice.way, BOOT_CLASSIC);
	CHECK(!b.choice.compressed); /* its blocks are */
	bench_make(&c, "ext2", "zstd", "EXT4_FS=y EXT4_USE_FOR_EXT2=y BLK_DEV_RAM=y");
	CHECK_OK(choose(&c));
	CHECK_INT(c.choice.way, BOOT_CLASSIC);
	CHECK(c.choice.compressed);
	/* ext4 that does not take ext2's place can mount it, but only when it is told to. */
	bench_make(&d, "ext2", "zstd", "EXT4_FS=y BLK_DEV_RAM=y BLK_DEV_LOOP=y");
	CHECK_OK(choose(&d));
	CHECK_INT(d.choice.way, BOOT_STARTER);
	check_words(&d.choice.modules, "");
	check_words(&d.choice.types, "ext4");
}

TEST(modules_need_a_starter)
{
	_cleanup_(bench) struct bench b, c, d;

	bench_make(&b, "cramfs", "zstd", "CRAMFS=m BLK_DEV_RAM=y BLK_DEV_LOOP=m");
	CHECK_OK(choose(&b));
	CHECK_INT(b.choice.way, BOOT_STARTER);
	CHECK(b.choice.compressed);
	check_words(&b.choice.modules, "cramfs loop");
	check_words(&b.choice.types, "cramfs");
	/* The RAM disk is a module: nothing is there to load it from. */
	bench_make(&c, "ext2", "zstd", "EXT2_FS=y BLK_DEV_RAM=m BLK_DEV_LOOP=y");
	CHECK_OK(choose(&c));
	CHECK_INT(c.choice.way, BOOT_STARTER);
	check_words(&c.choice.modules, "");
	/* Nothing is known: all of it is tried. */
	bench_make(&d, "ext2", "xz", NULL);
	CHECK_OK(choose(&d));
	CHECK_INT(d.choice.way, BOOT_STARTER);
	check_words(&d.choice.modules, "ext2 ext4 loop");
	check_words(&d.choice.types, "ext2 ext4");
}

TEST(what_cannot_boot_is_refused_with_the_reason)
{
	static const struct {
		const char *format, *compress, *options, *error;
	} cases[] = {
		{ "cpio", "zstd", "BLK_DEV_INITRD=n",
		  "kernel 6.6.6 takes no initrd at all (CONFIG_BLK_DEV_INITRD is not set in "
		  "/boot/config-6.6.6); choose another with -k" },
		{ "cpio", "lz4", "",
		  "compress = lz4: kernel 6.6.6 cannot unpack that (CONFIG_RD_LZ4 is not set in "
		  "/boot/config-6.6.6); it can: zstd, gzip, none" },
		{ "cpio", "xz", "BLK_DEV_INITRD=y RD_XZ=y",
		  "compress = xz: kernel 6.6.6 cannot unpack that (CONFIG_XZ_DEC_X86 is not set in "
		  "/boot/config-6.6.6); it can: none" },
		{ "cramfs", "zstd", "EXT4_FS=m BLK_DEV_LOOP=m BLK_DEV_RAM=y",
		  "format = cramfs: kernel 6.6.6 cannot boot that (CONFIG_CRAMFS is not set in "
		  "/boot/config-6.6.6); it can: cpio, ext2" },
		{ "ext2", "zstd", "CRAMFS=y BLK_DEV_RAM=y",
		  "format = ext2: kernel 6.6.6 cannot boot that (CONFIG_EXT2_FS or CONFIG_EXT4_FS is not set "
		  "in /boot/config-6.6.6); it can: cpio, cramfs" },
		{ "ext2", "zstd", "EXT4_FS=m",
		  "format = ext2: kernel 6.6.6 cannot boot that (CONFIG_BLK_DEV_LOOP is not set in "
		  "/boot/config-6.6.6); it can: cpio" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(bench) struct bench b;

		bench_make(&b, cases[i].format, cases[i].compress, cases[i].options);
		CHECK_ERROR(choose(&b), cases[i].error);
	}
}

TEST(a_classic_cramfs_needs_no_decompressor)
{
	_cleanup_(bench) struct bench b;

	bench_make(&b, "cramfs", "lz4", "CRAMFS=y BLK_DEV_RAM=y");
	CHECK_OK(choose(&b));
}

TEST(modules_that_are_not_there)
{
	_cleanup_(bench) struct bench b;

	bench_make(&b, "cramfs", "zstd", "CRAMFS=m BLK_DEV_LOOP=m");
	free(TAKE_PTR(b.kernel.modules));
	CHECK_ERROR(choose(&b),
		    "format = cramfs: kernel 6.6.6 needs modules for that (cramfs, loop), and its "
		    "lib/modules/6.6.6 is not there; use format = cpio");
}

TEST(levels_are_checked_before_anything_is_done)
{
	_cleanup_(bench) struct bench b;

	bench_make(&b, "cpio", "gzip", "");
	CHECK_OK(recovery_conf_set(&b.conf, "image", "level", "10", &e));
	CHECK_ERROR(choose(&b), "compress = gzip has no level 10; its highest is 9");
}

TAP_MAIN()
