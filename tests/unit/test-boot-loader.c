/* What the first sectors of disks and partitions say of the boot loader, on plain files. */
#include "base/fs.h"
#include "cmd/excuse.h"
#include "machine/boot_loader.h"
#include "machine/machine_conf.h"
#include "machine/table.h"
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct error e;

static void write_at(const char *path, const void *data, size_t len)
{
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);

	CHECK(fd >= 0 && (ftruncate(fd, 1 << 20), pwrite_all(fd, data, len, 0)) == 0);
}

/* A disk with one partition, whose file is the disk's with a 1 behind. */
static struct device *add_disk(struct machine *m, const char *dir)
{
	struct device *disk = machine_add(m, DEVICE_DISK, "sda"),
		      *d = machine_add(m, DEVICE_PARTITION, "sda1");

	disk->identity.path = xasprintf("%s/disk", dir);
	disk->size = 64 << 20;
	disk->sector_size = 512;
	disk->table = TABLE_MBR;
	disk->table_id = xstrdup("0x12345678");
	d->parent = disk;
	d->number = 1;
	d->start = 1 << 20;
	d->size = 1 << 20;
	d->part_type = xstrdup("0x83");
	d->active = true;
	d->content.mountpoint = xstrdup("/");
	return disk;
}

static void make_folders(const char *dir)
{
	static const char *const folders[] = { "usr", "usr/bin", "boot", "boot/extlinux", "boot/grub" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", dir, folders[i]);

		CHECK(mkdir(path, 0755) == 0);
	}
}

static void touch(const char *dir, const char *name)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", dir, name);

	write_at(path, "x", 1);
}

static void look(struct machine *m, const char *mbr, const char *first)
{
	_cleanup_(free) char *part = xasprintf("%s1", m->devices[0]->identity.path);
	char sector[512] = { 0 };

	memcpy(sector, mbr, strlen(mbr));
	write_at(m->devices[0]->identity.path, sector, sizeof(sector));
	memset(sector, 0, sizeof(sector));
	memcpy(sector + 3, first, strlen(first));
	write_at(part, sector, sizeof(sector));
	CHECK_OK(boot_loader_look(m, &e));
}

TEST(grub_in_the_first_sector_is_installed_anew)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };
	struct report report = { 0 };

	CHECK_OK(tempdir_make(&dir, &e));
	struct device *disk = add_disk(&m, dir.path);

	make_folders(dir.path);
	touch(dir.path, "boot/grub/grub.cfg");
	look(&m, "....GRUB ", "");
	boot_loader_survey(&m, dir.path, &report);
	CHECK_STR(m.boot_loader, "grub");
	CHECK_STR(m.boot_target, "i386-pc");
	CHECK_STR(m.boot_disks.items[0], "sda");
	CHECK(!disk->boot_code);
}

TEST(syslinux_is_known_by_its_partition_and_the_folder_of_its_second_stage)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strlist) struct strlist command = { 0 };
	struct report report = { 0 };

	CHECK_OK(tempdir_make(&dir, &e));
	struct device *disk = add_disk(&m, dir.path);

	make_folders(dir.path);
	touch(dir.path, "boot/extlinux/ldlinux.sys");
	touch(dir.path, "usr/bin/extlinux");
	look(&m, "any code", "SYSLINUX");
	boot_loader_survey(&m, dir.path, &report);
	CHECK_STR(m.boot_loader, "extlinux");
	CHECK_STR(m.boot_target, "/boot/extlinux");
	CHECK_STR(m.boot_disks.items[0], "sda");
	CHECK_STR(disk->boot_code, "YW55IGNvZGU="); /* base64 of it */
	boot_loader_command(m.boot_loader, m.boot_target, "/dev/vda", &command);
	_cleanup_(free) char *words = strlist_join(&command, " ");

	CHECK_STR(words, "extlinux --install /boot/extlinux");
	m.firmware = FIRMWARE_BIOS;
	CHECK(excuse(&m, "/boot/extlinux/ldlinux.sys", "sha256", true));
	CHECK(excuse(&m, "/boot/extlinux", "time", true));
	CHECK(!excuse(&m, "/boot/extlinux/extlinux.conf", "sha256", true));
	CHECK(!excuse(&m, "/boot/extlinux/ldlinux.sys", "owner", true));
	CHECK(!excuse(&m, "/boot/grub/i386-pc/normal.mod", "time", true));
}

