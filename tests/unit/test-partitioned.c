/* Arrays with a partition table: read, written, refused with the line, planned, fitted to other disks, gone on with. */
#include "cmd/by_hand.h"
#include "machine-lab.h"
#include "machine/compare.h"
#include "machine/layer.h"
#include "machine/minimum.h"
#include "machine/plan.h"
#include "machine/table.h"

#include <sys/stat.h>

#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

#define MEMBER(disk)                                                                                 \
	"[disk " disk "]\npath = /dev/" disk "\nserial = " disk "\nbus = sata\nsize = 10737418240\n" \
	"sector-size = 512\ntable = gpt\n[partition " disk "1]\ndisk = " disk "\nnumber = 1\n"       \
	"start = 1048576\nsize = 8589934592\ntype = " LINUX "\n"

/* A mirror with a GPT: the root, swap, and a volume group. */
static const char box[] = "[machine]\nfirmware = bios\n" MEMBER("sda") MEMBER(
	"sdb") "[raid md0]\ndevices = sda1, sdb1\nlevel = raid1\nmetadata = 1.2\n"
	       "uuid = 8b1c2d3e:00000000:11111111:22222222\ncomponent-size = 8588886016\n"
	       "data-offset = 1048576\ntable = gpt\ntable-id = 11111111-2222-3333-4444-555555555555\n"
	       "first-usable = 1048576\n"
	       "[partition md0p1]\ndisk = md0\nnumber = 1\nstart = 1048576\nsize = 4294967296\ntype = " LINUX
	       "\nuuid = 11111111-2222-3333-4444-000000000001\nname = the root\nattributes = 0x4\n"
	       "[filesystem md0p1]\ntype = ext4\nmountpoint = /\nused = 1073741824\nstream = root\n"
	       "method = dump\nfs.block-size = 4096\nfs.blocks = 1048576\nfs.inodes = 262144\n"
	       "[partition md0p2]\ndisk = md0\nnumber = 2\nstart = 4296015872\nsize = 1073741824\ntype "
	       "= " LINUX "\n[swap md0p2]\ntype = swap\n"
	       "[partition md0p3]\ndisk = md0\nnumber = 3\nstart = 5369757696\nsize = 2147483648\ntype "
	       "= " LINUX
	       "\n[group vg]\ndevices = md0p3\ndevice-uuids = abcdef-0123-4567-89ab-cdef-0123-456789\n"
	       "device-starts = 1048576\nuuid = ghijkl-0123-4567-89ab-cdef-0123-456789\nextent-size = "
	       "4194304\n"
	       "[volume vg/home]\ntype = linear\nuuid = mnopqr-0123-4567-89ab-cdef-0123-456789\nsize = "
	       "1073741824\n"
	       "[filesystem vg/home]\ntype = ext4\nmountpoint = /home\nused = 104857600\nstream = home\n"
	       "method = dump\nfs.block-size = 4096\nfs.blocks = 262144\nfs.inodes = 65536\n";

TEST(what_is_read_is_written_again)
{
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf first = { 0 };

	read_conf(box, &m);
	const struct device *root = find(&m, "md0p1"), *home = find(&m, "vg/home");
	_cleanup_(free) char *node = device_node(root);

	CHECK_STR(node, "/dev/md0p1");
	CHECK(!device_is_plain(root) && device_disk(root) == NULL);
	CHECK(device_lies_on(root, find(&m, "sda")) && device_lies_on(home, find(&m, "sdb")));
	CHECK_INT(find(&m, "md0")->sector_size, 512);
	CHECK(find(&m, "md0")->table == TABLE_GPT);
	write_twice(&m, &first, &again);
	CHECK(strstr(first.data, "table-id = 11111111-2222-3333-4444-555555555555\n") != NULL);
	CHECK(strstr(first.data, "[partition md0p1]\ndisk = md0\nnumber = 1\n") != NULL);
}

