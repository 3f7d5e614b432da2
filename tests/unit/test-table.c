/* Partition tables on plain files: written, read back, and seen by sfdisk as they should be. */
#include "base/fs.h"
#include "base/proc.h"
#include "machine/probe.h"
#include "machine/table.h"
#include "tap.h"

#include <fcntl.h>

static struct error e;

enum { mib = 1 << 20 };

static struct device *add_disk(struct machine *m, const char *path, uint64_t size, uint32_t sector_size,
			       enum table_kind table, const char *id)
{
	struct device *d = machine_add(m, DEVICE_DISK, "sda");

	d->identity.path = xstrdup(path);
	d->size = size;
	d->sector_size = sector_size;
	d->table = table;
	d->table_id = id ? xstrdup(id) : NULL;
	return d;
}

static struct device *add_partition(struct machine *m, unsigned number, uint64_t start, uint64_t size,
				    const char *type)
{
	_cleanup_(free) char *name = partition_node("sda", number);
	struct device *d = machine_add(m, DEVICE_PARTITION, name);

	d->parent = m->devices[0];
	d->number = number;
	d->start = start;
	d->size = size;
	d->part_type = xstrdup(type);
	return d;
}

static void write_to_file(const struct machine *m)
{
	const struct device *disk = m->devices[0];
	_cleanup_(fd) int fd = open(disk->identity.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)disk->size) == 0);
	CHECK_OK(table_write(m, disk, fd, disk->identity.path, &e));
}

static void check_same(const struct machine *a, const struct machine *b)
{
	CHECK_INT(b->count, a->count);
	CHECK_STR(b->devices[0]->table_id, a->devices[0]->table_id);
	for (size_t i = 1; i < a->count; i++) {
		const struct device *x = a->devices[i], *y = b->devices[i];

		CHECK_STR(y->name, x->name);
		CHECK_INT(y->number, x->number);
		CHECK_INT(y->start, x->start);
		CHECK_INT(y->size, x->size);
		CHECK_STR(y->part_type, x->part_type);
		CHECK_INT(y->active, x->active);
		CHECK_INT(y->attributes, x->attributes);
		CHECK_INT(y->content.kind, x->content.kind);
		if (x->part_uuid)
			CHECK_STR(y->part_uuid, x->part_uuid);
		if (x->part_name)
			CHECK_STR(y->part_name, x->part_name);
		else
			CHECK(!y->part_name);
	}
}

static char *dump(const char *path)
{
	const char *argv[] = { "sfdisk", "--dump", path, NULL };
	char *text = NULL;

	CHECK_OK(proc_capture(argv, NULL, &text, &e));
	return text;
}

/* Write, read, write elsewhere: the same to us and to sfdisk. */
static void round_trip(const struct machine *m)
{
	const struct device *disk = m->devices[0];
	_cleanup_(machine) struct machine again = { 0 };
	_cleanup_(free) char *once = NULL, *twice = NULL;

	write_to_file(m);
	(void)add_disk(&again, disk->identity.path, disk->size, disk->sector_size, TABLE_NONE, NULL);
	CHECK_OK(table_read(&again, again.devices[0], &e));
	check_same(m, &again);
	once = dump(disk->identity.path);
	write_to_file(&again);
	twice = dump(disk->identity.path);
	CHECK_STR(twice, once);
}

TEST(a_disk_is_blank_when_there_is_nothing_at_the_ends_and_between)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	static const uint64_t written[] = { 0, mib - 1, 20 * mib, 64 * mib - 1 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	for (size_t i = 0; i <= sizeof(written) / sizeof(*written); i++) {
		_cleanup_(machine) struct machine m = { 0 };
		struct device *disk = add_disk(&m, path, 64 * mib, 512, TABLE_NONE, NULL);
		bool blank = i == sizeof(written) / sizeof(*written);

		CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, 64 * mib) == 0);
		CHECK(blank || pwrite(fd, "x", 1, (off_t)written[i]) == 1);
		CHECK_OK(probe_disk(&m, disk, &e));
		if (blank)
			CHECK(!disk->now.holds);
		else
			CHECK_STR(disk->now.holds, "data of an unknown kind");
	}
}

/* The table of a larger disk was copied, or the disk lies about its size. */
TEST(a_partition_that_ends_behind_its_disk_is_told_not_read)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 }, found = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);

	add_disk(&m, path, 64 * mib, 512, TABLE_MBR, "0x12345678");
	add_partition(&m, 1, 2 * mib, 32 * mib, "0x83");
	write_to_file(&m);
	CHECK_INT(truncate(path, 16 * mib), 0);
	struct device *disk = add_disk(&found, path, 16 * mib, 512, TABLE_NONE, NULL);

	CHECK_OK(probe_disk(&found, disk, &e));
	CHECK_STR(disk->now.holds, "mbr table, a partition that ends behind its disk");
}

