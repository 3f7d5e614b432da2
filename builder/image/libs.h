/* Shared libraries, found the way the dynamic loader (ld.so(8)) finds them: DT_RPATH of the object
 * and of those that loaded it, DT_RUNPATH, the folders of ld.so.conf, the default folders. The
 * rescue system has no ld.so.cache: a library out of ld.so.conf's folders gets a link beside the C
 * library, where every loader looks. */
#pragma once
#include "image/elf.h"
#include "image/root.h"

/* A file that was looked into. */
struct object {
	char *canonical;
	struct elf_info info;
	bool is_elf;
	bool from_conf; /* it was found by ld.so.conf alone */
	const struct reason *reason; /* NULL: it is not in the tree */
};

struct libs {
	const struct root *root; /* caller's */
	struct tree *tree; /* caller's */
	struct strlist conf; /* folders of ld.so.conf, in order */
	struct object **objects; /* owned, in the order they were met */
	size_t count, capacity;
	struct map by_path; /* canonical path → object */
	struct strlist names; /* the keys of by_name */
	struct map by_name; /* library name → object that the general folders have for it */
};
/* Reads the root's ld.so.conf. */
int libs_open(const struct root *root, struct tree *tree, struct libs *ret, struct error *e);
void libs_close(struct libs *l);
DEFINE_CLEANUP(libs, struct libs, libs_close)

/* Adds the interpreter and all libraries of the file at `canonical`, which is in the tree already.
 * Returns 1 when it is an ELF file, 0 when not. A library that is nowhere is -ENOENT. */
int libs_add_needed(struct libs *l, const char *canonical, const struct reason *why, struct error *e);

/* Adds the library `name`, which the object at `canonical` opens while it runs (dlopen), with all
 * that it needs. Returns 1, or 0 when there is none of that name. */
int libs_add_opened(struct libs *l, const char *canonical, const char *name, const struct reason *why,
		    struct error *e);
