/* Which machine.conf and which disks are the same machine: the firmware's entries, and what was left out of a recovery. What
 * real disks differ in is tests/guest/34-compare.t's. */
#include "machine/compare.h"
#include "machine/machine_conf.h"
#include "machine/without.h"
#include "tap.h"

static struct error e;

/* Two disks of a mirror, each with a system partition. */
#define DISK(name, digit)                                                                               \
	"[disk " name "]\nserial = OLD-" name "\nsize = 8589934592\nsector-size = 512\n"                \
	"table = gpt\ntable-id = 01234567-89AB-4DEF-8123-456789ABCDE" digit "\n"                        \
	"[partition " name "1]\ndisk = " name "\nnumber = 1\nstart = 1048576\nsize = 268435456\n"       \
	"type = C12A7328-F81F-11D2-BA4B-00A0C93EC93B\nuuid = A1B2C3D4-E5F6-4788-99AA-BBCCDDEEFF0" digit \
	"\n[partition " name "2]\ndisk = " name "\nnumber = 2\nstart = 269484032\n"                     \
	"size = 4294967296\ntype = A19D880F-05FC-4D3B-A006-743F0F84911E\n"
#define MIRROR(members)                                                                         \
	"[raid md0]\ndevices = " members "\nlevel = raid1\nmetadata = 1.2\n"                    \
	"uuid = 8b1c2d3e:00000000:11111111:22222222\ncomponent-size = 4293918720\n"             \
	"data-offset = 1048576\n[filesystem md0]\ntype = ext4\nmountpoint = /\nstream = root\n" \
	"method = dump\n"
#define ENTRY(number, label, partition, path) \
	"[boot-entry " number "]\nlabel = " label "\npartition = " partition "\npath = " path "\n"
#define MACHINE "[machine]\nfirmware = uefi\narch = x86_64\n"
#define ESP(partition)                                                                                  \
	"[filesystem " partition "]\ntype = vfat\nmountpoint = /efi/" partition "\nstream = " partition \
	"\nmethod = archive\n"
#define DISKS DISK("sda", "1") ESP("sda1") DISK("sdb", "2") ESP("sdb1") MIRROR("sda2, sdb2")
#define BOTH MACHINE DISKS
#define DEBIAN(number, disk) ENTRY(number, "debian", disk "1", "/EFI/debian/shimx64.efi")

/* Appends a line for each difference. */
static void note(void *user, const struct machine_difference *d)
{
	strbuf_printf(user, "%s: %s was %s, is %s\n", d->what, d->key, d->expected ? d->expected : "-",
		      d->found ? d->found : "-");
}

static void compare(const char *was, const char *is, const char *left_out, struct strbuf *ret)
{
	_cleanup_(machine) struct machine expected = { 0 }, found = { 0 };
	_cleanup_(strlist) struct strlist map = { 0 }, told = { 0 };
	const struct machine_compare_options options = { .map = &map, .differs = note, .user = ret };
	uint64_t equal, different;

	strbuf_puts(ret, "");
	if (left_out)
		strlist_add(&map, left_out);
	CHECK_OK(machine_conf_parse("was", was, &expected, &e));
	CHECK_OK(machine_conf_parse("is", is, &found, &e));
	CHECK_OK(machine_leave_out(&expected, &map, &told, &e));
	CHECK_INT(told.count > 0, left_out != NULL);
	CHECK_OK(machine_compare(&expected, &found, &options, &equal, &different, &e));
	CHECK(equal > 10);
	CHECK_INT(different > 0, ret->len > 0);
}

