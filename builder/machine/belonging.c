#include "machine/belonging.h"

#include "base/str.h"

#include <errno.h>
#include <sys/stat.h>

static bool is_removable(const struct device *disk)
{
	return disk->identity.removable || (disk->identity.bus && streq(disk->identity.bus, "usb"));
}

/* A layer that runs belongs to this system. A btrfs that nobody has mounted need not, if it lies on such disks alone. */
static bool is_tied(const struct machine *m, const struct device *d, const struct mounts *mounts)
{
	if (d->kind != DEVICE_BTRFS || mounts_folder(mounts, d->now.devno))
		return !device_is_plain(d);
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_DISK && !is_removable(m->devices[i]) &&
		    device_lies_on(d, m->devices[i]))
			return true;
	return false;
}

/* A disk that may be plugged in by chance is a part of the machine only when fstab names it or the
 * system runs from it. */
static bool belongs(const struct machine *m, const struct device *disk, const struct mounts *mounts)
{
	bool guest = is_removable(disk);

	/* where arrays and groups are concerned, its loss would be theirs */
	for (size_t i = 0; i < m->count && guest; i++)
		guest = !is_tied(m, m->devices[i], mounts) || !device_lies_on(m->devices[i], disk);
	const char *folder, *options;

	if (!disk->now.holds && !disk->now.broken)
		return false;
	for (size_t i = 0; i < m->count && guest; i++) {
		const struct device *d = m->devices[i];
		const char *at = device_lies_on(d, disk) ? mounts_folder(mounts, d->now.devno) : NULL;

		if (!device_lies_on(d, disk))
			continue;
		if ((at && streq(at, "/")) || mounts_fstab(mounts, d, &folder, &options))
			guest = false;
	}
	return !guest;
}

/* ---- what recovery.conf leaves out ---- */

static size_t index_of(const struct machine *m, const struct device *d)
{
	size_t i = 0;

	while (m->devices[i] != d)
		i++;
	return i;
}

static struct device *find_named(const struct machine *m, const char *name)
{
	struct device *d = machine_find_disk(m, name);
	struct stat st;

	if (!d)
		d = machine_find(m, name);
	if (d || *name != '/' || stat(name, &st) < 0 || !S_ISBLK(st.st_mode))
		return d;
	for (size_t i = 0; i < m->count && !d; i++)
		if (m->devices[i]->now.devno == st.st_rdev)
			d = m->devices[i];
	return d;
}

/* Does `d` lie on others than the marked disks as well? */
static bool lies_elsewhere(const struct machine *m, const struct device *d, const bool *marks)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_DISK && !marks[i] && device_lies_on(d, m->devices[i]))
			return true;
	return false;
}

/* What is lost with `d` must be nothing that the recovered system starts from. */
static int check_unneeded(const char *name, const struct device *d, const struct mounts *mounts,
			  struct error *e)
{
	const char *at = mounts_folder(mounts, d->now.devno), *needed = mounts_needed(mounts, d);

	if (at && streq(at, "/"))
		return error_text(e, EINVAL, "leave-out = %s: the root is on %s", name, d->name);
	if (needed)
		return error_text(
			e, EINVAL,
			"leave-out = %s: /etc/fstab mounts %s (%s) at boot, which would stop there without "
			"it: give it the option nofail",
			name, needed, d->name);
	return 0;
}

/* All of it goes, with the other marked disks. */
static int check_disk(const struct machine *m, const struct device *disk, const bool *marks,
		      const struct mounts *mounts, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];

		if (!device_lies_on(d, disk))
			continue;
		r = check_unneeded(disk->name, d, mounts, e);
		if (r == 0 && !device_is_plain(d) && lies_elsewhere(m, d, marks))
			r = error_text(e, EINVAL, "leave-out = %s: %s lies on other disks as well",
				       disk->name, d->name);
	}
	return r;
}

/* It stays, without what is in it. */
static int leave_empty(const struct machine *m, const char *name, struct device *d,
		       const struct mounts *mounts, struct report *report, struct error *e)
{
	struct device *above = machine_above(m, d);
	int r = check_unneeded(name, d, mounts, e);

	if (r < 0)
		return r;
	if (d->kind == DEVICE_GROUP || d->kind == DEVICE_BTRFS || d->kind == DEVICE_SUBVOLUME ||
	    d->table != TABLE_NONE || d->content.kind == CONTENT_EXTENDED || d->content.kind == CONTENT_RAW ||
	    above)
		return error_text(
			e, EINVAL,
			"leave-out = %s: only a disk, or a partition, array, volume or LUKS device with "
			"nothing on it but a file system can be left out%s%s",
			name, above ? ", and this is a part of " : "", above ? above->name : "");
	report_warn(report, "%s is left out: recovery makes it again, and leaves it empty%s%s", d->name,
		    d->content.type ? "; it holds " : "", d->content.type ? d->content.type : "");
	content_clear(&d->content);
	return 0;
}

/* Marks the disks that go, and empties the rest. */
static int leave_out_named(struct machine *m, const struct strlist *names, const struct mounts *mounts,
			   bool *marks, struct report *report, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < names->count && r == 0; i++) {
		struct device *d = find_named(m, names->items[i]);

		if (!d)
			report_warn(report, "leave-out = %s: nothing here has that name", names->items[i]);
		else if (d->kind == DEVICE_DISK)
			marks[index_of(m, d)] = true;
		else
			r = leave_empty(m, names->items[i], d, mounts, report, e);
	}
	for (size_t i = 0; i < m->count && r == 0; i++)
		if (marks[i])
			r = check_disk(m, m->devices[i], marks, mounts, e);
	return r;
}

/* ---- what goes ---- */

static const char *why_not(const struct device *disk, bool named)
{
	if (named)
		return "recovery.conf says so";
	return disk->now.holds || disk->now.broken ? "it can be taken away, and fstab does not name it"
						   : "it is blank";
}

/* A layer goes with the last of its disks. */
static bool goes(const struct machine *m, const struct device *d, const bool *marks)
{
	if (d->parent)
		return marks[index_of(m, d->parent)];
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i] && !marks[index_of(m, d->below[i])])
			return false;
	return true;
}

int belonging_keep(struct machine *m, const struct mounts *mounts, const struct strlist *leave_out,
		   struct report *report, struct error *e)
{
	_cleanup_(free) bool *marks = xcalloc(m->count + 1, sizeof(*marks));
	int r = leave_out ? leave_out_named(m, leave_out, mounts, marks, report, e) : 0;

	/* partitions and layers stand behind what they are made of: of that it is decided by then */
	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];
		bool named = marks[i];

		marks[i] = named || (d->kind == DEVICE_DISK ? !belongs(m, d, mounts) : goes(m, d, marks));
		if (marks[i] && d->kind == DEVICE_DISK)
			report_warn(report, "%s is left out: %s", d->identity.path, why_not(d, named));
	}
	if (r == 0)
		machine_remove(m, marks);
	return r;
}
