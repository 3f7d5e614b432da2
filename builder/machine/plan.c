/* Which disk takes whose place. The steps that follow from it: steps.c. */
#include "machine/plan.h"

#include "machine/btrfs_profile.h"
#include "machine/grow.h"
#include "machine/minimum.h"
#include "machine/placement.h"
#include "machine/scale.h"
#include "machine/steps.h"
#include "machine/without.h"

#include <errno.h>

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->step_count; i++) {
		free(p->steps[i].text);
		free(p->steps[i].destroys);
		free(p->steps[i].node);
		strlist_free(&p->steps[i].changes);
	}
	for (size_t i = 0; i < p->mapping_count; i++)
		free(p->mappings[i].reason);
	free(p->steps);
	free(p->mappings);
	free(p->old_sizes);
	strlist_free(&p->left_out);
	machine_free(&p->machine);
	machine_free(&p->present);
	*p = (struct plan) { 0 };
}

const struct mapping *plan_mapping(const struct plan *p, const struct device *disk)
{
	for (size_t i = 0; i < p->mapping_count; i++)
		if (p->mappings[i].from == disk)
			return &p->mappings[i];
	return NULL;
}

char *plan_node(const struct plan *p, const struct device *d)
{
	_cleanup_(free) char *parent = d->parent ? plan_node(p, d->parent) : NULL;

	if (d->kind == DEVICE_BTRFS)
		return plan_node(p, device_first_below(d));
	if (d->kind == DEVICE_PARTITION)
		return partition_node(parent, d->number);
	if (d->kind == DEVICE_SUBVOLUME)
		return TAKE_PTR(parent);
	return d->kind == DEVICE_DISK ? xstrdup(plan_mapping(p, d)->to->identity.path) : device_node(d);
}

/* ---- may a disk be a target at all ---- */

struct mapper {
	struct plan *p;
	const struct plan_options *o;
	struct error *e;
};

enum choice { BY_FIT, BY_NAME, BY_SERIAL };

static bool is_medium(const struct machine *m, const struct device *disk)
{
	for (size_t i = 0; i < m->count; i++) {
		const char *label = m->devices[i]->content.label;

		if (device_disk(m->devices[i]) == disk && label && streq(label, "LIFEBOAT"))
			return true;
	}
	return false;
}

static bool is_forbidden(const struct plan_options *o, const struct device *disk)
{
	for (size_t i = 0; i < o->forbidden_count; i++)
		if (disk->now.devno && o->forbidden[i] == disk->now.devno)
			return true;
	return false;
}

static const struct mapping *taken_by(const struct plan *p, const struct device *disk)
{
	for (size_t i = 0; i < p->mapping_count; i++)
		if (p->mappings[i].to == disk)
			return &p->mappings[i];
	return NULL;
}

/* A serial number or WWN may be missing or repeat; a disk's size does not change. */
static bool is_same(const struct device *a, const struct device *b)
{
	const struct disk_identity *x = &a->identity, *y = &b->identity;

	if (a->size != b->size)
		return false;
	if (x->wwn && y->wwn)
		return streq(x->wwn, y->wwn);
	return x->serial && y->serial && streq(x->serial, y->serial);
}

/* Why `disk` cannot take the place of `old`, as the end of a sentence; NULL when it can. */
static char *why_not(const struct mapper *w, const struct device *old, const struct device *disk,
		     enum choice choice)
{
	const struct mapping *other = taken_by(w->p, disk);
	char size[SIZE_TEXT_MAX];

	if (is_forbidden(w->o, disk))
		return xstrdup("holds the backup or the medium that this system was started from");
	if (is_medium(&w->p->present, disk))
		return xstrdup("is a rescue medium (label LIFEBOAT)");
	if (disk->now.in_use)
		return xasprintf("is in use: %s", disk->now.in_use);
	if (disk->now.broken)
		return xasprintf("cannot be used: %s", disk->now.broken);
	if (disk->identity.read_only)
		return xstrdup("is read-only");
	if (disk->identity.removable && choice == BY_FIT)
		return xasprintf("is removable (--map %s=%s takes it all the same)", old->name, disk->name);
	if (other)
		return xasprintf("takes the place of %s already", other->from->name);
	if (disk->size < device_minimum(&w->p->machine, old))
		return xasprintf("is too small (at least %s are needed)",
				 format_size(device_minimum(&w->p->machine, old), size));
	char *obstacle = scale_obstacle(&w->p->machine, old, disk->sector_size);

	if (obstacle)
		return obstacle;
	if (w->o->unattended && disk->now.holds && choice != BY_SERIAL)
		return xasprintf(
			"is not blank (%s) and not the same disk as before, so only a person may choose it",
			disk->now.holds);
	return NULL;
}

static void add_mapping(struct plan *p, struct device *from, struct device *to, const char *reason)
{
	p->mappings = xrealloc(p->mappings, (p->mapping_count + 1) * sizeof(*p->mappings));
	p->mappings[p->mapping_count++] = (struct mapping) {
		.from = from, .from_size = from->size, .to = to, .reason = xstrdup(reason)
	};
}

