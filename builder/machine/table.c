#include "machine/table.h"

#include "base/fs.h"
#include "machine/boot_loader.h"
#include "machine/text.h"

#include <errno.h>
#include <inttypes.h>
#include <strings.h>
#include <unistd.h>

static const struct table_ops *const tables[] = { &table_mbr, &table_gpt, NULL };

const struct table_ops *table_find(enum table_kind kind)
{
	for (size_t i = 0; tables[i]; i++)
		if (tables[i]->kind == kind)
			return tables[i];
	return NULL;
}

const struct table_ops *table_find_name(const char *name)
{
	for (size_t i = 0; tables[i]; i++)
		if (streq(tables[i]->name, name))
			return tables[i];
	return NULL;
}

const char *table_kind_name(enum table_kind kind)
{
	const struct table_ops *ops = table_find(kind);

	return ops ? ops->name : "none";
}

static void free_context(struct fdisk_context **c)
{
	if (*c) {
		(void)fdisk_set_script(*c, NULL); /* the two hold each other; without one it cannot fail */
		(void)fdisk_deassign_device(*c, 1); /* what was written was flushed before */
		fdisk_unref_context(*c);
	}
}
DEFINE_CLEANUP(context, struct fdisk_context *, free_context)

static void free_table(struct fdisk_table **t)
{
	if (*t)
		fdisk_unref_table(*t);
}
DEFINE_CLEANUP(table, struct fdisk_table *, free_table)

static void free_script(struct fdisk_script **s)
{
	if (*s)
		fdisk_unref_script(*s);
}
DEFINE_CLEANUP(script, struct fdisk_script *, free_script)

static void free_partition(struct fdisk_partition **p)
{
	if (*p)
		fdisk_unref_partition(*p);
}
DEFINE_CLEANUP(partition, struct fdisk_partition *, free_partition)

static void free_iter(struct fdisk_iter **i)
{
	fdisk_free_iter(*i);
}
DEFINE_CLEANUP(iter, struct fdisk_iter *, free_iter)

/* libfdisk says here why something did not work; the last word becomes part of the error. */
static int keep_words(struct fdisk_context *context, struct fdisk_ask *ask, void *user)
{
	struct error *words = user;

	(void)context; /* one at a time */
	switch (fdisk_ask_get_type(ask)) {
	case FDISK_ASKTYPE_WARN:
	case FDISK_ASKTYPE_WARNX:
		(void)error_text(words, EINVAL, ": %s", fdisk_ask_print_get_mesg(ask)); /* kept */
		return 0;
	case FDISK_ASKTYPE_INFO:
		return 0;
	default:
		return -EINVAL; /* nobody is there to be asked */
	}
}

/* Every size here is in the sectors of this disk, also when it is a file. */
static struct fdisk_context *new_context(uint32_t sector_size, struct error *words)
{
	struct fdisk_context *c = fdisk_new_context();

	if (c && (fdisk_set_ask(c, keep_words, words) < 0 || fdisk_disable_dialogs(c, 1) < 0 ||
		  fdisk_save_user_sector_size(c, sector_size, sector_size) < 0)) {
		fdisk_unref_context(c);
		return NULL;
	}
	return c;
}

static int read_partition(struct fdisk_context *context, const struct table_ops *ops,
			  struct fdisk_partition *from, struct machine *m, struct device *disk,
			  struct error *e)
{
	unsigned number = (unsigned)fdisk_partition_get_partno(from) + 1;
	_cleanup_(free) char *name = partition_node(disk->name, number);
	struct device *d = machine_add(m, DEVICE_PARTITION, name);

	d->parent = disk;
	d->number = number;
	d->start = fdisk_partition_get_start(from) * disk->sector_size;
	d->size = fdisk_partition_get_size(from) * disk->sector_size;
	return ops->read(context, from, d, e);
}

int table_read(struct machine *m, struct device *disk, struct error *e)
{
	_cleanup_(free) char *path = device_node(disk);
	struct error words = { 0 };
	_cleanup_(context) struct fdisk_context *context = new_context(disk->sector_size, &words);
	_cleanup_(table) struct fdisk_table *table = NULL;
	_cleanup_(iter) struct fdisk_iter *iter = fdisk_new_iter(FDISK_ITER_FORWARD);
	const struct table_ops *ops = NULL;
	struct fdisk_partition *partition;

	if (!context || !iter)
		return error_errno(e, ENOMEM, "read the partition table of %s", path);
	int r = fdisk_assign_device(context, path, 1);

	if (r < 0)
		return error_errno(e, -r, "read the partition table of %s", path);
	if (!fdisk_has_label(context))
		return 0;
	for (size_t i = 0; tables[i] && !ops; i++)
		if (streq(fdisk_label_get_name(fdisk_get_label(context, NULL)), tables[i]->label))
			ops = tables[i];
	if (!ops)
		return error_text(e, EOPNOTSUPP, "%s: a partition table of kind %s cannot be rebuilt yet",
				  path, fdisk_label_get_name(fdisk_get_label(context, NULL)));
	disk->table = ops->kind;
	r = fdisk_get_disklabel_id(context, &disk->table_id);
	if (r == 0)
		r = fdisk_get_partitions(context, &table);
	if (r < 0)
		return error_errno(e, -r, "read the partition table of %s%s", path, words.text);
	r = ops->read_disk ? ops->read_disk(context, disk, e) : 0;
	while (r == 0 && fdisk_table_next_partition(table, iter, &partition) == 0)
		r = read_partition(context, ops, partition, m, disk, e);
	return r;
}

