/* Kernels: their boot image, what is packed in it, and how they were configured. The images are made here,
 * by each of the compressors that real ones are packed with. */
#include "image/kernel.h"

#include "base/fs.h"
#include "base/proc.h"
#include "image/kernel_image.h"
#include "packers.h"
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

static struct error e;
static struct report quiet;

/* --- made kernels --- */

#define VERSION "6.6.6-lab"
static const char config_text[] = "# Linux/x86 6.6.6 Kernel Configuration\n"
				  "CONFIG_RD_ZSTD=y\n"
				  "CONFIG_CRAMFS=m\n"
				  "# CONFIG_RD_LZO is not set\n"
				  "CONFIG_BLK_DEV_RAM_SIZE=16384\n"
				  "CONFIG_LOCALVERSION=\"-lab\"\n"
				  "CONFIG_RD=n\n";

/* A kernel as it is in memory, 9 MiB, with its configuration if it has one. Where it begins crosses the
 * borders of the pieces in which a kernel is read. */
static void make_kernel(struct strbuf *ret, bool with_config)
{
	enum { before = (1 << 18) - 3, noisy = 1 << 19, size = 9 << 20 };
	_cleanup_(free) unsigned char *packed = xmalloc(room);
	_cleanup_(free) unsigned char *noise = xcalloc(1, size);
	uint32_t seed = 1;

	for (size_t i = 0; i < noisy; i++)
		noise[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24) & 15;
	strbuf_add(ret, noise, before);
	if (with_config) {
		strbuf_puts(ret, "IKCFG_ST");
		strbuf_add(ret, packed, pack_gzip(config_text, strlen(config_text), packed));
		strbuf_puts(ret, "IKCFG_ED");
	}
	strbuf_add(ret, noise + before, size - before);
}

struct lab {
	struct tempdir dir;
	struct root root;
	char *vmlinuz;
};

static void lab_free(struct lab *lab)
{
	free(lab->vmlinuz);
	root_close(&lab->root);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static void lab_make(struct lab *lab)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE, .root = ROOT_NONE };
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&lab->dir, &e));
	CHECK_OK(root_open(lab->dir.path, &lab->root, &e));
	lab->vmlinuz = xasprintf("%s/boot/vmlinuz-" VERSION, lab->dir.path);
}

static void put(const struct lab *lab, const char *path, const void *data, size_t len)
{
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, path, 0644, data, len, &e));
}

static void put_text(const struct lab *lab, const char *path, const char *text)
{
	put(lab, path, text, strlen(text));
}

/* A boot image with two sectors of setup code, and the payload at 0x40 of the rest. */
static void put_image(const struct lab *lab, const void *payload, size_t len)
{
	enum { code = 0x400, at = 0x40 };
	unsigned char header[code + at] = { 0 };
	_cleanup_(strbuf) struct strbuf image = { 0 };

	header[0x1f1] = code / 512 - 1;
	put_u32(header + 0x1f4, (at + len + 4 + 15) / 16);
	memcpy(header + 0x202, "HdrS", 4);
	header[0x206] = 0x0f;
	header[0x207] = 0x02;
	header[0x20e] = 0x80; /* 0x280, less 0x200 */
	memcpy(header + 0x280, VERSION " (someone@somewhere) #1 SMP", 36);
	put_u32(header + 0x248, at);
	put_u32(header + 0x24c, len + 4);
	strbuf_add(&image, header, sizeof(header));
	strbuf_add(&image, payload, len);
	strbuf_add(&image, "\0\0\x90", 4); /* the size, as the kernel's build adds it */
	strbuf_add(&image, header, (16 - (image.len - code) % 16) % 16);
	put(lab, "boot/vmlinuz-" VERSION, image.data, image.len);
}

static void put_packed(const struct lab *lab, const struct packer *packer, bool with_config)
{
	_cleanup_(strbuf) struct strbuf kernel = { 0 };
	_cleanup_(free) unsigned char *packed = xmalloc(room);

	make_kernel(&kernel, with_config);
	put_image(lab, packed, packer->pack(kernel.data, kernel.len, packed));
}

