#include "machine/check.h"

#include "machine/btrfs_profile.h"
#include "machine/fs.h"
#include "machine/layer.h"
#include "machine/table.h"

#include <errno.h>
#include <inttypes.h>

struct check {
	const struct machine *m;
	const struct ini *ini;
	struct error *e;
};

/* The line of `key` in the section of a device, or of that section. */
static unsigned line_of(const struct check *c, const char *kind, const char *name, const char *key)
{
	unsigned line = 1;

	for (size_t i = 0; i < c->ini->count; i++) {
		const struct ini_section *s = &c->ini->sections[i];

		if (!streq(s->kind, kind) || !streq(s->name, name))
			continue;
		const struct ini_entry *entry = key ? ini_entry(s, key) : NULL;

		line = entry ? entry->line : s->line;
	}
	return line;
}

static const struct device *extended_of(const struct machine *m, const struct device *disk)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_partition_of(m->devices[i], disk) && m->devices[i]->content.kind == CONTENT_EXTENDED)
			return m->devices[i];
	return NULL;
}

static int check_bounds(const struct check *c, const struct device *d)
{
	const struct device *disk = d->parent;
	const struct table_ops *table = table_find(disk->table);
	uint64_t first = table->first(disk), end = table->end(disk->size, disk->sector_size);

	if (d->start % disk->sector_size || d->size % disk->sector_size)
		return ini_error(
			c->ini,
			line_of(c, "partition", d->name, d->start % disk->sector_size ? "start" : "size"),
			c->e, "%s is not on a sector boundary; expected a multiple of %" PRIu32, d->name,
			disk->sector_size);
	if (d->start < first)
		return ini_error(c->ini, line_of(c, "partition", d->name, "start"), c->e,
				 "%s begins in the partition table; expected %" PRIu64 " or more", d->name,
				 first);
	if (d->size > end || d->start > end - d->size)
		return ini_error(c->ini, line_of(c, "partition", d->name, "size"), c->e,
				 "%s ends behind its disk %s; expected start + size of at most %" PRIu64,
				 d->name, disk->name, end);
	return 0;
}

static int check_logical(const struct check *c, const struct device *d)
{
	const struct device *extended = extended_of(c->m, d->parent);

	if (d->content.kind == CONTENT_EXTENDED)
		return ini_error(c->ini, line_of(c, "partition", d->name, "number"), c->e,
				 "%s cannot be extended; expected a number from 1 to 4", d->name);
	if (!extended)
		return ini_error(c->ini, line_of(c, "partition", d->name, "number"), c->e,
				 "%s is a logical partition without an extended one; expected a partition "
				 "with content = extended",
				 d->name);
	/* In front of each logical partition there is at least the sector that describes it. */
	if (d->start < extended->start + d->parent->sector_size ||
	    d->start + d->size > extended->start + extended->size)
		return ini_error(c->ini, line_of(c, "partition", d->name, "start"), c->e,
				 "%s is not inside the extended partition %s; expected it between %" PRIu64
				 " and %" PRIu64,
				 d->name, extended->name, extended->start + d->parent->sector_size,
				 extended->start + extended->size);
	return 0;
}

static int check_pair(const struct check *c, const struct device *a, const struct device *b)
{
	if (a->number == b->number)
		return ini_error(c->ini, line_of(c, "partition", b->name, "number"), c->e,
				 "%s has the number of %s; expected one of its own", b->name, a->name);
	if (a->content.kind == CONTENT_EXTENDED && b->content.kind == CONTENT_EXTENDED)
		return ini_error(c->ini, line_of(c, "partition", b->name, "content"), c->e,
				 "%s is a second extended partition; expected at most one", b->name);
	if (device_is_logical(a) != device_is_logical(b) &&
	    (a->content.kind == CONTENT_EXTENDED || b->content.kind == CONTENT_EXTENDED))
		return 0; /* one in the other: see above */
	if (a->start < b->start + b->size && b->start < a->start + a->size)
		return ini_error(c->ini, line_of(c, "partition", b->name, "start"), c->e,
				 "%s (%" PRIu64 " to %" PRIu64 ") overlaps %s (%" PRIu64 " to %" PRIu64
				 "); expected partitions side by side",
				 b->name, b->start, b->start + b->size, a->name, a->start,
				 a->start + a->size);
	return 0;
}

