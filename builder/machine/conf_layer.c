/* [raid NAME], [crypt NAME], [group NAME] and [volume GROUP/NAME] of machine.conf: read and written. */
#include "machine/conf_parse.h"

#include "machine/fs.h"
#include "machine/layer.h"
#include "machine/placement.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

/* ---- forms ---- */

static int check_level(const char *value)
{
	return raid_level_known(value) ? 0 : -EINVAL;
}

static int check_metadata(const char *value)
{
	static const char *const known[] = { "0.90", "1.0", "1.1", "1.2" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (streq(value, known[i]))
			return 0;
	return -EINVAL;
}

/* Groups of characters of a class, with `between` them; `lengths` ends with 0. */
static int check_groups(const char *value, const unsigned lengths[], char between, int (*is)(int))
{
	for (; *lengths; lengths++) {
		for (unsigned i = 0; i < *lengths; i++)
			if (!is((unsigned char)*value++)) /* not behind the end: that is no such character */
				return -EINVAL;
		if (lengths[1] && *value++ != between)
			return -EINVAL;
	}
	return *value ? -EINVAL : 0;
}

static int check_raid_uuid(const char *value)
{
	static const unsigned lengths[] = { 8, 8, 8, 8, 0 };

	return check_groups(value, lengths, ':', isxdigit);
}

static int check_lvm_uuid(const char *value)
{
	static const unsigned lengths[] = { 6, 4, 4, 4, 4, 4, 6, 0 };

	return check_groups(value, lengths, '-', isalnum);
}

/* What becomes an argument of mdadm or cryptsetup. */
static int check_word(const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:+";

	return *value && *value != '-' && !value[strspn(value, allowed)] ? 0 : -EINVAL;
}

static int check_luks(const char *value)
{
	return streq(value, "luks1") || streq(value, "luks2") ? 0 : -EINVAL;
}

static int check_volume_type(const char *value)
{
	return volume_type_known(value) ? 0 : -EINVAL;
}

static int check_small(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v > 1024 ? -ERANGE : 0;
}

/* A power of two, as LVM wants extents and chunks to be. */
static int check_power(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v < 512 || v > (uint64_t)1 << 40 || (v & (v - 1)) ? -EINVAL : 0;
}

#define UUID_FORM "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits"
#define LVM_UUID_FORM "6-4-4-4-4-4-6 letters and digits"

const struct ini_key conf_raid_keys[] = {
	{ "devices", "device names with commas between them, or missing", conf_check_text },
	{ "spares", "device names with commas between them", conf_check_text },
	{ "level", "raid0, raid1, raid4, raid5, raid6 or raid10", check_level },
	{ "metadata", "0.90, 1.0, 1.1 or 1.2", check_metadata },
	{ "uuid", "four times eight hexadecimal digits with : between them", check_raid_uuid },
	{ "name", "letters, digits, and one of _-.:+", check_word },
	{ "layout", "a layout of mdadm, as left-symmetric or n2", check_word },
	{ "chunk", "a positive number of bytes", conf_check_bytes },
	{ "component-size", "a positive number of bytes", conf_check_bytes },
	{ "data-offset", "a number of bytes", check_number },
	{ "bitmap", "yes or no", conf_check_yes_no },
	{ NULL, NULL, NULL },
};
const struct ini_key conf_crypt_keys[] = {
	{ "device", "a device name", conf_check_text },
	{ "type", "luks1 or luks2", check_luks },
	{ "uuid", UUID_FORM, check_uuid },
	{ "label", "a text (\\xHH for special bytes)", conf_check_text },
	{ "cipher", "a cipher of cryptsetup, as aes-xts-plain64", check_word },
	{ "key-bits", "a positive number", conf_check_positive },
	{ "offset", "a positive number of bytes", conf_check_bytes },
	{ "sector-size", "512 or a larger power of two", check_power },
	{ "stream", "letters, digits, _ and -", conf_check_stream },
	{ NULL, NULL, NULL },
};
const struct ini_key conf_group_keys[] = {
	{ "devices", "device names with commas between them", conf_check_text },
	{ "device-uuids", LVM_UUID_FORM ", with commas between them", conf_check_text },
	{ "device-starts", "numbers of bytes with commas between them", conf_check_text },
	{ "uuid", LVM_UUID_FORM, check_lvm_uuid },
	{ "spare-uuid", LVM_UUID_FORM, check_lvm_uuid },
	{ "extent-size", "a power of two, in bytes", check_power },
	{ "tags", "tags of LVM with commas between them", conf_check_text },
	{ NULL, NULL, NULL },
};
const struct ini_key conf_volume_keys[] = {
	{ "type", "linear, striped, mirror, raid0 to raid10, thin-pool or thin", check_volume_type },
	{ "uuid", LVM_UUID_FORM, check_lvm_uuid },
	{ "size", "a positive number of bytes", conf_check_bytes },
	{ "stripes", "a number up to 1024", check_small },
	{ "mirrors", "a number up to 1024", check_small },
	{ "stripe-size", "a power of two, in bytes", check_power },
	{ "metadata-size", "a positive number of bytes", conf_check_bytes },
	{ "chunk-size", "a positive number of bytes", conf_check_bytes },
	{ "tags", "tags of LVM with commas between them", conf_check_text },
	{ "pool", "the name of a thin pool: GROUP/NAME", conf_check_text },
	{ "on", "segments with commas between them: DEVICE … :SIZE", conf_check_text },
	{ "part-uuids", "parts with commas between them: NAME:UUID", conf_check_text },
	{ NULL, NULL, NULL },
};

/* ---- reading ---- */

/* The named device becomes a part of `d`: it must be there, and be nothing else yet. */
static int add_member(const struct conf_parse *p, struct device *d, const char *key, const char *name,
		      const char *type)
{
	const struct ini_section *s = p->section;
	struct device *below = machine_find(p->m, name);

	if (!below || below == d || below->kind == DEVICE_GROUP || below->kind == DEVICE_BTRFS)
		return ini_error(p->ini, conf_line(s, key), p->e,
				 "device '%s' is not described; expected the name of a device above", name);
	if (below->content.kind != CONTENT_NONE || (below->kind == DEVICE_DISK && below->table != TABLE_NONE))
		return ini_error(p->ini, conf_line(s, key), p->e,
				 "'%s' holds something else already; expected a device without other content",
				 name);
	below->content.kind = CONTENT_MEMBER;
	below->content.type = xstrdup(type);
	device_add_below(d, below);
	return 0;
}

int conf_add_members(const struct conf_parse *p, struct device *d, const char *key, const char *type)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int r = 0;

	conf_split(p->section, key, &names);
	for (size_t i = 0; i < names.count && r == 0; i++)
		if ((d->kind == DEVICE_RAID || d->kind == DEVICE_BTRFS) && streq(names.items[i], "missing"))
			device_add_below(d, NULL);
		else
			r = add_member(p, d, key, names.items[i], type);
	if (r == 0 && names.count == 0 && ini_entry(p->section, key))
		r = ini_error(p->ini, conf_line(p->section, key), p->e,
			      "no device is named; expected device names with commas between them");
	return r;
}

