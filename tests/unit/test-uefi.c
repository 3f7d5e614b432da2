/* Boot entries of UEFI firmware: out of its variables, through machine.conf, into a plan; the fallback path. */
#include "tap.h"

#include "base/fs.h"
#include "machine/machine_conf.h"
#include "machine/plan.h"
#include "machine/uefi.h"

#include <errno.h>
#include <sys/stat.h>

static struct error e;

#define GUID_TEXT "A1B2C3D4-E5F6-4788-99AA-BBCCDDEEFF00"
#define VARIABLE(name) name "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static void put16(struct strbuf *b, unsigned v)
{
	const char bytes[] = { (char)(v & 0xff), (char)(v >> 8) };

	strbuf_add(b, bytes, 2);
}

/* ASCII as UTF-16 with its NUL. */
static void put_text(struct strbuf *b, const char *text)
{
	for (; *text; text++)
		put16(b, (unsigned char)*text);
	put16(b, 0);
}

/* A load option as firmware keeps it, with a label and `path` on the partition GUID_TEXT. */
static void put_option(struct strbuf *b, const char *label, const char *path)
{
	static const unsigned char guid[] = { 0xd4, 0xc3, 0xb2, 0xa1, 0xf6, 0xe5, 0x88, 0x47,
					      0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00 };
	size_t file = 4 + 2 * (strlen(path) + 1);

	put16(b, 1); /* active */
	put16(b, 0);
	put16(b, (unsigned)(42 + file + 4));
	put_text(b, label);
	put16(b, 0x0104); /* hard drive: number, start, size, GUID, GPT, signature type */
	put16(b, 42);
	for (int i = 0; i < 10; i++)
		put16(b, 1);
	strbuf_add(b, (const char *)guid, sizeof(guid));
	put16(b, 0x0202);
	put16(b, 0x0404);
	put16(b, (unsigned)file);
	put_text(b, path);
	put16(b, 0xff7f);
	put16(b, 4);
	strbuf_puts(b, "data of the loader itself");
}

TEST(a_load_option)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };
	_cleanup_(uefi_entry) struct uefi_entry u = { 0 };

	put_option(&b, "debian", "\\EFI\\debian\\shimx64.efi");
	CHECK_INT(uefi_parse_option(b.data, b.len, &u), 1);
	CHECK_STR(u.label, "debian");
	CHECK_STR(u.part_uuid, GUID_TEXT);
	CHECK_STR(u.path, "/EFI/debian/shimx64.efi");
}

TEST(a_label_in_any_script)
{
	static const unsigned char label[] = { 0xdc, 0x00, 0xac, 0x20, 0x3d, 0xd8, 0x00, 0xde, 0, 0 };
	_cleanup_(strbuf) struct strbuf b = { 0 };
	_cleanup_(uefi_entry) struct uefi_entry u = { 0 };

	put_option(&b, "four", "\\x");
	memcpy(b.data + 6, label, sizeof(label)); /* four letters and a NUL as well */
	CHECK_INT(uefi_parse_option(b.data, b.len, &u), 1);
	CHECK_STR(u.label, "\xc3\x9c\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(damaged_options_are_none)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };
	unsigned whole = 0;

	put_option(&b, "debian", "\\EFI\\debian\\shimx64.efi");
	for (size_t len = 0; len < b.len; len++) {
		_cleanup_(uefi_entry) struct uefi_entry u = { 0 };
		_cleanup_(free) char *copy = xmalloc(len + 1); /* so that a read behind it is seen */

		memcpy(copy, b.data, len);
		whole += uefi_parse_option(copy, len, &u) == 1;
	}
	CHECK_INT(whole, strlen("data of the loader itself"));
	for (size_t i = 0; i < b.len; i++) {
		_cleanup_(uefi_entry) struct uefi_entry u = { 0 };

		b.data[i] = (char)~b.data[i];
		(void)uefi_parse_option(b.data, b.len, &u); /* whatever it is: no crash */
		b.data[i] = (char)~b.data[i];
	}
}

static void write_option(int fd, const char *name, const char *label, const char *path)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_add(&b, "\7\0\0\0", 4);
	put_option(&b, label, path);
	CHECK_OK(write_file_at(fd, name, 0644, b.data, b.len, &e));
}

TEST(variables)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(uefi_entries) struct uefi_entries u = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(uefi_read_entries(t.path, &u, &e));
	CHECK_INT(u.count, 0);
	/* 7 is nowhere, 2 starts no file on a partition */
	CHECK_OK(write_file_at(t.fd, VARIABLE("BootOrder"), 0644, "\7\0\0\0\x0a\0\7\0\2\0\1\0", 12, &e));
	CHECK_OK(write_file_at(t.fd, VARIABLE("Boot0002"), 0644, "\7\0\0\0\1\0\0\0\4\0P\0\0\0\x7f\xff\4\0",
			       18, &e));
	write_option(t.fd, VARIABLE("Boot0001"), "second", "\\b");
	write_option(t.fd, VARIABLE("Boot000A"), "first", "\\a");
	CHECK_OK(uefi_read_entries(t.path, &u, &e));
	CHECK_INT(u.count, 2);
	CHECK_STR(u.list[0].label, "first");
	CHECK_STR(u.list[1].path, "/b");
}