static int check_partition(const struct check *c, size_t index)
{
	const struct device *d = c->m->devices[index];
	int r = check_bounds(c, d);

	if (r == 0 && d->content.kind == CONTENT_EXTENDED && d->parent->table != TABLE_MBR)
		r = ini_error(c->ini, line_of(c, "partition", d->name, "content"), c->e,
			      "%s cannot be extended; expected that only with table = mbr", d->name);
	if (r == 0 && device_is_logical(d))
		r = check_logical(c, d);
	for (size_t i = 0; i < index && r == 0; i++)
		if (is_partition_of(c->m->devices[i], d->parent))
			r = check_pair(c, c->m->devices[i], d);
	return r;
}

static int check_raid(const struct check *c, const struct device *d)
{
	unsigned members, copies, missing = 0;

	raid_shape(d, &members, &copies);
	if (members == 0 || copies == 0 || d->size == 0)
		return ini_error(c->ini, line_of(c, "raid", d->name, "devices"), c->e,
				 "%s has too few devices for %s: %u; expected more", d->name, d->raid.level,
				 raid_members(d));
	for (size_t i = 0; i < d->below_count; i++) {
		const struct device *below = d->below[i];

		if (!below) {
			missing++;
			continue;
		}
		if (d->raid.data_offset > below->size ||
		    d->raid.component_size > below->size - d->raid.data_offset)
			return ini_error(c->ini, line_of(c, "raid", d->name, "component-size"), c->e,
					 "%s does not hold that much (%" PRIu64 " bytes from %" PRIu64
					 "); expected at most %" PRIu64,
					 below->name, d->raid.component_size, d->raid.data_offset,
					 below->size > d->raid.data_offset ? below->size - d->raid.data_offset
									   : 0);
	}
	if (missing > raid_redundancy(d))
		return ini_error(c->ini, line_of(c, "raid", d->name, "devices"), c->e,
				 "%s cannot do without %u of its devices; expected at most %u missing",
				 d->name, missing, raid_redundancy(d));
	return 0;
}

static int check_group(const struct check *c, const struct device *d)
{
	uint64_t taken = group_taken(c->m, d);

	if (taken > d->size)
		return ini_error(c->ini, line_of(c, "group", d->name, NULL), c->e,
				 "the volumes of %s take more than its devices hold (%" PRIu64 " of %" PRIu64
				 " bytes); expected smaller volumes or larger devices",
				 d->name, taken, d->size);
	return 0;
}

static int check_volume(const struct check *c, const struct device *d)
{
	uint64_t extent = d->below[0]->group.extent_size;

	if (d->size % extent)
		return ini_error(c->ini, line_of(c, "volume", d->name, "size"), c->e,
				 "%s is no whole number of extents; expected a multiple of %" PRIu64, d->name,
				 extent);
	for (size_t i = 0; i + 1 < d->volume.segment_count; i++) {
		const struct segment *s = &d->volume.segments[i];

		if (s->size % (extent * s->on.count))
			return ini_error(c->ini, line_of(c, "volume", d->name, "on"), c->e,
					 "a segment of %" PRIu64
					 " bytes is no whole number of extents on each "
					 "device; expected a multiple of %" PRIu64,
					 s->size, extent * s->on.count);
	}
	return 0;
}

/* Two devices want one mount point or one stream. */
static int check_places(const struct check *c, size_t index, const char *kind)
{
	const struct device *d = c->m->devices[index];

	for (size_t i = 0; i < index; i++) {
		const struct content *a = &c->m->devices[i]->content, *b = &d->content;

		if (a->mountpoint && b->mountpoint && streq(a->mountpoint, b->mountpoint))
			return ini_error(c->ini, line_of(c, kind, d->name, "mountpoint"), c->e,
					 "'%s' is the mount point of %s too; expected another", b->mountpoint,
					 c->m->devices[i]->name);
		if (a->stream && b->stream && streq(a->stream, b->stream))
			return ini_error(c->ini, line_of(c, kind, d->name, "stream"), c->e,
					 "'%s' is the stream of %s too; expected another", b->stream,
					 c->m->devices[i]->name);
	}
	return 0;
}

