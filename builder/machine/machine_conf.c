/* Writing machine.conf. Reading it: machine_conf_parse.c, conf_*.c. */
#include "machine/machine_conf.h"

#include "machine/conf_parse.h"
#include "machine/text.h"

#include <errno.h>
#include <inttypes.h>

static void put_disk(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "disk", d->name);
	const struct disk_identity *id = &d->identity;

	conf_put(s, "path", id->path);
	conf_put(s, "model", id->model);
	conf_put(s, "serial", id->serial);
	conf_put(s, "wwn", id->wwn);
	conf_put(s, "bus", id->bus);
	if (id->removable)
		ini_set(s, "removable", "yes");
	ini_setf(s, "size", "%" PRIu64, d->size);
	ini_setf(s, "sector-size", "%" PRIu32, d->sector_size);
	conf_put_table(s, d);
}

static void put_partition(struct ini *ini, const struct device *d)
{
	struct ini_section *s = ini_add_section(ini, "partition", d->name);

	ini_set(s, "disk", d->parent->name);
	ini_setf(s, "number", "%u", d->number);
	ini_setf(s, "start", "%" PRIu64, d->start);
	ini_setf(s, "size", "%" PRIu64, d->size);
	conf_put(s, "type", d->part_type);
	conf_put(s, "uuid", d->part_uuid);
	conf_put(s, "name", d->part_name);
	if (d->active)
		ini_set(s, "active", "yes");
	if (d->attributes)
		ini_setf(s, "attributes", "0x%016" PRIx64, d->attributes);
	if (d->content.kind == CONTENT_EXTENDED)
		ini_set(s, "content", "extended");
	else if (d->content.kind == CONTENT_RAW)
		ini_set(s, "content", "raw");
}

static void put_content(struct ini *ini, const struct device *d)
{
	const struct content *c = &d->content;

	if (c->kind != CONTENT_FILESYSTEM && c->kind != CONTENT_SWAP)
		return;
	struct ini_section *s =
		ini_add_section(ini, c->kind == CONTENT_SWAP ? "swap" : "filesystem", d->name);

	conf_put(s, "type", c->type);
	conf_put(s, "uuid", c->uuid);
	conf_put(s, "label", c->label);
	conf_put(s, "mountpoint", c->mountpoint);
	conf_put(s, "options", c->mount_options);
	if (c->used)
		ini_setf(s, "used", "%" PRIu64, c->used);
	conf_put(s, "stream", c->stream);
	conf_put(s, "method", c->method);
	for (size_t i = 0; i < c->parameters.count; i++) {
		_cleanup_(free) char *key = xasprintf("fs.%s", c->parameters.items[i].key);
		_cleanup_(free) char *value = text_escape(c->parameters.items[i].value);

		ini_set(s, key, value);
	}
}

int machine_conf_format(const struct machine *m, struct strbuf *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	struct ini_section *s = ini_add_section(&ini, "machine", NULL);

	conf_put(s, "hostname", m->hostname);
	conf_put(s, "os", m->os);
	conf_put(s, "arch", m->arch);
	conf_put(s, "kernel", m->kernel);
	conf_put(s, "created", m->created);
	ini_set(s, "firmware", m->firmware == FIRMWARE_UEFI ? "uefi" : "bios");
	for (size_t i = 0; i < m->count; i++) {
		if (m->devices[i]->kind == DEVICE_DISK)
			put_disk(&ini, m->devices[i]);
		else if (m->devices[i]->kind == DEVICE_PARTITION)
			put_partition(&ini, m->devices[i]);
		else if (m->devices[i]->kind == DEVICE_SUBVOLUME)
			conf_put_subvolume(&ini, m->devices[i]);
		else if (m->devices[i]->kind == DEVICE_BTRFS)
			conf_put_btrfs(&ini, m->devices[i]);
		else
			conf_put_layer(&ini, m->devices[i]);
		put_content(&ini, m->devices[i]);
	}
	if (m->boot_loader) {
		_cleanup_(free) char *disks = strlist_join(&m->boot_disks, ", ");

		s = ini_add_section(&ini, "boot", NULL);
		conf_put(s, "loader", m->boot_loader);
		conf_put(s, "target", m->boot_target);
		conf_put(s, "disk", disks);
	}
	for (size_t i = 0; i < m->boot_entry_count; i++) {
		_cleanup_(free) char *number = xasprintf("%zu", i + 1);

		s = ini_add_section(&ini, "boot-entry", number);
		conf_put(s, "label", m->boot_entries[i].label);
		conf_put(s, "partition", m->boot_entries[i].partition->name);
		conf_put(s, "path", m->boot_entries[i].path);
	}
	strbuf_puts(
		ret,
		"# What `lifeboat survey` found, for recovery to make again. Sizes and offsets are bytes.\n"
		"# May be edited: `lifeboat plan` checks it. See lifeboat-machine.conf(5).\n");
	return ini_format(&ini, ret, e);
}
