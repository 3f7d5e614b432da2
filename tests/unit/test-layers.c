/* Layers in machine.conf: arrays, LUKS devices, volume groups on each other. Read, written, refused with the line,
 * and fitted to smaller disks. */
#include "cmd/by_hand.h"
#include "machine/layer.h"
#include "machine/layer_kinds.h"
#include "machine/machine_conf.h"
#include "machine/placement.h"
#include "machine/plan.h"
#include "machine/minimum.h"
#include "machine/scale.h"
#include "tap.h"

static struct error e;

#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)

#define DISK(name)                                                                                   \
	"[disk " name "]\npath = /dev/" name "\nserial = " name "\nbus = sata\nsize = 10737418240\n" \
	"sector-size = 512\ntable = gpt\n"
#define PARTITION(disk, number, start, size)                                                                 \
	"[partition " disk number "]\ndisk = " disk "\nnumber = " number "\nstart = " start "\nsize = " size \
	"\ntype = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"

/* two disks, each 1 GiB for a raid1 with /boot and 8 GiB for a raid1, LUKS on it, a group in that */
static const char server[] = "[machine]\nfirmware = bios\n" DISK("sda")
	PARTITION("sda", "1", "1048576", "1073741824") PARTITION("sda", "2", "1074790400", "8589934592")
		DISK("sdb") PARTITION("sdb", "1", "1048576", "1073741824") PARTITION(
			"sdb", "2", "1074790400",
			"8589934592") "[raid md0]\ndevices = sda1, sdb1\nlevel = raid1\nmetadata = 1.2\n"
				      "uuid = 8b1c2d3e:00000000:11111111:22222222\nname = host:0\n"
				      "component-size = 1072693248\ndata-offset = 1048576\n"
				      "[filesystem md0]\ntype = ext4\nmountpoint = /boot\nused = "
				      "104857600\nstream = boot\nmethod = dump\n"
				      "fs.block-size = 4096\nfs.blocks = 261888\nfs.inodes = 65536\n"
				      "[raid md1]\ndevices = sda2, sdb2\nlevel = raid1\nmetadata = 1.2\n"
				      "uuid = 8b1c2d3e:00000000:11111111:33333333\nname = host:1\n"
				      "component-size = 8588886016\ndata-offset = 1048576\nbitmap = yes\n"
				      "[crypt secret]\ndevice = md1\ntype = luks2\nuuid = "
				      "0e1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7\n"
				      "cipher = aes-xts-plain64\nkey-bits = 512\noffset = "
				      "16777216\nsector-size = 512\nstream = luks-md1\n"
				      "[group vg0]\ndevices = secret\ndevice-uuids = "
				      "abcdef-0123-4567-89ab-cdef-0123-456789\n"
				      "device-starts = 1048576\nuuid = "
				      "ghijkl-0123-4567-89ab-cdef-0123-456789\nextent-size = 4194304\ntags = "
				      "production,daily\n"
				      "[volume vg0/root]\ntype = linear\nuuid = "
				      "mnopqr-0123-4567-89ab-cdef-0123-456789\nsize = 6442450944\n"
				      "[filesystem vg0/root]\ntype = ext4\nmountpoint = /\nused = "
				      "1073741824\nstream = root\nmethod = dump\n"
				      "fs.block-size = 4096\nfs.blocks = 1572864\nfs.inodes = 393216\n"
				      "[volume vg0/swap]\ntype = linear\nuuid = "
				      "stuvwx-0123-4567-89ab-cdef-0123-456789\nsize = 1073741824\n"
				      "[swap vg0/swap]\ntype = swap\n"
				      "[boot]\nloader = grub\ntarget = i386-pc\ndisk = sda, sdb\n";

static void read_conf(const char *text, struct machine *ret)
{
	CHECK_OK(machine_conf_parse("machine.conf", text, ret, &e));
}

static const struct device *find(const struct machine *m, const char *name)
{
	const struct device *d = machine_find(m, name);

	CHECK(d != NULL);
	return d;
}

TEST(what_is_read_is_written_again)
{
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf first = { 0 }, second = { 0 };

	read_conf(server, &m);
	CHECK_INT(find(&m, "md1")->size, 8588886016);
	CHECK_INT(find(&m, "secret")->size, 8588886016 - 16777216);
	CHECK_INT(find(&m, "vg0")->size, (8588886016 - 16777216 - 1048576) / 4194304 * 4194304);
	CHECK_STR(find(&m, "sda2")->content.type, "linux_raid_member");
	CHECK(machine_above(&m, find(&m, "sdb2")) == find(&m, "md1"));
	CHECK(device_lies_on(find(&m, "vg0/root"), find(&m, "sdb")));
	CHECK_OK(machine_conf_format(&m, &first, &e));
	read_conf(first.data, &again);
	CHECK_OK(machine_conf_format(&again, &second, &e));
	CHECK_STR(second.data, first.data);
	CHECK(strstr(first.data, "devices = sda2, sdb2\n") != NULL);
	CHECK(strstr(first.data, "disk = sda, sdb\n") != NULL);
}

TEST(sizes_of_arrays)
{
	static const struct {
		const char *level, *layout;
		size_t members;
		uint64_t chunk, size;
		unsigned redundancy;
	} arrays[] = {
		{ "raid0", NULL, 3, 524288, 3 * 100 * MIB, 0 },
		{ "raid1", NULL, 3, 0, 100 * MIB + 4096, 2 },
		{ "raid5", "left-symmetric", 4, 524288, 300 * MIB, 1 },
		{ "raid6", "left-symmetric", 4, 524288, 200 * MIB, 2 },
		{ "raid10", "n2", 3, 524288, 150 * MIB, 1 },
		{ "raid10", "f3", 5, 524288, 166 * MIB + MIB / 2, 2 },
	};

	for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays); i++) {
		_cleanup_(machine) struct machine m = { 0 };
		struct device *d = machine_add(&m, DEVICE_RAID, "md0");

		d->raid.level = xstrdup(arrays[i].level);
		d->raid.layout = arrays[i].layout ? xstrdup(arrays[i].layout) : NULL;
		d->raid.chunk = arrays[i].chunk;
		d->raid.component_size = 100 * MIB + 4096; /* a part of a chunk is lost */
		for (size_t k = 0; k < arrays[i].members; k++)
			device_add_below(d, NULL);
		layer_set_size(d);
		CHECK_INT(d->size, arrays[i].size);
		CHECK_INT(raid_redundancy(d), arrays[i].redundancy);
	}
}

