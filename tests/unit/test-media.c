/* Media: the boot prompt's text, the MBR, room, and sticks that are equal byte by byte. */
#include "tap.h"

#include "base/fs.h"
#include "base/proc.h"
#include "media/content.h"
#include "media/fat.h"
#include "media/mbr.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct strlist consoles_of(const char *words)
{
	struct strlist l = { 0 };

	strlist_add_words(&l, words);
	return l;
}

TEST(conf_offers_the_console_first)
{
	struct recovery_conf conf = { .consoles = consoles_of("tty0 ttyS0,115200"),
				      .menu_timeout = (char *)"5" };
	struct medium_request request = { .conf = &conf, .hostname = "mars", .kernel_version = "6.1.0-1" };
	_cleanup_(free) char *text = media_syslinux_conf(&request, MEDIA_BIOS);
	_cleanup_(free) char *shown = media_boot_message(&request, MEDIA_UEFI);

	CHECK_STR(text, "SERIAL 0 115200\n"
			"DEFAULT rescue\n"
			"DISPLAY boot.msg\n"
			"PROMPT 1\n"
			"TIMEOUT 50\n"
			"TOTALTIMEOUT 6000\n"
			"\n"
			"LABEL rescue\n"
			"\tLINUX /vmlinuz\n"
			"\tINITRD /initrd.img\n"
			"\tAPPEND console=tty0 console=ttyS0,115200 quiet\n"
			"\n"
			"LABEL verbose\n"
			"\tLINUX /vmlinuz\n"
			"\tINITRD /initrd.img\n"
			"\tAPPEND console=tty0 console=ttyS0,115200 loglevel=7 ignore_loglevel\n");
	CHECK_STR(shown, "\r\nLifeboat: rescue medium of mars, Linux 6.1.0-1\r\n"
			 "'rescue' starts in 5 seconds, or type 'verbose'\r\n");
	strlist_free(&conf.consoles);
}

TEST(conf_recovers_by_itself_only_when_told)
{
	struct recovery_conf conf = { .consoles = consoles_of("ttyS1,9600n8"),
				      .menu_timeout = (char *)"3600",
				      .unattended = true };
	struct medium_request request = { .conf = &conf, .hostname = "mars" };
	_cleanup_(free) char *bios = media_syslinux_conf(&request, MEDIA_BIOS);
	_cleanup_(free) char *uefi = media_syslinux_conf(&request, MEDIA_UEFI);
	_cleanup_(free) char *readme = media_readme(&request, 0);

	CHECK(strstr(bios, "SERIAL 1 9600\nDEFAULT unattended\n") == bios);
	CHECK(strstr(bios, "APPEND console=ttyS1,9600n8 quiet lifeboat.recover=unattended\n"));
	CHECK(strstr(bios, "\nTIMEOUT 35990\n"));
	CHECK(!strstr(bios, "TOTALTIMEOUT"));
	CHECK(strstr(uefi, "DEFAULT unattended\n") == uefi);
	CHECK(!strstr(uefi, "SERIAL"));
	CHECK(strstr(readme, "recovers BY ITSELF"));
	conf.unattended = false;
	free(bios);
	bios = media_syslinux_conf(&request, MEDIA_BIOS);
	CHECK(!strstr(bios, "unattended"));
	/* What the initrd itself needs. */
	request.parameters = "root=/dev/ram0";
	free(bios);
	bios = media_syslinux_conf(&request, MEDIA_BIOS);
	CHECK(strstr(bios, "APPEND console=ttyS1,9600n8 root=/dev/ram0 quiet\n"));
	strlist_free(&conf.consoles);
}

/* SYSLINUX would wait for ever at TIMEOUT 0. */
TEST(conf_without_waiting_has_no_prompt)
{
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"0" };
	struct medium_request request = { .conf = &conf, .hostname = "mars" };
	_cleanup_(free) char *text = media_syslinux_conf(&request, MEDIA_BIOS);

	CHECK(strstr(text, "DEFAULT rescue\nPROMPT 0\n\nLABEL") == text);
	strlist_free(&conf.consoles);
}

TEST(names_cannot_break_the_screen)
{
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"5" };
	struct medium_request request = { .conf = &conf, .hostname = "ma\nrs\033[2J\xc3\xa4" };
	_cleanup_(free) char *shown = media_boot_message(&request, MEDIA_BIOS);

	CHECK(strstr(shown, "rescue medium of ma?rs?[2J??\r\n"));
	strlist_free(&conf.consoles);
}

