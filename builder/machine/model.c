#include "machine/model.h"

#include "machine/placement.h"

#include <ctype.h>

void key_values_set(struct key_values *kv, const char *key, const char *value)
{
	for (size_t i = 0; i < kv->count; i++)
		if (streq(kv->items[i].key, key)) {
			char *copy = xstrdup(value);

			free(kv->items[i].value);
			kv->items[i].value = copy;
			return;
		}
	kv->items = xgrow(kv->items, kv->count + 1, &kv->capacity, sizeof(*kv->items));
	kv->items[kv->count++] = (struct key_value) { .key = xstrdup(key), .value = xstrdup(value) };
}

const char *key_values_get(const struct key_values *kv, const char *key)
{
	for (size_t i = 0; i < kv->count; i++)
		if (streq(kv->items[i].key, key))
			return kv->items[i].value;
	return NULL;
}

void key_values_free(struct key_values *kv)
{
	for (size_t i = 0; i < kv->count; i++) {
		free(kv->items[i].key);
		free(kv->items[i].value);
	}
	free(kv->items);
	*kv = (struct key_values) { 0 };
}

void content_clear(struct content *c)
{
	free(c->type);
	free(c->uuid);
	free(c->label);
	free(c->mountpoint);
	free(c->mount_options);
	free(c->stream);
	free(c->method);
	key_values_free(&c->parameters);
	*c = (struct content) { 0 };
}

static void layer_free(struct device *d)
{
	free(d->raid.level);
	free(d->raid.metadata);
	free(d->raid.uuid);
	free(d->raid.name);
	free(d->raid.layout);
	free(d->crypt.type);
	free(d->crypt.uuid);
	free(d->crypt.label);
	free(d->crypt.cipher);
	free(d->group.uuid);
	free(d->group.tags);
	free(d->group.spare_uuid);
	free(d->group.allocation);
	for (size_t i = 0; d->group.physical && i < d->below_count; i++)
		free(d->group.physical[i].uuid);
	free(d->group.physical);
	for (size_t i = 0; d->btrfs.devices && i < d->below_count; i++)
		free(d->btrfs.devices[i].uuid);
	free(d->btrfs.devices);
	free(d->volume.type);
	free(d->volume.uuid);
	free(d->volume.tags);
	free(d->volume.allocation);
	free(d->volume.discards);
	placement_free(&d->volume);
	key_values_free(&d->volume.parts);
	free(d->below);
	free(d->subvolume.path);
	free(d->subvolume.snapshot_of);
	free(d->subvolume.send_parent);
}

static void device_free(struct device *d)
{
	struct disk_identity *id = &d->identity;

	content_clear(&d->content);
	layer_free(d);
	free(d->name);
	free(id->path);
	free(id->model);
	free(id->serial);
	free(id->wwn);
	free(id->bus);
	free(d->table_id);
	free(d->boot_code);
	free(d->part_type);
	free(d->part_uuid);
	free(d->part_name);
	free(d->now.in_use);
	free(d->now.broken);
	free(d->now.holds);
	strlist_free(&d->now.stop);
	strlist_free(&d->now.stop_shown);
	free(d);
}

void machine_cut(struct machine *m, size_t count)
{
	while (m->count > count)
		device_free(m->devices[--m->count]);
}

void machine_remove(struct machine *m, const bool *marks)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++)
		if (marks[i])
			device_free(m->devices[i]);
		else
			m->devices[kept++] = m->devices[i];
	m->count = kept;
}

void machine_free(struct machine *m)
{
	machine_cut(m, 0);
	free(m->devices);
	free(m->hostname);
	free(m->arch);
	free(m->kernel);
	free(m->created);
	free(m->os);
	free(m->boot_loader);
	free(m->boot_target);
	strlist_free(&m->boot_disks);
	for (size_t i = 0; i < m->boot_entry_count; i++) {
		free(m->boot_entries[i].label);
		free(m->boot_entries[i].path);
	}
	free(m->boot_entries);
	*m = (struct machine) { 0 };
}

struct device *machine_add(struct machine *m, enum device_kind kind, const char *name)
{
	struct device *d = xcalloc(1, sizeof(*d));

	d->kind = kind;
	d->name = xstrdup(name);
	m->devices = xgrow(m->devices, m->count + 1, &m->capacity, sizeof(struct device *));
	m->devices[m->count++] = d;
	return d;
}

void machine_add_boot_entry(struct machine *m, const char *label, struct device *partition, const char *path)
{
	m->boot_entries = xrealloc(m->boot_entries, (m->boot_entry_count + 1) * sizeof(*m->boot_entries));
	m->boot_entries[m->boot_entry_count++] =
		(struct boot_entry) { xstrdup(label), partition, xstrdup(path) };
}

