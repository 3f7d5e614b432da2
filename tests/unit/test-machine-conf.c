/* machine.conf: what is written reads back the same, and every mistake is pointed at. */
#include "machine/machine_conf.h"
#include "tap.h"

static struct error e;

static const char good[] = "[machine]\n" /* line 1 */
			   "hostname = box\n"
			   "firmware = bios\n"
			   "\n"
			   "[disk sda]\n" /* 5 */
			   "path = /dev/sda\n"
			   "model = A \\x5c \\x23 B\n"
			   "serial = S1\n"
			   "wwn = naa.5000\n"
			   "bus = sata\n" /* 10 */
			   "size = 1073741824\n"
			   "sector-size = 512\n"
			   "table = mbr\n"
			   "table-id = 0x1234abcd\n"
			   "\n" /* 15 */
			   "[partition sda1]\n"
			   "disk = sda\n"
			   "number = 1\n"
			   "start = 1048576\n"
			   "size = 104857600\n" /* 20 */
			   "type = 0x83\n"
			   "active = yes\n"
			   "\n"
			   "[filesystem sda1]\n"
			   "type = ext4\n" /* 25 */
			   "uuid = 11111111-2222-3333-4444-555555555555\n"
			   "label = \\x20odd \\x23\\x0a\n"
			   "mountpoint = /\n"
			   "options = errors=remount-ro\n"
			   "used = 1000000\n" /* 30 */
			   "stream = root\n"
			   "method = dump\n"
			   "fs.block-size = 4096\n"
			   "fs.blocks = 25600\n"
			   "\n" /* 35 */
			   "[partition sda2]\n"
			   "disk = sda\n"
			   "number = 2\n"
			   "start = 106954752\n"
			   "size = 209715200\n" /* 40 */
			   "type = 0x05\n"
			   "content = extended\n"
			   "\n"
			   "[partition sda5]\n"
			   "disk = sda\n" /* 45 */
			   "number = 5\n"
			   "start = 108003328\n"
			   "size = 104857600\n"
			   "type = 0x82\n"
			   "\n" /* 50 */
			   "[swap sda5]\n"
			   "type = swap\n"
			   "uuid = 11111111-2222-3333-4444-666666666666\n"
			   "fs.page-size = 4096\n"
			   "\n" /* 55 */
			   "[boot]\n"
			   "loader = grub\n"
			   "target = i386-pc\n"
			   "disk = sda\n";

