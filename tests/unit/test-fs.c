/* File systems in plain files: made by hand with odd parameters, described, made again elsewhere by the
 * description, and equal to dumpe2fs but for its times. */
#include "fs-lab.h"

/* dumpe2fs -h without what every file system has of its own. */
static char *shown(const char *path)
{
	static const char *const own[] = { "Filesystem created:", "Last write time:", "Last checked:",
					   "Lifetime writes:",    "Checksum:",        "Last mounted on:",
					   "Free blocks:",        "Checksum seed:",   "Next check after:" };
	const char *argv[] = { "dumpe2fs", "-h", path, NULL };

	return said(argv, own, sizeof(own) / sizeof(*own));
}

static void ext_round_trip(const char *type, const char *uuid, const char *label, const char *mke2fs,
			   const char *tune2fs, uint64_t size)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = {
		.kind = CONTENT_FILESYSTEM, .type = (char *)type, .uuid = (char *)uuid, .label = (char *)label
	};

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *a = xasprintf("%s/a", t.path), *b = xasprintf("%s/b", t.path);
	_cleanup_(free) char *make = xasprintf("mke2fs -q -F -t %s -U %s %s %s", type, uuid, mke2fs, a);
	_cleanup_(free) char *tune = tune2fs ? xasprintf("tune2fs %s %s", tune2fs, a) : NULL;

	make_file(a, size);
	run(make);
	if (tune)
		run(tune);
	CHECK_OK(fs_ext.describe(a, NULL, &c, &report, &e));
	CHECK(c.used > 0 && c.used < size);
	CHECK(fs_ext.size(&c) <= size);
	make_file(b, size);
	CHECK_OK(fs_ext.make(b, &c, &e));
	_cleanup_(free) char *before = shown(a), *after = shown(b);

	CHECK_STR(after, before);
}

TEST(ext4_as_it_comes)
{
	ext_round_trip("ext4", UUID, NULL, "", NULL, 256 << 20);
}

TEST(ext4_with_odd_parameters)
{
	ext_round_trip("ext4", UUID, "odd-label",
		       "-L odd-label -b 1024 -I 128 -i 32768 -m 3.7 -G 32 -J size=8 -e panic "
		       "-O ^64bit,^metadata_csum,^huge_file,uninit_bg -E stride=16,stripe_width=64",
		       "-c 37 -i 12345s -r 4242 -u 33 -g 44 -o ^user_xattr,discard -E hash_alg=tea",
		       96 << 20);
}

TEST(ext4_smaller_than_its_device)
{
	ext_round_trip("ext4", UUID, "small", "-L small -b 4096 -N 5000 -O ^resize_inode,meta_bg", NULL,
		       64 << 20);
}

TEST(ext4_with_quotas)
{
	report_init(&report, VERBOSITY_QUIET, false);
	ext_round_trip("ext4", UUID, "q", "-L q -b 4096 -O quota -E quotatype=usrquota", NULL, 64 << 20);
	ext_round_trip("ext4", UUID, "q", "-L q -b 4096 -O quota,project -E quotatype=grpquota:prjquota",
		       NULL, 64 << 20);
}

TEST(ext3_and_ext2)
{
	ext_round_trip("ext3", UUID, "x", "-L x", NULL, 64 << 20);
	ext_round_trip("ext2", UUID, "y", "-L y -b 2048 -g 8192", "-o debug,acl", 64 << 20);
}

TEST(features_that_dump_ruins_are_archived)
{
	static const char *const features[] = { "inline_data", "ea_inode", "^resize_inode" };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++) {
		_cleanup_(content) struct content c = { .type = (char *)"ext4" };
		_cleanup_(free) char *make =
			xasprintf("mke2fs -q -F -t ext4 -b 4096 -O %s %s", features[i], path);

		make_file(path, 64 << 20);
		run(make);
		CHECK_OK(fs_ext.describe(path, NULL, &c, &report, &e));
		CHECK_STR(c.method ? c.method : "the usual", i < 2 ? "archive" : "the usual");
	}
	ext_round_trip("ext4", UUID, "odd", "-L odd -I 256 -O inline_data,ea_inode", NULL, 64 << 20);
}

TEST(blocks_smaller_than_a_page_are_archived)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	for (unsigned size = 1024; size <= 4096; size *= 2) {
		_cleanup_(content) struct content c = { .type = (char *)"ext4" };
		_cleanup_(free) char *make = xasprintf("mke2fs -q -F -t ext4 -b %u %s", size, path);

		make_file(path, 64 << 20);
		run(make);
		CHECK_OK(fs_ext.describe(path, NULL, &c, &report, &e));
		CHECK_STR(c.method ? c.method : "the usual", size < 4096 ? "archive" : "the usual");
	}
}

TEST(features_that_cannot_be_rebuilt_are_refused)
{
	static const struct {
		const char *feature, *why;
	} cases[] = {
		{ "bigalloc", "dump cannot read it, and its clusters are not described" },
		{ "encrypt", "its keys cannot be carried over" },
	};
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(content) struct content c = { .type = (char *)"ext4" };
		_cleanup_(free) char *make =
			xasprintf("mke2fs -q -F -t ext4 -O %s %s", cases[i].feature, path);
		_cleanup_(free) char *want =
			xasprintf("%s: ext4 with the feature %s cannot be rebuilt yet: %s", path,
				  cases[i].feature, cases[i].why);

		make_file(path, 64 << 20);
		run(make);
		CHECK_ERROR(fs_ext.describe(path, NULL, &c, &report, &e), want);
	}
}