/* What a volume takes of three devices with extents of 4 MiB. */
TEST(what_volumes_take)
{
	static const struct {
		const char *type;
		unsigned stripes, mirrors;
		uint64_t metadata_size, takes;
	} volumes[] = {
		{ .type = "linear", .takes = 100 * MIB },
		{ .type = "striped", .stripes = 3, .takes = 108 * MIB }, /* no third of 25 extents */
		{ .type = "raid1", .mirrors = 1, .takes = 208 * MIB }, /* and an extent of metadata each */
		{ .type = "raid5", .stripes = 2, .takes = 168 * MIB },
		{ .type = "mirror", .mirrors = 1, .takes = 204 * MIB },
		{ .type = "thin-pool", .metadata_size = 4 * MIB, .takes = 104 * MIB },
		{ .type = "thin", .takes = 0 },
	};
	struct device group = { .kind = DEVICE_GROUP, .group.extent_size = 4 * MIB }, *below[] = { &group };

	for (size_t i = 0; i < sizeof(volumes) / sizeof(*volumes); i++) {
		struct device d = {
			.kind = DEVICE_VOLUME, .size = 100 * MIB, .below = below, .below_count = 1
		};

		_cleanup_(free) char *type = xstrdup(volumes[i].type);

		d.volume = (struct volume) {
			.type = type,
			.stripes = volumes[i].stripes,
			.mirrors = volumes[i].mirrors,
			.metadata_size = volumes[i].metadata_size,
		};
		CHECK_INT(volume_takes(&d), volumes[i].takes);
	}
}

static char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	CHECK(at != NULL);
	return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

TEST(bad_descriptions_are_refused_with_the_line)
{
	static const struct {
		const char *from, *to, *error;
	} bad[] = {
		{ "devices = sda1, sdb1", "devices = sda1, sdb9",
		  "'sdb9' is not described; expected the name of a device above" },
		/* a layer of what is made of it, a layer of itself: neither stands above */
		{ "devices = sda2, sdb2", "devices = vg0/root, sdb2", "'vg0/root' is not described" },
		{ "devices = sda2, sdb2", "devices = md1, sdb2", "'md1' is not described" },
		{ "devices = sda2, sdb2", "devices = sda1, sdb2", "'sda1' holds something else already" },
		{ "devices = sda2, sdb2", "devices = missing, missing",
		  "cannot do without 2 of its devices" },
		{ "level = raid1", "level = raid6", "md0 has too few devices for raid6: 2" },
		{ "level = raid1", "level = raid7", "expected raid0, raid1" },
		{ "component-size = 8588886016", "component-size = 8588886017",
		  "sda2 does not hold that much (8588886017 bytes from 1048576); expected at most "
		  "8588886016" },
		{ "offset = 16777216", "offset = 9000000000", "the data begins behind the end of md1" },
		{ "device-starts = 1048576", "device-starts = 1048576, 1",
		  "the lists are not of one length" },
		{ "device-starts = 1048576", "device-starts = -5", "bad value '-5' for 'device-starts'" },
		{ "extent-size = 4194304", "extent-size = 4194305", "expected a power of two" },
		{ "size = 6442450944", "size = 6442450945", "vg0/root is no whole number of extents" },
		{ "size = 6442450944", "size = 8589934592",
		  "the volumes of vg0 take more than its devices hold" },
		{ "size = 6442450944", "size = -1", "expected a positive number of bytes" },
		{ "[volume vg0/root]", "[volume vg1/root]", "group 'vg1' is not described" },
		{ "[volume vg0/root]", "[volume root]", "expected GROUP/NAME" },
		{ "[crypt secret]", "[crypt ../secret]", "bad name '../secret'" },
		{ "[crypt secret]", "[crypt md0]", "'md0' is there twice" },
		{ "[swap vg0/swap]", "[swap vg0]", "device 'vg0' is not described" },
		{ "[swap vg0/swap]", "[swap md1]", "'md1' holds something else already" },
		{ "type = linear\nuuid = stuvwx", "type = thin\nuuid = stuvwx",
		  "expected pool = GROUP/NAME" },
		{ "disk = sda, sdb", "disk = sda, sdc", "disk 'sdc' is not described" },
		{ "disk = sda, sdb", "disk = ,", "no disk is named" },
		{ "devices = sda1, sdb1", "devices = ,", "no device is named" },
		/* twice in one, as in two */
		{ "devices = sda1, sdb1", "devices = sda1, sda1", "'sda1' holds something else already" },
		{ "device = md1", "device = secret", "'secret' is not described" },
		{ "device = md1", "device = md9", "'md9' is not described" },
		{ "tags = production,daily", "allocation = often",
		  "expected contiguous, cling, cling_by_tags, normal or anywhere" },
		{ "type = linear\nuuid = stuvwx", "type = linear\ndiscards = never\nuuid = stuvwx",
		  "expected ignore, nopassdown or passdown" },
		{ "type = linear\nuuid = stuvwx", "type = linear\nregion-size = 1000\nuuid = stuvwx",
		  "expected a power of two" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(machine) struct machine m = { 0 };
		_cleanup_(free) char *text = replace(server, bad[i].from, bad[i].to);

		if (machine_conf_parse("machine.conf", text, &m, &e) == 0)
			TAP_FAIL("'%s' was taken", bad[i].to);
		if (!strstr(e.text, bad[i].error) || strncmp(e.text, "machine.conf:", 13) != 0)
			TAP_FAIL("'%s' instead of '%s'", e.text, bad[i].error);
	}
}

static void add_present(struct machine *m, const char *name, const char *serial, uint64_t size)
{
	struct device *d = machine_add(m, DEVICE_DISK, name);

	d->size = size;
	d->sector_size = 512;
	d->identity.path = xasprintf("/dev/%s", name);
	d->identity.serial = serial ? xstrdup(serial) : NULL;
	d->now.devno = (dev_t)(m->count + 100);
}

/* `grow`: names with blanks between them; NULL: none. */
static int plan_grown(const char *grow, uint64_t first, uint64_t second, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 }, names = { 0 };
	struct plan_options options = { .map = &map, .grow = &names };

	if (grow)
		strlist_add_words(&names, grow);
	read_conf(server, &old);
	add_present(&present, "vda", NULL, first);
	add_present(&present, "vdb", NULL, second);
	strlist_add(&map, "sda=vda");
	strlist_add(&map, "sdb=vdb");
	return plan_make(&old, &present, &options, ret, &e);
}

