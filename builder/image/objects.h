/* The ELF files of a root, with those that the tree has from elsewhere before them: each is opened once,
 * and each path is followed once. */
#pragma once
#include "image/elf.h"
#include "image/root.h"

/* A regular file that was looked into. */
struct object {
	char *canonical; /* its path, without leading slash */
	char *shown; /* where it is read, for messages */
	struct elf_info info; /* empty when it is no ELF file */
	bool is_elf;
	const struct reason *reason; /* NULL: it is not in the tree */
	bool helped; /* what it opens while it runs was looked for */
};

/* What an absolute path leads to. */
struct place {
	char *path;
	struct walk walk;
	struct object *object; /* NULL: no regular file is there */
	bool in_tree; /* with the links on the way */
};

struct objects {
	const struct root *root; /* caller's; NULL: the tree alone */
	const struct tree *tree; /* caller's; NULL: the root alone */
	struct object **list; /* owned, in the order they were met */
	size_t count, capacity;
	struct map by_canonical;
	struct place **places; /* owned */
	size_t place_count, place_capacity;
	struct map by_path;
};
void objects_free(struct objects *o);

/* The file at a canonical path. It may be none of ELF; that it cannot be read, or is a broken one, is an
 * error. */
int objects_get(struct objects *o, const char *canonical, struct object **ret, struct error *e);

/* The place at a path. What leads nowhere is a place without an object; links in a circle are an error. */
int objects_at(struct objects *o, const char *path, struct place **ret, struct error *e);

/* The tree got files from elsewhere: what paths lead to is looked up again. */
void objects_look_again(struct objects *o);
