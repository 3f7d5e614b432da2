/* Volume groups of LVM, through its own programs: lvmreport(7) for what there is, vgcreate(8) and lvcreate(8) to make
 * it again. LVM lets nobody choose the UUIDs of groups and volumes, but reads them from a backup of its metadata:
 * so what it wrote is saved, gets the old UUIDs (lvm_ids.c) and is restored. */
#include "machine/layers.h"
#include "machine/layer_kinds.h"

#include "base/block.h"
#include "base/fs.h"
#include "machine/layer.h"
#include "machine/placement.h"
#include "machine/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sys/stat.h>

struct lvm {
	json_t *groups, *devices, *volumes; /* arrays of objects with strings */
};

void lvm_free(struct lvm *l)
{
	if (!l)
		return;
	json_decref(l->groups);
	json_decref(l->devices);
	json_decref(l->volumes);
	free(l);
}

static const char *field(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	return value ? value : "";
}

static uint64_t number(const json_t *row, const char *name)
{
	uint64_t v;

	return parse_u64(field(row, name), &v) == 0 ? v : 0;
}

/* {"report":[{"vg":[{…}, …]}]} → the inner array. `hidden`: of volumes also those that others are made of, and all their
 * segments in order. */
static int all_rows(const char *program, const char *kind, bool hidden, const char *fields, json_t **ret,
		    struct error *e)
{
	const char *const argv[] = { "lvm",
				     program,
				     "--config",
				     LVM_TRACELESS,
				     "--reportformat",
				     "json",
				     "--units",
				     "b",
				     "--nosuffix",
				     "--options",
				     fields,
				     hidden ? "--all" : NULL, /* else it ends here */
				     "--sort",
				     "vg_name,lv_name,seg_start",
				     NULL };
	const struct proc_options o = { .env = layer_env() };
	_cleanup_(free) char *text = NULL;
	int r = proc_capture(argv, &o, &text, e);

	if (r < 0)
		return r;
	json_t *all = json_loads(text, 0, NULL);
	json_t *rows = json_object_get(json_array_get(json_object_get(all, "report"), 0), kind);

	if (!json_is_array(rows)) {
		json_decref(all);
		return error_text(e, EPROTO, "lvm %s: its report has no '%s'", program, kind);
	}
	*ret = json_incref(rows);
	json_decref(all);
	return 0;
}

int lvm_rows(const char *program, const char *kind, const char *fields, json_t **ret, struct error *e)
{
	return all_rows(program, kind, false, fields, ret, e);
}

int lvm_load(struct lvm **ret, struct error *e)
{
	_cleanup_(lvm) struct lvm *l = xcalloc(1, sizeof(*l));
	int r = lvm_rows("vgs", "vg",
			 "vg_name,vg_uuid,vg_extent_size,vg_missing_pv_count,vg_exported,vg_tags", &l->groups,
			 e);

	if (r == 0)
		r = lvm_rows("pvs", "pv", "pv_name,pv_uuid,pe_start,vg_name", &l->devices, e);
	if (r == 0)
		r = all_rows("lvs", "lv", true,
			     "vg_name,lv_name,lv_uuid,lv_size,segtype,data_stripes,data_copies,stripe_"
			     "size,chunk_size,"
			     "lv_metadata_size,pool_lv,origin,lv_role,lv_layout,lv_tags,lv_active,seg_size,"
			     "devices",
			     &l->volumes, e);
	if (r == 0)
		*ret = TAKE_PTR(l);
	return r;
}

/* ---- survey ---- */

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
	return *field(row, "lv_name") == '[';
}

/* An old-style snapshot is a moment of its origin, not a part of the machine; so is one in a pool that nobody uses. */
static bool is_snapshot(const json_t *row)
{
	const char *role = field(row, "lv_role");

	return strstr(role, "thicksnapshot") != NULL ||
	       (strstr(role, "thinsnapshot") != NULL && !streq(field(row, "lv_active"), "active"));
}

static int refuse_type(const char *full, const json_t *row, struct error *e)
{
	return error_text(e, EOPNOTSUPP, "volume %s is of type %s (%s), which cannot be rebuilt yet", full,
			  field(row, "segtype"), field(row, "lv_layout"));
}