int conf_parse_raid(const struct conf_parse *p)
{
	static const char *const needed[] = {
		"devices", "level", "metadata", "uuid", "component-size", NULL
	};
	const struct ini_section *s = p->section;
	int r = conf_require(p, needed);

	if (r == 0)
		r = conf_check_name(p);
	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_RAID, s->name);

	d->raid = (struct raid) {
		.level = conf_text(s, "level"),
		.metadata = conf_text(s, "metadata"),
		.uuid = conf_text(s, "uuid"),
		.name = conf_text(s, "name"),
		.layout = conf_text(s, "layout"),
		.chunk = conf_number(s, "chunk"),
		.component_size = conf_number(s, "component-size"),
		.data_offset = conf_number(s, "data-offset"),
		.bitmap = conf_yes(s, "bitmap"),
	};
	r = conf_add_members(p, d, "devices", "linux_raid_member");
	if (r < 0)
		return r;
	size_t members = d->below_count;

	r = conf_add_members(p, d, "spares", "linux_raid_member");
	d->raid.spares = (unsigned)(d->below_count - members);
	raid_set_overhead(d);
	layer_set_size(d);
	return r;
}

int conf_parse_crypt(const struct conf_parse *p)
{
	static const char *const needed[] = { "device", "type", "uuid", "offset", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require(p, needed);

	if (r == 0)
		r = conf_check_name(p);
	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_CRYPT, s->name);

	d->crypt = (struct crypt) {
		.type = conf_text(s, "type"),
		.uuid = conf_text(s, "uuid"),
		.label = conf_text(s, "label"),
		.cipher = conf_text(s, "cipher"),
		.key_bits = (unsigned)(conf_number(s, "key-bits") & UINT16_MAX),
		.offset = conf_number(s, "offset"),
		.sector_size = (uint32_t)(conf_number(s, "sector-size") & UINT32_MAX),
	};
	r = add_member(p, d, "device", ini_get(s, "device"), "crypto_LUKS");
	if (r < 0)
		return r;
	if (d->crypt.offset >= d->below[0]->size)
		return ini_error(p->ini, conf_line(s, "offset"), p->e,
				 "the data begins behind the end of %s; expected less than %" PRIu64,
				 d->below[0]->name, d->below[0]->size);
	d->below[0]->content.stream = conf_text(s, "stream");
	if (d->below[0]->content.stream)
		d->below[0]->content.method = xstrdup("raw");
	layer_set_size(d);
	return 0;
}

