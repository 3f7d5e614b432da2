#include "machine/probe.h"

#include "base/block.h"
#include "base/fs.h"
#include "machine/fs.h"
#include "machine/table.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>

/* Where boot loaders keep code without a file system: GRUB's on GPT, PReP's. */
static const char *const raw_types[] = {
	"21686148-6449-6E6F-744E-656564454649",
	"9E1A2D38-C612-4316-AA26-8B49521E5A8B",
	"0x41",
};

static void free_probe(blkid_probe *p)
{
	blkid_free_probe(*p);
}
DEFINE_CLEANUP(probe, blkid_probe, free_probe)

static char *found(blkid_probe p, const char *name)
{
	const char *value;

	if (blkid_probe_lookup_value(p, name, &value, NULL) < 0 || !*value)
		return NULL;
	return xstrdup(value);
}

/* 0: found; 1: nothing. Contradicting signatures count as an unknown content. */
static int probe_range(int fd, const char *shown, uint64_t start, uint64_t size, bool with_table,
		       struct content *c, char **ret_table, struct error *e)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();

	if (!p || blkid_probe_set_device(p, fd, (blkid_loff_t)start, (blkid_loff_t)size) < 0 ||
	    blkid_probe_enable_superblocks(p, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL) <
		    0 ||
	    blkid_probe_enable_partitions(p, with_table) < 0)
		return error_errno(e, errno ? errno : EIO, "look at %s", shown);
	int r = blkid_do_safeprobe(p);

	if (r == -1)
		return error_errno(e, errno ? errno : EIO, "read %s", shown);
	if (r == -2) {
		c->type = xstrdup("several contradicting signatures");
		return 0;
	}
	if (r == 1)
		return 1;
	c->type = found(p, "TYPE");
	if (with_table)
		*ret_table = found(p, "PTTYPE");
	const struct fs_ops *ops = c->type ? fs_find(c->type) : NULL;

	if (c->type) {
		c->uuid = found(p, "UUID");
		c->label = found(p, "LABEL");
		c->kind = ops ? ops->kind : CONTENT_NONE;
	}
	return 0;
}

/* A partition by its own node where there is one (its cache is the one that matters while it is in
 * use), else as a part of its disk. */
static int probe_partition(int disk_fd, struct device *d, struct error *e)
{
	if (d->content.kind == CONTENT_EXTENDED)
		return 0;
	if (d->start > d->parent->size || d->size > d->parent->size - d->start) {
		d->content.type = xstrdup("a partition that ends behind its disk");
		return 0;
	}
	_cleanup_(free) char *node = device_node(d);
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool own = fd >= 0;
	int r = probe_range(own ? fd : disk_fd, node, own ? 0 : d->start, d->size, false, &d->content, NULL,
			    e);

	for (size_t i = 0; r == 1 && i < sizeof(raw_types) / sizeof(*raw_types); i++)
		if (streq(d->part_type, raw_types[i]))
			d->content.kind = CONTENT_RAW;
	return r < 0 ? r : 0;
}

static int probe_partitions(struct machine *m, size_t first, int fd, struct error *e)
{
	int r = 0;

	for (size_t i = first; i < m->count && r == 0; i++)
		r = probe_partition(fd, m->devices[i], e);
	return r;
}

static bool is_known_table(const char *name)
{
	return name && (streq(name, "gpt") || streq(name, "dos"));
}

int probe_layer(struct machine *m, struct device *d, struct error *e)
{
	_cleanup_(free) char *node = device_node(d), *table = NULL;
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t first = m->count;

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	int r = probe_range(fd, node, 0, d->size, true, &d->content, &table, e);

	if (r < 0 || !table || d->content.type)
		return r < 0 ? r : 0;
	if (!device_can_have_table(d) || !is_known_table(table)) {
		d->content.type = xasprintf("a %s partition table", table);
		return 0;
	}
	r = table_read(m, d, e);
	return r < 0 ? r : probe_partitions(m, first, fd, e);
}

static int is_zero(int fd, const char *shown, uint64_t at, size_t len, bool *ret, struct error *e)
{
	_cleanup_(free) char *data = xmalloc(len);
	ssize_t n = pread_full(fd, data, len, (off_t)at);

	if (n != (ssize_t)len)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", shown);
	*ret = !data[0] && memcmp(data, data + 1, len - 1) == 0;
	return 0;
}

/* Zeros in the first and the last MiB, and at some places between: a disk whose beginning was overwritten by
 * mistake still holds what somebody wants back. */
static int looks_blank(int fd, const struct device *disk, bool *ret, struct error *e)
{
	enum { places = 64, block = 65536 };
	static const uint64_t mib = 1 << 20;
	const char *path = disk->identity.path;
	size_t end = disk->size < mib ? (size_t)disk->size : mib;
	bool zero = false;
	int r = is_zero(fd, path, 0, end, &zero, e);

	if (r == 0 && zero)
		r = is_zero(fd, path, disk->size - end, end, &zero, e);
	for (unsigned i = 1; i < places && r == 0 && zero && disk->size > 2 * mib; i++)
		r = is_zero(fd, path, disk->size / places * i / block * block, block, &zero, e);
	if (r == 0)
		*ret = zero;
	return r;
}