struct device *machine_find(const struct machine *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (streq(m->devices[i]->name, name))
			return m->devices[i];
	return NULL;
}

void device_add_below(struct device *d, struct device *below)
{
	d->below = xrealloc(d->below, (d->below_count + 1) * sizeof(struct device *));
	d->below[d->below_count++] = below;
}

struct device *device_first_below(const struct device *d)
{
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i])
			return d->below[i];
	return NULL;
}

struct device *device_disk(const struct device *d)
{
	if (d->kind == DEVICE_DISK)
		return (struct device *)d;
	return device_is_plain(d) ? d->parent : NULL;
}

/* Ends, as each device is made of such that stand before it. */
bool device_lies_on(const struct device *d, const struct device *disk)
{
	if (device_is_plain(d))
		return device_disk(d) == disk;
	if (d->parent)
		return device_lies_on(d->parent, disk);
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i] && device_lies_on(d->below[i], disk))
			return true;
	return false;
}

struct device *machine_above(const struct machine *m, const struct device *d)
{
	for (size_t i = 0; i < m->count; i++)
		for (size_t k = 0; k < m->devices[i]->below_count; k++)
			if (m->devices[i]->below[k] == d)
				return m->devices[i];
	return NULL;
}

char *partition_node(const char *disk_path, unsigned number)
{
	size_t n = strlen(disk_path);

	return xasprintf("%s%s%u", disk_path, n && isdigit((unsigned char)disk_path[n - 1]) ? "p" : "",
			 number);
}

char *device_node(const struct device *d)
{
	_cleanup_(free) char *parent = d->parent ? device_node(d->parent) : NULL;

	switch (d->kind) {
	case DEVICE_DISK:
		return d->identity.path ? xstrdup(d->identity.path) : NULL;
	case DEVICE_PARTITION:
		return parent ? partition_node(parent, d->number) : NULL;
	case DEVICE_CRYPT:
		return xasprintf("/dev/mapper/%s", d->name);
	case DEVICE_RAID:
	case DEVICE_VOLUME:
		return xasprintf("/dev/%s", d->name);
	case DEVICE_SUBVOLUME:
		return TAKE_PTR(parent);
	case DEVICE_BTRFS:
		return device_first_below(d) ? device_node(device_first_below(d)) : NULL;
	case DEVICE_GROUP:
		break;
	}
	return NULL;
}

struct device *machine_find_disk(const struct machine *m, const char *name)
{
	const char *short_name = str_after(name, "/dev/");

	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];
		const struct disk_identity *id = &d->identity;

		if (d->kind == DEVICE_DISK &&
		    (streq(d->name, short_name ? short_name : name) ||
		     (id->serial && streq(id->serial, name)) || (id->wwn && streq(id->wwn, name))))
			return d;
	}
	return NULL;
}

static const char *or_none(const char *s)
{
	return s ? s : "-";
}

static void fingerprint_content(struct strbuf *b, const struct content *c)
{
	strbuf_printf(b, " %d %s %s %s\n", c->kind, or_none(c->type), or_none(c->uuid), or_none(c->label));
}

char *disk_fingerprint(const struct machine *m, const struct device *disk)
{
	const struct disk_identity *id = &disk->identity;
	struct strbuf b = { 0 };

	_cleanup_(free) char *running = strlist_join(&disk->now.stop, " ");

	strbuf_printf(&b, "%s %s %s %s %llu %u %d %s %s %s", or_none(id->path), or_none(id->model),
		      or_none(id->serial), or_none(id->wwn), (unsigned long long)disk->size,
		      disk->sector_size, disk->table, or_none(disk->table_id), or_none(disk->now.holds),
		      or_none(disk->now.broken));
	strbuf_printf(&b, " runs %s ", running);
	fingerprint_content(&b, &disk->content);
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (!is_partition_of(d, disk))
			continue;
		strbuf_printf(&b, "%u %llu %llu %s %s", d->number, (unsigned long long)d->start,
			      (unsigned long long)d->size, or_none(d->part_type), or_none(d->part_uuid));
		fingerprint_content(&b, &d->content);
	}
	return b.data;
}

char *disk_describe(const struct device *disk)
{
	const struct disk_identity *id = &disk->identity;
	const char *path = id->path ? id->path : disk->name, *name = str_after(path, "/dev/");
	struct strbuf b = { 0 };
	char size[SIZE_TEXT_MAX];

	strbuf_printf(&b, "%s (", name ? name : path);
	if (id->model)
		strbuf_printf(&b, "%s, ", id->model);
	if (id->serial)
		strbuf_printf(&b, "serial %s, ", id->serial);
	else if (id->wwn)
		strbuf_printf(&b, "WWN %s, ", id->wwn);
	strbuf_printf(&b, "%s)", format_size(disk->size, size));
	return str_printable(b.data);
}