TEST(bad_descriptions_are_refused_with_the_line)
{
	static const struct {
		const char *from, *to, *error;
	} bad[] = {
		{ "table = gpt\ntable-id", "table = none\ntable-id",
		  "raid 'md0' has no partition table; expected table = gpt or mbr in [raid md0]" },
		{ "table = gpt\ntable-id", "table = mbr\ntable-id",
		  "expected 0x and eight hexadecimal digits" },
		{ "disk = md0", "disk = md1", "disk 'md1' is not described" },
		{ "start = 4296015872", "start = 1048576", "md0p2 (1048576 to 1074790400) overlaps md0p1" },
		{ "size = 2147483648", "size = 4294967296", "md0p3 ends behind its disk md0" },
		{ "start = 1048576\nsize = 4294967296", "start = 1048577\nsize = 4294967296",
		  "md0p1 is not on a sector boundary" },
		{ "[filesystem md0p1]", "[filesystem md0]", "'md0' holds something else already" },
		{ "devices = md0p3", "devices = md0", "'md0' holds something else already" },
		{ "[swap md0p2]", "[swap md0p4]", "device 'md0p4' is not described" },
		/* a partition of what is made of it */
		{ "devices = sda1, sdb1", "devices = sda1, md0p1", "'md0p1' is not described" },
		{ "devices = sda1, sdb1", "devices = sda1, sda1", "'sda1' holds something else already" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(machine) struct machine m = { 0 };
		_cleanup_(free) char *text = replace(box, bad[i].from, bad[i].to);

		if (machine_conf_parse("machine.conf", text, &m, &e) == 0)
			TAP_FAIL("'%s' was taken", bad[i].to);
		if (!strstr(e.text, bad[i].error) || strncmp(e.text, "machine.conf:", 13) != 0)
			TAP_FAIL("'%s' instead of '%s'", e.text, bad[i].error);
	}
}

/* Firmware knows no arrays: what it starts lies on a disk. */
TEST(nothing_boots_from_within)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(free) char *uefi = replace(box, "firmware = bios", "firmware = uefi");
	_cleanup_(free) char *entry = xasprintf(
		"%s[boot-entry 1]\nlabel = debian\npartition = md0p1\npath = /EFI/debian/shimx64.efi\n",
		uefi);
	_cleanup_(free) char *end = replace(box, "metadata = 1.2", "metadata = 1.0");
	_cleanup_(free) char *whole = NULL, *loader = NULL;

	CHECK(machine_conf_parse("machine.conf", entry, &m, &e) < 0);
	CHECK(strstr(e.text, "'md0p1' is a partition of an array"));
	/* a member as a whole, with the array's table in its first sector */
	free(end);
	end = replace(box, "devices = sda1, sdb1\nlevel = raid1\nmetadata = 1.2",
		      "devices = sdc, sdb1\nlevel = raid1\nmetadata = 1.0");
	whole = replace(end, "[raid md0]",
			"[disk sdc]\npath = /dev/sdc\nserial = c\nbus = sata\nsize = 9663676416\n"
			"sector-size = 512\ntable = none\n[raid md0]");
	loader = xasprintf("%s[boot]\nloader = grub\ntarget = i386-pc\ndisk = sdc\n", whole);
	read_conf(whole, &m);
	machine_free(&m);
	CHECK(machine_conf_parse("machine.conf", loader, &m, &e) < 0);
	CHECK(strstr(e.text,
		     "sdc is a member of md0 as a whole, and its first sector is that of md0's table"));
}

static int plan_on(uint64_t size, uint32_t sector, const char *grow, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 }, names = { 0 };
	const struct plan_options options = { .map = &map, .grow = &names };

	if (grow)
		strlist_add_words(&names, grow);
	read_conf(box, &old);
	add_present(&present, "vda", size)->sector_size = sector;
	add_present(&present, "vdb", size)->sector_size = sector;
	strlist_add_words(&map, "sda=vda sdb=vdb");
	return plan_make(&old, &present, &options, ret, &e);
}

/* The first step with this text, behind `from`; its index. */
static size_t find_step(const struct plan *p, size_t from, enum step_kind kind, const char *text)
{
	for (size_t i = from; i < p->step_count; i++)
		if (p->steps[i].kind == kind && strstr(p->steps[i].text, text))
			return i;
	TAP_FAIL("no step '%s' behind step %zu", text, from);
	return 0;
}

