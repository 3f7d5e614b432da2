/* What the files modules*.c share. */
#pragma once
#include "image/modinfo.h"
#include "image/modules.h"

struct module {
	const struct reason *why; /* NULL: it was not taken */
	struct modinfo info; /* only while it is read and looked through */
};

/* Takes this very module; `as` is what was asked for. Only what it needs is still missing then. */
int modules_take(struct modules *m, const struct moddep_module *dep, const char *as,
		 const struct reason *because, struct error *e);

/* Its path in the tree, without what a compressor added. The caller frees. */
char *modules_tree_path(const struct modules *m, const struct moddep_module *dep);

/* Adds all that the modules taken so far need, and all that these need in turn. */
int modules_resolve(struct modules *m, struct error *e);

/* Adds the indexes of what was taken. */
int modules_add_indexes(struct modules *m, const struct reason *why, struct error *e);
