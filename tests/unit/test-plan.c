/* Planning on described machines: who takes whose place, what is refused, how layouts shrink and grow. */
#include "machine-lab.h"
#include "machine/minimum.h"
#include "machine/plan.h"
#include "machine/scale.h"

static const char old_machine[] =
	"[machine]\nfirmware = bios\n"
	"[disk sda]\npath = /dev/sda\nmodel = M\nserial = OLD\nbus = sata\n"
	"size = 10737418240\nsector-size = 512\ntable = gpt\n"
	"[partition sda1]\ndisk = sda\nnumber = 1\nstart = 1048576\nsize = 8589934592\n"
	"type = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
	"[filesystem sda1]\ntype = ext4\nuuid = 66666666-0123-4123-8123-0123456789ab\nmountpoint = /\nused = "
	"1073741824\n"
	"stream = root\nmethod = dump\nfs.block-size = 4096\nfs.blocks = 2097152\n"
	"fs.inodes = 524288\n"
	"[partition sda2]\ndisk = sda\nnumber = 2\nstart = 8590983168\nsize = 1073741824\n"
	"type = 0657FD6D-A4AB-43C4-84E5-0933C84B4F4F\n"
	"[swap sda2]\ntype = swap\n"
	"[boot]\nloader = grub\ntarget = i386-pc\ndisk = sda\n";

static struct device *add_known(struct machine *m, const char *name, uint64_t size, const char *serial,
				const char *holds)
{
	struct device *d = add_present(m, name, size);

	d->identity.serial = serial ? xstrdup(serial) : NULL;
	d->now.holds = holds ? xstrdup(holds) : NULL;
	return d;
}

/* Plans the old machine on what is present; takes both. */
static int make(struct machine *present, bool unattended, const char *map, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 };
	_cleanup_(strlist) struct strlist maps = { 0 };
	struct plan_options options = { .map = &maps, .unattended = unattended };

	if (map)
		strlist_add(&maps, map);
	read_conf(old_machine, &old);
	int r = plan_make(&old, present, &options, ret, &e);

	CHECK(old.count == 0 && present->count == 0); /* taken over in any case */
	return r;
}

static void check_mapping(const struct plan *p, const char *to, const char *reason)
{
	CHECK_INT(p->mapping_count, 1);
	CHECK_STR(p->mappings[0].to->name, to);
	CHECK_STR(p->mappings[0].reason, reason);
}

TEST(the_same_disk_by_serial_number_whatever_it_holds)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 10 * GIB);
	add_known(&present, "vdb", 10 * GIB, "OLD", "gpt table, ext4");
	CHECK_OK(make(&present, true, NULL, &p));
	check_mapping(&p, "vdb", "the same disk, by serial number");
	CHECK_STR(p.steps[0].text, "wipe vdb (serial OLD, 10.0 GiB)");
	CHECK_STR(p.steps[0].destroys, "everything on /dev/vdb: gpt table, ext4");
}

TEST(a_larger_disk_does_not_make_the_old_one_larger)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 12 * GIB);
	CHECK_OK(make(&present, true, NULL, &p));
	CHECK_INT(p.mappings[0].from->size, 12 * GIB);
	CHECK_INT(p.mappings[0].from_size, 10 * GIB);
}

TEST(a_serial_number_with_another_size_is_another_disk)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_known(&present, "vda", 11 * GIB, "OLD", "gpt table");
	CHECK_ERROR(make(&present, true, NULL, &p),
		    "no disk can take the place of sda (M, serial OLD, 10.0 GiB): vda (serial OLD, 11.0 GiB) "
		    "is not "
		    "blank (gpt table) and not the same disk as before, so only a person may choose it");
}

TEST(the_same_disk_in_use_is_not_replaced_by_another)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 10 * GIB);
	add_known(&present, "vdb", 10 * GIB, "OLD", "x")->now.in_use = xstrdup("vdb1 is mounted at /x");
	CHECK_ERROR(make(&present, false, NULL, &p), "vdb (serial OLD, 10.0 GiB) cannot take the place of "
						     "sda (M, serial OLD, 10.0 GiB): it is in use: "
						     "vdb1 is mounted at /x");
}

TEST(a_disk_that_cannot_be_read_is_no_target_and_no_obstacle)
{
	_cleanup_(machine) struct machine present = { 0 }, alone = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 10 * GIB)->now.broken = xstrdup("read /dev/vda: it is dead");
	add_present(&present, "vdb", 10 * GIB);
	CHECK_OK(make(&present, true, NULL, &p));
	check_mapping(&p, "vdb", "the only blank disk that fits");
	add_known(&alone, "vda", 10 * GIB, "OLD", NULL)->now.broken = xstrdup("read /dev/vda: it is dead");
	CHECK_ERROR(make(&alone, false, "sda=vda", &p), "vda (serial OLD, 10.0 GiB) cannot take the place of "
							"sda (M, serial OLD, 10.0 GiB): it cannot "
							"be used: read /dev/vda: it is dead");
}

