#include "machine/without.h"

#include "machine/btrfs_profile.h"
#include "machine/fs.h"
#include "machine/layer.h"

#include <errno.h>

/* Which devices go: by index. */
struct leaving {
	const struct machine *m;
	bool *goes;
};

static void leaving_end(struct leaving *l)
{
	free(l->goes);
}
DEFINE_CLEANUP(leaving, struct leaving, leaving_end)

static bool is_leaving(const struct leaving *l, const struct device *d)
{
	for (size_t i = 0; d && i < l->m->count; i++)
		if (l->m->devices[i] == d)
			return l->goes[i];
	return false;
}

/* Partitions go with their disk, a LUKS device with what it lies on; all others may lie on something else too. */
static void mark(struct leaving *l, struct device *const disks[], size_t count)
{
	l->goes = xcalloc(l->m->count + 1, sizeof(*l->goes));
	for (size_t i = 0; i < l->m->count; i++) {
		const struct device *d = l->m->devices[i];

		for (size_t k = 0; k < count; k++)
			l->goes[i] |= d == disks[k];
		l->goes[i] |=
			is_leaving(l, d->parent) || (d->kind == DEVICE_CRYPT && is_leaving(l, d->below[0]));
	}
}

/* Of an array those that are or will be missing, its spares aside; of another layer those that will be. */
static unsigned count_missing(const struct leaving *l, const struct device *d)
{
	size_t members = d->kind == DEVICE_RAID ? raid_members(d) : d->below_count;
	unsigned missing = 0;

	for (size_t i = 0; i < members; i++)
		missing += !d->below[i] || is_leaving(l, d->below[i]);
	return missing;
}

/* Where volumes lie in a pattern on several devices, fewer may not hold them. */
static const struct device *find_pattern(const struct machine *m, const struct device *group)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (is_volume_of(d, group) && !streq(d->volume.type, "linear") && !volume_is_thin(d) &&
		    !volume_is_pool(d))
			return d;
	}
	return NULL;
}

/* ---- may it go ---- */

static int check_content(const struct leaving *l, const struct device *d, struct error *e)
{
	const struct content *c = &d->content;

	if (c->kind == CONTENT_FILESYSTEM || c->kind == CONTENT_SWAP || c->kind == CONTENT_SUBVOLUME)
		return error_text(e, ENXIO, "%s holds %s%s%s, which is nowhere else", d->name, c->type,
				  c->mountpoint ? " of " : "", c->mountpoint ? c->mountpoint : "");
	if (c->kind == CONTENT_MEMBER && !machine_above(l->m, d))
		return error_text(e, ENXIO, "%s is a part of something (%s) that cannot do without it",
				  d->name, c->type);
	return 0;
}

/* With other profiles, if need be; its files are in the backup. */
static int check_btrfs(const struct leaving *l, const struct device *d, unsigned missing, struct error *e)
{
	_cleanup_(strlist) struct strlist ignored = { 0 }; /* is told when it is done */
	_cleanup_(machine) struct machine scratch = { 0 };
	struct device *left = machine_add(&scratch, DEVICE_BTRFS, d->name);
	char has[SIZE_TEXT_MAX], needs[SIZE_TEXT_MAX];

	if (missing == d->below_count)
		return error_text(e, ENXIO, "the btrfs %s lies on nothing else", d->name);
	for (size_t i = 0; i < d->content.parameters.count; i++)
		key_values_set(&left->content.parameters, d->content.parameters.items[i].key,
			       d->content.parameters.items[i].value);
	left->btrfs.devices = xcalloc(d->below_count, sizeof(*left->btrfs.devices));
	for (size_t i = 0; i < d->below_count; i++) {
		device_add_below(left, is_leaving(l, d->below[i]) ? NULL : d->below[i]);
		left->btrfs.devices[i].size = d->btrfs.devices[i].size;
	}
	btrfs_do_without(left, &ignored);
	return left->size < btrfs_spread_needed(d)
		       ? error_text(
				 e, ENOSPC,
				 "the btrfs %s would hold %s on %zu device%s, and its data and a margin need "
				 "%s",
				 d->name, format_size(left->size, has), left->below_count,
				 left->below_count == 1 ? "" : "s",
				 format_size(btrfs_spread_needed(d), needs))
		       : 0;
}

