/* A btrfs on several devices: how much fits on them, its description read, written and refused with the line, and what is
 * planned of it on the same disks, smaller ones, larger ones and fewer. */
#include "cmd/by_hand.h"
#include "machine-lab.h"
#include "machine/btrfs_profile.h"
#include "machine/compare.h"
#include "machine/plan.h"
#include "machine/without.h"

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

/* two disks: a whole one, and one with /boot and the other device; both hold all files */
#define DISKS                                                                                            \
	"[machine]\nfirmware = bios\n[disk sda]\npath = /dev/sda\nserial = sda\nbus = sata\n"            \
	"size = 10737418240\nsector-size = 512\ntable = gpt\n[partition sda1]\ndisk = sda\nnumber = 1\n" \
	"start = 1048576\nsize = 1073741824\ntype = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"              \
	"[partition sda2]\ndisk = sda\nnumber = 2\nstart = 1074790400\nsize = 8589934592\n"              \
	"type = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n[disk sdb]\npath = /dev/sdb\nserial = sdb\nbus = " \
	"sata\n"                                                                                         \
	"size = 8589934592\nsector-size = 512\ntable = none\n"
#define BTRFS                                                            \
	"[btrfs pool]\ndevices = sda2, sdb\ndevice-ids = 1, 3\n"         \
	"device-uuids = 11111111-1111-1111-1111-111111111111, missing\n" \
	"device-sizes = 8589934592, 8589934592\n"
#define FILESYSTEM                                                                            \
	"[filesystem pool]\ntype = btrfs\nuuid = " UUID "\nlabel = pool\nused = 1073741824\n" \
	"fs.sector-size = 4096\nfs.data = raid1\nfs.metadata = raid1\n"
#define SUBVOLUMES                                                                                         \
	"[subvolume pool.1]\nfilesystem = pool\npath = /\nstream = top\nmethod = archive\n"                \
	"[subvolume pool.2]\nfilesystem = pool\npath = /@\ndefault = yes\nmountpoint = /\nstream = root\n" \
	"method = archive\n"
static const char server[] = DISKS BTRFS FILESYSTEM SUBVOLUMES;

TEST(how_much_fits)
{
	static const struct {
		const char *profile;
		uint64_t sizes[4]; /* GiB */
		size_t count;
		uint64_t fits; /* GiB */
	} cases[] = {
		{ "single", { 1, 2, 3 }, 3, 6 },     { "dup", { 2, 4 }, 2, 3 },
		{ "raid0", { 2, 3 }, 2, 5 },         { "raid1", { 4, 4 }, 2, 4 },
		{ "raid1", { 2, 8 }, 2, 2 },         { "raid1", { 8, 3, 3 }, 3, 6 },
		{ "raid1", { 3, 4, 5 }, 3, 6 },      { "raid1", { 5 }, 1, 0 },
		{ "raid1c3", { 4, 4, 4 }, 3, 4 },    { "raid1c3", { 6, 6, 6, 6 }, 4, 8 },
		{ "raid1c4", { 5, 6, 7, 8 }, 4, 5 }, { "raid10", { 4, 4, 4, 4 }, 4, 8 },
		{ "raid5", { 4, 4, 4 }, 3, 8 },      { "raid5", { 8, 4, 2 }, 3, 6 },
		{ "raid6", { 4, 4, 4, 4 }, 4, 8 },   { "raid6", { 8, 4, 2, 2 }, 4, 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t sizes[4];

		for (size_t k = 0; k < 4; k++)
			sizes[k] = cases[i].sizes[k] * GIB;
		printf("# %s\n", cases[i].profile);
		CHECK_INT(btrfs_capacity(btrfs_profile_find(cases[i].profile), sizes, cases[i].count),
			  cases[i].fits * GIB);
	}
}

TEST(what_is_read_is_written_again)
{
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf first = { 0 };

	read_conf(server, &m);
	const struct device *pool = find(&m, "pool");

	CHECK_INT(pool->size, 8 * GIB);
	CHECK_INT(find(&m, "pool.2")->size, 8 * GIB);
	CHECK_INT(pool->btrfs.devices[1].id, 3);
	CHECK_STR(pool->btrfs.devices[0].uuid, "11111111-1111-1111-1111-111111111111");
	CHECK(!pool->btrfs.devices[1].uuid);
	CHECK_INT(find(&m, "sdb")->content.kind, CONTENT_MEMBER);
	CHECK_STR(find(&m, "sdb")->content.uuid, UUID);
	CHECK(machine_above(&m, find(&m, "sda2")) == pool);
	/* no disk of it is forgotten */
	CHECK(device_lies_on(find(&m, "pool.2"), find(&m, "sda")));
	CHECK(device_lies_on(find(&m, "pool.2"), find(&m, "sdb")));
	write_twice(&m, &first, &again);
	CHECK(strstr(first.data, BTRFS "\n") != NULL);
}

TEST(what_is_not_said_is_the_whole_of_it)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	read_conf(DISKS "[btrfs pool]\ndevices = sda2, sdb\n" FILESYSTEM, &m);
	CHECK_INT(find(&m, "pool")->size, 8 * GIB);
	CHECK_OK(machine_conf_format(&m, &text, &e));
	CHECK(strstr(text.data, "[btrfs pool]\ndevices = sda2, sdb\n\n") != NULL);
}