/* `good` with the first `from` replaced. The caller frees. */
static char *changed(const char *from, const char *to)
{
	const char *at = strstr(good, from);

	if (!at)
		TAP_FAIL("'%s' is not in the example", from);
	return xasprintf("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static int parse(const char *text)
{
	_cleanup_(machine) struct machine m = { 0 };

	return machine_conf_parse("m", text, &m, &e);
}

#define CHECK_MISTAKE(from, to, want)                            \
	do {                                                     \
		_cleanup_(free) char *text_ = changed(from, to); \
		CHECK_ERROR(parse(text_), want);                 \
	} while (0)

TEST(values_reach_the_model)
{
	_cleanup_(machine) struct machine m = { 0 };

	CHECK_OK(machine_conf_parse("m", good, &m, &e));
	CHECK_INT(m.count, 4);
	const struct device *disk = m.devices[0], *root = m.devices[1], *swap = m.devices[3];

	CHECK_STR(disk->identity.model, "A \\ # B");
	CHECK_INT(disk->table, TABLE_MBR);
	CHECK(root->parent == disk && root->active);
	CHECK_STR(root->content.label, " odd #\n");
	CHECK_STR(key_values_get(&root->content.parameters, "blocks"), "25600");
	CHECK_INT(m.devices[2]->content.kind, CONTENT_EXTENDED);
	CHECK_INT(swap->content.kind, CONTENT_SWAP);
	CHECK(device_is_logical(swap) && !device_is_logical(root));
	CHECK_STR(m.boot_disks.items[0], "sda");
}

TEST(what_is_written_reads_back_the_same)
{
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf once = { 0 }, twice = { 0 };

	CHECK_OK(machine_conf_parse("m", good, &m, &e));
	CHECK_OK(machine_conf_format(&m, &once, &e));
	CHECK_OK(machine_conf_parse("again", once.data, &again, &e));
	CHECK_OK(machine_conf_format(&again, &twice, &e));
	CHECK_STR(twice.data, once.data);
	CHECK(strstr(once.data, good));
}

TEST(form)
{
	CHECK_MISTAKE("serial", "seriel",
		      "m:8: unknown key 'seriel' in [disk]; expected one of: path, model, serial, wwn, bus, "
		      "removable, size, sector-size, table, table-id, first-usable, boot-code");
	CHECK_MISTAKE("size = 1073741824", "size = -5",
		      "m:11: bad value '-5' for 'size'; expected a positive number of bytes");
	CHECK_MISTAKE("size = 1073741824\n", "", "m:5: [disk sda] lacks 'size'; expected size = … below it");
	CHECK_MISTAKE("0x1234abcd", "1234",
		      "m:14: bad value '1234' for 'table-id'; expected 0x and eight hexadecimal digits");
	CHECK_MISTAKE("type = 0x83", "type = linux",
		      "m:21: bad value 'linux' for 'type'; expected 0x and two hexadecimal digits");
	CHECK_MISTAKE(
		"type = ext4", "type = reiserfs",
		"m:25: bad value 'reiserfs' for 'type'; expected one of: btrfs, ext4, ext3, ext2, vfat, xfs");
	CHECK_MISTAKE("555555555555", "5555",
		      "m:26: bad value '11111111-2222-3333-4444-5555' for 'uuid'; expected "
		      "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits");
	CHECK_MISTAKE("\\x0a", "\\x0",
		      "m:27: bad value '\\x20odd \\x23\\x0' for 'label'; expected a text "
		      "(\\xHH for special bytes)");
	CHECK_MISTAKE(
		"mountpoint = /", "mountpoint = /a/../b",
		"m:28: bad value '/a/../b' for 'mountpoint'; expected an absolute path without . and ..");
	CHECK_MISTAKE("stream = root\n", "",
		      "m:24: [filesystem sda1] has only one of 'stream' and 'method'; expected both");
	CHECK_MISTAKE("stream = root", "stream = ../x",
		      "m:31: bad value '../x' for 'stream'; expected letters, digits, _ and -");
	CHECK_MISTAKE("fs.block-size = 4096", "fs.block-size = 5000",
		      "m:33: bad value '5000' for 'fs.block-size'; expected 1024, 2048, 4096 … 65536");
	CHECK_MISTAKE("fs.block-size = 4096", "fs.bits = 32",
		      "m:33: 'fs.bits' does not belong to type ext4; expected one of its own");
	CHECK_MISTAKE("loader = grub", "loader = lilo",
		      "m:57: bad value 'lilo' for 'loader'; expected grub or extlinux");
	CHECK_ERROR(parse("[machine]\nfirmware = bios\n"),
		    "m:1: no disk is described; expected a [disk NAME]");
}

TEST(names)
{
	CHECK_MISTAKE("disk = sda\nnumber = 1", "disk = sdb\nnumber = 1",
		      "m:17: disk 'sdb' is not described; expected the name of a [disk NAME] or [raid NAME] "
		      "above");
	CHECK_MISTAKE(
		"[filesystem sda1]", "[filesystem sda9]",
		"m:24: device 'sda9' is not described; expected a [partition sda9] or [disk sda9] above");
	CHECK_MISTAKE("[filesystem sda1]", "[filesystem sda]",
		      "m:24: 'sda' holds something else already; expected a device without other content");
	CHECK_MISTAKE("[partition sda2]", "[partition sda1]",
		      "m:36: section [partition sda1] is there twice; first on line 16");
	CHECK_MISTAKE("[partition sda2]", "[partition sda]",
		      "m:36: 'sda' is there twice; expected a name of its own");
	CHECK_MISTAKE("[partition sda2]", "[partition /dev/x]",
		      "m:36: bad name '/dev/x'; expected letters, digits, _, -, + and ., not beginning with "
		      "- or .");
	CHECK_MISTAKE("target = i386-pc\ndisk = sda", "target = i386-pc\ndisk = sda1",
		      "m:59: disk 'sda1' is not described; expected the name of a [disk NAME] above");
	CHECK_MISTAKE("table = mbr", "table = none",
		      "m:17: disk 'sda' has no partition table; expected table = gpt or mbr in [disk sda]");
}

TEST(geometry)
{
	CHECK_MISTAKE("start = 1048576", "start = 1048577",
		      "m:19: sda1 is not on a sector boundary; expected a multiple of 512");
	CHECK_MISTAKE("size = 1073741824", "size = 262144000",
		      "m:40: sda2 ends behind its disk sda; expected start + size of at most 262144000");
	CHECK_MISTAKE("size = 209715200", "size = 9223372036854775296",
		      "m:40: sda2 ends behind its disk sda; expected start + size of at most 1073741824");
	CHECK_MISTAKE("start = 106954752", "start = 104857600",
		      "m:39: sda2 (104857600 to 314572800) overlaps sda1 (1048576 to 105906176); expected "
		      "partitions side by side");
	CHECK_MISTAKE("number = 2", "number = 1",
		      "m:38: sda2 has the number of sda1; expected one of its own");
	CHECK_MISTAKE("number = 2", "number = 99", "m:38: number 99 is too high; expected at most 60");
	CHECK_MISTAKE(
		"start = 108003328", "start = 106954752",
		"m:47: sda5 is not inside the extended partition sda2; expected it between 106955264 and "
		"316669952");
	CHECK_MISTAKE("content = extended\n", "",
		      "m:45: sda5 is a logical partition without an extended one; expected a partition with "
		      "content = extended");
	CHECK_MISTAKE(
		"fs.blocks = 25600", "fs.blocks = 25601",
		"m:34: the file system is bigger than sda1 (104861696 of 104857600 bytes); expected fewer "
		"blocks, or no 'fs.blocks' to fill it");
	CHECK_MISTAKE("fs.blocks = 25600", "fs.blocks = 4503599627370497", /* times 4096: 4096 and a carry */
		      "m:34: the file system is bigger than sda1 (18446744073709551615 of 104857600 bytes); "
		      "expected fewer blocks, or no 'fs.blocks' to fill it");
	CHECK_MISTAKE(
		"used = 1000000", "used = 18446744073709551615",
		"m:30: more is used than sda1 holds (18446744073709551615 of 104857600 bytes); expected "
		"less");
	CHECK_MISTAKE(
		"size = 1073741824", "size = 9223372036854775808",
		"m:11: bad value '9223372036854775808' for 'size'; expected a positive number of bytes");
	CHECK_MISTAKE("table = mbr\ntable-id = 0x1234abcd", "table = gpt",
		      "m:20: bad value '0x83' for 'type'; expected a GUID");
}

TEST(mount_points_and_streams_are_unique)
{
	CHECK_MISTAKE("fs.page-size = 4096\n",
		      "\n[partition sda3]\ndisk = sda\nnumber = 3\nstart = 536870912\n"
		      "size = 104857600\ntype = 0x83\n[filesystem sda3]\ntype = ext2\n"
		      "mountpoint = /\n",
		      "m:63: '/' is the mount point of sda1 too; expected another");
	CHECK_MISTAKE("fs.page-size = 4096\n",
		      "\n[partition sda3]\ndisk = sda\nnumber = 3\nstart = 536870912\n"
		      "size = 104857600\ntype = 0x83\n[filesystem sda3]\ntype = ext2\n"
		      "stream = root\nmethod = dump\n",
		      "m:63: 'root' is the stream of sda1 too; expected another");
}

/* A btrfs in place of the ext4. */
static char *with_btrfs(const char *content, const char *subvolumes)
{
	const char *from = strstr(good, "[filesystem sda1]"), *to = strstr(good, "[partition sda2]");

	return xasprintf("%.*s[filesystem sda1]\ntype = btrfs\n%s\n%s\n%s", (int)(from - good), good, content,
			 subvolumes, to);
}

static const char subvolumes[] =
	"[subvolume sda1.1]\nfilesystem = sda1\npath = /\nstream = top\n"
	"method = archive\n\n[subvolume sda1.2]\nfilesystem = sda1\npath = /@ \\x23\n"
	"default = yes\nmountpoint = /\noptions = subvol=@\nstream = root\n"
	"method = archive\n\n[subvolume sda1.3]\nfilesystem = sda1\npath = /snap/1\n"
	"read-only = yes\nsnapshot-of = /@ \\x23\n";

TEST(subvolumes_read_back_the_same)
{
	_cleanup_(free) char *text = with_btrfs("", subvolumes);
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf once = { 0 }, twice = { 0 };

	CHECK_OK(machine_conf_parse("m", text, &m, &e));
	const struct device *root = machine_find(&m, "sda1.2"), *snapshot = machine_find(&m, "sda1.3");

	CHECK(root && root->kind == DEVICE_SUBVOLUME && root->parent == machine_find(&m, "sda1"));
	CHECK_STR(root->subvolume.path, "/@ #");
	CHECK_STR(root->content.mountpoint, "/");
	CHECK(root->subvolume.is_default && !root->subvolume.read_only);
	CHECK(!snapshot->subvolume.is_default && snapshot->subvolume.read_only);
	CHECK_STR(snapshot->subvolume.snapshot_of, "/@ #");
	CHECK_OK(machine_conf_format(&m, &once, &e));
	CHECK_OK(machine_conf_parse("again", once.data, &again, &e));
	CHECK_OK(machine_conf_format(&again, &twice, &e));
	CHECK_STR(twice.data, once.data);
	CHECK(strstr(once.data, subvolumes));
}

static void subvolume_mistake(const char *content, const char *text, const char *want)
{
	_cleanup_(free) char *all = with_btrfs(content, text);

	CHECK_ERROR(parse(all), want);
}

TEST(subvolumes)
{
	subvolume_mistake(
		"", "[subvolume x]\nfilesystem = sda5\npath = /\n",
		"m:28: 'sda5' holds no btrfs; expected the name of a [filesystem NAME] above with type = "
		"btrfs");
	subvolume_mistake(
		"", "[subvolume x]\nfilesystem = sda1\npath = /a,b\n",
		"m:29: bad value '/a,b' for 'path'; expected an absolute path without . and .. and commas");
	subvolume_mistake(
		"mountpoint = /", "[subvolume x]\nfilesystem = sda1\npath = /\n",
		"m:27: sda1 has subvolumes; expected 'mountpoint' and 'stream' only with them, the top "
		"level being one with path = /");
	subvolume_mistake("",
			  "[subvolume x]\nfilesystem = sda1\npath = /a\n[subvolume y]\nfilesystem = sda1\n"
			  "path = /a\n",
			  "m:32: '/a' is the path of x too; expected another");
	subvolume_mistake("",
			  "[subvolume x]\nfilesystem = sda1\npath = /a\ndefault = yes\n[subvolume y]\n"
			  "filesystem = sda1\npath = /b\ndefault = yes\n",
			  "m:34: x is the default already; expected only one");
	subvolume_mistake("", "[subvolume x]\nfilesystem = sda1\npath = /a\nstream = s\n",
			  "m:27: [subvolume x] has only one of 'stream' and 'method'; expected both");
	subvolume_mistake("",
			  "[subvolume x]\nfilesystem = sda1\npath = /a\nmountpoint = /m\n[subvolume y]\n"
			  "filesystem = sda1\npath = /b\nmountpoint = /m\n",
			  "m:34: '/m' is the mount point of x too; expected another");
}

TAP_MAIN()
