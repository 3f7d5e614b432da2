#include "machine/survey.h"

#include "base/block.h"
#include "base/fs.h"
#include "machine/belonging.h"
#include "machine/boot_loader.h"
#include "machine/btrfs.h"
#include "machine/fs.h"
#include "machine/identity.h"
#include "machine/layer.h"
#include "machine/layers.h"
#include "machine/mounts.h"
#include "machine/probe.h"
#include "machine/stack.h"
#include "machine/try.h"
#include "machine/uefi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>

/* ---- the disks ---- */

static int list_disks(int block_fd, struct strlist *ret, struct error *e)
{
	_cleanup_(fd) int fd = fcntl(block_fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return error_errno(e, errno, "read /sys/block");
	(void)TAKE_FD(fd); /* closedir() closes it */
	rewinddir(dir);
	for (const struct dirent *d; (d = readdir(dir));)
		if (is_disk(block_fd, d->d_name))
			strlist_add(ret, d->d_name);
	(void)closedir(dir); /* only read */
	strlist_sort(ret);
	return 0;
}

static dev_t node_devno(const struct device *d)
{
	_cleanup_(free) char *node = device_node(d);
	struct stat st;

	return node && stat(node, &st) == 0 && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

static char *why_in_use(const struct mounts *mounts, const struct device *d)
{
	if (!d->now.devno)
		return NULL;
	const char *folder = mounts_folder(mounts, d->now.devno);
	_cleanup_(free) char *loop = block_loop("/sys", d->name, d->now.devno);

	if (folder)
		return str_printable(xasprintf("%s is mounted at %s", d->name, folder));
	if (mounts_is_swap(mounts, d->now.devno))
		return xasprintf("%s is in use as swap", d->name);
	if (loop)
		return xasprintf("%s is in use by %s", d->name, loop);
	return NULL;
}

/* The same for what lies on a disk, by its kernel name: RAID, LVM, LUKS and their like. */
static char *why_layer_in_use(const void *user, const char *name)
{
	_cleanup_(free) char *node = xasprintf("/dev/%s", name);
	struct device d = { .kind = DEVICE_PARTITION, .name = (char *)name };
	struct stat st;

	if (stat(node, &st) < 0 || !S_ISBLK(st.st_mode))
		return xasprintf("%s has no node in /dev", name);
	d.now.devno = st.st_rdev;
	char *why = why_in_use(user, &d);

	if (why)
		return why;
	_cleanup_(free) char *sysfs = xasprintf("/sys/class/block/%s", name);
	_cleanup_(free) char *holder =
		block_holder(sysfs); /* which holds it exclusively, and was looked at */
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (holder ? 0 : O_EXCL));

	return fd < 0 && errno == EBUSY ? xasprintf("%s is held by another program or mount", name) : NULL;
}

/* Also by others, whose mounts are not ours to see: then the kernel does not lend it exclusively. */
static void find_use(const struct machine *m, struct device *disk, const struct mounts *mounts)
{
	for (size_t i = 0; i < m->count; i++) {
		struct device *d = m->devices[i];

		if (device_disk(d) != disk)
			continue;
		if (d != disk)
			d->now.devno = node_devno(d);
		d->now.in_use = why_in_use(mounts, d);
		if (!d->now.in_use)
			d->now.in_use = stack_find("/sys", d->name, why_layer_in_use, mounts, &disk->now);
		if (d->now.in_use && !disk->now.in_use)
			disk->now.in_use = xstrdup(d->now.in_use);
	}
	if (disk->now.in_use || disk->now.stop.count)
		return;
	_cleanup_(fd) int fd = open(disk->identity.path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == EBUSY)
		disk->now.in_use = xasprintf("%s is held by another program or mount", disk->name);
}

/* A disk that cannot be read must not keep the others from being used: it may be the one that died. */
static void look_at_disk(struct machine *m, struct device *disk, const struct mounts *mounts)
{
	size_t count = m->count;
	struct error why;

	if (probe_disk(m, disk, &why) < 0) {
		machine_cut(m, count);
		disk->now.broken = xstrdup(why.text);
	}
	find_use(m, disk, mounts);
}

static int scan(struct machine *m, const struct mounts *mounts, struct error *e)
{
	_cleanup_(fd) int block_fd = open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(strlist) struct strlist names = { 0 };

	if (block_fd < 0)
		return error_errno(e, errno, "read /sys/block");
	int r = list_disks(block_fd, &names, e);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		struct device *disk = machine_add(m, DEVICE_DISK, names.items[i]);

		r = identify_disk(block_fd, disk, e);
		if (r == 0)
			look_at_disk(m, disk, mounts);
	}
	return r;
}

