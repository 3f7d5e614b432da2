#include "machine/steps.h"

#include "machine/boot_loader.h"
#include "machine/btrfs.h"
#include "machine/layer.h"
#include "machine/text.h"
#include "machine/uefi.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

static struct step *add(struct plan *p, enum step_kind kind, struct device *device, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static struct step *add(struct plan *p, enum step_kind kind, struct device *device, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort(); /* as every allocation failure, see base/str.h */
	va_end(ap);
	p->steps = xgrow(p->steps, p->step_count + 1, &p->step_capacity, sizeof(*p->steps));
	struct step *s = &p->steps[p->step_count++];

	*s = (struct step) { .kind = kind, .device = device, .text = str_printable(text) };
	if (device)
		s->node = plan_node(p, device); /* a group has none */
	return s;
}

static size_t count_partitions(const struct machine *m, const struct device *disk)
{
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++)
		n += is_partition_of(m->devices[i], disk);
	return n;
}

static bool is_made_by(const struct step *s, const struct device *d)
{
	if (s->kind == STEP_TABLE)
		return is_partition_of(d, s->device);
	return d == s->device || is_volume_of(d, s->device);
}

/* Which of the devices that the step makes (a table's partitions, a group's volumes, itself) will be larger or smaller
 * than before. */
static void tell_sizes(const struct plan *p, struct step *s)
{
	char now[SIZE_TEXT_MAX], before[SIZE_TEXT_MAX];

	for (size_t i = 0; i < p->machine.count; i++) {
		const struct device *d = p->machine.devices[i];

		if (is_made_by(s, d) && d->size != p->old_sizes[i])
			strlist_addf(&s->changes, "%s has %s (%" PRIu64 " bytes), had %s (%" PRIu64 ")",
				     d->name, format_size(d->size, now), d->size,
				     format_size(p->old_sizes[i], before), p->old_sizes[i]);
	}
}

/* What mend_names() will put for what; machine/mend.h. */
static void tell_names(const struct plan *p, struct step *s)
{
	for (size_t i = 0; i < p->machine.count; i++) {
		const struct device *d = p->machine.devices[i];
		_cleanup_(free) char *old =
			d->content.uuid && d->kind != DEVICE_BTRFS ? plan_old_node(d) : NULL;
		_cleanup_(free) char *now = old ? plan_node(p, d) : NULL;

		if (old && !streq(old, now))
			strlist_take(&s->changes,
				     str_printable(xasprintf("%s becomes UUID=%s", old, d->content.uuid)));
	}
}

static void add_table_step(struct plan *p, struct device *holder)
{
	size_t n = count_partitions(&p->machine, holder);
	_cleanup_(free) char *node = plan_node(p, holder);

	tell_sizes(p, add(p, STEP_TABLE, holder, "write a %s table with %zu partition%s on %s",
			  table_kind_name(holder->table), n, n == 1 ? "" : "s", node));
}

static void add_disk_steps(struct plan *p, const struct mapping *map)
{
	_cleanup_(free) char *shown = disk_describe(map->to);
	struct step *s = add(p, STEP_WIPE, map->from, "wipe %s", shown);

	for (size_t i = 0; i < map->to->now.stop_shown.count; i++)
		strlist_addf(&s->changes, "%s is stopped first; other disks of it are left as they are",
			     map->to->now.stop_shown.items[i]);
	if (map->to->now.holds)
		s->destroys = xasprintf("everything on %s: %s", map->to->identity.path, map->to->now.holds);
	if (map->from->table == TABLE_NONE)
		tell_sizes(p, s);
	else
		add_table_step(p, map->from);
}

/* " (UUID x, label y, 1.0 GiB)" */
static char *shown_content(const struct device *d)
{
	struct strbuf b = { 0 };
	char size[SIZE_TEXT_MAX];

	strbuf_puts(&b, " (");
	if (d->content.uuid)
		strbuf_printf(&b, "UUID %s, ", d->content.uuid);
	if (d->content.label)
		strbuf_printf(&b, "label %s, ", d->content.label);
	strbuf_printf(&b, "%s)", format_size(d->size, size));
	return b.data;
}