TEST(the_best_fit)
{
	{
		_cleanup_(machine) struct machine present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };

		add_known(&present, "vda", 10 * GIB, NULL, "ext4");
		add_present(&present, "vdb", 1 * GIB);
		CHECK_OK(make(&present, false, NULL, &p));
		check_mapping(&p, "vda", "the only disk that fits");
	}
	{
		_cleanup_(machine) struct machine present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };

		add_known(&present, "vda", 10 * GIB, NULL, "ext4");
		add_present(&present, "vdb", 50 * GIB);
		CHECK_OK(make(&present, false, NULL, &p));
		check_mapping(&p, "vdb", "the only blank disk that fits");
	}
	{
		_cleanup_(machine) struct machine present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };

		add_present(&present, "vda", 50 * GIB);
		add_present(&present, "vdb", 10 * GIB);
		CHECK_OK(make(&present, true, NULL, &p));
		check_mapping(&p, "vdb", "the only blank disk of the same size");
	}
}

TEST(no_guess_between_several)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_known(&present, "vda", 50 * GIB, "A", NULL);
	add_known(&present, "vdb", 60 * GIB, "B", NULL);
	CHECK_ERROR(make(&present, false, NULL, &p),
		    "more than one disk could take the place of sda (M, serial OLD, 10.0 GiB): vda (serial "
		    "A, 50.0 "
		    "GiB), vdb (serial B, 60.0 GiB); choose one with --map sda=NAME");
}

static int choose_last(void *user, const struct device *old, const struct device *const candidates[],
		       size_t count, struct error *error)
{
	(void)error;
	*(size_t *)user = count;
	CHECK_STR(old->name, "sda");
	CHECK_STR(candidates[0]->name, "vda");
	return (int)count - 1;
}

TEST(a_person_is_asked_between_several)
{
	for (int unattended = 0; unattended < 2; unattended++) {
		_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };
		size_t shown = 0;
		const struct plan_options options = { .unattended = unattended,
						      .choose = choose_last,
						      .user = &shown };

		read_conf(old_machine, &old);
		add_known(&present, "vda", 50 * GIB, "A", NULL);
		add_present(&present, "vdb", 1 * GIB);
		add_known(&present, "vdc", 60 * GIB, "B", NULL);
		int r = plan_make(&old, &present, &options, &p, &e);

		CHECK_INT(shown, unattended ? 0 : 2); /* the one that is too small is not offered */
		CHECK_INT(r, unattended ? -EEXIST : 0);
		if (!unattended)
			check_mapping(&p, "vdc", "chosen by a person");
	}
}

TEST(two_disks_of_one_size_are_told_apart_by_their_serial_numbers)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	const struct plan_options options = { .unattended = true };

	read_conf(old_machine, &old);
	struct device *second = add_known(&old, "sdb", 10 * GIB, "OTHER", NULL);

	second->table = TABLE_GPT;
	add_known(&present, "vda", 10 * GIB, "OTHER", "ext4");
	add_known(&present, "vdb", 10 * GIB, "OLD", "ext4");
	CHECK_OK(plan_make(&old, &present, &options, &p, &e));
	CHECK_INT(p.mapping_count, 2);
	CHECK_STR(p.mappings[0].to->name, "vdb");
	CHECK_STR(p.mappings[1].to->name, "vda");
}

TEST(map_chooses_and_is_checked)
{
	static const struct {
		const char *map, *error;
	} cases[] = {
		{ "sda=vdb", NULL },
		{ "OLD=B", NULL },
		{ "/dev/sda=/dev/vdb", NULL },
		{ "sda", "--map sda: expected OLD=NEW, as in sda=vdb" },
		{ "sdz=vdb", "--map sdz=vdb: the old machine had no disk 'sdz'" },
		{ "sda=vdz", "--map sda=vdz: there is no disk 'vdz' here" },
		{ "sda=vdc",
		  "vdc (1.0 GiB) cannot take the place of sda (M, serial OLD, 10.0 GiB): it is too small "
		  "(at least 2.2 GiB are needed)" },
		{ "sda=vdd",
		  "vdd (20.0 GiB) cannot take the place of sda (M, serial OLD, 10.0 GiB): it is read-only" },
		{ "sda=vde",
		  "vde (20.0 GiB) cannot take the place of sda (M, serial OLD, 10.0 GiB): it is a rescue "
		  "medium (label LIFEBOAT)" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(machine) struct machine present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };

		add_known(&present, "vda", 50 * GIB, "A", NULL);
		add_known(&present, "vdb", 60 * GIB, "B", "xfs")->identity.removable = true;
		add_present(&present, "vdc", 1 * GIB);
		add_present(&present, "vdd", 20 * GIB)->identity.read_only = true;
		add_known(&present, "vde", 20 * GIB, NULL, "vfat")->content.label = xstrdup("LIFEBOAT");
		if (cases[i].error) {
			CHECK_ERROR(make(&present, false, cases[i].map, &p), cases[i].error);
			continue;
		}
		CHECK_OK(make(&present, false, cases[i].map, &p));
		check_mapping(&p, "vdb", "chosen by --map");
	}
}

