/* XFS in plain files: made by hand with odd parameters, described, made again elsewhere by the description, and
 * equal in every field of the superblock that is not a count of the moment. */
#include "fs-lab.h"

#include <endian.h>

/* xfs_db's superblock without what lives: counts, log position, checksums, and the seeds of a random start. */
static char *shown(const char *path)
{
	static const char *const own[] = { "icount",   "ifree",    "fdblocks", "frextents", "lsn",      "crc",
					   "logstart", "uquotino", "gquotino", "pquotino",  "meta_uuid" };
	const char *argv[] = { "xfs_db", "-r", "-c", "sb 0", "-c", "print", path, NULL };

	return said(argv, own, sizeof(own) / sizeof(*own));
}

static void check_clean(const char *path)
{
	_cleanup_(free) char *repair = xasprintf("xfs_repair -n -o force_geometry %s", path);

	run(repair);
}

static void make_odd(const char *path, uint64_t size, const char *options)
{
	_cleanup_(free) char *make = xasprintf("mkfs.xfs -q -f --unsupported %s %s", options, path);

	make_file(path, size);
	run(make);
}

static void round_trip(const char *options, const char *label, uint64_t size)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .kind = CONTENT_FILESYSTEM,
						.type = (char *)"xfs",
						.uuid = (char *)UUID,
						.label = (char *)label };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *a = xasprintf("%s/a", t.path), *b = xasprintf("%s/b", t.path);
	_cleanup_(free) char *all =
		xasprintf("-m uuid=" UUID " %s%s %s", label ? "-L " : "", label ? label : "", options);

	report_init(&report, VERBOSITY_QUIET, false);
	make_odd(a, size, all);
	CHECK_OK(fs_xfs.describe(a, NULL, &c, &report, &e));
	CHECK(c.used > 0 && c.used < size);
	CHECK(fs_xfs.size(&c) <= size);
	make_file(b, size);
	CHECK_OK(fs_xfs.make(b, &c, &e));
	_cleanup_(free) char *before = shown(a), *after = shown(b);

	CHECK_STR(after, before);
	check_clean(b);
}

TEST(as_it_comes)
{
	round_trip("", NULL, 600 << 20);
}

TEST(every_feature_that_can_be_left_out)
{
	round_trip("-m finobt=0,rmapbt=0,reflink=0,inobtcount=0,bigtime=0 -i sparse=0", "plain", 600 << 20);
}

TEST(every_feature_that_can_be_there)
{
	round_trip(
		"-m finobt=1,rmapbt=1,reflink=1,inobtcount=1,bigtime=1 -i sparse=1,nrext64=1 -n version=ci",
		"full", 600 << 20);
}

TEST(odd_sizes_of_everything)
{
	round_trip("-b size=2048 -s size=1024 -i size=1024,maxpct=33 -n size=8192 -d agsize=50m -l "
		   "size=9m,agnum=1",
		   "odd", 300 << 20);
	round_trip("-b size=1024 -i maxpct=0 -n size=65536 -d agcount=9", "small-blocks", 400 << 20);
	round_trip("-s size=4096 -d agcount=2", "large-sector", 400 << 20);
}

TEST(stripes)
{
	round_trip("-d su=64k,sw=4,agcount=5 -l su=32k", "raid", 600 << 20);
	round_trip("-d sunit=256,swidth=768", "raid-too", 600 << 20);
}

/* As the installers of enterprise systems made /boot for years: newer ones refuse such a log. */
TEST(the_small_log_of_an_older_mkfs)
{
	round_trip("-l size=10m", NULL, 400 << 20);
}

TEST(smaller_than_what_is_made_today)
{
	round_trip("-d agcount=1 -l size=6m", "tiny", 40 << 20);
}

TEST(without_checksums)
{
	round_trip("-m crc=0", "v4", 400 << 20);
	round_trip("-m crc=0 -i attr=1,projid32bit=0 -l version=1,lazy-count=0 -n ftype=0", "older",
		   400 << 20);
	round_trip("-m crc=0 -s size=4096 -l sectsize=4096", "v4-4k", 400 << 20);
}

TEST(smaller_than_its_device)
{
	round_trip("-d size=350m", "part", 500 << 20);
}

/* Shrunk as the plan would: made, clean, with all that does not depend on the size. */
static void check_shrunk(const char *options, uint64_t size, uint64_t new_size, uint64_t groups)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"xfs", .uuid = (char *)UUID },
					  now = { .type = (char *)"xfs" };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	make_odd(path, size, options);
	CHECK_OK(fs_xfs.describe(path, NULL, &c, &report, &e));
	CHECK(fs_xfs.minimum(&c) > c.used && fs_xfs.minimum(&c) >= 300 << 20 && fs_xfs.minimum(&c) < size);
	fs_xfs.resize(&c, size, new_size);
	make_file(path, new_size);
	CHECK_OK(fs_xfs.make(path, &c, &e));
	check_clean(path);
	CHECK_OK(fs_xfs.describe(path, NULL, &now, &report, &e));
	CHECK(fs_xfs.size(&now) <= new_size && fs_xfs.size(&now) > new_size - (16 << 20));
	uint64_t blocks = content_number(&now, "blocks"), group = content_number(&now, "group-blocks");

	CHECK_INT((blocks + group - 1) / group, groups);
	CHECK_STR(key_values_get(&now.parameters, "features"), key_values_get(&c.parameters, "features"));
}

