/* Sources: Documentation/ABI/{stable,testing}/sysfs-block* and proc(5) of Linux. */
#include "media/device.h"

#include "base/block.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A disk and its partitions as the kernel knows them: names ("sda", "sda1") and numbers ("8:0"). */
struct family {
	struct strlist names, numbers;
};
static void family_free(struct family *f)
{
	strlist_free(&f->names);
	strlist_free(&f->numbers);
}
DEFINE_CLEANUP(family, struct family, family_free)

/* A one-line attribute without white space around it; NULL when there is none. */
static char *attribute(const char *folder, const char *name)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", folder, name);
	_cleanup_(free) char *text = NULL;

	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
		return NULL;
	const char *clean = str_strip(text);

	return *clean ? xstrdup(clean) : NULL;
}

static uint64_t attribute_number(const char *folder, const char *name)
{
	_cleanup_(free) char *text = attribute(folder, name);
	uint64_t n;

	return text && parse_u64(text, &n) == 0 ? n : 0;
}

/* SCSI vital product data, page 0x80: four bytes of header (the last is the length), the serial. */
static char *scsi_serial(const char *folder)
{
	_cleanup_(free) char *path = xasprintf("%s/device/vpd_pg80", folder);
	_cleanup_(free) char *page = NULL;
	size_t len;

	if (read_file_at(AT_FDCWD, path, 4096, &page, &len, NULL) < 0 || len <= 4)
		return NULL;
	for (size_t i = 4; i < len; i++)
		if (page[i] < ' ' || page[i] > '~')
			page[i] = ' ';
	const char *clean = str_strip(page + 4);

	return *clean ? xstrdup(clean) : NULL;
}

/* The folder of the USB device above a disk, or NULL: the one that has idVendor. */
static char *usb_parent(const char *folder)
{
	_cleanup_(free) char *at = xstrdup(folder);
	char *slash;

	while ((slash = strrchr(at, '/')) && slash != at) {
		*slash = '\0';
		_cleanup_(free) char *vendor = attribute(at, "idVendor");

		if (vendor)
			return TAKE_PTR(at);
	}
	return NULL;
}

static const char *transport_of(const char *folder, const char *name)
{
	static const struct {
		const char *prefix, *part, *transport;
	} table[] = {
		{ "", "/usb", "usb" },       { "nvme", "", "nvme" },       { "mmcblk", "", "mmc" },
		{ "loop", "", "loop" },      { "", "/ata", "sata" },       { "", "/virtio", "virtio" },
		{ "", "/session", "iscsi" }, { "", "/end_device", "sas" }, { "sd", "", "scsi" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (str_after(name, table[i].prefix) && strstr(folder, table[i].part))
			return table[i].transport;
	return NULL;
}

static char *first_of(char *a, char *b)
{
	if (a) {
		free(b);
		return a;
	}
	return b;
}

/* "Kingston DataTraveler", from the USB device or from the disk itself. */
static char *model_of(const char *folder, const char *usb)
{
	_cleanup_(free) char *vendor =
		usb ? attribute(usb, "manufacturer") : attribute(folder, "device/vendor");
	char *model = first_of(usb ? attribute(usb, "product") : NULL, attribute(folder, "device/model"));

	model = first_of(model, attribute(folder, "device/name")); /* MMC */
	/* "ATA" is the kernel's own word, and virtio's vendor is a number */
	if (!model || !vendor || streq(vendor, "ATA") || str_after(vendor, "0x"))
		return model;
	char *both = xasprintf("%s %s", vendor, model);

	free(model);
	return both;
}

static void identify(const char *folder, const char *name, struct usb_device *d)
{
	_cleanup_(free) char *usb = usb_parent(folder);
	const char *transport = transport_of(folder, name);

	d->model = model_of(folder, usb);
	d->serial = first_of(usb ? attribute(usb, "serial") : NULL, scsi_serial(folder));
	d->serial = first_of(d->serial, attribute(folder, "device/serial")); /* NVMe, MMC */
	d->serial = first_of(d->serial, attribute(folder, "serial")); /* virtio */
	d->wwn = first_of(attribute(folder, "device/wwid"), attribute(folder, "wwid"));
	if (d->model)
		(void)str_printable(d->model);
	if (d->serial)
		(void)str_printable(d->serial);
	d->transport = transport ? xstrdup(transport) : NULL;
	if (transport && streq(transport, "loop") && !d->model)
		d->model = first_of(attribute(folder, "loop/backing_file"), NULL);
	d->size = attribute_number(folder, "size") * 512;
	d->diskseq = attribute_number(folder, "diskseq");
	d->removable = attribute_number(folder, "removable") != 0;
}

static char *add_member(struct family *f, const char *folder, const char *name)
{
	_cleanup_(free) char *number = attribute(folder, "dev");
	_cleanup_(free) char *holder = block_holder(folder);

	strlist_add(&f->names, name);
	strlist_add(&f->numbers, number ? number : "");
	return holder ? xasprintf("%s is in use by %s", name, holder) : NULL;
}

/* Fills the family. `*ret_refusal` is a holder, if there is any. */
static int find_family(const char *folder, const char *name, struct family *f, char **ret_refusal,
		       struct error *e)
{
	*ret_refusal = add_member(f, folder, name);
	DIR *d = opendir(folder);

	if (!d)
		return error_errno(e, errno, "open %s", folder);
	for (const struct dirent *entry; (entry = readdir(d));) {
		_cleanup_(free) char *child = xasprintf("%s/%s", folder, entry->d_name);
		_cleanup_(free) char *partition = NULL;

		if (entry->d_name[0] == '.')
			continue;
		partition = attribute(child, "partition");
		if (partition)
			*ret_refusal = first_of(*ret_refusal, add_member(f, child, entry->d_name));
	}
	(void)closedir(d); /* read side */
	return 0;
}

/* Which member of the family a device path names, or NULL. */
static const char *member_by_path(const struct family *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (path[0] != '/')
		return NULL;
	for (size_t i = 0; i < f->names.count; i++)
		if (str_after(path, "/dev/") && streq(f->names.items[i], slash + 1))
			return f->names.items[i];
	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return NULL;
	_cleanup_(free) char *number = xasprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));

	for (size_t i = 0; i < f->numbers.count; i++)
		if (streq(f->numbers.items[i], number))
			return f->names.items[i];
	return NULL;
}

