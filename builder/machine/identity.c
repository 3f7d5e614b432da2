#include "machine/identity.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

enum { max_attribute = 4096 };

/* An attribute's text without outer blanks; NULL when it is not there or empty. The caller frees. */
static char *attribute(int block_fd, const char *disk, const char *name)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", disk, name);
	_cleanup_(free) char *raw = NULL;
	struct error ignored; /* many disks lack many attributes */

	if (read_file_at(block_fd, path, max_attribute, &raw, NULL, &ignored) < 0)
		return NULL;
	char *text = str_strip(raw);

	return *text ? xstrdup(text) : NULL;
}

static uint64_t attribute_number(int block_fd, const char *disk, const char *name)
{
	_cleanup_(free) char *text = attribute(block_fd, disk, name);
	uint64_t v = 0;

	return text && parse_u64(text, &v) == 0 ? v : 0;
}

bool is_disk(int block_fd, const char *name)
{
	/* no disks, or made of some */
	static const char *const others[] = { "loop", "ram", "zram",     "sr",     "fd", "dm-",
					      "md",   "nbd", "mtdblock", "bcache", "zd", "drbd" };

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (str_after(name, others[i]))
			return false;
	if (str_after(name, "mmcblk") && (strstr(name, "boot") || strstr(name, "rpmb")))
		return false;
	return *name != '.' && attribute_number(block_fd, name, "size") > 0;
}

/* What the device's path in sysfs goes through, most telling first. */
static const struct {
	const char *part, *bus;
} buses[] = {
	{ "/usb", "usb" },   { "/ata", "sata" },      { "/nvme", "nvme" }, { "/mmc_host", "mmc" },
	{ "/host", "scsi" }, { "/virtio", "virtio" }, { "/vbd-", "xen" },
};

static char *find_bus(int block_fd, const char *disk)
{
	char path[4096];
	ssize_t n = readlinkat(block_fd, disk, path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	for (size_t i = 0; i < sizeof(buses) / sizeof(*buses); i++)
		if (strstr(path, buses[i].part))
			return xstrdup(buses[i].bus);
	return NULL;
}

/* What says nothing of which disk it is: the same in every virtual machine, in every cheap bridge, or where a
 * driver prints a text that it has not (User-Mode Linux's ubd). */
static const char *const fillers[] = { "QM000", "VMware NVME_0000", "0123456789", "1234567890", "(null)" };

/* A serial number as text: printable, and not a filler. */
static char *clean_serial(const char *data, size_t len)
{
	_cleanup_(free) char *text = xcalloc(len + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < len && data[i]; i++)
		if (data[i] >= ' ' && data[i] < 0x7f)
			text[n++] = data[i];
	char *stripped = str_strip(text);

	for (size_t i = 0; i < sizeof(fillers) / sizeof(*fillers); i++)
		if (str_after(stripped, fillers[i]))
			return NULL;
	return stripped[strspn(stripped, "0 ")] ? xstrdup(stripped) : NULL;
}

/* Page 0x80, "unit serial number", of SCSI's vital product data (SPC-4, 7.8.15): four bytes of header, the
 * last two the length, then text. */
static char *serial_of_page(const unsigned char *page, size_t len)
{
	if (len < 4 || page[1] != 0x80)
		return NULL;
	size_t n = (size_t)page[2] << 8 | page[3];

	return clean_serial((const char *)page + 4, n < len - 4 ? n : len - 4);
}

static char *serial_by_sysfs_page(int block_fd, const char *disk)
{
	_cleanup_(free) char *path = xasprintf("%s/device/vpd_pg80", disk), *page = NULL;
	struct error ignored; /* not every disk has it */
	size_t len;

	if (read_file_at(block_fd, path, max_attribute, &page, &len, &ignored) < 0)
		return NULL;
	return serial_of_page((const unsigned char *)page, len);
}

/* INQUIRY for page 0x80 through SG_IO (the kernel's include/scsi/sg.h); ATA disks answer it too. */
static char *serial_by_inquiry(const char *node)
{
	unsigned char command[6] = { 0x12, 0x01, 0x80, 0, 252, 0 }, page[252] = { 0 }, sense[32];
	struct sg_io_hdr io = {
		.interface_id = 'S',
		.dxfer_direction = SG_DXFER_FROM_DEV,
		.cmd_len = sizeof(command),
		.cmdp = command,
		.dxfer_len = sizeof(page),
		.dxferp = page,
		.mx_sb_len = sizeof(sense),
		.sbp = sense,
		.timeout = 5000, /* ms */
	};
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, SG_IO, &io) < 0 || (io.info & SG_INFO_OK_MASK) != SG_INFO_OK)
		return NULL;
	return serial_of_page(page, sizeof(page));
}

