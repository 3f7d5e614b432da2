#include "guest/disk.h"

#include "base/fs.h"
#include "guest/guest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static const struct {
	const char *name;
	enum disk_bus bus;
} buses[] = {
	{ "virtio", BUS_VIRTIO },
	{ "sata", BUS_SATA },
	{ "nvme", BUS_NVME },
	{ "usb", BUS_USB },
};

enum { SERIAL_MAX = 20 }; /* ATA8-ACS and virtio-blk: 20 bytes; NVMe: 20; USB carries more */

static int parse_bus(const char *text, const char *value, struct guest_disk *disk, struct error *e)
{
	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		if (streq(value, buses[i].name)) {
			disk->bus = buses[i].bus;
			return 0;
		}
	return error_text(e, EINVAL, "disk '%s': unknown bus '%s'; expected virtio, sata, nvme or usb", text,
			  value);
}

static int parse_serial(const char *text, const char *value, struct guest_disk *disk, struct error *e)
{
	bool good = *value && strlen(value) <= SERIAL_MAX;

	for (const char *p = value; *p && good; p++)
		good = isalnum((unsigned char)*p) || strchr("-_.", *p);
	if (!good)
		return error_text(
			e, EINVAL,
			"disk '%s': bad serial '%s'; expected 1 to %d letters, digits, '-', '_' or '.'", text,
			value, SERIAL_MAX);
	free(disk->serial);
	disk->serial = xstrdup(value);
	return 0;
}

static int parse_sector(const char *text, const char *value, struct guest_disk *disk, struct error *e)
{
	uint64_t bytes;

	if (parse_u64(value, &bytes) < 0 || (bytes != 512 && bytes != 4096))
		return error_text(e, EINVAL, "disk '%s': bad sector size '%s'; expected 512 or 4096", text,
				  value);
	disk->sector_size = (unsigned)bytes;
	return 0;
}

static int parse_option(const char *text, const char *option, struct guest_disk *disk, struct error *e)
{
	const char *value;

	if (streq(option, "rw")) {
		disk->writable = true;
		return 0;
	}
	if ((value = str_after(option, "cow=")) && *value) {
		free(disk->cow);
		disk->cow = xstrdup(value);
		return 0;
	}
	if ((value = str_after(option, "if=")))
		return parse_bus(text, value, disk, e);
	if ((value = str_after(option, "sector=")))
		return parse_sector(text, value, disk, e);
	if ((value = str_after(option, "serial=")))
		return parse_serial(text, value, disk, e);
	return error_text(
		e, EINVAL,
		"disk '%s': unknown option '%s'; expected if=BUS, serial=TEXT, sector=BYTES, rw or cow=FILE",
		text, option);
}

/* Lent exclusively, the kernel refuses what is mounted or in use otherwise. The guest's own program asks for no
 * such thing, and would write to it. */
static int hold(struct guest_disk *disk, struct error *e)
{
	disk->held = open(disk->file, O_RDWR | O_EXCL | O_CLOEXEC);
	if (disk->held >= 0)
		return 0;
	return errno == EBUSY ? error_text(e, EBUSY,
					   "the guest's disk %s is in use here: unmount it first, or "
					   "leave out 'rw'",
					   disk->file)
			      : error_errno(e, errno, "open the guest's disk %s", disk->file);
}

/* qcow2 begins with "QFI\xfb" (QEMU's docs/interop/qcow2.txt). */
static int look_at(struct guest_disk *disk, struct error *e)
{
	static const char qcow2_magic[4] = { 'Q', 'F', 'I', '\xfb' };
	_cleanup_(fd) int fd = open(disk->file, (disk->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
	char magic[4];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "open the guest's disk %s", disk->file);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_text(e, EINVAL, "the guest's disk %s is neither a file nor a block device",
				  disk->file);
	ssize_t n = read_full(fd, magic, sizeof(magic));

	if (n < 0)
		return error_errno(e, (int)-n, "read the guest's disk %s", disk->file);
	disk->qcow2 = n == (ssize_t)sizeof(magic) && memcmp(magic, qcow2_magic, sizeof(magic)) == 0;
	return disk->writable && S_ISBLK(st.st_mode) ? hold(disk, e) : 0;
}

static int parse_disk(const char *text, struct guest_disk *disk, struct error *e)
{
	_cleanup_(free) char *copy = xstrdup(text);
	char *rest = copy;
	const char *file = strsep(&rest, ","), *option;

	if (!*file)
		return error_text(e, EINVAL, "disk '%s': no file; expected FILE[,OPTION…]", text);
	disk->file = xstrdup(file);
	while ((option = strsep(&rest, ","))) {
		int r = parse_option(text, option, disk, e);

		if (r < 0)
			return r;
	}
	if (disk->cow && disk->writable)
		return error_text(e, EINVAL, "disk '%s': rw and cow exclude each other", text);
	return look_at(disk, e);
}

int guest_disks_parse(const struct strlist *texts, struct guest_disks *ret, struct error *e)
{
	_cleanup_(guest_disks) struct guest_disks disks = { 0 };

	for (size_t i = 0; i < texts->count; i++) {
		disks.items = xgrow(disks.items, i + 1, &disks.capacity, sizeof(disks.items[0]));
		disks.items[i] = (struct guest_disk) { .held = -1 };
		disks.count = i + 1;
		int r = parse_disk(texts->items[i], &disks.items[i], e);

		if (r < 0)
			return r;
	}
	*ret = disks;
	disks = (struct guest_disks) { 0 };
	return 0;
}

void guest_disks_free(struct guest_disks *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->items[i].held >= 0)
			(void)close(d->items[i].held); /* nothing was written to it here */
		free(d->items[i].file);
		free(d->items[i].serial);
		free(d->items[i].cow);
	}
	free(d->items);
	*d = (struct guest_disks) { 0 };
}

/* An ISO 9660 file system says CD001 in its first volume descriptor (ECMA-119, 8.1), at sector 16. */
int guest_medium_is_cd(const char *path, bool *ret, struct error *e)
{
	static const off_t id_offset = 16 * 2048 + 1;
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char id[5];

	if (fd < 0)
		return error_errno(e, errno, "boot %s", path);
	ssize_t n = pread_full(fd, id, sizeof(id), id_offset);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", path);
	*ret = n == (ssize_t)sizeof(id) && memcmp(id, "CD001", sizeof(id)) == 0;
	return 0;
}