TEST(shrunk)
{
	check_shrunk("-m rmapbt=1", 4000UL << 20, 1000 << 20, 4);
	check_shrunk("-d agsize=64m", 2000UL << 20, 1001 << 20,
		     16); /* what is left over is too small for a group */
	check_shrunk("-d su=64k,sw=3", 2000UL << 20, 500 << 20, 4);
	check_shrunk("", 2000UL << 20, 300 << 20, 4); /* the log is made smaller too */
}

TEST(grown)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"xfs", .uuid = (char *)UUID },
					  now = { .type = (char *)"xfs" };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	make_odd(path, 500 << 20, "-d agcount=4 -l agnum=1");
	CHECK_OK(fs_xfs.describe(path, NULL, &c, &report, &e));
	fs_xfs.resize(&c, 500 << 20, 1001 << 20); /* what is left over is too small for a group */
	make_file(path, 1001 << 20);
	CHECK_OK(fs_xfs.make(path, &c, &e));
	check_clean(path);
	CHECK_OK(fs_xfs.describe(path, NULL, &now, &report, &e));
	CHECK_INT(fs_xfs.size(&now), 1000 << 20);
	CHECK_INT(content_number(&now, "log-group"), 1);
	CHECK_INT(content_number(&now, "group-blocks"), 32000);
}

TEST(too_small_a_one_is_not_shrunk)
{
	_cleanup_(content) struct content c = { .type = (char *)"xfs", .used = 20 << 20 };

	content_set_number(&c, "block-size", 4096);
	content_set_number(&c, "blocks", 40 << 8);
	CHECK_INT(fs_xfs.minimum(&c), 0);
}

/* Puts a big-endian number of `len` bytes into the file. */
static void patch(const char *path, off_t at, size_t len, uint64_t value)
{
	_cleanup_(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	uint64_t big = htobe64(value << (64 - 8 * len));

	CHECK(fd >= 0 && pwrite(fd, &big, len, at) == (ssize_t)len);
}

TEST(what_cannot_be_rebuilt_is_refused)
{
	static const struct {
		off_t at;
		size_t len;
		uint64_t value;
		const char *why;
	} cases[] = {
		{ 16, 8, 1000, "xfs with a realtime device cannot be rebuilt yet" },
		{ 48, 8, 0, "xfs with its log on another device cannot be rebuilt yet" },
		{ 216, 4, 0x10003, "xfs with features that Lifeboat does not know cannot be rebuilt yet" },
		{ 212, 4, 0x100, "xfs with features that Lifeboat does not know cannot be rebuilt yet" },
		{ 216, 4, 0x13, "it is marked as in need of repair: run xfs_repair" },
		{ 100, 2, 0xb4a3, "xfs of a version other than 4 and 5 cannot be rebuilt yet" },
		{ 0, 4, 0, "broken XFS superblock: no magic number" },
		{ 4, 4, 4097,
		  "broken XFS superblock: impossible sizes of blocks, sectors, inodes or directories" },
		{ 8, 8, 1ULL << 40,
		  "broken XFS superblock: its allocation groups are not as large as itself" },
		{ 96, 4, 1U << 31, "broken XFS superblock: its log or what is free is larger than itself" },
		{ 126, 1, 1, "broken XFS superblock: it was never made completely" },
	};
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(content) struct content c = { .type = (char *)"xfs" };
		_cleanup_(free) char *want = xasprintf("%s: %s", path, cases[i].why);

		make_odd(path, 300 << 20, "");
		patch(path, cases[i].at, cases[i].len, cases[i].value);
		CHECK_ERROR(fs_xfs.describe(path, NULL, &c, &report, &e), want);
	}
}

/* A feature that mkfs.xfs would add by itself is told not to; a size that it cannot make is its error. */
TEST(what_was_made_is_looked_at)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"xfs", .uuid = (char *)UUID }, made = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	make_file(path, 600 << 20);
	key_values_set(&c.parameters, "features", "crc");
	CHECK_OK(fs_xfs.make(path, &c, &e)); /* inobtcount and bigtime are this version's own */
	CHECK_OK(fs_xfs.describe(path, NULL, &made, &report, &e));
	CHECK_STR(key_values_get(&made.parameters, "features"), "crc");
	key_values_set(&c.parameters, "log-blocks", "20000");
	CHECK_OK(fs_xfs.try(path, &c, &e));
	key_values_set(&c.parameters, "blocks", "1000000");
	CHECK_INT(fs_xfs.make(path, &c, &e), -EIO);
	CHECK_INT(fs_xfs.try(path, &c, &e), -EIO);
}

TAP_MAIN()
