/* modules.dep(5): every module of a kernel, and the modules that each needs; lines "PATH: PATH…". */
#pragma once
#include "base/error.h"
#include "image/map.h"

#include <stdint.h>

struct moddep_module {
	char *name; /* as the kernel calls it: without folders and suffix, '_' for '-' */
	const char *path; /* below the modules folder: kernel/fs/ext4/ext4.ko.xz */
	const uint32_t *needs; /* places in `list` */
	size_t need_count;
};

struct moddep {
	struct moddep_module
		*list; /* owned, in the order of the lines: the one that alias look-up prefers first */
	size_t count, capacity;
	struct map by_name; /* of struct moddep_module; where two have a name, the first */
	char *text;
	uint32_t *needs;
};
void moddep_free(struct moddep *d);
DEFINE_CLEANUP(moddep, struct moddep, moddep_free)

/* Takes over `text`. `shown` names the file in errors: a line of another form, a path that leads out of the
 * folder, a module that is needed and has no line of its own are -EINVAL. */
int moddep_parse(char *text, const char *shown, struct moddep *ret, struct error *e);

/* The module's name of a path or name: what is left without folders and suffix, '_' for '-'. The caller frees. */
char *moddep_name(const char *path);

/* How much of a module's path is left without the suffix of a compressor: its length up to ".ko". */
size_t moddep_plain_len(const char *path);
