/* A btrfs on several devices. Sources: Documentation/filesystems/btrfs of Linux, its include/uapi/linux/btrfs.h
 * (BTRFS_IOC_SCAN_DEV, BTRFS_IOC_RESIZE) and fs/btrfs/sysfs.c (devices, devinfo). */
#include "machine/btrfs.h"

#include "base/fs.h"
#include "base/proc.h"
#include "machine/btrfs_profile.h"
#include "machine/detached.h"
#include "machine/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <linux/btrfs.h>

static const char mounted[] = "/sys/fs/btrfs";

/* ---- what the kernel says of a mounted one ---- */

static void list(const char *path, struct strlist *ret)
{
	DIR *d = opendir(path);

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (*entry->d_name != '.')
			strlist_add(ret, entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
}

static bool has_device(const char *uuid, dev_t devno)
{
	_cleanup_(free) char *path = xasprintf("%s/%s/devices", mounted, uuid);
	_cleanup_(strlist) struct strlist names = { 0 };

	list(path, &names);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_(free) char *file = xasprintf("%s/%s/dev", path, names.items[i]);
		_cleanup_(free) char *text = NULL;
		unsigned high, low;

		if (read_file_at(AT_FDCWD, file, 64, &text, NULL, NULL) == 0 &&
		    sscanf(text, "%u:%u", &high, &low) == 2 && makedev(high, low) == devno)
			return true;
	}
	return false;
}

bool btrfs_is_same(dev_t a, dev_t b)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	list(mounted, &all);
	for (size_t i = 0; i < all.count; i++)
		if (has_device(all.items[i], a))
			return has_device(all.items[i], b);
	return false;
}

static bool is_mounted(const char *uuid)
{
	_cleanup_(free) char *path = xasprintf("%s/%s/devices", mounted, uuid);

	return access(path, F_OK) == 0;
}

/* ---- survey ---- */

struct found {
	struct device *device;
	struct btrfs_superblock superblock;
};
struct found_list {
	struct found *items;
	size_t count, capacity;
};
static void found_list_free(struct found_list *l)
{
	free(l->items);
}
DEFINE_CLEANUP(found_list, struct found_list, found_list_free)

static bool is_single(const struct device *d)
{
	return d->content.kind == CONTENT_FILESYSTEM && streq(d->content.type, "btrfs") && d->content.uuid &&
	       d->kind != DEVICE_BTRFS;
}

/* An older state of one of its devices, that was away while the others were written. */
static void set_aside(struct device *d, const char *uuid, struct report *report)
{
	report_warn(report,
		    "%s was a part of the btrfs %s, which goes on without it: recovery leaves it empty",
		    d->name, uuid);
	d->content.kind = CONTENT_NONE;
	free(TAKE_PTR(d->content.type));
	free(TAKE_PTR(d->content.uuid));
	free(TAKE_PTR(d->content.label));
}

/* Two claim to be the same device: the one that was written last is. */
static void add(struct found_list *l, struct device *d, const struct btrfs_superblock *s,
		struct report *report)
{
	for (size_t i = 0; i < l->count; i++) {
		struct found *f = &l->items[i];

		if (f->superblock.id != s->id)
			continue;
		bool newer = s->generation > f->superblock.generation;
		struct device *older = newer ? f->device : d;

		if (newer)
			*f = (struct found) { d, *s };
		set_aside(older, older->content.uuid, report);
		return;
	}
	l->items = xgrow(l->items, l->count + 1, &l->capacity, sizeof(*l->items));
	l->items[l->count++] = (struct found) { d, *s };
}

/* All that have the UUID, from `first` on. */
static void find_devices(struct machine *m, size_t first, const char *uuid, struct found_list *l,
			 struct report *report)
{
	bool running = is_mounted(uuid);

	for (size_t i = first; i < m->count; i++) {
		struct device *d = m->devices[i];
		_cleanup_(free) char *node =
			is_single(d) && streq(d->content.uuid, uuid) ? device_node(d) : NULL;
		struct btrfs_superblock s;
		struct error ignored; /* describing it says so */

		if (!node || btrfs_read_device(node, &s, &ignored) < 0)
			continue;
		if (running && d->now.devno && !has_device(uuid, d->now.devno))
			set_aside(d, uuid, report);
		else
			add(l, d, &s, report);
	}
}