static int plan_on(uint64_t first, uint64_t second, struct plan *ret)
{
	return plan_grown(NULL, first, second, ret);
}

/* Whatever was scaled is a machine that makes sense: its description is read again. */
static void check_again(const struct machine *m)
{
	_cleanup_(machine) struct machine again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	CHECK_OK(machine_conf_format(m, &text, &e));
	read_conf(text.data, &again);
}

TEST(layers_shrink_with_the_smaller_of_two_disks)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(6 * GIB, 12 * GIB, &p));
	const struct device *md1 = find(&p.machine, "md1"), *root = find(&p.machine, "vg0/root");

	CHECK(md1->raid.component_size + md1->raid.data_offset <= find(&p.machine, "sda2")->size);
	CHECK(md1->size < 8588886016 && root->size < 6442450944);
	CHECK(root->size > 1073741824);
	CHECK_INT(strtoull(key_values_get(&root->content.parameters, "blocks"), NULL, 10) * 4096, root->size);
	CHECK_INT(find(&p.machine, "vg0/swap")->size % 4194304, 0);
	CHECK(group_taken(&p.machine, find(&p.machine, "vg0")) <= find(&p.machine, "vg0")->size);
	check_again(&p.machine);
}

TEST(larger_disks_change_nothing)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(20 * GIB, 30 * GIB, &p));
	CHECK_INT(find(&p.machine, "md1")->size, 8588886016);
	CHECK_INT(find(&p.machine, "vg0/root")->size, 6442450944);
}

static const char *change_of(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->step_count; i++)
		for (size_t k = 0; k < p->steps[i].changes.count; k++) {
			const char *after = str_after(p->steps[i].changes.items[k], name);

			if (after && *after == ' ')
				return p->steps[i].changes.items[k];
		}
	return "";
}

static uint64_t file_system_size(const struct device *d)
{
	return strtoull(key_values_get(&d->content.parameters, "blocks"), NULL, 10) * 4096;
}

/* By whatever name, all between the volume and the disks grows: partitions, array, LUKS, group. */
TEST(a_volume_grows_with_all_below_it)
{
	static const char *const names[] = { "/", "vg0/root", "/dev/vg0/root" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK_OK(plan_grown(names[i], 40 * GIB, 30 * GIB, &p));
		const struct device *root = find(&p.machine, "vg0/root"), *vg0 = find(&p.machine, "vg0");

		CHECK_INT(find(&p.machine, "sda1")->size, GIB);
		CHECK_INT(find(&p.machine, "sda2")->size, 40 * GIB - 2 * MIB - GIB);
		/* the smaller of both says how large the array is */
		CHECK_INT(find(&p.machine, "md1")->size, 30 * GIB - 2 * MIB - GIB - MIB);
		CHECK_INT(find(&p.machine, "secret")->size, find(&p.machine, "md1")->size - 16 * MIB);
		CHECK_INT(vg0->size, group_taken(&p.machine, vg0));
		CHECK_INT(find(&p.machine, "vg0/swap")->size, GIB);
		CHECK_INT(root->size, vg0->size - GIB);
		CHECK_INT(file_system_size(root), root->size);
		CHECK(strstr(change_of(&p, "vg0/root"), "vg0/root has 28.0 GiB (") != NULL);
		CHECK(strstr(change_of(&p, "vg0/root"), "had 6.0 GiB (6442450944)") != NULL);
		CHECK(strstr(change_of(&p, "md1"), "had 8.0 GiB (8588886016)") != NULL);
		CHECK_STR(change_of(&p, "md0"), "");
		check_again(&p.machine);
	}
}

/* A member stands for its array, and what has no file system of its own leaves its room to what is on it. */
TEST(what_holds_a_group_leaves_it_the_room)
{
	static const char *const names[] = { "sda2", "sdb2", "md1", "secret", "/dev/mapper/secret", "vg0" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK_OK(plan_grown(names[i], 40 * GIB, 30 * GIB, &p));
		CHECK_INT(find(&p.machine, "md1")->size, 30 * GIB - 2 * MIB - GIB - MIB);
		CHECK_INT(find(&p.machine, "vg0/root")->size, 6442450944);
		CHECK(find(&p.machine, "vg0")->size > 28 * GIB);
		CHECK(strstr(change_of(&p, "vg0"), "vg0 has 29.0 GiB") != NULL);
	}
}

