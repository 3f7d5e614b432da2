/* The finished tree as the rescue system will see it: links followed inside it, programs that can be executed,
 * libraries where the loader finds them, modules by the packed indexes. It knows nothing
 * of how the tree came to be, so that it can find what that left out.
 *
 * Each view_…() below returns 0 when the thing is there and would work, else -ENOENT, or another negative
 * errno, and says in `e` what is missing, without the context that the caller has. */
#pragma once
#include "image/process.h"

struct view {
	const struct tree *tree; /* caller's */
	const char *modules; /* "lib/modules/VERSION"; caller's */
	struct linker *linker; /* NULL until it is needed */
	struct map complete; /* programs whose libraries are all there, by path */
	char *dep, *builtin; /* modules.dep and modules.builtin as text; NULL until they are needed */
	struct map dep_of; /* module name → "PATH: DEPENDENCIES" in `dep` */
	struct map is_builtin; /* module name → its line in `builtin` */
	struct strlist names; /* the keys of both */
	char *busybox; /* its content; NULL until it is needed */
	size_t busybox_len;
	const char *applets, *applets_end; /* its table of commands, in `busybox` */
};
void view_close(struct view *v);
DEFINE_CLEANUP(view, struct view, view_close)

/* What a path leads to, all links followed; NULL when that is nothing. */
const struct entry *view_follow(const struct view *v, const char *path);

/* A file, device or folder at this path. */
int view_file(struct view *v, const char *path, struct error *e);
/* A program, by path or by name in the folders of PATH: it can be executed, its interpreter and all libraries
 * are there. */
int view_tool(struct view *v, const char *name, struct error *e);
/* A library that the program `tool` opens by name while it runs, and all libraries of that one. */
int view_library(struct view *v, const char *tool, const char *name, struct error *e);
/* A module by its name: built in, or packed with all that it depends on. */
int view_module(struct view *v, const char *name, struct error *e);
/* A command of the packed busybox. */
int view_applet(struct view *v, const char *name, struct error *e);

/* --- between the files of the view --- */

/* The program that a name means, or NULL. */
const struct entry *view_find_tool(const struct view *v, const char *name);
/* The whole content of a regular file; the caller frees. */
int view_read(const struct entry *entry, char **ret, size_t *ret_len, struct error *e);
/* All libraries of the ELF file `program`, and of the library `opened` when that is not NULL. */
int view_libraries(struct view *v, const struct entry *program, const char *opened, struct error *e);