int survey_disks(struct machine *ret, struct report *report, struct error *e)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(mounts) struct mounts *mounts = NULL;
	int r = mounts_load(&mounts, e);

	if (r == 0)
		r = scan(&m, mounts, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m.count; i++)
		if (m.devices[i]->kind == DEVICE_DISK)
			report_debug(report, "%s: %s", m.devices[i]->name,
				     m.devices[i]->now.broken  ? m.devices[i]->now.broken
				     : m.devices[i]->now.holds ? m.devices[i]->now.holds
							       : "blank");
	*ret = m;
	m = (struct machine) { 0 };
	return 0;
}

/* ---- what belongs to the machine ---- */

/* "/" is root, /var/log is var-log; what file names should not hold becomes "_". */
static char *stream_name(const struct machine *m, const struct device *d)
{
	const char *folder = d->content.mountpoint;
	char *name = xstrdup(!folder ? d->name : streq(folder, "/") ? "root" : folder + 1);

	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '-';
		else if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *p))
			*p = '_';
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->content.stream && streq(m->devices[i]->content.stream, name)) {
			char *unique = xasprintf("%s-%s", name, d->name);

			free(name);
			return unique;
		}
	return name;
}

/* The names that libblkid gives to parts of something larger. */
static const char *content_in_words(const char *type)
{
	static const struct {
		const char *type, *words;
	} known[] = { { "bcache", "a part of a bcache" },
		      { "zfs_member", "a part of a ZFS pool" },
		      { "vdo", "a VDO device" },
		      { "drbd", "a part of a DRBD mirror" },
		      { "LVM1_member", "a device of LVM's old format" },
		      { "ddf_raid_member", "a part of a RAID of the firmware (DDF)" },
		      { "isw_raid_member", "a part of a RAID of the firmware (Intel)" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (streq(type, known[i].type))
			return known[i].words;
	return type;
}

static int refuse_content(const struct device *d, struct error *e)
{
	_cleanup_(free) char *node = device_node(d);

	return error_text(e, EOPNOTSUPP,
			  "%s holds %s, which cannot be rebuilt yet ('leave-out = %s' in recovery.conf does "
			  "without it)",
			  node, content_in_words(d->content.type), d->name);
}

/* Each subvolume is mounted and saved by itself, the top level as one of them. */
static int describe_subvolumes(struct machine *m, struct device *d, const struct mounts *mounts,
			       struct report *report, struct error *e)
{
	size_t first = m->count;
	int r = btrfs_survey(m, d, report, e);

	for (size_t i = first; i < m->count && r == 0; i++) {
		struct device *s = m->devices[i];
		const char *folder = mounts_subvolume(mounts, d->now.devno, s->subvolume.path);
		const char *options = folder ? mounts_options(mounts, d, folder) : NULL;

		if (folder)
			s->content.mountpoint = xstrdup(folder);
		if (options)
			s->content.mount_options = xstrdup(options);
		s->content.stream = stream_name(m, s);
		s->content.method = xstrdup(fs_find(s->content.type)->method);
	}
	return r;
}

static int describe_content(struct machine *m, struct device *d, const struct mounts *mounts,
			    struct report *report, struct error *e)
{
	struct content *c = &d->content;
	const struct fs_ops *ops = c->type ? fs_find(c->type) : NULL;
	_cleanup_(free) char *node = device_node(d);
	const char *live = mounts_seen(mounts, d->now.devno), *folder = NULL, *options = NULL;

	if (!ops)
		return refuse_content(d, e);
	if (c->kind == CONTENT_SWAP)
		return ops->describe(node, NULL, c, report, e);
	if (streq(c->type, "btrfs") && live) {
		int r = ops->describe(node, live, c, report, e);

		return r < 0 ? r : describe_subvolumes(m, d, mounts, report, e);
	}
	/* where it really is counts; fstab speaks for what is not mounted now */
	if (!mounts_fstab(mounts, d, &folder, &options) || !folder || *folder != '/' ||
	    (live && !streq(live, folder))) {
		folder = live;
		options = NULL;
	}
	if (folder)
		c->mountpoint = xstrdup(folder);
	if (folder && options)
		c->mount_options = xstrdup(options);
	int r = ops->describe(node, live, c, report, e);

	if (r < 0 || !ops->method)
		return r;
	if (!live) {
		report_warn(report,
			    "%s (%s) is not mounted: it is not backed up, and recovery makes it again empty",
			    node, c->type);
		free(TAKE_PTR(c->method));
		return 0;
	}
	c->stream = stream_name(m, d);
	if (!c->method) /* it may have chosen another one */
		c->method = xstrdup(ops->method);
	return 0;
}

static bool can_hold(const struct device *d)
{
	return d->kind != DEVICE_DISK && d->kind != DEVICE_GROUP && d->kind != DEVICE_SUBVOLUME &&
	       d->table == TABLE_NONE;
}

/* A LUKS header with all its key slots is a part of the backup. */
static void name_header(const struct machine *m, struct device *d)
{
	const struct device *above = machine_above(m, d);

	if (!above || above->kind != DEVICE_CRYPT)
		return;
	d->content.stream = xasprintf("luks-%s", above->name);
	for (char *p = d->content.stream; *p; p++)
		if (*p == '.' || *p == '+')
			*p = '_';
	d->content.method = xstrdup("raw");
}

static int describe_contents(struct machine *m, const struct mounts *mounts, struct report *report,
			     struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		struct device *d = m->devices[i];

		if (d->now.broken)
			r = error_text(e, EIO, "%s", d->now.broken);
		else if (d->content.kind == CONTENT_MEMBER)
			name_header(m, d);
		else if (d->content.type && d->kind != DEVICE_SUBVOLUME)
			r = describe_content(m, d, mounts, report, e);
		else if (can_hold(d) && d->content.kind == CONTENT_NONE)
			report_warn(report, "%s holds nothing that is known: recovery leaves it empty",
				    d->name);
	}
	return r;
}

/* ---- the system ---- */

static char *pretty_name(void)
{
	_cleanup_(free) char *text = NULL;
	struct error ignored; /* a system need not tell */

	if (read_file_at(AT_FDCWD, "/etc/os-release", 65536, &text, NULL, &ignored) < 0)
		return NULL;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		const char *value = str_after(line, "PRETTY_NAME=");

		if (value) {
			size_t quoted = *value == '"' || *value == '\'';

			return xstrndup(value + quoted, strcspn(value + quoted, "\"'"));
		}
	}
	return NULL;
}

