/* Volume groups of LVM as they are: their devices, volumes, and where those lie. */
#include "machine/lvm_report.h"

#include "machine/layer.h"
#include "machine/placement.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

static struct device *find_node(const struct machine *m, const char *node)
{
	struct stat st;

	if (stat(node, &st) < 0 || !S_ISBLK(st.st_mode))
		return NULL;
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->now.devno == st.st_rdev)
			return m->devices[i];
	return NULL;
}

/* "[pool_tdata]": what another volume is made of. */
static bool is_hidden(const json_t *row)
{
	return *lvm_field(row, "lv_name") == '[';
}

/* An old-style snapshot is a moment of its origin, not a part of the machine; so is one in a pool that nobody uses. */
static bool is_snapshot(const json_t *row)
{
	const char *role = lvm_field(row, "lv_role");

	return strstr(role, "thicksnapshot") != NULL ||
	       (strstr(role, "thinsnapshot") != NULL && !streq(lvm_field(row, "lv_active"), "active"));
}

static int refuse_type(const char *full, const json_t *row, struct error *e)
{
	return error_text(e, EOPNOTSUPP, "volume %s is of type %s (%s), which cannot be rebuilt yet", full,
			  lvm_field(row, "segtype"), lvm_field(row, "lv_layout"));
}

/* NULL: the usual one, for which nothing need be said. The caller frees. */
static char *allocation_of(const char *policy, const char *usual)
{
	return *policy && !streq(policy, usual) ? xstrdup(policy) : NULL;
}

static void describe_pool(struct volume *v, const json_t *row)
{
	const char *discards = lvm_field(row, "discards");

	v->metadata_size = lvm_number(row, "lv_metadata_size");
	v->chunk_size = lvm_number(row, "chunk_size");
	v->discards = *discards ? xstrdup(discards) : NULL;
	v->unzeroed = !*lvm_field(row, "zero");
	v->error_when_full = streq(lvm_field(row, "lv_when_full"), "error");
}

/* Another segment of a volume that is there: 0, or an error when the two are of types that do not go together. */
static int check_segment(const struct device *d, const json_t *row, struct error *e)
{
	const char *type = lvm_field(row, "segtype");

	return streq(d->volume.type, type) || (is_striped_only(d->volume.type) && is_striped_only(type))
		       ? 0
		       : error_text(
				 e, EOPNOTSUPP,
				 "volume %s has segments of several types (%s, %s), which cannot be rebuilt "
				 "yet",
				 d->name, d->volume.type, type);
}

static int add_volume(struct machine *m, struct device *group, const json_t *row, struct report *report,
		      struct error *e)
{
	const char *name = lvm_field(row, "lv_name"), *type = lvm_field(row, "segtype"),
		   *origin = lvm_field(row, "origin");
	_cleanup_(free) char *full = xasprintf("%s/%s", group->name, name);
	const struct device *known = machine_find(m, full);
	struct stat st;

	if (strstr(lvm_field(row, "lv_tags"), SNAPSHOT_TAG)) /* of a backup that is running */
		return 0;
	if (is_snapshot(row)) {
		report_warn(report, "volume %s is a snapshot of %s: it is left out", full, origin);
		return 0;
	}
	if (!volume_type_known(type) || strstr(lvm_field(row, "lv_layout"), "cache"))
		return refuse_type(full, row, e);
	if (known) /* a row for each of its segments */
		return check_segment(known, row, e);
	if (*origin)
		report_warn(report, "volume %s is a snapshot of %s: it is recovered as a volume of its own",
			    full, origin);
	struct device *d = machine_add(m, DEVICE_VOLUME, full);
	uint64_t copies = lvm_number(row, "data_copies"), stripes = lvm_number(row, "data_stripes");

