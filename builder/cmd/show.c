#include "cmd/show.h"

#include <jansson.h>
#include <stdio.h>

static void set_text(json_t *o, const char *key, const char *value)
{
	if (value)
		(void)json_object_set_new(o, key, json_string(value)); /* NULL: not UTF-8, left out */
}

static void set_number(json_t *o, const char *key, uint64_t value)
{
	(void)json_object_set_new(o, key, json_integer((json_int_t)value)); /* only memory can lack */
}

/* An array of texts; nothing when it is empty. */
static void set_words(json_t *o, const char *key, const struct strlist *words)
{
	json_t *a = json_array();

	for (size_t i = 0; i < words->count; i++)
		(void)json_array_append_new(a, json_string(words->items[i])); /* NULL: not UTF-8, left out */
	if (words->count)
		(void)json_object_set(o, key, a); /* only memory can lack */
	json_decref(a);
}

static void set_content(json_t *o, const struct content *c)
{
	json_t *parameters = json_object();

	set_text(o, "content",
		 c->kind == CONTENT_EXTENDED ? "extended"
		 : c->kind == CONTENT_RAW    ? "raw"
					     : c->type);
	set_text(o, "uuid", c->uuid);
	set_text(o, "label", c->label);
	set_text(o, "mountpoint", c->mountpoint);
	set_text(o, "options", c->mount_options);
	set_text(o, "stream", c->stream);
	set_text(o, "method", c->method);
	if (c->used)
		set_number(o, "used", c->used);
	for (size_t i = 0; i < c->parameters.count; i++)
		set_text(parameters, c->parameters.items[i].key, c->parameters.items[i].value);
	if (c->parameters.count)
		(void)json_object_set(o, "parameters", parameters); /* as above */
	json_decref(parameters);
}

static void set_table(json_t *o, const struct device *d)
{
	set_number(o, "sector_size", d->sector_size);
	set_text(o, "table", d->table == TABLE_GPT ? "gpt" : d->table == TABLE_MBR ? "mbr" : "none");
	set_text(o, "table_id", d->table_id);
}

static json_t *disk_json(const struct device *d)
{
	json_t *o = json_object();

	set_text(o, "name", d->name);
	set_text(o, "path", d->identity.path);
	set_text(o, "model", d->identity.model);
	set_text(o, "serial", d->identity.serial);
	set_text(o, "wwn", d->identity.wwn);
	set_text(o, "bus", d->identity.bus);
	set_number(o, "size", d->size);
	set_table(o, d);
	set_text(o, "in_use", d->now.in_use);
	set_text(o, "broken", d->now.broken);
	set_text(o, "holds", d->now.holds);
	set_content(o, &d->content);
	return o;
}

static json_t *partition_json(const struct device *d)
{
	json_t *o = json_object();

	set_text(o, "name", d->name);
	set_text(o, "disk", d->parent->name);
	set_number(o, "number", d->number);
	set_number(o, "start", d->start);
	set_number(o, "size", d->size);
	set_text(o, "type", d->part_type);
	set_text(o, "part_uuid", d->part_uuid);
	set_text(o, "part_name", d->part_name);
	(void)json_object_set_new(o, "active", json_boolean(d->active)); /* only memory can lack */
	set_number(o, "attributes", d->attributes);
	set_content(o, &d->content);
	return o;
}

static json_t *subvolume_json(const struct device *d)
{
	json_t *o = json_object();

	set_text(o, "name", d->name);
	set_text(o, "filesystem", d->parent->name);
	set_text(o, "path", d->subvolume.path);
	set_text(o, "snapshot_of", d->subvolume.snapshot_of);
	(void)json_object_set_new(o, "default", json_boolean(d->subvolume.is_default)); /* as above */
	(void)json_object_set_new(o, "read_only", json_boolean(d->subvolume.read_only)); /* as above */
	set_content(o, &d->content);
	return o;
}