static int describe_system(struct machine *m, struct error *e)
{
	struct utsname names;
	time_t now = time(NULL);
	char created[32];
	struct tm tm;

	if (uname(&names) < 0)
		return error_errno(e, errno, "ask for the host name");
	if (!gmtime_r(&now, &tm) || !strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return error_text(e, EINVAL, "read the clock: out of range");
	m->hostname = xstrdup(names.nodename);
	m->arch = xstrdup(names.machine);
	m->kernel = xstrdup(names.release);
	m->created = xstrdup(created);
	m->os = pretty_name();
	m->firmware = access("/sys/firmware/efi", F_OK) == 0 ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	return 0;
}

static bool has_fallback(const struct machine *m)
{
	const char *path = uefi_fallback_path(m->arch);

	for (size_t i = 0; path && i < m->count; i++) {
		const struct content *c = &m->devices[i]->content;
		_cleanup_(free) char *file =
			c->stream && streq(c->type, "vfat") ? xasprintf("%s%s", c->mountpoint, path) : NULL;

		if (file && access(file, F_OK) == 0)
			return true;
	}
	return false;
}

/* All of a UEFI machine's boot loader is files on its system partition, which must be in the backup. */
static int describe_uefi(struct machine *m, struct report *report, struct error *e)
{
	int r = uefi_survey(m, UEFI_VARIABLES, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < m->boot_entry_count; i++) {
		const struct device *d = partition_content(m, m->boot_entries[i].partition);

		if (!device_is_plain(m->boot_entries[i].partition))
			return error_text(
				e, EOPNOTSUPP,
				"the firmware boots '%s' from %s, a partition of an array, which cannot be "
				"rebuilt yet",
				m->boot_entries[i].label, d->name);
		if (!d->content.stream)
			return error_text(
				e, ENOENT,
				"the firmware boots '%s' from %s, which is not mounted, so it cannot be "
				"backed up: mount it (often at /boot/efi)",
				m->boot_entries[i].label, d->name);
	}
	if (m->boot_entry_count == 0 && !has_fallback(m))
		report_warn(
			report,
			"no boot entry of the firmware and no fallback loader is on this machine's disks: "
			"the recovered disk will not boot by itself");
	return 0;
}

/* A loader in the first sector of a disk, which is that of the array which it is a member of as a whole. */
static int check_loaders(const struct machine *m, struct error *e)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		const struct device *array = d->now.loader ? disk_shows_array(m, d) : NULL;

		if (array)
			return error_text(
				e, EOPNOTSUPP,
				"%s boots by %s in the partition table of %s, of which it is a member as a "
				"whole: that cannot be rebuilt yet",
				d->name, d->now.loader, array->name);
	}
	return 0;
}

