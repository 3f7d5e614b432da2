/* What recovery would make, tried on sparse files with the tools that are here. */
#include "machine/machine_conf.h"
#include "machine/try.h"
#include "tap.h"

#include <time.h>

static struct error e;
static struct report report;

static const char head[] = "[machine]\nfirmware = bios\n"
			   "[disk sda]\nsize = 12000000000000\nsector-size = 512\ntable = gpt\n"
			   "[partition sda1]\ndisk = sda\nnumber = 1\nstart = 1048576\nsize = %s\n"
			   "type = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
			   "%s\n"; /* the content: from line 13 on */

/* Tries sda1 of `size` bytes that holds `content`. */
static int try(const char *size, const char *content)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(free) char *before = xasprintf(head, size, content);

	CHECK_OK(machine_conf_parse("m.conf", before, &m, &e));
	return try_machine(&m, "m.conf", &report, &e);
}

#define EXT4 "[filesystem sda1]\ntype = ext4\nfs.block-size = 4096\nfs.inode-size = 256\n"
#define GOOD                                                                                       \
	"uuid = 01234567-89ab-cdef-0123-456789abcdef\nlabel = good\nfs.max-mounts = 7\n"           \
	"fs.features = has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg " \
	"sparse_super large_file huge_file dir_nlink extra_isize metadata_csum\n"

TEST(what_can_be_made)
{
	CHECK_OK(try("1073741824", EXT4 GOOD "fs.blocks = 262144\nfs.inodes = 65536\nfs.journal-mib = 16\n"
					     "fs.reserved-blocks = 13107\n"));
	CHECK_OK(try("1073741824", "[swap sda1]\ntype = swap\nfs.page-size = 4096\nlabel = s\n"));
	CHECK_OK(try("536870912", "[filesystem sda1]\ntype = vfat\nuuid = ABCD-0123\nfs.bits = 32\n"));
}

TEST(what_cannot_is_said_with_its_line)
{
	static const struct {
		const char *size, *content, *why;
	} cases[] = {
		{ "1073741824", EXT4 "fs.inodes = 4000000000\n", "inode" },
		{ "1073741824", EXT4 "fs.features = time_travel\n", "time_travel" },
		{ "1073741824", EXT4 "fs.blocks = 262144\nfs.reserved-blocks = 262000\n", "reserved" },
		{ "1073741824", EXT4 "fs.features = has_journal\nfs.journal-mib = 4000\n", "ournal" },
		{ "1073741824", "[filesystem sda1]\ntype = vfat\nlabel = much too long a label\n", "abel" },
		{ "40960", "[swap sda1]\ntype = swap\nfs.page-size = 65536\n", "swap" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = try(cases[i].size, cases[i].content);

		printf("# %s\n", r < 0 ? e.text : "made");
		CHECK(r < 0);
		CHECK(str_after(e.text, "m.conf:13: "));
		const char *reason = strstr(e.text, "exit status");

		CHECK(reason && strstr(reason, cases[i].why));
		CHECK(!strchr(e.text, '\n'));
	}
}

/* The numbers for all of it; nothing that takes the time or the room of ten terabytes. */
TEST(a_very_large_one)
{
	struct timespec begun, now;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &begun) == 0);
	CHECK_OK(try("10995116277760", EXT4 GOOD "fs.blocks = 2684354560\nfs.inodes = 335544320\n"
						 "fs.reserved-blocks = 134217728\n"));
	CHECK_OK(try("10995116277760", "[filesystem sda1]\ntype = ext2\nfs.inodes = 335544320\n"
				       "fs.block-size = 4096\n"));
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec - begun.tv_sec < 30);
	CHECK(try("10995116277760", EXT4 GOOD "fs.blocks = 2684354560\nfs.inodes = 4200000000000\n") < 0);
}

TAP_MAIN()