TEST(unattended_takes_no_disk_with_content_even_when_named)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_known(&present, "vdb", 60 * GIB, "B", "xfs");
	CHECK_ERROR(make(&present, true, "sda=vdb", &p),
		    "vdb (serial B, 60.0 GiB) cannot take the place of sda (M, serial OLD, 10.0 GiB): it is "
		    "not blank "
		    "(xfs) and not the same disk as before, so only a person may choose it");
}

TEST(steps_in_order)
{
	static const enum step_kind wanted[] = { STEP_WIPE,        STEP_TABLE,   STEP_MKFS, STEP_MKSWAP,
						 STEP_MOUNT,       STEP_RESTORE, STEP_MEND, STEP_INITRAMFS,
						 STEP_BOOT_LOADER, STEP_UNMOUNT };
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	struct disk_identity *vda = &add_present(&present, "vda", 10 * GIB)->identity;

	free(vda->bus); /* on another one the initramfs is made anew */
	vda->bus = xstrdup("virtio");
	CHECK_OK(make(&present, true, NULL, &p));
	CHECK_INT(p.step_count, sizeof(wanted) / sizeof(*wanted));
	for (size_t i = 0; i < p.step_count; i++)
		CHECK_INT(p.steps[i].kind, wanted[i]);
	CHECK(!p.steps[0].destroys); /* it is blank */
	CHECK_STR(p.steps[2].node, "/dev/vda1");
	CHECK_INT(p.steps[6].changes.count, 1);
	CHECK_STR(p.steps[6].changes.items[0], "/dev/sda1 becomes UUID=66666666-0123-4123-8123-0123456789ab");
	CHECK_STR(p.steps[8].text, "install GRUB (i386-pc) on /dev/vda from within the recovered system");
}

TEST(a_label_does_not_command_the_terminal)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	const struct plan_options options = { 0 };

	read_conf(old_machine, &old);
	machine_find(&old, "sda1")->content.label = xstrdup("\033[1A\n");
	add_present(&present, "vda", 10 * GIB);
	CHECK_OK(plan_make(&old, &present, &options, &p, &e));
	for (size_t i = 0; i < p.step_count; i++)
		CHECK(!strpbrk(p.steps[i].text, "\033\n"));
}

TEST(a_larger_disk_keeps_the_layout)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 50 * GIB);
	CHECK_OK(make(&present, false, NULL, &p));
	CHECK_INT(p.machine.devices[0]->size, 50 * GIB);
	CHECK_INT(p.machine.devices[1]->size, 8 * GIB);
	CHECK_INT(p.machine.devices[2]->start, 8590983168);
	CHECK_STR(key_values_get(&p.machine.devices[1]->content.parameters, "blocks"), "2097152");
}

TEST(a_slightly_smaller_disk_loses_only_the_free_space)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 9 * GIB + 2 * MIB);
	CHECK_OK(make(&present, false, NULL, &p));
	CHECK_INT(p.machine.devices[1]->size, 8 * GIB);
}

TEST(a_smaller_disk_shrinks_what_can_shrink)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };

	add_present(&present, "vda", 4 * GIB);
	CHECK_OK(make(&present, false, NULL, &p));
	const struct device *root = p.machine.devices[1], *swap = p.machine.devices[2];

	CHECK_INT(root->start, MIB);
	CHECK_INT(root->size, 3 * GIB - 2 * MIB); /* 33 sectors for the backup of the table cost a MiB */
	CHECK_INT(swap->start, 3 * GIB - MIB);
	CHECK_INT(swap->size, GIB);
	CHECK_INT(p.steps[1].kind, STEP_TABLE); /* and it is said */
	CHECK_INT(p.steps[1].changes.count, 1);
	CHECK_STR(p.steps[1].changes.items[0],
		  "sda1 has 3.0 GiB (3219128320 bytes), had 8.0 GiB (8589934592)");
	CHECK_STR(key_values_get(&root->content.parameters, "blocks"), "785920");
	CHECK_STR(key_values_get(&root->content.parameters, "inodes"), "196480");
}

