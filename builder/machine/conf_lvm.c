/* [group NAME] and [volume GROUP/NAME] of machine.conf: read and written. */
#include "machine/conf_parse.h"

#include "machine/layer.h"
#include "machine/placement.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

/* ---- forms ---- */

static int check_lvm_uuid(const char *value)
{
	static const unsigned lengths[] = { 6, 4, 4, 4, 4, 4, 6, 0 };

	return conf_check_groups(value, lengths, '-', isalnum);
}

static int check_volume_type(const char *value)
{
	return volume_type_known(value) ? 0 : -EINVAL;
}

static int check_allocation(const char *value)
{
	static const char *const known[] = { "contiguous", "cling", "cling_by_tags", "normal", "anywhere" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (streq(value, known[i]))
			return 0;
	return -EINVAL;
}

static int check_discards(const char *value)
{
	return streq(value, "ignore") || streq(value, "nopassdown") || streq(value, "passdown") ? 0 : -EINVAL;
}

static int check_when_full(const char *value)
{
	return streq(value, "queue") || streq(value, "error") ? 0 : -EINVAL;
}

static int check_small(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v > 1024 ? -ERANGE : 0;
}

#define ALLOCATION_FORM "contiguous, cling, cling_by_tags, normal or anywhere"
#define LVM_UUID_FORM "6-4-4-4-4-4-6 letters and digits"

const struct ini_key conf_group_keys[] = {
	{ "devices", "device names with commas between them", conf_check_text },
	{ "device-uuids", LVM_UUID_FORM ", with commas between them", conf_check_text },
	{ "device-starts", "numbers of bytes with commas between them", conf_check_text },
	{ "uuid", LVM_UUID_FORM, check_lvm_uuid },
	{ "spare-uuid", LVM_UUID_FORM, check_lvm_uuid },
	{ "extent-size", "a power of two, in bytes", conf_check_power },
	{ "tags", "tags of LVM with commas between them", conf_check_text },
	{ "allocation", ALLOCATION_FORM, check_allocation },
	{ NULL, NULL, NULL },
};
const struct ini_key conf_volume_keys[] = {
	{ "type", "linear, striped, mirror, raid0 to raid10, thin-pool or thin", check_volume_type },
	{ "uuid", LVM_UUID_FORM, check_lvm_uuid },
	{ "size", "a positive number of bytes", conf_check_bytes },
	{ "stripes", "a number up to 1024", check_small },
	{ "mirrors", "a number up to 1024", check_small },
	{ "stripe-size", "a power of two, in bytes", conf_check_power },
	{ "metadata-size", "a positive number of bytes", conf_check_bytes },
	{ "chunk-size", "a positive number of bytes", conf_check_bytes },
	{ "tags", "tags of LVM with commas between them", conf_check_text },
	{ "region-size", "a power of two, in bytes", conf_check_power },
	{ "read-only", "yes or no", conf_check_yes_no },
	{ "allocation", ALLOCATION_FORM, check_allocation },
	{ "discards", "ignore, nopassdown or passdown", check_discards },
	{ "zero", "yes or no", conf_check_yes_no },
	{ "when-full", "queue or error", check_when_full },
	{ "pool", "the name of a thin pool: GROUP/NAME", conf_check_text },
	{ "on", "segments with commas between them: DEVICE … :SIZE", conf_check_text },
	{ "part-uuids", "parts with commas between them: NAME:UUID", conf_check_text },
	{ NULL, NULL, NULL },
};

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
	int r = conf_require_named(p, needed);

	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_GROUP, s->name);

	d->group.uuid = conf_text(s, "uuid");
	d->group.tags = conf_text(s, "tags");
	d->group.spare_uuid = conf_text(s, "spare-uuid");
	d->group.extent_size = conf_number(s, "extent-size");
	d->group.allocation = conf_text(s, "allocation");
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
	int r = conf_require_named(p, needed);

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
		.region_size = conf_number(s, "region-size"),
		.read_only = conf_yes(s, "read-only"),
		.allocation = conf_text(s, "allocation"),
		.discards = conf_text(s, "discards"),
		.unzeroed = ini_get(s, "zero") && !conf_yes(s, "zero"),
		.error_when_full = ini_get(s, "when-full") && streq(ini_get(s, "when-full"), "error"),
	};
	if (volume_is_pool(d))
		d->content.kind = CONTENT_RAW; /* holds the thin volumes, nothing else */
	r = parse_pool(p, d);
	if (r == 0)
		r = parse_places(p, d);
	return r < 0 ? r : parse_parts(p, d);
}

/* ---- writing ---- */

void conf_put_group(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "group", d->name);
	_cleanup_(strlist) struct strlist uuids = { 0 }, starts = { 0 };

	for (size_t i = 0; i < d->below_count; i++) {
		strlist_add(&uuids, d->group.physical[i].uuid);
		strlist_addf(&starts, "%" PRIu64, d->group.physical[i].start);
	}
	_cleanup_(free) char *joined_uuids = strlist_join(&uuids, ", ");
	_cleanup_(free) char *joined_starts = strlist_join(&starts, ", ");

	conf_put_names(s, "devices", d->below, d->below_count);
	conf_put(s, "device-uuids", joined_uuids);
	conf_put(s, "device-starts", joined_starts);
	conf_put(s, "uuid", d->group.uuid);
	conf_put(s, "spare-uuid", d->group.spare_uuid);
	conf_put_number(s, "extent-size", d->group.extent_size);
	conf_put(s, "tags", d->group.tags);
	conf_put(s, "allocation", d->group.allocation);
}

void conf_put_volume(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "volume", d->name);
	_cleanup_(free) char *on = placement_format(&d->volume);
	_cleanup_(strbuf) struct strbuf parts = { 0 };

	for (size_t i = 0; i < d->volume.parts.count; i++)
		strbuf_printf(&parts, "%s%s:%s", i ? ", " : "", d->volume.parts.items[i].key,
			      d->volume.parts.items[i].value);

	conf_put(s, "type", d->volume.type);
	conf_put(s, "uuid", d->volume.uuid);
	conf_put_number(s, "size", d->size);
	conf_put_number(s, "stripes", d->volume.stripes);
	conf_put_number(s, "mirrors", d->volume.mirrors);
	conf_put_number(s, "stripe-size", d->volume.stripe_size);
	conf_put_number(s, "metadata-size", d->volume.metadata_size);
	conf_put_number(s, "chunk-size", d->volume.chunk_size);
	conf_put(s, "discards", d->volume.discards);
	if (d->volume.unzeroed)
		ini_set(s, "zero", "no");
	if (d->volume.error_when_full)
		ini_set(s, "when-full", "error");
	conf_put_number(s, "region-size", d->volume.region_size);
	if (d->volume.read_only)
		ini_set(s, "read-only", "yes");
	conf_put(s, "allocation", d->volume.allocation);
	conf_put(s, "tags", d->volume.tags);
	if (d->volume.pool)
		conf_put(s, "pool", d->volume.pool->name);
	conf_put(s, "on", on);
	conf_put(s, "part-uuids", parts.data);
}