TEST(a_file_system_on_an_array_grows)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_grown("/boot", 20 * GIB, 20 * GIB, &p));
	const struct device *md0 = find(&p.machine, "md0");

	CHECK_INT(md0->size, 12 * GIB - 3 * MIB);
	CHECK_INT(file_system_size(md0), md0->size);
	CHECK_INT(find(&p.machine, "sda2")->size, 8 * GIB);
	CHECK_INT(find(&p.machine, "md1")->size, 8588886016);
	check_again(&p.machine);
}

/* With the superblock at the end of larger members, mdadm keeps more of them for itself. */
TEST(an_array_leaves_mdadm_its_room)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 }, names = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	_cleanup_(free) char *text = replace(server, "metadata = 1.2", "metadata = 1.0");

	read_conf(text, &old);
	add_present(&present, "vda", NULL, 20 * GIB);
	add_present(&present, "vdb", NULL, 20 * GIB);
	strlist_add_words(&map, "sda=vda sdb=vdb");
	strlist_add(&names, "md0");
	CHECK_OK(plan_make(&old, &present, &(struct plan_options) { .map = &map, .grow = &names }, &p, &e));
	CHECK_INT(find(&p.machine, "md0")->size, 12 * GIB - 4 * MIB);
}

TEST(what_cannot_grow_is_refused_with_the_numbers)
{
	static const struct {
		const char *names;
		uint64_t second; /* in MiB */
		const char *error;
	} cases[] = {
		{ "vg0", 9218,
		  "--grow vg0: vg0 would have 8.0 GiB, no more than before, as sdb2 has only 8.0 GiB" },
		{ "sda2", 9218, "--grow sda2: vg0 would have" },
		{ "vg0/root vg0/swap", 20480, "--grow vg0/swap: sda2 takes what is free on sda already" },
		{ "/boot /", 20480, "--grow /: sda1 takes what is free on sda already" },
		{ "sda", 20480, "--grow sda: which of its partitions?" },
		{ "vg0/home", 20480, "--grow vg0/home: the old machine had no such mount point or device" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK(plan_grown(cases[i].names, 40 * GIB, cases[i].second * MIB, &p) < 0);
		if (strncmp(e.text, cases[i].error, strlen(cases[i].error)) != 0)
			TAP_FAIL("'%s' instead of '%s'", e.text, cases[i].error);
	}
}

/* ---- without one of the disks ---- */

/* Two groups: one on both disks, with as much free as one of them has; one on the first disk alone. */
static const char two_groups[] = "[machine]\nfirmware = bios\n" DISK("sda") PARTITION(
	"sda", "1", "1048576", "4294967296") PARTITION("sda", "2", "4296015872", "4294967296") DISK("sdb")
	PARTITION("sdb", "1", "1048576", "8589934592") "[group wide]\ndevices = sda1, sdb1\n"
						       "device-uuids = "
						       "abcdef-0123-4567-89ab-cdef-0123-456789, "
						       "bcdefg-0123-4567-89ab-cdef-0123-456789\n"
						       "device-starts = 1048576, 1048576\nuuid = "
						       "ghijkl-0123-4567-89ab-cdef-0123-456789\n"
						       "extent-size = 4194304\n"
						       "[volume wide/data]\ntype = linear\nuuid = "
						       "mnopqr-0123-4567-89ab-cdef-0123-456789\n"
						       "size = 6442450944\n"
						       "[filesystem wide/data]\ntype = ext4\n"
						       "mountpoint = /data\nused = 1073741824\n"
						       "fs.block-size = 4096\nfs.blocks = 1572864\n"
						       "fs.inodes = 393216\n"
						       "[filesystem sda2]\ntype = ext4\n"
						       "mountpoint = /\n";

/* `map`: words, after which nobody is there. */
static int plan_mapped(const char *conf, const char *map, const char *grow, uint64_t size, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist maps = { 0 }, names = { 0 };
	const struct plan_options options = { .map = &maps, .grow = &names, .unattended = true };

	read_conf(conf, &old);
	add_present(&present, "vda", NULL, size);
	strlist_add_words(&maps, map);
	if (grow)
		strlist_add_words(&names, grow);
	return plan_make(&old, &present, &options, ret, &e);
}

static bool has_step(const struct plan *p, const char *text)
{
	for (size_t i = 0; i < p->step_count; i++)
		if (streq(p->steps[i].text, text))
			return true;
	return false;
}

TEST(mirrors_do_without_a_disk_when_that_is_asked_for)
{
	_cleanup_(plan) struct plan p = { 0 }, none = { 0 };

	CHECK(plan_mapped(server, "sda=vda", NULL, 12 * GIB, &none) < 0);
	CHECK(strstr(e.text, "no disk can take the place of sdb") != NULL);
	CHECK(strstr(e.text, "; --map sdb=none does without it") != NULL);
	CHECK_OK(plan_mapped(server, "sdb=none", NULL, 12 * GIB, &p));
	CHECK_INT(p.mapping_count, 1);
	CHECK(!machine_find(&p.machine, "sdb") && !machine_find(&p.machine, "sdb2"));
	CHECK(has_step(&p, "make the raid1 array /dev/md0 of /dev/vda1, missing"));
	CHECK(has_step(&p, "make the raid1 array /dev/md1 of /dev/vda2, missing"));
	CHECK_INT(p.machine.boot_disks.count, 1);
	CHECK_STR(p.machine.boot_disks.items[0], "sda");
	CHECK_INT(p.left_out.count, 3);
	CHECK_STR(p.left_out.items[0], "old sdb (serial sdb, 10.0 GiB) is left out, with all that was on it");
	CHECK_STR(p.left_out.items[1],
		  "md0 lacks 1 of its 2 devices until others are added to it (mdadm --add)");
	CHECK_INT(find(&p.machine, "vg0/root")->size, 6442450944);
	check_again(&p.machine);
}

TEST(a_group_does_with_one_larger_disk)
{
	_cleanup_(plan) struct plan p = { 0 }, small = { 0 };

	/* as sda1 it holds less than before: the volume shrinks to it */
	CHECK_OK(plan_mapped(two_groups, "sdb=none", NULL, 20 * GIB, &small));
	CHECK(find(&small.machine, "wide/data")->size < 4 * GIB);
	CHECK(strstr(change_of(&small, "wide/data"), "had 6.0 GiB") != NULL);
	/* and with the room that the larger disk has it is as large as ever */
	CHECK_OK(plan_mapped(two_groups, "sdb=none", "wide", 20 * GIB, &p));
	CHECK_INT(find(&p.machine, "wide/data")->size, 6442450944);
	CHECK_INT(find(&p.machine, "wide")->below_count, 1);
	CHECK_STR(p.left_out.items[1], "wide lies on 1 device, lay on 2");
	check_again(&p.machine);
}

TEST(what_is_nowhere_else_cannot_be_left_out)
{
	static const struct {
		const char *from, *to, *map, *error;
	} cases[] = {
		{ "", "", "sda=none sdb=none", "no disk would be left" },
		{ "level = raid1", "level = raid0", "sdb=none",
		  "md0 (raid0, 2 devices) can lack 0 of them, and 1 would be missing" },
		{ "devices = sda1, sdb1", "devices = sda1, missing", "sda=none",
		  "md0 (raid1, 2 devices) can lack 1 of them, and 2 would be missing" },
		{ "disk = sda, sdb", "disk = sdb", "sdb=none", "no other disk carries the boot loader" },
		{ "[boot]", "[swap sdb3]\ntype = swap\n[boot]", "sdb=none",
		  "sdb3 holds swap, which is nowhere else" },
		{ "", "", "sdc=none", "--map sdc=none: the old machine had no disk 'sdc'" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(plan) struct plan p = { 0 };
		_cleanup_(free) char *with = replace(
			server, "[raid md0]", PARTITION("sdb", "3", "9664724992", "104857600") "[raid md0]");
		_cleanup_(free) char *text =
			*cases[i].from ? replace(with, cases[i].from, cases[i].to) : xstrdup(server);

		CHECK(plan_mapped(text, cases[i].map, NULL, 12 * GIB, &p) < 0);
		if (!strstr(e.text, cases[i].error))
			TAP_FAIL("'%s' instead of '%s'", e.text, cases[i].error);
	}
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_ERROR(plan_mapped(two_groups, "sda=none", NULL, 12 * GIB, &p),
		    "--map sda=none: the machine cannot do without it: sda2 holds ext4 of /, which is "
		    "nowhere else");
}

/* The kernel would put it beside the new members, or in their place. */
TEST(an_old_member_must_not_stay)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	read_conf(server, &old);
	add_present(&present, "vda", NULL, 12 * GIB);
	add_present(&present, "vdb", NULL, 12 * GIB);
	present.devices[1]->content.type = xstrdup("linux_raid_member");
	present.devices[1]->content.uuid = xstrdup("8B1C2D3E-0000-0000-1111-111133333333");
	present.devices[1]->now.holds = xstrdup("linux_raid_member");
	strlist_add_words(&map, "sda=vda sdb=none");
	CHECK(plan_make(&old, &present, &(struct plan_options) { .map = &map }, &p, &e) < 0);
	CHECK(str_after(e.text, "/dev/vdb holds a linux_raid_member with the UUID that the one of md1 had") !=
	      NULL);
}

/* The smallest disk that is taken works, and no smaller one is. */
TEST(the_smallest_disk_for_layers)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(plan) struct plan fits = { 0 }, none = { 0 };

	read_conf(server, &m);
	uint64_t least = device_minimum(&m, find(&m, "sda"));

	CHECK(least < 4 * GIB && least > GIB + 256 * MIB);
	CHECK_OK(plan_on(least, 10 * GIB, &fits));
	check_again(&fits.machine);
	CHECK(plan_on(least - MIB, 10 * GIB, &none) < 0);
	CHECK(strstr(e.text, "too small") != NULL);
}

