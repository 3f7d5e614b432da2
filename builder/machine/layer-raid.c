/* Arrays of Linux md. Sources: Documentation/admin-guide/md.rst of Linux for sysfs; mdadm(8) for --create; the
 * numbers of layouts are those of drivers/md/raid5.h and raid10.c. */
#include "machine/layers.h"
#include "machine/layer_kinds.h"

#include "base/fs.h"
#include "base/proc.h"
#include "machine/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

static const char *const parity_layouts[] = { "left-asymmetric", "right-asymmetric", "left-symmetric",
					      "right-symmetric", "parity-first",     "parity-last" };

/* In mdadm's words; NULL: it has none, or one that nobody can make again. */
static char *layout_name(const char *level, uint64_t number)
{
	if (streq(level, "raid10")) {
		uint64_t near = number & 0xff, far = number >> 8 & 0xff;

		if (far <= 1)
			return xasprintf("n%" PRIu64, near);
		return xasprintf(number & 0x10000 ? "o%" PRIu64 : "f%" PRIu64, far);
	}
	if ((streq(level, "raid5") || streq(level, "raid6")) &&
	    number < sizeof(parity_layouts) / sizeof(*parity_layouts))
		return xstrdup(parity_layouts[number]);
	return NULL;
}

/* libblkid shows the array's UUID as 8-4-4-4-12 digits, mdadm as four times eight. */
static char *array_uuid(const char *uuid)
{
	char digits[33];
	size_t n = 0;

	for (; uuid && *uuid && n < 32; uuid++)
		if (*uuid != '-')
			digits[n++] = *uuid;
	digits[n] = '\0';
	return n == 32 ? xasprintf("%.8s:%.8s:%.8s:%.8s", digits, digits + 8, digits + 16, digits + 24)
		       : NULL;
}

/* Puts the member that the folder dev-NAME describes into its place. */
static int place_member(const struct sysfs_layer *s, const char *folder, struct device **roles, size_t count,
			struct device *d, struct error *e)
{
	_cleanup_(free) char *slot = sysfs_text(s, "md/%s/slot", folder);
	_cleanup_(free) char *state = sysfs_text(s, "md/%s/state", folder);
	_cleanup_(free) char *number = sysfs_text(s, "md/%s/block/dev", folder);
	struct device *below = number ? sysfs_find(s->m, number) : NULL;
	uint64_t role, offset = sysfs_number(s, "md/%s/offset", folder) * 512;

	if (!below)
		return error_text(e, ENODEV, "%s has a member, %s, that is on no disk of this machine",
				  s->name, folder + strlen("dev-"));
	if (state && strstr(state, "faulty"))
		return 0; /* its place is free */
	d->raid.data_offset = streq(d->raid.metadata, "0.90") ? 0 : offset;
	if (slot && parse_u64(slot, &role) == 0 && role < count && !roles[role]) {
		roles[role] = below;
		return 0;
	}
	device_add_below(d, below); /* a spare; the others come before it, see below */
	d->raid.spares++;
	return 0;
}

static int find_members(const struct sysfs_layer *s, struct device *d, struct error *e)
{
	size_t count = sysfs_number(s, "md/raid_disks");
	_cleanup_(free) struct device **roles = NULL;
	_cleanup_(free) char *path = xasprintf("/sys/block/%s/md", s->name);
	DIR *dir = opendir(path);
	int r = 0;

	if (!dir)
		return error_errno(e, errno, "read %s", path);
	if (count == 0 || count > 1024)
		r = error_text(e, EINVAL, "read %s/raid_disks: not a number of members", path);
	else
		roles = xcalloc(count, sizeof(struct device *));
	for (const struct dirent *entry; r == 0 && (entry = readdir(dir));)
		if (str_after(entry->d_name, "dev-"))
			r = place_member(s, entry->d_name, roles, count, d, e);
	(void)closedir(dir); /* read side */
	if (r < 0)
		return r;
	struct device **all = xcalloc(count + d->below_count, sizeof(struct device *));

	memcpy(all, roles, count * sizeof(struct device *));
	if (d->below_count)
		memcpy(all + count, d->below, d->below_count * sizeof(struct device *));
	free(d->below);
	d->below = all;
	d->below_count += count;
	return 0;
}

