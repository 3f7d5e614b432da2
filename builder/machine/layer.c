/* Sources: md(4) and mdadm(8) for levels and layouts; lvmraid(7) and lvmthin(7) for what volumes take beside
 * their data: each image of a raid has a metadata volume of one extent, a group with pools a spare as large as its
 * largest pool's metadata. */
#include "machine/layer.h"

#include "base/number.h"
#include "machine/btrfs_profile.h"
#include "machine/placement.h"

#include <stdlib.h>

static const char *const raid_levels[] = { "raid0", "raid1", "raid4", "raid5", "raid6", "raid10" };

bool raid_level_known(const char *level)
{
	for (size_t i = 0; i < sizeof(raid_levels) / sizeof(*raid_levels); i++)
		if (streq(level, raid_levels[i]))
			return true;
	return false;
}

unsigned raid_members(const struct device *d)
{
	return (unsigned)d->below_count - d->raid.spares;
}

/* The copies that a raid10 keeps: n2, f2, o3 … */
static unsigned raid10_copies(const struct device *d)
{
	const char *layout = d->raid.layout;
	unsigned long copies = layout && *layout ? strtoul(layout + 1, NULL, 10) : 2;

	return copies >= 1 && copies <= 255 ? (unsigned)copies : 2;
}

void raid_shape(const struct device *d, unsigned *ret_members, unsigned *ret_copies)
{
	const char *level = d->raid.level;
	unsigned n = raid_members(d), parity = 0;

	*ret_copies = 1;
	if (streq(level, "raid4") || streq(level, "raid5"))
		parity = 1;
	else if (streq(level, "raid6"))
		parity = 2;
	else if (streq(level, "raid1"))
		*ret_copies = n;
	else if (streq(level, "raid10"))
		*ret_copies = raid10_copies(d);
	*ret_members = n > parity && n >= *ret_copies ? n - parity : 0;
}

unsigned raid_redundancy(const struct device *d)
{
	const char *level = d->raid.level;
	unsigned n = raid_members(d);

	if (streq(level, "raid1"))
		return n - 1;
	if (streq(level, "raid4") || streq(level, "raid5"))
		return 1;
	if (streq(level, "raid6"))
		return 2;
	return streq(level, "raid10") ? raid10_copies(d) - 1 : 0;
}

void raid_set_overhead(struct device *d)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i] && d->below[i]->size < least)
			least = d->below[i]->size;
	d->raid.overhead = least > d->raid.component_size ? least - d->raid.component_size : 0;
}

static uint64_t raid_size(const struct device *d)
{
	uint64_t chunk = d->raid.chunk ? d->raid.chunk : 1;
	unsigned members, copies;

	raid_shape(d, &members, &copies);
	return copies ? (uint64_t)((unsigned __int128)(d->raid.component_size / chunk) * members / copies) *
				chunk
		      : 0;
}

/* Its metadata is at the end: a member begins as the array does, or as its share of it. */
static bool has_metadata_behind(const struct device *raid)
{
	return streq(raid->raid.metadata, "1.0") || streq(raid->raid.metadata, "0.90");
}

struct device *partition_content(const struct machine *m, struct device *partition)
{
	struct device *above = machine_above(m, partition);

	if (!above || above->kind != DEVICE_RAID || !streq(above->raid.level, "raid1"))
		return partition;
	return has_metadata_behind(above) ? above : partition;
}

const struct device *disk_shows_array(const struct machine *m, const struct device *disk)
{
	const struct device *above = machine_above(m, disk);

	return above && above->kind == DEVICE_RAID && above->table != TABLE_NONE && has_metadata_behind(above)
		       ? above
		       : NULL;
}

/* Linux's blk_stack_limits(); dm-crypt makes them its own sectors (drivers/md/dm-crypt.c: crypt_io_hints()). */
uint32_t device_sector_size(const struct device *d)
{
	uint32_t largest = d->kind == DEVICE_CRYPT ? d->crypt.sector_size : 0;

	if (d->kind == DEVICE_DISK)
		return d->sector_size;
	if (d->parent)
		return device_sector_size(d->parent);
	for (size_t i = 0; i < d->below_count; i++) {
		uint32_t size = d->below[i] ? device_sector_size(d->below[i]) : 0;

		largest = size > largest ? size : largest;
	}
	return largest ? largest : 512;
}