TEST(a_shrunk_ext4_holds_its_inodes)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"ext4", .uuid = (char *)UUID }, now = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	content_set_number(&c, "block-size", 4096);
	content_set_number(&c, "blocks", 65536);
	content_set_number(&c, "inodes", 65536);
	content_set_number(&c, "inodes-used", 40000);
	content_set_number(&c, "reserved-blocks", 3276);
	fs_ext.resize(&c, 256 << 20, 128 << 20);
	CHECK_INT(content_number(&c, "blocks"), 32768);
	CHECK_INT(content_number(&c, "inodes"), 44016);
	CHECK_INT(content_number(&c, "reserved-blocks"), 1638);
	make_file(path, 128 << 20);
	CHECK_OK(fs_ext.make(path, &c, &e));
	now.type = (char *)"ext4";
	CHECK_OK(fs_ext.describe(path, NULL, &now, &report, &e));
	CHECK_INT(content_number(&now, "blocks"), 32768);
	CHECK(content_number(&now, "inodes") >= 44016);
}

TEST(swap)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"swap",
						.uuid = (char *)UUID,
						.label = (char *)"swapper" };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	make_file(path, 16 << 20);
	content_set_number(&c, "page-size", 4096);
	CHECK_OK(fs_swap.make(path, &c, &e));
	_cleanup_(free) char *uuid = blkid_value(path, "UUID"), *label = blkid_value(path, "LABEL");

	CHECK_STR(uuid, UUID);
	CHECK_STR(label, "swapper");
	key_values_free(&c.parameters);
	CHECK_OK(fs_swap.describe(path, NULL, &c, &report, &e));
	CHECK_INT(content_number(&c, "page-size"), 4096);
}

TEST(vfat)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"vfat",
						.uuid = (char *)"12AB-34CD",
						.label = (char *)"ESP" };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);
	_cleanup_(free) char *make = xasprintf("mkfs.vfat -F 16 -s 8 -i 12AB34CD -n ESP %s", path);

	report_init(&report, VERBOSITY_QUIET, false);
	make_file(path, 64 << 20);
	run(make);
	CHECK_OK(fs_vfat.describe(path, NULL, &c, &report, &e));
	CHECK_INT(content_number(&c, "bits"), 16);
	CHECK_INT(content_number(&c, "cluster-sectors"), 8);
	make_file(path, 64 << 20);
	CHECK_OK(fs_vfat.make(path, &c, &e));
	_cleanup_(free) char *uuid = blkid_value(path, "UUID"), *label = blkid_value(path, "LABEL");

	CHECK_STR(uuid, "12AB-34CD");
	CHECK_STR(label, "ESP");
}

/* The boot sector up to the label, and the one in the root folder: hexadecimal. */
static char *boot_sector_of(const char *path)
{
	const char *argv[] = { "od", "-A", "n", "-v", "-t", "x1", "-N", "82", path, NULL };
	char *text = NULL;

	CHECK_OK(proc_capture(argv, NULL, &text, &e));
	return text;
}

/* Another label for the boot sector, as dosfslabel of old gave it. */
static void relabel_boot_sector(const char *path, const char *label)
{
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	_cleanup_(free) char *padded = xasprintf("%-11s", label);
	uint8_t small[2] = { 0 };

	CHECK(fd >= 0 && pread(fd, small, 2, 22) == 2); /* sectors of a table, 0 on FAT32 */
	CHECK(pwrite(fd, padded, 11, small[0] || small[1] ? 43 : 71) == 11);
}

static void vfat_round_trip(const char *options, const char *label, const char *relabel, uint64_t size)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"vfat",
						.uuid = (char *)"12AB-34CD",
						.label = (char *)label };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *a = xasprintf("%s/a", t.path), *b = xasprintf("%s/b", t.path);
	_cleanup_(free) char *make =
		xasprintf("mkfs.vfat %s -i 12AB34CD %s %s", options, label ? "-n ESP" : "", a);

	make_file(a, size);
	run(make);
	if (relabel)
		relabel_boot_sector(a, relabel);
	CHECK_OK(fs_vfat.describe(a, NULL, &c, &report, &e));
	make_file(b, size);
	CHECK_OK(fs_vfat.make(b, &c, &e));
	_cleanup_(free) char *before = boot_sector_of(a), *after = boot_sector_of(b);

	CHECK_STR(after, before);
	_cleanup_(free) char *now = label ? blkid_value(b, "LABEL") : NULL; /* that of the root folder */

	CHECK_STR(now ? now : "", label ? label : "");
}

TEST(vfat_as_it_comes)
{
	vfat_round_trip("", NULL, NULL, 64 << 20);
	vfat_round_trip("-F 32", "ESP", NULL, 64 << 20);
	vfat_round_trip("-F 12", "ESP", NULL, 4 << 20);
}

TEST(vfat_with_odd_parameters)
{
	vfat_round_trip("-F 16 -s 4 -R 7 -a -f 1 -r 1024 -h 63 -M 0xf0 -D 0x00 -g 16/32", "ESP", NULL,
			64 << 20);
	vfat_round_trip("-F 16 -s 4 -R 8 -f 3 -r 256", NULL, NULL, 32 << 20);
	vfat_round_trip("-F 32 -s 1 -R 6206 -h 2048 -D 0x81", "ESP", NULL, 100 << 20);
}

/* As other systems leave it: they change one of the two labels. */
TEST(vfat_with_two_labels)
{
	vfat_round_trip("-F 32", "ESP", "OTHER", 64 << 20);
	vfat_round_trip("-F 16", "ESP", "NO NAME", 64 << 20);
}

TAP_MAIN()