/* Another segment of a volume that is there: 0, or an error when the two are of types that do not go together. */
static int check_segment(const struct device *d, const json_t *row, struct error *e)
{
	const char *type = field(row, "segtype");

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
	const char *name = field(row, "lv_name"), *type = field(row, "segtype"),
		   *origin = field(row, "origin");
	_cleanup_(free) char *full = xasprintf("%s/%s", group->name, name);
	const struct device *known = machine_find(m, full);
	struct stat st;

	if (strstr(field(row, "lv_tags"), SNAPSHOT_TAG)) /* of a backup that is running */
		return 0;
	if (is_snapshot(row)) {
		report_warn(report, "volume %s is a snapshot of %s: it is left out", full, origin);
		return 0;
	}
	if (!volume_type_known(type) || strstr(field(row, "lv_layout"), "cache"))
		return refuse_type(full, row, e);
	if (known) /* a row for each of its segments */
		return check_segment(known, row, e);
	if (*origin)
		report_warn(report, "volume %s is a snapshot of %s: it is recovered as a volume of its own",
			    full, origin);
	struct device *d = machine_add(m, DEVICE_VOLUME, full);
	uint64_t copies = number(row, "data_copies"), stripes = number(row, "data_stripes");

	device_add_below(d, group);
	d->size = number(row, "lv_size");
	d->volume.type = xstrdup(type);
	d->volume.uuid = xstrdup(field(row, "lv_uuid"));
	d->volume.tags = xstrdup(field(row, "lv_tags"));
	if (volume_is_thin(d)) {
		_cleanup_(free) char *pool = xasprintf("%s/%s", group->name, field(row, "pool_lv"));

		d->volume.pool = machine_find(m, pool);
	} else if (volume_is_pool(d)) {
		d->volume.metadata_size = number(row, "lv_metadata_size");
		d->volume.chunk_size = number(row, "chunk_size");
		d->content.kind = CONTENT_RAW; /* the thin volumes, nothing else */
	} else {
		/* LVM counts the images of a mirror as stripes, and parity as copies; lvcreate wants neither */
		bool mirrored = streq(type, "raid1") || streq(type, "mirror") || streq(type, "raid10");

		d->volume.mirrors = mirrored && copies > 1 ? (unsigned)copies - 1 : 0;
		stripes /= d->volume.mirrors + 1;
		d->volume.stripes = stripes > 1 ? (unsigned)stripes : 0;
		d->volume.stripe_size = d->volume.stripes ? number(row, "stripe_size") : 0;
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

			if (streq(field(row, "vg_name"), group->name) && !is_hidden(row) &&
			    streq(field(row, "segtype"), "thin") == thin)
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
	const char *shown = field(row, "lv_name");
	size_t len = strlen(name);

	shown += *shown == '[';
	return streq(field(row, "vg_name"), group->name) && strncmp(shown, name, len) == 0 &&
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
		split_devices(field(row, "devices"), &names);
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

	split_devices(field(row, "devices"), &words);
	for (size_t i = 0; i < words.count; i++) {
		const struct device *place = find_place(l, m, d->below[0], words.items[i]);

		if (!place || strlist_has(&on, place->name))
			return false; /* LVM would not put two stripes or copies on one */
		strlist_add(&on, place->name);
	}
	if (on.count == 0)
		return false;
	placement_add(&d->volume, number(row, "seg_size"), &on);
	if (streq(field(row, "segtype"), "striped") && !d->volume.stripe_size)
		d->volume.stripe_size = number(row, "stripe_size"); /* behind a linear one */
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
		    !is_striped_only(field(row, "segtype")))
			return error_text(e, EOPNOTSUPP,
					  "thin pool %s lies on a volume of type %s, which cannot be rebuilt "
					  "yet",
					  d->name, field(row, "segtype"));
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
		const char *shown = field(row, "lv_name"), *uuid = field(row, "lv_uuid");

		if (!streq(field(row, "vg_name"), group->name) || !is_hidden(row))
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
		struct device *d =
			streq(field(row, "vg_name"), group) ? find_node(m, field(row, "pv_name")) : NULL;

		if (!streq(field(row, "vg_name"), group))
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
	const char *name = field(row, "vg_name");

	if (find_devices(l, m, name, below, rows, &count) > 0 || count == 0)
		return 0; /* perhaps in the next round */
	if (number(row, "vg_missing_pv_count") || *field(row, "vg_exported"))
		return error_text(e, EOPNOTSUPP, "volume group %s %s, so it cannot be rebuilt", name,
				  *field(row, "vg_exported") ? "is exported" : "lacks one of its devices");
	struct device *d = machine_add(m, DEVICE_GROUP, name);

	d->group.uuid = xstrdup(field(row, "vg_uuid"));
	d->group.tags = xstrdup(field(row, "vg_tags"));
	d->group.extent_size = number(row, "vg_extent_size");
	d->group.physical = xcalloc(count, sizeof(*d->group.physical));
	for (size_t i = 0; i < count; i++) {
		device_add_below(d, below[i]);
		below[i]->content.kind = CONTENT_MEMBER;
		d->group.physical[i] = (struct physical_volume) { .uuid = xstrdup(field(rows[i], "pv_uuid")),
								  .start = number(rows[i], "pe_start") };
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

		if (!machine_find(m, field(row, "vg_name")))
			r = add_group(l, m, row, ret_progress, report, e);
	}
	return r;
}