TEST(bad_descriptions_are_refused_with_the_line)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ DISKS "[btrfs pool]\ndevice-ids = 1, 2\n" FILESYSTEM,
		  "machine.conf:29: [btrfs pool] lacks 'devices'" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdc\n" FILESYSTEM,
		  "machine.conf:30: device 'sdc' is not described" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sda2\n" FILESYSTEM,
		  "machine.conf:30: 'sda2' holds something else already" },
		{ DISKS "[btrfs pool]\ndevices = missing, missing\n" FILESYSTEM,
		  "machine.conf:30: all devices are missing" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\ndevice-ids = 1\n" FILESYSTEM,
		  "machine.conf:31: the lists are not of one length; expected as many as 'devices' has: 2" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\ndevice-ids = 0, 1\n" FILESYSTEM,
		  "machine.conf:31: bad value '0' for 'device-ids'; expected a positive number, or missing" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\ndevice-uuids = missing, x\n" FILESYSTEM,
		  "machine.conf:31: bad value 'x' for 'device-uuids'" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\ndevice-sizes = 1048576, -1\n" FILESYSTEM,
		  "machine.conf:31: bad value '-1' for 'device-sizes'" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\ndevice-sizes = 1048576, 8589938688\n" FILESYSTEM,
		  "machine.conf:31: sdb does not hold that much (8589938688 bytes); expected at most "
		  "8589934592" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\n",
		  "machine.conf:29: pool has no content; expected a [filesystem pool] with type = btrfs" },
		{ DISKS "[btrfs pool]\ndevices = sda2, sdb\n[filesystem pool]\ntype = ext4\n",
		  "machine.conf:32: bad value 'ext4' for 'type'; expected btrfs" },
		{ DISKS BTRFS FILESYSTEM "fs.bytes = 1073741824\n",
		  "machine.conf:42: pool lies on several devices; expected 'device-sizes'" },
		{ DISKS
		  "[btrfs pool]\ndevices = sda2, sdb\n[filesystem pool]\ntype = btrfs\nfs.data = raid1c3\n",
		  "machine.conf:33: raid1c3 needs 3 devices, and pool has 2; expected another profile" },
		{ DISKS "[filesystem sdb]\ntype = btrfs\nfs.metadata = raid1\n",
		  "machine.conf:31: raid1 needs 2 devices, and sdb has 1" },
		{ DISKS "[filesystem sdb]\ntype = btrfs\nfs.data = raid2\n",
		  "machine.conf:31: bad value 'raid2' for 'fs.data'; expected single, dup, raid0" },
		{ DISKS BTRFS FILESYSTEM "[filesystem sda2]\ntype = ext4\n",
		  "machine.conf:42: 'sda2' holds something else already" },
		{ DISKS BTRFS FILESYSTEM
		  "[raid md0]\ndevices = pool, sda1\nlevel = raid1\nmetadata = 1.2\n"
		  "uuid = 8b1c2d3e:00000000:11111111:22222222\ncomponent-size = 4096\n",
		  "machine.conf:43: device 'pool' is not described" },
		{ DISKS "[btrfs sda]\ndevices = sda2, sdb\n" FILESYSTEM, "machine.conf:29: " },
		{ DISKS
		  "[btrfs pool]\ndevices = sda2, sdb\n[filesystem pool]\ntype = btrfs\nused = 8589934593\n"
		  "fs.data = raid1\n",
		  "machine.conf:33: more is used than pool holds" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(machine) struct machine m = { 0 };

		if (machine_conf_parse("machine.conf", cases[i].text, &m, &e) == 0)
			TAP_FAIL("not refused: %s", cases[i].why);
		if (!str_after(e.text, cases[i].why))
			TAP_FAIL("said '%s', expected '%s'", e.text, cases[i].why);
	}
}

