/* GPT: disk GUID, partition GUIDs, types, names, attribute bits (UEFI specification, chapter 5). */
#include "machine/table.h"

#include "machine/text.h"

#include <errno.h>

enum { entries_size = 128 * 128 }; /* bytes of the partition entries that libfdisk writes */

static uint64_t gpt_first(const struct device *disk)
{
	/* protective MBR, header, entries */
	return disk->first_usable ? disk->first_usable : 2 * (uint64_t)disk->sector_size + entries_size;
}

/* The backup of entries and header closes the disk. */
static uint64_t gpt_end(uint64_t disk_size, uint32_t sector_size)
{
	uint64_t backup = sector_size + entries_size;

	return disk_size > backup ? disk_size - backup : 0;
}

static int gpt_read_disk(struct fdisk_context *context, struct device *to, struct error *e)
{
	struct fdisk_labelitem *item = fdisk_new_labelitem();
	uint64_t first = 0;
	int r = item ? fdisk_get_disklabel_item(context, GPT_LABELITEM_FIRSTLBA, item) : -ENOMEM;

	if (r == 0)
		r = fdisk_labelitem_get_data_u64(item, &first);
	if (item)
		fdisk_unref_labelitem(item);
	if (r != 0)
		return error_errno(e, r < 0 ? -r : EINVAL, "read the GPT header of %s", to->name);
	if (fdisk_gpt_is_hybrid(context))
		return error_text(e, EOPNOTSUPP, "%s: a hybrid of GPT and MBR cannot be rebuilt yet",
				  to->name);
	to->first_usable = first * to->sector_size;
	return 0;
}

static int gpt_read(struct fdisk_context *context, struct fdisk_partition *from, struct device *to,
		    struct error *e)
{
	struct fdisk_parttype *type = fdisk_partition_get_type(from);
	const char *uuid = fdisk_partition_get_uuid(from), *name = fdisk_partition_get_name(from);
	int r = fdisk_gpt_get_partition_attrs(context, fdisk_partition_get_partno(from), &to->attributes);

	if (r < 0)
		return error_errno(e, -r, "read the attributes of partition %s", to->name);
	if (!type || !fdisk_parttype_get_string(type) || !uuid)
		return error_text(e, EINVAL, "partition %s: no type or GUID", to->name);
	to->part_type = xstrdup(fdisk_parttype_get_string(type));
	to->part_uuid = xstrdup(uuid);
	if (name && *name)
		to->part_name = xstrdup(name);
	return 0;
}

static int gpt_write(struct fdisk_context *context, const struct device *from, struct fdisk_partition *to,
		     struct error *e)
{
	struct fdisk_parttype *type =
		fdisk_label_parse_parttype(fdisk_get_label(context, NULL), from->part_type);
	int r = type ? fdisk_partition_set_type(to, type) : -EINVAL;

	if (type)
		fdisk_unref_parttype(type);
	if (r == 0 && from->part_uuid)
		r = fdisk_partition_set_uuid(to, from->part_uuid);
	if (r == 0 && from->part_name)
		r = fdisk_partition_set_name(to, from->part_name);
	return r < 0 ? error_errno(e, -r, "describe partition %s", from->name) : 0;
}

static int gpt_finish(struct fdisk_context *context, const struct device *partition, struct error *e)
{
	int r = fdisk_gpt_set_partition_attrs(context, partition->number - 1, partition->attributes);

	return r < 0 ? error_errno(e, -r, "set the attributes of partition %s", partition->name) : 0;
}

const struct table_ops table_gpt = {
	.kind = TABLE_GPT,
	.name = "gpt",
	.label = "gpt",
	.last_number = 128,
	.id_expected = "a GUID",
	.type_expected = "a GUID",
	.check_id = check_uuid,
	.check_type = check_uuid,
	.first = gpt_first,
	.end = gpt_end,
	.read_disk = gpt_read_disk,
	.read = gpt_read,
	.write = gpt_write,
	.finish = gpt_finish,
};