TEST(the_table_is_written_once_the_array_runs)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(10737418240, 512, NULL, &p));
	size_t at = find_step(&p, 0, STEP_RAID, "make the raid1 array /dev/md0 of /dev/vda1, /dev/vdb1");

	at = find_step(&p, at, STEP_TABLE, "write a gpt table with 3 partitions on /dev/md0");
	CHECK_STR(p.steps[at].node, "/dev/md0");
	at = find_step(&p, at, STEP_GROUP, "make the volume group vg with 1 volume on /dev/md0p3");
	at = find_step(&p, at, STEP_MKFS, "make ext4 on /dev/md0p1");
	(void)find_step(&p, at, STEP_MKSWAP, "make swap on /dev/md0p2");
}

TEST(partitions_shrink_with_their_array)
{
	_cleanup_(plan) struct plan p = { 0 }, least = { 0 }, none = { 0 };

	CHECK_OK(plan_on(6 * GIB, 512, NULL, &p));
	const struct device *md = find(&p.machine, "md0"), *root = find(&p.machine, "md0p1"),
			    *last = find(&p.machine, "md0p3");

	CHECK(md->size < 6 * GIB && root->size < 4294967296 && root->size > 1073741824);
	CHECK_INT(root->start, 1048576);
	CHECK(last->start + last->size <= table_gpt.end(md->size, 512));
	CHECK_INT(strtoull(key_values_get(&root->content.parameters, "blocks"), NULL, 10) * 4096, root->size);
	check_again(&p.machine);

	_cleanup_(machine) struct machine old = { 0 };

	read_conf(box, &old);
	uint64_t minimum = device_minimum(&old, find(&old, "sda"));

	CHECK(minimum < 6 * GIB);
	CHECK_OK(plan_on(minimum, 512, NULL, &least));
	check_again(&least.machine);
	CHECK(plan_on(minimum - MIB, 512, NULL, &none) < 0);
	CHECK(strstr(e.text, "too small"));
}

TEST(what_grows_is_a_partition_of_it)
{
	_cleanup_(plan) struct plan p = { 0 }, volume = { 0 }, both = { 0 }, whole = { 0 };

	CHECK_OK(plan_on(12 * GIB, 512, "/", &p));
	const struct device *root = find(&p.machine, "md0p1"), *last = find(&p.machine, "md0p3"),
			    *md = find(&p.machine, "md0");

	CHECK(root->size > 7 * GIB);
	CHECK_INT(last->size, 2147483648);
	CHECK(last->start + last->size <= table_gpt.end(md->size, 512));
	CHECK_INT(strtoull(key_values_get(&root->content.parameters, "blocks"), NULL, 10) * 4096, root->size);
	check_again(&p.machine);
	CHECK_OK(plan_on(12 * GIB, 512, "/home", &volume));
	CHECK(find(&volume.machine, "vg/home")->size > 4 * GIB);
	check_again(&volume.machine);
	CHECK(plan_on(12 * GIB, 512, "/ /home", &both) < 0);
	CHECK(strstr(e.text, "--grow /home: sda1 takes what is free on sda already"));
	CHECK(plan_on(12 * GIB, 512, "md0", &whole) < 0);
	CHECK(strstr(e.text, "--grow md0: which of its partitions?"));
}

/* An array has the sectors of its disks. */
TEST(sectors_of_other_disks)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(10737418240, 4096, NULL, &p));
	CHECK_INT(find(&p.machine, "md0")->sector_size, 4096);
	check_again(&p.machine);
}

/* Without one of its disks it is degraded, with all its partitions. */
TEST(a_mirror_lacks_a_disk)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 };
	const struct plan_options options = { .map = &map };
	_cleanup_(plan) struct plan p = { 0 };

	read_conf(box, &old);
	add_present(&present, "vda", 10737418240);
	strlist_add_words(&map, "sda=vda sdb=none");
	CHECK_OK(plan_make(&old, &present, &options, &p, &e));
	CHECK(find(&p.machine, "md0")->below[1] == NULL);
	size_t at = find_step(&p, 0, STEP_RAID, "of /dev/vda1, missing");

	(void)find_step(&p, at, STEP_TABLE, "on /dev/md0");
}