static struct strbuf differences;

static void differs(void *user, const struct machine_difference *d)
{
	(void)user;
	strbuf_printf(&differences, "%s: %s\n", d->what, d->key);
}

/* ---- plans ---- */

/* On vda in place of sda, and vdb in place of sdb; 0: on none. */
static int plan_on(const char *text, uint64_t first, uint64_t second, const char *grow, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 }, names = { 0 };
	struct plan_options options = { .map = &map, .grow = &names };

	strlist_add_words(&names, grow ? grow : "");
	read_conf(text, &old);
	add_present(&present, "vda", first);
	strlist_add(&map, "sda=vda");
	if (second)
		add_present(&present, "vdb", second);
	strlist_add(&map, second ? "sdb=vdb" : "sdb=none");
	return plan_make(&old, &present, &options, ret, &e);
}

static const struct step *step_of(const struct plan *p, enum step_kind kind)
{
	for (size_t i = 0; i < p->step_count; i++)
		if (p->steps[i].kind == kind)
			return &p->steps[i];
	TAP_FAIL("there is no step of kind %d", (int)kind);
	return NULL;
}

static char *all_changes(const struct step *s)
{
	return strlist_join(&s->changes, "\n");
}

TEST(it_is_made_on_all_devices_at_once)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(server, 10 * GIB, 8 * GIB, NULL, &p));
	const struct step *s = step_of(&p, STEP_MKFS);
	_cleanup_(free) char *changes = all_changes(s);

	CHECK_STR(s->text, "make btrfs (data raid1, metadata raid1) on /dev/vda2, /dev/vdb (UUID " UUID
			   ", label pool, 8.0 GiB)");
	CHECK_STR(s->node, "/dev/vda2");
	CHECK_STR(changes, "the devices of pool get new UUIDs of their own, as mkfs.btrfs draws them by lot\n"
			   "sdb is device 2 of pool, was 3");
	CHECK_STR(step_of(&p, STEP_SUBVOLUMES)->text, "make the subvolumes of /dev/vda2: /@");
	CHECK_STR(step_of(&p, STEP_MOUNT)->node, "/dev/vda2");
	/* wherever one of its devices is named, its UUID is put */
	_cleanup_(free) char *names = all_changes(step_of(&p, STEP_MEND));

	CHECK_STR(names, "/dev/sda2 becomes UUID=" UUID "\n/dev/sdb becomes UUID=" UUID);
	check_again(&p.machine);
}

TEST(all_of_its_devices_shrink_to_what_the_data_needs)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(server, 4 * GIB, 3 * GIB, NULL, &p));
	const struct device *pool = find(&p.machine, "pool");

	CHECK(btrfs_share(pool, 0) == find(&p.machine, "sda2")->size && btrfs_share(pool, 1) == 3 * GIB);
	CHECK_INT(pool->size, find(&p.machine, "sda2")->size);
	CHECK(pool->size > btrfs_spread_needed(pool));
	check_again(&p.machine);

	_cleanup_(plan) struct plan q = { 0 };

	CHECK(plan_on(server, 4 * GIB, GIB, NULL, &q) < 0);
	CHECK(strstr(e.text, "vdb") && strstr(e.text, "is too small (at least 1.4 GiB are needed)"));
}

TEST(on_larger_disks_it_stays_or_grows)
{
	_cleanup_(plan) struct plan p = { 0 }, q = { 0 }, r = { 0 };

	CHECK_OK(plan_on(server, 20 * GIB, 30 * GIB, NULL, &p));
	CHECK_INT(find(&p.machine, "pool")->size, 8 * GIB);
	CHECK_INT(find(&p.machine, "pool")->btrfs.devices[1].size, 8 * GIB);
	CHECK_OK(plan_on(server, 20 * GIB, 30 * GIB, "/", &q));
	const struct device *pool = find(&q.machine, "pool");

	CHECK_INT(find(&q.machine, "sda2")->size, 20 * GIB - 2 * MIB - GIB);
	CHECK_INT(pool->size, 20 * GIB - 2 * MIB - GIB);
	CHECK_INT(pool->btrfs.devices[1].size, 30 * GIB);
	/* a mirror is as large as the smaller one */
	CHECK(plan_on(server, 20 * GIB, 8 * GIB, "/", &r) < 0);
	CHECK(str_after(e.text, "--grow /: pool would have 8.0 GiB, no more than before") ||
	      str_after(e.text, "--grow pool: pool would have 8.0 GiB, no more than before"));
}

