#include "machine/placement.h"

#include "base/number.h"
#include "machine/layer.h"

#include <errno.h>
#include <inttypes.h>

void placement_free(struct volume *v)
{
	for (size_t i = 0; i < v->segment_count; i++)
		strlist_free(&v->segments[i].on);
	free(v->segments);
	v->segments = NULL;
	v->segment_count = 0;
}

static bool is_same(const struct strlist *a, const struct strlist *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!streq(a->items[i], b->items[i]))
			return false;
	return true;
}

void placement_add(struct volume *v, uint64_t size, const struct strlist *on)
{
	struct segment *last = v->segment_count ? &v->segments[v->segment_count - 1] : NULL;

	if (last && is_same(&last->on, on)) {
		last->size = size ? last->size + size : 0;
		return;
	}
	v->segments = xrealloc(v->segments, (v->segment_count + 1) * sizeof(*v->segments));
	last = &v->segments[v->segment_count++];
	*last = (struct segment) { .size = size };
	for (size_t i = 0; i < on->count; i++)
		strlist_add(&last->on, on->items[i]);
}

/* ---- as text ---- */

char *placement_format(const struct volume *v)
{
	struct strbuf b = { 0 };

	for (size_t i = 0; i < v->segment_count; i++) {
		_cleanup_(free) char *on = strlist_join(&v->segments[i].on, " ");

		strbuf_printf(&b, "%s%s", i ? ", " : "", on);
		if (v->segments[i].size)
			strbuf_printf(&b, ":%" PRIu64, v->segments[i].size);
	}
	return b.data;
}

static int parse_segment(char *part, bool is_last, struct volume *v)
{
	_cleanup_(strlist) struct strlist on = { 0 };
	char *colon = strchr(part, ':');
	uint64_t size = 0;

	if (colon) {
		*colon = '\0';
		if (parse_u64(colon + 1, &size) < 0 || size == 0 || size > INT64_MAX)
			return -EINVAL;
	}
	strlist_add_words(&on, part);
	if (on.count == 0 || (!colon && !is_last))
		return -EINVAL;
	placement_add(v, size, &on);
	return 0;
}

int placement_parse(const char *text, struct volume *v, char **ret_bad)
{
	_cleanup_(strlist) struct strlist parts = { 0 };

	strlist_add_parts(&parts, text, ',');
	for (size_t i = 0; i < parts.count; i++) {
		_cleanup_(free) char *part = xstrdup(parts.items[i]);

		if (parse_segment(str_strip(part), i + 1 == parts.count, v) < 0) {
			*ret_bad = xstrdup(str_strip(parts.items[i]));
			return -EINVAL;
		}
	}
	if (v->segment_count) /* the sum of all is the volume's size, which is said once */
		v->segments[v->segment_count - 1].size = 0;
	return 0;
}

/* ---- fitting ---- */

uint64_t segment_size(const struct device *d, size_t i)
{
	uint64_t before = 0;

	if (d->volume.segments[i].size)
		return d->volume.segments[i].size;
	for (size_t k = 0; k < i; k++)
		before += d->volume.segments[k].size;
	return d->size > before ? d->size - before : 0;
}

/* A volume that became smaller loses its end. */
static void cut_segments(struct device *d)
{
	struct volume *v = &d->volume;

	while (v->segment_count && segment_size(d, v->segment_count - 1) == 0) {
		strlist_free(&v->segments[--v->segment_count].on);
		if (v->segment_count)
			v->segments[v->segment_count - 1].size = 0;
	}
}

/* What one of its devices holds of a segment. A pool's own metadata, and the spare for it, may come to any of them. */
static uint64_t share_of(const struct device *d, size_t i)
{
	const struct device *group = d->below[0];
	uint64_t extent = group->group.extent_size, count = d->volume.segments[i].on.count;

	if (volume_is_pool(d))
		return round_up((segment_size(d, i) + count - 1) / count, extent) +
		       2 * round_up(d->volume.metadata_size, extent);
	if (is_striped_only(d->volume.type))
		return round_up((segment_size(d, i) + count - 1) / count, extent);
	return round_up(volume_takes(d) / count, extent);
}

static uint64_t taken_of(const struct machine *m, const struct device *group, const char *name)
{
	uint64_t taken = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		for (size_t k = 0; is_volume_of(d, group) && k < d->volume.segment_count; k++)
			if (strlist_has(&d->volume.segments[k].on, name))
				taken += share_of(d, k);
	}
	return taken;
}

/* A name that is none of the group's devices: that device was taken out of it. */
static bool are_there(const struct device *group, const struct volume *v)
{
	for (size_t i = 0; i < v->segment_count; i++)
		for (size_t k = 0; k < v->segments[i].on.count; k++) {
			size_t at = 0;

			while (at < group->below_count &&
			       !(group->below[at] &&
				 streq(group->below[at]->name, v->segments[i].on.items[k])))
				at++;
			if (at == group->below_count)
				return false;
		}
	return true;
}

static bool fits(const struct machine *m, const struct device *group)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_volume_of(m->devices[i], group) && !are_there(group, &m->devices[i]->volume))
			return false;
	for (size_t i = 0; i < group->below_count; i++)
		if (group->below[i] && taken_of(m, group, group->below[i]->name) > group_usable(group, i))
			return false;
	return true;
}

static void forget(struct machine *m, struct device *group)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_volume_of(m->devices[i], group) && m->devices[i]->volume.segment_count) {
			placement_free(&m->devices[i]->volume);
			group->group.displaced = true;
		}
}

void placement_fit(struct machine *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_VOLUME)
			cut_segments(m->devices[i]);
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_GROUP && !fits(m, m->devices[i]))
			forget(m, m->devices[i]);
}