TEST(by_hand_in_the_right_order)
{
	static const char *const lines[] = {
		"\nmdadm --create ",
		" /dev/md0 \"${sda_part}1\" \"${sdb_part}1\"\n",
		"sfdisk --quiet --wipe always --wipe-partitions always /dev/md0 <<'END'\nlabel: gpt\n"
		"label-id: 11111111-2222-3333-4444-555555555555\n",
		"part1 : start=2048, size=8388608, type=" LINUX
		", uuid=11111111-2222-3333-4444-000000000001, name=\"the root\", "
		"attrs=\"LegacyBIOSBootable\"\n",
		"END\nudevadm settle 2>/dev/null || sleep 1\n",
		"lvm pvcreate ",
		" /dev/md0p3\n",
		"mount /dev/md0p1 /mnt/hd\n",
	};
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf page = { 0 };
	const struct strlist files = { 0 };

	read_conf(box, &m);
	by_hand_format(&m, "host/set", &files, NULL, NULL, NULL, &page);
	const char *at = page.data;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const char *found = strstr(at, lines[i]);

		if (!found)
			TAP_FAIL("not there, or not in its place: %s", lines[i]);
		at = found + 1;
	}
}

/* What an array holds when a recovery goes on. */
TEST(another_table_is_seen)
{
	_cleanup_(machine) struct machine planned = { 0 }, found = { 0 };

	read_conf(box, &planned);
	read_conf(box, &found);
	const struct device *a = find(&planned, "md0"), *b = find(&found, "md0");

	CHECK_OK(table_compare(&planned, a, &found, b, "/dev/md0", &e));
	find(&found, "md0p3")->start += MIB;
	CHECK_INT(table_compare(&planned, a, &found, b, "/dev/md0", &e), -ESTALE);
	CHECK_STR(e.text, "partition 3 of /dev/md0 is another one");
	find(&found, "md0")->table = TABLE_NONE;
	CHECK_INT(table_compare(&planned, a, &found, b, "/dev/md0", &e), -ESTALE);
	CHECK_STR(e.text, "/dev/md0 has another partition table");
}

static char *replace_all(const char *text, const char *from, const char *to)
{
	struct strbuf b = { 0 };

	for (const char *at; (at = strstr(text, from)); text = at + strlen(from))
		strbuf_printf(&b, "%.*s%s", (int)(at - text), text, to);
	strbuf_puts(&b, text);
	return b.data;
}

static void note(void *user, const struct machine_difference *d)
{
	strlist_addf(user, "%s %s: %s, was %s", d->what, d->key, d->found ? d->found : "none",
		     d->expected ? d->expected : "none");
}

static void compare(const char *found_text, struct strlist *ret)
{
	_cleanup_(machine) struct machine expected = { 0 }, found = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 };
	const struct machine_compare_options options = { .map = &map, .differs = note, .user = ret };
	uint64_t equal = 0, different = 0;

	strlist_add_words(&map, "sda=vdb sdb=vda");
	read_conf(box, &expected);
	read_conf(found_text, &found);
	CHECK_OK(machine_compare(&expected, &found, &options, &equal, &different, &e));
	CHECK(equal > 40);
	CHECK_INT(different, ret->count);
}

/* Other disks, and another number of the array: it is the same machine, but for what differs in its table. */
TEST(compared_under_other_names)
{
	_cleanup_(free) char *first = replace_all(box, "sda", "vdb"),
			     *second = replace_all(first, "sdb", "vda");
	_cleanup_(free) char *found = replace_all(second, "md0", "md127");
	_cleanup_(free) char *guid = replace(found, "444-000000000001", "444-000000000009");
	_cleanup_(free) char *both = replace(guid, "table-id = 1", "table-id = 2");
	_cleanup_(strlist) struct strlist none = { 0 }, two = { 0 };

	compare(found, &none);
	CHECK_INT(none.count, 0);
	compare(both, &two);
	CHECK_INT(two.count, 2);
	CHECK_STR(two.items[0], "raid md0 table-id: 21111111-2222-3333-4444-555555555555, was "
				"11111111-2222-3333-4444-555555555555");
	CHECK_STR(two.items[1], "partition md0p1 uuid: 11111111-2222-3333-4444-000000000009, was "
				"11111111-2222-3333-4444-000000000001");
}

TAP_MAIN()