/* A list that has one value for each device of the group. */
static int parse_physical(const struct conf_parse *p, struct device *d)
{
	const struct ini_section *s = p->section;
	_cleanup_(strlist) struct strlist uuids = { 0 }, starts = { 0 };

	conf_split(s, "device-uuids", &uuids);
	conf_split(s, "device-starts", &starts);
	if (uuids.count != d->below_count || starts.count != d->below_count)
		return ini_error(
			p->ini,
			conf_line(s, uuids.count != d->below_count ? "device-uuids" : "device-starts"), p->e,
			"the lists are not of one length; expected as many as 'devices' has: %zu",
			d->below_count);
	d->group.physical = xcalloc(d->below_count, sizeof(*d->group.physical));
	for (size_t i = 0; i < d->below_count; i++) {
		struct physical_volume *v = &d->group.physical[i];

		if (check_lvm_uuid(uuids.items[i]) < 0)
			return ini_error(p->ini, conf_line(s, "device-uuids"), p->e,
					 "bad value '%s' for 'device-uuids'; expected " LVM_UUID_FORM,
					 uuids.items[i]);
		if (parse_u64(starts.items[i], &v->start) < 0 || v->start >= d->below[i]->size)
			return ini_error(p->ini, conf_line(s, "device-starts"), p->e,
					 "bad value '%s' for 'device-starts'; expected a number of bytes, "
					 "less than %" PRIu64,
					 starts.items[i], d->below[i]->size);
		v->uuid = xstrdup(uuids.items[i]);
	}
	return 0;
}

int conf_parse_group(const struct conf_parse *p)
{
	static const char *const needed[] = { "devices", "device-uuids", "device-starts",
					      "uuid",    "extent-size",  NULL };
	const struct ini_section *s = p->section;
	int r = conf_require(p, needed);

	if (r == 0)
		r = conf_check_name(p);
	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_GROUP, s->name);

	d->group.uuid = conf_text(s, "uuid");
	d->group.tags = conf_text(s, "tags");
	d->group.spare_uuid = conf_text(s, "spare-uuid");
	d->group.extent_size = conf_number(s, "extent-size");
	r = conf_add_members(p, d, "devices", "LVM2_member");
	if (r == 0)
		r = parse_physical(p, d);
	if (r == 0)
		layer_set_size(d);
	return r;
}

static int parse_pool(const struct conf_parse *p, struct device *d)
{
	const struct ini_section *s = p->section;
	const char *name = ini_get(s, "pool");
	bool thin = volume_is_thin(d);

	if (thin != (name != NULL))
		return ini_error(
			p->ini, conf_line(s, "pool"), p->e,
			thin ? "a thin volume lies in a pool; expected pool = GROUP/NAME"
			     : "only a thin volume lies in a pool; expected type = thin, or no 'pool'");
	if (!thin)
		return 0;
	d->volume.pool = machine_find(p->m, name);
	if (!d->volume.pool || d->volume.pool->kind != DEVICE_VOLUME || !volume_is_pool(d->volume.pool) ||
	    d->volume.pool->below[0] != d->below[0])
		return ini_error(
			p->ini, conf_line(s, "pool"), p->e,
			"'%s' is no thin pool of this group; expected the name of a [volume] above with "
			"type = thin-pool",
			name);
	return 0;
}

/* A group's device is named once in each segment. */
static int check_segment(const struct conf_parse *p, const struct device *d, const struct strlist *on)
{
	const struct device *group = d->below[0];

	for (size_t i = 0; i < on->count; i++) {
		size_t at = 0, before = 0;

		while (at < group->below_count && !streq(group->below[at]->name, on->items[i]))
			at++;
		if (at == group->below_count)
			return ini_error(p->ini, conf_line(p->section, "on"), p->e,
					 "'%s' is no device of %s; expected one of its 'devices'",
					 on->items[i], group->name);
		while (!streq(on->items[before], on->items[i]))
			before++;
		if (before < i)
			return ini_error(p->ini, conf_line(p->section, "on"), p->e,
					 "'%s' is named twice; expected different devices side by side",
					 on->items[i]);
	}
	return 0;
}

