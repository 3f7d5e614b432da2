/* FAT: volume id, label, kind and cluster size; its files are archived. Layout: Microsoft's "FAT32 File
 * System Specification", the BIOS parameter block. */
#include "machine/fs.h"

#include "base/fs.h"
#include "base/proc.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

static const char *const types[] = { "vfat", NULL };

static int check_fat_bits(const char *value)
{
	return streq(value, "12") || streq(value, "16") || streq(value, "32") ? 0 : -EINVAL;
}

static int check_volume_id(const char *value)
{
	for (size_t i = 0; i < 9; i++)
		if (i == 4 ? value[i] != '-' : !isxdigit((unsigned char)value[i]))
			return -EINVAL;
	return value[9] ? -EINVAL : 0;
}

static const struct ini_key keys[] = {
	{ "fs.bits", "12, 16 or 32", check_fat_bits },
	{ "fs.cluster-sectors", "a number of sectors", check_number },
	{ NULL, NULL, NULL },
};

static int vfat_describe(const char *node, const char *folder, struct content *c, struct report *report,
			 struct error *e)
{
	struct __attribute__((packed)) {
		uint8_t jump[3], oem[8];
		uint16_t sector_size;
		uint8_t cluster_sectors;
		uint16_t reserved;
		uint8_t fats;
		uint16_t root_entries, sectors16;
		uint8_t media;
		uint16_t fat_sectors16, track, heads;
		uint32_t hidden, sectors32;
	} bpb;
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);
	struct statvfs fs;

	(void)report; /* nothing is lost */
	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	ssize_t n = pread_full(fd, &bpb, sizeof(bpb), 0);

	if (n != sizeof(bpb))
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", node);
	if (folder) {
		if (statvfs(folder, &fs) < 0)
			return error_errno(e, errno, "look at %s", folder);
		c->used = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
	}
	uint64_t sector = le16toh(bpb.sector_size), sectors = le16toh(bpb.sectors16);

	if (!sector || !bpb.cluster_sectors)
		return error_text(e, EINVAL, "%s: broken FAT boot sector", node);
	if (!sectors)
		sectors = le32toh(bpb.sectors32);
	uint64_t root_sectors = ((uint64_t)le16toh(bpb.root_entries) * 32 + sector - 1) / sector;
	uint64_t overhead =
		le16toh(bpb.reserved) + (uint64_t)bpb.fats * le16toh(bpb.fat_sectors16) + root_sectors;
	uint64_t clusters = sectors > overhead ? (sectors - overhead) / bpb.cluster_sectors : 0;

	/* FAT32 is known by its empty 16-bit table size; the other two by the number of clusters. */
	content_set_number(c, "bits", bpb.fat_sectors16 == 0 ? 32 : clusters < 4085 ? 12 : 16);
	content_set_number(c, "cluster-sectors", bpb.cluster_sectors);
	return 0;
}

static uint64_t vfat_zero(const struct content *c)
{
	(void)c; /* takes what it gets, and is not shrunk */
	return 0;
}

static uint64_t vfat_block_size(const struct content *c)
{
	(void)c; /* made for the sectors of the disk */
	return UINT64_MAX;
}

static int vfat_make(const char *node, const struct content *c, struct error *e)
{
	const char *bits = key_values_get(&c->parameters, "bits");
	const char *cluster = key_values_get(&c->parameters, "cluster-sectors");
	_cleanup_(strlist) struct strlist argv = { 0 };
	_cleanup_(free) char *greeting = NULL;

	strlist_add(&argv, "mkfs.vfat");
	if (bits) {
		strlist_add(&argv, "-F");
		strlist_add(&argv, bits);
	}
	if (cluster) {
		strlist_add(&argv, "-s");
		strlist_add(&argv, cluster);
	}
	if (c->uuid) {
		strlist_add(&argv, "-i");
		strlist_addf(&argv, "%.4s%s", c->uuid, c->uuid + 5);
	}
	if (c->label) {
		strlist_add(&argv, "-n");
		strlist_add(&argv, c->label);
	}
	strlist_add(&argv, node);
	/* its greeting would come last, behind the reason of a failure */
	return proc_capture((const char *const *)argv.items, NULL, &greeting, e);
}

const struct fs_ops fs_vfat = {
	.types = types,
	.kind = CONTENT_FILESYSTEM,
	.mount_type = "vfat",
	.method = "archive",
	.keys = keys,
	.check_uuid = check_volume_id,
	.uuid_expected = "XXXX-XXXX in hexadecimal digits",
	.describe = vfat_describe,
	.minimum = vfat_zero,
	.size = vfat_zero,
	.block_size = vfat_block_size,
	.make = vfat_make,
};