static int check_layer(const struct leaving *l, const struct device *d, struct error *e)
{
	unsigned missing = count_missing(l, d);

	if (d->kind == DEVICE_RAID && missing > raid_redundancy(d))
		return error_text(e, ENXIO,
				  "%s (%s, %u devices) can lack %u of them, and %u would be missing", d->name,
				  d->raid.level, raid_members(d), raid_redundancy(d), missing);
	if (d->kind == DEVICE_BTRFS)
		return missing ? check_btrfs(l, d, missing, e) : 0;
	if (d->kind != DEVICE_GROUP || missing == 0)
		return 0;
	if (missing == d->below_count)
		return error_text(e, ENXIO, "the volume group %s lies on nothing else", d->name);
	const struct device *pattern = find_pattern(l->m, d);

	return pattern ? error_text(e, EOPNOTSUPP,
				    "%s (%s) lies on several devices of %s, which cannot do with fewer yet",
				    pattern->name, pattern->volume.type, d->name)
		       : 0;
}

static int check_boot(const struct leaving *l, struct error *e)
{
	const struct strlist *disks = &l->m->boot_disks;
	size_t left = 0;

	for (size_t i = 0; i < disks->count; i++)
		left += !is_leaving(l, machine_find(l->m, disks->items[i]));
	return disks->count && left == 0
		       ? error_text(
				 e, ENXIO,
				 "no other disk carries the boot loader: name one in an edited machine.conf "
				 "([boot] disk)")
		       : 0;
}

static int check_all(const struct leaving *l, struct error *e)
{
	size_t disks = 0;
	int r = 0;

	for (size_t i = 0; i < l->m->count; i++)
		disks += l->m->devices[i]->kind == DEVICE_DISK && !l->goes[i];
	if (disks == 0)
		return error_text(e, ENXIO, "no disk would be left");
	for (size_t i = 0; i < l->m->count && r == 0; i++) {
		const struct device *d = l->m->devices[i];

		if (l->goes[i])
			r = check_content(l, d, e);
		else if (d->kind == DEVICE_RAID || d->kind == DEVICE_GROUP || d->kind == DEVICE_BTRFS)
			r = check_layer(l, d, e);
	}
	return r == 0 ? check_boot(l, e) : r;
}

/* ---- without it ---- */

static void leave_array(const struct leaving *l, struct device *d, struct strlist *ret_told)
{
	unsigned members = raid_members(d), missing = count_missing(l, d);
	size_t kept = members, before = d->raid.spares;
	bool changed = false;

	for (size_t i = 0; i < d->below_count; i++) {
		bool goes = is_leaving(l, d->below[i]);

		changed |= goes;
		if (i < members)
			d->below[i] = goes ? NULL : d->below[i];
		else if (!goes)
			d->below[kept++] = d->below[i];
	}
	d->below_count = kept;
	d->raid.spares = (unsigned)kept - members;
	if (changed && d->raid.spares < before)
		strlist_addf(ret_told, "%s has %u spare%s, had %zu", d->name, d->raid.spares,
			     d->raid.spares == 1 ? "" : "s", before);
	if (changed && missing)
		strlist_addf(ret_told,
			     "%s lacks %u of its %u devices until others are added to it (mdadm --add)",
			     d->name, missing, members);
}

static void leave_group(const struct leaving *l, struct device *d, struct strlist *ret_told)
{
	size_t kept = 0, before = d->below_count;

	for (size_t i = 0; i < before; i++) {
		if (is_leaving(l, d->below[i])) {
			free(d->group.physical[i].uuid);
			continue;
		}
		d->below[kept] = d->below[i];
		d->group.physical[kept++] = d->group.physical[i];
	}
	d->below_count = kept;
	layer_set_size(d);
	if (kept < before)
		strlist_addf(ret_told, "%s lies on %zu device%s, lay on %zu", d->name, kept,
			     kept == 1 ? "" : "s", before);
}

static void leave_btrfs(const struct leaving *l, struct device *d, struct strlist *ret_told)
{
	for (size_t i = 0; i < d->below_count; i++)
		d->below[i] = is_leaving(l, d->below[i]) ? NULL : d->below[i];
	btrfs_do_without(d, ret_told);
}

/* A btrfs on one device is no layer, but the content of that device: so it is made, and so a survey finds it. */
static void settle_single(struct machine *m, struct device *d)
{
	struct device *on = device_first_below(d);
	const struct content member = on->content;
	uint64_t share = btrfs_share(d, 0);

	on->content = d->content;
	d->content = member;
	/* with one device the file system itself says how much of that it uses */
	content_set_number(&on->content, "bytes", share);
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->parent == d)
			m->devices[i]->parent = on;
}

static void settle_singles(struct machine *m)
{
	_cleanup_(free) bool *goes = xcalloc(m->count + 1, sizeof(*goes));

	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];

		goes[i] = d->kind == DEVICE_BTRFS && d->below_count == 1;
		if (goes[i])
			settle_single(m, d);
	}
	machine_remove(m, goes);
}

