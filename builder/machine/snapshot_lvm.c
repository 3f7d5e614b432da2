/* lvcreate(8): a thin volume's snapshot takes its room from the pool, another one's is given some of what is free in the
 * group; when more than that changes, LVM gives it up. */
#include "machine/snapshot_lvm.h"

#include "machine/layer.h"
#include "machine/layer_kinds.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <time.h>

static void cleanup_rows(json_t **rows)
{
	json_decref(*rows);
}

static const char *field(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	return value ? value : "";
}

/* The number in `field_name` of the row whose `key` is `value`; 0 when there is none. A percentage loses its fraction. */
static uint64_t number_of(const char *program, const char *kind, const char *key, const char *value,
			  const char *field_name, struct error *e)
{
	_cleanup_(free) char *fields = xasprintf("%s,%s", key, field_name);
	_cleanup_(rows) json_t *rows = NULL;
	uint64_t number = 0;

	if (lvm_rows(program, kind, fields, &rows, e) < 0)
		return 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		_cleanup_(free) char *text = xstrdup(field(row, field_name));

		text[strcspn(text, ".")] = '\0';
		if (streq(field(row, key), value) && parse_u64(text, &number) == 0)
			break;
	}
	return number;
}

/* ---- making ---- */

/* So many of the others, which follow, will share what is free in the group of this one. */
static unsigned others(struct device *const volumes[], size_t count, const struct device *d)
{
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		n += volumes[i]->below[0] == d->below[0] && !volume_is_thin(volumes[i]);
	return n;
}

/* Bytes for what changes while the backup reads. */
static int find_room(const struct device *d, unsigned share, uint64_t *ret, struct error *e)
{
	enum { least_share = 100 }; /* of the volume: less would be over soon */
	const struct device *group = d->below[0];
	struct error failed = { 0 };
	char free_text[SIZE_TEXT_MAX];
	uint64_t extent = group->group.extent_size,
		 room = number_of("vgs", "vg", "vg_name", group->name, "vg_free", &failed);

	if (failed.text[0])
		return error_text(e, EIO, "%s", failed.text);
	(void)format_size(room, free_text);
	*ret = room / (share + 1) / extent * extent;
	return *ret < 2 * extent || *ret < d->size / least_share
		       ? error_text(e, ENOSPC, "only %s are free in the group %s", free_text, group->name)
		       : 0;
}

/* A pool that runs full harms the volumes themselves. */
static int check_pool(const struct device *d, struct error *e)
{
	enum { most_percent = 90 };
	struct error failed = { 0 };
	uint64_t full = number_of("lvs", "lv", "lv_full_name", d->volume.pool ? d->volume.pool->name : "",
				  "data_percent", &failed);

	if (failed.text[0])
		return error_text(e, EIO, "%s", failed.text);
	return full >= most_percent
		       ? error_text(e, ENOSPC, "its pool is full to %llu %%", (unsigned long long)full)
		       : 0;
}

static int make(const struct device *d, unsigned share, unsigned number, char **ret_node, struct error *e)
{
	_cleanup_(free) char *name = xasprintf("%s-%u", SNAPSHOT_TAG, number), *size = NULL;
	const char *argv[] = { "lvm",         "lvcreate",   "--yes",  "--quiet", "--config",
			       LVM_TRACELESS, "--snapshot", "--name", name,      "--addtag",
			       SNAPSHOT_TAG,  NULL,         NULL,     NULL,      NULL };
	uint64_t room = 0;
	size_t n = 11;
	int r = volume_is_thin(d) ? check_pool(d, e) : find_room(d, share, &room, e);

	if (r < 0)
		return r;
	if (volume_is_thin(d)) {
		argv[n++] = "--setactivationskip";
		argv[n++] = "n";
	} else {
		argv[n++] = "--size";
		argv[n++] = size = xasprintf("%llub", (unsigned long long)room);
	}
	argv[n] = d->name;
	r = proc_run(argv, &(struct proc_options) { .env = layer_env() }, e);
	if (r == 0)
		*ret_node = xasprintf("/dev/%s/%s", d->below[0]->name, name);
	return r;
}

void lvm_snapshots_make(struct device *const volumes[], size_t count, char *made[], struct report *report)
{
	for (size_t i = 0; i < count; i++) {
		unsigned share = others(volumes + i + 1, count - i - 1, volumes[i]);
		struct error e;

		made[i] = NULL;
		if (make(volumes[i], share, (unsigned)i + 1, &made[i], &e) < 0)
			report_warn(report, "no snapshot of volume %s: %s", volumes[i]->name, e.text);
	}
}

/* ---- what has become of them ---- */

static bool is_ours(const json_t *row)
{
	return strstr(field(row, "lv_tags"), SNAPSHOT_TAG) != NULL;
}

int lvm_snapshots_check(struct error *e)
{
	_cleanup_(rows) json_t *rows = NULL;
	int r = lvm_rows("lvs", "lv", "vg_name,lv_name,origin,lv_tags,lv_snapshot_invalid", &rows, e);

	for (size_t i = 0; r == 0 && i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		if (is_ours(row) && streq(field(row, "lv_snapshot_invalid"), "snapshot invalid"))
			r = error_text(
				e, ENOSPC,
				"the snapshot of volume %s/%s is full, as more was changed there than its "
				"group has room for: make room in the group, or say 'snapshots = no'",
				field(row, "vg_name"), field(row, "origin"));
	}
	return r;
}

static int remove_one(const char *volume, struct error *e)
{
	const char *const argv[] = { "lvm",      "lvremove",    "--yes", "--quiet",
				     "--config", LVM_TRACELESS, volume,  NULL };
	const struct timespec pause = { .tv_nsec = 250 * 1000 * 1000 };
	int r = -EBUSY;

	for (int tries = 40; r < 0 && tries > 0; tries--) {
		r = proc_run(argv, &(struct proc_options) { .env = layer_env() }, e);
		if (r < 0)
			(void)nanosleep(&pause, NULL); /* cut short, it only tries sooner */
	}
	return r;
}

int lvm_snapshots_remove(struct error *e)
{
	_cleanup_(free) char *program = proc_find_program("lvm");
	_cleanup_(rows) json_t *rows = NULL;
	int r = program ? lvm_rows("lvs", "lv", "lv_full_name,lv_tags", &rows, e) : 0;

	for (size_t i = 0; r == 0 && i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		if (is_ours(row))
			r = remove_one(field(row, "lv_full_name"), e);
	}
	return r;
}
