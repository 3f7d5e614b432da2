#include "machine/grow.h"

#include "machine/layer.h"
#include "machine/scale.h"

#include <errno.h>

void growth_free(struct growth *g)
{
	free(g->grows);
	free(g->takes);
	free(g->named);
}

static size_t index_of(const struct machine *m, const struct device *d)
{
	size_t i = 0;

	while (m->devices[i] != d)
		i++;
	return i;
}

/* ---- names ---- */

static bool is_called(const struct device *d, const char *name)
{
	const char *short_name = str_after(name, "/dev/");
	_cleanup_(free) char *node = device_is_plain(d) ? NULL : device_node(d);

	return (d->content.mountpoint && streq(d->content.mountpoint, name)) || (node && streq(node, name)) ||
	       streq(d->name, short_name ? short_name : name);
}

/* A subvolume's place stands for that of its file system. */
static struct device *find(const struct machine *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_called(m->devices[i], name))
			return m->devices[i]->kind == DEVICE_SUBVOLUME ? m->devices[i]->parent
								       : m->devices[i];
	return NULL;
}

/* Where volumes lie in a pattern on several devices, it is not known beforehand how much LVM has left for another. */
static bool has_patterns(const struct machine *m, const struct device *group)
{
	for (size_t i = 0; i < m->count && group->below_count > 1; i++)
		if (is_volume_of(m->devices[i], group) && !volume_is_thin(m->devices[i]) &&
		    !streq(m->devices[i]->volume.type, "linear"))
			return true;
	return false;
}

static int check_volume(const struct machine *m, const struct device *d, const char *name, struct error *e)
{
	if (volume_is_thin(d))
		return error_text(e, EINVAL,
				  "--grow %s: a thin volume takes no room of its own: name its pool, %s",
				  name, d->volume.pool->name);
	if (!streq(d->volume.type, "linear") && !volume_is_pool(d))
		return error_text(e, EOPNOTSUPP, "--grow %s: a volume of type %s cannot grow yet", name,
				  d->volume.type);
	if (has_patterns(m, d->below[0]))
		return error_text(
			e, EOPNOTSUPP,
			"--grow %s: %s has stripes or mirrors on several devices, beside which a volume "
			"cannot grow yet",
			name, d->below[0]->name);
	return 0;
}

static int check(const struct machine *m, const struct device *d, const char *name, struct error *e)
{
	if (!d)
		return error_text(e, ENOENT, "--grow %s: the old machine had no such mount point or device",
				  name);
	if (d->content.kind == CONTENT_EXTENDED)
		return error_text(e, EINVAL, "--grow %s: it grows with the partition in it that is named",
				  name);
	if (d->table != TABLE_NONE)
		return error_text(e, EINVAL, "--grow %s: which of its partitions?", name);
	return d->kind == DEVICE_VOLUME ? check_volume(m, d, name, e) : 0;
}

/* ---- what grows with it ---- */

static void mark_below(const struct machine *m, const struct device *d, bool *marks)
{
	/* a disk has the size that it has */
	if (d->kind == DEVICE_PARTITION && d->parent->kind == DEVICE_RAID) {
		marks[index_of(m, d->parent)] = true;
		mark_below(m, d->parent, marks);
	}
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i]) {
			marks[index_of(m, d->below[i])] = true;
			mark_below(m, d->below[i], marks);
		}
}

/* The layer that fills what `d` is; NULL: none, as a group does not give its room to one volume unasked. */
static const struct device *follower(const struct machine *m, const struct device *d)
{
	return d->kind == DEVICE_GROUP ? NULL : machine_above(m, d);
}

/* An array grows with all of its members; a group needs only one. */
static void mark_above(const struct machine *m, const struct device *d, bool *marks)
{
	for (const struct device *a = follower(m, d); a; a = follower(m, a)) {
		marks[index_of(m, a)] = true;
		if (a->kind == DEVICE_RAID)
			mark_below(m, a, marks);
	}
}

/* Whose room a device takes when it grows: that of its disk or partitioned array; NULL: of none of these. */
static const struct device *room_of(const struct device *d)
{
	if (d->kind == DEVICE_PARTITION)
		return d->parent;
	return d->kind == DEVICE_DISK ? d : NULL;
}

