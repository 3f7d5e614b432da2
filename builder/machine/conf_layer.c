/* [raid NAME] and [crypt NAME] of machine.conf, and what those of LVM have in common with them. */
#include "machine/conf_parse.h"

#include "machine/fs.h"
#include "machine/layer.h"

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

static int check_raid_uuid(const char *value)
{
	static const unsigned lengths[] = { 8, 8, 8, 8, 0 };

	return conf_check_groups(value, lengths, ':', isxdigit);
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

#define UUID_FORM "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits"

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
	CONF_TABLE_KEYS,
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
	{ "sector-size", "512 or a larger power of two", conf_check_power },
	{ "stream", "letters, digits, _ and -", conf_check_stream },
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
	if (below->content.kind != CONTENT_NONE || below->table != TABLE_NONE)
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
	int r = conf_require_named(p, needed);

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
	return r < 0 ? r : conf_parse_table(p, d);
}

int conf_parse_crypt(const struct conf_parse *p)
{
	static const char *const needed[] = { "device", "type", "uuid", "offset", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require_named(p, needed);

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
	d->below[0]->content.line = s->line;
	d->below[0]->content.stream = conf_text(s, "stream");
	if (d->below[0]->content.stream)
		d->below[0]->content.method = xstrdup("raw");
	layer_set_size(d);
	return 0;
}

/* ---- writing ---- */

void conf_put_number(struct ini_section *s, const char *key, uint64_t value)
{
	if (value)
		ini_setf(s, key, "%" PRIu64, value);
}

void conf_put_names(struct ini_section *s, const char *key, struct device *const *devices, size_t count)
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

	conf_put_names(s, "devices", d->below, members);
	conf_put_names(s, "spares", d->below + members, d->raid.spares);
	conf_put(s, "level", d->raid.level);
	conf_put(s, "metadata", d->raid.metadata);
	conf_put(s, "uuid", d->raid.uuid);
	conf_put(s, "name", d->raid.name);
	conf_put(s, "layout", d->raid.layout);
	conf_put_number(s, "chunk", d->raid.chunk);
	conf_put_number(s, "component-size", d->raid.component_size);
	conf_put_number(s, "data-offset", d->raid.data_offset);
	if (d->raid.bitmap)
		ini_set(s, "bitmap", "yes");
	if (d->table != TABLE_NONE)
		conf_put_table(s, d);
}

static void put_crypt(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "crypt", d->name);

	conf_put_names(s, "device", d->below, 1);
	conf_put(s, "type", d->crypt.type);
	conf_put(s, "uuid", d->crypt.uuid);
	conf_put(s, "label", d->crypt.label);
	conf_put(s, "cipher", d->crypt.cipher);
	conf_put_number(s, "key-bits", d->crypt.key_bits);
	conf_put_number(s, "offset", d->crypt.offset);
	conf_put_number(s, "sector-size", d->crypt.sector_size);
	conf_put(s, "stream", d->below[0]->content.stream);
}

void conf_put_layer(struct ini *ini, const struct device *d)
{
	if (d->kind == DEVICE_RAID)
		put_raid(ini, d);
	else if (d->kind == DEVICE_CRYPT)
		put_crypt(ini, d);
	else if (d->kind == DEVICE_GROUP)
		conf_put_group(ini, d);
	else if (d->kind == DEVICE_VOLUME)
		conf_put_volume(ini, d);
}