/* A system partition on both disks, as a mirror whose members look like FAT to the firmware. */
static const char mirrored[] = "[machine]\nfirmware = uefi\narch = x86_64\n" DISK("sda") PARTITION(
	"sda", "1", "1048576", "1073741824") "uuid = 11111111-2222-3333-4444-555555555551\n" DISK("sdb")
	PARTITION("sdb", "1", "1048576",
		  "1073741824") "uuid = 11111111-2222-3333-4444-555555555552\n"
				"[raid md0]\ndevices = sda1, sdb1\nlevel = raid1\nmetadata = 1.0\n"
				"uuid = 8b1c2d3e:00000000:11111111:22222222\ncomponent-size = 1072693248\n"
				"[filesystem md0]\ntype = vfat\nuuid = 1234-ABCD\nmountpoint = "
				"/boot/efi\nstream = efi\nmethod = archive\n"
				"[boot-entry 1]\nlabel = debian\npartition = sda1\npath = "
				"/EFI/debian/shimx64.efi\n"
				"[boot-entry 2]\nlabel = debian (second disk)\npartition = sdb1\npath = "
				"/EFI/debian/shimx64.efi\n";

TEST(the_system_partition_may_be_a_mirror)
{
	_cleanup_(machine) struct machine m = { 0 }, none = { 0 };
	_cleanup_(free) char *newer = replace(mirrored, "metadata = 1.0", "metadata = 1.2");

	read_conf(mirrored, &m);
	CHECK(partition_content(&m, m.boot_entries[1].partition) == find(&m, "md0"));
	/* metadata in front: firmware sees no FAT there */
	CHECK(machine_conf_parse("machine.conf", newer, &none, &e) < 0);
	CHECK(strstr(e.text, "sda1 holds no vfat; firmware starts nothing else") != NULL);
}

