/* Tools: programs and scripts of the machine, with everything that they need to run: libraries,
 * interpreters, and the helpers that no header names (a table in helpers.c). */
#pragma once
#include "image/libs.h"

#include "base/report.h"

struct tools {
	const struct root *root; /* caller's */
	struct tree *tree; /* caller's */
	struct report *report; /* caller's */
	struct libs libs;
};
int tools_open(const struct root *root, struct tree *tree, struct report *report, struct tools *ret,
	       struct error *e);
void tools_close(struct tools *t);
DEFINE_CLEANUP(tools, struct tools, tools_close)

/* Adds the program `name`: a path, or a name that is looked for in the folders of PATH. Returns 1,
 * or 0 when there is none (`e` is untouched). */
int tools_add(struct tools *t, const char *name, const struct reason *because, struct error *e);

/* Adds what the file at `canonical`, which is in the tree, needs to run: an ELF file's libraries, a script's
 * interpreter. Returns a negative errno when something is nowhere. */
int tools_add_needs(struct tools *t, const char *canonical, const struct reason *why, struct error *e);
/* The same for a file that may be a library, and is no script. */
int tools_add_library_needs(struct tools *t, const char *canonical, const struct reason *why,
			    struct error *e);

/* Adds a file, or a folder with all that is in it. Returns 1, or 0 when it is not there. */
int tools_add_file(struct tools *t, const char *path, const struct reason *because, struct error *e);

/* Adds the library `name` that the program `tool`, which is in the tree, opens while it runs. Returns 1, or 0 when
 * there is no such program or no such library. */
int tools_add_library(struct tools *t, const char *tool, const char *name, const struct reason *because,
		      struct error *e);

/* What a tool or library calls, opens or reads without saying so in its headers. */
enum helper_kind {
	HELPER_TOOL,
	HELPER_LIBRARY, /* by name, as dlopen() finds it */
	HELPER_PLUGIN, /* a file or folder below the loader's default folders */
	HELPER_FILE,
};
struct helper {
	const char *of; /* file name of the tool or library */
	enum helper_kind kind;
	const char *what;
	const char *why;
};
/* Ends with a NULL `of`. What is not on the machine is left out: the machine does without it too. */
extern const struct helper helpers[];