/* ---- making it ---- */

static void add_tags(struct strlist *c, const char *tags)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	if (tags)
		strlist_add_parts(&all, tags, ',');
	for (size_t i = 0; i < all.count; i++)
		strlist_addf(c, "--addtag=%s", all.items[i]);
}

struct places {
	const struct machine *m;
	node_of node;
	const void *user;
};

/* The devices that segment `i` is made on; without any LVM chooses. */
static void add_places(struct strlist *c, const struct device *d, size_t i, const struct places *p)
{
	for (size_t k = 0; i < d->volume.segment_count && k < d->volume.segments[i].on.count; k++)
		strlist_take(c, p->node(p->user, machine_find(p->m, d->volume.segments[i].on.items[k])));
}

static void extend_command(const struct device *d, size_t i, const struct places *p, struct commands *ret)
{
	struct strlist *c = commands_add(ret);
	size_t stripes = d->volume.segments[i].on.count;

	strlist_add_words(c, "lvm lvextend --quiet --yes");
	strlist_addf(c, "--size=+%" PRIu64 "b", segment_size(d, i));
	strlist_addf(c, "--stripes=%zu", stripes);
	if (stripes > 1 && d->volume.stripe_size)
		strlist_addf(c, "--stripesize=%" PRIu64 "b", d->volume.stripe_size);
	strlist_add(c, d->name);
	add_places(c, d, i, p);
}

static void volume_command(const struct device *d, const struct places *p, struct commands *ret)
{
	const struct volume *v = &d->volume;
	struct strlist *c = commands_add(ret);
	uint64_t size = v->segment_count ? segment_size(d, 0) : d->size;

	strlist_add_words(c, "lvm lvcreate --quiet --yes");
	strlist_addf(c, "--name=%s", volume_name(d));
	strlist_addf(c, "--type=%s", v->type);
	strlist_addf(c, volume_is_thin(d) ? "--virtualsize=%" PRIu64 "b" : "--size=%" PRIu64 "b", size);
	if (volume_is_thin(d)) {
		strlist_addf(c, "--thinpool=%s", volume_name(v->pool));
	} else if (volume_is_pool(d)) {
		strlist_addf(c, "--poolmetadatasize=%" PRIu64 "b", v->metadata_size);
		if (v->chunk_size)
			strlist_addf(c, "--chunksize=%" PRIu64 "b", v->chunk_size);
	} else {
		/* what was in the way before is nobody's any more */
		strlist_add_words(c, "--wipesignatures=y --zero=y");
		if (v->stripes)
			strlist_addf(c, "--stripes=%u", v->stripes);
		if (v->stripe_size && v->stripes)
			strlist_addf(c, "--stripesize=%" PRIu64 "b", v->stripe_size);
		if (v->mirrors)
			strlist_addf(c, "--mirrors=%u", v->mirrors);
	}
	add_tags(c, v->tags);
	strlist_add(c, d->below[0]->name);
	add_places(c, d, 0, p);
	for (size_t i = 1; i < v->segment_count; i++)
		extend_command(d, i, p, ret);
}

