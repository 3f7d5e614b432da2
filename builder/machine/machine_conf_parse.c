/* Reading machine.conf: first the form of each section (a schema), then the values into the model,
 * then machine_conf_check.c looks at how they fit together. */
#include "machine/machine_conf.h"

#include "conf/ini.h"
#include "machine/check.h"
#include "machine/fs.h"
#include "machine/table.h"
#include "machine/text.h"

#include <errno.h>

struct parse {
	const struct ini *ini;
	const struct ini_section *section; /* that is being read */
	struct machine *m;
	struct error *e;
};

static int check_text(const char *value)
{
	_cleanup_(free) char *text = NULL;

	return text_unescape(value, &text);
}

static int check_yes_no(const char *value)
{
	bool ignored;

	return parse_bool(value, &ignored);
}

static int check_positive(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v == 0 ? -EINVAL : 0;
}

/* What off_t holds: sums of two of them fit into 64 bits. */
static int check_bytes(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v == 0 || v > INT64_MAX ? -EINVAL : 0;
}

static int check_sector_size(const char *value)
{
	return streq(value, "512") || streq(value, "4096") ? 0 : -EINVAL;
}

static int check_table(const char *value)
{
	return streq(value, "none") || table_find_name(value) ? 0 : -EINVAL;
}

static int check_firmware(const char *value)
{
	return streq(value, "bios") || streq(value, "uefi") ? 0 : -EINVAL;
}

static int check_attributes(const char *value)
{
	const char *digits = str_after(value, "0x");

	return digits && *digits && strlen(digits) <= 16 && !digits[strspn(digits, "0123456789abcdefABCDEF")]
		       ? 0
		       : -EINVAL;
}

static int check_part_content(const char *value)
{
	return streq(value, "extended") || streq(value, "raw") ? 0 : -EINVAL;
}

/* Absolute and without tricks: recovery mounts there, below its own folder. */
static int check_mountpoint(const char *value)
{
	if (*value != '/')
		return -EINVAL;
	if (!value[1])
		return 0;
	for (const char *p = value; *p;) {
		size_t n = strcspn(++p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		p += n;
	}
	return check_text(value);
}

/* A part of file names. */
static int check_stream(const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *value && !value[strspn(value, allowed)] ? 0 : -EINVAL;
}

static int check_loader(const char *value)
{
	return streq(value, "grub") ? 0 : -EINVAL;
}

static int check_target(const char *value)
{
	return streq(value, "i386-pc") ? 0 : -EINVAL;
}

static const struct ini_key machine_keys[] = {
	{ "hostname", "a text", check_text },
	{ "os", "a text", check_text },
	{ "arch", "a text", check_text },
	{ "kernel", "a text", check_text },
	{ "created", "a text", check_text },
	{ "firmware", "bios or uefi", check_firmware },
	{ NULL, NULL, NULL },
};
static const struct ini_key disk_keys[] = {
	{ "path", "a text (\\xHH for special bytes)", check_text },
	{ "model", "a text (\\xHH for special bytes)", check_text },
	{ "serial", "a text (\\xHH for special bytes)", check_text },
	{ "wwn", "a text (\\xHH for special bytes)", check_text },
	{ "bus", "a text", check_text },
	{ "removable", "yes or no", check_yes_no },
	{ "size", "a positive number of bytes", check_bytes },
	{ "sector-size", "512 or 4096", check_sector_size },
	{ "table", "gpt, mbr or none", check_table },
	{ "table-id", "a text", check_text },
	{ "first-usable", "a number of bytes", check_number },
	{ NULL, NULL, NULL },
};
static const struct ini_key partition_keys[] = {
	{ "disk", "a text", check_text },
	{ "number", "a positive number", check_positive },
	{ "start", "a positive number of bytes", check_bytes },
	{ "size", "a positive number of bytes", check_bytes },
	{ "type", "a text", check_text },
	{ "uuid", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits", check_uuid },
	{ "name", "a text (\\xHH for special bytes)", check_text },
	{ "active", "yes or no", check_yes_no },
	{ "attributes", "0x and up to 16 hexadecimal digits", check_attributes },
	{ "content", "extended or raw (file systems and swap have sections)", check_part_content },
	{ NULL, NULL, NULL },
};
static const struct ini_key boot_keys[] = {
	{ "loader", "grub", check_loader },
	{ "target", "i386-pc", check_target },
	{ "disk", "a text", check_text },
	{ NULL, NULL, NULL },
};
static const struct ini_key boot_entry_keys[] = {
	{ "label", "a text (\\xHH for special bytes)", check_text },
	{ "partition", "a text", check_text },
	{ "path", "an absolute path without . and ..", check_mountpoint },
	{ NULL, NULL, NULL },
};
static const struct ini_key content_keys[] = {
	{ "type", "a text", check_text },
	{ "uuid", "a text", check_text },
	{ "label", "a text (\\xHH for special bytes)", check_text },
	{ "mountpoint", "an absolute path without . and ..", check_mountpoint },
	{ "options", "a text (\\xHH for special bytes)", check_text },
	{ "used", "a number of bytes", check_number },
	{ "stream", "letters, digits, _ and -", check_stream },
	{ "method", "letters, digits, _ and -", check_stream },
	{ NULL, NULL, NULL },
};

/* What every content has, and then what the file systems of that kind add. The caller frees. */
static struct ini_key *keys_of_content(enum content_kind kind)
{
	size_t count = 0, most = sizeof(content_keys) / sizeof(*content_keys);

	for (size_t i = 0; fs_all[i]; i++)
		for (const struct ini_key *k = fs_all[i]->keys; k->key; k++)
			most++;
	struct ini_key *keys = xcalloc(most, sizeof(*keys)); /* ends with a NULL key */

	for (const struct ini_key *k = content_keys; k->key; k++)
		keys[count++] = *k;
	for (size_t i = 0; fs_all[i]; i++)
		for (const struct ini_key *k = fs_all[i]->keys; fs_all[i]->kind == kind && k->key; k++)
			keys[count++] = *k;
	return keys;
}

static char *get_text(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);
	char *text = NULL;

	if (value && text_unescape(value, &text) < 0)
		return xstrdup(value); /* the schema has refused it before */
	return text;
}

static uint64_t get_number(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);
	uint64_t v = 0;

	if (value && parse_u64(value, &v) < 0)
		return 0; /* as above */
	return v;
}

