/* Sources: proc(5) on /proc/partitions; Documentation/ABI/stable/sysfs-block of Linux. */
#include "enter/devices.h"

#include "base/block.h"
#include "base/fs.h"

#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { max_table = 1 << 20, max_depth = 16 };

void blocks_free(struct blocks *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->items[i].node);
		free(b->items[i].type);
		free(b->items[i].uuid);
		free(b->items[i].label);
		free(b->items[i].part_uuid);
		free(b->items[i].part_label);
	}
	free(b->items);
	*b = (struct blocks) { 0 };
}

static void free_probe(blkid_probe *p)
{
	blkid_free_probe(*p);
}
DEFINE_CLEANUP(probe, blkid_probe, free_probe)

static char *value_of(blkid_probe p, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(p, name, &value, NULL) < 0 || !*value ? NULL : xstrdup(value);
}

/* What cannot be read has no type: a drive without a medium, a failing disk. */
static void look(struct block *b, int fd)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();

	if (!p || blkid_probe_set_device(p, fd, 0, 0) < 0 || blkid_probe_enable_superblocks(p, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL |
							 BLKID_SUBLKS_USAGE) < 0 ||
	    blkid_do_safeprobe(p) != 0)
		return;
	_cleanup_(free) char *usage = value_of(p, "USAGE");

	b->type = value_of(p, "TYPE");
	b->uuid = value_of(p, "UUID");
	b->label = value_of(p, "LABEL");
	b->filesystem = usage && streq(usage, "filesystem");
	b->member = usage && streq(usage, "raid");
}

/* What the table of its disk says of a partition. */
static void look_at_entry(struct block *b, int fd)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();

	if (!p || blkid_probe_set_device(p, fd, 0, 0) < 0 || blkid_probe_enable_superblocks(p, 0) < 0 ||
	    blkid_probe_enable_partitions(p, 1) < 0 ||
	    blkid_probe_set_partitions_flags(p, BLKID_PARTS_ENTRY_DETAILS) < 0 || blkid_do_safeprobe(p) != 0)
		return;
	b->part_uuid = value_of(p, "PART_ENTRY_UUID");
	b->part_label = value_of(p, "PART_ENTRY_NAME");
}

/* Device mapper's nodes have their names from /dev/mapper; the kernel's own is not what people know. */
static char *node_of(const char *name)
{
	_cleanup_(free) char *attribute = xasprintf("/sys/class/block/%s/dm/name", name);
	_cleanup_(free) char *text = NULL;
	struct error ignored; /* any other device has none */

	if (read_file_at(AT_FDCWD, attribute, 4096, &text, NULL, &ignored) == 0) {
		_cleanup_(free) char *node = xasprintf("/dev/mapper/%s", str_strip(text));

		if (access(node, F_OK) == 0)
			return TAKE_PTR(node);
	}
	return xasprintf("/dev/%s", name);
}

/* Is `number` the device `base`, on it, or built of it? */
static bool stands_on(dev_t number, dev_t base, unsigned depth)
{
	dev_t whole = block_disk(number); /* an array's partitions stand on what it does */

	if (number == base || whole == base)
		return true;
	_cleanup_(free) char *path = xasprintf("/sys/dev/block/%u:%u/slaves", major(whole), minor(whole));
	DIR *d = depth < max_depth ? opendir(path) : NULL;
	const struct dirent *entry;
	bool stands = false;

	while (d && !stands && (entry = readdir(d))) {
		_cleanup_(free) char *file = xasprintf("%s/%s/dev", path, entry->d_name);
		_cleanup_(free) char *text = NULL;
		unsigned high, low;
		struct error ignored; /* gone meanwhile, or "." */

		if (entry->d_name[0] != '.' && read_file_at(AT_FDCWD, file, 64, &text, NULL, &ignored) == 0 &&
		    sscanf(text, "%u:%u", &high, &low) == 2)
			stands = stands_on(makedev(high, low), base, depth + 1);
	}
	if (d)
		(void)closedir(d); /* read side */
	return stands;
}

static bool is_no_disk(const char *name)
{
	static const char *const kinds[] = { "loop", "ram", "zram", "sr", "fd", "mtdblock" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const char *rest = str_after(name, kinds[i]);

		if (rest && *rest >= '0' && *rest <= '9')
			return true;
	}
	return false;
}

static void add(struct blocks *b, const char *name, dev_t number)
{
	_cleanup_(free) char *node = node_of(name);
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return; /* no medium in it, or gone */
	b->items = xgrow(b->items, b->count + 1, &b->capacity, sizeof(*b->items));
	struct block *new = &b->items[b->count++];

	*new = (struct block) { .node = TAKE_PTR(node), .number = number };
	look(new, fd);
	look_at_entry(new, fd);
	_cleanup_(fd) int own = open(new->node, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);

	new->busy = own < 0 && errno == EBUSY;
}

int blocks_find(const char *only, struct blocks *ret, struct error *e)
{
	_cleanup_(blocks) struct blocks b = { 0 };
	_cleanup_(free) char *text = NULL;
	struct stat base = { 0 };

	if (only && stat(only, &base) < 0)
		return error_errno(e, errno, "look at %s", only);
	if (only && !S_ISBLK(base.st_mode))
		return error_text(e, ENOTBLK, "look at %s: not a block device", only);
	int r = read_file_at(AT_FDCWD, "/proc/partitions", max_table, &text, NULL, e);

	if (r < 0)
		return r;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		unsigned high, low;
		char name[128];

		if (sscanf(line, "%u %u %*u %127s", &high, &low, name) != 3)
			continue; /* the heading */
		dev_t number = makedev(high, low);

		if (only ? stands_on(number, base.st_rdev, 0) : !is_no_disk(name))
			add(&b, name, number);
	}
	*ret = b;
	b = (struct blocks) { 0 };
	return 0;
}