TEST(the_medium_says_how_much_ram_it_needs)
{
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"5" };
	struct medium_request request = { .conf = &conf, .hostname = "mars", .ram_needed = 235 << 20 };

	for (enum media_firmware f = MEDIA_BIOS; f <= MEDIA_UEFI; f++) {
		_cleanup_(free) char *shown = media_boot_message(&request, f);

		CHECK(strstr(shown, "Lifeboat: rescue medium of mars\r\nIt needs 235.0 MiB of RAM\r\n"));
	}
	_cleanup_(free) char *readme = media_readme(&request, 0);

	CHECK(strstr(readme, "\r\nRAM      235.0 MiB or more\r\n"));
	request.ram_needed = 0;
	_cleanup_(free) char *unknown = media_readme(&request, 0);

	CHECK(!strstr(unknown, "RAM"));
	strlist_free(&conf.consoles);
}

TEST(mbr_bytes)
{
	uint8_t code[MBR_CODE_SIZE], mbr[MBR_SIZE];
	static const uint8_t entry[] = { 0x80, 32, 33, 0, 0x0e, 42, 40, 2, 0, 8, 0, 0, 0, 0x80, 0, 0 };

	memset(code, 0x90, sizeof(code));
	mbr_make(code, 0x12345678, MBR_TYPE_FAT16, 2048, 32768, mbr);
	CHECK(memcmp(mbr, code, sizeof(code)) == 0);
	CHECK(memcmp(mbr + 440, "\x78\x56\x34\x12\0\0", 6) == 0);
	CHECK(memcmp(mbr + 446, entry, sizeof(entry)) == 0);
	CHECK(mbr[462] == 0 && mbr[509] == 0);
	CHECK(mbr[510] == 0x55 && mbr[511] == 0xaa);
	/* beyond cylinder 1023 */
	mbr_make(code, 1, MBR_TYPE_FAT32, 2048, 1 << 26, mbr);
	CHECK(memcmp(mbr + 451, "\xfe\xff\xff", 3) == 0);
}

/* FAT16 up to some 250 MiB, FAT32 above; both with a number of clusters that nobody mistakes. */
TEST(fat_layout_is_never_ambiguous)
{
	struct error e = { 0 };
	struct content_file file = { .name = (char *)"x", .reader = CONTENT_DATA };
	struct content c = { .files = &file, .count = 1 };
	struct fat_layout l;

	for (uint64_t mib = 0; mib < 1200; mib += mib < 240 || mib > 280 ? 17 : 1) {
		file.size = mib << 20;
		CHECK_OK(fat_plan(&c, CONTENT_DATA, &l, &e));
		uint64_t data = l.sectors - l.reserved - 2 * (uint64_t)l.fat - l.root;

		CHECK(data / 8 * 4096 >= file.size + (512 << 10));
		CHECK(l.fat32 ? data / 8 > 65600 : data / 8 > 4200 && data / 8 < 65400);
		CHECK((uint64_t)l.fat * 512 >= (data / 8 + 2) * (l.fat32 ? 4 : 2));
		CHECK_INT((l.reserved + 2 * l.fat + l.root) % 4, 0);
		CHECK_INT(l.sectors % 2048, 0);
	}
	file.size = 5ULL << 30;
	CHECK_ERROR(fat_plan(&c, CONTENT_DATA, &l, &e), "x: FAT holds no file of 4 GiB");
}

/* An image folder with `size` bytes of initrd. */
static void make_image(const struct tempdir *t, size_t size, struct error *e)
{
	_cleanup_(free) char *data = xmalloc(size);

	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 2654435761U >> 13);
	CHECK_INT(write_file_at(t->fd, "vmlinuz", 0644, data, size / 2, e), 0);
	CHECK_INT(write_file_at(t->fd, "initrd.img", 0644, data, size, e), 0);
}

static char *make_stick(const struct medium_request *request, const char *name, size_t *ret_len)
{
	struct error e = { 0 };
	struct report report;
	_cleanup_(free) char *path = xasprintf("%s/%s", request->image_dir, name);
	char *data;
	uint64_t size;

	report_init(&report, VERBOSITY_QUIET, false);
	CHECK_OK(usb_write_file(request, path, &size, &report, &e));
	CHECK_OK(read_file_at(AT_FDCWD, path, 1 << 30, &data, ret_len, &e));
	CHECK_INT(size, *ret_len);
	return data;
}

