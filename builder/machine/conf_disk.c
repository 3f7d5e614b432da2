/* [disk NAME] and [partition NAME] of machine.conf. */
#include "machine/conf_parse.h"

#include "machine/boot_loader.h"
#include "machine/fs.h"
#include "machine/table.h"
#include "machine/text.h"

#include <errno.h>
#include <inttypes.h>

static int check_sector_size(const char *value)
{
	return streq(value, "512") || streq(value, "4096") ? 0 : -EINVAL;
}

int conf_check_table(const char *value)
{
	return streq(value, "none") || table_find_name(value) ? 0 : -EINVAL;
}

static int check_attributes(const char *value)
{
	const char *digits = str_after(value, "0x");

	return digits && *digits && strlen(digits) <= 16 && !digits[strspn(digits, "0123456789abcdefABCDEF")]
		       ? 0
		       : -EINVAL;
}

int conf_check_boot_code(const char *value)
{
	unsigned char code[boot_code_size];
	size_t len;

	return boot_code_parse(value, code, &len);
}

static int check_part_content(const char *value)
{
	return streq(value, "extended") || streq(value, "raw") ? 0 : -EINVAL;
}

const struct ini_key conf_disk_keys[] = {
	{ "path", "a text (\\xHH for special bytes)", conf_check_text },
	{ "model", "a text (\\xHH for special bytes)", conf_check_text },
	{ "serial", "a text (\\xHH for special bytes)", conf_check_text },
	{ "wwn", "a text (\\xHH for special bytes)", conf_check_text },
	{ "bus", "a text", conf_check_text },
	{ "removable", "yes or no", conf_check_yes_no },
	{ "size", "a positive number of bytes", conf_check_bytes },
	{ "sector-size", "512 or 4096", check_sector_size },
	CONF_TABLE_KEYS,
	{ NULL, NULL, NULL },
};
const struct ini_key conf_partition_keys[] = {
	{ "disk", "a text", conf_check_text },
	{ "number", "a positive number", conf_check_positive },
	{ "start", "a positive number of bytes", conf_check_bytes },
	{ "size", "a positive number of bytes", conf_check_bytes },
	{ "type", "a text", conf_check_text },
	{ "uuid", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal digits", check_uuid },
	{ "name", "a text (\\xHH for special bytes)", conf_check_text },
	{ "active", "yes or no", conf_check_yes_no },
	{ "attributes", "0x and up to 16 hexadecimal digits", check_attributes },
	{ "content", "extended or raw (file systems and swap have sections)", check_part_content },
	{ NULL, NULL, NULL },
};

int conf_parse_table(const struct conf_parse *p, struct device *d)
{
	const struct ini_section *s = p->section;
	const char *name = ini_get(s, "table");
	const struct table_ops *table = name ? table_find_name(name) : NULL;

	d->table = table ? table->kind : TABLE_NONE;
	d->table_id = conf_text(s, "table-id");
	d->first_usable = conf_number(s, "first-usable");
	d->boot_code = conf_text(s, "boot-code");
	if (d->boot_code && !table)
		return ini_error(
			p->ini, conf_line(s, "boot-code"), p->e,
			"a disk without a partition table has no place for it; expected table = gpt or mbr");
	if (table && d->table_id && table->check_id(d->table_id) < 0)
		return ini_error(p->ini, conf_line(s, "table-id"), p->e,
				 "bad value '%s' for 'table-id'; expected %s", d->table_id,
				 table->id_expected);
	return 0;
}

void conf_put_table(struct ini_section *s, const struct device *d)
{
	ini_set(s, "table", table_kind_name(d->table));
	conf_put(s, "table-id", d->table_id);
	if (d->first_usable)
		ini_setf(s, "first-usable", "%" PRIu64, d->first_usable);
	conf_put(s, "boot-code", d->boot_code);
}

int conf_parse_disk(const struct conf_parse *p)
{
	static const char *const needed[] = { "size", "sector-size", "table", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require_named(p, needed);

	if (r < 0)
		return r;
	struct device *d = machine_add(p->m, DEVICE_DISK, s->name);

	d->identity = (struct disk_identity) {
		.path = conf_text(s, "path"),
		.model = conf_text(s, "model"),
		.serial = conf_text(s, "serial"),
		.wwn = conf_text(s, "wwn"),
		.bus = conf_text(s, "bus"),
		.removable = conf_yes(s, "removable"),
	};
	d->size = conf_number(s, "size");
	d->sector_size = (uint32_t)conf_number(s, "sector-size");
	return conf_parse_table(p, d);
}

static int parse_partition_type(const struct conf_parse *p, const struct device *d)
{
	const struct ini_section *s = p->section;
	const struct table_ops *table = table_find(d->parent->table);
	const char *holder = d->parent->kind == DEVICE_DISK ? "disk" : "raid";

	if (!table)
		return ini_error(p->ini, conf_line(s, "disk"), p->e,
				 "%s '%s' has no partition table; expected table = gpt or mbr in [%s %s]",
				 holder, d->parent->name, holder, d->parent->name);
	if (table->check_type(d->part_type) < 0)
		return ini_error(p->ini, conf_line(s, "type"), p->e, "bad value '%s' for 'type'; expected %s",
				 d->part_type, table->type_expected);
	if (d->number > table->last_number)
		return ini_error(p->ini, conf_line(s, "number"), p->e,
				 "number %u is too high; expected at most %u", d->number, table->last_number);
	return 0;
}

int conf_parse_partition(const struct conf_parse *p)
{
	static const char *const needed[] = { "disk", "number", "start", "size", "type", NULL };
	const struct ini_section *s = p->section;
	int r = conf_require_named(p, needed);

	if (r < 0)
		return r;
	struct device *parent = machine_find(p->m, ini_get(s, "disk"));
	const char *attributes = ini_get(s, "attributes"), *content = ini_get(s, "content");
	uint64_t number = conf_number(s, "number");

	if (!parent || !device_can_have_table(parent))
		return ini_error(
			p->ini, conf_line(s, "disk"), p->e,
			"disk '%s' is not described; expected the name of a [disk NAME] or [raid NAME] "
			"above",
			ini_get(s, "disk"));
	struct device *d = machine_add(p->m, DEVICE_PARTITION, s->name);

	d->parent = parent;
	d->number = number > UINT32_MAX ? UINT32_MAX : (unsigned)number;
	d->start = conf_number(s, "start");
	d->size = conf_number(s, "size");
	d->part_type = conf_text(s, "type");
	d->part_uuid = conf_text(s, "uuid");
	d->part_name = conf_text(s, "name");
	d->active = conf_yes(s, "active");
	d->attributes = attributes ? strtoull(attributes, NULL, 16) : 0;
	if (content)
		d->content.kind = streq(content, "raw") ? CONTENT_RAW : CONTENT_EXTENDED;
	return parse_partition_type(p, d);
}
