/* Layers on smaller and larger disks: all that lies between a volume and the disks fits, and is a machine that makes sense. */
#include "layers-lab.h"
#include "machine/layer.h"
#include "machine/minimum.h"

/* `grow`: names with blanks between them; NULL: none. */
static int plan_grown(const char *grow, uint64_t first, uint64_t second, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 }, names = { 0 };
	struct plan_options options = { .map = &map, .grow = &names };

	if (grow)
		strlist_add_words(&names, grow);
	read_conf(server, &old);
	add_present(&present, "vda", first);
	add_present(&present, "vdb", second);
	strlist_add(&map, "sda=vda");
	strlist_add(&map, "sdb=vdb");
	return plan_make(&old, &present, &options, ret, &e);
}

static int plan_on(uint64_t first, uint64_t second, struct plan *ret)
{
	return plan_grown(NULL, first, second, ret);
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
	add_present(&present, "vda", 20 * GIB);
	add_present(&present, "vdb", 20 * GIB);
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
	add_present(&present, "vda", 4 * GIB);
	strlist_add(&map, "sda=vda");
	CHECK_OK(plan_make(&old, &present, &options, &p, &e));
	CHECK(find(&p.machine, "sda1")->size < 4 * GIB);
	CHECK_INT(find(&p.machine, "sda1.2")->size, find(&p.machine, "sda1")->size);
	check_again(&p.machine);
}

TAP_MAIN()
