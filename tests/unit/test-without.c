/* A machine without one of its disks: what can do without it does, and what is nowhere else keeps the plan from being made. */
#include "layers-lab.h"

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
	add_present(&present, "vda", size);
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
	add_present(&present, "vda", 12 * GIB);
	add_present(&present, "vdb", 12 * GIB);
	present.devices[1]->content.type = xstrdup("linux_raid_member");
	present.devices[1]->content.uuid = xstrdup("8B1C2D3E-0000-0000-1111-111133333333");
	present.devices[1]->now.holds = xstrdup("linux_raid_member");
	strlist_add_words(&map, "sda=vda sdb=none");
	CHECK(plan_make(&old, &present, &(struct plan_options) { .map = &map }, &p, &e) < 0);
	CHECK(str_after(e.text, "/dev/vdb holds a linux_raid_member with the UUID that the one of md1 had") !=
	      NULL);
}

TAP_MAIN()