static void check_told(const struct plan *p, const char *text)
{
	for (size_t i = 0; i < p->left_out.count; i++)
		if (strstr(p->left_out.items[i], text))
			return;
	TAP_FAIL("nobody is told that %s", text);
}

TEST(it_does_without_a_disk_with_other_profiles)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(plan_on(server, 10 * GIB, 0, NULL, &p));
	const struct device *left = find(&p.machine, "sda2");

	CHECK(machine_find(&p.machine, "pool") == NULL);
	CHECK_INT(left->content.kind, CONTENT_FILESYSTEM);
	CHECK_STR(left->content.uuid, UUID);
	CHECK_STR(key_values_get(&left->content.parameters, "data"), "single");
	CHECK_STR(key_values_get(&left->content.parameters, "metadata"), "dup");
	CHECK(find(&p.machine, "pool.2")->parent == left);
	check_told(&p, "pool lies on 1 device, lay on 2");
	check_told(&p,
		   "pool has data = single, had raid1, which needs 2 devices: once there are others again "
		   "(btrfs device add), btrfs balance start -dconvert=raid1 makes it so");
	check_told(&p, "-mconvert=raid1");
	CHECK_STR(step_of(&p, STEP_MKFS)->text,
		  "make btrfs on /dev/vda2 (UUID " UUID ", label pool, 8.0 GiB)");
	check_again(&p.machine);
}

/* As it is made on one device, a survey finds it there: the machine that is compared with is that one. */
TEST(on_one_device_it_is_found_again)
{
	static const char found[] = "[filesystem sda2]\ntype = btrfs\nuuid = " UUID "\nlabel = pool\n"
				    "fs.bytes = 8589934592\nfs.sector-size = 4096\nfs.data = single\n"
				    "fs.metadata = dup\n"
				    "[subvolume sda2.1]\nfilesystem = sda2\npath = /\n"
				    "[subvolume sda2.2]\nfilesystem = sda2\npath = /@\ndefault = yes\n";
	static const char missing[] = "[btrfs pool]\ndevices = sda2, missing\n";
	const char *const was[] = { BTRFS, missing }, *const map[] = { "sdb=none", "" };
	_cleanup_(strlist) struct strlist same = { 0 };
	const struct machine_compare_options options = { .differs = differs, .map = &same };

	strlist_add_words(&same, "sda=sda sdb=sdb");
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *old = xasprintf("%s%s%s%s", DISKS, was[i], FILESYSTEM, SUBVOLUMES);
		_cleanup_(free) char *now = xasprintf("%s%s", DISKS, found);
		_cleanup_(machine) struct machine expected = { 0 }, is = { 0 };
		_cleanup_(strlist) struct strlist told = { 0 }, leave = { 0 };
		uint64_t equal, different;

		strlist_add_words(&leave, map[i]);
		read_conf(old, &expected);
		read_conf(now, &is);
		CHECK_OK(machine_leave_out(&expected, &leave, &told, &e));
		strbuf_free(&differences);
		CHECK_OK(machine_compare(&expected, &is, &options, &equal, &different, &e));
		CHECK_STR(differences.data ? differences.data : "", "");
	}
}

TEST(what_does_not_fit_on_the_others_is_refused)
{
	static const char full[] = DISKS BTRFS "[filesystem pool]\ntype = btrfs\nuuid = " UUID
					       "\nused = 8589934592\nfs.data = single\nfs.metadata = raid1\n";
	_cleanup_(machine) struct machine m = { 0 }, roomy = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	CHECK(plan_on(full, 10 * GIB, 0, NULL, &p) < 0);
	CHECK_STR(e.text,
		  "--map sdb=none: the machine cannot do without it: the btrfs pool would hold 8.0 GiB on 1 "
		  "device, and its data and a margin need 9.0 GiB");
	read_conf(full, &m);
	CHECK(!machine_can_lack(&m, find(&m, "sdb")));
	read_conf(server, &roomy);
	CHECK(machine_can_lack(&roomy, find(&roomy, "sdb")));
}