static bool get_bool(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);

	return value && streq(value, "yes");
}

/* The line of a key, or of its section when it is not there. */
static unsigned line_of(const struct ini_section *s, const char *key)
{
	const struct ini_entry *entry = ini_entry(s, key);

	return entry ? entry->line : s->line;
}

static int require(const struct parse *p, const char *const keys[])
{
	for (; *keys; keys++)
		if (!ini_entry(p->section, *keys))
			return ini_error(p->ini, p->section->line, p->e,
					 "[%s%s%s] lacks '%s'; expected %s = … below it", p->section->kind,
					 *p->section->name ? " " : "", p->section->name, *keys, *keys);
	return 0;
}

static int parse_machine(const struct parse *p)
{
	static const char *const needed[] = { "firmware", NULL };
	const struct ini_section *s = p->section;

	p->m->hostname = get_text(s, "hostname");
	p->m->os = get_text(s, "os");
	p->m->arch = get_text(s, "arch");
	p->m->kernel = get_text(s, "kernel");
	p->m->created = get_text(s, "created");
	const char *firmware = ini_get(s, "firmware");

	p->m->firmware = firmware && streq(firmware, "uefi") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	return require(p, needed);
}

/* One name, one device: [disk x] and [partition x] would be told apart by nothing. */
static int check_name(const struct parse *p)
{
	const struct ini_section *s = p->section;
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (s->name[strspn(s->name, allowed)])
		return ini_error(p->ini, s->line, p->e, "bad name '%s'; expected letters, digits, _ and -",
				 s->name);
	if (machine_find(p->m, s->name))
		return ini_error(p->ini, s->line, p->e, "'%s' is there twice; expected a name of its own",
				 s->name);
	return 0;
}

static int parse_disk(const struct parse *p)
{
	static const char *const needed[] = { "size", "sector-size", "table", NULL };
	const struct ini_section *s = p->section;
	int r = require(p, needed);

	if (r == 0)
		r = check_name(p);
	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_DISK, s->name);
	const struct table_ops *table = table_find_name(ini_get(s, "table"));

	d->identity = (struct disk_identity) {
		.path = get_text(s, "path"),
		.model = get_text(s, "model"),
		.serial = get_text(s, "serial"),
		.wwn = get_text(s, "wwn"),
		.bus = get_text(s, "bus"),
		.removable = get_bool(s, "removable"),
	};
	d->size = get_number(s, "size");
	d->sector_size = (uint32_t)get_number(s, "sector-size");
	d->table = table ? table->kind : TABLE_NONE;
	d->table_id = get_text(s, "table-id");
	d->first_usable = get_number(s, "first-usable");
	if (table && d->table_id && table->check_id(d->table_id) < 0)
		return ini_error(p->ini, line_of(s, "table-id"), p->e,
				 "bad value '%s' for 'table-id'; expected %s", d->table_id,
				 table->id_expected);
	return 0;
}