/* The other device on the same disk or array that is to have its room; NULL: none. */
static const struct device *find_rival(const struct machine *m, const bool *marks, const struct device *d,
				       const struct device *not_this)
{
	for (size_t i = 0; i < m->count; i++)
		if (marks[i] && m->devices[i] != not_this && room_of(m->devices[i]) == room_of(d))
			return m->devices[i];
	return NULL;
}

static int add_marks(const struct machine *m, struct growth *g, const bool *marks, const char *name,
		     struct error *e)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (!marks[i] || !room_of(d))
			continue;
		const struct device *twin = find_rival(m, marks, d, d),
				    *rival = find_rival(m, g->grows, d, NULL);

		if (rival)
			return error_text(e, EINVAL, "--grow %s: %s takes what is free on %s already", name,
					  rival->name, room_of(d)->name);
		if (twin)
			return error_text(
				e, EINVAL,
				"--grow %s: it lies on %s and %s, of which only one can have what is "
				"free on %s",
				name, d->name, twin->name, room_of(d)->name);
	}
	for (size_t i = 0; i < m->count; i++)
		g->grows[i] |= marks[i];
	return 0;
}

static int find_one(const struct machine *m, const char *name, struct growth *g, struct error *e)
{
	_cleanup_(free) bool *marks = xcalloc(m->count, sizeof(*marks));
	struct device *d = find(m, name);
	int r = check(m, d, name, e);

	if (r < 0)
		return r;
	marks[index_of(m, d)] = true;
	mark_below(m, d, marks);
	mark_above(m, d, marks);
	r = add_marks(m, g, marks, name, e);
	if (r < 0)
		return r;
	g->takes[index_of(m, d)] = d->kind == DEVICE_VOLUME;
	g->named[g->named_count++] = d;
	return 0;
}

int grow_find(const struct machine *m, const struct strlist *names, struct growth *ret, struct error *e)
{
	_cleanup_(growth) struct growth g = { 0 };
	size_t count = names ? names->count : 0;
	int r = 0;

	g.grows = xcalloc(m->count + 1, sizeof(*g.grows));
	g.takes = xcalloc(m->count + 1, sizeof(*g.takes));
	g.named = xcalloc(count + 1, sizeof(struct device *));
	for (size_t i = 0; i < count && r == 0; i++)
		r = find_one(m, names->items[i], &g, e);
	if (r < 0)
		return r;
	*ret = g;
	g = (struct growth) { 0 };
	return 0;
}

/* ---- sizes ---- */

void grow_partitions(struct machine *m, const struct growth *g, const uint64_t *old_sizes)
{
	for (size_t i = 0; i < m->count; i++)
		if (g->grows[i] && device_is_plain(m->devices[i]))
			scale_grow(m, m->devices[i], old_sizes[i]);
}

/* Of what `top` lies on, the partition or disk with the least room; `*ret_grown`: one has more than it had. */
static const struct device *find_least(const struct machine *m, const struct growth *g,
				       const struct device *top, const uint64_t *old_sizes, bool *ret_grown)
{
	const struct device *least = NULL;

	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (!g->grows[i] || !device_is_plain(d) || d == top || !device_lies_on(top, device_disk(d)))
			continue;
		*ret_grown |= d->size > old_sizes[i];
		if (!least || d->size < least->size)
			least = d;
	}
	return least;
}

int grow_check(const struct machine *m, const struct growth *g, const uint64_t *old_sizes, struct error *e)
{
	for (size_t i = 0; i < g->named_count; i++) {
		const struct device *top = g->named[i], *above;
		char has[SIZE_TEXT_MAX], room[SIZE_TEXT_MAX];
		bool grown = false;

		while ((above = follower(m, top)))
			top = above;
		const struct device *least = find_least(m, g, top, old_sizes, &grown);

		if (grown && top->size <= old_sizes[index_of(m, top)])
			return error_text(
				e, ENOSPC,
				"--grow %s: %s would have %s, no more than before, as %s has only %s",
				g->named[i]->name, top->name, format_size(top->size, has), least->name,
				format_size(least->size, room));
	}
	return 0;
}