/* The label itself. libfdisk takes these from a "script", as sfdisk(8) does. */
static int write_label(struct fdisk_context *context, const struct table_ops *ops, const struct device *disk)
{
	_cleanup_(script) struct fdisk_script *script = fdisk_new_script(context);

	if (!script)
		return -ENOMEM;
	int r = fdisk_script_set_header(script, "label", ops->label);

	if (r == 0 && disk->table_id)
		r = fdisk_script_set_header(script, "label-id", disk->table_id);
	if (r == 0 && disk->first_usable) {
		_cleanup_(free) char *first = xasprintf("%" PRIu64, disk->first_usable / disk->sector_size);

		r = fdisk_script_set_header(script, "first-lba", first);
	}
	if (r == 0)
		r = fdisk_set_script(context, script); /* takes a reference */
	return r < 0 ? r : fdisk_apply_script_headers(context, script);
}

static int write_partition(struct fdisk_context *context, const struct table_ops *ops, const struct device *d,
			   const struct error *words, struct error *e)
{
	_cleanup_(partition) struct fdisk_partition *p = fdisk_new_partition();
	uint32_t sector = d->parent->sector_size;

	if (!p)
		return error_errno(e, ENOMEM, "describe partition %s", d->name);
	int r = fdisk_partition_set_partno(p, d->number - 1);

	if (r == 0)
		r = fdisk_partition_set_start(p, d->start / sector);
	if (r == 0)
		r = fdisk_partition_set_size(p, d->size / sector);
	if (r == 0)
		r = fdisk_partition_size_explicit(p, 1); /* else it is rounded */
	if (r < 0)
		return error_errno(e, -r, "describe partition %s", d->name);
	r = ops->write(context, d, p, e);
	if (r < 0)
		return r;
	r = fdisk_add_partition(context, p, NULL);
	if (r < 0)
		return error_errno(e, -r, "add partition %s%s", d->name, words->text);
	return ops->finish(context, d, e);
}

/* Before the table's own bytes in the same sector, which stay. */
static int write_boot_code(const struct device *disk, int fd, const char *shown, struct error *e)
{
	unsigned char code[boot_code_size] = { 0 };
	size_t len;

	if (!disk->boot_code)
		return 0;
	int r = boot_code_parse(disk->boot_code, code, &len);

	if (r == 0)
		r = pwrite_all(fd, code, sizeof(code), 0);
	return r < 0 ? error_errno(e, -r, "write the boot code of %s", shown) : 0;
}

int table_write(const struct machine *m, const struct device *disk, int fd, const char *shown,
		struct error *e)
{
	const struct table_ops *ops = table_find(disk->table);
	struct error words = { 0 };
	_cleanup_(context) struct fdisk_context *context = new_context(disk->sector_size, &words);

	if (!ops)
		return error_text(e, EINVAL, "write the partition table of %s: none is described", shown);
	if (!context)
		return error_errno(e, ENOMEM, "write the partition table of %s", shown);
	int r = fdisk_assign_device_by_fd(context, fd, shown, 0);

	if (r == 0)
		r = write_label(context, ops, disk);
	if (r < 0)
		return error_errno(e, -r, "write the partition table of %s%s", shown, words.text);
	/* By number: the extended partition comes before the logical ones. */
	for (unsigned number = 1; number <= ops->last_number && r == 0; number++)
		for (size_t i = 0; i < m->count && r == 0; i++)
			if (is_partition_of(m->devices[i], disk) && m->devices[i]->number == number)
				r = write_partition(context, ops, m->devices[i], &words, e);
	if (r < 0) {
		error_prefix(e, "write the partition table of %s", shown);
		return r;
	}
	r = fdisk_write_disklabel(context);
	if (r < 0)
		return error_errno(e, -r, "write the partition table of %s%s", shown, words.text);
	r = write_boot_code(disk, fd, shown, e);
	if (r < 0)
		return r;
	r = fsync(fd) < 0 ? -errno : 0;
	return r < 0 ? error_errno(e, -r, "write the partition table of %s%s", shown, words.text) : 0;
}

/* ---- is it still the same ---- */

static const struct device *find_number(const struct machine *m, const struct device *holder, unsigned number)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_partition_of(m->devices[i], holder) && m->devices[i]->number == number)
			return m->devices[i];
	return NULL;
}

static bool is_equal(const char *a, const char *b)
{
	return !a || (b && strcasecmp(a, b) == 0); /* what was not asked for may be anything */
}

static bool is_as_planned(const struct device *planned, const struct device *now)
{
	return now && now->start == planned->start && now->size == planned->size &&
	       is_equal(planned->part_type, now->part_type) && is_equal(planned->part_uuid, now->part_uuid);
}

int table_compare(const struct machine *m, const struct device *planned, const struct machine *present,
		  const struct device *now, const char *shown, struct error *e)
{
	if (now->table != planned->table || !is_equal(planned->table_id, now->table_id))
		return error_text(e, ESTALE, "%s has another partition table", shown);
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (!is_partition_of(d, planned) || d->content.kind == CONTENT_EXTENDED)
			continue;
		if (!is_as_planned(d, find_number(present, now, d->number)))
			return error_text(e, ESTALE, "partition %u of %s is another one", d->number, shown);
	}
	return 0;
}