/* A machine with one disk, and on it a system partition and a root. */
#define MACHINE                                                                                             \
	"[machine]\nfirmware = uefi\narch = x86_64\n"                                                       \
	"[disk sda]\nserial = OLD\nsize = 8589934592\nsector-size = 512\ntable = gpt\n"                     \
	"table-id = 01234567-89AB-4DEF-8123-456789ABCDEF\n"                                                 \
	"[partition sda1]\ndisk = sda\nnumber = 1\nstart = 1048576\nsize = 268435456\n"                     \
	"type = C12A7328-F81F-11D2-BA4B-00A0C93EC93B\nuuid = a1b2c3d4-e5f6-4788-99aa-bbccddeeff00\n"        \
	"[filesystem sda1]\ntype = vfat\nuuid = 12AB-34CD\nmountpoint = /boot/efi\nstream = efi\nmethod = " \
	"archive\n"                                                                                         \
	"[partition sda2]\ndisk = sda\nnumber = 2\nstart = 269484032\nsize = 4294967296\n"                  \
	"type = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"                                                     \
	"[filesystem sda2]\ntype = ext4\nmountpoint = /\nstream = root\nmethod = dump\n"
#define ENTRY "[boot-entry 1]\nlabel = debian\npartition = sda1\npath = /EFI/debian/shimx64.efi\n"

TEST(entries_of_a_machine_go_through_machine_conf)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 }, text_again = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(write_file_at(t.fd, VARIABLE("BootOrder"), 0644, "\7\0\0\0\1\0", 6, &e));
	write_option(t.fd, VARIABLE("Boot0001"), "debian # 12", "\\EFI\\debian\\shimx64.efi");
	CHECK_OK(machine_conf_parse("m", MACHINE, &m, &e));
	CHECK_OK(uefi_survey(&m, t.path, &e));
	CHECK_INT(m.boot_entry_count, 1);
	CHECK_STR(m.boot_entries[0].partition->name, "sda1");
	CHECK_OK(machine_conf_format(&m, &text, &e));
	CHECK_OK(machine_conf_parse("again", text.data, &again, &e));
	CHECK_STR(again.boot_entries[0].label, "debian # 12");
	CHECK_OK(machine_conf_format(&again, &text_again, &e));
	CHECK_STR(text_again.data, text.data);
}

TEST(entries_that_cannot_be)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ MACHINE "[boot-entry 1]\nlabel = x\npartition = sda2\npath = /x\n",
		  "m:36: 'sda2' is no GPT partition; expected the name of a [partition NAME] above that has "
		  "a uuid" },
		{ MACHINE "[boot-entry 1]\nlabel = x\npartition = sda1\npath = x\\y\n",
		  "m:37: bad value 'x\\y' for 'path'; expected an absolute path without . and .." },
		{ MACHINE "[boot-entry 1]\npartition = sda1\npath = /x\n",
		  "m:34: [boot-entry 1] lacks 'label'; expected label = … below it" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(machine) struct machine m = { 0 };

		CHECK_ERROR(machine_conf_parse("m", cases[i].text, &m, &e), cases[i].want);
	}
}

TEST(a_plan_makes_them_after_the_files)
{
	_cleanup_(machine) struct machine m = { 0 }, present = { 0 };
	_cleanup_(plan) struct plan p = { 0 };
	struct device *disk = machine_add(&present, DEVICE_DISK, "vda");
	const struct plan_options options = { 0 };
	size_t restored = 0, fallback = 0, entry = 0;

	disk->identity.path = xstrdup("/dev/vda");
	disk->size = 8589934592;
	disk->sector_size = 512;
	CHECK_OK(machine_conf_parse("m", MACHINE ENTRY, &m, &e));
	CHECK_OK(plan_make(&m, &present, &options, &p, &e));
	for (size_t i = 0; i < p.step_count; i++) {
		const char *text = p.steps[i].text;

		if (streq(text, "restore efi.archive into /boot/efi"))
			restored = i;
		if (streq(text, "put /EFI/debian/shimx64.efi at /EFI/BOOT/BOOTX64.EFI on /dev/vda1 too, "
				"should none "
				"be there"))
			fallback = i;
		if (streq(text, "tell the firmware to boot 'debian': /EFI/debian/shimx64.efi on /dev/vda1"))
			entry = i;
	}
	CHECK(restored > 0 && restored < fallback && fallback < entry && entry < p.step_count - 1);
}

static void check_file(int fd, const char *path, const char *want)
{
	_cleanup_(free) char *text = NULL;

	CHECK_OK(read_file_at(fd, path, 100, &text, NULL, &e));
	CHECK_STR(text, want);
}

TEST(the_fallback_path)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(mkdir_parents_at(t.fd, "EFI/debian", 0755, &e));
	CHECK_OK(write_file_at(t.fd, "EFI/debian/shimx64.efi", 0644, "shim", 4, &e));
	CHECK_OK(write_file_at(t.fd, "EFI/debian/grubx64.efi", 0644, "grub", 4, &e));
	CHECK_OK(uefi_make_fallback(t.path, "x86_64", "/EFI/debian/shimx64.efi", &e));
	check_file(t.fd, "EFI/BOOT/BOOTX64.EFI", "shim");
	check_file(t.fd, "EFI/BOOT/grubx64.efi", "grub"); /* which the shim starts from beside itself */
	CHECK_OK(write_file_at(t.fd, "EFI/BOOT/BOOTX64.EFI", 0644, "own", 3, &e));
	CHECK_OK(uefi_make_fallback(t.path, "x86_64", "/EFI/debian/shimx64.efi", &e));
	check_file(t.fd, "EFI/BOOT/BOOTX64.EFI", "own");
	CHECK_OK(uefi_make_fallback(t.path, "sparc64", "/EFI/debian/shimx64.efi", &e));
}

TEST(a_loader_that_is_not_in_the_backup_is_told)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *want =
		xasprintf("%s: open EFI/debian/grubx64.efi: No such file or directory", t.path);

	CHECK_ERROR(uefi_make_fallback(t.path, "x86_64", "/EFI/debian/grubx64.efi", &e), want);
}

TAP_MAIN()