static int check_same_size(const struct device *d, uint64_t size, struct error *e)
{
	if (d->size == size)
		return 0;
	return error_text(
		e, EOPNOTSUPP,
		"%s (%s) has %" PRIu64 " bytes, not %" PRIu64
		" as its members say: an array of members of different sizes or that is being reshaped "
		"cannot be rebuilt yet",
		d->name, d->raid.level, size, d->size);
}

static void warn_missing(const struct device *d, struct report *report)
{
	unsigned missing = 0;

	for (size_t i = 0; i < d->below_count; i++)
		missing += !d->below[i];
	if (missing)
		report_warn(report,
			    "%s is degraded: %u of its devices %s missing, and recovery will make it so; put "
			    "a device "
			    "in place of 'missing' in machine.conf to have it whole",
			    d->name, missing, missing == 1 ? "is" : "are");
}

int raid_survey(const struct sysfs_layer *s, struct report *report, struct error *e)
{
	_cleanup_(free) char *metadata = sysfs_text(s, "md/metadata_version");
	_cleanup_(free) char *level = sysfs_text(s, "md/level");
	_cleanup_(free) char *bitmap = sysfs_text(s, "md/bitmap/location");

	if (!metadata || !level)
		return error_text(e, EIO, "read /sys/block/%s/md: its level or metadata is not there",
				  s->name);
	if (!raid_level_known(level) || str_after(metadata, "external") || streq(metadata, "none"))
		return error_text(e, EOPNOTSUPP,
				  "%s is an array of level %s with metadata %s, which cannot be rebuilt yet",
				  s->name, level, metadata);
	struct device *d = machine_add(s->m, DEVICE_RAID, s->name);

	d->now.devno = s->number;
	d->raid.level = xstrdup(level);
	d->raid.metadata = xstrdup(metadata);
	d->raid.layout = layout_name(level, sysfs_number(s, "md/layout"));
	d->raid.chunk = sysfs_number(s, "md/chunk_size");
	d->raid.bitmap = bitmap && !streq(bitmap, "none");
	int r = find_members(s, d, e);

	if (r < 0)
		return r;
	d->raid.component_size = sysfs_number(s, "md/component_size") * 1024;
	if (d->raid.component_size == 0 ||
	    streq(level, "raid0")) /* which the kernel does not say of a raid0 */
		d->raid.component_size = s->size / raid_members(d);
	for (size_t i = 0; i < d->below_count; i++) {
		struct content *c = d->below[i] ? &d->below[i]->content : NULL;

		if (!c)
			continue;
		if (!d->raid.uuid)
			d->raid.uuid = array_uuid(c->uuid);
		if (!d->raid.name && c->label)
			d->raid.name = xstrdup(c->label);
		c->kind = CONTENT_MEMBER;
	}
	if (!d->raid.uuid)
		return error_text(e, EIO, "%s: its members tell no UUID of the array", s->name);
	raid_set_overhead(d);
	layer_set_size(d);
	warn_missing(d, report);
	return check_same_size(d, s->size, e);
}

/* ---- making it ---- */

