/* [btrfs NAME] of machine.conf, a btrfs on several devices: read and written. What it holds is in its [filesystem NAME]. */
#include "machine/conf_parse.h"

#include "machine/fs.h"

#include <errno.h>
#include <inttypes.h>

#define UUID_FORM "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits"
#define UNKNOWN "missing" /* instead of what is not known */

const struct ini_key conf_btrfs_keys[] = {
	{ "devices", "device names with commas between them, or missing", conf_check_text },
	{ "device-ids", "positive numbers with commas between them, or missing", conf_check_text },
	{ "device-uuids", UUID_FORM ", with commas between them, or missing", conf_check_text },
	{ "device-sizes", "numbers of bytes with commas between them, or missing", conf_check_text },
	{ NULL, NULL, NULL },
};

static int take_id(struct btrfs_device *d, const char *value)
{
	return parse_u64(value, &d->id) < 0 || d->id == 0 ? -EINVAL : 0;
}

static int take_uuid(struct btrfs_device *d, const char *value)
{
	if (check_uuid(value) < 0)
		return -EINVAL;
	d->uuid = xstrdup(value);
	return 0;
}

static int take_size(struct btrfs_device *d, const char *value)
{
	return parse_u64(value, &d->size) < 0 || d->size == 0 || d->size > INT64_MAX ? -EINVAL : 0;
}

static const struct {
	const char *key, *expected;
	int (*take)(struct btrfs_device *d, const char *value);
} lists[] = {
	{ "device-ids", "a positive number", take_id },
	{ "device-uuids", UUID_FORM, take_uuid },
	{ "device-sizes", "a positive number of bytes", take_size },
};

/* One value for each of the devices. */
static int parse_list(const struct conf_parse *p, struct device *d, size_t index)
{
	const char *key = lists[index].key;
	_cleanup_(strlist) struct strlist values = { 0 };

	conf_split(p->section, key, &values);
	if (!ini_get(p->section, key))
		return 0;
	if (values.count != d->below_count)
		return ini_error(p->ini, conf_line(p->section, key), p->e,
				 "the lists are not of one length; expected as many as 'devices' has: %zu",
				 d->below_count);
	for (size_t i = 0; i < values.count; i++)
		if (!streq(values.items[i], UNKNOWN) &&
		    lists[index].take(&d->btrfs.devices[i], values.items[i]) < 0)
			return ini_error(p->ini, conf_line(p->section, key), p->e,
					 "bad value '%s' for '%s'; expected %s, or " UNKNOWN, values.items[i],
					 key, lists[index].expected);
	return 0;
}

int conf_parse_btrfs(const struct conf_parse *p)
{
	static const char *const needed[] = { "devices", NULL };
	int r = conf_require_named(p, needed);

	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_BTRFS, p->section->name);

	r = conf_add_members(p, d, "devices", "btrfs");
	if (r < 0)
		return r;
	if (!device_first_below(d))
		return ini_error(p->ini, conf_line(p->section, "devices"), p->e,
				 "all devices are missing; expected the name of at least one above");
	d->btrfs.devices = xcalloc(d->below_count, sizeof(*d->btrfs.devices));
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && r == 0; i++)
		r = parse_list(p, d, i);
	return r;
}

void conf_put_btrfs(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "btrfs", d->name);
	_cleanup_(strlist) struct strlist ids = { 0 }, uuids = { 0 }, sizes = { 0 };
	bool has_ids = false, has_uuids = false, has_sizes = false;

	for (size_t i = 0; i < d->below_count; i++) {
		const struct btrfs_device *own = &d->btrfs.devices[i];

		has_ids |= own->id != 0;
		has_uuids |= own->uuid != NULL;
		has_sizes |= own->size != 0;
		strlist_take(&ids, own->id ? xasprintf("%" PRIu64, own->id) : xstrdup(UNKNOWN));
		strlist_add(&uuids, own->uuid ? own->uuid : UNKNOWN);
		strlist_take(&sizes, own->size ? xasprintf("%" PRIu64, own->size) : xstrdup(UNKNOWN));
	}
	_cleanup_(free) char *all_ids = strlist_join(&ids, ", "), *all_uuids = strlist_join(&uuids, ", ");
	_cleanup_(free) char *all_sizes = strlist_join(&sizes, ", ");

	conf_put_names(s, "devices", d->below, d->below_count);
	conf_put(s, "device-ids", has_ids ? all_ids : NULL);
	conf_put(s, "device-uuids", has_uuids ? all_uuids : NULL);
	conf_put(s, "device-sizes", has_sizes ? all_sizes : NULL);
}