static int add_subvolumes_step(struct plan *p, struct device *d, const char *node, struct error *e)
{
	_cleanup_(strlist) struct strlist paths = { 0 };
	_cleanup_(free) struct device **received = NULL;
	size_t count = 0;
	int r = btrfs_received(&p->machine, d, &received, &count, e);

	if (r < 0)
		return r;

	for (size_t i = 0; i < p->machine.count; i++) {
		const struct device *s = p->machine.devices[i];

		if (s->kind == DEVICE_SUBVOLUME && s->parent == d && !streq(s->subvolume.path, "/"))
			strlist_add(&paths, s->subvolume.path);
	}
	_cleanup_(free) char *all = strlist_join(&paths, ", ");

	for (size_t i = 0; i < count; i++)
		(void)add(p, STEP_RECEIVE, received[i], "receive %s.%s, for %s of %s",
			  received[i]->content.stream, received[i]->content.method,
			  received[i]->subvolume.path, node);
	if (paths.count)
		(void)add(p, STEP_SUBVOLUMES, d, "make the subvolumes of %s: %s", node, all);
	return 0;
}

/* "/dev/sda2, /dev/sdb2, missing" */
static char *shown_below(const struct plan *p, const struct device *d)
{
	struct strbuf b = { 0 };

	for (size_t i = 0; i < d->below_count; i++) {
		_cleanup_(free) char *node = d->below[i] ? plan_node(p, d->below[i]) : NULL;

		strbuf_printf(&b, "%s%s", i ? ", " : "", node ? node : "missing");
	}
	return b.data;
}

/* mkfs.btrfs makes one on all of its devices at once. */
static void add_spread_step(struct plan *p, struct device *d, const char *shown)
{
	_cleanup_(free) char *below = shown_below(p, d);
	const char *data = key_values_get(&d->content.parameters, "data");
	const char *metadata = key_values_get(&d->content.parameters, "metadata");
	struct step *s = add(p, STEP_MKFS, d, "make btrfs (data %s, metadata %s) on %s%s",
			     data ? data : "any", metadata ? metadata : "any", below, shown);

	tell_sizes(p, s);
	strlist_addf(&s->changes,
		     "the devices of %s get new UUIDs of their own, as mkfs.btrfs draws them by lot",
		     d->name);
	for (size_t i = 0; i < d->below_count; i++)
		if (d->btrfs.devices[i].id && d->btrfs.devices[i].id != i + 1)
			strlist_addf(&s->changes, "%s is device %zu of %s, was %" PRIu64, d->below[i]->name,
				     i + 1, d->name, d->btrfs.devices[i].id);
}

static void add_layer_steps(struct plan *p, struct device *d)
{
	_cleanup_(free) char *below = shown_below(p, d);
	const char *stream = d->kind == DEVICE_CRYPT ? d->below[0]->content.stream : NULL;
	struct step *s = NULL;
	size_t volumes = 0;

	switch (d->kind) {
	case DEVICE_RAID:
		s = add(p, STEP_RAID, d, "make the %s array /dev/%s of %s", d->raid.level, d->name, below);
		break;
	case DEVICE_CRYPT:
		if (stream)
			(void)add(p, STEP_IMAGE, d->below[0], "put the %s header %s back on %s",
				  d->crypt.type, stream, below);
		s = add(p, STEP_CRYPT, d,
			stream ? "open the encrypted %s as %s (asks for its passphrase)"
			       : "encrypt %s afresh and open it as %s (asks for a new passphrase)",
			below, d->name);
		break;
	case DEVICE_GROUP:
		for (size_t i = 0; i < p->machine.count; i++)
			volumes += is_volume_of(p->machine.devices[i], d);
		s = add(p, STEP_GROUP, d, "make the volume group %s with %zu volume%s on %s", d->name,
			volumes, volumes == 1 ? "" : "s", below);
		if (d->group.displaced)
			strlist_addf(&s->changes,
				     "the volumes of %s do not fit where each of them lay: LVM chooses their "
				     "devices",
				     d->name);
		break;
	case DEVICE_BTRFS: /* by making its content */
	case DEVICE_DISK:
	case DEVICE_PARTITION:
	case DEVICE_SUBVOLUME:
	case DEVICE_VOLUME:
		break;
	}
	if (s)
		tell_sizes(p, s);
	if (d->kind == DEVICE_RAID && d->table != TABLE_NONE)
		add_table_step(p, d);
}