static int refuse(const struct mapper *w, const struct device *old, const struct device *disk,
		  const char *because)
{
	_cleanup_(free) char *from = disk_describe(old), *to = disk_describe(disk);

	return error_text(w->e, EPERM, "%s cannot take the place of %s: it %s", to, from, because);
}

/* ---- the person's word ---- */

static int map_named(const struct mapper *w, const char *text, const char *reason)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text || !equals[1])
		return error_text(w->e, EINVAL, "--map %s: expected OLD=NEW, as in sda=vdb", text);
	_cleanup_(free) char *old_name = xstrndup(text, (size_t)(equals - text));
	struct device *old = machine_find_disk(&w->p->machine, old_name);
	struct device *disk = machine_find_disk(&w->p->present, equals + 1);

	if (!old)
		return error_text(w->e, ENODEV, "--map %s: the old machine had no disk '%s'", text, old_name);
	if (!disk)
		return error_text(w->e, ENODEV, "--map %s: there is no disk '%s' here", text, equals + 1);
	if (plan_mapping(w->p, old))
		return error_text(w->e, EINVAL, "--map %s: '%s' is mapped twice", text, old_name);
	bool same = is_same(old, disk) || w->o->begun;
	_cleanup_(free) char *because = why_not(w, old, disk, same ? BY_SERIAL : BY_NAME);

	if (because)
		return refuse(w, old, disk, because);
	add_mapping(w->p, old, disk, reason);
	return 0;
}

/* ---- the same disk ---- */

/* The one present disk that is `old` itself; NULL when there is none or several claim it. */
static struct device *find_same(const struct plan *p, const struct device *old)
{
	struct device *found = NULL;

	for (size_t i = 0; i < p->present.count; i++) {
		struct device *d = p->present.devices[i];

		if (d->kind != DEVICE_DISK || !is_same(old, d))
			continue;
		if (found)
			return NULL;
		found = d;
	}
	return found;
}

static int map_same(const struct mapper *w, struct device *old)
{
	struct device *disk = find_same(w->p, old);

	if (!disk || plan_mapping(w->p, old))
		return 0;
	_cleanup_(free) char *because = why_not(w, old, disk, BY_SERIAL);

	if (because)
		return refuse(w, old, disk, because);
	add_mapping(w->p, old, disk,
		    old->identity.wwn && disk->identity.wwn ? "the same disk, by WWN"
							    : "the same disk, by serial number");
	return 0;
}

/* ---- the best fit ---- */

struct fit {
	struct device *any, *blank, *equal; /* the last one found of each kind */
	size_t count, blank_count, equal_count;
};

static struct fit find_fit(const struct mapper *w, const struct device *old)
{
	const struct machine *present = &w->p->present;
	struct fit f = { 0 };

	for (size_t i = 0; i < present->count; i++) {
		struct device *d = present->devices[i];
		_cleanup_(free) char *because = d->kind == DEVICE_DISK ? why_not(w, old, d, BY_FIT) : NULL;

		if (d->kind != DEVICE_DISK || because)
			continue;
		f.any = d;
		f.count++;
		if (d->now.holds)
			continue;
		f.blank = d;
		f.blank_count++;
		if (d->size == old->size) {
			f.equal = d;
			f.equal_count++;
		}
	}
	return f;
}

static int refuse_none(const struct mapper *w, const struct device *old)
{
	_cleanup_(free) char *from = disk_describe(old);
	_cleanup_(strbuf) struct strbuf b = { 0 };

	for (size_t i = 0; i < w->p->present.count; i++) {
		const struct device *d = w->p->present.devices[i];
		_cleanup_(free) char *shown = d->kind == DEVICE_DISK ? disk_describe(d) : NULL;
		_cleanup_(free) char *because = shown ? why_not(w, old, d, BY_FIT) : NULL;

		if (because)
			strbuf_printf(&b, "%s%s %s", b.len ? "; " : "", shown, because);
	}
	if (machine_can_lack(&w->p->machine, old))
		strbuf_printf(&b, "%s--map %s=none does without it", b.len ? "; " : "there is none; ",
			      old->name);
	return error_text(w->e, ENODEV, "no disk can take the place of %s: %s", from,
			  b.len ? b.data : "there is none");
}

static int refuse_many(const struct mapper *w, const struct device *old,
		       const struct device *const candidates[], size_t count)
{
	_cleanup_(free) char *from = disk_describe(old);
	_cleanup_(strbuf) struct strbuf b = { 0 };

	for (size_t i = 0; i < count; i++) {
		_cleanup_(free) char *shown = disk_describe(candidates[i]);

		strbuf_printf(&b, "%s%s", i ? ", " : "", shown);
	}
	return error_text(w->e, EEXIST,
			  "more than one disk could take the place of %s: %s; choose one with --map %s=NAME",
			  from, b.data, old->name);
}

