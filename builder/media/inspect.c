/* What a device is and what is on it. */
#include "media/device.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void cleanup_probe(blkid_probe *p)
{
	blkid_free_probe(*p);
}

static const char *value_of(blkid_probe p, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(p, name, &value, NULL) == 0 ? value : NULL;
}

/* One line about the `size` bytes (0: all) at `offset`. `*ret_known` is false when nothing was found. */
static int describe_area(int fd, uint64_t offset, uint64_t size, const char *name, struct strlist *ret,
			 bool *ret_known, struct error *e)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();
	char text[SIZE_TEXT_MAX];

	if (!p || blkid_probe_set_device(p, fd, (blkid_loff_t)offset, (blkid_loff_t)size) < 0)
		return error_errno(e, errno ? errno : ENOMEM, "look at what is on %s", name);
	if (blkid_probe_enable_superblocks(p, 1) < 0 || blkid_probe_enable_partitions(p, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL) < 0)
		return error_text(e, EIO, "look at what is on %s: libblkid refused", name);
	/* 1: nothing found; -2: several signatures contradict each other */
	int r = blkid_do_safeprobe(p);

	if (r == -1)
		return error_errno(e, errno ? errno : EIO, "look at what is on %s", name);
	const char *type = value_of(p, "TYPE"), *table = value_of(p, "PTTYPE");
	const char *label = value_of(p, "LABEL");
	const char *what = type ? type : r == -2 ? "several signatures" : NULL;

	(void)format_size((uint64_t)blkid_probe_get_size(p), text);
	*ret_known = what || table;
	strlist_take(ret, str_printable(xasprintf("%s %s%s%s%s%s %s", name,
						  what    ? what
						  : table ? table
							  : "unknown",
						  !what && table ? " partition table" : "", label ? " '" : "",
						  label ? label : "", label ? "'" : "", text)));
	return 0;
}

static int describe_partitions(int fd, const char *name, struct strlist *ret, struct error *e)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();
	size_t len = strlen(name);
	const char *between = len && name[len - 1] >= '0' && name[len - 1] <= '9' ? "p" : "";

	if (!p || blkid_probe_set_device(p, fd, 0, 0) < 0 || blkid_probe_enable_partitions(p, 1) < 0)
		return error_errno(e, errno ? errno : ENOMEM, "read the partition table of %s", name);
	blkid_partlist list = blkid_probe_get_partitions(p);
	uint64_t end = (uint64_t)blkid_probe_get_size(p);

	for (int i = 0; list && i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);
		_cleanup_(free) char *child =
			xasprintf("%s%s%d", name, between, blkid_partition_get_partno(part));
		uint64_t start = (uint64_t)blkid_partition_get_start(part) * 512;
		uint64_t size = (uint64_t)blkid_partition_get_size(part) * 512;
		bool known;

		if (blkid_partition_is_extended(part))
			continue;
		if (start > end || size > end - start) { /* the table was copied from a larger disk */
			strlist_addf(ret, "%s ends behind the disk", child);
			continue;
		}
		int r = describe_area(fd, start, size, child, ret, &known, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int device_content(int fd, const char *name, struct strlist *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist found = { 0 };
	bool known = false;
	int r = describe_area(fd, 0, 0, name, &found, &known, e);

	if (r == 0 && known)
		r = describe_partitions(fd, name, &found, e);
	if (r < 0)
		return r;
	if (known) {
		*ret = found;
		found = (struct strlist) { 0 };
	}
	return 0;
}

void usb_device_free(struct usb_device *d)
{
	free(d->path);
	free(d->model);
	free(d->serial);
	free(d->wwn);
	free(d->transport);
	free(d->refusal);
	strlist_free(&d->content);
	*d = (struct usb_device) { 0 };
}

/* What only an open descriptor tells: the content, and whether anybody holds the disk exclusively. */
static int look_inside(const char *path, struct usb_device *d, struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", path);
	if (!S_ISBLK(st.st_mode) || st.st_rdev != d->number)
		return error_text(e, ENODEV, "open %s: it has just changed", path);
	int r = device_content(fd, strrchr(path, '/') + 1, &d->content, e);

	if (r < 0)
		return r;
	_cleanup_(fd) int exclusive = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (exclusive < 0 && errno != EBUSY)
		return error_errno(e, errno, "open %s", path);
	if (exclusive < 0)
		d->refusal = xasprintf("%s is in use", path);
	return 0;
}

int usb_inspect(const char *path, struct usb_device *ret, struct error *e)
{
	static const struct device_roots roots = { "/sys", "/proc" };
	_cleanup_(usb_device) struct usb_device d = { 0 };
	_cleanup_(free) char *real = realpath(path, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		return error_errno(e, errno, "open %s", path);
	if (!S_ISBLK(st.st_mode))
		return error_text(e, ENOTBLK, "open %s: not a block device", real);
	int r = device_describe(&roots, st.st_rdev, &d, e);

	if (r == 0 && !d.refusal) /* what is refused is not even opened */
		r = look_inside(real, &d, e);
	if (r < 0)
		return r;
	d.path = TAKE_PTR(real);
	*ret = d;
	d = (struct usb_device) { 0 };
	return 0;
}