TEST(gpt_with_everything)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);
	struct device *disk =
		add_disk(&m, path, 200 * mib, 512, TABLE_GPT, "A2C1B3D4-0001-4002-8003-0123456789AB");

	disk->first_usable = 34 * 512;
	struct device *d = add_partition(&m, 1, 34 * 512, 2014 * 512, "21686148-6449-6E6F-744E-656564454649");

	d->part_uuid = xstrdup("11111111-0001-4002-8003-0123456789AB");
	d = add_partition(&m, 3, 1 * mib, 100 * mib, "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	d->part_uuid = xstrdup("22222222-0001-4002-8003-0123456789AB");
	d->part_name = xstrdup("böses \"root\" #1");
	d->attributes = UINT64_C(0x8000000000000005);
	/* up to the last usable sector, and not on any boundary */
	d = add_partition(&m, 7, 101 * mib + 512, 99 * mib - 512 - 33 * 512,
			  "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F");
	d->part_uuid = xstrdup("33333333-0001-4002-8003-0123456789AB");
	round_trip(&m);
	_cleanup_(free) char *text = dump(path);

	CHECK(strstr(text, "label-id: A2C1B3D4-0001-4002-8003-0123456789AB"));
	CHECK(strstr(text, "first-lba: 34"));
	CHECK(strstr(text, "name=\"b"));
	CHECK(strstr(text, "attrs=\"RequiredPartition LegacyBIOSBootable GUID:63\""));
}

TEST(mbr_with_logical_partitions)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);

	(void)add_disk(&m, path, 200 * mib, 512, TABLE_MBR, "0xdeadbeef");
	struct device *d = add_partition(&m, 1, 63 * 512, 20 * mib, "0x83");

	d->active = true;
	d = add_partition(&m, 2, 30 * mib, 100 * mib, "0x05");
	d->content.kind = CONTENT_EXTENDED;
	(void)add_partition(&m, 4, 140 * mib, 60 * mib, "0xda");
	(void)add_partition(&m, 5, 31 * mib, 20 * mib, "0x82");
	(void)add_partition(&m, 6, 51 * mib + 63 * 512, 10 * mib, "0x83");
	(void)add_partition(&m, 7, 62 * mib, 68 * mib, "0xfd");
	round_trip(&m);
	_cleanup_(free) char *text = dump(path);

	CHECK(strstr(text, "label-id: 0xdeadbeef"));
	CHECK(strstr(text, "disk1 : start=          63, size=       40960, type=83, bootable"));
	CHECK(strstr(text, "disk7 : start=      126976, size=      139264, type=fd"));
}

TEST(sectors_of_4096_bytes)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);

	(void)add_disk(&m, path, 200 * mib, 4096, TABLE_GPT, "A2C1B3D4-0001-4002-8003-0123456789AB");
	(void)add_partition(&m, 1, 1 * mib, 100 * mib, "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	write_to_file(&m);
	(void)add_disk(&again, path, 200 * mib, 4096, TABLE_NONE, NULL);
	CHECK_OK(table_read(&again, again.devices[0], &e));
	check_same(&m, &again);
}

TEST(no_table_is_none)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, mib) == 0);
	(void)add_disk(&m, path, mib, 512, TABLE_NONE, NULL);
	CHECK_OK(table_read(&m, m.devices[0], &e));
	CHECK_INT(m.devices[0]->table, TABLE_NONE);
	CHECK_INT(m.count, 1);
}

TEST(a_partition_that_does_not_fit_is_named)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, 10 * mib) == 0);
	(void)add_disk(&m, path, 10 * mib, 512, TABLE_GPT, NULL);
	(void)add_partition(&m, 1, mib, 10 * mib, "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	CHECK(table_write(&m, m.devices[0], fd, "disk", &e) < 0);
	CHECK(strstr(e.text, "write the partition table of disk: add partition sda1"));
}

/* A disk of which nobody knows the partitions may be wiped, as one that holds something. */
TEST(a_table_that_is_not_understood_is_content)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 }, now = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/disk", t.path);

	(void)add_disk(&m, path, 10 * mib, 512, TABLE_GPT, NULL);
	(void)add_partition(&m, 1, mib, 2 * mib, "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	write_to_file(&m);
	/* a second entry in the protective MBR makes it a hybrid of both kinds */
	static const unsigned char entry[16] = { [4] = 0x83, [8] = 0x00, [9] = 0x08, [13] = 0x10 };
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && pwrite(fd, entry, sizeof(entry), 446 + 16) == sizeof(entry));
	struct device *d = add_disk(&now, path, 10 * mib, 512, TABLE_NONE, NULL);

	CHECK_OK(probe_disk(&now, d, &e));
	CHECK_INT(now.count, 1);
	CHECK_INT(d->table, TABLE_NONE);
	CHECK(!d->table_id);
	CHECK_INT(d->first_usable, 0);
	CHECK_STR(d->now.holds, "a gpt partition table that is not understood (sda: a hybrid of GPT and MBR "
				"cannot be rebuilt yet)");
	CHECK(!d->now.broken);
}

TAP_MAIN()