TEST(the_smallest_disk_that_fits)
{
	_cleanup_(machine) struct machine old = { 0 };

	read_conf(old_machine, &old);
	uint64_t least = device_minimum(&old, old.devices[0]);

	CHECK(least > 2 * GIB && least < 9 * GIB / 4);
	CHECK_OK(scale_disk(&old, old.devices[0], least, 512, &e));
	CHECK(old.devices[1]->size >= GIB + GIB / 10 + 64 * MIB);
	machine_free(&old);
	read_conf(old_machine, &old);
	CHECK(scale_disk(&old, old.devices[0], least - MIB, 512, &e) < 0);
	CHECK_STR(e.text,
		  "too small: 2.2 GiB; sda had 10.0 GiB, and its data and a margin need at least 2.2 GiB");
	CHECK_INT(old.devices[1]->size, 8 * GIB); /* untouched on failure */
}

TEST(sectors_of_another_size)
{
	_cleanup_(machine) struct machine old = { 0 };

	read_conf(old_machine, &old);
	CHECK_OK(scale_disk(&old, old.devices[0], 10 * GIB, 4096, &e));
	CHECK_INT(old.devices[0]->sector_size, 4096);
	machine_free(&old);
	read_conf(old_machine, &old);
	old.devices[1]->start += 512;
	CHECK_ERROR(scale_disk(&old, old.devices[0], 10 * GIB, 4096, &e),
		    "it has sectors of 4096 bytes, on whose boundaries sda1 does not lie");
}

/* ---- --grow ---- */

static int make_grown(uint64_t size, const char *grow, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	_cleanup_(strlist) struct strlist names = { 0 };
	const struct plan_options options = { .grow = &names };

	strlist_add_words(&names, grow);
	read_conf(old_machine, &old);
	add_present(&present, "vda", size);
	return plan_make(&old, &present, &options, ret, &e);
}

TEST(the_chosen_file_system_takes_what_a_larger_disk_has_more)
{
	static const char *const names[] = { "/", "sda1", "/dev/sda1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK_OK(make_grown(40 * GIB, names[i], &p));
		const struct device *root = p.machine.devices[1], *swap = p.machine.devices[2];

		CHECK_INT(root->start, MIB);
		CHECK_INT(swap->size, GIB);
		CHECK_INT(swap->start, root->start + root->size);
		CHECK_INT(swap->start + swap->size, 40 * GIB - MIB); /* the table's backup is behind */
		CHECK_STR(key_values_get(&root->content.parameters, "blocks"), "10223104");
		CHECK_STR(key_values_get(&root->content.parameters, "inodes"), "2555776");
		CHECK_STR(p.steps[1].changes.items[0],
			  "sda1 has 39.0 GiB (41873833984 bytes), had 8.0 GiB (8589934592)");
	}
}

TEST(xfs_grows_by_groups)
{
	_cleanup_(machine) struct machine old = { 0 };

	read_conf(old_machine, &old);
	struct device *root = old.devices[1];

	free(root->content.type);
	root->content.type = xstrdup("xfs");
	key_values_free(&root->content.parameters);
	key_values_set(&root->content.parameters, "block-size", "4096");
	key_values_set(&root->content.parameters, "blocks", "2097152");
	key_values_set(&root->content.parameters, "group-blocks", "524288");
	CHECK_OK(scale_disk(&old, old.devices[0], 40 * GIB, 512, &e));
	scale_grow(&old, root, root->size);
	CHECK_STR(key_values_get(&root->content.parameters, "blocks"), "10223104");
	CHECK_STR(key_values_get(&root->content.parameters, "group-blocks"), "524288");
}

TEST(the_last_partition_grows_to_the_end)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(make_grown(40 * GIB, "sda2", &p));
	CHECK_INT(p.machine.devices[1]->size, 8 * GIB);
	CHECK_INT(p.machine.devices[2]->start, 8 * GIB + MIB);
	CHECK_INT(p.machine.devices[2]->size, 32 * GIB - 2 * MIB);
}

TEST(there_may_be_nothing_to_grow_into)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(make_grown(9 * GIB + 2 * MIB, "/", &p));
	CHECK_INT(p.machine.devices[1]->size, 8 * GIB);
}

TEST(what_cannot_grow_is_refused)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_ERROR(make_grown(40 * GIB, "/home", &p),
		    "--grow /home: the old machine had no such mount point or device");
	CHECK_ERROR(make_grown(40 * GIB, "sda", &p), "--grow sda: which of its partitions?");
	CHECK_ERROR(make_grown(40 * GIB, "/ sda2", &p),
		    "--grow sda2: sda1 takes what is free on sda already");
}

TAP_MAIN()
