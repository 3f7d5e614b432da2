/* Sources: Documentation/ABI/testing/sysfs-block and sysfs-block-dm of Linux; the UUIDs of device-mapper devices
 * begin with the word of who made them (libdm's DM_UUID prefixes: LVM-, CRYPT-, mpath-). */
#include "machine/layers.h"

#include "base/fs.h"
#include "machine/btrfs.h"
#include "machine/layer_kinds.h"
#include "machine/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* ---- sysfs ---- */

static char *text_of(const struct sysfs_layer *s, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static char *text_of(const struct sysfs_layer *s, const char *fmt, va_list ap)
{
	char attribute[256];
	char *text = NULL;

	(void)vsnprintf(attribute, sizeof(attribute), fmt, ap); /* cut: then it is not there */
	_cleanup_(free) char *path = xasprintf("/sys/block/%s/%s", s->name, attribute);

	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

char *sysfs_text(const struct sysfs_layer *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = text_of(s, fmt, ap);

	va_end(ap);
	return text;
}

uint64_t sysfs_number(const struct sysfs_layer *s, const char *fmt, ...)
{
	va_list ap;
	uint64_t v;

	va_start(ap, fmt);
	_cleanup_(free) char *text = text_of(s, fmt, ap);

	va_end(ap);
	return text && parse_u64(text, &v) == 0 ? v : 0;
}

static dev_t parse_number(const char *text)
{
	unsigned major_number, minor_number;

	return text && sscanf(text, "%u:%u", &major_number, &minor_number) == 2
		       ? makedev(major_number, minor_number)
		       : 0;
}

struct device *sysfs_find(const struct machine *m, const char *number)
{
	dev_t devno = parse_number(number);

	for (size_t i = 0; i < m->count; i++)
		if (devno && m->devices[i]->now.devno == devno)
			return m->devices[i];
	return NULL;
}

/* The numbers of what it is made of. */
static void list_slaves(const struct sysfs_layer *s, struct strlist *ret)
{
	_cleanup_(free) char *path = xasprintf("/sys/block/%s/slaves", s->name);
	DIR *dir = opendir(path);

	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.') {
			char *number = sysfs_text(s, "slaves/%s/dev", entry->d_name);

			strlist_take(ret, number ? number : xstrdup("?"));
		}
	if (dir)
		(void)closedir(dir); /* read side */
}

char *sysfs_slave(const struct sysfs_layer *s)
{
	_cleanup_(strlist) struct strlist slaves = { 0 };

	list_slaves(s, &slaves);
	return slaves.count == 1 ? xstrdup(slaves.items[0]) : NULL;
}

/* ---- survey ---- */

/* md and device-mapper devices, but LVM's, which LVM itself tells of. */
static int list_running(struct strlist *ret, struct error *e)
{
	DIR *dir = opendir("/sys/block");

	if (!dir)
		return error_errno(e, errno, "read /sys/block");
	for (const struct dirent *entry; (entry = readdir(dir));) {
		const struct sysfs_layer s = { .name = entry->d_name };
		_cleanup_(free) char *level = sysfs_text(&s, "md/level");
		_cleanup_(free) char *uuid = sysfs_text(&s, "dm/uuid");

		if ((level && *level) ||
		    (str_after(entry->d_name, "dm-") && !(uuid && str_after(uuid, "LVM-"))))
			strlist_add(ret, entry->d_name);
	}
	(void)closedir(dir); /* read side */
	strlist_sort(ret);
	return 0;
}

/* What the kernel made of the table of an array. Without their nodes nothing on them would be found. */
static int find_partitions(struct machine *m, const struct device *d, struct error *e)
{
	for (size_t i = 0; i < m->count; i++) {
		struct device *p = m->devices[i];
		_cleanup_(free) char *node = is_partition_of(p, d) ? device_node(p) : NULL;
		struct stat st;

		if (!node || p->content.kind == CONTENT_EXTENDED)
			continue;
		if (stat(node, &st) < 0 || !S_ISBLK(st.st_mode))
			return error_text(
				e, ENODEV,
				"%s is in the partition table of %s, but the kernel does not show it "
				"(partprobe /dev/%s)",
				node, d->name, d->name);
		p->now.devno = st.st_rdev;
	}
	return 0;
}

static int look_into_one(struct machine *m, struct device *d, struct error *e)
{
	if (!d->now.devno || d->kind == DEVICE_PARTITION || d->content.kind != CONTENT_NONE)
		return 0;
	int r = probe_layer(m, d, e);

	return r < 0 ? r : find_partitions(m, d, e);
}

/* What is in a layer; looked at only once it is there. */
static int look_into(struct machine *m, size_t first, struct error *e)
{
	int r = 0;

	for (size_t end = m->count; first < end && r == 0; first++)
		r = look_into_one(m, m->devices[first], e);
	return r;
}

static bool is_other_kind(const char *name, const char *uuid)
{
	return name && !(uuid && str_after(uuid, "CRYPT-LUKS"));
}

static int survey_one(const struct sysfs_layer *s, struct report *report, struct error *e)
{
	_cleanup_(free) char *uuid = sysfs_text(s, "dm/uuid"), *name = sysfs_text(s, "dm/name");
	size_t first = s->m->count;

	if (is_other_kind(name, uuid))
		return 0;
	int r = name ? crypt_survey(s, name, report, e) : raid_survey(s, report, e);

	return r < 0 ? r : look_into(s->m, first, e);
}

static bool all_there(const struct sysfs_layer *s)
{
	_cleanup_(strlist) struct strlist slaves = { 0 };

	list_slaves(s, &slaves);
	for (size_t i = 0; i < slaves.count; i++)
		if (!sysfs_find(s->m, slaves.items[i]))
			return false;
	return slaves.count > 0;
}

/* One round: all that now has everything below it. */
static int survey_round(struct machine *m, struct strlist *names, bool *ret_progress, struct report *report,
			struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < names->count && r == 0; i++) {
		struct sysfs_layer s = { .m = m, .name = names->items[i] };
		_cleanup_(free) char *number = sysfs_text(&s, "dev");

		s.number = parse_number(number);
		s.size = sysfs_number(&s, "size") * 512;
		if (!s.number || sysfs_find(m, number) || !all_there(&s))
			continue;
		size_t before = m->count;

		r = survey_one(&s, report, e);
		*ret_progress = *ret_progress || m->count > before;
	}
	return r;
}