/* What has its place comes first, so that nothing else takes it; a pool later, as LVM chooses where its spare lies; and
 * before what is in it. */
static unsigned turn_of(const struct device *d)
{
	return volume_is_thin(d) ? 4 : (d->volume.segment_count ? 0 : 2) + volume_is_pool(d);
}

void group_commands(const struct machine *m, const struct device *d, node_of node, const void *user,
		    struct commands *ret)
{
	for (size_t i = 0; i < d->below_count; i++) {
		struct strlist *c = commands_add(ret);

		strlist_add_words(c, "lvm pvcreate --quiet --yes --force --force --norestorefile");
		strlist_addf(c, "--uuid=%s", d->group.physical[i].uuid);
		strlist_addf(c, "--dataalignment=%" PRIu64 "b", d->group.physical[i].start);
		strlist_take(c, node(user, d->below[i]));
	}
	struct strlist *c = commands_add(ret);

	strlist_add_words(c, "lvm vgcreate --quiet --yes");
	strlist_addf(c, "--physicalextentsize=%" PRIu64 "b", d->group.extent_size);
	add_tags(c, d->group.tags);
	strlist_add(c, d->name);
	for (size_t i = 0; i < d->below_count; i++)
		strlist_take(c, node(user, d->below[i]));
	const struct places p = { .m = m, .node = node, .user = user };

	for (unsigned turn = 0; turn <= 4; turn++)
		for (size_t i = 0; i < m->count; i++)
			if (is_volume_of(m->devices[i], d) && turn_of(m->devices[i]) == turn)
				volume_command(m->devices[i], &p, ret);
}

static int restore_ids(const struct machine *m, const struct device *d, struct error *e)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(commands) struct commands save = { 0 }, restore = { 0 };
	_cleanup_(free) char *text = NULL, *changed = NULL;
	int r = tempdir_make(&dir, e);

	if (r < 0)
		return r;
	_cleanup_(free) char *file = xasprintf("%s/metadata", dir.path);
	struct strlist *c = commands_add(&save);

	strlist_add_words(c, "lvm vgcfgbackup --quiet");
	strlist_addf(c, "--file=%s", file);
	strlist_add(c, d->name);
	r = layer_run(&save, NULL, e);
	if (r == 0)
		r = read_file_at(dir.fd, "metadata", 16 << 20, &text, NULL, e);
	if (r == 0)
		r = lvm_set_ids(text, m, d, &changed, e);
	if (r == 0)
		r = write_file_at(dir.fd, "metadata", 0600, changed, strlen(changed), e);
	if (r < 0)
		return r;
	/* active volumes keep the names they have by their UUIDs */
	strlist_add_words(commands_add(&restore), "lvm vgchange --quiet --activate=n");
	strlist_add(&restore.items[0], d->name);
	c = commands_add(&restore);
	strlist_add_words(
		c,
		"lvm vgcfgrestore --quiet --yes --force"); /* forced for thin pools, whose own metadata stays */
	strlist_addf(c, "--file=%s", file);
	strlist_add(c, d->name);
	c = commands_add(&restore);
	strlist_add_words(c, "lvm vgchange --quiet --activate=y");
	strlist_add(c, d->name);
	return layer_run(&restore, NULL, e);
}

/* A group of this name that was taken away may have left links below /dev, and LVM takes that for a file of
 * somebody else. What leads to a device that is there stays, and is LVM's to refuse. */
static void remove_stale_links(const struct device *d)
{
	_cleanup_(free) char *path = xasprintf("/dev/%s", d->name);
	DIR *dir = opendir(path);

	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode) && fstatat(dirfd(dir), entry->d_name, &st, 0) < 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0); /* LVM says what is wrong */
	}
	if (dir) {
		(void)closedir(dir); /* read side */
		(void)rmdir(path); /* as above */
	}
}

