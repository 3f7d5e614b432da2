#include "machine/minimum.h"

#include "base/number.h"
#include "machine/btrfs_profile.h"
#include "machine/fs.h"
#include "machine/layer.h"
#include "machine/layout.h"

static uint64_t raid_member_minimum(const struct machine *m, const struct device *raid)
{
	uint64_t unit = raid->raid.chunk > 65536 ? raid->raid.chunk : 65536;
	unsigned members, copies;

	raid_shape(raid, &members, &copies);
	uint64_t share = (uint64_t)((unsigned __int128)device_minimum(m, raid) * copies / members) + unit;

	return round_up(share, unit) + raid->raid.overhead;
}

/* Not what lies on several devices in a pattern; nor pools and what is in them: how much of a pool is used is no matter
 * of its volumes' sizes. */
uint64_t volume_spare(const struct machine *m, const struct device *d)
{
	uint64_t extent = d->below[0]->group.extent_size;

	return streq(d->volume.type, "linear") ? (d->size - device_minimum(m, d)) / extent * extent : 0;
}

/* Where every volume lies on which device is LVM's choice, as long as one device is as good as the other. */
static bool is_shrinkable(const struct machine *m, const struct device *group)
{
	for (size_t i = 0; i < m->count && group->below_count > 1; i++)
		if (is_volume_of(m->devices[i], group) && !streq(m->devices[i]->volume.type, "linear"))
			return false;
	return true;
}

static uint64_t group_member_minimum(const struct machine *m, const struct device *group,
				     const struct device *d)
{
	uint64_t taken = group_taken(m, group), extent = group->group.extent_size;
	uint64_t spare = group->size > taken ? group->size - taken : 0;

	if (!is_shrinkable(m, group))
		return d->size;
	for (size_t i = 0; i < m->count; i++)
		if (is_volume_of(m->devices[i], group))
			spare += volume_spare(m, m->devices[i]);
	/* each of the devices may be asked */
	spare = spare / group->below_count / extent * extent;
	return spare < d->size ? d->size - spare : d->size;
}

static uint64_t member_minimum(const struct machine *m, const struct device *d)
{
	const struct device *above = machine_above(m, d);

	if (above && above->kind == DEVICE_RAID)
		return raid_member_minimum(m, above);
	if (above && above->kind == DEVICE_CRYPT)
		return above->crypt.offset + round_up(device_minimum(m, above), 1 << 20);
	if (above && above->kind == DEVICE_BTRFS)
		return btrfs_member_minimum(above, d);
	return above && above->kind == DEVICE_GROUP ? group_member_minimum(m, above, d) : d->size;
}

uint64_t device_minimum(const struct machine *m, const struct device *d)
{
	const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;
	uint64_t minimum = d->table != TABLE_NONE              ? layout_minimum(m, d)
			   : d->content.kind == CONTENT_MEMBER ? member_minimum(m, d)
			   : d->kind == DEVICE_BTRFS           ? btrfs_spread_needed(d)
			   : ops                               ? ops->minimum(&d->content)
							       : 0;

	return minimum && minimum < d->size ? minimum : d->size;
}