/* Partitions of a virtual machine's disk, say, which kpartx(8) shows: nothing is lost with them, as what they show is known by
 * what it lies on. What is mounted or lies in something else is lent to nobody exclusively. */
static int pass_over(const struct sysfs_layer *s, struct report *report, struct error *e)
{
	_cleanup_(free) char *uuid = sysfs_text(s, "dm/uuid"), *name = sysfs_text(s, "dm/name");

	if (!is_other_kind(name, uuid) || !all_there(s))
		return 0;
	_cleanup_(free) char *node = xasprintf("/dev/%s", s->name);
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	const char *shown = uuid && *uuid ? uuid : "no UUID";

	if (fd < 0)
		return error_text(
			e, EOPNOTSUPP,
			"/dev/mapper/%s (%s) is a kind of device-mapper device that cannot be rebuilt yet",
			name, shown);
	report_warn(report,
		    "/dev/mapper/%s (%s) is left out: it is a kind of device-mapper device that cannot be "
		    "rebuilt, and nothing is mounted from it",
		    name, shown);
	return 0;
}

static bool has_lvm(const struct machine *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->content.type && streq(m->devices[i]->content.type, "LVM2_member"))
			return true;
	return false;
}

static int survey_groups(struct lvm **lvm, struct machine *m, bool *ret_progress, struct report *report,
			 struct error *e)
{
	size_t first = m->count;
	int r = 0;

	if (!*lvm && has_lvm(m))
		r = lvm_load(lvm, e);
	if (r == 0 && *lvm)
		r = lvm_survey(*lvm, m, ret_progress, report, e);
	return r < 0 ? r : look_into(m, first, e);
}

