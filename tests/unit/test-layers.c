/* Layers in machine.conf: arrays, LUKS devices, volume groups on each other. Read, written, refused with the line,
 * and made by hand in their order. */
#include "cmd/by_hand.h"
#include "layers-lab.h"
#include "machine/layer.h"

TEST(what_is_read_is_written_again)
{
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf first = { 0 };

	read_conf(server, &m);
	CHECK_INT(find(&m, "md1")->size, 8588886016);
	CHECK_INT(find(&m, "secret")->size, 8588886016 - 16777216);
	CHECK_INT(find(&m, "vg0")->size, (8588886016 - 16777216 - 1048576) / 4194304 * 4194304);
	CHECK_STR(find(&m, "sda2")->content.type, "linux_raid_member");
	CHECK(machine_above(&m, find(&m, "sdb2")) == find(&m, "md1"));
	CHECK(device_lies_on(find(&m, "vg0/root"), find(&m, "sdb")));
	write_twice(&m, &first, &again);
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
		" /dev/vg0/root 1572864\n",
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

/* What is on a disk is never a command of RECOVER.txt. */
TEST(a_label_is_a_label)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf page = { 0 };
	const struct strlist files = { 0 };

	read_conf(server, &m);
	struct content *c = &find(&m, "vg0/root")->content;

	free(c->label);
	c->label = xstrdup("\n$(reboot)");
	by_hand_format(&m, "host/set", &files, NULL, NULL, NULL, &page);
	CHECK(strstr(page.data, " '-L\n$(reboot)' /dev/vg0/root 1572864\n") != NULL);
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
	_cleanup_(strbuf) struct strbuf first = { 0 }, page = { 0 };
	const struct strlist files = { 0 };

	read_conf(text, &m);
	write_twice(&m, &first, &again);
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

TAP_MAIN()
