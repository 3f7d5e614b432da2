/* Volume groups of LVM, made and opened by its own programs: vgcreate(8) and lvcreate(8). LVM lets nobody choose the
 * UUIDs of groups and volumes, but reads them from a backup of its metadata: so what it wrote is saved, gets the old
 * UUIDs (lvm_ids.c) and is restored. */
#include "machine/lvm_report.h"

#include "base/block.h"
#include "base/fs.h"
#include "machine/layer.h"
#include "machine/placement.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

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
		if (v->discards)
			strlist_addf(c, "--discards=%s", v->discards);
		strlist_addf(c, "--zero=%s", v->unzeroed ? "n" : "y");
	} else {
		/* what was in the way before is nobody's any more */
		strlist_add_words(c, "--wipesignatures=y --zero=y");
		if (v->stripes)
			strlist_addf(c, "--stripes=%u", v->stripes);
		if (v->stripe_size && v->stripes)
			strlist_addf(c, "--stripesize=%" PRIu64 "b", v->stripe_size);
		if (v->mirrors)
			strlist_addf(c, "--mirrors=%u", v->mirrors);
		if (v->region_size)
			strlist_addf(c, "--regionsize=%" PRIu64 "b", v->region_size);
	}
	add_tags(c, v->tags);
	strlist_add(c, d->below[0]->name);
	add_places(c, d, 0, p);
	for (size_t i = 1; i < v->segment_count; i++)
		extend_command(d, i, p, ret);
}

static void change_command(const char *program, const char *option, const char *value, const char *name,
			   struct commands *ret)
{
	struct strlist *c = commands_add(ret);

	strlist_add_words(c, "lvm");
	strlist_add(c, program);
	strlist_add_words(c, "--quiet --yes");
	strlist_addf(c, "--%s=%s", option, value);
	strlist_add(c, name);
}

/* What is set once all is in its place, as policies would be in the way of that, and lvcreate refuses --errorwhenfull with
 * --type=thin-pool. */
static void change_commands(const struct machine *m, const struct device *d, struct commands *ret)
{
	if (d->group.allocation)
		change_command("vgchange", "alloc", d->group.allocation, d->name, ret);
	for (size_t i = 0; i < m->count; i++) {
		const struct device *v = m->devices[i];

		if (is_volume_of(v, d) && v->volume.allocation)
			change_command("lvchange", "alloc", v->volume.allocation, v->name, ret);
		if (is_volume_of(v, d) && v->volume.error_when_full)
			change_command("lvchange", "errorwhenfull", "y", v->name, ret);
	}
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
	change_commands(m, d, ret);
}

void group_seal_commands(const struct machine *m, const struct device *d, struct commands *ret)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_volume_of(m->devices[i], d) && m->devices[i]->volume.read_only)
			change_command("lvchange", "permission", "r", m->devices[i]->name, ret);
}

int layer_seal(const struct machine *m, const struct device *d, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };

	if (d->kind == DEVICE_GROUP)
		group_seal_commands(m, d, &all);
	return layer_run(&all, NULL, e);
}

/* Of a recovery that goes on behind its last step. */
static int unseal(const struct lvm *l, const struct machine *m, const struct device *d, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };

	for (size_t i = 0; i < m->count; i++) {
		const struct device *v = m->devices[i];
		const json_t *row =
			is_volume_of(v, d) ? lvm_find_row(l->volumes, "lv_uuid", v->volume.uuid) : NULL;

		if (row && streq(lvm_field(row, "lv_permissions"), "read-only"))
			change_command("lvchange", "permission", "rw", v->name, &all);
	}
	return layer_run(&all, NULL, e);
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
		count += streq(lvm_field(json_array_get(l->devices, i), "vg_name"), d->name);
	for (size_t i = 0; i < d->below_count; i++) {
		const json_t *row = lvm_find_row(l->devices, "pv_uuid", d->group.physical[i].uuid);
		_cleanup_(free) char *node = o->node(o->user, d->below[i]);

		if (!row || !streq(lvm_field(row, "vg_name"), d->name) ||
		    !is_same_block(lvm_field(row, "pv_name"), node))
			return false;
	}
	return count == d->below_count;
}

static const struct device *find_changed(const struct lvm *l, const struct machine *m, const struct device *d)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *v = m->devices[i];
		const json_t *row =
			is_volume_of(v, d) ? lvm_find_row(l->volumes, "lv_uuid", v->volume.uuid) : NULL;

		if (is_volume_of(v, d) && (!row || !streq(lvm_field(row, "vg_name"), d->name) ||
					   !streq(lvm_field(row, "lv_name"), volume_name(v))))
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
	const json_t *row = lvm_find_row(l->groups, "vg_name", d->name);

	if (!row || !streq(lvm_field(row, "vg_uuid"), d->group.uuid) || !is_on_its_devices(l, d, o))
		return layer_not_whole(d, "LVM finds no such group on the devices that it was made of", e);
	const struct device *changed = find_changed(l, m, d);

	if (changed)
		return layer_not_whole(changed, "LVM finds no such volume", e);
	r = unseal(l, m, d, &why);
	if (r == 0)
		r = proc_run(argv, &(struct proc_options) { .env = layer_env() }, &why);
	return r < 0 ? layer_not_whole(d, why.text, e) : 0;
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

		if (streq(lvm_field(row, "vg_name"), d->name))
			elsewhere = stat(lvm_field(row, "pv_name"), &st) < 0 ||
				    !block_lies_on(st.st_rdev, disks, count);
	}
	json_decref(rows);
	return elsewhere;
}