/* RECOVER.txt makes them with the same commands, each on what was made before. */
TEST(by_hand_in_the_right_order)
{
	static const char *const lines[] = {
		"\nmdadm --create --run --quiet --homehost=any --level=raid1 --metadata=1.2 "
		"--uuid=8b1c2d3e:00000000:11111111:33333333 --raid-devices=2 --name=host:1 --size=8387584K "
		"--bitmap=internal --data-offset=1024K /dev/md1 \"${sda_part}2\" \"${sdb_part}2\"\n",
		"\ncat luks-md1.raw.zst.* | zstd -d | dd bs=1M conv=fsync status=none of=/dev/md1\n"
		"cryptsetup open --type=luks /dev/md1 secret\n",
		"\nlvm pvcreate --quiet --yes --force --force --norestorefile "
		"--uuid=abcdef-0123-4567-89ab-cdef-0123-456789 --dataalignment=1048576b /dev/mapper/secret\n",
		"\nlvm vgcreate --quiet --yes --physicalextentsize=4194304b --addtag=production "
		"--addtag=daily vg0 "
		"/dev/mapper/secret\n",
		"\nlvm lvcreate --quiet --yes --name=root --type=linear --size=6442450944b "
		"--wipesignatures=y --zero=y "
		"vg0\n",
		" /dev/vg0/root\n",
		"\nmount /dev/vg0/root /mnt/hd\n",
		"grub-install --target=i386-pc \"$sda\"\n",
		"grub-install --target=i386-pc \"$sdb\"\n",
	};
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf page = { 0 };
	const struct strlist files = { 0 };

	read_conf(server, &m);
	by_hand_format(&m, "host/set", &files, NULL, NULL, NULL, &page);
	const char *at = page.data;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const char *found = strstr(at, lines[i]);

		if (!found)
			TAP_FAIL("not there, or not in its place: %s", lines[i]);
		at = found + 1;
	}
}

/* Permissions, policies, what pools do: read, written again, and said to LVM's programs; what is read-only is so last. */
TEST(what_groups_and_volumes_have_besides)
{
	static const char *const lines[] = {
		" --name=root --type=raid1 --size=2147483648b ",
		" --zero=y --regionsize=1048576b vg0\n",
		" --name=pool --type=thin-pool --size=1073741824b ",
		" --chunksize=65536b --discards=nopassdown --zero=n vg0\n",
		"\nlvm vgchange --quiet --yes --alloc=cling vg0\n",
		"lvm lvchange --quiet --yes --alloc=anywhere vg0/swap\n",
		"lvm lvchange --quiet --yes --errorwhenfull=y vg0/pool\n",
		"\numount -R /mnt/hd\n",
		"lvm lvchange --quiet --yes --permission=r vg0/root\n",
	};
	_cleanup_(free) char *allocated =
		replace(server, "tags = production", "allocation = cling\ntags = production");
	_cleanup_(free) char *root = replace(allocated, "size = 6442450944",
					     "size = 2147483648\nregion-size = 1048576\nread-only = yes");
	_cleanup_(free) char *blocks = replace(root, "fs.blocks = 1572864", "fs.blocks = 524288");
	_cleanup_(free) char *swap = replace(blocks, "size = 1073741824\n[swap",
					     "size = 1073741824\nallocation = anywhere\n[swap");
	_cleanup_(free) char *pool =
		replace(swap, "[boot]",
			"[volume vg0/pool]\ntype = thin-pool\nuuid = poolpo-0123-4567-89ab-cdef-0123-456789\n"
			"size = 1073741824\nmetadata-size = 4194304\nchunk-size = 65536\ndiscards = "
			"nopassdown\nzero = no\n"
			"when-full = error\n[boot]");
	_cleanup_(free) char *text = replace(pool, "type = linear", "type = raid1\nmirrors = 0");
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf first = { 0 }, second = { 0 }, page = { 0 };
	const struct strlist files = { 0 };

	read_conf(text, &m);
	CHECK_OK(machine_conf_format(&m, &first, &e));
	read_conf(first.data, &again);
	CHECK_OK(machine_conf_format(&again, &second, &e));
	CHECK_STR(second.data, first.data);
	CHECK(strstr(first.data, "discards = nopassdown\nzero = no\nwhen-full = error\n") != NULL);
	CHECK(strstr(first.data, "region-size = 1048576\nread-only = yes\n") != NULL);
	by_hand_format(&again, "host/set", &files, NULL, NULL, NULL, &page);
	const char *at = page.data;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const char *found = strstr(at, lines[i]);

		if (!found)
			TAP_FAIL("not there, or not in its place: %s in\n%s", lines[i], page.data);
		at = found + 1;
	}
}

/* Their size is that of the file system around them, which can shrink. */
TEST(subvolumes_shrink_with_their_file_system)
{
	static const char subvolumes[] = "[machine]\nfirmware = bios\n" DISK("sda")
		PARTITION("sda", "1", "1048576",
			  "8589934592") "[filesystem sda1]\ntype = btrfs\nuuid = "
					"0e1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7\nused = 1073741824\n"
					"fs.bytes = 8589934592\nfs.sector-size = 4096\n[subvolume "
					"sda1.1]\nfilesystem = sda1\npath = /\n"
					"[subvolume sda1.2]\nfilesystem = sda1\npath = /@\nmountpoint = "
					"/\nstream = root\n"
					"method = archive\n";
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	struct plan_options options = { .map = &map };

	read_conf(subvolumes, &old);
	add_present(&present, "vda", NULL, 4 * GIB);
	strlist_add(&map, "sda=vda");
	CHECK_OK(plan_make(&old, &present, &options, &p, &e));
	CHECK(find(&p.machine, "sda1")->size < 4 * GIB);
	CHECK_INT(find(&p.machine, "sda1.2")->size, find(&p.machine, "sda1")->size);
	check_again(&p.machine);
}

/* ---- on which devices volumes lie ---- */