	device_add_below(d, group);
	d->size = lvm_number(row, "lv_size");
	d->volume.type = xstrdup(type);
	d->volume.uuid = xstrdup(lvm_field(row, "lv_uuid"));
	d->volume.tags = xstrdup(lvm_field(row, "lv_tags"));
	d->volume.read_only = streq(lvm_field(row, "lv_permissions"), "read-only");
	d->volume.allocation = allocation_of(lvm_field(row, "lv_allocation_policy"), "inherit");
	if (*lvm_field(row, "lv_skip_activation"))
		report_warn(report,
			    "volume %s is skipped when its group is activated: the recovered one will not be",
			    full);
	if (volume_is_thin(d)) {
		_cleanup_(free) char *pool = xasprintf("%s/%s", group->name, lvm_field(row, "pool_lv"));

		d->volume.pool = machine_find(m, pool);
	} else if (volume_is_pool(d)) {
		describe_pool(&d->volume, row);
		d->content.kind = CONTENT_RAW; /* the thin volumes, nothing else */
	} else {
		/* LVM counts the images of a mirror as stripes, and parity as copies; lvcreate wants neither */
		bool mirrored = streq(type, "raid1") || streq(type, "mirror") || streq(type, "raid10");

		d->volume.mirrors = mirrored && copies > 1 ? (unsigned)copies - 1 : 0;
		stripes /= d->volume.mirrors + 1;
		d->volume.stripes = stripes > 1 ? (unsigned)stripes : 0;
		d->volume.stripe_size = d->volume.stripes ? lvm_number(row, "stripe_size") : 0;
		d->volume.region_size = lvm_number(row, "region_size");
	}
	if (volume_is_pool(d))
		return 0; /* has a node of its own only while there are no volumes in it */
	_cleanup_(free) char *node = device_node(d);

	if (stat(node, &st) < 0 || !S_ISBLK(st.st_mode))
		return error_text(
			e, ENXIO,
			"volume %s is not active: activate it (lvchange -ay %s), so that its content "
			"can be described",
			full, full);
	d->now.devno = st.st_rdev;
	return 0;
}

/* Pools before what is in them. */
static int add_volumes(const struct lvm *l, struct machine *m, struct device *group, struct report *report,
		       struct error *e)
{
	int r = 0;

	for (int thin = 0; thin < 2 && r == 0; thin++)
		for (size_t i = 0; i < json_array_size(l->volumes) && r == 0; i++) {
			const json_t *row = json_array_get(l->volumes, i);

			if (streq(lvm_field(row, "vg_name"), group->name) && !is_hidden(row) &&
			    streq(lvm_field(row, "segtype"), "thin") == thin)
				r = add_volume(m, group, row, report, e);
		}
	return r;
}

/* ---- on which devices ---- */

/* "/dev/sda2(0),[root_rimage_0](0)" without extents and brackets. */
static void split_devices(const char *text, struct strlist *ret)
{
	_cleanup_(strlist) struct strlist parts = { 0 };

	strlist_add_parts(&parts, text, ',');
	for (size_t i = 0; i < parts.count; i++) {
		char *name = parts.items[i], *end = strrchr(name, '(');

		if (end)
			*end = '\0';
		name += *name == '[';
		strlist_take(ret, xstrndup(name, strcspn(name, "]")));
	}
}

static bool is_row_of(const json_t *row, const struct device *group, const char *name)
{
	const char *shown = lvm_field(row, "lv_name");
	size_t len = strlen(name);

	shown += *shown == '[';
	return streq(lvm_field(row, "vg_name"), group->name) && strncmp(shown, name, len) == 0 &&
	       (!shown[len] || streq(shown + len, "]"));
}

/* The one device that a device or a hidden volume stands for; NULL when it lies on several. */
static const struct device *find_place(const struct lvm *l, const struct machine *m,
				       const struct device *group, const char *word)
{
	const struct device *place = NULL;

	if (*word == '/')
		return find_node(m, word);
	for (size_t i = 0; i < json_array_size(l->volumes); i++) {
		const json_t *row = json_array_get(l->volumes, i);
		_cleanup_(strlist) struct strlist names = { 0 };

		if (!is_row_of(row, group, word))
			continue;
		split_devices(lvm_field(row, "devices"), &names);
		const struct device *d =
			names.count == 1 && *names.items[0] == '/' ? find_node(m, names.items[0]) : NULL;

		if (!d || (place && d != place))
			return NULL;
		place = d;
	}
	return place;
}