static int add_make_steps(struct plan *p, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < p->machine.count; i++)
		add_layer_steps(p, p->machine.devices[i]);
	for (size_t i = 0; i < p->machine.count && r == 0; i++) {
		struct device *d = p->machine.devices[i];
		enum content_kind kind = d->content.kind;

		if (kind != CONTENT_FILESYSTEM && kind != CONTENT_SWAP)
			continue;
		_cleanup_(free) char *node = plan_node(p, d), *shown = shown_content(d);

		if (d->kind == DEVICE_BTRFS)
			add_spread_step(p, d, shown);
		else
			(void)add(p, kind == CONTENT_SWAP ? STEP_MKSWAP : STEP_MKFS, d, "make %s on %s%s",
				  d->content.type, node, shown);
		r = add_subvolumes_step(p, d, node, e);
	}
	return r;
}

/* Parents before what is mounted below them; what is not mounted anywhere comes last. */
static int by_mountpoint(const void *a, const void *b)
{
	const struct device *x = *(const struct device *const *)a, *y = *(const struct device *const *)b;
	const char *m = x->content.mountpoint, *n = y->content.mountpoint;

	if (m && n)
		return strcmp(m, n);
	return m ? -1 : n ? 1 : strcmp(x->name, y->name);
}

static void add_restore_steps(struct plan *p)
{
	_cleanup_(free) struct device **all = xcalloc(p->machine.count, sizeof(struct device *));
	size_t count = 0;

	for (size_t i = 0; i < p->machine.count; i++) {
		struct device *d = p->machine.devices[i];

		if ((d->content.kind == CONTENT_FILESYSTEM || d->kind == DEVICE_SUBVOLUME) &&
		    (d->content.mountpoint || d->content.stream))
			all[count++] = d;
	}
	qsort(all, count, sizeof(*all), by_mountpoint);
	for (size_t i = 0; i < count; i++) {
		const struct content *c = &all[i]->content;
		const char *folder = c->mountpoint ? c->mountpoint : "a folder of its own";
		_cleanup_(free) char *node = plan_node(p, all[i]);

		if (all[i]->kind == DEVICE_SUBVOLUME)
			(void)add(p, STEP_MOUNT, all[i], "mount %s of %s as %s", all[i]->subvolume.path, node,
				  folder);
		else
			(void)add(p, STEP_MOUNT, all[i], "mount %s as %s", node, folder);
		if (c->stream && streq(c->method, "send"))
			(void)add(p, STEP_RESTORE, all[i], "put back what %s.%s does not hold into %s",
				  c->stream, c->method, folder);
		else if (c->stream)
			(void)add(p, STEP_RESTORE, all[i], "restore %s.%s into %s", c->stream, c->method,
				  folder);
	}
}

static bool has_root(const struct machine *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->content.mountpoint && streq(m->devices[i]->content.mountpoint, "/"))
			return true;
	return false;
}

static void add_mend_steps(struct plan *p)
{
	_cleanup_(strbuf) struct strbuf names = { 0 }, buses = { 0 };

	for (size_t i = 0; i < p->mapping_count; i++) {
		const struct disk_identity *from = &p->mappings[i].from->identity;
		const struct disk_identity *to = &p->mappings[i].to->identity;

		if (from->path && !streq(from->path, to->path))
			strbuf_printf(&names, "%s%s is now %s", names.len ? ", " : "", from->path, to->path);
		if (!from->bus || !to->bus || !streq(from->bus, to->bus))
			strbuf_printf(&buses, "%s%s is on %s, was on %s", buses.len ? ", " : "", to->path,
				      to->bus ? to->bus : "another bus",
				      from->bus ? from->bus : "another bus");
	}
	if (names.len)
		tell_names(p,
			   add(p, STEP_MEND, NULL,
			       "where fstab or the boot configuration name a disk by path, put its UUID (%s)",
			       names.data));
	if (buses.len)
		(void)add(p, STEP_INITRAMFS, NULL,
			  "make the initramfs again if it was made for the old disks only (%s)", buses.data);
}