#define LVM_UUID(n) "abcdef-0123-4567-89ab-cdef-0123-00000" n
#define WHOLE_DISK(name)                                                                            \
	"[disk " name "]\npath = /dev/" name "\nserial = " name "\nbus = sata\nsize = 1074790400\n" \
	"sector-size = 512\ntable = none\n"
#define VOLUME(name, type, n, size) \
	"[volume vg/" name "]\ntype = " type "\nuuid = " LVM_UUID(n) "\nsize = " size "\n"

/* three devices, each with 256 extents; sdb is full */
static const char placed[] = "[machine]\nfirmware = bios\n" WHOLE_DISK("sda") WHOLE_DISK("sdb")
	WHOLE_DISK("sdc") "[group vg]\ndevices = sda, sdb, sdc\ndevice-uuids = " LVM_UUID("1") ", " LVM_UUID("2") ", " LVM_UUID("3") "\ndevice-starts = 1048576, 1048576, 1048576\nuuid = " LVM_UUID(
		"4") "\n"
		     "spare-uuid = " LVM_UUID("5") "\nextent-size = 4194304\n" VOLUME("free", "linear", "6", "41943040") VOLUME("home", "linear", "7", "989855744") "on = sdb:536870912, sda:4194304, sdb\n" VOLUME(
			     "mixed", "striped",
			     "8", "125829120") "stripes = 2\nstripe-size = 65536\n"
					       "on = sdc sda:83886080, sdb\n" VOLUME(
						       "mirror", "raid1",
						       "9", "41943040") "mirrors = 1\non = sdc sdb\n"
									"part-uuids = rimage_0:" LVM_UUID("a") ", rmeta_0:" LVM_UUID("b") "\n" VOLUME(
										"pool", "thin-pool",
										"c",
										"419430400") "metadata-size "
											     "= 4194304\non "
											     "= sdc\n"
											     "part-uuids = "
											     "tdata"
											     ":" LVM_UUID("d") "\n" VOLUME(
												     "thin",
												     "thin",
												     "e",
												     "4194304"
												     "0") "po"
													  "ol"
													  " ="
													  " v"
													  "g/"
													  "po"
													  "ol"
													  "\n";

static void check_commands(const struct commands *all, const char *const expected[], size_t count)
{
	size_t first = all->count - count;

	CHECK(all->count > count);
	for (size_t i = 0; i < count; i++) {
		_cleanup_(free) char *line = strlist_join(&all->items[first + i], " ");

		if (!str_ends(line, expected[i]))
			TAP_FAIL("'%s' does not end with '%s'", line, expected[i]);
	}
}

static char *own_node(const void *user, const struct device *d)
{
	(void)user; /* none is needed */
	return device_node(d);
}

/* Those that have a place come first, pools behind the others, and what has none takes what is left. */
TEST(volumes_are_made_where_they_lay)
{
	static const char *const lines[] = {
		"lvcreate --quiet --yes --name=home --type=linear --size=536870912b --wipesignatures=y "
		"--zero=y vg "
		"/dev/sdb",
		"lvextend --quiet --yes --size=+4194304b --stripes=1 vg/home /dev/sda",
		"lvextend --quiet --yes --size=+448790528b --stripes=1 vg/home /dev/sdb",
		"--type=striped --size=83886080b --wipesignatures=y --zero=y --stripes=2 --stripesize=65536b "
		"vg "
		"/dev/sdc /dev/sda",
		"lvextend --quiet --yes --size=+41943040b --stripes=1 vg/mixed /dev/sdb",
		"--name=mirror --type=raid1 --size=41943040b --wipesignatures=y --zero=y --mirrors=1 vg "
		"/dev/sdc "
		"/dev/sdb",
		"--type=thin-pool --size=419430400b --poolmetadatasize=4194304b --zero=y vg /dev/sdc",
		"--name=free --type=linear --size=41943040b --wipesignatures=y --zero=y vg",
		"--name=thin --type=thin --virtualsize=41943040b --thinpool=pool vg",
	};
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(commands) struct commands all = { 0 };

	read_conf(placed, &m);
	CHECK_OK(machine_conf_format(&m, &text, &e));
	CHECK(strstr(text.data, "\non = sdb:536870912, sda:4194304, sdb\n") != NULL);
	CHECK(strstr(text.data, "\non = sdc sda:83886080, sdb\n") != NULL);
	CHECK(strstr(text.data, "\npart-uuids = rimage_0:" LVM_UUID("a") ", rmeta_0:" LVM_UUID("b") "\n") !=
	      NULL);
	read_conf(text.data, &again);
	group_commands(&again, find(&again, "vg"), own_node, NULL, &all);
	check_commands(&all, lines, sizeof(lines) / sizeof(*lines));
}