/* How many devices the volume needs side by side; 0: any number. */
static size_t expected_devices(const struct device *d)
{
	const struct volume *v = &d->volume;

	if (volume_is_pool(d))
		return 0;
	if (is_striped_only(v->type))
		return v->stripes ? v->stripes : 1;
	return 0; /* LVM says what a raid lacks */
}

static int parse_places(const struct conf_parse *p, struct device *d)
{
	const struct ini_section *s = p->section;
	const char *text = ini_get(s, "on");
	struct volume *v = &d->volume;
	_cleanup_(free) char *bad = NULL;
	int r = 0;

	if (!text)
		return 0;
	if (volume_is_thin(d))
		return ini_error(p->ini, conf_line(s, "on"), p->e,
				 "a thin volume lies in its pool; expected no 'on'");
	if (placement_parse(text, v, &bad) < 0)
		return ini_error(p->ini, conf_line(s, "on"), p->e,
				 "bad value '%s' for 'on'; expected names of devices and, but for the last, "
				 ":SIZE in bytes",
				 bad);
	for (size_t i = 0; i < v->segment_count && r == 0; i++)
		r = check_segment(p, d, &v->segments[i].on);
	if (r < 0)
		return r;
	if (v->segment_count > 1 && !is_striped_only(v->type) && !volume_is_pool(d))
		return ini_error(p->ini, conf_line(s, "on"), p->e,
				 "a volume of type %s has one segment; expected devices without commas",
				 v->type);
	if (v->segment_count && expected_devices(d) && v->segments[0].on.count != expected_devices(d))
		return ini_error(
			p->ini, conf_line(s, "on"), p->e,
			"%zu devices are named for the first segment; expected %zu, as 'stripes' says",
			v->segments[0].on.count, expected_devices(d));
	if (v->segment_count && segment_size(d, v->segment_count - 1) == 0)
		return ini_error(p->ini, conf_line(s, "on"), p->e,
				 "nothing is left for the last segment; expected smaller ones before it");
	return 0;
}

static int parse_parts(const struct conf_parse *p, struct device *d)
{
	_cleanup_(strlist) struct strlist parts = { 0 };

	conf_split(p->section, "part-uuids", &parts);
	for (size_t i = 0; i < parts.count; i++) {
		_cleanup_(strlist) struct strlist words = { 0 };

		strlist_add_parts(&words, parts.items[i], ':');
		_cleanup_(free) char *full =
			words.count == 2 ? xasprintf("%s_%s", volume_name(d), words.items[0]) : NULL;

		if (!full || !volume_part(d, full) || check_lvm_uuid(words.items[1]) < 0)
			return ini_error(p->ini, conf_line(p->section, "part-uuids"), p->e,
					 "bad value '%s' for 'part-uuids'; expected a part (tdata, "
					 "rimage_0 …), a colon and its UUID",
					 parts.items[i]);
		key_values_set(&d->volume.parts, words.items[0], words.items[1]);
	}
	return 0;
}