static int parse_partition_type(const struct parse *p, const struct device *d)
{
	const struct ini_section *s = p->section;
	const struct table_ops *table = table_find(d->parent->table);

	if (!table)
		return ini_error(p->ini, line_of(s, "disk"), p->e,
				 "disk '%s' has no partition table; expected table = gpt or mbr in [disk %s]",
				 d->parent->name, d->parent->name);
	if (table->check_type(d->part_type) < 0)
		return ini_error(p->ini, line_of(s, "type"), p->e, "bad value '%s' for 'type'; expected %s",
				 d->part_type, table->type_expected);
	if (d->number > table->last_number)
		return ini_error(p->ini, line_of(s, "number"), p->e,
				 "number %u is too high; expected at most %u", d->number, table->last_number);
	return 0;
}

static int parse_partition(const struct parse *p)
{
	static const char *const needed[] = { "disk", "number", "start", "size", "type", NULL };
	const struct ini_section *s = p->section;
	int r = require(p, needed);

	if (r == 0)
		r = check_name(p);
	if (r < 0)
		return r;
	struct device *parent = machine_find(p->m, ini_get(s, "disk"));
	const char *attributes = ini_get(s, "attributes"), *content = ini_get(s, "content");
	uint64_t number = get_number(s, "number");

	if (!parent || parent->kind != DEVICE_DISK)
		return ini_error(p->ini, line_of(s, "disk"), p->e,
				 "disk '%s' is not described; expected the name of a [disk NAME] above",
				 ini_get(s, "disk"));
	struct device *d = machine_add(p->m, DEVICE_PARTITION, s->name);

	d->parent = parent;
	d->number = number > UINT32_MAX ? UINT32_MAX : (unsigned)number;
	d->start = get_number(s, "start");
	d->size = get_number(s, "size");
	d->part_type = get_text(s, "type");
	d->part_uuid = get_text(s, "uuid");
	d->part_name = get_text(s, "name");
	d->active = get_bool(s, "active");
	d->attributes = attributes ? strtoull(attributes, NULL, 16) : 0;
	if (content)
		d->content.kind = streq(content, "raw") ? CONTENT_RAW : CONTENT_EXTENDED;
	return parse_partition_type(p, d);
}

/* Keys that belong to another file system than this one, and values that this one does not like. */
static int check_parameters(const struct parse *p, const struct fs_ops *ops, const char *type)
{
	for (size_t i = 0; i < p->section->count; i++) {
		const struct ini_entry *entry = &p->section->entries[i];
		const struct ini_key *k = ops->keys;

		if (!str_after(entry->key, "fs."))
			continue;
		while (k->key && !streq(k->key, entry->key))
			k++;
		if (!k->key)
			return ini_error(p->ini, entry->line, p->e,
					 "'%s' does not belong to type %s; expected one of its own",
					 entry->key, type);
	}
	const char *uuid = ini_get(p->section, "uuid");

	if (uuid && ops->check_uuid(uuid) < 0)
		return ini_error(p->ini, line_of(p->section, "uuid"), p->e,
				 "bad value '%s' for 'uuid'; expected %s", uuid, ops->uuid_expected);
	return 0;
}

static void take_content(const struct ini_section *s, enum content_kind kind, struct content *c)
{
	c->kind = kind;
	c->type = get_text(s, "type");
	c->uuid = get_text(s, "uuid");
	c->label = get_text(s, "label");
	c->used = get_number(s, "used");
	c->mountpoint = get_text(s, "mountpoint");
	c->mount_options = get_text(s, "options");
	c->stream = get_text(s, "stream");
	c->method = get_text(s, "method");
	for (size_t i = 0; i < s->count; i++) {
		const char *key = str_after(s->entries[i].key, "fs.");
		_cleanup_(free) char *value = NULL;

		if (key && text_unescape(s->entries[i].value, &value) == 0)
			key_values_set(&c->parameters, key, value);
	}
}