/* Arrays, LUKS devices, volume groups and their volumes, btrfs on several devices. */
static json_t *layer_json(const struct device *d)
{
	static const char *const kinds[] = { [DEVICE_RAID] = "raid",
					     [DEVICE_CRYPT] = "crypt",
					     [DEVICE_GROUP] = "group",
					     [DEVICE_VOLUME] = "volume",
					     [DEVICE_BTRFS] = "btrfs" };
	const char *type = d->kind == DEVICE_RAID    ? d->raid.level
			   : d->kind == DEVICE_CRYPT ? d->crypt.type
			   : d->kind == DEVICE_BTRFS ? key_values_get(&d->content.parameters, "data")
						     : d->volume.type;
	const char *uuid = d->kind == DEVICE_RAID    ? d->raid.uuid
			   : d->kind == DEVICE_CRYPT ? d->crypt.uuid
			   : d->kind == DEVICE_GROUP ? d->group.uuid
			   : d->kind == DEVICE_BTRFS ? d->content.uuid
						     : d->volume.uuid;
	json_t *o = json_object(), *below = json_array();

	set_text(o, "kind", kinds[d->kind]);
	set_text(o, "name", d->name);
	set_text(o, "type", type);
	set_text(o, "layer_uuid", uuid);
	set_number(o, "size", d->size);
	if (d->table != TABLE_NONE)
		set_table(o, d);
	for (size_t i = 0; i < d->below_count; i++)
		(void)json_array_append_new(below,
					    d->below[i] ? json_string(d->below[i]->name) : json_null());
	(void)json_object_set_new(o, "devices", below); /* only memory can lack */
	set_content(o, &d->content);
	return o;
}

static json_t *machine_json(const struct machine *m)
{
	json_t *o = json_object(), *disks = json_array(), *partitions = json_array(), *layers = json_array();
	json_t *entries = json_array(), *names = json_array(), *subvolumes = json_array();

	for (size_t i = 0; i < m->boot_disks.count; i++)
		(void)json_array_append_new(names,
					    json_string(m->boot_disks.items[i])); /* only memory can lack */

	set_text(o, "hostname", m->hostname);
	set_text(o, "os", m->os);
	set_text(o, "arch", m->arch);
	set_text(o, "kernel", m->kernel);
	set_text(o, "created", m->created);
	set_text(o, "firmware", m->firmware == FIRMWARE_UEFI ? "uefi" : "bios");
	set_text(o, "boot_loader", m->boot_loader);
	set_text(o, "boot_target", m->boot_target);
	(void)json_object_set_new(o, "boot_disks", names); /* only memory can lack */
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_DISK)
			(void)json_array_append_new(disks, disk_json(m->devices[i])); /* only memory */
		else if (m->devices[i]->kind == DEVICE_SUBVOLUME)
			(void)json_array_append_new(subvolumes, subvolume_json(m->devices[i])); /* same */
		else if (m->devices[i]->kind == DEVICE_PARTITION)
			(void)json_array_append_new(partitions, partition_json(m->devices[i])); /* same */
		else
			(void)json_array_append_new(layers, layer_json(m->devices[i])); /* same */
	for (size_t i = 0; i < m->boot_entry_count; i++) {
		json_t *entry = json_object();

		set_text(entry, "label", m->boot_entries[i].label);
		set_text(entry, "partition", m->boot_entries[i].partition->name);
		set_text(entry, "path", m->boot_entries[i].path);
		(void)json_array_append_new(entries, entry); /* same */
	}
	(void)json_object_set_new(o, "boot_entries", entries); /* same */
	(void)json_object_set_new(o, "disks", disks); /* same */
	(void)json_object_set_new(o, "partitions", partitions); /* same */
	(void)json_object_set_new(o, "layers", layers); /* same */
	(void)json_object_set_new(o, "subvolumes", subvolumes); /* same */
	return o;
}

/* Prints the object and lets it go. */
static int print_json(struct cmd *c, json_t *o)
{
	char *text = json_dumps(o, JSON_INDENT(2));

	json_decref(o);
	if (text)
		(void)puts(text); /* cmd_done() looks */
	free(text);
	return cmd_done(c);
}

int show_machine_json(struct cmd *c, const struct machine *m)
{
	return print_json(c, machine_json(m));
}