/* Returns whether it is known where the row's segment lies. */
static bool place_segment(const struct lvm *l, const struct machine *m, struct device *d, const json_t *row)
{
	_cleanup_(strlist) struct strlist words = { 0 }, on = { 0 };

	split_devices(lvm_field(row, "devices"), &words);
	for (size_t i = 0; i < words.count; i++) {
		const struct device *place = find_place(l, m, d->below[0], words.items[i]);

		if (!place || strlist_has(&on, place->name))
			return false; /* LVM would not put two stripes or copies on one */
		strlist_add(&on, place->name);
	}
	if (on.count == 0)
		return false;
	placement_add(&d->volume, lvm_number(row, "seg_size"), &on);
	if (streq(lvm_field(row, "segtype"), "striped") && !d->volume.stripe_size)
		d->volume.stripe_size = lvm_number(row, "stripe_size"); /* behind a linear one */
	return true;
}

/* Where the volume called `name` lies: the volume itself, or what holds a pool's data. */
static bool place_all(const struct lvm *l, const struct machine *m, struct device *d, const char *name)
{
	bool known = true;

	for (size_t i = 0; i < json_array_size(l->volumes) && known; i++)
		if (is_row_of(json_array_get(l->volumes, i), d->below[0], name))
			known = place_segment(l, m, d, json_array_get(l->volumes, i));
	if (d->volume.segment_count)
		d->volume.segments[d->volume.segment_count - 1].size = 0; /* whatever is left for it */
	return known;
}

/* What a pool is made of must be what lvcreate makes it of. */
static int check_pool(const struct lvm *l, const struct device *d, struct error *e)
{
	_cleanup_(free) char *data = xasprintf("%s_tdata", volume_name(d)),
			     *metadata = xasprintf("%s_tmeta", volume_name(d));

	for (size_t i = 0; i < json_array_size(l->volumes); i++) {
		const json_t *row = json_array_get(l->volumes, i);

		if ((is_row_of(row, d->below[0], data) || is_row_of(row, d->below[0], metadata)) &&
		    !is_striped_only(lvm_field(row, "segtype")))
			return error_text(e, EOPNOTSUPP,
					  "thin pool %s lies on a volume of type %s, which cannot be rebuilt "
					  "yet",
					  d->name, lvm_field(row, "segtype"));
	}
	return 0;
}

static void tell_pool(const struct lvm *l, const struct machine *m, const struct device *d,
		      struct report *report)
{
	_cleanup_(free) char *metadata = xasprintf("%s_tmeta", volume_name(d));
	const struct device *place = find_place(l, m, d->below[0], metadata);

	for (size_t i = 0; i < d->volume.segment_count; i++)
		if (place && strlist_has(&d->volume.segments[i].on, place->name))
			return;
	report_warn(
		report,
		"thin pool %s: its metadata lies apart from its data%s%s: recovery puts it where the data is",
		d->name, place ? ", on " : "", place ? place->name : "");
}

static int place_volume(const struct lvm *l, const struct machine *m, struct device *d, struct report *report,
			struct error *e)
{
	_cleanup_(free) char *data = volume_is_pool(d) ? xasprintf("%s_tdata", volume_name(d)) : NULL;
	int r = data ? check_pool(l, d, e) : 0;

	if (r < 0 || volume_is_thin(d) || d->below[0]->below_count == 1)
		return r;
	if (!place_all(l, m, d, data ? data : volume_name(d))) {
		placement_free(&d->volume);
		report_warn(
			report,
			"volume %s: its parts are spread over several devices each: LVM chooses them anew",
			d->name);
	} else if (data) {
		tell_pool(l, m, d, report);
	}
	return 0;
}

