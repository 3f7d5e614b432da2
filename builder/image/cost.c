#include "image/explain.h"

#include "image/draft.h"

#include <sys/stat.h>

const char *const image_by_names[BY_COUNT] = {
	[BY_PROFILE] = "profile", [BY_TOOL] = "tool", [BY_MODULE] = "module"
};

static double share(const struct image_draft *d, uint64_t weight)
{
	return d->weights.total ? (double)weight / (double)d->weights.total : 0;
}

/* --- every file --- */

void image_items_free(struct image_items *items)
{
	free(items->list);
	*items = (struct image_items) { 0 };
}

static int by_cost(const void *a, const void *b)
{
	const struct image_item *x = a, *y = b;

	if (x->share != y->share)
		return x->share < y->share ? 1 : -1;
	return strcmp(x->entry->path, y->entry->path);
}

int image_items(struct image_draft *d, struct image_items *ret, struct error *e)
{
	int r = draft_weigh(d, e);

	if (r < 0)
		return r;
	struct image_items items = { xcalloc(d->tree.count + 1, sizeof(*items.list)), 0 };

	for (size_t i = 0; i < d->tree.count; i++)
		if (!S_ISDIR(d->tree.entries[i]->mode))
			items.list[items.count++] =
				(struct image_item) { d->tree.entries[i], share(d, d->weights.bytes[i]) };
	qsort(items.list, items.count, sizeof(*items.list), by_cost);
	*ret = items;
	return 0;
}

/* --- sums --- */

struct summing {
	const struct image_draft *d;
	enum image_by by;
	struct reasons graph;
	struct map by_name; /* name → its number in the list, plus one */
	struct image_sums sums;
	/* by edge: the number plus one of the sum that it asks for, 0: none; and does a profile itself ask */
	size_t *asked;
	bool *directly;
	bool *without, *reached; /* by edge, by node: scratch */
};

static void summing_free(struct summing *s)
{
	reasons_free(&s->graph);
	map_free(&s->by_name);
	image_sums_free(&s->sums);
	free(s->asked);
	free(s->directly);
	free(s->without);
	free(s->reached);
}
DEFINE_CLEANUP(summing, struct summing, summing_free)

void image_sums_free(struct image_sums *sums)
{
	free(sums->list);
	strlist_free(&sums->names);
	*sums = (struct image_sums) { 0 };
}

/* "tool mount" → "mount", "module nvme (for …)" → "nvme"; NULL: the text is about something else. The
 * caller frees. */
static char *name_of(const struct summing *s, const char *text)
{
	const char *kind = image_by_names[s->by];
	const char *rest = str_after(text, kind);

	return rest && *rest == ' ' ? xstrndup(rest + 1, strcspn(rest + 1, " ")) : NULL;
}

/* Whose the entry is: the outermost step of its first chain that names one. NULL: nobody's. */
static char *owner_of(const struct summing *s, const struct entry *entry, bool *ret_is_one)
{
	const struct reason *outermost = NULL;
	char *owner = NULL;

	for (const struct reason *r = entry->reason; r; r = r->because) {
		char *name = name_of(s, r->text);

		outermost = r;
		if (!name)
			continue;
		free(owner);
		owner = name;
	}
	*ret_is_one = owner;
	/* Everything has a first step, but it need not be a profile. */
	return !owner && s->by == BY_PROFILE && outermost ? xstrdup(outermost->text) : owner;
}

static struct image_sum *sum_of(struct summing *s, const char *name, bool is_one)
{
	struct image_sums *sums = &s->sums;
	const char *key = name ? name : "";
	size_t known = (size_t)map_get(&s->by_name, key);

	if (known)
		return &sums->list[known - 1];
	strlist_add(&sums->names, key);
	key = sums->names.items[sums->names.count - 1];
	sums->list = xgrow(sums->list, sums->count + 1, &sums->capacity, sizeof(*sums->list));
	sums->list[sums->count++] = (struct image_sum) { .name = name ? key : NULL, .is_one = is_one };
	map_put(&s->by_name, key, (void *)sums->count);
	return &sums->list[sums->count - 1];
}

static void add_entry(struct summing *s, size_t i)
{
	const struct entry *entry = s->d->tree.entries[i];
	bool is_one;
	_cleanup_(free) char *owner = owner_of(s, entry, &is_one);
	struct image_sum *sum = sum_of(s, owner, is_one);

	sum->share += share(s->d, s->d->weights.bytes[i]);
	if (S_ISDIR(entry->mode))
		return;
	sum->files++;
	sum->size += entry->same_as ? 0 : entry->size;
}

static void find_askers(struct summing *s)
{
	const struct reasons *g = &s->graph;

	s->asked = xcalloc(g->count + 1, sizeof(*s->asked));
	s->directly = xcalloc(g->count + 1, sizeof(*s->directly));
	for (size_t i = 0; i < g->count; i++) {
		_cleanup_(free) char *name = name_of(s, g->edges[i].text);

		s->asked[i] = name ? (size_t)map_get(&s->by_name, name) : 0;
		s->directly[i] = reasons_asked_directly(g, &g->edges[i]);
	}
}

/* Takes the edges out by which a profile asks for the sum of that number; where none does, all that ask
 * for it. */
static void take_out(struct summing *s, size_t number)
{
	bool any_directly = false;

	for (size_t i = 0; i < s->graph.count; i++)
		any_directly = any_directly || (s->asked[i] == number && s->directly[i]);
	for (size_t i = 0; i < s->graph.count; i++)
		s->without[i] = s->asked[i] == number && (s->directly[i] || !any_directly);
}

/* Does another name of the same content stay? */
static bool content_stays(const struct summing *s, const struct entry *entry)
{
	const struct tree *t = &s->d->tree;

	for (size_t i = 0; entry->links > 1 && i < t->count; i++)
		if (t->entries[i]->same_as == entry && s->reached[i])
			return true;
	return false;
}

static void add_alone(struct summing *s, size_t number)
{
	struct image_sum *sum = &s->sums.list[number - 1];
	const struct tree *t = &s->d->tree;

	take_out(s, number);
	reasons_reach(&s->graph, s->without, s->reached);
	for (size_t i = 0; i < t->count; i++) {
		if (s->reached[i] || S_ISDIR(t->entries[i]->mode))
			continue;
		const struct entry *entry = t->entries[i];

		sum->alone_files++;
		if (content_stays(s, entry))
			continue;
		sum->alone_size += entry->same_as ? 0 : entry->size;
		sum->alone_share += share(s->d, s->d->weights.bytes[i]);
	}
}

static int by_share(const void *a, const void *b)
{
	const struct image_sum *x = a, *y = b;

	if (x->share != y->share)
		return x->share < y->share ? 1 : -1;
	return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

int image_sums(struct image_draft *d, enum image_by by, struct image_sums *ret, struct error *e)
{
	_cleanup_(summing) struct summing s = { .d = d, .by = by };
	int r = draft_weigh(d, e);

	if (r < 0)
		return r;
	reasons_make(&d->tree, &s.graph);
	s.without = xcalloc(s.graph.count + 1, sizeof(*s.without));
	s.reached = xcalloc(s.graph.nodes, sizeof(*s.reached));
	for (size_t i = 0; i < d->tree.count; i++)
		add_entry(&s, i);
	find_askers(&s);
	for (size_t i = 0; i < s.sums.count; i++)
		if (s.sums.list[i].is_one)
			add_alone(&s, i + 1);
	qsort(s.sums.list, s.sums.count, sizeof(*s.sums.list), by_share);
	*ret = s.sums;
	s.sums = (struct image_sums) { 0 };
	return 0;
}