static int by_id(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->superblock.id < y->superblock.id ? -1 : x->superblock.id > y->superblock.id;
}

static uint64_t count_devices(const struct found_list *l)
{
	uint64_t generation = 0, count = 0;

	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].superblock.generation >= generation) {
			generation = l->items[i].superblock.generation;
			count = l->items[i].superblock.devices;
		}
	return count;
}

static void add_member(struct device *d, const struct found *f)
{
	const struct btrfs_superblock *s = f ? &f->superblock : NULL;

	device_add_below(d, f ? f->device : NULL);
	d->btrfs.devices = xrealloc(d->btrfs.devices, d->below_count * sizeof(*d->btrfs.devices));
	d->btrfs.devices[d->below_count - 1] = (struct btrfs_device) {
		.id = s ? s->id : 0,
		.uuid = s ? xstrdup(s->uuid) : NULL,
		.size = s ? s->size / 4096 * 4096 : 0,
	};
	if (f)
		f->device->content.kind = CONTENT_MEMBER;
}

/* Numbers that nobody has are those of devices that are gone, or were taken out of it: `missing` of them are gone. */
static void add_members(struct device *d, const struct found_list *l, uint64_t missing)
{
	for (size_t i = 0; i < l->count; i++) {
		uint64_t before = i ? l->items[i - 1].superblock.id : 0;

		for (uint64_t id = before + 1; missing && id < l->items[i].superblock.id; id++, missing--)
			add_member(d, NULL);
		add_member(d, &l->items[i]);
	}
	for (; missing; missing--)
		add_member(d, NULL);
}

static void warn_missing(const struct device *d, uint64_t missing, struct report *report)
{
	if (missing)
		report_warn(report,
			    "%s is degraded: %" PRIu64 " of its devices %s missing, and recovery makes it on "
			    "the others alone; put a device in place of 'missing' in machine.conf to have it "
			    "whole",
			    d->name, missing, missing == 1 ? "is" : "are");
}

static int make_device(struct machine *m, const struct found_list *l, struct report *report, struct error *e)
{
	enum { most = 1024 };
	const struct content *c = &l->items[0].device->content;
	uint64_t count = count_devices(l), missing = count > l->count ? count - l->count : 0;
	_cleanup_(free) char *name = xasprintf("btrfs-%.8s", c->uuid);

	if (count > most)
		return error_text(e, EINVAL, "%s: a btrfs on %" PRIu64 " devices: its superblock is broken",
				  l->items[0].device->name, count);
	struct device *d = machine_add(m, DEVICE_BTRFS, machine_find(m, name) ? c->uuid : name);

	d->content.kind = CONTENT_FILESYSTEM;
	d->content.type = xstrdup(c->type);
	d->content.uuid = xstrdup(c->uuid);
	d->content.label = c->label ? xstrdup(c->label) : NULL;
	d->now.devno = l->items[0].device->now.devno;
	add_members(d, l, missing);
	d->size = btrfs_spread_size(d);
	warn_missing(d, missing, report);
	return 0;
}

static bool is_one_of_several(const struct device *d)
{
	_cleanup_(free) char *node = is_single(d) ? device_node(d) : NULL;
	struct btrfs_superblock s;
	struct error ignored; /* describing it says so */

	return node && btrfs_read_device(node, &s, &ignored) == 0 && s.devices > 1;
}

int btrfs_survey_devices(struct machine *m, struct report *report, struct error *e)
{
	int r = 0;

	for (size_t i = 0, count = m->count; i < count && r == 0; i++) {
		_cleanup_(found_list) struct found_list l = { 0 };

		if (!is_one_of_several(m->devices[i]))
			continue;
		_cleanup_(free) char *uuid = xstrdup(m->devices[i]->content.uuid);

		find_devices(m, i, uuid, &l, report);
		if (l.count == 0)
			continue;
		qsort(l.items, l.count, sizeof(*l.items), by_id);
		r = make_device(m, &l, report, e);
	}
	return r;
}

/* ---- making it ---- */

