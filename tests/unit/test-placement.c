/* On which devices of a group its volumes lie, and by which UUIDs LVM knows them and what they are made of. */
#include "layers-lab.h"
#include "machine/layer.h"
#include "machine/layer_kinds.h"
#include "machine/placement.h"

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