/* The firmware tries the last one made first, so they are made in reverse. */
static void add_uefi_steps(struct plan *p)
{
	const struct machine *m = &p->machine;

	for (size_t i = m->boot_entry_count; i > 0; i--) {
		const struct boot_entry *entry = &m->boot_entries[i - 1];
		struct device *d = entry->partition;
		_cleanup_(free) char *node = plan_node(p, d);

		if (i == 1)
			add(p, STEP_BOOT_FALLBACK, partition_content(m, d),
			    "put %s at %s on %s too, should none be there", entry->path,
			    uefi_fallback_path(m->arch) ? uefi_fallback_path(m->arch) : "the fallback path",
			    node)
				->entry = entry;
		add(p, STEP_BOOT_ENTRY, d, "tell the firmware to boot '%s': %s on %s", entry->label,
		    entry->path, node)
			->entry = entry;
	}
}

static void add_unmount_step(struct plan *p)
{
	_cleanup_(strlist) struct strlist sealed = { 0 };

	for (size_t i = 0; i < p->machine.count; i++)
		if (p->machine.devices[i]->volume.read_only)
			strlist_add(&sealed, p->machine.devices[i]->name);
	_cleanup_(free) char *names = strlist_join(&sealed, ", ");

	if (sealed.count)
		(void)add(p, STEP_UNMOUNT, NULL, "unmount everything, and make %s read-only again", names);
	else
		(void)add(p, STEP_UNMOUNT, NULL, "unmount everything");
}

/* Of a UUID in any spelling: 8:8:8:8 of mdadm, 8-4-4-4-12 of libblkid. */
static bool is_same_uuid(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "-:");
		b += strspn(b, "-:");
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

static bool is_wiped(const struct plan *p, const struct device *present)
{
	for (size_t i = 0; i < p->mapping_count; i++)
		if (device_lies_on(present, p->mappings[i].to))
			return true;
	return false;
}

/* What is here, stays, and would be mixed up with what is made: the kernel takes two btrfs of one UUID for one, and puts
 * an old member of an array beside the new ones, or in their place. */
static int check_twins(const struct plan *p, const struct device *d, const char *type, const char *uuid,
		       struct error *e)
{
	for (size_t i = 0; i < p->present.count; i++) {
		const struct device *now = p->present.devices[i];
		const struct content *c = &now->content;

		if (!c->type || !streq(c->type, type) || !c->uuid || !is_same_uuid(c->uuid, uuid) ||
		    is_wiped(p, now))
			continue;
		_cleanup_(free) char *node = device_node(now);

		return error_text(e, EEXIST,
				  "%s holds a %s with the UUID that the one of %s had (%s), and there "
				  "cannot be two of one "
				  "UUID: take that disk away, or wipe it",
				  node ? node : now->name, type, d->name, uuid);
	}
	return 0;
}

static int check_all_twins(const struct plan *p, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < p->machine.count && r == 0; i++) {
		const struct device *d = p->machine.devices[i];
		const struct content *c = &d->content;

		if (c->kind == CONTENT_FILESYSTEM && c->uuid && streq(c->type, "btrfs"))
			r = check_twins(p, d, c->type, c->uuid, e);
		if (r == 0 && d->kind == DEVICE_RAID)
			r = check_twins(p, d, "linux_raid_member", d->raid.uuid, e);
	}
	return r;
}

int steps_make(struct plan *p, struct error *e)
{
	int r = check_all_twins(p, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < p->mapping_count; i++)
		add_disk_steps(p, &p->mappings[i]);
	r = add_make_steps(p, e);
	if (r < 0)
		return r;
	add_restore_steps(p);
	if (has_root(&p->machine))
		add_mend_steps(p);
	else if (p->machine.boot_loader)
		return error_text(e, EINVAL,
				  "machine.conf describes a boot loader, but no file system for /");
	for (size_t i = 0; p->machine.boot_loader && i < p->machine.boot_disks.count; i++) {
		struct device *disk = machine_find(&p->machine, p->machine.boot_disks.items[i]);
		_cleanup_(free) char *node = plan_node(p, disk);

		_cleanup_(free) char *words =
			boot_loader_words(p->machine.boot_loader, p->machine.boot_target, node);

		(void)add(p, STEP_BOOT_LOADER, disk, "install %s from within the recovered system", words);
	}
	add_uefi_steps(p);
	add_unmount_step(p);
	return 0;
}