/* The module brings its node. */
static int open_control(void)
{
	static const char control[] = "/dev/btrfs-control";
	static const char *const modprobe[] = { "modprobe", "-q", "btrfs", NULL };
	struct error ignored; /* opening it says so */
	int fd = open(control, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno != EACCES && proc_run(modprobe, NULL, &ignored) == 0)
		fd = open(control, O_RDWR | O_CLOEXEC);
	return fd;
}

int btrfs_register(const struct strlist *nodes, struct error *e)
{
	_cleanup_(fd) int fd = open_control();

	if (fd < 0)
		return error_errno(e, errno, "open /dev/btrfs-control");
	for (size_t i = 0; i < nodes->count; i++) {
		struct btrfs_ioctl_vol_args args = { 0 };
		size_t n = strlen(nodes->items[i]);

		if (n >= sizeof(args.name))
			return error_text(e, ENAMETOOLONG, "tell the kernel of %s: its name is too long",
					  nodes->items[i]);
		memcpy(args.name, nodes->items[i], n);
		if (ioctl(fd, BTRFS_IOC_SCAN_DEV, &args) < 0)
			return error_errno(e, errno, "tell the kernel of the btrfs on %s", nodes->items[i]);
	}
	return 0;
}

/* What it remembers of disks that were mounted before and are gone, or hold something else now, gets into the way of a new
 * one of the same UUID: "failed to init sysfs interface", as two of its devices have one number. It forgets all that is not
 * mounted. */
static void forget_all(void)
{
	_cleanup_(fd) int fd = open_control();
	struct btrfs_ioctl_vol_args all = { 0 };

	if (fd >= 0)
		(void)ioctl(fd, BTRFS_IOC_FORGET_DEV,
			    &all); /* before Linux 5.4 it cannot; mounting says what is wrong */
}

/* Those of others, too, as they were before. */
static void remember_others(void)
{
	static const char *const argv[] = { "btrfs", "device", "scan", NULL };
	struct error ignored; /* they can be told of again by whoever wants them */

	(void)proc_run(argv, NULL, &ignored);
}

/* mkfs.btrfs takes all of each device. `ret` gets "2:1073741824" for each that is to be smaller. */
static int find_smaller(const struct device *d, const struct strlist *nodes, struct strlist *ret,
			struct error *e)
{
	size_t at = 0;

	for (size_t i = 0; i < d->below_count; i++) {
		struct btrfs_superblock s;
		uint64_t size = d->btrfs.devices[i].size;

		if (!d->below[i])
			continue;
		int r = btrfs_read_device(nodes->items[at++], &s, e);

		if (r < 0)
			return r;
		if (size && s.size > size && s.size - size >= 4096)
			strlist_addf(ret, "%" PRIu64 ":%" PRIu64, s.id, size);
	}
	return 0;
}

static int make_smaller(const char *node, const struct strlist *sizes, struct error *e)
{
	static const struct mount_option top[] = { { "subvolid", "5" }, { NULL, NULL } };
	_cleanup_(fd) int fd = -1;
	int r = mount_detached("btrfs", node, true, top, &fd, e);

	for (size_t i = 0; i < sizes->count && r == 0; i++) {
		struct btrfs_ioctl_vol_args args = { 0 };

		memcpy(args.name, sizes->items[i], strlen(sizes->items[i])); /* two numbers */
		if (ioctl(fd, BTRFS_IOC_RESIZE, &args) < 0)
			r = error_errno(e, errno, "make the btrfs on %s smaller (%s)", node, sizes->items[i]);
	}
	if (r == 0 && syncfs(fd) < 0)
		r = error_errno(e, errno, "write %s", node);
	return r;
}

int btrfs_make_alone(const struct strlist *nodes, const struct content *c, struct error *e)
{
	forget_all();
	int r = btrfs_make_on(nodes, c, e);

	remember_others();
	return r;
}

int btrfs_make_spread(const struct device *d, const struct strlist *nodes, struct error *e)
{
	_cleanup_(strlist) struct strlist smaller = { 0 };

	int r = btrfs_make_alone(nodes, &d->content, e);

	if (r == 0)
		r = btrfs_register(nodes, e);
	if (r == 0)
		r = find_smaller(d, nodes, &smaller, e);
	return r == 0 && smaller.count ? make_smaller(nodes->items[0], &smaller, e) : r;
}