TEST(entries_of_the_firmware)
{
	static const struct {
		const char *was, *is, *want;
	} cases[] = {
		{ BOTH DEBIAN("1", "sda") DEBIAN("2", "sdb"), BOTH DEBIAN("1", "sda") DEBIAN("2", "sdb"),
		  "" },
		/* others are nobody's; firmware knows no case */
		{ BOTH DEBIAN("1", "sdb"),
		  BOTH ENTRY("1", "stick", "sda1", "/x")
			  ENTRY("2", "debian", "sdb1", "/efi/DEBIAN/shimx64.efi"),
		  "" },
		{ BOTH DEBIAN("1", "sda"), BOTH,
		  "boot-entry debian: presence was /EFI/debian/shimx64.efi, is -\n" },
		{ BOTH DEBIAN("1", "sda"), BOTH DEBIAN("1", "sdb"),
		  "boot-entry debian: presence was /EFI/debian/shimx64.efi, is -\n" },
		{ BOTH DEBIAN("1", "sda"), BOTH ENTRY("1", "debian", "sda1", "/EFI/debian/grubx64.efi"),
		  "boot-entry debian: presence was /EFI/debian/shimx64.efi, is -\n" },
		{ BOTH DEBIAN("1", "sda") ENTRY("2", "other", "sdb1", "/o"),
		  BOTH ENTRY("1", "other", "sdb1", "/o") DEBIAN("2", "sda"),
		  "boot-entry other: order was behind the one before it, is before it\n" },
		/* one that no UEFI has started does not see them */
		{ BOTH DEBIAN("1", "sda"), "[machine]\nfirmware = bios\narch = x86_64\n" DISKS, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(strbuf) struct strbuf said = { 0 };

		compare(cases[i].was, cases[i].is, NULL, &said);
		CHECK_STR(said.data, cases[i].want);
	}
}

TEST(a_disk_that_was_left_out)
{
	static const char two[] =
		MACHINE DISK("sda", "1") ESP("sda1") DISK("sdb", "2") MIRROR("sda2, sdb2") DEBIAN("1", "sda"),
			  one[] = MACHINE DISK("sda", "1") ESP("sda1") MIRROR("sda2, missing")
				  DEBIAN("1", "sda");
	_cleanup_(strbuf) struct strbuf without = { 0 }, with = { 0 };

	compare(two, one, "sdb=none", &without);
	CHECK_STR(without.data, "");
	compare(two, one, NULL, &with);
	CHECK(strstr(with.data, "disk sdb: presence was there, is -\n") != NULL);
}

TEST(what_cannot_be_left_out)
{
	static const struct {
		const char *map, *want;
	} cases[] = {
		{ "sdc=none", "--map sdc=none: the old machine had no disk 'sdc'" },
		{ "OLD-sda=none",
		  "--map sda=none: the machine cannot do without it: sda1 holds vfat of /efi/sda1, which is "
		  "nowhere else" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(machine) struct machine m = { 0 };
		_cleanup_(strlist) struct strlist map = { 0 }, told = { 0 };

		strlist_add(&map, cases[i].map);
		CHECK_OK(machine_conf_parse("m", BOTH, &m, &e));
		CHECK_ERROR(machine_leave_out(&m, &map, &told, &e), cases[i].want);
	}
}

#define MEMBER(name, digit)                                                                        \
	"[disk " name "]\nserial = OLD-" name "\nsize = 8589934592\nsector-size = 512\n"           \
	"table = gpt\ntable-id = 01234567-89AB-4DEF-8123-456789ABCDE" digit "\n"                   \
	"[partition " name "1]\ndisk = " name "\nnumber = 1\nstart = 1048576\nsize = 4294967296\n" \
	"type = E6D6D379-F507-44C2-A23C-238F2A3DF928\nuuid = A1B2C3D4-E5F6-4788-99AA-BBCCDDEEFF0" digit "\n"
#define GROUP(members, uuids, place)                                                        \
	"[group vg]\ndevices = " members "\ndevice-uuids = " uuids "\n"                     \
	"device-starts = 1048576, 1048576\nuuid = ghijkl-0123-4567-89ab-cdef-0123-456789\n" \
	"extent-size = 4194304\n[volume vg/root]\ntype = linear\n"                          \
	"uuid = mnopqr-0123-4567-89ab-cdef-0123-456789\nsize = 419430400\non = " place "\n" \
	"[filesystem vg/root]\ntype = ext4\nmountpoint = /\nstream = root\nmethod = dump\n"
#define FIRST "aaaaaa-0123-4567-89ab-cdef-0123-456789"
#define SECOND "bbbbbb-0123-4567-89ab-cdef-0123-456789"
#define BIOS "[machine]\nfirmware = bios\narch = x86_64\n"

TEST(a_group_on_disks_in_another_order)
{
	static const char was[] =
		BIOS MEMBER("sda", "1") MEMBER("sdb", "2") GROUP("sda1, sdb1", FIRST ", " SECOND, "sdb1");
	static const char same[] =
		BIOS MEMBER("sda", "2") MEMBER("sdb", "1") GROUP("sda1, sdb1", SECOND ", " FIRST, "sda1");
	static const char other[] =
		BIOS MEMBER("sda", "2") MEMBER("sdb", "1") GROUP("sda1, sdb1", SECOND ", " FIRST, "sdb1");
	_cleanup_(strbuf) struct strbuf none = { 0 }, one = { 0 };

	compare(was, same, NULL, &none);
	CHECK_STR(none.data, "");
	compare(was, other, NULL, &one);
	CHECK_STR(one.data, "volume vg/root: on was sdb1, is sda1\n");
}

#define BTRFS                                                                                      \
	"[disk sda]\nserial = A\nsize = 8589934592\nsector-size = 512\ntable = none\n"             \
	"[filesystem sda]\ntype = btrfs\nuuid = 01234567-89ab-4def-8123-456789abcdef\n"            \
	"fs.node-size = 16384\nfs.sector-size = 4096\nfs.checksum = crc32c\nfs.features = extref " \
	"skinny-metadata\n"
#define SUBVOLUME(number, path, more) "[subvolume sda." number "]\nfilesystem = sda\npath = " path "\n" more

/* How it was saved, and which subvolume an archive was a snapshot of, no disk says. */
TEST(what_belongs_to_the_backup_is_not_compared)
{
	_cleanup_(strbuf) struct strbuf differences = { 0 };
	static const char was[] = "[machine]\nfirmware = bios\narch = x86_64\n" BTRFS SUBVOLUME(
		"1", "/@", "stream = a\nmethod = send\n")
		SUBVOLUME("2", "/one",
			  "snapshot-of = /@\nsend-parent = /@\nread-only = yes\nstream = b\nmethod = send\n");
	static const char is[] = "[machine]\nfirmware = bios\narch = x86_64\n" BTRFS SUBVOLUME("1", "/@", "")
		SUBVOLUME("2", "/one", "read-only = yes\n");

	compare(was, is, NULL, &differences);
	CHECK_STR(differences.data, "");
}

TAP_MAIN()
