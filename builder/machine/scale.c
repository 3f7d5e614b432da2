#include "machine/scale.h"

#include "machine/fs.h"
#include "machine/layout.h"
#include "machine/minimum.h"
#include "machine/table.h"

#include <errno.h>
#include <inttypes.h>

char *scale_obstacle(const struct machine *m, const struct device *disk, uint32_t sector_size)
{
	for (size_t i = 0; i < m->count && sector_size != disk->sector_size; i++) {
		const struct device *d = m->devices[i];
		const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;

		if (!device_lies_on(d, disk))
			continue;
		if (d->start % sector_size || (d->kind == DEVICE_PARTITION && d->size % sector_size))
			return xasprintf("has sectors of %" PRIu32
					 " bytes, on whose boundaries %s does not lie",
					 sector_size, d->name);
		if (d->kind == DEVICE_CRYPT && d->crypt.sector_size && d->crypt.sector_size < sector_size)
			return xasprintf("has sectors of %" PRIu32 " bytes, larger than those of %s (%" PRIu32
					 ")",
					 sector_size, d->name, d->crypt.sector_size);
		if (ops && ops->block_size(&d->content) < sector_size)
			return xasprintf("has sectors of %" PRIu32
					 " bytes, larger than the blocks of %s on %s "
					 "(%" PRIu64 ")",
					 sector_size, d->content.type, d->name, ops->block_size(&d->content));
	}
	return NULL;
}

static void set_sectors(struct device *disk, uint32_t sector_size)
{
	const struct device defaults = { .sector_size = sector_size };

	disk->sector_size = sector_size;
	if (disk->table == TABLE_GPT &&
	    (disk->first_usable % sector_size || disk->first_usable < table_gpt.first(&defaults)))
		disk->first_usable = disk->first_usable ? table_gpt.first(&defaults) : 0;
}

/* By how much everything at `position` moves forward: `cuts` of the partitions that begin before it. */
static uint64_t shift_at(const struct machine *m, const struct device *disk, const uint64_t *cuts,
			 const uint64_t *starts, uint64_t position)
{
	uint64_t shift = 0;

	for (size_t i = 0; i < m->count; i++)
		if (is_partition_of(m->devices[i], disk) && starts[i] < position)
			shift += cuts[i];
	return shift;
}

static void move_partitions(struct machine *m, const struct device *disk, const uint64_t *cuts)
{
	_cleanup_(free) uint64_t *starts = xcalloc(m->count, sizeof(*starts));

	for (size_t i = 0; i < m->count; i++)
		starts[i] = m->devices[i]->start;
	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];

		if (!is_partition_of(d, disk))
			continue;
		uint64_t end = starts[i] + d->size, old_size = d->size;

		/* an extended partition has no cut of its own: it ends with what is in it */
		d->start = starts[i] - shift_at(m, disk, cuts, starts, starts[i]);
		d->size = end - shift_at(m, disk, cuts, starts, end) - d->start;
		const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;

		if (ops && ops->resize && d->size != old_size)
			ops->resize(&d->content, old_size, d->size);
	}
}

static int refuse(const struct machine *m, const struct device *disk, uint64_t size, struct error *e)
{
	char there[SIZE_TEXT_MAX], needed[SIZE_TEXT_MAX], before[SIZE_TEXT_MAX];

	return error_text(e, ENOSPC, "too small: %s; %s had %s, and its data and a margin need at least %s",
			  format_size(size, there), disk->name, format_size(disk->size, before),
			  format_size(device_minimum(m, disk), needed));
}

static int shrink_layout(struct machine *m, const struct device *disk, uint64_t too_much, uint64_t size,
			 struct error *e)
{
	uint64_t grain = layout_grain(m, disk), total = layout_total_spare(m, disk, grain) / grain;
	uint64_t units = (too_much + grain - 1) / grain;
	_cleanup_(free) uint64_t *cuts = xcalloc(m->count, sizeof(*cuts));

	if (total == 0 || total < units)
		return refuse(m, disk, size, e);
	for (size_t i = 0; i < m->count; i++) {
		uint64_t has = is_partition_of(m->devices[i], disk)
				       ? layout_spare(m, m->devices[i], grain) / grain
				       : 0;

		/* its share, rounded up; never more than it has, as no share exceeds the whole */
		cuts[i] = (uint64_t)(((unsigned __int128)units * has + total - 1) / total) * grain;
	}
	move_partitions(m, disk, cuts);
	return 0;
}

static int scale_whole(struct machine *m, struct device *disk, uint64_t size, struct error *e)
{
	const struct fs_ops *ops = disk->content.type ? fs_find(disk->content.type) : NULL;

	if (size < device_minimum(m, disk))
		return refuse(m, disk, size, e);
	if (ops && ops->resize && size < disk->size)
		ops->resize(&disk->content, disk->size, size);
	return 0;
}

int scale_disk(struct machine *m, struct device *disk, uint64_t size, uint32_t sector_size, struct error *e)
{
	const struct table_ops *table = table_find(disk->table);
	_cleanup_(free) char *obstacle = scale_obstacle(m, disk, sector_size);
	int r = 0;

	if (obstacle)
		return error_text(e, EINVAL, "it %s", obstacle);
	if (!table) {
		r = scale_whole(m, disk, size, e);
	} else {
		uint64_t end = layout_end(m, disk), limit = table->end(size, sector_size);

		if (end > limit)
			r = shrink_layout(m, disk, end - limit, size, e);
	}
	if (r < 0)
		return r;
	set_sectors(disk, sector_size);
	disk->size = size;
	return 0;
}

/* Everything behind the end of `grown` moves by `free`; what ends there or behind, but begins before (itself, an
 * extended partition around it), grows by it. */
static void make_room(struct machine *m, struct device *grown, uint64_t free_space)
{
	uint64_t edge = grown->start + grown->size;

	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];

		if (!is_partition_of(d, grown->parent))
			continue;
		if (d->start >= edge)
			d->start += free_space;
		else if (d->start + d->size >= edge)
			d->size += free_space;
	}
}

void scale_grow(struct machine *m, struct device *d, uint64_t old_size)
{
	const struct device *disk = d->parent ? d->parent : d;
	const struct table_ops *table = table_find(disk->table);
	const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;

	if (table) {
		old_size = d->size;

		uint64_t end = layout_end(m, disk), limit = table->end(disk->size, disk->sector_size);
		uint64_t grain = layout_grain(m, disk);

		if (end >= limit || limit - end < grain)
			return;
		make_room(m, d, (limit - end) / grain * grain);
	}
	if (ops && ops->resize && d->size > old_size)
		ops->resize(&d->content, old_size, d->size);
}
