/* Shared libraries: into the tree goes what the dynamic loader would map (process.h), and the loader
 * itself. What it finds by ld.so.cache on the machine it finds by an ld.so.cache of our making in the
 * image, so that both take the same file for a name, whatever else lies in the default folders. */
#pragma once
#include "image/process.h"

struct libs {
	struct linker linker;
	struct tree *tree; /* caller's */
	struct ldcache_entry *cached; /* for the image's ld.so.cache; their strings are ours */
	size_t count, capacity;
	struct strlist keys; /* of by_key */
	struct map by_key; /* "FLAGS NAME": those that `cached` has */
};
int libs_open(const struct root *root, struct tree *tree, struct libs *ret, struct error *e);
void libs_close(struct libs *l);
DEFINE_CLEANUP(libs, struct libs, libs_close)

/* Adds the interpreter and all libraries of the file at `canonical`, which is in the tree already.
 * Returns 1 when it is an ELF file, 0 when not. A library that is nowhere is -ENOENT; but a library on its own,
 * a plug-in, may need one that is in the tree and that its program has loaded by then. */
int libs_add_needed(struct libs *l, const char *canonical, const struct reason *why, struct error *e);

/* Adds the library `name`, which the object at `canonical` opens while it runs (dlopen), with all
 * that it needs. Returns 1, or 0 when there is none of that name. */
int libs_add_opened(struct libs *l, const char *canonical, const char *name, const struct reason *why,
		    struct error *e);

/* The default folders of the loader that the ELF file at `canonical` is for; none when it has no loader. */
int libs_folders(struct libs *l, const char *canonical, struct strlist *ret, struct error *e);

/* Adds the image's ld.so.cache, when any library needs one. */
int libs_finish(struct libs *l, struct error *e);
