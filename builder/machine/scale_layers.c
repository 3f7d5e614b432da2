/* Layers on disks of another size: they follow what lies below them. */
#include "machine/scale.h"

#include "machine/btrfs_profile.h"
#include "machine/fs.h"
#include "machine/layer.h"
#include "machine/minimum.h"

#include <errno.h>

/* A file system that lies on a larger device stays as it was, unless it `grows`. */
static void set_size(struct device *d, uint64_t size, bool grows)
{
	const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;
	uint64_t old = d->size;

	d->size = size;
	if (ops && ops->resize && (size < old || (grows && size > old)))
		ops->resize(&d->content, old, size);
}

static int refuse_layer(const struct device *d, uint64_t needed, struct error *e)
{
	char has[SIZE_TEXT_MAX], needs[SIZE_TEXT_MAX];

	return error_text(e, ENOSPC, "%s would be too small: %s, and what it holds and a margin need %s",
			  d->name, format_size(d->size, has), format_size(needed, needs));
}

/* What an array can use of members that are larger than before. mdadm keeps more of a larger member for itself where the
 * superblock is at its end (super1.c: choose_bm_space(), 128 KiB at most), and superblocks of version 0.90 count no
 * further than 2 TiB (md(4)). */
static uint64_t grown_component(const struct device *d, uint64_t room)
{
	static const uint64_t mib = 1 << 20, most = UINT64_C(2) << 40;
	uint64_t unit = d->raid.chunk ? d->raid.chunk : 4096;

	if (streq(d->raid.metadata, "1.0"))
		room -= room > mib ? mib : room;
	if (streq(d->raid.metadata, "0.90") && room > most)
		room = most;
	return room / unit * unit;
}

/* An array uses of each member what the smallest one has, and not more than before unless it `grows`. */
static void fit_raid(struct device *d, bool grows)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i] && d->below[i]->size < least)
			least = d->below[i]->size;
	if (least == UINT64_MAX)
		return;
	uint64_t room = least > d->raid.overhead ? least - d->raid.overhead : 0;

	if (room < d->raid.component_size)
		d->raid.component_size = room / 4096 * 4096;
	else if (grows && grown_component(d, room) > d->raid.component_size)
		d->raid.component_size = grown_component(d, room);
}

/* All that is left in its group. */
static void take_free(const struct machine *m, struct device *d)
{
	const struct device *group = d->below[0];
	uint64_t taken = group_taken(m, group), extent = group->group.extent_size;

	if (group->size > taken)
		set_size(d, d->size + (group->size - taken) / extent * extent, true);
}

/* Every volume that can gives its share, in whole extents, until all of them fit. */
static int fit_group(struct machine *m, struct device *group, struct error *e)
{
	uint64_t extent = group->group.extent_size, taken = group_taken(m, group), total = 0;
	uint64_t units = taken > group->size ? (taken - group->size + extent - 1) / extent : 0;

	if (units == 0)
		return 0;
	for (size_t i = 0; i < m->count; i++)
		if (is_volume_of(m->devices[i], group))
			total += volume_spare(m, m->devices[i]) / extent;
	if (total < units)
		return refuse_layer(group, taken - total * extent, e);
	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];
		uint64_t has = is_volume_of(d, group) ? volume_spare(m, d) / extent : 0;

		set_size(d,
			 d->size - (uint64_t)(((unsigned __int128)units * has + total - 1) / total) * extent,
			 false);
	}
	return 0;
}

/* The partitions of an array follow it, as those of a disk do; then those that are to have the room behind the last one. */
static int fit_table(struct machine *m, struct device *d, uint64_t size, const struct growth *growth,
		     struct error *e)
{
	int r = scale_disk(m, d, size, device_sector_size(d), e);

	if (r < 0)
		error_prefix(e, "%s", d->name);
	for (size_t i = 0; i < m->count && r == 0; i++)
		if (growth->grows[i] && is_partition_of(m->devices[i], d))
			scale_grow(m, m->devices[i], m->devices[i]->size);
	return r;
}

int scale_layers(struct machine *m, const struct growth *growth, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		struct device *d = m->devices[i], now;
		uint64_t needed = device_minimum(m, d);

		if (growth->takes[i])
			take_free(m, d);
		if (d->kind == DEVICE_DISK || d->kind == DEVICE_PARTITION || d->kind == DEVICE_VOLUME)
			continue;
		if (d->kind == DEVICE_RAID)
			fit_raid(d, growth->grows[i]);
		else if (d->kind == DEVICE_BTRFS)
			btrfs_fit(d, growth->grows[i]);
		now = *d;
		layer_set_size(&now);
		if (d->table != TABLE_NONE)
			r = fit_table(m, d, now.size, growth, e);
		else
			set_size(d, now.size, growth->grows[i]);
		if (r < 0)
			break;
		d->sector_size = now.sector_size;
		if (d->kind == DEVICE_GROUP)
			r = fit_group(m, d, e);
		else if (d->kind != DEVICE_SUBVOLUME && d->size < needed) /* its file system was asked */
			r = refuse_layer(d, needed, e);
	}
	return r;
}