static int parse_content(const struct parse *p)
{
	static const char *const needed[] = { "type", NULL };
	const struct ini_section *s = p->section;
	enum content_kind kind = streq(s->kind, "swap") ? CONTENT_SWAP : CONTENT_FILESYSTEM;
	struct device *d = machine_find(p->m, s->name);
	int r = require(p, needed);

	if (r < 0)
		return r;
	const char *type = ini_get(s, "type");
	const struct fs_ops *ops = fs_find(type);

	if (!d)
		return ini_error(p->ini, s->line, p->e,
				 "device '%s' is not described; expected a [partition %s] or [disk %s] above",
				 s->name, s->name, s->name);
	if (!ops || ops->kind != kind) {
		_cleanup_(free) char *known = fs_names(kind);

		return ini_error(p->ini, line_of(s, "type"), p->e,
				 "bad value '%s' for 'type'; expected one of: %s", type, known);
	}
	if (d->content.kind != CONTENT_NONE || (d->kind == DEVICE_DISK && d->table != TABLE_NONE))
		return ini_error(p->ini, s->line, p->e,
				 "'%s' holds something else already; expected a device without other content",
				 s->name);
	r = check_parameters(p, ops, type);
	if (r < 0)
		return r;
	if (!ini_get(s, "stream") != !ini_get(s, "method"))
		return ini_error(p->ini, s->line, p->e,
				 "[%s %s] has only one of 'stream' and 'method'; expected both", s->kind,
				 s->name);
	take_content(s, kind, &d->content);
	return 0;
}

static int parse_boot(const struct parse *p)
{
	static const char *const needed[] = { "loader", "target", "disk", NULL };
	const struct ini_section *s = p->section;
	int r = require(p, needed);

	if (r < 0)
		return r;
	const struct device *d = machine_find(p->m, ini_get(s, "disk"));

	if (!d || d->kind != DEVICE_DISK)
		return ini_error(p->ini, line_of(s, "disk"), p->e,
				 "disk '%s' is not described; expected the name of a [disk NAME] above",
				 ini_get(s, "disk"));
	p->m->boot_loader = get_text(s, "loader");
	p->m->boot_target = get_text(s, "target");
	p->m->boot_disk = get_text(s, "disk");
	return 0;
}

static int parse_boot_entry(const struct parse *p)
{
	static const char *const needed[] = { "label", "partition", "path", NULL };
	const struct ini_section *s = p->section;
	int r = require(p, needed);

	if (r < 0)
		return r;
	struct device *d = machine_find(p->m, ini_get(s, "partition"));
	_cleanup_(free) char *label = get_text(s, "label"), *path = get_text(s, "path");

	if (p->m->firmware != FIRMWARE_UEFI)
		return ini_error(p->ini, s->line, p->e,
				 "BIOS firmware has no boot entries; expected firmware = uefi in [machine]");
	if (!d || d->kind != DEVICE_PARTITION || !d->part_uuid)
		return ini_error(p->ini, line_of(s, "partition"), p->e,
				 "'%s' is no GPT partition; expected the name of a [partition NAME] above "
				 "that has a uuid",
				 ini_get(s, "partition"));
	if (!d->content.type || !streq(d->content.type, "vfat"))
		return ini_error(p->ini, line_of(s, "partition"), p->e,
				 "%s holds no vfat; firmware starts nothing else", d->name);
	if (!d->content.stream || !d->content.mountpoint)
		return ini_error(p->ini, line_of(s, "partition"), p->e,
				 "what the firmware starts lies on %s, which is not in the backup; expected "
				 "'mountpoint', 'stream' and 'method' in [filesystem %s]",
				 d->name, d->name);
	machine_add_boot_entry(p->m, label, d, path);
	return 0;
}

int machine_conf_parse(const char *file, const char *text, struct machine *ret, struct error *e)
{
	_cleanup_(free) struct ini_key *fs_keys = keys_of_content(CONTENT_FILESYSTEM);
	_cleanup_(free) struct ini_key *swap_keys = keys_of_content(CONTENT_SWAP);
	const struct ini_schema schemas[] = {
		{ "machine", false, machine_keys },
		{ "disk", true, disk_keys },
		{ "partition", true, partition_keys },
		{ "filesystem", true, fs_keys },
		{ "swap", true, swap_keys },
		{ "boot", false, boot_keys },
		{ "boot-entry", true, boot_entry_keys },
		{ NULL, false, NULL },
	};
	static int (*const parsers[])(const struct parse *) = {
		parse_machine, parse_disk, parse_partition,  parse_content,
		parse_content, parse_boot, parse_boot_entry,
	};
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(ini) struct ini ini = INI_NONE;
	int r = ini_parse_text(file, text, &ini, e);

	if (r == 0)
		r = ini_check(&ini, schemas, e);
	for (size_t i = 0; i < ini.count && r == 0; i++) {
		struct parse p = { .ini = &ini, .section = &ini.sections[i], .m = &m, .e = e };

		for (size_t k = 0; schemas[k].kind && r == 0; k++)
			if (streq(schemas[k].kind, ini.sections[i].kind))
				r = parsers[k](&p);
	}
	if (r == 0)
		r = machine_check(&m, &ini, e);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct machine) { 0 };
	return 0;
}
