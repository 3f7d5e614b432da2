#include "image/reasons.h"

#include <sys/stat.h>

enum { none = SIZE_MAX, max_open = 200000 }; /* chains in the making at the same time */

void reasons_free(struct reasons *g)
{
	free(g->edges);
	free(g->upwards);
	free(g->downwards);
	free(g->below);
	*g = (struct reasons) { 0 };
}

/* --- the graph --- */

static const struct reason *reason_of(const struct entry *entry, size_t i)
{
	return i ? entry->further[i - 1] : entry->reason;
}

/* By reason: the one regular file that it brought in, which is who asks for what comes because of it;
 * `none` where there is no such file, or several. */
static size_t *find_subjects(const struct tree *t)
{
	size_t *subject = xcalloc(t->reason_count + 1, sizeof(*subject));
	bool *several = xcalloc(t->reason_count + 1, sizeof(*several));

	for (size_t i = 0; i < t->reason_count; i++)
		subject[i] = none;
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *entry = t->entries[i];

		for (size_t n = 0; S_ISREG(entry->mode) && n <= entry->further_count; n++) {
			const struct reason *r = reason_of(entry, n);

			if (!r)
				continue;
			several[r->id] = several[r->id] || subject[r->id] != none;
			subject[r->id] = i;
		}
	}
	for (size_t i = 0; i < t->reason_count; i++)
		subject[i] = several[i] ? none : subject[i];
	free(several);
	return subject;
}

/* Who gave a reason. */
static size_t node_of(const struct reasons *g, const size_t *subject, const struct reason *because)
{
	if (!because)
		return g->root;
	return subject[because->id] != none ? subject[because->id] : g->tree->count + because->id;
}

/* The edges to one node are added one after the other. */
static void add_edge(struct reasons *g, size_t from, size_t to, const char *text)
{
	if (from == to)
		return;
	for (size_t i = g->upwards[to]; i < g->count; i++)
		if (g->edges[i].from == from && streq(g->edges[i].text, text))
			return;
	g->edges = xgrow(g->edges, g->count + 1, &g->capacity, sizeof(*g->edges));
	g->edges[g->count++] = (struct asks) { from, to, text };
}

static void sort_downwards(struct reasons *g)
{
	g->below = xcalloc(g->nodes + 1, sizeof(*g->below));
	g->downwards = xcalloc(g->count + 1, sizeof(*g->downwards));
	for (size_t i = 0; i < g->count; i++)
		g->below[g->edges[i].from + 1]++;
	for (size_t n = 0; n < g->nodes; n++)
		g->below[n + 1] += g->below[n];
	size_t *next = xcalloc(g->nodes + 1, sizeof(*next));

	memcpy(next, g->below, (g->nodes + 1) * sizeof(*next));
	for (size_t i = 0; i < g->count; i++)
		g->downwards[next[g->edges[i].from]++] = i;
	free(next);
}

void reasons_make(const struct tree *tree, struct reasons *ret)
{
	size_t root = tree->count + tree->reason_count;
	struct reasons g = { .tree = tree, .root = root, .nodes = root + 1 };
	_cleanup_(free) size_t *subject = find_subjects(tree);

	g.upwards = xcalloc(g.nodes + 1, sizeof(*g.upwards));
	for (size_t i = 0; i < tree->count; i++) {
		const struct entry *entry = tree->entries[i];

		g.upwards[i] = g.count;
		for (size_t n = 0; n <= entry->further_count; n++) {
			const struct reason *r = reason_of(entry, n);

			if (r)
				add_edge(&g, node_of(&g, subject, r->because), i, r->text);
		}
	}
	for (size_t i = 0; i < tree->reason_count; i++) {
		g.upwards[tree->count + i] = g.count;
		if (subject[i] == none)
			add_edge(&g, node_of(&g, subject, tree->reasons[i]->because), tree->count + i,
				 tree->reasons[i]->text);
	}
	g.upwards[g.root] = g.upwards[g.nodes] = g.count;
	sort_downwards(&g);
	*ret = g;
}