/* Of a btrfs: what its profiles need. */
static int check_profile(const struct check *c, const struct device *d, const char *key, const char *name)
{
	const char *value = key_values_get(&d->content.parameters, key);
	const struct btrfs_profile *p = value ? btrfs_profile_find(value) : NULL;
	size_t count = d->kind == DEVICE_BTRFS ? d->below_count : 1;

	return p && p->least > count ? ini_error(c->ini, line_of(c, "filesystem", d->name, name), c->e,
						 "%s needs %u devices, and %s has %zu; expected another "
						 "profile, or more devices "
						 "in [btrfs %s]",
						 value, p->least, d->name, count, d->name)
				     : 0;
}

static int check_btrfs(const struct check *c, const struct device *d)
{
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i] && d->btrfs.devices[i].size > d->below[i]->size)
			return ini_error(c->ini, line_of(c, "btrfs", d->name, "device-sizes"), c->e,
					 "%s does not hold that much (%" PRIu64
					 " bytes); expected at most %" PRIu64,
					 d->below[i]->name, d->btrfs.devices[i].size, d->below[i]->size);
	if (d->content.kind != CONTENT_FILESYSTEM)
		return ini_error(c->ini, line_of(c, "btrfs", d->name, NULL), c->e,
				 "%s has no content; expected a [filesystem %s] with type = btrfs", d->name,
				 d->name);
	if (key_values_get(&d->content.parameters, "bytes"))
		return ini_error(c->ini, line_of(c, "filesystem", d->name, "fs.bytes"), c->e,
				 "%s lies on several devices; expected 'device-sizes' in [btrfs %s] instead",
				 d->name, d->name);
	return 0;
}

static int check_content(const struct check *c, size_t index)
{
	const struct device *d = c->m->devices[index];
	const char *kind = d->content.kind == CONTENT_SWAP ? "swap" : "filesystem";
	uint64_t size = fs_find(d->content.type)->size(&d->content);

	if (size > d->size)
		return ini_error(c->ini, line_of(c, kind, d->name, "fs.blocks"), c->e,
				 "the file system is bigger than %s (%" PRIu64 " of %" PRIu64
				 " bytes); expected fewer blocks, or no 'fs.blocks' to fill it",
				 d->name, size, d->size);
	if (d->content.used > d->size)
		return ini_error(c->ini, line_of(c, kind, d->name, "used"), c->e,
				 "more is used than %s holds (%" PRIu64 " of %" PRIu64
				 " bytes); expected less",
				 d->name, d->content.used, d->size);
	int r = check_profile(c, d, "data", "fs.data");

	if (r == 0)
		r = check_profile(c, d, "metadata", "fs.metadata");
	return r < 0 ? r : check_places(c, index, kind);
}

int machine_check(const struct machine *m, const struct ini *ini, struct error *e)
{
	const struct check c = { .m = m, .ini = ini, .e = e };
	int r = 0;

	if (m->count == 0)
		return ini_error(ini, 1, e, "no disk is described; expected a [disk NAME]");
	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];

		if (d->kind == DEVICE_PARTITION)
			r = check_partition(&c, i);
		else if (d->kind == DEVICE_RAID)
			r = check_raid(&c, d);
		else if (d->kind == DEVICE_GROUP)
			r = check_group(&c, d);
		else if (d->kind == DEVICE_VOLUME)
			r = check_volume(&c, d);
		else if (d->kind == DEVICE_BTRFS)
			r = check_btrfs(&c, d);
		if (r == 0 && (d->content.kind == CONTENT_FILESYSTEM || d->content.kind == CONTENT_SWAP))
			r = check_content(&c, i);
		else if (r == 0 && d->kind == DEVICE_SUBVOLUME)
			r = check_places(&c, i, "subvolume");
	}
	return r;
}
