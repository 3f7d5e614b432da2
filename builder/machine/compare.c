#include "machine/compare.h"

#include "conf/ini.h"
#include "machine/layer.h"
#include "machine/machine_conf.h"

#include <errno.h>
#include <strings.h>

struct comparing {
	const struct machine *expected;
	struct machine *found;
	struct device **pairs; /* of each of `expected`: the found one, or NULL */
	const struct machine_compare_options *options;
	uint64_t equal, different;
};

static void comparing_end(struct comparing *c)
{
	free(c->pairs);
}
DEFINE_CLEANUP(comparing, struct comparing, comparing_end)

/* ---- which is which ---- */

static struct device *pair_of(const struct comparing *c, const struct device *d)
{
	for (size_t i = 0; d && i < c->expected->count; i++)
		if (c->expected->devices[i] == d)
			return c->pairs[i];
	return NULL;
}

static bool is_called(const struct device *disk, const char *name, size_t len)
{
	const char *const names[] = { disk->name, disk->identity.serial };

	for (size_t i = 0; i < 2; i++)
		if (names[i] && strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

/* What --map says of it; NULL: nothing. */
static const char *mapped_to(const struct comparing *c, const struct device *disk)
{
	const struct strlist *map = c->options->map;

	for (size_t i = 0; map && i < map->count; i++) {
		const char *equals = strchr(map->items[i], '=');

		if (equals && is_called(disk, map->items[i], (size_t)(equals - map->items[i])))
			return equals + 1;
	}
	return NULL;
}

static bool same_id(const char *a, const char *b)
{
	return a && b && strcasecmp(a, b) == 0;
}

/* A whole disk of a btrfs has no identifier of its own that would be the same again, but its place among the others. */
static bool is_btrfs_disk_of(const struct comparing *c, const struct device *disk, const struct device *f)
{
	const struct device *a = machine_above(c->expected, disk), *b = machine_above(c->found, f);

	if (!a || !b || a->kind != DEVICE_BTRFS || b->kind != DEVICE_BTRFS ||
	    !same_id(a->content.uuid, b->content.uuid))
		return false;
	for (size_t i = 0; i < a->below_count && i < b->below_count; i++)
		if (a->below[i] == disk)
			return b->below[i] == f;
	return false;
}

static bool is_disk_of(const struct comparing *c, const struct device *disk, const struct device *f)
{
	const char *name = mapped_to(c, disk);

	if (f->kind != DEVICE_DISK)
		return false;
	if (name)
		return is_called(f, name, strlen(name));
	if (disk->table != TABLE_NONE)
		return same_id(disk->table_id, f->table_id);
	if (machine_above(c->expected, disk) && machine_above(c->expected, disk)->kind == DEVICE_BTRFS)
		return is_btrfs_disk_of(c, disk, f);
	/* what a layer lies on has no identifier of its own there */
	return same_id(disk->content.uuid, f->content.uuid) ||
	       same_id(disk->identity.serial, f->identity.serial);
}

/* A layer is made of the same. */
static bool is_layer_of(const struct comparing *c, const struct device *d, const struct device *f)
{
	if (d->kind == DEVICE_VOLUME && !streq(volume_name(d), volume_name(f)))
		return false;
	for (size_t i = 0; i < d->below_count; i++) {
		const struct device *below = pair_of(c, d->below[i]);

		for (size_t k = 0; below && k < f->below_count; k++)
			if (f->below[k] == below)
				return true;
	}
	return false;
}

static bool is_pair(const struct comparing *c, const struct device *d, const struct device *f)
{
	if (d->kind != f->kind)
		return false;
	switch (d->kind) {
	case DEVICE_DISK:
		return is_disk_of(c, d, f);
	case DEVICE_PARTITION:
		return d->number == f->number && pair_of(c, d->parent) == f->parent;
	case DEVICE_SUBVOLUME:
		return streq(d->subvolume.path, f->subvolume.path) && pair_of(c, d->parent) == f->parent;
	default:
		return is_layer_of(c, d, f);
	}
}

/* Two disks with one table are no answer. */
static int find_pair(struct comparing *c, size_t index, struct error *e)
{
	const struct device *d = c->expected->devices[index];

	for (size_t i = 0; i < c->found->count; i++) {
		struct device *f = c->found->devices[i];

		if (!is_pair(c, d, f))
			continue;
		if (c->pairs[index])
			return error_text(
				e, ENOTUNIQ,
				"%s and %s both look like the machine's %s: --map %s=NAME says which",
				c->pairs[index]->name, f->name, d->name, d->name);
		c->pairs[index] = f;
	}
	return 0;
}

/* LVM has the devices of a group in the order in which it met them: here, as they stand in the other machine. */
static void order_group(const struct comparing *c, const struct device *d, struct device *f)
{
	for (size_t i = 0; i < d->below_count && i < f->below_count; i++)
		for (size_t k = i + 1; k < f->below_count && f->below[i] != pair_of(c, d->below[i]); k++) {
			struct device *below = f->below[k];
			struct physical_volume physical = f->group.physical[k];

			if (below != pair_of(c, d->below[i]))
				continue;
			f->below[k] = f->below[i];
			f->below[i] = below;
			f->group.physical[k] = f->group.physical[i];
			f->group.physical[i] = physical;
		}
}

/* Where a volume lies is told by names, which are now the other machine's. Before any is changed. */
static void rename_places(const struct comparing *c, struct volume *v)
{
	for (size_t i = 0; i < v->segment_count; i++)
		for (size_t k = 0; k < v->segments[i].on.count; k++)
			for (size_t n = 0; n < c->expected->count; n++) {
				char **name = &v->segments[i].on.items[k];

				if (!c->pairs[n] || !streq(c->pairs[n]->name, *name))
					continue;
				free(*name);
				*name = xstrdup(c->expected->devices[n]->name);
				break;
			}
}

static void settle_layers(const struct comparing *c)
{
	for (size_t i = 0; i < c->expected->count; i++) {
		struct device *f = c->pairs[i];

		if (f && f->kind == DEVICE_GROUP)
			order_group(c, c->expected->devices[i], f);
		else if (f && f->kind == DEVICE_VOLUME)
			rename_places(c, &f->volume);
	}
}

/* The found devices that have a pair come first, in the order and by the names of the others. `*ret_count`: so many. */
static void put_in_order(struct comparing *c, size_t *ret_count)
{
	struct device **devices = xcalloc(c->found->count + 1, sizeof(struct device *));
	size_t count = 0;

	for (size_t i = 0; i < c->expected->count; i++)
		if (c->pairs[i])
			devices[count++] = c->pairs[i];
	*ret_count = count;
	for (size_t i = 0; i < c->found->count; i++) {
		bool paired = false;

		for (size_t k = 0; k < *ret_count && !paired; k++)
			paired = devices[k] == c->found->devices[i];
		if (!paired)
			devices[count++] = c->found->devices[i];
	}
	free(c->found->devices);
	c->found->devices = devices;
	c->found->capacity = c->found->count + 1;
	for (size_t i = 0; i < c->expected->count; i++)
		if (c->pairs[i]) {
			free(c->pairs[i]->name);
			c->pairs[i]->name = xstrdup(c->expected->devices[i]->name);
		}
}

/* ---- what differs ---- */

/* What is the disk's own, what the system says of it, and what only the backup knows. */
static bool is_left_out(const struct ini_section *s, const char *key)
{
	static const struct {
		const char *kind, *key;
	} left_out[] = {
		{ "disk", "path" },
		{ "disk", "model" },
		{ "disk", "serial" },
		{ "disk", "wwn" },
		{ "disk", "bus" },
		{ "disk", "removable" },
		{ "filesystem", "used" },
		{ "filesystem", "mountpoint" },
		{ "filesystem", "options" },
		{ "filesystem", "stream" },
		{ "filesystem", "method" },
		{ "filesystem", "fs.inodes-used" },
		{ "swap", "mountpoint" },
		{ "swap", "options" },
		{ "subvolume", "mountpoint" },
		{ "subvolume", "options" },
		{ "subvolume", "stream" },
		{ "subvolume", "method" },
		{ "crypt", "stream" },
		{ "crypt", "method" },
		{ "subvolume", "snapshot-of" },
		{ "subvolume", "send-parent" },
		/* mkfs.btrfs gives its devices new ones */
		{ "btrfs", "device-ids" },
		{ "btrfs", "device-uuids" },
	};

	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (streq(s->kind, left_out[i].kind) && streq(key, left_out[i].key))
			return true;
	return false;
}

static void compare_value(struct comparing *c, const struct ini_section *s, const char *key,
			  const char *expected, const char *found)
{
	_cleanup_(free) char *what = xasprintf("%s%s%s", s->kind, *s->name ? " " : "", s->name);
	const struct machine_difference d = {
		.what = what, .key = key, .expected = expected, .found = found
	};

	if (is_left_out(s, key))
		return;
	if (expected && found && streq(expected, found)) {
		c->equal++;
		return;
	}
	c->different++;
	c->options->differs(c->options->user, &d);
}

static void compare_sections(struct comparing *c, const struct ini_section *expected,
			     const struct ini_section *found)
{
	for (size_t i = 0; i < expected->count; i++)
		compare_value(c, expected, expected->entries[i].key, expected->entries[i].value,
			      ini_get(found, expected->entries[i].key));
	for (size_t i = 0; i < found->count; i++)
		if (!ini_get(expected, found->entries[i].key))
			compare_value(c, expected, found->entries[i].key, NULL, found->entries[i].value);
}

static void compare_all(struct comparing *c, const struct ini *expected, const struct ini *found)
{
	for (size_t i = 0; i < expected->count; i++) {
		const struct ini_section *s = &expected->sections[i], *same = ini_same_section(found, s);

		/* the rescue system has another name; entries: compare_entries() */
		if (streq(s->kind, "machine") || streq(s->kind, "boot-entry"))
			continue;
		if (same)
			compare_sections(c, s, same);
		else
			compare_value(c, s, "presence", "there", NULL);
	}
	for (size_t i = 0; i < found->count; i++)
		if (!ini_same_section(expected, &found->sections[i]) &&
		    !streq(found->sections[i].kind, "boot-entry"))
			compare_value(c, &found->sections[i], "presence", NULL, "there");
}

/* ---- the firmware's entries ---- */

static bool is_entry(const struct comparing *c, const struct boot_entry *expected, const struct boot_entry *f)
{
	return f->partition == pair_of(c, expected->partition) && streq(f->label, expected->label) &&
	       strcasecmp(f->path, expected->path) == 0;
}

/* Where it is among the found ones; their count when it is not there. */
static size_t find_entry(const struct comparing *c, const struct boot_entry *expected)
{
	size_t i = 0;

	while (i < c->found->boot_entry_count && !is_entry(c, expected, &c->found->boot_entries[i]))
		i++;
	return i;
}

static void compare_entry(struct comparing *c, const struct boot_entry *expected, size_t *least)
{
	size_t at = find_entry(c, expected);
	_cleanup_(free) char *what = xasprintf("boot-entry %s", expected->label);
	const struct machine_difference missing = { .what = what,
						    .key = "presence",
						    .expected = expected->path };
	const struct machine_difference late = {
		.what = what, .key = "order", .expected = "behind the one before it", .found = "before it"
	};

	if (at < c->found->boot_entry_count && at >= *least) {
		c->equal++;
		*least = at;
		return;
	}
	c->different++;
	c->options->differs(c->options->user, at < c->found->boot_entry_count ? &late : &missing);
}

/* All that the machine had, in its order; others (the medium's, the firmware's own) are nobody's. A system that was not started
 * by UEFI cannot see them. */
static void compare_entries(struct comparing *c)
{
	size_t least = 0;

	if (c->found->firmware != FIRMWARE_UEFI)
		return;
	for (size_t i = 0; i < c->expected->boot_entry_count; i++)
		compare_entry(c, &c->expected->boot_entries[i], &least);
}

/* As machine.conf has it: what it says, and what it would say of what was found. */
static int format(const struct machine *m, const char *shown, struct ini *ret, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int r = machine_conf_format(m, &text, e);

	return r < 0 ? r : ini_parse_text(shown, text.data, ret, e);
}

/* What starts the machine is what the first sectors of the disks say that took the old ones' places, or of their partitions;
 * where Syslinux keeps its second stage does not show there. */
static void settle_boot(struct comparing *c)
{
	const char *loader = c->expected->boot_loader;

	if (c->expected->firmware != FIRMWARE_BIOS)
		return;
	for (size_t i = 0; i < c->expected->count; i++) {
		const struct device *d = c->expected->devices[i], *f = c->pairs[i];
		const char *here = f ? f->now.loader : NULL;
		const struct device *disk = d->kind == DEVICE_PARTITION ? d->parent : d;

		if (!here || disk->kind != DEVICE_DISK || (loader && !streq(here, loader)))
			continue;
		strlist_add_once(&c->found->boot_disks, disk->name);
		loader = here;
	}
	if (c->found->boot_disks.count == 0)
		return;
	c->found->boot_loader = xstrdup(loader);
	c->found->boot_target = xstrdup(c->expected->boot_target ? c->expected->boot_target
					: streq(loader, "grub")  ? "i386-pc"
								 : "its folder");
}

int machine_compare(const struct machine *expected, struct machine *found,
		    const struct machine_compare_options *options, uint64_t *ret_equal,
		    uint64_t *ret_different, struct error *e)
{
	_cleanup_(
		comparing) struct comparing c = { .expected = expected, .found = found, .options = options };
	_cleanup_(ini) struct ini was = INI_NONE, is = INI_NONE;
	size_t paired;
	int r = 0;

	c.pairs = xcalloc(expected->count + 1, sizeof(struct device *));
	for (size_t i = 0; i < expected->count && r == 0; i++)
		r = find_pair(&c, i, e);
	if (r < 0)
		return r;
	settle_boot(&c);
	settle_layers(&c);
	put_in_order(&c, &paired);
	struct machine part = *found; /* lent: only what has a pair */

	part.count = paired;
	part.boot_entries = NULL;
	part.boot_entry_count = 0;
	r = format(expected, "machine.conf", &was, e);
	if (r == 0)
		r = format(&part, "what was found", &is, e);
	if (r < 0)
		return r;
	compare_all(&c, &was, &is);
	compare_entries(&c);
	*ret_equal = c.equal;
	*ret_different = c.different;
	return 0;
}