/* --- chains --- */

/* A chain in the making: from a node down to the file that is asked about. */
struct open_chain {
	size_t edge, below; /* the place of the rest of it; `none`: the edge leads to the file itself */
	size_t length;
};

void chains_free(struct chains *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->list[i].steps);
	free(c->list);
	*c = (struct chains) { 0 };
}

static bool leads_through(const struct reasons *g, const struct open_chain *open, size_t at, size_t node)
{
	for (; at != none; at = open[at].below)
		if (g->edges[open[at].edge].to == node)
			return true;
	return false;
}

/* Takes over the steps. */
static void add_chain(struct chains *ret, struct chain c)
{
	ret->list = xgrow(ret->list, ret->count + 1, &ret->capacity, sizeof(*ret->list));
	ret->list[ret->count++] = c;
}

static void keep(const struct reasons *g, const struct open_chain *open, size_t at, struct chains *ret)
{
	struct chain c = { xcalloc(open[at].length, sizeof(*c.steps)), 0 };

	for (; at != none; at = open[at].below)
		c.steps[c.count++] = g->edges[open[at].edge].text;
	add_chain(ret, c);
}

/* The chain of those that asked first. */
static void keep_first(const struct entry *entry, struct chains *ret)
{
	struct chain c = { NULL, 0 };

	for (const struct reason *r = entry->reason; r; r = r->because)
		c.count++;
	c.steps = xcalloc(c.count + 1, sizeof(*c.steps));
	size_t left = c.count;

	for (const struct reason *r = entry->reason; r; r = r->because)
		c.steps[--left] = r->text;
	add_chain(ret, c);
}

void reasons_chains(const struct reasons *g, size_t entry, size_t max, struct chains *ret)
{
	struct open_chain *open = NULL;
	size_t count = 0, capacity = 0;

	/* Upwards in breadth, so that the shortest come first; `none` is the file itself, before number 0. */
	for (size_t at = none; at == none || at < count; at++) {
		size_t node = at == none ? entry : g->edges[open[at].edge].from;

		if (at != none && node == g->root) {
			if (ret->count == max) {
				ret->more = true;
				break;
			}
			keep(g, open, at, ret);
			continue;
		}
		for (size_t i = g->upwards[node]; i < g->upwards[node + 1]; i++) {
			if (leads_through(g, open, at, g->edges[i].from))
				continue;
			if (count == max_open) {
				ret->more = true;
				break;
			}
			open = xgrow(open, count + 1, &capacity, sizeof(*open));
			open[count++] = (struct open_chain) { i, at, at == none ? 1 : open[at].length + 1 };
		}
	}
	free(open);
	if (ret->more && ret->count == 0) /* so many ways that not even the shortest came to its end */
		keep_first(g->tree->entries[entry], ret);
}

/* --- what hangs on what --- */

void reasons_reach(const struct reasons *g, const bool *without, bool *reached)
{
	size_t *todo = xcalloc(g->nodes, sizeof(*todo)), count = 0;

	memset(reached, 0, g->nodes * sizeof(*reached));
	reached[g->root] = true;
	todo[count++] = g->root;
	while (count > 0) {
		size_t node = todo[--count];

		for (size_t i = g->below[node]; i < g->below[node + 1]; i++) {
			size_t edge = g->downwards[i], to = g->edges[edge].to;

			if (reached[to] || (without && without[edge]))
				continue;
			reached[to] = true;
			todo[count++] = to;
		}
	}
	free(todo);
}

bool reasons_asked_directly(const struct reasons *g, const struct asks *edge)
{
	size_t node = edge->from;

	/* A reason that is no file has one edge to it. */
	while (node != g->root && node >= g->tree->count)
		node = g->edges[g->upwards[node]].from;
	return node == g->root;
}