static void check_equal(const char *one, const char *other, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (one[i] != other[i])
			TAP_FAIL("they differ at byte %zu: %02x, %02x", i, (unsigned char)one[i],
				 (unsigned char)other[i]);
}

TEST(sticks_of_one_image_are_equal)
{
	struct error e = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"5" };
	size_t len, other_len;

	CHECK_OK(tempdir_make(&t, &e));
	make_image(&t, 3 << 20, &e);
	struct medium_request request = { .conf = &conf, .image_dir = t.path, .hostname = "mars" };

	CHECK_INT(setenv("SOURCE_DATE_EPOCH", "1700000000", 1), 0);
	CHECK_INT(setenv("TZ", "Asia/Tokyo", 1), 0);
	_cleanup_(free) char *one = make_stick(&request, "one", &len);

	sleep(2); /* FAT's clock ticks every two seconds */
	CHECK_INT(setenv("TZ", "America/Lima", 1), 0);
	_cleanup_(free) char *other = make_stick(&request, "a name with @@ and ' in it", &other_len);

	CHECK_INT(other_len, len);
	check_equal(one, other, len);
	CHECK_INT(setenv("SOURCE_DATE_EPOCH", "1700000002", 1), 0);
	_cleanup_(free) char *later = make_stick(&request, "later", &other_len);

	CHECK(memcmp(one, later, len) != 0);
	strlist_free(&conf.consoles);
}

static int count_entries(const struct tempdir *t)
{
	DIR *d = opendir(t->path);
	int count = -2; /* "." and ".." */

	CHECK(d != NULL);
	while (readdir(d))
		count++;
	CHECK_INT(closedir(d), 0);
	return count;
}

TEST(a_stick_is_whole_or_absent)
{
	struct error e = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"5" };
	struct report report;
	uint64_t size;
	struct stat st;

	CHECK_OK(tempdir_make(&t, &e));
	struct medium_request request = { .conf = &conf, .image_dir = t.path, .hostname = "mars" };
	_cleanup_(free) char *path = xasprintf("%s/stick", t.path);
	_cleanup_(free) char *message = xasprintf(
		"open %s/vmlinuz: No such file or directory (it comes from 'lifeboat build')", t.path);

	report_init(&report, VERBOSITY_QUIET, false);
	CHECK_ERROR(usb_write_file(&request, path, &size, &report, &e), message);
	make_image(&t, 1 << 20, &e);
	request.secret = true;
	CHECK_INT(setenv("SOURCE_DATE_EPOCH", "yesterday", 1), 0);
	CHECK_ERROR(usb_write_file(&request, path, &size, &report, &e),
		    "SOURCE_DATE_EPOCH=yesterday: expected seconds since 1970");
	CHECK_INT(unsetenv("SOURCE_DATE_EPOCH"), 0);
	/* half-way, syslinux finds no mtools */
	_cleanup_(free) char *search = xstrdup(getenv("PATH"));

	CHECK_INT(setenv("PATH", "/nonexistent", 1), 0);
	CHECK_INT(usb_write_file(&request, path, &size, &report, &e), -EIO);
	CHECK_INT(setenv("PATH", search, 1), 0);
	CHECK_INT(count_entries(&t), 2);
	CHECK_OK(usb_write_file(&request, path, &size, &report, &e));
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	strlist_free(&conf.consoles);
}

/* Whatever its FAT, a file is found where the FAT has it, on a boundary of CD sectors. */
static void locate_in(uint64_t ballast)
{
	struct error e = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"5" };
	_cleanup_(content) struct content c = CONTENT_NONE;
	struct fat_layout l;
	uint64_t at;

	CHECK_OK(tempdir_make(&t, &e));
	make_image(&t, 3 << 20, &e);
	struct medium_request request = { .conf = &conf, .image_dir = t.path, .hostname = "mars" };

	CHECK_OK(content_collect(&request, CONTENT_UEFI, &c, &e));
	c.files[0].size += ballast;
	CHECK_OK(fat_plan(&c, CONTENT_DATA | CONTENT_UEFI, &l, &e));
	c.files[0].size -= ballast;
	CHECK_INT(l.fat32, ballast != 0);
	_cleanup_(fd) int fd = openat(t.fd, "fat", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)l.sectors * 512) == 0);
	CHECK_OK(fat_make(fd, 0, 0, &l, &c, CONTENT_DATA | CONTENT_UEFI, &e));
	CHECK_OK(fat_locate(fd, 0, &l, content_find(&c, "initrd.img"), &at, &e));
	CHECK_INT(at % 2048, 0);
	CHECK(pwrite(fd, "flip", 4, (off_t)at + 12345) == 4);
	CHECK_ERROR(fat_locate(fd, 0, &l, content_find(&c, "initrd.img"), &at, &e),
		    "initrd.img: not where its FAT says it is");
	strlist_free(&conf.consoles);
}