static void describe_content(struct strbuf *b, const struct content *c)
{
	if (!c->type)
		return;
	strbuf_printf(b, "%s%s", b->len ? ", " : "", c->type);
	if (c->label)
		strbuf_printf(b, " '%s'", c->label);
}

static char *describe_all(const struct machine *m, const struct device *disk)
{
	const struct table_ops *table = table_find(disk->table);
	struct strbuf b = { 0 };

	if (table)
		strbuf_printf(&b, "%s table", table->name);
	describe_content(&b, &disk->content);
	for (size_t i = 0; i < m->count; i++)
		if (is_partition_of(m->devices[i], disk))
			describe_content(&b, &m->devices[i]->content);
	return b.data ? str_printable(b.data) : NULL;
}

/* Its partitions are not known then, but what a new table's partitions hold is wiped anyway. */
static void take_unreadable_table(struct machine *m, size_t first, struct device *disk, const char *table,
				  const char *why)
{
	machine_cut(m, first);
	free(TAKE_PTR(disk->table_id));
	disk->table = TABLE_NONE;
	disk->first_usable = 0;
	free(disk->content.type);
	disk->content.type = xasprintf("a %s partition table that is not understood (%s)", table, why);
	disk->content.kind = CONTENT_NONE;
}

/* Is it a running array's member as a whole, whose table is the array's, and its partitions nobody's? */
static bool shows_array(const struct device *disk)
{
	_cleanup_(free) char *folder = xasprintf("/sys/class/block/%s", disk->name);
	_cleanup_(free) char *holder = block_holder(folder);

	return disk->content.type && streq(disk->content.type, "linux_raid_member") && holder &&
	       str_after(holder, "md");
}

int probe_disk(struct machine *m, struct device *disk, struct error *e)
{
	const char *path = disk->identity.path;
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	_cleanup_(free) char *table = NULL;
	size_t first = m->count;

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	int r = probe_range(fd, path, 0, disk->size, true, &disk->content, &table, e);

	if (r < 0)
		return r;
	if (is_known_table(table) && !shows_array(disk)) {
		struct error why;

		r = table_read(m, disk, &why);
		if (r == -EIO || r == -ENOMEM)
			return error_text(e, -r, "%s", why.text);
		if (r < 0)
			take_unreadable_table(m, first, disk, table, why.text);
	} else if (table && !disk->content.type) {
		disk->content.type = xasprintf("%s partition table", table);
	}
	r = probe_partitions(m, first, fd, e);
	if (r < 0)
		return r;
	disk->now.holds = describe_all(m, disk);
	if (!disk->now.holds) {
		bool zero = false;

		r = looks_blank(fd, disk, &zero, e);
		if (r < 0)
			return r;
		if (!zero)
			disk->now.holds = xstrdup("data of an unknown kind");
	}
	return 0;
}

int probe_expect(const char *node, const struct content *expected, struct error *e)
{
	_cleanup_(machine) struct machine scratch = { 0 };
	struct content *c = &machine_add(&scratch, DEVICE_PARTITION, "found")->content;
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	int r = probe_range(fd, node, 0, 0, false, c, NULL, e);

	if (r < 0)
		return r;
	if (c->type && streq(c->type, expected->type) &&
	    (!expected->uuid || (c->uuid && strcasecmp(c->uuid, expected->uuid) == 0)))
		return 0;
	return error_text(e, ESTALE, "%s holds no %s with UUID %s any more", node, expected->type,
			  expected->uuid ? expected->uuid : "(any)");
}

int wipe_signatures(int fd, const char *shown, uint64_t start, uint64_t size, struct error *e)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();
	int r;

	if (!p || blkid_probe_set_device(p, fd, (blkid_loff_t)start, (blkid_loff_t)size) < 0 ||
	    blkid_probe_enable_superblocks(p, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM) < 0 ||
	    blkid_probe_enable_partitions(p, 1) < 0 ||
	    blkid_probe_set_partitions_flags(p, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT) < 0)
		return error_errno(e, errno ? errno : EIO, "look for old signatures on %s", shown);
	/* Each round finds and removes one; the bound is for media that do not forget. */
	for (int rounds = 0; (r = blkid_do_probe(p)) == 0; rounds++) {
		if (rounds == 1000)
			return error_text(e, EIO, "wipe %s: signatures are still there after writing", shown);
		if (blkid_do_wipe(p, 0) < 0)
			return error_errno(e, errno ? errno : EIO, "wipe %s", shown);
	}
	return r < 0 ? error_errno(e, errno ? errno : EIO, "look for old signatures on %s", shown) : 0;
}
