/* Layers on disks of another size: they follow what lies below them. */
#include "machine/scale.h"

#include "machine/fs.h"
#include "machine/layer.h"
#include "machine/minimum.h"

#include <errno.h>

static void set_size(struct device *d, uint64_t size)
{
	const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;
	uint64_t old = d->size;

	d->size = size;
	if (ops && ops->resize && size < old)
		ops->resize(&d->content, old, size);
}

static int refuse_layer(const struct device *d, uint64_t needed, struct error *e)
{
	char has[SIZE_TEXT_MAX], needs[SIZE_TEXT_MAX];

	return error_text(e, ENOSPC, "%s would be too small: %s, and what it holds and a margin need %s",
			  d->name, format_size(d->size, has), format_size(needed, needs));
}

/* An array uses of each member what the smallest one has, and not more than before. */
static void fit_raid(struct device *d)
{
	for (size_t i = 0; i < d->below_count; i++) {
		uint64_t size = d->below[i] ? d->below[i]->size : UINT64_MAX;

		if (size - d->raid.overhead < d->raid.component_size)
			d->raid.component_size = (size - d->raid.overhead) / 4096 * 4096;
	}
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
			 d->size - (uint64_t)(((unsigned __int128)units * has + total - 1) / total) * extent);
	}
	return 0;
}

int scale_layers(struct machine *m, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		struct device *d = m->devices[i], now;
		uint64_t needed = device_minimum(m, d);

		if (device_is_plain(d) || d->kind == DEVICE_VOLUME)
			continue;
		if (d->kind == DEVICE_RAID)
			fit_raid(d);
		now = *d;
		layer_set_size(&now);
		set_size(d, now.size);
		if (d->kind == DEVICE_GROUP)
			r = fit_group(m, d, e);
		else if (d->size < needed)
			r = refuse_layer(d, needed, e);
	}
	return r;
}