static int describe_boot(struct machine *m, struct report *report, struct error *e)
{
	int r = boot_loader_look(m, e);

	if (r < 0)
		return r;
	if (m->firmware == FIRMWARE_UEFI)
		return describe_uefi(m, report, e);
	r = check_loaders(m, e);
	if (r < 0)
		return r;
	boot_loader_survey(m, "", report);
	return 0;
}

/* The system, its disks with their partitions, and its layers; of file systems their kind only. */
static int scan_all(struct machine *m, struct mounts **ret_mounts, struct report *report, struct error *e)
{
	int r = describe_system(m, e);

	if (r == 0)
		r = mounts_load(ret_mounts, e);
	if (r == 0)
		r = scan(m, *ret_mounts, e);
	return r == 0 ? survey_layers(m, report, e) : r;
}

int survey(struct machine *ret, const struct survey_options *o, struct report *report, struct error *e)
{
	_cleanup_(machine) struct machine m = { .sends_snapshots = o->sends_snapshots };
	_cleanup_(mounts) struct mounts *mounts = NULL;
	int r = scan_all(&m, &mounts, report, e);

	if (r == 0)
		r = belonging_keep(&m, mounts, o->leave_out, report, e);
	if (r < 0)
		return r;
	if (m.count == 0)
		return error_text(e, ENODEV, "no disk of this machine holds anything that could be rebuilt");
	r = describe_contents(&m, mounts, report, e);
	if (r == 0)
		r = describe_boot(&m, report, e);
	if (r == 0)
		r = try_machine(&m, NULL, report, e);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct machine) { 0 };
	return 0;
}

/* ---- what is there ---- */

static void describe_present(struct machine *m, struct device *d, const struct mounts *mounts,
			     struct report *report)
{
	const struct fs_ops *ops = d->content.type ? fs_find(d->content.type) : NULL;
	const char *live = mounts_seen(mounts, d->now.devno);
	_cleanup_(free) char *node = device_node(d);
	struct error why;

	if (!ops || !node || d->kind == DEVICE_SUBVOLUME || d->content.kind == CONTENT_MEMBER)
		return;
	int r = ops->describe(node, live, &d->content, report, &why);

	if (r == 0 && streq(d->content.type, "btrfs") && live)
		r = btrfs_survey(m, d, report, &why);
	if (r < 0)
		report_warn(report, "%s", why.text);
}

int survey_present(struct machine *ret, struct report *report, struct error *e)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(mounts) struct mounts *mounts = NULL;
	int r = scan_all(&m, &mounts, report, e);

	for (size_t i = 0, count = m.count; r == 0 && i < count; i++)
		describe_present(&m, m.devices[i], mounts, report);
	if (r == 0)
		r = boot_loader_look(&m, e);
	if (r == 0 && access("/sys/firmware/efi", F_OK) == 0) {
		m.firmware = FIRMWARE_UEFI;
		r = uefi_survey(&m, UEFI_VARIABLES, e);
	}
	if (r < 0)
		return r;
	*ret = m;
	m = (struct machine) { 0 };
	return 0;
}
