/* The early archive with CPU microcode, read back byte by byte as the kernel does
 * (Linux: lib/earlycpio.c). */
#include "image/microcode.h"

#include "base/fs.h"
#include "packers.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

static struct error e;
static struct report quiet;

struct lab {
	struct tempdir dir;
	struct root root;
};

static void lab_free(struct lab *lab)
{
	root_close(&lab->root);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

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

#define FW "lib/firmware/"
static void lab_make(struct lab *lab)
{
	unsigned char *packed = xmalloc(room);

	*lab = (struct lab) { .dir = TEMPDIR_NONE, .root = ROOT_NONE };
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&lab->dir, &e));
	CHECK_OK(root_open(lab->dir.path, &lab->root, &e));
	put(lab, FW "intel-ucode/06-8e-0a", "kaby lake ");
	put(lab, FW "intel-ucode/06-4f-01.initramfs", "broadwell ");
	put(lab, FW "intel-ucode/readme", "not microcode");
	put_bytes(lab, FW "intel-ucode/06-55-04.xz", packed, pack_with("xz", "sky lake ", 9, packed));
	put(lab, FW "amd-ucode/microcode_amd.bin", "old ");
	put(lab, FW "amd-ucode/microcode_amd_fam19h.bin", "zen 3");
	put(lab, FW "amd-ucode/microcode_amd_fam19h.bin.asc", "a signature");
	free(packed);
}

static void put_cpu(const struct lab *lab, const char *vendor, int family, int model, int stepping)
{
	_cleanup_(free) char *text = xasprintf(
		"processor\t: 0\nvendor_id\t: %s\ncpu family\t: %d\nmodel\t\t: %d\n"
		"model name\t: A CPU with model : 1\nstepping\t: %d\n\nprocessor\t: 1\nmodel\t\t: 99\n",
		vendor, family, model, stepping);

	put(lab, "proc/cpuinfo", text);
}

static size_t hex(const char *at)
{
	_cleanup_(free) char *digits = xstrndup(at, 8);
	char *end;
	size_t n = strtoul(digits, &end, 16);

	CHECK(end == digits + 8);
	return n;
}

/* The content of a file of the archive; NULL when there is none. The caller frees. */
static char *find(const struct microcode *m, const char *name)
{
	enum { header = 110, size_at = 54, name_size_at = 94 };
	const char *data = m->archive.data;

	for (size_t at = 0;;) {
		CHECK(at + header < m->archive.len && memcmp(data + at, "070701", 6) == 0);
		size_t name_size = hex(data + at + name_size_at), size = hex(data + at + size_at);
		const char *entry = data + at + header;
		size_t content = (at + header + name_size + 3) & ~(size_t)3;

		CHECK(content + size <= m->archive.len && entry[name_size - 1] == '\0');
		if (strcmp(entry, name) == 0) {
			CHECK_INT(size ? content % 16 : 0, 0);
			return xstrndup(data + content, size);
		}
		if (strcmp(entry, "TRAILER!!!") == 0) {
			CHECK_INT(name_size, 11); /* others than the kernel know it by that */
			return NULL;
		}
		at = (content + size + 3) & ~(size_t)3;
	}
}

#define INTEL "kernel/x86/microcode/GenuineIntel.bin"
#define AMD "kernel/x86/microcode/AuthenticAMD.bin"

static void check_content(const struct microcode *m, const char *name, const char *want)
{
	_cleanup_(free) char *got = find(m, name);

	if (!want)
		CHECK(!got);
	else
		CHECK_STR(got, want);
}

TEST(all_microcode_by_vendor)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(microcode) struct microcode m = { 0 };

	lab_make(&lab);
	CHECK_OK(microcode_make(&lab.root, "all", &m, &quiet, &e));
	check_content(&m, INTEL, "broadwell sky lake kaby lake ");
	check_content(&m, AMD, "old zen 3");
	CHECK_INT(m.archive.len % 512, 0);
	CHECK_INT(m.files.count, 2);
	/* What is unpacked into the rootfs has its folders. */
	free(find(&m, "kernel/x86/microcode"));
}

TEST(microcode_of_this_cpu_only)
{
	static const struct {
		const char *vendor;
		int family, model, stepping;
		const char *intel, *amd;
	} cases[] = {
		{ "GenuineIntel", 6, 142, 10, "kaby lake ", NULL },
		{ "GenuineIntel", 6, 79, 1, "broadwell ", NULL },
		{ "GenuineIntel", 6, 85, 4, "sky lake ", NULL },
		{ "AuthenticAMD", 25, 17, 1, NULL, "zen 3" },
		{ "AuthenticAMD", 16, 2, 3, NULL, "old " },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(lab) struct lab lab;
		_cleanup_(microcode) struct microcode m = { 0 };

		lab_make(&lab);
		put_cpu(&lab, cases[i].vendor, cases[i].family, cases[i].model, cases[i].stepping);
		CHECK_OK(microcode_make(&lab.root, "machine", &m, &quiet, &e));
		check_content(&m, INTEL, cases[i].intel);
		check_content(&m, AMD, cases[i].amd);
	}
}

TEST(a_cpu_without_microcode_goes_without)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(microcode) struct microcode m = { 0 }, no = { 0 };

	lab_make(&lab);
	put_cpu(&lab, "GenuineIntel", 6, 1, 1);
	CHECK_OK(microcode_make(&lab.root, "machine", &m, &quiet, &e));
	CHECK_INT(m.archive.len, 0);
	CHECK_OK(microcode_make(&lab.root, "no", &no, &quiet, &e));
	CHECK_INT(no.archive.len, 0);
}

TEST(microcode_that_is_nowhere_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct microcode m;

	lab_make(&lab);
	CHECK_OK(remove_tree_at(lab.dir.fd, "lib", &e));
	_cleanup_(free) char *want = xasprintf(
		"find microcode for any CPU in %s/lib/firmware: there is none; install intel-microcode "
		"or amd64-microcode, or set microcode = no",
		lab.dir.path);

	CHECK_ERROR(microcode_make(&lab.root, "all", &m, &quiet, &e), want);
}

TEST(damaged_microcode_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	struct microcode m;

	lab_make(&lab);
	put_bytes(&lab, FW "intel-ucode/06-55-05.zst", "\x28\xb5\x2f\xfd....", 8);
	_cleanup_(free) char *want = xasprintf(
		"unpack %s/lib/firmware/intel-ucode/06-55-05.zst: its zstd data is damaged", lab.dir.path);

	CHECK_ERROR(microcode_make(&lab.root, "all", &m, &quiet, &e), want);
}

TAP_MAIN()