static void find_config(const struct lab *lab, const char *version, struct kernel_config *ret)
{
	_cleanup_(free) char *modules = xasprintf("%s/lib/modules/" VERSION, lab->dir.path);

	CHECK_OK(kernel_config_find(&lab->root, version, lab->vmlinuz, modules, ret, &e));
}

/* --- the kernel inside --- */

static int add_piece(void *user, const void *data, size_t len)
{
	strbuf_add(user, data, len);
	return 0;
}

TEST(every_packer_is_read_back)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(strbuf) struct strbuf want = { 0 };

	lab_make(&lab);
	make_kernel(&want, true);
	for (size_t i = 0; i < packer_count; i++) {
		_cleanup_(strbuf) struct strbuf got = { 0 };

		put_packed(&lab, &packers[i], true);
		CHECK_OK(kernel_image_unpack(lab.vmlinuz, add_piece, &got, &e));
		if (got.len != want.len || memcmp(got.data, want.data, got.len) != 0)
			TAP_FAIL("%s: %zu bytes, or others than were packed", packers[i].name, got.len);
	}
}

TEST(a_packed_kernel_that_is_cut_short_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(strbuf) struct strbuf kernel = { 0 }, text = { 0 };
	_cleanup_(free) unsigned char *packed = xmalloc(room);

	lab_make(&lab);
	make_kernel(&kernel, false);
	for (size_t i = 0; i < packer_count; i++) {
		_cleanup_(free) char *want =
			xasprintf("unpack %s: its %s data is cut short", lab.vmlinuz, packers[i].name);

		put_image(&lab, packed, packers[i].pack(kernel.data, kernel.len, packed) / 2);
		CHECK_ERROR(kernel_config_embedded(lab.vmlinuz, &text, &e), want);
	}
}

TEST(a_damaged_kernel_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(strbuf) struct strbuf kernel = { 0 }, text = { 0 };
	_cleanup_(free) unsigned char *packed = xmalloc(room);

	lab_make(&lab);
	make_kernel(&kernel, false);
	/* lz4 has no checksum: it sees only what cannot be unpacked at all */
	for (size_t i = 0; i < packer_count; i++) {
		size_t len = packers[i].pack(kernel.data, kernel.len, packed);
		_cleanup_(free) char *want =
			xasprintf("unpack %s: its %s data is damaged", lab.vmlinuz, packers[i].name);

		memset(packed + 20, 0xff, 2000);
		put_image(&lab, packed, len);
		CHECK_ERROR(kernel_config_embedded(lab.vmlinuz, &text, &e), want);
	}
}

TEST(an_image_that_is_cut_short_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(free) char *version = NULL;
	struct stat st;

	lab_make(&lab);
	put_packed(&lab, &packers[0], true);
	CHECK_OK(kernel_image_version(lab.vmlinuz, &version, &e));
	CHECK_STR(version, VERSION);
	CHECK(stat(lab.vmlinuz, &st) == 0 && truncate(lab.vmlinuz, st.st_size - 1000) == 0);
	_cleanup_(free) char *want =
		xasprintf("read %s: truncated kernel: it has %lld of at least %lld bytes", lab.vmlinuz,
			  (long long)st.st_size - 1000, (long long)st.st_size);

	CHECK_ERROR(kernel_image_version(lab.vmlinuz, &version, &e), want);
	CHECK(truncate(lab.vmlinuz, 100) == 0);
	free(want);
	want = xasprintf("read %s: not an x86 kernel (bzImage)", lab.vmlinuz);
	CHECK_ERROR(kernel_image_version(lab.vmlinuz, &version, &e), want);
}

/* --- its configuration --- */

