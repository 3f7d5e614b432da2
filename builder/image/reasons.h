/* The reasons of a tree as a graph: who asks for what. A chain in the tree says who asked first; here
 * every way from a profile to a file is found, also where it leads through files that others have asked
 * for in the first place.
 *
 * Nodes are the tree's entries, then its reasons, then the root, from which all of them come. What a
 * file asks for hangs on the file, so that it is there for everybody who asks for the file; a reason that
 * is no file ("profile smb") stands for itself. */
#pragma once
#include "image/tree.h"

struct asks {
	size_t from, to; /* nodes */
	const char *text; /* the reason's: what `to` is for `from` */
};

struct reasons {
	const struct tree *tree; /* caller's; sorted, and not changed any more */
	size_t nodes, root;
	struct asks *edges; /* by `to`; those of a file in the order they were asked */
	size_t count, capacity;
	size_t *upwards; /* by node: the first edge to it; [nodes]: the count */
	size_t *downwards; /* the numbers of the edges by `from` … */
	size_t *below; /* … and by node where its begin there; [nodes]: the count */
};
void reasons_make(const struct tree *tree, struct reasons *ret);
void reasons_free(struct reasons *g);
DEFINE_CLEANUP(reasons, struct reasons, reasons_free)

/* One way from the root to a file: the texts of its steps, the first is a profile. */
struct chain {
	const char **steps; /* they are the tree's */
	size_t count;
};
struct chains {
	struct chain *list;
	size_t count, capacity;
	bool more; /* there are more than were looked for */
};
void chains_free(struct chains *c);
DEFINE_CLEANUP(chains, struct chains, chains_free)

/* Every chain to the entry, the shortest first; no file stands twice in one. At most `max` are found. */
void reasons_chains(const struct reasons *g, size_t entry, size_t max, struct chains *ret);

/* Which nodes can be reached from the root when the edges that `without` names (by number; NULL: none)
 * are taken out. `reached` has a place for each node. */
void reasons_reach(const struct reasons *g, const bool *without, bool *reached);

/* True when no file stands between the edge's `from` and the root: a profile itself asks. */
bool reasons_asked_directly(const struct reasons *g, const struct asks *edge);