static const char *member_by_number(const struct family *f, const char *number)
{
	for (size_t i = 0; i < f->numbers.count; i++)
		if (streq(f->numbers.items[i], number))
			return f->names.items[i];
	return NULL;
}

/* mountinfo: "ID PARENT MAJ:MIN ROOT POINT OPTIONS … - TYPE SOURCE SUPEROPTIONS". btrfs has numbers of
 * its own, so the source counts as well. */
static char *mounted(const struct family *f, char *mountinfo)
{
	for (char *line; (line = strsep(&mountinfo, "\n"));) {
		_cleanup_(strlist) struct strlist words = { 0 };
		const char *name;
		size_t dash = 6;

		strlist_add_words(&words, line);
		while (dash < words.count && !streq(words.items[dash], "-"))
			dash++;
		if (dash + 2 >= words.count)
			continue;
		name = member_by_number(f, words.items[2]);
		if (!name)
			name = member_by_path(f, words.items[dash + 2]);
		if (!name)
			continue;
		if (streq(words.items[4], "/"))
			return xasprintf("%s holds this system's root", name);
		return xasprintf("%s is mounted at %s", name, words.items[4]);
	}
	return NULL;
}

/* /proc/swaps: a heading, then "PATH TYPE SIZE USED PRIORITY". */
static char *swapped(const struct family *f, char *swaps)
{
	(void)strsep(&swaps, "\n");
	for (char *line; (line = strsep(&swaps, "\n"));) {
		const char *path = strsep(&line, " \t");
		const char *name = member_by_path(f, path);

		if (name)
			return xasprintf("%s is used as swap", name);
	}
	return NULL;
}

static char *looped(const struct device_roots *roots, const struct family *f)
{
	for (size_t i = 0; i < f->names.count; i++) {
		unsigned major_number = 0, minor_number = 0;

		if (sscanf(f->numbers.items[i], "%u:%u", &major_number, &minor_number) != 2)
			continue;
		_cleanup_(free) char *loop =
			block_loop(roots->sys, f->names.items[i], makedev(major_number, minor_number));

		if (loop)
			return xasprintf("%s is in use by %s", f->names.items[i], loop);
	}
	return NULL;
}

static int find_use(const struct device_roots *roots, const struct family *f, char **ret_refusal,
		    struct error *e)
{
	static const struct {
		const char *file;
		char *(*look)(const struct family *f, char *text);
		bool must_exist; /* a kernel without swap has no /proc/swaps */
	} tables[] = { { "self/mountinfo", mounted, true }, { "swaps", swapped, false } };

	for (size_t i = 0; !*ret_refusal && i < sizeof(tables) / sizeof(*tables); i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", roots->proc, tables[i].file);
		_cleanup_(free) char *text = NULL;
		int r = read_file_at(AT_FDCWD, path, 16 << 20, &text, NULL, e);

		if (r == -ENOENT && !tables[i].must_exist)
			continue;
		if (r < 0)
			return r;
		*ret_refusal = tables[i].look(f, text);
	}
	if (!*ret_refusal)
		*ret_refusal = looped(roots, f);
	return 0;
}

int device_describe(const struct device_roots *roots, dev_t number, struct usb_device *ret, struct error *e)
{
	_cleanup_(usb_device) struct usb_device d = { .number = number };
	_cleanup_(free) char *link =
		xasprintf("%s/dev/block/%u:%u", roots->sys, major(number), minor(number));
	_cleanup_(free) char *folder = realpath(link, NULL);
	_cleanup_(family) struct family family = { 0 };

	if (!folder)
		return error_errno(e, errno, "look at %s", link);
	const char *name = strrchr(folder, '/') + 1;
	_cleanup_(free) char *partition = attribute(folder, "partition");

	identify(folder, name, &d);
	if (partition)
		d.refusal = xasprintf("%s is a partition, not a whole disk", name);
	else if (attribute_number(folder, "ro"))
		d.refusal = xasprintf("%s is read-only", name);
	else if (d.size == 0)
		d.refusal = xasprintf("%s holds no medium", name);
	if (!d.refusal) {
		/* a mount says more to a person than the holder it goes through */
		_cleanup_(free) char *held = NULL;
		int r = find_family(folder, name, &family, &held, e);

		if (r == 0)
			r = find_use(roots, &family, &d.refusal, e);
		if (r < 0)
			return r;
		d.refusal = first_of(d.refusal, TAKE_PTR(held));
	}
	*ret = d;
	d = (struct usb_device) { 0 };
	return 0;
}