int survey_layers(struct machine *m, struct report *report, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	_cleanup_(lvm) struct lvm *lvm = NULL;
	bool progress = true;
	int r = list_running(&names, e);

	while (r == 0 && progress) {
		progress = false;
		r = survey_round(m, &names, &progress, report, e);
		if (r == 0)
			r = survey_groups(&lvm, m, &progress, report, e);
	}
	for (size_t i = 0; i < names.count && r == 0; i++)
		r = pass_over(&(struct sysfs_layer) { .m = m, .name = names.items[i] }, report, e);
	return r == 0 ? btrfs_survey_devices(m, report, e) : r; /* on which nothing else lies */
}

/* ---- making them ---- */

const char *const *layer_env(void)
{
	/* where no udev runs nobody else makes the nodes of volumes; where it runs it is waited for */
	static const char *const without[] = { "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1", "DM_DISABLE_UDEV=1",
					       NULL };
	static const char *const with[] = { "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1", NULL };

	return access("/run/udev/control", F_OK) == 0 ? with : without;
}

int layer_run(const struct commands *all, const struct proc_options *options, struct error *e)
{
	struct proc_options o = options ? *options : (struct proc_options) { 0 };
	int r = 0;

	o.env = layer_env();
	for (size_t i = 0; i < all->count && r == 0; i++)
		r = proc_run((const char *const *)all->items[i].items, &o, e);
	return r;
}

int layer_make(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e)
{
	if (d->kind == DEVICE_RAID)
		return raid_make(d, o, e);
	return d->kind == DEVICE_CRYPT ? crypt_make(d, o, e) : group_make(m, d, o, e);
}

int layer_open(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e)
{
	if (d->kind == DEVICE_RAID)
		return raid_open(d, o, e);
	return d->kind == DEVICE_CRYPT ? crypt_open(d, o, e) : group_open(m, d, o, e);
}

int layer_expect(const struct device *below, const char *uuid, const struct layer_options *o, struct error *e)
{
	_cleanup_(free) char *node = o->node(o->user, below);
	const struct content expected = { .type = below->content.type, .uuid = (char *)uuid };

	return probe_expect(node, &expected, e);
}

int layer_not_whole(const struct device *d, const char *why, struct error *e)
{
	return error_text(e, ENOTRECOVERABLE, "%s was made before, but does not come up as it was made: %s",
			  d->name, why);
}

static int stop(const struct device *d, struct error *e)
{
	if (d->kind == DEVICE_RAID)
		return raid_close(d, e);
	return d->kind == DEVICE_CRYPT ? crypt_close(d, e) : group_close(d, e);
}

int layer_close(const struct device *d, struct error *e)
{
	struct error why;
	/* the kernel writes on without a member that fails, and says so to nobody */
	int whole = d->kind == DEVICE_RAID ? raid_check_whole(d, &why) : 0, r = stop(d, e);

	if (whole < 0)
		*e = why;
	return whole < 0 ? whole : r;
}

static bool is_running(const struct device *d)
{
	switch (d->kind) {
	case DEVICE_RAID:
		return raid_is_running(d);
	case DEVICE_CRYPT:
		return crypt_is_running(d);
	case DEVICE_GROUP:
		return group_is_running(d);
	case DEVICE_DISK:
	case DEVICE_PARTITION:
	case DEVICE_BTRFS:
	case DEVICE_SUBVOLUME:
	case DEVICE_VOLUME: /* with its group */
		break;
	}
	return false;
}

int layer_clear(const struct device *d, struct error *e)
{
	return is_running(d) ? stop(d, e) : 0;
}

int layer_check_free(const struct device *d, const dev_t disks[], size_t count, struct error *e)
{
	const char *program = d->kind == DEVICE_RAID    ? "mdadm"
			      : d->kind == DEVICE_CRYPT ? "cryptsetup"
							: "lvm";
	_cleanup_(free) char *found = proc_find_program(program);

	/* not in the middle, when the disks are wiped */
	if (!found)
		return error_text(e, ENOENT, "%s cannot be made without %s, which is not here", d->name,
				  program);
	/* what ran on the disks was stopped; a group on them is still there */
	bool taken = d->kind == DEVICE_GROUP ? group_is_elsewhere(d, disks, count) : is_running(d);

	return taken ? error_text(e, EBUSY, "there is a running %s already: stop it first", d->name) : 0;
}