TEST(options_are_told_apart)
{
	const struct kernel_config config = { .text = (char *)(size_t)config_text };
	const struct kernel_config none = { 0 };
	_cleanup_(free) char *number = kernel_config_value(&config, "CONFIG_BLK_DEV_RAM_SIZE");
	_cleanup_(free) char *text = kernel_config_value(&config, "CONFIG_LOCALVERSION");

	CHECK_INT(kernel_config_get(&config, "CONFIG_RD_ZSTD"), KERNEL_OPTION_YES);
	CHECK_INT(kernel_config_get(&config, "CONFIG_CRAMFS"), KERNEL_OPTION_MODULE);
	CHECK_INT(kernel_config_get(&config, "CONFIG_RD_LZO"), KERNEL_OPTION_NO);
	CHECK_INT(kernel_config_get(&config, "CONFIG_RD"), KERNEL_OPTION_NO);
	CHECK_INT(kernel_config_get(&config, "CONFIG_RD_Z"), KERNEL_OPTION_NO);
	CHECK_INT(kernel_config_get(&config, "RD_ZSTD"), KERNEL_OPTION_NO);
	CHECK_INT(kernel_config_get(&config, "CONFIG_NONESUCH"), KERNEL_OPTION_NO);
	CHECK_INT(kernel_config_get(&none, "CONFIG_RD_ZSTD"), KERNEL_OPTION_UNKNOWN);
	CHECK_STR(number, "16384");
	CHECK_STR(text, "-lab");
	CHECK(!kernel_config_value(&config, "CONFIG_RD_LZO"));
	CHECK(!kernel_config_value(&none, "CONFIG_RD_ZSTD"));
}

TEST(the_configuration_inside_a_kernel)
{
	for (size_t i = 0; i < packer_count; i++) {
		_cleanup_(lab) struct lab lab;
		_cleanup_(kernel_config) struct kernel_config config = { 0 }, none = { 0 };

		lab_make(&lab);
		put_packed(&lab, &packers[i], true);
		find_config(&lab, VERSION, &config);
		CHECK_STR(config.text, config_text);
		CHECK_STR(config.source, lab.vmlinuz);
		put_packed(&lab, &packers[i], false);
		find_config(&lab, VERSION, &none);
		CHECK(!none.text && !none.source);
	}
}

TEST(a_kernel_packed_by_an_unknown_packer_has_none)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(kernel_config) struct kernel_config config = { 0 };

	lab_make(&lab);
	put_image(&lab, "\x89LZO\0\r\n\x1a\n", 9);
	find_config(&lab, VERSION, &config);
	CHECK(!config.text);
}

TEST(where_a_configuration_is_looked_for)
{
	static const char *const places[] = { "boot/config-" VERSION, "lib/modules/" VERSION "/config",
					      "lib/modules/" VERSION "/build/.config" };
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	put_packed(&lab, &packers[0], true);
	/* The last one first: each goes before those that were there. */
	for (size_t i = 3; i-- > 0;) {
		_cleanup_(kernel_config) struct kernel_config config = { 0 };
		_cleanup_(free) char *text = xasprintf("CONFIG_PLACE=%zu\n", i);
		_cleanup_(free) char *source = xasprintf("%s/%s", lab.dir.path, places[i]);

		put_text(&lab, places[i], text);
		find_config(&lab, VERSION, &config);
		CHECK_STR(config.source, source);
		CHECK_STR(config.text, text);
	}
	/* What is no configuration is passed over. */
	_cleanup_(kernel_config) struct kernel_config config = { 0 };

	put_text(&lab, places[0], "");
	find_config(&lab, VERSION, &config);
	CHECK_STR(config.text, "CONFIG_PLACE=1\n");
}

TEST(the_running_kernel_tells_its_own)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(kernel_config) struct kernel_config config = { 0 }, other = { 0 };
	unsigned char packed[4096];
	struct utsname u;

	lab_make(&lab);
	CHECK(uname(&u) == 0);
	put_packed(&lab, &packers[0], false);
	put(&lab, "proc/config.gz", packed, pack_gzip(config_text, strlen(config_text), packed));
	find_config(&lab, u.release, &config);
	CHECK_STR(config.text, config_text);
	find_config(&lab, VERSION, &other);
	CHECK(!other.text);
}