/* No disk can take the place of one that was gone already. */
static void leave_out_missing(struct machine *m, struct strlist *ret_told)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_BTRFS)
			btrfs_do_without(m->devices[i], ret_told);
}

/* The firmware's entry for a partition that goes: another member of its mirror holds the same files. Its other entries
 * stay as they are. */
static struct device *other_member(const struct leaving *l, struct device *partition)
{
	const struct device *mirror = machine_above(l->m, partition);

	for (size_t i = 0; mirror && i < mirror->below_count; i++)
		if (mirror->below[i] && mirror->below[i]->kind == DEVICE_PARTITION &&
		    !is_leaving(l, mirror->below[i]))
			return mirror->below[i];
	return NULL;
}

static bool has_entry(const struct boot_entry *entries, size_t count, const struct device *partition,
		      const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i].partition == partition && streq(entries[i].path, path))
			return true;
	return false;
}

static void leave_entries(const struct leaving *l, struct machine *m, struct strlist *ret_told)
{
	struct boot_entry *entries = xcalloc(m->boot_entry_count + 1, sizeof(*entries));
	size_t kept = 0;

	for (size_t i = 0; i < m->boot_entry_count; i++) {
		struct boot_entry *entry = &m->boot_entries[i];
		bool goes = is_leaving(l, entry->partition);
		struct device *to = goes ? other_member(l, entry->partition) : entry->partition;

		if (goes)
			strlist_addf(ret_told, "the firmware's entry '%s' was for %s%s%s", entry->label,
				     entry->partition->name, to ? ", is for " : "", to ? to->name : "");
		if (!to || has_entry(entries, kept, to, entry->path)) {
			free(entry->label);
			free(entry->path);
			continue;
		}
		entry->partition = to;
		entries[kept++] = *entry;
	}
	free(m->boot_entries);
	m->boot_entries = entries;
	m->boot_entry_count = kept;
}

static void leave_boot_disks(const struct leaving *l, struct machine *m)
{
	struct strlist kept = { 0 };

	for (size_t i = 0; i < m->boot_disks.count; i++)
		if (!is_leaving(l, machine_find(m, m->boot_disks.items[i])))
			strlist_add(&kept, m->boot_disks.items[i]);
	strlist_free(&m->boot_disks);
	m->boot_disks = kept;
}

int machine_without(struct machine *m, struct device *const disks[], size_t count, struct strlist *ret_told,
		    struct error *e)
{
	_cleanup_(leaving) struct leaving l = { .m = m };

	mark(&l, disks, count);
	int r = check_all(&l, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		_cleanup_(free) char *shown = disk_describe(disks[i]);

		strlist_addf(ret_told, "old %s is left out, with all that was on it", shown);
	}
	/* before members become NULL: they tell who belongs together */
	leave_entries(&l, m, ret_told);
	leave_boot_disks(&l, m);
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_RAID)
			leave_array(&l, m->devices[i], ret_told);
		else if (m->devices[i]->kind == DEVICE_GROUP)
			leave_group(&l, m->devices[i], ret_told);
		else if (m->devices[i]->kind == DEVICE_BTRFS)
			leave_btrfs(&l, m->devices[i], ret_told);
	machine_remove(m, l.goes);
	return 0;
}

bool machine_can_lack(const struct machine *m, const struct device *disk)
{
	struct device *const disks[] = { (struct device *)disk };
	_cleanup_(leaving) struct leaving l = { .m = m };
	struct error ignored; /* the answer is no */

	mark(&l, disks, 1);
	return check_all(&l, &ignored) == 0;
}

bool map_leaves_out(const char *text)
{
	const char *equals = strchr(text, '=');

	return equals && streq(equals + 1, "none");
}

int machine_leave_out(struct machine *m, const struct strlist *map, struct strlist *ret_told, struct error *e)
{
	_cleanup_(free) struct device **disks = xcalloc(map ? map->count + 1 : 1, sizeof(struct device *));
	size_t count = 0;

	leave_out_missing(m, ret_told);
	for (size_t i = 0; map && i < map->count; i++) {
		const char *text = map->items[i];
		_cleanup_(free) char *name = xstrndup(text, strcspn(text, "="));

		if (!map_leaves_out(text))
			continue;
		disks[count] = machine_find_disk(m, name);
		if (!disks[count++])
			return error_text(e, ENODEV, "--map %s: the old machine had no disk '%s'", text,
					  name);
	}
	int r = count ? machine_without(m, disks, count, ret_told, e) : 0;

	if (r < 0)
		error_prefix(e, "--map %s=none: the machine cannot do without it", disks[0]->name);
	else
		settle_singles(m);
	return r;
}