int group_make(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };

	remove_stale_links(d);
	group_commands(m, d, o->node, o->user, &all);
	int r = layer_run(&all, NULL, e);

	return r < 0 ? r : restore_ids(m, d, e);
}

static const json_t *find_row(const json_t *rows, const char *name, const char *value)
{
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (streq(field(json_array_get(rows, i), name), value))
			return json_array_get(rows, i);
	return NULL;
}

static bool is_same_block(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode) &&
	       x.st_rdev == y.st_rdev;
}

/* Of all that LVM has found: is it this very group, on these devices and no others? */
static bool is_on_its_devices(const struct lvm *l, const struct device *d, const struct layer_options *o)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(l->devices); i++)
		count += streq(field(json_array_get(l->devices, i), "vg_name"), d->name);
	for (size_t i = 0; i < d->below_count; i++) {
		const json_t *row = find_row(l->devices, "pv_uuid", d->group.physical[i].uuid);
		_cleanup_(free) char *node = o->node(o->user, d->below[i]);

		if (!row || !streq(field(row, "vg_name"), d->name) ||
		    !is_same_block(field(row, "pv_name"), node))
			return false;
	}
	return count == d->below_count;
}

static const struct device *find_changed(const struct lvm *l, const struct machine *m, const struct device *d)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *v = m->devices[i];
		const json_t *row =
			is_volume_of(v, d) ? find_row(l->volumes, "lv_uuid", v->volume.uuid) : NULL;

		if (is_volume_of(v, d) && (!row || !streq(field(row, "vg_name"), d->name) ||
					   !streq(field(row, "lv_name"), volume_name(v))))
			return v;
	}
	return NULL;
}

int group_open(const struct machine *m, const struct device *d, const struct layer_options *o,
	       struct error *e)
{
	const char *const argv[] = { "lvm", "vgchange", "--quiet", "--activate=y", d->name, NULL };
	_cleanup_(lvm) struct lvm *l = NULL;
	struct error why;
	int r = lvm_load(&l, e);

	if (r < 0)
		return r;
	const json_t *row = find_row(l->groups, "vg_name", d->name);

	if (!row || !streq(field(row, "vg_uuid"), d->group.uuid) || !is_on_its_devices(l, d, o))
		return layer_not_whole(d, "LVM finds no such group on the devices that it was made of", e);
	const struct device *changed = find_changed(l, m, d);

	if (changed)
		return layer_not_whole(changed, "LVM finds no such volume", e);
	return proc_run(argv, &(struct proc_options) { .env = layer_env() }, &why) < 0
		       ? layer_not_whole(d, why.text, e)
		       : 0;
}

int group_close(const struct device *d, struct error *e)
{
	const char *const argv[] = { "lvm", "vgchange", "--quiet", "--activate=n", d->name, NULL };

	return proc_run(argv, &(struct proc_options) { .env = layer_env() }, e);
}

bool group_is_running(const struct device *d)
{
	const char *const argv[] = { "lvm", "vgs", "--quiet", "--noheadings", d->name, NULL };
	struct error ignored; /* LVM says no by failing */

	return proc_run(argv, &(struct proc_options) { .env = layer_env() }, &ignored) == 0;
}

bool group_is_elsewhere(const struct device *d, const dev_t disks[], size_t count)
{
	struct error ignored; /* without LVM there are no groups; making one tells why */
	json_t *rows = NULL;
	bool elsewhere = false;

	if (lvm_rows("pvs", "pv", "pv_name,vg_name", &rows, &ignored) < 0)
		return false;
	for (size_t i = 0; i < json_array_size(rows) && !elsewhere; i++) {
		const json_t *row = json_array_get(rows, i);
		struct stat st;

		if (streq(field(row, "vg_name"), d->name))
			elsewhere = stat(field(row, "pv_name"), &st) < 0 ||
				    !block_lies_on(st.st_rdev, disks, count);
	}
	json_decref(rows);
	return elsewhere;
}