/* ---- LVM ---- */

static const char *const volume_types[] = {
	"linear",   "striped",  "mirror",   "raid0",     "raid1",   "raid4", "raid5",
	"raid5_ls", "raid5_la", "raid5_rs", "raid5_ra",  "raid5_n", "raid6", "raid6_zr",
	"raid6_nr", "raid6_nc", "raid10",   "thin-pool", "thin",
};

bool volume_type_known(const char *type)
{
	for (size_t i = 0; i < sizeof(volume_types) / sizeof(*volume_types); i++)
		if (streq(type, volume_types[i]))
			return true;
	return false;
}

const char *volume_name(const struct device *d)
{
	const char *slash = strchr(d->name, '/');

	return slash ? slash + 1 : d->name;
}

/* LVM's suffixes: lvmthin(7), lvmraid(7), and lib/metadata of lvm2 for mirrors. */
const char *volume_part(const struct device *d, const char *hidden)
{
	static const char *const known[] = { "tdata", "tmeta", "mlog", "rimage_", "rmeta_", "mimage_" };
	const char *part = str_after(hidden, volume_name(d));

	if (!part || *part++ != '_')
		return NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const char *number = str_after(part, known[i]);

		if (number && (*number != '\0') == str_ends(known[i], "_") &&
		    !number[strspn(number, "0123456789")])
			return part;
	}
	return NULL;
}

static unsigned parity_of(const char *type)
{
	return str_after(type, "raid4") || str_after(type, "raid5") ? 1 : str_after(type, "raid6") ? 2 : 0;
}

uint64_t volume_takes(const struct device *d)
{
	const struct volume *v = &d->volume;
	uint64_t extent = d->below_count ? d->below[0]->group.extent_size : 1;
	uint64_t stripes = v->stripes ? v->stripes : 1, copies = v->mirrors + 1;
	uint64_t image =
		round_up(round_up(d->size, stripes) / stripes, extent); /* what one device of it holds */

	if (volume_is_thin(d))
		return 0;
	if (volume_is_pool(d))
		return round_up(d->size, extent) + round_up(v->metadata_size, extent);
	if (is_striped_only(v->type) && v->segment_count) {
		uint64_t all = 0;

		for (size_t i = 0; i < v->segment_count; i++) {
			uint64_t side = v->segments[i].on.count;

			all += round_up(round_up(segment_size(d, i), side) / side, extent) * side;
		}
		return all;
	}
	if (is_striped_only(v->type))
		return image * stripes;
	if (streq(v->type, "mirror"))
		return image * stripes * copies + extent; /* and its log */
	return (image + extent) * (stripes + parity_of(v->type)) * copies;
}

uint64_t group_usable(const struct device *group, size_t below)
{
	const struct device *d = group->below[below];
	uint64_t start = group->group.physical[below].start, extent = group->group.extent_size;

	return d && d->size > start ? (d->size - start) / extent * extent : 0;
}

uint64_t group_taken(const struct machine *m, const struct device *group)
{
	uint64_t taken = 0, spare = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (!is_volume_of(d, group))
			continue;
		taken += volume_takes(d);
		if (volume_is_pool(d) && d->volume.metadata_size > spare)
			spare = d->volume.metadata_size;
	}
	return taken + round_up(spare, group->group.extent_size);
}

void layer_set_size(struct device *d)
{
	switch (d->kind) {
	case DEVICE_RAID:
		d->size = raid_size(d);
		d->sector_size = device_sector_size(d);
		break;
	case DEVICE_CRYPT:
		d->size = d->below[0]->size > d->crypt.offset ? d->below[0]->size - d->crypt.offset : 0;
		if (d->crypt.sector_size)
			d->size -= d->size % d->crypt.sector_size;
		break;
	case DEVICE_GROUP:
		d->size = 0;
		for (size_t i = 0; i < d->below_count; i++)
			d->size += group_usable(d, i);
		break;
	case DEVICE_BTRFS:
		d->size = btrfs_spread_size(d);
		break;
	case DEVICE_SUBVOLUME:
		d->size = d->parent->size;
		break;
	case DEVICE_DISK:
	case DEVICE_PARTITION:
	case DEVICE_VOLUME:
		break;
	}
}