/* --- packages --- */

/* A package (deb(5)) with a kernel and no modules. The caller frees its path. */
static char *put_package(const struct lab *lab)
{
	_cleanup_(free) char *cache = xasprintf("%s/cache", lab->dir.path);
	static const char script[] =
		"cd \"$1\" && mkdir -p lib/modules/" VERSION " && echo 2.0 >debian-binary && "
		"touch lib/modules/" VERSION "/modules.builtin && "
		"tar -cJf data.tar.xz ./boot ./lib && "
		"ar rc kernel.deb debian-binary data.tar.xz";

	CHECK_OK(proc_run((const char *const[]) { "sh", "-c", script, "sh", lab->dir.path, NULL }, NULL, &e));
	CHECK(setenv("XDG_CACHE_HOME", cache, 1) == 0);
	return xasprintf("%s/kernel.deb", lab->dir.path);
}

static void check_nothing_cached(const struct lab *lab)
{
	_cleanup_(free) char *folder = xasprintf("%s/cache/lifeboat/kernels", lab->dir.path);
	DIR *d = opendir(folder);

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0)
			TAP_FAIL("%s is left in the cache", entry->d_name);
	CHECK(!d || closedir(d) == 0);
}

TEST(a_package_has_kernel_and_configuration)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(kernel) struct kernel kernel = { 0 };

	lab_make(&lab);
	put_packed(&lab, &packers[0], true);
	_cleanup_(free) char *deb = put_package(&lab);

	CHECK_OK(kernel_find(&lab.root, deb, &kernel, &quiet, &e));
	CHECK_STR(kernel.version, VERSION);
	CHECK_STR(kernel.config.text, config_text);
	CHECK(str_ends(kernel.modules, "/kernel/lib/modules/" VERSION));
}

/* Whoever is building out of the cache goes on undisturbed when a copy of the package is used. */
TEST(a_copy_of_a_package_is_not_unpacked_anew)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(kernel) struct kernel first = { 0 }, copy = { 0 }, other = { 0 };
	struct stat before, after;

	lab_make(&lab);
	put_packed(&lab, &packers[0], true);
	_cleanup_(free) char *deb = put_package(&lab);

	CHECK_OK(kernel_find(&lab.root, deb, &first, &quiet, &e));
	CHECK(stat(first.vmlinuz, &before) == 0);
	CHECK(utimensat(AT_FDCWD, deb, (const struct timespec[]) { { 1, 0 }, { 1, 0 } }, 0) == 0);
	CHECK_OK(kernel_find(&lab.root, deb, &copy, &quiet, &e));
	CHECK(stat(copy.vmlinuz, &after) == 0 && after.st_ino == before.st_ino);
	put_packed(&lab, &packers[1], false);
	free(put_package(&lab));
	CHECK_OK(kernel_find(&lab.root, deb, &other, &quiet, &e));
	CHECK(!other.config.text);
}

TEST(a_package_that_is_cut_short_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct kernel kernel;
	struct stat st;

	lab_make(&lab);
	put_packed(&lab, &packers[0], true);
	_cleanup_(free) char *deb = put_package(&lab);
	_cleanup_(free) char *begin = xasprintf("read %s: ", deb);

	CHECK(stat(deb, &st) == 0);
	/* in the middle of the kernel, in the header of the files' archive, behind it, in the package's own header */
	const off_t sizes[] = { st.st_size / 2, 140, 100, 20, 4, 0 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		CHECK(truncate(deb, sizes[i]) == 0);
		e.text[0] = '\0';
		CHECK(kernel_find(&lab.root, deb, &kernel, &quiet, &e) < 0);
		if (!str_after(e.text, begin) || strchr(e.text, '\n'))
			TAP_FAIL("%lld bytes: %s", (long long)sizes[i], e.text);
		check_nothing_cached(&lab);
	}
}

TAP_MAIN()