void raid_commands(const struct device *d, node_of node, const void *user, struct commands *ret)
{
	struct strlist *c = commands_add(ret);
	bool has_size = !streq(d->raid.level, "raid0");

	strlist_add_words(c, "mdadm --create --run --quiet --homehost=any");
	strlist_addf(c, "--level=%s", d->raid.level);
	strlist_addf(c, "--metadata=%s", d->raid.metadata);
	strlist_addf(c, "--uuid=%s", d->raid.uuid);
	strlist_addf(c, "--raid-devices=%u", raid_members(d));
	if (d->raid.spares)
		strlist_addf(c, "--spare-devices=%u", d->raid.spares);
	if (raid_members(d) == 1)
		strlist_add(c, "--force"); /* it means it */
	if (d->raid.name && !streq(d->raid.metadata, "0.90"))
		strlist_addf(c, "--name=%s", d->raid.name);
	if (d->raid.layout)
		strlist_addf(c, "--layout=%s", d->raid.layout);
	if (d->raid.chunk)
		strlist_addf(c, "--chunk=%" PRIu64 "K", d->raid.chunk / 1024);
	if (has_size) {
		strlist_addf(c, "--size=%" PRIu64 "K", d->raid.component_size / 1024);
		strlist_addf(c, "--bitmap=%s", d->raid.bitmap ? "internal" : "none");
	}
	if (d->raid.data_offset && str_after(d->raid.metadata, "1.") && !streq(d->raid.metadata, "1.0"))
		strlist_addf(c, "--data-offset=%" PRIu64 "K", d->raid.data_offset / 1024);
	strlist_addf(c, "/dev/%s", d->name);
	for (size_t i = 0; i < d->below_count; i++)
		strlist_take(c, d->below[i] ? node(user, d->below[i]) : xstrdup("missing"));
}

int raid_make(const struct device *d, const struct layer_options *o, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };

	raid_commands(d, o->node, o->user, &all);
	return layer_run(&all, NULL, e);
}

/* As libblkid shows it. The caller frees. */
static char *member_uuid(const struct device *d)
{
	const char *u = d->raid.uuid; /* 8:8:8:8 */

	return xasprintf("%.8s-%.4s-%.4s-%.4s-%.4s%.8s", u, u + 9, u + 13, u + 18, u + 22, u + 27);
}

/* Those that run, with its spares. */
static size_t count_running(const struct device *d)
{
	_cleanup_(free) char *path = xasprintf("/sys/block/%s/md", d->name);
	const struct sysfs_layer s = { .name = d->name };
	DIR *dir = opendir(path);
	size_t count = 0;

	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!str_after(entry->d_name, "dev-"))
			continue;
		_cleanup_(free) char *state = sysfs_text(&s, "md/%s/state", entry->d_name);

		count += state && !strstr(state, "faulty");
	}
	if (dir)
		(void)closedir(dir); /* read side */
	return count;
}

/* mdadm would start it without a member that is another one's. */
static int check_members(const struct device *d, const struct layer_options *o, struct error *e)
{
	_cleanup_(free) char *uuid = member_uuid(d);
	int r = 0;

	for (size_t i = 0; i < d->below_count && r == 0; i++)
		if (d->below[i])
			r = layer_expect(d->below[i], uuid, o, e);
	return r;
}

int raid_open(const struct device *d, const struct layer_options *o, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };
	struct strlist *c = commands_add(&all);
	size_t members = 0;
	struct error why;
	int r = check_members(d, o, e);

	if (r < 0)
		return r;

	strlist_add_words(c, "mdadm --assemble --run --quiet");
	strlist_addf(c, "--uuid=%s", d->raid.uuid);
	strlist_addf(c, "/dev/%s", d->name);
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i]) {
			strlist_take(c, o->node(o->user, d->below[i]));
			members++;
		}
	if (layer_run(&all, NULL, &why) < 0)
		return layer_not_whole(d, why.text, e);
	return count_running(d) == members ? 0 : layer_not_whole(d, "not all of its members run", e);
}

int raid_close(const struct device *d, struct error *e)
{
	_cleanup_(free) char *node = device_node(d);
	const char *const argv[] = { "mdadm", "--stop", "--quiet", node, NULL };

	return proc_run(argv, NULL, e);
}

int raid_check_whole(const struct device *d, struct error *e)
{
	size_t members = 0, running = count_running(d);

	for (size_t i = 0; i < d->below_count; i++)
		members += d->below[i] != NULL;
	return running >= members
		       ? 0
		       : error_text(e, EIO,
				    "%s runs on %zu of its %zu devices: a disk failed while it was written",
				    d->name, running, members);
}

bool raid_is_running(const struct device *d)
{
	_cleanup_(free) char *path = xasprintf("/sys/block/%s/md/array_state", d->name);
	_cleanup_(free) char *state = NULL;

	return read_file_at(AT_FDCWD, path, 64, &state, NULL, NULL) == 0 && !streq(str_strip(state), "clear");
}
