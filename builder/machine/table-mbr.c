/* MBR: disk signature, types, active flags, logical partitions in an extended one. */
#include "machine/table.h"

#include <ctype.h>
#include <errno.h>

/* "0x" and exactly `digits` hexadecimal ones. */
static int check_hex(const char *value, size_t digits)
{
	const char *p = str_after(value, "0x");

	if (!p || strlen(p) != digits)
		return -EINVAL;
	for (; *p; p++)
		if (!isxdigit((unsigned char)*p))
			return -EINVAL;
	return 0;
}

static int mbr_check_id(const char *id)
{
	return check_hex(id, 8);
}

static int mbr_check_type(const char *type)
{
	return check_hex(type, 2);
}

static uint64_t mbr_first(const struct device *disk)
{
	return disk->sector_size;
}

/* Sector numbers have 32 bits. */
static uint64_t mbr_end(uint64_t disk_size, uint32_t sector_size)
{
	uint64_t most = (uint64_t)UINT32_MAX * sector_size;

	return disk_size < most ? disk_size : most;
}

static int mbr_read(struct fdisk_context *context, struct fdisk_partition *from, struct device *to,
		    struct error *e)
{
	struct fdisk_parttype *type = fdisk_partition_get_type(from);

	(void)context; /* all is in the partition */
	if (!type)
		return error_text(e, EINVAL, "partition %s: no type", to->name);
	to->part_type = xasprintf("0x%02x", fdisk_parttype_get_code(type));
	to->active = fdisk_partition_is_bootable(from) == 1;
	if (fdisk_partition_is_container(from))
		to->content.kind = CONTENT_EXTENDED;
	return 0;
}

static int mbr_write(struct fdisk_context *context, const struct device *from, struct fdisk_partition *to,
		     struct error *e)
{
	unsigned code = (unsigned)strtoul(from->part_type, NULL, 16);
	struct fdisk_parttype *type =
		fdisk_label_get_parttype_from_code(fdisk_get_label(context, NULL), code);

	if (!type)
		type = fdisk_new_unknown_parttype(code, NULL);
	int r = type ? fdisk_partition_set_type(to, type) : -ENOMEM;

	if (type)
		fdisk_unref_parttype(type);
	return r < 0 ? error_errno(e, -r, "describe partition %s", from->name) : 0;
}

static int mbr_finish(struct fdisk_context *context, const struct device *partition, struct error *e)
{
	if (!partition->active)
		return 0;
	int r = fdisk_toggle_partition_flag(context, partition->number - 1, DOS_FLAG_ACTIVE);

	return r < 0 ? error_errno(e, -r, "make partition %s the active one", partition->name) : 0;
}

const struct table_ops table_mbr = {
	.kind = TABLE_MBR,
	.name = "mbr",
	.label = "dos",
	.last_number = 60, /* libfdisk's limit */
	.id_expected = "0x and eight hexadecimal digits",
	.type_expected = "0x and two hexadecimal digits",
	.check_id = mbr_check_id,
	.check_type = mbr_check_type,
	.first = mbr_first,
	.end = mbr_end,
	.read = mbr_read,
	.write = mbr_write,
	.finish = mbr_finish,
};