int conf_parse_volume(const struct conf_parse *p)
{
	static const char *const needed[] = { "type", "uuid", "size", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require(p, needed);

	if (r == 0)
		r = conf_check_name(p);
	if (r < 0)
		return r;
	_cleanup_(free) char *group_name = xstrndup(s->name, strcspn(s->name, "/"));
	struct device *group = machine_find(p->m, group_name);

	if (!group || group->kind != DEVICE_GROUP)
		return ini_error(p->ini, s->line, p->e,
				 "group '%s' is not described; expected a [group %s] above", group_name,
				 group_name);
	struct device *d = machine_add(p->m, DEVICE_VOLUME, s->name);

	device_add_below(d, group);
	d->size = conf_number(s, "size");
	d->volume = (struct volume) {
		.type = conf_text(s, "type"),
		.uuid = conf_text(s, "uuid"),
		.tags = conf_text(s, "tags"),
		.stripes = (unsigned)(conf_number(s, "stripes") & UINT16_MAX),
		.mirrors = (unsigned)(conf_number(s, "mirrors") & UINT16_MAX),
		.stripe_size = conf_number(s, "stripe-size"),
		.metadata_size = conf_number(s, "metadata-size"),
		.chunk_size = conf_number(s, "chunk-size"),
	};
	if (volume_is_pool(d))
		d->content.kind = CONTENT_RAW; /* holds the thin volumes, nothing else */
	r = parse_pool(p, d);
	if (r == 0)
		r = parse_places(p, d);
	return r < 0 ? r : parse_parts(p, d);
}

/* ---- writing ---- */

static void put_number(struct ini_section *s, const char *key, uint64_t value)
{
	if (value)
		ini_setf(s, key, "%" PRIu64, value);
}

void conf_put_devices(struct ini_section *s, const char *key, struct device *const *devices, size_t count)
{
	_cleanup_(strlist) struct strlist names = { 0 };

	for (size_t i = 0; i < count; i++)
		strlist_add(&names, devices[i] ? devices[i]->name : "missing");
	_cleanup_(free) char *joined = count ? strlist_join(&names, ", ") : NULL;

	conf_put(s, key, joined);
}

static void put_raid(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "raid", d->name);
	unsigned members = raid_members(d);

	conf_put_devices(s, "devices", d->below, members);
	conf_put_devices(s, "spares", d->below + members, d->raid.spares);
	conf_put(s, "level", d->raid.level);
	conf_put(s, "metadata", d->raid.metadata);
	conf_put(s, "uuid", d->raid.uuid);
	conf_put(s, "name", d->raid.name);
	conf_put(s, "layout", d->raid.layout);
	put_number(s, "chunk", d->raid.chunk);
	put_number(s, "component-size", d->raid.component_size);
	put_number(s, "data-offset", d->raid.data_offset);
	if (d->raid.bitmap)
		ini_set(s, "bitmap", "yes");
}

static void put_crypt(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "crypt", d->name);

	conf_put_devices(s, "device", d->below, 1);
	conf_put(s, "type", d->crypt.type);
	conf_put(s, "uuid", d->crypt.uuid);
	conf_put(s, "label", d->crypt.label);
	conf_put(s, "cipher", d->crypt.cipher);
	put_number(s, "key-bits", d->crypt.key_bits);
	put_number(s, "offset", d->crypt.offset);
	put_number(s, "sector-size", d->crypt.sector_size);
	conf_put(s, "stream", d->below[0]->content.stream);
}

static void put_group(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "group", d->name);
	_cleanup_(strlist) struct strlist uuids = { 0 }, starts = { 0 };

	for (size_t i = 0; i < d->below_count; i++) {
		strlist_add(&uuids, d->group.physical[i].uuid);
		strlist_addf(&starts, "%" PRIu64, d->group.physical[i].start);
	}
	_cleanup_(free) char *joined_uuids = strlist_join(&uuids, ", ");
	_cleanup_(free) char *joined_starts = strlist_join(&starts, ", ");

	conf_put_devices(s, "devices", d->below, d->below_count);
	conf_put(s, "device-uuids", joined_uuids);
	conf_put(s, "device-starts", joined_starts);
	conf_put(s, "uuid", d->group.uuid);
	conf_put(s, "spare-uuid", d->group.spare_uuid);
	put_number(s, "extent-size", d->group.extent_size);
	conf_put(s, "tags", d->group.tags);
}

static void put_volume(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "volume", d->name);
	_cleanup_(free) char *on = placement_format(&d->volume);
	_cleanup_(strbuf) struct strbuf parts = { 0 };

	for (size_t i = 0; i < d->volume.parts.count; i++)
		strbuf_printf(&parts, "%s%s:%s", i ? ", " : "", d->volume.parts.items[i].key,
			      d->volume.parts.items[i].value);

	conf_put(s, "type", d->volume.type);
	conf_put(s, "uuid", d->volume.uuid);
	put_number(s, "size", d->size);
	put_number(s, "stripes", d->volume.stripes);
	put_number(s, "mirrors", d->volume.mirrors);
	put_number(s, "stripe-size", d->volume.stripe_size);
	put_number(s, "metadata-size", d->volume.metadata_size);
	put_number(s, "chunk-size", d->volume.chunk_size);
	conf_put(s, "tags", d->volume.tags);
	if (d->volume.pool)
		conf_put(s, "pool", d->volume.pool->name);
	conf_put(s, "on", on);
	conf_put(s, "part-uuids", parts.data);
}

void conf_put_layer(struct ini *ini, const struct device *d)
{
	if (d->kind == DEVICE_RAID)
		put_raid(ini, d);
	else if (d->kind == DEVICE_CRYPT)
		put_crypt(ini, d);
	else if (d->kind == DEVICE_GROUP)
		put_group(ini, d);
	else if (d->kind == DEVICE_VOLUME)
		put_volume(ini, d);
}