TEST(bad_places_are_refused_with_the_line)
{
	static const struct {
		const char *from, *to, *error;
	} bad[] = {
		{ "on = sdc\n", "on = sdd\n", "'sdd' is no device of vg; expected one of its 'devices'" },
		{ "on = sdc sdb", "on = sdc sdc", "'sdc' is named twice" },
		{ "on = sdc sdb", "on = sdc:4194304, sdb", "a volume of type raid1 has one segment" },
		{ "on = sdb:536870912, sda:4194304", "on = sdb, sda:4194304", "bad value 'sdb' for 'on'" },
		{ "on = sdb:536870912", "on = sdb:-1", "bad value 'sdb:-1' for 'on'" },
		{ "on = sdb:536870912", "on = sdb:989855744", "nothing is left for the last segment" },
		{ "on = sdb:536870912", "on = sdb:536870913", "is no whole number of extents" },
		{ "on = sdc sda:83886080", "on = sdc:83886080", "expected 2, as 'stripes' says" },
		{ "pool = vg/pool\n", "pool = vg/pool\non = sda\n", "a thin volume lies in its pool" },
		{ "rimage_0:" LVM_UUID("a"), "tail:" LVM_UUID("a"), "for 'part-uuids'" },
		{ "rimage_0:" LVM_UUID("a"), "rimage_0:x", "for 'part-uuids'" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(machine) struct machine m = { 0 };
		_cleanup_(free) char *text = replace(placed, bad[i].from, bad[i].to);

		if (machine_conf_parse("machine.conf", text, &m, &e) == 0)
			TAP_FAIL("'%s' was taken", bad[i].to);
		if (!strstr(e.text, bad[i].error) || strncmp(e.text, "machine.conf:", 13) != 0)
			TAP_FAIL("'%s' instead of '%s'", e.text, bad[i].error);
	}
}

/* A place that is too small, or gone, is no reason to fail in the middle: LVM chooses, and it is said. */
TEST(places_that_no_longer_fit_are_forgotten)
{
	_cleanup_(machine) struct machine same = { 0 }, smaller = { 0 }, shorter = { 0 }, gone = { 0 };

	read_conf(placed, &same);
	placement_fit(&same);
	CHECK(!find(&same, "vg")->group.displaced);
	CHECK_INT(find(&same, "vg/home")->volume.segment_count, 3);

	read_conf(placed, &smaller);
	machine_find(&smaller, "sdb")->size -= 64 * MIB;
	placement_fit(&smaller);
	CHECK(find(&smaller, "vg")->group.displaced);
	CHECK_INT(find(&smaller, "vg/home")->volume.segment_count, 0);

	/* a volume that shrank loses its end */
	read_conf(placed, &shorter);
	machine_find(&shorter, "vg/home")->size = 512 * MIB;
	placement_fit(&shorter);
	CHECK_INT(find(&shorter, "vg/home")->volume.segment_count, 1);
	CHECK_INT(segment_size(find(&shorter, "vg/home"), 0), 512 * MIB);

	read_conf(placed, &gone);
	machine_find(&gone, "vg")->below[2] = NULL;
	placement_fit(&gone);
	CHECK_INT(find(&gone, "vg/pool")->volume.segment_count, 0);
}

/* Those that it is made of come back, too, and the spare under whatever number. */
TEST(uuids_of_hidden_volumes)
{
	static const char text[] =
		"vg {\n\tid = \"new\"\n\tlogical_volumes {\n\t\tfree {\n\t\t\tid = \"new\"\n\t\t}\n\t\thome "
		"{\n"
		"\t\t\tid = \"new\"\n\t\t}\n\t\tmixed {\n\t\t\tid = \"new\"\n\t\t}\n\t\tmirror {\n\t\t\tid = "
		"\"new\"\n\t\t}\n\t\tpool {\n\t\t\tid = \"new\"\n\t\t}\n\t\tthin {\n\t\t\tid = "
		"\"new\"\n\t\t}\n"
		"\t\tlvol0_pmspare {\n\t\t\tid = \"spare\"\n\t\t}\n\t\tmirror_rimage_0 {\n\t\t\tid = "
		"\"image\"\n\t\t}\n\t\tmirror_rimage_1 {\n\t\t\tid = \"other\"\n\t\t}\n\t\tpool_tdata "
		"{\n\t\t\tid "
		"= \"data\"\n\t\t}\n\t}\n}\n";
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(free) char *changed = NULL;

	read_conf(placed, &m);
	CHECK_OK(lvm_set_ids(text, &m, find(&m, "vg"), &changed, &e));
	CHECK(strstr(changed, "lvol0_pmspare {\n\t\t\tid = \"" LVM_UUID("5") "\"\n") != NULL);
	CHECK(strstr(changed, "mirror_rimage_0 {\n\t\t\tid = \"" LVM_UUID("a") "\"\n") != NULL);
	CHECK(strstr(changed, "mirror_rimage_1 {\n\t\t\tid = \"other\"\n") != NULL); /* not described */
	CHECK(strstr(changed, "pool_tdata {\n\t\t\tid = \"" LVM_UUID("d") "\"\n") != NULL);
}

/* As vgcfgbackup writes it: the group's own UUID and its volumes', and no others. */
TEST(uuids_in_lvms_metadata)
{
	static const char text[] =
		"# Generated by LVM2\n\ncontents = \"Text Format Volume Group\"\nid = \"outside\"\n"
		"vg0 {\n\tid = \"new-group\"\n\tphysical_volumes {\n\t\tpv0 {\n\t\t\tid = \"device\"\n"
		"\t\t}\n\t}\n\tlogical_volumes {\n\t\troot {\n\t\t\tid = \"new-root\"\n\t\t\tsegment1 {\n"
		"\t\t\t\tstripes = [\n\t\t\t\t\t\"pv0\", 0\n\t\t\t\t]\n\t\t\t}\n\t\t}\n"
		"\t\tswap {\n\t\t\tid = \"new-swap\"\n\t\t}\n\t}\n}\n";
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(free) char *changed = NULL, *none = NULL;

	read_conf(server, &m);
	CHECK_OK(lvm_set_ids(text, &m, find(&m, "vg0"), &changed, &e));
	CHECK(strstr(changed,
		     "\nid = \"outside\"\nvg0 {\n\tid = \"ghijkl-0123-4567-89ab-cdef-0123-456789\"\n") !=
	      NULL);
	CHECK(strstr(changed, "\t\t\tid = \"device\"\n") != NULL);
	CHECK(strstr(changed, "root {\n\t\t\tid = \"mnopqr-0123-4567-89ab-cdef-0123-456789\"\n") != NULL);
	CHECK(strstr(changed, "swap {\n\t\t\tid = \"stuvwx-0123-4567-89ab-cdef-0123-456789\"\n") != NULL);
	/* a form that is not known is no reason to restore half of it */
	CHECK(lvm_set_ids("vg0 {\n\tid = \"x\"\n}\n", &m, find(&m, "vg0"), &none, &e) < 0);
}

TAP_MAIN()