/* What udev has stored for a device: lines "E:NAME=VALUE". */
static char *udev_property(dev_t devno, const char *name)
{
	_cleanup_(free) char *path = xasprintf("/run/udev/data/b%u:%u", major(devno), minor(devno));
	_cleanup_(free) char *start = xasprintf("E:%s=", name), *text = NULL;
	struct error ignored; /* there need not be a udev */

	if (read_file_at(AT_FDCWD, path, 1 << 20, &text, NULL, &ignored) < 0)
		return NULL;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		const char *value = str_after(line, start);

		if (value)
			return clean_serial(value, strlen(value));
	}
	return NULL;
}

static char *find_serial(int block_fd, const struct device *disk)
{
	static const char *const attributes[] = { "serial", "device/serial" }; /* virtio; nvme and mmc */

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		_cleanup_(free) char *text = attribute(block_fd, disk->name, attributes[i]);
		char *serial = text ? clean_serial(text, strlen(text)) : NULL;

		if (serial)
			return serial;
	}
	char *serial = serial_by_sysfs_page(block_fd, disk->name);

	if (!serial)
		serial = serial_by_inquiry(disk->identity.path);
	if (!serial)
		serial = udev_property(disk->now.devno, "ID_SERIAL_SHORT");
	return serial;
}

/* Only names that are unique in the world: the "t10." ones of virtual disks repeat. */
static char *find_wwn(int block_fd, const struct device *disk)
{
	static const char *const attributes[] = { "wwid", "device/wwid" };
	static const char *const unique[] = { "naa.", "eui.", "uuid." };

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		_cleanup_(free) char *text = attribute(block_fd, disk->name, attributes[i]);

		for (size_t k = 0; text && k < sizeof(unique) / sizeof(*unique); k++)
			if (str_after(text, unique[k]))
				return TAKE_PTR(text);
	}
	return udev_property(disk->now.devno, "ID_WWN_WITH_EXTENSION");
}

static char *find_model(int block_fd, const char *disk)
{
	char *model = attribute(block_fd, disk, "device/model");

	return model ? model : attribute(block_fd, disk, "device/name"); /* mmc */
}

int identify_disk(int block_fd, struct device *disk, struct error *e)
{
	struct disk_identity *id = &disk->identity;
	_cleanup_(free) char *dev = attribute(block_fd, disk->name, "dev");
	unsigned major_number, minor_number;

	if (!dev || sscanf(dev, "%u:%u", &major_number, &minor_number) != 2)
		return error_text(e, ENODEV, "read the device number of %s: not in /sys/block", disk->name);
	disk->now.devno = makedev(major_number, minor_number);
	disk->size = attribute_number(block_fd, disk->name, "size") * 512; /* always, see sysfs-block */
	disk->sector_size = (uint32_t)attribute_number(block_fd, disk->name, "queue/logical_block_size");
	if (disk->sector_size == 0)
		disk->sector_size = 512;
	id->path = xasprintf("/dev/%s", disk->name);
	id->removable = attribute_number(block_fd, disk->name, "removable") != 0;
	id->read_only = attribute_number(block_fd, disk->name, "ro") != 0;
	id->model = find_model(block_fd, disk->name);
	id->bus = find_bus(block_fd, disk->name);
	id->serial = find_serial(block_fd, disk);
	id->wwn = find_wwn(block_fd, disk);
	return 0;
}