/* Words for programs; enum step_kind in machine/plan.h. */
static const char *const step_names[] = {
	[STEP_WIPE] = "wipe",
	[STEP_TABLE] = "table",
	[STEP_RAID] = "raid",
	[STEP_IMAGE] = "image",
	[STEP_CRYPT] = "crypt",
	[STEP_GROUP] = "group",
	[STEP_MKFS] = "mkfs",
	[STEP_MKSWAP] = "mkswap",
	[STEP_RECEIVE] = "receive",
	[STEP_SUBVOLUMES] = "subvolumes",
	[STEP_MOUNT] = "mount",
	[STEP_RESTORE] = "restore",
	[STEP_MEND] = "mend",
	[STEP_INITRAMFS] = "initramfs",
	[STEP_BOOT_LOADER] = "boot-loader",
	[STEP_BOOT_FALLBACK] = "boot-fallback",
	[STEP_BOOT_ENTRY] = "boot-entry",
	[STEP_UNMOUNT] = "unmount",
};

int show_plan_json(struct cmd *c, const struct plan *p)
{
	json_t *o = json_object(), *mappings = json_array(), *steps = json_array();

	for (size_t i = 0; i < p->mapping_count; i++) {
		json_t *m = json_object();

		set_text(m, "from", p->mappings[i].from->name);
		set_text(m, "to", p->mappings[i].to->identity.path);
		set_text(m, "reason", p->mappings[i].reason);
		(void)json_array_append_new(mappings, m); /* only memory */
	}
	for (size_t i = 0; i < p->step_count; i++) {
		json_t *s = json_object();

		set_number(s, "number", i + 1);
		(void)json_object_set_new(s, "done", json_boolean(p->steps[i].done)); /* only memory */
		set_text(s, "kind", step_names[p->steps[i].kind]);
		set_text(s, "text", p->steps[i].text);
		set_text(s, "destroys", p->steps[i].destroys);
		set_words(s, "changes", &p->steps[i].changes);
		set_text(s, "device", p->steps[i].device ? p->steps[i].device->name : NULL);
		set_text(s, "node", p->steps[i].node);
		(void)json_array_append_new(steps, s); /* only memory */
	}
	(void)json_object_set_new(o, "machine", machine_json(&p->machine)); /* same */
	(void)json_object_set_new(o, "present", machine_json(&p->present)); /* same */
	(void)json_object_set_new(o, "mapping", mappings); /* same */
	set_words(o, "left_out", &p->left_out);
	(void)json_object_set_new(o, "steps", steps); /* same */
	return print_json(c, o);
}

static bool is_target(const struct plan *p, const struct device *present)
{
	for (size_t i = 0; i < p->mapping_count; i++)
		if (p->mappings[i].to == present)
			return true;
	return false;
}

void show_plan(const struct plan *p, FILE *to)
{
	(void)fprintf(to, "Disks here:\n"); /* the caller looks at the stream, here and below */
	for (size_t i = 0; i < p->present.count; i++) {
		const struct device *d = p->present.devices[i];
		_cleanup_(free) char *shown = d->kind == DEVICE_DISK ? disk_describe(d) : NULL;

		if (shown)
			(void)fprintf(to, "  %s: %s%s%s%s\n", shown,
				      d->now.broken  ? d->now.broken
				      : d->now.holds ? d->now.holds
						     : "blank",
				      d->now.in_use ? "; in use: " : "", d->now.in_use ? d->now.in_use : "",
				      is_target(p, d) ? "" : "; is not touched");
	}
	(void)fprintf(to, "Who takes whose place:\n");
	for (size_t i = 0; i < p->mapping_count; i++) {
		struct device old = *p->mappings[i].from;

		old.size = p->mappings[i].from_size;
		_cleanup_(free) char *from = disk_describe(&old);
		_cleanup_(free) char *here = disk_describe(p->mappings[i].to);

		(void)fprintf(to, "  old %s -> %s: %s\n", from, here, p->mappings[i].reason);
	}
	for (size_t i = 0; i < p->left_out.count; i++)
		(void)fprintf(to, "  CHANGES %s\n", p->left_out.items[i]);
	(void)fprintf(to, "Steps:\n");
	for (size_t i = 0; i < p->step_count; i++) {
		(void)fprintf(to, "  %2zu. %s%s\n", i + 1, p->steps[i].text,
			      p->steps[i].done ? " (done before)" : "");
		if (p->steps[i].destroys)
			(void)fprintf(to, "      DESTROYS %s\n", p->steps[i].destroys);
		for (size_t k = 0; k < p->steps[i].changes.count; k++)
			(void)fprintf(to, "      CHANGES %s\n", p->steps[i].changes.items[k]);
	}
}