TEST(a_degraded_one_is_made_on_what_is_there)
{
	static const char degraded[] = DISKS "[btrfs pool]\ndevices = sda2, missing, sdb\n"
					     "device-ids = 1, 2, 3\n" FILESYSTEM SUBVOLUMES;
	_cleanup_(plan) struct plan p = { 0 };
	_cleanup_(machine) struct machine m = { 0 };

	read_conf(degraded, &m);
	CHECK_INT(find(&m, "pool")->size, 8 * GIB);
	check_again(&m);
	CHECK_OK(plan_on(degraded, 10 * GIB, 8 * GIB, NULL, &p));
	const struct device *pool = find(&p.machine, "pool");

	CHECK_INT(pool->below_count, 2);
	CHECK_STR(key_values_get(&pool->content.parameters, "data"), "raid1");
	check_told(&p, "pool lies on 2 devices, lay on 3");
}

/* Another device of it that stays here would be taken for one of the new ones. */
TEST(an_old_device_must_not_stay)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	const struct plan_options options = { .map = &map };

	read_conf(server, &old);
	add_present(&present, "vda", 10 * GIB);
	add_present(&present, "vdb", 8 * GIB);
	struct content *c = &add_present(&present, "vdc", 8 * GIB)->content;

	c->kind = CONTENT_FILESYSTEM;
	c->type = xstrdup("btrfs");
	c->uuid = xstrdup(UUID);
	strlist_add(&map, "sda=vda");
	strlist_add(&map, "sdb=vdb");
	CHECK(plan_make(&old, &present, &options, &p, &e) < 0);
	CHECK(str_after(e.text, "/dev/vdc holds a btrfs with the UUID that the one of pool had") != NULL);
}

/* ---- the recovered machine ---- */

/* Whole disks are known by their places among the devices; numbers and UUIDs of devices may be new. */
TEST(a_recovered_one_is_compared)
{
	static const char found[] =
		"[machine]\nfirmware = bios\n[disk sdx]\npath = /dev/sdx\nsize = 8589934592\nsector-size = "
		"512\ntable = none\n[disk sdy]\npath = /dev/sdy\nsize = 8589934592\nsector-size = 512\ntable "
		"= "
		"none\n[btrfs btrfs-01234567]\ndevices = sdy, sdx\ndevice-ids = 1, 2\ndevice-uuids = " UUID
		", " UUID "\n[filesystem btrfs-01234567]\ntype = btrfs\nuuid = " UUID
		"\nfs.data = raid1\nfs.metadata = %s\n";
	static const char expected[] =
		"[machine]\nfirmware = bios\n[disk sda]\npath = /dev/sda\nsize = 8589934592\nsector-size = "
		"512\ntable = none\n[disk sdb]\npath = /dev/sdb\nsize = 8589934592\nsector-size = 512\ntable "
		"= "
		"none\n[btrfs btrfs-01234567]\ndevices = sda, sdb\ndevice-ids = 2, 5\n"
		"[filesystem btrfs-01234567]\ntype = btrfs\nuuid = " UUID
		"\nfs.data = raid1\nfs.metadata = raid1\n";
	const struct machine_compare_options options = { .differs = differs };

	for (int same = 0; same < 2; same++) {
		_cleanup_(machine) struct machine was = { 0 }, is = { 0 };
		_cleanup_(free) char *text = xasprintf(found, same ? "raid1" : "dup");
		uint64_t equal, different;

		strbuf_free(&differences);
		read_conf(expected, &was);
		read_conf(text, &is);
		CHECK_OK(machine_compare(&was, &is, &options, &equal, &different, &e));
		CHECK_STR(differences.data ? differences.data : "",
			  same ? "" : "filesystem btrfs-01234567: fs.metadata\n");
		CHECK(equal >= 10);
	}
	strbuf_free(&differences);
}

TEST(by_hand_on_all_devices)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strlist) struct strlist files = { 0 };
	_cleanup_(strbuf) struct strbuf page = { 0 };

	read_conf(DISKS "[btrfs pool]\ndevices = missing, sda2, sdb\ndevice-sizes = missing, 8589934592, "
			"4294967296\n" FILESYSTEM SUBVOLUMES,
		  &m);
	by_hand_format(&m, "here", &files, NULL, NULL, NULL, &page);
	CHECK(strstr(page.data,
		     "\nbtrfs device scan --forget\nmkfs.btrfs -q -f -d raid1 -m raid1 -U " UUID
		     " -L pool \"${sda_part}2\" \"$sdb\"\n"
		     "btrfs device scan\n"
		     "mkdir -p /mnt/top && mount \"${sda_part}2\" /mnt/top && btrfs filesystem resize "
		     "2:4294967296 /mnt/top && umount /mnt/top\n"
		     "mkdir -p /mnt/top && mount -o subvolid=5 \"${sda_part}2\" /mnt/top\n") != NULL);
}

TAP_MAIN()