TEST(what_grub_install_makes_itself_may_differ)
{
	_cleanup_(machine) struct machine m = { .firmware = FIRMWARE_BIOS, .boot_loader = xstrdup("grub") };

	CHECK(excuse(&m, "/boot/grub/i386-pc/normal.mod", "time", true));
	CHECK(!excuse(&m, "/boot/grub/i386-pc/normal.mod", "sha256", true));
	CHECK(excuse(&m, "/boot/grub/i386-pc/load.cfg", "sha256", true));
	CHECK(excuse(&m, "/boot/grub/i386-pc/core.img", "size", true));
	CHECK(!excuse(&m, "/boot/grub/i386-pc/core.img", "presence", true));
	CHECK(excuse(&m, "/boot/grub/i386-pc/load.cfg", "presence", true));
	CHECK(!excuse(&m, "/boot/grub/i386-pc/core.img", "owner", true));
	CHECK(!excuse(&m, "/boot/grub/grub.cfg", "sha256", true));
}

TEST(without_its_second_stage_it_is_not_known)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 };
	struct report report = { 0 };

	CHECK_OK(tempdir_make(&dir, &e));
	add_disk(&m, dir.path);
	look(&m, "any code", "SYSLINUX"); /* but no second stage */
	boot_loader_survey(&m, dir.path, &report);
	CHECK(!m.boot_loader);
}

TEST(boot_code_is_written_with_the_table)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	unsigned char code[boot_code_size], sector[512];
	size_t len = 0;

	CHECK_OK(tempdir_make(&dir, &e));
	struct device *disk = add_disk(&m, dir.path);

	for (size_t i = 0; i < sizeof(sector); i++)
		sector[i] = (unsigned char)(i * 7 + 1);
	write_at(disk->identity.path, sector, sizeof(sector)); /* all 440 bytes count */
	_cleanup_(free) char *part = xasprintf("%s1", disk->identity.path);

	write_at(part, "", 0);
	CHECK_OK(boot_loader_look(&m, &e));
	CHECK_INT(boot_code_parse(disk->boot_code, code, &len), 0);
	CHECK_INT(len, boot_code_size);
	CHECK(memcmp(code, sector, len) == 0);

	_cleanup_(fd) int fd = open(disk->identity.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)disk->size) == 0);
	CHECK_OK(table_write(&m, disk, fd, "disk", &e));
	CHECK_INT(pread_full(fd, sector, sizeof(sector), 0), sizeof(sector));
	CHECK(memcmp(code, sector, boot_code_size) == 0);
	CHECK(sector[510] == 0x55 && sector[511] == 0xaa);
	struct device *read = machine_add(&again, DEVICE_DISK, "sda");

	read->identity.path = xstrdup(disk->identity.path);
	read->sector_size = 512;
	CHECK_OK(table_read(&again, read, &e));
	CHECK_STR(read->table_id, "0x12345678");
	CHECK_INT(again.count, 2);
}

TEST(bad_code_is_refused)
{
	unsigned char code[boot_code_size];
	_cleanup_(free) char *long_text = xmalloc(593);
	size_t len = 0;

	memset(long_text, 'A', 592);
	long_text[592] = '\0'; /* 444 bytes */
	CHECK(boot_code_parse(long_text, code, &len) < 0);
	CHECK(boot_code_parse("", code, &len) < 0);
	CHECK(boot_code_parse("abc", code, &len) < 0);
	CHECK(boot_code_parse("ab!=", code, &len) < 0);
	CHECK(boot_code_parse("====", code, &len) < 0);
	CHECK_INT(boot_code_parse("YQ==", code, &len), 0);
	CHECK_INT(len, 1);
}

TEST(loader_and_its_target_fit)
{
	static const char good[] =
		"[machine]\nfirmware = bios\n[disk sda]\nsize = 67108864\nsector-size = 512\n"
		"table = mbr\ntable-id = 0x12345678\nboot-code = YQ==\n"
		"[boot]\nloader = extlinux\ntarget = /boot/extlinux\ndisk = sda\n";
	static const char bad[] =
		"[machine]\nfirmware = bios\n[disk sda]\nsize = 67108864\nsector-size = 512\n"
		"table = mbr\ntable-id = 0x12345678\n"
		"[boot]\nloader = extlinux\ntarget = i386-pc\ndisk = sda\n";
	_cleanup_(machine) struct machine m = { 0 }, n = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	CHECK_OK(machine_conf_parse("m", good, &m, &e));
	CHECK_OK(machine_conf_format(&m, &text, &e));
	CHECK(strstr(text.data, "boot-code = YQ==\n"));
	CHECK(strstr(text.data, "target = /boot/extlinux\n"));
	CHECK(machine_conf_parse("m", bad, &n, &e) < 0);
	CHECK_STR(e.text,
		  "m:10: bad value 'i386-pc' for 'target'; expected i386-pc for grub, or for extlinux the "
		  "folder of ldlinux.sys, such as /boot/extlinux");
}

TAP_MAIN()