/* Several could take its place: a person decides. */
static int map_asked(const struct mapper *w, struct device *old)
{
	struct machine *present = &w->p->present;
	_cleanup_(free) struct device **candidates = xcalloc(present->count, sizeof(*candidates));
	size_t count = 0;

	for (size_t i = 0; i < present->count; i++) {
		struct device *d = present->devices[i];
		_cleanup_(free) char *because = d->kind == DEVICE_DISK ? why_not(w, old, d, BY_FIT) : NULL;

		if (d->kind == DEVICE_DISK && !because)
			candidates[count++] = d;
	}
	const struct device *const *shown = (const struct device *const *)candidates;

	if (!w->o->choose || w->o->unattended)
		return refuse_many(w, old, shown, count);
	int r = w->o->choose(w->o->user, old, shown, count, w->e);

	if (r < 0)
		return r;
	add_mapping(w->p, old, candidates[r], "chosen by a person");
	return 0;
}

/* One round: maps each disk whose place only one can take. `*ret_progress`: something was mapped. */
static int fit_round(const struct mapper *w, bool *ret_progress)
{
	for (size_t i = 0; i < w->p->machine.count; i++) {
		struct device *old = w->p->machine.devices[i];

		if (old->kind != DEVICE_DISK || plan_mapping(w->p, old))
			continue;
		struct fit f = find_fit(w, old);

		if (f.count == 0)
			return refuse_none(w, old);
		if (f.count == 1)
			add_mapping(w->p, old, f.any,
				    f.blank ? "the only blank disk that fits" : "the only disk that fits");
		else if (f.blank_count == 1)
			add_mapping(w->p, old, f.blank, "the only blank disk that fits");
		else if (f.equal_count == 1)
			add_mapping(w->p, old, f.equal, "the only blank disk of the same size");
		else
			continue;
		*ret_progress = true;
		return 0;
	}
	return 0;
}

static struct device *first_unmapped(const struct plan *p)
{
	for (size_t i = 0; i < p->machine.count; i++)
		if (p->machine.devices[i]->kind == DEVICE_DISK && !plan_mapping(p, p->machine.devices[i]))
			return p->machine.devices[i];
	return NULL;
}

static int map_rest(const struct mapper *w)
{
	struct device *old;
	int r = 0;

	while (r == 0 && (old = first_unmapped(w->p))) {
		bool progress = false;

		r = fit_round(w, &progress);
		if (r == 0 && !progress)
			r = map_asked(w, old);
	}
	return r;
}

static int map_disks(const struct mapper *w)
{
	const struct strlist *named = w->o->begun ? w->o->begun : w->o->map;
	const char *reason = w->o->begun ? "the recovery of it was begun here" : "chosen by --map";

	/* also for a recovery that goes on, whose journal names only what is here */
	int r = machine_leave_out(&w->p->machine, w->o->map, &w->p->left_out, w->e);

	for (size_t i = 0; named && i < named->count && r == 0; i++)
		if (!map_leaves_out(named->items[i]))
			r = map_named(w, named->items[i], reason);
	for (size_t i = 0; i < w->p->machine.count && r == 0; i++)
		if (w->p->machine.devices[i]->kind == DEVICE_DISK)
			r = map_same(w, w->p->machine.devices[i]);
	return r == 0 ? map_rest(w) : r;
}

static int scale_all(struct plan *p, const struct strlist *names, struct error *e)
{
	_cleanup_(growth) struct growth growth = { 0 };
	int r = grow_find(&p->machine, names, &growth, e);

	p->old_sizes = xcalloc(p->machine.count, sizeof(*p->old_sizes));
	for (size_t i = 0; i < p->machine.count; i++)
		p->old_sizes[i] = p->machine.devices[i]->size;
	for (size_t i = 0; i < p->mapping_count && r == 0; i++) {
		const struct device *to = p->mappings[i].to;

		r = scale_disk(&p->machine, p->mappings[i].from, to->size, to->sector_size, e);

		if (r < 0) {
			_cleanup_(free) char *shown = disk_describe(to);

			error_prefix(e, "%s", shown);
		}
	}
	if (r < 0)
		return r;
	grow_partitions(&p->machine, &growth, p->old_sizes);
	r = scale_layers(&p->machine, &growth, e);
	return r < 0 ? r : grow_check(&p->machine, &growth, p->old_sizes, e);
}

int plan_make(struct machine *machine, struct machine *present, const struct plan_options *options,
	      struct plan *ret, struct error *e)
{
	_cleanup_(plan) struct plan p = { .machine = *machine, .present = *present };
	const struct mapper w = { .p = &p, .o = options, .e = e };

	*machine = *present = (struct machine) { 0 };
	int r = map_disks(&w);

	if (r == 0)
		r = scale_all(&p, options->grow, e);
	if (r == 0) {
		placement_fit(&p.machine);
		r = steps_make(&p, e);
	}
	if (r < 0)
		return r;
	*ret = p;
	p = (struct plan) { 0 };
	return 0;
}