/* What libarchive finds under `name`; NULL when it is not there. */
static char *read_from_iso(const char *iso, const char *name, size_t *ret_len)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	char *data = NULL;

	CHECK_INT(archive_read_support_format_iso9660(a), ARCHIVE_OK);
	CHECK_INT(archive_read_open_filename(a, iso, 65536), ARCHIVE_OK);
	while (!data && archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *base = strrchr(archive_entry_pathname(entry), '/');

		if (strcmp(base ? base + 1 : archive_entry_pathname(entry), name) != 0)
			continue;
		*ret_len = (size_t)archive_entry_size(entry);
		data = xmalloc(*ret_len);
		CHECK_INT(archive_read_data(a, data, *ret_len), *ret_len);
	}
	CHECK_INT(archive_read_free(a), ARCHIVE_OK);
	return data;
}

static char *make_iso(const struct medium_request *request, const char *path, size_t *ret_len)
{
	struct error e = { 0 };
	struct report report;
	uint64_t size = 0;
	char *data;

	report_init(&report, VERBOSITY_QUIET, false);
	CHECK_OK(iso_write_file(request, path, &size, &report, &e));
	CHECK_OK(read_file_at(AT_FDCWD, path, 1 << 30, &data, ret_len, &e));
	CHECK_INT(size, *ret_len);
	return data;
}

/* Kernel and initrd are in the FAT only, yet the ISO has them too. Whether the FAT is small or too
 * large for El Torito's 16 bits. */
static void check_iso(size_t initrd_size, unsigned boot_sectors)
{
	struct error e = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	struct recovery_conf conf = { .consoles = consoles_of("tty0"), .menu_timeout = (char *)"5" };
	size_t len, other_len, file_len = 0, wanted_len;

	CHECK_OK(tempdir_make(&t, &e));
	make_image(&t, initrd_size, &e);
	struct medium_request request = { .conf = &conf, .image_dir = t.path, .hostname = "mars" };
	_cleanup_(free) char *path = xasprintf("%s/a b@@c.iso", t.path);

	CHECK_INT(setenv("TZ", "Asia/Tokyo", 1), 0);
	_cleanup_(free) char *one = make_iso(&request, path, &len);

	if (!boot_sectors)
		sleep(1); /* the clock of its volume descriptor */
	CHECK_INT(setenv("TZ", "America/Lima", 1), 0);
	_cleanup_(free) char *other = make_iso(&request, path, &other_len);

	CHECK_INT(other_len, len);
	check_equal(one, other, len);
	CHECK_INT(count_entries(&t), 3);
	CHECK(len < initrd_size * 3 / 2 + (22 << 20));
	for (const char *const *name = (const char *const[]) { "vmlinuz", "initrd.img", NULL }; *name;
	     name++) {
		_cleanup_(free) char *file = read_from_iso(path, *name, &file_len);
		_cleanup_(free) char *wanted = NULL;

		CHECK_OK(read_file_at(t.fd, *name, 1 << 30, &wanted, &wanted_len, &e));
		CHECK_INT(file_len, wanted_len);
		CHECK(memcmp(file, wanted, wanted_len) == 0);
	}
	/* the active ISO and the UEFI partition in the MBR; the UEFI entry of the boot catalog */
	uint32_t catalog;

	memcpy(&catalog, one + 17 * 2048 + 0x47, sizeof(catalog));
	const unsigned char *entry = (unsigned char *)one + (size_t)le32toh(catalog) * 2048 + 96;

	CHECK_INT((unsigned char)one[446], 0x80);
	CHECK_INT((unsigned char)one[446 + 16 + 4], 0xef);
	CHECK_INT(entry[0], 0x88);
	if (boot_sectors)
		CHECK_INT(entry[6] | entry[7] << 8, boot_sectors);
	strlist_free(&conf.consoles);
}

TEST(iso_holds_everything_once)
{
	check_iso(3 << 20, 0);
}

TEST(iso_may_be_large)
{
	check_iso(40 << 20, 1);
}

TEST(files_are_found_in_fat16)
{
	locate_in(0);
}

TEST(files_are_found_in_fat32)
{
	locate_in(300 << 20);
}

TAP_MAIN()