/* The UUIDs of what the group's volumes are made of, and of the spare for pools. */
static void find_parts(const struct lvm *l, struct machine *m, struct device *group)
{
	for (size_t i = 0; i < json_array_size(l->volumes); i++) {
		const json_t *row = json_array_get(l->volumes, i);
		const char *shown = lvm_field(row, "lv_name"), *uuid = lvm_field(row, "lv_uuid");

		if (!streq(lvm_field(row, "vg_name"), group->name) || !is_hidden(row))
			continue;
		_cleanup_(free) char *name = xstrndup(shown + 1, strcspn(shown + 1, "]"));

		if (str_ends(name, "_pmspare")) {
			free(group->group.spare_uuid);
			group->group.spare_uuid = xstrdup(uuid);
		}
		for (size_t k = 0; k < m->count; k++) {
			struct device *d = m->devices[k];
			const char *part = is_volume_of(d, group) ? volume_part(d, name) : NULL;

			if (part)
				key_values_set(&d->volume.parts, part, uuid);
		}
	}
}

static int place_volumes(const struct lvm *l, struct machine *m, struct device *group, struct report *report,
			 struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++)
		if (is_volume_of(m->devices[i], group))
			r = place_volume(l, m, m->devices[i], report, e);
	find_parts(l, m, group);
	return r;
}

/* The devices of the group into `below`, as far as they are known. Returns how many are not. */
static size_t find_devices(const struct lvm *l, const struct machine *m, const char *group,
			   struct device **below, const json_t **rows, size_t *ret_count)
{
	size_t unknown = 0;

	*ret_count = 0;
	for (size_t i = 0; i < json_array_size(l->devices); i++) {
		const json_t *row = json_array_get(l->devices, i);
		struct device *d = streq(lvm_field(row, "vg_name"), group)
					   ? find_node(m, lvm_field(row, "pv_name"))
					   : NULL;

		if (!streq(lvm_field(row, "vg_name"), group))
			continue;
		if (d) {
			below[*ret_count] = d;
			rows[(*ret_count)++] = row;
		} else {
			unknown++;
		}
	}
	return unknown;
}

static int add_group(const struct lvm *l, struct machine *m, const json_t *row, bool *ret_progress,
		     struct report *report, struct error *e)
{
	size_t most = json_array_size(l->devices), count;
	_cleanup_(free) struct device **below = xcalloc(most + 1, sizeof(struct device *));
	_cleanup_(free) const json_t **rows = xcalloc(most + 1, sizeof(json_t *));
	const char *name = lvm_field(row, "vg_name");

	if (find_devices(l, m, name, below, rows, &count) > 0 || count == 0)
		return 0; /* perhaps in the next round */
	if (lvm_number(row, "vg_missing_pv_count") || *lvm_field(row, "vg_exported"))
		return error_text(e, EOPNOTSUPP, "volume group %s %s, so it cannot be rebuilt", name,
				  *lvm_field(row, "vg_exported") ? "is exported"
								 : "lacks one of its devices");
	struct device *d = machine_add(m, DEVICE_GROUP, name);

	d->group.uuid = xstrdup(lvm_field(row, "vg_uuid"));
	d->group.tags = xstrdup(lvm_field(row, "vg_tags"));
	d->group.allocation = allocation_of(lvm_field(row, "vg_allocation_policy"), "normal");
	d->group.extent_size = lvm_number(row, "vg_extent_size");
	d->group.physical = xcalloc(count, sizeof(*d->group.physical));
	for (size_t i = 0; i < count; i++) {
		device_add_below(d, below[i]);
		below[i]->content.kind = CONTENT_MEMBER;
		d->group.physical[i] =
			(struct physical_volume) { .uuid = xstrdup(lvm_field(rows[i], "pv_uuid")),
						   .start = lvm_number(rows[i], "pe_start") };
	}
	if (!d->group.extent_size)
		return error_text(e, EPROTO, "lvm vgs: volume group %s has no extent size", name);
	layer_set_size(d);
	*ret_progress = true;
	int r = add_volumes(l, m, d, report, e);

	return r < 0 ? r : place_volumes(l, m, d, report, e);
}

int lvm_survey(const struct lvm *l, struct machine *m, bool *ret_progress, struct report *report,
	       struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < json_array_size(l->groups) && r == 0; i++) {
		const json_t *row = json_array_get(l->groups, i);

		if (!machine_find(m, lvm_field(row, "vg_name")))
			r = add_group(l, m, row, ret_progress, report, e);
	}
	return r;
}
